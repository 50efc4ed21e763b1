/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Settling: what messages wish for comes true entirely or not at all, with the
 * least disturbance, and leaves nothing behind.
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <rte_mbuf.h>

#include "device.h"
#include "mem_node.h"
#include "test.h"
#include "vhost_fake_dirty.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_log.h"
#include "vhost_test_topology.h"
#include "vhost_test_traffic.h"

#define THERE 8

static struct fake *
start(struct fake_config cfg)
{
	topology_make_up();
	topology_guest_on(THERE);
	return fake_start_config(&cfg);
}

#define start_guest(...) start((struct fake_config){ __VA_ARGS__ })

static struct vhost_device *
device_of(const struct fake *fe)
{
	return vhost_device_peek(fe->vid);
}

static const struct vhost_virtqueue *
block_of(const struct fake *fe, unsigned int i)
{
	return vhost_queue_block(vhost_device_queue(device_of(fe), i));
}

/** What runs. */
struct snapshot {
	const struct mem_map *map;
	const struct virtio_net *net;
	unsigned int nreplicas, nvrings;
	const struct vhost_virtqueue *blocks[FE_MAX_VRINGS];
};

static struct snapshot
take_snapshot(const struct fake *fe)
{
	struct vhost_device *dev = device_of(fe);
	struct snapshot s;

	memset(&s, 0, sizeof(s));
	vhost_device_lock(dev);
	s.map = dev->running.map;
	s.net = dev->running.net;
	s.nreplicas = dev->running.nreplicas;
	s.nvrings = dev->nvrings;
	for (unsigned int i = 0; i < dev->nvrings; i++)
		s.blocks[i] = block_of(fe, i);
	vhost_device_unlock(dev);
	return s;
}

/** Is what ran before still what runs?  There may be more queues. */
static bool
is_unchanged(const struct fake *fe, const struct snapshot *before)
{
	struct snapshot now = take_snapshot(fe);

	return now.map == before->map && now.net == before->net &&
		now.nreplicas == before->nreplicas && now.nvrings >= before->nvrings &&
		memcmp(now.blocks, before->blocks,
			before->nvrings * sizeof(before->blocks[0])) == 0;
}

/* ---- the least disturbance ---- */

/** Does a packet from the guest come through?  One look; nothing else is going on. */
static bool
comes_through(struct fake *fe, unsigned int pair)
{
	struct rte_mbuf *m = NULL;
	bool came;

	came = rte_vhost_dequeue_burst(fe->vid, 2 * pair + 1, fake_pool(), &m, 1) == 1;
	rte_pktmbuf_free(m);
	return came;
}

static int
enabling_is_an_attribute(void)
{
	struct fake *fe = start_guest(.queues = 2);
	struct snapshot before;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	before = take_snapshot(fe);
	topology_refuse(1, TOPOLOGY_FROM_THEN_ON);
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 3, false), "off");
	TEST_ASSERT(fake_tx_send(&fe->vqs[3], NULL, "0123456789abcdef", 16, NULL), "a packet");
	TEST_ASSERT(!comes_through(fe, 1), "it has to wait");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 80), 80, "the other pair does not");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 3, true), "on");
	TEST_ASSERT(comes_through(fe, 1), "here it is");
	TEST_ASSERT(is_unchanged(fe, &before), "the same blocks all the time");
	TEST_ASSERT_EQUAL(topology_asked(), 0, "no memory was needed");
	TEST_ASSERT(strstr(fake_story(fe), "ring3+ ring3- ring3+") != NULL, "%s", fake_story(fe));
	return topology_stop(fe);
}

static int
notifications_are_attributes(void)
{
	struct fake *fe = start_guest(.queues = 1);
	struct snapshot before;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	before = take_snapshot(fe);
	topology_refuse(1, TOPOLOGY_FROM_THEN_ON);
	fe->vqs[0].ops->interrupts(&fe->vqs[0], true);
	TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_CALL, 0, -1), FAKE_ACK, "none");
	fake_interrupts(&fe->vqs[0]);
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 80), 80, "packets");
	TEST_ASSERT_EQUAL(fake_interrupts(&fe->vqs[0]), 0, "in silence");
	TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_CALL, 0, fe->vqs[0].callfd),
		FAKE_ACK, "a descriptor");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 80), 80, "packets");
	TEST_ASSERT(fake_interrupts(&fe->vqs[0]) > 0, "with interrupts");
	TEST_ASSERT_SUCCESS(rte_vhost_enable_guest_notification(fe->vid, 1, 0), "no kicks");
	TEST_ASSERT_SUCCESS(rte_vhost_enable_guest_notification(fe->vid, 1, 1), "kicks");
	TEST_ASSERT(is_unchanged(fe, &before), "the same blocks all the time");
	TEST_ASSERT_EQUAL(topology_asked(), 0, "no memory was needed");
	return topology_stop(fe);
}

