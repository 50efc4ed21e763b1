/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>

#include "inflight_area.h"
#include "ring.h"
#include "vhost_log.h"
#include "vu_on.h"

/*
 * vhost-user: VHOST_USER_GET_INFLIGHT_FD.  The area is the frontend's; it counts for
 * nothing until it comes back.
 */
int
vhost_vu_on_get_inflight_fd(struct vu_call *call)
{
	struct vhost_device *dev = call->dev;
	struct vu_inflight *wire = &call->msg->payload.inflight;
	const struct mem_owner owner = vu_owner(call);
	int fd;

	fd = vhost_inflight_make(&owner, ring_format(dev->wish.features), wire,
		dev->running.node);
	if (fd < 0)
		return fd;
	call->reply_fd = fd;
	call->close_reply_fd = true;
	VHOST_LOG_CONFIG(INFO, "(%s) in-flight area for %u rings of %u descriptors made\n",
		dev->driver.path, wire->num_queues, wire->queue_size);
	return 0;
}

static bool
has_live_ring(const struct vhost_device *dev)
{
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++)
		if (vhost_device_queue_at(dev, i)->live)
			return true;
	return false;
}

/* vhost-user: VHOST_USER_SET_INFLIGHT_FD.  What it tells is for rings that start. */
int
vhost_vu_on_set_inflight_fd(struct vu_call *call)
{
	struct vhost_device *dev = call->dev;
	const struct mem_owner owner = vu_owner(call);
	struct inflight_area area;
	int ret;

	if (has_live_ring(dev)) {
		VHOST_LOG_CONFIG(ERR, "(%s) in-flight area refused, rings are running\n",
			dev->driver.path);
		return -EBUSY;
	}
	ret = vhost_inflight_adopt(&owner, ring_format(dev->wish.features),
		&call->msg->payload.inflight, call->msg->fds[0], &area);
	if (ret < 0)
		return ret;
	vhost_wish_inflight(&dev->wish, &area);
	VHOST_LOG_CONFIG(INFO, "(%s) in-flight area of %u rings of %u descriptors\n",
		dev->driver.path, area.num_queues, area.queue_size);
	return 0;
}
