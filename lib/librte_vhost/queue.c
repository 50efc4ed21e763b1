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
 * Bursts reach the block through the gate and only there: see gate.h.
 *
 * Handles live until the process ends and are used again by the next device of
 * the same vid.  A burst that comes too late finds a gate without a block, never
 * freed memory.  They are not in EAL's memory, so that the event
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
#include "ring_locate.h"
#include "vu_message.h"

static const struct queue_wish fresh_wish = {
	.kickfd = QUEUE_FD_UNSET,
	.callfd = QUEUE_FD_UNSET,
};

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
	return q;
}

/** Have the gate know the descriptors of the wish. */
static void
show_doorbells(struct vhost_queue *q)
{
	vhost_gate_set_doorbell(&q->gate, GATE_CALL, q->wish.callfd);
	vhost_gate_set_doorbell(&q->gate, GATE_KICK, q->wish.kickfd);
}

int
vhost_queue_bring_up(struct vhost_queue *q, const struct virtio_net *net)
{
	struct vq_cfg dormant = {
		.index = q->index,
		.node = net->node,
		.generation = net->generation,
	};
	const struct vq_attr attr = { .callfd = -1 };
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
	__atomic_store_n(&q->kicks, VQ_KICKS_UNSAID, __ATOMIC_RELAXED);
	q->placed = (struct queue_placement){ .node = VHOST_NODE_ANY, .seen = VHOST_NODE_ANY };
	q->refusals = 0;
	q->drifts = 0;
	q->pause_ns = 0;
	q->live = false;
	q->enabled = false;
	q->ready = false;
	q->retell = false;
	show_doorbells(q);
	/* late bursts of an earlier device may still try the gate */
	vhost_gate_close(&q->gate);
	q->gate.block = block;
	vhost_gate_open(&q->gate);
	vhost_queue_bring_handle(q);
	return 0;
}

/* Waking */

static enum vq_kicks
wanted_kicks(const struct vhost_queue *q)
{
	return __atomic_load_n(&q->kicks, __ATOMIC_RELAXED);
}

/** Wake an application that sleeps until a kick, as if the guest had kicked. */
static void
wake_application(struct vhost_queue *q)
{
	int fd = vhost_gate_borrow(&q->gate, GATE_KICK);

	/* whether a pipe of ours has room is asked in the same way */
	if (fd >= 0)
		vhost_doorbell_ring(fd, DOORBELL_EVENTFD);
	vhost_gate_give_back(&q->gate);
}

/**
 * Open the gate.  A burst that was turned away has seen none of what waits in the ring,
 * and its application may sleep now: look in its place.
 *
 * @param wake  whether the application is to be woken in any case
 */
static void
open_gate(struct vhost_queue *q, bool wake)
{
	while (vhost_gate_open(&q->gate) && !wake && wanted_kicks(q) == VQ_KICKS_ON) {
		struct vhost_virtqueue *block = vhost_gate_close(&q->gate);

		wake = block != NULL && vhost_block_request_kicks(block);
	}
	if (wake)
		wake_application(q);
}

void
vhost_queue_set_kicks(struct vhost_queue *q, bool wanted)
{
	enum vq_kicks kicks = wanted ? VQ_KICKS_ON : VQ_KICKS_OFF;
	struct vhost_virtqueue *block;
	struct vq_attr attr;
	bool wake = false;

	__atomic_store_n(&q->kicks, kicks, __ATOMIC_RELAXED);
	block = vhost_gate_close(&q->gate);
	if (block != NULL) {
		attr = block->attr;
		attr.kicks = kicks;
		vhost_block_apply(block, &attr);
		wake = vhost_block_request_kicks(block);
	}
	open_gate(q, wake);
}

/* Descriptors */

/** Close a descriptor that is in force no more. */
static void
discard_fd(struct vhost_queue *q, int fd)
{
	if (fd >= 0)
		vhost_gate_await_borrowers(&q->gate, fd);
	vhost_vu_discard_fd(fd);
}

/** Between two settles nobody hears of any but the first that was replaced. */
static void
replace_fd(struct vhost_queue *q, int *field, int *retired, int fd)
{
	if (*retired < 0)
		*retired = *field;
	else
		discard_fd(q, *field);
	*field = fd;
}

