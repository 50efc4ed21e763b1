/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_LOG_H
#define VHOST_LOG_H

/*
 * Two log types: lib.vhost.config for the control side (default INFO) and
 * lib.vhost.data for the bursts (default WARNING).  Every line carries the
 * socket path in parentheses first, which is how users tell devices apart.
 */

#include <rte_log.h>

extern int vhost_config_log_level;
extern int vhost_data_log_level;

#define VHOST_LOG_CONFIG(level, fmt, ...) \
	rte_log(RTE_LOG_ ## level, vhost_config_log_level, \
		"VHOST_CONFIG: " fmt, ## __VA_ARGS__)

#define VHOST_LOG_DATA(level, fmt, ...) \
	rte_log(RTE_LOG_ ## level, vhost_data_log_level, \
		"VHOST_DATA: " fmt, ## __VA_ARGS__)

#endif /* VHOST_LOG_H */
