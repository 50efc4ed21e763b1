/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef ORDERS_H
#define ORDERS_H

/*
 * What users can tell the switch while it runs, at the prompt and over telemetry.  Any
 * thread, without the control lock.
 */

#include <stdbool.h>

/** Assign all queues anew. */
void order_rebalance(void);

/**
 * Have a queue polled on an lcore.
 *
 * @param lcore  a number, or "none" for whichever suits
 * @return NULL, or why not
 */
const char *order_affinity(const char *name, unsigned long queue, const char *lcore);

/**
 * Let the guests of a socket go, and listen or connect there anew.
 *
 * @return NULL, or why not
 */
const char *order_socket_restart(const char *path);

/** Forget all addresses. */
void order_flush(void);

/** End the program, as a signal does. */
void order_quit(void);

#endif /* ORDERS_H */
