/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NUMA_REGIONS_H
#define VHOST_NUMA_REGIONS_H

/*
 * Where the regions of a guest's memory are: the map, a sample of each region, what
 * it told, and what of it decides.  A part of numa_evidence.h, with the same rules.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem_map.h"
#include "numa_sample.h"
#include "placement.h"

struct region_evidence;

struct numa_regions {
	int vid;			/**< for trace points */
	struct mem_map *map;		/**< one reference, or NULL */
	uint32_t n;			/**< regions of it; under the lock */
	struct region_evidence *list[VHOST_MAX_REGIONS];	/**< NULL where memory was missing */
	unsigned int unasked;		/**< regions that were never asked about */
	uint32_t next;			/**< where the next check begins, for all get their turn */
	bool refused;			/**< the kernel did not tell nodes when asked last */
	uint64_t bytes[PLACEMENT_MAX_NODES];	/**< by what decides */
	pthread_mutex_t lock;		/**< a leaf; for what reports read */
};

void vhost_numa_regions_init(struct numa_regions *regions, int vid);

/** After vhost_numa_regions_set_map(regions, NULL). */
void vhost_numa_regions_fini(struct numa_regions *regions);

/** See vhost_evidence_set_map(). */
void vhost_numa_regions_set_map(struct numa_regions *regions, struct mem_map *map);

/** Ask about new regions, within the budget; what they tell decides: whether any was asked. */
bool vhost_numa_regions_ask_new(struct numa_regions *regions);

/** Ask about all of them. */
void vhost_numa_regions_ask_all(struct numa_regions *regions);

/** Ask a little about all of them, and more where that says something new. */
void vhost_numa_regions_check(struct numa_regions *regions);

/** What was found last decides from now on. */
void vhost_numa_regions_accept(struct numa_regions *regions);

/** The node with most of the guest's memory by what decides, or by what was found last. */
int vhost_numa_regions_node(const struct numa_regions *regions, int tie);
int vhost_numa_regions_latest_node(const struct numa_regions *regions, int tie);

/** Whether anything decides. */
bool vhost_numa_regions_is_known(const struct numa_regions *regions);

/** The sample of the region that holds all of [start, start + len), or NULL. */
struct numa_sample *vhost_numa_regions_sample(const struct numa_regions *regions,
		const void *start, size_t len);

/** Copy what was found last: how many regions.  Any thread. */
uint32_t vhost_numa_regions_report(struct numa_regions *regions, struct placement_region *out);

#endif /* VHOST_NUMA_REGIONS_H */
