/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * The application says three things of each request: that it takes it from the
 * ring, that it is about to put it into the used ring, and that it has done so.
 * Each is recorded in such an order of stores that the process may be killed
 * between any two of them, and the next backend can tell from region and ring what
 * was still to be done: vhost_inflight_stage(), before a ring starts.
 *
 * A region is the frontend's as well as ours.  Nothing in it is trusted: what is
 * read is read once, into a local, and an index is used only after it was found to
 * be inside.  A frontend that writes there spoils its own requests and nothing
 * else.  The other half of the bookkeeping is ours:
 *
 * - the counter that orders requests is a part of vq_state;
 * - the list of what to do again is handed to the application, so it may not be in
 *   a block that is replaced: it has pages of its own, whose address stays while
 *   the kernel moves them, like the handle's;
 * - the region's address is a part of the block's shape.
 */

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_ring.h>

#include "inflight_area.h"
#include "mem_node.h"
#include "queue.h"
#include "queue_inflight.h"
#include "ring.h"

/** What version of a region means. */
#define REGION_UNUSED 0
#define REGION_VERSION 1

/** Wrap counter in a place of a packed ring, see rte_vhost_get_vring_base(). */
#define PLACE_WRAP 0x8000

/* Memory that both sides write: one load or store each, and in this order. */
#define shared_load(from) __atomic_load_n(from, __ATOMIC_RELAXED)
#define shared_store(to, value) __atomic_store_n(to, value, __ATOMIC_RELEASE)

/* ---- starting ---- */

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

/**
 * Where used entries of a packed ring go on, and where they did before the update
 * that may be going on.  They change in one store: an index with the wrap counter
 * of another is a place that may look as if nothing had been written there.
 */
union used_places {
	struct {
		uint16_t idx;
		uint16_t old_idx;
		uint8_t wrap;
		uint8_t old_wrap;
		uint8_t padding[2];
	};
	uint64_t word;
};

typedef uint64_t __attribute__((__may_alias__)) used_word;

static_assert(offsetof(struct rte_vhost_inflight_info_packed, used_idx) % sizeof(used_word) == 0 &&
	offsetof(struct rte_vhost_inflight_info_packed, old_used_wrap_counter) ==
	offsetof(struct rte_vhost_inflight_info_packed, used_idx) +
	offsetof(union used_places, old_wrap), "they are a word in the region as well");

static union used_places
load_used(const struct rte_vhost_inflight_info_packed *info)
{
	return (union used_places){
		.word = shared_load((const used_word *)&info->used_idx),
	};
}

static void
store_used(struct rte_vhost_inflight_info_packed *info, union used_places used)
{
	shared_store((used_word *)&info->used_idx, used.word);
}

