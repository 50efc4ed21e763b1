/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Public functions that librte_vhost.so.25 and later have. */

#include "device.h"
#include "rte_vhost.h"
#include "socket.h"
#include "vhost_log.h"

/** Of a socket the frontend decides. */
static int
keep_pairs(struct vhost_driver *driver __rte_unused, void *arg __rte_unused)
{
	return 0;
}

int
rte_vhost_driver_set_max_queue_num(const char *path, uint32_t max_queue_num)
{
	if (path == NULL || vhost_socket_edit(path, keep_pairs, &max_queue_num) != 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) no such socket is registered\n",
				path != NULL ? path : "");
		return -1;
	}
	return 0;
}

void
rte_vhost_notify_guest(int vid, uint16_t queue_id)
{
	struct vhost_device *dev = vhost_device_get(vid);
	struct vhost_queue *q = dev != NULL ? vhost_device_queue(dev, queue_id) : NULL;

	if (q != NULL)
		vhost_queue_keep_promise(q);
}
