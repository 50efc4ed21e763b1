/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_TEST_MACHINE_H
#define VHOST_TEST_MACHINE_H

/*
 * The nodes of the machine on which tests run, and the memory that they have.
 *
 * For suites that want several nodes; see devtools/numa-lab.
 */

#include <stdbool.h>
#include <stddef.h>

#define MACHINE_MAX_NODES 8

/** Nodes that give memory to the library and to guests; how many were found. */
unsigned int machine_find_nodes(int *found);

/** Another node than this one, one that gives memory if there is any; or -1. */
int machine_other_node(int node);

bool machine_node_gives_memory(int node);

/** Have the kernel migrate pages, and put there what is allocated later: 0 or -1. */
int machine_migrate(void *at, size_t len, int node);

/** Have it migrate all that lies in 2 MiB around a block of the library: 0 or -1. */
int machine_migrate_chunk(const void *block, int node);

/**
 * Leave nothing on the node that the library could take, of ordinary memory or of
 * hugepages; once more to take what has become free meanwhile.
 *
 * @return 0, or -1 when the node still gives memory
 */
int machine_fill_node(int node);

/** Give back so much of that that a guest can go there: 0 or -1. */
int machine_make_room(void);

/** Give back what machine_fill_node() took; nothing if there is nothing. */
void machine_empty_node(void);

/** Free hugepages of 2 MiB on the node. */
unsigned long machine_free_hugepages(int node);

#endif /* VHOST_TEST_MACHINE_H */
