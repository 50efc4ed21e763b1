/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The public functions of rte_vhost_async.h: check what the caller says, find queue and
 * channel, enter the queue's gate.
 */

#include <errno.h>

#include "rte_vhost.h"
#include "rte_vhost_async.h"

#include "device.h"
#include "dma_channel.h"
#include "net_async.h"
#include "queue_async.h"
#include "vhost_log.h"

/* Whose queue, which channel */

static __rte_noinline __rte_cold void
complain(struct vhost_device *dev, const char *what, unsigned int number)
{
	char path[128];

	vhost_device_copy_path(dev, path, sizeof(path));
	VHOST_LOG_DATA(ERR, "(%s) %s %u.\n", path, what, number);
}

static __rte_noinline __rte_cold void
complain_of_channel(int16_t dma_id, uint16_t vchan_id)
{
	VHOST_LOG_DATA(ERR, "invalid channel %d:%u.\n", dma_id, vchan_id);
}

/** Which queues a function is for. */
enum direction {
	TO_GUEST,
	FROM_GUEST,
	EITHER,
};

static __rte_always_inline struct vhost_queue *
find_queue(struct vhost_device *dev, uint16_t queue_id, enum direction direction)
{
	struct vhost_queue *q = vhost_device_queue(dev, queue_id);

	if (likely(q != NULL && (direction == EITHER || queue_id % 2 == direction)))
		return q;
	complain(dev, "invalid virtqueue idx", queue_id);
	return NULL;
}

static __rte_always_inline struct dma_channel *
find_channel(int16_t dma_id, uint16_t vchan_id)
{
	struct dma_channel *channel = vhost_dma_channel(dma_id, vchan_id);

	if (unlikely(channel == NULL))
		complain_of_channel(dma_id, vchan_id);
	return channel;
}

/** A queue that is named to a function of either kind; the device, too. */
static struct vhost_queue *
control_queue(int vid, uint16_t queue_id, struct vhost_device **dev)
{
	*dev = vhost_device_get(vid);
	return *dev != NULL ? find_queue(*dev, queue_id, EITHER) : NULL;
}

/** Likewise, to a _thread_unsafe function: NULL unless below a callback of the device. */
static struct vhost_queue *
inside_queue(int vid, uint16_t queue_id, struct vhost_device **dev)
{
	struct vhost_queue *q = control_queue(vid, queue_id, dev);

	if (q == NULL || vhost_device_is_inside(*dev))
		return q;
	complain(*dev, "not called from a callback, for virtqueue", queue_id);
	return NULL;
}

/* Devices */

int
rte_vhost_async_dma_configure(int16_t dma_id, uint16_t vchan_id)
{
	return vhost_dma_configure(dma_id, vchan_id) == 0 ? 0 : -1;
}

int
rte_vhost_async_dma_unconfigure(int16_t dma_id, uint16_t vchan_id)
{
	return vhost_dma_unconfigure(dma_id, vchan_id) == 0 ? 0 : -1;
}

/* Queues */

static int
register_queue(struct vhost_device *dev, struct vhost_queue *q, uint16_t queue_id)
{
	int ret;

	if (q == NULL)
		return -1;
	if (!(vhost_device_flags(dev) & RTE_VHOST_USER_ASYNC_COPY)) {
		complain(dev, "async copy is disabled, not registered: virtqueue", queue_id);
		return -1;
	}
	ret = vhost_queue_async_register(q, vhost_device_memory_is_pinned(dev));
	if (ret == -EEXIST)
		complain(dev, "async channel is registered already for virtqueue", queue_id);
	else if (ret < 0)
		complain(dev, "async channel cannot be registered for virtqueue", queue_id);
	return ret == 0 ? 0 : -1;
}

int
rte_vhost_async_channel_register(int vid, uint16_t queue_id)
{
	struct vhost_device *dev;
	struct vhost_queue *q = control_queue(vid, queue_id, &dev);

	return register_queue(dev, q, queue_id);
}

int
rte_vhost_async_channel_register_thread_unsafe(int vid, uint16_t queue_id)
{
	struct vhost_device *dev;
	struct vhost_queue *q = inside_queue(vid, queue_id, &dev);

	return register_queue(dev, q, queue_id);
}

static int
unregister_queue(struct vhost_device *dev, struct vhost_queue *q, uint16_t queue_id)
{
	if (q == NULL)
		return -1;
	if (vhost_queue_async_unregister(q) == 0)
		return 0;
	complain(dev, "packets are in flight, still registered: virtqueue", queue_id);
	return -1;
}

int
rte_vhost_async_channel_unregister(int vid, uint16_t queue_id)
{
	struct vhost_device *dev;
	struct vhost_queue *q = control_queue(vid, queue_id, &dev);

	return unregister_queue(dev, q, queue_id);
}

int
rte_vhost_async_channel_unregister_thread_unsafe(int vid, uint16_t queue_id)
{
	struct vhost_device *dev;
	struct vhost_queue *q = inside_queue(vid, queue_id, &dev);

	return unregister_queue(dev, q, queue_id);
}

static int
count_inflight(struct vhost_queue *q)
{
	return q != NULL ? RTE_MAX(vhost_queue_async_inflight(q), -1) : -1;
}

