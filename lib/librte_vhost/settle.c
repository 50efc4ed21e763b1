/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Settling, which NUMA relocation is a case of: the one place where a device's
 * reality changes.
 *
 * Everything that can fail (every allocation) happens while a plan is made,
 * beside what runs (plan.c); then the commit swaps one pointer per queue and
 * cannot fail.  So a settle has happened entirely or not at all, and one that
 * fails has not even stopped the device.
 *
 * This is a leaf: what it has to do is in the request, what it has done in the
 * settlement, and it calls nobody who wants to hear of it.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "mem_node.h"
#include "numa_evidence.h"
#include "queue_async.h"
#include "ring.h"
#include "settle.h"
#include "vhost_log.h"

/* Refusals */

static void
warn_refusal(const struct vhost_device *dev, const struct device_refusal *refusal)
{
	char what[32] = "the device";

	if (refusal->queue != PLAN_DEVICE)
		snprintf(what, sizeof(what), "queue %d", refusal->queue);
	VHOST_LOG_CONFIG(WARNING, "(%s) no memory on node %d, where %s belongs: "
		"it stays on node %d; node %d is full (see numastat -m), or closed to this "
		"process by its cpuset\n",
		dev->driver.path, refusal->node, what, refusal->instead, refusal->node);
}

/** Count and tell refusals; of a node that goes on refusing once only. */
static void
note_refusals(struct vhost_device *dev, const struct plan *plan)
{
	uint64_t nodes = 0;
	unsigned int i;

	for (i = 0; i < plan->nrefusals; i++) {
		const struct device_refusal *refusal = &plan->refusals[i];
		uint64_t bit = placement_node_bit(refusal->node);

		nodes |= bit;
		if (bit == 0 || (dev->running.refused_nodes & bit) == 0)
			warn_refusal(dev, refusal);
	}
	rte_spinlock_lock(&dev->view_lock);
	dev->running.refusals += plan->nrefusals > 0;
	dev->running.refused_nodes = nodes;
	if (plan->nrefusals > 0)
		dev->running.last_refusal = plan->refusals[0];
	rte_spinlock_unlock(&dev->view_lock);
}

/* Committing */

/** Whether packets may flow (vhost-user, "Ring states"). */
static bool
queue_enabled(const struct vhost_device *dev, uint32_t index)
{
	bool enabled = dev->wish.queues[index].enabled ||
		!vhost_device_has(dev, VHOST_USER_F_PROTOCOL_FEATURES) ||
		vhost_device_starts_by_kick(dev);

	return enabled && (dev->wish.ctrl_pairs == 0 || index / 2 < dev->wish.ctrl_pairs ||
		index >= vhost_device_data_vrings(dev));
}

static int
block_node(const struct vhost_queue *q)
{
	const struct vhost_virtqueue *block = vhost_queue_block(q);

	return block != NULL ? block->node : VHOST_NODE_ANY;
}

/** Say where a ring goes on if that is not where the frontend said. */
static void
log_resumption(const struct vhost_device *dev, uint32_t index, enum ring_resumed resumed,
		uint16_t at)
{
	const struct vhost_virtqueue *block = vhost_queue_block(vhost_device_queue_at(dev, index));
	const char *path = dev->driver.path;

	if (resumed == RING_UNCLEAR)
		VHOST_LOG_CONFIG(WARNING, "(%s) vring %u: its descriptors do not tell where an "
			"earlier backend stopped, it starts as the frontend says, at %u\n",
			path, index, at);
	else if (resumed == RING_ADOPTED && ring_has_two_bases(block->cfg.format))
		VHOST_LOG_CONFIG(WARNING, "(%s) vring %u resumes at 0x%x as its descriptors tell: "
			"packets in flight may be sent again or lost\n", path, index, at);
	else if (resumed == RING_ADOPTED)
		VHOST_LOG_CONFIG(WARNING, "(%s) vring %u resumes from the used index in guest "
			"memory: packets in flight may be sent again or lost\n", path, index);
}

/** Swap in a queue's block: where it was, where it is. */
static struct device_move
commit_queue(struct vhost_device *dev, uint32_t index)
{
	struct vhost_queue *q = vhost_device_queue_at(dev, index);
	struct queue_wish *wish = &dev->wish.queues[index];
	struct device_move move = { .from = block_node(q), .to = block_node(q) };
	bool enabled = queue_enabled(dev, index);
	struct queue_commit done;

	/* a ring that is started without the message has no interrupts */
	if (q->staged != NULL && q->staged->size != 0 && wish->callfd == QUEUE_FD_UNSET)
		wish->callfd = QUEUE_FD_NONE;
	if (!vhost_queue_needs_commit(q, wish, enabled))
		return move;
	done = vhost_queue_commit(q, wish, enabled);
	wish->has_base = false;
	move.to = block_node(q);
	vhost_block_destroy(done.old);
	if (done.started)
		log_resumption(dev, index, done.resumed, done.at);
	return move;
}

