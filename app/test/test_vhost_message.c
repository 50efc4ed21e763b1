/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The handshake: what is offered, what is answered, when a device runs, and
 * what the application hears of it and in which order.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "test.h"
#include "vhost_fake_dirty.h"
#include "vhost_fake_frontend.h"
#include "vhost_fake_inflight.h"

#define SEGMENTATION (FE_BIT(VIRTIO_NET_F_HOST_TSO4) | \
	FE_BIT(VIRTIO_NET_F_HOST_TSO6) | FE_BIT(VIRTIO_NET_F_HOST_UFO))

/* ---- what is offered ---- */

static const struct {
	uint64_t flags, features;
} offers[] = {
	{ 0, FE_OFFERED_FEATURES },
	{ RTE_VHOST_USER_EXTBUF_SUPPORT, FE_OFFERED_FEATURES },
	{ RTE_VHOST_USER_LINEARBUF_SUPPORT, FE_OFFERED_FEATURES & ~SEGMENTATION },
	{ RTE_VHOST_USER_LINEARBUF_SUPPORT | RTE_VHOST_USER_EXTBUF_SUPPORT,
		FE_OFFERED_FEATURES },
	{ RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS, FE_OFFERED_FEATURES },
	{ RTE_VHOST_USER_NET_STATS_ENABLE, FE_OFFERED_FEATURES },
};

static int
features_offered_are_exactly_these(void)
{
	for (unsigned int i = 0; i < RTE_DIM(offers); i++) {
		struct fake *fe = fake_start(.flags = offers[i].flags,
			.until = FAKE_CONNECTED);
		uint64_t asked, told;

		TEST_ASSERT_NOT_NULL(fe, "a connection");
		TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_FEATURES, &asked),
			"ask");
		TEST_ASSERT_EQUAL(asked, offers[i].features, "flags %#" PRIx64,
			offers[i].flags);
		TEST_ASSERT_SUCCESS(rte_vhost_driver_get_features(fe->path,
			&told), "the application asks");
		TEST_ASSERT_EQUAL(told, asked, "and is told the same");
		TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	}
	return TEST_SUCCESS;
}

static int
protocol_features_offered_are_exactly_these(void)
{
	struct fake *fe = fake_start(.until = FAKE_CONNECTED);
	uint64_t asked, told;

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_PROTOCOL_FEATURES, &asked),
		"ask");
	TEST_ASSERT_EQUAL(asked, FE_OFFERED_PROTOCOL, "offered");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_protocol_features(fe->path,
		&told), "the application asks");
	TEST_ASSERT_EQUAL(told, asked, "and is told the same");
	return fake_stop(fe);
}

static int
application_takes_features_away_and_gives_them_back(void)
{
	struct fake *fe = fake_start(.until = FAKE_REGISTERED);
	uint64_t bit = FE_BIT(VIRTIO_NET_F_HOST_UFO), offered;

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_disable_features(fe->path, bit),
		"away");
	TEST_ASSERT_SUCCESS(fake_connect(fe), "connect");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_FEATURES, &offered), "ask");
	TEST_ASSERT_EQUAL(offered, FE_OFFERED_FEATURES & ~bit, "not offered");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_enable_features(fe->path, bit),
		"back");
	TEST_ASSERT_SUCCESS(fake_connect(fe), "connect");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_FEATURES, &offered), "ask");
	TEST_ASSERT_EQUAL(offered, FE_OFFERED_FEATURES, "offered");
	TEST_ASSERT_FAIL(rte_vhost_driver_enable_features(fe->path, FE_BIT(16)),
		"what the library cannot");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_FEATURES, &offered), "ask");
	TEST_ASSERT_EQUAL(offered, FE_OFFERED_FEATURES, "is not offered");
	return fake_stop(fe);
}

