/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>

#include <rte_common.h>

#include "mem_guard.h"
#include "mem_iotlb.h"
#include "mem_map.h"
#include "ring_window.h"
#include "vhost_log.h"

/** Mappings that the windows of a device take: a process has a limited number of them. */
#define PIECES_MAX 1024

struct window {
	LIST_ENTRY(window) next;
	struct mem_map *map;	/**< one reference: the pieces are its memory */
	uint8_t *start;
	size_t bytes;
	int guard;
	bool kept;
	unsigned int n;
	struct window_piece pieces[];
};

struct ring_windows {
	LIST_HEAD(, window) list;
	unsigned int npieces;	/**< of all windows */
	bool told;		/**< that a ring found none */
};

struct ring_windows *
vhost_ring_windows_create(void)
{
	return calloc(1, sizeof(struct ring_windows));
}

/** Bytes of a piece's first page that are before it. */
static size_t
before(const struct window_piece *piece)
{
	return (uintptr_t)piece->host % MEM_IOTLB_PAGE;
}

/** Bytes of whole pages that a piece is in. */
static size_t
page_bytes(const struct window_piece *piece)
{
	return RTE_ALIGN_CEIL(before(piece) + piece->len, MEM_IOTLB_PAGE);
}

/** Whether pages of a piece can be mapped again: a huge page only as a whole. */
static bool
is_fit(const struct mem_map *map, const struct window_piece *piece)
{
	const struct mem_region *region = vhost_mem_map_region(map, piece->host, piece->len);

	return region != NULL && region->page_size == MEM_IOTLB_PAGE && !region->hugetlb &&
		!region->domain;
}

/** Whether pieces can be neighbours: each goes on where a page begins. */
static bool
are_fit(const struct mem_map *map, const struct window_piece *pieces, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (!is_fit(map, &pieces[i]) || (i > 0 && before(&pieces[i]) != 0) ||
				(i + 1 < n && (uintptr_t)(pieces[i].host + pieces[i].len) %
				MEM_IOTLB_PAGE != 0))
			return false;
	return true;
}

/** Map the pieces' pages again, in place of addresses that are ours. */
static bool
map_pieces(uint8_t *at, const struct window_piece *pieces, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const size_t bytes = page_bytes(&pieces[i]);

		/* nothing is moved of a shared mapping whose old size is said to be 0 */
		if (mremap(pieces[i].host - before(&pieces[i]), 0, bytes,
				MREMAP_MAYMOVE | MREMAP_FIXED, at) != at)
			return false;
		at += bytes;
	}
	return true;
}

/** Map and guard; the window's pieces and size are set. */
static bool
open_window(struct window *window)
{
	struct mem_mapping *first = vhost_mem_map_region(window->map, window->pieces[0].host,
		1)->mapping;

	window->start = mmap(NULL, window->bytes, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (window->start == MAP_FAILED)
		return false;
	if (map_pieces(window->start, window->pieces, window->n)) {
		window->guard = vhost_mem_mapping_guard(first, window->start, window->bytes,
			MEM_IOTLB_PAGE);
		if (window->guard >= 0)
			return true;
	}
	munmap(window->start, window->bytes);
	return false;
}

static struct window *
create(struct mem_map *map, const struct window_piece *pieces, unsigned int n)
{
	struct window *window = calloc(1, sizeof(*window) + n * sizeof(pieces[0]));

	if (window == NULL)
		return NULL;
	window->map = vhost_mem_map_get(map);
	window->n = n;
	memcpy(window->pieces, pieces, n * sizeof(pieces[0]));
	for (unsigned int i = 0; i < n; i++)
		window->bytes += page_bytes(&pieces[i]);
	if (open_window(window))
		return window;
	vhost_mem_map_put(window->map);
	free(window);
	return NULL;
}

static void
destroy(struct ring_windows *windows, struct window *window)
{
	LIST_REMOVE(window, next);
	windows->npieces -= window->n;
	vhost_mem_guard_remove(window->guard);
	munmap(window->start, window->bytes);
	vhost_mem_map_put(window->map);
	free(window);
}

static struct window *
find(const struct ring_windows *windows, const struct mem_map *map,
		const struct window_piece *pieces, unsigned int n)
{
	struct window *window;
	unsigned int i;

	LIST_FOREACH(window, &windows->list, next) {
		if (window->map != map || window->n != n)
			continue;
		for (i = 0; i < n && window->pieces[i].host == pieces[i].host &&
				window->pieces[i].len == pieces[i].len; i++)
			;
		if (i == n)
			return window;
	}
	return NULL;
}

/** Whoever waits for such a ring has to know why. */
static void
tell(struct ring_windows *windows)
{
	if (!windows->told)
		VHOST_LOG_CONFIG(ERR, "a ring behind an IOMMU is in pages of guest memory that are "
			"apart and cannot be mapped side by side (huge pages?): it is not served\n");
	windows->told = true;
}

uint8_t *
vhost_ring_window(struct ring_windows *windows, struct mem_map *map,
		const struct window_piece *pieces, unsigned int n)
{
	struct window *window = find(windows, map, pieces, n);

	if (window == NULL && n <= PIECES_MAX - windows->npieces && are_fit(map, pieces, n)) {
		window = create(map, pieces, n);
		if (window != NULL) {
			LIST_INSERT_HEAD(&windows->list, window, next);
			windows->npieces += n;
		}
	}
	if (window != NULL)
		return window->start + before(&pieces[0]);
	tell(windows);
	return NULL;
}

void
vhost_ring_windows_keep(struct ring_windows *windows, const void *host)
{
	struct window *window;

	LIST_FOREACH(window, &windows->list, next)
		window->kept |= (const uint8_t *)host >= window->start &&
			(const uint8_t *)host < window->start + window->bytes;
}

void
vhost_ring_windows_sweep(struct ring_windows *windows)
{
	struct window *window, *next;

	for (window = LIST_FIRST(&windows->list); window != NULL; window = next) {
		next = LIST_NEXT(window, next);
		if (!window->kept)
			destroy(windows, window);
		else
			window->kept = false;
	}
}

void
vhost_ring_windows_destroy(struct ring_windows *windows)
{
	if (windows == NULL)
		return;
	vhost_ring_windows_sweep(windows);
	free(windows);
}
