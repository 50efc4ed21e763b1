/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_RING_H
#define VHOST_RING_H

/*
 * A ring as verbs on a block, the same for both formats (virtio 1.2, 2.7 and 2.8).
 * The last argument says for what ring: a constant in the bursts, so that nothing
 * is left of the choice, and cfg.format elsewhere.
 *
 * A chain is known by its id and takes places, both on its way here and on its way
 * back.  How many is the format's business: whoever handles several at once adds up
 * vq_chain.places and says at which place, counted from the next one, a chain is.
 *
 *	ring_available	how many places one burst may take
 *
 * While chains have one descriptor each, there are runs of them:
 *	ring_run	how many follow each other
 *	ring_run_first	id and descriptor of one of them
 *	ring_run_put	write down that it goes back
 *
 * Any chain:
 *	ring_offers	whether there is one at a place
 *	ring_gather	its id, its places and all its memory
 *	ring_gather_plain	likewise if it is as nearly all are, sooner
 *	ring_pair	likewise if it is a header and the data, sooner still
 *	ring_put	write down that it goes back, and the bytes written to it
 *
 * Both:
 *	ring_take	those places are ours now
 *	ring_give	those places are the driver's again, which may look
 *	ring_should_notify	and wants to be told
 *
 * With VQ_LOG they note what they write to guest memory in the log of written pages.
 *
 * Whatever the driver owns may change at any moment and may be nonsense.  It is
 * read by the verbs only, once, into a local copy, and only the copy is used.  What
 * a verb hands out is safe to use.
 *
 * Chains go back in the order of putting.  Places are taken and given once around
 * the ring at most, as nothing on offer is farther away.
 */

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>

#include "ring_log.h"
#include "ring_packed.h"
#include "ring_piece.h"
#include "ring_split.h"
#include "virtio_net.h"
#include "vhost_virtqueue.h"

