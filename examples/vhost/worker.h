/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef WORKER_H
#define WORKER_H

/*
 * An lcore that polls, and the plan that it follows.
 *
 * The plan is made by the control side (plan.c) and does not change while an lcore
 * follows it, but for the counters in struct poll, which are the lcore's.  A new
 * plan is published with one store; the control side then waits until each lcore
 * has said, between two rounds, that it holds nothing of the old one.
 *
 * Everything that an lcore writes to, and the plan, is in memory of its own node.
 */

#include <rte_common.h>
#include <rte_rcu_qsbr.h>

#include "counters.h"
#include "vport.h"

/** Packets in a burst; the vhost library takes no more at once. */
#define BURST_SIZE 32
/** Receive queues of the whole switch, so that one lcore could poll all of them. */
#define PLAN_MAX_POLLS 1024
/** Addresses that an lcore has at hand, a power of two. */
#define MAC_CACHE_SIZE 256

/** A receive queue that an lcore polls. */
struct poll {
	enum vport_kind kind;
	uint16_t vport;		/**< number of the vport */
	uint16_t queue;		/**< receive queue of the vport, counted from 0 */
	uint16_t ring;		/**< how the library or driver calls that queue */
	int source;		/**< vid of the guest or number of the ethdev port */
	int16_t dma;		/**< that copies its packets, or DMA_NONE */
	int node;		/**< where its packets' mbufs are */
	struct rte_mempool *mbufs;
	uint32_t silent_rounds;	/**< polled without result since the last packet, saturating */
	uint64_t cycles;	/**< spent on its packets under this plan */
} __rte_cache_aligned;

/** Where packets can go. */
struct out {
	bool present;
	bool shared_txq;	/**< another lcore may use the same queue of an ethdev port */
	uint8_t kind;		/**< enum vport_kind */
	uint8_t takes;		/**< OFFLOAD_* that may be left to it */
	uint8_t n_txq;
	int16_t node;
	int16_t dma;		/**< that copies packets to a guest, or DMA_NONE */
	int target;		/**< vid or ethdev port */
	uint32_t max_len;
	uint16_t txq[VPORT_MAX_TXQ];
};

struct plan {
	uint32_t n_polls;
	uint32_t n_flood;
	uint32_t n_dma_outs;
	uint16_t dma_outs[VPORT_MAX];	/**< guests whose packets are in flight for a while */
	uint16_t vmdq_port;		/**< that takes packets between guests, or VPORT_NONE */
	uint16_t flood[VPORT_MAX];	/**< all that are present */
	struct out outs[VPORT_MAX];
	struct poll polls[PLAN_MAX_POLLS];
};

/** Packets of the present burst that go to one vport; each is a reference of its own. */
struct batch {
	uint32_t n;
	bool stalled;	/**< the last retries were in vain: none until packets get through */
	struct rte_mbuf *pkts[BURST_SIZE];
};

/** An address that was looked up, valid as long as the table's generation. */
struct mac_cached {
	uint64_t key;
	uint32_t generation;
	uint32_t refreshed;	/**< tick at which its age in the table was reset from here */
	uint16_t vport;
};

struct worker {
	struct plan *plan;		/**< written by the control side, plan.c */
	uint32_t index;			/**< among the workers */
	unsigned int lcore;
	int node;
	bool isolated;			/**< polls what the user has put there, and no more */
	uint64_t start_cycles;		/**< TSC when it began to poll */

	/* the lcore's own */
	uint32_t tick;			/**< seconds, as the burst in work sees it */
	uint32_t generation;		/**< of the table of addresses, likewise */
	uint32_t n_waiting;
	uint16_t waiting[VPORT_MAX];	/**< vports with packets in their batches */
	struct work_counters work;
	struct mac_cached macs[MAC_CACHE_SIZE];
	struct vport_counters counters[VPORT_MAX];
	struct batch batches[VPORT_MAX];

	struct plan plans[2];		/**< the one that is followed and the one being made */
} __rte_cache_aligned;

/** The workers, in the order of their lcores. */
extern struct worker *workers[RTE_MAX_LCORE];
extern uint32_t n_workers;
/** Where workers tell that they hold nothing: one thread number per worker. */
extern struct rte_rcu_qsbr *workers_qsbr;

/** Make a worker for each lcore that polls: 0 or a negative errno. */
int workers_create(void);

/** The worker on an lcore, or NULL. */
struct worker *worker_on(unsigned int lcore);

/** Start polling; the plans are empty yet. */
int workers_start(void);

/** Stop polling and wait until all have. */
void workers_stop(void);

void workers_free(void);

/** Advance the clock that addresses age by; called each second. */
void workers_tick(void);

/** Seconds since the start, by that clock. */
uint32_t workers_now(void);

/** Return when no worker holds anything that it took up before the call. */
void workers_synchronize(void);

#endif /* WORKER_H */
