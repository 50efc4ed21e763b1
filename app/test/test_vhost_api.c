/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The public functions, called as no application should: with devices and rings
 * that do not exist, without room for the answer, twice, too early and too late.
 * They say so and do nothing else.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_mbuf.h>
#include <rte_vdpa.h>
#include <rte_vhost_async.h>

#include "about.h"
#include "device.h"
#include "device_life.h"
#include "numa_evidence.h"
#include "quota.h"
#include "test.h"
#include "vhost_abi.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_calloc.h"
#include "vhost_test_log.h"
#include "vhost_version.h"
#include "vu_message.h"

/* ---- what it says of itself ---- */

/** The log of what is there before the first case. */
static struct log_capture first_words;

static int
setup(void)
{
	int ret;

	if (log_begin(&first_words) != 0)
		return -1;
	ret = fake_setup();
	for (unsigned int i = 0; i < 2; i++) {
		char path[108];

		fake_new_path(path, sizeof(path));
		ret |= rte_vhost_driver_register(path, 0);
		ret |= rte_vhost_driver_unregister(path);
	}
	log_end(&first_words);
	return ret;
}

static void
teardown(void)
{
	log_free(&first_words);
	fake_teardown();
}

static int
that_it_is_there_is_said_once(void)
{
	struct rte_vhost_limits limits;
	char name[PATH_MAX], words[64];
	ssize_t len = readlink("/proc/self/exe", name, sizeof(name) - 1);

	/* Of other suites in this process one has heard it. */
	if (!test_is_alone("vhost_api_autotest"))
		return TEST_SKIPPED;
	TEST_ASSERT_EQUAL(log_count(&first_words, "this is " VHOST_NAME " " VHOST_VERSION), 1,
		"once");
#ifdef RTE_LIBRTE_VHOST_NUMA
	TEST_ASSERT_EQUAL(log_count(&first_words, ", with libnuma,"), 1, "with libnuma");
#else
	TEST_ASSERT_EQUAL(log_count(&first_words, ", without libnuma,"), 1, "without");
#endif
	vhost_quota_defaults(&limits);
	snprintf(words, sizeof(words), "%u connections, %u vrings", limits.connections,
		limits.vrings);
	TEST_ASSERT_EQUAL(log_count(&first_words, words), 1, "%s", words);
	/* The program has the library in it. */
	TEST_ASSERT(len > 0, "the program's name");
	name[len] = '\0';
	TEST_ASSERT_EQUAL(log_count(&first_words, strrchr(name, '/')), 1, "from where: %s",
		first_words.text);
	return TEST_SUCCESS;
}

static int
truncated_memory_will_be_noticed(void)
{
	if (!test_is_alone("vhost_api_autotest"))
		return TEST_SKIPPED;
	TEST_ASSERT_EQUAL(log_count(&first_words, "(guard)"), 0, "%s", first_words.text);
	return TEST_SUCCESS;
}

/* ---- devices and rings that do not exist ---- */

/** Every function that takes a device: must say no and leave out alone. */
static int
call_everything(int vid, uint16_t q)
{
	static const struct rte_vhost_user_extern_ops no_ops;
	struct rte_vhost_power_monitor_cond cond;
	struct rte_vhost_ring_inflight inflight;
	struct rte_vhost_memory *mem = NULL;
	struct rte_vhost_vring vring;
	struct rte_vhost_stat stat;
	struct rte_mbuf *m = NULL;
	uint16_t a = 0, b = 0;
	uint64_t x = 0, y = 0;
	char name[64];

	TEST_ASSERT(rte_vhost_get_mtu(vid, &a) < 0, "get_mtu");
	TEST_ASSERT_EQUAL(rte_vhost_get_numa_node(vid), -1, "get_numa_node");
	TEST_ASSERT_EQUAL(rte_vhost_get_vring_num(vid), 0, "get_vring_num");
	TEST_ASSERT_EQUAL(rte_vhost_get_ifname(vid, name, sizeof(name)), -1,
		"get_ifname");
	TEST_ASSERT_EQUAL(rte_vhost_get_negotiated_features(vid, &x), -1,
		"get_negotiated_features");
	TEST_ASSERT_EQUAL(rte_vhost_get_negotiated_protocol_features(vid, &x), -1,
		"get_negotiated_protocol_features");
	TEST_ASSERT_EQUAL(rte_vhost_get_mem_table(vid, &mem), -1,
		"get_mem_table");
	TEST_ASSERT_NULL(mem, "no table");
	TEST_ASSERT_EQUAL(rte_vhost_get_vhost_vring(vid, q, &vring), -1,
		"get_vhost_vring");
	TEST_ASSERT_EQUAL(rte_vhost_get_vhost_ring_inflight(vid, q, &inflight),
		-1, "get_vhost_ring_inflight");
	TEST_ASSERT_EQUAL(rte_vhost_get_log_base(vid, &x, &y), -1,
		"get_log_base");
	TEST_ASSERT_EQUAL(rte_vhost_get_vring_base(vid, q, &a, &b), -1,
		"get_vring_base");
	TEST_ASSERT_EQUAL(rte_vhost_set_vring_base(vid, q, 0, 0), -1,
		"set_vring_base");
	TEST_ASSERT_EQUAL(rte_vhost_get_vring_base_from_inflight(vid, q, &a, &b),
		-1, "get_vring_base_from_inflight");
	TEST_ASSERT_NULL(rte_vhost_get_vdpa_device(vid), "get_vdpa_device");
	TEST_ASSERT_EQUAL(rte_vhost_avail_entries(vid, q), 0, "avail_entries");
	TEST_ASSERT_EQUAL(rte_vhost_rx_queue_count(vid, q), 0, "rx_queue_count");
	TEST_ASSERT_EQUAL(rte_vhost_enqueue_burst(vid, q, &m, 0), 0, "enqueue");
	TEST_ASSERT_EQUAL(rte_vhost_dequeue_burst(vid, q, fake_pool(), &m, 1), 0,
		"dequeue");
	TEST_ASSERT_EQUAL(rte_vhost_vring_call(vid, q), -1, "vring_call");
	TEST_ASSERT_EQUAL(rte_vhost_vring_call_nonblock(vid, q), -1,
		"vring_call_nonblock");
	TEST_ASSERT_EQUAL(rte_vhost_enable_guest_notification(vid, q, 1), -1,
		"enable_guest_notification");
	TEST_ASSERT_EQUAL(rte_vhost_vring_stats_get_names(vid, q, NULL, 0), -1,
		"stats_get_names");
	TEST_ASSERT_EQUAL(rte_vhost_vring_stats_get(vid, q, &stat, 1), -1,
		"stats_get");
	TEST_ASSERT_EQUAL(rte_vhost_vring_stats_reset(vid, q), -1, "stats_reset");
	TEST_ASSERT(rte_vhost_get_monitor_addr(vid, q, &cond) < 0,
		"get_monitor_addr");
	TEST_ASSERT(rte_vhost_backend_config_change(vid, false) < 0,
		"slave_config_change");
	TEST_ASSERT_EQUAL(rte_vhost_extern_callback_register(vid, &no_ops, NULL),
		-1, "extern_callback_register");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_register(vid, q), -1,
		"async_channel_register");
	TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(vid, q), -1,
		"async_get_inflight");
	TEST_ASSERT(rte_vhost_set_inflight_desc_split(vid, q, 0) <= 0,
		"set_inflight_desc_split");
	rte_vhost_log_write(vid, 0, 4096);
	rte_vhost_log_used_vring(vid, q, 0, 4096);
	return 0;
}

