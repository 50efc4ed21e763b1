/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NUMA_WATCH_H
#define VHOST_NUMA_WATCH_H

/*
 * Has the guest's memory moved?  Checks that no message asks for: regular ones, for
 * pages that the host migrates, and those that somebody asks for.  See numa_watch.c.
 *
 * Every function may be called by any thread, unless it says otherwise.
 */

#include "listeners.h"

/** A device is there to be checked from now on. */
void vhost_numa_watch_begin(const struct vhost_device *dev);

/** It goes. */
void vhost_numa_watch_end(const struct vhost_device *dev);

/**
 * Check where everything belongs, and settle if it is elsewhere now or if memory was
 * refused.  Nothing of a device's blocks is touched unless there is something to do.
 * Control lock held.
 */
void vhost_numa_watch_check(struct vhost_device *dev);

/**
 * Ask about everything, whatever is known, and settle.  Control lock held.
 *
 * @param restart  have the application learn of another node by a restart
 * @return as vhost_device_change()
 */
int vhost_numa_watch_reprobe(struct vhost_device *dev, bool restart);

/** Each settle may leave it open where something belongs. */
extern const struct device_listener vhost_listener_watch;

/**
 * Ask about a device's memory now, on the event thread, and wait for the result.
 * Below a callback of any device: 0 at once, and it is done as soon as nobody is in a
 * callback of that device.
 *
 * @return as vhost_device_change(); -ENODEV when the device is gone
 */
int vhost_numa_watch_refresh(struct vhost_device *dev);

/** Milliseconds between regular checks of one device; 0: none. */
void vhost_numa_watch_set_interval(uint64_t ms);
uint64_t vhost_numa_watch_interval(void);

#endif /* VHOST_NUMA_WATCH_H */
