/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What frontends of one socket can take from everybody: connections, time of the
 * event thread, descriptors that wait to be closed.  Whatever they do, another
 * socket is served.
 */

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_vhost_limits.h>

#include "quota.h"
#include "socket.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_log.h"

/** A request that no specification knows, for a handler of ours. */
#define SLOW_REQUEST 99

static struct rte_vhost_limits_usage
usage_of(const struct fake *fe)
{
	struct rte_vhost_limits_usage usage = { 0 };

	rte_vhost_driver_limits_get(fe->path, &usage);
	return usage;
}

static int
limits_have_defaults_and_a_setter(void)
{
	struct rte_vhost_limits limits = { .connections = 7, .closing_fds = 9, .turn_ms = 3,
		.vrings = 4, .mapped_bytes = 1 << 30, .inflight_bytes = 1 << 20 };
	struct fake *fe = fake_start(.until = FAKE_REGISTERED);
	struct rte_vhost_limits_usage usage;

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	usage = usage_of(fe);
	TEST_ASSERT_EQUAL(usage.limits.connections, 64, "default");
	TEST_ASSERT_EQUAL(usage.limits.vrings, 256, "default");
	TEST_ASSERT(usage.limits.mapped_bytes >= 4ULL << 40, "default");
	TEST_ASSERT_EQUAL(usage.limits.inflight_bytes, 256 << 20, "default");
	TEST_ASSERT_EQUAL(usage.limits.closing_fds, 512, "default");
	TEST_ASSERT_EQUAL(usage.limits.turn_ms, 2, "default");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_limits_set(fe->path, &limits), "set");
	usage = usage_of(fe);
	TEST_ASSERT_SUCCESS(memcmp(&usage.limits, &limits, sizeof(limits)), "as set");
	limits = (struct rte_vhost_limits){ .turn_ms = 5 };
	TEST_ASSERT_SUCCESS(rte_vhost_driver_limits_set(fe->path, &limits), "set");
	TEST_ASSERT_EQUAL(usage_of(fe).limits.turn_ms, 5, "as set");
	TEST_ASSERT_EQUAL(usage_of(fe).limits.connections, 64, "the default again");

	TEST_ASSERT_EQUAL(rte_vhost_driver_limits_set("/nowhere", &limits), -ENOENT, "path");
	TEST_ASSERT_EQUAL(rte_vhost_driver_limits_get("/nowhere", &usage), -ENOENT, "path");
	TEST_ASSERT_EQUAL(rte_vhost_driver_limits_set(NULL, &limits), -EINVAL, "path");
	TEST_ASSERT_EQUAL(rte_vhost_driver_limits_set(fe->path, NULL), -EINVAL, "limits");
	TEST_ASSERT_EQUAL(rte_vhost_driver_limits_get(fe->path, NULL), -EINVAL, "usage");
	return fake_stop(fe);
}

/* ---- connections ---- */

static int
connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

/** Whether the library closes a connection without having said anything. */
static bool
is_refused(int fd)
{
	const struct timeval patience = { .tv_sec = fake_patience_ms() / 1000 };
	char byte;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return recv(fd, &byte, 1, 0) == 0;
}

