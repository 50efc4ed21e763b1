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

struct mem_map;
struct vhost_device;

/** A device's part; see postcopy.c. */
struct vhost_postcopy;

/** Whether this process can be a destination; says in the log what is amiss. */
bool vhost_postcopy_is_possible(const char *path);

/** For a device that is made for the first time: kept with its vid.  NULL without memory. */
struct vhost_postcopy *vhost_postcopy_create(const struct vhost_device *dev);

/** Whether memory that comes is registered, to be acknowledged before it is used. */
bool vhost_postcopy_is_listening(const struct vhost_postcopy *postcopy);

/** The request that the frontend has to acknowledge next, or VU_NONE. */
uint32_t vhost_postcopy_awaited(const struct vhost_postcopy *postcopy);

/** The userfaultfd, still ours; -1 when there is none. */
int vhost_postcopy_ufd(const struct vhost_postcopy *postcopy);

/*
 * The steps, in their order; control lock held.  Each returns 0, or a negative
 * errno after one log line, and nothing has happened then.
 */

/** Open a userfaultfd, in place of one that was not used. */
int vhost_postcopy_advise(struct vhost_postcopy *postcopy);

/** All memory is registered from now on; there may be none yet. */
int vhost_postcopy_listen(struct vhost_postcopy *postcopy);

/**
 * Register a new map, whose addresses the caller then tells the frontend.  Nobody
 * touches it before the frontend's acknowledgement of that request.
 *
 * @param map  taken over on success
 */
int vhost_postcopy_stage(struct vhost_postcopy *postcopy, uint32_t request, struct mem_map *map);

/**
 * The frontend has acknowledged: the map that was staged, another reference, to be
 * settled for.  Nobody is asked a second time.
 */
struct mem_map *vhost_postcopy_acknowledged(struct vhost_postcopy *postcopy);

/** The map that was acknowledged is in use. */
void vhost_postcopy_use(struct vhost_postcopy *postcopy);

/** Forget what was staged: the frontend, or the settle, refused it. */
void vhost_postcopy_forget(struct vhost_postcopy *postcopy);

/** All pages are there, or memory is not used any more: back to the start. */
void vhost_postcopy_end(struct vhost_postcopy *postcopy);

/**
 * The device goes, whatever its pages: put zero pages in place of guest memory,
 * whose own pages stay as they are, and wake up all who wait.  Any thread.
 */
void vhost_postcopy_release_waiters(struct vhost_postcopy *postcopy);

/** How long whoever holds a control lock may wait for a page; atomic, for tests. */
extern unsigned int vhost_postcopy_lock_timeout_ms;

#endif /* VHOST_POSTCOPY_H */
