/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Destinations of postcopy migration: a guest runs while its memory is still
 * elsewhere, and comes page by page.
 *
 * The kernel is the judge of what the library touched: a page of the guest's files
 * has memory if it was asked for and brought, and only then.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <rte_vhost_numa.h>

#include "device.h"
#include "mem_node.h"
#include "numa_evidence.h"
#include "postcopy.h"
#include "test.h"
#include "test_vhost_hostile.h"
#include "vhost_fake_postcopy.h"
#include "vhost_test_denied.h"
#include "vhost_test_log.h"
#include "vhost_test_topology.h"
#include "vhost_test_traffic.h"

#define THERE 8

static struct postcopy guest;

/** A device that can be the destination of a migration. */
#define fake_destination(...) fake_start(.flags = RTE_VHOST_USER_POSTCOPY_SUPPORT, \
	.protocol_features = POSTCOPY_PROTOCOL, __VA_ARGS__)

#define two_start_destination(t, ...) two_start(t, \
	.flags = RTE_VHOST_USER_POSTCOPY_SUPPORT, \
	.protocol_features = POSTCOPY_PROTOCOL, __VA_ARGS__)

static struct vhost_device *
device_of(const struct fake *fe)
{
	return vhost_device_peek(fe->vid);
}

/** Without that, nothing can be migrated here. */
#define NEED_USERFAULTFD() do { \
	if (!postcopy_is_possible()) \
		return TEST_SKIPPED; \
} while (0)

static int
end(struct fake *fe)
{
	postcopy_close(&guest);
	return fake_stop(fe);
}

/* ---- migrating ---- */

static int
offered_to_who_asks_for_it(void)
{
	struct fake *plain = fake_start(.until = FAKE_REGISTERED);
	struct fake *fe = fake_destination(.until = FAKE_REGISTERED);
	uint64_t features;

	TEST_ASSERT(plain != NULL && fe != NULL, "two sockets");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_protocol_features(plain->path, &features), "ask");
	TEST_ASSERT_EQUAL(features & POSTCOPY_PROTOCOL, 0, "not by default");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_protocol_features(fe->path, &features), "ask");
	TEST_ASSERT_EQUAL((features & POSTCOPY_PROTOCOL) != 0, postcopy_is_possible(),
		"with the flag, where the kernel can");
	TEST_ASSERT_SUCCESS(fake_stop(plain), "stop");
	return fake_stop(fe);
}

static int
register_without(void)
{
	char path[108], why[128];
	struct log_capture log;
	uint64_t features;
	unsigned int said;

	fake_new_path(path, sizeof(path));
	TEST_ASSERT_SUCCESS(log_begin(&log), "a buffer");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path, RTE_VHOST_USER_POSTCOPY_SUPPORT),
		"a socket nevertheless");
	log_end(&log);
	snprintf(why, sizeof(why), "postcopy migration is not offered: %s", strerror(EPERM));
	said = log_count(&log, why);
	log_free(&log);
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_protocol_features(path, &features), "ask");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path), "gone");
	TEST_ASSERT_EQUAL(said, 1, "why: %s", why);
	TEST_ASSERT_EQUAL(features & POSTCOPY_PROTOCOL, 0, "not offered");
	return TEST_SUCCESS;
}

static int
not_offered_where_it_is_forbidden(void)
{
	static const struct denied ways[] = {
		{ .calls = { SYS_userfaultfd, SYS_openat } },
		{ .calls = { SYS_ioctl } },
	};
	int ret = postcopy_is_possible() ? TEST_SUCCESS : TEST_SKIPPED;

	for (unsigned int i = 0; i < RTE_DIM(ways) && ret == TEST_SUCCESS; i++) {
		struct denied way = ways[i];

		way.err = EPERM;
		way.run = register_without;
		ret = denied_run(way);
	}
	return ret;
}

