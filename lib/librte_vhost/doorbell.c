/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/un.h>

#include "doorbell.h"
#include "fd_kind.h"
#include "reaper.h"

struct doorbell_writer vhost_doorbell_writers[RTE_MAX_LCORE];
bool vhost_doorbell_asks_first;

/** Of an eventfd; -EINVAL, and still the caller's, if it is no use (O_PATH). */
static int
adopt_eventfd(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -EINVAL;
	return fd;
}

/** Another descriptor of the same pipe, or -EINVAL. */
static int
reopen_pipe(int fd)
{
	char path[32];
	int own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
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

/** The descriptor to use: fd, another one, or -EINVAL. */
static int
adopt(int fd, enum doorbell_kind allowed, enum doorbell_kind *kind)
{
	switch (vhost_fd_kind(fd)) {
	case FD_EVENTFD:
		*kind = DOORBELL_EVENTFD;
		return adopt_eventfd(fd);
	case FD_PIPE:
		*kind = DOORBELL_PIPE;
		return reopen_pipe(fd);
	default:
		*kind = DOORBELL_SOCKET;
		return allowed == DOORBELL_SOCKET && vhost_is_side_socket(fd) ? fd : -EINVAL;
	}
}

int
vhost_doorbell_adopt(struct vhost_quota *quota, int fd, enum doorbell_kind allowed,
		enum doorbell_kind *kind)
{
	int adopted = adopt(fd, allowed, kind);

	if (adopted != fd)
		vhost_reap(quota, fd);
	return adopted;
}

void
vhost_doorbell_close(struct vhost_quota *quota, int fd, enum doorbell_kind kind)
{
	/* harmless; to look at it once more costs more than to close it */
	if ((kind == DOORBELL_EVENTFD || kind == DOORBELL_VDUSE) && fd >= 0)
		close(fd);
	else
		vhost_reap(quota, fd);
}

void
vhost_doorbell_drain_eventfd(int fd)
{
	uint64_t count;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || vhost_fd_kind(fd) != FD_EVENTFD || doorbell_has_room(fd) ||
			fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
			read(fd, &count, sizeof(count)) <= 0)
		return;
	__atomic_store_n(&vhost_doorbell_asks_first, true, __ATOMIC_RELAXED);
	/* what was pending for the guest is so again */
	vhost_doorbell_ring(fd, DOORBELL_EVENTFD);
}
