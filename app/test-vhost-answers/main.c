/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * dpdk-test-vhost-answers [EAL options] [-- PART...]
 *
 * Asks whichever librte_vhost it is started with, in ways that always get
 * the same answer, and prints each answer on a line.  devtools/compare-answers
 * runs it on two libraries and compares.  Without a PART it asks for all.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_debug.h>
#include <rte_eal.h>

#include "answers.h"
#include "start.h"

void
answer_line(long long value, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(" %lld\n", value);
}

static const struct {
	const char *name;
	bool (*ask)(void);
} parts[] = {
	{ "features", answer_features },
	{ "inflight", answer_inflight },
	{ "vdpa", answer_vdpa },
	{ "errors", answer_errors },
	{ "statistics", answer_statistics },
};

static bool
is_wanted(const char *part, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], part) == 0)
			return true;
	return argc <= 1;
}

int
main(int argc, char **argv)
{
	bool good = true;
	int eal;

	setvbuf(stdout, NULL, _IOLBF, 0);
	eal = start_eal(argc, argv);
	if (eal < 0 || fake_setup() != 0)
		rte_exit(EXIT_FAILURE, "cannot start\n");
	say_library();
	for (unsigned int i = 0; i < RTE_DIM(parts) && good; i++)
		if (is_wanted(parts[i].name, argc - eal, argv + eal))
			good = parts[i].ask();
	fake_teardown();
	rte_eal_cleanup();
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
