/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Relocation: a device is born on one node, its guest's memory is on another one,
 * and everything that bursts touch goes there, without losing a packet.
 *
 * The stories are told twice.  vhost_relocate_autotest tells them on a machine
 * that is made up, with nodes 0 and 8, and runs anywhere.  The same stories run
 * on the nodes of the machine as vhost_relocate_numa_autotest: guest memory is
 * bound and migrated by the kernel, blocks are EAL's memory, and the kernel is
 * asked about each of their pages.
 *
 * After each move there is an inventory: every block of the device is on its
 * node, and no other block is left.
 */

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>

#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <rte_vhost_numa.h>

#include "device.h"
#include "mem_heap.h"
#include "mem_node.h"
#include "numa_watch.h"
#include "test.h"
#include "vhost_fake_backend.h"
#include "vhost_fake_inflight.h"
#include "vhost_test_log.h"
#include "vhost_test_machine.h"
#include "vhost_test_topology.h"
#include "vhost_test_traffic.h"

#define MADE_UP_THERE 8

/** The machine on which the stories happen. */
static struct {
	bool real;
	int here;	/**< where devices are born */
	int there;	/**< where guests are */
} world;

/** Longer than the heap believes an old answer of the kernel. */
#define HEAP_BELIEVES_US 120000

/* ---- guests ---- */

/** A guest whose memory, all of it, is on a node, and its device. */
static struct fake *
start_on(int node, struct fake_config cfg)
{
	if (world.real) {
		topology_make_real();
		cfg.memory_on_node = FAKE_NODE(node);
		cfg.prealloc = true;
	} else {
		topology_make_up();
		topology_guest_on(node);
	}
	return fake_start_config(&cfg);
}

#define guest_on(node, ...) start_on(node, (struct fake_config){ __VA_ARGS__ })

static int
migrate_guest(struct fake *fe, int node)
{
	if (!world.real) {
		topology_guest_on(node);
		return 0;
	}
	for (unsigned int i = 0; i < fe->nregions; i++)
		if (machine_migrate(fe->regions[i].map, fe->regions[i].map_len, node) != 0)
			return -1;
	return 0;
}

static int
migrate_ring(struct fake *fe, unsigned int vring, int node)
{
	const struct fake_vq *vq = &fe->vqs[vring];
	uint64_t len = fake_vq_ring_bytes(fe) - 4096;

	if (world.real)
		return machine_migrate(vq->desc, len, node);
	topology_guest_part_on(vq->desc_gpa, len, node);
	return 0;
}

static struct vhost_device *
device_of(const struct fake *fe)
{
	return vhost_device_peek(fe->vid);
}

/** How often log lines tell of a move. */
static unsigned int
moves_told(const struct log_capture *log, const struct fake *fe, const char *what, int from, int to)
{
	char line[256];

	snprintf(line, sizeof(line), "VHOST_CONFIG: (%s) reallocate %s from %d to %d node",
		fe->path, what, from, to);
	return log_count(log, line);
}

/** Whatever a frontend says next makes the library look again. */
static int
say_something(struct fake *fe)
{
	return fake_call_u64(fe, FE_NET_SET_MTU, 1500) == FAKE_ACK ? 0 : -1;
}

/* ---- the way there ---- */

static int
a_device_is_born_at_home(void)
{
	struct fake *fe = guest_on(world.there, .until = FAKE_CONNECTED);

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "born here");
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

static int
everything_moves_with_the_memory_table(void)
{
	struct log_capture log;
	int told = -2;
	struct fake *fe;

	fe = guest_on(world.there, .queues = 2, .until = FAKE_NEGOTIATED,
		.hook = note_node, .hook_arg = &told);
	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	/* Monitors hand over call descriptors before there is any memory. */
	for (unsigned int i = 0; i < fe->nvrings; i++)
		TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_CALL, i,
			fe->vqs[i].callfd), FAKE_ACK, "vring %u", i);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "before");
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "the memory table");
	log_end(&log);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "after");
	TEST_ASSERT_EQUAL(moves_told(&log, fe, "dev", world.here, world.there), 1,
		"in:\n%s", log.text);
	TEST_ASSERT_EQUAL(moves_told(&log, fe, "vq", world.here, world.there), fe->nvrings,
		"in:\n%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "reallocate"), fe->nvrings + 1, "and no more");
	log_free(&log);
	TEST_ASSERT_EQUAL(device_of(fe)->running.moves, fe->nvrings + 1, "counted");
	TEST_ASSERT_SUCCESS(fake_run(fe), "the device starts");
	TEST_ASSERT_EQUAL(told, world.there, "new_device() is told the final node");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "running");
	for (unsigned int pair = 0; pair < 2; pair++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 700), 700, "pair %u", pair);
	TEST_ASSERT_EQUAL(device_of(fe)->running.moves, fe->nvrings + 1, "they stay there");
	return topology_stop(fe);
}

static int
late_queue_pairs_are_made_there(void)
{
	struct log_capture log;
	struct fake *fe;

	fe = guest_on(world.there, .queues = 4, .until = FAKE_MEMORY);
	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "the device moved");
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	for (unsigned int i = 0; i < fe->nvrings; i++) {
		TEST_ASSERT_SUCCESS(fake_setup_vring(fe, i), "vring %u", i);
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, i, true), "vring %u", i);
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "vring %u", i);
		if (i % 2 == 1)
			TEST_ASSERT_EQUAL(fake_round_trip(fe, i / 2, 99), 99, "pair %u", i / 2);
	}
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "reallocate"), 0, "never anywhere else:\n%s",
		log.text);
	log_free(&log);
	return topology_stop(fe);
}

