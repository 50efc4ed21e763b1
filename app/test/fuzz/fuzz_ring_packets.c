/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Packets in both directions, and what can be said of one that came. */

#include <inttypes.h>
#include <string.h>

#include <linux/virtio_net.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_net.h>
#include <rte_tcp.h>

#include "fuzz_ring.h"

/** Bytes of content that the input gives; the rest repeats them. */
#define CONTENT 32

/** Shapes of packets that are to be sent. */
struct shape {
	uint32_t len;
	uint8_t nsegs;
	uint8_t offloads;
	uint8_t content[CONTENT];
};

static void
fill_segment(struct rte_mbuf *seg, uint16_t len, const struct shape *shape)
{
	uint8_t *to = (uint8_t *)rte_pktmbuf_append(seg, len);

	for (uint16_t i = 0; i < len; i += CONTENT)
		memcpy(to + i, shape->content, RTE_MIN(CONTENT, len - i));
}

static void
ask_for_offloads(struct rte_mbuf *pkt, uint8_t offloads, struct fuzz_input *in)
{
	static const uint64_t l4[] = {
		0, RTE_MBUF_F_TX_TCP_CKSUM, RTE_MBUF_F_TX_UDP_CKSUM, RTE_MBUF_F_TX_SCTP_CKSUM,
	};

	if (offloads == 0)
		return;
	pkt->ol_flags |= l4[offloads & 3];
	pkt->ol_flags |= offloads & 4 ? RTE_MBUF_F_TX_IPV6 :
		RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	pkt->ol_flags |= offloads & 8 ? RTE_MBUF_F_TX_TCP_SEG : 0;
	pkt->ol_flags |= offloads & 16 ? RTE_MBUF_F_TX_UDP_SEG : 0;
	pkt->ol_flags |= offloads & 32 ? RTE_MBUF_F_TX_TUNNEL_VXLAN : 0;
	pkt->l2_len = sizeof(struct rte_ether_hdr);
	pkt->l3_len = offloads & 4 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	pkt->l4_len = 20;
	pkt->tso_segsz = 1000;
	if (offloads & 64) {
		pkt->l2_len = fuzz_u8(in);
		pkt->l3_len = fuzz_u16(in);
		pkt->l4_len = fuzz_u8(in);
		pkt->outer_l2_len = fuzz_u8(in);
		pkt->outer_l3_len = fuzz_u16(in);
	}
}

static struct rte_mbuf *
make_packet(const struct shape *shape, struct fuzz_input *in)
{
	struct rte_mempool *pool = fuzz_pool(FUZZ_POOL_LARGE);
	struct rte_mbuf *pkt = rte_pktmbuf_alloc(pool), *seg = pkt;
	uint32_t left = shape->len;

	for (uint8_t i = 1; seg != NULL; i++) {
		uint32_t share = left / (i < shape->nsegs ? shape->nsegs - i + 1 : 1);
		uint16_t n = RTE_MIN(share, (uint32_t)rte_pktmbuf_tailroom(seg));

		fill_segment(seg, n, shape);
		left -= n;
		if (seg != pkt) {
			pkt->pkt_len += n;
			pkt->nb_segs++;
		}
		if (i >= shape->nsegs)
			break;
		seg->next = rte_pktmbuf_alloc(pool);
		seg = seg->next;
	}
	if (pkt != NULL)
		ask_for_offloads(pkt, shape->offloads, in);
	return pkt;
}

uint16_t
packets_make(struct fuzz_input *in, struct rte_mbuf **pkts, uint16_t room)
{
	uint16_t n = fuzz_below(in, room + 1), step, i;
	struct shape shape;

	shape.len = fuzz_u16(in);
	step = fuzz_u8(in);
	shape.nsegs = 1 + fuzz_u8(in) % (n > 4 ? 4 : 40);
	shape.offloads = fuzz_u8(in);
	fuzz_take(in, shape.content, sizeof(shape.content));
	for (i = 0; i < n; i++) {
		pkts[i] = make_packet(&shape, in);
		if (pkts[i] == NULL)
			break;
		shape.len = (shape.len + step) % (40 * 2048);
	}
	return i;
}

/* ---- from the guest ---- */

/** The lengths of headers that come with a flag are true. */
static void
check_lengths(const struct rte_mbuf *pkt)
{
	struct rte_net_hdr_lens lens;
	uint32_t l4 = pkt->l2_len + pkt->l3_len;

	rte_net_get_ptype(pkt, &lens, RTE_PTYPE_ALL_MASK);
	FUZZ_CHECK(pkt->l2_len == lens.l2_len && pkt->l3_len == lens.l3_len,
		"L3 header said at %u with %u bytes, is at %u with %u", pkt->l2_len,
		pkt->l3_len, lens.l2_len, lens.l3_len);
	FUZZ_CHECK(l4 + pkt->l4_len <= pkt->data_len, "headers of %u bytes in %u",
		l4 + pkt->l4_len, pkt->data_len);
	if ((pkt->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM)
		FUZZ_CHECK(pkt->l4_len >= sizeof(struct rte_tcp_hdr), "TCP header of %u bytes",
			pkt->l4_len);
	if (pkt->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG))
		FUZZ_CHECK(pkt->tso_segsz > 0, "no segment size");
}

