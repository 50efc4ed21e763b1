/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef GUEST_NODE_H
#define GUEST_NODE_H

/*
 * Nodes of single queues, and of guests that move while they run.  Only a library
 * with rte_vhost_numa.h tells them; with another one all queues of a guest are on
 * the node of its device.
 */

#include <stdint.h>

/** The node of a ring, or that of its device. */
int guest_node_of_ring(int vid, uint16_t ring);

/** Have @p moved called whenever a device of a socket, or a queue, has moved. */
void guest_node_watch(const char *path, void (*moved)(void));

#endif /* GUEST_NODE_H */
