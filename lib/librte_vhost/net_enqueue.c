/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Packets to the guest.
 *
 * A pass handles up to VHOST_BURST packets, always in two steps, so that memory
 * has time to come: find places for as many packets as possible, then copy.
 *
 * There are three ways, each for what the one before it is not for:
 *
 *	place_simple	packets of one segment to chains of one descriptor, from the
 *			start of a pass on: a short list of addresses is enough
 *	place_plain	packets that one chain is enough for, with nothing unusual
 *			about it (net_plain.h)
 *	place_planned	all else: a plan says which chains serve which packet, and in
 *			which pieces of guest memory, in the scratch rows of the block
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

#include <rte_mbuf.h>

#include "net_ahead.h"
#include "net_copy.h"
#include "net_header.h"
#include "net_isa.h"
#include "net_notify.h"
#include "net_plain.h"
#include "net_stats.h"
#include "ring.h"
#include "vhost_given.h"
#include "vhost_virtqueue.h"

/** All variants, the cheapest first: name, what it covers. */
#define ENQUEUE_VARIANTS(X) \
	X(split, NET_ISA_FLAGS) \
	X(split_mrg, NET_ISA_FLAGS | VQ_MERGEABLE) \
	X(packed, NET_ISA_FLAGS | VQ_PACKED) \
	X(packed_mrg, NET_ISA_FLAGS | VQ_PACKED | VQ_MERGEABLE)

/* ---- copies to the guest ---- */

static __rte_noinline void
copy_long(uint8_t *dst, const uint8_t *src, uint32_t len, struct net_next next)
{
	net_copy_long(dst, src, len, next, true);
}

static __rte_noinline void
copy_and_fetch(uint8_t *dst, const uint8_t *src, uint32_t len, struct net_fetch *fetch)
{
	net_copy_and_fetch(dst, src, len, fetch, true);
}

/** Have the first lines at hand that a packet is copied to; its copy fetches others. */
static __rte_always_inline void
have_lines(const uint8_t *dst, uint32_t len)
{
	rte_prefetch0_write(dst);
	if (len > NET_COPY_SHORT) {
		rte_prefetch0_write(dst + 64);
		rte_prefetch0_write(dst + 128);
		rte_prefetch0_write(dst + 192);
	}
}

/** Copy a packet and complete its checksum there. */
static __rte_noinline void
copy_and_complete(const struct rte_mbuf *pkt, uint8_t *dst, struct net_next next)
{
	const uint8_t *src = rte_pktmbuf_mtod(pkt, const uint8_t *);
	struct net_cksum cksum;

	if (pkt->data_len > NET_COPY_SHORT)
		copy_long(dst, src, pkt->data_len, next);
	else
		net_copy_short(dst, src, pkt->data_len);
	vhost_net_cksum_to_guest(pkt, &cksum);
	if (cksum.offset + cksum.len <= pkt->data_len)
		memcpy(dst + cksum.offset, &cksum.value, cksum.len);
}

/** Put bytes where the cursor is. */
static inline void
scatter(struct net_cursor *to, const uint8_t *src, uint32_t len, struct net_fetch *fetch)
{
	while (len > 0) {
		uint32_t n = RTE_MIN(len, net_cursor_room(to));
		uint8_t *dst = to->piece->base + to->offset;

		VHOST_GIVEN(fetch != NULL || n <= NET_COPY_SHORT); /* only a header has none */
		if (n > NET_COPY_SHORT)
			copy_and_fetch(dst, src, n, fetch);
		else
			net_copy_short(dst, src, n);
		src += n;
		len -= n;
		net_cursor_advance(to, n);
	}
}

static inline void
scatter_segments(struct net_cursor *to, const struct rte_mbuf *pkt, struct net_fetch *fetch)
{
	/* there is room for pkt_len, whatever the segments add up to */
	for (uint32_t left = pkt->pkt_len; pkt != NULL && left > 0; pkt = pkt->next) {
		uint32_t n = RTE_MIN(left, pkt->data_len);

		scatter(to, rte_pktmbuf_mtod(pkt, const uint8_t *), n, fetch);
		left -= n;
	}
}

/** Put a few bytes so far behind the beginning of the pieces. */
static inline void
scatter_at(const struct vq_piece *pieces, uint32_t offset, const void *bytes, uint32_t len)
{
	struct net_cursor to = { pieces, 0 };

	net_cursor_skip(&to, offset);
	scatter(&to, bytes, len, NULL);
}

