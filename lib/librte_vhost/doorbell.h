/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_DOORBELL_H
#define VHOST_DOORBELL_H

/*
 * Descriptors that a frontend hands over (vhost-user: VHOST_USER_SET_VRING_KICK,
 * _CALL and _SLAVE_REQ_FD).  They may be anything; what passes here can be
 * written and read without ever blocking, without a signal, and does not hide
 * from us that the frontend has gone.
 */

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vduse/kernel.h"

struct vhost_quota;

/** What a doorbell is, as far as ringing it goes. */
enum doorbell_kind {
	DOORBELL_EVENTFD,	/**< its flags are the peer's as well as ours */
	DOORBELL_PIPE,		/**< without a name; opened by us, non-blocking */
	DOORBELL_SOCKET,	/**< a stream socket: how user-mode Linux is notified */
	DOORBELL_VDUSE,		/**< a VDUSE device: see vhost_doorbell_call() */
};

/**
 * Make a received descriptor safe to use for notifications, or refuse it.
 *
 * Eventfds become non-blocking.  Pipes are opened anew for both reading and
 * writing: the new description is non-blocking whatever the peer does to its own,
 * and with a reader always there a write raises no SIGPIPE.  Everything
 * else is refused, but for a socket as in vhost_is_side_socket() where allowed.
 *
 * @param quota  for reaping
 * @param fd  taken over, reaped when it is refused or replaced
 * @param allowed  DOORBELL_SOCKET to allow sockets as well
 * @param[out] kind  how to ring it
 * @return the descriptor to use, the caller's; -EINVAL when it is refused
 */
int vhost_doorbell_adopt(struct vhost_quota *quota, int fd, enum doorbell_kind allowed,
		enum doorbell_kind *kind);

/**
 * Close what was adopted, or a negative number.
 *
 * @param quota  for reaping
 * @param kind  as vhost_doorbell_adopt() told it
 */
void vhost_doorbell_close(struct vhost_quota *quota, int fd, enum doorbell_kind kind);

/**
 * Whether fd is one end of a pair of stream sockets (neither end has a name).  The
 * frontend's end of our own connection is none, as one side of that is bound to a
 * path: held by us, it would keep the connection alive when the frontend is gone.
 */
bool vhost_is_side_socket(int fd);

/** Free whoever is caught in a write to an eventfd: whether it was full. */
bool vhost_doorbell_drain_eventfd(int fd);

/**
 * Whether an eventfd takes another notification.  A peer can make it blocking again
 * and fill it, so that O_NONBLOCK alone is no promise.
 */
static inline bool
doorbell_has_room(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT) != 0;
}

/**
 * Notify.
 *
 * @return 0; -EAGAIN when it is full, so that a notification is pending anyway; another errno
 */
static inline int
vhost_doorbell_ring(int fd, enum doorbell_kind kind)
{
	const uint64_t one = 1;
	ssize_t sent;

	if (kind == DOORBELL_EVENTFD && !doorbell_has_room(fd))
		return -EAGAIN;
	sent = kind == DOORBELL_SOCKET ? send(fd, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL) :
		write(fd, &one, sizeof(one));
	return sent >= 0 ? 0 : -errno;
}

/** Notify of a ring, by whatever doorbell it has; as vhost_doorbell_ring(). */
static inline int
vhost_doorbell_call(int fd, enum doorbell_kind kind, uint16_t vring)
{
	return kind == DOORBELL_VDUSE ? vhost_vduse_inject(fd, vring) :
		vhost_doorbell_ring(fd, kind);
}

/** Take pending notifications out of a pipe that was adopted; no more than one fills. */
static inline void
vhost_doorbell_drain_pipe(int fd)
{
	uint64_t counts[512];

	for (int i = 0; i < 16; i++)
		if (read(fd, counts, sizeof(counts)) <= 0)
			break;
}

#endif /* VHOST_DOORBELL_H */
