/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Which pages of a file have memory, and how to map those only.
 *
 * A window on the file is registered with userfaultfd for missing pages, for
 * faults of user space only.  MADV_POPULATE_READ on a page of it is a fault of
 * the kernel's: it maps a page that has memory, and fails at a missing one
 * without allocating it, without blocking and without a signal, also when the
 * file was truncated meanwhile.  No privilege is needed.  See numa_sample.c for
 * the kinds of memory and the kernels on which this was found exact.
 *
 * A hole costs a failed fault, about 9 us in memory of small pages.  So mincore()
 * is asked first, 16 pages in one call; the trap is there for what changes in
 * between.
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
 * A file that has to be fetched from somebody is not mapped a second time: a page
 * that is taken away between two questions would be waited for.
 *
 * Kernels before 5.14 have no MADV_POPULATE_READ: nothing is known then but the
 * pages that the process has mapped already.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
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

void
vhost_mem_probe_init(struct mem_probe *probe, const struct mem_region *region)
{
	uint64_t start = region->host - region->mmap_addr;
	uint64_t first = RTE_ALIGN_FLOOR(start, (uint64_t)region->page_size);
	uint64_t end = RTE_ALIGN_CEIL(start + region->size, (uint64_t)region->page_size);

	*probe = (struct mem_probe){
		.fd = region->fd,
		.offset = first,
		.npages = (end - first) / region->page_size,
		.page_size = region->page_size,
		.hugetlb = region->hugetlb,
		.mapping = region->mapping,
		.mapped = region->mmap_addr + first,
		.trap = -1,
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
			S_ISREG(stx.stx_mode) && stx.stx_dev_major != 0)
		return PROBE_DISK;
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
	probe->file_size = st.st_size;
	probe->full = st.st_size > 0 && bytes >= st.st_size;
	return bytes;
}

uint32_t
vhost_mem_probe_resident(const struct mem_probe *probe, uint64_t page, unsigned int n)
{
	unsigned char pages[MEM_PROBE_PAGES];
	uint32_t mask = 0;
	unsigned int i;

	if (probe->hugetlb)
		return (UINT32_C(1) << n) - 1;
	if (mincore(mem_probe_mapped(probe, page), n * probe->page_size, pages) < 0)
		return 0;
	for (i = 0; i < n; i++)
		mask |= (uint32_t)(pages[i] & 1) << i;
	return mask;
}

/** Whether mincore() tells the truth about a file. */
static bool
mincore_is_honest(const struct mem_probe *probe)
{
	size_t page = probe->page_size;
	unsigned char resident = 1;
	struct stat st;
	void *behind;

	if (fstat(probe->fd, &st) < 0)
		return false;
	behind = mmap(NULL, page, PROT_NONE, MAP_SHARED | MAP_NORESERVE, probe->fd,
		RTE_ALIGN_CEIL((uint64_t)st.st_size, page));
	if (behind == MAP_FAILED)
		return false;
	if (mincore(behind, page, &resident) < 0)
		resident = 1;
	munmap(behind, page);
	return (resident & 1) == 0;
}

/* The window */

/** Map it so that no page is populated, in a process that called mlockall() either. */
static int
open_window(struct mem_probe *probe)
{
	size_t size = probe->npages * probe->page_size;
	/* No reservation: it is not there to be filled. */
	void *at = mmap(NULL, size, PROT_NONE, MAP_SHARED | MAP_NORESERVE, probe->fd,
		probe->offset);
	int err;

	if (at == MAP_FAILED)
		return -errno;
	munlock(at, size);
	/* What is the guest's has no place in our core dumps; refused is no harm. */
	madvise(at, size, MADV_DONTDUMP);
	if (mprotect(at, size, PROT_READ) == 0) {
		probe->window = at;
		return 0;
	}
	err = errno;
	munmap(at, size);
	return -err;
}

/** Trap missing pages of the window: a descriptor, or a negative errno. */
static int
trap_missing(const struct mem_probe *probe)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { (uintptr_t)probe->window, probe->npages * probe->page_size },
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
choose_oracle(const struct mem_probe *probe)
{
	if (probe->trap >= 0)
		return PROBE_TRAPPED;
	if (probe->full)
		return PROBE_ALL;
	if (probe->hugetlb)
		return PROBE_CONTENT;
	return mincore_is_honest(probe) ? PROBE_MINCORE : PROBE_NOTHING;
}

int
vhost_mem_probe_arm(struct mem_probe *probe)
{
	int ret;

	if (probe->armed)
		return 0;
	if (probe_kind(probe) == PROBE_FOREIGN)
		return -ENOTSUP;
	if (probe->window == NULL) {
		ret = open_window(probe);
		if (ret < 0)
			return ret;
	}
	probe->trap = probe->kind == PROBE_MEMORY ? trap_missing(probe) : -1;
	probe->oracle = choose_oracle(probe);
	probe->armed = true;
	return 0;
}

void
vhost_mem_probe_disarm(struct mem_probe *probe)
{
	if (probe->armed && probe->trap >= 0)
		close(probe->trap);
	probe->trap = -1;
	probe->armed = false;
}

void
vhost_mem_probe_close(struct mem_probe *probe)
{
	if (probe->window != NULL)
		munmap(probe->window, probe->npages * probe->page_size);
	probe->window = NULL;
	vhost_mem_probe_disarm(probe);
}

bool
vhost_mem_probe_is_exact(const struct mem_probe *probe)
{
	return probe->oracle == PROBE_TRAPPED || probe->oracle == PROBE_ALL ||
		probe->oracle == PROBE_CONTENT;
}

/* Mapping pages */

static bool
reads_non_zero(int fd, uint64_t offset)
{
	static const uint8_t zero[CONTENT_SAMPLE];
	uint8_t sample[CONTENT_SAMPLE];
	ssize_t len = pread(fd, sample, sizeof(sample), offset);

	return len > 0 && memcmp(sample, zero, len) != 0;
}

/** Map pages that are all there: whether they were.  A hole costs more than a page. */
static bool
map_run(const struct mem_probe *probe, uint64_t page, unsigned int n, unsigned int *calls)
{
	bool there = probe->oracle != PROBE_CONTENT ||
		reads_non_zero(probe->fd, probe->offset + page * probe->page_size);

	there = there && madvise(mem_probe_window(probe, page), n * probe->page_size,
		MADV_POPULATE_READ) == 0;
	*calls += there ? 1 : 2;
	return there;
}

/** Map pages one by one: those that were there. */
static uint32_t
map_pages(const struct mem_probe *probe, uint64_t page, unsigned int n, unsigned int *calls)
{
	uint32_t mapped = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		if (map_run(probe, page + i, 1, calls))
			mapped |= UINT32_C(1) << i;
	return mapped;
}

uint32_t
vhost_mem_probe_map(const struct mem_probe *probe, uint64_t page, uint32_t mask,
		unsigned int *calls)
{
	uint32_t run, mapped = 0;
	unsigned int first, n;

	if (!probe->armed || probe->oracle == PROBE_NOTHING)
		return 0;
	for (; mask != 0; mask &= ~run) {
		first = __builtin_ctz(mask);
		n = __builtin_ctz(~(mask >> first));
		run = ((UINT32_C(1) << n) - 1) << first;
		/* of huge pages nobody has said that they are there */
		if (!probe->hugetlb && map_run(probe, page + first, n, calls))
			mapped |= run;
		else
			mapped |= map_pages(probe, page + first, n, calls) << first;
	}
	return mapped;
}
