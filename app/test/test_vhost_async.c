/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Copies that are under way for as long as a test wants: who may call what, in which order
 * packets are done, and what a device may do wrong.  That packets of all shapes arrive is
 * told by the suites of net, offload and hostile rings, which run with asynchronous copies
 * as well.
 */

#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <rte_vhost_async.h>

#include "test.h"
#include "vhost_test_async.h"
#include "vhost_test_log.h"

/* ---- arguments ---- */

static int
functions_check_their_queue(void)
{
	static const struct {
		int vid, queue;
	} wrong[] = { { -1, 0 }, { 1024, 0 }, { 77, 0 }, { -2, 2 }, { -2, 255 }, { -2, 65535 } };
	struct fake *fe = rig_start(FAKE_DMA_INSTANT, 1, 64, .mergeable = true);
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
	return rig_end();
}

static int
functions_check_their_channel(void)
{
	static const struct {
		int dma, vchan;
	} wrong[] = { { -1, 0 }, { 63, 0 }, { 64, 0 }, { 32767, 0 }, { -32768, 0 }, { -2, 2 },
		{ -2, 255 }, { -2, 256 }, { -2, 65535 } };
	struct fake *fe = rig_start(FAKE_DMA_INSTANT, 2, 64, .mergeable = true);
	struct rte_mbuf *pkt = fake_mbuf(RIG_LEN, 1, 0);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	rig_guest_sends(fe, 1, 0);
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
	return rig_end();
}

static int
a_direction_has_its_functions(void)
{
	struct fake *fe = rig_start(FAKE_DMA_INSTANT, 1, 64, .mergeable = true);
	struct rte_mbuf *pkt = fake_mbuf(RIG_LEN, 1, 0), *got;
	int inflight = 0;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	rig_guest_sends(fe, 4, 0);
	TEST_ASSERT_EQUAL(rte_vhost_submit_enqueue_burst(fe->vid, 1, &pkt, 1, rig.dma, 0), 0,
		"from the guest");
	TEST_ASSERT_EQUAL(rte_vhost_poll_enqueue_completed(fe->vid, 1, &got, 1, rig.dma, 0), 0,
		"from the guest");
	TEST_ASSERT_EQUAL(rte_vhost_async_try_dequeue_burst(fe->vid, 0, fake_pool(), &got, 1,
		&inflight, rig.dma, 0), 0, "to the guest");
	TEST_ASSERT_EQUAL(inflight, -1, "to the guest");
	rte_pktmbuf_free(pkt);
	return rig_end();
}

static int
a_queue_without_channel_moves_nothing(void)
{
	struct fake *fe = rig_start(FAKE_DMA_INSTANT, 1, 64, .mergeable = true);
	struct rte_mbuf *pkt = fake_mbuf(RIG_LEN, 1, 0), *polled;
	int inflight = 0;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	rig_guest_sends(fe, 1, 0);
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
	TEST_ASSERT_EQUAL(rte_vhost_poll_enqueue_completed(fe->vid, 0, &polled, 1, rig.dma, 0), 0,
		"no channel");
	rte_pktmbuf_free(pkt);
	return rig_end();
}

