/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * A queue has a wish (struct queue_wish, among the device's) and a block (struct
 * vhost_virtqueue) that was built from a wish.  Messages change the wish.  A settle
 * of the device turns each wish into a shape, stages a block wherever the shape
 * differs from the block in place, and when every allocation of the device has
 * succeeded commits them, one pointer swap per queue.  The node is a part of the
 * shape: NUMA relocation is nothing but a settle.
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
#include "net_async.h"
#include "net_notify.h"
#include "queue.h"
#include "reaper.h"
#include "ring.h"
#include "ring_locate.h"
#include "vhost_given.h"

/** Have the gate know the descriptors in force. */
static void
show_doorbells(struct vhost_queue *q)
{
	vhost_gate_set_doorbell(&q->gate, GATE_CALL, q->callfd);
	vhost_gate_set_doorbell(&q->gate, GATE_KICK, q->kickfd);
}

void
vhost_queue_init(struct vhost_queue *q, uint16_t index, struct vhost_quota *quota)
{
	/* who is late with an earlier device may have said something to this one */
	__atomic_store_n(&q->kicks, VQ_KICKS_UNSAID, __ATOMIC_RELAXED);
	q->index = index;
	q->quota = quota;
	q->handle_node = VHOST_NODE_ANY;
	q->kickfd = QUEUE_FD_UNSET;
	q->callfd = QUEUE_FD_UNSET;
	q->retired_kickfd = QUEUE_FD_UNSET;
	q->retired_callfd = QUEUE_FD_UNSET;
	q->view.kickfd = QUEUE_FD_UNSET;
	q->view.callfd = QUEUE_FD_UNSET;
	show_doorbells(q);
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
	if (vhost_gate_open(&q->gate) && !wake && wanted_kicks(q) == VQ_KICKS_ON) {
		struct vhost_virtqueue *block = vhost_gate_close(&q->gate);

		wake = block != NULL && vhost_block_request_kicks(block);
		/* one who polls all the time may be turned away each time that it is looked */
		wake |= vhost_gate_open(&q->gate);
	}
	if (wake)
		wake_application(q);
}

/**
 * Leave the gate as who came to do something else than a burst.  One that was turned away
 * meanwhile may have missed what is in the ring: its application is to look again.
 */
static void
leave_gate(struct vhost_queue *q)
{
	if (vhost_gate_leave_and_look(&q->gate) && wanted_kicks(q) == VQ_KICKS_ON)
		wake_application(q);
}

void
vhost_queue_open_gate(struct vhost_queue *q)
{
	open_gate(q, false);
}

/* Descriptors */

/** Close a descriptor that is in force no more. */
static void
discard_fd(struct vhost_queue *q, int fd, enum doorbell_kind kind)
{
	if (fd >= 0)
		vhost_gate_await_borrowers(&q->gate, fd);
	vhost_doorbell_close(q->quota, fd, kind);
}

void
vhost_queue_close_retired(struct vhost_queue *q)
{
	discard_fd(q, q->retired_kickfd, q->retired_kick_kind);
	discard_fd(q, q->retired_callfd, q->retired_call_kind);
	q->retired_kickfd = QUEUE_FD_UNSET;
	q->retired_callfd = QUEUE_FD_UNSET;
	vhost_inflight_close_retired(&q->inflight);
}

/* What anybody may do to a queue */

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

/** Chains that were taken, and of which a packed ring does not know that they will be given. */
static uint16_t
taken_unused(const struct vhost_queue *q, const struct vhost_virtqueue *block)
{
	if (q->async == NULL || !ring_has_two_bases(block->cfg.format))
		return 0;
	return q->async->chains_submitted - q->async->chains_given;
}

uint16_t
vhost_queue_unused(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	uint16_t n = 0;

	if (block != NULL && block->size != 0 && block->attr.enabled)
		n = ring_unused(block, block->cfg.format) + taken_unused(q, block);
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
	if (ring_should_call(block, block->cfg.format) && net_may_ring_guest(block))
		net_kick_guest(block);
	return 0;
}

int
vhost_queue_notify(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_gate_enter_if_free(&q->gate);
	int ret;

	if (block != NULL) {
		ret = notify_inside(block);
		leave_gate(q);
		return ret;
	}
	/* among pollers who come back at once it has to announce itself */
	ret = notify_inside(vhost_gate_close(&q->gate));
	open_gate(q, false);
	return ret;
}

int
vhost_queue_try_notify(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_gate_enter_if_free(&q->gate);
	int ret;

	if (block == NULL)
		return -EAGAIN;
	ret = notify_inside(block);
	leave_gate(q);
	return ret;
}

void
vhost_queue_keep_promise(struct vhost_queue *q)
{
	/* as a burst, which may call back */
	struct vhost_virtqueue *block = vhost_gate_enter(&q->gate);

	if (block == NULL)
		return;
	if (block->state.notification_promised) {
		block->state.notification_promised = false;
		if (net_may_ring_guest(block))
			net_ring_guest(block);
	}
	leave_gate(q);
}

