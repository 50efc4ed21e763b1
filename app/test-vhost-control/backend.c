/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * An application of librte_vhost as plain as can be: it registers sockets,
 * counts what is told of them, and sends packets back when asked to.
 */

#include <unistd.h>

#include <rte_mbuf.h>
#include <rte_vhost.h>

#include "control.h"

#define DEVICES_MAX 1024
#define BURST 32
#define PATIENCE_US 1000000
#define PAUSE_US 100

static struct {
	struct rte_mempool *pool;
	unsigned int connections;
	unsigned int devices;
	bool running[DEVICES_MAX];	/**< by vid; written by the control thread */
} backend;

static int
on_connection(int vid)
{
	(void)vid;
	__atomic_fetch_add(&backend.connections, 1, __ATOMIC_RELAXED);
	return 0;
}

static void
on_disconnection(int vid)
{
	(void)vid;
	__atomic_fetch_sub(&backend.connections, 1, __ATOMIC_RELAXED);
}

static int
on_device(int vid)
{
	__atomic_fetch_add(&backend.devices, 1, __ATOMIC_RELAXED);
	if (vid < DEVICES_MAX)
		__atomic_store_n(&backend.running[vid], true, __ATOMIC_RELAXED);
	return 0;
}

/* The main thread is in no burst: it is told when frontends come and go. */
static void
on_device_end(int vid)
{
	__atomic_fetch_sub(&backend.devices, 1, __ATOMIC_RELAXED);
	if (vid < DEVICES_MAX)
		__atomic_store_n(&backend.running[vid], false, __ATOMIC_RELAXED);
}

static const struct rte_vhost_device_ops ops = {
	.new_device = on_device,
	.destroy_device = on_device_end,
	.new_connection = on_connection,
	.destroy_connection = on_disconnection,
};

bool
backend_setup(void)
{
	backend.pool = rte_pktmbuf_pool_create("packets", 511, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	return backend.pool != NULL;
}

int
backend_register(const char *path, uint64_t flags)
{
	int ret = rte_vhost_driver_register(path, flags);

	return ret != 0 ? ret : rte_vhost_driver_callback_register(path, &ops);
}

int
backend_start(const char *path)
{
	return rte_vhost_driver_start(path);
}

int
backend_unregister(const char *path)
{
	return rte_vhost_driver_unregister(path);
}

unsigned int
backend_connections(void)
{
	return __atomic_load_n(&backend.connections, __ATOMIC_RELAXED);
}

unsigned int
backend_devices(void)
{
	return __atomic_load_n(&backend.devices, __ATOMIC_RELAXED);
}

/** One burst of one device there and back; how many packets it was. */
static unsigned int
echo_device(int vid)
{
	struct rte_mbuf *packets[BURST];
	uint16_t n = rte_vhost_dequeue_burst(vid, 1, backend.pool, packets, BURST);

	if (n == 0)
		return 0;
	rte_vhost_enqueue_burst(vid, 0, packets, n);
	rte_pktmbuf_free_bulk(packets, n);
	return n;
}

unsigned int
backend_echo(unsigned int packets)
{
	unsigned int done = 0;

	for (unsigned int waited = 0; done < packets && waited < PATIENCE_US; waited += PAUSE_US) {
		for (int vid = 0; vid < DEVICES_MAX; vid++)
			if (__atomic_load_n(&backend.running[vid], __ATOMIC_RELAXED))
				done += echo_device(vid);
		usleep(PAUSE_US);
	}
	return done;
}
