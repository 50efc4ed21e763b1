/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>

#include "net_frame.h"
#include "net_header.h"

/** A kind of segmentation, as the features and an mbuf name it. */
struct gso_kind {
	uint64_t seg_flag;	/**< RTE_MBUF_F_TX_* */
	uint8_t host_feature;	/**< that lets the guest ask us for it */
	uint8_t guest_feature;	/**< that lets us ask the guest for it */
};

/** By what the header names them. */
static const struct gso_kind gso_kinds[] = {
	[VIRTIO_NET_HDR_GSO_TCPV4] = {
		RTE_MBUF_F_TX_TCP_SEG, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_TSO4 },
	[VIRTIO_NET_HDR_GSO_TCPV6] = {
		RTE_MBUF_F_TX_TCP_SEG, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_GUEST_TSO6 },
	[VIRTIO_NET_HDR_GSO_UDP] = {
		RTE_MBUF_F_TX_UDP_SEG, VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_GUEST_UFO },
};

/* ---- to the guest ---- */

/** Bytes in front of the L3 header that the mbuf's lengths are about. */
static uint32_t
l3_offset(const struct rte_mbuf *pkt)
{
	uint32_t outer = 0;

	if (pkt->ol_flags & RTE_MBUF_F_TX_TUNNEL_MASK)
		outer = pkt->outer_l2_len + pkt->outer_l3_len;
	return outer + pkt->l2_len;
}

/** Carry what is above 16 bits around, of a sum of not too many words. */
static __rte_always_inline uint16_t
fold(uint64_t sum)
{
	uint32_t half = (uint32_t)sum + (uint32_t)(sum >> 32);

	half += half < (uint32_t)sum;
	half = (half & UINT16_MAX) + (half >> 16);
	return half + (half >> 16);
}

/**
 * Complete the IPv4 header checksum, which virtio cannot leave to the receiver.
 * The packet may be on its way to somebody else at the same time: the field is
 * left out of the sum instead of cleared, and written only to change it.
 */
static __rte_noinline void
complete_ipv4_cksum(struct rte_mbuf *pkt)
{
	const uint32_t offset = l3_offset(pkt), min_len = sizeof(struct rte_ipv4_hdr);
	uint8_t *ip = rte_pktmbuf_mtod_offset(pkt, uint8_t *, offset);
	uint8_t *field = ip + offsetof(struct rte_ipv4_hdr, hdr_checksum);
	uint16_t cksum;
	uint64_t sum;

	if (pkt->l3_len < min_len || offset + pkt->l3_len > pkt->data_len)
		return;
	sum = (uint64_t)load32(ip) + load32(ip + 4) + load16(ip + 8) + load32(ip + 12) +
		load32(ip + 16);
	if (unlikely(pkt->l3_len > min_len))
		sum += rte_raw_cksum(ip + min_len, pkt->l3_len - min_len);
	cksum = ~fold(sum);
	if (load16(field) != cksum)
		memcpy(field, &cksum, sizeof(cksum));
}

/** The headers of a packet, as the application describes them. */
struct headers {
	const uint8_t *ip;	/**< whole, maybe a copy */
	unsigned int version;	/**< of IP; 0 if there is no such header */
	uint32_t l4_start;	/**< offset */
	const struct l4_proto *l4;	/**< whose checksum is open */
};

/** The version of the IP header, as the application says it and if it can be so. */
static __rte_always_inline unsigned int
ip_version(const struct rte_mbuf *pkt)
{
	if ((pkt->ol_flags & RTE_MBUF_F_TX_IPV6) && pkt->l3_len >= sizeof(struct rte_ipv6_hdr))
		return 6;
	if ((pkt->ol_flags & RTE_MBUF_F_TX_IPV4) && pkt->l3_len >= sizeof(struct rte_ipv4_hdr))
		return 4;
	return 0;
}

