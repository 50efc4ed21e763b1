/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Evidence of where guest memory is
 *
 * A sample of each region's pages is asked for its node; nothing that is asked
 * may make the kernel allocate a page, since it would land on our node, and the
 * answer would then be our own doing.
 *
 *  1. move_pages() without targets tells the node of pages that this process has
 *     mapped already.  Once the data path runs, that answers for the rings.
 *  2. The pages that it does not know are mapped in a window of a probe, if they
 *     have memory, and asked for there: see mem_probe.c.
 *  3. A page without memory counts where an explicit memory policy will put it,
 *     if the policy names one node.
 *
 * Pages go before policies: a policy says where pages should go, and is silent
 * about those that were there before it, that did not fit, or that the host has
 * migrated since.
 *
 * What was found, by having a process on node 1 write every other page of a file
 * (with and without mbind, with ones and with zeros) and asking for it from node
 * 0; Linux 6.1 on two nodes and 6.18 on one:
 *
 *			memfd	/dev/shm  ext4	 overlay  memfd+	hugetlbfs
 *					  (disk) on tmpfs HUGETLB 2M	2 MiB
 *  move_pages, fresh	nothing	nothing	  nothing nothing nothing	nothing
 *  probe: userfaultfd	exact	exact	  refused exact   exact	exact
 *  probe: mincore	exact	exact [a] [b]	  exact	  blind [c]	blind [c]
 *  st_blocks == size	full	full	  -	  -	  full	full
 *  pread non-zero	[d]	[d]	  -	  -	  [d]	[d]
 *  SEEK_DATA		exact	exact	  blocks  exact	  useless	useless
 *  policy of mbind	shared	shared	  none	  shared  none [e]	none [e]
 *  MPOL_F_NODE		ALLOCATES the page that it is asked about, all kinds
 *
 *  [a] "resident" for every page of another user's file, even behind its end
 *  [b] tells about the page cache, read-ahead included, which is what counts
 *  [c] it sees our page tables, which are empty in the beginning
 *  [d] exact for pages with content; a zeroed page looks like a hole; reading a
 *      hole allocates nothing
 *  [e] the policy belongs to the frontend's mapping and is invisible here
 *
 * Pages that fallocate() has allocated and nobody has written are "missing" to
 * mincore() and SEEK_DATA, but not to the probe with userfaultfd.  SEEK_DATA
 * is not used, for it moves the file position, which the frontend shares.
 */

#include <errno.h>
#include <string.h>

#include <rte_common.h>

#include "mem_node.h"
#include "mem_probe.h"
#include "placement.h"

/**
 * Pages asked for of each region, and of each part of a ring; the largest
 * descriptor table lies in 129 pages of 4 KiB.
 */
#define SAMPLE_PAGES 256

/**
 * Nodes whose shares of the guest differ by less than this part of the whole are
 * equals: that is what a sample of this size can tell.
 */
#define EQUAL_SHARE 32

/** Pages of one region, and what is known of them. */
struct page_survey {
	const struct mem_region *region;
	unsigned int n;
	uint64_t offsets[SAMPLE_PAGES];	/**< within the file */
	int nodes[SAMPLE_PAGES];	/**< negative: not known */
};

/** Ask for the pages as this process has them mapped. */
static int
survey_mapped(struct page_survey *survey)
{
	void *pages[SAMPLE_PAGES];
	unsigned int i;

	for (i = 0; i < survey->n; i++)
		pages[i] = survey->region->mmap_addr + survey->offsets[i];
	return vhost_node_query(pages, survey->n, survey->nodes);
}

/** Ask for the pages not known yet through a probe. */
static void
survey_probed(struct page_survey *survey, const struct mem_probe *probe)
{
	unsigned int i, n = 0, which[SAMPLE_PAGES];
	void *pages[SAMPLE_PAGES];
	int nodes[SAMPLE_PAGES];

	for (i = 0; i < survey->n; i++) {
		if (survey->nodes[i] >= 0)
			continue;
		pages[n] = vhost_mem_probe_page(probe, survey->offsets[i]);
		which[n] = i;
		n += pages[n] != NULL;
	}
	if (n == 0 || vhost_node_query(pages, n, nodes) < 0)
		return;
	for (i = 0; i < n; i++)
		survey->nodes[which[i]] = nodes[i];
}

