/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The control queue, where the frontend leaves it to the backend (user-mode
 * Linux does): commands are answered, wrong ones with an error, impossible ones
 * not at all, and the packets next to it do not notice.
 */

#include <poll.h>
#include <unistd.h>

#include "device.h"
#include "test_vhost_hostile.h"
#include "vhost_test_log.h"

#define PAIRS 4

/* What the fake negotiates for a device with a control queue. */
#define CTRL_FEATURES (FE_BIT(VIRTIO_NET_F_CTRL_RX) | \
	FE_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | FE_BIT(VIRTIO_NET_F_MQ))

#define UNTOUCHED 0x77

static struct fake_vq *
ctrl_of(struct fake *fe)
{
	return &fe->vqs[fe->nvrings - 1];
}

static void
kick_always(struct fake_vq *vq)
{
	uint64_t one = 1;

	vq->ops->publish(vq);
	if (write(vq->kickfd, &one, sizeof(one)) < 0)
		vq->fe->broken = true;
}

/** Wait for the interrupt of a used chain; its id, or -1. */
static int
wait_used(struct fake_vq *vq)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	int id;

	while ((id = fake_collect(vq, NULL)) < 0) {
		struct pollfd pfd = { .fd = vq->callfd, .events = POLLIN };
		uint64_t now = fake_now_ms();

		if (now >= until || poll(&pfd, 1, until - now) <= 0)
			return fake_collect(vq, NULL);
		fake_interrupts(vq);
	}
	return id;
}

/* How the bytes of a command are laid out in descriptors. */
enum cut { ONE_EACH, HEADER_WITH_DATA, BYTE_BY_BYTE };

static unsigned int
lay_out(struct fake_seg *segs, uint64_t gpa, size_t len, enum cut cut)
{
	unsigned int n = 0;
	size_t first = cut == BYTE_BY_BYTE ? 1 : cut == ONE_EACH ? 2 : len;

	for (size_t done = 0; done < len; n++) {
		size_t piece = RTE_MIN(first, len - done);

		segs[n] = (struct fake_seg){ gpa + done, piece, false };
		done += piece;
		first = cut == BYTE_BY_BYTE ? 1 : len;
	}
	segs[n++] = (struct fake_seg){ gpa + 512, 1, true };
	return n;
}

/** Put a command into the ring; where its ack will be. */
static uint8_t *
put_command(struct fake *fe, uint8_t class, uint8_t cmd, const void *data,
		size_t len, enum cut cut, bool indirect)
{
	uint64_t gpa = fake_alloc(fe, 0, 1024, 64);
	uint8_t *at = fake_va(fe, gpa, 1024);
	struct fake_seg segs[64];
	unsigned int n;

	if (at == NULL || len > 60)
		return NULL;
	at[0] = class;
	at[1] = cmd;
	if (len > 0)
		memcpy(at + 2, data, len);
	at[512] = UNTOUCHED;
	n = lay_out(segs, gpa, 2 + len, cut);
	if (ctrl_of(fe)->ops->add(ctrl_of(fe), segs, n, indirect ?
			fake_alloc(fe, 0, n * 16, 16) : 0) < 0)
		return NULL;
	return at + 512;
}

/** One command, waited for; its ack, or -1. */
static int
command(struct fake *fe, uint8_t class, uint8_t cmd, const void *data, size_t len)
{
	uint8_t *ack = put_command(fe, class, cmd, data, len, ONE_EACH, false);

	if (ack == NULL)
		return -1;
	kick_always(ctrl_of(fe));
	return wait_used(ctrl_of(fe)) < 0 ? -1 : *ack;
}

static int
set_pairs(struct fake *fe, uint16_t pairs)
{
	return command(fe, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
		&pairs, sizeof(pairs));
}

#define start_with_ctrl(...) \
	fake_start(.queues = PAIRS, .ctrl_queue = true, .ring_size = 64, \
		.features = CTRL_FEATURES, .mergeable = true, __VA_ARGS__)

static int
pairs_are_set(void)
{
	struct fake *fe = start_with_ctrl(.event_idx = false);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (uint16_t pairs = 1; pairs <= PAIRS; pairs++)
		TEST_ASSERT_EQUAL(set_pairs(fe, pairs), VIRTIO_NET_OK, "%u pairs",
			pairs);
	TEST_ASSERT_EQUAL(set_pairs(fe, 0), VIRTIO_NET_ERR, "none");
	TEST_ASSERT_EQUAL(set_pairs(fe, 0x8001), VIRTIO_NET_ERR, "too many");
	TEST_ASSERT_EQUAL(set_pairs(fe, PAIRS), VIRTIO_NET_OK, "and on");
	for (unsigned int i = 0; i < PAIRS; i++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, i, 64), 64, "pair %u", i);
	return fake_stop(fe);
}

