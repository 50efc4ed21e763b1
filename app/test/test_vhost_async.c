/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Copies that are under way for as long as a test wants: what is told to whom meanwhile,
 * what happens when the ring, the memory or the frontend goes, and what a device may do
 * wrong.  That packets of all shapes arrive is told by the suites of net, offload and
 * hostile rings, which run with asynchronous copies as well.
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
#include "vhost_fake_dma.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_topology.h"

/* ---- a guest and a device ---- */

struct rig {
	struct fake *fe;
	int16_t dma;
	uint16_t nb_vchans;
};

static struct rig rig = { .dma = -1 };

static int
make_dma(enum fake_dma_mode mode, uint16_t nb_vchans, uint16_t ring)
{
	rig.dma = fake_dma_create(mode, nb_vchans, ring);
	rig.nb_vchans = nb_vchans;
	for (uint16_t i = 0; rig.dma >= 0 && i < nb_vchans; i++)
		if (rte_vhost_async_dma_configure(rig.dma, i) != 0)
			return -1;
	return rig.dma >= 0 ? 0 : -1;
}

/** A running device whose queues have channels; NULL on failure. */
static struct fake *
start_guest(struct fake_config cfg)
{
	cfg.flags |= RTE_VHOST_USER_ASYNC_COPY;
	rig.fe = fake_start_config(&cfg);
	for (unsigned int q = 0; rig.fe != NULL && q < rig.fe->nvrings; q++)
		if (rte_vhost_async_channel_register(rig.fe->vid, q) != 0)
			return NULL;
	return rig.fe;
}

#define start(mode, vchans, ring, ...) \
	(make_dma(mode, vchans, ring) == 0 ? \
		start_guest((struct fake_config){ __VA_ARGS__ }) : NULL)

/** Let all copies end, and the devices with them. */
static void
drop_dma(void)
{
	if (rig.dma < 0)
		return;
	for (uint16_t i = 0; i < rig.nb_vchans; i++) {
		fake_dma_run(rig.dma, i, UINT32_MAX);
		if (rte_vhost_async_dma_unconfigure(rig.dma, i) != 0)
			printf("async: channel %u is still used\n", i);
	}
	fake_dma_destroy(rig.dma);
	rig.dma = -1;
}

static int
end(void)
{
	int ret = fake_stop(rig.fe);

	drop_dma();
	return ret;
}

/** Whatever a failed case left. */
static int
check(void)
{
	int ret = 0;

	if (rig.dma >= 0)
		fake_dma_run(rig.dma, 0, UINT32_MAX);
	ret = fake_check();
	drop_dma();
	return ret;
}

/* ---- packets ---- */

#define LEN 200

/** Submit n packets to the guest, each with its number as seed from first on; how many. */
static unsigned int
submit(struct fake *fe, uint16_t vchan, unsigned int n, unsigned int first)
{
	struct rte_mbuf *pkts[32];
	unsigned int sent, i;

	for (i = 0; i < n; i++)
		pkts[i] = fake_mbuf(LEN, first + i, 0);
	sent = rte_vhost_submit_enqueue_burst(fe->vid, 0, pkts, n, rig.dma, vchan);
	rte_pktmbuf_free_bulk(pkts + sent, n - sent);
	return sent;
}

/** Take packets back that were sent, which must be those from first on; how many. */
static int
poll_sent(struct fake *fe, uint16_t vchan, unsigned int first)
{
	struct rte_mbuf *pkts[64];
	uint16_t n = rte_vhost_poll_enqueue_completed(fe->vid, 0, pkts, RTE_DIM(pkts), rig.dma,
		vchan);
	bool right = true;

	for (unsigned int i = 0; i < n; i++)
		right &= fake_mbuf_matches(pkts[i], LEN, first + i);
	rte_pktmbuf_free_bulk(pkts, n);
	return right ? n : -1;
}

/** Receive all that the guest was given, which must be those from first on; how many. */
static int
guest_takes(struct fake *fe, unsigned int first)
{
	uint8_t pkt[2048];
	int n = 0;

	while (fake_rx_take(&fe->vqs[0], NULL, pkt, sizeof(pkt)) == LEN) {
		if (!fake_pattern_matches(pkt, LEN, first + n))
			return -1;
		n++;
	}
	return n;
}

/** The guest sends n packets, numbered from first on. */
static int
guest_sends(struct fake *fe, unsigned int n, unsigned int first)
{
	uint8_t pkt[LEN];

	for (unsigned int i = 0; i < n; i++) {
		fake_pattern(pkt, LEN, first + i);
		if (!fake_tx_send(&fe->vqs[1], NULL, pkt, LEN, NULL))
			return -1;
	}
	return 0;
}

/** Receive packets of the guest, which must be those from first on; how many. */
static int
receive(struct fake *fe, uint16_t vchan, unsigned int first, int *inflight)
{
	struct rte_mbuf *pkts[32];
	uint16_t n = rte_vhost_async_try_dequeue_burst(fe->vid, 1, fake_pool(), pkts,
		RTE_DIM(pkts), inflight, rig.dma, vchan);
	bool right = true;

	for (unsigned int i = 0; i < n; i++)
		right &= fake_mbuf_matches(pkts[i], LEN, first + i);
	rte_pktmbuf_free_bulk(pkts, n);
	return right ? n : -1;
}