/* As a storage target does: its features, its handlers, no network. */
static int
device_of_another_kind_carries_no_packets(void)
{
	uint64_t mask = FE_BIT(32) | FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) |
		FE_BIT(VHOST_USER_F_PROTOCOL_FEATURES), offered;
	struct fake *fe = fake_start(.until = FAKE_REGISTERED);

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_set_features(fe->path, mask), "own");
	TEST_ASSERT_SUCCESS(fake_connect(fe), "connect");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_FEATURES, &offered), "ask");
	TEST_ASSERT_EQUAL(offered, mask, "offered");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "negotiate");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "rings");
	fake_rx_fill(&fe->vqs[0], 4, 2048, NULL);
	TEST_ASSERT_EQUAL(fake_backend_send(fe, 0, 64, 1), 0, "no network");
	TEST_ASSERT_EQUAL(rte_vhost_avail_entries(fe->vid, 0), 4, "but a ring");
	return fake_stop(fe);
}

static int
queue_num_is_128(void)
{
	struct fake *fe = fake_start(.until = FAKE_NEGOTIATED);
	uint32_t told = 0;
	uint64_t asked;

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_QUEUE_NUM, &asked), "ask");
	TEST_ASSERT_EQUAL(asked, 128, "pairs");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_queue_num(fe->path, &told),
		"the application asks");
	TEST_ASSERT_EQUAL(told, 128, "pairs");
	return fake_stop(fe);
}

/* ---- acks and errors ---- */

static int
error_is_acknowledged_when_asked_for(void)
{
	struct fake *fe = fake_start(.until = FAKE_NEGOTIATED);

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_FEATURES, FE_BIT(63)),
		FAKE_NACK, "no such feature");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_PROTOCOL_FEATURES, FE_BIT(63)),
		FAKE_NACK, "no such protocol feature");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_OWNER, NULL, 0, NULL, 0), FAKE_ACK,
		"and it goes on");
	return fake_stop(fe);
}

static int
error_without_ack_closes(void)
{
	struct fake *fe = fake_start(.until = FAKE_NEGOTIATED,
		.no_reply_ack = true);

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_FEATURES, FE_BIT(63)),
		FAKE_CLOSED, "no such feature");
	TEST_ASSERT_SUCCESS(fake_connect(fe), "connect again");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "as if nothing had been");
	return fake_stop(fe);
}

static int
ack_without_the_feature_is_given_too(void)
{
	struct fake *fe = fake_start(.until = FAKE_CONNECTED);
	struct fake_msg reply;

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	TEST_ASSERT_SUCCESS(fake_send(fe, FE_SET_OWNER, FE_NEED_REPLY, NULL, 0,
		NULL, 0), "ask");
	TEST_ASSERT_EQUAL(fake_recv(fe, &reply, NULL, NULL), 1, "an ack");
	TEST_ASSERT_EQUAL(reply.size, 8, "its size");
	return fake_stop(fe);
}

static int
reply_is_not_followed_by_an_ack(void)
{
	struct fake *fe = fake_start(.until = FAKE_NEGOTIATED);
	struct fake_msg reply;
	uint64_t value;

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	TEST_ASSERT_SUCCESS(fake_send(fe, FE_GET_FEATURES, FE_NEED_REPLY, NULL, 0,
		NULL, 0), "ask for both");
	TEST_ASSERT_EQUAL(fake_recv(fe, &reply, NULL, NULL), 1, "the reply");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_QUEUE_NUM, &value), "next");
	TEST_ASSERT_EQUAL(value, 128, "nothing between");
	return fake_stop(fe);
}

/* ---- single messages ---- */

static int
config_space_is_not_ours(void)
{
	struct {
		uint32_t offset, size, flags;
		uint8_t region[256];
	} config = { 0, 10, 0, { 0 } };
	struct fake *fe = fake_start(.until = FAKE_NEGOTIATED);
	struct fake_msg reply;

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	/* An error, or an answer without contents: the specification has both. */
	if (fake_ask(fe, FE_GET_CONFIG, &config, sizeof(config), &reply) == 0)
		TEST_ASSERT_EQUAL(reply.size, 0, "without contents");
	else
		TEST_ASSERT_SUCCESS(fake_connect(fe) || fake_negotiate(fe), "again");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_CONFIG, &config, sizeof(config),
		NULL, 0), FAKE_NACK, "nor can it be set");
	config.size = 257;
	TEST_ASSERT(fake_call(fe, FE_GET_CONFIG, &config, sizeof(config), NULL,
		0) != FAKE_TIMEOUT, "more than there is room for");
	return fake_stop(fe);
}

