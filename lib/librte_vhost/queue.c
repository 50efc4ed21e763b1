/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * A queue has a wish (struct queue_wish) and a block (struct vhost_virtqueue)
 * that was built from a wish.  Messages change the wish.  A settle of the device
 * turns each wish into a shape (vhost_queue_shape), stages a block wherever the
 * shape differs from the block in place, and when every allocation of the device
 * has succeeded commits them, one pointer swap per queue.  The node is a part of
 * the shape: relocation is nothing but a settle.
 *
 * Bursts reach the block through the gate and only there: whoever is inside owns
 * the block until it leaves.  The owner of the queue closes the gate to swap or
 * patch the block.  A polling lcore re-takes a free gate faster than anyone, so
 * the owner announces itself in gate.closing first and bursts stay out while
 * that is not zero: those from the guest return 0 packets once, those to the
 * guest wait, as applications drop what does not go out at once.
 *
 * Nothing is allocated, freed, logged or called back while a gate is closed.
 *
 * Handles live until the process ends and are used again by the next device of
 * the same vid.  A burst that comes too late finds a gate that is closing and no
 * block, never freed memory.  They are not in EAL's memory, so that the event
 * loop may still take a device down while rte_eal_cleanup() unmaps that.  Each is
 * a page of its own, which the kernel moves to the node of the block: the gate
 * is written by every burst, and its address must not change.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_ring.h>

#include <rte_cycles.h>
#include <rte_ether.h>

#include "doorbell.h"
#include "mem_node.h"
#include "net_notify.h"
#include "placement.h"
#include "queue.h"
#include "ring.h"
#include "vu_message.h"

static const struct queue_wish fresh_wish = {
	.kickfd = QUEUE_FD_UNSET,
	.callfd = QUEUE_FD_UNSET,
};

/** Turns of waiting, some tenths of a second, that no honest burst takes. */
#define STUCK_TURNS (1u << 24)

