/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The header may be missing where this is built, and the functions where it runs:
 * references are weak, so that one program runs on both kinds of library.
 */

#include <rte_common.h>
#include <rte_vhost.h>

#include "guest_node.h"

#if __has_include(<rte_vhost_numa.h>)

#include <rte_vhost_numa.h>

#pragma weak rte_vhost_numa_queue_node
#pragma weak rte_vhost_numa_callback_register

static void (*tell_moved)(void);

static void
changed(int vid __rte_unused, int queue __rte_unused, int from __rte_unused,
		int to __rte_unused, void *arg __rte_unused)
{
	tell_moved();
}

int
guest_node_of_ring(int vid, uint16_t ring)
{
	int node = -1;

	if (rte_vhost_numa_queue_node != NULL)
		node = rte_vhost_numa_queue_node(vid, ring);
	return node >= 0 ? node : rte_vhost_get_numa_node(vid);
}

void
guest_node_watch(const char *path, void (*moved)(void))
{
	tell_moved = moved;
	if (rte_vhost_numa_callback_register != NULL)
		rte_vhost_numa_callback_register(path, changed, NULL);
}

#else

int
guest_node_of_ring(int vid, uint16_t ring __rte_unused)
{
	return rte_vhost_get_numa_node(vid);
}

void
guest_node_watch(const char *path __rte_unused, void (*moved)(void) __rte_unused)
{
}

#endif
