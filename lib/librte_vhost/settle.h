/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_SETTLE_H
#define VHOST_SETTLE_H

/*
 * How does reality change?  In two halves: what can fail, and what cannot.  Between
 * them whoever uses what will be replaced is told to stop: see device_change.c, the
 * only caller.  See settle.c.
 */

#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "plan.h"

/** Nodes of one block before and after a settle. */
struct device_move {
	int from;
	int to;
};

static inline bool
move_is_one(const struct device_move *move)
{
	return move->from != move->to && move->from >= 0 && move->to >= 0;
}

/** What a settle has to do besides making reality match the wishes. */
struct settle_request {
	bool stop;	/**< stop the device first */
	bool reprobe;	/**< ask again where the guest's memory is, and act on it at once */
	bool restart;	/**< if the node changes, have the application learn of it by a restart */
	bool again;	/**< tell that vring 'vring' stopped and started, although it goes on */
	uint32_t vring;
	/** Called once all is as wished and what ends has been told, before what starts is; or NULL. */
	void (*in_force)(void *arg);
	void *arg;
};

/** A settle on its way, and in the end what has changed. */
struct settlement {
	struct plan plan;
	bool remaps;		/**< other memory takes the place of what there is */
	/** Copies under way for these queues have to end before the commit (queue_async.h). */
	bool disturbed[VHOST_MAX_VRINGS];
	uint64_t features_before;
	struct device_move device;
	struct device_move queues[VHOST_MAX_VRINGS];
};

/**
 * Plan, and build everything beside what runs.  Control lock held.
 *
 * @return 0, to be followed by vhost_settle_commit(); -ENOMEM (logged) with nothing
 *         changed
 */
int vhost_settle_prepare(struct vhost_device *dev, const struct settle_request *request,
		struct settlement *settlement);

/** Put what was prepared in place.  Cannot fail.  Control lock held. */
void vhost_settle_commit(struct vhost_device *dev, struct settlement *settlement);

/** Nobody knows any more the descriptors that were replaced: close them. */
void vhost_settle_end(struct vhost_device *dev);

#endif /* VHOST_SETTLE_H */
