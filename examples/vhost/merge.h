/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef MERGE_H
#define MERGE_H

#include "worker.h"

/**
 * Merge TCP segments of one burst into larger ones, which guests take as they would
 * from a NIC that does so.  Whoever does not is sent segments again.
 *
 * @return
 *   How many packets there are now.
 */
uint16_t merge_segments(struct worker *worker, struct rte_mbuf **pkts, uint16_t n);

#endif /* MERGE_H */
