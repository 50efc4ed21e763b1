/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "../merge.h"
#include "../offload.h"
#include "switch_test.h"

#define MSS 1000
#define SEQUENCE 0xfffff000u

static struct rte_mempool *mbufs;

/* Making packets: Ethernet, IP, TCP or UDP, and bytes that tell their position. */

static uint8_t
byte_at(uint32_t position)
{
	return position * 7 + position / 251;
}

/** The pool and its buffers are large enough for all packets here. */
static void *
append(struct rte_mbuf *pkt, uint16_t len)
{
	void *at = rte_pktmbuf_append(pkt, len);

	if (at == NULL)
		abort();
	return at;
}

static void
append_payload(struct rte_mbuf *pkt, uint32_t len)
{
	struct rte_mbuf *last = rte_pktmbuf_lastseg(pkt);
	uint8_t *at;

	for (uint32_t i = 0; i < len; i++) {
		if (rte_pktmbuf_tailroom(last) == 0) {
			last = rte_pktmbuf_alloc(mbufs);
			rte_pktmbuf_chain(pkt, last);
		}
		at = append(pkt, 1);
		*at = byte_at(i);
	}
}

static void
write_ip(void *l3, bool ipv6, uint8_t protocol, uint32_t len)
{
	struct rte_ipv4_hdr *ip4 = l3;
	struct rte_ipv6_hdr *ip6 = l3;

	if (ipv6) {
		*ip6 = (struct rte_ipv6_hdr){
			.vtc_flow = rte_cpu_to_be_32(6 << 28),
			.payload_len = rte_cpu_to_be_16(len),
			.proto = protocol,
		};
		memset(&ip6->src_addr, 1, sizeof(ip6->src_addr));
		memset(&ip6->dst_addr, 2, sizeof(ip6->dst_addr));
	} else {
		*ip4 = (struct rte_ipv4_hdr){
			.version_ihl = RTE_IPV4_VHL_DEF,
			.total_length = rte_cpu_to_be_16(len + sizeof(*ip4)),
			.next_proto_id = protocol,
			.src_addr = RTE_BE32(0x0a000001),
			.dst_addr = RTE_BE32(0x0a000002),
		};
	}
}

