/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Packets from the guest.
 *
 * A pass allocates its mbufs at once (net_mbuf.h).  Each chain either fills the next
 * of them, or is given back without a packet because it is wrong or of no use.  What is
 * left of the mbufs goes back to the pool.
 *
 * As in net_enqueue.c chains are looked at some time before they are copied, so that
 * memory has time to come.  There are three ways, each for what the one before it is
 * not for:
 *
 *	take_simple	chains of one descriptor, from the start of a pass on
 *	take_plain	chains of several, or tables of them, nothing unusual about them:
 *			in most of them a header and then the data, which is copied
 *			without a thought for pieces
 *	take_odd	one chain that is anything else: wrong, long, in memory that is
 *			not in one piece, or not known yet, or without mbufs for it
 *
 * After an odd chain it goes on with plain ones.
 *
 * No memory for a packet: its chain stays in the ring and the burst ends.
 */

#include <string.h>

#include <linux/virtio_net.h>

#include <rte_mbuf.h>

#include "net_ahead.h"
#include "net_copy.h"
#include "net_header.h"
#include "net_isa.h"
#include "net_mbuf.h"
#include "net_notify.h"
#include "net_plain.h"
#include "net_stats.h"
#include "ring.h"
#include "vhost_given.h"
#include "vhost_virtqueue.h"

/** All variants, the cheapest first: name, what it covers. */
#define DEQUEUE_VARIANTS(X) \
	X(split, NET_ISA_FLAGS | VQ_IN_ORDER) \
	X(packed, NET_ISA_FLAGS | VQ_PACKED) \
	X(packed_in_order, NET_ISA_FLAGS | VQ_PACKED | VQ_IN_ORDER)

/* ---- copies from the guest ---- */

static __rte_noinline void
copy_long(uint8_t *dst, const uint8_t *src, uint32_t len, struct net_next next)
{
	net_copy_long(dst, src, len, next, false);
}

static __rte_noinline void
copy_and_fetch(uint8_t *dst, const uint8_t *src, uint32_t len, struct net_fetch *fetch)
{
	net_copy_and_fetch(dst, src, len, fetch, false);
}

/** Take bytes from where the cursor is. */
static __rte_always_inline void
gather(struct net_cursor *from, uint8_t *dst, uint32_t len, struct net_fetch *fetch)
{
	while (len > 0) {
		uint32_t n = RTE_MIN(len, net_cursor_room(from));
		const uint8_t *src = from->piece->base + from->offset;

		VHOST_GIVEN(fetch != NULL || n <= NET_COPY_SHORT); /* only a header has none */
		if (n > NET_COPY_SHORT)
			copy_and_fetch(dst, src, n, fetch);
		else
			net_copy_short(dst, src, n);
		dst += n;
		len -= n;
		net_cursor_advance(from, n);
	}
}

/** Fill the segments of an mbuf, which have room for len bytes. */
static __rte_always_inline void
gather_segments(struct net_cursor *from, struct rte_mbuf *pkt, uint32_t len,
		struct net_fetch *fetch)
{
	pkt->pkt_len = len;
	for (; len > 0; pkt = pkt->next) {
		uint32_t n = RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(pkt));

		gather(from, rte_pktmbuf_mtod(pkt, uint8_t *), n, fetch);
		pkt->data_len = n;
		len -= n;
	}
}

/* ---- the burst ---- */

/** Whether a header asks for anything. */
static __rte_always_inline bool
header_matters(const struct virtio_net_hdr *hdr)
{
	return (hdr->flags | hdr->gso_type) != 0;
}

/** Room for the data of a packet; the same for all mbufs of a pool. */
static __rte_always_inline uint32_t
packet_room(struct rte_mbuf *pkt)
{
	rte_pktmbuf_reset_headroom(pkt);
	return pkt->buf_len - pkt->data_off;
}

