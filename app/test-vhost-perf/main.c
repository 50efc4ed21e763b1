/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * dpdk-test-vhost-perf [EAL options] -- [options]
 *
 * Measures the burst functions of whichever librte_vhost it is started
 * with.  Exit status 0 says that all packets arrived as they should; no time
 * is ever wrong.
 */

#include <getopt.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <rte_debug.h>
#include <rte_eal.h>

#include "backend.h"
#include "batch.h"
#include "report.h"
#include "turns.h"
#include "two_cores.h"

struct options {
	struct bench_limits limits;
	struct two_cores two_cores;
	const char *lines;	/**< folder to tell the counter of lines what lies where, or NULL */
	const char *cells;	/**< regular expression */
	FILE *csv;
	bool list;
	bool from_stdin;
};

static const char usage[] =
	"Options after \"--\":\n"
	"  --cells REGEX  only the cells whose name matches\n"
	"  --list         print the names of the cells and end\n"
	"  --ms N         milliseconds per cell (100)\n"
	"  --packets N    packets per cell, instead of --ms\n"
	"  --csv FILE     write all figures there too\n"
	"  --callgrind    a few batches per cell, for counting instructions\n"
	"  --driver-core N\n"
	"                 the driver on that core, at the same time; cells of one device\n"
	"  --work N       cycles per packet that this driver does something else (0)\n"
	"  --lines FOLDER driver and library in turns, for perf-compare --lines\n"
	"  --realtime     keep others from the two cores while measuring (root)\n"
	"  --stdin        read names of cells, one a line, and answer each with a CSV line\n";

/** Warm-up and measured packets when instructions are counted: they do not vary. */
static const struct bench_limits callgrind_limits = { .packets = 2048, .warmup = 3 };

static void
usage_exit(int status)
{
	fputs(usage, status == 0 ? stdout : stderr);
	exit(status);
}

/** A thousand guests and their backend have more descriptors than a shell allows at first. */
static void
raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static FILE *
open_csv(const char *path)
{
	FILE *file = fopen(path, "w");

	if (file == NULL) {
		perror(path);
		exit(2);
	}
	return file;
}

