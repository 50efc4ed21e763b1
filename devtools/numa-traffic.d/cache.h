/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A core's private cache: 2 MiB, 16 ways, lines of 64 bytes, the line that was
 * used longest ago goes first.  Whole lines are all it knows: there is no data
 * in it, and no difference between reading and writing.
 *
 * One thread looks up; any thread may drop lines (another core's store).  A way
 * is one word that is stored as a whole, so both go without a lock: a drop that
 * meets a look-up of the same line takes place just before or just after it.
 */

#ifndef _CACHE_H_
#define _CACHE_H_

#include <stdbool.h>
#include <stdint.h>

#define CACHE_LINE_BITS 6
#define CACHE_WAYS 16
#define CACHE_SETS 2048

struct cache {
	uint64_t line[CACHE_SETS][CACHE_WAYS];	/**< number of the line + 1; 0: free */
	uint64_t used[CACHE_SETS][CACHE_WAYS];	/**< when, in look-ups */
	uint64_t now;				/**< look-ups so far */
};

/** Look a line up; a line that is not there is brought in.  True if it was. */
static inline bool
cache_access(struct cache *cache, uint64_t line)
{
	uint64_t *ways = cache->line[line % CACHE_SETS];
	uint64_t *used = cache->used[line % CACHE_SETS];
	unsigned int way, oldest = 0;

	cache->now++;
	for (way = 0; way < CACHE_WAYS; way++) {
		uint64_t held = __atomic_load_n(&ways[way], __ATOMIC_RELAXED);

		if (held == line + 1) {
			used[way] = cache->now;
			return true;
		}
		if (held == 0)
			used[way] = 0;
		if (used[way] < used[oldest])
			oldest = way;
	}
	used[oldest] = cache->now;
	__atomic_store_n(&ways[oldest], line + 1, __ATOMIC_RELAXED);
	return false;
}

/** Another core has written to a line. */
static inline void
cache_drop(struct cache *cache, uint64_t line)
{
	uint64_t *ways = cache->line[line % CACHE_SETS];
	unsigned int way;

	for (way = 0; way < CACHE_WAYS; way++) {
		uint64_t held = line + 1;

		if (__atomic_load_n(&ways[way], __ATOMIC_RELAXED) == held)
			__atomic_compare_exchange_n(&ways[way], &held, 0, false,
				__ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
}

#endif /* _CACHE_H_ */
