/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What the flags say comes from a guest and may be nonsense: every length is
 * checked against the packet before anything is read or written.
 *
 * IPv4 is segmented by rte_gso, which lets segments refer to the packet's payload.
 * It does not know IPv6, whose segments are copies.
 */

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_gso.h>
#include <rte_hash_crc.h>
#include <rte_ip.h>
#include <rte_sctp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "offload.h"

static uint32_t
l4_offset(const struct rte_mbuf *pkt)
{
	return pkt->l2_len + pkt->l3_len;
}

static void *
l3_header(const struct rte_mbuf *pkt)
{
	return rte_pktmbuf_mtod_offset(pkt, void *, pkt->l2_len);
}

static void *
l4_header(const struct rte_mbuf *pkt)
{
	return rte_pktmbuf_mtod_offset(pkt, void *, l4_offset(pkt));
}

/** Bytes of the L4 header up to its checksum at least. */
static uint32_t
l4_header_len(const struct rte_mbuf *pkt)
{
	if (pkt->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		return pkt->l4_len;
	switch (pkt->ol_flags & RTE_MBUF_F_TX_L4_MASK) {
	case RTE_MBUF_F_TX_TCP_CKSUM:
		return sizeof(struct rte_tcp_hdr);
	case RTE_MBUF_F_TX_UDP_CKSUM:
		return sizeof(struct rte_udp_hdr);
	default:
		return sizeof(struct rte_sctp_hdr);
	}
}

/** Whether the headers that the flags speak of are there. */
static bool
makes_sense(const struct rte_mbuf *pkt)
{
	bool ipv6 = (pkt->ol_flags & RTE_MBUF_F_TX_IPV6) != 0;
	bool tso = (pkt->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0;
	uint32_t headers = l4_offset(pkt) + l4_header_len(pkt);

	return pkt->l2_len >= sizeof(struct rte_ether_hdr) &&
		pkt->l3_len >= (ipv6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr)) &&
		headers <= pkt->data_len &&
		!(pkt->ol_flags & RTE_MBUF_F_TX_UDP_SEG) &&
		(!tso || (pkt->l4_len >= sizeof(struct rte_tcp_hdr) && pkt->tso_segsz > 0 &&
			headers < pkt->pkt_len));
}

/* Checksums */

static void
complete_ipv4(const struct rte_mbuf *pkt)
{
	struct rte_ipv4_hdr *ip = l3_header(pkt);

	ip->hdr_checksum = 0;
	ip->hdr_checksum = ~rte_raw_cksum(ip, pkt->l3_len);
	if (ip->hdr_checksum == 0)
		ip->hdr_checksum = UINT16_MAX;
}

static uint16_t
tcp_udp_cksum(const struct rte_mbuf *pkt)
{
	if (pkt->ol_flags & RTE_MBUF_F_TX_IPV6)
		return rte_ipv6_udptcp_cksum_mbuf(pkt, l3_header(pkt), l4_offset(pkt));
	return rte_ipv4_udptcp_cksum_mbuf(pkt, l3_header(pkt), l4_offset(pkt));
}

/** SCTP has a CRC-32C of header and data, RFC 9260 appendix A. */
static uint32_t
sctp_cksum(const struct rte_mbuf *pkt)
{
	uint32_t skip = l4_offset(pkt);
	uint32_t crc = UINT32_MAX;

	for (; pkt != NULL; pkt = pkt->next) {
		crc = rte_hash_crc(rte_pktmbuf_mtod_offset(pkt, void *, skip),
				pkt->data_len - skip, crc);
		skip = 0;
	}
	return rte_cpu_to_le_32(~crc);
}

/** Write the L4 checksum, and that of IPv4 if asked for, and withdraw the flags. */
static void
complete_checksums(struct rte_mbuf *pkt)
{
	void *l4 = l4_header(pkt);

	switch (pkt->ol_flags & RTE_MBUF_F_TX_L4_MASK) {
	case RTE_MBUF_F_TX_TCP_CKSUM:
		((struct rte_tcp_hdr *)l4)->cksum = 0;
		((struct rte_tcp_hdr *)l4)->cksum = tcp_udp_cksum(pkt);
		break;
	case RTE_MBUF_F_TX_UDP_CKSUM:
		((struct rte_udp_hdr *)l4)->dgram_cksum = 0;
		((struct rte_udp_hdr *)l4)->dgram_cksum = tcp_udp_cksum(pkt);
		break;
	case RTE_MBUF_F_TX_SCTP_CKSUM:
		((struct rte_sctp_hdr *)l4)->cksum = 0;
		((struct rte_sctp_hdr *)l4)->cksum = sctp_cksum(pkt);
		break;
	}
	if (pkt->ol_flags & RTE_MBUF_F_TX_IPV4)
		complete_ipv4(pkt);
	pkt->ol_flags &= ~(OFFLOAD_FLAGS | RTE_MBUF_F_TX_IP_CKSUM);
}

/* Segments */

/** Turn a segment, whose headers are in place, into a packet that needs nothing more. */
static void
complete_segment(struct rte_mbuf *segment, const struct rte_mbuf *pkt)
{
	segment->l2_len = pkt->l2_len;
	segment->l3_len = pkt->l3_len;
	segment->l4_len = pkt->l4_len;
	segment->ol_flags = (segment->ol_flags & ~OFFLOAD_FLAGS) | RTE_MBUF_F_TX_TCP_CKSUM |
		(pkt->ol_flags & (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6));
	complete_checksums(segment);
}

static int
segment_ipv4(struct rte_mbuf *pkt, struct rte_mempool *mbufs, struct rte_mbuf **done)
{
	const struct rte_gso_ctx gso = {
		.direct_pool = mbufs,
		.indirect_pool = mbufs,
		.gso_types = RTE_ETH_TX_OFFLOAD_TCP_TSO,
		.gso_size = l4_offset(pkt) + pkt->l4_len + pkt->tso_segsz,
	};

	return rte_gso_segment(pkt, &gso, done, OFFLOAD_MAX_SEGMENTS);
}

/** Copy bytes of a packet to the end of a segment, in as many mbufs as it takes. */
static int
append_copy(struct rte_mbuf *segment, const struct rte_mbuf *pkt, uint32_t offset, uint32_t len,
		struct rte_mempool *mbufs)
{
	struct rte_mbuf *last = rte_pktmbuf_lastseg(segment);
	const void *from;
	uint16_t part;
	char *to;

	for (; len > 0; offset += part, len -= part) {
		if (rte_pktmbuf_tailroom(last) == 0) {
			last = rte_pktmbuf_alloc(mbufs);
			if (last == NULL || rte_pktmbuf_chain(segment, last) != 0) {
				rte_pktmbuf_free(last);
				return -ENOMEM;
			}
		}
		part = RTE_MIN(len, rte_pktmbuf_tailroom(last));
		to = rte_pktmbuf_append(segment, part);
		from = rte_pktmbuf_read(pkt, offset, part, to);
		if (from != to)
			memcpy(to, from, part);
	}
	return 0;
}

/** One segment of a TCP packet over IPv6: the headers, adapted, and a part of the data. */
static struct rte_mbuf *
segment_ipv6_at(const struct rte_mbuf *pkt, uint32_t offset, struct rte_mempool *mbufs)
{
	const uint32_t headers = l4_offset(pkt) + pkt->l4_len;
	uint32_t len = RTE_MIN((uint32_t)pkt->tso_segsz, pkt->pkt_len - offset);
	struct rte_mbuf *segment = rte_pktmbuf_alloc(mbufs);
	struct rte_ipv6_hdr *ip;
	struct rte_tcp_hdr *tcp;

	if (segment == NULL)
		return NULL;
	if (append_copy(segment, pkt, 0, headers, mbufs) < 0 ||
			append_copy(segment, pkt, offset, len, mbufs) < 0) {
		rte_pktmbuf_free(segment);
		return NULL;
	}
	ip = rte_pktmbuf_mtod_offset(segment, struct rte_ipv6_hdr *, pkt->l2_len);
	ip->payload_len = rte_cpu_to_be_16(segment->pkt_len - pkt->l2_len - sizeof(*ip));
	tcp = rte_pktmbuf_mtod_offset(segment, struct rte_tcp_hdr *, l4_offset(pkt));
	tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + offset - headers);
	if (offset + len < pkt->pkt_len)	/* what ends something is said by the last */
		tcp->tcp_flags &= ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
	if (offset > headers)			/* and this by the first */
		tcp->tcp_flags &= ~RTE_TCP_CWR_FLAG;
	return segment;
}