/** Look at the i-th chain and have it and its mbuf at hand; false unless it is simple. */
static __rte_always_inline bool
find_slot(const struct vhost_virtqueue *vq, const struct ring_run *run, struct rte_mbuf *pkt,
		uint16_t i,
		uint32_t hdr_len, uint32_t room, struct net_slot *slot, unsigned int flags)
{
	struct vring_desc desc;
	struct vq_piece piece;
	uint16_t id;

	if (unlikely(!ring_run_first(vq, run, i, &id, &desc, flags)) ||
			!ring_simple(vq, desc, false, &piece, flags) ||
			unlikely(piece.len <= hdr_len || piece.len - hdr_len > room))
		return false;
	rte_prefetch0(piece.base);
	rte_prefetch0_write(pkt);
	slot->data = piece.base + hdr_len;
	slot->len = piece.len - hdr_len;
	slot->id = id;
	return true;
}

/**
 * Whether what the i-th place gives back is put down at once, and not after all copies.
 * The driver may be looking at the ring right now: of a split ring at the line with the
 * index and the first entries, of a packed one at the first descriptor, whose line has
 * three more.
 */
static __rte_always_inline bool
is_put_early(unsigned int i, unsigned int flags)
{
	return (flags & VQ_PACKED) && !(flags & VQ_IN_ORDER) && i >= 4;
}

/** Empty the i-th of n slots, with data in one piece and a header at hdr. */
static __rte_always_inline void
empty_slot(const struct vhost_virtqueue *vq, struct rte_mbuf *pkt, const struct net_slot *slots,
		unsigned int i, unsigned int n, const uint8_t *hdr_at)
{
	const struct virtio_net *net = vq->net;
	const uint8_t *src = slots[i].data;
	uint32_t len = slots[i].len;
	uint8_t *dst;

	rte_pktmbuf_reset(pkt);
	dst = rte_pktmbuf_mtod(pkt, uint8_t *);
	if (len > NET_COPY_SHORT)
		copy_long(dst, src, len, net_slot_next(vq, slots, i, n));
	else
		net_copy_short(dst, src, len);
	pkt->pkt_len = len;
	pkt->data_len = len;
	if (net->guest_offloads) {
		struct virtio_net_hdr hdr;

		net_read_header(hdr_at, &hdr);
		if (unlikely(header_matters(&hdr)))
			vhost_net_header_from_guest(net, &hdr, pkt);
	}
}

/** Give n places back, some of which are put down already. */
static __rte_always_inline void
give_slots(struct vhost_virtqueue *vq, const struct ring_run *run, const struct net_slot *slots,
		unsigned int n, unsigned int flags)
{
	for (unsigned int i = 0; i < n && !is_put_early(i, flags); i++)
		ring_run_put(vq, run, i, slots[i].id, 0, flags);
	ring_take(vq, n, flags);
	ring_give(vq, n, flags);
}

/** Take the packets of the chains in front that are simple: their number. */
static __rte_always_inline uint16_t
take_simple(struct vhost_virtqueue *vq, const struct ring_run *run, struct rte_mbuf **pkts,
		unsigned int n, unsigned int flags)
{
	const unsigned int first = RTE_MIN(n, (unsigned int)NET_LOOK_AHEAD);
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	const uint32_t room = packet_room(pkts[0]);
	struct net_slot slots[VHOST_BURST];
	unsigned int ahead, i;

	for (ahead = 0; ahead < first; ahead++)
		if (!find_slot(vq, run, pkts[ahead], ahead, hdr_len, room, &slots[ahead], flags)) {
			n = ahead;
			break;
		}
	for (i = 0; i < n; i++, ahead++) {
		if (ahead < n && !find_slot(vq, run, pkts[ahead], ahead, hdr_len, room,
				&slots[ahead], flags))
			n = ahead;
		empty_slot(vq, pkts[i], slots, i, n, slots[i].data - hdr_len);
		if (is_put_early(i, flags))
			ring_run_put(vq, run, i, slots[i].id, 0, flags);
	}
	if (n > 0)
		give_slots(vq, run, slots, n, flags);
	return n;
}

/* ---- plain chains ---- */

/**
 * Copy header and data of a packet into an mbuf that has room.
 *
 * @param end   of its pieces
 * @param next  what is fetched after them
 */
