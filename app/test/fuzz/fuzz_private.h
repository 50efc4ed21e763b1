/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef FUZZ_PRIVATE_H
#define FUZZ_PRIVATE_H

/* Between the files of the fuzzers' environment. */

/* fuzz_pool.c */
void fuzz_pools_create(void);

/** Every mbuf is in its pool. */
void fuzz_pools_check(void);

/* fuzz_wrap.c */
void fuzz_events_start(void);

#endif /* FUZZ_PRIVATE_H */
