/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_RING_PACKED_H
#define VHOST_RING_PACKED_H

/*
 * The packed ring (virtio 1.2, 2.8): the verbs of ring.h for it.
 *
 * One ring of descriptors carries both what the driver offers and what goes back.
 * A chain is consecutive descriptors, takes as many places, and is known by the id
 * in its last one.  What goes back is one descriptor for each chain, written over
 * the places of chains that were taken.
 *
 * Where we are is a place with the wrap counter in bit 15, in the state, in the
 * event structures and in vhost-user messages alike.
 *
 * The driver looks at used descriptors in the order of the ring, so a batch stays
 * invisible until its first one is written: ring_packed_put() withholds that, and
 * ring_packed_give() writes it.  A descriptor but for its address is one store.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

#include <rte_atomic.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "ring_log.h"
#include "ring_piece.h"
#include "ring_resume.h"
#include "vhost_virtqueue.h"

#include "rte_vhost.h"

#define RING_PACKED_WRAP	(1u << VRING_PACKED_EVENT_F_WRAP_CTR)
#define RING_PACKED_AVAIL	(1u << VRING_PACKED_DESC_F_AVAIL)
#define RING_PACKED_USED	(1u << VRING_PACKED_DESC_F_USED)

/** What is behind the address of a descriptor, as one word. */
#define RING_PACKED_WORD(len, id, flags) \
	((uint32_t)(len) | (uint64_t)(uint16_t)(id) << 32 | (uint64_t)(uint16_t)(flags) << 48)

static inline struct ring_areas
ring_packed_areas(uint32_t size)
{
	const struct ring_area event = {
		sizeof(struct vring_packed_desc_event), sizeof(uint32_t)
	};

	return (struct ring_areas){
		.desc = { size * sizeof(struct vring_packed_desc), VRING_DESC_ALIGN_SIZE },
		.avail = event,
		.used = event,
	};
}

static inline bool
ring_packed_size_is_valid(uint32_t size __rte_unused)
{
	return true;
}

static __rte_always_inline struct ring_words *
ring_packed_words(const struct vhost_virtqueue *vq, uint32_t place)
{
	return (struct ring_words *)&vq->desc[place];
}

static __rte_always_inline uint64_t *
ring_packed_rest(const struct vhost_virtqueue *vq, uint32_t place)
{
	return (uint64_t *)&vq->desc[place] + 1;
}

static __rte_always_inline struct vring_desc
ring_packed_desc(struct ring_words words)
{
	return (struct vring_desc){
		.addr = words.addr,
		.len = words.rest,
		.flags = words.rest >> 48,
	};
}

static __rte_always_inline uint16_t
ring_packed_id(struct ring_words words)
{
	return words.rest >> 32;
}

static __rte_always_inline uint32_t
ring_packed_place(uint16_t at)
{
	return at & ~RING_PACKED_WRAP;
}

/** Further by n places, at most once around. */
static __rte_always_inline uint16_t
ring_packed_plus(const struct vhost_virtqueue *vq, uint16_t at, uint32_t n)
{
	uint32_t place = ring_packed_place(at) + n;
	uint16_t wrap = at & RING_PACKED_WRAP;

	if (place >= vq->size)
		return (place - vq->size) | (wrap ^ RING_PACKED_WRAP);
	return place | wrap;
}

/** How many places from one to another that is ahead of it; negative if it is behind. */
static __rte_always_inline int32_t
ring_packed_distance(const struct vhost_virtqueue *vq, uint16_t from, uint16_t to)
{
	int32_t places = (int32_t)ring_packed_place(to) - (int32_t)ring_packed_place(from);

	return ((from ^ to) & RING_PACKED_WRAP) != 0 ? places + vq->size : places;
}

/** Those of the flags that make a descriptor on this lap available, or used. */
static __rte_always_inline uint16_t
ring_packed_mark_available(uint16_t at)
{
	return (at & RING_PACKED_WRAP) != 0 ? RING_PACKED_AVAIL : RING_PACKED_USED;
}

