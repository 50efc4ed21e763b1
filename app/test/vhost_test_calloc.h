/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_TEST_CALLOC_H
#define VHOST_TEST_CALLOC_H

/*
 * One calloc() of the library, or of a test, is waited for: in its place something happens,
 * and there may be no memory.  Only this thread's calls count.  That the library says so and
 * leaves nothing behind, for each of its calls, is the business of faults/.
 */

#include <stdbool.h>

/**
 * Before the nth calloc() from now (1: the next one), once.
 *
 * @param meet
 *   Whether there is memory; what it allocates itself does not count.
 */
void calloc_meet(unsigned int nth, bool (*meet)(void *arg), void *arg);

/** The nth calloc() from now fails, once. */
void calloc_refuse(unsigned int nth);

/** Nothing is waited for any more: whether it has happened. */
bool calloc_end(void);

#endif /* VHOST_TEST_CALLOC_H */
