/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_BACKEND_H
#define PERF_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

/**
 * The path of a server socket, registered with these flags, for the n-th guest of a cell;
 * registered at the first call.  NULL if the library refuses.
 */
const char *backend_socket(uint64_t flags, unsigned int guest);

/** Wait for new_device() and return its vid, or -1 after a few seconds. */
int backend_wait_ready(void);

/** Wait for destroy_device() of all devices, false after a few seconds. */
bool backend_wait_gone(void);

/** Unregister all sockets and remove their directory. */
void backend_close(void);

/** The file that the rte_vhost_* calls end in. */
const char *backend_library(void);

#endif /* PERF_BACKEND_H */
