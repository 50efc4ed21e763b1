/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Public functions of limits, see rte_vhost_limits.h. */

#include <errno.h>

#include "rte_vhost_limits.h"

#include "quota.h"
#include "socket.h"

static int
set_limits(struct vhost_driver *driver, void *arg)
{
	vhost_quota_set_limits(driver->quota, arg);
	return 0;
}

int
rte_vhost_driver_limits_set(const char *path, const struct rte_vhost_limits *limits)
{
	struct rte_vhost_limits copy;

	if (path == NULL || limits == NULL)
		return -EINVAL;
	copy = *limits;
	return vhost_socket_edit(path, set_limits, &copy);
}

static int
get_usage(struct vhost_driver *driver, void *arg)
{
	vhost_quota_usage(driver->quota, arg);
	return 0;
}

int
rte_vhost_driver_limits_get(const char *path, struct rte_vhost_limits_usage *usage)
{
	if (path == NULL || usage == NULL)
		return -EINVAL;
	return vhost_socket_edit(path, get_usage, usage);
}
