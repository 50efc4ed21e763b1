/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>

#include "device.h"
#include "mem_node.h"
#include "numa_evidence.h"
#include "numa_tell.h"
#include "placement.h"
#include "vhost_log.h"

#define MIB (UINT64_C(1) << 20)

/** A part of a line; what does not fit is left out. */
struct phrase {
	char text[320];
	size_t len;
};

__rte_format_printf(2, 3)
static void
say(struct phrase *phrase, const char *format, ...)
{
	size_t room = sizeof(phrase->text) - phrase->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(phrase->text + phrase->len, room, format, args);
	va_end(args);
	phrase->len += RTE_MIN((size_t)RTE_MAX(n, 0), room - 1);
}

static void
say_node(struct phrase *phrase, int node)
{
	if (node == VHOST_NODE_ANY)
		say(phrase, "on a node that is not known");
	else
		say(phrase, "on node %d", node);
}

/* The guest's memory */

/** What is known of all regions together. */
struct sum {
	uint64_t bytes[PLACEMENT_MAX_NODES];
	uint64_t total;
	uint32_t asked, known;
	enum placement_evidence best;
};

static void
add_region(struct sum *sum, const struct placement_region *region)
{
	static const int ranks[] = {
		[PLACEMENT_NONE] = 0, [PLACEMENT_REFUSED] = 1, [PLACEMENT_POLICY] = 2,
		[PLACEMENT_PAGES] = 3,
	};
	int node;

	for (node = 0; node < PLACEMENT_MAX_NODES; node++)
		sum->bytes[node] += region->bytes[node];
	sum->total += region->size;
	sum->asked += region->asked;
	sum->known += region->known;
	if (ranks[region->evidence] > ranks[sum->best])
		sum->best = region->evidence;
}

static void
say_nodes_of(struct phrase *phrase, const struct sum *sum)
{
	const char *between = "";
	int node;

	for (node = 0; node < PLACEMENT_MAX_NODES; node++) {
		if (sum->bytes[node] == 0)
			continue;
		say(phrase, "%s%" PRIu64 " MiB on node %d", between, sum->bytes[node] / MIB, node);
		between = ", ";
	}
}

static void
say_sum(struct phrase *phrase, const struct sum *sum)
{
	switch (sum->best) {
	case PLACEMENT_PAGES:
		say(phrase, "guest memory ");
		say_nodes_of(phrase, sum);
		say(phrase, " (by %u of %u pages asked for)", sum->known, sum->asked);
		break;
	case PLACEMENT_POLICY:
		say(phrase, "guest memory ");
		say_nodes_of(phrase, sum);
		say(phrase, " (by its memory policy: no page is there)");
		break;
	case PLACEMENT_REFUSED:
		say(phrase, "guest memory unknown (the kernel does not tell)");
		break;
	case PLACEMENT_NONE:
		say(phrase, "guest memory unknown (no page is there, no policy names a node)");
		break;
	}
}

static void
say_memory(struct phrase *phrase, struct vhost_device *dev)
{
	struct evidence_summary *summary;
	struct sum sum = { 0 };
	uint32_t i;

	if (dev->driver.numa.mode == RTE_VHOST_NUMA_OFF) {
		say(phrase, "guest memory not looked at (policy off)");
		return;
	}
	summary = malloc(sizeof(*summary));
	if (summary == NULL)
		return;
	vhost_evidence_summary(dev->evidence, summary);
	for (i = 0; i < summary->nregions; i++)
		add_region(&sum, &summary->regions[i]);
	free(summary);
	say_sum(phrase, &sum);
}

/* Device and queues */

/** Queues that follow one another on one node are told together. */
static void
say_queues(struct phrase *phrase, const struct vhost_device *dev)
{
	uint32_t first, last;

	for (first = 0; first < dev->nvrings; first = last + 1) {
		int node = vhost_device_queue_at(dev, first)->numa.node;

		last = first;
		while (last + 1 < dev->nvrings &&
				vhost_device_queue_at(dev, last + 1)->numa.node == node)
			last++;
		if (first == last)
			say(phrase, ", queue %u ", first);
		else
			say(phrase, ", queues %u-%u ", first, last);
		say_node(phrase, node);
	}
}

static void
say_policy(struct phrase *phrase, const struct vhost_device *dev)
{
	if (dev->driver.numa.mode == RTE_VHOST_NUMA_PIN)
		say(phrase, "; policy pin to node %d", dev->driver.numa.node);
	else
		say(phrase, "; policy %s", dev->driver.numa.mode == RTE_VHOST_NUMA_OFF ? "off" :
			"follow");
}

static void
say_refusals(struct phrase *phrase, const struct vhost_device *dev)
{
	int node;

	if (dev->running.refused_nodes == 0) {
		say(phrase, "; nothing is refused");
		return;
	}
	for (node = 0; node < PLACEMENT_MAX_NODES; node++)
		if (dev->running.refused_nodes & placement_node_bit(node))
			say(phrase, "; node %d has no memory for it", node);
}

static void
say_placement(struct phrase *phrase, struct vhost_device *dev)
{
	say_memory(phrase, dev);
	say(phrase, "; device ");
	say_node(phrase, dev->running.node);
	say_queues(phrase, dev);
	say_policy(phrase, dev);
	say_refusals(phrase, dev);
}

/** How much there is to say. */
static enum numa_said
sayable(const struct vhost_device *dev)
{
	if (!dev->told.running)
		return NUMA_SAID_NOTHING;
	return dev->driver.numa.mode == RTE_VHOST_NUMA_OFF ||
		vhost_evidence_is_known(dev->evidence) ||
		vhost_evidence_is_refused(dev->evidence) ? NUMA_SAID_ALL : NUMA_SAID_UNKNOWN;
}

/** Where the device belongs, for DEBUG: as a plan decides it. */
static int
wanted_node(const struct vhost_device *dev)
{
	switch (dev->driver.numa.mode) {
	case RTE_VHOST_NUMA_OFF:
		return dev->running.node;
	case RTE_VHOST_NUMA_PIN:
		return dev->driver.numa.node;
	default:
		return vhost_evidence_device_node(dev->evidence, dev->running.node);
	}
}

static void
tell_decision(struct vhost_device *dev, const char *why)
{
	struct phrase phrase = { .len = 0 };
	int wanted = wanted_node(dev);

	if (!rte_log_can_log(vhost_config_log_level, RTE_LOG_DEBUG))
		return;
	if (wanted == VHOST_NODE_ANY)
		say(&phrase, "no node is better than another, it stays: ");
	else if (wanted == dev->running.node)
		say(&phrase, "it belongs on node %d, where it is: ", wanted);
	else
		say(&phrase, "it belongs on node %d, but is not there: ", wanted);
	say_placement(&phrase, dev);
	VHOST_LOG_CONFIG(DEBUG, "(%s) %s: %s\n", dev->driver.path, why, phrase.text);
}

void
vhost_numa_tell_settled(struct vhost_device *dev)
{
	const enum numa_said can = sayable(dev);
	struct phrase phrase = { .len = 0 };

	if (can <= dev->told.placement)
		return;
	dev->told.placement = can;
	if (!rte_log_can_log(vhost_config_log_level, RTE_LOG_INFO))
		return;
	say_placement(&phrase, dev);
	VHOST_LOG_CONFIG(INFO, "(%s) placement: %s\n", dev->driver.path, phrase.text);
}

void
vhost_numa_tell_look(struct vhost_device *dev, bool moved)
{
	tell_decision(dev, moved ? "something belongs elsewhere than before" : "looked");
	vhost_numa_tell_settled(dev);
}
