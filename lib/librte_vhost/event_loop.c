/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * The loop takes one event per wait.  Control messages are rare, so the extra
 * system call costs nothing, and there is no batch in which a handler could
 * leave behind an event of a source that it has just removed and freed.  The
 * kernel puts a level-triggered descriptor that it has reported at the end of
 * its queue, so a source that is always ready does not starve the others.
 *
 * What remains is another thread that removes a source between the kernel's
 * answer and our taking the lock.  Each removal is counted; an answer that was
 * asked for before a removal is thrown away, unread.  If it was another
 * source's, the kernel gives it again.
 *
 * Timers share the descriptor of one timerfd, set to the first that is due: one
 * more source, to which the same fairness applies.  One timer runs per event.
 *
 * A handler that runs is named in loop.running; who removes its source from
 * another thread waits until that changes.
 *
 * Nothing here lives in EAL memory: rte_eal_cleanup() may unmap that while the
 * loop still waits, which it does until the process ends.
 */

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_lcore.h>

#include "event_loop.h"
#include "vhost_log.h"

#define MS_PER_S	1000
#define NS_PER_MS	1000000

static struct {
	pthread_mutex_t lock;
	pthread_cond_t idle;		/* a handler has returned */
	bool started;
	int epoll_fd;			/* constant once started */
	int timer_fd;			/* likewise */
	uint64_t removals;		/* sources removed so far */
	const void *running;		/* source or timer whose handler runs, or NULL */
	LIST_HEAD(, event_timer) timers;	/* armed, first due first */
} loop = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.idle = PTHREAD_COND_INITIALIZER,
	.epoll_fd = -1,
	.timer_fd = -1,
	.timers = LIST_HEAD_INITIALIZER(loop.timers),
};

static __thread bool on_loop_thread;

bool
vhost_event_loop_is_current(void)
{
	return on_loop_thread;
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * MS_PER_S + ts.tv_nsec / NS_PER_MS;
}

/** Let the timerfd expire when the first timer is due.  Lock held. */
static void
set_timer_fd(void)
{
	const struct event_timer *first = LIST_FIRST(&loop.timers);
	struct itimerspec at = { 0 };

	if (first != NULL) {
		at.it_value.tv_sec = first->due_ms / MS_PER_S;
		at.it_value.tv_nsec = (first->due_ms % MS_PER_S) * NS_PER_MS;
	}
	/* Also clears an expiry that was not acted upon. */
	timerfd_settime(loop.timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/** A handler has returned.  Lock held; nothing is known of its owner any more. */
static void
handler_returned(void)
{
	loop.running = NULL;
	pthread_cond_broadcast(&loop.idle);
}

/** Take the first timer out of the list if it is due.  Lock held. */
static struct event_timer *
take_due_timer(void)
{
	struct event_timer *timer = LIST_FIRST(&loop.timers);

	if (timer == NULL || timer->due_ms > now_ms())
		return NULL;
	LIST_REMOVE(timer, link);
	timer->due_ms = 0;
	return timer;
}

/** Run a timer that is due.  Lock held, released meanwhile. */
static void
run_timer(void)
{
	struct event_timer *timer = take_due_timer();
	void (*handle)(struct event_timer *timer);

	if (timer != NULL) {
		handle = timer->handle;
		loop.running = timer;
		pthread_mutex_unlock(&loop.lock);
		handle(timer);
		pthread_mutex_lock(&loop.lock);
		handler_returned();
	}
	set_timer_fd();
}

/** Run a source's handler.  Lock held, released meanwhile. */
static void
run_source(struct event_source *source, uint32_t events)
{
	void (*handle)(struct event_source *source, uint32_t events) = source->handle;

	loop.running = source;
	pthread_mutex_unlock(&loop.lock);
	handle(source, events);
	pthread_mutex_lock(&loop.lock);
	handler_returned();
}

/** Wait for an event and serve it.  Lock held, released meanwhile. */
static void
serve_one(void)
{
	uint64_t removals = loop.removals;
	struct epoll_event event;
	int n;

	pthread_mutex_unlock(&loop.lock);
	n = epoll_wait(loop.epoll_fd, &event, 1, -1);
	pthread_mutex_lock(&loop.lock);

	if (n != 1)
		return;
	if (event.data.ptr == NULL)
		run_timer();
	else if (removals == loop.removals)
		run_source(event.data.ptr, event.events);
}

static void *
loop_main(void *arg)
{
	on_loop_thread = true;
	pthread_mutex_lock(&loop.lock);
	for (;;)
		serve_one();
	return arg;
}

/** Create epoll set and timerfd; the timerfd is the source without a pointer. */
static int
open_descriptors(void)
{
	struct epoll_event event = { .events = EPOLLIN };

	loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop.epoll_fd < 0 || loop.timer_fd < 0)
		return -errno;
	if (epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, loop.timer_fd, &event) != 0)
		return -errno;
	return 0;
}

