/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A queue's in-flight tracking from one settle to the next.
 *
 * The list of what to do again is handed to the application, so it may not be in a
 * block that is replaced: it has pages of its own, whose address stays while the
 * kernel moves them, like the handle's.
 */

#include <unistd.h>

#include <rte_common.h>

#include "inflight_area.h"
#include "mem_node.h"
#include "queue_inflight.h"

int
vhost_inflight_stage(struct queue_inflight *inflight, const struct vq_cfg *cfg)
{
	int ret = vhost_inflight_recover(cfg, &inflight->staged, &inflight->staged_counter);

	inflight->is_staged = ret == 0;
	return ret;
}

void
vhost_inflight_unstage(struct queue_inflight *inflight)
{
	vhost_inflight_list_free(inflight->staged);
	inflight->staged = NULL;
	inflight->is_staged = false;
}

void
vhost_inflight_commit(struct queue_inflight *inflight, struct vhost_virtqueue *block)
{
	if (inflight->list != NULL && (block->size == 0 || inflight->is_staged)) {
		/* no ring starts twice before the application was told */
		inflight->retired = inflight->list;
		inflight->list = NULL;
	}
	if (!inflight->is_staged)
		return;
	inflight->list = inflight->staged;
	inflight->node = VHOST_NODE_ANY;
	block->state.inflight_counter = inflight->staged_counter;
	/* what is in flight was taken; of a packed ring the application knows how much */
	if (inflight->list != NULL && !(block->cfg.format & VQ_PACKED))
		block->state.last_avail_idx += inflight->list->info.resubmit_num;
	inflight->staged = NULL;
	inflight->is_staged = false;
}

void
vhost_inflight_close_retired(struct queue_inflight *inflight)
{
	vhost_inflight_list_free(inflight->retired);
	inflight->retired = NULL;
}

void
vhost_inflight_forget(struct queue_inflight *inflight)
{
	vhost_inflight_unstage(inflight);
	vhost_inflight_list_free(inflight->list);
	inflight->list = NULL;
}

void
vhost_inflight_migrate(struct queue_inflight *inflight, const struct vhost_virtqueue *block)
{
	struct inflight_list *list = inflight->list;
	uintptr_t begin, end, page = sysconf(_SC_PAGESIZE);

	if (block->node == VHOST_NODE_ANY)
		return;
	if (list != NULL && list->node != block->node &&
			vhost_node_pages_bring(list, list->bytes, block->node) != -EAGAIN)
		list->node = block->node;
	if (block->cfg.inflight == NULL || inflight->node == block->node)
		return;
	/* tried once: where the frontend uses the pages as well, they stay */
	begin = RTE_ALIGN_FLOOR((uintptr_t)block->cfg.inflight, page);
	end = (uintptr_t)block->cfg.inflight +
		vhost_inflight_region_bytes(block->cfg.format, block->cfg.inflight_num);
	vhost_node_move_pages((void *)begin, end - begin, block->node);
	inflight->node = block->node;
}
