/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The example of doc/guides/prog_guide/vhost_numa.rst: an application that takes
 * each guest's buffers from the guest's node.  Its parts are run by
 * test_vhost_numa.c; EXAMPLE_MAIN makes the program of the guide of it.
 */

/* [head] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_eal.h>
#include <rte_vhost.h>
#include <rte_vhost_numa.h>
/* [head] */

#include "vhost_numa_example.h"

/* [follow] */
#define MAX_GUESTS 64

/** Node from which a guest's buffers are taken; index: vid. */
static int buffer_node[MAX_GUESTS];

/** The guest's memory was found, or has moved. */
static void
on_node_changed(int vid, int queue_id, int from, int to, void *arg)
{
	(void)arg;
	if (queue_id != RTE_VHOST_NUMA_DEVICE || vid >= MAX_GUESTS)
		return;
	printf("guest %d: from node %d to node %d\n", vid, from, to);
	buffer_node[vid] = to;
}

static int
on_new_device(int vid)
{
	if (vid >= MAX_GUESTS)
		return -1;
	buffer_node[vid] = rte_vhost_get_numa_node(vid);
	return 0;
}

static const struct rte_vhost_device_ops ops = {
	.new_device = on_new_device,
};

int
example_listen(const char *path)
{
	if (rte_vhost_driver_register(path, 0) != 0)
		return -1;
	if (rte_vhost_driver_callback_register(path, &ops) != 0 ||
			rte_vhost_numa_callback_register(path, on_node_changed, NULL) != 0 ||
			rte_vhost_driver_start(path) != 0) {
		rte_vhost_driver_unregister(path);
		return -1;
	}
	return 0;
}

/** For the threads that poll: where to allocate for a guest. */
int
example_buffer_node(int vid)
{
	return buffer_node[vid];
}
/* [follow] */

/* [report] */
/** Print which queues of a guest read memory of another node. */
int
example_show(int vid)
{
	struct rte_vhost_numa_report *report;
	unsigned int remote = 0;

	if (rte_vhost_numa_report(vid, &report) != 0)
		return -1;
	printf("device on node %d, %" PRIu64 " moves, %" PRIu64 " refusals\n",
		report->node, report->moves, report->refusals);
	for (uint32_t i = 0; i < report->nr_queues; i++) {
		const struct rte_vhost_numa_queue *q = &report->queues[i];

		remote += q->ring_node != RTE_VHOST_NUMA_NONE && q->node != q->ring_node;
		printf("queue %u: structures on node %d, ring on node %d\n",
			i, q->node, q->ring_node);
	}
	free(report);
	return remote;
}
/* [report] */

/* [pin] */
/** Keep a socket's devices on one node, whatever the guest does. */
int
example_pin(const char *path, int node)
{
	const struct rte_vhost_numa_policy policy = {
		.mode = RTE_VHOST_NUMA_PIN,
		.node = node,
	};

	return rte_vhost_numa_policy_set(path, &policy);
}
/* [pin] */

#ifdef EXAMPLE_MAIN
/* [main] */
/** Serve the socket that is named after "--"; each Enter shows its first guest. */
int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);

	if (used < 0 || used + 1 >= argc || example_listen(argv[used + 1]) != 0)
		return 1;
	while (getchar() != EOF)
		if (example_show(0) < 0)
			printf("no guest\n");
	rte_vhost_driver_unregister(argv[used + 1]);
	return rte_eal_cleanup() != 0;
}
/* [main] */
#endif
