/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef FAULT_CALLS_H
#define FAULT_CALLS_H

/*
 * The calls of the library that can be made to fail, by name; rename reads this list.
 * What is called NAME or NAME64 in the library's objects is vhost_fault_NAME in the copy
 * of them that is under test here.
 */
#define FAULT_CALLS(CALL) \
	CALL(accept4) \
	CALL(bind) \
	CALL(calloc) \
	CALL(connect) \
	CALL(epoll_create1) \
	CALL(epoll_ctl) \
	CALL(epoll_wait) \
	CALL(eventfd) \
	CALL(fallocate) \
	CALL(fcntl) \
	CALL(fopen) \
	CALL(fstat) \
	CALL(fstatfs) \
	CALL(get_mempolicy) \
	CALL(getsockopt) \
	CALL(ioctl) \
	CALL(listen) \
	CALL(lseek) \
	CALL(lstat) \
	CALL(madvise) \
	CALL(malloc) \
	CALL(mbind) \
	CALL(memfd_create) \
	CALL(mincore) \
	CALL(mlock2) \
	CALL(mmap) \
	CALL(move_pages) \
	CALL(mprotect) \
	CALL(mremap) \
	CALL(open) \
	CALL(pread) \
	CALL(pthread_create) \
	CALL(read) \
	CALL(readlink) \
	CALL(realloc) \
	CALL(recvmsg) \
	CALL(rte_ctrl_thread_create) \
	CALL(rte_dma_info_get) \
	CALL(rte_malloc) \
	CALL(rte_malloc_socket) \
	CALL(rte_net_make_rarp_packet) \
	CALL(rte_thread_create_internal_control) \
	CALL(send) \
	CALL(sendmsg) \
	CALL(setsockopt) \
	CALL(sigaction) \
	CALL(socket) \
	CALL(statx) \
	CALL(syscall) \
	CALL(timerfd_create) \
	CALL(unlink) \
	CALL(write)

/* What is only looked at: what was taken is given back, what is said. */
#define FAULT_WATCHED(CALL) \
	CALL(free) \
	CALL(munmap) \
	CALL(rte_log)

#endif /* FAULT_CALLS_H */