static int
the_next_device_of_a_vid_is_born_at_home(void)
{
	struct fake *fe;

	fe = guest_on(world.there, .queues = 2);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (int i = 0; i < 3; i++) {
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "moved");
		fake_disconnect(fe);
		TEST_ASSERT_SUCCESS(fake_connect(fe), "the monitor again");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "born here");
		TEST_ASSERT_EQUAL(device_of(fe)->running.moves, 0, "not moved yet");
		for (unsigned int v = 0; v < fe->nvrings; v++)
			fake_vq_reset(&fe->vqs[v]);
		TEST_ASSERT_SUCCESS(fake_negotiate(fe), "features");
		TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
		TEST_ASSERT_SUCCESS(fake_run(fe), "rings");
	}
	return topology_stop(fe);
}

/* ---- running devices ---- */

static int
a_running_device_follows_its_guest(void)
{
	struct log_capture log;
	struct fake *fe;

	fe = guest_on(world.here, .queues = 2);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "at home");
	TEST_ASSERT_EQUAL(device_of(fe)->running.moves, 0, "nothing to move");
	for (int round = 0; round < 4; round++) {
		int from = round % 2 == 0 ? world.here : world.there;
		int to = world.here + world.there - from;

		TEST_ASSERT_SUCCESS(migrate_guest(fe, to), "the guest goes");
		TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
		TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
		log_end(&log);
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, to), "the device comes");
		TEST_ASSERT_EQUAL(moves_told(&log, fe, "dev", from, to), 1, "%s", log.text);
		TEST_ASSERT_EQUAL(moves_told(&log, fe, "vq", from, to), 4, "%s", log.text);
		log_free(&log);
		TEST_ASSERT_EQUAL(device_of(fe)->running.moves, 5u * (round + 1), "counted");
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 1000), 1000, "it works");
		TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
		TEST_ASSERT_EQUAL(device_of(fe)->running.moves, 5u * (round + 1), "nothing to do");
	}
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_NEW_DEVICE), 1, "the application sees nothing");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "the application sees nothing");
	return topology_stop(fe);
}

/** What waits in the rings, the statistics and the notifications come along. */
static int
nothing_is_forgotten_on_the_way(void)
{
	enum { WAITING = 10 };
	struct vq_stats stats;
	struct fake *fe;

	fe = guest_on(world.here, .flags = RTE_VHOST_USER_NET_STATS_ENABLE, .event_idx = true);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "one packet each way");
	for (int i = 0; i < WAITING; i++) {
		uint8_t pkt[60];

		fake_pattern(pkt, sizeof(pkt), i);
		TEST_ASSERT(fake_tx_send(&fe->vqs[1], NULL, pkt, sizeof(pkt), NULL), "%d", i);
	}
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], WAITING, 500, NULL), WAITING, "buffers");
	TEST_ASSERT_SUCCESS(migrate_guest(fe, world.there), "the guest goes");
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "the device follows");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "it is there");
	TEST_ASSERT_EQUAL(rte_vhost_avail_entries(fe->vid, 0), WAITING, "buffers");
	TEST_ASSERT_EQUAL(rte_vhost_rx_queue_count(fe->vid, 1), WAITING, "packets");
	for (int i = 0; i < WAITING; i++) {
		struct rte_mbuf *m = fake_backend_receive(fe, 0);

		TEST_ASSERT_NOT_NULL(m, "packet %d", i);
		TEST_ASSERT(fake_mbuf_matches(m, 60, i), "packet %d", i);
		rte_pktmbuf_free(m);
	}
	fake_interrupts(&fe->vqs[0]);
	fe->vqs[0].ops->interrupts(&fe->vqs[0], true);
	TEST_ASSERT_EQUAL(fake_backend_send(fe, 0, 60, 5), 1, "to the guest");
	TEST_ASSERT(fake_interrupts(&fe->vqs[0]) > 0, "who is told");
	TEST_ASSERT_SUCCESS(vhost_queue_stats(vhost_device_queue(device_of(fe), 1),
		&stats, false), "statistics");
	TEST_ASSERT_EQUAL(stats.packets, 1 + WAITING, "of both nodes");
	return topology_stop(fe);
}

/** The node of a block while nobody else settles. */
static int
ring_node(const struct fake *fe, unsigned int i)
{
	return vhost_queue_block(vhost_device_queue(device_of(fe), i))->node;
}

/* ---- how long bursts are kept out ---- */

#define MAX_PAUSES 16384

static struct {
	unsigned int n;
	uint64_t ns[MAX_PAUSES];
} pauses;

/** Note the last pause of each queue. */
static void
note_pauses(const struct fake *fe)
{
	for (unsigned int i = 0; i < fe->nvrings && pauses.n < MAX_PAUSES; i++)
		pauses.ns[pauses.n++] = vhost_device_queue(device_of(fe), i)->pause_ns;
}

