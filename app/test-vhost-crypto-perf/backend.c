/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cryptodev.h>
#include <rte_cycles.h>
#include <rte_vhost.h>
#include <rte_vhost_crypto.h>

#include "bench.h"

#define SESSIONS 64
#define OPS 1024
#define PATIENCE_MS 5000

static struct {
	char dir[64], path[96];
	uint8_t cdev;
	struct rte_mempool *sessions, *ops;
	struct cell cell;
	int vid;		/**< of the device; -1: there is none; atomic */
	struct rte_crypto_op *burst[BURST];
} here = { .vid = -1 };

static int
new_device(int vid)
{
	if (rte_vhost_crypto_create(vid, here.cdev, here.sessions, rte_socket_id()) != 0)
		return -1;
	rte_vhost_crypto_set_zero_copy(vid, here.cell.zero_copy ?
		RTE_VHOST_CRYPTO_ZERO_COPY_ENABLE : RTE_VHOST_CRYPTO_ZERO_COPY_DISABLE);
	__atomic_store_n(&here.vid, vid, __ATOMIC_RELEASE);
	return 0;
}

static void
destroy_device(int vid)
{
	rte_vhost_crypto_free(vid);
	__atomic_store_n(&here.vid, -1, __ATOMIC_RELEASE);
}

static const struct rte_vhost_device_ops device_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
};

static bool
open_cryptodev(const char *name)
{
	struct rte_cryptodev_config config = { .socket_id = SOCKET_ID_ANY, .nb_queue_pairs = 1 };
	struct rte_cryptodev_qp_conf qp = { .nb_descriptors = 1024 };
	int id = rte_cryptodev_get_dev_id(name);

	if (id < 0)
		return false;
	here.cdev = id;
	here.sessions = rte_cryptodev_sym_session_pool_create("perf_sessions", SESSIONS,
		rte_cryptodev_sym_get_private_session_size(id), 0, 0, SOCKET_ID_ANY);
	here.ops = rte_crypto_op_pool_create("perf_ops", RTE_CRYPTO_OP_TYPE_SYMMETRIC, OPS, 64,
		VHOST_CRYPTO_MAX_IV_LEN, SOCKET_ID_ANY);
	qp.mp_session = here.sessions;
	return here.sessions != NULL && here.ops != NULL &&
		rte_crypto_op_bulk_alloc(here.ops, RTE_CRYPTO_OP_TYPE_SYMMETRIC, here.burst,
			BURST) == BURST &&
		rte_cryptodev_configure(id, &config) == 0 &&
		rte_cryptodev_queue_pair_setup(id, 0, &qp, SOCKET_ID_ANY) == 0 &&
		rte_cryptodev_start(id) == 0;
}

const char *
backend_open(const char *cryptodev)
{
	if (!open_cryptodev(cryptodev)) {
		fprintf(stderr, "cannot use cryptodev %s\n", cryptodev);
		return NULL;
	}
	strcpy(here.dir, "/tmp/vhost-crypto-perf-XXXXXX");
	if (mkdtemp(here.dir) == NULL)
		return NULL;
	snprintf(here.path, sizeof(here.path), "%s/socket", here.dir);
	if (rte_vhost_driver_register(here.path, 0) != 0 ||
			rte_vhost_driver_callback_register(here.path, &device_ops) != 0 ||
			rte_vhost_crypto_driver_start(here.path) != 0)
		return NULL;
	return here.path;
}

void
backend_close(void)
{
	rte_vhost_driver_unregister(here.path);
	rmdir(here.dir);
}

void
backend_prepare(const struct cell *cell)
{
	here.cell = *cell;
}

static bool
wait_for(bool ready)
{
	for (unsigned int ms = 0; ms < PATIENCE_MS; ms++) {
		if ((__atomic_load_n(&here.vid, __ATOMIC_ACQUIRE) >= 0) == ready)
			return true;
		usleep(1000);
	}
	return false;
}

int
backend_wait_ready(void)
{
	return wait_for(true) ? here.vid : -1;
}

bool
backend_wait_gone(void)
{
	return wait_for(false);
}

/** Through the cryptodev: true if all came back. */
static bool
process(uint16_t n)
{
	uint64_t until = rte_rdtsc() + rte_get_tsc_hz();
	uint16_t sent = 0, got = 0;

	while (got < n && rte_rdtsc() < until) {
		sent += rte_cryptodev_enqueue_burst(here.cdev, 0, here.burst + sent, n - sent);
		got += rte_cryptodev_dequeue_burst(here.cdev, 0, here.burst + got, sent - got);
	}
	return got == n;
}

bool
backend_serve(int vid, uint16_t n, struct burst_cycles *cycles)
{
	int fds[VIRTIO_CRYPTO_MAX_NUM_BURST_VQS];
	uint64_t start = rte_rdtsc(), fetched, processed, end;
	uint16_t nfds;
	bool all = rte_vhost_crypto_fetch_requests(vid, 0, here.burst, n) == n;

	fetched = rte_rdtsc();
	all = all && process(n);
	processed = rte_rdtsc();
	all = all && rte_vhost_crypto_finalize_requests(here.burst, n, fds, &nfds) == n;
	end = rte_rdtsc();
	cycles->all = end - start;
	cycles->library = end - processed + fetched - start;
	return all;
}

const char *
backend_library(void)
{
	Dl_info info;

	return dladdr((void *)(uintptr_t)rte_vhost_crypto_fetch_requests, &info) != 0 ?
		info.dli_fname : "unknown";
}