static int
mtu_is_told_to_the_application(void)
{
	static const struct { uint64_t mtu; enum fake_verdict v; } mtus[] = {
		{ 68, FAKE_ACK }, { 1500, FAKE_ACK }, { 65535, FAKE_ACK },
		{ 67, FAKE_NACK }, { 0, FAKE_NACK }, { 65536, FAKE_NACK },
		{ 1ULL << 32 | 1500, FAKE_NACK },
	};
	struct fake *fe = fake_start(.until = FAKE_NEGOTIATED,
		.features = FE_BIT(VIRTIO_NET_F_MTU));
	uint16_t mtu = 0;

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	TEST_ASSERT_EQUAL(rte_vhost_get_mtu(fe->vid, &mtu), -EAGAIN, "not yet");
	for (unsigned int i = 0; i < RTE_DIM(mtus); i++)
		TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_NET_SET_MTU, mtus[i].mtu),
			mtus[i].v, "MTU %" PRIu64, mtus[i].mtu);
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_NET_SET_MTU, 9000), FAKE_ACK, "set");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT_SUCCESS(rte_vhost_get_mtu(fe->vid, &mtu), "get");
	TEST_ASSERT_EQUAL(mtu, 9000, "the last good one");
	return fake_stop(fe);
}

static int
mtu_needs_its_feature(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	uint16_t mtu;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(rte_vhost_get_mtu(fe->vid, &mtu), -ENOTSUP, "get");
	return fake_stop(fe);
}

static int
status_holds_the_device_back_until_driver_ok(void)
{
	struct fake *fe = fake_start(.until = FAKE_RINGS,
		.protocol_features = FE_BIT(VHOST_USER_PROTOCOL_F_STATUS));
	uint64_t status;

	TEST_ASSERT_NOT_NULL(fe, "rings");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_STATUS, &status), "ask");
	TEST_ASSERT_EQUAL(status, 0, "at first");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_STATUS,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER), FAKE_ACK,
		"driver");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "enable");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, true), "enable");
	TEST_ASSERT(fake_is_served(fe), "all handled");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_NEW_DEVICE), 0, "not yet");
	status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_STATUS, status), FAKE_ACK, "ok");
	TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, 1), "now");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "it runs");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_STATUS, &status), "ask");
	TEST_ASSERT_EQUAL(status, 15, "what was set");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_STATUS, 256), FAKE_NACK,
		"a status has 8 bits");
	return fake_stop(fe);
}

static int
vring_base_is_what_was_set_or_reached(void)
{
	struct fake *fe = fake_start(.mergeable = true, .until = FAKE_MEMORY);
	uint16_t avail = 0, used = 0;

	TEST_ASSERT_NOT_NULL(fe, "memory");
	TEST_ASSERT_EQUAL(fake_call_state(fe, FE_SET_VRING_BASE, 0, 1000),
		FAKE_ACK, "set");
	TEST_ASSERT_SUCCESS(rte_vhost_get_vring_base(fe->vid, 0, &avail, &used),
		"the application asks");
	TEST_ASSERT_EQUAL(avail, 1000, "available");
	TEST_ASSERT_EQUAL(used, 1000, "used");
	TEST_ASSERT_EQUAL(fake_stop_vring(fe, 0), 1000, "get");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	for (int i = 0; i < 7; i++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "seven");
	TEST_ASSERT_EQUAL(fake_stop_vring(fe, 0), 7, "reached");
	TEST_ASSERT_EQUAL(fake_stop_vring(fe, 1), 7, "reached");
	return fake_stop(fe);
}

static int
reset_owner_forgets_the_device(void)
{
	struct fake *fe = fake_start(.mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "it runs");
	fake_send(fe, FE_RESET_OWNER, 0, NULL, 0, NULL, 0);
	TEST_ASSERT(fake_wait_events(fe, FAKE_DESTROY_DEVICE, 1), "destroyed");
	TEST_ASSERT(fake_is_served(fe), "but connected");
	for (unsigned int q = 0; q < 2; q++)
		fake_vq_reset(&fe->vqs[q]);
	fe->reply_ack = false;
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "from the beginning");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "it runs again");
	return fake_stop(fe);
}

