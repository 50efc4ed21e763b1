/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Telemetry.  Everything is told by name, from what the public API knows; see
 * doc/guides/prog_guide/vhost_lib.rst for the answers.
 *
 * An answer has room for 256 entries per dictionary and 16 KiB in all, so what
 * there may be 256 of is told as an array, and the rest of it by /vhost/vq.  An
 * array of dictionaries inside a dictionary is silently left out by the telemetry
 * of 22.11: regions are a dictionary by number.
 *
 * What cannot be answered is answered with a dictionary of one entry, "error", which
 * says why.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_string_fns.h>
#include <rte_telemetry.h>
#include <rte_version.h>

#include "rte_vhost.h"
#include "rte_vhost_numa.h"

#include "about.h"
#include "device.h"
#include "dpdk_compat.h"
#include "mem_node.h"
#include "numa_evidence.h"
#include "numa_watch.h"
#include "queue_async.h"
#include "quota.h"
#include "socket.h"

/** Parameters of the longest command. */
#define MAX_WORDS 4

/** Say why there is no answer; what to return from a command.  128 bytes are told. */
__rte_format_printf(2, 3)
static int
refuse(struct rte_tel_data *d, const char *format, ...)
{
	char text[RTE_TEL_MAX_STRING_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "error", text);
	return 0;
}

/* Parameters */

/** A number without anything around it: 0 or -EINVAL. */
static int
parse_number(const char *text, long max, int *number)
{
	char *end;
	long value;

	if (text == NULL || *text < '0' || *text > '9')
		return -EINVAL;
	value = strtol(text, &end, 10);
	if (*end != '\0' || value > max)
		return -EINVAL;
	*number = value;
	return 0;
}

struct words {
	char text[PATH_MAX];
	const char *word[MAX_WORDS];
	unsigned int n;
};

/** Split at commas: 0, or -EINVAL for too many or none. */
static int
parse_words(const char *params, struct words *words)
{
	char *rest = words->text;

	words->n = 0;
	if (params == NULL || rte_strscpy(words->text, params, sizeof(words->text)) < 0)
		return -EINVAL;
	while (rest != NULL && words->n < MAX_WORDS)
		words->word[words->n++] = strsep(&rest, ",");
	return rest == NULL ? 0 : -EINVAL;
}

/** Whether there are parameters, which a command does not take; the answer says so then. */
static bool
has_parameters(const char *params, struct rte_tel_data *d)
{
	if (params == NULL || *params == '\0')
		return false;
	refuse(d, "it takes no parameters");
	return true;
}

/** The device of a number, locked; NULL, and the reason in the answer, if there is none. */
static struct vhost_device *
lock_device(const char *text, struct rte_tel_data *d)
{
	struct vhost_device *dev;
	int vid;

	if (parse_number(text, VHOST_MAX_DEVICES - 1, &vid) < 0) {
		refuse(d, "parameter vid: a number from 0 to %d is needed",
			VHOST_MAX_DEVICES - 1);
		return NULL;
	}
	dev = vhost_device_peek(vid);
	if (dev != NULL) {
		vhost_device_lock(dev);
		if (dev->running.net != NULL)
			return dev;
		vhost_device_unlock(dev);
	}
	refuse(d, "there is no device %d: /vhost/list has all", vid);
	return NULL;
}

/**
 * The socket that a word means, by path or by vid of a device: 0, or -ENODEV and the reason
 * in the answer.
 */
static int
parse_path(const char *word, char *path, size_t size, struct rte_tel_data *d)
{
	struct vhost_device *dev;
	int vid;

	if (*word == '\0') {
		refuse(d, "a vid or the path of a socket is needed");
		return -ENODEV;
	}
	if (parse_number(word, INT32_MAX, &vid) < 0) {
		snprintf(path, size, "%s", word);
		return 0;
	}
	dev = lock_device(word, d);
	if (dev == NULL)
		return -ENODEV;
	snprintf(path, size, "%s", dev->driver.path);
	vhost_device_unlock(dev);
	return 0;
}

/** No socket has this path. */
static int
refuse_path(struct rte_tel_data *d)
{
	return refuse(d, "no socket is registered with that path");
}

/* Pieces of answers */