static int
compare_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/** Pauses include waiting for the burst that is inside: until its thread runs again. */
static void
tell_pauses(void)
{
	if (pauses.n == 0)
		return;
	qsort(pauses.ns, pauses.n, sizeof(pauses.ns[0]), compare_ns);
	printf("pause of a queue: median %.1f us, 99 %% %.1f us, worst %.1f us (%u pauses)\n",
		pauses.ns[pauses.n / 2] / 1e3, pauses.ns[pauses.n * 99 / 100] / 1e3,
		pauses.ns[pauses.n - 1] / 1e3, pauses.n);
	pauses.n = 0;
}

/**
 * Moves one way and back.  The kernel takes its time to migrate a whole guest, so
 * most of the moves on real nodes are of the rings alone, and of the queues.
 */
static int
thousands_of_moves_under_traffic(void)
{
	const unsigned int moves = test_param_u64("moves", world.real ? 1000 : 2000);
	const unsigned int whole = world.real ? 41 : 1;
	int dev_node = world.here, nodes[4];
	uint64_t expected = 0;
	struct traffic *traffic;
	struct fake *fe;

	fe = guest_on(world.here, .queues = 2, .mergeable = true,
			.ring_size = test_param_u64("ring", 128));
	TEST_ASSERT_NOT_NULL(fe, "a device");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	TEST_ASSERT_SUCCESS(traffic_wait(traffic, 100), "before");
	for (unsigned int i = 0; i < moves; i++) {
		int to = i % 2 == 0 ? world.there : world.here;

		if (i % whole == 0) {
			expected += to != dev_node;
			dev_node = to;
			TEST_ASSERT_SUCCESS(migrate_guest(fe, to), "move %u", i);
		}
		for (unsigned int ring = 0; ring < 4; ring++) {
			nodes[ring] = to;
			TEST_ASSERT_SUCCESS(migrate_ring(fe, ring, to), "move %u", i);
		}
		expected += 4;
		TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "move %u", i);
		TEST_ASSERT_SUCCESS(topology_inventory(fe, dev_node, nodes), "move %u", i);
		note_pauses(fe);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 4), "after move %u", i);
	}
	tell_pauses();
	TEST_ASSERT_EQUAL(device_of(fe)->running.moves, expected, "counted");
	TEST_ASSERT_EQUAL(device_of(fe)->running.refusals, 0, "without trouble");
	TEST_ASSERT_SUCCESS(traffic_wait(traffic, 100), "after");
	printf("%u moves, %" PRIu64 " packets\n", moves, traffic_flown(traffic));
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return topology_stop(fe);
}

static bool
wait_for_node(const struct fake *fe, int node)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (fake_now_ms() < until) {
		bool there = topology_device_node(fe) == node;

		for (unsigned int i = 0; i < fe->nvrings; i++)
			there = there && rte_vhost_numa_queue_node(fe->vid, i) == node;
		if (there)
			return true;
		sched_yield();
	}
	return false;
}

/** What an earlier backend left; the application knows it by its address. */
static const struct rte_vhost_resubmit_info *
left_undone(const struct fake *fe)
{
	struct rte_vhost_ring_inflight ring = { .resubmit_inflight = NULL };

	rte_vhost_get_vhost_ring_inflight(fe->vid, 1, &ring);
	return ring.resubmit_inflight;
}

/** A guest with three requests that a backend died over. */
static struct fake *
start_with_work(int node, struct fake_inflight *area)
{
	struct fake *fe = guest_on(node, .until = FAKE_MEMORY,
		.protocol_features = FE_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD));
	uint16_t entry;

	if (fe == NULL || fake_inflight_get(fe, area, 2, fe->cfg.ring_size) != 0 ||
			fake_inflight_set(fe, area) != FAKE_ACK || fake_run(fe) != 0)
		return NULL;
	for (uint16_t i = 0; i < 3; i++)
		if ((fe->cfg.format == FAKE_PACKED ?
				rte_vhost_set_inflight_desc_packed(fe->vid, 1, i, i, &entry) :
				rte_vhost_set_inflight_desc_split(fe->vid, 1, i)) != 0)
			return NULL;
	if (fake_connect(fe) != 0 || fake_negotiate(fe) != 0 || fake_send_mem_table(fe) != 0 ||
			fake_inflight_set(fe, area) != FAKE_ACK || fake_run(fe) != 0)
		return NULL;
	return fe;
}

static int
what_is_to_be_done_again_comes_along(void)
{
	const struct rte_vhost_resubmit_info *list;
	struct fake_inflight area, other;
	struct fake *fe;

	fe = start_with_work(world.here, &area);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	list = left_undone(fe);
	TEST_ASSERT_NOT_NULL(list, "something to do again");
	for (int round = 0; round < 6; round++) {
		int to = round % 2 == 0 ? world.there : world.here;

		TEST_ASSERT_SUCCESS(migrate_guest(fe, to), "the guest goes");
		TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, to), "all of the device comes");
		TEST_ASSERT(left_undone(fe) == list, "known by the same address");
		TEST_ASSERT_EQUAL(list->resubmit_num, 3, "and the same");
		for (unsigned int i = 0; i < 3; i++)
			TEST_ASSERT_EQUAL(list->resubmit_list[i].index, 2 - i, "request %u", i);
	}
	/* another area, for rings that start anew where the old ones were */
	for (unsigned int i = 0; i < fe->nvrings; i++)
		TEST_ASSERT(fake_stop_vring(fe, i) >= 0, "ring %u stops", i);
	TEST_ASSERT_SUCCESS(fake_inflight_get(fe, &other, 2, fe->cfg.ring_size), "another area");
	TEST_ASSERT_EQUAL(fake_inflight_set(fe, &other), FAKE_ACK, "it is taken");
	TEST_ASSERT_SUCCESS(fake_run(fe), "rings");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "all of the device");
	fake_inflight_close(&area);
	fake_inflight_close(&other);
	return topology_stop(fe);
}

