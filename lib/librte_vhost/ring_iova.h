/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_RING_IOVA_H
#define VHOST_RING_IOVA_H

/*
 * What the addresses in a ring's descriptors mean when the guest has an IOMMU.  Only
 * for blocks whose format has VQ_IOVA.
 *
 * A block has the view of its node (mem_iotlb.h), and in front of it a row of its own:
 * what was found there, by page, so that most addresses cost no more than without an
 * IOMMU.  The row is the block's and is written by bursts; the view is replaced, and
 * the row cleared of what went, under the closed gate.
 *
 * What has no translation is noted, to be asked for once the gate is left: not by
 * whoever needs it only, but as soon as the driver offers it.  The frontend maps each
 * buffer when it is offered and unmaps it after its use, so nearly each is used once,
 * and one that is asked for when a packet is at hand comes too late.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "mem_iotlb.h"
#include "virtio_net.h"

/** Translations at hand; a power of two. */
#define RING_IOVA_SLOTS 1024

/** Pages that may be asked for and not answered: more would keep the frontend busy for long. */
#define RING_IOVA_PENDING 64

/** Of which so many for chains that nobody needs yet. */
#define RING_IOVA_PENDING_AHEAD 32

/** Chains that are looked at before there are packets for them. */
#define RING_IOVA_AHEAD 256

/** Chains after a miss, or after an invalidation, for which that goes on. */
#define RING_IOVA_EAGER 1024

/** A page to be asked for. */
struct iova_want {
	uint64_t page;
	uint32_t access;	/**< MEM_IOTLB_* */
};

/** Pages that a burst wants to know. */
struct iova_wants {
	unsigned int n;
	struct iova_want pages[RING_IOVA_PENDING];
};

/** A page that was asked for not long ago. */
struct iova_pending {
	struct iova_want want;
	uint64_t until;		/**< TSC; then it is asked for again */
};

struct ring_iova {
	const struct iotlb_view *view;
	uint64_t hits;		/**< since they were counted last, likewise misses */
	uint64_t misses;
	uint32_t eager;		/**< chains that will be looked at ahead */
	uint64_t looked;	/**< TSC when the other ring of the pair was looked at */
	uint16_t ahead;		/**< places from the next one on whose memory was noted, or is known */
	bool enough;		/**< something was not noted, since too much is pending */
	bool blind;		/**< descriptors could not be read: more is missing than was noted */
	bool missed;		/**< the last burst ended before a chain that is not translated */
	struct iova_wants wants;
	unsigned int npending;
	struct iova_pending pending[RING_IOVA_PENDING];
	struct net_region slots[RING_IOVA_SLOTS];
};

/** Begin: nothing is at hand. */
void vhost_ring_iova_init(struct ring_iova *iova, const struct iotlb_view *view);

/** See another view; what has gone is not at hand any more.  Gate closed. */
void vhost_ring_iova_show(struct ring_iova *iova, const struct iotlb_view *view,
		const struct mem_iotlb_gone *gone);

/** Whether pages may be asked for that nobody needs yet. */
bool vhost_ring_iova_may_look_ahead(struct ring_iova *iova);

/** Hand over the pages that were noted. */
void vhost_ring_iova_take_wants(struct ring_iova *iova, struct iova_wants *wants);

/** What was handed over could not be asked for: it has to be noted again. */
void vhost_ring_iova_not_asked(struct ring_iova *iova);

/**
 * Our address of iova, NULL if it may not be accessed like that or is not known; that
 * is noted then, for all of the page.
 *
 * @param[in,out] len  bytes wanted, cut to what is known, or not known, from there
 */
uint8_t *vhost_ring_iova_piece(struct ring_iova *iova, uint64_t addr, uint32_t access,
		uint64_t *len);

/** ring_iova_host() for what is not at hand. */
uint8_t *vhost_ring_iova_host_elsewhere(struct ring_iova *iova, uint64_t addr, uint64_t len,
		uint32_t access);

/** Where a page is at hand: for reading or for writing. */
static __rte_always_inline struct net_region *
ring_iova_slot(struct ring_iova *iova, uint64_t addr, uint32_t access)
{
	uint64_t page = addr / MEM_IOTLB_PAGE;

	return &iova->slots[(page * 2 + (access == MEM_IOTLB_WRITE)) % RING_IOVA_SLOTS];
}

/** Our address of [addr, addr + len), NULL unless one translation has it all. */
static __rte_always_inline uint8_t *
ring_iova_host(struct ring_iova *iova, uint64_t addr, uint64_t len, uint32_t access)
{
	uint8_t *host = net_region_host(ring_iova_slot(iova, addr, access), addr, len);

	if (unlikely(host == NULL))
		return vhost_ring_iova_host_elsewhere(iova, addr, len, access);
	iova->hits++;
	return host;
}

#endif /* VHOST_RING_IOVA_H */
