/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_QUEUE_ASYNC_H
#define VHOST_QUEUE_ASYNC_H

/*
 * A queue whose packets are copied by DMA devices: its async area comes and goes at the
 * application's wish, and copies under way end before what they need goes.
 */

#include <stdbool.h>
#include <stdint.h>

struct mem_map;
struct vhost_queue;

/**
 * Give a queue an async area: 0; -ENODEV while its ring does not run; -EEXIST; -ENOMEM.
 * Any thread.
 *
 * @param pinned  see vhost_net_async_set_memory()
 */
int vhost_queue_async_register(struct vhost_queue *q, bool pinned);

/** Take it away: 0, also if there is none; -EBUSY while packets are in flight. */
int vhost_queue_async_unregister(struct vhost_queue *q);

/** Packets in flight, or -ENOENT without an area.  Any thread. */
int vhost_queue_async_inflight(struct vhost_queue *q);

/* The rest is for the control side, which replaces blocks. */

/**
 * Whether copies may not go on once the staged block is in place: another ring, other
 * memory, or none.
 *
 * @param enabled  whether packets may flow by then
 */
bool vhost_queue_async_is_disturbed(struct vhost_queue *q, bool enabled);

/** When who waits for copies has waited long enough. */
uint64_t vhost_queue_async_deadline(void);

/**
 * End what is under way: wait for copies, give chains back.  From here on nothing is
 * submitted until vhost_queue_async_resume().
 *
 * Copies that have not ended by the deadline keep the map, and their packets, as long as
 * they take; the ring does not see these chains again.  Unless ring and memory stay: then
 * their packets stay in flight.
 */
void vhost_queue_async_finish(struct vhost_queue *q, struct mem_map *map, uint64_t deadline);

/** The block that is in place may submit, perhaps with other memory. */
void vhost_queue_async_resume(struct vhost_queue *q, bool pinned);

/** The queue goes: likewise, and its area with it. */
void vhost_queue_async_end(struct vhost_queue *q, struct mem_map *map, uint64_t deadline);

/** Have the area on the node of the block, copies under way or not. */
void vhost_queue_async_migrate(struct vhost_queue *q);

#endif /* VHOST_QUEUE_ASYNC_H */
