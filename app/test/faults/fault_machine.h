/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef FAULT_MACHINE_H
#define FAULT_MACHINE_H

/*
 * A machine with a second node that is a name only: the guest's memory is said to be
 * there, and so is what the library takes there.  All of the library's own calls are
 * made, on the real node; see vhost_test_topology.h for one that makes none.
 */

#include <stdbool.h>

/** Put it in place of the kernel's; the guest is at home. */
void fault_machine_begin(void);
void fault_machine_end(void);

int fault_machine_home(void);
int fault_machine_there(void);

/** Let the guest's memory be on a node. */
void fault_machine_guest_on(int node);

/** Blocks that were not given back. */
unsigned int fault_machine_blocks(void);

#endif /* FAULT_MACHINE_H */