/* ---- arguments ---- */

static int
functions_check_their_queue(void)
{
	static const struct {
		int vid, queue;
	} wrong[] = { { -1, 0 }, { 1024, 0 }, { 77, 0 }, { -2, 2 }, { -2, 255 }, { -2, 65535 } };
	struct fake *fe = start(FAKE_DMA_INSTANT, 1, 64, .mergeable = true);
	struct rte_mbuf *pkts[1] = { NULL };
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 0; i < RTE_DIM(wrong); i++) {
		int vid = wrong[i].vid == -2 ? fe->vid : wrong[i].vid;
		uint16_t q = wrong[i].queue;

		TEST_ASSERT_EQUAL(rte_vhost_async_channel_register(vid, q), -1, "%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_async_channel_unregister(vid, q), -1, "%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_async_channel_register_thread_unsafe(vid, q), -1,
			"%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_async_channel_unregister_thread_unsafe(vid, q), -1,
			"%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(vid, q), -1, "%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight_thread_unsafe(vid, q), -1, "%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_submit_enqueue_burst(vid, q, pkts, 1, rig.dma, 0), 0,
			"%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_poll_enqueue_completed(vid, q, pkts, 1, rig.dma, 0), 0,
			"%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_clear_queue(vid, q, pkts, 1, rig.dma, 0), 0, "%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_clear_queue_thread_unsafe(vid, q, pkts, 1, rig.dma, 0),
			0, "%u", i);
		inflight = 0;
		TEST_ASSERT_EQUAL(rte_vhost_async_try_dequeue_burst(vid, q + 1, fake_pool(), pkts,
			1, &inflight, rig.dma, 0), 0, "%u", i);
		TEST_ASSERT_EQUAL(inflight, -1, "%u", i);
	}
	return end();
}

static int
functions_check_their_channel(void)
{
	static const struct {
		int dma, vchan;
	} wrong[] = { { -1, 0 }, { 63, 0 }, { 64, 0 }, { 32767, 0 }, { -32768, 0 }, { -2, 2 },
		{ -2, 255 }, { -2, 256 }, { -2, 65535 } };
	struct fake *fe = start(FAKE_DMA_INSTANT, 2, 64, .mergeable = true);
	struct rte_mbuf *pkt = fake_mbuf(LEN, 1, 0);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	guest_sends(fe, 1, 0);
	for (unsigned int i = 0; i < RTE_DIM(wrong); i++) {
		int16_t dma = wrong[i].dma == -2 ? rig.dma : wrong[i].dma;
		uint16_t vchan = wrong[i].vchan;

		TEST_ASSERT_EQUAL(rte_vhost_async_dma_configure(dma, vchan), -1, "%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_async_dma_unconfigure(dma, vchan), -1, "%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_submit_enqueue_burst(fe->vid, 0, &pkt, 1, dma, vchan),
			0, "%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_poll_enqueue_completed(fe->vid, 0, &pkt, 1, dma,
			vchan), 0, "%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_clear_queue(fe->vid, 0, &pkt, 1, dma, vchan), 0,
			"%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_async_try_dequeue_burst(fe->vid, 1, fake_pool(), &pkt,
			1, &inflight, dma, vchan), 0, "%u", i);
		TEST_ASSERT_EQUAL(inflight, -1, "%u", i);
	}
	rte_pktmbuf_free(pkt);
	return end();
}

static int
a_direction_has_its_functions(void)
{
	struct fake *fe = start(FAKE_DMA_INSTANT, 1, 64, .mergeable = true);
	struct rte_mbuf *pkt = fake_mbuf(LEN, 1, 0), *got;
	int inflight = 0;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	guest_sends(fe, 4, 0);
	TEST_ASSERT_EQUAL(rte_vhost_submit_enqueue_burst(fe->vid, 1, &pkt, 1, rig.dma, 0), 0,
		"from the guest");
	TEST_ASSERT_EQUAL(rte_vhost_poll_enqueue_completed(fe->vid, 1, &got, 1, rig.dma, 0), 0,
		"from the guest");
	TEST_ASSERT_EQUAL(rte_vhost_async_try_dequeue_burst(fe->vid, 0, fake_pool(), &got, 1,
		&inflight, rig.dma, 0), 0, "to the guest");
	TEST_ASSERT_EQUAL(inflight, -1, "to the guest");
	rte_pktmbuf_free(pkt);
	return end();
}

