/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Settling: the one place where a device's reality changes.
 *
 * A plan says, for the device and each queue, which block on which node there
 * shall be.  Everything that can fail (every allocation) happens while staging
 * the plan beside what runs; then the commit swaps one pointer per queue and
 * cannot fail.  So a settle has happened entirely or not at all.
 *
 * A plan is tried up to three times: with each block on the node it belongs on;
 * if a node has no memory, with each block where it is; and at last with those
 * blocks elsewhere that have to be new and do not find room there, because a
 * device on the wrong node is better than none.
 */

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "device.h"
#include "mem_node.h"
#include "net_ctrl.h"
#include "vdpa_driver.h"
#include "vhost_log.h"

struct plan {
	int dev_node;
	struct vq_cfg cfgs[VHOST_MAX_VRINGS];
	struct virtio_net *net;		/**< the device's own replica */
	struct virtio_net *replicas[PLACEMENT_MAX_NODES];
	int wanted[PLACEMENT_MAX_NODES];	/**< node each replica was wanted on */
	unsigned int nreplicas;
	bool may_dodge;		/**< a block may be where there is memory */
	int refused;		/**< first node that gave none, or VHOST_NODE_ANY */
};

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
	if (ops != NULL && ops->destroy_device != NULL)
		ops->destroy_device(dev->vid);
}

/* Planning */

static void
plan_shapes(struct vhost_device *dev, struct plan *plan)
{
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++)
		vhost_queue_shape(dev->queues[i], dev->features, dev->wish_map,
				dev->generation, &plan->cfgs[i]);
}

static bool
census_says_something(const struct placement_census *census)
{
	uint32_t i;

	for (i = 0; i < census->nregions; i++)
		if (census->regions[i].evidence == PLACEMENT_POLICY ||
				census->regions[i].evidence == PLACEMENT_PAGES)
			return true;
	return false;
}

/** Each block on the node it belongs on; nothing known: where the device is. */
static void
plan_nodes_wished(struct vhost_device *dev, struct plan *plan)
{
	struct mem_map *map = dev->wish_map;
	uint32_t i;
	int tie;

	plan->dev_node = dev->net->node;
	if (map == NULL)
		return;
	if (dev->census.generation != map->generation || !census_says_something(&dev->census))
		vhost_placement_census(map, &dev->census);
	tie = dev->nvrings > 0 && plan->cfgs[0].size != 0 ?
		vhost_queue_ring_node(dev->queues[0], map, &plan->cfgs[0]) : dev->net->node;
	plan->dev_node = vhost_placement_device_node(&dev->census, tie);
	if (plan->dev_node == VHOST_NODE_ANY)
		plan->dev_node = dev->net->node;
	for (i = 0; i < dev->nvrings; i++) {
		struct vq_cfg *cfg = &plan->cfgs[i];

		cfg->node = cfg->size == 0 ? VHOST_NODE_ANY :
			vhost_queue_ring_node(dev->queues[i], map, cfg);
		if (cfg->node == VHOST_NODE_ANY)
			cfg->node = plan->dev_node;
	}
}

static void
plan_nodes_unchanged(struct vhost_device *dev, struct plan *plan)
{
	uint32_t i;

	plan->dev_node = dev->net->node;
	for (i = 0; i < dev->nvrings; i++)
		plan->cfgs[i].node = vhost_queue_block(dev->queues[i])->node;
}

/* Staging */

static bool
is_in_use(const struct vhost_device *dev, const struct virtio_net *net)
{
	unsigned int i;

	for (i = 0; i < dev->nreplicas; i++)
		if (dev->replicas[i] == net)
			return true;
	return false;
}