static int
a_channel_is_registered_once_and_for_a_ring_that_runs(void)
{
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true);
	struct log_capture log;
	unsigned int why;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_register(fe->vid, 0), -1, "twice");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 1, 0), 1, "a packet");
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_unregister(fe->vid, 0), -1, "in flight");
	log_end(&log);
	why = log_count(&log, "packets are in flight, still registered: virtqueue 0");
	log_free(&log);
	TEST_ASSERT_EQUAL(why, 1, "%u lines say why", why);
	fake_dma_run(rig.dma, 0, 1);
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 1, "done");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_unregister(fe->vid, 0), 0, "at rest");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_register(fe->vid, 0), 0, "again");
	TEST_ASSERT(fake_stop_vring(fe, 0) >= 0, "stop it");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_unregister(fe->vid, 0), 0, "a stopped ring");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_register(fe->vid, 0), -1, "a stopped ring");
	return rig_end();
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
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true);
	struct rte_mbuf *pkt;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 1, 0), 1, "a packet");
	fake_dma_run(rig.dma, 0, 1);
	TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight_thread_unsafe(fe->vid, 0), -1, "outside");
	TEST_ASSERT_EQUAL(rte_vhost_clear_queue_thread_unsafe(fe->vid, 0, &pkt, 1, rig.dma, 0), 0,
		"outside");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_register_thread_unsafe(fe->vid, 0), -1,
		"outside");
	TEST_ASSERT_EQUAL(rte_vhost_async_channel_unregister_thread_unsafe(fe->vid, 0), -1,
		"outside");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 1, "it is still there");
	return rig_end();
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
	TEST_ASSERT_SUCCESS(rig_make_dma(FAKE_DMA_HELD, 2, 64), "a device");
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_configure(rig.dma, 1), 0, "again");
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_unconfigure(rig.dma, 1), 0, "no more");
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_unconfigure(rig.dma, 1), -1, "it is not");
	fake_dma_hide_ring(rig.dma, true);
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_configure(rig.dma, 1), -1, "not without a ring");
	fake_dma_hide_ring(rig.dma, false);
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_configure(rig.dma, 1), 0, "and again");
	TEST_ASSERT_NOT_NULL(rig_start_guest((struct fake_config){ .mergeable = true }), "a guest");
	fake_rx_fill(&rig.fe->vqs[0], 4, 2048, NULL);
	TEST_ASSERT_EQUAL(rig_submit(rig.fe, 1, 1, 0), 1, "a packet");
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_unconfigure(rig.dma, 1), -1, "a copy is under way");
	fake_dma_run(rig.dma, 1, 1);
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_unconfigure(rig.dma, 1), 0, "it has ended");
	TEST_ASSERT_EQUAL(rig_poll_sent(rig.fe, 0, 0), 1, "and is not forgotten");
	TEST_ASSERT_EQUAL(rte_vhost_async_dma_configure(rig.dma, 1), 0, "for the end");
	return rig_end();
}

/* ---- order ---- */

static int
packets_go_to_the_guest_when_their_copies_are_done(void)
{
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 16, 2048, NULL);
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 8, 0), 8, "packets");
	TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), 8, "in flight");
	TEST_ASSERT_EQUAL(rte_vhost_avail_entries(fe->vid, 0), 16, "none was used yet");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 0, "nothing is done");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 0, "and the guest has nothing");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 3), 3, "three copies");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 3, "three packets");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 3, "the guest has them");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 3), 0, "no more is done");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 3), 0, "and the guest is told of no more");
	TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), 5, "in flight");
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 8, 8), 8, "more packets");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 64), 13, "all copies");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 3), 13, "all packets");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 3), 13, "in order");
	TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), 0, "none is in flight");
	return rig_end();
}

static int
packets_come_from_the_guest_when_their_copies_are_done(void)
{
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(rig_guest_sends(fe, 8, 0), "packets");
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 0, &inflight), 0, "fetched, not there yet");
	TEST_ASSERT_EQUAL(inflight, 8, "in flight");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 0, "the guest has no buffer back");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 3), 3, "three copies");
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 0, &inflight), 3, "three packets");
	TEST_ASSERT_EQUAL(inflight, 5, "in flight");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 3, "three buffers are back");
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 3, &inflight), 0, "no more is done");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 0, "and no more is back");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 64), 5, "all copies");
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 3, &inflight), 5, "all packets, in order");
	TEST_ASSERT_EQUAL(inflight, 0, "none is in flight");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 5, "all buffers are back");
	return rig_end();
}

static int
room_for_fewer_packets_than_are_done_loses_none(void)
{
	struct fake *fe = rig_start(FAKE_DMA_REVERSED, 1, 64, .mergeable = true);
	struct rte_mbuf *pkt;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 8, 2048, NULL);
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 8, 0), 8, "packets");
	for (unsigned int i = 0; i < 8; i++) {
		TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), 8 - i, "%u", i);
		TEST_ASSERT_EQUAL(rte_vhost_poll_enqueue_completed(fe->vid, 0, &pkt, 1, rig.dma,
			0), 1, "%u", i);
		TEST_ASSERT(fake_mbuf_matches(pkt, RIG_LEN, i), "%u", i);
		rte_pktmbuf_free(pkt);
	}
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 8, "the guest has all");
	return rig_end();
}

