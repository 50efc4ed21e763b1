/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * dpdk-test-vhost-answers [EAL options]
 *
 * Asks whichever librte_vhost it is started with, in ways that always get
 * the same answer, and prints each answer on a line.  devtools/compare-answers
 * runs it on two libraries and compares.
 */

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_debug.h>
#include <rte_eal.h>
#include <rte_vhost.h>

#include "answers.h"

/** What EAL is told in front of the user's options: these are always right here. */
static char eal_first[][128] = {
	"--no-pci", "--no-telemetry", "--no-shconf", "--log-level=lib.vhost.*:critical",
	/* No other driver, see app/test/test.c. */
	"-d" RTE_EAL_PMD_PATH "/librte_mempool_ring" DPDK_SO,
};

void
answer_line(long long value, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(" %lld\n", value);
}

static bool
start_eal(int argc, char **argv)
{
	int n = 0;
	/* EAL keeps pointers to its arguments: they stay until the process ends. */
	char **all = calloc(argc + RTE_DIM(eal_first) + 1, sizeof(*all));

	if (all == NULL)
		return false;
	all[n++] = argv[0];
	for (unsigned int i = 0; i < RTE_DIM(eal_first); i++)
		all[n++] = eal_first[i];
	for (int i = 1; i < argc; i++)
		all[n++] = argv[i];
	return rte_eal_init(n, all) >= 0;
}

/** A surprise in which library was loaded would compare apples with apples. */
static void
say_library(void)
{
	Dl_info info;

	if (dladdr((void *)(uintptr_t)rte_vhost_enqueue_burst, &info) != 0)
		printf("library %s\n", info.dli_fname);
}

int
main(int argc, char **argv)
{
	bool good;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!start_eal(argc, argv) || fake_setup() != 0)
		rte_exit(EXIT_FAILURE, "cannot start\n");
	say_library();
	good = answer_features() && answer_inflight() && answer_vdpa() &&
		answer_errors() && answer_statistics();
	fake_teardown();
	rte_eal_cleanup();
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