/** Swap in the plan's replicas, the wished map and log; what nobody uses any more goes. */
static void
commit_device(struct vhost_device *dev, struct plan *plan)
{
	struct virtio_net *old[PLACEMENT_MAX_NODES];
	unsigned int i, nold = dev->running.nreplicas;
	struct mem_map *old_map = dev->running.map;
	struct mem_log *old_log = dev->running.log;

	/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are copied */
	memcpy(old, dev->running.replicas, nold * sizeof(old[0]));
	rte_spinlock_lock(&dev->view_lock);
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): the same */
	memcpy(dev->running.replicas, plan->replicas, plan->nreplicas * sizeof(old[0]));
	dev->running.nreplicas = plan->nreplicas;
	dev->running.net = plan->net;
	dev->running.node = plan->net->node;
	dev->running.map = dev->wish.map;
	dev->running.log = dev->wish.log;
	__atomic_store_n(&dev->logging, dev->running.net->log.pages != 0, __ATOMIC_RELAXED);
	rte_spinlock_unlock(&dev->view_lock);
	if (dev->running.map != NULL)
		vhost_mem_map_get(dev->running.map);
	if (dev->running.log != NULL)
		vhost_mem_log_get(dev->running.log);
	for (i = 0; i < nold; i++)
		if (!vhost_plan_is_in_use(dev, old[i]))
			vhost_virtio_net_destroy(old[i]);
	vhost_mem_map_put(old_map);
	vhost_mem_log_put(old_log);
	vhost_inflight_area_put(&dev->running.inflight);
	dev->running.inflight = vhost_inflight_area_get(&dev->wish.inflight);
}

/**
 * Have all bursts translate as the frontend says by now.  When this returns none is
 * under way that does otherwise: an invalidation may be acknowledged.
 *
 * @param nvrings  those that are named for the first time are among them: their blocks
 *                 were staged with the view that is the spare one next
 */
static void
commit_iotlb(struct vhost_device *dev, uint32_t nvrings)
{
	struct mem_iotlb *iotlb = dev->wish.iotlb;
	struct mem_iotlb_gone gone;
	uint32_t i;

	if (!vhost_device_has(dev, VIRTIO_F_ACCESS_PLATFORM) ||
			!vhost_mem_iotlb_has_changed(iotlb))
		return;
	gone = vhost_mem_iotlb_published(iotlb);
	for (i = 0; i < dev->running.nreplicas; i++)
		vhost_virtio_net_translate(dev->running.replicas[i], iotlb, dev->running.map);
	for (i = 0; i < nvrings; i++)
		vhost_queue_translate(vhost_device_queue_at(dev, i), &gone);
	/* I1 pairs with I2 */
	__atomic_fetch_add(&dev->translated, 1, __ATOMIC_RELEASE);
}

/** Say where a ring is, if that is new; before update_view(). */
static void
log_ring(const struct vhost_device *dev, uint32_t index)
{
	const struct queue_wish *wish = &dev->wish.queues[index];
	const struct vhost_queue *q = vhost_device_queue_at(dev, index);
	const struct vhost_virtqueue *block = vhost_queue_block(q);
	const char *path = dev->driver.path;

	if (block->size == 0 || block->desc == q->view.desc)
		return;
	VHOST_LOG_CONFIG(DEBUG, "(%s) mapped address desc: %p\n", path, block->desc);
	VHOST_LOG_CONFIG(DEBUG, "(%s) mapped address avail: %p\n", path, block->avail);
	VHOST_LOG_CONFIG(DEBUG, "(%s) mapped address used: %p\n", path, block->used);
	VHOST_LOG_CONFIG(DEBUG, "(%s) log_guest_addr: %" PRIx64 "\n", path,
		wish->log_ring ? wish->log_gpa : 0);
}

/** What rte_vhost_get_vhost_vring() and reports tell from now on. */
static void
update_view(struct vhost_device *dev, uint32_t index, const struct device_move *move)
{
	const struct queue_wish *wish = &dev->wish.queues[index];
	struct vhost_queue *q = vhost_device_queue_at(dev, index);
	const struct vhost_virtqueue *block = vhost_queue_block(q);

	rte_spinlock_lock(&dev->view_lock);
	q->view = (struct rte_vhost_vring){
		.desc = block->desc,
		.avail = block->avail,
		.used = block->used,
		.log_guest_addr = wish->log_gpa,
		/* nobody can write to a device what would notify of a ring */
		.callfd = q->call_kind == DOORBELL_VDUSE ? QUEUE_FD_NONE : q->callfd,
		.kickfd = q->kickfd,
		.size = wish->size,
	};
	__atomic_store_n(&q->numa.node, block->node, __ATOMIC_RELAXED);
	q->numa.ring_node = block->size != 0 ? vhost_evidence_ring_node(dev->evidence, index) :
		VHOST_NODE_ANY;
	q->numa.bytes = block->bytes;
	q->numa.refusals = q->refusals;
	q->numa.drifts = vhost_evidence_ring_changes(dev->evidence, index);
	q->numa.last_pause_ns = q->pause_ns;
	q->numa.max_pause_ns = RTE_MAX(q->numa.max_pause_ns, q->pause_ns);
	q->numa.moves += move_is_one(move);
	dev->running.moves += move_is_one(move);
	rte_spinlock_unlock(&dev->view_lock);
}

