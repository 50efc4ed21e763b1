/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Entries are kept in the order of their addresses, in one array, so that a view is
 * made by walking it once.  Whoever adds one to a full table makes the next in turn
 * go: it will be asked for again if it is used.
 */

#include <stdlib.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "mem_iotlb.h"
#include "mem_map.h"

/** Entries that are passed over, as they should stay: a full table may hold no others. */
#define PRECIOUS_TRIES 16

struct mem_iotlb {
	uint32_t n;
	uint32_t turn;		/**< the next to go when there is no room */
	bool changed;
	struct mem_iotlb_gone gone;	/**< since it was published */
	/* an invalidation may make two of one before any is evicted */
	struct mem_iotlb_entry entries[MEM_IOTLB_MAX + 2];
};

struct mem_iotlb *
vhost_mem_iotlb_create(void)
{
	return calloc(1, sizeof(struct mem_iotlb));
}

void
vhost_mem_iotlb_destroy(struct mem_iotlb *tlb)
{
	free(tlb);
}

static uint64_t
last_of(const struct mem_iotlb_entry *entry)
{
	return entry->iova + (entry->size - 1);
}

/** The region of a frontend's address, or NULL. */
static const struct mem_region *
find_region(const struct mem_map *map, uint64_t uva)
{
	for (uint32_t i = 0; i < map->nregions; i++)
		if (uva - map->regions[i].uva < map->regions[i].size)
			return &map->regions[i];
	return NULL;
}

bool
vhost_mem_iotlb_entry_is_valid(const struct mem_iotlb_entry *entry, const struct mem_map *map)
{
	return entry->size != 0 && entry->size - 1 <= UINT64_MAX - entry->iova &&
		entry->size - 1 <= UINT64_MAX - entry->uva &&
		(entry->access & (MEM_IOTLB_READ | MEM_IOTLB_WRITE)) != 0 &&
		map != NULL && find_region(map, entry->uva) != NULL;
}