static int
connections_beyond_the_limit_are_refused(void)
{
	const struct rte_vhost_limits limits = { .connections = 3 };
	struct fake *fe[3], *other = fake_start(.until = FAKE_CONNECTED);
	struct log_capture log;
	int i, fd, refused = 0;

	for (i = 0; i < 3; i++) {
		fe[i] = fake_start(.until = FAKE_CONNECTED, .join = i > 0 ? fe[0] : NULL);
		TEST_ASSERT_NOT_NULL(fe[i], "connection %d", i);
		rte_vhost_driver_limits_set(fe[0]->path, &limits);
	}
	TEST_ASSERT_SUCCESS(log_begin(&log), "log");
	for (i = 0; i < 20; i++) {
		fd = connect_to(fe[0]->path);
		refused += is_refused(fd);
		close(fd);
	}
	log_end(&log);
	TEST_ASSERT_EQUAL(refused, 20, "closed at once");
	TEST_ASSERT_EQUAL(usage_of(fe[0]).refused_connections, 20, "counted");
	TEST_ASSERT_EQUAL(usage_of(fe[0]).connections, 3, "in use");
	TEST_ASSERT_EQUAL(log_count(&log, "limit reached: 3 connections"), 1, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "new vhost user connection"), 0, "%s", log.text);
	log_free(&log);

	for (i = 0; i < 3; i++)
		TEST_ASSERT(fake_is_served(fe[i]), "who was there is served");
	TEST_ASSERT(fake_is_served(other), "another socket is served");
	TEST_ASSERT_SUCCESS(fake_stop(fe[2]), "one leaves");
	fe[2] = fake_start(.until = FAKE_CONNECTED, .join = fe[0]);
	TEST_ASSERT_NOT_NULL(fe[2], "another one comes");
	for (i = 2; i >= 0; i--)
		TEST_ASSERT_SUCCESS(fake_stop(fe[i]), "connection %d", i);
	return fake_stop(other);
}

/** A client socket has one connection, however often it ends. */
static int
a_clients_connection_is_counted(void)
{
	struct fake *fe = fake_start(.client = true, .until = FAKE_CONNECTED);

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	for (int i = 0; i < 3; i++) {
		TEST_ASSERT_EQUAL(usage_of(fe).connections, 1, "round %d", i);
		TEST_ASSERT_SUCCESS(fake_connect(fe), "round %d", i);
	}
	TEST_ASSERT_EQUAL(usage_of(fe).refused_connections, 0, "none refused");
	return fake_stop(fe);
}

/* ---- descriptors that wait to be closed ---- */

static int
take_closing_fds(struct vhost_driver *driver, void *arg)
{
	vhost_quota_overdraw(driver->quota, QUOTA_CLOSING_FDS, *(const uint64_t *)arg);
	return 0;
}

static int
give_closing_fds(struct vhost_driver *driver, void *arg)
{
	vhost_quota_give(driver->quota, QUOTA_CLOSING_FDS, *(const uint64_t *)arg);
	return 0;
}

