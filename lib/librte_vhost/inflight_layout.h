/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_INFLIGHT_LAYOUT_H
#define VHOST_INFLIGHT_LAYOUT_H

/*
 * A ring's region of the in-flight area, as both sides read and write it: for who
 * records there (inflight_record.c) and who recovers (inflight_recover.c).
 *
 * Nothing in a region is trusted: what is read is read once, into a local, and an
 * index is used only after it was found to be inside.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "rte_vhost.h"

/* Memory that both sides write: one load or store each, and in this order. */
#define shared_load(from) __atomic_load_n(from, __ATOMIC_RELAXED)
#define shared_store(to, value) __atomic_store_n(to, value, __ATOMIC_RELEASE)

/** Wrap counter in a place of a packed ring, see rte_vhost_get_vring_base(). */
#define PLACE_WRAP 0x8000

/**
 * Where used entries of a packed ring go on, and where they did before the update
 * that may be going on.  They change in one store: an index with the wrap counter
 * of another is a place that may look as if nothing had been written there.
 */
union used_places {
	struct {
		uint16_t idx;
		uint16_t old_idx;
		uint8_t wrap;
		uint8_t old_wrap;
		uint8_t padding[2];
	};
	uint64_t word;
};

typedef uint64_t __attribute__((__may_alias__)) used_word;

static_assert(offsetof(struct rte_vhost_inflight_info_packed, used_idx) % sizeof(used_word) == 0 &&
	offsetof(struct rte_vhost_inflight_info_packed, old_used_wrap_counter) ==
	offsetof(struct rte_vhost_inflight_info_packed, used_idx) +
	offsetof(union used_places, old_wrap), "they are a word in the region as well");

static inline union used_places
load_used(const struct rte_vhost_inflight_info_packed *info)
{
	return (union used_places){
		.word = shared_load((const used_word *)&info->used_idx),
	};
}

static inline void
store_used(struct rte_vhost_inflight_info_packed *info, union used_places used)
{
	shared_store((used_word *)&info->used_idx, used.word);
}

/** As rte_vhost_get_vring_base() tells places. */
static inline uint16_t
packed_place(uint16_t index, uint8_t wrap)
{
	return (index & ~PLACE_WRAP) | (wrap & 1 ? PLACE_WRAP : 0);
}

#endif /* VHOST_INFLIGHT_LAYOUT_H */