/** Complete the checksum of a packet in its copy. */
static __rte_noinline void
complete_pieces(const struct rte_mbuf *pkt, uint32_t hdr_len, const struct vq_piece *pieces)
{
	struct net_cksum cksum;

	vhost_net_cksum_to_guest(pkt, &cksum);
	scatter_at(pieces, hdr_len + cksum.offset, &cksum.value, cksum.len);
}

/**
 * Write the header of a packet in one chain, unless it is there: if its line is not
 * written, it does not have to travel between the driver's core and this one.
 *
 * @return as net_write_header()
 */
static __rte_always_inline bool
renew_header(const struct virtio_net *net, struct rte_mbuf *pkt, uint8_t *hdr, uint32_t hdr_len)
{
	if (likely((pkt->ol_flags & NET_HEADER_OL_FLAGS) == 0 && net_header_is_plain(hdr, hdr_len)))
		return false;
	return net_write_header(net, pkt, 1, hdr, hdr_len);
}

/**
 * Copy a packet and its header to its pieces, of so many chains.
 *
 * @param end   of the pieces that are fetched from
 * @param next  what is fetched after them
 */
static __rte_always_inline void
copy_packet(const struct virtio_net *net, struct rte_mbuf *pkt, uint32_t hdr_len,
		const struct vq_piece *pieces, uint16_t chains, const struct vq_piece *end,
		struct net_next next)
{
	uint8_t hdr[sizeof(struct virtio_net_hdr_mrg_rxbuf)];
	struct net_cursor to = { pieces, 0 };
	struct net_fetch fetch;
	bool is_open;

	if (likely(pieces->len >= hdr_len)) {
		is_open = chains == 1 ? renew_header(net, pkt, pieces->base, hdr_len) :
			net_write_header(net, pkt, chains, pieces->base, hdr_len);
		net_cursor_advance(&to, hdr_len);
	} else {
		is_open = net_write_header(net, pkt, chains, hdr, hdr_len);
		scatter(&to, hdr, hdr_len, NULL);
	}
	fetch = net_fetch_begin(to, end, next);
	scatter_segments(&to, pkt, &fetch);
	if (unlikely(is_open))
		complete_pieces(pkt, hdr_len, pieces);
}

/** Note that the first len bytes of those pieces were written. */
static inline void
log_pieces(struct vhost_virtqueue *vq, const struct vq_piece *piece, uint32_t len)
{
	for (; len > 0; piece++) {
		uint32_t n = RTE_MIN(len, piece->len);

		vhost_ring_log_data(vq, piece->base, n);
		len -= n;
	}
}

/* ---- chains of one descriptor ---- */

/** Find the place of the i-th packet and have it at hand; false unless it is simple. */
static __rte_always_inline bool
find_slot(const struct vhost_virtqueue *vq, const struct ring_run *run,
		const struct rte_mbuf *pkt, uint16_t i,
		uint32_t hdr_len, struct net_slot *slot, unsigned int flags)
{
	struct vring_desc desc;
	struct vq_piece piece;
	uint16_t id;

	if (unlikely(pkt->nb_segs != 1 || !ring_run_first(vq, run, i, &id, &desc, flags)) ||
			!ring_simple(vq, desc, true, &piece, flags) ||
			unlikely(piece.len < pkt->data_len + hdr_len))
		return false;
	slot->data = piece.base + hdr_len;
	slot->len = pkt->data_len;
	have_lines(slot->data, slot->len);
	/* most headers are read only; they may be in the same line */
	rte_prefetch0(piece.base);
	rte_prefetch0(rte_pktmbuf_mtod(pkt, const void *));
	slot->id = id;
	return true;
}

/** Fill the i-th of n places, with data in one piece and a header that goes to hdr. */
static __rte_always_inline void
fill_slot(struct vhost_virtqueue *vq, struct rte_mbuf *pkt, const struct net_slot *slots,
		unsigned int i, unsigned int n, uint8_t *hdr, uint32_t hdr_len, unsigned int flags)
{
	const uint8_t *src = rte_pktmbuf_mtod(pkt, const uint8_t *);
	uint8_t *dst = slots[i].data;
	uint32_t len = slots[i].len;

	if (unlikely(renew_header(vq->net, pkt, hdr, hdr_len)))
		copy_and_complete(pkt, dst, net_slot_next(vq, slots, i, n));
	else if (len > NET_COPY_SHORT)
		copy_long(dst, src, len, net_slot_next(vq, slots, i, n));
	else
		net_copy_short(dst, src, len);
	if (flags & VQ_LOG) {
		vhost_ring_log_data(vq, hdr, hdr_len);
		vhost_ring_log_data(vq, dst, len);
	}
}

