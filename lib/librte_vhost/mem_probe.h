/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_PROBE_H
#define VHOST_MEM_PROBE_H

/*
 * The kernel tells the node of a page only to a process that has mapped it.  A
 * probe maps those pages of a region's file that have memory already, in a
 * window of its own, and leaves the others alone.
 */

#include <stdint.h>

#include "mem_map.h"

/** How a probe knows which pages have memory. */
enum mem_probe_oracle {
	PROBE_TRAPPED,	/**< missing pages are trapped by userfaultfd */
	PROBE_ALL,	/**< the file has no holes */
	PROBE_MINCORE,	/**< mincore() tells */
	PROBE_CONTENT,	/**< what reads non-zero has memory */
	PROBE_NOTHING,	/**< it does not */
};

struct mem_probe {
	const struct mem_region *region;
	uint8_t *window;	/**< the file from offset 0, read-only */
	int trap;		/**< userfaultfd of the window, or -1 */
	enum mem_probe_oracle oracle;
};

/** Open a probe of a region that stays mapped: 0 or a negative errno. */
int vhost_mem_probe_open(struct mem_probe *probe, const struct mem_region *region);

/**
 * Map the page at an offset of the file if it has memory.
 *
 * @return its address in the window, good until the probe is closed; NULL when
 *         it has none, or nobody knows
 */
void *vhost_mem_probe_page(const struct mem_probe *probe, uint64_t offset);

void vhost_mem_probe_close(struct mem_probe *probe);

#endif /* VHOST_MEM_PROBE_H */
