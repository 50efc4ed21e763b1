/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_SOCKET_CLIENT_H
#define VHOST_SOCKET_CLIENT_H

#include "socket_registry.h"

/**
 * Connect, and connect again whenever a connection ends, unless the registration says
 * not to.  Lock held.
 *
 * @return 0; a negative errno, logged, if there is nobody and that is not to be tried
 *         again
 */
int vhost_client_start(struct registration *reg);

/** Connect no more: of a registration that was removed.  Waits for the timer's handler. */
void vhost_client_stop(struct registration *reg);

#endif /* VHOST_SOCKET_CLIENT_H */
