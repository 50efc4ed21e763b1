/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef GUESTS_H
#define GUESTS_H

/*
 * Guests: the sockets, and what the vhost library tells about the devices behind
 * them.
 */

#include "vport.h"

/** Register and start all sockets: 0 or a negative errno, after a line of log. */
int guests_start(void);

/** Let all guests go and remove the sockets, for good.  Not with the control lock held. */
void guests_stop(void);

/**
 * Let the guests of one socket go, and begin with it anew.  Not with the control lock held.
 *
 * @return 0, -ENOENT if there is no such socket, or none any more, or why it cannot be started, after a line of log
 */
int guests_start_again(const char *path);

/** A descriptor that is readable when guests_update() has something to do. */
int guests_event_fd(void);

/** Look at what guests have changed about queues and memory, and follow. */
void guests_update(void);

#endif /* GUESTS_H */
