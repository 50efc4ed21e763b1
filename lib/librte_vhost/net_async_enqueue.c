/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Packets to the guest whose data is copied by a DMA device.
 *
 * First a plan for the burst: which chains serve which packet, and all copies, written
 * into the queue's async area behind what is there.  Then as much of it is submitted as
 * the device has room for.  What is not submitted leaves no trace but headers in buffers
 * that the guest has on offer anyway.
 *
 * A chain that is wrong goes back empty, as in net_enqueue.c, when its turn comes.
 */

#include <string.h>

#include <linux/virtio_net.h>

#include <rte_mbuf.h>

#include "net_async.h"
#include "net_copy.h"
#include "net_header.h"

/* Packets of one segment for chains of one descriptor */

/** Plan the i-th packet of a run; false unless it is simple. */
static __rte_always_inline bool
plan_slot(const struct vhost_virtqueue *vq, struct async_plan *plan, const struct ring_run *run,
		struct rte_mbuf *pkt, uint16_t i, unsigned int flags)
{
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	struct vq_piece piece;
	struct vring_desc desc;
	struct async_copy copy;
	struct vq_chain *chain;
	uint16_t id;
	int copies;

	if (unlikely(pkt->nb_segs != 1 || pkt->data_len == 0 ||
			!ring_run_first(vq, run, i, &id, &desc, flags)) ||
			!ring_simple(vq, desc, true, &piece, flags) ||
			unlikely(piece.len < pkt->data_len + hdr_len) ||
			unlikely(!async_plan_has_packet(plan) ||
			!async_plan_has_chain(plan, plan->chains)))
		return false;
	rte_prefetch0_write(piece.base);
	copy = (struct async_copy){ piece.base + hdr_len, rte_pktmbuf_mtod(pkt, const uint8_t *),
		pkt->data_len };
	copies = async_plan_add_copy(plan, 0, copy, rte_pktmbuf_iova(pkt), false);
	if (unlikely(copies < 0))
		return false;
	chain = async_plan_chain(plan, plan->chains);
	chain->id = id;
	chain->places = 1;
	chain->len = pkt->data_len + hdr_len;
	async_plan_add(plan, pkt, 1, 1, copies);
	return true;
}

/** Plan the packets in front that are simple: their number. */
static __rte_always_inline uint16_t
plan_simple(struct vhost_virtqueue *vq, struct async_plan *whole, struct rte_mbuf **pkts,
		uint16_t n, unsigned int flags)
{
	struct ring_run run = ring_run(vq, RTE_MIN(n, whole->available), flags);
	/* a copy that nobody has the address of is in registers */
	struct async_plan local = *whole, *plan = &local;
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	uint32_t copies = 0;
	uint16_t i = 0;

	while (i < run.n && plan_slot(vq, plan, &run, pkts[i], i, flags))
		i++;
	n = i;
	for (i = 0; i < n; i++) {
		struct async_packet *packet = async_plan_packet(plan, i);
		uint8_t *data = plan->area->copies[async_plan_copy(plan, copies)].dst;

		packet->is_open = net_write_header(vq->net, pkts[i], 1, data - hdr_len, hdr_len);
		copies += packet->copies;
	}
	*whole = local;
	return n;
}

/* Packets of any kind */

/** Chains of a packet that is being planned. */
struct place {
	uint16_t chains;
	uint16_t places;	/**< of the ring */
	uint16_t pieces;
};

/**
 * Find chains for a packet of len bytes, header included: 0; -ENOSPC if there are not
 * enough; -EINVAL if the last of the place is wrong.
 */
static __rte_always_inline int
find_place(const struct vhost_virtqueue *vq, const struct async_plan *plan, uint64_t len,
		struct place *place, unsigned int flags)
{
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	uint64_t offered = 0;

