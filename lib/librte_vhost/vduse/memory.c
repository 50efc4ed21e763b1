/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * A range is a region of the memory map and an entry of the IOTLB; both call its bytes
 * by their IOVA.  The kernel's own driver has a range for each ring, all in one file of
 * the kernel's, at offsets that are their IOVAs: neighbours of these are one region,
 * since a map has few.  In between is nothing that an entry leads to.
 *
 * Ranges are looked for from IOVA 0 on, each behind the last one, so that a device's
 * driver finds all translated that it has mapped.  One that cannot be mapped (a file
 * that is none, or a server's) is left out: who uses it finds no translation.
 *
 * Nothing of the kernel's own memory is kept from one time to the next: behind the same
 * IOVA is another page after it was freed, which a mapping does not follow.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/vduse.h>

#include <rte_common.h>

#include "vduse/kernel.h"
#include "vduse/memory.h"
#include "reaper.h"
#include "ring.h"
#include "ring_locate.h"
#include "vhost_log.h"
#include "vu_message.h"

/** Between ranges that are one region. */
#define GAP_MAX (UINT64_C(1) << 20)

/** Ranges as they are found. */
struct finding {
	struct vduse_memory ranges;
	unsigned int nregions;
	struct vu_region regions[VHOST_MAX_REGIONS];
	bool domain[VHOST_MAX_REGIONS];		/**< region is memory of the kernel's own */
	int fds[VHOST_MAX_REGIONS];
	bool full;		/**< more regions than a map has */
};

static struct mem_owner
owner_of(const struct vhost_device *dev)
{
	return (struct mem_owner){
		.name = dev->driver.path, .quota = dev->driver.quota, .sock = -1, .vduse = true,
	};
}

/* Finding */

/** Ask for the first range from an IOVA on: its descriptor, or a negative errno. */
static int
ask_range(int fd, uint64_t from, struct vduse_iotlb_entry *entry)
{
	int ret;

	*entry = (struct vduse_iotlb_entry){ .start = from, .last = UINT64_MAX };
	ret = vhost_vduse_ioctl(fd, VDUSE_IOTLB_GET_FD, entry);
	/* what was found before is said again by nobody but a kernel that does not find its way */
	if (ret >= 0 && (entry->start < from || entry->last < entry->start ||
			entry->last - entry->start == UINT64_MAX ||
			entry->perm < VDUSE_ACCESS_RO || entry->perm > VDUSE_ACCESS_RW ||
			entry->offset > UINT64_MAX - (entry->last - entry->start) - 1)) {
		close(ret);
		return -EPROTO;
	}
	return ret;
}

static uint64_t
size_of(const struct vduse_iotlb_entry *entry)
{
	return entry->last - entry->start + 1;
}

/** The region that a range of the kernel's own memory goes on, or NULL. */
static struct vu_region *
neighbour(struct finding *found, const struct vduse_iotlb_entry *entry)
{
	const unsigned int n = found->nregions;
	struct vu_region *region;

	if (n == 0 || !found->domain[n - 1])
		return NULL;
	region = &found->regions[n - 1];
	if (entry->offset - entry->start != region->mmap_offset - region->gpa ||
			entry->start - region->gpa > region->size + GAP_MAX)
		return NULL;
	return region;
}

/** Whether a file that the kernel named can be mapped; the reason is logged if not. */
static bool
file_is_fit(const struct mem_owner *owner, int fd, const struct vduse_iotlb_entry *entry)
{
	struct mem_file file;
	char what[64];

	/* no address is behind it */
	if (entry->last == UINT64_MAX)
		return false;
	snprintf(what, sizeof(what), "memory at IOVA 0x%" PRIx64, (uint64_t)entry->start);
	if (vhost_mem_file_check(owner, what, fd, &file) < 0)
		return false;
	if (entry->offset + size_of(entry) <= file.size)
		return true;
	VHOST_LOG_CONFIG(ERR, "(%s) %s ends behind its file of 0x%" PRIx64 " bytes\n",
		owner->name, what, file.size);
	return false;
}

/** Have a region for a range, which takes over fd: whether there is one. */
static bool
add_region(struct finding *found, const struct mem_owner *owner, int fd,
		const struct vduse_iotlb_entry *entry)
{
	const bool domain = vhost_vduse_is_domain(fd);
	struct vu_region *region = domain ? neighbour(found, entry) : NULL;
	unsigned int n = found->nregions;

	if (region != NULL) {
		region->size = entry->last - region->gpa + 1;
		close(fd);
		return true;
	}
	found->full |= n == VHOST_MAX_REGIONS;
	if (n == VHOST_MAX_REGIONS || (!domain && !file_is_fit(owner, fd, entry))) {
		vhost_reap(owner->quota, fd);
		return false;
	}
	found->regions[n] = (struct vu_region){
		.gpa = entry->start, .uva = entry->start, .size = size_of(entry),
		.mmap_offset = entry->offset,
	};
	found->domain[n] = domain;
	found->fds[n] = fd;
	found->nregions++;
	return true;
}

static void
add_entry(struct vduse_memory *ranges, const struct vduse_iotlb_entry *entry)
{
	ranges->offsets[ranges->n] = entry->offset;
	ranges->entries[ranges->n++] = (struct mem_iotlb_entry){
		.iova = entry->start, .uva = entry->start, .size = size_of(entry),
		.access = entry->perm,
	};
}

static void
find_ranges(struct finding *found, const struct mem_owner *owner, int fd)
{
	struct vduse_iotlb_entry entry;
	uint64_t from = 0;
	unsigned int i;
	int ret;

	/* what has no region counts as well: nobody waits for this to end */
	for (i = 0; i < VDUSE_RANGES_MAX; i++, from = entry.last + 1) {
		ret = ask_range(fd, from, &entry);
		if (ret < 0)
			break;
		if (add_region(found, owner, ret, &entry))
			add_entry(&found->ranges, &entry);
		if (entry.last == UINT64_MAX)
			break;
	}
	if (found->full)
		VHOST_LOG_CONFIG(ERR, "(%s) more than %u ranges of memory, of which the last are left out\n",
			owner->name, VHOST_MAX_REGIONS);
}

static void
close_rest(const struct finding *found, struct vhost_quota *quota)
{
	uint32_t i;

	for (i = 0; i < found->nregions; i++)
		vhost_reap(quota, found->fds[i]);
}

/* Learning */

static bool
is_as_before(const struct vduse_memory *before, const struct vduse_memory *now)
{
	return before->known && before->n == now->n &&
		memcmp(before->entries, now->entries, now->n * sizeof(now->entries[0])) == 0 &&
		memcmp(before->offsets, now->offsets, now->n * sizeof(now->offsets[0])) == 0;
}

static void
log_regions(const struct vhost_device *dev, const struct mem_map *map)
{
	uint32_t i;

	for (i = 0; i < map->nregions; i++)
		VHOST_LOG_CONFIG(INFO, "(%s) memory of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
			" is mapped at %p\n", dev->driver.path, map->regions[i].size,
			map->regions[i].gpa, map->regions[i].host);
}

static void
tell_translations(struct device_wish *wish, const struct vduse_memory *ranges)
{
	unsigned int i;

	vhost_mem_iotlb_invalidate(wish->iotlb, 0, UINT64_MAX, NULL, NULL);
	for (i = 0; i < ranges->n; i++)
		vhost_mem_iotlb_update(wish->iotlb, &ranges->entries[i], NULL, NULL);
}

static int
adopt(struct vduse_memory *memory, struct vhost_device *dev, struct finding *found)
{
	const struct mem_owner owner = owner_of(dev);
	struct mem_map *map;
	int ret;

	if (is_as_before(memory, &found->ranges))
		return 0;
	ret = vhost_mem_map_renew_regions(&owner, dev->wish.map, found->regions, found->nregions,
		found->fds, &map);
	if (ret < 0)
		return ret;
	log_regions(dev, map);
	vhost_wish_map(&dev->wish, map);
	tell_translations(&dev->wish, &found->ranges);
	*memory = found->ranges;
	memory->known = true;
	return 1;
}

int
vhost_vduse_memory_learn(struct vduse_memory *memory, struct vhost_device *dev, int fd)
{
	const struct mem_owner owner = owner_of(dev);
	struct finding found = { 0 };
	int ret;

	find_ranges(&found, &owner, fd);
	ret = adopt(memory, dev, &found);
	close_rest(&found, dev->driver.quota);
	return ret;
}

/* Forgetting */

/** A region that has some of first to last, or NULL. */
static const struct mem_region *
region_within(const struct mem_map *map, uint64_t first, uint64_t last)
{
	uint32_t i;

	for (i = 0; i < map->nregions; i++) {
		const struct mem_region *r = &map->regions[i];

		if (r->gpa <= last && r->gpa + (r->size - 1) >= first)
			return r;
	}
	return NULL;
}

int
vhost_vduse_memory_forget(struct vduse_memory *memory, struct vhost_device *dev,
		uint64_t first, uint64_t last)
{
	const struct mem_owner owner = owner_of(dev);
	struct device_wish *wish = &dev->wish;
	const struct mem_region *region;
	struct mem_map *map;
	int ret;

	memory->known = false;
	if (wish->iotlb != NULL)
		vhost_mem_iotlb_invalidate(wish->iotlb, first, last, NULL, NULL);
	while (wish->map != NULL && (region = region_within(wish->map, first, last)) != NULL) {
		const struct vu_region wire = {
			.gpa = region->gpa, .uva = region->uva, .size = region->size,
		};

		ret = vhost_mem_map_remove(&owner, wish->map, &wire, &map);
		if (ret < 0)
			return ret;
		vhost_wish_map(wish, map);
	}
	return 0;
}

/* Rings */

/**
 * Have the pages of a part at hand, if they are the kernel's own, which are all there and
 * where they are.  Others are looked for by themselves, without making any.
 */
static void
touch(const struct mem_map *map, const void *start, size_t len)
{
	const struct mem_region *region = vhost_mem_map_region(map, start, len);
	uintptr_t at = RTE_ALIGN_FLOOR((uintptr_t)start, (uintptr_t)MEM_IOTLB_PAGE);

	if (region == NULL || !region->domain)
		return;
	for (; at < (uintptr_t)start + len; at += MEM_IOTLB_PAGE)
		(void)*(const volatile uint8_t *)RTE_MAX(at, (uintptr_t)start);
}

void
vhost_vduse_memory_touch_rings(const struct vhost_device *dev)
{
	const struct ring_memory_map memory = vhost_device_ring_memory(dev);
	const unsigned int format = ring_format(dev->wish.features);
	uint32_t i;

	for (i = 0; i < dev->wish.nvrings; i++) {
		struct vq_cfg cfg = { .format = format };
		struct ring_areas areas;

		vhost_ring_locate(&dev->wish.queues[i], dev->wish.features, &memory, &cfg);
		if (cfg.size == 0)
			continue;
		areas = ring_areas(cfg.size, format);
		touch(memory.map, cfg.desc, areas.desc.bytes);
		touch(memory.map, cfg.avail, areas.avail.bytes);
		touch(memory.map, cfg.used, areas.used.bytes);
	}
}
