/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_QUEUE_H
#define VHOST_QUEUE_H

/*
 * A virtqueue's stable handle: the gate through which bursts reach the block, what
 * messages ask for, and the steps of a settle.  See queue.c for the
 * theory of operation.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#include "rte_vhost.h"
#include "rte_vhost_numa.h"

#include "doorbell.h"
#include "gate.h"
#include "queue_inflight.h"
#include "queue_wish.h"
#include "vhost_virtqueue.h"

struct net_async;
struct rte_ether_addr;
struct vhost_quota;
struct vring;

/** Handles have pages of their own: no smaller ones on any machine that we know. */
#define VHOST_QUEUE_PAGE 4096

struct vhost_queue {
	struct vhost_gate gate;		/**< alone on its line */
	struct net_async *async;	/**< or NULL; for who is inside the gate (queue_async.c) */

	/* control side: under the device's control lock */
	uint16_t index __rte_cache_aligned;
	struct vhost_quota *quota;	/**< its descriptors are reaped on this account */
	struct rte_vhost_vring view;	/**< for the application; under the device's view_lock */
	struct rte_vhost_numa_queue numa;	/**< likewise; node is atomic */
	enum vq_kicks kicks;	/**< rte_vhost_enable_guest_notification(); atomic, any thread */
	bool live;		/**< the block in place runs a ring */
	bool has_run;		/**< one did before, since the frontend is there */
	bool enabled;		/**< packets may flow, as last committed */
	bool ready;		/**< listeners were told so */
	bool notify_again;	/**< the listeners': tell it again, although nothing changes */
	int handle_node;	/**< where this structure was moved to; or VHOST_NODE_ANY */
	uint64_t refusals;	/**< times a node gave no memory for the block */
	uint64_t pause_ns;	/**< for which the last swap of the block kept bursts out */
	int kickfd;		/**< in force: descriptor (the queue's) or QUEUE_FD_* */
	int callfd;		/**< likewise */
	enum doorbell_kind kick_kind;
	enum doorbell_kind call_kind;
	int retired_kickfd;	/**< replaced, but what listeners know of; or negative */
	int retired_callfd;	/**< likewise */
	enum doorbell_kind retired_kick_kind;
	enum doorbell_kind retired_call_kind;
	struct vhost_virtqueue *staged;	/**< built, not yet published */
	struct queue_inflight inflight;
};

/**
 * The page of a queue, which the kernel can move.  The queue is in one of its slots, not
 * the same in all devices: what is at one place of a thousand pages is in few sets of a
 * cache, and drives itself out.
 */
struct vhost_queue_page {
	struct vhost_queue slots[VHOST_QUEUE_PAGE / sizeof(struct vhost_queue)];
} __rte_aligned(VHOST_QUEUE_PAGE);

/** The queue in the same slot of the index-th page from here. */
static inline struct vhost_queue *
vhost_queue_of_page(struct vhost_queue *first, uint32_t index)
{
	return RTE_PTR_ADD(first, (size_t)index * sizeof(struct vhost_queue_page));
}

/**
 * Begin another life of a handle, whose memory is zero: nothing is known, there is no
 * block.  Late callers of an earlier device may look at it meanwhile.  Settle afterwards.
 *
 * @param quota  on whose account the queue's descriptors are closed
 */
void vhost_queue_init(struct vhost_queue *q, uint16_t index, struct vhost_quota *quota);

/**
 * Of n queues in as many pages: wait for the last burst, free the block, close the
 * descriptors.  Then give the memory of all handles back, in one go.  Their addresses
 * stay, and are queues without a block.
 */
void vhost_queues_shut_down(struct vhost_queue *first, uint32_t n);

/** Open the gate after vhost_gate_close(); who was turned away meanwhile is woken. */
void vhost_queue_open_gate(struct vhost_queue *q);

/**
 * Close the descriptors that were replaced.  A vDPA driver or a backend of the
 * application's own may use them until it was told that the ring stopped.
 */
void vhost_queue_close_retired(struct vhost_queue *q);

