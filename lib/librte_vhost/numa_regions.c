/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Each region is asked about once when it comes, and what was learned stays with it
 * as long as the region does, whatever the rest of the memory table becomes.
 *
 * A check asks for one page of each spot of each sample, all in one question that
 * maps nothing.  Only a region that answers otherwise than before is asked about in
 * full.  Of regions that are not all there the file's block count tells whether to ask
 * again, so memory that appears later is found by the next check.
 *
 * One call asks CALLS_MAX questions at most about pages that may be missing.  What was
 * left out is taken up by the next one, where it was left.
 *
 * Memory: under 1 KiB for each region; and page tables for the window of its sample,
 * at most two pages for each spot (128 KiB for a region beyond 16 GiB, 16 KiB for one
 * of 8 MiB).
 */

#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "mem_node.h"
#include "numa_regions.h"
#include "vhost_trace.h"

/** Questions of one call: about 1 ms. */
#define CALLS_MAX 256u

/** No budget: somebody has asked for it. */
#define CALLS_UNLIMITED UINT32_MAX

/** Watched pages of all regions. */
#define WATCHED_PAGES (VHOST_MAX_REGIONS * SAMPLE_SPOTS)

/** What is known of a region. */
struct region_evidence {
	struct mem_region region;	/**< as the map has it */
	struct numa_sample sample;
	bool asked;			/**< else nothing below means anything */
	struct sample_reading latest;	/**< the last one that knew anything; under the lock */
	struct sample_reading decides;	/**< on which placement rests */
};

void
vhost_numa_regions_init(struct numa_regions *regions, int vid)
{
	*regions = (struct numa_regions){ .vid = vid };
	pthread_mutex_init(&regions->lock, NULL);
}

void
vhost_numa_regions_fini(struct numa_regions *regions)
{
	pthread_mutex_destroy(&regions->lock);
}

/* Readings */

static bool
is_known(const struct sample_reading *reading)
{
	return reading->evidence == PLACEMENT_PAGES || reading->evidence == PLACEMENT_POLICY;
}

/** A region's bytes on each node, by a reading; none by one that knows nothing. */
static void
add_bytes(const struct region_evidence *r, const struct sample_reading *reading, uint64_t *bytes)
{
	uint64_t add[PLACEMENT_MAX_NODES];
	int node;

	vhost_numa_sample_project(reading, r->region.size, add);
	for (node = 0; node < PLACEMENT_MAX_NODES; node++)
		bytes[node] += add[node];
}

/** Add up the readings that decide. */
static void
sum_up(struct numa_regions *regions)
{
	uint32_t i;

	memset(regions->bytes, 0, sizeof(regions->bytes));
	for (i = 0; i < regions->n; i++)
		if (regions->list[i] != NULL)
			add_bytes(regions->list[i], &regions->list[i]->decides, regions->bytes);
}

void
vhost_numa_regions_accept(struct numa_regions *regions)
{
	uint32_t i;

	for (i = 0; i < regions->n; i++)
		if (regions->list[i] != NULL)
			regions->list[i]->decides = regions->list[i]->latest;
	sum_up(regions);
}

int
vhost_numa_regions_node(const struct numa_regions *regions, int tie)
{
	return vhost_placement_choose(regions->bytes, tie);
}

int
vhost_numa_regions_latest_node(const struct numa_regions *regions, int tie)
{
	uint64_t bytes[PLACEMENT_MAX_NODES] = { 0 };
	uint32_t i;

	for (i = 0; i < regions->n; i++)
		if (regions->list[i] != NULL)
			add_bytes(regions->list[i], &regions->list[i]->latest, bytes);
	return vhost_placement_choose(bytes, tie);
}

bool
vhost_numa_regions_is_known(const struct numa_regions *regions)
{
	uint32_t i;

	for (i = 0; i < regions->n; i++)
		if (regions->list[i] != NULL && is_known(&regions->list[i]->decides))
			return true;
	return false;
}

/* The map */

static struct region_evidence *
region_create(const struct mem_region *region)
{
	struct region_evidence *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->region = *region;
	vhost_numa_sample_begin(&r->sample, region);
	return r;
}

static void
region_destroy(struct region_evidence *r)
{
	if (r != NULL)
		vhost_numa_sample_end(&r->sample);
	free(r);
}

/** Take what is known of a region, if anything is, out of a list. */
static struct region_evidence *
take_same(struct region_evidence **list, uint32_t n, const struct mem_region *region)
{
	struct region_evidence *r;
	uint32_t i;

	for (i = 0; i < n; i++) {
		r = list[i];
		if (r != NULL && vhost_mem_region_is_same(&r->region, region)) {
			list[i] = NULL;
			return r;
		}
	}
	return NULL;
}

void
vhost_numa_regions_set_map(struct numa_regions *regions, struct mem_map *map)
{
	struct region_evidence *before[VHOST_MAX_REGIONS];
	struct mem_map *old = regions->map;
	uint32_t i, n = regions->n;

	memcpy(before, regions->list, sizeof(before));
	pthread_mutex_lock(&regions->lock);
	regions->map = map != NULL ? vhost_mem_map_get(map) : NULL;
	regions->n = map != NULL ? map->nregions : 0;
	regions->unasked = 0;
	for (i = 0; i < regions->n; i++) {
		struct region_evidence *r = take_same(before, n, &map->regions[i]);

		regions->list[i] = r != NULL ? r : region_create(&map->regions[i]);
		regions->unasked += regions->list[i] != NULL && !regions->list[i]->asked;
	}
	pthread_mutex_unlock(&regions->lock);
	for (i = 0; i < n; i++)
		region_destroy(before[i]);
	/* last: it has the files of the regions that are gone */
	vhost_mem_map_put(old);
	regions->next = 0;
	sum_up(regions);
}

