/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_FRAME_H
#define PERF_FRAME_H

#include <rte_mbuf.h>

#include "cell.h"

/** The virtio header with num_buffers, always present as all cells are virtio 1. */
#define NET_HDR_LEN 12

/** Longest frame. */
#define FRAME_MAX 9216

/** Segment size that the guest or the host asks for in TSO cells. */
#define FRAME_MSS 1448

/** Write frame number "index" of a cell: headers where it is about them, else random bytes. */
void frame_fill(uint8_t *frame, const struct cell *cell, unsigned int index);

/** Is this what a guest should find of frame number "index"? */
bool frame_arrived(const uint8_t *frame, const struct cell *cell, unsigned int index);

/**
 * What is checksum in a frame and depends on who asks, as frame_arrived() knows:
 * where it is, or 0 if there is nothing of the kind in the frames of a cell.
 */
unsigned int frame_open_sum(const struct cell *cell);

/** The header that a guest puts in front of a frame it sends. */
void frame_guest_header(uint8_t *header, const struct cell *cell);

/** Is this the header that a guest should find in front of a frame? */
bool frame_check_guest_header(const uint8_t *header, const struct cell *cell,
			      unsigned int buffers);

/** An mbuf that holds a frame and asks for what the cell is about, or NULL. */
struct rte_mbuf *frame_make_mbuf(struct rte_mempool *pool, const struct cell *cell,
				 unsigned int index);

/** Does an mbuf received from the guest say what the cell is about? */
bool frame_check_mbuf(const struct rte_mbuf *mbuf, const struct cell *cell);

#endif /* PERF_FRAME_H */