static const struct {
	const char *what;
	uint8_t class, cmd, len, ack;
} commands[] = {
	{ "promiscuous", VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1,
		VIRTIO_NET_OK },
	{ "all multicast", VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, 1,
		VIRTIO_NET_OK },
	{ "table of addresses", VIRTIO_NET_CTRL_MAC,
		VIRTIO_NET_CTRL_MAC_TABLE_SET, 8, VIRTIO_NET_OK },
	{ "announced", VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, 0,
		VIRTIO_NET_OK },
	{ "own address, not offered", VIRTIO_NET_CTRL_MAC,
		VIRTIO_NET_CTRL_MAC_ADDR_SET, 6, VIRTIO_NET_ERR },
	{ "VLAN, not offered", VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 2,
		VIRTIO_NET_ERR },
	{ "VLAN, not offered", VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, 2,
		VIRTIO_NET_ERR },
	{ "offloads, not offered", VIRTIO_NET_CTRL_GUEST_OFFLOADS,
		VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, 8, VIRTIO_NET_ERR },
	{ "hash, not offered", VIRTIO_NET_CTRL_MQ,
		VIRTIO_NET_CTRL_MQ_RSS_CONFIG, 8, VIRTIO_NET_ERR },
	{ "pairs without a number", VIRTIO_NET_CTRL_MQ,
		VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 0, VIRTIO_NET_ERR },
	{ "pairs with half a number", VIRTIO_NET_CTRL_MQ,
		VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 1, VIRTIO_NET_ERR },
	{ "unknown command", VIRTIO_NET_CTRL_MQ, 0xff, 2, VIRTIO_NET_ERR },
	{ "unknown class", 0xff, 0, 2, VIRTIO_NET_ERR },
};

static int
each_command_has_its_answer(void)
{
	static const uint8_t data[8];
	struct fake *fe = start_with_ctrl(.event_idx = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	ctrl_of(fe)->ops->interrupts(ctrl_of(fe), true);
	for (unsigned int i = 0; i < RTE_DIM(commands); i++) {
		TEST_ASSERT_EQUAL(command(fe, commands[i].class, commands[i].cmd,
			data, commands[i].len), commands[i].ack, "%s",
			commands[i].what);
		ctrl_of(fe)->ops->interrupts(ctrl_of(fe), true);
	}
	return fake_stop(fe);
}

static int
commands_may_have_any_layout(void)
{
	struct fake *fe = start_with_ctrl(.event_idx = false);
	uint16_t pairs = 2;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (int i = 0; i < 6; i++) {
		uint8_t *ack = put_command(fe, VIRTIO_NET_CTRL_MQ,
			VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs, sizeof(pairs),
			i / 2, i & 1);

		TEST_ASSERT_NOT_NULL(ack, "room");
		kick_always(ctrl_of(fe));
		TEST_ASSERT(wait_used(ctrl_of(fe)) >= 0, "layout %d", i);
		TEST_ASSERT_EQUAL(*ack, VIRTIO_NET_OK, "layout %d", i);
	}
	return fake_stop(fe);
}

static int
many_commands_with_one_kick(void)
{
	struct fake *fe = start_with_ctrl(.event_idx = false);
	uint8_t *acks[16], on = 1;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < RTE_DIM(acks); i++)
		acks[i] = put_command(fe, VIRTIO_NET_CTRL_RX, i % 2, &on, 1,
			ONE_EACH, false);
	kick_always(ctrl_of(fe));
	for (unsigned int i = 0; i < RTE_DIM(acks); i++) {
		TEST_ASSERT(wait_used(ctrl_of(fe)) >= 0, "command %u", i);
		TEST_ASSERT_EQUAL(*acks[i], VIRTIO_NET_OK, "command %u", i);
	}
	return fake_stop(fe);
}

/** The descriptor in which kicks of the control queue are looked for, or a negative number. */
static int
watched_fd(const struct fake *fe)
{
	struct vhost_device *dev = vhost_device_peek(fe->vid);
	int fd;

	vhost_device_lock(dev);
	fd = dev->ctrl.kick.fd;
	vhost_device_unlock(dev);
	return fd;
}