/** Packets of some lengths, from before the migration and new ones. */
static int
packets_arrive(struct fake *fe, unsigned int waiting)
{
	for (unsigned int i = 0; i < waiting; i++) {
		struct rte_mbuf *m = fake_backend_receive(fe, 0);

		TEST_ASSERT_NOT_NULL(m, "packet %u that waited in the ring", i);
		TEST_ASSERT(fake_mbuf_matches(m, 1000 + i, i), "its contents");
		rte_pktmbuf_free(m);
	}
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), waiting, "given back");
	for (unsigned int len = 60; len < 1500; len += 180)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, len), len, "new packets");
	return 0;
}

static int
migrate(const struct fake_config *how)
{
	const unsigned int waiting = 20;
	struct fake_config cfg = *how;
	uint8_t packet[1500];
	struct fake *fe;

	NEED_USERFAULTFD();
	cfg.flags = RTE_VHOST_USER_POSTCOPY_SUPPORT;
	cfg.protocol_features = POSTCOPY_PROTOCOL;
	fe = fake_start_config(&cfg);
	if (fe == NULL && cfg.hugepages)
		return TEST_SKIPPED;	/* none are free */
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 700), 700, "at home");
	for (unsigned int i = 0; i < waiting; i++) {
		fake_pattern(packet, 1000 + i, i);
		TEST_ASSERT(fake_tx_send(&fe->vqs[1], NULL, packet, 1000 + i, NULL), "send");
	}
	TEST_ASSERT_SUCCESS(postcopy_leave(&guest, fe), "leave");
	TEST_ASSERT_SUCCESS(postcopy_begin(&guest), "arrive");
	TEST_ASSERT(fake_is_served(fe), "the table is in use");
	TEST_ASSERT_EQUAL(postcopy_allocated(&guest), 0, "and nothing was touched");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	if (packets_arrive(fe, waiting) != 0)
		return TEST_FAILED;
	TEST_ASSERT_EQUAL(postcopy_allocated(&guest), postcopy_brought(&guest),
		"no page but those asked for");
	TEST_ASSERT(cfg.hugepages || postcopy_brought(&guest) < postcopy_total(&guest),
		"and not all were");
	TEST_ASSERT(fake_guards_intact(fe), "which are there then");
	TEST_ASSERT(postcopy_is_registered(&guest), "the others may still come");
	TEST_ASSERT_SUCCESS(postcopy_finish(&guest), "the end");
	TEST_ASSERT(!postcopy_is_registered(&guest), "nobody waits any more");
	TEST_ASSERT_EQUAL(postcopy_allocated(&guest), postcopy_total(&guest), "all is there");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 900), 900, "afterwards");
	TEST_ASSERT(fake_stop_vring(fe, 0) >= 0 && fake_stop_vring(fe, 1) >= 0, "stop");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run again");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 900), 900, "as any other");
	return end(fe);
}

static int
pages_come_one_by_one(const void *arg)
{
	return migrate(arg);
}

static int
traffic_flows_while_pages_come(void)
{
	struct traffic *traffic;
	struct fake *fe;

	NEED_USERFAULTFD();
	fe = fake_destination(.queues = 2, .regions = 2);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(postcopy_leave(&guest, fe), "leave");
	TEST_ASSERT_SUCCESS(postcopy_begin(&guest), "arrive");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "packets");
	for (unsigned int i = 0; i < 10; i++) {
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 200), "flow");
		TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look meanwhile");
	}
	TEST_ASSERT_EQUAL(postcopy_allocated(&guest), postcopy_brought(&guest),
		"no page but those asked for");
	TEST_ASSERT_SUCCESS(postcopy_finish(&guest), "the end");
	TEST_ASSERT_SUCCESS(traffic_wait(traffic, 1000), "flow on");
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "all were right");
	return end(fe);
}

/** Give a region and acknowledge it; it has our address for the frontend's afterwards. */
static int
give_slot(struct fake *fe, struct fake_mem_region *region, int fd)
{
	struct { uint64_t padding; struct fake_mem_region region; } slot = { .region = *region };
	const uint64_t fine = 0;
	struct fake_msg reply;

	TEST_ASSERT_SUCCESS(fake_send(fe, FE_ADD_MEM_REG, 0, &slot, sizeof(slot), &fd, 1), "give");
	TEST_ASSERT(fake_recv(fe, &reply, NULL, NULL) == 1 &&
		reply.request == FE_ADD_MEM_REG && reply.size == sizeof(slot), "told");
	memcpy(&slot, reply.payload, sizeof(slot));
	*region = slot.region;
	return fake_send(fe, FE_ADD_MEM_REG, 0, &fine, sizeof(fine), NULL, 0);
}

