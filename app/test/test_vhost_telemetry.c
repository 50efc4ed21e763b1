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

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_telemetry.h>
#include <rte_vhost.h>
#include <rte_vhost_limits.h>
#include <rte_vhost_numa.h>

#include "device.h"
#include "mem_node.h"
#include "numa_watch.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_log.h"
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

/* ---- memory for answers ---- */

/** Parts of answers until the one that there is no memory for; 0: there is.  Atomic. */
static unsigned int scarce;

struct rte_tel_data *__real_rte_tel_data_alloc(void);
struct rte_tel_data *__wrap_rte_tel_data_alloc(void);

/** The linker leads here (--wrap) what the library calls by the name of it, on EAL's thread. */
struct rte_tel_data *
__wrap_rte_tel_data_alloc(void)
{
	unsigned int left = __atomic_load_n(&scarce, __ATOMIC_RELAXED);

	if (left == 0)
		return __real_rte_tel_data_alloc();
	__atomic_store_n(&scarce, left - 1, __ATOMIC_RELAXED);
	return left > 1 ? __real_rte_tel_data_alloc() : NULL;
}

/* ---- guests ---- */

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
limits_are_told(void)
{
	const struct rte_vhost_limits limits = { .connections = 1, .vrings = 6, .turn_ms = 9 };
	struct fake *fe = guest_on(THERE, .queues = 1);
	char byte;
	int fd;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_limits_set(fe->path, &limits), "limits");
	fd = connect_to(fe->path);
	TEST_ASSERT_EQUAL(recv(fd, &byte, 1, 0), 0, "refused");
	close(fd);
	for (int by_path = 0; by_path < 2; by_path++) {
		if (by_path)
			ask("/vhost/limits,%s", fe->path);
		else
			ask("/vhost/limits,%d", fe->vid);
		TEST_SAYS("{\"/vhost/limits\":{\"path\":\"%s\",", fe->path);
		TEST_SAYS("\"connections\":{\"limit\":1,\"used\":1,\"refused\":1}");
		TEST_SAYS("\"vrings\":{\"limit\":6,\"refused\":0}");
		TEST_SAYS("\"mapped_bytes\":{\"limit\":");
		TEST_SAYS("\"inflight_bytes\":{\"limit\":268435456,\"used\":0,\"refused\":0}");
		TEST_SAYS("\"closing_fds\":{\"limit\":512,\"used\":");
		TEST_SAYS("\"turn_ms\":{\"limit\":9,\"refused\":");
	}
	return topology_stop(fe);
}

/** Whether every vid occurs in the last answer. */
static bool
answer_has_all_vids(void)
{
	for (int vid = 0; vid < VHOST_MAX_DEVICES; vid++) {
		if (vhost_device_peek(vid) != NULL && !says("[%d,", vid) && !says(",%d,", vid) &&
				!says(",%d]", vid))
			return false;
	}
	return true;
}

static unsigned int
count_devices(void)
{
	unsigned int n = 0;

	for (int vid = 0; vid < VHOST_MAX_DEVICES; vid++)
		n += vhost_device_peek(vid) != NULL;
	return n;
}

/** As long as their number changes. */
static bool
wait_for_devices(unsigned int n)
{
	unsigned int have, before = 0;
	uint64_t until = 0;

	while ((have = count_devices()) != n) {
		if (until == 0 || have != before)
			until = fake_now_ms() + fake_patience_ms();
		else if (fake_now_ms() >= until)
			return false;
		before = have;
		usleep(1000);
	}
	return true;
}

/** An array of telemetry holds 512 entries. */
static int
six_hundred_devices_are_told(void)
{
	const struct rte_vhost_limits limits = { .connections = 1000 };
	struct rlimit before, more;
	int fds[600];
	struct fake *fe;
	unsigned int i;

	getrlimit(RLIMIT_NOFILE, &before);
	more = (struct rlimit){ .rlim_cur = 4096, .rlim_max = before.rlim_max };
	if (setrlimit(RLIMIT_NOFILE, &more) != 0)
		return TEST_SKIPPED;
	fe = fake_start(.queues = 1);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_limits_set(fe->path, &limits), "limits");
	for (i = 0; i < RTE_DIM(fds); i++) {
		fds[i] = connect_to(fe->path);
		TEST_ASSERT(fds[i] >= 0, "connection %u", i);
	}
	TEST_ASSERT(wait_for_devices(RTE_DIM(fds) + 1), "%u devices", count_devices());
	ask("/vhost/list");
	TEST_SAYS("{\"/vhost/list\":{\"0\":[0,1,");
	TEST_SAYS("\"512\":[512,513,");
	TEST_ASSERT(answer_has_all_vids(), "%s", client.answer);
	for (i = 0; i < RTE_DIM(fds); i++)
		close(fds[i]);
	TEST_ASSERT(wait_for_devices(1), "%u devices", count_devices());
	ask("/vhost/list");
	TEST_SAYS("{\"/vhost/list\":[%d]}", fe->vid);
	TEST_ASSERT_SUCCESS(fake_stop(fe), "the device");
	setrlimit(RLIMIT_NOFILE, &before);
	return TEST_SUCCESS;
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
	TEST_SAYS("\"last_refusal\":\"no memory on node %d for the device\"", ELSEWHERE);
	topology_guest_part_on(fe->regions[0].wire.gpa, size / 2, THERE);
	ask("/vhost/numa_refresh,%d", fe->vid);
	ask("/vhost/numa,%d", fe->vid);
	TEST_SAYS("\"node\":%d,\"bytes\":{\"%d\":%" PRIu64 ",\"%d\":%" PRIu64 "}", ELSEWHERE,
		ELSEWHERE, size / 2, THERE, size / 2);
	return topology_stop(fe);
}

