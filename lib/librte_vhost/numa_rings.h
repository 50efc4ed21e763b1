/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NUMA_RINGS_H
#define VHOST_NUMA_RINGS_H

/*
 * Where the rings of a guest's queues are.  A part of numa_evidence.h, with the same
 * rules.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "numa_regions.h"

/** Where a ring is. */
struct evidence_ring {
	struct ring_part desc;
	struct ring_part avail;
	struct ring_part used;
};

struct ring_evidence;

struct numa_rings {
	uint32_t n;		/**< of the list, by queue */
	uint32_t next;		/**< where the next check begins, for all get their turn */
	struct ring_evidence *list;
};

/** Forget all rings, and free what they took. */
void vhost_numa_rings_clear(struct numa_rings *rings);

/** See vhost_evidence_ring_is(): whether it is a new one of which nothing is known. */
bool vhost_numa_rings_set(struct numa_rings *rings, struct numa_regions *regions,
		uint32_t index, const struct evidence_ring *ring);

/** See vhost_evidence_ring_gone(). */
void vhost_numa_rings_unset(struct numa_rings *rings, uint32_t index);

/** Ask about all of them; what was found decides, but what is unknown now stays. */
void vhost_numa_rings_ask_all(struct numa_rings *rings, struct numa_regions *regions);

/**
 * Ask a little about all of them, and more where that says something new; after the
 * check of the regions.
 *
 * @param[out] changes  how many that were known have changed node
 * @return whether any belongs on another node than before
 */
bool vhost_numa_rings_check(struct numa_rings *rings, struct numa_regions *regions,
		unsigned int *changes);

int vhost_numa_rings_node(const struct numa_rings *rings, uint32_t index);
uint64_t vhost_numa_rings_changes(const struct numa_rings *rings, uint32_t index);

/** Whether the node of each ring is known. */
bool vhost_numa_rings_are_known(const struct numa_rings *rings);

#endif /* VHOST_NUMA_RINGS_H */
