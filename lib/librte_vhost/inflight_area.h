/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_INFLIGHT_AREA_H
#define VHOST_INFLIGHT_AREA_H

/*
 * The memory in which a backend remembers what it is working on, kept by the
 * frontend from one backend to the next (vhost-user, "Inflight I/O tracking").
 *
 * An area has one region per ring.  What a region looks like is the ring format's:
 * rte_vhost_inflight_info_split or _packed, see queue_inflight.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem_file.h"

struct vu_inflight;

/** An area as a frontend handed it over: a value with a reference. */
struct inflight_area {
	struct mem_mapping *mapping;	/**< one reference; NULL: there is no area */
	uint64_t offset;		/**< of the first region in the mapping, bytes */
	uint64_t size;			/**< of all regions, bytes */
	uint16_t num_queues;		/**< regions */
	uint16_t queue_size;		/**< descriptors that each has room for */
};

/**
 * Make a file that is an area, with no more in it than a backend that has not
 * started leaves.
 *
 * @param format  of the rings: VQ_PACKED or 0
 * @param wire    how many rings of which size; completed with the size
 * @param node    where it should be, or VHOST_NODE_ANY
 * @return the descriptor, the caller's; or a negative errno
 */
int vhost_inflight_make(const struct mem_owner *owner, unsigned int format, struct vu_inflight *wire, int node);

/**
 * Map an area that a frontend hands over, none of which is trusted.
 *
 * @param fd    its file, still the caller's: the mapping needs it no more
 * @param[out] area  with a reference, the caller's
 * @return 0 or a negative errno, with a line in the log
 */
int vhost_inflight_adopt(const struct mem_owner *owner, unsigned int format, const struct vu_inflight *wire,
		int fd, struct inflight_area *area);

/** The region of a ring, NULL if there is none.  The area outlives whoever uses it. */
void *vhost_inflight_region(const struct inflight_area *area, unsigned int format,
		uint32_t index);

/** Bytes of a region. */
size_t vhost_inflight_region_bytes(unsigned int format, uint32_t queue_size);

/** Another reference to the same area, which may be none. */
struct inflight_area vhost_inflight_area_get(const struct inflight_area *area);

/** Drop a reference; the last one unmaps.  No area is left. */
void vhost_inflight_area_put(struct inflight_area *area);

/** Whether the file was truncated under us: the device has to go. */
bool vhost_inflight_area_is_broken(const struct inflight_area *area);

#endif /* VHOST_INFLIGHT_AREA_H */
