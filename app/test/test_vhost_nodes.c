/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Stories that need the nodes of a real machine: guests that live on all of them,
 * nodes whose memory is really used up, memory that appears while a device waits
 * for it.  Everything is asked of the kernel, page by page; see
 * vhost_test_topology.h.  The stories that a made-up machine can tell as well are
 * in test_vhost_relocate.c.
 */

#include <inttypes.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/mempolicy.h>

#include <rte_cycles.h>
#include <rte_vhost.h>

#include "device.h"
#include "mem_heap.h"
#include "mem_node.h"
#include "numa_evidence.h"
#include "numa_watch.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_denied.h"
#include "vhost_test_log.h"
#include "vhost_test_machine.h"
#include "vhost_test_topology.h"
#include "vhost_test_traffic.h"

/** The machine. */
static struct {
	int here;	/**< where devices are born */
	int there;	/**< another node */
	unsigned int n;	/**< nodes with memory */
	int nodes[MACHINE_MAX_NODES];
} world;

/* ---- guests ---- */

static struct fake *
start_on(int node, struct fake_config cfg)
{
	topology_make_real();
	if (node != VHOST_NODE_ANY) {
		cfg.memory_on_node = FAKE_NODE(node);
		cfg.prealloc = true;
	}
	return fake_start_config(&cfg);
}

#define guest_on(node, ...) start_on(node, (struct fake_config){ __VA_ARGS__ })

static struct vhost_device *
device_of(const struct fake *fe)
{
	return vhost_device_peek(fe->vid);
}

/** One of the library's regular looks. */
static void
look(const struct fake *fe)
{
	struct vhost_device *dev = device_of(fe);

	vhost_device_lock(dev);
	vhost_numa_watch_check(dev);
	vhost_device_unlock(dev);
}

static int
region_goes(struct fake *fe, unsigned int i, int node)
{
	return machine_migrate(fe->regions[i].map, fe->regions[i].map_len, node);
}

static int
guest_goes(struct fake *fe, int node)
{
	for (unsigned int i = 0; i < fe->nregions; i++)
		if (region_goes(fe, i, node) != 0)
			return -1;
	return 0;
}

static int
ring_goes(struct fake *fe, unsigned int i, int node)
{
	return machine_migrate(fe->vqs[i].desc, fake_vq_ring_bytes(fe) - 4096, node);
}

/* ---- guests on many nodes ---- */

/** The node of a guest's part after a turn; its last part is the largest one. */
static int
node_of_part(unsigned int part, unsigned int turn)
{
	return world.nodes[(part + turn) % world.n];
}

/** Each region, and the rings of each queue pair, on a node of its own. */
static int
spread_guest(struct fake *fe, unsigned int turn, int *ring_nodes)
{
	for (unsigned int i = 0; i < world.n; i++)
		if (region_goes(fe, i, node_of_part(i, turn)) != 0)
			return -1;
	for (unsigned int i = 0; i < fe->nvrings; i++) {
		ring_nodes[i] = node_of_part(i / 2, turn);
		if (ring_goes(fe, i, ring_nodes[i]) != 0)
			return -1;
	}
	return 0;
}

/** As many replicas as there are nodes with queues, or the device. */
static int
check_replicas(const struct fake *fe, int dev_node, const int *ring_nodes)
{
	const struct vhost_device *dev = device_of(fe);
	uint64_t used = placement_node_bit(dev_node), found = 0;

	for (unsigned int i = 0; i < fe->nvrings; i++)
		used |= placement_node_bit(ring_nodes[i]);
	for (unsigned int i = 0; i < dev->running.nreplicas; i++)
		found |= placement_node_bit(dev->running.replicas[i]->node);
	TEST_ASSERT_EQUAL(found, used, "one on each node in use");
	TEST_ASSERT_EQUAL(dev->running.nreplicas, __builtin_popcountll(used), "and no more");
	return 0;
}

static int
check_places(const struct fake *fe, int dev_node, const int *ring_nodes)
{
	TEST_ASSERT_SUCCESS(topology_inventory(fe, dev_node, ring_nodes), "all in place");
	return check_replicas(fe, dev_node, ring_nodes);
}

/**
 * A guest with as many virtual nodes as the machine has, and a queue pair on each;
 * its nodes change places under traffic, then it gathers on fewer of them.
 */
