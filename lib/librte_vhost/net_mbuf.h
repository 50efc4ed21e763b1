/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_MBUF_H
#define VHOST_NET_MBUF_H

/*
 * Memory for packets from the guest.
 *
 * A pass takes as many mbufs out of the pool at once as there are chains, one for
 * each packet.  A packet that needs more gets an external buffer, or further segments
 * from the pool, as the application has asked for.
 */

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <rte_arp.h>
#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "vhost_log.h"
#include "vhost_virtqueue.h"

/** Bytes of the largest packet: 64 KiB of IP in Ethernet with room for tags. */
#define NET_LARGEST_PACKET (UINT16_MAX + 64)

/**
 * Allocate up to n mbufs: their number.  They are reset one by one when a packet
 * comes, so that the core has something else to do meanwhile.
 */
static __rte_always_inline uint16_t
net_mbuf_allocate(struct vhost_virtqueue *vq, struct rte_mempool *pool,
		struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t i = 0;

	if (likely(rte_mempool_get_bulk(pool, (void **)pkts, n) == 0))
		return n;
	while (i < n && (pkts[i] = rte_mbuf_raw_alloc(pool)) != NULL)
		i++;
	vq->state.stats.mbuf_alloc_failed += n - i;
	return i;
}

static inline void
net_mbuf_free_external(void *buffer __rte_unused, void *opaque)
{
	rte_free(opaque);
}

/**
 * Memory for an external buffer, on the queue's node if EAL has any there: that is
 * tried once per block, because EAL looks for hugepages each time.
 */
static inline void *
net_mbuf_external_memory(struct vhost_virtqueue *vq, uint32_t size)
{
	int node = __atomic_load_n(&vq->node, __ATOMIC_RELAXED);
	void *buffer = NULL;

	if (!vq->node_has_no_buffers)
		buffer = rte_malloc_socket("vhost_extbuf", size, RTE_CACHE_LINE_SIZE, node);
	if (buffer != NULL)
		return buffer;
	buffer = rte_malloc("vhost_extbuf", size, RTE_CACHE_LINE_SIZE);
	vq->node_has_no_buffers = buffer != NULL;
	return buffer;
}

/**
 * Give an empty mbuf an external buffer for len bytes: 0, -ENOMEM, or -EMSGSIZE
 * if that is more than such a buffer can have.
 */
static inline int
net_mbuf_attach_external(struct vhost_virtqueue *vq, struct rte_mbuf *pkt, uint32_t len)
{
	uint32_t size = RTE_ALIGN_CEIL(RTE_PKTMBUF_HEADROOM + len, sizeof(uint64_t)) +
		sizeof(struct rte_mbuf_ext_shared_info);
	struct rte_mbuf_ext_shared_info *shared;
	uint16_t usable = size;
	void *buffer;

	/* mbufs of some pools have one already, for good */
	if (size > UINT16_MAX || RTE_MBUF_HAS_EXTBUF(pkt))
		return -EMSGSIZE;
	buffer = net_mbuf_external_memory(vq, size);
	if (buffer == NULL)
		return -ENOMEM;
	shared = rte_pktmbuf_ext_shinfo_init_helper(buffer, &usable, net_mbuf_free_external,
			buffer);
	rte_pktmbuf_attach_extbuf(pkt, buffer, rte_malloc_virt2iova(buffer), usable, shared);
	rte_pktmbuf_reset_headroom(pkt);
	return 0;
}

/** Chain mbufs to an empty one until len bytes fit: 0 or -ENOMEM. */
static __rte_always_inline int
net_mbuf_attach_chain(struct rte_mempool *pool, struct rte_mbuf *pkt, uint32_t len)
{
	uint32_t room = rte_pktmbuf_tailroom(pkt);
	struct rte_mbuf *last = pkt;

	while (room < len) {
		struct rte_mbuf *more = rte_pktmbuf_alloc(pool);

		if (more == NULL) {
			rte_pktmbuf_free(pkt->next);
			pkt->next = NULL;
			pkt->nb_segs = 1;
			return -ENOMEM;
		}
		more->data_off = 0;
		last->next = more;
		last = more;
		pkt->nb_segs++;
		room += rte_pktmbuf_tailroom(more);
	}
	return 0;
}

/**
 * Make room for len bytes behind an mbuf that is too short.
 *
 * @return 0; -EMSGSIZE if the application cannot have such a packet; -ENOMEM
 */
static __rte_always_inline int
net_mbuf_make_room(struct vhost_virtqueue *vq, struct rte_mempool *pool,
		struct rte_mbuf *pkt, uint32_t len)
{
	int ret = -EMSGSIZE;

	if (vq->net->flags & NET_EXTBUF)
		ret = net_mbuf_attach_external(vq, pkt, len);
	if (ret != 0 && !(vq->net->flags & NET_LINEARBUF))
		ret = net_mbuf_attach_chain(pool, pkt, len);
	return ret;
}

/** A packet was dropped for the application's sake: say so now and then. */
static __rte_noinline void
net_mbuf_report_oversized(struct vhost_virtqueue *vq, const struct rte_mbuf *pkt, uint32_t len)
{
	uint32_t dropped = ++vq->state.oversized;

	if (rte_is_power_of_2(dropped))
		VHOST_LOG_DATA(ERR,
			"(%s) queue %u: packet of %u bytes does not fit the one mbuf of %u that the application takes, %u dropped so far\n",
			vq->net->name, vq->cfg.index, len, rte_pktmbuf_tailroom(pkt), dropped);
}

/** A RARP packet in the name of a guest that moved here: 1, or 0 to try again later. */
static __rte_noinline uint16_t
net_mbuf_announce(struct vhost_virtqueue *vq, struct rte_mempool *pool, struct rte_mbuf **pkts)
{
	struct rte_ether_addr mac;

	memcpy(&mac, vq->state.announce_mac, sizeof(mac));
	pkts[0] = rte_net_make_rarp_packet(pool, &mac);
	if (pkts[0] == NULL)
		return 0;
	vq->state.announce = false;
	return 1;
}

#endif /* VHOST_NET_MBUF_H */
