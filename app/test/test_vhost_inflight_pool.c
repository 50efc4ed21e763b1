/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * In-flight areas are the library's to pay for: how many a frontend gets, which of
 * them go when there are too many, and that dropped ones are noticed.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_vhost_limits.h>

#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_fake_inflight.h"

#define QUEUES 2
#define SIZE 8192

/** Areas that there is room for. */
#define ROOM 3

#define TRACKED .protocol_features = FE_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)

static uint64_t
used(const struct fake *fe)
{
	struct rte_vhost_limits_usage usage = { 0 };

	rte_vhost_driver_limits_get(fe->path, &usage);
	return usage.inflight_bytes;
}

/** Bytes of memory behind an area. */
static uint64_t
memory_of(const struct fake_inflight *area)
{
	struct stat st;

	return fstat(area->fd, &st) == 0 ? st.st_blocks * UINT64_C(512) : 0;
}

static bool
has_memory(const struct fake_inflight *area)
{
	return memory_of(area) >= area->wire.mmap_size;
}

/** A frontend whose socket has room for so many areas of QUEUES rings of SIZE. */
static struct fake *
limited(unsigned int areas)
{
	struct fake *fe = fake_start(TRACKED, .until = FAKE_MEMORY);
	struct rte_vhost_limits limits = { 0 };

	if (fe == NULL)
		return NULL;
	limits.inflight_bytes = areas * (QUEUES * fake_inflight_stride(fe, SIZE));
	return rte_vhost_driver_limits_set(fe->path, &limits) == 0 ? fe : NULL;
}

static int
dropped_areas_cost_nothing(void)
{
	struct fake *fe = limited(ROOM);
	struct fake_inflight area;
	unsigned int fds;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fds = fake_count_fds();
	for (unsigned int i = 0; i < 50; i++) {
		TEST_ASSERT_SUCCESS(fake_inflight_get(fe, &area, QUEUES, SIZE), "round %u", i);
		TEST_ASSERT_EQUAL(used(fe), area.wire.mmap_size, "one, round %u", i);
		TEST_ASSERT(has_memory(&area), "one, round %u", i);
		fake_inflight_close(&area);
	}
	TEST_ASSERT(fake_wait_fds(fds + 1) <= fds + 1, "the last may be there still");
	return fake_stop(fe);
}

static int
oldest_areas_are_emptied_for_new_ones(void)
{
	struct fake *fe = limited(ROOM);
	struct fake_inflight areas[3 * ROOM];

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 0; i < RTE_DIM(areas); i++) {
		TEST_ASSERT_SUCCESS(fake_inflight_get(fe, &areas[i], QUEUES, SIZE), "%u", i);
		areas[i].map[0] = 1;
		TEST_ASSERT(used(fe) <= ROOM * areas[i].wire.mmap_size, "area %u", i);
		for (unsigned int k = 0; k <= i; k++)
			TEST_ASSERT_EQUAL(has_memory(&areas[k]), k + ROOM > i,
				"the last ones have theirs, %u of %u", k, i);
	}
	TEST_ASSERT_EQUAL(areas[0].map[0], 0, "an empty one can be read");
	TEST_ASSERT_EQUAL(fake_inflight_set(fe, &areas[0]), FAKE_ACK, "and used");
	TEST_ASSERT_SUCCESS(fake_run(fe), "by rings");
	for (unsigned int i = 0; i < RTE_DIM(areas); i++)
		fake_inflight_close(&areas[i]);
	return fake_stop(fe);
}

static int
areas_in_use_keep_their_memory(void)
{
	struct fake *fe = limited(1), *other;
	struct fake_inflight area, more;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_inflight_get(fe, &area, QUEUES, SIZE), "the only one");
	TEST_ASSERT_EQUAL(fake_inflight_set(fe, &area), FAKE_ACK, "in use");
	other = fake_start(TRACKED, .until = FAKE_MEMORY, .join = fe);
	TEST_ASSERT_NOT_NULL(other, "another one of the same socket");
	TEST_ASSERT(fake_inflight_get(other, &more, QUEUES, SIZE) < 0, "is refused");
	TEST_ASSERT(has_memory(&area), "nobody takes it");
	TEST_ASSERT_SUCCESS(fake_connect(fe), "a new connection");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "a new connection");
	TEST_ASSERT_EQUAL(fake_inflight_set(fe, &area), FAKE_ACK, "which has it again");
	TEST_ASSERT_EQUAL(used(fe), area.wire.mmap_size, "known as what it was");
	TEST_ASSERT_SUCCESS(fake_connect(other), "the other one comes again");
	TEST_ASSERT_SUCCESS(fake_negotiate(other), "the other one comes again");
	TEST_ASSERT(fake_inflight_get(other, &more, QUEUES, SIZE) < 0, "and is refused again");
	fake_disconnect(fe);
	TEST_ASSERT_SUCCESS(fake_connect(other), "the other one comes again");
	TEST_ASSERT_SUCCESS(fake_negotiate(other), "the other one comes again");
	TEST_ASSERT_SUCCESS(fake_inflight_get(other, &more, QUEUES, SIZE), "its turn");
	TEST_ASSERT(!has_memory(&area), "nobody used it");
	fake_inflight_close(&area);
	fake_inflight_close(&more);
	TEST_ASSERT_SUCCESS(fake_stop(other), "the end");
	return fake_stop(fe);
}

static int
many_small_areas_are_bounded(void)
{
	struct fake *fe = fake_start(TRACKED, .until = FAKE_MEMORY);
	struct fake_inflight areas[100];
	unsigned int fds = fake_count_fds();

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 0; i < RTE_DIM(areas); i++)
		TEST_ASSERT_SUCCESS(fake_inflight_get(fe, &areas[i], 1, 32), "%u", i);
	TEST_ASSERT(fake_wait_fds(fds + RTE_DIM(areas) + 64) <= fds + RTE_DIM(areas) + 64,
		"64 descriptors of the library's");
	for (unsigned int i = 0; i < RTE_DIM(areas); i++)
		fake_inflight_close(&areas[i]);
	return fake_stop(fe);
}

static int
areas_of_the_frontends_own_cost_nothing(void)
{
	struct fake *fe = limited(1);
	struct fake_inflight own;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_inflight_make(fe, &own, QUEUES, SIZE), "its own");
	TEST_ASSERT_EQUAL(fake_inflight_set(fe, &own), FAKE_ACK, "used");
	TEST_ASSERT_EQUAL(used(fe), 0, "not ours to pay for");
	fake_inflight_close(&own);
	return fake_stop(fe);
}

static const struct test_case cases[] = {
	TEST_CASE(dropped_areas_cost_nothing),
	TEST_CASE(oldest_areas_are_emptied_for_new_ones),
	TEST_CASE(areas_in_use_keep_their_memory),
	TEST_CASE(many_small_areas_are_bounded),
	TEST_CASE(areas_of_the_frontends_own_cost_nothing),
};

static int
test_vhost_inflight_pool(void)
{
	static const struct test_suite suite = {
		.name = "vhost in-flight areas of a socket",
		.setup = fake_setup, .teardown = fake_teardown, .check = fake_check,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_inflight_pool_autotest, test_vhost_inflight_pool);