/** One of each kind and ring, and none of those that were replaced. */
static int
descriptors_are_those_of_the_wishes(void)
{
	struct fake *fe = start_guest(.queues = 1);
	unsigned int fds;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fds = fake_count_fds();
	for (unsigned int i = 0; i < 10; i++) {
		TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_CALL, i % 2,
			fe->vqs[i % 2].callfd), FAKE_ACK, "another call descriptor");
		TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_KICK, i % 2,
			fe->vqs[i % 2].kickfd), FAKE_ACK, "another kick descriptor");
	}
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "the old ones are closed");
	TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_CALL, 0, -1), FAKE_ACK, "none");
	TEST_ASSERT_EQUAL(fake_wait_fds(fds - 1), fds - 1, "one less");
	TEST_ASSERT(fake_is_base(&fe->vqs[1], fake_stop_vring(fe, 1)), "a ring stops");
	TEST_ASSERT_EQUAL(fake_wait_fds(fds - 3), fds - 3, "two less");
	TEST_ASSERT_SUCCESS(fake_setup_vring(fe, 1), "and starts");
	TEST_ASSERT_EQUAL(fake_count_fds(), fds - 1, "two more");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_RESET_OWNER, NULL, 0, NULL, 0), FAKE_ACK, "reset");
	/* Those of the rings, and the file of guest memory. */
	TEST_ASSERT_EQUAL(fake_wait_fds(fds - 5), fds - 5, "all are closed");
	return topology_stop(fe);
}

static int
what_is_said_again_changes_nothing(void)
{
	struct fake *fe = start_guest(.queues = 2);
	struct snapshot before;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	before = take_snapshot(fe);
	topology_refuse(1, TOPOLOGY_FROM_THEN_ON);
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "the same memory");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_FEATURES, fe->features), FAKE_ACK,
		"the same features");
	for (unsigned int i = 0; i < fe->nvrings; i++) {
		struct fake_addr addr = fake_addr_of(fe, i);

		TEST_ASSERT_EQUAL(fake_call_state(fe, FE_SET_VRING_NUM, i, fe->vqs[i].size),
			FAKE_ACK, "the same size");
		TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
			FAKE_ACK, "the same ring");
		TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_KICK, i, fe->vqs[i].kickfd),
			FAKE_ACK, "the same kicks");
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, i, true), "still enabled");
	}
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "still there");
	TEST_ASSERT(is_unchanged(fe, &before), "the same blocks");
	TEST_ASSERT_EQUAL(topology_asked(), 0, "no memory was needed");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 90), 90, "and it works");
	return topology_stop(fe);
}

/** Frontends may hand it over long before they migrate. */
static int
a_log_that_nobody_writes_disturbs_nobody(void)
{
	struct fake *fe = start_guest(.queues = 2, .protocol_features = DIRTY_PROTOCOL);
	struct snapshot before;
	struct fake_dirty log;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(dirty_create(fe, &log, 0, 0), "a log");
	before = take_snapshot(fe);
	topology_refuse(1, TOPOLOGY_FROM_THEN_ON);
	TEST_ASSERT_EQUAL(dirty_send_base(fe, log.size, log.offset, log.fd), FAKE_ACK, "taken");
	TEST_ASSERT(is_unchanged(fe, &before), "the same blocks");
	TEST_ASSERT_EQUAL(topology_asked(), 0, "no memory was needed");
	TEST_ASSERT_SUCCESS(dirty_destroy(&log), "nothing was written");
	return topology_stop(fe);
}

static int
one_ring_disturbs_no_other(void)
{
	struct fake *fe = start_guest(.queues = 2);
	struct snapshot before, after;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	before = take_snapshot(fe);
	topology_refuse(0, 0);
	TEST_ASSERT(fake_is_base(&fe->vqs[2], fake_stop_vring(fe, 2)), "one ring stops");
	TEST_ASSERT_EQUAL(topology_asked(), 1, "one block");
	TEST_ASSERT_SUCCESS(fake_setup_vring(fe, 2), "and starts");
	TEST_ASSERT_EQUAL(topology_asked(), 2, "one block");
	after = take_snapshot(fe);
	before.blocks[2] = after.blocks[2];
	TEST_ASSERT(is_unchanged(fe, &before), "the others are the same");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 90), 90, "and it works");
	return topology_stop(fe);
}

static int
a_memory_table_rebuilds_each_block_once(void)
{
	struct fake *fe = start_guest(.queues = 2);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 1; i < 4; i++) {
		struct snapshot before = take_snapshot(fe);

		topology_refuse(0, 0);
		TEST_ASSERT_SUCCESS(fake_region_create(fe, 0x100000000ULL * i, 1 << 20, 0),
			"more memory");
		TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "its table");
		TEST_ASSERT_EQUAL(topology_asked(), 1 + fe->nvrings, "a replica and the queues");
		TEST_ASSERT(!is_unchanged(fe, &before), "all of them new");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "no old one is left");
		TEST_ASSERT_EQUAL(device_of(fe)->running.net->nregions, i + 1, "that see it");
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 90), 90, "and it works");
	}
	return topology_stop(fe);
}

