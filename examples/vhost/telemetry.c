/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Telemetry: the same as the views, for programs.  Commands run in a thread of
 * EAL's, so they take the control lock.  Answers have a limited size, hence a list
 * of names and one answer for each.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_telemetry.h>
#include <rte_version.h>

#include "dma.h"
#include "mac_table.h"
#include "orders.h"
#include "plan.h"
#include "telemetry.h"
#include "view.h"

#if RTE_VERSION < RTE_VERSION_NUM(23, 3, 0, 0)
#define rte_tel_data_add_dict_uint rte_tel_data_add_dict_u64
#define rte_tel_data_add_array_uint rte_tel_data_add_array_u64
#define RTE_TEL_UINT_VAL RTE_TEL_U64_VAL
#endif

/** Say why there is no answer, in its place; what to return from a command. */
static int
refuse(struct rte_tel_data *d, const char *why)
{
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "error", why);
	return 0;
}

/** Add a container to a dictionary; without memory it is left out. */
static void
add_container(struct rte_tel_data *to, const char *name, struct rte_tel_data *container)
{
	if (container != NULL && rte_tel_data_add_dict_container(to, name, container, 0) != 0)
		rte_tel_data_free(container);
}

static struct rte_tel_data *
tell_drops(const struct vport_counters *counters)
{
	struct rte_tel_data *d = rte_tel_data_alloc();

	if (d == NULL)
		return NULL;
	rte_tel_data_start_dict(d);
	for (unsigned int i = 0; i < DROP_REASONS; i++)
		rte_tel_data_add_dict_uint(d, drop_names[i], counters->drops[i]);
	return d;
}

/* /vhost_switch/list */

static int
tell_list(struct rte_tel_data *d)
{
	struct vport *vport;

	rte_tel_data_start_array(d, RTE_TEL_STRING_VAL);
	control_lock();
	VPORT_FOREACH(vport)
		if (vport->connected)
			rte_tel_data_add_array_string(d, vport->name);
	control_unlock();
	return 0;
}

/* /vhost_switch/info,NAME */

/* What is told about each receive queue: an array for each, with an element per queue. */

static int
tell_enabled(const struct vport_rxq *rxq)
{
	return rxq->enabled;
}

static int
tell_poller(const struct vport_rxq *rxq)
{
	return rxq->lcore != LCORE_ID_ANY ? (int)rxq->lcore : -1;
}

static int
tell_poller_node(const struct vport_rxq *rxq)
{
	return view_lcore_node(rxq->lcore);
}

static int
tell_distance(const struct vport_rxq *rxq)
{
	return topology_distance(rxq->node, view_lcore_node(rxq->lcore));
}

static int
tell_local(const struct vport_rxq *rxq)
{
	return rxq->lcore != LCORE_ID_ANY && tell_distance(rxq) == DISTANCE_LOCAL;
}

static int
tell_pinned(const struct vport_rxq *rxq)
{
	return rxq->pinned != LCORE_ID_ANY;
}

static int
tell_usage(const struct vport_rxq *rxq)
{
	return view_usage(rxq);
}

static const struct {
	const char *name;
	int (*tell)(const struct vport_rxq *rxq);
} queue_facts[] = {
	{ "queue_enabled", tell_enabled },
	{ "queue_lcore", tell_poller },
	{ "queue_lcore_node", tell_poller_node },
	{ "queue_distance", tell_distance },
	{ "queue_local", tell_local },
	{ "queue_pinned", tell_pinned },
	{ "queue_usage", tell_usage },
};

static void
tell_queues(struct rte_tel_data *d, const struct vport *vport)
{
	uint32_t n = vport->connected ? vport->n_rxq : 0;

	for (unsigned int fact = 0; fact < RTE_DIM(queue_facts); fact++) {
		struct rte_tel_data *values = rte_tel_data_alloc();

		if (values == NULL)
			return;
		rte_tel_data_start_array(values, RTE_TEL_INT_VAL);
		for (uint32_t i = 0; i < n; i++)
			rte_tel_data_add_array_int(values, queue_facts[fact].tell(&vport->rxq[i]));
		add_container(d, queue_facts[fact].name, values);
	}
}

