/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef OUTPUT_H
#define OUTPUT_H

/*
 * Sending: one batch for each vport that a burst has packets for.
 */

#include "worker.h"

/** Send the batch of a vport, which is present in the plan. */
void output_send_batch(struct worker *worker, const struct plan *plan, const struct poll *poll,
		uint16_t vport);

/** Free what guests were sent by DMA devices and has arrived; each worker has its share. */
void output_complete(const struct worker *worker, const struct plan *plan);

/** Put a packet into the batch of a vport; a reference to it is taken over. */
static inline void
output_add(struct worker *worker, const struct plan *plan, const struct poll *poll,
		uint16_t vport, struct rte_mbuf *pkt)
{
	struct batch *batch = &worker->batches[vport];

	if (batch->n == 0)
		worker->waiting[worker->n_waiting++] = vport;
	else if (unlikely(batch->n == BURST_SIZE))
		output_send_batch(worker, plan, poll, vport);
	batch->pkts[batch->n++] = pkt;
}

/** Send all batches. */
static inline void
output_send(struct worker *worker, const struct plan *plan, const struct poll *poll)
{
	for (uint32_t i = 0; i < worker->n_waiting; i++)
		output_send_batch(worker, plan, poll, worker->waiting[i]);
	worker->n_waiting = 0;
}

#endif /* OUTPUT_H */