/* Kicks that do not come are not looked for, least of all in another's descriptor. */
static int
a_queue_without_kicks_is_not_watched(void)
{
	struct fake *fe = start_with_ctrl(.event_idx = false);
	enum fake_verdict verdict;
	struct log_capture log;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(watched_fd(fe) >= 0, "watched");
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	verdict = fake_call_fd(fe, FE_SET_VRING_KICK, ctrl_of(fe)->index, -1);
	TEST_ASSERT(fake_is_served(fe), "settled");
	log_end(&log);
	TEST_ASSERT_EQUAL(verdict, FAKE_ACK, "no kicks");
	TEST_ASSERT(watched_fd(fe) < 0, "not watched");
	TEST_ASSERT_EQUAL(log_count(&log, "cannot watch"), 0, "nor tried: %s", log.text);
	log_free(&log);
	return fake_stop(fe);
}

/* A command that is there before anybody looks: put in, then enabled. */
static int
command_put_in_before_the_start_is_answered(void)
{
	struct fake *fe = start_with_ctrl(.until = FAKE_MEMORY);
	uint8_t *ack, on = 1;

	TEST_ASSERT_NOT_NULL(fe, "memory");
	ack = put_command(fe, VIRTIO_NET_CTRL_RX, 0, &on, 1, ONE_EACH, false);
	TEST_ASSERT_NOT_NULL(ack, "room");
	kick_always(ctrl_of(fe));
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT(wait_used(ctrl_of(fe)) >= 0, "used");
	TEST_ASSERT_EQUAL(*ack, VIRTIO_NET_OK, "answered");
	return fake_stop(fe);
}

static int
control_queue_survives_a_restart(void)
{
	struct fake *fe = start_with_ctrl(.event_idx = false);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (int round = 0; round < 3; round++) {
		TEST_ASSERT_EQUAL(set_pairs(fe, 1), VIRTIO_NET_OK, "before");
		for (unsigned int q = 0; q < fe->nvrings; q++) {
			TEST_ASSERT(fake_stop_vring(fe, q) >= 0, "stop");
			fake_vq_reset(&fe->vqs[q]);
		}
		TEST_ASSERT_SUCCESS(fake_run(fe), "again");
		TEST_ASSERT_EQUAL(set_pairs(fe, PAIRS), VIRTIO_NET_OK, "after");
		TEST_ASSERT_EQUAL(fake_round_trip(fe, PAIRS - 1, 64), 64, "go");
	}
	return fake_stop(fe);
}

/* The queue is watched from its start to its end; only the driver says when to look. */
static int
a_change_elsewhere_is_no_kick(void)
{
	struct fake *fe = start_with_ctrl(.event_idx = false);
	uint8_t *ack, on = 1;
	uint64_t kicks;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(set_pairs(fe, 1), VIRTIO_NET_OK, "served");
	TEST_ASSERT(read(ctrl_of(fe)->kickfd, &kicks, sizeof(kicks)) > 0, "kicks so far");
	ack = put_command(fe, VIRTIO_NET_CTRL_RX, 0, &on, 1, ONE_EACH, false);
	TEST_ASSERT_NOT_NULL(ack, "room");
	ctrl_of(fe)->ops->publish(ctrl_of(fe));
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, false), "a change");
	TEST_ASSERT(read(ctrl_of(fe)->kickfd, &kicks, sizeof(kicks)) < 0, "no kick since");
	kick_always(ctrl_of(fe));
	TEST_ASSERT(wait_used(ctrl_of(fe)) >= 0, "used");
	TEST_ASSERT_EQUAL(*ack, VIRTIO_NET_OK, "answered");
	return fake_stop(fe);
}

/* User-mode Linux: one pair, no protocol features, no ENABLE. */
static int
control_queue_of_a_simple_frontend(void)
{
	struct fake *fe = fake_start(.ctrl_queue = true, .ring_size = 64,
		.no_protocol_features = true, .mergeable = true,
		.features = FE_BIT(VIRTIO_NET_F_CTRL_RX));
	uint8_t on = 1;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(command(fe, VIRTIO_NET_CTRL_RX, 0, &on, 1),
		VIRTIO_NET_OK, "promiscuous");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "packets too");
	return fake_stop(fe);
}