static int
a_queue_without_channel_moves_nothing(void)
{
	struct fake *fe = start(FAKE_DMA_INSTANT, 1, 64, .mergeable = true);
	struct rte_mbuf *pkt = fake_mbuf(LEN, 1, 0);
	int inflight = 0;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	guest_sends(fe, 1, 0);
	for (unsigned int q = 0; q < 2; q++) {
		TEST_ASSERT_EQUAL(rte_vhost_async_channel_unregister(fe->vid, q), 0, "%u", q);
		TEST_ASSERT_EQUAL(rte_vhost_async_channel_unregister(fe->vid, q), 0, "again");
		TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, q), -1, "%u", q);
	}
	TEST_ASSERT_EQUAL(rte_vhost_submit_enqueue_burst(fe->vid, 0, &pkt, 1, rig.dma, 0), 0,
		"no channel");
	TEST_ASSERT_EQUAL(rte_vhost_async_try_dequeue_burst(fe->vid, 1, fake_pool(), &pkt, 1,
		&inflight, rig.dma, 0), 0, "no channel");
	TEST_ASSERT_EQUAL(inflight, -1, "no channel");
	rte_pktmbuf_free(pkt);
	return end();
}

static int
a_channel_is_registered_once_and_for_a_ring_that_runs(void)
{
	struct fake *fe = start(FAKE_DMA_HELD, 1, 64, .mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_register(fe->vid, 0), -1, "twice");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	TEST_ASSERT_EQUAL(submit(fe, 0, 1, 0), 1, "a packet");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_unregister(fe->vid, 0), -1, "in flight");
	fake_dma_run(rig.dma, 0, 1);
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 1, "done");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_unregister(fe->vid, 0), 0, "at rest");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_register(fe->vid, 0), 0, "again");
	TEST_ASSERT(fake_stop_vring(fe, 0) >= 0, "stop it");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_unregister(fe->vid, 0), 0, "a stopped ring");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_register(fe->vid, 0), -1, "a stopped ring");
	return end();
}

static int
a_socket_without_the_flag_has_no_channels(void)
{
	struct fake *fe = fake_start(.mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_register(fe->vid, 0), -1, "no flag");
	return fake_stop(fe);
}

static int
unsafe_functions_are_for_callbacks(void)
{
	struct fake *fe = start(FAKE_DMA_HELD, 1, 64, .mergeable = true);
	struct rte_mbuf *pkt;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	TEST_ASSERT_EQUAL(submit(fe, 0, 1, 0), 1, "a packet");
	fake_dma_run(rig.dma, 0, 1);
	TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight_thread_unsafe(fe->vid, 0), -1, "outside");
	TEST_ASSERT_EQUAL(rte_vhost_clear_queue_thread_unsafe(fe->vid, 0, &pkt, 1, rig.dma, 0), 0,
		"outside");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_register_thread_unsafe(fe->vid, 0), -1,
		"outside");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_unregister_thread_unsafe(fe->vid, 0), -1,
		"outside");
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 1, "it is still there");
	return end();
}

static int
migration_is_not_offered_with_dma(void)
{
	struct fake *fe = fake_start(.flags = RTE_VHOST_USER_ASYNC_COPY, .until = FAKE_CONNECTED);
	uint64_t features = 0;

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_FEATURES, &features), "features");
	TEST_ASSERT_EQUAL(features, FE_OFFERED_FEATURES & ~FE_BIT(VHOST_F_LOG_ALL),
		"nobody logs what a device writes");
	TEST_ASSERT_EQUAL(rte_vhost_driver_enable_features(fe->path, FE_BIT(VHOST_F_LOG_ALL)), -1,
		"and it cannot be enabled");
	return fake_stop(fe);
}

static int
a_channel_is_configured_until_it_is_not(void)
{
	TEST_ASSERT_SUCCESS(make_dma(FAKE_DMA_HELD, 2, 64), "a device");
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_configure(rig.dma, 1), 0, "again");
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_unconfigure(rig.dma, 1), 0, "no more");
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_unconfigure(rig.dma, 1), -1, "it is not");
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_configure(rig.dma, 1), 0, "and again");
	TEST_ASSERT_NOT_NULL(start_guest((struct fake_config){ .mergeable = true }), "a guest");
	fake_rx_fill(&rig.fe->vqs[0], 4, 2048, NULL);
	TEST_ASSERT_EQUAL(submit(rig.fe, 1, 1, 0), 1, "a packet");
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_unconfigure(rig.dma, 1), -1, "a copy is under way");
	fake_dma_run(rig.dma, 1, 1);
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_unconfigure(rig.dma, 1), 0, "it has ended");
	TEST_ASSERT_EQUAL(poll_sent(rig.fe, 0, 0), 1, "and is not forgotten");
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_configure(rig.dma, 1), 0, "for the end");
	return end();
}

/* ---- order ---- */

static int
packets_go_to_the_guest_when_their_copies_are_done(void)
{
	struct fake *fe = start(FAKE_DMA_HELD, 1, 64, .mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 16, 2048, NULL);
	TEST_ASSERT_EQUAL(submit(fe, 0, 8, 0), 8, "packets");
	TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), 8, "in flight");
	TEST_ASSERT_EQUAL(rte_vhost_avail_entries(fe->vid, 0), 16, "none was used yet");
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 0, "nothing is done");
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 0, "and the guest has nothing");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 3), 3, "three copies");
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 3, "three packets");
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 3, "the guest has them");
	TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), 5, "in flight");
	TEST_ASSERT_EQUAL(submit(fe, 0, 8, 8), 8, "more packets");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 64), 13, "all copies");
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 3), 13, "all packets");
	TEST_ASSERT_EQUAL(guest_takes(fe, 3), 13, "in order");
	TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), 0, "none is in flight");
	return end();
}

