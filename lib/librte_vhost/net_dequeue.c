/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Packets from the guest.
 *
 * The same two steps as in net_enqueue.c: plan_chains() looks at chains and has
 * their memory at hand, copy_packets() fills mbufs.  A pass allocates its mbufs at
 * once (net_mbuf.h); each chain either fills the next of them, or is given back
 * without a packet because it is wrong or of no use.  What is left of the mbufs goes
 * back to the pool.
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
#include "net_stats.h"
#include "ring.h"
#include "vhost_virtqueue.h"

/** All variants, the cheapest first: name, what it covers. */
#define DEQUEUE_VARIANTS(X) \
	X(split, NET_ISA_FLAGS | VQ_IN_ORDER) \
	X(packed, NET_ISA_FLAGS | VQ_PACKED) \
	X(packed_in_order, NET_ISA_FLAGS | VQ_PACKED | VQ_IN_ORDER)

/* ---- gathering ---- */

static __rte_always_inline void
gather(struct net_cursor *from, uint8_t *dst, uint32_t len)
{
	while (len > 0) {
		uint32_t n = RTE_MIN(len, net_cursor_room(from));

		net_copy(dst, from->piece->base + from->offset, n,
				(struct net_next){ dst + n, len - n });
		dst += n;
		len -= n;
		net_cursor_advance(from, n);
	}
}

/** Fill the segments of an mbuf, which have room for len bytes. */
static __rte_always_inline void
gather_segments(struct net_cursor *from, struct rte_mbuf *pkt, uint32_t len)
{
	pkt->pkt_len = len;
	for (; len > 0; pkt = pkt->next) {
		uint32_t n = RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(pkt));

		gather(from, rte_pktmbuf_mtod(pkt, uint8_t *), n);
		pkt->data_len = n;
		len -= n;
	}
}

/* ---- the burst ---- */

/** A simple packet, where it is and how long. */
struct slot {
	const uint8_t *src;
	uint32_t len;		/**< header not included */
	uint16_t id;
};

/** Whether a header asks for anything. */
static __rte_always_inline bool
header_matters(const struct virtio_net_hdr *hdr)
{
	return (hdr->flags | hdr->gso_type) != 0;
}

/** Where the data of a packet goes whose mbuf is as it came from its pool. */
static __rte_always_inline struct net_next
packet_data(const struct rte_mbuf *pkt, uint32_t len)
{
	return (struct net_next){ (const uint8_t *)pkt->buf_addr + RTE_PKTMBUF_HEADROOM, len };
}

/** Look at the i-th chain and have it and its mbuf at hand; false unless it is simple. */
static __rte_always_inline bool
find_slot(const struct vhost_virtqueue *vq, const struct ring_run *run, struct rte_mbuf *pkt,
		uint16_t i,
		uint32_t hdr_len, uint32_t room, struct slot *slot, unsigned int flags)
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
	*slot = (struct slot){ piece.base, piece.len - hdr_len, id };
	return true;
}

/** Where the data of the i-th packet goes, if it is one of those n. */
static __rte_always_inline struct net_next
slot_data(const struct slot *slots, struct rte_mbuf *const *pkts, unsigned int i,
		unsigned int n)
{
	return i < n ? packet_data(pkts[i], slots[i].len) : NET_NEXT_NONE;
}

/**
 * How many places in front are put down after all copies only.  The driver may be
 * looking at the ring right now: of a split ring at the line with the index and the
 * first entries, of a packed one at the first descriptor, whose line has three more.
 */
static __rte_always_inline unsigned int
late_places(unsigned int flags)
{
	return (flags & VQ_PACKED) && !(flags & VQ_IN_ORDER) ? 4 : VHOST_BURST;
}

/** Empty the i-th of n places. */
static __rte_always_inline void
empty_slot(struct vhost_virtqueue *vq, const struct ring_run *run, struct rte_mbuf **pkts,
		const struct slot *slots, unsigned int i, unsigned int n, uint32_t hdr_len,
		unsigned int flags)
{
	const uint8_t *src = slots[i].src + hdr_len;
	uint32_t len = slots[i].len;
	struct rte_mbuf *pkt = pkts[i];
	uint8_t *dst;

	rte_pktmbuf_reset(pkt);
	dst = rte_pktmbuf_mtod(pkt, uint8_t *);
	if (len > NET_COPY_SHORT)
		net_copy_long(dst, src, len, slot_data(slots, pkts, i + 1, n));
	else
		net_copy_short(dst, src, len);
	pkt->pkt_len = len;
	pkt->data_len = len;
	if (i >= late_places(flags))
		ring_run_put(vq, run, i, slots[i].id, 0, flags);
	if (vq->net->guest_offloads) {
		struct virtio_net_hdr hdr;

		net_read_header(slots[i].src, &hdr);
		if (unlikely(header_matters(&hdr)))
			vhost_net_header_from_guest(vq->net, &hdr, pkt);
	}
}

