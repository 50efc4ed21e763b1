/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ethdev.h>

#include "mac_table.h"
#include "offload.h"
#include "options.h"
#include "plan.h"
#include "ports.h"
#include "switch_log.h"
#include "topology.h"

#define RING_SIZE 512

/* What we have the NIC do if it can. */
#define TX_CSUM (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM | \
		RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
#define TX_OFFLOADS (TX_CSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
#define RX_OFFLOADS (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_SCATTER)

/** A port's setup while it is being made. */
struct setup {
	uint16_t port;
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	uint16_t n_queues;
	uint16_t first_queue;	/**< of the driver's numbering; not 0 with VMDq only */
};

static const char *
name_of(uint16_t port)
{
	static char name[RTE_ETH_NAME_MAX_LEN];

	if (rte_eth_dev_get_name_by_port(port, name) != 0)
		snprintf(name, sizeof(name), "port%u", port);
	return name;
}

static bool
is_driver(const struct setup *setup, const char *name)
{
	return strcmp(setup->info.driver_name, name) == 0;
}

/* VMDq */

static bool
has_vmdq(const struct setup *setup)
{
	return setup->info.max_vmdq_pools >= RTE_ETH_8_POOLS;
}

/** One pool for each receive queue of a vport; packets for nobody's address go to the first. */
static void
plan_vmdq(struct setup *setup)
{
	struct rte_eth_vmdq_rx_conf *vmdq = &setup->conf.rx_adv_conf.vmdq_rx_conf;

	setup->conf.rxmode.mq_mode = RTE_ETH_MQ_RX_VMDQ_ONLY;
	vmdq->nb_queue_pools = setup->info.max_vmdq_pools >= RTE_ETH_16_POOLS ?
		RTE_ETH_16_POOLS : RTE_ETH_8_POOLS;
	vmdq->enable_default_pool = 1;
	vmdq->default_pool = 0;
	vmdq->enable_loop_back = options.vm2vm == VM2VM_HARDWARE;
	vmdq->rx_mode = RTE_ETH_VMDQ_ACCEPT_UNTAG | RTE_ETH_VMDQ_ACCEPT_BROADCAST |
		RTE_ETH_VMDQ_ACCEPT_MULTICAST;
	setup->n_queues = RTE_MIN(vmdq->nb_queue_pools, setup->info.vmdq_queue_num);
	setup->first_queue = setup->info.vmdq_queue_base;
}

/* Configuration */

/** With several lcores, several queues, if the NIC spreads packets over them. */
static void
plan_rss(struct setup *setup)
{
	uint64_t hash = setup->info.flow_type_rss_offloads &
		(RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);

	setup->n_queues = 1;
	if (hash == 0)
		return;
	setup->n_queues = RTE_MIN(n_workers, (uint32_t)VPORT_MAX_RXQ);
	setup->n_queues = RTE_MIN(setup->n_queues, setup->info.max_rx_queues);
	setup->n_queues = RTE_MIN(setup->n_queues, setup->info.max_tx_queues);
	if (setup->n_queues == 1)
		return;
	setup->conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	setup->conf.rx_adv_conf.rss_conf.rss_hf = hash;
}

static int
plan_port(struct setup *setup)
{
	int ret = rte_eth_dev_info_get(setup->port, &setup->info);

	if (ret < 0)
		return ret;
	if (has_vmdq(setup))
		plan_vmdq(setup);
	else
		plan_rss(setup);
	setup->conf.txmode.offloads = setup->info.tx_offload_capa & TX_OFFLOADS;
	/* its segmentation is software like ours, does IPv4 only, and drops IPv6 */
	if (is_driver(setup, "net_tap"))
		setup->conf.txmode.offloads &= ~(TX_CSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO);
	setup->conf.rxmode.offloads = setup->info.rx_offload_capa & RX_OFFLOADS;
	return 0;
}

static int
set_up_queues(const struct setup *setup, const struct pool *pool)
{
	int node = rte_eth_dev_socket_id(setup->port);
	uint16_t n_rxd = RING_SIZE, n_txd = RING_SIZE;
	int ret = rte_eth_dev_adjust_nb_rx_tx_desc(setup->port, &n_rxd, &n_txd);

	for (uint16_t i = 0; i < setup->first_queue + setup->n_queues && ret == 0; i++)
		ret = rte_eth_rx_queue_setup(setup->port, i, n_rxd, node, NULL, pool->mbufs);
	for (uint16_t i = 0; i < setup->n_queues && ret == 0; i++)
		ret = rte_eth_tx_queue_setup(setup->port, i, n_txd, node, NULL);
	return ret;
}

static int
configure(struct setup *setup, const struct pool *pool)
{
	int ret = rte_eth_dev_configure(setup->port, setup->first_queue + setup->n_queues,
			setup->n_queues, &setup->conf);

	if (ret == 0)
		ret = set_up_queues(setup, pool);
	if (ret == 0)
		ret = rte_eth_dev_start(setup->port);
	if (ret < 0)
		return ret;
	if (options.promiscuous && rte_eth_promiscuous_enable(setup->port) != 0)
		LOG(WARNING, "port %s has no promiscuous mode", name_of(setup->port));
	/* a switch passes on all groups; drivers that cannot choose receive them anyway */
	rte_eth_allmulticast_enable(setup->port);
	return 0;
}

