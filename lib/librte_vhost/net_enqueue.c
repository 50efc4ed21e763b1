/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Packets to the guest.
 *
 * A pass handles up to VHOST_BURST packets in two steps, so that memory has time
 * to come: plan_packets() finds places for as many packets as it can, which are
 * chains and their pieces of guest memory in the scratch rows of the block; then
 * copy_packets() fills them.
 *
 * A chain that is wrong ends a plan.  It is given back with nothing written, and
 * the packet goes to the next one.  If with mergeable buffers there are chains
 * before it that the packet was to fill, they go back unused as well, since the
 * buffers of a packet have to be neighbours in the used ring.  Each entry of the
 * available ring is taken only once, so a burst ends, whatever the guest does.
 *
 * Without mergeable buffers a chain that is too short for an ordinary frame is
 * wrong, or it would block the ring for good; for a larger packet it is the
 * packet that is at fault, and the burst ends before it.
 */

#include <string.h>

#include <linux/virtio_net.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "net_copy.h"
#include "net_header.h"
#include "net_notify.h"
#include "net_stats.h"
#include "ring_split.h"
#include "vhost_virtqueue.h"

/* What a variant is made for. */
#define VQ_MERGEABLE	(1u << 0)	/**< a packet may span several chains */

/** All variants, the cheapest first: name, what it covers. */
#define ENQUEUE_VARIANTS(X) \
	X(split, 0) \
	X(split_mrg, VQ_MERGEABLE)

/** The place of one packet. */
struct place {
	uint16_t chains;
	uint16_t pieces;
};

/** Places for packets, in their order; their chains and pieces are in the block. */
struct plan {
	uint16_t packets;
	uint16_t chains;	/**< of all those packets */
	uint16_t pieces;	/**< likewise */
	uint16_t refused;	/**< further chains, to be given back unused */
	uint16_t entries;	/**< of the available ring that all that takes */
	bool full;		/**< no more packets fit into what is on offer */
	struct place places[VHOST_BURST];
};

/**
 * Gather the pieces of the chain on offer at an entry.
 *
 * @param at  where in vq->pieces
 * @return the number of pieces, or what is wrong as from ring_gather()
 */
static __rte_always_inline int
gather_chain(const struct vhost_virtqueue *vq, uint16_t entry, unsigned int at)
{
	struct vq_chain *chain = &vq->chains[entry];
	struct vq_piece *pieces = &vq->pieces[at];
	struct vring_desc desc;

	if (unlikely(at == VHOST_MAX_PIECES))
		return -E2BIG;
	chain->head = ring_next(vq, entry);
	if (unlikely(chain->head >= vq->size))
		return -EINVAL;
	desc = ring_first(vq, chain->head);
	if (likely(ring_simple(vq, desc, true, pieces))) {
		chain->len = pieces->len;
		return 1;
	}
	return ring_gather(vq, desc, true, pieces, VHOST_MAX_PIECES - at, &chain->len);
}

/** Whether a chain may serve a packet of len bytes, header included, as its n-th. */
static __rte_always_inline bool
is_usable(uint32_t hdr_len, const struct vq_chain *chain, uint16_t n, uint64_t len,
		unsigned int flags)
{
	if (!(flags & VQ_MERGEABLE) && len <= hdr_len + RTE_ETHER_MAX_LEN)
		return chain->len >= len;
	return n > 0 || chain->len >= hdr_len;
}

/**
 * Find a place for one packet of len bytes, header included.
 *
 * @param available  entries of the available ring
 * @return whether it is part of the plan now; if not the plan ends before it
 */
