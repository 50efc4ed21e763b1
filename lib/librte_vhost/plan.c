/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Planning: everything of a settle, and so of a NUMA relocation, that can fail.
 *
 * First each block gets the node it belongs on, by the policy of the socket.
 * Then what differs from the blocks in place is built beside them.  A node that
 * has no memory is no reason to stay for what belongs elsewhere: a block that
 * is refused stays where it is, with all it owns, and the others go on.  If it
 * has to be new (another ring, other memory) and finds no room there either, it
 * goes where there is room, because a queue on the wrong node is better than
 * none.  Only if there is none at all the plan fails, and nothing was built.
 *
 * A queue and the replica that it reads are on the same node: both or neither.
 */

#include <errno.h>
#include <string.h>

#include "mem_node.h"
#include "numa_evidence.h"
#include "plan.h"
#include "ring.h"
#include "ring_locate.h"
#include "vhost_trace.h"

/** A ring that runs has its region of the in-flight area, if there is one. */
static void
plan_region(const struct vhost_device *dev, struct vq_cfg *cfg)
{
	if (cfg->size == 0)
		return;
	cfg->inflight = vhost_inflight_region(&dev->wish.inflight, cfg->format, cfg->index);
	if (cfg->inflight != NULL)
		cfg->inflight_num = dev->wish.inflight.queue_size;
}

/** What a queue's block shall be, on the node where it is now. */
static void
plan_shape(const struct vhost_device *dev, const struct plan *plan, uint32_t index,
		struct vq_cfg *cfg)
{
	const struct vhost_virtqueue *block = vhost_queue_block(vhost_device_queue_at(dev, index));
	const struct ring_memory_map memory = vhost_device_ring_memory(dev);

	*cfg = (struct vq_cfg){
		.index = index,
		.node = block != NULL ? block->node : plan->dev_node,
		.generation = dev->wish.generation,
		.format = ring_format(dev->wish.features),
	};
	vhost_ring_locate(&dev->wish.queues[index], dev->wish.features, &memory, cfg);
	plan_region(dev, cfg);
}

static void
plan_shapes(struct vhost_device *dev, struct plan *plan)
{
	uint32_t i;

	plan->nvrings = dev->wish.nvrings;
	plan->dev_node = dev->running.net->node;
	for (i = dev->nvrings; i < plan->nvrings; i++)
		vhost_queue_init(vhost_device_queue_at(dev, i), i, dev->driver.quota);
	for (i = 0; i < plan->nvrings; i++)
		plan_shape(dev, plan, i, &plan->cfgs[i]);
}

/* Nodes */

/** Have the evidence know which rings there are; it asks about those that are new. */
static void
tell_rings(const struct vhost_device *dev, const struct plan *plan)
{
	uint32_t i;

	for (i = 0; i < plan->nvrings; i++) {
		const struct vq_cfg *cfg = &plan->cfgs[i];
		const struct ring_areas areas = ring_areas(cfg->size, cfg->format);
		const struct evidence_ring ring = {
			.desc = { cfg->desc, areas.desc.bytes },
			.avail = { cfg->avail, areas.avail.bytes },
			.used = { cfg->used, areas.used.bytes },
		};

		if (cfg->size != 0)
			vhost_evidence_ring_is(dev->evidence, i, &ring);
		else
			vhost_evidence_ring_gone(dev->evidence, i);
	}
}

/** Each block on the node it belongs on; nothing known: where the device is. */
static void
follow_guest(const struct vhost_device *dev, struct plan *plan)
{
	int node = vhost_evidence_device_node(dev->evidence, dev->running.net->node);
	uint32_t i;

	if (node != VHOST_NODE_ANY)
		plan->dev_node = node;
	for (i = 0; i < plan->nvrings; i++) {
		node = vhost_evidence_ring_node(dev->evidence, i);
		plan->cfgs[i].node = node != VHOST_NODE_ANY ? node : plan->dev_node;
	}
}

static void
pin_to(struct plan *plan, int node)
{
	uint32_t i;

	plan->dev_node = node;
	for (i = 0; i < plan->nvrings; i++)
		plan->cfgs[i].node = node;
}

/**
 * By the policy; what it says nothing of stays where it is, as the shapes say.  A
 * pinned device has evidence as well, to tell what is remote.
 */
