/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * An application that asks for everything in every callback, and hardware that
 * may refuse.  It insists on the order of callbacks that rte_vhost.h promises.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_ring.h>

#include <rte_errno.h>
#include <rte_mbuf.h>

#include "numa_watch.h"
#include "vdpa_driver.h"
#include "vhost_abi.h"
#include "vu_dispatch.h"

#include "fuzz_message.h"

static struct app_config cfg;
static struct {
	bool connected;
	bool running;		/**< new_device was called and accepted */
	bool configured;	/**< the driver's dev_conf likewise */
	bool rings[VHOST_MAX_VRINGS];
	bool probing;		/**< already asking: callbacks may nest */
} app;

void
app_begin(const struct app_config *config)
{
	cfg = *config;
	memset(&app, 0, sizeof(app));
}

void
app_check_gone(void)
{
	FUZZ_CHECK(!app.connected && !app.running && !app.configured,
		"connected %d, running %d, configured %d", app.connected, app.running,
		app.configured);
}

/* ---- asking ---- */

static void
ask_about_queue(int vid, uint16_t index)
{
	struct rte_vhost_power_monitor_cond condition;
	struct rte_vhost_stat stats[32];
	struct rte_vhost_stat_name names[32];
	struct rte_vhost_vring vring;
	uint16_t avail, used;

	rte_vhost_get_vhost_vring(vid, index, &vring);
	rte_vhost_get_vring_base(vid, index, &avail, &used);
	rte_vhost_avail_entries(vid, index);
	rte_vhost_rx_queue_count(vid, index);
	rte_vhost_get_monitor_addr(vid, index, &condition);
	rte_vhost_vring_stats_get_names(vid, index, names, RTE_DIM(names));
	rte_vhost_vring_stats_get(vid, index, stats, RTE_DIM(stats));
}

/** What the library maps is as large as it says; read it all, and write some. */
static void
touch_memory(const struct rte_vhost_memory *memory)
{
	volatile uint8_t sum = 0;

	for (uint32_t i = 0; i < memory->nregions; i++) {
		const struct rte_vhost_mem_region *r = &memory->regions[i];
		volatile uint8_t *host = (uint8_t *)(uintptr_t)r->host_user_addr;

		for (uint64_t at = 0; at < r->size; at += 4096)
			sum += host[at];
		host[r->size - 1] = sum;
	}
}

void
app_ask(int vid)
{
	struct rte_vhost_memory *memory;
	char name[64];
	uint64_t features;
	uint16_t mtu;

	rte_vhost_get_mtu(vid, &mtu);
	rte_vhost_get_numa_node(vid);
	rte_vhost_get_ifname(vid, name, sizeof(name));
	rte_vhost_get_negotiated_features(vid, &features);
	rte_vhost_get_negotiated_protocol_features(vid, &features);
	rte_vhost_get_vdpa_device(vid);
	if (rte_vhost_get_mem_table(vid, &memory) == 0) {
		touch_memory(memory);
		free(memory);
	}
	for (uint16_t i = 0; i < RTE_MIN(rte_vhost_get_vring_num(vid) + 1, 8); i++)
		ask_about_queue(vid, i);
}

/* ---- callbacks ---- */

static enum rte_vhost_msg_result
before_message(int vid, void *msg)
{
	struct vu_message *m = msg;

	app_ask(vid);
	/* bits of the flags that the specification leaves unused choose */
	switch (m->flags >> 4 & 7) {
	case 1: return RTE_VHOST_MSG_RESULT_ERR;
	case 2: return RTE_VHOST_MSG_RESULT_OK;
	case 3:
		m->size = sizeof(m->payload.u64);
		return RTE_VHOST_MSG_RESULT_REPLY;
	default: return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	}
}

static enum rte_vhost_msg_result
after_message(int vid __rte_unused, void *msg)
{
	struct vu_message *m = msg;

	switch (m->flags >> 7 & 7) {
	case 1: return RTE_VHOST_MSG_RESULT_ERR;
	case 2: return RTE_VHOST_MSG_RESULT_OK;
	case 3: return RTE_VHOST_MSG_RESULT_REPLY;
	default: return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	}
}

static int
new_connection(int vid)
{
	static const struct rte_vhost_user_extern_ops ops = {
		.pre_msg_handle = before_message,
		.post_msg_handle = after_message,
	};

	FUZZ_CHECK(vid == 0, "vid %d", vid);
	FUZZ_CHECK(!app.connected, "connected twice");
	app_ask(vid);
	if (cfg.refuses & APP_REFUSES_CONNECTION) {
		/* the next one is welcome */
		cfg.refuses &= ~APP_REFUSES_CONNECTION;
		return -1;
	}
	app.connected = true;
	if (cfg.extern_ops)
		rte_vhost_extern_callback_register(vid, &ops, &app);
	return 0;
}

