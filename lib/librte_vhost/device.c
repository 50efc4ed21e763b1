/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The life of a device and the table of all devices.
 *
 * A device's memory is used again for the next device of the same vid and never
 * freed, so that a thread which is late with a vid finds an unused device or
 * another frontend's, but never freed memory.  Its address does not change; its
 * pages are moved to the device's node by the kernel.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "mem_heap.h"
#include "mem_node.h"
#include "net_ctrl.h"
#include "numa_watch.h"
#include "vdpa_driver.h"
#include "vhost_log.h"
#include "vhost_trace.h"
#include "vu_backchannel.h"

static struct vhost_device *devices[VHOST_MAX_DEVICES];
static pthread_mutex_t devices_lock = PTHREAD_MUTEX_INITIALIZER;
/** Vids whose device has an owner, from before it is visible until after it is not. */
static bool vid_taken[VHOST_MAX_DEVICES];

struct vhost_device *
vhost_device_peek(int vid)
{
	struct vhost_device *dev;

	if (unlikely(vid < 0 || vid >= VHOST_MAX_DEVICES))
		return NULL;
	/* D3 pairs with D4 */
	dev = __atomic_load_n(&devices[vid], __ATOMIC_ACQUIRE);
	if (unlikely(dev == NULL || !__atomic_load_n(&dev->in_use, __ATOMIC_ACQUIRE)))
		return NULL;
	return dev;
}

struct vhost_device *
vhost_device_get(int vid)
{
	struct vhost_device *dev = vhost_device_peek(vid);

	if (unlikely(dev == NULL))
		VHOST_LOG_CONFIG(ERR, "(%d) device not found.\n", vid);
	return dev;
}

static struct vhost_device *
device_alloc(int vid)
{
	struct vhost_device *dev = vhost_node_pages(sizeof(*dev));
	pthread_mutexattr_t attr;

	if (dev == NULL)
		return NULL;
	dev->vid = vid;
	dev->handle_node = VHOST_NODE_ANY;
	dev->ctrl_kick.fd = -1;
	dev->backend_fd = -1;
	vhost_postcopy_init(dev);
	pthread_mutex_init(&dev->backend_lock, NULL);
	pthread_mutex_init(&dev->backend_request_lock, NULL);
	rte_spinlock_init(&dev->view_lock);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&dev->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	return dev;
}

/** Take the lowest free vid. */
static struct vhost_device *
device_take(void)
{
	struct vhost_device *dev = NULL;
	int vid;

	pthread_mutex_lock(&devices_lock);
	for (vid = 0; vid < VHOST_MAX_DEVICES && vid_taken[vid]; vid++)
		;
	if (vid < VHOST_MAX_DEVICES) {
		dev = devices[vid] != NULL ? devices[vid] : device_alloc(vid);
		if (dev != NULL) {
			vid_taken[vid] = true;
			/* D4 pairs with D3 */
			__atomic_store_n(&devices[vid], dev, __ATOMIC_RELEASE);
		}
	}
	pthread_mutex_unlock(&devices_lock);
	return dev;
}

static void
device_give_back(struct vhost_device *dev)
{
	pthread_mutex_lock(&devices_lock);
	vid_taken[dev->vid] = false;
	pthread_mutex_unlock(&devices_lock);
}

static uint32_t
net_flags(const struct vhost_driver *driver)
{
	return (driver->builtin ? NET_BUILTIN : 0) |
		(driver->flags & RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS ?
			NET_COMPLIANT_OL_FLAGS : 0) |
		(driver->flags & RTE_VHOST_USER_LINEARBUF_SUPPORT ? NET_LINEARBUF : 0) |
		(driver->flags & RTE_VHOST_USER_EXTBUF_SUPPORT ? NET_EXTBUF : 0) |
		(driver->flags & RTE_VHOST_USER_NET_STATS_ENABLE ? NET_STATS : 0);
}

void
vhost_device_net_cfg(const struct vhost_device *dev, struct virtio_net_cfg *cfg)
{
	*cfg = (struct virtio_net_cfg){
		.vid = dev->vid,
		.flags = net_flags(&dev->driver),
		.features = dev->features,
		.generation = dev->generation,
		.map = dev->wish_map,
		.log = dev->wish_log,
		.ops = dev->driver.ops,
	};
}

/** The node where the device is born. */
static int
birth_node(const struct vhost_device *dev)
{
	return dev->driver.numa.mode == RTE_VHOST_NUMA_PIN ? dev->driver.numa.node :
		vhost_node_home();
}