/** Nobody tells the library: it looks by itself, and moves under traffic. */
static int
a_guest_that_the_host_migrates_is_followed(void)
{
	const unsigned int journeys = test_param_u64("journeys", 100);
	struct traffic *traffic;
	struct fake *fe;

	fe = guest_on(world.here, .queues = 2, .mergeable = true, .ring_size = 128);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	vhost_numa_watch_set_interval(5);
	for (unsigned int i = 0; i < journeys; i++) {
		int to = i % 2 == 0 ? world.there : world.here;

		TEST_ASSERT_SUCCESS(migrate_guest(fe, to), "journey %u", i);
		TEST_ASSERT(wait_for_node(fe, to), "journey %u", i);
		TEST_ASSERT_SUCCESS(say_something(fe), "whoever held the lock is done");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, to), "journey %u", i);
		note_pauses(fe);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 20), "journey %u", i);
	}
	vhost_numa_watch_set_interval(0);
	TEST_ASSERT_SUCCESS(say_something(fe), "whoever held the lock is done");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "the application sees nothing");
	printf("%u journeys, %" PRIu64 " packets\n", journeys, traffic_flown(traffic));
	tell_pauses();
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return topology_stop(fe);
}

/* ---- several nodes ---- */

static int
each_queue_is_where_its_ring_is(void)
{
	int nodes[4];
	struct fake *fe;

	fe = guest_on(world.there, .queues = 2);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(device_of(fe)->running.nreplicas, 1, "one replica");
	for (unsigned int i = 0; i < 4; i++) {
		nodes[i] = i % 2 == 0 ? world.here : world.there;
		TEST_ASSERT_SUCCESS(migrate_ring(fe, i, nodes[i]), "ring %u", i);
	}
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
	TEST_ASSERT_SUCCESS(topology_inventory(fe, world.there, nodes), "each on its own");
	TEST_ASSERT_EQUAL(device_of(fe)->running.nreplicas, 2, "a replica for each node");
	for (unsigned int pair = 0; pair < 2; pair++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 300), 300, "pair %u", pair);
	/* The device goes home; its old node is still that of two queues. */
	TEST_ASSERT_SUCCESS(migrate_guest(fe, world.here), "the guest goes");
	for (unsigned int i = 0; i < 4; i++)
		TEST_ASSERT_SUCCESS(migrate_ring(fe, i, nodes[i]), "ring %u", i);
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
	TEST_ASSERT_SUCCESS(topology_inventory(fe, world.here, nodes), "each on its own");
	TEST_ASSERT_EQUAL(device_of(fe)->running.nreplicas, 2, "a replica for each node");
	TEST_ASSERT_SUCCESS(migrate_guest(fe, world.here), "the rings follow");
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "all at home");
	TEST_ASSERT_EQUAL(device_of(fe)->running.nreplicas, 1, "one replica");
	for (unsigned int pair = 0; pair < 2; pair++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 300), 300, "pair %u", pair);
	return topology_stop(fe);
}

/** A queue is looked at by itself as soon as its ring is known. */
static int
a_queue_moves_when_its_ring_is_known(void)
{
	int nodes[2] = { world.there, world.there };
	struct log_capture log;
	struct fake *fe;

	fe = guest_on(world.there, .until = FAKE_MEMORY);
	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	TEST_ASSERT_SUCCESS(migrate_ring(fe, 1, world.here), "a ring elsewhere");
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	TEST_ASSERT_SUCCESS(fake_setup_vring(fe, 0), "the first ring");
	TEST_ASSERT_EQUAL(fake_call_state(fe, FE_SET_VRING_NUM, 1, fe->vqs[1].size),
		FAKE_ACK, "the second begins");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "with the device");
	nodes[1] = world.here;
	TEST_ASSERT_SUCCESS(fake_setup_vring(fe, 1), "the second ring");
	log_end(&log);
	TEST_ASSERT_SUCCESS(topology_inventory(fe, world.there, nodes), "each on its own");
	TEST_ASSERT_EQUAL(moves_told(&log, fe, "vq", world.there, world.here), 1, "%s",
		log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "reallocate"), 1, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "node (queue 1)"), 1, "%s", log.text);
	log_free(&log);
	/* Stopped, it has no ring, and goes back to the device. */
	TEST_ASSERT(fake_is_base(&fe->vqs[1], fake_stop_vring(fe, 1)), "it stops");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "with the device");
	return topology_stop(fe);
}

#define NODES 4
#define RINGS 6

/** Where things are, or should be. */
struct places {
	int dev;
	int rings[RINGS];
};

static bool
on_node(const struct places *p, int node)
{
	if (p->dev == node)
		return true;
	for (unsigned int i = 0; i < RINGS; i++)
		if (p->rings[i] == node)
			return true;
	return false;
}

/**
 * Where things end up: what its node has no memory for stays where it is, and
 * nothing else does.  A replica that a queue uses will do for the device.
 *
 * @return whether something was refused
 */
static bool
model_places(const struct places *now, const struct places *want, const bool *full,
		struct places *then)
{
	bool refused = false;

