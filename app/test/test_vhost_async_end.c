/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Copies that are under way when rings, memory or frontends go, when the queue moves, and
 * when many share a device.
 */

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_dmadev.h>
#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <rte_vhost_async.h>

#include "device.h"
#include "mem_iova.h"
#include "net_async.h"
#include "test.h"
#include "vhost_test_async.h"
#include "vhost_test_topology.h"

/* ---- rings, memory and frontends that go ---- */

/** What an application does when a ring stops, or does not do. */
static struct {
	struct fake *fe;
	bool drains;
	unsigned int drained;
	unsigned int left;	/**< in flight afterwards */
} app;

static void
on_event(void *arg __rte_unused, enum fake_event ev, int vid, unsigned int qid, int on)
{
	struct rte_mbuf *pkts[32];
	uint16_t n;

	if (ev != FAKE_VRING_STATE || on || !app.drains ||
			rte_vhost_async_get_inflight_thread_unsafe(vid, qid) < 0)
		return;
	fake_dma_run(rig.dma, 0, UINT32_MAX);
	while (rte_vhost_async_get_inflight_thread_unsafe(vid, qid) > 0) {
		n = rte_vhost_clear_queue_thread_unsafe(vid, qid, pkts, RTE_DIM(pkts), rig.dma, 0);
		rte_pktmbuf_free_bulk(pkts, n);
		app.drained += n;
		if (n == 0)
			break;
	}
	app.left += rte_vhost_async_get_inflight_thread_unsafe(vid, qid);
	rte_vhost_async_channel_unregister_thread_unsafe(vid, qid);
}

/** A guest with five packets in flight each way. */
static struct fake *
start_in_flight(bool drains)
{
	struct fake *fe;
	int inflight;

	memset(&app, 0, sizeof(app));
	app.drains = drains;
	fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true, .hook = on_event);
	if (fe == NULL)
		return NULL;
	fake_rx_fill(&fe->vqs[0], 16, 2048, NULL);
	if (rig_submit(fe, 0, 5, 0) != 5 || rig_guest_sends(fe, 5, 0) < 0 ||
			rig_receive(fe, 0, 0, &inflight) != 0 || inflight != 5)
		return NULL;
	return fe;
}

/** What makes rings or memory go. */
static int
disable(struct fake *fe)
{
	return fake_enable_vring(fe, 0, false) == 0 && fake_enable_vring(fe, 1, false) == 0 ?
		0 : -1;
}

static int
stop_rings(struct fake *fe)
{
	int64_t to = fake_stop_vring(fe, 0), from = fake_stop_vring(fe, 1);

	if (to < 0 || from < 0)
		return -1;
	return 0;
}

/** The same memory at other addresses of the frontend's would be refused: another file is it. */
static int
change_memory(struct fake *fe)
{
	struct fake_mem_table table;
	int fds[FE_MAX_REGIONS];

	fake_mem_table_of(fe, &table, fds);
	/* one region more changes the map; the others stay where they are */
	table.regions[table.nregions] = (struct fake_mem_region){
		.gpa = 1ULL << 40, .size = 4096, .uva = 1ULL << 44,
	};
	fds[table.nregions] = fe->regions[0].fd;
	table.nregions++;
	return fake_call(fe, FE_SET_MEM_TABLE, &table, 8 + 32 * table.nregions, fds,
		table.nregions) == FAKE_ACK ? 0 : -1;
}

static int
reset_owner(struct fake *fe)
{
	return fake_call(fe, FE_RESET_OWNER, NULL, 0, NULL, 0) == FAKE_ACK ? 0 : -1;
}

static int
leave(struct fake *fe)
{
	fake_disconnect(fe);
	return fe->broken ? -1 : 0;
}

static int
unregister(struct fake *fe)
{
	return fake_unregister(fe);
}

static const struct blow {
	const char *name;
	int (*strike)(struct fake *fe);
	bool rings_stay;	/**< chains can be given back afterwards as well */
	bool tells;		/**< vring_state_changed(0) beforehand */
} blows[] = {
	{ "disable", disable, true, true },
	{ "get_vring_base", stop_rings, false, true },
	{ "set_mem_table", change_memory, false, true },
	{ "reset_owner", reset_owner, false, true },
	{ "disconnect", leave, false, false },
	{ "unregister", unregister, false, false },
};

