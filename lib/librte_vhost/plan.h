/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_PLAN_H
#define VHOST_PLAN_H

/*
 * What a settle is about to do: for the device and each queue, which block on
 * which node there shall be, all of them built beside what runs.  See plan.c.
 */

#include <stdint.h>

#include "device.h"

/** Instead of a queue. */
#define PLAN_DEVICE RTE_VHOST_NUMA_DEVICE

struct plan {
	int dev_node;			/**< where the device belongs */
	uint32_t nvrings;		/**< queues that there shall be */
	struct vq_cfg cfgs[VHOST_MAX_VRINGS];
	struct virtio_net *net;		/**< the device's own replica */
	struct virtio_net *replicas[PLACEMENT_MAX_NODES];
	int wanted[PLACEMENT_MAX_NODES];	/**< node each replica was wanted on */
	unsigned int nreplicas;
	struct device_refusal refusals[PLACEMENT_MAX_NODES];	/**< one per node */
	unsigned int nrefusals;
};

/**
 * Decide where everything belongs, and build what is not there yet.  Control lock
 * held.
 *
 * @return 0; -ENOMEM when something that has to be new finds no memory anywhere:
 *         nothing was built then, but the refusals are told
 */
int vhost_plan_make(struct vhost_device *dev, struct plan *plan);

/** Throw away what was built for a plan. */
void vhost_plan_drop(struct vhost_device *dev, struct plan *plan);

/** Whether a replica is among those in use now. */
bool vhost_plan_is_in_use(const struct vhost_device *dev, const struct virtio_net *net);

#endif /* VHOST_PLAN_H */
