/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_CRYPTO_LANE_H
#define VHOST_CRYPTO_LANE_H

/*
 * Who may touch the requests of a ring now?  A lane is a ring's stable handle here, as
 * struct vhost_queue is elsewhere: its lock guards the block in place and those that
 * were left behind with operations under way.  Inside of it a burst enters the gate of
 * the queue, in this order.
 *
 * A block that is left behind has nothing to say to the guest any more: all its
 * requests were answered, with an error, when it was left.  An operation that comes
 * back later gives its slot and buffers back and that is all; with the last one the
 * block goes, and the guest memory that it may have worked in.
 */

#include <stdbool.h>

#include <rte_spinlock.h>

#include "crypto/block.h"

struct vhost_queue;

struct crypto_lane {
	rte_spinlock_t lock;
	bool paused;		/**< no more requests are taken; those under way go on */
	struct crypto_block *block;	/**< in place; NULL: no requests are taken */
	struct crypto_block *left;	/**< left behind */
} __rte_cache_aligned;

/** The block in a locked lane of an operation, or NULL. */
static inline struct crypto_block *
crypto_lane_find(struct crypto_lane *lane, uint64_t serial)
{
	struct crypto_block *block = lane->block;

	if (likely(block != NULL && block->cfg.serial == serial))
		return block;
	for (block = lane->left; block != NULL; block = block->next)
		if (block->cfg.serial == serial)
			break;
	return block;
}

/** Take no more requests, but let those under way come back; or go on. */
void vhost_crypto_lane_pause(struct crypto_lane *lane, bool paused);

/** How many requests are under way that the guest waits for. */
unsigned int vhost_crypto_lane_under_way(struct crypto_lane *lane);

/** Whether an operation on its way uses that session. */
bool vhost_crypto_lane_uses(struct crypto_lane *lane, const void *session);

/**
 * Leave the block in place, if there is one, behind.  The guest gets an error for each
 * request under way, if the ring still runs.
 *
 * @param q  NULL when the queue is no more
 */
void vhost_crypto_lane_leave(struct crypto_lane *lane, struct vhost_queue *q);

/** Put a block in place of another one, whose requests go on in it: the old one, or NULL when that cannot be. */
struct crypto_block *vhost_crypto_lane_move(struct crypto_lane *lane, struct crypto_block *to);

/** Put a first block in place: requests are taken from now on. */
void vhost_crypto_lane_open(struct crypto_lane *lane, struct crypto_block *block);

/**
 * Free what was left behind and has nothing under way.
 *
 * @param maps  the control lock is held: those with guest memory as well
 * @return whether something is still there
 */
bool vhost_crypto_lane_sweep(struct crypto_lane *lane, bool maps);

#endif /* VHOST_CRYPTO_LANE_H */
