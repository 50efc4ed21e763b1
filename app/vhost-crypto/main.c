/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * dpdk-vhost-crypto: crypto devices for guests, on whichever cryptodev there is.
 *
 * Devices are given to lcores in turn; each lcore has a queue pair of the cryptodev.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_cryptodev.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_vhost.h>
#include <rte_vhost_crypto.h>

#include "options.h"
#include "worker.h"

#define OPS_PER_WORKER 4096
#define QUEUE_DESCRIPTORS 2048
#define SESSIONS_MAX (4 * VHOST_CRYPTO_SESSION_MAP_ENTRIES)

static struct {
	struct options options;
	uint8_t cryptodev;
	struct rte_mempool *sessions;
	unsigned int nworkers;
	struct worker workers[RTE_MAX_LCORE];
} here;

/* Devices come and go, on the library's thread */

static struct worker *
worker_of(int vid)
{
	return &here.workers[vid % here.nworkers];
}

static int
new_device(int vid)
{
	if (rte_vhost_crypto_create(vid, here.cryptodev, here.sessions, SOCKET_ID_ANY) != 0)
		return -1;
	if (here.options.zero_copy && rte_vhost_crypto_set_zero_copy(vid,
			RTE_VHOST_CRYPTO_ZERO_COPY_ENABLE) != 0)
		fprintf(stderr, "device %d: no zero copy with this cryptodev\n", vid);
	if (worker_add(worker_of(vid), vid) != 0) {
		rte_vhost_crypto_free(vid);
		return -1;
	}
	printf("device %d: %u rings\n", vid, rte_vhost_get_vring_num(vid));
	fflush(stdout);
	return 0;
}

static void
destroy_device(int vid)
{
	worker_remove(worker_of(vid), vid);
	rte_vhost_crypto_free(vid);
	printf("device %d is gone\n", vid);
	fflush(stdout);
}

/** A ring may come when the device runs already; none needs kicks, as all are polled. */
static int
vring_state_changed(int vid, uint16_t ring, int enable)
{
	worker_set_rings(worker_of(vid), vid, rte_vhost_get_vring_num(vid));
	if (enable)
		rte_vhost_enable_guest_notification(vid, ring, 0);
	return 0;
}

static const struct rte_vhost_device_ops device_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
};

/* The cryptodev */

static int
find_cryptodev(void)
{
	int id = here.options.cryptodev != NULL ? rte_cryptodev_get_dev_id(here.options.cryptodev) :
		rte_cryptodev_count() > 0 ? 0 : -1;

	if (id < 0) {
		fprintf(stderr, "no cryptodev %s; give one with --vdev, for one crypto_openssl0\n",
			here.options.cryptodev != NULL ? here.options.cryptodev : "at all");
		return -1;
	}
	here.cryptodev = id;
	return 0;
}

static int
start_cryptodev(void)
{
	struct rte_cryptodev_config config = {
		.socket_id = rte_cryptodev_socket_id(here.cryptodev),
		.nb_queue_pairs = here.nworkers,
	};
	struct rte_cryptodev_qp_conf qp = { .nb_descriptors = QUEUE_DESCRIPTORS };

	here.sessions = rte_cryptodev_sym_session_pool_create("vhost_crypto_sessions", SESSIONS_MAX,
		rte_cryptodev_sym_get_private_session_size(here.cryptodev), 0, 0, SOCKET_ID_ANY);
	if (here.sessions == NULL || rte_cryptodev_configure(here.cryptodev, &config) != 0)
		return -1;
	qp.mp_session = here.sessions;
	for (uint16_t i = 0; i < here.nworkers; i++)
		if (rte_cryptodev_queue_pair_setup(here.cryptodev, i, &qp, config.socket_id) != 0)
			return -1;
	return rte_cryptodev_start(here.cryptodev);
}

/* Workers */

static int
make_worker(unsigned int lcore)
{
	struct worker *worker = &here.workers[here.nworkers];
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "vhost_crypto_ops_%u", lcore);
	worker->ops = rte_crypto_op_pool_create(name, RTE_CRYPTO_OP_TYPE_SYMMETRIC,
		OPS_PER_WORKER, 128, worker_op_room(), rte_lcore_to_socket_id(lcore));
	if (worker->ops == NULL)
		return -1;
	worker->cryptodev = here.cryptodev;
	worker->queue_pair = here.nworkers++;
	return 0;
}

static int
make_workers(void)
{
	unsigned int lcore;

	RTE_LCORE_FOREACH(lcore)
		if (make_worker(lcore) != 0)
			return -1;
	return 0;
}

/** All lcores work, this one too. */
static void
work(void)
{
	unsigned int lcore, i = 1;

	RTE_LCORE_FOREACH_WORKER(lcore)
		rte_eal_remote_launch(worker_run, &here.workers[i++], lcore);
	worker_run(&here.workers[0]);
	rte_eal_mp_wait_lcore();
}

/* Sockets */

static int
start_socket(const char *path)
{
	if (rte_vhost_driver_register(path, here.options.flags) != 0 ||
			rte_vhost_driver_callback_register(path, &device_ops) != 0 ||
			rte_vhost_crypto_driver_start(path) != 0) {
		fprintf(stderr, "cannot serve %s\n", path);
		return -1;
	}
	return 0;
}

static int
start_sockets(void)
{
	for (unsigned int i = 0; i < here.options.nsockets; i++)
		if (start_socket(here.options.sockets[i]) != 0)
			return -1;
	return 0;
}

static void
stop_sockets(void)
{
	for (unsigned int i = 0; i < here.options.nsockets; i++)
		rte_vhost_driver_unregister(here.options.sockets[i]);
}

static void
on_signal(int number __rte_unused)
{
	worker_quit();
}

static int
run(void)
{
	if (find_cryptodev() != 0 || make_workers() != 0 || start_cryptodev() != 0 ||
			start_sockets() != 0)
		return EXIT_FAILURE;
	printf("ready\n");
	fflush(stdout);
	work();
	return EXIT_SUCCESS;
}

/** Whoever still has requests gets them answered by no worker any more: devices go first. */
static void
end(void)
{
	uint64_t requests = 0;

	stop_sockets();
	if (here.sessions != NULL) {
		rte_cryptodev_stop(here.cryptodev);
		rte_cryptodev_close(here.cryptodev);
	}
	for (unsigned int i = 0; i < here.nworkers; i++)
		requests += here.workers[i].requests;
	printf("%lu requests\n", (unsigned long)requests);
}

int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv), ret;

	if (used < 0)
		return EXIT_FAILURE;
	ret = options_parse(&here.options, argc - used, argv + used);
	if (ret != 0 || here.options.help) {
		options_usage(argv[0]);
		rte_eal_cleanup();
		return ret != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	ret = run();
	end();
	rte_eal_cleanup();
	return ret;
}
