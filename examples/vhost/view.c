/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_vhost.h>

#include "mac_table.h"
#include "options.h"
#include "plan.h"
#include "view.h"

/* Pages of each memory region of a guest whose nodes are asked. */
#define REGION_SAMPLES 1024

/* What the tables are made of */

void
view_guest_memory(const struct vport *vport, struct guest_memory *memory)
{
	struct rte_vhost_memory *table;

	memset(memory, 0, sizeof(*memory));
	memory->structures = rte_vhost_get_numa_node(vport->guest.vid);
	memory->mbufs = vport->pool != NULL ? vport->pool->node : NODE_ANY;
	if (rte_vhost_get_mem_table(vport->guest.vid, &table) != 0)
		return;
	for (uint32_t i = 0; i < table->nregions; i++) {
		const struct rte_vhost_mem_region *region = &table->regions[i];

		topology_count_pages(&memory->guest, (void *)(uintptr_t)region->host_user_addr,
				region->size, REGION_SAMPLES);
	}
	free(table);
}

int
view_lcore_node(uint32_t lcore)
{
	const struct worker *worker = worker_on(lcore);

	return worker != NULL ? worker->node : NODE_ANY;
}

unsigned int
view_usage(const struct vport_rxq *rxq)
{
	return RTE_MIN(rxq->load * 100 / rte_get_tsc_hz(), UINT64_C(100));
}

/* pmd-rxq-show */

static void
print_queues_of(FILE *out, const struct worker *worker)
{
	struct vport *vport;

	VPORT_FOREACH(vport) {
		for (uint32_t i = 0; vport->connected && i < vport->n_rxq; i++) {
			const struct vport_rxq *rxq = &vport->rxq[i];

			if (rxq->lcore != worker->lcore)
				continue;
			fprintf(out, "  port: %-16s  queue-id: %2u (enabled)   pmd usage: %2u %%\n",
					vport->name, i, view_usage(rxq));
		}
	}
}

static void
print_worker(FILE *out, const struct worker *worker)
{
	fprintf(out, "pmd thread numa_id %d core_id %u:\n  isolated : %s\n", worker->node,
			worker->lcore, worker->isolated ? "true" : "false");
	print_queues_of(out, worker);
	fprintf(out, "  overhead:  0 %%\n");
}

/** The lcore farthest from a node among those that poll a guest. */
static const struct worker *
farthest_worker(const struct vport *vport, int node)
{
	const struct worker *farthest = NULL, *worker;

	for (uint32_t i = 0; i < vport->n_rxq; i++) {
		worker = worker_on(vport->rxq[i].lcore);
		if (worker != NULL && (farthest == NULL ||
				topology_distance(node, worker->node) >
				topology_distance(node, farthest->node)))
			farthest = worker;
	}
	return farthest;
}

static void
print_memory(FILE *out, const struct vport *vport, const char *what, int node, const char *detail)
{
	const struct worker *worker = farthest_worker(vport, node);
	int distance;

	if (node < 0) {
		fprintf(out, "  %-14s  node unknown%s\n", what, detail);
		return;
	}
	fprintf(out, "  %-14s  node %d%s", what, node, detail);
	if (worker != NULL) {
		distance = topology_distance(node, worker->node);
		fprintf(out, "  core %u on node %d, distance %d, %s", worker->lcore, worker->node,
				distance, distance == DISTANCE_LOCAL ? "LOCAL" : "REMOTE");
	}
	fputc('\n', out);
}

static void
print_guest(FILE *out, const struct vport *vport)
{
	struct guest_memory memory;
	char detail[64] = "";
	int node;

	view_guest_memory(vport, &memory);
	node = topology_main_node(&memory.guest);
	if (node >= 0 && memory.guest.seen > 0)
		snprintf(detail, sizeof(detail), " (%u %% of %u pages seen)",
				memory.guest.pages[node] * 100 / memory.guest.seen,
				memory.guest.seen);
	fprintf(out, "guest %s: vid %d, %s\n", vport->name, vport->guest.vid, vport->guest.path);
	print_memory(out, vport, "structures", memory.structures, "");
	print_memory(out, vport, "mbufs", memory.mbufs, "");
	print_memory(out, vport, "guest memory", node, detail);
}

void
view_print_rxqs(FILE *out)
{
	struct vport *vport;

	control_lock();
	for (uint32_t i = 0; i < n_workers; i++)
		print_worker(out, workers[i]);
	VPORT_FOREACH(vport)
		if (vport->kind == VPORT_GUEST && vport->connected)
			print_guest(out, vport);
	control_unlock();
	fflush(out);
}

/* Rates */

static uint64_t
per_second(uint64_t now, uint64_t before, unsigned int seconds)
{
	return (now - before) / seconds;
}

