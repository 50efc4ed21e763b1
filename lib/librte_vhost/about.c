/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <dlfcn.h>
#include <inttypes.h>

#include <rte_common.h>

#include "about.h"
#include "numa_watch.h"
#include "quota.h"
#include "vhost_log.h"
#include "vhost_version.h"

#define MIB (UINT64_C(1) << 20)

const char *
vhost_about_version(void)
{
	return VHOST_VERSION;
}

bool
vhost_about_has_libnuma(void)
{
#ifdef RTE_LIBRTE_VHOST_NUMA
	return true;
#else
	return false;
#endif
}

const char *
vhost_about_file(void)
{
	Dl_info info;

	return dladdr(VHOST_NAME, &info) != 0 && info.dli_fname != NULL ? info.dli_fname : "";
}

void
vhost_about_log(void)
{
	static bool said;
	struct rte_vhost_limits limits;

	if (__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
		return;
	vhost_quota_defaults(&limits);
	VHOST_LOG_CONFIG(INFO, "this is " VHOST_NAME " %s, librte_vhost ABI " RTE_STR(VHOST_ABI)
		", %s libnuma, from %s; looks at guests' memory every %" PRIu64 " ms; limits of each "
		"socket: %u connections, %u vrings, %" PRIu64 " MiB mapped, %" PRIu64
		" MiB in flight, %u descriptors to close, turns of %u ms\n",
		vhost_about_version(), vhost_about_has_libnuma() ? "with" : "without",
		vhost_about_file(), vhost_numa_watch_interval(), limits.connections, limits.vrings,
		limits.mapped_bytes / MIB, limits.inflight_bytes / MIB, limits.closing_fds,
		limits.turn_ms);
}
