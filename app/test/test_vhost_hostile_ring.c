/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Rings that lie, above all split ones; test_vhost_hostile_packed.c has packed
 * ones.
 *
 * The guest owns the ring and may write anything into it at any moment.  Every
 * case puts one wrong thing into a ring and runs bursts over it.  What must hold
 * each time: bursts end; nothing outside of the offered buffers changes (the
 * guards of vhost_fake_memory.c); no mbuf stays behind; the other device carries
 * packets; and after the driver was reset this one does again.
 */

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_mbuf.h>

#include "test_vhost_hostile.h"

/* The fake driver takes descriptors from 0 on; lies are told from here on. */
#define LIE 100

/* What a wrong chain looks like; one row, one case. */
struct lie {
	const char *name;
	struct vring_desc desc[4];	/* placed at LIE, LIE + 1, ... */
	bool indirect;			/* placed in a table instead */
	uint32_t table_len;		/* said length of the table [true one] */
	uint16_t table_flags;		/* beside INDIRECT */
	uint16_t head;			/* in the avail ring [LIE] */
};

/* The rows are told to both directions; WRITE is added for receive buffers. */
static const struct lie lies[] = {
	{ "chain_to_itself", .desc = { { GOOD, 100, NEXT, LIE } } },
	{ "chain_to_itself_without_length", .desc = { { GOOD, 0, NEXT, LIE } } },
	{ "chain_of_two_in_a_circle",
		.desc = { { GOOD, 50, NEXT, LIE + 1 },
			{ GOOD + 50, 50, NEXT, LIE } } },
	{ "chain_of_two_in_a_circle_without_length",
		.desc = { { GOOD, 0, NEXT, LIE + 1 }, { GOOD, 0, NEXT, LIE } } },
	{ "next_at_ring_size", .desc = { { GOOD, 50, NEXT, 256 } } },
	{ "next_far_beyond", .desc = { { GOOD, 50, NEXT, 0xffff } } },
	{ "head_at_ring_size", .head = 256 },
	{ "head_far_beyond", .head = 0xffff },
	{ "unmapped_address", .desc = { { UNMAPPED, 100, 0, 0 } } },
	{ "null_address", .desc = { { 0, 100, 0, 0 } } },
	{ "unmapped_second_descriptor",
		.desc = { { GOOD, 50, NEXT, LIE + 1 }, { UNMAPPED, 100, 0, 0 } } },
	{ "buffer_beyond_the_region", .desc = { { END + 20, 100, 0, 0 } } },
	{ "header_at_the_border", .desc = { { END + 4, 100, 0, 0 } } },
	{ "address_wraps", .desc = { { -100ULL, 4096, 0, 0 } } },
	{ "length_of_4_gib", .desc = { { GOOD, 0xffffffff, 0, 0 } } },
	{ "lengths_sum_to_0",
		.desc = { { GOOD, 0x80000000, NEXT, LIE + 1 },
			{ GOOD, 0x80000000, 0, 0 } } },
	{ "indirect_loop", .indirect = true,
		.desc = { { GOOD, 50, NEXT, 1 }, { GOOD, 50, NEXT, 0 } } },
	{ "indirect_loop_without_length", .indirect = true,
		.desc = { { GOOD, 0, NEXT, 0 } } },
	{ "indirect_next_beyond_the_table", .indirect = true, .table_len = 32,
		.desc = { { GOOD, 50, NEXT, 2 }, { GOOD, 50, 0, 0 },
			{ GOOD, 50, 0, 0 } } },
	{ "indirect_next_far_beyond", .indirect = true,
		.desc = { { GOOD, 50, NEXT, 0xffff } } },
	{ "indirect_table_of_half_a_descriptor", .indirect = true, .table_len = 8,
		.desc = { { GOOD, 50, 0, 0 } } },
	{ "indirect_table_not_a_multiple", .indirect = true, .table_len = 17,
		.desc = { { GOOD, 50, NEXT, 1 }, { GOOD, 50, 0, 0 } } },
	{ "indirect_table_of_4_gib", .indirect = true, .table_len = 0xfffffff0,
		.desc = { { GOOD, 50, NEXT, 1 }, { GOOD, 50, NEXT, 0 } } },
	{ "indirect_in_indirect", .indirect = true,
		.desc = { { GOOD, 32, INDIRECT, 0 } } },
	{ "indirect_with_next", .indirect = true, .table_flags = NEXT,
		.desc = { { GOOD, 50, NEXT, 1 }, { GOOD, 50, NEXT, 0 } } },
	{ "indirect_table_unmapped",
		.desc = { { UNMAPPED, 64, INDIRECT, 0 } } },
	{ "indirect_table_beyond_the_region",
		.desc = { { END + 16, 64, INDIRECT, 0 } } },
	{ "indirect_table_without_length",
		.desc = { { GOOD, 0, INDIRECT, 0 } } },
	{ "indirect_behind_a_descriptor",
		.desc = { { GOOD, 50, NEXT, LIE + 1 }, { GOOD, 64, INDIRECT, 0 } } },
};

