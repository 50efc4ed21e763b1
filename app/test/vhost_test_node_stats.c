/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Samples without a memory of them, for those who do not ask numa_evidence.h yet.
 * Goes away with the last of them.
 */

#include <limits.h>
#include <string.h>

#include "mem_node.h"
#include "numa_sample.h"
#include "vhost_test_node_stats.h"

static void
node_stats_region(const struct mem_region *region, struct placement_region *result)
{
	struct sample_reading reading;
	unsigned int budget = UINT_MAX;
	struct numa_sample sample;

	vhost_numa_sample_begin(&sample, region);
	vhost_numa_sample_take(&sample, &budget, &reading);
	vhost_numa_sample_end(&sample);
	*result = (struct placement_region){
		.gpa = region->gpa,
		.size = region->size,
		.page_size = region->page_size,
		.evidence = reading.evidence,
		.asked = reading.asked,
		.known = reading.known,
	};
	vhost_numa_sample_project(&reading, region->size, result->bytes);
}

/** What an earlier node_stats knows of every page of the region that it asked for, or NULL. */
static const struct placement_region *
known_region(const struct mem_region *region, const struct mem_map *before,
		const struct placement_node_stats *known)
{
	uint32_t i;

	if (before == NULL || known->generation != before->generation)
		return NULL;
	for (i = 0; i < before->nregions; i++)
		if (vhost_mem_region_is_same(&before->regions[i], region) &&
				known->regions[i].known == known->regions[i].asked)
			return &known->regions[i];
	return NULL;
}

void
vhost_placement_recount(const struct mem_map *map, const struct mem_map *before,
		const struct placement_node_stats *known, struct placement_node_stats *node_stats)
{
	uint32_t i;

	memset(node_stats, 0, sizeof(*node_stats));
	node_stats->generation = map->generation;
	node_stats->nregions = map->nregions;
	for (i = 0; i < map->nregions; i++) {
		const struct mem_region *region = &map->regions[i];
		const struct placement_region *same = known_region(region, before, known);

		if (same != NULL)
			node_stats->regions[i] = *same;
		else
			node_stats_region(region, &node_stats->regions[i]);
	}
}

void
vhost_placement_node_stats(const struct mem_map *map, struct placement_node_stats *node_stats)
{
	vhost_placement_recount(map, NULL, NULL, node_stats);
}

static void
ring_part_votes(const struct mem_map *map, const void *part, size_t len,
		struct placement_vote *vote)
{
	const struct mem_region *region = vhost_mem_map_region(map, part, len);
	unsigned int budget = UINT_MAX;
	struct numa_sample sample;

	if (len == 0 || region == NULL)
		return;
	vhost_numa_sample_begin(&sample, region);
	vhost_numa_sample_ring(&sample, &(struct ring_part){ part, len }, 1, &budget, vote);
	vhost_numa_sample_end(&sample);
}

int
vhost_placement_ring_node(const struct mem_map *map, const void *desc,
		size_t desc_len, const void *avail, size_t avail_len,
		const void *used, size_t used_len)
{
	struct placement_vote vote;

	vhost_placement_vote_begin(&vote);
	ring_part_votes(map, desc, desc_len, &vote);
	ring_part_votes(map, avail, avail_len, &vote);
	ring_part_votes(map, used, used_len, &vote);
	return vhost_placement_vote_node(&vote);
}

bool
vhost_placement_is_known(const struct placement_node_stats *node_stats)
{
	uint32_t i;

	for (i = 0; i < node_stats->nregions; i++)
		if (node_stats->regions[i].evidence == PLACEMENT_POLICY ||
				node_stats->regions[i].evidence == PLACEMENT_PAGES)
			return true;
	return false;
}

bool
vhost_placement_is_refused(const struct placement_node_stats *node_stats)
{
	return node_stats->nregions > 0 && node_stats->regions[0].evidence == PLACEMENT_REFUSED;
}

int
vhost_placement_device_node(const struct placement_node_stats *node_stats, int tie)
{
	uint64_t bytes[PLACEMENT_MAX_NODES] = { 0 };
	uint32_t i;
	int node;

	for (i = 0; i < node_stats->nregions; i++)
		for (node = 0; node < PLACEMENT_MAX_NODES; node++)
			bytes[node] += node_stats->regions[i].bytes[node];
	return vhost_placement_choose(bytes, tie);
}
