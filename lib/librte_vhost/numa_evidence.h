/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NUMA_EVIDENCE_H
#define VHOST_NUMA_EVIDENCE_H

/* What is known of where a guest's memory is.  Control lock held. */

#include "device.h"

void vhost_numa_evidence_init(struct vhost_device *dev);

/** The statistics of the wished map, which is not NULL, decide. */
void vhost_numa_take_census(struct vhost_device *dev);

/** Ask everything again, whatever is known. */
void vhost_numa_forget(struct vhost_device *dev);

/**
 * Look again: whether something belongs on another node.  Two looks in a row have to
 * find the same, or the first that knew anything.
 */
bool vhost_numa_look(struct vhost_device *dev);

/** Whether it is unknown where something that there is belongs. */
bool vhost_numa_is_undecided(const struct vhost_device *dev);

#endif /* VHOST_NUMA_EVIDENCE_H */
