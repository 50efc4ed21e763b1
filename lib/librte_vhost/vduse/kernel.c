/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vduse.h>

#include <rte_common.h>

#include "vduse/kernel.h"

static int
real_open(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 ? fd : -errno;
}

static int
real_ioctl(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret >= 0 ? ret : -errno;
}

/** The link's target is the kernel's; that of a file begins with a slash. */
static bool
real_is_domain(int fd)
{
	static const char name[] = "anon_inode:[vduse-domain]";
	char path[32], target[sizeof(name) + 1];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target)) == (ssize_t)strlen(name) &&
		memcmp(target, name, strlen(name)) == 0;
}

static const struct vduse_kernel real_kernel = {
	.open = real_open,
	.ioctl = real_ioctl,
	.is_domain = real_is_domain,
};

static const struct vduse_kernel *kernel_in_use = &real_kernel;

void
vhost_vduse_kernel_replace(const struct vduse_kernel *kernel)
{
	kernel_in_use = kernel != NULL ? kernel : &real_kernel;
}

int
vhost_vduse_open(const char *path)
{
	return kernel_in_use->open(path);
}

int
vhost_vduse_ioctl(int fd, unsigned long request, void *arg)
{
	return kernel_in_use->ioctl(fd, request, arg);
}

bool
vhost_vduse_is_domain(int fd)
{
	return kernel_in_use->is_domain(fd);
}

int
vhost_vduse_inject(int fd, uint32_t index)
{
	int ret = vhost_vduse_ioctl(fd, VDUSE_VQ_INJECT_IRQ, &index);

	return RTE_MIN(ret, 0);
}
