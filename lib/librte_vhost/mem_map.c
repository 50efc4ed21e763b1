/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Mapping what a frontend describes and hands over, neither of which is trusted.
 *
 * The table is checked before any file is looked at, and a file before it is
 * mapped (mem_file.c).
 *
 * Mappings start at file offset 0 although a region starts at mmap_offset, since
 * that is what rte_vhost_get_mem_table() promises to applications.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_common.h>

#include "mem_map.h"
#include "vduse/kernel.h"
#include "vhost_log.h"
#include "vu_message.h"

/* Checking the table */

static bool
ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

/** What is wrong with region i, or NULL.  The ones below it are right. */
static const char *
region_fault(const struct vu_region *regions, unsigned int i)
{
	const struct vu_region *r = &regions[i];
	unsigned int k;

	if (r->size == 0)
		return "is empty";
	if (r->gpa + r->size < r->gpa)
		return "wraps in guest addresses";
	if (r->uva + r->size < r->uva)
		return "wraps in frontend addresses";
	if (r->mmap_offset + r->size < r->size)
		return "wraps in its file";
	for (k = 0; k < i; k++) {
		const struct vu_region *o = &regions[k];

		if (ranges_overlap(r->gpa, r->size, o->gpa, o->size))
			return "overlaps another one in guest addresses";
		if (ranges_overlap(r->uva, r->size, o->uva, o->size))
			return "overlaps another one in frontend addresses";
	}
	return NULL;
}

static int
regions_check(const struct mem_owner *owner, const struct vu_region *regions,
		unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		const struct vu_region *r = &regions[i];
		const char *fault = region_fault(regions, i);

		if (fault == NULL)
			continue;
		VHOST_LOG_CONFIG(ERR, "(%s) memory region %u %s (guest 0x%" PRIx64
			", frontend 0x%" PRIx64 ", size 0x%" PRIx64 ", offset 0x%"
			PRIx64 ")\n", owner->name, i, fault, r->gpa, r->uva, r->size,
			r->mmap_offset);
		return -EINVAL;
	}
	return 0;
}

/* Building */

/** Map what a region says; what is known of its file is in it. */
static int
region_map(const struct mem_owner *owner, unsigned int i, int fd, uint64_t offset,
		struct mem_region *r)
{
	int ret = vhost_mem_mapping_create_at(owner, fd, offset, r->mmap_size, r->page_size,
		&r->mapping);

	if (ret < 0)
		VHOST_LOG_CONFIG(ERR, "(%s) memory region %u: cannot map 0x%zx bytes: %s\n",
			owner->name, i, r->mmap_size, strerror(-ret));
	else
		r->mmap_addr = vhost_mem_mapping_addr(r->mapping);
	return ret;
}

/** There is no file, and so no end of it; it is far from its beginning, too. */
static int
domain_create(const struct mem_owner *owner, unsigned int i, const struct vu_region *wire,
		int fd, struct mem_region *r)
{
	const size_t page_size = sysconf(_SC_PAGESIZE);
	int ret;

	if (wire->mmap_offset % page_size != 0 || wire->size > SIZE_MAX - page_size) {
		VHOST_LOG_CONFIG(ERR, "(%s) memory region %u begins within a page\n",
			owner->name, i);
		return -EINVAL;
	}
	*r = (struct mem_region){
		.gpa = wire->gpa, .uva = wire->uva, .size = wire->size,
		.mmap_size = RTE_ALIGN_CEIL(wire->size, page_size),
		.page_size = page_size, .domain = true, .fd = fd,
	};
	ret = region_map(owner, i, fd, wire->mmap_offset, r);
	r->host = r->mmap_addr;
	return ret;
}

static int
region_create(const struct mem_owner *owner, unsigned int i, const struct vu_region *wire,
		int fd, struct mem_region *r)
{
	uint64_t end = wire->mmap_offset + wire->size;
	struct mem_file file;
	char what[32];
	int ret;

	if (owner->vduse && vhost_vduse_is_domain(fd))
		return domain_create(owner, i, wire, fd, r);
	snprintf(what, sizeof(what), "memory region %u", i);
	ret = vhost_mem_file_check(owner, what, fd, &file);
	if (ret < 0)
		return ret;
	if (end > file.size) {
		VHOST_LOG_CONFIG(ERR, "(%s) memory region %u ends at 0x%" PRIx64
			" of a file of 0x%" PRIx64 " bytes\n", owner->name, i, end, file.size);
		return -EINVAL;
	}
	*r = (struct mem_region){
		.gpa = wire->gpa, .uva = wire->uva, .size = wire->size,
		.mmap_size = RTE_ALIGN_CEIL(end, file.page_size),
		.page_size = file.page_size, .hugetlb = file.hugetlb,
		.fd = fd,
	};
	ret = region_map(owner, i, fd, 0, r);
	if (ret < 0)
		return ret;
	r->host = r->mmap_addr + wire->mmap_offset;
	return 0;
}

