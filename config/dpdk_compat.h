/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef DPDK_COMPAT_H
#define DPDK_COMPAT_H

/*
 * What DPDK itself calls differently in the releases that this tree builds against.
 * The only place that asks for DPDK's version, but for what is used without this tree:
 * the public headers, and the example, which is built alone as well.
 */

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include <rte_lcore.h>
#include <rte_telemetry.h>
#include <rte_version.h>

#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)

/** What the body of a thread returns: 0. */
typedef void *dpdk_thread_ret;

/**
 * Start a detached thread on the cores that EAL keeps for control.
 *
 * @param attr  NULL, or what the release lets the caller say
 * @return 0, or a negative errno
 */
static inline int
dpdk_start_control_thread(const char *name, const pthread_attr_t *attr,
		dpdk_thread_ret (*body)(void *arg))
{
	pthread_t thread;
	int ret = rte_ctrl_thread_create(&thread, name, attr, body, NULL);

	if (ret == 0)
		pthread_detach(thread);
	return ret;
}

#define rte_tel_data_add_dict_uint rte_tel_data_add_dict_u64

#else

#include <rte_thread.h>

typedef uint32_t dpdk_thread_ret;

/* The attributes are EAL's; it puts "dpdk-" in front of the name. */
static inline int
dpdk_start_control_thread(const char *name, const pthread_attr_t *attr,
		dpdk_thread_ret (*body)(void *arg))
{
	rte_thread_t thread;
	int ret = rte_thread_create_internal_control(&thread, name, body, NULL);

	(void)attr;
	if (ret == 0)
		rte_thread_detach(thread);
	return -abs(ret);
}

#endif

#endif /* DPDK_COMPAT_H */