static int
device_that_does_not_exist(void)
{
	static const int vids[] = { -1, 5, 1023, 1024, 65536, INT_MAX, INT_MIN };

	for (unsigned int i = 0; i < RTE_DIM(vids); i++)
		if (call_everything(vids[i], 0) != 0) {
			printf("vid %d\n", vids[i]);
			return TEST_FAILED;
		}
	return TEST_SUCCESS;
}

static int
device_that_is_gone(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	int vid;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	vid = fe->vid;
	TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	return call_everything(vid, 0);
}

static int
ring_that_does_not_exist(void)
{
	static const uint16_t rings[] = { 2, 3, 255, 256, 257, 65535 };
	struct fake *fe = fake_start(.mergeable = true,
		.flags = RTE_VHOST_USER_NET_STATS_ENABLE);
	struct rte_vhost_power_monitor_cond cond;
	struct rte_vhost_vring vring;
	struct rte_vhost_stat stat;
	struct rte_mbuf *m;
	uint16_t a, b;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	m = fake_mbuf(64, 1, 0);
	for (unsigned int i = 0; i < RTE_DIM(rings); i++) {
		uint16_t q = rings[i];
		struct rte_mbuf *got;

		TEST_ASSERT_EQUAL(rte_vhost_get_vhost_vring(fe->vid, q, &vring),
			-1, "vring %u", q);
		TEST_ASSERT_EQUAL(rte_vhost_get_vring_base(fe->vid, q, &a, &b),
			-1, "base %u", q);
		TEST_ASSERT_EQUAL(rte_vhost_set_vring_base(fe->vid, q, 0, 0), -1,
			"base %u", q);
		TEST_ASSERT_EQUAL(rte_vhost_avail_entries(fe->vid, q), 0,
			"entries %u", q);
		TEST_ASSERT_EQUAL(rte_vhost_rx_queue_count(fe->vid, q), 0,
			"count %u", q);
		TEST_ASSERT_EQUAL(rte_vhost_enqueue_burst(fe->vid, q, &m, 1), 0,
			"enqueue %u", q);
		TEST_ASSERT_EQUAL(rte_vhost_dequeue_burst(fe->vid, q,
			fake_pool(), &got, 1), 0, "dequeue %u", q);
		TEST_ASSERT_EQUAL(rte_vhost_vring_call(fe->vid, q), -1,
			"call %u", q);
		TEST_ASSERT_EQUAL(rte_vhost_vring_call_nonblock(fe->vid, q), -1,
			"call %u", q);
		TEST_ASSERT_EQUAL(rte_vhost_enable_guest_notification(fe->vid, q,
			1), -1, "notification %u", q);
		TEST_ASSERT_EQUAL(rte_vhost_vring_stats_get_names(fe->vid, q,
			NULL, 0), -1, "names %u", q);
		TEST_ASSERT_EQUAL(rte_vhost_vring_stats_get(fe->vid, q, &stat,
			1), -1, "stats %u", q);
		TEST_ASSERT_EQUAL(rte_vhost_vring_stats_reset(fe->vid, q), -1,
			"reset %u", q);
		TEST_ASSERT(rte_vhost_get_monitor_addr(fe->vid, q, &cond) < 0,
			"monitor %u", q);
	}
	rte_pktmbuf_free(m);
	return fake_stop(fe);
}

