/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What operators do: ask and change placement through the telemetry socket of the
 * running program, as dpdk-telemetry.py does.
 *
 * On a made-up machine, and once on the nodes of the real one.  Skipped where EAL
 * was told --no-telemetry.
 */

#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_vhost.h>
#include <rte_vhost_numa.h>

#include "device.h"
#include "mem_node.h"
#include "numa_watch.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_machine.h"
#include "vhost_test_topology.h"
#include "vhost_test_traffic.h"

#define THERE 8
#define ELSEWHERE 3

/* Longer than what the library of 22.11 sends. */
#define LONGEST_ANSWER (128 << 10)

/* ---- the client ---- */

static struct {
	int sock;
	char answer[LONGEST_ANSWER];
} client = { .sock = -1 };

/** What it says first: who it is. */
static int
client_greeted(void)
{
	ssize_t len = recv(client.sock, client.answer, sizeof(client.answer) - 1, 0);

	return len > 0 ? 0 : -1;
}

static int
client_connect(void)
{
	const struct timeval patience = { .tv_sec = fake_patience_ms() / 1000 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/dpdk_telemetry.v2",
		rte_eal_get_runtime_dir());
	client.sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (client.sock < 0)
		return -1;
	setsockopt(client.sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(client.sock, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return client_greeted();
	close(client.sock);
	client.sock = -1;
	return -1;
}

static void
client_close(void)
{
	close(client.sock);
	client.sock = -1;
}

/** Ask, and read the answer: "" if there is none. */
__rte_format_printf(1, 2)
static const char *
ask(const char *format, ...)
{
	char question[1024];
	ssize_t len = -1;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(question, sizeof(question), format, args);
	va_end(args);
	if (send(client.sock, question, n, 0) == n)
		len = recv(client.sock, client.answer, sizeof(client.answer) - 1, 0);
	client.answer[len > 0 ? len : 0] = '\0';
	return client.answer;
}

/** Whether the last answer says so. */
__rte_format_printf(1, 2)
static bool
says(const char *format, ...)
{
	char piece[512];
	va_list args;

	va_start(args, format);
	vsnprintf(piece, sizeof(piece), format, args);
	va_end(args);
	return strstr(client.answer, piece) != NULL;
}

#define TEST_SAYS(...) TEST_ASSERT(says(__VA_ARGS__), "%s", client.answer)

/* ---- guests ---- */

static struct fake *
start_on(int node, struct fake_config cfg)
{
	topology_make_up();
	topology_guest_on(node);
	return fake_start_config(&cfg);
}

#define guest_on(node, ...) start_on(node, (struct fake_config){ __VA_ARGS__ })

/* ---- what is told ---- */

static int
devices_are_told(void)
{
	struct fake *one = guest_on(THERE, .queues = 2), *two;

	TEST_ASSERT_NOT_NULL(one, "a device");
	ask("/vhost/list");
	TEST_SAYS("{\"/vhost/list\":[%d]}", one->vid);
	two = fake_start(.queues = 1);
	TEST_ASSERT_NOT_NULL(two, "another one");
	ask("/vhost/list");
	TEST_SAYS("{\"/vhost/list\":[%d,%d]}", one->vid, two->vid);
	ask("/vhost/info,%d", one->vid);
	TEST_SAYS("{\"/vhost/info\":{\"vid\":%d,\"path\":\"%s\"", one->vid, one->path);
	TEST_SAYS("\"running\":1");
	TEST_SAYS("\"vrings\":4");
	TEST_SAYS("\"numa_node\":%d", THERE);
	TEST_SAYS("\"vring_nodes\":[%d,%d,%d,%d]", THERE, THERE, THERE, THERE);
	TEST_ASSERT_EQUAL(fake_round_trip(one, 1, 300), 300, "a packet each way");
	ask("/vhost/vq,%d,3", one->vid);
	TEST_SAYS("{\"/vhost/vq\":{\"vid\":%d,\"qid\":3,\"direction\":\"from guest\"", one->vid);
	TEST_SAYS("\"format\":\"split\"");
	TEST_SAYS("\"node\":%d", THERE);
	TEST_SAYS("\"ring_node\":%d", THERE);
	TEST_SAYS("\"moves\":0,\"refusals\":0");
	TEST_ASSERT_SUCCESS(fake_stop(two), "it ends well");
	ask("/vhost/list");
	TEST_SAYS("{\"/vhost/list\":[%d]}", one->vid);
	return topology_stop(one);
}

static int
placement_is_told(void)
{
	struct fake *fe = guest_on(THERE, .queues = 1);
	uint64_t size;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	size = fe->regions[0].wire.size;
	ask("/vhost/numa,%d", fe->vid);
	TEST_SAYS("{\"/vhost/numa\":{\"vid\":%d,\"path\":\"%s\"", fe->vid, fe->path);
	TEST_SAYS("\"policy\":\"follow\",\"policy_node\":-1,\"restart_on_drift\":0");
	TEST_SAYS("\"numa_node\":%d,\"app_node\":%d,\"replica_nodes\":[%d]", THERE, THERE, THERE);
	TEST_SAYS("\"vring_nodes\":[%d,%d],\"ring_nodes\":[%d,%d]", THERE, THERE, THERE, THERE);
	TEST_SAYS("\"moves\":1,\"refusals\":0");
	TEST_SAYS("\"last_refusal\":\"\"");
	TEST_SAYS("\"regions\":{\"0\":{\"gpa\":%" PRIu64 ",\"size\":%" PRIu64,
		fe->regions[0].wire.gpa, size);
	TEST_SAYS("\"evidence\":\"pages\"");
	topology_node_full(ELSEWHERE, true);
	topology_guest_on(ELSEWHERE);
	ask("/vhost/numa_refresh,%d", fe->vid);
	TEST_SAYS("\"result\":0,\"numa_node\":%d", THERE);
	TEST_SAYS("\"moves\":0,\"refused_nodes\":[%d]", ELSEWHERE);
	ask("/vhost/numa,%d", fe->vid);
	TEST_SAYS("\"refusals\":1");
	TEST_SAYS("\"last_refusal\":\"no DPDK memory on node %d for the device\"", ELSEWHERE);
	return topology_stop(fe);
}

/** What is wrong is answered with null, changes nothing, and leaves the socket open. */
static int
wrong_parameters_are_refused(void)
{
	static const char *const wrong[] = {
		"/vhost/info", "/vhost/info,", "/vhost/info,a", "/vhost/info,-1",
		"/vhost/info,1023", "/vhost/info,99999999999999999999", "/vhost/info,0x0",
		"/vhost/info, 0", "/vhost/vq", "/vhost/vq,%d", "/vhost/vq,%d,", "/vhost/vq,%d,2",
		"/vhost/vq,%d,-1", "/vhost/vq,%d,0,0", "/vhost/vq,1023,0", "/vhost/vq,%d,65536",
		"/vhost/numa", "/vhost/numa,x", "/vhost/numa,1023", "/vhost/numa,%d,0",
		"/vhost/numa_refresh", "/vhost/numa_refresh,1023", "/vhost/numa_refresh,%d,1",
		"/vhost/numa_interval,-1", "/vhost/numa_interval,1s", "/vhost/numa_interval,1,2",
		"/vhost/numa_interval,4294967296",
		"/vhost/numa_policy", "/vhost/numa_policy,", "/vhost/numa_policy,/nowhere",
		"/vhost/numa_policy,/nowhere,off", "/vhost/numa_policy,1023,off",
		"/vhost/numa_policy,%d,", "/vhost/numa_policy,%d,stay", "/vhost/numa_policy,%d,pin",
		"/vhost/numa_policy,%d,pin,", "/vhost/numa_policy,%d,pin,-1",
		"/vhost/numa_policy,%d,pin,64", "/vhost/numa_policy,%d,pin,3,again",
		"/vhost/numa_policy,%d,pin,3,restart,1", "/vhost/numa_policy,%d,off,3",
		"/vhost/numa_policy,%d,follow,restart,restart", "/vhost/numa_policy,%d,Follow",
	};
	struct fake *fe = guest_on(THERE, .queues = 1);
	char command[64];

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 0; i < RTE_DIM(wrong); i++) {
		snprintf(command, sizeof(command), "%.*s", (int)strcspn(wrong[i], ","), wrong[i]);
		ask(wrong[i], fe->vid);
		TEST_ASSERT(says("{\"%s\":null}", command), "%s: %s", wrong[i], client.answer);
	}
	ask("/vhost/numa_interval");
	TEST_SAYS("\"interval_ms\":0}");
	ask("/vhost/numa_policy,%d", fe->vid);
	TEST_SAYS("\"policy\":\"follow\",\"policy_node\":-1,\"restart_on_drift\":0");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "nothing moved");
	return topology_stop(fe);
}