/* ---- what may not change while it runs ---- */

static int
a_running_device_refuses_another_shape(void)
{
	struct fake *fe = start_guest(.queues = 1);
	struct fake_addr nowhere;
	struct snapshot before;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	before = take_snapshot(fe);
	topology_refuse(0, 0);
	nowhere = fake_addr_of(fe, 0);
	nowhere.used = 64;
	TEST_ASSERT_EQUAL(fake_call_state(fe, FE_SET_VRING_NUM, 0, 128), FAKE_NACK, "size");
	TEST_ASSERT_EQUAL(fake_call_state(fe, FE_SET_VRING_BASE, 0, 5), FAKE_NACK, "base");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_FEATURES, fe->features ^
		FE_BIT(VIRTIO_RING_F_EVENT_IDX)), FAKE_NACK, "features");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_VRING_ADDR, &nowhere, sizeof(nowhere), NULL, 0),
		FAKE_NACK, "a ring outside memory");
	TEST_ASSERT(is_unchanged(fe, &before), "nothing changed");
	TEST_ASSERT_EQUAL(topology_asked(), 0, "nor was it tried");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 90), 90, "and it works");
	return topology_stop(fe);
}

static int
features_come_before_the_device_runs(void)
{
	/* Packed rings have long headers, whatever else is agreed on. */
	struct fake *fe = start_guest(.queues = 1, .until = FAKE_RINGS,
		.format = FAKE_SPLIT);
	uint64_t other;

	TEST_ASSERT_NOT_NULL(fe, "rings");
	TEST_ASSERT(!block_of(fe, 0)->event_idx, "without event idx");
	TEST_ASSERT_EQUAL(device_of(fe)->running.net->hdr_len, 12, "with long headers");
	other = (fe->features | FE_BIT(VIRTIO_RING_F_EVENT_IDX)) & ~FE_BIT(32);
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_FEATURES, other), FAKE_ACK, "others");
	fe->features = other;
	TEST_ASSERT(block_of(fe, 0)->event_idx, "with event idx");
	TEST_ASSERT_EQUAL(device_of(fe)->running.net->hdr_len, 10, "with short headers");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "of one generation");
	for (unsigned int i = 0; i < fe->nvrings; i++)
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, i, true), "run");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 90), 90, "and it works");
	return topology_stop(fe);
}

/* ---- rings that stop and go on elsewhere ---- */

/** Put the parts of a stopped ring somewhere else in guest memory. */
static int
move_ring_in_guest(struct fake_vq *vq)
{
	uint64_t bytes = fake_vq_ring_bytes(vq->fe) - 4096;
	uint64_t to = fake_alloc(vq->fe, 0, bytes, 4096);
	void *old = vq->desc;

	if (to == 0)
		return -1;
	vq->desc_gpa = to;
	vq->ops->layout(vq);
	memcpy(vq->desc, old, bytes);
	memset(old, 0xee, bytes);
	return 0;
}

static int
a_ring_may_be_elsewhere_after_a_stop(void)
{
	struct fake *fe = start_guest(.queues = 2, .extra_memory = 4 << 20);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int round = 0; round < 10; round++) {
		for (unsigned int i = 0; i < fe->nvrings; i++) {
			TEST_ASSERT(fake_is_base(&fe->vqs[i], fake_stop_vring(fe, i)),
				"ring %u stops", i);
			TEST_ASSERT_EQUAL(block_of(fe, i)->size, 0, "and sleeps");
			TEST_ASSERT_SUCCESS(move_ring_in_guest(&fe->vqs[i]), "room");
		}
		TEST_ASSERT(!comes_through(fe, 0), "nothing flows");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "stopped");
		TEST_ASSERT_SUCCESS(fake_run(fe), "again");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "running");
		for (unsigned int i = 0; i < fe->nvrings; i++)
			TEST_ASSERT((void *)block_of(fe, i)->desc != NULL, "ring %u", i);
		for (unsigned int pair = 0; pair < 2; pair++)
			TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 333), 333, "it works");
	}
	return topology_stop(fe);
}

static int
a_reset_leaves_dormant_queues(void)
{
	struct fake *fe = start_guest(.queues = 2);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_RESET_OWNER, NULL, 0, NULL, 0), FAKE_ACK, "reset");
	for (unsigned int i = 0; i < fe->nvrings; i++) {
		TEST_ASSERT_EQUAL(block_of(fe, i)->size, 0, "ring %u sleeps", i);
		TEST_ASSERT_NULL(block_of(fe, i)->desc, "ring %u sleeps", i);
	}
	TEST_ASSERT_NULL(device_of(fe)->running.map, "no memory");
	TEST_ASSERT_EQUAL(device_of(fe)->running.net->nregions, 0, "no memory");
	TEST_ASSERT_SUCCESS(topology_inventory_anywhere(fe), "nothing is left over");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 1, "the application knows");
	fe->reply_ack = false;
	for (unsigned int i = 0; i < fe->nvrings; i++)
		fake_vq_reset(&fe->vqs[i]);
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "features");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "rings");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 333), 333, "it works again");
	return topology_stop(fe);
}

