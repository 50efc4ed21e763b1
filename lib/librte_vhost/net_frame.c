/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <rte_net.h>

#include "net_frame.h"

/** Whether the lengths fit an mbuf's fields; IPv6 extension headers can be longer. */
static bool
lens_fit_mbuf(const struct rte_net_hdr_lens *lens)
{
	return lens->l2_len < (1u << RTE_MBUF_L2_LEN_BITS) &&
		lens->l3_len < (1u << RTE_MBUF_L3_LEN_BITS);
}

/** What there is to say of an L4 header that was found. */
static void
add_l4(struct frame_kind *kind, unsigned int index)
{
	bool ipv4 = RTE_ETH_IS_IPV4_HDR(kind->ptype) != 0;
	uint64_t cksum_flag = L4_CKSUM_FLAG(index);

	kind->tx_flags = cksum_flag | (ipv4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
	kind->cksum_offset = l4_protos[index].cksum_offset;
	kind->gso_type = net_frame_gso_type(cksum_flag, !ipv4);
}

void
vhost_net_frame_parse(const struct rte_mbuf *pkt, struct frame_kind *kind)
{
	struct rte_net_hdr_lens lens = { 0 };
	uint32_t ptype = rte_net_get_ptype(pkt, &lens, RTE_PTYPE_ALL_MASK);
	uint32_t l4_start = (uint32_t)lens.l2_len + lens.l3_len;

	*kind = (struct frame_kind){
		.ptype = ptype,
		.lengths = rte_mbuf_tx_offload(lens.l2_len, lens.l3_len, lens.l4_len, 0, 0, 0, 0),
		.l4_start = l4_start,
	};
	if (l4_start + lens.l4_len > pkt->data_len || !lens_fit_mbuf(&lens))
		return;
	for (unsigned int i = 1; i < RTE_DIM(l4_protos); i++)
		if ((ptype & RTE_PTYPE_L4_MASK) == l4_protos[i].ptype &&
				lens.l4_len >= l4_protos[i].min_len)
			add_l4(kind, i);
}
