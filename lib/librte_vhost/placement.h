/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_PLACEMENT_H
#define VHOST_PLACEMENT_H

/*
 * NUMA placement: which node a device and its queues belong on, from what is known
 * of the guest's memory.  Asks nobody: evidence comes from numa_evidence.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem_map.h"

/** Nodes that can be told apart; others count as unknown. */
#define PLACEMENT_MAX_NODES 64

/** The best that is known of a region. */
enum placement_evidence {
	PLACEMENT_NONE,		/**< nothing known yet: stay */
	PLACEMENT_POLICY,	/**< no page, but a memory policy that names a node */
	PLACEMENT_PAGES,	/**< the node of resident pages */
	PLACEMENT_REFUSED,	/**< the kernel does not answer (no NUMA, EPERM) */
};

/** Where the memory of one region is, or will be by its policy. */
struct placement_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t page_size;
	enum placement_evidence evidence;
	uint32_t asked;		/**< pages looked at */
	uint32_t known;		/**< of those, resident pages with a node */
	uint64_t bytes[PLACEMENT_MAX_NODES];	/**< estimate per node, from the sample */
};

/** Whether a node is one of those that can be told apart. */
static inline bool
placement_node_counts(int node)
{
	return node >= 0 && node < PLACEMENT_MAX_NODES;
}

/** A node as a bit of a mask; 0 for those that cannot be told apart. */
static inline uint64_t
placement_node_bit(int node)
{
	return placement_node_counts(node) ? UINT64_C(1) << node : 0;
}

/**
 * The node with most of the bytes; VHOST_NODE_ANY when there are none.
 *
 * @param bytes  PLACEMENT_MAX_NODES of them
 * @param tie    preferred among equals, or VHOST_NODE_ANY.  What differs by less
 *               than a sample can tell counts as equal.
 */
int vhost_placement_choose(const uint64_t *bytes, int tie);

/** The node with most of a region; VHOST_NODE_ANY when nothing is known. */
int vhost_placement_region_node(const struct placement_region *region);

/** How many pages of a ring are on each node. */
struct placement_vote {
	unsigned int pages[PLACEMENT_MAX_NODES];
	unsigned int by_policy[PLACEMENT_MAX_NODES];	/**< missing, but a policy names it */
	int first;		/**< node of the first page known: decides ties */
	int first_by_policy;
};

void vhost_placement_vote_begin(struct placement_vote *vote);

/** A page is on a node, or (by_policy) will be; what does not count is ignored. */
void vhost_placement_vote_page(struct placement_vote *vote, int node, bool by_policy);

/**
 * The node of a ring: where most of its resident pages are, else the one that a
 * memory policy names for them; VHOST_NODE_ANY when nothing is known.
 */
int vhost_placement_vote_node(const struct placement_vote *vote);

#endif /* VHOST_PLACEMENT_H */
