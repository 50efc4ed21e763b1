/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_MAP_H
#define VHOST_MEM_MAP_H

/*
 * A guest's memory table as mapped into this process: immutable once built,
 * counted, with a generation number that no two maps of a process share.
 *
 * Memory comes and goes while a guest runs.  A map that is made from an earlier
 * one has the mappings of the regions that both have in common: what did not
 * change is not mapped, nor looked at, again.
 *
 * A file may be truncated under a mapping; see mem_guard.h for what happens
 * then: the map is broken, and it is that one device that goes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem_file.h"

/** Regions of one map (vhost-user: VHOST_USER_GET_MAX_MEM_SLOTS). */
#define VHOST_MAX_REGIONS 32

struct vu_memory;
struct vu_region;

struct mem_region {
	uint64_t gpa;		/**< guest physical address of the first byte */
	uint64_t uva;		/**< the frontend's address of the first byte */
	uint64_t size;		/**< bytes; gpa, uva and host + size do not wrap */
	uint8_t *host;		/**< our address of the first byte */
	uint8_t *mmap_addr;	/**< start of our mapping, at file offset 0 */
	size_t mmap_size;	/**< length of our mapping */
	size_t page_size;	/**< of the backing file: 4 KiB, or a huge page */
	int fd;			/**< the backing file, closed with the mapping */
	bool hugetlb;		/**< the file is on hugetlbfs */
	bool domain;		/**< memory of a VDUSE device that the kernel has by itself */
	struct mem_mapping *mapping;	/**< one reference; equal in maps that share it */
};

/** Who has a region in a slot of theirs: a frontend adds it once for each queue pair. */
struct mem_slot {
	uint16_t repeats;	/**< how often it was added again */
	bool leaving;		/**< removed as well, by some who added it */
};

/** A region that had to make room before all had removed it. */
struct mem_displaced {
	uint64_t gpa, uva, size;
	uint16_t left;		/**< how often it will still be removed */
};

#define MEM_DISPLACED_MAX 32

struct mem_map {
	unsigned int refcnt;	/**< atomic */
	uint64_t generation;	/**< never 0, never used twice */
	uint32_t nregions;
	struct mem_region regions[VHOST_MAX_REGIONS];
	/* how slots are counted: control thread only, and not immutable */
	struct mem_slot slots[VHOST_MAX_REGIONS];	/**< of regions */
	unsigned int ndisplaced;
	struct mem_displaced displaced[MEM_DISPLACED_MAX];	/**< the latest first */
};

/**
 * Map the memory that a frontend describes.
 *
 * Refuses (with one log line naming the region) wrapping, empty or overlapping
 * ranges, regions beyond the end of their file, descriptors that are not open
 * for reading and writing, and what is no regular file of a file system that
 * answers by itself: asking or touching such a file could block.  Maps without
 * making the kernel allocate any of the memory.
 *
 * @param fds   table->nregions descriptors; those taken are set to -1 in the
 *              array, all of them on success, none on failure
 * @param[out] map  one reference, the caller's
 * @return 0 or a negative errno; nothing stays mapped after an error
 */
int vhost_mem_map_create(const struct mem_owner *owner, const struct vu_memory *table,
		int *fds, struct mem_map **map);

/**
 * The same, sharing the mappings of an earlier map, which may be NULL.  Of regions
 * that both have the descriptors are left to the caller.
 */
int vhost_mem_map_renew(const struct mem_owner *owner, const struct mem_map *before,
		const struct vu_memory *table, int *fds, struct mem_map **map);

/** The same of n regions, which a table of a message may have no room for. */
int vhost_mem_map_renew_regions(const struct mem_owner *owner, const struct mem_map *before,
		const struct vu_region *regions, unsigned int n, int *fds, struct mem_map **map);

/**
 * A map of an earlier one's regions, if any, and another one.  What it overlaps, and
 * is leaving, makes room.
 */
int vhost_mem_map_add(const struct mem_owner *owner, const struct mem_map *before,
		const struct vu_region *region, int *fd, struct mem_map **map);

/** Which region is that very memory, of a file that is the same; -1: none, or no map. */
int vhost_mem_map_find(const struct mem_map *map, const struct vu_region *region, int fd);

/** A region that a map has is added again. */
void vhost_mem_map_repeat(struct mem_map *map, unsigned int i);

/**
 * A region is removed that was added more than once, or had to make room: that is
 * counted, and the map stays as it is.  False for any other, and NULL: see below.
 */
bool vhost_mem_map_release(struct mem_map *map, const struct vu_region *region);

/** A map of an earlier one's regions but one: -ENOENT when it has none like that. */
int vhost_mem_map_remove(const struct mem_owner *owner, const struct mem_map *before,
		const struct vu_region *region, struct mem_map **map);

/**
 * Whether the table describes the very map, descriptors (same files) included.
 * Never true for a broken map.
 */
bool vhost_mem_map_matches(const struct mem_map *map,
		const struct vu_memory *table, const int *fds);

struct mem_map *vhost_mem_map_get(struct mem_map *map);

/** Drop a reference; the last one unmaps and closes.  NULL is allowed.  Any thread. */
void vhost_mem_map_put(struct mem_map *map);

/** Our address of [uva, uva + len) of the frontend, NULL unless one region holds it all. */
void *vhost_mem_map_from_uva(const struct mem_map *map, uint64_t uva, uint64_t len);

/** Our address of [gpa, gpa + len) of the guest, NULL unless one region holds it all. */
void *vhost_mem_map_from_gpa(const struct mem_map *map, uint64_t gpa, uint64_t len);

/** The region that holds all of [host, host + len), or NULL. */
const struct mem_region *vhost_mem_map_region(const struct mem_map *map,
		const void *host, size_t len);

/** Whether two regions are the same memory at the same places. */
bool vhost_mem_region_is_same(const struct mem_region *a, const struct mem_region *b);

/** Whether the kernel leaves all of it where it is: huge pages. */
bool vhost_mem_map_is_pinned(const struct mem_map *map);

/** Let DMA devices reach all of it that are behind an IOMMU. */
void vhost_mem_map_reach(const struct mem_map *map);

/** Whether the guard had to replace a region: the device has to go. */
bool vhost_mem_map_is_broken(const struct mem_map *map);

#endif /* VHOST_MEM_MAP_H */