/** Bytes of L4, as the IP header says it, without what a short frame is filled up with. */
static __rte_always_inline uint32_t
l4_length(const struct rte_mbuf *pkt, const struct headers *at)
{
	uint32_t left = pkt->pkt_len - at->l4_start, len = left;

	if (at->version == 6)
		len = rte_be_to_cpu_16(load16(at->ip + offsetof(struct rte_ipv6_hdr, payload_len))) +
			sizeof(struct rte_ipv6_hdr) - pkt->l3_len;
	else if (at->version == 4)
		len = rte_be_to_cpu_16(load16(at->ip + offsetof(struct rte_ipv4_hdr, total_length))) -
			pkt->l3_len;
	return RTE_MIN(len, left);
}

/** Sum of the pseudo header for so many bytes of L4; there is an IP header. */
static __rte_always_inline uint16_t
sum_pseudo_header(const struct headers *at, uint32_t len)
{
	const uint8_t *src = at->ip + offsetof(struct rte_ipv4_hdr, src_addr);
	uint64_t sum = (uint64_t)rte_cpu_to_be_32(len) + rte_cpu_to_be_16(at->l4->number);

	if (likely(at->version == 4))
		return fold(sum + load32(src) + load32(src + 4));
	src = at->ip + offsetof(struct rte_ipv6_hdr, src_addr);
	for (unsigned int i = 0; i < 32; i += sizeof(uint32_t))
		sum += load32(src + i);
	return fold(sum);
}

/**
 * Put the sum of the pseudo header where the guest will add the rest to it
 * (5.1.6.4.1), as applications need not have.  Its length is the packet's even if
 * that is to be segmented, unlike what NICs want there.  Headers in pieces stay.
 */
static __rte_always_inline void
write_pseudo_sum(struct rte_mbuf *pkt, uint32_t l4_start, const struct l4_proto *l4)
{
	uint8_t *l4_header = rte_pktmbuf_mtod_offset(pkt, uint8_t *, l4_start);
	uint8_t *field = l4_header + l4->cksum_offset;
	struct headers at = { .l4_start = l4_start, .l4 = l4 };
	uint16_t sum;

	if (l4_start + l4->cksum_offset + sizeof(sum) > pkt->data_len)
		return;
	at.ip = l4_header - pkt->l3_len;
	at.version = ip_version(pkt);
	if (at.version == 0)
		return;
	sum = sum_pseudo_header(&at, l4_length(pkt, &at));
	/* at any address; and not written without need, as above */
	if (load16(field) != sum)
		memcpy(field, &sum, sizeof(sum));
}

/**
 * Write a header in one go.  Who copies it from there reads eight bytes at once,
 * and would have to wait for the fields to reach the cache, each on its own, and
 * for all that was written before them.
 */
static __rte_always_inline void
write_header(struct virtio_net_hdr *to, struct virtio_net_hdr hdr)
{
	uint64_t first = rte_cpu_to_le_64(hdr.flags | (uint64_t)hdr.gso_type << 8 |
			(uint64_t)hdr.hdr_len << 16 | (uint64_t)hdr.gso_size << 32 |
			(uint64_t)hdr.csum_start << 48);

	static_assert(offsetof(struct virtio_net_hdr, csum_offset) == sizeof(first),
			"all but one field");
	memcpy(to, &first, sizeof(first));
	to->csum_offset = hdr.csum_offset;
}