/* ---- memory that changes under traffic ---- */

/** The same memory, described the other way round. */
static int
send_table_reversed(struct fake *fe, bool reversed)
{
	struct fake_mem_table table, true_table;
	int fds[FE_MAX_REGIONS], true_fds[FE_MAX_REGIONS];
	unsigned int n = fe->nregions;

	fake_mem_table_of(fe, &true_table, true_fds);
	table = true_table;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int from = reversed ? n - 1 - i : i;

		table.regions[i] = true_table.regions[from];
		fds[i] = true_fds[from];
	}
	return fake_call(fe, FE_SET_MEM_TABLE, &table,
		offsetof(struct fake_mem_table, regions[n]), fds, n) == FAKE_ACK ? 0 : -1;
}

static int
memory_is_swapped_under_traffic(void)
{
	const unsigned int rounds = test_param_u64("rounds", 300);
	struct traffic *traffic;
	struct fake *fe;

	fe = start_guest(.queues = 2, .regions = 3, .mergeable = true, .ring_size = 128);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	for (unsigned int i = 0; i < rounds; i++) {
		struct snapshot before = take_snapshot(fe);

		TEST_ASSERT_SUCCESS(send_table_reversed(fe, i % 2 == 0), "swap %u", i);
		TEST_ASSERT(take_snapshot(fe).map != before.map, "another map");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "swap %u", i);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 10), "after swap %u", i);
	}
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_NEW_DEVICE), 1, "the application sees nothing");
	return topology_stop(fe);
}

static int
attributes_change_under_traffic(void)
{
	const unsigned int rounds = test_param_u64("rounds", 300);
	struct traffic *traffic;
	struct fake *fe;

	fe = start_guest(.queues = 2, .event_idx = true, .ring_size = 128);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	for (unsigned int i = 0; i < rounds; i++) {
		unsigned int vring = i % fe->nvrings;

		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, vring, false), "off");
		TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_CALL, vring,
			i % 3 == 0 ? -1 : fe->vqs[vring].callfd), FAKE_ACK, "call");
		TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_KICK, vring,
			i % 5 == 0 ? -1 : fe->vqs[vring].kickfd), FAKE_ACK, "kick");
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, vring, true), "on");
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 10), "round %u", i);
	}
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return topology_stop(fe);
}

/* ---- who looks on ---- */

struct onlooker {
	int vid;
	uint64_t looks;		/* atomic */
	bool torn, end;		/* atomic */
};

/** All parts of a ring are there, or none is. */
static bool
is_whole(const struct rte_vhost_vring *vring)
{
	return (vring->desc == NULL) == (vring->avail == NULL) &&
		(vring->desc == NULL) == (vring->used == NULL);
}

static void *
look_on(void *arg)
{
	struct rte_vhost_numa_report *report;
	struct rte_vhost_vring vring;
	struct onlooker *o = arg;

	while (!__atomic_load_n(&o->end, __ATOMIC_RELAXED)) {
		if (rte_vhost_get_vhost_vring(o->vid, 0, &vring) < 0 || !is_whole(&vring))
			__atomic_store_n(&o->torn, true, __ATOMIC_RELAXED);
		if (rte_vhost_numa_report(o->vid, &report) == 0)
			free(report);
		__atomic_fetch_add(&o->looks, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/** Wait for two more looks: one of them began in the meantime. */
static void
be_seen(const struct onlooker *o)
{
	uint64_t since = __atomic_load_n(&o->looks, __ATOMIC_RELAXED);

	while (__atomic_load_n(&o->looks, __ATOMIC_RELAXED) < since + 2)
		sched_yield();
}

/** Above all for ThreadSanitizer, which sees who reads without the lock that writers have. */
static int
rings_are_told_whole_while_they_come_and_go(void)
{
	const unsigned int rounds = test_param_u64("rounds", 50);
	struct fake *fe = start_guest(.queues = 1);
	struct onlooker o = { 0 };
	unsigned int done;
	pthread_t thread;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	o.vid = fe->vid;
	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, look_on, &o), "a thread");
	for (done = 0; done < rounds; done++) {
		be_seen(&o);
		if (!fake_is_base(&fe->vqs[0], fake_stop_vring(fe, 0)))
			break;
		be_seen(&o);
		if (fake_setup_vring(fe, 0) != 0)
			break;
	}
	__atomic_store_n(&o.end, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TEST_ASSERT_EQUAL(done, rounds, "it came and went each time");
	TEST_ASSERT(!o.torn, "half a ring");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 80), 80, "and it works");
	return topology_stop(fe);
}

/* ---- memory refused at every step ---- */

#define PAIRS 2

/** All queues exist, as monitors make them, before there is memory. */
static int
announce_queues(struct fake *fe)
{
	for (unsigned int i = 0; i < fe->nvrings; i++)
		if (fake_call_fd(fe, FE_SET_VRING_CALL, i, fe->vqs[i].callfd) != FAKE_ACK)
			return -1;
	return 0;
}

