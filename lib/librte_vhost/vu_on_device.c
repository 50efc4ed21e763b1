/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <rte_common.h>
#include <rte_ether.h>

#include "postcopy.h"
#include "vdpa.h"
#include "vhost_log.h"
#include "vu_backchannel.h"
#include "vu_on.h"

/** Bounds of VHOST_USER_NET_SET_MTU (virtio 1.2, 5.1.4.1). */
#define MTU_MIN 68
#define MTU_MAX 65535

int
vhost_vu_on_get_features(struct vu_call *call)
{
	call->msg->payload.u64 = call->dev->driver.features;
	return 0;
}

/** Say what was negotiated, in the words that who reads logs of DPDK knows. */
static void
log_features(const struct vhost_device *dev, uint64_t features)
{
	const uint64_t virtio_1 = 1ULL << VIRTIO_F_VERSION_1;
	const uint64_t mergeable = 1ULL << VIRTIO_NET_F_MRG_RXBUF;

	VHOST_LOG_CONFIG(INFO, "(%s) negotiated Virtio features: 0x%" PRIx64 "\n",
		dev->driver.path, features);
	VHOST_LOG_CONFIG(DEBUG, "(%s) mergeable RX buffers %s, virtio 1 %s\n", dev->driver.path,
		(features & mergeable) != 0 ? "on" : "off",
		(features & virtio_1) != 0 ? "on" : "off");
}

int
vhost_vu_on_set_features(struct vu_call *call)
{
	struct vhost_device *dev = call->dev;
	uint64_t features = call->msg->payload.u64;

	if (features & ~dev->driver.features) {
		VHOST_LOG_CONFIG(ERR, "(%s) received invalid negotiated features: 0x%" PRIx64 "\n",
			dev->driver.path, features & ~dev->driver.features);
		return -EINVAL;
	}
	/* the bursts of a running device are replaced by those that log */
	if (dev->told.running && ((features ^ dev->wish.features) & ~(1ULL << VHOST_F_LOG_ALL)) != 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) features changed while the device is running\n",
			dev->driver.path);
		return -EBUSY;
	}
	log_features(dev, features);
	return vhost_wish_features(&dev->wish, features);
}

int
vhost_vu_on_get_protocol_features(struct vu_call *call)
{
	call->msg->payload.u64 = call->dev->driver.protocol_features;
	return 0;
}

int
vhost_vu_on_set_protocol_features(struct vu_call *call)
{
	struct vhost_device *dev = call->dev;
	uint64_t features = call->msg->payload.u64;

	if (features & ~dev->driver.protocol_features) {
		VHOST_LOG_CONFIG(ERR, "(%s) received invalid protocol features: 0x%" PRIx64 "\n",
			dev->driver.path, features & ~dev->driver.protocol_features);
		return -EINVAL;
	}
	__atomic_store_n(&dev->wish.protocol_features, features, __ATOMIC_RELAXED);
	VHOST_LOG_CONFIG(INFO, "(%s) negotiated Vhost-user protocol features: 0x%" PRIx64 "\n",
		dev->driver.path, features);
	return 0;
}

int
vhost_vu_on_set_owner(struct vu_call *call)
{
	(void)call;
	return 0;
}

/** Nobody uses the memory any more. */
static int
reset_is_done(struct vu_call *call)
{
	vhost_postcopy_end(call->dev->postcopy);
	return 0;
}

/*
 * vhost-user: VHOST_USER_RESET_OWNER.  What belongs to the connection stays: protocol
 * features, back channel, extern handlers.
 */
int
vhost_vu_on_reset_owner(struct vu_call *call)
{
	vhost_wish_reset(&call->dev->wish);
	call->request.stop = true;
	call->settled = reset_is_done;
	return 0;
}

int
vhost_vu_on_get_queue_num(struct vu_call *call)
{
	struct rte_vdpa_device *vdpa = call->dev->driver.vdpa;
	uint32_t pairs = VHOST_MAX_QUEUE_PAIRS;

	if (vdpa != NULL && rte_vdpa_get_queue_num(vdpa, &pairs) != 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) the vDPA device does not tell its queues\n",
			call->dev->driver.path);
		return -EIO;
	}
	call->msg->payload.u64 = RTE_MIN(pairs, (uint32_t)VHOST_MAX_QUEUE_PAIRS);
	return 0;
}

static void
tell_migration_done(struct vhost_device *dev)
{
	const struct rte_vdpa_dev_ops *ops = vhost_vdpa_ops(dev->driver.vdpa);

	if (ops->migration_done != NULL)
		ops->migration_done(dev->vid);
}

