/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A program whose accesses are known, to check what the plug-in counts.
 *
 *	selfcheck CPU NODE OTHER_CPU OTHER_NODE
 *
 * The watched thread runs on CPU, the other on OTHER_CPU.  On each of the two
 * nodes there is memory of which the program says "memory NAME ADDRESS LENGTH";
 * then it waits for a line of input.  For each case it says what the plug-in
 * has to have counted for that memory: "expect CASE NAME LOADS STORES LINES".
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "orders.h"

#define LINE 64
#define MEMORY (8UL << 20)
#define KB 1024
#define MB (1024 * KB)
#define MPOL_BIND 2

static char *near, *far;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		fail("sched_setaffinity");
}

/** Hugepages, so that lines of neighbouring addresses share no set by chance. */
static char *
memory_on(const char *name, int node)
{
	unsigned long mask = 1UL << node;
	char *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap of hugepages");
	if (syscall(SYS_mbind, memory, MEMORY, MPOL_BIND, &mask, 8 * sizeof(mask), 0) != 0)
		fail("mbind");
	memset(memory, 1, MEMORY);
	printf("memory %s %lx %lx\n", name, (unsigned long)memory, MEMORY);
	return memory;
}

static void
load(const char *at)
{
	uint64_t value;

	__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(at) : "memory");
}

static void
store(char *at)
{
	__asm__ volatile("movq %0, (%1)" : : "r"(UINT64_C(2)), "r"(at) : "memory");
}

static void
load_all(const char *from, size_t length, size_t step)
{
	size_t at;

	for (at = 0; at < length; at += step)
		load(from + at);
}

static void
store_all(char *from, size_t length, size_t step)
{
	size_t at;

	for (at = 0; at < length; at += step)
		store(from + at);
}

static void
expect(const char *test, const char *name, unsigned int loads, unsigned int stores,
		unsigned int lines)
{
	printf("expect %s %s %u %u %u\n", test, name, loads, stores, lines);
	fflush(stdout);
	if (getchar() == EOF)
		exit(1);
}

static void
check_loads(void)
{
	GIVE_ORDER(ORDER_OPEN);
	load_all(far, 64 * KB, LINE);
	GIVE_ORDER(ORDER_CLOSE);
	expect("first-loads", "far", 1024, 0, 1024);

	GIVE_ORDER(ORDER_OPEN);
	load_all(far, 64 * KB, LINE);
	GIVE_ORDER(ORDER_CLOSE);
	expect("loads-again", "far", 1024, 0, 0);

	GIVE_ORDER(ORDER_OPEN);
	load_all(near, 64 * KB, 8);
	GIVE_ORDER(ORDER_CLOSE);
	expect("many-loads-a-line", "near", 8192, 0, 1024);

	GIVE_ORDER(ORDER_OPEN);
	load_all(far + 128 * KB + LINE - 4, 64 * KB, 2 * LINE);
	GIVE_ORDER(ORDER_CLOSE);
	expect("loads-across-lines", "far", 512, 0, 1024);
}

static void
check_stores(void)
{
	GIVE_ORDER(ORDER_OPEN);
	store_all(far + 256 * KB, 32 * KB, LINE);
	store_all(far + 256 * KB, 32 * KB, LINE);
	GIVE_ORDER(ORDER_CLOSE);
	expect("stores", "far", 0, 1024, 512);
}

/** Twice as much as fits in one half of the cache, and more than all of it. */
static void
check_size(void)
{
	load_all(far + 1 * MB, 1 * MB, LINE);
	GIVE_ORDER(ORDER_OPEN);
	load_all(far + 1 * MB, 1 * MB, LINE);
	GIVE_ORDER(ORDER_CLOSE);
	expect("fits", "far", 16384, 0, 0);

	load_all(near + 2 * MB, 3 * MB, LINE);
	GIVE_ORDER(ORDER_OPEN);
	load_all(near + 2 * MB, 3 * MB, LINE);
	GIVE_ORDER(ORDER_CLOSE);
	expect("does-not-fit", "near", 49152, 0, 49152);
}

static void *
other_core(void *cpu)
{
	pin(*(int *)cpu);
	store_all(near + 6 * MB, 100 * LINE, LINE);
	load_all(near + 6 * MB, 64 * KB, LINE);
	return NULL;
}

static void
check_other_core(int cpu)
{
	pthread_t thread;

	load_all(near + 6 * MB, 64 * KB, LINE);
	if (pthread_create(&thread, NULL, other_core, &cpu) != 0)
		fail("pthread_create");
	pthread_join(thread, NULL);
	GIVE_ORDER(ORDER_OPEN);
	load_all(near + 6 * MB, 64 * KB, LINE);
	GIVE_ORDER(ORDER_CLOSE);
	expect("written-by-another-core", "near", 1024, 0, 100);
}

int
main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	pin(atoi(argv[1]));
	near = memory_on("near", atoi(argv[2]));
	far = memory_on("far", atoi(argv[4]));
	fflush(stdout);
	if (getchar() == EOF)
		return 1;
	GIVE_ORDER(ORDER_WATCH);
	check_loads();
	check_stores();
	check_size();
	check_other_core(atoi(argv[3]));
	return 0;
}
