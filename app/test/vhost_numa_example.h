/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_NUMA_EXAMPLE_H
#define VHOST_NUMA_EXAMPLE_H

/* The example of doc/guides/prog_guide/vhost_numa.rst. */

/** Register and start a socket whose guests' buffers follow them: 0 or -1. */
int example_listen(const char *path);

/** The node from which to take buffers for a guest; -1 when unknown. */
int example_buffer_node(int vid);

/** Print where a guest's queues are; how many are not with their rings, or -1. */
int example_show(int vid);

/** Keep devices on a node: 0 or a negative errno. */
int example_pin(const char *path, int node);

#endif /* VHOST_NUMA_EXAMPLE_H */
