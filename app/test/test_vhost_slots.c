/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Memory slots as QEMU 7.2 uses them: each queue pair adds and removes each region by
 * itself, and a pair that does not run at the moment does so late.
 */

#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_log.h"

#define SLOT_SIZE (256u << 10)
#define PAIRS 4

/** VHOST_USER_ADD_MEM_REG and REM_MEM_REG. */
struct slot {
	uint64_t padding;
	struct fake_mem_region region;
	int fd;			/**< not sent with the rest */
};

static struct slot
slot_at(unsigned int place)
{
	struct slot slot = {
		.region = {
			.gpa = (0x100ULL + place) << 32, .uva = (0x7000ULL + place) << 32,
			.size = SLOT_SIZE,
		},
		.fd = memfd_create("vhost-test-slots", MFD_CLOEXEC),
	};

	if (slot.fd >= 0 && ftruncate(slot.fd, SLOT_SIZE) < 0)
		return (struct slot){ .fd = -1 };
	return slot;
}

static enum fake_verdict
add(struct fake *fe, const struct slot *slot)
{
	return fake_call(fe, FE_ADD_MEM_REG, slot, offsetof(struct slot, fd), &slot->fd, 1);
}

static enum fake_verdict
rem(struct fake *fe, const struct slot *slot)
{
	return fake_call(fe, FE_REM_MEM_REG, slot, offsetof(struct slot, fd), NULL, 0);
}

static struct fake *
guest(void)
{
	return fake_start(.mergeable = true,
		.protocol_features = FE_BIT(FE_PROTOCOL_MEM_SLOTS));
}

static const struct mem_map *
map_of(const struct fake *fe)
{
	return vhost_device_peek(fe->vid)->running.map;
}

static int
end(struct fake *fe)
{
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 100), 100, "packets, still");
	return fake_stop(fe);
}

static int
slots_are_offered_to_everybody(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	uint64_t offered = 0, slots = 0;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_PROTOCOL_FEATURES, &offered), "ask");
	TEST_ASSERT((offered & FE_BIT(FE_PROTOCOL_MEM_SLOTS)) != 0, "without being asked to");
	TEST_ASSERT_SUCCESS(fake_stop(fe), "the end");
	fe = guest();
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_MAX_MEM_SLOTS, &slots), "how many");
	TEST_ASSERT_EQUAL(slots, VHOST_MAX_REGIONS, "as many as maps have");
	return end(fe);
}

static int
a_region_has_its_line(void)
{
	struct slot slot = slot_at(1);
	struct log_capture log;
	struct fake *fe = guest();
	enum fake_verdict verdict;
	char line[96];

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	verdict = add(fe, &slot);
	log_end(&log);
	TEST_ASSERT_EQUAL(verdict, FAKE_ACK, "a region more");
	snprintf(line, sizeof(line), "guest physical addr: %#" PRIx64 "\n", slot.region.gpa);
	TEST_ASSERT_EQUAL(log_count(&log, line), 1, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "guest physical addr: "), 1, "and no other: %s", log.text);
	log_free(&log);
	TEST_ASSERT_EQUAL(rem(fe, &slot), FAKE_ACK, "it goes");
	close(slot.fd);
	return end(fe);
}

static int
region_of_all_pairs_goes_with_the_last(void)
{
	struct fake *fe = guest();
	struct slot slot = slot_at(1);
	unsigned int fds = fake_count_fds();
	uint64_t generation;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(add(fe, &slot), FAKE_ACK, "the first");
	generation = map_of(fe)->generation;
	for (unsigned int i = 1; i < PAIRS; i++)
		TEST_ASSERT_EQUAL(add(fe, &slot), FAKE_ACK, "pair %u", i);
	TEST_ASSERT_EQUAL(map_of(fe)->nregions, 2, "one region more");
	TEST_ASSERT_EQUAL(map_of(fe)->generation, generation, "nothing was built for that");
	TEST_ASSERT_EQUAL(fake_wait_fds(fds + 1), fds + 1, "one descriptor");
	for (unsigned int i = 1; i < PAIRS; i++) {
		TEST_ASSERT_EQUAL(rem(fe, &slot), FAKE_ACK, "pair %u", i);
		TEST_ASSERT_EQUAL(map_of(fe)->nregions, 2, "it stays");
	}
	TEST_ASSERT_EQUAL(rem(fe, &slot), FAKE_ACK, "the last");
	TEST_ASSERT_EQUAL(map_of(fe)->nregions, 1, "it goes");
	TEST_ASSERT_EQUAL(rem(fe, &slot), FAKE_NACK, "once too often");
	close(slot.fd);
	return end(fe);
}

