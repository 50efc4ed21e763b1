/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_RING_PIECE_H
#define VHOST_RING_PIECE_H

/*
 * What descriptors of either ring format describe: guest memory, as pieces at our
 * addresses, and tables of further descriptors.
 *
 * struct vring_desc is used here for a copy of ours, of either format: addr, len
 * and those flags that both formats have (NEXT, WRITE, INDIRECT).
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "vhost_virtqueue.h"

/** What a part of a ring has to be, by the format and the number of descriptors. */
struct ring_area {
	size_t bytes;
	size_t align;
};

/** The three parts, by their names in vhost-user messages. */
struct ring_areas {
	struct ring_area desc;
	struct ring_area avail;
	struct ring_area used;
};

/** A descriptor as it is in guest memory, at any address. */
struct ring_words {
	uint64_t addr;
	uint64_t rest;		/**< len in the low half, the high half is the format's */
} __rte_packed;

/** Copy a descriptor out of guest memory, once; only the copy is to be trusted. */
static __rte_always_inline struct ring_words
ring_read_words(const void *guest)
{
	const volatile struct ring_words *words = guest;

	return (struct ring_words){ words->addr, words->rest };
}

/**
 * The only piece of memory of a chain.
 *
 * @param first  its first descriptor
 * @param write  the direction that it must have: ours to write, or to read
 * @return false if the chain is not that simple, or wrong
 */
static __rte_always_inline bool
ring_simple(const struct virtio_net *net, struct vring_desc first, bool write,
		struct vq_piece *piece)
{
	if ((first.flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE)) !=
			(write ? VRING_DESC_F_WRITE : 0))
		return false;
	piece->len = first.len;
	piece->base = virtio_net_host(net, first.addr, first.len);
	return piece->base != NULL;
}

/** What the memory of a chain may be for; a constant. */
enum ring_use {
	RING_TO_READ,
	RING_TO_WRITE,
	RING_BOTH,		/**< to be read in front, to be written behind, 2.7.4.2 */
};

/** The memory of a chain: pieces, and bytes in them. */
struct ring_memory {
	struct vq_piece *pieces;	/**< filled */
	unsigned int room;	/**< pieces that fit */
	unsigned int nread;	/**< RING_BOTH: how many are to be read */
	uint64_t len;
};

/** Add the pieces of a buffer across regions: their new number, -EFAULT or -E2BIG. */
static inline int
ring_add_pieces(const struct virtio_net *net, struct vring_desc desc,
		struct vq_piece *pieces, unsigned int n, unsigned int room)
{
	while (desc.len != 0) {
		uint64_t len = desc.len;
		uint8_t *base;

		if (n == room)
			return -E2BIG;
		base = vhost_virtio_net_piece(net, desc.addr, &len);
		if (base == NULL)
			return -EFAULT;
		pieces[n++] = (struct vq_piece){ base, len };
		desc.addr += len;
		desc.len -= len;
	}
	return n;
}

/** Chains of one descriptor in a row, from the next on offer; the rest is the format's. */
struct ring_run {
	uint16_t n;
	const struct ring_words *descs;	/**< of these chains */
	uint64_t *places;	/**< where they go back, every other word */
	uint64_t used;		/**< flags that say so */
};

/** Whether a descriptor's memory may follow n pieces by its use. */
static __rte_always_inline bool
ring_use_is_right(struct vring_desc desc, enum ring_use use, unsigned int n, unsigned int nread)
{
	bool write = desc.flags & VRING_DESC_F_WRITE;

	if (use == RING_BOTH)
		return write || n == nread;
	return write == (use == RING_TO_WRITE);
}

/**
 * Add the memory of one descriptor to n pieces: their new number, -EINVAL (wrong
 * use), -EFAULT or -E2BIG.
 */
static __rte_always_inline int
ring_add_buffer(const struct virtio_net *net, struct vring_desc desc, enum ring_use use,
		unsigned int n, struct ring_memory *memory)
{
	uint8_t *base = virtio_net_host(net, desc.addr, desc.len);
	int ret = n + 1;

	if (unlikely(!ring_use_is_right(desc, use, n, memory->nread)))
		return -EINVAL;
	if (unlikely(base == NULL || desc.len == 0 || n == memory->room))
		ret = ring_add_pieces(net, desc, memory->pieces, n, memory->room);
	else
		memory->pieces[n] = (struct vq_piece){ base, desc.len };
	if (use == RING_BOTH && !(desc.flags & VRING_DESC_F_WRITE) && ret > 0)
		memory->nread = ret;
	memory->len += desc.len;
	return ret;
}

/** A table of descriptors: the ring's own or an indirect one. */
struct ring_table {
	const uint8_t *host;	/**< NULL if it is not in one piece */
	uint64_t gpa;		/**< of an indirect one */
	uint32_t entries;
};

/** Read a descriptor that lies across the border of two regions: 0 or -EFAULT. */
static inline int
ring_read_split_words(const struct virtio_net *net, uint64_t gpa, struct ring_words *words)
{
	uint8_t bytes[sizeof(*words)];

	for (size_t have = 0; have < sizeof(bytes); ) {
		uint64_t len = sizeof(bytes) - have;
		const volatile uint8_t *host = vhost_virtio_net_piece(net, gpa + have, &len);

		if (host == NULL)
			return -EFAULT;
		while (len-- > 0)
			bytes[have++] = *host++;
	}
	*words = ring_read_words(bytes);
	return 0;
}

/** Read entry i of a table: 0, -EINVAL (no such entry) or -EFAULT. */
static __rte_always_inline int
ring_read_entry(const struct virtio_net *net, const struct ring_table *table, uint32_t i,
		struct ring_words *words)
{
	if (unlikely(i >= table->entries))
		return -EINVAL;
	if (unlikely(table->host == NULL))
		return ring_read_split_words(net, table->gpa + i * sizeof(*words), words);
	*words = ring_read_words(table->host + i * sizeof(*words));
	return 0;
}

/** The table that a descriptor refers to. */
static __rte_always_inline struct ring_table
ring_indirect_table(const struct virtio_net *net, struct vring_desc desc)
{
	return (struct ring_table){
		.host = virtio_net_host(net, desc.addr, desc.len),
		.gpa = desc.addr,
		.entries = desc.len / sizeof(struct ring_words),
	};
}

#endif /* VHOST_RING_PIECE_H */
