/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Placement as applications and operators have it: reports, refreshes, policies,
 * callbacks, and the library's regular looks.  On a made-up machine; devices are
 * born on the home node, guests are where a test puts them.
 */

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/memfd.h>

#include <rte_trace.h>
#include <rte_trace_point.h>
#include <rte_vhost.h>
#include <rte_vhost_numa.h>

#include "device.h"
#include "mem_node.h"
#include "numa_evidence.h"
#include "numa_watch.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_numa_example.h"
#include "vhost_test_calloc.h"
#include "vhost_test_log.h"
#include "vhost_test_topology.h"
#include "vhost_test_traffic.h"

#define THERE 8
#define ELSEWHERE 3

static struct fake *
start_on(int node, struct fake_config cfg)
{
	topology_make_up();
	topology_guest_on(node);
	return fake_start_config(&cfg);
}

#define guest_on(node, ...) start_on(node, (struct fake_config){ __VA_ARGS__ })

static int
end(struct fake *fe)
{
	vhost_numa_watch_set_interval(0);
	return topology_stop(fe);
}

static struct vhost_device *
device_of(const struct fake *fe)
{
	return vhost_device_peek(fe->vid);
}

static void
ring_goes(struct fake *fe, unsigned int i, int node)
{
	topology_guest_part_on(fe->vqs[i].desc_gpa, fake_vq_ring_bytes(fe) - 4096, node);
}

/** One of the library's regular looks. */
static void
look(struct fake *fe)
{
	struct vhost_device *dev = device_of(fe);

	vhost_device_lock(dev);
	vhost_numa_watch_check(dev);
	vhost_device_unlock(dev);
}

/* ---- what is told ---- */

static int
everything_is_told(void)
{
	int nodes[4] = { THERE, ELSEWHERE, THERE, THERE };
	struct rte_vhost_numa_report *r;
	struct fake *fe = guest_on(topology_home(), .queues = 2);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_guest_on(THERE);
	/* Spare memory at the end of the region, and a ring. */
	topology_guest_part_on(fe->regions[0].wire.gpa + fe->regions[0].wire.size - (256 << 10),
		256 << 10, ELSEWHERE);
	ring_goes(fe, 1, ELSEWHERE);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look");
	TEST_ASSERT_SUCCESS(topology_inventory(fe, THERE, nodes), "it moved");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_report(fe->vid, &r), "a report");
	TEST_ASSERT_EQUAL(r->node, THERE, "the device");
	TEST_ASSERT_EQUAL(r->app_node, THERE, "as the application knows");
	TEST_ASSERT_EQUAL(r->policy.mode, RTE_VHOST_NUMA_FOLLOW, "by default");
	TEST_ASSERT_EQUAL(r->moves, 5, "device and queues");
	TEST_ASSERT_EQUAL(r->restarts, 1, "the application was led along");
	TEST_ASSERT_EQUAL(r->refusals, 0, "there was memory");
	TEST_ASSERT_EQUAL(r->replica_nodes, 1u << THERE | 1u << ELSEWHERE, "nodes in use");
	TEST_ASSERT(r->probes >= 2, "looks: %" PRIu64, r->probes);
	TEST_ASSERT_EQUAL(r->nr_queues, 4, "all");
	for (int i = 0; i < 4; i++) {
		TEST_ASSERT_EQUAL(rte_vhost_numa_queue_node(fe->vid, i), nodes[i], "queue %d", i);
		TEST_ASSERT_EQUAL(r->queues[i].node, nodes[i], "queue %d", i);
		TEST_ASSERT_EQUAL(r->queues[i].ring_node, nodes[i], "ring %d", i);
		TEST_ASSERT_EQUAL(r->queues[i].moves, 1, "queue %d", i);
		TEST_ASSERT(r->queues[i].last_pause_ns > 0, "queue %d", i);
		TEST_ASSERT(r->queues[i].max_pause_ns >= r->queues[i].last_pause_ns, "queue %d", i);
		TEST_ASSERT(r->queues[i].bytes >= 1024, "queue %d", i);
	}
	TEST_ASSERT_EQUAL(r->nr_regions, 1, "all");
	TEST_ASSERT_EQUAL(r->regions[0].size, fe->regions[0].wire.size, "its size");
	TEST_ASSERT_EQUAL(r->regions[0].evidence, RTE_VHOST_NUMA_EVIDENCE_PAGES, "seen");
	TEST_ASSERT(r->regions[0].bytes[THERE] > r->regions[0].size / 2, "most of it");
	TEST_ASSERT(r->regions[0].bytes[ELSEWHERE] > 0, "some of it");
	free(r);
	return end(fe);
}

