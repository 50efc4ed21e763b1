/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The library's side of a cell: devices, mbufs, and the calls of a batch, made one
 * after the other inside one timed window.  Who posts the chains and takes them
 * back is not known here: the same thread, between two batches (bench.c), or
 * another one, all the time (two_cores.c).
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <rte_vhost_async.h>

#include "backend.h"
#include "batch.h"
#include "frame.h"
#include "vhost_fake_dma.h"

/** Rooms of the segments in the three mempools. */
#define NORMAL_ROOM 2048
#define SMALL_ROOM 512
#define LARGE_ROOM FRAME_MAX

/** A call may move nothing so many times in a row, a millisecond apart. */
#define MAX_IDLE 1000

/** Copies that the DMA device has room for, and how often it is polled for one burst. */
#define DMA_RING 4096
#define MAX_POLLS 1000000

static int16_t dma_id = -1;		/**< made for the first cell that needs it */
static struct rte_mempool *normal_pool, *small_pool, *large_pool;
static uint64_t window_cost;	/**< cycles of an empty window */

bool
cell_fail(const struct cell *cell, const char *what)
{
	fprintf(stderr, "%s: %s\n", cell->name, what);
	return false;
}

/* Bringing up and down. */

static struct rte_mempool *
pool_for(const struct cell *cell)
{
	if (cell->segment == SMALL_ROOM)
		return small_pool;
	return cell->segment == 0 && cell->size > NORMAL_ROOM ? large_pool : normal_pool;
}

static bool
make_dma(void)
{
	if (dma_id >= 0)
		return true;
	dma_id = fake_dma_create(FAKE_DMA_INSTANT, 1, DMA_RING);
	return dma_id >= 0 && rte_vhost_async_dma_configure(dma_id, 0) == 0;
}

/** Have the measured rings copied by the DMA device. */
static bool
register_ports(const struct batch *batch)
{
	if (!make_dma())
		return cell_fail(batch->cell, "no DMA device");
	for (unsigned int i = 0; i < batch->n_ports; i++)
		if (rte_vhost_async_channel_register(batch->ports[i].vid,
						     batch->cell->direction) != 0)
			return cell_fail(batch->cell, "no asynchronous copies");
	return true;
}

static bool
open_ports(struct batch *batch)
{
	const struct cell *cell = batch->cell;

	while (batch->n_ports < cell->devices) {
		const char *socket = backend_socket(cell->flags, batch->n_ports);

		if (socket == NULL)
			return cell_fail(cell, "the library does not listen");
		if (!port_open(&batch->ports[batch->n_ports++], cell, socket))
			return false;
	}
	for (unsigned int i = 0; i < batch->n_calls; i++)
		batch->calls[i].vid = batch->calls[i].port->vid;
	return true;
}

static bool
make_sources(struct batch *batch)
{
	for (unsigned int i = 0; i < batch->n_packets; i++) {
		batch->mbufs[i] = frame_make_mbuf(batch->pool, batch->cell, i);
		if (batch->mbufs[i] == NULL)
			return cell_fail(batch->cell, "not enough mbufs");
	}
	return true;
}

bool
batch_set_up(struct batch *batch, const struct cell *cell, unsigned int n_calls)
{
	*batch = (struct batch){
		.cell = cell,
		.pool = pool_for(cell),
		.packet_chains = port_packet_chains(cell),
		.n_calls = n_calls,
		.n_packets = cell_moves(cell) ? n_calls * cell->burst : cell->burst,
	};
	batch->ports = calloc(cell->devices, sizeof(*batch->ports));
	batch->calls = calloc(batch->n_calls, sizeof(*batch->calls));
	batch->mbufs = calloc(batch->n_packets, sizeof(*batch->mbufs));
	if (batch->ports == NULL || batch->calls == NULL || batch->mbufs == NULL)
		return cell_fail(cell, "not enough memory");
	for (unsigned int i = 0; i < batch->n_calls; i++)
		batch->calls[i] = (struct call){
			.port = &batch->ports[i % cell->devices],
			.mbufs = &batch->mbufs[i * cell->burst % batch->n_packets],
		};
	return open_ports(batch) && (!cell->async || register_ports(batch)) &&
		(cell->direction == DEQUEUE || make_sources(batch));
}