static struct rte_mbuf *
make_packet(bool ipv6, uint8_t protocol, uint32_t payload)
{
	struct rte_mbuf *pkt = rte_pktmbuf_alloc(mbufs);
	struct rte_tcp_hdr *tcp;

	pkt->l2_len = sizeof(struct rte_ether_hdr);
	pkt->l3_len = ipv6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	pkt->l4_len = protocol == IPPROTO_TCP ? sizeof(struct rte_tcp_hdr) :
		sizeof(struct rte_udp_hdr);
	memset(append(pkt, pkt->l2_len + pkt->l3_len + pkt->l4_len), 0,
			pkt->l2_len + pkt->l3_len + pkt->l4_len);
	rte_pktmbuf_mtod(pkt, struct rte_ether_hdr *)->ether_type =
		rte_cpu_to_be_16(ipv6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	write_ip(rte_pktmbuf_mtod_offset(pkt, void *, pkt->l2_len), ipv6, protocol,
			pkt->l4_len + payload);
	pkt->ol_flags = ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	if (protocol == IPPROTO_TCP) {
		tcp = rte_pktmbuf_mtod_offset(pkt, struct rte_tcp_hdr *, pkt->l2_len + pkt->l3_len);
		tcp->data_off = 5 << 4;
		tcp->sent_seq = rte_cpu_to_be_32(SEQUENCE);
		tcp->tcp_flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG | RTE_TCP_FIN_FLAG;
		pkt->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
	} else {
		pkt->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
	}
	append_payload(pkt, payload);
	return pkt;
}

/* Looking at packets */

static bool
is_intact(const struct rte_mbuf *pkt, bool ipv6)
{
	const void *l3 = rte_pktmbuf_mtod_offset(pkt, void *, pkt->l2_len);
	uint16_t l4 = pkt->l2_len + pkt->l3_len;

	if (ipv6)
		return rte_ipv6_udptcp_cksum_mbuf_verify(pkt, l3, l4) == 0;
	return rte_ipv4_udptcp_cksum_mbuf_verify(pkt, l3, l4) == 0 &&
		rte_raw_cksum(l3, pkt->l3_len) == UINT16_MAX;
}

static int
check_payload(const struct rte_mbuf *pkt, uint32_t from, uint32_t len)
{
	uint32_t headers = pkt->l2_len + pkt->l3_len + pkt->l4_len;
	uint8_t copy;
	int failed = 0;

	CHECK(pkt->pkt_len == headers + len, "%u bytes", pkt->pkt_len);
	for (uint32_t i = 0; i < len && failed == 0; i++)
		CHECK(*(const uint8_t *)rte_pktmbuf_read(pkt, headers + i, 1, &copy) ==
				byte_at(from + i), "byte %u", from + i);
	return failed;
}

static int
test_checksums(void)
{
	struct rte_mbuf *done[OFFLOAD_MAX_SEGMENTS];
	int failed = 0;

	for (unsigned int i = 0; i < 4; i++) {
		bool ipv6 = i & 1;
		uint8_t protocol = i & 2 ? IPPROTO_TCP : IPPROTO_UDP;
		/* in one mbuf, and in several with an odd border */
		uint32_t payload = i == 0 ? 1 : 4001;
		struct rte_mbuf *pkt = make_packet(ipv6, protocol, payload);

		CHECK(offload_needs(pkt) == OFFLOAD_CSUM, "%x", offload_needs(pkt));
		CHECK(offload_complete(pkt, mbufs, done) == 1 && done[0] == pkt, "case %u", i);
		CHECK(offload_needs(pkt) == 0, "all is done");
		CHECK(is_intact(pkt, ipv6), "case %u", i);
		failed += check_payload(pkt, 0, payload);
		rte_pktmbuf_free(pkt);
	}
	return failed;
}

static int
check_segment(const struct rte_mbuf *segment, bool ipv6, uint32_t from, uint32_t len, bool last)
{
	const struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(segment, struct rte_tcp_hdr *,
			segment->l2_len + segment->l3_len);
	int failed = check_payload(segment, from, len);

	CHECK(offload_needs(segment) == 0, "all is done");
	CHECK(is_intact(segment, ipv6), "segment at %u", from);
	CHECK(rte_be_to_cpu_32(tcp->sent_seq) == SEQUENCE + from, "%x",
			rte_be_to_cpu_32(tcp->sent_seq));
	CHECK(((tcp->tcp_flags & RTE_TCP_FIN_FLAG) != 0) == last, "segment at %u", from);
	return failed;
}

static int
test_segments_of(bool ipv6, uint32_t payload)
{
	struct rte_mbuf *done[OFFLOAD_MAX_SEGMENTS], *pkt = make_packet(ipv6, IPPROTO_TCP, payload);
	int n, failed = 0;

	pkt->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	pkt->tso_segsz = MSS;
	CHECK(offload_needs(pkt) & (ipv6 ? OFFLOAD_TSO6 : OFFLOAD_TSO4), "%x", offload_needs(pkt));
	n = offload_complete(pkt, mbufs, done);
	CHECK(n == (int)((payload + MSS - 1) / MSS), "%d segments of %u", n, payload);
	for (int i = 0; i < n; i++)
		failed += check_segment(done[i], ipv6, i * MSS, RTE_MIN(payload - i * MSS,
				(uint32_t)MSS), i == n - 1);
	rte_pktmbuf_free_bulk(done, RTE_MAX(n, 0));
	return failed;
}

/** Flags that do not fit the packet, one thing wrong in each. */
static int
test_nonsense(void)
{
	struct rte_mbuf *done[OFFLOAD_MAX_SEGMENTS], *pkt;
	int failed = 0;

	for (unsigned int i = 0; i < 7; i++) {
		pkt = make_packet(false, IPPROTO_TCP, 5000);
		pkt->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
		pkt->tso_segsz = MSS;
		switch (i) {
		case 0: pkt->l2_len = 0; break;
		case 1: pkt->l3_len = 511; pkt->l2_len = 127; pkt->data_len = 600; break;
		case 2: pkt->l3_len = 4; break;
		case 3: pkt->l4_len = 8; break;
		case 4: pkt->tso_segsz = 0; break;
		case 5: pkt->tso_segsz = 1; break;
		case 6: pkt->ol_flags |= RTE_MBUF_F_TX_UDP_SEG; break;
		}
		CHECK(offload_complete(pkt, mbufs, done) == -EINVAL, "case %u", i);
	}
	return failed;
}

/** A packet as it comes from a port: nothing is known of it. */
static void
forget_flags(struct rte_mbuf *pkt)
{
	pkt->ol_flags &= RTE_MBUF_F_INDIRECT;
	pkt->tx_offload = 0;
	pkt->packet_type = 0;
}

/**
 * What was segmented is merged, and segmented again.  Whether the segment that ends the
 * stream is merged, too, depends on the release of DPDK.
 */
static int
test_merging(void)
{
	static struct worker worker;
	struct rte_mbuf *pkts[OFFLOAD_MAX_SEGMENTS], *done[OFFLOAD_MAX_SEGMENTS];
	struct rte_mbuf *pkt = make_packet(false, IPPROTO_TCP, 10 * MSS);
	int n, merged, failed = 0;

	pkt->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	pkt->tso_segsz = MSS;
	n = offload_complete(pkt, mbufs, pkts);
	for (int i = 0; i < n; i++) {
		forget_flags(pkts[i]);
		rte_pktmbuf_linearize(pkts[i]);
	}
	n = merge_segments(&worker, pkts, n);
	CHECK(n == 1 || n == 2, "%d packets", n);
	merged = 11 - n;
	CHECK(worker.work.gro_merged == (uint64_t)merged - 1, "%lu merged", worker.work.gro_merged);
	CHECK(pkts[0]->pkt_len > 9 * MSS && offload_needs(pkts[0]) == (OFFLOAD_CSUM | OFFLOAD_TSO4),
			"%u bytes", pkts[0]->pkt_len);
	rte_pktmbuf_free_bulk(&pkts[1], n - 1);
	n = offload_complete(pkts[0], mbufs, done);
	CHECK(n == merged, "%d segments", n);
	for (int i = 0; i < n; i++)
		failed += check_segment(done[i], false, i * MSS, MSS, i == 9);
	rte_pktmbuf_free_bulk(done, RTE_MAX(n, 0));
	return failed;
}

int
test_offload(void)
{
	int failed = 0;

	mbufs = rte_pktmbuf_pool_create("offload", 2047, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
			SOCKET_ID_ANY);
	CHECK(mbufs != NULL, "no memory");
	if (mbufs == NULL)
		return failed;
	failed += test_checksums() + test_nonsense() + test_merging();
	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
		failed += test_segments_of(ipv6, 1);
		failed += test_segments_of(ipv6, MSS);
		failed += test_segments_of(ipv6, MSS + 1);
		failed += test_segments_of(ipv6, 60001);
	}
	CHECK(rte_mempool_in_use_count(mbufs) == 0, "%u mbufs are lost",
			rte_mempool_in_use_count(mbufs));
	rte_mempool_free(mbufs);
	return failed;
}