#define RING_VERB(flags, verb, ...) \
	((flags) & VQ_PACKED ? ring_packed_ ## verb(__VA_ARGS__) : \
		ring_split_ ## verb(__VA_ARGS__))

/* ---- what a ring looks like ---- */

/** What was negotiated: for vq_cfg.format, and the last argument of verbs. */
static inline unsigned int
ring_format(uint64_t features)
{
	return ((features & (1ULL << VIRTIO_F_RING_PACKED)) != 0 ? VQ_PACKED : 0) |
		((features & (1ULL << VHOST_F_LOG_ALL)) != 0 ? VQ_LOG : 0) |
		((features & (1ULL << VIRTIO_F_ACCESS_PLATFORM)) != 0 ? VQ_IOVA : 0);
}

/** Whether indices of the one mean the same in the other. */
static inline bool
ring_is_same_format(unsigned int a, unsigned int b)
{
	return ((a ^ b) & VQ_PACKED) == 0;
}

/** The parts of a ring of so many descriptors. */
static inline struct ring_areas
ring_areas(uint32_t size, unsigned int flags)
{
	return RING_VERB(flags, areas, size);
}

/** Whether there can be a ring of so many descriptors, from 1 to 32768. */
static inline bool
ring_size_is_valid(uint32_t size, unsigned int flags)
{
	return RING_VERB(flags, size_is_valid, size);
}

/** Where a ring begins: value of last_avail_idx and last_used_idx. */
static inline uint16_t
ring_start(unsigned int flags)
{
	return flags & VQ_PACKED ? ring_packed_start() : ring_split_start();
}

/** Whether what comes next to take and what comes next to give back are told apart. */
static inline bool
ring_has_two_bases(unsigned int flags)
{
	return (flags & VQ_PACKED) != 0;
}

/** Whether an index may be that of this ring. */
static inline bool
ring_is_place(const struct vhost_virtqueue *vq, uint16_t at, unsigned int flags)
{
	return RING_VERB(flags, is_place, vq, at);
}

/**
 * A backend takes the ring over, with indices of that ring.  If the ring itself says
 * that they are others, those are adopted.
 */
static inline enum ring_resumed
ring_resume(struct vhost_virtqueue *vq, unsigned int flags)
{
	return RING_VERB(flags, resume, vq);
}

/* ---- what the driver offers ---- */

/** How many places may be taken by one burst, as a bound of what it may do. */
static __rte_always_inline uint16_t
ring_available(struct vhost_virtqueue *vq, unsigned int flags)
{
	return RING_VERB(flags, available, vq);
}

/** Chains that wait to be taken. */
static inline uint16_t
ring_waiting(struct vhost_virtqueue *vq, unsigned int flags)
{
	return RING_VERB(flags, waiting, vq);
}

/** Chains that the driver offers and that were not given back. */
static inline uint16_t
ring_unused(struct vhost_virtqueue *vq, unsigned int flags)
{
	return RING_VERB(flags, unused, vq);
}

/** Of the next n places how many hold chains, if each takes one; have them at hand. */
static __rte_always_inline struct ring_run
ring_run(const struct vhost_virtqueue *vq, uint16_t n, unsigned int flags)
{
	return RING_VERB(flags, run, vq, n);
}

/** The i-th chain of a run, and its first descriptor; false if it is no chain at all. */
static __rte_always_inline bool
ring_run_first(const struct vhost_virtqueue *vq, const struct ring_run *run, uint16_t i,
		uint16_t *id, struct vring_desc *desc, unsigned int flags)
{
	return RING_VERB(flags, run_first, vq, run, i, id, desc);
}

/** Whether there is a chain at a place of those that ring_available() granted. */
static __rte_always_inline bool
ring_offers(const struct vhost_virtqueue *vq, uint16_t place, uint16_t left, unsigned int flags)
{
	return RING_VERB(flags, offers, vq, place, left);
}

/**
 * Gather the memory of the chain at a place on offer.
 *
 * @param write  the direction that all of it must have
 * @param pieces  filled
 * @param room   pieces that fit, at most VHOST_MAX_PIECES
 * @param[out] chain  id and places in any case, len if all is well
 * @return the number of pieces; or what is wrong with the chain: -EINVAL (an
 *         index, a flag), -EFAULT (no guest memory), -ELOOP (more than
 *         VHOST_MAX_PIECES descriptors), -E2BIG (more pieces than fit), -ENOENT
 *         (it is none: its place is to be taken, and nothing goes back); or -EAGAIN:
 *         with VQ_IOVA, what it needs is not known yet, and it stays where it is
 */
static __rte_always_inline int
ring_gather(const struct vhost_virtqueue *vq, uint16_t place, bool write,
		struct vq_piece *pieces, unsigned int room, struct vq_chain *chain,
		unsigned int flags)
{
	struct ring_memory memory = { .pieces = pieces, .room = room };
	struct vring_desc first;
	int n = RING_VERB(flags, chain, vq, place, chain, &first);

	if (flags & VQ_IOVA)
		vq->iova->enough = false;
	if (unlikely(n != 0))
		return n;
	if (likely(room > 0 && ring_simple(vq, first, write, pieces, flags))) {
		chain->len = pieces->len;
		return 1;
	}
	n = RING_VERB(flags, gather, vq, place, first, chain,
			write ? RING_TO_WRITE : RING_TO_READ, &memory, flags);
	if ((flags & VQ_IOVA) && unlikely(memory.missing) && n >= 0)
		return -EAGAIN;
	chain->len = RTE_MIN(memory.len, (uint64_t)UINT32_MAX);
	return n;
}

/**
 * What ring_gather() comes to, sooner, if nothing is unusual about the chain: its
 * descriptors are in the ring or in one table, in one piece of memory each, and so is the
 * table.  A piece may be empty.
 *
 * @param[in,out] memory  has room for a piece at least
 * @param[out] chain  id and places
 * @return the number of pieces; 0 if ring_gather() has to look
 */
static __rte_always_inline unsigned int
ring_gather_plain(const struct vhost_virtqueue *vq, uint16_t place, bool write,
		struct ring_memory *memory, struct vq_chain *chain, unsigned int flags)
{
	struct vring_desc first;

	if (unlikely(RING_VERB(flags, chain, vq, place, chain, &first) != 0))
		return 0;
	return RING_VERB(flags, gather_plain, vq, place, first, chain, write, memory, flags);
}

/**
 * ring_offers(), and likewise for a chain, or a table, of two descriptors: the header, alone,
 * and the data.
 *
 * @param[out] chain  id and places
 * @return false if ring_offers() and ring_gather_plain() have to look
 */
static __rte_always_inline bool
ring_pair(const struct vhost_virtqueue *vq, uint16_t place, uint16_t left, uint32_t hdr_len,
		bool write, struct ring_pair *pair, struct vq_chain *chain, unsigned int flags)
{
	return RING_VERB(flags, pair, vq, place, left, hdr_len, write, pair, chain, flags);
}

/**
 * As ring_gather(), both directions of a chain that has both; the first *nread pieces are to
 * be read.
 */
static inline int
ring_gather_both(const struct vhost_virtqueue *vq, uint16_t place, struct vq_piece *pieces,
		unsigned int room, struct vq_chain *chain, unsigned int *nread,
		unsigned int flags)
{
	struct ring_memory memory = { .pieces = pieces, .room = room };
	struct vring_desc first;
	int n = RING_VERB(flags, chain, vq, place, chain, &first);

	if (flags & VQ_IOVA)
		vq->iova->enough = false;
	if (n == 0)
		n = RING_VERB(flags, gather, vq, place, first, chain, RING_BOTH, &memory,
			flags);
	if (memory.missing && n >= 0)
		n = -EAGAIN;
	*nread = memory.nread;
	return n;
}

/** Places that a chain takes. */
static __rte_always_inline uint16_t
ring_places(const struct vq_chain *chain, unsigned int flags)
{
	return flags & VQ_PACKED ? chain->places : 1;
}

/** The next n places are taken. */
static __rte_always_inline void
ring_take(struct vhost_virtqueue *vq, uint16_t n, unsigned int flags)
{
	if (flags & VQ_IOVA)
		vq->iova->ahead -= RTE_MIN(n, vq->iova->ahead);
	RING_VERB(flags, take, vq, n);
}

/* ---- what goes back ---- */

/**
 * Write down what goes back at the i-th place: a chain, its places and the bytes written
 * to it.
 * With VQ_IN_ORDER nothing was written to any, which makes them one.
 */
static __rte_always_inline void
ring_put(struct vhost_virtqueue *vq, uint16_t i, uint16_t id, uint16_t places, uint32_t len,
		unsigned int flags)
{
	if (!(flags & VQ_PACKED))
		ring_split_put(vq, i, id, len);
	else if (flags & VQ_IN_ORDER)
		ring_packed_put_in_order(vq, id);
	else
		ring_packed_put(vq, i, id, places, len);
}

/** Likewise in a run. */
static __rte_always_inline void
ring_run_put(struct vhost_virtqueue *vq, const struct ring_run *run, uint16_t i, uint16_t id,
		uint32_t len, unsigned int flags)
{
	if ((flags & VQ_PACKED) && (flags & VQ_IN_ORDER))
		ring_packed_put_in_order(vq, id);
	else
		RING_VERB(flags, run_put, vq, run, i, id, len);
}

/** Give back the n places, at least one, for which something was put. */
static __rte_always_inline void
ring_give(struct vhost_virtqueue *vq, uint16_t n, unsigned int flags)
{
	uint16_t from = vq->state.last_used_idx;

	/* the data comes before what says that it is there */
	if (flags & VQ_LOG)
		vhost_ring_log_flush(vq);
	if ((flags & VQ_PACKED) && (flags & VQ_IN_ORDER) && n > 1)
		ring_packed_put_end(vq, 0, n, vq->withheld >> 32);
	RING_VERB(flags, give, vq, n);
	if (flags & VQ_LOG) {
		RING_VERB(flags, log_given, vq, from, n);
		vhost_ring_log_flush(vq);
	}
}

/**
 * Copy what hardware has used on a ring of its own to this one, which nobody serves.
 *
 * @return how many chains; -1 when an entry is nonsense or the format has no such ring
 */
static inline int
ring_relay(struct vhost_virtqueue *vq, struct vring *from, unsigned int flags)
{
	int n = flags & VQ_PACKED ? -1 : ring_split_relay(vq, from, flags);

	if (n > 0)
		ring_give(vq, n, flags);
	if (n < 0)
		return -1;
	ring_split_relayed(vq, from, flags);
	if (flags & VQ_LOG)
		vhost_ring_log_flush(vq);
	return n;
}

/* ---- notifications ---- */

/**
 * Whether the driver wants a notification for what was given since the last time
 * this was asked (2.7.7, 2.8.10).  To be asked once per burst that gave something.
 */
static inline bool
ring_should_notify(struct vhost_virtqueue *vq, unsigned int flags)
{
	return RING_VERB(flags, should_notify, vq);
}

/**
 * Likewise for who may serve the ring without us, by its addresses: what counts then is
 * what the ring says was given back.  A packed ring does not say it.
 */
static inline bool
ring_should_call(struct vhost_virtqueue *vq, unsigned int flags)
{
	return flags & VQ_PACKED ? ring_packed_should_notify(vq) : ring_split_should_call(vq);
}

/**
 * Write to the ring that the driver shall kick with its next chain, or that it need
 * not (2.7.10, 2.8.10).  With event_idx that holds for one kick; see
 * ring_renew_kick_request().  A look at the ring after this misses no chain for which
 * no kick comes.
 */
static inline void
ring_write_kick_request(struct vhost_virtqueue *vq, bool wanted, unsigned int flags)
{
	RING_VERB(flags, write_kick_request, vq, wanted);
	if (flags & VQ_LOG) {
		RING_VERB(flags, log_kick_request, vq);
		vhost_ring_log_flush(vq);
	}
}

/**
 * With event_idx, write the request again before the ring is looked at, so that
 * whoever finds it empty may sleep until the kick.  Nothing unless the application
 * wants kicks.
 */
static __rte_always_inline void
ring_renew_kick_request(struct vhost_virtqueue *vq, unsigned int flags)
{
	if (RING_VERB(flags, renew_kick_request, vq) && (flags & VQ_LOG)) {
		RING_VERB(flags, log_kick_request, vq);
		vhost_ring_log_flush(vq);
	}
}

/** What the driver will write when it offers the next chain. */
static inline void
ring_monitor(const struct vhost_virtqueue *vq, struct rte_vhost_power_monitor_cond *cond,
		unsigned int flags)
{
	RING_VERB(flags, monitor, vq, cond);
}

#endif /* VHOST_RING_H */
