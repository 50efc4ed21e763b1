/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * What is asked costs time of the thread that serves everybody, and a frontend can
 * send as many messages, and describe as many regions, as it likes.  So
 * - each region is asked about once when it comes (numa_regions.c);
 * - a ring is asked about once when it starts (numa_rings.c);
 * - everything else is the business of the regular check, which has a clock of its
 *   own (vhost_evidence_pause_ms()) that no message can put forward, and a budget.
 *
 * Two equal readings.  Each region has a reading that decides and the latest one.
 * What a check finds decides at once if nothing was known before.  Else the node by
 * the latest readings has to be the same in two checks in a row, so that pages in
 * motion and samples close to a tie do not send queues back and forth.  The same
 * holds for each ring.  A reading that knows nothing replaces none: nothing known,
 * stay.
 *
 * The kernel may refuse.  That is remembered, and tried again at each check.
 */

#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "mem_node.h"
#include "numa_evidence.h"
#include "numa_regions.h"

/** The first pause while something is undecided. */
#define FIRST_PAUSE_MS UINT64_C(1000)

/** More than ever is of use. */
#define PAUSE_DOUBLINGS_MAX 20u

struct numa_evidence {
	struct numa_regions regions;
	struct numa_rings rings;
	int candidate;		/**< the device's node by the last check, if it was another one */
	unsigned int checks;	/**< in a row that left something undecided */
	struct evidence_counters counters;	/**< each is atomic */
};

struct numa_evidence *
vhost_evidence_create(int vid)
{
	struct numa_evidence *ev = calloc(1, sizeof(*ev));

	if (ev == NULL)
		return NULL;
	ev->candidate = VHOST_NODE_ANY;
	vhost_numa_regions_init(&ev->regions, vid);
	return ev;
}

void
vhost_evidence_destroy(struct numa_evidence *ev)
{
	if (ev == NULL)
		return;
	vhost_evidence_clear(ev);
	vhost_numa_regions_fini(&ev->regions);
	free(ev);
}

void
vhost_evidence_clear(struct numa_evidence *ev)
{
	vhost_evidence_set_map(ev, NULL);
	vhost_numa_rings_clear(&ev->rings);
	ev->regions.refused = false;
	ev->checks = 0;
	__atomic_store_n(&ev->counters.probes, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&ev->counters.node_changes, 0, __ATOMIC_RELAXED);
}

void
vhost_evidence_set_map(struct numa_evidence *ev, struct mem_map *map)
{
	if (map == ev->regions.map)
		return;
	vhost_numa_regions_set_map(&ev->regions, map);
	ev->candidate = VHOST_NODE_ANY;
	if (ev->regions.unasked > 0)
		ev->checks = 0;
}

void
vhost_evidence_ring_is(struct numa_evidence *ev, uint32_t index, const struct evidence_ring *ring)
{
	if (vhost_numa_rings_set(&ev->rings, &ev->regions, index, ring))
		ev->checks = 0;
}

void
vhost_evidence_ring_gone(struct numa_evidence *ev, uint32_t index)
{
	vhost_numa_rings_unset(&ev->rings, index);
}

/* What follows from it */

bool
vhost_evidence_is_known(const struct numa_evidence *ev)
{
	return vhost_numa_regions_is_known(&ev->regions);
}

bool
vhost_evidence_is_refused(const struct numa_evidence *ev)
{
	return ev->regions.refused;
}

bool
vhost_evidence_is_undecided(const struct numa_evidence *ev)
{
	if (ev->regions.map == NULL || ev->regions.refused)
		return false;
	return ev->regions.unasked > 0 || !vhost_evidence_is_known(ev) ||
		!vhost_numa_rings_are_known(&ev->rings);
}

uint64_t
vhost_evidence_pause_ms(const struct numa_evidence *ev, uint64_t interval_ms)
{
	if (!vhost_evidence_is_undecided(ev))
		return interval_ms;
	return RTE_MIN(FIRST_PAUSE_MS << RTE_MIN(ev->checks, PAUSE_DOUBLINGS_MAX), interval_ms);
}

int
vhost_evidence_ring_node(const struct numa_evidence *ev, uint32_t index)
{
	return vhost_numa_rings_node(&ev->rings, index);
}

uint64_t
vhost_evidence_ring_changes(const struct numa_evidence *ev, uint32_t index)
{
	return vhost_numa_rings_changes(&ev->rings, index);
}

/** Who decides between equals. */
static int
tie_node(const struct numa_evidence *ev, int here)
{
	int node = vhost_evidence_ring_node(ev, 0);

	return node != VHOST_NODE_ANY ? node : here;
}

int
vhost_evidence_device_node(const struct numa_evidence *ev, int here)
{
	return vhost_numa_regions_node(&ev->regions, tie_node(ev, here));
}

/* Asking */

static void
count(uint64_t *counter, unsigned int n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

void
vhost_evidence_gather(struct numa_evidence *ev)
{
	if (vhost_numa_regions_ask_new(&ev->regions))
		count(&ev->counters.probes, 1);
}

/** Where the device belongs by what was found last: whether that is news. */
static bool
weigh(struct numa_evidence *ev, int here)
{
	int tie = tie_node(ev, here);
	int before = vhost_numa_regions_node(&ev->regions, tie);
	int now = vhost_numa_regions_latest_node(&ev->regions, tie);
	bool changed = now != before && before != VHOST_NODE_ANY;

	if (changed && now != ev->candidate) {
		ev->candidate = now;
		return false;
	}
	ev->candidate = VHOST_NODE_ANY;
	vhost_numa_regions_accept(&ev->regions);
	count(&ev->counters.node_changes, changed);
	return now != before;
}

bool
vhost_evidence_check(struct numa_evidence *ev, int here)
{
	unsigned int changes;
	bool moved = false;

	if (ev->regions.map == NULL)
		return false;
	vhost_numa_regions_check(&ev->regions);
	count(&ev->counters.probes, 1);
	if (!ev->regions.refused) {
		moved = weigh(ev, here);
		moved |= vhost_numa_rings_check(&ev->rings, &ev->regions, &changes);
		count(&ev->counters.node_changes, changes);
	}
	ev->checks = vhost_evidence_is_undecided(ev) ? ev->checks + 1 : 0;
	return moved;
}

void
vhost_evidence_reprobe(struct numa_evidence *ev)
{
	if (ev->regions.map == NULL)
		return;
	vhost_numa_regions_ask_all(&ev->regions);
	vhost_numa_rings_ask_all(&ev->rings, &ev->regions);
	vhost_numa_regions_accept(&ev->regions);
	count(&ev->counters.probes, 1);
	ev->candidate = VHOST_NODE_ANY;
	ev->checks = 0;
}

/* Reports */

void
vhost_evidence_summary(struct numa_evidence *ev, struct evidence_summary *summary)
{
	vhost_evidence_counters(ev, &summary->counters);
	summary->nregions = vhost_numa_regions_report(&ev->regions, summary->regions);
}

void
vhost_evidence_counters(const struct numa_evidence *ev, struct evidence_counters *counters)
{
	counters->probes = __atomic_load_n(&ev->counters.probes, __ATOMIC_RELAXED);
	counters->node_changes = __atomic_load_n(&ev->counters.node_changes, __ATOMIC_RELAXED);
}