static int
what_cannot_be_told_is_refused(void)
{
	const struct rte_vhost_numa_policy follow = { .mode = RTE_VHOST_NUMA_FOLLOW };
	const struct rte_vhost_numa_policy wrong[] = {
		{ .mode = 3 },
		{ .mode = RTE_VHOST_NUMA_PIN, .node = -1 },
		{ .mode = RTE_VHOST_NUMA_PIN, .node = RTE_VHOST_NUMA_MAX_NODES },
		{ .mode = RTE_VHOST_NUMA_FOLLOW, .flags = 2 },
	};
	struct rte_vhost_numa_policy policy;
	struct rte_vhost_numa_report *r;
	struct fake *fe = guest_on(THERE, .queues = 1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(rte_vhost_numa_queue_node(fe->vid + 1, 0), -ENODEV, "no device");
	TEST_ASSERT_EQUAL(rte_vhost_numa_queue_node(-1, 0), -ENODEV, "no device");
	TEST_ASSERT_EQUAL(rte_vhost_numa_queue_node(fe->vid, 2), -EINVAL, "no queue");
	TEST_ASSERT_EQUAL(rte_vhost_numa_report(fe->vid + 1, &r), -ENODEV, "no device");
	TEST_ASSERT_EQUAL(rte_vhost_numa_report(fe->vid, NULL), -EINVAL, "no room");
	TEST_ASSERT_EQUAL(rte_vhost_numa_refresh(fe->vid + 1), -ENODEV, "no device");
	TEST_ASSERT_EQUAL(rte_vhost_numa_policy_set(NULL, &follow), -EINVAL, "no path");
	TEST_ASSERT_EQUAL(rte_vhost_numa_policy_set(fe->path, NULL), -EINVAL, "no policy");
	TEST_ASSERT_EQUAL(rte_vhost_numa_policy_set("/nowhere", &follow), -ENOENT, "no socket");
	for (unsigned int i = 0; i < RTE_DIM(wrong); i++)
		TEST_ASSERT_EQUAL(rte_vhost_numa_policy_set(fe->path, &wrong[i]), -EINVAL, "%u", i);
	TEST_ASSERT_EQUAL(rte_vhost_numa_policy_get(NULL, &policy), -EINVAL, "no path");
	TEST_ASSERT_EQUAL(rte_vhost_numa_policy_get(fe->path, NULL), -EINVAL, "no room");
	TEST_ASSERT_EQUAL(rte_vhost_numa_policy_get("/nowhere", &policy), -ENOENT, "no socket");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_policy_get(fe->path, &policy), "the default");
	TEST_ASSERT_EQUAL(policy.mode, RTE_VHOST_NUMA_FOLLOW, "the default");
	TEST_ASSERT_EQUAL(rte_vhost_numa_callback_register(NULL, NULL, NULL), -EINVAL, "no path");
	TEST_ASSERT_EQUAL(rte_vhost_numa_callback_register("/nowhere", NULL, NULL), -ENOENT,
		"no socket");
	return end(fe);
}

static bool
more_queues_come(void *arg)
{
	return fake_setup_vring(arg, 3) == 0;
}

static bool
queues_go(void *arg)
{
	struct fake *fe = arg;

	/* as a device that ends */
	vhost_device_publish_queues(device_of(fe), 0);
	return true;
}

/** There is room for those that were there when it was asked for. */
static int
a_report_has_the_queues_that_are_there_all_the_time(void)
{
	struct fake *fe = guest_on(THERE, .queues = 2, .until = FAKE_MEMORY);
	struct rte_vhost_numa_report *r;

	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	TEST_ASSERT_SUCCESS(fake_setup_vring(fe, 0), "a ring");
	calloc_meet(1, more_queues_come, fe);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_report(fe->vid, &r), "a report");
	TEST_ASSERT(calloc_end(), "while more queues come");
	TEST_ASSERT_EQUAL(r->nr_queues, 1, "that was there");
	free(r);
	calloc_meet(1, queues_go, fe);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_report(fe->vid, &r), "a report");
	TEST_ASSERT(calloc_end(), "while all go");
	TEST_ASSERT_EQUAL(r->nr_queues, 0, "none is there");
	free(r);
	vhost_device_publish_queues(device_of(fe), 4);
	calloc_refuse(1);
	TEST_ASSERT_EQUAL(rte_vhost_numa_report(fe->vid, &r), -ENOMEM, "no memory");
	TEST_ASSERT(calloc_end(), "for a report");
	return end(fe);
}

/** A kernel that does not say. */
static int
nodes_that_nobody_knows(void)
{
	struct rte_vhost_numa_report *r;
	struct fake *fe = guest_on(THERE, .queues = 1, .until = FAKE_REGISTERED);

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	topology_deny(-EPERM);
	TEST_ASSERT_SUCCESS(fake_connect(fe), "a frontend");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "features");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "rings");
	TEST_ASSERT_EQUAL(rte_vhost_numa_queue_node(fe->vid, 0), -ENODATA, "not known");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_report(fe->vid, &r), "a report");
	TEST_ASSERT_EQUAL(r->node, RTE_VHOST_NUMA_NONE, "not known");
	TEST_ASSERT_EQUAL(r->queues[0].ring_node, RTE_VHOST_NUMA_NONE, "not known");
	TEST_ASSERT_EQUAL(r->regions[0].evidence, RTE_VHOST_NUMA_EVIDENCE_REFUSED, "why");
	free(r);
	TEST_ASSERT(!topology_is_undecided(fe), "asking again is no use");
	return end(fe);
}

