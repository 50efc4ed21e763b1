/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Commands are small and every answer is one byte, so a command is gathered into
 * pieces like a packet, copied once into a buffer of our own, and judged there.
 * A chain holds what we read (class, command, data), then what we write (the ack).
 *
 * We forward whatever the guest sends and deliver whatever the application hands
 * us, so receive filters are accepted without effect; only the number of queue
 * pairs changes anything.
 */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include <linux/virtio_net.h>

#include <rte_common.h>

#include "device_change.h"
#include "doorbell.h"
#include "iotlb_ask.h"
#include "net_ctrl.h"
#include "queue.h"
#include "ring.h"
#include "ring_iova.h"
#include "vhost_log.h"

/** When to try again if the device was busy. */
#define RETRY_MS 1

/** Bytes of a command that are looked at: header and the longest data that counts. */
#define CTRL_BYTES 16

struct ctrl_command {
	uint8_t bytes[CTRL_BYTES];
	uint32_t len;		/**< of the command in the guest, maybe more than CTRL_BYTES */
};

static uint8_t
judge_mq(const struct ctrl_command *command, uint32_t pairs, uint16_t *wanted)
{
	struct virtio_net_ctrl_mq mq;

	if (command->len < sizeof(struct virtio_net_ctrl_hdr) + sizeof(mq))
		return VIRTIO_NET_ERR;
	memcpy(&mq, command->bytes + sizeof(struct virtio_net_ctrl_hdr), sizeof(mq));
	if (mq.virtqueue_pairs == 0 || mq.virtqueue_pairs > pairs)
		return VIRTIO_NET_ERR;
	*wanted = mq.virtqueue_pairs;
	return VIRTIO_NET_OK;
}

/**
 * Judge a command.
 *
 * @param pairs  queue pairs that the device has
 * @param[in,out] wanted  changed when the guest sets the number of pairs in use
 * @return the ack, VIRTIO_NET_OK or VIRTIO_NET_ERR
 */
static uint8_t
judge(const struct virtio_net *net, const struct ctrl_command *command, uint32_t pairs,
		uint16_t *wanted)
{
	struct virtio_net_ctrl_hdr hdr;

	if (command->len < sizeof(hdr))
		return VIRTIO_NET_ERR;
	memcpy(&hdr, command->bytes, sizeof(hdr));
	switch (hdr.class) {
	case VIRTIO_NET_CTRL_RX:
		return virtio_net_has(net, VIRTIO_NET_F_CTRL_RX) ?
			VIRTIO_NET_OK : VIRTIO_NET_ERR;
	case VIRTIO_NET_CTRL_MAC:
		return hdr.cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET &&
				virtio_net_has(net, VIRTIO_NET_F_CTRL_RX) ?
			VIRTIO_NET_OK : VIRTIO_NET_ERR;
	case VIRTIO_NET_CTRL_ANNOUNCE:
		return virtio_net_has(net, VIRTIO_NET_F_GUEST_ANNOUNCE) ?
			VIRTIO_NET_OK : VIRTIO_NET_ERR;
	case VIRTIO_NET_CTRL_MQ:
		return hdr.cmd == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET &&
				virtio_net_has(net, VIRTIO_NET_F_MQ) ?
			judge_mq(command, pairs, wanted) : VIRTIO_NET_ERR;
	default:
		return VIRTIO_NET_ERR;
	}
}

/** The first bytes of what the guest wants read. */
static void
copy_command(const struct vq_piece *pieces, unsigned int n, struct ctrl_command *command)
{
	uint32_t have = 0, len;
	unsigned int i;

	command->len = 0;
	for (i = 0; i < n; i++) {
		len = RTE_MIN(pieces[i].len, (uint32_t)CTRL_BYTES - have);
		memcpy(command->bytes + have, pieces[i].base, len);
		have += len;
		command->len += pieces[i].len;
	}
}

/**
 * Serve the next chain: the number of places it took, -1 if there is none, -EAGAIN if
 * the IOMMU has to tell where it is.
 *
 * @param left  places that may be taken
 */
static int
serve_chain(struct vhost_virtqueue *vq, uint16_t left, uint32_t pairs, uint16_t *wanted)
{
	const unsigned int format = vq->cfg.format;
	struct ctrl_command command;
	struct vq_chain chain;
	uint32_t written = 0;
	unsigned int nread;
	uint8_t *ack;
	int n;

	if (!ring_offers(vq, 0, left, format))
		return -1;
	n = ring_gather_both(vq, 0, vq->pieces, VHOST_MAX_PIECES, &chain, &nread, format);
	if (n == -EAGAIN)
		return n;
	ring_take(vq, chain.places, format);
	if (n == -ENOENT)
		return chain.places;
	if (n > 0 && (unsigned int)n != nread) {
		copy_command(vq->pieces, nread, &command);
		ack = vq->pieces[nread].base;
		*ack = judge(vq->net, &command, pairs, wanted);
		written = sizeof(*ack);
		if (format & VQ_LOG)
			vhost_ring_log_data(vq, ack, written);
	}
	ring_put(vq, 0, chain.id, chain.places, written, format);
	ring_give(vq, chain.places, format);
	return chain.places;
}

