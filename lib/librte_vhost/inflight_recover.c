/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What did the last backend leave undone?
 *
 * It may have been killed between any two of the stores that inflight_record.c
 * makes.  Their order lets us tell, from region and ring, what was still to be done;
 * a second recovery of the same region finds the same.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ring.h>

#include <rte_common.h>

#include "inflight_layout.h"
#include "inflight_recover.h"
#include "mem_node.h"
#include "ring.h"

/** What version of a region means. */
#define REGION_UNUSED 0
#define REGION_VERSION 1

/** A ring whose backend died, as the next one finds it. */
struct leftover {
	struct rte_vhost_resubmit_desc *descs;	/**< room for one per descriptor */
	uint32_t n;
};

static void
note_leftover(struct leftover *left, uint16_t index, uint64_t counter)
{
	left->descs[left->n++] = (struct rte_vhost_resubmit_desc){
		.index = index, .counter = counter,
	};
}

static void
begin_split(struct rte_vhost_inflight_info_split *info, const struct vq_cfg *cfg)
{
	memset(info, 0, sizeof(*info) + cfg->inflight_num * sizeof(info->desc[0]));
	info->desc_num = cfg->inflight_num;
	info->used_idx = shared_load(&cfg->used->idx);
}

/** The last batch that went into the used ring, if nobody had time to say so. */
static void
finish_split(struct rte_vhost_inflight_info_split *info, const struct vq_cfg *cfg)
{
	uint16_t used = shared_load(&cfg->used->idx);
	uint16_t batch = used - shared_load(&info->used_idx);
	uint16_t head = shared_load(&info->last_inflight_io);

	for (; batch > 0 && head < cfg->inflight_num; batch--) {
		shared_store(&info->desc[head].inflight, 0);
		head = shared_load(&info->desc[head].next);
	}
	shared_store(&info->used_idx, used);
}

static void
collect_split(const struct rte_vhost_inflight_info_split *info, const struct vq_cfg *cfg,
		struct leftover *left)
{
	uint16_t i, n = RTE_MIN(cfg->size, cfg->inflight_num);

	for (i = 0; i < n; i++)
		if (shared_load(&info->desc[i].inflight) == 1)
			note_leftover(left, i, shared_load(&info->desc[i].counter));
}

static void
recover_split(void *region, const struct vq_cfg *cfg, struct leftover *left)
{
	struct rte_vhost_inflight_info_split *info = region;

	if (shared_load(&info->version) == REGION_UNUSED) {
		begin_split(info, cfg);
		shared_store(&info->version, REGION_VERSION);
		return;
	}
	finish_split(info, cfg);
	collect_split(info, cfg, left);
}

static void
begin_packed(struct rte_vhost_inflight_info_packed *info, const struct vq_cfg *cfg)
{
	uint32_t i;

	memset(info, 0, sizeof(*info) + cfg->inflight_num * sizeof(info->desc[0]));
	info->desc_num = cfg->inflight_num;
	info->used_wrap_counter = 1;
	info->old_used_wrap_counter = 1;
	/* the next of the last is outside: the end of the free list */
	for (i = 0; i < cfg->inflight_num; i++)
		info->desc[i].next = i + 1;
}

/** Whether the ring still offers, at the place of old, what was to be replaced by a used entry. */
static bool
is_unused(const struct vq_cfg *cfg, uint16_t old)
{
	const struct vring_packed_desc *ring = (const void *)cfg->desc;
	uint16_t index = old & ~PLACE_WRAP;

	return index < cfg->size && (shared_load(&ring[index].flags) &
		(RING_PACKED_AVAIL | RING_PACKED_USED)) == ring_packed_mark_available(old);
}

