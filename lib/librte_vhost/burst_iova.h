/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_BURST_IOVA_H
#define VHOST_BURST_IOVA_H

/*
 * The end of a burst on a queue whose guest has an IOMMU: ask for what could not be
 * translated, and give the answer a moment to come.
 */

#include <stdint.h>

#include "device.h"

/**
 * After a burst to the guest: leave the gate, and try again what had no translation.
 *
 * @param done  packets of the burst that went
 * @return packets that went by then
 */
uint16_t vhost_burst_iova_enqueued(struct vhost_device *dev, struct vhost_queue *q,
		struct vhost_virtqueue *block, struct rte_mbuf **pkts, uint16_t count,
		uint16_t done);

/** After a burst from the guest: leave the gate, and look after the other ring of the pair. */
void vhost_burst_iova_dequeued(struct vhost_device *dev, struct vhost_queue *q,
		struct vhost_virtqueue *block);

#endif /* VHOST_BURST_IOVA_H */
