/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include "device_change.h"
#include "listeners.h"

int
vhost_device_change(struct vhost_device *dev, const struct settle_request *request)
{
	struct settlement settlement;
	int ret;

	ret = vhost_settle_prepare(dev, request, &settlement);
	if (ret < 0)
		return ret;
	vhost_listeners_before(dev, request, &settlement);
	vhost_settle_commit(dev, &settlement);
	vhost_listeners_after(dev, request, &settlement);
	vhost_settle_end(dev);
	return 0;
}
