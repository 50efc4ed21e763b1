/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Packets from the guest to the host and back, in every shape that a driver may
 * give its buffers, contents compared byte by byte.
 */

#include <stdlib.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "test.h"
#include "vhost_fake_backend.h"
#include "vhost_fake_frontend.h"

/* Jumbo frames, and the largest a guest sends with segmentation offload. */
#define JUMBO 9018
#define HUGE_FRAME 65549

static const unsigned int packet_sizes[] = {
	1, 2, 14, 59, 60, 64, 65, 127, 128, 255, 256, 257, 511, 512, 1023, 1024,
	1514, 1518, 2000, 2034
};

/* ---- the negotiated variants, each with every size and shape ---- */

static const bool no = false, yes = true;

#define SPLIT 1
#define PACKED 2
#define BOTH (SPLIT | PACKED)

static const struct {
	const char *name;
	unsigned int formats;
	struct fake_config cfg;
} variants[] = {
	{ "plain", BOTH, { .mergeable = false } },
	{ "mergeable", BOTH, { .mergeable = true } },
	{ "legacy_header", SPLIT, { .legacy = true } },
	{ "legacy_mergeable", SPLIT, { .legacy = true, .mergeable = true } },
	{ "event_idx", BOTH, { .event_idx = true } },
	{ "mergeable_event_idx", BOTH, { .mergeable = true, .event_idx = true } },
	{ "in_order", BOTH, { .in_order = true } },
	{ "mergeable_in_order", BOTH, { .mergeable = true, .in_order = true } },
	{ "in_order_event_idx", BOTH, { .in_order = true, .event_idx = true } },
	{ "no_protocol_features", BOTH, { .no_protocol_features = true } },
	{ "client", BOTH, { .client = true, .mergeable = true } },
	{ "two_pairs", BOTH, { .queues = 2, .mergeable = true } },
	{ "three_regions", BOTH, { .regions = 3, .mergeable = true } },
	{ "odd_ring", PACKED, { .ring_size = 509 } },
	{ "mergeable_odd_ring", PACKED, { .ring_size = 509, .mergeable = true } },
};

static const struct fake_shape shapes[] = {
	{ .header = 0 },
	{ .header = 12 },
	{ .header = 10 },
	{ .header = 12, .header_seg = 1 },
	{ .header = 12, .header_seg = 5 },
	{ .header = 40 },
	{ .header = 13, .seg = 100 },
	{ .seg = 64 },
	{ .seg = 7 },
};

static struct fake_config
sized(struct fake_config cfg)
{
	if (cfg.ring_size == 0)
		cfg.ring_size = 512;	/* a packet in very small pieces */
	return cfg;
}

static int
check_all_sizes(const void *arg)
{
	struct fake_config cfg = sized(*(const struct fake_config *)arg);
	struct fake *fe = fake_start_config(&cfg);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < RTE_DIM(packet_sizes); i++) {
		unsigned int pair = i % fe->cfg.queues;

		TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, packet_sizes[i]),
			packet_sizes[i], "pair %u", pair);
	}
	return fake_stop(fe);
}

static int
check_all_shapes(const void *arg)
{
	struct fake_config cfg = sized(*(const struct fake_config *)arg);
	struct fake *fe = fake_start_config(&cfg);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < 2 * RTE_DIM(shapes); i++) {
		struct fake_shape shape = shapes[i / 2];

		shape.indirect = i & 1;
		for (unsigned int len = 2; len < 700; len += 31) {
			TEST_ASSERT_EQUAL(fake_to_host(fe, 0, len, &shape), len,
				"shape %u, indirect %u", i / 2, i & 1);
			TEST_ASSERT_EQUAL(fake_to_guest(fe, 0, len, &shape, 0),
				len, "shape %u, indirect %u", i / 2, i & 1);
		}
	}
	return fake_stop(fe);
}

static int
one_byte_descriptors_make_a_packet(void)
{
	struct fake_shape shape = { .header = 12, .header_seg = 1, .seg = 1 };
	struct fake *fe = fake_start(.mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (int indirect = 0; indirect < 2; indirect++) {
		shape.indirect = indirect;
		TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 100, &shape), 100,
			"to the host, indirect %d", indirect);
		TEST_ASSERT_EQUAL(fake_to_guest(fe, 0, 100, &shape, 0), 100,
			"to the guest, indirect %d", indirect);
	}
	return fake_stop(fe);
}

/** Short chains and tables are taken in another way than long ones. */
static int
data_in_any_number_of_descriptors(void)
{
	struct fake *fe = fake_start(.mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int n = 1; n <= 40; n++)
		for (int indirect = 0; indirect < 2; indirect++) {
			const struct fake_shape shape = { .header = 12, .indirect = indirect,
				.seg = (1000 + n - 1) / n };

			TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 1000, &shape), 1000,
				"in %u behind the header, indirect %d", n, indirect);
		}
	return fake_stop(fe);
}

static int
small_buffers_are_merged(void)
{
	static const unsigned int buf_lens[] = { 13, 64, 100, 256, 1000 };
	struct fake *fe = fake_start(.mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < RTE_DIM(buf_lens); i++)
		for (unsigned int len = 60; len < 1600; len += 333)
			TEST_ASSERT_EQUAL(fake_to_guest(fe, 0, len, NULL,
				buf_lens[i]), len, "in buffers of %u",
				buf_lens[i]);
	return fake_stop(fe);
}

static int
num_buffers_is_one_without_merging(void)
{
	struct fake *fe = fake_start(.mergeable = false);
	fake_net_hdr hdr = { 0 };
	uint8_t pkt[2048];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	fake_rx_fill(&fe->vqs[0], 1, 2048, NULL);
	TEST_ASSERT_EQUAL(fake_backend_send(fe, 0, 64, 1), 1, "one buffer");
	TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], &hdr, pkt, sizeof(pkt)), 64,
		"arrives");
	TEST_ASSERT_EQUAL(hdr.num_buffers, 1, "virtio 1.2, 5.1.6.4.1");
	return fake_stop(fe);
}

static int
too_small_buffer_without_merging_is_no_overrun(void)
{
	struct fake *fe = fake_start(.mergeable = false);
	uint8_t pkt[2048];
	int len;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	fake_rx_fill(&fe->vqs[0], 1, 100, NULL);
	fake_backend_send(fe, 0, 1000, 1);
	/* What is refused stays with the caller, what is cut is no longer than this. */
	len = fake_rx_take(&fe->vqs[0], NULL, pkt, sizeof(pkt));
	TEST_ASSERT(len <= 88, "%d bytes in a buffer of 100", len);
	fake_rx_fill(&fe->vqs[0], 1, 1012, NULL);
	return fake_stop(fe);
}

/* ---- rings ---- */

static int
ring_turns_over(const void *arg)
{
	unsigned int size = *(const unsigned int *)arg;
	unsigned int rounds = 2 * size + 3;
	struct fake *fe = fake_start(.ring_size = size, .buf_size = 128,
		.mergeable = size > 1);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < rounds; i++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 60), 60,
			"round %u of %u", i, rounds);
	return fake_stop(fe);
}

static const unsigned int ring_sizes[] = { 1, 2, 4, 256, 1024, 32768 };
static const unsigned int odd_ring_sizes[] = { 3, 5, 250, 1023, 32767 };