/** The first replica: on the node where devices are born, or wherever there is memory. */
static int
device_build_net(struct vhost_device *dev)
{
	struct virtio_net_cfg cfg;

	vhost_device_net_cfg(dev, &cfg);
	dev->net = vhost_virtio_net_create(&cfg, dev->driver.path, birth_node(dev));
	if (dev->net == NULL)
		dev->net = vhost_virtio_net_create(&cfg, dev->driver.path, VHOST_NODE_ANY);
	if (dev->net == NULL)
		return -ENOMEM;
	dev->node = dev->net->node;
	dev->replicas[0] = dev->net;
	dev->nreplicas = 1;
	return 0;
}

static void
device_init_placement(struct vhost_device *dev)
{
	memset(&dev->census, 0, sizeof(dev->census));
	memset(&dev->seen, 0, sizeof(dev->seen));
	dev->seen_node = VHOST_NODE_ANY;
	dev->app_node = VHOST_NODE_ANY;
	dev->refused_nodes = 0;
	dev->moves = 0;
	dev->refusals = 0;
	dev->drifts = 0;
	dev->probes = 0;
	dev->restarts = 0;
	dev->restart_wanted = false;
}

static int
device_init(struct vhost_device *dev, const struct vhost_driver *driver, struct vu_link *link)
{
	dev->driver = *driver;
	dev->link = link;
	dev->features = 0;
	dev->protocol_features = 0;
	dev->mtu = 0;
	dev->status = 0;
	dev->wish_map = NULL;
	dev->wish_log = NULL;
	dev->generation = 1;
	dev->stop_wanted = false;
	dev->ctrl_pairs = 0;
	memset(&dev->extern_ops, 0, sizeof(dev->extern_ops));
	dev->ready = false;
	dev->running = false;
	dev->data_vrings = 0;
	dev->vdpa_configured = false;
	dev->map = NULL;
	dev->log = NULL;
	dev->logging = false;
	device_init_placement(dev);
	if (device_build_net(dev) < 0)
		return -ENOMEM;
	vhost_device_bring_handles(dev);
	return 0;
}

struct vhost_device *
vhost_device_create(const struct vhost_driver *driver, struct vu_link *link)
{
	struct vhost_device *dev = device_take();

	if (dev == NULL) {
		VHOST_LOG_CONFIG(ERR, "(%s) no room for another device\n", driver->path);
		return NULL;
	}
	vhost_device_lock(dev);
	if (device_init(dev, driver, link) < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) no memory for a device\n", driver->path);
		vhost_device_unlock(dev);
		device_give_back(dev);
		return NULL;
	}
	__atomic_store_n(&dev->in_use, 1, __ATOMIC_RELEASE);
	vhost_numa_watch_begin(dev);
	VHOST_LOG_CONFIG(INFO, "(%s) new device, handle is %d\n", driver->path, dev->vid);
	if (driver->ops != NULL && driver->ops->new_connection != NULL &&
			driver->ops->new_connection(dev->vid) < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) the application refuses the connection\n",
			driver->path);
		vhost_device_unlock(dev);
		vhost_device_destroy(dev, false);
		return NULL;
	}
	vhost_device_unlock(dev);
	return dev;
}

static void
device_release_memory(struct vhost_device *dev)
{
	unsigned int i, nreplicas = dev->nreplicas;
	struct mem_map *map = dev->map;
	struct mem_log *log = dev->log;

	rte_spinlock_lock(&dev->view_lock);
	dev->net = NULL;
	dev->map = NULL;
	dev->log = NULL;
	dev->nreplicas = 0;
	rte_spinlock_unlock(&dev->view_lock);
	for (i = 0; i < nreplicas; i++)
		vhost_virtio_net_destroy(dev->replicas[i]);
	vhost_mem_map_put(map);
	vhost_mem_map_put(dev->wish_map);
	dev->wish_map = NULL;
	vhost_mem_log_put(log);
	vhost_mem_log_put(dev->wish_log);
	dev->wish_log = NULL;
	vhost_postcopy_end(dev);
	vhost_inflight_area_put(&dev->inflight);
	vhost_inflight_area_put(&dev->wish_inflight);
	vhost_backchannel_replace(dev, -1);
}