static int
slots_are_acknowledged_one_by_one(void)
{
	struct fake_mem_region region;
	struct fake_mem_table table;
	int fds[FE_MAX_REGIONS];
	struct fake *fe;

	NEED_USERFAULTFD();
	fe = fake_start(.flags = RTE_VHOST_USER_POSTCOPY_SUPPORT, .regions = 3,
		.protocol_features = POSTCOPY_PROTOCOL | FE_BIT(FE_PROTOCOL_MEM_SLOTS));
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(postcopy_leave(&guest, fe), "leave");
	TEST_ASSERT(fake_connect(fe) == 0 && fake_negotiate(fe) == 0 &&
		postcopy_advise(&guest) == 0 && postcopy_listen(&guest) == 0, "arrive");
	fake_mem_table_of(fe, &table, fds);
	for (unsigned int i = 0; i < fe->nregions; i++) {
		region = table.regions[i];
		TEST_ASSERT_SUCCESS(give_slot(fe, &region, fds[i]), "region %u", i);
		__atomic_store_n(&guest.bases[i], region.uva, __ATOMIC_RELEASE);
	}
	region = table.regions[1];
	TEST_ASSERT_SUCCESS(give_slot(fe, &region, fds[1]), "one that is there already");
	TEST_ASSERT_EQUAL(region.uva, guest.bases[1], "stays where it is");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 1000), 1000, "packets");
	TEST_ASSERT_EQUAL(postcopy_allocated(&guest), postcopy_brought(&guest),
		"no page but those asked for");
	TEST_ASSERT_SUCCESS(postcopy_finish(&guest), "the end");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 1000), 1000, "packets");
	return end(fe);
}

/* ---- where it belongs ---- */

static int
looking_brings_no_page(void)
{
	struct fake *fe;
	int on_stack = 0;

	NEED_USERFAULTFD();
	fe = fake_destination(.regions = 2);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(postcopy_leave(&guest, fe), "leave");
	TEST_ASSERT_SUCCESS(postcopy_begin(&guest), "arrive");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look");
	TEST_ASSERT(!topology_is_known(fe), "nobody can know");
	TEST_ASSERT_EQUAL(postcopy_allocated(&guest), 0, "and nothing was touched");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 1000), 1000, "packets");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look again");
	TEST_ASSERT_EQUAL(postcopy_allocated(&guest), postcopy_brought(&guest),
		"no page but those asked for");
	TEST_ASSERT_SUCCESS(postcopy_finish(&guest), "the end");
	TEST_ASSERT_EQUAL(topology_is_known(fe),
		vhost_node_of(&on_stack) >= 0, "known by the end, where nodes are told");
	return end(fe);
}

static int
the_end_decides(void)
{
	struct fake *fe;

	NEED_USERFAULTFD();
	topology_make_up();
	topology_guest_on(-ENOENT);
	fe = fake_destination(.queues = 2);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(postcopy_leave(&guest, fe), "leave");
	TEST_ASSERT_SUCCESS(postcopy_begin(&guest), "arrive");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "packets");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, topology_home()), "nothing is known");
	topology_guest_on(THERE);
	TEST_ASSERT_SUCCESS(postcopy_finish(&guest), "the end");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "now it is");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "%s", fake_story(fe));
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "packets");
	TEST_ASSERT_SUCCESS(end(fe), "it ends well");
	TEST_ASSERT_EQUAL(topology_end(), 0, "every block was given back");
	return TEST_SUCCESS;
}

