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
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhost_log.h"
#include "vu_message.h"

/** Threads that may be stuck in a close() at a time. */
#define STUCK_MAX 64

/** Descriptors that may wait for one of them: many times what a peer can send meanwhile. */
#define WAITING_MAX 4096

static struct {
	pthread_mutex_t lock;
	unsigned int threads;		/**< that close, or are stuck */
	unsigned int nfds;		/**< that wait for a thread */
	int fds[WAITING_MAX];
} discard = { .lock = PTHREAD_MUTEX_INITIALIZER };

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

/** Close what waits, until nothing does. */
static void *
close_waiting(void *arg)
{
	pthread_mutex_lock(&discard.lock);
	while (discard.nfds > 0) {
		int fd = discard.fds[--discard.nfds];

		pthread_mutex_unlock(&discard.lock);
		close(fd);
		pthread_mutex_lock(&discard.lock);
	}
	discard.threads--;
	pthread_mutex_unlock(&discard.lock);
	return arg;
}

/** One more thread, unless there are enough; others may be stuck.  Lock held. */
static void
add_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (discard.threads == STUCK_MAX || pthread_attr_init(&attr) != 0)
		return;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, close_waiting, NULL) == 0)
		discard.threads++;
	pthread_attr_destroy(&attr);
}

/** Have a thread close it; false if too many wait already. */
static bool
close_elsewhere(int fd)
{
	bool accepted;

	pthread_mutex_lock(&discard.lock);
	accepted = discard.nfds < WAITING_MAX;
	if (accepted)
		discard.fds[discard.nfds++] = fd;
	add_thread();
	pthread_mutex_unlock(&discard.lock);
	return accepted;
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