static __rte_always_inline uint16_t
ring_packed_mark_used(uint16_t at)
{
	return (at & RING_PACKED_WRAP) != 0 ? RING_PACKED_AVAIL | RING_PACKED_USED : 0;
}

/** Not 0 unless what is behind the address of a descriptor says that it is available. */
static __rte_always_inline uint64_t
ring_packed_differs(const struct vhost_virtqueue *vq, uint32_t place, uint64_t available)
{
	uint64_t rest = __atomic_load_n(ring_packed_rest(vq, place), __ATOMIC_RELAXED);

	return (rest ^ available) &
		RING_PACKED_WORD(0, 0, RING_PACKED_AVAIL | RING_PACKED_USED);
}

/**
 * How many descriptors in a row are available, of n that do not reach around the end
 * of the ring.
 */
static __rte_always_inline uint16_t
ring_packed_count(const struct vhost_virtqueue *vq, uint16_t at, uint16_t n)
{
	const uint64_t available = RING_PACKED_WORD(0, 0, ring_packed_mark_available(at));
	uint32_t place = ring_packed_place(at);
	uint16_t i = 0;

	while (i + 4 <= n && (ring_packed_differs(vq, place + i, available) |
			ring_packed_differs(vq, place + i + 1, available) |
			ring_packed_differs(vq, place + i + 2, available) |
			ring_packed_differs(vq, place + i + 3, available)) == 0)
		i += 4;
	while (i < n && ring_packed_differs(vq, place + i, available) == 0)
		i++;
	/* A1 pairs with the driver's store of flags after the rest, 2.8.21.1 */
	rte_atomic_thread_fence(__ATOMIC_ACQUIRE);
	return i;
}

/** Nobody says how many chains there are: if there is one, the ring is the bound. */
static __rte_always_inline uint16_t
ring_packed_available(const struct vhost_virtqueue *vq)
{
	return ring_packed_count(vq, vq->state.last_avail_idx, 1) == 0 ? 0 : vq->size;
}

static __rte_always_inline bool
ring_packed_offers(const struct vhost_virtqueue *vq, uint16_t place, uint16_t left)
{
	return place < left && ring_packed_count(vq,
			ring_packed_plus(vq, vq->state.last_avail_idx, place), 1) == 1;
}

/** Chains on offer: descriptors that end one. */
static inline uint16_t
ring_packed_waiting(const struct vhost_virtqueue *vq)
{
	uint16_t chains = 0;

	for (uint16_t i = 0; ring_packed_offers(vq, i, vq->size); i++) {
		uint16_t at = ring_packed_plus(vq, vq->state.last_avail_idx, i);
		struct ring_words words = ring_read_words(
				ring_packed_words(vq, ring_packed_place(at)));

		chains += (ring_packed_desc(words).flags & VRING_DESC_F_NEXT) == 0;
	}
	return chains;
}

/** Likewise; who takes a chain and does not give it counts it himself. */
static inline uint16_t
ring_packed_unused(const struct vhost_virtqueue *vq)
{
	return ring_packed_waiting(vq);
}

/** A run does not reach around the end of the ring, so its places are plain sums. */
static __rte_always_inline struct ring_run
ring_packed_run(const struct vhost_virtqueue *vq, uint16_t n)
{
	uint16_t avail = vq->state.last_avail_idx, used = vq->state.last_used_idx;
	uint32_t last = RTE_MAX(ring_packed_place(avail), ring_packed_place(used));

	return (struct ring_run){
		.n = ring_packed_count(vq, avail, RTE_MIN((uint32_t)n, vq->size - last)),
		.descs = ring_packed_words(vq, ring_packed_place(avail)),
		.places = ring_packed_rest(vq, ring_packed_place(used)),
		.used = RING_PACKED_WORD(0, 0, ring_packed_mark_used(used)),
	};
}

