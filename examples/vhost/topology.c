/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_common.h>

#include "topology.h"

/* As many pages as one question to the kernel is about. */
#define PAGES_AT_ONCE 64

/* 0 where the kernel does not say, which includes kernels without NUMA. */
static int distances[TOPOLOGY_MAX_NODES][TOPOLOGY_MAX_NODES];

/**
 * A node's row of distances has a column for each node that is online, in the
 * order of their numbers.
 */
static void
read_distances(int node, const int columns[], int n_columns)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/distance", node);
	file = fopen(path, "r");
	if (file == NULL)
		return;
	for (int i = 0; i < n_columns; i++)
		/* NOLINTNEXTLINE(cert-err34-c): the kernel writes it */
		if (fscanf(file, "%d", &distances[node][columns[i]]) != 1)
			break;
	fclose(file);
}

void
topology_init(void)
{
	int nodes[TOPOLOGY_MAX_NODES], n_nodes = 0;
	char path[64];

	for (int node = 0; node < TOPOLOGY_MAX_NODES; node++) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
		if (access(path, F_OK) == 0)
			nodes[n_nodes++] = node;
	}
	for (int i = 0; i < n_nodes; i++)
		read_distances(nodes[i], nodes, n_nodes);
}

int
topology_distance(int from, int to)
{
	if (from < 0 || to < 0 || from >= TOPOLOGY_MAX_NODES || to >= TOPOLOGY_MAX_NODES ||
			distances[from][to] == 0)
		return DISTANCE_LOCAL;
	return distances[from][to];
}

/**
 * Ask for the nodes of pages, without faulting in any of them, or move them.  libnuma
 * has a function for that, which would be its only use here.
 */
static int
move_pages(void *pages[], unsigned int n, const int to[], int nodes[])
{
	return syscall(SYS_move_pages, 0, (unsigned long)n, pages, to, nodes,
			to != NULL ? MPOL_MF_MOVE : 0);
}

static void
count(struct page_census *census, void *pages[], unsigned int n)
{
	int nodes[PAGES_AT_ONCE];

	if (move_pages(pages, n, NULL, nodes) != 0)
		return;
	for (unsigned int i = 0; i < n; i++) {
		if (nodes[i] < 0 || nodes[i] >= TOPOLOGY_MAX_NODES)
			continue;
		census->pages[nodes[i]]++;
		census->seen++;
	}
}

void
topology_count_pages(struct page_census *census, const void *start, size_t len,
		unsigned int samples)
{
	const size_t page_size = sysconf(_SC_PAGESIZE);
	size_t stride = RTE_MAX(len / RTE_MAX(samples, 1u), page_size);
	void *pages[PAGES_AT_ONCE];
	unsigned int n = 0;

	for (size_t offset = 0; offset < len; offset += stride) {
		pages[n++] = RTE_PTR_ALIGN_FLOOR(RTE_PTR_ADD(start, offset), page_size);
		if (n == PAGES_AT_ONCE) {
			count(census, pages, n);
			n = 0;
		}
	}
	if (n > 0)
		count(census, pages, n);
}

void
topology_bring(void *start, size_t len, int node)
{
	const size_t page_size = sysconf(_SC_PAGESIZE);
	char *page = RTE_PTR_ALIGN_CEIL(start, page_size), *end = RTE_PTR_ADD(start, len);
	void *pages[PAGES_AT_ONCE];
	int to[PAGES_AT_ONCE], result[PAGES_AT_ONCE];
	unsigned int n;

	while (page < end) {
		for (n = 0; n < PAGES_AT_ONCE && page < end; n++, page += page_size) {
			pages[n] = page;
			to[n] = node;
		}
		/* pages that are not there yet will be born here, others may stay */
		if (move_pages(pages, n, to, result) < 0)
			return;
	}
}

int
topology_main_node(const struct page_census *census)
{
	int best = NODE_ANY;

	for (int node = 0; node < TOPOLOGY_MAX_NODES; node++)
		if (census->pages[node] > (best < 0 ? 0 : census->pages[best]))
			best = node;
	return best;
}