static int
new_device(int vid)
{
	FUZZ_CHECK(app.connected && !app.running, "running %d", app.running);
	app_ask(vid);
	if (cfg.refuses & APP_REFUSES_DEVICE) {
		cfg.refuses &= ~APP_REFUSES_DEVICE;
		return -1;
	}
	app.running = true;
	return 0;
}

static void
destroy_device(int vid)
{
	FUZZ_CHECK(app.running && !app.configured, "running %d, configured %d", app.running,
		app.configured);
	app_ask(vid);
	app.running = false;
}

static void
destroy_connection(int vid)
{
	FUZZ_CHECK(app.connected && !app.running, "running %d", app.running);
	app_ask(vid);
	app.connected = false;
	memset(app.rings, 0, sizeof(app.rings));
}

static int
vring_state_changed(int vid, uint16_t index, int enable)
{
	FUZZ_CHECK(app.connected, "vring %u", index);
	FUZZ_CHECK(app.rings[index] != (enable != 0), "vring %u twice %d", index, enable);
	app.rings[index] = enable != 0;
	app_ask(vid);
	return 0;
}

const struct rte_vhost_device_ops app_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
};

/* ---- hardware ---- */

static int
hw_queue_num(struct rte_vdpa_device *dev __rte_unused, uint32_t *num)
{
	*num = APP_HARDWARE_VRINGS / 2;
	return 0;
}

static int
hw_features(struct rte_vdpa_device *dev __rte_unused, uint64_t *features)
{
	*features = UINT64_MAX;
	return 0;
}

static int
hw_conf(int vid)
{
	FUZZ_CHECK(!app.configured, "configured twice");
	FUZZ_CHECK(rte_vhost_get_vring_num(vid) <= APP_HARDWARE_VRINGS, "%u vrings",
		rte_vhost_get_vring_num(vid));
	app_ask(vid);
	if (cfg.refuses & APP_REFUSES_CONF) {
		cfg.refuses &= ~APP_REFUSES_CONF;
		return -1;
	}
	app.configured = true;
	return 0;
}

static int
hw_close(int vid)
{
	FUZZ_CHECK(app.configured, "not configured");
	app_ask(vid);
	app.configured = false;
	return 0;
}

static int
hw_vring_state(int vid, int vring, int state __rte_unused)
{
	FUZZ_CHECK(vring >= 0 && vring < APP_HARDWARE_VRINGS, "vring %d", vring);
	ask_about_queue(vid, vring);
	return 0;
}

static int
hw_event(int vid)
{
	app_ask(vid);
	return 0;
}

static int
hw_device_fd(int vid __rte_unused)
{
	return cfg.refuses & APP_HAS_NO_FD ? -1 : STDERR_FILENO;
}

static int
hw_notify_area(int vid __rte_unused, int qid, uint64_t *offset, uint64_t *size)
{
	*offset = qid * 4096;
	*size = 4096;
	return 0;
}

static int
hw_get_config(int vid __rte_unused, uint8_t *config, uint32_t size)
{
	if (cfg.refuses & APP_REFUSES_CONFIG)
		return -1;
	memset(config, 0x5a, size);
	return 0;
}

static int
hw_set_config(int vid __rte_unused, uint8_t *config, uint32_t offset, uint32_t size,
		uint32_t flags __rte_unused)
{
	static uint8_t space[VU_CONFIG_MAX];

	if (cfg.refuses & APP_REFUSES_CONFIG)
		return -1;
	memcpy(space + offset, config, size);
	return 0;
}

struct rte_vdpa_device *
app_vdpa(uint32_t type)
{
	static struct rte_vdpa_dev_ops ops = {
		.get_queue_num = hw_queue_num,
		.get_features = hw_features,
		.get_protocol_features = hw_features,
		.dev_conf = hw_conf,
		.dev_close = hw_close,
		.dev_cleanup = hw_event,
		.set_vring_state = hw_vring_state,
		.set_features = hw_event,
		.migration_done = hw_event,
		.get_vfio_device_fd = hw_device_fd,
		.get_notify_area = hw_notify_area,
		.get_config = hw_get_config,
		.set_config = hw_set_config,
	};
	static struct rte_vdpa_device vdpa = { .ops = &ops };

	vdpa.type = type;
	return &vdpa;
}

/* ---- acting ---- */

/** Hardware has used some entries of a ring of its own. */
static void
relay(int vid, uint16_t index, struct fuzz_input *in)
{
	uint16_t size = 1u << fuzz_below(in, 9);
	struct vring vring = { .num = size };
	size_t used_bytes = sizeof(struct vring_used) +
		size * sizeof(struct vring_used_elem) + sizeof(uint16_t);

	vring.avail = calloc(1, sizeof(struct vring_avail) + (size + 1) * sizeof(uint16_t));
	vring.used = calloc(1, used_bytes);
	FUZZ_CHECK(vring.avail != NULL && vring.used != NULL, "%u entries", size);
	vring.used->idx = fuzz_u16(in);
	for (unsigned int i = 0; i < RTE_MIN(size, 8u); i++) {
		vring.used->ring[i].id = fuzz_u8(in);
		vring.used->ring[i].len = fuzz_u8(in);
	}
	rte_vdpa_relay_vring_used(vid, index, &vring);
	free(vring.avail);
	free(vring.used);
}

