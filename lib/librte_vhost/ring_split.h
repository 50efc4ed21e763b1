/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_RING_SPLIT_H
#define VHOST_RING_SPLIT_H

/*
 * The split ring (virtio 1.2, 2.7) as verbs on a block.
 *
 *	ring_available	how many chains the driver offers
 *	ring_next	head of one of them
 *	ring_first	its first descriptor
 *	ring_simple	the only piece of memory of what most chains are
 *	ring_gather	all pieces of memory of any chain
 *	ring_take	those chains are ours now
 *	ring_put	write down that a chain goes back, and the bytes written to it
 *	ring_give	those chains are the driver's again
 *	ring_publish	the driver may look at what was given
 *	ring_should_notify	and wants to be told
 *
 * Whatever the driver owns may change at any moment and may be nonsense.  It is
 * read here only, once, into a local copy, and only the copy is used.  What a
 * verb hands out is safe to use: heads aside, which the caller compares with the
 * size of the ring before anything else, as a wrong head cannot be given back.
 *
 * Chains go back in the order of putting, which need not be the order of taking.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

#include <rte_atomic.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_prefetch.h>

#include "vhost_log.h"
#include "vhost_virtqueue.h"

/** A descriptor at any address: an indirect table need not be aligned. */
struct ring_desc_anywhere {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
} __rte_packed;

/** A table of descriptors: the ring's own or an indirect one. */
struct ring_table {
	const uint8_t *host;	/**< NULL if it is not in one piece */
	uint64_t gpa;		/**< of an indirect one */
	uint32_t entries;
};

/** Copy a descriptor out of guest memory, once; only the copy is to be trusted. */
static __rte_always_inline struct vring_desc
ring_read_desc(const void *guest)
{
	const volatile struct ring_desc_anywhere *desc = guest;

	return (struct vring_desc){
		.addr = desc->addr,
		.len = desc->len,
		.flags = desc->flags,
		.next = desc->next,
	};
}

static inline void
ring_report_broken(struct vhost_virtqueue *vq, uint16_t ready)
{
	if (vq->broken)
		return;
	vq->broken = true;
	VHOST_LOG_DATA(ERR, "(%s) queue %u: %u entries available in a ring of %u, not served\n",
		vq->net->name, vq->cfg.index, ready, vq->size);
}

/** The driver's available index, as it is now. */
static inline uint16_t
ring_offered(const struct vhost_virtqueue *vq)
{
	return __atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE);
}

/** Chains that the driver offers and that were not taken yet. */
static inline uint16_t
ring_available(struct vhost_virtqueue *vq)
{
	/* A1 pairs with the driver's store of avail->idx after its entries, 2.7.13 */
	uint16_t ready = __atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE) -
		vq->state.last_avail_idx;

	if (unlikely(ready > vq->size)) {
		ring_report_broken(vq, ready);
		return 0;
	}
	return ready;
}

/** Head of the i-th chain on offer; to be compared with the size of the ring. */
static __rte_always_inline uint16_t
ring_next(const struct vhost_virtqueue *vq, uint16_t i)
{
	uint16_t entry = (vq->state.last_avail_idx + i) & vq->mask;

	return *(const volatile uint16_t *)&vq->avail->ring[entry];
}

/** Have the first descriptors of the next n chains at hand. */
static __rte_always_inline void
ring_prefetch(const struct vhost_virtqueue *vq, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		rte_prefetch0(&vq->desc[ring_next(vq, i) & vq->mask]);
}

/** The first descriptor of a chain; head is below the size of the ring. */
static __rte_always_inline struct vring_desc
ring_first(const struct vhost_virtqueue *vq, uint16_t head)
{
	return ring_read_desc(&vq->desc[head]);
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
		struct vq_piece *piece)
{
	if ((first.flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE)) !=
			(write ? VRING_DESC_F_WRITE : 0))
		return false;
	piece->len = first.len;
	piece->base = virtio_net_host(vq->net, first.addr, first.len);
	return piece->base != NULL;
}

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

/** Add the memory of one buffer: the new number of pieces, -EFAULT or -E2BIG. */
static __rte_always_inline int
ring_add_buffer(const struct virtio_net *net, struct vring_desc desc,
		struct vq_piece *pieces, unsigned int n, unsigned int room)
{
	uint8_t *base = virtio_net_host(net, desc.addr, desc.len);

