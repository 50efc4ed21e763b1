/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The table of all devices, their locks, and what can be said of a device without
 * changing it.
 *
 * A device's structure is used again for the next device of the same vid and its
 * address is never given to anything else, so that a thread which is late with a
 * vid finds an unused device or another frontend's, but never foreign memory.  Its
 * pages are moved to the device's node by the kernel.
 *
 * Barriers: who finds a device or a queue finds it made.
 *  D1 acquire, nvrings is read (vhost_device_queue, vhost_handle_queue)	pairs with D2
 *  D2 release, queues are published (vhost_device_publish_queues)	pairs with D1
 *  D3 acquire, the table is read (vhost_device_peek)	pairs with D4
 *  D4 release, a structure enters the table (vhost_device_take)	pairs with D3
 */

#include <errno.h>
#include <string.h>

#include <linux/virtio_net.h>

#include <rte_string_fns.h>

#include "device.h"
#include "mem_node.h"
#include "queue_async.h"
#include "vhost_log.h"

struct vhost_handle vhost_handles[VHOST_MAX_DEVICES];
static pthread_mutex_t devices_lock = PTHREAD_MUTEX_INITIALIZER;
/** Vids whose device has an owner, from before it is visible until after it is not. */
static bool vid_taken[VHOST_MAX_DEVICES];

/* The table */

