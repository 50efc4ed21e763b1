/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What copies under way need: the guest's memory, packets, and a ring to give chains back
 * to.  Nothing else: a block is replaced by one of the same ring, and the area is moved,
 * whenever a NUMA relocation wants that.
 *
 * Before the ring or the memory goes, whoever replaces them has the application end what
 * it has under way (listeners.c), and then ends the rest here.  A device that does not
 * come to an end in time is not waited for: the area becomes an orphan, which has a
 * reference to the map of guest memory, so that a late copy hits memory that nobody else
 * has.  Orphans are looked after by a timer.
 */

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "event_loop.h"
#include "mem_map.h"
#include "mem_node.h"
#include "net_async.h"
#include "queue.h"
#include "queue_async.h"
#include "vhost_log.h"

/** How long a message may wait for copies: thousands of times what they take. */
#define PATIENCE_MS 100

/** Between two looks at copies that are waited for. */
#define PAUSE_NS 20000

/** Between two looks at orphans. */
#define ORPHANS_MS 100

static struct {
	pthread_mutex_t lock;
	struct event_timer timer;
	struct net_async *first;
} orphans = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000) + ts.tv_nsec / 1000000;
}

/* Orphans */

static void
free_orphan(struct net_async *area)
{
	vhost_mem_map_put(area->map);
	vhost_net_async_destroy(area);
}

static void
on_timer(struct event_timer *timer)
{
	struct net_async **place = &orphans.first, *area;

	pthread_mutex_lock(&orphans.lock);
	while ((area = *place) != NULL) {
		if (vhost_net_async_bury(area)) {
			*place = area->next;
			free_orphan(area);
		} else {
			place = &area->next;
		}
	}
	if (orphans.first != NULL)
		vhost_event_timer_arm(timer, ORPHANS_MS, on_timer);
	pthread_mutex_unlock(&orphans.lock);
}

/** An area that no queue has any more; may be empty. */
static void
orphan(struct net_async *area, struct mem_map *map)
{
	if (vhost_net_async_bury(area)) {
		vhost_net_async_destroy(area);
		return;
	}
	area->map = map != NULL ? vhost_mem_map_get(map) : NULL;
	pthread_mutex_lock(&orphans.lock);
	area->next = orphans.first;
	orphans.first = area;
	vhost_event_timer_arm(&orphans.timer, ORPHANS_MS, on_timer);
	pthread_mutex_unlock(&orphans.lock);
}

/* What the application asks for */

/** Size and node that an area is to have: 0, -ENODEV or -EEXIST. */
static int
ask_for_area(struct vhost_queue *q, uint16_t *size, int *node)
{
	const struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	int ret = 0;

	if (block == NULL || block->size == 0) {
		ret = -ENODEV;
	} else {
		*size = block->size;
		*node = block->node;
		ret = q->async != NULL ? -EEXIST : 0;
	}
	vhost_queue_open_gate(q);
	return ret;
}

int
vhost_queue_async_register(struct vhost_queue *q, bool pinned)
{
	struct net_async *area;
	uint16_t size = 0;
	int node = VHOST_NODE_ANY, ret = ask_for_area(q, &size, &node);

	if (ret < 0)
		return ret;
	area = vhost_net_async_create(size, node);
	if (area == NULL)
		area = vhost_net_async_create(size, VHOST_NODE_ANY);
	if (area == NULL)
		return -ENOMEM;
	vhost_net_async_set_memory(area, pinned);
	if (vhost_gate_close(&q->gate) == NULL) {
		ret = -ENODEV;
	} else if (q->async != NULL) {
		ret = -EEXIST;
	} else {
		q->async = area;
		area = NULL;
	}
	vhost_queue_open_gate(q);
	vhost_net_async_destroy(area);
	return ret;
}

int
vhost_queue_async_unregister(struct vhost_queue *q)
{
	struct net_async *area = NULL;
	int ret = 0;

	vhost_gate_close(&q->gate);
	if (q->async != NULL && (q->async->inflight > 0 || !net_async_is_idle(q->async))) {
		ret = -EBUSY;
	} else {
		area = q->async;
		q->async = NULL;
	}
	vhost_queue_open_gate(q);
	vhost_net_async_destroy(area);
	return ret;
}

int
vhost_queue_async_inflight(struct vhost_queue *q)
{
	int n = -ENOENT;

	vhost_gate_close(&q->gate);
	if (q->async != NULL)
		n = q->async->inflight;
	vhost_queue_open_gate(q);
	return n;
}

