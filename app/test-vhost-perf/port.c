/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_ring.h>

#include <rte_common.h>

#include "backend.h"
#include "frame.h"
#include "port.h"

/** A guest's buffer for ordinary frames, as DPDK guests have them. */
#define BUFFER_ROOM 2048
/** Pieces of chained buffers, for ordinary and for large frames. */
#define PIECE_ROOM 1024
#define PAGE_ROOM 4096

/** Where the guest's data starts in a buffer; the header ends there or has its own place. */
#define HEADROOM 128
#define POISON 0xa5

/** Enough for the alignment of all that is allocated once per port. */
#define ALIGNMENTS (8 * RTE_CACHE_LINE_SIZE)
/** The same for either format. */
#define TABLE_BYTES (CHAIN_MAX_SEGS * sizeof(struct vring_desc))

#define FEATURE_CSUM RTE_BIT64(0)
#define FEATURE_GUEST_CSUM RTE_BIT64(1)
#define FEATURE_GUEST_TSO4 RTE_BIT64(7)
#define FEATURE_GUEST_TSO6 RTE_BIT64(8)
#define FEATURE_HOST_TSO4 RTE_BIT64(11)
#define FEATURE_HOST_TSO6 RTE_BIT64(12)
#define FEATURE_MRG_RXBUF RTE_BIT64(15)
#define FEATURE_INDIRECT_DESC RTE_BIT64(28)
#define FEATURE_EVENT_IDX RTE_BIT64(29)
#define FEATURE_VERSION_1 RTE_BIT64(32)
#define FEATURE_ACCESS_PLATFORM RTE_BIT64(33)
#define FEATURE_IN_ORDER RTE_BIT64(35)

/** Bytes of a data descriptor. */
static unsigned int
piece_room(const struct cell *cell)
{
	if (cell->shape == SHAPE_SINGLE)
		return BUFFER_ROOM;
	return cell->size > BUFFER_ROOM ? PAGE_ROOM : PIECE_ROOM;
}

/** Data descriptors of a chain. */
static unsigned int
pieces_per_chain(const struct cell *cell)
{
	if (cell->shape == SHAPE_SINGLE)
		return 1;
	return (cell->size + piece_room(cell) - 1) / piece_room(cell);
}

/** Descriptors that a chain takes from the ring. */
static unsigned int
ring_descs(const struct cell *cell)
{
	return cell->shape == SHAPE_CHAINED ? 1 + pieces_per_chain(cell) : 1;
}

unsigned int
port_ring_chains(const struct cell *cell)
{
	return cell->ring / ring_descs(cell);
}

unsigned int
port_packet_chains(const struct cell *cell)
{
	unsigned int room = NET_HDR_LEN + piece_room(cell);

	if (cell->direction == DEQUEUE || cell->shape != SHAPE_SINGLE)
		return 1;
	return (NET_HDR_LEN + cell->size + room - 1) / room;
}

/* Chains. */

/** Copy between a chain and bytes, from an offset of the chain on. */
static unsigned int
chain_copy(const struct chain *chain, unsigned int offset, uint8_t *bytes, unsigned int len,
	   bool into_guest)
{
	unsigned int done = 0;

	for (unsigned int i = 0; i < chain->n_segs && done < len; i++) {
		const struct chain_seg *seg = &chain->segs[i];
		unsigned int skip = RTE_MIN(offset, seg->len);
		unsigned int n = RTE_MIN(seg->len - skip, len - done);

		offset -= skip;
		if (into_guest)
			memcpy(seg->va + skip, bytes + done, n);
		else
			memcpy(bytes + done, seg->va + skip, n);
		done += n;
	}
	return done;
}

unsigned int
chain_read(const struct chain *chain, unsigned int offset, uint8_t *bytes, unsigned int len)
{
	return chain_copy(chain, offset, bytes, len, false);
}

void
chain_write(const struct chain *chain, unsigned int offset, const uint8_t *bytes,
	    unsigned int len)
{
	chain_copy(chain, offset, (uint8_t *)(uintptr_t)bytes, len, true);
}

bool
chain_matches(const struct chain *chain, unsigned int offset, const uint8_t *bytes,
	      unsigned int len)
{
	for (unsigned int i = 0; i < chain->n_segs && len != 0; i++) {
		const struct chain_seg *seg = &chain->segs[i];
		unsigned int skip = RTE_MIN(offset, seg->len);
		unsigned int n = RTE_MIN(seg->len - skip, len);

		if (memcmp(seg->va + skip, bytes, n) != 0)
			return false;
		offset -= skip;
		bytes += n;
		len -= n;
	}
	return len == 0;
}

