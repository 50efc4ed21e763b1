/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef _VDPA_DRIVER_H_
#define _VDPA_DRIVER_H_

/**
 * @file
 * Hardware that serves virtio rings itself: the driver's side.
 *
 * Drivers built against DPDK 22.11 are binary compatible, so no layout here may
 * change.  buildtools/check-abi.py compares them with a table of offsets, since
 * no package contains this header.
 *
 * Here since ABI 23 (DPDK 22.11).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <rte_compat.h>

#include "rte_vdpa.h"
#include "rte_vhost.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rte_device;
struct rte_vdpa_dev_ops;

/** In place of a ring's index: all rings of the device. */
#define RTE_VHOST_QUEUE_ALL UINT16_MAX

/** A registered device.  Its address is its identity: it never moves. */
struct rte_vdpa_device {
	/** in the list of all devices; under that list's lock */
	TAILQ_ENTRY(rte_vdpa_device) next;
	/** the generic device; the driver's */
	struct rte_device *device;
	/** the driver's operations; not copied */
	struct rte_vdpa_dev_ops *ops;
	/** RTE_VHOST_VDPA_DEVICE_TYPE_* */
	uint32_t type;
};

/**
 * What a driver implements.  Members marked "may be NULL" are optional; a device without
 * one of the others cannot be registered.
 *
 * Thread safety: operations with a @e vid are called by one thread at a time for that
 * device, in the library's event thread or in a thread of the application that called
 * in; get_vfio_device_fd and get_notify_area in that which calls
 * rte_vhost_host_notifier_ctrl().  Those with a @e dev are called by any thread.
 */
struct rte_vdpa_dev_ops {
	/**
	 * How many queue pairs the device has.
	 *
	 * @param dev
	 *   The device.
	 * @param[out] queue_num
	 *   Number of queue pairs.
	 * @return
	 *   0, or a negative value on error.
	 */
	int (*get_queue_num)(struct rte_vdpa_device *dev, uint32_t *queue_num);

	/**
	 * The virtio features that the device has.
	 *
	 * @param dev
	 *   The device.
	 * @param[out] features
	 *   Mask of virtio feature bits.
	 * @return
	 *   0, or a negative value on error.
	 */
	int (*get_features)(struct rte_vdpa_device *dev, uint64_t *features);

	/**
	 * The vhost-user protocol features that the device has.
	 *
	 * @param dev
	 *   The device.
	 * @param[out] protocol_features
	 *   Mask of VHOST_USER_PROTOCOL_F_* bits.
	 * @return
	 *   0, or a negative value on error.
	 */
	int (*get_protocol_features)(struct rte_vdpa_device *dev,
			uint64_t *protocol_features);

	/**
	 * The vhost device is ready: take over its rings.
	 *
	 * @param vid
	 *   The vhost device.
	 * @return
	 *   0; with anything else it is asked again after the frontend's next message.
	 */
	int (*dev_conf)(int vid);

	/**
	 * Give the rings back; the device stops or its memory changes.  What
	 * rte_vhost_set_vring_base() says here is what the frontend is answered.
	 *
	 * @param vid
	 *   The vhost device.
	 * @return
	 *   Not used.
	 */
	int (*dev_close)(int vid);

	/**
	 * The frontend disconnected: forget the vhost device.  May be NULL.
	 *
	 * @param vid
	 *   The vhost device.
	 * @return
	 *   Not used.
	 */
	int (*dev_cleanup)(int vid);

	/**
	 * A ring can be used from now on, or not any more: also before dev_conf, for which
	 * drivers note the rings that are on, and after dev_close.
	 *
	 * @param vid
	 *   The vhost device.
	 * @param vring
	 *   The ring.
	 * @param state
	 *   1: can be used; 0: not any more.
	 * @return
	 *   Not used.
	 */
	int (*set_vring_state)(int vid, int vring, int state);

