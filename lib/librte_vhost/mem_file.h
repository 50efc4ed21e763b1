/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_FILE_H
#define VHOST_MEM_FILE_H

/*
 * Files that a frontend hands over, to be mapped: guest memory and what comes with
 * it.  None of them is trusted; see mem_guard.h for what happens when one is
 * truncated later.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vhost_quota;

/** Whose memory it is: who is named in the log, and who pays. */
struct mem_owner {
	const char *name;		/**< the socket path */
	struct vhost_quota *quota;	/**< the registration's; NULL: unlimited */
	int sock;			/**< the connection, to find the peer's mounts; -1: none */
	bool vduse;			/**< it may be memory of the kernel's, see vduse/kernel.h */
};

/** What is known of a descriptor. */
struct mem_file {
	uint64_t size;
	size_t page_size;	/**< 4 KiB, or a huge page; a mapping consists of such units */
	bool hugetlb;		/**< on hugetlbfs */
};

/**
 * Look at a descriptor; nobody waits for a server of it longer than mem_fs.h says.
 * Refused, with a line in the log, is what is not open for reading and writing, and
 * what is neither memory nor a file of a file system that the kernel serves by
 * itself: see mem_fs.h and mem_dax.h.
 *
 * @param what  for log lines: what the file is for
 * @return 0 or a negative errno
 */
int vhost_mem_file_check(const struct mem_owner *owner, const char *what, int fd,
		struct mem_file *file);

/** Whether two descriptors are of the same file. */
bool vhost_mem_file_is_same(int fd, int other_fd);

/**
 * mmap() a file shared, from its start, so that no page is allocated even in a
 * process that called mlockall(MCL_FUTURE).
 *
 * @param flags  MAP_SHARED is implied
 * @return the address, or NULL with errno set
 */
void *vhost_mem_file_map(int fd, size_t len, int prot, int flags);

/** A file as mapped from its start, guarded and counted; control thread only. */
struct mem_mapping;

/**
 * Map a file that was checked, for size bytes in units of its page_size.  They are
 * QUOTA_MAPPED_BYTES of the owner's until the mapping goes.  No memory is reserved:
 * a page of a hole costs nothing until it is touched, and if there is none then, it
 * is as if the file had been truncated.
 *
 * @param[out] out  one reference, the caller's
 * @return 0 or a negative errno
 */
int vhost_mem_mapping_create(const struct mem_owner *owner, int fd, size_t size,
		size_t page_size, struct mem_mapping **out);

/** The same from an offset on, for what is not looked at by mem_probe.c. */
int vhost_mem_mapping_create_at(const struct mem_owner *owner, int fd, uint64_t offset,
		size_t size, size_t page_size, struct mem_mapping **out);

uint8_t *vhost_mem_mapping_addr(const struct mem_mapping *mapping);

/** The descriptor is the mapping's from now on, given to the reaper with it. */
void vhost_mem_mapping_keep_fd(struct mem_mapping *mapping, int fd);

/**
 * Have it in the IOMMU of this process's VFIO devices, for as long as it stays; where
 * that cannot be, only a device that needs it will notice.
 */
void vhost_mem_mapping_reach(struct mem_mapping *mapping);

void vhost_mem_mapping_get(struct mem_mapping *mapping);

/** Drop a reference; the last one unmaps and closes. */
void vhost_mem_mapping_put(struct mem_mapping *mapping);

/**
 * Take the memory away from all who use it: they find zero pages there, and the file
 * keeps what it has.  Any thread, while the mapping stays.
 *
 * @return false when there is no memory for that
 */
bool vhost_mem_mapping_detach(struct mem_mapping *mapping);

/** Whether zero pages had to replace it: the device has to go. */
bool vhost_mem_mapping_is_broken(const struct mem_mapping *mapping);

/**
 * Guard what is mapped of it at another place as well: when that breaks the mapping is
 * broken.  A handle for vhost_mem_guard_remove(), before the mapping goes, or a negative
 * errno.
 */
int vhost_mem_mapping_guard(struct mem_mapping *mapping, void *start, size_t len,
		size_t page_size);

#endif /* VHOST_MEM_FILE_H */