/* Frontends that name a ring only when they start it, and keep the commands. */
static int
ring_before_the_next_one_is_no_control_queue(void)
{
	struct fake *fe = fake_start(.queues = 2, .mergeable = true, .ring_size = 64,
		.features = FE_BIT(VIRTIO_NET_F_CTRL_VQ), .until = FAKE_MEMORY);

	TEST_ASSERT_NOT_NULL(fe, "memory");
	for (unsigned int q = 0; q < fe->nvrings; q++) {
		struct fake_vq *vq = &fe->vqs[q];

		TEST_ASSERT(q % 2 == 1 || fake_rx_fill(vq, 10, 1500, NULL) == 10, "room");
		kick_always(vq);
		TEST_ASSERT_SUCCESS(fake_setup_vring(fe, q), "ring %u", q);
		for (int i = 0; i < 10; i++)
			TEST_ASSERT(fake_is_served(fe), "turns of the event loop");
		TEST_ASSERT(fake_collect(vq, NULL) < 0, "ring %u", q);
	}
	for (unsigned int q = 0; q < fe->nvrings; q++)
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, q, true), "ring %u", q);
	TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, 1), "run");
	TEST_ASSERT(fake_collect(&fe->vqs[0], NULL) < 0, "untouched");
	TEST_ASSERT(fake_collect(&fe->vqs[2], NULL) < 0, "untouched");
	TEST_ASSERT_EQUAL(fake_backend_send(fe, 1, 64, 1), 1, "and there to be used");
	return fake_stop(fe);
}

/* virtio 1.2, 5.1.2: without MQ it is ring 2, whatever else the frontend names. */
static int
control_queue_without_multiqueue(void)
{
	struct fake *fe = fake_start(.ctrl_queue = true, .ring_size = 64,
		.features = FE_BIT(VIRTIO_NET_F_CTRL_RX), .until = FAKE_MEMORY);
	uint8_t on = 1;

	TEST_ASSERT_NOT_NULL(fe, "memory");
	for (unsigned int q = 0; q < 8; q++)
		TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_CALL, q, fe->vqs[0].callfd),
			FAKE_ACK, "ring %u", q);
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT_EQUAL(rte_vhost_get_vring_num(fe->vid), 2, "of the guest");
	TEST_ASSERT_EQUAL(command(fe, VIRTIO_NET_CTRL_RX, 0, &on, 1),
		VIRTIO_NET_OK, "promiscuous");
	return fake_stop(fe);
}

static int
bursts_leave_the_control_queue_alone(void)
{
	struct fake *fe = start_with_ctrl(.event_idx = false);
	struct rte_mbuf *m = NULL;
	uint16_t q = 2 * PAIRS;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(rte_vhost_enqueue_burst(fe->vid, q, &m, 0), 0, "in");
	TEST_ASSERT_EQUAL(rte_vhost_dequeue_burst(fe->vid, q, fake_pool(), &m, 1),
		0, "out");
	TEST_ASSERT_EQUAL(set_pairs(fe, 1), VIRTIO_NET_OK, "served");
	return fake_stop(fe);
}

/* ---- commands that are none ---- */

static const struct {
	const char *name;
	struct fake_seg segs[3];	/* gpa: offset in a good page, or absolute */
	unsigned int n;
} wrong[] = {
	{ "no_ack", { { 0, 2, false } }, 1 },
	{ "ack_only", { { 512, 1, true } }, 1 },
	{ "empty_command", { { 0, 0, false }, { 512, 1, true } }, 2 },
	{ "one_byte_command", { { 0, 1, false }, { 512, 1, true } }, 2 },
	{ "ack_without_length", { { 0, 2, false }, { 512, 0, true } }, 2 },
	{ "ack_before_command", { { 512, 1, true }, { 0, 2, false } }, 2 },
	{ "command_unmapped", { { 1ULL << 50, 2, false }, { 512, 1, true } }, 2 },
	{ "ack_unmapped", { { 0, 2, false }, { 1ULL << 50, 1, true } }, 2 },
	{ "command_of_4_gib", { { 0, 0xffffffff, false }, { 512, 1, true } }, 2 },
};

