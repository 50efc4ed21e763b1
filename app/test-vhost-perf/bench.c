/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * One cell, measured.
 *
 * The unit is a batch: the drivers post chains for all packets of the batch,
 * then the calls of the library are made one after the other inside one timed
 * window, then the drivers take back what was used and mbufs are freed.  A
 * batch is short (a few microseconds), so the quantiles over many of them tell
 * the cost without what the rest of the machine added now and then.
 *
 * Lengths and identities are checked in each batch.  Some batches are checked
 * byte by byte: buffers are overwritten before, compared with the expected
 * frame after, and what lies behind the frame must be untouched.  As this
 * moves caches, such batches are not timed.
 */

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "batch.h"
#include "bench.h"
#include "frame.h"

/**
 * A batch has about so many packets if the ring has room and one device is served.
 * Twice as many mbufs and a ring of buffers, in pages strewn over physical memory,
 * overflow parts of a 2 MiB cache in some processes and not in others.
 */
#define BATCH_PACKETS 128u
/** Calls that find nothing, at least. */
#define BATCH_POLLS 32u
/** One batch of so many is checked byte by byte. */
#define CHECK_INTERVAL 512
/** Quantiles need so many batches, even if they take longer than was asked for. */
#define MIN_SAMPLES 64

__rte_noinline void
bench_counters_start(void)
{
	__asm__ volatile("" : : : "memory");
}

__rte_noinline void
bench_counters_stop(void)
{
	__asm__ volatile("" : : : "memory");
}

/** A batch fills the ring of a single device or gives each of several one burst. */
static unsigned int
calls_per_batch(const struct cell *cell)
{
	unsigned int room = port_ring_chains(cell) / port_packet_chains(cell);

	if (!cell_moves(cell))
		return RTE_MAX(cell->devices, BATCH_POLLS);
	return cell->devices > 1 ? cell->devices : RTE_MIN(room, BATCH_PACKETS) / cell->burst;
}

/* Moving a batch. */

static void
post_batch(struct batch *batch, bool poison)
{
	unsigned int chains = batch->cell->burst * batch->packet_chains;

	for (unsigned int i = 0; i < batch->n_calls; i++)
		port_post(batch->calls[i].port, chains, poison);
	for (unsigned int i = 0; i < batch->n_ports; i++)
		port_publish(&batch->ports[i]);
}

/* Looking at what arrived. */

/** What a guest finds in the chains of a packet. */
struct received {
	uint8_t header[NET_HDR_LEN];
	uint8_t frame[FRAME_MAX];
	unsigned int len;	/**< of the frame */
};

/** Add a chain to what the guest received, "check" if its bytes matter. */
static bool
receive_chain(struct batch *batch, struct port *port, struct received *received, bool first,
	      bool check)
{
	unsigned int skip = first ? NET_HDR_LEN : 0, start = received->len;
	uint32_t len;
	const struct chain *chain = port_reap(port, &len);

	if (chain == NULL || len < skip || start + len - skip > batch->cell->size)
		return cell_fail(batch->cell, "wrong used entry");
	received->len += len - skip;
	if (!check)
		return true;
	if (first)
		chain_read(chain, 0, received->header, NET_HDR_LEN);
	chain_read(chain, skip, received->frame + start, len - skip);
	return chain_is_poison(chain, len) || cell_fail(batch->cell, "bytes written behind the frame");
}

static bool
check_received(const struct batch *batch, const struct received *received, unsigned int index)
{
	const struct cell *cell = batch->cell;

	if (!frame_check_guest_header(received->header, cell, batch->packet_chains))
		return cell_fail(cell, "wrong virtio header");
	return frame_arrived(received->frame, cell, index) || cell_fail(cell, "wrong contents");
}

/** The guests received the sources, in their order. */
static bool
reap_enqueued(struct batch *batch, bool check)
{
	const struct cell *cell = batch->cell;
	struct received received;

	for (unsigned int i = 0; i < batch->n_packets; i++) {
		struct port *port = batch->calls[i / cell->burst].port;

		received.len = 0;
		for (unsigned int n = 0; n < batch->packet_chains; n++)
			if (!receive_chain(batch, port, &received, n == 0, check))
				return false;
		if (received.len != cell->size)
			return cell_fail(cell, "wrong length");
		if (check && !check_received(batch, &received, i))
			return false;
	}
	return true;
}