static bool
wait_mbufs(unsigned int avail)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (rte_mempool_avail_count(fake_pool()) < avail && fake_now_ms() < until)
		usleep(5000);
	return rte_mempool_avail_count(fake_pool()) == avail;
}

static bool
has_device(const struct blow *blow)
{
	return blow->strike != leave && blow->strike != unregister;
}

/** The application drains where it is told to. */
static int
application_drains(const void *arg)
{
	unsigned int avail = rte_mempool_avail_count(fake_pool());
	const struct blow *blow = arg;
	struct fake *fe = start_in_flight(true);

	TEST_ASSERT_NOT_NULL(fe, "packets in flight");
	TEST_ASSERT_SUCCESS(blow->strike(fe), "strike");
	TEST_ASSERT_EQUAL(app.left, 0, "nothing was left");
	if (blow->tells) {
		TEST_ASSERT_EQUAL(app.drained, 10, "the application had its packets back");
		TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 5, "the guest has its own");
		TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 5, "and its buffers back");
	}
	fake_dma_run(rig.dma, 0, UINT32_MAX);
	TEST_ASSERT(wait_mbufs(avail), "no packet is lost");
	return rig_end();
}

/** It does not, but the device comes to its end soon. */
static int
library_ends_copies(const void *arg)
{
	unsigned int avail = rte_mempool_avail_count(fake_pool());
	const struct blow *blow = arg;
	struct fake *fe = start_in_flight(false);
	int ret, inflight;

	TEST_ASSERT_NOT_NULL(fe, "packets in flight");
	fake_dma_go_on(rig.dma, 0, true);
	ret = blow->strike(fe);
	if (!has_device(blow))
		wait_mbufs(avail);
	fake_dma_go_on(rig.dma, 0, false);
	TEST_ASSERT_SUCCESS(ret, "strike");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 5, "the guest has its packets");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 5, "and its buffers back");
	if (has_device(blow)) {
		TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), 5,
			"the application's packets wait for it");
		TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 5, "and it gets them");
		TEST_ASSERT_EQUAL(rig_receive(fe, 0, 0, &inflight), 5, "in both directions");
	}
	TEST_ASSERT(wait_mbufs(avail), "no packet is lost");
	return rig_end();
}

/** The device does not come to an end in time. */
static int
late_copies_do_no_harm(const void *arg)
{
	unsigned int avail = rte_mempool_avail_count(fake_pool());
	const struct blow *blow = arg;
	struct fake *fe = start_in_flight(false);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "packets in flight");
	TEST_ASSERT_SUCCESS(blow->strike(fe), "nobody waits for ever");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 0, "nothing is done");
	TEST_ASSERT_EQUAL(rte_mempool_avail_count(fake_pool()), avail - 10, "packets are kept");
	TEST_ASSERT_EQUAL(fake_dma_waiting(rig.dma, 0), 10, "nothing is done");
	/* into memory that is still there, or this is the end of us */
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 64), 10, "now it is");
	if (blow->rings_stay) {
		TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 5, "and told to the application");
		TEST_ASSERT_EQUAL(rig_receive(fe, 0, 0, &inflight), 5, "in both directions");
		TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 5, "and to the guest");
		fake_tx_reap(&fe->vqs[1]);
	}
	TEST_ASSERT(wait_mbufs(avail), "no packet is lost");
	return rig_end();
}

/** The device has done some of it in time, and does the rest late. */
static int
copies_done_in_time_are_given_back(const void *arg)
{
	unsigned int avail = rte_mempool_avail_count(fake_pool());
	const struct blow *blow = arg;
	struct fake *fe = start_in_flight(false);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "packets in flight");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 3), 3, "some are done");
	TEST_ASSERT_SUCCESS(blow->strike(fe), "nobody waits for ever");
	if (has_device(blow))
		TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 3, "the application gets them back");
	TEST_ASSERT(wait_mbufs(avail - 7), "the others are kept");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 3, "the guest has them");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 64), 7, "now they are done");
	if (blow->rings_stay) {
		TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 3), 2, "and told to the application");
		TEST_ASSERT_EQUAL(rig_receive(fe, 0, 0, &inflight), 5, "in both directions");
		TEST_ASSERT_EQUAL(rig_guest_takes(fe, 3), 2, "and to the guest");
		fake_tx_reap(&fe->vqs[1]);
	}
	TEST_ASSERT(wait_mbufs(avail), "no packet is lost");
	return rig_end();
}

