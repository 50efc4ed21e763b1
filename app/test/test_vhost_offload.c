/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Checksum and segmentation wishes between the virtio-net header and the mbuf:
 * what the guest asks for arrives as mbuf flags (in the two dialects that an
 * application may choose), what the application asks for arrives in the header,
 * and no header, however wrong, does harm.
 */

#include <pthread.h>
#include <stdlib.h>

#include <rte_ip.h>
#include <rte_mbuf.h>

#include "test_vhost_hostile.h"

#define HOST_OFFLOADS (FE_BIT(VIRTIO_NET_F_CSUM) | \
	FE_BIT(VIRTIO_NET_F_HOST_TSO4) | FE_BIT(VIRTIO_NET_F_HOST_TSO6) | \
	FE_BIT(VIRTIO_NET_F_HOST_ECN) | FE_BIT(VIRTIO_NET_F_HOST_UFO))
#define GUEST_OFFLOADS (FE_BIT(VIRTIO_NET_F_GUEST_CSUM) | \
	FE_BIT(VIRTIO_NET_F_GUEST_TSO4) | FE_BIT(VIRTIO_NET_F_GUEST_TSO6) | \
	FE_BIT(VIRTIO_NET_F_GUEST_ECN) | FE_BIT(VIRTIO_NET_F_GUEST_UFO))

#define NEEDS_CSUM VIRTIO_NET_HDR_F_NEEDS_CSUM
#define DATA_VALID VIRTIO_NET_HDR_F_DATA_VALID
#define TSO4 VIRTIO_NET_HDR_GSO_TCPV4
#define TSO6 VIRTIO_NET_HDR_GSO_TCPV6
#define UFO VIRTIO_NET_HDR_GSO_UDP
#define ECN VIRTIO_NET_HDR_GSO_ECN

/* ---- packets with real headers ---- */

struct kind {
	bool vlan, ip6;
	uint8_t proto;
};

struct frame {
	uint8_t bytes[2048];
	uint16_t len, l2, l3, l4;
};

static void
put_ip4(uint8_t *at, uint8_t proto, uint16_t len)
{
	const struct rte_ipv4_hdr ip = {
		.version_ihl = 0x45, .time_to_live = 64,
		.total_length = rte_cpu_to_be_16(20 + len),
		.next_proto_id = proto,
		.src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 0, 0, 1)),
		.dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 0, 0, 2)),
	};

	memcpy(at, &ip, sizeof(ip));
}

static void
put_ip6(uint8_t *at, uint8_t proto, uint16_t len)
{
	const struct rte_ipv6_hdr ip = {
		.vtc_flow = rte_cpu_to_be_32(6U << 28),
		.payload_len = rte_cpu_to_be_16(len),
		.proto = proto, .hop_limits = 64,
	};

	memcpy(at, &ip, sizeof(ip));
}

/** Where the checksum of the transport header is; 0: nobody knows. */
static uint16_t
checksum_at(const struct frame *f, uint8_t proto)
{
	return proto == IPPROTO_TCP ? f->l2 + f->l3 + 16 :
		proto == IPPROTO_UDP ? f->l2 + f->l3 + 6 : 0;
}

/** What stands there while the checksum is still to be made. */
static uint16_t
pseudo_checksum(const struct frame *f, bool ip6)
{
	uint8_t ip[40];

	memcpy(ip, f->bytes + f->l2, f->l3);
	return ip6 ? rte_ipv6_phdr_cksum((void *)ip, 0) :
		rte_ipv4_phdr_cksum((void *)ip, 0);
}

static void
put_pseudo_checksum(struct frame *f, struct kind k)
{
	uint16_t sum = pseudo_checksum(f, k.ip6);

	if (checksum_at(f, k.proto) != 0)
		memcpy(f->bytes + checksum_at(f, k.proto), &sum, sizeof(sum));
}

static struct frame
make_frame(struct kind k, uint16_t payload)
{
	struct frame f = { .l2 = k.vlan ? 18 : 14, .l3 = k.ip6 ? 40 : 20 };
	uint8_t *l3 = f.bytes + f.l2, *l4 = l3 + f.l3;

	f.l4 = k.proto == IPPROTO_TCP ? 20 : 8;
	f.len = f.l2 + f.l3 + f.l4 + payload;
	fake_pattern(f.bytes, f.len, payload);
	if (k.vlan)
		memcpy(f.bytes + 12, "\x81\x00\x00\x05", 4);
	memcpy(l3 - 2, k.ip6 ? "\x86\xdd" : "\x08\x00", 2);
	if (k.ip6)
		put_ip6(l3, k.proto, f.l4 + payload);
	else
		put_ip4(l3, k.proto, f.l4 + payload);
	if (k.proto == IPPROTO_TCP)
		l4[12] = 5 << 4;	/* words of header */
	if (k.proto == IPPROTO_UDP) {
		l4[4] = (f.l4 + payload) >> 8;
		l4[5] = (f.l4 + payload) & 0xff;
	}
	put_pseudo_checksum(&f, k);
	return f;
}

static fake_net_hdr
csum_header(const struct frame *f, uint8_t proto)
{
	return (fake_net_hdr){ .hdr = {
		.flags = NEEDS_CSUM,
		.csum_start = f->l2 + f->l3,
		.csum_offset = proto == IPPROTO_TCP ? 16 : 6,
	} };
}

static fake_net_hdr
gso_header(const struct frame *f, uint8_t proto, uint8_t type, uint16_t size)
{
	fake_net_hdr h = csum_header(f, proto);

	h.hdr.gso_type = type;
	h.hdr.gso_size = size;
	h.hdr.hdr_len = f->l2 + f->l3 + f->l4;
	return h;
}

/** Send a frame with this header from the guest; as it arrives, or NULL. */
static struct rte_mbuf *
carry_to_host(struct fake *fe, const fake_net_hdr *h, const void *bytes,
		size_t len)
{
	struct rte_mbuf *m = NULL;

	if (!fake_tx_send(&fe->vqs[1], h, bytes, len, NULL))
		return NULL;
	if (fake_dequeue_burst(fe->vid, 1, fake_pool(), &m, 1) != 1)
		m = NULL;
	fake_tx_reap(&fe->vqs[1]);
	return m;
}

