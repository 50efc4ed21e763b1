/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include "counters.h"

const char * const drop_names[DROP_REASONS] = {
	[DROP_RING_FULL] = "ring_full",
	[DROP_TOO_BIG] = "too_big",
	[DROP_GUEST_GONE] = "guest_gone",
	[DROP_PORT_FULL] = "port_full",
	[DROP_NO_MBUF] = "no_mbuf",
	[DROP_SAME_PORT] = "same_port",
	[DROP_NO_DESTINATION] = "no_destination",
	[DROP_VM2VM_OFF] = "vm2vm_off",
	[DROP_MALFORMED] = "malformed",
};

/** Read a counter that its lcore may be writing at the same time. */
static uint64_t
get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void
counters_add(struct vport_counters *sum, const struct vport_counters *more)
{
	sum->rx_packets += get(&more->rx_packets);
	sum->rx_bytes += get(&more->rx_bytes);
	sum->tx_packets += get(&more->tx_packets);
	sum->tx_bytes += get(&more->tx_bytes);
	sum->crossed += get(&more->crossed);
	for (unsigned int i = 0; i < DROP_REASONS; i++)
		sum->drops[i] += get(&more->drops[i]);
	for (unsigned int i = 0; i < VPORT_MAX_TXQ; i++)
		sum->queue_drops[i] += get(&more->queue_drops[i]);
}

void
counters_add_work(struct work_counters *sum, const struct work_counters *more)
{
	sum->flood_copies += get(&more->flood_copies);
	sum->gso_segments += get(&more->gso_segments);
	sum->gro_merged += get(&more->gro_merged);
	sum->busy_cycles += get(&more->busy_cycles);
}

uint64_t
counters_dropped(const struct vport_counters *counters)
{
	uint64_t dropped = 0;

	for (unsigned int i = 0; i < DROP_REASONS; i++)
		dropped += counters->drops[i];
	return dropped;
}
