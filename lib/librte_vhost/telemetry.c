/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Telemetry: /vhost/list, /vhost/info,VID and /vhost/numa,VID.
 */

#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_telemetry.h>

#include "device.h"
#include "mem_node.h"

/** The device of a parameter string, locked; NULL if there is none. */
static struct vhost_device *
lock_device(const char *params)
{
	struct vhost_device *dev;
	char *end;
	long vid;

	if (params == NULL || *params == '\0')
		return NULL;
	vid = strtol(params, &end, 10);
	if (*end != '\0' || vid < 0 || vid >= VHOST_MAX_DEVICES)
		return NULL;
	dev = vhost_device_peek(vid);
	if (dev == NULL)
		return NULL;
	vhost_device_lock(dev);
	if (dev->net != NULL)
		return dev;
	vhost_device_unlock(dev);
	return NULL;
}

static int
tell_list(const char *cmd __rte_unused, const char *params __rte_unused, struct rte_tel_data *d)
{
	int vid;

	rte_tel_data_start_array(d, RTE_TEL_INT_VAL);
	for (vid = 0; vid < VHOST_MAX_DEVICES; vid++)
		if (vhost_device_peek(vid) != NULL)
			rte_tel_data_add_array_int(d, vid);
	return 0;
}

static struct rte_tel_data *
tell_vrings(const struct vhost_device *dev)
{
	struct rte_tel_data *nodes = rte_tel_data_alloc();
	uint32_t i;

	if (nodes == NULL)
		return NULL;
	rte_tel_data_start_array(nodes, RTE_TEL_INT_VAL);
	for (i = 0; i < dev->nvrings; i++)
		rte_tel_data_add_array_int(nodes, vhost_queue_block(dev->queues[i])->node);
	return nodes;
}

static int
tell_info(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	struct vhost_device *dev = lock_device(params);
	struct rte_tel_data *vring_nodes;

	if (dev == NULL)
		return -1;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_int(d, "vid", dev->vid);
	rte_tel_data_add_dict_string(d, "path", dev->driver.path);
	rte_tel_data_add_dict_int(d, "running", dev->running);
	rte_tel_data_add_dict_u64(d, "features", dev->features);
	rte_tel_data_add_dict_u64(d, "protocol_features", dev->protocol_features);
	rte_tel_data_add_dict_int(d, "vrings", dev->nvrings);
	rte_tel_data_add_dict_int(d, "numa_node", dev->net->node);
	vring_nodes = tell_vrings(dev);
	if (vring_nodes != NULL)
		rte_tel_data_add_dict_container(d, "vring_nodes", vring_nodes, 0);
	vhost_device_unlock(dev);
	return 0;
}

static const char *
evidence_name(enum placement_evidence evidence)
{
	static const char * const names[] = {
		[PLACEMENT_NONE] = "none",
		[PLACEMENT_POLICY] = "policy",
		[PLACEMENT_PAGES] = "pages",
		[PLACEMENT_REFUSED] = "refused",
	};

	return names[evidence];
}

static struct rte_tel_data *
tell_region(const struct placement_region *region)
{
	struct rte_tel_data *d = rte_tel_data_alloc();
	char name[16];
	int node;

	if (d == NULL)
		return NULL;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "evidence", evidence_name(region->evidence));
	for (node = 0; node < PLACEMENT_MAX_NODES; node++) {
		if (region->bytes[node] == 0)
			continue;
		snprintf(name, sizeof(name), "node%d_bytes", node);
		rte_tel_data_add_dict_u64(d, name, region->bytes[node]);
	}
	return d;
}

static int
tell_numa(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	struct vhost_device *dev = lock_device(params);
	struct rte_tel_data *regions, *region;
	uint32_t i;

	if (dev == NULL)
		return -1;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_int(d, "numa_node", dev->net->node);
	rte_tel_data_add_dict_u64(d, "moves", dev->moves);
	rte_tel_data_add_dict_u64(d, "refusals", dev->refusals);
	regions = rte_tel_data_alloc();
	if (regions != NULL) {
		rte_tel_data_start_array(regions, RTE_TEL_CONTAINER);
		for (i = 0; i < dev->census.nregions; i++) {
			region = tell_region(&dev->census.regions[i]);
			if (region != NULL)
				rte_tel_data_add_array_container(regions, region, 0);
		}
		rte_tel_data_add_dict_container(d, "regions", regions, 0);
	}
	vhost_device_unlock(dev);
	return 0;
}

RTE_INIT(vhost_telemetry_register)
{
	rte_telemetry_register_cmd("/vhost/list", tell_list,
		"Returns the vids of all vhost devices. Takes no parameters");
	rte_telemetry_register_cmd("/vhost/info", tell_info,
		"Returns what a vhost device is and does. Parameters: int vid");
	rte_telemetry_register_cmd("/vhost/numa", tell_numa,
		"Returns where a guest's memory and its device are. Parameters: int vid");
}
