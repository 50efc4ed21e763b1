/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The driver's side of a packed ring (virtio 1.2, 2.8).
 *
 * The id of a chain names its slot, and unless the order is kept it is not its
 * place in the ring.  What is added stays hidden until it is published: the
 * flags of the first hidden descriptor are stored last.
 */

#include <linux/virtio_config.h>

#include <rte_atomic.h>

#include "test.h"
#include "vhost_fake_frontend.h"

/* Each part begins on a page of its own. */
#define PART_ALIGN 4096

#define AVAIL (1 << VRING_PACKED_DESC_F_AVAIL)
#define USED (1 << VRING_PACKED_DESC_F_USED)

static void
packed_layout(struct fake_vq *vq)
{
	uint64_t driver = RTE_ALIGN_CEIL(
		vq->size * sizeof(struct vring_packed_desc), PART_ALIGN);

	vq->avail_gpa = vq->desc_gpa + driver;
	vq->used_gpa = vq->avail_gpa + PART_ALIGN;
	vq->packed = fake_va(vq->fe, vq->desc_gpa, driver);
	vq->driver_event = fake_va(vq->fe, vq->avail_gpa, PART_ALIGN);
	vq->device_event = fake_va(vq->fe, vq->used_gpa,
		sizeof(*vq->device_event));
}

/** Go on by n places. */
static void
advance(const struct fake_vq *vq, uint16_t *place, bool *wrap, uint32_t n)
{
	uint32_t sum = *place + n;

	*wrap ^= sum / vq->size & 1;
	*place = sum % vq->size;
}

/** Put a descriptor at the next place, marked as available. */
static void
put_desc(struct fake_vq *vq, struct vring_packed_desc desc)
{
	struct vring_packed_desc *at = &vq->packed[vq->avail_idx];

	desc.flags |= vq->avail_wrap ? AVAIL : USED;
	at->addr = desc.addr;
	at->len = desc.len;
	at->id = desc.id;
	if (vq->nb_hidden++ == 0)
		vq->hidden_flags = desc.flags;
	else
		at->flags = desc.flags;
	advance(vq, &vq->avail_idx, &vq->avail_wrap, 1);
}

static struct vring_packed_desc
make_desc(const struct fake_vq *vq, const struct fake_seg *seg, uint16_t id)
{
	return (struct vring_packed_desc){
		.addr = seg->gpa + vq->fe->iova, .len = seg->len, .id = id,
		.flags = seg->write ? VRING_DESC_F_WRITE : 0,
	};
}

/** Take an id for a chain of n descriptors of the ring. */
static uint32_t
take_id(struct fake_vq *vq, unsigned int n)
{
	uint32_t id = vq->free_head;

	/* Where the order is kept, the id is the place: a circle again. */
	vq->free_head = fake_in_order(vq->fe) ? (id + n) % vq->size :
		vq->next_free[id];
	vq->nb_free -= n;
	vq->slots[id].nb_desc = n;
	return id;
}

static int
add_indirect(struct fake_vq *vq, const struct fake_seg *segs, unsigned int n,
		uint64_t table_gpa)
{
	struct vring_packed_desc desc;
	uint32_t id;

	if (vq->nb_free < 1)
		return -1;
	/* The order is the link, there is no NEXT (2.8.7). */
	for (unsigned int i = 0; i < n; i++) {
		desc = make_desc(vq, &segs[i], 0);
		if (!fake_write_guest(vq->fe, table_gpa + i * sizeof(desc),
				&desc, sizeof(desc)))
			return -1;
	}
	id = take_id(vq, 1);
	put_desc(vq, (struct vring_packed_desc){ .addr = table_gpa + vq->fe->iova,
		.len = n * sizeof(desc), .id = id,
		.flags = VRING_DESC_F_INDIRECT });
	return id;
}

static int
packed_add(struct fake_vq *vq, const struct fake_seg *segs, unsigned int n,
		uint64_t indirect_gpa)
{
	uint32_t id;

	if (n == 0)
		return -1;
	if (indirect_gpa != 0)
		return add_indirect(vq, segs, n, indirect_gpa);
	if (n > vq->nb_free)
		return -1;
	id = take_id(vq, n);
	for (unsigned int i = 0; i < n; i++) {
		struct vring_packed_desc desc = make_desc(vq, &segs[i], id);

		desc.flags |= i + 1 < n ? VRING_DESC_F_NEXT : 0;
		put_desc(vq, desc);
	}
	return id;
}

