/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include "mem_map.h"
#include "vu_on.h"

/* vhost-user: VHOST_USER_SET_MEM_TABLE.  The old map goes when nothing uses it any more. */
int
vhost_vu_on_set_mem_table(struct vu_call *call)
{
	struct vhost_device *dev = call->dev;
	const struct vu_memory *table = &call->msg->payload.memory;
	struct mem_map *map;
	int ret;

	if (dev->wish_map != NULL && vhost_mem_map_matches(dev->wish_map, table, call->msg->fds))
		return 0;
	ret = vhost_mem_map_create(dev->driver.path, table, call->msg->fds, &map);
	if (ret < 0)
		return ret;
	vhost_device_wish_map(dev, map);
	return 0;
}
