/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Traffic under change.
 *
 * An application thread polls a device and sends every packet back; the guest
 * numbers its packets and expects each number back exactly once and in order;
 * meanwhile the frontend changes the memory table, enables and disables rings,
 * replaces descriptors, stops and starts the device.  The thread keeps the
 * contract of the interface: after destroy_device() returns it is not in the
 * library.
 *
 * Each case runs for as many seconds as DPDK_TEST_PARAMS says (seconds=N).
 */

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <rte_mbuf.h>

#include "test.h"
#include "vhost_fake_frontend.h"

#define BURST 32
#define IN_FLIGHT 128	/* of the guest: half of its ring */
#define PACKET 200

/* ---- the application ---- */

/*
 * A pool for each thread that may run at the same time, made once.  What passes
 * from thread to thread inside of the installed libraries is invisible to
 * ThreadSanitizer, so that a shared pool, or memory that was given back to the
 * DPDK heap, would look like a race.
 */
static struct rte_mempool *pools[4];
static unsigned int pools_taken;	/* one bit each */

struct echo {
	pthread_t thread;
	unsigned int pool;	/* index into pools */
	bool notify;		/* ask the guest for kicks */
	int vid;		/* of the running device; -1: none */
	bool in_burst;		/* the thread is in the library */
	bool stop;
	unsigned int pairs;
	/* Packets on their way back, oldest first; per pair. */
	struct rte_mbuf *held[4][BURST];
	unsigned int nb_held[4];
	uint64_t bursts;
};

/**
 * New and destroyed devices.  The pair of sequentially consistent accesses here
 * and in echo_thread() makes sure that one of the two sees the other.
 */
static void
echo_hook(void *arg, enum fake_event ev, int vid, unsigned int qid __rte_unused,
		int on __rte_unused)
{
	struct echo *e = arg;

	if (ev == FAKE_NEW_DEVICE)
		__atomic_store_n(&e->vid, vid, __ATOMIC_SEQ_CST);
	if (ev != FAKE_DESTROY_DEVICE)
		return;
	__atomic_store_n(&e->vid, -1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&e->in_burst, __ATOMIC_SEQ_CST))
		sched_yield();
}

static void
echo_pair(struct echo *e, int vid, unsigned int pair)
{
	struct rte_mbuf **held = e->held[pair];
	unsigned int *n = &e->nb_held[pair], sent;

	if (*n < BURST)
		*n += rte_vhost_dequeue_burst(vid, 2 * pair + 1, pools[e->pool],
			held + *n, BURST - *n);
	if (*n == 0)
		return;
	sent = rte_vhost_enqueue_burst(vid, 2 * pair, held, *n);
	rte_pktmbuf_free_bulk(held, sent);
	*n -= sent;
	memmove(held, held + sent, *n * sizeof(*held));
}

/** What an application asks in passing. */
static void
echo_ask(struct echo *e, int vid)
{
	bool notify = __atomic_load_n(&e->notify, __ATOMIC_RELAXED);

	for (uint16_t q = 0; q < 2 * e->pairs; q++) {
		rte_vhost_avail_entries(vid, q);
		rte_vhost_rx_queue_count(vid, q | 1);
		rte_vhost_enable_guest_notification(vid, q, notify);
		rte_vhost_vring_call(vid, q);
		rte_vhost_vring_stats_reset(vid, q);
	}
	rte_vhost_get_numa_node(vid);
}

static void *
echo_thread(void *arg)
{
	struct echo *e = arg;

	while (!__atomic_load_n(&e->stop, __ATOMIC_RELAXED)) {
		int vid;

		__atomic_store_n(&e->in_burst, true, __ATOMIC_SEQ_CST);
		vid = __atomic_load_n(&e->vid, __ATOMIC_SEQ_CST);
		for (unsigned int i = 0; vid >= 0 && i < e->pairs; i++)
			echo_pair(e, vid, i);
		if (vid >= 0 && e->bursts % 16 == 0)
			echo_ask(e, vid);
		__atomic_store_n(&e->in_burst, false, __ATOMIC_SEQ_CST);
		e->bursts++;
		/* Few cores may have to carry all of this. */
		sched_yield();
	}
	return NULL;
}