static int
no_room_for_the_answer(void)
{
	struct fake *fe = fake_start(.mergeable = true,
		.features = FE_BIT(VIRTIO_NET_F_MTU),
		.flags = RTE_VHOST_USER_NET_STATS_ENABLE);
	char name[8] = "xxxxxxx", full[128];
	uint16_t a;
	uint32_t n;
	uint64_t x;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(rte_vhost_get_mtu(fe->vid, NULL) != 0, "get_mtu");
	TEST_ASSERT(rte_vhost_get_negotiated_features(fe->vid, NULL) != 0,
		"get_negotiated_features");
	TEST_ASSERT(rte_vhost_get_negotiated_protocol_features(fe->vid, NULL) != 0,
		"get_negotiated_protocol_features");
	TEST_ASSERT(rte_vhost_get_mem_table(fe->vid, NULL) != 0, "get_mem_table");
	TEST_ASSERT(rte_vhost_get_vhost_vring(fe->vid, 0, NULL) != 0,
		"get_vhost_vring");
	TEST_ASSERT(rte_vhost_get_vring_base(fe->vid, 0, NULL, &a) != 0,
		"get_vring_base");
	TEST_ASSERT(rte_vhost_get_vring_base(fe->vid, 0, &a, NULL) != 0,
		"get_vring_base");
	TEST_ASSERT(rte_vhost_get_log_base(fe->vid, NULL, &x) != 0,
		"get_log_base");
	TEST_ASSERT(rte_vhost_get_log_base(fe->vid, &x, NULL) != 0, "get_log_base without size");
	TEST_ASSERT(rte_vhost_get_vhost_ring_inflight(fe->vid, 0, NULL) != 0, "ring_inflight");
	TEST_ASSERT(rte_vhost_extern_callback_register(fe->vid, NULL, NULL) != 0,
		"extern_callback_register");
	TEST_ASSERT(rte_vhost_get_monitor_addr(fe->vid, 1, NULL) < 0,
		"get_monitor_addr");
	TEST_ASSERT(rte_vhost_vring_stats_get(fe->vid, 0, NULL, 0) == (VHOST_ABI >= 25 ? 21 : 17),
		"stats_get says how many");
	TEST_ASSERT(rte_vhost_get_ifname(fe->vid, NULL, 10) != 0, "get_ifname");
	TEST_ASSERT_EQUAL(rte_vhost_get_ifname(fe->vid, name + 4, 0), -1,
		"get_ifname of length 0");
	TEST_ASSERT(memcmp(name, "xxxxxxx", 7) == 0, "nothing was written");
	TEST_ASSERT_SUCCESS(rte_vhost_get_ifname(fe->vid, name, 4), "short");
	TEST_ASSERT(memcmp(name, "/tm\0xxx", 7) == 0, "and terminated");
	TEST_ASSERT_SUCCESS(rte_vhost_get_ifname(fe->vid, full, sizeof(full)),
		"enough");
	TEST_ASSERT(strcmp(full, fe->path) == 0, "%s", full);
	TEST_ASSERT(rte_vhost_driver_get_features(fe->path, NULL) != 0,
		"driver_get_features");
	TEST_ASSERT(rte_vhost_driver_get_protocol_features(fe->path, NULL) != 0,
		"driver_get_protocol_features");
	TEST_ASSERT(rte_vhost_driver_get_queue_num(fe->path, NULL) != 0,
		"driver_get_queue_num");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_queue_num(fe->path, &n), "ok");
	return fake_stop(fe);
}

static int
device_that_is_only_connected(void)
{
	struct fake *fe = fake_start(.until = FAKE_CONNECTED);
	struct rte_vhost_memory *mem = NULL;
	struct rte_vhost_vring vring;
	struct rte_mbuf *m;
	uint16_t a, b;

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	TEST_ASSERT_EQUAL(rte_vhost_get_mem_table(fe->vid, &mem), -1,
		"there is no table yet");
	TEST_ASSERT_EQUAL(rte_vhost_get_vhost_vring(fe->vid, 0, &vring), -1,
		"nor a ring");
	rte_vhost_get_vring_base(fe->vid, 0, &a, &b);
	rte_vhost_get_numa_node(fe->vid);
	TEST_ASSERT_EQUAL(rte_vhost_dequeue_burst(fe->vid, 1, fake_pool(), &m, 1),
		0, "nor a packet");
	TEST_ASSERT_EQUAL(rte_vhost_get_vring_num(fe->vid), 0, "no rings");
	return fake_stop(fe);
}

/* ---- what the functions say of a good device ---- */

static int
memory_table_is_told(void)
{
	struct fake *fe = fake_start(.mergeable = true, .regions = 3);
	struct rte_vhost_memory *mem = NULL;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(rte_vhost_get_mem_table(fe->vid, &mem), "get");
	TEST_ASSERT_EQUAL(mem->nregions, 3, "regions");
	for (unsigned int i = 0; i < 3; i++) {
		const struct rte_vhost_mem_region *r = &mem->regions[i];
		struct fake_region *mine = &fe->regions[i];
		uint64_t *there, len = 8;

		TEST_ASSERT_EQUAL(r->guest_phys_addr, mine->wire.gpa, "gpa");
		TEST_ASSERT_EQUAL(r->guest_user_addr, mine->wire.uva, "uva");
		TEST_ASSERT_EQUAL(r->size, mine->wire.size, "size");
		TEST_ASSERT_EQUAL(r->host_user_addr, (uintptr_t)r->mmap_addr +
			mine->wire.mmap_offset, "address");
		TEST_ASSERT(r->mmap_size >= mine->wire.size +
			mine->wire.mmap_offset, "mapped");
		/* The same memory through both mappings. */
		*(uint64_t *)(void *)(mine->va + mine->wire.size - 8) = 4711 + i;
		there = (uint64_t *)(uintptr_t)rte_vhost_va_from_guest_pa(mem,
			r->guest_phys_addr + r->size - 8, &len);
		TEST_ASSERT_NOT_NULL(there, "translated");
		TEST_ASSERT_EQUAL(*there, 4711 + i, "the same byte");
	}
	free(mem);
	return fake_stop(fe);
}

