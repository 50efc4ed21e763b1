/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include "event_loop.h"
#include "notify_watch.h"
#include "vhost_log.h"

/** From one look to the next, in milliseconds: while guests are notified, and else. */
#define BUSY_MS 20
#define QUIET_MS 100

struct notify_writer vhost_notify_writers[RTE_MAX_LCORE];
bool vhost_notify_asks_first;

/** What the last look found; the event thread's. */
static struct notify_writer seen[RTE_MAX_LCORE];

static struct event_timer timer;
static bool started;	/**< atomic */

/** Look at a lcore; whether it has notified a guest since the last look. */
static bool
look_at(unsigned int lcore)
{
	const struct notify_writer *writer = &vhost_notify_writers[lcore];
	const struct notify_writer now = {
		.gate = __atomic_load_n(&writer->gate, __ATOMIC_RELAXED),
		.writes = __atomic_load_n(&writer->writes, __ATOMIC_RELAXED),
	};
	bool goes_on = now.writes != seen[lcore].writes;

	if (!goes_on && now.gate != NULL && now.gate == seen[lcore].gate &&
			vhost_gate_free_writer(now.gate) &&
			!__atomic_exchange_n(&vhost_notify_asks_first, true, __ATOMIC_RELAXED))
		VHOST_LOG_CONFIG(WARNING, "a frontend has blocked lcore %u by a full eventfd; "
			"from now on eventfds are asked before they are written to\n", lcore);
	seen[lcore] = now;
	return goes_on;
}

static void
look(struct event_timer *self)
{
	bool busy = false;

	for (unsigned int lcore = 0; lcore < RTE_MAX_LCORE; lcore++)
		busy |= look_at(lcore);
	vhost_event_timer_arm(self, busy ? BUSY_MS : QUIET_MS, look);
}

void
vhost_notify_watch_start(void)
{
	if (!__atomic_exchange_n(&started, true, __ATOMIC_RELAXED))
		vhost_event_timer_arm(&timer, QUIET_MS, look);
}
