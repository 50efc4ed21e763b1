/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_PROBE_H
#define VHOST_MEM_PROBE_H

/*
 * The kernel tells the node of a page only to a process that has mapped it.  A
 * probe maps those pages of a region that have memory already, in a window of its
 * own, and leaves the others alone.
 *
 * Pages are numbered from the region's first one.  The window is there to be asked
 * about, never to be read: nobody is told its address but vhost_node_query().  It
 * may stay open as long as the region does; what it costs are page tables (one for
 * each 2 MiB in which a page was mapped), no memory.
 */

#include <stdbool.h>
#include <stdint.h>

#include "mem_map.h"

/** Most pages of one vhost_mem_probe_map(). */
#define MEM_PROBE_PAGES 16

/** What kind of file a region is of. */
enum mem_probe_kind {
	PROBE_UNSEEN,	/**< not looked at yet */
	PROBE_MEMORY,	/**< shmem or hugetlbfs: its blocks are memory */
	PROBE_DISK,	/**< of a block device: it has pages in the page cache */
	PROBE_FOREIGN,	/**< whatever else, to be left alone */
};

/** How an armed probe knows which pages have memory. */
enum mem_probe_oracle {
	PROBE_NOTHING,	/**< it does not */
	PROBE_TRAPPED,	/**< missing pages are trapped by userfaultfd */
	PROBE_ALL,	/**< the file has no holes */
	PROBE_MINCORE,	/**< mincore() tells */
	PROBE_CONTENT,	/**< what reads non-zero has memory */
};

struct mem_probe {
	int fd;			/**< of the file; the region's */
	uint64_t offset;	/**< in the file of page 0 */
	uint64_t npages;
	size_t page_size;
	bool hugetlb;
	const struct mem_mapping *mapping;	/**< the region's own, only to compare */
	uint8_t *mapped;	/**< page 0 in it */
	uint8_t *window;	/**< page 0 in the window; NULL: none */
	enum mem_probe_kind kind;
	bool full;		/**< as many blocks as bytes, when looked at last */
	uint64_t file_size;	/**< likewise, in bytes */
	bool armed;		/**< pages may be mapped now */
	int trap;		/**< userfaultfd of the window, or -1 */
	enum mem_probe_oracle oracle;	/**< while armed */
};

/** A probe of a region, which stays mapped until it is closed.  No system call. */
void vhost_mem_probe_init(struct mem_probe *probe, const struct mem_region *region);

/**
 * How much memory the file has; it may be one of several regions.
 *
 * @return bytes; -1 when the file does not say
 */
int64_t vhost_mem_probe_bytes(struct mem_probe *probe);

/**
 * Which of n pages have memory, as far as mincore() sees: a mask.  Pages that were
 * allocated but never written, and those that are swapped out, are not among them;
 * on hugetlbfs it sees nothing, and all are.
 */
uint32_t vhost_mem_probe_resident(const struct mem_probe *probe, uint64_t page, unsigned int n);

/** Open the window, unless it is open, and make ready to map pages: 0 or a negative errno. */
int vhost_mem_probe_arm(struct mem_probe *probe);

/**
 * Map in the window those of up to MEM_PROBE_PAGES pages that have memory.
 *
 * @param page  the first of them
 * @param mask  which of them: those that vhost_mem_probe_resident() named, or, if
 *              vhost_mem_probe_is_exact(), any
 * @param[in,out] calls  grows by what this took: a hole counts twice
 * @return those that are mapped now
 */
uint32_t vhost_mem_probe_map(const struct mem_probe *probe, uint64_t page, uint32_t mask,
		unsigned int *calls);

/** Whether an armed probe finds holes by itself. */
bool vhost_mem_probe_is_exact(const struct mem_probe *probe);

/** No more pages are mapped; those that are stay so. */
void vhost_mem_probe_disarm(struct mem_probe *probe);

/** Close the window, if there is one. */
void vhost_mem_probe_close(struct mem_probe *probe);

/** The address of a page in the region's own mapping. */
static inline uint8_t *
mem_probe_mapped(const struct mem_probe *probe, uint64_t page)
{
	return probe->mapped + page * probe->page_size;
}

/** The address of a page in the window, which is open. */
static inline uint8_t *
mem_probe_window(const struct mem_probe *probe, uint64_t page)
{
	return probe->window + page * probe->page_size;
}

#endif /* VHOST_MEM_PROBE_H */
