/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_FRONTEND_H
#define PERF_FRONTEND_H

/*
 * The guest: its memory, and the vhost-user connection that hands it over.
 * Only what a benchmark needs: one queue pair, whole table at once.
 */

#include "driver.h"

#define GUEST_MAX_REGIONS 2

/** Guest memory: one file, cut into regions with a hole between their addresses. */
struct guest_memory {
	int fd;
	uint8_t *base;
	size_t size;
	size_t region_size;	/**< of each */
	unsigned int n_regions;
	size_t used;		/**< bytes given out, from the start */
};

/** A guest with its connection and rings; ring 0 receives, ring 1 sends. */
struct guest {
	struct guest_memory memory;
	int sock;
	struct driver_ring rings[2];
	int kick[2], call[2];
};

/** Make memory of at least this size in huge pages if there are any; 0 or -errno. */
int guest_memory_create(struct guest_memory *memory, size_t size, unsigned int n_regions);
void guest_memory_destroy(struct guest_memory *memory);

/** Take zeroed bytes, NULL when all is used. */
void *guest_alloc(struct guest_memory *memory, size_t bytes, size_t align);

/** Go on in the last region, whatever was left of those before. */
void guest_skip_to_last_region(struct guest_memory *memory);

/** Where the guest sees an address of its memory. */
uint64_t guest_address(const struct guest_memory *memory, const void *va);

/**
 * Connect the guest to a backend and hand over memory and rings, which must
 * have been allocated; 0 or -errno.
 *
 * @param iommu_page  have an IOMMU translate all memory, in pages of this size, to
 *                    the very addresses that the guest sees without one; 0: no IOMMU
 */
int guest_connect(struct guest *guest, const char *path, uint64_t features, size_t iommu_page);

/** Hang up and close all descriptors but the memory's. */
void guest_disconnect(struct guest *guest);

#endif /* PERF_FRONTEND_H */
