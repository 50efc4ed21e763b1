/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * rte_vhost_*inflight*: for backends that work on several requests at once.
 *
 * Where tracking was not negotiated, recording succeeds without effect, so that
 * backends need not ask before each request.
 */

#include "rte_vhost.h"

#include "device.h"
#include "queue_inflight.h"

/** Answer of a call that has nothing to record. */
enum { RECORD = 1 };

/**
 * The ring in which something is to be recorded.
 *
 * @return RECORD; or what the call returns without recording
 */
static int
find_tracked(int vid, uint16_t index, struct vhost_queue **q)
{
	struct vhost_device *dev = vhost_device_get(vid);

	if (dev == NULL)
		return -1;
	if ((__atomic_load_n(&dev->protocol_features, __ATOMIC_RELAXED) &
			(1ULL << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)) == 0)
		return 0;
	*q = vhost_device_queue(dev, index);
	return *q != NULL ? RECORD : -1;
}

static struct vhost_queue *
find_queue(int vid, uint16_t index)
{
	struct vhost_device *dev = vhost_device_get(vid);

	return dev != NULL ? vhost_device_queue(dev, index) : NULL;
}

int
rte_vhost_set_inflight_desc_split(int vid, uint16_t vring_idx, uint16_t idx)
{
	struct vhost_queue *q;
	int ret = find_tracked(vid, vring_idx, &q);

	if (ret != RECORD)
		return ret;
	return vhost_inflight_take_split(q, idx) == 0 ? 0 : -1;
}

int
rte_vhost_set_inflight_desc_packed(int vid, uint16_t vring_idx, uint16_t head, uint16_t last,
		uint16_t *inflight_entry)
{
	struct vhost_queue *q;
	int ret = find_tracked(vid, vring_idx, &q);

	if (ret != RECORD)
		return ret;
	if (inflight_entry == NULL)
		return -1;
	return vhost_inflight_take_packed(q, head, last, inflight_entry) == 0 ? 0 : -1;
}

int
rte_vhost_set_last_inflight_io_split(int vid, uint16_t vring_idx, uint16_t idx)
{
	struct vhost_queue *q;
	int ret = find_tracked(vid, vring_idx, &q);

	if (ret != RECORD)
		return ret;
	return vhost_inflight_put_split(q, idx) == 0 ? 0 : -1;
}

int
rte_vhost_set_last_inflight_io_packed(int vid, uint16_t vring_idx, uint16_t head)
{
	struct vhost_queue *q;
	int ret = find_tracked(vid, vring_idx, &q);

	if (ret != RECORD)
		return ret;
	return vhost_inflight_put_packed(q, head) == 0 ? 0 : -1;
}

int
rte_vhost_clr_inflight_desc_split(int vid, uint16_t vring_idx, uint16_t last_used_idx,
		uint16_t idx)
{
	struct vhost_queue *q;
	int ret = find_tracked(vid, vring_idx, &q);

	if (ret != RECORD)
		return ret;
	return vhost_inflight_done_split(q, last_used_idx, idx) == 0 ? 0 : -1;
}

int
rte_vhost_clr_inflight_desc_packed(int vid, uint16_t vring_idx, uint16_t head)
{
	struct vhost_queue *q;
	int ret = find_tracked(vid, vring_idx, &q);

	if (ret != RECORD)
		return ret;
	return vhost_inflight_done_packed(q, head) == 0 ? 0 : -1;
}

int
rte_vhost_get_vhost_ring_inflight(int vid, uint16_t vring_idx,
		struct rte_vhost_ring_inflight *vring)
{
	struct vhost_queue *q = find_queue(vid, vring_idx);

	return q != NULL && vring != NULL && vhost_inflight_get(q, vring) == 0 ? 0 : -1;
}

int
rte_vhost_get_vring_base_from_inflight(int vid, uint16_t queue_id, uint16_t *last_avail_idx,
		uint16_t *last_used_idx)
{
	struct vhost_queue *q = find_queue(vid, queue_id);
	uint16_t used;

	if (q == NULL || last_avail_idx == NULL || last_used_idx == NULL ||
			vhost_inflight_get_used(q, &used) < 0)
		return -1;
	*last_avail_idx = used;
	*last_used_idx = used;
	return 0;
}
