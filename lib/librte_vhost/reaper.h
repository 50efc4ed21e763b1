/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_REAPER_H
#define VHOST_REAPER_H

/* Who closes a descriptor that a peer has touched. */

struct vhost_quota;

/**
 * Close a descriptor, whatever it may be, without waiting for anybody; negative
 * ones are ignored.  What is not known to be harmless is closed by another thread,
 * perhaps later, and counts as QUOTA_CLOSING_FDS until then.  Any thread.
 *
 * @param quota  of the registration whose peer it came from; NULL if there is none
 * @param fd  taken over
 */
void vhost_reap(struct vhost_quota *quota, int fd);

#endif /* VHOST_REAPER_H */
