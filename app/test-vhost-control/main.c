/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * dpdk-test-vhost-control [EAL options]
 *
 * A backend that does what the lines of its input say, on whichever
 * librte_vhost it is started with, and answers each with one line:
 *
 *	register PATH FLAGS	flags in hexadecimal		ret N
 *	start PATH						ret N
 *	unregister PATH						ret N
 *	all FOLDER N		register and start FOLDER/s0 ..	took CPU_NS WALL_NS
 *	none FOLDER N		unregister them again		took CPU_NS WALL_NS
 *	echo N			send back so many packets	ret N
 *	meters			what was used so far		meters NAME=N ...
 *
 * devtools/control-compare and devtools/compare-log run it on two libraries.
 */

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_debug.h>
#include <rte_eal.h>
#include <rte_vhost.h>

#include "control.h"

#define PATH_SIZE 100
#define LINE_SIZE 200

/** What EAL is told in front of the user's options: these are always right here. */
static char eal_first[][128] = {
	"--no-pci", "--no-telemetry", "--no-shconf", "--no-huge",
	/* no other driver, see app/test/test.c */
	"-d" RTE_EAL_PMD_PATH "/librte_mempool_ring" DPDK_SO,
};

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

	if (dladdr((void *)(uintptr_t)rte_vhost_driver_start, &info) != 0)
		printf("library %s\n", info.dli_fname);
}

static int
register_and_start(const char *path)
{
	int ret = backend_register(path, 0);

	return ret != 0 ? ret : backend_start(path);
}

/** Do the same to many sockets and say what it took. */
static void
for_all(int (*what)(const char *path), const char *folder, unsigned int n)
{
	struct effort effort = meter_begin();
	char path[PATH_SIZE + 16];
	int ret = 0;

	for (unsigned int i = 0; i < n && ret == 0; i++) {
		snprintf(path, sizeof(path), "%s/s%u", folder, i);
		ret = what(path);
	}
	effort = meter_end(effort);
	if (ret == 0)
		printf("took %" PRIu64 " %" PRIu64 "\n", effort.cpu_ns, effort.wall_ns);
	else
		printf("ret %d\n", ret);
}

static void
say_meters(void)
{
	printf("meters control_ns=%" PRIu64 " resident_kib=%lu descriptors=%u connections=%u devices=%u\n",
		meter_control_ns(), meter_resident_kib(), meter_descriptors(),
		backend_connections(), backend_devices());
}

/** Do what a line says; false if nobody knows what that is. */
static bool
obey(const char *line)
{
	char path[PATH_SIZE];
	uint64_t flags;
	unsigned int n;

	if (sscanf(line, "register %99s %" SCNx64, path, &flags) == 2)
		printf("ret %d\n", backend_register(path, flags));
	else if (sscanf(line, "start %99s", path) == 1)
		printf("ret %d\n", backend_start(path));
	else if (sscanf(line, "unregister %99s", path) == 1)
		printf("ret %d\n", backend_unregister(path));
	else if (sscanf(line, "all %99s %u", path, &n) == 2)
		for_all(register_and_start, path, n);
	else if (sscanf(line, "none %99s %u", path, &n) == 2)
		for_all(backend_unregister, path, n);
	else if (sscanf(line, "echo %u", &n) == 1)
		printf("ret %u\n", backend_echo(n));
	else if (strcmp(line, "meters\n") == 0)
		say_meters();
	else
		return false;
	return true;
}

int
main(int argc, char **argv)
{
	char line[LINE_SIZE];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!start_eal(argc, argv) || !log_stream_open() || !backend_setup())
		rte_exit(EXIT_FAILURE, "cannot start\n");
	say_library();
	while (fgets(line, sizeof(line), stdin) != NULL)
		if (!obey(line))
			rte_exit(EXIT_FAILURE, "what is \"%s\"?\n", line);
	rte_eal_cleanup();
	return EXIT_SUCCESS;
}
