/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <rte_vhost_async.h>

#include "test.h"
#include "vhost_test_async.h"

struct rig rig = { .dma = -1 };

int
rig_make_dma(enum fake_dma_mode mode, uint16_t nb_vchans, uint16_t ring)
{
	rig.dma = fake_dma_create(mode, nb_vchans, ring);
	rig.nb_vchans = nb_vchans;
	for (uint16_t i = 0; rig.dma >= 0 && i < nb_vchans; i++)
		if (rte_vhost_async_dma_configure(rig.dma, i) != 0)
			return -1;
	return rig.dma >= 0 ? 0 : -1;
}

struct fake *
rig_start_guest(struct fake_config cfg)
{
	cfg.flags |= RTE_VHOST_USER_ASYNC_COPY;
	rig.fe = fake_start_config(&cfg);
	for (unsigned int q = 0; rig.fe != NULL && q < rig.fe->nvrings; q++)
		if (rte_vhost_async_channel_register(rig.fe->vid, q) != 0)
			return NULL;
	return rig.fe;
}

void
rig_drop_dma(void)
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

int
rig_end(void)
{
	int ret = fake_stop(rig.fe);

	rig_drop_dma();
	return ret;
}

int
rig_check(void)
{
	int ret = 0;

	if (rig.dma >= 0)
		fake_dma_run(rig.dma, 0, UINT32_MAX);
	ret = fake_check();
	rig_drop_dma();
	return ret;
}

unsigned int
rig_submit(struct fake *fe, uint16_t vchan, unsigned int n, unsigned int first)
{
	struct rte_mbuf *pkts[32];
	unsigned int sent, i;

	for (i = 0; i < n; i++)
		pkts[i] = fake_mbuf(RIG_LEN, first + i, 0);
	sent = rte_vhost_submit_enqueue_burst(fe->vid, 0, pkts, n, rig.dma, vchan);
	rte_pktmbuf_free_bulk(pkts + sent, n - sent);
	return sent;
}

int
rig_poll_sent(struct fake *fe, uint16_t vchan, unsigned int first)
{
	struct rte_mbuf *pkts[64];
	uint16_t n = rte_vhost_poll_enqueue_completed(fe->vid, 0, pkts, RTE_DIM(pkts), rig.dma,
		vchan);
	bool right = true;

	for (unsigned int i = 0; i < n; i++)
		right &= fake_mbuf_matches(pkts[i], RIG_LEN, first + i);
	rte_pktmbuf_free_bulk(pkts, n);
	return right ? n : -1;
}

int
rig_guest_takes(struct fake *fe, unsigned int first)
{
	uint8_t pkt[2048];
	int n = 0;

	while (fake_rx_take(&fe->vqs[0], NULL, pkt, sizeof(pkt)) == RIG_LEN) {
		if (!fake_pattern_matches(pkt, RIG_LEN, first + n))
			return -1;
		n++;
	}
	return n;
}

int
rig_guest_sends(struct fake *fe, unsigned int n, unsigned int first)
{
	uint8_t pkt[RIG_LEN];

	for (unsigned int i = 0; i < n; i++) {
		fake_pattern(pkt, RIG_LEN, first + i);
		if (!fake_tx_send(&fe->vqs[1], NULL, pkt, RIG_LEN, NULL))
			return -1;
	}
	return 0;
}

int
rig_receive(struct fake *fe, uint16_t vchan, unsigned int first, int *inflight)
{
	struct rte_mbuf *pkts[32];
	uint16_t n = rte_vhost_async_try_dequeue_burst(fe->vid, 1, fake_pool(), pkts,
		RTE_DIM(pkts), inflight, rig.dma, vchan);
	bool right = true;

	for (unsigned int i = 0; i < n; i++)
		right &= fake_mbuf_matches(pkts[i], RIG_LEN, first + i);
	rte_pktmbuf_free_bulk(pkts, n);
	return right ? n : -1;
}

int
rig_check_all_arrive(struct fake *fe)
{
	int inflight, early;

	for (unsigned int round = 0; round < 100; round++) {
		unsigned int first = 8 * round;

		fake_rx_fill(&fe->vqs[0], 8, 2048, NULL);
		TEST_ASSERT_EQUAL(rig_submit(fe, 0, 8, first), 8, "round %u", round);
		fake_dma_run(rig.dma, 0, 3 + round % 4);
		TEST_ASSERT_SUCCESS(rig_guest_sends(fe, 8, first), "round %u", round);
		/* those of which the CPU copies all are done at once */
		early = rig_receive(fe, 0, first, &inflight);
		TEST_ASSERT(early >= 0, "round %u", round);
		TEST_ASSERT_EQUAL(fake_dma_run(rig.dma, 0, 64) > 0, true, "round %u", round);
		TEST_ASSERT_EQUAL(rig_receive(fe, 0, first + early, &inflight), 8 - early, "round %u",
			round);
		TEST_ASSERT_EQUAL(rig_poll_sent(fe, 0, first), 8, "round %u", round);
		TEST_ASSERT_EQUAL(rig_guest_takes(fe, first), 8, "round %u", round);
		TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 8, "round %u", round);
	}
	return 0;
}
