/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Public functions of placement, see rte_vhost_numa.h: check the arguments, one
 * call inward.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "rte_vhost_numa.h"

#include "device.h"
#include "mem_node.h"
#include "numa_evidence.h"
#include "numa_watch.h"
#include "socket.h"
#include "vhost_log.h"

static_assert((int)RTE_VHOST_NUMA_EVIDENCE_NONE == (int)PLACEMENT_NONE &&
	(int)RTE_VHOST_NUMA_EVIDENCE_POLICY == (int)PLACEMENT_POLICY &&
	(int)RTE_VHOST_NUMA_EVIDENCE_PAGES == (int)PLACEMENT_PAGES &&
	(int)RTE_VHOST_NUMA_EVIDENCE_REFUSED == (int)PLACEMENT_REFUSED, "the same evidence");
static_assert(RTE_VHOST_NUMA_MAX_NODES == PLACEMENT_MAX_NODES, "the same nodes");
/* NOLINTNEXTLINE(misc-redundant-expression): that they are equal is what is asserted */
static_assert(RTE_VHOST_NUMA_NONE == VHOST_NODE_ANY, "the same nothing");

int
rte_vhost_numa_queue_node(int vid, uint16_t queue_id)
{
	struct vhost_device *dev = vhost_device_get(vid);
	const struct vhost_queue *q;
	int node;

	if (dev == NULL)
		return -ENODEV;
	q = vhost_device_queue(dev, queue_id);
	if (q == NULL)
		return -EINVAL;
	node = __atomic_load_n(&q->numa.node, __ATOMIC_RELAXED);
	return node >= 0 ? node : -ENODATA;
}

/* The report */

/** What comes in one piece of memory. */
struct report_block {
	struct rte_vhost_numa_report head;
	struct rte_vhost_numa_region regions[VHOST_MAX_REGIONS];
	struct rte_vhost_numa_queue queues[];
};

static void
fill_region(const struct placement_region *seen, struct rte_vhost_numa_region *region)
{
	region->guest_phys_addr = seen->gpa;
	region->size = seen->size;
	region->page_size = seen->page_size;
	region->evidence = (enum rte_vhost_numa_evidence)seen->evidence;
	region->pages_asked = seen->asked;
	region->pages_known = seen->known;
	memcpy(region->bytes, seen->bytes, sizeof(region->bytes));
}

/** View lock held. */
static uint64_t
replica_nodes(const struct vhost_device *dev)
{
	uint64_t nodes = 0;
	unsigned int i;

	for (i = 0; i < dev->running.nreplicas; i++)
		nodes |= placement_node_bit(dev->running.replicas[i]->node);
	return nodes;
}

/** View lock held. */
static void
fill_report(const struct vhost_device *dev, uint32_t nvrings, struct report_block *block)
{
	struct rte_vhost_numa_report *r = &block->head;
	uint32_t i;

	r->node = dev->running.node;
	r->app_node = dev->told.app_node;
	r->policy = dev->driver.numa;
	r->moves = dev->running.moves;
	r->refusals = dev->running.refusals;
	r->restarts = dev->told.restarts;
	r->refused_nodes = dev->running.refused_nodes;
	r->replica_nodes = replica_nodes(dev);
	r->nr_queues = nvrings;
	r->queues = block->queues;
	r->regions = block->regions;
	for (i = 0; i < nvrings; i++)
		block->queues[i] = vhost_device_queue_at(dev, i)->numa;
}

/** What is known of the guest's memory: 0 or -ENOMEM. */
static int
fill_evidence(struct vhost_device *dev, struct report_block *block)
{
	struct evidence_summary *summary = malloc(sizeof(*summary));
	uint32_t i;

	if (summary == NULL)
		return -ENOMEM;
	vhost_evidence_summary(dev->evidence, summary);
	block->head.drifts = summary->counters.node_changes;
	block->head.probes = summary->counters.probes;
	block->head.nr_regions = summary->nregions;
	for (i = 0; i < summary->nregions; i++)
		fill_region(&summary->regions[i], &block->regions[i]);
	free(summary);
	return 0;
}

