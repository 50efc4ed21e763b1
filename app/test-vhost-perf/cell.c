/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What is measured.
 *
 * families[] says it in few rows; each row stands for the cross product of its
 * lists, for every ring format.  A name starts with direction, format, buffers
 * and size, and goes on with what is not ordinary about the cell.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bitops.h>
#include <rte_common.h>
#include <rte_vhost.h>

#include "cell.h"

/** The flags that net_vhost and Open vSwitch 3.1 register with. */
#define USUAL_FLAGS (RTE_VHOST_USER_NET_STATS_ENABLE | RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS)

#define ENQ RTE_BIT32(ENQUEUE)
#define DEQ RTE_BIT32(DEQUEUE)
#define MRG 1u
#define NOMRG 2u

/** Enough places for the longest list below and a zero behind it. */
#define LIST_MAX 6

/** A set of cells that differ in these lists only; an empty list means the usual value. */
struct family {
	unsigned int directions;	/**< ENQ, DEQ */
	unsigned int buffers;		/**< MRG, NOMRG */
	unsigned int sizes[LIST_MAX];
	unsigned int bursts[LIST_MAX];
	unsigned int devices[LIST_MAX];
	enum shape shape;
	enum offload offload;
	unsigned int ring;
	unsigned int segment;
	unsigned int regions;
	bool event_idx;
	bool in_order;
	size_t iommu_page;
	bool async;
	enum action action;
	bool notify;
	uint64_t flags_off;		/**< usual flags that are left out */
};

static const struct family families[] = {
	{ ENQ | DEQ, MRG | NOMRG, { 64, 256, 512, 1024, 1518 } },
	{ ENQ | DEQ, MRG | NOMRG, { 64, 1518 }, .shape = SHAPE_CHAINED },
	{ ENQ | DEQ, MRG | NOMRG, { 64, 1518 }, .shape = SHAPE_INDIRECT },
	/* Large frames: many small buffers or chained pages. */
	{ ENQ, MRG, { 9000 } },
	{ DEQ, MRG, { 9000 }, .shape = SHAPE_CHAINED },
	{ ENQ | DEQ, NOMRG, { 9000 }, .shape = SHAPE_CHAINED },
	/* Small segments on the host's side, or ordinary ones for large frames. */
	{ ENQ | DEQ, MRG | NOMRG, { 1518 }, .segment = 512 },
	{ ENQ, MRG, { 9000 }, .segment = 2048 },
	{ DEQ, MRG, { 9000 }, .shape = SHAPE_CHAINED, .segment = 2048 },
	{ ENQ | DEQ, MRG, { 64 }, .offload = OFFLOAD_UNUSED },
	{ ENQ | DEQ, MRG, { 64, 1518 }, .offload = OFFLOAD_CSUM },
	{ ENQ, MRG, { 9000 }, .offload = OFFLOAD_TSO },
	{ DEQ, MRG, { 9000 }, .shape = SHAPE_CHAINED, .offload = OFFLOAD_TSO },
	{ DEQ, MRG, { 64, 1518 }, .offload = OFFLOAD_CSUM,
	  .flags_off = RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS },
	{ DEQ, MRG, { 9000 }, .shape = SHAPE_CHAINED, .offload = OFFLOAD_TSO,
	  .flags_off = RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS },
	{ ENQ | DEQ, MRG | NOMRG, { 64 }, .bursts = { 1, 4, 8 } },
	{ ENQ | DEQ, MRG, { 64, 1518 }, .devices = { 8, 64 } },
	{ ENQ | DEQ, MRG, { 64, 1518 }, .ring = 1024 },
	{ ENQ | DEQ, MRG, { 64 }, .event_idx = true },
	{ ENQ | DEQ, MRG | NOMRG, { 64, 1518 }, .in_order = true },
	{ ENQ | DEQ, MRG, { 64 }, .regions = 2 },
	/* Everything is translated, and stays so: as with huge pages, or with small ones. */
	{ ENQ | DEQ, MRG | NOMRG, { 64, 1518 }, .iommu_page = 2 << 20 },
	{ ENQ | DEQ, MRG, { 64, 1518 }, .iommu_page = 4096 },
	{ ENQ, MRG, { 9000 }, .iommu_page = 4096 },
	{ DEQ, MRG, { 64 }, .shape = SHAPE_INDIRECT, .iommu_page = 4096 },
	{ ENQ | DEQ, MRG, { 64 }, .flags_off = RTE_VHOST_USER_NET_STATS_ENABLE },
	/*
	 * Calls that find nothing, as most calls of a switch with many guests do; no more
	 * guests, as 22.11's library waits for 1024 descriptors at most.
	 */
	{ ENQ | DEQ, MRG, { 64 }, .devices = { 1, 16, 64, 256, 1000 }, .action = ACTION_EMPTY_BURST },
	/* A notification for each burst, or for the first that uses what the guest waits for. */
	{ ENQ | DEQ, MRG, { 64, 1518 }, .notify = true },
	{ ENQ | DEQ, MRG, { 64 }, .bursts = { 1, 8 }, .notify = true },
	{ ENQ | DEQ, MRG, { 64 }, .bursts = { 1, 8, 32 }, .event_idx = true, .notify = true },
	/* The application's own notifications, of a guest that wants them or not. */
	{ ENQ, MRG, { 64 }, .action = ACTION_CALL },
	{ ENQ, MRG, { 64 }, .action = ACTION_CALL, .notify = true },
	{ ENQ, MRG, { 64 }, .action = ACTION_CALL_NONBLOCK },
	{ ENQ, MRG, { 64 }, .action = ACTION_CALL_NONBLOCK, .notify = true },
	/* Submitted and polled. */
	{ ENQ | DEQ, MRG | NOMRG, { 64, 256, 512, 1024, 1518 }, .async = true },
	{ ENQ | DEQ, MRG | NOMRG, { 64, 1518 }, .shape = SHAPE_CHAINED, .async = true },
	{ ENQ, MRG, { 9000 }, .async = true },
	{ DEQ, MRG, { 9000 }, .shape = SHAPE_CHAINED, .async = true },
	{ ENQ | DEQ, MRG, { 64 }, .bursts = { 1, 8 }, .async = true },
};