static __rte_always_inline void
copy_packet(const struct virtio_net *net, struct rte_mbuf *pkt, const struct vq_piece *pieces,
		const struct vq_piece *end, uint32_t len, struct net_next next)
{
	struct virtio_net_hdr_mrg_rxbuf hdr = { 0 };
	struct net_cursor from = { pieces, 0 };
	struct net_fetch fetch;

	if (likely(pieces->len >= net->hdr_len)) {
		if (net->guest_offloads)
			net_read_header(pieces->base, &hdr.hdr);
		net_cursor_advance(&from, net->hdr_len);
	} else {
		gather(&from, (uint8_t *)&hdr, net->hdr_len, NULL);
	}
	fetch = net_fetch_begin(from, end, next);
	gather_segments(&from, pkt, len, &fetch);
	if (unlikely(header_matters(&hdr.hdr)) && net->guest_offloads)
		vhost_net_header_from_guest(net, &hdr.hdr, pkt);
}

/** Whether a chain of len bytes holds a packet: there is some behind the header, not too much. */
static __rte_always_inline bool
holds_packet(uint64_t len, uint64_t hdr_len)
{
	return len - hdr_len - 1 < NET_LARGEST_PACKET;
}

/**
 * Take the packet of a chain.
 *
 * @param pkt  an mbuf as it came from its pool
 * @param end  of the pieces
 * @param len  header not included
 * @param next  what is fetched after them
 * @return 0; -ENOMEM; -EMSGSIZE if the application cannot have such a packet
 */
static __rte_always_inline int
take_packet(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf *pkt,
		const struct vq_piece *pieces, const struct vq_piece *end, uint32_t len,
		struct net_next next)
{
	int ret = 0;

	rte_pktmbuf_reset(pkt);
	if (unlikely(len > rte_pktmbuf_tailroom(pkt)))
		ret = net_mbuf_make_room(vq, pool, pkt, len);
	if (likely(ret == 0))
		copy_packet(vq->net, pkt, pieces, end, len, next);
	return ret;
}

/** Find a pair as the i-th chain and have it at hand; false unless it is one. */
static __rte_always_inline bool
find_pair(const struct vhost_virtqueue *vq, struct net_batch *batch, unsigned int i,
		uint32_t hdr_len, uint32_t room, struct vq_chain *chain, unsigned int flags)
{
	struct net_slot *slot = &batch->slots[i];
	struct vq_piece data;

	if (unlikely(!net_batch_pair(vq, batch, i, hdr_len, false, &data, chain, flags) ||
			data.len - 1 >= room))
		return false;
	rte_prefetch0(data.base);
	slot->data = data.base;
	slot->len = data.len;
	return true;
}

/** Look at a chain of any number of descriptors; false unless it is plain. */
static __rte_always_inline bool
find_pieces(const struct vhost_virtqueue *vq, struct net_batch *batch, unsigned int i,
		uint32_t hdr_len, uint32_t room, struct vq_chain *chain, unsigned int flags)
{
	struct vq_piece *row = net_batch_row(vq, i), last;
	struct net_slot *slot = &batch->slots[i];
	uint64_t len;
	unsigned int n = net_batch_gather(vq, batch, i, false, &len, chain, flags);

	if (unlikely(n == 0 || !holds_packet(len, hdr_len)))
		return false;
	last = row[n - 1];
	rte_prefetch0(row->base);
	slot->len = len - hdr_len;
	/* what is last may be the first: then the header is in front of the data */
	slot->data = likely(row->len >= hdr_len && last.len >= slot->len && slot->len <= room) ?
		last.base + (last.len - slot->len) : NULL;
	rte_prefetch0(last.base);
	batch->hdrs[i] = row->base;
	batch->ends[i % NET_ROWS] = n;
	return true;
}

/** Look at the next chain and have it at hand, as the i-th; false unless it is plain. */
static __rte_always_inline bool
find_plain(const struct vhost_virtqueue *vq, struct net_batch *batch, unsigned int i,
		uint32_t hdr_len, uint32_t room, unsigned int flags)
{
	struct vq_chain chain;

	batch->pairs = batch->pairs && find_pair(vq, batch, i, hdr_len, room, &chain, flags);
	if (!batch->pairs && unlikely(!find_pieces(vq, batch, i, hdr_len, room, &chain, flags)))
		return false;
	net_batch_add(batch, i, &chain, flags);
	return true;
}

