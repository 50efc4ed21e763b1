/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation: when NUMA relocation is looked into although no message asks
 *
 * Pages of a running guest can be migrated, or become resident, without a word
 * from the frontend.  So each device is checked every now and then, one per turn of
 * the event loop; sooner while it is unknown where it belongs.  What a check costs,
 * and what it takes to act on it, is the evidence's (numa_evidence.c).
 *
 * A refresh that somebody asks for counts at once.  It runs on the event thread as
 * well: applications know their callbacks from there.  That thread never waits for a
 * control lock: whoever holds one may be below a callback, and there wait for this
 * thread in turn.  What finds the lock taken is tried again soon.  For the same reason
 * nobody waits for a refresh while he is below a callback of any device: two that
 * refresh each other's devices would wait for ever.
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
#include "mem_heap.h"
#include "mem_node.h"
#include "numa_evidence.h"
#include "numa_tell.h"
#include "numa_watch.h"

/** Between regular checks of a device. */
#define INTERVAL_MS 10000u

/** Until a request is tried again whose device is busy. */
#define RETRY_MS 1u

#define NEVER UINT64_MAX

/** Refreshes asked for, by vid. */
struct request {
	uint64_t asked;
	uint64_t served;
	int result;		/**< of the last one served */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t served;
	struct event_timer timer;
	uint64_t armed_ms;	/**< when the timer is due, NEVER if it is not armed */
	uint64_t interval_ms;
	unsigned int pending;	/**< requests not served yet */
	struct request requests[VHOST_MAX_DEVICES];
	uint64_t due_ms[VHOST_MAX_DEVICES];	/**< of the next regular check, or NEVER */
} watch = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.served = PTHREAD_COND_INITIALIZER,
	.armed_ms = NEVER,
	.interval_ms = INTERVAL_MS,
	.due_ms = { [0 ... VHOST_MAX_DEVICES - 1] = NEVER },
};

static void on_timer(struct event_timer *timer);

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000) + ts.tv_nsec / 1000000;
}

/** Have the timer ring by then; watch.lock held. */
static void
arm(uint64_t due, uint64_t now)
{
	if (due >= watch.armed_ms)
		return;
	watch.armed_ms = due;
	vhost_event_timer_arm(&watch.timer, due > now ? due - now : 0, on_timer);
}

/** When the next device is due, and which; watch.lock held. */
static uint64_t
next_due(int *next)
{
	uint64_t due = NEVER;
	int vid;

	for (vid = 0; vid < VHOST_MAX_DEVICES; vid++) {
		if (watch.due_ms[vid] < due) {
			due = watch.due_ms[vid];
			*next = vid;
		}
	}
	return due;
}

/** Have a device checked so much later; watch.lock held. */
static void
set_due(int vid, uint64_t pause_ms, uint64_t now)
{
	watch.due_ms[vid] = watch.interval_ms != 0 ? now + pause_ms : NEVER;
}

/* Our own memory */

static bool
has_replica_moved(struct vhost_device *dev, struct virtio_net *net)
{
	int node = vhost_heap_node(net);

	if (node == net->node)
		return false;
	vhost_device_record(dev, &net->node, node);
	return true;
}

static bool
has_block_moved(struct vhost_device *dev, struct vhost_queue *q)
{
	if (!vhost_queue_has_moved(q))
		return false;
	vhost_device_record(dev, &q->numa.node, vhost_queue_block(q)->node);
	return true;
}

/**
 * See where our own memory is, and have reports tell it: whether it was moved, by who
 * migrates this process or changes its cpuset.
 */
static bool
have_blocks_moved(struct vhost_device *dev)
{
	bool moved = false;
	uint32_t i;

	for (i = 0; i < dev->running.nreplicas; i++)
		moved |= has_replica_moved(dev, dev->running.replicas[i]);
	for (i = 0; i < dev->nvrings; i++)
		moved |= has_block_moved(dev, vhost_device_queue_at(dev, i));
	if (!moved)
		return false;
	dev->running.handle_node = VHOST_NODE_ANY;
	vhost_device_record(dev, &dev->running.node, dev->running.net->node);
	return true;
}

/* Refreshes */

int
vhost_numa_watch_reprobe(struct vhost_device *dev, bool restart)
{
	const struct settle_request request = { .reprobe = true, .restart = restart };

	have_blocks_moved(dev);
	return vhost_device_change(dev, &request);
}

/** Refresh because somebody asked: as vhost_device_change(), or -EBUSY. */
static int
serve_request(struct vhost_device *dev)
{
	int ret = -ENODEV;

	if (dev == NULL)
		return ret;
	if (!vhost_device_try_lock(dev))
		return -EBUSY;
	if (dev->running.net != NULL)
		ret = vhost_numa_watch_reprobe(dev, true);
	vhost_device_unlock(dev);
	return ret;
}

/** Whether it was served; watch.lock held, released meanwhile. */
static bool
try_request(int vid)
{
	struct request *request = &watch.requests[vid];
	uint64_t asked = request->asked;
	int ret;

	pthread_mutex_unlock(&watch.lock);
	ret = serve_request(vhost_device_peek(vid));
	pthread_mutex_lock(&watch.lock);
	if (ret == -EBUSY)
		return false;
	watch.pending -= asked - request->served;
	request->served = asked;
	request->result = ret;
	pthread_cond_broadcast(&watch.served);
	return true;
}