static __rte_always_inline bool
plan_packet(const struct vhost_virtqueue *vq, struct plan *plan, uint64_t len,
		uint16_t available, unsigned int flags)
{
	const uint32_t hdr_len = vq->net->hdr_len;
	struct place place = { 0 };
	uint64_t offered = 0;

	do {
		uint16_t entry = plan->chains + place.chains;
		unsigned int first = plan->pieces + place.pieces;
		const struct vq_chain *chain = &vq->chains[entry];
		int got;

		if (unlikely(entry == available)) {
			plan->full = true;
			return false;
		}
		got = gather_chain(vq, entry, first);
		if (unlikely(got == -E2BIG && first > 0)) {
			/* the next plan has more room, unless this one had it all */
			plan->full = plan->packets == 0;
			return false;
		}
		if (unlikely(got <= 0 || !is_usable(hdr_len, chain, place.chains, len, flags))) {
			plan->entries = place.chains + 1;
			plan->refused = place.chains + (chain->head < vq->size);
			return false;
		}
		rte_prefetch0_write(vq->pieces[first].base);
		place.chains++;
		place.pieces += got;
		offered += chain->len;
	} while ((flags & VQ_MERGEABLE) && offered < len);
	if (!(flags & VQ_MERGEABLE) && unlikely(offered < len)) {
		plan->full = true;
		return false;
	}
	plan->places[plan->packets++] = place;
	plan->chains += place.chains;
	plan->pieces += place.pieces;
	return true;
}

static __rte_always_inline void
plan_packets(const struct vhost_virtqueue *vq, struct rte_mbuf **pkts, uint16_t n,
		uint16_t available, struct plan *plan, unsigned int flags)
{
	const uint32_t hdr_len = vq->net->hdr_len;

	plan->packets = 0;
	plan->chains = 0;
	plan->pieces = 0;
	plan->refused = 0;
	plan->entries = 0;
	plan->full = false;
	while (plan->packets < n) {
		const struct rte_mbuf *pkt = pkts[plan->packets];

		rte_prefetch0(rte_pktmbuf_mtod(pkt, const void *));
		if (!plan_packet(vq, plan, (uint64_t)pkt->pkt_len + hdr_len, available, flags))
			break;
	}
	plan->entries += plan->chains;
}

/** Memory of the guest that a packet is written to, front to back. */
struct target {
	const struct vq_piece *piece;
	uint32_t offset;	/**< into the piece */
};

static __rte_always_inline void
advance(struct target *to, uint32_t len)
{
	to->offset += len;
	if (to->offset == to->piece->len)
		*to = (struct target){ to->piece + 1, 0 };
}

static inline void
scatter(struct target *to, const uint8_t *src, uint32_t len)
{
	while (len > 0) {
		uint32_t n = RTE_MIN(len, to->piece->len - to->offset);

		net_copy(to->piece->base + to->offset, src, n);
		src += n;
		len -= n;
		advance(to, n);
	}
}

static inline void
scatter_segments(struct target *to, const struct rte_mbuf *pkt)
{
	/* there is room for pkt_len, whatever the segments add up to */
	for (uint32_t left = pkt->pkt_len; pkt != NULL && left > 0; pkt = pkt->next) {
		uint32_t n = RTE_MIN(left, pkt->data_len);

		scatter(to, rte_pktmbuf_mtod(pkt, const uint8_t *), n);
		left -= n;
	}
}

/** Copy a packet and its header to its pieces. */
static __rte_always_inline void
copy_packet(const struct virtio_net *net, struct rte_mbuf *pkt, uint32_t hdr_len,
		const struct vq_piece *pieces, struct place place)
{
	struct virtio_net_hdr_mrg_rxbuf hdr = { .num_buffers = place.chains };
	struct target to = { pieces, 0 };

	if (unlikely(pkt->ol_flags & NET_HEADER_OL_FLAGS))
		vhost_net_header_to_guest(net, pkt, &hdr.hdr);
	if (likely(pieces->len >= sizeof(hdr) && hdr_len == sizeof(hdr))) {
		memcpy(pieces->base, &hdr, sizeof(hdr));
		advance(&to, sizeof(hdr));
	} else {
		scatter(&to, (const uint8_t *)&hdr, hdr_len);
	}
	if (likely(pkt->nb_segs == 1 && pkt->pkt_len <= to.piece->len - to.offset))
		net_copy(to.piece->base + to.offset, rte_pktmbuf_mtod(pkt, const uint8_t *),
				pkt->pkt_len);
	else
		scatter_segments(&to, pkt);
}