/** Indices at which the ring goes on; undefined while it runs. */
int vhost_queue_set_base(struct vhost_queue *q, uint16_t last_avail, uint16_t last_used);
int vhost_queue_get_base(struct vhost_queue *q, uint16_t *last_avail, uint16_t *last_used);

/** Have the next burst from the guest hand out a RARP packet of this address. */
void vhost_queue_announce(struct vhost_queue *q, const struct rte_ether_addr *mac);

/**
 * Whether the application wants the guest's kicks; in force at once.  What waits in
 * the ring by then counts as a kick.  Any thread.
 */
void vhost_queue_set_kicks(struct vhost_queue *q, bool wanted);

/** Available entries that were not used yet, 0 unless the ring runs.  Any thread. */
uint16_t vhost_queue_unused(struct vhost_queue *q);

/** Chains that wait to be taken, 0 unless the ring runs.  Any thread. */
uint16_t vhost_queue_waiting(struct vhost_queue *q);

/**
 * Notify the guest of used entries if it wants to know.  Any thread.
 *
 * @return 0; -ENODEV when the ring is not known; _try_ only: -EAGAIN when
 *         somebody is inside the gate
 */
int vhost_queue_notify(struct vhost_queue *q);
int vhost_queue_try_notify(struct vhost_queue *q);

/** Notify the guest as the application has promised, if it has.  Any thread. */
void vhost_queue_keep_promise(struct vhost_queue *q);

/** Copy the statistics and, if told so, start over: 0 or -ENODEV.  Any thread. */
int vhost_queue_stats(struct vhost_queue *q, struct vq_stats *stats, bool reset);

/** What the driver will write when there is more to take: 0 or -ENODEV. */
int vhost_queue_monitor(struct vhost_queue *q, struct rte_vhost_power_monitor_cond *cond);

/**
 * Copy used entries from a ring that hardware fills to the guest's used ring.
 *
 * @return how many; -1 when the ring is not known or an entry is nonsense
 */
int vhost_queue_relay_used(struct vhost_queue *q, struct vring *from);

/** The block in place, NULL before the first.  Only for the control side, which alone replaces it. */
static inline const struct vhost_virtqueue *
vhost_queue_block(const struct vhost_queue *q)
{
	return q->gate.block;
}

/** Build a block for cfg beside the one in place: 0 or -ENOMEM. */
int vhost_queue_stage(struct vhost_queue *q, const struct vq_cfg *cfg,
		const struct virtio_net *net);

/** What an earlier backend of a ring that starts left undone: 0 or -ENOMEM. */
int vhost_queue_stage_inflight(struct vhost_queue *q, const struct vq_cfg *cfg);

/** Throw away what is staged, if anything. */
void vhost_queue_unstage(struct vhost_queue *q);

/** Whether a commit would change anything: else bursts need not be disturbed. */
bool vhost_queue_needs_commit(const struct vhost_queue *q, const struct queue_wish *wish,
		bool enabled);

/** Have bursts translate by what its replica knows by now.  Any state of the ring. */
void vhost_queue_translate(struct vhost_queue *q, const struct mem_iotlb_gone *gone);

/** Have the handle on the node of the block in place, if the kernel can do that. */
void vhost_queue_migrate_handle(struct vhost_queue *q);

/**
 * Note where the block is by now: whether somebody has moved it, and so perhaps the
 * handle.
 */
bool vhost_queue_has_moved(struct vhost_queue *q);

/** What became of a queue in vhost_queue_commit(). */
struct queue_commit {
	struct vhost_virtqueue *old;	/**< replaced, the caller's to destroy; or NULL */
	bool started;			/**< the ring started */
	enum ring_resumed resumed;	/**< if so: whose indices it has */
	uint16_t at;			/**< and where chains are given back from */
};

/**
 * Publish the staged block, if any, and put in force what the wish says besides the
 * shape.  Cannot fail.
 *
 * @param enabled  whether packets may flow once the ring runs
 */
struct queue_commit vhost_queue_commit(struct vhost_queue *q, const struct queue_wish *wish,
		bool enabled);

#endif /* VHOST_QUEUE_H */