static int
rings_are_told_to_stop_before_memory_goes(void)
{
	struct fake *fe = start_in_flight(true);

	TEST_ASSERT_NOT_NULL(fe, "packets in flight");
	TEST_ASSERT_SUCCESS(change_memory(fe), "other memory");
	TEST_ASSERT(strstr(fake_story(fe), "new ring0- ring1- ring0+ ring1+") != NULL,
		"told: %s", fake_story(fe));
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_register(fe->vid, 0), 0, "and it goes on");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 5, "these were on their way");
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 4, 0), 4, "more packets");
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 4, "done");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 4, "arrived");
	fake_tx_reap(&fe->vqs[1]);
	return rig_end();
}

static int
the_base_is_told_when_copies_have_ended(void)
{
	struct fake *fe = start_in_flight(false);
	int64_t to, from;

	TEST_ASSERT_NOT_NULL(fe, "packets in flight");
	fake_dma_go_on(rig.dma, 0, true);
	to = fake_stop_vring(fe, 0);
	from = fake_stop_vring(fe, 1);
	fake_dma_go_on(rig.dma, 0, false);
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 5, "packets");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 5, "buffers");
	TEST_ASSERT(fake_is_base(&fe->vqs[1], from), "%" PRIx64, from);
	if (fake_default_format() == FAKE_SPLIT)
		TEST_ASSERT_EQUAL(to, 5, "what was taken was used");
	return rig_end();
}

/* ---- relocation ---- */

static int
relocation_takes_copies_under_way_along(void)
{
	struct fake *fe;
	int inflight;

	topology_make_up();
	fe = start_in_flight(false);
	TEST_ASSERT_NOT_NULL(fe, "packets in flight");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, topology_home()), "at home");
	topology_guest_on(8);
	TEST_ASSERT_SUCCESS(topology_refresh(vhost_device_peek(fe->vid)), "the guest moves");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, 8), "everything is there, areas as well");
	TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), 5, "still in flight");
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 3, 5), 3, "more packets");
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 8, "none is lost");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 8, "nor out of order");
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 0, &inflight), 5, "nor those from the guest");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 5, "buffers are back");
	TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	rig_drop_dma();
	return topology_end();
}

/* ---- physical addresses ---- */

static int
an_address_is_what_eal_says(void)
{
	struct mem_iova_cache cache = { 0 };
	const void *host = fake_pool();

	TEST_ASSERT_EQUAL(vhost_iova_of(&cache, host), rte_mem_virt2iova(host), "%p", host);
	return TEST_SUCCESS;
}

#define OFFSET 0x10000000000ULL

static bool
is_physical(void)
{
	return true;
}

/** Every seventh page is not there. */
static rte_iova_t
made_up_iova(const void *host)
{
	uintptr_t at = (uintptr_t)host;

	return at / 4096 % 7 == 0 ? 0 : at + OFFSET;
}

static const struct vhost_iova_ops made_up_iovas = {
	.physical = is_physical, .of = made_up_iova,
};

static unsigned int asked;

static rte_iova_t
counted_iova(const void *host)
{
	asked++;
	return made_up_iova(host);
}

