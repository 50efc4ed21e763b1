/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * Each source has a slot and, for the time that it is watched, a generation of that
 * slot.  Both travel in the kernel's event data.  Between the kernel's answer and our
 * serving it the source may have been removed, by another thread or by an earlier
 * handler of the same answer, freed, and its slot or its memory used by another one.
 * Then the generation is another one and the event is dropped: it was meant for
 * nobody who is still there.  Nothing else is ever dropped, so edge-triggered sources
 * lose nothing; and one that was removed and added again is told by the kernel if it
 * is ready at that moment.
 *
 * The kernel puts a level-triggered descriptor that it has reported at the end of
 * its queue, so a source that is always ready does not starve the others.
 *
 * Timers that are due run between two looks for events, one at a time, so a timer
 * comes after what was ready before it.  A timerfd, set to the first that is due,
 * ends the wait; it is edge-triggered, so that an expiry need not be cleared, and the
 * loop's thread sets it only when it is about to wait.
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
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>

#include "dpdk_compat.h"
#include "event_loop.h"
#include "vhost_abi.h"
#include "vhost_log.h"

#define MS_PER_S	1000
#define NS_PER_MS	1000000

/** Events that are taken from the kernel at a time. */
#define EVENTS_AT_A_TIME 8

#define SLOTS_AT_FIRST	64
#define NO_SLOT		UINT32_MAX

/** Event data of the timerfd, which no source has. */
#define TIMER_DATA	UINT64_MAX

struct slot {
	struct event_source *source;	/**< or NULL */
	uint32_t generation;		/**< of the present source, or of the next */
	uint32_t next_free;		/**< while there is no source; or NO_SLOT */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t idle;		/* a handler has returned */
	bool started;
	int epoll_fd;			/* constant once started */
	int timer_fd;			/* likewise */
	struct slot *slots;
	uint32_t nslots;
	uint32_t first_free;		/* slot without a source, or NO_SLOT */
	const void *running;		/* source or timer whose handler runs, or NULL */
	TAILQ_HEAD(timers, event_timer) timers;	/* armed, first due first */
	uint64_t timer_fd_ms;		/* when timer_fd expires; 0: it does not */
} loop = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.idle = PTHREAD_COND_INITIALIZER,
	.epoll_fd = -1,
	.timer_fd = -1,
	.first_free = NO_SLOT,
	.timers = TAILQ_HEAD_INITIALIZER(loop.timers),
};

/** Events that the kernel told of at a time; the loop's thread only. */
static unsigned int batch;

/** Whether this is the loop's thread. */
static __thread bool on_loop;

bool
vhost_event_loop_is_current(void)
{
	return on_loop;
}

bool
vhost_event_loop_is_busy(void)
{
	return batch > 1;
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * MS_PER_S + ts.tv_nsec / NS_PER_MS;
}

/*
 * Slots; all with the lock held
 */

/** Add slots until there are n. */
static int
slots_grow(uint32_t n)
{
	struct slot *slots = realloc(loop.slots, n * sizeof(*slots));

	if (slots == NULL)
		return -ENOMEM;
	loop.slots = slots;
	while (loop.nslots < n) {
		slots[loop.nslots] = (struct slot){ .next_free = loop.first_free };
		loop.first_free = loop.nslots++;
	}
	return 0;
}

/** Give the source a slot: 0 or -ENOMEM. */
static int
slot_take(struct event_source *source)
{
	int ret = 0;

	if (loop.first_free == NO_SLOT)
		ret = slots_grow(RTE_MAX(2 * loop.nslots, (uint32_t)SLOTS_AT_FIRST));
	if (ret != 0)
		return ret;
	source->slot = loop.first_free;
	loop.first_free = loop.slots[source->slot].next_free;
	loop.slots[source->slot].source = source;
	return 0;
}

/** What is still under way for the slot reaches no source from now on. */
static void
slot_give_back(uint32_t index)
{
	struct slot *slot = &loop.slots[index];

	slot->source = NULL;
	slot->generation++;
	slot->next_free = loop.first_free;
	loop.first_free = index;
}

static uint64_t
slot_data(uint32_t index)
{
	return (uint64_t)loop.slots[index].generation << 32 | index;
}

/** The source that an event is meant for; NULL if it was removed. */
static struct event_source *
slot_source(uint64_t data)
{
	uint32_t index = (uint32_t)data;

	return slot_data(index) == data ? loop.slots[index].source : NULL;
}