/** The bulk of the memory came before the guest: no need to wait. */
static int
evidence_before_the_end_counts(void)
{
	struct fake *fe;

	NEED_USERFAULTFD();
	topology_make_up();
	topology_guest_on(-ENOENT);
	fe = fake_destination(.queues = 1);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(postcopy_leave(&guest, fe), "leave");
	topology_guest_on(THERE);
	TEST_ASSERT_SUCCESS(postcopy_begin(&guest), "arrive");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, THERE), "at once");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "packets");
	/* What comes later may be elsewhere. */
	topology_guest_on(topology_home());
	TEST_ASSERT_SUCCESS(postcopy_finish(&guest), "the end");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, topology_home()), "has the last word");
	TEST_ASSERT_SUCCESS(end(fe), "it ends well");
	TEST_ASSERT_EQUAL(topology_end(), 0, "every block was given back");
	return TEST_SUCCESS;
}

/* ---- out of order ---- */

static enum fake_verdict
say(struct fake *fe, uint32_t request)
{
	return fake_call(fe, request, NULL, 0, NULL, 0);
}

static int
steps_out_of_order_are_refused(void)
{
	struct two t;
	struct fake *fe;

	NEED_USERFAULTFD();
	TEST_ASSERT(two_start_destination(&t, .queues = 1), "two devices");
	fe = t.bad;
	guest = (struct postcopy){ .fe = fe, .ufd = -1, .guest_ufd = -1, .stop = -1 };
	TEST_ASSERT_EQUAL(say(fe, FE_POSTCOPY_LISTEN), FAKE_NACK, "not announced");
	TEST_ASSERT_EQUAL(say(fe, FE_POSTCOPY_END), FAKE_NACK, "nothing to end");
	TEST_ASSERT_SUCCESS(postcopy_advise(&guest), "announced");
	TEST_ASSERT_EQUAL(say(fe, FE_POSTCOPY_LISTEN), FAKE_NACK, "it has memory");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "which it uses");
	TEST_ASSERT_EQUAL(say(fe, FE_RESET_OWNER), FAKE_ACK, "no more");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "start again");
	TEST_ASSERT_EQUAL(say(fe, FE_POSTCOPY_LISTEN), FAKE_NACK, "nor announced");
	TEST_ASSERT_SUCCESS(postcopy_advise(&guest), "announced");
	TEST_ASSERT_SUCCESS(postcopy_advise(&guest), "once more");
	TEST_ASSERT_SUCCESS(postcopy_listen(&guest), "listen");
	TEST_ASSERT_EQUAL(say(fe, FE_POSTCOPY_LISTEN), FAKE_NACK, "twice");
	TEST_ASSERT_EQUAL(say(fe, FE_POSTCOPY_ADVISE), FAKE_NACK, "too late");
	TEST_ASSERT_SUCCESS(postcopy_end(&guest), "end");
	TEST_ASSERT_EQUAL(say(fe, FE_POSTCOPY_END), FAKE_NACK, "twice");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory as usual");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "works");
	postcopy_close(&guest);
	return two_end(&t);
}

static int
only_the_acknowledgement_goes_on(void)
{
	const uint64_t fine = 0, bad = 1;
	struct two t;
	struct fake *fe;

	NEED_USERFAULTFD();
	TEST_ASSERT(two_start_destination(&t, .queues = 1), "two devices");
	fe = t.bad;
	TEST_ASSERT_SUCCESS(postcopy_leave(&guest, fe), "leave");
	TEST_ASSERT(fake_connect(fe) == 0 && fake_negotiate(fe) == 0 &&
		postcopy_advise(&guest) == 0 && postcopy_listen(&guest) == 0 &&
		postcopy_table(&guest) == 0, "up to the table");
	/* Meanwhile the others are served. */
	TEST_ASSERT_EQUAL(fake_round_trip(t.good, 0, 300), 300, "the other one");
	TEST_ASSERT(fake_is_served(t.good), "the other one");
	TEST_ASSERT_EQUAL(fake_call_state(fe, FE_SET_VRING_NUM, 0, 256), FAKE_NACK, "a ring");
	TEST_ASSERT_EQUAL(say(fe, FE_POSTCOPY_END), FAKE_NACK, "the end");
	TEST_ASSERT_EQUAL(say(fe, FE_POSTCOPY_ADVISE), FAKE_NACK, "the beginning");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_MEM_TABLE, &fine, 8, &fe->vqs[0].callfd, 1),
		FAKE_NACK, "an acknowledgement and a descriptor");
	TEST_ASSERT_EQUAL(fake_send_mem_table(fe), -1, "another table");
	TEST_ASSERT_NULL(device_of(fe)->wish.map, "there is no memory yet");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_MEM_TABLE, &bad, 8, NULL, 0), FAKE_NACK,
		"the frontend gives up");
	TEST_ASSERT_NULL(device_of(fe)->wish.map, "nor now");
	/* Once more, with an empty acknowledgement. */
	TEST_ASSERT_SUCCESS(postcopy_table(&guest), "again");
	TEST_ASSERT_EQUAL(say(fe, FE_SET_MEM_TABLE), FAKE_ACK, "acknowledged");
	TEST_ASSERT_NOT_NULL(device_of(fe)->wish.map, "there is memory");
	/* And once more while it is there. */
	TEST_ASSERT_SUCCESS(postcopy_table(&guest), "the same again");
	TEST_ASSERT_SUCCESS(postcopy_acknowledge(&guest, true), "acknowledged");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "works");
	TEST_ASSERT_SUCCESS(postcopy_finish(&guest), "the end");
	postcopy_close(&guest);
	return two_end(&t);
}

