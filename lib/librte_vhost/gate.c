/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include "doorbell.h"
#include "gate.h"
#include "vhost_virtqueue.h"

/** Turns of waiting, some tenths of a second, that no honest burst takes. */
#define STUCK_TURNS (1u << 24)

struct vhost_virtqueue *
vhost_gate_close(struct vhost_gate *gate)
{
	uint32_t expected = 0, turns = 0;

	__atomic_fetch_add(&gate->closing, 1, __ATOMIC_RELAXED);
	/* G3 pairs with G2 */
	while (!__atomic_compare_exchange_n(&gate->taken, &expected, 1, false,
			__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		expected = 0;
		rte_pause();
		/* who is inside may not swap the block, and the callfd is patched inside */
		if (++turns % STUCK_TURNS == 0 && gate->block != NULL)
			vhost_doorbell_unstick(gate->block->callfd);
	}
	return gate->block;
}

void
vhost_gate_open(struct vhost_gate *gate)
{
	vhost_gate_leave(gate);
	__atomic_fetch_sub(&gate->closing, 1, __ATOMIC_RELAXED);
}