static int
packets_come_from_the_guest_when_their_copies_are_done(void)
{
	struct fake *fe = start(FAKE_DMA_HELD, 1, 64, .mergeable = true);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(guest_sends(fe, 8, 0), "packets");
	TEST_ASSERT_EQUAL(receive(fe, 0, 0, &inflight), 0, "fetched, not there yet");
	TEST_ASSERT_EQUAL(inflight, 8, "in flight");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 0, "the guest has no buffer back");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 3), 3, "three copies");
	TEST_ASSERT_EQUAL(receive(fe, 0, 0, &inflight), 3, "three packets");
	TEST_ASSERT_EQUAL(inflight, 5, "in flight");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 3, "three buffers are back");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 64), 5, "all copies");
	TEST_ASSERT_EQUAL(receive(fe, 0, 3, &inflight), 5, "all packets, in order");
	TEST_ASSERT_EQUAL(inflight, 0, "none is in flight");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 5, "all buffers are back");
	return end();
}

static int
room_for_fewer_packets_than_are_done_loses_none(void)
{
	struct fake *fe = start(FAKE_DMA_REVERSED, 1, 64, .mergeable = true);
	struct rte_mbuf *pkt;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 8, 2048, NULL);
	TEST_ASSERT_EQUAL(submit(fe, 0, 8, 0), 8, "packets");
	for (unsigned int i = 0; i < 8; i++) {
		TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), 8 - i, "%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_poll_enqueue_completed(fe->vid, 0, &pkt, 1, rig.dma,
			0), 1, "%u", i);
		TEST_ASSERT(fake_mbuf_matches(pkt, LEN, i), "%u", i);
		rte_pktmbuf_free(pkt);
	}
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 8, "the guest has all");
	return end();
}

static int
several_channels_keep_the_order_of_a_queue(void)
{
	struct fake *fe = start(FAKE_DMA_HELD, 2, 64, .mergeable = true);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 16, 2048, NULL);
	for (unsigned int i = 0; i < 4; i++)
		TEST_ASSERT_EQUAL(submit(fe, i % 2, 2, 2 * i), 2, "packets");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 1, 64), 4, "the second channel is quicker");
	TEST_ASSERT_EQUAL(poll_sent(fe, 1, 0), 0, "but its packets wait");
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 0, "for those before them");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 2), 2, "two of the first");
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 4, "and two that waited");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 2), 2, "the rest");
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 4), 4, "and the rest");
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 8, "in order");
	TEST_ASSERT_SUCCESS(guest_sends(fe, 2, 0), "packets");
	TEST_ASSERT_EQUAL(receive(fe, 0, 0, &inflight), 0, "by the first channel");
	TEST_ASSERT_SUCCESS(guest_sends(fe, 2, 2), "packets");
	TEST_ASSERT_EQUAL(receive(fe, 1, 0, &inflight), 0, "by the second");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 1, 64), 2, "which is quicker");
	TEST_ASSERT_EQUAL(receive(fe, 1, 0, &inflight), 0, "and waits");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 64), 2, "the first");
	TEST_ASSERT_EQUAL(receive(fe, 0, 0, &inflight), 4, "all");
	return end();
}

static int
queues_that_share_a_channel_find_each_others_copies_done(void)
{
	struct fake *fe = start(FAKE_DMA_HELD, 1, 64, .mergeable = true);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 8, 2048, NULL);
	TEST_ASSERT_SUCCESS(guest_sends(fe, 3, 100), "from the guest");
	TEST_ASSERT_EQUAL(submit(fe, 0, 2, 0), 2, "to the guest");
	TEST_ASSERT_EQUAL(receive(fe, 0, 100, &inflight), 0, "from the guest");
	TEST_ASSERT_EQUAL(submit(fe, 0, 2, 2), 2, "to the guest");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 6), 6, "all but the last");
	TEST_ASSERT_EQUAL(receive(fe, 0, 100, &inflight), 3, "one queue asks the device");
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 3, "the other one knows as well");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 6), 1, "the last");
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 3), 1, "the last");
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 4, "in order");
	return end();
}

static int
a_header_is_read_once(void)
{
	fake_net_hdr honest = { .hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.hdr.csum_start = 34, .hdr.csum_offset = 16 };
	struct fake *fe = start(FAKE_DMA_HELD, 1, 64, .mergeable = true,
		.features = FE_BIT(VIRTIO_NET_F_CSUM));
	fake_net_hdr *in_guest;
	uint8_t pkt[LEN] = { [12] = 8, [14] = 0x45, [23] = 6, [46] = 0x50 };
	struct rte_mbuf *m;
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT(fake_tx_send(&fe->vqs[1], &honest, pkt, LEN, NULL), "a packet");
	in_guest = fake_va(fe, fe->vqs[1].slots[0].gpa, sizeof(*in_guest));
	TEST_ASSERT_EQUAL(in_guest->hdr.csum_start, 34, "that is where it is");
	rte_vhost_async_try_dequeue_burst(fe->vid, 1, fake_pool(), &m, 1, &inflight, rig.dma, 0);
	TEST_ASSERT_EQUAL(inflight, 1, "fetched");
	memset(in_guest, 0xff, sizeof(*in_guest));
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(rte_vhost_async_try_dequeue_burst(fe->vid, 1, fake_pool(), &m, 1,
		&inflight, rig.dma, 0), 1, "there it is");
	TEST_ASSERT_EQUAL(m->ol_flags & RTE_MBUF_F_TX_L4_MASK, RTE_MBUF_F_TX_TCP_CKSUM,
		"with what the header said when it was fetched");
	TEST_ASSERT_EQUAL(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG, 0, "and nothing else");
	rte_pktmbuf_free(m);
	fake_tx_reap(&fe->vqs[1]);
	return end();
}