void
vhost_queue_set_kickfd(struct vhost_queue *q, int fd, enum doorbell_kind kind)
{
	vhost_gate_set_doorbell(&q->gate, GATE_KICK, fd);
	q->wish.kick_kind = kind;
	replace_fd(q, &q->wish.kickfd, &q->retired_kickfd, fd);
}

/** Have the block in place notify the guest there, at once if it missed a notification. */
static void
put_callfd_in_force(struct vhost_queue *q, int fd, enum doorbell_kind kind)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	bool missed = false;
	struct vq_attr attr;

	if (block != NULL) {
		missed = vhost_block_owes_notification(block);
		attr = block->attr;
		attr.callfd = RTE_MAX(fd, -1);
		attr.call_kind = kind;
		vhost_block_apply(block, &attr);
	}
	open_gate(q, false);
	vhost_gate_set_doorbell(&q->gate, GATE_CALL, fd);
	if (missed && fd >= 0)
		vhost_doorbell_ring(fd, kind);
}

void
vhost_queue_set_callfd(struct vhost_queue *q, int fd, enum doorbell_kind kind)
{
	/* bursts are not told of a change, so they make it now */
	put_callfd_in_force(q, fd, kind);
	q->wish.call_kind = kind;
	q->wish.knows_call = true;
	replace_fd(q, &q->wish.callfd, &q->retired_callfd, fd);
}

void
vhost_queue_close_retired(struct vhost_queue *q)
{
	if (q->retired_kickfd >= 0 || q->retired_callfd >= 0)
		show_doorbells(q);
	discard_fd(q, q->retired_kickfd);
	discard_fd(q, q->retired_callfd);
	q->retired_kickfd = QUEUE_FD_UNSET;
	q->retired_callfd = QUEUE_FD_UNSET;
	vhost_inflight_close_retired(&q->inflight);
}

/* State */

int
vhost_queue_set_base(struct vhost_queue *q, uint16_t last_avail, uint16_t last_used)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	int ret = -ENODEV;

	if (block != NULL)
		ret = vhost_block_set_base(block, last_avail, last_used);
	open_gate(q, false);
	return ret;
}

int
vhost_queue_get_base(struct vhost_queue *q, uint16_t *last_avail, uint16_t *last_used)
{
	const struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	int ret = -ENODEV;

	if (block != NULL) {
		*last_avail = block->state.last_avail_idx;
		*last_used = block->state.last_used_idx;
		ret = 0;
	}
	open_gate(q, false);
	return ret;
}

void
vhost_queue_announce(struct vhost_queue *q, const struct rte_ether_addr *mac)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	bool wake = false;

	if (block != NULL) {
		block->state.announce = true;
		memcpy(block->state.announce_mac, mac, sizeof(*mac));
		wake = vhost_block_request_kicks(block);
	}
	open_gate(q, wake);
}

uint16_t
vhost_queue_unused(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	uint16_t n = 0;

	if (block != NULL && block->size != 0 && block->attr.enabled)
		n = ring_unused(block, block->cfg.format);
	open_gate(q, false);
	return n;
}

uint16_t
vhost_queue_waiting(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	uint16_t n = 0;

	if (block != NULL && block->size != 0 && block->attr.enabled)
		n = ring_waiting(block, block->cfg.format);
	open_gate(q, false);
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
	int ret = notify_inside(vhost_gate_close(&q->gate));

	open_gate(q, false);
	return ret;
}

int
vhost_queue_try_notify(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_gate_try_enter(&q->gate);
	int ret;

	if (block == NULL)
		return -EAGAIN;
	ret = notify_inside(block);
	vhost_gate_leave(&q->gate);
	return ret;
}

int
vhost_queue_stats(struct vhost_queue *q, struct vq_stats *stats, bool reset)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	int ret = -ENODEV;

	if (block != NULL) {
		*stats = block->state.stats;
		if (reset)
			memset(&block->state.stats, 0, sizeof(block->state.stats));
		ret = 0;
	}
	open_gate(q, false);
	return ret;
}

int
vhost_queue_monitor(struct vhost_queue *q, struct rte_vhost_power_monitor_cond *cond)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	int ret = -ENODEV;

	if (block != NULL && block->size != 0) {
		ring_monitor(block, cond, block->cfg.format);
		ret = 0;
	}
	open_gate(q, false);
	return ret;
}

int
vhost_queue_relay_used(struct vhost_queue *q, struct vring *from)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	int ret = block != NULL && block->size != 0 ?
		ring_relay(block, from, block->cfg.format) : -1;

	open_gate(q, false);
	return ret;
}

