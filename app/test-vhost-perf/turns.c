/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * One cell in turns: as two_cores.c, but a side begins when the other has ended.
 *
 * On one thread, so that it is the same each time: which lines travel if nobody gets
 * in the other's way.  The driver fills the ring, then the library moves a window, and
 * so on.  Who has the turn is said with instructions that a plug-in of an emulator
 * recognises; without it nothing is counted.
 */

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_mbuf.h>
#include <rte_vhost.h>

#include "batch.h"
#include "driver_side.h"
#include "lines.h"
#include "turns.h"
#include "two_cores.h"

struct turns {
	struct batch batch;
	struct driver_side driver;
	unsigned int in_ring;		/**< bursts that the ring has room for */
	uint64_t posted, moved;		/**< bursts */
};

/** Nobody gives up. */
static const bool never;

/* The table: "map FIRST END PLACE" of each mapping, "kind FIRST END NUMBER" of places. */

static void
write_kind(FILE *table, const struct guest_memory *memory, const void *area, size_t bytes,
	   enum lines_kind kind)
{
	uint64_t first = (const uint8_t *)area - memory->base;

	fprintf(table, "kind %" PRIx64 " %" PRIx64 " %x\n", first, first + bytes, kind);
}

/** The same memory at our address and at the library's. */
static void
write_maps(FILE *table, const struct guest_memory *memory, const struct rte_vhost_memory *known)
{
	for (unsigned int i = 0; i < memory->n_regions; i++) {
		uint64_t place = i * memory->region_size;
		const uint8_t *ours = memory->base + place;

		fprintf(table, "map %" PRIxPTR " %" PRIxPTR " %" PRIx64 "\n", (uintptr_t)ours,
			(uintptr_t)ours + memory->region_size, place);
		for (unsigned int r = 0; r < known->nregions; r++) {
			const struct rte_vhost_mem_region *region = &known->regions[r];

			if (region->guest_phys_addr == guest_address(memory, ours))
				fprintf(table, "map %" PRIx64 " %" PRIx64 " %" PRIx64 "\n",
					region->host_user_addr,
					region->host_user_addr + region->size, place);
		}
	}
}

static bool
write_table(const struct port *port, const char *folder)
{
	const struct driver_ring *ring = port->ring;
	const struct guest_memory *memory = &port->guest.memory;
	struct rte_vhost_memory *known = NULL;
	char path[PATH_MAX];
	FILE *table;

	snprintf(path, sizeof(path), "%s/table", folder);
	table = fopen(path, "w");
	if (table == NULL || rte_vhost_get_mem_table(port->vid, &known) != 0) {
		perror(path);
		return false;
	}
	write_maps(table, memory, known);
	write_kind(table, memory, ring->desc, ring->ops->desc_bytes(ring->num), LINES_DESC);
	write_kind(table, memory, ring->driver, ring->ops->driver_bytes(ring->num),
		   LINES_DRIVER_AREA);
	write_kind(table, memory, ring->device, ring->ops->device_bytes(ring->num),
		   LINES_DEVICE_AREA);
	free(known);
	return fclose(table) == 0;
}

/* Turns. */

static bool
drivers_turn(struct turns *turns)
{
	bool good = true;

	LINES_GIVE(LINES_DRIVER);
	for (; good && turns->posted < turns->moved + turns->in_ring; turns->posted++) {
		if (turns->posted >= turns->in_ring)
			good = driver_side_take_back(&turns->driver, false);
		driver_side_post(&turns->driver, false);
	}
	LINES_GIVE(LINES_NOBODY);
	return good;
}

static bool
librarys_turn(struct turns *turns, bool check)
{
	struct batch *batch = &turns->batch;
	uint64_t cycles;
	bool good;

	LINES_GIVE(LINES_LIBRARY);
	good = batch_move(batch, &cycles);
	LINES_GIVE(LINES_NOBODY);
	turns->moved += batch->n_calls;
	return good && (batch->cell->direction == ENQUEUE || batch_take_mbufs(batch, check));
}

static bool
take_turns(struct turns *turns, uint64_t packets)
{
	for (uint64_t done = 0; done < packets; done += turns->batch.n_packets)
		if (!drivers_turn(turns) || !librarys_turn(turns, true))
			return false;
	return true;
}

/** Once around the ring and more, so that each line is where it usually is; then count. */
static bool
count(struct turns *turns, const struct bench_limits *limits, struct bench_result *result)
{
	uint64_t window = turns->batch.n_packets;
	uint64_t ring = 2ull * turns->in_ring * turns->batch.cell->burst;
	bool good;

	if (!take_turns(turns, ring))
		return false;
	LINES_GIVE(LINES_OPEN);
	good = take_turns(turns, limits->packets);
	LINES_GIVE(LINES_CLOSE);
	result->packets = (limits->packets + window - 1) / window * window;
	return good;
}

static void
arm(void)
{
	static bool armed;

	if (!armed)
		LINES_GIVE(LINES_ARM);
	armed = true;
}

bool
turns_run(const struct cell *cell, const struct bench_limits *limits, const char *folder,
	  struct bench_result *result)
{
	unsigned int in_ring = port_ring_chains(cell) / port_packet_chains(cell) / cell->burst;
	struct turns turns = { .in_ring = in_ring };
	bool good;

	*result = (struct bench_result){ 0 };
	good = batch_set_up(&turns.batch, cell, two_cores_window(in_ring)) &&
		driver_side_init(&turns.driver, cell, turns.batch.ports, turns.batch.n_packets,
				 &never) &&
		write_table(turns.batch.ports, folder);
	if (good) {
		arm();
		LINES_GIVE(LINES_TABLE);
		good = count(&turns, limits, result);
	}
	driver_side_free(&turns.driver);
	return batch_take_down(&turns.batch) && good;
}
