/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The packed ring, virtio 1.2, 2.8.
 *
 * The buffer id of a chain is its slot.  As all chains take the same number of
 * descriptors, the place of the next used descriptor needs no bookkeeping per
 * id.  A chain may start near the end of the ring and go on at its beginning.
 */

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "driver.h"

#define FLAG_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define FLAG_USED (1u << VRING_PACKED_DESC_F_USED)

static size_t
packed_desc_bytes(uint16_t num)
{
	return num * sizeof(struct vring_packed_desc);
}

static size_t
packed_event_bytes(uint16_t num)
{
	(void)num;
	return sizeof(struct vring_packed_desc_event);
}

static void
packed_init(struct driver_ring *ring)
{
	struct vring_packed_desc_event *event = ring->driver;

	if (ring->event_idx)
		event->flags = VRING_PACKED_EVENT_FLAG_DESC;
	else
		event->flags = ring->notify ? VRING_PACKED_EVENT_FLAG_ENABLE :
			VRING_PACKED_EVENT_FLAG_DISABLE;
	ring->avail_wrap = true;
	ring->used_wrap = true;
}

/** Go on by some places, once around at most. */
static void
advance(const struct driver_ring *ring, uint16_t *place, bool *wrap, uint16_t count)
{
	*place += count;
	if (*place >= ring->num) {
		*place -= ring->num;
		*wrap = !*wrap;
	}
}

/** Write the descriptors of a chain to a list; how many. */
static unsigned int
write_descs(struct vring_packed_desc *list, const struct chain *chain, uint16_t next)
{
	uint16_t direction = chain->device_writes ? VRING_DESC_F_WRITE : 0;

	for (unsigned int i = 0; i < chain->n_segs; i++)
		list[i] = (struct vring_packed_desc){
			.addr = chain->segs[i].gpa,
			.len = chain->segs[i].len,
			.id = chain->slot,
			.flags = direction | (i + 1 == chain->n_segs ? 0 : next),
		};
	return chain->n_segs;
}

/** Write the descriptors that the ring itself holds of a chain; how many. */
static unsigned int
write_ring_descs(struct vring_packed_desc *list, const struct chain *chain)
{
	if (chain->table == NULL)
		return write_descs(list, chain, VRING_DESC_F_NEXT);
	/* In a table the order is the link, 2.8.7. */
	*list = (struct vring_packed_desc){
		.addr = chain->table_gpa,
		.len = write_descs(chain->table, chain, 0) * sizeof(*list),
		.id = chain->slot,
		.flags = VRING_DESC_F_INDIRECT,
	};
	return 1;
}

static void
packed_post(struct driver_ring *ring, const struct chain *chain)
{
	struct vring_packed_desc *desc = ring->desc, *head = &desc[ring->avail];
	struct vring_packed_desc list[CHAIN_MAX_SEGS];
	unsigned int n = write_ring_descs(list, chain);

	for (unsigned int i = 0; i < n; i++) {
		list[i].flags |= ring->avail_wrap ? FLAG_AVAIL : FLAG_USED;
		/* The head is not available before all of the chain is there. */
		if (i == 0) {
			head->addr = list[0].addr;
			head->len = list[0].len;
			head->id = list[0].id;
		} else {
			desc[ring->avail] = list[i];
		}
		advance(ring, &ring->avail, &ring->avail_wrap, 1);
	}
	/* Pairs with the device's load of the head's flags, 2.8.21. */
	__atomic_store_n(&head->flags, list[0].flags, __ATOMIC_RELEASE);
}

/** Each chain became visible as it was posted; what remains is the place to notify of. */
static void
packed_publish(struct driver_ring *ring)
{
	struct vring_packed_desc_event *event = ring->driver;
	uint16_t place = ring->used;
	bool wrap = ring->used_wrap;

	if (!ring->event_idx)
		return;
	/* The next one, or the last that the device gets to, unless a batch fills the ring. */
	if (!ring->notify)
		advance(ring, &place, &wrap, ring->num - 1);
	event->off_wrap = place | wrap << VRING_PACKED_EVENT_F_WRAP_CTR;
}

static bool
packed_reap(struct driver_ring *ring, struct used *used)
{
	const struct vring_packed_desc *desc = ring->desc, *place = &desc[ring->used];
	/* Pairs with the device's store of the flags, 2.8.22. */
	uint16_t flags = __atomic_load_n(&place->flags, __ATOMIC_ACQUIRE);
	uint16_t mark = ring->used_wrap ? FLAG_AVAIL | FLAG_USED : 0;

	if ((flags & (FLAG_AVAIL | FLAG_USED)) != mark)
		return false;
	*used = (struct used){ .slot = place->id, .len = place->len };
	advance(ring, &ring->used, &ring->used_wrap, ring->chain_descs);
	return true;
}

static void
packed_skip(struct driver_ring *ring, unsigned int chains)
{
	advance(ring, &ring->used, &ring->used_wrap, chains * ring->chain_descs);
}

const struct driver_ops driver_packed = {
	.name = "packed",
	.features = 1ull << VIRTIO_F_RING_PACKED,
	.desc_bytes = packed_desc_bytes,
	.driver_bytes = packed_event_bytes,
	.device_bytes = packed_event_bytes,
	.init = packed_init,
	.post = packed_post,
	.publish = packed_publish,
	.reap = packed_reap,
	.skip = packed_skip,
};