/** Queues that were named for the first time exist from now on. */
static void
publish_queues(struct vhost_device *dev, uint32_t nvrings)
{
	vhost_device_publish_queues(dev, nvrings);
	__atomic_store_n(&dev->data_vrings, vhost_device_data_vrings(dev), __ATOMIC_RELAXED);
}

/** The map that evidence is about. */
static void
set_evidence_map(struct vhost_device *dev, struct mem_map *map)
{
	bool off = dev->driver.numa.mode == RTE_VHOST_NUMA_OFF;

	vhost_evidence_set_map(dev->evidence, off ? NULL : map);
}

/** Ask where the guest's memory is, as far as the answer is not known. */
static void
gather_evidence(struct vhost_device *dev, const struct settle_request *request)
{
	set_evidence_map(dev, dev->wish.map);
	if (request->reprobe)
		vhost_evidence_reprobe(dev->evidence);
	else
		vhost_evidence_gather(dev->evidence);
}

/** Which queues may not go on copying through the commit. */
static void
find_disturbed(struct vhost_device *dev, struct settlement *settlement)
{
	const bool has_async = dev->driver.flags & RTE_VHOST_USER_ASYNC_COPY;
	uint32_t i;

	for (i = 0; i < settlement->plan.nvrings; i++)
		settlement->disturbed[i] = has_async && vhost_queue_async_is_disturbed(
			vhost_device_queue_at(dev, i), queue_enabled(dev, i));
}

/** End copies under way, for all disturbed queues together in limited time. */
static void
end_copies(struct vhost_device *dev, const struct settlement *settlement)
{
	uint64_t deadline = vhost_queue_async_deadline();
	uint32_t i;

	for (i = 0; i < settlement->plan.nvrings; i++)
		if (settlement->disturbed[i])
			vhost_queue_async_finish(vhost_device_queue_at(dev, i), dev->running.map,
				deadline);
}

/** With the memory that the blocks in place have. */
static void
resume_copies(struct vhost_device *dev, const struct settlement *settlement)
{
	const bool pinned = dev->running.map != NULL && vhost_mem_map_is_pinned(dev->running.map);
	const bool remaps = settlement->remaps && (dev->driver.flags & RTE_VHOST_USER_ASYNC_COPY);
	uint32_t i;

	for (i = 0; i < settlement->plan.nvrings; i++)
		if (settlement->disturbed[i] || remaps)
			vhost_queue_async_resume(vhost_device_queue_at(dev, i), pinned);
}

int
vhost_settle_prepare(struct vhost_device *dev, const struct settle_request *request,
		struct settlement *settlement)
{
	int ret;

	gather_evidence(dev, request);
	ret = vhost_plan_make(dev, &settlement->plan);
	note_refusals(dev, &settlement->plan);
	if (ret < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) no memory to settle the device\n", dev->driver.path);
		set_evidence_map(dev, dev->running.map);
		return ret;
	}
	settlement->remaps = dev->wish.map != dev->running.map;
	settlement->features_before = dev->running.net->features;
	if ((dev->driver.flags & RTE_VHOST_USER_ASYNC_COPY) && settlement->remaps &&
			dev->wish.map != NULL)
		vhost_mem_map_reach(dev->wish.map);
	find_disturbed(dev, settlement);
	return 0;
}

/** Windows of rings that were given up, or that a plan had that was dropped. */
static void
sweep_windows(struct vhost_device *dev)
{
	const struct vhost_virtqueue *block;
	uint32_t i;

	if (dev->wish.windows == NULL)
		return;
	for (i = 0; i < dev->nvrings; i++) {
		block = vhost_queue_block(vhost_device_queue_at(dev, i));
		vhost_ring_windows_keep(dev->wish.windows, block->cfg.desc);
		vhost_ring_windows_keep(dev->wish.windows, block->cfg.avail);
		vhost_ring_windows_keep(dev->wish.windows, block->cfg.used);
	}
	vhost_ring_windows_sweep(dev->wish.windows);
}

void
vhost_settle_commit(struct vhost_device *dev, struct settlement *settlement)
{
	struct plan *plan = &settlement->plan;
	uint32_t i;

	settlement->device.from = dev->running.net->node;
	settlement->device.to = plan->net->node;
	end_copies(dev, settlement);
	for (i = 0; i < plan->nvrings; i++)
		settlement->queues[i] = commit_queue(dev, i);
	commit_device(dev, plan);
	commit_iotlb(dev, plan->nvrings);
	resume_copies(dev, settlement);
	rte_spinlock_lock(&dev->view_lock);
	dev->running.moves += move_is_one(&settlement->device);
	rte_spinlock_unlock(&dev->view_lock);
	for (i = 0; i < plan->nvrings; i++) {
		log_ring(dev, i);
		update_view(dev, i, &settlement->queues[i]);
	}
	publish_queues(dev, plan->nvrings);
	sweep_windows(dev);
	vhost_device_migrate_handles(dev);
}

void
vhost_settle_end(struct vhost_device *dev)
{
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++)
		vhost_queue_close_retired(vhost_device_queue_at(dev, i));
}
