/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_IOVA_H
#define VHOST_MEM_IOVA_H

/*
 * Where DMA devices find guest memory.
 *
 * With IOVA as VA that is where we find it.  With IOVA as PA it is the physical address,
 * which the kernel tells for each page.  It holds only for pages that the kernel does not
 * move or swap, which are huge pages: other memory is out of a device's reach then, and
 * is copied by the CPU.
 *
 * With IOVA as VA devices of VFIO find what was mapped for them in their IOMMU, and
 * nothing else.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_common.h>

/** How addresses are asked for; tests put their own in place. */
struct vhost_iova_ops {
	/** Whether devices have addresses of their own. */
	bool (*physical)(void);
	/** The device's address of a byte of ours, 0 if it has none. */
	rte_iova_t (*of)(const void *host);
	/** Whether this process has devices of VFIO. */
	bool (*has_vfio)(void);
	/** Map memory for them, at our address: 0, or -1; and unmap it. */
	int (*map)(const void *host, size_t size);
	void (*unmap)(const void *host, size_t size);
};

/** Replace the implementation; NULL brings EAL's back.  For tests. */
void vhost_iova_set_ops(const struct vhost_iova_ops *other);

bool vhost_iova_is_physical(void);

/** Whether there are devices that find only what is mapped for them. */
bool vhost_iova_needs_map(void);

/** Map memory for them: 0, or -1 and they do not find it. */
int vhost_iova_map(const void *host, size_t size);

/** Undo it; before the memory goes. */
void vhost_iova_unmap(const void *host, size_t size);

/** Pages are asked for by this size, whatever theirs. */
#define IOVA_PAGE 4096u

/** What was asked lately; zeros are an empty one. */
struct mem_iova_cache {
	struct {
		uintptr_t page;
		rte_iova_t iova;
	} entries[256];
};

/** The device's address of a byte of ours, 0 if it has none; of the rest of its page likewise. */
rte_iova_t vhost_iova_of(struct mem_iova_cache *cache, const void *host);

#endif /* VHOST_MEM_IOVA_H */