static struct options
parse_options(int argc, char **argv)
{
	static const struct option table[] = {
		{ "cells", required_argument, NULL, 'c' },
		{ "list", no_argument, NULL, 'l' },
		{ "ms", required_argument, NULL, 'm' },
		{ "packets", required_argument, NULL, 'p' },
		{ "csv", required_argument, NULL, 'o' },
		{ "callgrind", no_argument, NULL, 'g' },
		{ "driver-core", required_argument, NULL, 'd' },
		{ "work", required_argument, NULL, 'w' },
		{ "lines", required_argument, NULL, 'i' },
		{ "realtime", no_argument, NULL, 'r' },
		{ "stdin", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct options options = {
		.limits = { .ms = 100, .warmup = 20 },
		.two_cores.driver_core = -1,
		.cells = "",
	};
	int option;

	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1)
		switch (option) {
		case 'c': options.cells = optarg; break;
		case 'l': options.list = true; break;
		case 'm': options.limits.ms = strtoul(optarg, NULL, 0); break;
		case 'p': options.limits.packets = strtoull(optarg, NULL, 0); break;
		case 'o': options.csv = open_csv(optarg); break;
		case 'g': options.limits = callgrind_limits; break;
		case 'd': options.two_cores.driver_core = strtol(optarg, NULL, 0); break;
		case 'w': options.two_cores.work = strtoul(optarg, NULL, 0); break;
		case 'i': options.lines = optarg; break;
		case 'r': options.two_cores.realtime = true; break;
		case 's': options.from_stdin = true; break;
		default: usage_exit(option == 'h' ? 0 : 2);
		}
	if (optind != argc)
		usage_exit(2);
	return options;
}

static bool
between_two_cores(const struct options *options)
{
	return options->two_cores.driver_core >= 0;
}

static bool
measure_cell(const struct cell *cell, const struct options *options,
	     struct bench_result *result)
{
	if (options->lines != NULL)
		return turns_run(cell, &options->limits, options->lines, result);
	if (between_two_cores(options))
		return two_cores_run(cell, &options->limits, &options->two_cores, result);
	return bench_run(cell, &options->limits, result);
}

static bool
run_cell(const struct cell *cell, const struct options *options)
{
	struct bench_result result;
	bool good = measure_cell(cell, options, &result);

	report_prepare(&result);
	if (good && options->csv != NULL)
		report_csv_line(options->csv, cell, &result);
	if (good && !options->from_stdin)
		report_table_line(stdout, cell, &result);
	bench_result_free(&result);
	return good;
}

/** Serve a script that alternates between two libraries. */
static bool
run_from_stdin(struct options *options)
{
	char line[128];
	bool good = true;

	options->csv = stdout;
	report_csv_head(stdout, between_two_cores(options));
	while (fgets(line, sizeof(line), stdin) != NULL) {
		const struct cell *cell;

		line[strcspn(line, "\n")] = '\0';
		cell = cell_find(line);
		if (cell == NULL || !run_cell(cell, options)) {
			printf("failed,%s\n", line);
			fflush(stdout);
			good = false;
		}
	}
	return good;
}

/** Driver and library on one core, one after the other: for any cell. */
static bool
is_usual(const struct options *options)
{
	return options->lines == NULL && !between_two_cores(options);
}

/** Do something for each cell that was asked for; true if it went well for all. */
static bool
for_cells(const struct options *options,
	  bool (*function)(const struct cell *cell, const struct options *options))
{
	unsigned int count;
	const struct cell *cells = cell_list(&count);
	bool good = true;
	regex_t regex;

	if (regcomp(&regex, options->cells, REG_EXTENDED | REG_NOSUB) != 0)
		usage_exit(2);
	for (unsigned int i = 0; i < count; i++)
		if (regexec(&regex, cells[i].name, 0, NULL, 0) == 0 &&
		    (is_usual(options) || two_cores_fit(&cells[i])))
			good &= function(&cells[i], options);
	regfree(&regex);
	return good;
}

static bool
print_name(const struct cell *cell, const struct options *options __rte_unused)
{
	puts(cell->name);
	return true;
}

static bool
run_cells(struct options *options)
{
	printf("%s, cycles per packet\n", backend_library());
	report_table_head(stdout, between_two_cores(options));
	if (options->csv != NULL)
		report_csv_head(options->csv, between_two_cores(options));
	return for_cells(options, run_cell);
}

/** What follows "--", or everything if a list or help is asked for without it. */
static int
program_arguments(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0)
			return i;
	return 0;
}

/**
 * EAL with the given arguments, behind those that are always right here: no
 * PCI device is ours to touch, and sixty-four devices coming and going are not
 * news.  What the user says later wins.
 */
static bool
start_eal(int argc, char **argv)
{
	static char no_pci[] = "--no-pci", quiet[] = "--log-level=lib.vhost.config:warning";
	char **all = calloc(argc + 3, sizeof(*all));
	bool good;

	if (all == NULL)
		return false;
	all[0] = argv[0];
	all[1] = no_pci;
	all[2] = quiet;
	memcpy(all + 3, argv + 1, (argc - 1) * sizeof(*all));
	good = rte_eal_init(argc + 2, all) >= 0;
	/* EAL keeps pointers to its arguments: they stay until the process ends. */
	return good;
}

int
main(int argc, char **argv)
{
	int skip = program_arguments(argc, argv);
	struct options options;
	bool good;

	if (skip == 0 && argc == 2)
		options = parse_options(argc, argv);
	else if (skip != 0)
		options = parse_options(argc - skip, argv + skip);
	else
		options = parse_options(1, argv);
	if (options.list)
		return for_cells(&options, print_name) ? 0 : 1;

	raise_limits();
	if (!start_eal(skip != 0 ? skip : argc, argv) || !batch_init())
		rte_exit(1, "cannot start\n");
	if (options.from_stdin) {
		printf("library,%s\n", backend_library());
		good = run_from_stdin(&options);
	} else {
		good = run_cells(&options);
	}
	backend_close();
	rte_eal_cleanup();
	return good ? 0 : 1;
}