	*then = *want;
	if (full[want->dev] && !on_node(now, want->dev)) {
		then->dev = now->dev;
		refused = true;
	}
	for (unsigned int i = 0; i < RINGS; i++) {
		if (now->rings[i] == want->rings[i] || !full[want->rings[i]])
			continue;
		then->rings[i] = now->rings[i];
		refused = true;
	}
	return refused;
}

static unsigned int
count_moves(const struct places *from, const struct places *to)
{
	unsigned int n = from->dev != to->dev;

	for (unsigned int i = 0; i < RINGS; i++)
		n += from->rings[i] != to->rings[i];
	return n;
}

/** Change something at random. */
static void
stir(struct places *want, bool *full)
{
	unsigned int what = rand() % 8, node = rand() % NODES;

	if (what == 0)
		want->dev = node;
	else if (what == 1)
		full[node] = !full[node];
	else if (what == 2)
		memset(full, 0, NODES * sizeof(*full));
	else
		want->rings[rand() % RINGS] = node;
}

static int
say_where(struct fake *fe, const struct places *want, const bool *full)
{
	topology_guest_on(want->dev);
	for (unsigned int i = 0; i < RINGS; i++)
		if (migrate_ring(fe, i, want->rings[i]) != 0)
			return -1;
	for (int node = 0; node < NODES; node++)
		topology_node_full(node, full[node]);
	return 0;
}

/** Random places on four nodes, some of them full, against a simple model. */
static int
random_places_under_traffic(void)
{
	const unsigned int steps = test_param_u64("steps", 600);
	const unsigned int seed = test_param_u64("seed", fake_now_ms());
	struct places now = { 0 }, want = { 0 }, then;
	unsigned int moves = 0, refusals = 0;
	bool full[NODES] = { false };
	struct traffic *traffic;
	struct fake *fe;

	printf("seed=%u\n", seed);
	srand(seed);
	fe = guest_on(0, .queues = RINGS / 2, .ring_size = 64);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	traffic = traffic_start(fe, RINGS / 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	for (unsigned int i = 0; i < steps; i++) {
		stir(&want, full);
		TEST_ASSERT_SUCCESS(say_where(fe, &want, full), "step %u", i);
		TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "step %u", i);
		refusals += model_places(&now, &want, full, &then);
		moves += count_moves(&now, &then);
		now = then;
		TEST_ASSERT_SUCCESS(topology_inventory(fe, now.dev, now.rings), "step %u", i);
		TEST_ASSERT_EQUAL(device_of(fe)->running.moves, moves, "step %u", i);
		TEST_ASSERT_EQUAL(device_of(fe)->running.refusals, refusals, "step %u", i);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 4), "step %u", i);
	}
	/* few steps may be lucky ones */
	TEST_ASSERT(steps < 200 || (moves > 0 && refusals > 0), "%u moves, %u refusals", moves,
			refusals);
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return topology_stop(fe);
}

/* ---- without memory, without knowledge ---- */

/** One warning that names the node and what to do. */
static int
check_warnings(struct log_capture *log, const struct fake *fe, unsigned int n)
{
	char line[256];

	snprintf(line, sizeof(line), "VHOST_CONFIG: (%s) no memory on node %d,",
		fe->path, world.there);
	TEST_ASSERT_EQUAL(log_count(log, line), n, "in:\n%s", log->text);
	TEST_ASSERT_EQUAL(log_count(log, "numastat -m"), n, "in:\n%s", log->text);
	snprintf(line, sizeof(line), "stays on node %d;", world.here);
	TEST_ASSERT_EQUAL(log_count(log, line), n, "in:\n%s", log->text);
	TEST_ASSERT_EQUAL(log_count(log, "reallocate"), 0, "in:\n%s", log->text);
	log_free(log);
	return 0;
}

static int
a_full_node_keeps_the_device_running(void)
{
	struct log_capture log;
	uint64_t refusals;
	struct fake *fe;

	fe = guest_on(world.there, .queues = 2, .until = FAKE_NEGOTIATED);
	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	topology_node_full(world.there, true);
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "the memory table is fine");
	TEST_ASSERT_SUCCESS(fake_run(fe), "the device runs");
	for (int i = 0; i < 5; i++)
		TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "still full");
	log_end(&log);
	TEST_ASSERT_SUCCESS(check_warnings(&log, fe, 1), "one warning");
	refusals = device_of(fe)->running.refusals;
	TEST_ASSERT(refusals >= 6, "%" PRIu64 " refusals were counted", refusals);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "all stays");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 256), 256, "and works");
	return topology_stop(fe);
}

static int
memory_that_appears_is_used(void)
{
	struct log_capture log;
	struct traffic *traffic;
	struct fake *fe;

	fe = guest_on(world.here, .queues = 2);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	for (int round = 0; round < 3; round++) {
		topology_node_full(world.there, true);
		TEST_ASSERT_SUCCESS(migrate_guest(fe, world.there), "the guest goes");
		TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
		for (int i = 0; i < 3; i++)
			TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "full");
		log_end(&log);
		TEST_ASSERT_SUCCESS(check_warnings(&log, fe, 1), "once per full node");
		TEST_ASSERT_EQUAL(device_of(fe)->running.refusals, 3u * (round + 1), "counted");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "all stays");
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 50), "and works");
		topology_node_full(world.there, false);
		TEST_ASSERT_SUCCESS(say_something(fe), "any message");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "makes it move");
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 50), "and works");
		TEST_ASSERT_SUCCESS(migrate_guest(fe, world.here), "the guest returns");
		TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "home");
	}
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return topology_stop(fe);
}

