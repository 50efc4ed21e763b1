/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A queue that changes lcores must not be polled by both, not even for a moment:
 * packets that the new one takes could overtake those that the old one still has.
 * So a refresh has two steps.  First each lcore gets a plan with those of its queues
 * that it keeps; when all follow these plans, second, the full ones.
 *
 * Each lcore has room for two plans, so nothing is allocated and a guest can always
 * be removed.  The plan that is made is never the one that is followed, because each
 * step ends with waiting for all lcores.
 */

#include <inttypes.h>

#include <rte_cycles.h>

#include "dma.h"
#include "options.h"
#include "placement.h"
#include "plan.h"
#include "switch_log.h"
#include "topology.h"

/** A queue that is to be polled. */
struct candidate {
	struct vport *vport;
	uint32_t queue;
	uint32_t lcore;		/**< id of the lcore that it gets */
};

/* Under the control lock. */
static struct candidate candidates[PLAN_MAX_POLLS];
static struct placement_queue placed[PLAN_MAX_POLLS];
static uint32_t n_candidates;

/** What placement calls an lcore: the index of its worker. */
static uint32_t
index_of(uint32_t lcore)
{
	const struct worker *worker = worker_on(lcore);

	return worker != NULL ? worker->index : PLACEMENT_NONE;
}

/* Choosing lcores */

static void
collect_candidates(void)
{
	struct vport *vport;

	n_candidates = 0;
	VPORT_FOREACH(vport) {
		bool usable = vport->connected && vport->pool != NULL;

		for (uint32_t queue = 0; usable && queue < vport->n_rxq; queue++) {
			const struct vport_rxq *rxq = &vport->rxq[queue];

			if (!rxq->enabled || n_candidates == PLAN_MAX_POLLS)
				continue;
			placed[n_candidates] = (struct placement_queue){
				.node = rxq->node,
				.load = rxq->load,
				.pinned = index_of(rxq->pinned),
			};
			candidates[n_candidates++] = (struct candidate){ vport, queue, 0 };
		}
	}
}

static void
choose_lcores(void)
{
	struct placement_lcore lcores[RTE_MAX_LCORE];

	for (uint32_t i = 0; i < n_workers; i++)
		lcores[i].node = workers[i]->node;
	placement_assign(placed, n_candidates, lcores, n_workers, options.rxq_assign,
			topology_distance);
	for (uint32_t i = 0; i < n_workers; i++)
		workers[i]->isolated = lcores[i].isolated;
	for (uint32_t i = 0; i < n_candidates; i++)
		candidates[i].lcore = workers[placed[i].lcore]->lcore;
}

/* Making and publishing plans */

static void
fill_out(struct out *out, const struct vport *vport)
{
	*out = (struct out){
		.present = true,
		.kind = vport->kind,
		.takes = vport->takes,
		.node = vport->node,
		.max_len = vport->max_len,
		.n_txq = vport->n_txq,
		.shared_txq = vport->n_txq < n_workers,
		.target = vport->kind == VPORT_GUEST ? vport->guest.vid : vport->ethdev.port_id,
	};
	out->dma = vport->kind == VPORT_GUEST ? vport->guest.dma[DMA_TX] : DMA_NONE;
	for (uint32_t i = 0; i < vport->n_txq; i++)
		out->txq[i] = vport->txq[i];
}

static void
fill_outs(struct plan *plan)
{
	struct vport *vport;

	plan->n_flood = 0;
	plan->n_dma_outs = 0;
	plan->vmdq_port = VPORT_NONE;
	VPORT_FOREACH(vport) {
		plan->outs[vport->id].present = false;
		if (!vport->connected)
			continue;
		fill_out(&plan->outs[vport->id], vport);
		plan->flood[plan->n_flood++] = vport->id;
		if (plan->outs[vport->id].dma != DMA_NONE)
			plan->dma_outs[plan->n_dma_outs++] = vport->id;
		if (options.vm2vm == VM2VM_HARDWARE && vport->kind == VPORT_ETHDEV &&
				vport->ethdev.vmdq)
			plan->vmdq_port = vport->id;
	}
}

static void
fill_poll(struct poll *poll, const struct candidate *candidate)
{
	const struct vport *vport = candidate->vport;
	bool guest = vport->kind == VPORT_GUEST;

	*poll = (struct poll){
		.kind = vport->kind,
		.vport = vport->id,
		.queue = candidate->queue,
		.ring = vport->rxq[candidate->queue].ring,
		.source = guest ? vport->guest.vid : vport->ethdev.port_id,
		.dma = guest ? vport->guest.dma[DMA_RX] : DMA_NONE,
		.node = pool_node(vport->pool),
		.mbufs = vport->pool->mbufs,
	};
}

/** The plan that a worker does not follow. */
static struct plan *
spare_plan(struct worker *worker)
{
	return &worker->plans[worker->plan == &worker->plans[0]];
}

/** Fill in the plan that a worker does not follow. */
static void
make_plan(struct worker *worker, bool only_kept)
{
	struct plan *plan = spare_plan(worker);

	fill_outs(plan);
	plan->n_polls = 0;
	for (uint32_t i = 0; i < n_candidates; i++) {
		const struct candidate *candidate = &candidates[i];
		const struct vport_rxq *rxq = &candidate->vport->rxq[candidate->queue];

		if (candidate->lcore != worker->lcore ||
				(only_kept && rxq->lcore != worker->lcore))
			continue;
		fill_poll(&plan->polls[plan->n_polls++], candidate);
	}
}

