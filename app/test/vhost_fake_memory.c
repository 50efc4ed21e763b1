/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Guest memory: one file per region.
 *
 *	0            4096                4096 + size          end of file
 *	| guard AA   | the region        | guard AA (>= 4096) |
 *
 * The library is told of the middle part (mmap_offset 4096).  A region does not
 * end on a page border unless the test wants it, so that a write beyond its end
 * lands in the guard and not in a fault.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/memfd.h>
#include <linux/mempolicy.h>

#include "test.h"
#include "vhost_fake_frontend.h"

#define GUARD 4096
#define HUGE_PAGE (2ULL << 20)

static int
region_bind(struct fake_region *r, int node)
{
	unsigned long mask[4] = { 0 };

	if (node == 0)
		return 0;
	node--;
	mask[node / 64] = 1UL << (node % 64);
	if (syscall(SYS_mbind, r->map, r->map_len, MPOL_BIND, mask,
			sizeof(mask) * 8, 0) == 0)
		return 0;
	printf("fake: mbind to node %d: %s\n", node, strerror(errno));
	return -1;
}

/** A file without a name: in a folder, or in none. */
static int
region_open(const struct fake_config *cfg)
{
	unsigned int flags = MFD_CLOEXEC |
		(cfg->hugepages ? MFD_HUGETLB | MFD_HUGE_2MB : 0);
	char path[128];
	int fd;

	if (cfg->memory_in == NULL)
		return syscall(SYS_memfd_create, "fake-guest", flags);
	snprintf(path, sizeof(path), "%s/fake-guest-XXXXXX", cfg->memory_in);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int
region_map(struct fake *fe, struct fake_region *r)
{
	r->fd = region_open(&fe->cfg);
	if (r->fd < 0 || ftruncate(r->fd, r->map_len) < 0)
		return -1;
	r->map = mmap(NULL, r->map_len, PROT_READ | PROT_WRITE, MAP_SHARED,
		r->fd, 0);
	return r->map == MAP_FAILED ? -1 : 0;
}

static void
region_paint_guards(struct fake_region *r)
{
	uint64_t end = r->wire.mmap_offset + r->wire.size;

	memset(r->map, FAKE_GUARD_BYTE, GUARD);
	memset(r->map + end, FAKE_GUARD_BYTE, r->map_len - end);
}

int
fake_region_create(struct fake *fe, uint64_t gpa, uint64_t size, int node)
{
	uint64_t align = fe->cfg.hugepages ? HUGE_PAGE : GUARD;
	struct fake_region *r = &fe->regions[fe->nregions];

	if (fe->nregions == FE_MAX_REGIONS)
		return -1;
	r->map_len = RTE_ALIGN_CEIL(GUARD + size + GUARD, align);
	if (region_map(fe, r) < 0) {
		printf("fake: guest memory: %s\n", strerror(errno));
		if (r->fd >= 0)
			close(r->fd);
		return -1;
	}
	r->va = r->map + GUARD;
	r->used = 0;
	r->wire = (struct fake_mem_region){
		.gpa = gpa, .size = size, .uva = (uintptr_t)r->va,
		.mmap_offset = GUARD,
	};
	fe->nregions++;
	if (region_bind(r, node) < 0)
		return -1;
	if (fe->cfg.prealloc)
		memset(r->va, 0, r->wire.size);
	region_paint_guards(r);
	return 0;
}

int
fake_memory_discard(struct fake *fe)
{
	for (unsigned int i = 0; i < fe->nregions; i++) {
		const struct fake_region *r = &fe->regions[i];

		if (fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				r->map_len) < 0)
			return -1;
	}
	return 0;
}

void
fake_guards_paint(struct fake *fe)
{
	for (unsigned int i = 0; i < fe->nregions; i++)
		region_paint_guards(&fe->regions[i]);
}

void
fake_regions_destroy(struct fake *fe)
{
	for (unsigned int i = 0; i < fe->nregions; i++) {
		munmap(fe->regions[i].map, fe->regions[i].map_len);
		if (fe->regions[i].fd >= 0)
			close(fe->regions[i].fd);
	}
	fe->nregions = 0;
}

/** First byte of the range that is no guard any more, or the range's end. */
static const uint8_t *
guard_scan(const uint8_t *at, const uint8_t *end)
{
	while (at < end && *at == FAKE_GUARD_BYTE)
		at++;
	return at;
}

bool
fake_guards_intact(struct fake *fe)
{
	bool intact = true;

	for (unsigned int i = 0; i < fe->nregions; i++) {
		struct fake_region *r = &fe->regions[i];
		const uint8_t *tail = r->va + r->wire.size;
		/* A page is enough: the rest of a huge page is not touched. */
		const uint8_t *end = RTE_MIN(tail + 2 * GUARD,
			(const uint8_t *)r->map + r->map_len);
		const uint8_t *bad = guard_scan(tail, end);

		if (bad != end) {
			printf("fake: region %u: byte %td behind its end changed\n",
				i, bad - tail);
			intact = false;
		}
		bad = guard_scan(r->map, r->va);
		if (bad != r->va) {
			printf("fake: region %u: byte %td before its start changed\n",
				i, r->va - bad);
			intact = false;
		}
	}
	return intact;
}

uint64_t
fake_alloc(struct fake *fe, unsigned int region, uint64_t size, uint64_t align)
{
	struct fake_region *r = &fe->regions[region];
	uint64_t gpa;

	if (region >= fe->nregions)
		return 0;
	gpa = RTE_ALIGN_CEIL(r->wire.gpa + r->used, align);
	if (gpa + size > r->wire.gpa + r->wire.size) {
		printf("fake: region %u is full\n", region);
		return 0;
	}
	r->used = gpa + size - r->wire.gpa;
	return gpa;
}

/** Where this address is and how many bytes of its region follow; or NULL. */
static uint8_t *
va_of(const struct fake *fe, uint64_t gpa, uint64_t *room)
{
	for (unsigned int i = 0; i < fe->nregions; i++) {
		const struct fake_region *r = &fe->regions[i];

		if (gpa - r->wire.gpa < r->wire.size) {
			*room = r->wire.size - (gpa - r->wire.gpa);
			return r->va + (gpa - r->wire.gpa);
		}
	}
	return NULL;
}

void *
fake_va(const struct fake *fe, uint64_t gpa, uint64_t len)
{
	uint64_t room;
	uint8_t *va = va_of(fe, gpa, &room);

	return va != NULL && room >= len ? va : NULL;
}

/** One of the two pointers is NULL; the copy goes to the other. */
static bool
copy_guest(const struct fake *fe, uint64_t gpa, void *to, const void *from,
		size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint64_t room;
		uint8_t *va = va_of(fe, gpa + done, &room);
		size_t n = RTE_MIN(len - done, room);

		if (va == NULL)
			return false;
		if (to != NULL)
			memcpy((uint8_t *)to + done, va, n);
		else
			memcpy(va, (const uint8_t *)from + done, n);
		done += n;
	}
	return true;
}

bool
fake_read_guest(const struct fake *fe, uint64_t gpa, void *to, size_t len)
{
	return copy_guest(fe, gpa, to, NULL, len);
}

bool
fake_write_guest(const struct fake *fe, uint64_t gpa, const void *from,
		size_t len)
{
	return copy_guest(fe, gpa, NULL, from, len);
}
