/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <rte_cycles.h>

#include "iotlb_ask.h"
#include "listeners.h"
#include "vhost_virtqueue.h"
#include "vu_backchannel.h"

/** After so long a ring's page is asked for again. */
#define RING_AGAIN_MS 5

void
vhost_iotlb_ask(struct vhost_device *dev, const struct iova_wants *wants)
{
	if (wants->n > 0)
		vhost_backchannel_ask(dev, wants->pages, wants->n);
}

/** Pages of a ring that are not known, all at once: each answer takes its time. */
static void
list_ring(const struct vhost_device *dev, const struct vhost_queue *q, struct iova_wants *wants)
{
	const struct ring_memory_map memory = vhost_device_ring_memory(dev);
	uint64_t at = 0;

	wants->n = 0;
	while (wants->n < RTE_DIM(wants->pages) &&
			vhost_ring_missing(&dev->wish.queues[q->index], dev->wish.features, &memory,
				&at, &wants->pages[wants->n].page, &wants->pages[wants->n].access))
		wants->n++;
}

/** Whether a page of a ring was asked for not long ago, with those behind it. */
static bool
is_asked(struct vhost_queue *q, uint64_t page)
{
	uint64_t now = rte_rdtsc();

	if (q->asked_page == page && (int64_t)(q->asked_until - now) > 0)
		return true;
	q->asked_page = page;
	q->asked_until = now + rte_get_tsc_hz() / MS_PER_S * RING_AGAIN_MS;
	return false;
}

static void
ask_for_ring(struct vhost_device *dev, struct vhost_queue *q)
{
	struct iova_wants wants;

	list_ring(dev, q, &wants);
	if (wants.n > 0 && !is_asked(q, wants.pages[0].page))
		vhost_iotlb_ask(dev, &wants);
}

static void
iotlb_settled(struct vhost_device *dev)
{
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++) {
		struct vhost_queue *q = vhost_device_queue_at(dev, i);

		if (vhost_queue_block(q)->cfg.untranslated)
			ask_for_ring(dev, q);
	}
}

const struct device_listener vhost_listener_iotlb = {
	.settled = iotlb_settled,
};
