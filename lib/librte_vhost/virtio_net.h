/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_VIRTIO_NET_H
#define VHOST_VIRTIO_NET_H

/*
 * The device as a burst sees it: what was negotiated and where guest memory is.
 *
 * A node-local block, immutable once published (but for its note of where it is, and
 * the translations of an IOMMU, which blocks are shown one by one).  A device has one replica on
 * each node where it has queues; the one on the device's own node is "the
 * device" of rte_vhost_get_numa_node().  Only queue blocks of the same node and
 * generation point to it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "mem_iotlb.h"
#include "mem_log.h"
#include "mem_map.h"

struct rte_vhost_device_ops;

/* virtio_net_cfg.flags: what the application asked for at registration */
#define NET_BUILTIN		(1u << 0) /**< the library's own net data path */
#define NET_COMPLIANT_OL_FLAGS	(1u << 1) /**< received packets get RX offload flags */
#define NET_LINEARBUF		(1u << 2) /**< a received packet must fit one mbuf */
#define NET_EXTBUF		(1u << 3) /**< a received packet may use an external buffer */
#define NET_STATS		(1u << 4) /**< count per queue */

/** What a replica is built from. */
struct virtio_net_cfg {
	int vid;
	uint32_t flags;		/**< NET_* */
	uint64_t features;	/**< negotiated virtio features */
	uint64_t generation;	/**< of features and memory together, the device's */
	const struct mem_map *map;	/**< NULL before SET_MEM_TABLE; outlives the replica */
	const struct mem_log *log;	/**< NULL before SET_LOG_BASE; likewise */
	const struct mem_iotlb *iotlb;	/**< NULL without VIRTIO_F_ACCESS_PLATFORM */
	const struct rte_vhost_device_ops *ops;	/**< of the application, or NULL */
};

/** One region as the bursts look it up. */
struct net_region {
	uint64_t gpa;		/**< first guest physical address */
	uint64_t size;
	uintptr_t host;		/**< our address of gpa */
};

struct virtio_net {
	uint64_t features;
	uint32_t flags;		/**< NET_* */
	uint16_t hdr_len;	/**< bytes of the virtio-net header: 10 or 12 */
	uint16_t nregions;
	bool guest_offloads;	/**< the guest may send headers that mean something */
	struct net_region regions[VHOST_MAX_REGIONS];	/**< largest first, then empty ones */
	struct mem_log_view log;	/**< of written pages, with VHOST_F_LOG_ALL */
	struct iotlb_view *iotlb;	/**< that blocks begin with, or NULL; control side only */
	struct iotlb_view *iotlb_spare;	/**< to be filled, likewise */
	int vid;
	int node;		/**< where it was when asked last, see mem_heap.h */
	uint64_t generation;
	const struct rte_vhost_device_ops *ops;
	char name[64];		/**< tail of the socket path, for log lines */
} __rte_cache_aligned;

/**
 * Build a replica on a node.
 *
 * @param node  the node, or VHOST_NODE_ANY
 * @return the replica, freed with vhost_virtio_net_destroy(); NULL when that
 *         node gives no memory
 */
struct virtio_net *vhost_virtio_net_create(const struct virtio_net_cfg *cfg,
		const char *name, int node);

/** NULL is allowed. */
void vhost_virtio_net_destroy(struct virtio_net *net);

/**
 * Fill the spare view with what the table says by now, and make it the one that
 * blocks begin with.  Those in place have to be shown it before this is done again.
 */
void vhost_virtio_net_translate(struct virtio_net *net, const struct mem_iotlb *iotlb,
		const struct mem_map *map);

/** Bytes of the header in front of each packet (virtio 1.2, 5.1.6). */
uint16_t vhost_virtio_net_hdr_len(uint64_t features);

/**
 * Our address of guest address gpa, NULL if it is not mapped.
 *
 * @param[in,out] len  bytes wanted, cut to what the region of gpa has from there
 */
uint8_t *vhost_virtio_net_piece(const struct virtio_net *net, uint64_t gpa, uint64_t *len);

/** The guest address of memory at our address; false if that is not guest memory. */
bool vhost_virtio_net_gpa(const struct virtio_net *net, const void *host, uint64_t *gpa);

/** virtio_net_host() for what is not in one of the first two regions. */
uint8_t *vhost_virtio_net_host_elsewhere(const struct virtio_net *net,
		uint64_t gpa, uint64_t len);

/** Our address of [gpa, gpa + len), NULL unless this region holds it all. */
static __rte_always_inline uint8_t *
net_region_host(const struct net_region *region, uint64_t gpa, uint64_t len)
{
	uint64_t offset = gpa - region->gpa;

	if (offset < region->size && len <= region->size - offset)
		return (uint8_t *)(region->host + offset);
	return NULL;
}

/** Our address of [gpa, gpa + len), NULL unless one region holds it all. */
static __rte_always_inline uint8_t *
virtio_net_host(const struct virtio_net *net, uint64_t gpa, uint64_t len)
{
	uint8_t *host = net_region_host(&net->regions[0], gpa, len);

	/* a guest on a PC with more than 3 GiB has two large ones */
	if (unlikely(host == NULL))
		host = net_region_host(&net->regions[1], gpa, len);
	if (unlikely(host == NULL))
		host = vhost_virtio_net_host_elsewhere(net, gpa, len);
	return host;
}

/** Whether a feature bit is negotiated. */
static inline bool
virtio_net_has(const struct virtio_net *net, unsigned int feature)
{
	return (net->features & (1ULL << feature)) != 0;
}

#endif /* VHOST_VIRTIO_NET_H */