/** Whether a file is none of memory, nor one whose pages another file has. */
static bool
is_on_disk(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC &&
		fs.f_type != OVERLAYFS_SUPER_MAGIC;
}

static int
what_cannot_be_registered_is_refused(void)
{
	struct fake_mem_table table;
	int fds[FE_MAX_REGIONS], disk;
	char path[] = "/var/tmp/vhost-test-postcopy-XXXXXX";
	struct two t;
	struct fake *fe;

	NEED_USERFAULTFD();
	TEST_ASSERT(two_start_destination(&t, .regions = 2), "two devices");
	fe = t.bad;
	TEST_ASSERT_SUCCESS(postcopy_leave(&guest, fe), "leave");
	TEST_ASSERT(fake_connect(fe) == 0 && fake_negotiate(fe) == 0 &&
		postcopy_advise(&guest) == 0 && postcopy_listen(&guest) == 0, "listen");
	fake_mem_table_of(fe, &table, fds);
	table.regions[1].size <<= 8;
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_MEM_TABLE, &table, 72, fds, 2), FAKE_NACK,
		"beyond the file");
	fake_mem_table_of(fe, &table, fds);
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_MEM_TABLE, &table, 72, fds, 1), FAKE_NACK,
		"a descriptor is missing");
	disk = mkstemp(path);
	if (disk >= 0)
		unlink(path);
	if (disk >= 0 && is_on_disk(disk) && ftruncate(disk, fe->regions[1].map_len) == 0) {
		fds[1] = disk;
		TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_MEM_TABLE, &table, 72, fds, 2),
			FAKE_NACK, "no memory file");
	}
	if (disk >= 0)
		close(disk);
	TEST_ASSERT_EQUAL(vhost_postcopy_awaited(device_of(fe)->postcopy), 0, "nothing is awaited");
	TEST_ASSERT(postcopy_table(&guest) == 0 && postcopy_acknowledge(&guest, false) == 0,
		"a good one");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300, "works");
	TEST_ASSERT_SUCCESS(postcopy_finish(&guest), "the end");
	postcopy_close(&guest);
	return two_end(&t);
}

static void
close_received(int *fds, unsigned int n)
{
	while (n-- > 0)
		close(fds[n]);
}

