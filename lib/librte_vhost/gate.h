/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_GATE_H
#define VHOST_GATE_H

/*
 * Who may touch a queue's block now: a try-lock with preference for the writer,
 * who swaps or patches the block.
 *
 * Whoever is inside owns the block until it leaves.  A polling lcore re-takes a
 * free gate faster than anyone, so the owner of the queue announces itself in
 * 'closing' first, and bursts stay out while that is not zero: those from the
 * guest return 0 packets once, those to the guest wait, as applications drop what
 * does not go out at once.
 *
 * Nothing is allocated, freed, logged or called back while a gate is closed.
 *
 * Barriers: what was done inside is seen by who enters next.
 *  G1 acquire, a burst enters (gate_try_take)	pairs with G2
 *  G2 release, somebody leaves (vhost_gate_leave)	pairs with G1 and G3
 *  G3 acquire, the owner closes (vhost_gate_close)	pairs with G2
 *
 * A gate of zeros has no block: whoever enters leaves at once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_pause.h>

struct vhost_virtqueue;

struct vhost_gate {
	uint32_t taken;		/**< 1 while somebody is inside */
	uint32_t closing;	/**< owners waiting or inside; bursts stay out */
	struct vhost_virtqueue *block;	/**< for who is inside; NULL: there is none */
} __rte_cache_aligned;

/** Leave the gate; the block is not the caller's any more. */
static inline void
vhost_gate_leave(struct vhost_gate *gate)
{
	/* G2 pairs with G1 and G3 */
	__atomic_store_n(&gate->taken, 0, __ATOMIC_RELEASE);
}

/** Be the one inside, unless somebody is. */
static inline bool
gate_try_take(struct vhost_gate *gate)
{
	uint32_t expected = 0;

	/* G1 pairs with G2 */
	return __atomic_compare_exchange_n(&gate->taken, &expected, 1, false,
		__ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline bool
gate_is_closing(const struct vhost_gate *gate)
{
	return __atomic_load_n(&gate->closing, __ATOMIC_RELAXED) != 0;
}

/** The block of who has just entered; without one, nobody stays inside. */
static inline struct vhost_virtqueue *
gate_entered(struct vhost_gate *gate)
{
	struct vhost_virtqueue *block = gate->block;

	if (unlikely(block == NULL))
		vhost_gate_leave(gate);
	return block;
}

/**
 * Enter the gate, waiting for whoever is inside or about to be; the block may be
 * used until vhost_gate_leave().  NULL when there is none.
 *
 * A burst to the guest has to wait: applications drop what is not taken.
 */
static inline struct vhost_virtqueue *
vhost_gate_enter(struct vhost_gate *gate)
{
	while (unlikely(gate_is_closing(gate)) || unlikely(!gate_try_take(gate)))
		rte_pause();
	return gate_entered(gate);
}

/** Enter the gate if nobody is inside or about to be; NULL otherwise. */
static inline struct vhost_virtqueue *
vhost_gate_try_enter(struct vhost_gate *gate)
{
	if (unlikely(gate_is_closing(gate)) || unlikely(!gate_try_take(gate)))
		return NULL;
	return gate_entered(gate);
}

/**
 * Close the gate: announce, then wait until nobody is inside.  Until
 * vhost_gate_open() the caller may read, change and replace the block, NULL when
 * there is none.  Not to be held across an allocation, a system call or a
 * callback.  Any thread.
 */
struct vhost_virtqueue *vhost_gate_close(struct vhost_gate *gate);

void vhost_gate_open(struct vhost_gate *gate);

#endif /* VHOST_GATE_H */
