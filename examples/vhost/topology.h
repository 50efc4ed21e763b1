/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef TOPOLOGY_H
#define TOPOLOGY_H

/*
 * The machine's NUMA nodes, as the kernel tells them: how far they are from each
 * other, and on which of them a piece of memory is.  Node numbers may have gaps.
 */

#include <stddef.h>
#include <stdint.h>

#define TOPOLOGY_MAX_NODES 64
/** The node of what could be anywhere. */
#define NODE_ANY (-1)
/** The kernel's distance of a node from itself. */
#define DISTANCE_LOCAL 10

/** Read the distances of all nodes. */
void topology_init(void);

/** Distance as in "numactl -H"; DISTANCE_LOCAL if either node is not known. */
int topology_distance(int from, int to);

/** Where the pages of some memory are, as far as a sample tells. */
struct page_census {
	uint32_t pages[TOPOLOGY_MAX_NODES];
	uint32_t seen;	/**< pages whose node the kernel told */
};

/**
 * Add to a census up to @p samples pages, spread evenly over the memory.
 *
 * Pages that this process has not touched are not counted, and stay untouched.
 */
void topology_count_pages(struct page_census *census, const void *start, size_t len,
		unsigned int samples);

/** Move those pages of some memory to a node which are in use and on another one. */
void topology_bring(void *start, size_t len, int node);

/** The node that most pages are on, or NODE_ANY if none was seen. */
int topology_main_node(const struct page_census *census);

#endif /* TOPOLOGY_H */
