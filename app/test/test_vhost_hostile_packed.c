/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Packed rings that lie; see test_vhost_hostile_ring.c for what must hold.
 *
 * The device finds the next descriptor by its place, so lies are told where the
 * driver would go on.  Four of them fill a cache line, which a device may take
 * at once: most lies are told four times in a row and once more.
 */

#include <pthread.h>
#include <stdlib.h>

#include <linux/virtio_config.h>

#include "test_vhost_hostile.h"

#define AVAIL (1 << VRING_PACKED_DESC_F_AVAIL)
#define USED (1 << VRING_PACKED_DESC_F_USED)
#define RESERVED (0xffff & ~(AVAIL | USED | NEXT | WRITE | INDIRECT))

/* What wrong descriptors look like; one row, one case. */
struct lie {
	const char *name;
	unsigned int n;			/* descriptors */
	unsigned int times;		/* told in a row [1] */
	bool indirect;			/* they are in a table */
	uint32_t table_len;		/* said length of the table [true one] */
	uint16_t table_flags;		/* beside INDIRECT */
	struct vring_packed_desc desc[4];	/* flags without AVAIL and USED */
};

/* The rows are told to both directions; WRITE is added for receive buffers. */
static const struct lie lies[] = {
	{ "next_without_another", 1, .desc = { { GOOD, 100, 0, NEXT } } },
	{ "next_without_another_or_length", 1, .desc = { { GOOD, 0, 0, NEXT } } },
	{ "no_length", 1, 5, .desc = { { GOOD, 0, 0, 0 } } },
	{ "unmapped_address", 1, 5, .desc = { { UNMAPPED, 2000, 0, 0 } } },
	/* CVE-2020-10725 */
	{ "unmapped_without_length", 1, 5, .desc = { { UNMAPPED, 0, 0, 0 } } },
	{ "null_address", 1, 5, .desc = { { 0, 2000, 0, 0 } } },
	{ "null_address_without_length", 1, 5, .desc = { { 0, 0, 0, 0 } } },
	{ "one_unmapped_of_four", 4, .desc = { { GOOD, 500, 0, 0 },
		{ GOOD, 500, 1, 0 }, { UNMAPPED, 500, 2, 0 },
		{ GOOD, 500, 3, 0 } } },
	{ "one_without_length_of_four", 4, .desc = { { GOOD, 500, 0, 0 },
		{ GOOD, 500, 1, 0 }, { GOOD, 500, 2, 0 }, { GOOD, 0, 3, 0 } } },
	{ "unmapped_second_descriptor", 2, 4,
		.desc = { { GOOD, 50, 0, NEXT }, { UNMAPPED, 100, 0, 0 } } },
	/* 4.4 (a): room computed as an unsigned len - header. */
	{ "4_bytes_at_the_border", 1, 5, .desc = { { END + 4, 4, 0, 0 } } },
	{ "11_bytes_at_the_border", 1, 5, .desc = { { END + 11, 11, 0, 0 } } },
	{ "header_at_the_border", 1, 5, .desc = { { END + 12, 12, 0, 0 } } },
	{ "buffer_beyond_the_region", 1, 5, .desc = { { END + 20, 100, 0, 0 } } },
	{ "header_beyond_the_region", 1, 5, .desc = { { END + 4, 100, 0, 0 } } },
	{ "address_wraps", 1, 5, .desc = { { -100ULL, 4096, 0, 0 } } },
	{ "length_of_4_gib", 1, 5, .desc = { { GOOD, 0xffffffff, 0, 0 } } },
	{ "lengths_sum_to_0", 2, 4, .desc = { { GOOD, 0x80000000, 0, NEXT },
		{ GOOD, 0x80000000, 0, 0 } } },
	{ "reserved_flags", 1, 5, .desc = { { GOOD, 500, 0, RESERVED } } },
	{ "all_flags", 1, 5,
		.desc = { { GOOD, 500, 0, RESERVED | NEXT | INDIRECT } } },
	{ "id_beyond_the_ring", 1, 5, .desc = { { GOOD, 500, 0xffff, 0 } } },
	{ "ids_differ_in_a_chain", 4, .desc = { { GOOD, 50, 7, NEXT },
		{ GOOD, 50, 0xffff, NEXT }, { GOOD, 50, 300, NEXT },
		{ GOOD, 50, 0x8000, 0 } } },
	{ "indirect_table_unmapped", 1, 5,
		.desc = { { UNMAPPED, 64, 0, INDIRECT } } },
	{ "indirect_table_beyond_the_region", 1, 5,
		.desc = { { END + 16, 64, 0, INDIRECT } } },
	{ "indirect_table_without_length", 1, 5,
		.desc = { { GOOD, 0, 0, INDIRECT } } },
	{ "indirect_behind_a_descriptor", 2, 4,
		.desc = { { GOOD, 50, 0, NEXT }, { GOOD, 64, 0, INDIRECT } } },
	{ "indirect_in_indirect", 1, .indirect = true,
		.desc = { { GOOD, 32, 0, INDIRECT } } },
	{ "indirect_with_next", 2, .indirect = true, .table_flags = NEXT,
		.desc = { { GOOD, 50, 0, 0 }, { GOOD, 50, 0, 0 } } },
	{ "indirect_table_of_half_a_descriptor", 1, .indirect = true,
		.table_len = 8, .desc = { { GOOD, 50, 0, 0 } } },
	{ "indirect_table_not_a_multiple", 2, .indirect = true, .table_len = 17,
		.desc = { { GOOD, 50, 0, NEXT }, { GOOD, 50, 0, 0 } } },
	{ "indirect_table_of_4_gib", 2, .indirect = true,
		.table_len = 0xfffffff0,
		.desc = { { GOOD, 50, 0, 0 }, { GOOD, 50, 0, 0 } } },
	{ "indirect_table_of_a_mib", 2, .indirect = true, .table_len = 1 << 20,
		.desc = { { GOOD, 50, 0, 0 }, { GOOD, 50, 0, 0 } } },
	{ "indirect_table_longer_than_memory", 2, .indirect = true,
		.table_len = 64 << 20,
		.desc = { { GOOD, 50, 0, 0 }, { GOOD, 50, 0, 0 } } },
	{ "indirect_descriptors_unmapped", 2, 4, .indirect = true,
		.desc = { { UNMAPPED, 50, 0, 0 }, { UNMAPPED, 0, 0, 0 } } },
	{ "indirect_descriptors_without_length", 4, .indirect = true,
		.desc = { { GOOD, 0, 0, 0 } } },
	{ "indirect_flags_reserved", 2, .indirect = true,
		.desc = { { GOOD, 500, 0, 0xffff & ~INDIRECT },
			{ GOOD, 500, 0, 0xffff & ~INDIRECT } } },
};