bool
batch_take_down(struct batch *batch)
{
	bool gone;

	for (unsigned int i = 0; batch->cell->async && i < batch->n_ports; i++)
		rte_vhost_async_channel_unregister(batch->ports[i].vid, batch->cell->direction);
	for (unsigned int i = 0; i < batch->n_ports; i++)
		port_hang_up(&batch->ports[i]);
	gone = backend_wait_gone();
	for (unsigned int i = 0; i < batch->n_ports; i++)
		port_free(&batch->ports[i]);
	if (batch->cell->direction == ENQUEUE && batch->mbufs != NULL)
		rte_pktmbuf_free_bulk(batch->mbufs, batch->n_packets);
	free(batch->ports);
	free(batch->calls);
	free(batch->mbufs);
	return gone || cell_fail(batch->cell, "the devices do not go away");
}

/** Send packets and wait for them. */
static __rte_always_inline uint16_t
submit_and_poll(int vid, struct rte_mbuf **mbufs, uint16_t count)
{
	uint16_t sent = rte_vhost_submit_enqueue_burst(vid, 0, mbufs, count, dma_id, 0), back = 0;
	struct rte_mbuf *done[64];

	for (unsigned int i = 0; back < sent && i < MAX_POLLS; i++)
		back += rte_vhost_poll_enqueue_completed(vid, 0, done, RTE_DIM(done), dma_id, 0);
	return back;
}

/** What a call does that moves nothing: 0 if it does well. */
static __rte_always_inline uint16_t
notify(const struct batch *batch, enum direction direction, const struct call *call)
{
	int result = batch->cell->action == ACTION_CALL ?
		rte_vhost_vring_call(call->vid, direction) :
		rte_vhost_vring_call_nonblock(call->vid, direction);

	return result != 0;
}

static __rte_always_inline uint16_t
move(const struct batch *batch, enum direction direction, const struct call *call)
{
	struct rte_mbuf **mbufs = call->mbufs + call->done;
	uint16_t count = batch->cell->burst - call->done;
	int inflight;

	if (batch->cell->action >= ACTION_CALL)
		return notify(batch, direction, call);
	if (batch->cell->async)
		return direction == ENQUEUE ? submit_and_poll(call->vid, mbufs, count) :
			rte_vhost_async_try_dequeue_burst(call->vid, 1, batch->pool, mbufs,
							  count, &inflight, dma_id, 0);
	if (direction == ENQUEUE)
		return rte_vhost_enqueue_burst(call->vid, 0, mbufs, count);
	return rte_vhost_dequeue_burst(call->vid, 1, batch->pool, mbufs, count);
}

/** The calls of a batch, up to the first that does not move so many; their cycles. */
static __rte_always_inline uint64_t
time_calls(const struct batch *batch, enum direction direction, uint16_t expected)
{
	struct call *call = batch->calls, *end = call + batch->n_calls;
	uint64_t start = rte_rdtsc_precise();

	do
		call->done = move(batch, direction, call);
	while (call->done == expected && ++call < end);
	return rte_rdtsc_precise() - start;
}

/** Likewise, without what an empty window takes. */
static uint64_t
time_batch(const struct batch *batch, uint16_t expected)
{
	uint64_t cycles;

	for (unsigned int i = 0; i < batch->n_calls; i++)
		batch->calls[i].done = 0;
	cycles = batch->cell->direction == ENQUEUE ? time_calls(batch, ENQUEUE, expected)
		: time_calls(batch, DEQUEUE, expected);
	return cycles - RTE_MIN(cycles, window_cost);
}

