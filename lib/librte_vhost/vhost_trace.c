/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <rte_trace_point_register.h>

#include "vhost_trace.h"

RTE_TRACE_POINT_REGISTER(vhost_trace_numa_probe, lib.vhost.numa.probe)
RTE_TRACE_POINT_REGISTER(vhost_trace_numa_move, lib.vhost.numa.move)
RTE_TRACE_POINT_REGISTER(vhost_trace_numa_refusal, lib.vhost.numa.refusal)
