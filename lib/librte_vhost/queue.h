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

struct rte_ether_addr;
struct vring;

/** Where a ring was found to be, and for which ring that holds. */
struct queue_placement {
	const struct mem_mapping *mapping;	/**< of desc; only to compare */
	const void *desc;
	int node;
	int seen;		/**< by the last look, if it was another one */
};

struct vhost_queue {
	struct vhost_gate gate;		/**< alone on its line */

	/* control side: under the device's control lock */
	struct queue_wish wish __rte_cache_aligned;
	struct queue_placement placed;
	uint16_t index;
	struct rte_vhost_vring view;	/**< for the application; under the device's view_lock */
	struct rte_vhost_numa_queue numa;	/**< likewise; node is atomic */
	enum vq_kicks kicks;	/**< rte_vhost_enable_guest_notification(); atomic, any thread */
	bool live;		/**< the block in place runs a ring */
	bool enabled;		/**< packets may flow, as last committed */
	bool ready;		/**< last told to the application */
	bool retell;		/**< tell it again, although nothing else changed */
	int handle_node;	/**< where this structure was moved to; or VHOST_NODE_ANY */
	uint64_t refusals;	/**< times a node gave no memory for the block */
	uint64_t drifts;	/**< times the ring was found on another node */
	uint64_t pause_ns;	/**< for which the last swap of the block kept bursts out */
	int retired_kickfd;	/**< replaced, but what the application knows of; or negative */
	int retired_callfd;	/**< likewise */
	struct vhost_virtqueue *staged;	/**< built, not yet published */
	struct queue_inflight inflight;
};

/** Allocate a handle, shut down: no block, bursts stay out.  NULL without memory. */
struct vhost_queue *vhost_queue_create(uint16_t index);

/**
 * Give the handle a fresh wish and a dormant block, on net's node if that has
 * memory: 0 or -ENOMEM.  Settle afterwards.
 */
int vhost_queue_bring_up(struct vhost_queue *q, const struct virtio_net *net);

/** Wait for the last burst, free the block, close the descriptors. */
void vhost_queue_shut_down(struct vhost_queue *q);

/**
 * Replace a descriptor of the wish by another, ours from now on, or by one of
 * QUEUE_FD_*.  The old one stays open until vhost_queue_close_retired().  A new
 * callfd is in force at once.
 */
void vhost_queue_set_kickfd(struct vhost_queue *q, int fd, enum doorbell_kind kind);
void vhost_queue_set_callfd(struct vhost_queue *q, int fd, enum doorbell_kind kind);

/**
 * Close the descriptors that were replaced.  A vDPA driver or a backend of the
 * application's own may use them until it was told that the ring stopped.
 */
void vhost_queue_close_retired(struct vhost_queue *q);

/** Indices at which the ring goes on; nobody's business while it runs. */
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

/** Forget what starts the ring: its addresses and descriptors.  Settle afterwards. */
void vhost_queue_stop_wish(struct vhost_queue *q);

/** Back to the wish of a fresh queue, without descriptors.  Settle afterwards. */
void vhost_queue_reset_wish(struct vhost_queue *q);

/**
 * Back to an earlier wish, of before the descriptors that were replaced since and
 * are not closed yet.
 */
void vhost_queue_restore_wish(struct vhost_queue *q, const struct queue_wish *before);

/**
 * The shape that the wish amounts to on this map: a live one if the ring is
 * started and fits, else a dormant one.  The node is that of the block in place.
 */
void vhost_queue_shape(const struct vhost_queue *q, uint64_t features,
		const struct mem_map *map, uint64_t generation, struct vq_cfg *cfg);

/** The node where the ring of a live shape is; VHOST_NODE_ANY when unknown. */
int vhost_queue_ring_node(struct vhost_queue *q, const struct mem_map *map,
		const struct vq_cfg *cfg);

/**
 * Look again where the ring of a running queue is.  Another node than before
 * counts when it was seen twice in a row, or when none was known.
 *
 * @return true if the queue belongs on another node now: settle afterwards
 */
bool vhost_queue_look(struct vhost_queue *q, uint64_t features, const struct mem_map *map);

/** The block in place.  Only for the control side, which alone replaces it. */
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
bool vhost_queue_needs_commit(const struct vhost_queue *q, bool enabled);

/** Have the handle on the node of the block in place, if the kernel can do that. */
void vhost_queue_bring_handle(struct vhost_queue *q);

/** What became of a queue in vhost_queue_commit(). */
struct queue_commit {
	struct vhost_virtqueue *old;	/**< replaced, the caller's to destroy; or NULL */
	bool adopted;	/**< the ring started at a used index other than remembered */
};

/**
 * Publish the staged block, if any, and put the attributes in force.  Cannot fail.
 *
 * @param enabled  whether packets may flow once the ring runs
 */
struct queue_commit vhost_queue_commit(struct vhost_queue *q, bool enabled);

#endif /* VHOST_QUEUE_H */
