/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_SOCKET_SERVER_H
#define VHOST_SOCKET_SERVER_H

#include "socket_registry.h"

/** Bind, and accept connections from now on: 0 or a negative errno, logged.  Lock held. */
int vhost_server_start(struct registration *reg);

/** Accept no more: of a registration that was removed.  Waits for the listener's handler. */
void vhost_server_stop(struct registration *reg);

#endif /* VHOST_SOCKET_SERVER_H */
