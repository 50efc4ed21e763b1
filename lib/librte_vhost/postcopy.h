/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_POSTCOPY_H
#define VHOST_POSTCOPY_H

/*
 * The destination of a postcopy migration: the guest runs before its memory has
 * arrived.  Whoever touches a page that is missing waits, and the frontend is
 * told through a userfaultfd of ours that it was handed.  See postcopy.c.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct mem_map;
struct vhost_device;

/**
 * What a device is in the middle of.  Written under the control lock; ufd, map
 * and pending are the watch's as well, and change under its lock.
 */
struct vhost_postcopy {
	int ufd;		/**< ours, a copy of it the frontend's; -1: not advised */
	bool listening;		/**< memory that comes is registered with ufd */
	bool watched;		/**< the watch's: in its list */
	uint32_t awaited;	/**< request to be acknowledged next; VU_NONE */
	struct mem_map *pending;	/**< registered, to be used once acknowledged */
	struct mem_map *map;	/**< registered and in use: a reference of its own */
	unsigned int turn;	/**< odd while the control lock is held; atomic */
	unsigned int seen_turn;	/**< the watch's: as of its last round */
	unsigned int rounds;	/**< the watch's: for how many it was that */
	LIST_ENTRY(vhost_postcopy) link;	/**< the watch's */
};

/** Whether this process can be a destination; says in the log what is amiss. */
bool vhost_postcopy_is_possible(const char *path);

/** Of a device that is made. */
void vhost_postcopy_init(struct vhost_device *dev);

/*
 * The steps, in their order; control lock held.  Each returns 0, or a negative
 * errno after one log line, and nothing has happened then.
 */

/** Open the userfaultfd of dev->postcopy, in place of one that was not used. */
int vhost_postcopy_advise(struct vhost_device *dev);

/** All memory is registered from now on; there may be none yet. */
int vhost_postcopy_listen(struct vhost_device *dev);

/**
 * Register a new map, whose addresses the caller then tells the frontend.  Nobody
 * touches it before the frontend's acknowledgement of that request.
 *
 * @param map  taken over on success
 */
int vhost_postcopy_stage(struct vhost_device *dev, uint32_t request, struct mem_map *map);

/** The frontend has acknowledged, or given up: use the staged map, or forget it. */
int vhost_postcopy_acknowledge(struct vhost_device *dev, bool success);

/** All pages are there, or memory is not used any more: back to the start. */
void vhost_postcopy_end(struct vhost_device *dev);

/**
 * The device goes, whatever its pages: put zero pages in place of guest memory,
 * whose own pages stay as they are, and wake up all who wait.  Any thread.
 */
void vhost_postcopy_abandon(struct vhost_device *dev);

/** The control lock was taken, or is about to be released; see the watch. */
static inline void
vhost_postcopy_turn(struct vhost_postcopy *postcopy)
{
	__atomic_store_n(&postcopy->turn, postcopy->turn + 1, __ATOMIC_RELAXED);
}

/** How long whoever holds a control lock may wait for a page; atomic, for tests. */
extern unsigned int vhost_postcopy_patience_ms;

#endif /* VHOST_POSTCOPY_H */
