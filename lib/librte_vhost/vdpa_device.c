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

#include "device.h"
#include "host_notifier.h"
#include "vdpa.h"

static bool
can_notify_host(struct vhost_device *dev, const struct rte_vdpa_device *vdpa)
{
	const uint64_t needed = (1ULL << VIRTIO_F_VERSION_1) |
		(1ULL << VHOST_USER_F_PROTOCOL_FEATURES);
	const uint64_t protocol_needed = (1ULL << VHOST_USER_PROTOCOL_F_SLAVE_REQ) |
		(1ULL << VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD) |
		(1ULL << VHOST_USER_PROTOCOL_F_HOST_NOTIFIER);
	const struct rte_vdpa_dev_ops *ops = vhost_vdpa_ops(vdpa);
	uint64_t features, protocol_features;

	return rte_vhost_get_negotiated_features(dev->vid, &features) == 0 &&
		rte_vhost_get_negotiated_protocol_features(dev->vid, &protocol_features) == 0 &&
		(features & needed) == needed &&
		(protocol_features & protocol_needed) == protocol_needed &&
		ops->get_vfio_device_fd != NULL && ops->get_notify_area != NULL;
}

int
rte_vhost_host_notifier_ctrl(int vid, uint16_t qid, bool enable)
{
	struct vhost_device *dev = vhost_device_get(vid);
	struct rte_vdpa_device *vdpa = dev != NULL ? vhost_device_vdpa(dev) : NULL;
	const bool all = qid == RTE_VHOST_QUEUE_ALL;
	uint32_t nvrings, first, last;

	if (vdpa == NULL)
		return -ENODEV;
	if (!can_notify_host(dev, vdpa))
		return -ENOTSUP;
	nvrings = rte_vhost_get_vring_num(vid);
	if (nvrings == 0 || (!all && qid >= nvrings))
		return -EINVAL;
	first = all ? 0 : qid;
	last = all ? nvrings - 1 : qid;
	return enable ? vhost_host_notifiers_give(dev, vdpa, first, last) :
		vhost_host_notifiers_take(dev, first, last);
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
