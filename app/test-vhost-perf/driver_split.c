/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The split ring, virtio 1.2, 2.7.
 *
 * Chain number n of the guest always occupies the descriptors from
 * n * chain_descs on, so a used id leads straight back to the chain.
 */

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "driver.h"

/** Room for the event index that follows either ring. */
#define EVENT_BYTES sizeof(uint16_t)

static size_t
split_desc_bytes(uint16_t num)
{
	return num * sizeof(struct vring_desc);
}

static size_t
split_driver_bytes(uint16_t num)
{
	return sizeof(struct vring_avail) + num * sizeof(uint16_t) + EVENT_BYTES;
}

static size_t
split_device_bytes(uint16_t num)
{
	return sizeof(struct vring_used) + num * sizeof(struct vring_used_elem) + EVENT_BYTES;
}

static void
split_init(struct driver_ring *ring)
{
	struct vring_avail *avail = ring->driver;

	avail->flags = ring->event_idx || ring->notify ? 0 : VRING_AVAIL_F_NO_INTERRUPT;
}

/** Write the descriptors of a chain to consecutive places of a table. */
static void
write_descs(struct vring_desc *table, uint16_t first, const struct chain *chain)
{
	uint16_t direction = chain->device_writes ? VRING_DESC_F_WRITE : 0;

	for (unsigned int i = 0; i < chain->n_segs; i++) {
		bool last = i + 1 == chain->n_segs;

		table[first + i] = (struct vring_desc){
			.addr = chain->segs[i].gpa,
			.len = chain->segs[i].len,
			.flags = direction | (last ? 0 : VRING_DESC_F_NEXT),
			.next = last ? 0 : first + i + 1,
		};
	}
}

static void
split_post(struct driver_ring *ring, const struct chain *chain)
{
	struct vring_desc *desc = ring->desc;
	struct vring_avail *avail = ring->driver;
	uint16_t head = chain->slot * ring->chain_descs;

	if (chain->table != NULL) {
		write_descs(chain->table, 0, chain);
		desc[head] = (struct vring_desc){
			.addr = chain->table_gpa,
			.len = chain->n_segs * sizeof(struct vring_desc),
			.flags = VRING_DESC_F_INDIRECT,
		};
	} else {
		write_descs(desc, head, chain);
	}
	avail->ring[ring->avail++ & (ring->num - 1)] = head;
}

static void
split_publish(struct driver_ring *ring)
{
	struct vring_avail *avail = ring->driver;

	/* The next one, or half the number space away: no used index of this batch reaches it. */
	if (ring->event_idx)
		avail->ring[ring->num] = ring->used + (ring->notify ? 0 : 0x8000);
	/* Pairs with the device's load of avail->idx, 2.7.13. */
	__atomic_store_n(&avail->idx, ring->avail, __ATOMIC_RELEASE);
}

static bool
split_reap(struct driver_ring *ring, struct used *used)
{
	const struct vring_used *area = ring->device;
	const struct vring_used_elem *elem = &area->ring[ring->used & (ring->num - 1)];

	/* Pairs with the device's store of used->idx, 2.7.14. */
	if (__atomic_load_n(&area->idx, __ATOMIC_ACQUIRE) == ring->used)
		return false;
	*used = (struct used){ .slot = elem->id / ring->chain_descs, .len = elem->len };
	ring->used++;
	return true;
}

static void
split_skip(struct driver_ring *ring, unsigned int chains)
{
	ring->used += chains;
}

const struct driver_ops driver_split = {
	.name = "split",
	.features = 0,
	.desc_bytes = split_desc_bytes,
	.driver_bytes = split_driver_bytes,
	.device_bytes = split_device_bytes,
	.init = split_init,
	.post = split_post,
	.publish = split_publish,
	.reap = split_reap,
	.skip = split_skip,
};
