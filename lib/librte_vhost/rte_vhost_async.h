/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef _RTE_VHOST_ASYNC_H_
#define _RTE_VHOST_ASYNC_H_

/**
 * @file
 * Bursts whose copies are done by DMA devices.
 *
 * An application configures a channel of a dmadev that it has started
 * (rte_vhost_async_dma_configure()), registers its socket with
 * RTE_VHOST_USER_ASYNC_COPY, and each ring that is to use such a channel once
 * that runs (rte_vhost_async_channel_register()).  A ring may use several
 * channels, one per call; a channel may serve several rings and threads.
 *
 * Packets are in flight between the call that submits them and the one that
 * returns them, which is also when the guest is told: until then they belong to
 * the library.  They are returned in the order of their submission.
 *
 * Before a ring stops, or memory that it uses goes, vring_state_changed() is
 * called with 0 for it.  There the application may take back what is in flight,
 * with the functions named _thread_unsafe.  What it leaves there the library
 * ends by itself; these packets are returned by later calls, or freed with the
 * device.
 *
 * With IOVA as PA only guest memory in huge pages is copied by devices; other
 * memory is copied by the CPU when packets are submitted.
 *
 * Thread safety of all functions with a vid: the device must not go away
 * meanwhile; one thread per ring.  Those named _thread_unsafe are for
 * callbacks of the device, and return an error elsewhere.
 *
 * Here since ABI 23 (DPDK 22.11).
 */

