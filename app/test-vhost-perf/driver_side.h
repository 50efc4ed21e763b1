/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_DRIVER_SIDE_H
#define PERF_DRIVER_SIDE_H

/*
 * What a guest does with a ring while a device works on it: it makes frames and
 * posts them, or posts buffers and looks at what is in them.
 *
 * Packet number n of a ring holds frame number n modulo n_frames.  n_frames does not
 * divide the number of buffers, so that no buffer is given the same frame twice
 * running and what arrives is no remainder of the time before.
 *
 * Every byte is written or looked at, so every line travels.
 */

#include "cell.h"
#include "port.h"

struct driver_side {
	const struct cell *cell;
	struct port *port;
	unsigned int packet_chains;	/**< chains that one packet takes */
	unsigned int n_frames;
	uint8_t *frames;		/**< each of cell->size bytes, as the receiver finds them */
	const bool *give_up;		/**< the device works no more; atomic */
	uint64_t posted, back;		/**< packets so far */
	uint64_t waited;		/**< cycles, for the device, so far */
};

/** Ready for the first packet; false if there is no memory. */
bool driver_side_init(struct driver_side *side, const struct cell *cell, struct port *port,
		      unsigned int n_frames, const bool *give_up);
void driver_side_free(struct driver_side *side);

/** Post a burst; "poison" the buffers that the device is to fill. */
void driver_side_post(struct driver_side *side, bool poison);

/**
 * Take a burst back as soon as the device has finished it.
 *
 * @param poison  the buffers were poisoned
 * @return false, with a message on stderr, if it is not what it should be
 */
bool driver_side_take_back(struct driver_side *side, bool poison);

/** Let a moment go by, for who waits: "turns" counts them, from 0 on. */
void wait_a_turn(unsigned int *turns);

#endif /* PERF_DRIVER_SIDE_H */
