/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Public functions that ask about a device or one of its queues, see rte_vhost.h:
 * check the arguments, one call inward.
 *
 * Applications call these from callbacks and while they hold locks of their own,
 * so none of them takes a device's control lock.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_net.h>

#include "rte_vhost.h"
#include "vhost_abi.h"

#include "device.h"
#include "mem_node.h"
#include "vu_backchannel.h"

static struct vhost_queue *
find_queue(int vid, uint16_t index)
{
	struct vhost_device *dev = vhost_device_get(vid);

	return dev != NULL ? vhost_device_queue(dev, index) : NULL;
}

/** Negotiated features as the bursts have them. */
static uint64_t
features_in_force(struct vhost_device *dev)
{
	uint64_t features;

	rte_spinlock_lock(&dev->view_lock);
	features = dev->running.net != NULL ? dev->running.net->features : 0;
	rte_spinlock_unlock(&dev->view_lock);
	return features;
}

int
rte_vhost_get_mtu(int vid, uint16_t *mtu)
{
	struct vhost_device *dev = vhost_device_get(vid);

	if (dev == NULL || mtu == NULL)
		return -ENODEV;
	if (!__atomic_load_n(&dev->told.ready, __ATOMIC_RELAXED))
		return -EAGAIN;
	if (!(features_in_force(dev) & (1ULL << VIRTIO_NET_F_MTU)))
		return -ENOTSUP;
	*mtu = __atomic_load_n(&dev->wish.mtu, __ATOMIC_RELAXED);
	return 0;
}

int
rte_vhost_get_numa_node(int vid)
{
	struct vhost_device *dev = vhost_device_get(vid);
	int node;

	if (dev == NULL)
		return -1;
	rte_spinlock_lock(&dev->view_lock);
	/* of a running device: what the application has taken its buffers and cores by */
	node = dev->told.app_node;
	if (node == VHOST_NODE_ANY && dev->running.net != NULL)
		node = dev->running.net->node;
	rte_spinlock_unlock(&dev->view_lock);
	return node;
}

uint16_t
rte_vhost_get_vring_num(int vid)
{
	struct vhost_device *dev = vhost_device_get(vid);

	return dev != NULL ? __atomic_load_n(&dev->data_vrings, __ATOMIC_RELAXED) : 0;
}

int
rte_vhost_get_ifname(int vid, char *buf, size_t len)
{
	struct vhost_device *dev = vhost_device_get(vid);

	if (dev == NULL || buf == NULL || len == 0)
		return -1;
	vhost_device_copy_path(dev, buf, len);
	return 0;
}

int
rte_vhost_get_negotiated_features(int vid, uint64_t *features)
{
	struct vhost_device *dev = vhost_device_get(vid);

	if (dev == NULL || features == NULL)
		return -1;
	*features = features_in_force(dev);
	return 0;
}

int
rte_vhost_get_negotiated_protocol_features(int vid, uint64_t *protocol_features)
{
	struct vhost_device *dev = vhost_device_get(vid);

	if (dev == NULL || protocol_features == NULL)
		return -1;
	*protocol_features = __atomic_load_n(&dev->wish.protocol_features, __ATOMIC_RELAXED);
	return 0;
}

static void
copy_regions(const struct mem_map *map, struct rte_vhost_memory *mem)
{
	uint32_t i;

	mem->nregions = map->nregions;
	for (i = 0; i < map->nregions; i++) {
		const struct mem_region *region = &map->regions[i];

		mem->regions[i] = (struct rte_vhost_mem_region){
			.guest_phys_addr = region->gpa,
			.guest_user_addr = region->uva,
			.host_user_addr = (uintptr_t)region->host,
			.size = region->size,
			.mmap_addr = region->mmap_addr,
			.mmap_size = region->mmap_size,
			.fd = region->fd,
		};
	}
}

int
rte_vhost_get_mem_table(int vid, struct rte_vhost_memory **mem)
{
	struct vhost_device *dev = vhost_device_get(vid);
	struct rte_vhost_memory *copy;
	bool known;

	if (dev == NULL || mem == NULL)
		return -1;
	copy = calloc(1, sizeof(*copy) + VHOST_MAX_REGIONS * sizeof(copy->regions[0]));
	if (copy == NULL)
		return -1;
	rte_spinlock_lock(&dev->view_lock);
	known = dev->running.map != NULL;
	if (known)
		copy_regions(dev->running.map, copy);
	rte_spinlock_unlock(&dev->view_lock);
	if (!known) {
		free(copy);
		return -1;
	}
	*mem = copy;
	return 0;
}

int
rte_vhost_get_vhost_vring(int vid, uint16_t vring_idx, struct rte_vhost_vring *vring)
{
	struct vhost_device *dev = vhost_device_get(vid);
	struct vhost_queue *q;

	if (dev == NULL || vring == NULL)
		return -1;
	rte_spinlock_lock(&dev->view_lock);
	/* under the lock a queue stays */
	q = vhost_device_queue(dev, vring_idx);
	if (q != NULL)
		*vring = q->view;
	rte_spinlock_unlock(&dev->view_lock);
	return q != NULL ? 0 : -1;
}

int
rte_vhost_get_vring_base(int vid, uint16_t queue_id, uint16_t *last_avail_idx,
		uint16_t *last_used_idx)
{
	struct vhost_queue *q = find_queue(vid, queue_id);

	if (q == NULL || last_avail_idx == NULL || last_used_idx == NULL)
		return -1;
	return vhost_queue_get_base(q, last_avail_idx, last_used_idx) == 0 ? 0 : -1;
}

