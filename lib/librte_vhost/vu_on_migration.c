/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <inttypes.h>

#include "mem_log.h"
#include "postcopy.h"
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

/* vhost-user: VHOST_USER_POSTCOPY_ADVISE; the answer is the descriptor. */
int
vhost_vu_on_postcopy_advise(struct vu_call *call)
{
	int ret = vhost_postcopy_advise(call->dev);

	call->reply_fd = call->dev->postcopy.ufd;
	return ret;
}

int
vhost_vu_on_postcopy_listen(struct vu_call *call)
{
	return vhost_postcopy_listen(call->dev);
}

/** The same request once more, empty or with a 0 (QEMU); any other number is a failure. */
int
vhost_vu_on_postcopy_ack(struct vu_call *call)
{
	const struct vu_message *msg = call->msg;
	struct vhost_device *dev = call->dev;

	if (msg->request != dev->postcopy.awaited || msg->size > sizeof(msg->payload.u64)) {
		VHOST_LOG_CONFIG(ERR, "(%s) %s of %u bytes where %s has to be acknowledged\n",
			dev->driver.path, vhost_vu_request_name(msg->request), msg->size,
			vhost_vu_request_name(dev->postcopy.awaited));
		return -EPROTO;
	}
	return vhost_postcopy_acknowledge(dev, msg->payload.u64 == 0);
}

/* vhost-user: VHOST_USER_POSTCOPY_END.  Now that all memory is there, where is it? */
int
vhost_vu_on_postcopy_end(struct vu_call *call)
{
	struct vhost_device *dev = call->dev;

	if (dev->postcopy.ufd < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) no postcopy migration to end\n", dev->driver.path);
		return -EINVAL;
	}
	VHOST_LOG_CONFIG(INFO, "(%s) postcopy migration ends\n", dev->driver.path);
	vhost_postcopy_end(dev);
	call->msg->payload.u64 = 0;
	dev->restart_wanted = (dev->driver.numa.flags & RTE_VHOST_NUMA_F_RESTART) != 0;
	/* refused memory leaves all as it is, to be tried again */
	vhost_device_refresh(dev);
	dev->restart_wanted = false;
	return 0;
}
