/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A ring is asked about in full once, when it starts: most of its pages decide.  Then
 * a check asks for some pages of each ring, many rings in one question, as the data
 * path has them mapped.  If these say something new, the ring is asked about in full
 * again, as one is of which nothing is known, once its region has memory.
 *
 * What was known counts as changed when two checks in a row say so.
 */

#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "mem_node.h"
#include "numa_rings.h"

/** Questions about a ring that starts, and in one check, about pages that may be missing. */
#define CALLS_MAX 128u

/** What it costs at least to find out that a ring is not there. */
#define CALLS_MIN 4u

/** Pages that a check asks for: the first and the last one of each part. */
#define RING_PAGES 6

/** Rings of one question. */
#define BATCH_RINGS 64

/** What is known of a ring. */
struct ring_evidence {
	bool there;
	struct evidence_ring ring;
	const struct mem_mapping *mapping;	/**< of desc; only to compare */
	int node;		/**< VHOST_NODE_ANY: not known */
	int candidate;		/**< found by the last check, if it was another one */
	uint64_t changes;	/**< times it was found on another node */
};

void
vhost_numa_rings_clear(struct numa_rings *rings)
{
	free(rings->list);
	*rings = (struct numa_rings){ 0 };
}

static struct ring_evidence *
find(const struct numa_rings *rings, uint32_t index)
{
	return index < rings->n && rings->list[index].there ? &rings->list[index] : NULL;
}

/** Room for what is known of a ring; NULL without memory. */
static struct ring_evidence *
slot(struct numa_rings *rings, uint32_t index)
{
	uint32_t n = RTE_MAX(rings->n, 2u);
	struct ring_evidence *list;

	if (index < rings->n)
		return &rings->list[index];
	while (n <= index)
		n *= 2;
	list = realloc(rings->list, n * sizeof(*list));
	if (list == NULL)
		return NULL;
	memset(list + rings->n, 0, (n - rings->n) * sizeof(*list));
	rings->list = list;
	rings->n = n;
	return &list[index];
}

/* Asking */

static struct numa_sample *
sample_of(const struct numa_regions *regions, const struct ring_part *part)
{
	return vhost_numa_regions_sample(regions, part->start, part->len);
}

/** Ask for all pages of a ring: its node. */
static int
ask(struct numa_regions *regions, const struct evidence_ring *ring, unsigned int *budget)
{
	const struct ring_part *all[] = { &ring->desc, &ring->avail, &ring->used };
	struct numa_sample *samples[RTE_DIM(all)];
	struct ring_part parts[RTE_DIM(all)];
	struct placement_vote vote;
	unsigned int i, k, n;

	for (i = 0; i < RTE_DIM(all); i++)
		samples[i] = sample_of(regions, all[i]);
	vhost_placement_vote_begin(&vote);
	/* they are mostly in one region, and asked for together */
	for (i = 0; i < RTE_DIM(all); i++) {
		struct numa_sample *sample = samples[i];

		if (sample == NULL || regions->refused)
			continue;
		for (k = i, n = 0; k < RTE_DIM(all); k++) {
			if (samples[k] != sample)
				continue;
			parts[n++] = *all[k];
			samples[k] = NULL;
		}
		regions->refused = vhost_numa_sample_ring(sample, parts, n, budget, &vote) < 0;
	}
	return vhost_placement_vote_node(&vote);
}

static bool
is_same_part(const struct ring_part *a, const struct ring_part *b)
{
	return a->start == b->start && a->len == b->len;
}

static bool
is_same_ring(const struct evidence_ring *a, const struct evidence_ring *b)
{
	return is_same_part(&a->desc, &b->desc) && is_same_part(&a->avail, &b->avail) &&
		is_same_part(&a->used, &b->used);
}

bool
vhost_numa_rings_set(struct numa_rings *rings, struct numa_regions *regions, uint32_t index,
		const struct evidence_ring *ring)
{
	const struct numa_sample *sample = sample_of(regions, &ring->desc);
	const void *mapping = sample != NULL ? sample->probe.mapping : NULL;
	struct ring_evidence *r = slot(rings, index);
	unsigned int budget = CALLS_MAX;

	if (r == NULL || (r->there && r->mapping == mapping && is_same_ring(&r->ring, ring)))
		return false;
	*r = (struct ring_evidence){
		.there = true, .ring = *ring, .mapping = mapping, .changes = r->changes,
		.node = ask(regions, ring, &budget), .candidate = VHOST_NODE_ANY,
	};
	return r->node == VHOST_NODE_ANY;
}

void
vhost_numa_rings_unset(struct numa_rings *rings, uint32_t index)
{
	struct ring_evidence *r = find(rings, index);

	if (r != NULL)
		r->there = false;
}

void
vhost_numa_rings_ask_all(struct numa_rings *rings, struct numa_regions *regions)
{
	unsigned int budget = UINT32_MAX;
	uint32_t i;

	for (i = 0; i < rings->n; i++) {
		struct ring_evidence *r = find(rings, i);
		int node = r != NULL ? ask(regions, &r->ring, &budget) : VHOST_NODE_ANY;

		if (node != VHOST_NODE_ANY)
			r->node = node;
		if (r != NULL)
			r->candidate = VHOST_NODE_ANY;
	}
}

