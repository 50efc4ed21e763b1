/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What is this backend working on?
 *
 * The application says three things of each request: that it takes it from the
 * ring, that it is about to put it into the used ring, and that it has done so.
 * Each is recorded in such an order of stores that the process may be killed
 * between any two of them, and the next backend can tell what was still to be done
 * (inflight_recover.c).
 *
 * A frontend that writes to a region spoils its own requests and nothing else.  The
 * other half of the bookkeeping is ours: the counter that orders requests is a part
 * of vq_state, and the region's address one of the block's shape.
 */

#include <errno.h>
#include <stdbool.h>

#include <linux/virtio_ring.h>

#include <rte_common.h>

#include "inflight_layout.h"
#include "inflight_record.h"
#include "ring.h"

/** Whether the block runs a ring of that format that has a region. */
static bool
is_tracked(const struct vhost_virtqueue *block, unsigned int format)
{
	return block->cfg.inflight != NULL && ring_is_same_format(block->cfg.format, format);
}

/** Likewise, and index is one of its region and of its ring. */
static bool
is_tracked_at(const struct vhost_virtqueue *block, unsigned int format, uint16_t index)
{
	return is_tracked(block, format) &&
		index < RTE_MIN(block->size, block->cfg.inflight_num);
}

int
vhost_inflight_take_split(struct vhost_virtqueue *block, uint16_t head)
{
	struct rte_vhost_inflight_info_split *info;

	if (!is_tracked_at(block, 0, head))
		return -EINVAL;
	info = block->cfg.inflight;
	shared_store(&info->desc[head].counter, block->state.inflight_counter++);
	shared_store(&info->desc[head].inflight, 1);
	return 0;
}

int
vhost_inflight_put_split(struct vhost_virtqueue *block, uint16_t head)
{
	struct rte_vhost_inflight_info_split *info;

	if (!is_tracked_at(block, 0, head))
		return -EINVAL;
	info = block->cfg.inflight;
	shared_store(&info->desc[head].next, shared_load(&info->last_inflight_io));
	shared_store(&info->last_inflight_io, head);
	return 0;
}

int
vhost_inflight_done_split(struct vhost_virtqueue *block, uint16_t used_idx, uint16_t head)
{
	struct rte_vhost_inflight_info_split *info;

	if (!is_tracked_at(block, 0, head))
		return -EINVAL;
	info = block->cfg.inflight;
	shared_store(&info->desc[head].inflight, 0);
	shared_store(&info->used_idx, used_idx);
	return 0;
}

/** Copy a descriptor of the ring, which the driver may be changing, to an entry. */
static void
copy_desc(struct rte_vhost_inflight_desc_packed *to, const struct vring_packed_desc *from)
{
	shared_store(&to->addr, shared_load(&from->addr));
	shared_store(&to->len, shared_load(&from->len));
	shared_store(&to->id, shared_load(&from->id));
	shared_store(&to->flags, shared_load(&from->flags));
}

/**
 * Copy so many descriptors from head on to entries of the free list, the first of
 * which takes them all.
 *
 * @return 0, or -EINVAL when the list is nonsense
 */
static int
take_entries(struct vhost_virtqueue *block, uint16_t head, uint32_t n, uint16_t first)
{
	const struct vring_packed_desc *ring = (const void *)block->desc;
	struct rte_vhost_inflight_info_packed *info = block->cfg.inflight;
	uint16_t at = first, last = first;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (at >= block->cfg.inflight_num)
			return -EINVAL;
		copy_desc(&info->desc[at], &ring[(head + i) % block->size]);
		last = at;
		at = shared_load(&info->desc[at].next);
	}
	shared_store(&info->desc[first].last, last);
	shared_store(&info->desc[first].num, n);
	shared_store(&info->desc[first].counter, block->state.inflight_counter++);
	shared_store(&info->free_head, at);
	shared_store(&info->desc[first].inflight, 1);
	/* until then the entries are free, in flight or not */
	shared_store(&info->old_free_head, at);
	return 0;
}

int
vhost_inflight_take_packed(struct vhost_virtqueue *block, uint16_t head, uint16_t last, uint16_t *entry)
{
	struct rte_vhost_inflight_info_packed *info;
	int ret = -EINVAL;
	uint16_t first;

	if (!is_tracked(block, VQ_PACKED))
		return -EINVAL;
	if (head < block->size && last < block->size) {
		info = block->cfg.inflight;
		first = shared_load(&info->old_free_head);
		ret = take_entries(block, head,
			(last + block->size - head) % block->size + 1, first);
		if (ret == 0)
			*entry = first;
	}
	return ret;
}

/** Go on by n used descriptors. */
static void
advance_used(struct rte_vhost_inflight_info_packed *info, uint16_t size, uint32_t n)
{
	union used_places used = load_used(info);
	uint32_t idx = used.idx + n;

	if (idx >= size) {
		idx = (idx - size) % size;
		used.wrap ^= 1;
	}
	used.idx = idx;
	store_used(info, used);
}

static int
put_entry(struct vhost_virtqueue *block, uint16_t entry)
{
	struct rte_vhost_inflight_info_packed *info = block->cfg.inflight;
	uint16_t last = shared_load(&info->desc[entry].last);
	uint16_t n = shared_load(&info->desc[entry].num);

	if (last >= block->cfg.inflight_num || n > block->size)
		return -EINVAL;
	shared_store(&info->desc[last].next, shared_load(&info->free_head));
	shared_store(&info->free_head, entry);
	advance_used(info, block->size, n);
	return 0;
}

int
vhost_inflight_put_packed(struct vhost_virtqueue *block, uint16_t entry)
{
	int ret = -EINVAL;

	if (!is_tracked(block, VQ_PACKED))
		return -EINVAL;
	if (entry < block->cfg.inflight_num)
		ret = put_entry(block, entry);
	return ret;
}

static void
finish_entry(struct rte_vhost_inflight_info_packed *info, uint16_t entry)
{
	union used_places used = load_used(info);

	used.old_idx = used.idx;
	used.old_wrap = used.wrap;
	shared_store(&info->desc[entry].inflight, 0);
	shared_store(&info->old_free_head, shared_load(&info->free_head));
	store_used(info, used);
}

int
vhost_inflight_done_packed(struct vhost_virtqueue *block, uint16_t entry)
{
	int ret = -EINVAL;

	if (!is_tracked(block, VQ_PACKED))
		return -EINVAL;
	if (entry < block->cfg.inflight_num) {
		finish_entry(block->cfg.inflight, entry);
		ret = 0;
	}
	return ret;
}

int
vhost_inflight_get_used(struct vhost_virtqueue *block, uint16_t *used)
{
	union used_places places;
	int ret = -EINVAL;

	if (!is_tracked(block, VQ_PACKED))
		return -EINVAL;
	places = load_used(block->cfg.inflight);
	if (places.old_idx < block->size) {
		*used = packed_place(places.old_idx, places.old_wrap);
		ret = 0;
	}
	return ret;
}
