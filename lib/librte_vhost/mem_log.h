/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_LOG_H
#define VHOST_MEM_LOG_H

/*
 * The log of written pages, for live migration (vhost-user, "Migration"): memory
 * of the frontend with one bit for each page of 4096 bytes of guest addresses.
 * We set bits, the frontend takes them away.
 *
 * A log is immutable once mapped, and counted.  Who writes to the guest has a
 * view of it, which lasts as long as something holds a reference.
 *
 * A bit is set after the page was written: the frontend takes it away before it
 * reads the page.
 */

#include <stdbool.h>
#include <stdint.h>

#define MEM_LOG_PAGE 4096

struct mem_owner;

/** The log as mapped. */
struct mem_log;

/** Where the bits are; all zero: nowhere, and nothing is logged. */
struct mem_log_view {
	uint64_t *words;
	uint64_t pages;		/**< that have a bit */
};

/** Bits on their way to the log: those of neighbouring pages go there at once. */
struct mem_log_cache {
	unsigned int n;
	struct {
		uint64_t word;
		uint64_t bits;
	} entries[32];
};

/**
 * Map what a frontend hands over: size bytes at an offset of the file.  Refused,
 * with a line in the log file, is what wraps, is empty, is beyond the end of the
 * file, or is not aligned so that bits can be set atomically.
 *
 * @param fd    still the caller's
 * @param[out] out  one reference, the caller's
 * @return 0 or a negative errno; nothing stays mapped after an error
 */
int vhost_mem_log_create(const struct mem_owner *owner, uint64_t size, uint64_t offset, int fd,
		struct mem_log **out);

/** Control thread only, as vhost_mem_log_put(). */
void vhost_mem_log_get(struct mem_log *log);

/** Drop a reference; the last one unmaps.  NULL is allowed. */
void vhost_mem_log_put(struct mem_log *log);

/** Whether the file was truncated: the device has to go. */
bool vhost_mem_log_is_broken(const struct mem_log *log);

/** NULL is allowed: nothing is logged then. */
struct mem_log_view vhost_mem_log_view(const struct mem_log *log);

/** Bytes of the log. */
static inline uint64_t
mem_log_bytes(const struct mem_log_view *view)
{
	return view->pages / 8;
}

/** Guest memory was written; pages that have no bit are ignored. */
void vhost_mem_log_mark(const struct mem_log_view *view, uint64_t gpa, uint64_t len);

/** Likewise, by and by: it is in the log after the next vhost_mem_log_flush(). */
void vhost_mem_log_note(const struct mem_log_view *view, struct mem_log_cache *cache,
		uint64_t gpa, uint64_t len);

void vhost_mem_log_flush(const struct mem_log_view *view, struct mem_log_cache *cache);

#endif /* VHOST_MEM_LOG_H */