static int
library_is_told(void)
{
	ask("/vhost/about");
	TEST_SAYS("{\"/vhost/about\":{\"name\":\"vhost-numa\",\"version\":\"");
	TEST_SAYS("\"abi\":%d,\"built_against\":\"DPDK %d.", VHOST_ABI, RTE_VER_YEAR);
	TEST_SAYS("\"file\":\"");
	TEST_ASSERT(!says("\"file\":\"\""), "no name: %s", client.answer);
	TEST_SAYS("\"interval_ms\":");
	TEST_SAYS("\"default_limits\":{\"connections\":64,\"vrings\":256,");
	return TEST_SUCCESS;
}

/** A question whose answers have parts of their own, in the order in which they are made. */
struct question {
	const char *text;
	bool of_device;		/**< its vid follows */
	const char *parts[7];
	unsigned int nested;	/**< from this one on each is a part of the one before */
};

static const struct question questions[] = {
	{ "/vhost/numa", true, { "\"replica_nodes\":[", "\"vring_nodes\":[", "\"ring_nodes\":[",
		"\"refused_nodes\":[", "\"regions\":{", "{\"0\":{", "\"bytes\":{" }, 4 },
	{ "/vhost/limits", true, { "\"connections\":{", "\"vrings\":{", "\"mapped_bytes\":{",
		"\"inflight_bytes\":{", "\"closing_fds\":{", "\"turn_ms\":{" }, UINT_MAX },
	{ "/vhost/about", false, { "\"default_limits\":{" }, UINT_MAX },
};

/** Ask without memory for one part of the answer: whether all else is there, and whole. */
static int
part_is_missing(const struct question *q, int vid, unsigned int missing)
{
	__atomic_store_n(&scarce, missing + 1, __ATOMIC_RELAXED);
	if (q->of_device)
		ask("%s,%d", q->text, vid);
	else
		ask("%s", q->text);
	TEST_ASSERT_EQUAL(__atomic_load_n(&scarce, __ATOMIC_RELAXED), 0, "it was asked for");
	for (unsigned int i = 0; i < RTE_DIM(q->parts) && q->parts[i] != NULL; i++)
		TEST_ASSERT_EQUAL(says("%s", q->parts[i]), i < missing ||
			(i > missing && missing < q->nested), "%s without %s: %s", q->parts[i],
			q->parts[missing], client.answer);
	TEST_ASSERT(strcmp(client.answer + strlen(client.answer) - 2, "}}") == 0, "%s",
		client.answer);
	return 0;
}

static int
answers_lack_what_there_is_no_memory_for(void)
{
	struct fake *fe = guest_on(THERE, .queues = 1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 0; i < RTE_DIM(questions); i++)
		for (unsigned int j = 0; j < RTE_DIM(questions[i].parts) &&
				questions[i].parts[j] != NULL; j++)
			TEST_ASSERT_SUCCESS(part_is_missing(&questions[i], fe->vid, j), "%s",
				questions[i].text);
	return topology_stop(fe);
}

/** Placement is told once, whatever messages come, also when nothing had to move. */
static int
placement_is_said_once(void)
{
	struct log_capture log;
	char line[160];
	struct fake *fe;

	topology_make_up();
	topology_guest_on(topology_home());
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	fe = fake_start(.queues = 2);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, false), "more messages");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "and more");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "reallocate"), 0, "nothing moved");
	TEST_ASSERT_EQUAL(log_count(&log, ") placement: "), 1, "%s", log.text);
	snprintf(line, sizeof(line), "; device on node %d, queues 0-3 on node %d; policy follow; "
		"nothing is refused\n", topology_home(), topology_home());
	TEST_ASSERT_EQUAL(log_count(&log, line), 1, "%s", log.text);
	log_free(&log);
	return topology_stop(fe);
}

