/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_INFLIGHT_RECOVER_H
#define VHOST_INFLIGHT_RECOVER_H

/* What an earlier backend left undone, from a ring and its region of the shared area. */

#include <stddef.h>
#include <stdint.h>

#include "rte_vhost.h"

#include "vhost_virtqueue.h"

/** What an earlier backend left undone, for the application; in pages of its own. */
struct inflight_list {
	size_t bytes;		/**< of all of it */
	int node;		/**< where it was moved to, or VHOST_NODE_ANY */
	struct rte_vhost_resubmit_info info;	/**< of descs, and the application's to count down */
	struct rte_vhost_resubmit_desc descs[];
};

/**
 * Make up for what an earlier backend was in the middle of, and list what it left
 * undone.  Done again it has the same result.
 *
 * @param cfg  of a ring with a region that is about to start
 * @param[out] list  the caller's, NULL when nothing was left
 * @param[out] counter  first that the new backend uses
 * @return 0 or -ENOMEM
 */
int vhost_inflight_recover(const struct vq_cfg *cfg, struct inflight_list **list,
		uint64_t *counter);

/** NULL is allowed. */
void vhost_inflight_list_free(struct inflight_list *list);

#endif /* VHOST_INFLIGHT_RECOVER_H */