/** A table of the application's own, without a device; what lies behind it is like it. */
static int
addresses_are_those_of_the_table(void)
{
	struct rte_vhost_memory *mem = calloc(1, sizeof(*mem) + 3 * sizeof(mem->regions[0]));
	uint64_t len = 0x100;

	TEST_ASSERT_NOT_NULL(mem, "a table");
	mem->nregions = 2;
	for (unsigned int i = 0; i < 3; i++)
		mem->regions[i] = (struct rte_vhost_mem_region){
			.guest_phys_addr = 0x100000 * (i + 1), .size = 0x1000,
			.host_user_addr = 0x7000000 + 0x10000 * i,
		};
	TEST_ASSERT_EQUAL(rte_vhost_va_from_guest_pa(mem, 0x200ff0, &len), 0x7010ff0, "inside");
	TEST_ASSERT_EQUAL(len, 0x10, "as far as the region goes");
	TEST_ASSERT_EQUAL(rte_vhost_va_from_guest_pa(mem, 0x200ff0, &len), 0x7010ff0, "again");
	TEST_ASSERT_EQUAL(len, 0x10, "as far as is wanted");
	TEST_ASSERT_EQUAL(rte_vhost_va_from_guest_pa(mem, 0x201000, &len), 0, "behind a region");
	TEST_ASSERT_EQUAL(len, 0, "not a byte");
	len = 1;
	TEST_ASSERT_EQUAL(rte_vhost_va_from_guest_pa(mem, 0xfffff, &len), 0, "before all");
	TEST_ASSERT_EQUAL(len, 0, "not a byte");
	len = 1;
	TEST_ASSERT_EQUAL(rte_vhost_va_from_guest_pa(mem, 0x300000, &len), 0, "behind the table");
	TEST_ASSERT_EQUAL(len, 0, "not a byte");
	free(mem);
	return TEST_SUCCESS;
}

static int
vring_is_told(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct rte_vhost_memory *mem = NULL;
	struct rte_vhost_vring vring;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(rte_vhost_get_mem_table(fe->vid, &mem), "table");
	for (unsigned int q = 0; q < 2; q++) {
		uint64_t len = 1;

		TEST_ASSERT_SUCCESS(rte_vhost_get_vhost_vring(fe->vid, q, &vring),
			"get");
		TEST_ASSERT_EQUAL(vring.size, 256, "size");
		TEST_ASSERT(vring.callfd >= 0 && vring.kickfd >= 0, "descriptors");
		TEST_ASSERT_EQUAL((uintptr_t)vring.desc,
			rte_vhost_va_from_guest_pa(mem, fe->vqs[q].desc_gpa, &len),
			"descriptors");
		TEST_ASSERT_EQUAL((uintptr_t)vring.avail,
			rte_vhost_va_from_guest_pa(mem, fe->vqs[q].avail_gpa,
			&len), "available ring");
		TEST_ASSERT_EQUAL((uintptr_t)vring.used,
			rte_vhost_va_from_guest_pa(mem, fe->vqs[q].used_gpa, &len),
			"used ring");
	}
	free(mem);
	return fake_stop(fe);
}

static int
vring_base_can_be_set_by_the_application(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	uint16_t avail = 0, used = 0;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (int i = 0; i < 5; i++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "five");
	TEST_ASSERT_SUCCESS(rte_vhost_get_vring_base(fe->vid, 1, &avail, &used),
		"get");
	TEST_ASSERT_EQUAL(avail, 5, "available");
	TEST_ASSERT_EQUAL(used, 5, "used");
	TEST_ASSERT_SUCCESS(rte_vhost_set_vring_base(fe->vid, 1, 3, 3), "set");
	TEST_ASSERT_SUCCESS(rte_vhost_get_vring_base(fe->vid, 1, &avail, &used),
		"get");
	TEST_ASSERT_EQUAL(avail, 3, "available");
	TEST_ASSERT_EQUAL(used, 3, "used");
	TEST_ASSERT_SUCCESS(rte_vhost_set_vring_base(fe->vid, 1, 5, 5), "back");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "goes on");
	return fake_stop(fe);
}

static int
negotiated_features_are_told(void)
{
	struct fake *fe = fake_start(.mergeable = true, .event_idx = true);
	uint64_t features = 0;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(rte_vhost_get_negotiated_features(fe->vid, &features),
		"get");
	TEST_ASSERT_EQUAL(features, fe->features, "as negotiated");
	return fake_stop(fe);
}

/** Every word of the statistics has a value of its own. */
static void
count_differently(struct vq_stats *stats)
{
	uint64_t words[sizeof(*stats) / sizeof(uint64_t)];

	for (unsigned int i = 0; i < RTE_DIM(words); i++)
		words[i] = 1000 + i;
	memcpy(stats, words, sizeof(words));
}