/* ---- from the guest: one row, one packet, both dialects ---- */

static const struct from_guest {
	const char *name;
	struct kind kind;
	uint8_t flags, gso_type;
	uint64_t compliant;	/* of RX_L4_CKSUM_MASK and LRO */
	uint64_t legacy;	/* TX flags */
} from_guest[] = {
	{ "plain", { .proto = IPPROTO_TCP }, 0, 0, 0, 0 },
	{ "tcp4_checksum", { .proto = IPPROTO_TCP }, NEEDS_CSUM, 0,
		RTE_MBUF_F_RX_L4_CKSUM_NONE,
		RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4 },
	{ "udp4_checksum", { .proto = IPPROTO_UDP }, NEEDS_CSUM, 0,
		RTE_MBUF_F_RX_L4_CKSUM_NONE,
		RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4 },
	{ "tcp6_checksum", { .ip6 = true, .proto = IPPROTO_TCP }, NEEDS_CSUM, 0,
		RTE_MBUF_F_RX_L4_CKSUM_NONE,
		RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV6 },
	{ "udp6_checksum", { .ip6 = true, .proto = IPPROTO_UDP }, NEEDS_CSUM, 0,
		RTE_MBUF_F_RX_L4_CKSUM_NONE,
		RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV6 },
	{ "vlan_tcp4_checksum", { .vlan = true, .proto = IPPROTO_TCP },
		NEEDS_CSUM, 0, RTE_MBUF_F_RX_L4_CKSUM_NONE,
		RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4 },
	{ "flag_that_means_nothing", { .proto = IPPROTO_TCP }, 0x80, 0, 0, 0 },
	{ "checksum_is_valid", { .proto = IPPROTO_TCP }, DATA_VALID, 0,
		RTE_MBUF_F_RX_L4_CKSUM_GOOD, 0 },
	{ "tso4", { .proto = IPPROTO_TCP }, NEEDS_CSUM, TSO4,
		RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_LRO,
		RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4 |
			RTE_MBUF_F_TX_TCP_SEG },
	{ "tso4_with_ecn", { .proto = IPPROTO_TCP }, NEEDS_CSUM, TSO4 | ECN,
		RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_LRO,
		RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4 |
			RTE_MBUF_F_TX_TCP_SEG },
	{ "tso6", { .ip6 = true, .proto = IPPROTO_TCP }, NEEDS_CSUM, TSO6,
		RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_LRO,
		RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV6 |
			RTE_MBUF_F_TX_TCP_SEG },
	{ "ufo", { .proto = IPPROTO_UDP }, NEEDS_CSUM, UFO,
		RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_LRO,
		RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4 |
			RTE_MBUF_F_TX_UDP_SEG },
};

static int
compare_flags(const struct rte_mbuf *m, const struct from_guest *row,
		const struct frame *f, bool compliant)
{
	const uint64_t rx = RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_LRO;
	const uint64_t tx = RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG |
		RTE_MBUF_F_TX_UDP_SEG | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6;

	/* A guest's word that a checksum is good may be believed or not. */
	if (!(row->flags & DATA_VALID) || (m->ol_flags & rx) != 0)
		TEST_ASSERT_EQUAL(m->ol_flags & rx,
			compliant ? row->compliant : 0, "receive flags");
	if (!compliant && row->legacy != 0)
		TEST_ASSERT_EQUAL(m->ol_flags & tx, row->legacy, "transmit flags");
	else
		TEST_ASSERT_EQUAL(m->ol_flags & tx & ~(RTE_MBUF_F_TX_IPV4 |
			RTE_MBUF_F_TX_IPV6), 0, "no transmit flags");
	if (row->gso_type != 0)
		TEST_ASSERT_EQUAL(m->tso_segsz, 1000, "segment size");
	if (!compliant && row->legacy != 0) {
		TEST_ASSERT_EQUAL(m->l2_len, f->l2, "l2_len");
		TEST_ASSERT_EQUAL(m->l3_len, f->l3, "l3_len");
	}
	if (!compliant && row->gso_type != 0)
		TEST_ASSERT_EQUAL(m->l4_len, f->l4, "l4_len");
	return 0;
}

static int
wish_of_the_guest_arrives(const void *arg)
{
	const struct from_guest *row = arg;

	for (int compliant = 0; compliant < 2; compliant++) {
		struct fake *fe = fake_start(.mergeable = true,
			.features = HOST_OFFLOADS, .buf_size = 4096,
			.flags = compliant ?
				RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS : 0);
		struct frame f = make_frame(row->kind, 1900);
		fake_net_hdr h = gso_header(&f, row->kind.proto, row->gso_type,
			row->gso_type ? 1000 : 0);
		uint8_t got[2048];
		struct rte_mbuf *m;

		TEST_ASSERT_NOT_NULL(fe, "the device must start");
		h.hdr.flags = row->flags;
		m = carry_to_host(fe, &h, f.bytes, f.len);
		TEST_ASSERT_NOT_NULL(m, "it arrives");
		TEST_ASSERT_EQUAL(m->pkt_len, f.len, "whole");
		TEST_ASSERT_EQUAL(fake_mbuf_read(m, got, sizeof(got)), f.len, "read");
		TEST_ASSERT_BUFFERS_ARE_EQUAL(got, f.bytes, f.len, "unchanged");
		if (compare_flags(m, row, &f, compliant) != 0)
			return TEST_FAILED;
		rte_pktmbuf_free(m);
		TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	}
	return TEST_SUCCESS;
}

