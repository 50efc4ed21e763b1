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
#include "vu_message.h"

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

/** Without a question to the server of a file. */
static bool
is_pipe(int fd)
{
	struct statx stx;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) == 0 &&
		S_ISFIFO(stx.stx_mode);
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

typedef int (*socket_name_t)(int fd, struct sockaddr *addr, socklen_t *len);

static bool
is_unnamed(int fd, socket_name_t get_name)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);

	return get_name(fd, (struct sockaddr *)&addr, &len) == 0 &&
		addr.sun_family == AF_UNIX && len == sizeof(addr.sun_family);
}

bool
vhost_is_side_socket(int fd)
{
	socklen_t len = sizeof(int);
	int type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
		is_unnamed(fd, getsockname) && is_unnamed(fd, getpeername);
}

int
vhost_doorbell_adopt(int fd, enum doorbell_kind allowed, enum doorbell_kind *kind)
{
	*kind = DOORBELL_EVENTFD;
	if (is_eventfd(fd))
		return adopt_eventfd(fd);
	*kind = DOORBELL_PIPE;
	if (is_pipe(fd))
		return adopt_pipe(fd);
	*kind = DOORBELL_SOCKET;
	if (allowed == DOORBELL_SOCKET && vhost_is_side_socket(fd))
		return fd;
	vhost_vu_discard_fd(fd);
	return -EINVAL;
}

void
vhost_doorbell_unstick(int fd)
{
	uint64_t count;
	ssize_t got;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || !is_eventfd(fd) || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return;
	got = read(fd, &count, sizeof(count));
	/* what was pending for the guest is so again */
	if (got > 0)
		vhost_doorbell_ring(fd, DOORBELL_EVENTFD);
}
