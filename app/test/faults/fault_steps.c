/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Steps of any device's life; see fault_life.h. */

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <rte_vhost_numa.h>

#include "device.h"
#include "test.h"
#include "vhost_fake_dma.h"
#include "vhost_soft_vdpa.h"
#include "vhost_test_topology.h"

#include "fault_life.h"
#include "fault_machine.h"

/* ---- the socket ---- */

int
fault_step_register(struct life *life)
{
	const struct fake_config *cfg = &life->fe->cfg;
	const char *path = life->fe->path;
	uint64_t flags = cfg->flags | (cfg->client ? RTE_VHOST_USER_CLIENT : 0) |
		(cfg->iommu ? RTE_VHOST_USER_IOMMU_SUPPORT : 0);
	uint64_t offered;

	if (rte_vhost_driver_register(path, flags) < 0)
		return -1;
	life->registered = true;
	if ((life->soft == NULL || rte_vhost_driver_attach_vdpa_device(path,
				soft_vdpa_device(life->soft)) == 0) &&
			rte_vhost_driver_callback_register(path, &fake_recorder_ops) == 0 &&
			rte_vhost_driver_get_protocol_features(path, &offered) == 0 &&
			rte_vhost_driver_set_protocol_features(path,
				offered | cfg->protocol_features) == 0 &&
			rte_vhost_driver_get_protocol_features(path, &offered) == 0 &&
			(cfg->protocol_features & ~offered) == 0 &&
			rte_vhost_driver_start(path) == 0)
		return 0;
	if (rte_vhost_driver_unregister(path) < 0)
		fault_wrong(life, "a path that was registered cannot be unregistered");
	life->registered = false;
	return -1;
}

static int
connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
accept_from(int listener)
{
	struct pollfd pfd = { .fd = listener, .events = POLLIN };

	return poll(&pfd, 1, fake_patience_ms()) == 1 ?
		accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
}

/** As fake_connect(), but who is turned away is told at once. */
int
fault_step_connect(struct life *life)
{
	struct fake *fe = life->fe;

	fe->reply_ack = false;
	fe->sock = fe->cfg.client ? accept_from(fe->listener) : connect_to(fe->path);
	if (fe->sock < 0) {
		fault_wrong(life, "nobody connects");
		return -1;
	}
	fcntl(fe->sock, F_SETFL, O_NONBLOCK);
	if (!fake_is_served(fe))
		return -1;
	fe->record = fake_record_claim(fe->path, &fe->vid);
	return fe->record != NULL ? 0 : -1;
}

int
fault_step_negotiate(struct life *life)
{
	return fake_negotiate(life->fe);
}

int
fault_step_memory(struct life *life)
{
	return fake_send_mem_table(life->fe);
}

int
fault_step_run(struct life *life)
{
	return fake_run(life->fe);
}

/* ---- packets ---- */

/** All that is on its way arrives; then nothing is left over of a packet that did not. */
static void
drain(struct fake *fe)
{
	static uint8_t buf[65536];
	struct rte_mbuf *pkts[32];
	uint16_t n;

	for (unsigned int q = 0; q < fe->nvrings; q += 2) {
		while ((n = rte_vhost_dequeue_burst(fe->vid, q + 1, fake_pool(), pkts, 32)) > 0)
			rte_pktmbuf_free_bulk(pkts, n);
		fake_tx_reap(&fe->vqs[q + 1]);
		while (fake_rx_take(&fe->vqs[q], NULL, buf, sizeof(buf)) != -1)
			;
	}
}

/** A packet each way on all pairs; or nothing is under way. */
int
fault_step_packets(struct life *life)
{
	struct fake *fe = life->fe;

	for (unsigned int pair = 0; pair < fe->nvrings / 2; pair++)
		if (fake_round_trip(fe, pair, 300) != 300) {
			drain(fe);
			return -1;
		}
	return 0;
}

/** Too long for one mbuf: external buffers. */
int
fault_step_long_packets(struct life *life)
{
	static const struct fake_shape cut = { .header = 12, .seg = 1500 };
	struct fake *fe = life->fe;

	if (fake_to_host(fe, 0, 6000, &cut) == 6000)
		return 0;
	drain(fe);
	return -1;
}

int
fault_step_call_guest(struct life *life)
{
	return rte_vhost_vring_call(life->fe->vid, 0);
}

/* ---- messages to a device that runs ---- */

int
fault_step_rarp(struct life *life)
{
	struct fake *fe = life->fe;
	struct rte_mbuf *m;

	if (fake_call_u64(fe, FE_SEND_RARP, 0x563412005452) != FAKE_ACK)
		return -1;
	/* it comes with what is dequeued next, or else with what is dequeued then */
	for (unsigned int i = 0; i < 2; i++)
		if (rte_vhost_dequeue_burst(fe->vid, 1, fake_pool(), &m, 1) == 1) {
			rte_pktmbuf_free(m);
			return 0;
		}
	return -1;
}