	do {
		struct vq_chain *chain = async_plan_chain(plan, plan->chains + place->chains);
		uint16_t at = plan->places + place->places;
		int got;

		if (!ring_offers(vq, at, plan->available, flags) ||
				!async_plan_has_chain(plan, plan->chains + place->chains))
			return -ENOSPC;
		got = ring_gather(vq, at, true, &vq->pieces[place->pieces],
				VHOST_MAX_PIECES - place->pieces, chain, flags);
		if (got == -E2BIG && place->pieces > 0)
			return -ENOSPC;

		place->places += flags & VQ_PACKED ? chain->places : 1;
		place->chains += got != -ENOENT;
		if (got <= 0 || !net_chain_is_usable(hdr_len, chain, place->chains - 1, len, flags))
			return -EINVAL;
		place->pieces += got;
		offered += chain->len;
	} while ((flags & VQ_MERGEABLE) && offered < len);
	return offered < len ? -ENOSPC : 0;
}

/**
 * Go through the copies of a packet, whose header is in front of it; plan NULL: make them.
 *
 * @return how many, or -ENOSPC
 */
static __rte_always_inline int
walk_copies(const struct vhost_virtqueue *vq, const struct async_plan *plan,
		const struct rte_mbuf *pkt, uint32_t hdr_len)
{
	struct net_cursor to = { vq->pieces, 0 };
	uint32_t left = pkt->pkt_len;
	int copies = 0;

	if (likely(to.piece->len >= hdr_len))
		net_cursor_advance(&to, hdr_len);
	else
		net_cursor_skip(&to, hdr_len);
	for (; pkt != NULL && left > 0 && copies >= 0; pkt = pkt->next) {
		uint32_t done = 0, end = RTE_MIN(left, pkt->data_len);

		left -= end;
		while (done < end && copies >= 0) {
			uint32_t n = RTE_MIN(end - done, net_cursor_room(&to));
			struct async_copy copy = { to.piece->base + to.offset,
				rte_pktmbuf_mtod_offset(pkt, const uint8_t *, done), n };

			if (plan == NULL)
				memcpy(copy.dst, copy.src, n);
			else if (n > 0)
				copies = async_plan_add_copy(plan, copies, copy,
					rte_pktmbuf_iova(pkt) + done, false);
			net_cursor_advance(&to, n);
			done += n;
		}
	}
	return copies;
}

/** Write to the pieces of a packet at an offset. */
static inline void
scatter(const struct vhost_virtqueue *vq, uint32_t offset, const uint8_t *bytes, uint32_t len)
{
	struct net_cursor to = { vq->pieces, 0 };

	net_cursor_skip(&to, offset);
	while (len > 0) {
		uint32_t n = net_cursor_room(&to) > 0;

		if (n > 0)
			to.piece->base[to.offset] = *bytes++;
		net_cursor_advance(&to, n);
		len -= n;
	}
}

/** Write the header of a packet to its pieces. */
static __rte_always_inline bool
write_header_to_pieces(const struct vhost_virtqueue *vq, struct rte_mbuf *pkt, uint16_t chains,
		uint32_t hdr_len)
{
	uint8_t hdr[sizeof(struct virtio_net_hdr_mrg_rxbuf)];
	bool is_open;

	if (likely(vq->pieces->len >= hdr_len))
		return net_write_header(vq->net, pkt, chains, vq->pieces->base, hdr_len);
	is_open = net_write_header(vq->net, pkt, chains, hdr, hdr_len);
	scatter(vq, 0, hdr, hdr_len);
	return is_open;
}

/** Copy a packet in more pieces than an area ever has room for, all of it here. */
static __rte_noinline void
copy_by_cpu(const struct vhost_virtqueue *vq, struct rte_mbuf *pkt, bool is_open,
		uint32_t hdr_len)
{
	struct net_cksum cksum = { 0 };

	if (is_open)
		vhost_net_cksum_to_guest(pkt, &cksum);
	walk_copies(vq, NULL, pkt, hdr_len);
	scatter(vq, hdr_len + cksum.offset, (const uint8_t *)&cksum.value, cksum.len);
}