static __rte_always_inline bool
ring_packed_run_first(const struct vhost_virtqueue *vq __rte_unused,
		const struct ring_run *run, uint16_t i, uint16_t *id, struct vring_desc *desc)
{
	struct ring_words words = ring_read_words(&run->descs[i]);

	*id = ring_packed_id(words);
	*desc = ring_packed_desc(words);
	return true;
}

/** Write what is behind the address, or withhold it if it is the first of a batch. */
static __rte_always_inline void
ring_packed_write(struct vhost_virtqueue *vq, uint16_t i, uint64_t *place, uint64_t used,
		uint16_t id, uint32_t len)
{
	/* VRING_DESC_F_WRITE unless nothing was written */
	uint64_t rest = RING_PACKED_WORD(len, id, (len > 0) << 1) | used;

	if (i == 0)
		vq->withheld = rest;
	else
		__atomic_store_n(place, rest, __ATOMIC_RELAXED);
}

static __rte_always_inline void
ring_packed_run_put(struct vhost_virtqueue *vq, const struct ring_run *run, uint16_t i,
		uint16_t id, uint32_t len)
{
	ring_packed_write(vq, i, &run->places[2 * i], run->used, id, len);
}

/** Say in the last of several places from the i-th on that they are one, see ring_resume.c. */
static __rte_always_inline void
ring_packed_put_end(struct vhost_virtqueue *vq, uint16_t i, uint16_t places, uint16_t id)
{
	uint16_t at = ring_packed_plus(vq, vq->state.last_used_idx, i + places - 1);

	__atomic_store_n(ring_packed_rest(vq, ring_packed_place(at)),
			RING_PACKED_WORD(places - 1, id, ring_packed_mark_used(at) | RING_RESUME_END),
			__ATOMIC_RELAXED);
}

static __rte_always_inline void
ring_packed_put(struct vhost_virtqueue *vq, uint16_t i, uint16_t id, uint16_t places,
		uint32_t len)
{
	uint16_t at = ring_packed_plus(vq, vq->state.last_used_idx, i);

	if (places > 1)
		ring_packed_put_end(vq, i, places, id);
	ring_packed_write(vq, i, ring_packed_rest(vq, ring_packed_place(at)),
			RING_PACKED_WORD(0, 0, ring_packed_mark_used(at)), id, len);
}

/** One descriptor for a batch with nothing written (2.8.8): the id of its last chain. */
static __rte_always_inline void
ring_packed_put_in_order(struct vhost_virtqueue *vq, uint16_t id)
{
	vq->withheld = RING_PACKED_WORD(0, id, ring_packed_mark_used(vq->state.last_used_idx));
}

static __rte_always_inline int
ring_packed_chain(const struct vhost_virtqueue *vq, uint16_t place, struct vq_chain *chain,
		struct vring_desc *first)
{
	uint16_t at = ring_packed_plus(vq, vq->state.last_avail_idx, place);
	struct ring_words words = ring_read_words(ring_packed_words(vq, ring_packed_place(at)));

	chain->places = 1;
	chain->id = ring_packed_id(words);
	*first = ring_packed_desc(words);
	return 0;
}

/** The descriptor of a chain that comes next; false at its end. */
static __rte_always_inline bool
ring_packed_follow(const struct vhost_virtqueue *vq, uint16_t place, struct vring_desc *desc,
		struct vq_chain *chain)
{
	struct ring_words words;
	uint16_t at;

	/* a chain that never ends takes what there is of the ring */
	if (!(desc->flags & VRING_DESC_F_NEXT) || place + chain->places == vq->size)
		return false;
	at = ring_packed_plus(vq, vq->state.last_avail_idx, place + chain->places++);
	words = ring_read_words(ring_packed_words(vq, ring_packed_place(at)));
	chain->id = ring_packed_id(words);
	*desc = ring_packed_desc(words);
	return true;
}

