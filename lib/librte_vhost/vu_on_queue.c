/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <inttypes.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>

#include "doorbell.h"
#include "ring.h"
#include "ring_locate.h"
#include "vhost_log.h"
#include "vu_on.h"

/** Descriptors of the largest ring (virtio 1.2, 2.7 and 2.8). */
#define RING_SIZE_MAX 32768

static bool
size_is_valid(const struct vu_call *call, uint32_t num)
{
	uint64_t features = call->dev->features;

	/* which can be asked again when the ring is looked at */
	if (features == 0)
		features = call->dev->driver.features;
	return num != 0 && num <= RING_SIZE_MAX && ring_size_is_valid(num, ring_format(features));
}

int
vhost_vu_on_set_vring_num(struct vu_call *call)
{
	uint32_t num = call->msg->payload.state.num;
	struct vhost_queue *q = call->queue;

	if (!size_is_valid(call, num)) {
		VHOST_LOG_CONFIG(ERR, "(%s) vring %u: invalid size %u\n",
			call->dev->driver.path, q->index, num);
		return -EINVAL;
	}
	if (q->live && num != q->wish.size) {
		VHOST_LOG_CONFIG(ERR, "(%s) vring %u: size %u refused, it runs with %u\n",
			call->dev->driver.path, q->index, num, q->wish.size);
		return -EBUSY;
	}
	q->wish.size = num;
	return 0;
}

static int
check_ring(const struct vu_call *call)
{
	const struct vhost_queue *q = call->queue;

	if (vhost_ring_fits(&q->wish, call->dev->features, call->dev->wish_map))
		return 0;
	VHOST_LOG_CONFIG(ERR, "(%s) vring %u: ring of %u descriptors at 0x%" PRIx64 ", 0x%" PRIx64
		", 0x%" PRIx64 " is not within guest memory\n", call->dev->driver.path, q->index,
		q->wish.size, q->wish.desc_uva, q->wish.avail_uva, q->wish.used_uva);
	return -EFAULT;
}

int
vhost_vu_on_set_vring_addr(struct vu_call *call)
{
	const struct vu_vring_addr *addr = &call->msg->payload.addr;
	struct vhost_queue *q = call->queue;
	const struct queue_wish before = q->wish;
	int ret;

	if (call->dev->wish_map == NULL) {
		VHOST_LOG_CONFIG(ERR, "(%s) vring %u: addresses before the memory table\n",
			call->dev->driver.path, q->index);
		return -EINVAL;
	}
	q->wish.desc_uva = addr->desc;
	q->wish.avail_uva = addr->avail;
	q->wish.used_uva = addr->used;
	q->wish.log_gpa = addr->log;
	q->wish.log_ring = (addr->flags & (1u << VHOST_VRING_F_LOG)) != 0;
	q->wish.has_addr = true;
	ret = check_ring(call);
	if (ret < 0)
		q->wish = before;
	return ret;
}

/*
 * A base is the next entry to take.  Of a packed ring it has its wrap counter in bit
 * 15 (22.11 knows no more), and the next to give back in the upper half.  A frontend
 * that leaves that 0 has not said it: all that was taken was given back.
 */

static bool
base_is_valid(const struct vu_call *call, uint32_t base)
{
	return base <= UINT16_MAX || ring_has_two_bases(ring_format(call->dev->features));
}

/** Base of a packed ring that starts: entry 0, wrap counter 1. */
#define PACKED_START 0x8000

/**
 * The base that a frontend means.  User-mode Linux, which is alone in not negotiating
 * VHOST_USER_F_PROTOCOL_FEATURES, says 0 for a packed ring that starts, whose wrap
 * counters are 1 (virtio 1.2, 2.8.1).
 */
static uint32_t
meant_base(const struct vu_call *call)
{
	uint32_t base = call->msg->payload.state.num;

	if (base == 0 && vhost_device_has(call->dev, VIRTIO_F_RING_PACKED) &&
			!vhost_device_has(call->dev, VHOST_USER_F_PROTOCOL_FEATURES))
		return PACKED_START;
	return base;
}

