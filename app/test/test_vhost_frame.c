/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Headers of frames from the guest, looked for in two ways: in few steps, for the
 * common kinds, and by rte_net_get_ptype() for all.  Whatever the frame and whatever the
 * virtio-net header in front of it, what becomes of the mbuf must be the same.
 */

#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_hexdump.h>
#include <rte_mbuf.h>

#include "net_frame.h"
#include "net_header.h"
#include "test.h"
#include "virtio_net.h"

#define BIT(feature) (1ULL << (feature))
#define ALL_FEATURES (BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | \
	BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_UFO))

/** What the guest sends, and into which segments it is copied. */
struct sample {
	struct virtio_net_hdr hdr;
	uint16_t len;
	uint16_t cuts[2];	/**< bytes of the first and the second segment, at most */
	uint16_t l3, l4;	/**< where these headers begin */
	uint8_t bytes[256];
};

/* ---- samples ---- */

static void
put(struct sample *s, const void *bytes, unsigned int len)
{
	memcpy(s->bytes + s->len, bytes, len);
	s->len += len;
}

static void
put_ether_type(struct sample *s, uint16_t type)
{
	type = rte_cpu_to_be_16(type);
	put(s, &type, sizeof(type));
}

static void
put_tag(struct sample *s, uint16_t type)
{
	put_ether_type(s, type);
	put_ether_type(s, 5);
}

/** An IPv6 extension header of 8 bytes; of a fragment as well as any other. */
static void
put_extension(struct sample *s, uint8_t next)
{
	put(s, (const uint8_t[8]){ next }, 8);
}

static void
put_ip(struct sample *s, bool ipv6, uint8_t proto)
{
	s->l3 = s->len;
	if (ipv6)
		put(s, (const uint8_t[40]){ 0x60, 0, 0, 0, 0, 100, proto, 64 }, 40);
	else
		put(s, (const uint8_t[20]){ 0x45, 0, 0, 100, 0, 0, 0x40, 0, 64, proto }, 20);
}

/** The L4 header and some bytes behind it. */
static void
put_l4(struct sample *s, unsigned int tcp_words)
{
	uint8_t bytes[60];

	memset(bytes, 0x33, sizeof(bytes));
	bytes[12] = tcp_words << 4;
	s->l4 = s->len;
	put(s, bytes, sizeof(bytes));
}

/** The header as it is right for the sample. */
static struct virtio_net_hdr
right_header(const struct sample *s, bool ipv6, uint8_t proto, bool gso)
{
	bool tcp = proto == IPPROTO_TCP;
	struct virtio_net_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = s->l4,
		.csum_offset = tcp ? 16 : proto == IPPROTO_SCTP ? 8 : 6,
	};

	if (gso) {
		hdr.gso_type = !tcp ? VIRTIO_NET_HDR_GSO_UDP :
			ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		hdr.gso_size = 1000;
		hdr.hdr_len = s->l4 + (tcp ? s->bytes[s->l4 + 12] >> 4 << 2 : 8);
	}
	return hdr;
}

#define COMMON_KINDS 16	/**< with a VLAN or without, IPv6 or 4, UDP or TCP, GSO or not */