/** The flag of the L4 checksum that the application leaves open, 0 for none. */
static uint64_t
open_cksum(const struct rte_mbuf *pkt)
{
	/* segments have new checksums, whether or not that was said */
	if (pkt->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		return RTE_MBUF_F_TX_TCP_CKSUM;
	if (pkt->ol_flags & RTE_MBUF_F_TX_UDP_SEG)
		return RTE_MBUF_F_TX_UDP_CKSUM;
	return pkt->ol_flags & RTE_MBUF_F_TX_L4_MASK;
}

/** Have the guest cut a packet whose checksum is open, if it negotiated that. */
static void
ask_for_segments(const struct virtio_net *net, const struct rte_mbuf *pkt,
		struct virtio_net_hdr *hdr)
{
	uint8_t type = net_frame_gso_type(open_cksum(pkt), pkt->ol_flags & RTE_MBUF_F_TX_IPV6);

	if (!virtio_net_has(net, gso_kinds[type].guest_feature))
		return;
	hdr->gso_type = type;
	hdr->gso_size = pkt->tso_segsz;
	hdr->hdr_len = l3_offset(pkt) + pkt->l3_len + pkt->l4_len;
}

/** Leave a checksum to the guest. */
static __rte_always_inline struct virtio_net_hdr
ask_for_cksum(struct rte_mbuf *pkt, uint32_t l4_start, uint64_t cksum_flag)
{
	const struct l4_proto *l4 = &l4_protos[L4_INDEX(cksum_flag)];

	/* SCTP's checksum knows no pseudo header */
	if (cksum_flag != RTE_MBUF_F_TX_SCTP_CKSUM)
		write_pseudo_sum(pkt, l4_start, l4);
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = l4_start,
		.csum_offset = l4->cksum_offset,
	};
}

/** vhost_net_header_to_guest() for packets of any kind. */
static __rte_noinline bool
header_to_guest(const struct virtio_net *net, struct rte_mbuf *pkt, struct virtio_net_hdr *to)
{
	uint64_t cksum_flag = open_cksum(pkt);
	struct virtio_net_hdr hdr;

	if (pkt->ol_flags & RTE_MBUF_F_TX_IP_CKSUM)
		complete_ipv4_cksum(pkt);
	if (cksum_flag == 0 || !virtio_net_has(net, VIRTIO_NET_F_GUEST_CSUM)) {
		memset(to, 0, sizeof(*to));
		return cksum_flag != 0;
	}
	hdr = ask_for_cksum(pkt, l3_offset(pkt) + pkt->l3_len, cksum_flag);
	if (pkt->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG))
		ask_for_segments(net, pkt, &hdr);
	write_header(to, hdr);
	return false;
}

/** Flags of packets that need more than to have their checksum left to the guest. */
#define MORE_THAN_CKSUM (RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_SEG | \
		RTE_MBUF_F_TX_UDP_SEG | RTE_MBUF_F_TX_TUNNEL_MASK)

bool
vhost_net_header_to_guest(const struct virtio_net *net, struct rte_mbuf *pkt,
		struct virtio_net_hdr *to)
{
	if (unlikely((pkt->ol_flags & MORE_THAN_CKSUM) != 0 ||
			!virtio_net_has(net, VIRTIO_NET_F_GUEST_CSUM)))
		return header_to_guest(net, pkt, to);
	write_header(to, ask_for_cksum(pkt, pkt->l2_len + pkt->l3_len,
		pkt->ol_flags & RTE_MBUF_F_TX_L4_MASK));
	return false;
}

/* ---- checksums that the guest does not take open ---- */

/** The longest L3 header that an mbuf can tell of. */
#define L3_MAX (1u << RTE_MBUF_L3_LEN_BITS)

/** Sum of all 16-bit words between two offsets of a packet, whatever its segments (RFC 1071). */
static uint16_t
sum_packet(const struct rte_mbuf *pkt, uint32_t from, uint32_t to)
{
	uint32_t sum = 0, done = 0;

	for (; pkt != NULL && from < to; to -= pkt->data_len, pkt = pkt->next) {
		uint32_t end = RTE_MIN(to, pkt->data_len);
		uint16_t part;

		if (from >= end) {
			from -= pkt->data_len;
			continue;
		}
		part = rte_raw_cksum(rte_pktmbuf_mtod_offset(pkt, const void *, from), end - from);
		sum += done & 1 ? rte_bswap16(part) : part;
		done += end - from;
		from = 0;
		if (end == to)
			break;
	}
	return fold(sum);
}

static uint32_t
crc32c_byte(uint32_t crc, uint8_t byte)
{
	crc ^= byte;
	for (unsigned int bit = 0; bit < 8; bit++)
		crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	return crc;
}