static bool
is_readable_within(int fd, unsigned int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

/** The socket's frontends have descriptors whose closing blocks. */
static int
nothing_is_received_while_descriptors_wait(void)
{
	const struct rte_vhost_limits limits = { .closing_fds = 40 };
	struct fake *fe = fake_start(.until = FAKE_CONNECTED);
	struct fake *other = fake_start(.until = FAKE_CONNECTED);
	uint64_t stuck = 40;
	uint32_t question[3] = { FE_GET_FEATURES, FE_VERSION, 0 };
	struct fake_msg answer;
	int fd;

	TEST_ASSERT_SUCCESS(rte_vhost_driver_limits_set(fe->path, &limits), "limit");
	TEST_ASSERT(fake_is_served(fe), "it is served");
	TEST_ASSERT_SUCCESS(vhost_socket_edit(fe->path, take_closing_fds, &stuck), "stuck");
	TEST_ASSERT_SUCCESS(fake_send_bytes(fe, question, sizeof(question), NULL, 0), "ask");
	fd = connect_to(fe->path);
	TEST_ASSERT_SUCCESS(send(fd, question, sizeof(question), 0) != sizeof(question), "ask");
	TEST_ASSERT(!is_readable_within(fe->sock, 300), "not served");
	TEST_ASSERT(!is_readable_within(fd, 50), "not accepted");
	TEST_ASSERT_EQUAL(usage_of(fe).connections, 1, "not accepted");
	TEST_ASSERT_EQUAL(usage_of(fe).refused_closing_fds, 1, "counted once");
	TEST_ASSERT(fake_is_served(other), "another socket is served");

	TEST_ASSERT_SUCCESS(vhost_socket_edit(fe->path, give_closing_fds, &stuck), "closed");
	TEST_ASSERT_EQUAL(fake_recv(fe, &answer, NULL, NULL), 1, "served again");
	TEST_ASSERT(is_readable_within(fd, fake_patience_ms()), "accepted and served");
	TEST_ASSERT(fake_is_served(fe), "as before");
	close(fd);
	TEST_ASSERT_SUCCESS(fake_stop(other), "other");
	return fake_stop(fe);
}

/** A registration ends also while nothing of it is served. */
static int
unregister_while_descriptors_wait(void)
{
	const struct rte_vhost_limits limits = { .closing_fds = 1 };
	struct fake *fe = fake_start(.until = FAKE_CONNECTED);
	uint32_t question[3] = { FE_GET_FEATURES, FE_VERSION, 0 };
	uint64_t stuck = 40;

	TEST_ASSERT_SUCCESS(rte_vhost_driver_limits_set(fe->path, &limits), "limit");
	TEST_ASSERT_SUCCESS(vhost_socket_edit(fe->path, take_closing_fds, &stuck), "stuck");
	TEST_ASSERT_SUCCESS(fake_send_bytes(fe, question, sizeof(question), NULL, 0), "ask");
	TEST_ASSERT(!is_readable_within(fe->sock, 100), "not served");
	TEST_ASSERT_SUCCESS(fake_unregister(fe), "unregister");
	TEST_ASSERT(fake_is_closed(fe), "closed");
	return fake_stop(fe);
}

/* ---- time ---- */

/** Messages of a flood that were served; atomic. */
static unsigned int slow_messages;

static enum rte_vhost_msg_result
serve_slowly(int vid __rte_unused, void *msg)
{
	if (*(const uint32_t *)msg != SLOW_REQUEST)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	usleep(3000);
	__atomic_fetch_add(&slow_messages, 1, __ATOMIC_RELAXED);
	return RTE_VHOST_MSG_RESULT_OK;
}

static struct rte_vhost_user_extern_ops slow_ops = { .pre_msg_handle = serve_slowly };

/** Queue messages that take 3 ms each. */
static int
send_slow(struct fake *fe, unsigned int n)
{
	uint32_t message[3] = { SLOW_REQUEST, FE_VERSION, 0 };

	while (n-- > 0)
		if (fake_send_bytes(fe, message, sizeof(message), NULL, 0) != 0)
			return -1;
	return 0;
}

static int
flood(struct fake **fe, unsigned int n, unsigned int messages)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		fe[i] = fake_start(.until = FAKE_CONNECTED, .join = i > 0 ? fe[0] : NULL);
		TEST_ASSERT_NOT_NULL(fe[i], "connection %u", i);
		rte_vhost_extern_callback_register(fe[i]->vid, &slow_ops, NULL);
	}
	for (i = 0; i < n; i++)
		TEST_ASSERT_SUCCESS(send_slow(fe[i], messages), "flood %u", i);
	return 0;
}

static unsigned int
served_slowly(void)
{
	return __atomic_load_n(&slow_messages, __ATOMIC_RELAXED);
}

static int
compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/** Takes its time when a connection ends. */
static void
end_slowly(void *arg __rte_unused, enum fake_event ev, int vid __rte_unused,
		unsigned int qid __rte_unused, int on __rte_unused)
{
	if (ev == FAKE_DESTROY_CONNECTION)
		usleep(100 * 1000);
}

/** The end of a connection counts as well; what is counted is forgotten with time. */
static int
an_end_that_takes_long_counts(void)
{
	const struct rte_vhost_limits limits = { .turn_ms = 60 };
	struct fake *first = fake_start(.until = FAKE_CONNECTED, .hook = end_slowly);
	struct fake *fe;

	TEST_ASSERT_NOT_NULL(first, "a socket");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_limits_set(first->path, &limits), "limits");
	for (unsigned int i = 0; i < 20 && usage_of(first).ended_turns == 0; i++) {
		fe = fake_start(.until = FAKE_CONNECTED, .join = first, .hook = end_slowly);
		TEST_ASSERT_NOT_NULL(fe, "connection %u", i);
		TEST_ASSERT_SUCCESS(fake_stop(fe), "its end");
	}
	TEST_ASSERT(usage_of(first).ended_turns > 0, "none has cost a turn");
	return fake_stop(first);
}

