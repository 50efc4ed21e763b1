/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <string.h>

#include <linux/virtio_net.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_vhost.h>

#include "frame.h"

#define L2_LEN sizeof(struct rte_ether_hdr)
#define L3_LEN sizeof(struct rte_ipv4_hdr)
#define L4_LEN sizeof(struct rte_tcp_hdr)

/** What all frames begin with: a unicast address, so that counting is predictable. */
static const struct rte_ether_hdr ether = {
	.dst_addr.addr_bytes = { 0x52, 0x54, 0, 0, 0, 1 },
	.src_addr.addr_bytes = { 0x52, 0x54, 0, 0, 0, 2 },
	.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4),
};

/** Marsaglia's xorshift with shifts 13, 7, 17; one byte of each step. */
static void
fill_random(uint8_t *bytes, unsigned int len, uint64_t seed)
{
	uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15;

	for (unsigned int i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		bytes[i] = x >> 32;
	}
}

static bool
uses_offload(const struct cell *cell)
{
	return cell->offload == OFFLOAD_CSUM || cell->offload == OFFLOAD_TSO;
}

/** TCP over IPv4 as a sender with offloads leaves it: IP checksum right, TCP's pseudo. */
static void
fill_tcp(uint8_t *frame, const struct cell *cell)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(frame + L2_LEN);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(ip + 1);
	bool tso = cell->offload == OFFLOAD_TSO;

	*ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(cell->size - L2_LEN),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_TCP,
		.src_addr = RTE_BE32(0xc0000201),
		.dst_addr = RTE_BE32(0xc0000202),
	};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*tcp = (struct rte_tcp_hdr){
		.src_port = RTE_BE16(5001),
		.dst_port = RTE_BE16(5002),
		.data_off = L4_LEN / 4 << 4,
		.tcp_flags = RTE_TCP_ACK_FLAG,
		.rx_win = 0xffff,
		.cksum = rte_ipv4_phdr_cksum(ip, tso ? RTE_MBUF_F_TX_TCP_SEG : 0),
	};
}

void
frame_fill(uint8_t *frame, const struct cell *cell, unsigned int index)
{
	fill_random(frame, cell->size, index);
	memcpy(frame, &ether, sizeof(ether));
	if (uses_offload(cell))
		fill_tcp(frame, cell);
}

unsigned int
frame_open_sum(const struct cell *cell)
{
	if (cell->offload != OFFLOAD_TSO)
		return 0;
	return L2_LEN + L3_LEN + offsetof(struct rte_tcp_hdr, cksum);
}

bool
frame_arrived(const uint8_t *frame, const struct cell *cell, unsigned int index)
{
	const unsigned int cksum = frame_open_sum(cell);
	uint8_t expected[FRAME_MAX];

	frame_fill(expected, cell, index);
	/* the sum of the pseudo header is with the length for virtio, without for NICs */
	if (cksum != 0)
		memcpy(expected + cksum, frame + cksum, sizeof(rte_be16_t));
	return memcmp(frame, expected, cell->size) == 0;
}

/** The header that stands for the cell's offload, in either direction. */
static struct virtio_net_hdr_mrg_rxbuf
net_header(const struct cell *cell)
{
	struct virtio_net_hdr_mrg_rxbuf header = { 0 };

	if (uses_offload(cell)) {
		header.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header.hdr.csum_start = L2_LEN + L3_LEN;
		header.hdr.csum_offset = offsetof(struct rte_tcp_hdr, cksum);
	}
	if (cell->offload == OFFLOAD_TSO) {
		header.hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		header.hdr.gso_size = FRAME_MSS;
		header.hdr.hdr_len = L2_LEN + L3_LEN + L4_LEN;
	}
	return header;
}

void
frame_guest_header(uint8_t *bytes, const struct cell *cell)
{
	struct virtio_net_hdr_mrg_rxbuf header = net_header(cell);

	memcpy(bytes, &header, sizeof(header));
}

bool
frame_check_guest_header(const uint8_t *bytes, const struct cell *cell, unsigned int buffers)
{
	struct virtio_net_hdr_mrg_rxbuf expected = net_header(cell), header;

	memcpy(&header, bytes, sizeof(header));
	/* Without mergeable buffers the field is there, but old devices leave it alone. */
	if (cell->mergeable && header.num_buffers != buffers)
		return false;
	return memcmp(&header.hdr, &expected.hdr, sizeof(header.hdr)) == 0;
}

/** Ask for the cell's offload. */
static void
mark_mbuf(struct rte_mbuf *mbuf, const struct cell *cell)
{
	if (!uses_offload(cell))
		return;
	mbuf->l2_len = L2_LEN;
	mbuf->l3_len = L3_LEN;
	mbuf->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM;
	if (cell->offload == OFFLOAD_TSO) {
		mbuf->l4_len = L4_LEN;
		mbuf->tso_segsz = FRAME_MSS;
		mbuf->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IP_CKSUM;
	}
}

struct rte_mbuf *
frame_make_mbuf(struct rte_mempool *pool, const struct cell *cell, unsigned int index)
{
	unsigned int piece = cell->segment != 0 ? cell->segment : cell->size, len;
	struct rte_mbuf *head = rte_pktmbuf_alloc(pool), *tail = head;
	uint8_t frame[FRAME_MAX];

	frame_fill(frame, cell, index);
	for (unsigned int at = 0; tail != NULL; at += len) {
		len = RTE_MIN(piece, cell->size - at);
		memcpy(rte_pktmbuf_append(tail, len), frame + at, len);
		if (tail != head)
			rte_pktmbuf_chain(head, tail);
		if (at + len == cell->size) {
			mark_mbuf(head, cell);
			return head;
		}
		tail = rte_pktmbuf_alloc(pool);
	}
	rte_pktmbuf_free(head);
	return NULL;
}

/** The marks of a socket registered without RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS. */
static bool
check_legacy_marks(const struct rte_mbuf *mbuf, const struct cell *cell)
{
	bool tso = cell->offload == OFFLOAD_TSO;
	uint64_t l4_mask = RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG;
	uint64_t l4 = mbuf->ol_flags & l4_mask;

	if (!uses_offload(cell))
		return l4 == 0;
	if (mbuf->l2_len != L2_LEN || mbuf->l3_len != L3_LEN ||
	    !(mbuf->ol_flags & RTE_MBUF_F_TX_IPV4))
		return false;
	if (!tso)
		return l4 == RTE_MBUF_F_TX_TCP_CKSUM;
	return l4 & RTE_MBUF_F_TX_TCP_SEG && mbuf->tso_segsz == FRAME_MSS &&
		mbuf->l4_len == L4_LEN;
}

bool
frame_check_mbuf(const struct rte_mbuf *mbuf, const struct cell *cell)
{
	uint64_t l4 = mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	if (!(cell->flags & RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS))
		return check_legacy_marks(mbuf, cell);
	if (l4 != (uses_offload(cell) ? RTE_MBUF_F_RX_L4_CKSUM_NONE : 0))
		return false;
	if (cell->offload != OFFLOAD_TSO)
		return !(mbuf->ol_flags & RTE_MBUF_F_RX_LRO);
	return mbuf->ol_flags & RTE_MBUF_F_RX_LRO && mbuf->tso_segsz == FRAME_MSS;
}
