/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_AHEAD_H
#define VHOST_NET_AHEAD_H

struct vhost_virtqueue;

/**
 * Look at chains that the driver offers and that nobody needs yet: what has no
 * translation is noted (ring_iova.h).  Only for blocks with VQ_IOVA.  Inside the gate.
 */
void vhost_net_look_ahead(struct vhost_virtqueue *vq);

#endif /* VHOST_NET_AHEAD_H */
