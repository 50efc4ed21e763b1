/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Who asks the guest for kicks, who is woken, and with which messages a ring starts.
 *
 * An application that sleeps until a kick must not sleep while frames wait: wherever
 * kicks are asked for, the ring is looked at afterwards.
 */

#include <unistd.h>

#include <linux/vhost_types.h>

#include <rte_mbuf.h>

#include "device.h"
#include "queue.h"
#include "test.h"
#include "vhost_fake_frontend.h"

static const bool flags = false, event_idx = true;

/** Whether the application would wake up; it reads the descriptor as it does so. */
static bool
woken(const struct fake_vq *vq)
{
	uint64_t n;

	return read(vq->kickfd, &n, sizeof(n)) == sizeof(n);
}

/** The word of the ring that says whether kicks are wanted. */
static volatile uint16_t *
kick_word(const struct fake_vq *vq)
{
	return vq->ops == &fake_packed_ring ? &vq->device_event->flags : &vq->used->flags;
}

/** In either format. */
#define NO_KICKS 1

static int
want_kicks(const struct fake *fe, bool wanted)
{
	return rte_vhost_enable_guest_notification(fe->vid, 1, wanted);
}

/** The guest sends frames; how many it could. */
static unsigned int
offer_frames(struct fake *fe, unsigned int n)
{
	unsigned int i = 0;

	while (i < n && fake_tx_send(&fe->vqs[1], NULL, "0123456789abcdef", 16, NULL))
		i++;
	return i;
}

/** The application takes what there is. */
static unsigned int
take_frames(struct fake *fe)
{
	struct rte_mbuf *m;
	unsigned int n = 0;

	while ((m = fake_backend_receive(fe, 0)) != NULL) {
		rte_pktmbuf_free(m);
		n++;
	}
	fake_tx_reap(&fe->vqs[1]);
	return n;
}

/** Have all blocks rebuilt, as a relocation does. */
static int
rebuild(struct fake *fe)
{
	static const uint64_t log_all = FE_BIT(VHOST_F_LOG_ALL);

	fe->features ^= log_all;
	return fake_call_u64(fe, FE_SET_FEATURES, fe->features) == FAKE_ACK ? 0 : -1;
}

/* ---- who writes to the ring ---- */

/** A device of a backend of the application's own, as a storage target is. */
static struct fake *
start_own_backend(void)
{
	struct fake *fe = fake_start(.until = FAKE_REGISTERED);
	uint64_t features = FE_BIT(28) | FE_BIT(32) | FE_BIT(34) | FE_BIT(VHOST_F_LOG_ALL) |
		FE_BIT(VHOST_USER_F_PROTOCOL_FEATURES);

	if (fe == NULL || rte_vhost_driver_set_features(fe->path, features) != 0 ||
			fake_connect(fe) != 0 || fake_negotiate(fe) != 0 ||
			fake_send_mem_table(fe) != 0 || fake_run(fe) != 0)
		return NULL;
	return fe;
}

static int
ring_of_an_own_backend_is_left_alone(void)
{
	struct fake *fe = start_own_backend();
	volatile uint16_t *word;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	word = kick_word(&fe->vqs[1]);
	*word = NO_KICKS;
	TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_CALL, 1, fe->vqs[1].callfd),
		FAKE_ACK, "another vector");
	TEST_ASSERT_EQUAL(*word, NO_KICKS, "after SET_VRING_CALL");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, false), "off");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, true), "on");
	TEST_ASSERT_EQUAL(*word, NO_KICKS, "after SET_VRING_ENABLE");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_EQUAL(*word, NO_KICKS, "after SET_MEM_TABLE");
	TEST_ASSERT_SUCCESS(rebuild(fe), "other blocks");
	TEST_ASSERT_EQUAL(*word, NO_KICKS, "in another block");
	TEST_ASSERT(fake_stop_vring(fe, 1) >= 0 && fake_stop_vring(fe, 0) >= 0, "stop");
	TEST_ASSERT_SUCCESS(fake_run(fe), "start again");
	TEST_ASSERT_EQUAL(*word, NO_KICKS, "after a start");
	return fake_stop(fe);
}

