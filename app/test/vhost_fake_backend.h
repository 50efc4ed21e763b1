/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_FAKE_BACKEND_H
#define VHOST_FAKE_BACKEND_H

/*
 * The bursts that tests use: rte_vhost_enqueue_burst() and rte_vhost_dequeue_burst(), or
 * in a suite of asynchronous copies (fake_setup_async()) what comes to the same by
 * submitting to a DMA device and waiting.
 */

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;

uint16_t fake_enqueue_burst(int vid, uint16_t queue_id, struct rte_mbuf **pkts, uint16_t count);
uint16_t fake_dequeue_burst(int vid, uint16_t queue_id, struct rte_mempool *pool,
		struct rte_mbuf **pkts, uint16_t count);

/** Suite setup as fake_setup() and fake_setup_packed(), with asynchronous copies. */
int fake_setup_async(void);
int fake_setup_async_packed(void);
/** And the teardown that belongs to it. */
void fake_teardown_async(void);

/**
 * Whether bursts on the queue need nothing more than packets; who looks into a device
 * while another thread sends asks before, so that no channel appears meanwhile.
 */
bool fake_backend_is_ready(int vid, uint16_t queue_id);

/** RTE_VHOST_USER_* that the suite adds to those of a case. */
uint64_t fake_backend_flags(void);

#endif /* VHOST_FAKE_BACKEND_H */