/** Send n packets towards the guest in bursts; how many the library took. */
static unsigned int
burst_to_guest(struct fake *fe, unsigned int n, size_t len)
{
	struct rte_mbuf *pkts[64];
	unsigned int sent = 0;

	for (unsigned int i = 0; i < n; i++)
		pkts[i] = fake_mbuf(len, i, 0);
	while (sent < n) {
		unsigned int now = fake_enqueue_burst(fe->vid, 0,
			pkts + sent, n - sent);

		if (now == 0)
			break;
		sent += now;
	}
	rte_pktmbuf_free_bulk(pkts, n);
	return sent;
}

static int
full_ring_takes_what_fits(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	uint8_t pkt[2048];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(burst_to_guest(fe, 8, 64), 0, "no buffers yet");
	for (unsigned int room = 1; room <= 64; room++) {
		fake_rx_fill(&fe->vqs[0], room, 256, NULL);
		TEST_ASSERT_EQUAL(burst_to_guest(fe, 64, 64), room, "fits");
		for (unsigned int i = 0; i < room; i++) {
			TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, pkt,
				sizeof(pkt)), 64, "packet %u", i);
			TEST_ASSERT(fake_pattern_matches(pkt, 64, i),
				"in the order of sending");
		}
	}
	return fake_stop(fe);
}

/** Eight packets at once into buffers of this shape. */
static int
burst_into_shape(struct fake *fe, const struct fake_shape *shape, size_t len)
{
	uint8_t pkt[2048];

	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 8, len + 12, shape), 8,
		"room");
	TEST_ASSERT_EQUAL(burst_to_guest(fe, 8, len), 8, "%zu bytes", len);
	for (unsigned int i = 0; i < 8; i++) {
		TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, pkt,
			sizeof(pkt)), len, "packet %u", i);
		TEST_ASSERT(fake_pattern_matches(pkt, len, i), "packet %u", i);
	}
	return 0;
}

static int
bursts_fill_buffers_of_every_shape(const void *arg)
{
	struct fake_config cfg = { .mergeable = *(const bool *)arg,
		.ring_size = 1024 };
	struct fake *fe = fake_start_config(&cfg);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < 2 * RTE_DIM(shapes); i++) {
		struct fake_shape shape = shapes[i / 2];

		shape.indirect = i & 1;
		for (unsigned int len = 2; len < 700; len += 49)
			if (burst_into_shape(fe, &shape, len) != 0) {
				printf("shape %u, indirect %u\n", i / 2, i & 1);
				return TEST_FAILED;
			}
	}
	return fake_stop(fe);
}

/** Each buffer of a burst is in another number of pieces, and of the next burst again. */
static int
buffers_of_a_burst_differ_in_pieces(void)
{
	struct fake *fe = fake_start(.ring_size = 1024);
	uint8_t pkt[2048];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int burst = 0; burst < 64; burst++) {
		for (unsigned int i = 0; i < 8; i++) {
			unsigned int n = 1 + (burst * (i + 1) + i) % 7;
			const struct fake_shape shape = { .header = 12 * (i % 3 != 0),
				.indirect = burst % 2, .seg = (1000 + n - 1) / n };

			TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 1, 1012, &shape), 1, "room");
		}
		TEST_ASSERT_EQUAL(burst_to_guest(fe, 8, 1000), 8, "burst %u", burst);
		for (unsigned int i = 0; i < 8; i++) {
			TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, pkt, sizeof(pkt)), 1000,
				"packet %u", i);
			TEST_ASSERT(fake_pattern_matches(pkt, 1000, i), "%u of burst %u", i, burst);
		}
	}
	return fake_stop(fe);
}

static int
bursts_of_many_arrive_in_order(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct fake_vq *tx;
	uint8_t pkt[64];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	tx = &fe->vqs[1];
	for (unsigned int n = 1; n <= 200; n += 13) {
		struct rte_mbuf *m;

		for (unsigned int i = 0; i < n; i++) {
			fake_pattern(pkt, sizeof(pkt), i);
			TEST_ASSERT(fake_tx_send(tx, NULL, pkt, sizeof(pkt),
				NULL), "room for %u", i);
		}
		for (unsigned int i = 0; i < n; i++) {
			m = fake_backend_receive(fe, 0);
			TEST_ASSERT_NOT_NULL(m, "packet %u of %u", i, n);
			TEST_ASSERT(fake_mbuf_matches(m, 64, i), "order");
			rte_pktmbuf_free(m);
		}
		TEST_ASSERT_EQUAL(fake_tx_reap(tx), n, "all given back");
	}
	return fake_stop(fe);
}

static int
count_of_nothing_does_nothing(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct rte_mbuf *m = NULL;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	fake_tx_send(&fe->vqs[1], NULL, "0123456789abcdef", 16, NULL);
	TEST_ASSERT_EQUAL(fake_enqueue_burst(fe->vid, 0, &m, 0), 0, "in");
	TEST_ASSERT_EQUAL(fake_dequeue_burst(fe->vid, 1, fake_pool(), &m,
		0), 0, "out");
	m = fake_backend_receive(fe, 0);
	TEST_ASSERT_NOT_NULL(m, "it is still there");
	TEST_ASSERT_EQUAL(m->pkt_len, 16, "whole");
	rte_pktmbuf_free(m);
	return fake_stop(fe);
}

static int
wrong_direction_carries_nothing(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct rte_mbuf *m;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	m = fake_mbuf(64, 1, 0);
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	TEST_ASSERT_EQUAL(fake_enqueue_burst(fe->vid, 1, &m, 1), 0,
		"enqueue to the guest's transmit queue");
	rte_pktmbuf_free(m);
	TEST_ASSERT_EQUAL(fake_dequeue_burst(fe->vid, 0, fake_pool(), &m,
		1), 0, "dequeue from the guest's receive queue");
	return fake_stop(fe);
}

static int
disabled_ring_waits(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct rte_mbuf *m;
	uint8_t pkt[64];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, false), "disable");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, false), "disable");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	fake_pattern(pkt, sizeof(pkt), 3);
	fake_tx_send(&fe->vqs[1], NULL, pkt, sizeof(pkt), NULL);
	TEST_ASSERT_EQUAL(burst_to_guest(fe, 1, 64), 0, "in");
	TEST_ASSERT_EQUAL(fake_dequeue_burst(fe->vid, 1, fake_pool(), &m,
		1), 0, "out");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "enable");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, true), "enable");
	m = fake_backend_receive(fe, 0);
	TEST_ASSERT_NOT_NULL(m, "it has waited");
	TEST_ASSERT(fake_mbuf_matches(m, sizeof(pkt), 3), "unhurt");
	rte_pktmbuf_free(m);
	TEST_ASSERT_EQUAL(burst_to_guest(fe, 1, 64), 1, "in again");
	return fake_stop(fe);
}

static int
restart_goes_on_where_it_stopped(void)
{
	struct fake *fe = fake_start(.mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 300; i++)
			TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "go");
		for (unsigned int q = 0; q < 2; q++)
			TEST_ASSERT(fake_is_base(&fe->vqs[q],
				fake_stop_vring(fe, q)), "the base of ring %u", q);
		TEST_ASSERT_SUCCESS(fake_run(fe), "start again");
	}
	return fake_stop(fe);
}

