/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_SANITIZER_H
#define VHOST_MEM_SANITIZER_H

/*
 * What AddressSanitizer has to be told of memory that does not come from malloc(), and
 * ThreadSanitizer of what is no race.  Without them these cost nothing.
 */

#include <rte_common.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VHOST_SANITIZE_ADDRESS
#endif
#if __has_feature(thread_sanitizer)
#define VHOST_SANITIZE_THREAD
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define VHOST_SANITIZE_ADDRESS
#endif

#ifdef VHOST_SANITIZE_ADDRESS
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>

/** A block that was given back may not be touched. */
#define MEM_POISON(at, len) ASAN_POISON_MEMORY_REGION(at, len)
#define MEM_UNPOISON(at, len) ASAN_UNPOISON_MEMORY_REGION(at, len)
/** What is pointed to from here has not leaked. */
#define MEM_HOLDS_POINTERS(at, len) __lsan_register_root_region(at, len)
#define MEM_HOLDS_NO_POINTERS(at, len) __lsan_unregister_root_region(at, len)
#else
#define MEM_POISON(at, len) RTE_SET_USED(at)
#define MEM_UNPOISON(at, len) RTE_SET_USED(at)
#define MEM_HOLDS_POINTERS(at, len) RTE_SET_USED(at)
#define MEM_HOLDS_NO_POINTERS(at, len) RTE_SET_USED(at)
#endif

#ifdef VHOST_SANITIZE_THREAD
/** Of a function that writes what is there already: who reads meanwhile reads the same. */
#define MEM_WRITES_THE_SAME __attribute__((disable_sanitizer_instrumentation))
#else
#define MEM_WRITES_THE_SAME
#endif

#endif /* VHOST_MEM_SANITIZER_H */
