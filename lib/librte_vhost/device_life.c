/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A device begins on the node where devices are born, since nothing is known of its
 * guest yet, and ends with the connection.  Handles stay for the next device of the
 * vid; their memory does not.
 */

#include <errno.h>
#include <string.h>

#include "crypto/crypto.h"
#include "device_life.h"
#include "iotlb_ask.h"
#include "listeners.h"
#include "mem_node.h"
#include "net_ctrl.h"
#include "numa_evidence.h"
#include "numa_watch.h"
#include "postcopy.h"
#include "queue_async.h"
#include "vdpa.h"
#include "vhost_log.h"
#include "vu_backchannel.h"

/** Who hears of changes, in this order (see listeners.c). */
static const struct device_listener *const listeners[] = {
	&vhost_listener_vdpa,
	&vhost_listener_crypto,
	&vhost_listener_app,
	&vhost_listener_ctrl,
	&vhost_listener_iotlb,
	&vhost_listener_watch,
	NULL
};

/** The node where the device is born. */
static int
birth_node(const struct vhost_device *dev)
{
	return dev->driver.numa.mode == RTE_VHOST_NUMA_PIN ? dev->driver.numa.node :
		vhost_node_home();
}

/** The first replica: on the node where devices are born, or wherever there is memory. */
static int
build_net(struct vhost_device *dev)
{
	struct virtio_net_cfg cfg;
	struct virtio_net *net;

	vhost_device_net_cfg(dev, &cfg);
	net = vhost_virtio_net_create(&cfg, dev->driver.path, birth_node(dev));
	if (net == NULL)
		net = vhost_virtio_net_create(&cfg, dev->driver.path, VHOST_NODE_ANY);
	if (net == NULL)
		return -ENOMEM;
	dev->running.net = net;
	dev->running.node = net->node;
	dev->running.replicas[0] = net;
	dev->running.nreplicas = 1;
	return 0;
}

/** What a device has apart, made once for all that will have the vid. */
static int
make_parts(struct vhost_device *dev)
{
	if (dev->postcopy == NULL)
		dev->postcopy = vhost_postcopy_create(dev);
	if (dev->evidence == NULL)
		dev->evidence = vhost_evidence_create(dev->vid);
	return dev->postcopy != NULL && dev->evidence != NULL ? 0 : -ENOMEM;
}

static int
device_init(struct vhost_device *dev, const struct vhost_driver *driver, struct vu_link *link)
{
	const int handle_node = dev->running.handle_node;

	rte_spinlock_lock(&dev->view_lock);
	dev->driver = *driver;
	dev->running = (struct device_running){ .handle_node = handle_node };
	vhost_listeners_init(dev, listeners);
	rte_spinlock_unlock(&dev->view_lock);
	dev->link = link;
	dev->patience = (struct device_patience){ 0 };
	memset(&dev->extern_ops, 0, sizeof(dev->extern_ops));
	memset(dev->back.notifiers, 0, sizeof(dev->back.notifiers));
	vhost_wish_init(&dev->wish);
	__atomic_store_n(&dev->data_vrings, 0, __ATOMIC_RELAXED);
	if (make_parts(dev) < 0 || build_net(dev) < 0)
		return -ENOMEM;
	vhost_device_migrate_handles(dev);
	return 0;
}

/** Call new_connection. */
static bool
app_accepts(const struct vhost_device *dev)
{
	const struct rte_vhost_device_ops *ops = dev->driver.ops;

	/* a VDUSE device is there without a connection */
	if (dev->driver.vduse || ops == NULL || ops->new_connection == NULL ||
			ops->new_connection(dev->vid) >= 0)
		return true;
	VHOST_LOG_CONFIG(ERR, "(%s) the application refuses the connection\n",
		dev->driver.path);
	return false;
}

struct vhost_device *
vhost_device_create(const struct vhost_driver *driver, struct vu_link *link)
{
	struct vhost_device *dev = vhost_device_take();
	bool accepted;

	if (dev == NULL) {
		VHOST_LOG_CONFIG(ERR, "(%s) no room for another device\n", driver->path);
		return NULL;
	}
	vhost_device_lock(dev);
	if (device_init(dev, driver, link) < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) no memory for a device\n", driver->path);
		vhost_device_unlock(dev);
		vhost_device_give_back(dev);
		return NULL;
	}
	__atomic_store_n(&dev->in_use, 1, __ATOMIC_RELEASE);
	vhost_numa_watch_begin(dev);
	VHOST_LOG_CONFIG(INFO, "(%s) new device, handle is %d\n", driver->path, dev->vid);
	accepted = app_accepts(dev);
	vhost_device_unlock(dev);
	if (accepted)
		return dev;
	vhost_device_destroy(dev, false);
	return NULL;
}

