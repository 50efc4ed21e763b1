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

#include "ring_iova.h"
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
} __attribute__((__packed__));

/** Copy a descriptor out of guest memory, once; only the copy is to be trusted. */
static __rte_always_inline struct ring_words
ring_read_words(const void *guest)
{
	const volatile struct ring_words *words = guest;

	return (struct ring_words){ words->addr, words->rest };
}

/** Our address of [addr, addr + len), NULL unless that is known to be one piece. */
static __rte_always_inline uint8_t *
ring_host(const struct vhost_virtqueue *vq, uint64_t addr, uint64_t len, bool write,
		unsigned int flags)
{
	if (flags & VQ_IOVA)
		return ring_iova_host(vq->iova, addr, len,
				write ? MEM_IOTLB_WRITE : MEM_IOTLB_READ);
	return virtio_net_host(vq->net, addr, len);
}

/** Our address of addr and how much there is from there, or is not: NULL. */
static inline uint8_t *
ring_piece(const struct vhost_virtqueue *vq, uint64_t addr, bool write, uint64_t *len,
		unsigned int flags)
{
	if (flags & VQ_IOVA)
		return vhost_ring_iova_piece(vq->iova, addr,
				write ? MEM_IOTLB_WRITE : MEM_IOTLB_READ, len);
	return vhost_virtio_net_piece(vq->net, addr, len);
}

/**
 * The only piece of memory of a chain.
 *
 * @param first  its first descriptor
 * @param write  the direction that it must have: ours to write, or to read
 * @return false if the chain is not that simple, or wrong
 */
static __rte_always_inline bool
ring_simple(const struct vhost_virtqueue *vq, struct vring_desc first, bool write,
		struct vq_piece *piece, unsigned int flags)
{
	if ((first.flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE)) !=
			(write ? VRING_DESC_F_WRITE : 0))
		return false;
	piece->len = first.len;
	piece->base = ring_host(vq, first.addr, first.len, write, flags);
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
	bool missing;		/**< some of it has no translation yet, and is left out */
	uint64_t len;
};

/**
 * Add the pieces of a buffer in several: their new number, -EFAULT, -E2BIG, or -EAGAIN
 * if too much of it is not known yet.
 */
static inline int
ring_add_pieces(const struct vhost_virtqueue *vq, struct vring_desc desc,
		unsigned int n, struct ring_memory *memory, unsigned int flags)
{
	const bool write = desc.flags & VRING_DESC_F_WRITE;

	if (desc.len != 0 && desc.len - 1 > UINT64_MAX - desc.addr)
		return -EFAULT;
	while (desc.len != 0) {
		uint64_t len = desc.len;
		uint8_t *base;

		if (n == memory->room)
			return -E2BIG;
		base = ring_piece(vq, desc.addr, write, &len, flags);
		if (base != NULL)
			memory->pieces[n++] = (struct vq_piece){ base, len };
		else if (!(flags & VQ_IOVA))
			return -EFAULT;
		else if (vq->iova->enough)
			return -EAGAIN;
		memory->missing |= base == NULL;
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
 * use), -EFAULT, -E2BIG or -EAGAIN.
 */
static __rte_always_inline int
ring_add_buffer(const struct vhost_virtqueue *vq, struct vring_desc desc, enum ring_use use,
		unsigned int n, struct ring_memory *memory, unsigned int flags)
{
	uint8_t *base = ring_host(vq, desc.addr, desc.len, desc.flags & VRING_DESC_F_WRITE,
			flags);
	int ret = n + 1;

	if (unlikely(!ring_use_is_right(desc, use, n, memory->nread)))
		return -EINVAL;
	if (unlikely(base == NULL || desc.len == 0 || n == memory->room))
		ret = ring_add_pieces(vq, desc, n, memory, flags);
	else
		memory->pieces[n] = (struct vq_piece){ base, desc.len };
	if (use == RING_BOTH && !(desc.flags & VRING_DESC_F_WRITE) && ret > 0)
		memory->nread = ret;
	memory->len += desc.len;
	return ret;
}

/**
 * Add the memory of one descriptor to n pieces, for one more of which there is room, if it
 * is in one, and of the use that all of the chain has; false if not.
 */
static __rte_always_inline bool
ring_add_plain(const struct vhost_virtqueue *vq, struct vring_desc desc, bool write,
		unsigned int n, struct ring_memory *memory, unsigned int flags)
{
	const unsigned int kind = VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE;
	uint8_t *base = ring_host(vq, desc.addr, desc.len, write, flags);

	if (unlikely((desc.flags & kind) != (write ? VRING_DESC_F_WRITE : 0) ||
			base == NULL))
		return false;
	memory->pieces[n] = (struct vq_piece){ base, desc.len };
	memory->len += desc.len;
	return true;
}

/** A table of descriptors: the ring's own or an indirect one. */
struct ring_table {
	const uint8_t *host;	/**< NULL if it is not in one piece */
	uint64_t addr;		/**< the driver's, of an indirect one */
	uint32_t entries;
};

/** A chain of two descriptors: a header that is alone in its one, and the data. */
struct ring_pair {
	uint8_t *header;
	struct vq_piece data;
};

/** The memory of such a pair; false if that is not what it is, or wrong. */
static __rte_always_inline bool
ring_pair_memory(const struct vhost_virtqueue *vq, struct vring_desc header,
		struct vring_desc data, uint32_t hdr_len, bool write, struct ring_pair *pair,
		unsigned int flags)
{
	if (unlikely(header.len != hdr_len ||
			(header.flags & (VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE)) !=
				(write ? VRING_DESC_F_WRITE : 0)))
		return false;
	pair->header = ring_host(vq, header.addr, hdr_len, write, flags);
	return pair->header != NULL && ring_simple(vq, data, write, &pair->data, flags);
}

/** Read a descriptor that lies across the border of two pieces: 0, -EFAULT or -EAGAIN. */
static inline int
ring_read_split_words(const struct vhost_virtqueue *vq, uint64_t addr, struct ring_words *words,
		unsigned int flags)
{
	uint8_t bytes[sizeof(*words)];

	for (size_t have = 0; have < sizeof(bytes); ) {
		uint64_t len = sizeof(bytes) - have;
		const volatile uint8_t *host = ring_piece(vq, addr + have, false, &len, flags);

		if (host == NULL && (flags & VQ_IOVA)) {
			vq->iova->blind = true;
			return -EAGAIN;
		}
		if (host == NULL)
			return -EFAULT;
		while (len-- > 0)
			bytes[have++] = *host++;
	}
	*words = ring_read_words(bytes);
	return 0;
}

/** Read entry i of a table: 0, -EINVAL (no such entry), -EFAULT or -EAGAIN. */
static __rte_always_inline int
ring_read_entry(const struct vhost_virtqueue *vq, const struct ring_table *table, uint32_t i,
		struct ring_words *words, unsigned int flags)
{
	if (unlikely(i >= table->entries))
		return -EINVAL;
	if (unlikely(table->host == NULL))
		return ring_read_split_words(vq, table->addr + i * sizeof(*words), words, flags);
	*words = ring_read_words(table->host + i * sizeof(*words));
	return 0;
}

/** The table that a descriptor refers to. */
static __rte_always_inline struct ring_table
ring_indirect_table(const struct vhost_virtqueue *vq, struct vring_desc desc, unsigned int flags)
{
	return (struct ring_table){
		.host = ring_host(vq, desc.addr, desc.len, false, flags),
		.addr = desc.addr,
		.entries = desc.len / sizeof(struct ring_words),
	};
}

#endif /* VHOST_RING_PIECE_H */
