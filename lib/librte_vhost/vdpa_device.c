/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What a vDPA driver asks of a vhost device, see vdpa_driver.h and rte_vdpa.h.
 */

#include <errno.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "rte_vdpa.h"
#include "vdpa_driver.h"

#include "device.h"
#include "vu_backchannel.h"

static bool
can_notify_host(const struct vhost_device *dev)
{
	const uint64_t features = (1ULL << VIRTIO_F_VERSION_1) |
		(1ULL << VHOST_USER_F_PROTOCOL_FEATURES);
	const uint64_t protocol_features = (1ULL << VHOST_USER_PROTOCOL_F_SLAVE_REQ) |
		(1ULL << VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD) |
		(1ULL << VHOST_USER_PROTOCOL_F_HOST_NOTIFIER);
	const struct rte_vdpa_dev_ops *ops = dev->driver.vdpa->ops;

	return (dev->wish.features & features) == features &&
		(dev->wish.protocol_features & protocol_features) == protocol_features &&
		ops->get_vfio_device_fd != NULL && ops->get_notify_area != NULL;
}

/** Tell the frontend where the doorbell of one ring is, or that there is none. */
static int
send_notifier(struct vhost_device *dev, uint16_t qid, int vfio_fd)
{
	struct vu_message msg = {
		.request = VU_BACKEND_VRING_HOST_NOTIFIER,
		.flags = VU_VERSION | VU_NEED_REPLY,
		.size = sizeof(msg.payload.area),
		.payload.area.index = qid,
	};
	uint64_t offset, size;

	if (vfio_fd < 0) {
		msg.payload.area.index |= VU_VRING_NO_FD;
	} else {
		if (dev->driver.vdpa->ops->get_notify_area(dev->vid, qid, &offset, &size) < 0)
			return -EFAULT;
		msg.payload.area.offset = offset;
		msg.payload.area.size = size;
	}
	return vhost_backchannel_request(dev, &msg, vfio_fd) == 0 ? 0 : -EFAULT;
}

int
rte_vhost_host_notifier_ctrl(int vid, uint16_t qid, bool enable)
{
	struct vhost_device *dev = vhost_device_get(vid);
	uint32_t first = qid, last = qid, i;
	int vfio_fd = -1;
	int ret = 0;

	if (dev == NULL || dev->driver.vdpa == NULL)
		return -ENODEV;
	if (!can_notify_host(dev))
		return -ENOTSUP;
	if (qid == RTE_VHOST_QUEUE_ALL) {
		first = 0;
		last = dev->nvrings - 1;
	}
	if (last >= dev->nvrings)
		return -EINVAL;
	if (enable) {
		vfio_fd = dev->driver.vdpa->ops->get_vfio_device_fd(vid);
		if (vfio_fd < 0)
			return -ENOTSUP;
	}
	for (i = first; i <= last; i++) {
		ret = send_notifier(dev, i, vfio_fd);
		/* all doorbells are taken back, whatever the frontend says of one */
		if (ret < 0 && enable)
			break;
	}
	return ret;
}

int
rte_vdpa_relay_vring_used(int vid, uint16_t qid, void *vring_m)
{
	struct vhost_device *dev = vhost_device_get(vid);
	struct vhost_queue *q = dev != NULL ? vhost_device_queue(dev, qid) : NULL;

	if (q == NULL || vring_m == NULL)
		return -1;
	return vhost_queue_relay_used(q, vring_m);
}
