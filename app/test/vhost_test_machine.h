/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_TEST_MACHINE_H
#define VHOST_TEST_MACHINE_H

/*
 * The nodes of the machine on which tests run, and the memory that they have.
 *
 * For suites that want several nodes with hugepages; see devtools/numa-lab.
 */

#include <stdbool.h>
#include <stddef.h>

#define MACHINE_MAX_NODES 8

/** Nodes that give memory to EAL and to guests; how many were found. */
unsigned int machine_find_nodes(int *found);

/** Another node than this one, one that gives memory to EAL if there is any; or -1. */
int machine_other_node(int node);

bool machine_node_gives_memory(int node);

/** Have the kernel migrate pages, and put there what is allocated later: 0 or -1. */
int machine_migrate(void *at, size_t len, int node);

/**
 * Leave nothing on the node that the library could take: what EAL's heap of it has
 * left is allocated, and every free hugepage of it is mapped.
 *
 * @return 0, or -1 when EAL still gives memory of that node
 */
int machine_fill_node(int node);

/** Give back what machine_fill_node() took; nothing if there is nothing. */
void machine_empty_node(void);

/** Free hugepages of 2 MiB on the node. */
unsigned long machine_free_hugepages(int node);

/**
 * Have the kernel reserve so many hugepages on the node, free and used ones: 0, or
 * -1.  Only on an emulated machine, which is ours to change.
 */
int machine_reserve_hugepages(int node, unsigned long pages);

#endif /* VHOST_TEST_MACHINE_H */