/** Whatever a frontend says next makes the library settle. */
static int
say_something(struct fake *fe)
{
	return fake_call_u64(fe, FE_NET_SET_MTU, 1500) == FAKE_ACK ? 0 : -1;
}

/** A container on a machine with one node: there is no other that it could be. */
static int
the_only_node_is_told_although_the_kernel_is_silent(void)
{
	struct rte_vhost_numa_report *r;
	struct fake *fe;

	topology_make_up();
	topology_deny(-EPERM);
	topology_only_node(topology_home());
	fe = fake_start(.queues = 1);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(rte_vhost_get_numa_node(fe->vid), topology_home(), "the device");
	TEST_ASSERT_EQUAL(rte_vhost_numa_queue_node(fe->vid, 0), topology_home(), "a queue");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_report(fe->vid, &r), "a report");
	TEST_ASSERT_EQUAL(r->refusals, 0, "without trouble");
	free(r);
	return end(fe);
}

/** The same, pinned there: what is in place is not built again by each message. */
static int
a_pinned_device_is_built_once_although_the_kernel_is_silent(void)
{
	struct fake *fe;

	topology_make_up();
	topology_deny(-EPERM);
	topology_only_node(topology_home());
	fe = fake_start(.queues = 4, .flags = RTE_VHOST_USER_NUMA_PIN(topology_home()));
	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_refuse(0, 0);
	for (int i = 0; i < 10; i++)
		TEST_ASSERT_SUCCESS(say_something(fe), "a message");
	TEST_ASSERT_EQUAL(topology_asked(), 0, "nothing was built");
	TEST_ASSERT_EQUAL(rte_vhost_get_numa_node(fe->vid), topology_home(), "it is there");
	return end(fe);
}

/* ---- refresh ---- */

static int
a_refresh_leads_the_application_along(void)
{
	struct fake *fe = guest_on(topology_home(), .queues = 2);
	struct rte_vhost_numa_report *r;
	struct traffic *traffic;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "nothing to do");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "%s", fake_story(fe));
	for (unsigned int i = 1; i <= 4; i++) {
		int to = i % 2 == 1 ? THERE : topology_home();

		topology_guest_on(to);
		TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look");
		TEST_ASSERT_SUCCESS(topology_inventory_on(fe, to), "it moved");
		TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), i, "%s", fake_story(fe));
		TEST_ASSERT_EQUAL(fake_events(fe, FAKE_NEW_DEVICE), i + 1, "%s", fake_story(fe));
		TEST_ASSERT_SUCCESS(rte_vhost_numa_report(fe->vid, &r), "a report");
		TEST_ASSERT_EQUAL(r->app_node, to, "the application knows");
		TEST_ASSERT_EQUAL(r->restarts, i, "counted");
		free(r);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 50), "packets go on");
	}
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	/* Rings are told again, because applications forget them with the device. */
	TEST_ASSERT(strstr(fake_story(fe), "new destroy ring0- ring0+ ring1- ring1+ "
		"ring2- ring2+ ring3- ring3+ new") != NULL, "%s", fake_story(fe));
	return end(fe);
}

/** A queue alone is nothing that an application has to know. */
static int
a_queue_moves_without_the_application(void)
{
	struct fake *fe = guest_on(topology_home(), .queues = 1);
	int nodes[2] = { topology_home(), THERE };

	TEST_ASSERT_NOT_NULL(fe, "a device");
	ring_goes(fe, 1, THERE);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look");
	TEST_ASSERT_SUCCESS(topology_inventory(fe, topology_home(), nodes), "it moved");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "%s", fake_story(fe));
	return end(fe);
}

struct changes {
	unsigned int queues, devices;
	int from, to;
};

static void
note_change(int vid, int queue_id, int from, int to, void *arg)
{
	struct changes *c = arg;

	(void)vid;
	c->queues += queue_id >= 0;
	c->devices += queue_id == RTE_VHOST_NUMA_DEVICE;
	c->from = from;
	c->to = to;
}

