/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Memory of one node, taken as a whole or not at all: mapped, made present, and
 * believed to be on its node only when the kernel has named that node for each page.
 *
 * What the pages are, in this order:
 * - Ordinary memory, for which transparent huge pages are asked.  Nobody counts on
 *   these, and the kernel makes a huge page later if it has none now.
 * - A page of the hugetlbfs pool comes before that only where transparent ones are
 *   switched off and the node has many free: the operator has set them aside for
 *   DPDK and for guests, and a guest that finds one too few does not start.
 * - Any free page of that pool, when the node has no ordinary memory: the pool may
 *   be all that is left of it.
 * A page that somebody has reserved is never taken: the kernel sees to that, as
 * these mappings ask for no reservation of their own.
 *
 * The node is a preference, never a binding: an ordinary binding that cannot be
 * fulfilled is a reason for the kernel to end processes.  But a preference gives
 * up where the node is full of files that are only cached, so what came from
 * elsewhere is migrated once, for which the kernel drops such files, and ends
 * nobody.  Pages are made present with madvise(), which reports what would be a
 * signal if they were touched.  The memory is not locked: that would use up a limit
 * that drivers with DMA need; who fears swapping has mlockall().
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_common.h>

#include "mem_chunk.h"
#include "mem_node.h"

/** Free pages of a pool that are many: the price of one is not noticed. */
#define POOL_MANY 64

/* Younger than the C library's headers. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif

/** What a file of one number says; 0 where there is none. */
static unsigned long
read_number(const char *path)
{
	unsigned long number = 0;
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%lu", &number) != 1) /* NOLINT(cert-err34-c): the kernel writes it */
		number = 0;
	fclose(file);
	return number;
}

static unsigned long
pool_free(int node)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/hugepages/"
		"hugepages-2048kB/free_hugepages", node);
	return read_number(path);
}

static bool
transparent_pages_are_off(void)
{
	char text[64] = "";
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");

	if (file == NULL)
		return true;
	if (fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	fclose(file);
	return strstr(text, "[never]") != NULL;
}

/*
 * Nobody may touch the memory before it has a preference: a process that locks all
 * its memory has the kernel fill each mapping as soon as it may be written.
 */
static void *
map_pool(void)
{
	void *at = mmap(NULL, VHOST_CHUNK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		MAP_HUGETLB | MAP_HUGE_2MB | MAP_NORESERVE, -1, 0);

	return at != MAP_FAILED ? at : NULL;
}

/** The same of ordinary memory, so aligned that it can be one huge page. */
static void *
map_ordinary(void)
{
	uint8_t *at = mmap(NULL, 2 * VHOST_CHUNK_BYTES, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *memory;

	if (at == MAP_FAILED)
		return NULL;
	memory = RTE_PTR_ALIGN_CEIL(at, VHOST_CHUNK_BYTES);
	if (memory != at)
		munmap(at, memory - at);
	munmap(memory + VHOST_CHUNK_BYTES, at + VHOST_CHUNK_BYTES - memory);
	madvise(memory, VHOST_CHUNK_BYTES, MADV_HUGEPAGE);
	return memory;
}

/** Make all pages present; kernels before 5.14 leave no way but to touch them. */
static int
fill(uint8_t *memory, bool pool)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	size_t at;

	if (madvise(memory, VHOST_CHUNK_BYTES, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL || pool)
		return -errno;
	for (at = 0; at < VHOST_CHUNK_BYTES; at += page)
		*(volatile uint8_t *)(memory + at) = 0;
	return 0;
}

int
vhost_chunk_node(const void *memory, size_t size)
{
	int node;

	return vhost_node_of_all(memory, size, &node) == 0 ? node : vhost_node_only();
}

/** Migrate what the kernel has taken from elsewhere, once: whether all of it went. */
static bool
goes_to(uint8_t *memory, int node)
{
	return vhost_node_move_pages(memory, VHOST_CHUNK_BYTES, node) == 0 &&
		vhost_chunk_node(memory, VHOST_CHUNK_BYTES) == node;
}

/** Get a fresh mapping onto a node: 0 and the node, or -ENOMEM if that gives none. */
static int
place(uint8_t *memory, bool pool, int node, int *got)
{
	/* where preferences are denied, memory may still happen to be there */
	if (node != VHOST_NODE_ANY &&
			vhost_node_prefer(memory, VHOST_CHUNK_BYTES, node) == -EINVAL)
		return -ENOMEM;
	if (mprotect(memory, VHOST_CHUNK_BYTES, PROT_READ | PROT_WRITE) < 0 ||
			fill(memory, pool) < 0)
		return -ENOMEM;
	/* a child would take the pages that are written while it lives */
	madvise(memory, VHOST_CHUNK_BYTES, MADV_DONTFORK);
	*got = vhost_chunk_node(memory, VHOST_CHUNK_BYTES);
	if (node != VHOST_NODE_ANY) {
		if (*got != node && !goes_to(memory, node))
			return -ENOMEM;
		*got = node;
	} else if (*got != VHOST_NODE_ANY) {
		/* it stays there, whatever cores use it */
		vhost_node_prefer(memory, VHOST_CHUNK_BYTES, *got);
	}
	return 0;
}

/** A chunk from one source, NULL if that has none on the node. */
static uint8_t *
map_from(bool pool, int node, int *got)
{
	uint8_t *memory = pool ? map_pool() : map_ordinary();

	if (memory == NULL)
		return NULL;
	if (place(memory, pool, node, got) == 0)
		return memory;
	munmap(memory, VHOST_CHUNK_BYTES);
	return NULL;
}

uint8_t *
vhost_chunk_map(int node, int *got)
{
	unsigned long free_pages = node != VHOST_NODE_ANY ? pool_free(node) : 0;
	uint8_t *memory = NULL;

	if (free_pages >= POOL_MANY && transparent_pages_are_off())
		memory = map_from(true, node, got);
	if (memory == NULL)
		memory = map_from(false, node, got);
	if (memory == NULL && free_pages > 0)
		memory = map_from(true, node, got);
	return memory;
}

void
vhost_chunk_unmap(uint8_t *memory)
{
	munmap(memory, VHOST_CHUNK_BYTES);
}
