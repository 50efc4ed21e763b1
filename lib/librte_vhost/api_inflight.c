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
#include "inflight_record.h"

static struct vhost_queue *
find_queue(int vid, uint16_t index)
{
	struct vhost_device *dev = vhost_device_get(vid);

	return dev != NULL ? vhost_device_queue(dev, index) : NULL;
}

/** Whether a device has in-flight tracking; true as well for one that does not exist. */
static bool
has_tracking(int vid)
{
	struct vhost_device *dev = vhost_device_get(vid);

	return dev == NULL || (__atomic_load_n(&dev->wish.protocol_features, __ATOMIC_RELAXED) &
		(1ULL << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)) != 0;
}

/** What is recorded, and with which numbers. */
struct record {
	int (*fn)(struct vhost_virtqueue *block, struct record *record);
	uint16_t a, b;		/**< arguments of the call, in their order */
	uint16_t entry;		/**< result of taking a packed request */
};

/** Record below the gate of a ring: 0 or -1. */
static int
record_at(int vid, uint16_t index, struct record *record)
{
	struct vhost_virtqueue *block;
	struct vhost_queue *q;
	int ret;

	if (!has_tracking(vid))
		return 0;
	q = find_queue(vid, index);
	block = q != NULL ? vhost_gate_enter(&q->gate) : NULL;
	if (block == NULL)
		return -1;
	ret = record->fn(block, record);
	vhost_gate_leave(&q->gate);
	return ret == 0 ? 0 : -1;
}

static int
take_split(struct vhost_virtqueue *block, struct record *record)
{
	return vhost_inflight_take_split(block, record->a);
}

int
rte_vhost_set_inflight_desc_split(int vid, uint16_t vring_idx, uint16_t idx)
{
	return record_at(vid, vring_idx, &(struct record){ take_split, .a = idx });
}

static int
take_packed(struct vhost_virtqueue *block, struct record *record)
{
	return vhost_inflight_take_packed(block, record->a, record->b, &record->entry);
}

int
rte_vhost_set_inflight_desc_packed(int vid, uint16_t vring_idx, uint16_t head, uint16_t last,
		uint16_t *inflight_entry)
{
	struct record record = { take_packed, .a = head, .b = last };
	int ret;

	if (inflight_entry == NULL)
		return has_tracking(vid) ? -1 : 0;
	record.entry = *inflight_entry;
	ret = record_at(vid, vring_idx, &record);
	*inflight_entry = record.entry;
	return ret;
}

static int
put_split(struct vhost_virtqueue *block, struct record *record)
{
	return vhost_inflight_put_split(block, record->a);
}

int
rte_vhost_set_last_inflight_io_split(int vid, uint16_t vring_idx, uint16_t idx)
{
	return record_at(vid, vring_idx, &(struct record){ put_split, .a = idx });
}

static int
put_packed(struct vhost_virtqueue *block, struct record *record)
{
	return vhost_inflight_put_packed(block, record->a);
}

int
rte_vhost_set_last_inflight_io_packed(int vid, uint16_t vring_idx, uint16_t head)
{
	return record_at(vid, vring_idx, &(struct record){ put_packed, .a = head });
}

static int
done_split(struct vhost_virtqueue *block, struct record *record)
{
	return vhost_inflight_done_split(block, record->a, record->b);
}

int
rte_vhost_clr_inflight_desc_split(int vid, uint16_t vring_idx, uint16_t last_used_idx,
		uint16_t idx)
{
	return record_at(vid, vring_idx,
		&(struct record){ done_split, .a = last_used_idx, .b = idx });
}

static int
done_packed(struct vhost_virtqueue *block, struct record *record)
{
	return vhost_inflight_done_packed(block, record->a);
}

int
rte_vhost_clr_inflight_desc_packed(int vid, uint16_t vring_idx, uint16_t head)
{
	return record_at(vid, vring_idx, &(struct record){ done_packed, .a = head });
}

int
rte_vhost_get_vhost_ring_inflight(int vid, uint16_t vring_idx,
		struct rte_vhost_ring_inflight *vring)
{
	struct vhost_queue *q = find_queue(vid, vring_idx);
	const struct vhost_virtqueue *block;
	bool tracked;

	if (q == NULL || vring == NULL)
		return -1;
	block = vhost_gate_close(&q->gate);
	tracked = block != NULL && block->cfg.inflight != NULL;
	if (tracked)
		*vring = (struct rte_vhost_ring_inflight){
			.inflight_split = block->cfg.inflight,
			.resubmit_inflight = q->inflight.list != NULL ?
				&q->inflight.list->info : NULL,
		};
	vhost_gate_open(&q->gate);
	return tracked ? 0 : -1;
}

int
rte_vhost_get_vring_base_from_inflight(int vid, uint16_t queue_id, uint16_t *last_avail_idx,
		uint16_t *last_used_idx)
{
	struct vhost_queue *q = find_queue(vid, queue_id);
	struct vhost_virtqueue *block;
	uint16_t used;
	int ret;

	if (q == NULL || last_avail_idx == NULL || last_used_idx == NULL)
		return -1;
	block = vhost_gate_enter(&q->gate);
	if (block == NULL)
		return -1;
	ret = vhost_inflight_get_used(block, &used);
	vhost_gate_leave(&q->gate);
	if (ret < 0)
		return -1;
	*last_avail_idx = used;
	*last_used_idx = used;
	return 0;
}