/** Nodes or other numbers, as an array. */
static void
add_numbers(struct rte_tel_data *d, const char *name, const int *numbers, unsigned int n)
{
	struct rte_tel_data *array = rte_tel_data_alloc();
	unsigned int i;

	if (array == NULL)
		return;
	rte_tel_data_start_array(array, RTE_TEL_INT_VAL);
	for (i = 0; i < n; i++)
		rte_tel_data_add_array_int(array, numbers[i]);
	rte_tel_data_add_dict_container(d, name, array, 0);
}

static void
add_node_mask(struct rte_tel_data *d, const char *name, uint64_t mask)
{
	int nodes[PLACEMENT_MAX_NODES], node;
	unsigned int n = 0;

	for (node = 0; node < PLACEMENT_MAX_NODES; node++)
		if (mask & placement_node_bit(node))
			nodes[n++] = node;
	add_numbers(d, name, nodes, n);
}

static void
add_queue_nodes(struct rte_tel_data *d, const struct rte_vhost_numa_report *report)
{
	int nodes[VHOST_MAX_VRINGS];
	uint32_t i;

	for (i = 0; i < report->nr_queues; i++)
		nodes[i] = report->queues[i].node;
	add_numbers(d, "vring_nodes", nodes, report->nr_queues);
}

static void
add_ring_nodes(struct rte_tel_data *d, const struct rte_vhost_numa_report *report)
{
	int nodes[VHOST_MAX_VRINGS];
	uint32_t i;

	for (i = 0; i < report->nr_queues; i++)
		nodes[i] = report->queues[i].ring_node;
	add_numbers(d, "ring_nodes", nodes, report->nr_queues);
}

static void
add_policy(struct rte_tel_data *d, const struct rte_vhost_numa_policy *policy)
{
	static const char *const modes[] = {
		[RTE_VHOST_NUMA_FOLLOW] = "follow",
		[RTE_VHOST_NUMA_PIN] = "pin",
		[RTE_VHOST_NUMA_OFF] = "off",
	};

	rte_tel_data_add_dict_string(d, "policy", modes[policy->mode]);
	rte_tel_data_add_dict_int(d, "policy_node", policy->mode == RTE_VHOST_NUMA_PIN ?
		policy->node : RTE_VHOST_NUMA_NONE);
	rte_tel_data_add_dict_int(d, "restart_on_drift",
		(policy->flags & RTE_VHOST_NUMA_F_RESTART) != 0);
}

/* Devices and queues */

/** Arrays by their first vid: an array takes RTE_TEL_MAX_ARRAY_ENTRIES and drops the rest. */
static void
add_vids_in_parts(struct rte_tel_data *d, const int *vids, unsigned int n)
{
	unsigned int at, part;
	char name[16];

	rte_tel_data_start_dict(d);
	for (at = 0; at < n; at += part) {
		part = RTE_MIN(n - at, (unsigned int)RTE_TEL_MAX_ARRAY_ENTRIES);
		snprintf(name, sizeof(name), "%d", vids[at]);
		add_numbers(d, name, vids + at, part);
	}
}

static int
tell_list(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	int vids[VHOST_MAX_DEVICES], vid;
	unsigned int i, n = 0;

	if (has_parameters(params, d))
		return 0;
	for (vid = 0; vid < VHOST_MAX_DEVICES; vid++)
		if (vhost_device_peek(vid) != NULL)
			vids[n++] = vid;
	if (n > RTE_TEL_MAX_ARRAY_ENTRIES) {
		add_vids_in_parts(d, vids, n);
		return 0;
	}
	rte_tel_data_start_array(d, RTE_TEL_INT_VAL);
	for (i = 0; i < n; i++)
		rte_tel_data_add_array_int(d, vids[i]);
	return 0;
}

static void
tell_device(const struct vhost_device *dev, struct rte_tel_data *d)
{
	int nodes[VHOST_MAX_VRINGS];
	uint32_t i;

	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_int(d, "vid", dev->vid);
	rte_tel_data_add_dict_string(d, "path", dev->driver.path);
	rte_tel_data_add_dict_int(d, "client", (dev->driver.flags & RTE_VHOST_USER_CLIENT) != 0);
	rte_tel_data_add_dict_int(d, "running", dev->told.running);
	rte_tel_data_add_dict_uint(d, "features", dev->wish.features);
	rte_tel_data_add_dict_uint(d, "protocol_features", dev->wish.protocol_features);
	rte_tel_data_add_dict_int(d, "mtu", dev->wish.mtu);
	rte_tel_data_add_dict_int(d, "vrings", dev->nvrings);
	rte_tel_data_add_dict_int(d, "data_vrings", dev->data_vrings);
	rte_tel_data_add_dict_int(d, "numa_node", dev->running.node);
	for (i = 0; i < dev->nvrings; i++)
		nodes[i] = vhost_device_queue_at(dev, i)->numa.node;
	add_numbers(d, "vring_nodes", nodes, dev->nvrings);
}

