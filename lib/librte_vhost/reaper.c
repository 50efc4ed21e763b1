/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * The last close() of a descriptor may wait, and the peer decides for how long: a
 * TCP socket lingers, also when it is still unread in the queue of a unix socket
 * that is closed; a file asks the server of its file system; a pipe is locked by
 * who writes memory into it that is not there.  So everything but an eventfd and a
 * memory file is closed by threads that have nothing else to do, "vhost-reaper".
 *
 * Each registration has an account here as long as something of it waits to be
 * closed or is being closed.  At most STUCK_MAX threads work for one account at a
 * time, and accounts are served in turn.  A peer can have that many threads stuck
 * and its further descriptors queue up; nobody else's wait for them.
 *
 * A thread that is about to close makes sure that another one is free to go on,
 * if there is anything that could be done meanwhile; so it does not matter whether
 * it returns.  A thread that found nothing to do for a while ends.
 *
 * Closing is what helps when there is no memory, so it does not need any: some
 * descriptors have a place here anyway, in an account of no registration.
 *
 * The quota of a registration counts what is here.  It is not limited here, as
 * what has arrived must be kept: who receives asks the quota beforehand.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "dpdk_compat.h"
#include "event_loop.h"
#include "fd_kind.h"
#include "quota.h"
#include "reaper.h"
#include "vhost_abi.h"
#include "vhost_log.h"

/** Threads that one registration may keep from doing anything else. */
#define STUCK_MAX 2

/** A thread that has had nothing to do for so long ends. */
#define IDLE_SECONDS 1

/** No thread could be started: try again after this time. */
#define RETRY_MS 100

#define STACK_BYTES (256 * 1024)

/** Descriptors that can wait without memory. */
#define SPARE_DOOMED 64

/** A descriptor that waits. */
struct doomed {
	STAILQ_ENTRY(doomed) link;
	int fd;
};

/** What is to be closed for one registration. */
struct account {
	TAILQ_ENTRY(account) link;
	struct vhost_quota *quota;	/**< a reference; NULL: of no registration */
	STAILQ_HEAD(, doomed) waiting;
	unsigned int closing;		/**< threads in close() */
};

static struct {
	pthread_mutex_t lock;		/**< before the loop's and the quotas' */
	pthread_cond_t work;		/**< an account has become ready */
	TAILQ_HEAD(accounts, account) accounts;	/**< who was served last is last */
	unsigned int free;		/**< threads that are about to look for work */
	bool complained;		/**< that no thread starts, and none has come free since */
	struct event_timer retry;
	struct account nobodys;		/**< in place of one for which there was no memory */
	struct doomed spare[SPARE_DOOMED];	/**< likewise; fd -1: not in use */
} reaper = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
	.accounts = TAILQ_HEAD_INITIALIZER(reaper.accounts),
	.spare = { [0 ... SPARE_DOOMED - 1] = { .fd = -1 } },
};

static dpdk_thread_ret reaper_main(void *arg);

/*
 * Accounts; all with the lock held
 */

static struct account *
account_find(const struct vhost_quota *quota)
{
	struct account *account;

	TAILQ_FOREACH(account, &reaper.accounts, link) {
		if (account->quota == quota)
			return account;
	}
	return NULL;
}

/** The account of a quota; without memory one of no registration. */
static struct account * /* NOLINTNEXTLINE(misc-no-recursion): once, for the one of none */
account_get(struct vhost_quota *quota)
{
	struct account *account = account_find(quota);

	if (account != NULL)
		return account;
	account = calloc(1, sizeof(*account));
	if (account == NULL && quota != NULL)
		return account_get(NULL);
	if (account == NULL)
		account = &reaper.nobodys;
	account->quota = vhost_quota_get(quota);
	STAILQ_INIT(&account->waiting);
	TAILQ_INSERT_TAIL(&reaper.accounts, account, link);
	return account;
}

static void
account_free_if_idle(struct account *account)
{
	if (account->closing > 0 || !STAILQ_EMPTY(&account->waiting))
		return;
	TAILQ_REMOVE(&reaper.accounts, account, link);
	vhost_quota_put(account->quota);
	if (account != &reaper.nobodys)
		free(account);
}

static bool
account_is_ready(const struct account *account)
{
	return !STAILQ_EMPTY(&account->waiting) && account->closing < STUCK_MAX;
}

/** The account whose turn it is, or NULL. */
static struct account *
account_next(void)
{
	struct account *account;

	TAILQ_FOREACH(account, &reaper.accounts, link) {
		if (account_is_ready(account))
			return account;
	}
	return NULL;
}

/*
 * What waits; with the lock held
 */

static bool
is_spare(const struct doomed *doomed)
{
	return doomed >= reaper.spare && doomed < reaper.spare + SPARE_DOOMED;
}

