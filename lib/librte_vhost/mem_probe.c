/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Which pages of a file have memory, and how to map those only.
 *
 * A window on some pages of the file is registered with userfaultfd for missing
 * pages, for faults of user space only.  MADV_POPULATE_READ on a page of it is a fault
 * of the kernel's: it maps a page that has memory, and fails at a missing one without
 * allocating it, without blocking and without a signal, also when the file was
 * truncated meanwhile.  No privilege is needed.  See numa_sample.c for the kinds of
 * memory and the kernels on which this was found exact.
 *
 * A hole costs a failed fault, up to 9 us.  So mincore() is asked first, a run of
 * pages in one call; the trap is there for what changes in between.
 *
 * The runs lie side by side, although they are far apart in the file: so they share
 * page tables, of which each new one costs more than all the pages in it; and what
 * has memory is mapped in one call, across runs.  The price is a mapping for each
 * run, and a process may have 65530 (vm.max_map_count): beyond RUNS_MAX no window
 * stays open.
 *
 * Where userfaultfd is denied (seccomp profiles of containers) or does not know
 * the kind of file (disk files), the next best answer is taken:
 * - the file has as many blocks as its size: no page is missing;
 * - mincore(), for all but hugetlbfs, where it sees our own page tables only.
 *   For a file that belongs to another user it answers "resident" whatever the
 *   truth is, so it is first asked for a page that cannot be: one behind the end;
 * - on hugetlbfs, a page whose beginning is not zero; reading a hole with
 *   pread() allocates nothing there.
 *
 * A file that has to be fetched from somebody is never asked to be: its size is what
 * the kernel remembers, and only pages that it has are mapped.  What is no regular
 * file is not mapped a second time at all.
 *
 * Kernels before 5.14 have no MADV_POPULATE_READ: nothing is known then but the
 * pages that the process has mapped already.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include <rte_common.h>

#include "mem_probe.h"

/* Younger than the C library's headers. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

/** How much of a page is read to find out that it is not zero. */
#define CONTENT_SAMPLE 4096u

/** Blocks of st_blocks. */
#define BLOCK_SIZE 512

/** Runs of windows that are open in this process; atomic. */
static unsigned int open_runs;

/** How many may stay open: a quarter of the mappings that a process may have. */
#define RUNS_MAX 16384u

void
vhost_mem_probe_init(struct mem_probe *probe, const struct mem_region *region)
{
	uint64_t start = region->host - region->mmap_addr;
	uint64_t first = RTE_ALIGN_FLOOR(start, (uint64_t)region->page_size);
	uint64_t end = RTE_ALIGN_CEIL(start + region->size, (uint64_t)region->page_size);

	*probe = (struct mem_probe){
		.mapping = region->mapping,
		.fd = region->fd,
		.offset = first,
		.npages = (end - first) / region->page_size,
		.page_size = region->page_size,
		.hugetlb = region->hugetlb,
		.mapped = region->mmap_addr + first,
	};
}

/* The file */

/** What kind of file it is; asks nobody but this kernel. */
static enum mem_probe_kind
kind_of(int fd)
{
	struct statx stx;

	if (fcntl(fd, F_GET_SEALS) >= 0)
		return PROBE_MEMORY;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) == 0 &&
			S_ISREG(stx.stx_mode))
		return PROBE_CACHE;
	return PROBE_FOREIGN;
}

static enum mem_probe_kind
probe_kind(struct mem_probe *probe)
{
	if (probe->kind == PROBE_UNSEEN)
		probe->kind = kind_of(probe->fd);
	return probe->kind;
}

int64_t
vhost_mem_probe_bytes(struct mem_probe *probe)
{
	struct stat st;
	int64_t bytes;

	probe->full = false;
	if (probe_kind(probe) != PROBE_MEMORY || fstat(probe->fd, &st) < 0)
		return -1;
	bytes = st.st_blocks * BLOCK_SIZE;
	probe->full = st.st_size > 0 && bytes >= st.st_size;
	return bytes;
}