/** Give n places back; those behind late_places() are down already. */
static __rte_always_inline void
give_slots(struct vhost_virtqueue *vq, const struct ring_run *run, const struct slot *slots,
		unsigned int n, unsigned int flags)
{
	for (unsigned int i = 0; i < n && i < late_places(flags); i++)
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
	struct slot slots[VHOST_BURST];
	unsigned int ahead, i;
	uint32_t room;

	/* the same for all mbufs of a pool */
	rte_pktmbuf_reset_headroom(pkts[0]);
	room = pkts[0]->buf_len - pkts[0]->data_off;
	for (ahead = 0; ahead < first; ahead++)
		if (!find_slot(vq, run, pkts[ahead], ahead, hdr_len, room, &slots[ahead], flags)) {
			n = ahead;
			break;
		}
	for (i = 0; i < n; i++, ahead++) {
		if (ahead < n && !find_slot(vq, run, pkts[ahead], ahead, hdr_len, room,
				&slots[ahead], flags))
			n = ahead;
		empty_slot(vq, run, pkts, slots, i, n, hdr_len, flags);
	}
	if (n > 0)
		give_slots(vq, run, slots, n, flags);
	return n;
}

/** A chain and its packet. */
struct item {
	uint16_t id;
	uint16_t places;
	uint16_t pieces;
	uint32_t len;		/**< of the packet, header not included; 0 for none */
};

/** Chains that were looked at, in their order; their pieces are in the block. */
struct plan {
	uint16_t pieces;	/**< of all of them */
	uint16_t places;	/**< likewise, in the ring */
	uint16_t skipped;	/**< places of the ring after them, to be taken and not given back */
	bool empty;		/**< nothing is on offer after them */
};

/** Look at the next chain and have it at hand; false if the plan ends before it. */
static __rte_always_inline bool
plan_chain(const struct vhost_virtqueue *vq, uint16_t available, uint32_t hdr_len,
		struct plan *plan, struct item *item, unsigned int flags)
{
	struct vq_piece *pieces = &vq->pieces[plan->pieces];
	struct vq_chain chain;
	int got;

	if (unlikely(!ring_offers(vq, plan->places, available, flags))) {
		plan->empty = true;
		return false;
	}
	got = ring_gather(vq, plan->places, false, pieces, VHOST_MAX_PIECES - plan->pieces,
			&chain, flags);
	if (unlikely(got == -ENOENT)) {
		plan->skipped = chain.places;
		return false;
	}
	if ((flags & VQ_IOVA) && unlikely(got == -EAGAIN)) {
		vq->iova->missed = true;
		plan->empty = true;
		return false;
	}
	/* the next plan has more room, unless this one had it all */
	if (unlikely(got == -E2BIG && plan->pieces > 0))
		return false;
	plan->places += ring_places(&chain, flags);
	*item = (struct item){ .id = chain.id, .places = chain.places };
	if (unlikely(got <= 0 || chain.len <= hdr_len || chain.len - hdr_len > NET_LARGEST_PACKET))
		return true;
	rte_prefetch0(pieces[0].base);
	/* the first piece may be the header's alone */
	rte_prefetch0(pieces[got - 1].base);
	item->pieces = got;
	item->len = chain.len - hdr_len;
	plan->pieces += got;
	return true;
}

/** Copy header and data of a packet into an mbuf that has room. */
static __rte_always_inline void
copy_packet(const struct virtio_net *net, struct rte_mbuf *pkt, const struct vq_piece *pieces,
		uint32_t len, struct net_next next)
{
	struct virtio_net_hdr_mrg_rxbuf hdr = { 0 };
	struct net_cursor from = { pieces, 0 };

	if (likely(pieces->len >= net->hdr_len)) {
		if (net->guest_offloads)
			net_read_header(pieces->base, &hdr.hdr);
		net_cursor_advance(&from, net->hdr_len);
	} else {
		gather(&from, (uint8_t *)&hdr, net->hdr_len);
	}
	if (likely(len <= net_cursor_room(&from) && len <= rte_pktmbuf_tailroom(pkt))) {
		net_copy(rte_pktmbuf_mtod(pkt, uint8_t *), from.piece->base + from.offset, len,
				next);
		pkt->pkt_len = len;
		pkt->data_len = len;
	} else {
		gather_segments(&from, pkt, len);
	}
	if (unlikely(header_matters(&hdr.hdr)) && net->guest_offloads)
		vhost_net_header_from_guest(net, &hdr.hdr, pkt);
}

/**
 * Take the packet of a chain.
 *
 * @param pkt  an mbuf as it came from its pool
 * @param next  where the packet after it goes
 * @return 1 it holds the packet; 0 there is none for the application; -ENOMEM
 */
static __rte_always_inline int
take_packet(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf *pkt,
		const struct item *item, const struct vq_piece *pieces, struct net_next next)
{
	int ret = 0;

	if (unlikely(item->len == 0))
		return 0;
	rte_pktmbuf_reset(pkt);
	if (unlikely(item->len > rte_pktmbuf_tailroom(pkt)))
		ret = net_mbuf_make_room(vq, pool, pkt, item->len);
	if (likely(ret == 0)) {
		copy_packet(vq->net, pkt, pieces, item->len, next);
		return 1;
	}
	if (ret == -EMSGSIZE) {
		net_mbuf_report_oversized(vq, pkt, item->len);
		return 0;
	}
	return ret;
}

