/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <string.h>

#include "mem_node.h"
#include "numa_evidence.h"
#include "vhost_trace.h"

/** Keep what a look at the guest's memory found; decides: placement rests on it. */
static void
note_census(struct vhost_device *dev, const struct placement_census *census, bool decides)
{
	uint32_t i;

	for (i = 0; i < census->nregions; i++) {
		const struct placement_region *r = &census->regions[i];

		vhost_trace_numa_probe(dev->vid, i, r->evidence, r->asked, r->known,
			vhost_placement_region_node(r));
	}
	rte_spinlock_lock(&dev->view_lock);
	dev->evidence.seen = *census;
	if (decides) {
		dev->evidence.census = *census;
		dev->evidence.seen_node = VHOST_NODE_ANY;
	}
	dev->evidence.probes++;
	rte_spinlock_unlock(&dev->view_lock);
}

void
vhost_numa_take_census(struct vhost_device *dev)
{
	struct placement_census census;

	vhost_placement_recount(dev->wish.map, dev->running.map, &dev->evidence.census, &census);
	note_census(dev, &census, true);
}

/** Look at the guest's memory again: whether the device belongs on another node. */
static bool
look_at_memory(struct vhost_device *dev)
{
	int tie = dev->nvrings > 0 && vhost_device_queue_at(dev, 0)->live ? vhost_device_queue_at(dev, 0)->placed.node :
		dev->running.node;
	int before = vhost_placement_device_node(&dev->evidence.census, tie), now;
	struct placement_census census;

	vhost_placement_census(dev->wish.map, &census);
	now = vhost_placement_device_node(&census, tie);
	if (now == VHOST_NODE_ANY || now == before) {
		note_census(dev, &census, now != VHOST_NODE_ANY);
		return false;
	}
	if (before != VHOST_NODE_ANY && dev->evidence.seen_node != now) {
		note_census(dev, &census, false);
		dev->evidence.seen_node = now;
		return false;
	}
	note_census(dev, &census, true);
	if (before != VHOST_NODE_ANY)
		vhost_device_count(dev, &dev->evidence.drifts);
	return true;
}

/** Look at the rings again: whether a queue belongs on another node. */
static bool
look_at_rings(struct vhost_device *dev)
{
	bool moved = false;
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++) {
		struct vhost_queue *q = vhost_device_queue_at(dev, i);
		uint64_t drifts = q->drifts;

		moved |= vhost_queue_look(q, dev->wish.features, dev->wish.map);
		if (q->drifts != drifts)
			vhost_device_count(dev, &dev->evidence.drifts);
	}
	return moved;
}

bool
vhost_numa_look(struct vhost_device *dev)
{
	bool moved = look_at_memory(dev);

	return look_at_rings(dev) || moved;
}

void
vhost_numa_forget(struct vhost_device *dev)
{
	uint32_t i;

	dev->evidence.census.generation = 0;
	for (i = 0; i < dev->nvrings; i++)
		vhost_device_queue_at(dev, i)->placed.node = VHOST_NODE_ANY;
}

bool
vhost_numa_is_undecided(const struct vhost_device *dev)
{
	uint32_t i;

	if (dev->driver.numa.mode != RTE_VHOST_NUMA_FOLLOW || dev->wish.map == NULL ||
			vhost_placement_is_refused(&dev->evidence.census))
		return false;
	if (!vhost_placement_is_known(&dev->evidence.census))
		return true;
	for (i = 0; i < dev->nvrings; i++)
		if (vhost_device_queue_at(dev, i)->live && vhost_device_queue_at(dev, i)->placed.node == VHOST_NODE_ANY)
			return true;
	return false;
}

void
vhost_numa_evidence_init(struct vhost_device *dev)
{
	memset(&dev->evidence, 0, sizeof(dev->evidence));
	dev->evidence.seen_node = VHOST_NODE_ANY;
}