/** A replica of this generation that already serves on the node. */
static struct virtio_net *
find_in_use(const struct vhost_device *dev, int node)
{
	unsigned int i;

	for (i = 0; i < dev->nreplicas; i++)
		if (dev->replicas[i]->generation == dev->generation &&
				(node == VHOST_NODE_ANY || dev->replicas[i]->node == node))
			return dev->replicas[i];
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

/** A node that has memory now; VHOST_NODE_ANY if nodes are not told. */
static int
spare_node(const struct vhost_device *dev)
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

/** A node has refused: whether there is another one to try, and which. */
static bool
plan_dodge(const struct vhost_device *dev, struct plan *plan, int *node)
{
	if (plan->refused == VHOST_NODE_ANY)
		plan->refused = *node;
	if (!plan->may_dodge)
		return false;
	*node = spare_node(dev);
	return true;
}

static int
stage_device(struct vhost_device *dev, struct plan *plan)
{
	plan->net = plan_replica(dev, plan, plan->dev_node);
	if (plan->net == NULL && plan_dodge(dev, plan, &plan->dev_node))
		plan->net = plan_replica(dev, plan, plan->dev_node);
	return plan->net != NULL ? 0 : -ENOMEM;
}

static int
stage_queue_once(struct vhost_device *dev, struct plan *plan, uint32_t index)
{
	struct vhost_queue *q = dev->queues[index];
	struct vq_cfg *cfg = &plan->cfgs[index];
	struct virtio_net *net = plan_replica(dev, plan, cfg->node);
	const struct vhost_virtqueue *block = vhost_queue_block(q);

	if (net == NULL)
		return -ENOMEM;
	if (block->net == net && vhost_vq_cfg_equal(cfg, &block->cfg))
		return 0;
	return vhost_queue_stage(q, cfg, net);
}

static int
stage_queue(struct vhost_device *dev, struct plan *plan, uint32_t index)
{
	int ret = stage_queue_once(dev, plan, index);

	if (ret < 0 && plan_dodge(dev, plan, &plan->cfgs[index].node))
		ret = stage_queue_once(dev, plan, index);
	return ret;
}

/** Whether a block will look at the replica once the plan is committed. */
static bool
plan_uses(const struct vhost_device *dev, const struct plan *plan, const struct virtio_net *net)
{
	uint32_t i;

	if (net == plan->net)
		return true;
	for (i = 0; i < dev->nvrings; i++) {
		const struct vhost_queue *q = dev->queues[i];
		const struct vhost_virtqueue *block = q->staged != NULL ?
			q->staged : vhost_queue_block(q);

		if (block->net == net)
			return true;
	}
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
		else if (!is_in_use(dev, net))
			vhost_virtio_net_destroy(net);
	}
	plan->nreplicas = kept;
}

static void
unstage(struct vhost_device *dev, struct plan *plan)
{
	unsigned int i;

	for (i = 0; i < dev->nvrings; i++)
		vhost_queue_unstage(dev->queues[i]);
	for (i = 0; i < plan->nreplicas; i++)
		if (!is_in_use(dev, plan->replicas[i]))
			vhost_virtio_net_destroy(plan->replicas[i]);
	plan->nreplicas = 0;
}

/** Build all that the plan needs; on failure, nothing. */
static int
stage(struct vhost_device *dev, struct plan *plan)
{
	uint32_t i;
	int ret;

	plan->nreplicas = 0;
	plan->refused = VHOST_NODE_ANY;
	ret = stage_device(dev, plan);
	for (i = 0; i < dev->nvrings && ret == 0; i++)
		ret = stage_queue(dev, plan, i);
	if (ret < 0)
		unstage(dev, plan);
	else
		plan_prune(dev, plan);
	return ret;
}

static void
warn_refused(struct vhost_device *dev, int node)
{
	dev->refusals++;
	if (dev->refused_node == node)
		return;
	dev->refused_node = node;
	VHOST_LOG_CONFIG(WARNING, "(%s) no DPDK memory on node %d, where the guest's memory is: "
		"the device stays on node %d; reserve hugepages on node %d and give EAL "
		"--socket-mem (Open vSwitch: other_config:dpdk-socket-mem) a value for it\n",
		dev->driver.path, node, dev->net->node, node);
}