/* A ring may be handed over anywhere, in an even or an odd turn. */
static int
wrap_counters_are_told_and_taken(void)
{
	struct fake *fe = fake_start(.mergeable = true, .ring_size = 7);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 1; i < 40; i++) {
		uint16_t avail, used, expected;

		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "go");
		for (unsigned int q = 0; q < 2; q++) {
			expected = fe->vqs[q].ops->base(&fe->vqs[q]);
			TEST_ASSERT_SUCCESS(rte_vhost_get_vring_base(fe->vid, q,
				&avail, &used), "ring %u", q);
			TEST_ASSERT_EQUAL(avail, expected, "ring %u, %u", q, i);
			TEST_ASSERT_EQUAL(used, expected, "ring %u, %u", q, i);
			TEST_ASSERT_SUCCESS(rte_vhost_set_vring_base(fe->vid, q,
				avail, used), "ring %u", q);
		}
		if (i % 3 != 0)
			continue;
		for (unsigned int q = 0; q < 2; q++)
			TEST_ASSERT(fake_is_base(&fe->vqs[q],
				fake_stop_vring(fe, q)), "ring %u, %u", q, i);
		TEST_ASSERT_SUCCESS(fake_run(fe), "start again");
	}
	return fake_stop(fe);
}

static int
driver_reset_starts_from_zero(void)
{
	struct fake *fe = fake_start(.mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 300; i++)
			TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "go");
		for (unsigned int q = 0; q < 2; q++) {
			TEST_ASSERT(fake_stop_vring(fe, q) >= 0, "stop");
			fake_vq_reset(&fe->vqs[q]);
		}
		TEST_ASSERT_SUCCESS(fake_run(fe), "start again");
	}
	return fake_stop(fe);
}

static int
many_pairs(const void *arg)
{
	unsigned int pairs = *(const unsigned int *)arg;
	struct fake *fe = fake_start(.queues = pairs, .ring_size = 64,
		.mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_wait_events(fe, FAKE_VRING_STATE, 2 * pairs),
		"every ring is announced");
	TEST_ASSERT_EQUAL(rte_vhost_get_vring_num(fe->vid), 2 * pairs, "rings");
	for (unsigned int round = 0; round < 3; round++)
		for (unsigned int i = 0; i < pairs; i++)
			TEST_ASSERT_EQUAL(fake_round_trip(fe, i, 64 + i),
				64 + i, "pair %u", i);
	return fake_stop(fe);
}

static const unsigned int pair_counts[] = { 2, 4, 128 };

/* ---- notifications ---- */

static int
interrupt_per_burst_unless_suppressed(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct fake_vq *rx;
	unsigned int told;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	rx = &fe->vqs[0];
	fake_rx_fill(rx, 64, 256, NULL);
	told = fake_events(fe, FAKE_GUEST_NOTIFIED);
	fake_interrupts(rx);
	TEST_ASSERT_EQUAL(burst_to_guest(fe, 8, 64), 8, "eight");
	TEST_ASSERT_EQUAL(fake_interrupts(rx), 1, "one for the burst");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_GUEST_NOTIFIED) - told, 1,
		"guest_notified()");
	rx->ops->interrupts(rx, false);
	TEST_ASSERT_EQUAL(burst_to_guest(fe, 8, 64), 8, "eight");
	TEST_ASSERT_EQUAL(fake_interrupts(rx), 0, "switched off");
	rx->ops->interrupts(rx, true);
	TEST_ASSERT_EQUAL(burst_to_guest(fe, 8, 64), 8, "eight");
	TEST_ASSERT_EQUAL(fake_interrupts(rx), 1, "switched on");
	return fake_stop(fe);
}

static int
used_event_is_respected(void)
{
	struct fake *fe = fake_start(.mergeable = true, .event_idx = true);
	struct fake_vq *rx;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	rx = &fe->vqs[0];
	fake_rx_fill(rx, 64, 256, NULL);
	rx->ops->interrupts(rx, true);
	fake_interrupts(rx);
	TEST_ASSERT_EQUAL(burst_to_guest(fe, 4, 64), 4, "four");
	TEST_ASSERT_EQUAL(fake_interrupts(rx), 1, "the first was asked for");
	TEST_ASSERT_EQUAL(burst_to_guest(fe, 4, 64), 4, "four");
	TEST_ASSERT_EQUAL(fake_interrupts(rx), 0, "the second was not");
	rx->ops->interrupt_after(rx, 8 + 6);
	TEST_ASSERT_EQUAL(burst_to_guest(fe, 3, 64), 3, "three");
	TEST_ASSERT_EQUAL(fake_interrupts(rx), 0, "not yet");
	TEST_ASSERT_EQUAL(burst_to_guest(fe, 3, 64), 3, "three");
	TEST_ASSERT_EQUAL(fake_interrupts(rx), 1, "passed");
	return fake_stop(fe);
}

static int
transmit_interrupts_when_asked(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct fake_vq *tx;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	tx = &fe->vqs[1];
	fake_interrupts(tx);
	TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 64, NULL), 64, "go");
	TEST_ASSERT_EQUAL(fake_interrupts(tx), 1, "on");
	tx->ops->interrupts(tx, false);
	TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 64, NULL), 64, "go");
	TEST_ASSERT_EQUAL(fake_interrupts(tx), 0, "off");
	return fake_stop(fe);
}

static int
kicks_follow_guest_notification(const void *arg)
{
	bool event_idx = *(const bool *)arg;
	struct fake *fe = fake_start(.mergeable = true, .event_idx = event_idx);
	struct fake_vq *tx;
	unsigned int kicks;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	tx = &fe->vqs[1];
	TEST_ASSERT_SUCCESS(rte_vhost_enable_guest_notification(fe->vid, 1, 0),
		"off");
	/* With event idx a single kick may still be asked for. */
	for (int i = 0; i < 4; i++)
		TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 64, NULL), 64, "go");
	kicks = tx->kicks;
	for (int i = 0; i < 20; i++)
		TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 64, NULL), 64, "go");
	TEST_ASSERT_EQUAL(tx->kicks, kicks, "off: no kicks");
	for (int i = 0; i < 5; i++) {
		kicks = tx->kicks;
		TEST_ASSERT_SUCCESS(rte_vhost_enable_guest_notification(
			fe->vid, 1, 1), "on");
		TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 64, NULL), 64, "go");
		TEST_ASSERT_EQUAL(tx->kicks, kicks + 1, "on: one kick");
	}
	TEST_ASSERT_SUCCESS(rte_vhost_enable_guest_notification(fe->vid, 1, 0),
		"off again");
	fake_to_host(fe, 0, 64, NULL);
	kicks = tx->kicks;
	TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 64, NULL), 64, "go");
	TEST_ASSERT_EQUAL(tx->kicks, kicks, "off: no kicks");
	return fake_stop(fe);
}

static int
notification_choice_survives_a_restart(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	unsigned int kicks;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(rte_vhost_enable_guest_notification(fe->vid, 1, 0),
		"off");
	TEST_ASSERT(fake_stop_vring(fe, 0) >= 0, "stop");
	TEST_ASSERT(fake_stop_vring(fe, 1) >= 0, "stop");
	TEST_ASSERT_SUCCESS(fake_run(fe), "start again");
	kicks = fe->vqs[1].kicks;
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "go");
	TEST_ASSERT_EQUAL(fe->vqs[1].kicks, kicks, "still off");
	return fake_stop(fe);
}