static int
a_callback_takes_the_place_of_a_restart(void)
{
	struct changes changes = { 0 };
	struct fake *fe = guest_on(THERE, .queues = 2, .until = FAKE_NEGOTIATED);

	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_callback_register(fe->path, note_change, &changes),
		"a callback");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_EQUAL(changes.devices, 1, "the node is known before the device runs");
	TEST_ASSERT_EQUAL(changes.from, topology_home(), "from home");
	TEST_ASSERT_EQUAL(changes.to, THERE, "to the guest");
	TEST_ASSERT_EQUAL(device_of(fe)->told.app_node, VHOST_NODE_ANY, "it has no device yet");
	TEST_ASSERT_SUCCESS(fake_run(fe), "it runs");
	changes = (struct changes){ 0 };
	topology_guest_on(ELSEWHERE);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, ELSEWHERE), "it moved");
	TEST_ASSERT_EQUAL(changes.devices, 1, "told");
	TEST_ASSERT_EQUAL(changes.queues, 4, "told");
	TEST_ASSERT_EQUAL(changes.from, THERE, "told");
	TEST_ASSERT_EQUAL(changes.to, ELSEWHERE, "told");
	TEST_ASSERT_EQUAL(device_of(fe)->told.app_node, ELSEWHERE, "so it knows");
	ring_goes(fe, 1, THERE);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look");
	TEST_ASSERT_EQUAL(changes.queues, 5, "of a ring alone it is told");
	TEST_ASSERT_EQUAL(device_of(fe)->told.app_node, ELSEWHERE, "the device stays");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "%s", fake_story(fe));
	TEST_ASSERT_SUCCESS(rte_vhost_numa_callback_register(fe->path, NULL, NULL), "none");
	topology_guest_on(THERE);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look");
	TEST_ASSERT_EQUAL(changes.devices, 1, "not told");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 1, "%s", fake_story(fe));
	return end(fe);
}

/** An application may ask from its callbacks, and is answered after them. */
static void
refresh_when_told(void *arg, enum fake_event ev, int vid, unsigned int qid, int on)
{
	int *result = arg;

	(void)qid;
	(void)on;
	if (ev != FAKE_NEW_DEVICE || *result != INT32_MIN)
		return;
	topology_guest_on(ELSEWHERE);
	*result = rte_vhost_numa_refresh(vid);
}

static int
a_refresh_from_a_callback_comes_after_it(void)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	int result = INT32_MIN;
	struct fake *fe = guest_on(THERE, .queues = 1, .hook = refresh_when_told,
		.hook_arg = &result);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, 2), "led along afterwards");
	TEST_ASSERT_SUCCESS(result, "it was taken");
	while (rte_vhost_numa_queue_node(fe->vid, 0) != ELSEWHERE && fake_now_ms() < until)
		sched_yield();
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "whoever held the lock is done");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, ELSEWHERE), "it moved");
	return end(fe);
}

/** The guide's example, as it stands there. */
static int
the_example_of_the_guide_works(void)
{
	struct fake *fe = guest_on(THERE, .queues = 2, .until = FAKE_REGISTERED);
	char path[108];

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	fake_new_path(path, sizeof(path));
	TEST_ASSERT_SUCCESS(example_listen(path), "a socket of the example");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path), "and no more");
	TEST_ASSERT_EQUAL(example_pin("/nowhere", 1), -ENOENT, "no socket");
	TEST_ASSERT_SUCCESS(fake_connect(fe), "a frontend");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "features");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "rings");
	TEST_ASSERT_EQUAL(example_show(fe->vid), 0, "nothing is remote");
	TEST_ASSERT_SUCCESS(example_pin(fe->path, ELSEWHERE), "pin");
	TEST_ASSERT_EQUAL(example_show(fe->vid), 4, "all queues are remote");
	TEST_ASSERT_EQUAL(example_show(fe->vid + 1), -1, "no device");
	return end(fe);
}

/* ---- policies ---- */

static int
set_policy(struct fake *fe, enum rte_vhost_numa_mode mode, int node, uint32_t flags)
{
	const struct rte_vhost_numa_policy policy = { mode, node, flags };

	return rte_vhost_numa_policy_set(fe->path, &policy);
}

static int
policies_change_while_it_runs(void)
{
	struct rte_vhost_numa_policy policy;
	struct fake *fe = guest_on(THERE, .queues = 2);
	struct traffic *traffic;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "it follows");
	TEST_ASSERT_SUCCESS(set_policy(fe, RTE_VHOST_NUMA_PIN, ELSEWHERE, 0), "pin");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, ELSEWHERE), "at once");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_policy_get(fe->path, &policy), "the policy");
	TEST_ASSERT_EQUAL(policy.mode, RTE_VHOST_NUMA_PIN, "the policy");
	TEST_ASSERT_EQUAL(policy.node, ELSEWHERE, "the policy");
	topology_guest_on(topology_home());
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, ELSEWHERE), "it stays");
	TEST_ASSERT_SUCCESS(traffic_wait(traffic, 50), "packets go on");
	TEST_ASSERT_SUCCESS(set_policy(fe, RTE_VHOST_NUMA_OFF, -1, 0), "off: of no node");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, ELSEWHERE), "it stays");
	TEST_ASSERT_SUCCESS(set_policy(fe, RTE_VHOST_NUMA_FOLLOW, -1, 0),
		"follow: any node");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, topology_home()), "at once");
	TEST_ASSERT_SUCCESS(traffic_wait(traffic, 50), "packets go on");
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return end(fe);
}

/** All but the application's own choice of a node. */
static int
a_registration_pins(void)
{
	struct fake *fe = guest_on(THERE, .queues = 2,
		.flags = RTE_VHOST_USER_NUMA_PIN(ELSEWHERE), .until = FAKE_CONNECTED);

	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, ELSEWHERE), "born there");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "features");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "rings");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, ELSEWHERE), "for good");
	TEST_ASSERT_EQUAL(device_of(fe)->running.moves, 0, "never anywhere else");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 300), 300, "it works");
	return end(fe);
}

