/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_RING_LOG_H
#define VHOST_RING_LOG_H

/*
 * What a queue writes to guest memory, noted in the log of written pages.  Only for
 * blocks whose format has VQ_LOG.
 *
 * Data is noted by where it is in the guest.  Of a ring the frontend says whether
 * it is to be logged, and the guest address of the part with the device's area;
 * descriptors of a packed ring have theirs from the memory map.
 *
 * What was noted is in the log after a flush: of data before it is given back, so
 * that no page is in the driver's hands whose bit is not set.
 */

#include <stddef.h>
#include <stdint.h>

#include "vhost_virtqueue.h"

/** Guest memory was written at our address. */
void vhost_ring_log_data(struct vhost_virtqueue *vq, const void *host, uint64_t len);

/** The device's area was written at that offset. */
void vhost_ring_log_device_area(struct vhost_virtqueue *vq, size_t offset, size_t len);

/** Descriptors of a packed ring were written at that offset. */
void vhost_ring_log_descs(struct vhost_virtqueue *vq, size_t offset, size_t len);

void vhost_ring_log_flush(struct vhost_virtqueue *vq);

#endif /* VHOST_RING_LOG_H */