static int
check_cache(void)
{
	struct mem_iova_cache cache = { 0 };
	const uintptr_t page = 8 * IOVA_PAGE, missing = 14 * IOVA_PAGE;
	const uintptr_t same_place = page + RTE_DIM(cache.entries) * IOVA_PAGE;
	static const unsigned int offsets[] = { 5, 0, IOVA_PAGE - 1 };

	asked = 0;
	for (unsigned int i = 0; i < RTE_DIM(offsets); i++)
		TEST_ASSERT_EQUAL(vhost_iova_of(&cache, (void *)(page + offsets[i])),
			page + offsets[i] + OFFSET, "byte %u", offsets[i]);
	TEST_ASSERT_EQUAL(asked, 1, "a page is asked for once");
	TEST_ASSERT_EQUAL(vhost_iova_of(&cache, (void *)same_place), same_place + OFFSET,
		"it is another one that was kept there");
	TEST_ASSERT_EQUAL(vhost_iova_of(&cache, (void *)page), page + OFFSET, "and again");
	TEST_ASSERT_EQUAL(asked, 3, "the last one is kept");
	for (unsigned int i = 0; i < 2; i++)
		TEST_ASSERT_EQUAL(vhost_iova_of(&cache, (void *)missing), 0, "none");
	TEST_ASSERT_EQUAL(asked, 5, "it may come");
	return TEST_SUCCESS;
}

static int
a_physical_address_is_asked_once(void)
{
	static const struct vhost_iova_ops counted = { .physical = is_physical, .of = counted_iova };
	int ret;

	vhost_iova_set_ops(&counted);
	ret = check_cache();
	vhost_iova_set_ops(NULL);
	return ret;
}

/** Packets of the pool have addresses of their own as well, for as long as this takes. */
static void
shift_pool(struct rte_mempool *pool __rte_unused, void *arg, void *obj, unsigned int i __rte_unused)
{
	struct rte_mbuf *m = obj;

	rte_mbuf_iova_set(m, rte_mbuf_iova_get(m) + *(const int64_t *)arg);
}

/** Each segment is a copy of its own, or several. */
static int
packet_of_segments_arrives(struct fake *fe)
{
	struct rte_mbuf *pkt = fake_mbuf(1000, 7, 300), *done;
	uint8_t got[2048];

	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 1, 2048, NULL), 1, "a buffer");
	TEST_ASSERT_EQUAL(rte_vhost_submit_enqueue_burst(fe->vid, 0, &pkt, 1, rig.dma, 0), 1, "sent");
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(rte_vhost_poll_enqueue_completed(fe->vid, 0, &done, 1, rig.dma, 0), 1,
		"done");
	rte_pktmbuf_free(done);
	TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, got, sizeof(got)), 1000, "it arrives");
	TEST_ASSERT(fake_pattern_matches(got, 1000, 7), "whole");
	return TEST_SUCCESS;
}

static int
run_physical(bool pinned)
{
	uint64_t before, end_of_page;
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	end_of_page = RTE_ALIGN_CEIL(fe->vqs[0].slots_gpa, 4096) + 4096;
	fake_dma_set_offset(rig.dma, OFFSET);
	for (unsigned int q = 0; q < 2; q++) {
		struct vhost_queue *queue = vhost_device_queue(vhost_device_peek(fe->vid), q);

		TEST_ASSERT_NOT_NULL(queue->async->iovas, "addresses of devices are kept");
		vhost_net_async_set_memory(queue->async, pinned);
	}
	before = fake_dma_count(rig.dma, 0);
	if (pinned) {
		TEST_ASSERT_SUCCESS(rig_check_all_arrive(fe), "wherever pages are");
		TEST_ASSERT_SUCCESS(packet_of_segments_arrives(fe), "in pieces");
	} else {
		for (unsigned int i = 0; i < 10; i++) {
			fake_offer_at(&fe->vqs[0], end_of_page - 20 * i, 2048, true);
			fake_kick(&fe->vqs[0]);
			TEST_ASSERT_EQUAL(rig_submit(fe, 0, 1, i), 1, "copied by the CPU");
			TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, i), 1, "at once");
			TEST_ASSERT_EQUAL(rig_guest_takes(fe, i), 1, "and it arrives");
		}
	}
	TEST_ASSERT_EQUAL(fake_dma_count(rig.dma, 0) > before, pinned,
		"the device copies where it can");
	return 0;
}

