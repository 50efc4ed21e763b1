/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_VDUSE_VDUSE_H
#define VHOST_VDUSE_VDUSE_H

/*
 * Registrations of /dev/vduse/NAME: the device in the kernel, from start to removal.
 * See vduse.c.
 */

#include <stdbool.h>

#include "socket_registry.h"

/** Queue pairs of a device if the application says nothing. */
#define VDUSE_PAIRS_DEFAULT VHOST_MAX_QUEUE_PAIRS

/** Of VHOST_NET_FEATURES, what the kernel's drivers can be offered. */
#define VDUSE_NO_FEATURES ((1ULL << 3) | (1ULL << 21) | (1ULL << 26) | (1ULL << 30) | (1ULL << 34))

/** Whether a path that is one can be a device: 0, -EINVAL or -ENAMETOOLONG. */
int vhost_vduse_path_check(const char *path);

/**
 * Create the device in the kernel, or go on with the one that an earlier backend has
 * left.  Registry's lock held.
 *
 * @return 0 or a negative errno (logged)
 */
int vhost_vduse_start(struct registration *reg);

/**
 * Serve it no more, and destroy it unless it is on the vdpa bus.  No effect on other
 * registrations.
 *
 * @param now  even if a callback of the device has led here
 * @return true if one has, and nothing was done
 */
bool vhost_vduse_end(struct registration *reg, bool now);

/** Stop devices whose memory is lost.  Event thread only. */
void vhost_vduse_end_lost(bool (*is_lost)(const struct vhost_device *dev));

#endif /* VHOST_VDUSE_VDUSE_H */