static int
tell_info(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	struct vhost_device *dev = lock_device(params, d);

	if (dev == NULL)
		return 0;
	tell_device(dev, d);
	vhost_device_unlock(dev);
	return 0;
}

static void
tell_queue(const struct vhost_device *dev, struct vhost_queue *q, struct rte_tel_data *d)
{
	const struct vhost_virtqueue *block = vhost_queue_block(q);
	const struct rte_vhost_numa_queue *numa = &q->numa;
	struct vq_stats stats = { 0 };

	vhost_queue_stats(q, &stats, false);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_int(d, "vid", dev->vid);
	rte_tel_data_add_dict_int(d, "qid", q->index);
	rte_tel_data_add_dict_string(d, "direction", q->index % 2 == 1 ? "from guest" : "to guest");
	rte_tel_data_add_dict_int(d, "size", block->size);
	rte_tel_data_add_dict_string(d, "format",
		block->cfg.format & VQ_PACKED ? "packed" : "split");
	rte_tel_data_add_dict_int(d, "live", q->live);
	rte_tel_data_add_dict_int(d, "enabled", q->enabled);
	rte_tel_data_add_dict_int(d, "ready", q->ready);
	rte_tel_data_add_dict_int(d, "node", numa->node);
	rte_tel_data_add_dict_int(d, "ring_node", numa->ring_node);
	rte_tel_data_add_dict_int(d, "replica_node", block->net->node);
	rte_tel_data_add_dict_uint(d, "bytes", numa->bytes);
	rte_tel_data_add_dict_uint(d, "moves", numa->moves);
	rte_tel_data_add_dict_uint(d, "refusals", numa->refusals);
	rte_tel_data_add_dict_uint(d, "drifts", numa->drifts);
	rte_tel_data_add_dict_uint(d, "last_pause_ns", numa->last_pause_ns);
	rte_tel_data_add_dict_uint(d, "max_pause_ns", numa->max_pause_ns);
	rte_tel_data_add_dict_int(d, "in_flight", RTE_MAX(vhost_queue_async_inflight(q), -1));
	rte_tel_data_add_dict_uint(d, "good_packets", stats.packets);
	rte_tel_data_add_dict_uint(d, "good_bytes", stats.bytes);
	rte_tel_data_add_dict_uint(d, "guest_notifications", stats.guest_notifications);
}

static int
tell_vq(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	struct vhost_device *dev;
	struct vhost_queue *q;
	struct words words;
	int qid;

	if (parse_words(params, &words) < 0 || words.n != 2 ||
			parse_number(words.word[1], UINT16_MAX, &qid) < 0)
		return refuse(d, "parameters: int vid, int queue");
	dev = lock_device(words.word[0], d);
	if (dev == NULL)
		return 0;
	q = vhost_device_queue(dev, qid);
	if (q != NULL)
		tell_queue(dev, q, d);
	else
		refuse(d, "device %d has %u queues", dev->vid, dev->nvrings);
	vhost_device_unlock(dev);
	return 0;
}

/* Limits */

/** A limit, what is in use of it if that is counted (UINT64_MAX if not), and refusals. */
static void
add_limit(struct rte_tel_data *d, const char *name, uint64_t limit, uint64_t used,
		uint64_t refused)
{
	struct rte_tel_data *one = rte_tel_data_alloc();

	if (one == NULL)
		return;
	rte_tel_data_start_dict(one);
	rte_tel_data_add_dict_uint(one, "limit", limit);
	if (used != UINT64_MAX)
		rte_tel_data_add_dict_uint(one, "used", used);
	rte_tel_data_add_dict_uint(one, "refused", refused);
	rte_tel_data_add_dict_container(d, name, one, 0);
}

static int
get_usage(struct vhost_driver *driver, void *arg)
{
	vhost_quota_usage(driver->quota, arg);
	return 0;
}