/** A full node keeps what belongs there where it is, and nothing else. */
static int
a_full_node_concerns_its_own_queues_only(void)
{
	int nodes[4] = { world.there, 3, world.there, world.there };
	struct fake *fe = guest_on(world.here, .queues = 2);
	struct log_capture log;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_guest_on(world.there);
	TEST_ASSERT_SUCCESS(migrate_ring(fe, 1, 3), "one ring elsewhere");
	topology_node_full(3, true);
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
	nodes[1] = world.here;
	TEST_ASSERT_SUCCESS(topology_inventory(fe, world.there, nodes), "all but one move");
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "once more");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "no memory on node 3, where queue 1 belongs"), 1,
		"%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "no memory"), 1, "%s", log.text);
	log_free(&log);
	TEST_ASSERT_EQUAL(device_of(fe)->running.refused_nodes, 1u << 3, "noted");
	TEST_ASSERT_EQUAL(device_of(fe)->running.refusals, 2, "each time");
	for (unsigned int pair = 0; pair < 2; pair++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 300), 300, "pair %u", pair);
	topology_node_full(3, false);
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "memory appears");
	nodes[1] = 3;
	TEST_ASSERT_SUCCESS(topology_inventory(fe, world.there, nodes), "the last one moves");
	TEST_ASSERT_EQUAL(device_of(fe)->running.refused_nodes, 0, "all is well");
	return topology_stop(fe);
}

static int
nothing_known_means_to_stay(void)
{
	struct fake *fe = guest_on(-ENOENT, .queues = 2);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "it stays");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 100), 100, "and works");
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "it stays");
	TEST_ASSERT_EQUAL(device_of(fe)->running.refusals, 0, "this is no refusal");
	/* The guest has touched its memory now. */
	topology_guest_on(world.there);
	TEST_ASSERT_SUCCESS(say_something(fe), "a message that cannot change the answer");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "asks nobody");
	topology_check(device_of(fe));
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "the next check makes it move");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 100), 100, "and it works");
	return topology_stop(fe);
}

/** Memory that nobody has touched is where its policy will put it. */
static int
a_policy_tells_where_memory_will_be(void)
{
	struct fake *fe = guest_on(-ENOENT, .queues = 2, .until = FAKE_NEGOTIATED);

	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	topology_guest_bound_to(world.there);
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "it moves");
	TEST_ASSERT_SUCCESS(fake_run(fe), "the device runs");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "there");
	return topology_stop(fe);
}

/** A container that may not ask, a kernel without NUMA. */
static int
check_denied(int err)
{
	struct fake *fe = guest_on(world.there, .queues = 2, .until = FAKE_REGISTERED);

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	topology_deny(err);
	TEST_ASSERT_SUCCESS(fake_connect(fe), "a frontend");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "features");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "the device runs");
	TEST_ASSERT_EQUAL(rte_vhost_get_numa_node(fe->vid), -1, "nobody knows where");
	TEST_ASSERT_EQUAL(ring_node(fe, 0), VHOST_NODE_ANY, "nobody knows where");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 100), 100, "and it works");
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 100), 100, "and it works");
	TEST_ASSERT_EQUAL(device_of(fe)->running.moves, 0, "nothing moved");
	TEST_ASSERT_EQUAL(topology_live(), 1 + fe->nvrings + topology_areas(fe),
		"nothing is left over");
	return topology_stop(fe);
}

static int
a_container_that_may_not_ask_stays(void)
{
	return check_denied(-EPERM);
}

static int
a_kernel_without_numa_stays(void)
{
	return check_denied(-ENOSYS);
}

/** The kernel may know nothing of a page for a moment: on its way, or swapped out. */
static int
a_block_of_unknown_node_shares_a_replica(void)
{
	struct fake *fe = guest_on(world.here, .queues = 1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_deny(-EPERM);
	TEST_ASSERT(fake_stop_vring(fe, 0) >= 0, "a ring stops");
	TEST_ASSERT_SUCCESS(fake_setup_vring(fe, 0), "and starts, nobody knows where");
	topology_deny(0);
	topology_guest_on(world.there);
	topology_node_full(world.there, true);
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "each stays where it is");
	TEST_ASSERT_SUCCESS(topology_inventory_anywhere(fe), "on one replica");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 256), 256, "and works");
	return topology_stop(fe);
}

/** Somebody migrates the library's blocks. */
static int
migrate_blocks(const struct fake *fe, int from, int to)
{
	const struct vhost_device *dev = device_of(fe);
	int ret = 0;

	if (!world.real) {
		topology_blocks_go(from, to);
		return 0;
	}
	ret |= machine_migrate_chunk(dev->running.net, to);
	for (uint32_t i = 0; i < dev->nvrings; i++)
		ret |= machine_migrate_chunk(vhost_queue_block(vhost_device_queue_at(dev, i)), to);
	return ret;
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

/** migratepages of the process, or another cpuset: the next look brings them back. */
static int
blocks_that_were_migrated_come_back(void)
{
	struct log_capture log;
	struct fake *fe = guest_on(world.here, .queues = 2);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "all is here");
	usleep(HEAP_BELIEVES_US);
	TEST_ASSERT_SUCCESS(migrate_blocks(fe, world.here, world.there), "they go");
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	look(fe);
	log_end(&log);
	TEST_ASSERT_EQUAL(moves_told(&log, fe, "vq", world.there, world.here), 4, "%s", log.text);
	TEST_ASSERT_EQUAL(moves_told(&log, fe, "dev", world.there, world.here), 1, "%s", log.text);
	log_free(&log);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "all is here again");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 256), 256, "and works");
	return topology_stop(fe);
}