static int
physical_addresses_are_asked_page_by_page(const void *arg)
{
	const bool pinned = *(const bool *)arg;
	int64_t shift = OFFSET;
	int ret;

	vhost_iova_set_ops(&made_up_iovas);
	rte_mempool_obj_iter(fake_pool(), shift_pool, &shift);
	ret = run_physical(pinned);
	if (ret == 0)
		ret = rig_end();
	shift = -shift;
	rte_mempool_obj_iter(fake_pool(), shift_pool, &shift);
	vhost_iova_set_ops(NULL);
	return ret;
}

static const bool no, yes = true;

/* ---- devices of VFIO ---- */

static unsigned int mapped, unmapped;	/* atomic */

static bool
is_not_physical(void)
{
	return false;
}

static bool
has_vfio(void)
{
	return true;
}

static int
count_map(const void *host __rte_unused, size_t size __rte_unused)
{
	__atomic_fetch_add(&mapped, 1, __ATOMIC_RELAXED);
	return 0;
}

static void
count_unmap(const void *host __rte_unused, size_t size __rte_unused)
{
	__atomic_fetch_add(&unmapped, 1, __ATOMIC_RELAXED);
}

/** A guest comes, and goes again: how often its memory was mapped and unmapped. */
static int
map_and_unmap(uint64_t flags)
{
	struct fake *fe;

	mapped = unmapped = 0;
	fe = fake_start(.flags = flags);
	return fe == NULL ? -1 : fake_stop(fe);
}

static int
check_mapping(void)
{
	TEST_ASSERT_SUCCESS(map_and_unmap(RTE_VHOST_USER_ASYNC_COPY), "a guest");
	TEST_ASSERT(__atomic_load_n(&mapped, __ATOMIC_RELAXED) > 0, "devices shall find it");
	TEST_ASSERT_EQUAL(__atomic_load_n(&unmapped, __ATOMIC_RELAXED),
		__atomic_load_n(&mapped, __ATOMIC_RELAXED), "until it goes");
	TEST_ASSERT_SUCCESS(map_and_unmap(0), "another one");
	TEST_ASSERT_EQUAL(__atomic_load_n(&mapped, __ATOMIC_RELAXED), 0, "nobody copies for it");
	return TEST_SUCCESS;
}

static int
memory_is_mapped_for_devices_that_copy(void)
{
	static const struct vhost_iova_ops virtual = {
		.physical = is_not_physical, .has_vfio = has_vfio, .map = count_map,
		.unmap = count_unmap,
	};
	int ret;

	vhost_iova_set_ops(&virtual);
	ret = check_mapping();
	vhost_iova_set_ops(NULL);
	return ret;
}

/* ---- many frontends, many threads ---- */

static int
frontends_come_and_go_with_copies_under_way(void)
{
	uint64_t resident = 0, now;
	unsigned int fds = 0;
	int inflight;

	TEST_ASSERT_SUCCESS(rig_make_dma(FAKE_DMA_HELD, 1, 256), "a device");
	fake_dma_go_on(rig.dma, 0, true);
	for (unsigned int i = 0; i < 200; i++) {
		struct fake *fe = rig_start_guest((struct fake_config){ .mergeable = true });

		TEST_ASSERT_NOT_NULL(fe, "connect %u", i);
		fake_rx_fill(&fe->vqs[0], 8, 2048, NULL);
		TEST_ASSERT_EQUAL(rig_submit(fe, 0, 4, i), 4, "%u", i);
		TEST_ASSERT_SUCCESS(rig_guest_sends(fe, 4, i), "%u", i);
		rig_receive(fe, 0, i, &inflight);
		TEST_ASSERT_SUCCESS(fake_stop(fe), "disconnect %u", i);
		if (i == 50) {
			fds = fake_count_fds();
			resident = fake_resident_kib();
		}
	}
	fake_dma_go_on(rig.dma, 0, false);
	now = fake_resident_kib();
	TEST_ASSERT(fake_wait_fds(fds) <= fds, "%u descriptors, %u before", fake_count_fds(), fds);
	TEST_ASSERT(now < resident + FAKE_GROWTH_KIB(4096), "%" PRIu64 " KiB, %" PRIu64 " before", now, resident);
	rig_drop_dma();
	return 0;
}