/* It has asked; what it writes itself afterwards holds until the ring starts again. */
static int
an_own_backend_may_have_it_written(void)
{
	struct fake *fe = start_own_backend();
	volatile uint16_t *word;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	word = kick_word(&fe->vqs[1]);
	TEST_ASSERT_SUCCESS(want_kicks(fe, false), "none");
	TEST_ASSERT_EQUAL(*word, NO_KICKS, "none");
	TEST_ASSERT_SUCCESS(want_kicks(fe, true), "some");
	TEST_ASSERT_EQUAL(*word, 0, "some");
	TEST_ASSERT(!woken(&fe->vqs[1]), "where it is in the ring is its own business");
	*word = NO_KICKS;
	TEST_ASSERT_SUCCESS(rebuild(fe), "other blocks");
	TEST_ASSERT_EQUAL(*word, NO_KICKS, "in another block");
	return fake_stop(fe);
}

/* An application that has said nothing polls: no send may cost the guest an exit. */
static int
nothing_said_costs_no_kicks(void)
{
	struct fake *fe = fake_start(.event_idx = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (int i = 0; i < 300; i++)
		TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 64, NULL), 64, "go");
	if (fe->vqs[1].ops == &fake_packed_ring) {
		/* flags of zero ask for each */
		TEST_ASSERT_EQUAL(*kick_word(&fe->vqs[1]), 0, "as the driver left it");
		return fake_stop(fe);
	}
	TEST_ASSERT(fe->vqs[1].kicks <= 1, "%u kicks", fe->vqs[1].kicks);
	return fake_stop(fe);
}

static int
nothing_said_leaves_the_ring_as_it_is(void)
{
	struct fake *fe = fake_start(.mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	*kick_word(&fe->vqs[1]) = NO_KICKS;
	TEST_ASSERT_SUCCESS(rebuild(fe), "other blocks");
	TEST_ASSERT_EQUAL(*kick_word(&fe->vqs[1]), NO_KICKS, "in another block");
	TEST_ASSERT(fake_stop_vring(fe, 1) >= 0 && fake_stop_vring(fe, 0) >= 0, "stop");
	TEST_ASSERT_SUCCESS(fake_run(fe), "start again");
	TEST_ASSERT_EQUAL(*kick_word(&fe->vqs[1]), NO_KICKS, "after a start");
	return fake_stop(fe);
}

/* ---- no frame is forgotten ---- */

static int
frames_before_the_request_wake(const void *arg)
{
	struct fake *fe = fake_start(.event_idx = *(const bool *)arg);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int late = 1; late <= 3; late++) {
		TEST_ASSERT_SUCCESS(want_kicks(fe, false), "the application polls");
		TEST_ASSERT_EQUAL(offer_frames(fe, late), late, "frames");
		woken(&fe->vqs[1]);
		TEST_ASSERT_SUCCESS(want_kicks(fe, true), "it wants to sleep");
		TEST_ASSERT(woken(&fe->vqs[1]), "%u frames wait", late);
		TEST_ASSERT_EQUAL(take_frames(fe), late, "all");
		TEST_ASSERT_SUCCESS(want_kicks(fe, true), "it wants to sleep");
		TEST_ASSERT(!woken(&fe->vqs[1]), "nothing waits");
	}
	return fake_stop(fe);
}