struct vhost_device *
vhost_device_peek(int vid)
{
	struct vhost_device *dev;

	if (unlikely(vid < 0 || vid >= VHOST_MAX_DEVICES))
		return NULL;
	/* D3 pairs with D4 */
	dev = __atomic_load_n(&vhost_handles[vid].dev, __ATOMIC_ACQUIRE);
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

static void
locks_init(struct vhost_device *dev)
{
	pthread_mutexattr_t attr;

	pthread_mutex_init(&dev->back.lock, NULL);
	pthread_mutex_init(&dev->back.request_lock, NULL);
	rte_spinlock_init(&dev->view_lock);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&dev->control.mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

static struct vhost_device *
device_alloc(int vid)
{
	struct vhost_device *dev = vhost_node_pages(sizeof(*dev));
	struct vhost_queue_page *pages;

	if (dev == NULL)
		return NULL;
	pages = vhost_node_pages(VHOST_MAX_VRINGS * sizeof(*pages));
	if (pages == NULL) {
		vhost_node_pages_free(dev, sizeof(*dev));
		return NULL;
	}
	dev->queues = &pages->slots[vid % RTE_DIM(pages->slots)];
	vhost_handles[vid].queues = dev->queues;
	dev->vid = vid;
	dev->running.handle_node = VHOST_NODE_ANY;
	dev->ctrl.kick.fd = -1;
	dev->back.fd = -1;
	locks_init(dev);
	return dev;
}

struct vhost_device *
vhost_device_take(void)
{
	struct vhost_device *dev = NULL;
	int vid;

	pthread_mutex_lock(&devices_lock);
	for (vid = 0; vid < VHOST_MAX_DEVICES && vid_taken[vid]; vid++)
		;
	if (vid < VHOST_MAX_DEVICES) {
		dev = vhost_handles[vid].dev;
		if (dev == NULL)
			dev = device_alloc(vid);
		if (dev != NULL) {
			vid_taken[vid] = true;
			/* D4 pairs with D3 */
			__atomic_store_n(&vhost_handles[vid].dev, dev, __ATOMIC_RELEASE);
		}
	}
	pthread_mutex_unlock(&devices_lock);
	return dev;
}

void
vhost_device_give_back(struct vhost_device *dev)
{
	pthread_mutex_lock(&devices_lock);
	vid_taken[dev->vid] = false;
	pthread_mutex_unlock(&devices_lock);
}

void
vhost_device_publish_queues(struct vhost_device *dev, uint32_t nvrings)
{
	/* D2 pairs with D1 */
	__atomic_store_n(&dev->nvrings, nvrings, __ATOMIC_RELEASE);
	__atomic_store_n(&vhost_handles[dev->vid].nvrings, nvrings, __ATOMIC_RELEASE);
}

/* The control lock */

static void
count_turn(struct device_lock *control)
{
	__atomic_store_n(&control->turn, control->turn + 1, __ATOMIC_RELAXED);
}

/** Control locks that this thread holds, each as often as it has taken it. */
static __thread unsigned int locks_held;

bool
vhost_device_any_is_locked(void)
{
	return locks_held > 0;
}

static void
lock_taken(struct vhost_device *dev)
{
	locks_held++;
	if (dev->control.depth++ == 0)
		count_turn(&dev->control);
}

void
vhost_device_lock(struct vhost_device *dev)
{
	pthread_mutex_lock(&dev->control.mutex);
	lock_taken(dev);
}

bool
vhost_device_try_lock(struct vhost_device *dev)
{
	if (pthread_mutex_trylock(&dev->control.mutex) != 0)
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
	inside = dev->control.depth > 1;
	vhost_device_unlock(dev);
	return inside;
}

void
vhost_device_unlock(struct vhost_device *dev)
{
	locks_held--;
	if (--dev->control.depth == 0)
		count_turn(&dev->control);
	pthread_mutex_unlock(&dev->control.mutex);
}

/* Questions */

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

/**
 * Whether rings may be mapped a second time: hardware knows the first mapping only, and
 * of memory that still comes by postcopy the second one would find pages empty.
 */
static bool
may_have_windows(const struct vhost_device *dev)
{
	return dev->driver.vdpa == NULL && (dev->wish.protocol_features &
		(1ULL << VHOST_USER_PROTOCOL_F_PAGEFAULT)) == 0;
}

struct ring_memory_map
vhost_device_ring_memory(const struct vhost_device *dev)
{
	return (struct ring_memory_map){
		.map = dev->wish.map,
		.iotlb = vhost_device_has(dev, VIRTIO_F_ACCESS_PLATFORM) ? dev->wish.iotlb : NULL,
		.windows = may_have_windows(dev) ? dev->wish.windows : NULL,
	};
}

void
vhost_device_net_cfg(const struct vhost_device *dev, struct virtio_net_cfg *cfg)
{
	*cfg = (struct virtio_net_cfg){
		.vid = dev->vid,
		.flags = net_flags(&dev->driver),
		.features = dev->wish.features,
		.generation = dev->wish.generation,
		.map = dev->wish.map,
		.log = dev->wish.log,
		.iotlb = vhost_device_ring_memory(dev).iotlb,
		.ops = dev->driver.ops,
	};
}

uint32_t
vhost_device_data_vrings(const struct vhost_device *dev)
{
	uint32_t named = dev->wish.nvrings;

	if (dev->driver.vdpa_vrings != 0)
		named = RTE_MIN(named, dev->driver.vdpa_vrings);
	if (!dev->driver.builtin)
		return named;
	if (!vhost_device_has(dev, VIRTIO_NET_F_MQ))
		return RTE_MIN(named, 2u);
	return vhost_device_has(dev, VIRTIO_NET_F_CTRL_VQ) ? RTE_ALIGN_FLOOR(named, 2) : named;
}

struct vhost_queue *
vhost_device_ctrl_queue(const struct vhost_device *dev)
{
	uint32_t index = vhost_device_data_vrings(dev);
	struct vhost_queue *q;

	/* frontends may describe ring 0, or 2, entirely before they name the next */
	if (!dev->driver.builtin || !vhost_device_has(dev, VIRTIO_NET_F_CTRL_VQ) ||
			index < 2 || index >= dev->nvrings)
		return NULL;
	q = vhost_device_queue_at(dev, index);
	return q->live && q->enabled ? q : NULL;
}

/* What any owner of a group needs */

bool
vhost_device_edit(struct vhost_device *dev, const char *path,
		int (*fn)(struct vhost_driver *driver, void *arg), void *arg)
{
	bool mine;

	vhost_device_lock(dev);
	mine = dev->running.net != NULL && strcmp(dev->driver.path, path) == 0;
	if (mine) {
		rte_spinlock_lock(&dev->view_lock);
		fn(&dev->driver, arg);
		rte_spinlock_unlock(&dev->view_lock);
	}
	vhost_device_unlock(dev);
	return mine;
}

void
vhost_device_copy_path(struct vhost_device *dev, char *path, size_t size)
{
	rte_spinlock_lock(&dev->view_lock);
	rte_strscpy(path, dev->driver.path, size);
	rte_spinlock_unlock(&dev->view_lock);
}

uint64_t
vhost_device_flags(struct vhost_device *dev)
{
	uint64_t flags;

	rte_spinlock_lock(&dev->view_lock);
	flags = dev->driver.flags;
	rte_spinlock_unlock(&dev->view_lock);
	return flags;
}

bool
vhost_device_memory_is_pinned(struct vhost_device *dev)
{
	bool pinned;

	rte_spinlock_lock(&dev->view_lock);
	pinned = dev->running.map != NULL && vhost_mem_map_is_pinned(dev->running.map);
	rte_spinlock_unlock(&dev->view_lock);
	return pinned;
}

struct rte_vdpa_device *
vhost_device_vdpa(struct vhost_device *dev)
{
	struct rte_vdpa_device *vdpa;

	rte_spinlock_lock(&dev->view_lock);
	vdpa = dev->driver.vdpa;
	rte_spinlock_unlock(&dev->view_lock);
	return vdpa;
}

void
vhost_device_migrate_handles(struct vhost_device *dev)
{
	const int node = dev->running.node;
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++) {
		vhost_queue_migrate_handle(vhost_device_queue_at(dev, i));
		if (dev->driver.flags & RTE_VHOST_USER_ASYNC_COPY)
			vhost_queue_async_migrate(vhost_device_queue_at(dev, i));
	}
	if (node != VHOST_NODE_ANY && dev->running.handle_node != node &&
			vhost_node_pages_bring(dev, sizeof(*dev), node) != -EAGAIN)
		dev->running.handle_node = node;
}

void
vhost_device_record(struct vhost_device *dev, int *field, int value)
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
