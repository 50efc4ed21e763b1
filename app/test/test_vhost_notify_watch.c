/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A frontend makes its eventfd block again and fills it, while bursts notify the guest.
 * Who is caught is freed, the guest is still notified, and all of it happens once.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_mbuf.h>
#include <rte_vhost.h>

#include "doorbell.h"
#include "test.h"
#include "test_vhost_hostile.h"
#include "vhost_test_log.h"

#define MESSAGE "held up who notified it"

/** A device that misbehaves, whose guest waits for frames, and one that does not. */
static bool
begin(struct two *t)
{
	__atomic_store_n(&vhost_doorbell_asks_first, false, __ATOMIC_RELAXED);
	if (!two_start(t, .mergeable = true))
		return false;
	/* the one with the handle 0 is no exception */
	if (t->good->vid == 0)
		RTE_SWAP(t->good, t->bad);
	if (fake_rx_fill(&t->bad->vqs[0], 64, 256, NULL) != 64)
		return false;
	fake_interrupts(&t->bad->vqs[0]);
	return true;
}

/** Have the next write to an eventfd wait. */
static int
make_block(int fd)
{
	const uint64_t most = UINT64_MAX - 1;
	uint64_t count;

	TEST_ASSERT(read(fd, &count, sizeof(count)) > 0 || errno == EAGAIN, "empty it");
	TEST_ASSERT_EQUAL(write(fd, &most, sizeof(most)), sizeof(most), "fill it");
	return fcntl(fd, F_SETFL, 0);
}

static bool
is_notified(int fd)
{
	uint64_t count = 0;

	return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
		read(fd, &count, sizeof(count)) == sizeof(count) && count > 0;
}

static int
call_guest(struct fake *fe)
{
	return rte_vhost_vring_call(fe->vid, 0);
}

static int
call_guest_nonblock(struct fake *fe)
{
	return rte_vhost_vring_call_nonblock(fe->vid, 0);
}

static int
burst_to_guest(struct fake *fe)
{
	return fake_backend_send(fe, 0, 64, 0) == 1 ? 0 : -1;
}

/** What waits in the write. */
struct way {
	int (*notify)(struct fake *fe);
};

static int
writer_is_freed(const void *arg)
{
	const struct way *way = arg;
	struct log_capture log;
	struct two t;
	int ret;

	TEST_ASSERT(begin(&t), "two devices");
	TEST_ASSERT_SUCCESS(make_block(t.bad->vqs[0].callfd), "it blocks");
	TEST_ASSERT_SUCCESS(log_begin(&log), "log");
	ret = way->notify(t.bad);
	TEST_ASSERT(fake_is_served(t.good), "the event thread has written its line");
	log_end(&log);
	TEST_ASSERT_SUCCESS(ret, "it has come back");
	TEST_ASSERT_EQUAL(log_count(&log, MESSAGE), 1, "%s", log.text);
	log_free(&log);
	TEST_ASSERT(is_notified(t.bad->vqs[0].callfd), "the guest hears of it");
	return two_end(&t);
}

/* The process asks first then: nobody is caught, so nobody has to look. */
static int
nobody_is_caught_again(void)
{
	struct log_capture log;
	struct two t;

	TEST_ASSERT(begin(&t), "two devices");
	TEST_ASSERT_SUCCESS(make_block(t.bad->vqs[0].callfd), "it blocks");
	TEST_ASSERT_SUCCESS(burst_to_guest(t.bad), "caught once");
	/* who was caught comes back a moment before that is noted */
	TEST_ASSERT(fake_is_served(t.good), "the event thread has written its line");
	TEST_ASSERT(__atomic_load_n(&vhost_doorbell_asks_first, __ATOMIC_RELAXED), "ask from now on");
	TEST_ASSERT_SUCCESS(log_begin(&log), "log");
	for (int i = 0; i < 20; i++) {
		TEST_ASSERT_SUCCESS(make_block(t.bad->vqs[0].callfd), "again, %d", i);
		TEST_ASSERT_SUCCESS(burst_to_guest(t.bad), "frame %d", i);
		TEST_ASSERT(vhost_doorbell_writers[rte_lcore_id()].place == 0, "%d", i);
	}
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, MESSAGE), 0, "%s", log.text);
	log_free(&log);
	return two_end(&t);
}

/* A lcore that has lost its core in the middle of a write looks the same from outside. */
static int
slow_writer_is_no_offence(void)
{
	struct doorbell_writer *writer = &vhost_doorbell_writers[rte_lcore_id()];
	uint64_t count;
	struct two t;
	int fd;

	TEST_ASSERT(begin(&t), "two devices");
	fd = t.bad->vqs[0].callfd;
	TEST_ASSERT_EQUAL(write(fd, &(uint64_t){ 5 }, 8), 8, "notifications");
	__atomic_store_n(&writer->writes, writer->writes + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&writer->place, doorbell_place(t.bad->vid, 0), __ATOMIC_RELAXED);
	usleep(500000);
	__atomic_store_n(&writer->place, 0, __ATOMIC_RELAXED);
	TEST_ASSERT(!__atomic_load_n(&vhost_doorbell_asks_first, __ATOMIC_RELAXED), "trusted");
	TEST_ASSERT(read(fd, &count, sizeof(count)) == sizeof(count) && count == 5, "untouched");
	return two_end(&t);
}

/* Whoever frees somebody, an owner who waits at the gate too, has everybody ask first. */
static int
only_what_is_full_is_an_offence(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t count;

	TEST_ASSERT(fd >= 0, "an eventfd");
	__atomic_store_n(&vhost_doorbell_asks_first, false, __ATOMIC_RELAXED);
	vhost_doorbell_drain_eventfd(fd);
	TEST_ASSERT(!__atomic_load_n(&vhost_doorbell_asks_first, __ATOMIC_RELAXED), "empty");
	TEST_ASSERT_SUCCESS(make_block(fd), "it blocks");
	vhost_doorbell_drain_eventfd(fd);
	TEST_ASSERT(__atomic_load_n(&vhost_doorbell_asks_first, __ATOMIC_RELAXED), "full");
	TEST_ASSERT(read(fd, &count, sizeof(count)) == sizeof(count) && count == 1, "and pending");
	close(fd);
	return TEST_SUCCESS;
}

static const struct test_case cases[] = {
	TEST_CASE_WITH(writer_is_freed, "burst_is_freed", (&(const struct way){ burst_to_guest })),
	TEST_CASE_WITH(writer_is_freed, "call_is_freed", (&(const struct way){ call_guest })),
	TEST_CASE_WITH(writer_is_freed, "nonblocking_call_is_freed",
		(&(const struct way){ call_guest_nonblock })),
	TEST_CASE(nobody_is_caught_again),
	TEST_CASE(slow_writer_is_no_offence),
	TEST_CASE(only_what_is_full_is_an_offence),
};

static int
test_vhost_notify_watch(void)
{
	static const struct test_suite suite = {
		.name = "vhost notify watch", TEST_SUITE_CASES(cases),
		.setup = fake_setup, .teardown = fake_teardown, .check = fake_check,
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_notify_watch_autotest, test_vhost_notify_watch);
