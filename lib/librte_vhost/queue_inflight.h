/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_QUEUE_INFLIGHT_H
#define VHOST_QUEUE_INFLIGHT_H

/*
 * A queue's in-flight tracking: what an earlier backend left undone, as it is staged,
 * in force, and given up again.  Control side, but for what the application is given.
 */

#include <stdbool.h>
#include <stdint.h>

#include "inflight_recover.h"
#include "vhost_virtqueue.h"

struct queue_inflight {
	struct inflight_list *list;	/**< NULL: nothing was left */
	int node;			/**< where the region was moved to, or VHOST_NODE_ANY */
	struct inflight_list *retired;	/**< of a ring that stopped, until the application knows */
	bool is_staged;			/**< the region was recovered for a ring that will start */
	struct inflight_list *staged;	/**< what was found then */
	uint64_t staged_counter;	/**< first that the new backend uses */
};

/**
 * Before a ring with a region starts: recover, and have what was left undone ready.
 * Does it again with the same result if the start comes to nothing.
 *
 * @param cfg  of the block that is going to run
 * @return 0 or -ENOMEM
 */
int vhost_inflight_stage(struct queue_inflight *inflight, const struct vq_cfg *cfg);

/** Throw away what was staged, if anything. */
void vhost_inflight_unstage(struct queue_inflight *inflight);

/**
 * The block that is in place now starts with what was staged, or has no ring any
 * more.  Gate closed.
 */
void vhost_inflight_commit(struct queue_inflight *inflight, struct vhost_virtqueue *block);

/** The queue is shut down. */
void vhost_inflight_forget(struct queue_inflight *inflight);

/** The application was told of rings that stopped. */
void vhost_inflight_close_retired(struct queue_inflight *inflight);

/** Have list and region on the node of the block in place, if the kernel can do that. */
void vhost_inflight_migrate(struct queue_inflight *inflight, const struct vhost_virtqueue *block);

#endif /* VHOST_QUEUE_INFLIGHT_H */