/* ---- devices that are full or fail ---- */

static int
a_full_device_takes_the_rest_later(void)
{
	struct fake *fe = start(FAKE_DMA_HELD, 1, 8, .mergeable = true);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 32, 2048, NULL);
	TEST_ASSERT_EQUAL(submit(fe, 0, 20, 0), 8, "as many as there is room for");
	TEST_ASSERT_EQUAL(submit(fe, 0, 20, 8), 0, "none");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 4), 4, "some end");
	TEST_ASSERT_EQUAL(submit(fe, 0, 20, 8), 4, "which makes room, unasked");
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 12, "all");
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 12, "in order");
	TEST_ASSERT_SUCCESS(guest_sends(fe, 20, 0), "packets");
	TEST_ASSERT_EQUAL(receive(fe, 0, 0, &inflight), 0, "fetched");
	TEST_ASSERT_EQUAL(inflight, 8, "as many as there is room for");
	for (int got = 0, n; got < 20; got += n) {
		fake_dma_run(rig.dma, 0, 64);
		n = receive(fe, 0, got, &inflight);
		TEST_ASSERT(n > 0, "after %d", got);
	}
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 20, "all buffers are back");
	return end();
}

static int
a_packet_in_more_pieces_than_the_device_has_room_for_arrives(void)
{
	const struct fake_shape pieces = { .header = 12, .seg = 7 };
	struct fake *fe = start(FAKE_DMA_REVERSED, 1, 4, .mergeable = true, .ring_size = 512);
	uint8_t pkt[LEN];
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 4, 300, &pieces), 4, "in 43 pieces each");
	TEST_ASSERT_EQUAL(submit(fe, 0, 4, 0), 4, "of which packets take 29");
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 4, "done");
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 4, "whole");
	fake_pattern(pkt, LEN, 5);
	TEST_ASSERT(fake_tx_send(&fe->vqs[1], NULL, pkt, LEN, &pieces), "a packet");
	TEST_ASSERT_EQUAL(receive(fe, 0, 5, &inflight), 1, "whole");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 1, "its buffer is back");
	return end();
}

/** Many packets both ways through a device that does not do its work. */
static int
check_all_arrive(struct fake *fe)
{
	int inflight, early;

	for (unsigned int round = 0; round < 100; round++) {
		unsigned int first = 8 * round;

		fake_rx_fill(&fe->vqs[0], 8, 2048, NULL);
		TEST_ASSERT_EQUAL(submit(fe, 0, 8, first), 8, "round %u", round);
		fake_dma_run(rig.dma, 0, 3 + round % 4);
		TEST_ASSERT_SUCCESS(guest_sends(fe, 8, first), "round %u", round);
		/* those of which the CPU copies all are done at once */
		early = receive(fe, 0, first, &inflight);
		TEST_ASSERT(early >= 0, "round %u", round);
		TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 64) > 0, true, "round %u", round);
		TEST_ASSERT_EQUAL(receive(fe, 0, first + early, &inflight), 8 - early, "round %u",
			round);
		TEST_ASSERT_EQUAL(poll_sent(fe, 0, first), 8, "round %u", round);
		TEST_ASSERT_EQUAL(guest_takes(fe, first), 8, "round %u", round);
		TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 8, "round %u", round);
	}
	return 0;
}

static int
copies_that_fail_are_made_again(const void *arg)
{
	struct fake *fe = start(FAKE_DMA_HELD, 1, 64, .mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_dma_fail_every(rig.dma, 0, *(const unsigned int *)arg);
	TEST_ASSERT_SUCCESS(check_all_arrive(fe), "nothing is lost");
	return end();
}

static const unsigned int every[] = { 1, 2, 3, 17, 100 };

static int
copies_that_are_refused_are_made(void)
{
	const struct fake_shape pieces = { .header = 12, .seg = 50 };
	struct fake *fe = start(FAKE_DMA_HELD, 1, 64, .mergeable = true, .ring_size = 512);
	uint64_t asked;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int n = 1; n < 10; n++) {
		fake_rx_fill(&fe->vqs[0], 2, 300, &pieces);
		fake_dma_refuse(rig.dma, 0, n);
		asked = fake_dma_count(rig.dma, 0);
		TEST_ASSERT_EQUAL(submit(fe, 0, 2, n), 2, "of 4 copies each");
		TEST_ASSERT_EQUAL(fake_dma_count(rig.dma, 0) - asked, n < 8 ? 8 - n : 0,
			"the device takes the others");
		fake_dma_refuse(rig.dma, 0, 0);
		fake_dma_run(rig.dma, 0, 64);
		TEST_ASSERT_EQUAL(poll_sent(fe, 0, n), 2, "%u refused", n);
		TEST_ASSERT_EQUAL(guest_takes(fe, n), 2, "%u refused", n);
	}
	return end();
}