static int
several_channels_keep_the_order_of_a_queue(void)
{
	struct fake *fe = rig_start(FAKE_DMA_HELD, 2, 64, .mergeable = true);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 16, 2048, NULL);
	for (unsigned int i = 0; i < 4; i++)
		TEST_ASSERT_EQUAL(rig_submit(fe, i % 2, 2, 2 * i), 2, "packets");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 1, 64), 4, "the second channel is quicker");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 1, 0), 0, "but its packets wait");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 0, "for those before them");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 2), 2, "two of the first");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 4, "and two that waited");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 2), 2, "the rest");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 4), 4, "and the rest");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 8, "in order");
	TEST_ASSERT_SUCCESS(rig_guest_sends(fe, 2, 0), "packets");
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 0, &inflight), 0, "by the first channel");
	TEST_ASSERT_SUCCESS(rig_guest_sends(fe, 2, 2), "packets");
	TEST_ASSERT_EQUAL(rig_receive(fe, 1, 0, &inflight), 0, "by the second");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 1, 64), 2, "which is quicker");
	TEST_ASSERT_EQUAL(rig_receive(fe, 1, 0, &inflight), 0, "and waits");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 64), 2, "the first");
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 0, &inflight), 4, "all");
	return rig_end();
}

static int
queues_that_share_a_channel_find_each_others_copies_done(void)
{
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 8, 2048, NULL);
	TEST_ASSERT_SUCCESS(rig_guest_sends(fe, 3, 100), "from the guest");
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 2, 0), 2, "to the guest");
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 100, &inflight), 0, "from the guest");
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 2, 2), 2, "to the guest");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 6), 6, "all but the last");
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 100, &inflight), 3, "one queue asks the device");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 3, "the other one knows as well");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 6), 1, "the last");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 3), 1, "the last");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 4, "in order");
	return rig_end();
}

static int
an_announcement_takes_the_room_of_a_packet(void)
{
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true,
		.features = FE_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE));
	struct rte_mbuf *pkts[8] = { NULL };
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(rig_guest_sends(fe, 4, 0), "packets");
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 0, &inflight), 0, "fetched");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 64), 4, "copied");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SEND_RARP, 0x563412005452), FAKE_ACK, "it moved");
	TEST_ASSERT_EQUAL(rte_vhost_async_try_dequeue_burst(fe->vid, 1, fake_pool(), pkts, 2,
		&inflight, rig.dma, 0), 2, "as many as there is room for");
	TEST_ASSERT_NULL(pkts[2], "and no more");
	TEST_ASSERT_EQUAL(inflight, 3, "the others wait");
	TEST_ASSERT(pkts[0]->pkt_len < RIG_LEN, "the announcement comes first");
	TEST_ASSERT(fake_mbuf_matches(pkts[1], RIG_LEN, 0), "a packet of the guest behind it");
	rte_pktmbuf_free_bulk(pkts, 2);
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 1, &inflight), 3, "the others");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 4, "all buffers are back");
	return rig_end();
}

static int
a_header_is_read_once(void)
{
	fake_net_hdr honest = { .hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.hdr.csum_start = 34, .hdr.csum_offset = 16 };
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true,
		.features = FE_BIT(VIRTIO_NET_F_CSUM));
	fake_net_hdr *in_guest;
	uint8_t pkt[RIG_LEN] = { [12] = 8, [14] = 0x45, [23] = 6, [46] = 0x50 };
	struct rte_mbuf *m;
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT(fake_tx_send(&fe->vqs[1], &honest, pkt, RIG_LEN, NULL), "a packet");
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
	return rig_end();
}

/* ---- devices that are full or fail ---- */

static int
a_full_device_takes_the_rest_later(void)
{
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 8, .mergeable = true);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 32, 2048, NULL);
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 20, 0), 8, "as many as there is room for");
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 20, 8), 0, "none");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 4), 4, "some end");
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 20, 8), 4, "which makes room, unasked");
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 12, "all");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 12, "in order");
	TEST_ASSERT_SUCCESS(rig_guest_sends(fe, 20, 0), "packets");
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 0, &inflight), 0, "fetched");
	TEST_ASSERT_EQUAL(inflight, 8, "as many as there is room for");
	for (int got = 0, n; got < 20; got += n) {
		fake_dma_run(rig.dma, 0, 64);
		n = rig_receive(fe, 0, got, &inflight);
		TEST_ASSERT(n > 0, "after %d", got);
	}
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 20, "all buffers are back");
	return rig_end();
}

