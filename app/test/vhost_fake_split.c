/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* The driver's side of a split ring (virtio 1.2, 2.7). */

#include <rte_atomic.h>

#include "test.h"
#include "vhost_fake_frontend.h"

/* Each part begins on a page of its own. */
#define PART_ALIGN 4096

static void
split_layout(struct fake_vq *vq)
{
	uint64_t avail = RTE_ALIGN_CEIL(vq->size * sizeof(struct vring_desc),
		PART_ALIGN);
	uint64_t used = avail + RTE_ALIGN_CEIL(6 + 2ULL * vq->size, PART_ALIGN);

	vq->avail_gpa = vq->desc_gpa + avail;
	vq->used_gpa = vq->desc_gpa + used;
	vq->desc = fake_va(vq->fe, vq->desc_gpa, avail);
	vq->avail = fake_va(vq->fe, vq->avail_gpa, used - avail);
	vq->used = fake_va(vq->fe, vq->used_gpa, 6 + 8ULL * vq->size);
}

static void
write_desc(const struct fake_vq *vq, struct vring_desc *d, const struct fake_seg *seg,
		bool more, uint16_t next)
{
	d->addr = seg->gpa + vq->fe->iova;
	d->len = seg->len;
	d->flags = (seg->write ? VRING_DESC_F_WRITE : 0) |
		(more ? VRING_DESC_F_NEXT : 0);
	d->next = next;
}

static void
put_avail(struct fake_vq *vq, uint16_t head)
{
	vq->avail->ring[vq->avail_idx % vq->size] = head;
	vq->avail_idx++;
}

static int
add_indirect(struct fake_vq *vq, const struct fake_seg *segs, unsigned int n,
		uint64_t table_gpa)
{
	uint32_t head = vq->free_head;
	struct vring_desc desc;

	if (vq->nb_free < 1)
		return -1;
	for (unsigned int i = 0; i < n; i++) {
		write_desc(vq, &desc, &segs[i], i + 1 < n, i + 1);
		if (!fake_write_guest(vq->fe, table_gpa + i * sizeof(desc),
				&desc, sizeof(desc)))
			return -1;
	}
	vq->desc[head] = (struct vring_desc){
		.addr = table_gpa + vq->fe->iova, .len = n * sizeof(desc),
		.flags = VRING_DESC_F_INDIRECT,
	};
	vq->free_head = vq->next_free[head];
	vq->nb_free--;
	vq->slots[head].nb_desc = 1;
	put_avail(vq, head);
	return head;
}

static int
split_add(struct fake_vq *vq, const struct fake_seg *segs, unsigned int n,
		uint64_t indirect_gpa)
{
	uint32_t head = vq->free_head, at = head;

	if (n == 0)
		return -1;
	if (indirect_gpa != 0)
		return add_indirect(vq, segs, n, indirect_gpa);
	if (n > vq->nb_free)
		return -1;
	for (unsigned int i = 0; i < n; i++) {
		uint32_t next = vq->next_free[at];

		write_desc(vq, &vq->desc[at], &segs[i], i + 1 < n, next);
		at = next;
	}
	vq->free_head = at;
	vq->nb_free -= n;
	vq->slots[head].nb_desc = n;
	put_avail(vq, head);
	return head;
}

/** Has the other side asked to hear of one of the steps from old to new? */
static bool
event_passed(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static bool
split_publish(struct fake_vq *vq)
{
	uint16_t old = vq->shown_idx;
	const uint16_t *avail_event = (const uint16_t *)&vq->used->ring[vq->size];

	__atomic_store_n(&vq->avail->idx, vq->avail_idx, __ATOMIC_RELEASE);
	vq->shown_idx = vq->avail_idx;
	/* The index must be visible before we look whether it is watched. */
	rte_smp_mb();
	if (old == vq->avail_idx)
		return false;
	if (vq->fe->features & FE_BIT(VIRTIO_RING_F_EVENT_IDX))
		return event_passed(__atomic_load_n(avail_event,
			__ATOMIC_RELAXED), vq->avail_idx, old);
	return (__atomic_load_n(&vq->used->flags, __ATOMIC_RELAXED) &
		VRING_USED_F_NO_NOTIFY) == 0;
}

static bool
split_used(struct fake_vq *vq, uint32_t *id, uint32_t *len)
{
	uint16_t idx = __atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE);
	const struct vring_used_elem *elem;

	if (idx == vq->used_idx)
		return false;
	if ((uint16_t)(idx - vq->used_idx) > vq->size) {
		printf("fake: ring %u: used index %u (we: %u)\n", vq->index, idx,
			vq->used_idx);
		vq->fe->broken = true;
		return false;
	}
	elem = &vq->used->ring[vq->used_idx % vq->size];
	*id = elem->id;
	*len = elem->len;
	return true;
}

/** Put the descriptors of a chain back, in the order in which they were taken. */
static void
split_take(struct fake_vq *vq, uint32_t head)
{
	uint32_t last = head;

	for (uint32_t i = 1; i < vq->slots[head].nb_desc; i++)
		last = vq->next_free[last];
	vq->used_idx++;
	vq->nb_free += vq->slots[head].nb_desc;
	vq->slots[head].nb_desc = 0;
	/* Given back as they were taken, descriptors stay a circle (2.7.9). */
	if (fake_in_order(vq->fe))
		return;
	vq->next_free[last] = vq->free_head;
	vq->free_head = head;
}

static void
split_interrupts(struct fake_vq *vq, bool on)
{
	/* With event idx: after the next buffer, or half a ring turn away. */
	uint16_t used_event = on ? vq->used_idx : vq->used_idx + 0x8000;

	__atomic_store_n(&vq->avail->ring[vq->size], used_event,
		__ATOMIC_RELAXED);
	__atomic_store_n(&vq->avail->flags, on ? 0 : VRING_AVAIL_F_NO_INTERRUPT,
		__ATOMIC_RELAXED);
	rte_smp_mb();
}

static void
split_interrupt_after(struct fake_vq *vq, uint16_t n)
{
	__atomic_store_n(&vq->avail->ring[vq->size], vq->used_idx + n - 1,
		__ATOMIC_RELAXED);
	rte_smp_mb();
}

static uint32_t
split_base(const struct fake_vq *vq)
{
	return vq->used_idx;
}

const struct fake_ring_ops fake_split_ring = {
	.layout = split_layout,
	.add = split_add,
	.publish = split_publish,
	.used = split_used,
	.take = split_take,
	.interrupts = split_interrupts,
	.interrupt_after = split_interrupt_after,
	.base = split_base,
};