/** What a map is built from: n regions, each new, or of another map. */
struct blueprint {
	unsigned int n;
	struct vu_region wire[VHOST_MAX_REGIONS];
	const struct mem_region *shared[VHOST_MAX_REGIONS];	/**< NULL for a new one */
	struct mem_slot slots[VHOST_MAX_REGIONS];
	unsigned int ndisplaced;
	struct mem_displaced displaced[MEM_DISPLACED_MAX];
	int fds[VHOST_MAX_REGIONS];	/**< of new ones */
};

/** Map all regions or none. */
static int
map_regions(const struct mem_owner *owner, struct mem_map *map, const struct blueprint *plan)
{
	int ret;

	for (; map->nregions < plan->n; map->nregions++) {
		unsigned int i = map->nregions;

		if (plan->shared[i] != NULL) {
			map->regions[i] = *plan->shared[i];
			vhost_mem_mapping_get(map->regions[i].mapping);
			continue;
		}
		ret = region_create(owner, i, &plan->wire[i], plan->fds[i], &map->regions[i]);
		if (ret == 0)
			continue;
		while (i-- > 0)
			vhost_mem_mapping_put(map->regions[i].mapping);
		return ret;
	}
	return 0;
}

/** Build a map; descriptors of new regions are its own afterwards, and only then. */
static int
build(const struct mem_owner *owner, const struct blueprint *plan, struct mem_map **out)
{
	static uint64_t generations;
	int ret = regions_check(owner, plan->wire, plan->n);
	struct mem_map *map;
	unsigned int i;

	if (ret < 0)
		return ret;
	map = calloc(1, sizeof(*map));
	if (map == NULL)
		return -ENOMEM;
	ret = map_regions(owner, map, plan);
	if (ret < 0) {
		free(map);
		return ret;
	}
	for (i = 0; i < map->nregions; i++)
		if (plan->shared[i] == NULL)
			vhost_mem_mapping_keep_fd(map->regions[i].mapping, plan->fds[i]);
	memcpy(map->slots, plan->slots, sizeof(map->slots));
	memcpy(map->displaced, plan->displaced, sizeof(map->displaced));
	map->ndisplaced = plan->ndisplaced;
	map->refcnt = 1;
	map->generation = __atomic_add_fetch(&generations, 1, __ATOMIC_RELAXED);
	*out = map;
	return 0;
}

static int
too_many_regions(const struct mem_owner *owner, unsigned int n)
{
	VHOST_LOG_CONFIG(ERR, "(%s) memory table of %u regions\n", owner->name, n);
	return -EINVAL;
}

static bool
region_matches(const struct mem_region *r, const struct vu_region *wire, int fd)
{
	return r->gpa == wire->gpa && r->uva == wire->uva && r->size == wire->size &&
		(uint64_t)(r->host - r->mmap_addr) == wire->mmap_offset &&
		vhost_mem_file_is_same(r->fd, fd);
}

int
vhost_mem_map_find(const struct mem_map *map, const struct vu_region *region, int fd)
{
	unsigned int i;

	for (i = 0; map != NULL && i < map->nregions; i++) {
		const struct mem_region *r = &map->regions[i];

		/* of a domain the pages that are mapped may not be those that it has now */
		if (!r->domain && !vhost_mem_mapping_is_broken(r->mapping) &&
				region_matches(r, region, fd))
			return i;
	}
	return -1;
}

/** The same memory, described the same way, in an earlier map; or NULL. */
static const struct mem_region *
find_same(const struct mem_map *before, const struct vu_region *wire, int fd)
{
	int i = vhost_mem_map_find(before, wire, fd);

	return i >= 0 ? &before->regions[i] : NULL;
}