/* Nothing was negotiated that the header could ask for. */
static int
header_means_nothing_without_features(void)
{
	struct frame f = make_frame((struct kind){ .proto = IPPROTO_TCP }, 500);
	fake_net_hdr h = gso_header(&f, IPPROTO_TCP, TSO4, 100);

	for (int compliant = 0; compliant < 2; compliant++) {
		struct fake *fe = fake_start(.mergeable = true, .flags = compliant ?
			RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS : 0);
		struct rte_mbuf *m;

		TEST_ASSERT_NOT_NULL(fe, "the device must start");
		m = carry_to_host(fe, &h, f.bytes, f.len);
		TEST_ASSERT_NOT_NULL(m, "it arrives");
		TEST_ASSERT_EQUAL(m->ol_flags & (RTE_MBUF_F_RX_LRO |
			RTE_MBUF_F_TX_TCP_SEG), 0, "no flags");
		rte_pktmbuf_free(m);
		TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	}
	return TEST_SUCCESS;
}

/*
 * A protocol that no flag can name: the checksum which the guest left open is
 * filled in by the library.
 */
static int
checksum_of_unknown_protocol_is_made_here(void)
{
	struct fake *fe = fake_start(.mergeable = true, .features = HOST_OFFLOADS,
		.flags = RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS);
	struct frame f = make_frame((struct kind){ .proto = 253 }, 300);
	fake_net_hdr h = csum_header(&f, IPPROTO_UDP);
	uint16_t expected, start = f.l2 + f.l3;
	uint8_t got[2048];
	struct rte_mbuf *m;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	expected = ~rte_raw_cksum(f.bytes + start, f.len - start);
	m = carry_to_host(fe, &h, f.bytes, f.len);
	TEST_ASSERT_NOT_NULL(m, "it arrives");
	fake_mbuf_read(m, got, sizeof(got));
	rte_pktmbuf_free(m);
	TEST_ASSERT(memcmp(got + start + 6, &expected, 2) == 0, "the checksum");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(got, f.bytes, start + 6, "before it");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(got + start + 8, f.bytes + start + 8,
		f.len - start - 8, "behind it");
	return fake_stop(fe);
}

/** Options make the IPv6 header longer than an mbuf can say. */
static int
checksum_behind_long_options_is_made_here(void)
{
	struct fake *fe = fake_start(.mergeable = true, .features = HOST_OFFLOADS);
	struct frame f = make_frame((struct kind){ .ip6 = true, .proto = IPPROTO_DSTOPTS }, 700);
	const uint16_t start = f.l2 + f.l3 + 71 * 8;
	fake_net_hdr h = { .hdr = { NEEDS_CSUM, .csum_start = start, .csum_offset = 16 } };
	struct rte_mbuf *m;
	uint16_t sum;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	f.bytes[f.l2 + f.l3] = IPPROTO_TCP;
	f.bytes[f.l2 + f.l3 + 1] = 70;
	f.bytes[start + 12] = 5 << 4;
	m = carry_to_host(fe, &h, f.bytes, f.len);
	TEST_ASSERT_NOT_NULL(m, "it arrives");
	TEST_ASSERT_EQUAL(m->ol_flags, 0, "nothing is left to others");
	memcpy(&sum, f.bytes + start + 16, sizeof(sum));
	TEST_ASSERT_EQUAL(rte_raw_cksum(rte_pktmbuf_mtod_offset(m, void *, start),
		f.len - start), (uint16_t)~sum, "complete but for the pseudo header");
	rte_pktmbuf_free(m);
	return fake_stop(fe);
}

/** Nobody may be told of a TCP header that is shorter than one. */
static int
short_tcp_header_is_no_offload(void)
{
	struct fake *fe = fake_start(.mergeable = true, .features = HOST_OFFLOADS);
	struct frame f = make_frame((struct kind){ .proto = IPPROTO_TCP }, 300);
	fake_net_hdr h = gso_header(&f, IPPROTO_TCP, TSO4, 100);
	struct rte_mbuf *m;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int words = 0; words <= 5; words++) {
		f.bytes[f.l2 + f.l3 + 12] = words << 4;
		m = carry_to_host(fe, &h, f.bytes, f.len);
		TEST_ASSERT_NOT_NULL(m, "it arrives");
		TEST_ASSERT_EQUAL((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0, words == 5,
			"header of %u words", words);
		rte_pktmbuf_free(m);
	}
	return fake_stop(fe);
}

/* ---- wrong headers ---- */

static const struct wrong_header {
	const char *name;
	struct virtio_net_hdr hdr;
} wrong_headers[] = {
	{ "csum_start_at_the_end", { NEEDS_CSUM, 0, 0, 0, 60, 16 } },
	{ "csum_start_beyond", { NEEDS_CSUM, 0, 0, 0, 1000, 16 } },
	{ "csum_start_max", { NEEDS_CSUM, 0, 0, 0, 0xffff, 16 } },
	{ "csum_offset_beyond", { NEEDS_CSUM, 0, 0, 0, 34, 1000 } },
	{ "csum_field_half_outside", { NEEDS_CSUM, 0, 0, 0, 34, 25 } },
	{ "csum_start_and_offset_wrap", { NEEDS_CSUM, 0, 0, 0, 34, 0xffff } },
	{ "csum_start_and_offset_wrap_to_0",
		{ NEEDS_CSUM, 0, 0, 0, 0x8000, 0x8000 } },
	{ "csum_start_0", { NEEDS_CSUM, 0, 0, 0, 0, 0 } },
	{ "csum_start_1", { NEEDS_CSUM, 0, 0, 0, 1, 0 } },
	{ "gso_size_0_tcp4", { NEEDS_CSUM, TSO4, 54, 0, 34, 16 } },
	{ "gso_size_0_tcp6", { NEEDS_CSUM, TSO6, 74, 0, 54, 16 } },
	{ "gso_size_0_udp", { NEEDS_CSUM, UFO, 42, 0, 34, 6 } },
	{ "gso_size_max", { NEEDS_CSUM, TSO4, 54, 0xffff, 34, 16 } },
	{ "gso_without_checksum", { 0, TSO4, 54, 100, 0, 0 } },
	{ "gso_type_2", { NEEDS_CSUM, 2, 54, 100, 34, 16 } },
	{ "gso_type_5", { NEEDS_CSUM, 5, 54, 100, 34, 16 } },
	{ "gso_type_127", { NEEDS_CSUM, 127, 54, 100, 34, 16 } },
	{ "gso_type_ecn_only", { NEEDS_CSUM, ECN, 54, 100, 34, 16 } },
	{ "gso_tcp_on_udp_packet", { NEEDS_CSUM, TSO4, 54, 100, 34, 6 } },
	{ "gso_header_length_max", { NEEDS_CSUM, TSO4, 0xffff, 100, 34, 16 } },
	{ "all_bits", { 0xff, 0xff, 0xffff, 0xffff, 0xffff, 0xffff } },
};