static uint8_t
offloads_taken(const struct setup *setup)
{
	uint64_t offloads = setup->conf.txmode.offloads;
	uint8_t takes = 0;

	if (offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
		takes |= OFFLOAD_CHAIN;
	if ((offloads & TX_CSUM) != TX_CSUM)
		return takes;
	takes |= OFFLOAD_CSUM;
	if (offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO)
		takes |= OFFLOAD_TSO4 | OFFLOAD_TSO6;
	return takes;
}

static void
describe(struct vport *vport, const struct setup *setup)
{
	uint16_t mtu = RTE_ETHER_MTU;

	rte_eth_dev_get_mtu(setup->port, &mtu);
	vport->ethdev.port_id = setup->port;
	vport->ethdev.vmdq = has_vmdq(setup);
	vport->takes = offloads_taken(setup);
	/* with room for two VLAN tags, which an MTU does not count */
	vport->max_len = mtu + sizeof(struct rte_ether_hdr) + 2 * sizeof(struct rte_vlan_hdr);
	vport->n_rxq = vport->n_txq = setup->n_queues;
	for (uint16_t i = 0; i < setup->n_queues; i++) {
		vport->rxq[i].enabled = true;
		vport->rxq[i].node = vport->node;
		vport->rxq[i].ring = setup->first_queue + i;
		vport->txq[i] = i;
	}
	vport->connected = true;
}

static int
start_port(uint16_t port)
{
	struct setup setup = { .port = port };
	struct vport *vport = vport_claim(VPORT_ETHDEV, name_of(port));
	int ret = plan_port(&setup);

	if (vport == NULL)
		return -ENOSPC;
	vport->node = rte_eth_dev_socket_id(port);
	vport->pool = pools_get(vport->node);
	if (vport->pool == NULL)
		return -ENOMEM;
	if (ret == 0)
		ret = configure(&setup, vport->pool);
	if (ret < 0) {
		LOG(ERR, "port %s cannot be started: %s", vport->name, rte_strerror(-ret));
		return ret;
	}
	describe(vport, &setup);
	LOG(INFO, "port %s: node %d, %u queues%s", vport->name, vport->node, vport->n_rxq,
			vport->ethdev.vmdq ? " of VMDq pools" : "");
	return 0;
}

int
ports_start(void)
{
	bool vmdq = false;
	uint16_t port;
	int ret = 0;

	control_lock();
	RTE_ETH_FOREACH_DEV(port) {
		if (ret < 0 || port >= 64 || !(options.port_mask & RTE_BIT64(port)))
			continue;
		ret = start_port(port);
		vmdq |= ret == 0 && vport_find(name_of(port))->ethdev.vmdq;
	}
	if (ret == 0 && options.vm2vm == VM2VM_HARDWARE && !vmdq) {
		LOG(ERR, "--vm2vm 2 takes a port (-p) whose NIC switches between VMDq pools");
		ret = -ENOTSUP;
	}
	if (ret == 0)
		plan_refresh();
	control_unlock();
	return ret;
}

void
ports_stop(void)
{
	struct vport *vport;

	VPORT_FOREACH(vport) {
		if (vport->kind != VPORT_ETHDEV || !vport->connected)
			continue;
		rte_eth_dev_stop(vport->ethdev.port_id);
		rte_eth_dev_close(vport->ethdev.port_id);
		vport->connected = false;
	}
}

/* Addresses */

/**
 * Let a port receive what is for an address of a guest, into the guest's pool if it
 * has such.  A NIC that can take no more addresses receives everything instead.
 */
static void
admit(struct vport *port, const struct vport *guest, struct rte_ether_addr *address)
{
	uint16_t pool = port->ethdev.vmdq ? guest->id % port->n_rxq : 0;
	uint16_t id = port->ethdev.port_id;

	if (port->ethdev.vmdq)
		port->rxq[pool].node = guest->node;
	if (rte_eth_dev_mac_addr_add(id, address, pool) == 0 || rte_eth_promiscuous_get(id) == 1)
		return;
	if (rte_eth_promiscuous_enable(id) == 0)
		LOG(INFO, "port %s takes no address more, so it is promiscuous now", port->name);
}

static void
admit_guests(struct vport *port)
{
	struct mac_table_entry entry;
	uint32_t position = 0;

	while (mac_table_next(&position, workers_now(), &entry)) {
		struct vport *guest = vport_at(entry.vport);

		if (guest->kind == VPORT_GUEST && guest->connected)
			admit(port, guest, &entry.address);
	}
}

void
ports_update(void)
{
	static uint64_t seen;
	struct mac_table_counts counts;
	struct vport *vport;
	bool vmdq = false;

	mac_table_count(&counts);
	if (counts.learned + counts.moved == seen)
		return;
	seen = counts.learned + counts.moved;
	VPORT_FOREACH(vport) {
		if (vport->kind != VPORT_ETHDEV || !vport->connected)
			continue;
		vmdq |= vport->ethdev.vmdq;
		if (!options.promiscuous || vport->ethdev.vmdq)
			admit_guests(vport);
	}
	if (vmdq)	/* a pool's queue may be another guest's now */
		plan_refresh();
}
