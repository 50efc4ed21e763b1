/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The guard when there is nothing left that it could use: addresses, mappings.
 * Each case uses them up in a child process, truncates a file there, and touches
 * what is gone.  The child lives, and found zeros.
 */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem_file.h"
#include "mem_guard.h"
#include "test.h"

#define PAGE 4096ULL
#define SMALL (1024 * PAGE)

/** Pages touched one by one: more than the guard could have in reserve. */
#define MANY 100
#define LARGE (4ULL << 30)
#define MIB (1ULL << 20)

/** What is behind a page that is not there, and page tables of ours. */
#define MORE_MIB 64

/** More mappings than any process may have by default. */
#define MAPPINGS_MAX (1u << 20)

/** Mappings that AddressSanitizer may need for the memory that the guard puts in place. */
#define SHADOWS 2

static const struct mem_owner owner = { .name = "test", .sock = -1 };

/** What a child has to go through. */
struct trial {
	size_t size;		/**< of the file that is truncated */
	bool lock;		/**< mlockall() first, as Open vSwitch does */
	bool fill;		/**< leave no addresses */
	bool split;		/**< leave no mappings */
	unsigned int pages;	/**< that are touched then */
	unsigned int more_mib;	/**< memory that the process may have more then; 0: MORE_MIB */
};

/** Map addresses until no page of them is left. */
static void
fill_addresses(void)
{
	for (size_t len = 1ULL << 46; len >= PAGE; len /= 2)
		while (mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				-1, 0) != MAP_FAILED)
			;
}

/**
 * Make mappings, of a range that was set aside for it, until the kernel makes no
 * more: the last by mmap(), which goes one further than mprotect() does.
 */
static void
split_mappings(uint8_t *range)
{
	for (unsigned int i = 0; i < MAPPINGS_MAX; i += 2)
		if (mprotect(range + i * PAGE, PAGE, PROT_READ) != 0)
			break;
	for (unsigned int i = 0; i < 4; i++)
		if (mmap(NULL, PAGE, i % 2 ? PROT_READ : PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0) == MAP_FAILED)
			break;
	/* What is mapped from now on has a shadow that AddressSanitizer maps. */
	if (TEST_ASAN)
		munmap(range, SHADOWS * 2 * PAGE);
}

static void
use_up(const struct trial *trial)
{
	uint8_t *range = NULL;

	if (trial->split)
		range = mmap(NULL, MAPPINGS_MAX * PAGE, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (trial->fill)
		fill_addresses();
	if (trial->split && range != MAP_FAILED)
		split_mappings(range);
}

/** Every other page from the end, so that no two are neighbours: what was found there. */
static unsigned int
touch(uint8_t *addr, const struct trial *trial)
{
	unsigned int found = 0;

	for (unsigned int i = 1; i <= trial->pages; i++) {
		volatile uint8_t *at = addr + trial->size - i * 2 * PAGE;

		found += *at;
		*at = 1;
	}
	return found;
}

/** Pages of memory that the process has, shared or not, or 0; none is allocated for the question. */
static long
resident_pages(void)
{
	char text[128] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	const char *second;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	close(fd);
	second = strchr(text, ' ');
	return second == NULL ? 0 : strtol(second, NULL, 10);
}

static void
ignore(int sig __rte_unused)
{
}

/** ThreadSanitizer takes memory for a thread's first signal, of which there is none later. */
static void
have_had_a_signal(void)
{
	signal(SIGUSR1, ignore);
	raise(SIGUSR1);
}

/** The child's life: 0 if all is as it should be. */
static int
go_through(const struct trial *trial)
{
	int fd = memfd_create("vhost-test-guard", MFD_CLOEXEC);
	struct mem_mapping *mapping;
	long before, after, most;

	alarm(50);
	have_had_a_signal();
	if (fd < 0 || ftruncate(fd, trial->size) < 0)
		return 1;
	/* nothing with AddressSanitizer, which has a mlockall() and munlock() of its own */
	if (trial->lock && mlockall(MCL_FUTURE) < 0)
		return 0;	/* not for us */
	if (vhost_mem_mapping_create(&owner, fd, trial->size, PAGE, &mapping) < 0)
		return 2;
	use_up(trial);
	if (ftruncate(fd, 0) < 0)
		return 3;
	/* the file's own pages were some, too */
	before = resident_pages();
	if (touch(vhost_mem_mapping_addr(mapping), trial) != 0)
		return 4;
	if (!vhost_mem_mapping_is_broken(mapping))
		return 5;
	after = resident_pages();
	most = (trial->more_mib != 0 ? trial->more_mib : MORE_MIB) * MIB / PAGE;
	return before <= 0 || after <= 0 || after - before > most ? 6 : 0;
}

static int
lives_through(const void *arg)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0)
		test_child_end(go_through(arg));
	TEST_ASSERT_EQUAL(waitpid(child, &status, 0), child, "its end");
	TEST_ASSERT(WIFEXITED(status), "died of signal %d", WTERMSIG(status));
	TEST_ASSERT_EQUAL(WEXITSTATUS(status), 0, "where it failed");
	return TEST_SUCCESS;
}

#define TRIAL(name, ...) \
	TEST_CASE_WITH(lives_through, name, (&(const struct trial){ __VA_ARGS__ }))

static const struct test_case cases[] = {
	TRIAL("nothing_is_used_up", .size = SMALL, .pages = MANY),
	TRIAL("no_addresses_are_left", .size = SMALL, .fill = true, .pages = MANY),
	TRIAL("no_mappings_are_left", .size = SMALL, .split = true, .pages = MANY),
	TRIAL("neither_is_left", .size = SMALL, .fill = true, .split = true, .pages = MANY),
	TRIAL("neither_is_left_for_a_large_range", .size = LARGE, .fill = true, .split = true,
		.pages = 4),
	TRIAL("a_locked_process_gets_no_memory_it_does_not_touch", .size = LARGE,
		.lock = true, .pages = 4),
	TRIAL("nor_if_it_were_little", .size = 32 * MIB, .lock = true, .pages = 4, .more_mib = 8),
	TRIAL("nor_without_addresses", .size = LARGE, .lock = true, .fill = true, .pages = 4),
	TRIAL("nor_without_mappings", .size = LARGE, .lock = true, .split = true, .fill = true,
		.pages = 4),
};

static int
test_vhost_guard(void)
{
	static const struct test_suite suite = {
		.name = "vhost guard", TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_guard_autotest, test_vhost_guard);
