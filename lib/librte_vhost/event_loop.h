/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_EVENT_LOOP_H
#define VHOST_EVENT_LOOP_H

/*
 * The control thread "vhost-events": one epoll set and its timers.
 *
 * Sources and timers are embedded in their owners, zeroed at first, and never
 * allocated here.  Handlers run on the loop's thread without any lock of the
 * loop held, so they may add, remove and free sources, including their own.
 *
 * Every function may be called by any thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct event_source {
	int fd;			/**< watched while handle is set; -1 after removal */
	uint32_t slot;		/**< the loop's */
	/** NULL while not in the loop */
	void (*handle)(struct event_source *source, uint32_t events);
};

struct event_timer {
	void (*handle)(struct event_timer *timer);
	TAILQ_ENTRY(event_timer) link;	/**< the loop's */
	uint64_t due_ms;		/**< the loop's; 0 while not armed */
};

/** Start the thread if it does not run yet: 0 or a negative errno. */
int vhost_event_loop_start(void);

/** Whether the caller is the loop's thread. */
bool vhost_event_loop_is_current(void);

/**
 * Whether the kernel has told of other events together with the one that is served.
 * The loop's thread only.
 */
bool vhost_event_loop_is_busy(void);

/**
 * Watch fd for EPOLL* events (level triggered unless EPOLLET is asked for); starts
 * the loop if need be.  The handler may find that there is nothing to do.
 * The source stays the caller's; it must stay in place, and fd open, until it
 * is removed.  Hang-up and error are reported whether asked for or not.
 *
 * @return 0 or a negative errno: -EPERM for a descriptor that cannot be watched
 *         (a regular file), -EEXIST for one that already is, -ENOMEM
 */
int vhost_event_source_add(struct event_source *source, int fd, uint32_t events,
		void (*handle)(struct event_source *source, uint32_t events));

/**
 * Stop watching; the descriptor stays open.  When this returns the handler does
 * not run and will not run again; only a call from within that handler returns
 * while it still runs.  A source that was never added is left alone.
 *
 * Waits for the handler: hold no lock that it may take.
 */
void vhost_event_source_remove(struct event_source *source);

/**
 * (Re)arm: call handle once, delay_ms from now, on the loop's thread; starts the
 * loop if need be.  0 or a negative errno.
 */
int vhost_event_timer_arm(struct event_timer *timer, uint64_t delay_ms,
		void (*handle)(struct event_timer *timer));

/** Disarm, with the same promise as vhost_event_source_remove(). */
void vhost_event_timer_cancel(struct event_timer *timer);

#endif /* VHOST_EVENT_LOOP_H */