/** What each of them counts is told by test_vhost_net.c. */
static int
no_statistic_is_told_twice(void)
{
	struct fake *fe = fake_start(.flags = RTE_VHOST_USER_NET_STATS_ENABLE);
	struct rte_vhost_stat stats[32];
	struct vhost_queue *q;
	int n;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	q = vhost_device_queue(vhost_device_peek(fe->vid), 1);
	count_differently(&vhost_gate_close(&q->gate)->state.stats);
	vhost_gate_open(&q->gate);
	n = rte_vhost_vring_stats_get(fe->vid, 1, stats, RTE_DIM(stats));
	TEST_ASSERT(n > 0, "statistics");
	for (int i = 0; i < n; i++) {
		TEST_ASSERT(stats[i].value >= 1000, "the %dth", i);
		for (int k = 0; k < i; k++)
			TEST_ASSERT(stats[i].value != stats[k].value, "the %dth as the %dth", i, k);
	}
	return fake_stop(fe);
}

static int
numa_node_is_stable(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	int node;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	node = rte_vhost_get_numa_node(fe->vid);
	for (int i = 0; i < 100; i++)
		TEST_ASSERT_EQUAL(rte_vhost_get_numa_node(fe->vid), node, "again");
	return fake_stop(fe);
}

static int
monitor_address_is_the_available_index(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct rte_vhost_power_monitor_cond cond;
	struct rte_vhost_vring vring;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(rte_vhost_get_monitor_addr(fe->vid, 1, &cond), "get");
	TEST_ASSERT_SUCCESS(rte_vhost_get_vhost_vring(fe->vid, 1, &vring), "ring");
	TEST_ASSERT((volatile void *)&vring.avail->idx == cond.addr, "address");
	TEST_ASSERT_EQUAL(cond.size, 2, "bytes");
	TEST_ASSERT_EQUAL(cond.val & cond.mask, 0, "nothing was sent yet");
	TEST_ASSERT_EQUAL(cond.match, 0, "wake when it differs");
	return fake_stop(fe);
}

/* ---- sockets ---- */

static int
socket_that_was_never_registered(void)
{
	const char *path = "/tmp/vhost-test-nobody.sock";
	uint64_t x;
	uint32_t n;

	TEST_ASSERT_EQUAL(rte_vhost_driver_unregister(path), -1, "unregister");
	TEST_ASSERT_EQUAL(rte_vhost_driver_start(path), -1, "start");
	TEST_ASSERT_EQUAL(rte_vhost_driver_callback_register(path,
		&fake_recorder_ops), -1, "callbacks");
	TEST_ASSERT_EQUAL(rte_vhost_driver_get_features(path, &x), -1, "get");
	TEST_ASSERT_EQUAL(rte_vhost_driver_set_features(path, 0), -1, "set");
	TEST_ASSERT_EQUAL(rte_vhost_driver_enable_features(path, 0), -1, "enable");
	TEST_ASSERT_EQUAL(rte_vhost_driver_disable_features(path, 0), -1,
		"disable");
	TEST_ASSERT_EQUAL(rte_vhost_driver_get_protocol_features(path, &x), -1,
		"get protocol");
	TEST_ASSERT_EQUAL(rte_vhost_driver_set_protocol_features(path, 0), -1,
		"set protocol");
	TEST_ASSERT_EQUAL(rte_vhost_driver_get_queue_num(path, &n), -1, "queues");
	TEST_ASSERT_NULL(rte_vhost_driver_get_vdpa_device(path), "vDPA");
	TEST_ASSERT_EQUAL(rte_vhost_driver_detach_vdpa_device(path), -1, "detach");
	TEST_ASSERT_EQUAL(rte_vhost_driver_attach_vdpa_device(path, NULL), -1,
		"attach");
	return TEST_SUCCESS;
}

static int
null_arguments(void)
{
	struct fake *fe = fake_start(.until = FAKE_REGISTERED);

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	TEST_ASSERT_EQUAL(rte_vhost_driver_register(NULL, 0), -1, "register");
	TEST_ASSERT_EQUAL(rte_vhost_driver_unregister(NULL), -1, "unregister");
	TEST_ASSERT_EQUAL(rte_vhost_driver_start(NULL), -1, "start");
	TEST_ASSERT_EQUAL(rte_vhost_driver_callback_register(NULL, NULL), -1,
		"callbacks");
	TEST_ASSERT_EQUAL(rte_vhost_driver_attach_vdpa_device(fe->path, NULL), -1,
		"attach");
	TEST_ASSERT_EQUAL(rte_vdpa_get_queue_num(NULL, NULL), -1, "vDPA queues");
	TEST_ASSERT_NULL(rte_vdpa_find_device_by_name("nobody"), "vDPA device");
	TEST_ASSERT_NULL(rte_vdpa_find_device_by_name(NULL), "vDPA device");
	return fake_stop(fe);
}

static int
same_path_twice_is_refused(void)
{
	struct fake *fe = fake_start(.until = FAKE_REGISTERED);

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	TEST_ASSERT_EQUAL(rte_vhost_driver_register(fe->path, 0), -1, "twice");
	TEST_ASSERT_SUCCESS(fake_connect(fe), "the first one is unhurt");
	return fake_stop(fe);
}

static int
path_too_long_is_refused_not_cut(void)
{
	char path[256];

	for (size_t len = 107; len < 200; len += 1) {
		int rc;

		memset(path, 'x', sizeof(path));
		memcpy(path, "/tmp/", 5);
		path[len] = '\0';
		rc = rte_vhost_driver_register(path, 0);
		if (len < sizeof(((struct sockaddr_un *)0)->sun_path)) {
			TEST_ASSERT_SUCCESS(rc, "%zu characters fit", len);
			TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path),
				"unregister");
		} else {
			TEST_ASSERT_EQUAL(rc, -1, "%zu characters", len);
		}
	}
	return TEST_SUCCESS;
}

