/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef _VHOST_CRYPTO_H_
#define _VHOST_CRYPTO_H_

/**
 * @file
 * The device side of virtio-crypto over vhost-user.
 *
 * An application calls rte_vhost_crypto_driver_start() instead of
 * rte_vhost_driver_start(), rte_vhost_crypto_create() in new_device and
 * rte_vhost_crypto_free() in destroy_device.  In between it fetches requests, takes them
 * through the cryptodev and finalizes them.
 *
 * Operations are symmetric ones of a pool with at least #VHOST_CRYPTO_MAX_IV_LEN bytes of
 * private room right behind each (rte_crypto_op_pool_create(), priv_size).
 *
 * Thread safety: any thread may call any function at any time, also while the device
 * goes; calls about the same ring wait for each other.
 *
 * Here since ABI 23 (DPDK 22.11).
 */

#ifdef __cplusplus
extern "C" {
#endif

#include <stdint.h>

#include <rte_compat.h>
#include <rte_version.h>

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
 * @b EXPERIMENTAL with ABI 23: there this API may change, or be removed, without prior
 * notice.
 *
 * Make a registered socket offer virtio-crypto devices, and start it.
 *
 * To be called after rte_vhost_driver_register() and
 * rte_vhost_driver_callback_register().
 *
 * Thread safety: any thread, at any time; see the top of this file.
 *
 * virtio 5.9.3.
 *
 * @param path
 *   A registered socket.
 * @return
 *   0, or -1 on error.
 * @since
 *   ABI 23 (DPDK 22.11), experimental there; stable since DPDK 23.11, here with ABI 25.
 */
#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
__rte_experimental
#endif
int
rte_vhost_crypto_driver_start(const char *path);

/**
 * Give a device what it needs to process requests; to be called in
 * rte_vhost_device_ops::new_device.
 *
 * Sessions that the frontend has from before an rte_vhost_crypto_free() are opened again,
 * with the same numbers.
 *
 * Thread safety: any thread, at any time; see the top of this file.
 *
 * virtio 5.9.5.
 *
 * @param vid
 *   The device.
 * @param cryptodev_id
 *   The cryptodev that does the work, configured.
 * @param sess_pool
 *   Where sessions are allocated: of rte_cryptodev_sym_session_pool_create(), for that
 *   cryptodev.  It and the cryptodev have to stay until rte_vhost_crypto_free(), and
 *   until the last operation of a session has come back.
 * @param socket_id
 *   Accepted for compatibility: what the library allocates is on the nodes of the
 *   device and of its queues, and follows them.
 * @return
 *   - 0: done
 *   - -EINVAL: unknown device, cryptodev or no pool
 *   - -EEXIST: the device has been given what it needs
 *   - -ENOMEM: no memory
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_crypto_create(int vid, uint8_t cryptodev_id,
		struct rte_mempool *sess_pool,
		int socket_id);

/**
 * Release what rte_vhost_crypto_create() made; to be called in
 * rte_vhost_device_ops::destroy_device.
 *
 * Requests whose operations are under way are answered with an error, if their ring still
 * runs; the operations may be finalized later.  Sessions of the cryptodev are freed, those
 * in use with the last operation of each.
 *
 * Thread safety: any thread, at any time; see the top of this file.
 *
 * virtio 5.9.5.
 *
 * @param vid
 *   The device.
 * @return
 *   - 0: done
 *   - -EINVAL: unknown device
 *   - -ENOENT: nothing was made for it
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_crypto_free(int vid);

/**
 * Choose whether a device processes requests in guest memory; at first it does not.
 * Takes effect soon, not at once.
 *
 * Requests whose source or destination is scattered are copied nevertheless.  Memory that
 * cryptodevs work in stays mapped until their operations have come back.
 *
 * Thread safety: any thread, at any time; see the top of this file.
 *
 * virtio 5.9.7.
 *
 * @param vid
 *   The device.
 * @param option
 *   The choice.
 * @return
 *   - 0: done
 *   - -EINVAL: unknown device or choice, or operations are under way
 *   - -ENOENT: nothing was made for the device by rte_vhost_crypto_create()
 *   - -ENOTSUP: the cryptodev is hardware and needs physical addresses
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_crypto_set_zero_copy(int vid, enum rte_vhost_crypto_zero_copy option);

/**
 * Take requests from a ring and make crypto operations of them.
 *
 * A request that is wrong is answered at once, and the guest notified.
 *
 * Thread safety: any thread, at any time; see the top of this file.
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
 * @since
 *   ABI 23 (DPDK 22.11).
 */
uint16_t
rte_vhost_crypto_fetch_requests(int vid, uint32_t qid,
		struct rte_crypto_op **ops, uint16_t nb_ops);

/**
 * Give processed requests back to their rings, in any order.  The guest is told by the
 * status of each operation how it went; one that was not processed is an error.
 *
 * Operations may be of several rings and devices; those of one ring that follow each other
 * are given back together.
 *
 * Thread safety: any thread, at any time; see the top of this file.
 *
 * virtio 5.9.7.2 and following; 2.7.8.
 *
 * @param ops
 *   Operations that rte_vhost_crypto_fetch_requests() filled, processed.
 * @param nb_ops
 *   How many.
 * @param[out] callfds
 *   Receives the descriptors to write to in order to notify the guests: each once, and
 *   of guests that want it; room for #VIRTIO_CRYPTO_MAX_NUM_BURST_VQS.  One stays open
 *   until the application has been told that its ring stopped.
 * @param[out] nb_callfds
 *   How many of these there are.
 * @return
 *   How many operations were given back, fewer than nb_ops when there is no more room in
 *   callfds; the caller may free them or use them again.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
uint16_t
rte_vhost_crypto_finalize_requests(struct rte_crypto_op **ops,
		uint16_t nb_ops, int *callfds, uint16_t *nb_callfds);

#ifdef __cplusplus
}
#endif

#endif /* _VHOST_CRYPTO_H_ */
