/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_CRYPTO_H
#define VHOST_CRYPTO_H

/*
 * The crypto device of a vid (virtio 1.2, 5.9): on between rte_vhost_crypto_create()
 * and _free().  See crypto.c for the theory of operation.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "crypto/lane.h"
#include "crypto/session.h"
#include "device.h"
#include "event_loop.h"
#include "listeners.h"

/** Made once for a vid, and there for good; its pages follow the device. */
struct vhost_crypto {
	struct vhost_device *dev;
	pthread_mutex_t lock;	/**< for all below but lanes */
	bool known;		/**< was on in this connection: its messages are ours */
	bool on;
	bool zero_copy;
	struct crypto_home home;	/**< of sessions, while it is on */
	uint16_t tailroom;	/**< that the cryptodev wants behind data */
	int node;		/**< where these pages are, or VHOST_NODE_ANY */
	uint64_t next_serial;
	struct crypto_sessions sessions;
	struct event_timer timer;	/**< settles on the event loop */
	uint32_t nlanes;	/**< lanes that were ever opened are below */
	struct crypto_lane lanes[VHOST_MAX_VRINGS];
};

/** The crypto device of a vid; NULL if there was never one.  Any thread. */
struct vhost_crypto *vhost_crypto_get(int vid);

/**
 * Start to serve a device.
 *
 * @return 0; -EEXIST when it is served already; -EINVAL (no such cryptodev); -ENOMEM
 */
int vhost_crypto_create(struct vhost_device *dev, const struct crypto_home *home);

/** Stop: 0 or -ENOENT. */
int vhost_crypto_free(struct vhost_device *dev);

/** 0; -ENOENT; -EBUSY while requests are under way; -ENOTSUP with this cryptodev. */
int vhost_crypto_set_zero_copy(struct vhost_device *dev, bool zero_copy);

/** Whether the frontend's messages about sessions are for us.  Control lock held. */
bool vhost_crypto_serves(struct vhost_device *dev);

/** A session is wanted: its id, or minus a VIRTIO_CRYPTO_* status.  Control lock held. */
int64_t vhost_crypto_open_session(struct vhost_device *dev, const struct vu_crypto_session *wish);

/** A session is not wanted any more: 0 or -ENOENT.  Control lock held. */
int vhost_crypto_close_session(struct vhost_device *dev, uint64_t id);

/** The connection ends, and its sessions with it.  Control lock held. */
void vhost_crypto_end(struct vhost_device *dev);

extern const struct device_listener vhost_listener_crypto;

#endif /* VHOST_CRYPTO_H */
