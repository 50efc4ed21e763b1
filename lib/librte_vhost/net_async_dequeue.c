/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Packets from the guest whose data is copied by a DMA device.
 *
 * A plan for the burst, of which as much is submitted as the device has room for, as in
 * net_async_enqueue.c.  The guest's header is read here, once, by the CPU; what it says
 * is applied to the packet when that is complete.
 *
 * A chain of which nothing is to be had goes back without a packet when its turn comes.
 */

#include <string.h>

#include <linux/virtio_net.h>

#include <rte_mbuf.h>

#include "net_async.h"
#include "net_copy.h"
#include "net_header.h"
#include "net_mbuf.h"
#include "net_stats.h"

/** Copy a header that is scattered, byte by byte, each once. */
static __rte_noinline void
gather_header(struct net_cursor *from, uint32_t hdr_len, struct virtio_net_hdr *hdr)
{
	uint8_t bytes[sizeof(struct virtio_net_hdr_mrg_rxbuf)];

	for (uint32_t i = 0; i < hdr_len; ) {
		uint32_t n = net_cursor_room(from) > 0;

		if (n > 0)
			bytes[i++] = *(const volatile uint8_t *)&from->piece->base[from->offset];
		net_cursor_advance(from, n);
	}
	memcpy(hdr, bytes, sizeof(*hdr));
}

/** The header of the packet in the block's pieces, if it can matter; and where its data begins. */
static __rte_always_inline struct net_cursor
take_header(const struct vhost_virtqueue *vq, struct virtio_net_hdr *hdr)
{
	const uint32_t hdr_len = vq->net->hdr_len;
	struct net_cursor from = { vq->pieces, 0 };

	if (unlikely(vq->pieces->len < hdr_len)) {
		struct net_cursor scattered = from;

		gather_header(&scattered, hdr_len, hdr);
		return scattered;
	}
	if (vq->net->guest_offloads)
		net_read_header(vq->pieces->base, hdr);
	net_cursor_advance(&from, hdr_len);
	return from;
}

/** Add the copies of a packet of len bytes to its segments, which have room: how many, or -ENOSPC. */
static inline int
plan_copies(const struct async_plan *plan, struct net_cursor from, struct rte_mbuf *pkt,
		uint32_t len)
{
	int copies = 0;

	pkt->pkt_len = len;
	for (; len > 0; pkt = pkt->next) {
		uint32_t done = 0, end = RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(pkt));

		while (done < end && copies >= 0) {
			uint32_t n = RTE_MIN(end - done, net_cursor_room(&from));
			struct async_copy copy = {
				rte_pktmbuf_mtod_offset(pkt, uint8_t *, done),
				from.piece->base + from.offset, n,
			};

			if (n > 0)
				copies = async_plan_add_copy(plan, copies, copy,
					rte_pktmbuf_iova(pkt) + done, true);
			net_cursor_advance(&from, n);
			done += n;
		}
		pkt->data_len = end;
		len -= end;
	}
	return copies;
}

/**
 * Plan the copies of a chain's packet, and keep its header in the plan.
 *
 * @param pkt  an mbuf as it came from its pool
 * @param len  of the packet, header not included
 * @return how many; 0 if the application cannot have it; -ENOMEM, -ENOSPC
 */
static __rte_always_inline int
plan_packet(struct vhost_virtqueue *vq, const struct async_plan *plan, struct rte_mempool *pool,
		struct rte_mbuf *pkt, uint32_t len)
{
	struct async_packet *packet = async_plan_packet(plan, plan->packets);
	int ret = 0;

	rte_pktmbuf_reset(pkt);
	if (unlikely(len > rte_pktmbuf_tailroom(pkt)))
		ret = net_mbuf_make_room(vq, pool, pkt, len);
	if (unlikely(ret == -EMSGSIZE)) {
		net_mbuf_report_oversized(vq, pkt, len);
		return 0;
	}
	if (unlikely(ret < 0))
		return ret;
	return plan_copies(plan, take_header(vq, &packet->hdr), pkt, len);
}

/** Give an mbuf that holds nothing the shape it came with. */
static void
strip(struct rte_mbuf *pkt)
{
	rte_pktmbuf_free(pkt->next);
	pkt->next = NULL;
	pkt->nb_segs = 1;
	if (RTE_MBUF_HAS_EXTBUF(pkt) && !RTE_MBUF_HAS_PINNED_EXTBUF(pkt))
		rte_pktmbuf_detach_extbuf(pkt);
}