static int
a_registration_switches_off(void)
{
	struct fake *fe = guest_on(THERE, .queues = 2, .flags = RTE_VHOST_USER_NUMA_OFF);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, topology_home()), "where it was born");
	TEST_ASSERT_EQUAL(topology_counters(fe).probes, 0, "nobody asked");
	look(fe);
	look(fe);
	TEST_ASSERT_EQUAL(topology_counters(fe).probes, 0, "nobody asked");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 300), 300, "it works");
	return end(fe);
}

static int
pinned_to_a_full_node(void)
{
	struct fake *fe = guest_on(THERE, .queues = 1);
	struct log_capture log;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_node_full(ELSEWHERE, true);
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	TEST_ASSERT_SUCCESS(set_policy(fe, RTE_VHOST_NUMA_PIN, ELSEWHERE, 0), "pin");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "no memory on node 3, where the device belongs: "
		"it stays on node 8"), 1, "%s", log.text);
	log_free(&log);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "it stays");
	topology_node_full(ELSEWHERE, false);
	look(fe);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, ELSEWHERE), "tried again");
	return end(fe);
}

/* ---- regular looks ---- */

static int
two_equal_looks_count(void)
{
	int nodes[2] = { THERE, THERE };
	struct fake *fe = guest_on(THERE, .queues = 1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_guest_on(ELSEWHERE);
	look(fe);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "once is not enough");
	topology_guest_on(topology_home());
	look(fe);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "nor two that differ");
	topology_guest_on(THERE);
	look(fe);
	topology_guest_on(topology_home());
	look(fe);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "nor one in between");
	TEST_ASSERT_EQUAL(topology_counters(fe).node_changes, 0, "nothing counts yet");
	look(fe);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, topology_home()), "two equal ones");
	TEST_ASSERT_EQUAL(topology_counters(fe).node_changes, 3, "device and queues");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "%s", fake_story(fe));
	TEST_ASSERT_EQUAL(device_of(fe)->told.app_node, THERE, "the application does not know");
	TEST_ASSERT_EQUAL(rte_vhost_get_numa_node(fe->vid), THERE, "what it was told stays");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "ask for it");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 1, "%s", fake_story(fe));
	TEST_ASSERT_EQUAL(device_of(fe)->told.app_node, topology_home(), "now it knows");
	TEST_ASSERT_EQUAL(rte_vhost_get_numa_node(fe->vid), topology_home(), "and may ask");
	/* A ring alone. */
	nodes[0] = topology_home();
	nodes[1] = ELSEWHERE;
	ring_goes(fe, 1, ELSEWHERE);
	look(fe);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, topology_home()), "once");
	look(fe);
	TEST_ASSERT_SUCCESS(topology_inventory(fe, topology_home(), nodes), "twice");
	TEST_ASSERT_EQUAL(topology_counters(fe).node_changes, 4, "one more");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "it works");
	return end(fe);
}

static int
a_look_without_news_costs_nothing(void)
{
	struct fake *fe = guest_on(THERE, .queues = 2);
	uint64_t probes;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	probes = topology_counters(fe).probes;
	topology_refuse(0, 0);
	for (int i = 0; i < 10; i++)
		look(fe);
	TEST_ASSERT_EQUAL(topology_asked(), 0, "no memory was taken");
	TEST_ASSERT_EQUAL(topology_counters(fe).probes, probes + 10, "but looked it has");
	return end(fe);
}

static bool
wait_for_node(struct fake *fe, int node)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (fake_now_ms() < until) {
		if (topology_device_node(fe) == node)
			return true;
		sched_yield();
	}
	return false;
}

/** The event loop's own looks, with packets flowing. */
static int
a_guest_that_moves_is_noticed(void)
{
	const unsigned int moves = test_param_u64("moves", 100);
	struct fake *fe = guest_on(topology_home(), .queues = 2);
	struct traffic *traffic;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	vhost_numa_watch_set_interval(2);
	for (unsigned int i = 1; i <= moves; i++) {
		int to = i % 2 == 1 ? THERE : topology_home();

		topology_guest_on(to);
		TEST_ASSERT(wait_for_node(fe, to), "move %u", i);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 10), "move %u", i);
	}
	vhost_numa_watch_set_interval(0);
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "whoever held the lock is done");
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "the application sees nothing");
	TEST_ASSERT(topology_counters(fe).node_changes >= moves, "counted");
	return end(fe);
}

static int
a_policy_has_looks_lead_the_application_along(void)
{
	struct fake *fe = guest_on(topology_home(), .queues = 1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(set_policy(fe, RTE_VHOST_NUMA_FOLLOW, 0, RTE_VHOST_NUMA_F_RESTART),
		"a policy");
	vhost_numa_watch_set_interval(2);
	topology_guest_on(THERE);
	TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, 2), "led along");
	vhost_numa_watch_set_interval(0);
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 1, "%s", fake_story(fe));
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "whoever held the lock is done");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "it moved");
	return end(fe);
}

