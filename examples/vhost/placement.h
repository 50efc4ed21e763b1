/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PLACEMENT_H
#define PLACEMENT_H

/*
 * Which lcore polls which receive queue.  A pure function of its arguments, so
 * that it can be tried with any machine one can think of.
 */

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/** An index instead of a real one: the queue has no lcore, the user has chosen none. */
#define PLACEMENT_NONE UINT32_MAX

/** A receive queue to be polled. */
struct placement_queue {
	int node;		/**< that it wants to be polled from, or NODE_ANY */
	uint64_t load;		/**< cycles per second that it has taken lately */
	uint32_t pinned;	/**< lcore that the user has chosen, an index, or PLACEMENT_NONE */
	uint32_t lcore;		/**< result: an index, PLACEMENT_NONE only if there is no lcore */
};

/** An lcore that polls. */
struct placement_lcore {
	int node;
	uint64_t load;		/**< result: of all its queues */
	uint32_t n_queues;	/**< result */
	bool isolated;		/**< result: has pinned queues, gets no others without need */
};

/** How far two nodes are from each other. */
typedef int (*placement_distance_t)(int from, int to);

/**
 * Give each queue an lcore.
 *
 * Pinned queues get theirs.  Every other queue gets the least loaded lcore of the
 * nearest node that has one which is not isolated.  With ASSIGN_ROUNDROBIN queues
 * are taken in their order and load is their number; with ASSIGN_CYCLES the
 * heaviest comes first and load is measured cycles.
 */
void placement_assign(struct placement_queue *queues, uint32_t n_queues,
		struct placement_lcore *lcores, uint32_t n_lcores,
		enum rxq_assign how, placement_distance_t distance);

#endif /* PLACEMENT_H */