static void
any_core(pthread_t thread)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	pthread_setaffinity_np(thread, sizeof(all), &all);
}

static int
echo_start(struct echo *e, unsigned int pairs)
{
	*e = (struct echo){ .vid = -1, .pairs = pairs };
	while (__atomic_fetch_or(&pools_taken, 1 << e->pool, __ATOMIC_ACQUIRE) &
			1 << e->pool)
		if (++e->pool == RTE_DIM(pools))
			return -1;
	if (pthread_create(&e->thread, NULL, echo_thread, e) != 0)
		return -1;
	/* EAL has tied this thread to one core; the other one need not share it. */
	any_core(e->thread);
	return 0;
}

static void
echo_drop(struct echo *e)
{
	for (unsigned int i = 0; i < e->pairs; i++) {
		rte_pktmbuf_free_bulk(e->held[i], e->nb_held[i]);
		e->nb_held[i] = 0;
	}
}

static void
echo_stop(struct echo *e)
{
	__atomic_store_n(&e->stop, true, __ATOMIC_RELAXED);
	pthread_join(e->thread, NULL);
	echo_drop(e);
	__atomic_fetch_and(&pools_taken, ~(1U << e->pool), __ATOMIC_RELEASE);
}

/* ---- the guest ---- */

struct guest {
	struct fake *fe;
	struct echo *echo;
	uint32_t sent[4], back[4];
};

/** Send and receive what is possible; -1 when a packet is wrong. */
static int
guest_step(struct guest *g)
{
	for (unsigned int p = 0; p < g->fe->cfg.queues; p++) {
		struct fake_vq *rx = &g->fe->vqs[2 * p], *tx = rx + 1;
		uint8_t pkt[PACKET];
		int len;

		fake_tx_reap(tx);
		while (g->sent[p] - g->back[p] < IN_FLIGHT && tx->nb_free > 0) {
			fake_pattern(pkt, PACKET, g->sent[p]);
			if (!fake_tx_send(tx, NULL, pkt, PACKET, NULL))
				break;
			g->sent[p]++;
		}
		while (rx->nb_free > 0 && fake_offer(rx, 512, NULL, true) >= 0)
			;
		fake_kick(rx);
		while ((len = fake_rx_take(rx, NULL, pkt, PACKET)) != -1) {
			if (len != PACKET || !fake_pattern_matches(pkt, PACKET,
					g->back[p])) {
				printf("pair %u: packet %u of %u is wrong\n", p,
					g->back[p], g->sent[p]);
				return -1;
			}
			g->back[p]++;
		}
	}
	return g->fe->broken ? -1 : 0;
}

/** Until all packets are back that were sent. */
static int
guest_finish(struct guest *g)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	for (unsigned int p = 0; p < g->fe->cfg.queues; p++) {
		uint32_t last = g->sent[p];

		while ((int32_t)(g->back[p] - last) < 0) {
			if (fake_now_ms() > until) {
				printf("pair %u: %u of %u packets are back\n", p,
					g->back[p], last);
				return -1;
			}
			if (guest_step(g) != 0)
				return -1;
			sched_yield();
		}
	}
	return 0;
}

/* ---- what changes ---- */

struct change {
	const char *name;
	unsigned int pairs;
	/** Once; i counts.  0 or -1. */
	int (*once)(struct guest *g, unsigned int i);
	struct fake_config cfg;
};

static int
change_memory_table(struct guest *g, unsigned int i)
{
	unsigned int all = g->fe->nregions;
	int rc;

	/* The first region alone, or one more. */
	g->fe->nregions = 1 + i % all;
	rc = fake_send_mem_table(g->fe);
	g->fe->nregions = all;
	return rc;
}

static int
change_enable(struct guest *g, unsigned int i)
{
	return fake_enable_vring(g->fe, i / 2 % g->fe->nvrings, i & 1);
}

