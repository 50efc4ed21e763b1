/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_RING_SPLIT_H
#define VHOST_RING_SPLIT_H

/*
 * The split ring (virtio 1.2, 2.7): the verbs of ring.h for it.
 *
 * A chain is known by its head, the number of its first descriptor, and takes one
 * entry of the available and one of the used ring, whatever its length.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

#include <rte_atomic.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_prefetch.h>

#include "mem_log.h"
#include "ring_log.h"
#include "ring_piece.h"
#include "vhost_log.h"
#include "vhost_virtqueue.h"

#include "rte_vhost.h"

static inline struct ring_areas
ring_split_areas(uint32_t size)
{
	/* with the event index fields */
	return (struct ring_areas){
		.desc = { size * sizeof(struct vring_desc), VRING_DESC_ALIGN_SIZE },
		.avail = { sizeof(struct vring_avail) + (size + 1) * sizeof(uint16_t),
			VRING_AVAIL_ALIGN_SIZE },
		.used = { sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) +
			sizeof(uint16_t), VRING_USED_ALIGN_SIZE },
	};
}

static inline bool
ring_split_size_is_valid(uint32_t size)
{
	return rte_is_power_of_2(size);
}

static __rte_always_inline struct vring_desc
ring_split_desc(struct ring_words words)
{
	return (struct vring_desc){
		.addr = words.addr,
		.len = words.rest,
		.flags = words.rest >> 32,
		.next = words.rest >> 48,
	};
}

static inline void
ring_split_report_broken(struct vhost_virtqueue *vq, uint16_t ready)
{
	if (vq->broken)
		return;
	vq->broken = true;
	VHOST_LOG_DATA(ERR, "(%s) queue %u: %u entries available in a ring of %u, not served\n",
		vq->net->name, vq->cfg.index, ready, vq->size);
}

/** The driver's available index, as it is now. */
static __rte_always_inline uint16_t
ring_split_offered(const struct vhost_virtqueue *vq)
{
	/* A1 pairs with the driver's store of avail->idx after its entries, 2.7.13 */
	return __atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE);
}

static __rte_always_inline uint16_t
ring_split_available(struct vhost_virtqueue *vq)
{
	uint16_t ready = ring_split_offered(vq) - vq->state.last_avail_idx;

	if (unlikely(ready > vq->size)) {
		ring_split_report_broken(vq, ready);
		return 0;
	}
	return ready;
}

static inline uint16_t
ring_split_waiting(struct vhost_virtqueue *vq)
{
	return ring_split_available(vq);
}

static inline uint16_t
ring_split_unused(struct vhost_virtqueue *vq)
{
	return ring_split_offered(vq) - vq->state.last_used_idx;
}

/** Head of the i-th chain on offer; to be compared with the size of the ring. */
static __rte_always_inline uint16_t
ring_split_head(const struct vhost_virtqueue *vq, uint16_t i)
{
	uint16_t entry = (vq->state.last_avail_idx + i) & vq->mask;

	return *(const volatile uint16_t *)&vq->avail->ring[entry];
}

static __rte_always_inline bool
ring_split_first(const struct vhost_virtqueue *vq, uint16_t i, uint16_t *id,
		struct vring_desc *desc)
{
	*id = ring_split_head(vq, i);
	if (unlikely(*id >= vq->size))
		return false;
	*desc = ring_split_desc(ring_read_words(&vq->desc[*id]));
	return true;
}

static __rte_always_inline struct ring_run
ring_split_run(const struct vhost_virtqueue *vq, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		rte_prefetch0(&vq->desc[ring_split_head(vq, i) & vq->mask]);
	return (struct ring_run){ .n = n };
}

static __rte_always_inline bool
ring_split_run_first(const struct vhost_virtqueue *vq, const struct ring_run *run __rte_unused,
		uint16_t i, uint16_t *id, struct vring_desc *desc)
{
	return ring_split_first(vq, i, id, desc);
}

static __rte_always_inline void
ring_split_put(struct vhost_virtqueue *vq, uint16_t i, uint16_t id, uint32_t len)
{
	uint16_t entry = (vq->state.last_used_idx + i) & vq->mask;

	vq->used->ring[entry] = (struct vring_used_elem){ .id = id, .len = len };
}

static __rte_always_inline void
ring_split_run_put(struct vhost_virtqueue *vq, const struct ring_run *run __rte_unused,
		uint16_t i, uint16_t id, uint32_t len)
{
	ring_split_put(vq, i, id, len);
}

static __rte_always_inline bool
ring_split_offers(const struct vhost_virtqueue *vq __rte_unused, uint16_t place, uint16_t left)
{
	return place < left;
}