static int
vring_call_interrupts(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct fake_vq *rx;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	rx = &fe->vqs[0];
	fake_interrupts(rx);
	TEST_ASSERT_SUCCESS(rte_vhost_vring_call(fe->vid, 0), "call");
	TEST_ASSERT_EQUAL(fake_interrupts(rx), 1, "one interrupt");
	TEST_ASSERT_SUCCESS(rte_vhost_vring_call_nonblock(fe->vid, 0), "call");
	TEST_ASSERT_EQUAL(fake_interrupts(rx), 1, "one interrupt");
	return fake_stop(fe);
}

/* A pass holds as many mbufs as there are frames, and each frame needs three. */
static int
a_small_pool_does_not_stop_a_queue(void)
{
	enum { FRAMES = 32, LEN = 3000 };
	struct fake *fe = fake_start(.mergeable = true, .buf_size = 4096);
	struct rte_mempool *pool;
	struct rte_mbuf *pkts[FRAMES];
	uint8_t frame[LEN];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int size = 3; size < 70; size += size < 30 ? 7 : 1) {
		unsigned int got = 0, back = 0;

		pool = rte_pktmbuf_pool_create("vhost_small", size, 0, 0,
			RTE_PKTMBUF_HEADROOM + 1024, SOCKET_ID_ANY);
		TEST_ASSERT_NOT_NULL(pool, "a pool of %u", size);
		for (unsigned int i = 0; i < FRAMES; i++) {
			fake_pattern(frame, LEN, i);
			TEST_ASSERT(fake_tx_send(&fe->vqs[1], NULL, frame, LEN, NULL), "room");
		}
		for (unsigned int polls = 0; polls < 2 * FRAMES && got < FRAMES; polls++) {
			unsigned int n = fake_dequeue_burst(fe->vid, 1, pool, pkts, FRAMES);

			for (unsigned int i = 0; i < n; i++)
				TEST_ASSERT(fake_mbuf_matches(pkts[i], LEN, got + i),
					"pool of %u: frame %u", size, got + i);
			rte_pktmbuf_free_bulk(pkts, n);
			got += n;
			back += fake_tx_reap(&fe->vqs[1]);
		}
		TEST_ASSERT_EQUAL(got, FRAMES, "pool of %u: all frames", size);
		TEST_ASSERT_EQUAL(back, FRAMES, "pool of %u: all chains", size);
		TEST_ASSERT_EQUAL(rte_mempool_avail_count(pool), size, "all mbufs");
		rte_mempool_free(pool);
	}
	return fake_stop(fe);
}

/* ---- packets larger than a buffer ---- */

static int
big_packet_is_chained(void)
{
	struct fake *fe = fake_start(.mergeable = true, .buf_size = 70000);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(fake_to_host(fe, 0, JUMBO, NULL), JUMBO, "jumbo");
	TEST_ASSERT_EQUAL(fake_to_host(fe, 0, HUGE_FRAME, NULL), HUGE_FRAME,
		"64 KiB");
	TEST_ASSERT_EQUAL(fake_to_guest(fe, 0, HUGE_FRAME, NULL, 1536),
		HUGE_FRAME, "64 KiB in many buffers");
	TEST_ASSERT_EQUAL(fake_to_guest(fe, 0, HUGE_FRAME, NULL, 70000),
		HUGE_FRAME, "64 KiB in one buffer");
	return fake_stop(fe);
}

/** Send one packet; the number of segments in which it arrives, 0: not. */
static int
segments_of(struct fake *fe, size_t len, const struct fake_shape *shape)
{
	static uint8_t pkt[HUGE_FRAME];
	struct rte_mbuf *m = NULL;
	int segs = 0;

	fake_pattern(pkt, len, 5);
	if (!fake_tx_send(&fe->vqs[1], NULL, pkt, len, shape))
		return -1;
	if (fake_dequeue_burst(fe->vid, 1, fake_pool(), &m, 1) == 1) {
		segs = fake_mbuf_matches(m, len, 5) ? m->nb_segs : -1;
		rte_pktmbuf_free(m);
	}
	return fake_tx_reap(&fe->vqs[1]) == 1 ? segs : -1;
}

static int
external_buffer_holds_big_packets(void)
{
	/* Head room and bookkeeping share the 64 KiB of an external buffer. */
	static const size_t sizes[] = { 64, 2048, 2049, JUMBO, 65000 };
	struct fake_shape chained = { .header = 12, .seg = 4096 };
	struct fake *fe = fake_start(.mergeable = true, .buf_size = 70000,
		.flags = RTE_VHOST_USER_LINEARBUF_SUPPORT |
			RTE_VHOST_USER_EXTBUF_SUPPORT);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		TEST_ASSERT_EQUAL(segments_of(fe, sizes[i], NULL), 1,
			"%zu bytes", sizes[i]);
		TEST_ASSERT_EQUAL(segments_of(fe, sizes[i], &chained), 1,
			"%zu bytes", sizes[i]);
	}
	return fake_stop(fe);
}

static int
linear_buffers_drop_what_does_not_fit(void)
{
	struct fake *fe = fake_start(.mergeable = true, .buf_size = 70000,
		.flags = RTE_VHOST_USER_LINEARBUF_SUPPORT);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(segments_of(fe, 2048, NULL), 1, "fits");
	TEST_ASSERT_EQUAL(segments_of(fe, 2049, NULL), 0, "dropped");
	TEST_ASSERT_EQUAL(segments_of(fe, JUMBO, NULL), 0, "dropped");
	TEST_ASSERT_EQUAL(segments_of(fe, 64, NULL), 1, "and goes on");
	return fake_stop(fe);
}

static int
multi_segment_mbufs_arrive_whole(void)
{
	static const size_t seg_lens[] = { 1, 13, 100, 1000 };
	struct fake *fe = fake_start(.mergeable = true);
	uint8_t pkt[2048];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < RTE_DIM(seg_lens); i++) {
		struct rte_mbuf *m = fake_mbuf(1100, i, seg_lens[i]);

		TEST_ASSERT_NOT_NULL(m, "an mbuf chain");
		fake_rx_fill(&fe->vqs[0], 2, 600, NULL);
		TEST_ASSERT_EQUAL(fake_enqueue_burst(fe->vid, 0, &m, 1), 1,
			"segments of %zu", seg_lens[i]);
		rte_pktmbuf_free(m);
		TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, pkt,
			sizeof(pkt)), 1100, "segments of %zu", seg_lens[i]);
		TEST_ASSERT(fake_pattern_matches(pkt, 1100, i), "whole");
	}
	return fake_stop(fe);
}

/* ---- memory ---- */

/*
 * Two regions that are neighbours for the guest and strangers in the library's
 * address space (CVE-2018-1059 b).
 */
static int
buffer_across_two_regions(void)
{
	struct fake *fe = fake_start(.regions = 2, .adjacent = true,
		.mergeable = true);
	uint8_t pkt[1000];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int before = 1; before < 1012; before += 101) {
		uint64_t gpa = fe->regions[1].wire.gpa - before;
		struct rte_mbuf *m;

		fake_pattern(pkt, sizeof(pkt), before);
		fake_write_guest(fe, gpa, "\0\0\0\0\0\0\0\0\0\0\0", 12);
		fake_write_guest(fe, gpa + 12, pkt, sizeof(pkt));
		TEST_ASSERT(fake_offer_at(&fe->vqs[1], gpa, 1012, false) >= 0,
			"room");
		fake_kick(&fe->vqs[1]);
		m = fake_backend_receive(fe, 0);
		TEST_ASSERT_NOT_NULL(m, "%u bytes before the border", before);
		TEST_ASSERT(fake_mbuf_matches(m, 1000, before), "whole");
		rte_pktmbuf_free(m);
		TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 1, "given back");

		TEST_ASSERT(fake_offer_at(&fe->vqs[0], gpa, 1012, true) >= 0,
			"room");
		fake_kick(&fe->vqs[0]);
		TEST_ASSERT_EQUAL(fake_backend_send(fe, 0, 1000, before + 1), 1,
			"%u bytes before the border", before);
		TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, pkt,
			sizeof(pkt)), 1000, "whole");
		TEST_ASSERT(fake_pattern_matches(pkt, 1000, before + 1),
			"both parts");
	}
	return fake_stop(fe);
}