/**
 * Plan the next chain.
 *
 * @return 1 if it fills the mbuf; 0 if it goes back without a packet; -ENOSPC at the end
 *         of what is on offer, or of room
 */
static __rte_always_inline int
plan_chain(struct vhost_virtqueue *vq, struct async_plan *plan, struct rte_mempool *pool,
		struct rte_mbuf *pkt, unsigned int flags)
{
	struct vq_chain *chain = async_plan_chain(plan, plan->chains);
	const uint32_t hdr_len = net_hdr_len(vq->net, flags);
	int got, copies = 0;

	if (!ring_offers(vq, plan->places, plan->available, flags) ||
			unlikely(!async_plan_has_packet(plan) ||
			!async_plan_has_chain(plan, plan->chains)))
		return -ENOSPC;
	got = ring_gather(vq, plan->places, false, vq->pieces, VHOST_MAX_PIECES, chain, flags);
	if (likely(got > 0 && chain->len > hdr_len && chain->len - hdr_len <= NET_LARGEST_PACKET)) {
		copies = plan_packet(vq, plan, pool, pkt, chain->len - hdr_len);
		if (unlikely(copies < 0)) {
			strip(pkt);
			return copies;
		}
	}
	chain->len = 0;
	async_plan_add(plan, copies > 0 ? pkt : NULL, got != -ENOENT,
			flags & VQ_PACKED ? chain->places : 1, copies);
	return copies > 0;
}

/** Plan up to n packets into the mbufs: how many of these are filled. */
static __rte_always_inline uint16_t
plan_burst(struct vhost_virtqueue *vq, struct async_plan *plan, struct rte_mempool *pool,
		struct rte_mbuf **pkts, uint16_t n, unsigned int flags)
{
	uint16_t done = 0;

	/* a copy that nobody has the address of is in registers */
	struct async_plan local = *plan;

	while (done < n) {
		int ret;

		if (done + NET_LOOK_AHEAD < n)
			rte_prefetch0_write(pkts[done + NET_LOOK_AHEAD]);
		ret = plan_chain(vq, &local, pool, pkts[done], flags);

		if (ret < 0)
			break;
		done += ret;
	}
	*plan = local;
	return done;
}

static __rte_always_inline void
fetch(struct vhost_virtqueue *vq, struct net_async *area, struct rte_mempool *pool,
		uint16_t count, struct dma_channel *channel, unsigned int flags)
{
	struct rte_mbuf *pkts[VHOST_BURST];
	struct async_plan plan;
	uint16_t n, planned, done = 0;

	ring_renew_kick_request(vq, flags);
	plan = async_plan_begin(vq, area, flags);
	count = RTE_MIN(count, plan.available);
	if (count == 0)
		return;
	n = net_mbuf_allocate(vq, pool, pkts, count);
	planned = plan_burst(vq, &plan, pool, pkts, n, flags);
	if (unlikely(plan.packets == 0 && n > 1)) {
		/* there may be memory for one packet's segments, if we do not hold it */
		rte_mempool_put_bulk(pool, (void **)(pkts + 1), n - 1);
		n = 1;
		planned = plan_burst(vq, &plan, pool, pkts, n, flags);
	}
	if (plan.packets > 0)
		done = vhost_net_async_submit(vq, &plan, channel, flags);
	for (uint16_t i = done; i < planned; i++)
		strip(pkts[i]);
	if (done < n)
		rte_mempool_put_bulk(pool, (void **)(pkts + done), n - done);
}

void
vhost_net_async_fetch(struct vhost_virtqueue *vq, struct net_async *area,
		struct rte_mempool *pool, uint16_t count, struct dma_channel *channel)
{
	count = RTE_MIN(count, (uint16_t)VHOST_BURST);
	if (vq->cfg.format & VQ_PACKED)
		fetch(vq, area, pool, count, channel, VQ_PACKED);
	else
		fetch(vq, area, pool, count, channel, 0);
}

uint16_t
vhost_net_async_announce(struct vhost_virtqueue *vq, struct rte_mempool *pool,
		struct rte_mbuf **pkts)
{
	if (likely(!vq->state.announce) || net_mbuf_announce(vq, pool, pkts) == 0)
		return 0;
	if (vq->net->flags & NET_STATS)
		net_stats_count(&vq->state.stats, pkts, 1);
	return 1;
}
