/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What the library has taken and not given back: blocks of the C library's heap, and
 * mappings.  Of a mapping that is cut the pieces are kept, whoever cut it.
 *
 * Two plain arrays: there are some hundred things at most.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault_books.h"
#include "fault_wrap.h"

#define THINGS_MAX 8192

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fault_thing things[THINGS_MAX];
static unsigned int nthings;

void
books_lock(void)
{
	pthread_mutex_lock(&lock);
}

void
books_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

static void
add(struct fault_thing thing)
{
	if (nthings == THINGS_MAX) {
		printf("faults: the books are full\n");
		abort();
	}
	things[nthings++] = thing;
}

/* ---- the heap ---- */

void *
books_heap_add(void *at, size_t size, void *from)
{
	if (at == NULL)
		return NULL;
	books_lock();
	add((struct fault_thing){ FAULT_HEAP, (uintptr_t)at, size, from, false });
	books_unlock();
	return at;
}

void
books_heap_remove(uintptr_t at)
{
	books_lock();
	for (unsigned int i = 0; i < nthings; i++)
		if (things[i].kind == FAULT_HEAP && things[i].at == at) {
			things[i] = things[--nthings];
			break;
		}
	books_unlock();
}

/* ---- mappings ---- */

/** Take [from, to) out of a mapping: what is left behind it becomes another one. */
static void
cut(struct fault_thing *m, uintptr_t from, uintptr_t to)
{
	struct fault_thing behind = *m;
	uintptr_t end = m->at + m->size;

	behind.at = to;
	behind.size = end > to ? end - to : 0;
	m->size = from > m->at ? from - m->at : 0;
	if (behind.size > 0)
		add(behind);
}

void
books_map_remove(void *at, size_t len)
{
	uintptr_t from = (uintptr_t)at, to = (from + len + 4095) & ~4095UL;

	for (unsigned int i = 0; i < nthings;) {
		struct fault_thing *m = &things[i];

		if (m->kind == FAULT_MAPPING && m->at < to && from < m->at + m->size)
			cut(m, from, to);
		if (m->kind == FAULT_MAPPING && m->size == 0)
			*m = things[--nthings];
		else
			i++;
	}
}

void
books_map_add(void *at, size_t len, bool shared, void *from)
{
	books_map_remove(at, len);
	add((struct fault_thing){ FAULT_MAPPING, (uintptr_t)at, (len + 4095) & ~4095UL, from,
		shared });
}

bool
fault_is_shared(const void *at)
{
	bool found = false;

	books_lock();
	for (unsigned int i = 0; i < nthings && !found; i++)
		found = things[i].shared && (uintptr_t)at - things[i].at < things[i].size;
	books_unlock();
	return found;
}

static int
by_origin(const void *a, const void *b)
{
	const struct fault_thing *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->from != y->from)
		return (uintptr_t)x->from < (uintptr_t)y->from ? -1 : 1;
	return x->size < y->size ? -1 : x->size > y->size;
}

unsigned int
fault_things(struct fault_thing *copy, unsigned int max)
{
	unsigned int n;

	books_lock();
	for (n = 0; n < nthings && n < max; n++)
		copy[n] = things[n];
	books_unlock();
	qsort(copy, n, sizeof(copy[0]), by_origin);
	return n;
}
