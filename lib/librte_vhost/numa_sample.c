/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Asking where guest memory is
 *
 * Nothing that is asked may make the kernel allocate a page, since it would land on
 * our node, and the answer would then be our own doing.
 *
 *  1. move_pages() without targets tells the node of pages that this process has
 *     mapped already, in the region's own mapping or in the window of a probe.
 *     Once the data path runs, that answers for the rings.
 *  2. Of the others, those that have memory are mapped in the window (mem_probe.c)
 *     and asked for there.  A file without blocks has none, that is one fstat();
 *     else mincore() tells which pages to map.
 *  3. A page without memory counts where an explicit memory policy will put it,
 *     if the policy names one node.
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
 *  st_blocks == 0	empty	empty	  -	  -	  empty	empty
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
 * mincore() and SEEK_DATA, but not to the probe with userfaultfd, nor in st_blocks;
 * so are those that are swapped out, which the probe would read back from the disk.
 * Hence mincore() is asked first, and the probe alone only where mincore() saw
 * nothing of a file that is all there.
 *
 * What it costs, in us, on 6.18 in a virtual machine where a system call takes 1:
 *
 *  fstat, fcntl			1.2	move_pages, 16 pages mapped	3.5
 *  mincore of 1 or 16 pages	1.4, 1.8	move_pages, 256 pages	14 (8 if none)
 *  SEEK_DATA			1.2	open /proc/self/fd/N, close	4
 *  window: open, close		6.5, 2	trap: open, close		5, 4
 *  map 1 or 16 pages		2.7, 3.9	unmap them		1.2, 1.7
 *  map a hole (trapped)	2 to 9, hugetlbfs 1.4
 *  map a huge page		8	unmap it			4.5
 *
 * So 16 neighbours cost little more than one page alone, and SEEK_DATA, for which the
 * file has to be opened again (its position is the frontend's, too), has nothing
 * before mincore().  A sample is therefore 16 spots of 16 pages.  Spots are asked for
 * in an order in which any beginning of it is spread over the whole region, so that
 * a sample for which the budget did not suffice is a smaller one, not a biased one.
 */

#include <errno.h>
#include <string.h>

#include <rte_common.h>

#include "mem_node.h"
#include "numa_sample.h"

/** The same of huge pages; two, because nodes may take turns page by page. */
#define HUGE_SPOT_PAGES 2

/** Known huge pages that are enough. */
#define HUGE_ENOUGH 16

/** All pages of a sample. */
#define SURVEY_PAGES (SAMPLE_SPOTS * SAMPLE_SPOT_PAGES)

/** Node of a page that was not asked for. */
#define NOT_ASKED (-EAGAIN)

/** What is known of the pages of some spots. */
struct survey {
	struct mem_probe *probe;
	const struct sample_spot *spots;
	unsigned int nspots;
	unsigned int known;	/**< pages with a node */
	int64_t bytes;		/**< memory of the file; -1: unknown, or was not asked */
	bool partial;		/**< the budget was used up */
	uint32_t missing[SAMPLE_SPOTS];	/**< masks of pages without a node */
	uint32_t in_window[SAMPLE_SPOTS];	/**< and of those known by the window */
	int nodes[SAMPLE_SPOTS][SAMPLE_SPOT_PAGES];
};

static uint32_t
mask_of(unsigned int n)
{
	return (UINT32_C(1) << n) - 1;
}

static void
survey_begin(struct survey *survey, struct mem_probe *probe, const struct sample_spot *spots,
		unsigned int nspots)
{
	unsigned int i, k;

	survey->probe = probe;
	survey->spots = spots;
	survey->nspots = nspots;
	survey->known = 0;
	survey->bytes = -1;
	survey->partial = false;
	for (i = 0; i < nspots; i++) {
		survey->missing[i] = mask_of(spots[i].n);
		survey->in_window[i] = 0;
		for (k = 0; k < spots[i].n; k++)
			survey->nodes[i][k] = NOT_ASKED;
	}
}

/** Keep what the kernel told of one page. */
static void
survey_note(struct survey *survey, unsigned int which, int node, bool window)
{
	unsigned int i = which / SAMPLE_SPOT_PAGES, k = which % SAMPLE_SPOT_PAGES;

	survey->nodes[i][k] = node;
	if (node < 0)
		return;
	survey->missing[i] &= ~(UINT32_C(1) << k);
	if (window)
		survey->in_window[i] |= UINT32_C(1) << k;
	survey->known++;
}

/** Ask for the pages that have no node yet, in the window or in the region's mapping. */
static int
survey_ask(struct survey *survey, bool window)
{
	const struct mem_probe *probe = survey->probe;
	uint16_t which[SURVEY_PAGES];
	void *pages[SURVEY_PAGES];
	int nodes[SURVEY_PAGES];
	unsigned int i, n = 0;
	uint32_t mask;
	int ret;

	for (i = 0; i < survey->nspots; i++) {
		for (mask = survey->missing[i]; mask != 0; mask &= mask - 1) {
			unsigned int k = __builtin_ctz(mask);
			uint64_t page = survey->spots[i].page + k;

			which[n] = i * SAMPLE_SPOT_PAGES + k;
			pages[n++] = window ? mem_probe_window(probe, page) :
				mem_probe_mapped(probe, page);
		}
	}
	ret = n > 0 ? vhost_node_query(pages, n, nodes) : 0;
	for (i = 0; i < n && ret == 0; i++)
		survey_note(survey, which[i], nodes[i], window);
	return ret;
}

static bool
survey_is_complete(const struct survey *survey)
{
	unsigned int i;

	for (i = 0; i < survey->nspots; i++)
		if (survey->missing[i] != 0)
			return false;
	return true;
}

/** The ith spot in an order of which every beginning is spread evenly. */
static unsigned int
spread(unsigned int i)
{
	return (i & 1) << 3 | (i & 2) << 1 | (i & 4) >> 1 | (i & 8) >> 3;
}

/**
 * Map the missing pages of a spot that have memory: how many.
 *
 * @param blind  do not rely on mincore()
 */
static unsigned int
map_spot(struct survey *survey, unsigned int i, unsigned int *budget, bool blind)
{
	const struct sample_spot *spot = &survey->spots[i];
	uint32_t mask = survey->missing[i], mapped = 0;
	unsigned int calls = 1;

	if (!blind)
		mask &= vhost_mem_probe_resident(survey->probe, spot->page, spot->n);
	if (mask != 0 && vhost_mem_probe_arm(survey->probe) == 0 &&
			(!blind || vhost_mem_probe_is_exact(survey->probe)))
		mapped = vhost_mem_probe_map(survey->probe, spot->page, mask, &calls);
	*budget -= RTE_MIN(*budget, calls);
	return __builtin_popcount(mapped);
}

/** The pages of a spot are not asked for, as far as they were not known at once. */
static void
skip_spot(struct survey *survey, unsigned int i)
{
	uint32_t mask;

	for (mask = survey->missing[i]; mask != 0; mask &= mask - 1)
		survey->nodes[i][__builtin_ctz(mask)] = NOT_ASKED;
}

/** Map what is missing, as far as the budget goes. */
static void
survey_map(struct survey *survey, unsigned int *budget, bool blind)
{
	bool huge = survey->probe->hugetlb;
	unsigned int i, s, mapped = survey->known;

	for (s = 0; s < SAMPLE_SPOTS; s++) {
		i = spread(s);
		if (i >= survey->nspots || survey->missing[i] == 0)
			continue;
		if (*budget == 0 || (huge && mapped >= HUGE_ENOUGH)) {
			survey->partial |= *budget == 0;
			skip_spot(survey, i);
			continue;
		}
		mapped += map_spot(survey, i, budget, blind);
	}
	if (survey->probe->armed)
		survey_ask(survey, true);
}

/**
 * Find the node of each page that has one; the probe may stay armed.
 *
 * @return 0, or a negative errno when the kernel does not answer
 */
static int
survey_take(struct survey *survey, unsigned int *budget)
{
	int ret = survey->probe->window != NULL ? survey_ask(survey, true) : 0;

	if (ret == 0)
		ret = survey_ask(survey, false);
	if (ret < 0)
		return ret;
	if (survey_is_complete(survey))
		return 0;
	survey->bytes = vhost_mem_probe_bytes(survey->probe);
	if (survey->bytes == 0)
		return 0;
	survey_map(survey, budget, false);
	if (survey->known == 0 && survey->probe->full)
		survey_map(survey, budget, true);
	return 0;
}

/* Policies */

static int
policy_at(const struct survey *survey, unsigned int i)
{
	return vhost_node_bound(mem_probe_mapped(survey->probe, survey->spots[i].page));
}

/**
 * The node that a policy names for each spot, or a negative number.  Where it is the
 * same in the beginning, in the middle and at the end, nothing in between is asked.
 */
static void
survey_policies(const struct survey *survey, int *policies)
{
	unsigned int i, last = survey->nspots - 1;
	int first = policy_at(survey, 0);
	bool same = (last < 1 || policy_at(survey, last) == first) &&
		(last < 2 || policy_at(survey, last / 2) == first);

	for (i = 0; i <= last; i++)
		policies[i] = same ? first : policy_at(survey, i);
}

/* Samples */

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
 * Choose spots, each at a random place of its share: memory may be interleaved
 * between nodes, and equal steps would then meet one node only.
 */
static void
choose_spots(struct numa_sample *sample)
{
	uint64_t per_spot = sample->probe.hugetlb ? HUGE_SPOT_PAGES : SAMPLE_SPOT_PAGES;
	uint64_t count = sample->probe.npages;
	unsigned int i;

	sample->nspots = RTE_MIN((count + per_spot - 1) / per_spot, (uint64_t)SAMPLE_SPOTS);
	for (i = 0; i < sample->nspots; i++) {
		uint64_t from = count * i / sample->nspots;
		uint64_t to = count * (i + 1) / sample->nspots;
		uint64_t n = RTE_MIN(to - from, per_spot);
		uint64_t at = scatter(i + sample->round * SAMPLE_SPOTS) % (to - from - n + 1);

		sample->spots[i] = (struct sample_spot){
			.page = from + at, .n = n, .node = VHOST_NODE_ANY,
		};
	}
}

void
vhost_numa_sample_begin(struct numa_sample *sample, const struct mem_region *region)
{
	memset(sample, 0, sizeof(*sample));
	vhost_mem_probe_init(&sample->probe, region);
	sample->bytes = -1;
	choose_spots(sample);
}

void
vhost_numa_sample_end(struct numa_sample *sample)
{
	vhost_mem_probe_close(&sample->probe);
}

/** Count a spot's pages. */
static void
read_spot(const struct survey *survey, unsigned int i, int policy, struct sample_reading *reading,
		unsigned int *by_policy)
{
	unsigned int k;

	for (k = 0; k < survey->spots[i].n; k++) {
		int node = survey->nodes[i][k];
		bool known = node >= 0;

		reading->asked += node != NOT_ASKED;
		if (!known && node != NOT_ASKED)
			node = policy;
		if (!placement_node_counts(node))
			continue;
		reading->pages[node]++;
		reading->known += known;
		*by_policy += !known;
	}
}

static void
read_survey(const struct survey *survey, int err, struct sample_reading *reading)
{
	int policies[SAMPLE_SPOTS] = { 0 };
	unsigned int i, by_policy = 0;

	*reading = (struct sample_reading){ 0 };
	if (!survey_is_complete(survey))
		survey_policies(survey, policies);
	for (i = 0; i < survey->nspots; i++)
		read_spot(survey, i, policies[i], reading, &by_policy);
	if (reading->known > 0)
		reading->evidence = PLACEMENT_PAGES;
	else if (by_policy > 0)
		reading->evidence = PLACEMENT_POLICY;
	else
		reading->evidence = err < 0 ? PLACEMENT_REFUSED : PLACEMENT_NONE;
}

/** Watch a page of each spot that is known; the first one where none is. */
static void
choose_watched(struct numa_sample *sample, const struct survey *survey)
{
	unsigned int i;

	for (i = 0; i < sample->nspots; i++) {
		struct sample_spot *spot = &sample->spots[i];
		uint32_t known = mask_of(spot->n) & ~survey->missing[i];

		spot->watched = known != 0 ? __builtin_ctz(known) : 0;
		spot->in_window = (survey->in_window[i] >> spot->watched & 1) != 0;
		spot->node = survey->nodes[i][spot->watched];
	}
}

/** Map no more pages, and close the window unless a watched page is in it. */
static void
rest(struct numa_sample *sample)
{
	unsigned int i;

	vhost_mem_probe_disarm(&sample->probe);
	for (i = 0; i < sample->nspots; i++)
		if (sample->spots[i].in_window)
			return;
	vhost_mem_probe_close(&sample->probe);
}

/** What is not asked for in a kernel that refuses counts as asked: it has answered. */
static void
survey_refused(struct survey *survey, int err)
{
	unsigned int i, k;

	for (i = 0; i < survey->nspots; i++)
		for (k = 0; k < survey->spots[i].n; k++)
			survey->nodes[i][k] = err;
}

static bool
knows_any(const struct numa_sample *sample)
{
	unsigned int i;

	for (i = 0; i < sample->nspots; i++)
		if (sample->spots[i].node >= 0)
			return true;
	return false;
}

int
vhost_numa_sample_take(struct numa_sample *sample, unsigned int *budget,
		struct sample_reading *reading)
{
	struct survey survey;
	int ret;

	if (sample->round++ > 0 && !knows_any(sample))
		choose_spots(sample);
	survey_begin(&survey, &sample->probe, sample->spots, sample->nspots);
	ret = survey_take(&survey, budget);
	if (ret < 0)
		survey_refused(&survey, ret);
	read_survey(&survey, ret, reading);
	sample->bytes = survey.bytes;
	sample->partial = survey.partial;
	choose_watched(sample, &survey);
	rest(sample);
	return ret;
}

void
vhost_numa_sample_project(const struct sample_reading *reading, uint64_t size, uint64_t *bytes)
{
	int node;

	for (node = 0; node < PLACEMENT_MAX_NODES; node++)
		bytes[node] = reading->pages[node] != 0 ?
			size * reading->pages[node] / reading->asked : 0;
}

/* Watching */

unsigned int
vhost_numa_sample_watch(const struct numa_sample *sample, void **pages)
{
	const struct mem_probe *probe = &sample->probe;
	unsigned int i;

	for (i = 0; i < sample->nspots; i++) {
		const struct sample_spot *spot = &sample->spots[i];
		uint64_t page = spot->page + spot->watched;

		pages[i] = spot->in_window ? mem_probe_window(probe, page) :
			mem_probe_mapped(probe, page);
	}
	return sample->nspots;
}

bool
vhost_numa_sample_contradicts(const struct numa_sample *sample, const int *nodes)
{
	unsigned int i, watched = 0, lost = 0;

	for (i = 0; i < sample->nspots; i++) {
		int before = sample->spots[i].node;

		if (nodes[i] >= 0 && nodes[i] != before)
			return true;
		watched += before >= 0;
		lost += before >= 0 && nodes[i] < 0;
	}
	/* a page that went says little, half of them that all has changed */
	return lost > 0 && 2 * lost >= watched;
}

bool
vhost_numa_sample_may_tell_more(struct numa_sample *sample, const struct sample_reading *reading)
{
	int64_t bytes;

	if (sample->partial)
		return true;
	if (reading->known > 0 && reading->known == reading->asked)
		return false;
	/* without a page all rests on the policy, which nobody tells us the change of */
	if (reading->evidence == PLACEMENT_POLICY)
		return true;
	bytes = vhost_mem_probe_bytes(&sample->probe);
	if (reading->known > 0)
		return bytes - sample->bytes > sample->bytes / 8;
	return bytes < 0 || bytes != sample->bytes ||
		vhost_node_bound(mem_probe_mapped(&sample->probe, 0)) >= 0;
}

/* Rings */

/** Add the spots that hold a part: how many there are now. */
static unsigned int
add_part(const struct mem_probe *probe, const struct ring_part *part, struct sample_spot *spots,
		unsigned int n)
{
	uint64_t at = (const uint8_t *)part->start - probe->mapped;
	uint64_t page = at / probe->page_size;
	uint64_t end = part->len > 0 ? (at + part->len - 1) / probe->page_size + 1 : page;

	for (; n < SAMPLE_SPOTS && page < end; n++) {
		spots[n] = (struct sample_spot){
			.page = page, .n = RTE_MIN(end - page, (uint64_t)SAMPLE_SPOT_PAGES),
		};
		page += spots[n].n;
	}
	return n;
}

static void
vote_survey(const struct survey *survey, struct placement_vote *vote)
{
	int policies[SAMPLE_SPOTS] = { 0 };
	unsigned int i, k;

	if (!survey_is_complete(survey))
		survey_policies(survey, policies);
	for (i = 0; i < survey->nspots; i++) {
		for (k = 0; k < survey->spots[i].n; k++) {
			int node = survey->nodes[i][k];

			vhost_placement_vote_page(vote, node >= 0 ? node : policies[i], node < 0);
		}
	}
}

int
vhost_numa_sample_ring(struct numa_sample *sample, const struct ring_part *parts,
		unsigned int nparts, unsigned int *budget, struct placement_vote *vote)
{
	struct sample_spot spots[SAMPLE_SPOTS];	/* the largest ring takes them all */
	struct survey survey;
	unsigned int i, n = 0;
	int ret;

	for (i = 0; i < nparts; i++)
		n = add_part(&sample->probe, &parts[i], spots, n);
	if (n == 0)
		return 0;
	survey_begin(&survey, &sample->probe, spots, n);
	ret = survey_take(&survey, budget);
	vote_survey(&survey, vote);
	rest(sample);
	return ret;
}
