/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <stddef.h>

#include <linux/virtio_ring.h>

#include "mem_node.h"
#include "ring_split.h"
#include "vhost_virtqueue.h"

/**
 * Every array of a live block.  They are laid out behind the structure, in the
 * same allocation; a dormant block has none.
 */
static const struct vq_array {
	size_t member;		/**< offset of the pointer in the block */
	size_t bytes;
} vq_arrays[] = {
	{ offsetof(struct vhost_virtqueue, pieces),
		(VHOST_MAX_PIECES + 1) * sizeof(struct vq_piece) },
	{ offsetof(struct vhost_virtqueue, chains),
		VHOST_MAX_PIECES * sizeof(struct vq_chain) },
};

/**
 * Lay the arrays of a block out and return its size.
 *
 * @param block  to fill its pointers in, or NULL to ask for the size
 */
static size_t
lay_out(const struct vq_cfg *cfg, struct vhost_virtqueue *block)
{
	size_t at = sizeof(*block);

	if (cfg->size == 0)
		return at;
	for (size_t i = 0; i < RTE_DIM(vq_arrays); i++) {
		at = RTE_CACHE_LINE_ROUNDUP(at);
		if (block != NULL)
			*(void **)((char *)block + vq_arrays[i].member) = (char *)block + at;
		at += vq_arrays[i].bytes;
	}
	return at;
}

struct vhost_virtqueue *
vhost_block_create(const struct vq_cfg *cfg, const struct virtio_net *net)
{
	size_t bytes = lay_out(cfg, NULL);
	struct vhost_virtqueue *block = vhost_node_alloc(bytes, cfg->node);
	int node;

	if (block == NULL)
		return NULL;
	lay_out(cfg, block);
	block->net = net;
	block->desc = cfg->desc;
	block->avail = cfg->avail;
	block->used = cfg->used;
	block->size = cfg->size;
	block->mask = cfg->size - 1;
	block->event_idx = virtio_net_has(net, VIRTIO_RING_F_EVENT_IDX);
	block->callfd = -1;
	block->attr.callfd = -1;
	block->cfg = *cfg;
	block->bytes = bytes;
	block->enqueue = vhost_net_enqueue_select(block);
	block->dequeue = vhost_net_dequeue_select(block);
	node = vhost_node_of(block);
	block->node = node >= 0 ? node : VHOST_NODE_ANY;
	return block;
}

void
vhost_block_destroy(struct vhost_virtqueue *block)
{
	vhost_node_free(block);
}

bool
vhost_block_start(struct vhost_virtqueue *block)
{
	uint16_t used = ring_published(block);
	bool agree = used == block->state.last_used_idx;

	block->state.signalled_used_valid = false;
	if (!agree) {
		block->state.last_used_idx = used;
		block->state.last_avail_idx = used;
	}
	return agree;
}

void
vhost_block_apply(struct vhost_virtqueue *block, const struct vq_attr *attr)
{
	/* the new descriptor does not know what the old one was told */
	if (attr->callfd != block->attr.callfd)
		block->state.signalled_used_valid = false;
	block->attr = *attr;
	block->callfd = attr->callfd;
	block->call_kind = attr->call_kind;
	block->wants_kicks = attr->guest_notify && block->event_idx;
	block->enqueue = vhost_net_enqueue_select(block);
	block->dequeue = vhost_net_dequeue_select(block);
	if (block->size != 0)
		ring_want_kicks(block, attr->guest_notify);
}

bool
vhost_vq_cfg_equal(const struct vq_cfg *a, const struct vq_cfg *b)
{
	return a->size == b->size && a->index == b->index && a->node == b->node &&
		a->generation == b->generation && a->desc == b->desc &&
		a->avail == b->avail && a->used == b->used;
}
