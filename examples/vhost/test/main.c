/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <string.h>

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_log.h>

#include "switch_test.h"

int switch_logtype = RTE_LOGTYPE_USER1;

static const struct {
	const char *name;
	int (*run)(void);
} tests[] = {
	{ "placement", test_placement },
	{ "mac_table", test_mac_table },
	{ "offload", test_offload },
};

/** The name of a test is the argument behind EAL's; without one all are run. */
int
main(int argc, char **argv)
{
	int eal_args = rte_eal_init(argc, argv), failed = 0, run = 0;

	if (eal_args < 0)
		return 1;
	for (unsigned int i = 0; i < RTE_DIM(tests); i++) {
		if (eal_args + 1 < argc && strcmp(argv[eal_args + 1], tests[i].name) != 0)
			continue;
		failed += tests[i].run();
		run++;
	}
	rte_eal_cleanup();
	printf("%d tests, %d checks failed\n", run, failed);
	return failed != 0 || run == 0;
}
