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
	ret = vhost_mem_map_renew(dev->driver.path, dev->wish_map, table, call->msg->fds, &map);
	if (ret < 0)
		return ret;
	vhost_device_wish_map(dev, map);
	return 0;
}

int
vhost_vu_on_get_max_mem_slots(struct vu_call *call)
{
	call->msg->payload.u64 = VHOST_MAX_REGIONS;
	return 0;
}

/* vhost-user: VHOST_USER_ADD_MEM_REG; the others stay mapped as they are. */
int
vhost_vu_on_add_mem_reg(struct vu_call *call)
{
	struct vhost_device *dev = call->dev;
	struct vu_region region = call->msg->payload.slot.region;
	struct mem_map *map;
	int fd = vhost_vu_take_fd(call->msg, 0);
	int ret;

	ret = vhost_mem_map_add(dev->driver.path, dev->wish_map, &region, &fd, &map);
	vhost_vu_discard_fd(fd);
	if (ret < 0)
		return ret;
	vhost_device_wish_map(dev, map);
	return 0;
}

/* vhost-user: VHOST_USER_REM_MEM_REG; rings that were there do not run any more. */
int
vhost_vu_on_rem_mem_reg(struct vu_call *call)
{
	struct vhost_device *dev = call->dev;
	struct vu_region region = call->msg->payload.slot.region;
	struct mem_map *map;
	int ret;

	ret = vhost_mem_map_remove(dev->driver.path, dev->wish_map, &region, &map);
	if (ret < 0)
		return ret;
	vhost_device_wish_map(dev, map);
	return 0;
}