static int
indirect_table_across_two_regions(void)
{
	struct fake *fe = fake_start(.regions = 2, .adjacent = true,
		.mergeable = true);
	struct fake_seg segs[4];
	struct fake_vq *tx;
	uint64_t data;
	struct rte_mbuf *m;
	uint8_t pkt[64];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	tx = &fe->vqs[1];
	data = fake_alloc(fe, 1, 4096, 64);
	fake_pattern(pkt, 36, 1);
	fake_write_guest(fe, data + 12, pkt, 36);
	for (unsigned int i = 0; i < 4; i++)
		segs[i] = (struct fake_seg){ data + 12 * i, 12, false };
	/* Two and a half descriptors on this side of the border. */
	TEST_ASSERT(tx->ops->add(tx, segs, 4, fe->regions[1].wire.gpa - 40) >= 0,
		"room");
	fake_kick(tx);
	m = fake_backend_receive(fe, 0);
	TEST_ASSERT_NOT_NULL(m, "the table is readable");
	TEST_ASSERT(fake_mbuf_matches(m, 36, 1), "whole");
	rte_pktmbuf_free(m);
	TEST_ASSERT_EQUAL(fake_tx_reap(tx), 1, "given back");
	return fake_stop(fe);
}

/*
 * DPDK's virtio driver (22.11) leaves WRITE set in the entries of tables that it
 * sends, where only the order matters.
 */
static int
table_that_is_sent_may_say_write(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct fake_seg segs[3];
	struct rte_mbuf *m;
	struct fake_vq *tx;
	uint64_t data;
	uint8_t pkt[64];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	tx = &fe->vqs[1];
	data = fake_alloc(fe, 0, 4096, 64);
	fake_pattern(pkt, 24, 1);
	fake_write_guest(fe, data + 12, pkt, 24);
	for (unsigned int i = 0; i < RTE_DIM(segs); i++)
		segs[i] = (struct fake_seg){ data + 12 * i, 12, true };
	TEST_ASSERT(tx->ops->add(tx, segs, RTE_DIM(segs), tx->tables_gpa) >= 0,
		"room");
	fake_kick(tx);
	m = fake_backend_receive(fe, 0);
	TEST_ASSERT_NOT_NULL(m, "it is sent");
	TEST_ASSERT(fake_mbuf_matches(m, 24, 1), "whole");
	rte_pktmbuf_free(m);
	TEST_ASSERT_EQUAL(fake_tx_reap(tx), 1, "given back");
	return fake_stop(fe);
}

static int
memory_table_may_change_while_running(void)
{
	struct fake *fe = fake_start(.mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 1; i < FE_MAX_REGIONS; i++) {
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 500), 500, "before");
		TEST_ASSERT_SUCCESS(fake_region_create(fe,
			0x100000000ULL * i, (1 << 20) + 2048, 0), "plug memory");
		TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "table of %u",
			fe->nregions);
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 500), 500, "after");
	}
	return fake_stop(fe);
}

/* ---- counters and extras ---- */

static int
queue_counts_follow_the_rings(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct rte_mbuf *m;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(rte_vhost_avail_entries(fe->vid, 0), 0, "empty");
	TEST_ASSERT_EQUAL(rte_vhost_rx_queue_count(fe->vid, 1), 0, "empty");
	fake_rx_fill(&fe->vqs[0], 10, 256, NULL);
	for (int i = 0; i < 5; i++)
		fake_tx_send(&fe->vqs[1], NULL, "0123456789abcdef", 16, NULL);
	TEST_ASSERT_EQUAL(rte_vhost_avail_entries(fe->vid, 0), 10, "buffers");
	TEST_ASSERT_EQUAL(rte_vhost_rx_queue_count(fe->vid, 1), 5, "packets");
	TEST_ASSERT_EQUAL(burst_to_guest(fe, 3, 64), 3, "three");
	m = fake_backend_receive(fe, 0);
	rte_pktmbuf_free(m);
	TEST_ASSERT_EQUAL(rte_vhost_avail_entries(fe->vid, 0), 7, "buffers");
	TEST_ASSERT_EQUAL(rte_vhost_rx_queue_count(fe->vid, 1), 4, "packets");
	TEST_ASSERT_EQUAL(rte_vhost_rx_queue_count(fe->vid, 0), 0,
		"the other direction has no count");
	return fake_stop(fe);
}

static int
rarp_is_injected_once(void)
{
	static const uint8_t mac[8] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
	struct fake *fe = fake_start(.mergeable = true,
		.features = FE_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE));
	struct rte_mbuf *m = NULL;
	uint8_t pkt[128];
	uint64_t value;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	memcpy(&value, mac, sizeof(value));
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SEND_RARP, value), FAKE_ACK, "ask");
	TEST_ASSERT_EQUAL(fake_dequeue_burst(fe->vid, 1, fake_pool(), &m,
		0), 0, "no room for it");
	TEST_ASSERT_EQUAL(fake_dequeue_burst(fe->vid, 1, fake_pool(), &m,
		1), 1, "the RARP");
	TEST_ASSERT(m->pkt_len >= 42, "%u bytes", m->pkt_len);
	fake_mbuf_read(m, pkt, sizeof(pkt));
	rte_pktmbuf_free(m);
	TEST_ASSERT(memcmp(pkt, "\xff\xff\xff\xff\xff\xff", 6) == 0, "to all");
	TEST_ASSERT(memcmp(pkt + 6, mac, 6) == 0, "from the guest");
	TEST_ASSERT(memcmp(pkt + 12, "\x80\x35", 2) == 0, "a RARP");
	TEST_ASSERT(memcmp(pkt + 20, "\0\3", 2) == 0, "a request");
	TEST_ASSERT(memcmp(pkt + 22, mac, 6) == 0, "who asks");
	TEST_ASSERT(memcmp(pkt + 32, mac, 6) == 0, "about whom");
	TEST_ASSERT_EQUAL(fake_dequeue_burst(fe->vid, 1, fake_pool(), &m,
		1), 0, "only once");
	return fake_stop(fe);
}

enum {
	GOOD_PACKETS, GOOD_BYTES, MULTICAST, BROADCAST, UNDERSIZE, SIZE_64,
	SIZE_65_127, SIZE_128_255, SIZE_256_511, SIZE_512_1023, SIZE_1024_1518,
	SIZE_1519_MAX, NOTIFICATIONS,
#if VHOST_ABI >= 25
	NOTIFICATIONS_OFFLOADED, NOTIFICATIONS_ERROR, NOTIFICATIONS_SUPPRESSED,
#endif
	IOTLB_HITS, IOTLB_MISSES, INFLIGHT_SUBMITTED, INFLIGHT_COMPLETED,
#if VHOST_ABI >= 25
	MBUF_ALLOC_FAILED,
#endif
	NB_STATS
};