static int
segment_ipv6(struct rte_mbuf *pkt, struct rte_mempool *mbufs, struct rte_mbuf **done)
{
	uint32_t offset = l4_offset(pkt) + pkt->l4_len;
	int n = 0;

	for (; offset < pkt->pkt_len && n < OFFLOAD_MAX_SEGMENTS; offset += pkt->tso_segsz) {
		done[n] = segment_ipv6_at(pkt, offset, mbufs);
		if (done[n] == NULL)
			break;
		n++;
	}
	if (offset >= pkt->pkt_len)
		return n;
	rte_pktmbuf_free_bulk(done, n);
	return n < OFFLOAD_MAX_SEGMENTS ? -ENOMEM : -EINVAL;
}

static int
segment(struct rte_mbuf *pkt, struct rte_mempool *mbufs, struct rte_mbuf **done)
{
	uint32_t payload = pkt->pkt_len - l4_offset(pkt) - pkt->l4_len;
	int n;

	if (payload > (uint32_t)pkt->tso_segsz * OFFLOAD_MAX_SEGMENTS)
		n = -EINVAL;
	else if (pkt->ol_flags & RTE_MBUF_F_TX_IPV6)
		n = segment_ipv6(pkt, mbufs, done);
	else
		n = segment_ipv4(pkt, mbufs, done);
	for (int i = 0; i < n; i++)
		complete_segment(done[i], pkt);
	/* segments have references of their own */
	rte_pktmbuf_free(pkt);
	return n > 0 ? n : n == 0 ? -EINVAL : n;
}

int
offload_complete(struct rte_mbuf *pkt, struct rte_mempool *mbufs, struct rte_mbuf **done)
{
	if (!makes_sense(pkt)) {
		rte_pktmbuf_free(pkt);
		return -EINVAL;
	}
	if ((pkt->ol_flags & RTE_MBUF_F_TX_TCP_SEG) &&
			pkt->pkt_len - l4_offset(pkt) - pkt->l4_len > pkt->tso_segsz)
		return segment(pkt, mbufs, done);
	if (pkt->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		pkt->ol_flags = (pkt->ol_flags & ~OFFLOAD_FLAGS) | RTE_MBUF_F_TX_TCP_CKSUM;
	complete_checksums(pkt);
	done[0] = pkt;
	return 1;
}
