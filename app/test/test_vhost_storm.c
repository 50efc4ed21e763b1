/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Everything at once.
 *
 * Frontends come to a few sockets, say anything in any order, right or spoiled, write
 * to their rings and shrink their files, and leave.  Meanwhile one thread takes the
 * sockets away and registers them again, others ask and tell everything that the
 * interface allows about any device, and one sends and receives.
 *
 * What is checked is what holds whatever happens: devices that start are stopped, a good
 * frontend is served at the end, and nothing is left.  The rest is for the sanitizers:
 * DPDK_TEST_PARAMS=seconds=600.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_mbuf.h>
#include <rte_vhost_limits.h>
#include <rte_vhost_numa.h>

#include "test.h"
#include "vhost_fake_frontend.h"

/*
 * Files do not shrink under ThreadSanitizer: a fault inside of one of its atomic
 * operations finds it locked, and the library's handler has atomic operations as well.
 */
#define SHRINKS (!TEST_TSAN)

#define SOCKETS 4
#define FRONTENDS 3
#define CALLERS 2
#define THREADS (FRONTENDS + CALLERS + 2)
#define VIDS 8
#define RINGS 4
#define RING_SIZE 64
#define MEMORY ((size_t)1 << 20)
#define GPA 0x100000ULL
#define UVA 0x7f0000000000ULL

struct actor {
	pthread_t thread;
	unsigned int seed;
	uint64_t turns;
};

static struct {
	char paths[SOCKETS][108];
	struct actor actors[THREADS];
	bool end;		/* atomic */
	/* callbacks, atomic */
	int64_t connections, devices;
	uint64_t starts;
} storm;

static bool
is_over(void)
{
	return __atomic_load_n(&storm.end, __ATOMIC_RELAXED);
}

/* ---- the application ---- */

static int
on_new_connection(int vid)
{
	/* every sixteenth is refused, and is not told to be gone */
	if (vid % 16 == 15)
		return -1;
	__atomic_fetch_add(&storm.connections, 1, __ATOMIC_RELAXED);
	return 0;
}

static void
on_destroy_connection(int vid)
{
	RTE_SET_USED(vid);
	__atomic_fetch_sub(&storm.connections, 1, __ATOMIC_RELAXED);
}

static int
on_new_device(int vid)
{
	uint64_t n = __atomic_fetch_add(&storm.starts, 1, __ATOMIC_RELAXED);

	rte_vhost_numa_refresh(vid);
	if (n % 8 == 7)
		return -1;
	__atomic_fetch_add(&storm.devices, 1, __ATOMIC_RELAXED);
	return 0;
}

static void
on_destroy_device(int vid)
{
	uint16_t avail, used;

	rte_vhost_get_vring_base(vid, 0, &avail, &used);
	__atomic_fetch_sub(&storm.devices, 1, __ATOMIC_RELAXED);
}

static int
on_vring_state(int vid, uint16_t queue_id, int enable)
{
	if (enable)
		rte_vhost_enable_guest_notification(vid, queue_id, queue_id & 1);
	return 0;
}

static const struct rte_vhost_device_ops ops = {
	.new_connection = on_new_connection,
	.destroy_connection = on_destroy_connection,
	.new_device = on_new_device,
	.destroy_device = on_destroy_device,
	.vring_state_changed = on_vring_state,
};

static int
register_socket(unsigned int i)
{
	static const uint64_t flags[SOCKETS] = {
		RTE_VHOST_USER_NET_STATS_ENABLE, RTE_VHOST_USER_NUMA_OFF,
		RTE_VHOST_USER_NUMA_PIN(0), RTE_VHOST_USER_LINEARBUF_SUPPORT,
	};
	const char *path = storm.paths[i];

	if (rte_vhost_driver_register(path, flags[i]) != 0)
		return -1;
	return rte_vhost_driver_callback_register(path, &ops) != 0 ||
		rte_vhost_driver_start(path) != 0 ? -1 : 0;
}

/* ---- frontends ---- */

struct visitor {
	struct fake link;	/* only its socket is used */
	unsigned int *seed;
	bool honest;		/* for the moment */
	int memory;		/* file */
	uint8_t *map;
};