/**
 * All entries of an indirect table (2.8.7).  Where only one use makes sense the
 * entries' WRITE flag is not looked at: DPDK's virtio driver (22.11) leaves it set in
 * the tables of packets that it sends.
 */
static __rte_always_inline int
ring_packed_gather_table(const struct vhost_virtqueue *vq, struct vring_desc desc,
		enum ring_use use, struct ring_memory *memory, unsigned int flags)
{
	const struct ring_table table = ring_indirect_table(vq, desc, flags);
	int ret, n = 0;

	if (unlikely(table.entries == 0))
		return -EINVAL;
	if (unlikely(table.entries > VHOST_MAX_PIECES))
		return -ELOOP;
	for (uint32_t i = 0; i < table.entries && n >= 0; i++) {
		struct ring_words words;

		ret = ring_read_entry(vq, &table, i, &words, flags);
		if (unlikely(ret != 0))
			return ret;
		desc = ring_packed_desc(words);
		if (use != RING_BOTH)
			desc.flags = use == RING_TO_WRITE ? VRING_DESC_F_WRITE : 0;
		n = ring_add_buffer(vq, desc, use, n, memory, flags);
	}
	return n;
}

/** Descriptors of the ring; *chain and *desc end where all is well so far. */
static __rte_always_inline int
ring_packed_gather_list(const struct vhost_virtqueue *vq, uint16_t place,
		struct vring_desc *desc, struct vq_chain *chain, enum ring_use use,
		struct ring_memory *memory, unsigned int flags)
{
	int n = 0;

	do {
		if (unlikely(desc->flags & VRING_DESC_F_INDIRECT))
			return -EINVAL;
		if (unlikely(chain->places > VHOST_MAX_PIECES))
			return -ELOOP;
		n = ring_add_buffer(vq, *desc, use, n, memory, flags);
		if (unlikely(n < 0))
			return n;
	} while (ring_packed_follow(vq, place, desc, chain));
	return unlikely(desc->flags & VRING_DESC_F_NEXT) ? -ELOOP : n;
}

static __rte_always_inline int
ring_packed_gather(const struct vhost_virtqueue *vq, uint16_t place, struct vring_desc desc,
		struct vq_chain *chain, enum ring_use use, struct ring_memory *memory,
		unsigned int flags)
{
	int n;

	if ((desc.flags & (VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT)) == VRING_DESC_F_INDIRECT)
		return ring_packed_gather_table(vq, desc, use, memory, flags);
	n = ring_packed_gather_list(vq, place, &desc, chain, use, memory, flags);
	if (unlikely(n < 0)) {
		/* it goes back all the same, by its last id and with all its places */
		while (ring_packed_follow(vq, place, &desc, chain))
			;
	}
	return n;
}

/** All entries of an indirect table, as ring_packed_gather_table(). */
static __rte_always_inline unsigned int
ring_packed_gather_plain_table(const struct vhost_virtqueue *vq, struct vring_desc desc,
		bool write, struct ring_memory *memory, unsigned int flags)
{
	const struct ring_table table = ring_indirect_table(vq, desc, flags);
	unsigned int n = 0;

	if (unlikely(table.host == NULL || table.entries > memory->room))
		return 0;
	for (; n < table.entries; n++) {
		desc = ring_packed_desc(ring_read_words(table.host +
				n * sizeof(struct ring_words)));
		desc.flags = write ? VRING_DESC_F_WRITE : 0;
		if (unlikely(!ring_add_plain(vq, desc, write, n, memory, flags)))
			return 0;
	}
	return n;
}

static __rte_always_inline unsigned int
ring_packed_gather_plain(const struct vhost_virtqueue *vq, uint16_t place,
		struct vring_desc desc, struct vq_chain *chain, bool write,
		struct ring_memory *memory, unsigned int flags)
{
	unsigned int n = 0;

