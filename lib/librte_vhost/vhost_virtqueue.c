/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <stddef.h>

#include <linux/virtio_ring.h>

#include "mem_heap.h"
#include "ring.h"
#include "ring_iova.h"
#include "vhost_virtqueue.h"

/**
 * Every array of a live block.  They are laid out behind the structure, in the
 * same allocation; a dormant block has none.
 */
static const struct vq_array {
	size_t member;		/**< offset of the pointer in the block */
	size_t bytes;
	unsigned int format;	/**< only for rings of that format; 0: for any */
	bool to_guest;		/**< only for rings that the guest receives from */
} vq_arrays[] = {
	{ offsetof(struct vhost_virtqueue, pieces),
		(VHOST_MAX_PIECES + 2) * sizeof(struct vq_piece) },
	{ offsetof(struct vhost_virtqueue, chains),
		VHOST_MAX_PIECES * sizeof(struct vq_chain), .to_guest = true },
	{ offsetof(struct vhost_virtqueue, log), sizeof(struct mem_log_cache), VQ_LOG },
	{ offsetof(struct vhost_virtqueue, iova), sizeof(struct ring_iova), VQ_IOVA },
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
		if ((cfg->format & vq_arrays[i].format) != vq_arrays[i].format ||
				(vq_arrays[i].to_guest && cfg->index % 2 != 0))
			continue;
		at = RTE_CACHE_LINE_ROUNDUP(at);
		if (block != NULL)
			*(void **)((char *)block + vq_arrays[i].member) = (char *)block + at;
		at += vq_arrays[i].bytes;
	}
	return at;
}

static void
set_base(struct vhost_virtqueue *block, uint16_t last_avail, uint16_t last_used)
{
	block->state.last_avail_idx = last_avail;
	block->state.last_used_idx = last_used;
	block->state.signalled_used_valid = false;
	block->state.unheard_used = last_used;
}

static void
set_base_to_start(struct vhost_virtqueue *block)
{
	set_base(block, ring_start(block->cfg.format), ring_start(block->cfg.format));
}

struct vhost_virtqueue *
vhost_block_create(const struct vq_cfg *cfg, const struct virtio_net *net)
{
	size_t bytes = lay_out(cfg, NULL);
	struct vhost_virtqueue *block;
	int node;

	block = vhost_heap_alloc(bytes, cfg->node, &node);
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
	if (block->iova != NULL)
		vhost_ring_iova_init(block->iova, net->iotlb);
	set_base_to_start(block);
	block->enqueue = vhost_net_enqueue_select(block);
	block->dequeue = vhost_net_dequeue_select(block);
	block->node = node;
	return block;
}

void
vhost_block_destroy(struct vhost_virtqueue *block)
{
	vhost_heap_free(block);
}

bool
vhost_block_look(struct vhost_virtqueue *block)
{
	int node = vhost_heap_node(block);

	if (node == block->node)
		return false;
	/* a burst may read it meanwhile */
	__atomic_store_n(&block->node, node, __ATOMIC_RELAXED);
	block->cfg.node = node;
	return true;
}

void
vhost_block_inherit(struct vhost_virtqueue *block, struct vhost_virtqueue *from)
{
	vhost_block_count(from);
	block->state = from->state;
	if (!ring_is_same_format(from->cfg.format, block->cfg.format))
		set_base_to_start(block);
}

int
vhost_block_set_base(struct vhost_virtqueue *block, uint16_t last_avail, uint16_t last_used)
{
	if (block->size != 0 && !(ring_is_place(block, last_avail, block->cfg.format) &&
			ring_is_place(block, last_used, block->cfg.format)))
		return -EINVAL;
	set_base(block, last_avail, last_used);
	return 0;
}

enum ring_resumed
vhost_block_start(struct vhost_virtqueue *block, bool taken_over)
{
	enum ring_resumed resumed;
	bool place = true;

	/* the size may have come after the indices */
	if (vhost_block_set_base(block, block->state.last_avail_idx,
			block->state.last_used_idx) < 0) {
		set_base_to_start(block);
		place = false;
	}
	/* whatever the application promised was about the ring before */
	block->state.notification_promised = false;
	resumed = ring_resume(block, block->cfg.format);
	if (resumed == RING_AS_TOLD && !place)
		resumed = RING_ADOPTED;
	/* an earlier backend may have died between giving back and telling the guest */
	block->state.unheard_used = block->state.last_used_idx;
	if (taken_over && block->state.last_used_idx != ring_start(block->cfg.format))
		block->state.unheard_used = ~block->state.last_used_idx;
	return resumed;
}

void
vhost_block_apply(struct vhost_virtqueue *block, const struct vq_attr *attr)
{
	/* the new descriptor does not know what the old one was told */
	if (attr->callfd != block->attr.callfd)
		block->state.signalled_used_valid = false;
	if (block->attr.callfd >= 0)
		block->state.unheard_used = block->state.last_used_idx;
	block->attr = *attr;
	block->callfd = attr->callfd;
	block->call_kind = attr->call_kind;
	block->renews_kicks = attr->kicks == VQ_KICKS_ON && block->event_idx;
	block->enqueue = vhost_net_enqueue_select(block);
	block->dequeue = vhost_net_dequeue_select(block);
}

void
vhost_block_translate(struct vhost_virtqueue *block, const struct mem_iotlb_gone *gone)
{
	if (block->iova != NULL)
		vhost_ring_iova_show(block->iova, block->net->iotlb, gone);
}

void
vhost_block_count(struct vhost_virtqueue *block)
{
	struct ring_iova *iova = block->iova;

	if (iova == NULL)
		return;
	block->state.stats.iotlb_hits += iova->hits;
	block->state.stats.iotlb_misses += iova->misses;
	iova->hits = 0;
	iova->misses = 0;
}

bool
vhost_block_owes_notification(const struct vhost_virtqueue *block)
{
	return block->size != 0 && (block->net->flags & NET_BUILTIN) && block->callfd < 0 &&
		block->state.unheard_used != block->state.last_used_idx;
}

/** Whether a burst of ours would find something to do. */
static bool
has_work(struct vhost_virtqueue *block)
{
	const unsigned int format = block->cfg.format;

	if (!(block->net->flags & NET_BUILTIN) || !block->attr.enabled)
		return false;
	return block->state.announce ||
		ring_offers(block, 0, ring_available(block, format), format);
}

bool
vhost_block_request_kicks(struct vhost_virtqueue *block)
{
	const enum vq_kicks kicks = block->attr.kicks;

	if (block->size == 0 || kicks == VQ_KICKS_UNSAID)
		return false;
	ring_write_kick_request(block, kicks == VQ_KICKS_ON, block->cfg.format);
	return kicks == VQ_KICKS_ON && has_work(block);
}

bool
vhost_vq_cfg_equal(const struct vq_cfg *a, const struct vq_cfg *b)
{
	return a->size == b->size && a->index == b->index && a->node == b->node &&
		a->generation == b->generation && a->format == b->format &&
		a->untranslated == b->untranslated && a->desc == b->desc &&
		a->avail == b->avail && a->used == b->used &&
		a->log.ring == b->log.ring && a->log.device_gpa == b->log.device_gpa &&
		a->log.desc_gpa == b->log.desc_gpa &&
		a->inflight == b->inflight && a->inflight_num == b->inflight_num;
}