static void
show_head(struct fake_vq *vq, uint16_t head)
{
	vq->avail->ring[vq->avail_idx++ % vq->size] = head;
	fake_kick(vq);
}

static void
tell_lie(struct fake_vq *vq, const struct lie *lie, uint16_t flags)
{
	uint64_t buffer = fake_alloc(vq->fe, vq->fe->nregions - 1, 4096, 64);
	uint64_t table = fake_alloc(vq->fe, vq->fe->nregions - 1, 4096, 64);
	struct vring_desc *at = lie->indirect ?
		fake_va(vq->fe, table, 4096) : &vq->desc[LIE];
	unsigned int n = 0;

	for (; n < RTE_DIM(lie->desc); n++) {
		at[n] = lie->desc[n];
		at[n].addr = hostile_address(vq->fe, buffer, at[n].addr);
		if (!(at[n].flags & INDIRECT))
			at[n].flags |= flags;
	}
	if (lie->indirect)
		vq->desc[LIE] = (struct vring_desc){
			.addr = table,
			.len = lie->table_len ? lie->table_len : 64,
			.flags = INDIRECT | lie->table_flags,
			.next = LIE,
		};
	show_head(vq, lie->head ? lie->head : LIE);
}

static int
tell_to_transmit(const void *arg)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	tell_lie(&t.bad->vqs[1], arg, 0);
	hostile_bursts(t.bad, HOSTILE_ROUNDS);
	return hostile_recover(&t);
}

static int
tell_to_receive(const void *arg)
{
	struct two t;

	for (int mergeable = 0; mergeable < 2; mergeable++) {
		TEST_ASSERT(two_start(&t, .mergeable = mergeable), "two devices");
		tell_lie(&t.bad->vqs[0], arg, WRITE);
		hostile_bursts(t.bad, HOSTILE_ROUNDS);
		if (hostile_recover(&t) != TEST_SUCCESS)
			return TEST_FAILED;
	}
	return TEST_SUCCESS;
}

/* ---- the transmit ring ---- */

/** A chain of pieces of these lengths, then a good packet. */
static int
short_chain_then_good_packet(struct two *t, const uint32_t *lens, unsigned int n)
{
	struct fake_vq *tx = &t->bad->vqs[1];
	uint64_t gpa = fake_alloc(t->bad, 0, 4096, 64);
	struct fake_seg segs[16];
	struct rte_mbuf *m;
	uint8_t pkt[64];

	for (unsigned int i = 0; i < n; i++)
		segs[i] = (struct fake_seg){ gpa + 64 * i, lens[i], false };
	TEST_ASSERT(tx->ops->add(tx, segs, n, 0) >= 0, "room");
	fake_pattern(pkt, sizeof(pkt), 9);
	TEST_ASSERT(fake_tx_send(tx, NULL, pkt, sizeof(pkt), NULL), "room");
	m = fake_backend_receive(t->bad, 0);
	TEST_ASSERT_NOT_NULL(m, "the good packet passes");
	TEST_ASSERT(fake_mbuf_matches(m, sizeof(pkt), 9), "and nothing before it");
	rte_pktmbuf_free(m);
	TEST_ASSERT_EQUAL(fake_tx_reap(tx), 2, "both chains are given back");
	return 0;
}

static int
tx_chain_no_longer_than_the_header_is_dropped(void)
{
	static const uint32_t chains[][13] = {
		{ 0 }, { 1 }, { 10 }, { 11 }, { 12 }, { 0, 0 }, { 6, 6 },
		{ 10, 2 }, { 12, 0 }, { 0, 12 }, { 1, 1, 1 }, { 4, 4, 4 },
		{ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 },
	};
	static const unsigned int lens[] = {
		1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 12
	};
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (unsigned int i = 0; i < RTE_DIM(chains); i++)
		if (short_chain_then_good_packet(&t, chains[i], lens[i]) != 0) {
			printf("chain %u\n", i);
			return TEST_FAILED;
		}
	return hostile_recover(&t);
}

