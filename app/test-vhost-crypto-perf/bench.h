/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef CRYPTO_BENCH_H
#define CRYPTO_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_crypto.h>

#include "frontend.h"

#define BURST 32
/** Requests that the guest has prepared; as many as its ring has descriptors. */
#define REQUESTS 64

/** One case that is measured. */
struct cell {
	bool zero_copy;
	bool chain;		/**< AES-CBC and HMAC-SHA1, else the cipher alone */
	uint32_t size;		/**< bytes of data */
};

/* The application (backend.c) */

/** Configure a cryptodev and register a socket: its path, or NULL. */
const char *backend_open(const char *cryptodev);
void backend_close(void);
/** What new_device does with the next guest. */
void backend_prepare(const struct cell *cell);
/** Wait for a device: its vid, or -1. */
int backend_wait_ready(void);
bool backend_wait_gone(void);

/** Cycles of one burst of requests. */
struct burst_cycles {
	uint64_t all;		/**< from the ring through the cryptodev and back */
	uint64_t library;	/**< of those in fetch and finalize */
};

/** Serve n requests that are in the ring; false if they do not all come through. */
bool backend_serve(int vid, uint16_t n, struct burst_cycles *cycles);

/** The file that rte_vhost_crypto_fetch_requests() is from. */
const char *backend_library(void);

/* The guest (guest.c) */

struct crypto_guest {
	struct guest guest;
	struct chain chains[REQUESTS];
	uint8_t *status[REQUESTS];
	uint8_t *data[REQUESTS];	/**< where results go */
	uint16_t next;
};

/** Connect a guest and open its session: 0 or -1. */
int guest_open(struct crypto_guest *g, const char *path, const struct cell *cell);
/** Open the session of a device that is ready, and prepare requests for it. */
int guest_prepare(struct crypto_guest *g, const struct cell *cell);
void guest_close(struct crypto_guest *g);
void guest_post(struct crypto_guest *g, unsigned int n);
/** Collect n answers; false if one is missing or says that something went wrong. */
bool guest_reap(struct crypto_guest *g, unsigned int n);

#endif /* CRYPTO_BENCH_H */
