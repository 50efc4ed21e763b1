/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_DEVICE_LIFE_H
#define VHOST_DEVICE_LIFE_H

/* What happens when a frontend comes and goes? */

#include "device.h"

/**
 * A frontend has connected: take a vid, create the device, call new_connection.
 *
 * @param link  of the connection; outlives the device
 * @return the device with one owner, the connection; NULL (logged) if there is
 *         no vid or memory, or the application refused
 */
struct vhost_device *vhost_device_create(const struct vhost_driver *driver,
		struct vu_link *link);

/**
 * The connection is gone: stop the device (destroy_device), call
 * destroy_connection if told so, release everything.  Takes the control lock.
 */
void vhost_device_destroy(struct vhost_device *dev, bool tell_connection);

/** Whether guest memory, log or in-flight area was lost: the device has to go. */
bool vhost_device_lost_memory(const struct vhost_device *dev);

#endif /* VHOST_DEVICE_LIFE_H */
