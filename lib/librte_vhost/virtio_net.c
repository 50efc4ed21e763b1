/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <string.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <rte_string_fns.h>

#include "mem_heap.h"
#include "virtio_net.h"

/** Features that let a guest leave checksums or segmentation to us. */
#define GUEST_OFFLOADS ((1ULL << VIRTIO_NET_F_CSUM) | (1ULL << VIRTIO_NET_F_HOST_TSO4) | \
		(1ULL << VIRTIO_NET_F_HOST_TSO6) | (1ULL << VIRTIO_NET_F_HOST_ECN) | \
		(1ULL << VIRTIO_NET_F_HOST_UFO))

/** Features that make the header end with num_buffers. */
#define LONG_HEADER ((1ULL << VIRTIO_NET_F_MRG_RXBUF) | (1ULL << VIRTIO_F_VERSION_1) | \
		(1ULL << VIRTIO_F_RING_PACKED))

uint16_t
vhost_virtio_net_hdr_len(uint64_t features)
{
	return (features & LONG_HEADER) != 0 ? sizeof(struct virtio_net_hdr_mrg_rxbuf) :
		sizeof(struct virtio_net_hdr);
}

/** Insert a region so that larger ones stay in front. */
static void
add_region(struct virtio_net *net, const struct mem_region *region)
{
	uint16_t i = net->nregions++;

	for (; i > 0 && net->regions[i - 1].size < region->size; i--)
		net->regions[i] = net->regions[i - 1];
	net->regions[i] = (struct net_region){
		.gpa = region->gpa,
		.size = region->size,
		.host = (uintptr_t)region->host,
	};
}

/** Keep the end of a path that is too long: that is where paths differ. */
static void
copy_name(struct virtio_net *net, const char *name)
{
	size_t len = strlen(name);

	if (len >= sizeof(net->name))
		name += len - sizeof(net->name) + 1;
	rte_strscpy(net->name, name, sizeof(net->name));
}

/** Views of what the guest's IOMMU has told, if it has one: false if there is no memory. */
static bool
build_iotlb(struct virtio_net *net, const struct virtio_net_cfg *cfg)
{
	int node;

	if (cfg->iotlb == NULL)
		return true;
	net->iotlb = vhost_heap_alloc(sizeof(*net->iotlb), net->node, &node);
	net->iotlb_spare = vhost_heap_alloc(sizeof(*net->iotlb), net->node, &node);
	if (net->iotlb == NULL || net->iotlb_spare == NULL)
		return false;
	vhost_mem_iotlb_fill(cfg->iotlb, cfg->map, net->iotlb);
	return true;
}

void
vhost_virtio_net_translate(struct virtio_net *net, const struct mem_iotlb *iotlb,
		const struct mem_map *map)
{
	struct iotlb_view *view = net->iotlb_spare;

	vhost_mem_iotlb_fill(iotlb, map, view);
	net->iotlb_spare = net->iotlb;
	net->iotlb = view;
}

struct virtio_net *
vhost_virtio_net_create(const struct virtio_net_cfg *cfg, const char *name, int node)
{
	struct virtio_net *net = vhost_heap_alloc(sizeof(*net), node, &node);

	if (net == NULL)
		return NULL;
	net->node = node;
	net->features = cfg->features;
	net->flags = cfg->flags;
	net->hdr_len = vhost_virtio_net_hdr_len(cfg->features);
	net->guest_offloads = (cfg->features & GUEST_OFFLOADS) != 0;
	net->vid = cfg->vid;
	net->generation = cfg->generation;
	net->ops = cfg->ops;
	copy_name(net, name);
	for (uint32_t i = 0; cfg->map != NULL && i < cfg->map->nregions; i++)
		add_region(net, &cfg->map->regions[i]);
	if (virtio_net_has(net, VHOST_F_LOG_ALL))
		net->log = vhost_mem_log_view(cfg->log);
	if (!build_iotlb(net, cfg)) {
		vhost_virtio_net_destroy(net);
		return NULL;
	}
	return net;
}

void
vhost_virtio_net_destroy(struct virtio_net *net)
{
	if (net == NULL)
		return;
	vhost_heap_free(net->iotlb);
	vhost_heap_free(net->iotlb_spare);
	vhost_heap_free(net);
}

uint8_t *
vhost_virtio_net_piece(const struct virtio_net *net, uint64_t gpa, uint64_t *len)
{
	for (uint16_t i = 0; i < net->nregions; i++) {
		const struct net_region *region = &net->regions[i];
		uint64_t offset = gpa - region->gpa;

		if (offset < region->size) {
			*len = RTE_MIN(*len, region->size - offset);
			return (uint8_t *)(region->host + offset);
		}
	}
	return NULL;
}

bool
vhost_virtio_net_gpa(const struct virtio_net *net, const void *host, uint64_t *gpa)
{
	for (uint16_t i = 0; i < net->nregions; i++) {
		const struct net_region *region = &net->regions[i];
		uint64_t offset = (uintptr_t)host - region->host;

		if (offset < region->size) {
			*gpa = region->gpa + offset;
			return true;
		}
	}
	return false;
}

uint8_t *
vhost_virtio_net_host_elsewhere(const struct virtio_net *net, uint64_t gpa, uint64_t len)
{
	uint64_t got = len;
	uint8_t *host = vhost_virtio_net_piece(net, gpa, &got);

	return got == len ? host : NULL;
}
