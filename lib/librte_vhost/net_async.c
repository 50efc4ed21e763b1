/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What both directions have in common: beginning copies, and what is to be done when
 * they have ended.  A packet becomes the guest's, or the application's, only here.
 */

#include <errno.h>
#include <string.h>

#include <rte_mbuf.h>

#include "mem_heap.h"
#include "net_async.h"
#include "net_header.h"
#include "net_notify.h"
#include "net_stats.h"

/* The area */

/** Copies that an area has room for: a ring of chains in two pieces, with bounds. */
#define COPIES_MIN 1024u
#define COPIES_MAX 8192u

struct area_sizes {
	uint32_t packets;	/**< a power of two; chains as well */
	uint32_t copies;	/**< likewise */
	size_t chains_at, packets_at, copies_at, iovas_at, known_at, bytes;
};

static struct area_sizes
area_sizes(uint16_t size)
{
	struct area_sizes s;

	s.packets = rte_align32pow2(size);
	s.copies = RTE_MIN(RTE_MAX(2 * s.packets, COPIES_MIN), COPIES_MAX);
	s.packets_at = RTE_CACHE_LINE_ROUNDUP(sizeof(struct net_async));
	s.chains_at = s.packets_at + s.packets * sizeof(struct async_packet);
	s.copies_at = RTE_CACHE_LINE_ROUNDUP(s.chains_at + s.packets * sizeof(struct vq_chain));
	s.iovas_at = s.copies_at + s.copies * sizeof(struct async_copy);
	s.known_at = s.iovas_at + s.copies * sizeof(struct async_iova);
	s.bytes = vhost_iova_is_physical() ? s.known_at + sizeof(struct mem_iova_cache) :
		s.iovas_at;
	return s;
}

struct net_async *
vhost_net_async_create(uint16_t size, int node)
{
	const struct area_sizes s = area_sizes(size);
	struct net_async *area = vhost_heap_alloc(s.bytes, node, &node);

	if (area == NULL)
		return NULL;
	area->packets = RTE_PTR_ADD(area, s.packets_at);
	area->chains = RTE_PTR_ADD(area, s.chains_at);
	area->copies = RTE_PTR_ADD(area, s.copies_at);
	area->packets_mask = s.packets - 1;
	area->chains_mask = s.packets - 1;
	area->copies_mask = s.copies - 1;
	if (s.bytes > s.iovas_at) {
		area->iovas = RTE_PTR_ADD(area, s.iovas_at);
		area->known = RTE_PTR_ADD(area, s.known_at);
	}
	area->bytes = s.bytes;
	area->node = node;
	return area;
}

void
vhost_net_async_set_memory(struct net_async *area, bool pinned)
{
	area->reachable = pinned;
	if (area->known != NULL)
		memset(area->known, 0, sizeof(*area->known));
}

void
vhost_net_async_destroy(struct net_async *area)
{
	vhost_heap_free(area);
}

void
vhost_net_async_inherit(struct net_async *area, const struct net_async *from)
{
	struct net_async own = *area;

	*area = *from;
	area->packets = own.packets;
	area->chains = own.chains;
	area->copies = own.copies;
	area->iovas = own.iovas;
	area->known = own.known;
	area->node = own.node;
	memcpy(area->packets, from->packets, from->bytes - RTE_PTR_DIFF(from->packets, from));
}

/* Submitting */

static void
copy_by_cpu(const struct async_copy *copy)
{
	memcpy(copy->dst, copy->src, copy->len);
}

int
vhost_net_async_add_iovas(struct net_async *area, uint32_t first, struct async_copy copy,
		rte_iova_t mbuf_iova, bool to_mbuf)
{
	int n = 0;

	for (; copy.len > 0; n++) {
		const uint8_t *guest = to_mbuf ? copy.src : copy.dst;
		uint32_t len = RTE_MIN(copy.len, IOVA_PAGE - (uintptr_t)guest % IOVA_PAGE);
		rte_iova_t iova = area->reachable ? vhost_iova_of(area->known, guest) : 0;
		uint32_t i = area->copies_submitted + first + n;

		if (i - area->copies_given > area->copies_mask)
			return -ENOSPC;
		i &= area->copies_mask;
		area->copies[i] = (struct async_copy){ copy.dst, copy.src, len };
		area->iovas[i] = to_mbuf ? (struct async_iova){ mbuf_iova, iova } :
			(struct async_iova){ iova, mbuf_iova };
		mbuf_iova += len;
		copy.dst += len;
		copy.src += len;
		copy.len -= len;
	}
	return n;
}

