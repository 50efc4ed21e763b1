/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <linux/virtio_config.h>

#include <rte_common.h>

#include "iotlb_ask.h"
#include "listeners.h"
#include "vhost_virtqueue.h"
#include "vu_backchannel.h"

/** After so long a ring that is still not known is asked for again. */
#define RING_AGAIN_MS 50

static void on_ask_again(struct event_timer *timer);

bool
vhost_iotlb_ask(struct vhost_device *dev, const struct iova_wants *wants)
{
	if (wants->n == 0)
		return true;
	/* the kernel tells all that there is, and is asked by the event thread only */
	if (__atomic_load_n(&dev->learn, __ATOMIC_RELAXED) != NULL)
		return vhost_event_timer_arm(&dev->ask_again, 0, on_ask_again) == 0;
	return vhost_backchannel_ask(dev, wants->pages, wants->n) == 0;
}

/** Pages of a ring that are not known, all at once: each answer takes its time. */
static void
list_ring(const struct vhost_device *dev, uint32_t index, struct iova_wants *wants)
{
	const struct ring_memory_map memory = vhost_device_ring_memory(dev);
	uint64_t at = 0;

	wants->n = 0;
	while (wants->n < RTE_DIM(wants->pages) &&
			vhost_ring_missing(&dev->wish.queues[index], dev->wish.features, &memory,
				&at, &wants->pages[wants->n].page, &wants->pages[wants->n].access))
		wants->n++;
}

/** Ask for rings that wait for it and were not asked for; whether any waits. */
static bool
ask_for_rings(struct vhost_device *dev)
{
	struct iova_wants wants;
	bool any = false;
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++) {
		struct queue_wish *wish = &dev->wish.queues[i];

		if (!vhost_queue_block(vhost_device_queue_at(dev, i))->cfg.untranslated) {
			wish->asked = false;
			continue;
		}
		any = true;
		if (wish->asked)
			continue;
		list_ring(dev, i, &wants);
		wish->asked = vhost_iotlb_ask(dev, &wants);
	}
	return any;
}

/** An answer may be lost: a channel that is full takes no question. */
static void
on_ask_again(struct event_timer *timer)
{
	struct vhost_device *dev = container_of(timer, struct vhost_device, ask_again);
	bool any = true;
	uint32_t i;

	/* whoever holds the lock may be waiting for this thread */
	if (vhost_device_try_lock(dev)) {
		if (dev->learn != NULL)
			dev->learn(dev);
		for (i = 0; i < dev->nvrings; i++)
			dev->wish.queues[i].asked = false;
		any = ask_for_rings(dev);
		vhost_device_unlock(dev);
	}
	if (any)
		vhost_event_timer_arm(&dev->ask_again, RING_AGAIN_MS, on_ask_again);
}

static void
iotlb_settled(struct vhost_device *dev)
{
	if (!vhost_device_has(dev, VIRTIO_F_ACCESS_PLATFORM))
		return;
	if (ask_for_rings(dev))
		vhost_event_timer_arm(&dev->ask_again, RING_AGAIN_MS, on_ask_again);
}

void
vhost_iotlb_ask_no_more(struct vhost_device *dev)
{
	vhost_event_timer_cancel(&dev->ask_again);
}

const struct device_listener vhost_listener_iotlb = {
	.settled = iotlb_settled,
};
