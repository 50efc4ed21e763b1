/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include "mem_log.h"
#include "ring_log.h"

static void
note(struct vhost_virtqueue *vq, uint64_t gpa, uint64_t len)
{
	vhost_mem_log_note(&vq->net->log, vq->log, gpa, len);
}

void
vhost_ring_log_data(struct vhost_virtqueue *vq, const void *host, uint64_t len)
{
	uint64_t gpa;

	if (vhost_virtio_net_gpa(vq->net, host, &gpa))
		note(vq, gpa, len);
}

void
vhost_ring_log_device_area(struct vhost_virtqueue *vq, size_t offset, size_t len)
{
	if (vq->cfg.log.ring)
		note(vq, vq->cfg.log.device_gpa + offset, len);
}

void
vhost_ring_log_descs(struct vhost_virtqueue *vq, size_t offset, size_t len)
{
	if (vq->cfg.log.ring)
		note(vq, vq->cfg.log.desc_gpa + offset, len);
}

void
vhost_ring_log_flush(struct vhost_virtqueue *vq)
{
	vhost_mem_log_flush(&vq->net->log, vq->log);
}