/** CRC32c of a packet between two offsets, going on from crc. */
static uint32_t
crc32c_packet(const struct rte_mbuf *pkt, uint32_t from, uint32_t to, uint32_t crc)
{
	for (uint32_t i = from; i < to; i++) {
		uint8_t byte;
		const uint8_t *at = rte_pktmbuf_read(pkt, i, sizeof(byte), &byte);

		crc = crc32c_byte(crc, at != NULL ? *at : 0);
	}
	return crc;
}

/** The checksum of SCTP (RFC 9260, appendix A), as if its field were 0. */
static uint32_t
sctp_cksum(const struct rte_mbuf *pkt, uint32_t from, uint32_t field, uint32_t to)
{
	uint32_t crc = crc32c_packet(pkt, from, field, UINT32_MAX);

	for (unsigned int i = 0; i < sizeof(crc); i++)
		crc = crc32c_byte(crc, 0);
	return rte_cpu_to_le_32(~crc32c_packet(pkt, field + sizeof(crc), to, crc));
}

/** The checksum of TCP or UDP, without the field itself. */
static uint16_t
l4_cksum(const struct rte_mbuf *pkt, const struct headers *at, uint32_t field, uint32_t to)
{
	uint32_t sum = sum_pseudo_header(at, to - at->l4_start) +
		sum_packet(pkt, at->l4_start, field) +
		sum_packet(pkt, field + sizeof(uint16_t), to);
	uint16_t cksum = ~fold(sum);

	/* 0 would mean "no checksum" to UDP; 0xffff is the same number */
	return cksum != 0 ? cksum : UINT16_MAX;
}

void
vhost_net_cksum_to_guest(const struct rte_mbuf *pkt, struct net_cksum *cksum)
{
	struct headers at = { .l4 = &l4_protos[L4_INDEX(open_cksum(pkt))] };
	uint32_t start = l3_offset(pkt), field, end;
	uint8_t copy[L3_MAX];

	*cksum = (struct net_cksum){ 0 };
	at.version = ip_version(pkt);
	if (at.version == 0)
		return;
	at.ip = rte_pktmbuf_read(pkt, start, pkt->l3_len, copy);
	at.l4_start = start + pkt->l3_len;
	if (at.ip == NULL || l4_length(pkt, &at) < at.l4->min_len)
		return;
	field = at.l4_start + at.l4->cksum_offset;
	end = at.l4_start + l4_length(pkt, &at);
	if (at.l4->number == IPPROTO_SCTP) {
		uint32_t value = sctp_cksum(pkt, at.l4_start, field, end);

		*cksum = (struct net_cksum){ field, sizeof(value), value };
	} else {
		uint16_t value = l4_cksum(pkt, &at, field, end);

		*cksum = (struct net_cksum){ field, sizeof(value), 0 };
		memcpy(&cksum->value, &value, sizeof(value));
	}
}

/* ---- from the guest ---- */

/** Write one byte of a packet, wherever its segment is; the offset is within it. */
static void
write_byte(struct rte_mbuf *pkt, uint32_t offset, uint8_t value)
{
	while (offset >= pkt->data_len) {
		offset -= pkt->data_len;
		pkt = pkt->next;
	}
	*rte_pktmbuf_mtod_offset(pkt, uint8_t *, offset) = value;
}

/**
 * Do what the guest left to others and no flag can express: sum from csum_start
 * to the end of the packet and store the result at csum_offset from there.
 */
static void
complete_cksum(struct rte_mbuf *pkt, const struct virtio_net_hdr *hdr)
{
	uint32_t start = hdr->csum_start;
	uint32_t field = start + hdr->csum_offset;
	uint8_t bytes[sizeof(uint16_t)];
	uint16_t sum;

	if (field + sizeof(sum) > pkt->pkt_len ||
			rte_raw_cksum_mbuf(pkt, start, pkt->pkt_len - start, &sum) != 0)
		return;
	/* 0 would mean "no checksum" to UDP; 0xffff is the same number */
	if (sum != UINT16_MAX)
		sum = ~sum;
	memcpy(bytes, &sum, sizeof(sum));
	write_byte(pkt, field, bytes[0]);
	write_byte(pkt, field + 1, bytes[1]);
}