int
vhost_queue_stats(struct vhost_queue *q, struct vq_stats *stats, bool reset)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	int ret = -ENODEV;

	if (block != NULL) {
		vhost_block_count(block);
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

/** End what a handle leads to; its gate stays closed. */
static void
shut_down(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	int kickfd = q->kickfd, callfd = q->callfd;

	__atomic_store_n(&q->gate.block, NULL, __ATOMIC_RELAXED);
	vhost_block_destroy(block);
	vhost_inflight_forget(&q->inflight);
	q->kickfd = QUEUE_FD_UNSET;
	q->callfd = QUEUE_FD_UNSET;
	show_doorbells(q);
	discard_fd(q, kickfd, q->kick_kind);
	discard_fd(q, callfd, q->call_kind);
}

void
vhost_queues_shut_down(struct vhost_queue *first, uint32_t n)
{
	const size_t page = sizeof(struct vhost_queue_page);
	uint32_t i;

	for (i = 0; i < n; i++)
		shut_down(vhost_queue_of_page(first, i));
	/* zeros are an open gate without a block: who is late waits until then */
	if (n > 0)
		vhost_node_pages_clear(RTE_PTR_ALIGN_FLOOR(first, page), n * page);
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
vhost_queue_translate(struct vhost_queue *q, const struct mem_iotlb_gone *gone)
{
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);

	if (block != NULL)
		vhost_block_translate(block, gone);
	open_gate(q, false);
}

void
vhost_queue_migrate_handle(struct vhost_queue *q)
{
	int node = q->gate.block->node;

	if (node != VHOST_NODE_ANY && q->handle_node != node &&
			vhost_node_pages_bring(q, sizeof(*q), node) != -EAGAIN)
		q->handle_node = node;
	vhost_inflight_migrate(&q->inflight, q->gate.block);
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
	vhost_inflight_unstage(&q->inflight);
}

bool
vhost_queue_needs_commit(const struct vhost_queue *q, const struct queue_wish *wish, bool enabled)
{
	return q->staged != NULL || q->enabled != enabled || wish->has_base ||
		q->kickfd != wish->kickfd || q->callfd != wish->callfd;
}

/* A descriptor that is replaced stays open until those who know it have been told. */

static void
put_kickfd_in_force(struct vhost_queue *q, const struct queue_wish *wish)
{
	if (q->kickfd == wish->kickfd)
		return;
	q->retired_kickfd = q->kickfd;
	q->retired_kick_kind = q->kick_kind;
	q->kickfd = wish->kickfd;
	q->kick_kind = wish->kick_kind;
}

static void
put_callfd_in_force(struct vhost_queue *q, const struct queue_wish *wish)
{
	if (q->callfd == wish->callfd)
		return;
	q->retired_callfd = q->callfd;
	q->retired_call_kind = q->call_kind;
	q->callfd = wish->callfd;
	q->call_kind = wish->call_kind;
}

static void
put_fds_in_force(struct vhost_queue *q, const struct queue_wish *wish)
{
	put_kickfd_in_force(q, wish);
	put_callfd_in_force(q, wish);
	show_doorbells(q);
}

/** The block in place has the staged one as its successor.  Gate closed. */
static struct vhost_virtqueue *
swap_block(struct vhost_queue *q, struct vhost_virtqueue *old)
{
	struct vhost_virtqueue *block = q->staged;

	if (old != NULL)
		vhost_block_inherit(block, old);
	q->gate.block = block;
	q->staged = NULL;
	return block;
}

static uint64_t
ns_since(uint64_t cycles)
{
	return (rte_rdtsc() - cycles) * NS_PER_S / rte_get_tsc_hz();
}

struct queue_commit
vhost_queue_commit(struct vhost_queue *q, const struct queue_wish *wish, bool enabled)
{
	uint64_t since = rte_rdtsc();
	struct vhost_virtqueue *block = vhost_gate_close(&q->gate);
	struct queue_commit done = { 0 };
	bool missed = block != NULL && vhost_block_owes_notification(block);
	bool starts = !q->live, wake = false;
	struct vq_attr attr = {
		.callfd = RTE_MAX(wish->callfd, -1),
		.call_kind = wish->call_kind,
		.enabled = enabled,
		/* read inside: whoever changes it comes to patch the block after us */
		.kicks = wanted_kicks(q),
	};

	if (q->staged != NULL) {
		done.old = block;
		block = swap_block(q, block);
		starts |= done.old != NULL &&
			!ring_is_same_format(block->cfg.format, done.old->cfg.format);
	}
	VHOST_GIVEN(block != NULL); /* a queue has a block, or its first is staged */
	if (wish->has_base)
		vhost_block_set_base(block, wish->last_avail, wish->last_used);
	done.started = block->size != 0 && starts;
	if (done.started)
		done.resumed = vhost_block_start(block, !q->has_run);
	done.at = block->state.last_used_idx;
	missed |= done.started && vhost_block_owes_notification(block);
	vhost_inflight_commit(&q->inflight, block);
	vhost_block_apply(block, &attr);
	/* what an application's own backend has written to its ring meanwhile stays */
	if (starts || (block->net->flags & NET_BUILTIN))
		wake = vhost_block_request_kicks(block);
	put_fds_in_force(q, wish);
	q->live = block->size != 0;
	q->has_run |= q->live;
	q->enabled = enabled;
	open_gate(q, wake);
	if (done.old != NULL)
		q->pause_ns = ns_since(since);
	if (missed && q->callfd >= 0)
		vhost_doorbell_call(q->callfd, q->call_kind, q->index);
	return done;
}
