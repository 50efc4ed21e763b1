/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Functions whose feature comes in a later release.
 *
 * They are exported so that programs and plug-ins built against DPDK 22.11
 * load; each returns the error that its header documents and changes nothing
 * but its own result parameters.  The release notes list them under "Known
 * issues and limitations" (doc/guides/rel_notes); a feature that arrives takes
 * its functions out of here and off that list.
 */

#include "rte_vhost.h"
#include "rte_vhost_async.h"

/*
 * Copies by DMA devices: no ring can be registered for them, so there is never
 * a packet in flight and a burst moves none.
 */

int
rte_vhost_async_dma_configure(int16_t dma_id __rte_unused,
		uint16_t vchan_id __rte_unused)
{
	return -1;
}

int
rte_vhost_async_dma_unconfigure(int16_t dma_id __rte_unused,
		uint16_t vchan_id __rte_unused)
{
	return -1;
}

int
rte_vhost_async_channel_register(int vid __rte_unused,
		uint16_t queue_id __rte_unused)
{
	return -1;
}

int
rte_vhost_async_channel_register_thread_unsafe(int vid __rte_unused,
		uint16_t queue_id __rte_unused)
{
	return -1;
}

int
rte_vhost_async_channel_unregister(int vid __rte_unused,
		uint16_t queue_id __rte_unused)
{
	return -1;
}

int
rte_vhost_async_channel_unregister_thread_unsafe(int vid __rte_unused,
		uint16_t queue_id __rte_unused)
{
	return -1;
}

int
rte_vhost_async_get_inflight(int vid __rte_unused,
		uint16_t queue_id __rte_unused)
{
	return -1;
}

int
rte_vhost_async_get_inflight_thread_unsafe(int vid __rte_unused,
		uint16_t queue_id __rte_unused)
{
	return -1;
}

uint16_t
rte_vhost_submit_enqueue_burst(int vid __rte_unused,
		uint16_t queue_id __rte_unused,
		struct rte_mbuf **pkts __rte_unused,
		uint16_t count __rte_unused, int16_t dma_id __rte_unused,
		uint16_t vchan_id __rte_unused)
{
	return 0;
}

uint16_t
rte_vhost_poll_enqueue_completed(int vid __rte_unused,
		uint16_t queue_id __rte_unused,
		struct rte_mbuf **pkts __rte_unused,
		uint16_t count __rte_unused, int16_t dma_id __rte_unused,
		uint16_t vchan_id __rte_unused)
{
	return 0;
}

uint16_t
rte_vhost_clear_queue(int vid __rte_unused, uint16_t queue_id __rte_unused,
		struct rte_mbuf **pkts __rte_unused,
		uint16_t count __rte_unused, int16_t dma_id __rte_unused,
		uint16_t vchan_id __rte_unused)
{
	return 0;
}

uint16_t
rte_vhost_clear_queue_thread_unsafe(int vid __rte_unused,
		uint16_t queue_id __rte_unused,
		struct rte_mbuf **pkts __rte_unused,
		uint16_t count __rte_unused, int16_t dma_id __rte_unused,
		uint16_t vchan_id __rte_unused)
{
	return 0;
}

uint16_t
rte_vhost_async_try_dequeue_burst(int vid __rte_unused,
		uint16_t queue_id __rte_unused,
		struct rte_mempool *mbuf_pool __rte_unused,
		struct rte_mbuf **pkts __rte_unused,
		uint16_t count __rte_unused, int *nr_inflight,
		int16_t dma_id __rte_unused, uint16_t vchan_id __rte_unused)
{
	*nr_inflight = -1;
	return 0;
}