/** As rte_vhost_get_vring_base() tells places. */
static uint16_t
packed_place(uint16_t index, uint8_t wrap)
{
	return (index & ~PLACE_WRAP) | (wrap & 1 ? PLACE_WRAP : 0);
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

static void
free_list(struct inflight_list *list)
{
	if (list != NULL)
		vhost_node_pages_free(list, list->bytes);
}

static int
stage_leftover(struct queue_inflight *inflight, struct leftover *left)
{
	inflight->staged_counter = 0;
	if (left->n > 0) {
		qsort(left->descs, left->n, sizeof(left->descs[0]), compare_leftovers);
		inflight->staged_counter = left->descs[0].counter + 1;
		if (make_list(left, &inflight->staged) < 0)
			return -ENOMEM;
	}
	inflight->is_staged = true;
	return 0;
}

int
vhost_inflight_stage(struct vhost_queue *q, const struct vq_cfg *cfg)
{
	struct leftover left = { .n = 0 };
	int ret;

	if (cfg->inflight == NULL || (q->live &&
			ring_is_same_format(vhost_queue_block(q)->cfg.format, cfg->format)))
		return 0;
	left.descs = calloc(cfg->size, sizeof(left.descs[0]));
	if (left.descs == NULL)
		return -ENOMEM;
	if (cfg->format & VQ_PACKED)
		recover_packed(cfg->inflight, cfg, &left);
	else
		recover_split(cfg->inflight, cfg, &left);
	ret = stage_leftover(&q->inflight, &left);
	free(left.descs);
	return ret;
}

void
vhost_inflight_unstage(struct vhost_queue *q)
{
	free_list(q->inflight.staged);
	q->inflight.staged = NULL;
	q->inflight.is_staged = false;
}

void
vhost_inflight_commit(struct vhost_queue *q, struct vhost_virtqueue *block)
{
	struct queue_inflight *inflight = &q->inflight;

	if (inflight->list != NULL && (block->size == 0 || inflight->is_staged)) {
		/* nobody starts twice between two tellings */
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
vhost_inflight_close_retired(struct vhost_queue *q)
{
	free_list(q->inflight.retired);
	q->inflight.retired = NULL;
}

void
vhost_inflight_forget(struct vhost_queue *q)
{
	vhost_inflight_unstage(q);
	vhost_inflight_close_retired(q);
	free_list(q->inflight.list);
	q->inflight.list = NULL;
}

/* ---- moving ---- */

void
vhost_inflight_bring(struct vhost_queue *q)
{
	const struct vhost_virtqueue *block = vhost_queue_block(q);
	struct inflight_list *list = q->inflight.list;
	uintptr_t begin, end, page = sysconf(_SC_PAGESIZE);

	if (block->node == VHOST_NODE_ANY)
		return;
	if (list != NULL && list->node != block->node &&
			vhost_node_pages_bring(list, list->bytes, block->node) != -EAGAIN)
		list->node = block->node;
	if (block->cfg.inflight == NULL || q->inflight.node == block->node)
		return;
	/* tried once: where the frontend uses the pages as well, they stay */
	begin = RTE_ALIGN_FLOOR((uintptr_t)block->cfg.inflight, page);
	end = (uintptr_t)block->cfg.inflight +
		vhost_inflight_region_bytes(block->cfg.format, block->cfg.inflight_num);
	vhost_node_move_pages((void *)begin, end - begin, block->node);
	q->inflight.node = block->node;
}

/* ---- recording ---- */

/** Enter a ring of that format that has a region; NULL if it is none. */
static struct vhost_virtqueue *
enter(struct vhost_queue *q, unsigned int format)
{
	struct vhost_virtqueue *block = vhost_queue_enter(q);

	if (block == NULL)
		return NULL;
	if (block->cfg.inflight != NULL && ring_is_same_format(block->cfg.format, format))
		return block;
	vhost_queue_leave(q);
	return NULL;
}

/** Enter likewise, for something that has an index in the region. */
static struct vhost_virtqueue *
enter_at(struct vhost_queue *q, unsigned int format, uint16_t index)
{
	struct vhost_virtqueue *block = enter(q, format);

	if (block == NULL || index < RTE_MIN(block->size, block->cfg.inflight_num))
		return block;
	vhost_queue_leave(q);
	return NULL;
}

int
vhost_inflight_take_split(struct vhost_queue *q, uint16_t head)
{
	struct vhost_virtqueue *block = enter_at(q, 0, head);
	struct rte_vhost_inflight_info_split *info;

	if (block == NULL)
		return -EINVAL;
	info = block->cfg.inflight;
	shared_store(&info->desc[head].counter, block->state.inflight_counter++);
	shared_store(&info->desc[head].inflight, 1);
	vhost_queue_leave(q);
	return 0;
}

int
vhost_inflight_put_split(struct vhost_queue *q, uint16_t head)
{
	struct vhost_virtqueue *block = enter_at(q, 0, head);
	struct rte_vhost_inflight_info_split *info;

	if (block == NULL)
		return -EINVAL;
	info = block->cfg.inflight;
	shared_store(&info->desc[head].next, shared_load(&info->last_inflight_io));
	shared_store(&info->last_inflight_io, head);
	vhost_queue_leave(q);
	return 0;
}

int
vhost_inflight_done_split(struct vhost_queue *q, uint16_t used_idx, uint16_t head)
{
	struct vhost_virtqueue *block = enter_at(q, 0, head);
	struct rte_vhost_inflight_info_split *info;

	if (block == NULL)
		return -EINVAL;
	info = block->cfg.inflight;
	shared_store(&info->desc[head].inflight, 0);
	shared_store(&info->used_idx, used_idx);
	vhost_queue_leave(q);
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
vhost_inflight_take_packed(struct vhost_queue *q, uint16_t head, uint16_t last, uint16_t *entry)
{
	struct vhost_virtqueue *block = enter(q, VQ_PACKED);
	struct rte_vhost_inflight_info_packed *info;
	int ret = -EINVAL;
	uint16_t first;

	if (block == NULL)
		return -EINVAL;
	if (head < block->size && last < block->size) {
		info = block->cfg.inflight;
		first = shared_load(&info->old_free_head);
		ret = take_entries(block, head,
			(last + block->size - head) % block->size + 1, first);
		if (ret == 0)
			*entry = first;
	}
	vhost_queue_leave(q);
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
vhost_inflight_put_packed(struct vhost_queue *q, uint16_t entry)
{
	struct vhost_virtqueue *block = enter(q, VQ_PACKED);
	int ret = -EINVAL;

	if (block == NULL)
		return -EINVAL;
	if (entry < block->cfg.inflight_num)
		ret = put_entry(block, entry);
	vhost_queue_leave(q);
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
vhost_inflight_done_packed(struct vhost_queue *q, uint16_t entry)
{
	struct vhost_virtqueue *block = enter(q, VQ_PACKED);
	int ret = -EINVAL;

	if (block == NULL)
		return -EINVAL;
	if (entry < block->cfg.inflight_num) {
		finish_entry(block->cfg.inflight, entry);
		ret = 0;
	}
	vhost_queue_leave(q);
	return ret;
}

/* ---- asking ---- */

int
vhost_inflight_get(struct vhost_queue *q, struct rte_vhost_ring_inflight *ring)
{
	const struct vhost_virtqueue *block = vhost_queue_close(q);
	int ret = -EINVAL;

	if (block != NULL && block->cfg.inflight != NULL) {
		*ring = (struct rte_vhost_ring_inflight){
			.inflight_split = block->cfg.inflight,
			.resubmit_inflight = q->inflight.list != NULL ?
				&q->inflight.list->info : NULL,
		};
		ret = 0;
	}
	vhost_queue_open(q);
	return ret;
}

int
vhost_inflight_get_used(struct vhost_queue *q, uint16_t *used)
{
	struct vhost_virtqueue *block = enter(q, VQ_PACKED);
	union used_places places;
	int ret = -EINVAL;

	if (block == NULL)
		return -EINVAL;
	places = load_used(block->cfg.inflight);
	if (places.old_idx < block->size) {
		*used = packed_place(places.old_idx, places.old_wrap);
		ret = 0;
	}
	vhost_queue_leave(q);
	return ret;
}
