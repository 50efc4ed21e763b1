/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "doorbell.h"

static bool
is_eventfd(int fd)
{
	static const char target[] = "anon_inode:[eventfd]";
	char path[32], link[sizeof(target)];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, link, sizeof(link));
	return len == sizeof(target) - 1 && memcmp(link, target, len) == 0;
}

static int
adopt_eventfd(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static int
adopt_pipe(int fd)
{
	char path[32];
	int own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	close(fd);
	return own >= 0 ? own : -EINVAL;
}

int
vhost_doorbell_adopt(int fd)
{
	struct stat st;

	if (is_eventfd(fd))
		return adopt_eventfd(fd);
	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
		return adopt_pipe(fd);
	close(fd);
	return -EINVAL;
}
