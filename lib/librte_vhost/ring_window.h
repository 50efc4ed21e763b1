/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_RING_WINDOW_H
#define VHOST_RING_WINDOW_H

/*
 * Rings in one piece that are not in one piece of the guest's memory.
 *
 * A guest with an IOMMU has neighbouring IOVAs for a ring of several pages, and may
 * have taken these pages from anywhere.  Whoever works on a ring wants one address for
 * each part of it: so the pages are mapped a second time, side by side.
 *
 * All of it under the control lock.
 */

#include <stddef.h>
#include <stdint.h>

struct mem_map;

/** Pieces that the longest part of a ring may be in: each has a page at least. */
#define RING_WINDOW_PIECES 130

/** Memory in one piece, at our address in a region. */
struct window_piece {
	uint8_t *host;
	size_t len;
};

/** The windows of a device. */
struct ring_windows;

struct ring_windows *vhost_ring_windows_create(void);

/** No ring is in use any more.  NULL is allowed. */
void vhost_ring_windows_destroy(struct ring_windows *windows);

/**
 * Where pieces are mapped one behind the other: there already, or from here on.
 *
 * @return our address of the first piece's first byte; NULL: not to be had, as with
 *         huge pages, which is logged once for a device
 */
uint8_t *vhost_ring_window(struct ring_windows *windows, struct mem_map *map,
		const struct window_piece *pieces, unsigned int n);

/** The window that an address is in, if it is in one, stays at the next sweep. */
void vhost_ring_windows_keep(struct ring_windows *windows, const void *host);

/** All that shall not stay goes. */
void vhost_ring_windows_sweep(struct ring_windows *windows);

#endif /* VHOST_RING_WINDOW_H */
