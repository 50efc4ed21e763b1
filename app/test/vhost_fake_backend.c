/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <rte_vhost_async.h>

#include "test.h"
#include "vhost_fake_backend.h"
#include "vhost_fake_dma.h"
#include "vhost_fake_frontend.h"

/** Copies that the device has room for: fewer than a packet in one-byte pieces takes. */
#define RING 256

/** The suite's device; -1 without asynchronous copies. */
static int16_t dma_id = -1;

uint64_t
fake_backend_flags(void)
{
	return dma_id >= 0 ? RTE_VHOST_USER_ASYNC_COPY : 0;
}

/** Whether the queue has a channel by now; tests know queues without. */
static bool
has_channel(int vid, uint16_t queue_id)
{
	return rte_vhost_async_get_inflight(vid, queue_id) >= 0 ||
		rte_vhost_async_channel_register(vid, queue_id) == 0;
}

bool
fake_backend_is_ready(int vid, uint16_t queue_id)
{
	return dma_id < 0 || has_channel(vid, queue_id);
}

static uint16_t
enqueue(int vid, uint16_t queue_id, struct rte_mbuf **pkts, uint16_t count)
{
	struct rte_mbuf *done[32];
	uint16_t n = 0, back = 0, sent;

	do {
		sent = rte_vhost_submit_enqueue_burst(vid, queue_id, pkts + n, count - n,
			dma_id, 0);
		n += sent;
		back += rte_vhost_poll_enqueue_completed(vid, queue_id, done, RTE_DIM(done),
			dma_id, 0);
	} while (sent > 0 && n < count);
	while (back < n && rte_vhost_async_get_inflight(vid, queue_id) > 0)
		back += rte_vhost_clear_queue(vid, queue_id, done, RTE_DIM(done), dma_id, 0);
	return n;
}

uint16_t
fake_enqueue_burst(int vid, uint16_t queue_id, struct rte_mbuf **pkts, uint16_t count)
{
	if (dma_id < 0)
		return rte_vhost_enqueue_burst(vid, queue_id, pkts, count);
	return has_channel(vid, queue_id) ? enqueue(vid, queue_id, pkts, count) : 0;
}

uint16_t
fake_dequeue_burst(int vid, uint16_t queue_id, struct rte_mempool *pool, struct rte_mbuf **pkts,
		uint16_t count)
{
	uint16_t n = 0, got;
	int inflight;

	if (dma_id < 0)
		return rte_vhost_dequeue_burst(vid, queue_id, pool, pkts, count);
	if (!has_channel(vid, queue_id))
		return 0;
	do {
		got = rte_vhost_async_try_dequeue_burst(vid, queue_id, pool, pkts + n, count - n,
			&inflight, dma_id, 0);
		n += got;
	} while (n < count && (got > 0 || inflight > 0));
	return n;
}

static int
setup(int (*base)(void))
{
	dma_id = fake_dma_create(FAKE_DMA_REVERSED, 1, RING);
	if (dma_id < 0 || rte_vhost_async_dma_configure(dma_id, 0) != 0)
		return TEST_FAILED;
	return base();
}

int
fake_setup_async(void)
{
	return setup(fake_setup);
}

int
fake_setup_async_packed(void)
{
	return setup(fake_setup_packed);
}

void
fake_teardown_async(void)
{
	fake_teardown();
	if (rte_vhost_async_dma_unconfigure(dma_id, 0) != 0)
		printf("fake: copies are left behind\n");
	fake_dma_destroy(dma_id);
	dma_id = -1;
}