/** Where nothing shall move, reports tell the truth at least. */
static int
blocks_that_were_migrated_are_reported(void)
{
	const struct rte_vhost_numa_policy off = { .mode = RTE_VHOST_NUMA_OFF };
	struct fake *fe = guest_on(world.here, .queues = 1);
	struct rte_vhost_numa_report *report;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_policy_set(fe->path, &off), "a policy");
	usleep(HEAP_BELIEVES_US);
	TEST_ASSERT_SUCCESS(migrate_blocks(fe, world.here, world.there), "they go");
	look(fe);
	TEST_ASSERT_EQUAL(rte_vhost_numa_queue_node(fe->vid, 0), world.there, "the queue");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_report(fe->vid, &report), "a report");
	TEST_ASSERT_EQUAL(report->node, world.there, "the device");
	TEST_ASSERT_EQUAL(report->queues[1].node, world.there, "the other queue");
	free(report);
	TEST_ASSERT_EQUAL(device_of(fe)->running.moves, 0, "nothing was rebuilt");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 256), 256, "and works");
	return topology_stop(fe);
}

/** What has no queues yet has a device, which is not left out. */
static int
a_device_that_was_migrated_is_reported(void)
{
	struct fake *fe = guest_on(world.here, .until = FAKE_MEMORY);
	struct rte_vhost_numa_report *report;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(device_of(fe)->nvrings, 0, "without queues");
	usleep(HEAP_BELIEVES_US);
	topology_node_full(world.here, true);
	TEST_ASSERT_SUCCESS(migrate_blocks(fe, world.here, world.there), "it goes");
	look(fe);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_report(fe->vid, &report), "a report");
	TEST_ASSERT_EQUAL(report->node, world.there, "where it is");
	free(report);
	return topology_stop(fe);
}

/** The line tells what was found afterwards, not what was wanted. */
static int
the_log_tells_the_node_that_was_found(void)
{
	struct log_capture log;
	struct fake *fe = guest_on(world.here, .queues = 1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_guest_on(world.there);
	topology_misplace(3);
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
	log_end(&log);
	TEST_ASSERT_EQUAL(moves_told(&log, fe, "vq", world.here, 3), 2, "%s", log.text);
	TEST_ASSERT_EQUAL(moves_told(&log, fe, "dev", world.here, 3), 1, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "reallocate"), 3, "%s", log.text);
	log_free(&log);
	return topology_stop(fe);
}

/* ---- machines ---- */

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

#define STORIES                                                                  \
	TEST_CASE(blocks_that_were_migrated_come_back),                          \
	TEST_CASE(blocks_that_were_migrated_are_reported),                       \
	TEST_CASE(a_device_that_was_migrated_is_reported),                        \
	TEST_CASE(a_device_is_born_at_home),                                     \
	TEST_CASE(everything_moves_with_the_memory_table),                       \
	TEST_CASE(late_queue_pairs_are_made_there),                              \
	TEST_CASE(the_next_device_of_a_vid_is_born_at_home),                     \
	TEST_CASE(a_running_device_follows_its_guest),                           \
	TEST_CASE(what_is_to_be_done_again_comes_along),                         \
	TEST_CASE(nothing_is_forgotten_on_the_way),                              \
	TEST_CASE(each_queue_is_where_its_ring_is),                              \
	TEST_CASE(a_queue_moves_when_its_ring_is_known),                         \
	TEST_CASE(a_guest_that_the_host_migrates_is_followed),                   \
	TEST_CASE(a_full_node_keeps_the_device_running),                         \
	TEST_CASE(memory_that_appears_is_used),                                  \
	TEST_CASE(thousands_of_moves_under_traffic)

static const struct test_case made_up_cases[] = {
	STORIES,
	TEST_CASE(random_places_under_traffic),
	TEST_CASE(a_full_node_concerns_its_own_queues_only),
	TEST_CASE(nothing_known_means_to_stay),
	TEST_CASE(a_policy_tells_where_memory_will_be),
	TEST_CASE(a_container_that_may_not_ask_stays),
	TEST_CASE(a_kernel_without_numa_stays),
	TEST_CASE(a_block_of_unknown_node_shares_a_replica),
	TEST_CASE(the_log_tells_the_node_that_was_found),
};

static void
make_world_up(void)
{
	world.real = false;
	world.here = topology_home();
	world.there = MADE_UP_THERE;
}

static int
test_vhost_relocate(void)
{
	static const struct test_suite suite = {
		.name = "vhost relocate", .setup = fake_setup, .check = check,
		.teardown = fake_teardown, .case_seconds = 180,
		TEST_SUITE_CASES(made_up_cases),
	};

	make_world_up();
	return test_suite_run(&suite);
}

static int
test_vhost_relocate_packed(void)
{
	static const struct test_suite suite = {
		.name = "vhost relocate, packed rings", .setup = fake_setup_packed,
		.check = check, .teardown = fake_teardown, .case_seconds = 180,
		TEST_SUITE_CASES(made_up_cases),
	};

	make_world_up();
	return test_suite_run(&suite);
}