static int
a_guest_lives_on_all_nodes(void)
{
	int nodes[2 * MACHINE_MAX_NODES];
	unsigned int turn, pairs = world.n;
	struct traffic *traffic;
	struct fake *fe;

	fe = guest_on(world.here, .queues = pairs, .regions = pairs, .ring_size = 64,
		.until = FAKE_NEGOTIATED);
	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	TEST_ASSERT_SUCCESS(spread_guest(fe, 0, nodes), "the guest");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "its memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "its rings");
	TEST_ASSERT_SUCCESS(check_places(fe, node_of_part(pairs - 1, 0), nodes), "at once");
	traffic = traffic_start(fe, pairs);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	for (turn = 1; turn <= 2 * pairs; turn++) {
		TEST_ASSERT_SUCCESS(spread_guest(fe, turn, nodes), "turn %u", turn);
		TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "turn %u", turn);
		TEST_ASSERT_SUCCESS(check_places(fe, node_of_part(pairs - 1, turn), nodes),
			"turn %u", turn);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 20), "turn %u", turn);
	}
	for (unsigned int i = 0; i < pairs; i++) {
		TEST_ASSERT_SUCCESS(guest_goes(fe, world.nodes[i]), "it gathers");
		for (unsigned int ring = 0; ring < fe->nvrings; ring++)
			nodes[ring] = world.nodes[i];
		nodes[1] = world.nodes[0];
		TEST_ASSERT_SUCCESS(ring_goes(fe, 1, nodes[1]), "but for a ring");
		TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
		TEST_ASSERT_SUCCESS(check_places(fe, world.nodes[i], nodes), "node %u", i);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 20), "node %u", i);
	}
	TEST_ASSERT_EQUAL(device_of(fe)->running.refusals, 0, "without trouble");
	printf("%u nodes, %" PRIu64 " moves, %" PRIu64 " packets\n", world.n,
		device_of(fe)->running.moves, traffic_flown(traffic));
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return topology_stop(fe);
}

/** What the application is told at the moment of new_device(). */
static void
note_node(void *arg, enum fake_event ev, int vid, unsigned int qid __rte_unused,
		int on __rte_unused)
{
	if (ev == FAKE_NEW_DEVICE)
		*(int *)arg = rte_vhost_get_numa_node(vid);
}

/** On the same socket, each time on another node. */
static int
a_guest_is_restarted_on_every_node(void)
{
	int told = -2;
	struct fake *fe;

	fe = guest_on(world.here, .queues = 2, .hook = note_node, .hook_arg = &told);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 0; i < 2 * world.n; i++) {
		int node = world.nodes[i % world.n];

		fake_disconnect(fe);
		TEST_ASSERT_SUCCESS(guest_goes(fe, node), "start %u", i);
		for (unsigned int v = 0; v < fe->nvrings; v++)
			fake_vq_reset(&fe->vqs[v]);
		TEST_ASSERT_SUCCESS(fake_connect(fe), "start %u", i);
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "born at home");
		TEST_ASSERT_SUCCESS(fake_negotiate(fe), "features");
		TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, node), "start %u", i);
		TEST_ASSERT_SUCCESS(fake_run(fe), "rings");
		TEST_ASSERT_EQUAL(told, node, "new_device() is told the node");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, node), "start %u", i);
		for (unsigned int pair = 0; pair < 2; pair++)
			TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 200), 200, "pair %u", pair);
	}
	return topology_stop(fe);
}

/* ---- nodes without memory ---- */

/** One warning that names the node, what belongs there, and what to do. */
static int
check_told(struct log_capture *log, const struct fake *fe, unsigned int n, const char *what)
{
	char line[256];

	snprintf(line, sizeof(line), "VHOST_CONFIG: (%s) no memory on node %d, where %s "
		"belongs: it stays on node %d; node %d is full", fe->path, world.there, what,
		world.here, world.there);
	TEST_ASSERT_EQUAL(log_count(log, line), n, "%s", log->text);
	TEST_ASSERT_EQUAL(log_count(log, "VHOST_CONFIG"), n, "and no more:\n%s", log->text);
	log_free(log);
	return 0;
}

/** Looks at a guest, part of which is where there is no memory; nothing moves. */
static int
check_stays(struct fake *fe, unsigned int refused_looks, const char *what)
{
	uint64_t refusals = device_of(fe)->running.refusals;
	struct log_capture log;

	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	for (unsigned int i = 0; i < 3; i++) {
		/* the kernel frees pages by itself */
		if (refused_looks > 0)
			TEST_ASSERT_SUCCESS(machine_fill_node(world.there), "still full");
		if (i == 0)
			TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "asked for");
		else
			look(fe);
	}
	log_end(&log);
	TEST_ASSERT_SUCCESS(check_told(&log, fe, refused_looks > 0, what), "told once");
	TEST_ASSERT_EQUAL(device_of(fe)->running.refusals - refusals, refused_looks, "each is counted");
	TEST_ASSERT_EQUAL(device_of(fe)->running.refused_nodes, refused_looks > 0 ?
		placement_node_bit(world.there) : 0, "noted");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "all stays");
	return 0;
}