void
vhost_device_destroy(struct vhost_device *dev, bool tell_connection)
{
	const struct rte_vhost_device_ops *ops = dev->driver.ops;
	uint32_t i, nvrings;

	/* first: who holds the lock may wait for a page that does not come any more */
	vhost_postcopy_abandon(dev);
	vhost_device_lock(dev);
	vhost_device_stop(dev);
	if (dev->driver.vdpa != NULL && dev->driver.vdpa->ops->dev_cleanup != NULL)
		dev->driver.vdpa->ops->dev_cleanup(dev->vid);
	if (tell_connection && ops != NULL && ops->destroy_connection != NULL)
		ops->destroy_connection(dev->vid);
	__atomic_store_n(&dev->in_use, 0, __ATOMIC_RELEASE);
	vhost_net_ctrl_unwatch(dev);
	nvrings = dev->nvrings;
	__atomic_store_n(&dev->nvrings, 0, __ATOMIC_RELEASE);
	for (i = 0; i < nvrings; i++)
		vhost_queue_shut_down(dev->queues[i]);
	device_release_memory(dev);
	vhost_device_unlock(dev);
	device_give_back(dev);
}

static void
lock_taken(struct vhost_device *dev)
{
	if (dev->lock_depth++ == 0)
		vhost_postcopy_turn(&dev->postcopy);
}

void
vhost_device_lock(struct vhost_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	lock_taken(dev);
}

bool
vhost_device_try_lock(struct vhost_device *dev)
{
	if (pthread_mutex_trylock(&dev->lock) != 0)
		return false;
	lock_taken(dev);
	return true;
}

bool
vhost_device_is_inside(struct vhost_device *dev)
{
	bool inside;

	if (!vhost_device_try_lock(dev))
		return false;
	inside = dev->lock_depth > 1;
	vhost_device_unlock(dev);
	return inside;
}

void
vhost_device_unlock(struct vhost_device *dev)
{
	if (--dev->lock_depth == 0)
		vhost_postcopy_turn(&dev->postcopy);
	pthread_mutex_unlock(&dev->lock);
}

static int
bring_up_next_queue(struct vhost_device *dev)
{
	const struct rte_vhost_vring nothing = {
		.callfd = QUEUE_FD_UNSET,
		.kickfd = QUEUE_FD_UNSET,
	};
	uint32_t index = dev->nvrings;

	if (dev->queues[index] == NULL)
		dev->queues[index] = vhost_queue_create(index);
	if (dev->queues[index] == NULL ||
			vhost_queue_bring_up(dev->queues[index], dev->net) < 0)
		return -ENOMEM;
	/* what an earlier device of this vid had is gone */
	rte_spinlock_lock(&dev->view_lock);
	dev->queues[index]->view = nothing;
	rte_spinlock_unlock(&dev->view_lock);
	/* D2 pairs with D1 */
	__atomic_store_n(&dev->nvrings, index + 1, __ATOMIC_RELEASE);
	return 0;
}

int
vhost_device_need_queue(struct vhost_device *dev, uint32_t index)
{
	if (index >= VHOST_MAX_VRINGS) {
		VHOST_LOG_CONFIG(ERR, "(%s) invalid vring index: %u\n",
			dev->driver.path, index);
		return -EINVAL;
	}
	while (dev->nvrings <= index) {
		if (bring_up_next_queue(dev) < 0) {
			VHOST_LOG_CONFIG(ERR, "(%s) no memory for vring %u\n",
				dev->driver.path, dev->nvrings);
			return -ENOMEM;
		}
	}
	return 0;
}

void
vhost_device_wish_map(struct vhost_device *dev, struct mem_map *map)
{
	vhost_mem_map_put(dev->wish_map);
	dev->wish_map = map;
	dev->generation++;
}

void
vhost_device_wish_log(struct vhost_device *dev, struct mem_log *log)
{
	vhost_mem_log_put(dev->wish_log);
	dev->wish_log = log;
	/* else nobody writes to it */
	if (vhost_device_has(dev, VHOST_F_LOG_ALL))
		dev->generation++;
}

void
vhost_device_reset_wish(struct vhost_device *dev)
{
	uint32_t i;

	dev->stop_wanted = true;
	dev->features = 0;
	dev->protocol_features = 0;
	dev->mtu = 0;
	dev->status = 0;
	dev->ctrl_pairs = 0;
	vhost_backchannel_replace(dev, -1);
	vhost_device_wish_map(dev, NULL);
	vhost_device_wish_log(dev, NULL);
	vhost_inflight_area_put(&dev->wish_inflight);
	for (i = 0; i < dev->nvrings; i++)
		vhost_queue_reset_wish(dev->queues[i]);
}

