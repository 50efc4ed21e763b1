/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef TELEMETRY_H
#define TELEMETRY_H

/** Answer /vhost_switch/... from now on. */
void telemetry_register(void);

#endif /* TELEMETRY_H */
