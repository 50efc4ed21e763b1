/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <inttypes.h>

#include "mem_map.h"
#include "postcopy.h"
#include "vhost_log.h"
#include "reaper.h"
#include "vu_on.h"

/** Say where a region is; the lines are known to who reads logs of DPDK. */
static void
log_region(const char *path, const struct mem_region *r)
{
	VHOST_LOG_CONFIG(INFO, "(%s) guest memory region size: 0x%" PRIx64 "\n", path, r->size);
	VHOST_LOG_CONFIG(INFO, "(%s) \t guest physical addr: 0x%" PRIx64 "\n", path, r->gpa);
	VHOST_LOG_CONFIG(INFO, "(%s) \t guest virtual  addr: 0x%" PRIx64 "\n", path, r->uva);
	VHOST_LOG_CONFIG(INFO, "(%s) \t host  virtual  addr: %p\n", path, r->host);
	VHOST_LOG_CONFIG(INFO, "(%s) \t mmap addr : %p\n", path, r->mmap_addr);
	VHOST_LOG_CONFIG(INFO, "(%s) \t mmap size : 0x%zx\n", path, r->mmap_size);
	VHOST_LOG_CONFIG(INFO, "(%s) \t mmap align: 0x%zx\n", path, r->page_size);
	VHOST_LOG_CONFIG(INFO, "(%s) \t mmap off  : 0x%tx\n", path, r->host - r->mmap_addr);
}

/**
 * Use a new map, or on the destination of a postcopy migration have it acknowledged
 * first.
 */
static int
offer_map(struct vu_call *call, struct mem_map *map)
{
	int ret;

	if (!vhost_postcopy_is_listening(call->dev->postcopy)) {
		vhost_wish_map(&call->dev->wish, map);
		return 0;
	}
	ret = vhost_postcopy_stage(call->dev->postcopy, call->msg->request, map);
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
	const struct mem_owner owner = vu_owner(call);
	struct mem_map *map;
	uint32_t i;
	int ret;

	if (!vhost_postcopy_is_listening(dev->postcopy) && dev->wish.map != NULL &&
			vhost_mem_map_matches(dev->wish.map, table, call->msg->fds)) {
		VHOST_LOG_CONFIG(INFO, "(%s) memory regions not changed\n", dev->driver.path);
		return 0;
	}
	/* what a postcopy destination shares with an earlier map is registered as well */
	ret = vhost_mem_map_renew(&owner, dev->wish.map, table, call->msg->fds, &map);
	for (i = 0; ret == 0 && i < map->nregions; i++)
		log_region(dev->driver.path, &map->regions[i]);
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
	const struct mem_owner owner = vu_owner(call);
	struct mem_map *map;
	int fd = vhost_vu_take_fd(call->msg, 0);
	int ret;

	ret = vhost_mem_map_add(&owner, dev->wish.map, &region, &fd, &map);
	vhost_reap(dev->driver.quota, fd);
	if (ret == 0)
		log_region(dev->driver.path, &map->regions[map->nregions - 1]);
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
	const struct mem_owner owner = vu_owner(call);
	struct mem_map *map;
	int ret;

	ret = vhost_mem_map_remove(&owner, dev->wish.map, &region, &map);
	if (ret < 0)
		return ret;
	vhost_wish_map(&dev->wish, map);
	return 0;
}