static int
tx_pool_is_not_exhausted_by_short_chains(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (unsigned int i = 0; i < 20000; i++) {
		struct fake_vq *tx = &t.bad->vqs[1];
		struct rte_mbuf *m;

		if (fake_offer(tx, i % 13, NULL, false) < 0 &&
				fake_offer(tx, 12, NULL, false) < 0)
			return TEST_FAILED;
		fake_kick(tx);
		TEST_ASSERT_EQUAL(fake_dequeue_burst(t.bad->vid, 1,
			fake_pool(), &m, 1), 0, "nothing in it");
		fake_tx_reap(tx);
	}
	return hostile_recover(&t);
}

static int
tx_packet_larger_than_the_pool_is_dropped(void)
{
	struct fake_seg segs[32];
	struct two t;
	struct fake_vq *tx;
	uint64_t gpa;

	TEST_ASSERT(two_start(&t, .mergeable = true, .extra_memory = 4 << 20),
		"two devices");
	tx = &t.bad->vqs[1];
	gpa = fake_alloc(t.bad, 0, 2 << 20, 4096);
	/* The same megabytes over and over: 64 MiB in one chain. */
	for (unsigned int i = 0; i < RTE_DIM(segs); i++)
		segs[i] = (struct fake_seg){ gpa, 2 << 20, false };
	TEST_ASSERT(tx->ops->add(tx, segs, RTE_DIM(segs), 0) >= 0, "room");
	fake_kick(tx);
	hostile_bursts(t.bad, HOSTILE_ROUNDS);
	return hostile_recover(&t);
}

static int
tx_writable_descriptor_is_harmless(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	TEST_ASSERT(fake_offer(&t.bad->vqs[1], 100, NULL, true) >= 0, "room");
	fake_kick(&t.bad->vqs[1]);
	hostile_bursts(t.bad, HOSTILE_ROUNDS);
	return hostile_recover(&t);
}

/* ---- either ring ---- */

static int
index_jumps(const void *arg)
{
	uint16_t by = *(const uint16_t *)arg;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (unsigned int q = 0; q < 2; q++) {
		struct fake_vq *vq = &t.bad->vqs[q];

		for (unsigned int i = 0; i < vq->size; i++)
			vq->avail->ring[i] = i;
		__atomic_store_n(&vq->avail->idx, vq->avail_idx + by,
			__ATOMIC_RELEASE);
	}
	hostile_bursts(t.bad, HOSTILE_ROUNDS);
	rte_vhost_avail_entries(t.bad->vid, 0);
	rte_vhost_rx_queue_count(t.bad->vid, 1);
	return hostile_recover(&t);
}

static const uint16_t jumps[] = { 257, 1000, 0x7fff, 0x8000, 0xffff };

static int
same_head_offered_many_times(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (unsigned int q = 0; q < 2; q++) {
		struct fake_vq *vq = &t.bad->vqs[q];
		uint64_t gpa = fake_alloc(t.bad, 0, 4096, 64);

		vq->desc[LIE] = (struct vring_desc){ gpa, 2000,
			q == 0 ? WRITE : 0, 0 };
		for (unsigned int i = 0; i < vq->size; i++)
			show_head(vq, LIE);
	}
	hostile_bursts(t.bad, HOSTILE_ROUNDS);
	return hostile_recover(&t);
}

/* ---- the receive ring ---- */

static int
rx_tiny_buffers_at_the_border(void)
{
	struct two t;

	/* 4.4 (a): room computed as an unsigned len - header. */
	for (int mergeable = 0; mergeable < 2; mergeable++) {
		const struct fake_region *r;

		TEST_ASSERT(two_start(&t, .mergeable = mergeable), "two devices");
		r = &t.bad->regions[0];
		for (uint32_t len = 1; len <= 16; len++)
			for (int i = 0; i < 4; i++)
				TEST_ASSERT(fake_offer_at(&t.bad->vqs[0],
					r->wire.gpa + r->wire.size - len, len,
					true) >= 0, "room");
		fake_kick(&t.bad->vqs[0]);
		hostile_bursts(t.bad, HOSTILE_ROUNDS);
		if (hostile_recover(&t) != TEST_SUCCESS)
			return TEST_FAILED;
	}
	return TEST_SUCCESS;
}

