/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_HOST_NOTIFIER_H
#define VHOST_HOST_NOTIFIER_H

/*
 * Doorbells of hardware that the guest rings itself: a page of the vDPA driver's VFIO
 * device, which the frontend maps where the guest's driver kicks.
 */

#include <stdint.h>

#include "device.h"

struct rte_vdpa_device;

/**
 * Tell the frontend where vrings [first, last] have their doorbells, and wait for its
 * answers.  If one cannot be had, none of them has one afterwards.  Any thread.
 *
 * @return 0; -ENOTSUP without a descriptor of the device; -EFAULT when the driver or the
 *         frontend refuses
 */
int vhost_host_notifiers_give(struct vhost_device *dev, const struct rte_vdpa_device *vdpa,
		uint32_t first, uint32_t last);

/**
 * Tell the frontend that vrings [first, last] have none.  Any thread, but the event
 * thread does not wait for answers: the frontend may be waiting for it, and a kick may
 * arrive at the doorbell until it has read this.
 *
 * @return 0 or -EFAULT; all are taken back, whatever it says of one
 */
int vhost_host_notifiers_take(struct vhost_device *dev, uint32_t first, uint32_t last);

/** The driver has let go of the device: take back what doorbells the guest has. */
void vhost_host_notifiers_end(struct vhost_device *dev);

#endif /* VHOST_HOST_NOTIFIER_H */
