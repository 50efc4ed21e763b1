/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_INFLIGHT_POOL_H
#define VHOST_INFLIGHT_POOL_H

/*
 * The areas that were made for the frontends of one registration, and who pays for
 * them: their bytes are QUOTA_INFLIGHT_BYTES until nobody has them any more.
 *
 * Any thread; a device's references are dropped before its registration goes.
 */

#include <stdbool.h>
#include <stdint.h>

struct vhost_quota;

struct inflight_pool;

/** An area that was made here. */
struct inflight_made;

/**
 * @param quota  of the registration; outlives the pool
 * @return NULL without memory
 */
struct inflight_pool *vhost_inflight_pool_create(struct vhost_quota *quota);

/** The registration goes: no area is in use.  Those who have one keep it.  NULL is allowed. */
void vhost_inflight_pool_free(struct inflight_pool *pool);

/**
 * Take the bytes of an area that is about to be made.  If there are too many, areas
 * that no device uses give back their memory, the oldest first; whoever has them
 * finds zeros there.  NULL: unlimited.
 *
 * @return whether they are taken, for vhost_inflight_pool_add() or _give()
 */
bool vhost_inflight_pool_take(struct inflight_pool *pool, uint64_t bytes);

/** The area was not made. */
void vhost_inflight_pool_give(struct inflight_pool *pool, uint64_t bytes);

/**
 * It was made, in a file that nobody else has yet.
 *
 * @param fd  to be replaced by another descriptor of the file
 * @return 0 or a negative errno
 */
int vhost_inflight_pool_add(struct inflight_pool *pool, int *fd, uint64_t bytes);

/** The area that a file is, in use from now on; NULL if it was not made here. */
struct inflight_made *vhost_inflight_pool_find(struct inflight_pool *pool, int fd);

/** One more that uses it; NULL is allowed. */
void vhost_inflight_made_get(struct inflight_made *made);

/** One less; NULL is allowed. */
void vhost_inflight_made_put(struct inflight_made *made);

#endif /* VHOST_INFLIGHT_POOL_H */