static int
change_descriptors(struct guest *g, unsigned int i)
{
	struct fake_vq *vq = &g->fe->vqs[i % g->fe->nvrings];
	enum fake_verdict v = fake_call_fd(g->fe, i & 1 ? FE_SET_VRING_CALL :
		FE_SET_VRING_KICK, vq->index, i & 1 ? vq->callfd : vq->kickfd);

	return v == FAKE_ACK ? 0 : -1;
}

static int
change_restart(struct guest *g, unsigned int i __rte_unused)
{
	for (unsigned int q = 0; q < g->fe->nvrings; q++) {
		if (fake_stop_vring(g->fe, q) < 0)
			return -1;
		/* What was used before the stop is still to be collected. */
		if (guest_step(g) != 0)
			return -1;
	}
	return fake_run(g->fe);
}

static int
change_reconnect(struct guest *g, unsigned int i __rte_unused)
{
	if (fake_connect(g->fe) != 0)
		return -1;
	/* A new driver: what was on its way is lost, on both sides. */
	echo_drop(g->echo);
	for (unsigned int q = 0; q < g->fe->nvrings; q++)
		fake_vq_reset(&g->fe->vqs[q]);
	memcpy(g->back, g->sent, sizeof(g->back));
	if (fake_negotiate(g->fe) != 0 || fake_send_mem_table(g->fe) != 0)
		return -1;
	return fake_run(g->fe);
}

static int
change_notifications(struct guest *g, unsigned int i)
{
	__atomic_store_n(&g->echo->notify, i & 1, __ATOMIC_RELAXED);
	return 0;
}

static int
change_everything(struct guest *g, unsigned int i)
{
	static int (* const all[])(struct guest *, unsigned int) = {
		change_memory_table, change_descriptors, change_notifications,
		change_enable, change_enable, change_restart,
	};

	if (i % 97 == 96)
		return change_reconnect(g, i);
	/* Off and on again are neighbours: both are asked for with the same i. */
	if (all[i % RTE_DIM(all)] == change_enable)
		return change_enable(g, i / 6 * 2 + (i % 6 == 4));
	return all[i % RTE_DIM(all)](g, i);
}

static const struct change changes[] = {
	{ "nothing", 1, NULL, { .mergeable = true } },
	{ "memory_table", 1, change_memory_table, { .mergeable = true } },
	{ "enable_and_disable", 1, change_enable, { .mergeable = true } },
	{ "descriptors", 1, change_descriptors, { .mergeable = true } },
	{ "restarts", 1, change_restart, { .mergeable = true } },
	{ "reconnects", 1, change_reconnect, { .mergeable = true } },
	{ "notifications", 1, change_notifications,
		{ .mergeable = true, .event_idx = true,
			.flags = RTE_VHOST_USER_NET_STATS_ENABLE } },
	{ "everything", 1, change_everything, { .mergeable = false } },
	{ "everything_with_four_pairs", 4, change_everything,
		{ .mergeable = true, .event_idx = true,
			.flags = RTE_VHOST_USER_NET_STATS_ENABLE } },
};

static int
run_under_change(struct guest *g, const struct change *change)
{
	uint64_t until = fake_now_ms() + test_param_u64("seconds", 2) * 1000;
	unsigned int i = 0;

	while (fake_now_ms() < until) {
		for (int k = 0; k < 8; k++)
			TEST_ASSERT_SUCCESS(guest_step(g), "change %u", i);
		if (change->once != NULL)
			TEST_ASSERT_SUCCESS(change->once(g, i), "change %u", i);
		i++;
		sched_yield();
	}
	/* Rings that are off at this moment must be on for the rest. */
	for (unsigned int q = 0; q < g->fe->nvrings; q++)
		TEST_ASSERT_SUCCESS(fake_enable_vring(g->fe, q, true), "on");
	TEST_ASSERT_SUCCESS(guest_finish(g), "every packet comes back");
	printf("%u changes, %u packets\n", i, g->back[0]);
	TEST_ASSERT(i > 10, "changes happened");
	return 0;
}