static int
an_empty_pool_fetches_nothing(void)
{
	struct fake *fe = start(FAKE_DMA_HELD, 1, 64, .mergeable = true);
	struct rte_mempool *small;
	struct rte_mbuf *pkts[8], *held[2];
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	small = rte_pktmbuf_pool_create("async_small", 2, 0, 0, RTE_PKTMBUF_HEADROOM + 2048,
		SOCKET_ID_ANY);
	TEST_ASSERT_NOT_NULL(small, "a pool");
	TEST_ASSERT_SUCCESS(guest_sends(fe, 5, 0), "packets");
	TEST_ASSERT_SUCCESS(rte_pktmbuf_alloc_bulk(small, held, 2), "all of it");
	TEST_ASSERT_EQUAL(rte_vhost_async_try_dequeue_burst(fe->vid, 1, small, pkts, 8, &inflight,
		rig.dma, 0), 0, "no memory");
	TEST_ASSERT_EQUAL(inflight, 0, "nothing was fetched");
	rte_pktmbuf_free_bulk(held, 2);
	rte_vhost_async_try_dequeue_burst(fe->vid, 1, small, pkts, 8, &inflight, rig.dma, 0);
	TEST_ASSERT_EQUAL(inflight, 2, "as much as there is memory for");
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(rte_vhost_async_try_dequeue_burst(fe->vid, 1, small, pkts, 8, &inflight,
		rig.dma, 0), 2, "what was under way comes all the same");
	rte_pktmbuf_free_bulk(pkts, 2);
	TEST_ASSERT_EQUAL(receive(fe, 0, 2, &inflight), 0, "the rest");
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(receive(fe, 0, 2, &inflight), 3, "the rest");
	fake_tx_reap(&fe->vqs[1]);
	rte_mempool_free(small);
	return end();
}

static int
counters_tell_what_is_in_flight(void)
{
	struct fake *fe = start(FAKE_DMA_HELD, 1, 64, .mergeable = true,
		.flags = RTE_VHOST_USER_NET_STATS_ENABLE);
	struct rte_vhost_stat stats[32];
	int n, inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 8, 2048, NULL);
	submit(fe, 0, 5, 0);
	guest_sends(fe, 4, 0);
	receive(fe, 0, 0, &inflight);
	fake_dma_run(rig.dma, 0, 2);
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 2, "two are done");
	n = rte_vhost_vring_stats_get(fe->vid, 0, stats, RTE_DIM(stats));
	TEST_ASSERT_EQUAL(stats[0].value, 2, "good packets");
	TEST_ASSERT_EQUAL(stats[n - 2].value, 5, "submitted");
	TEST_ASSERT_EQUAL(stats[n - 1].value, 2, "completed");
	n = rte_vhost_vring_stats_get(fe->vid, 1, stats, RTE_DIM(stats));
	TEST_ASSERT_EQUAL(stats[n - 2].value, 4, "submitted");
	TEST_ASSERT_EQUAL(stats[n - 1].value, 0, "completed");
	return end();
}

/* ---- guests that lie ---- */

static int
a_guest_cannot_offer_more_than_its_ring(void)
{
	struct fake *fe = start(FAKE_DMA_HELD, 1, 256, .mergeable = true, .ring_size = 8);
	struct fake_vq *vq;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	vq = &fe->vqs[0];
	fake_rx_fill(vq, 8, 2048, NULL);
	TEST_ASSERT_EQUAL(submit(fe, 0, 8, 0), 8, "the whole ring");
	/* all of it again, and again, while copies are under way */
	for (unsigned int i = 0; i < 8; i++) {
		if (fake_default_format() == FAKE_SPLIT)
			vq->avail->idx += 8;
		else
			for (unsigned int k = 0; k < 8; k++)
				vq->packed[k].flags ^= 1 << VRING_PACKED_DESC_F_AVAIL |
					1 << VRING_PACKED_DESC_F_USED;
		TEST_ASSERT_EQUAL(submit(fe, 0, 8, 8), 0, "there is no such room");
	}
	TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), 8, "in flight");
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 8, "these are done");
	return end();
}

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
	fe = start(FAKE_DMA_HELD, 1, 64, .mergeable = true, .hook = on_event);
	if (fe == NULL)
		return NULL;
	fake_rx_fill(&fe->vqs[0], 16, 2048, NULL);
	if (submit(fe, 0, 5, 0) != 5 || guest_sends(fe, 5, 0) < 0 ||
			receive(fe, 0, 0, &inflight) != 0 || inflight != 5)
		return NULL;
	return fe;
}

/** A device that ends its copies by itself, a little later. */
static struct engine {
	pthread_t thread;
	bool stop;
} engine;

