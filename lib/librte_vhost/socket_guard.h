/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_SOCKET_GUARD_H
#define VHOST_SOCKET_GUARD_H

/**
 * Close connections whose guest memory is truncated, from now on; called again it does
 * nothing.  The registry's lock is held.
 *
 * @return 0 or a negative errno: nobody would notice
 */
int vhost_socket_guard_start(void);

#endif /* VHOST_SOCKET_GUARD_H */