static const char * const stat_names[NB_STATS] = {
	"good_packets", "good_bytes", "multicast_packets", "broadcast_packets",
	"undersize_packets", "size_64_packets", "size_65_127_packets",
	"size_128_255_packets", "size_256_511_packets", "size_512_1023_packets",
	"size_1024_1518_packets", "size_1519_max_packets",
	"guest_notifications",
#if VHOST_ABI >= 25
	"guest_notifications_offloaded", "guest_notifications_error",
	"guest_notifications_suppressed",
#endif
	"iotlb_hits", "iotlb_misses", "inflight_submitted", "inflight_completed",
#if VHOST_ABI >= 25
	"mbuf_alloc_failed",
#endif
};

static int
statistics_have_the_known_names(void)
{
	struct fake *fe = fake_start(.mergeable = true,
		.flags = RTE_VHOST_USER_NET_STATS_ENABLE);
	struct rte_vhost_stat_name names[NB_STATS];
	char expected[RTE_VHOST_STATS_NAME_SIZE];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(rte_vhost_vring_stats_get_names(fe->vid, 0, NULL, 0),
		NB_STATS, "how many");
	TEST_ASSERT_EQUAL(rte_vhost_vring_stats_get_names(fe->vid, 0, names, 3),
		NB_STATS, "array too short");
	for (int q = 0; q < 2; q++) {
		TEST_ASSERT_EQUAL(rte_vhost_vring_stats_get_names(fe->vid, q,
			names, NB_STATS), NB_STATS, "names");
		for (int i = 0; i < NB_STATS; i++) {
			snprintf(expected, sizeof(expected), "%s_q0_%s",
				q ? "rx" : "tx", stat_names[i]);
			TEST_ASSERT(strcmp(names[i].name, expected) == 0,
				"%s is not %s", names[i].name, expected);
		}
	}
	return fake_stop(fe);
}

/** Expected counters after one packet of each size in each direction. */
static void
expect(uint64_t *c, unsigned int len)
{
	static const unsigned int upper[] = { 63, 64, 127, 255, 511, 1023, 1518 };
	unsigned int bin = 0;

	while (bin < RTE_DIM(upper) && len > upper[bin])
		bin++;
	c[GOOD_PACKETS]++;
	c[GOOD_BYTES] += len;
	c[UNDERSIZE + bin]++;
}

static int
compare_stats(struct fake *fe, unsigned int q, const uint64_t *expected)
{
	struct rte_vhost_stat stats[NB_STATS];

	TEST_ASSERT_EQUAL(rte_vhost_vring_stats_get(fe->vid, q, stats, NB_STATS),
		NB_STATS, "get");
	for (unsigned int i = 0; i < NB_STATS; i++) {
		bool all = fake_backend_flags() != 0 &&
			(i == INFLIGHT_SUBMITTED || i == INFLIGHT_COMPLETED);

		TEST_ASSERT_EQUAL(stats[i].id, i, "id");
		TEST_ASSERT_EQUAL(stats[i].value, expected[all ? GOOD_PACKETS : i],
			"queue %u: %s", q, stat_names[i]);
	}
	return 0;
}

/** A packet with this first byte of its destination, both ways. */
static int
send_addressed(struct fake *fe, const void *dst, size_t len)
{
	uint8_t pkt[2048] = { 0 };
	struct rte_mbuf *m;

	memcpy(pkt, dst, 6);
	if (!fake_tx_send(&fe->vqs[1], NULL, pkt, len, NULL))
		return -1;
	m = fake_backend_receive(fe, 0);
	if (m == NULL)
		return -1;
	fake_rx_fill(&fe->vqs[0], 1, 2048, NULL);
	len -= fake_enqueue_burst(fe->vid, 0, &m, 1) == 1 ? len : 0;
	rte_pktmbuf_free(m);
	fake_rx_take(&fe->vqs[0], NULL, pkt, sizeof(pkt));
	fake_tx_reap(&fe->vqs[1]);
	return len == 0 ? 0 : -1;
}

static int
statistics_count_what_was_carried(void)
{
	static const unsigned int lens[] = { 60, 64, 65, 127, 128, 255, 256, 511,
		512, 1023, 1024, 1518, 1519, 2000 };
	struct fake *fe = fake_start(.mergeable = true,
		.flags = RTE_VHOST_USER_NET_STATS_ENABLE);
	uint64_t expected[NB_STATS] = { 0 };

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	fe->vqs[0].ops->interrupts(&fe->vqs[0], false);
	fe->vqs[1].ops->interrupts(&fe->vqs[1], false);
	TEST_ASSERT_SUCCESS(rte_vhost_vring_stats_reset(fe->vid, 0), "reset");
	TEST_ASSERT_SUCCESS(rte_vhost_vring_stats_reset(fe->vid, 1), "reset");
	/* each so often that no two counters are alike */
	for (unsigned int i = 0; i < RTE_DIM(lens); i++)
		for (unsigned int n = 0; n <= i; n++) {
			TEST_ASSERT_SUCCESS(send_addressed(fe, "\2\0\0\0\0\1", lens[i]),
				"unicast");
			expect(expected, lens[i]);
		}
	for (int i = 0; i < 4; i++) {
		TEST_ASSERT_SUCCESS(send_addressed(fe, "\x01\0\x5e\0\0\1", 64),
			"multicast");
		expect(expected, 64);
		expected[MULTICAST]++;
	}
	for (int i = 0; i < 2; i++) {
		TEST_ASSERT_SUCCESS(send_addressed(fe, "\xff\xff\xff\xff\xff\xff", 64),
			"broadcast");
		expect(expected, 64);
		expected[BROADCAST]++;
	}
	if (compare_stats(fe, 0, expected) || compare_stats(fe, 1, expected))
		return TEST_FAILED;
	memset(expected, 0, sizeof(expected));
	TEST_ASSERT_SUCCESS(rte_vhost_vring_stats_reset(fe->vid, 0), "reset");
	if (compare_stats(fe, 0, expected))
		return TEST_FAILED;
	fe->vqs[0].ops->interrupts(&fe->vqs[0], true);
	TEST_ASSERT_SUCCESS(send_addressed(fe, "\2\0\0\0\0\1", 64), "more");
	expect(expected, 64);
	expected[NOTIFICATIONS]++;
	if (compare_stats(fe, 0, expected))
		return TEST_FAILED;
	return fake_stop(fe);
}

static int
statistics_survive_a_restart(void)
{
	struct fake *fe = fake_start(.mergeable = true,
		.flags = RTE_VHOST_USER_NET_STATS_ENABLE);
	struct rte_vhost_stat stats[NB_STATS];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "one");
	TEST_ASSERT(fake_stop_vring(fe, 0) >= 0, "stop");
	TEST_ASSERT(fake_stop_vring(fe, 1) >= 0, "stop");
	TEST_ASSERT_SUCCESS(fake_run(fe), "start again");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "two");
	TEST_ASSERT_EQUAL(rte_vhost_vring_stats_get(fe->vid, 0, stats, NB_STATS),
		NB_STATS, "get");
	TEST_ASSERT_EQUAL(stats[GOOD_PACKETS].value, 2, "both");
	return fake_stop(fe);
}

