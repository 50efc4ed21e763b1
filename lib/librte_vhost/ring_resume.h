/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_RING_RESUME_H
#define VHOST_RING_RESUME_H

/*
 * Where a packed ring goes on whose backend died, read off its descriptors.  See
 * ring_resume.c for how.  Positions have the wrap counter in bit 15, as everywhere.
 */

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

/**
 * In the flags of the last descriptor of several that go back as one: its len is how
 * far behind the first it is.  No driver looks there (virtio 1.2, 2.8.6: it skips them).
 */
#define RING_RESUME_END VRING_DESC_F_INDIRECT

/** What the descriptors tell. */
struct ring_resume {
	uint16_t used;	/**< next to give back; whatever was taken and not given is taken again */
	uint16_t end;	/**< behind those that were written down but not given yet; or used */
	bool full;	/**< not one descriptor is marked as used */
};

/** Which position a ring starts with. */
enum ring_resumed {
	RING_AS_TOLD,	/**< the frontend's, and the ring agrees */
	RING_ADOPTED,	/**< the ring's own */
	RING_UNCLEAR,	/**< the frontend's, as the ring does not tell any */
};

/**
 * Read a ring's position off its descriptors.
 *
 * @param ring  of any contents, which may change meanwhile
 * @return false if no position explains them, or more than one may
 */
bool vhost_ring_resume_look(const struct vring_packed_desc *ring, uint32_t size,
		struct ring_resume *found);

/** Give back, empty, what was written down: the ring's position is found->end then. */
void vhost_ring_resume_finish(struct vring_packed_desc *ring, uint32_t size,
		const struct ring_resume *found);

/**
 * Decide where a ring starts, and finish what an earlier backend was in the middle of.
 *
 * @param in_order  VIRTIO_F_IN_ORDER is negotiated
 * @param[in,out] avail  next to take, as the frontend told; below size
 * @param[in,out] used  next to give back, likewise
 */
enum ring_resumed vhost_ring_resume(struct vring_packed_desc *ring, uint32_t size, bool in_order,
		uint16_t *avail, uint16_t *used);

#endif /* VHOST_RING_RESUME_H */
