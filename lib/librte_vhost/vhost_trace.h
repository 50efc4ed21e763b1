/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_TRACE_H
#define VHOST_TRACE_H

/*
 * Trace points of placement (EAL: --trace=lib.vhost.numa.*).  A queue of -1 is
 * the device itself, a node of -1 none or not known.
 */

#include <stdint.h>

#include <rte_trace_point.h>

/** A region of guest memory was looked at; node: the one with most of it. */
RTE_TRACE_POINT(
	vhost_trace_numa_probe,
	RTE_TRACE_POINT_ARGS(int vid, uint32_t region, int evidence,
		uint32_t asked, uint32_t known, int node),
	rte_trace_point_emit_int(vid);
	rte_trace_point_emit_u32(region);
	rte_trace_point_emit_int(evidence);
	rte_trace_point_emit_u32(asked);
	rte_trace_point_emit_u32(known);
	rte_trace_point_emit_int(node);
)

/** The device or a queue has moved. */
RTE_TRACE_POINT(
	vhost_trace_numa_move,
	RTE_TRACE_POINT_ARGS(int vid, int queue, int from, int to, uint64_t pause_ns),
	rte_trace_point_emit_int(vid);
	rte_trace_point_emit_int(queue);
	rte_trace_point_emit_int(from);
	rte_trace_point_emit_int(to);
	rte_trace_point_emit_u64(pause_ns);
)

/** A node had no memory for the device or a queue, which is on another instead. */
RTE_TRACE_POINT(
	vhost_trace_numa_refusal,
	RTE_TRACE_POINT_ARGS(int vid, int queue, int node, int instead),
	rte_trace_point_emit_int(vid);
	rte_trace_point_emit_int(queue);
	rte_trace_point_emit_int(node);
	rte_trace_point_emit_int(instead);
)

#endif /* VHOST_TRACE_H */