static bool
survey_is_complete(const struct page_survey *survey)
{
	unsigned int i;

	for (i = 0; i < survey->n; i++)
		if (survey->nodes[i] < 0)
			return false;
	return true;
}

static void
survey_nothing(struct page_survey *survey, int err)
{
	unsigned int i;

	for (i = 0; i < survey->n; i++)
		survey->nodes[i] = err;
}

/**
 * Fill in the nodes.
 *
 * @return 0, or a negative errno when the kernel does not answer; no node is
 *         known then
 */
static int
survey_take(struct page_survey *survey)
{
	struct mem_probe probe;
	int ret = survey_mapped(survey);

	if (ret < 0) {
		survey_nothing(survey, ret);
		return ret;
	}
	if (survey_is_complete(survey) || vhost_mem_probe_open(&probe, survey->region) < 0)
		return 0;
	survey_probed(survey, &probe);
	vhost_mem_probe_close(&probe);
	return 0;
}

static int
survey_policy(const struct page_survey *survey, unsigned int i)
{
	return vhost_node_bound(survey->region->mmap_addr + survey->offsets[i]);
}

/** A number that looks random, the same for the same argument. */
static uint64_t
scatter(uint64_t x)
{
	x = (x + 1) * 0x9e3779b97f4a7c15ULL;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ULL;
	return x ^ (x >> 32);
}

/**
 * Choose pages spread evenly over the region, each at a random place of its
 * share: memory may be interleaved between nodes, and equal steps would then
 * meet one node only.
 */
static void
survey_sample(struct page_survey *survey, const struct mem_region *region)
{
	uint64_t start = region->host - region->mmap_addr;
	uint64_t first = start / region->page_size;
	uint64_t count = (start + region->size - 1) / region->page_size - first + 1;
	unsigned int i;

	survey->region = region;
	survey->n = RTE_MIN(count, (uint64_t)SAMPLE_PAGES);
	for (i = 0; i < survey->n; i++) {
		uint64_t from = count * i / survey->n;
		uint64_t to = count * (i + 1) / survey->n;
		uint64_t page = first + from + scatter(i) % (to - from);

		survey->offsets[i] = page * region->page_size;
	}
}

static bool
node_counts(int node)
{
	return node >= 0 && node < PLACEMENT_MAX_NODES;
}

static void
census_region(const struct mem_region *region, struct placement_region *result)
{
	struct page_survey survey;
	unsigned int i, by_policy = 0;
	uint64_t share;
	int ret;

	survey_sample(&survey, region);
	ret = survey_take(&survey);
	share = region->size / survey.n;
	*result = (struct placement_region){
		.gpa = region->gpa,
		.size = region->size,
		.page_size = region->page_size,
		.asked = survey.n,
	};
	for (i = 0; i < survey.n; i++) {
		bool known = survey.nodes[i] >= 0;
		int node = known ? survey.nodes[i] : survey_policy(&survey, i);

		if (!node_counts(node))
			continue;
		result->bytes[node] += share;
		result->known += known;
		by_policy += !known;
	}
	if (result->known > 0)
		result->evidence = PLACEMENT_PAGES;
	else if (by_policy > 0)
		result->evidence = PLACEMENT_POLICY;
	else
		result->evidence = ret < 0 ? PLACEMENT_REFUSED : PLACEMENT_NONE;
}

/** What an earlier census knows of every page of the region that it asked for, or NULL. */
static const struct placement_region *
known_region(const struct mem_region *region, const struct mem_map *before,
		const struct placement_census *known)
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
		const struct placement_census *known, struct placement_census *census)
{
	uint32_t i;

	memset(census, 0, sizeof(*census));
	census->generation = map->generation;
	census->nregions = map->nregions;
	for (i = 0; i < map->nregions; i++) {
		const struct mem_region *region = &map->regions[i];
		const struct placement_region *same = known_region(region, before, known);

		if (same != NULL)
			census->regions[i] = *same;
		else
			census_region(region, &census->regions[i]);
	}
}