/** Is this event among the next n places? */
static bool
event_within(const struct fake_vq *vq, uint16_t off_wrap, uint16_t place,
		bool wrap, uint16_t n)
{
	int32_t ahead = (off_wrap & ~(1 << VRING_PACKED_EVENT_F_WRAP_CTR)) - place;

	if (off_wrap >> VRING_PACKED_EVENT_F_WRAP_CTR != wrap)
		ahead += vq->size;
	return ahead >= 0 && ahead < n;
}

static bool
packed_publish(struct fake_vq *vq)
{
	uint16_t first = vq->shown_idx, n = vq->nb_hidden;
	bool wrap = vq->shown_wrap;
	uint16_t off_wrap, flags;

	if (n == 0)
		return false;
	__atomic_store_n(&vq->packed[first].flags, vq->hidden_flags,
		__ATOMIC_RELEASE);
	vq->shown_idx = vq->avail_idx;
	vq->shown_wrap = vq->avail_wrap;
	vq->nb_hidden = 0;
	/* The flags must be visible before we look whether they are watched. */
	rte_smp_mb();
	flags = __atomic_load_n(&vq->device_event->flags, __ATOMIC_ACQUIRE);
	off_wrap = __atomic_load_n(&vq->device_event->off_wrap, __ATOMIC_RELAXED);
	if (flags == VRING_PACKED_EVENT_FLAG_DESC)
		return event_within(vq, off_wrap, first, wrap, n);
	return flags == VRING_PACKED_EVENT_FLAG_ENABLE;
}

static bool
packed_used(struct fake_vq *vq, uint32_t *id, uint32_t *len)
{
	const struct vring_packed_desc *at = &vq->packed[vq->used_idx];
	uint16_t flags = __atomic_load_n(&at->flags, __ATOMIC_ACQUIRE);

	if ((flags & (AVAIL | USED)) != (vq->used_wrap ? AVAIL | USED : 0))
		return false;
	*id = at->id;
	*len = at->len;
	return true;
}

static void
packed_take(struct fake_vq *vq, uint32_t id)
{
	advance(vq, &vq->used_idx, &vq->used_wrap, vq->slots[id].nb_desc);
	vq->nb_free += vq->slots[id].nb_desc;
	vq->slots[id].nb_desc = 0;
	if (fake_in_order(vq->fe))
		return;
	vq->next_free[id] = vq->free_head;
	vq->free_head = id;
}

static void
set_driver_event(struct fake_vq *vq, uint16_t n, uint16_t flags)
{
	uint16_t place = vq->used_idx;
	bool wrap = vq->used_wrap;

	advance(vq, &place, &wrap, n);
	__atomic_store_n(&vq->driver_event->off_wrap,
		place | wrap << VRING_PACKED_EVENT_F_WRAP_CTR, __ATOMIC_RELAXED);
	__atomic_store_n(&vq->driver_event->flags, flags, __ATOMIC_RELEASE);
	rte_smp_mb();
}

static void
packed_interrupts(struct fake_vq *vq, bool on)
{
	bool event_idx = vq->fe->features & FE_BIT(VIRTIO_RING_F_EVENT_IDX);

	set_driver_event(vq, 0, !on ? VRING_PACKED_EVENT_FLAG_DISABLE :
		event_idx ? VRING_PACKED_EVENT_FLAG_DESC :
		VRING_PACKED_EVENT_FLAG_ENABLE);
}

static void
packed_interrupt_after(struct fake_vq *vq, uint16_t n)
{
	set_driver_event(vq, n - 1, VRING_PACKED_EVENT_FLAG_DESC);
}

/** Both places with their counters: next available below, next used above. */
static uint32_t
packed_base(const struct fake_vq *vq)
{
	uint32_t place = vq->used_idx | (uint32_t)vq->used_wrap << 15;

	return place | place << 16;
}

const struct fake_ring_ops fake_packed_ring = {
	.layout = packed_layout,
	.add = packed_add,
	.publish = packed_publish,
	.used = packed_used,
	.take = packed_take,
	.interrupts = packed_interrupts,
	.interrupt_after = packed_interrupt_after,
	.base = packed_base,
};