/** Put a descriptor where the driver would go on, available. */
static void
put(struct fake_vq *vq, struct vring_packed_desc desc)
{
	desc.flags |= vq->avail_wrap ? AVAIL : USED;
	vq->packed[vq->avail_idx] = desc;
	if (++vq->avail_idx == vq->size) {
		vq->avail_idx = 0;
		vq->avail_wrap = !vq->avail_wrap;
	}
}

static void
tell_once(struct fake_vq *vq, const struct lie *lie, uint16_t flags)
{
	uint64_t buffer = fake_alloc(vq->fe, vq->fe->nregions - 1, 4096, 64);
	uint64_t table = fake_alloc(vq->fe, vq->fe->nregions - 1, 4096, 64);
	struct vring_packed_desc *entry = fake_va(vq->fe, table, 4096);

	for (unsigned int i = 0; i < lie->n; i++) {
		struct vring_packed_desc desc = lie->desc[i];

		desc.addr = hostile_address(vq->fe, buffer, desc.addr);
		desc.flags |= desc.flags & INDIRECT ? 0 : flags;
		if (lie->indirect)
			entry[i] = desc;
		else
			put(vq, desc);
	}
	if (lie->indirect)
		put(vq, (struct vring_packed_desc){ .addr = table,
			.len = lie->table_len ? lie->table_len :
				lie->n * sizeof(*entry),
			.flags = INDIRECT | lie->table_flags });
}

static int
tell(const struct lie *lie, unsigned int ring, const struct fake_config *cfg)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = cfg->mergeable,
		.in_order = cfg->in_order), "two devices");
	for (unsigned int i = 0; i < RTE_MAX(lie->times, 1U); i++)
		tell_once(&t.bad->vqs[ring], lie, ring == 0 ? WRITE : 0);
	hostile_bursts(t.bad, HOSTILE_ROUNDS);
	return hostile_recover(&t);
}

