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
 * negotiated.  The answer tells the frontend that nobody uses the log of before any
 * more; a u64 of 0 satisfies those that wait for an acknowledgement as well.
 */
int
vhost_vu_on_set_log_base(struct vu_call *call)
{
	const struct vu_log *wire = &call->msg->payload.log;
	const struct mem_owner owner = vu_owner(call);
	struct mem_log *log;
	int ret;

	ret = vhost_mem_log_create(&owner, wire->size, wire->offset, call->msg->fds[0], &log);
	if (ret < 0)
		return ret;
	vhost_wish_log(&call->dev->wish, log);
	VHOST_LOG_CONFIG(INFO, "(%s) dirty log of 0x%" PRIx64 " bytes at 0x%" PRIx64 "\n",
		owner.name, wire->size, wire->offset);
	call->msg->payload.u64 = 0;
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
	struct vhost_postcopy *postcopy = call->dev->postcopy;
	int ret = vhost_postcopy_advise(postcopy);

	call->reply_fd = vhost_postcopy_ufd(postcopy);
	return ret;
}

int
vhost_vu_on_postcopy_listen(struct vu_call *call)
{
	return vhost_postcopy_listen(call->dev->postcopy);
}

/** Bursts have left the earlier map, or never get into this one. */
static int
use_map(struct vu_call *call)
{
	vhost_postcopy_use(call->dev->postcopy);
	return 0;
}

/** The same request once more, empty or with a 0 (QEMU); any other number is a failure. */
int
vhost_vu_on_postcopy_ack(struct vu_call *call)
{
	struct vhost_postcopy *postcopy = call->dev->postcopy;
	const struct vu_message *msg = call->msg;

	if (msg->request != vhost_postcopy_awaited(postcopy) ||
			msg->size > sizeof(msg->payload.u64)) {
		VHOST_LOG_CONFIG(ERR, "(%s) %s of %u bytes where %s has to be acknowledged\n",
			call->dev->driver.path, vhost_vu_request_name(msg->request), msg->size,
			vhost_vu_request_name(vhost_postcopy_awaited(postcopy)));
		return -EPROTO;
	}
	if (msg->payload.u64 != 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) the frontend cannot serve memory for postcopy "
			"migration\n", call->dev->driver.path);
		vhost_postcopy_forget(postcopy);
		return -ECANCELED;
	}
	vhost_wish_map(&call->dev->wish, vhost_postcopy_acknowledged(postcopy));
	call->settled = use_map;
	return 0;
}

/* vhost-user: VHOST_USER_POSTCOPY_END.  Now that all memory is there, where is it? */
int
vhost_vu_on_postcopy_end(struct vu_call *call)
{
	struct vhost_device *dev = call->dev;

	if (vhost_postcopy_ufd(dev->postcopy) < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) no postcopy migration to end\n", dev->driver.path);
		return -EINVAL;
	}
	VHOST_LOG_CONFIG(INFO, "(%s) postcopy migration ends\n", dev->driver.path);
	vhost_postcopy_end(dev->postcopy);
	call->msg->payload.u64 = 0;
	call->request.reprobe = true;
	call->request.restart = (dev->driver.numa.flags & RTE_VHOST_NUMA_F_RESTART) != 0;
	return 0;
}
