/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include "mem_map.h"
#include "reaper.h"
#include "vu_on.h"

/**
 * Use a new map, or on the destination of a postcopy migration have it acknowledged
 * first.
 */
static int
offer_map(struct vu_call *call, struct mem_map *map)
{
	int ret;

	if (!call->dev->postcopy.listening) {
		vhost_device_wish_map(call->dev, map);
		return 0;
	}
	ret = vhost_postcopy_stage(call->dev, call->msg->request, map);
	if (ret < 0)
		vhost_mem_map_put(map);
	call->reply = ret == 0;
	return ret;
}

/** Tell the frontend our addresses, which it will find in the faults. */
static void
tell_addresses(struct vu_region *regions, const struct mem_region *ours, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		regions[i].uva = (uintptr_t)ours[i].host;
}

/* vhost-user: VHOST_USER_SET_MEM_TABLE.  The old map goes when nothing uses it any more. */
int
vhost_vu_on_set_mem_table(struct vu_call *call)
{
	struct vhost_device *dev = call->dev;
	struct vu_memory *table = &call->msg->payload.memory;
	struct mem_map *map;
	int ret;

	if (!dev->postcopy.listening && dev->wish_map != NULL &&
			vhost_mem_map_matches(dev->wish_map, table, call->msg->fds))
		return 0;
	/* what a postcopy destination shares with an earlier map is registered as well */
	ret = vhost_mem_map_renew(dev->driver.path, dev->wish_map, table, call->msg->fds, &map);
	if (ret == 0)
		ret = offer_map(call, map);
	if (ret == 0 && call->reply)
		tell_addresses(table->regions, map->regions, map->nregions);
	return ret;
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
	vhost_reap(dev->driver.quota, fd);
	if (ret == 0)
		ret = offer_map(call, map);
	if (ret == 0 && call->reply)
		tell_addresses(&call->msg->payload.slot.region,
			&map->regions[map->nregions - 1], 1);
	return ret;
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