int
vhost_mem_probe_reopen(struct mem_probe *probe)
{
	char path[32];

	if (probe_kind(probe) != PROBE_MEMORY || probe->hugetlb)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", probe->fd);
	/* a lease of the frontend's makes others wait */
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

bool
vhost_mem_probe_next_data(const struct mem_probe *probe, int fd, uint64_t *page)
{
	off_t at = lseek(fd, probe->offset + *page * probe->page_size, SEEK_DATA);

	if (at < 0)
		return false;
	*page = (at - probe->offset) / probe->page_size;
	return *page < probe->npages;
}

uint32_t
vhost_mem_probe_resident(const struct mem_probe *probe, const struct mem_run *run)
{
	unsigned char pages[MEM_RUN_PAGES];
	uint32_t mask = 0;
	unsigned int i;

	/* it tells of small pages, which a device's are not */
	if (probe->page_size != (size_t)sysconf(_SC_PAGESIZE))
		return 0;
	if (mincore(mem_probe_page(probe, run->page), run->n * probe->page_size, pages) < 0)
		return 0;
	for (i = 0; i < run->n; i++)
		mask |= (uint32_t)(pages[i] & 1) << i;
	return mask;
}

/** Whether mincore() tells the truth about a file. */
static bool
mincore_is_honest(const struct mem_probe *probe)
{
	size_t page = probe->page_size;
	unsigned char resident = 1;
	struct statx stx;
	void *behind;

	if (statx(probe->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &stx) < 0)
		return false;
	behind = mmap(NULL, page, PROT_NONE, MAP_SHARED | MAP_NORESERVE, probe->fd,
		RTE_ALIGN_CEIL((uint64_t)stx.stx_size, page));
	if (behind == MAP_FAILED)
		return false;
	if (mincore(behind, page, &resident) < 0)
		resident = 1;
	munmap(behind, page);
	return (resident & 1) == 0;
}

/* The window */

/** Address space for the window, aligned to its pages. */
static int
reserve(struct mem_window *window, const struct mem_probe *probe)
{
	size_t size = window->npages * probe->page_size;
	/* ordinary mappings are aligned as they are */
	size_t extra = probe->hugetlb ? probe->page_size : 0;

	window->reserved_size = size + extra;
	window->reserved = mmap(NULL, window->reserved_size, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (window->reserved == MAP_FAILED)
		return -errno;
	window->at = RTE_PTR_ALIGN_CEIL(window->reserved, probe->page_size);
	return 0;
}

/**
 * Map the runs so that no page is populated, in a process that called
 * mlockall(MCL_FUTURE) either.
 */
static int
map_runs(const struct mem_window *window, const struct mem_probe *probe,
		const struct mem_run *runs)
{
	uint8_t *at = window->at;
	unsigned int i;

	for (i = 0; i < window->nruns; i++) {
		size_t size = runs[i].n * probe->page_size;

		/* no reservation: it is not there to be filled */
		if (mmap(at, size, PROT_NONE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, probe->fd,
				probe->offset + runs[i].page * probe->page_size) == MAP_FAILED)
			return -errno;
		at += size;
	}
	munlock(window->at, at - window->at);
	/* What is the guest's has no place in our core dumps; refused is no harm. */
	madvise(window->at, at - window->at, MADV_DONTDUMP);
	return mprotect(window->at, at - window->at, PROT_READ) < 0 ? -errno : 0;
}

static int
open_window(struct mem_window *window, const struct mem_probe *probe, const struct mem_run *runs,
		unsigned int nruns)
{
	unsigned int i;
	int ret;

	*window = (struct mem_window){
		.page_size = probe->page_size, .nruns = nruns, .trap = -1,
	};
	for (i = 0; i < nruns; i++)
		window->npages += runs[i].n;
	ret = reserve(window, probe);
	if (ret < 0)
		return ret;
	__atomic_fetch_add(&open_runs, nruns, __ATOMIC_RELAXED);
	ret = map_runs(window, probe, runs);
	if (ret < 0)
		vhost_mem_window_close(window);
	return ret;
}

void
vhost_mem_window_close(struct mem_window *window)
{
	vhost_mem_window_disarm(window);
	if (window->at == NULL)
		return;
	munmap(window->reserved, window->reserved_size);
	window->at = NULL;
	__atomic_fetch_sub(&open_runs, window->nruns, __ATOMIC_RELAXED);
}

bool
vhost_mem_window_may_stay(const struct mem_window *window __rte_unused)
{
	return __atomic_load_n(&open_runs, __ATOMIC_RELAXED) <= RUNS_MAX;
}

/** Trap missing pages of the window: a descriptor, or a negative errno. */
static int
trap_missing(const struct mem_window *window)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { (uintptr_t)window->at, window->npages * window->page_size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	int err;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) == 0 && ioctl(fd, UFFDIO_REGISTER, &range) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

static enum mem_probe_oracle
choose_oracle(const struct mem_window *window, const struct mem_probe *probe)
{
	if (window->trap >= 0)
		return PROBE_TRAPPED;
	if (probe->full)
		return PROBE_ALL;
	if (probe->hugetlb)
		return PROBE_CONTENT;
	return mincore_is_honest(probe) ? PROBE_MINCORE : PROBE_NOTHING;
}

int
vhost_mem_window_arm(struct mem_window *window, struct mem_probe *probe,
		const struct mem_run *runs, unsigned int nruns)
{
	int ret;

	if (probe_kind(probe) == PROBE_FOREIGN)
		return -ENOTSUP;
	if (window->at == NULL) {
		ret = open_window(window, probe, runs, nruns);
		if (ret < 0)
			return ret;
	}
	window->trap = trap_missing(window);
	window->oracle = choose_oracle(window, probe);
	return 0;
}

void
vhost_mem_window_disarm(struct mem_window *window)
{
	if (window->oracle != PROBE_NOTHING && window->trap >= 0)
		close(window->trap);
	window->trap = -1;
	window->oracle = PROBE_NOTHING;
}

bool
vhost_mem_window_is_exact(const struct mem_window *window)
{
	return window->oracle == PROBE_TRAPPED || window->oracle == PROBE_ALL ||
		window->oracle == PROBE_CONTENT;
}

/* Mapping pages */

static void
spend(unsigned int *budget, unsigned int calls)
{
	*budget -= RTE_MIN(*budget, calls);
}

/** Where in the file a page of the window is. */
static uint64_t
file_offset(const struct mem_probe *probe, const struct mem_run *runs, unsigned int i)
{
	for (; i >= runs->n; runs++)
		i -= runs->n;
	return probe->offset + (runs->page + i) * probe->page_size;
}

static bool
reads_non_zero(int fd, uint64_t offset)
{
	static const uint8_t zero[CONTENT_SAMPLE];
	uint8_t sample[CONTENT_SAMPLE];
	ssize_t len = pread(fd, sample, sizeof(sample), offset);

	return len > 0 && memcmp(sample, zero, len) != 0;
}

/** Map pages that are all there: whether they were. */
static bool
map_all(const struct mem_window *window, unsigned int i, unsigned int n, unsigned int *budget)
{
	bool there = madvise(mem_window_page(window, i), n * window->page_size,
		MADV_POPULATE_READ) == 0;

	spend(budget, there ? 1 : 2);
	return there;
}

/** Map what is there of some pages: if not all are, of each half of them. */
static unsigned int /* NOLINTNEXTLINE(misc-no-recursion): not deeper than the bits of n */
map_some(const struct mem_window *window, unsigned int i, unsigned int n, unsigned int *budget)
{
	if (n == 0 || *budget == 0)
		return 0;
	if (map_all(window, i, n, budget))
		return n;
	if (n == 1)
		return 0;
	return map_some(window, i, n / 2, budget) +
		map_some(window, i + n / 2, n - n / 2, budget);
}

/** The same, only those with content. */
static unsigned int
map_by_content(const struct mem_window *window, const struct mem_probe *probe,
		const struct mem_run *runs, unsigned int i, unsigned int n, unsigned int *budget)
{
	unsigned int mapped = 0;

	for (; n > 0 && *budget > 0; i++, n--) {
		spend(budget, 1);
		if (reads_non_zero(probe->fd, file_offset(probe, runs, i)))
			mapped += map_all(window, i, 1, budget);
	}
	return mapped;
}

unsigned int
vhost_mem_window_map(const struct mem_window *window, const struct mem_probe *probe,
		const struct mem_run *runs, unsigned int i, unsigned int n, unsigned int *budget)
{
	switch (window->oracle) {
	case PROBE_NOTHING:
		return 0;
	case PROBE_CONTENT:
		return map_by_content(window, probe, runs, i, n, budget);
	default:
		return map_some(window, i, n, budget);
	}
}