static int
all_but_the_last_word(struct fake *fe)
{
	unsigned int last = fe->nvrings - 1;
	struct fake_addr addr = fake_addr_of(fe, last);

	for (unsigned int i = 0; i < last; i++)
		if (fake_setup_vring(fe, i) < 0)
			return -1;
	return fake_call_state(fe, FE_SET_VRING_NUM, last, fe->vqs[last].size) == FAKE_ACK &&
		fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0) == FAKE_ACK &&
		fake_call_fd(fe, FE_SET_VRING_KICK, last, fe->vqs[last].kickfd) == FAKE_ACK ?
		0 : -1;
}

static int
the_last_word(struct fake *fe)
{
	unsigned int last = fe->nvrings - 1;

	return fake_call_fd(fe, FE_SET_VRING_CALL, last, fe->vqs[last].callfd) == FAKE_ACK ?
		0 : -1;
}

static int
last_queue_comes(struct fake *fe)
{
	unsigned int last = fe->nvrings - 1;

	return fake_call_state(fe, FE_SET_VRING_NUM, last, fe->vqs[last].size) == FAKE_ACK ?
		0 : -1;
}

static int
other_features(struct fake *fe)
{
	uint64_t other = fe->features | FE_BIT(VIRTIO_RING_F_EVENT_IDX);

	if (fake_call_u64(fe, FE_SET_FEATURES, other) != FAKE_ACK)
		return -1;
	fe->features = other;
	return 0;
}

static int
plug_memory(struct fake *fe)
{
	return fake_region_create(fe, 0x100000000ULL, 1 << 20, 0);
}

static int
guest_goes(struct fake *fe)
{
	topology_guest_on(5);
	topology_guest_part_on(fe->vqs[1].desc_gpa, fake_vq_ring_bytes(fe) - 4096, 3);
	return 0;
}

static int
device_follows(struct fake *fe)
{
	return topology_refresh(device_of(fe));
}

/** Something that takes memory. */
static const struct step {
	const char *name;
	enum fake_stage from;
	int (*prepare)(struct fake *fe);
	int (*act)(struct fake *fe);
} steps[] = {
	{ "features", FAKE_NEGOTIATED, announce_queues, other_features },
	{ "first_memory_table", FAKE_NEGOTIATED, announce_queues, fake_send_mem_table },
	{ "memory_table_without_queues", FAKE_NEGOTIATED, NULL, fake_send_mem_table },
	{ "queues_come", FAKE_MEMORY, NULL, last_queue_comes },
	{ "a_ring_starts", FAKE_MEMORY, all_but_the_last_word, the_last_word },
	{ "memory_changes_while_running", FAKE_RUNNING, plug_memory, fake_send_mem_table },
	{ "guest_goes_to_other_nodes", FAKE_RUNNING, guest_goes, device_follows },
};

static struct fake *
start_before(const struct step *step)
{
	struct fake *fe = start_guest(.queues = PAIRS, .until = step->from);

	if (fe == NULL || (step->prepare != NULL && step->prepare(fe) != 0))
		return NULL;
	return fe;
}

/** The rest of the way, and packets. */
static int
check_it_runs(struct fake *fe, enum fake_stage stage)
{
	if (stage == FAKE_NEGOTIATED)
		TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	for (unsigned int i = 0; i < fe->nvrings && stage != FAKE_RUNNING; i++) {
		struct vhost_queue *q = vhost_device_queue(device_of(fe), i);

		if (q == NULL || !q->live)
			TEST_ASSERT_SUCCESS(fake_setup_vring(fe, i), "ring %u", i);
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, i, true), "ring %u", i);
	}
	for (unsigned int pair = 0; pair < PAIRS; pair++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 444), 444, "pair %u", pair);
	TEST_ASSERT_SUCCESS(topology_inventory_anywhere(fe), "all is in place");
	return 0;
}

/** One block is refused once: the step succeeds by another way. */
static int
refuse_once(const struct step *step, unsigned int nth, bool *done)
{
	struct fake *fe = start_before(step);

	TEST_ASSERT_NOT_NULL(fe, "before the step");
	topology_refuse(nth, 1);
	TEST_ASSERT_SUCCESS(step->act(fe), "one block refused, the %uth", nth);
	*done = topology_asked() < nth;
	topology_refuse(0, 0);
	TEST_ASSERT_SUCCESS(topology_inventory_anywhere(fe), "all is in place, %uth", nth);
	TEST_ASSERT_SUCCESS(check_it_runs(fe, step->from), "the %uth", nth);
	if (*done)
		TEST_ASSERT_EQUAL(device_of(fe)->running.refusals, 0, "nothing was refused");
	return topology_stop(fe);
}

