/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef DMA_H
#define DMA_H

/*
 * DMA devices that copy packets of some sockets instead of the lcores (--dmas).
 *
 * Each direction of a socket may have one.  A ring uses it from the moment it runs until
 * it stops; what is in flight then is waited for in the library's callback.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_vhost_async.h>

/** Directions, as the option calls them: seen from the host. */
enum dma_direction {
	DMA_TX,		/**< to the guest */
	DMA_RX,		/**< from the guest */
};

#define DMA_NONE (-1)

/** Start the devices of --dmas: 0 or a negative errno, after a line of log. */
int dma_start(void);

/** Stop them, when there are no guests any more. */
void dma_stop(void);

/** Whether a socket, by its number among the options, has any. */
bool dma_has(unsigned int socket);

/** The device of a guest's direction by the path of its socket, or DMA_NONE. */
int16_t dma_of(const char *path, enum dma_direction direction);

/** A ring of a guest runs, or does not any more; in vring_state_changed only. */
void dma_ring_changed(int vid, uint16_t ring, bool runs);

/** A guest goes and no lcore uses it: end what is in flight. */
void dma_guest_gone(int vid, uint16_t n_rings);

/** Packets of a guest that are in flight. */
uint32_t dma_in_flight(int vid, uint16_t n_rings);

/** Free packets that a guest was sent. */
static inline void
dma_complete(int vid, uint16_t ring, int16_t dma)
{
	struct rte_mbuf *pkts[64];
	uint16_t n;

	do {
		n = rte_vhost_poll_enqueue_completed(vid, ring, pkts, RTE_DIM(pkts), dma, 0);
		rte_pktmbuf_free_bulk(pkts, n);
	} while (n == RTE_DIM(pkts));
}

#endif /* DMA_H */
