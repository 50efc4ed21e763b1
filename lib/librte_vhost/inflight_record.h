/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_INFLIGHT_RECORD_H
#define VHOST_INFLIGHT_RECORD_H

/*
 * What a ring's backend is working on, recorded in the ring's region of the shared
 * area.  For who is inside the gate; 0, or -EINVAL when the ring does not run, is of
 * the other format or has no region, or an index is outside.
 *
 * See the functions of rte_vhost.h of like names.
 */

#include <stdint.h>

#include "vhost_virtqueue.h"

int vhost_inflight_take_split(struct vhost_virtqueue *block, uint16_t head);
int vhost_inflight_put_split(struct vhost_virtqueue *block, uint16_t head);
int vhost_inflight_done_split(struct vhost_virtqueue *block, uint16_t used_idx, uint16_t head);

/** @param[out] entry  by which the request is known in the region */
int vhost_inflight_take_packed(struct vhost_virtqueue *block, uint16_t head, uint16_t last,
		uint16_t *entry);
int vhost_inflight_put_packed(struct vhost_virtqueue *block, uint16_t entry);
int vhost_inflight_done_packed(struct vhost_virtqueue *block, uint16_t entry);

/** Where the used entries of a packed ring go on, the wrap counter in bit 15. */
int vhost_inflight_get_used(struct vhost_virtqueue *block, uint16_t *used);

#endif /* VHOST_INFLIGHT_RECORD_H */
