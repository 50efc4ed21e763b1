/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <time.h>

#include <rte_pause.h>

#include "doorbell.h"
#include "gate.h"

/** Turns of waiting before the core is given up: longer than bursts take. */
#define SPIN_TURNS 4096

/** How long each turn after those takes. */
#define SLEEP_NS 50000

/** Turns with sleep, some tenths of a second, that no honest burst takes. */
#define STUCK_TURNS 4096

/** Wait a little, after so many times. */
static void
wait_a_turn(uint32_t turns)
{
	const struct timespec pause = { .tv_nsec = SLEEP_NS };

	if (turns < SPIN_TURNS)
		rte_pause();
	else
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/** Whether after so many turns who is waited for may be caught in a write. */
static bool
is_stuck(uint32_t turns)
{
	return turns > SPIN_TURNS && (turns - SPIN_TURNS) % STUCK_TURNS == 0;
}

struct vhost_virtqueue *
vhost_gate_wait(struct vhost_gate *gate)
{
	uint32_t turns = 0;

	while (gate_is_closing(gate) || !gate_try_take(gate))
		wait_a_turn(turns++);
	return gate_entered(gate);
}

struct vhost_virtqueue *
vhost_gate_try_again(struct vhost_gate *gate)
{
	uint32_t expected = 0;

	/* G4 pairs with G5 and G8 */
	__atomic_store_n(&gate->turned_away, true, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&gate->closing, __ATOMIC_SEQ_CST) != 0 ||
			!__atomic_compare_exchange_n(&gate->taken, &expected, 1, false,
			__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return NULL;
	return gate_entered(gate);
}

/** Whether a burst was turned away since this was asked last. */
static bool
was_turned_away(struct vhost_gate *gate)
{
	return __atomic_load_n(&gate->turned_away, __ATOMIC_SEQ_CST) &&
		__atomic_exchange_n(&gate->turned_away, false, __ATOMIC_SEQ_CST);
}

bool
vhost_gate_leave_and_look(struct vhost_gate *gate)
{
	/* G8 pairs with G4 */
	__atomic_store_n(&gate->taken, 0, __ATOMIC_SEQ_CST);
	return was_turned_away(gate);
}

/** Count one less, unless the memory of the handle was given back meanwhile: zeros. */
static void
count_down(uint32_t *count)
{
	uint32_t n = __atomic_load_n(count, __ATOMIC_RELAXED);

	while (n > 0 && !__atomic_compare_exchange_n(count, &n, n - 1, true, __ATOMIC_SEQ_CST,
			__ATOMIC_RELAXED))
		;
}

/** Have bursts stay out. */
static void
announce(struct vhost_gate *gate)
{
	__atomic_fetch_add(&gate->closing, 1, __ATOMIC_RELAXED);
}

struct vhost_virtqueue *
vhost_gate_close(struct vhost_gate *gate)
{
	uint32_t expected = 0, turns = 0;

	announce(gate);
	/* G3 pairs with G2 */
	while (!__atomic_compare_exchange_n(&gate->taken, &expected, 1, false,
			__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		expected = 0;
		/* zeros came, or who was late with what was before them has counted us down */
		if (!gate_is_closing(gate))
			announce(gate);
		wait_a_turn(turns++);
		if (is_stuck(turns))
			vhost_gate_free_writer(gate);
	}
	return gate_block(gate);
}

bool
vhost_gate_open(struct vhost_gate *gate)
{
	/* G5 pairs with G4: the word as well as the count, which may be zeros by now */
	__atomic_store_n(&gate->taken, 0, __ATOMIC_SEQ_CST);
	count_down(&gate->closing);
	return was_turned_away(gate);
}

void
vhost_gate_set_doorbell(struct vhost_gate *gate, enum gate_doorbell which, int fd)
{
	/* G7 pairs with G6 */
	__atomic_store_n(&gate->doorbells[which], RTE_MAX(fd, -1) + 1, __ATOMIC_SEQ_CST);
}

int
vhost_gate_borrow(struct vhost_gate *gate, enum gate_doorbell which)
{
	/* G6 pairs with G7 */
	__atomic_fetch_add(&gate->borrowers, 1, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&gate->doorbells[which], __ATOMIC_SEQ_CST) - 1;
}

void
vhost_gate_give_back(struct vhost_gate *gate)
{
	count_down(&gate->borrowers);
}

void
vhost_gate_free_writer(struct vhost_gate *gate)
{
	for (unsigned int i = 0; i < GATE_DOORBELLS; i++) {
		int fd = vhost_gate_borrow(gate, i);

		if (fd >= 0)
			vhost_doorbell_drain_eventfd(fd);
		vhost_gate_give_back(gate);
	}
}

void
vhost_gate_await_borrowers(struct vhost_gate *gate, int fd)
{
	uint32_t turns = 0;

	/* G7 pairs with G6 */
	while (__atomic_load_n(&gate->borrowers, __ATOMIC_SEQ_CST) != 0) {
		wait_a_turn(turns++);
		if (!is_stuck(turns))
			continue;
		vhost_doorbell_drain_eventfd(fd);
		/* or they have borrowed what is in force by now */
		vhost_gate_free_writer(gate);
	}
}