/** Make a call again until it has moved all, false if it does not get on. */
static bool
finish_call(const struct batch *batch, struct call *call)
{
	unsigned int idle = 0;

	while (call->done < batch->cell->burst) {
		uint16_t moved = move(batch, batch->cell->direction, call);

		call->done += moved;
		if (moved != 0) {
			idle = 0;
			continue;
		}
		if (++idle == MAX_IDLE)
			return cell_fail(batch->cell, "the library does not move the packets");
		rte_delay_us_sleep(1000);
	}
	return true;
}

bool
batch_move(struct batch *batch, uint64_t *cycles)
{
	const struct call *last = &batch->calls[batch->n_calls - 1];

	*cycles = time_batch(batch, batch->cell->burst);
	if (last->done == batch->cell->burst)
		return true;
	*cycles = 0;
	for (unsigned int i = 0; i < batch->n_calls; i++)
		if (!finish_call(batch, &batch->calls[i]))
			return false;
	return true;
}

bool
batch_poll(struct batch *batch, uint64_t *cycles)
{
	*cycles = time_batch(batch, 0);
	for (unsigned int i = 0; i < batch->n_calls; i++)
		if (batch->calls[i].done != 0)
			return cell_fail(batch->cell, batch->cell->action == ACTION_EMPTY_BURST ?
					 "packets that nobody sent" : "a call is refused");
	return true;
}

bool
batch_heard(const struct batch *batch)
{
	const struct cell *cell = batch->cell;
	unsigned int calls = batch->n_calls / cell->devices;

	for (unsigned int i = 0; i < batch->n_ports; i++) {
		uint64_t heard = port_hear(&batch->ports[i], cell->direction);
		/* Several bursts may share one. */
		bool good = cell_moves(cell) ? heard != 0 : heard == (cell->notify ? calls : 0);

		if (!good)
			return cell_fail(cell, "wrong number of notifications");
	}
	return true;
}

bool
batch_check_mbuf(const struct cell *cell, const struct rte_mbuf *mbuf, unsigned int index)
{
	uint8_t expected[FRAME_MAX], linear[FRAME_MAX];
	const char *reason;
	const void *bytes;

	if (rte_mbuf_check(mbuf, 1, &reason) != 0)
		return cell_fail(cell, reason);
	frame_fill(expected, cell, index);
	bytes = rte_pktmbuf_read(mbuf, 0, cell->size, linear);
	if (bytes == NULL || memcmp(bytes, expected, cell->size) != 0)
		return cell_fail(cell, "wrong contents");
	return frame_check_mbuf(mbuf, cell) || cell_fail(cell, "wrong offload marks");
}

bool
batch_take_mbufs(const struct batch *batch, bool check)
{
	bool good = true;

	for (unsigned int i = 0; good && i < batch->n_packets; i++) {
		if (batch->mbufs[i]->pkt_len != batch->cell->size)
			good = cell_fail(batch->cell, "wrong length");
		else if (check)
			good = batch_check_mbuf(batch->cell, batch->mbufs[i], i);
	}
	rte_pktmbuf_free_bulk(batch->mbufs, batch->n_packets);
	return good;
}

static struct rte_mempool *
make_pool(const char *name, unsigned int count, unsigned int room)
{
	return rte_pktmbuf_pool_create(name, count, 256, 0, RTE_PKTMBUF_HEADROOM + room,
				       rte_socket_id());
}

static uint64_t
measure_window(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < 1000; i++) {
		uint64_t start = rte_rdtsc_precise(), cost = rte_rdtsc_precise() - start;

		least = RTE_MIN(least, cost);
	}
	return least;
}

bool
batch_init(void)
{
	window_cost = measure_window();
	normal_pool = make_pool("normal", 8191, NORMAL_ROOM);
	small_pool = make_pool("small", 2047, SMALL_ROOM);
	large_pool = make_pool("large", 1023, LARGE_ROOM);
	return normal_pool != NULL && small_pool != NULL && large_pool != NULL;
}
