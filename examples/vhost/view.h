/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VIEW_H
#define VIEW_H

/*
 * What users see: tables for people; telemetry.c has the same for programs.
 */

#include <stdio.h>

#include "topology.h"
#include "vport.h"

/** The nodes of the three kinds of memory that a guest is made of. */
struct guest_memory {
	int structures;		/**< of the vhost library, as it says itself */
	int mbufs;		/**< that its packets are received into, as the kernel says */
	struct page_census guest;	/**< its own, as the kernel says */
};

/** Look where a guest's memory is.  Control lock held. */
void view_guest_memory(const struct vport *vport, struct guest_memory *memory);

/** The node of an lcore that polls, or NODE_ANY. */
int view_lcore_node(uint32_t lcore);

/** Percent of an lcore's time that a queue takes. */
unsigned int view_usage(const struct vport_rxq *rxq);

/** Which queue is polled where, as Open vSwitch prints it; and each guest's memory. */
void view_print_rxqs(FILE *out);

/** Packets per second since the last call, @p seconds ago, of guests, ports and lcores. */
void view_print_rates(FILE *out, unsigned int seconds);

/** All packets of the switch, and where those are that were not sent. */
void view_print_totals(FILE *out);

/** What each guest and port has sent and received. */
void view_print_counters(FILE *out);

/** Which address is where. */
void view_print_macs(FILE *out);

#endif /* VIEW_H */