/** One pair of a guest that shares the device with others, driven by a thread of its own. */
struct lane {
	pthread_t thread;
	struct fake *fe;
	unsigned int pair;
	unsigned int vchan;
	uint64_t echoed;
	bool failed;
};

#define ECHOES 2000

/** Receive what comes and send it back, until that many were sent back. */
static void
echo(struct lane *lane, unsigned int want)
{
	const uint16_t to = 2 * lane->pair, from = to + 1;
	uint64_t until = fake_now_ms() + fake_patience_ms();
	struct rte_mbuf *in[32], *back[32];
	unsigned int done = 0;
	uint16_t n, sent = 0;
	int inflight;

	while (done < want && fake_now_ms() < until) {
		n = rte_vhost_async_try_dequeue_burst(lane->fe->vid, from, fake_pool(), in, 32,
			&inflight, rig.dma, lane->vchan);
		for (sent = 0; sent < n && fake_now_ms() < until; ) {
			sent += rte_vhost_submit_enqueue_burst(lane->fe->vid, to, in + sent,
				n - sent, rig.dma, lane->vchan);
			uint16_t k = rte_vhost_poll_enqueue_completed(lane->fe->vid, to, back, 32,
				rig.dma, lane->vchan);
			rte_pktmbuf_free_bulk(back, k);
			done += k;
		}
		rte_pktmbuf_free_bulk(in + sent, n - sent);
		n = rte_vhost_poll_enqueue_completed(lane->fe->vid, to, back, 32, rig.dma,
			lane->vchan);
		rte_pktmbuf_free_bulk(back, n);
		done += n;
	}
	lane->failed |= done != want;
}

static void *
run_lane(void *arg)
{
	struct lane *lane = arg;
	struct fake_vq *rx = &lane->fe->vqs[2 * lane->pair], *tx = rx + 1;
	uint8_t pkt[2048];

	while (lane->echoed < ECHOES && !lane->failed) {
		for (unsigned int i = 0; i < 8; i++) {
			fake_pattern(pkt, 100, lane->echoed + i);
			lane->failed |= !fake_tx_send(tx, NULL, pkt, 100, NULL);
		}
		fake_rx_fill(rx, 8, 2048, NULL);
		echo(lane, 8);
		for (unsigned int i = 0; i < 8; i++)
			lane->failed |= fake_rx_take(rx, NULL, pkt, sizeof(pkt)) != 100 ||
				!fake_pattern_matches(pkt, 100, lane->echoed + i);
		lane->failed |= fake_tx_reap(tx) != 8;
		lane->echoed += 8;
	}
	return NULL;
}

static int
threads_share_a_device(const void *arg)
{
	const unsigned int vchans = *(const unsigned int *)arg;
	struct lane lanes[4] = { 0 };
	struct fake *fe = rig_start(FAKE_DMA_REVERSED, vchans, 64, .mergeable = true, .queues = 4,
		.ring_size = 64);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_dma_fail_every(rig.dma, 0, 97);
	for (unsigned int i = 0; i < RTE_DIM(lanes); i++) {
		lanes[i].fe = fe;
		lanes[i].pair = i;
		lanes[i].vchan = i % vchans;
		pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]);
	}
	for (unsigned int i = 0; i < RTE_DIM(lanes); i++)
		pthread_join(lanes[i].thread, NULL);
	for (unsigned int i = 0; i < RTE_DIM(lanes); i++)
		TEST_ASSERT(!lanes[i].failed && lanes[i].echoed == ECHOES, "lane %u: %" PRIu64,
			i, lanes[i].echoed);
	return rig_end();
}

static const unsigned int one_vchan = 1, two_vchans = 2;

/* ---- the packaged driver ---- */

static int
start_skeleton(void)
{
	const struct rte_dma_conf conf = { .nb_vchans = 1 };
	const struct rte_dma_vchan_conf vchan_conf = {
		.direction = RTE_DMA_DIR_MEM_TO_MEM, .nb_desc = 1024,
	};

	if (rte_eal_hotplug_add("vdev", "dma_skeleton0", "") != 0)
		return -1;
	rig.dma = rte_dma_get_dev_id_by_name("dma_skeleton0");
	if (rig.dma < 0 || rte_dma_configure(rig.dma, &conf) != 0 ||
			rte_dma_vchan_setup(rig.dma, 0, &vchan_conf) != 0 ||
			rte_dma_start(rig.dma) != 0)
		return -1;
	return rte_vhost_async_dma_configure(rig.dma, 0);
}