/** Why a path is refused, as the log says it. */
static bool
is_refused_as(const char *path, const char *why)
{
	struct log_capture log;
	char line[64];
	bool is;

	snprintf(line, sizeof(line), "failed to register the socket: %s", why);
	if (log_begin(&log) != 0)
		return false;
	is = rte_vhost_driver_register(path, 0) == -1;
	log_end(&log);
	is = is && log_count(&log, line) == 1;
	log_free(&log);
	return is;
}

static int
paths_that_are_none_are_told_apart(void)
{
	char path[PATH_MAX + 1];

	memset(path, 'x', sizeof(path));
	path[PATH_MAX] = '\0';
	TEST_ASSERT(is_refused_as(path, "File name too long"), "%d characters", PATH_MAX);
	TEST_ASSERT(is_refused_as("", "Invalid argument"), "none");
	return TEST_SUCCESS;
}

static int
flags_that_exclude_each_other_are_refused(void)
{
	char path[108];

	fake_new_path(path, sizeof(path));
	TEST_ASSERT_EQUAL(rte_vhost_driver_register(path,
		RTE_VHOST_USER_ASYNC_COPY | RTE_VHOST_USER_IOMMU_SUPPORT), -1,
		"copies and IOMMU");
	TEST_ASSERT_EQUAL(rte_vhost_driver_register(path,
		RTE_VHOST_USER_ASYNC_COPY | RTE_VHOST_USER_POSTCOPY_SUPPORT), -1,
		"copies and postcopy");
	TEST_ASSERT_EQUAL(rte_vhost_driver_unregister(path), -1, "nothing left");
	return TEST_SUCCESS;
}

/* ---- callbacks that are not there ---- */

static int
nobody_cares(int vid __rte_unused)
{
	return 0;
}

static const struct rte_vhost_device_ops sparse_ops[] = {
	{ 0 },
	{ .new_device = nobody_cares },
	{ .new_connection = nobody_cares },
};

static int
find_vid(const char *path)
{
	char name[108];

	for (int vid = 0; vid < 8; vid++)
		if (rte_vhost_get_ifname(vid, name, sizeof(name)) == 0 &&
				strcmp(name, path) == 0)
			return vid;
	return -1;
}

static int
callbacks_may_be_missing(void)
{
	for (unsigned int i = 0; i < RTE_DIM(sparse_ops); i++) {
		struct fake *fe = fake_start(.mergeable = true,
			.ops = &sparse_ops[i]);

		TEST_ASSERT_NOT_NULL(fe, "set %u", i);
		fe->vid = find_vid(fe->path);
		TEST_ASSERT(fe->vid >= 0, "set %u", i);
		TEST_ASSERT(fake_is_served(fe), "set %u", i);
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "set %u", i);
		TEST_ASSERT(fake_stop_vring(fe, 0) >= 0, "set %u", i);
		TEST_ASSERT_SUCCESS(fake_stop(fe), "set %u", i);
	}
	return TEST_SUCCESS;
}

/* ---- want of memory ---- */

/** The vid that is next has never had a device: what it keeps for all of them is not there. */
static int
be_new_to_devices(void)
{
	struct vhost_device *next = vhost_device_take();

	vhost_device_give_back(next);
	vhost_evidence_destroy(next->evidence);
	free(next->postcopy);
	next->evidence = NULL;
	next->postcopy = NULL;
	return next->vid;
}

static int
device_without_one_of_its_parts_is_none(void)
{
	static const struct vhost_driver driver = { .path = "parts" };
	struct vu_link link = { .fd = -1 };
	struct vhost_device *dev;
	unsigned int nth = 0;
	bool refused;
	int vid = be_new_to_devices();

	do {
		TEST_ASSERT_EQUAL(be_new_to_devices(), vid, "the others have not taken it");
		calloc_refuse(++nth);
		dev = vhost_device_create(&driver, &link);
		refused = calloc_end();
		TEST_ASSERT(refused == (dev == NULL), "part %u", nth);
	} while (refused);
	vhost_device_destroy(dev, false);
	TEST_ASSERT(nth > 2, "more than one part");
	return TEST_SUCCESS;
}

/* ---- a device that somebody works on ---- */

/** As a callback of another thread, which has the control lock. */
static void *
try_from_elsewhere(void *arg)
{
	struct vhost_device *dev = arg;
	bool inside = vhost_device_is_inside(dev);

	if (!vhost_device_try_lock(dev))
		return inside ? NULL : arg;
	vhost_device_unlock(dev);
	return NULL;
}

/** Whether another thread is turned away. */
static bool
is_turned_away(struct vhost_device *dev)
{
	void *result = NULL;
	pthread_t thread;

	if (pthread_create(&thread, NULL, try_from_elsewhere, dev) == 0)
		pthread_join(thread, &result);
	return result != NULL;
}

