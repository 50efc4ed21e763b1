/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_VDPA_H
#define VHOST_VDPA_H

/* What the driver of a vDPA device can be asked, see vdpa.c. */

#include "vdpa_driver.h"

/**
 * The driver's operations; once it has unregistered the device those of nobody, which
 * fail.  To be asked for each call.  Any thread.
 */
static inline const struct rte_vdpa_dev_ops *
vhost_vdpa_ops(const struct rte_vdpa_device *dev)
{
	/* O1 pairs with O2 */
	return __atomic_load_n(&dev->ops, __ATOMIC_ACQUIRE);
}

#endif /* VHOST_VDPA_H */
