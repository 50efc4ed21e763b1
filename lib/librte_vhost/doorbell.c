/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

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

/** Whether an address is that of a socket bound to path. */
static bool
is_bound_to(const struct sockaddr_un *addr, const char *path)
{
	return strncmp(addr->sun_path, path, sizeof(addr->sun_path)) == 0;
}

bool
vhost_is_side_socket(int fd, const char *path)
{
	struct sockaddr_un own = { 0 }, other = { 0 };
	socklen_t len = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
		return false;
	len = sizeof(own);
	if (getsockname(fd, (struct sockaddr *)&own, &len) < 0)
		return false;
	len = sizeof(other);
	if (getpeername(fd, (struct sockaddr *)&other, &len) < 0)
		return false;
	/* one end of our connection is bound to the path, whoever listened */
	return own.sun_family == AF_UNIX && !is_bound_to(&own, path) && !is_bound_to(&other, path);
}

int
vhost_doorbell_adopt(int fd, const char *path, enum doorbell_kind *kind)
{
	struct stat st;

	*kind = DOORBELL_FILE;
	if (is_eventfd(fd))
		return adopt_eventfd(fd);
	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
		return adopt_pipe(fd);
	*kind = DOORBELL_SOCKET;
	if (vhost_is_side_socket(fd, path))
		return fd;
	close(fd);
	return -EINVAL;
}
