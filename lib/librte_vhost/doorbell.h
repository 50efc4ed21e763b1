/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_DOORBELL_H
#define VHOST_DOORBELL_H

/*
 * Descriptors that a frontend hands over for notifications (vhost-user:
 * VHOST_USER_SET_VRING_KICK and _CALL).  They may be anything; what passes here
 * can be written and read without ever blocking and without a signal.
 */

#include <stdint.h>
#include <unistd.h>

/**
 * Make a received descriptor safe to use, or refuse it.
 *
 * Eventfds become non-blocking.  Pipes (user-mode Linux notifies over one) are
 * opened anew for both reading and writing: the new description is non-blocking
 * whatever the peer does to its own, and with a reader always there a write
 * raises no SIGPIPE.  Everything else is refused.
 *
 * @param fd  taken over, closed when it is refused or replaced
 * @return the descriptor to use, the caller's; -EINVAL when it is refused
 */
int vhost_doorbell_adopt(int fd);

/** Notify.  A full counter or pipe means that a notification is pending already. */
static inline void
vhost_doorbell_ring(int fd)
{
	const uint64_t one = 1;
	ssize_t written = write(fd, &one, sizeof(one));

	(void)written;
}

/** Take pending notifications back. */
static inline void
vhost_doorbell_clear(int fd)
{
	uint64_t count[64];
	ssize_t got = read(fd, count, sizeof(count));

	(void)got;
}

#endif /* VHOST_DOORBELL_H */
