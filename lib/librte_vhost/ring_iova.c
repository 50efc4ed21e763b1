/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <string.h>

#include <rte_cycles.h>

#include "ring_iova.h"

/**
 * After so long an answer is taken to be lost.  Not too soon: a question that comes when
 * the driver has unmapped the page is an error of the device's to the guest.
 */
#define PENDING_MS 1000

/** More than a driver unmaps for one buffer. */
#define MANY_PAGES 64

void
vhost_ring_iova_init(struct ring_iova *iova, const struct iotlb_view *view)
{
	memset(iova, 0, sizeof(*iova));
	iova->view = view;
	iova->eager = RING_IOVA_EAGER;
}

static bool
has_gone(const struct mem_iotlb_gone *gone, uint64_t addr, uint64_t size)
{
	return size != 0 && addr <= gone->last && addr + (size - 1) >= gone->first;
}

/** Forget what is at hand, and what was asked for: the answer may have been before. */
static void
forget(struct ring_iova *iova, const struct mem_iotlb_gone *gone)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(iova->slots); i++)
		if (has_gone(gone, iova->slots[i].gpa, iova->slots[i].size))
			iova->slots[i].size = 0;
	for (i = iova->npending; i-- > 0; )
		if (has_gone(gone, iova->pending[i].want.page, MEM_IOTLB_PAGE))
			iova->pending[i] = iova->pending[--iova->npending];
}

void
vhost_ring_iova_show(struct ring_iova *iova, const struct iotlb_view *view,
		const struct mem_iotlb_gone *gone)
{
	iova->view = view;
	if (!gone->any)
		return;
	forget(iova, gone);
	iova->eager = RING_IOVA_EAGER;
	/* buffers that were used go one by one; what goes at once may be on offer */
	if (gone->last - gone->first >= MANY_PAGES * MEM_IOTLB_PAGE)
		iova->ahead = 0;
}

void
vhost_ring_iova_take_wants(struct ring_iova *iova, struct iova_wants *wants)
{
	wants->n = iova->wants.n;
	memcpy(wants->pages, iova->wants.pages, wants->n * sizeof(wants->pages[0]));
	iova->wants.n = 0;
}

/** The range of an address that may be accessed like that, or NULL. */
static const struct iotlb_range *
find_range(const struct ring_iova *iova, uint64_t addr, uint32_t access)
{
	const struct iotlb_range *range = vhost_iotlb_view_find(iova->view, addr);

	return range != NULL && (range->access & access) == access ? range : NULL;
}

/** Forget what was asked for and is known by now, or will not be. */
static void
purge_pending(struct ring_iova *iova, uint64_t now)
{
	unsigned int i;

	for (i = iova->npending; i-- > 0; ) {
		const struct iova_pending *pending = &iova->pending[i];

		if ((int64_t)(pending->until - now) <= 0 ||
				find_range(iova, pending->want.page, pending->want.access) != NULL)
			iova->pending[i] = iova->pending[--iova->npending];
	}
}

void
vhost_ring_iova_not_asked(struct ring_iova *iova)
{
	iova->npending = 0;
	iova->ahead = 0;
}

bool
vhost_ring_iova_may_look_ahead(struct ring_iova *iova)
{
	if (iova->eager > 0 && iova->npending >= RING_IOVA_PENDING_AHEAD)
		purge_pending(iova, rte_rdtsc());
	return iova->eager > 0 && iova->npending < RING_IOVA_PENDING_AHEAD;
}

/** What was asked for of a page, if it was. */
static struct iova_pending *
find_pending(struct ring_iova *iova, uint64_t page, uint32_t access)
{
	unsigned int i;

	for (i = 0; i < iova->npending; i++)
		if (iova->pending[i].want.page == page &&
				(iova->pending[i].want.access & access) == access)
			return &iova->pending[i];
	return NULL;
}

/** Note a page, unless the answer for it is on its way. */
static void
want(struct ring_iova *iova, uint64_t page, uint32_t access)
{
	struct iova_pending *pending = find_pending(iova, page, access);
	uint64_t now = rte_rdtsc();

	if (pending != NULL && (int64_t)(pending->until - now) > 0)
		return;
	if (pending == NULL && iova->npending == RTE_DIM(iova->pending))
		purge_pending(iova, now);
	if (iova->npending == RTE_DIM(iova->pending) ||
			iova->wants.n == RTE_DIM(iova->wants.pages)) {
		iova->enough = true;
		return;
	}
	if (pending == NULL)
		pending = &iova->pending[iova->npending++];
	*pending = (struct iova_pending){
		.want = { page, access },
		.until = now + rte_get_tsc_hz() / MS_PER_S * PENDING_MS,
	};
	iova->wants.pages[iova->wants.n++] = pending->want;
}

uint8_t *
vhost_ring_iova_host_elsewhere(struct ring_iova *iova, uint64_t addr, uint64_t len, uint32_t access)
{
	const struct iotlb_range *range = find_range(iova, addr, access);
	struct net_region region;

	if (range == NULL)
		return NULL;
	region = (struct net_region){ range->iova, range->size, range->host };
	*ring_iova_slot(iova, addr, access) = region;
	iova->hits++;
	return net_region_host(&region, addr, len);
}

uint8_t *
vhost_ring_iova_piece(struct ring_iova *iova, uint64_t addr, uint32_t access, uint64_t *len)
{
	const struct iotlb_range *range = find_range(iova, addr, access);
	uint64_t offset;

	if (range == NULL) {
		iova->misses++;
		iova->eager = RING_IOVA_EAGER;
		want(iova, RTE_ALIGN_FLOOR(addr, MEM_IOTLB_PAGE), access);
		*len = RTE_MIN(*len, MEM_IOTLB_PAGE - addr % MEM_IOTLB_PAGE);
		return NULL;
	}
	offset = addr - range->iova;
	*len = RTE_MIN(*len, range->size - offset);
	return (uint8_t *)(range->host + offset);
}
