/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef FORWARD_H
#define FORWARD_H

/*
 * The way of a burst through the switch: learn where its sources are, find where
 * its destinations are, put each packet into the batch of its destination, and send
 * the batches.  Nothing is kept for the next burst, so between two bursts an lcore
 * holds no packet and no reference to a guest.
 */

#include "worker.h"

/** Forward what was received from a queue; the packets are taken over. */
void forward_burst(struct worker *worker, const struct plan *plan, const struct poll *poll,
		struct rte_mbuf **pkts, uint16_t n);

#endif /* FORWARD_H */