static void
close_descriptors(void)
{
	if (loop.epoll_fd >= 0)
		close(loop.epoll_fd);
	if (loop.timer_fd >= 0)
		close(loop.timer_fd);
	loop.epoll_fd = -1;
	loop.timer_fd = -1;
}

/** Lock held: the new thread waits for it before it does anything. */
static int
start_locked(void)
{
	pthread_t thread;
	int ret;

	if (loop.started)
		return 0;

	ret = open_descriptors();
	if (ret == 0)
		ret = rte_ctrl_thread_create(&thread, "vhost-events", NULL,
				loop_main, NULL);
	if (ret != 0) {
		VHOST_LOG_CONFIG(ERR, "(events) failed to start the event thread: %s\n",
				strerror(-ret));
		close_descriptors();
		return ret;
	}
	pthread_detach(thread);
	loop.started = true;
	return 0;
}

int
vhost_event_loop_start(void)
{
	int ret;

	pthread_mutex_lock(&loop.lock);
	ret = start_locked();
	pthread_mutex_unlock(&loop.lock);
	return ret;
}

int
vhost_event_source_add(struct event_source *source, int fd, uint32_t events,
		void (*handle)(struct event_source *source, uint32_t events))
{
	struct epoll_event event = { .events = events, .data.ptr = source };
	int ret;

	pthread_mutex_lock(&loop.lock);
	ret = start_locked();
	if (ret == 0 && epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		ret = -errno;
	if (ret == 0) {
		source->fd = fd;
		source->handle = handle;
	}
	pthread_mutex_unlock(&loop.lock);
	return ret;
}

/** Lock held. */
static void
source_forget(struct event_source *source)
{
	if (source->handle == NULL)
		return;
	epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	source->fd = -1;
	source->handle = NULL;
	loop.removals++;
}

void
vhost_event_source_remove(struct event_source *source)
{
	pthread_mutex_lock(&loop.lock);
	source_forget(source);
	while (loop.running == source && !on_loop_thread) {
		pthread_cond_wait(&loop.idle, &loop.lock);
		source_forget(source);	/* its handler may have added it again */
	}
	pthread_mutex_unlock(&loop.lock);
}

/** Lock held. */
static void
timer_forget(struct event_timer *timer)
{
	if (timer->due_ms == 0)
		return;
	LIST_REMOVE(timer, link);
	timer->due_ms = 0;
}

/** Put an armed timer in its place in the list.  Lock held. */
static void
timer_insert(struct event_timer *timer)
{
	struct event_timer *after = NULL, *next;

	LIST_FOREACH(next, &loop.timers, link) {
		if (next->due_ms > timer->due_ms)
			break;
		after = next;
	}
	if (after == NULL)
		LIST_INSERT_HEAD(&loop.timers, timer, link);
	else
		LIST_INSERT_AFTER(after, timer, link);
}

int
vhost_event_timer_arm(struct event_timer *timer, uint64_t delay_ms,
		void (*handle)(struct event_timer *timer))
{
	int ret;

	pthread_mutex_lock(&loop.lock);
	ret = start_locked();
	if (ret == 0) {
		timer_forget(timer);
		timer->handle = handle;
		timer->due_ms = now_ms() + delay_ms;
		timer_insert(timer);
		set_timer_fd();
	}
	pthread_mutex_unlock(&loop.lock);
	return ret;
}

void
vhost_event_timer_cancel(struct event_timer *timer)
{
	pthread_mutex_lock(&loop.lock);
	timer_forget(timer);
	while (loop.running == timer && !on_loop_thread) {
		pthread_cond_wait(&loop.idle, &loop.lock);
		timer_forget(timer);	/* its handler may have armed it again */
	}
	pthread_mutex_unlock(&loop.lock);
}
