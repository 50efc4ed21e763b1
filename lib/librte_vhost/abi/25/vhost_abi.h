/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_ABI_H
#define VHOST_ABI_H

/* What librte_vhost.so.25 (DPDK 24.11) and .26 (25.11) have and abi/23 lacks. */

#include <stddef.h>

#include "rte_vhost.h"

/** Names of threads; EAL puts "dpdk-" in front and has room for ten more. */
#define VHOST_ABI_EVENT_THREAD		"vhost-evt"
#define VHOST_ABI_POSTCOPY_THREAD	"vhost-post"
#define VHOST_ABI_REAPER_THREAD		"vhost-reap"

/** Whether paths below /dev/vduse are devices of the kernel's vdpa bus. */
#define VHOST_ABI_HAS_VDUSE		1

/** Whether a call descriptor that is missing or full counts as a failed notification. */
#define VHOST_ABI_MISSED_CALL_FAILS	1

/** How the log calls us in names of messages. */
#define VHOST_ABI_BACKEND		"BACKEND"

typedef bool (*vhost_guest_notify_t)(int vid, uint16_t queue_id);

/** The callback that may take over a notification of the guest, or NULL. */
static inline vhost_guest_notify_t
vhost_abi_guest_notify(const struct rte_vhost_device_ops *ops)
{
	return ops != NULL ? ops->guest_notify : NULL;
}

#endif /* VHOST_ABI_H */
