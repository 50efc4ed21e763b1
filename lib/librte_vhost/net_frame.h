/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_FRAME_H
#define VHOST_NET_FRAME_H

/*
 * The headers that a frame from the guest begins with, as far as an mbuf can tell of
 * them.
 *
 * rte_net_get_ptype() finds them in frames of any kind, and what it says is right.  But
 * it takes longer than all else that is done for a packet, and nearly all packets with
 * offloads are of eight kinds: TCP or UDP, behind IPv4 or IPv6 without options, with a
 * VLAN or without.  A table has all that is to be known of each of these, and
 * net_frame_is_common() finds the row nearly without branches: three comparisons choose
 * one, two masks tell whether it was the right one.  What it refuses may be anything, and
 * is for vhost_net_frame_parse().  Both say the same of the same frame.
 *
 * The frame is a copy that the guest cannot change; anything may be in it.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/virtio_net.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_geneve.h>
#include <rte_gtp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_sctp.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <rte_vxlan.h>

enum {
	ETHER_LEN = sizeof(struct rte_ether_hdr),
	ETHER_VLAN_LEN = ETHER_LEN + sizeof(struct rte_vlan_hdr),
	IPV4_LEN = sizeof(struct rte_ipv4_hdr),
	IPV6_LEN = sizeof(struct rte_ipv6_hdr),
	TCP_LEN = sizeof(struct rte_tcp_hdr),
	UDP_LEN = sizeof(struct rte_udp_hdr),
	TCP_CKSUM_OFFSET = offsetof(struct rte_tcp_hdr, cksum),
	UDP_CKSUM_OFFSET = offsetof(struct rte_udp_hdr, dgram_cksum),
};

/** An L4 protocol, and where it has its checksum. */
struct l4_proto {
	uint32_t ptype;
	uint16_t cksum_offset;
	uint8_t number;		/**< in the IP header */
	uint8_t min_len;	/**< of a header */
};

/** The field of ol_flags that names the protocol, as a small number; 0 for none. */
#define L4_INDEX(cksum_flag) ((cksum_flag) / RTE_MBUF_F_TX_TCP_CKSUM)
#define L4_CKSUM_FLAG(index) ((index) * RTE_MBUF_F_TX_TCP_CKSUM)

static const struct l4_proto l4_protos[L4_INDEX(RTE_MBUF_F_TX_L4_MASK) + 1] = {
	[L4_INDEX(RTE_MBUF_F_TX_TCP_CKSUM)] = {
		RTE_PTYPE_L4_TCP, TCP_CKSUM_OFFSET, IPPROTO_TCP, TCP_LEN },
	[L4_INDEX(RTE_MBUF_F_TX_UDP_CKSUM)] = {
		RTE_PTYPE_L4_UDP, UDP_CKSUM_OFFSET, IPPROTO_UDP, UDP_LEN },
	[L4_INDEX(RTE_MBUF_F_TX_SCTP_CKSUM)] = {
		RTE_PTYPE_L4_SCTP, offsetof(struct rte_sctp_hdr, cksum), IPPROTO_SCTP,
		sizeof(struct rte_sctp_hdr) },
};

/** What there is to say of frames with the same headers. */
struct frame_kind {
	/** RTE_MBUF_F_TX_* of a frame whose L4 checksum is open; 0 unless there is an L4
	 * header that we, and an mbuf, know, which is whole within the first segment.
	 */
	uint64_t tx_flags;
	uint64_t lengths;	/**< of the headers, as tx_offload of an mbuf has them */
	uint32_t ptype;
	uint16_t l4_start;	/**< offset of the L4 header, if there is one */
	uint16_t cksum_offset;	/**< from there */
	uint8_t gso_type;	/**< the one kind of segmentation that can be for it */
};

/** The headers of one frame. */
struct net_frame {
	const struct frame_kind *kind;
	uint64_t lengths;	/**< as above */
};

