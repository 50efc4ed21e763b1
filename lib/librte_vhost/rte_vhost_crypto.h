/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef _VHOST_CRYPTO_H_
#define _VHOST_CRYPTO_H_

/**
 * @file
 * The device side of virtio-crypto over vhost-user.
 *
 * The declarations are complete, so that programs compile and load.  This
 * release does not contain the device yet: each function returns the error that
 * its description gives and does nothing.
 *
 * Thread safety of all functions with a vid: the device must not go away
 * meanwhile; one thread per ring.
 */

#ifdef __cplusplus
extern "C" {
#endif

#include <stdint.h>

#include <rte_compat.h>

struct rte_mempool;
struct rte_crypto_op;

/** Elements of the pool of packet buffers that a device has. */
#define VHOST_CRYPTO_MBUF_POOL_SIZE		(8192)
/** Most requests that one call takes. */
#define VHOST_CRYPTO_MAX_BURST_SIZE		(64)
/** Most bytes of a request's data that are copied. */
#define VHOST_CRYPTO_MAX_DATA_SIZE		(4096)
/** Most sessions of a device. */
#define VHOST_CRYPTO_SESSION_MAP_ENTRIES	(1024)
/** Most rings that the operations of one burst may come from. */
#define VIRTIO_CRYPTO_MAX_NUM_BURST_VQS		(64)
/** Most bytes of an initialisation vector. */
#define VHOST_CRYPTO_MAX_IV_LEN			(32)
/** Most descriptors of a request. */
#define VHOST_CRYPTO_MAX_N_DESC			(32)

/** Whether requests are processed in guest memory or in copies. */
enum rte_vhost_crypto_zero_copy {
	RTE_VHOST_CRYPTO_ZERO_COPY_DISABLE = 0, /**< in copies */
	RTE_VHOST_CRYPTO_ZERO_COPY_ENABLE = 1,  /**< in guest memory */
	RTE_VHOST_CRYPTO_MAX_ZERO_COPY_OPTIONS  /**< how many values there are */
};

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * Make a registered socket offer virtio-crypto devices, and start it.
 *
 * This release always returns -1.
 *
 * Thread safety: may be called by any thread at any time.
 *
 * virtio 5.9.3.
 *
 * @param path
 *   A registered socket.
 * @return
 *   0, or -1 on error.
 */
__rte_experimental
int
rte_vhost_crypto_driver_start(const char *path);

/**
 * Give a device what it needs to process requests; to be called in
 * rte_vhost_device_ops::new_device.
 *
 * This release always returns -ENOTSUP.
 *
 * virtio 5.9.5.
 *
 * @param vid
 *   The device.
 * @param cryptodev_id
 *   The cryptodev that does the work.
 * @param sess_pool
 *   Where sessions are allocated.
 * @param socket_id
 *   NUMA node of the session table.
 * @return
 *   - 0: done
 *   - -EINVAL: unknown device or wrong argument
 *   - -ENOMEM: no memory
 *   - -ENOTSUP: not in this release
 */
int
rte_vhost_crypto_create(int vid, uint8_t cryptodev_id,
		struct rte_mempool *sess_pool,
		int socket_id);

/**
 * Release what rte_vhost_crypto_create() made; to be called in
 * rte_vhost_device_ops::destroy_device.
 *
 * This release always returns -ENOTSUP.
 *
 * virtio 5.9.5.
 *
 * @param vid
 *   The device.
 * @return
 *   - 0: done
 *   - -EINVAL: unknown device
 *   - -ENOENT: nothing was made for it
 *   - -ENOTSUP: not in this release
 */
int
rte_vhost_crypto_free(int vid);

/**
 * Choose whether a device processes requests in guest memory.
 *
 * This release always returns -ENOTSUP.
 *
 * virtio 5.9.7.
 *
 * @param vid
 *   The device.
 * @param option
 *   The choice.
 * @return
 *   - 0: done
 *   - -EINVAL: unknown device or choice
 *   - -ENOTSUP: not in this release
 */
int
rte_vhost_crypto_set_zero_copy(int vid, enum rte_vhost_crypto_zero_copy option);

/**
 * Take requests from a ring and make crypto operations of them.
 *
 * This release always returns 0.
 *
 * virtio 5.9.7.2 and following.
 *
 * @param vid
 *   The device.
 * @param qid
 *   A data ring.
 * @param[out] ops
 *   Operations, allocated by the caller.
 * @param nb_ops
 *   How many of them; at most #VHOST_CRYPTO_MAX_BURST_SIZE are used.
 * @return
 *   How many were filled; 0 also on any error.
 */
uint16_t
rte_vhost_crypto_fetch_requests(int vid, uint32_t qid,
		struct rte_crypto_op **ops, uint16_t nb_ops);

/**
 * Give processed requests back to their rings.
 *
 * This release always returns 0, and no descriptors.
 *
 * virtio 5.9.7.2 and following; 2.7.8.
 *
 * @param ops
 *   Operations that rte_vhost_crypto_fetch_requests() filled, processed.
 * @param nb_ops
 *   How many.
 * @param[out] callfds
 *   Receives the descriptors to write to in order to notify the guests; room
 *   for #VIRTIO_CRYPTO_MAX_NUM_BURST_VQS.
 * @param[out] nb_callfds
 *   How many of these there are.
 * @return
 *   How many operations were given back.
 */
uint16_t
rte_vhost_crypto_finalize_requests(struct rte_crypto_op **ops,
		uint16_t nb_ops, int *callfds, uint16_t *nb_callfds);

#ifdef __cplusplus
}
#endif

#endif /* _VHOST_CRYPTO_H_ */