static int
stop_skeleton(void)
{
	int ret = rte_vhost_async_dma_unconfigure(rig.dma, 0);

	rte_dma_stop(rig.dma);
	rte_eal_hotplug_remove("vdev", "dma_skeleton0");
	rig.dma = -1;
	return ret;
}

static int
the_packaged_skeleton_copies(void)
{
	unsigned int fds = fake_count_fds();
	struct lane lane = { 0 };
	struct fake *fe;

	if (start_skeleton() != 0)
		return TEST_SKIPPED;
	fe = rig_start_guest((struct fake_config){ .mergeable = true });
	TEST_ASSERT_NOT_NULL(fe, "a device");
	lane.fe = fe;
	run_lane(&lane);
	TEST_ASSERT(!lane.failed && lane.echoed == ECHOES, "%" PRIu64 " echoed", lane.echoed);
	TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	TEST_ASSERT_SUCCESS(stop_skeleton(), "nothing is under way");
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "descriptors");
	return 0;
}

/* ---- the suites ---- */

static const struct test_case fixed_cases[] = {
	TEST_CASE(an_address_is_what_eal_says),
	TEST_CASE(a_physical_address_is_asked_once),
	TEST_CASE(memory_is_mapped_for_devices_that_copy),
	TEST_CASE(rings_are_told_to_stop_before_memory_goes),
	TEST_CASE(the_base_is_told_when_copies_have_ended),
	TEST_CASE(relocation_takes_copies_under_way_along),
	TEST_CASE_WITH(physical_addresses_are_asked_page_by_page, "physical_addresses", &yes),
	TEST_CASE_WITH(physical_addresses_are_asked_page_by_page,
		"physical_addresses_that_may_change", &no),
	TEST_CASE(frontends_come_and_go_with_copies_under_way),
	TEST_CASE_WITH(threads_share_a_device, "threads_share_a_channel", &one_vchan),
	TEST_CASE_WITH(threads_share_a_device, "threads_share_two_channels", &two_vchans),
	TEST_CASE(the_packaged_skeleton_copies),
};

static const struct {
	const char *prefix;
	int (*run)(const void *arg);
} answers[] = {
	{ "application_drains", application_drains },
	{ "library_ends_copies", library_ends_copies },
	{ "late_copies_do_no_harm", late_copies_do_no_harm },
	{ "copies_done_in_time_are_given_back", copies_done_in_time_are_given_back },
};

#define NB_BLOW_CASES (RTE_DIM(answers) * RTE_DIM(blows))

static int
run_suite(const char *name, int (*setup)(void))
{
	static struct test_case cases[NB_BLOW_CASES + RTE_DIM(fixed_cases)];
	static char names[NB_BLOW_CASES][64];
	const struct test_suite suite = {
		.name = name, .setup = setup, .check = rig_check, .teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	memcpy(cases, fixed_cases, sizeof(fixed_cases));
	for (unsigned int i = 0; i < NB_BLOW_CASES; i++) {
		const struct blow *blow = &blows[i % RTE_DIM(blows)];

		snprintf(names[i], sizeof(names[i]), "%s_at_%s",
			answers[i / RTE_DIM(blows)].prefix, blow->name);
		cases[RTE_DIM(fixed_cases) + i] = (struct test_case)TEST_CASE_WITH(
			answers[i / RTE_DIM(blows)].run, names[i], blow);
	}
	return test_suite_run(&suite);
}

static int
test_vhost_async_end(void)
{
	return run_suite("vhost async ends", fake_setup);
}

static int
test_vhost_async_end_packed(void)
{
	return run_suite("vhost async ends, packed rings", fake_setup_packed);
}

REGISTER_TEST_COMMAND(vhost_async_end_autotest, test_vhost_async_end);
REGISTER_TEST_COMMAND(vhost_async_end_packed_autotest, test_vhost_async_end_packed);
