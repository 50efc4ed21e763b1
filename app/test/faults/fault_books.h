/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef FAULT_BOOKS_H
#define FAULT_BOOKS_H

/* The books behind fault_things(); for fault_wrap.c. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Returns what it was given; NULL is allowed. */
void *books_heap_add(void *at, size_t size, void *from);
/** What is not in the books was the C library's: left alone. */
void books_heap_remove(uintptr_t at);

/** Around a change of the address space and of what is written of it. */
void books_lock(void);
void books_unlock(void);

/** Lock held: a mapping, in place of what was there. */
void books_map_add(void *at, size_t len, bool shared, void *from);
/** Lock held. */
void books_map_remove(void *at, size_t len);

#endif /* FAULT_BOOKS_H */
