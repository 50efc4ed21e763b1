/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Nobody waits inside the gate, which the answer has to pass: bursts leave it, and
 * start their translation anew.
 *
 * A packet to the guest would be dropped by who gave it to us, so it waits for the
 * answer.  But its core may serve others: all bursts of a device together wait for a
 * part of the time only, saved up to a millisecond.  Most packets never have to: what
 * the driver offers is asked for before (net_ahead.c), also while nothing is sent, by
 * who polls the other ring of the pair.
 */

#include <rte_cycles.h>
#include <rte_pause.h>

#include "burst_iova.h"
#include "iotlb_ask.h"
#include "net_ahead.h"
#include "vhost_virtqueue.h"

/** Of the time bursts may wait for one part in so many. */
#define WAITING_SHARE 16

/** How much of that can be saved up. */
#define WAITING_MAX_US 1000

/** How often the other ring of a pair is looked at. */
#define LOOK_US 20

static uint64_t
us_to_cycles(uint64_t us)
{
	return rte_get_tsc_hz() / US_PER_S * us;
}

/** Cycles that may be waited for now. */
static uint64_t
patience(struct vhost_device *dev, uint64_t now)
{
	uint64_t since = __atomic_exchange_n(&dev->patience.since, now, __ATOMIC_RELAXED);
	uint64_t cycles = __atomic_load_n(&dev->patience.cycles, __ATOMIC_RELAXED);

	/* another core may have been here with a later clock */
	if ((int64_t)(now - since) > 0)
		cycles += (now - since) / WAITING_SHARE;
	cycles = RTE_MIN(cycles, us_to_cycles(WAITING_MAX_US));
	__atomic_store_n(&dev->patience.cycles, cycles, __ATOMIC_RELAXED);
	return cycles;
}

static uint32_t
translations(const struct vhost_device *dev)
{
	/* I2 pairs with I1 */
	return __atomic_load_n(&dev->translated, __ATOMIC_ACQUIRE);
}

/** Wait until bursts know more than they did at that turn; false if that takes too long. */
static bool
wait_for_answer(struct vhost_device *dev, uint32_t turn)
{
	uint64_t start = rte_rdtsc(), cycles = patience(dev, start), waited = 0;

	while (translations(dev) == turn && waited < cycles) {
		rte_pause();
		waited = rte_rdtsc() - start;
	}
	__atomic_store_n(&dev->patience.cycles, cycles - RTE_MIN(cycles, waited), __ATOMIC_RELAXED);
	return translations(dev) != turn;
}

/** The channel was full, or is gone. */
static void
ask_later(struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_gate_try_enter(&q->gate);

	if (block == NULL)
		return;
	if (block->iova != NULL)
		vhost_ring_iova_not_asked(block->iova);
	vhost_gate_leave(&q->gate);
}

/** Leave the gate and ask for what was noted inside; whether the burst ended for want of it. */
static bool
leave_and_ask(struct vhost_device *dev, struct vhost_queue *q, struct vhost_virtqueue *block)
{
	bool missed = block->iova->missed;
	struct iova_wants wants;

	vhost_ring_iova_take_wants(block->iova, &wants);
	block->iova->missed = false;
	vhost_gate_leave(&q->gate);
	if (!vhost_iotlb_ask(dev, &wants))
		ask_later(q);
	return missed;
}

uint16_t
vhost_burst_iova_enqueued(struct vhost_device *dev, struct vhost_queue *q,
		struct vhost_virtqueue *block, struct rte_mbuf **pkts, uint16_t count, uint16_t done)
{
	uint32_t turn = translations(dev);

	while (leave_and_ask(dev, q, block) && done < count && wait_for_answer(dev, turn)) {
		turn = translations(dev);
		block = vhost_gate_enter(&q->gate);
		if (block == NULL)
			break;
		done += block->enqueue(block, pkts + done, count - done);
		if (block->iova == NULL) {
			vhost_gate_leave(&q->gate);
			break;
		}
	}
	return done;
}

/** Look at what the driver offers on a ring that nobody uses now. */
static void
look_ahead(struct vhost_device *dev, struct vhost_queue *q)
{
	struct vhost_virtqueue *block = vhost_gate_try_enter(&q->gate);

	if (block == NULL)
		return;
	if (block->iova == NULL) {
		vhost_gate_leave(&q->gate);
		return;
	}
	vhost_net_look_ahead(block);
	leave_and_ask(dev, q, block);
}

void
vhost_burst_iova_dequeued(struct vhost_device *dev, struct vhost_queue *q,
		struct vhost_virtqueue *block)
{
	struct vhost_queue *other = vhost_device_queue(dev, q->index ^ 1);
	uint64_t now = rte_rdtsc();
	bool due = now - block->iova->looked >= us_to_cycles(LOOK_US);

	if (due)
		block->iova->looked = now;
	leave_and_ask(dev, q, block);
	if (due && other != NULL)
		look_ahead(dev, other);
}
