/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Bits are set by whole words, as the frontend takes them away.  A word at the end
 * of the log may reach beyond it, within the same page: no bit is set there.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#include "mem_file.h"
#include "mem_log.h"
#include "vhost_log.h"

/** Pages of a word. */
#define WORD_PAGES 64

struct mem_log {
	unsigned int refcnt;	/**< control thread only */
	struct mem_mapping *mapping;
	struct mem_log_view view;
};

/* Mapping it */

/** What is wrong with a log, or NULL. */
static const char *
log_fault(uint64_t size, uint64_t offset)
{
	if (size == 0)
		return "is empty";
	if (offset + size < size)
		return "wraps in its file";
	if (offset % sizeof(uint64_t) != 0)
		return "is not aligned";
	return NULL;
}

static int
check_log(const struct mem_owner *owner, uint64_t size, uint64_t offset, int fd, struct mem_file *file)
{
	const char *fault = log_fault(size, offset);
	int ret;

	if (fault == NULL) {
		ret = vhost_mem_file_check(owner, "dirty log", fd, file);
		if (ret < 0)
			return ret;
		if (offset + size > file->size)
			fault = "ends beyond its file";
	}
	if (fault == NULL)
		return 0;
	VHOST_LOG_CONFIG(ERR, "(%s) dirty log %s (size 0x%" PRIx64 ", offset 0x%" PRIx64 ")\n",
		owner->name, fault, size, offset);
	return -EINVAL;
}

int
vhost_mem_log_create(const struct mem_owner *owner, uint64_t size, uint64_t offset, int fd,
		struct mem_log **out)
{
	struct mem_file file;
	struct mem_log *log;
	int ret = check_log(owner, size, offset, fd, &file);

	if (ret < 0)
		return ret;
	log = calloc(1, sizeof(*log));
	if (log == NULL)
		return -ENOMEM;
	ret = vhost_mem_mapping_create(owner, fd, RTE_ALIGN_CEIL(offset + size, file.page_size),
		file.page_size, &log->mapping);
	if (ret < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) cannot map the dirty log of 0x%" PRIx64 " bytes: %s\n",
			owner->name, size, strerror(-ret));
		free(log);
		return ret;
	}
	log->refcnt = 1;
	log->view = (struct mem_log_view){
		.words = (uint64_t *)(vhost_mem_mapping_addr(log->mapping) + offset),
		.pages = size > UINT64_MAX / 8 ? UINT64_MAX : size * 8,
	};
	*out = log;
	return 0;
}

void
vhost_mem_log_get(struct mem_log *log)
{
	log->refcnt++;
}

void
vhost_mem_log_put(struct mem_log *log)
{
	if (log == NULL || --log->refcnt > 0)
		return;
	vhost_mem_mapping_put(log->mapping);
	free(log);
}

bool
vhost_mem_log_is_broken(const struct mem_log *log)
{
	return vhost_mem_mapping_is_broken(log->mapping);
}

struct mem_log_view
vhost_mem_log_view(const struct mem_log *log)
{
	return log != NULL ? log->view : (struct mem_log_view){ NULL, 0 };
}

/* Setting bits */

/** Pages that were written, first to last, until they are taken one word at a time. */
struct written {
	uint64_t page;
	uint64_t last;
	bool any;
};

static struct written
pages_written(const struct mem_log_view *view, uint64_t gpa, uint64_t len)
{
	uint64_t end = len - 1 > UINT64_MAX - gpa ? UINT64_MAX : gpa + (len - 1);
	uint64_t page = gpa / MEM_LOG_PAGE;

	if (len == 0 || page >= view->pages)
		return (struct written){ .any = false };
	return (struct written){ page, RTE_MIN(end / MEM_LOG_PAGE, view->pages - 1), true };
}

/** Take the pages that are in the same word as the first: their bits. */
static uint64_t
take_word(struct written *w, uint64_t *word)
{
	unsigned int from = w->page % WORD_PAGES;
	uint64_t n = RTE_MIN(w->last - w->page + 1, (uint64_t)(WORD_PAGES - from));

	*word = w->page / WORD_PAGES;
	w->any = w->page + n <= w->last;
	w->page += n;
	return UINT64_MAX >> (WORD_PAGES - n) << from;
}

static void
set_bits(const struct mem_log_view *view, uint64_t word, uint64_t bits)
{
	/* L1 pairs with the frontend's exchange of the word before it reads the pages */
	__atomic_fetch_or(&view->words[word], rte_cpu_to_le_64(bits), __ATOMIC_RELEASE);
}

void
vhost_mem_log_mark(const struct mem_log_view *view, uint64_t gpa, uint64_t len)
{
	struct written w = pages_written(view, gpa, len);
	uint64_t word, bits;

	while (w.any) {
		bits = take_word(&w, &word);
		set_bits(view, word, bits);
	}
}

/** Bits of that word in the cache, at first none. */
static uint64_t *
cached_bits(const struct mem_log_view *view, struct mem_log_cache *cache, uint64_t word)
{
	/* most likely the one before */
	for (unsigned int i = cache->n; i-- > 0; )
		if (cache->entries[i].word == word)
			return &cache->entries[i].bits;
	if (cache->n == RTE_DIM(cache->entries))
		vhost_mem_log_flush(view, cache);
	cache->entries[cache->n].word = word;
	cache->entries[cache->n].bits = 0;
	return &cache->entries[cache->n++].bits;
}

void
vhost_mem_log_note(const struct mem_log_view *view, struct mem_log_cache *cache,
		uint64_t gpa, uint64_t len)
{
	struct written w = pages_written(view, gpa, len);
	uint64_t word, bits;

	while (w.any) {
		bits = take_word(&w, &word);
		*cached_bits(view, cache, word) |= bits;
	}
}

void
vhost_mem_log_flush(const struct mem_log_view *view, struct mem_log_cache *cache)
{
	for (unsigned int i = 0; i < cache->n; i++)
		set_bits(view, cache->entries[i].word, cache->entries[i].bits);
	cache->n = 0;
}