static int
statistics_need_their_flag(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct rte_vhost_stat stats[NB_STATS];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(rte_vhost_vring_stats_get(fe->vid, 0, stats, NB_STATS),
		-1, "get");
	TEST_ASSERT_EQUAL(rte_vhost_vring_stats_get_names(fe->vid, 0, NULL, 0),
		-1, "names");
	TEST_ASSERT_EQUAL(rte_vhost_vring_stats_reset(fe->vid, 0), -1, "reset");
	return fake_stop(fe);
}

/* ---- random operations against a naive model ---- */

/*
 * The model of a direction is a list of (length, seed) in the order of sending.
 * Whatever the shapes, bursts and pauses were, that is what must come out.
 */
struct fifo {
	struct { unsigned int len, seed; } item[1024];
	unsigned int in, out;
};

struct random_run {
	struct fake *fe;
	unsigned int state;	/* of rand_r() */
	struct fifo to_host, to_guest;
};

static unsigned int
pick(struct random_run *r, unsigned int n)
{
	return rand_r(&r->state) % n;
}

static struct fake_shape
random_shape(struct random_run *r)
{
	return (struct fake_shape){
		.header = pick(r, 3) ? pick(r, 40) : 0,
		.header_seg = pick(r, 2) ? 1 + pick(r, 12) : 0,
		.seg = pick(r, 2) ? 16 + pick(r, 300) : 0,
		.indirect = pick(r, 2),
	};
}

static void
fifo_push(struct fifo *f, unsigned int len, unsigned int seed)
{
	f->item[f->in % RTE_DIM(f->item)].len = len;
	f->item[f->in++ % RTE_DIM(f->item)].seed = seed;
}

static int
random_send_to_host(struct random_run *r)
{
	struct fake_shape shape = random_shape(r);
	unsigned int len = 2 + pick(r, 1800), seed = pick(r, 1 << 20);
	uint8_t pkt[2048];

	fake_pattern(pkt, len, seed);
	if (fake_tx_send(&r->fe->vqs[1], NULL, pkt, len, &shape))
		fifo_push(&r->to_host, len, seed);
	return 0;
}

static int
random_receive_at_host(struct random_run *r)
{
	struct rte_mbuf *pkts[64];
	unsigned int n = fake_dequeue_burst(r->fe->vid, 1, fake_pool(), pkts,
		pick(r, RTE_DIM(pkts) + 1));
	int bad = 0;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int at = r->to_host.out++ % RTE_DIM(r->to_host.item);

		if (r->to_host.out > r->to_host.in || !fake_mbuf_matches(pkts[i],
				r->to_host.item[at].len, r->to_host.item[at].seed))
			bad = -1;
	}
	rte_pktmbuf_free_bulk(pkts, n);
	fake_tx_reap(&r->fe->vqs[1]);
	return bad;
}

static int
random_offer_buffers(struct random_run *r)
{
	struct fake_shape shape = random_shape(r);

	fake_rx_fill(&r->fe->vqs[0], pick(r, 16), r->fe->cfg.mergeable ?
		16 + pick(r, 2000) : 2048, &shape);
	return 0;
}

static int
random_send_to_guest(struct random_run *r)
{
	struct rte_mbuf *pkts[40];
	struct { unsigned int len, seed; } made[RTE_DIM(pkts)];
	unsigned int n = pick(r, RTE_DIM(pkts) + 1), sent;

	for (unsigned int i = 0; i < n; i++) {
		made[i].len = 2 + pick(r, 1800);
		made[i].seed = pick(r, 1 << 20);
		pkts[i] = fake_mbuf(made[i].len, made[i].seed,
			pick(r, 2) ? 0 : 50 + pick(r, 1000));
		if (pkts[i] == NULL)
			return -1;
	}
	sent = fake_enqueue_burst(r->fe->vid, 0, pkts, n);
	rte_pktmbuf_free_bulk(pkts, n);
	for (unsigned int i = 0; i < sent; i++)
		fifo_push(&r->to_guest, made[i].len, made[i].seed);
	return sent <= n ? 0 : -1;
}

static int
random_receive_at_guest(struct random_run *r)
{
	uint8_t pkt[2048];
	int len;

	while ((len = fake_rx_take(&r->fe->vqs[0], NULL, pkt, sizeof(pkt))) !=
			-1) {
		unsigned int at = r->to_guest.out++ % RTE_DIM(r->to_guest.item);

		if (r->to_guest.out > r->to_guest.in ||
				len != (int)r->to_guest.item[at].len ||
				!fake_pattern_matches(pkt, len,
					r->to_guest.item[at].seed))
			return -1;
	}
	return 0;
}

static int
random_operations_agree_with_a_list(const void *arg)
{
	static int (* const ops[])(struct random_run *) = {
		random_send_to_host, random_send_to_host, random_send_to_host,
		random_receive_at_host, random_offer_buffers,
		random_send_to_guest, random_receive_at_guest,
	};
	const struct fake_config *cfg = arg;
	struct random_run r = { .fe = fake_start_config(cfg) };
	unsigned int seed = test_param_u64("seed", fake_now_ms() & 0xffffff);

	TEST_ASSERT_NOT_NULL(r.fe, "the device must start");
	printf("seed=%u\n", seed);
	r.state = seed;
	for (unsigned int i = 0; i < 30000; i++)
		TEST_ASSERT_SUCCESS(ops[pick(&r, RTE_DIM(ops))](&r),
			"operation %u of seed %u", i, seed);
	random_receive_at_guest(&r);
	while (r.to_host.out != r.to_host.in) {
		unsigned int before = r.to_host.out;

		for (int i = 0; i < 100 && r.to_host.out == before; i++)
			TEST_ASSERT_SUCCESS(random_receive_at_host(&r), "end");
		TEST_ASSERT(r.to_host.out != before, "%u packets are lost",
			r.to_host.in - before);
	}
	TEST_ASSERT_EQUAL(r.to_guest.out, r.to_guest.in, "all arrived");
	TEST_ASSERT(r.to_guest.out > 500 && r.to_host.out > 500, "enough");
	return fake_stop(r.fe);
}

static const struct fake_config random_plain = { .mergeable = false };
static const struct fake_config random_mergeable = {
	.mergeable = true, .event_idx = true, .ring_size = 128,
};
static const struct fake_config random_odd = {
	.mergeable = true, .event_idx = true, .ring_size = 149,
};
static const struct fake_config random_in_order = {
	.mergeable = false, .in_order = true,
};
static const struct fake_config random_in_order_odd = {
	.mergeable = true, .in_order = true, .ring_size = 131,
};

/* ---- the suites: the same stories told to both formats ---- */

