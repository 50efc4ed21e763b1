/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The application's side of the library, apart from the bursts: sockets, and
 * the callbacks that tell when a device comes and goes.  Callbacks come on the
 * library's thread; the main thread waits for them.
 */

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_vhost.h>

#include "backend.h"

#define WAIT_SECONDS 30

/** Guests of a socket: this project's library takes no more by default. */
#define SOCKET_GUESTS 64

struct server {
	uint64_t flags;
	unsigned int number;	/**< of those with such flags */
	char path[64];
};

static struct server servers[32];
static unsigned int n_servers;
static char directory[] = "/tmp/vhost-perf.XXXXXX";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int ready_vid = -1;	/**< the device that came last; lock */
static unsigned int n_ready;	/**< devices there are; lock */

static int
on_new_device(int vid)
{
	pthread_mutex_lock(&lock);
	ready_vid = vid;
	n_ready++;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	return 0;
}

static void
on_destroy_device(int vid __rte_unused)
{
	pthread_mutex_lock(&lock);
	n_ready--;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static const struct rte_vhost_device_ops callbacks = {
	.new_device = on_new_device,
	.destroy_device = on_destroy_device,
};

static bool
start_server(struct server *server, uint64_t flags, unsigned int number)
{
	server->flags = flags;
	server->number = number;
	snprintf(server->path, sizeof(server->path), "%s/%u", directory, n_servers);
	return rte_vhost_driver_register(server->path, flags) == 0 &&
		rte_vhost_driver_callback_register(server->path, &callbacks) == 0 &&
		rte_vhost_driver_start(server->path) == 0;
}

const char *
backend_socket(uint64_t flags, unsigned int guest)
{
	unsigned int number = guest / SOCKET_GUESTS;
	struct server *server = servers;

	for (; server < servers + n_servers; server++)
		if (server->flags == flags && server->number == number)
			return server->path;
	if (n_servers == RTE_DIM(servers) || (n_servers == 0 && mkdtemp(directory) == NULL) ||
	    !start_server(server, flags, number))
		return NULL;
	n_servers++;
	return server->path;
}

static struct timespec
deadline(void)
{
	struct timespec when;

	clock_gettime(CLOCK_REALTIME, &when);
	when.tv_sec += WAIT_SECONDS;
	return when;
}

int
backend_wait_ready(void)
{
	struct timespec until = deadline();
	int vid;

	pthread_mutex_lock(&lock);
	while (ready_vid == -1 && pthread_cond_timedwait(&changed, &lock, &until) == 0)
		;
	vid = ready_vid;
	ready_vid = -1;
	pthread_mutex_unlock(&lock);
	return vid;
}

bool
backend_wait_gone(void)
{
	struct timespec until = deadline();
	bool gone;

	pthread_mutex_lock(&lock);
	while (n_ready != 0 && pthread_cond_timedwait(&changed, &lock, &until) == 0)
		;
	gone = n_ready == 0;
	pthread_mutex_unlock(&lock);
	return gone;
}

void
backend_close(void)
{
	if (n_servers == 0)
		return;
	while (n_servers != 0) {
		const char *path = servers[--n_servers].path;

		rte_vhost_driver_unregister(path);
		unlink(path);
	}
	rmdir(directory);
}

const char *
backend_library(void)
{
	static char path[PATH_MAX];
	Dl_info info;

	if (dladdr((void *)(uintptr_t)rte_vhost_enqueue_burst, &info) == 0 ||
	    realpath(info.dli_fname, path) == NULL)
		return "unknown";
	return path;
}