int
vhost_mem_map_renew_regions(const struct mem_owner *owner, const struct mem_map *before,
		const struct vu_region *regions, unsigned int n, int *fds, struct mem_map **map)
{
	struct blueprint plan = { .n = n };
	unsigned int i;
	int ret;

	if (n > RTE_DIM(plan.wire))
		return too_many_regions(owner, n);
	for (i = 0; i < plan.n; i++) {
		plan.wire[i] = regions[i];
		plan.fds[i] = fds[i];
		plan.shared[i] = find_same(before, &regions[i], fds[i]);
	}
	ret = build(owner, &plan, map);
	for (i = 0; i < plan.n && ret == 0; i++)
		if (plan.shared[i] == NULL)
			fds[i] = -1;
	return ret;
}

int
vhost_mem_map_renew(const struct mem_owner *owner, const struct mem_map *before,
		const struct vu_memory *table, int *fds, struct mem_map **map)
{
	if (table->nregions > RTE_DIM(table->regions))
		return too_many_regions(owner, table->nregions);
	return vhost_mem_map_renew_regions(owner, before, table->regions, table->nregions, fds,
		map);
}

int
vhost_mem_map_create(const struct mem_owner *owner, const struct vu_memory *table, int *fds,
		struct mem_map **map)
{
	return vhost_mem_map_renew(owner, NULL, table, fds, map);
}

/** Have region i of an earlier map in the new one as well. */
static void
share(struct blueprint *plan, const struct mem_map *before, unsigned int i)
{
	const struct mem_region *r = &before->regions[i];

	plan->shared[plan->n] = r;
	plan->slots[plan->n] = before->slots[i];
	plan->wire[plan->n++] = (struct vu_region){
		.gpa = r->gpa, .size = r->size, .uva = r->uva,
		.mmap_offset = r->host - r->mmap_addr,
	};
}

/** Have it make room: others will still remove it.  The oldest is forgotten for that. */
static void
displace(struct blueprint *plan, const struct mem_map *before, unsigned int i)
{
	const struct mem_region *r = &before->regions[i];

	memmove(&plan->displaced[1], &plan->displaced[0],
		(MEM_DISPLACED_MAX - 1) * sizeof(plan->displaced[0]));
	plan->displaced[0] = (struct mem_displaced){
		.gpa = r->gpa, .uva = r->uva, .size = r->size,
		.left = before->slots[i].repeats + 1,
	};
	plan->ndisplaced = RTE_MIN(plan->ndisplaced + 1, (unsigned int)MEM_DISPLACED_MAX);
}

static void
inherit_displaced(struct blueprint *plan, const struct mem_map *before)
{
	plan->ndisplaced = before->ndisplaced;
	memcpy(plan->displaced, before->displaced, sizeof(plan->displaced));
}

static bool
is_in_the_way(const struct mem_map *before, unsigned int i, const struct vu_region *region)
{
	const struct mem_region *r = &before->regions[i];

	return before->slots[i].leaving &&
		(ranges_overlap(r->gpa, r->size, region->gpa, region->size) ||
		ranges_overlap(r->uva, r->size, region->uva, region->size));
}

/** All of an earlier map that can stay when the region comes. */
static void
share_beside(struct blueprint *plan, const struct mem_map *before,
		const struct vu_region *region)
{
	unsigned int i;

	inherit_displaced(plan, before);
	for (i = 0; i < before->nregions; i++) {
		if (is_in_the_way(before, i, region))
			displace(plan, before, i);
		else
			share(plan, before, i);
	}
}

int
vhost_mem_map_add(const struct mem_owner *owner, const struct mem_map *before,
		const struct vu_region *region, int *fd, struct mem_map **map)
{
	struct blueprint plan = { 0 };
	int ret;

	if (before != NULL)
		share_beside(&plan, before, region);
	if (plan.n == VHOST_MAX_REGIONS)
		return too_many_regions(owner, plan.n + 1);
	plan.fds[plan.n] = *fd;
	plan.wire[plan.n++] = *region;
	ret = build(owner, &plan, map);
	if (ret == 0)
		*fd = -1;
	return ret;
}

/** Whether a request to remove a region means this one. */
static bool
is_named(const struct mem_region *r, const struct vu_region *region)
{
	return r->gpa == region->gpa && r->uva == region->uva && r->size == region->size;
}

void
vhost_mem_map_repeat(struct mem_map *map, unsigned int i)
{
	struct mem_slot *slot = &map->slots[i];

	slot->leaving = false;
	if (slot->repeats < UINT16_MAX)
		slot->repeats++;
}

static bool
release_repeated(struct mem_map *map, const struct vu_region *region)
{
	unsigned int i;

	for (i = 0; i < map->nregions; i++) {
		struct mem_slot *slot = &map->slots[i];

		if (slot->repeats == 0 || !is_named(&map->regions[i], region))
			continue;
		slot->repeats--;
		slot->leaving = true;
		return true;
	}
	return false;
}