void
vhost_device_keep_wish(struct vhost_device *dev, struct device_wish *kept)
{
	uint32_t i;

	kept->features = dev->features;
	kept->protocol_features = dev->protocol_features;
	kept->generation = dev->generation;
	kept->mtu = dev->mtu;
	kept->ctrl_pairs = dev->ctrl_pairs;
	kept->status = dev->status;
	kept->stop_wanted = dev->stop_wanted;
	kept->map = dev->wish_map != NULL ? vhost_mem_map_get(dev->wish_map) : NULL;
	kept->log = dev->wish_log != NULL ? vhost_mem_log_get(dev->wish_log) : NULL;
	kept->inflight = vhost_inflight_area_get(&dev->wish_inflight);
	kept->nvrings = dev->nvrings;
	for (i = 0; i < dev->nvrings; i++)
		kept->queues[i] = dev->queues[i]->wish;
}

void
vhost_device_restore_wish(struct vhost_device *dev, struct device_wish *kept)
{
	uint32_t i;

	dev->features = kept->features;
	__atomic_store_n(&dev->protocol_features, kept->protocol_features, __ATOMIC_RELAXED);
	dev->generation = kept->generation;
	__atomic_store_n(&dev->mtu, kept->mtu, __ATOMIC_RELAXED);
	dev->ctrl_pairs = kept->ctrl_pairs;
	dev->status = kept->status;
	dev->stop_wanted = kept->stop_wanted;
	vhost_mem_map_put(dev->wish_map);
	dev->wish_map = kept->map;
	vhost_mem_log_put(dev->wish_log);
	dev->wish_log = kept->log;
	vhost_inflight_area_put(&dev->wish_inflight);
	dev->wish_inflight = kept->inflight;
	for (i = 0; i < kept->nvrings; i++)
		vhost_queue_restore_wish(dev->queues[i], &kept->queues[i]);
}

void
vhost_device_forget_wish(struct device_wish *kept)
{
	vhost_mem_map_put(kept->map);
	vhost_mem_log_put(kept->log);
	vhost_inflight_area_put(&kept->inflight);
}

uint32_t
vhost_device_data_vrings(const struct vhost_device *dev)
{
	if (!dev->driver.builtin)
		return dev->nvrings;
	if (!vhost_device_has(dev, VIRTIO_NET_F_MQ))
		return RTE_MIN(dev->nvrings, 2u);
	return vhost_device_has(dev, VIRTIO_NET_F_CTRL_VQ) ?
		RTE_ALIGN_FLOOR(dev->nvrings, 2) : dev->nvrings;
}

struct vhost_queue *
vhost_device_ctrl_queue(const struct vhost_device *dev)
{
	uint32_t index = vhost_device_data_vrings(dev);
	struct vhost_queue *q;

	/* frontends may describe ring 0, or 2, entirely before they name the next */
	if (!dev->driver.builtin || !vhost_device_has(dev, VIRTIO_NET_F_CTRL_VQ) ||
			index < 2 || index == dev->nvrings)
		return NULL;
	q = dev->queues[index];
	return q->live && q->enabled ? q : NULL;
}

/* Placement */

void
vhost_device_bring_handles(struct vhost_device *dev)
{
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++)
		vhost_queue_bring_handle(dev->queues[i]);
	if (dev->node != VHOST_NODE_ANY && dev->handle_node != dev->node &&
			vhost_node_pages_bring(dev, sizeof(*dev), dev->node) != -EAGAIN)
		dev->handle_node = dev->node;
}

void
vhost_device_note(struct vhost_device *dev, int *field, int value)
{
	rte_spinlock_lock(&dev->view_lock);
	*field = value;
	rte_spinlock_unlock(&dev->view_lock);
}

void
vhost_device_count(struct vhost_device *dev, uint64_t *counter)
{
	rte_spinlock_lock(&dev->view_lock);
	++*counter;
	rte_spinlock_unlock(&dev->view_lock);
}

bool
vhost_device_edit(struct vhost_device *dev, const char *path,
		int (*fn)(struct vhost_driver *driver, void *arg), void *arg)
{
	bool mine;

	vhost_device_lock(dev);
	mine = dev->net != NULL && strcmp(dev->driver.path, path) == 0;
	if (mine) {
		rte_spinlock_lock(&dev->view_lock);
		fn(&dev->driver, arg);
		rte_spinlock_unlock(&dev->view_lock);
	}
	vhost_device_unlock(dev);
	return mine;
}

/** Keep what a look at the guest's memory found; decides: placement rests on it. */
static void
note_census(struct vhost_device *dev, const struct placement_census *census, bool decides)
{
	uint32_t i;

	for (i = 0; i < census->nregions; i++) {
		const struct placement_region *r = &census->regions[i];

		vhost_trace_numa_probe(dev->vid, i, r->evidence, r->asked, r->known,
			vhost_placement_region_node(r));
	}
	rte_spinlock_lock(&dev->view_lock);
	dev->seen = *census;
	if (decides) {
		dev->census = *census;
		dev->seen_node = VHOST_NODE_ANY;
	}
	dev->probes++;
	rte_spinlock_unlock(&dev->view_lock);
}