/** Look for the headers in a frame of any kind. */
void vhost_net_frame_parse(const struct rte_mbuf *pkt, struct frame_kind *kind);

/** The kind of segmentation for an L4 protocol, by the flag of its checksum. */
static inline uint8_t
net_frame_gso_type(uint64_t l4_cksum_flag, bool ipv6)
{
	switch (l4_cksum_flag) {
	case RTE_MBUF_F_TX_TCP_CKSUM:
		return ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	case RTE_MBUF_F_TX_UDP_CKSUM:
		return VIRTIO_NET_HDR_GSO_UDP;
	default:
		return VIRTIO_NET_HDR_GSO_NONE;
	}
}

/* ---- common kinds ---- */

/** A common kind, and how it is known. */
struct common_kind {
	struct frame_kind kind;	/**< without the length of the L4 header */
	rte_be64_t front_mask;	/**< which bits tell the kind, of the 8 bytes at IP_FRONT */
	rte_be64_t front;	/**< what they are */
	rte_be32_t inner_mask;	/**< likewise, of the 4 bytes at IP_INNER */
	rte_be32_t inner;
	uint8_t l4_min_len;
};

#define IP_FRONT (-2)	/**< the type in the L2 header; version and length of an IP header */
#define IP_INNER 6	/**< fragmentation and protocol of IPv4; next header of IPv6 */

#define IPV4_FRONT_MASK RTE_BE64(0xffffff0000000000)
#define IPV4_FRONT RTE_BE64(0x0800450000000000)
#define IPV4_INNER_MASK RTE_BE32(0x3fff00ff)
#define IPV4_INNER(number) RTE_BE32(number)
#define IPV6_FRONT_MASK RTE_BE64(0xfffff00000000000)
#define IPV6_FRONT RTE_BE64(0x86dd600000000000)
#define IPV6_INNER_MASK RTE_BE32(0xff000000)
#define IPV6_INNER(number) RTE_BE32((uint32_t)(number) << 24)

#define COMMON_KIND(l2, ip, l4, gso) { \
	.kind = { \
		.tx_flags = RTE_MBUF_F_TX_ ## ip | RTE_MBUF_F_TX_ ## l4 ## _CKSUM, \
		.lengths = l2 ## _LEN << RTE_MBUF_L2_LEN_OFS | \
			ip ## _LEN << RTE_MBUF_L3_LEN_OFS, \
		.ptype = RTE_PTYPE_L2_ ## l2 | RTE_PTYPE_L3_ ## ip | RTE_PTYPE_L4_ ## l4, \
		.l4_start = l2 ## _LEN + ip ## _LEN, \
		.cksum_offset = l4 ## _CKSUM_OFFSET, \
		.gso_type = VIRTIO_NET_HDR_GSO_ ## gso, \
	}, \
	.front_mask = ip ## _FRONT_MASK, \
	.front = ip ## _FRONT, \
	.inner_mask = ip ## _INNER_MASK, \
	.inner = ip ## _INNER(IPPROTO_ ## l4), \
	.l4_min_len = l4 ## _LEN, \
}

/** Numbered by three bits: there is a VLAN; it is IPv6; it is UDP. */
static const struct common_kind common_kinds[] __rte_cache_aligned = {
	COMMON_KIND(ETHER, IPV4, TCP, TCPV4),
	COMMON_KIND(ETHER, IPV4, UDP, UDP),
	COMMON_KIND(ETHER, IPV6, TCP, TCPV6),
	COMMON_KIND(ETHER, IPV6, UDP, UDP),
	COMMON_KIND(ETHER_VLAN, IPV4, TCP, TCPV4),
	COMMON_KIND(ETHER_VLAN, IPV4, UDP, UDP),
	COMMON_KIND(ETHER_VLAN, IPV6, TCP, TCPV6),
	COMMON_KIND(ETHER_VLAN, IPV6, UDP, UDP),
};

