/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NUMA_TELL_H
#define VHOST_NUMA_TELL_H

/*
 * Placement in the log.  What moves is told where it moves; here is told what is so,
 * moved or not: once for each device that runs, when it is known where its guest's
 * memory is (and once before, if that is not known when it starts).  At level DEBUG
 * also what each look has found, and what was decided.
 */

#include <stdbool.h>

struct vhost_device;

/** The device has settled, or was looked at: say what was not said yet.  Control lock held. */
void vhost_numa_tell_settled(struct vhost_device *dev);

/**
 * A regular look is over.  Control lock held.
 *
 * @param moved  whether something belongs elsewhere than before
 */
void vhost_numa_tell_look(struct vhost_device *dev, bool moved);

#endif /* VHOST_NUMA_TELL_H */
