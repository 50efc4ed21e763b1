/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <rte_gro.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_net.h>
#include <rte_tcp.h>

#include "merge.h"

#define MERGED_PTYPES (RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK | RTE_PTYPE_L4_MASK)

/** Whether the TCP checksum is right; once merged nobody could tell. */
static bool
is_intact(const struct rte_mbuf *pkt)
{
	const struct rte_ipv4_hdr *ip;

	switch (pkt->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) {
	case RTE_MBUF_F_RX_L4_CKSUM_GOOD:
		return true;
	case RTE_MBUF_F_RX_L4_CKSUM_BAD:
		return false;
	}
	ip = rte_pktmbuf_mtod_offset(pkt, const struct rte_ipv4_hdr *, pkt->l2_len);
	return rte_ipv4_udptcp_cksum_mbuf_verify(pkt, ip, pkt->l2_len + pkt->l3_len) == 0;
}

/** Tell rte_gro about a packet; it leaves alone what has no type. */
static void
describe(struct rte_mbuf *pkt)
{
	struct rte_net_hdr_lens lens;
	uint32_t ptype = rte_net_get_ptype(pkt, &lens, MERGED_PTYPES);

	pkt->packet_type = 0;
	if (!RTE_ETH_IS_IPV4_HDR(ptype) || (ptype & RTE_PTYPE_L4_MASK) != RTE_PTYPE_L4_TCP)
		return;
	pkt->l2_len = lens.l2_len;
	pkt->l3_len = lens.l3_len;
	pkt->l4_len = lens.l4_len;
	if (is_intact(pkt))
		pkt->packet_type = ptype;
}

/** A merged packet leaves to its receiver what a large segment of a guest's leaves to us. */
static void
ask_for_offloads(struct rte_mbuf *pkt)
{
	pkt->tso_segsz = pkt->data_len - pkt->l2_len - pkt->l3_len - pkt->l4_len;
	pkt->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_SEG;
}

uint16_t
merge_segments(struct worker *worker, struct rte_mbuf **pkts, uint16_t n)
{
	const struct rte_gro_param gro = {
		.gro_types = RTE_GRO_TCP_IPV4,
		.max_flow_num = BURST_SIZE,
		.max_item_per_flow = BURST_SIZE,
	};
	uint16_t left;

	for (uint16_t i = 0; i < n; i++)
		describe(pkts[i]);
	left = rte_gro_reassemble_burst(pkts, n, &gro);
	worker->work.gro_merged += n - left;
	for (uint16_t i = 0; i < left; i++)
		if (pkts[i]->packet_type != 0 && pkts[i]->nb_segs > 1)
			ask_for_offloads(pkts[i]);
	return left;
}