void
vhost_device_take_census(struct vhost_device *dev)
{
	struct placement_census census;

	vhost_placement_recount(dev->wish_map, dev->map, &dev->census, &census);
	note_census(dev, &census, true);
}

/** Look at the guest's memory again: whether the device belongs on another node. */
static bool
look_at_memory(struct vhost_device *dev)
{
	int tie = dev->nvrings > 0 && dev->queues[0]->live ? dev->queues[0]->placed.node :
		dev->node;
	int before = vhost_placement_device_node(&dev->census, tie), now;
	struct placement_census census;

	vhost_placement_census(dev->wish_map, &census);
	now = vhost_placement_device_node(&census, tie);
	if (now == VHOST_NODE_ANY || now == before) {
		note_census(dev, &census, now != VHOST_NODE_ANY);
		return false;
	}
	if (before != VHOST_NODE_ANY && dev->seen_node != now) {
		note_census(dev, &census, false);
		dev->seen_node = now;
		return false;
	}
	note_census(dev, &census, true);
	if (before != VHOST_NODE_ANY)
		vhost_device_count(dev, &dev->drifts);
	return true;
}

/** Look at the rings again: whether a queue belongs on another node. */
static bool
look_at_rings(struct vhost_device *dev)
{
	bool moved = false;
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++) {
		struct vhost_queue *q = dev->queues[i];
		uint64_t drifts = q->drifts;

		moved |= vhost_queue_look(q, dev->features, dev->wish_map);
		if (q->drifts != drifts)
			vhost_device_count(dev, &dev->drifts);
	}
	return moved;
}

static bool
look_at_replica(struct vhost_device *dev, struct virtio_net *net)
{
	int node = vhost_heap_node(net);

	if (node == net->node)
		return false;
	vhost_device_note(dev, &net->node, node);
	return true;
}

static bool
look_at_queue_block(struct vhost_device *dev, struct vhost_queue *q)
{
	if (!vhost_queue_has_moved(q))
		return false;
	vhost_device_note(dev, &q->numa.node, vhost_queue_block(q)->node);
	return true;
}

/**
 * Look where our own memory is, and have reports tell it: whether it was moved, by
 * who migrates this process or changes its cpuset.
 */
static bool
look_at_blocks(struct vhost_device *dev)
{
	bool moved = false;
	uint32_t i;

	for (i = 0; i < dev->nreplicas; i++)
		moved |= look_at_replica(dev, dev->replicas[i]);
	for (i = 0; i < dev->nvrings; i++)
		moved |= look_at_queue_block(dev, dev->queues[i]);
	if (!moved)
		return false;
	dev->handle_node = VHOST_NODE_ANY;
	vhost_device_note(dev, &dev->node, dev->net->node);
	return true;
}

void
vhost_device_look(struct vhost_device *dev)
{
	const struct rte_vhost_numa_policy *policy = &dev->driver.numa;
	bool moved = look_at_blocks(dev);

	if (policy->mode == RTE_VHOST_NUMA_OFF || dev->wish_map == NULL ||
			vhost_mem_map_is_broken(dev->wish_map))
		return;
	moved |= look_at_memory(dev);
	moved |= look_at_rings(dev);
	if (!moved && dev->refused_nodes == 0)
		return;
	dev->restart_wanted = (policy->flags & RTE_VHOST_NUMA_F_RESTART) != 0;
	vhost_device_settle(dev);
	dev->restart_wanted = false;
}

bool
vhost_device_is_undecided(const struct vhost_device *dev)
{
	uint32_t i;

	if (dev->driver.numa.mode != RTE_VHOST_NUMA_FOLLOW || dev->wish_map == NULL ||
			vhost_placement_is_refused(&dev->census))
		return false;
	if (!vhost_placement_is_known(&dev->census))
		return true;
	for (i = 0; i < dev->nvrings; i++)
		if (dev->queues[i]->live && dev->queues[i]->placed.node == VHOST_NODE_ANY)
			return true;
	return false;
}

int
vhost_device_refresh(struct vhost_device *dev)
{
	uint32_t i;
	int ret;

	vhost_device_lock(dev);
	dev->census.generation = 0;
	for (i = 0; i < dev->nvrings; i++)
		dev->queues[i]->placed.node = VHOST_NODE_ANY;
	look_at_blocks(dev);
	ret = vhost_device_settle(dev);
	vhost_device_unlock(dev);
	return ret;
}