/** Take the packet of the i-th of n slots; false if there is no memory. */
static __rte_always_inline bool
take_slot(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf *pkt,
		const struct net_batch *batch, unsigned int i, unsigned int n)
{
	const struct net_slot *slots = batch->slots;
	const struct vq_piece *row = net_batch_row(vq, i);

	if (unlikely(slots[i].data == NULL))
		return take_packet(vq, pool, pkt, row, row + batch->ends[i % NET_ROWS],
				slots[i].len, net_slot_next(vq, slots, i, n)) == 0;
	empty_slot(vq, pkt, slots, i, n, batch->hdrs[i]);
	return true;
}

/**
 * Take the packets of the chains in front that are plain, as long as there is memory:
 * their number.
 */
static __rte_always_inline unsigned int
take_plain(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf **pkts,
		unsigned int n, uint16_t *available, unsigned int flags)
{
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	const uint32_t room = packet_room(pkts[0]);
	struct net_batch batch;
	unsigned int ahead, done;

	net_batch_begin(&batch, *available);
	for (ahead = 0, done = 0; done < n; done++) {
		for (; ahead < n && ahead - done <= NET_LOOK_AHEAD; ahead++) {
			if (unlikely(!find_plain(vq, &batch, ahead, hdr_len, room, flags)))
				n = ahead;
			else
				rte_prefetch0_write(pkts[ahead]);
		}
		if (done == n || unlikely(!take_slot(vq, pool, pkts[done], &batch, done, n)))
			break;
	}
	if (likely(done > 0))
		*available -= RTE_MIN(net_batch_give(vq, batch.slots, done, 0, flags),
				*available);
	return done;
}

/**
 * Take the chain in front, whatever it is: how many packets it gave.
 *
 * @param[in,out] available  0 if nothing can be taken by this burst; stays as it is if
 *                           there is no memory
 */
static __rte_always_inline uint16_t
take_odd(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf *pkt,
		uint16_t *available, unsigned int flags)
{
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	struct vq_chain chain;
	int got, ret = -EINVAL;
	uint16_t places;

	if (!ring_offers(vq, 0, *available, flags)) {
		*available = 0;
		return 0;
	}
	got = ring_gather(vq, 0, false, vq->pieces, VHOST_MAX_PIECES, &chain, flags);
	if ((flags & VQ_IOVA) && got == -EAGAIN) {
		vq->iova->missed = true;
		*available = 0;
		return 0;
	}
	if (got > 0 && holds_packet(chain.len, hdr_len))
		ret = take_packet(vq, pool, pkt, vq->pieces, vq->pieces + got,
				chain.len - hdr_len, NET_NEXT_NONE);
	if (ret == -ENOMEM)
		return 0;
	if (ret == -EMSGSIZE)
		net_mbuf_report_oversized(vq, pkt, chain.len - hdr_len);
	places = ring_places(&chain, flags);
	ring_take(vq, places, flags);
	if (likely(got != -ENOENT)) {
		ring_put(vq, 0, chain.id, places, 0, flags);
		ring_give(vq, places, flags);
	}
	*available -= RTE_MIN(places, *available);
	return ret == 0;
}

/**
 * Take the packets of up to n chains of any kind: their number.
 *
 * @param[in,out] available  stays as it is if there is no memory for the first
 */
static __rte_always_inline uint16_t
take_chains(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf **pkts,
		uint16_t n, uint16_t *available, unsigned int flags)
{
	uint16_t done = take_plain(vq, pool, pkts, n, available, flags);

	if (done < n && *available > 0)
		done += take_odd(vq, pool, pkts[done], available, flags);
	return done;
}

/** take_chains() of one variant, apart from the burst, whose registers are all needed. */
typedef uint16_t (*take_chains_t)(struct vhost_virtqueue *vq, struct rte_mempool *pool,
		struct rte_mbuf **pkts, uint16_t n, uint16_t *available);

/**
 * Take a packet for whose segments there was no memory: a pass holds many mbufs, but
 * this one a single one, so that the queue does not stand still with memory at hand.
 */