/* ---- what is changed ---- */

/** By vid and by path; each policy comes into force at once, with packets flowing. */
static int
policies_are_set(void)
{
	struct fake *fe = guest_on(THERE, .queues = 2);
	struct traffic *traffic;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	for (int round = 0; round < 10; round++) {
		topology_guest_on(THERE);
		ask("/vhost/numa_policy,%d,pin,%d", fe->vid, ELSEWHERE);
		TEST_SAYS("{\"/vhost/numa_policy\":{\"path\":\"%s\",\"policy\":\"pin\","
			"\"policy_node\":%d,\"restart_on_drift\":0}}", fe->path, ELSEWHERE);
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, ELSEWHERE), "pinned");
		ask("/vhost/numa_policy,%s,off", fe->path);
		TEST_SAYS("\"policy\":\"off\",\"policy_node\":-1");
		ask("/vhost/numa_refresh,%d", fe->vid);
		TEST_SAYS("\"result\":0,\"numa_node\":%d", ELSEWHERE);
		TEST_SAYS("\"moves\":0,\"refused_nodes\":[]");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, ELSEWHERE), "it stays");
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 20), "round %d", round);
		ask("/vhost/numa_policy,%s,follow", fe->path);
		TEST_SAYS("\"policy\":\"follow\"");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "it follows");
		topology_guest_on(topology_home());
		ask("/vhost/numa_refresh,%d", fe->vid);
		TEST_SAYS("\"moves\":5,\"refused_nodes\":[]");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, topology_home()), "it follows");
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 20), "round %d", round);
	}
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return topology_stop(fe);
}