static int
device_has_one_owner_at_a_time(void)
{
	struct fake *fe = fake_start(.until = FAKE_CONNECTED);
	uint64_t until = fake_now_ms() + fake_patience_ms();
	struct vhost_device *dev;

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	dev = vhost_device_peek(fe->vid);
	vhost_device_lock(dev);
	TEST_ASSERT(vhost_device_any_is_locked(), "ours");
	TEST_ASSERT(vhost_device_is_inside(dev), "so we are inside");
	TEST_ASSERT(is_turned_away(dev), "alone");
	TEST_ASSERT(vhost_device_try_lock(dev), "as often as we like");
	vhost_device_unlock(dev);
	TEST_ASSERT(is_turned_away(dev), "still alone");
	vhost_device_unlock(dev);
	TEST_ASSERT(!vhost_device_any_is_locked(), "not any more");
	TEST_ASSERT(!vhost_device_is_inside(dev), "we are outside");
	while (is_turned_away(dev) && fake_now_ms() < until)
		;
	TEST_ASSERT(!is_turned_away(dev), "and others may come, if the library has not");
	return fake_stop(fe);
}

/* While the library works on a queue, who receives does not wait, and has nothing. */
static int
nothing_is_received_from_a_queue_that_is_worked_on(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct rte_mbuf *m = NULL;
	struct vhost_queue *q;
	uint16_t n;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	q = vhost_device_queue(vhost_device_peek(fe->vid), 1);
	vhost_gate_close(&q->gate);
	n = rte_vhost_dequeue_burst(fe->vid, 1, fake_pool(), &m, 1);
	vhost_queue_open_gate(q);
	TEST_ASSERT_EQUAL(n, 0, "packets");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "later they are");
	return fake_stop(fe);
}

/* ---- looking on while packets flow ---- */

struct onlooker {
	int vid;
	bool end;	/* atomic */
};

static void *
look_on(void *arg)
{
	struct rte_vhost_stat stats[32];
	struct onlooker *o = arg;

	while (!__atomic_load_n(&o->end, __ATOMIC_RELAXED)) {
		rte_vhost_vring_stats_get(o->vid, 0, stats, RTE_DIM(stats));
		rte_vhost_avail_entries(o->vid, 0);
	}
	return NULL;
}

/* Open vSwitch drops what one call does not take, and reads statistics meanwhile. */
static int
looking_on_costs_no_packet(void)
{
	struct fake *fe = fake_start(.mergeable = true,
		.flags = RTE_VHOST_USER_NET_STATS_ENABLE);
	struct rte_mbuf *m = fake_mbuf(64, 1, 0);
	uint64_t until = fake_now_ms() + 300;
	struct onlooker o = { 0 };
	unsigned int lost = 0;
	pthread_t thread;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	o.vid = fe->vid;
	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, look_on, &o), "a thread");
	while (fake_now_ms() < until) {
		unsigned int room = fake_rx_fill(&fe->vqs[0], 64, 1500, NULL);
		char pkt[64];

		for (unsigned int i = 0; i < room; i++)
			lost += rte_vhost_enqueue_burst(fe->vid, 0, &m, 1) == 0;
		while (fake_rx_take(&fe->vqs[0], NULL, pkt, sizeof(pkt)) >= 0)
			;
	}
	__atomic_store_n(&o.end, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	rte_pktmbuf_free(m);
	TEST_ASSERT_EQUAL(lost, 0, "packets");
	return fake_stop(fe);
}

/* ---- extern handlers ---- */

#define OWN_REQUEST 200

static unsigned int pre_calls, post_calls;

static enum rte_vhost_msg_result
own_pre(int vid __rte_unused, void *msg __rte_unused)
{
	__atomic_fetch_add(&pre_calls, 1, __ATOMIC_RELAXED);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/* The layout of the message is part of the ABI. */
static enum rte_vhost_msg_result
own_post(int vid __rte_unused, void *msg)
{
	uint32_t words[3];
	uint64_t value;

	__atomic_fetch_add(&post_calls, 1, __ATOMIC_RELAXED);
	memcpy(words, msg, sizeof(words));
	if (words[0] != OWN_REQUEST)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	memcpy(&value, (char *)msg + 12, sizeof(value));
	value = ~value;
	memcpy((char *)msg + 12, &value, sizeof(value));
	words[2] = sizeof(value);
	memcpy(msg, words, sizeof(words));
	return RTE_VHOST_MSG_RESULT_REPLY;
}

static int
extern_handlers_answer_their_own_requests(void)
{
	static const struct rte_vhost_user_extern_ops ops = { own_pre, own_post };
	uint64_t question = 0x0123456789abcdefULL, answer;
	struct fake *fe = fake_start(.mergeable = true, .until = FAKE_CONNECTED);
	struct fake_msg reply;

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	pre_calls = post_calls = 0;
	TEST_ASSERT_SUCCESS(rte_vhost_extern_callback_register(fe->vid, &ops,
		NULL), "register");
	TEST_ASSERT_SUCCESS(fake_ask(fe, OWN_REQUEST, &question, 8, &reply),
		"own request");
	TEST_ASSERT_EQUAL(reply.size, 8, "its size");
	memcpy(&answer, reply.payload, 8);
	TEST_ASSERT_EQUAL(answer, ~question, "its answer");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_FEATURES, &answer), "others");
	TEST_ASSERT(__atomic_load_n(&pre_calls, __ATOMIC_RELAXED) >= 2, "before");
	TEST_ASSERT(__atomic_load_n(&post_calls, __ATOMIC_RELAXED) >= 2, "after");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "and it still works");
	return fake_stop(fe);
}

/** Of the application, sent along with an answer to OWN_REQUEST. */
static int own_fd;

