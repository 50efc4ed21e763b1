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

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <rte_vhost_async.h>

#include "backend.h"
#include "bench.h"
#include "frame.h"
#include "port.h"
#include "vhost_fake_dma.h"

/** Rooms of the segments in the three mempools. */
#define NORMAL_ROOM 2048
#define SMALL_ROOM 512
#define LARGE_ROOM FRAME_MAX

/**
 * A batch has about so many packets if the ring has room and one device is served.
 * Twice as many mbufs and a ring of buffers, in pages strewn over physical memory,
 * overflow parts of a 2 MiB cache in some processes and not in others.
 */
#define BATCH_PACKETS 128u
/** One batch of so many is checked byte by byte. */
#define CHECK_INTERVAL 512
/** Quantiles need so many batches, even if they take longer than was asked for. */
#define MIN_SAMPLES 64
/** A call may move nothing so many times in a row, a millisecond apart. */
#define MAX_IDLE 1000

/** One call of the library. */
struct call {
	struct port *port;
	struct rte_mbuf **mbufs;	/**< as many as a burst */
	uint16_t done;			/**< packets that it moved */
};

struct bench {
	const struct cell *cell;
	struct rte_mempool *pool;	/**< of the sources, or of what is received */
	unsigned int packet_chains;	/**< chains that one packet takes */
	struct port *ports;
	unsigned int n_ports;		/**< opened so far */
	struct call *calls;		/**< of a batch, in their order */
	unsigned int n_calls;
	struct rte_mbuf **mbufs;	/**< of all calls */
	unsigned int n_packets;		/**< of all calls */
};

/** Copies that the DMA device has room for, and how often it is polled for one burst. */
#define DMA_RING 4096
#define MAX_POLLS 1000000

static int16_t dma_id = -1;		/**< made for the first cell that needs it */
static struct rte_mempool *normal_pool, *small_pool, *large_pool;
static uint64_t window_cost;	/**< cycles of an empty window */

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

static bool
fail(const struct cell *cell, const char *what)
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

