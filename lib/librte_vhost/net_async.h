/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_ASYNC_H
#define VHOST_NET_ASYNC_H

/*
 * Packets of a queue whose copies are under way: the queue's async area.
 *
 * A packet is submitted (chains are taken from the ring, copies begin), given (all
 * copies are done, the chains go back to the guest) and returned (the application has
 * it), in this order and one packet after the other, whatever the device does.  Between
 * two packets there may be chains that go back without one.
 *
 * The area is not part of the block: the block may be replaced by another one of the
 * same ring meanwhile.  It is on the queue's node, and is moved there as it is: nobody
 * points into it, as DMA channels only count (dma_channel.h).  What copies under way do
 * pin is guest memory and the packets; see queue_async.c for what happens when these
 * have to go.
 *
 * Only who is inside the queue's gate may touch it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_net.h>

#include <rte_common.h>

#include "dma_channel.h"
#include "mem_iova.h"
#include "ring.h"
#include "vhost_virtqueue.h"

struct mem_map;
struct rte_mbuf;
struct rte_mempool;

/** A packet, or chains that go back without one. */
struct async_packet {
	struct rte_mbuf *pkt;		/**< NULL: there is none */
	struct dma_channel *channel;	/**< NULL: there is nothing to wait for */
	uint64_t end;			/**< its copies are before that one of the channel */
	union {
		struct virtio_net_hdr hdr;	/**< of the guest, if offloads were negotiated */
		bool is_open;	/**< to the guest: complete the checksum in the copy */
	};
	uint16_t chains;
	uint16_t places;		/**< that it takes in the ring */
	uint16_t copies;
};

/** A copy, to be made again if it failed; there is memory at both until it is given. */
struct async_copy {
	uint8_t *dst;
	const uint8_t *src;
	uint32_t len;
};

/** The same for the device, where that has addresses of its own; 0: it cannot reach it. */
struct async_iova {
	rte_iova_t dst;
	rte_iova_t src;
};

struct net_async {
	/* rings, with indices that grow until all is returned */
	struct async_packet *packets;
	struct vq_chain *chains;	/**< len: bytes written to it */
	struct async_copy *copies;
	struct async_iova *iovas;	/**< of copies; NULL: devices take our addresses */
	struct mem_iova_cache *known;	/**< with iovas */
	bool reachable;			/**< with iovas: devices can reach guest memory at all */
	uint32_t packets_mask, chains_mask, copies_mask;
	uint32_t returned;	/**< packets, likewise for the next two */
	uint32_t given;
	uint32_t submitted;
	uint32_t chains_given, chains_submitted;
	uint32_t copies_given, copies_submitted;
	uint32_t places;	/**< of the ring: taken, not given back */
	uint32_t inflight;	/**< packets of the application that were not returned */
	bool closed;		/**< nothing is submitted, because all has to end */

	/* control side */
	size_t bytes;
	int node;		/**< where it was when asked last, see mem_heap.h */
	struct mem_map *map;	/**< of an orphan (queue_async.c): one reference */
	struct net_async *next;	/**< likewise */
};

/**
 * Guest memory is other memory from now on.
 *
 * @param pinned  the kernel does not move it: matters only to devices with addresses of
 *                their own
 */
void vhost_net_async_set_memory(struct net_async *area, bool pinned);

/**
 * Make an area for a ring of so many descriptors.
 *
 * @return NULL when that node gives no memory
 */
struct net_async *vhost_net_async_create(uint16_t size, int node);

/** NULL is allowed; nothing may be under way. */
void vhost_net_async_destroy(struct net_async *area);

/** Have another area, as large, go on with what this one has. */
void vhost_net_async_inherit(struct net_async *area, const struct net_async *from);

/** Whether all that was submitted has been given. */
static inline bool
net_async_is_idle(const struct net_async *area)
{
	return area->given == area->submitted;
}

/** Whether a queue may submit: its ring runs, is enabled and ours to serve. */
static inline bool
net_async_may_submit(const struct vhost_virtqueue *vq, const struct net_async *area)
{
	return vq->size != 0 && vq->attr.enabled && (vq->net->flags & NET_BUILTIN) &&
		!(vq->cfg.format & (VQ_LOG | VQ_IOVA)) && !area->closed;
}

/* ---- submitting ---- */

/** Packets that are being put together behind those that were submitted. */
struct async_plan {
	struct net_async *area;
	uint16_t available;	/**< places of the ring that may be taken */
	uint16_t places;	/**< of those, planned to be */
	uint32_t packets;
	uint32_t chains;
	uint32_t copies;
};

static __rte_always_inline struct async_plan
async_plan_begin(struct vhost_virtqueue *vq, struct net_async *area, unsigned int flags)
{
	uint32_t room = vq->size > area->places ? vq->size - area->places : 0;

	return (struct async_plan){
		.area = area,
		/* the driver cannot have more on offer, but it may say so */
		.available = RTE_MIN(room, (uint32_t)ring_available(vq, flags)),
	};
}

static __rte_always_inline struct async_packet *
async_plan_packet(const struct async_plan *plan, uint32_t i)
{
	const struct net_async *area = plan->area;

	return &area->packets[(area->submitted + i) & area->packets_mask];
}

static __rte_always_inline struct vq_chain *
async_plan_chain(const struct async_plan *plan, uint32_t i)
{
	const struct net_async *area = plan->area;

	return &area->chains[(area->chains_submitted + i) & area->chains_mask];
}

