/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef POOLS_H
#define POOLS_H

/*
 * Packet buffers: one pool for each node that has guests or ports, made when the
 * first of them comes.  A pool stays until the end, because guests come back.
 *
 * All calls with the control lock held (vport.h).
 */

#include <rte_mempool.h>

#define POOLS_MAX 16

struct pool {
	struct rte_mempool *mbufs;
	int asked_node;		/**< that it was made for */
	int node;		/**< that the kernel says it is on; NODE_ANY: it does not say */
};

/** The best that is known of a pool's node. */
static inline int
pool_node(const struct pool *pool)
{
	return pool->node >= 0 ? pool->node : pool->asked_node;
}

/**
 * The pool for packets from a guest or port on a node: that node's own, or the
 * nearest one's if the node has no memory.  Made if there is none yet.
 *
 * @return
 *   NULL if there is no memory for packets anywhere; said in the log.
 */
const struct pool *pools_get(int node);

/** Pools that exist: the one with this index, NULL behind the last. */
const struct pool *pools_at(unsigned int index);

/** Release all pools; no packet may be left. */
void pools_free(void);

#endif /* POOLS_H */