/** Index of the first entry that does not end before an address. */
static uint32_t
lower_bound(const struct mem_iotlb *tlb, uint64_t iova)
{
	uint32_t from = 0, to = tlb->n;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (last_of(&tlb->entries[middle]) < iova)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/** Have n entries in place of those from first to end. */
static void
replace(struct mem_iotlb *tlb, uint32_t first, uint32_t end,
		const struct mem_iotlb_entry *entries, uint32_t n)
{
	memmove(&tlb->entries[first + n], &tlb->entries[end],
		(tlb->n - end) * sizeof(tlb->entries[0]));
	if (n > 0)
		memcpy(&tlb->entries[first], entries, n * sizeof(tlb->entries[0]));
	tlb->n += n - (end - first);
}

/** What is left of an entry in front of an address; returns how many that are. */
static uint32_t
front_of(const struct mem_iotlb_entry *entry, uint64_t first, struct mem_iotlb_entry *front)
{
	if (entry->iova >= first)
		return 0;
	*front = *entry;
	front->size = first - entry->iova;
	return 1;
}

/** Likewise behind an address. */
static uint32_t
back_of(const struct mem_iotlb_entry *entry, uint64_t last, struct mem_iotlb_entry *back)
{
	uint64_t offset = last - entry->iova + 1;

	if (last_of(entry) <= last)
		return 0;
	*back = *entry;
	back->iova += offset;
	back->uva += offset;
	back->size -= offset;
	return 1;
}

static void
note_gone(struct mem_iotlb *tlb, uint64_t first, uint64_t last)
{
	struct mem_iotlb_gone *gone = &tlb->gone;

	gone->first = gone->any ? RTE_MIN(gone->first, first) : first;
	gone->last = gone->any ? RTE_MAX(gone->last, last) : last;
	gone->any = true;
	tlb->changed = true;
}

/** Take out what is known of first to last. */
static void
cut_out(struct mem_iotlb *tlb, uint64_t first, uint64_t last)
{
	uint32_t from = lower_bound(tlb, first), end = from, n;
	struct mem_iotlb_entry left[2];

	while (end < tlb->n && tlb->entries[end].iova <= last)
		end++;
	if (from == end)
		return;
	n = front_of(&tlb->entries[from], first, left);
	n += back_of(&tlb->entries[end - 1], last, &left[n]);
	replace(tlb, from, end, left, n);
	note_gone(tlb, first, last);
}

/** Make entries go until the table is no larger than it may be. */
static void
make_room(struct mem_iotlb *tlb, uint32_t size, mem_iotlb_precious_t precious, const void *arg)
{
	unsigned int tries = PRECIOUS_TRIES;

	while (tlb->n > size) {
		uint32_t i = tlb->turn++ % tlb->n;

		if (tries > 0 && precious != NULL && precious(&tlb->entries[i], arg)) {
			tries--;
			continue;
		}
		note_gone(tlb, tlb->entries[i].iova, last_of(&tlb->entries[i]));
		replace(tlb, i, i + 1, NULL, 0);
	}
}

/** Whether the table says already what an entry says. */
static bool
is_known(const struct mem_iotlb *tlb, const struct mem_iotlb_entry *entry)
{
	const struct mem_iotlb_entry *known = &tlb->entries[lower_bound(tlb, entry->iova)];
	uint64_t offset = entry->iova - known->iova;

	return known < &tlb->entries[tlb->n] && known->iova <= entry->iova &&
		last_of(known) >= last_of(entry) && known->access == entry->access &&
		known->uva + offset == entry->uva;
}

void
vhost_mem_iotlb_update(struct mem_iotlb *tlb, const struct mem_iotlb_entry *entry,
		mem_iotlb_precious_t precious, const void *arg)
{
	uint32_t at;

	if (is_known(tlb, entry))
		return;
	cut_out(tlb, entry->iova, last_of(entry));
	make_room(tlb, MEM_IOTLB_MAX - 1, precious, arg);
	at = lower_bound(tlb, entry->iova);
	replace(tlb, at, at, entry, 1);
	tlb->changed = true;
}

void
vhost_mem_iotlb_invalidate(struct mem_iotlb *tlb, uint64_t first, uint64_t last,
		mem_iotlb_precious_t precious, const void *arg)
{
	cut_out(tlb, first, last);
	make_room(tlb, MEM_IOTLB_MAX, precious, arg);
}

bool
vhost_mem_iotlb_uva(const struct mem_iotlb *tlb, uint64_t iova, uint32_t access, uint64_t *len,
		uint64_t *uva)
{
	const struct mem_iotlb_entry *entry = &tlb->entries[lower_bound(tlb, iova)];
	uint64_t offset = iova - entry->iova;

	if (entry == &tlb->entries[tlb->n] || entry->iova > iova ||
			(entry->access & access) != access)
		return false;
	*len = RTE_MIN(*len, entry->size - offset);
	*uva = entry->uva + offset;
	return true;
}

bool
vhost_mem_iotlb_has_changed(const struct mem_iotlb *tlb)
{
	return tlb->changed;
}

struct mem_iotlb_gone
vhost_mem_iotlb_published(struct mem_iotlb *tlb)
{
	struct mem_iotlb_gone gone = tlb->gone;

	tlb->changed = false;
	tlb->gone.any = false;
	return gone;
}

/** Whether a range goes on where another one of the same region ends, in both address spaces. */
static bool
continues(const struct iotlb_range *range, const struct iotlb_range *before)
{
	return range->iova == before->iova + before->size &&
		range->host == before->host + before->size && range->access == before->access;
}

/** Add a range to a view, as a part of the last one if it goes on there. */
static void
add_range(struct iotlb_view *view, const struct iotlb_range *range, bool same_region)
{
	if (view->n > 0 && same_region && continues(range, &view->ranges[view->n - 1]))
		view->ranges[view->n - 1].size += range->size;
	else
		view->ranges[view->n++] = *range;
}

/**
 * Add to a view what an entry says, region by region.
 *
 * @param last  region of the last range, where the next most likely is
 */
static const struct mem_region *
fill_entry(struct iotlb_view *view, struct mem_iotlb_entry entry, const struct mem_map *map,
		const struct mem_region *last)
{
	while (entry.size > 0 && view->n < RTE_DIM(view->ranges)) {
		const struct mem_region *region = last;
		struct iotlb_range range;

		if (unlikely(entry.uva - region->uva >= region->size))
			region = find_region(map, entry.uva);
		/* what no region has cannot be reached */
		if (unlikely(region == NULL))
			break;
		range = (struct iotlb_range){
			.iova = entry.iova,
			.size = RTE_MIN(entry.size, region->size - (entry.uva - region->uva)),
			.host = (uintptr_t)region->host + (entry.uva - region->uva),
			.access = entry.access,
		};
		add_range(view, &range, region == last);
		last = region;
		entry.iova += range.size;
		entry.uva += range.size;
		entry.size -= range.size;
	}
	return last;
}

void
vhost_mem_iotlb_fill(const struct mem_iotlb *tlb, const struct mem_map *map,
		struct iotlb_view *view)
{
	const struct mem_region *region;

	view->n = 0;
	if (map == NULL || map->nregions == 0)
		return;
	region = &map->regions[0];
	for (uint32_t i = 0; i < tlb->n; i++)
		region = fill_entry(view, tlb->entries[i], map, region);
}

const struct iotlb_range *
vhost_iotlb_view_find(const struct iotlb_view *view, uint64_t iova)
{
	uint32_t from = 0, to = view->n;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;
		const struct iotlb_range *range = &view->ranges[middle];

		if (iova - range->iova < range->size)
			return range;
		if (range->iova > iova)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}
