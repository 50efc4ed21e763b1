/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_CELL_H
#define PERF_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver.h"

/** Seen from the host, as everywhere in vhost. */
enum direction {
	ENQUEUE,	/**< to the guest, ring 0 */
	DEQUEUE,	/**< from the guest, ring 1 */
};

/** How the guest cuts one buffer into descriptors. */
enum shape {
	SHAPE_SINGLE,	/**< header and data in one descriptor */
	SHAPE_CHAINED,	/**< header alone, then the data in pieces */
	SHAPE_INDIRECT,	/**< as chained, in an indirect table */
};

/** What the frames ask of the checksum and segmentation code. */
enum offload {
	OFFLOAD_ABSENT,	/**< not negotiated */
	OFFLOAD_UNUSED,	/**< negotiated, no frame uses it */
	OFFLOAD_CSUM,	/**< TCP checksum left to the receiver */
	OFFLOAD_TSO,	/**< TCP segmentation left to the receiver */
};

/** What is measured. */
enum action {
	ACTION_BURST,		/**< a burst that moves packets */
	ACTION_EMPTY_BURST,	/**< one that finds nothing: the guest offers nothing */
	ACTION_CALL,		/**< rte_vhost_vring_call() */
	ACTION_CALL_NONBLOCK,	/**< rte_vhost_vring_call_nonblock() */
};

/** One case that is measured: everything that tells it from the others. */
struct cell {
	char name[64];
	enum direction direction;
	const struct driver_ops *driver;	/**< ring format */
	bool mergeable;
	unsigned int size;		/**< bytes of a frame, without the virtio header */
	enum shape shape;
	enum offload offload;
	uint16_t burst;			/**< packets per call */
	unsigned int devices;		/**< served in turn, one burst each */
	uint16_t ring;			/**< descriptors */
	unsigned int segment;		/**< bytes per mbuf segment, 0: as it fits */
	unsigned int regions;		/**< guest memory regions */
	bool event_idx;
	bool in_order;
	size_t iommu_page;		/**< the guest has an IOMMU, with pages of this size; 0: none */
	bool async;			/**< copies by a DMA device that costs nothing but the copy */
	enum action action;
	bool notify;			/**< the guest sleeps: it wants to hear of what is used next */
	uint64_t flags;			/**< of rte_vhost_driver_register() */
};

/** Does a cell move packets?  Else calls of the library are counted. */
static inline bool
cell_moves(const struct cell *cell)
{
	return cell->action == ACTION_BURST;
}

/** Build the list of all cells; it lives until the process ends. */
const struct cell *cell_list(unsigned int *count);

/** Find a cell by its name, or NULL. */
const struct cell *cell_find(const char *name);

#endif /* PERF_CELL_H */
