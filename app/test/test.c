/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * dpdk-test [EAL options] [-- name...]
 *
 * Runs the named commands, or those of the environment variable DPDK_TEST
 * (separated by colons), or opens a prompt.  Exit status: 0 when all passed,
 * 255 when one failed, 77 when everything was skipped.
 */

#include <stdlib.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "test.h"

/*
 * Without a -d option a DPDK program that uses shared libraries loads every
 * installed driver.  Some of those bring the installed librte_vhost with them,
 * a second one beside the one under test.  The tests need the ring mempool
 * handler only.
 */
#define MEMPOOL_DRIVER RTE_EAL_PMD_PATH "/librte_mempool_ring" DPDK_SO

#define EXIT_TEST_FAILED 255

/** Arguments that the program takes, those that it adds included. */
#define MAX_ARGS 128

static bool
names_a_driver(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strncmp(argv[i], "-d", 2) == 0)
			return true;
	return false;
}

/** EAL's arguments with the driver in front; valid until the program ends. */
static char **
with_mempool_driver(int *argc, char **argv)
{
	static char option[] = "-d", driver[] = MEMPOOL_DRIVER;
	static char *copy[MAX_ARGS + 1];
	int n = 0;

	if (*argc + 2 > MAX_ARGS)
		rte_exit(EXIT_FAILURE, "more than %d arguments\n", MAX_ARGS - 2);
	copy[n++] = argv[0];
	copy[n++] = option;
	copy[n++] = driver;
	for (int i = 1; i < *argc; i++)
		copy[n++] = argv[i];
	*argc = n;
	return copy;
}

/** Counts by result, to turn many results into one exit status. */
struct tally {
	unsigned int passed, failed, skipped;
};

static void
tally_add(struct tally *t, int result)
{
	if (result == TEST_SUCCESS)
		t->passed++;
	else if (result == TEST_SKIPPED)
		t->skipped++;
	else
		t->failed++;
}

static int
tally_status(const struct tally *t)
{
	if (t->failed > 0)
		return EXIT_TEST_FAILED;
	if (t->passed == 0 && t->skipped > 0)
		return TEST_SKIPPED;
	return EXIT_SUCCESS;
}

/** Run "name:name"; the string is cut into pieces. */
static void
run_list(struct tally *t, char *names)
{
	char *save = NULL;

	for (char *name = strtok_r(names, ":", &save); name != NULL;
			name = strtok_r(NULL, ":", &save))
		tally_add(t, test_command_run(name));
}

static struct tally
run_what_was_asked(int argc, char **argv)
{
	struct tally t = { 0 };
	const char *env = getenv("DPDK_TEST");
	char *names;

	for (int i = 0; i < argc; i++)
		run_list(&t, argv[i]);
	if (argc > 0)
		return t;
	if (env == NULL || env[0] == '\0') {
		test_prompt();
		return t;
	}
	names = strdup(env);
	if (names == NULL)
		rte_exit(EXIT_FAILURE, "no memory for the test names\n");
	run_list(&t, names);
	free(names);
	return t;
}

int
main(int argc, char **argv)
{
	struct tally t;
	int used;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!test_environment_is_right())
		return EXIT_TEST_FAILED;
	if (!names_a_driver(argc, argv))
		argv = with_mempool_driver(&argc, argv);
	used = rte_eal_init(argc, argv);
	if (used < 0)
		rte_exit(EXIT_FAILURE, "EAL did not start: %s\n",
			rte_strerror(rte_errno));

	t = run_what_was_asked(argc - used - 1, argv + used + 1);
	if (test_case_is_missing()) {
		printf("DPDK_TEST_PARAMS: no test has a case of that name\n");
		t.failed++;
	}
	fflush(stdout);
	rte_eal_cleanup();
	return tally_status(&t);
}