/** The guest, or one of its rings, goes there and comes back. */
static int
go_there_in_vain(struct fake *fe, unsigned int journey)
{
	bool whole = journey % 2 == 0;

	TEST_ASSERT_SUCCESS(machine_make_room(), "for the guest");
	TEST_ASSERT_SUCCESS(whole ? guest_goes(fe, world.there) : ring_goes(fe, 3, world.there),
		"it goes");
	TEST_ASSERT_SUCCESS(check_stays(fe, 3, whole ? "the device" : "queue 3"), "there");
	TEST_ASSERT_SUCCESS(guest_goes(fe, world.here), "it comes back");
	TEST_ASSERT_SUCCESS(check_stays(fe, 0, ""), "here");
	return 0;
}

/** What it costs to ask a full node, once an earlier answer is out of date. */
static uint64_t
refusal_us(void)
{
	uint64_t begin;
	int got;

	if (machine_fill_node(world.there) != 0)
		return 0;
	usleep(120000);
	begin = rte_rdtsc();
	vhost_heap_free(vhost_heap_alloc(2 << 20, world.there, &got));
	return (rte_rdtsc() - begin) * 1000000 / rte_get_tsc_hz();
}

static int
a_node_is_really_full(void)
{
	/* there and back; a whole guest in every second one */
	const unsigned int journeys = test_param_u64("journeys", 30) / 2;
	struct traffic *traffic;
	struct log_capture log;
	struct fake *fe;

	fe = guest_on(world.here, .queues = 2, .mergeable = true, .ring_size = 128,
		.extra_memory = 4096);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "at home");
	TEST_ASSERT_SUCCESS(machine_fill_node(world.there), "the other node is full");
	TEST_ASSERT_EQUAL(machine_free_hugepages(world.there), 0, "no page is left");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	for (unsigned int i = 0; i < journeys; i++) {
		TEST_ASSERT_SUCCESS(go_there_in_vain(fe, i), "journey %u", i);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 20), "journey %u", i);
	}
	TEST_ASSERT_EQUAL(device_of(fe)->running.moves, 0, "nothing moved");
	printf("to be refused takes %" PRIu64 " us\n", refusal_us());
	TEST_ASSERT_SUCCESS(machine_make_room(), "for the guest");
	TEST_ASSERT_SUCCESS(guest_goes(fe, world.there), "it goes");
	TEST_ASSERT_SUCCESS(check_stays(fe, 3, "the device"), "there");
	machine_empty_node();
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	look(fe);
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "reallocate"), 5, "it moves:\n%s", log.text);
	log_free(&log);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "at the next look");
	TEST_ASSERT_EQUAL(device_of(fe)->running.refused_nodes, 0, "all is well");
	TEST_ASSERT_SUCCESS(traffic_wait(traffic, 100), "packets go on");
	printf("%u journeys, %" PRIu64 " refusals, %" PRIu64 " moves, %" PRIu64 " packets\n",
		2 * journeys, device_of(fe)->running.refusals, device_of(fe)->running.moves,
		traffic_flown(traffic));
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return topology_stop(fe);
}

/** A guest that starts on a full node runs where devices are born. */
static int
a_guest_starts_on_a_full_node(void)
{
	struct log_capture log;
	struct fake *fe;

	fe = guest_on(world.there, .queues = 2, .until = FAKE_NEGOTIATED);
	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	TEST_ASSERT_SUCCESS(machine_fill_node(world.there), "the other node is full");
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "rings");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "no memory on node"), 1, "told once:\n%s", log.text);
	log_free(&log);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "it is here");
	TEST_ASSERT_EQUAL(rte_vhost_get_numa_node(fe->vid), world.here, "and says so");
	for (unsigned int pair = 0; pair < 2; pair++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 500), 500, "pair %u", pair);
	return topology_stop(fe);
}

/* ---- memory that comes later ---- */

/** Memory of a guest, and whether the library may ask with userfaultfd. */
struct kind {
	const char *folder;
	bool huge;
	bool denied;
};

static const struct kind
	memfd = { NULL, false, false }, memfd_denied = { NULL, false, true },
	shm = { "/dev/shm", false, false }, shm_denied = { "/dev/shm", false, true },
	huge = { NULL, true, false }, huge_denied = { NULL, true, true },
	hugetlbfs = { "/dev/hugepages", true, false },
	hugetlbfs_denied = { "/dev/hugepages", true, true };

/** Bytes that a guest uses first. */
#define TOUCHED (64 * 4096)

/** Blocks of all files of the guest's memory. */
static long
guest_blocks(const struct fake *fe)
{
	long blocks = 0;
	struct stat st;

	for (unsigned int i = 0; i < fe->nregions; i++)
		blocks += fstat(fe->regions[i].fd, &st) == 0 ? st.st_blocks : -1;
	return blocks;
}

static struct fake *watched;

static int
look_at_watched(void)
{
	for (int i = 0; i < 3; i++)
		look(watched);
	return TEST_SUCCESS;
}