/** Give one copy to the device: false if the CPU has to make it. */
static __rte_always_inline bool
begin_copy(struct dma_batch *batch, const struct net_async *area, uint32_t i)
{
	const struct async_copy *copy = &area->copies[i];

	if (likely(area->iovas == NULL))
		return dma_batch_copy(batch, (uintptr_t)copy->dst, (uintptr_t)copy->src, copy->len);
	return area->iovas[i].dst != 0 && area->iovas[i].src != 0 &&
		dma_batch_copy(batch, area->iovas[i].dst, area->iovas[i].src, copy->len);
}

/** Begin the copies of a packet: false if the device has no room now, but may have later. */
static __rte_always_inline bool
begin_copies(struct dma_batch *batch, const struct async_plan *plan, uint32_t first,
		struct async_packet *packet)
{
	const struct net_async *area = plan->area;
	bool any = false;

	if (unlikely(!dma_batch_has_room(batch, packet->copies)) &&
			dma_batch_may_wait(batch, packet->copies))
		return false;
	for (uint32_t i = first; i < first + packet->copies; i++) {
		uint32_t at = async_plan_copy(plan, i);

		if (likely(begin_copy(batch, area, at)))
			any = true;
		else
			copy_by_cpu(&area->copies[at]);
	}
	packet->channel = any ? batch->channel : NULL;
	packet->end = batch->channel->submitted;
	return true;
}

uint16_t
vhost_net_async_submit(struct vhost_virtqueue *vq, const struct async_plan *plan,
		struct dma_channel *channel, unsigned int flags)
{
	struct dma_batch batch = dma_batch_begin(channel);
	struct net_async *area = plan->area;
	uint32_t i, chains = 0, copies = 0, places = 0;
	uint16_t accepted = 0;

	for (i = 0; i < plan->packets; i++) {
		struct async_packet *packet = async_plan_packet(plan, i);

		if (likely(packet->copies > 0) &&
				unlikely(!begin_copies(&batch, plan, copies, packet)))
			break;
		chains += packet->chains;
		copies += packet->copies;
		places += packet->places;
		accepted += packet->pkt != NULL;
	}
	dma_batch_end(&batch);
	area->submitted += i;
	area->chains_submitted += chains;
	area->copies_submitted += copies;
	area->places += places;
	area->inflight += accepted;
	vq->state.stats.inflight_submitted += accepted;
	ring_take(vq, places, flags);
	return accepted;
}

/* What is done */

/** Make copies again, as some of them have failed. */
static __rte_noinline void
copy_again(const struct net_async *area, const struct async_packet *packet)
{
	for (uint32_t i = 0; i < packet->copies; i++)
		copy_by_cpu(&area->copies[(area->copies_given + i) & area->copies_mask]);
}

/** Write the checksum of a packet over the guest's copy. */
static __rte_noinline void
complete_cksum(const struct net_async *area, const struct async_packet *packet)
{
	const uint8_t *from;
	struct net_cksum cksum;
	uint32_t at = 0;

	vhost_net_cksum_to_guest(packet->pkt, &cksum);
	from = (const uint8_t *)&cksum.value;
	for (uint32_t i = 0; i < packet->copies; i++) {
		const struct async_copy *copy =
			&area->copies[(area->copies_given + i) & area->copies_mask];

		for (uint32_t k = 0; k < cksum.len; k++)
			if (cksum.offset + k - at < copy->len)
				copy->dst[cksum.offset + k - at] = from[k];
		at += copy->len;
	}
}

static __rte_always_inline bool
is_done(const struct async_packet *packet)
{
	return packet->channel == NULL || dma_channel_is_done(packet->channel, packet->end);
}

/** Whether one of a packet's copies may have failed: they are the last before its end. */
static __rte_always_inline bool
has_failed(const struct async_packet *packet)
{
	uint64_t end = packet->end;

	return packet->channel != NULL && dma_channel_has_failed(packet->channel,
			end > packet->copies ? end - packet->copies : 0, end);
}

/** What remains to be done to a packet when its copies have ended. */
static __rte_always_inline void
finish_packet(const struct vhost_virtqueue *vq, const struct net_async *area,
		struct async_packet *packet, bool to_guest)
{
	if (unlikely(has_failed(packet)))
		copy_again(area, packet);
	if (packet->pkt == NULL)
		return;
	if (to_guest) {
		if (unlikely(packet->is_open))
			complete_cksum(area, packet);
	} else if (vq->net->guest_offloads &&
			unlikely((packet->hdr.flags | packet->hdr.gso_type) != 0)) {
		vhost_net_header_from_guest(vq->net, &packet->hdr, packet->pkt);
	}
}

/** Packets on their way to the application. */
struct returned {
	struct rte_mbuf **pkts;
	uint16_t room;
	uint16_t n;
};