void
vhost_queue_stop_wish(struct vhost_queue *q)
{
	q->wish.has_addr = false;
	vhost_gate_set_doorbell(&q->gate, GATE_KICK, QUEUE_FD_UNSET);
	replace_fd(q, &q->wish.kickfd, &q->retired_kickfd, QUEUE_FD_UNSET);
	/* in force until the settle: who is told to stop may notify a last time */
	replace_fd(q, &q->wish.callfd, &q->retired_callfd, QUEUE_FD_UNSET);
}

void
vhost_queue_reset_wish(struct vhost_queue *q)
{
	vhost_queue_stop_wish(q);
	q->wish = fresh_wish;
}

/**
 * The descriptor of before is the one that was replaced, if it is still there.
 *
 * @param[out] discard  one that has to be closed, or negative
 */
static int
restored_fd(int now, int before, int *retired, int *discard)
{
	*discard = QUEUE_FD_UNSET;
	if (now == before || (before >= 0 && *retired != before))
		return now;
	*discard = now;
	*retired = QUEUE_FD_UNSET;
	return before;
}

void
vhost_queue_restore_wish(struct vhost_queue *q, const struct queue_wish *before)
{
	int callfd = q->wish.callfd, old_callfd = QUEUE_FD_UNSET, old_kickfd;
	int kickfd = restored_fd(q->wish.kickfd, before->kickfd, &q->retired_kickfd,
			&old_kickfd);

	if (callfd != before->callfd) {
		put_callfd_in_force(q, before->callfd, before->call_kind);
		callfd = restored_fd(callfd, before->callfd, &q->retired_callfd, &old_callfd);
	}
	q->wish = *before;
	q->wish.kickfd = kickfd;
	q->wish.callfd = callfd;
	show_doorbells(q);
	discard_fd(q, old_kickfd);
	discard_fd(q, old_callfd);
}

void
vhost_queue_shut_down(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	int kickfd = q->wish.kickfd, callfd = q->wish.callfd;

	q->gate.block = NULL;
	vhost_gate_open(&q->gate);
	vhost_block_destroy(block);
	vhost_inflight_forget(&q->inflight);
	q->wish = fresh_wish;
	show_doorbells(q);
	discard_fd(q, kickfd);
	discard_fd(q, callfd);
	vhost_queue_close_retired(q);
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
	vhost_ring_locate(&q->wish, features, map, cfg);
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

/** Whether the block in place runs a ring of that format already. */
static bool
goes_on(const struct vhost_queue *q, const struct vq_cfg *cfg)
{
	return q->live && ring_is_same_format(vhost_queue_block(q)->cfg.format, cfg->format);
}

int
vhost_queue_stage_inflight(struct vhost_queue *q, const struct vq_cfg *cfg)
{
	return cfg->inflight == NULL || goes_on(q, cfg) ? 0 :
		vhost_inflight_stage(&q->inflight, cfg);
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
			vhost_node_move_pages(q, sizeof(*q), node) != -EAGAIN)
		q->handle_node = node;
	vhost_inflight_migrate(&q->inflight, q->gate.block);
}

void
vhost_queue_unstage(struct vhost_queue *q)
{
	vhost_block_destroy(q->staged);
	q->staged = NULL;
	vhost_inflight_unstage(&q->inflight);
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
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	struct queue_commit done = { 0 };
	bool starts = !q->live, wake = false;
	struct vq_attr attr = {
		.callfd = RTE_MAX(q->wish.callfd, -1),
		.call_kind = q->wish.call_kind,
		.enabled = enabled,
		/* read inside: whoever changes it comes to patch the block after us */
		.kicks = wanted_kicks(q),
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
	vhost_inflight_commit(&q->inflight, block);
	vhost_block_apply(block, &attr);
	/* what an application's own backend has written to its ring since is its own */
	if (starts || (block->net->flags & NET_BUILTIN))
		wake = vhost_block_request_kicks(block);
	if (done.old != NULL)
		q->pause_ns = ns_since(since);
	show_doorbells(q);
	open_gate(q, wake);
	q->live = block->size != 0;
	q->enabled = enabled;
	/* a ring that runs without the message has no interrupts, and goes on when disabled */
	if (q->live && q->wish.callfd == QUEUE_FD_UNSET)
		q->wish.callfd = QUEUE_FD_NONE;
	return done;
}
