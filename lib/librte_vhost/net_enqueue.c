/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Packets to the guest.
 *
 * A pass handles up to VHOST_BURST packets.  As long as packet and chain are
 * simple (one segment, one descriptor in one region) they go in runs: first all
 * addresses of the run are found and asked for from memory, then all is copied.
 * Whatever is not simple goes alone: gather pieces of guest memory until the
 * packet fits, then scatter it over them.
 *
 * A chain that is wrong is given back with nothing written, and the packet goes
 * to the next one.  With mergeable buffers a wrong chain may turn up when some
 * were gathered; those go back unused as well, since the buffers of a packet
 * have to be neighbours in the used ring.  Each entry of the available ring is
 * looked at only once per burst, so a burst ends, whatever the guest does.
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

/** A simple packet and where it goes. */
struct slot {
	uint8_t *dst;
	uint16_t head;
};

/** Write the header of a packet that is alone in its buffer. */
static __rte_always_inline void
write_header(const struct virtio_net *net, struct rte_mbuf *pkt, uint8_t *dst, uint32_t len)
{
	struct virtio_net_hdr_mrg_rxbuf hdr = { .num_buffers = 1 };

	if (unlikely(pkt->ol_flags & NET_HEADER_OL_FLAGS))
		vhost_net_header_to_guest(net, pkt, &hdr.hdr);
	if (likely(len == sizeof(hdr)))
		memcpy(dst, &hdr, sizeof(hdr));
	else
		memcpy(dst, &hdr.hdr, sizeof(hdr.hdr));
}

/** Find places for the simple packets in front of pkts: their number. */
static __rte_always_inline uint16_t
plan_run(const struct vhost_virtqueue *vq, struct rte_mbuf **pkts, uint16_t n,
		struct slot *slots)
{
	uint16_t i;

	for (i = 0; i < n; i++) {
		const struct rte_mbuf *pkt = pkts[i];
		uint16_t head = ring_next(vq, i);
		struct vq_piece piece;

		if (unlikely(head >= vq->size) || pkt->nb_segs != 1 ||
				!ring_simple(vq, head, true, &piece) ||
				piece.len < (uint32_t)pkt->data_len + vq->net->hdr_len)
			break;
		rte_prefetch0_write(piece.base);
		rte_prefetch0(rte_pktmbuf_mtod(pkt, const void *));
		slots[i] = (struct slot){ piece.base, head };
	}
	return i;
}

/** Place the simple packets in front of pkts: their number. */
static __rte_always_inline uint16_t
place_run(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, uint16_t n)
{
	const uint32_t hdr_len = vq->net->hdr_len;
	struct slot slots[VHOST_BURST];

	n = plan_run(vq, pkts, n, slots);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *pkt = pkts[i];
		uint32_t len = pkt->data_len;

		write_header(vq->net, pkt, slots[i].dst, hdr_len);
		net_copy(slots[i].dst + hdr_len, rte_pktmbuf_mtod(pkt, const uint8_t *), len);
		ring_put(vq, i, slots[i].head, len + hdr_len);
	}
	ring_take(vq, n);
	ring_give(vq, n);
	return n;
}

/** Memory of the guest that a packet is written to, front to back. */
struct target {
	const struct vq_piece *piece;
	uint32_t offset;	/**< into the piece */
};

static inline void
scatter(struct target *to, const void *src, uint32_t len)
{
	while (len > 0) {
		uint32_t n = RTE_MIN(len, to->piece->len - to->offset);

		net_copy(to->piece->base + to->offset, src, n);
		src = (const uint8_t *)src + n;
		len -= n;
		to->offset += n;
		if (to->offset == to->piece->len)
			*to = (struct target){ to->piece + 1, 0 };
	}
}

static inline void
scatter_segments(struct target *to, const struct rte_mbuf *pkt)
{
	/* there is room for pkt_len, whatever the segments add up to */
	for (uint32_t left = pkt->pkt_len; pkt != NULL && left > 0; pkt = pkt->next) {
		uint32_t n = RTE_MIN(left, pkt->data_len);

		scatter(to, rte_pktmbuf_mtod(pkt, const void *), n);
		left -= n;
	}
}

/** Give chains back unused. */
static void
give_back(struct vhost_virtqueue *vq, const struct vq_chain *chains, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		ring_put(vq, i, chains[i].head, 0);
	ring_give(vq, n);
}