static void *
run_engine(void *arg __rte_unused)
{
	while (!__atomic_load_n(&engine.stop, __ATOMIC_RELAXED)) {
		usleep(2000);
		fake_dma_run(rig.dma, 0, 3);
	}
	return NULL;
}

static void
engine_start(void)
{
	engine.stop = false;
	pthread_create(&engine.thread, NULL, run_engine, NULL);
}

static void
engine_stop(void)
{
	__atomic_store_n(&engine.stop, true, __ATOMIC_RELAXED);
	pthread_join(engine.thread, NULL);
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
		TEST_ASSERT_EQUAL(guest_takes(fe, 0), 5, "the guest has its own");
		TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 5, "and its buffers back");
	}
	fake_dma_run(rig.dma, 0, UINT32_MAX);
	TEST_ASSERT(wait_mbufs(avail), "no packet is lost");
	return end();
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
	engine_start();
	ret = blow->strike(fe);
	if (!has_device(blow))
		wait_mbufs(avail);
	engine_stop();
	TEST_ASSERT_SUCCESS(ret, "strike");
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 5, "the guest has its packets");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 5, "and its buffers back");
	if (has_device(blow)) {
		TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), 5,
			"the application's packets wait for it");
		TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 5, "and it gets them");
		TEST_ASSERT_EQUAL(receive(fe, 0, 0, &inflight), 5, "in both directions");
	}
	TEST_ASSERT(wait_mbufs(avail), "no packet is lost");
	return end();
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
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 0, "nothing is done");
	TEST_ASSERT_EQUAL(rte_mempool_avail_count(fake_pool()), avail - 10, "packets are kept");
	TEST_ASSERT_EQUAL(fake_dma_waiting(rig.dma, 0), 10, "nothing is done");
	/* into memory that is still there, or this is the end of us */
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 64), 10, "now it is");
	if (blow->rings_stay) {
		TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 5, "and told to the application");
		TEST_ASSERT_EQUAL(receive(fe, 0, 0, &inflight), 5, "in both directions");
		TEST_ASSERT_EQUAL(guest_takes(fe, 0), 5, "and to the guest");
		fake_tx_reap(&fe->vqs[1]);
	}
	TEST_ASSERT(wait_mbufs(avail), "no packet is lost");
	return end();
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
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 5, "these were on their way");
	TEST_ASSERT_EQUAL(submit(fe, 0, 4, 0), 4, "more packets");
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 4, "done");
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 4, "arrived");
	fake_tx_reap(&fe->vqs[1]);
	return end();
}

static int
the_base_is_told_when_copies_have_ended(void)
{
	struct fake *fe = start_in_flight(false);
	int64_t to, from;

	TEST_ASSERT_NOT_NULL(fe, "packets in flight");
	engine_start();
	to = fake_stop_vring(fe, 0);
	from = fake_stop_vring(fe, 1);
	engine_stop();
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 5, "packets");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 5, "buffers");
	TEST_ASSERT(fake_is_base(&fe->vqs[1], from), "%" PRIx64, from);
	if (fake_default_format() == FAKE_SPLIT)
		TEST_ASSERT_EQUAL(to, 5, "what was taken was used");
	return end();
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
	TEST_ASSERT_EQUAL(submit(fe, 0, 3, 5), 3, "more packets");
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(poll_sent(fe, 0, 0), 8, "none is lost");
	TEST_ASSERT_EQUAL(guest_takes(fe, 0), 8, "nor out of order");
	TEST_ASSERT_EQUAL(receive(fe, 0, 0, &inflight), 5, "nor those from the guest");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 5, "buffers are back");
	TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	drop_dma();
	return topology_end();
}

/* ---- physical addresses ---- */

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

static const struct vhost_iova_ops made_up_iovas = { is_physical, made_up_iova };

/** Packets of the pool have addresses of their own as well, for as long as this takes. */
static void
shift_pool(struct rte_mempool *pool __rte_unused, void *arg, void *obj, unsigned int i __rte_unused)
{
	struct rte_mbuf *m = obj;

	rte_mbuf_iova_set(m, rte_mbuf_iova_get(m) + *(const int64_t *)arg);
}