	if ((desc.flags & (VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT)) == VRING_DESC_F_INDIRECT)
		return ring_packed_gather_plain_table(vq, desc, write, memory, flags);
	do {
		if (unlikely(n == memory->room ||
				!ring_add_plain(vq, desc, write, n++, memory, flags)))
			return 0;
	} while (ring_packed_follow(vq, place, &desc, chain));
	return unlikely(desc.flags & VRING_DESC_F_NEXT) ? 0 : n;
}

/** A pair in an indirect table. */
static __rte_always_inline bool
ring_packed_pair_table(const struct vhost_virtqueue *vq, struct vring_desc desc,
		uint32_t hdr_len, bool write, struct ring_pair *pair, unsigned int flags)
{
	const struct ring_table table = ring_indirect_table(vq, desc, flags);
	struct vring_desc header, data;

	if (unlikely(table.host == NULL || table.entries != 2))
		return false;
	header = ring_packed_desc(ring_read_words(table.host));
	data = ring_packed_desc(ring_read_words(table.host + sizeof(struct ring_words)));
	header.flags = data.flags = write ? VRING_DESC_F_WRITE : 0;
	return ring_pair_memory(vq, header, data, hdr_len, write, pair, flags);
}

static __rte_always_inline bool
ring_packed_pair(const struct vhost_virtqueue *vq, uint16_t place, uint16_t left,
		uint32_t hdr_len, bool write, struct ring_pair *pair, struct vq_chain *chain,
		unsigned int flags)
{
	const uint16_t at = ring_packed_plus(vq, vq->state.last_avail_idx, place);
	uint32_t next = ring_packed_place(at) + 1;
	struct vring_desc header;
	struct ring_words words;

	if (unlikely(place >= left || ring_packed_count(vq, at, 1) == 0))
		return false;
	words = ring_read_words(ring_packed_words(vq, ring_packed_place(at)));
	header = ring_packed_desc(words);
	chain->id = ring_packed_id(words);
	chain->places = 1;
	if (!(header.flags & VRING_DESC_F_NEXT))
		return (header.flags & VRING_DESC_F_INDIRECT) &&
			ring_packed_pair_table(vq, header, hdr_len, write, pair, flags);
	words = ring_read_words(ring_packed_words(vq, next == vq->size ? 0 : next));
	chain->id = ring_packed_id(words);
	chain->places = 2;
	return likely(place + 1 < vq->size) && ring_pair_memory(vq, header,
			ring_packed_desc(words), hdr_len, write, pair, flags);
}

static __rte_always_inline void
ring_packed_take(struct vhost_virtqueue *vq, uint16_t n)
{
	vq->state.last_avail_idx = ring_packed_plus(vq, vq->state.last_avail_idx, n);
}

static __rte_always_inline void
ring_packed_give(struct vhost_virtqueue *vq, uint16_t n)
{
	uint16_t at = vq->state.last_used_idx;

	vq->state.last_used_idx = ring_packed_plus(vq, at, n);
	/* U1 pairs with the driver's load of flags before the rest, 2.8.22 */
	__atomic_store_n(ring_packed_rest(vq, ring_packed_place(at)), vq->withheld,
			__ATOMIC_RELEASE);
}

/** Note what was written to give n places back, or more. */
static inline void
ring_packed_log_given(struct vhost_virtqueue *vq, uint16_t from, uint16_t n)
{
	const size_t place = sizeof(struct vring_packed_desc);
	uint32_t first = ring_packed_place(from);
	uint32_t to_end = RTE_MIN((uint32_t)n, vq->size - first);

	vhost_ring_log_descs(vq, first * place, to_end * place);
	vhost_ring_log_descs(vq, 0, (n - to_end) * place);
}

static __rte_always_inline volatile struct vring_packed_desc_event *
ring_packed_drivers_event(const struct vhost_virtqueue *vq)
{
	return (void *)vq->avail;
}

static __rte_always_inline struct vring_packed_desc_event *
ring_packed_our_event(const struct vhost_virtqueue *vq)
{
	return (void *)vq->used;
}