/* What is known */

int
vhost_numa_rings_node(const struct numa_rings *rings, uint32_t index)
{
	const struct ring_evidence *r = find(rings, index);

	return r != NULL ? r->node : VHOST_NODE_ANY;
}

uint64_t
vhost_numa_rings_changes(const struct numa_rings *rings, uint32_t index)
{
	return index < rings->n ? rings->list[index].changes : 0;
}

bool
vhost_numa_rings_are_known(const struct numa_rings *rings)
{
	uint32_t i;

	for (i = 0; i < rings->n; i++)
		if (rings->list[i].there && rings->list[i].node == VHOST_NODE_ANY)
			return false;
	return true;
}

/* Checking */

/** One check of all rings. */
struct ring_check {
	struct numa_rings *rings;
	struct numa_regions *regions;
	unsigned int budget;
	bool moved;		/**< a ring belongs on another node than before */
	unsigned int changes;	/**< how many of those were known before */
};

/** Some rings, and pages of theirs to be asked for in one question. */
struct ring_batch {
	unsigned int nrings;
	struct ring_evidence *rings[BATCH_RINGS];
	unsigned int npages;
	uint8_t ring_of[BATCH_RINGS * RING_PAGES];	/**< whose page it is */
	void *pages[BATCH_RINGS * RING_PAGES];
	int nodes[BATCH_RINGS * RING_PAGES];
};

static void
batch_page(struct ring_batch *batch, const void *page)
{
	batch->ring_of[batch->npages] = batch->nrings;
	batch->pages[batch->npages++] = RTE_PTR_ADD(page, 0);
}

/** The first and the last page of each part, as the data path has them mapped. */
static void
batch_ring(struct ring_batch *batch, const struct numa_regions *regions, struct ring_evidence *r)
{
	const struct ring_part *parts[] = { &r->ring.desc, &r->ring.avail, &r->ring.used };
	unsigned int i;

	for (i = 0; i < RTE_DIM(parts); i++) {
		if (sample_of(regions, parts[i]) == NULL)
			continue;
		batch_page(batch, parts[i]->start);
		batch_page(batch, RTE_PTR_ADD(parts[i]->start, parts[i]->len - 1));
	}
	batch->rings[batch->nrings++] = r;
}

/** Whether the memory of a ring may be there. */
static bool
may_be_there(const struct numa_regions *regions, const struct ring_evidence *r)
{
	const struct numa_sample *sample = sample_of(regions, &r->ring.desc);

	return sample != NULL && sample->bytes != 0;
}

/** A ring was found on a node. */
static void
judge(struct ring_check *check, struct ring_evidence *r, int node)
{
	bool known = r->node != VHOST_NODE_ANY;

	if (node == VHOST_NODE_ANY || node == r->node) {
		r->candidate = VHOST_NODE_ANY;
		return;
	}
	if (known && r->candidate != node) {
		r->candidate = node;
		return;
	}
	r->node = node;
	r->candidate = VHOST_NODE_ANY;
	r->changes += known;
	check->changes += known;
	check->moved = true;
}

/** Judge a ring by some of its pages; if these say something new, by all. */
static void
check_ring(struct ring_check *check, struct ring_evidence *r, int node)
{
	bool in_question = r->node != VHOST_NODE_ANY ?
		node != VHOST_NODE_ANY && node != r->node :
		node != VHOST_NODE_ANY || may_be_there(check->regions, r);

	if (!in_question) {
		r->candidate = VHOST_NODE_ANY;
		return;
	}
	if (check->budget == 0)
		return;
	check->budget -= RTE_MIN(check->budget, CALLS_MIN);
	check->rings->next = r - check->rings->list + 1;
	judge(check, r, ask(check->regions, &r->ring, &check->budget));
}

static void
check_batch(struct ring_check *check, struct ring_batch *batch)
{
	struct placement_vote vote;
	unsigned int i, page = 0;

	if (batch->npages > 0 && vhost_node_query(batch->pages, batch->npages, batch->nodes) < 0)
		return;
	for (i = 0; i < batch->nrings; i++) {
		vhost_placement_vote_begin(&vote);
		for (; page < batch->npages && batch->ring_of[page] == i; page++)
			vhost_placement_vote_page(&vote, batch->nodes[page], false);
		check_ring(check, batch->rings[i], vhost_placement_vote_node(&vote));
	}
}

bool
vhost_numa_rings_check(struct numa_rings *rings, struct numa_regions *regions,
		unsigned int *changes)
{
	struct ring_check check = {
		.rings = rings, .regions = regions, .budget = CALLS_MAX,
	};
	uint32_t k, first = rings->next;
	struct ring_batch batch;

	batch.nrings = 0;
	batch.npages = 0;
	for (k = 0; k < rings->n; k++) {
		struct ring_evidence *r = find(rings, (first + k) % rings->n);

		if (r != NULL)
			batch_ring(&batch, regions, r);
		if (batch.nrings < BATCH_RINGS && k + 1 < rings->n)
			continue;
		check_batch(&check, &batch);
		batch.nrings = 0;
		batch.npages = 0;
	}
	*changes = check.changes;
	return check.moved;
}