int
rte_vhost_async_get_inflight(int vid, uint16_t queue_id)
{
	struct vhost_device *dev;

	return count_inflight(control_queue(vid, queue_id, &dev));
}

int
rte_vhost_async_get_inflight_thread_unsafe(int vid, uint16_t queue_id)
{
	struct vhost_device *dev;

	return count_inflight(inside_queue(vid, queue_id, &dev));
}

/* Packets */

/** The queue and the channel of a burst: NULL unless both are there. */
static __rte_always_inline struct vhost_queue *
find_both(int vid, uint16_t queue_id, enum direction direction, int16_t dma_id,
		uint16_t vchan_id, struct dma_channel **channel)
{
	struct vhost_device *dev;

	*channel = find_channel(dma_id, vchan_id);
	dev = vhost_device_get(vid);
	if (unlikely(dev == NULL || *channel == NULL))
		return NULL;
	return find_queue(dev, queue_id, direction);
}

uint16_t
rte_vhost_submit_enqueue_burst(int vid, uint16_t queue_id, struct rte_mbuf **pkts,
		uint16_t count, int16_t dma_id, uint16_t vchan_id)
{
	struct dma_channel *channel;
	struct vhost_queue *q = find_both(vid, queue_id, TO_GUEST, dma_id, vchan_id, &channel);
	struct vhost_virtqueue *block;
	uint16_t done = 0;

	if (unlikely(q == NULL))
		return 0;
	block = vhost_gate_enter(&q->gate);
	if (unlikely(block == NULL))
		return 0;
	if (likely(q->async != NULL && net_async_may_submit(block, q->async)))
		done = vhost_net_async_enqueue(block, q->async, pkts, count, channel);
	vhost_gate_leave(&q->gate);
	return done;
}

/** Return packets of a queue whose copies are done. */
static __rte_always_inline uint16_t
poll_queue(struct vhost_queue *q, struct rte_mbuf **pkts, uint16_t count,
		struct dma_channel *channel)
{
	struct vhost_virtqueue *block = vhost_gate_try_enter(&q->gate);
	uint16_t done = 0;

	if (unlikely(block == NULL))
		return 0;
	if (likely(q->async != NULL))
		done = vhost_net_async_poll(block, q->async, pkts, count, channel);
	vhost_gate_leave(&q->gate);
	return done;
}

uint16_t
rte_vhost_poll_enqueue_completed(int vid, uint16_t queue_id, struct rte_mbuf **pkts,
		uint16_t count, int16_t dma_id, uint16_t vchan_id)
{
	struct dma_channel *channel;
	struct vhost_queue *q = find_both(vid, queue_id, TO_GUEST, dma_id, vchan_id, &channel);

	return likely(q != NULL) ? poll_queue(q, pkts, count, channel) : 0;
}

static uint16_t
clear_queue(struct vhost_queue *q, struct rte_mbuf **pkts, uint16_t count, int16_t dma_id,
		uint16_t vchan_id)
{
	struct dma_channel *channel = find_channel(dma_id, vchan_id);

	return q != NULL && channel != NULL ? poll_queue(q, pkts, count, channel) : 0;
}

uint16_t
rte_vhost_clear_queue(int vid, uint16_t queue_id, struct rte_mbuf **pkts, uint16_t count,
		int16_t dma_id, uint16_t vchan_id)
{
	struct vhost_device *dev;

	return clear_queue(control_queue(vid, queue_id, &dev), pkts, count, dma_id, vchan_id);
}

uint16_t
rte_vhost_clear_queue_thread_unsafe(int vid, uint16_t queue_id, struct rte_mbuf **pkts,
		uint16_t count, int16_t dma_id, uint16_t vchan_id)
{
	struct vhost_device *dev;

	return clear_queue(inside_queue(vid, queue_id, &dev), pkts, count, dma_id, vchan_id);
}

/** Receive and fetch; inside the gate. */
static uint16_t
dequeue(struct vhost_virtqueue *block, struct net_async *area, struct rte_mempool *pool,
		struct rte_mbuf **pkts, uint16_t count, struct dma_channel *channel)
{
	uint16_t done = 0;

	if (likely(count > 0 && net_async_may_submit(block, area))) {
		done = vhost_net_async_announce(block, pool, pkts);
		vhost_net_async_fetch(block, area, pool, count - done, channel);
	}
	return done + vhost_net_async_poll(block, area, pkts + done, count - done, channel);
}

uint16_t
rte_vhost_async_try_dequeue_burst(int vid, uint16_t queue_id, struct rte_mempool *mbuf_pool,
		struct rte_mbuf **pkts, uint16_t count, int *nr_inflight, int16_t dma_id,
		uint16_t vchan_id)
{
	struct dma_channel *channel;
	struct vhost_queue *q = find_both(vid, queue_id, FROM_GUEST, dma_id, vchan_id, &channel);
	struct vhost_virtqueue *block;
	uint16_t done = 0;

	*nr_inflight = -1;
	if (unlikely(q == NULL))
		return 0;
	block = vhost_gate_try_enter(&q->gate);
	if (unlikely(block == NULL))
		return 0;
	if (likely(q->async != NULL)) {
		done = dequeue(block, q->async, mbuf_pool, pkts, count, channel);
		*nr_inflight = q->async->inflight;
	}
	vhost_gate_leave(&q->gate);
	return done;
}
