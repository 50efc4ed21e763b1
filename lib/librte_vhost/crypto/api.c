/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Public functions of a crypto device: check the arguments, one call inward. */

#include <errno.h>

#include <linux/virtio_ring.h>

#include "rte_vhost.h"
#include "rte_vhost_crypto.h"

#include "crypto/crypto.h"
#include "socket.h"
#include "vhost_log.h"

/** Offered to guests; what else a ring can be is not offered by DPDK 22.11 either. */
#define CRYPTO_FEATURES	((1ULL << 17) | (1ULL << VIRTIO_F_NOTIFY_ON_EMPTY) | 		(1ULL << VIRTIO_RING_F_INDIRECT_DESC) | (1ULL << VIRTIO_RING_F_EVENT_IDX) | 		(1ULL << VHOST_USER_F_PROTOCOL_FEATURES) | (1ULL << VIRTIO_F_VERSION_1))

static int
make_crypto(struct vhost_driver *driver, void *arg __rte_unused)
{
	driver->crypto = true;
	return 0;
}

int
rte_vhost_crypto_driver_start(const char *path)
{
	uint64_t protocol_features;

	if (rte_vhost_driver_set_features(path, CRYPTO_FEATURES) != 0 ||
			rte_vhost_driver_get_protocol_features(path, &protocol_features) != 0)
		return -1;
	protocol_features |= (1ULL << VHOST_USER_PROTOCOL_F_CONFIG) |
		(1ULL << VHOST_USER_PROTOCOL_F_CRYPTO_SESSION);
	if (rte_vhost_driver_set_protocol_features(path, protocol_features) != 0 ||
			vhost_socket_edit(path, make_crypto, NULL) != 0)
		return -1;
	return rte_vhost_driver_start(path);
}

int
rte_vhost_crypto_create(int vid, uint8_t cryptodev_id, struct rte_mempool *sess_pool,
		int socket_id __rte_unused)
{
	const struct crypto_home home = { .cdev = cryptodev_id, .pool = sess_pool };
	struct vhost_device *dev = vhost_device_get(vid);
	int ret;

	if (dev == NULL)
		return -EINVAL;
	ret = vhost_crypto_create(dev, &home);
	if (ret < 0)
		VHOST_LOG_CONFIG(ERR, "(%d) cannot serve crypto requests with cryptodev %u: %s\n",
			vid, cryptodev_id, strerror(-ret));
	return ret;
}

int
rte_vhost_crypto_free(int vid)
{
	struct vhost_device *dev = vhost_device_get(vid);

	return dev != NULL ? vhost_crypto_free(dev) : -EINVAL;
}

int
rte_vhost_crypto_set_zero_copy(int vid, enum rte_vhost_crypto_zero_copy option)
{
	struct vhost_device *dev = vhost_device_get(vid);
	int ret;

	if (dev == NULL || (unsigned int)option >= RTE_VHOST_CRYPTO_MAX_ZERO_COPY_OPTIONS)
		return -EINVAL;
	ret = vhost_crypto_set_zero_copy(dev, option == RTE_VHOST_CRYPTO_ZERO_COPY_ENABLE);
	return ret == -EBUSY ? -EINVAL : ret;
}
