/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef FAULT_QUIET_H
#define FAULT_QUIET_H

/*
 * Faults that nobody has to hear of, by the call and by a function among its callers, and
 * why.  For test_vhost_faults.c alone.
 */

#include <errno.h>

#include "fault_wrap.h"

struct fault_quiet {
	enum fault_call call;
	int err;		/**< 0: any */
	const char *function;
	const char *why;
	bool excuses;		/**< also what goes wrong then */
	bool lasting;		/**< only where all further ones failed as well */
};

static const struct fault_quiet fault_quiet[] = {
	/* ---- tried again ---- */
	{ FAULT_accept4, ECONNABORTED, "on_readable", "the one who wanted to come has gone" },
	{ FAULT_epoll_wait, EINTR, "loop_main", "it waits again" },
	{ FAULT_recvmsg, EINTR, "vhost_vu_recv", "the loop finds the socket readable again" },
	{ FAULT_epoll_ctl, 0, "watch_again", "it stays in the queue, which is served by a timer" },
	{ FAULT_recvmsg, ECONNRESET, "vhost_vu_recv",
		"the connection ends; a frontend that has just hung up does not hear of it" },
	{ FAULT_realloc, 0, "vhost_numa_rings_set", "a ring is made known again by each settle" },
	{ FAULT_calloc, 0, "region_create", "made up for by the next look (make_up_for)" },
	{ FAULT_send, 0, "send_misses", "what was not asked for is asked for again" },
	{ FAULT_rte_net_make_rarp_packet, 0, "net_mbuf_announce", "the next burst makes it" },

	/* ---- there is another way ---- */
	{ FAULT_calloc, 0, "account_get", "the account of nobody" },
	{ FAULT_malloc, 0, "doomed_get", "a place that is kept for that" },
	{ FAULT_calloc, 0, "chunk_create", "blocks of a new device may be anywhere" },
	{ FAULT_madvise, 0, "chunk_create", "a chunk anywhere, or of small pages" },
	{ FAULT_mmap, 0, "chunk_create", "a chunk anywhere" },
	{ FAULT_mprotect, 0, "chunk_create", "a chunk anywhere" },
	{ FAULT_mbind, 0, "chunk_create", "what counts is where the pages are" },
	{ FAULT_fopen, 0, "vhost_chunk_map", "then as if there were no huge pages" },
	{ FAULT_heap_block, 0, "device_init", "a device may be born anywhere" },
	{ FAULT_heap_block, 0, "vhost_queue_async_register", "anywhere, until it is moved" },
	{ FAULT_heap_block, 0, "vhost_queue_async_migrate",
		"it stays where it is, and each settle tries again" },
	{ FAULT_rte_malloc_socket, 0, "net_mbuf_external_memory", "memory of any node" },
	{ FAULT_syscall, 0, "ufd_create", "there are three ways to have one" },
	{ FAULT_statx, 0, "vhost_mem_file_is_same", "what may be another file is mapped anew" },
	{ FAULT_fcntl, 0, "vhost_inflight_pool_find", "an area of unknown origin" },
	{ FAULT_fstat, 0, "vhost_inflight_pool_find", "an area of unknown origin" },
	{ FAULT_fcntl, 0, "is_open_elsewhere", "the area is kept until it is asked about again" },

	/* ---- what a descriptor is: it is treated with more care than it needs ---- */
	{ FAULT_fcntl, 0, "vhost_reap", "closed by a thread of its own" },
	{ FAULT_getsockopt, 0, "vhost_reap", "closed by a thread of its own" },
	{ FAULT_readlink, 0, "vhost_reap", "closed by a thread of its own" },
	{ FAULT_fcntl, 0, "vhost_mem_file_check", "its file system is asked, by a thread" },
	{ FAULT_getsockopt, 0, "vhost_mem_file_check", "its file system is asked, by a thread" },
	{ FAULT_readlink, 0, "vhost_mem_file_check", "its file system is asked, by a thread" },
	{ FAULT_fcntl, 0, "vhost_doorbell_adopt", "no memory file, so another question" },
	{ FAULT_getsockopt, 0, "vhost_doorbell_adopt", "no socket, so another question" },

	/* ---- where memory is: not known for now, and asked again ---- */
	{ FAULT_fcntl, 0, "vhost_mem_probe_bytes", "looked at again by the next check" },
	{ FAULT_fstat, 0, "vhost_mem_probe_bytes", "looked at again by the next check" },
	{ FAULT_get_mempolicy, 0, "kernel_bound", "as if there were no policy" },
	{ FAULT_move_pages, ENOMEM, "kernel_query", "the node is not known for now" },
	{ FAULT_move_pages, ENOMEM, "kernel_move", "what is not there is moved by the next settle" },
	{ FAULT_ioctl, 0, "trap_missing", "without a trap a page is asked for first" },
	{ FAULT_syscall, 0, "trap_missing", "without a trap a page is asked for first" },
	{ FAULT_lseek, 0, "vhost_mem_probe_next_data", "then any spots are looked at" },
	{ FAULT_open, 0, "vhost_mem_probe_reopen", "then any spots are looked at" },
	{ FAULT_statx, 0, "vhost_mem_probe_bytes", "looked at again by the next check" },
	{ FAULT_statx, 0, "mincore_is_honest", "then it is not believed" },
	{ FAULT_madvise, 0, "vhost_mem_window_arm", "kept out of core dumps if that is possible" },
	{ FAULT_madvise, 0, "vhost_mem_window_map", "kept out of core dumps if that is possible" },
	{ FAULT_mincore, 0, "survey_take", "looked at again by the next check" },
	{ FAULT_mmap, 0, "survey_take", "looked at again by the next check" },
	{ FAULT_mprotect, 0, "survey_take", "looked at again by the next check" },
	{ FAULT_open, 0, "survey_take", "looked at again by the next check" },

	/* ---- precautions ---- */
	{ FAULT_madvise, 0, "mapping_open", "kept out of core dumps if that is possible" },
	{ FAULT_madvise, 0, "vhost_node_pages", "kept apart from huge pages if that is possible" },
	{ FAULT_madvise, 0, "register_region", "likewise; without them there is nothing to keep" },
	{ FAULT_mincore, 0, "vhost_node_pages", "are pages locked?  as if they were not" },
	{ FAULT_mincore, 0, "look_for_locks", "are pages locked?  as was known before" },
	{ FAULT_mmap, 0, "look_for_locks", "are pages locked?  as was known before" },
	{ FAULT_mmap, 0, "reserve_need", "a reserve for the worst case; the next mapping has it made" },
	{ FAULT_mprotect, 0, "reserve_need", "likewise" },
	{ FAULT_madvise, 0, "vhost_node_pages_clear", "there is another way to have them cleared" },
	{ FAULT_mbind, 0, "make_channel", "the counters of a channel may be anywhere" },
	{ FAULT_fcntl, 0, "vhost_vu_link_init", "every call asks for MSG_DONTWAIT as well" },
	{ FAULT_setsockopt, 0, "vhost_vu_link_init", "fails for what is no socket only" },

	/* ---- the end of something ---- */
	{ FAULT_accept4, 0, "close_listener", "who waits there goes with the listener" },
	{ FAULT_epoll_ctl, 0, "vhost_event_source_remove", "fails for what is not in the set only" },
	{ FAULT_ioctl, 0, "unregister_region", "ends with the userfaultfd" },
	{ FAULT_lstat, 0, "vhost_socket_path_bind", "the file stays until somebody else binds" },
	{ FAULT_lstat, 0, "vhost_socket_path_unbind", "the file stays until somebody else binds" },

	/* ---- memory that is gone, in the handler of the signal ---- */
	{ FAULT_mmap, 0, "move_zero_pages_to", "there are more ways (put_zero_pages)" },
	{ FAULT_mprotect, 0, "move_zero_pages_to", "there are more ways (put_zero_pages)" },
	{ FAULT_mremap, 0, "move_zero_pages_to", "there are more ways (put_zero_pages)" },
	{ FAULT_mmap, 0, "put_zero_pages", "what is given back for it would help a real process",
		.excuses = true, .lasting = true },
	{ FAULT_read, 0, "on_event", "the loop finds it readable again" },
	{ FAULT_write, 0, "wake_up", "an eventfd of ours that nobody fills", .excuses = true },

	/* ---- notifications: the data path writes no log ---- */
	{ FAULT_write, 0, "net_notify", "a descriptor that is the guest's to keep in order" },
	{ FAULT_write, 0, "give", "likewise" },
	{ FAULT_write, 0, "vhost_doorbell_call", "likewise" },
};

#endif /* FAULT_QUIET_H */
