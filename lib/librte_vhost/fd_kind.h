/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_FD_KIND_H
#define VHOST_FD_KIND_H

/*
 * What a descriptor is that a peer handed over.  Asked of the kernel only, never
 * of a file system: the server of a FUSE file may be the peer and not answer.
 */

enum fd_kind {
	FD_OTHER,	/**< a file, a socket, closed: anything else or not to be told */
	FD_MEMORY,	/**< shared memory or huge pages: a memfd, a file on tmpfs or hugetlbfs */
	FD_EVENTFD,
	FD_PIPE,	/**< without a name; a FIFO's inode belongs to a file system */
};

enum fd_kind vhost_fd_kind(int fd);

#endif /* VHOST_FD_KIND_H */
