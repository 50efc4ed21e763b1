/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Closing a peer's descriptor without waiting for anybody.
 *
 * A socket may linger, and a file on a FUSE mount asks its server, which is
 * perhaps the peer and never answers.  Descriptors that notifications or guest
 * memory come with are closed at once; anything else a peer had no reason to send
 * is closed by a thread of its own.
 */

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhost_log.h"
#include "vu_message.h"

/** Threads that may be stuck in a close() at a time. */
#define STUCK_MAX 64

static unsigned int closing;	/* atomic: such threads */

/** Whether to close it may take another process's answer. */
static bool
may_wait(int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0)
		return false;
	/* sockets and pipes do not, nor do eventfds and their like, which have no type */
	return S_ISREG(stx.stx_mode) || S_ISDIR(stx.stx_mode) || S_ISCHR(stx.stx_mode) ||
		S_ISBLK(stx.stx_mode) || S_ISLNK(stx.stx_mode);
}

static void *
close_here(void *arg)
{
	close((int)(intptr_t)arg);
	__atomic_fetch_sub(&closing, 1, __ATOMIC_RELAXED);
	return NULL;
}

/** Have a thread close it; false if there can be no more of them. */
static bool
close_elsewhere(int fd)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool started = false;

	if (__atomic_fetch_add(&closing, 1, __ATOMIC_RELAXED) < STUCK_MAX &&
			pthread_attr_init(&attr) == 0) {
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		started = pthread_create(&thread, &attr, close_here, (void *)(intptr_t)fd) == 0;
		pthread_attr_destroy(&attr);
	}
	if (!started)
		__atomic_fetch_sub(&closing, 1, __ATOMIC_RELAXED);
	return started;
}

void
vhost_vu_discard_fd(int fd)
{
	static const struct linger no_linger;

	if (fd < 0)
		return;
	if (may_wait(fd)) {
		/* better one descriptor less than a control thread that waits */
		if (!close_elsewhere(fd))
			VHOST_LOG_CONFIG(ERR, "descriptor %d of a peer stays open\n", fd);
		return;
	}
	/* fails on what is no socket, and need not succeed there */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &no_linger, sizeof(no_linger));
	close(fd);
}
