/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A descriptor of a wish is either in force, and then the queue's, or it came with
 * the message that is being served, and then ours until the settle takes it over or
 * the message fails.  Each message ends with one or the other.
 */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>

#include "device_wish.h"
#include "reaper.h"

static const struct queue_wish fresh_queue = {
	.kickfd = QUEUE_FD_UNSET,
	.callfd = QUEUE_FD_UNSET,
};

void
vhost_wish_init(struct device_wish *wish)
{
	memset(wish, 0, offsetof(struct device_wish, queues));
	wish->generation = 1;
}

void
vhost_wish_vring(struct device_wish *wish, uint32_t index)
{
	for (; wish->nvrings <= index; wish->nvrings++)
		wish->queues[wish->nvrings] = fresh_queue;
}

void
vhost_wish_forget_iotlb(struct device_wish *wish)
{
	if (wish->iotlb != NULL)
		vhost_mem_iotlb_invalidate(wish->iotlb, 0, UINT64_MAX, NULL, NULL);
}

int
vhost_wish_features(struct device_wish *wish, uint64_t features)
{
	if (features == wish->features)
		return 0;
	if ((features & (1ULL << VIRTIO_F_ACCESS_PLATFORM)) != 0 && wish->iotlb == NULL) {
		wish->iotlb = vhost_mem_iotlb_create();
		if (wish->iotlb == NULL)
			return -ENOMEM;
	}
	if ((features & (1ULL << VIRTIO_F_ACCESS_PLATFORM)) != 0 && wish->windows == NULL) {
		wish->windows = vhost_ring_windows_create();
		if (wish->windows == NULL)
			return -ENOMEM;
	}
	vhost_wish_forget_iotlb(wish);
	wish->features = features;
	wish->generation++;
	return 0;
}

void
vhost_wish_map(struct device_wish *wish, struct mem_map *map)
{
	vhost_mem_map_put(wish->map);
	wish->map = map;
	wish->generation++;
}

void
vhost_wish_log(struct device_wish *wish, struct mem_log *log)
{
	vhost_mem_log_put(wish->log);
	wish->log = log;
	/* else nobody writes to it */
	if (wish_has(wish, VHOST_F_LOG_ALL))
		wish->generation++;
}

void
vhost_wish_inflight(struct device_wish *wish, const struct inflight_area *area)
{
	vhost_inflight_area_put(&wish->inflight);
	wish->inflight = *area;
}

void
vhost_wish_kickfd(struct queue_wish *wish, int fd, enum doorbell_kind kind)
{
	wish->kickfd = fd;
	wish->kick_kind = kind;
}

void
vhost_wish_callfd(struct queue_wish *wish, int fd, enum doorbell_kind kind)
{
	wish->callfd = fd;
	wish->call_kind = kind;
	wish->knows_call = true;
}

void
vhost_wish_stop_ring(struct queue_wish *wish)
{
	wish->has_addr = false;
	wish->kickfd = QUEUE_FD_UNSET;
	wish->callfd = QUEUE_FD_UNSET;
}

/** What a frontend does in the course of a start it does again with the next one. */
static void
reset_queue(struct queue_wish *wish)
{
	bool knows_call = wish->knows_call;

	*wish = fresh_queue;
	wish->knows_call = knows_call;
}

void
vhost_wish_reset(struct device_wish *wish)
{
	const struct inflight_area none = { 0 };
	uint32_t i;

	__atomic_store_n(&wish->mtu, 0, __ATOMIC_RELAXED);
	wish->status = 0;
	wish->ctrl_pairs = 0;
	vhost_wish_features(wish, 0);
	vhost_wish_map(wish, NULL);
	vhost_wish_log(wish, NULL);
	vhost_wish_inflight(wish, &none);
	for (i = 0; i < wish->nvrings; i++)
		reset_queue(&wish->queues[i]);
}

void
vhost_wish_end(struct device_wish *wish)
{
	vhost_mem_map_put(wish->map);
	vhost_mem_log_put(wish->log);
	vhost_inflight_area_put(&wish->inflight);
	vhost_mem_iotlb_destroy(wish->iotlb);
	vhost_ring_windows_destroy(wish->windows);
	wish->iotlb = NULL;
	wish->windows = NULL;
	wish->map = NULL;
	wish->log = NULL;
	wish->nvrings = 0;
}

/** Copy all but the queues. */
static void
copy_head(struct device_wish *to, const struct device_wish *from)
{
	to->features = from->features;
	__atomic_store_n(&to->protocol_features, from->protocol_features, __ATOMIC_RELAXED);
	to->generation = from->generation;
	__atomic_store_n(&to->mtu, from->mtu, __ATOMIC_RELAXED);
	to->ctrl_pairs = from->ctrl_pairs;
	to->status = from->status;
	to->map = from->map;
	to->log = from->log;
	to->inflight = from->inflight;
	to->nvrings = from->nvrings;
}

void
vhost_wish_keep(const struct device_wish *wish, struct device_wish *kept)
{
	copy_head(kept, wish);
	if (kept->map != NULL)
		vhost_mem_map_get(kept->map);
	if (kept->log != NULL)
		vhost_mem_log_get(kept->log);
	kept->inflight = vhost_inflight_area_get(&wish->inflight);
	memcpy(kept->queues, wish->queues, wish->nvrings * sizeof(wish->queues[0]));
}

/** Close what came with a message that failed. */
static void
drop_new_fds(const struct queue_wish *wish, const struct queue_wish *kept,
		struct vhost_quota *quota)
{
	if (wish->kickfd != kept->kickfd)
		vhost_reap(quota, wish->kickfd);
	if (wish->callfd != kept->callfd)
		vhost_reap(quota, wish->callfd);
}

void
vhost_wish_restore(struct device_wish *wish, struct device_wish *kept, struct vhost_quota *quota)
{
	uint32_t i;

	for (i = 0; i < wish->nvrings; i++)
		drop_new_fds(&wish->queues[i], i < kept->nvrings ?
			&kept->queues[i] : &fresh_queue, quota);
	vhost_wish_forget(wish);
	copy_head(wish, kept);
	memcpy(wish->queues, kept->queues, kept->nvrings * sizeof(wish->queues[0]));
}

void
vhost_wish_forget(struct device_wish *kept)
{
	vhost_mem_map_put(kept->map);
	vhost_mem_log_put(kept->log);
	vhost_inflight_area_put(&kept->inflight);
}
