/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_VU_BACKCHANNEL_H
#define VHOST_VU_BACKCHANNEL_H

/*
 * Requests from us to the frontend, over the socket that it handed over with
 * VHOST_USER_SET_SLAVE_REQ_FD.
 *
 * The event thread serves everybody, and who waits in another thread may hold what it
 * waits for.  So the frontends of a registration have an account for all their answers
 * together, whoever waits: a second, of which a fiftieth part of the time comes back
 * (vhost_quota_patience).  A frontend that uses it up loses the channel, for good if it
 * is always slow, and its guest goes on without what was asked for.
 */

#include "device.h"
#include "ring_iova.h"
#include "vu_message.h"

/**
 * Take over a back channel, in place of an earlier one.  Refuses what is no
 * stream socket of its own: the frontend's end of our own connection, kept here,
 * would hide that the frontend has gone.  Control lock held.
 *
 * @return 0 or -EINVAL (logged); fd is ours to close in either case
 */
int vhost_backchannel_adopt(struct vhost_device *dev, int fd);

/** Use fd, ours from now on, or -1 for none; an earlier channel is closed.  Any thread. */
void vhost_backchannel_replace(struct vhost_device *dev, int fd);

/**
 * Send a request; with VU_NEED_REPLY in its flags, wait for the answer, but no
 * longer than said above.  A channel that fails is closed.  Any thread, one at a time.
 *
 * @param fd_to_pass  descriptor to send along, or -1
 * @return 0; -ENODEV without a channel; -EAGAIN when it is full; -ETIMEDOUT or
 *         -EPROTO without a proper answer; -EIO when the frontend says no
 */
int vhost_backchannel_request(struct vhost_device *dev, struct vu_message *msg, int fd_to_pass);

/**
 * Ask the frontend for translations of pages (VHOST_USER_BACKEND_IOTLB_MSG); they come
 * as messages of its own, or not at all.  Never waits.  Any thread that may make a
 * system call.
 *
 * @return 0; -ENODEV without a channel; -EAGAIN when it is full; another errno when it
 *         is of no use any more
 */
int vhost_backchannel_ask(struct vhost_device *dev, const struct iova_want *wants,
		unsigned int n);

#endif /* VHOST_VU_BACKCHANNEL_H */
