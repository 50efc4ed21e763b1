/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "options.h"
#include "pools.h"
#include "switch_log.h"
#include "topology.h"

/* Buffers that an lcore keeps at hand. */
#define CACHE_SIZE 256
/* With fewer, the caches of a few lcores could hold all. */
#define FEWEST_MBUFS 1024
/* Pages of a pool whose nodes are asked. */
#define PAGE_SAMPLES 64

static struct pool pools[POOLS_MAX];
static unsigned int n_pools;
/* Which pool serves a node; several nodes may share one. */
static const struct pool *serving[TOPOLOGY_MAX_NODES];

static void
count_chunk(struct rte_mempool *mbufs, void *census, struct rte_mempool_memhdr *chunk,
		unsigned int index __rte_unused)
{
	topology_count_pages(census, chunk->addr, chunk->len,
			PAGE_SAMPLES / RTE_MIN(mbufs->nb_mem_chunks, (uint32_t)PAGE_SAMPLES));
}

/** The node of a pool as the kernel tells it: EAL knows only what it has asked for. */
static int
node_of(struct rte_mempool *mbufs)
{
	struct page_census census = { 0 };

	rte_mempool_mem_iter(mbufs, count_chunk, &census);
	return topology_main_node(&census);
}

/** As many buffers as there is room for, up to the node's share. */
static struct rte_mempool *
create_mbufs(int node)
{
	unsigned int wanted = RTE_MAX(options.total_mbufs / RTE_MAX(rte_socket_count(), 1u),
			(unsigned int)FEWEST_MBUFS);
	struct rte_mempool *mbufs;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "mbufs_n%d", node);
	for (unsigned int n = wanted; n >= FEWEST_MBUFS; n /= 2) {
		mbufs = rte_pktmbuf_pool_create(name, n, CACHE_SIZE, 0,
				RTE_MBUF_DEFAULT_BUF_SIZE, node);
		if (mbufs != NULL) {
			if (n < wanted)
				LOG(WARNING, "pool %s: room for %u of %u mbufs", name, n, wanted);
			return mbufs;
		}
	}
	return NULL;
}

static const struct pool *
create(int node)
{
	struct pool *pool = &pools[n_pools];

	if (n_pools == POOLS_MAX)
		return NULL;
	pool->mbufs = create_mbufs(node);
	if (pool->mbufs == NULL)
		return NULL;
	pool->asked_node = node;
	pool->node = node_of(pool->mbufs);
	n_pools++;
	LOG(INFO, "pool %s: %u mbufs on node %d", pool->mbufs->name, pool->mbufs->size, pool->node);
	if (pool->node != NODE_ANY && pool->node != node)
		LOG(WARNING, "pool %s is on node %d, distance %d instead of %d: EAL has no memory "
				"that it can place", pool->mbufs->name, pool->node,
				topology_distance(node, pool->node), DISTANCE_LOCAL);
	return pool;
}

/** Of EAL's nodes not tried yet, the nearest to a node; NODE_ANY if none is left. */
static int
nearest_untried(int node, const bool tried[TOPOLOGY_MAX_NODES])
{
	int best = NODE_ANY;

	for (unsigned int i = 0; i < rte_socket_count(); i++) {
		int other = rte_socket_id_by_idx(i);

		if (other < 0 || other >= TOPOLOGY_MAX_NODES || tried[other])
			continue;
		if (other == node)
			return node;
		if (best == NODE_ANY ||
				topology_distance(node, other) < topology_distance(node, best))
			best = other;
	}
	return best;
}

static const struct pool *
find_or_create(int node)
{
	static bool said;	/* it is tried again every second */
	bool tried[TOPOLOGY_MAX_NODES] = { false };
	const struct pool *pool;
	int other;

	while ((other = nearest_untried(node, tried)) != NODE_ANY) {
		pool = serving[other] != NULL ? serving[other] : create(other);
		if (pool != NULL && other != node)
			LOG(WARNING, "no memory for a pool on node %d: mbufs come from node %d, "
					"distance %d instead of %d", node, pool->asked_node,
					topology_distance(node, pool->asked_node), DISTANCE_LOCAL);
		if (pool != NULL)
			return pool;
		tried[other] = true;
	}
	if (!said)
		LOG(ERR, "no memory for packets on any node; give EAL more (-m, --socket-mem)");
	said = true;
	return NULL;
}

const struct pool *
pools_get(int node)
{
	if (node < 0 || node >= TOPOLOGY_MAX_NODES)
		node = RTE_MAX(rte_socket_id_by_idx(0), 0);
	if (serving[node] == NULL)
		serving[node] = find_or_create(node);
	return serving[node];
}

const struct pool *
pools_at(unsigned int index)
{
	return index < n_pools ? &pools[index] : NULL;
}

void
pools_free(void)
{
	for (unsigned int i = 0; i < n_pools; i++)
		rte_mempool_free(pools[i].mbufs);
	n_pools = 0;
}