/** Nothing is given from some block on: the step happens entirely or not at all. */
static int
refuse_from_then_on(const struct step *step, unsigned int nth, bool *done)
{
	struct fake *fe = start_before(step);
	struct snapshot before;
	int result;

	TEST_ASSERT_NOT_NULL(fe, "before the step");
	before = take_snapshot(fe);
	topology_refuse(nth, TOPOLOGY_FROM_THEN_ON);
	result = step->act(fe);
	*done = topology_asked() < nth;
	if (*done)
		TEST_ASSERT_SUCCESS(result, "nothing was refused");
	if (result != 0)
		TEST_ASSERT(is_unchanged(fe, &before), "what ran is still running, %uth", nth);
	TEST_ASSERT_SUCCESS(topology_inventory_anywhere(fe), "all is in place, %uth", nth);
	if (step->from == FAKE_RUNNING)
		TEST_ASSERT_SUCCESS(check_it_runs(fe, FAKE_RUNNING), "all the time, %uth", nth);
	topology_refuse(0, 0);
	if (result != 0)
		TEST_ASSERT_SUCCESS(step->act(fe), "now there is memory, %uth", nth);
	TEST_ASSERT_SUCCESS(check_it_runs(fe, step->from), "the %uth", nth);
	return topology_stop(fe);
}

static int
is_all_or_nothing(const void *arg)
{
	const struct step *step = arg;
	unsigned int nth;
	bool done = false;

	for (nth = 1; !done; nth++)
		TEST_ASSERT_SUCCESS(refuse_once(step, nth, &done), "%s", step->name);
	TEST_ASSERT(nth > 2, "something was refused");
	done = false;
	for (nth = 1; !done; nth++)
		TEST_ASSERT_SUCCESS(refuse_from_then_on(step, nth, &done), "%s", step->name);
	return TEST_SUCCESS;
}

static int
a_connection_without_memory_is_closed(void)
{
	struct fake *fe = start_guest(.until = FAKE_REGISTERED, .ops = &fake_recorder_ops);

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	topology_all_full(true);
	TEST_ASSERT_SUCCESS(fake_connect(fe), "a connection");
	TEST_ASSERT(fake_is_closed(fe), "closed at once");
	TEST_ASSERT_EQUAL(topology_live(), 0, "nothing is left");
	topology_all_full(false);
	topology_node_full(topology_home(), true);
	topology_refuse(1, 1);
	TEST_ASSERT_SUCCESS(fake_connect(fe), "a connection");
	TEST_ASSERT(fake_is_closed(fe), "no node has memory");
	topology_node_full(topology_home(), false);
	TEST_ASSERT_SUCCESS(fake_connect(fe), "a connection");
	TEST_ASSERT(fake_is_served(fe), "now it is served");
	return topology_stop(fe);
}

/** A queue is better elsewhere than nowhere, and the others do not mind. */
static int
late_queues_come_although_the_node_is_full(void)
{
	struct fake *fe = start_guest(.queues = 3, .until = FAKE_MEMORY);
	struct log_capture log;
	struct snapshot before;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 0; i < 2; i++) {
		TEST_ASSERT_SUCCESS(fake_setup_vring(fe, i), "vring %u", i);
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, i, true), "vring %u", i);
	}
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "the device is there");
	before = take_snapshot(fe);
	topology_node_full(THERE, true);
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	for (unsigned int i = 2; i < fe->nvrings; i++) {
		TEST_ASSERT_SUCCESS(fake_setup_vring(fe, i), "vring %u", i);
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, i, true), "vring %u", i);
		TEST_ASSERT_EQUAL(block_of(fe, i)->node, topology_home(), "where there is memory");
	}
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "no memory on node 8"), 1, "%s", log.text);
	log_free(&log);
	before.nreplicas = 2;
	TEST_ASSERT(is_unchanged(fe, &before), "the first pair stays as it is");
	TEST_ASSERT_SUCCESS(topology_inventory_anywhere(fe), "all is in place");
	for (unsigned int pair = 0; pair < 3; pair++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 444), 444, "pair %u", pair);
	topology_node_full(THERE, false);
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "memory appears");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "together again");
	return topology_stop(fe);
}

/** Where there is room for a replica there may be none for a queue. */
static int
queues_come_although_the_next_node_is_crowded(void)
{
	struct fake *fe = start_guest(.queues = 2, .until = FAKE_MEMORY);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_node_full(THERE, true);
	topology_node_crowded(topology_home(), sizeof(struct virtio_net), 3);
	for (unsigned int i = 0; i < fe->nvrings; i++) {
		TEST_ASSERT_SUCCESS(fake_setup_vring(fe, i), "vring %u", i);
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, i, true), "vring %u", i);
		TEST_ASSERT(block_of(fe, i)->bytes > sizeof(struct virtio_net), "a larger one");
		TEST_ASSERT_EQUAL(block_of(fe, i)->node, 3, "where there is memory");
	}
	TEST_ASSERT_SUCCESS(topology_inventory_anywhere(fe), "all is in place");
	for (unsigned int pair = 0; pair < 2; pair++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 444), 444, "pair %u", pair);
	topology_node_full(THERE, false);
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "memory appears");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "together again");
	return topology_stop(fe);
}

