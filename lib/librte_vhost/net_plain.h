/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_PLAIN_H
#define VHOST_NET_PLAIN_H

/*
 * Packets whose chains are plain (ring_gather_plain()), of any number of descriptors: found
 * some time before they are copied, so that memory has time to come.  In most of them there
 * is a header and then the data, which is copied without a thought for pieces.
 */

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "net_copy.h"
#include "ring.h"
#include "vhost_virtqueue.h"

/** A packet and its chain. */
struct net_slot {
	uint8_t *data;		/**< behind the header; NULL: it is in the pieces of its row */
	uint32_t len;		/**< header not included */
	uint16_t id;
	uint16_t places;	/**< of the chain; not filled where all have one */
};

/** Chains that are looked at before they are copied; each has a row of the block's pieces. */
#define NET_ROWS 8
#define NET_ROW_PIECES (VHOST_MAX_PIECES / NET_ROWS)
static_assert(NET_ROWS > NET_LOOK_AHEAD, "a row for the chain that is copied, and those ahead");

/** Plain chains that were found, and their packets. */
struct net_batch {
	uint16_t place;		/**< of the next chain */
	uint16_t available;	/**< places that may be taken */
	bool pairs;		/**< of two descriptors, as far as was seen */
	struct net_slot slots[VHOST_BURST];
	uint8_t *hdrs[VHOST_BURST];	/**< of those with data in one piece */
	uint16_t ends[NET_ROWS];	/**< of those in pieces: how many in the row */
};

/** Start over; the arrays are filled as chains are found. */
static __rte_always_inline void
net_batch_begin(struct net_batch *batch, uint16_t available)
{
	batch->place = 0;
	batch->available = available;
	batch->pairs = true;
}

static __rte_always_inline struct vq_piece *
net_batch_row(const struct vhost_virtqueue *vq, unsigned int i)
{
	return &vq->pieces[i % NET_ROWS * NET_ROW_PIECES];
}

/** Look for a pair as the i-th chain; once there is none it is not tried again. */
static __rte_always_inline bool
net_batch_pair(const struct vhost_virtqueue *vq, struct net_batch *batch, unsigned int i,
		uint32_t hdr_len, bool write, struct vq_piece *data, struct vq_chain *chain,
		unsigned int flags)
{
	struct ring_pair pair;

	if (!ring_pair(vq, batch->place, batch->available, hdr_len, write, &pair, chain, flags))
		return false;
	batch->hdrs[i] = pair.header;
	*data = pair.data;
	return true;
}

/**
 * Gather the pieces of the i-th chain in its row.
 *
 * @param[out] len  of them all
 * @return their number; 0 unless the chain is plain
 */
static __rte_always_inline unsigned int
net_batch_gather(const struct vhost_virtqueue *vq, const struct net_batch *batch,
		unsigned int i, bool write, uint64_t *len, struct vq_chain *chain,
		unsigned int flags)
{
	struct ring_memory memory = { .pieces = net_batch_row(vq, i), .room = NET_ROW_PIECES };
	unsigned int n;

	if (unlikely(!ring_offers(vq, batch->place, batch->available, flags)))
		return 0;
	n = ring_gather_plain(vq, batch->place, write, &memory, chain, flags);
	*len = memory.len;
	return n;
}

/** Places that a chain takes. */
static __rte_always_inline uint16_t
net_slot_places(const struct net_slot *slot, unsigned int flags)
{
	return flags & VQ_PACKED ? slot->places : 1;
}

/** The i-th chain is this one. */
static __rte_always_inline void
net_batch_add(struct net_batch *batch, unsigned int i, const struct vq_chain *chain,
		unsigned int flags)
{
	struct net_slot *slot = &batch->slots[i];

	slot->id = chain->id;
	if (flags & VQ_PACKED)
		slot->places = chain->places;
	batch->place += net_slot_places(slot, flags);
}

/**
 * What is fetched while the data of the i-th of n packets is copied: a packet about
 * NET_COPY_AHEAD behind it, or the first piece of that.
 */
static __rte_always_inline struct net_next
net_slot_next(const struct vhost_virtqueue *vq, const struct net_slot *slots, unsigned int i,
		unsigned int n)
{
	const unsigned int next = i + (slots[i].len > 1024 ? 1 : slots[i].len > 512 ? 2 : 4);
	const struct vq_piece *row;

	static_assert(NET_LOOK_AHEAD >= 4, "that one has been found");
	if (next >= n)
		return NET_NEXT_NONE;
	if (slots[next].data != NULL)
		return (struct net_next){ slots[next].data, slots[next].len };
	row = net_batch_row(vq, next);
	/* the first piece may be the header's alone */
	row += row->len < 64;
	return (struct net_next){ row->base, row->len };
}

/**
 * Give the chains of n slots back.
 *
 * @param hdr_len  bytes that were written to each beside the data; 0: nothing was at all
 * @return the places they took
 */
static __rte_always_inline uint16_t
net_batch_give(struct vhost_virtqueue *vq, const struct net_slot *slots, unsigned int n,
		uint32_t hdr_len, unsigned int flags)
{
	uint16_t places = 0;

	for (unsigned int i = 0; i < n; i++) {
		ring_put(vq, places, slots[i].id, net_slot_places(&slots[i], flags),
				hdr_len > 0 ? hdr_len + slots[i].len : 0, flags);
		places += net_slot_places(&slots[i], flags);
	}
	ring_take(vq, places, flags);
	ring_give(vq, places, flags);
	return places;
}

#endif /* VHOST_NET_PLAIN_H */
