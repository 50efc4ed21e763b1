/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <pthread.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_malloc.h>
#include <rte_vhost.h>

#include "dma.h"
#include "forward.h"
#include "mac_table.h"
#include "options.h"
#include "output.h"
#include "switch_log.h"
#include "topology.h"
#include "worker.h"

/* A queue that was silent for so many rounds is polled only each eighth round. */
#define SILENT_ROUNDS 64
#define SILENT_STRIDE 8
/* So many rounds without a packet, and an lcore may sleep. */
#define ROUNDS_BEFORE_SLEEP 1024
/* How long an lcore without queues sleeps, microseconds. */
#define SLEEP_WITHOUT_QUEUES 200

struct worker *workers[RTE_MAX_LCORE];
uint32_t n_workers;
struct rte_rcu_qsbr *workers_qsbr;

static uint32_t now_tick;
static bool stopping;

/** From a guest whose packets a DMA device copies; who has some in flight is not silent. */
static uint16_t
receive_by_dma(struct poll *poll, struct rte_mbuf **pkts)
{
	int in_flight;
	uint16_t n = rte_vhost_async_try_dequeue_burst(poll->source, poll->ring, poll->mbufs, pkts,
			BURST_SIZE, &in_flight, poll->dma, 0);

	if (in_flight > 0)
		poll->silent_rounds = 0;
	return n;
}

static uint16_t
receive(struct poll *poll, struct rte_mbuf **pkts)
{
	if (unlikely(poll->dma != DMA_NONE))
		return receive_by_dma(poll, pkts);
	if (poll->kind == VPORT_GUEST)
		return rte_vhost_dequeue_burst(poll->source, poll->ring, poll->mbufs, pkts,
				BURST_SIZE);
	return rte_eth_rx_burst(poll->source, poll->ring, pkts, BURST_SIZE);
}

/**
 * Most guests are idle most of the time, and asking one costs a cache miss or two:
 * who was silent for long is asked less often.
 */
static bool
is_worth_polling(const struct poll *poll, uint32_t round)
{
	return poll->silent_rounds < SILENT_ROUNDS || round % SILENT_STRIDE == 0;
}

/** Poll all queues once; the number of packets. */
static uint32_t
poll_round(struct worker *worker, struct plan *plan, uint32_t round)
{
	uint64_t start = rte_rdtsc(), end;
	struct rte_mbuf *pkts[BURST_SIZE];
	uint32_t total = 0;

	output_complete(worker, plan);
	for (uint32_t i = 0; i < plan->n_polls; i++) {
		struct poll *poll = &plan->polls[i];
		uint16_t n;

		if (!is_worth_polling(poll, round))
			continue;
		n = receive(poll, pkts);
		if (n == 0) {
			poll->silent_rounds = RTE_MIN(poll->silent_rounds + 1,
					(uint32_t)SILENT_ROUNDS);
			continue;
		}
		poll->silent_rounds = 0;
		forward_burst(worker, plan, poll, pkts, n);
		end = rte_rdtsc();
		poll->cycles += end - start;
		worker->work.busy_cycles += end - start;
		start = end;
		total += n;
	}
	return total;
}

/** Sleep a little longer each time that there was nothing to do, if the user allows it. */
static void
rest(const struct plan *plan, uint32_t idle_rounds)
{
	if (plan->n_polls == 0)
		rte_delay_us_sleep(SLEEP_WITHOUT_QUEUES);
	else if (options.pmd_sleep_max != 0 && idle_rounds > ROUNDS_BEFORE_SLEEP)
		rte_delay_us_sleep(RTE_MIN(idle_rounds - ROUNDS_BEFORE_SLEEP,
				options.pmd_sleep_max));
}

/**
 * The first pages of a thread's stack, and with them its thread-local variables, are
 * where it was when it was made, which need not be on its lcore's node.
 */
static void
bring_stack(const struct worker *worker)
{
	pthread_attr_t attributes;
	void *start;
	size_t len;

	if (worker->node < 0 || pthread_getattr_np(pthread_self(), &attributes) != 0)
		return;
	if (pthread_attr_getstack(&attributes, &start, &len) == 0)
		topology_bring(start, len, worker->node);
	pthread_attr_destroy(&attributes);
}

static int
worker_main(void *arg)
{
	struct worker *worker = arg;
	uint32_t round = 0, idle_rounds = 0;
	struct plan *plan;

	bring_stack(worker);
	worker->start_cycles = rte_rdtsc();
	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		/* P1 pairs with the store in plan.c */
		plan = __atomic_load_n(&worker->plan, __ATOMIC_ACQUIRE);
		worker->tick = __atomic_load_n(&now_tick, __ATOMIC_RELAXED);
		worker->generation = mac_table_generation();
		if (poll_round(worker, plan, round++) > 0) {
			idle_rounds = 0;
		} else {
			idle_rounds++;
			rest(plan, idle_rounds);
		}
		rte_rcu_qsbr_quiescent(workers_qsbr, worker->index);
	}
	rte_rcu_qsbr_thread_offline(workers_qsbr, worker->index);
	return 0;
}

static int
worker_create(unsigned int lcore)
{
	int node = rte_lcore_to_socket_id(lcore);
	struct worker *worker = rte_zmalloc_socket("worker", sizeof(*worker),
			RTE_CACHE_LINE_SIZE, node);

	if (worker == NULL)
		worker = rte_zmalloc("worker", sizeof(*worker), RTE_CACHE_LINE_SIZE);
	if (worker == NULL)
		return -ENOMEM;
	worker->index = n_workers;
	worker->lcore = lcore;
	worker->node = node;
	worker->plan = &worker->plans[0];
	workers[n_workers++] = worker;
	return 0;
}

int
workers_create(void)
{
	unsigned int lcore;
	size_t size = rte_rcu_qsbr_get_memsize(RTE_MAX_LCORE);

	workers_qsbr = rte_zmalloc("workers_qsbr", size, RTE_CACHE_LINE_SIZE);
	if (workers_qsbr == NULL || rte_rcu_qsbr_init(workers_qsbr, RTE_MAX_LCORE) != 0)
		return -ENOMEM;
	RTE_LCORE_FOREACH_WORKER(lcore)
		if (options.pmd_lcores[lcore] && worker_create(lcore) < 0)
			return -ENOMEM;
	return 0;
}

struct worker *
worker_on(unsigned int lcore)
{
	for (uint32_t i = 0; i < n_workers; i++)
		if (workers[i]->lcore == lcore)
			return workers[i];
	return NULL;
}

int
workers_start(void)
{
	for (uint32_t i = 0; i < n_workers; i++) {
		rte_rcu_qsbr_thread_register(workers_qsbr, i);
		rte_rcu_qsbr_thread_online(workers_qsbr, i);
		if (rte_eal_remote_launch(worker_main, workers[i], workers[i]->lcore) != 0)
			return -EBUSY;
	}
	return 0;
}

void
workers_stop(void)
{
	__atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
	rte_eal_mp_wait_lcore();
}

void
workers_free(void)
{
	for (uint32_t i = 0; i < n_workers; i++)
		rte_free(workers[i]);
	n_workers = 0;
	rte_free(workers_qsbr);
}

void
workers_tick(void)
{
	__atomic_fetch_add(&now_tick, 1, __ATOMIC_RELAXED);
}

uint32_t
workers_now(void)
{
	return __atomic_load_n(&now_tick, __ATOMIC_RELAXED);
}

void
workers_synchronize(void)
{
	rte_rcu_qsbr_synchronize(workers_qsbr, RTE_QSBR_THRID_INVALID);
}