/**
 * Serve all that waits.
 *
 * @param[out] waits  whether that ended for want of translations
 * @return whether the guest is to be notified
 */
static bool
serve_ring(struct vhost_virtqueue *vq, uint32_t pairs, uint16_t *wanted, bool *waits)
{
	const unsigned int format = vq->cfg.format;
	uint16_t used = vq->state.last_used_idx;
	uint16_t left = vq->size;
	int places;

	/* first the request for a kick, then the look at the ring */
	do {
		ring_renew_kick_request(vq, format);
		places = serve_chain(vq, RTE_MIN(left, ring_available(vq, format)), pairs,
				wanted);
		left -= RTE_MIN(left, RTE_MAX(places, 0));
	} while (places > 0);
	*waits = places == -EAGAIN;
	return vq->state.last_used_idx != used && ring_should_notify(vq, format);
}

/** Serve the queue; true if the guest changed the number of queue pairs. */
static bool
serve_queue(struct vhost_device *dev, struct vhost_queue *q)
{
	uint16_t wanted = dev->wish.ctrl_pairs;
	struct vhost_virtqueue *block;
	struct iova_wants wants = { 0 };
	bool notify;

	/* edges come whether or not it is read, but a pipe would be full in the end */
	if (q->kick_kind == DOORBELL_PIPE)
		vhost_doorbell_drain_pipe(dev->ctrl.kick.fd);
	block = vhost_gate_close(&q->gate);
	notify = serve_ring(block, dev->data_vrings / 2, &wanted, &dev->ctrl.waits);
	if (block->iova != NULL)
		vhost_ring_iova_take_wants(block->iova, &wants);
	vhost_gate_open(&q->gate);
	vhost_iotlb_ask(dev, &wants);
	if (notify && q->callfd >= 0)
		vhost_doorbell_call(q->callfd, q->call_kind, q->index);
	if (wanted == dev->wish.ctrl_pairs)
		return false;
	VHOST_LOG_CONFIG(INFO, "(%s) the guest uses %u queue pairs\n", dev->driver.path, wanted);
	dev->wish.ctrl_pairs = wanted;
	return true;
}

static void on_retry(struct event_timer *timer);

/** Serve what waits, now or, if the lock's holder may be waiting for us, soon. */
static void
serve_device(struct vhost_device *dev)
{
	const struct settle_request nothing_else = { 0 };
	struct vhost_queue *q;

	if (!vhost_device_try_lock(dev)) {
		vhost_event_timer_arm(&dev->ctrl.retry, RETRY_MS, on_retry);
		return;
	}
	q = vhost_device_ctrl_queue(dev);
	if (q != NULL && dev->ctrl.kick.fd >= 0 && serve_queue(dev, q))
		vhost_device_change(dev, &nothing_else);
	vhost_device_unlock(dev);
}

static void
on_retry(struct event_timer *timer)
{
	serve_device(container_of(timer, struct vhost_device, ctrl.retry));
}

static void
on_kick(struct event_source *source, uint32_t events __rte_unused)
{
	serve_device(container_of(source, struct vhost_device, ctrl.kick));
}

void
vhost_net_ctrl_unwatch(struct vhost_device *dev)
{
	vhost_event_source_remove(&dev->ctrl.kick);
	vhost_event_timer_cancel(&dev->ctrl.retry);
	dev->ctrl.waits = false;
}

/** Watch the kicks of the device's control queue, if it has one now; else stop watching. */
static void
ctrl_settled(struct vhost_device *dev)
{
	struct vhost_queue *q = vhost_device_ctrl_queue(dev);
	int kickfd = q != NULL ? RTE_MAX(q->kickfd, -1) : -1;

	/* each translation that comes is a settle */
	if (q != NULL && dev->ctrl.waits)
		vhost_event_timer_arm(&dev->ctrl.retry, RETRY_MS, on_retry);
	if (dev->ctrl.kick.fd == kickfd)
		return;
	vhost_net_ctrl_unwatch(dev);
	if (kickfd < 0)
		return;
	vhost_queue_set_kicks(q, true);
	/* edges: reading it could wait, if the guest reads it as well */
	if (vhost_event_source_add(&dev->ctrl.kick, kickfd, EPOLLIN | EPOLLET, on_kick) < 0)
		VHOST_LOG_CONFIG(ERR, "(%s) cannot watch the control queue\n", dev->driver.path);
}

const struct device_listener vhost_listener_ctrl = {
	.settled = ctrl_settled,
};