static void
chain_poison(const struct chain *chain)
{
	for (unsigned int i = 0; i < chain->n_segs; i++)
		memset(chain->segs[i].va, POISON, chain->segs[i].len);
}

bool
chain_is_poison(const struct chain *chain, unsigned int offset)
{
	uint8_t byte;

	for (; chain_read(chain, offset, &byte, 1) == 1; offset++)
		if (byte != POISON)
			return false;
	return true;
}

static void
add_seg(struct chain *chain, const struct guest_memory *memory, uint8_t *va, uint32_t len)
{
	chain->segs[chain->n_segs++] =
		(struct chain_seg){ .gpa = guest_address(memory, va), .va = va, .len = len };
}

/** Cut a buffer into descriptors; one that the guest sends is as long as the frame. */
static void
lay_out(struct chain *chain, const struct cell *cell, const struct guest_memory *memory,
	uint8_t *buffer)
{
	unsigned int piece = piece_room(cell), room = pieces_per_chain(cell) * piece;
	unsigned int left = cell->direction == DEQUEUE ? cell->size : room;
	uint8_t *data = buffer + HEADROOM;

	if (cell->shape == SHAPE_SINGLE) {
		add_seg(chain, memory, data - NET_HDR_LEN, NET_HDR_LEN + left);
		return;
	}
	add_seg(chain, memory, buffer, NET_HDR_LEN);
	for (; left != 0; left -= RTE_MIN(piece, left), data += piece)
		add_seg(chain, memory, data, RTE_MIN(piece, left));
}

/** Put the frame into a buffer that the guest sends again and again. */
static void
write_frame(const struct chain *chain, const struct cell *cell)
{
	uint8_t header[NET_HDR_LEN], frame[FRAME_MAX];

	frame_guest_header(header, cell);
	frame_fill(frame, cell, chain->slot);
	chain_copy(chain, 0, header, sizeof(header), true);
	chain_copy(chain, NET_HDR_LEN, frame, cell->size, true);
}

static size_t
buffer_bytes(const struct cell *cell)
{
	return 2 * HEADROOM + pieces_per_chain(cell) * piece_room(cell);
}

static bool
make_chain(struct port *port, const struct cell *cell, uint16_t slot)
{
	struct guest_memory *memory = &port->guest.memory;
	struct chain *chain = &port->chains[slot];
	uint8_t *buffer = guest_alloc(memory, buffer_bytes(cell), RTE_CACHE_LINE_SIZE);
	void *table = guest_alloc(memory, TABLE_BYTES, VRING_DESC_ALIGN_SIZE);

	if (buffer == NULL || table == NULL)
		return false;
	*chain = (struct chain){ .slot = slot, .device_writes = cell->direction == ENQUEUE };
	lay_out(chain, cell, memory, buffer);
	if (cell->shape == SHAPE_INDIRECT) {
		chain->table = table;
		chain->table_gpa = guest_address(memory, table);
	}
	if (cell->direction == DEQUEUE)
		write_frame(chain, cell);
	return true;
}

/* The guest. */

static bool
make_ring(struct guest *guest, const struct cell *cell, unsigned int index)
{
	const struct driver_ops *ops = cell->driver;
	struct guest_memory *memory = &guest->memory;
	struct driver_ring *ring = &guest->rings[index];

	*ring = (struct driver_ring){
		.ops = ops,
		.num = cell->ring,
		.chain_descs = ring_descs(cell),
		.event_idx = cell->event_idx,
		.notify = cell->notify,
		.desc = guest_alloc(memory, ops->desc_bytes(cell->ring), RTE_CACHE_LINE_SIZE),
		.driver = guest_alloc(memory, ops->driver_bytes(cell->ring), RTE_CACHE_LINE_SIZE),
		.device = guest_alloc(memory, ops->device_bytes(cell->ring), RTE_CACHE_LINE_SIZE),
	};
	if (ring->desc == NULL || ring->driver == NULL || ring->device == NULL)
		return false;
	ops->init(ring);
	return true;
}

/** Guest memory that a port needs. */
static size_t
memory_bytes(const struct cell *cell)
{
	const struct driver_ops *ops = cell->driver;
	size_t ring = ops->desc_bytes(cell->ring) + ops->driver_bytes(cell->ring) +
		ops->device_bytes(cell->ring);

	if (!cell_moves(cell))
		return 2 * ring + ALIGNMENTS;
	return 2 * ring + ALIGNMENTS + cell->ring * (buffer_bytes(cell) + TABLE_BYTES);
}