/**
 * Take the packets of up to n chains of any kind: their number.
 *
 * @param[in,out] available  stays as it is if there is no memory for the first
 */
static __rte_always_inline uint16_t
take_planned(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf **pkts,
		uint16_t n, uint16_t *available, unsigned int flags)
{
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	const struct vq_piece *pieces = vq->pieces;
	struct item items[VHOST_BURST];
	struct plan plan = { 0 };
	uint16_t given = 0, taken, done = 0;
	bool starved = false;

	for (uint16_t i = 0; i < n + NET_LOOK_AHEAD; i++) {
		struct net_next next = NET_NEXT_NONE;
		const struct item *item;
		int got;

		if (i < n && !plan_chain(vq, *available, hdr_len, &plan, &items[i], flags))
			n = i;
		if (i < NET_LOOK_AHEAD || i - NET_LOOK_AHEAD >= n)
			continue;
		item = &items[i - NET_LOOK_AHEAD];
		if (i - NET_LOOK_AHEAD + 1 < n)
			next = packet_data(pkts[done + 1], item[1].len);
		got = take_packet(vq, pool, pkts[done], item, pieces, next);
		if (unlikely(got < 0)) {
			starved = true;
			break;
		}
		ring_put(vq, given, item->id, item->places, 0, flags);
		given += item->places;
		done += got;
		pieces += item->pieces;
	}
	taken = starved ? given : given + plan.skipped;
	ring_take(vq, taken, flags);
	if (likely(given > 0))
		ring_give(vq, given, flags);
	*available = plan.empty && !starved ? 0 : *available - RTE_MIN(taken, *available);
	return done;
}

/** take_planned() of one variant, apart from the burst, whose registers are all needed. */
typedef uint16_t (*take_planned_t)(struct vhost_virtqueue *vq, struct rte_mempool *pool,
		struct rte_mbuf **pkts, uint16_t n, uint16_t *available);

/**
 * Take a packet for whose segments there was no memory: a pass holds many mbufs, but
 * this one a single one, so that the queue does not stand still with memory at hand.
 */
static __rte_noinline uint16_t
take_alone(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf **pkts,
		uint16_t *available, take_planned_t planned)
{
	uint16_t n = net_mbuf_allocate(vq, pool, pkts, 1);
	uint16_t before = *available;
	uint16_t done = n > 0 ? planned(vq, pool, pkts, 1, available) : 0;

	if (done < n)
		rte_mempool_put(pool, pkts[0]);
	if (*available == before)
		*available = 0;
	return done;
}

/** One pass: as many packets as there are, at most VHOST_BURST. */
static __rte_always_inline uint16_t
take_pass(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf **pkts,
		uint16_t count, uint16_t *available, unsigned int flags, take_planned_t planned)
{
	struct ring_run run = ring_run(vq, RTE_MIN(RTE_MIN(count, *available), (uint16_t)VHOST_BURST),
			flags);
	uint16_t n = net_mbuf_allocate(vq, pool, pkts, run.n);
	uint16_t done = likely(n > 0) ? take_simple(vq, &run, pkts, n, flags) : 0;
	uint16_t before = 0;

	*available -= done;
	while (done < n && *available > 0 && *available != before) {
		before = *available;
		done += planned(vq, pool, pkts + done, n - done, available);
	}
	if (unlikely(done < n)) {
		rte_mempool_put_bulk(pool, (void **)(pkts + done), n - done);
		if (*available > 0)
			done += take_alone(vq, pool, pkts + done, available, planned);
	} else if (unlikely(n < run.n || run.n == 0)) {
		*available = 0;
	}
	return done;
}

static __rte_always_inline uint16_t
dequeue(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf **pkts,
		uint16_t count, unsigned int flags, take_planned_t planned)
{
	uint16_t used = vq->state.last_used_idx;
	uint16_t left, done = 0;

	ring_renew_kick_request(vq, flags);
	left = ring_available(vq, flags);
	if (unlikely(vq->state.announce) && count > 0)
		done = net_mbuf_announce(vq, pool, pkts);
	while (done < count && left > 0)
		done += take_pass(vq, pool, pkts + done, count - done, &left, flags, planned);
	if (vq->net->flags & NET_STATS)
		net_stats_count(&vq->state.stats, pkts, done);
	net_notify(vq, used, flags);
	if (flags & VQ_IOVA)
		vhost_net_look_ahead(vq);
	return done;
}

#define DEFINE_VARIANT(name, flags) \
	static __rte_noinline uint16_t \
	take_planned_ ## name(struct vhost_virtqueue *vq, struct rte_mempool *pool, \
			struct rte_mbuf **pkts, uint16_t n, uint16_t *available) \
	{ \
		return take_planned(vq, pool, pkts, n, available, flags); \
	} \
	static uint16_t \
	dequeue_ ## name(struct vhost_virtqueue *vq, struct rte_mempool *pool, \
			struct rte_mbuf **pkts, uint16_t count) \
	{ \
		return dequeue(vq, pool, pkts, count, flags, take_planned_ ## name); \
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