int
fault_step_other_table(struct life *life)
{
	struct fake *fe = life->fe;
	struct fake_mem_table table;
	int fds[FE_MAX_REGIONS];
	unsigned int last = fe->nregions - 1;

	fake_mem_table_of(fe, &table, fds);
	/* the guest has put its memory elsewhere: its last region is mapped anew */
	table.regions[last].gpa += 1ULL << 40;
	return fake_call(fe, FE_SET_MEM_TABLE, &table, offsetof(struct fake_mem_table,
		regions[fe->nregions]), fds, fe->nregions) == FAKE_ACK ? 0 : -1;
}

/** VHOST_USER_ADD_MEM_REG and REM_MEM_REG. */
struct slot {
	uint64_t padding;
	struct fake_mem_region region;
};

static struct slot
slot_at_the_end(void)
{
	return (struct slot){ .region = {
		.gpa = 0x100ULL << 32, .uva = 0x7000ULL << 32, .size = SLOT_BYTES,
	} };
}

int
fault_step_add_memory(struct life *life)
{
	struct slot slot = slot_at_the_end();

	return fake_call(life->fe, FE_ADD_MEM_REG, &slot, sizeof(slot), &life->slot_fd, 1) ==
		FAKE_ACK ? 0 : -1;
}

int
fault_step_remove_memory(struct life *life)
{
	struct slot slot = slot_at_the_end();

	return fake_call(life->fe, FE_REM_MEM_REG, &slot, sizeof(slot), NULL, 0) == FAKE_ACK ?
		0 : -1;
}

int
fault_step_restart_ring(struct life *life)
{
	struct fake *fe = life->fe;
	unsigned int before = fake_events(fe, FAKE_NEW_DEVICE);

	if (fake_stop_vring(fe, 0) < 0 || fake_setup_vring(fe, 0) < 0 ||
			fake_enable_vring(fe, 0, true) < 0)
		return -1;
	return fake_wait_events(fe, FAKE_NEW_DEVICE, before + 1) ? 0 : -1;
}

int
fault_step_error_fd(struct life *life)
{
	int fd = fcntl(life->fe->vqs[0].callfd, F_DUPFD_CLOEXEC, 0);
	int ret = fake_call_fd(life->fe, FE_SET_VRING_ERR, 0, fd);

	close(fd);
	return ret == FAKE_ACK ? 0 : -1;
}

/* ---- the log ---- */

int
fault_step_log(struct life *life)
{
	if (!life->logs && dirty_create(life->fe, &life->dirty, 0, 4096) < 0)
		return -1;
	life->logs = true;
	return dirty_start(&life->dirty);
}

int
fault_step_no_log(struct life *life)
{
	return dirty_switch(life->fe, false);
}

/* ---- in-flight area ---- */

int
fault_step_inflight_get(struct life *life)
{
	struct fake *fe = life->fe;

	fake_inflight_close(&life->area);
	return fake_inflight_get(fe, &life->area, fe->nvrings, fe->cfg.ring_size);
}

int
fault_step_inflight_set(struct life *life)
{
	return fake_inflight_set(life->fe, &life->area) == FAKE_ACK ? 0 : -1;
}

/* ---- NUMA ---- */

static int
move_guest(struct life *life, int node)
{
	struct fake *fe = life->fe;

	fault_machine_guest_on(node);
	if (topology_refresh(vhost_device_peek(fe->vid)) < 0)
		return -1;
	for (unsigned int q = 0; q < fe->nvrings; q++)
		if (rte_vhost_numa_queue_node(fe->vid, q) != node)
			return -1;
	return 0;
}

int
fault_step_move_there(struct life *life)
{
	return move_guest(life, fault_machine_there());
}

int
fault_step_move_back(struct life *life)
{
	return move_guest(life, fault_machine_home());
}

int
fault_step_report(struct life *life)
{
	struct rte_vhost_numa_report *report;
	int ret = rte_vhost_numa_report(life->fe->vid, &report);

	/* there was a refresh since anything could not be found out */
	for (unsigned int i = 0; ret == 0 && i < report->nr_regions; i++)
		if (report->regions[i].evidence == RTE_VHOST_NUMA_EVIDENCE_NONE)
			fault_wrong(life, "nobody looks where region %u is", i);
	if (ret == 0)
		free(report);
	return ret;
}

int
fault_step_get_table(struct life *life)
{
	struct rte_vhost_memory *table;
	int ret = rte_vhost_get_mem_table(life->fe->vid, &table);

	if (ret == 0)
		free(table);
	return ret;
}

/* ---- the end of it ---- */

int
fault_step_disconnect(struct life *life)
{
	fake_disconnect(life->fe);
	/* nobody gets the memory back that a device still writes to */
	if (life->dma >= 0)
		fake_dma_run(life->dma, 0, UINT32_MAX);
	return 0;
}

int
fault_step_unregister(struct life *life)
{
	if (fake_unregister(life->fe) < 0)
		return -1;
	life->registered = false;
	return 0;
}
