/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_NOTIFY_H
#define VHOST_NET_NOTIFY_H

/* Telling the guest, at the end of a burst, that there are used chains. */

#include "doorbell.h"
#include "ring.h"
#include "vhost_virtqueue.h"

#include "rte_vhost.h"

static __rte_noinline void
net_kick_guest(struct vhost_virtqueue *vq)
{
	const struct rte_vhost_device_ops *ops = vq->net->ops;

	if (!vhost_doorbell_call(vq->callfd, vq->call_kind, vq->cfg.index))
		return;
	vq->state.stats.guest_notifications++;
	if (ops != NULL && ops->guest_notified != NULL)
		ops->guest_notified(vq->net->vid);
}

/**
 * Notify the guest if it wants that.
 *
 * @param used  where the burst began to give chains back
 */
static __rte_always_inline void
net_notify(struct vhost_virtqueue *vq, uint16_t used, unsigned int flags)
{
	if (vq->state.last_used_idx != used && vq->callfd >= 0 && ring_should_notify(vq, flags))
		net_kick_guest(vq);
}

#endif /* VHOST_NET_NOTIFY_H */
