/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_CRYPTO_BURST_H
#define VHOST_CRYPTO_BURST_H

/* What fetching and finalizing have in common: a lane and its ring, entered. */

#include "crypto/crypto.h"
#include "queue.h"
#include "ring.h"
#include "virtio_net.h"

/** Where a request's vector is in an operation: what applications leave room for. */
#define CRYPTO_IV_OFFSET (sizeof(struct rte_crypto_op) + sizeof(struct rte_crypto_sym_op))

/** Write the last byte of a chain; guest memory may have gone meanwhile. */
static inline void
crypto_write_status(struct vhost_virtqueue *vq, uint64_t gpa, uint8_t status, unsigned int flags)
{
	uint8_t *host = virtio_net_host(vq->net, gpa, sizeof(status));

	if (unlikely(host == NULL))
		return;
	*host = status;
	if (flags & VQ_LOG)
		vhost_ring_log_data(vq, host, sizeof(status));
}

#endif /* VHOST_CRYPTO_BURST_H */
