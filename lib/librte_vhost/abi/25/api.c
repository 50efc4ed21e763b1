/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Public functions that librte_vhost.so.25 and later have. */

#include <errno.h>

#include "device.h"
#include "rte_vhost.h"
#include "socket.h"
#include "vhost_log.h"

/** Sockets have as many as their frontends ask for. */
static int
set_max_pairs(struct vhost_driver *driver, void *arg)
{
	uint32_t pairs = *(const uint32_t *)arg;

	if (!driver->vduse)
		return 0;
	if (pairs == 0 || pairs > VHOST_MAX_QUEUE_PAIRS) {
		VHOST_LOG_CONFIG(ERR, "(%s) %u queue pairs: 1 to %u are possible\n", driver->path,
			pairs, VHOST_MAX_QUEUE_PAIRS);
		return -EINVAL;
	}
	driver->max_pairs = pairs;
	return 0;
}

int
rte_vhost_driver_set_max_queue_num(const char *path, uint32_t max_queue_num)
{
	int ret = path != NULL ? vhost_socket_edit(path, set_max_pairs, &max_queue_num) : -EINVAL;

	if (ret == -ENOENT)
		VHOST_LOG_CONFIG(ERR, "(%s) no such socket is registered\n", path);
	return ret == 0 ? 0 : -1;
}

void
rte_vhost_notify_guest(int vid, uint16_t queue_id)
{
	struct vhost_device *dev = vhost_device_get(vid);
	struct vhost_queue *q = dev != NULL ? vhost_device_queue(dev, queue_id) : NULL;

	if (q != NULL)
		vhost_queue_keep_promise(q);
}
