/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_SOCKET_CONNECTION_H
#define VHOST_SOCKET_CONNECTION_H

/* A frontend at the other end of a socket, and its device.  See socket_connection.c. */

#include <stdbool.h>

#include "socket_registry.h"

/**
 * A frontend is there: create its device, serve it from now on.  Beyond the
 * registration's limit of connections it is closed at once.
 *
 * Event thread only, as the last thing that a handler of the registration does: a
 * callback may remove it.
 *
 * @param fd  taken over
 */
void vhost_connection_begin(struct registration *reg, int fd);

/**
 * The registration has been removed, and nobody brings connections any more: end
 * those that are left, without destroy_connection.
 *
 * @return whether some are in use by a callback that has led here: they are in
 *         reg->deferred, for vhost_connection_end_deferred()
 */
bool vhost_connection_end_all(struct registration *reg);

/** End what was deferred.  Event thread only, when no callback runs. */
void vhost_connection_end_deferred(struct registration *reg);

/**
 * Close all connections of devices that a question is answered with yes for, and log
 * the reason.  Event thread only.
 *
 * @param is_lost  of a device that does not change meanwhile
 */
void vhost_connection_end_lost(bool (*is_lost)(const struct vhost_device *dev),
		const char *reason);

#endif /* VHOST_SOCKET_CONNECTION_H */
