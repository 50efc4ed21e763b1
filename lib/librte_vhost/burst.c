/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The public burst functions: find the queue, enter its gate, run the block's
 * burst, leave.  What may not run (disabled, stopped, wrong direction, another
 * kind of backend) is decided when the block is made, not here.
 */

#include "rte_vhost.h"

#include "burst_iova.h"
#include "device.h"
#include "vhost_log.h"
#include "vhost_virtqueue.h"

/** Say why there is no such queue. */
static __rte_noinline __rte_cold void
complain(int vid, uint16_t queue_id)
{
	struct vhost_device *dev = vhost_device_get(vid);
	char path[128];

	if (dev == NULL)
		return;
	vhost_device_copy_path(dev, path, sizeof(path));
	VHOST_LOG_DATA(ERR, "(%s) invalid virtqueue idx %u.\n", path, queue_id);
}

static inline struct vhost_queue *
burst_queue(int vid, uint16_t queue_id)
{
	struct vhost_queue *q = vhost_handle_queue(vid, queue_id);

	if (unlikely(q == NULL))
		complain(vid, queue_id);
	return q;
}

uint16_t
rte_vhost_enqueue_burst(int vid, uint16_t queue_id, struct rte_mbuf **pkts, uint16_t count)
{
	struct vhost_queue *q = burst_queue(vid, queue_id);
	struct vhost_virtqueue *block;
	uint16_t done;

	if (unlikely(q == NULL))
		return 0;
	block = vhost_gate_enter(&q->gate);
	if (unlikely(block == NULL))
		return 0;
	done = block->enqueue(block, pkts, count);
	if (unlikely(block->iova != NULL))
		return vhost_burst_iova_enqueued(vhost_handle_device(vid), q, block, pkts,
				count, done);
	vhost_gate_leave(&q->gate);
	return done;
}

uint16_t
rte_vhost_dequeue_burst(int vid, uint16_t queue_id, struct rte_mempool *mbuf_pool,
		struct rte_mbuf **pkts, uint16_t count)
{
	struct vhost_queue *q = burst_queue(vid, queue_id);
	struct vhost_virtqueue *block;
	uint16_t done;

	if (unlikely(q == NULL))
		return 0;
	block = vhost_gate_try_enter(&q->gate);
	if (unlikely(block == NULL))
		return 0;
	done = block->dequeue(block, mbuf_pool, pkts, count);
	if (unlikely(block->iova != NULL))
		vhost_burst_iova_dequeued(vhost_handle_device(vid), q, block);
	else
		vhost_gate_leave(&q->gate);
	return done;
}
