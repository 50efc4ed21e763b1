/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * dpdk-test-vhost-crypto-perf [EAL options] -- CRYPTODEV BATCHES [CELL ...]
 *
 * Cycles per request of a backend on one core: a guest in the same process has a burst
 * of requests in its ring, the backend fetches them, takes them through the cryptodev
 * and finalizes them.  One line for each cell: the median of all batches, and of that
 * the part that is the library's.  devtools/crypto-compare runs it on two libraries.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>

#include "bench.h"

#define WARMUP 200

static const struct cell cells[] = {
	{ false, false, 64 }, { false, false, 1024 }, { false, false, 4096 },
	{ true, false, 64 }, { true, false, 1024 }, { true, false, 4096 },
	{ false, true, 64 }, { false, true, 1024 },
};

static void
name_cell(const struct cell *cell, char *name, size_t size)
{
	snprintf(name, size, "%s-%s-%u", cell->chain ? "chain" : "cipher",
		cell->zero_copy ? "zero" : "copy", cell->size);
}

static int
compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double
median_per_request(uint64_t *samples, unsigned int n)
{
	qsort(samples, n, sizeof(*samples), compare);
	return (double)samples[n / 2] / BURST;
}

/** One burst there and back. */
static bool
batch(struct crypto_guest *g, int vid, struct burst_cycles *cycles)
{
	guest_post(g, BURST);
	return backend_serve(vid, BURST, cycles) && guest_reap(g, BURST);
}

static bool
measure(struct crypto_guest *g, int vid, const struct cell *cell, unsigned int batches)
{
	uint64_t *all = calloc(batches, sizeof(*all)), *library = calloc(batches, sizeof(*all));
	struct burst_cycles cycles;
	char name[32];
	bool done = all != NULL && library != NULL;
	double per_request;

	for (unsigned int i = 0; done && i < batches + WARMUP; i++) {
		done = batch(g, vid, &cycles);
		if (i >= WARMUP) {
			all[i - WARMUP] = cycles.all;
			library[i - WARMUP] = cycles.library;
		}
	}
	if (done) {
		per_request = median_per_request(all, batches);
		name_cell(cell, name, sizeof(name));
		printf("%s %.1f %.1f %.0f\n", name, per_request,
			median_per_request(library, batches), rte_get_tsc_hz() / per_request);
	}
	free(all);
	free(library);
	return done;
}

static bool
run_cell(const char *path, const struct cell *cell, unsigned int batches)
{
	struct crypto_guest g;
	bool done = false;
	char name[32];
	int vid;

	backend_prepare(cell);
	if (guest_open(&g, path, cell) == 0) {
		vid = backend_wait_ready();
		/* the session comes after new_device, as from a guest's driver */
		done = vid >= 0 && guest_prepare(&g, cell) == 0 && measure(&g, vid, cell, batches);
	}
	guest_close(&g);
	name_cell(cell, name, sizeof(name));
	if (!done)
		fprintf(stderr, "%s: not all requests came through\n", name);
	return backend_wait_gone() && done;
}

/** Whether a cell is among those that were asked for: all, if none was. */
static bool
is_wanted(const struct cell *cell, char **names, int n)
{
	char name[32];

	name_cell(cell, name, sizeof(name));
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return n == 0;
}

int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv), failed = 0;
	const char *path;

	if (used < 0)
		return EXIT_FAILURE;
	argc -= used;
	argv += used;
	if (argc < 3) {
		fprintf(stderr, "usage: %s [EAL options] -- CRYPTODEV BATCHES [CELL ...]\n", argv[0]);
		return EXIT_FAILURE;
	}
	path = backend_open(argv[1]);
	if (path == NULL)
		return EXIT_FAILURE;
	printf("library %s\n", backend_library());
	for (unsigned int i = 0; i < RTE_DIM(cells); i++)
		if (is_wanted(&cells[i], argv + 3, argc - 3))
			failed += !run_cell(path, &cells[i], atoi(argv[2]));
	backend_close();
	rte_eal_cleanup();
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