/** Let the timerfd expire when the first timer is due, or before.  Lock held. */
static void
set_timer_fd(void)
{
	const struct event_timer *first = TAILQ_FIRST(&loop.timers);
	struct itimerspec at = { 0 };

	if (first == NULL || (loop.timer_fd_ms != 0 && loop.timer_fd_ms <= first->due_ms))
		return;
	loop.timer_fd_ms = first->due_ms;
	at.it_value.tv_sec = first->due_ms / MS_PER_S;
	at.it_value.tv_nsec = (first->due_ms % MS_PER_S) * NS_PER_MS;
	timerfd_settime(loop.timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/** How long to wait for events, as epoll_wait() takes it.  Lock held. */
static int
prepare_wait(void)
{
	const struct event_timer *first = TAILQ_FIRST(&loop.timers);

	if (first != NULL && first->due_ms <= now_ms())
		return 0;
	set_timer_fd();
	return -1;
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
	struct event_timer *timer = TAILQ_FIRST(&loop.timers);

	if (timer == NULL || timer->due_ms > now_ms())
		return NULL;
	TAILQ_REMOVE(&loop.timers, timer, link);
	timer->due_ms = 0;
	return timer;
}

/** Run a timer that is due, if there is one.  Lock held, released meanwhile. */
static void
run_timer(void)
{
	struct event_timer *timer = take_due_timer();
	void (*handle)(struct event_timer *timer);

	if (timer == NULL)
		return;
	handle = timer->handle;
	loop.running = timer;
	pthread_mutex_unlock(&loop.lock);
	handle(timer);
	pthread_mutex_lock(&loop.lock);
	handler_returned();
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

/** Lock held, released meanwhile. */
static void
serve(const struct epoll_event *event)
{
	struct event_source *source;

	if (event->data.u64 == TIMER_DATA) {
		loop.timer_fd_ms = 0;
		return;
	}
	source = slot_source(event->data.u64);
	if (source != NULL)
		run_source(source, event->events);
}

static dpdk_thread_ret
loop_main(void *arg __rte_unused)
{
	struct epoll_event events[EVENTS_AT_A_TIME];
	int i, n, timeout;

	on_loop = true;
	pthread_mutex_lock(&loop.lock);
	for (;;) {
		timeout = prepare_wait();
		pthread_mutex_unlock(&loop.lock);
		n = epoll_wait(loop.epoll_fd, events, EVENTS_AT_A_TIME, timeout);
		batch = RTE_MAX(n, 0);
		pthread_mutex_lock(&loop.lock);
		for (i = 0; i < n; i++)
			serve(&events[i]);
		run_timer();
	}
	return 0;
}

/** Create epoll set and timerfd. */
static int
open_descriptors(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = TIMER_DATA };

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
	int ret;

	if (loop.started)
		return 0;

	ret = open_descriptors();
	if (ret == 0)
		ret = dpdk_start_control_thread(VHOST_ABI_EVENT_THREAD, NULL, loop_main);
	if (ret != 0) {
		VHOST_LOG_CONFIG(ERR, "(events) failed to start the event thread: %s\n",
				strerror(-ret));
		close_descriptors();
		return ret;
	}
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

/** Take a slot and enter the epoll set.  Lock held. */
static int
add_locked(struct event_source *source, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };
	int ret = slot_take(source);

	if (ret != 0)
		return ret;
	event.data.u64 = slot_data(source->slot);
	if (epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
		return 0;
	ret = -errno;
	slot_give_back(source->slot);
	return ret;
}

int
vhost_event_source_add(struct event_source *source, int fd, uint32_t events,
		void (*handle)(struct event_source *source, uint32_t events))
{
	int ret;

	pthread_mutex_lock(&loop.lock);
	ret = start_locked();
	if (ret == 0)
		ret = add_locked(source, fd, events);
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
	slot_give_back(source->slot);
}

void
vhost_event_source_remove(struct event_source *source)
{
	pthread_mutex_lock(&loop.lock);
	source_forget(source);
	while (loop.running == source && !on_loop) {
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
	TAILQ_REMOVE(&loop.timers, timer, link);
	timer->due_ms = 0;
}

/** Put an armed timer in its place in the list; most are due later than all others.  Lock held. */
static void
timer_insert(struct event_timer *timer)
{
	struct event_timer *before;

	TAILQ_FOREACH_REVERSE(before, &loop.timers, timers, link) {
		if (before->due_ms <= timer->due_ms)
			break;
	}
	if (before == NULL)
		TAILQ_INSERT_HEAD(&loop.timers, timer, link);
	else
		TAILQ_INSERT_AFTER(&loop.timers, before, timer, link);
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
		if (!on_loop)
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
	while (loop.running == timer && !on_loop) {
		pthread_cond_wait(&loop.idle, &loop.lock);
		timer_forget(timer);	/* its handler may have armed it again */
	}
	pthread_mutex_unlock(&loop.lock);
}
