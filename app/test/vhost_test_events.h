/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_TEST_EVENTS_H
#define VHOST_TEST_EVENTS_H

/* Stop the event thread for a moment, so that several things have happened when it goes on. */

#include <semaphore.h>

#include "event_loop.h"

struct held_events {
	struct event_timer timer;
	sem_t reached, release;
};

static inline void
held_events_wait(struct event_timer *timer)
{
	struct held_events *held = (struct held_events *)timer;

	sem_post(&held->reached);
	sem_wait(&held->release);
}

/** When this returns the event thread waits in a handler. */
static inline void
events_hold(struct held_events *held)
{
	memset(held, 0, sizeof(*held));
	sem_init(&held->reached, 0, 0);
	sem_init(&held->release, 0, 0);
	vhost_event_timer_arm(&held->timer, 0, held_events_wait);
	sem_wait(&held->reached);
}

/** Let it go on. */
static inline void
events_release(struct held_events *held)
{
	sem_post(&held->release);
	vhost_event_timer_cancel(&held->timer);
	sem_destroy(&held->reached);
	sem_destroy(&held->release);
}

#endif /* VHOST_TEST_EVENTS_H */
