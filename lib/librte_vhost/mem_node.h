/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_NODE_H
#define VHOST_MEM_NODE_H

/*
 * NUMA nodes of memory: ask for them without side effects, prefer one, move there.
 * The only file of the library with NUMA system calls; built without libnuma, every
 * question is answered with -ENOSYS.  Blocks come from mem_heap.h.
 *
 * Node numbers are the kernel's; they may be sparse (0 and 8).  Any thread may
 * call any function.
 */

#include <stddef.h>

/** No node in particular, or none known. */
#define VHOST_NODE_ANY (-1)

/**
 * How nodes are asked.  The library runs on the kernel's implementation; tests put
 * a topology of their own in its place.
 */
struct vhost_node_ops {
	/** See vhost_node_query(). */
	int (*query)(void *const *pages, unsigned int n, int *nodes);
	/** See vhost_node_bound(). */
	int (*bound)(const void *addr);
	/** See vhost_node_prefer(). */
	int (*prefer)(void *memory, size_t size, int node);
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
 * The node of memory of which every page is present.
 *
 * @param[out] node  of all pages; VHOST_NODE_ANY when they are on several, or one is
 *                   not there
 * @return 0, or a negative errno as for vhost_node_query()
 */
int vhost_node_of_all(const void *memory, size_t size, int *node);

/** The node of a machine that has only one with memory, VHOST_NODE_ANY of any other. */
int vhost_node_only(void);

/**
 * Have the kernel take what will be made present of a mapping of ours from a node,
 * as long as that has any.
 *
 * @return 0; -EINVAL when there is no such node, or it is closed to this process;
 *         another errno when it may not be asked for
 */
int vhost_node_prefer(void *memory, size_t size, int node);

/**
 * Zeroed memory at an address for good, in whole pages of its own, not EAL's.  For
 * what has to stay findable while it moves.  A page is taken when it is touched.
 *
 * @return NULL without memory
 */
void *vhost_node_pages(size_t size);

/** Give such pages back, and their address. */
void vhost_node_pages_free(void *pages, size_t size);

/** Give their memory back and keep the address: it reads as zero from now on. */
void vhost_node_pages_clear(void *pages, size_t size);

/**
 * Bring such pages to a node, all of them, touched or not; whoever uses them at that
 * moment waits for a page at most.
 *
 * @return as vhost_node_move_pages()
 */
int vhost_node_pages_bring(void *pages, size_t size, int node);

/**
 * Have the kernel move pages of whatever mapping to a node; those that are not there
 * stay absent.
 *
 * @return 0 when all are there; else some stay where they are: -EAGAIN when it
 *         may work later, another negative errno when it does not
 */
int vhost_node_move_pages(void *pages, size_t size, int node);

/**
 * Whether a node can be asked for memory.
 *
 * @return 0; -ENODEV when there is none with memory, or it is closed to this process;
 *         0 also when that cannot be found out
 */
int vhost_node_exists(int node);

/** Node on which devices are born: the main lcore's, VHOST_NODE_ANY if unknown. */
int vhost_node_home(void);

#endif /* VHOST_MEM_NODE_H */