	/**
	 * The negotiated features changed: before dev_conf, when they are negotiated,
	 * and after it for VHOST_F_LOG_ALL alone, when a migration begins or ends.
	 *
	 * @param vid
	 *   The vhost device.
	 * @return
	 *   Not used.
	 */
	int (*set_features)(int vid);

	/**
	 * The guest has arrived by migration.  May be NULL.
	 *
	 * @param vid
	 *   The vhost device.
	 * @return
	 *   Not used.
	 */
	int (*migration_done)(int vid);

	/**
	 * The VFIO group.  Not asked by this library.  May be NULL.
	 *
	 * @param vid
	 *   The vhost device.
	 * @return
	 *   A descriptor, the driver's.
	 */
	int (*get_vfio_group_fd)(int vid);

	/**
	 * The VFIO device, for rte_vhost_host_notifier_ctrl().  May be NULL.
	 *
	 * @param vid
	 *   The vhost device.
	 * @return
	 *   A descriptor, the driver's; negative on error.
	 */
	int (*get_vfio_device_fd)(int vid);

	/**
	 * Where in that device's file a ring's doorbell lies.  May be NULL.
	 *
	 * @param vid
	 *   The vhost device.
	 * @param qid
	 *   The ring.
	 * @param[out] offset
	 *   Bytes from the start of the file; whole pages.
	 * @param[out] size
	 *   Bytes; whole pages.
	 * @return
	 *   0, or a negative value on error.
	 */
	int (*get_notify_area)(int vid, int qid,
			uint64_t *offset, uint64_t *size);

	/**
	 * The names of the statistics.  May be NULL.
	 *
	 * @param dev
	 *   The device.
	 * @param[out] stats_names
	 *   Receives the names; NULL to ask how many there are.
	 * @param size
	 *   Room in @p stats_names, elements.
	 * @return
	 *   As rte_vdpa_get_stats_names(), which hands it on.
	 */
	int (*get_stats_names)(struct rte_vdpa_device *dev,
			struct rte_vdpa_stat_name *stats_names,
			unsigned int size);

	/**
	 * The statistics of a ring.  May be NULL.
	 *
	 * @param dev
	 *   The device.
	 * @param qid
	 *   The ring.
	 * @param[out] stats
	 *   Receives the values.
	 * @param n
	 *   Room in @p stats, elements.
	 * @return
	 *   As rte_vdpa_get_stats(), which hands it on.
	 */
	int (*get_stats)(struct rte_vdpa_device *dev, int qid,
			struct rte_vdpa_stat *stats, unsigned int n);

	/**
	 * Set the statistics of a ring to 0.  May be NULL.
	 *
	 * @param dev
	 *   The device.
	 * @param qid
	 *   The ring.
	 * @return
	 *   As rte_vdpa_reset_stats(), which hands it on.
	 */
	int (*reset_stats)(struct rte_vdpa_device *dev, int qid);

	/**
	 * Read the configuration space from its start (VHOST_USER_GET_CONFIG).  May be NULL.
	 *
	 * @param vid
	 *   The vhost device.
	 * @param[out] config
	 *   Receives it.
	 * @param size
	 *   How many bytes.
	 * @return
	 *   0, or anything else on error.
	 */
	int (*get_config)(int vid, uint8_t *config, uint32_t size);

	/**
	 * Write to the configuration space (VHOST_USER_SET_CONFIG).  May be NULL.
	 *
	 * @param vid
	 *   The vhost device.
	 * @param config
	 *   What to write.
	 * @param offset
	 *   Where, bytes from the start.
	 * @param size
	 *   How many bytes.
	 * @param flags
	 *   As in the message.
	 * @return
	 *   0, or anything else on error.
	 */
	int (*set_config)(int vid, uint8_t *config, uint32_t offset,
			uint32_t size, uint32_t flags);