/** Whatever arrives has the length that was sent and makes sense. */
static int
try_header(struct fake *fe, const struct virtio_net_hdr *hdr, const void *bytes,
		size_t len)
{
	fake_net_hdr h = { .hdr = *hdr };
	struct rte_mbuf *m = carry_to_host(fe, &h, bytes, len);

	if (m == NULL)
		return 0;
	TEST_ASSERT_EQUAL(m->pkt_len, len, "length");
	if (m->ol_flags & (RTE_MBUF_F_RX_LRO | RTE_MBUF_F_TX_TCP_SEG |
			RTE_MBUF_F_TX_UDP_SEG))
		TEST_ASSERT(m->tso_segsz != 0, "a segment size");
	if (m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG |
			RTE_MBUF_F_TX_UDP_SEG))
		TEST_ASSERT((size_t)m->l2_len + m->l3_len <= len, "headers");
	rte_pktmbuf_free(m);
	return 0;
}

static int
wrong_header_does_no_harm(const void *arg)
{
	const struct wrong_header *w = arg;
	static const struct kind kinds[] = {
		{ .proto = IPPROTO_TCP }, { .proto = IPPROTO_UDP },
		{ .proto = 253 }, { .ip6 = true, .proto = IPPROTO_TCP },
		{ .vlan = true, .proto = IPPROTO_TCP },
	};
	struct two t;

	for (int compliant = 0; compliant < 2; compliant++) {
		TEST_ASSERT(two_start(&t, .mergeable = true,
			.features = HOST_OFFLOADS, .flags = compliant ?
			RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS : 0), "devices");
		for (unsigned int k = 0; k < RTE_DIM(kinds); k++) {
			struct frame f = make_frame(kinds[k], 200);

			/* The packet is cut off at each of its bytes. */
			for (uint16_t len = 1; len <= 80; len++)
				if (try_header(t.bad, &w->hdr, f.bytes, len) != 0)
					return TEST_FAILED;
			if (try_header(t.bad, &w->hdr, f.bytes, f.len) != 0)
				return TEST_FAILED;
		}
		TEST_ASSERT_EQUAL(fake_round_trip(t.bad, 0, 300), 300, "goes on");
		if (two_end(&t) != TEST_SUCCESS)
			return TEST_FAILED;
	}
	return TEST_SUCCESS;
}

/** An IP or TCP header that claims to be longer than the packet. */
static int
length_fields_inside_the_packet_lie(void)
{
	struct two t;

	for (int compliant = 0; compliant < 2; compliant++) {
		TEST_ASSERT(two_start(&t, .mergeable = true,
			.features = HOST_OFFLOADS, .flags = compliant ?
			RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS : 0), "devices");
		for (unsigned int v = 0; v < 256; v++) {
			struct frame f = make_frame((struct kind){
				.proto = IPPROTO_TCP }, 6);
			fake_net_hdr h = gso_header(&f, IPPROTO_TCP, TSO4, 100);

			f.bytes[14] = v;		/* version, header length */
			if (try_header(t.bad, &h.hdr, f.bytes, f.len) != 0)
				return TEST_FAILED;
			f.bytes[14] = 0x45;
			f.bytes[34 + 12] = v;		/* data offset */
			if (try_header(t.bad, &h.hdr, f.bytes, f.len) != 0)
				return TEST_FAILED;
		}
		if (two_end(&t) != TEST_SUCCESS)
			return TEST_FAILED;
	}
	return TEST_SUCCESS;
}

static int
random_headers_do_no_harm(void)
{
	unsigned int seed = test_param_u64("seed", fake_now_ms() & 0xffffff);
	unsigned int state = seed;
	struct two t;

	printf("seed=%u\n", seed);
	for (int compliant = 0; compliant < 2; compliant++) {
		TEST_ASSERT(two_start(&t, .mergeable = true,
			.features = HOST_OFFLOADS, .flags = compliant ?
			RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS : 0), "devices");
		for (unsigned int i = 0; i < 20000; i++) {
			struct kind k = { rand_r(&state) % 2, rand_r(&state) % 2,
				rand_r(&state) % 2 ? IPPROTO_TCP : IPPROTO_UDP };
			struct frame f = make_frame(k, rand_r(&state) % 64);
			struct virtio_net_hdr h = {
				.flags = rand_r(&state) % 4,
				.gso_type = rand_r(&state) % 8,
				.hdr_len = rand_r(&state) % 128,
				.gso_size = rand_r(&state) % 3 * 100,
				.csum_start = rand_r(&state) % 128,
				.csum_offset = rand_r(&state) % 128,
			};

			if (rand_r(&state) % 4 == 0)
				f.bytes[rand_r(&state) % f.len] = rand_r(&state);
			TEST_ASSERT_SUCCESS(try_header(t.bad, &h, f.bytes,
				1 + rand_r(&state) % f.len), "seed %u", seed);
		}
		if (two_end(&t) != TEST_SUCCESS)
			return TEST_FAILED;
	}
	return TEST_SUCCESS;
}

/* ---- a header that changes while it is read ---- */

struct header_changer {
	struct fake *fe;
	uint64_t gpa;
	bool stop;
};

static void *
change_header(void *arg)
{
	struct header_changer *c = arg;
	volatile struct virtio_net_hdr *h = fake_va(c->fe, c->gpa, sizeof(*h));

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		h->csum_start = 34;
		h->csum_start = 0xffff;
		h->csum_offset = 0xfff0;
		h->csum_offset = 16;
		h->gso_size = 0;
		h->gso_size = 100;
	}
	return NULL;
}

