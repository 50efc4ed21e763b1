/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* What the library has since ABI 25: notifications that the application does, and more. */

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_mbuf.h>

#include "rte_vhost_numa.h"
#include "test.h"
#include "vhost_fake_driver.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_topology.h"

#define FRAME 64

/* Of the callback: what it answers, how often it was asked, and about what. */
static bool promises;
static unsigned int asked;
static int asked_vid;
static uint16_t asked_queue;

static bool
on_guest_notify(int vid, uint16_t queue_id)
{
	asked++;
	asked_vid = vid;
	asked_queue = queue_id;
	return promises;
}

/** A running device whose application is asked, with buffers for what comes. */
static struct fake *
start_asking(bool answer)
{
	static struct rte_vhost_device_ops ops;
	struct fake *fe;

	ops = fake_recorder_ops;
	ops.guest_notify = on_guest_notify;
	promises = answer;
	asked = 0;
	fe = fake_start(.queues = 1, .mergeable = true, .more_ops = &ops,
		.flags = RTE_VHOST_USER_NET_STATS_ENABLE);
	if (fe != NULL && fake_rx_fill(&fe->vqs[0], 64, 256, NULL) == 64)
		fake_interrupts(&fe->vqs[0]);
	return fe;
}

static uint16_t
send_frame(struct fake *fe)
{
	struct rte_mbuf *pkt = fake_mbuf(FRAME, 0, 0);
	uint16_t n = rte_vhost_enqueue_burst(fe->vid, 0, &pkt, 1);

	rte_pktmbuf_free(pkt);
	return n;
}

static int
promised_notification_waits(void)
{
	struct fake *fe = start_asking(true);
	unsigned int told;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	told = fake_events(fe, FAKE_GUEST_NOTIFIED);
	for (unsigned int i = 0; i < 3; i++)
		TEST_ASSERT_EQUAL(send_frame(fe), 1, "frame %u", i);
	TEST_ASSERT_EQUAL(asked, 1, "once until it is done");
	TEST_ASSERT(asked_vid == fe->vid && asked_queue == 0, "about this ring");
	TEST_ASSERT_EQUAL(fake_interrupts(&fe->vqs[0]), 0, "none yet");
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "guest_notifications_offloaded"), 1, "one");
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "guest_notifications_suppressed"), 2, "the others");
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "guest_notifications"), 0, "none is done");
	rte_vhost_notify_guest(fe->vid, 0);
	TEST_ASSERT_EQUAL(fake_interrupts(&fe->vqs[0]), 1, "now");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_GUEST_NOTIFIED) - told, 1, "and told");
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "guest_notifications"), 1, "and counted");
	rte_vhost_notify_guest(fe->vid, 0);
	TEST_ASSERT_EQUAL(fake_interrupts(&fe->vqs[0]), 0, "nothing was promised");
	TEST_ASSERT_EQUAL(send_frame(fe), 1, "another");
	TEST_ASSERT_EQUAL(asked, 2, "asked again");
	return fake_stop(fe);
}

static int
declined_notification_is_done_at_once(void)
{
	struct fake *fe = start_asking(false);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 1; i <= 3; i++) {
		TEST_ASSERT_EQUAL(send_frame(fe), 1, "frame %u", i);
		TEST_ASSERT_EQUAL(asked, i, "each time");
		TEST_ASSERT_EQUAL(fake_interrupts(&fe->vqs[0]), 1, "at once");
	}
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "guest_notifications_offloaded"), 0, "none");
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "guest_notifications"), 3, "all");
	return fake_stop(fe);
}

static int
unwanted_notification_is_not_asked_about(void)
{
	struct fake *fe = start_asking(true);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fe->vqs[0].ops->interrupts(&fe->vqs[0], false);
	TEST_ASSERT_EQUAL(send_frame(fe), 1, "a frame");
	TEST_ASSERT_EQUAL(asked, 0, "the guest does not want it");
	return fake_stop(fe);
}

/* An application that has forgotten its promise by then must not silence the ring. */
static int
promise_ends_with_the_ring(void)
{
	struct fake *fe = start_asking(true);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(send_frame(fe), 1, "a frame");
	TEST_ASSERT(fake_stop_vring(fe, 0) >= 0 && fake_stop_vring(fe, 1) >= 0, "stop");
	TEST_ASSERT_SUCCESS(fake_run(fe), "start again");
	TEST_ASSERT_EQUAL(send_frame(fe), 1, "another");
	TEST_ASSERT_EQUAL(asked, 2, "asked again");
	return fake_stop(fe);
}

static int
promise_moves_with_the_queue(void)
{
	struct fake *fe;

	topology_make_up();
	topology_guest_on(0);
	fe = start_asking(true);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(send_frame(fe), 1, "a frame");
	topology_guest_on(1);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, 1), "moved");
	rte_vhost_notify_guest(fe->vid, 0);
	TEST_ASSERT_EQUAL(fake_interrupts(&fe->vqs[0]), 1, "kept");
	return topology_stop(fe);
}

static int
notify_guest_ignores_what_is_not_there(void)
{
	struct fake *fe = start_asking(true);
	int vid;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	vid = fe->vid;
	TEST_ASSERT_EQUAL(send_frame(fe), 1, "a frame");
	rte_vhost_notify_guest(-1, 0);
	rte_vhost_notify_guest(RTE_MAX_VHOST_DEVICE, 0);
	rte_vhost_notify_guest(vid, 7);
	TEST_ASSERT_EQUAL(fake_interrupts(&fe->vqs[0]), 0, "another ring's");
	TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	rte_vhost_notify_guest(vid, 0);
	return TEST_SUCCESS;
}