static int
a_packet_in_more_pieces_than_the_device_has_room_for_arrives(void)
{
	const struct fake_shape pieces = { .header = 12, .seg = 7 };
	struct fake *fe = rig_start(FAKE_DMA_REVERSED, 1, 4, .mergeable = true, .ring_size = 512);
	uint8_t pkt[RIG_LEN];
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 4, 300, &pieces), 4, "in 43 pieces each");
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 4, 0), 4, "of which packets take 29");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 4, "done");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 4, "whole");
	fake_pattern(pkt, RIG_LEN, 5);
	TEST_ASSERT(fake_tx_send(&fe->vqs[1], NULL, pkt, RIG_LEN, &pieces), "a packet");
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 5, &inflight), 1, "whole");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 1, "its buffer is back");
	return rig_end();
}

static int
copies_that_fail_are_made_again(const void *arg)
{
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_dma_fail_every(rig.dma, 0, *(const unsigned int *)arg);
	TEST_ASSERT_SUCCESS(rig_check_all_arrive(fe), "nothing is lost");
	return rig_end();
}

static const unsigned int every[] = { 1, 2, 3, 17, 100 };

/* A ring of 64 descriptors has room for 1024 copies under way, whatever the device has. */
static int
copies_under_way_are_bounded(void)
{
	const struct fake_shape pieces = { .header = 12, .seg = 2, .indirect = true };
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 4096, .mergeable = true, .ring_size = 64);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 10, 12 + RIG_LEN, &pieces), 10, "buffers");
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 10, 0), 10, "in 100 copies each");
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 30, 2048, NULL), 30, "buffers");
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 30, 10), 24, "in one copy each");
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 6, 34), 0, "no more");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 4096), 1024, "the device has all that");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 34, "done");
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, 6, 34), 6, "there is room again");
	TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 4096), 6, "copied");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 34), 6, "done");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 40, "all of them arrive");
	return rig_end();
}

/** A packet to the guest whose copy is done; where its data is in guest memory. */
static uint8_t *
have_copied(struct fake *fe, unsigned int seed)
{
	struct fake_vq *rx = &fe->vqs[0];
	const struct fake_slot *slot = &rx->slots[rx->free_head];

	if (fake_rx_fill(rx, 1, 2048, NULL) != 1 || rig_submit(fe, 0, 1, seed) != 1 ||
			fake_dma_run(rig.dma, 0, 1) != 1)
		return NULL;
	return fake_va(fe, slot->gpa + fake_header_len(fe), RIG_LEN);
}

/* A device that has failed once is of use nevertheless: what it writes later is left alone. */
static int
copies_that_did_not_fail_are_not_made_again(void)
{
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true);
	uint8_t *data;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_dma_fail_every(rig.dma, 0, 1);
	TEST_ASSERT_NOT_NULL(have_copied(fe, 0), "a copy that fails");
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 1, "made again");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 0), 1, "the packet is right");
	fake_dma_fail_every(rig.dma, 0, 0);
	data = have_copied(fe, 1);
	TEST_ASSERT_NOT_NULL(data, "another copy");
	/* who copied it now would put the first pattern there again */
	fake_pattern(data, RIG_LEN, 2);
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 1), 1, "done");
	TEST_ASSERT_EQUAL(rig_guest_takes(fe, 2), 1, "and left as it was");
	return rig_end();
}

static int
copies_that_are_refused_are_made(void)
{
	const struct fake_shape pieces = { .header = 12, .seg = 50 };
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true, .ring_size = 512);
	uint64_t asked;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int n = 1; n < 10; n++) {
		fake_rx_fill(&fe->vqs[0], 2, 300, &pieces);
		fake_dma_refuse(rig.dma, 0, n);
		asked = fake_dma_count(rig.dma, 0);
		TEST_ASSERT_EQUAL(rig_submit(fe, 0, 2, n), 2, "of 4 copies each");
		TEST_ASSERT_EQUAL(fake_dma_count(rig.dma, 0) - asked, n < 8 ? 8 - n : 0,
			"the device takes the others");
		fake_dma_refuse(rig.dma, 0, 0);
		fake_dma_run(rig.dma, 0, 64);
		TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, n), 2, "%u refused", n);
		TEST_ASSERT_EQUAL(rig_guest_takes(fe, n), 2, "%u refused", n);
	}
	return rig_end();
}

