/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef COUNTERS_H
#define COUNTERS_H

/*
 * Every packet is accounted for:
 *
 *	received + flood_copies + gso_segments - gro_merged == sent + dropped
 *
 * whenever no lcore is in the middle of a burst.  Counters have one writer, an
 * lcore, and are summed up by whoever reads.
 */

#include <stdint.h>

#include "vport.h"

/** Why a packet goes nowhere; the names are in counters.c. */
enum drop_reason {
	/* counted where the packet was to go */
	DROP_RING_FULL,		/**< the guest does not empty its ring */
	DROP_TOO_BIG,		/**< no buffer of the ring, or no frame of the port, takes it */
	DROP_GUEST_GONE,	/**< the guest has no ring that is enabled */
	DROP_PORT_FULL,		/**< the NIC does not empty its ring */
	DROP_NO_MBUF,		/**< no buffer to complete an offload in */
	/* counted where the packet came from */
	DROP_SAME_PORT,		/**< its destination is where it came from */
	DROP_NO_DESTINATION,	/**< there is nobody to send or flood it to */
	DROP_VM2VM_OFF,		/**< guest to guest, which --vm2vm forbids */
	DROP_MALFORMED,		/**< no Ethernet header, or offloads that fit no packet */
	DROP_REASONS
};

extern const char * const drop_names[DROP_REASONS];

/** What one lcore has done for one guest or port. */
struct vport_counters {
	uint64_t rx_packets, rx_bytes;	/**< from the guest or port */
	uint64_t tx_packets, tx_bytes;	/**< to it */
	uint64_t crossed;	/**< of tx_packets, those that came from another node's mbufs */
	uint64_t drops[DROP_REASONS];
	uint64_t queue_drops[VPORT_MAX_TXQ];	/**< of drops, those at a guest's rings, by queue pair */
};

/** What one lcore has done that belongs to no guest or port. */
struct work_counters {
	uint64_t flood_copies;	/**< packets more by sending one to several */
	uint64_t gso_segments;	/**< packets more by segmentation */
	uint64_t gro_merged;	/**< packets fewer by merging */
	uint64_t busy_cycles;	/**< spent on bursts that were not empty */
};

/** All of the switch. */
struct switch_totals {
	struct vport_counters vports;
	struct work_counters work;
	uint64_t dropped;
	int64_t balance;	/**< 0 if the equation above holds */
};

/** One lcore's counts of a guest or port added to a sum. */
void counters_add(struct vport_counters *sum, const struct vport_counters *more);

/** The same for the other counts. */
void counters_add_work(struct work_counters *sum, const struct work_counters *more);

/** Drops for all reasons. */
uint64_t counters_dropped(const struct vport_counters *counters);

#endif /* COUNTERS_H */