/** Regions for which there was no memory when they came. */
static void
make_up_for(struct numa_regions *regions)
{
	uint32_t i;

	for (i = 0; i < regions->n; i++) {
		if (regions->list[i] != NULL)
			continue;
		pthread_mutex_lock(&regions->lock);
		regions->list[i] = region_create(&regions->map->regions[i]);
		pthread_mutex_unlock(&regions->lock);
		regions->unasked += regions->list[i] != NULL;
	}
}

struct numa_sample *
vhost_numa_regions_sample(const struct numa_regions *regions, const void *start, size_t len)
{
	const struct mem_region *region = regions->map != NULL && len > 0 ?
		vhost_mem_map_region(regions->map, start, len) : NULL;
	struct region_evidence *r = region != NULL ?
		regions->list[region - regions->map->regions] : NULL;

	return r != NULL ? &r->sample : NULL;
}

/* Asking */

/** The node with most pages of a reading, for traces. */
static int
reading_node(const struct sample_reading *reading)
{
	uint64_t bytes[PLACEMENT_MAX_NODES];

	vhost_numa_sample_project(reading, reading->asked, bytes);
	return vhost_placement_choose(bytes, VHOST_NODE_ANY);
}

/** Ask about a region, unless the kernel refuses. */
static void
ask(struct numa_regions *regions, uint32_t i, unsigned int *budget)
{
	struct sample_reading reading = { .evidence = PLACEMENT_REFUSED };
	struct region_evidence *r = regions->list[i];

	if (!regions->refused)
		regions->refused = vhost_numa_sample_take(&r->sample, budget, &reading) < 0;
	pthread_mutex_lock(&regions->lock);
	if (is_known(&reading) || !is_known(&r->latest))
		r->latest = reading;
	pthread_mutex_unlock(&regions->lock);
	regions->unasked -= !r->asked;
	r->asked = true;
	vhost_trace_numa_probe(regions->vid, i, reading.evidence, reading.asked, reading.known,
		reading_node(&reading));
}

bool
vhost_numa_regions_ask_new(struct numa_regions *regions)
{
	unsigned int budget = CALLS_MAX;
	uint32_t i;

	if (regions->unasked == 0)
		return false;
	for (i = 0; i < regions->n && budget > 0; i++) {
		struct region_evidence *r = regions->list[i];

		if (r == NULL || r->asked)
			continue;
		ask(regions, i, &budget);
		r->decides = r->latest;
	}
	sum_up(regions);
	return true;
}

void
vhost_numa_regions_ask_all(struct numa_regions *regions)
{
	unsigned int budget = CALLS_UNLIMITED;
	uint32_t i;

	regions->refused = false;
	make_up_for(regions);
	for (i = 0; i < regions->n; i++)
		if (regions->list[i] != NULL)
			ask(regions, i, &budget);
}

/* Checking */

/** Ask for the watched pages of all regions: nodes, SAMPLE_SPOTS for each. */
static int
ask_watched(const struct numa_regions *regions, int (*nodes)[SAMPLE_SPOTS])
{
	unsigned int i, k, n = 0, counts[VHOST_MAX_REGIONS] = { 0 };
	void *pages[WATCHED_PAGES];
	int flat[WATCHED_PAGES];
	int ret;

	for (i = 0; i < regions->n; i++) {
		if (regions->list[i] != NULL)
			counts[i] = vhost_numa_sample_watch(&regions->list[i]->sample, pages + n);
		n += counts[i];
	}
	if (n == 0)
		return 0;
	ret = vhost_node_query(pages, n, flat);
	if (ret < 0)
		return ret;
	for (i = 0, n = 0; i < regions->n; i++)
		for (k = 0; k < counts[i]; k++)
			nodes[i][k] = flat[n++];
	return 0;
}

/** Whether a region has to be asked about in full. */
static bool
is_in_question(struct region_evidence *r, const int *nodes)
{
	return !r->asked || vhost_numa_sample_contradicts(&r->sample, nodes) ||
		vhost_numa_sample_may_tell_more(&r->sample);
}

void
vhost_numa_regions_check(struct numa_regions *regions)
{
	int nodes[VHOST_MAX_REGIONS][SAMPLE_SPOTS];
	uint32_t i, k, first = regions->next;
	unsigned int budget = CALLS_MAX;

	make_up_for(regions);
	regions->refused = ask_watched(regions, nodes) < 0;
	for (k = 0; k < regions->n && !regions->refused; k++) {
		i = (first + k) % regions->n;
		if (budget == 0) {
			regions->next = i;
			return;
		}
		if (regions->list[i] != NULL && is_in_question(regions->list[i], nodes[i]))
			ask(regions, i, &budget);
	}
}

/* Reports */

static void
summarize(const struct region_evidence *r, struct placement_region *region)
{
	region->gpa = r->region.gpa;
	region->size = r->region.size;
	region->page_size = r->region.page_size;
	region->evidence = r->latest.evidence;
	region->asked = r->latest.asked;
	region->known = r->latest.known;
	vhost_numa_sample_project(&r->latest, r->region.size, region->bytes);
}

uint32_t
vhost_numa_regions_report(struct numa_regions *regions, struct placement_region *out)
{
	uint32_t i, n;

	pthread_mutex_lock(&regions->lock);
	n = regions->n;
	for (i = 0; i < n; i++) {
		out[i] = (struct placement_region){ 0 };
		if (regions->list[i] != NULL)
			summarize(regions->list[i], &out[i]);
	}
	pthread_mutex_unlock(&regions->lock);
	return n;
}
