/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef SWITCH_LOG_H
#define SWITCH_LOG_H

#include <rte_log.h>

extern int switch_logtype;

/** One line of log: LOG(INFO, "guest %s disconnected", name). */
#define LOG(level, ...) \
	rte_log(RTE_LOG_ ## level, switch_logtype, "VHOST_SWITCH: " \
		RTE_FMT(RTE_FMT_HEAD(__VA_ARGS__,) "\n", RTE_FMT_TAIL(__VA_ARGS__,)))

#endif /* SWITCH_LOG_H */