static int
wrong_command_stalls_nobody(const void *arg)
{
	unsigned int i = *(const unsigned int *)arg;
	struct fake_seg segs[3];
	struct fake_vq *vq;
	uint64_t page;
	struct two t;

	TEST_ASSERT(two_start(&t, .queues = PAIRS, .ctrl_queue = true,
		.ring_size = 64, .features = CTRL_FEATURES), "two devices");
	vq = ctrl_of(t.bad);
	page = fake_alloc(t.bad, 0, 4096, 4096);
	for (unsigned int k = 0; k < wrong[i].n; k++) {
		segs[k] = wrong[i].segs[k];
		if (segs[k].gpa < 4096)
			segs[k].gpa += page;
	}
	TEST_ASSERT(vq->ops->add(vq, segs, wrong[i].n, 0) >= 0, "room");
	kick_always(vq);
	TEST_ASSERT(fake_is_served(t.bad), "the connection is served");
	TEST_ASSERT_EQUAL(fake_round_trip(t.bad, 0, 64), 64, "packets too");
	TEST_ASSERT(fake_guards_intact(t.bad), "nothing outside was written");
	/* Whether it is given back or not, a reset driver is served again. */
	for (unsigned int q = 0; q < t.bad->nvrings; q++) {
		TEST_ASSERT(fake_stop_vring(t.bad, q) >= 0, "stop");
		fake_vq_reset(&t.bad->vqs[q]);
	}
	TEST_ASSERT_SUCCESS(fake_run(t.bad), "again");
	TEST_ASSERT_EQUAL(set_pairs(t.bad, 1), VIRTIO_NET_OK, "served again");
	return two_end(&t);
}

/** Heads of a chain that leads to itself, and no heads, half a turn of indices. */
static void
loop_split(struct fake_vq *vq)
{
	vq->desc[10] = (struct vring_desc){ vq->slots_gpa, 0,
		VRING_DESC_F_NEXT, 10 };
	for (unsigned int i = 0; i < vq->size; i++)
		vq->avail->ring[i] = i % 2 ? 10 : 0xffff;
	vq->avail_idx += 0x8000;
}

/** A chain that takes the whole ring and does not end there. */
static void
loop_packed(struct fake_vq *vq)
{
	for (unsigned int i = 0; i < vq->size; i++)
		vq->packed[i] = (struct vring_packed_desc){ vq->slots_gpa, 0, 0,
			VRING_DESC_F_NEXT | 1 << VRING_PACKED_DESC_F_AVAIL };
}

static int
looping_command_stalls_nobody(void)
{
	struct fake_vq *vq;
	struct two t;

	TEST_ASSERT(two_start(&t, .queues = PAIRS, .ctrl_queue = true,
		.ring_size = 64, .features = CTRL_FEATURES), "two devices");
	vq = ctrl_of(t.bad);
	if (t.bad->cfg.format == FAKE_PACKED)
		loop_packed(vq);
	else
		loop_split(vq);
	kick_always(vq);
	TEST_ASSERT(fake_is_served(t.bad), "the connection is served");
	TEST_ASSERT_EQUAL(fake_round_trip(t.bad, 0, 64), 64, "packets too");
	return two_end(&t);
}

static const struct test_case fixed_cases[] = {
	TEST_CASE(pairs_are_set),
	TEST_CASE(each_command_has_its_answer),
	TEST_CASE(commands_may_have_any_layout),
	TEST_CASE(many_commands_with_one_kick),
	TEST_CASE(a_queue_without_kicks_is_not_watched),
	TEST_CASE(command_put_in_before_the_start_is_answered),
	TEST_CASE(control_queue_survives_a_restart),
	TEST_CASE(a_change_elsewhere_is_no_kick),
	TEST_CASE(control_queue_of_a_simple_frontend),
	TEST_CASE(ring_before_the_next_one_is_no_control_queue),
	TEST_CASE(control_queue_without_multiqueue),
	TEST_CASE(bursts_leave_the_control_queue_alone),
	TEST_CASE(looping_command_stalls_nobody),
};

static int
run_suite(const char *name, int (*setup)(void))
{
	static struct test_case cases[RTE_DIM(wrong) + RTE_DIM(fixed_cases)];
	static unsigned int rows[RTE_DIM(wrong)];
	struct test_suite suite = {
		.name = name,
		.setup = setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	memcpy(cases, fixed_cases, sizeof(fixed_cases));
	for (unsigned int i = 0; i < RTE_DIM(wrong); i++) {
		rows[i] = i;
		cases[RTE_DIM(fixed_cases) + i] = (struct test_case)
			TEST_CASE_WITH(wrong_command_stalls_nobody, wrong[i].name,
			&rows[i]);
	}
	return test_suite_run(&suite);
}

static int
test_vhost_ctrl(void)
{
	return run_suite("vhost control queue", fake_setup);
}

static int
test_vhost_ctrl_packed(void)
{
	return run_suite("vhost control queue, packed", fake_setup_packed);
}

REGISTER_TEST_COMMAND(vhost_ctrl_autotest, test_vhost_ctrl);
REGISTER_TEST_COMMAND(vhost_ctrl_packed_autotest, test_vhost_ctrl_packed);
