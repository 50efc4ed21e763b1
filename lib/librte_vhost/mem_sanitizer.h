/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_SANITIZER_H
#define VHOST_MEM_SANITIZER_H

/*
 * What AddressSanitizer has to be told of memory that does not come from malloc().
 * Without it these cost nothing.
 */

#include <rte_common.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VHOST_SANITIZE_ADDRESS
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

#endif /* VHOST_MEM_SANITIZER_H */
