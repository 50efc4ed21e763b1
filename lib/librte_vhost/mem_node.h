/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_NODE_H
#define VHOST_MEM_NODE_H

/*
 * NUMA nodes of memory: ask for them without side effects, allocate on one and
 * verify.  The only file of the library with NUMA system calls; built without
 * libnuma, every question is answered with -ENOSYS.
 *
 * Node numbers are the kernel's; they may be sparse (0 and 8).  Any thread may
 * call any function.
 */

#include <stddef.h>

/** No node in particular, or none known. */
#define VHOST_NODE_ANY (-1)

/**
 * How nodes are asked and memory is taken.  The library runs on the kernel's
 * implementation; tests put a topology of their own, or a refusing allocator,
 * in its place.
 */
struct vhost_node_ops {
	/** See vhost_node_query(). */
	int (*query)(void *const *pages, unsigned int n, int *nodes);
	/** See vhost_node_bound(). */
	int (*bound)(const void *addr);
	/** See vhost_node_alloc(). */
	void *(*alloc)(size_t size, int node);
	/** See vhost_node_free(). */
	void (*free)(void *block);
	/** See vhost_node_move_pages(). */
	int (*move)(void *pages, size_t size, int node);
};

/** Replace the kernel's implementation; NULL brings it back.  For tests. */
void vhost_node_set_ops(const struct vhost_node_ops *ops);

/** The kernel's implementation, for tests that wrap it. */
const struct vhost_node_ops *vhost_node_kernel_ops(void);

/**
 * Ask which node holds each of n pages, without faulting any of them in.
 *
 * @param pages  one address within each page; guest memory may be asked for
 *               through another mapping than the map's
 * @param nodes  filled with the node of each page, or -ENOENT when this process
 *               has not mapped it (which does not say that it has no memory)
 * @return 0, or a negative errno when the kernel answers nothing at all:
 *         -ENOSYS (no NUMA), -EPERM (seccomp profile of a container)
 */
int vhost_node_query(void *const *pages, unsigned int n, int *nodes);

/** Node of one address: the node, or a negative errno as for vhost_node_query(). */
int vhost_node_of(const void *addr);

/**
 * The one node that an explicit memory policy names for the page at addr,
 * present or not.
 *
 * @return the node, -ENOENT when there is no such policy, or another errno
 */
int vhost_node_bound(const void *addr);

/**
 * Allocate zeroed, cache-line aligned memory from EAL's heap and check with the
 * kernel that each of its pages is on the node asked for.  Where the kernel
 * does not say, a node is believed in only if the machine has no other.
 *
 * @param node  the node, or VHOST_NODE_ANY
 * @return the block, owned by the caller until vhost_node_free(); NULL when
 *         that node gives no such memory
 */
void *vhost_node_alloc(size_t size, int node);

/** Give back a block of vhost_node_alloc(); NULL is allowed. */
void vhost_node_free(void *block);

/**
 * Zeroed memory at an address for good, in whole resident pages of its own, not
 * EAL's.  For what has to stay findable while it moves.
 *
 * @return NULL without memory
 */
void *vhost_node_pages(size_t size);

/** Give such pages back. */
void vhost_node_pages_free(void *pages, size_t size);

/**
 * Have the kernel move such pages to a node; whoever uses them at that moment
 * waits for a page at most.
 *
 * @return 0 when all are there; else some stay where they are: -EAGAIN when it
 *         may work later, another negative errno when it does not
 */
int vhost_node_move_pages(void *pages, size_t size, int node);

/** Node on which devices are born: the main lcore's, VHOST_NODE_ANY if unknown. */
int vhost_node_home(void);

#endif /* VHOST_MEM_NODE_H */