static int
tell_limits(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	struct rte_vhost_limits_usage u;
	char path[PATH_MAX];
	struct words words;

	if (parse_words(params, &words) < 0 || words.n != 1)
		return refuse(d, "parameter: vid or path");
	if (parse_path(words.word[0], path, sizeof(path), d) < 0)
		return 0;
	if (vhost_socket_edit(path, get_usage, &u) < 0)
		return refuse_path(d);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "path", path);
	add_limit(d, "connections", u.limits.connections, u.connections, u.refused_connections);
	add_limit(d, "vrings", u.limits.vrings, UINT64_MAX, u.refused_vrings);
	add_limit(d, "mapped_bytes", u.limits.mapped_bytes, u.mapped_bytes,
		u.refused_mapped_bytes);
	add_limit(d, "inflight_bytes", u.limits.inflight_bytes, u.inflight_bytes,
		u.refused_inflight_bytes);
	add_limit(d, "closing_fds", u.limits.closing_fds, u.closing_fds, u.refused_closing_fds);
	add_limit(d, "turn_ms", u.limits.turn_ms, UINT64_MAX, u.ended_turns);
	return 0;
}

/* Placement */

static const char *
evidence_name(enum rte_vhost_numa_evidence evidence)
{
	static const char * const names[] = {
		[RTE_VHOST_NUMA_EVIDENCE_NONE] = "none",
		[RTE_VHOST_NUMA_EVIDENCE_POLICY] = "policy",
		[RTE_VHOST_NUMA_EVIDENCE_PAGES] = "pages",
		[RTE_VHOST_NUMA_EVIDENCE_REFUSED] = "refused",
	};

	return names[evidence];
}

/** The node with most of a region. */
static int
region_node(const struct rte_vhost_numa_region *region)
{
	int node, best = 0;

	for (node = 1; node < RTE_VHOST_NUMA_MAX_NODES; node++)
		if (region->bytes[node] > region->bytes[best])
			best = node;
	return region->bytes[best] != 0 ? best : RTE_VHOST_NUMA_NONE;
}

static void
add_bytes(struct rte_tel_data *d, const struct rte_vhost_numa_region *region)
{
	struct rte_tel_data *bytes = rte_tel_data_alloc();
	char name[16];
	int node;

	if (bytes == NULL)
		return;
	rte_tel_data_start_dict(bytes);
	for (node = 0; node < RTE_VHOST_NUMA_MAX_NODES; node++) {
		if (region->bytes[node] == 0)
			continue;
		snprintf(name, sizeof(name), "%d", node);
		rte_tel_data_add_dict_uint(bytes, name, region->bytes[node]);
	}
	rte_tel_data_add_dict_container(d, "bytes", bytes, 0);
}

static void
add_region(struct rte_tel_data *regions, unsigned int number,
		const struct rte_vhost_numa_region *region)
{
	struct rte_tel_data *d = rte_tel_data_alloc();
	char name[16];

	if (d == NULL)
		return;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_uint(d, "gpa", region->guest_phys_addr);
	rte_tel_data_add_dict_uint(d, "size", region->size);
	rte_tel_data_add_dict_uint(d, "page_size", region->page_size);
	rte_tel_data_add_dict_string(d, "evidence", evidence_name(region->evidence));
	rte_tel_data_add_dict_uint(d, "asked", region->pages_asked);
	rte_tel_data_add_dict_uint(d, "known", region->pages_known);
	rte_tel_data_add_dict_int(d, "node", region_node(region));
	add_bytes(d, region);
	snprintf(name, sizeof(name), "%u", number);
	rte_tel_data_add_dict_container(regions, name, d, 0);
}

static void
add_regions(struct rte_tel_data *d, const struct rte_vhost_numa_report *report)
{
	struct rte_tel_data *regions = rte_tel_data_alloc();
	uint32_t i;

	if (regions == NULL)
		return;
	rte_tel_data_start_dict(regions);
	for (i = 0; i < report->nr_regions; i++)
		add_region(regions, i, &report->regions[i]);
	rte_tel_data_add_dict_container(d, "regions", regions, 0);
}

static void
add_last_refusal(struct rte_tel_data *d, const struct vhost_device *dev)
{
	const struct device_refusal *last = &dev->running.last_refusal;
	char text[64] = "";

	if (dev->running.refusals > 0 && last->queue == RTE_VHOST_NUMA_DEVICE)
		snprintf(text, sizeof(text), "no memory on node %d for the device",
			last->node);
	else if (dev->running.refusals > 0)
		snprintf(text, sizeof(text), "no memory on node %d for queue %d",
			last->node, last->queue);
	rte_tel_data_add_dict_string(d, "last_refusal", text);
}