static int
header_changed_during_the_burst(void)
{
	struct header_changer c = { .stop = false };
	struct frame f = make_frame((struct kind){ .proto = 253 }, 100);
	fake_net_hdr h = gso_header(&f, IPPROTO_TCP, TSO4, 100);
	pthread_t thread;
	uint64_t until;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .features = HOST_OFFLOADS,
		.flags = RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS), "devices");
	c.fe = t.bad;
	c.gpa = fake_alloc(t.bad, 0, 4096, 64);
	fake_write_guest(t.bad, c.gpa, &h, 12);
	fake_write_guest(t.bad, c.gpa + 12, f.bytes, f.len);
	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, change_header, &c),
		"thread");
	until = fake_now_ms() + 300;
	while (fake_now_ms() < until) {
		struct rte_mbuf *m[32];
		unsigned int n;

		for (int i = 0; i < 32; i++)
			fake_offer_at(&t.bad->vqs[1], c.gpa, 12 + f.len, false);
		fake_kick(&t.bad->vqs[1]);
		n = fake_dequeue_burst(t.bad->vid, 1, fake_pool(), m, 32);
		rte_pktmbuf_free_bulk(m, n);
		fake_tx_reap(&t.bad->vqs[1]);
	}
	__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return two_end(&t);
}

/* ---- towards the guest ---- */

static const struct to_guest {
	const char *name;
	struct kind kind;
	uint64_t ol_flags;
	uint8_t flags, gso_type;
	uint16_t csum_offset;
} to_guest[] = {
	{ "nothing", { .proto = IPPROTO_TCP }, 0, 0, 0, 0 },
	{ "tcp4_checksum", { .proto = IPPROTO_TCP },
		RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4, NEEDS_CSUM, 0, 16 },
	{ "udp4_checksum", { .proto = IPPROTO_UDP },
		RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4, NEEDS_CSUM, 0, 6 },
	{ "tcp6_checksum", { .ip6 = true, .proto = IPPROTO_TCP },
		RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV6, NEEDS_CSUM, 0, 16 },
	{ "vlan_udp6_checksum", { true, true, IPPROTO_UDP },
		RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV6, NEEDS_CSUM, 0, 6 },
	{ "sctp_checksum", { .proto = IPPROTO_SCTP },
		RTE_MBUF_F_TX_SCTP_CKSUM | RTE_MBUF_F_TX_IPV4, NEEDS_CSUM, 0, 8 },
	{ "tso4", { .proto = IPPROTO_TCP },
		RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM |
		RTE_MBUF_F_TX_IPV4, NEEDS_CSUM, TSO4, 16 },
	{ "tso6", { .ip6 = true, .proto = IPPROTO_TCP },
		RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM |
		RTE_MBUF_F_TX_IPV6, NEEDS_CSUM, TSO6, 16 },
	{ "tso4_without_checksum_flag", { .proto = IPPROTO_TCP },
		RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4, NEEDS_CSUM, TSO4, 16 },
	{ "ufo", { .proto = IPPROTO_UDP },
		RTE_MBUF_F_TX_UDP_SEG | RTE_MBUF_F_TX_UDP_CKSUM |
		RTE_MBUF_F_TX_IPV4, NEEDS_CSUM, UFO, 6 },
};

static struct rte_mbuf *
mbuf_of(const struct frame *f, uint64_t ol_flags)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(fake_pool());

	if (m == NULL)
		return NULL;
	memcpy(rte_pktmbuf_append(m, f->len), f->bytes, f->len);
	m->ol_flags = ol_flags;
	m->l2_len = f->l2;
	m->l3_len = f->l3;
	m->l4_len = f->l4;
	m->tso_segsz = 1000;
	return m;
}

/** Send a packet to a guest with those offloads; the header asks for checksum and that gso_type. */
static int
check_wish(const struct to_guest *row, uint64_t features, uint8_t gso_type)
{
	struct fake *fe = fake_start(.mergeable = true, .features = features);
	struct frame f = make_frame(row->kind, 1900);
	struct rte_mbuf *m;
	fake_net_hdr h;
	uint8_t got[2048];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	m = mbuf_of(&f, row->ol_flags);
	TEST_ASSERT_NOT_NULL(m, "an mbuf");
	fake_rx_fill(&fe->vqs[0], 2, 2048, NULL);
	TEST_ASSERT_EQUAL(fake_enqueue_burst(fe->vid, 0, &m, 1), 1, "send");
	rte_pktmbuf_free(m);
	TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], &h, got, sizeof(got)), f.len,
		"it arrives");
	TEST_ASSERT_EQUAL(h.hdr.flags, row->flags, "flags");
	TEST_ASSERT_EQUAL(h.hdr.gso_type, gso_type, "gso_type");
	TEST_ASSERT_EQUAL(h.hdr.csum_start, row->flags ? f.l2 + f.l3 : 0,
		"csum_start");
	TEST_ASSERT_EQUAL(h.hdr.csum_offset, row->csum_offset, "csum_offset");
	TEST_ASSERT_EQUAL(h.hdr.gso_size, gso_type ? 1000 : 0, "gso_size");
	TEST_ASSERT_EQUAL(h.hdr.hdr_len, gso_type ? f.l2 + f.l3 + f.l4 : 0, "hdr_len");
	return fake_stop(fe);
}

static int
wish_of_the_application_arrives(const void *arg)
{
	const struct to_guest *row = arg;

	return check_wish(row, GUEST_OFFLOADS, row->gso_type);
}

/* Whoever takes no segments of a kind gets the packet whole, whatever else it takes. */
static int
segments_are_asked_of_those_who_negotiated_them(void)
{
	static const unsigned int features[] = {
		[TSO4] = VIRTIO_NET_F_GUEST_TSO4, [TSO6] = VIRTIO_NET_F_GUEST_TSO6,
		[UFO] = VIRTIO_NET_F_GUEST_UFO,
	};

	for (unsigned int i = 0; i < RTE_DIM(to_guest); i++) {
		const struct to_guest *row = &to_guest[i];
		uint64_t own = FE_BIT(features[row->gso_type]);

		if (row->gso_type == 0)
			continue;
		TEST_ASSERT_SUCCESS(check_wish(row, GUEST_OFFLOADS & ~own, 0), "%s: all others",
			row->name);
		TEST_ASSERT_SUCCESS(check_wish(row, FE_BIT(VIRTIO_NET_F_GUEST_CSUM) | own,
			row->gso_type), "%s: no other", row->name);
	}
	return TEST_SUCCESS;
}