/** Of each queue of a guest, the packets for it that its ring did not take. */
static void
tell_queue_drops(struct rte_tel_data *d, const struct vport *vport,
	const struct vport_counters *counters)
{
	struct rte_tel_data *values = rte_tel_data_alloc();

	if (values == NULL)
		return;
	rte_tel_data_start_array(values, RTE_TEL_UINT_VAL);
	for (uint32_t i = 0; i < vport->n_rxq; i++)
		rte_tel_data_add_array_uint(values, counters->queue_drops[i]);
	add_container(d, "queue_dropped", values);
}

static struct rte_tel_data *
tell_counters(const struct vport_counters *counters)
{
	struct rte_tel_data *d = rte_tel_data_alloc();

	if (d == NULL)
		return NULL;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_uint(d, "rx_packets", counters->rx_packets);
	rte_tel_data_add_dict_uint(d, "rx_bytes", counters->rx_bytes);
	rte_tel_data_add_dict_uint(d, "tx_packets", counters->tx_packets);
	rte_tel_data_add_dict_uint(d, "tx_bytes", counters->tx_bytes);
	rte_tel_data_add_dict_uint(d, "crossed_nodes", counters->crossed);
	return d;
}

static void
tell_guest(struct rte_tel_data *d, const struct vport *vport)
{
	struct guest_memory memory;

	rte_tel_data_add_dict_int(d, "vid", vport->guest.vid);
	rte_tel_data_add_dict_string(d, "path", vport->guest.path);
	rte_tel_data_add_dict_uint(d, "features", vport->guest.features);
	rte_tel_data_add_dict_int(d, "dma_tx", vport->guest.dma[DMA_TX]);
	rte_tel_data_add_dict_int(d, "dma_rx", vport->guest.dma[DMA_RX]);
	rte_tel_data_add_dict_int(d, "in_flight", dma_in_flight(vport->guest.vid, 2 * vport->n_rxq));
	view_guest_memory(vport, &memory);
	rte_tel_data_add_dict_int(d, "structures_node", memory.structures);
	rte_tel_data_add_dict_int(d, "mbufs_node", memory.mbufs);
	rte_tel_data_add_dict_int(d, "guest_memory_node", topology_main_node(&memory.guest));
	rte_tel_data_add_dict_int(d, "guest_memory_pages_seen", memory.guest.seen);
}

static int
tell_info(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	struct vport_counters counters;
	struct vport *vport;

	control_lock();
	vport = params != NULL ? vport_find(params) : NULL;
	if (vport == NULL) {
		control_unlock();
		return refuse(d, "no guest or port has that name: /vhost_switch/list has all");
	}
	plan_count(vport, &counters);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "name", vport->name);
	rte_tel_data_add_dict_string(d, "kind", vport->kind == VPORT_GUEST ? "guest" : "port");
	rte_tel_data_add_dict_int(d, "connected", vport->connected);
	rte_tel_data_add_dict_int(d, "node", vport->node);
	if (vport->kind == VPORT_GUEST && vport->connected)
		tell_guest(d, vport);
	else
		rte_tel_data_add_dict_int(d, "mbufs_node", vport->pool != NULL ?
				vport->pool->node : NODE_ANY);
	tell_queues(d, vport);
	if (vport->kind == VPORT_GUEST && vport->connected)
		tell_queue_drops(d, vport, &counters);
	add_container(d, "counters", tell_counters(&counters));
	add_container(d, "drops", tell_drops(&counters));
	control_unlock();
	return 0;
}

/* /vhost_switch/lcores and /vhost_switch/lcore,ID */

