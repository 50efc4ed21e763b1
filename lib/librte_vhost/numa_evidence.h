/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NUMA_EVIDENCE_H
#define VHOST_NUMA_EVIDENCE_H

/*
 * All that is known of where one guest's memory is: of each region, of each ring, when
 * it shall be looked at again, and within which budget.  NUMA relocation rests on it.
 *
 * The kernel is asked in four functions: vhost_evidence_gather(), _ring_is(),
 * _check() and _reprobe().  All others are pure: a plan can be made from them as
 * often as messages come.
 *
 * The owner is a device; its control lock is held in every function, but in
 * vhost_evidence_summary() and vhost_evidence_counters().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem_map.h"
#include "numa_rings.h"
#include "placement.h"

struct numa_evidence;

/** What has happened since the beginning, or vhost_evidence_clear(). */
struct evidence_counters {
	uint64_t probes;	/**< times the kernel was asked about regions */
	uint64_t node_changes;	/**< times the guest, or a ring, was found on another node */
};

/** What is known, for reports. */
struct evidence_summary {
	struct evidence_counters counters;
	uint32_t nregions;
	struct placement_region regions[VHOST_MAX_REGIONS];
};

/**
 * Evidence that knows nothing yet, for a device that is used again and again.
 *
 * @param vid  for trace points
 * @return to be destroyed by the caller; NULL without memory
 */
struct numa_evidence *vhost_evidence_create(int vid);
void vhost_evidence_destroy(struct numa_evidence *ev);

/** The device goes: drop the map, forget everything, counters too. */
void vhost_evidence_clear(struct numa_evidence *ev);

/**
 * The guest has another memory map, or (NULL) none: a reference is taken.  What is
 * known of regions that both have is kept.  Asks nothing; what was open for regions
 * that are gone is closed.
 */
void vhost_evidence_set_map(struct numa_evidence *ev, struct mem_map *map);

/**
 * Ask about the regions that were never asked about, as far as the budget of one
 * call goes; what was found counts at once.  No system call if there is none.
 */
void vhost_evidence_gather(struct numa_evidence *ev);

/**
 * The ring of a queue runs, or starts, here.  If it is another one than before, its
 * pages are asked for at once; else this costs nothing.
 */
void vhost_evidence_ring_is(struct numa_evidence *ev, uint32_t index,
		const struct evidence_ring *ring);

/** The queue has no ring any more.  Index need not be known. */
void vhost_evidence_ring_gone(struct numa_evidence *ev, uint32_t index);

/**
 * Ask about everything again; what was found counts at once.  What turns out to be
 * unknown now keeps the node that it had.
 */
void vhost_evidence_reprobe(struct numa_evidence *ev);

/**
 * The regular check, when its time has come: a few questions about pages that are
 * known, deeper only where they contradict, within a budget.  What was known and is
 * found on another node counts when the next check finds the same.
 *
 * @param here  the device's node, as for vhost_evidence_device_node()
 * @return true if the device or a queue belongs on another node than before
 */
bool vhost_evidence_check(struct numa_evidence *ev, int here);

/**
 * The node that holds most of the guest's memory; VHOST_NODE_ANY when nothing is
 * known.
 *
 * @param here  where the device is: decides between equals if ring 0 does not
 */
int vhost_evidence_device_node(const struct numa_evidence *ev, int here);

/** The node of a ring; VHOST_NODE_ANY when it is not known, or there is no ring. */
int vhost_evidence_ring_node(const struct numa_evidence *ev, uint32_t index);

/** Times a ring was found on another node. */
uint64_t vhost_evidence_ring_changes(const struct numa_evidence *ev, uint32_t index);

/** Whether it is known of any memory where it is, or will be. */
bool vhost_evidence_is_known(const struct numa_evidence *ev);

/** Whether the kernel does not tell nodes (EPERM, ENOSYS). */
bool vhost_evidence_is_refused(const struct numa_evidence *ev);

/** Whether there is something of which nothing is known, and asking again may help. */
bool vhost_evidence_is_undecided(const struct numa_evidence *ev);

/**
 * Milliseconds until the next check: 1000, 2000, 4000 and so on while something is
 * undecided, but at most the interval; the interval if all is known.
 *
 * @param interval_ms  between regular checks; 0 (none) is returned as it is
 */
uint64_t vhost_evidence_pause_ms(const struct numa_evidence *ev, uint64_t interval_ms);

/** Copy what is known of the regions.  Any thread. */
void vhost_evidence_summary(struct numa_evidence *ev, struct evidence_summary *summary);

/** Copy the counters.  Any thread. */
void vhost_evidence_counters(const struct numa_evidence *ev, struct evidence_counters *counters);

#endif /* VHOST_NUMA_EVIDENCE_H */
