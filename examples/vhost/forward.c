/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <stdbool.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "forward.h"
#include "mac_table.h"
#include "merge.h"
#include "offload.h"
#include "options.h"
#include "output.h"

/* How many packets ahead headers are fetched into the cache. */
#define PREFETCH_AHEAD 4

static void
drop(struct worker *worker, const struct poll *poll, enum drop_reason reason,
		struct rte_mbuf *pkt)
{
	worker->counters[poll->vport].drops[reason]++;
	rte_pktmbuf_free(pkt);
}

/* Addresses */

static struct mac_cached *
cached(struct worker *worker, uint64_t key)
{
	/* the middle of the product depends on all bytes of the address */
	return &worker->macs[(key * UINT64_C(0x9E3779B97F4A7C15)) >> 40 & (MAC_CACHE_SIZE - 1)];
}

/** Note where a source is: at most once a second for each, unless it moves. */
static inline void
learn(struct worker *worker, const struct poll *poll, const struct rte_ether_addr *address)
{
	uint64_t key = mac_key(address);
	struct mac_cached *at = cached(worker, key);

	if (likely(at->key == key && at->vport == poll->vport &&
			at->generation == worker->generation && at->refreshed == worker->tick))
		return;
	if (!rte_is_valid_assigned_ether_addr(address) ||
			!mac_table_learn(key, poll->vport, worker->tick))
		return;
	*at = (struct mac_cached){ key, worker->generation, worker->tick, poll->vport };
}

/** Where a destination is, or VPORT_NONE. */
static inline uint16_t
find(struct worker *worker, const struct rte_ether_addr *address)
{
	uint64_t key = mac_key(address);
	struct mac_cached *at = cached(worker, key);
	uint16_t vport;

	if (likely(at->key == key && at->generation == worker->generation))
		return at->vport;
	vport = mac_table_find(key);
	if (vport != VPORT_NONE)	/* not refreshed: its age is the source's matter */
		*at = (struct mac_cached){ key, worker->generation, worker->tick - 1, vport };
	return vport;
}

/* Destinations */

/** Whether this switch is to bring packets from here to there. */
static bool
may_reach(const struct poll *poll, const struct out *out)
{
	return options.vm2vm == VM2VM_SOFTWARE || poll->kind != VPORT_GUEST ||
		out->kind != VPORT_GUEST;
}

static bool
is_flooded_to(const struct plan *plan, const struct poll *poll, uint16_t vport)
{
	return vport != poll->vport && may_reach(poll, &plan->outs[vport]);
}

/** Put a packet that asks for nothing into the batches of all but its source. */
static void
flood_one(struct worker *worker, const struct plan *plan, const struct poll *poll,
		struct rte_mbuf *pkt)
{
	uint16_t copies = 0;

	for (uint32_t i = 0; i < plan->n_flood; i++)
		copies += is_flooded_to(plan, poll, plan->flood[i]);
	if (copies == 0) {
		drop(worker, poll, DROP_NO_DESTINATION, pkt);
		return;
	}
	worker->work.flood_copies += copies - 1;
	rte_pktmbuf_refcnt_update(pkt, copies - 1);
	for (uint32_t i = 0; i < plan->n_flood; i++)
		if (is_flooded_to(plan, poll, plan->flood[i]))
			output_add(worker, plan, poll, plan->flood[i], pkt);
}

/** Several will have the packet, so what it asks for is done once and before. */
static void
flood(struct worker *worker, const struct plan *plan, const struct poll *poll,
		struct rte_mbuf *pkt)
{
	struct rte_mbuf *done[OFFLOAD_MAX_SEGMENTS];
	int n;

	if (offload_needs(pkt) == 0) {
		flood_one(worker, plan, poll, pkt);
		return;
	}
	n = offload_complete(pkt, poll->mbufs, done);
	if (n < 0) {
		worker->counters[poll->vport].drops[n == -ENOMEM ? DROP_NO_MBUF : DROP_MALFORMED]++;
		return;
	}
	worker->work.gso_segments += n - 1;
	for (int i = 0; i < n; i++)
		flood_one(worker, plan, poll, done[i]);
}

static inline void
forward_one(struct worker *worker, const struct plan *plan, const struct poll *poll,
		struct rte_mbuf *pkt)
{
	const struct rte_ether_hdr *header = rte_pktmbuf_mtod(pkt, const struct rte_ether_hdr *);
	uint16_t vport;

	if (unlikely(pkt->data_len < sizeof(*header))) {
		drop(worker, poll, DROP_MALFORMED, pkt);
		return;
	}
	learn(worker, poll, &header->src_addr);
	if (unlikely(rte_is_multicast_ether_addr(&header->dst_addr))) {
		flood(worker, plan, poll, pkt);
		return;
	}
	vport = find(worker, &header->dst_addr);
	if (unlikely(vport == VPORT_NONE || !plan->outs[vport].present))
		flood(worker, plan, poll, pkt);
	else if (unlikely(vport == poll->vport))
		drop(worker, poll, DROP_SAME_PORT, pkt);
	else if (likely(may_reach(poll, &plan->outs[vport])))
		output_add(worker, plan, poll, vport, pkt);
	else if (plan->vmdq_port != VPORT_NONE)
		output_add(worker, plan, poll, plan->vmdq_port, pkt);
	else
		drop(worker, poll, DROP_VM2VM_OFF, pkt);
}

static void
count_received(struct vport_counters *counters, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++)
		bytes += pkts[i]->pkt_len;
	counters->rx_packets += n;
	counters->rx_bytes += bytes;
}

void
forward_burst(struct worker *worker, const struct plan *plan, const struct poll *poll,
		struct rte_mbuf **pkts, uint16_t n)
{
	count_received(&worker->counters[poll->vport], pkts, n);
	if (options.gro && poll->kind == VPORT_ETHDEV)
		n = merge_segments(worker, pkts, n);
	for (uint16_t i = 0; i < n && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
	for (uint16_t i = 0; i < n; i++) {
		if (i + PREFETCH_AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + PREFETCH_AHEAD], void *));
		forward_one(worker, plan, poll, pkts[i]);
	}
	output_send(worker, plan, poll);
}