static __rte_always_inline int
ring_split_chain(const struct vhost_virtqueue *vq, uint16_t place, struct vq_chain *chain,
		struct vring_desc *first)
{
	chain->places = 1;
	return ring_split_first(vq, place, &chain->id, first) ? 0 : -ENOENT;
}

/** Descriptors of the ring, possibly ended by one that refers to an indirect table (2.7.5.3). */
static __rte_always_inline int
ring_split_gather(const struct vhost_virtqueue *vq, uint16_t place __rte_unused,
		struct vring_desc desc, struct vq_chain *chain __rte_unused, enum ring_use use,
		struct ring_memory *memory, unsigned int flags)
{
	struct ring_table table = { .host = (const uint8_t *)vq->desc, .entries = vq->size };
	bool in_ring = true;
	int ret, n = 0;

	for (unsigned int i = 0; i < VHOST_MAX_PIECES; i++) {
		uint16_t next = desc.next;
		struct ring_words words;

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (unlikely(!in_ring || (desc.flags & VRING_DESC_F_NEXT)))
				return -EINVAL;
			table = ring_indirect_table(vq, desc, flags);
			in_ring = false;
			next = 0;
		} else {
			n = ring_add_buffer(vq, desc, use, n, memory, flags);
			if (unlikely(n < 0) || !(desc.flags & VRING_DESC_F_NEXT))
				return n;
		}
		ret = ring_read_entry(vq, &table, next, &words, flags);
		if (unlikely(ret != 0))
			return ret;
		desc = ring_split_desc(words);
	}
	return -ELOOP;
}

/** Descriptors of the ring, or those of an indirect table. */
static __rte_always_inline unsigned int
ring_split_gather_plain(const struct vhost_virtqueue *vq, uint16_t place __rte_unused,
		struct vring_desc desc, struct vq_chain *chain __rte_unused, bool write,
		struct ring_memory *memory, unsigned int flags)
{
	struct ring_table table = { .host = (const uint8_t *)vq->desc, .entries = vq->size };
	unsigned int n = 0;

	if (desc.flags & VRING_DESC_F_INDIRECT) {
		table = ring_indirect_table(vq, desc, flags);
		if (unlikely((desc.flags & VRING_DESC_F_NEXT) || table.host == NULL ||
				table.entries == 0))
			return 0;
		desc = ring_split_desc(ring_read_words(table.host));
	}
	while (ring_add_plain(vq, desc, write, n++, memory, flags)) {
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return n;
		if (unlikely(desc.next >= table.entries || n == memory->room))
			return 0;
		desc = ring_split_desc(ring_read_words(table.host +
				desc.next * sizeof(struct ring_words)));
	}
	return 0;
}

static __rte_always_inline bool
ring_split_pair(const struct vhost_virtqueue *vq, uint16_t place, uint16_t left,
		uint32_t hdr_len, bool write, struct ring_pair *pair, struct vq_chain *chain,
		unsigned int flags)
{
	struct ring_table table = { .host = (const uint8_t *)vq->desc, .entries = vq->size };
	struct vring_desc desc;

	chain->places = 1;
	if (unlikely(place >= left || !ring_split_first(vq, place, &chain->id, &desc)))
		return false;
	if (desc.flags & VRING_DESC_F_INDIRECT) {
		table = ring_indirect_table(vq, desc, flags);
		if (unlikely((desc.flags & VRING_DESC_F_NEXT) || table.host == NULL ||
				table.entries == 0))
			return false;
		desc = ring_split_desc(ring_read_words(table.host));
	}
	if (unlikely(!(desc.flags & VRING_DESC_F_NEXT) || desc.next >= table.entries))
		return false;
	return ring_pair_memory(vq, desc, ring_split_desc(ring_read_words(table.host +
			desc.next * sizeof(struct ring_words))), hdr_len, write, pair, flags);
}

static __rte_always_inline void
ring_split_take(struct vhost_virtqueue *vq, uint16_t n)
{
	vq->state.last_avail_idx += n;
}

static __rte_always_inline void
ring_split_give(struct vhost_virtqueue *vq, uint16_t n)
{
	vq->state.last_used_idx += n;
	/* U1 pairs with the driver's load of used->idx before used entries, 2.7.14 */
	__atomic_store_n(&vq->used->idx, vq->state.last_used_idx, __ATOMIC_RELEASE);
}