/** Put down the chains of a packet of len bytes, each with its share. */
static __rte_always_inline void
put_shares(struct vhost_virtqueue *vq, uint16_t first, uint16_t n, uint32_t len)
{
	for (uint16_t i = first; i < first + n; i++) {
		uint32_t share = RTE_MIN(len, vq->chains[i].len);

		ring_put(vq, i, vq->chains[i].head, share);
		len -= share;
	}
}

static __rte_always_inline void
copy_packets(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, const struct plan *plan)
{
	const struct vq_piece *pieces = vq->pieces;
	const uint32_t hdr_len = vq->net->hdr_len;
	uint16_t chains = 0;

	for (uint16_t i = 0; i < plan->packets; i++) {
		struct place place = plan->places[i];

		copy_packet(vq->net, pkts[i], hdr_len, pieces, place);
		put_shares(vq, chains, place.chains, pkts[i]->pkt_len + hdr_len);
		pieces += place.pieces;
		chains += place.chains;
	}
}

/** Give back what the plan refused; it follows the chains of the packets. */
static void
put_refused(struct vhost_virtqueue *vq, const struct plan *plan)
{
	for (uint16_t i = plan->chains; i < plan->chains + plan->refused; i++)
		ring_put(vq, i, vq->chains[i].head, 0);
}

/** One pass: as many packets as there are places for, at most VHOST_BURST. */
static __rte_always_inline uint16_t
place_pass(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, uint16_t count,
		uint16_t *available, unsigned int flags)
{
	uint16_t n = RTE_MIN(count, (uint16_t)VHOST_BURST);
	uint16_t used = vq->state.last_used_idx;
	uint16_t done = 0;
	struct plan plan;

	ring_prefetch(vq, RTE_MIN(n, *available));
	do {
		plan_packets(vq, pkts + done, n - done, *available, &plan, flags);
		copy_packets(vq, pkts + done, &plan);
		if (unlikely(plan.refused > 0))
			put_refused(vq, &plan);
		ring_take(vq, plan.entries);
		ring_give(vq, plan.chains + plan.refused);
		done += plan.packets;
		*available = plan.full ? 0 : *available - plan.entries;
	} while (done < n && *available > 0);
	if (vq->state.last_used_idx != used)
		ring_publish(vq);
	return done;
}

static __rte_always_inline uint16_t
enqueue(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, uint16_t count,
		unsigned int flags)
{
	uint16_t used = vq->state.last_used_idx;
	uint16_t left, done = 0;

	ring_renew_wish(vq);
	left = ring_available(vq);
	while (done < count && left > 0)
		done += place_pass(vq, pkts + done, count - done, &left, flags);
	if (vq->net->flags & NET_STATS)
		net_stats_count(&vq->state.stats, pkts, done);
	net_notify(vq, used);
	return done;
}

#define DEFINE_VARIANT(name, flags) \
	static uint16_t \
	enqueue_ ## name(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, uint16_t count) \
	{ \
		return enqueue(vq, pkts, count, flags); \
	}
ENQUEUE_VARIANTS(DEFINE_VARIANT)

/** For a queue that is not to run. */
static uint16_t
enqueue_nothing(struct vhost_virtqueue *vq __rte_unused, struct rte_mbuf **pkts __rte_unused,
		uint16_t count __rte_unused)
{
	return 0;
}

static const struct {
	unsigned int covers;
	vq_enqueue_t enqueue;
} variants[] = {
#define VARIANT_ROW(name, flags) { flags, enqueue_ ## name },
	ENQUEUE_VARIANTS(VARIANT_ROW)
};

vq_enqueue_t
vhost_net_enqueue_select(const struct vhost_virtqueue *block)
{
	unsigned int need = 0;

	/* rings that the guest receives from have even numbers */
	if (block->size == 0 || !block->attr.enabled ||
			!(block->net->flags & NET_BUILTIN) || block->cfg.index % 2 != 0)
		return enqueue_nothing;
	if (virtio_net_has(block->net, VIRTIO_NET_F_MRG_RXBUF))
		need |= VQ_MERGEABLE;
	for (size_t i = 0; i < RTE_DIM(variants); i++)
		if ((variants[i].covers & need) == need)
			return variants[i].enqueue;
	return enqueue_nothing;
}