/** One step of a frontend that knows the words and not their order. */
static void
random_step(struct fake *fe, unsigned int *state)
{
	static const uint32_t requests[] = { FE_POSTCOPY_ADVISE, FE_POSTCOPY_ADVISE,
		FE_POSTCOPY_LISTEN, FE_POSTCOPY_LISTEN, FE_POSTCOPY_END, FE_RESET_OWNER,
		FE_SET_MEM_TABLE, FE_SET_MEM_TABLE, FE_SET_MEM_TABLE, FE_SET_MEM_TABLE };
	uint32_t request = requests[rand_r(state) % RTE_DIM(requests)];
	int fds[FE_MAX_FDS], in[FE_MAX_FDS];
	unsigned int nfds = 0, received = 0;
	struct fake_mem_table table;
	struct fake_msg reply;
	size_t size = 0;

	memset(&table, 0, sizeof(table));
	if (request == FE_SET_MEM_TABLE) {
		unsigned int kind = rand_r(state) % 8;

		fake_mem_table_of(fe, &table, fds);
		nfds = fe->nregions;
		size = kind == 0 ? 0 : offsetof(struct fake_mem_table, regions[nfds]);
		if (kind < 4 && kind != 0) {	/* an acknowledgement */
			memset(&table, kind == 1, sizeof(table));
			size = 8;
			nfds = 0;
		} else if (kind == 4) {
			table.regions[0].size <<= 20;
		}
	} else if (rand_r(state) % 16 == 0) {
		fds[0] = fe->vqs[0].callfd;
		nfds = 1;
	}
	if (fake_send(fe, request, FE_NEED_REPLY, &table, size, fds, nfds) == 0 &&
			fake_recv(fe, &reply, in, &received) <= 0)
		fake_disconnect(fe);
	close_received(in, received);
}

static int
a_thousand_confused_frontends(void)
{
	unsigned int seed = test_param_u64("seed", fake_now_ms() & 0xffffff);
	unsigned int state = seed, before;
	struct two t;

	NEED_USERFAULTFD();
	printf("seed=%u\n", seed);
	TEST_ASSERT(two_start_destination(&t, .until = FAKE_REGISTERED), "two devices");
	before = fake_count_fds();
	for (unsigned int i = 0; i < 1000; i++) {
		TEST_ASSERT(fake_connect(t.bad) == 0 && fake_negotiate(t.bad) == 0,
			"frontend %u", i);
		for (unsigned int k = rand_r(&state) % 10; k > 0 && t.bad->sock >= 0; k--)
			random_step(t.bad, &state);
		fake_disconnect(t.bad);
	}
	TEST_ASSERT(fake_wait_fds(before) <= before, "descriptors are left open");
	return two_end(&t);
}

/* ---- frontends that let others wait ---- */

/** A thread that takes one packet from the guest. */
struct taker {
	struct fake *fe;
	int vid;
	pthread_t thread;
	struct rte_mbuf *m;
};

static void *
take_one(void *arg)
{
	struct taker *t = arg;

	if (rte_vhost_dequeue_burst(t->vid, 1, fake_pool(), &t->m, 1) == 0)
		t->m = NULL;
	return NULL;
}

/** Arrive with a packet in the ring whose page does not come, and take it. */
static int
start_waiting(struct taker *t, struct fake *fe)
{
	static const uint8_t packet[600];

	t->fe = fe;
	TEST_ASSERT(fake_tx_send(&fe->vqs[1], NULL, packet, sizeof(packet), NULL), "send");
	TEST_ASSERT_SUCCESS(postcopy_leave(&guest, fe), "leave");
	TEST_ASSERT_SUCCESS(postcopy_begin(&guest), "arrive");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	t->vid = fe->vid;
	postcopy_hold(&guest, true);
	TEST_ASSERT_SUCCESS(pthread_create(&t->thread, NULL, take_one, t), "a thread");
	TEST_ASSERT(postcopy_wait_fault(&guest), "it waits");
	return 0;
}

/** The thread has its packet, or none. */
static int
stop_waiting(struct taker *t)
{
	TEST_ASSERT_SUCCESS(pthread_join(t->thread, NULL), "it went on");
	rte_pktmbuf_free(t->m);
	TEST_ASSERT_EQUAL(postcopy_allocated(&guest), postcopy_brought(&guest),
		"no page of the guest was made up");
	return 0;
}

static int
frontend_that_dies_releases_threads(void)
{
	struct taker taker;
	struct two t;

	NEED_USERFAULTFD();
	TEST_ASSERT(two_start_destination(&t, .queues = 1), "two devices");
	TEST_ASSERT_SUCCESS(start_waiting(&taker, t.bad), "a thread waits");
	/* The frontend's copy of the userfaultfd stays open, as if it had others. */
	fake_disconnect(t.bad);
	TEST_ASSERT_SUCCESS(stop_waiting(&taker), "no longer");
	postcopy_close(&guest);
	return two_end(&t);
}

