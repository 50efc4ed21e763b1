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

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_lcore.h>

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

/**
 * Free whoever is caught in a write to an eventfd that is full.  If it was, all eventfds
 * are asked first from then on (vhost_doorbell_asks_first).
 */
void vhost_doorbell_drain_eventfd(int fd);

/** Whether a frontend has caught somebody, so that nobody writes unasked any more; atomic. */
extern bool vhost_doorbell_asks_first;

/** What a lcore says of its writes to eventfds, for who can free it (notify_watch). */
struct doorbell_writer {
	uint64_t place;		/**< doorbell_place() of the ring, inside of a write; else 0; atomic */
	uint32_t writes;	/**< begun so far; atomic */
} __rte_cache_aligned;

extern struct doorbell_writer vhost_doorbell_writers[RTE_MAX_LCORE];

/** A ring of a device in one number, which is not 0. */
static inline uint64_t
doorbell_place(int vid, uint16_t vring)
{
	return ((uint64_t)vid << 16 | vring) + 1;
}

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

/**
 * Likewise, from inside of the ring's gate: a lcore writes to an eventfd without asking,
 * which would be another system call, as dear as the first.
 */
static inline int
vhost_doorbell_call_inside(int fd, enum doorbell_kind kind, int vid, uint16_t vring)
{
	const uint64_t one = 1;
	unsigned int lcore = rte_lcore_id();
	struct doorbell_writer *writer;
	int ret;

	if (kind != DOORBELL_EVENTFD || lcore >= RTE_MAX_LCORE)
		return vhost_doorbell_call(fd, kind, vring);
	writer = &vhost_doorbell_writers[lcore];
	/* The lcore's own: whoever looks needs no more than that both change. */
	__atomic_store_n(&writer->writes, writer->writes + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&writer->place, doorbell_place(vid, vring), __ATOMIC_RELAXED);
	if (unlikely(__atomic_load_n(&vhost_doorbell_asks_first, __ATOMIC_RELAXED)))
		ret = vhost_doorbell_ring(fd, kind);
	else
		ret = write(fd, &one, sizeof(one)) >= 0 ? 0 : -errno;
	__atomic_store_n(&writer->place, 0, __ATOMIC_RELAXED);
	return ret;
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
