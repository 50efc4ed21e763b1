/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <inttypes.h>

#include <linux/virtio_config.h>

#include "mem_iotlb.h"
#include "ring_locate.h"
#include "vhost_log.h"
#include "vu_on.h"

/** Whether some ring of the device needs a translation. */
static bool
is_of_a_ring(const struct mem_iotlb_entry *entry, const void *arg)
{
	const struct device_wish *wish = arg;
	uint32_t i;

	for (i = 0; i < wish->nvrings; i++)
		if (vhost_ring_is_within(&wish->queues[i], wish->features, entry->iova,
				entry->iova + (entry->size - 1)))
			return true;
	return false;
}

static int
update(struct vu_call *call, const struct vu_iotlb *msg)
{
	struct device_wish *wish = &call->dev->wish;
	const struct mem_iotlb_entry entry = {
		.iova = msg->iova, .size = msg->size, .uva = msg->uva, .access = msg->access,
	};

	if (!vhost_mem_iotlb_entry_is_valid(&entry, wish->map)) {
		VHOST_LOG_CONFIG(ERR, "(%s) IOTLB update of 0x%" PRIx64 " bytes at 0x%" PRIx64
			" to 0x%" PRIx64 " (access %u) is not within guest memory\n",
			call->dev->driver.path, entry.size, entry.iova, entry.uva, entry.access);
		return -EINVAL;
	}
	vhost_mem_iotlb_update(wish->iotlb, &entry, is_of_a_ring, wish);
	return 0;
}

/** Rings that lose a translation have to be asked for. */
static void
ask_for_rings(struct device_wish *wish, uint64_t first, uint64_t last)
{
	uint32_t i;

	for (i = 0; i < wish->nvrings; i++)
		if (vhost_ring_is_within(&wish->queues[i], wish->features, first, last))
			wish->queues[i].asked = false;
}

/** The settle that follows takes the translations from bursts: only then it may be acknowledged. */
static int
invalidate(struct vu_call *call, const struct vu_iotlb *msg)
{
	struct device_wish *wish = &call->dev->wish;
	uint64_t last;

	if (msg->size == 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) IOTLB invalidation of nothing at 0x%" PRIx64 "\n",
			call->dev->driver.path, msg->iova);
		return -EINVAL;
	}
	call->vital = true;
	last = msg->iova + RTE_MIN(msg->size - 1, UINT64_MAX - msg->iova);
	vhost_mem_iotlb_invalidate(wish->iotlb, msg->iova, last, is_of_a_ring, wish);
	ask_for_rings(wish, msg->iova, last);
	return 0;
}

/* vhost-user: VHOST_USER_IOTLB_MSG. */
int
vhost_vu_on_iotlb_msg(struct vu_call *call)
{
	const struct vu_iotlb msg = call->msg->payload.iotlb;

	if (!vhost_device_has(call->dev, VIRTIO_F_ACCESS_PLATFORM)) {
		VHOST_LOG_CONFIG(ERR, "(%s) IOTLB message, but no IOMMU was negotiated\n",
			call->dev->driver.path);
		return -EPROTO;
	}
	switch (msg.type) {
	case VU_IOTLB_UPDATE:
		return update(call, &msg);
	case VU_IOTLB_INVALIDATE:
		return invalidate(call, &msg);
	default:
		VHOST_LOG_CONFIG(ERR, "(%s) IOTLB message of type %u\n", call->dev->driver.path,
			msg.type);
		return -EINVAL;
	}
}