/* Drivers offer buffers with whatever an earlier packet has left in them. */
static int
header_of_an_earlier_packet_does_not_stay(const void *arg)
{
	const bool mergeable = *(const bool *)arg;
	struct fake *fe = fake_start(.mergeable = mergeable, .legacy = !mergeable);
	const fake_net_hdr plain = { .num_buffers = 1 };
	unsigned int len;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	len = fake_header_len(fe);
	for (unsigned int bit = 0; bit < 8 * len; bit++) {
		struct fake_vq *rx = &fe->vqs[0];
		const struct fake_slot *slot = &rx->slots[rx->free_head];
		struct rte_mbuf *m = fake_mbuf(64, bit, 0);
		fake_net_hdr left = plain, got;
		uint8_t pkt[256];

		((uint8_t *)&left)[bit / 8] ^= 1 << bit % 8;
		TEST_ASSERT_EQUAL(fake_rx_fill(rx, 1, 256, NULL), 1, "a buffer");
		TEST_ASSERT(fake_write_guest(fe, slot->gpa, &left, len), "bit %u", bit);
		TEST_ASSERT_EQUAL(fake_enqueue_burst(fe->vid, 0, &m, 1), 1, "bit %u", bit);
		rte_pktmbuf_free(m);
		TEST_ASSERT_EQUAL(fake_rx_take(rx, &got, pkt, sizeof(pkt)), 64, "bit %u", bit);
		TEST_ASSERT_BUFFERS_ARE_EQUAL(&got, &plain, len, "bit %u", bit);
	}
	return fake_stop(fe);
}

static const bool is_long = true, is_short = false;

/** Send a packet whose checksum is nonsense; it arrives with what was asked for. */
static int
arrives_mended(const struct to_guest *row, uint64_t ol_flags)
{
	struct fake *fe = fake_start(.mergeable = true, .features = GUEST_OFFLOADS);
	struct frame f = make_frame(row->kind, 100), spoiled = f;
	struct rte_ipv4_hdr ip;
	struct rte_mbuf *m;
	uint8_t got[2048];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	spoiled.bytes[checksum_at(&f, row->kind.proto)] ^= 0xff;
	if (ol_flags & RTE_MBUF_F_TX_IP_CKSUM) {
		memcpy(&ip, f.bytes + f.l2, sizeof(ip));
		ip.hdr_checksum = 0;
		ip.hdr_checksum = rte_ipv4_cksum(&ip);
		memcpy(f.bytes + f.l2, &ip, sizeof(ip));
	}
	m = mbuf_of(&spoiled, ol_flags);
	fake_rx_fill(&fe->vqs[0], 1, 2048, NULL);
	TEST_ASSERT_EQUAL(fake_enqueue_burst(fe->vid, 0, &m, 1), 1, "send");
	rte_pktmbuf_free(m);
	TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, got, sizeof(got)), f.len, "it arrives");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(got, f.bytes, f.len, "%s", row->name);
	return fake_stop(fe);
}

/*
 * The guest expects the sum of the pseudo header where its checksum shall be
 * (virtio 1.2, 5.1.6.4.1), whatever else it is asked for; an application that sets
 * a flag has not written it.
 */
static int
pseudo_header_checksum_is_made_here(void)
{
	for (unsigned int i = 0; i < RTE_DIM(to_guest); i++) {
		const struct to_guest *row = &to_guest[i];

		if (row->flags == 0 || row->kind.proto == IPPROTO_SCTP)
			continue;
		TEST_ASSERT_SUCCESS(arrives_mended(row, row->ol_flags), "%s", row->name);
		if (!row->kind.ip6)
			TEST_ASSERT_SUCCESS(arrives_mended(row,
				row->ol_flags | RTE_MBUF_F_TX_IP_CKSUM), "%s and IP", row->name);
	}
	return TEST_SUCCESS;
}

/* The header has no bit for it, so the library fills it in. */
static int
ip_checksum_is_made_here(void)
{
	struct fake *fe = fake_start(.mergeable = true,
		.features = GUEST_OFFLOADS);
	struct frame f = make_frame((struct kind){ .proto = IPPROTO_TCP }, 100);
	struct rte_ipv4_hdr ip;
	uint8_t got[2048];
	struct rte_mbuf *m;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	m = mbuf_of(&f, RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4 |
		RTE_MBUF_F_TX_TCP_CKSUM);
	fake_rx_fill(&fe->vqs[0], 1, 2048, NULL);
	TEST_ASSERT_EQUAL(fake_enqueue_burst(fe->vid, 0, &m, 1), 1, "send");
	rte_pktmbuf_free(m);
	TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, got, sizeof(got)),
		f.len, "it arrives");
	memcpy(&ip, got + f.l2, sizeof(ip));
	TEST_ASSERT_EQUAL(rte_raw_cksum(&ip, sizeof(ip)), 0xffff, "right");
	return fake_stop(fe);
}

/** Take back buffers that a frame did not need, by filling them. */
static void
drain(struct fake_vq *rx)
{
	uint8_t got[2048];
	struct rte_mbuf *m = fake_mbuf(1, 0, 0);

	while (fake_enqueue_burst(rx->fe->vid, rx->index, &m, 1) == 1)
		fake_rx_take(rx, NULL, got, sizeof(got));
	rte_pktmbuf_free(m);
}