static const struct test_case common_cases[] = {
	TEST_CASE(one_byte_descriptors_make_a_packet),
	TEST_CASE(data_in_any_number_of_descriptors),
	TEST_CASE(small_buffers_are_merged),
	TEST_CASE(num_buffers_is_one_without_merging),
	TEST_CASE(too_small_buffer_without_merging_is_no_overrun),
	TEST_CASE_WITH(ring_turns_over, "ring_of_1_turns_over", &ring_sizes[0]),
	TEST_CASE_WITH(ring_turns_over, "ring_of_2_turns_over", &ring_sizes[1]),
	TEST_CASE_WITH(ring_turns_over, "ring_of_4_turns_over", &ring_sizes[2]),
	TEST_CASE_WITH(ring_turns_over, "ring_of_256_turns_over", &ring_sizes[3]),
	TEST_CASE_WITH(ring_turns_over, "ring_of_1024_turns_over",
		&ring_sizes[4]),
	TEST_CASE_WITH(ring_turns_over, "ring_of_32768_turns_over",
		&ring_sizes[5]),
	TEST_CASE(full_ring_takes_what_fits),
	TEST_CASE_WITH(bursts_fill_buffers_of_every_shape,
		"bursts_fill_buffers_of_every_shape_plain", &no),
	TEST_CASE_WITH(bursts_fill_buffers_of_every_shape,
		"bursts_fill_buffers_of_every_shape_mergeable", &yes),
	TEST_CASE(buffers_of_a_burst_differ_in_pieces),
	TEST_CASE(bursts_of_many_arrive_in_order),
	TEST_CASE(count_of_nothing_does_nothing),
	TEST_CASE(wrong_direction_carries_nothing),
	TEST_CASE(disabled_ring_waits),
	TEST_CASE(restart_goes_on_where_it_stopped),
	TEST_CASE(driver_reset_starts_from_zero),
	TEST_CASE_WITH(many_pairs, "2_pairs", &pair_counts[0]),
	TEST_CASE_WITH(many_pairs, "4_pairs", &pair_counts[1]),
	TEST_CASE_WITH(many_pairs, "128_pairs", &pair_counts[2]),
	TEST_CASE(interrupt_per_burst_unless_suppressed),
	TEST_CASE(used_event_is_respected),
	TEST_CASE(transmit_interrupts_when_asked),
	TEST_CASE_WITH(kicks_follow_guest_notification,
		"kicks_follow_guest_notification_flags", &no),
	TEST_CASE_WITH(kicks_follow_guest_notification,
		"kicks_follow_guest_notification_event_idx", &yes),
	TEST_CASE(notification_choice_survives_a_restart),
	TEST_CASE(vring_call_interrupts),
	TEST_CASE(a_small_pool_does_not_stop_a_queue),
	TEST_CASE(big_packet_is_chained),
	TEST_CASE(external_buffer_holds_big_packets),
	TEST_CASE(linear_buffers_drop_what_does_not_fit),
	TEST_CASE(multi_segment_mbufs_arrive_whole),
	TEST_CASE(buffer_across_two_regions),
	TEST_CASE(indirect_table_across_two_regions),
	TEST_CASE(memory_table_may_change_while_running),
	TEST_CASE(rarp_is_injected_once),
	TEST_CASE(statistics_have_the_known_names),
	TEST_CASE(statistics_count_what_was_carried),
	TEST_CASE(statistics_survive_a_restart),
	TEST_CASE(statistics_need_their_flag),
	TEST_CASE_WITH(random_operations_agree_with_a_list,
		"random_operations_plain", &random_plain),
	TEST_CASE_WITH(random_operations_agree_with_a_list,
		"random_operations_mergeable", &random_mergeable),
	TEST_CASE_WITH(random_operations_agree_with_a_list,
		"random_operations_in_order", &random_in_order),
};

static const struct test_case split_cases[] = {
	TEST_CASE(queue_counts_follow_the_rings),
};

static const struct test_case packed_cases[] = {
	TEST_CASE_WITH(ring_turns_over, "ring_of_3_turns_over",
		&odd_ring_sizes[0]),
	TEST_CASE_WITH(ring_turns_over, "ring_of_5_turns_over",
		&odd_ring_sizes[1]),
	TEST_CASE_WITH(ring_turns_over, "ring_of_250_turns_over",
		&odd_ring_sizes[2]),
	TEST_CASE_WITH(ring_turns_over, "ring_of_1023_turns_over",
		&odd_ring_sizes[3]),
	TEST_CASE_WITH(ring_turns_over, "ring_of_32767_turns_over",
		&odd_ring_sizes[4]),
	TEST_CASE(wrap_counters_are_told_and_taken),
	TEST_CASE(table_that_is_sent_may_say_write),
	TEST_CASE_WITH(random_operations_agree_with_a_list,
		"random_operations_odd_ring", &random_odd),
	TEST_CASE_WITH(random_operations_agree_with_a_list,
		"random_operations_in_order_odd_ring",
		&random_in_order_odd),
};

#define NB_VARIANT_CASES (2 * RTE_DIM(variants))
#define NB_CASES (NB_VARIANT_CASES + RTE_DIM(common_cases) + \
	RTE_DIM(split_cases) + RTE_DIM(packed_cases))

static struct test_case cases[NB_CASES];
static char names[NB_VARIANT_CASES][64];
static unsigned int nb_cases;

static void
add_variants(unsigned int format)
{
	for (unsigned int i = 0; i < NB_VARIANT_CASES; i++) {
		if (!(variants[i / 2].formats & format))
			continue;
		snprintf(names[i], sizeof(names[i]), "every_%s_%s",
			i & 1 ? "shape" : "size", variants[i / 2].name);
		cases[nb_cases++] = (struct test_case)TEST_CASE_WITH(
			i & 1 ? check_all_shapes : check_all_sizes, names[i],
			&variants[i / 2].cfg);
	}
}

static void
add_cases(const struct test_case *list, unsigned int n)
{
	memcpy(&cases[nb_cases], list, n * sizeof(*list));
	nb_cases += n;
}

static int
test_vhost_net(void)
{
	struct test_suite suite = {
		.name = "vhost net",
		.setup = fake_setup,
		.check = fake_check,
		.teardown = fake_teardown,
		.cases = cases,
	};

	nb_cases = 0;
	add_variants(SPLIT);
	add_cases(common_cases, RTE_DIM(common_cases));
	add_cases(split_cases, RTE_DIM(split_cases));
	suite.nb_cases = nb_cases;
	return test_suite_run(&suite);
}

static int
test_vhost_net_packed(void)
{
	struct test_suite suite = {
		.name = "vhost net, packed rings",
		.setup = fake_setup_packed,
		.check = fake_check,
		.teardown = fake_teardown,
		.cases = cases,
	};

	nb_cases = 0;
	add_variants(PACKED);
	add_cases(common_cases, RTE_DIM(common_cases));
	add_cases(packed_cases, RTE_DIM(packed_cases));
	suite.nb_cases = nb_cases;
	return test_suite_run(&suite);
}

/* The same with asynchronous copies. */

static int
run_async(const char *name, int (*setup)(void), unsigned int format,
		const struct test_case *own_cases, unsigned int n)
{
	struct test_suite suite = {
		.name = name,
		.setup = setup,
		.check = fake_check,
		.teardown = fake_teardown_async,
		.cases = cases,
	};

	nb_cases = 0;
	add_variants(format);
	add_cases(common_cases, RTE_DIM(common_cases));
	add_cases(own_cases, n);
	suite.nb_cases = nb_cases;
	return test_suite_run(&suite);
}

static int
test_vhost_async_net(void)
{
	return run_async("vhost net, asynchronous", fake_setup_async, SPLIT, split_cases,
		RTE_DIM(split_cases));
}

static int
test_vhost_async_net_packed(void)
{
	return run_async("vhost net, asynchronous, packed rings", fake_setup_async_packed, PACKED,
		packed_cases, RTE_DIM(packed_cases));
}

REGISTER_TEST_COMMAND(vhost_net_autotest, test_vhost_net);
REGISTER_TEST_COMMAND(vhost_net_packed_autotest, test_vhost_net_packed);
REGISTER_TEST_COMMAND(vhost_async_net_autotest, test_vhost_async_net);
REGISTER_TEST_COMMAND(vhost_async_net_packed_autotest, test_vhost_async_net_packed);