/** What a queue has cost belongs to the queue; a plan is about to be made anew. */
static void
save_cycles(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_polls; i++) {
		const struct poll *poll = &plan->polls[i];

		vport_at(poll->vport)->rxq[poll->queue].cycles += poll->cycles;
	}
}

static void
publish(bool only_kept)
{
	for (uint32_t i = 0; i < n_workers; i++)
		make_plan(workers[i], only_kept);
	/* P1: what the plan points to is written before the plan can be seen */
	for (uint32_t i = 0; i < n_workers; i++)
		__atomic_store_n(&workers[i]->plan, spare_plan(workers[i]), __ATOMIC_RELEASE);
	workers_synchronize();
	for (uint32_t i = 0; i < n_workers; i++)
		save_cycles(spare_plan(workers[i]));
}

/* Saying what has changed */

static void
tell(const struct candidate *candidate)
{
	const struct vport *vport = candidate->vport;
	const struct vport_rxq *rxq = &vport->rxq[candidate->queue];
	int node = worker_on(candidate->lcore)->node;
	int distance = topology_distance(rxq->node, node);

	LOG(INFO, VPORT_FMT " queue %u: lcore %u on node %d", VPORT_ARGS(vport),
			candidate->queue, candidate->lcore, node);
	if (distance == DISTANCE_LOCAL)
		return;
	if (rxq->pinned == candidate->lcore)
		LOG(WARNING, VPORT_FMT " queue %u is pinned to lcore %u on node %d, each access "
				"over distance %d instead of %d", VPORT_ARGS(vport),
				candidate->queue, candidate->lcore, node, distance,
				DISTANCE_LOCAL);
	else
		LOG(WARNING, "no polling lcore on node %d: " VPORT_FMT " queue %u is polled by "
				"lcore %u on node %d, each access over distance %d instead of %d",
				rxq->node, VPORT_ARGS(vport), candidate->queue,
				candidate->lcore, node, distance, DISTANCE_LOCAL);
}

/** Note which lcore polls what; true if a queue has another one than before. */
static bool
note_lcores(void)
{
	struct vport *vport;
	const uint32_t n = n_candidates;
	uint32_t before[PLAN_MAX_POLLS];
	bool changed = false;

	for (uint32_t i = 0; i < n; i++)
		before[i] = candidates[i].vport->rxq[candidates[i].queue].lcore;
	VPORT_FOREACH(vport)
		for (uint32_t queue = 0; queue < VPORT_MAX_RXQ; queue++)
			vport->rxq[queue].lcore = LCORE_ID_ANY;
	for (uint32_t i = 0; i < n; i++) {
		candidates[i].vport->rxq[candidates[i].queue].lcore = candidates[i].lcore;
		if (before[i] == candidates[i].lcore)
			continue;
		changed = true;
		tell(&candidates[i]);
	}
	return changed;
}

void
plan_refresh(void)
{
	collect_candidates();
	choose_lcores();
	publish(true);
	if (note_lcores())
		publish(false);
}

/* Measuring */

static void
measure_queue(struct vport_rxq *rxq, uint64_t cycles)
{
	/* half of what is shown is about the last two seconds */
	rxq->load = (3 * rxq->load + cycles - rxq->seen_cycles) / 4;
	rxq->seen_cycles = cycles;
}

void
plan_measure(void)
{
	for (uint32_t i = 0; i < n_workers; i++) {
		const struct plan *plan = workers[i]->plan;

		for (uint32_t j = 0; j < plan->n_polls; j++) {
			const struct poll *poll = &plan->polls[j];
			struct vport_rxq *rxq = &vport_at(poll->vport)->rxq[poll->queue];

			measure_queue(rxq, rxq->cycles +
					__atomic_load_n(&poll->cycles, __ATOMIC_RELAXED));
		}
	}
}

void
plan_count(const struct vport *vport, struct vport_counters *sum)
{
	*sum = (struct vport_counters){ 0 };
	for (uint32_t i = 0; i < n_workers; i++)
		counters_add(sum, &workers[i]->counters[vport->id]);
}

void
plan_count_worker(const struct worker *worker, struct vport_counters *sum)
{
	*sum = (struct vport_counters){ 0 };
	for (uint32_t i = 0; i < VPORT_MAX; i++)
		counters_add(sum, &worker->counters[i]);
}

void
plan_count_all(struct switch_totals *totals)
{
	struct vport_counters one;
	struct vport *vport;

	*totals = (struct switch_totals){ 0 };
	VPORT_FOREACH(vport) {
		plan_count(vport, &one);
		counters_add(&totals->vports, &one);
	}
	for (uint32_t i = 0; i < n_workers; i++)
		counters_add_work(&totals->work, &workers[i]->work);
	totals->dropped = counters_dropped(&totals->vports);
	totals->balance = totals->vports.rx_packets + totals->work.flood_copies +
		totals->work.gso_segments - totals->work.gro_merged -
		totals->vports.tx_packets - totals->dropped;
}
