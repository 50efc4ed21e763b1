/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* The nodes of the machine on which tests run; see vhost_test_machine.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/mempolicy.h>

#include <rte_common.h>
#include <rte_malloc.h>

#include "mem_node.h"
#include "vhost_test_machine.h"

#define NODE_FOLDER "/sys/devices/system/node/node%d/"
#define HUGEPAGES NODE_FOLDER "hugepages/hugepages-2048kB/"
#define HUGE_PAGE (2UL << 20)

/** Of blocks that fill a heap. */
#define LARGEST_BLOCK (16UL << 20)

/* Younger than the C library's headers. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/** A block of a heap that shall have nothing left. */
struct filler {
	struct filler *next;
};

/** What was taken of a node. */
static struct {
	struct filler *blocks;
	void *pages;
	size_t len;
} taken;

static bool
node_exists(int node)
{
	char path[64];

	snprintf(path, sizeof(path), NODE_FOLDER "meminfo", node);
	return access(path, F_OK) == 0;
}

bool
machine_node_gives_memory(int node)
{
	void *block = vhost_node_kernel_ops()->alloc(4096, node);

	vhost_node_kernel_ops()->free(block);
	return block != NULL;
}

unsigned int
machine_find_nodes(int *found)
{
	unsigned int n = 0;

	for (int node = 0; node < RTE_MAX_NUMA_NODES && n < MACHINE_MAX_NODES; node++)
		if (node_exists(node) && machine_node_gives_memory(node))
			found[n++] = node;
	return n;
}

int
machine_other_node(int node)
{
	int found = -1;

	for (int other = RTE_MAX_NUMA_NODES - 1; other >= 0; other--)
		if (other != node && node_exists(other) &&
				(found < 0 || machine_node_gives_memory(other)))
			found = other;
	return found;
}

static int
bind_to(void *at, size_t len, int node, unsigned int flags)
{
	unsigned long mask[4] = { 0 };

	mask[node / 64] = 1UL << (node % 64);
	if (syscall(SYS_mbind, at, len, MPOL_BIND, mask, 8 * sizeof(mask), flags) == 0)
		return 0;
	printf("machine: mbind to node %d: %s\n", node, strerror(errno));
	return -1;
}

int
machine_migrate(void *at, size_t len, int node)
{
	return bind_to(at, len, node, MPOL_MF_MOVE_ALL);
}

/* ---- full nodes ---- */

unsigned long
machine_free_hugepages(int node)
{
	unsigned long pages = 0;
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), HUGEPAGES "free_hugepages", node);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages;
}

int
machine_reserve_hugepages(int node, unsigned long pages)
{
	char path[96];
	int written;
	FILE *f;

	if (getenv("NUMA_LAB") == NULL)
		return -1;
	snprintf(path, sizeof(path), HUGEPAGES "nr_hugepages", node);
	f = fopen(path, "we");
	if (f == NULL)
		return -1;
	written = fprintf(f, "%lu\n", pages);
	return fclose(f) == 0 && written > 0 ? 0 : -1;
}

static int
take_hugepages(int node)
{
	size_t len = machine_free_hugepages(node) * HUGE_PAGE;

	if (len == 0)
		return 0;
	/* what is reserved would count on the pages of all nodes */
	taken.pages = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		MAP_HUGETLB | MAP_NORESERVE, -1, 0);
	if (taken.pages == MAP_FAILED) {
		taken.pages = NULL;
		return -1;
	}
	taken.len = len;
	if (bind_to(taken.pages, len, node, 0) < 0)
		return -1;
	return madvise(taken.pages, len, MADV_POPULATE_WRITE);
}

static void
take_heap(int node)
{
	for (size_t size = LARGEST_BLOCK; size >= RTE_CACHE_LINE_SIZE; size /= 2) {
		struct filler *block;

		while ((block = rte_malloc_socket(NULL, size, 0, node)) != NULL) {
			block->next = taken.blocks;
			taken.blocks = block;
		}
	}
}

int
machine_fill_node(int node)
{
	int ret = take_hugepages(node);

	if (ret < 0)
		printf("machine: hugepages of node %d: %s\n", node, strerror(errno));
	else
		take_heap(node);
	return ret == 0 && !machine_node_gives_memory(node) ? 0 : -1;
}

void
machine_empty_node(void)
{
	while (taken.blocks != NULL) {
		struct filler *block = taken.blocks;

		taken.blocks = block->next;
		rte_free(block);
	}
	if (taken.pages != NULL)
		munmap(taken.pages, taken.len);
	taken.pages = NULL;
	taken.len = 0;
}