/** Whether the guest wants the checksum of the L4 header, if there is one. */
static __rte_always_inline bool
l4_cksum_is_open(const struct virtio_net_hdr *hdr, const struct frame_kind *kind)
{
	return (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && hdr->csum_start == kind->l4_start &&
		hdr->csum_offset == kind->cksum_offset;
}

/** Whether the guest asks for segmentation, of the kind that is right for the frame. */
static __rte_always_inline bool
gso_is_wanted(const struct virtio_net *net, const struct virtio_net_hdr *hdr,
		const struct frame_kind *kind)
{
	uint8_t type = hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;

	return hdr->gso_size != 0 && type != VIRTIO_NET_HDR_GSO_NONE && type == kind->gso_type &&
		virtio_net_has(net, gso_kinds[kind->gso_type].host_feature);
}

/** Flags as for a packet to be sent: a NIC could do by them what is left to do. */
static __rte_always_inline void
set_legacy_flags(struct rte_mbuf *pkt, const struct net_frame *frame, uint16_t gso_size)
{
	const struct frame_kind *kind = frame->kind;

	pkt->ol_flags |= kind->tx_flags;
	if (gso_size != 0)
		pkt->ol_flags |= gso_kinds[kind->gso_type].seg_flag;
	pkt->tx_offload = frame->lengths | (uint64_t)gso_size << RTE_MBUF_TSO_SEGSZ_OFS;
}

/** Flags as for a packet that a NIC received. */
static __rte_always_inline void
set_received_flags(struct rte_mbuf *pkt, uint32_t ptype, uint64_t cksum_flag, uint16_t gso_size)
{
	pkt->packet_type = ptype;
	if (gso_size != 0) {
		cksum_flag = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE;
		pkt->tx_offload = (uint64_t)gso_size << RTE_MBUF_TSO_SEGSZ_OFS;
	}
	pkt->ol_flags |= cksum_flag;
}

/** Say in an mbuf what the header says of the frame; the checksum that is open is L4's. */
static __rte_always_inline void
set_flags(const struct virtio_net *net, const struct virtio_net_hdr *hdr,
		struct rte_mbuf *pkt, const struct net_frame *frame, bool cksum_is_open)
{
	uint16_t gso_size = gso_is_wanted(net, hdr, frame->kind) ? hdr->gso_size : 0;
	uint64_t cksum_flag = 0;

	if (net->flags & NET_COMPLIANT_OL_FLAGS) {
		if (cksum_is_open)
			cksum_flag = RTE_MBUF_F_RX_L4_CKSUM_NONE;
		else if (frame->kind->tx_flags != 0 && (hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID))
			cksum_flag = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		set_received_flags(pkt, frame->kind->ptype, cksum_flag, gso_size);
	} else if (cksum_is_open) {
		set_legacy_flags(pkt, frame, gso_size);
	}
}

__rte_noinline void
vhost_net_header_from_guest_of_any_kind(const struct virtio_net *net,
		const struct virtio_net_hdr *hdr, struct rte_mbuf *pkt)
{
	struct frame_kind kind;
	bool is_open;

	vhost_net_frame_parse(pkt, &kind);
	is_open = kind.tx_flags != 0 && l4_cksum_is_open(hdr, &kind);
	if ((hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && !is_open)
		complete_cksum(pkt, hdr);
	set_flags(net, hdr, pkt, &(struct net_frame){ &kind, kind.lengths }, is_open);
}

void
vhost_net_header_from_guest(const struct virtio_net *net,
		const struct virtio_net_hdr *hdr, struct rte_mbuf *pkt)
{
	struct net_frame frame;

	if (likely(net_frame_is_common(pkt, &frame) && l4_cksum_is_open(hdr, frame.kind)))
		set_flags(net, hdr, pkt, &frame, true);
	else
		vhost_net_header_from_guest_of_any_kind(net, hdr, pkt);
}
