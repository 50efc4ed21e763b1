/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Settling: the one place where a device's reality changes.
 *
 * Everything that can fail (every allocation) happens while a plan is made,
 * beside what runs (plan.c); then the commit swaps one pointer per queue and
 * cannot fail.  So a settle has happened entirely or not at all, and one that
 * fails has not even stopped the device.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "mem_node.h"
#include "net_ctrl.h"
#include "numa_watch.h"
#include "plan.h"
#include "vdpa_driver.h"
#include "vhost_log.h"
#include "vhost_trace.h"

/** Nodes of one block before and after a commit. */
struct move {
	int from;
	int to;
};

static bool
has_vdpa(const struct vhost_device *dev)
{
	return dev->driver.vdpa != NULL;
}

static void
close_vdpa(struct vhost_device *dev)
{
	if (!dev->vdpa_configured)
		return;
	dev->vdpa_configured = false;
	dev->driver.vdpa->ops->dev_close(dev->vid);
}

void
vhost_device_stop(struct vhost_device *dev)
{
	const struct rte_vhost_device_ops *ops = dev->driver.ops;

	close_vdpa(dev);
	__atomic_store_n(&dev->ready, false, __ATOMIC_RELAXED);
	if (!dev->running)
		return;
	dev->running = false;
	vhost_device_note(dev, &dev->app_node, VHOST_NODE_ANY);
	if (ops != NULL && ops->destroy_device != NULL)
		ops->destroy_device(dev->vid);
}

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
		if (bit == 0 || (dev->refused_nodes & bit) == 0)
			warn_refusal(dev, refusal);
	}
	rte_spinlock_lock(&dev->view_lock);
	dev->refusals += plan->nrefusals > 0;
	dev->refused_nodes = nodes;
	if (plan->nrefusals > 0)
		dev->last_refusal = plan->refusals[0];
	rte_spinlock_unlock(&dev->view_lock);
}

/* Committing */

/** Whether packets may flow (vhost-user, "Ring states"). */
static bool
queue_enabled(const struct vhost_device *dev, const struct vhost_queue *q)
{
	bool enabled = q->wish.enabled ||
		!vhost_device_has(dev, VHOST_USER_F_PROTOCOL_FEATURES);

	return enabled && (dev->ctrl_pairs == 0 || q->index / 2 < dev->ctrl_pairs ||
		q->index >= vhost_device_data_vrings(dev));
}

/** Swap in a queue's block: where it was, where it is. */
static struct move
commit_queue(struct vhost_device *dev, uint32_t index)
{
	struct vhost_queue *q = dev->queues[index];
	bool enabled = queue_enabled(dev, q);
	struct queue_commit done;
	struct move move;

	move.from = vhost_queue_block(q)->node;
	move.to = move.from;
	if (!vhost_queue_needs_commit(q, enabled))
		return move;
	done = vhost_queue_commit(q, enabled);
	move.to = vhost_queue_block(q)->node;
	vhost_block_destroy(done.old);
	if (done.adopted)
		VHOST_LOG_CONFIG(WARNING, "(%s) vring %u resumes from the used index in guest "
			"memory: packets in flight may be sent again or lost\n",
			dev->driver.path, index);
	return move;
}

/** Swap in the plan's replicas, the wished map and log; what nobody uses any more goes. */
static void
commit_device(struct vhost_device *dev, struct plan *plan)
{
	struct virtio_net *old[PLACEMENT_MAX_NODES];
	unsigned int i, nold = dev->nreplicas;
	struct mem_map *old_map = dev->map;
	struct mem_log *old_log = dev->log;

	memcpy(old, dev->replicas, nold * sizeof(old[0]));
	rte_spinlock_lock(&dev->view_lock);
	memcpy(dev->replicas, plan->replicas, plan->nreplicas * sizeof(old[0]));
	dev->nreplicas = plan->nreplicas;
	dev->net = plan->net;
	dev->node = plan->net->node;
	dev->map = dev->wish_map;
	dev->log = dev->wish_log;
	__atomic_store_n(&dev->logging, dev->net->log.pages != 0, __ATOMIC_RELAXED);
	rte_spinlock_unlock(&dev->view_lock);
	if (dev->map != NULL)
		vhost_mem_map_get(dev->map);
	if (dev->log != NULL)
		vhost_mem_log_get(dev->log);
	for (i = 0; i < nold; i++)
		if (!vhost_plan_is_in_use(dev, old[i]))
			vhost_virtio_net_destroy(old[i]);
	vhost_mem_map_put(old_map);
	vhost_mem_log_put(old_log);
	vhost_inflight_area_put(&dev->inflight);
	dev->inflight = vhost_inflight_area_get(&dev->wish_inflight);
}