static int
tell_lcores(struct rte_tel_data *d)
{
	rte_tel_data_start_array(d, RTE_TEL_INT_VAL);
	control_lock();
	for (uint32_t i = 0; i < n_workers; i++)
		rte_tel_data_add_array_int(d, workers[i]->lcore);
	control_unlock();
	return 0;
}

/** The worker that a parameter names, or NULL. */
static const struct worker *
named_worker(const char *params)
{
	unsigned long lcore;
	char *end;

	if (params == NULL || *params == '\0')
		return NULL;
	lcore = strtoul(params, &end, 10);
	return *end == '\0' && lcore < RTE_MAX_LCORE ? worker_on(lcore) : NULL;
}

static struct rte_tel_data *
tell_lcore_queues(const struct worker *worker)
{
	struct rte_tel_data *queues = rte_tel_data_alloc();
	char name[VPORT_NAME_LEN + 16];
	struct vport *vport;

	if (queues == NULL)
		return NULL;
	rte_tel_data_start_array(queues, RTE_TEL_STRING_VAL);
	VPORT_FOREACH(vport) {
		for (uint32_t i = 0; vport->connected && i < vport->n_rxq; i++) {
			if (vport->rxq[i].lcore != worker->lcore)
				continue;
			snprintf(name, sizeof(name), "%s:%u", vport->name, i);
			rte_tel_data_add_array_string(queues, name);
		}
	}
	return queues;
}

static int
tell_lcore(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	const struct worker *worker;
	struct vport_counters sum;
	uint64_t busy, total;

	control_lock();
	worker = named_worker(params);
	if (worker == NULL) {
		control_unlock();
		return refuse(d, "no such lcore polls: /vhost_switch/lcores has all");
	}
	plan_count_worker(worker, &sum);
	busy = __atomic_load_n(&worker->work.busy_cycles, __ATOMIC_RELAXED);
	total = rte_rdtsc() - worker->start_cycles;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_int(d, "lcore", worker->lcore);
	rte_tel_data_add_dict_int(d, "node", worker->node);
	rte_tel_data_add_dict_int(d, "isolated", worker->isolated);
	add_container(d, "queues", tell_lcore_queues(worker));
	rte_tel_data_add_dict_uint(d, "rx_packets", sum.rx_packets);
	rte_tel_data_add_dict_uint(d, "tx_packets", sum.tx_packets);
	rte_tel_data_add_dict_uint(d, "crossed_nodes", sum.crossed);
	rte_tel_data_add_dict_uint(d, "dropped", counters_dropped(&sum));
	add_container(d, "drops", tell_drops(&sum));
	rte_tel_data_add_dict_uint(d, "busy_cycles", busy);
	rte_tel_data_add_dict_uint(d, "total_cycles", total);
	rte_tel_data_add_dict_int(d, "usage", total != 0 ? busy * 100 / total : 0);
	control_unlock();
	return 0;
}

/* /vhost_switch/totals */

static int
tell_totals(struct rte_tel_data *d)
{
	struct switch_totals totals;

	control_lock();
	plan_count_all(&totals);
	control_unlock();
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_uint(d, "received", totals.vports.rx_packets);
	rte_tel_data_add_dict_uint(d, "flood_copies", totals.work.flood_copies);
	rte_tel_data_add_dict_uint(d, "gso_segments", totals.work.gso_segments);
	rte_tel_data_add_dict_uint(d, "gro_merged", totals.work.gro_merged);
	rte_tel_data_add_dict_uint(d, "sent", totals.vports.tx_packets);
	rte_tel_data_add_dict_uint(d, "crossed_nodes", totals.vports.crossed);
	rte_tel_data_add_dict_uint(d, "dropped", totals.dropped);
	rte_tel_data_add_dict_int(d, "balance", totals.balance);
	add_container(d, "drops", tell_drops(&totals.vports));
	return 0;
}

/* /vhost_switch/pools */

