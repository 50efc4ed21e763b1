/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>
#include <rte_vhost.h>

#include "dma.h"
#include "offload.h"
#include "options.h"
#include "output.h"

/** Everything about one batch on its way. */
struct sending {
	struct worker *worker;
	const struct poll *poll;	/**< where the packets came from */
	const struct out *out;		/**< and where they go */
	struct batch *batch;
	struct vport_counters *counters;
};

/* Queues of ports that have fewer of them than there are lcores. */
static rte_spinlock_t port_locks[RTE_MAX_ETHPORTS][VPORT_MAX_TXQ];

static void
drop(const struct sending *sending, enum drop_reason reason, struct rte_mbuf **pkts, uint16_t n)
{
	sending->counters->drops[reason] += n;
	rte_pktmbuf_free_bulk(pkts, n);
}

/** Count packets as sent, or take that back with -1. */
static void
count(const struct sending *sending, struct rte_mbuf **pkts, uint16_t n, int sign)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++)
		bytes += pkts[i]->pkt_len;
	sending->counters->tx_packets += sign * n;
	sending->counters->tx_bytes += sign * bytes; /* cppcheck-suppress signConversion ; that is how it is taken back */
	if (sending->out->node >= 0 && sending->out->node != sending->poll->node)
		sending->counters->crossed += sign * n;
}

/* Guests */

/**
 * Give packets to a ring: how many it took.  They are gone then: a DMA device may have
 * copied them, and another lcore freed them, by the time this returns.
 */
static uint16_t
put(const struct sending *sending, uint16_t ring, struct rte_mbuf **pkts, uint16_t n)
{
	const struct out *out = sending->out;
	uint16_t sent;

	if (likely(out->dma == DMA_NONE)) {
		sent = rte_vhost_enqueue_burst(out->target, ring, pkts, n);
		count(sending, pkts, sent, 1);
		rte_pktmbuf_free_bulk(pkts, sent);
		return sent;
	}
	count(sending, pkts, n, 1);
	sent = rte_vhost_submit_enqueue_burst(out->target, ring, pkts, n, out->dma, 0);
	count(sending, pkts + sent, n - sent, -1);
	dma_complete(out->target, ring, out->dma);
	return sent;
}

void
output_complete(const struct worker *worker, const struct plan *plan)
{
	for (uint32_t i = worker->index; i < plan->n_dma_outs; i += n_workers) {
		const struct out *out = &plan->outs[plan->dma_outs[i]];

		for (uint8_t k = 0; k < out->n_txq; k++)
			dma_complete(out->target, out->txq[k], out->dma);
	}
}

/** Drop what a ring does not take. */
static void
drop_at(const struct sending *sending, uint16_t ring, enum drop_reason reason,
	struct rte_mbuf **pkts, uint16_t n)
{
	sending->counters->queue_drops[ring / 2] += n;
	drop(sending, reason, pkts, n);
}

/**
 * Wait a little for a guest whose ring is full.  One that lets all attempts pass
 * gets no more of them until it takes packets again: it may hang, and the others
 * on this lcore are waiting.
 */
static uint16_t
retry(const struct sending *sending, uint16_t ring, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent = 0;

	if (!options.rx_retry || sending->batch->stalled)
		return 0;
	for (uint32_t i = 0; i < options.rx_retry_num && sent < n; i++) {
		rte_delay_us_block(options.rx_retry_delay);
		sent += put(sending, ring, pkts + sent, n - sent);
	}
	sending->batch->stalled = sent == 0;
	return sent;
}

/**
 * Send the first of the packets that a ring with buffers did not take: it is too big
 * for them, unless the guest has added these buffers only now.
 */
static void
send_first(const struct sending *sending, uint16_t ring, struct rte_mbuf **pkts)
{
	if (put(sending, ring, pkts, 1) == 0)
		drop_at(sending, ring, DROP_TOO_BIG, pkts, 1);
}

/**
 * Send packets to one ring.  Which ring depends on the queue that they came from
 * and not on the lcore, so that they stay in order when that queue changes lcores.
 */
static void
send_to_guest(const struct sending *sending, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t ring, sent;

	if (unlikely(sending->out->n_txq == 0)) {
		drop(sending, DROP_GUEST_GONE, pkts, n);
		return;
	}
	ring = sending->out->txq[sending->poll->queue % sending->out->n_txq];
	while (n > 0) {
		sent = put(sending, ring, pkts, n);
		if (sent > 0)
			sending->batch->stalled = false;
		if (unlikely(sent < n))
			sent += retry(sending, ring, pkts + sent, n - sent);
		pkts += sent;
		n -= sent;
		if (likely(n == 0))
			return;
		if (sending->out->dma != DMA_NONE ||
				rte_vhost_avail_entries(sending->out->target, ring) < BURST_SIZE) {
			drop_at(sending, ring, DROP_RING_FULL, pkts, n);
			return;
		}
		send_first(sending, ring, pkts++);
		n--;
	}
}