static inline bool
ring_packed_should_notify(struct vhost_virtqueue *vq)
{
	uint16_t published = vq->state.last_used_idx;
	uint16_t before = vq->state.signalled_used;
	bool valid = vq->state.signalled_used_valid;
	uint16_t flags, event;
	int32_t ahead;

	/* N1 our store of flags, then our look at what the driver wants; pairs with 2.8.21.3.1 */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	vq->state.signalled_used = published;
	vq->state.signalled_used_valid = true;
	flags = ring_packed_drivers_event(vq)->flags;
	if (!vq->event_idx || flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	/* N2 pairs with the driver's store of flags after off_wrap */
	rte_atomic_thread_fence(__ATOMIC_ACQUIRE);
	event = ring_packed_drivers_event(vq)->off_wrap;
	ahead = ring_packed_distance(vq, before, event);
	/* was the place named by event among those published since? */
	return !valid || (ahead >= 0 && ahead < ring_packed_distance(vq, before, published));
}

static inline void
ring_packed_write_kick_request(struct vhost_virtqueue *vq, bool wanted)
{
	struct vring_packed_desc_event *event = ring_packed_our_event(vq);
	uint16_t flags = VRING_PACKED_EVENT_FLAG_DISABLE;

	if (wanted && vq->event_idx) {
		__atomic_store_n(&event->off_wrap, vq->state.last_avail_idx, __ATOMIC_RELAXED);
		flags = VRING_PACKED_EVENT_FLAG_DESC;
	} else if (wanted) {
		flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	}
	/* W1 pairs with the driver's load of flags before off_wrap */
	__atomic_store_n(&event->flags, flags, __ATOMIC_RELEASE);
	/* K1 our request, then any look at the ring; pairs with 2.8.21.3.1 */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/** Note what was written to ask for kicks or for none. */
static inline void
ring_packed_log_kick_request(struct vhost_virtqueue *vq)
{
	vhost_ring_log_device_area(vq, 0, sizeof(struct vring_packed_desc_event));
}

/** Whether it had to be written. */
static __rte_always_inline bool
ring_packed_renew_kick_request(struct vhost_virtqueue *vq)
{
	if (likely(!vq->renews_kicks) ||
			ring_packed_our_event(vq)->off_wrap == vq->state.last_avail_idx)
		return false;
	ring_packed_write_kick_request(vq, true);
	return true;
}

static inline void
ring_packed_monitor(const struct vhost_virtqueue *vq, struct rte_vhost_power_monitor_cond *cond)
{
	uint16_t at = vq->state.last_avail_idx;
	struct vring_packed_desc *next = (void *)ring_packed_words(vq, ring_packed_place(at));

	*cond = (struct rte_vhost_power_monitor_cond){
		.addr = &next->flags,
		.val = ring_packed_mark_available(at),
		.mask = RING_PACKED_AVAIL | RING_PACKED_USED,
		.size = sizeof(next->flags),
		.match = 1,
	};
}

/** Wrap counters begin with 1 (2.8.1). */
static inline uint16_t
ring_packed_start(void)
{
	return RING_PACKED_WRAP;
}

static inline bool
ring_packed_is_place(const struct vhost_virtqueue *vq, uint16_t at)
{
	return ring_packed_place(at) < vq->size;
}

/** Only where we serve the ring, and nobody else tells what an earlier backend left. */
static inline enum ring_resumed
ring_packed_resume(struct vhost_virtqueue *vq)
{
	if (!(vq->net->flags & NET_BUILTIN) || vq->cfg.inflight != NULL)
		return RING_AS_TOLD;
	return vhost_ring_resume((void *)vq->desc, vq->size,
			virtio_net_has(vq->net, VIRTIO_F_IN_ORDER),
			&vq->state.last_avail_idx, &vq->state.last_used_idx);
}

#endif /* VHOST_RING_PACKED_H */