/** Nobody finds map, log and replicas from here on: release them. */
static void
release_running(struct vhost_device *dev)
{
	struct device_running *running = &dev->running;
	unsigned int i, nreplicas = running->nreplicas;
	struct mem_map *map = running->map;
	struct mem_log *log = running->log;

	__atomic_store_n(&dev->logging, false, __ATOMIC_RELAXED);
	rte_spinlock_lock(&dev->view_lock);
	running->net = NULL;
	running->map = NULL;
	running->log = NULL;
	running->nreplicas = 0;
	rte_spinlock_unlock(&dev->view_lock);
	for (i = 0; i < nreplicas; i++)
		vhost_virtio_net_destroy(running->replicas[i]);
	vhost_mem_map_put(map);
	vhost_mem_log_put(log);
	vhost_inflight_area_put(&running->inflight);
}

/** End copies under way while rings and memory are there. */
static void
end_copies(struct vhost_device *dev, uint32_t nvrings)
{
	uint64_t deadline = vhost_queue_async_deadline();
	uint32_t i;

	for (i = 0; i < nvrings; i++)
		vhost_queue_async_end(vhost_device_queue_at(dev, i), dev->running.map, deadline);
}

/** The handles are not to be found any more; who is late finds gates without blocks. */
static void
shut_down_queues(struct vhost_device *dev)
{
	uint32_t nvrings = dev->nvrings;

	rte_spinlock_lock(&dev->view_lock);
	vhost_device_publish_queues(dev, 0);
	rte_spinlock_unlock(&dev->view_lock);
	end_copies(dev, nvrings);
	vhost_queues_shut_down(dev->queues, nvrings);
}

/** The driver forgets the device. */
static void
tell_cleanup(struct vhost_device *dev)
{
	const struct rte_vdpa_dev_ops *ops;

	if (dev->driver.vdpa == NULL)
		return;
	ops = vhost_vdpa_ops(dev->driver.vdpa);
	if (ops->dev_cleanup != NULL)
		ops->dev_cleanup(dev->vid);
}

static void
tell_end(struct vhost_device *dev, bool tell_connection)
{
	const struct rte_vhost_device_ops *ops = dev->driver.ops;

	vhost_listeners_stop(dev);
	tell_cleanup(dev);
	if (tell_connection && ops != NULL && ops->destroy_connection != NULL)
		ops->destroy_connection(dev->vid);
}

void
vhost_device_destroy(struct vhost_device *dev, bool tell_connection)
{
	/* first: who holds the lock may wait for a page that does not come any more */
	vhost_postcopy_release_waiters(dev->postcopy);
	vhost_device_lock(dev);
	tell_end(dev, tell_connection);
	__atomic_store_n(&dev->in_use, 0, __ATOMIC_RELEASE);
	vhost_numa_watch_end(dev);
	vhost_net_ctrl_unwatch(dev);
	vhost_iotlb_ask_no_more(dev);
	vhost_crypto_end(dev);
	shut_down_queues(dev);
	release_running(dev);
	vhost_evidence_clear(dev->evidence);
	vhost_wish_end(&dev->wish);
	vhost_postcopy_end(dev->postcopy);
	vhost_backchannel_replace(dev, -1);
	vhost_device_unlock(dev);
	vhost_device_give_back(dev);
}

static bool
map_is_lost(const struct mem_map *map)
{
	return map != NULL && vhost_mem_map_is_broken(map);
}

static bool
log_is_lost(const struct mem_log *log)
{
	return log != NULL && vhost_mem_log_is_broken(log);
}

bool
vhost_device_lost_memory(const struct vhost_device *dev)
{
	return map_is_lost(dev->running.map) || map_is_lost(dev->wish.map) ||
		log_is_lost(dev->running.log) || log_is_lost(dev->wish.log) ||
		vhost_inflight_area_is_broken(&dev->running.inflight) ||
		vhost_inflight_area_is_broken(&dev->wish.inflight);
}
