/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_FAKE_FUSE_H
#define VHOST_FAKE_FUSE_H

/*
 * A FUSE file system of somebody who means no good: a process with a mount namespace
 * of its own, and a user namespace where that is allowed, that serves one file of
 * 1 MiB, and not all requests for it.
 */

#include <stdbool.h>
#include <sys/types.h>

struct fake_fuse {
	pid_t server;
	int fd;			/**< the file, open for reading and writing; the caller's */
};

/**
 * Mount and open.
 *
 * @param mute  statfs() is not answered
 * @return 0, or -1 where there can be none
 */
int fake_fuse_start(struct fake_fuse *fuse, bool mute);

/** The server dies, and the kernel answers in its stead: all who wait come back. */
void fake_fuse_stop(struct fake_fuse *fuse);

#endif /* VHOST_FAKE_FUSE_H */