/* Ports */

/** Make of a packet in several mbufs one in a single mbuf; NULL if it is too long for that. */
static struct rte_mbuf *
linearized(struct rte_mbuf *pkt, struct rte_mempool *mbufs)
{
	struct rte_mbuf *copy;

	if (rte_mbuf_refcnt_read(pkt) == 1 && rte_pktmbuf_linearize(pkt) == 0)
		return pkt;
	copy = rte_pktmbuf_copy(pkt, mbufs, 0, UINT32_MAX);
	if (copy == NULL || copy->nb_segs > 1) {
		rte_pktmbuf_free(copy);
		return NULL;
	}
	rte_pktmbuf_free(pkt);
	return copy;
}

/** Drop what a port cannot send, and move the rest together. */
static uint16_t
keep_what_fits(const struct sending *sending, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *pkt, *fit;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		pkt = fit = pkts[i];
		if (pkt->pkt_len > sending->out->max_len &&
				!(pkt->ol_flags & RTE_MBUF_F_TX_TCP_SEG))
			fit = NULL;
		else if (pkt->nb_segs > 1 && !(sending->out->takes & OFFLOAD_CHAIN))
			fit = linearized(pkt, sending->poll->mbufs);
		if (fit != NULL)
			pkts[kept++] = fit;
		else
			drop(sending, DROP_TOO_BIG, &pkt, 1);
	}
	return kept;
}

/** Let the driver write what its NIC wants to find in packets; drop those it cannot send. */
static uint16_t
prepare(const struct sending *sending, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t ready = 0;

	while ((ready += rte_eth_tx_prepare(sending->out->target, queue, pkts + ready, n - ready))
			< n) {
		drop(sending, DROP_MALFORMED, &pkts[ready], 1);
		n--;
		memmove(&pkts[ready], &pkts[ready + 1], (n - ready) * sizeof(pkts[0])); /* NOLINT(bugprone-sizeof-expression): pointers move */
	}
	return n;
}

static void
send_to_port(const struct sending *sending, struct rte_mbuf **pkts, uint16_t n)
{
	const struct out *out = sending->out;
	uint16_t index = sending->worker->index % out->n_txq, queue = out->txq[index], sent;

	n = keep_what_fits(sending, pkts, n);
	n = prepare(sending, queue, pkts, n);
	/* once sent, a packet may be gone: it is counted before, and taken back if it is not */
	count(sending, pkts, n, 1);
	if (out->shared_txq)
		rte_spinlock_lock(&port_locks[out->target][index]);
	sent = rte_eth_tx_burst(out->target, queue, pkts, n);
	if (out->shared_txq)
		rte_spinlock_unlock(&port_locks[out->target][index]);
	if (unlikely(sent < n)) {
		count(sending, pkts + sent, n - sent, -1);
		drop(sending, DROP_PORT_FULL, pkts + sent, n - sent);
	}
}

/* Batches */

static void
transmit(const struct sending *sending, struct rte_mbuf **pkts, uint16_t n)
{
	if (sending->out->kind == VPORT_GUEST)
		send_to_guest(sending, pkts, n);
	else
		send_to_port(sending, pkts, n);
}

/** Whether a packet asks for something that its receiver does not do. */
static inline bool
needs_completion(const struct sending *sending, const struct rte_mbuf *pkt)
{
	return (offload_needs(pkt) & ~sending->out->takes) != 0;
}

/** Do what a packet asks for, and send the result. */
static void
complete_and_transmit(const struct sending *sending, struct rte_mbuf *pkt)
{
	struct rte_mbuf *done[OFFLOAD_MAX_SEGMENTS];
	int n = offload_complete(pkt, sending->poll->mbufs, done);

	if (n < 0) {
		sending->counters->drops[n == -ENOMEM ? DROP_NO_MBUF : DROP_MALFORMED]++;
		return;
	}
	sending->worker->work.gso_segments += n - 1;
	for (int i = 0; i < n; i += BURST_SIZE)
		transmit(sending, &done[i], n - i < BURST_SIZE ? n - i : BURST_SIZE);
}

void
output_send_batch(struct worker *worker, const struct plan *plan, const struct poll *poll,
		uint16_t vport)
{
	struct batch *batch = &worker->batches[vport];
	const struct sending sending = {
		.worker = worker,
		.poll = poll,
		.out = &plan->outs[vport],
		.batch = batch,
		.counters = &worker->counters[vport],
	};
	uint16_t sent = 0;

	/* runs of packets between those that need work, so that all stay in order */
	for (uint32_t i = 0; i < batch->n; i++) {
		if (likely(!needs_completion(&sending, batch->pkts[i])))
			continue;
		transmit(&sending, &batch->pkts[sent], i - sent);
		complete_and_transmit(&sending, batch->pkts[i]);
		sent = i + 1;
	}
	transmit(&sending, &batch->pkts[sent], batch->n - sent);
	batch->n = 0;
}