static int
frames_before_a_start_wake(const void *arg)
{
	struct fake *fe = fake_start(.event_idx = *(const bool *)arg);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(want_kicks(fe, true), "the application sleeps");
	TEST_ASSERT(fake_stop_vring(fe, 1) >= 0 && fake_stop_vring(fe, 0) >= 0, "stop");
	TEST_ASSERT_EQUAL(offer_frames(fe, 3), 3, "frames");
	woken(&fe->vqs[1]);
	TEST_ASSERT_SUCCESS(fake_run(fe), "start again");
	TEST_ASSERT(woken(&fe->vqs[1]), "three frames wait");
	TEST_ASSERT_EQUAL(take_frames(fe), 3, "all");
	return fake_stop(fe);
}

static int
frames_before_a_move_wake(const void *arg)
{
	struct fake *fe = fake_start(.event_idx = *(const bool *)arg);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(want_kicks(fe, true), "the application sleeps");
	TEST_ASSERT_SUCCESS(rebuild(fe), "other blocks");
	TEST_ASSERT(!woken(&fe->vqs[1]), "nothing waits");
	TEST_ASSERT_EQUAL(offer_frames(fe, 1), 1, "a frame");
	TEST_ASSERT(woken(&fe->vqs[1]), "with a kick");
	/* the application looks, and the gate is closed just then */
	TEST_ASSERT_SUCCESS(rebuild(fe), "other blocks");
	TEST_ASSERT(woken(&fe->vqs[1]), "it looks again");
	TEST_ASSERT_EQUAL(take_frames(fe), 1, "there it is");
	return fake_stop(fe);
}

static int
frames_before_enabling_wake(const void *arg)
{
	struct fake *fe = fake_start(.event_idx = *(const bool *)arg);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(want_kicks(fe, true), "the application sleeps");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, false), "off");
	TEST_ASSERT_EQUAL(offer_frames(fe, 1), 1, "a frame");
	woken(&fe->vqs[1]);
	TEST_ASSERT_EQUAL(take_frames(fe), 0, "not now");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, true), "on");
	TEST_ASSERT(woken(&fe->vqs[1]), "it waits");
	TEST_ASSERT_EQUAL(take_frames(fe), 1, "now");
	return fake_stop(fe);
}

/* Whoever closes the gate turns bursts away, and they return 0 frames. */
static int
a_burst_turned_away_is_made_up_for(const void *arg)
{
	struct fake *fe = fake_start(.event_idx = *(const bool *)arg);
	struct rte_mbuf *m;
	struct vhost_queue *q;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	q = vhost_device_queue(vhost_device_get(fe->vid), 1);
	TEST_ASSERT_SUCCESS(want_kicks(fe, true), "the application sleeps");
	TEST_ASSERT_EQUAL(offer_frames(fe, 1), 1, "a frame");
	TEST_ASSERT(woken(&fe->vqs[1]), "with a kick");
	vhost_gate_close(&q->gate);
	TEST_ASSERT_EQUAL(rte_vhost_dequeue_burst(fe->vid, 1, fake_pool(), &m, 1), 0,
		"it looks while the gate is closed");
	TEST_ASSERT(vhost_gate_open(&q->gate), "who opens it hears of that");
	q->gate.turned_away = true;
	TEST_ASSERT_EQUAL(vhost_queue_waiting(q), 1, "anybody, to look at anything");
	TEST_ASSERT(woken(&fe->vqs[1]), "the application is called back");
	TEST_ASSERT_EQUAL(vhost_queue_waiting(q), 1, "again");
	TEST_ASSERT(!woken(&fe->vqs[1]), "once");
	TEST_ASSERT_EQUAL(take_frames(fe), 1, "there it is");
	return fake_stop(fe);
}

/** How an application gets inside without taking frames. */
struct visit {
	int (*come)(int vid, uint16_t vring);
};

/** rte_vhost_notify_guest(), which not all versions have. */
static int
keep_promise(int vid, uint16_t vring)
{
	vhost_queue_keep_promise(vhost_device_queue(vhost_device_get(vid), vring));
	return 0;
}

static const struct visit visits[] = {
	{ rte_vhost_vring_call }, { rte_vhost_vring_call_nonblock }, { keep_promise },
};

