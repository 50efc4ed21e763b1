/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <linux/virtio_ring.h>

#include "ring.h"
#include "ring_locate.h"

#include "rte_vhost.h"

/**
 * Our address of a part of a ring; NULL unless it lies within one region and is
 * aligned (2.7, 2.8), here: a region may begin anywhere in its file.
 */
static void *
translate_area(const struct mem_map *map, uint64_t uva, struct ring_area area)
{
	void *host = vhost_mem_map_from_uva(map, uva, area.bytes);

	return ((uintptr_t)host & (area.align - 1)) == 0 ? host : NULL;
}

/** Our addresses of the ring's parts; false unless there can be such a ring. */
static bool
translate_ring(const struct queue_wish *wish, const struct mem_map *map, struct vq_cfg *cfg)
{
	struct ring_areas areas = ring_areas(wish->size, cfg->format);

	cfg->desc = translate_area(map, wish->desc_uva, areas.desc);
	cfg->avail = translate_area(map, wish->avail_uva, areas.avail);
	cfg->used = translate_area(map, wish->used_uva, areas.used);
	return cfg->desc != NULL && cfg->avail != NULL && cfg->used != NULL &&
		ring_size_is_valid(wish->size, cfg->format);
}

bool
vhost_ring_fits(const struct queue_wish *wish, uint64_t features, const struct mem_map *map)
{
	struct vq_cfg cfg = { .format = ring_format(features) };

	if (!wish->has_addr || wish->size == 0)
		return true;
	return map != NULL && translate_ring(wish, map, &cfg);
}

/** How writes to a ring that was translated are logged. */
static void
shape_log(const struct queue_wish *wish, const struct mem_map *map, struct vq_cfg *cfg)
{
	const struct ring_areas areas = ring_areas(wish->size, cfg->format);
	const struct mem_region *region = vhost_mem_map_region(map, cfg->desc, 1);

	cfg->log = (struct vq_log_cfg){
		/* one that wraps is not logged */
		.ring = wish->log_ring && wish->log_gpa <= UINT64_MAX - areas.used.bytes,
		.device_gpa = wish->log_gpa,
		.desc_gpa = region->gpa + ((uint8_t *)cfg->desc - region->host),
	};
}

/**
 * Whether SET_VRING_CALL need not be waited for.  The kick starts a ring, and a guest
 * that polls has no interrupt to tell of.  But most frontends send the call descriptor
 * right behind the kick, and applications that notify by themselves would be told of
 * the ring twice: so a ring waits for it that has had one before, or that is not
 * enabled yet, as frontends enable rings last.
 */
static bool
call_is_settled(const struct queue_wish *wish, uint64_t features)
{
	bool enabled = wish->enabled ||
		(features & (1ULL << VHOST_USER_F_PROTOCOL_FEATURES)) == 0;

	return wish->callfd != QUEUE_FD_UNSET || (enabled && !wish->knows_call);
}

static bool
ring_is_started(const struct queue_wish *wish, uint64_t features)
{
	return wish->has_addr && wish->size != 0 && wish->kickfd != QUEUE_FD_UNSET &&
		call_is_settled(wish, features);
}

void
vhost_ring_locate(const struct queue_wish *wish, uint64_t features, const struct mem_map *map,
		struct vq_cfg *cfg)
{
	if (map == NULL || !ring_is_started(wish, features))
		return;
	if (translate_ring(wish, map, cfg)) {
		cfg->size = wish->size;
		if (cfg->format & VQ_LOG)
			shape_log(wish, map, cfg);
	} else {
		cfg->desc = NULL;
		cfg->avail = NULL;
		cfg->used = NULL;
	}
}
