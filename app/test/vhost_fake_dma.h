/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_FAKE_DMA_H
#define VHOST_FAKE_DMA_H

/*
 * A DMA device in software, as real to the library as any dmadev, that does what a test
 * tells it to.  Several may exist, each with several channels.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

enum fake_dma_mode {
	FAKE_DMA_INSTANT,	/**< a copy is made when it is asked for; no locks */
	FAKE_DMA_REVERSED,	/**< made when submitted, the last first */
	FAKE_DMA_HELD,		/**< made when the test says so */
};

/**
 * Make a device, configured and started.
 *
 * @param ring  copies that a channel has room for, a power of two
 * @return its number, or -1
 */
int16_t fake_dma_create(enum fake_dma_mode mode, uint16_t nb_vchans, uint16_t ring);
void fake_dma_destroy(int16_t dma_id);

/** FAKE_DMA_HELD: make up to n of the copies that wait, the last of those first; how many. */
unsigned int fake_dma_run(int16_t dma_id, uint16_t vchan, unsigned int n);

/**
 * FAKE_DMA_HELD: whether copies that wait are made by themselves, as soon as somebody has asked
 * for what is done; no clock and no thread of their own decides when.
 */
void fake_dma_go_on(int16_t dma_id, uint16_t vchan, bool on);

/** Copies that were submitted and not made. */
unsigned int fake_dma_waiting(int16_t dma_id, uint16_t vchan);

/** Copies that were asked for since the device was made. */
uint64_t fake_dma_count(int16_t dma_id, uint16_t vchan);

/**
 * Of the copies asked for from now on fail those whose number divided by n leaves 0; 0:
 * none.  Not in FAKE_DMA_INSTANT.
 */
void fake_dma_fail_every(int16_t dma_id, uint16_t vchan, unsigned int n);

/** Refuse the next n copies, although there is room. */
void fake_dma_refuse(int16_t dma_id, uint16_t vchan, unsigned int n);

/** Addresses are these plus an offset, as if they were physical. */
void fake_dma_set_offset(int16_t dma_id, uint64_t offset);

/** Say that it has no ring, or that it has one again. */
void fake_dma_hide_ring(int16_t dma_id, bool hidden);

#endif /* VHOST_FAKE_DMA_H */
