/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_VU_DISPATCH_H
#define VHOST_VU_DISPATCH_H

/*
 * Requests of the frontend: one row per request says what a well-formed one
 * looks like; the dispatcher checks, calls the handler, settles and replies.
 */

#include "device.h"
#include "vu_message.h"

/**
 * Serve one message; takes over its descriptors.
 *
 * @return 0, or a negative errno: the connection has to be closed
 */
int vhost_vu_dispatch(struct vhost_device *dev, struct vu_message *msg);

#endif /* VHOST_VU_DISPATCH_H */