static __rte_always_inline uint16_t
load16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static __rte_always_inline uint32_t
load32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static __rte_always_inline uint64_t
load64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/**
 * The row that a frame is of if it is of any: too few bits are looked at to be sure.
 *
 * @param vlan  0 or 1
 */
static __rte_always_inline const struct common_kind *
guess_kind(const uint8_t *ip, unsigned int vlan)
{
	unsigned int ipv6 = load16(ip + IP_FRONT) == RTE_BE16(RTE_ETHER_TYPE_IPV6);
	unsigned int number = ipv6 ? offsetof(struct rte_ipv6_hdr, proto) :
		offsetof(struct rte_ipv4_hdr, next_proto_id);
	unsigned int udp = ip[number] == IPPROTO_UDP;

	return &common_kinds[vlan << 2 | ipv6 << 1 | udp];
}

/** Whether the headers in front of L4 are what the row says. */
static __rte_always_inline bool
is_of_kind(const uint8_t *ip, const struct common_kind *common)
{
	return (((load64(ip + IP_FRONT) & common->front_mask) ^ common->front) |
		((load32(ip + IP_INNER) & common->inner_mask) ^ common->inner)) == 0;
}

/** Whether there may be a tunnel in UDP: some releases of rte_net_get_ptype() look into it. */
static inline bool
may_be_tunnel(const uint8_t *udp)
{
	if (load16(udp + offsetof(struct rte_udp_hdr, src_port)) == RTE_BE16(RTE_GTPC_UDP_PORT))
		return true;
	switch (load16(udp + offsetof(struct rte_udp_hdr, dst_port))) {
	case RTE_BE16(RTE_GTPC_UDP_PORT):
	case RTE_BE16(RTE_GTPU_UDP_PORT):
	case RTE_BE16(RTE_VXLAN_DEFAULT_PORT):
	case RTE_BE16(RTE_VXLAN_GPE_DEFAULT_PORT):
	case RTE_BE16(RTE_GENEVE_DEFAULT_PORT):
		return true;
	default:
		return false;
	}
}

/**
 * The length of an L4 header, 0 if it is not a common one.
 *
 * @param len  bytes that there are from its begin, at least the minimum
 */
static __rte_always_inline uint32_t
common_l4_len(const uint8_t *l4, uint32_t len, bool udp)
{
	uint32_t tcp_len;

	if (udp)
		return likely(!may_be_tunnel(l4)) ? UDP_LEN : 0;
	tcp_len = l4[offsetof(struct rte_tcp_hdr, data_off)] >> 4 << 2;
	return likely(tcp_len >= TCP_LEN && tcp_len <= len) ? tcp_len : 0;
}

/** Whether a frame is of a common kind; if so, its headers are known now. */
static __rte_always_inline bool
net_frame_is_common(const struct rte_mbuf *pkt, struct net_frame *frame)
{
	const uint8_t *data = rte_pktmbuf_mtod(pkt, const uint8_t *), *ip;
	const struct common_kind *common;
	uint32_t start, l4_len;
	unsigned int vlan;

	if (unlikely(pkt->data_len < ETHER_LEN + IPV4_LEN + UDP_LEN))
		return false;
	vlan = load16(data + offsetof(struct rte_ether_hdr, ether_type)) ==
		RTE_BE16(RTE_ETHER_TYPE_VLAN);
	ip = data + ETHER_LEN + vlan * sizeof(struct rte_vlan_hdr);
	common = guess_kind(ip, vlan);
	start = common->kind.l4_start;
	if (unlikely(!is_of_kind(ip, common) || start + common->l4_min_len > pkt->data_len))
		return false;
	l4_len = common_l4_len(data + start, pkt->data_len - start,
		common->l4_min_len == UDP_LEN);
	frame->kind = &common->kind;
	frame->lengths = common->kind.lengths | (uint64_t)l4_len << RTE_MBUF_L4_LEN_OFS;
	return l4_len != 0;
}

#endif /* VHOST_NET_FRAME_H */
