/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_CRYPTO_BLOCK_H
#define VHOST_CRYPTO_BLOCK_H

/*
 * Requests of one ring that are on their way through a cryptodev: a block of memory
 * on the ring's node, and buffers of EAL's, which a cryptodev can reach, on the same.
 *
 * An operation knows its request by the number of the slot and the serial of the
 * block (struct crypto_ticket, next to its buffer), never by an address in here: the
 * block is built again elsewhere while operations are under way.  What is to be
 * written to the guest in the end is known by guest addresses, which are translated
 * when it is written, with the memory that the guest has then.
 *
 * Who holds the lock of the lane owns its blocks (lane.h).
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "rte_vhost_crypto.h"

#include "mem_map.h"

struct vhost_crypto;

/** Most requests of a ring under way. */
#define CRYPTO_SLOTS_MAX 1024

/** Room for a digest behind the data. */
#define CRYPTO_DIGEST_MAX 64

/** What an operation carries: in the private area of its buffer. */
struct crypto_ticket {
	struct vhost_crypto *crypto;	/**< stays for ever */
	uint64_t serial;	/**< of the block */
	uint8_t *buffer;	/**< the mbuf's own, wherever it points for now */
	rte_iova_t iova;	/**< of the buffer */
	uint16_t lane;		/**< the ring's index */
	uint16_t slot;		/**< of the request that it is used for */
};

static inline struct crypto_ticket *
crypto_ticket(struct rte_mbuf *mbuf)
{
	return rte_mbuf_to_priv(mbuf);
}

/** Bytes of the buffer that go to guest memory. */
struct crypto_result {
	uint64_t gpa;
	uint32_t len;
	uint32_t from;		/**< offset in the buffer */
};

/** A request under way; what most need is in one cache line. */
struct crypto_slot {
	struct rte_mbuf *mbuf;	/**< NULL: the slot is free */
	struct rte_mbuf *target;	/**< where the result goes, in guest memory; or NULL */
	void *session;		/**< the cryptodev's, not to be freed meanwhile */
	uint64_t status_gpa;
	uint32_t used_len;	/**< bytes written if all goes well */
	uint16_t head;		/**< by which the driver knows the chain */
	uint8_t nresults;
	bool in_place;		/**< the buffer is guest memory */
	struct crypto_result results[VHOST_CRYPTO_MAX_N_DESC];
} __rte_cache_aligned;

/** What a block is built for; others need another one. */
struct crypto_block_cfg {
	struct vhost_crypto *crypto;
	uint64_t serial;	/**< never used twice */
	uint16_t lane;
	uint16_t slots;		/**< requests under way at most */
	int node;		/**< where it shall be, or VHOST_NODE_ANY */
	uint16_t tailroom;	/**< bytes behind the data that the cryptodev may spoil */
	struct mem_map *map;	/**< zero copy: of the memory in which it works; or NULL */
};

struct crypto_block {
	struct crypto_block *next;	/**< of those that are left behind */
	struct crypto_block_cfg cfg;	/**< holds a reference of the map */
	int node;		/**< where it is */
	uint16_t under_way;	/**< slots that are not free */
	uint16_t nfree;		/**< free slots */
	uint16_t nmbufs;	/**< buffers at hand */
	uint32_t digest_at;	/**< offset in a buffer */
	struct rte_mempool *pool;	/**< of the buffers */
	struct rte_mempool *old_pool;	/**< of some that are under way since the last move */
	uint16_t *free;		/**< their numbers */
	struct rte_mbuf **mbufs;
	struct crypto_slot *slots;
};

/**
 * Build a block.  Control lock held if there is a map.
 *
 * @return NULL when that node gives no memory; buffers are taken from anywhere then
 */
struct crypto_block *vhost_crypto_block_create(const struct crypto_block_cfg *cfg);

/** Free a block of which nothing is under way.  Control lock held if it has a map. */
void vhost_crypto_block_destroy(struct crypto_block *block);

/**
 * What is under way goes on in another block, which was built for the same lane and
 * slots, and is known by the old one's serial from then on.
 *
 * @return false, with nothing changed: there are buffers of two pools under way
 */
bool vhost_crypto_block_move(struct crypto_block *to, struct crypto_block *from);

/** Whether some request of a block uses this session. */
bool vhost_crypto_block_uses(const struct crypto_block *block, const void *session);

/** A free slot, clear, with a buffer, of which there are never fewer; NULL when there is none. */
static inline struct crypto_slot *
crypto_block_take(struct crypto_block *block, uint16_t *number)
{
	struct crypto_slot *slot;

	if (block->nfree == 0)
		return NULL;
	*number = block->free[--block->nfree];
	slot = &block->slots[*number];
	slot->mbuf = block->mbufs[--block->nmbufs];
	block->under_way++;
	return slot;
}

/** Another buffer, for crypto_slot.target: a block with a map has two for each slot. */
static inline struct rte_mbuf *
crypto_block_take_mbuf(struct crypto_block *block)
{
	return block->mbufs[--block->nmbufs];
}

static inline void
crypto_block_give_mbuf(struct crypto_block *block, struct rte_mbuf *mbuf)
{
	if (likely(mbuf->pool == block->pool))
		block->mbufs[block->nmbufs++] = mbuf;
	else
		rte_mempool_put(mbuf->pool, mbuf);
}

/** A buffer that pointed to guest memory is its own again. */
static inline void
crypto_block_restore(const struct crypto_block *block, struct rte_mbuf *mbuf)
{
	const struct crypto_ticket *ticket = crypto_ticket(mbuf);

	mbuf->buf_addr = ticket->buffer;
	rte_mbuf_iova_set(mbuf, ticket->iova);
	mbuf->buf_len = block->digest_at + CRYPTO_DIGEST_MAX;
	mbuf->data_off = RTE_PKTMBUF_HEADROOM;
}

/** A slot is as it was when it was taken. */
static inline void
crypto_block_clear(struct crypto_block *block, struct crypto_slot *slot)
{
	if (unlikely(slot->target != NULL)) {
		crypto_block_restore(block, slot->target);
		crypto_block_give_mbuf(block, slot->target);
		slot->target = NULL;
	}
	if (unlikely(slot->in_place))
		crypto_block_restore(block, slot->mbuf);
	slot->in_place = false;
	slot->nresults = 0;
}

/** Give a slot and its buffers back. */
static inline void
crypto_block_give(struct crypto_block *block, struct crypto_slot *slot)
{
	crypto_block_clear(block, slot);
	crypto_block_give_mbuf(block, slot->mbuf);
	slot->mbuf = NULL;
	block->free[block->nfree++] = slot - block->slots;
	block->under_way--;
}

#endif /* VHOST_CRYPTO_BLOCK_H */