static int
all_slots_of_all_pairs(void)
{
	struct fake *fe = guest();
	struct slot slots[VHOST_MAX_REGIONS - 1];

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 0; i < RTE_DIM(slots); i++) {
		slots[i] = slot_at(i);
		for (unsigned int pair = 0; pair < PAIRS; pair++)
			TEST_ASSERT_EQUAL(add(fe, &slots[i]), FAKE_ACK, "slot %u", i);
	}
	TEST_ASSERT_EQUAL(map_of(fe)->nregions, VHOST_MAX_REGIONS, "all");
	for (unsigned int i = 0; i < RTE_DIM(slots); i++) {
		for (unsigned int pair = 0; pair < PAIRS; pair++)
			TEST_ASSERT_EQUAL(rem(fe, &slots[i]), FAKE_ACK, "slot %u", i);
		close(slots[i].fd);
	}
	TEST_ASSERT_EQUAL(map_of(fe)->nregions, 1, "as before");
	return end(fe);
}

static int
another_file_is_not_the_same_region(void)
{
	struct fake *fe = guest();
	struct slot slot = slot_at(1), other = slot_at(1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(add(fe, &slot), FAKE_ACK, "a region");
	TEST_ASSERT_EQUAL(add(fe, &other), FAKE_NACK, "another file at its place");
	TEST_ASSERT_EQUAL(add(fe, &slot), FAKE_ACK, "the same");
	other.region.mmap_offset = 4096;
	TEST_ASSERT_EQUAL(ftruncate(slot.fd, 2 * SLOT_SIZE), 0, "room");
	close(other.fd);
	other.fd = slot.fd;
	TEST_ASSERT_EQUAL(add(fe, &other), FAKE_NACK, "another part of the file");
	close(slot.fd);
	return end(fe);
}

/*
 * Two pairs have a region, one stands still.  The other one removes it and plugs
 * other memory at its place; later the first one catches up.
 */
static int
pair_that_stood_still_catches_up(void)
{
	struct fake *fe = guest();
	struct slot old = slot_at(1), new = slot_at(1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT(add(fe, &old) == FAKE_ACK && add(fe, &old) == FAKE_ACK, "both");
	TEST_ASSERT_EQUAL(rem(fe, &old), FAKE_ACK, "the one that runs");
	new.region.uva += 4096;
	TEST_ASSERT_EQUAL(add(fe, &new), FAKE_ACK, "makes room");
	TEST_ASSERT_EQUAL(map_of(fe)->nregions, 2, "the new one instead");
	TEST_ASSERT_EQUAL(map_of(fe)->regions[1].uva, new.region.uva, "the new one instead");
	TEST_ASSERT_EQUAL(rem(fe, &old), FAKE_ACK, "the one that stood still");
	TEST_ASSERT_EQUAL(add(fe, &new), FAKE_ACK, "the one that stood still");
	TEST_ASSERT_EQUAL(rem(fe, &old), FAKE_NACK, "nobody else has it");
	TEST_ASSERT_EQUAL(rem(fe, &new), FAKE_ACK, "one");
	TEST_ASSERT_EQUAL(rem(fe, &new), FAKE_ACK, "the other");
	TEST_ASSERT_EQUAL(map_of(fe)->nregions, 1, "as before");
	close(old.fd);
	close(new.fd);
	return end(fe);
}

/* What is at the same place again may not be taken for what had to make room. */
static int
region_that_comes_back(void)
{
	struct fake *fe = guest();
	struct slot slot = slot_at(1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int round = 0; round < 3; round++) {
		TEST_ASSERT(add(fe, &slot) == FAKE_ACK && add(fe, &slot) == FAKE_ACK, "both");
		TEST_ASSERT_EQUAL(rem(fe, &slot), FAKE_ACK, "one");
		TEST_ASSERT_EQUAL(add(fe, &slot), FAKE_ACK, "which has it again");
		TEST_ASSERT(rem(fe, &slot) == FAKE_ACK && rem(fe, &slot) == FAKE_ACK, "both");
		TEST_ASSERT_EQUAL(rem(fe, &slot), FAKE_NACK, "nobody has it");
	}
	close(slot.fd);
	return end(fe);
}

static const struct test_case cases[] = {
	TEST_CASE(slots_are_offered_to_everybody),
	TEST_CASE(a_region_has_its_line),
	TEST_CASE(region_of_all_pairs_goes_with_the_last),
	TEST_CASE(all_slots_of_all_pairs),
	TEST_CASE(another_file_is_not_the_same_region),
	TEST_CASE(pair_that_stood_still_catches_up),
	TEST_CASE(region_that_comes_back),
};

static int
test_vhost_slots(void)
{
	static const struct test_suite suite = {
		.name = "vhost slots",
		.setup = fake_setup, .teardown = fake_teardown, .check = fake_check,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_slots_autotest, test_vhost_slots);
