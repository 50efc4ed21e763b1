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
 * Nobody spins for long: who is waited for may have lost its core, to a waiter of a
 * higher real-time priority even.  So a waiter sleeps after some thousand turns.
 *
 * Who is inside may write to a descriptor of the frontend, which a hostile one can
 * make block.  The gate knows these descriptors, so that an owner who waits too long,
 * or who looks after such writers (notify_watch), can free them.  Whoever uses one from
 * outside borrows it; who closes one waits for borrowers.
 *
 * Barriers: what was done inside is seen by who enters next.
 *  G1 acquire, a burst enters (gate_try_take)	pairs with G2
 *  G2 release, somebody leaves (vhost_gate_leave; so do G5 and G8) pairs with G1 and G3
 *  G3 acquire, the owner closes (vhost_gate_close)	pairs with G2
 *  G4 a burst is turned away (vhost_gate_try_again) pairs with G5 and G8: the owner, or
 *     who else was inside, hears of it, or the burst sees that the gate is free again
 *  G5 the owner opens (vhost_gate_open)		pairs with G4
 *  G6 a descriptor is borrowed (vhost_gate_borrow)	pairs with G7: it is the new one,
 *     or who replaced it waits
 *  G7 a descriptor is replaced (vhost_gate_set_doorbell), then borrowers are counted
 *     (vhost_gate_await_borrowers)			pairs with G6
 *  G8 who is no burst leaves (vhost_gate_leave_and_look)	pairs with G4
 *
 * A gate of zeros has no block: whoever enters leaves at once.
 *
 * All of this is verified in a model, doc/models/gate.pml, and what is said of descriptors
 * in doorbell.pml.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

struct vhost_virtqueue;

/** Descriptors that the gate knows. */
enum gate_doorbell {
	GATE_CALL,	/**< by which bursts notify the guest */
	GATE_KICK,	/**< by which the guest notifies the application, and we do */
	GATE_DOORBELLS
};

struct vhost_gate {
	uint32_t taken;		/**< 1 while somebody is inside */
	uint32_t closing;	/**< owners waiting or inside; bursts stay out */
	struct vhost_virtqueue *block;	/**< for who is inside; NULL: there is none */
	bool turned_away;	/**< a burst was, since this was asked last; atomic */
	uint32_t borrowers;	/**< of doorbells; atomic */
	int doorbells[GATE_DOORBELLS];	/**< descriptor + 1; 0 for none; atomic */
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

/**
 * The block.  Only who is inside may use it; but who enters a gate of zeros, which no
 * one has opened (vhost_queues_shut_down), must be able to see that there is none.
 */
static inline struct vhost_virtqueue *
gate_block(const struct vhost_gate *gate)
{
	return __atomic_load_n(&gate->block, __ATOMIC_RELAXED);
}

/** The block of who has just entered; without one, nobody stays inside. */
static inline struct vhost_virtqueue *
gate_entered(struct vhost_gate *gate)
{
	struct vhost_virtqueue *block = gate_block(gate);

	if (unlikely(block == NULL))
		vhost_gate_leave(gate);
	return block;
}

/** vhost_gate_enter() and vhost_gate_try_enter() for who did not get in at once. */
struct vhost_virtqueue *vhost_gate_wait(struct vhost_gate *gate);
struct vhost_virtqueue *vhost_gate_try_again(struct vhost_gate *gate);

/**
 * Enter the gate, waiting for whoever is inside or about to be; the block may be
 * used until vhost_gate_leave().  NULL when there is none.
 *
 * A burst to the guest has to wait: applications drop what is not taken.
 */
static inline struct vhost_virtqueue *
vhost_gate_enter(struct vhost_gate *gate)
{
	if (unlikely(gate_is_closing(gate)) || unlikely(!gate_try_take(gate)))
		return vhost_gate_wait(gate);
	return gate_entered(gate);
}

/** Enter the gate if nobody is inside or about to be; NULL otherwise. */
static inline struct vhost_virtqueue *
vhost_gate_try_enter(struct vhost_gate *gate)
{
	if (unlikely(gate_is_closing(gate)) || unlikely(!gate_try_take(gate)))
		return vhost_gate_try_again(gate);
	return gate_entered(gate);
}

/** Likewise, but nobody has to hear of it when the gate opens: the caller comes again. */
static inline struct vhost_virtqueue *
vhost_gate_enter_if_free(struct vhost_gate *gate)
{
	return gate_is_closing(gate) || !gate_try_take(gate) ? NULL : gate_entered(gate);
}

/**
 * Leave the gate as who is not a burst, and so may have been in the way of one.
 *
 * @return as vhost_gate_open()
 */
bool vhost_gate_leave_and_look(struct vhost_gate *gate);

/**
 * Close the gate: announce, then wait until nobody is inside.  Until
 * vhost_gate_open() the caller may read, change and replace the block, NULL when
 * there is none.  Not to be held across an allocation, a system call or a
 * callback.  Any thread.
 */
struct vhost_virtqueue *vhost_gate_close(struct vhost_gate *gate);

/**
 * Open it again.
 *
 * @return true if a burst was turned away since the last time: its application takes
 *         the ring for empty, and may go to sleep
 */
bool vhost_gate_open(struct vhost_gate *gate);

/** What may be written to from now on, negative for none.  Only the control side. */
void vhost_gate_set_doorbell(struct vhost_gate *gate, enum gate_doorbell which, int fd);

/**
 * Use a doorbell from outside: it stays open until vhost_gate_give_back().  Not to be
 * held across anything but ringing it.  Any thread.
 *
 * @return the descriptor, negative for none; to be given back in any case
 */
int vhost_gate_borrow(struct vhost_gate *gate, enum gate_doorbell which);
void vhost_gate_give_back(struct vhost_gate *gate);

/** Free who is inside and caught in a write to a doorbell, if one is full.  Any thread. */
void vhost_gate_free_writer(struct vhost_gate *gate);

/** Wait until nobody uses a doorbell that was replaced, so that it may be closed. */
void vhost_gate_await_borrowers(struct vhost_gate *gate, int fd);

#endif /* VHOST_GATE_H */