/* With asynchronous copies the areas of the queues are part of the inventory. */

static int
test_vhost_async_relocate(void)
{
	static const struct test_suite suite = {
		.name = "vhost relocate, asynchronous", .setup = fake_setup_async, .check = check,
		.teardown = fake_teardown_async, .case_seconds = 180,
		TEST_SUITE_CASES(made_up_cases),
	};

	make_world_up();
	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_async_relocate_autotest, test_vhost_async_relocate);
REGISTER_TEST_COMMAND(vhost_relocate_autotest, test_vhost_relocate);
REGISTER_TEST_COMMAND(vhost_relocate_packed_autotest, test_vhost_relocate_packed);

/* ---- the real machine ---- */

/** More than a guest in hugepages takes. */
#define GUEST_HUGEPAGES 32

/** Its pages are few and large, and their policy is invisible to us. */
static int
a_guest_in_hugepages_is_found(void)
{
	struct fake *fe;

	if (machine_free_hugepages(world.there) < GUEST_HUGEPAGES ||
			machine_free_hugepages(world.here) < GUEST_HUGEPAGES)
		return TEST_SKIPPED;
	fe = guest_on(world.there, .queues = 2, .hugepages = true);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "it moved");
	for (unsigned int pair = 0; pair < 2; pair++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 700), 700, "pair %u", pair);
	TEST_ASSERT_SUCCESS(migrate_guest(fe, world.here), "the guest goes");
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "look again");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.here), "it follows");
	for (unsigned int pair = 0; pair < 2; pair++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 700), 700, "pair %u", pair);
	return topology_stop(fe);
}

/** Blocks that the library's heap has on a node. */
static unsigned int
blocks_on(int node)
{
	struct vhost_heap_usage usage;

	vhost_heap_usage(node, &usage);
	return usage.blocks;
}

/** The heap's own books say the same as the test's: nothing of the device is left behind. */
static int
the_heap_agrees_that_everything_moved(void)
{
	unsigned int here, there;
	struct fake *fe;

	fe = guest_on(world.there, .queues = 4, .until = FAKE_REGISTERED);
	TEST_ASSERT_NOT_NULL(fe, "a socket");
	here = blocks_on(world.here);
	there = blocks_on(world.there);
	TEST_ASSERT_SUCCESS(fake_connect(fe), "a frontend");
	TEST_ASSERT_EQUAL(blocks_on(world.here), here + 1, "the device is born here");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "features");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "rings");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, world.there), "it moved");
	TEST_ASSERT_EQUAL(blocks_on(world.here), here, "nothing is left here");
	TEST_ASSERT_EQUAL(blocks_on(world.there), there + 1 + fe->nvrings,
		"a replica and the queues are there");
	TEST_ASSERT_SUCCESS(migrate_guest(fe, world.here), "the guest goes");
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "the device follows");
	TEST_ASSERT_EQUAL(blocks_on(world.there), there, "nothing is left there");
	TEST_ASSERT_EQUAL(blocks_on(world.here), here + 1 + fe->nvrings,
		"a replica and the queues are here");
	return topology_stop(fe);
}

/** As many nodes as there are: each ring on one of them, and on another one later. */
static int
rings_on_all_nodes_under_traffic(void)
{
	const unsigned int steps = test_param_u64("steps", 40);
	int all[MACHINE_MAX_NODES], nodes[8];
	struct traffic *traffic;
	unsigned int n;
	struct fake *fe;

	fe = guest_on(world.there, .queues = 4, .ring_size = 64);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	n = machine_find_nodes(all);
	traffic = traffic_start(fe, 4);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	for (unsigned int step = 0; step < steps; step++) {
		for (unsigned int i = 0; i < 8; i++) {
			nodes[i] = all[(i + step) % n];
			TEST_ASSERT_SUCCESS(migrate_ring(fe, i, nodes[i]), "step %u", step);
		}
		TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "step %u", step);
		TEST_ASSERT_SUCCESS(topology_inventory(fe, world.there, nodes), "step %u", step);
		TEST_ASSERT_EQUAL(device_of(fe)->running.nreplicas, n, "a replica on each node");
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 20), "step %u", step);
	}
	printf("%u nodes, %u steps, %" PRIu64 " packets\n", n, steps, traffic_flown(traffic));
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return topology_stop(fe);
}

static const struct test_case real_cases[] = {
	STORIES,
	TEST_CASE(rings_on_all_nodes_under_traffic),
	TEST_CASE(the_heap_agrees_that_everything_moved),
	TEST_CASE(a_guest_in_hugepages_is_found),
};

static int
find_world(void)
{
	world.real = true;
	world.here = vhost_node_home();
	if (world.here < 0 || !machine_node_gives_memory(world.here))
		return TEST_SKIPPED;
	world.there = machine_other_node(world.here);
	if (world.there < 0 || !machine_node_gives_memory(world.there))
		return TEST_SKIPPED;
	printf("from node %d to node %d, which has %lu hugepages\n", world.here, world.there,
		machine_free_hugepages(world.there));
	return fake_setup();
}

static int
test_vhost_relocate_numa(void)
{
	static const struct test_suite suite = {
		.name = "vhost relocate, real nodes", .setup = find_world, .check = check,
		.teardown = fake_teardown, .case_seconds = 300,
		TEST_SUITE_CASES(real_cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_relocate_numa_autotest, test_vhost_relocate_numa);