/** Serve one request, if one can be served; watch.lock held, released meanwhile. */
static bool
serve_any_request(void)
{
	int vid;

	for (vid = 0; watch.pending > 0 && vid < VHOST_MAX_DEVICES; vid++)
		if (watch.requests[vid].asked != watch.requests[vid].served && try_request(vid))
			return true;
	return false;
}

/* Regular checks */

void
vhost_numa_watch_check(struct vhost_device *dev)
{
	const struct rte_vhost_numa_policy *policy = &dev->driver.numa;
	const struct settle_request follow = {
		.restart = (policy->flags & RTE_VHOST_NUMA_F_RESTART) != 0,
	};

	bool moved = have_blocks_moved(dev);

	if (policy->mode == RTE_VHOST_NUMA_OFF || dev->wish.map == NULL ||
			vhost_mem_map_is_broken(dev->wish.map))
		return;
	moved |= vhost_evidence_check(dev->evidence, dev->running.node);
	if (moved || dev->running.refused_nodes != 0)
		vhost_device_change(dev, &follow);
	vhost_numa_tell_look(dev, moved);
}

/** Check because it is time; whoever works on the device just now settles by himself. */
static uint64_t
check(struct vhost_device *dev, uint64_t interval_ms)
{
	uint64_t pause_ms = interval_ms;

	if (!vhost_device_try_lock(dev))
		return interval_ms;
	if (dev->running.net != NULL) {
		vhost_numa_watch_check(dev);
		pause_ms = vhost_evidence_pause_ms(dev->evidence, interval_ms);
	}
	vhost_device_unlock(dev);
	return pause_ms;
}

/** watch.lock held, released meanwhile. */
static void
check_next(int vid)
{
	struct vhost_device *dev = vhost_device_peek(vid);
	uint64_t pause_ms, interval_ms = watch.interval_ms;

	watch.due_ms[vid] = NEVER;
	if (dev == NULL)
		return;
	pthread_mutex_unlock(&watch.lock);
	pause_ms = check(dev, interval_ms);
	pthread_mutex_lock(&watch.lock);
	/* unless it has gone meanwhile */
	if (vhost_device_peek(vid) == dev)
		set_due(vid, pause_ms, now_ms());
}

/** One request or one check, so that messages get their turn. */
static void
on_timer(struct event_timer *timer __rte_unused)
{
	uint64_t now = now_ms(), due;
	int vid = 0;

	pthread_mutex_lock(&watch.lock);
	watch.armed_ms = NEVER;
	if (!serve_any_request() && next_due(&vid) <= now)
		check_next(vid);
	now = now_ms();
	due = next_due(&vid);
	arm(watch.pending > 0 ? RTE_MIN(due, now + RETRY_MS) : due, now);
	pthread_mutex_unlock(&watch.lock);
}

void
vhost_numa_watch_begin(const struct vhost_device *dev)
{
	uint64_t now = now_ms();

	pthread_mutex_lock(&watch.lock);
	set_due(dev->vid, watch.interval_ms, now);
	arm(watch.due_ms[dev->vid], now);
	pthread_mutex_unlock(&watch.lock);
}

void
vhost_numa_watch_end(const struct vhost_device *dev)
{
	pthread_mutex_lock(&watch.lock);
	watch.due_ms[dev->vid] = NEVER;
	pthread_mutex_unlock(&watch.lock);
}

/** A device has settled: where it belongs may be an open question, to be asked sooner. */
static void
watch_settled(struct vhost_device *dev)
{
	uint64_t now, due;

	vhost_numa_tell_settled(dev);
	if (!vhost_evidence_is_undecided(dev->evidence))
		return;
	now = now_ms();
	pthread_mutex_lock(&watch.lock);
	due = now + vhost_evidence_pause_ms(dev->evidence, watch.interval_ms);
	if (watch.interval_ms != 0 && due < watch.due_ms[dev->vid]) {
		watch.due_ms[dev->vid] = due;
		arm(due, now);
	}
	pthread_mutex_unlock(&watch.lock);
}

const struct device_listener vhost_listener_watch = {
	.settled = watch_settled,
};

int
vhost_numa_watch_refresh(struct vhost_device *dev)
{
	struct request *request = &watch.requests[dev->vid];
	bool wait = !vhost_device_any_is_locked() && !vhost_event_loop_is_current();
	uint64_t ticket;
	int ret = 0;

	pthread_mutex_lock(&watch.lock);
	ticket = ++request->asked;
	watch.pending++;
	arm(0, 0);
	while (wait && request->served < ticket)
		pthread_cond_wait(&watch.served, &watch.lock);
	if (wait)
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
	uint64_t now = now_ms();
	int vid;

	pthread_mutex_lock(&watch.lock);
	watch.interval_ms = ms;
	for (vid = 0; vid < VHOST_MAX_DEVICES; vid++)
		if (vhost_device_peek(vid) != NULL)
			set_due(vid, ms, now);
	arm(next_due(&vid), now);
	pthread_mutex_unlock(&watch.lock);
}