static __rte_noinline uint16_t
take_alone(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf **pkts,
		uint16_t *available, take_chains_t any)
{
	uint16_t n = net_mbuf_allocate(vq, pool, pkts, 1);
	uint16_t before = *available;
	uint16_t done = n > 0 ? any(vq, pool, pkts, 1, available) : 0;

	if (done < n)
		rte_mempool_put(pool, pkts[0]);
	if (*available == before)
		*available = 0;
	return done;
}

/** One pass: as many packets as there are, at most VHOST_BURST. */
static __rte_always_inline uint16_t
take_pass(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf **pkts,
		uint16_t count, uint16_t *available, unsigned int flags, take_chains_t any)
{
	struct ring_run run = ring_run(vq, RTE_MIN(RTE_MIN(count, *available), (uint16_t)VHOST_BURST),
			flags);
	uint16_t n = net_mbuf_allocate(vq, pool, pkts, run.n);
	uint16_t done = likely(n > 0) ? take_simple(vq, &run, pkts, n, flags) : 0;
	uint16_t before = 0;

	*available -= done;
	while (done < n && *available > 0 && *available != before) {
		before = *available;
		done += any(vq, pool, pkts + done, n - done, available);
	}
	if (unlikely(done < n)) {
		rte_mempool_put_bulk(pool, (void **)(pkts + done), n - done);
		if (*available > 0)
			done += take_alone(vq, pool, pkts + done, available, any);
	} else if (unlikely(n < run.n || run.n == 0)) {
		*available = 0;
	}
	return done;
}

static __rte_always_inline uint16_t
dequeue(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf **pkts,
		uint16_t count, unsigned int flags, take_chains_t any)
{
	uint16_t used = vq->state.last_used_idx;
	uint16_t left, done = 0;

	ring_renew_kick_request(vq, flags);
	left = ring_available(vq, flags);
	if (unlikely(vq->state.announce) && count > 0)
		done = net_mbuf_announce(vq, pool, pkts);
	while (done < count && left > 0)
		done += take_pass(vq, pool, pkts + done, count - done, &left, flags, any);
	if (done > 0 && (vq->net->flags & NET_STATS))
		net_stats_count(&vq->state.stats, pkts, done);
	net_notify(vq, used, flags);
	if (flags & VQ_IOVA)
		vhost_net_look_ahead(vq);
	return done;
}

#define DEFINE_VARIANT(name, flags) \
	static __rte_noinline uint16_t \
	take_chains_ ## name(struct vhost_virtqueue *vq, struct rte_mempool *pool, \
			struct rte_mbuf **pkts, uint16_t n, uint16_t *available) \
	{ \
		return take_chains(vq, pool, pkts, n, available, flags); \
	} \
	static uint16_t \
	dequeue_ ## name(struct vhost_virtqueue *vq, struct rte_mempool *pool, \
			struct rte_mbuf **pkts, uint16_t count) \
	{ \
		return dequeue(vq, pool, pkts, count, flags, take_chains_ ## name); \
	}
DEQUEUE_VARIANTS(DEFINE_VARIANT)

/** For a queue that is not to run. */
static uint16_t
dequeue_nothing(struct vhost_virtqueue *vq __rte_unused,
		struct rte_mempool *pool __rte_unused, struct rte_mbuf **pkts __rte_unused,
		uint16_t count __rte_unused)
{
	return 0;
}

static const struct {
	unsigned int covers;
	vq_dequeue_t dequeue;
} variants[] = {
#define VARIANT_ROW(name, flags) { flags, dequeue_ ## name },
	DEQUEUE_VARIANTS(VARIANT_ROW)
};

vq_dequeue_t
NET_ISA_NAME(vhost_net_dequeue_select)(const struct vhost_virtqueue *block)
{
	unsigned int need = block->cfg.format;

	/* rings that the guest sends through have odd numbers */
	if (block->size == 0 || !block->attr.enabled ||
			!(block->net->flags & NET_BUILTIN) || block->cfg.index % 2 == 0)
		return dequeue_nothing;
	if (virtio_net_has(block->net, VIRTIO_F_IN_ORDER))
		need |= VQ_IN_ORDER;
	for (size_t i = 0; i < RTE_DIM(variants); i++)
		if ((variants[i].covers & need) == need)
			return variants[i].dequeue;
	return dequeue_nothing;
}