/** Give the places back, all at once: the driver may be looking at the ring right now. */
static __rte_always_inline void
give_slots(struct vhost_virtqueue *vq, const struct ring_run *run, const struct net_slot *slots,
		unsigned int n, uint32_t hdr_len, unsigned int flags)
{
	for (unsigned int i = 0; i < n; i++)
		ring_run_put(vq, run, i, slots[i].id, slots[i].len + hdr_len, flags);
	ring_take(vq, n, flags);
	ring_give(vq, n, flags);
}

/** Place the packets in front that are simple: their number. */
static __rte_always_inline uint16_t
place_simple(struct vhost_virtqueue *vq, const struct ring_run *run, struct rte_mbuf **pkts,
		unsigned int flags)
{
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	const unsigned int first = RTE_MIN(run->n, NET_LOOK_AHEAD);
	struct net_slot slots[VHOST_BURST];
	unsigned int ahead, i, n = run->n;

	for (ahead = 0; ahead < first; ahead++)
		if (!find_slot(vq, run, pkts[ahead], ahead, hdr_len, &slots[ahead], flags)) {
			n = ahead;
			break;
		}
	for (i = 0; i < n; i++, ahead++) {
		if (ahead < n && !find_slot(vq, run, pkts[ahead], ahead, hdr_len,
				&slots[ahead], flags))
			n = ahead;
		fill_slot(vq, pkts[i], slots, i, n, slots[i].data - hdr_len, hdr_len, flags);
	}
	if (n > 0)
		give_slots(vq, run, slots, n, hdr_len, flags);
	return n;
}

/* ---- plain chains ---- */

/** Find a pair for the i-th packet and have it at hand; false unless there is one. */
static __rte_always_inline bool
find_pair(const struct vhost_virtqueue *vq, struct net_batch *batch, const struct rte_mbuf *pkt,
		unsigned int i, uint32_t hdr_len, struct vq_chain *chain, unsigned int flags)
{
	struct net_slot *slot = &batch->slots[i];
	struct vq_piece data;

	if (unlikely(pkt->nb_segs != 1 ||
			!net_batch_pair(vq, batch, i, hdr_len, true, &data, chain, flags) ||
			data.len < pkt->data_len))
		return false;
	have_lines(data.base, pkt->data_len);
	rte_prefetch0(batch->hdrs[i]);
	slot->data = data.base;
	slot->len = pkt->data_len;
	return true;
}

/** Find pieces for the i-th packet and have them at hand; false if that is not so plain. */
static __rte_always_inline bool
find_pieces(const struct vhost_virtqueue *vq, struct net_batch *batch, const struct rte_mbuf *pkt,
		unsigned int i, uint32_t hdr_len, struct vq_chain *chain, unsigned int flags)
{
	const struct vq_piece *row = net_batch_row(vq, i);
	struct net_slot *slot = &batch->slots[i];
	uint64_t len;
	unsigned int n = net_batch_gather(vq, batch, i, true, &len, chain, flags);

	if (unlikely(n == 0 || len < (uint64_t)pkt->pkt_len + hdr_len))
		return false;
	rte_prefetch0(row->base);
	/* the first piece may be the header's alone */
	row += n > 1 && row->len < 64;
	have_lines(row->base, RTE_MIN(row->len, pkt->pkt_len));
	slot->data = NULL;
	slot->len = pkt->pkt_len;
	batch->ends[i % NET_ROWS] = n;
	return true;
}

/** Find the place of the i-th packet and have it at hand; false unless it is plain. */
static __rte_always_inline bool
find_plain(const struct vhost_virtqueue *vq, struct net_batch *batch, const struct rte_mbuf *pkt,
		unsigned int i, uint32_t hdr_len, unsigned int flags)
{
	struct vq_chain chain;

	batch->pairs = batch->pairs && find_pair(vq, batch, pkt, i, hdr_len, &chain, flags);
	if (!batch->pairs && unlikely(!find_pieces(vq, batch, pkt, i, hdr_len, &chain, flags)))
		return false;
	rte_prefetch0(rte_pktmbuf_mtod(pkt, const void *));
	net_batch_add(batch, i, &chain, flags);
	return true;
}

