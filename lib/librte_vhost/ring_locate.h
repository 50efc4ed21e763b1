/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_RING_LOCATE_H
#define VHOST_RING_LOCATE_H

/*
 * Where a ring is in our memory: the only place that turns a frontend's addresses
 * of a ring into ours.
 */

#include <stdbool.h>
#include <stdint.h>

#include "mem_iotlb.h"
#include "mem_map.h"
#include "queue_wish.h"
#include "ring_window.h"
#include "vhost_virtqueue.h"

/** What a frontend's addresses refer to. */
struct ring_memory_map {
	struct mem_map *map;		/**< of the guest's memory, or NULL */
	const struct mem_iotlb *iotlb;	/**< addresses are IOVAs, or NULL: they are not */
	struct ring_windows *windows;	/**< for rings in several pieces; NULL: there are none */
};

/**
 * Whether the ring, as far as it is described, lies within the map; an IOVA may become
 * known later.
 */
bool vhost_ring_fits(const struct queue_wish *wish, uint64_t features,
		const struct ring_memory_map *memory);

/**
 * Fill in the ring of a shape whose format is set: size and addresses if the ring is
 * started and fits, none otherwise; and whether it is started and waits for the IOMMU.
 *
 * @param features  negotiated
 */
void vhost_ring_locate(const struct queue_wish *wish, uint64_t features,
		const struct ring_memory_map *memory, struct vq_cfg *cfg);

/** Whether some of the ring is between two IOVAs. */
bool vhost_ring_is_within(const struct queue_wish *wish, uint64_t features, uint64_t first,
		uint64_t last);

/**
 * The next page of a ring that is not translated as it has to be.
 *
 * @param[in,out] at  where to go on, 0 at first; opaque
 * @return false: none
 */
bool vhost_ring_missing(const struct queue_wish *wish, uint64_t features,
		const struct ring_memory_map *memory, uint64_t *at, uint64_t *page,
		uint32_t *access);

#endif /* VHOST_RING_LOCATE_H */