static int
stage_somehow(struct vhost_device *dev, struct plan *plan)
{
	plan_nodes_wished(dev, plan);
	plan->may_dodge = false;
	if (stage(dev, plan) == 0) {
		dev->refused_node = VHOST_NODE_ANY;
		return 0;
	}
	if (plan->refused != VHOST_NODE_ANY)
		warn_refused(dev, plan->refused);
	plan_nodes_unchanged(dev, plan);
	if (stage(dev, plan) == 0)
		return 0;
	plan->may_dodge = true;
	return stage(dev, plan);
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

static void
commit_queue(struct vhost_device *dev, uint32_t index, struct move *move)
{
	struct vhost_queue *q = dev->queues[index];
	bool enabled = queue_enabled(dev, q);
	struct queue_commit done;

	move->from = vhost_queue_block(q)->node;
	move->to = move->from;
	if (!vhost_queue_needs_commit(q, enabled))
		return;
	done = vhost_queue_commit(q, enabled);
	move->to = vhost_queue_block(q)->node;
	vhost_block_destroy(done.old);
	if (done.adopted)
		VHOST_LOG_CONFIG(WARNING, "(%s) vring %u resumes from the used index in guest "
			"memory: packets in flight may be sent again or lost\n",
			dev->driver.path, index);
}

/** Swap in the plan's replicas and the wished map; what nobody uses any more goes. */
static void
commit_device(struct vhost_device *dev, struct plan *plan)
{
	struct virtio_net *old[PLACEMENT_MAX_NODES];
	unsigned int i, nold = dev->nreplicas;
	struct mem_map *old_map = dev->map;

	memcpy(old, dev->replicas, nold * sizeof(old[0]));
	memcpy(dev->replicas, plan->replicas, plan->nreplicas * sizeof(old[0]));
	dev->nreplicas = plan->nreplicas;
	rte_spinlock_lock(&dev->view_lock);
	dev->net = plan->net;
	dev->map = dev->wish_map;
	rte_spinlock_unlock(&dev->view_lock);
	if (dev->map != NULL)
		vhost_mem_map_get(dev->map);
	for (i = 0; i < nold; i++)
		if (!is_in_use(dev, old[i]))
			vhost_virtio_net_destroy(old[i]);
	vhost_mem_map_put(old_map);
}

/** What rte_vhost_get_vhost_vring() tells from now on. */
static void
update_view(struct vhost_device *dev, struct vhost_queue *q)
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
	rte_spinlock_unlock(&dev->view_lock);
}

static bool
is_move(const struct move *move)
{
	return move->from != move->to && move->from >= 0 && move->to >= 0;
}

static void
commit(struct vhost_device *dev, struct plan *plan)
{
	struct move moves[VHOST_MAX_VRINGS], dev_move;
	uint32_t i;

	dev_move.from = dev->net->node;
	dev_move.to = plan->net->node;
	for (i = 0; i < dev->nvrings; i++)
		commit_queue(dev, i, &moves[i]);
	commit_device(dev, plan);
	for (i = 0; i < dev->nvrings; i++)
		update_view(dev, dev->queues[i]);
	__atomic_store_n(&dev->data_vrings, vhost_device_data_vrings(dev), __ATOMIC_RELAXED);
	for (i = 0; i < dev->nvrings; i++) {
		if (!is_move(&moves[i]))
			continue;
		dev->moves++;
		VHOST_LOG_CONFIG(INFO, "(%s) reallocate vq from %d to %d node (queue %u)\n",
			dev->driver.path, moves[i].from, moves[i].to, i);
	}
	if (is_move(&dev_move)) {
		dev->moves++;
		VHOST_LOG_CONFIG(INFO, "(%s) reallocate dev from %d to %d node\n",
			dev->driver.path, dev_move.from, dev_move.to);
	}
}

/* Telling */

static void
tell_features(struct vhost_device *dev, uint64_t before)
{
	if (has_vdpa(dev) && dev->net->features != before)
		dev->driver.vdpa->ops->set_features(dev->vid);
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

int
vhost_device_settle(struct vhost_device *dev)
{
	uint64_t features = dev->net->features;
	struct plan plan;

	if (dev->stop_wanted) {
		dev->stop_wanted = false;
		vhost_device_stop(dev);
	}
	/* hardware uses the old memory until its driver is configured again */
	if (dev->wish_map != dev->map)
		close_vdpa(dev);
	plan_shapes(dev, &plan);
	if (stage_somehow(dev, &plan) < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) no memory to settle the device\n", dev->driver.path);
		return -ENOMEM;
	}
	commit(dev, &plan);
	vhost_net_ctrl_watch(dev);
	tell_features(dev, features);
	tell_vrings(dev);
	tell_device(dev);
	close_retired(dev);
	return 0;
}
