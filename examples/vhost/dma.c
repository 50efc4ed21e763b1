/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_dmadev.h>
#include <rte_vhost.h>

#include "dma.h"
#include "options.h"
#include "switch_log.h"

/** Copies that a device has room for, if it can have so many. */
#define RING 4096

/** How long a callback waits for copies; what takes longer the library ends. */
#define PATIENCE_US 10000

static bool started[RTE_DMADEV_DEFAULT_MAX];

static int
set_up(int16_t dma)
{
	const struct rte_dma_conf conf = { .nb_vchans = 1 };
	struct rte_dma_vchan_conf vchan = { .direction = RTE_DMA_DIR_MEM_TO_MEM };
	struct rte_dma_info info;

	if (rte_dma_info_get(dma, &info) != 0)
		return -EIO;
	vchan.nb_desc = RTE_MIN(info.max_desc, (uint16_t)RING);
	if (rte_dma_configure(dma, &conf) != 0 || rte_dma_vchan_setup(dma, 0, &vchan) != 0 ||
			rte_dma_start(dma) != 0 || rte_vhost_async_dma_configure(dma, 0) != 0)
		return -EIO;
	return 0;
}

static int
start_one(int16_t dma)
{
	if (dma == DMA_NONE || started[dma])
		return 0;
	if (set_up(dma) < 0) {
		LOG(ERR, "DMA device %d cannot be started", dma);
		return -EIO;
	}
	started[dma] = true;
	return 0;
}

int
dma_start(void)
{
	int ret = 0;

	for (unsigned int i = 0; i < OPTIONS_MAX_SOCKETS && ret == 0; i++) {
		ret = start_one(options.dmas[i][DMA_TX]);
		if (ret == 0)
			ret = start_one(options.dmas[i][DMA_RX]);
	}
	return ret;
}

void
dma_stop(void)
{
	for (int16_t dma = 0; dma < RTE_DMADEV_DEFAULT_MAX; dma++) {
		if (!started[dma])
			continue;
		if (rte_vhost_async_dma_unconfigure(dma, 0) != 0)
			LOG(WARNING, "DMA device %d has copies under way", dma);
		rte_dma_stop(dma);
		started[dma] = false;
	}
}

bool
dma_has(unsigned int socket)
{
	return options.dmas[socket][DMA_TX] != DMA_NONE || options.dmas[socket][DMA_RX] != DMA_NONE;
}

int16_t
dma_of(const char *path, enum dma_direction direction)
{
	for (unsigned int i = 0; i < options.n_sockets; i++)
		if (strcmp(options.sockets[i], path) == 0)
			return options.dmas[i][direction];
	return DMA_NONE;
}

/** The device of a ring: even ones lead to the guest. */
static int16_t
dma_of_ring(int vid, uint16_t ring)
{
	char path[108];

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) != 0)
		return DMA_NONE;
	return dma_of(path, ring % 2 == 0 ? DMA_TX : DMA_RX);
}

typedef uint16_t (*clear_t)(int vid, uint16_t ring, struct rte_mbuf **pkts, uint16_t count,
		int16_t dma, uint16_t vchan);
typedef int (*in_flight_t)(int vid, uint16_t ring);

/** Wait for what is in flight, within limits. */
static void
drain(int vid, uint16_t ring, int16_t dma, clear_t clear, in_flight_t in_flight)
{
	const uint64_t end = rte_get_timer_cycles() +
		PATIENCE_US * rte_get_timer_hz() / 1000000;
	struct rte_mbuf *pkts[32];

	while (in_flight(vid, ring) > 0 && rte_get_timer_cycles() < end) {
		uint16_t n = clear(vid, ring, pkts, RTE_DIM(pkts), dma, 0);

		rte_pktmbuf_free_bulk(pkts, n);
	}
}

void
dma_ring_changed(int vid, uint16_t ring, bool runs)
{
	int16_t dma = dma_of_ring(vid, ring);

	if (dma == DMA_NONE)
		return;
	if (runs) {
		if (rte_vhost_async_get_inflight_thread_unsafe(vid, ring) < 0)
			rte_vhost_async_channel_register_thread_unsafe(vid, ring);
		return;
	}
	drain(vid, ring, dma, rte_vhost_clear_queue_thread_unsafe,
		rte_vhost_async_get_inflight_thread_unsafe);
	rte_vhost_async_channel_unregister_thread_unsafe(vid, ring);
}

void
dma_guest_gone(int vid, uint16_t n_rings)
{
	for (uint16_t ring = 0; ring < n_rings; ring++) {
		int16_t dma = dma_of_ring(vid, ring);

		if (dma == DMA_NONE)
			continue;
		drain(vid, ring, dma, rte_vhost_clear_queue, rte_vhost_async_get_inflight);
	}
}

uint32_t
dma_in_flight(int vid, uint16_t n_rings)
{
	uint32_t sum = 0;

	for (uint16_t ring = 0; ring < n_rings; ring++)
		if (dma_of_ring(vid, ring) != DMA_NONE)
			sum += RTE_MAX(rte_vhost_async_get_inflight(vid, ring), 0);
	return sum;
}