/** Without a device it has nothing that could be on the wrong node. */
static int
what_the_application_was_told_ends_with_its_device(void)
{
	struct fake *fe = guest_on(THERE, .queues = 1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(rte_vhost_get_numa_node(fe->vid), THERE, "as it was told");
	TEST_ASSERT(fake_stop_vring(fe, 0) >= 0, "a ring stops");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 1, "%s", fake_story(fe));
	topology_guest_on(ELSEWHERE);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look");
	TEST_ASSERT_EQUAL(rte_vhost_get_numa_node(fe->vid), ELSEWHERE, "where it is");
	return end(fe);
}

/** At DEBUG it is said whether a look has changed anything. */
static int
what_looks_have_found_is_said(void)
{
	struct fake *fe = guest_on(THERE, .queues = 1);
	struct log_capture log;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	rte_log_set_level(vhost_config_log_level, RTE_LOG_DEBUG);
	look(fe);
	topology_guest_on(ELSEWHERE);
	look(fe);
	look(fe);
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, ") looked: it belongs on node 8, where it is: "), 2,
		"%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, ") something belongs elsewhere than before: "
		"it belongs on node 3, where it is: "), 1, "%s", log.text);
	log_free(&log);
	return end(fe);
}

static int
memory_that_appears_decides_at_once(void)
{
	struct fake *fe = guest_on(-ENOENT, .queues = 1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT(topology_is_undecided(fe), "nothing is known");
	look(fe);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, topology_home()), "it stays");
	topology_guest_on(THERE);
	look(fe);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "it moves");
	TEST_ASSERT(!topology_is_undecided(fe), "decided");
	TEST_ASSERT_EQUAL(topology_counters(fe).node_changes, 0, "nothing has moved");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "it works");
	return end(fe);
}

/** Long before the device's next regular look. */
static int
what_is_not_known_is_looked_for_again_soon(void)
{
	struct fake *fe = guest_on(-ENOENT, .queues = 1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	vhost_numa_watch_set_interval(3600 * 1000);
	TEST_ASSERT(topology_is_undecided(fe), "nothing is known");
	TEST_ASSERT_SUCCESS(say_something(fe), "a message");
	topology_guest_on(THERE);
	TEST_ASSERT(wait_for_node(fe, THERE), "found");
	vhost_numa_watch_set_interval(0);
	TEST_ASSERT_SUCCESS(say_something(fe), "whoever held the lock is done");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "it moved");
	return end(fe);
}

static int
looks_try_full_nodes_again(void)
{
	struct fake *fe = guest_on(topology_home(), .queues = 1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_node_full(THERE, true);
	topology_guest_on(THERE);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "no memory there");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, topology_home()), "it stays");
	look(fe);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, topology_home()), "it stays");
	topology_node_full(THERE, false);
	look(fe);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "it moves");
	return end(fe);
}

/* ---- memory that comes and goes ---- */

#define SLOTS 32
#define SLOT_SIZE (256u << 10)

/** VHOST_USER_ADD_MEM_REG and REM_MEM_REG. */
struct slot_message {
	uint64_t padding;
	struct fake_mem_region region;
};

static struct slot_message
slot_message(unsigned int number)
{
	return (struct slot_message){
		.region = {
			.gpa = (0x100ULL + number) << 32,
			.uva = (0x7000ULL + number) << 32,
			.size = SLOT_SIZE,
		},
	};
}

static enum fake_verdict
plug(struct fake *fe, unsigned int number)
{
	const struct slot_message msg = slot_message(number);
	int fd = memfd_create("vhost-test-slot", MFD_CLOEXEC);
	enum fake_verdict verdict = FAKE_TIMEOUT;

	if (fd >= 0 && ftruncate(fd, SLOT_SIZE) == 0)
		verdict = fake_call(fe, FE_ADD_MEM_REG, &msg, sizeof(msg), &fd, 1);
	close(fd);
	return verdict;
}

static enum fake_verdict
unplug(struct fake *fe, unsigned int number)
{
	const struct slot_message msg = slot_message(number);

	return fake_call(fe, FE_REM_MEM_REG, &msg, sizeof(msg), NULL, 0);
}