/* ---- the story that the application is told ---- */

static int
callbacks_come_in_order(void)
{
	struct fake *fe = fake_start(.mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(strcmp(fake_story(fe), "connect ring0+ ring1+ new") == 0,
		"%s", fake_story(fe));
	TEST_ASSERT(fake_stop_vring(fe, 0) >= 0, "stop");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 1,
		"with the first ring");
	TEST_ASSERT(fake_stop_vring(fe, 1) >= 0, "stop");
	TEST_ASSERT(fake_is_served(fe), "all handled");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 1, "only once");
	TEST_ASSERT_SUCCESS(fake_run(fe), "again");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_NEW_DEVICE), 2, "new");
	return fake_stop(fe);
}

static int
disconnect_ends_the_story(void)
{
	static char story[256];
	struct fake *fe = fake_start(.mergeable = true);
	const char *end;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	close(fe->sock);
	fe->sock = -1;
	TEST_ASSERT(fake_wait_events(fe, FAKE_DESTROY_CONNECTION, 1), "noticed");
	snprintf(story, sizeof(story), "%s", fake_story(fe));
	end = strstr(story, "new ");
	TEST_ASSERT_NOT_NULL(end, "%s", story);
	TEST_ASSERT_NOT_NULL(strstr(end, "destroy disconnect"),
		"device first: %s", story);
	return fake_stop(fe);
}

static int
disabling_a_ring_is_told(void)
{
	struct fake *fe = fake_start(.mergeable = true, .queues = 2);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_wait_events(fe, FAKE_VRING_STATE, 4), "four rings");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 2, false), "off");
	TEST_ASSERT(fake_wait_events(fe, FAKE_VRING_STATE, 5), "told");
	TEST_ASSERT_NOT_NULL(strstr(fake_story(fe), "ring2-"), "%s",
		fake_story(fe));
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 2, true), "on");
	TEST_ASSERT(fake_wait_events(fe, FAKE_VRING_STATE, 6), "told");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "no more");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 64), 64, "and on");
	return fake_stop(fe);
}

static int
refused_new_device_is_tried_again(void)
{
	struct fake *fe = fake_start(.mergeable = true, .refuse_new_device = 2,
		.until = FAKE_RINGS);

	TEST_ASSERT_NOT_NULL(fe, "rings");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "enable");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, true), "enable");
	for (unsigned int n = 1; n <= 3; n++) {
		TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, n), "try %u", n);
		TEST_ASSERT(fake_is_served(fe), "a message more");
	}
	TEST_ASSERT(fake_is_served(fe), "a message more");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_NEW_DEVICE), 3, "then it ran");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "and it runs");
	return fake_stop(fe);
}

static int
late_pairs_join_a_running_device(void)
{
	struct fake *fe = fake_start(.mergeable = true, .queues = 4,
		.until = FAKE_MEMORY);

	TEST_ASSERT_NOT_NULL(fe, "memory");
	for (unsigned int q = 0; q < 8; q++) {
		TEST_ASSERT_SUCCESS(fake_setup_vring(fe, q), "ring %u", q);
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, q, true), "ring %u", q);
		if (q % 2 == 0)
			continue;
		TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, 1), "runs");
		TEST_ASSERT(fake_wait_events(fe, FAKE_VRING_STATE, q + 1), "told");
		TEST_ASSERT_EQUAL(fake_round_trip(fe, q / 2, 64), 64, "pair %u",
			q / 2);
	}
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_NEW_DEVICE), 1, "one device");
	return fake_stop(fe);
}

