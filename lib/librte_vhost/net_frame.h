/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_FRAME_H
#define VHOST_NET_FRAME_H

/*
 * The headers that a frame from the guest begins with, as far as an mbuf can tell of
 * them.
 *
 * The frame is a copy that the guest cannot change; anything may be in it.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/virtio_net.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_sctp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

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
		RTE_PTYPE_L4_TCP, offsetof(struct rte_tcp_hdr, cksum), IPPROTO_TCP,
		sizeof(struct rte_tcp_hdr) },
	[L4_INDEX(RTE_MBUF_F_TX_UDP_CKSUM)] = {
		RTE_PTYPE_L4_UDP, offsetof(struct rte_udp_hdr, dgram_cksum), IPPROTO_UDP,
		sizeof(struct rte_udp_hdr) },
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

#endif /* VHOST_NET_FRAME_H */