/** Complete the update that was going on, if the driver may have seen it; else undo it. */
static void
finish_packed(struct rte_vhost_inflight_info_packed *info, const struct vq_cfg *cfg)
{
	union used_places used = load_used(info);
	uint16_t old = packed_place(used.old_idx, used.old_wrap);
	uint16_t free_head = shared_load(&info->old_free_head), i;

	if (packed_place(used.idx, used.wrap) != old && !is_unused(cfg, old)) {
		free_head = shared_load(&info->free_head);
		old = packed_place(used.idx, used.wrap);
	}
	shared_store(&info->free_head, free_head);
	shared_store(&info->old_free_head, free_head);
	store_used(info, (union used_places){
		.idx = old & ~PLACE_WRAP, .old_idx = old & ~PLACE_WRAP,
		.wrap = old / PLACE_WRAP, .old_wrap = old / PLACE_WRAP,
	});
	/* what is free is not in flight, whatever was being recorded of it */
	for (i = 0; i < cfg->inflight_num && free_head < cfg->inflight_num; i++) {
		shared_store(&info->desc[free_head].inflight, 0);
		free_head = shared_load(&info->desc[free_head].next);
	}
}

static void
collect_packed(const struct rte_vhost_inflight_info_packed *info, const struct vq_cfg *cfg,
		struct leftover *left)
{
	uint16_t i;

	/* entries, of which there may be more than the ring can have in flight */
	for (i = 0; i < cfg->inflight_num && left->n < cfg->size; i++)
		if (shared_load(&info->desc[i].inflight) == 1)
			note_leftover(left, i, shared_load(&info->desc[i].counter));
}

static void
recover_packed(void *region, const struct vq_cfg *cfg, struct leftover *left)
{
	struct rte_vhost_inflight_info_packed *info = region;

	if (shared_load(&info->version) == REGION_UNUSED) {
		begin_packed(info, cfg);
		shared_store(&info->version, REGION_VERSION);
		return;
	}
	finish_packed(info, cfg);
	collect_packed(info, cfg, left);
}

/** Latest first: applications begin at the end, with what was taken first. */
static int
compare_leftovers(const void *a, const void *b)
{
	const struct rte_vhost_resubmit_desc *one = a, *other = b;

	if (one->counter != other->counter)
		return one->counter < other->counter ? 1 : -1;
	return one->index < other->index ? 1 : -1;
}

/** A list for the application: 0 or -ENOMEM. */
static int
make_list(const struct leftover *left, struct inflight_list **out)
{
	size_t bytes = sizeof(**out) + left->n * sizeof((*out)->descs[0]);
	struct inflight_list *list;

	list = vhost_node_pages(bytes);
	if (list == NULL)
		return -ENOMEM;
	list->bytes = bytes;
	list->node = VHOST_NODE_ANY;
	memcpy(list->descs, left->descs, left->n * sizeof(list->descs[0]));
	list->info.resubmit_list = list->descs;
	list->info.resubmit_num = left->n;
	*out = list;
	return 0;
}

void
vhost_inflight_list_free(struct inflight_list *list)
{
	if (list != NULL)
		vhost_node_pages_free(list, list->bytes);
}

/** Put what was found in order, for the application: 0 or -ENOMEM. */
static int
hand_over(struct leftover *left, struct inflight_list **list, uint64_t *counter)
{
	if (left->n == 0)
		return 0;
	qsort(left->descs, left->n, sizeof(left->descs[0]), compare_leftovers);
	*counter = left->descs[0].counter + 1;
	return make_list(left, list);
}

int
vhost_inflight_recover(const struct vq_cfg *cfg, struct inflight_list **list, uint64_t *counter)
{
	struct leftover left = { .n = 0 };
	int ret;

	*list = NULL;
	*counter = 0;
	left.descs = calloc(cfg->size, sizeof(left.descs[0]));
	if (left.descs == NULL)
		return -ENOMEM;
	if (cfg->format & VQ_PACKED)
		recover_packed(cfg->inflight, cfg, &left);
	else
		recover_split(cfg->inflight, cfg, &left);
	ret = hand_over(&left, list, counter);
	free(left.descs);
	return ret;
}