/** Each chain of a packet of len bytes gets its share; those of no packet get none. */
static inline void
share_out(const struct async_plan *plan, const struct place *place, uint32_t len)
{
	for (uint16_t i = 0; i < place->chains; i++) {
		struct vq_chain *chain = async_plan_chain(plan, plan->chains + i);

		chain->len = RTE_MIN(len, chain->len);
		len -= chain->len;
	}
}

/** The chains of a place are those of a packet: 1, or -ENOSPC. */
static __rte_always_inline int
plan_placed(struct vhost_virtqueue *vq, struct async_plan *plan, struct rte_mbuf *pkt,
		const struct place *place, unsigned int flags)
{
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	int copies = walk_copies(vq, plan, pkt, hdr_len);
	struct async_packet *packet;
	bool is_open;

	if (copies < 0 && !async_plan_is_empty(plan))
		return -ENOSPC;
	is_open = write_header_to_pieces(vq, pkt, place->chains, hdr_len);
	if (copies < 0)
		copy_by_cpu(vq, pkt, is_open, hdr_len);
	share_out(plan, place, pkt->pkt_len + hdr_len);
	packet = async_plan_add(plan, pkt, place->chains, place->places, RTE_MAX(copies, 0));
	packet->is_open = is_open && copies >= 0;
	return 1;
}

/** Plan one packet: 1, 0 if only chains without it were, -ENOSPC if nothing was. */
static __rte_always_inline int
plan_any(struct vhost_virtqueue *vq, struct async_plan *plan, struct rte_mbuf *pkt,
		unsigned int flags)
{
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	struct place place = { 0 };
	int ret;

	if (!async_plan_has_packet(plan))
		return -ENOSPC;
	ret = find_place(vq, plan, (uint64_t)pkt->pkt_len + hdr_len, &place, flags);
	if (ret == 0)
		return plan_placed(vq, plan, pkt, &place, flags);
	if (ret == -EINVAL) {
		share_out(plan, &place, 0);
		async_plan_add(plan, NULL, place.chains, place.places, 0);
		return 0;
	}
	return ret;
}

static __rte_noinline void
plan_rest(struct vhost_virtqueue *vq, struct async_plan *plan, struct rte_mbuf **pkts,
		uint16_t n, unsigned int flags)
{
	for (uint16_t i = 0; i < n; ) {
		int ret = plan_any(vq, plan, pkts[i], flags);

		if (ret < 0)
			break;
		i += ret;
	}
}

static __rte_always_inline uint16_t
enqueue(struct vhost_virtqueue *vq, struct net_async *area, struct rte_mbuf **pkts,
		uint16_t count, struct dma_channel *channel, unsigned int flags)
{
	struct async_plan plan;
	uint16_t n, done;

	ring_renew_kick_request(vq, flags);
	plan = async_plan_begin(vq, area, flags);
	n = plan_simple(vq, &plan, pkts, count, flags);
	if (unlikely(n < count))
		plan_rest(vq, &plan, pkts + n, count - n, flags);
	if (plan.packets == 0)
		return 0;
	done = vhost_net_async_submit(vq, &plan, channel, flags);
	/* chains without a packet need not wait for a poll */
	if (unlikely(done < plan.packets))
		vhost_net_async_give(vq, area);
	return done;
}

uint16_t
vhost_net_async_enqueue(struct vhost_virtqueue *vq, struct net_async *area,
		struct rte_mbuf **pkts, uint16_t count, struct dma_channel *channel)
{
	const bool mergeable = virtio_net_has(vq->net, VIRTIO_NET_F_MRG_RXBUF);

	count = RTE_MIN(count, (uint16_t)VHOST_BURST);
	if (vq->cfg.format & VQ_PACKED)
		return mergeable ?
			enqueue(vq, area, pkts, count, channel, VQ_PACKED | VQ_MERGEABLE) :
			enqueue(vq, area, pkts, count, channel, VQ_PACKED);
	return mergeable ? enqueue(vq, area, pkts, count, channel, VQ_MERGEABLE) :
		enqueue(vq, area, pkts, count, channel, 0);
}
