/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_VDUSE_KERNEL_H
#define VHOST_VDUSE_KERNEL_H

/*
 * VDUSE, as far as the kernel is asked: devices of the vdpa bus that a process serves
 * (linux/vduse.h).  All calls but read() and write() go through one table, so that
 * tests can be the kernel.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "vhost_abi.h"

#define VDUSE_FOLDER "/dev/vduse/"
#define VDUSE_CONTROL VDUSE_FOLDER "control"

/** Whether a registered path is a VDUSE device rather than a socket. */
static inline bool
vhost_vduse_is_path(const char *path)
{
	return VHOST_ABI_HAS_VDUSE && strncmp(path, VDUSE_FOLDER, strlen(VDUSE_FOLDER)) == 0;
}

/** Who answers. */
struct vduse_kernel {
	int (*open)(const char *path);	/**< for reading and writing: descriptor or -errno */
	int (*ioctl)(int fd, unsigned long request, void *arg);	/**< 0 or more, or -errno */
	bool (*is_domain)(int fd);	/**< see vhost_vduse_is_domain() */
};

/** Have others answer, or the kernel again (NULL).  While there is no VDUSE device. */
void vhost_vduse_kernel_replace(const struct vduse_kernel *kernel);

/** Descriptor, non-blocking, or a negative errno. */
int vhost_vduse_open(const char *path);

/** What the call returned, or a negative errno. */
int vhost_vduse_ioctl(int fd, unsigned long request, void *arg);

/**
 * Whether a descriptor is of memory that the kernel has for a device by itself: bounce
 * buffers and rings.  No file has it: a page appears when the kernel's driver maps
 * something there, and is another one when it does so again.
 */
bool vhost_vduse_is_domain(int fd);

/** Interrupt the driver for a ring: 0 or -errno.  Any thread. */
int vhost_vduse_inject(int fd, uint32_t index);

#endif /* VHOST_VDUSE_KERNEL_H */
