/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef _RTE_VDPA_H_
#define _RTE_VDPA_H_

/**
 * @file
 * Hardware that serves virtio rings itself: the application's side.
 *
 * A driver registers such a device under the name of its rte_device; an
 * application finds it by that name, or with RTE_DEV_FOREACH over
 * "class=vdpa", and puts it behind a socket with
 * rte_vhost_driver_attach_vdpa_device().  Drivers use vdpa_driver.h.
 *
 * Nothing keeps a driver from removing its device while an application holds
 * a pointer to it; the application has to detach it first.
 *
 * Here since ABI 23 (DPDK 22.11).
 */

#include <stdint.h>

#include <rte_version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of a statistic's name, the terminating zero included. */
#define RTE_VDPA_STATS_NAME_SIZE 64

struct rte_vdpa_device;

/** One statistic of a device or of one of its rings. */
struct rte_vdpa_stat {
	uint64_t id;    /**< index into the names */
	uint64_t value; /**< the driver's count */
};

/** Name of one statistic. */
struct rte_vdpa_stat_name {
	char name[RTE_VDPA_STATS_NAME_SIZE]; /**< chosen by the driver */
};

/**
 * Find a device by its name.
 *
 * Thread safety: safe.  The result is not protected from its driver's removing
 * it.
 *
 * Outside the specifications.
 *
 * @param name
 *   Name of the rte_device, for instance its PCI address.
 * @return
 *   The device, or NULL if there is none of that name or the name is NULL.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
struct rte_vdpa_device *
rte_vdpa_find_device_by_name(const char *name);

/**
 * The generic device behind a vDPA device.
 *
 * Thread safety: safe.
 *
 * Outside the specifications.
 *
 * @param vdpa_dev
 *   The device.
 * @return
 *   Its rte_device, or NULL if @p vdpa_dev is NULL.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
struct rte_device *
rte_vdpa_get_rte_device(struct rte_vdpa_device *vdpa_dev);

/**
 * How many queue pairs a device has.
 *
 * Thread safety: as the driver's operation.
 *
 * vhost-user, VHOST_USER_GET_QUEUE_NUM.
 *
 * @param dev
 *   The device.
 * @param[out] queue_num
 *   Number of queue pairs.
 * @return
 *   What the driver returns, 0 for success; -1 if @p dev is NULL.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vdpa_get_queue_num(struct rte_vdpa_device *dev, uint32_t *queue_num);

/**
 * The virtio features that a device has.
 *
 * Thread safety: as the driver's operation.
 *
 * virtio 2.2; vhost-user, VHOST_USER_GET_FEATURES.
 *
 * @param dev
 *   The device.
 * @param[out] features
 *   Mask of virtio feature bits.
 * @return
 *   What the driver returns, 0 for success; -1 if @p dev is NULL.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vdpa_get_features(struct rte_vdpa_device *dev, uint64_t *features);

/**
 * The vhost-user protocol features that a device has.
 *
 * Thread safety: as the driver's operation.
 *
 * vhost-user, "Protocol features".
 *
 * @param dev
 *   The device.
 * @param[out] features
 *   Mask of VHOST_USER_PROTOCOL_F_* bits.
 * @return
 *   What the driver returns, 0 for success; -1 if @p dev is NULL.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vdpa_get_protocol_features(struct rte_vdpa_device *dev, uint64_t *features);

#if RTE_VERSION < RTE_VERSION_NUM(23, 7, 0, 0)
/** @cond for drivers, see vdpa_driver.h */
int
rte_vdpa_relay_vring_used(int vid, uint16_t qid, void *vring_m);
/** @endcond */
#endif

/**
 * The names of a device's statistics.
 *
 * Thread safety: as the driver's operation.
 *
 * Outside the specifications.
 *
 * @param dev
 *   The device.
 * @param[out] stats_names
 *   Receives the names; NULL to ask how many there are.
 * @param size
 *   Room in @p stats_names, elements.
 * @return
 *   What the driver returns: how many names there are; if that is more than
 *   @p size, nothing was written.  -EINVAL if @p dev is NULL, -ENOTSUP if the
 *   driver has no statistics, or another negative error of the driver.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vdpa_get_stats_names(struct rte_vdpa_device *dev,
		struct rte_vdpa_stat_name *stats_names,
		unsigned int size);

/**
 * The statistics of one ring of a device.
 *
 * Thread safety: as the driver's operation.
 *
 * Outside the specifications.
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
 *   What the driver returns: how many values were written.  -EINVAL if @p dev
 *   or @p stats is NULL or @p n is 0, -ENOTSUP if the driver has no statistics,
 *   or another negative error of the driver.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vdpa_get_stats(struct rte_vdpa_device *dev, uint16_t qid,
		struct rte_vdpa_stat *stats, unsigned int n);

/**
 * Set the statistics of one ring of a device to 0.
 *
 * Thread safety: as the driver's operation.
 *
 * Outside the specifications.
 *
 * @param dev
 *   The device.
 * @param qid
 *   The ring.
 * @return
 *   What the driver returns, 0 for success.  -EINVAL if @p dev is NULL,
 *   -ENOTSUP if the driver has no statistics.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vdpa_reset_stats(struct rte_vdpa_device *dev, uint16_t qid);

#ifdef __cplusplus
}
#endif

#endif /* _RTE_VDPA_H_ */