/** Room for a descriptor; NULL if there is none, not even of ours. */
static struct doomed *
doomed_get(void)
{
	struct doomed *doomed = malloc(sizeof(*doomed));
	unsigned int i;

	for (i = 0; doomed == NULL && i < SPARE_DOOMED; i++)
		if (reaper.spare[i].fd < 0)
			doomed = &reaper.spare[i];
	return doomed;
}

static void
doomed_put(struct doomed *doomed)
{
	if (is_spare(doomed))
		doomed->fd = -1;
	else
		free(doomed);
}

/*
 * Threads
 */

/** A small stack is enough, where DPDK lets one say so; signals are the application's, but for faults. */
static int
create_thread(void)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int ret = pthread_attr_init(&attr);

	if (ret != 0)
		return -ret;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGFPE);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = dpdk_start_control_thread(VHOST_ABI_REAPER_THREAD, &attr, reaper_main);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return ret;
}

static void on_retry(struct event_timer *timer);

/** If something can be closed, see to it that a thread does.  Lock held. */
static void
provide_thread(void)
{
	int ret;

	if (account_next() == NULL)
		return;
	if (reaper.free > 0) {
		pthread_cond_signal(&reaper.work);
		return;
	}
	ret = create_thread();
	if (ret == 0) {
		reaper.free++;
	} else {
		if (!reaper.complained)
			VHOST_LOG_CONFIG(ERR, "(reaper) failed to start a thread: %s; trying again\n",
				strerror(-ret));
		vhost_event_timer_arm(&reaper.retry, RETRY_MS, on_retry);
	}
	reaper.complained = ret != 0;
}

/** What could not be closed for want of a thread may have been by one that came free. */
static void
on_retry(struct event_timer *timer __rte_unused)
{
	pthread_mutex_lock(&reaper.lock);
	if (account_next() == NULL || reaper.free > 0)
		reaper.complained = false;
	provide_thread();
	pthread_mutex_unlock(&reaper.lock);
}

/** Close the first descriptor of an account that is ready.  Lock held, released meanwhile. */
static void
serve(struct account *account)
{
	struct doomed *doomed = STAILQ_FIRST(&account->waiting);

	STAILQ_REMOVE_HEAD(&account->waiting, link);
	TAILQ_REMOVE(&reaper.accounts, account, link);
	TAILQ_INSERT_TAIL(&reaper.accounts, account, link);
	account->closing++;
	reaper.free--;
	provide_thread();
	pthread_mutex_unlock(&reaper.lock);

	close(doomed->fd);
	vhost_quota_give(account->quota, QUOTA_CLOSING_FDS, 1);

	pthread_mutex_lock(&reaper.lock);
	doomed_put(doomed);
	reaper.free++;
	account->closing--;
	account_free_if_idle(account);
}

/** Wait for work: false if none came in time.  Lock held, released meanwhile. */
static bool
wait_for_work(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += IDLE_SECONDS;
	return pthread_cond_timedwait(&reaper.work, &reaper.lock, &until) != ETIMEDOUT;
}

static dpdk_thread_ret
reaper_main(void *arg __rte_unused)
{
	struct account *account;

	pthread_mutex_lock(&reaper.lock);
	do {
		while ((account = account_next()) != NULL)
			serve(account);
	} while (wait_for_work() || account_next() != NULL);
	reaper.free--;
	pthread_mutex_unlock(&reaper.lock);
	return 0;
}

/*
 * Descriptors
 */

static bool
is_harmless(int fd)
{
	enum fd_kind kind = vhost_fd_kind(fd);

	return kind == FD_EVENTFD || kind == FD_MEMORY;
}

/** Lock held.  Whether a thread will close it. */
static bool
enqueue(struct vhost_quota *quota, int fd)
{
	struct doomed *doomed = doomed_get();
	struct account *account;

	if (doomed == NULL)
		return false;
	account = account_get(quota);
	doomed->fd = fd;
	STAILQ_INSERT_TAIL(&account->waiting, doomed, link);
	vhost_quota_overdraw(account->quota, QUOTA_CLOSING_FDS, 1);
	return true;
}

void
vhost_reap(struct vhost_quota *quota, int fd)
{
	bool taken;

	if (fd < 0)
		return;
	if (is_harmless(fd)) {
		close(fd);
		return;
	}
	pthread_mutex_lock(&reaper.lock);
	taken = enqueue(quota, fd);
	if (taken)
		provide_thread();
	pthread_mutex_unlock(&reaper.lock);
	/* better one descriptor less than a control thread that waits */
	if (!taken)
		VHOST_LOG_CONFIG(ERR, "(reaper) no memory: descriptor %d of a peer stays open\n", fd);
}
