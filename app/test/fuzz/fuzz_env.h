/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef FUZZ_ENV_H
#define FUZZ_ENV_H

/*
 * What both fuzzers stand on: the input, DPDK's environment, a NUMA machine of
 * the input's own, the event loop on the fuzzer's thread, and the books.
 *
 * An input is the whole story: nothing depends on time, other threads, or what
 * an earlier input left behind.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>

struct rte_mempool;
struct vhost_driver;

/** End the program, which is how a fuzzer reports a finding. */
#define FUZZ_CHECK(holds, ...) do { \
	if (unlikely(!(holds))) { \
		fprintf(stderr, "%s:%d: %s: ", __func__, __LINE__, #holds); \
		fprintf(stderr, __VA_ARGS__); \
		fputc('\n', stderr); \
		abort(); \
	} \
} while (0)

/* ---- the input ---- */

/** What is left of an input; behind its end there are zeros. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

/** Copy bytes out of the input. */
void fuzz_take(struct fuzz_input *in, void *to, size_t len);

uint8_t fuzz_u8(struct fuzz_input *in);
uint16_t fuzz_u16(struct fuzz_input *in);
uint32_t fuzz_u32(struct fuzz_input *in);
uint64_t fuzz_u64(struct fuzz_input *in);

/** A number below n, from one byte, or two if that is not enough. */
uint32_t fuzz_below(struct fuzz_input *in, uint32_t n);

/* ---- surroundings ---- */

/** Start EAL, take over nodes and logging, make the pools.  Once per process. */
void fuzz_start(void);

/** A machine with this memory layout, and no node full; see fuzz_env.c. */
void fuzz_nodes_reset(uint8_t layout);
void fuzz_nodes_layout(uint8_t layout);

/** Refuse count allocations after the next few. */
void fuzz_nodes_refuse(unsigned int after, unsigned int count);

/** Have these nodes, a bit for each, refuse all allocations. */
void fuzz_nodes_full(uint8_t nodes);

/** Serve the library's event sources that have something to say. */
void fuzz_events_serve(void);

/** Sessions that the fuzzers' cryptodev has, see fuzz_cryptodev.c. */
unsigned int fuzz_cryptodev_sessions(void);

/* ---- mbufs ---- */

enum fuzz_pool {
	FUZZ_POOL_LARGE,	/**< as applications have it */
	FUZZ_POOL_SMALL,	/**< packets need chains */
	FUZZ_POOL_SCARCE,	/**< runs empty */
	FUZZ_POOL_PINNED,	/**< with buffers of its own that stay */
	FUZZ_POOLS
};

struct rte_mempool *fuzz_pool(enum fuzz_pool which);

/** Called whenever an mbuf is taken from a pool, and at each call of what is wrapped. */
extern void (*fuzz_hook)(void);

/* ---- the books ---- */

/** Create a file for guest memory; fuzz_file_close() proves that nobody maps it. */
int fuzz_file_create(uint64_t size);
void fuzz_file_close(int fd);

/** Give a registration its quota and pool; the end proves that nothing is taken from them. */
void fuzz_account_open(struct vhost_driver *driver);
void fuzz_account_close(struct vhost_driver *driver);

/** Remember what there is before a device, and prove that the same is left after it. */
void fuzz_books_open(void);
void fuzz_books_close(void);

#endif /* FUZZ_ENV_H */