/* A ring becomes ready with the last of its messages, whichever that is. */
static int
ring_messages_come_in_any_order(void)
{
	static const unsigned int orders[][5] = {
		{ 0, 1, 2, 3, 4 }, { 4, 3, 2, 1, 0 }, { 3, 4, 0, 2, 1 },
		{ 2, 0, 4, 1, 3 }, { 1, 4, 3, 0, 2 }, { 3, 2, 1, 0, 4 },
	};

	for (unsigned int o = 0; o < RTE_DIM(orders); o++) {
		struct fake *fe = fake_start(.mergeable = true,
			.until = FAKE_MEMORY);

		TEST_ASSERT_NOT_NULL(fe, "memory");
		for (unsigned int i = 0; i < 10; i++) {
			unsigned int q = i / 5;
			struct fake_addr addr = fake_addr_of(fe, q);
			enum fake_verdict v = FAKE_NACK;

			switch (orders[o][i % 5]) {
			case 0:
				v = fake_call_state(fe, FE_SET_VRING_NUM, q, 256);
				break;
			case 1:
				v = fake_call(fe, FE_SET_VRING_ADDR, &addr,
					sizeof(addr), NULL, 0);
				break;
			case 2:
				v = fake_call_fd(fe, FE_SET_VRING_KICK, q,
					fe->vqs[q].kickfd);
				break;
			case 3:
				v = fake_call_fd(fe, FE_SET_VRING_CALL, q,
					fe->vqs[q].callfd);
				break;
			case 4:
				v = fake_call_state(fe, FE_SET_VRING_ENABLE, q, 1);
				break;
			}
			TEST_ASSERT_EQUAL(v, FAKE_ACK, "order %u, message %u", o,
				orders[o][i % 5]);
		}
		TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, 1), "order %u",
			o);
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "order %u", o);
		TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	}
	return TEST_SUCCESS;
}

static int
negotiated_protocol_features_are_told(void)
{
	struct fake *fe = fake_start(.mergeable = true, .protocol_features =
		FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ));
	uint64_t negotiated = 0;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(rte_vhost_get_negotiated_protocol_features(fe->vid,
		&negotiated), "ask");
	TEST_ASSERT_EQUAL(negotiated, fe->protocol_features, "as negotiated");
	return fake_stop(fe);
}

/* ---- in a program without standard input ---- */

/** Somebody who hands over descriptors, and asks for one. */
struct giver {
	struct fake *fe;
	struct fake_dirty log;
	struct fake_inflight area;
	int channel[2];
};

static enum fake_verdict
give_memory(struct giver *g)
{
	return fake_send_mem_table(g->fe) == 0 ? FAKE_ACK : FAKE_NACK;
}

static enum fake_verdict
give_kick(struct giver *g)
{
	return fake_call_fd(g->fe, FE_SET_VRING_KICK, 0, g->fe->vqs[0].kickfd);
}

static enum fake_verdict
give_call(struct giver *g)
{
	return fake_call_fd(g->fe, FE_SET_VRING_CALL, 0, g->fe->vqs[0].callfd);
}

static enum fake_verdict
give_log(struct giver *g)
{
	return dirty_send_base(g->fe, g->log.size, g->log.offset, g->log.fd);
}

static enum fake_verdict
give_inflight_area(struct giver *g)
{
	return fake_inflight_set(g->fe, &g->area);
}

static enum fake_verdict
ask_for_inflight_area(struct giver *g)
{
	fake_inflight_close(&g->area);
	return fake_inflight_get(g->fe, &g->area, 2, 256) == 0 ? FAKE_ACK : FAKE_NACK;
}

static enum fake_verdict
give_channel(struct giver *g)
{
	return fake_call(g->fe, FE_SET_SLAVE_REQ_FD, NULL, 0, &g->channel[1], 1);
}

/** What comes next is number 0 of the library's descriptors. */
static const struct gift {
	const char *name;
	enum fake_stage after;
	enum fake_verdict (*give)(struct giver *g);
	bool stays;		/* open as long as it is used */
} gifts[] = {
	{ "memory", FAKE_NEGOTIATED, give_memory, true },
	{ "kick", FAKE_RUNNING, give_kick, true },
	{ "call", FAKE_RUNNING, give_call, true },
	{ "log", FAKE_MEMORY, give_log, false },
	{ "inflight_area", FAKE_MEMORY, give_inflight_area, false },
	{ "no_inflight_area", FAKE_MEMORY, ask_for_inflight_area, false },
	{ "channel", FAKE_MEMORY, give_channel, true },
};

static int
open_all(struct giver *g, enum fake_stage until)
{
	g->fe = fake_start(.until = until, .protocol_features = DIRTY_PROTOCOL |
		FE_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) |
		FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ));
	if (g->fe == NULL || dirty_create(g->fe, &g->log, 0, 0) < 0 ||
			fake_inflight_make(g->fe, &g->area, 2, 256) < 0)
		return -1;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, g->channel);
}