static struct rte_tel_data *
tell_pool(const struct pool *pool)
{
	struct rte_tel_data *d = rte_tel_data_alloc();

	if (d == NULL)
		return NULL;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_int(d, "asked_node", pool->asked_node);
	rte_tel_data_add_dict_int(d, "node", pool->node);
	rte_tel_data_add_dict_uint(d, "mbufs", pool->mbufs->size);
	rte_tel_data_add_dict_uint(d, "available", rte_mempool_avail_count(pool->mbufs));
	return d;
}

static int
tell_pools(struct rte_tel_data *d)
{
	const struct pool *pool;

	rte_tel_data_start_dict(d);
	control_lock();
	for (unsigned int i = 0; (pool = pools_at(i)) != NULL; i++)
		add_container(d, pool->mbufs->name, tell_pool(pool));
	control_unlock();
	return 0;
}

/* /vhost_switch/fdb and /vhost_switch/fdb_lookup,MAC */

static int
tell_fdb(struct rte_tel_data *d)
{
	struct mac_table_counts counts;

	mac_table_count(&counts);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_uint(d, "entries", counts.entries);
	rte_tel_data_add_dict_uint(d, "limit", counts.limit);
	rte_tel_data_add_dict_uint(d, "learned", counts.learned);
	rte_tel_data_add_dict_uint(d, "moved", counts.moved);
	rte_tel_data_add_dict_uint(d, "aged", counts.aged);
	rte_tel_data_add_dict_uint(d, "refused", counts.refused);
	return 0;
}

static int
tell_fdb_lookup(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	char text[RTE_ETHER_ADDR_FMT_SIZE];
	struct mac_table_entry entry;
	struct rte_ether_addr wanted;
	uint32_t position = 0;
	bool found = false;

	if (params == NULL || rte_ether_unformat_addr(params, &wanted) != 0)
		return refuse(d, "parameter: an Ethernet address");
	control_lock();
	while (!found && mac_table_next(&position, workers_now(), &entry))
		found = rte_is_same_ether_addr(&entry.address, &wanted);
	if (found) {
		rte_ether_format_addr(text, sizeof(text), &entry.address);
		rte_tel_data_start_dict(d);
		rte_tel_data_add_dict_string(d, "mac", text);
		rte_tel_data_add_dict_string(d, "port", vport_at(entry.vport)->name);
		rte_tel_data_add_dict_int(d, "age", entry.age);
	}
	control_unlock();
	return found ? 0 : refuse(d, "the address is not known");
}

/* /vhost_switch/fdb_show,POSITION */

/** Addresses of one answer: what is left out is asked for by position. */
#define FDB_PAGE 64

static int
tell_fdb_show(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	char address[RTE_ETHER_ADDR_FMT_SIZE], text[RTE_TEL_MAX_STRING_LEN];
	struct rte_tel_data *page = rte_tel_data_alloc();
	struct mac_table_entry entry;
	uint32_t position = 0;
	unsigned int n;
	bool more = true;
	char *end;

	if (page == NULL)
		return -1;
	if (params != NULL && *params != '\0') {
		position = strtoul(params, &end, 10);
		if (*params < '0' || *params > '9' || *end != '\0') {
			rte_tel_data_free(page);
			return refuse(d, "parameter: the position that the last answer calls next");
		}
	}
	rte_tel_data_start_dict(d);
	rte_tel_data_start_array(page, RTE_TEL_STRING_VAL);
	control_lock();
	for (n = 0; n < FDB_PAGE && more; n++) {
		more = mac_table_next(&position, workers_now(), &entry);
		if (!more)
			break;
		rte_ether_format_addr(address, sizeof(address), &entry.address);
		snprintf(text, sizeof(text), "%s %s %u", address, vport_at(entry.vport)->name,
			entry.age);
		rte_tel_data_add_array_string(page, text);
	}
	control_unlock();
	add_container(d, "addresses", page);
	rte_tel_data_add_dict_int(d, "next", more ? (int)position : -1);
	return 0;
}

