/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_SOCKET_H
#define VHOST_SOCKET_H

/*
 * The AF_UNIX sockets that applications registered: listening, connecting,
 * reconnecting; one vhost_device per connection.
 *
 * Every function may be called by any thread, also from an application's
 * callback.
 */

#include <stdint.h>

#include "device.h"

/**
 * Run fn on the registration of path, under the registry's lock: fn looks and
 * edits, and calls nothing that may wait.
 *
 * @return fn's result, or -ENOENT when the path is not registered
 */
int vhost_socket_edit(const char *path, int (*fn)(struct vhost_driver *driver, void *arg),
		void *arg);

/**
 * Add a registration, a copy of driver.
 *
 * @return 0; -EINVAL for an empty path; -ENAMETOOLONG for one that no socket
 *         address holds; -EEXIST; -ENOSPC; -ENOMEM
 */
int vhost_socket_add(const struct vhost_driver *driver);

/**
 * Listen, or connect and keep trying.  Devices are created, and callbacks
 * called, by the event thread only.
 *
 * @return 0; -ENODEV when the path is not registered; -EALREADY when it was
 *         started; another negative errno, logged, when the socket cannot be bound
 *         or, with NO_RECONNECT, nobody listens
 */
int vhost_socket_start(const char *path);

/**
 * Close connections and forget the registration.  The path can be registered
 * again at once.  Devices are stopped by the calling thread, which waits until
 * the event thread has left the registration alone.  From a callback of one of
 * its own connections there is nothing to wait for: that connection ends when
 * the callback has returned.
 *
 * @return 0 or -ENOENT
 */
int vhost_socket_remove(const char *path);

#endif /* VHOST_SOCKET_H */
