/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef ECHO_H
#define ECHO_H

#include <stdint.h>

/**
 * Make a frame its own answer, as far as there is one: who is asked for by ARP is here, and
 * pings of IPv4 come back.  Any other frame is dropped.
 *
 * @return the length of the answer, or 0
 */
uint32_t echo_turn(uint8_t *frame, uint32_t len);

#endif /* ECHO_H */
