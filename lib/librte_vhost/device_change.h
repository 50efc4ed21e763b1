/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_DEVICE_CHANGE_H
#define VHOST_DEVICE_CHANGE_H

/*
 * The one way in which a running device changes, NUMA relocation included, whoever has
 * a reason: a message, the guest's control queue, a timer, the application.
 */

#include "settle.h"

/**
 * Settle, and let the listeners hear of it.  Control lock held; callbacks of the
 * application run below.
 *
 * @return 0; -ENOMEM (logged) with nothing changed, and nobody told
 */
int vhost_device_change(struct vhost_device *dev, const struct settle_request *request);

#endif /* VHOST_DEVICE_CHANGE_H */