/** So many notifications failed, none was done, and the application was told of none. */
static int
only_failures_are_counted(struct fake *fe, unsigned int times, unsigned int told)
{
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "guest_notifications_error"), times, "counted");
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "guest_notifications"), 0, "not as done");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_GUEST_NOTIFIED), told, "nor told");
	return TEST_SUCCESS;
}

/* A call descriptor at whose other end nobody is: a socket, as user-mode Linux has. */
static int
failed_notification_is_counted(void)
{
	struct fake *fe = start_asking(false);
	uint64_t ring = 0;
	unsigned int told;
	int pair[2];

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "a pair");
	TEST_ASSERT(fake_call(fe, FE_SET_VRING_CALL, &ring, sizeof(ring), &pair[1], 1) !=
		FAKE_CLOSED, "another call descriptor");
	close(pair[0]);
	close(pair[1]);
	told = fake_events(fe, FAKE_GUEST_NOTIFIED);
	TEST_ASSERT_EQUAL(send_frame(fe), 1, "a frame");
	TEST_ASSERT_SUCCESS(only_failures_are_counted(fe, 1, told), "counters");
	return fake_stop(fe);
}

static int
missing_call_descriptor_is_a_failure(void)
{
	struct fake *fe = start_asking(false);
	unsigned int told;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_CALL, 0, -1), FAKE_ACK, "none");
	told = fake_events(fe, FAKE_GUEST_NOTIFIED);
	TEST_ASSERT_EQUAL(send_frame(fe), 1, "a frame");
	TEST_ASSERT_SUCCESS(rte_vhost_vring_call(fe->vid, 0), "by hand");
	TEST_ASSERT_SUCCESS(only_failures_are_counted(fe, 2, told), "counters");
	return fake_stop(fe);
}

static int
full_call_descriptor_is_a_failure(void)
{
	struct fake *fe = start_asking(false);
	const uint64_t most = UINT64_MAX - 1;
	unsigned int told;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(write(fe->vqs[0].callfd, &most, sizeof(most)), sizeof(most), "full");
	told = fake_events(fe, FAKE_GUEST_NOTIFIED);
	TEST_ASSERT_EQUAL(send_frame(fe), 1, "a frame");
	TEST_ASSERT_SUCCESS(only_failures_are_counted(fe, 1, told), "counters");
	return fake_stop(fe);
}

static int
packets_without_mbufs_are_counted(void)
{
	struct fake *fe = fake_start(.queues = 1, .mergeable = true,
		.flags = RTE_VHOST_USER_NET_STATS_ENABLE);
	struct rte_mempool *pool = rte_pktmbuf_pool_create("vhost_few", 1, 0, 0,
		RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	struct rte_mbuf *pkts[4];
	uint8_t frame[FRAME] = { 0 };

	TEST_ASSERT(fe != NULL && pool != NULL, "a device and a pool");
	for (unsigned int i = 0; i < 4; i++)
		TEST_ASSERT(fake_tx_send(&fe->vqs[1], NULL, frame, FRAME, NULL), "room");
	TEST_ASSERT_EQUAL(rte_vhost_dequeue_burst(fe->vid, 1, pool, pkts, 4), 1, "one");
	TEST_ASSERT_EQUAL(fake_counter(fe, 1, "mbuf_alloc_failed"), 3, "the others");
	rte_pktmbuf_free(pkts[0]);
	rte_mempool_free(pool);
	return fake_stop(fe);
}

static int
client_connects_in_the_background(void)
{
	const uint64_t flags = RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT |
		RTE_VHOST_USER_ASYNC_CONNECT;
	struct fake *fe = fake_start(.mergeable = true, .client = true,
		.flags = RTE_VHOST_USER_ASYNC_CONNECT);
	char path[108];

	fake_new_path(path, sizeof(path));
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path, flags), "register");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_callback_register(path, &fake_recorder_ops),
		"callbacks");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_start(path), "although nobody listens");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path), "unregister");
	TEST_ASSERT_NOT_NULL(fe, "where somebody listens it runs");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "it runs");
	return fake_stop(fe);
}

static int
queue_number_of_a_socket_is_the_frontends(void)
{
	uint32_t pairs = 0;
	char path[108];

	fake_new_path(path, sizeof(path));
	TEST_ASSERT_EQUAL(rte_vhost_driver_set_max_queue_num(path, 4), -1, "not registered");
	TEST_ASSERT_EQUAL(rte_vhost_driver_set_max_queue_num(NULL, 4), -1, "no path");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path, 0), "register");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_set_max_queue_num(path, 4), "registered");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_queue_num(path, &pairs), "ask");
	TEST_ASSERT_EQUAL(pairs, 128, "nothing changed");
	return rte_vhost_driver_unregister(path);
}

static int
test_vhost_notify(void)
{
	static const struct test_case cases[] = {
		TEST_CASE(promised_notification_waits),
		TEST_CASE(declined_notification_is_done_at_once),
		TEST_CASE(unwanted_notification_is_not_asked_about),
		TEST_CASE(promise_ends_with_the_ring),
		TEST_CASE(promise_moves_with_the_queue),
		TEST_CASE(notify_guest_ignores_what_is_not_there),
		TEST_CASE(failed_notification_is_counted),
	TEST_CASE(missing_call_descriptor_is_a_failure),
	TEST_CASE(full_call_descriptor_is_a_failure),
		TEST_CASE(packets_without_mbufs_are_counted),
		TEST_CASE(client_connects_in_the_background),
		TEST_CASE(queue_number_of_a_socket_is_the_frontends),
	};
	static const struct test_suite suite = {
		.name = "vhost notify",
		.setup = fake_setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_notify_autotest, test_vhost_notify);