static struct sample
common_sample(unsigned int number)
{
	const bool vlan = number & 8, ipv6 = number & 4, gso = number & 1;
	const uint8_t proto = number & 2 ? IPPROTO_UDP : IPPROTO_TCP;
	struct sample s = { .len = 12, .cuts = { UINT16_MAX, UINT16_MAX } };

	if (vlan)
		put_tag(&s, RTE_ETHER_TYPE_VLAN);
	put_ether_type(&s, ipv6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	put_ip(&s, ipv6, proto);
	put_l4(&s, 5);
	s.hdr = right_header(&s, ipv6, proto, gso);
	return s;
}

/* ---- mbufs ---- */

#define MAX_SEGMENTS 3

/** Segments without a byte of memory beyond their data: AddressSanitizer sees who reads on. */
struct packet {
	struct rte_mbuf segments[MAX_SEGMENTS];
};

static void
packet_make(struct packet *packet, const struct sample *s)
{
	struct rte_mbuf *first = packet->segments;
	uint16_t at = 0;

	memset(packet, 0, sizeof(*packet));
	for (unsigned int i = 0; i < MAX_SEGMENTS && (i == 0 || at < s->len); i++) {
		struct rte_mbuf *m = &packet->segments[i];
		uint16_t left = s->len - at;

		m->data_len = i + 1 < MAX_SEGMENTS ? RTE_MIN(left, s->cuts[i]) : left;
		m->buf_len = m->data_len;
		m->buf_addr = malloc(m->data_len);
		memcpy(m->buf_addr, s->bytes + at, m->data_len);
		at += m->data_len;
		first->nb_segs++;
		if (i > 0)
			m[-1].next = m;
	}
	first->pkt_len = s->len;
}

static void
packet_free(struct packet *packet)
{
	for (unsigned int i = 0; i < MAX_SEGMENTS; i++)
		free(packet->segments[i].buf_addr);
}

static bool
packets_are_equal(const struct packet *a, const struct packet *b)
{
	const struct rte_mbuf *x = a->segments, *y = b->segments;

	if (x->ol_flags != y->ol_flags || x->packet_type != y->packet_type ||
			x->tx_offload != y->tx_offload)
		return false;
	for (; x != NULL && y != NULL; x = x->next, y = y->next)
		if (x->data_len != y->data_len || memcmp(x->buf_addr, y->buf_addr, x->data_len) != 0)
			return false;
	return x == y;
}

static void
show(const char *way, const struct rte_mbuf *m)
{
	printf("%s: flags 0x%" PRIx64 ", type 0x%x, lengths 0x%" PRIx64 "\n", way,
		m->ol_flags, m->packet_type, m->tx_offload);
}

/** Whether both ways say the same, to an application of either kind. */
static bool
is_same(const struct sample *s, uint64_t features)
{
	static const uint32_t flags[] = { 0, NET_COMPLIANT_OL_FLAGS };
	struct packet quick, full;
	bool same = true;

	for (unsigned int i = 0; i < RTE_DIM(flags); i++) {
		const struct virtio_net net = { .features = features, .flags = flags[i] };

		packet_make(&quick, s);
		packet_make(&full, s);
		vhost_net_header_from_guest(&net, &s->hdr, quick.segments);
		vhost_net_header_from_guest_of_any_kind(&net, &s->hdr, full.segments);
		if (!packets_are_equal(&quick, &full)) {
			same = false;
			show("quick", quick.segments);
			show("full", full.segments);
			rte_hexdump(stdout, "header", &s->hdr, sizeof(s->hdr));
			rte_hexdump(stdout, "frame", s->bytes, s->len);
		}
		packet_free(&quick);
		packet_free(&full);
	}
	return same;
}

static bool
is_common(const struct sample *s)
{
	struct net_frame frame;
	struct packet packet;
	bool common;

	packet_make(&packet, s);
	common = net_frame_is_common(packet.segments, &frame);
	packet_free(&packet);
	return common;
}

/* ---- cases ---- */

/** Otherwise all else would be the same for no reason. */
static int
test_common_frames_are_known(void)
{
	for (unsigned int i = 0; i < COMMON_KINDS; i++) {
		struct sample s = common_sample(i);

		for (unsigned int words = 5; words < 16; words++) {
			s.bytes[s.l4 + 12] = words << 4;
			s.len = s.l4 + (i & 2 ? UDP_LEN : 4 * words);
			TEST_ASSERT(is_common(&s), "kind %u, %u words", i, words);
			TEST_ASSERT(is_same(&s, ALL_FEATURES), "kind %u, %u words", i, words);
			s.len--;
			TEST_ASSERT(!is_common(&s), "kind %u, %u words, cut off", i, words);
		}
	}
	return 0;
}

static int
test_any_byte_of_the_frame_is_any(void)
{
	for (unsigned int i = 0; i < COMMON_KINDS; i += 3)
		for (unsigned int at = 0; at < common_sample(i).l4 + sizeof(struct rte_tcp_hdr); at++)
			for (unsigned int value = 0; value < 256; value++) {
				struct sample s = common_sample(i);

				s.bytes[at] = value;
				TEST_ASSERT(is_same(&s, ALL_FEATURES), "kind %u, byte %u is 0x%x",
					i, at, value);
			}
	return 0;
}

static int
test_frame_ends_and_is_cut_anywhere(void)
{
	for (unsigned int i = 0; i < COMMON_KINDS; i++) {
		const struct sample s = common_sample(i);

		for (unsigned int len = 0; len < s.len; len++)
			for (unsigned int cut = 0; cut <= len; cut++) {
				struct sample cut_off = s;

				cut_off.len = len;
				cut_off.cuts[0] = cut;
				cut_off.cuts[1] = 7;
				TEST_ASSERT(is_same(&cut_off, ALL_FEATURES),
					"kind %u, %u bytes, cut behind %u", i, len, cut);
			}
	}
	return 0;
}

/** The sender's address reads like the part of an IP header that tells TCP and UDP from the rest. */
static int
test_address_looks_like_a_header(void)
{
	for (unsigned int i = 0; i < COMMON_KINDS / 2; i++) {
		struct sample s = common_sample(i);

		if (i & 4) {
			s.bytes[8] = s.bytes[s.l3 + 6];
			s.bytes[s.l3 + 6] = IPPROTO_FRAGMENT;
		} else {
			memcpy(s.bytes + 8, s.bytes + s.l3 + 6, 4);
			s.bytes[s.l3 + 6] = RTE_IPV4_HDR_MF_FLAG >> 8;
		}
		TEST_ASSERT(!is_common(&s), "kind %u, a fragment", i);
		TEST_ASSERT(is_same(&s, ALL_FEATURES), "kind %u, a fragment", i);
	}
	return 0;
}

/** Some releases of rte_net_get_ptype() know tunnels by their ports. */
static int
test_any_udp_port(void)
{
	for (unsigned int port = 0; port < 2 * 65536; port++) {
		struct sample s = common_sample(2);
		rte_be16_t value = rte_cpu_to_be_16(port / 2);

		memcpy(s.bytes + s.l4 + port % 2 * sizeof(value), &value, sizeof(value));
		TEST_ASSERT(is_same(&s, ALL_FEATURES), "%s port %u",
			port % 2 ? "destination" : "source", port / 2);
	}
	return 0;
}

/** In front of a right frame: all offsets within it, and some of all numbers. */
static int
test_header_lies(void)
{
	for (unsigned int i = 0; i < COMMON_KINDS; i++)
		for (unsigned int at = 0; at < sizeof(struct virtio_net_hdr); at += 2)
			for (unsigned int value = 0; value < 65536; value += value < 512 ? 1 : 61) {
				struct sample s = common_sample(i);
				uint16_t lie = value;

				memcpy((uint8_t *)&s.hdr + at, &lie, sizeof(lie));
				TEST_ASSERT(is_same(&s, ALL_FEATURES), "kind %u, 0x%x at %u",
					i, value, at);
			}
	return 0;
}

static int
test_any_features(void)
{
	static const uint8_t bits[] = { VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4,
		VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_UFO };

	for (unsigned int i = 0; i < COMMON_KINDS; i++)
		for (unsigned int set = 0; set < 1u << RTE_DIM(bits); set++) {
			struct sample s = common_sample(i);
			uint64_t features = 0;

			for (unsigned int bit = 0; bit < RTE_DIM(bits); bit++)
				if (set & 1u << bit)
					features |= BIT(bits[bit]);
			TEST_ASSERT(is_same(&s, features), "kind %u, features 0x%" PRIx64, i,
				features);
			s.hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
			TEST_ASSERT(is_same(&s, features), "kind %u, features 0x%" PRIx64 ", ECN",
				i, features);
		}
	return 0;
}

/* ---- random frames ---- */

static unsigned int
one_of(unsigned int *state, const uint16_t *list, unsigned int n)
{
	return list[(unsigned int)rand_r(state) % n];
}

/** True once in so many times. */
static bool
once_in(unsigned int *state, unsigned int n)
{
	return (unsigned int)rand_r(state) % n == 0;
}

/** L2 with any tags in any order, L3 of any length; the protocol that is left to put. */
static uint8_t
put_random_l3(struct sample *s, unsigned int *state, bool ipv6, uint8_t proto)
{
	static const uint16_t tags[] = { RTE_ETHER_TYPE_VLAN, RTE_ETHER_TYPE_QINQ };
	static const uint16_t extensions[] = { IPPROTO_HOPOPTS, IPPROTO_ROUTING,
		IPPROTO_FRAGMENT, IPPROTO_DSTOPTS, IPPROTO_NONE, IPPROTO_ESP };
	unsigned int ntags = once_in(state, 2) ? 0 : rand_r(state) % 4;

	while (ntags-- > 0)
		put_tag(s, one_of(state, tags, RTE_DIM(tags)));
	put_ether_type(s, ipv6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	put_ip(s, ipv6, proto);
	if (!ipv6 && once_in(state, 4)) {
		s->bytes[s->l3] = 0x40 | (rand_r(state) & 0xf);
		s->len = s->l3 + RTE_MAX(20, (s->bytes[s->l3] & 0xf) * 4);
	}
	if (!ipv6 && once_in(state, 4))
		s->bytes[s->l3 + 6 + rand_r(state) % 2] = rand_r(state);
	if (!ipv6 || !once_in(state, 4))
		return proto;
	s->bytes[s->l3 + 6] = one_of(state, extensions, RTE_DIM(extensions));
	while (once_in(state, 2) && s->len < 100)
		put_extension(s, one_of(state, extensions, RTE_DIM(extensions)));
	put_extension(s, proto);
	return proto;
}

/** Something that is wrong with a frame or with what is said of it. */
static void
spoil(struct sample *s, unsigned int *state)
{
	switch (rand_r(state) % 6) {
	case 0:
		s->bytes[rand_r(state) % s->len] = rand_r(state);
		break;
	case 1:
		((uint8_t *)&s->hdr)[(size_t)rand_r(state) % sizeof(s->hdr)] = rand_r(state);
		break;
	case 2:
		s->len = 1 + rand_r(state) % s->len;
		break;
	case 3:
		s->cuts[0] = rand_r(state) % s->len;
		s->cuts[1] = rand_r(state) % s->len;
		break;
	case 4:
		s->hdr.flags = rand_r(state) % 4;
		break;
	default:
		s->hdr.gso_type = rand_r(state) % 8;
		s->hdr.gso_size = rand_r(state) % 3;
		break;
	}
}

static struct sample
random_sample(unsigned int *state)
{
	static const uint16_t protos[] = { IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDP,
		IPPROTO_SCTP, IPPROTO_ICMP, IPPROTO_GRE, IPPROTO_IPIP, IPPROTO_IPV6 };
	static const uint16_t ports[] = { 53, RTE_GTPC_UDP_PORT, RTE_GTPU_UDP_PORT,
		RTE_VXLAN_DEFAULT_PORT, RTE_VXLAN_GPE_DEFAULT_PORT, RTE_GENEVE_DEFAULT_PORT,
		4500 };
	struct sample s = { .len = 12, .cuts = { UINT16_MAX, UINT16_MAX } };
	bool ipv6 = once_in(state, 2);
	uint8_t proto = put_random_l3(&s, state, ipv6, one_of(state, protos, RTE_DIM(protos)));
	rte_be16_t port = rte_cpu_to_be_16(one_of(state, ports, RTE_DIM(ports)));

	put_l4(&s, once_in(state, 4) ? rand_r(state) % 16 : 5 + rand_r(state) % 8);
	if (proto == IPPROTO_UDP)
		memcpy(s.bytes + s.l4 + rand_r(state) % 2 * sizeof(port), &port, sizeof(port));
	s.hdr = right_header(&s, ipv6, proto, once_in(state, 2));
	while (once_in(state, 2))
		spoil(&s, state);
	return s;
}

static int
test_random_frames(void)
{
	unsigned int state = test_param_u64("seed", rte_rdtsc() & 0xffffff);
	unsigned int common = 0;

	printf("seed=%u\n", state);
	for (unsigned int i = 0; i < 100000; i++) {
		unsigned int before = state;
		struct sample s = random_sample(&state);

		TEST_ASSERT(is_same(&s, ALL_FEATURES), "seed=%u", before);
		common += is_common(&s);
	}
	TEST_ASSERT(common > 10000, "%u common frames only", common);
	return 0;
}

static const struct test_case cases[] = {
	TEST_CASE(test_common_frames_are_known),
	TEST_CASE(test_any_byte_of_the_frame_is_any),
	TEST_CASE(test_frame_ends_and_is_cut_anywhere),
	TEST_CASE(test_address_looks_like_a_header),
	TEST_CASE(test_any_udp_port),
	TEST_CASE(test_header_lies),
	TEST_CASE(test_any_features),
	TEST_CASE(test_random_frames),
};

static int
test_vhost_frame(void)
{
	static const struct test_suite suite = {
		.name = "vhost frame", TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_frame_autotest, test_vhost_frame);
