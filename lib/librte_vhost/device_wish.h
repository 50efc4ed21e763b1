/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_DEVICE_WISH_H
#define VHOST_DEVICE_WISH_H

/*
 * The requested configuration of a device (its wish): all that messages may edit.  A settle makes reality
 * match; nothing here has an effect by itself.  Under the device's control lock.
 */

#include <stdbool.h>
#include <stdint.h>

#include "inflight_area.h"
#include "mem_iotlb.h"
#include "mem_log.h"
#include "mem_map.h"
#include "queue_wish.h"
#include "ring_window.h"

#define VHOST_MAX_VRINGS	256

struct vhost_quota;

struct device_wish {
	uint64_t features;
	uint64_t protocol_features;	/**< the connection's: no reset of the device touches it */
	uint64_t generation;		/**< grows when features, memory or log change */
	uint16_t mtu;			/**< 0 until NET_SET_MTU; atomic */
	uint16_t ctrl_pairs;		/**< queue pairs set by VIRTIO_NET_CTRL_MQ, 0: all */
	uint8_t status;			/**< virtio device status */
	struct ring_windows *windows;	/**< of rings behind an IOMMU; made with the table */
	struct mem_iotlb *iotlb;	/**< what the guest's IOMMU told; a message that fails changes it too */
	struct mem_map *map;		/**< of the last SET_MEM_TABLE, a reference or NULL */
	struct mem_log *log;		/**< of the last SET_LOG_BASE, likewise */
	struct inflight_area inflight;	/**< of the last SET_INFLIGHT_FD, likewise */
	uint32_t nvrings;		/**< that were named, and all below */
	struct queue_wish queues[VHOST_MAX_VRINGS];
};

/** The wish of a device that nobody has said anything about. */
void vhost_wish_init(struct device_wish *wish);

/** Name a vring: it, and all below, shall exist. */
void vhost_wish_vring(struct device_wish *wish, uint32_t index);

/** Whether a feature bit is asked for. */
static inline bool
wish_has(const struct device_wish *wish, unsigned int feature)
{
	return (wish->features & (1ULL << feature)) != 0;
}

/** Ask for other features; translations were for the driver that had the ones before. */
int vhost_wish_features(struct device_wish *wish, uint64_t features);

/** Forget all that the guest's IOMMU has told. */
void vhost_wish_forget_iotlb(struct device_wish *wish);

/** Ask for another memory map; takes over the reference. */
void vhost_wish_map(struct device_wish *wish, struct mem_map *map);

/** Ask for another log of written pages; takes over the reference. */
void vhost_wish_log(struct device_wish *wish, struct mem_log *log);

/** Ask for another in-flight area; takes over the reference. */
void vhost_wish_inflight(struct device_wish *wish, const struct inflight_area *area);

/**
 * Replace a descriptor of a queue's wish by another, the wish's from now on, or by
 * one of QUEUE_FD_*.  One that is in force stays open until the settle.
 */
void vhost_wish_kickfd(struct queue_wish *wish, int fd, enum doorbell_kind kind);
void vhost_wish_callfd(struct queue_wish *wish, int fd, enum doorbell_kind kind);

/** Take back what starts a ring: its addresses and descriptors. */
void vhost_wish_stop_ring(struct queue_wish *wish);

/** All that belongs to the device as it was at first; what is the connection's stays. */
void vhost_wish_reset(struct device_wish *wish);

/** Drop what the wish refers to; its descriptors are the queues' by then. */
void vhost_wish_end(struct device_wish *wish);

/**
 * Copy the wishes, to go back to them if a message fails, or forget the copy.
 */
void vhost_wish_keep(const struct device_wish *wish, struct device_wish *kept);
void vhost_wish_restore(struct device_wish *wish, struct device_wish *kept,
		struct vhost_quota *quota);
void vhost_wish_forget(struct device_wish *kept);

#endif /* VHOST_DEVICE_WISH_H */