static void
tell_placement(struct vhost_device *dev, const struct rte_vhost_numa_report *report,
		struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_int(d, "vid", dev->vid);
	rte_tel_data_add_dict_string(d, "path", dev->driver.path);
	add_policy(d, &report->policy);
	rte_tel_data_add_dict_int(d, "callback", dev->driver.numa_changed != NULL);
	rte_tel_data_add_dict_int(d, "running", dev->told.running);
	rte_tel_data_add_dict_int(d, "numa_node", report->node);
	rte_tel_data_add_dict_int(d, "app_node", report->app_node);
	add_node_mask(d, "replica_nodes", report->replica_nodes);
	add_queue_nodes(d, report);
	add_ring_nodes(d, report);
	rte_tel_data_add_dict_uint(d, "moves", report->moves);
	rte_tel_data_add_dict_uint(d, "refusals", report->refusals);
	rte_tel_data_add_dict_uint(d, "drifts", report->drifts);
	rte_tel_data_add_dict_uint(d, "probes", report->probes);
	rte_tel_data_add_dict_uint(d, "restarts", report->restarts);
	add_node_mask(d, "refused_nodes", report->refused_nodes);
	add_last_refusal(d, dev);
	rte_tel_data_add_dict_int(d, "undecided", vhost_evidence_is_undecided(dev->evidence));
	add_regions(d, report);
}

static int
tell_numa(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	struct vhost_device *dev = lock_device(params, d);
	struct rte_vhost_numa_report *report;

	if (dev == NULL)
		return 0;
	if (rte_vhost_numa_report(dev->vid, &report) == 0) {
		tell_placement(dev, report, d);
		free(report);
	} else {
		refuse(d, "no memory for a report");
	}
	vhost_device_unlock(dev);
	return 0;
}

static int
refresh(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	struct rte_vhost_numa_report *before, *after;
	struct vhost_device *dev = lock_device(params, d);
	int vid, ret;

	if (dev == NULL)
		return 0;
	/* not below the lock: the refresh waits for the event thread, which needs it */
	vid = dev->vid;
	vhost_device_unlock(dev);
	if (rte_vhost_numa_report(vid, &before) < 0)
		return refuse(d, "device %d has gone, or there is no memory for a report", vid);
	ret = rte_vhost_numa_refresh(vid);
	if (rte_vhost_numa_report(vid, &after) < 0) {
		free(before);
		return refuse(d, "device %d has gone meanwhile", vid);
	}
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_int(d, "vid", vid);
	rte_tel_data_add_dict_int(d, "result", ret);
	rte_tel_data_add_dict_int(d, "numa_node", after->node);
	add_queue_nodes(d, after);
	rte_tel_data_add_dict_uint(d, "moves", after->moves - before->moves);
	add_node_mask(d, "refused_nodes", after->refused_nodes);
	free(before);
	free(after);
	return 0;
}

/** The policy that words 1 and following describe: NULL, or why they do not. */
static const char *
parse_policy(const struct words *words, struct rte_vhost_numa_policy *policy)
{
	unsigned int used = 2;

	*policy = (struct rte_vhost_numa_policy){ .node = RTE_VHOST_NUMA_NONE };
	if (strcmp(words->word[1], "follow") == 0) {
		policy->mode = RTE_VHOST_NUMA_FOLLOW;
	} else if (strcmp(words->word[1], "off") == 0) {
		policy->mode = RTE_VHOST_NUMA_OFF;
	} else if (strcmp(words->word[1], "pin") == 0) {
		policy->mode = RTE_VHOST_NUMA_PIN;
		if (words->n <= used || parse_number(words->word[used++],
				PLACEMENT_MAX_NODES - 1, &policy->node) < 0)
			return "pin needs a node, a number from 0 to 63";
	} else {
		return "the policy is one of follow, pin and off";
	}
	if (words->n > used && strcmp(words->word[used], "restart") == 0) {
		policy->flags = RTE_VHOST_NUMA_F_RESTART;
		used++;
	}
	return words->n == used ? NULL : "behind the policy only \"restart\" may follow";
}

/** Set it: 0, or -1 and the reason in the answer. */
static int
set_policy(const char *path, const struct words *words, struct rte_tel_data *d)
{
	struct rte_vhost_numa_policy wanted;
	const char *why = parse_policy(words, &wanted);

	if (why != NULL) {
		refuse(d, "%s", why);
		return -1;
	}
	switch (rte_vhost_numa_policy_set(path, &wanted)) {
	case 0:
		return 0;
	case -ENODEV:
		refuse(d, "node %d does not exist, has no memory, or is closed to this process",
			wanted.node);
		return -1;
	default:
		refuse_path(d);
		return -1;
	}
}

