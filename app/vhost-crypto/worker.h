/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef WORKER_H
#define WORKER_H

/*
 * A worker serves the rings of some devices on one lcore, with a queue pair of the
 * cryptodev for itself.
 *
 * Its lock is held for a turn: whoever holds it knows that the worker does not look at
 * a device.  A device that goes is taken off the list first, and is gone when the last
 * of its operations has come back.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_spinlock.h>

#define DEVICES_MAX 64

struct rte_crypto_op;
struct rte_mempool;

struct device {
	int vid;
	uint32_t rings;
	uint32_t under_way;	/**< operations in the cryptodev; the worker's */
	bool leaving;		/**< no more requests are fetched */
};

struct worker {
	rte_spinlock_t lock;	/**< of devices */
	uint8_t cryptodev;
	uint16_t queue_pair;
	struct rte_mempool *ops;
	unsigned int ndevices;
	struct device devices[DEVICES_MAX];
	uint64_t requests;	/**< answered; for the last line */
};

/** Bytes of private room in each operation: vector and device. */
uint16_t worker_op_room(void);

/** Serve until told to quit; an lcore's function. */
int worker_run(void *worker);
void worker_quit(void);

/** Serve a device from now on: 0, or -1 when there is no room. */
int worker_add(struct worker *worker, int vid);

/** It has so many rings by now. */
void worker_set_rings(struct worker *worker, int vid, uint32_t rings);

/** Serve it no more; returns when nothing of it is under way, or after a while. */
void worker_remove(struct worker *worker, int vid);

#endif /* WORKER_H */
