/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_cryptodev.h>

#include "crypto/block.h"
#include "mem_heap.h"
#include "mem_node.h"

/** Buffers of a block: a request in guest memory takes two. */
static unsigned int
count_mbufs(const struct crypto_block_cfg *cfg)
{
	return cfg->map != NULL ? 2 * cfg->slots : cfg->slots;
}

/** Lay the rows of a block out behind its head, or only add their bytes up. */
static size_t
lay_out(const struct crypto_block_cfg *cfg, struct crypto_block *block)
{
	const size_t slots = RTE_ALIGN_CEIL(sizeof(*block), RTE_CACHE_LINE_SIZE);
	const size_t mbufs = slots + cfg->slots * sizeof(struct crypto_slot);
	const size_t numbers = mbufs + count_mbufs(cfg) * sizeof(struct rte_mbuf *);

	if (block != NULL) {
		block->slots = RTE_PTR_ADD(block, slots);
		block->mbufs = RTE_PTR_ADD(block, mbufs);
		block->free = RTE_PTR_ADD(block, numbers);
	}
	return numbers + cfg->slots * sizeof(uint16_t);
}

/** A pool of EAL's memory on a node, or where there is some. */
static struct rte_mempool *
create_pool(const struct crypto_block_cfg *cfg, uint32_t room)
{
	static uint64_t last_name;
	/* so that the data begins on a cache line */
	const uint16_t ticket = RTE_ALIGN_CEIL(sizeof(struct crypto_ticket), RTE_CACHE_LINE_SIZE);
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *pool;

	snprintf(name, sizeof(name), "vhost_crypto_%" PRIu64,
		__atomic_add_fetch(&last_name, 1, __ATOMIC_RELAXED));
	pool = rte_pktmbuf_pool_create(name, count_mbufs(cfg), 0, ticket, room, cfg->node);
	if (pool == NULL && cfg->node != SOCKET_ID_ANY)
		pool = rte_pktmbuf_pool_create(name, count_mbufs(cfg), 0, ticket, room,
			SOCKET_ID_ANY);
	return pool;
}

/** Take all buffers out of the pool, for good, and write their tickets. */
static int
take_mbufs(struct crypto_block *block)
{
	unsigned int i, n = count_mbufs(&block->cfg);

	if (rte_pktmbuf_alloc_bulk(block->pool, block->mbufs, n) != 0)
		return -1;
	for (i = 0; i < n; i++)
		*crypto_ticket(block->mbufs[i]) = (struct crypto_ticket){
			.crypto = block->cfg.crypto,
			.serial = block->cfg.serial,
			.buffer = block->mbufs[i]->buf_addr,
			.iova = block->mbufs[i]->buf_iova,
			.lane = block->cfg.lane,
		};
	block->nmbufs = n;
	return 0;
}

static int
fill(struct crypto_block *block)
{
	uint16_t i;

	block->digest_at = RTE_PKTMBUF_HEADROOM + VHOST_CRYPTO_MAX_DATA_SIZE + block->cfg.tailroom;
	block->pool = create_pool(&block->cfg, block->digest_at + CRYPTO_DIGEST_MAX);
	if (block->pool == NULL || take_mbufs(block) < 0)
		return -1;
	/* the lowest are taken first, and so on top */
	for (i = block->cfg.slots; i > 0; i--)
		block->free[block->nfree++] = i - 1;
	return 0;
}

struct crypto_block *
vhost_crypto_block_create(const struct crypto_block_cfg *cfg)
{
	int node;
	struct crypto_block *block = vhost_heap_alloc(lay_out(cfg, NULL), cfg->node, &node);

	if (block == NULL)
		return NULL;
	block->cfg = *cfg;
	block->node = node;
	lay_out(cfg, block);
	if (cfg->map != NULL)
		vhost_mem_map_get(cfg->map);
	if (fill(block) == 0)
		return block;
	vhost_crypto_block_destroy(block);
	return NULL;
}

void
vhost_crypto_block_destroy(struct crypto_block *block)
{
	if (block->nmbufs > 0)
		rte_mempool_put_bulk(block->pool, (void **)block->mbufs, block->nmbufs);
	rte_mempool_free(block->old_pool);
	rte_mempool_free(block->pool);
	vhost_mem_map_put(block->cfg.map);
	vhost_heap_free(block);
}

bool
vhost_crypto_block_move(struct crypto_block *to, struct crypto_block *from)
{
	uint16_t i;

	if (from->old_pool != NULL && !rte_mempool_full(from->old_pool))
		return false;
	to->under_way = from->under_way;
	to->nfree = from->nfree;
	memcpy(to->free, from->free, from->nfree * sizeof(to->free[0]));
	for (i = 0; i < from->cfg.slots; i++) {
		to->slots[i].mbuf = from->slots[i].mbuf;
		if (from->slots[i].mbuf != NULL)
			to->slots[i] = from->slots[i];
	}
	/* the buffers at hand are new ones; those under way find their pool again */
	to->old_pool = from->pool;
	rte_mempool_put_bulk(from->pool, (void **)from->mbufs, from->nmbufs);
	from->nmbufs = 0;
	from->under_way = 0;
	from->pool = NULL;
	return true;
}

bool
vhost_crypto_block_uses(const struct crypto_block *block, const void *session)
{
	uint16_t i;

	for (i = 0; i < block->cfg.slots && block->under_way > 0; i++)
		if (block->slots[i].mbuf != NULL && block->slots[i].session == session)
			return true;
	return false;
}