/* One thread notifies the guest, and another one finds the gate taken and returns 0 frames. */
static int
a_burst_that_met_a_visitor_is_made_up_for(const void *arg)
{
	const struct visit *visit = arg;
	struct fake *fe = fake_start(.mergeable = true);
	struct vhost_queue *q;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	q = vhost_device_queue(vhost_device_get(fe->vid), 1);
	TEST_ASSERT_SUCCESS(want_kicks(fe, true), "the application sleeps");
	TEST_ASSERT_EQUAL(offer_frames(fe, 1), 1, "a frame");
	TEST_ASSERT(woken(&fe->vqs[1]), "with a kick");
	q->gate.turned_away = true;
	TEST_ASSERT_SUCCESS(visit->come(fe->vid, 1), "who was inside");
	TEST_ASSERT(woken(&fe->vqs[1]), "the application is called back");
	TEST_ASSERT_SUCCESS(visit->come(fe->vid, 1), "again");
	TEST_ASSERT(!woken(&fe->vqs[1]), "once");
	TEST_ASSERT_EQUAL(take_frames(fe), 1, "there it is");
	TEST_ASSERT_SUCCESS(want_kicks(fe, false), "it polls");
	q->gate.turned_away = true;
	TEST_ASSERT_SUCCESS(visit->come(fe->vid, 1), "who was inside");
	TEST_ASSERT(!woken(&fe->vqs[1]), "who polls is not called");
	return fake_stop(fe);
}

static int
an_announcement_wakes(void)
{
	struct fake *fe = fake_start(.protocol_features = FE_BIT(VHOST_USER_PROTOCOL_F_RARP));
	uint64_t mac = 0x060504030202ULL;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(want_kicks(fe, true), "the application sleeps");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SEND_RARP, mac), FAKE_ACK, "the guest moved");
	TEST_ASSERT(woken(&fe->vqs[1]), "there is a packet to be handed out");
	TEST_ASSERT_EQUAL(take_frames(fe), 1, "it is");
	return fake_stop(fe);
}

static int
who_polls_is_not_woken(const void *arg)
{
	struct fake *fe = fake_start(.event_idx = *(const bool *)arg);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int said = 0; said < 2; said++) {
		if (said)
			TEST_ASSERT_SUCCESS(want_kicks(fe, false), "it polls");
		TEST_ASSERT_EQUAL(offer_frames(fe, 3), 3, "frames");
		woken(&fe->vqs[1]);
		TEST_ASSERT_SUCCESS(rebuild(fe), "other blocks");
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, false), "off");
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, true), "on");
		TEST_ASSERT(!woken(&fe->vqs[1]), "said %u", said);
		TEST_ASSERT_EQUAL(take_frames(fe), 3, "all");
	}
	return fake_stop(fe);
}

/* ---- what starts a ring ---- */

/** One message of a ring's start: Num Base Addr Kick Call Enable; small: no descriptor. */
static enum fake_verdict
say(struct fake *fe, unsigned int i, char letter)
{
	struct fake_vq *vq = &fe->vqs[i];
	struct fake_addr addr = fake_addr_of(fe, i);

	switch (letter) {
	case 'N':
		return fake_call_state(fe, FE_SET_VRING_NUM, i, vq->size);
	case 'B':
		return fake_call_state(fe, FE_SET_VRING_BASE, i, vq->ops->base(vq));
	case 'A':
		return fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
	case 'K':
		return fake_call_fd(fe, FE_SET_VRING_KICK, i, vq->kickfd);
	case 'k':
		return fake_call_fd(fe, FE_SET_VRING_KICK, i, -1);
	case 'C':
		return fake_call_fd(fe, FE_SET_VRING_CALL, i, vq->callfd);
	case 'c':
		return fake_call_fd(fe, FE_SET_VRING_CALL, i, -1);
	case 'E':
		return fake_call_state(fe, FE_SET_VRING_ENABLE, i, 1);
	default:
		return FAKE_TIMEOUT;
	}
}