static int
memory_slots_come_and_go_under_traffic(void)
{
	struct fake *fe = guest_on(THERE, .queues = 2,
		.protocol_features = FE_BIT(FE_PROTOCOL_MEM_SLOTS));
	const uint8_t *first;
	struct traffic *traffic;
	unsigned int fds;
	uint64_t n;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_MAX_MEM_SLOTS, &n), "how many");
	TEST_ASSERT_EQUAL(n, SLOTS, "as many as maps have regions");
	first = device_of(fe)->running.map->regions[0].mmap_addr;
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	fds = fake_count_fds();
	for (unsigned int i = 1; i < SLOTS; i++) {
		TEST_ASSERT_EQUAL(plug(fe, i), FAKE_ACK, "slot %u", i);
		TEST_ASSERT_EQUAL(device_of(fe)->running.map->nregions, i + 1, "slot %u", i);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 10), "slot %u", i);
	}
	TEST_ASSERT_EQUAL(plug(fe, SLOTS), FAKE_NACK, "one too many");
	TEST_ASSERT_EQUAL(plug(fe, 5), FAKE_NACK, "one that is there");
	/* What a refused message brought is closed after the answer. */
	TEST_ASSERT_EQUAL(fake_wait_fds(fds + SLOTS - 1), fds + SLOTS - 1, "a descriptor each");
	TEST_ASSERT(device_of(fe)->running.map->regions[0].mmap_addr == first, "the first one stays");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "nothing is left over");
	for (unsigned int i = SLOTS - 1; i > 0; i--) {
		TEST_ASSERT_EQUAL(unplug(fe, i), FAKE_ACK, "slot %u", i);
		TEST_ASSERT_EQUAL(device_of(fe)->running.map->nregions, i, "slot %u", i);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 10), "slot %u", i);
	}
	TEST_ASSERT_EQUAL(unplug(fe, 1), FAKE_NACK, "there is none like that");
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "descriptors are closed");
	TEST_ASSERT(device_of(fe)->running.map->regions[0].mmap_addr == first, "the first one stays");
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_NEW_DEVICE), 1, "the application sees nothing");
	return end(fe);
}

/** Of a table that grows, only what is new is mapped and looked at. */
static int
only_new_memory_is_looked_at(void)
{
	struct fake *fe = guest_on(THERE, .queues = 1);
	struct rte_vhost_numa_report *report;
	const struct vhost_device *dev;
	const uint8_t *first;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	dev = device_of(fe);
	first = dev->running.map->regions[0].mmap_addr;
	/* The guest has moved, which nobody has asked about yet. */
	topology_guest_on(ELSEWHERE);
	TEST_ASSERT_SUCCESS(fake_region_create(fe, 0x100000000ULL, 64 << 10, 0), "more memory");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "its table");
	TEST_ASSERT_EQUAL(dev->running.map->nregions, 2, "two regions");
	TEST_ASSERT(dev->running.map->regions[0].mmap_addr == first, "mapped as before");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_report(fe->vid, &report), "a report");
	TEST_ASSERT_EQUAL(report->regions[0].bytes[ELSEWHERE], 0, "not looked at again");
	TEST_ASSERT(report->regions[1].bytes[ELSEWHERE] > 0, "this one is new");
	free(report);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "most is still there");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "it works");
	look(fe);
	look(fe);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, ELSEWHERE), "noticed in the end");
	return end(fe);
}

/** A device decides again when most of its memory comes later, elsewhere. */
static int
memory_that_is_plugged_decides(void)
{
	struct fake *fe = guest_on(THERE, .queues = 1, .extra_memory = 4096,
		.protocol_features = FE_BIT(FE_PROTOCOL_MEM_SLOTS));
	int nodes[2] = { THERE, THERE };
	unsigned int i;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (i = 1; i <= 20; i++) {
		topology_guest_part_on(slot_message(i).region.gpa, SLOT_SIZE, ELSEWHERE);
		TEST_ASSERT_EQUAL(plug(fe, i), FAKE_ACK, "slot %u", i);
	}
	TEST_ASSERT_SUCCESS(topology_inventory(fe, ELSEWHERE, nodes), "the device, not its queues");
	for (; i > 1; i--)
		TEST_ASSERT_EQUAL(unplug(fe, i - 1), FAKE_ACK, "slot %u", i - 1);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "as before");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "it works");
	return end(fe);
}

/* ---- refused messages ---- */

/** A message that fails for want of memory has not been. */
static int
a_refused_message_leaves_no_wish(void)
{
	struct fake *fe = guest_on(THERE, .queues = 1);
	struct vhost_device *dev;
	const struct mem_map *map;
	uint64_t generation;
	unsigned int fds;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	dev = device_of(fe);
	map = dev->running.map;
	generation = dev->wish.generation;
	TEST_ASSERT_SUCCESS(fake_region_create(fe, 0x100000000ULL, 1 << 20, 0), "more memory");
	fds = fake_count_fds();
	topology_all_full(true);
	TEST_ASSERT(fake_send_mem_table(fe) != 0, "no memory for that");
	topology_all_full(false);
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "its descriptors are closed");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "another message");
	TEST_ASSERT(dev->running.map == map && dev->wish.map == map, "still the old memory");
	TEST_ASSERT_EQUAL(dev->wish.generation, generation, "nothing was rebuilt");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "nor stopped");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "it works");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "said again");
	TEST_ASSERT(dev->running.map != map, "it comes true");
	return end(fe);
}