static int
unregistering_releases_threads(void)
{
	struct taker taker;
	struct two t;

	NEED_USERFAULTFD();
	TEST_ASSERT(two_start_destination(&t, .queues = 1), "two devices");
	TEST_ASSERT_SUCCESS(start_waiting(&taker, t.bad), "a thread waits");
	TEST_ASSERT_SUCCESS(fake_unregister(t.bad), "the application ends it");
	TEST_ASSERT_SUCCESS(stop_waiting(&taker), "no longer");
	postcopy_close(&guest);
	return two_end(&t);
}

/** Its memory goes away while a page of it is awaited. */
static int
truncated_file_releases_threads(void)
{
	struct taker taker;
	struct rte_mbuf *m;
	struct two t;

	NEED_USERFAULTFD();
	TEST_ASSERT(two_start_destination(&t, .queues = 1), "two devices");
	TEST_ASSERT_SUCCESS(start_waiting(&taker, t.bad), "a thread waits");
	TEST_ASSERT_SUCCESS(ftruncate(t.bad->regions[0].fd, 0), "truncate");
	m = fake_mbuf(64, 1, 0);
	rte_vhost_enqueue_burst(t.bad->vid, 0, &m, 1);
	rte_pktmbuf_free(m);
	TEST_ASSERT(fake_is_closed(t.bad), "the device goes");
	TEST_ASSERT_SUCCESS(pthread_join(taker.thread, NULL), "the thread goes on");
	rte_pktmbuf_free(taker.m);
	TEST_ASSERT_SUCCESS(ftruncate(t.bad->regions[0].fd, t.bad->regions[0].map_len), "grow");
	postcopy_close(&guest);
	/* which has to bring back what was cut off */
	return two_end(&t);
}

/** Send what makes the event thread look at a page that does not come. */
static int
hold_the_event_thread(struct fake *fe)
{
	struct fake_addr addr;
	uint64_t index = 0;

	TEST_ASSERT_SUCCESS(postcopy_leave(&guest, fe), "leave");
	TEST_ASSERT_SUCCESS(postcopy_begin(&guest), "arrive");
	postcopy_hold(&guest, true);
	addr = fake_addr_of(fe, 0);
	TEST_ASSERT(fake_call_state(fe, FE_SET_VRING_NUM, 0, fe->vqs[0].size) == FAKE_ACK &&
		fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0) == FAKE_ACK &&
		fake_call_fd(fe, FE_SET_VRING_CALL, 0, fe->vqs[0].callfd) == FAKE_ACK, "a ring");
	TEST_ASSERT_SUCCESS(fake_send(fe, FE_SET_VRING_KICK, 0, &index, sizeof(index),
		&fe->vqs[0].kickfd, 1), "starts");
	TEST_ASSERT(postcopy_wait_fault(&guest), "it waits");
	return 0;
}

static void
set_patience(unsigned int ms)
{
	__atomic_store_n(&vhost_postcopy_lock_timeout_ms, ms, __ATOMIC_RELAXED);
}

static int
event_thread_waits_for_a_while_only(void)
{
	const unsigned int patience = vhost_postcopy_lock_timeout_ms;
	struct two t;

	NEED_USERFAULTFD();
	TEST_ASSERT(two_start_destination(&t, .queues = 1), "two devices");
	set_patience(300);
	TEST_ASSERT_SUCCESS(hold_the_event_thread(t.bad), "it waits");
	TEST_ASSERT(fake_is_closed(t.bad), "it gave the device up");
	set_patience(patience);
	TEST_ASSERT_EQUAL(postcopy_allocated(&guest), postcopy_brought(&guest),
		"no page of the guest was made up");
	postcopy_close(&guest);
	return two_end(&t);
}