static __rte_always_inline uint32_t
async_plan_copy(const struct async_plan *plan, uint32_t i)
{
	return (plan->area->copies_submitted + i) & plan->area->copies_mask;
}

/** Whether the area has room for one packet more. */
static __rte_always_inline bool
async_plan_has_packet(const struct async_plan *plan)
{
	const struct net_async *area = plan->area;

	return area->submitted + plan->packets - area->returned <= area->packets_mask;
}

static __rte_always_inline bool
async_plan_has_chain(const struct async_plan *plan, uint32_t i)
{
	const struct net_async *area = plan->area;

	return area->chains_submitted + i - area->chains_given <= area->chains_mask;
}

static __rte_always_inline bool
async_plan_has_copy(const struct async_plan *plan, uint32_t i)
{
	const struct net_async *area = plan->area;

	return area->copies_submitted + i - area->copies_given <= area->copies_mask;
}

/** Whether there are no copies but of the packet that is planned: there will be no more room. */
static inline bool
async_plan_is_empty(const struct async_plan *plan)
{
	return plan->copies == 0 && plan->area->copies_submitted == plan->area->copies_given;
}

/**
 * async_plan_add_copy() where devices have addresses of their own: how many copies it
 * became, or -ENOSPC.
 *
 * @param first  counted from those that were submitted
 */
int vhost_net_async_add_iovas(struct net_async *area, uint32_t first, struct async_copy copy,
		rte_iova_t mbuf_iova, bool to_mbuf);

/**
 * Add a copy to the n of the packet that is planned.
 *
 * @param mbuf_iova  where the device finds the part of it that is in an mbuf
 * @return their new number, or -ENOSPC if there is no room
 */
static __rte_always_inline int
async_plan_add_copy(const struct async_plan *plan, int n, struct async_copy copy,
		rte_iova_t mbuf_iova, bool to_mbuf)
{
	const uint32_t i = plan->copies + n;
	struct async_copy *place;

	if (unlikely(plan->area->iovas != NULL)) {
		int ret = vhost_net_async_add_iovas(plan->area, i, copy, mbuf_iova, to_mbuf);

		return ret < 0 ? ret : n + ret;
	}
	if (unlikely(!async_plan_has_copy(plan, i)))
		return -ENOSPC;
	place = &plan->area->copies[async_plan_copy(plan, i)];
	place->dst = copy.dst;
	place->src = copy.src;
	place->len = copy.len;
	return n + 1;
}

/**
 * The next packet, whose chains and copies are in place, is part of the plan.
 *
 * @param pkt  NULL for chains that go back without one
 * @return for what depends on the direction
 */
static __rte_always_inline struct async_packet *
async_plan_add(struct async_plan *plan, struct rte_mbuf *pkt, uint16_t chains, uint16_t places,
		uint16_t copies)
{
	struct async_packet *packet = async_plan_packet(plan, plan->packets);

	/* member by member: a structure made aside would be loaded in larger words than stored */
	packet->pkt = pkt;
	packet->channel = NULL;
	packet->chains = chains;
	packet->places = places;
	packet->copies = copies;
	plan->packets++;
	plan->chains += chains;
	plan->copies += copies;
	plan->places += places;
	return packet;
}

/**
 * Submit what was planned, as far as the device has room.
 *
 * @return packets of the application among what was submitted
 */
uint16_t vhost_net_async_submit(struct vhost_virtqueue *vq, const struct async_plan *plan,
		struct dma_channel *channel, unsigned int flags);

/* ---- what is done ---- */

/** Give chains back whose copies are done, and notify the guest.  The ring runs. */
void vhost_net_async_give(struct vhost_virtqueue *vq, struct net_async *area);

/** Ask all channels that are waited for and give what is done: whether that is all. */
bool vhost_net_async_drain(struct vhost_virtqueue *vq, struct net_async *area);

/**
 * Of an area that no queue has any more: free packets whose copies are done, or that
 * were given.  Whether that is all.
 */
bool vhost_net_async_bury(struct net_async *area);

/** Have an area return what another one was to return; it has none of its own. */
void vhost_net_async_hand_over(struct net_async *from, struct net_async *to);

/** Ask a channel, give what is done, return up to count packets: their number. */
uint16_t vhost_net_async_poll(struct vhost_virtqueue *vq, struct net_async *area,
		struct rte_mbuf **pkts, uint16_t count, struct dma_channel *channel);

/* ---- the bursts ---- */

/** Submit packets to the guest: how many, from the first on (net_async_enqueue.c). */
uint16_t vhost_net_async_enqueue(struct vhost_virtqueue *vq, struct net_async *area,
		struct rte_mbuf **pkts, uint16_t count, struct dma_channel *channel);

/** Submit packets from the guest, at most count (net_async_dequeue.c). */
void vhost_net_async_fetch(struct vhost_virtqueue *vq, struct net_async *area,
		struct rte_mempool *pool, uint16_t count, struct dma_channel *channel);

/** A packet in the name of a guest that moved here, if one is due: 1 or 0. */
uint16_t vhost_net_async_announce(struct vhost_virtqueue *vq, struct rte_mempool *pool,
		struct rte_mbuf **pkts);

#endif /* VHOST_NET_ASYNC_H */