static void
plan_nodes(const struct vhost_device *dev, struct plan *plan)
{
	const struct rte_vhost_numa_policy *policy = &dev->driver.numa;

	if (policy->mode != RTE_VHOST_NUMA_OFF && dev->wish.map != NULL) {
		tell_rings(dev, plan);
		follow_guest(dev, plan);
	}
	if (policy->mode == RTE_VHOST_NUMA_PIN)
		pin_to(plan, policy->node);
}

/* Replicas */

bool
vhost_plan_is_in_use(const struct vhost_device *dev, const struct virtio_net *net)
{
	unsigned int i;

	for (i = 0; i < dev->running.nreplicas; i++)
		if (dev->running.replicas[i] == net)
			return true;
	return false;
}

/** A replica of this generation that already serves on the node. */
static struct virtio_net *
find_in_use(const struct vhost_device *dev, int node)
{
	unsigned int i;

	for (i = 0; i < dev->running.nreplicas; i++)
		if (dev->running.replicas[i]->generation == dev->wish.generation &&
				(node == VHOST_NODE_ANY || dev->running.replicas[i]->node == node))
			return dev->running.replicas[i];
	return NULL;
}

static bool
plan_has(const struct plan *plan, const struct virtio_net *net)
{
	unsigned int i;

	for (i = 0; i < plan->nreplicas; i++)
		if (plan->replicas[i] == net)
			return true;
	return false;
}

/** The plan's replica for a node, built if need be; NULL if that node refuses. */
static struct virtio_net *
plan_replica(struct vhost_device *dev, struct plan *plan, int node)
{
	struct virtio_net_cfg cfg;
	struct virtio_net *net;
	unsigned int i;

	for (i = 0; i < plan->nreplicas; i++)
		if (plan->wanted[i] == node)
			return plan->replicas[i];
	if (plan->nreplicas == RTE_DIM(plan->replicas))
		return NULL;
	net = find_in_use(dev, node);
	/* a block whose node the kernel did not tell is served by any of them */
	if (net != NULL && plan_has(plan, net))
		return net;
	if (net == NULL) {
		vhost_device_net_cfg(dev, &cfg);
		net = vhost_virtio_net_create(&cfg, dev->driver.path, node);
	}
	if (net != NULL) {
		plan->wanted[plan->nreplicas] = node;
		plan->replicas[plan->nreplicas++] = net;
	}
	return net;
}

/** A node with room for the device's replica; VHOST_NODE_ANY if nodes are not told. */
static int
spare_node_for_device(const struct vhost_device *dev)
{
	struct virtio_net_cfg cfg;
	struct virtio_net *net;
	int node;

	vhost_device_net_cfg(dev, &cfg);
	net = vhost_virtio_net_create(&cfg, dev->driver.path, VHOST_NODE_ANY);
	node = net != NULL ? net->node : VHOST_NODE_ANY;
	vhost_virtio_net_destroy(net);
	return node;
}

/** The same for a queue's block, which is larger: a crowded node may have room for one alone. */
static int
spare_node_for_queue(const struct vhost_device *dev, const struct vq_cfg *wished)
{
	struct vq_cfg cfg = *wished;
	struct vhost_virtqueue *block;
	int node;

	cfg.node = VHOST_NODE_ANY;
	block = vhost_block_create(&cfg, dev->running.net);
	node = block != NULL ? block->node : VHOST_NODE_ANY;
	vhost_block_destroy(block);
	return node;
}

static int
spare_node(const struct vhost_device *dev, const struct plan *plan, int index)
{
	return index == PLAN_DEVICE ? spare_node_for_device(dev) :
		spare_node_for_queue(dev, &plan->cfgs[index]);
}

/* Staging */

/** Stage the device's replica, or a queue's block with its replica, on a node. */
static int
stage_on(struct vhost_device *dev, struct plan *plan, int index, int node)
{
	struct virtio_net *net = plan_replica(dev, plan, node);
	const struct vhost_virtqueue *block;
	struct vq_cfg *cfg;

	if (net == NULL)
		return -ENOMEM;
	if (index == PLAN_DEVICE) {
		plan->net = net;
		return 0;
	}
	cfg = &plan->cfgs[index];
	cfg->node = node;
	block = vhost_queue_block(vhost_device_queue_at(dev, index));
	if (block != NULL && block->net == net && vhost_vq_cfg_equal(cfg, &block->cfg))
		return 0;
	return vhost_queue_stage(vhost_device_queue_at(dev, index), cfg, net);
}