static int
frontend_that_dies_releases_the_event_thread(void)
{
	const unsigned int patience = vhost_postcopy_lock_timeout_ms;
	struct two t;

	NEED_USERFAULTFD();
	TEST_ASSERT(two_start_destination(&t, .queues = 1), "two devices");
	set_patience(UINT32_MAX);
	TEST_ASSERT_SUCCESS(hold_the_event_thread(t.bad), "it waits");
	fake_disconnect(t.bad);
	set_patience(patience);
	TEST_ASSERT_EQUAL(postcopy_allocated(&guest), postcopy_brought(&guest),
		"no page of the guest was made up");
	postcopy_close(&guest);
	return two_end(&t);
}

/** A burst is inside the gate that a message wants closed, until its page comes. */
static int
message_waits_for_a_burst(void)
{
	struct taker taker;
	struct fake_msg reply;
	struct fake_state state = { .index = 1 };
	struct two t;

	NEED_USERFAULTFD();
	TEST_ASSERT(two_start_destination(&t, .queues = 1), "two devices");
	TEST_ASSERT_SUCCESS(start_waiting(&taker, t.bad), "a thread waits");
	TEST_ASSERT_SUCCESS(fake_send(t.bad, FE_GET_VRING_BASE, 0, &state, sizeof(state), NULL,
		0), "stop the ring");
	postcopy_hold(&guest, false);
	TEST_ASSERT_EQUAL(fake_recv(t.bad, &reply, NULL, NULL), 1, "answered in the end");
	TEST_ASSERT_SUCCESS(stop_waiting(&taker), "and the packet");
	TEST_ASSERT_SUCCESS(postcopy_finish(&guest), "the end");
	postcopy_close(&guest);
	return two_end(&t);
}

/* ---- suite ---- */

static int
check(void)
{
	unsigned int blocks;

	traffic_abandon();
	/* while its pages come, as the fake looks at its guards */
	if (guest.fe != NULL)
		postcopy_hold(&guest, false);
	for (struct fake *fe = fake_first(); guest.fe != NULL && fe != NULL; fe = fe->next)
		fake_disconnect(fe);
	postcopy_close(&guest);
	blocks = topology_end();
	return fake_check() != 0 || blocks != 0 ? -1 : 0;
}

static const struct fake_config split = { .format = FAKE_SPLIT },
	packed = { .format = FAKE_PACKED, .mergeable = true },
	regions = { .regions = 3, .event_idx = true },
	huge = { .hugepages = true };

static const struct test_case cases[] = {
	TEST_CASE(offered_to_who_asks_for_it),
	TEST_CASE(not_offered_where_it_is_forbidden),
	TEST_CASE_WITH(pages_come_one_by_one, "pages_come_one_by_one (split)", &split),
	TEST_CASE_WITH(pages_come_one_by_one, "pages_come_one_by_one (packed)", &packed),
	TEST_CASE_WITH(pages_come_one_by_one, "pages_come_one_by_one (regions)", &regions),
	TEST_CASE_WITH(pages_come_one_by_one, "pages_come_one_by_one (hugepages)", &huge),
	TEST_CASE(traffic_flows_while_pages_come),
	TEST_CASE(slots_are_acknowledged_one_by_one),
	TEST_CASE(looking_brings_no_page),
	TEST_CASE(the_end_decides),
	TEST_CASE(evidence_before_the_end_counts),
	TEST_CASE(steps_out_of_order_are_refused),
	TEST_CASE(only_the_acknowledgement_goes_on),
	TEST_CASE(what_cannot_be_registered_is_refused),
	TEST_CASE(a_thousand_confused_frontends),
	TEST_CASE(frontend_that_dies_releases_threads),
	TEST_CASE(unregistering_releases_threads),
	TEST_CASE(truncated_file_releases_threads),
	TEST_CASE(message_waits_for_a_burst),
	TEST_CASE(event_thread_waits_for_a_while_only),
	TEST_CASE(frontend_that_dies_releases_the_event_thread),
};

static int
test_vhost_postcopy(void)
{
	static const struct test_suite suite = {
		.name = "vhost postcopy", .setup = fake_setup, .teardown = fake_teardown,
		.check = check,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_postcopy_autotest, test_vhost_postcopy);