static int
tell_to_transmit(const void *arg)
{
	for (int in_order = 0; in_order < 2; in_order++)
		if (tell(arg, 1, &(struct fake_config){ .mergeable = true,
				.in_order = in_order }) != TEST_SUCCESS)
			return TEST_FAILED;
	return TEST_SUCCESS;
}

static int
tell_to_receive(const void *arg)
{
	for (int way = 0; way < 4; way++)
		if (tell(arg, 0, &(struct fake_config){ .mergeable = way & 1,
				.in_order = way & 2 }) != TEST_SUCCESS)
			return TEST_FAILED;
	return TEST_SUCCESS;
}

/* ---- the whole ring ---- */

static int
chain_longer_than_the_ring(const void *arg)
{
	uint32_t len = *(const uint32_t *)arg;
	struct two t;

	for (int mergeable = 0; mergeable < 2; mergeable++) {
		TEST_ASSERT(two_start(&t, .mergeable = mergeable), "two devices");
		for (unsigned int q = 0; q < 2; q++) {
			struct fake_vq *vq = &t.bad->vqs[q];
			uint64_t gpa = fake_alloc(t.bad, 0, 4096, 64);

			for (unsigned int i = 0; i < vq->size; i++)
				put(vq, (struct vring_packed_desc){ gpa, len, 0,
					NEXT | (q == 0 ? WRITE : 0) });
		}
		hostile_bursts(t.bad, HOSTILE_ROUNDS);
		if (hostile_recover(&t) != TEST_SUCCESS)
			return TEST_FAILED;
	}
	return TEST_SUCCESS;
}

static const uint32_t chain_lens[] = { 0, 1, 100, 0x80000000 };

/** A descriptor that may be right in some ways. */
static struct vring_packed_desc
random_desc(struct fake *fe, uint64_t buffer, unsigned int *state)
{
	const uint64_t addresses[] = { GOOD, GOOD + 100, END + 64, END + 4,
		END + 2000, UNMAPPED, 0 };
	const uint32_t lens[] = { 0, 4, 12, 64, 1500, 2000, 4096, 1 << 20 };

	return (struct vring_packed_desc){
		.addr = hostile_address(fe, buffer,
			addresses[rand_r(state) % RTE_DIM(addresses)]),
		.len = lens[rand_r(state) % RTE_DIM(lens)],
		.id = rand_r(state) % 300,
		.flags = rand_r(state) & 0xffff,
	};
}

/** Fill descriptors at random, most of them available and in no chain. */
static void
fill_at_random(struct fake_vq *vq, uint64_t buffer, unsigned int *state)
{
	for (unsigned int i = 0; i < vq->size; i++) {
		struct vring_packed_desc desc = random_desc(vq->fe, buffer, state);

		if (rand_r(state) % 8 != 0)
			desc.flags &= WRITE;
		if (rand_r(state) % 8 != 0)
			desc.flags |= rand_r(state) % 2 ? AVAIL : USED;
		vq->packed[i] = desc;
	}
}

static int
random_rings_do_no_harm(const void *arg)
{
	unsigned int seed = test_param_u64("seed", fake_now_ms() & 0xffffff);
	struct fake_config cfg = *(const struct fake_config *)arg;
	uint64_t until = fake_now_ms() + 400, buffer;
	unsigned int state = seed;
	struct two t;

	printf("seed=%u\n", seed);
	TEST_ASSERT(two_start(&t, .mergeable = cfg.mergeable,
		.in_order = cfg.in_order, .ring_size = cfg.ring_size), "devices");
	buffer = fake_alloc(t.bad, 0, 4096, 64);
	while (fake_now_ms() < until) {
		for (unsigned int q = 0; q < 2; q++) {
			fill_at_random(&t.bad->vqs[q], buffer, &state);
			t.bad->vqs[q].driver_event->flags = rand_r(&state);
			t.bad->vqs[q].driver_event->off_wrap = rand_r(&state);
		}
		hostile_bursts(t.bad, 10);
		TEST_ASSERT(fake_guards_intact(t.bad), "seed %u", seed);
	}
	return hostile_recover(&t);
}

static const struct fake_config random_rings[] = {
	{ .mergeable = false },
	{ .mergeable = true },
	{ .mergeable = true, .in_order = true },
	{ .mergeable = true, .ring_size = 61 },
};

/* ---- around the ring ---- */

