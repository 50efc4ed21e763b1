/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Lives in child processes; see fault_run.h. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_memory.h>
#include <rte_mempool.h>

#include "test.h"
#include "vhost_fake_frontend.h"

#include "fault_run.h"

#define CHILD_SECONDS (TEST_ASAN ? 60 : 20)

/** Socket files that one life may have. */
#define PATHS_MAX 8

static struct fault_run *runs;
static unsigned int nruns;

int
fault_runs_init(unsigned int n)
{
	runs = mmap(NULL, n * sizeof(*runs), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (runs == MAP_FAILED)
		return -1;
	nruns = n;
	return 0;
}

void
fault_runs_fini(void)
{
	munmap(runs, nruns * sizeof(*runs));
	nruns = 0;
}

struct fault_run *
fault_run_idle(void)
{
	for (unsigned int i = 0; i < nruns; i++)
		if (runs[i].pid == 0)
			return &runs[i];
	return NULL;
}

/* ---- in the child ---- */

/** The file that DPDK's memory is in without hugepages; -1: in none. */
static int
memory_file(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[64];
	int fd = -1;

	while (dir != NULL && fd < 0 && (entry = readdir(dir)) != NULL) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		target[len > 0 ? len : 0] = '\0';
		if (strncmp(target, "/memfd:nohuge", strlen("/memfd:nohuge")) == 0)
			fd = atoi(entry->d_name);
	}
	if (dir != NULL)
		closedir(dir);
	return fd;
}

static int
copy_list(const struct rte_memseg_list *list, void *arg)
{
	int fd = *(int *)arg;

	if (list->external)
		return 0;
	return mmap(list->base_va, list->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
		fd, 0) == list->base_va ? 0 : -1;
}

/** Mbufs and DPDK's heap are those of the parent no longer, but as they were there. */
static int
take_copy_of_memory(void)
{
	int fd = memory_file();

	return fd < 0 ? 0 : rte_memseg_list_walk(copy_list, &fd);
}

/** Threads of the library may still be giving things back. */
static void
look_at_rest(struct fault_rest *rest, const struct fault_rest *expected)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	do {
		rest->fds = fake_count_fds();
		rest->mbufs = rte_mempool_avail_count(fake_pool());
		rest->nthings = fault_things(rest->things, FAULT_THINGS_MAX);
		if (expected == NULL ||
				(rest->fds <= expected->fds && rest->nthings <= expected->nthings))
			return;
		usleep(1000);
	} while (fake_now_ms() < until);
}

static void
live(struct fault_run *run, const struct story *story, const struct fault_rest *expected)
{
	alarm(CHILD_SECONDS);
	if (take_copy_of_memory() < 0)
		return;
	story_run(story, &run->fault, &run->result);
	/* the heap looks for an empty chunk that it may give back, the reaper closes */
	if (expected == NULL)
		usleep(100000);
	look_at_rest(&run->rest, expected);
	run->ended = true;
	fflush(stdout);
}

/* ---- in the parent ---- */

/** Who lives at the same time uses other paths. */
static void
reserve_paths(void)
{
	char path[108];

	for (unsigned int i = 0; i < PATHS_MAX; i++)
		fake_new_path(path, sizeof(path));
}

int
fault_run_begin(struct fault_run *run, const struct story *story,
		const struct fault_rest *expected)
{
	pid_t pid;

	run->ended = false;
	fflush(stdout);
	reserve_paths();
	pid = fork();
	if (pid == 0) {
		live(run, story, expected);
		_exit(EXIT_SUCCESS);
	}
	if (pid < 0)
		return -1;
	run->pid = pid;
	return 0;
}

struct fault_run *
fault_run_ended(void)
{
	int status;
	pid_t pid = wait(&status);

	for (unsigned int i = 0; pid > 0 && i < nruns; i++)
		if (runs[i].pid == pid) {
			runs[i].status = status;
			runs[i].pid = 0;
			return &runs[i];
		}
	return NULL;
}