static enum rte_vhost_msg_result
pre_with_descriptor(int vid __rte_unused, void *arg)
{
	struct vu_message *msg = arg;

	if (msg->request != OWN_REQUEST)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	/* behind one of the request's, which is not the application's */
	msg->fds[1] = own_fd;
	msg->nfds = 2;
	return RTE_VHOST_MSG_RESULT_REPLY;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* The peer gets the application's descriptor, who keeps it; what came in is closed. */
static int
extern_handlers_send_descriptors(void)
{
	static const struct rte_vhost_user_extern_ops ops = { pre_with_descriptor, NULL };
	struct fake *fe = fake_start(.until = FAKE_CONNECTED);
	const uint64_t question = 1;
	struct stat own, got;
	struct fake_msg reply;
	unsigned int n = 8, fds;
	bool has_stdin = is_open(STDIN_FILENO);
	int in[8], sent = eventfd(0, EFD_CLOEXEC);

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	own_fd = memfd_create("vhost-test-own", MFD_CLOEXEC);
	TEST_ASSERT(own_fd >= 0 && sent >= 0 && fstat(own_fd, &own) == 0, "descriptors");
	TEST_ASSERT_SUCCESS(rte_vhost_extern_callback_register(fe->vid, &ops, NULL), "register");
	fds = fake_count_fds();
	TEST_ASSERT_SUCCESS(fake_send(fe, OWN_REQUEST, 0, &question, 8, &sent, 1), "ask");
	TEST_ASSERT_EQUAL(fake_recv(fe, &reply, in, &n), 1, "the answer");
	TEST_ASSERT_EQUAL(n, 1, "a descriptor");
	TEST_ASSERT_SUCCESS(fstat(in[0], &got), "which is one");
	TEST_ASSERT(got.st_ino == own.st_ino && got.st_dev == own.st_dev, "the application's");
	close(in[0]);
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "what came in is closed");
	TEST_ASSERT(is_open(own_fd), "what is the application's is not");
	TEST_ASSERT_EQUAL(is_open(STDIN_FILENO), has_stdin, "nor any other");
	close(own_fd);
	close(sent);
	return fake_stop(fe);
}

/* Serves two requests that the library knows as well, in its place. */
static enum rte_vhost_msg_result
pre_in_place_of_the_library(int vid __rte_unused, void *msg)
{
	uint32_t words[3];
	uint64_t value = 0xabc;

	memcpy(words, msg, sizeof(words));
	if (words[0] == FE_NET_SET_MTU)
		return RTE_VHOST_MSG_RESULT_OK;
	if (words[0] != FE_GET_QUEUE_NUM)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	words[2] = sizeof(value);
	memcpy(msg, words, sizeof(words));
	memcpy((char *)msg + sizeof(words), &value, sizeof(value));
	return RTE_VHOST_MSG_RESULT_REPLY;
}

/* What the application has done the library does not do again, or refuse. */
static int
extern_handlers_replace_the_library(void)
{
	static const struct rte_vhost_user_extern_ops ops = {
		pre_in_place_of_the_library, own_post
	};
	struct fake *fe = fake_start(.until = FAKE_NEGOTIATED);
	uint64_t answer;

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	TEST_ASSERT_SUCCESS(rte_vhost_extern_callback_register(fe->vid, &ops,
		NULL), "register");
	post_calls = 0;
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_NET_SET_MTU, 1), FAKE_ACK,
		"an MTU that the library refuses");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_QUEUE_NUM, &answer), "ask");
	TEST_ASSERT_EQUAL(answer, 0xabc, "the application's answer");
	TEST_ASSERT_EQUAL(__atomic_load_n(&post_calls, __ATOMIC_RELAXED), 2,
		"and it is asked afterwards, too");
	return fake_stop(fe);
}

static const struct test_case cases[] = {
	TEST_CASE(that_it_is_there_is_said_once),
	TEST_CASE(truncated_memory_will_be_noticed),
	TEST_CASE(device_that_does_not_exist),
	TEST_CASE(device_that_is_gone),
	TEST_CASE(ring_that_does_not_exist),
	TEST_CASE(no_room_for_the_answer),
	TEST_CASE(device_that_is_only_connected),
	TEST_CASE(memory_table_is_told),
	TEST_CASE(addresses_are_those_of_the_table),
	TEST_CASE(vring_is_told),
	TEST_CASE(vring_base_can_be_set_by_the_application),
	TEST_CASE(negotiated_features_are_told),
	TEST_CASE(no_statistic_is_told_twice),
	TEST_CASE(numa_node_is_stable),
	TEST_CASE(monitor_address_is_the_available_index),
	TEST_CASE(socket_that_was_never_registered),
	TEST_CASE(null_arguments),
	TEST_CASE(same_path_twice_is_refused),
	TEST_CASE(path_too_long_is_refused_not_cut),
	TEST_CASE(paths_that_are_none_are_told_apart),
	TEST_CASE(flags_that_exclude_each_other_are_refused),
	TEST_CASE(callbacks_may_be_missing),
	TEST_CASE(device_without_one_of_its_parts_is_none),
	TEST_CASE(device_has_one_owner_at_a_time),
	TEST_CASE(nothing_is_received_from_a_queue_that_is_worked_on),
	TEST_CASE(looking_on_costs_no_packet),
	TEST_CASE(extern_handlers_answer_their_own_requests),
	TEST_CASE(extern_handlers_replace_the_library),
	TEST_CASE(extern_handlers_send_descriptors),
};

static int
test_vhost_api(void)
{
	static const struct test_suite suite = {
		.name = "vhost api",
		.setup = setup,
		.check = fake_check,
		.teardown = teardown,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_api_autotest, test_vhost_api);
