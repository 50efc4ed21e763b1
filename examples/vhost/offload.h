/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef OFFLOAD_H
#define OFFLOAD_H

/*
 * A guest may leave checksums and segmentation to others.  The mbuf says so in its
 * flags (RTE_MBUF_F_TX_*), and where the packet goes to somebody who does not do
 * that work it is done here.
 */

#include <stdint.h>

#include <rte_mbuf.h>

/** What a packet needs, and what a guest or port takes. */
enum {
	OFFLOAD_CSUM = 1 << 0,	/**< checksums of TCP, UDP and SCTP */
	OFFLOAD_TSO4 = 1 << 1,	/**< segments of TCP over IPv4 */
	OFFLOAD_TSO6 = 1 << 2,	/**< of TCP over IPv6 */
	OFFLOAD_CHAIN = 1 << 3,	/**< packets in several mbufs; guests always take them */
};

/** Segments of one packet: 64 KiB at the least size of segment that is in use. */
#define OFFLOAD_MAX_SEGMENTS 128

#define OFFLOAD_FLAGS (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)

/** What the flags of a packet ask for: OFFLOAD_CSUM, OFFLOAD_TSO4, OFFLOAD_TSO6. */
static inline uint8_t
offload_needs(const struct rte_mbuf *pkt)
{
	if (likely((pkt->ol_flags & OFFLOAD_FLAGS) == 0))
		return 0;
	if (!(pkt->ol_flags & RTE_MBUF_F_TX_TCP_SEG))
		return OFFLOAD_CSUM;
	return OFFLOAD_CSUM | (pkt->ol_flags & RTE_MBUF_F_TX_IPV6 ? OFFLOAD_TSO6 : OFFLOAD_TSO4);
}

/**
 * Do all that a packet asks for.
 *
 * @param pkt
 *   The packet; nobody else has a reference.  Taken over in any case.
 * @param mbufs
 *   Where segments are allocated.
 * @param[out] done
 *   Receives the packet, or its segments; room for OFFLOAD_MAX_SEGMENTS.
 * @return
 *   How many; -EINVAL if the flags do not fit the packet, -ENOMEM.
 */
int offload_complete(struct rte_mbuf *pkt, struct rte_mempool *mbufs, struct rte_mbuf **done);

#endif /* OFFLOAD_H */
