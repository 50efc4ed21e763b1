/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_HEADER_H
#define VHOST_NET_HEADER_H

/*
 * The virtio-net header in front of each packet (virtio 1.2, 5.1.6) from and to
 * the offload flags of an mbuf.  Most packets ask for nothing; the bursts find
 * that out inline and come here for the rest.
 */

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <linux/virtio_net.h>

#include <rte_branch_prediction.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "vhost_virtqueue.h"
#include "virtio_net.h"

/** Bytes of the header; queues that only have the long one save asking. */
static __rte_always_inline uint32_t
net_hdr_len(const struct virtio_net *net, unsigned int flags)
{
	if (flags & (VQ_PACKED | VQ_MERGEABLE))
		return sizeof(struct virtio_net_hdr_mrg_rxbuf);
	return net->hdr_len;
}

/** Flags of an mbuf that mean work, or a header that is not zero. */
#define NET_HEADER_OL_FLAGS (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IP_CKSUM | \
		RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)

/**
 * Write the header of a packet with NET_HEADER_OL_FLAGS that goes to the guest,
 * as far as the guest negotiated what they ask for.  Writes into the packet what
 * the header has no place for: the IPv4 checksum, and the sum of the pseudo header
 * where the guest's checksum will be.
 *
 * @return true if the guest takes complete checksums only, and that of L4 is open: to
 *         be written over the guest's copy, see vhost_net_cksum_to_guest()
 */
bool vhost_net_header_to_guest(const struct virtio_net *net, struct rte_mbuf *pkt,
		struct virtio_net_hdr *to);

/** A checksum, and where in a packet it belongs. */
struct net_cksum {
	uint32_t offset;
	uint32_t len;		/**< bytes; 0 if there is none */
	uint32_t value;		/**< its first bytes, as they are in memory */
};

/**
 * Compute the L4 checksum that the application left open, over the headers that it
 * described.  The packet stays as it is: another guest may be getting it as well, with
 * the checksum open.
 */
void vhost_net_cksum_to_guest(const struct rte_mbuf *pkt, struct net_cksum *cksum);

/**
 * Whether guest memory holds the header of a packet in one chain that asks for nothing: the
 * packet before it may have left that there, as drivers do not write to it.
 */
static __rte_always_inline bool
net_header_is_plain(const uint8_t *guest, uint32_t hdr_len)
{
	const volatile struct words {
		uint64_t first;
		uint16_t last;
		uint16_t chains;
	} __attribute__((__packed__)) *words = (const volatile void *)guest;
	uint64_t differs = words->first | words->last;

	if (likely(hdr_len > sizeof(struct virtio_net_hdr)))
		differs |= words->chains ^ 1;
	return differs == 0;
}

/**
 * Write the header of a packet to memory that has room for all of it.
 *
 * @param chains  that the packet fills
 * @return true if the packet's checksum has to be completed in its copy
 */
static __rte_always_inline bool
net_write_header(const struct virtio_net *net, struct rte_mbuf *pkt, uint16_t chains,
		uint8_t *dst, uint32_t hdr_len)
{
	struct virtio_net_hdr hdr;
	bool is_open = false;

	if (unlikely(pkt->ol_flags & NET_HEADER_OL_FLAGS)) {
		is_open = vhost_net_header_to_guest(net, pkt, &hdr);
		memcpy(dst, &hdr, sizeof(hdr));
	} else {
		memset(dst, 0, sizeof(hdr));
	}
	if (likely(hdr_len > sizeof(hdr)))
		memcpy(dst + sizeof(hdr), &chains, sizeof(chains));
	return is_open;
}

/**
 * Whether a chain may serve a packet of len bytes to the guest, header included, as its
 * n-th.
 */
static __rte_always_inline bool
net_chain_is_usable(uint32_t hdr_len, const struct vq_chain *chain, uint16_t n, uint64_t len,
		unsigned int flags)
{
	if (!(flags & VQ_MERGEABLE) && len <= hdr_len + RTE_ETHER_MAX_LEN)
		return chain->len >= len;
	return n > 0 || chain->len >= hdr_len;
}

/** Copy the header of a packet from the guest, which may change it meanwhile, once. */
static __rte_always_inline void
net_read_header(const uint8_t *guest, struct virtio_net_hdr *hdr)
{
	struct words {
		uint64_t first;
		uint16_t last;
	} __attribute__((__packed__));
	const volatile struct words *from = (const volatile void *)guest;
	struct words words = { from->first, from->last };

	static_assert(sizeof(words) == sizeof(*hdr), "size of the header");
	memcpy(hdr, &words, sizeof(*hdr));
}

/**
 * Put into flags what the guest's header says about a packet that came from it.
 *
 * @param hdr  a local copy; anything may be in it
 * @param pkt  the whole packet, with no offload flag yet
 */
void vhost_net_header_from_guest(const struct virtio_net *net,
		const struct virtio_net_hdr *hdr, struct rte_mbuf *pkt);

/** The same, but slower for most packets: looks for headers of any kind in all of them. */
void vhost_net_header_from_guest_of_any_kind(const struct virtio_net *net,
		const struct virtio_net_hdr *hdr, struct rte_mbuf *pkt);

#endif /* VHOST_NET_HEADER_H */