/** CRC32c, bit by bit, with the polynomial reflected (RFC 9260, appendix A). */
static uint32_t
crc32c(const uint8_t *bytes, size_t len)
{
	uint32_t crc = UINT32_MAX;

	while (len-- > 0) {
		crc ^= *bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

/** Is the checksum of the frame complete, as far as a receiver can tell? */
static bool
checksum_is_complete(const struct frame *f, struct kind k, const uint8_t *got)
{
	const uint8_t *l4 = got + f->l2 + f->l3;
	uint16_t len = f->len - f->l2 - f->l3;
	uint8_t copy[2048];
	uint32_t sum, sctp;

	memcpy(copy, l4, len);
	if (k.proto == IPPROTO_SCTP) {
		memcpy(&sctp, copy + 8, sizeof(sctp));
		memset(copy + 8, 0, sizeof(sctp));
		return rte_le_to_cpu_32(sctp) == crc32c(copy, len);
	}
	sum = pseudo_checksum(f, k.ip6) + rte_raw_cksum(copy, len);
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

/** A frame as a chain of segments of seg bytes each; 0: one segment. */
static struct rte_mbuf *
mbufs_of(const struct frame *f, uint64_t ol_flags, uint16_t seg)
{
	struct rte_mbuf *first = mbuf_of(f, ol_flags), *m;

	if (seg == 0 || first == NULL)
		return first;
	rte_pktmbuf_trim(first, f->len - seg);
	for (uint16_t at = seg; at < f->len; at += seg) {
		uint16_t n = RTE_MIN(seg, f->len - at);

		m = rte_pktmbuf_alloc(fake_pool());
		memcpy(rte_pktmbuf_append(m, n), f->bytes + at, n);
		rte_pktmbuf_chain(first, m);
	}
	return first;
}

/** Send a frame to the guest: what arrived is whole, says nothing, and its sum is right. */
static int
check_completion(struct fake *fe, const struct to_guest *row, const struct frame *f,
		uint16_t seg, uint32_t room)
{
	struct frame before = *f;
	uint8_t got[2048], sent[2048];
	struct rte_mbuf *m;
	fake_net_hdr h;

	/* what stands in the field may be anything */
	before.bytes[f->l2 + f->l3 + (row->kind.proto == IPPROTO_TCP ? 16 : 6)] ^= 0x5a;
	m = mbufs_of(&before, row->ol_flags, seg);
	TEST_ASSERT_NOT_NULL(m, "mbufs");
	fake_rx_fill(&fe->vqs[0], f->len / room + 2, room, NULL);
	TEST_ASSERT_EQUAL(fake_enqueue_burst(fe->vid, 0, &m, 1), 1, "send");
	fake_mbuf_read(m, sent, sizeof(sent));
	rte_pktmbuf_free(m);
	TEST_ASSERT_BUFFERS_ARE_EQUAL(sent, before.bytes, f->len,
		"the application's packet stays as it is");
	TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], &h, got, sizeof(got)), f->len, "it arrives");
	TEST_ASSERT_EQUAL(h.hdr.flags | h.hdr.gso_type, 0, "the header says nothing");
	TEST_ASSERT(checksum_is_complete(f, row->kind, got), "the sum of %s", row->name);
	return 0;
}

/*
 * A guest that takes no open checksums has to believe that one is complete.  The
 * sum is made over the application's packet and written to the guest's copy only: the
 * same packet may be on its way to a guest that takes open ones.
 */
static int
checksum_is_completed_for_a_guest_without_guest_csum(void)
{
	static const uint16_t segs[] = { 0, 700, 61, 17 };
	static const uint32_t rooms[] = { 2048, 300, 61, 33 };
	struct fake *fe = fake_start(.mergeable = true, .ring_size = 512);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < RTE_DIM(to_guest); i++)
		for (unsigned int len = 1000; len < 1002; len++)
			for (unsigned int n = 0; n < RTE_DIM(segs) * RTE_DIM(rooms); n++) {
				struct frame f = make_frame(to_guest[i].kind, len);
				uint16_t seg = segs[n % RTE_DIM(segs)];
				uint32_t room = rooms[n / RTE_DIM(segs)];

				if (to_guest[i].flags != 0 && check_completion(fe, &to_guest[i], &f,
						seg, room) != 0) {
					printf("%s, %u bytes, segments of %u, buffers of %u\n",
						to_guest[i].name, f.len, seg, room);
					return TEST_FAILED;
				}
				drain(&fe->vqs[0]);
			}
	return fake_stop(fe);
}

/* A short frame is filled up to 60 bytes, which are no part of the checksum. */
static int
padding_is_not_summed(void)
{
	const struct kind k = { .proto = IPPROTO_UDP };
	struct fake *fe = fake_start(.mergeable = true);
	struct frame f = make_frame(k, 3);
	uint16_t len = f.len;
	uint8_t got[2048];
	struct rte_mbuf *m;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	memset(f.bytes + len, 0xee, 60 - len);
	f.len = 60;
	m = mbuf_of(&f, RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4);
	fake_rx_fill(&fe->vqs[0], 1, 2048, NULL);
	TEST_ASSERT_EQUAL(fake_enqueue_burst(fe->vid, 0, &m, 1), 1, "send");
	rte_pktmbuf_free(m);
	TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, got, sizeof(got)), 60, "it arrives");
	f.len = len;
	TEST_ASSERT(checksum_is_complete(&f, k, got), "without the padding");
	return fake_stop(fe);
}

/* What an application says of headers may be wrong; nothing is read or written outside. */
static int
wrong_lengths_of_headers_do_no_harm(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct frame f = make_frame((struct kind){ .proto = IPPROTO_TCP }, 10);
	uint8_t got[2048];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int l2 = 0; l2 < 128; l2++)
		for (unsigned int l3 = 0; l3 < 512; l3 += 19)
			for (unsigned int i = 1; i < RTE_DIM(to_guest); i++) {
				struct rte_mbuf *m = mbufs_of(&f, to_guest[i].ol_flags,
					i % 2 * 30);

				m->l2_len = l2;
				m->l3_len = l3;
				fake_rx_fill(&fe->vqs[0], 1, f.len + 12, NULL);
				TEST_ASSERT_EQUAL(fake_enqueue_burst(fe->vid, 0, &m, 1), 1,
					"send");
				rte_pktmbuf_free(m);
				TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, got,
					sizeof(got)), f.len, "it arrives");
			}
	return fake_stop(fe);
}

