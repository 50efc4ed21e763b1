/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_ABI_H
#define VHOST_ABI_H

/* What librte_vhost.so.23 (DPDK 22.11) has of its own; see abi/25 for later ones. */

#include <stddef.h>

#include "rte_vhost.h"

/** Names of threads, as tools look for them. */
#define VHOST_ABI_EVENT_THREAD		"vhost-events"
#define VHOST_ABI_POSTCOPY_THREAD	"vhost-postcopy"
#define VHOST_ABI_REAPER_THREAD		"vhost-reaper"

/** Whether paths below /dev/vduse are devices of the kernel's vdpa bus. */
#define VHOST_ABI_HAS_VDUSE		0

/** Whether a call descriptor that is missing or full counts as a failed notification. */
#define VHOST_ABI_MISSED_CALL_FAILS	0

/** How the log calls us in names of messages. */
#define VHOST_ABI_BACKEND		"SLAVE"

/** Flags of rte_vhost_driver_register() that mean nothing in this ABI. */
#define RTE_VHOST_USER_ASYNC_CONNECT	0

/* The function is the same, its name was another one. */
#define rte_vhost_backend_config_change	rte_vhost_slave_config_change

typedef bool (*vhost_guest_notify_t)(int vid, uint16_t queue_id);

/** The callback that may take over a notification of the guest, or NULL. */
static inline vhost_guest_notify_t
vhost_abi_guest_notify(const struct rte_vhost_device_ops *ops __rte_unused)
{
	return NULL;
}

#endif /* VHOST_ABI_H */