/** Put down the chains of a packet from that place of the ring on: the place behind them. */
static __rte_always_inline uint32_t
put_chains(struct vhost_virtqueue *vq, struct net_async *area, uint32_t n, uint32_t at,
		unsigned int flags)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct vq_chain *chain =
			&area->chains[area->chains_given++ & area->chains_mask];

		ring_put(vq, at, chain->id, chain->places, chain->len, flags);
		at += ring_places(chain, flags);
	}
	return at;
}

/** Give what is done, and return it at once as long as there is room. */
static __rte_always_inline void
give(struct vhost_virtqueue *vq, struct net_async *area, struct returned *to, bool to_guest,
		unsigned int flags)
{
	const uint16_t used = vq->state.last_used_idx;
	uint32_t at = 0;

	while (area->given != area->submitted) {
		struct async_packet *packet = &area->packets[area->given & area->packets_mask];

		if (!is_done(packet))
			break;
		finish_packet(vq, area, packet, to_guest);
		at = put_chains(vq, area, packet->chains, at, flags);
		area->copies_given += packet->copies;
		area->places -= packet->places;
		if (likely(area->returned == area->given && to->n < to->room)) {
			to->pkts[to->n] = packet->pkt;
			to->n += packet->pkt != NULL;
			area->returned++;
		}
		area->given++;
	}
	if (at > 0)
		ring_give(vq, at, flags);
	net_notify(vq, used, flags);
}

static __rte_always_inline void
give_any(struct vhost_virtqueue *vq, struct net_async *area, struct returned *to)
{
	const bool to_guest = vq->cfg.index % 2 == 0;

	if (!(vq->cfg.format & VQ_PACKED))
		give(vq, area, to, to_guest, 0);
	else if (to_guest)
		give(vq, area, to, true, VQ_PACKED);
	else if (virtio_net_has(vq->net, VIRTIO_F_IN_ORDER))
		give(vq, area, to, false, VQ_PACKED | VQ_IN_ORDER);
	else
		give(vq, area, to, false, VQ_PACKED);
}

void
vhost_net_async_give(struct vhost_virtqueue *vq, struct net_async *area)
{
	struct returned nowhere = { 0 };

	if (!net_async_is_idle(area))
		give_any(vq, area, &nowhere);
}

/** Return what was given before. */
static void
return_given(struct net_async *area, struct returned *to)
{
	for (; to->n < to->room && area->returned != area->given; area->returned++) {
		to->pkts[to->n] = area->packets[area->returned & area->packets_mask].pkt;
		to->n += to->pkts[to->n] != NULL;
	}
}

/** Begin at the start again, where memory is in the cache. */
static __rte_always_inline void
rewind_area(struct net_async *area)
{
	area->returned = area->given = area->submitted = 0;
	area->chains_given = area->chains_submitted = 0;
	area->copies_given = area->copies_submitted = 0;
}

uint16_t
vhost_net_async_poll(struct vhost_virtqueue *vq, struct net_async *area,
		struct rte_mbuf **pkts, uint16_t count, struct dma_channel *channel)
{
	struct returned to = { .pkts = pkts, .room = count };

	if (unlikely(area->returned != area->given))
		return_given(area, &to);
	if (likely(!net_async_is_idle(area) && vq->size != 0)) {
		dma_channel_poll(channel);
		give_any(vq, area, &to);
	}
	if (area->returned == area->submitted)
		rewind_area(area);
	area->inflight -= to.n;
	vq->state.stats.inflight_completed += to.n;
	if (vq->net->flags & NET_STATS)
		net_stats_count(&vq->state.stats, pkts, to.n);
	return to.n;
}

bool
vhost_net_async_drain(struct vhost_virtqueue *vq, struct net_async *area)
{
	while (!net_async_is_idle(area)) {
		struct async_packet *packet = &area->packets[area->given & area->packets_mask];

		if (!is_done(packet))
			dma_channel_poll(packet->channel);
		if (!is_done(packet))
			return false;
		vhost_net_async_give(vq, area);
	}
	return true;
}

bool
vhost_net_async_bury(struct net_async *area)
{
	for (; area->returned != area->submitted; area->returned++) {
		struct async_packet *packet = &area->packets[area->returned & area->packets_mask];

		if (area->returned == area->given) {
			if (!is_done(packet))
				dma_channel_poll(packet->channel);
			if (!is_done(packet))
				return false;
			area->given++;
		}
		rte_pktmbuf_free(packet->pkt);
	}
	return true;
}

void
vhost_net_async_hand_over(struct net_async *from, struct net_async *to)
{
	for (; from->returned != from->given; from->returned++) {
		const struct async_packet *packet =
			&from->packets[from->returned & from->packets_mask];

		if (packet->pkt == NULL)
			continue;
		to->packets[to->submitted++ & to->packets_mask] =
			(struct async_packet){ .pkt = packet->pkt };
		to->given++;
		to->inflight++;
	}
}