static int
a_refused_start_can_be_said_again(void)
{
	struct fake *fe = guest_on(THERE, .queues = 1, .until = FAKE_MEMORY);
	struct fake_addr addr;
	unsigned int fds;

	TEST_ASSERT_NOT_NULL(fe, "a frontend");
	TEST_ASSERT_SUCCESS(fake_setup_vring(fe, 0), "one ring");
	TEST_ASSERT_EQUAL(fake_call_state(fe, FE_SET_VRING_NUM, 1, fe->vqs[1].size), FAKE_ACK,
		"the other begins");
	addr = fake_addr_of(fe, 1);
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
		FAKE_ACK, "its place");
	TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_CALL, 1, fe->vqs[1].callfd), FAKE_ACK,
		"its call descriptor");
	fds = fake_count_fds();
	topology_all_full(true);
	TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_KICK, 1, fe->vqs[1].kickfd), FAKE_NACK,
		"no memory to start it");
	topology_all_full(false);
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "its descriptor is closed");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "another message");
	TEST_ASSERT(!vhost_device_queue(device_of(fe), 1)->live, "does not start it");
	TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_KICK, 1, fe->vqs[1].kickfd), FAKE_ACK,
		"said again");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, true), "enabled");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "it works");
	return end(fe);
}

/** A ring that cannot be stopped goes on. */
static int
a_refused_stop_stops_nothing(void)
{
	struct fake *fe = guest_on(THERE, .queues = 1);
	const struct fake_state state = { .index = 0 };

	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_all_full(true);
	TEST_ASSERT_EQUAL(fake_call(fe, FE_GET_VRING_BASE, &state, sizeof(state), NULL, 0),
		FAKE_NACK, "no memory for a dormant block");
	topology_all_full(false);
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "%s", fake_story(fe));
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "another message");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "%s", fake_story(fe));
	fe->vqs[0].ops->interrupts(&fe->vqs[0], true);
	fake_interrupts(&fe->vqs[0]);
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "it works");
	TEST_ASSERT(fake_interrupts(&fe->vqs[0]) > 0, "and tells the guest");
	return end(fe);
}

static int
trace_points_have_names(void)
{
	static const char *const names[] = {
		"lib.vhost.numa.probe", "lib.vhost.numa.move", "lib.vhost.numa.refusal",
	};
	struct fake *fe;

	for (unsigned int i = 0; i < RTE_DIM(names); i++) {
		rte_trace_point_t *point = rte_trace_point_lookup(names[i]);

		TEST_ASSERT_NOT_NULL(point, "%s", names[i]);
		TEST_ASSERT_SUCCESS(rte_trace_point_enable(point), "%s", names[i]);
	}
	fe = guest_on(THERE, .queues = 1);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	topology_node_full(ELSEWHERE, true);
	topology_guest_on(ELSEWHERE);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "it works while traced");
	TEST_ASSERT(rte_trace_pattern("lib.vhost.numa.*", false) >= 0, "off again");
	return end(fe);
}

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

static const struct test_case cases[] = {
	TEST_CASE(everything_is_told),
	TEST_CASE(what_cannot_be_told_is_refused),
	TEST_CASE(a_report_has_the_queues_that_are_there_all_the_time),
	TEST_CASE(nodes_that_nobody_knows),
	TEST_CASE(the_only_node_is_told_although_the_kernel_is_silent),
	TEST_CASE(a_pinned_device_is_built_once_although_the_kernel_is_silent),
	TEST_CASE(a_refresh_leads_the_application_along),
	TEST_CASE(a_queue_moves_without_the_application),
	TEST_CASE(a_callback_takes_the_place_of_a_restart),
	TEST_CASE(a_refresh_from_a_callback_comes_after_it),
	TEST_CASE(the_example_of_the_guide_works),
	TEST_CASE(policies_change_while_it_runs),
	TEST_CASE(a_registration_pins),
	TEST_CASE(a_registration_switches_off),
	TEST_CASE(pinned_to_a_full_node),
	TEST_CASE(two_equal_looks_count),
	TEST_CASE(a_look_without_news_costs_nothing),
	TEST_CASE(a_guest_that_moves_is_noticed),
	TEST_CASE(a_policy_has_looks_lead_the_application_along),
	TEST_CASE(what_the_application_was_told_ends_with_its_device),
	TEST_CASE(what_looks_have_found_is_said),
	TEST_CASE(memory_that_appears_decides_at_once),
	TEST_CASE(what_is_not_known_is_looked_for_again_soon),
	TEST_CASE(looks_try_full_nodes_again),
	TEST_CASE(memory_slots_come_and_go_under_traffic),
	TEST_CASE(only_new_memory_is_looked_at),
	TEST_CASE(memory_that_is_plugged_decides),
	TEST_CASE(a_refused_message_leaves_no_wish),
	TEST_CASE(a_refused_start_can_be_said_again),
	TEST_CASE(a_refused_stop_stops_nothing),
	TEST_CASE(trace_points_have_names),
};

static int
test_vhost_numa(void)
{
	static const struct test_suite suite = {
		.name = "vhost numa", .setup = fake_setup, .check = check,
		.teardown = fake_teardown, .case_seconds = 60,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_numa_autotest, test_vhost_numa);