static int
event_structure_makes_no_sense(const void *arg)
{
	static const uint16_t offs[] = { 0, 256, 257, 0x7fff, 0x8100, 0xffff };
	static const uint16_t flags[] = { 2, 3, 0x8000, 0xffff };
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true,
		.event_idx = *(const bool *)arg), "two devices");
	for (unsigned int i = 0; i < RTE_DIM(offs) * RTE_DIM(flags); i++) {
		for (unsigned int q = 0; q < 2; q++) {
			t.bad->vqs[q].driver_event->off_wrap =
				offs[i / RTE_DIM(flags)];
			t.bad->vqs[q].driver_event->flags =
				flags[i % RTE_DIM(flags)];
		}
		TEST_ASSERT_EQUAL(fake_round_trip(t.bad, 0, 300), 300,
			"packets pass, with or without interrupts");
	}
	return hostile_recover(&t);
}

static const bool no = false, yes = true;

/* The place behind the last descriptor of a ring of any size is not the ring's. */
static int
nothing_is_written_behind_an_odd_ring(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .ring_size = 7), "devices");
	for (unsigned int q = 0; q < 2; q++)
		memset(&t.bad->vqs[q].packed[7], FAKE_GUARD_BYTE, 1024);
	for (unsigned int i = 0; i < 100; i++)
		TEST_ASSERT_EQUAL(fake_round_trip(t.bad, 0, 64 + i), 64 + i,
			"round %u", i);
	hostile_bursts(t.bad, HOSTILE_ROUNDS);
	for (unsigned int q = 0; q < 2; q++)
		for (unsigned int i = 0; i < 1024; i++)
			TEST_ASSERT_EQUAL(((uint8_t *)&t.bad->vqs[q].packed[7])[i],
				FAKE_GUARD_BYTE, "ring %u, byte %u behind it", q, i);
	return hostile_recover(&t);
}

static int
base_is_beyond_the_ring(const void *arg)
{
	uint32_t base = *(const uint32_t *)arg;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (unsigned int q = 0; q < 2; q++)
		TEST_ASSERT(fake_stop_vring(t.bad, q) >= 0, "stop");
	/* Refused or not; with a ring that has its size and then shrinks. */
	for (unsigned int q = 0; q < 2; q++) {
		struct fake_vq *vq = &t.bad->vqs[q];
		struct fake_addr addr = fake_addr_of(t.bad, q);

		fake_call_state(t.bad, FE_SET_VRING_NUM, q, 256);
		fake_call_state(t.bad, FE_SET_VRING_BASE, q, base);
		fake_call_state(t.bad, FE_SET_VRING_NUM, q, 100);
		fake_call(t.bad, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
		fake_call_fd(t.bad, FE_SET_VRING_CALL, q, vq->callfd);
		fake_call_fd(t.bad, FE_SET_VRING_KICK, q, vq->kickfd);
		fake_enable_vring(t.bad, q, true);
	}
	hostile_bursts(t.bad, HOSTILE_ROUNDS);
	return hostile_recover(&t);
}

static const uint32_t bases[] = {
	200, 256, 0x7fff, 0xffff, 0x7fff0000, 0xffffffff
};

/* A split ring of this size cannot be. */
static int
odd_size_and_then_split(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .ring_size = 250,
		.until = FAKE_RINGS), "two devices");
	fake_call_u64(t.bad, FE_SET_FEATURES,
		t.bad->features & ~FE_BIT(VIRTIO_F_RING_PACKED));
	for (unsigned int q = 0; q < 2; q++)
		fake_enable_vring(t.bad, q, true);
	fake_is_served(t.bad);
	hostile_bursts(t.bad, HOSTILE_ROUNDS);
	TEST_ASSERT(fake_guards_intact(t.bad), "nothing outside was written");
	return two_end(&t);
}

/* ---- memory that changes during the burst ---- */

struct changer {
	struct fake *fe;
	bool stop;
};

/** Flip lengths, addresses and flags of descriptors in use. */
static void *
change_descriptors(void *arg)
{
	struct changer *c = arg;
	const struct fake_region *r = &c->fe->regions[0];
	uint64_t near_end = r->wire.gpa + r->wire.size - 200;
	unsigned int seed = 1;

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED))
		for (unsigned int q = 0; q < 2; q++)
			for (unsigned int i = 0; i < c->fe->vqs[q].size; i++) {
				volatile struct vring_packed_desc *d =
					&c->fe->vqs[q].packed[i];

				d->len = rand_r(&seed) % 4 ? 150 : 0xffff;
				d->addr = near_end;
				d->id = rand_r(&seed);
				d->flags = (rand_r(&seed) & (NEXT | WRITE)) |
					(rand_r(&seed) % 4 ? AVAIL : USED);
				d->len = rand_r(&seed) % 4 ? 4 : 200;
			}
	return NULL;
}

