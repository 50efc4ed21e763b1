/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_pause.h>

#include "batch.h"
#include "driver_side.h"
#include "frame.h"

/** Who waits longer may be what the other one is waiting for: they may share a core. */
#define TURNS_BEFORE_YIELD 20000

void
wait_a_turn(unsigned int *turns)
{
	if (++*turns % TURNS_BEFORE_YIELD == 0)
		sched_yield();
	else
		rte_pause();
}

bool
driver_side_init(struct driver_side *side, const struct cell *cell, struct port *port,
		 unsigned int n_frames, const bool *give_up)
{
	*side = (struct driver_side){
		.cell = cell,
		.port = port,
		.packet_chains = port_packet_chains(cell),
		.n_frames = n_frames,
		.frames = malloc((size_t)n_frames * cell->size),
		.give_up = give_up,
	};
	if (side->frames == NULL)
		return cell_fail(cell, "not enough memory");
	for (unsigned int i = 0; i < n_frames; i++)
		frame_fill(side->frames + i * cell->size, cell, i);
	return true;
}

void
driver_side_free(struct driver_side *side)
{
	free(side->frames);
}

static uint8_t *
frame_of(const struct driver_side *side, uint64_t packet)
{
	return side->frames + packet % side->n_frames * side->cell->size;
}

/** Put the next packet into the chain that is posted next. */
static void
write_packet(const struct driver_side *side, uint64_t packet)
{
	const struct chain *chain = port_next(side->port);
	uint8_t header[NET_HDR_LEN];

	frame_guest_header(header, side->cell);
	chain_write(chain, 0, header, sizeof(header));
	chain_write(chain, sizeof(header), frame_of(side, packet), side->cell->size);
}

void
driver_side_post(struct driver_side *side, bool poison)
{
	bool sends = side->cell->direction == DEQUEUE;

	for (unsigned int i = 0; i < side->cell->burst; i++) {
		if (sends)
			write_packet(side, side->posted);
		port_post(side->port, side->packet_chains, poison && !sends);
		side->posted++;
	}
	port_publish(side->port);
}

/** The next chain that comes back, NULL if it is a wrong one or none will come. */
static const struct chain *
await_chain(struct driver_side *side, uint32_t *len)
{
	const struct chain *chain = port_reap(side->port, len);
	unsigned int turns = 0;
	uint64_t since;

	if (likely(chain != NULL))
		return chain;
	since = rte_rdtsc();
	while (chain == NULL && !__atomic_load_n(side->give_up, __ATOMIC_RELAXED)) {
		wait_a_turn(&turns);
		chain = port_reap(side->port, len);
	}
	side->waited += rte_rdtsc() - since;
	return chain;
}

/** Is the beginning of a packet right? */
static bool
check_header(const struct driver_side *side, const struct chain *chain, uint8_t *frame)
{
	unsigned int sum = frame_open_sum(side->cell);
	uint8_t header[NET_HDR_LEN];

	if (sum != 0)
		chain_read(chain, NET_HDR_LEN + sum, frame + sum, sizeof(uint16_t));
	chain_read(chain, 0, header, sizeof(header));
	return frame_check_guest_header(header, side->cell, side->packet_chains) ||
		cell_fail(side->cell, "wrong virtio header");
}

static bool
receive_packet(struct driver_side *side, uint8_t *frame, bool poison)
{
	const struct cell *cell = side->cell;
	unsigned int at = 0;

	for (unsigned int i = 0; i < side->packet_chains; i++) {
		unsigned int skip = i == 0 ? NET_HDR_LEN : 0;
		uint32_t len;
		const struct chain *chain = await_chain(side, &len);

		if (chain == NULL || len < skip || at + len - skip > cell->size)
			return cell_fail(cell, "wrong used entry, or none");
		if (i == 0 && !check_header(side, chain, frame))
			return false;
		if (!chain_matches(chain, skip, frame + at, len - skip))
			return cell_fail(cell, "wrong contents");
		if (poison && !chain_is_poison(chain, len))
			return cell_fail(cell, "bytes written behind the frame");
		at += len - skip;
	}
	return at == cell->size || cell_fail(cell, "wrong length");
}

bool
driver_side_take_back(struct driver_side *side, bool poison)
{
	uint32_t len;

	for (unsigned int i = 0; i < side->cell->burst; i++, side->back++)
		if (side->cell->direction == ENQUEUE) {
			if (!receive_packet(side, frame_of(side, side->back), poison))
				return false;
		} else if (await_chain(side, &len) == NULL) {
			return cell_fail(side->cell, "wrong used entry, or none");
		}
	return true;
}