/** Have the frontend's answer ready, since nobody could give it during the request. */
static void
answer_ahead(uint32_t request, struct fuzz_input *in)
{
	struct {
		uint32_t request, flags, size;
		uint64_t status;
	} __attribute__((__packed__)) answer = { request, VU_VERSION | VU_REPLY, sizeof(uint64_t), 0 };
	uint8_t *bytes = (uint8_t *)&answer;
	uint8_t wrong = fuzz_u8(in);
	int fd = fds_last_channel();

	if (wrong < sizeof(answer))
		bytes[wrong] ^= fuzz_u8(in);
	send(fd, &answer, sizeof(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
}

static void
request_back(int vid, struct fuzz_input *in)
{
	uint16_t qid = fuzz_u8(in) % 4;

	if (fds_last_channel() < 0)
		return;
	if (qid == 3) {
		answer_ahead(VU_BACKEND_CONFIG_CHANGE, in);
		rte_vhost_backend_config_change(vid, true);
		return;
	}
	answer_ahead(VU_BACKEND_VRING_HOST_NOTIFIER, in);
	rte_vhost_host_notifier_ctrl(vid, qid == 2 ? RTE_VHOST_QUEUE_ALL : qid, true);
}

static void
set_base(int vid, uint16_t index, struct fuzz_input *in)
{
	uint16_t avail = fuzz_u16(in), used = fuzz_u16(in);

	rte_vhost_set_vring_base(vid, index, avail, used);
}

static void
refuse_memory(struct fuzz_input *in)
{
	unsigned int after = fuzz_u8(in), count = fuzz_u8(in);

	fuzz_nodes_refuse(after, count);
}

/** Because somebody asks, and because it is time. */
static void
look_again(struct vhost_device *dev)
{
	vhost_device_lock(dev);
	vhost_numa_watch_reprobe(dev, true);
	vhost_numa_watch_check(dev);
	vhost_device_unlock(dev);
}

void
app_act(int vid, struct fuzz_input *in)
{
	uint16_t index = fuzz_u8(in) % 8;

	switch (fuzz_u8(in) % 13) {
	case 0: app_ask(vid); break;
	case 1: rte_vhost_vring_call(vid, index); break;
	case 2: rte_vhost_vring_call_nonblock(vid, index); break;
	case 3: rte_vhost_enable_guest_notification(vid, index, fuzz_u8(in) & 1); break;
	case 4: set_base(vid, index, in); break;
	case 5: rte_vhost_vring_stats_reset(vid, index); break;
	case 6: relay(vid, index, in); break;
	case 7: request_back(vid, in); break;
	case 8: rte_vhost_backend_config_change(vid, false); break;
	case 9: look_again(vhost_device_get(vid)); break;
	case 10: fuzz_nodes_layout(fuzz_u8(in)); break;
	case 11: fuzz_nodes_full(fuzz_u8(in)); break;
	default: refuse_memory(in); break;
	}
}

static struct rte_mbuf *
make_packet(struct fuzz_input *in)
{
	struct rte_mbuf *pkt = rte_pktmbuf_alloc(fuzz_pool(FUZZ_POOL_LARGE));
	uint16_t len = fuzz_u16(in) % 2048;

	FUZZ_CHECK(pkt != NULL, "no mbuf");
	memset(rte_pktmbuf_append(pkt, len), 0x77, len);
	return pkt;
}

static void
burst_to_guest(int vid, uint16_t index, struct fuzz_input *in)
{
	struct rte_mbuf *pkts[8];
	uint16_t n = fuzz_below(in, RTE_DIM(pkts) + 1);

	for (uint16_t i = 0; i < n; i++)
		pkts[i] = make_packet(in);
	FUZZ_CHECK(rte_vhost_enqueue_burst(vid, index, pkts, n) <= n, "more than %u", n);
	rte_pktmbuf_free_bulk(pkts, n);
}

static void
burst_from_guest(int vid, uint16_t index, struct fuzz_input *in)
{
	struct rte_mbuf *pkts[64];
	uint16_t n = fuzz_below(in, RTE_DIM(pkts) + 1);
	uint16_t got = rte_vhost_dequeue_burst(vid, index, fuzz_pool(FUZZ_POOL_SMALL), pkts, n);

	FUZZ_CHECK(got <= n, "%u of %u", got, n);
	rte_pktmbuf_free_bulk(pkts, got);
}

void
app_burst(int vid, struct fuzz_input *in)
{
	uint8_t index = fuzz_u8(in);

	if (index & 0x80)
		burst_from_guest(vid, index & 0x7f, in);
	else
		burst_to_guest(vid, index, in);
}