/* vhost-user: VHOST_USER_SEND_RARP; the next burst from the guest carries the packet. */
int
vhost_vu_on_send_rarp(struct vu_call *call)
{
	struct vhost_device *dev = call->dev;
	struct vhost_queue *q = vhost_device_queue(dev, 1);
	struct rte_ether_addr mac;

	memcpy(&mac, &call->msg->payload.u64, sizeof(mac));
	if (q != NULL)
		vhost_queue_announce(q, &mac);
	if (dev->told.vdpa_configured)
		tell_migration_done(dev);
	return 0;
}

int
vhost_vu_on_net_set_mtu(struct vu_call *call)
{
	uint64_t mtu = call->msg->payload.u64;

	if (mtu < MTU_MIN || mtu > MTU_MAX) {
		VHOST_LOG_CONFIG(ERR, "(%s) invalid MTU: %" PRIu64 "\n",
			call->dev->driver.path, mtu);
		return -EINVAL;
	}
	__atomic_store_n(&call->dev->wish.mtu, mtu, __ATOMIC_RELAXED);
	return 0;
}

int
vhost_vu_on_set_slave_req_fd(struct vu_call *call)
{
	return vhost_backchannel_adopt(call->dev, vhost_vu_take_fd(call->msg, 0));
}

/** Whether it is within the configuration space, as much as a message can carry. */
static bool
config_is_inside(const struct vu_config *config)
{
	return config->size <= VU_CONFIG_MAX && config->offset <= VU_CONFIG_MAX - config->size;
}

/** Drivers read from the start only. */
static int
read_config(struct vhost_device *dev, struct vu_config *config)
{
	const struct rte_vdpa_dev_ops *ops =
		dev->driver.vdpa != NULL ? vhost_vdpa_ops(dev->driver.vdpa) : NULL;
	uint8_t space[VU_CONFIG_MAX] = { 0 };

	if (ops == NULL || ops->get_config == NULL || !config_is_inside(config) ||
			ops->get_config(dev->vid, space, config->offset + config->size) != 0)
		return -EINVAL;
	memcpy(config->region, space + config->offset, config->size);
	return 0;
}

/* vhost-user: VHOST_USER_GET_CONFIG; an answer without payload means failure. */
int
vhost_vu_on_get_config(struct vu_call *call)
{
	if (read_config(call->dev, &call->msg->payload.config) < 0)
		call->msg->size = 0;
	return 0;
}

int
vhost_vu_on_set_config(struct vu_call *call)
{
	struct vhost_device *dev = call->dev;
	struct vu_config *config = &call->msg->payload.config;
	const struct rte_vdpa_dev_ops *ops =
		dev->driver.vdpa != NULL ? vhost_vdpa_ops(dev->driver.vdpa) : NULL;

	if (ops == NULL || ops->set_config == NULL || !config_is_inside(config)) {
		VHOST_LOG_CONFIG(ERR, "(%s) configuration of %u bytes at %u refused\n",
			dev->driver.path, config->size, config->offset);
		return -EINVAL;
	}
	return ops->set_config(dev->vid, config->region, config->offset, config->size,
		config->flags) == 0 ? 0 : -EIO;
}

static void
log_status(const char *path, uint8_t status)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} bits[] = {
		{ "ACKNOWLEDGE", 1 }, { "DRIVER", 2 }, { "FEATURES_OK", 8 }, { "DRIVER_OK", 4 },
		{ "DEVICE_NEED_RESET", 64 }, { "FAILED", 128 },	/* virtio 1.2, 2.1 */
	};
	unsigned int i;

	VHOST_LOG_CONFIG(INFO, "(%s) new device status(0x%08x):\n", path, status);
	VHOST_LOG_CONFIG(INFO, "(%s) \t-RESET: %d\n", path, status == 0);
	for (i = 0; i < RTE_DIM(bits); i++)
		VHOST_LOG_CONFIG(INFO, "(%s) \t-%s: %d\n", path, bits[i].name,
			(status & bits[i].bit) != 0);
}

int
vhost_vu_on_set_status(struct vu_call *call)
{
	uint64_t status = call->msg->payload.u64;

	if (status > UINT8_MAX) {
		VHOST_LOG_CONFIG(ERR, "(%s) invalid device status 0x%" PRIx64 "\n",
			call->dev->driver.path, status);
		return -EINVAL;
	}
	call->dev->wish.status = status;
	log_status(call->dev->driver.path, status);
	return 0;
}

int
vhost_vu_on_get_status(struct vu_call *call)
{
	call->msg->payload.u64 = call->dev->wish.status;
	return 0;
}
