/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* The linker leads here (--wrap) what the program's own objects call by the name of calloc(). */

#include <stddef.h>

#include "vhost_test_calloc.h"

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static __thread struct {
	unsigned int nth;	/**< calls until the one that is waited for; 0: none is */
	bool (*meet)(void *arg);
	void *arg;
	bool met;
} waited;

void
calloc_meet(unsigned int nth, bool (*meet)(void *arg), void *arg)
{
	waited.nth = nth;
	waited.meet = meet;
	waited.arg = arg;
	waited.met = false;
}

static bool
there_is_none(void *arg)
{
	(void)arg;
	return false;
}

void
calloc_refuse(unsigned int nth)
{
	calloc_meet(nth, there_is_none, NULL);
}

bool
calloc_end(void)
{
	waited.nth = 0;
	return waited.met;
}

void *
__wrap_calloc(size_t n, size_t size)
{
	if (waited.nth == 0 || --waited.nth > 0)
		return __real_calloc(n, size);
	waited.met = true;
	return waited.meet(waited.arg) ? __real_calloc(n, size) : NULL;
}