/** Note what was written to give n chains back. */
static inline void
ring_split_log_given(struct vhost_virtqueue *vq, uint16_t from, uint16_t n)
{
	const size_t entry = sizeof(struct vring_used_elem);
	uint32_t first = from & vq->mask;
	uint32_t to_end = RTE_MIN((uint32_t)n, vq->size - first);

	vhost_ring_log_device_area(vq, offsetof(struct vring_used, ring) + first * entry,
			to_end * entry);
	vhost_ring_log_device_area(vq, offsetof(struct vring_used, ring), (n - to_end) * entry);
	vhost_ring_log_device_area(vq, offsetof(struct vring_used, idx), sizeof(vq->used->idx));
}

/** The index that was published last, by whoever served the ring. */
static inline uint16_t
ring_split_published(const struct vhost_virtqueue *vq)
{
	return __atomic_load_n(&vq->used->idx, __ATOMIC_RELAXED);
}

/** Whether the driver wants to hear of what was published up to there. */
static inline bool
ring_split_wants(struct vhost_virtqueue *vq, uint16_t published)
{
	uint16_t before = vq->state.signalled_used;
	bool valid = vq->state.signalled_used_valid;
	uint16_t event;

	/*
	 * N1 our store of used->idx, then our look at what the driver wants;
	 * pairs with its store of that, then its look at used->idx, 2.7.7.1
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

static inline bool
ring_split_should_notify(struct vhost_virtqueue *vq)
{
	return ring_split_wants(vq, vq->state.last_used_idx);
}

static inline bool
ring_split_should_call(struct vhost_virtqueue *vq)
{
	return ring_split_wants(vq, ring_split_published(vq));
}

/** Where to say for which available entry the driver shall kick, with event_idx. */
static __rte_always_inline uint16_t *
ring_split_avail_event(const struct vhost_virtqueue *vq)
{
	return (uint16_t *)&vq->used->ring[vq->size];
}

static inline void
ring_split_write_kick_request(struct vhost_virtqueue *vq, bool wanted)
{
	if (!vq->event_idx)
		__atomic_store_n(&vq->used->flags, wanted ? 0 : VRING_USED_F_NO_NOTIFY,
				__ATOMIC_RELAXED);
	else if (wanted)
		__atomic_store_n(ring_split_avail_event(vq), vq->state.last_avail_idx,
				__ATOMIC_RELAXED);
	/* K1 our request, then any look at avail->idx; pairs with 2.7.13.4.1 */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/** Note what was written to ask for kicks or for none. */
static inline void
ring_split_log_kick_request(struct vhost_virtqueue *vq)
{
	size_t offset = vq->event_idx ? offsetof(struct vring_used, ring) +
		vq->size * sizeof(struct vring_used_elem) : offsetof(struct vring_used, flags);

	vhost_ring_log_device_area(vq, offset, sizeof(uint16_t));
}

/** Whether it had to be written. */
static __rte_always_inline bool
ring_split_renew_kick_request(struct vhost_virtqueue *vq)
{
	if (likely(!vq->renews_kicks) ||
			*ring_split_avail_event(vq) == vq->state.last_avail_idx)
		return false;
	ring_split_write_kick_request(vq, true);
	return true;
}

static inline void
ring_split_monitor(const struct vhost_virtqueue *vq, struct rte_vhost_power_monitor_cond *cond)
{
	*cond = (struct rte_vhost_power_monitor_cond){
		.addr = &vq->avail->idx,
		.val = vq->state.last_avail_idx,
		.mask = UINT16_MAX,
		.size = sizeof(vq->avail->idx),
	};
}

static inline uint16_t
ring_split_start(void)
{
	return 0;
}

static inline bool
ring_split_is_place(const struct vhost_virtqueue *vq __rte_unused, uint16_t at __rte_unused)
{
	return true;
}

static inline enum ring_resumed
ring_split_resume(struct vhost_virtqueue *vq)
{
	uint16_t used = ring_split_published(vq);

	if (used == vq->state.last_used_idx)
		return RING_AS_TOLD;
	vq->state.last_used_idx = used;
	vq->state.last_avail_idx = used;
	return RING_ADOPTED;
}

/*
 * Relaying: hardware has the guest's descriptors and available entries, but used
 * entries go to a ring of its driver, from where they are copied.
 */

/**
 * What one relay may do to note what was written: so many descriptors are read, so many
 * bits of pages set.  Beyond that, all of the guest is noted at once instead: a hostile one
 * names the same memory in each descriptor, and the same descriptors in each chain.
 */
struct ring_relay_budget {
	uint64_t descs;
	uint64_t pages;
};

/** Far more than there are in all chains of a ring that is sane. */
#define RING_RELAY_DESCS (1u << 20)

/** The budget is used up. */
static inline void
ring_split_log_all(struct vhost_virtqueue *vq, struct ring_relay_budget *budget)
{
	vhost_mem_log_mark(&vq->net->log, 0, UINT64_MAX);
	budget->descs = 0;
}

/** Note memory by the driver's addresses; what is not known any more may be anywhere. */
static inline void
ring_split_log_iovas(struct vhost_virtqueue *vq, struct vring_desc desc,
		struct ring_relay_budget *budget, unsigned int flags)
{
	while (desc.len > 0) {
		uint64_t len = desc.len;
		const uint8_t *base = ring_piece(vq, desc.addr, true, &len, flags);

		if (base == NULL) {
			ring_split_log_all(vq, budget);
			return;
		}
		vhost_ring_log_data(vq, base, len);
		desc.addr += len;
		desc.len -= len;
	}
}

/** Note memory that hardware may have written to. */
static inline void
ring_split_log_written(struct vhost_virtqueue *vq, struct vring_desc desc,
		struct ring_relay_budget *budget, unsigned int flags)
{
	uint64_t pages = desc.len / MEM_LOG_PAGE + 2;

	if (pages > budget->pages) {
		ring_split_log_all(vq, budget);
		return;
	}
	budget->pages -= pages;
	if (flags & VQ_IOVA)
		ring_split_log_iovas(vq, desc, budget, flags);
	else
		vhost_mem_log_note(&vq->net->log, vq->log, desc.addr, desc.len);
}

/** Of a chain that was given to hardware note what was to be written. */
static inline void
ring_split_log_chain(struct vhost_virtqueue *vq, uint16_t id, struct ring_relay_budget *budget,
		unsigned int flags)
{
	struct ring_table table = { .host = (const uint8_t *)vq->desc, .entries = vq->size };
	bool in_ring = true;
	uint32_t next = id;

	while (budget->descs > 0) {
		struct ring_words words;
		struct vring_desc desc;

		if (--budget->descs == 0) {
			ring_split_log_all(vq, budget);
			return;
		}
		if (ring_read_entry(vq, &table, next, &words, flags) != 0)
			return;
		desc = ring_split_desc(words);
		next = desc.next;
		if (in_ring && (desc.flags & VRING_DESC_F_INDIRECT)) {
			table = ring_indirect_table(vq, desc, flags);
			in_ring = false;
			next = 0;
			continue;
		}
		if (desc.flags & VRING_DESC_F_WRITE)
			ring_split_log_written(vq, desc, budget, flags);
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return;
	}
}

/** Put down what hardware has used since the last time: how many, or -1. */
static inline int
ring_split_relay(struct vhost_virtqueue *vq, const struct vring *from, unsigned int flags)
{
	struct ring_relay_budget budget = { RING_RELAY_DESCS, vq->net->log.pages };
	uint16_t published = ring_split_published(vq);
	uint16_t n;

	if (from->used == NULL || from->num != vq->size)
		return -1;
	/* R1 pairs with the hardware's store of used->idx after its entries, 2.7.14 */
	n = __atomic_load_n(&from->used->idx, __ATOMIC_ACQUIRE) - published;
	if (n > vq->size)
		return -1;
	vq->state.last_used_idx = published;
	for (uint16_t i = 0; i < n; i++) {
		struct vring_used_elem elem = from->used->ring[(published + i) & vq->mask];

		if (elem.id >= vq->size)
			return -1;
		ring_split_put(vq, i, elem.id, elem.len);
		if (flags & VQ_LOG)
			ring_split_log_chain(vq, elem.id, &budget, flags);
	}
	return n;
}

/**
 * Hand on what the hardware wants of the guest, whether to be kicked, and ask it for an
 * interrupt when it uses more than was given.
 */
static inline void
ring_split_relayed(struct vhost_virtqueue *vq, struct vring *from, unsigned int flags)
{
	const size_t event_at = offsetof(struct vring_used, ring) +
		vq->size * sizeof(struct vring_used_elem);
	uint16_t wanted = __atomic_load_n(&from->used->flags, __ATOMIC_RELAXED);

	__atomic_store_n(&vq->used->flags, wanted, __ATOMIC_RELAXED);
	if (flags & VQ_LOG)
		vhost_ring_log_device_area(vq, offsetof(struct vring_used, flags), sizeof(wanted));
	if (!vq->event_idx)
		return;
	__atomic_store_n(ring_split_avail_event(vq), vring_avail_event(from), __ATOMIC_RELAXED);
	if (flags & VQ_LOG)
		vhost_ring_log_device_area(vq, event_at, sizeof(uint16_t));
	if (from->avail != NULL)
		vring_used_event(from) = vq->state.last_used_idx;
}

#endif /* VHOST_RING_SPLIT_H */