static int
say_all(struct fake *fe, const char *order)
{
	for (unsigned int i = 0; i < 2; i++)
		for (const char *letter = order; *letter != '\0'; letter++)
			TEST_ASSERT_EQUAL(say(fe, i, *letter), FAKE_ACK, "ring %u: %c of %s", i,
				*letter, order);
	return 0;
}

/** Orders in which frontends start rings, with all that they may leave out. */
static const struct start_order {
	const char *messages;
	bool plain;		/**< without protocol features: enabled from the start */
} start_orders[] = {
	{ "NBAKCE" }, { "NBACKE" }, { "CNBAKE" }, { "KCENBA" }, { "ENBAKC" }, { "NBAkcE" },
	{ "NBAKcE" }, { "NAKCE" },
	/* the guest polls, and the frontend has no interrupt to tell of */
	{ "NBAKE" }, { "ENBAK" }, { "KNBAE" }, { "NAKE" }, { "ENBAk" }, { "NBAkE" }, { "ENAKB" },
	{ "NBAKC", true }, { "CNBAK", true }, { "NBAK", true }, { "KNAB", true },
};

static int
a_ring_starts_without_what_may_be_left_out(void)
{
	for (unsigned int i = 0; i < RTE_DIM(start_orders); i++) {
		const struct start_order *order = &start_orders[i];
		struct fake *fe = fake_start(.until = FAKE_MEMORY,
			.no_protocol_features = order->plain, .mergeable = true);

		TEST_ASSERT_NOT_NULL(fe, "%s", order->messages);
		TEST_ASSERT_SUCCESS(say_all(fe, order->messages), "%s", order->messages);
		TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, 1), "%s: it starts",
			order->messages);
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "%s: traffic",
			order->messages);
		TEST_ASSERT_SUCCESS(strcmp(fake_story(fe), "connect ring0+ ring1+ new"),
			"%s: %s", order->messages, fake_story(fe));
		TEST_ASSERT_SUCCESS(fake_stop(fe), "%s", order->messages);
	}
	return TEST_SUCCESS;
}

/* QEMU sends the kick first, and the rings of a restart are still enabled. */
static int
a_ring_that_had_a_call_waits_for_it(void)
{
	struct fake *fe = fake_start(.mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_stop_vring(fe, 1) >= 0 && fake_stop_vring(fe, 0) >= 0, "stop");
	TEST_ASSERT_SUCCESS(say_all(fe, "NBAK"), "start again");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_NEW_DEVICE), 1, "not yet");
	TEST_ASSERT_SUCCESS(say_all(fe, "C"), "with interrupts");
	TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, 2), "now");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "traffic");
	return fake_stop(fe);
}

static int
a_ring_without_call_goes_on_when_disabled(void)
{
	struct fake *fe = fake_start(.until = FAKE_MEMORY, .mergeable = true);
	struct rte_vhost_vring vring;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (int round = 0; round < 2; round++) {
		TEST_ASSERT_SUCCESS(say_all(fe, "NBAKE"), "start");
		TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, round + 1), "it starts");
		TEST_ASSERT_SUCCESS(rte_vhost_get_vhost_vring(fe->vid, 1, &vring), "ask");
		TEST_ASSERT_EQUAL(vring.callfd, -1, "the application is told: none");
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "traffic");
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, false), "off");
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 1, true), "on");
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "traffic");
		TEST_ASSERT(fake_stop_vring(fe, 1) >= 0 && fake_stop_vring(fe, 0) >= 0,
			"stop");
	}
	return fake_stop(fe);
}