static void
print_vport_rates(FILE *out, const struct vport *vport, unsigned int seconds)
{
	static struct vport_counters before[VPORT_MAX];
	struct vport_counters now, *then = &before[vport->id];

	plan_count(vport, &now);
	fprintf(out, "%-16s %4d %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n",
			vport->name, vport->node,
			per_second(now.rx_packets, then->rx_packets, seconds),
			per_second(now.tx_packets, then->tx_packets, seconds),
			per_second(counters_dropped(&now), counters_dropped(then), seconds),
			per_second(now.crossed, then->crossed, seconds));
	*then = now;
}

static void
print_worker_rates(FILE *out, const struct worker *worker, unsigned int seconds)
{
	static struct vport_counters before[RTE_MAX_LCORE];
	static uint64_t cycles_before[RTE_MAX_LCORE];
	uint64_t cycles = __atomic_load_n(&worker->work.busy_cycles, __ATOMIC_RELAXED);
	struct vport_counters now, *then = &before[worker->index];

	plan_count_worker(worker, &now);
	fprintf(out, "lcore %-10u %4d %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64
			"   busy %3" PRIu64 " %%\n", worker->lcore, worker->node,
			per_second(now.rx_packets, then->rx_packets, seconds),
			per_second(now.tx_packets, then->tx_packets, seconds),
			per_second(counters_dropped(&now), counters_dropped(then), seconds),
			per_second(now.crossed, then->crossed, seconds),
			per_second(cycles, cycles_before[worker->index], seconds) * 100 /
			rte_get_tsc_hz());
	*then = now;
	cycles_before[worker->index] = cycles;
}

void
view_print_rates(FILE *out, unsigned int seconds)
{
	struct vport *vport;

	control_lock();
	if (isatty(fileno(out)))
		fputs("\033[2J\033[H", out);
	fprintf(out, "%-16s %4s %12s %12s %12s %12s\n", "per second", "node", "received", "sent",
			"dropped", "cross-node");
	VPORT_FOREACH(vport)
		print_vport_rates(out, vport, seconds);
	for (uint32_t i = 0; i < n_workers; i++)
		print_worker_rates(out, workers[i], seconds);
	control_unlock();
	fflush(out);
}

/* Sums */

static void
print_drops(FILE *out, const char *indent, const struct vport_counters *counters)
{
	for (unsigned int i = 0; i < DROP_REASONS; i++)
		if (counters->drops[i] != 0)
			fprintf(out, "%sdrop_%s %" PRIu64 "\n", indent, drop_names[i],
					counters->drops[i]);
}

void
view_print_totals(FILE *out)
{
	struct switch_totals totals;

	control_lock();
	plan_count_all(&totals);
	control_unlock();
	fprintf(out, "vhost_switch totals\n");
	fprintf(out, "  received %" PRIu64 "\n", totals.vports.rx_packets);
	fprintf(out, "  flood_copies %" PRIu64 "\n", totals.work.flood_copies);
	fprintf(out, "  gso_segments %" PRIu64 "\n", totals.work.gso_segments);
	fprintf(out, "  gro_merged %" PRIu64 "\n", totals.work.gro_merged);
	fprintf(out, "  sent %" PRIu64 "\n", totals.vports.tx_packets);
	fprintf(out, "  crossed_nodes %" PRIu64 "\n", totals.vports.crossed);
	fprintf(out, "  dropped %" PRIu64 "\n", totals.dropped);
	print_drops(out, "    ", &totals.vports);
	fprintf(out, "  balance %" PRId64 "\n", totals.balance);
	fflush(out);
}

void
view_print_counters(FILE *out)
{
	struct vport_counters counters;
	struct vport *vport;

	control_lock();
	VPORT_FOREACH(vport) {
		plan_count(vport, &counters);
		fprintf(out, VPORT_FMT ": node %d%s\n", VPORT_ARGS(vport), vport->node,
				vport->connected ? "" : ", not connected");
		fprintf(out, "  received %" PRIu64 " packets, %" PRIu64 " bytes\n",
				counters.rx_packets, counters.rx_bytes);
		fprintf(out, "  sent %" PRIu64 " packets, %" PRIu64 " bytes, %" PRIu64
				" from another node\n", counters.tx_packets, counters.tx_bytes,
				counters.crossed);
		print_drops(out, "  ", &counters);
	}
	control_unlock();
	fflush(out);
}

void
view_print_macs(FILE *out)
{
	char text[RTE_ETHER_ADDR_FMT_SIZE];
	struct mac_table_entry entry;
	uint32_t position = 0;

	fprintf(out, "%-18s %-16s %s\n", "address", "port", "age");
	control_lock();
	while (mac_table_next(&position, workers_now(), &entry)) {
		rte_ether_format_addr(text, sizeof(text), &entry.address);
		fprintf(out, "%-18s %-16s %u\n", text, vport_at(entry.vport)->name, entry.age);
	}
	control_unlock();
	fflush(out);
}