void
packet_check(const struct rte_mbuf *pkt, const struct rte_mempool *pool, uint32_t flags)
{
	const char *reason;

	FUZZ_CHECK(rte_mbuf_check(pkt, 1, &reason) == 0, "%s", reason);
	FUZZ_CHECK(pkt->pool == pool, "another pool");
	FUZZ_CHECK(pkt->pkt_len > 0, "empty packet");
	FUZZ_CHECK(!(flags & NET_LINEARBUF) || pkt->nb_segs == 1, "%u segments", pkt->nb_segs);
	FUZZ_CHECK((flags & NET_EXTBUF) || rte_pktmbuf_priv_flags((void *)(uintptr_t)pool) ||
		!RTE_MBUF_HAS_EXTBUF(pkt), "external buffer");
	for (const struct rte_mbuf *seg = pkt; seg != NULL; seg = seg->next)
		FUZZ_CHECK(seg->data_off + seg->data_len <= seg->buf_len, "%u + %u of %u bytes",
			seg->data_off, seg->data_len, seg->buf_len);
	if (flags & NET_COMPLIANT_OL_FLAGS)
		FUZZ_CHECK((pkt->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK) == 0, "flags 0x%" PRIx64,
			pkt->ol_flags);
	else if (pkt->ol_flags & RTE_MBUF_F_TX_L4_MASK)
		check_lengths(pkt);
}

/* ---- what a guest may send ---- */

#define ETHER(type) 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, (type) >> 8, (type) & 0xff
#define VLAN(type) 0, 5, (type) >> 8, (type) & 0xff
#define IPV4(proto) 0x45, 0, 0, 100, 0, 1, 0, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2
#define IPV6(proto) 0x60, 0, 0, 0, 0, 100, proto, 64, \
	0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, \
	0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2
#define EXTENSION(next, eights) next, eights
#define TCP 0x10, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0
#define UDP 0x10, 0, 0x12, 0xb5, 0, 80, 0, 0

static const struct {
	uint8_t bytes[96];
	uint16_t csum_start;
	uint16_t csum_offset;
	uint8_t gso_type;
} templates[] = {
	{ { ETHER(0x0800), IPV4(6), TCP }, 34, 16, VIRTIO_NET_HDR_GSO_TCPV4 },
	{ { ETHER(0x0800), IPV4(17), UDP }, 34, 6, VIRTIO_NET_HDR_GSO_UDP },
	{ { ETHER(0x86dd), IPV6(6), TCP }, 54, 16, VIRTIO_NET_HDR_GSO_TCPV6 },
	{ { ETHER(0x86dd), IPV6(60), EXTENSION(6, 0) }, 62, 16, VIRTIO_NET_HDR_GSO_TCPV6 },
	{ { ETHER(0x8100), VLAN(0x0800), IPV4(6), TCP }, 38, 16, VIRTIO_NET_HDR_GSO_TCPV4 },
	{ { ETHER(0x88a8), VLAN(0x8100), VLAN(0x86dd), IPV6(17), UDP }, 62, 6,
		VIRTIO_NET_HDR_GSO_UDP },
	{ { ETHER(0x0800), IPV4(132) }, 34, 8, VIRTIO_NET_HDR_GSO_NONE },
	{ { ETHER(0x0800), IPV4(47) }, 34, 6, VIRTIO_NET_HDR_GSO_NONE },
	{ { ETHER(0x8847) }, 14, 6, VIRTIO_NET_HDR_GSO_NONE },
	{ { ETHER(0x0800), IPV4(4), IPV4(6), TCP }, 54, 16, VIRTIO_NET_HDR_GSO_TCPV4 },
	{ { ETHER(0x0806) }, 14, 2, VIRTIO_NET_HDR_GSO_NONE },
};

/** Change some bytes of what was made. */
static void
spoil_template(struct fuzz_input *in, uint8_t *bytes, uint32_t len)
{
	uint8_t n = fuzz_u8(in) % 4;

	while (n-- > 0) {
		uint32_t at = fuzz_below(in, len);

		bytes[at] = fuzz_u8(in);
	}
}

uint32_t
packet_template(struct fuzz_input *in, uint8_t *to, uint32_t room)
{
	uint8_t which = fuzz_u8(in);
	struct virtio_net_hdr_mrg_rxbuf hdr = {
		.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.hdr.gso_size = 1000,
	};

	memset(to, 0, room);
	hdr.hdr.csum_start = templates[which % RTE_DIM(templates)].csum_start;
	hdr.hdr.csum_offset = templates[which % RTE_DIM(templates)].csum_offset;
	hdr.hdr.gso_type = templates[which % RTE_DIM(templates)].gso_type;
	memcpy(to, &hdr, sizeof(hdr));
	memcpy(to + sizeof(hdr), templates[which % RTE_DIM(templates)].bytes,
		sizeof(templates[0].bytes));
	spoil_template(in, to, 160);
	return room;
}