/* What changes something: the prompt's other commands */

static int
obey(struct rte_tel_data *d, const char *why)
{
	if (why != NULL)
		return refuse(d, why);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "result", "done");
	return 0;
}

static int
rebalance(struct rte_tel_data *d)
{
	order_rebalance();
	return obey(d, NULL);
}

static int
affinity(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	char text[256], *rest = text, *name, *queue, *lcore, *end;
	unsigned long number;

	snprintf(text, sizeof(text), "%s", params != NULL ? params : "");
	name = strsep(&rest, ",");
	queue = strsep(&rest, ",");
	lcore = strsep(&rest, ",");
	if (lcore == NULL || rest != NULL || *queue < '0' || *queue > '9')
		return refuse(d, "parameters: string name, int queue, int lcore or none");
	number = strtoul(queue, &end, 10);
	if (*end != '\0')
		return refuse(d, "the queue is a number");
	return obey(d, order_affinity(name, number, lcore));
}

static int
socket_restart(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	return obey(d, order_socket_restart(params != NULL ? params : ""));
}

static int
flush(struct rte_tel_data *d)
{
	order_flush();
	return obey(d, NULL);
}

static int
quit(struct rte_tel_data *d)
{
	order_quit();
	return obey(d, NULL);
}

static const struct command {
	const char *name;
	telemetry_cb tell;	/**< NULL: it takes no parameters */
	const char *help;
	int (*tell_without)(struct rte_tel_data *d);	/**< instead of tell */
} commands[] = {
	{ "/vhost_switch/list", NULL,
		"Returns the names of all guests and ports. Takes no parameters", tell_list },
	{ "/vhost_switch/info", tell_info,
		"Returns what a guest or port is and has done. Parameters: string name" },
	{ "/vhost_switch/lcores", NULL,
		"Returns the lcores that poll. Takes no parameters", tell_lcores },
	{ "/vhost_switch/lcore", tell_lcore,
		"Returns what an lcore polls and has done. Parameters: int lcore" },
	{ "/vhost_switch/totals", NULL,
		"Returns the packets of the whole switch. Takes no parameters", tell_totals },
	{ "/vhost_switch/pools", NULL,
		"Returns the packet buffers of each node. Takes no parameters", tell_pools },
	{ "/vhost_switch/fdb", NULL,
		"Returns how many addresses are known. Takes no parameters", tell_fdb },
	{ "/vhost_switch/fdb_lookup", tell_fdb_lookup,
		"Returns where an address is. Parameters: string address" },
	{ "/vhost_switch/fdb_show", tell_fdb_show,
		"Returns addresses with their ports and ages, 64 at a time. Parameters: none or int position" },
	{ "/vhost_switch/fdb_flush", NULL,
		"Forgets all addresses. Takes no parameters", flush },
	{ "/vhost_switch/rebalance", NULL,
		"Assigns all queues to lcores anew. Takes no parameters", rebalance },
	{ "/vhost_switch/rxq_affinity", affinity,
		"Has a queue polled on an lcore. Parameters: string name, int queue, int lcore or none" },
	{ "/vhost_switch/socket_restart", socket_restart,
		"Lets the guests of a socket go, and begins with it anew. Parameters: string path" },
	{ "/vhost_switch/quit", NULL,
		"Ends the program. Takes no parameters", quit },
};

static int
without_parameters(const char *cmd, const char *params, struct rte_tel_data *d)
{
	const struct command *command = commands;

	if (params != NULL && *params != '\0')
		return refuse(d, "it takes no parameters");
	while (strcmp(command->name, cmd) != 0)
		command++;
	return command->tell_without(d);
}

void
telemetry_register(void)
{
	for (unsigned int i = 0; i < RTE_DIM(commands); i++)
		rte_telemetry_register_cmd(commands[i].name, commands[i].tell != NULL ?
			commands[i].tell : without_parameters, commands[i].help);
}