static int
run_physical(bool pinned)
{
	uint64_t before;
	struct fake *fe = start(FAKE_DMA_HELD, 1, 64, .mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_dma_set_offset(rig.dma, OFFSET);
	for (unsigned int q = 0; q < 2; q++) {
		struct vhost_queue *queue = vhost_device_queue(vhost_device_peek(fe->vid), q);

		TEST_ASSERT_NOT_NULL(queue->async->iovas, "addresses of devices are kept");
		vhost_net_async_set_memory(queue->async, pinned);
	}
	before = fake_dma_count(rig.dma, 0);
	if (pinned)
		TEST_ASSERT_SUCCESS(check_all_arrive(fe), "wherever pages are");
	else
		for (unsigned int i = 0; i < 10; i++) {
			fake_rx_fill(&fe->vqs[0], 1, 2048, NULL);
			TEST_ASSERT_EQUAL(submit(fe, 0, 1, i), 1, "copied by the CPU");
			TEST_ASSERT_EQUAL(poll_sent(fe, 0, i), 1, "at once");
			TEST_ASSERT_EQUAL(guest_takes(fe, i), 1, "and it arrives");
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
		ret = end();
	shift = -shift;
	rte_mempool_obj_iter(fake_pool(), shift_pool, &shift);
	vhost_iova_set_ops(NULL);
	return ret;
}

static const bool no, yes = true;

/* ---- many frontends, many threads ---- */

/* Sanitizers keep what was freed for a while, and look for leaks themselves. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GROWTH_KIB (256 * 1024)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GROWTH_KIB (256 * 1024)
#endif
#endif
#ifndef GROWTH_KIB
#define GROWTH_KIB (4 * 1024)
#endif

static int
frontends_come_and_go_with_copies_under_way(void)
{
	uint64_t resident = 0, now;
	unsigned int fds = 0;
	int inflight;

	TEST_ASSERT_SUCCESS(make_dma(FAKE_DMA_HELD, 1, 256), "a device");
	engine_start();
	for (unsigned int i = 0; i < 200; i++) {
		struct fake *fe = start_guest((struct fake_config){ .mergeable = true });

		TEST_ASSERT_NOT_NULL(fe, "connect %u", i);
		fake_rx_fill(&fe->vqs[0], 8, 2048, NULL);
		TEST_ASSERT_EQUAL(submit(fe, 0, 4, i), 4, "%u", i);
		TEST_ASSERT_SUCCESS(guest_sends(fe, 4, i), "%u", i);
		receive(fe, 0, i, &inflight);
		TEST_ASSERT_SUCCESS(fake_stop(fe), "disconnect %u", i);
		if (i == 50) {
			fds = fake_count_fds();
			resident = fake_resident_kib();
		}
	}
	engine_stop();
	now = fake_resident_kib();
	TEST_ASSERT(fake_wait_fds(fds) <= fds, "%u descriptors, %u before", fake_count_fds(), fds);
	TEST_ASSERT(now < resident + GROWTH_KIB, "%" PRIu64 " KiB, %" PRIu64 " before", now, resident);
	drop_dma();
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
	struct fake *fe = start(FAKE_DMA_REVERSED, vchans, 64, .mergeable = true, .queues = 4,
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
	return end();
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
	fe = start_guest((struct fake_config){ .mergeable = true });
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
	TEST_CASE(functions_check_their_queue),
	TEST_CASE(functions_check_their_channel),
	TEST_CASE(a_direction_has_its_functions),
	TEST_CASE(a_queue_without_channel_moves_nothing),
	TEST_CASE(a_channel_is_registered_once_and_for_a_ring_that_runs),
	TEST_CASE(a_socket_without_the_flag_has_no_channels),
	TEST_CASE(unsafe_functions_are_for_callbacks),
	TEST_CASE(migration_is_not_offered_with_dma),
	TEST_CASE(a_channel_is_configured_until_it_is_not),
	TEST_CASE(packets_go_to_the_guest_when_their_copies_are_done),
	TEST_CASE(packets_come_from_the_guest_when_their_copies_are_done),
	TEST_CASE(room_for_fewer_packets_than_are_done_loses_none),
	TEST_CASE(several_channels_keep_the_order_of_a_queue),
	TEST_CASE(queues_that_share_a_channel_find_each_others_copies_done),
	TEST_CASE(a_header_is_read_once),
	TEST_CASE(a_full_device_takes_the_rest_later),
	TEST_CASE(a_packet_in_more_pieces_than_the_device_has_room_for_arrives),
	TEST_CASE_WITH(copies_that_fail_are_made_again, "each_copy_fails", &every[0]),
	TEST_CASE_WITH(copies_that_fail_are_made_again, "every_2nd_copy_fails", &every[1]),
	TEST_CASE_WITH(copies_that_fail_are_made_again, "every_3rd_copy_fails", &every[2]),
	TEST_CASE_WITH(copies_that_fail_are_made_again, "every_17th_copy_fails", &every[3]),
	TEST_CASE_WITH(copies_that_fail_are_made_again, "every_100th_copy_fails", &every[4]),
	TEST_CASE(copies_that_are_refused_are_made),
	TEST_CASE(an_empty_pool_fetches_nothing),
	TEST_CASE(counters_tell_what_is_in_flight),
	TEST_CASE(a_guest_cannot_offer_more_than_its_ring),
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
};

#define NB_BLOW_CASES (RTE_DIM(answers) * RTE_DIM(blows))

static int
run_suite(const char *name, int (*setup)(void))
{
	static struct test_case cases[NB_BLOW_CASES + RTE_DIM(fixed_cases)];
	static char names[NB_BLOW_CASES][64];
	const struct test_suite suite = {
		.name = name, .setup = setup, .check = check, .teardown = fake_teardown,
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
test_vhost_async(void)
{
	return run_suite("vhost async", fake_setup);
}

static int
test_vhost_async_packed(void)
{
	return run_suite("vhost async, packed rings", fake_setup_packed);
}

REGISTER_TEST_COMMAND(vhost_async_autotest, test_vhost_async);
REGISTER_TEST_COMMAND(vhost_async_packed_autotest, test_vhost_async_packed);