static bool
release_displaced(struct mem_map *map, const struct vu_region *region)
{
	unsigned int i;

	for (i = 0; i < map->ndisplaced; i++) {
		struct mem_displaced *d = &map->displaced[i];

		if (d->left == 0 || d->gpa != region->gpa || d->uva != region->uva ||
				d->size != region->size)
			continue;
		d->left--;
		return true;
	}
	return false;
}

bool
vhost_mem_map_release(struct mem_map *map, const struct vu_region *region)
{
	return map != NULL && (release_displaced(map, region) || release_repeated(map, region));
}

int
vhost_mem_map_remove(const struct mem_owner *owner, const struct mem_map *before,
		const struct vu_region *region, struct mem_map **map)
{
	struct blueprint plan = { 0 };
	unsigned int i;

	if (before != NULL)
		inherit_displaced(&plan, before);
	for (i = 0; before != NULL && i < before->nregions; i++)
		if (!is_named(&before->regions[i], region))
			share(&plan, before, i);
	if (before != NULL && plan.n < before->nregions)
		return build(owner, &plan, map);
	VHOST_LOG_CONFIG(ERR, "(%s) no memory region at guest 0x%" PRIx64 ", frontend 0x%" PRIx64
		", size 0x%" PRIx64 "\n", owner->name, region->gpa, region->uva, region->size);
	return -ENOENT;
}

bool
vhost_mem_map_matches(const struct mem_map *map, const struct vu_memory *table,
		const int *fds)
{
	unsigned int i;

	if (vhost_mem_map_is_broken(map) || map->nregions != table->nregions)
		return false;
	for (i = 0; i < map->nregions; i++)
		if (!region_matches(&map->regions[i], &table->regions[i], fds[i]))
			return false;
	return true;
}

struct mem_map *
vhost_mem_map_get(struct mem_map *map)
{
	__atomic_fetch_add(&map->refcnt, 1, __ATOMIC_RELAXED);
	return map;
}

void
vhost_mem_map_put(struct mem_map *map)
{
	unsigned int i;

	if (map == NULL || __atomic_sub_fetch(&map->refcnt, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (i = 0; i < map->nregions; i++)
		vhost_mem_mapping_put(map->regions[i].mapping);
	free(map);
}

bool
vhost_mem_map_is_pinned(const struct mem_map *map)
{
	unsigned int i;

	for (i = 0; i < map->nregions; i++)
		if (!map->regions[i].hugetlb)
			return false;
	return true;
}

void
vhost_mem_map_reach(const struct mem_map *map)
{
	unsigned int i;

	for (i = 0; i < map->nregions; i++)
		vhost_mem_mapping_reach(map->regions[i].mapping);
}

bool
vhost_mem_map_is_broken(const struct mem_map *map)
{
	unsigned int i;

	for (i = 0; i < map->nregions; i++)
		if (vhost_mem_mapping_is_broken(map->regions[i].mapping))
			return true;
	return false;
}

bool
vhost_mem_region_is_same(const struct mem_region *a, const struct mem_region *b)
{
	return a->mapping == b->mapping && a->gpa == b->gpa && a->size == b->size &&
		a->host == b->host;
}

/* Looking up */

/** Whether [at, at + len) lies in [start, start + size). */
static bool
range_holds(uint64_t start, uint64_t size, uint64_t at, uint64_t len)
{
	return at - start < size && len <= size - (at - start);
}

void *
vhost_mem_map_from_uva(const struct mem_map *map, uint64_t uva, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < map->nregions; i++) {
		const struct mem_region *r = &map->regions[i];

		if (range_holds(r->uva, r->size, uva, len))
			return r->host + (uva - r->uva);
	}
	return NULL;
}

void *
vhost_mem_map_from_gpa(const struct mem_map *map, uint64_t gpa, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < map->nregions; i++) {
		const struct mem_region *r = &map->regions[i];

		if (range_holds(r->gpa, r->size, gpa, len))
			return r->host + (gpa - r->gpa);
	}
	return NULL;
}

const struct mem_region *
vhost_mem_map_region(const struct mem_map *map, const void *host, size_t len)
{
	unsigned int i;

	for (i = 0; i < map->nregions; i++) {
		const struct mem_region *r = &map->regions[i];

		if (range_holds((uintptr_t)r->host, r->size, (uintptr_t)host, len))
			return r;
	}
	return NULL;
}
