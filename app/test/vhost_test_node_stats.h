/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_TEST_NODE_STATS_H
#define VHOST_TEST_NODE_STATS_H

/*
 * The library's evidence of a map's regions in one call, for tests of what the kernel
 * tells about each kind of memory.
 */

#include "placement.h"

struct placement_node_stats {
	uint64_t generation;	/**< of the map it describes; 0 for none */
	uint32_t nregions;
	struct placement_region regions[VHOST_MAX_REGIONS];
};

/** Take the node_stats of a map. */
void vhost_placement_node_stats(const struct mem_map *map, struct placement_node_stats *node_stats);

/**
 * Take the node_stats of a map that was made from another one, looking only at what is
 * new or was not known entirely.
 *
 * @param before  that map, or NULL
 * @param known   its node_stats; of another map: nothing is known
 */
void vhost_placement_recount(const struct mem_map *map, const struct mem_map *before,
		const struct placement_node_stats *known, struct placement_node_stats *node_stats);

/** Whether a node_stats says where any memory is, or will be. */
bool vhost_placement_is_known(const struct placement_node_stats *node_stats);

/** Whether the kernel does not answer, so that asking again is no use. */
bool vhost_placement_is_refused(const struct placement_node_stats *node_stats);

/** The node that holds most of the guest's memory, as vhost_placement_choose(). */
int vhost_placement_device_node(const struct placement_node_stats *node_stats, int tie);

/**
 * The node of a ring, as vhost_placement_vote_node().  The three parts are addresses
 * in the map, as vhost_mem_map_from_uva() gives them; a part may be empty (length 0).
 */
int vhost_placement_ring_node(const struct mem_map *map, const void *desc,
		size_t desc_len, const void *avail, size_t avail_len,
		const void *used, size_t used_len);

#endif /* VHOST_TEST_NODE_STATS_H */
