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
 * So 16 neighbours cost little more than one page alone.  SEEK_DATA, for which the
 * file has to be opened again (its position is the frontend's, too), has nothing
 * before mincore(); it is asked only where a file has some memory and all spots have
 * missed it, and the spots are moved to what it finds.
 *
 * A sample is therefore 16 spots of 8 pages.  Spots are asked for in an order in which
 * any beginning of it is spread over the whole region, so that a sample for which the
 * budget did not suffice is a smaller one, not a biased one.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rte_common.h>

#include "mem_node.h"
#include "numa_sample.h"

/** Pages of a spot. */
#define SPOT_PAGES 8

/** The same of huge pages; two, because nodes may take turns page by page. */
#define HUGE_SPOT_PAGES 2

/** Known huge pages that are enough. */
#define HUGE_ENOUGH 16

/** Most pages of a survey: those of the largest ring. */
#define SURVEY_PAGES (MEM_WINDOW_RUNS * MEM_RUN_PAGES)

/** Node of a page that was not asked for. */
#define NOT_ASKED (-EAGAIN)

/** What is known of the pages of some runs. */
struct survey {
	struct mem_probe *probe;
	struct mem_window *window;
	const struct mem_run *runs;
	unsigned int nruns;
	unsigned int n;		/**< pages of all runs, one after the other */
	unsigned int known;	/**< of those, pages with a node */
	int64_t bytes;		/**< memory of the file; -1: unknown */
	bool partial;		/**< the budget was used up */
	uint16_t first[MEM_WINDOW_RUNS];	/**< page of each run */
	int nodes[SURVEY_PAGES];
	bool in_window[SURVEY_PAGES];	/**< known by the window */
};

static void
survey_begin(struct survey *survey, struct mem_probe *probe, struct mem_window *window,
		const struct mem_run *runs, unsigned int nruns)
{
	unsigned int i;

	survey->probe = probe;
	survey->window = window;
	survey->runs = runs;
	survey->nruns = nruns;
	survey->n = 0;
	survey->known = 0;
	survey->bytes = -1;
	survey->partial = false;
	for (i = 0; i < nruns; i++) {
		survey->first[i] = survey->n;
		survey->n += runs[i].n;
	}
	for (i = 0; i < survey->n; i++) {
		survey->nodes[i] = NOT_ASKED;
		survey->in_window[i] = false;
	}
}

static bool
survey_is_complete(const struct survey *survey)
{
	return survey->known == survey->n;
}

/** Ask for pages by their addresses, and keep what the kernel tells. */
static int
survey_query(struct survey *survey, const uint16_t *which, void *const *pages, unsigned int n,
		bool window)
{
	int ret, nodes[SURVEY_PAGES];
	unsigned int i;

	ret = n > 0 ? vhost_node_query(pages, n, nodes) : 0;
	for (i = 0; i < n && ret == 0; i++) {
		survey->nodes[which[i]] = nodes[i];
		survey->in_window[which[i]] = window && nodes[i] >= 0;
		survey->known += nodes[i] >= 0;
	}
	return ret;
}

/** Ask for the pages that have no node yet in the region's mapping; at most so many of a run. */
static int
survey_ask_mapped(struct survey *survey, unsigned int per_run)
{
	uint16_t which[SURVEY_PAGES];
	void *pages[SURVEY_PAGES];
	unsigned int i, k, n = 0;

	for (i = 0; i < survey->nruns; i++) {
		for (k = 0; k < RTE_MIN(survey->runs[i].n, per_run); k++) {
			if (survey->nodes[survey->first[i] + k] >= 0)
				continue;
			which[n] = survey->first[i] + k;
			pages[n++] = mem_probe_page(survey->probe, survey->runs[i].page + k);
		}
	}
	return survey_query(survey, which, pages, n, false);
}

/** The same in the window, if it is open. */
static int
survey_ask_window(struct survey *survey)
{
	uint16_t which[SURVEY_PAGES];
	void *pages[SURVEY_PAGES];
	unsigned int i, n = 0;

	for (i = 0; survey->window->at != NULL && i < survey->n; i++) {
		if (survey->nodes[i] >= 0)
			continue;
		which[n] = i;
		pages[n++] = mem_window_page(survey->window, i);
	}
	return survey_query(survey, which, pages, n, true);
}

/** Say the same of all pages of a run that have no node. */
static void
run_missing(struct survey *survey, unsigned int i, int err)
{
	unsigned int k;

	for (k = survey->first[i]; k < survey->first[i] + survey->runs[i].n; k++)
		if (survey->nodes[k] < 0)
			survey->nodes[k] = err;
}

static void
survey_missing(struct survey *survey, int err)
{
	unsigned int i;

	for (i = 0; i < survey->nruns; i++)
		run_missing(survey, i, err);
}

/** The ith run in an order of which every beginning is spread evenly. */
static unsigned int
spread(unsigned int i)
{
	return (i & 1) << 3 | (i & 2) << 1 | (i & 4) >> 1 | (i & 8) >> 3;
}

/* Which pages are there */

/** Pages to be mapped. */
struct wanted {
	bool page[SURVEY_PAGES];
	unsigned int n;
};

static void
want(struct survey *survey, struct wanted *wanted, unsigned int i, uint32_t mask)
{
	unsigned int k;

	for (k = 0; k < survey->runs[i].n; k++) {
		if (survey->nodes[survey->first[i] + k] >= 0 || (mask >> k & 1) == 0)
			continue;
		wanted->page[survey->first[i] + k] = true;
		wanted->n++;
	}
}

/** Whether all pages of a run have a node. */
static bool
run_is_known(const struct survey *survey, unsigned int i)
{
	unsigned int k;

	for (k = survey->first[i]; k < survey->first[i] + survey->runs[i].n; k++)
		if (survey->nodes[k] < 0)
			return false;
	return true;
}

/** Find out by mincore() what is there, as far as the budget goes. */
static void
want_resident(struct survey *survey, struct wanted *wanted, unsigned int *budget)
{
	unsigned int i, s;

	for (s = 0; s < MEM_WINDOW_RUNS; s++) {
		i = spread(s);
		if (i >= survey->nruns || run_is_known(survey, i))
			continue;
		if (*budget == 0) {
			survey->partial = true;
			run_missing(survey, i, NOT_ASKED);
			continue;
		}
		want(survey, wanted, i, vhost_mem_probe_resident(survey->probe, &survey->runs[i]));
		--*budget;
	}
}

static void
want_all(struct survey *survey, struct wanted *wanted)
{
	unsigned int i;

	for (i = 0; i < survey->nruns; i++)
		want(survey, wanted, i, UINT32_MAX);
}

static int
survey_arm(struct survey *survey)
{
	return vhost_mem_window_arm(survey->window, survey->probe, survey->runs, survey->nruns);
}

/** Map what is wanted, and ask for it. */
static void
map_wanted(struct survey *survey, const struct wanted *wanted, bool blind, unsigned int *budget)
{
	unsigned int i, n;

	if (wanted->n == 0 || survey_arm(survey) < 0)
		return;
	if (blind && !vhost_mem_window_is_exact(survey->window))
		return;
	for (i = 0; i < survey->n; i += n) {
		for (n = 0; i + n < survey->n && wanted->page[i + n]; n++)
			;
		if (n > 0)
			vhost_mem_window_map(survey->window, survey->probe, survey->runs, i, n,
				budget);
		n += n == 0;
	}
	survey->partial |= *budget == 0;
	survey_ask_window(survey);
	vhost_mem_window_disarm(survey->window);
}

/**
 * Find the small pages that are there.  If mincore() sees nothing of a file that has
 * memory for all pages, they were allocated and not written, or are swapped out.
 */
static void
survey_small(struct survey *survey, unsigned int *budget)
{
	struct wanted wanted = { .n = 0 };

	want_resident(survey, &wanted, budget);
	map_wanted(survey, &wanted, false, budget);
	if (survey->known > 0 || !survey->probe->full)
		return;
	want_all(survey, &wanted);
	map_wanted(survey, &wanted, true, budget);
}

/** Find huge pages that are there, one by one: holes are cheap, pages are not. */
static void
survey_huge(struct survey *survey, unsigned int *budget)
{
	unsigned int i, k, s, found = survey->known;

	if (survey_arm(survey) < 0)
		return;
	for (s = 0; s < MEM_WINDOW_RUNS; s++) {
		i = spread(s);
		if (i >= survey->nruns)
			continue;
		if (*budget == 0 || found >= HUGE_ENOUGH) {
			run_missing(survey, i, NOT_ASKED);
			continue;
		}
		for (k = survey->first[i]; k < survey->first[i] + survey->runs[i].n; k++)
			if (survey->nodes[k] < 0)
				found += vhost_mem_window_map(survey->window, survey->probe,
					survey->runs, k, 1, budget);
	}
	survey->partial |= *budget == 0;
	survey_ask_window(survey);
	vhost_mem_window_disarm(survey->window);
}

/** Ask for the pages that are mapped; of an empty file a few, for the sake of form. */
static int
survey_mapped(struct survey *survey)
{
	int ret;

	if (survey->bytes == 0) {
		ret = survey_ask_mapped(survey, 1);
		if (ret == 0 && survey->known == 0)
			survey_missing(survey, -ENOENT);
		if (ret < 0 || survey->known == 0)
			return ret;
	}
	ret = survey_ask_window(survey);
	return ret < 0 ? ret : survey_ask_mapped(survey, MEM_RUN_PAGES);
}

/**
 * Find the node of each page that has one.
 *
 * @return 0, or a negative errno when the kernel does not answer
 */
static int
survey_take(struct survey *survey, unsigned int *budget)
{
	int ret;

	survey->bytes = vhost_mem_probe_bytes(survey->probe);
	ret = survey_mapped(survey);
	if (ret < 0)
		survey_missing(survey, ret);
	if (ret < 0 || survey->bytes == 0 || survey_is_complete(survey))
		return ret;
	if (survey->probe->hugetlb)
		survey_huge(survey, budget);
	else
		survey_small(survey, budget);
	return 0;
}

/* Policies */

static int
policy_at(const struct survey *survey, unsigned int i)
{
	return vhost_node_bound(mem_probe_page(survey->probe, survey->runs[i].page));
}

/**
 * The node that a policy names for each run, or a negative number.  Where it is the
 * same in the beginning, in the middle and at the end, nothing in between is asked.
 */
static void
survey_policies(const struct survey *survey, int *policies)
{
	unsigned int i, last = survey->nruns - 1;
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
	uint64_t per_spot = sample->probe.hugetlb ? HUGE_SPOT_PAGES : SPOT_PAGES;
	uint64_t count = sample->probe.npages;
	unsigned int i;

	sample->nspots = RTE_MIN((count + per_spot - 1) / per_spot, (uint64_t)SAMPLE_SPOTS);
	for (i = 0; i < sample->nspots; i++) {
		uint64_t from = count * i / sample->nspots;
		uint64_t to = count * (i + 1) / sample->nspots;
		uint64_t n = RTE_MIN(to - from, per_spot);
		uint64_t at = scatter(i + sample->round * SAMPLE_SPOTS) % (to - from - n + 1);

		sample->spots[i] = (struct mem_run){ .page = from + at, .n = n };
		sample->watched[i] = (struct sample_watch){
			.page = from + at, .node = VHOST_NODE_ANY,
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
	vhost_mem_window_close(&sample->window);
}

/** Count a run's pages. */
static void
read_run(const struct survey *survey, unsigned int i, int policy, struct sample_reading *reading,
		unsigned int *by_policy)
{
	unsigned int k;

	for (k = survey->first[i]; k < survey->first[i] + survey->runs[i].n; k++) {
		int node = survey->nodes[k];
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
	int policies[MEM_WINDOW_RUNS] = { 0 };
	unsigned int i, by_policy = 0;

	*reading = (struct sample_reading){ 0 };
	if (!survey_is_complete(survey))
		survey_policies(survey, policies);
	for (i = 0; i < survey->nruns; i++)
		read_run(survey, i, policies[i], reading, &by_policy);
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
	bool window = false;
	unsigned int i, k;

	for (i = 0; i < sample->nspots; i++) {
		unsigned int first = survey->first[i];

		for (k = 0; k < sample->spots[i].n && survey->nodes[first + k] < 0; k++)
			;
		if (k == sample->spots[i].n)
			k = 0;
		sample->watched[i] = (struct sample_watch){
			.i = first + k, .in_window = survey->in_window[first + k],
			.node = survey->nodes[first + k], .page = sample->spots[i].page + k,
		};
		window |= survey->in_window[first + k];
	}
	if (!window || !vhost_mem_window_may_stay(&sample->window))
		vhost_mem_window_close(&sample->window);
}

static bool
knows_any(const struct numa_sample *sample)
{
	unsigned int i;

	for (i = 0; i < sample->nspots; i++)
		if (sample->watched[i].node >= 0)
			return true;
	return false;
}

/**
 * Have each spot begin with the first data that follows it, and is no other spot's:
 * whether there is any.
 */
static bool
move_spots_to_data(struct numa_sample *sample)
{
	int fd = vhost_mem_probe_reopen(&sample->probe);
	uint64_t at = 0, count = sample->probe.npages;
	unsigned int i, n = 0;

	for (i = 0; fd >= 0 && i < sample->nspots; i++) {
		at = RTE_MAX(at, sample->spots[i].page);
		if (at >= count || !vhost_mem_probe_next_data(&sample->probe, fd, &at))
			break;
		/* cppcheck-suppress unknownEvaluationOrder ; takes ".n" for the other n */
		sample->spots[n++] = (struct mem_run){
			.page = at, .n = RTE_MIN(count - at, (uint64_t)SPOT_PAGES),
		};
		at += SPOT_PAGES;
	}
	if (fd >= 0)
		close(fd);
	if (n == 0)
		return false;
	sample->nspots = n;
	return true;
}

static int
survey_spots(struct numa_sample *sample, struct survey *survey, unsigned int *budget)
{
	survey_begin(survey, &sample->probe, &sample->window, sample->spots, sample->nspots);
	return survey_take(survey, budget);
}

/** Whether the file has some memory, but the spots have none. */
static bool
has_missed(const struct survey *survey)
{
	return survey->known == 0 && survey->bytes > 0 && !survey->probe->full &&
		!survey->partial;
}

int
vhost_numa_sample_take(struct numa_sample *sample, unsigned int *budget,
		struct sample_reading *reading)
{
	struct survey survey;
	int ret;

	/* other places, as long as nothing was found */
	if (sample->round++ > 0 && !knows_any(sample))
		choose_spots(sample);
	ret = survey_spots(sample, &survey, budget);
	if (ret == 0 && has_missed(&survey)) {
		vhost_mem_window_close(&sample->window);
		if (move_spots_to_data(sample))
			ret = survey_spots(sample, &survey, budget);
	}
	read_survey(&survey, ret, reading);
	sample->bytes = survey.bytes;
	sample->partial = survey.partial;
	sample->evidence = reading->evidence;
	sample->complete = reading->known == reading->asked;
	choose_watched(sample, &survey);
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
	unsigned int i;

	for (i = 0; i < sample->nspots; i++) {
		const struct sample_watch *w = &sample->watched[i];

		pages[i] = w->in_window && sample->window.at != NULL ?
			mem_window_page(&sample->window, w->i) :
			mem_probe_page(&sample->probe, w->page);
	}
	return sample->nspots;
}

bool
vhost_numa_sample_contradicts(const struct numa_sample *sample, const int *nodes)
{
	unsigned int i, watched = 0, lost = 0;

	for (i = 0; i < sample->nspots; i++) {
		int before = sample->watched[i].node;

		if (nodes[i] >= 0 && nodes[i] != before)
			return true;
		watched += before >= 0;
		lost += before >= 0 && nodes[i] < 0;
	}
	/* a page that went says little, half of them that all has changed */
	return lost > 0 && 2 * lost >= watched;
}

bool
vhost_numa_sample_may_tell_more(struct numa_sample *sample)
{
	int64_t bytes;

	switch (sample->evidence) {
	case PLACEMENT_REFUSED:
	case PLACEMENT_POLICY:
		/* nobody tells us when it changes */
		return true;
	case PLACEMENT_PAGES:
		if (sample->partial || sample->complete)
			return sample->partial;
		bytes = vhost_mem_probe_bytes(&sample->probe);
		return bytes - sample->bytes > sample->bytes / 8;
	default:
		bytes = vhost_mem_probe_bytes(&sample->probe);
		return sample->partial || bytes < 0 || bytes != sample->bytes ||
			vhost_node_bound(mem_probe_page(&sample->probe, 0)) >= 0;
	}
}

/* Rings */

/** Add the runs that hold a part: how many there are now. */
static unsigned int
add_part(const struct mem_probe *probe, const struct ring_part *part, struct mem_run *runs,
		unsigned int n)
{
	uint64_t at = (const uint8_t *)part->start - probe->mapped;
	uint64_t page = at / probe->page_size;
	uint64_t end = part->len > 0 ? (at + part->len - 1) / probe->page_size + 1 : page;

	for (; n < MEM_WINDOW_RUNS && page < end; n++) {
		runs[n] = (struct mem_run){
			.page = page, .n = RTE_MIN(end - page, (uint64_t)MEM_RUN_PAGES),
		};
		page += runs[n].n;
	}
	return n;
}

static void
vote_survey(const struct survey *survey, struct placement_vote *vote)
{
	int policies[MEM_WINDOW_RUNS] = { 0 };
	unsigned int i, k;

	if (!survey_is_complete(survey))
		survey_policies(survey, policies);
	for (i = 0; i < survey->nruns; i++) {
		for (k = survey->first[i]; k < survey->first[i] + survey->runs[i].n; k++) {
			int node = survey->nodes[k];

			vhost_placement_vote_page(vote, node >= 0 ? node : policies[i], node < 0);
		}
	}
}

int
vhost_numa_sample_ring(struct numa_sample *sample, const struct ring_part *parts,
		unsigned int nparts, unsigned int *budget, struct placement_vote *vote)
{
	struct mem_run runs[MEM_WINDOW_RUNS];	/* the largest ring takes them all */
	struct mem_window window = { .at = NULL };
	struct survey survey;
	unsigned int i, n = 0;
	int ret;

	for (i = 0; i < nparts; i++)
		n = add_part(&sample->probe, &parts[i], runs, n);
	if (n == 0)
		return 0;
	survey_begin(&survey, &sample->probe, &window, runs, n);
	ret = survey_take(&survey, budget);
	vote_survey(&survey, vote);
	vhost_mem_window_close(&window);
	return ret;
}
