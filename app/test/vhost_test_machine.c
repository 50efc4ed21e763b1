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

#include "mem_heap.h"
#include "mem_node.h"
#include "vhost_test_machine.h"

#define NODE_FOLDER "/sys/devices/system/node/node%d/"
#define HUGEPAGES NODE_FOLDER "hugepages/hugepages-2048kB/"
#define HUGE_PAGE (2UL << 20)

/** Of a mapping that helps to fill a node. */
#define LARGE_PIECE (64UL << 20)

/** Blocks of which a node that is full has none. */
#define SMALLEST_BLOCK 128

/** What a guest of the tests needs to go somewhere. */
#define ROOM (48UL << 20)

/** Longer than the heap takes a refusal for an answer. */
#define HEAP_BELIEVES_US 120000

/** A block that is held so that nobody else has it. */
struct filler {
	struct filler *next;
	size_t size;
};

/** A mapping that is held for the same reason. */
struct piece {
	struct piece *next;
	size_t len;
};

/** What was taken of a node. */
static struct filler *taken;
static struct piece *pieces;

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
	int got;
	void *block = vhost_heap_own_ops()->alloc(4096, node, &got);

	vhost_heap_own_ops()->free(block);
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

int
machine_migrate_chunk(const void *block, int node)
{
	uint8_t *chunk = (uint8_t *)((uintptr_t)block & ~(HUGE_PAGE - 1));
	/* the policy of the mapping stays as it is, as with migratepages */
	int ret = vhost_node_kernel_ops()->move(chunk, HUGE_PAGE, node);

	if (ret < 0)
		printf("machine: move to node %d: %s\n", node, strerror(-ret));
	return ret < 0 ? -1 : 0;
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

/** Map a piece of the node's memory, all of it present; false if there is no such. */
static bool
take_piece(int node, size_t len, int flags)
{
	struct piece *piece = mmap(NULL, len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
	int got = VHOST_NODE_ANY;

	if (piece == MAP_FAILED)
		return false;
	if (vhost_node_kernel_ops()->prefer(piece, len, node) == 0 &&
			madvise(piece, len, MADV_POPULATE_WRITE) == 0)
		vhost_node_of_all(piece, len, &got);
	if (got != node) {
		munmap(piece, len);
		return false;
	}
	*piece = (struct piece){ .next = pieces, .len = len };
	pieces = piece;
	return true;
}

/**
 * The bulk of it in large pieces, the rest as the library itself takes memory: there
 * is no other measure of full.
 */
static void
take_all(int node)
{
	struct filler *block;
	int got;

	if (pieces == NULL) {
		if (machine_free_hugepages(node) > 0)
			take_piece(node, machine_free_hugepages(node) * HUGE_PAGE, MAP_HUGETLB);
		while (take_piece(node, LARGE_PIECE, 0))
			;
	}
	for (size_t size = HUGE_PAGE; size >= SMALLEST_BLOCK; size /= 2) {
		while ((block = vhost_heap_own_ops()->alloc(size, node, &got)) != NULL) {
			*block = (struct filler){ .next = taken, .size = size };
			taken = block;
		}
	}
}

int
machine_fill_node(int node)
{
	usleep(HEAP_BELIEVES_US);
	take_all(node);
	return machine_node_gives_memory(node) ? -1 : 0;
}

static void
drop_piece(void)
{
	struct piece *piece = pieces;

	pieces = piece->next;
	munmap(piece, piece->len);
}

/** Give the library its memory back: how many bytes that was. */
static size_t
drop_blocks(void)
{
	size_t bytes = 0;

	while (taken != NULL) {
		struct filler *block = taken;

		taken = block->next;
		bytes += block->size;
		vhost_heap_own_ops()->free(block);
	}
	return bytes;
}

int
machine_make_room(void)
{
	if (drop_blocks() >= ROOM)
		return 0;
	if (pieces == NULL)
		return -1;
	drop_piece();
	return 0;
}

void
machine_empty_node(void)
{
	drop_blocks();
	while (pieces != NULL)
		drop_piece();
	usleep(HEAP_BELIEVES_US);
}