static bool
wait_for_node(const struct fake *fe, int node)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (fake_now_ms() < until) {
		if (topology_device_node(fe) == node)
			return true;
		sched_yield();
	}
	return false;
}

static int
looks_are_made_as_often_as_asked(void)
{
	struct fake *fe = guest_on(THERE, .queues = 1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	ask("/vhost/numa_policy,%d,follow,restart", fe->vid);
	TEST_SAYS("\"restart_on_drift\":1");
	ask("/vhost/numa_interval,2");
	TEST_SAYS("{\"/vhost/numa_interval\":{\"interval_ms\":2}}");
	topology_guest_on(ELSEWHERE);
	TEST_ASSERT(wait_for_node(fe, ELSEWHERE), "it is noticed");
	TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, 2), "the application is led along");
	ask("/vhost/numa_interval,0");
	TEST_SAYS("\"interval_ms\":0");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "whoever held the lock is done");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, ELSEWHERE), "it moved");
	ask("/vhost/numa,%d", fe->vid);
	TEST_SAYS("\"drifts\":3");
	TEST_SAYS("\"restarts\":1");
	return topology_stop(fe);
}

/** Everything on the real machine's nodes, in the kernel's opinion. */
static int
policies_move_a_device_of_this_machine(void)
{
	int home = topology_home(), there = machine_other_node(home);
	struct traffic *traffic;
	struct fake *fe;

	if (there < 0 || !machine_node_gives_memory(home) || !machine_node_gives_memory(there))
		return TEST_SKIPPED;
	topology_make_real();
	fe = fake_start(.queues = 2, .memory_on_node = FAKE_NODE(there), .prealloc = true);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, there), "it follows");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	for (int round = 0; round < 10; round++) {
		ask("/vhost/numa_policy,%d,pin,%d", fe->vid, home);
		TEST_SAYS("\"policy\":\"pin\",\"policy_node\":%d", home);
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, home), "pinned");
		ask("/vhost/numa,%d", fe->vid);
		TEST_SAYS("\"numa_node\":%d", home);
		TEST_SAYS("\"ring_nodes\":[%d,%d,%d,%d]", there, there, there, there);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 20), "round %d", round);
		ask("/vhost/numa_policy,%d,follow", fe->vid);
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, there), "it follows");
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 20), "round %d", round);
	}
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return topology_stop(fe);
}

/* ---- the suite ---- */

static int
check(void)
{
	int left;

	vhost_numa_watch_set_interval(0);
	traffic_abandon();
	left = fake_check();
	topology_end();
	return left;
}

static int
setup(void)
{
	if (client_connect() != 0)
		return TEST_SKIPPED;
	return fake_setup();
}

static void
teardown(void)
{
	fake_teardown();
	client_close();
}

static const struct test_case cases[] = {
	TEST_CASE(devices_are_told),
	TEST_CASE(placement_is_told),
	TEST_CASE(wrong_parameters_are_refused),
	TEST_CASE(policies_are_set),
	TEST_CASE(looks_are_made_as_often_as_asked),
	TEST_CASE(policies_move_a_device_of_this_machine),
};

static int
test_vhost_telemetry(void)
{
	static const struct test_suite suite = {
		.name = "vhost telemetry", .setup = setup, .check = check,
		.teardown = teardown, .case_seconds = 60,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_telemetry_autotest, test_vhost_telemetry);
