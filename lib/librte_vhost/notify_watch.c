/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include "device.h"
#include "doorbell.h"
#include "event_loop.h"
#include "notify_watch.h"
#include "vhost_log.h"

/** From one look to the next, in milliseconds: while guests are notified, and else. */
#define BUSY_MS 20
#define QUIET_MS 100

/** What the last look found; the event thread's. */
static struct doorbell_writer seen[RTE_MAX_LCORE];
static bool asked_first;

static struct event_timer timer;
static bool started;	/**< atomic */

/** Look at a lcore; whether it has notified a guest since the last look. */
static bool
look_at(unsigned int lcore)
{
	const struct doorbell_writer *writer = &vhost_doorbell_writers[lcore];
	const struct doorbell_writer now = {
		.place = __atomic_load_n(&writer->place, __ATOMIC_RELAXED),
		.writes = __atomic_load_n(&writer->writes, __ATOMIC_RELAXED),
	};
	bool goes_on = now.writes != seen[lcore].writes;

	if (!goes_on && now.place != 0 && now.place == seen[lcore].place) {
		struct vhost_queue *queue = vhost_handle_queue((now.place - 1) >> 16,
			(uint16_t)(now.place - 1));

		if (queue != NULL)
			vhost_gate_free_writer(&queue->gate);
	}
	seen[lcore] = now;
	return goes_on;
}

/** Say once that somebody was freed, here or by who waited at a gate. */
static void
tell(void)
{
	bool asks_first = __atomic_load_n(&vhost_doorbell_asks_first, __ATOMIC_RELAXED);

	if (asks_first && !asked_first)
		VHOST_LOG_CONFIG(WARNING, "a frontend has held up who notified it by a full eventfd; "
			"from now on eventfds are asked before they are written to\n");
	asked_first = asks_first;
}

static void
look(struct event_timer *self)
{
	bool busy = false;

	for (unsigned int lcore = 0; lcore < RTE_MAX_LCORE; lcore++)
		busy |= look_at(lcore);
	tell();
	vhost_event_timer_arm(self, busy ? BUSY_MS : QUIET_MS, look);
}

void
vhost_notify_watch_start(void)
{
	if (!__atomic_exchange_n(&started, true, __ATOMIC_RELAXED))
		vhost_event_timer_arm(&timer, QUIET_MS, look);
}