/** The slot whose frame is at this place of a batch: guests send in the order of slots. */
static unsigned int
sent_slot(const struct batch *batch, unsigned int packet)
{
	const struct cell *cell = batch->cell;
	unsigned int call = packet / cell->burst;
	const struct port *port = batch->calls[call].port;
	unsigned int of_batch = call / cell->devices * cell->burst + packet % cell->burst;
	unsigned int before = port->posted - batch->n_packets / cell->devices;

	return (before + of_batch) % port->n_chains;
}

static bool
reap_dequeued(struct batch *batch, bool check)
{
	const struct cell *cell = batch->cell;

	for (unsigned int i = 0; i < batch->n_packets; i++) {
		uint32_t len;

		if (port_reap(batch->calls[i / cell->burst].port, &len) == NULL)
			return cell_fail(cell, "wrong used entry");
		if (batch->mbufs[i]->pkt_len != cell->size)
			return cell_fail(cell, "wrong length");
		if (check && !batch_check_mbuf(cell, batch->mbufs[i], sent_slot(batch, i)))
			return false;
	}
	return true;
}

/** Move the packets of a batch; "cycles" is 0 if it cannot serve as a measurement. */
static bool
run_batch(struct batch *batch, bool check, uint64_t *cycles)
{
	bool enqueue = batch->cell->direction == ENQUEUE, good;

	if (!cell_moves(batch->cell))
		return batch_poll(batch, cycles) &&
			(batch->cell->action == ACTION_EMPTY_BURST || batch_heard(batch));
	post_batch(batch, check && enqueue);
	if (!batch_move(batch, cycles))
		return false;
	if (check)
		*cycles = 0;
	good = (!batch->cell->notify || batch_heard(batch)) &&
		(enqueue ? reap_enqueued(batch, check) : reap_dequeued(batch, check));
	if (!enqueue)
		rte_pktmbuf_free_bulk(batch->mbufs, batch->n_packets);
	return good;
}

/* All batches of a cell. */

/** What is counted: packets, or calls where there are none. */
static unsigned int
batch_units(const struct batch *batch)
{
	return cell_moves(batch->cell) ? batch->n_packets : batch->n_calls;
}

static bool
measure_batch(struct batch *batch, struct bench_result *result, bool check)
{
	uint64_t cycles;

	if (!run_batch(batch, check, &cycles))
		return false;
	result->packets += batch_units(batch);
	if (check)
		result->checked += batch_units(batch);
	else if (cycles == 0)
		result->short_batches++;
	else
		return samples_add(&result->library, (float)cycles / batch_units(batch));
	return true;
}

void
bench_result_free(struct bench_result *result)
{
	samples_free(&result->library);
	samples_free(&result->driver);
	samples_free(&result->library_waits);
	samples_free(&result->driver_waits);
}

static uint64_t
tsc_in(unsigned int ms)
{
	return rte_rdtsc() + rte_get_tsc_hz() / 1000 * ms;
}

/** Caches, clock frequency and every place of the rings get into their steady state. */
static bool
warm_up(struct batch *batch, const struct bench_limits *limits, struct bench_result *result)
{
	uint64_t end = limits->packets != 0 ? 0 : tsc_in(limits->ms / 4), cycles;
	unsigned int number = 0;

	result->checked += batch_units(batch);
	do
		if (!run_batch(batch, number == 0, &cycles))
			return false;
	while (++number < limits->warmup || rte_rdtsc() < end);
	return true;
}

bool
bench_enough(const struct bench_limits *limits, const struct bench_result *result,
	     uint64_t end)
{
	if (limits->packets != 0)
		return result->packets >= limits->packets;
	return rte_rdtsc() >= end && result->library.n + result->short_batches >= MIN_SAMPLES;
}

static bool
measure(struct batch *batch, const struct bench_limits *limits, struct bench_result *result)
{
	uint64_t end = tsc_in(limits->ms), number = 0, cycles;

	bench_counters_start();
	do {
		if (!measure_batch(batch, result, ++number % CHECK_INTERVAL == 0))
			return false;
	} while (!bench_enough(limits, result, end));
	bench_counters_stop();
	result->checked += batch_units(batch);
	return run_batch(batch, true, &cycles);
}

bool
bench_run(const struct cell *cell, const struct bench_limits *limits,
	  struct bench_result *result)
{
	struct batch batch;
	bool good;

	*result = (struct bench_result){ 0 };
	good = batch_set_up(&batch, cell, calls_per_batch(cell)) && warm_up(&batch, limits, result) &&
		measure(&batch, limits, result);
	return batch_take_down(&batch) && good;
}
