/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_STATS_H
#define VHOST_NET_STATS_H

/* Counters of a queue, kept only if the application asked for them (NET_STATS). */

#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "vhost_virtqueue.h"

/** Index into vq_stats.size_bins of a packet of at least 64 bytes. */
static __rte_always_inline unsigned int
net_size_bin(uint32_t len)
{
	if (len == 64)
		return 0;
	if (len > 1518)
		return 6;
	/* 65..127 is 1, and one more for each doubling */
	return 26 - __builtin_clz(len);
}

static __rte_always_inline void
net_stats_count(struct vq_stats *stats, struct rte_mbuf *const *pkts, uint16_t count)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < count; i++) {
		const struct rte_mbuf *pkt = pkts[i];
		const struct rte_ether_addr *dst =
			rte_pktmbuf_mtod(pkt, const struct rte_ether_addr *);

		bytes += pkt->pkt_len;
		if (unlikely(pkt->pkt_len < 64))
			stats->undersize++;
		else
			stats->size_bins[net_size_bin(pkt->pkt_len)]++;
		if (unlikely(pkt->data_len < sizeof(*dst)))
			continue;
		if (unlikely(rte_is_multicast_ether_addr(dst))) {
			if (rte_is_broadcast_ether_addr(dst))
				stats->broadcast++;
			else
				stats->multicast++;
		}
	}
	stats->packets += count;
	stats->bytes += bytes;
}

#endif /* VHOST_NET_STATS_H */
