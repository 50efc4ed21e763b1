/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef START_H
#define START_H

/** Start EAL with what is always right here in front of the user's options: as rte_eal_init(). */
int start_eal(int argc, char **argv);

/** Say which library was loaded: a surprise would compare apples with apples. */
void say_library(void);

#endif /* START_H */
