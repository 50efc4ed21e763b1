/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What functions answer that cannot do what they are asked: no such device, no such ring,
 * nothing registered.
 */

#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <rte_vhost_async.h>
#include <rte_vhost_crypto.h>

#include "answers.h"

#define NOBODY 1000
/** No DMA device is there. */
#define DMA 0
#define VCHAN 0

/* ---- asynchronous copies ---- */

/** For a device and ring that may be anything. */
static void
answer_channel(int vid, uint16_t ring, const char *who)
{
	answer(rte_vhost_async_channel_register(vid, ring), "errors/async/%s/register", who);
	answer(rte_vhost_async_channel_register_thread_unsafe(vid, ring),
		"errors/async/%s/register_unsafe", who);
	answer(rte_vhost_async_channel_unregister(vid, ring), "errors/async/%s/unregister", who);
	answer(rte_vhost_async_channel_unregister_thread_unsafe(vid, ring),
		"errors/async/%s/unregister_unsafe", who);
	answer(rte_vhost_async_get_inflight(vid, ring), "errors/async/%s/inflight", who);
	answer(rte_vhost_async_get_inflight_thread_unsafe(vid, ring),
		"errors/async/%s/inflight_unsafe", who);
}

static bool
answer_packets(int vid, uint16_t ring, const char *who)
{
	struct rte_mbuf *m = fake_mbuf(64, 0, 0), *got = NULL;
	int inflight = 77;

	if (m == NULL)
		return false;
	answer(rte_vhost_submit_enqueue_burst(vid, ring, &m, 1, DMA, VCHAN),
		"errors/async/%s/submit", who);
	answer(rte_vhost_poll_enqueue_completed(vid, ring, &got, 1, DMA, VCHAN),
		"errors/async/%s/poll", who);
	answer(rte_vhost_clear_queue(vid, ring, &got, 1, DMA, VCHAN), "errors/async/%s/clear", who);
	answer(rte_vhost_clear_queue_thread_unsafe(vid, ring, &got, 1, DMA, VCHAN),
		"errors/async/%s/clear_unsafe", who);
	answer(rte_vhost_async_try_dequeue_burst(vid, ring, fake_pool(), &got, 1, &inflight, DMA,
		VCHAN), "errors/async/%s/try_dequeue", who);
	answer(inflight, "errors/async/%s/try_dequeue_inflight", who);
	rte_pktmbuf_free(m);
	return true;
}

static void
answer_dma(void)
{
	static const int16_t ids[] = { -1, 0, 63, 64, INT16_MAX };

	for (unsigned int i = 0; i < RTE_DIM(ids); i++) {
		answer(rte_vhost_async_dma_configure(ids[i], 0), "errors/dma/%d/configure", ids[i]);
		answer(rte_vhost_async_dma_unconfigure(ids[i], 0), "errors/dma/%d/unconfigure", ids[i]);
	}
}

/* ---- crypto ---- */

static void
answer_crypto(int vid, const char *who)
{
	struct rte_crypto_op *op = NULL;

	answer(rte_vhost_crypto_free(vid), "errors/crypto/%s/free", who);
	answer(rte_vhost_crypto_set_zero_copy(vid, RTE_VHOST_CRYPTO_ZERO_COPY_ENABLE),
		"errors/crypto/%s/zero_copy", who);
	answer(rte_vhost_crypto_set_zero_copy(vid, RTE_VHOST_CRYPTO_MAX_ZERO_COPY_OPTIONS),
		"errors/crypto/%s/zero_copy_option", who);
	answer(rte_vhost_crypto_fetch_requests(vid, 0, &op, 1), "errors/crypto/%s/fetch", who);
}

bool
answer_errors(void)
{
	struct fake *fe = fake_start(.queues = 1);
	bool good;

	if (fe == NULL)
		return false;
	answer_dma();
	answer_channel(NOBODY, 0, "nobody");
	answer_channel(fe->vid, 99, "no_ring");
	answer_channel(fe->vid, 0, "no_flag");
	good = answer_packets(NOBODY, 0, "nobody") && answer_packets(fe->vid, 0, "to_guest") &&
		answer_packets(fe->vid, 1, "to_host");
	answer(rte_vhost_crypto_driver_start("/nowhere"), "errors/crypto/nowhere/driver_start");
	answer(rte_vhost_crypto_create(NOBODY, 0, NULL, 0), "errors/crypto/nobody/create");
	answer_crypto(NOBODY, "nobody");
	answer_crypto(fe->vid, "no_crypto");
	good = fake_stop(fe) == 0 && good;
	if (!good)
		fprintf(stderr, "errors: failed\n");
	return good;
}