static bool
is_move(const struct move *move)
{
	return move->from != move->to && move->from >= 0 && move->to >= 0;
}

/** What rte_vhost_get_vhost_vring() and reports tell from now on. */
static void
update_view(struct vhost_device *dev, struct vhost_queue *q, const struct move *move)
{
	const struct vhost_virtqueue *block = vhost_queue_block(q);

	rte_spinlock_lock(&dev->view_lock);
	q->view = (struct rte_vhost_vring){
		.desc = block->desc,
		.avail = block->avail,
		.used = block->used,
		.log_guest_addr = q->wish.log_gpa,
		.callfd = q->wish.callfd,
		.kickfd = q->wish.kickfd,
		.size = q->wish.size,
	};
	__atomic_store_n(&q->numa.node, block->node, __ATOMIC_RELAXED);
	q->numa.ring_node = block->size != 0 ? q->placed.node : VHOST_NODE_ANY;
	q->numa.bytes = block->bytes;
	q->numa.refusals = q->refusals;
	q->numa.drifts = q->drifts;
	q->numa.last_pause_ns = q->pause_ns;
	q->numa.max_pause_ns = RTE_MAX(q->numa.max_pause_ns, q->pause_ns);
	q->numa.moves += is_move(move);
	dev->moves += is_move(move);
	rte_spinlock_unlock(&dev->view_lock);
}

static void
call_changed(struct vhost_device *dev, int queue, const struct move *move)
{
	if (dev->driver.numa_changed == NULL)
		return;
	if (queue == RTE_VHOST_NUMA_DEVICE && dev->running)
		vhost_device_note(dev, &dev->app_node, move->to);
	dev->driver.numa_changed(dev->vid, queue, move->from, move->to, dev->driver.numa_arg);
}

/** Say what moved: in the log, to tracers, to who has a callback. */
static void
tell_moves(struct vhost_device *dev, const struct move *moves, const struct move *dev_move)
{
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++) {
		if (!is_move(&moves[i]))
			continue;
		VHOST_LOG_CONFIG(INFO, "(%s) reallocate vq from %d to %d node (queue %u)\n",
			dev->driver.path, moves[i].from, moves[i].to, i);
		vhost_trace_numa_move(dev->vid, i, moves[i].from, moves[i].to,
			dev->queues[i]->pause_ns);
		call_changed(dev, i, &moves[i]);
	}
	if (!is_move(dev_move))
		return;
	VHOST_LOG_CONFIG(INFO, "(%s) reallocate dev from %d to %d node\n",
		dev->driver.path, dev_move->from, dev_move->to);
	vhost_trace_numa_move(dev->vid, PLAN_DEVICE, dev_move->from, dev_move->to, 0);
	call_changed(dev, RTE_VHOST_NUMA_DEVICE, dev_move);
}

static void
commit(struct vhost_device *dev, struct plan *plan)
{
	struct move moves[VHOST_MAX_VRINGS], dev_move;
	uint32_t i;

	dev_move.from = dev->net->node;
	dev_move.to = plan->net->node;
	for (i = 0; i < dev->nvrings; i++)
		moves[i] = commit_queue(dev, i);
	commit_device(dev, plan);
	rte_spinlock_lock(&dev->view_lock);
	dev->moves += is_move(&dev_move);
	rte_spinlock_unlock(&dev->view_lock);
	for (i = 0; i < dev->nvrings; i++)
		update_view(dev, dev->queues[i], &moves[i]);
	__atomic_store_n(&dev->data_vrings, vhost_device_data_vrings(dev), __ATOMIC_RELAXED);
	vhost_device_bring_handles(dev);
	tell_moves(dev, moves, &dev_move);
}

/* Telling */

static void
tell_features(struct vhost_device *dev, uint64_t before)
{
	const struct rte_vhost_device_ops *ops = dev->driver.ops;

	if (dev->net->features == before)
		return;
	if (has_vdpa(dev))
		dev->driver.vdpa->ops->set_features(dev->vid);
	if (dev->running && ops != NULL && ops->features_changed != NULL)
		ops->features_changed(dev->vid, dev->net->features);
}

static void
tell_vring_state(struct vhost_device *dev, struct vhost_queue *q, bool ready)
{
	const struct rte_vhost_device_ops *ops = dev->driver.ops;

	q->ready = ready;
	if (dev->vdpa_configured)
		dev->driver.vdpa->ops->set_vring_state(dev->vid, q->index, ready);
	if (ops != NULL && ops->vring_state_changed != NULL)
		ops->vring_state_changed(dev->vid, q->index, ready);
}

