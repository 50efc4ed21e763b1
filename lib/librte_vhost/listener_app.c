/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* The application as a listener: its rte_vhost_device_ops, its callback for NUMA relocations. */

#include "listeners.h"
#include "mem_node.h"
#include "vhost_log.h"

static void
app_stop(struct vhost_device *dev)
{
	const struct rte_vhost_device_ops *ops = dev->driver.ops;

	__atomic_store_n(&dev->told.ready, false, __ATOMIC_RELAXED);
	if (!dev->told.running)
		return;
	dev->told.running = false;
	vhost_device_record(dev, &dev->told.app_node, VHOST_NODE_ANY);
	if (ops != NULL && ops->destroy_device != NULL)
		ops->destroy_device(dev->vid);
}

static void
app_moved(struct vhost_device *dev, int queue, const struct device_move *move)
{
	if (dev->driver.numa_changed == NULL)
		return;
	if (queue == RTE_VHOST_NUMA_DEVICE && dev->told.running)
		vhost_device_record(dev, &dev->told.app_node, move->to);
	dev->driver.numa_changed(dev->vid, queue, move->from, move->to, dev->driver.numa_arg);
}

static void
app_features(struct vhost_device *dev)
{
	const struct rte_vhost_device_ops *ops = dev->driver.ops;

	if (dev->told.running && ops != NULL && ops->features_changed != NULL)
		ops->features_changed(dev->vid, dev->running.net->features);
}

static void
app_vring_state(struct vhost_device *dev, const struct vhost_queue *q, bool ready)
{
	const struct rte_vhost_device_ops *ops = dev->driver.ops;

	if (ops != NULL && ops->vring_state_changed != NULL)
		ops->vring_state_changed(dev->vid, q->index, ready);
}

/** Call new_device; refused, it is asked again after the next settle. */
static void
app_start(struct vhost_device *dev)
{
	const struct rte_vhost_device_ops *ops = dev->driver.ops;

	if (dev->told.running)
		return;
	if (!__atomic_exchange_n(&dev->told.ready, true, __ATOMIC_RELAXED))
		VHOST_LOG_CONFIG(INFO, "(%s) virtio is now ready for processing.\n",
			dev->driver.path);
	vhost_device_record(dev, &dev->told.app_node, dev->running.net->node);
	dev->told.running = ops == NULL || ops->new_device == NULL ||
		ops->new_device(dev->vid) == 0;
}

const struct device_listener vhost_listener_app = {
	.stop = app_stop,
	.moved = app_moved,
	.features = app_features,
	.vring_state = app_vring_state,
	.start = app_start,
};
