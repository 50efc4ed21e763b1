/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PORTS_H
#define PORTS_H

/*
 * ethdev ports: NICs, and virtual devices such as net_tap.
 *
 * A NIC with VMDq is used so that it sorts packets by guest: each guest's addresses
 * lead to a pool, that is a receive queue, of its own, which is polled on the guest's
 * node.
 */

#include "vport.h"

/** Configure and start all ports of the port mask: 0 or a negative errno. */
int ports_start(void);

/** Stop and close them.  No lcore may use them any more.  Control lock held. */
void ports_stop(void);

/** Make the ports receive what is for guests that were learned of lately.  Control lock held. */
void ports_update(void);

#endif /* PORTS_H */