int
rte_vhost_set_vring_base(int vid, uint16_t queue_id, uint16_t last_avail_idx,
		uint16_t last_used_idx)
{
	struct vhost_queue *q = find_queue(vid, queue_id);

	return q != NULL && vhost_queue_set_base(q, last_avail_idx, last_used_idx) == 0 ? 0 : -1;
}

struct rte_vdpa_device *
rte_vhost_get_vdpa_device(int vid)
{
	struct vhost_device *dev = vhost_device_get(vid);

	return dev != NULL ? vhost_device_vdpa(dev) : NULL;
}

uint16_t
rte_vhost_avail_entries(int vid, uint16_t queue_id)
{
	struct vhost_queue *q = find_queue(vid, queue_id);

	return q != NULL ? vhost_queue_unused(q) : 0;
}

uint32_t
rte_vhost_rx_queue_count(int vid, uint16_t qid)
{
	struct vhost_queue *q = find_queue(vid, qid);

	/* only the guest's transmit queues are received from */
	return q != NULL && qid % 2 == 1 ? vhost_queue_waiting(q) : 0;
}

int
rte_vhost_vring_call(int vid, uint16_t vring_idx)
{
	struct vhost_queue *q = find_queue(vid, vring_idx);

	return q != NULL && vhost_queue_notify(q) == 0 ? 0 : -1;
}

int
rte_vhost_vring_call_nonblock(int vid, uint16_t vring_idx)
{
	struct vhost_queue *q = find_queue(vid, vring_idx);
	int ret;

	if (q == NULL)
		return -1;
	ret = vhost_queue_try_notify(q);
	return ret == 0 || ret == -EAGAIN ? ret : -1;
}

int
rte_vhost_enable_guest_notification(int vid, uint16_t queue_id, int enable)
{
	struct vhost_queue *q = find_queue(vid, queue_id);

	if (q == NULL)
		return -1;
	/* a control queue is ours, and lives from kicks */
	if (queue_id < rte_vhost_get_vring_num(vid))
		vhost_queue_set_kicks(q, enable != 0);
	return 0;
}

int
rte_vhost_get_log_base(int vid, uint64_t *log_base, uint64_t *log_size)
{
	struct vhost_device *dev = vhost_device_get(vid);
	struct mem_log_view view;

	if (dev == NULL || log_base == NULL || log_size == NULL)
		return -1;
	rte_spinlock_lock(&dev->view_lock);
	view = vhost_mem_log_view(dev->running.log);
	rte_spinlock_unlock(&dev->view_lock);
	*log_base = (uintptr_t)view.words;
	*log_size = mem_log_bytes(&view);
	return 0;
}

/** The device of a vid, if what is written to its guest is logged. */
static struct vhost_device *
find_logging(int vid)
{
	struct vhost_device *dev = vhost_device_get(vid);

	return dev != NULL && __atomic_load_n(&dev->logging, __ATOMIC_RELAXED) ? dev : NULL;
}

/** View lock held, under which the log is replaced. */
static void
log_written(struct vhost_device *dev, uint64_t gpa, uint64_t len)
{
	if (dev->running.net != NULL)
		vhost_mem_log_mark(&dev->running.net->log, gpa, len);
}

void
rte_vhost_log_write(int vid, uint64_t addr, uint64_t len)
{
	struct vhost_device *dev = find_logging(vid);

	if (dev == NULL)
		return;
	rte_spinlock_lock(&dev->view_lock);
	log_written(dev, addr, len);
	rte_spinlock_unlock(&dev->view_lock);
}

void
rte_vhost_log_used_vring(int vid, uint16_t vring_idx, uint64_t offset, uint64_t len)
{
	struct vhost_device *dev = find_logging(vid);
	struct vhost_queue *q = dev != NULL ? vhost_device_queue(dev, vring_idx) : NULL;

	if (q == NULL)
		return;
	rte_spinlock_lock(&dev->view_lock);
	if (q->view.log_guest_addr != 0 && offset <= UINT64_MAX - q->view.log_guest_addr)
		log_written(dev, q->view.log_guest_addr + offset, len);
	rte_spinlock_unlock(&dev->view_lock);
}

int
rte_vhost_extern_callback_register(int vid, struct rte_vhost_user_extern_ops const * const ops,
		void *ctx __rte_unused)
{
	struct vhost_device *dev = vhost_device_get(vid);

	if (dev == NULL || ops == NULL)
		return -1;
	dev->extern_ops = *ops;
	return 0;
}

int
rte_vhost_get_monitor_addr(int vid, uint16_t queue_id, struct rte_vhost_power_monitor_cond *pmc)
{
	struct vhost_queue *q = find_queue(vid, queue_id);

	return q != NULL && pmc != NULL && vhost_queue_monitor(q, pmc) == 0 ? 0 : -1;
}

int
rte_vhost_backend_config_change(int vid, bool need_reply)
{
	struct vhost_device *dev = vhost_device_get(vid);
	struct vu_message msg = {
		.request = VU_BACKEND_CONFIG_CHANGE,
		.flags = VU_VERSION | (need_reply ? VU_NEED_REPLY : 0),
	};

	return dev != NULL ? vhost_backchannel_request(dev, &msg, -1) : -ENODEV;
}