static const struct driver_ops *const drivers[] = { &driver_split, &driver_packed };

static struct cell *cells;
static unsigned int n_cells;

/** Append to a cell's name. */
__rte_format_printf(2, 3) static void
name_add(struct cell *cell, const char *format, ...)
{
	size_t len = strlen(cell->name);
	va_list args;

	va_start(args, format);
	vsnprintf(cell->name + len, sizeof(cell->name) - len, format, args);
	va_end(args);
}

static void
name_cell(struct cell *cell)
{
	static const char *const shapes[] = { "", "-chained", "-indirect" };
	static const char *const offloads[] = { "", "-negotiated", "-csum", "-tso" };
	static const char *const actions[] = { "", "-idle", "-call", "-call-nonblock" };

	name_add(cell, "%s%s-%s-%s-%u", cell->async ? "async-" : "", cell->direction == ENQUEUE ? "enqueue" : "dequeue",
		 cell->driver->name, cell->mergeable ? "mrg" : "nomrg", cell->size);
	name_add(cell, "%s%s", shapes[cell->shape], offloads[cell->offload]);
	if (cell->segment != 0)
		name_add(cell, "-multiseg");
	name_add(cell, "%s", actions[cell->action]);
	if (cell->burst != 32)
		name_add(cell, "-burst%u", cell->burst);
	if (cell->devices != 1)
		name_add(cell, "-dev%u", cell->devices);
	if (cell->ring != 256)
		name_add(cell, "-ring%u", cell->ring);
	if (cell->event_idx)
		name_add(cell, "-eventidx");
	if (cell->notify)
		name_add(cell, "-notify");
	if (cell->in_order)
		name_add(cell, "-inorder");
	if (cell->regions != 1)
		name_add(cell, "-regions%u", cell->regions);
	if (cell->iommu_page != 0)
		name_add(cell, "-iommu%zuk", cell->iommu_page >> 10);
	if (!(cell->flags & RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS))
		name_add(cell, "-legacy");
	if (!(cell->flags & RTE_VHOST_USER_NET_STATS_ENABLE))
		name_add(cell, "-nostats");
}

static void
add_cell(const struct family *family, const struct cell *variable)
{
	struct cell *cell;

	cells = realloc(cells, (n_cells + 1) * sizeof(*cells));
	if (cells == NULL)
		abort();
	cell = &cells[n_cells++];
	*cell = *variable;
	cell->shape = family->shape;
	cell->offload = family->offload;
	cell->ring = family->ring != 0 ? family->ring : 256;
	cell->segment = family->segment;
	cell->regions = family->regions != 0 ? family->regions : 1;
	cell->event_idx = family->event_idx;
	cell->in_order = family->in_order;
	cell->iommu_page = family->iommu_page;
	cell->async = family->async;
	cell->action = family->action;
	cell->notify = family->notify;
	cell->flags = (USUAL_FLAGS | (family->async ? RTE_VHOST_USER_ASYNC_COPY : 0) |
		(family->iommu_page != 0 ? RTE_VHOST_USER_IOMMU_SUPPORT : 0)) & ~family->flags_off;
	name_cell(cell);
}

/** The lists of a family that have to be walked, innermost last. */
static void
add_sizes(const struct family *family, struct cell cell)
{
	static const unsigned int usual_burst[] = { 32, 0 }, usual_devices[] = { 1, 0 };
	const unsigned int *bursts = family->bursts[0] != 0 ? family->bursts : usual_burst;
	const unsigned int *devices = family->devices[0] != 0 ? family->devices : usual_devices;

	for (const unsigned int *size = family->sizes; *size != 0; size++)
		for (const unsigned int *burst = bursts; *burst != 0; burst++)
			for (const unsigned int *n = devices; *n != 0; n++) {
				cell.size = *size;
				cell.burst = *burst;
				cell.devices = *n;
				add_cell(family, &cell);
			}
}

static void
add_family(const struct family *family, const struct driver_ops *driver)
{
	for (int direction = ENQUEUE; direction <= DEQUEUE; direction++)
		for (unsigned int buffers = MRG; buffers <= NOMRG; buffers++)
			if (family->directions & RTE_BIT32(direction) &&
			    family->buffers & buffers)
				add_sizes(family, (struct cell){ .direction = direction,
								 .driver = driver,
								 .mergeable = buffers == MRG });
}

const struct cell *
cell_list(unsigned int *count)
{
	if (cells == NULL)
		for (unsigned int d = 0; d < RTE_DIM(drivers); d++)
			for (unsigned int f = 0; f < RTE_DIM(families); f++)
				add_family(&families[f], drivers[d]);
	*count = n_cells;
	return cells;
}

const struct cell *
cell_find(const char *name)
{
	unsigned int count;
	const struct cell *list = cell_list(&count);

	for (unsigned int i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}
