/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_CTRL_H
#define VHOST_NET_CTRL_H

/*
 * The control queue of a network device (virtio 1.2, 5.1.6.5), for frontends that
 * leave it to the backend (user-mode Linux).  It is served on the event loop, when
 * the guest kicks.
 */

#include "listeners.h"

/** Each settle may give the device a control queue, or take it away. */
extern const struct device_listener vhost_listener_ctrl;

/** Stop watching; returns when nothing is being served any more. */
void vhost_net_ctrl_unwatch(struct vhost_device *dev);

#endif /* VHOST_NET_CTRL_H */