/** If it is not known where the guest is, that is said, and again when it is known. */
static int
placement_is_said_when_it_is_known(void)
{
	struct log_capture log;
	struct fake *fe;

	topology_make_up();
	topology_guest_on(-ENOENT);
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	fe = fake_start(.queues = 1);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_guest_on(THERE);
	topology_node_full(THERE, true);
	TEST_ASSERT_SUCCESS(topology_refresh(vhost_device_peek(fe->vid)), "a refresh");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "placement: guest memory unknown"), 1, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "placement: "), 2, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "; node 8 has no memory for it\n"), 1, "%s", log.text);
	log_free(&log);
	return topology_stop(fe);
}

/** At DEBUG it is said what each look decides, whatever the policy and the evidence. */
static int
decisions_are_said(void)
{
	const struct rte_vhost_numa_policy off = { .mode = RTE_VHOST_NUMA_OFF };
	struct log_capture log;
	struct fake *fe;

	topology_make_up();
	topology_guest_on(-ENOENT);
	topology_guest_bound_to(THERE);
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	rte_log_set_level(vhost_config_log_level, RTE_LOG_DEBUG);
	fe = fake_start(.queues = 1);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_check(vhost_device_peek(fe->vid));
	topology_node_full(ELSEWHERE, true);
	ask("/vhost/numa_policy,%d,pin,%d", fe->vid, ELSEWHERE);
	topology_check(vhost_device_peek(fe->vid));
	TEST_ASSERT_SUCCESS(rte_vhost_numa_policy_set(fe->path, &off), "off");
	fake_disconnect(fe);
	TEST_ASSERT(fake_connect(fe) == 0 && fake_negotiate(fe) == 0 &&
		fake_send_mem_table(fe) == 0 && fake_run(fe) == 0, "it comes again");
	log_end(&log);
	TEST_ASSERT(log_count(&log, "(by its memory policy: no page is there); device on node") > 0,
		"%s", log.text);
	TEST_ASSERT(log_count(&log, "where it is: guest memory") > 0, "%s", log.text);
	TEST_ASSERT(log_count(&log, "but is not there: guest memory") > 0, "%s", log.text);
	TEST_ASSERT(log_count(&log, "; policy pin to node") > 0, "%s", log.text);
	TEST_ASSERT(log_count(&log, "guest memory not looked at (policy off)") > 0, "%s", log.text);
	TEST_ASSERT(log_count(&log, "; policy off") > 0, "%s", log.text);
	log_free(&log);
	return topology_stop(fe);
}

/** A node that cannot be is refused before anything changes. */
static int
pin_to_no_node_is_refused(void)
{
	struct fake *fe = guest_on(THERE, .queues = 1);
	const struct rte_vhost_numa_policy nowhere = { .mode = RTE_VHOST_NUMA_PIN, .node = 63 };

	TEST_ASSERT_NOT_NULL(fe, "a device");
	ask("/vhost/numa_policy,%d,pin,63", fe->vid);
	TEST_SAYS("{\"/vhost/numa_policy\":{\"error\":\"node 63 does not exist");
	TEST_ASSERT_EQUAL(rte_vhost_numa_policy_set(fe->path, &nowhere), -ENODEV, "nor here");
	ask("/vhost/numa_policy,%d", fe->vid);
	TEST_SAYS("\"policy\":\"follow\"");
	return topology_stop(fe);
}

/** What is wrong is answered with a reason, changes nothing, and leaves the socket open. */
static int
wrong_parameters_are_refused(void)
{
	static const char *const wrong[] = {
		"/vhost/numa_policy", "/vhost/numa_policy,", "/vhost/numa_policy,,off",
		"/vhost/about,x", "/vhost/list,5",
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
		"/vhost/limits", "/vhost/limits,", "/vhost/limits,/nowhere", "/vhost/limits,1023",
		"/vhost/limits,%d,0",
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
		TEST_ASSERT(says("{\"%s\":{\"error\":\"", command), "%s: %s", wrong[i],
			client.answer);
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
	TEST_CASE(limits_are_told),
	TEST_CASE(six_hundred_devices_are_told),
	TEST_CASE(placement_is_told),
	TEST_CASE(library_is_told),
	TEST_CASE(answers_lack_what_there_is_no_memory_for),
	TEST_CASE(placement_is_said_once),
	TEST_CASE(placement_is_said_when_it_is_known),
	TEST_CASE(decisions_are_said),
	TEST_CASE(pin_to_no_node_is_refused),
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