/* From one guest to another, untouched: the header comes out as it went in. */
static int
wish_passes_from_guest_to_guest(const void *arg)
{
	const struct from_guest *row = arg;
	struct fake *a = fake_start(.mergeable = true, .features = HOST_OFFLOADS);
	struct fake *b = fake_start(.mergeable = true, .features = GUEST_OFFLOADS);
	struct frame f = make_frame(row->kind, 1900);
	fake_net_hdr out = gso_header(&f, row->kind.proto, row->gso_type & ~ECN,
		row->gso_type ? 1000 : 0), in;
	struct rte_mbuf *m;
	uint8_t got[2048];

	TEST_ASSERT(a != NULL && b != NULL, "two devices");
	out.hdr.flags = row->flags;
	m = carry_to_host(a, &out, f.bytes, f.len);
	TEST_ASSERT_NOT_NULL(m, "out");
	fake_rx_fill(&b->vqs[0], 2, 2048, NULL);
	TEST_ASSERT_EQUAL(fake_enqueue_burst(b->vid, 0, &m, 1), 1, "in");
	rte_pktmbuf_free(m);
	TEST_ASSERT_EQUAL(fake_rx_take(&b->vqs[0], &in, got, sizeof(got)), f.len,
		"in");
	if (row->gso_type == 0)
		TEST_ASSERT_BUFFERS_ARE_EQUAL(got, f.bytes, f.len, "unchanged");
	if (row->flags & NEEDS_CSUM) {
		TEST_ASSERT_EQUAL(in.hdr.flags, NEEDS_CSUM, "flags");
		TEST_ASSERT_EQUAL(in.hdr.csum_start, out.hdr.csum_start, "start");
		TEST_ASSERT_EQUAL(in.hdr.csum_offset, out.hdr.csum_offset,
			"offset");
	}
	TEST_ASSERT_EQUAL(in.hdr.gso_type, out.hdr.gso_type, "gso_type");
	TEST_ASSERT_EQUAL(in.hdr.gso_size, out.hdr.gso_size, "gso_size");
	return fake_stop(a) || fake_stop(b) ? TEST_FAILED : TEST_SUCCESS;
}

/* ---- the suite ---- */

static const struct test_case fixed_cases[] = {
	TEST_CASE(header_means_nothing_without_features),
	TEST_CASE(checksum_of_unknown_protocol_is_made_here),
	TEST_CASE(checksum_behind_long_options_is_made_here),
	TEST_CASE(short_tcp_header_is_no_offload),
	TEST_CASE(length_fields_inside_the_packet_lie),
	TEST_CASE(random_headers_do_no_harm),
	TEST_CASE(header_changed_during_the_burst),
	TEST_CASE(segments_are_asked_of_those_who_negotiated_them),
	TEST_CASE_WITH(header_of_an_earlier_packet_does_not_stay,
		"header_of_an_earlier_packet_does_not_stay", &is_long),
	TEST_CASE_WITH(header_of_an_earlier_packet_does_not_stay,
		"short_header_of_an_earlier_packet_does_not_stay", &is_short),
	TEST_CASE(pseudo_header_checksum_is_made_here),
	TEST_CASE(ip_checksum_is_made_here),
	TEST_CASE(checksum_is_completed_for_a_guest_without_guest_csum),
	TEST_CASE(padding_is_not_summed),
	TEST_CASE(wrong_lengths_of_headers_do_no_harm),
};

#define NB_CASES (2 * RTE_DIM(from_guest) + RTE_DIM(to_guest) + \
	RTE_DIM(wrong_headers) + RTE_DIM(fixed_cases))

static struct test_case cases[NB_CASES];
static char names[NB_CASES][64];
static unsigned int nb_cases;

static void
add_case(const char *before, const char *name, int (*run)(const void *),
		const void *arg)
{
	snprintf(names[nb_cases], sizeof(names[0]), "%s%s", before, name);
	cases[nb_cases] = (struct test_case)TEST_CASE_WITH(run, names[nb_cases],
		arg);
	nb_cases++;
}

static int
run_suite(const char *name, int (*setup)(void), void (*teardown)(void))
{
	struct test_suite suite = {
		.name = name,
		.setup = setup,
		.check = fake_check,
		.teardown = teardown,
		TEST_SUITE_CASES(cases),
	};

	nb_cases = 0;
	for (unsigned int i = 0; i < RTE_DIM(from_guest); i++) {
		add_case("from_guest_", from_guest[i].name,
			wish_of_the_guest_arrives, &from_guest[i]);
		add_case("guest_to_guest_", from_guest[i].name,
			wish_passes_from_guest_to_guest, &from_guest[i]);
	}
	for (unsigned int i = 0; i < RTE_DIM(to_guest); i++)
		add_case("to_guest_", to_guest[i].name,
			wish_of_the_application_arrives, &to_guest[i]);
	for (unsigned int i = 0; i < RTE_DIM(wrong_headers); i++)
		add_case("harmless_", wrong_headers[i].name,
			wrong_header_does_no_harm, &wrong_headers[i]);
	memcpy(&cases[nb_cases], fixed_cases, sizeof(fixed_cases));
	return test_suite_run(&suite);
}

static int
test_vhost_offload(void)
{
	return run_suite("vhost offload", fake_setup, fake_teardown);
}

static int
test_vhost_offload_packed(void)
{
	return run_suite("vhost offload, packed rings", fake_setup_packed, fake_teardown);
}

static int
test_vhost_async_offload(void)
{
	return run_suite("vhost offload, asynchronous", fake_setup_async, fake_teardown_async);
}

static int
test_vhost_async_offload_packed(void)
{
	return run_suite("vhost offload, asynchronous, packed rings", fake_setup_async_packed,
		fake_teardown_async);
}

REGISTER_TEST_COMMAND(vhost_offload_autotest, test_vhost_offload);
REGISTER_TEST_COMMAND(vhost_offload_packed_autotest, test_vhost_offload_packed);
REGISTER_TEST_COMMAND(vhost_async_offload_autotest, test_vhost_async_offload);
REGISTER_TEST_COMMAND(vhost_async_offload_packed_autotest, test_vhost_async_offload_packed);
