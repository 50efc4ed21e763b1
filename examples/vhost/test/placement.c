/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <stdlib.h>

#include <rte_common.h>

#include "../placement.h"
#include "../topology.h"
#include "switch_test.h"

/* A machine with nodes 0, 1, 2 and 8 in a row. */
static int
distance_in_a_row(int from, int to)
{
	if (from < 0 || to < 0)
		return DISTANCE_LOCAL;
	return DISTANCE_LOCAL + 6 * abs(RTE_MIN(from, 3) - RTE_MIN(to, 3));
}

static struct placement_queue
queue_on(int node)
{
	return (struct placement_queue){ .node = node, .pinned = PLACEMENT_NONE };
}

static int
test_own_node_comes_first(void)
{
	struct placement_lcore lcores[] = { { .node = 0 }, { .node = 8 }, { .node = 0 } };
	struct placement_queue queues[] = { queue_on(8), queue_on(0), queue_on(0), queue_on(8) };
	const uint32_t wanted[] = { 1, 0, 2, 1 };
	int failed = 0;

	placement_assign(queues, RTE_DIM(queues), lcores, RTE_DIM(lcores), ASSIGN_ROUNDROBIN,
			distance_in_a_row);
	for (unsigned int i = 0; i < RTE_DIM(queues); i++)
		CHECK(queues[i].lcore == wanted[i], "queue %u on %u", i, queues[i].lcore);
	CHECK(lcores[1].n_queues == 2, "%u", lcores[1].n_queues);
	return failed;
}

static int
test_nearest_node_is_next(void)
{
	struct placement_lcore lcores[] = { { .node = 0 }, { .node = 2 } };
	struct placement_queue queues[] = { queue_on(8), queue_on(1), queue_on(1), queue_on(-1) };
	int failed = 0;

	placement_assign(queues, RTE_DIM(queues), lcores, RTE_DIM(lcores), ASSIGN_ROUNDROBIN,
			distance_in_a_row);
	CHECK(queues[0].lcore == 1, "the nearest to 8 is 2, not %u", queues[0].lcore);
	CHECK(queues[1].lcore == 0, "as near, with fewer queues, not %u", queues[1].lcore);
	CHECK(queues[2].lcore + queues[3].lcore == 1, "evenly: %u %u", queues[2].lcore,
			queues[3].lcore);
	return failed;
}

static int
test_pinned_lcore_is_isolated(void)
{
	struct placement_lcore lcores[] = { { .node = 0 }, { .node = 1 } };
	struct placement_queue queues[] = { queue_on(0), queue_on(0), queue_on(0) };
	int failed = 0;

	queues[2].pinned = 0;
	placement_assign(queues, RTE_DIM(queues), lcores, RTE_DIM(lcores), ASSIGN_ROUNDROBIN,
			distance_in_a_row);
	CHECK(queues[2].lcore == 0 && lcores[0].isolated && !lcores[1].isolated, "%u",
			queues[2].lcore);
	CHECK(queues[0].lcore == 1 && queues[1].lcore == 1, "others keep away: %u %u",
			queues[0].lcore, queues[1].lcore);

	queues[1].pinned = 1;
	placement_assign(queues, RTE_DIM(queues), lcores, RTE_DIM(lcores), ASSIGN_ROUNDROBIN,
			distance_in_a_row);
	CHECK(queues[0].lcore == 0, "but no queue is left alone: %u", queues[0].lcore);
	return failed;
}

static int
test_cycles_balance_work(void)
{
	struct placement_lcore lcores[] = { { .node = 0 }, { .node = 0 } };
	struct placement_queue queues[] = { queue_on(0), queue_on(0), queue_on(0), queue_on(0) };
	const uint64_t loads[] = { 10, 20, 30, 60 };
	int failed = 0;

	for (unsigned int i = 0; i < RTE_DIM(queues); i++)
		queues[i].load = loads[i];
	placement_assign(queues, RTE_DIM(queues), lcores, RTE_DIM(lcores), ASSIGN_CYCLES,
			distance_in_a_row);
	CHECK(lcores[0].load == 60 && lcores[1].load == 60, "%lu %lu", lcores[0].load,
			lcores[1].load);
	CHECK(lcores[queues[3].lcore].n_queues == 1, "the heaviest is alone");
	return failed;
}

/** A guest more does not move the queues of those before it. */
static int
test_newcomers_disturb_nobody(void)
{
	struct placement_lcore lcores[] = { { .node = 0 }, { .node = 0 }, { .node = 1 } };
	struct placement_queue queues[64];
	uint32_t before[RTE_DIM(queues)];
	int failed = 0;

	for (unsigned int n = 1; n <= RTE_DIM(queues); n++) {
		queues[n - 1] = queue_on(n % 3 == 0);
		placement_assign(queues, n, lcores, RTE_DIM(lcores), ASSIGN_ROUNDROBIN,
				distance_in_a_row);
		for (unsigned int i = 0; i + 1 < n; i++)
			CHECK(queues[i].lcore == before[i], "%u of %u: %u", i, n, queues[i].lcore);
		before[n - 1] = queues[n - 1].lcore;
	}
	return failed;
}

static int
test_without_lcores(void)
{
	struct placement_queue queues[] = { queue_on(0) };
	int failed = 0;

	placement_assign(queues, 1, NULL, 0, ASSIGN_CYCLES, distance_in_a_row);
	CHECK(queues[0].lcore == PLACEMENT_NONE, "%u", queues[0].lcore);
	return failed;
}

int
test_placement(void)
{
	return test_own_node_comes_first() + test_nearest_node_is_next() +
		test_pinned_lcore_is_isolated() + test_cycles_balance_work() +
		test_newcomers_disturb_nobody() + test_without_lcores();
}