/** Fill the i-th of n places. */
static __rte_always_inline void
fill_plain(struct vhost_virtqueue *vq, struct rte_mbuf *pkt, const struct net_batch *batch,
		unsigned int i, unsigned int n, uint32_t hdr_len, unsigned int flags)
{
	const struct net_slot *slots = batch->slots;
	const struct vq_piece *row = net_batch_row(vq, i);

	if (slots[i].data != NULL) {
		fill_slot(vq, pkt, slots, i, n, batch->hdrs[i], hdr_len, flags);
		return;
	}
	copy_packet(vq->net, pkt, hdr_len, row, 1, row + batch->ends[i % NET_ROWS],
			net_slot_next(vq, slots, i, n));
	if (flags & VQ_LOG)
		log_pieces(vq, row, slots[i].len + hdr_len);
}

/** Place the packets in front that go to plain chains: their number. */
static __rte_always_inline uint16_t
place_plain(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, unsigned int n,
		uint16_t *available, unsigned int flags)
{
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	struct net_batch batch;
	unsigned int ahead = 0, i;

	net_batch_begin(&batch, *available);
	for (i = 0; i < n; i++) {
		for (; ahead < n && ahead <= i + NET_LOOK_AHEAD; ahead++)
			if (!find_plain(vq, &batch, pkts[ahead], ahead, hdr_len, flags))
				n = ahead;
		if (i < n)
			fill_plain(vq, pkts[i], &batch, i, n, hdr_len, flags);
	}
	if (n > 0)
		*available -= net_batch_give(vq, batch.slots, n, hdr_len, flags);
	return n;
}

/* ---- packets and chains of any kind ---- */

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
	uint16_t ring_places;	/**< likewise */
	uint16_t refused;	/**< further chains, to be given back unused */
	uint16_t skipped;	/**< further places of the ring, to be taken and not given back */
	bool full;		/**< no more packets fit into what is on offer */
	struct place places[VHOST_BURST];
};

/**
 * Find a place for one packet and have it at hand.
 *
 * @param available  places of the ring that may be taken
 * @return whether it is part of the plan now; if not the plan ends before it
 */
