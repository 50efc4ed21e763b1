/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_QUEUE_INFLIGHT_H
#define VHOST_QUEUE_INFLIGHT_H

/*
 * What a ring's backend is working on, recorded in the ring's region of the shared
 * area (inflight_area.h), and what an earlier one left undone.  See
 * queue_inflight.c.
 */

#include <stdint.h>

#include "rte_vhost.h"

#include "vhost_virtqueue.h"

struct vhost_queue;

/** What an earlier backend left undone, for the application; in pages of its own. */
struct inflight_list {
	size_t bytes;		/**< of all of it */
	int node;		/**< where it was moved to, or VHOST_NODE_ANY */
	struct rte_vhost_resubmit_info info;	/**< of descs, and the application's to count down */
	struct rte_vhost_resubmit_desc descs[];
};

/** A queue's part; control side, but for what the application is given. */
struct queue_inflight {
	struct inflight_list *list;	/**< NULL: nothing was left */
	int node;			/**< where the region was moved to, or VHOST_NODE_ANY */
	struct inflight_list *retired;	/**< of a ring that stopped, until the application knows */
	bool is_staged;			/**< the region was looked at for a ring that will start */
	struct inflight_list *staged;	/**< what was found then */
	uint64_t staged_counter;	/**< first that the new backend uses */
};

/**
 * Before a ring with a region starts: make up for what an earlier backend was in
 * the middle of, and have what it left undone ready.  Does it again with the same
 * result if the start comes to nothing.
 *
 * @param cfg  of the block that is going to run
 * @return 0 or -ENOMEM
 */
int vhost_inflight_stage(struct vhost_queue *q, const struct vq_cfg *cfg);

/** Throw away what was staged, if anything. */
void vhost_inflight_unstage(struct vhost_queue *q);

/**
 * The block that is in place now starts with what was staged, or has no ring any
 * more.  Gate closed.
 */
void vhost_inflight_commit(struct vhost_queue *q, struct vhost_virtqueue *block);

/** The queue is shut down. */
void vhost_inflight_forget(struct vhost_queue *q);

/** The application was told of rings that stopped. */
void vhost_inflight_close_retired(struct vhost_queue *q);

/** Have list and region on the node of the block in place, if the kernel can do that. */
void vhost_inflight_bring(struct vhost_queue *q);

/*
 * For the application, see the functions of rte_vhost.h.  Any thread, one per ring;
 * 0, or -EINVAL when the ring does not run, is of the other format or has no
 * region, or an index is outside.
 */

int vhost_inflight_take_split(struct vhost_queue *q, uint16_t head);
int vhost_inflight_take_packed(struct vhost_queue *q, uint16_t head, uint16_t last,
		uint16_t *entry);
int vhost_inflight_put_split(struct vhost_queue *q, uint16_t head);
int vhost_inflight_put_packed(struct vhost_queue *q, uint16_t entry);
int vhost_inflight_done_split(struct vhost_queue *q, uint16_t used_idx, uint16_t head);
int vhost_inflight_done_packed(struct vhost_queue *q, uint16_t entry);

/** Region and list of a ring that runs. */
int vhost_inflight_get(struct vhost_queue *q, struct rte_vhost_ring_inflight *ring);

/** Where the used entries of a packed ring go on, the wrap counter in bit 15. */
int vhost_inflight_get_used(struct vhost_queue *q, uint16_t *used);

#endif /* VHOST_QUEUE_INFLIGHT_H */