/** The block that a queue will have once the plan is committed. */
static const struct vhost_virtqueue *
block_planned(const struct vhost_queue *q)
{
	return q->staged != NULL ? q->staged : vhost_queue_block(q);
}

static int
node_planned(const struct vhost_device *dev, const struct plan *plan, int index)
{
	if (index == PLAN_DEVICE)
		return plan->net->node;
	return block_planned(vhost_device_queue_at(dev, index))->node;
}

/** Note that a node refused; index is somewhere else, or nowhere (ret < 0). */
static void
note_refusal(struct vhost_device *dev, struct plan *plan, int index, int node, int ret)
{
	int instead = ret == 0 ? node_planned(dev, plan, index) : VHOST_NODE_ANY;
	unsigned int i;

	vhost_trace_numa_refusal(dev->vid, index, node, instead);
	if (index != PLAN_DEVICE)
		vhost_device_queue_at(dev, index)->refusals++;
	for (i = 0; i < plan->nrefusals; i++)
		if (plan->refusals[i].node == node)
			return;
	if (plan->nrefusals < RTE_DIM(plan->refusals))
		plan->refusals[plan->nrefusals++] = (struct device_refusal){
			.node = node, .queue = index, .instead = instead,
		};
}

/** Stage on the node where it belongs, else where it is, else where there is room. */
static int
stage_somewhere(struct vhost_device *dev, struct plan *plan, int index, int wished, int here)
{
	int ret = stage_on(dev, plan, index, wished);

	if (ret == 0)
		return 0;
	if (here != wished)
		ret = stage_on(dev, plan, index, here);
	if (ret < 0)
		ret = stage_on(dev, plan, index, spare_node(dev, plan, index));
	note_refusal(dev, plan, index, wished, ret);
	return ret;
}

/** Where a queue's block is; one that is to be the first can be where the device is. */
static int
node_now(const struct vhost_device *dev, const struct plan *plan, uint32_t index)
{
	const struct vhost_virtqueue *block = vhost_queue_block(vhost_device_queue_at(dev, index));

	return block != NULL ? block->node : plan->net->node;
}

static int
stage(struct vhost_device *dev, struct plan *plan)
{
	uint32_t i;
	int ret;

	ret = stage_somewhere(dev, plan, PLAN_DEVICE, plan->dev_node, dev->running.net->node);
	for (i = 0; i < plan->nvrings && ret == 0; i++)
		ret = stage_somewhere(dev, plan, i, plan->cfgs[i].node, node_now(dev, plan, i));
	for (i = 0; i < plan->nvrings && ret == 0; i++)
		ret = vhost_queue_stage_inflight(vhost_device_queue_at(dev, i), &plan->cfgs[i]);
	return ret;
}

/** Whether a block will look at the replica once the plan is committed. */
static bool
plan_uses(const struct vhost_device *dev, const struct plan *plan, const struct virtio_net *net)
{
	uint32_t i;

	if (net == plan->net)
		return true;
	for (i = 0; i < plan->nvrings; i++)
		if (block_planned(vhost_device_queue_at(dev, i))->net == net)
			return true;
	return false;
}

/** Drop replicas whose queues had to go elsewhere. */
static void
plan_prune(struct vhost_device *dev, struct plan *plan)
{
	unsigned int i, kept = 0;

	for (i = 0; i < plan->nreplicas; i++) {
		struct virtio_net *net = plan->replicas[i];

		if (plan_uses(dev, plan, net))
			plan->replicas[kept++] = net;
		else if (!vhost_plan_is_in_use(dev, net))
			vhost_virtio_net_destroy(net);
	}
	plan->nreplicas = kept;
}

void
vhost_plan_drop(struct vhost_device *dev, struct plan *plan)
{
	unsigned int i;

	for (i = 0; i < plan->nvrings; i++)
		vhost_queue_unstage(vhost_device_queue_at(dev, i));
	for (i = 0; i < plan->nreplicas; i++)
		if (!vhost_plan_is_in_use(dev, plan->replicas[i]))
			vhost_virtio_net_destroy(plan->replicas[i]);
	plan->nreplicas = 0;
}

int
vhost_plan_make(struct vhost_device *dev, struct plan *plan)
{
	int ret;

	plan->nreplicas = 0;
	plan->nrefusals = 0;
	plan_shapes(dev, plan);
	plan_nodes(dev, plan);
	ret = stage(dev, plan);
	if (ret < 0)
		vhost_plan_drop(dev, plan);
	else
		plan_prune(dev, plan);
	return ret;
}
