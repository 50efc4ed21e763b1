/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <stdio.h>
#include <unistd.h>

#include <rte_crypto.h>
#include <rte_cryptodev.h>
#include <rte_vhost.h>
#include <rte_vhost_crypto.h>

#include "worker.h"

#define BURST 32

/** Turns without a request before the worker begins to sleep between them. */
#define IDLE_TURNS 2000
#define NAP_US 100

/** How long a device that goes waits for its operations. */
#define PATIENCE_US 1000000

static bool quit;

/** What the library wants behind an operation, and what the worker adds. */
struct op_room {
	uint8_t iv[VHOST_CRYPTO_MAX_IV_LEN];
	struct device *device;
};

static struct op_room *
op_room(struct rte_crypto_op *op)
{
	return (struct op_room *)(op->sym + 1);
}

uint16_t
worker_op_room(void)
{
	return sizeof(struct op_room);
}

/** Answer operations of this worker, and call the guests. */
static void
answer(struct worker *worker, struct rte_crypto_op **ops, uint16_t n)
{
	int fds[VIRTIO_CRYPTO_MAX_NUM_BURST_VQS];
	const uint64_t one = 1;
	uint16_t nfds, done = 0;

	for (uint16_t i = 0; i < n; i++)
		op_room(ops[i])->device->under_way--;
	while (done < n) {
		uint16_t now = rte_vhost_crypto_finalize_requests(ops + done, n - done, fds, &nfds);

		for (uint16_t i = 0; i < nfds; i++)
			if (fds[i] >= 0 && write(fds[i], &one, sizeof(one)) < 0)
				continue;	/* it is full: the guest will look */
		if (now == 0)
			break;
		done += now;
	}
	worker->requests += done;
	rte_mempool_put_bulk(worker->ops, (void **)ops, n);
}

/** Take what is ready from the cryptodev: how many. */
static uint16_t
collect(struct worker *worker)
{
	struct rte_crypto_op *ops[BURST];
	uint16_t n = rte_cryptodev_dequeue_burst(worker->cryptodev, worker->queue_pair, ops, BURST);

	if (n > 0)
		answer(worker, ops, n);
	return n;
}

/** Hand operations to the cryptodev, making room if it is full. */
static void
submit(struct worker *worker, struct rte_crypto_op **ops, uint16_t n)
{
	uint16_t done = 0;

	while (done < n) {
		uint16_t now = rte_cryptodev_enqueue_burst(worker->cryptodev, worker->queue_pair,
				ops + done, n - done);

		done += now;
		/* one that is refused with nothing in the way will not be taken at all */
		if (now == 0 && collect(worker) == 0) {
			answer(worker, ops + done, n - done);
			return;
		}
	}
}

/** One burst of a ring: how many requests there were. */
static uint16_t
serve_ring(struct worker *worker, struct device *device, uint32_t ring)
{
	struct rte_crypto_op *ops[BURST];
	uint16_t n;

	if (rte_crypto_op_bulk_alloc(worker->ops, RTE_CRYPTO_OP_TYPE_SYMMETRIC, ops, BURST) == 0)
		return 0;
	n = rte_vhost_crypto_fetch_requests(device->vid, ring, ops, BURST);
	if (n < BURST)
		rte_mempool_put_bulk(worker->ops, (void **)(ops + n), BURST - n);
	for (uint16_t i = 0; i < n; i++)
		op_room(ops[i])->device = device;
	device->under_way += n;
	if (n > 0)
		submit(worker, ops, n);
	return n;
}

/** One turn over all devices: whether there was something to do. */
static bool
turn(struct worker *worker)
{
	unsigned int n = 0;

	rte_spinlock_lock(&worker->lock);
	for (unsigned int i = 0; i < worker->ndevices; i++) {
		struct device *device = &worker->devices[i];

		for (uint32_t ring = 0; ring < device->rings && !device->leaving; ring++)
			n += serve_ring(worker, device, ring);
	}
	n += collect(worker);
	rte_spinlock_unlock(&worker->lock);
	return n > 0;
}

int
worker_run(void *arg)
{
	struct worker *worker = arg;
	unsigned int idle = 0;

	while (!__atomic_load_n(&quit, __ATOMIC_RELAXED)) {
		idle = turn(worker) ? 0 : idle + 1;
		if (idle > IDLE_TURNS)
			usleep(NAP_US);
	}
	return 0;
}

void
worker_quit(void)
{
	__atomic_store_n(&quit, true, __ATOMIC_RELAXED);
}

int
worker_add(struct worker *worker, int vid)
{
	int ret = -1;

	rte_spinlock_lock(&worker->lock);
	if (worker->ndevices < DEVICES_MAX) {
		worker->devices[worker->ndevices++] = (struct device){
			.vid = vid, .rings = rte_vhost_get_vring_num(vid),
		};
		ret = 0;
	}
	rte_spinlock_unlock(&worker->lock);
	return ret;
}

/** The device of a vid, or NULL; lock held. */
static struct device *
find(struct worker *worker, int vid)
{
	for (unsigned int i = 0; i < worker->ndevices; i++)
		if (worker->devices[i].vid == vid)
			return &worker->devices[i];
	return NULL;
}

void
worker_set_rings(struct worker *worker, int vid, uint32_t rings)
{
	struct device *device;

	rte_spinlock_lock(&worker->lock);
	device = find(worker, vid);
	if (device != NULL)
		device->rings = rings;
	rte_spinlock_unlock(&worker->lock);
}

/** Take a device off the list unless something is under way; whether it is off. */
static bool
try_remove(struct worker *worker, int vid, bool force)
{
	struct device *device, *last;
	bool gone = true;

	rte_spinlock_lock(&worker->lock);
	/* the worker itself may have ended */
	collect(worker);
	device = find(worker, vid);
	if (device != NULL) {
		device->leaving = true;
		/* another one takes its place when nothing points to either */
		last = &worker->devices[worker->ndevices - 1];
		gone = device->under_way == 0 && last->under_way == 0;
		if (gone) {
			*device = *last;
			worker->ndevices--;
		} else if (force) {
			/* its operations may come back: the place stays taken */
			device->vid = -1;
			gone = true;
		}
	}
	rte_spinlock_unlock(&worker->lock);
	return gone;
}

void
worker_remove(struct worker *worker, int vid)
{
	unsigned int us;

	for (us = 0; us < PATIENCE_US; us += NAP_US) {
		if (try_remove(worker, vid, false))
			return;
		usleep(NAP_US);
	}
	fprintf(stderr, "device %d: the cryptodev keeps operations\n", vid);
	try_remove(worker, vid, true);
}
