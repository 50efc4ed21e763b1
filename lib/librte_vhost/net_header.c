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
#include <rte_net.h>
#include <rte_sctp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "net_header.h"

/** An L4 protocol, and where it has its checksum. */
struct l4_proto {
	uint32_t ptype;
	uint8_t number;		/**< in the IP header */
	uint16_t cksum_offset;
	uint8_t min_len;	/**< of a header */
};

/** The field of ol_flags that names the protocol, as a small number; 0 for none. */
#define L4_INDEX(cksum_flag) ((cksum_flag) / RTE_MBUF_F_TX_TCP_CKSUM)
#define L4_CKSUM_FLAG(index) ((index) * RTE_MBUF_F_TX_TCP_CKSUM)

static const struct l4_proto l4_protos[L4_INDEX(RTE_MBUF_F_TX_L4_MASK) + 1] = {
	[L4_INDEX(RTE_MBUF_F_TX_TCP_CKSUM)] = { RTE_PTYPE_L4_TCP, IPPROTO_TCP,
		offsetof(struct rte_tcp_hdr, cksum), sizeof(struct rte_tcp_hdr) },
	[L4_INDEX(RTE_MBUF_F_TX_UDP_CKSUM)] = { RTE_PTYPE_L4_UDP, IPPROTO_UDP,
		offsetof(struct rte_udp_hdr, dgram_cksum), sizeof(struct rte_udp_hdr) },
	[L4_INDEX(RTE_MBUF_F_TX_SCTP_CKSUM)] = { RTE_PTYPE_L4_SCTP, IPPROTO_SCTP,
		offsetof(struct rte_sctp_hdr, cksum), sizeof(struct rte_sctp_hdr) },
};

/** A kind of segmentation, as the header and as an mbuf name it. */
struct gso_kind {
	uint8_t gso_type;
	uint8_t host_feature;	/**< that lets the guest ask us for it */
	uint8_t guest_feature;	/**< that lets us ask the guest for it */
	bool ipv6;		/**< only over IPv6 */
	bool ipv4;		/**< only over IPv4 */
	uint32_t ptype;		/**< of the L4 header it cuts behind */
	uint64_t seg_flag;	/**< RTE_MBUF_F_TX_* */
};

