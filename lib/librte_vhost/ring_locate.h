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

#include "mem_map.h"
#include "queue_wish.h"
#include "vhost_virtqueue.h"

/** Whether the ring, as far as it is described, lies within the map. */
bool vhost_ring_fits(const struct queue_wish *wish, uint64_t features, const struct mem_map *map);

/**
 * Fill in the ring of a shape whose format is set: size and addresses if the ring is
 * started and fits, none otherwise.
 *
 * @param features  negotiated
 * @param map  of the guest's memory, or NULL
 */
void vhost_ring_locate(const struct queue_wish *wish, uint64_t features,
		const struct mem_map *map, struct vq_cfg *cfg);

#endif /* VHOST_RING_LOCATE_H */