static int
rx_split_header_at_the_border(void)
{
	struct two t;

	for (int mergeable = 0; mergeable < 2; mergeable++) {
		const struct fake_region *r;
		struct fake_seg segs[32];
		uint64_t end;

		TEST_ASSERT(two_start(&t, .mergeable = mergeable), "two devices");
		r = &t.bad->regions[0];
		end = r->wire.gpa + r->wire.size;
		/* The header in pieces of two, the last of them at the border. */
		for (unsigned int i = 0; i < RTE_DIM(segs); i++)
			segs[i] = (struct fake_seg){ end - 2 * (1 + i % 6), 2,
				true };
		for (int i = 0; i < 6; i++)
			t.bad->vqs[0].ops->add(&t.bad->vqs[0], segs,
				RTE_DIM(segs), 0);
		fake_kick(&t.bad->vqs[0]);
		hostile_bursts(t.bad, HOSTILE_ROUNDS);
		if (hostile_recover(&t) != TEST_SUCCESS)
			return TEST_FAILED;
	}
	return TEST_SUCCESS;
}

static int
rx_readable_descriptor_is_harmless(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	TEST_ASSERT(fake_offer(&t.bad->vqs[0], 2000, NULL, false) >= 0, "room");
	fake_kick(&t.bad->vqs[0]);
	hostile_bursts(t.bad, HOSTILE_ROUNDS);
	return hostile_recover(&t);
}

static int
rx_packet_larger_than_the_whole_ring_is_refused(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .ring_size = 4),
		"two devices");
	TEST_ASSERT_EQUAL(fake_rx_fill(&t.bad->vqs[0], 4, 64, NULL), 4, "tiny");
	TEST_ASSERT_EQUAL(fake_backend_send(t.bad, 0, 1500, 1), 0, "no room");
	TEST_ASSERT_EQUAL(fake_backend_send(t.bad, 0, 150, 1), 1, "room");
	return hostile_recover(&t);
}

static int
rx_packet_may_take_the_whole_ring(void)
{
	struct two t;
	uint8_t pkt[1024];
	unsigned int sent;

	TEST_ASSERT(two_start(&t, .mergeable = true, .ring_size = 4),
		"two devices");
	TEST_ASSERT_EQUAL(fake_rx_fill(&t.bad->vqs[0], 4, 64, NULL), 4, "tiny");
	sent = fake_backend_send(t.bad, 0, 4 * 64 - 12, 1);
	if (sent == 1)
		TEST_ASSERT_EQUAL(fake_rx_take(&t.bad->vqs[0], NULL, pkt,
			sizeof(pkt)), 4 * 64 - 12, "whole");
	return hostile_recover(&t);
}

/* ---- memory that changes during the burst ---- */

struct changer {
	struct fake *fe;
	bool stop;
};

/** Flip lengths, addresses and links of descriptors in use. */
static void *
change_descriptors(void *arg)
{
	struct changer *c = arg;
	const struct fake_region *r = &c->fe->regions[0];
	uint64_t near_end = r->wire.gpa + r->wire.size - 200;
	unsigned int seed = 1;

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED))
		for (unsigned int q = 0; q < 2; q++)
			for (unsigned int i = 0; i < 32; i++) {
				volatile struct vring_desc *d =
					&c->fe->vqs[q].desc[i];

				d->len = rand_r(&seed) % 4 ? 150 : 0xffff;
				d->addr = near_end;
				d->next = rand_r(&seed) % 64;
			}
	return NULL;
}

static int
descriptors_changed_during_the_burst(void)
{
	struct changer c = { .stop = false };
	unsigned int rounds = 0;
	pthread_t thread;
	uint64_t until;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	c.fe = t.bad;
	until = fake_now_ms() + 500;
	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, change_descriptors, &c),
		"thread");
	while (fake_now_ms() < until) {
		for (unsigned int q = 0; q < 2; q++)
			for (unsigned int i = 0; i < 16; i++)
				show_head(&t.bad->vqs[q], i);
		hostile_bursts(t.bad, HOSTILE_ROUNDS);
		rounds++;
	}
	__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TEST_ASSERT(rounds > 0, "something was tried");
	return hostile_recover(&t);
}

/* ---- memory that goes away ---- */