/** What has to be new and finds no room on its node goes where there is room. */
static int
a_new_map_comes_although_the_node_is_full(void)
{
	struct fake *fe = start_guest(.queues = 2);
	struct traffic *traffic;
	struct log_capture log;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(plug_memory(fe), "more memory");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	TEST_ASSERT_SUCCESS(traffic_wait(traffic, 50), "before");
	topology_node_full(THERE, true);
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "its table");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "no memory on node 8"), 1, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "reallocate"), 5, "it went away:\n%s", log.text);
	log_free(&log);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, topology_home()), "all of it");
	TEST_ASSERT_SUCCESS(traffic_wait(traffic, 50), "it works");
	topology_node_full(THERE, false);
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "memory appears");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "it is back");
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return topology_stop(fe);
}

/** Room for a replica is not room for the queue that it is for. */
static int
a_replica_whose_queue_went_elsewhere_is_dropped(void)
{
	struct fake *fe = start_guest(.queues = 1);
	int nodes[2] = { THERE, 3 };

	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_guest_part_on(fe->vqs[1].desc_gpa, fake_vq_ring_bytes(fe) - 4096, 3);
	TEST_ASSERT_SUCCESS(topology_refresh(device_of(fe)), "a queue elsewhere");
	TEST_ASSERT_SUCCESS(topology_inventory(fe, THERE, nodes), "a queue elsewhere");
	TEST_ASSERT_EQUAL(topology_live_on(3), 2, "a replica and a queue");
	topology_node_room(3, 3);
	TEST_ASSERT_SUCCESS(plug_memory(fe), "more memory");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "its table");
	nodes[1] = topology_home();
	TEST_ASSERT_SUCCESS(topology_inventory(fe, THERE, nodes), "where there is room");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 444), 444, "it works");
	return topology_stop(fe);
}

/** A ring that cannot be stopped for want of memory takes its connection along. */
static int
a_stop_without_memory_leaves_nothing(void)
{
	struct fake *fe = start_guest(.queues = 2);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_all_full(true);
	if (fake_stop_vring(fe, 0) < 0)
		TEST_ASSERT(fake_is_closed(fe), "closed");
	return topology_stop(fe);
}

/* ---- wishes at random, against a model ---- */

#define RINGS (2 * PAIRS)

/** What the frontend has said, and what ought to follow. */
struct model {
	struct {
		bool size, addr, kick, call, enabled;
	} rings[RINGS];
	bool running;
	unsigned int starts;	/**< of the device */
};

static bool
model_is_live(const struct model *m, unsigned int i)
{
	return m->rings[i].size && m->rings[i].addr && m->rings[i].kick && m->rings[i].call;
}

static bool
model_is_ready(const struct model *m, unsigned int i)
{
	return model_is_live(m, i) && m->rings[i].enabled;
}

/** The first pair makes a device. */
static void
model_settle(struct model *m)
{
	if (m->running || !model_is_ready(m, 0) || !model_is_ready(m, 1))
		return;
	m->running = true;
	m->starts++;
}

static enum fake_verdict
say_addr(struct fake *fe, unsigned int i)
{
	struct fake_addr addr = fake_addr_of(fe, i);

	return fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
}

static bool
say_stop(struct fake *fe, struct model *m, unsigned int i)
{
	m->rings[i].addr = m->rings[i].kick = m->rings[i].call = false;
	m->running = false;
	return fake_is_base(&fe->vqs[i], fake_stop_vring(fe, i));
}

/** Tell the library something, and the model. */
static bool
say_at_random(struct fake *fe, struct model *m)
{
	unsigned int i = rand() % RINGS;
	bool on = rand() % 4 != 0;

	switch (rand() % 9) {
	case 0:
		m->rings[i].size = true;
		return fake_call_state(fe, FE_SET_VRING_NUM, i, fe->vqs[i].size) == FAKE_ACK;
	case 1:
		m->rings[i].addr = true;
		return say_addr(fe, i) == FAKE_ACK;
	case 2:
		m->rings[i].kick = true;
		return fake_call_fd(fe, FE_SET_VRING_KICK, i, on ? fe->vqs[i].kickfd : -1) ==
			FAKE_ACK;
	case 3:
		m->rings[i].call = true;
		return fake_call_fd(fe, FE_SET_VRING_CALL, i, on ? fe->vqs[i].callfd : -1) ==
			FAKE_ACK;
	case 4:
		m->rings[i].enabled = on;
		return fake_enable_vring(fe, i, on) == 0;
	case 5:
		return on || say_stop(fe, m, i);
	case 6:
		return send_table_reversed(fe, rand() % 2) == 0;
	case 7:
		topology_guest_on(rand() % 4);
		topology_guest_part_on(fe->vqs[i].desc_gpa, fake_vq_ring_bytes(fe) - 4096,
			rand() % 4);
		return topology_refresh(device_of(fe)) == 0;
	default:
		/* Something later will be refused, once. */
		topology_refuse(1 + rand() % 8, 1);
		return true;
	}
}