struct vhost_virtqueue *
vhost_queue_close(struct vhost_queue *q)
{
	uint32_t expected = 0, turns = 0;

	__atomic_fetch_add(&q->gate.closing, 1, __ATOMIC_RELAXED);
	/* G3 pairs with G2 */
	while (!__atomic_compare_exchange_n(&q->gate.taken, &expected, 1, false,
			__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		expected = 0;
		rte_pause();
		/* who is inside may not swap the block, and the callfd is patched inside */
		if (++turns % STUCK_TURNS == 0 && q->gate.block != NULL)
			vhost_doorbell_unstick(q->gate.block->callfd);
	}
	return q->gate.block;
}

void
vhost_queue_open(struct vhost_queue *q)
{
	vhost_queue_leave(q);
	__atomic_fetch_sub(&q->gate.closing, 1, __ATOMIC_RELAXED);
}

struct vhost_queue *
vhost_queue_create(uint16_t index)
{
	struct vhost_queue *q;

	q = vhost_node_pages(sizeof(*q));
	if (q == NULL)
		return NULL;
	q->index = index;
	q->handle_node = VHOST_NODE_ANY;
	q->wish = fresh_wish;
	q->retired_kickfd = QUEUE_FD_UNSET;
	q->retired_callfd = QUEUE_FD_UNSET;
	q->gate.closing = 1;
	q->gate.shut = 1;
	return q;
}

int
vhost_queue_bring_up(struct vhost_queue *q, const struct virtio_net *net)
{
	struct vq_cfg dormant = {
		.index = q->index,
		.node = net->node,
		.generation = net->generation,
	};
	const struct vq_attr attr = { .callfd = -1, .guest_notify = true };
	struct vhost_virtqueue *block;

	block = vhost_block_create(&dormant, net);
	if (block == NULL) {
		/* for a moment: the settle that follows finds a place for it */
		dormant.node = VHOST_NODE_ANY;
		block = vhost_block_create(&dormant, net);
	}
	if (block == NULL)
		return -ENOMEM;
	vhost_block_apply(block, &attr);
	q->wish = fresh_wish;
	q->guest_notify = true;
	q->placed = (struct queue_placement){ .node = VHOST_NODE_ANY, .seen = VHOST_NODE_ANY };
	q->refusals = 0;
	q->drifts = 0;
	q->pause_ns = 0;
	q->live = false;
	q->enabled = false;
	q->ready = false;
	q->retell = false;
	/* late bursts of an earlier device may still try the gate */
	vhost_queue_close(q);
	q->gate.block = block;
	__atomic_store_n(&q->gate.shut, 0, __ATOMIC_RELAXED);
	vhost_queue_open(q);
	__atomic_fetch_sub(&q->gate.closing, 1, __ATOMIC_RELEASE);
	vhost_queue_bring_handle(q);
	return 0;
}

/** Between two settles nobody hears of any but the first that was replaced. */
static void
replace_fd(int *field, int *retired, int fd)
{
	if (*retired < 0)
		*retired = *field;
	else
		vhost_vu_discard_fd(*field);
	*field = fd;
}

void
vhost_queue_set_kickfd(struct vhost_queue *q, int fd, enum doorbell_kind kind)
{
	q->wish.kick_kind = kind;
	replace_fd(&q->wish.kickfd, &q->retired_kickfd, fd);
}

/** Have the block in place notify the guest there. */
static void
put_callfd_in_force(struct vhost_queue *q, int fd, enum doorbell_kind kind)
{
	struct vhost_virtqueue *block = vhost_queue_close(q);
	struct vq_attr attr;

	if (block != NULL) {
		attr = block->attr;
		attr.callfd = RTE_MAX(fd, -1);
		attr.call_kind = kind;
		vhost_block_apply(block, &attr);
	}
	vhost_queue_open(q);
}

void
vhost_queue_set_callfd(struct vhost_queue *q, int fd, enum doorbell_kind kind)
{
	/* bursts are not told of a change, so they make it now */
	put_callfd_in_force(q, fd, kind);
	q->wish.call_kind = kind;
	replace_fd(&q->wish.callfd, &q->retired_callfd, fd);
}

void
vhost_queue_close_retired(struct vhost_queue *q)
{
	vhost_vu_discard_fd(q->retired_kickfd);
	vhost_vu_discard_fd(q->retired_callfd);
	q->retired_kickfd = QUEUE_FD_UNSET;
	q->retired_callfd = QUEUE_FD_UNSET;
	vhost_inflight_close_retired(q);
}

void
vhost_queue_set_guest_notify(struct vhost_queue *q, bool enable)
{
	struct vhost_virtqueue *block;
	struct vq_attr attr;

	__atomic_store_n(&q->guest_notify, enable, __ATOMIC_RELAXED);
	block = vhost_queue_close(q);
	if (block != NULL) {
		attr = block->attr;
		attr.guest_notify = enable;
		vhost_block_apply(block, &attr);
	}
	vhost_queue_open(q);
}

int
vhost_queue_set_base(struct vhost_queue *q, uint16_t last_avail, uint16_t last_used)
{
	struct vhost_virtqueue *block = vhost_queue_close(q);
	int ret = -ENODEV;

	if (block != NULL)
		ret = vhost_block_set_base(block, last_avail, last_used);
	vhost_queue_open(q);
	return ret;
}

int
vhost_queue_get_base(struct vhost_queue *q, uint16_t *last_avail, uint16_t *last_used)
{
	const struct vhost_virtqueue *block = vhost_queue_close(q);
	int ret = -ENODEV;

	if (block != NULL) {
		*last_avail = block->state.last_avail_idx;
		*last_used = block->state.last_used_idx;
		ret = 0;
	}
	vhost_queue_open(q);
	return ret;
}

void
vhost_queue_announce(struct vhost_queue *q, const struct rte_ether_addr *mac)
{
	struct vhost_virtqueue *block = vhost_queue_close(q);

	if (block != NULL) {
		block->state.announce = true;
		memcpy(block->state.announce_mac, mac, sizeof(*mac));
	}
	vhost_queue_open(q);
}

uint16_t
vhost_queue_unused(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_queue_close(q);
	uint16_t n = 0;

	if (block != NULL && block->size != 0 && block->attr.enabled)
		n = ring_unused(block, block->cfg.format);
	vhost_queue_open(q);
	return n;
}

uint16_t
vhost_queue_waiting(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_queue_close(q);
	uint16_t n = 0;

	if (block != NULL && block->size != 0 && block->attr.enabled)
		n = ring_waiting(block, block->cfg.format);
	vhost_queue_open(q);
	return n;
}

static int
notify_inside(struct vhost_virtqueue *block)
{
	if (block == NULL || block->size == 0)
		return -ENODEV;
	if (ring_should_notify(block, block->cfg.format) && block->callfd >= 0)
		net_kick_guest(block);
	return 0;
}

int
vhost_queue_notify(struct vhost_queue *q)
{
	int ret = notify_inside(vhost_queue_close(q));

	vhost_queue_open(q);
	return ret;
}

int
vhost_queue_try_notify(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_queue_try_enter(q);
	int ret;

	if (block == NULL)
		return -EAGAIN;
	ret = notify_inside(block);
	vhost_queue_leave(q);
	return ret;
}

int
vhost_queue_stats(struct vhost_queue *q, struct vq_stats *stats, bool reset)
{
	struct vhost_virtqueue *block = vhost_queue_close(q);
	int ret = -ENODEV;

	if (block != NULL) {
		*stats = block->state.stats;
		if (reset)
			memset(&block->state.stats, 0, sizeof(block->state.stats));
		ret = 0;
	}
	vhost_queue_open(q);
	return ret;
}

int
vhost_queue_monitor(struct vhost_queue *q, struct rte_vhost_power_monitor_cond *cond)
{
	struct vhost_virtqueue *block = vhost_queue_close(q);
	int ret = -ENODEV;

	if (block != NULL && block->size != 0) {
		ring_monitor(block, cond, block->cfg.format);
		ret = 0;
	}
	vhost_queue_open(q);
	return ret;
}

int
vhost_queue_relay_used(struct vhost_queue *q, struct vring *from)
{
	struct vhost_virtqueue *block = vhost_queue_close(q);
	int ret = block != NULL && block->size != 0 ?
		ring_relay(block, from, block->cfg.format) : -1;

	vhost_queue_open(q);
	return ret;
}

void
vhost_queue_stop_wish(struct vhost_queue *q)
{
	q->wish.has_addr = false;
	replace_fd(&q->wish.kickfd, &q->retired_kickfd, QUEUE_FD_UNSET);
	/* in force until the settle: who is told to stop may notify a last time */
	replace_fd(&q->wish.callfd, &q->retired_callfd, QUEUE_FD_UNSET);
}

void
vhost_queue_reset_wish(struct vhost_queue *q)
{
	vhost_queue_stop_wish(q);
	q->wish = fresh_wish;
}

/** The descriptor of before is the one that was replaced, if it is still there. */
static int
restored_fd(int now, int before, int *retired)
{
	if (now == before || (before >= 0 && *retired != before))
		return now;
	vhost_vu_discard_fd(now);
	*retired = QUEUE_FD_UNSET;
	return before;
}

void
vhost_queue_restore_wish(struct vhost_queue *q, const struct queue_wish *before)
{
	int kickfd = restored_fd(q->wish.kickfd, before->kickfd, &q->retired_kickfd);
	int callfd = q->wish.callfd;

	if (callfd != before->callfd) {
		put_callfd_in_force(q, before->callfd, before->call_kind);
		callfd = restored_fd(callfd, before->callfd, &q->retired_callfd);
	}
	q->wish = *before;
	q->wish.kickfd = kickfd;
	q->wish.callfd = callfd;
}

void
vhost_queue_shut_down(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_queue_close(q);

	q->gate.block = NULL;
	__atomic_store_n(&q->gate.shut, 1, __ATOMIC_RELAXED);
	/* leave, but keep it closing */
	vhost_queue_leave(q);
	vhost_block_destroy(block);
	vhost_inflight_forget(q);
	vhost_queue_close_retired(q);
	vhost_vu_discard_fd(q->wish.kickfd);
	vhost_vu_discard_fd(q->wish.callfd);
	q->wish = fresh_wish;
}

/**
 * Our address of a part of a ring; NULL unless it lies within one region and is
 * aligned (2.7, 2.8), here: a region may begin anywhere in its file.
 */
static void *
translate_area(const struct mem_map *map, uint64_t uva, struct ring_area area)
{
	void *host = vhost_mem_map_from_uva(map, uva, area.bytes);

	return ((uintptr_t)host & (area.align - 1)) == 0 ? host : NULL;
}

/** Our addresses of the ring's parts; false unless there can be such a ring. */
static bool
translate_ring(const struct queue_wish *wish, const struct mem_map *map, struct vq_cfg *cfg)
{
	struct ring_areas areas = ring_areas(wish->size, cfg->format);

	cfg->desc = translate_area(map, wish->desc_uva, areas.desc);
	cfg->avail = translate_area(map, wish->avail_uva, areas.avail);
	cfg->used = translate_area(map, wish->used_uva, areas.used);
	return cfg->desc != NULL && cfg->avail != NULL && cfg->used != NULL &&
		ring_size_is_valid(wish->size, cfg->format);
}

bool
vhost_queue_ring_fits(const struct vhost_queue *q, uint64_t features, const struct mem_map *map)
{
	struct vq_cfg cfg = { .format = ring_format(features) };

	if (!q->wish.has_addr || q->wish.size == 0)
		return true;
	return map != NULL && translate_ring(&q->wish, map, &cfg);
}

/** How writes to a ring that was translated are logged. */
static void
shape_log(const struct queue_wish *wish, const struct mem_map *map, struct vq_cfg *cfg)
{
	const struct ring_areas areas = ring_areas(wish->size, cfg->format);
	const struct mem_region *region = vhost_mem_map_region(map, cfg->desc, 1);

	cfg->log = (struct vq_log_cfg){
		/* one that wraps is nobody's */
		.ring = wish->log_ring && wish->log_gpa <= UINT64_MAX - areas.used.bytes,
		.device_gpa = wish->log_gpa,
		.desc_gpa = region->gpa + ((uint8_t *)cfg->desc - region->host),
	};
}

static bool
ring_is_started(const struct queue_wish *wish)
{
	return wish->has_addr && wish->size != 0 &&
		wish->kickfd != QUEUE_FD_UNSET && wish->callfd != QUEUE_FD_UNSET;
}

void
vhost_queue_shape(const struct vhost_queue *q, uint64_t features, const struct mem_map *map,
		uint64_t generation, struct vq_cfg *cfg)
{
	*cfg = (struct vq_cfg){
		.index = q->index,
		.node = vhost_queue_block(q)->node,
		.generation = generation,
		.format = ring_format(features),
	};
	if (map == NULL || !ring_is_started(&q->wish))
		return;
	if (translate_ring(&q->wish, map, cfg)) {
		cfg->size = q->wish.size;
		if (cfg->format & VQ_LOG)
			shape_log(&q->wish, map, cfg);
	} else {
		cfg->desc = NULL;
		cfg->avail = NULL;
		cfg->used = NULL;
	}
}

int
vhost_queue_ring_node(struct vhost_queue *q, const struct mem_map *map,
		const struct vq_cfg *cfg)
{
	const struct mem_region *region = vhost_mem_map_region(map, cfg->desc, 1);

	if (q->placed.node == VHOST_NODE_ANY || region == NULL ||
			q->placed.mapping != region->mapping || q->placed.desc != cfg->desc) {
		const struct ring_areas areas = ring_areas(cfg->size, cfg->format);

		q->placed = (struct queue_placement){
			.mapping = region != NULL ? region->mapping : NULL,
			.desc = cfg->desc,
			.node = vhost_placement_ring_node(map,
				cfg->desc, areas.desc.bytes,
				cfg->avail, areas.avail.bytes,
				cfg->used, areas.used.bytes),
			.seen = VHOST_NODE_ANY,
		};
	}
	return q->placed.node;
}

bool
vhost_queue_look(struct vhost_queue *q, uint64_t features, const struct mem_map *map)
{
	const struct ring_areas areas = ring_areas(q->view.size, ring_format(features));
	int node;

	/* the view, not the block: this may come after rte_eal_cleanup() */
	if (!q->live)
		return false;
	node = vhost_placement_ring_node(map, q->view.desc, areas.desc.bytes,
		q->view.avail, areas.avail.bytes, q->view.used, areas.used.bytes);
	if (node == VHOST_NODE_ANY || node == q->placed.node) {
		q->placed.seen = VHOST_NODE_ANY;
		return false;
	}
	if (q->placed.node != VHOST_NODE_ANY && q->placed.seen != node) {
		q->placed.seen = node;
		return false;
	}
	q->drifts += q->placed.node != VHOST_NODE_ANY;
	q->placed.node = node;
	q->placed.seen = VHOST_NODE_ANY;
	return true;
}

int
vhost_queue_stage(struct vhost_queue *q, const struct vq_cfg *cfg,
		const struct virtio_net *net)
{
	q->staged = vhost_block_create(cfg, net);
	return q->staged != NULL ? 0 : -ENOMEM;
}

void
vhost_queue_bring_handle(struct vhost_queue *q)
{
	int node = q->gate.block->node;

	if (node != VHOST_NODE_ANY && q->handle_node != node &&
			vhost_node_pages_bring(q, sizeof(*q), node) != -EAGAIN)
		q->handle_node = node;
	vhost_inflight_bring(q);
}

bool
vhost_queue_has_moved(struct vhost_queue *q)
{
	if (!vhost_block_look(q->gate.block))
		return false;
	q->handle_node = VHOST_NODE_ANY;
	q->inflight.node = VHOST_NODE_ANY;
	if (q->inflight.list != NULL)
		q->inflight.list->node = VHOST_NODE_ANY;
	return true;
}

void
vhost_queue_unstage(struct vhost_queue *q)
{
	vhost_block_destroy(q->staged);
	q->staged = NULL;
	vhost_inflight_unstage(q);
}

bool
vhost_queue_needs_commit(const struct vhost_queue *q, bool enabled)
{
	return q->staged != NULL || q->enabled != enabled;
}

static uint64_t
ns_since(uint64_t cycles)
{
	return (rte_rdtsc() - cycles) * NS_PER_S / rte_get_tsc_hz();
}

struct queue_commit
vhost_queue_commit(struct vhost_queue *q, bool enabled)
{
	uint64_t since = rte_rdtsc();
	struct vhost_virtqueue *block = vhost_queue_close(q);
	struct queue_commit done = { 0 };
	bool starts = !q->live;
	struct vq_attr attr = {
		.callfd = RTE_MAX(q->wish.callfd, -1),
		.call_kind = q->wish.call_kind,
		.enabled = enabled,
		/* read inside: whoever changes it comes to patch the block after us */
		.guest_notify = __atomic_load_n(&q->guest_notify, __ATOMIC_RELAXED),
	};

	if (q->staged != NULL) {
		done.old = block;
		block = q->staged;
		vhost_block_inherit(block, done.old);
		q->gate.block = block;
		q->staged = NULL;
		starts |= !ring_is_same_format(block->cfg.format, done.old->cfg.format);
	}
	if (block->size != 0 && starts)
		done.adopted = !vhost_block_start(block);
	vhost_inflight_commit(q, block);
	vhost_block_apply(block, &attr);
	vhost_queue_open(q);
	if (done.old != NULL)
		q->pause_ns = ns_since(since);
	q->live = block->size != 0;
	q->enabled = enabled;
	return done;
}