/** Three looks; what they ask for may be denied. */
static int
look_as(const struct kind *kind, struct fake *fe)
{
	watched = fe;
	if (!kind->denied)
		return look_at_watched();
	return denied_run((struct denied){
		.calls = { SYS_userfaultfd }, .err = EPERM, .run = look_at_watched,
	});
}

/** Pages that this thread touches from now on are of a node; VHOST_NODE_ANY: any. */
static int
touch_on(int node)
{
	unsigned long mask[4] = { 0 };

	if (node == VHOST_NODE_ANY)
		return syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
	mask[node / 64] = 1UL << (node % 64);
	return syscall(SYS_set_mempolicy, MPOL_BIND, mask, 8 * sizeof(mask));
}

/** The guest uses some of its memory: more than lies between two pages of a sample. */
static long
touch_some(struct fake *fe)
{
	for (size_t at = 4 << 20; at < (4 << 20) + TOUCHED; at += 4096)
		fe->regions[0].map[at] = 1;
	return guest_blocks(fe);
}

/**
 * A guest without preallocated memory: nothing is allocated by looking for it, and
 * the first of it that is found decides.
 */
static int
memory_comes_later(const void *arg)
{
	const struct kind *kind = arg;
	struct fake *fe;
	long blocks;

	if (kind->huge && machine_free_hugepages(world.there) == 0)
		return TEST_SKIPPED;
	fe = guest_on(VHOST_NODE_ANY, .queues = 1, .memory_in = kind->folder,
		.hugepages = kind->huge, .extra_memory = 16 << 20, .until = FAKE_NEGOTIATED);
	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	TEST_ASSERT_SUCCESS(fake_memory_discard(fe), "nothing is there");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "its memory");
	TEST_ASSERT(topology_is_undecided(fe), "nothing is known");
	TEST_ASSERT_SUCCESS(look_as(kind, fe), "look");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "it stays");
	TEST_ASSERT_EQUAL(guest_blocks(fe), 0, "nothing was allocated");
	TEST_ASSERT_SUCCESS(touch_on(world.there), "a policy");
	blocks = touch_some(fe);
	TEST_ASSERT_EQUAL(blocks, (kind->huge ? 2 << 20 : TOUCHED) / 512, "some pages");
	TEST_ASSERT_SUCCESS(look_as(kind, fe), "look");
	TEST_ASSERT_EQUAL(guest_blocks(fe), blocks, "nothing was allocated");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "it moves");
	TEST_ASSERT_EQUAL(topology_counters(fe).node_changes, 0, "which is no drift");
	/* drivers write their rings before anybody reads them */
	for (unsigned int i = 0; i < fe->nvrings; i++)
		fake_vq_reset(&fe->vqs[i]);
	TEST_ASSERT_SUCCESS(fake_run(fe), "rings");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 500), 500, "it works");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "there");
	fake_guards_paint(fe);
	return topology_stop(fe);
}

#define FOR_KINDS(fn, X) \
	X(fn, memfd), X(fn, memfd_denied), X(fn, shm), X(fn, shm_denied), \
	X(fn, huge), X(fn, huge_denied), X(fn, hugetlbfs), X(fn, hugetlbfs_denied)
#define KIND_CASE(fn, kind) TEST_CASE_WITH(fn, #fn " (" #kind ")", &kind)

/* ---- the suite ---- */

static int
check(void)
{
	int left;

	touch_on(VHOST_NODE_ANY);
	vhost_numa_watch_set_interval(0);
	traffic_abandon();
	left = fake_check();
	topology_end();
	machine_empty_node();
	return left;
}

static int
find_world(void)
{
	world.here = vhost_node_home();
	if (world.here < 0 || !machine_node_gives_memory(world.here))
		return TEST_SKIPPED;
	world.n = machine_find_nodes(world.nodes);
	world.there = machine_other_node(world.here);
	if (world.there < 0 || !machine_node_gives_memory(world.there))
		return TEST_SKIPPED;
	printf("%u node(s); from node %d to node %d, which has %lu hugepages\n", world.n,
		world.here, world.there, machine_free_hugepages(world.there));
	return fake_setup();
}

static const struct test_case cases[] = {
	TEST_CASE(a_guest_lives_on_all_nodes),
	TEST_CASE(a_guest_is_restarted_on_every_node),
	TEST_CASE(a_guest_starts_on_a_full_node),
	TEST_CASE(a_node_is_really_full),
	FOR_KINDS(memory_comes_later, KIND_CASE),
};

static int
test_vhost_nodes(void)
{
	static const struct test_suite suite = {
		.name = "vhost nodes", .setup = find_world, .check = check,
		.teardown = fake_teardown, .case_seconds = 300,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_nodes_numa_autotest, test_vhost_nodes);
