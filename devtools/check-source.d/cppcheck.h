/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* What cppcheck has to know of DPDK's headers, which it does not read, to see the grammar. */
#define RTE_TRACE_POINT(...)
#define RTE_TRACE_POINT_REGISTER(...)
#define RTE_LOG_REGISTER_DEFAULT(...)
#define RTE_STR(x) #x
#define RTE_LCORE_FOREACH_WORKER(lcore) for (lcore = 0; lcore < RTE_MAX_LCORE; lcore++)
#define RTE_PER_LCORE(name) per_lcore_##name
#define RTE_DEFINE_PER_LCORE(type, name) type per_lcore_##name
#define RTE_DECLARE_PER_LCORE(type, name) extern type per_lcore_##name
#define RTE_FMT(format, ...) format "%.0s", __VA_ARGS__ ""
#define RTE_FMT_HEAD(head, ...) head
#define RTE_FMT_TAIL(head, ...) __VA_ARGS__