	/**
	 * The kind of device.  May be NULL, which means NET.  Asked once, by
	 * rte_vdpa_register_device().
	 *
	 * @param dev
	 *   The device.
	 * @param[out] type
	 *   #RTE_VHOST_VDPA_DEVICE_TYPE_NET or #RTE_VHOST_VDPA_DEVICE_TYPE_BLK.
	 * @return
	 *   0, or anything else on error.
	 */
	int (*get_dev_type)(struct rte_vdpa_device *dev, uint32_t *type);
};

/**
 * Make a device known.
 *
 * Thread safety: safe.
 *
 * Outside the specifications.
 *
 * @param rte_dev
 *   The generic device; its name must be new.
 * @param ops
 *   The driver's operations; not copied.
 * @return
 *   The device, which the library owns until it is unregistered.  NULL if an
 *   argument is NULL, a mandatory operation is missing, the name is known
 *   already, the driver's get_dev_type fails, or without memory.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_internal
struct rte_vdpa_device *
rte_vdpa_register_device(struct rte_device *rte_dev,
		struct rte_vdpa_dev_ops *ops);

/**
 * Forget a device.
 *
 * Its structure stays: who still has a pointer to it, as a socket that it is attached to,
 * finds a device whose operations fail.  None is called any more, but those that are
 * under way are the driver's to wait for.
 *
 * Thread safety: safe.
 *
 * Outside the specifications.
 *
 * @param dev
 *   The device.
 * @return
 *   0, or -1 if it is not registered.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_internal
int
rte_vdpa_unregister_device(struct rte_vdpa_device *dev);

/**
 * Carry used entries from a ring that the hardware writes over to the guest's
 * used ring, and mark the memory of these chains that could be written in the dirty
 * log.  What the hardware says of kicks, flags and with VIRTIO_RING_F_EVENT_IDX the
 * event index, goes along.
 *
 * For drivers whose hardware cannot log; split rings only.
 *
 * Thread safety: one thread per ring; the device must not go away meanwhile.
 *
 * virtio 2.7.8; vhost-user, "Migration".
 *
 * @param vid
 *   The vhost device.
 * @param qid
 *   The ring.
 * @param vring_m
 *   The ring (struct vring) that the hardware writes; the driver's.
 * @return
 *   How many entries were carried over, or -1 on error.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_internal
int /* NOLINTNEXTLINE(readability-redundant-declaration): where DPDK has it, and where we do */
rte_vdpa_relay_vring_used(int vid, uint16_t qid, void *vring_m);

/**
 * Let the guest ring the hardware's doorbells directly, or stop that.
 *
 * If one of all doorbells cannot be given, none is.  The doorbells are taken back by
 * itself after dev_close.
 *
 * Thread safety: the device must not go away meanwhile.  Waits for the frontend's
 * answers, a second at most, for all frontends of the socket together: a fiftieth part
 * of the time comes back, and a frontend that uses up what there is loses its back
 * channel.  In an operation, doorbells are taken back without waiting, since the frontend
 * may be waiting for this thread: a kick may still come to the doorbell for a moment.
 *
 * vhost-user, VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG.
 *
 * @param vid
 *   The vhost device.
 * @param qid
 *   The ring, or #RTE_VHOST_QUEUE_ALL.
 * @param enable
 *   Whether the guest is to use the doorbell.
 * @return
 *   - 0: done
 *   - -ENODEV: unknown device, or no hardware behind it
 *   - -ENOTSUP: needs VIRTIO_F_VERSION_1, the protocol features
 *     SLAVE_REQ, SLAVE_SEND_FD and HOST_NOTIFIER, and the operations
 *     get_vfio_device_fd and get_notify_area
 *   - -EINVAL: no such ring
 *   - -EFAULT: the driver or the frontend refused
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_internal
int
rte_vhost_host_notifier_ctrl(int vid, uint16_t qid, bool enable);

#ifdef __cplusplus
}
#endif

#endif /* _VDPA_DRIVER_H_ */