static int
check_model(struct fake *fe, const struct model *m)
{
	for (unsigned int i = 0; i < RINGS; i++) {
		TEST_ASSERT_EQUAL(block_of(fe, i)->size, model_is_live(m, i) ?
			fe->vqs[i].size : 0, "ring %u", i);
		TEST_ASSERT_EQUAL(vhost_device_queue(device_of(fe), i)->ready,
			model_is_ready(m, i), "ring %u", i);
	}
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_NEW_DEVICE), m->starts, "starts");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), m->starts - m->running, "stops");
	for (unsigned int pair = 0; pair < PAIRS; pair++)
		if (model_is_ready(m, 2 * pair) && model_is_ready(m, 2 * pair + 1))
			TEST_ASSERT_EQUAL(fake_round_trip(fe, pair, 200), 200, "pair %u", pair);
	return topology_inventory_anywhere(fe);
}

static int
random_wishes_agree_with_a_model(void)
{
	const unsigned int steps_ = test_param_u64("steps", 3000);
	const unsigned int seed = test_param_u64("seed", fake_now_ms());
	struct model model = { 0 };
	unsigned int trips = 0;
	struct fake *fe;

	printf("seed=%u\n", seed);
	srand(seed);
	fe = start_guest(.queues = PAIRS, .regions = 2, .until = FAKE_MEMORY);
	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	TEST_ASSERT_SUCCESS(announce_queues(fe), "queues");
	for (unsigned int i = 0; i < RINGS; i++)
		model.rings[i].call = true;
	for (unsigned int i = 0; i < steps_; i++) {
		TEST_ASSERT(say_at_random(fe, &model), "step %u", i);
		model_settle(&model);
		TEST_ASSERT_SUCCESS(check_model(fe, &model), "step %u", i);
		trips += model.running;
	}
	TEST_ASSERT(trips > 0 && model.starts > 2, "%u starts", model.starts);
	return topology_stop(fe);
}

/* ---- */

static int
check(void)
{
	int left;

	traffic_abandon();
	left = fake_check();
	topology_end();
	return left;
}

static const struct test_case fixed_cases[] = {
	TEST_CASE(enabling_is_an_attribute),
	TEST_CASE(notifications_are_attributes),
	TEST_CASE(descriptors_are_those_of_the_wishes),
	TEST_CASE(what_is_said_again_changes_nothing),
	TEST_CASE(a_log_that_nobody_writes_disturbs_nobody),
	TEST_CASE(one_ring_disturbs_no_other),
	TEST_CASE(a_memory_table_rebuilds_each_block_once),
	TEST_CASE(a_running_device_refuses_another_shape),
	TEST_CASE(features_come_before_the_device_runs),
	TEST_CASE(a_ring_may_be_elsewhere_after_a_stop),
	TEST_CASE(a_reset_leaves_dormant_queues),
	TEST_CASE(memory_is_swapped_under_traffic),
	TEST_CASE(attributes_change_under_traffic),
	TEST_CASE(rings_are_told_whole_while_they_come_and_go),
	TEST_CASE(a_connection_without_memory_is_closed),
	TEST_CASE(late_queues_come_although_the_node_is_full),
	TEST_CASE(queues_come_although_the_next_node_is_crowded),
	TEST_CASE(a_new_map_comes_although_the_node_is_full),
	TEST_CASE(a_replica_whose_queue_went_elsewhere_is_dropped),
	TEST_CASE(a_stop_without_memory_leaves_nothing),
	TEST_CASE(random_wishes_agree_with_a_model),
};

#define NB_CASES (RTE_DIM(steps) + RTE_DIM(fixed_cases))

static int
run_suite(const char *name, int (*setup)(void))
{
	static struct test_case cases[NB_CASES];
	static char names[RTE_DIM(steps)][64];
	const struct test_suite suite = {
		.name = name, .setup = setup, .check = check,
		.teardown = fake_teardown, .case_seconds = 120,
		TEST_SUITE_CASES(cases),
	};

	for (unsigned int i = 0; i < RTE_DIM(steps); i++) {
		snprintf(names[i], sizeof(names[i]), "all_or_nothing_%s", steps[i].name);
		cases[i] = (struct test_case)TEST_CASE_WITH(is_all_or_nothing, names[i],
			&steps[i]);
	}
	memcpy(cases + RTE_DIM(steps), fixed_cases, sizeof(fixed_cases));
	return test_suite_run(&suite);
}

static int
test_vhost_settle(void)
{
	return run_suite("vhost settle", fake_setup);
}

static int
test_vhost_settle_packed(void)
{
	return run_suite("vhost settle, packed rings", fake_setup_packed);
}

REGISTER_TEST_COMMAND(vhost_settle_autotest, test_vhost_settle);
REGISTER_TEST_COMMAND(vhost_settle_packed_autotest, test_vhost_settle_packed);
