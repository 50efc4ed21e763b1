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
 * file was truncated meanwhile.  No privilege is needed.  See placement.c for
 * the kinds of memory and the kernels on which this was found exact.
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

#include "mem_file.h"
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

/** Trap missing pages of the window: a descriptor, or a negative errno. */
static int
trap_missing(const struct mem_probe *probe)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { (uintptr_t)probe->window, probe->region->mmap_size },
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

static bool
is_populated_file(int fd)
{
	struct stat st;

	/* On disk files blocks are not memory. */
	return fcntl(fd, F_GET_SEALS) >= 0 && fstat(fd, &st) == 0 &&
		st.st_size > 0 && st.st_blocks >= st.st_size / BLOCK_SIZE;
}

/** Whether mincore() tells the truth about a file. */
static bool
mincore_is_honest(const struct mem_region *region)
{
	size_t page = region->page_size;
	unsigned char resident = 1;
	struct stat st;
	void *behind;

	if (fstat(region->fd, &st) < 0)
		return false;
	behind = mmap(NULL, page, PROT_NONE, MAP_SHARED | MAP_NORESERVE, region->fd,
		RTE_ALIGN_CEIL((uint64_t)st.st_size, page));
	if (behind == MAP_FAILED)
		return false;
	if (mincore(behind, page, &resident) < 0)
		resident = 1;
	munmap(behind, page);
	return (resident & 1) == 0;
}

static enum mem_probe_oracle
choose_oracle(const struct mem_probe *probe)
{
	if (probe->trap >= 0)
		return PROBE_TRAPPED;
	if (is_populated_file(probe->region->fd))
		return PROBE_ALL;
	if (probe->region->hugetlb)
		return PROBE_CONTENT;
	return mincore_is_honest(probe->region) ? PROBE_MINCORE : PROBE_NOTHING;
}

int
vhost_mem_probe_open(struct mem_probe *probe, const struct mem_region *region)
{
	*probe = (struct mem_probe){
		.region = region,
		/* No reservation: the window is not there to be filled. */
		.window = vhost_mem_file_map(region->fd, region->mmap_size,
			PROT_READ, MAP_NORESERVE),
	};
	if (probe->window == NULL)
		return -errno;
	probe->trap = trap_missing(probe);
	probe->oracle = choose_oracle(probe);
	return 0;
}

void
vhost_mem_probe_close(struct mem_probe *probe)
{
	munmap(probe->window, probe->region->mmap_size);
	if (probe->trap >= 0)
		close(probe->trap);
}

static bool
reads_non_zero(int fd, uint64_t offset)
{
	static const uint8_t zero[CONTENT_SAMPLE];
	uint8_t sample[CONTENT_SAMPLE];
	ssize_t len = pread(fd, sample, sizeof(sample), offset);

	return len > 0 && memcmp(sample, zero, len) != 0;
}

static bool
has_memory(const struct mem_probe *probe, uint8_t *page, uint64_t offset)
{
	unsigned char resident = 0;

	switch (probe->oracle) {
	case PROBE_TRAPPED:
	case PROBE_ALL:
		return true;
	case PROBE_MINCORE:
		return mincore(page, 1, &resident) == 0 && (resident & 1) != 0;
	case PROBE_CONTENT:
		return reads_non_zero(probe->region->fd, offset);
	default:
		return false;
	}
}

void *
vhost_mem_probe_page(const struct mem_probe *probe, uint64_t offset)
{
	size_t page_size = probe->region->page_size;
	uint64_t start = RTE_ALIGN_FLOOR(offset, page_size);
	uint8_t *page = probe->window + start;

	if (!has_memory(probe, page, start))
		return NULL;
	return madvise(page, page_size, MADV_POPULATE_READ) == 0 ? page : NULL;
}
