/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NUMA_WATCH_H
#define VHOST_NUMA_WATCH_H

/*
 * Looks at guests' memory that no message asks for: regular ones, for pages that
 * the host migrates, and those that somebody asks for.  See numa_watch.c.
 *
 * Every function may be called by any thread.
 */

#include "listeners.h"

/** A device is there to be looked at from now on. */
void vhost_numa_watch_begin(struct vhost_device *dev);

/**
 * Check where everything belongs, and settle if it is elsewhere now or if memory was
 * refused.  Nothing of a device's blocks is touched unless there is something to do.
 * Control lock held.
 */
void vhost_numa_watch_check(struct vhost_device *dev);

/** Each settle may leave it open where something belongs. */
extern const struct device_listener vhost_listener_watch;

/**
 * Look at a device now, on the event thread, and wait for the result.  From a
 * callback of the device: 0 at once, the look comes after the callback.
 *
 * @return as vhost_device_change(); -ENODEV when the device is gone
 */
int vhost_numa_watch_refresh(struct vhost_device *dev);

/** Milliseconds between regular looks at one device; 0: none. */
void vhost_numa_watch_set_interval(uint64_t ms);
uint64_t vhost_numa_watch_interval(void);

#endif /* VHOST_NUMA_WATCH_H */
