/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What the process uses.
 *
 * The control path runs in threads of the library or of EAL, whatever their
 * names, and may end threads that it began; what counts as control is therefore
 * the process without its main thread, which only does what it is told.
 */

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control.h"

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

uint64_t
meter_control_ns(void)
{
	/* the main thread's first: it goes on meanwhile */
	uint64_t own = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	return clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own;
}

unsigned long
meter_resident_kib(void)
{
	unsigned long kib = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL && sscanf(line, "VmRSS: %lu", &kib) != 1)
		;
	fclose(f);
	return kib;
}

unsigned int
meter_descriptors(void)
{
	unsigned int n = 0;
	DIR *dir = opendir("/proc/self/fd");

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 3;	/* "." and "..", and the folder itself */
}

static struct effort
clocks(void)
{
	return (struct effort){
		.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID),
		.wall_ns = clock_ns(CLOCK_MONOTONIC),
	};
}

struct effort
meter_begin(void)
{
	return clocks();
}

struct effort
meter_end(struct effort begin)
{
	struct effort now = clocks();

	return (struct effort){
		.cpu_ns = now.cpu_ns - begin.cpu_ns,
		.wall_ns = now.wall_ns - begin.wall_ns,
	};
}