	if (unlikely(base == NULL || desc.len == 0 || n == room))
		return ring_add_pieces(net, desc, pieces, n, room);
	pieces[n] = (struct vq_piece){ base, desc.len };
	return n + 1;
}

/** Read a descriptor that lies across the border of two regions: 0 or -EFAULT. */
static inline int
ring_read_split_desc(const struct virtio_net *net, uint64_t gpa, struct vring_desc *desc)
{
	uint8_t bytes[sizeof(*desc)];

	for (size_t have = 0; have < sizeof(bytes); ) {
		uint64_t len = sizeof(bytes) - have;
		const volatile uint8_t *host = vhost_virtio_net_piece(net, gpa + have, &len);

		if (host == NULL)
			return -EFAULT;
		while (len-- > 0)
			bytes[have++] = *host++;
	}
	*desc = ring_read_desc(bytes);
	return 0;
}

/** Read entry i of a table: 0, -EINVAL (no such entry) or -EFAULT. */
static inline int
ring_read_entry(const struct virtio_net *net, const struct ring_table *table, uint16_t i,
		struct vring_desc *desc)
{
	if (i >= table->entries)
		return -EINVAL;
	if (unlikely(table->host == NULL))
		return ring_read_split_desc(net, table->gpa + i * sizeof(*desc), desc);
	*desc = ring_read_desc(table->host + i * sizeof(*desc));
	return 0;
}

/** Go on in the table that a descriptor refers to. */
static inline void
ring_enter_table(const struct virtio_net *net, struct vring_desc desc, struct ring_table *table)
{
	table->gpa = desc.addr;
	table->host = virtio_net_host(net, desc.addr, desc.len);
	table->entries = desc.len / sizeof(desc);
}

/**
 * Gather the memory of a chain: what may be read first, then what is to be written
 * (2.7.4.2), if it may have either.  See ring_gather().
 *
 * @param[out] nread  how many pieces are to be read; NULL if one direction is barred
 */
static __rte_always_inline int
ring_gather_any(const struct vhost_virtqueue *vq, struct vring_desc desc,
		bool may_read, bool may_write, struct vq_piece *pieces, unsigned int room,
		unsigned int *nread, uint32_t *len)
{
	struct ring_table table = { .host = (const uint8_t *)vq->desc, .entries = vq->size };
	bool in_ring = true;
	uint64_t sum = 0;
	int ret, n = 0;

	for (unsigned int i = 0; i < VHOST_MAX_PIECES; i++) {
		uint16_t next = desc.next;

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (unlikely(!in_ring || (desc.flags & VRING_DESC_F_NEXT)))
				return -EINVAL;
			ring_enter_table(vq->net, desc, &table);
			in_ring = false;
			next = 0;
		} else {
			if (desc.flags & VRING_DESC_F_WRITE)
				may_read = false;
			if (unlikely(!(desc.flags & VRING_DESC_F_WRITE ? may_write : may_read)))
				return -EINVAL;
			n = ring_add_buffer(vq->net, desc, pieces, n, room);
			if (unlikely(n < 0))
				return n;
			if (nread != NULL && !(desc.flags & VRING_DESC_F_WRITE))
				*nread = n;
			sum += desc.len;
			if (!(desc.flags & VRING_DESC_F_NEXT)) {
				*len = RTE_MIN(sum, (uint64_t)UINT32_MAX);
				return n;
			}
		}
		ret = ring_read_entry(vq->net, &table, next, &desc);
		if (unlikely(ret != 0))
			return ret;
	}
	return -ELOOP;
}

/**
 * Gather the memory of a chain: descriptors of the ring, possibly ended by one
 * that refers to an indirect table (2.7.5.3).
 *
 * @param desc   its first descriptor
 * @param write  the direction that all of it must have
 * @param pieces  filled
 * @param room   pieces that fit, at most VHOST_MAX_PIECES
 * @param[out] len  bytes in all pieces, no more than UINT32_MAX
 * @return the number of pieces; or what is wrong with the chain: -EINVAL (an
 *         index, a flag), -EFAULT (no guest memory), -ELOOP (more than
 *         VHOST_MAX_PIECES descriptors), -E2BIG (more pieces than fit)
 */
static inline int
ring_gather(const struct vhost_virtqueue *vq, struct vring_desc desc, bool write,
		struct vq_piece *pieces, unsigned int room, uint32_t *len)
{
	return ring_gather_any(vq, desc, !write, write, pieces, room, NULL, len);
}

