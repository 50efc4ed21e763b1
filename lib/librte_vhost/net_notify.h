/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_NOTIFY_H
#define VHOST_NET_NOTIFY_H

/* Telling the guest, at the end of a burst, that there are used chains. */

#include "doorbell.h"
#include "ring.h"
#include "vhost_abi.h"
#include "vhost_virtqueue.h"

/** Whether there is a doorbell, or one is missed. */
static inline bool
net_may_ring_guest(const struct vhost_virtqueue *vq)
{
	return VHOST_ABI_MISSED_CALL_FAILS || vq->callfd >= 0;
}

static __rte_noinline void
net_ring_guest(struct vhost_virtqueue *vq)
{
	const struct rte_vhost_device_ops *ops = vq->net->ops;
	int ret = vq->callfd < 0 ? -EBADF :
		vhost_doorbell_call_inside(vq->callfd, vq->call_kind, vq->net->vid, vq->cfg.index);

	if (ret != 0 && (ret != -EAGAIN || VHOST_ABI_MISSED_CALL_FAILS)) {
		vq->state.stats.notifications_failed++;
		return;
	}
	vq->state.stats.guest_notifications++;
	if (ops != NULL && ops->guest_notified != NULL)
		ops->guest_notified(vq->net->vid);
}

/** Whether the application will notify the guest later (rte_vhost_notify_guest()). */
static inline bool
net_leave_to_application(struct vhost_virtqueue *vq)
{
	vhost_guest_notify_t guest_notify = vhost_abi_guest_notify(vq->net->ops);

	if (guest_notify == NULL)
		return false;
	if (vq->state.notification_promised) {
		vq->state.stats.notifications_suppressed++;
		return true;
	}
	if (!guest_notify(vq->net->vid, vq->cfg.index))
		return false;
	vq->state.notification_promised = true;
	vq->state.stats.notifications_offloaded++;
	return true;
}

static __rte_noinline void
net_kick_guest(struct vhost_virtqueue *vq)
{
	if (!net_leave_to_application(vq))
		net_ring_guest(vq);
}

/**
 * Notify the guest if it wants that.
 *
 * @param used  where the burst began to give chains back
 */
static __rte_always_inline void
net_notify(struct vhost_virtqueue *vq, uint16_t used, unsigned int flags)
{
	if (vq->state.last_used_idx != used && net_may_ring_guest(vq) &&
			ring_should_notify(vq, flags))
		net_kick_guest(vq);
}

#endif /* VHOST_NET_NOTIFY_H */
