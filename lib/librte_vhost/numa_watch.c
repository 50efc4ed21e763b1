/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * Pages of a running guest can be migrated, or become resident, without a word
 * from the frontend.  So each device is looked at every now and then, one per
 * turn of the event loop; more often while it is unknown where it belongs.  What
 * a look finds counts when the next one finds the same, so that pages in motion
 * and samples at the brink do not send queues back and forth.
 *
 * A look that somebody asks for counts at once.  It runs on the event thread as
 * well: applications know their callbacks from there.
 *
 * One timer serves all.  It belongs to nobody who could go away, so it is never
 * cancelled.  Lock order: a device's control lock, watch.lock, the loop's lock.
 */

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include <rte_common.h>

#include "device_change.h"
#include "event_loop.h"
#include "numa_evidence.h"
#include "numa_watch.h"

/** Between regular looks at a device. */
#define INTERVAL_MS 10000u

/** Between looks while it is unknown where the device belongs. */
#define UNDECIDED_MS 1000u

#define NEVER UINT64_MAX

/** Looks asked for, by vid. */
struct request {
	uint64_t asked;
	uint64_t served;
	int result;		/**< of the last one served */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t served;
	struct event_timer timer;
	uint64_t interval_ms;
	struct request requests[VHOST_MAX_DEVICES];
} watch = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.served = PTHREAD_COND_INITIALIZER,
	.interval_ms = INTERVAL_MS,
};

static void on_timer(struct event_timer *timer);

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000) + ts.tv_nsec / 1000000;
}

/** When the next device is due, and which; watch.lock held. */
static uint64_t
next_due(struct vhost_device **next)
{
	uint64_t due = NEVER;
	int vid;

	for (vid = 0; vid < VHOST_MAX_DEVICES; vid++) {
		struct vhost_device *dev = vhost_device_peek(vid);

		if (dev != NULL && dev->evidence.look_due_ms < due) {
			due = dev->evidence.look_due_ms;
			*next = dev;
		}
	}
	return due;
}

/** A vid with a request, or -1; watch.lock held. */
static int
next_request(void)
{
	int vid;

	for (vid = 0; vid < VHOST_MAX_DEVICES; vid++)
		if (watch.requests[vid].asked != watch.requests[vid].served)
			return vid;
	return -1;
}

/** Arm the timer for what comes next; watch.lock held. */
static void
arm(void)
{
	struct vhost_device *dev;
	uint64_t due, now = now_ms();

	due = next_request() >= 0 ? now : next_due(&dev);
	if (due != NEVER)
		vhost_event_timer_arm(&watch.timer, due > now ? due - now : 0, on_timer);
}

/** Put a look off, or forward; watch.lock held. */
static void
set_due(struct vhost_device *dev, uint64_t delay_ms)
{
	dev->evidence.look_due_ms = watch.interval_ms != 0 ?
		now_ms() + RTE_MIN(delay_ms, watch.interval_ms) : NEVER;
}

/** Look because somebody asked. */
static int
serve_request(struct vhost_device *dev)
{
	const struct settle_request refresh = { .reprobe = true, .restart = true };
	int ret = -ENODEV;

	vhost_device_lock(dev);
	if (dev->running.net != NULL)
		ret = vhost_device_change(dev, &refresh);
	vhost_device_unlock(dev);
	return ret;
}

/** watch.lock held, released meanwhile. */
static void
serve_next_request(int vid)
{
	struct request *request = &watch.requests[vid];
	struct vhost_device *dev = vhost_device_peek(vid);
	uint64_t asked = request->asked;
	int ret;

	pthread_mutex_unlock(&watch.lock);
	ret = dev != NULL ? serve_request(dev) : -ENODEV;
	pthread_mutex_lock(&watch.lock);
	request->served = asked;
	request->result = ret;
	pthread_cond_broadcast(&watch.served);
}

void
vhost_numa_watch_check(struct vhost_device *dev)
{
	const struct rte_vhost_numa_policy *policy = &dev->driver.numa;
	const struct settle_request follow = {
		.restart = (policy->flags & RTE_VHOST_NUMA_F_RESTART) != 0,
	};

	if (policy->mode == RTE_VHOST_NUMA_OFF || dev->wish.map == NULL ||
			vhost_mem_map_is_broken(dev->wish.map))
		return;
	if (vhost_numa_look(dev) || dev->running.refused_nodes != 0)
		vhost_device_change(dev, &follow);
}

/** Look because it is time; whoever works on the device just now looks by himself. */
static void
look(struct vhost_device *dev)
{
	if (!vhost_device_try_lock(dev))
		return;
	if (dev->running.net != NULL)
		vhost_numa_watch_check(dev);
	vhost_device_unlock(dev);
}

/** One request or one look, so that messages get their turn. */
static void
on_timer(struct event_timer *timer __rte_unused)
{
	struct vhost_device *dev = NULL;
	int vid;

	pthread_mutex_lock(&watch.lock);
	vid = next_request();
	if (vid >= 0) {
		serve_next_request(vid);
	} else if (next_due(&dev) <= now_ms()) {
		set_due(dev, watch.interval_ms);
		pthread_mutex_unlock(&watch.lock);
		look(dev);
		pthread_mutex_lock(&watch.lock);
	}
	arm();
	pthread_mutex_unlock(&watch.lock);
}

void
vhost_numa_watch_begin(struct vhost_device *dev)
{
	pthread_mutex_lock(&watch.lock);
	set_due(dev, watch.interval_ms);
	arm();
	pthread_mutex_unlock(&watch.lock);
}

/** A device has settled: where it belongs may be an open question. */
static void
watch_settled(struct vhost_device *dev)
{
	if (!vhost_numa_is_undecided(dev))
		return;
	pthread_mutex_lock(&watch.lock);
	set_due(dev, UNDECIDED_MS);
	arm();
	pthread_mutex_unlock(&watch.lock);
}

const struct device_listener vhost_listener_watch = {
	.settled = watch_settled,
};

int
vhost_numa_watch_refresh(struct vhost_device *dev)
{
	struct request *request = &watch.requests[dev->vid];
	bool inside = vhost_device_is_inside(dev);
	uint64_t ticket;
	int ret = 0;

	if (!inside && vhost_event_loop_is_current())
		return serve_request(dev);
	pthread_mutex_lock(&watch.lock);
	ticket = ++request->asked;
	arm();
	while (!inside && request->served < ticket)
		pthread_cond_wait(&watch.served, &watch.lock);
	if (!inside)
		ret = request->result;
	pthread_mutex_unlock(&watch.lock);
	return ret;
}

uint64_t
vhost_numa_watch_interval(void)
{
	uint64_t ms;

	pthread_mutex_lock(&watch.lock);
	ms = watch.interval_ms;
	pthread_mutex_unlock(&watch.lock);
	return ms;
}

void
vhost_numa_watch_set_interval(uint64_t ms)
{
	int vid;

	pthread_mutex_lock(&watch.lock);
	watch.interval_ms = ms;
	for (vid = 0; vid < VHOST_MAX_DEVICES; vid++)
		if (vhost_device_peek(vid) != NULL)
			set_due(vhost_device_peek(vid), ms);
	arm();
	pthread_mutex_unlock(&watch.lock);
}