static int
a_late_call_is_told_what_it_missed(void)
{
	struct fake *fe = fake_start(.until = FAKE_MEMORY, .mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(say_all(fe, "NBAKE"), "start");
	TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, 1), "it starts");
	TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 64, NULL), 64, "used without a word");
	TEST_ASSERT_SUCCESS(say_all(fe, "C"), "interrupts after all");
	TEST_ASSERT_EQUAL(fake_interrupts(&fe->vqs[1]), 1, "the guest may wait for it");
	TEST_ASSERT_EQUAL(fake_interrupts(&fe->vqs[0]), 0, "nothing was missed there");
	TEST_ASSERT_SUCCESS(say_all(fe, "cC"), "none, and some");
	TEST_ASSERT_EQUAL(fake_interrupts(&fe->vqs[1]), 0, "nothing new");
	return fake_stop(fe);
}

static const struct test_case cases[] = {
	TEST_CASE(ring_of_an_own_backend_is_left_alone),
	TEST_CASE(an_own_backend_may_have_it_written),
	TEST_CASE(nothing_said_costs_no_kicks),
	TEST_CASE(nothing_said_leaves_the_ring_as_it_is),
	TEST_CASE_WITH(frames_before_the_request_wake, "frames_before_the_request_wake", &flags),
	TEST_CASE_WITH(frames_before_the_request_wake, "frames_before_the_request_wake_event_idx",
		&event_idx),
	TEST_CASE_WITH(frames_before_a_start_wake, "frames_before_a_start_wake", &flags),
	TEST_CASE_WITH(frames_before_a_start_wake, "frames_before_a_start_wake_event_idx",
		&event_idx),
	TEST_CASE_WITH(frames_before_a_move_wake, "frames_before_a_move_wake", &flags),
	TEST_CASE_WITH(frames_before_a_move_wake, "frames_before_a_move_wake_event_idx",
		&event_idx),
	TEST_CASE_WITH(frames_before_enabling_wake, "frames_before_enabling_wake", &flags),
	TEST_CASE_WITH(frames_before_enabling_wake, "frames_before_enabling_wake_event_idx",
		&event_idx),
	TEST_CASE_WITH(a_burst_turned_away_is_made_up_for, "a_burst_turned_away_is_made_up_for",
		&flags),
	TEST_CASE_WITH(a_burst_turned_away_is_made_up_for,
		"a_burst_turned_away_is_made_up_for_event_idx", &event_idx),
	TEST_CASE_WITH(a_burst_that_met_a_visitor_is_made_up_for,
		"a_burst_that_met_a_call_is_made_up_for", &visits[0]),
	TEST_CASE_WITH(a_burst_that_met_a_visitor_is_made_up_for,
		"a_burst_that_met_a_nonblock_call_is_made_up_for", &visits[1]),
	TEST_CASE_WITH(a_burst_that_met_a_visitor_is_made_up_for,
		"a_burst_that_met_a_promised_call_is_made_up_for", &visits[2]),
	TEST_CASE(an_announcement_wakes),
	TEST_CASE_WITH(who_polls_is_not_woken, "who_polls_is_not_woken", &flags),
	TEST_CASE_WITH(who_polls_is_not_woken, "who_polls_is_not_woken_event_idx", &event_idx),
	TEST_CASE(a_ring_starts_without_what_may_be_left_out),
	TEST_CASE(a_ring_that_had_a_call_waits_for_it),
	TEST_CASE(a_ring_without_call_goes_on_when_disabled),
	TEST_CASE(a_late_call_is_told_what_it_missed),
};

static int
run(const char *name, int (*setup)(void))
{
	const struct test_suite suite = {
		.name = name,
		.setup = setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

static int
test_vhost_kicks(void)
{
	return run("vhost kicks", fake_setup);
}

static int
test_vhost_kicks_packed(void)
{
	return run("vhost kicks, packed rings", fake_setup_packed);
}

REGISTER_TEST_COMMAND(vhost_kicks_autotest, test_vhost_kicks);
REGISTER_TEST_COMMAND(vhost_kicks_packed_autotest, test_vhost_kicks_packed);
