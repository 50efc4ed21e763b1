/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_PROBE_H
#define VHOST_MEM_PROBE_H

/*
 * The kernel tells the node of a page only to a process that has mapped it.  A
 * window maps some runs of a region's pages once more, side by side, and of those
 * only the pages that have memory already.
 *
 * A window is there to be asked about, never to be read: nobody is told its address
 * but vhost_node_query().  It may stay open as long as the region does.  It costs
 * address space for its pages, a mapping for each run and a page table or two; no
 * memory.
 */

#include <stdbool.h>
#include <stdint.h>

#include "mem_map.h"

/** Runs of a window, and pages of a run. */
#define MEM_WINDOW_RUNS 16
#define MEM_RUN_PAGES 16

/** What kind of file a region is of. */
enum mem_probe_kind {
	PROBE_UNSEEN,	/**< not looked at yet */
	PROBE_MEMORY,	/**< shmem or hugetlbfs: its blocks are memory */
	PROBE_CACHE,	/**< another regular file: it has pages in the page cache */
	PROBE_FOREIGN,	/**< whatever else, to be left alone */
};

/** How a window knows which pages have memory. */
enum mem_probe_oracle {
	PROBE_NOTHING,	/**< it does not */
	PROBE_TRAPPED,	/**< missing pages are trapped by userfaultfd */
	PROBE_ALL,	/**< the file has no holes */
	PROBE_MINCORE,	/**< mincore() tells */
	PROBE_CONTENT,	/**< what reads non-zero has memory */
};

/** A region, and what is known of its file.  Its pages are numbered from the first one. */
struct mem_probe {
	const struct mem_mapping *mapping;	/**< the region's, only to compare */
	int fd;			/**< of the file; the mapping's */
	uint64_t offset;	/**< in the file of page 0 */
	uint64_t npages;
	size_t page_size;
	bool hugetlb;
	uint8_t *mapped;	/**< page 0 in the region's mapping */
	enum mem_probe_kind kind;
	bool full;		/**< as many blocks as bytes, when looked at last */
};

/** Pages next to each other. */
struct mem_run {
	uint64_t page;		/**< the first one */
	unsigned int n;		/**< how many, MEM_RUN_PAGES at most */
};

/** Runs of a region, mapped side by side: their pages are numbered through. */
struct mem_window {
	uint8_t *at;		/**< the first one; NULL: not open */
	size_t page_size;
	unsigned int npages;
	unsigned int nruns;
	void *reserved;		/**< address space that it lies in */
	size_t reserved_size;
	int trap;		/**< userfaultfd, or -1 */
	enum mem_probe_oracle oracle;	/**< PROBE_NOTHING unless armed */
};

/** A probe of a region, which stays mapped as long as it is used.  No system call. */
void vhost_mem_probe_init(struct mem_probe *probe, const struct mem_region *region);

/**
 * How much memory the file has, of which the region may be a part.
 *
 * @return bytes; -1 when the file does not say
 */
int64_t vhost_mem_probe_bytes(struct mem_probe *probe);

/**
 * Which pages of a run have memory, as far as mincore() sees: a mask.  Pages that were
 * allocated but never written, and those that are swapped out, are not among them; nor
 * are pages that are not small.
 */
uint32_t vhost_mem_probe_resident(const struct mem_probe *probe, const struct mem_run *run);

/**
 * Open the file of a region once more, for vhost_mem_probe_next_data(): with a position
 * of its own, as the frontend shares the other one.
 *
 * @return a descriptor, to be closed by the caller; -1 where looking for data is no use
 */
int vhost_mem_probe_reopen(struct mem_probe *probe);

/**
 * The first page from *page on that was written, as far as the kernel tells.
 *
 * @return false when there is none in the region
 */
bool vhost_mem_probe_next_data(const struct mem_probe *probe, int fd, uint64_t *page);

/**
 * Open a window on some runs, unless it is open, and make ready to map pages.
 *
 * @param window  all zero, or closed, or open on the same runs
 * @return 0 or a negative errno: it is as before
 */
int vhost_mem_window_arm(struct mem_window *window, struct mem_probe *probe,
		const struct mem_run *runs, unsigned int nruns);

/** Whether an armed window finds holes by itself, without mincore(). */
bool vhost_mem_window_is_exact(const struct mem_window *window);

/**
 * Map those of n pages that have memory.
 *
 * @param i       the first of them, in the armed window
 * @param budget  calls that may be made; those made are taken off, holes twice
 * @return how many were there
 */
unsigned int vhost_mem_window_map(const struct mem_window *window, const struct mem_probe *probe,
		const struct mem_run *runs, unsigned int i, unsigned int n,
		unsigned int *budget);

/** Map no more pages; those that are stay so. */
void vhost_mem_window_disarm(struct mem_window *window);

/** Whether it may stay open; else there are too many mappings in this process. */
bool vhost_mem_window_may_stay(const struct mem_window *window);

/** Close it, if it is open. */
void vhost_mem_window_close(struct mem_window *window);

/** The address of a page in the region's mapping. */
static inline void *
mem_probe_page(const struct mem_probe *probe, uint64_t page)
{
	return probe->mapped + page * probe->page_size;
}

/** The address of a window's page. */
static inline void *
mem_window_page(const struct mem_window *window, unsigned int i)
{
	return window->at + i * window->page_size;
}

#endif /* VHOST_MEM_PROBE_H */