/** How many of them are served during a question of another frontend: the median of some. */
static int
served_slowly_per_question(struct fake *other)
{
	int n[15], before;

	for (unsigned int i = 0; i < RTE_DIM(n); i++) {
		before = served_slowly();
		if (!fake_is_served(other))
			return INT_MAX;
		n[i] = served_slowly() - before;
	}
	qsort(n, RTE_DIM(n), sizeof(n[0]), compare);
	return n[RTE_DIM(n) / 2];
}

static int
flood_on_many_connections_delays_others_by_a_message(void)
{
	struct fake *fe[16], *other = fake_start(.until = FAKE_CONNECTED);
	unsigned int before;
	int n;

	TEST_ASSERT_NOT_NULL(other, "another socket");
	TEST_ASSERT_SUCCESS(flood(fe, RTE_DIM(fe), 20), "flood");
	before = served_slowly();
	while (served_slowly() < before + 3)
		usleep(1000);
	/* Without turns each question waits for 16 of them. */
	n = served_slowly_per_question(other);
	TEST_ASSERT(n <= 4, "%d slow messages", n);
	TEST_ASSERT(usage_of(fe[0]).ended_turns > 0, "counted");
	for (unsigned int i = RTE_DIM(fe); i-- > 0;)
		TEST_ASSERT_SUCCESS(fake_stop(fe[i]), "connection %u", i);
	return fake_stop(other);
}

static int
flood_is_served_to_its_end(void)
{
	struct fake *fe[4];
	unsigned int before = served_slowly();

	TEST_ASSERT_SUCCESS(flood(fe, RTE_DIM(fe), 20), "flood");
	/* Asked on the connection itself, behind the flood. */
	for (unsigned int i = 0; i < RTE_DIM(fe); i++)
		TEST_ASSERT(fake_is_served(fe[i]), "connection %u", i);
	TEST_ASSERT_EQUAL(served_slowly() - before, 20 * RTE_DIM(fe), "every message");
	for (unsigned int i = RTE_DIM(fe); i-- > 0;)
		TEST_ASSERT_SUCCESS(fake_stop(fe[i]), "connection %u", i);
	return TEST_SUCCESS;
}

static int
unregister_under_a_flood(void)
{
	for (unsigned int round = 0; round < 10; round++) {
		struct fake *fe[8];

		TEST_ASSERT_SUCCESS(flood(fe, RTE_DIM(fe), 20), "flood");
		usleep(1000 * round);
		TEST_ASSERT_SUCCESS(fake_unregister(fe[0]), "round %u", round);
		for (unsigned int i = 0; i < RTE_DIM(fe); i++)
			TEST_ASSERT_SUCCESS(fake_stop(fe[i]), "connection %u", i);
	}
	return TEST_SUCCESS;
}

static const struct test_case cases[] = {
	TEST_CASE(limits_have_defaults_and_a_setter),
	TEST_CASE(an_end_that_takes_long_counts),
	TEST_CASE(connections_beyond_the_limit_are_refused),
	TEST_CASE(a_clients_connection_is_counted),
	TEST_CASE(nothing_is_received_while_descriptors_wait),
	TEST_CASE(unregister_while_descriptors_wait),
	TEST_CASE(flood_on_many_connections_delays_others_by_a_message),
	TEST_CASE(flood_is_served_to_its_end),
	TEST_CASE(unregister_under_a_flood),
};

static int
test_vhost_limits(void)
{
	static const struct test_suite suite = {
		.name = "vhost limits",
		.setup = fake_setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_limits_autotest, test_vhost_limits);