static int
traffic_survives(const void *arg)
{
	const struct change *change = arg;
	struct fake_config cfg = change->cfg;
	struct guest g = { .fe = NULL };
	struct echo echo;
	int result = TEST_FAILED;

	TEST_ASSERT_SUCCESS(echo_start(&echo, change->pairs), "thread");
	cfg.queues = change->pairs;
	cfg.hook = echo_hook;
	cfg.hook_arg = &echo;
	g.echo = &echo;
	g.fe = fake_start_config(&cfg);
	if (g.fe != NULL && fake_region_create(g.fe, 1ULL << 40, 1 << 20, 0) == 0 &&
			fake_region_create(g.fe, 1ULL << 41, 3 << 20, 0) == 0)
		result = run_under_change(&g, change);
	if (g.fe != NULL && fake_stop(g.fe) != 0)
		result = TEST_FAILED;
	echo_stop(&echo);
	return result;
}

/* ---- several devices, each with a thread of its own that changes it ---- */

struct crowd {
	pthread_t thread;
	unsigned int seed;
	int result;
};

static void *
live_and_change(void *arg)
{
	struct crowd *c = arg;

	c->result = traffic_survives(&changes[RTE_DIM(changes) - 2 + c->seed % 2]);
	return NULL;
}

static int
traffic_of_four_devices_survives_everything(void)
{
	struct crowd crowd[4];

	for (unsigned int i = 0; i < RTE_DIM(crowd); i++) {
		crowd[i] = (struct crowd){ .seed = i, .result = TEST_FAILED };
		TEST_ASSERT_SUCCESS(pthread_create(&crowd[i].thread, NULL,
			live_and_change, &crowd[i]), "thread %u", i);
		any_core(crowd[i].thread);
	}
	for (unsigned int i = 0; i < RTE_DIM(crowd); i++)
		pthread_join(crowd[i].thread, NULL);
	for (unsigned int i = 0; i < RTE_DIM(crowd); i++)
		TEST_ASSERT_SUCCESS(crowd[i].result, "device %u", i);
	return TEST_SUCCESS;
}

static int
make_pools(void)
{
	char name[32];

	for (unsigned int i = 0; i < RTE_DIM(pools); i++) {
		if (pools[i] != NULL)
			continue;
		snprintf(name, sizeof(name), "echo_%u", i);
		pools[i] = rte_pktmbuf_pool_create(name, 1023, 0, 0,
			RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);
		if (pools[i] == NULL)
			return -1;
	}
	return 0;
}

static int
setup(void)
{
	return make_pools() == 0 ? fake_setup() : TEST_FAILED;
}

static int
setup_packed(void)
{
	return make_pools() == 0 ? fake_setup_packed() : TEST_FAILED;
}

static int
run_suite(const char *name, int (*prepare)(void))
{
	static struct test_case cases[RTE_DIM(changes) + 1];
	static char names[RTE_DIM(changes)][64];
	struct test_suite suite = {
		.name = name,
		.setup = prepare,
		.check = fake_check,
		.teardown = fake_teardown,
		.case_seconds = 120 + test_param_u64("seconds", 2),
		TEST_SUITE_CASES(cases),
	};

	for (unsigned int i = 0; i < RTE_DIM(changes); i++) {
		snprintf(names[i], sizeof(names[i]), "traffic_survives_%s",
			changes[i].name);
		cases[i] = (struct test_case)TEST_CASE_WITH(traffic_survives,
			names[i], &changes[i]);
	}
	cases[RTE_DIM(changes)] = (struct test_case)
		TEST_CASE(traffic_of_four_devices_survives_everything);
	return test_suite_run(&suite);
}

static int
test_vhost_stress(void)
{
	return run_suite("vhost stress", setup);
}

static int
test_vhost_stress_packed(void)
{
	return run_suite("vhost stress, packed rings", setup_packed);
}

REGISTER_TEST_COMMAND(vhost_stress_autotest, test_vhost_stress);
REGISTER_TEST_COMMAND(vhost_stress_packed_autotest, test_vhost_stress_packed);