static int
truncate_region(unsigned int regions, unsigned int which)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .regions = regions),
		"two devices");
	fake_rx_fill(&t.bad->vqs[0], 64, 2048, NULL);
	for (int i = 0; i < 16; i++)
		fake_tx_send(&t.bad->vqs[1], NULL, "0123456789abcdef", 16, NULL);
	TEST_ASSERT_SUCCESS(ftruncate(t.bad->regions[which].fd, 0), "truncate");
	hostile_bursts(t.bad, 3);
	rte_vhost_avail_entries(t.bad->vid, 0);
	rte_vhost_rx_queue_count(t.bad->vid, 1);
	rte_vhost_vring_call(t.bad->vid, 0);
	/* The fake must not touch what is gone either. */
	TEST_ASSERT_SUCCESS(ftruncate(t.bad->regions[which].fd,
		t.bad->regions[which].map_len), "grow again");
	memset(t.bad->regions[which].map, FAKE_GUARD_BYTE,
		t.bad->regions[which].map_len);
	hostile_bursts(t.bad, 3);
	TEST_ASSERT(fake_is_closed(t.bad), "its connection ends");
	t.bad->broken = false;
	return two_end(&t);
}

static int
file_truncated_later_costs_only_its_device(void)
{
	return truncate_region(1, 0);
}

static int
buffers_truncated_later_cost_only_their_device(void)
{
	return truncate_region(2, 1);
}

static int
rings_truncated_later_cost_only_their_device(void)
{
	return truncate_region(2, 0);
}

/* ---- the suite ---- */

/* What any format can be told, see test_vhost_hostile_packed.c. */
const struct test_case hostile_cases[] = {
	TEST_CASE(tx_chain_no_longer_than_the_header_is_dropped),
	TEST_CASE(tx_pool_is_not_exhausted_by_short_chains),
	TEST_CASE(tx_packet_larger_than_the_pool_is_dropped),
	TEST_CASE(tx_writable_descriptor_is_harmless),
	TEST_CASE(rx_tiny_buffers_at_the_border),
	TEST_CASE(rx_split_header_at_the_border),
	TEST_CASE(rx_readable_descriptor_is_harmless),
	TEST_CASE(rx_packet_larger_than_the_whole_ring_is_refused),
	TEST_CASE(rx_packet_may_take_the_whole_ring),
	TEST_CASE(file_truncated_later_costs_only_its_device),
	TEST_CASE(buffers_truncated_later_cost_only_their_device),
	TEST_CASE(rings_truncated_later_cost_only_their_device),
};

static_assert(RTE_DIM(hostile_cases) == NB_HOSTILE_CASES, "declared so");

static const struct test_case split_cases[] = {
	TEST_CASE_WITH(index_jumps, "avail_index_jumps_by_size_and_1", &jumps[0]),
	TEST_CASE_WITH(index_jumps, "avail_index_jumps_by_1000", &jumps[1]),
	TEST_CASE_WITH(index_jumps, "avail_index_jumps_by_32767", &jumps[2]),
	TEST_CASE_WITH(index_jumps, "avail_index_jumps_by_32768", &jumps[3]),
	TEST_CASE_WITH(index_jumps, "avail_index_goes_back", &jumps[4]),
	TEST_CASE(same_head_offered_many_times),
	TEST_CASE(descriptors_changed_during_the_burst),
};

#define NB_LIE_CASES (2 * RTE_DIM(lies))
#define NB_CASES (NB_LIE_CASES + NB_HOSTILE_CASES + RTE_DIM(split_cases))

static int
run_suite(const char *name, int (*setup)(void), void (*teardown)(void))
{
	static struct test_case cases[NB_CASES];
	static char names[NB_LIE_CASES][64];
	struct test_suite suite = {
		.name = name,
		.setup = setup,
		.check = fake_check,
		.teardown = teardown,
		TEST_SUITE_CASES(cases),
	};
	unsigned int n = 0;

	for (; n < NB_LIE_CASES; n++) {
		snprintf(names[n], sizeof(names[n]), "%s_%s",
			n & 1 ? "rx" : "tx", lies[n / 2].name);
		cases[n] = (struct test_case)TEST_CASE_WITH(
			n & 1 ? tell_to_receive : tell_to_transmit, names[n],
			&lies[n / 2]);
	}
	memcpy(&cases[n], hostile_cases, sizeof(hostile_cases));
	memcpy(&cases[n + NB_HOSTILE_CASES], split_cases, sizeof(split_cases));
	return test_suite_run(&suite);
}

static int
test_vhost_hostile_ring(void)
{
	return run_suite("vhost hostile ring", fake_setup, fake_teardown);
}

static int
test_vhost_async_hostile_ring(void)
{
	return run_suite("vhost hostile ring, asynchronous", fake_setup_async,
		fake_teardown_async);
}

REGISTER_TEST_COMMAND(vhost_hostile_ring_autotest, test_vhost_hostile_ring);
REGISTER_TEST_COMMAND(vhost_async_hostile_ring_autotest, test_vhost_async_hostile_ring);
