/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <pthread.h>

#include "dma_channel.h"
#include "mem_node.h"
#include "vhost_log.h"

/** Each has a page of its own, on the node of its device, that stays for life. */
#define CHANNEL_PAGE 4096

static struct dma_channel *channels[DMA_MAX_DEVICES][DMA_MAX_CHANNELS];
static pthread_mutex_t channels_lock = PTHREAD_MUTEX_INITIALIZER;

/** Whether there is such a channel, and on which node: 0 or -EINVAL. */
static int
check_channel(int16_t dma_id, uint16_t vchan, int *node)
{
	struct rte_dma_info info;

	if (dma_id < 0 || dma_id >= DMA_MAX_DEVICES || !rte_dma_is_valid(dma_id) ||
			rte_dma_info_get(dma_id, &info) != 0) {
		VHOST_LOG_CONFIG(ERR, "DMA %d is not found.\n", dma_id);
		return -EINVAL;
	}
	if (vchan >= (info.nb_vchans != 0 ? info.nb_vchans : info.max_vchans) ||
			vchan >= DMA_MAX_CHANNELS || info.max_desc == 0) {
		VHOST_LOG_CONFIG(ERR, "Invalid vChannel ID. DMA:%d vChannel:%u\n", dma_id, vchan);
		return -EINVAL;
	}
	*node = info.numa_node;
	return 0;
}

static struct dma_channel *
make_channel(int16_t dma_id, uint16_t vchan, int node)
{
	struct dma_channel *channel = vhost_node_pages(CHANNEL_PAGE);

	if (channel == NULL)
		return NULL;
	if (node != VHOST_NODE_ANY)
		vhost_node_prefer(channel, CHANNEL_PAGE, node);
	rte_spinlock_init(&channel->lock);
	channel->dma_id = dma_id;
	channel->vchan = vchan;
	return channel;
}

/** channels_lock held. */
static int
configure(int16_t dma_id, uint16_t vchan, int node)
{
	struct dma_channel **place = &channels[dma_id][vchan];
	struct dma_channel *channel = *place;

	if (channel == NULL)
		channel = make_channel(dma_id, vchan, node);
	if (channel == NULL) {
		VHOST_LOG_CONFIG(ERR, "no memory for vChannel %u of DMA %d\n", vchan, dma_id);
		return -ENOMEM;
	}
	if (!__atomic_exchange_n(&channel->configured, 1, __ATOMIC_RELAXED)) {
		/* perhaps another device of that number */
		channel->most = 0;
		channel->room = 0;
		__atomic_store_n(&channel->nfailed, 0, __ATOMIC_RELAXED);
	}
	/* C4 pairs with C3 */
	__atomic_store_n(place, channel, __ATOMIC_RELEASE);
	return 0;
}

int
vhost_dma_configure(int16_t dma_id, uint16_t vchan)
{
	int node, ret = check_channel(dma_id, vchan, &node);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&channels_lock);
	ret = configure(dma_id, vchan, node);
	pthread_mutex_unlock(&channels_lock);
	return ret;
}

struct dma_channel *
vhost_dma_channel(int16_t dma_id, uint16_t vchan)
{
	struct dma_channel *channel;

	if (unlikely(dma_id < 0 || dma_id >= DMA_MAX_DEVICES || vchan >= DMA_MAX_CHANNELS))
		return NULL;
	/* C3 pairs with C4 */
	channel = __atomic_load_n(&channels[dma_id][vchan], __ATOMIC_ACQUIRE);
	if (unlikely(channel == NULL ||
			!__atomic_load_n(&channel->configured, __ATOMIC_RELAXED)))
		return NULL;
	return channel;
}

/** Nothing may be under way; what is not known to be done is. */
static int
unconfigure(struct dma_channel *channel)
{
	int ret = -EBUSY;

	rte_spinlock_lock(&channel->lock);
	dma_channel_collect(channel);
	if (channel->done == channel->submitted) {
		__atomic_store_n(&channel->configured, 0, __ATOMIC_RELAXED);
		ret = 0;
	}
	rte_spinlock_unlock(&channel->lock);
	return ret;
}

int
vhost_dma_unconfigure(int16_t dma_id, uint16_t vchan)
{
	struct dma_channel *channel;
	int node, ret = check_channel(dma_id, vchan, &node);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&channels_lock);
	channel = vhost_dma_channel(dma_id, vchan);
	ret = channel != NULL ? unconfigure(channel) : -EINVAL;
	pthread_mutex_unlock(&channels_lock);
	if (ret == -EBUSY)
		VHOST_LOG_CONFIG(ERR, "DMA %d vChannel %u: copies are under way\n", dma_id, vchan);
	return ret;
}

/** Remember that a copy failed; what does not fit makes an older range longer. */
static void
note_failure(struct dma_channel *channel, uint64_t number)
{
	struct dma_range *failed = channel->failed;
	uint32_t n = channel->nfailed;

	if (n == 0)
		VHOST_LOG_DATA(ERR, "DMA %d vChannel %u: a copy failed, done by the CPU instead; "
			"no more is said of this channel's failures\n",
			channel->dma_id, channel->vchan);
	if (n > 0 && failed[n - 1].end == number) {
		failed[n - 1].end++;
		return;
	}
	if (n == DMA_MAX_FAILURES) {
		failed[1].from = failed[0].from;
		memmove(&failed[0], &failed[1], (n - 1) * sizeof(failed[0]));
		n--;
	}
	failed[n] = (struct dma_range){ number, number + 1 };
	__atomic_store_n(&channel->nfailed, n + 1, __ATOMIC_RELAXED);
}

uint64_t
vhost_dma_collect_failures(struct dma_channel *channel, uint64_t done)
{
	enum rte_dma_status_code status[64];
	uint16_t i, n, last;

	do {
		uint64_t left = channel->submitted - done;

		n = rte_dma_completed_status(channel->dma_id, channel->vchan,
			RTE_MIN(left, (uint64_t)RTE_DIM(status)), &last, status);
		n = RTE_MIN((uint64_t)n, left);
		for (i = 0; i < n; i++)
			if (status[i] != RTE_DMA_STATUS_SUCCESSFUL)
				note_failure(channel, done + i);
		done += n;
	} while (n > 0 && done < channel->submitted);
	return done;
}

bool
vhost_dma_has_failed(struct dma_channel *channel, uint64_t from, uint64_t end)
{
	bool failed = false;
	uint32_t i;

	rte_spinlock_lock(&channel->lock);
	for (i = 0; i < channel->nfailed; i++)
		failed |= channel->failed[i].from < end && from < channel->failed[i].end;
	rte_spinlock_unlock(&channel->lock);
	return failed;
}