int
vhost_vu_on_set_vring_base(struct vu_call *call)
{
	uint32_t base = meant_base(call);
	uint16_t last_avail = base, last_used = base > UINT16_MAX ? base >> 16 : base;
	struct vhost_queue *q = call->queue;

	if (!base_is_valid(call, base) || q->live) {
		VHOST_LOG_CONFIG(ERR, "(%s) vring %u: base 0x%x refused%s\n",
			call->dev->driver.path, q->index, base, q->live ? ", it runs" : "");
		return -EINVAL;
	}
	VHOST_LOG_CONFIG(INFO, "(%s) vring base idx:%u last_used_idx:%u last_avail_idx:%u.\n",
		call->dev->driver.path, q->index, last_used, last_avail);
	return vhost_queue_set_base(q, last_avail, last_used);
}

/* vhost-user, "Starting and stopping rings": stops the ring, and with it the device. */
int
vhost_vu_on_get_vring_base(struct vu_call *call)
{
	struct vhost_queue *q = call->queue;
	uint16_t last_avail, last_used;
	uint32_t base;
	int ret;

	call->dev->stop_wanted = true;
	vhost_queue_stop_wish(q);
	/* the index is final once no burst can be inside any more */
	ret = vhost_device_settle(call->dev);
	if (ret < 0)
		return ret;
	vhost_queue_get_base(q, &last_avail, &last_used);
	base = last_avail;
	if (ring_has_two_bases(ring_format(call->dev->features)))
		base |= (uint32_t)last_used << 16;
	VHOST_LOG_CONFIG(INFO, "(%s) vring base idx:%u file:%u\n", call->dev->driver.path,
		q->index, base);
	call->msg->payload.state.num = base;
	return 0;
}

/** The descriptor of a KICK or CALL, made safe, or QUEUE_FD_NONE in *fd: 0 or -EINVAL. */
static int
take_doorbell(struct vu_call *call, enum doorbell_kind allowed, int *fd, enum doorbell_kind *kind)
{
	*kind = DOORBELL_EVENTFD;
	if (call->msg->payload.u64 & VU_VRING_NO_FD) {
		*fd = QUEUE_FD_NONE;
		return 0;
	}
	*fd = vhost_doorbell_adopt(call->dev->driver.quota, vhost_vu_take_fd(call->msg, 0),
		allowed, kind);
	if (*fd >= 0)
		return 0;
	VHOST_LOG_CONFIG(ERR, "(%s) vring %u: the descriptor of %s cannot carry notifications\n",
		call->dev->driver.path, call->queue->index,
		vhost_vu_request_name(call->msg->request));
	return -EINVAL;
}

int
vhost_vu_on_set_vring_kick(struct vu_call *call)
{
	struct vhost_queue *q = call->queue;
	enum doorbell_kind kind;
	int fd, ret;

	ret = check_ring(call);
	if (ret < 0)
		return ret;
	ret = take_doorbell(call, DOORBELL_EVENTFD, &fd, &kind);
	if (ret < 0)
		return ret;
	vhost_queue_set_kickfd(q, fd, kind);
	q->retell = true;
	VHOST_LOG_CONFIG(INFO, "(%s) vring kick idx:%u file:%d\n", call->dev->driver.path,
		q->index, fd);
	return 0;
}

int
vhost_vu_on_set_vring_call(struct vu_call *call)
{
	struct vhost_queue *q = call->queue;
	enum doorbell_kind kind;
	int fd, ret;

	ret = take_doorbell(call, DOORBELL_SOCKET, &fd, &kind);
	if (ret < 0)
		return ret;
	vhost_queue_set_callfd(q, fd, kind);
	/* bursts use the new descriptor already, who notifies by itself does not */
	q->retell = call->dev->driver.vdpa != NULL || !call->dev->driver.builtin;
	VHOST_LOG_CONFIG(INFO, "(%s) vring call idx:%u file:%d\n", call->dev->driver.path,
		q->index, fd);
	return 0;
}

/* Nobody reports ring errors; the dispatcher closes the descriptor. */
int
vhost_vu_on_set_vring_err(struct vu_call *call)
{
	(void)call;
	return 0;
}

int
vhost_vu_on_set_vring_enable(struct vu_call *call)
{
	uint32_t enable = call->msg->payload.state.num;

	VHOST_LOG_CONFIG(INFO, "(%s) set queue enable: %u to qp idx: %u\n",
		call->dev->driver.path, enable, call->queue->index);
	call->queue->wish.enabled = enable != 0;
	return 0;
}