/** Whether a chain may serve a packet of len bytes, header included, as its n-th. */
static __rte_always_inline bool
is_usable(const struct vhost_virtqueue *vq, const struct vq_chain *chain, uint16_t n,
		uint64_t len, unsigned int flags)
{
	uint32_t least = vq->net->hdr_len;

	if (!(flags & VQ_MERGEABLE) && len <= least + RTE_ETHER_MAX_LEN)
		return chain->len >= len;
	return n > 0 || chain->len >= least;
}

/**
 * Take chains until a packet of len bytes, header included, fits into their
 * pieces; wrong ones are given back on the way.
 *
 * @param[in,out] left  entries of the available ring not yet looked at
 * @return the number of chains, in vq->chains and vq->pieces; 0 when there are
 *         not enough, those that could serve still being in the ring
 */
static __rte_always_inline uint16_t
gather_room(struct vhost_virtqueue *vq, uint64_t len, uint16_t *left, unsigned int flags)
{
	uint16_t limit = (flags & VQ_MERGEABLE) ? VHOST_MAX_PIECES : 1;
	unsigned int pieces = 0;
	uint64_t room = 0;
	uint16_t n = 0, held = 0;

	while (*left > 0 && n < limit) {
		struct vq_chain *chain = &vq->chains[n];
		int got = -EINVAL;

		chain->head = ring_next(vq, 0);
		if (likely(chain->head < vq->size))
			got = ring_gather(vq, chain->head, true, vq->pieces + pieces,
					VHOST_MAX_PIECES - pieces, &chain->len);
		if (unlikely(got == -E2BIG && n > 0))
			break;
		ring_take(vq, 1);
		held++;
		(*left)--;
		if (likely(got > 0 && is_usable(vq, chain, n, len, flags))) {
			n++;
			pieces += got;
			room += chain->len;
			if (room >= len)
				return n;
			continue;
		}
		give_back(vq, vq->chains, n + (chain->head < vq->size));
		n = 0;
		held = 0;
		pieces = 0;
		room = 0;
	}
	ring_rewind(vq, held);
	*left = 0;
	return 0;
}

/** Give the chains of a packet of len bytes back, each with its share. */
static inline void
put_shares(struct vhost_virtqueue *vq, uint16_t n, uint32_t len)
{
	for (uint16_t i = 0; i < n; i++) {
		uint32_t share = RTE_MIN(len, vq->chains[i].len);

		ring_put(vq, i, vq->chains[i].head, share);
		len -= share;
	}
	ring_give(vq, n);
}

/** Place one packet of any kind; false if it does not fit into what is on offer. */
static __rte_always_inline bool
place_any(struct vhost_virtqueue *vq, struct rte_mbuf *pkt, uint16_t *left,
		unsigned int flags)
{
	struct virtio_net_hdr_mrg_rxbuf hdr = { .num_buffers = 1 };
	struct target to = { vq->pieces, 0 };
	uint64_t len = (uint64_t)pkt->pkt_len + vq->net->hdr_len;
	uint16_t n = gather_room(vq, len, left, flags);

	if (n == 0)
		return false;
	if (pkt->ol_flags & NET_HEADER_OL_FLAGS)
		vhost_net_header_to_guest(vq->net, pkt, &hdr.hdr);
	hdr.num_buffers = n;
	scatter(&to, &hdr, vq->net->hdr_len);
	scatter_segments(&to, pkt);
	put_shares(vq, n, len);
	return true;
}

/** One pass: as many packets as there are places for, at most VHOST_BURST. */
static __rte_always_inline uint16_t
place_pass(struct vhost_virtqueue *vq, struct rte_mbuf **pkts, uint16_t count,
		uint16_t *left, unsigned int flags)
{
	uint16_t n = RTE_MIN(count, (uint16_t)VHOST_BURST);
	uint16_t used = vq->state.last_used_idx;
	uint16_t done = 0;

	ring_prefetch(vq, RTE_MIN(n, *left));
	while (done < n && *left > 0) {
		uint16_t run = place_run(vq, pkts + done, RTE_MIN(n - done, *left));

		done += run;
		*left -= run;
		if (done < n && *left > 0) {
			if (!place_any(vq, pkts[done], left, flags))
				break;
			done++;
		}
	}
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
