/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_HEAP_H
#define VHOST_MEM_HEAP_H

/*
 * Memory of the library's own for what bursts touch: the blocks of queues and the
 * replicas of devices, each on a node.
 *
 * There is one notion of the node of a block: what the kernel said when the block
 * was taken, and says again whenever it is asked later.  Where the kernel does not
 * say, a node is believed in only if the machine has no other.
 *
 * None of it is EAL's: it works without hugepages, installs no signal handler, and
 * outlives rte_eal_cleanup().  Any thread may call any function.
 */

#include <stddef.h>

/** How blocks are taken and given back; tests put a machine of their own in place. */
struct vhost_heap_ops {
	/** See vhost_heap_alloc(). */
	void *(*alloc)(size_t size, int node, int *got);
	/** See vhost_heap_free(). */
	void (*free)(void *block);
	/** See vhost_heap_node(). */
	int (*node)(const void *block);
};

/** Replace the implementation; NULL brings the library's own back.  For tests. */
void vhost_heap_set_ops(const struct vhost_heap_ops *ops);

/** The library's own implementation, for tests that wrap it. */
const struct vhost_heap_ops *vhost_heap_own_ops(void);

/**
 * Take zeroed memory that begins on a cache line of its own and shares none.
 *
 * @param size  bytes, at most 2 MiB
 * @param node  the node, or VHOST_NODE_ANY
 * @param[out] got  the node of all its pages; VHOST_NODE_ANY only if any was asked
 *                  for and nobody knows, or they are on several
 * @return the block, owned by the caller until vhost_heap_free(); NULL when that node
 *         gives no memory.  A node that has none is asked again after a tenth of
 *         a second, not sooner
 */
void *vhost_heap_alloc(size_t size, int node, int *got);

/** Give back a block of vhost_heap_alloc(); NULL is allowed. */
void vhost_heap_free(void *block);

/**
 * The node of a block by now: somebody may have migrated the process, or changed
 * its cpuset.  The kernel is asked at most once in a tenth of a second for what
 * lies together, so every block may be asked for at each look.
 *
 * @param block  of the caller, who does not give it back meanwhile
 * @return the node of all its pages, or VHOST_NODE_ANY as for vhost_heap_alloc()
 */
int vhost_heap_node(const void *block);

/** What the library holds on a node. */
struct vhost_heap_usage {
	unsigned int chunks;	/**< of 2 MiB; one may be empty for a while */
	unsigned int blocks;	/**< in all chunks */
	size_t bytes;		/**< of all blocks, rounded up as they are taken */
};

/** Count what the library holds where a node's blocks are; VHOST_NODE_ANY: nowhere known. */
void vhost_heap_usage(int node, struct vhost_heap_usage *usage);

#endif /* VHOST_MEM_HEAP_H */
