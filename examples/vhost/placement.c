/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include "placement.h"

/** Everything that the steps below need to know. */
struct placement {
	struct placement_queue *queues;
	uint32_t n_queues;
	struct placement_lcore *lcores;
	uint32_t n_lcores;
	enum rxq_assign how;
	placement_distance_t distance;
};

static void
give(struct placement *p, struct placement_queue *queue, uint32_t lcore)
{
	queue->lcore = lcore;
	p->lcores[lcore].load += queue->load;
	p->lcores[lcore].n_queues++;
}

static void
give_pinned(struct placement *p)
{
	for (uint32_t i = 0; i < p->n_queues; i++) {
		if (p->queues[i].pinned >= p->n_lcores)
			continue;
		give(p, &p->queues[i], p->queues[i].pinned);
		p->lcores[p->queues[i].pinned].isolated = true;
	}
}

/** Whether an lcore suits a queue better than another one of those that may have it. */
static bool
suits_better(const struct placement *p, const struct placement_queue *queue,
		const struct placement_lcore *a, const struct placement_lcore *b)
{
	int far_a = p->distance(queue->node, a->node);
	int far_b = p->distance(queue->node, b->node);

	if (far_a != far_b)
		return far_a < far_b;
	if (p->how == ASSIGN_CYCLES && a->load != b->load)
		return a->load < b->load;
	return a->n_queues < b->n_queues;
}

/** The best lcore for a queue among those that are isolated, or not. */
static uint32_t
best_lcore(const struct placement *p, const struct placement_queue *queue, bool isolated)
{
	uint32_t best = PLACEMENT_NONE;

	for (uint32_t i = 0; i < p->n_lcores; i++) {
		if (p->lcores[i].isolated != isolated)
			continue;
		if (best == PLACEMENT_NONE ||
				suits_better(p, queue, &p->lcores[i], &p->lcores[best]))
			best = i;
	}
	return best;
}

/** The queue to be placed next: the first one, or the first of the heaviest. */
static struct placement_queue *
next_queue(struct placement *p)
{
	struct placement_queue *next = NULL;

	for (uint32_t i = 0; i < p->n_queues; i++) {
		struct placement_queue *queue = &p->queues[i];

		if (queue->lcore != PLACEMENT_NONE)
			continue;
		if (next == NULL || (p->how == ASSIGN_CYCLES && queue->load > next->load))
			next = queue;
	}
	return next;
}

void
placement_assign(struct placement_queue *queues, uint32_t n_queues,
		struct placement_lcore *lcores, uint32_t n_lcores,
		enum rxq_assign how, placement_distance_t distance)
{
	struct placement p = { queues, n_queues, lcores, n_lcores, how, distance };
	struct placement_queue *queue;
	uint32_t lcore;

	for (uint32_t i = 0; i < n_queues; i++)
		queues[i].lcore = PLACEMENT_NONE;
	for (uint32_t i = 0; i < n_lcores; i++)
		lcores[i] = (struct placement_lcore){ .node = lcores[i].node };
	if (n_lcores == 0)
		return;
	give_pinned(&p);
	while ((queue = next_queue(&p)) != NULL) {
		lcore = best_lcore(&p, queue, false);
		if (lcore == PLACEMENT_NONE)	/* better a busy one than none */
			lcore = best_lcore(&p, queue, true);
		give(&p, queue, lcore);
	}
}
