/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_VDUSE_MEMORY_H
#define VHOST_VDUSE_MEMORY_H

/*
 * What is a device's memory?  The kernel tells ranges of IOVAs, each with a file and a
 * place in it: of a virtual machine its memory, of the kernel's own driver bounce
 * buffers and rings.  All ranges are asked for at once, ahead of packets, and become a
 * memory map and translations, as if a frontend had said them.  See memory.c.
 */

#include <stdbool.h>
#include <stdint.h>

#include "device.h"

/** Ranges of one device that are asked for. */
#define VDUSE_RANGES_MAX 512

/** What the kernel has told. */
struct vduse_memory {
	bool known;
	unsigned int n;
	struct mem_iotlb_entry entries[VDUSE_RANGES_MAX];	/**< uva is the IOVA as well */
	uint64_t offsets[VDUSE_RANGES_MAX];	/**< of each, in its file */
};

/**
 * Ask for all ranges, and have the wishes of a device say what they are.  A settle has
 * to follow.  Control lock held.
 *
 * @param fd  of the device
 * @return 1 if that is other than before, 0 if not; a negative errno (logged) and the
 *         wishes are as they were
 */
int vhost_vduse_memory_learn(struct vduse_memory *memory, struct vhost_device *dev, int fd);

/**
 * Have the wishes of a device not say anything of the IOVAs first to last any more.  The
 * settle that follows takes them from bursts.  Control lock held.
 *
 * @return 0 or a negative errno (logged)
 */
int vhost_vduse_memory_forget(struct vduse_memory *memory, struct vhost_device *dev,
		uint64_t first, uint64_t last);

/** Have the pages of all rings that are described at hand, so that their node can be asked for. */
void vhost_vduse_memory_touch_rings(const struct vhost_device *dev);

#endif /* VHOST_VDUSE_MEMORY_H */
