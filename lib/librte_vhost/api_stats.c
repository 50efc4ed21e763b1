/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Public statistics of a queue, see rte_vhost_vring_stats_get().  One table names
 * the counters, in the order that applications rely on, and says where each is.
 */

#include <stddef.h>
#include <stdio.h>

#include <rte_common.h>

#include "rte_vhost.h"

#include "device.h"

static const struct {
	const char *name;
	size_t offset;		/**< in struct vq_stats */
	unsigned int since;	/**< ABI that has it; 0: all do */
} counters[] = {
	{ "good_packets", offsetof(struct vq_stats, packets) },
	{ "good_bytes", offsetof(struct vq_stats, bytes) },
	{ "multicast_packets", offsetof(struct vq_stats, multicast) },
	{ "broadcast_packets", offsetof(struct vq_stats, broadcast) },
	{ "undersize_packets", offsetof(struct vq_stats, undersize) },
	{ "size_64_packets", offsetof(struct vq_stats, size_bins[0]) },
	{ "size_65_127_packets", offsetof(struct vq_stats, size_bins[1]) },
	{ "size_128_255_packets", offsetof(struct vq_stats, size_bins[2]) },
	{ "size_256_511_packets", offsetof(struct vq_stats, size_bins[3]) },
	{ "size_512_1023_packets", offsetof(struct vq_stats, size_bins[4]) },
	{ "size_1024_1518_packets", offsetof(struct vq_stats, size_bins[5]) },
	{ "size_1519_max_packets", offsetof(struct vq_stats, size_bins[6]) },
	{ "guest_notifications", offsetof(struct vq_stats, guest_notifications) },
	{ "guest_notifications_offloaded", offsetof(struct vq_stats, notifications_offloaded), 25 },
	{ "guest_notifications_error", offsetof(struct vq_stats, notifications_failed), 25 },
	{ "guest_notifications_suppressed", offsetof(struct vq_stats, notifications_suppressed), 25 },
	{ "iotlb_hits", offsetof(struct vq_stats, iotlb_hits) },
	{ "iotlb_misses", offsetof(struct vq_stats, iotlb_misses) },
	{ "inflight_submitted", offsetof(struct vq_stats, inflight_submitted) },
	{ "inflight_completed", offsetof(struct vq_stats, inflight_completed) },
	{ "mbuf_alloc_failed", offsetof(struct vq_stats, mbuf_alloc_failed), 25 },
};

/** The queue, if its device counts at all. */
static struct vhost_queue *
counting_queue(int vid, uint16_t queue_id)
{
	struct vhost_device *dev = vhost_device_get(vid);

	if (dev == NULL || !(vhost_device_flags(dev) & RTE_VHOST_USER_NET_STATS_ENABLE))
		return NULL;
	return vhost_device_queue(dev, queue_id);
}

/** Whether this ABI knows the counter; the ids are those of the ones that it does. */
static bool
is_offered(unsigned int i)
{
	return counters[i].since <= VHOST_ABI;
}

static unsigned int
count_offered(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < RTE_DIM(counters); i++)
		n += is_offered(i);
	return n;
}

int
rte_vhost_vring_stats_get_names(int vid, uint16_t queue_id, struct rte_vhost_stat_name *name,
		unsigned int size)
{
	unsigned int i, id = 0;

	if (counting_queue(vid, queue_id) == NULL)
		return -1;
	if (name == NULL || size < count_offered())
		return count_offered();
	for (i = 0; i < RTE_DIM(counters); i++) {
		if (!is_offered(i))
			continue;
		/* the host receives what the guest transmits */
		snprintf(name[id].name, sizeof(name[id].name), "%s_q%u_%s",
			queue_id % 2 == 1 ? "rx" : "tx", queue_id / 2, counters[i].name);
		id++;
	}
	return id;
}

int
rte_vhost_vring_stats_get(int vid, uint16_t queue_id, struct rte_vhost_stat *stats,
		unsigned int n)
{
	struct vhost_queue *q = counting_queue(vid, queue_id);
	struct vq_stats values;
	unsigned int i, id = 0;

	if (q == NULL)
		return -1;
	if (stats == NULL || n < count_offered())
		return count_offered();
	if (vhost_queue_stats(q, &values, false) < 0)
		return -1;
	for (i = 0; i < RTE_DIM(counters); i++) {
		if (!is_offered(i))
			continue;
		stats[id].id = id;
		stats[id].value = *(const uint64_t *)((const char *)&values + counters[i].offset);
		id++;
	}
	return id;
}

int
rte_vhost_vring_stats_reset(int vid, uint16_t queue_id)
{
	struct vhost_queue *q = counting_queue(vid, queue_id);
	struct vq_stats values;

	return q != NULL && vhost_queue_stats(q, &values, true) == 0 ? 0 : -1;
}
