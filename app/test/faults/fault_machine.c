/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* A machine with a second node that is a name only; see fault_machine.h. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "mem_heap.h"
#include "mem_node.h"
#include "numa_watch.h"

#include "fault_machine.h"
#include "fault_wrap.h"

#define THERE 1
#define BLOCKS_MAX 1024

struct block {
	void *at;
	int node;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block blocks[BLOCKS_MAX];
static unsigned int nblocks;
static int guest_node;

int
fault_machine_home(void)
{
	int home = vhost_node_home();

	return home >= 0 ? home : 0;
}

int
fault_machine_there(void)
{
	return fault_machine_home() + THERE;
}

void
fault_machine_guest_on(int node)
{
	__atomic_store_n(&guest_node, node, __ATOMIC_RELAXED);
}

unsigned int
fault_machine_blocks(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = nblocks;
	pthread_mutex_unlock(&lock);
	return n;
}

/* ---- blocks ---- */

static void *
take_block(size_t size, int node, int *got)
{
	const int really = node == VHOST_NODE_ANY ? node : vhost_node_home();
	void *at = fault_hits(FAULT_heap_block) ? NULL :
		vhost_heap_own_ops()->alloc(size, really, got);

	if (at == NULL)
		return NULL;
	if (node == VHOST_NODE_ANY)
		node = fault_machine_home();
	pthread_mutex_lock(&lock);
	if (nblocks == BLOCKS_MAX)
		abort();
	blocks[nblocks++] = (struct block){ at, node };
	pthread_mutex_unlock(&lock);
	*got = node;
	return at;
}

static struct block *
find_block(const void *at)
{
	for (unsigned int i = 0; i < nblocks; i++)
		if (blocks[i].at == at)
			return &blocks[i];
	printf("faults: %p is no block\n", at);
	abort();
}

static void
give_block(void *at)
{
	if (at == NULL)
		return;
	pthread_mutex_lock(&lock);
	*find_block(at) = blocks[nblocks - 1];
	nblocks--;
	pthread_mutex_unlock(&lock);
	vhost_heap_own_ops()->free(at);
}

static int
node_of_block(const void *at)
{
	int node;

	vhost_heap_own_ops()->node(at);
	pthread_mutex_lock(&lock);
	node = find_block(at)->node;
	pthread_mutex_unlock(&lock);
	return node;
}

/* ---- questions ---- */

/** The truth, but for mappings of files: that is what guests have. */
static int
query(void *const *pages, unsigned int n, int *nodes)
{
	int ret = vhost_node_kernel_ops()->query(pages, n, nodes);

	for (unsigned int i = 0; i < n && ret == 0; i++)
		if (nodes[i] >= 0 && fault_is_shared(pages[i]))
			nodes[i] = __atomic_load_n(&guest_node, __ATOMIC_RELAXED);
	return ret;
}

static int
move(void *pages, size_t size, int node __rte_unused)
{
	return vhost_node_kernel_ops()->move(pages, size, fault_machine_home());
}

void
fault_machine_begin(void)
{
	static const struct vhost_heap_ops heap_ops = {
		.alloc = take_block, .free = give_block, .node = node_of_block,
	};
	static struct vhost_node_ops ops;

	guest_node = fault_machine_home();
	/* looks come when the story says so */
	vhost_numa_watch_set_interval(0);
	ops = *vhost_node_kernel_ops();
	ops.query = query;
	ops.move = move;
	vhost_node_set_ops(&ops);
	vhost_heap_set_ops(&heap_ops);
}

void
fault_machine_end(void)
{
	vhost_node_set_ops(NULL);
	vhost_heap_set_ops(NULL);
}