#ifdef __cplusplus
extern "C" {
#endif

#include <stdint.h>

#include <rte_compat.h>
#include <rte_mbuf.h>

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * Let a ring, which runs, use DMA devices.  The socket must have been registered
 * with RTE_VHOST_USER_ASYNC_COPY.
 *
 * Thread safety: see the top of this file.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @return
 *   0, or -1 on error.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
int rte_vhost_async_channel_register(int vid, uint16_t queue_id);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * End the use of DMA devices by a ring without packets in flight.
 *
 * Thread safety: see the top of this file.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @return
 *   0; -1 on error, or if packets are in flight.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
int rte_vhost_async_channel_unregister(int vid, uint16_t queue_id);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * As rte_vhost_async_channel_register(), with the ring held.
 *
 * Thread safety: only with the ring held, see the top of this file.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @return
 *   0, or -1 on error.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
int rte_vhost_async_channel_register_thread_unsafe(int vid, uint16_t queue_id);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * As rte_vhost_async_channel_unregister(), with the ring held.
 *
 * Thread safety: only with the ring held, see the top of this file.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @return
 *   0; -1 on error or if packets are in flight.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
int rte_vhost_async_channel_unregister_thread_unsafe(int vid,
		uint16_t queue_id);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * Begin to send packets to the guest.
 *
 * Thread safety: see the top of this file.
 *
 * virtio 5.1.6.4.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   A ring to the guest (even).
 * @param pkts
 *   The packets; those accepted are the library's until they are returned by
 *   rte_vhost_poll_enqueue_completed().
 * @param count
 *   How many.
 * @param dma_id
 *   The DMA device, configured with rte_vhost_async_dma_configure().
 * @param vchan_id
 *   Its virtual channel.
 * @return
 *   How many packets, from the first on, were accepted, at most 32; 0 also on
 *   any error.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
uint16_t rte_vhost_submit_enqueue_burst(int vid, uint16_t queue_id,
		struct rte_mbuf **pkts, uint16_t count, int16_t dma_id,
		uint16_t vchan_id);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * Finish sending: give the guest the buffers whose copies are done.
 *
 * Thread safety: see the top of this file.
 *
 * virtio 5.1.6.4 and 2.7.8.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   A ring to the guest (even).
 * @param[out] pkts
 *   Receives the packets, which are the caller's again.
 * @param count
 *   Room in @p pkts.
 * @param dma_id
 *   The DMA device, configured with rte_vhost_async_dma_configure().
 * @param vchan_id
 *   Its virtual channel.
 * @return
 *   How many packets were sent; 0 also on any error.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
uint16_t rte_vhost_poll_enqueue_completed(int vid, uint16_t queue_id,
		struct rte_mbuf **pkts, uint16_t count, int16_t dma_id,
		uint16_t vchan_id);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * How many packets of a ring are in flight.
 *
 * Thread safety: see the top of this file.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @return
 *   Number of packets, of which some may be done; -1 on error.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
int rte_vhost_async_get_inflight(int vid, uint16_t queue_id);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * As rte_vhost_async_get_inflight(), with the ring held.
 *
 * Thread safety: only with the ring held, see the top of this file.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @return
 *   Number of packets, or -1 on error.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
int rte_vhost_async_get_inflight_thread_unsafe(int vid, uint16_t queue_id);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * Take back what is in flight in a ring that stops, with the ring held.
 *
 * Thread safety: only with the ring held, see the top of this file.
 *
 * virtio 2.4 and 2.6.1.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @param[out] pkts
 *   Receives the packets, which are the caller's again.
 * @param count
 *   Room in @p pkts.
 * @param dma_id
 *   The DMA device, configured with rte_vhost_async_dma_configure().
 * @param vchan_id
 *   Its virtual channel.
 * @return
 *   How many packets were taken back; 0 also on any error.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
uint16_t rte_vhost_clear_queue_thread_unsafe(int vid, uint16_t queue_id,
		struct rte_mbuf **pkts, uint16_t count, int16_t dma_id,
		uint16_t vchan_id);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * Take back what is in flight in a ring that stops.
 *
 * Thread safety: see the top of this file.
 *
 * virtio 2.4 and 2.6.1.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @param[out] pkts
 *   Receives the packets, which are the caller's again.
 * @param count
 *   Room in @p pkts.
 * @param dma_id
 *   The DMA device, configured with rte_vhost_async_dma_configure().
 * @param vchan_id
 *   Its virtual channel.
 * @return
 *   How many packets were taken back; 0 also on any error.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
uint16_t rte_vhost_clear_queue(int vid, uint16_t queue_id,
		struct rte_mbuf **pkts, uint16_t count, int16_t dma_id,
		uint16_t vchan_id);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * Prepare a channel of a DMA device, which was started, for vhost; harmless if
 * it is already.
 *
 * Thread safety: may be called by any thread at any time.
 *
 * Outside the specifications.
 *
 * @param dma_id
 *   The DMA device.
 * @param vchan_id
 *   Its virtual channel.
 * @return
 *   0, or -1 on error.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
int rte_vhost_async_dma_configure(int16_t dma_id, uint16_t vchan_id);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * Receive packets from the guest whose copies are done, and begin more copies.
 *
 * Thread safety: see the top of this file.
 *
 * virtio 5.1.6.2 and 2.7.8.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   A ring from the guest (odd).
 * @param mbuf_pool
 *   Where packets are allocated; best on the device's NUMA node.
 * @param[out] pkts
 *   Receives the packets, which are the caller's.
 * @param count
 *   Room in @p pkts.
 * @param[out] nr_inflight
 *   Receives how many packets are in flight, -1 on error.
 * @param dma_id
 *   The DMA device, configured with rte_vhost_async_dma_configure().
 * @param vchan_id
 *   Its virtual channel.
 * @return
 *   How many packets were received.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
uint16_t rte_vhost_async_try_dequeue_burst(int vid, uint16_t queue_id,
		struct rte_mempool *mbuf_pool, struct rte_mbuf **pkts,
		uint16_t count, int *nr_inflight, int16_t dma_id,
		uint16_t vchan_id);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * End the use of a DMA device's channel by vhost.
 *
 * Thread safety: may be called by any thread at any time.
 *
 * Outside the specifications.
 *
 * @param dma_id
 *   The DMA device.
 * @param vchan_id
 *   Its virtual channel.
 * @return
 *   0; -1 on error or while copies are in flight.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
__rte_experimental
int rte_vhost_async_dma_unconfigure(int16_t dma_id, uint16_t vchan_id);

#ifdef __cplusplus
}
#endif

#endif /* _RTE_VHOST_ASYNC_H_ */