/** A batch fills the ring of a single device or gives each of several one burst. */
static unsigned int
calls_per_batch(const struct cell *cell)
{
	unsigned int room = port_ring_chains(cell) / port_packet_chains(cell);

	return cell->devices > 1 ? cell->devices : RTE_MIN(room, BATCH_PACKETS) / cell->burst;
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
register_ports(const struct bench *bench)
{
	if (!make_dma())
		return fail(bench->cell, "no DMA device");
	for (unsigned int i = 0; i < bench->n_ports; i++)
		if (rte_vhost_async_channel_register(bench->ports[i].vid,
						     bench->cell->direction) != 0)
			return fail(bench->cell, "no asynchronous copies");
	return true;
}

static bool
open_ports(struct bench *bench)
{
	const struct cell *cell = bench->cell;
	const char *socket = backend_socket(cell->flags);

	if (socket == NULL)
		return fail(cell, "the library does not listen");
	while (bench->n_ports < cell->devices)
		if (!port_open(&bench->ports[bench->n_ports++], cell, socket))
			return false;
	return true;
}

static bool
make_sources(struct bench *bench)
{
	for (unsigned int i = 0; i < bench->n_packets; i++) {
		bench->mbufs[i] = frame_make_mbuf(bench->pool, bench->cell, i);
		if (bench->mbufs[i] == NULL)
			return fail(bench->cell, "not enough mbufs");
	}
	return true;
}

/** On false, too, it has to be taken down. */
static bool
set_up(struct bench *bench, const struct cell *cell)
{
	*bench = (struct bench){
		.cell = cell,
		.pool = pool_for(cell),
		.packet_chains = port_packet_chains(cell),
		.n_calls = calls_per_batch(cell),
		.n_packets = calls_per_batch(cell) * cell->burst,
	};
	bench->ports = calloc(cell->devices, sizeof(*bench->ports));
	bench->calls = calloc(bench->n_calls, sizeof(*bench->calls));
	bench->mbufs = calloc(bench->n_packets, sizeof(*bench->mbufs));
	if (bench->ports == NULL || bench->calls == NULL || bench->mbufs == NULL)
		return fail(cell, "not enough memory");
	for (unsigned int i = 0; i < bench->n_calls; i++)
		bench->calls[i] = (struct call){ .port = &bench->ports[i % cell->devices],
						 .mbufs = &bench->mbufs[i * cell->burst] };
	return open_ports(bench) && (!cell->async || register_ports(bench)) &&
		(cell->direction == DEQUEUE || make_sources(bench));
}

static bool
take_down(struct bench *bench)
{
	bool gone;

	for (unsigned int i = 0; bench->cell->async && i < bench->n_ports; i++)
		rte_vhost_async_channel_unregister(bench->ports[i].vid, bench->cell->direction);
	for (unsigned int i = 0; i < bench->n_ports; i++)
		port_hang_up(&bench->ports[i]);
	gone = backend_wait_gone();
	for (unsigned int i = 0; i < bench->n_ports; i++)
		port_free(&bench->ports[i]);
	if (bench->cell->direction == ENQUEUE && bench->mbufs != NULL)
		rte_pktmbuf_free_bulk(bench->mbufs, bench->n_packets);
	free(bench->ports);
	free(bench->calls);
	free(bench->mbufs);
	return gone || fail(bench->cell, "the devices do not go away");
}

/* Moving a batch. */

static void
post_batch(struct bench *bench, bool poison)
{
	unsigned int chains = bench->cell->burst * bench->packet_chains;

	for (unsigned int i = 0; i < bench->n_calls; i++)
		port_post(bench->calls[i].port, chains, poison);
	for (unsigned int i = 0; i < bench->n_ports; i++)
		port_publish(&bench->ports[i]);
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

static __rte_always_inline uint16_t
move(const struct bench *bench, enum direction direction, const struct call *call)
{
	struct rte_mbuf **mbufs = call->mbufs + call->done;
	uint16_t count = bench->cell->burst - call->done;

	int inflight;

	if (bench->cell->async)
		return direction == ENQUEUE ? submit_and_poll(call->port->vid, mbufs, count) :
			rte_vhost_async_try_dequeue_burst(call->port->vid, 1, bench->pool, mbufs,
							  count, &inflight, dma_id, 0);
	if (direction == ENQUEUE)
		return rte_vhost_enqueue_burst(call->port->vid, 0, mbufs, count);
	return rte_vhost_dequeue_burst(call->port->vid, 1, bench->pool, mbufs, count);
}

/** The calls of a batch, up to the first that does not move all; their cycles. */
static __rte_always_inline uint64_t
time_calls(const struct bench *bench, enum direction direction)
{
	struct call *call = bench->calls, *end = call + bench->n_calls;
	uint16_t burst = bench->cell->burst;
	uint64_t start = rte_rdtsc_precise();

	do
		call->done = move(bench, direction, call);
	while (call->done == burst && ++call < end);
	return rte_rdtsc_precise() - start;
}

/** Make a call again until it has moved all, false if it does not get on. */
static bool
finish_call(const struct bench *bench, struct call *call)
{
	unsigned int idle = 0;

	while (call->done < bench->cell->burst) {
		uint16_t moved = move(bench, bench->cell->direction, call);

		call->done += moved;
		if (moved != 0) {
			idle = 0;
			continue;
		}
		if (++idle == MAX_IDLE)
			return fail(bench->cell, "the library does not move the packets");
		rte_delay_us_sleep(1000);
	}
	return true;
}

/** Make all calls; "cycles" is 0 if one of them moved less than it was given. */
static bool
move_batch(struct bench *bench, uint64_t *cycles)
{
	const struct call *last = &bench->calls[bench->n_calls - 1];

	for (unsigned int i = 0; i < bench->n_calls; i++)
		bench->calls[i].done = 0;
	*cycles = bench->cell->direction == ENQUEUE ? time_calls(bench, ENQUEUE)
		: time_calls(bench, DEQUEUE);
	if (last->done == bench->cell->burst)
		return true;
	*cycles = 0;
	for (unsigned int i = 0; i < bench->n_calls; i++)
		if (!finish_call(bench, &bench->calls[i]))
			return false;
	return true;
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
receive_chain(struct bench *bench, struct port *port, struct received *received, bool first,
	      bool check)
{
	unsigned int skip = first ? NET_HDR_LEN : 0, start = received->len;
	uint32_t len;
	const struct chain *chain = port_reap(port, &len);

	if (chain == NULL || len < skip || start + len - skip > bench->cell->size)
		return fail(bench->cell, "wrong used entry");
	received->len += len - skip;
	if (!check)
		return true;
	if (first)
		chain_read(chain, 0, received->header, NET_HDR_LEN);
	chain_read(chain, skip, received->frame + start, len - skip);
	return chain_is_poison(chain, len) || fail(bench->cell, "bytes written behind the frame");
}

static bool
check_received(const struct bench *bench, const struct received *received, unsigned int index)
{
	const struct cell *cell = bench->cell;

	if (!frame_check_guest_header(received->header, cell, bench->packet_chains))
		return fail(cell, "wrong virtio header");
	return frame_arrived(received->frame, cell, index) || fail(cell, "wrong contents");
}

/** The guests received the sources, in their order. */
static bool
reap_enqueued(struct bench *bench, bool check)
{
	const struct cell *cell = bench->cell;
	struct received received;

	for (unsigned int i = 0; i < bench->n_packets; i++) {
		struct port *port = bench->calls[i / cell->burst].port;

		received.len = 0;
		for (unsigned int n = 0; n < bench->packet_chains; n++)
			if (!receive_chain(bench, port, &received, n == 0, check))
				return false;
		if (received.len != cell->size)
			return fail(cell, "wrong length");
		if (check && !check_received(bench, &received, i))
			return false;
	}
	return true;
}

static bool
check_mbuf(const struct cell *cell, const struct rte_mbuf *mbuf, unsigned int index)
{
	uint8_t expected[FRAME_MAX], linear[FRAME_MAX];
	const char *reason;
	const void *bytes;

	if (rte_mbuf_check(mbuf, 1, &reason) != 0)
		return fail(cell, reason);
	frame_fill(expected, cell, index);
	bytes = rte_pktmbuf_read(mbuf, 0, cell->size, linear);
	if (bytes == NULL || memcmp(bytes, expected, cell->size) != 0)
		return fail(cell, "wrong contents");
	return frame_check_mbuf(mbuf, cell) || fail(cell, "wrong offload marks");
}

/** The slot whose frame is at this place of a batch: guests send in the order of slots. */
static unsigned int
sent_slot(const struct bench *bench, unsigned int packet)
{
	const struct cell *cell = bench->cell;
	unsigned int call = packet / cell->burst;
	const struct port *port = bench->calls[call].port;
	unsigned int of_batch = call / cell->devices * cell->burst + packet % cell->burst;
	unsigned int before = port->posted - bench->n_packets / cell->devices;

	return (before + of_batch) % port->n_chains;
}

static bool
reap_dequeued(struct bench *bench, bool check)
{
	const struct cell *cell = bench->cell;

	for (unsigned int i = 0; i < bench->n_packets; i++) {
		uint32_t len;

		if (port_reap(bench->calls[i / cell->burst].port, &len) == NULL)
			return fail(cell, "wrong used entry");
		if (bench->mbufs[i]->pkt_len != cell->size)
			return fail(cell, "wrong length");
		if (check && !check_mbuf(cell, bench->mbufs[i], sent_slot(bench, i)))
			return false;
	}
	return true;
}

/** Move the packets of a batch; "cycles" is 0 if it cannot serve as a measurement. */
static bool
run_batch(struct bench *bench, bool check, uint64_t *cycles)
{
	bool enqueue = bench->cell->direction == ENQUEUE, good;

	post_batch(bench, check && enqueue);
	if (!move_batch(bench, cycles))
		return false;
	if (check)
		*cycles = 0;
	good = enqueue ? reap_enqueued(bench, check) : reap_dequeued(bench, check);
	if (!enqueue)
		rte_pktmbuf_free_bulk(bench->mbufs, bench->n_packets);
	return good;
}

/* All batches of a cell. */

/** The array doubles whenever the number of samples is a power of two. */
static bool
add_sample(struct bench_result *result, float sample)
{
	unsigned int n = result->n_samples;

	if ((n & (n - 1)) == 0) {
		unsigned int room = n == 0 ? 1 : 2 * n;
		float *samples = realloc(result->samples, room * sizeof(*samples));

		if (samples == NULL)
			return false;
		result->samples = samples;
	}
	result->samples[result->n_samples++] = sample;
	return true;
}

static bool
measure_batch(struct bench *bench, struct bench_result *result, bool check)
{
	uint64_t cycles;

	if (!run_batch(bench, check, &cycles))
		return false;
	result->packets += bench->n_packets;
	if (check)
		result->checked += bench->n_packets;
	else if (cycles == 0)
		result->short_batches++;
	else
		return add_sample(result, (float)(cycles - RTE_MIN(cycles, window_cost)) /
				  bench->n_packets);
	return true;
}

static uint64_t
tsc_in(unsigned int ms)
{
	return rte_rdtsc() + rte_get_tsc_hz() / 1000 * ms;
}

/** Caches, clock frequency and every place of the rings get into their steady state. */
static bool
warm_up(struct bench *bench, const struct bench_limits *limits, struct bench_result *result)
{
	uint64_t end = limits->packets != 0 ? 0 : tsc_in(limits->ms / 4), cycles;
	unsigned int batch = 0;

	result->checked += bench->n_packets;
	do
		if (!run_batch(bench, batch == 0, &cycles))
			return false;
	while (++batch < limits->warmup || rte_rdtsc() < end);
	return true;
}

static bool
enough(const struct bench_limits *limits, const struct bench_result *result, uint64_t end)
{
	if (limits->packets != 0)
		return result->packets >= limits->packets;
	return rte_rdtsc() >= end && result->n_samples + result->short_batches >= MIN_SAMPLES;
}

static bool
measure(struct bench *bench, const struct bench_limits *limits, struct bench_result *result)
{
	uint64_t end = tsc_in(limits->ms), batch = 0, cycles;

	bench_counters_start();
	do {
		if (!measure_batch(bench, result, ++batch % CHECK_INTERVAL == 0))
			return false;
	} while (!enough(limits, result, end));
	bench_counters_stop();
	result->checked += bench->n_packets;
	return run_batch(bench, true, &cycles);
}

bool
bench_run(const struct cell *cell, const struct bench_limits *limits,
	  struct bench_result *result)
{
	struct bench bench;
	bool good;

	*result = (struct bench_result){ 0 };
	good = set_up(&bench, cell) && warm_up(&bench, limits, result) &&
		measure(&bench, limits, result);
	return take_down(&bench) && good;
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
bench_init(void)
{
	window_cost = measure_window();
	normal_pool = make_pool("normal", 8191, NORMAL_ROOM);
	small_pool = make_pool("small", 2047, SMALL_ROOM);
	large_pool = make_pool("large", 1023, LARGE_ROOM);
	return normal_pool != NULL && small_pool != NULL && large_pool != NULL;
}