static int
descriptors_changed_during_the_burst(const void *arg)
{
	struct changer c = { .stop = false };
	pthread_t thread;
	uint64_t until;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = *(const bool *)arg,
		.ring_size = 32), "two devices");
	c.fe = t.bad;
	until = fake_now_ms() + 500;
	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, change_descriptors, &c),
		"thread");
	while (fake_now_ms() < until)
		hostile_bursts(t.bad, HOSTILE_ROUNDS);
	__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return hostile_recover(&t);
}

/* ---- the suite ---- */

static const struct test_case fixed_cases[] = {
	TEST_CASE_WITH(chain_longer_than_the_ring,
		"chain_longer_than_the_ring_without_length", &chain_lens[0]),
	TEST_CASE_WITH(chain_longer_than_the_ring,
		"chain_longer_than_the_ring_of_1_byte_each", &chain_lens[1]),
	TEST_CASE_WITH(chain_longer_than_the_ring,
		"chain_longer_than_the_ring_of_100_bytes_each", &chain_lens[2]),
	TEST_CASE_WITH(chain_longer_than_the_ring,
		"chain_longer_than_the_ring_of_2_gib_each", &chain_lens[3]),
	TEST_CASE_WITH(random_rings_do_no_harm, "random_rings_plain",
		&random_rings[0]),
	TEST_CASE_WITH(random_rings_do_no_harm, "random_rings_mergeable",
		&random_rings[1]),
	TEST_CASE_WITH(random_rings_do_no_harm, "random_rings_in_order",
		&random_rings[2]),
	TEST_CASE_WITH(random_rings_do_no_harm, "random_rings_of_odd_size",
		&random_rings[3]),
	TEST_CASE_WITH(event_structure_makes_no_sense,
		"event_structure_makes_no_sense_flags", &no),
	TEST_CASE_WITH(event_structure_makes_no_sense,
		"event_structure_makes_no_sense_event_idx", &yes),
	TEST_CASE(nothing_is_written_behind_an_odd_ring),
	TEST_CASE_WITH(base_is_beyond_the_ring, "base_beyond_shrunk_ring",
		&bases[0]),
	TEST_CASE_WITH(base_is_beyond_the_ring, "base_at_the_size", &bases[1]),
	TEST_CASE_WITH(base_is_beyond_the_ring, "base_far_beyond", &bases[2]),
	TEST_CASE_WITH(base_is_beyond_the_ring, "base_far_beyond_in_odd_turn",
		&bases[3]),
	TEST_CASE_WITH(base_is_beyond_the_ring, "used_base_far_beyond",
		&bases[4]),
	TEST_CASE_WITH(base_is_beyond_the_ring, "base_all_bits", &bases[5]),
	TEST_CASE(odd_size_and_then_split),
	TEST_CASE_WITH(descriptors_changed_during_the_burst,
		"descriptors_changed_during_the_burst_plain", &no),
	TEST_CASE_WITH(descriptors_changed_during_the_burst,
		"descriptors_changed_during_the_burst_mergeable", &yes),
};

#define NB_LIE_CASES (2 * RTE_DIM(lies))
#define NB_CASES (NB_LIE_CASES + NB_HOSTILE_CASES + RTE_DIM(fixed_cases))

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
	memcpy(&cases[n + NB_HOSTILE_CASES], fixed_cases, sizeof(fixed_cases));
	return test_suite_run(&suite);
}

static int
test_vhost_hostile_packed(void)
{
	return run_suite("vhost hostile ring, packed", fake_setup_packed, fake_teardown);
}

static int
test_vhost_async_hostile_packed(void)
{
	return run_suite("vhost hostile ring, packed, asynchronous", fake_setup_async_packed,
		fake_teardown_async);
}

REGISTER_TEST_COMMAND(vhost_hostile_packed_autotest, test_vhost_hostile_packed);
REGISTER_TEST_COMMAND(vhost_async_hostile_packed_autotest, test_vhost_async_hostile_packed);