/* What the control side asks for */

/** Whether a block's ring and memory are those of another. */
static bool
is_same_ring(const struct vhost_virtqueue *a, const struct vhost_virtqueue *b)
{
	return a->size == b->size && a->desc == b->desc && a->avail == b->avail &&
		a->used == b->used && a->cfg.format == b->cfg.format &&
		a->cfg.generation == b->cfg.generation;
}

bool
vhost_queue_async_is_disturbed(struct vhost_queue *q, bool enabled)
{
	const struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	bool has_area = block != NULL && q->async != NULL;

	vhost_queue_open_gate(q);
	if (!has_area || block->size == 0)
		return false;
	return (q->enabled && !enabled) ||
		(q->staged != NULL && !is_same_ring(block, q->staged));
}

uint64_t
vhost_queue_async_deadline(void)
{
	return now_ms() + PATIENCE_MS;
}

/** Give chains back, and nothing is submitted any more: whether nothing is under way. */
static bool
finish_once(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	bool idle = true;

	if (q->async != NULL) {
		q->async->closed = true;
		if (block != NULL && block->size != 0)
			idle = vhost_net_async_drain(block, q->async);
		else
			idle = net_async_is_idle(q->async);
	}
	vhost_queue_open_gate(q);
	return idle;
}

/** Likewise, for so long. */
static bool
finish(struct vhost_queue *q, uint64_t deadline)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	while (!finish_once(q)) {
		if (now_ms() >= deadline)
			return false;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
	return true;
}

/** Have an empty area in place of the queue's, which has copies under way. */
static void
give_up(struct vhost_queue *q, struct mem_map *map)
{
	const struct vhost_virtqueue *block = vhost_queue_block(q);
	struct net_async *area, *fresh = vhost_net_async_create(block->size, block->node);

	if (fresh == NULL)
		fresh = vhost_net_async_create(block->size, VHOST_NODE_ANY);
	vhost_gate_close(&q->gate);
	area = q->async;
	if (area != NULL && fresh != NULL && area->bytes <= fresh->bytes) {
		fresh->closed = true;
		vhost_net_async_hand_over(area, fresh);
	}
	if (area != NULL) {
		q->async = fresh;
		fresh = NULL;
	}
	vhost_queue_open_gate(q);
	vhost_net_async_destroy(fresh);
	if (area == NULL)
		return;
	VHOST_LOG_CONFIG(WARNING, "(%s) queue %u: copies of %u packets do not end; their buffers "
		"are not given back, and their memory is kept\n", block->net->name,
		block->cfg.index, area->submitted - area->given);
	orphan(area, map);
}

void
vhost_queue_async_finish(struct vhost_queue *q, struct mem_map *map, uint64_t deadline)
{
	const struct vhost_virtqueue *block = vhost_queue_block(q);

	if (!finish(q, deadline) && q->staged != NULL && !is_same_ring(block, q->staged))
		give_up(q, map);
}

void
vhost_queue_async_resume(struct vhost_queue *q, bool pinned)
{
	vhost_gate_close(&q->gate);
	if (q->async != NULL) {
		q->async->closed = false;
		vhost_net_async_set_memory(q->async, pinned);
	}
	vhost_queue_open_gate(q);
}

void
vhost_queue_async_end(struct vhost_queue *q, struct mem_map *map, uint64_t deadline)
{
	struct net_async *area;

	finish(q, deadline);
	vhost_gate_close(&q->gate);
	area = q->async;
	q->async = NULL;
	vhost_queue_open_gate(q);
	if (area != NULL)
		orphan(area, map);
}

void
vhost_queue_async_migrate(struct vhost_queue *q)
{
	const int node = vhost_queue_block(q)->node;
	struct net_async *old = NULL, *area;
	uint16_t size = 0;

	vhost_gate_close(&q->gate);
	if (q->async != NULL && node != VHOST_NODE_ANY && q->async->node != node)
		size = q->async->packets_mask + 1;
	vhost_queue_open_gate(q);
	if (size == 0)
		return;
	area = vhost_net_async_create(size, node);
	if (area == NULL)
		return;
	vhost_gate_close(&q->gate);
	if (q->async != NULL && q->async->bytes == area->bytes) {
		old = q->async;
		vhost_net_async_inherit(area, old);
		q->async = area;
		area = NULL;
	}
	vhost_queue_open_gate(q);
	vhost_net_async_destroy(old);
	vhost_net_async_destroy(area);
}