static int
an_empty_pool_fetches_nothing(void)
{
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true);
	struct rte_mempool *small;
	struct rte_mbuf *pkts[8], *held[2];
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	small = rte_pktmbuf_pool_create("async_small", 2, 0, 0, RTE_PKTMBUF_HEADROOM + 2048,
		SOCKET_ID_ANY);
	TEST_ASSERT_NOT_NULL(small, "a pool");
	TEST_ASSERT_SUCCESS(rig_guest_sends(fe, 5, 0), "packets");
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
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 2, &inflight), 0, "the rest");
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(rig_receive(fe, 0, 2, &inflight), 3, "the rest");
	fake_tx_reap(&fe->vqs[1]);
	rte_mempool_free(small);
	return rig_end();
}

static int
counters_tell_what_is_in_flight(void)
{
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 64, .mergeable = true,
		.flags = RTE_VHOST_USER_NET_STATS_ENABLE);
	int inflight;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_rx_fill(&fe->vqs[0], 8, 2048, NULL);
	rig_submit(fe, 0, 5, 0);
	rig_guest_sends(fe, 4, 0);
	rig_receive(fe, 0, 0, &inflight);
	fake_dma_run(rig.dma, 0, 2);
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), 2, "two are done");
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "good_packets"), 2, "good packets");
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "inflight_submitted"), 5, "submitted");
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "inflight_completed"), 2, "completed");
	TEST_ASSERT_EQUAL(fake_counter(fe, 1, "inflight_submitted"), 4, "submitted");
	TEST_ASSERT_EQUAL(fake_counter(fe, 1, "inflight_completed"), 0, "completed");
	return rig_end();
}

/* ---- guests that lie ---- */

static int
a_guest_cannot_offer_more_than_its_ring(void)
{
	/* of the sizes that a ring can have the least like those of our tables */
	const unsigned int size = fake_default_format() == FAKE_SPLIT ? 8 : 6;
	struct fake *fe = rig_start(FAKE_DMA_HELD, 1, 256, .mergeable = true, .ring_size = size);
	struct fake_vq *vq;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	vq = &fe->vqs[0];
	fake_rx_fill(vq, size, 2048, NULL);
	TEST_ASSERT_EQUAL(rig_submit(fe, 0, size, 0), (int)size, "the whole ring");
	/* all of it again, and again, while copies are under way */
	for (unsigned int i = 0; i < 8; i++) {
		if (fake_default_format() == FAKE_SPLIT)
			vq->avail->idx += size;
		else
			for (unsigned int k = 0; k < size; k++)
				vq->packed[k].flags ^= 1 << VRING_PACKED_DESC_F_AVAIL |
					1 << VRING_PACKED_DESC_F_USED;
		TEST_ASSERT_EQUAL(rig_submit(fe, 0, size, size), 0, "there is no such room");
	}
	TEST_ASSERT_EQUAL(rte_vhost_async_get_inflight(fe->vid, 0), (int)size, "in flight");
	fake_dma_run(rig.dma, 0, 64);
	TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, 0), (int)size, "these are done");
	return rig_end();
}

/* ---- the suites ---- */

static const struct test_case cases[] = {
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
	TEST_CASE(an_announcement_takes_the_room_of_a_packet),
	TEST_CASE(a_header_is_read_once),
	TEST_CASE(a_full_device_takes_the_rest_later),
	TEST_CASE(a_packet_in_more_pieces_than_the_device_has_room_for_arrives),
	TEST_CASE_WITH(copies_that_fail_are_made_again, "each_copy_fails", &every[0]),
	TEST_CASE_WITH(copies_that_fail_are_made_again, "every_2nd_copy_fails", &every[1]),
	TEST_CASE_WITH(copies_that_fail_are_made_again, "every_3rd_copy_fails", &every[2]),
	TEST_CASE_WITH(copies_that_fail_are_made_again, "every_17th_copy_fails", &every[3]),
	TEST_CASE_WITH(copies_that_fail_are_made_again, "every_100th_copy_fails", &every[4]),
	TEST_CASE(copies_under_way_are_bounded),
	TEST_CASE(copies_that_did_not_fail_are_not_made_again),
	TEST_CASE(copies_that_are_refused_are_made),
	TEST_CASE(an_empty_pool_fetches_nothing),
	TEST_CASE(counters_tell_what_is_in_flight),
	TEST_CASE(a_guest_cannot_offer_more_than_its_ring),
};

static int
run_suite(const char *name, int (*setup)(void))
{
	const struct test_suite suite = {
		.name = name, .setup = setup, .check = rig_check, .teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

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
