/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_DMA_CHANNEL_H
#define VHOST_DMA_CHANNEL_H

/*
 * Virtual channels of DMA devices, shared by all queues and threads of the process.
 *
 * A channel executes copies in any order and reports them in the order in which they
 * were submitted.  So one number per channel says everything: how many are done.
 * Whoever waits for a copy remembers which one it was (its number plus one) and
 * compares.  Nobody is told, so nothing here points to a queue, and a queue may move or
 * go while its copies are under way.
 *
 * Copies that fail are done again by the CPU, by whoever waits for them.  They are kept
 * as ranges, which may grow to hold good copies as well: to copy these again is harmless
 * as long as nobody was told that they are done.
 *
 * A channel that was configured once stays findable for life, for who is late with it.
 *
 * Barriers: who sees that a copy is done sees what it wrote, and whether it failed.
 *  C1 acquire, the number is read (dma_channel_is_done)	pairs with C2
 *  C2 release, copies are done (dma_channel_collect)		pairs with C1
 *  C3 acquire, the table is read (vhost_dma_channel)		pairs with C4
 *  C4 release, a channel is ready for use (vhost_dma_configure)	pairs with C3
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_dmadev.h>
#include <rte_spinlock.h>

/** DMA devices, as many as dmadev has by default, and channels of each, that are looked after. */
#define DMA_MAX_DEVICES RTE_DMADEV_DEFAULT_MAX
#define DMA_MAX_CHANNELS 256

/** Ranges of failed copies that are told apart. */
#define DMA_MAX_FAILURES 8

/** Copies, by number. */
struct dma_range {
	uint64_t from;
	uint64_t end;
};

struct dma_channel {
	rte_spinlock_t lock;	/**< of all that touches the device, and what is written here */
	uint32_t configured;	/**< atomic */
	int16_t dma_id;
	uint16_t vchan;
	uint64_t submitted;	/**< copies */
	uint64_t done;		/**< copies, those that failed as well; atomic */
	uint32_t room;		/**< copies that the device has room for, or more */
	uint32_t most;		/**< that it was ever seen to have room for */
	uint32_t nfailed;	/**< atomic */
	struct dma_range failed[DMA_MAX_FAILURES];	/**< the oldest first */
};

/**
 * Use a channel from now on: 0, also if it is used already; -EINVAL if there is no such
 * device, or channel of it; -ENOMEM.  Any thread.
 */
int vhost_dma_configure(int16_t dma_id, uint16_t vchan);

/** Use it no more: 0; -EINVAL if it was not used; -EBUSY while copies are under way. */
int vhost_dma_unconfigure(int16_t dma_id, uint16_t vchan);

/** A channel that is used, or NULL.  Any thread. */
struct dma_channel *vhost_dma_channel(int16_t dma_id, uint16_t vchan);

/** Take what the device has to say after an error; lock held.  How many copies are done by now. */
uint64_t vhost_dma_collect_failures(struct dma_channel *channel, uint64_t done);

/** Whether one of those copies may have failed; they are done.  Any thread. */
bool vhost_dma_has_failed(struct dma_channel *channel, uint64_t from, uint64_t end);

/** Whether all copies before that one are done. */
static __rte_always_inline bool
dma_channel_is_done(const struct dma_channel *channel, uint64_t end)
{
	/* C1 pairs with C2 */
	return __atomic_load_n(&channel->done, __ATOMIC_ACQUIRE) >= end;
}

/** Whether one of those copies, which are done, has to be made again. */
static __rte_always_inline bool
dma_channel_has_failed(struct dma_channel *channel, uint64_t from, uint64_t end)
{
	return unlikely(__atomic_load_n(&channel->nfailed, __ATOMIC_RELAXED) != 0) &&
		vhost_dma_has_failed(channel, from, end);
}

/** Ask the device what is done by now; lock held. */
static __rte_always_inline void
dma_channel_collect(struct dma_channel *channel)
{
	uint64_t done = channel->done, left = channel->submitted - done;
	bool error = false;
	uint16_t last;

	if (left == 0)
		return;
	left = RTE_MIN(left, (uint64_t)UINT16_MAX);
	done += RTE_MIN((uint64_t)rte_dma_completed(channel->dma_id, channel->vchan, left, &last,
			&error), left);
	if (unlikely(error))
		done = vhost_dma_collect_failures(channel, done);
	/* C2 pairs with C1 */
	__atomic_store_n(&channel->done, done, __ATOMIC_RELEASE);
}

static __rte_always_inline void
dma_channel_poll(struct dma_channel *channel)
{
	rte_spinlock_lock(&channel->lock);
	dma_channel_collect(channel);
	rte_spinlock_unlock(&channel->lock);
}

/** Copies on their way to the device, from dma_batch_begin() to dma_batch_end(). */
struct dma_batch {
	struct dma_channel *channel;
	uint32_t room;		/**< copies that the device takes for sure */
	bool any;		/**< it has some that it was not told to begin with */
};

/** The channel is the caller's until the end of the batch. */
static __rte_always_inline struct dma_batch
dma_batch_begin(struct dma_channel *channel)
{
	struct dma_batch batch = { .channel = channel };

	rte_spinlock_lock(&channel->lock);
	batch.room = channel->room;
	return batch;
}

static __rte_always_inline void
dma_batch_end(struct dma_batch *batch)
{
	struct dma_channel *channel = batch->channel;

	channel->room = batch->room;
	if (batch->any)
		rte_dma_submit(channel->dma_id, channel->vchan);
	rte_spinlock_unlock(&channel->lock);
}

/** Ask the device how many copies it takes. */
static inline void
dma_batch_ask_room(struct dma_batch *batch)
{
	struct dma_channel *channel = batch->channel;

	batch->room = rte_dma_burst_capacity(channel->dma_id, channel->vchan);
	channel->most = RTE_MAX(channel->most, batch->room);
}

/** Whether the device takes so many copies. */
static __rte_always_inline bool
dma_batch_has_room(struct dma_batch *batch, uint32_t copies)
{
	if (likely(batch->room >= copies))
		return true;
	dma_batch_ask_room(batch);
	if (batch->room >= copies)
		return true;
	/* what is done by now makes room */
	dma_channel_collect(batch->channel);
	dma_batch_ask_room(batch);
	return batch->room >= copies;
}

/** Whether the device may have room for so many copies later, if it has none now. */
static inline bool
dma_batch_may_wait(const struct dma_batch *batch, uint32_t copies)
{
	const struct dma_channel *channel = batch->channel;

	return copies <= channel->most && channel->submitted != channel->done;
}

/**
 * Submit a copy.
 *
 * @return false if the device refuses it, for want of room or for another reason: the
 *         caller copies
 */
static __rte_always_inline bool
dma_batch_copy(struct dma_batch *batch, rte_iova_t dst, rte_iova_t src, uint32_t len)
{
	struct dma_channel *channel = batch->channel;

	if (unlikely(batch->room == 0) ||
			unlikely(rte_dma_copy(channel->dma_id, channel->vchan, src, dst, len,
			RTE_DMA_OP_FLAG_LLC) < 0))
		return false;
	batch->room--;
	batch->any = true;
	channel->submitted++;
	return true;
}

#endif /* VHOST_DMA_CHANNEL_H */