static const struct gso_kind gso_kinds[] = {
	{
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.host_feature = VIRTIO_NET_F_HOST_TSO4,
		.guest_feature = VIRTIO_NET_F_GUEST_TSO4,
		.ipv4 = true,
		.ptype = RTE_PTYPE_L4_TCP,
		.seg_flag = RTE_MBUF_F_TX_TCP_SEG,
	},
	{
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
		.host_feature = VIRTIO_NET_F_HOST_TSO6,
		.guest_feature = VIRTIO_NET_F_GUEST_TSO6,
		.ipv6 = true,
		.ptype = RTE_PTYPE_L4_TCP,
		.seg_flag = RTE_MBUF_F_TX_TCP_SEG,
	},
	{
		.gso_type = VIRTIO_NET_HDR_GSO_UDP,
		.host_feature = VIRTIO_NET_F_HOST_UFO,
		.guest_feature = VIRTIO_NET_F_GUEST_UFO,
		.ptype = RTE_PTYPE_L4_UDP,
		.seg_flag = RTE_MBUF_F_TX_UDP_SEG,
	},
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

static uint32_t
load32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint16_t
load16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
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
ip_version(const struct rte_mbuf *pkt, const uint8_t *ip)
{
	if (ip == NULL)
		return 0;
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
static void
write_pseudo_sum(struct rte_mbuf *pkt, struct headers *at, uint32_t field_offset)
{
	uint8_t *field = rte_pktmbuf_mtod_offset(pkt, uint8_t *, field_offset);
	uint16_t sum;

	if (field_offset + sizeof(sum) > pkt->data_len)
		return;
	at->ip = rte_pktmbuf_mtod_offset(pkt, const uint8_t *, at->l4_start - pkt->l3_len);
	at->version = ip_version(pkt, at->ip);
	if (at->version == 0)
		return;
	sum = sum_pseudo_header(at, l4_length(pkt, at));
	/* at any address; and not written without need, as above */
	if (memcmp(field, &sum, sizeof(sum)) != 0)
		memcpy(field, &sum, sizeof(sum));
}

static void
ask_for_cksum(struct rte_mbuf *pkt, uint64_t cksum_flag, struct virtio_net_hdr *hdr)
{
	struct headers at = {
		.l4_start = l3_offset(pkt) + pkt->l3_len,
		.l4 = &l4_protos[L4_INDEX(cksum_flag)],
	};

	hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr->csum_start = at.l4_start;
	hdr->csum_offset = at.l4->cksum_offset;
	/* SCTP's checksum knows no pseudo header */
	if (cksum_flag != RTE_MBUF_F_TX_SCTP_CKSUM)
		write_pseudo_sum(pkt, &at, at.l4_start + at.l4->cksum_offset);
}

static __rte_noinline void
ask_for_segments(const struct virtio_net *net, const struct rte_mbuf *pkt,
		struct virtio_net_hdr *hdr)
{
	bool ipv6 = (pkt->ol_flags & RTE_MBUF_F_TX_IPV6) != 0;

	for (unsigned int i = 0; i < RTE_DIM(gso_kinds); i++) {
		const struct gso_kind *kind = &gso_kinds[i];

		if (!(pkt->ol_flags & kind->seg_flag) || (kind->ipv4 && ipv6) ||
				(kind->ipv6 && !ipv6) ||
				!virtio_net_has(net, kind->guest_feature))
			continue;
		hdr->gso_type = kind->gso_type;
		hdr->gso_size = pkt->tso_segsz;
		hdr->hdr_len = l3_offset(pkt) + pkt->l3_len + pkt->l4_len;
		return;
	}
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

bool
vhost_net_header_to_guest(const struct virtio_net *net, struct rte_mbuf *pkt,
		struct virtio_net_hdr *to)
{
	bool takes_open = virtio_net_has(net, VIRTIO_NET_F_GUEST_CSUM);
	uint64_t cksum_flag = open_cksum(pkt);
	struct virtio_net_hdr hdr = { 0 };

	if (pkt->ol_flags & RTE_MBUF_F_TX_IP_CKSUM)
		complete_ipv4_cksum(pkt);
	if (takes_open && cksum_flag != 0) {
		ask_for_cksum(pkt, cksum_flag, &hdr);
		if (pkt->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG))
			ask_for_segments(net, pkt, &hdr);
	}
	write_header(to, hdr);
	return cksum_flag != 0 && !takes_open;
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
	at.ip = rte_pktmbuf_read(pkt, start, pkt->l3_len, copy);
	at.version = ip_version(pkt, at.ip);
	at.l4_start = start + pkt->l3_len;
	if (at.version == 0 || l4_length(pkt, &at) < at.l4->min_len)
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

/** What was found in a packet, all of it within its first segment. */
struct parsed {
	struct rte_net_hdr_lens lens;
	uint32_t ptype;
	const struct l4_proto *l4;	/**< NULL if there is none that we, and an mbuf, know */
	uint32_t l4_start;		/**< offset of the L4 header, if there is one */
};

/** Whether the lengths fit an mbuf's fields; IPv6 extension headers can be longer. */
static bool
lens_fit_mbuf(const struct rte_net_hdr_lens *lens)
{
	return lens->l2_len < (1u << RTE_MBUF_L2_LEN_BITS) &&
		lens->l3_len < (1u << RTE_MBUF_L3_LEN_BITS);
}

static void
parse(const struct rte_mbuf *pkt, struct parsed *parsed)
{
	const struct rte_net_hdr_lens *lens = &parsed->lens;

	*parsed = (struct parsed){ 0 };
	parsed->ptype = rte_net_get_ptype(pkt, &parsed->lens, RTE_PTYPE_ALL_MASK);
	parsed->l4_start = lens->l2_len + lens->l3_len;
	if (parsed->l4_start + lens->l4_len > pkt->data_len || !lens_fit_mbuf(lens))
		return;
	for (unsigned int i = 1; i < RTE_DIM(l4_protos); i++)
		if ((parsed->ptype & RTE_PTYPE_L4_MASK) == l4_protos[i].ptype &&
				lens->l4_len >= l4_protos[i].min_len)
			parsed->l4 = &l4_protos[i];
}

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

/** Whether the checksum that the guest wants is the one of the L4 header. */
static bool
cksum_is_l4(const struct virtio_net_hdr *hdr, const struct parsed *parsed)
{
	return parsed->l4 != NULL && hdr->csum_start == parsed->l4_start &&
		hdr->csum_offset == parsed->l4->cksum_offset;
}

/** The segmentation that the guest asks for, NULL if none that is right for the packet. */
static const struct gso_kind *
wanted_gso(const struct virtio_net *net, const struct virtio_net_hdr *hdr,
		const struct parsed *parsed)
{
	uint8_t type = hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;

	if (hdr->gso_size == 0 || parsed->l4 == NULL)
		return NULL;
	for (unsigned int i = 0; i < RTE_DIM(gso_kinds); i++) {
		const struct gso_kind *kind = &gso_kinds[i];

		if (kind->gso_type == type && kind->ptype == parsed->l4->ptype &&
				!(kind->ipv4 && !RTE_ETH_IS_IPV4_HDR(parsed->ptype)) &&
				!(kind->ipv6 && !RTE_ETH_IS_IPV6_HDR(parsed->ptype)) &&
				virtio_net_has(net, kind->host_feature))
			return kind;
	}
	return NULL;
}

/** Flags as for a packet to be sent: those that a NIC could do the rest by. */
static void
set_legacy_flags(struct rte_mbuf *pkt, const struct virtio_net_hdr *hdr,
		const struct parsed *parsed, const struct gso_kind *gso)
{
	if (!cksum_is_l4(hdr, parsed) || !(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return;
	pkt->l2_len = parsed->lens.l2_len;
	pkt->l3_len = parsed->lens.l3_len;
	pkt->l4_len = parsed->lens.l4_len;
	pkt->ol_flags |= L4_CKSUM_FLAG(parsed->l4 - l4_protos);
	pkt->ol_flags |= RTE_ETH_IS_IPV4_HDR(parsed->ptype) ? RTE_MBUF_F_TX_IPV4 :
		RTE_MBUF_F_TX_IPV6;
	if (gso != NULL) {
		pkt->ol_flags |= gso->seg_flag;
		pkt->tso_segsz = hdr->gso_size;
	}
}

/** Flags as for a packet that a NIC received. */
static void
set_received_flags(struct rte_mbuf *pkt, const struct virtio_net_hdr *hdr,
		const struct parsed *parsed, const struct gso_kind *gso)
{
	pkt->packet_type = parsed->ptype;
	if (cksum_is_l4(hdr, parsed) && (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		pkt->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
	else if (parsed->l4 != NULL && (hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID))
		pkt->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	if (gso != NULL) {
		pkt->ol_flags |= RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE;
		pkt->tso_segsz = hdr->gso_size;
	}
}

void
vhost_net_header_from_guest(const struct virtio_net *net,
		const struct virtio_net_hdr *hdr, struct rte_mbuf *pkt)
{
	const struct gso_kind *gso;
	struct parsed parsed;

	parse(pkt, &parsed);
	gso = wanted_gso(net, hdr, &parsed);
	if ((hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && !cksum_is_l4(hdr, &parsed))
		complete_cksum(pkt, hdr);
	if (net->flags & NET_COMPLIANT_OL_FLAGS)
		set_received_flags(pkt, hdr, &parsed, gso);
	else
		set_legacy_flags(pkt, hdr, &parsed, gso);
}