static int
policy(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	struct rte_vhost_numa_policy in_force;
	char path[PATH_MAX];
	struct words words;

	if (parse_words(params, &words) < 0)
		return refuse(d, "parameters: vid or path[,follow|off|pin,int node[,restart]]");
	if (parse_path(words.word[0], path, sizeof(path), d) < 0)
		return 0;
	if (words.n > 1 && set_policy(path, &words, d) < 0)
		return 0;
	if (rte_vhost_numa_policy_get(path, &in_force) < 0)
		return refuse_path(d);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "path", path);
	add_policy(d, &in_force);
	return 0;
}

static int
interval(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	int ms;

	if (params != NULL && *params != '\0') {
		if (parse_number(params, INT32_MAX, &ms) < 0)
			return refuse(d, "parameter: milliseconds, 0 for no looks, or nothing");
		vhost_numa_watch_set_interval(ms);
	}
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_uint(d, "interval_ms", vhost_numa_watch_interval());
	return 0;
}

/* The library */

static void
add_default_limits(struct rte_tel_data *d)
{
	struct rte_tel_data *one = rte_tel_data_alloc();
	struct rte_vhost_limits limits;

	if (one == NULL)
		return;
	vhost_quota_defaults(&limits);
	rte_tel_data_start_dict(one);
	rte_tel_data_add_dict_uint(one, "connections", limits.connections);
	rte_tel_data_add_dict_uint(one, "vrings", limits.vrings);
	rte_tel_data_add_dict_uint(one, "mapped_bytes", limits.mapped_bytes);
	rte_tel_data_add_dict_uint(one, "inflight_bytes", limits.inflight_bytes);
	rte_tel_data_add_dict_uint(one, "closing_fds", limits.closing_fds);
	rte_tel_data_add_dict_uint(one, "turn_ms", limits.turn_ms);
	rte_tel_data_add_dict_container(d, "default_limits", one, 0);
}

static int
tell_about(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	if (has_parameters(params, d))
		return 0;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "name", VHOST_NAME);
	rte_tel_data_add_dict_string(d, "version", vhost_about_version());
	rte_tel_data_add_dict_int(d, "abi", VHOST_ABI);
	rte_tel_data_add_dict_string(d, "built_against", RTE_VER_PREFIX " " RTE_STR(RTE_VER_YEAR)
		"." RTE_STR(RTE_VER_MONTH));
	rte_tel_data_add_dict_string(d, "file", vhost_about_file());
	rte_tel_data_add_dict_int(d, "libnuma", vhost_about_has_libnuma());
	rte_tel_data_add_dict_uint(d, "interval_ms", vhost_numa_watch_interval());
	rte_tel_data_add_dict_int(d, "max_devices", VHOST_MAX_DEVICES);
	add_default_limits(d);
	return 0;
}

RTE_INIT(vhost_telemetry_register)
{
	rte_telemetry_register_cmd("/vhost/about", tell_about,
		"Returns which vhost library this is, and its defaults. Takes no parameters");
	rte_telemetry_register_cmd("/vhost/list", tell_list,
		"Returns the vids of all vhost devices. Takes no parameters");
	rte_telemetry_register_cmd("/vhost/info", tell_info,
		"Returns what a vhost device is and does. Parameters: int vid");
	rte_telemetry_register_cmd("/vhost/vq", tell_vq,
		"Returns what a virtqueue is and does. Parameters: int vid, int queue");
	rte_telemetry_register_cmd("/vhost/limits", tell_limits,
		"Returns what a socket's frontends may take, have, and were refused. Parameters: vid or path");
	rte_telemetry_register_cmd("/vhost/numa", tell_numa,
		"Returns where a guest's memory and its device are. Parameters: int vid");
	rte_telemetry_register_cmd("/vhost/numa_policy", policy,
		"Gets or sets a socket's placement. Parameters: vid or path[,follow|off|pin,int node[,restart]]");
	rte_telemetry_register_cmd("/vhost/numa_interval", interval,
		"Gets or sets the time between looks at guests' memory. Parameters: none or int ms");
	rte_telemetry_register_cmd("/vhost/numa_refresh", refresh,
		"Looks where a guest's memory is now, and moves its device. Parameters: int vid");
}
