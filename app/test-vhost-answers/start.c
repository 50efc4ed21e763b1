/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_vhost.h>

#include "start.h"

/** What EAL is told in front of the user's options: these are always right here. */
static char eal_first[][128] = {
	"--no-pci", "--no-telemetry", "--no-shconf", "--log-level=lib.vhost.*:critical",
	/* No other driver, see app/test/test.c. */
	"-d" RTE_EAL_PMD_PATH "/librte_mempool_ring" DPDK_SO,
};

int
start_eal(int argc, char **argv)
{
	int n = 0, used;
	/* EAL keeps pointers to its arguments: they stay until the process ends. */
	char **all = calloc(argc + RTE_DIM(eal_first) + 1, sizeof(*all));

	if (all == NULL)
		return -1;
	all[n++] = argv[0];
	for (unsigned int i = 0; i < RTE_DIM(eal_first); i++)
		all[n++] = eal_first[i];
	for (int i = 1; i < argc; i++)
		all[n++] = argv[i];
	used = rte_eal_init(n, all);
	return used < 0 ? used : used - (int)RTE_DIM(eal_first);
}

void
say_library(void)
{
	Dl_info info;

	if (dladdr((void *)(uintptr_t)rte_vhost_enqueue_burst, &info) != 0)
		printf("library %s\n", info.dli_fname);
}