/** Likewise, both directions of a chain that has both; the first *nread pieces are to be read. */
static inline int
ring_gather_both(const struct vhost_virtqueue *vq, struct vring_desc desc,
		struct vq_piece *pieces, unsigned int room, unsigned int *nread, uint32_t *len)
{
	*nread = 0;
	return ring_gather_any(vq, desc, true, true, pieces, room, nread, len);
}

/** The next n chains on offer are taken. */
static __rte_always_inline void
ring_take(struct vhost_virtqueue *vq, uint16_t n)
{
	vq->state.last_avail_idx += n;
}

/** Write the i-th entry that goes back next: a chain, and the bytes written to it. */
static __rte_always_inline void
ring_put(struct vhost_virtqueue *vq, uint16_t i, uint16_t head, uint32_t len)
{
	uint16_t entry = (vq->state.last_used_idx + i) & vq->mask;

	vq->used->ring[entry] = (struct vring_used_elem){ .id = head, .len = len };
}

/** Give back the n chains that were put; the driver sees them when published. */
static __rte_always_inline void
ring_give(struct vhost_virtqueue *vq, uint16_t n)
{
	vq->state.last_used_idx += n;
}

/** Show the driver all that was given. */
static __rte_always_inline void
ring_publish(struct vhost_virtqueue *vq)
{
	/* U1 pairs with the driver's load of used->idx before used entries, 2.7.14 */
	__atomic_store_n(&vq->used->idx, vq->state.last_used_idx, __ATOMIC_RELEASE);
}

/** The index that was published last, by whoever served the ring. */
static inline uint16_t
ring_published(const struct vhost_virtqueue *vq)
{
	return __atomic_load_n(&vq->used->idx, __ATOMIC_RELAXED);
}

/**
 * Whether the driver wants a notification for what was published since the last
 * time this was asked (2.7.7).  To be asked once per burst that published.
 */
static inline bool
ring_should_notify(struct vhost_virtqueue *vq)
{
	uint16_t published = vq->state.last_used_idx;
	uint16_t before = vq->state.signalled_used;
	bool valid = vq->state.signalled_used_valid;
	uint16_t event;

	/*
	 * N1 our store of used->idx, then our look at the driver's wish; pairs
	 * with the driver's wish, then its look at used->idx, 2.7.7.1
	 */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!vq->event_idx) {
		uint16_t flags = __atomic_load_n(&vq->avail->flags, __ATOMIC_RELAXED);

		return (flags & VRING_AVAIL_F_NO_INTERRUPT) == 0;
	}
	event = __atomic_load_n(&vq->avail->ring[vq->size], __ATOMIC_RELAXED);
	vq->state.signalled_used = published;
	vq->state.signalled_used_valid = true;
	/* was the entry named by event among those published since? */
	return !valid || (uint16_t)(published - event - 1) < (uint16_t)(published - before);
}

/** Say for which available entry the driver shall kick (with event_idx), 2.7.10. */
static inline void
ring_set_avail_event(struct vhost_virtqueue *vq, uint16_t entry)
{
	uint16_t *event = (uint16_t *)&vq->used->ring[vq->size];

	__atomic_store_n(event, entry, __ATOMIC_RELAXED);
}

/**
 * Ask the driver for a kick with its next chain, or for none (2.7.10).  With
 * event_idx a wish holds for one kick; see ring_renew_wish().
 */
static inline void
ring_want_kicks(struct vhost_virtqueue *vq, bool wanted)
{
	if (!vq->event_idx)
		__atomic_store_n(&vq->used->flags, wanted ? 0 : VRING_USED_F_NO_NOTIFY,
				__ATOMIC_RELAXED);
	else if (wanted)
		ring_set_avail_event(vq, vq->state.last_avail_idx);
	/* K1 our wish, then any look at avail->idx; pairs with 2.7.13.4.1 */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/**
 * With event_idx, ask again before the ring is looked at, so that whoever finds
 * it empty may sleep until the kick.
 */
static __rte_always_inline void
ring_renew_wish(struct vhost_virtqueue *vq)
{
	const uint16_t *event = (const uint16_t *)&vq->used->ring[vq->size];

	if (unlikely(vq->wants_kicks) && *event != vq->state.last_avail_idx)
		ring_want_kicks(vq, true);
}

#endif /* VHOST_RING_SPLIT_H */