static int
close_all(struct giver *g)
{
	fake_inflight_close(&g->area);
	close(g->channel[0]);
	close(g->channel[1]);
	return dirty_destroy(&g->log) == 0 ? fake_stop(g->fe) : TEST_FAILED;
}

static int
give(struct giver *g, const struct gift *gift)
{
	TEST_ASSERT_EQUAL(gift->give(g), FAKE_ACK, "%s", gift->name);
	TEST_ASSERT(!gift->stays || fcntl(STDIN_FILENO, F_GETFD) >= 0, "%s", gift->name);
	if (gift->after == FAKE_NEGOTIATED)
		TEST_ASSERT_EQUAL(give_memory(g), FAKE_ACK, "the same memory");
	if (gift->after != FAKE_RUNNING)
		TEST_ASSERT_SUCCESS(fake_run(g->fe), "%s", gift->name);
	g->fe->vqs[0].ops->interrupts(&g->fe->vqs[0], true);
	fake_interrupts(&g->fe->vqs[0]);
	TEST_ASSERT_EQUAL(fake_round_trip(g->fe, 0, 64), 64, "%s", gift->name);
	TEST_ASSERT(fake_interrupts(&g->fe->vqs[0]) > 0, "%s", gift->name);
	return TEST_SUCCESS;
}

/** Some descriptors are closed by another thread, a little later. */
static bool
is_closed_in_the_end(int fd)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (fcntl(fd, F_GETFD) >= 0 && fake_now_ms() < until)
		sched_yield();
	return fcntl(fd, F_GETFD) < 0;
}

static int
give_as_number_0(const struct gift *gift)
{
	int result, input = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	struct giver g = { 0 };

	TEST_ASSERT(input >= 0, "a standard input");
	TEST_ASSERT_SUCCESS(open_all(&g, gift->after), "a frontend");
	close(STDIN_FILENO);
	result = give(&g, gift);
	result |= close_all(&g);
	result |= is_closed_in_the_end(STDIN_FILENO) ? TEST_SUCCESS : TEST_FAILED;
	dup2(input, STDIN_FILENO);
	close(input);
	return result;
}

static int
descriptor_0_is_one_like_others(void)
{
	for (unsigned int i = 0; i < RTE_DIM(gifts); i++)
		TEST_ASSERT_SUCCESS(give_as_number_0(&gifts[i]), "%s", gifts[i].name);
	return TEST_SUCCESS;
}

static const struct test_case cases[] = {
	TEST_CASE(features_offered_are_exactly_these),
	TEST_CASE(protocol_features_offered_are_exactly_these),
	TEST_CASE(application_takes_features_away_and_gives_them_back),
	TEST_CASE(device_of_another_kind_carries_no_packets),
	TEST_CASE(queue_num_is_128),
	TEST_CASE(error_is_acknowledged_when_asked_for),
	TEST_CASE(error_without_ack_closes),
	TEST_CASE(ack_without_the_feature_is_given_too),
	TEST_CASE(reply_is_not_followed_by_an_ack),
	TEST_CASE(config_space_is_not_ours),
	TEST_CASE(mtu_is_told_to_the_application),
	TEST_CASE(mtu_needs_its_feature),
	TEST_CASE(status_holds_the_device_back_until_driver_ok),
	TEST_CASE(vring_base_is_what_was_set_or_reached),
	TEST_CASE(reset_owner_forgets_the_device),
	TEST_CASE(callbacks_come_in_order),
	TEST_CASE(disconnect_ends_the_story),
	TEST_CASE(disabling_a_ring_is_told),
	TEST_CASE(refused_new_device_is_tried_again),
	TEST_CASE(late_pairs_join_a_running_device),
	TEST_CASE(ring_messages_come_in_any_order),
	TEST_CASE(negotiated_protocol_features_are_told),
	TEST_CASE(descriptor_0_is_one_like_others),
};

static int
test_vhost_message(void)
{
	static const struct test_suite suite = {
		.name = "vhost message",
		.setup = fake_setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_message_autotest, test_vhost_message);
