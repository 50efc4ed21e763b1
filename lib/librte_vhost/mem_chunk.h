/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_CHUNK_H
#define VHOST_MEM_CHUNK_H

/*
 * Memory of a node in the size of a huge page.  Any thread may call any function.
 */

#include <stddef.h>
#include <stdint.h>

#define VHOST_CHUNK_BYTES ((size_t)2 << 20)

/**
 * Map a chunk, zeroed, present and aligned to its size.
 *
 * @param node  the node, or VHOST_NODE_ANY
 * @param[out] got  as vhost_chunk_node() tells it
 * @return the chunk, NULL if the node gives none
 */
uint8_t *vhost_chunk_map(int node, int *got);

void vhost_chunk_unmap(uint8_t *memory);

/**
 * The node of memory that is present: of all its pages, as the kernel tells it, or
 * where it does not, the only one of the machine; VHOST_NODE_ANY if neither is known.
 */
int vhost_chunk_node(const void *memory, size_t size);

#endif /* VHOST_MEM_CHUNK_H */
