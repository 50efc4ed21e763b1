/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PLAN_H
#define PLAN_H

/*
 * From vports to what each lcore does: which queues it polls and where packets can
 * go.  All calls with the control lock held.
 */

#include "worker.h"

/**
 * Make and publish new plans after something about vports has changed.
 *
 * When it returns no lcore uses a vport that is not connected any more, and each
 * enabled queue is polled by one lcore.  It cannot fail.
 */
void plan_refresh(void);

/** Measure how much work each queue has been since the last call; once a second. */
void plan_measure(void);

/** All counts of a vport. */
void plan_count(const struct vport *vport, struct vport_counters *sum);

/** What one lcore has done for all vports. */
void plan_count_worker(const struct worker *worker, struct vport_counters *sum);

/** All counts of the switch. */
void plan_count_all(struct switch_totals *totals);

#endif /* PLAN_H */