static void
tell_vrings(struct vhost_device *dev)
{
	const struct vhost_queue *ctrl = vhost_device_ctrl_queue(dev);
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++) {
		struct vhost_queue *q = dev->queues[i];
		bool ready = q->live && q->enabled && q != ctrl;

		if (q->ready && (!ready || q->retell))
			tell_vring_state(dev, q, false);
		q->retell = false;
		if (ready && !q->ready)
			tell_vring_state(dev, q, true);
	}
}

/** Vrings that have to be ready before the device is. */
static uint32_t
vrings_needed(const struct vhost_device *dev)
{
	if (has_vdpa(dev) && dev->driver.vdpa->type == RTE_VHOST_VDPA_DEVICE_TYPE_BLK)
		return 1;
	return dev->driver.builtin ? 2 : dev->nvrings;
}

static bool
device_is_ready(const struct vhost_device *dev)
{
	uint32_t i, needed = vrings_needed(dev);

	if (needed == 0 || dev->nvrings < needed || dev->map == NULL)
		return false;
	for (i = 0; i < needed; i++)
		if (!dev->queues[i]->ready)
			return false;
	return !(dev->protocol_features & (1ULL << VHOST_USER_PROTOCOL_F_STATUS)) ||
		(dev->status & VIRTIO_CONFIG_S_DRIVER_OK);
}

/** Call new_device; refused, it is asked again by the next settle. */
static void
start_device(struct vhost_device *dev)
{
	const struct rte_vhost_device_ops *ops = dev->driver.ops;

	if (!__atomic_exchange_n(&dev->ready, true, __ATOMIC_RELAXED))
		VHOST_LOG_CONFIG(INFO, "(%s) virtio is now ready for processing.\n",
			dev->driver.path);
	vhost_device_note(dev, &dev->app_node, dev->net->node);
	dev->running = ops == NULL || ops->new_device == NULL || ops->new_device(dev->vid) == 0;
}

/** Call dev_conf, likewise. */
static void
configure_vdpa(struct vhost_device *dev)
{
	if (dev->driver.vdpa->ops->dev_conf(dev->vid) == 0)
		dev->vdpa_configured = true;
	else
		VHOST_LOG_CONFIG(ERR, "(%s) the vDPA driver refuses the device\n",
			dev->driver.path);
}

static void
tell_device(struct vhost_device *dev)
{
	if (!dev->running && device_is_ready(dev))
		start_device(dev);
	if (dev->running && has_vdpa(dev) && !dev->vdpa_configured)
		configure_vdpa(dev);
}

static void
close_retired(struct vhost_device *dev)
{
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++)
		vhost_queue_close_retired(dev->queues[i]);
}

/**
 * Whether the application has to be led through destroy_device and new_device to
 * take buffers and cores from the device's node: another one than it was told,
 * from now on or since a look that moved the device alone.
 */
static bool
must_restart(const struct vhost_device *dev, const struct plan *plan)
{
	const struct move move = { .from = dev->app_node, .to = plan->net->node };

	return dev->restart_wanted && dev->running && dev->driver.numa_changed == NULL &&
		!has_vdpa(dev) && is_move(&move);
}

/** As if the guest had rebooted: applications forget their queues with the device. */
static void
stop_to_restart(struct vhost_device *dev)
{
	uint32_t i;

	vhost_device_stop(dev);
	for (i = 0; i < dev->nvrings; i++)
		dev->queues[i]->retell = true;
	vhost_device_count(dev, &dev->restarts);
}

int
vhost_device_settle(struct vhost_device *dev)
{
	uint64_t features = dev->net->features;
	struct plan plan;
	int ret;

	ret = vhost_plan_make(dev, &plan);
	note_refusals(dev, &plan);
	if (ret < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) no memory to settle the device\n", dev->driver.path);
		return ret;
	}
	if (dev->stop_wanted)
		vhost_device_stop(dev);
	else if (must_restart(dev, &plan))
		stop_to_restart(dev);
	dev->stop_wanted = false;
	/* hardware uses the old memory until its driver is configured again */
	if (dev->wish_map != dev->map)
		close_vdpa(dev);
	commit(dev, &plan);
	vhost_net_ctrl_watch(dev);
	tell_features(dev, features);
	tell_vrings(dev);
	tell_device(dev);
	close_retired(dev);
	vhost_numa_watch_settled(dev);
	return 0;
}