void
vhost_placement_census(const struct mem_map *map, struct placement_census *census)
{
	vhost_placement_recount(map, NULL, NULL, census);
}

bool
vhost_placement_is_known(const struct placement_census *census)
{
	uint32_t i;

	for (i = 0; i < census->nregions; i++)
		if (census->regions[i].evidence == PLACEMENT_POLICY ||
				census->regions[i].evidence == PLACEMENT_PAGES)
			return true;
	return false;
}

bool
vhost_placement_is_refused(const struct placement_census *census)
{
	return census->nregions > 0 && census->regions[0].evidence == PLACEMENT_REFUSED;
}

int
vhost_placement_region_node(const struct placement_region *region)
{
	int node, best = 0;

	for (node = 1; node < PLACEMENT_MAX_NODES; node++)
		if (region->bytes[node] > region->bytes[best])
			best = node;
	return region->bytes[best] != 0 ? best : VHOST_NODE_ANY;
}

int
vhost_placement_device_node(const struct placement_census *census, int tie)
{
	uint64_t bytes[PLACEMENT_MAX_NODES] = { 0 }, total = 0;
	int node, best = 0;
	uint32_t i;

	for (i = 0; i < census->nregions; i++)
		for (node = 0; node < PLACEMENT_MAX_NODES; node++)
			bytes[node] += census->regions[i].bytes[node];
	for (node = 0; node < PLACEMENT_MAX_NODES; node++) {
		total += bytes[node];
		if (bytes[node] > bytes[best])
			best = node;
	}
	if (total == 0)
		return VHOST_NODE_ANY;
	if (node_counts(tie) && bytes[best] - bytes[tie] <= total / EQUAL_SHARE)
		return tie;
	return best;
}

/* Rings */

/** How many pages of a ring each node has. */
struct ring_vote {
	unsigned int pages[PLACEMENT_MAX_NODES];
	unsigned int by_policy[PLACEMENT_MAX_NODES];
	int first;		/**< node of the first page known: decides ties */
	int first_by_policy;
};

static void
vote(unsigned int *votes, int *first, int node)
{
	if (!node_counts(node))
		return;
	votes[node]++;
	if (*first == VHOST_NODE_ANY)
		*first = node;
}

static int
vote_result(const unsigned int *votes, int first)
{
	int node, best = first;

	if (first == VHOST_NODE_ANY)
		return VHOST_NODE_ANY;
	for (node = 0; node < PLACEMENT_MAX_NODES; node++)
		if (votes[node] > votes[best])
			best = node;
	return best;
}

/** Let the pages of one part of a ring vote. */
static void
ring_part_votes(const struct mem_map *map, const void *part, size_t len,
		struct ring_vote *votes)
{
	const struct mem_region *region = vhost_mem_map_region(map, part, len);
	struct page_survey survey = { .region = region };
	uint64_t offset, end;
	unsigned int i;

	if (len == 0 || region == NULL)
		return;
	offset = (const uint8_t *)part - region->mmap_addr;
	end = offset + len;
	offset = RTE_ALIGN_FLOOR(offset, region->page_size);
	for (; offset < end && survey.n < SAMPLE_PAGES; offset += region->page_size)
		survey.offsets[survey.n++] = offset;
	survey_take(&survey);
	for (i = 0; i < survey.n; i++) {
		if (survey.nodes[i] >= 0)
			vote(votes->pages, &votes->first, survey.nodes[i]);
		else
			vote(votes->by_policy, &votes->first_by_policy,
				survey_policy(&survey, i));
	}
}

int
vhost_placement_ring_node(const struct mem_map *map, const void *desc,
		size_t desc_len, const void *avail, size_t avail_len,
		const void *used, size_t used_len)
{
	struct ring_vote votes = {
		.first = VHOST_NODE_ANY, .first_by_policy = VHOST_NODE_ANY,
	};

	ring_part_votes(map, desc, desc_len, &votes);
	ring_part_votes(map, avail, avail_len, &votes);
	ring_part_votes(map, used, used_len, &votes);
	if (votes.first != VHOST_NODE_ANY)
		return vote_result(votes.pages, votes.first);
	return vote_result(votes.by_policy, votes.first_by_policy);
}