int
rte_vhost_numa_report(int vid, struct rte_vhost_numa_report **report)
{
	struct vhost_device *dev = vhost_device_get(vid);
	struct report_block *block;
	uint32_t nvrings;

	if (dev == NULL)
		return -ENODEV;
	if (report == NULL)
		return -EINVAL;
	/* D1 pairs with D2 */
	nvrings = __atomic_load_n(&dev->nvrings, __ATOMIC_ACQUIRE);
	block = calloc(1, sizeof(*block) + nvrings * sizeof(block->queues[0]));
	if (block == NULL || fill_evidence(dev, block) < 0) {
		free(block);
		return -ENOMEM;
	}
	rte_spinlock_lock(&dev->view_lock);
	fill_report(dev, RTE_MIN(nvrings, __atomic_load_n(&dev->nvrings, __ATOMIC_RELAXED)), block);
	rte_spinlock_unlock(&dev->view_lock);
	*report = &block->head;
	return 0;
}

int
rte_vhost_numa_refresh(int vid)
{
	struct vhost_device *dev = vhost_device_get(vid);

	return dev != NULL ? vhost_numa_watch_refresh(dev) : -ENODEV;
}

/* Settings of a socket and of its devices */

/** Edit the registration, and then the copy that each of its devices has. */
static int
edit(const char *path, int (*fn)(struct vhost_driver *driver, void *arg), void *arg,
		bool refresh)
{
	int ret = vhost_socket_edit(path, fn, arg), vid;

	for (vid = 0; ret == 0 && vid < VHOST_MAX_DEVICES; vid++) {
		struct vhost_device *dev = vhost_device_peek(vid);

		if (dev != NULL && vhost_device_edit(dev, path, fn, arg) && refresh)
			vhost_numa_watch_refresh(dev);
	}
	if (ret == -ENOENT)
		VHOST_LOG_CONFIG(ERR, "(%s) no such socket is registered\n", path);
	return ret;
}

static bool
is_valid(const struct rte_vhost_numa_policy *policy)
{
	switch (policy->mode) {
	case RTE_VHOST_NUMA_FOLLOW:
	case RTE_VHOST_NUMA_OFF:
		break;
	case RTE_VHOST_NUMA_PIN:
		if (placement_node_bit(policy->node) == 0)
			return false;
		break;
	default:
		return false;
	}
	return (policy->flags & ~RTE_VHOST_NUMA_F_RESTART) == 0;
}

static int
set_policy(struct vhost_driver *driver, void *arg)
{
	driver->numa = *(const struct rte_vhost_numa_policy *)arg;
	return 0;
}

int
rte_vhost_numa_policy_set(const char *path, const struct rte_vhost_numa_policy *policy)
{
	struct rte_vhost_numa_policy copy;

	if (path == NULL || policy == NULL || !is_valid(policy))
		return -EINVAL;
	if (policy->mode == RTE_VHOST_NUMA_PIN && vhost_node_exists(policy->node) < 0)
		return -ENODEV;
	copy = *policy;
	if (copy.mode != RTE_VHOST_NUMA_PIN)
		copy.node = RTE_VHOST_NUMA_NONE;
	return edit(path, set_policy, &copy, true);
}

static int
get_policy(struct vhost_driver *driver, void *arg)
{
	*(struct rte_vhost_numa_policy *)arg = driver->numa;
	return 0;
}

int
rte_vhost_numa_policy_get(const char *path, struct rte_vhost_numa_policy *policy)
{
	if (path == NULL || policy == NULL)
		return -EINVAL;
	return vhost_socket_edit(path, get_policy, policy);
}

struct callback {
	rte_vhost_numa_changed_t changed;
	void *arg;
};

static int
set_callback(struct vhost_driver *driver, void *arg)
{
	const struct callback *callback = arg;

	driver->numa_changed = callback->changed;
	driver->numa_arg = callback->arg;
	return 0;
}

int
rte_vhost_numa_callback_register(const char *path, rte_vhost_numa_changed_t changed, void *arg)
{
	struct callback callback = { .changed = changed, .arg = arg };

	return path != NULL ? edit(path, set_callback, &callback, false) : -EINVAL;
}