static __rte_always_inline bool
plan_packet(const struct vhost_virtqueue *vq, struct plan *plan, const struct rte_mbuf *pkt,
		uint16_t available, unsigned int flags)
{
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	uint64_t len = (uint64_t)pkt->pkt_len + hdr_len;
	uint16_t at = plan->ring_places;
	struct place place = { 0 };
	uint64_t offered = 0;

	rte_prefetch0(rte_pktmbuf_mtod(pkt, const void *));
	do {
		struct vq_chain *chain = &vq->chains[plan->chains + place.chains];
		unsigned int first = plan->pieces + place.pieces;
		int got = -E2BIG;

		if (unlikely(!ring_offers(vq, at, available, flags))) {
			plan->full = true;
			return false;
		}
		if (likely(first < VHOST_MAX_PIECES))
			got = ring_gather(vq, at, true, &vq->pieces[first],
					VHOST_MAX_PIECES - first, chain, flags);
		if ((flags & VQ_IOVA) && unlikely(got == -EAGAIN)) {
			vq->iova->missed = true;
			plan->full = true;
			return false;
		}
		if (unlikely(got == -E2BIG && first > 0)) {
			/* the next plan has more room, unless this one had it all */
			plan->full = plan->packets == 0;
			return false;
		}
		if (unlikely(got <= 0 || !net_chain_is_usable(hdr_len, chain, place.chains, len, flags))) {
			plan->refused = place.chains + (got != -ENOENT);
			plan->skipped = got == -ENOENT ? chain->places : 0;
			return false;
		}
		rte_prefetch0_write(vq->pieces[first].base);
		/* the first piece may be the header's alone */
		rte_prefetch0_write(vq->pieces[first + got - 1].base);
		at += ring_places(chain, flags);
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
	plan->ring_places = at;
	return true;
}

/**
 * Put down the n chains of a packet of len bytes, each with its share.
 *
 * @param at  the place in the ring of the first
 * @return the place behind the last
 */
static __rte_always_inline uint16_t
put_shares(struct vhost_virtqueue *vq, uint16_t at, const struct vq_chain *chains, uint16_t n,
		uint32_t len, unsigned int flags)
{
	for (uint16_t i = 0; i < n; i++) {
		uint32_t share = RTE_MIN(len, chains[i].len);

		ring_put(vq, at, chains[i].id, chains[i].places, share, flags);
		at += ring_places(&chains[i], flags);
		len -= share;
	}
	return at;
}

/** Place packets by a plan: their number. */
static __rte_always_inline uint16_t
place_planned(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, uint16_t n,
		uint16_t *available, unsigned int flags)
{
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	const struct vq_piece *pieces = vq->pieces;
	const struct vq_chain *chains = vq->chains;
	struct plan plan = { 0 };
	uint16_t given = 0, taken;

	for (uint16_t i = 0; i < n + NET_LOOK_AHEAD; i++) {
		struct rte_mbuf *pkt;
		struct place place;

		if (i < n && !plan_packet(vq, &plan, pkts[i], *available, flags))
			n = i;
		if (i < NET_LOOK_AHEAD || i - NET_LOOK_AHEAD >= n)
			continue;
		pkt = pkts[i - NET_LOOK_AHEAD];
		place = plan.places[i - NET_LOOK_AHEAD];
		copy_packet(vq->net, pkt, hdr_len, pieces, place.chains,
				&vq->pieces[plan.pieces], NET_NEXT_NONE);
		if (flags & VQ_LOG)
			log_pieces(vq, pieces, pkt->pkt_len + hdr_len);
		given = put_shares(vq, given, chains, place.chains, pkt->pkt_len + hdr_len,
				flags);
		pieces += place.pieces;
		chains += place.chains;
	}
	if (unlikely(plan.refused > 0))
		given = put_shares(vq, given, chains, plan.refused, 0, flags);
	taken = given + plan.skipped;
	ring_take(vq, taken, flags);
	if (likely(given > 0))
		ring_give(vq, given, flags);
	*available = plan.full ? 0 : *available - RTE_MIN(taken, *available);
	return n;
}

/** Place packets of any kind: their number. */
static __rte_always_inline uint16_t
place_any(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, uint16_t n, uint16_t *available,
		unsigned int flags)
{
	uint16_t done = place_plain(vq, pkts, n, available, flags);

	if (done < n && *available > 0)
		done += place_planned(vq, pkts + done, n - done, available, flags);
	return done;
}

/** place_any() of one variant, apart from the burst, whose registers are all needed. */
typedef uint16_t (*place_any_t)(struct vhost_virtqueue *vq, struct rte_mbuf **pkts,
		uint16_t n, uint16_t *available);

/** One pass: as many packets as there are places for, at most VHOST_BURST. */
static __rte_always_inline uint16_t
place_pass(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, uint16_t count,
		uint16_t *available, unsigned int flags, place_any_t any)
{
	uint16_t n = RTE_MIN(count, (uint16_t)VHOST_BURST);
	struct ring_run run = ring_run(vq, RTE_MIN(n, *available), flags);
	uint16_t done = place_simple(vq, &run, pkts, flags);

	*available = run.n > 0 ? *available - done : 0;
	if (likely(done == run.n))
		return done;
	while (done < n && *available > 0)
		done += any(vq, pkts + done, n - done, available);
	return done;
}

static __rte_always_inline uint16_t
enqueue(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, uint16_t count,
		unsigned int flags, place_any_t any)
{
	uint16_t used = vq->state.last_used_idx;
	uint16_t left, done = 0;

	ring_renew_kick_request(vq, flags);
	left = ring_available(vq, flags);
	while (done < count && left > 0)
		done += place_pass(vq, pkts + done, count - done, &left, flags, any);
	if (done > 0 && (vq->net->flags & NET_STATS))
		net_stats_count(&vq->state.stats, pkts, done);
	net_notify(vq, used, flags);
	if (flags & VQ_IOVA)
		vhost_net_look_ahead(vq);
	return done;
}

#define DEFINE_VARIANT(name, flags) \
	static __rte_noinline uint16_t \
	place_any_ ## name(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, \
			uint16_t n, uint16_t *available) \
	{ \
		return place_any(vq, pkts, n, available, flags); \
	} \
	static uint16_t \
	enqueue_ ## name(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, uint16_t count) \
	{ \
		return enqueue(vq, pkts, count, flags, place_any_ ## name); \
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
NET_ISA_NAME(vhost_net_enqueue_select)(const struct vhost_virtqueue *block)
{
	unsigned int need = block->cfg.format;

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