static unsigned int
chance(struct visitor *v, unsigned int n)
{
	return rand_r(v->seed) % n;
}

/** One time in a few, anything. */
static uint64_t
spoil(struct visitor *v, uint64_t right)
{
	static const uint64_t odd[] = { 0, 1, 255, 256, 65535, UINT32_MAX, UINT64_MAX, 1ULL << 63 };

	return v->honest || chance(v, 12) != 0 ? right : odd[chance(v, RTE_DIM(odd))];
}

static void
say(struct visitor *v, uint32_t request, const void *payload, size_t size, int fd)
{
	uint32_t flags = chance(v, 4) == 0 ? FE_NEED_REPLY : 0;

	fake_send(&v->link, request, flags, payload, size, &fd, fd >= 0);
}

static void
say_u64(struct visitor *v, uint32_t request, uint64_t value)
{
	say(v, request, &value, sizeof(value), -1);
}

static void
say_state(struct visitor *v, uint32_t request, uint32_t ring, uint32_t num)
{
	struct fake_state state = { .index = spoil(v, ring), .num = spoil(v, num) };

	say(v, request, &state, sizeof(state), -1);
}

static void
say_doorbell(struct visitor *v, uint32_t request, uint32_t ring)
{
	int fd = chance(v, 6) == 0 ? -1 : eventfd(0, 0);
	uint64_t index = fd < 0 ? ring | FE_NO_FD : ring;

	say(v, request, &index, sizeof(index), fd);
	if (fd >= 0)
		close(fd);
}

static void
say_features(struct visitor *v)
{
	say_u64(v, FE_SET_FEATURES, chance(v, 3) == 0 ? spoil(v, FE_OFFERED_FEATURES) :
		FE_BIT(30) | FE_BIT(32) | FE_BIT(15) | (chance(v, 2) ? FE_BIT(34) : 0) |
		(chance(v, 3) ? 0 : FE_BIT(26)));
	say_u64(v, FE_SET_PROTOCOL_FEATURES, chance(v, 2) ? FE_OFFERED_PROTOCOL : 0x9);
}

static void
say_memory(struct visitor *v)
{
	struct fake_mem_table table = {
		.nregions = spoil(v, 1),
		.regions[0] = {
			.gpa = spoil(v, GPA), .size = spoil(v, MEMORY), .uva = spoil(v, UVA),
		},
	};

	say(v, FE_SET_MEM_TABLE, &table, 8 + sizeof(table.regions[0]), v->memory);
}

static void
say_slot(struct visitor *v, uint32_t request)
{
	struct { uint64_t padding; struct fake_mem_region region; } slot = {
		.region = { .gpa = spoil(v, GPA), .size = spoil(v, MEMORY), .uva = spoil(v, UVA) },
	};

	say(v, request, &slot, sizeof(slot), request == FE_ADD_MEM_REG ? v->memory : -1);
}

static void
say_log(struct visitor *v)
{
	struct { uint64_t size, offset; } log = { .size = spoil(v, 4096), .offset = spoil(v, 0) };

	say(v, FE_SET_LOG_BASE, &log, sizeof(log), v->memory);
}