/** Rings at the start, buffers after them in the last region. */
static int
fill_memory(struct port *port, const struct cell *cell)
{
	int err = guest_memory_create(&port->guest.memory, memory_bytes(cell), cell->regions);

	if (err != 0)
		return err;
	for (unsigned int i = 0; i < RTE_DIM(port->guest.rings); i++)
		if (!make_ring(&port->guest, cell, i))
			return -ENOMEM;
	guest_skip_to_last_region(&port->guest.memory);
	for (unsigned int i = 0; i < port->n_chains; i++)
		if (!make_chain(port, cell, i))
			return -ENOMEM;
	return 0;
}

static uint64_t
wanted_features(const struct cell *cell)
{
	uint64_t features = FEATURE_VERSION_1 | FEATURE_INDIRECT_DESC | cell->driver->features;

	if (cell->mergeable)
		features |= FEATURE_MRG_RXBUF;
	if (cell->event_idx)
		features |= FEATURE_EVENT_IDX;
	if (cell->in_order)
		features |= FEATURE_IN_ORDER;
	if (cell->iommu_page != 0)
		features |= FEATURE_ACCESS_PLATFORM;
	if (cell->offload != OFFLOAD_ABSENT)
		features |= FEATURE_CSUM | FEATURE_GUEST_CSUM | FEATURE_HOST_TSO4 |
			FEATURE_HOST_TSO6 | FEATURE_GUEST_TSO4 | FEATURE_GUEST_TSO6;
	return features;
}

bool
port_open(struct port *port, const struct cell *cell, const char *socket)
{
	int err;

	*port = (struct port){
		.guest.sock = -1,
		.vid = -1,
		.ring = &port->guest.rings[cell->direction],
		.n_chains = cell_moves(cell) ? port_ring_chains(cell) : 0,
		.in_order = cell->in_order,
	};
	port->chains = calloc(port->n_chains, sizeof(*port->chains));
	err = port->chains == NULL && port->n_chains != 0 ? -ENOMEM : fill_memory(port, cell);
	if (err == 0)
		err = guest_connect(&port->guest, socket, wanted_features(cell), cell->iommu_page);
	if (err == 0)
		port->vid = backend_wait_ready();
	if (err != 0)
		fprintf(stderr, "%s: no guest: %s\n", cell->name, strerror(-err));
	else if (port->vid < 0)
		fprintf(stderr, "%s: the device does not get ready\n", cell->name);
	return port->vid >= 0;
}

void
port_hang_up(struct port *port)
{
	if (port->guest.sock >= 0)
		guest_disconnect(&port->guest);
}

void
port_free(struct port *port)
{
	guest_memory_destroy(&port->guest.memory);
	free(port->chains);
}

/* The way to the device and back. */

const struct chain *
port_next(const struct port *port)
{
	return &port->chains[port->posted % port->n_chains];
}

void
port_post(struct port *port, unsigned int count, bool poison)
{
	for (; count != 0; count--) {
		struct chain *chain = &port->chains[port->posted++ % port->n_chains];

		if (poison)
			chain_poison(chain);
		port->ring->ops->post(port->ring, chain);
		chain->posted = true;
	}
}

void
port_publish(struct port *port)
{
	port->ring->ops->publish(port->ring);
}

uint64_t
port_hear(const struct port *port, enum direction direction)
{
	uint64_t calls;

	return read(port->guest.call[direction], &calls, sizeof(calls)) == sizeof(calls) ? calls : 0;
}

/**
 * Learn about one chain more, or about all up to one: a device that keeps the
 * order may mention the last of a batch only, virtio 1.2, 2.7.9.
 */
static bool
learn_used(struct port *port)
{
	unsigned int oldest = port->reaped % port->n_chains;

	if (!port->ring->ops->reap(port->ring, &port->used) || port->used.slot >= port->n_chains)
		return false;
	port->n_used = 1;
	if (port->in_order) {
		port->n_used += (port->used.slot + port->n_chains - oldest) % port->n_chains;
		port->ring->ops->skip(port->ring, port->n_used - 1);
	}
	return true;
}

const struct chain *
port_reap(struct port *port, uint32_t *len)
{
	struct chain *chain;

	if (port->n_used == 0 && !learn_used(port))
		return NULL;
	chain = &port->chains[port->in_order ? port->reaped % port->n_chains : port->used.slot];
	if (!chain->posted)
		return NULL;
	chain->posted = false;
	port->n_used--;
	port->reaped++;
	*len = port->used.len;
	return chain;
}
