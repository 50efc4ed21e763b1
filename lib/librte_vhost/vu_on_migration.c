/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <inttypes.h>

#include "mem_log.h"
#include "vhost_log.h"
#include "vu_on.h"

/*
 * vhost-user: VHOST_USER_SET_LOG_BASE.  Bits are set there while VHOST_F_LOG_ALL is
 * negotiated.  The answer, without payload, tells the frontend that nobody uses the
 * log of before any more.
 */
int
vhost_vu_on_set_log_base(struct vu_call *call)
{
	const struct vu_log *wire = &call->msg->payload.log;
	const char *name = call->dev->driver.path;
	struct mem_log *log;
	int ret;

	ret = vhost_mem_log_create(name, wire->size, wire->offset, call->msg->fds[0], &log);
	if (ret < 0)
		return ret;
	vhost_device_wish_log(call->dev, log);
	VHOST_LOG_CONFIG(INFO, "(%s) dirty log of 0x%" PRIx64 " bytes at 0x%" PRIx64 "\n",
		name, wire->size, wire->offset);
	call->msg->size = 0;
	return 0;
}

/* vhost-user: VHOST_USER_SET_LOG_FD.  Nobody reports errors of the log. */
int
vhost_vu_on_set_log_fd(struct vu_call *call)
{
	(void)call;
	return 0;
}