static void
say_ring(struct visitor *v, uint32_t ring)
{
	uint64_t at = UVA + ring * 0x4000;
	struct fake_addr addr = {
		.index = ring, .desc = spoil(v, at), .avail = spoil(v, at + 0x1000),
		.used = spoil(v, at + 0x2000),
	};

	say_state(v, FE_SET_VRING_NUM, ring, RING_SIZE);
	say_state(v, FE_SET_VRING_BASE, ring, 0);
	say(v, FE_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	say_doorbell(v, FE_SET_VRING_KICK, ring);
	say_doorbell(v, FE_SET_VRING_CALL, ring);
	say_state(v, FE_SET_VRING_ENABLE, ring, 1);
}

/** All that a good frontend says, sometimes with mistakes. */
static void
say_all(struct visitor *v)
{
	v->honest = chance(v, 4) != 0;
	say(v, FE_SET_OWNER, NULL, 0, -1);
	say_features(v);
	say_memory(v);
	for (uint32_t ring = 0; ring < 2; ring++)
		say_ring(v, ring);
	say_u64(v, FE_SET_STATUS, 15);
	v->honest = false;
}

static void
say_anything(struct visitor *v)
{
	uint8_t bytes[64];

	for (unsigned int i = 0; i < sizeof(bytes); i++)
		bytes[i] = chance(v, 256);
	say(v, 1 + chance(v, FE_REQUEST_END), bytes, chance(v, sizeof(bytes)),
		chance(v, 3) == 0 ? v->memory : -1);
}

/** Write to rings and buffers: descriptors that lead somewhere, indices that promise much. */
static void
scribble(struct visitor *v)
{
	for (unsigned int i = 0; i < 64; i++) {
		size_t at = chance(v, RINGS * 0x4000 / 8) * 8;
		uint64_t value = chance(v, 2) ? GPA + chance(v, MEMORY) :
			(uint64_t)chance(v, 4096) | (uint64_t)chance(v, 8) << 32;

		__atomic_store_n((uint64_t *)(v->map + at), value, __ATOMIC_RELAXED);
	}
}

static void
one_step(struct visitor *v)
{
	uint32_t ring = chance(v, RINGS);

	switch (chance(v, 20)) {
	case 0: say(v, FE_GET_FEATURES, NULL, 0, -1); break;
	case 1: say_features(v); break;
	case 2: say_memory(v); break;
	case 3: say_slot(v, FE_ADD_MEM_REG); break;
	case 4: say_slot(v, FE_REM_MEM_REG); break;
	case 5: say_log(v); break;
	case 6: say_ring(v, ring); break;
	case 7: say_state(v, FE_GET_VRING_BASE, ring, 0); break;
	case 8: say_state(v, FE_SET_VRING_ENABLE, ring, chance(v, 2)); break;
	case 9: say_doorbell(v, FE_SET_VRING_CALL, ring); break;
	case 10: say_doorbell(v, FE_SET_VRING_KICK, ring); break;
	case 11: say(v, FE_RESET_OWNER, NULL, 0, -1); break;
	case 12: say_u64(v, FE_SET_STATUS, spoil(v, 15)); break;
	case 13: say_anything(v); break;
	case 14: say_u64(v, FE_SEND_RARP, 0x010203040506ULL); break;
	case 15:
		if (SHRINKS && chance(v, 8) == 0 && ftruncate(v->memory, chance(v, MEMORY)) == 0)
			break;
		/* fall through */
	case 16: scribble(v); break;
	default: say_all(v);
	}
}

static void
read_answers(struct visitor *v)
{
	uint8_t bytes[4096];

	while (recv(v->link.sock, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static int
visit_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (sock >= 0 && connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return sock;
	if (sock >= 0)
		close(sock);
	return -1;
}

/** Come, talk, leave: whether there was somebody to talk to. */
static bool
visit(unsigned int *seed)
{
	struct visitor v = { .seed = seed, .memory = memfd_create("storm", MFD_CLOEXEC) };

	v.link.sock = visit_socket(storm.paths[rand_r(seed) % SOCKETS]);
	v.map = ftruncate(v.memory, MEMORY) == 0 ? mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
		MAP_SHARED, v.memory, 0) : MAP_FAILED;
	if (v.link.sock >= 0 && v.map != MAP_FAILED) {
		if (chance(&v, 4) != 0)
			say_all(&v);
		for (unsigned int n = chance(&v, 60); n > 0 && !is_over(); n--) {
			/* what is written behind the end of a file is a fault of ours */
			if (ftruncate(v.memory, MEMORY) != 0)
				break;
			one_step(&v);
			read_answers(&v);
		}
		if (chance(&v, 2))
			usleep(chance(&v, 5000));
	}
	if (v.map != MAP_FAILED)
		munmap(v.map, MEMORY);
	close(v.memory);
	if (v.link.sock < 0)
		return false;
	close(v.link.sock);
	return true;
}

static void *
be_frontends(void *arg)
{
	struct actor *a = arg;

	while (!is_over())
		if (visit(&a->seed))
			a->turns++;
		else
			sched_yield();
	return NULL;
}

/* ---- the application's threads ---- */

static void *
be_registrar(void *arg)
{
	struct actor *a = arg;

	while (!is_over()) {
		unsigned int i = rand_r(&a->seed) % SOCKETS;

		usleep(rand_r(&a->seed) % 40000);
		if (rte_vhost_driver_unregister(storm.paths[i]) != 0 || register_socket(i) != 0)
			break;
		a->turns++;
	}
	return NULL;
}

static void
ask_about_ring(int vid, uint16_t ring)
{
	struct rte_vhost_vring vring;
	struct rte_vhost_ring_inflight inflight;
	struct rte_vhost_stat stats[32];
	struct rte_vhost_power_monitor_cond cond;

	rte_vhost_get_vhost_vring(vid, ring, &vring);
	rte_vhost_get_vhost_ring_inflight(vid, ring, &inflight);
	rte_vhost_vring_stats_get(vid, ring, stats, RTE_DIM(stats));
	rte_vhost_get_monitor_addr(vid, ring, &cond);
	rte_vhost_avail_entries(vid, ring);
	rte_vhost_rx_queue_count(vid, ring);
	rte_vhost_numa_queue_node(vid, ring);
}

static void
tell_ring(int vid, uint16_t ring, unsigned int what)
{
	switch (what % 6) {
	case 0: rte_vhost_vring_call(vid, ring); break;
	case 1: rte_vhost_vring_call_nonblock(vid, ring); break;
	case 2: rte_vhost_enable_guest_notification(vid, ring, what & 8); break;
	case 3: rte_vhost_vring_stats_reset(vid, ring); break;
	case 4: rte_vhost_log_used_vring(vid, ring, 0, 64); break;
	default: rte_vhost_log_write(vid, GPA, 64);
	}
}

static void
ask_about_device(int vid)
{
	struct rte_vhost_numa_report *report;
	struct rte_vhost_memory *memory;
	uint64_t features, base, size;
	char name[108];
	uint16_t mtu;

	rte_vhost_get_numa_node(vid);
	rte_vhost_get_vring_num(vid);
	rte_vhost_get_ifname(vid, name, sizeof(name));
	rte_vhost_get_mtu(vid, &mtu);
	rte_vhost_get_negotiated_features(vid, &features);
	rte_vhost_get_negotiated_protocol_features(vid, &features);
	rte_vhost_get_log_base(vid, &base, &size);
	if (rte_vhost_get_mem_table(vid, &memory) == 0)
		free(memory);
	if (rte_vhost_numa_report(vid, &report) == 0)
		free(report);
}

static void
tell_socket(const char *path, unsigned int what)
{
	const struct rte_vhost_numa_policy policy = {
		.mode = what % 3 == 0 ? RTE_VHOST_NUMA_PIN :
			what % 3 == 1 ? RTE_VHOST_NUMA_OFF : RTE_VHOST_NUMA_FOLLOW,
	};
	const struct rte_vhost_limits limits = { .connections = 8 + what % 8 };
	struct rte_vhost_limits_usage usage;

	switch (what / 3 % 3) {
	case 0: rte_vhost_numa_policy_set(path, &policy); break;
	case 1: rte_vhost_driver_limits_set(path, &limits); break;
	default: rte_vhost_driver_limits_get(path, &usage);
	}
}

static void *
be_caller(void *arg)
{
	struct actor *a = arg;

	while (!is_over()) {
		unsigned int what = rand_r(&a->seed);
		int vid = what % VIDS;
		uint16_t ring = what / VIDS % RINGS;

		switch (rand_r(&a->seed) % 16) {
		case 0: tell_socket(storm.paths[what % SOCKETS], what / SOCKETS); break;
		case 1: rte_vhost_numa_refresh(vid); break;
		case 2: case 3: ask_about_device(vid); break;
		case 4: case 5: tell_ring(vid, ring, what / 64); break;
		default: ask_about_ring(vid, ring);
		}
		a->turns++;
		if (a->turns % 16 == 0)
			usleep(100);
	}
	return NULL;
}

static void *
be_poller(void *arg)
{
	struct rte_mbuf *pkts[32];
	struct actor *a = arg;

	while (!is_over()) {
		int vid = rand_r(&a->seed) % VIDS;
		uint16_t n = rte_vhost_dequeue_burst(vid, 1, fake_pool(), pkts, RTE_DIM(pkts));

		rte_vhost_enqueue_burst(vid, 0, pkts, n);
		rte_pktmbuf_free_bulk(pkts, n);
		a->turns++;
		if (a->turns % 64 == 0)
			usleep(100);
	}
	return NULL;
}

/* ---- the storm ---- */

static const struct {
	void *(*be)(void *arg);
	unsigned int n;
	const char *name;
} roles[] = {
	{ be_frontends, FRONTENDS, "frontends" },
	{ be_registrar, 1, "registrations" },
	{ be_caller, CALLERS, "calls" },
	{ be_poller, 1, "bursts" },
};

static int
start_actors(unsigned int seed)
{
	unsigned int n = 0;

	for (unsigned int role = 0; role < RTE_DIM(roles); role++) {
		for (unsigned int i = 0; i < roles[role].n; i++, n++) {
			struct actor *a = &storm.actors[n];

			*a = (struct actor){ .seed = seed + n };
			TEST_ASSERT_SUCCESS(pthread_create(&a->thread, NULL, roles[role].be, a),
				"a thread");
		}
	}
	return TEST_SUCCESS;
}

static int
end_actors(void)
{
	unsigned int n = 0;
	uint64_t starts;

	__atomic_store_n(&storm.end, true, __ATOMIC_RELAXED);
	for (unsigned int role = 0; role < RTE_DIM(roles); role++) {
		uint64_t turns = 0;

		for (unsigned int i = 0; i < roles[role].n; i++, n++) {
			pthread_join(storm.actors[n].thread, NULL);
			turns += storm.actors[n].turns;
		}
		printf("%s: %" PRIu64 "\n", roles[role].name, turns);
		TEST_ASSERT(turns > 10, "%s: %" PRIu64, roles[role].name, turns);
	}
	starts = __atomic_load_n(&storm.starts, __ATOMIC_RELAXED);
	printf("starts: %" PRIu64 "\n", starts);
	TEST_ASSERT(starts > 10, "devices started");
	return TEST_SUCCESS;
}

static int
everything_at_once(void)
{
	unsigned int seed = test_param_u64("seed", fake_now_ms() & 0xffffff);
	uint64_t until = fake_now_ms() + test_param_u64("seconds", 5) * 1000;
	struct fake *good;

	printf("seed=%u\n", seed);
	storm.end = false;
	storm.connections = storm.devices = storm.starts = 0;
	for (unsigned int i = 0; i < SOCKETS; i++) {
		fake_new_path(storm.paths[i], sizeof(storm.paths[i]));
		TEST_ASSERT_SUCCESS(register_socket(i), "socket %u", i);
	}
	TEST_ASSERT_SUCCESS(start_actors(seed), "threads");
	while (fake_now_ms() < until)
		usleep(50000);
	TEST_ASSERT_SUCCESS(end_actors(), "all have done something");
	good = fake_start(.queues = 1);
	TEST_ASSERT_NOT_NULL(good, "a good frontend is served");
	TEST_ASSERT_EQUAL(fake_round_trip(good, 0, 1000), 1000, "and its packets");
	TEST_ASSERT_SUCCESS(fake_stop(good), "it leaves");
	for (unsigned int i = 0; i < SOCKETS; i++)
		TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(storm.paths[i]), "socket %u", i);
	TEST_ASSERT_EQUAL(__atomic_load_n(&storm.devices, __ATOMIC_RELAXED), 0,
		"each new_device has its destroy_device");
	/* who unregisters is not told of the connections that end with it */
	TEST_ASSERT(__atomic_load_n(&storm.connections, __ATOMIC_RELAXED) >= 0,
		"no connection ends that has not begun");
	return TEST_SUCCESS;
}

static const struct test_case cases[] = {
	TEST_CASE(everything_at_once),
};

static int
test_vhost_storm(void)
{
	struct test_suite suite = {
		.name = "vhost storm", .setup = fake_setup, .teardown = fake_teardown,
		.check = fake_check, .case_seconds = 120 + test_param_u64("seconds", 5),
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_storm_autotest, test_vhost_storm);
