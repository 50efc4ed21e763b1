/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <inttypes.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>

#include "doorbell.h"
#include "notify_watch.h"
#include "ring.h"
#include "ring_locate.h"
#include "vhost_log.h"
#include "vu_on.h"

/** Descriptors of the largest ring (virtio 1.2, 2.7 and 2.8). */
#define RING_SIZE_MAX 32768

static bool
size_is_valid(const struct vu_call *call, uint32_t num)
{
	uint64_t features = call->dev->wish.features;

	/* which can be asked again when the ring is looked at */
	if (features == 0)
		features = call->dev->driver.features;
	return num != 0 && num <= RING_SIZE_MAX && ring_size_is_valid(num, ring_format(features));
}

/** Whether the ring is running, so that what describes it cannot change. */
static bool
is_live(const struct vu_call *call)
{
	return call->queue != NULL && call->queue->live;
}

/** QEMU 10.0 asks for an area of the size that its user wants, and has a ring of another. */
static void
warn_of_short_area(const struct vu_call *call)
{
	const struct inflight_area *area = &call->dev->wish.inflight;

	if (area->mapping != NULL && call->wish->size > area->queue_size)
		VHOST_LOG_CONFIG(ERR, "(%s) vring %u: %u descriptors, but the in-flight area is "
			"for %u: what is in others is lost when this backend dies\n",
			call->dev->driver.path, call->vring, call->wish->size, area->queue_size);
}

int
vhost_vu_on_set_vring_num(struct vu_call *call)
{
	uint32_t num = call->msg->payload.state.num;

	if (!size_is_valid(call, num)) {
		VHOST_LOG_CONFIG(ERR, "(%s) vring %u: invalid size %u\n",
			call->dev->driver.path, call->vring, num);
		return -EINVAL;
	}
	if (is_live(call) && num != call->wish->size) {
		VHOST_LOG_CONFIG(ERR, "(%s) vring %u: size %u refused, it runs with %u\n",
			call->dev->driver.path, call->vring, num, call->wish->size);
		return -EBUSY;
	}
	call->wish->size = num;
	warn_of_short_area(call);
	return 0;
}

static int
check_ring(const struct vu_call *call)
{
	const struct queue_wish *wish = call->wish;

	const struct ring_memory_map memory = vhost_device_ring_memory(call->dev);

	if (vhost_ring_fits(wish, call->dev->wish.features, &memory))
		return 0;
	VHOST_LOG_CONFIG(ERR, "(%s) vring %u: ring of %u descriptors at 0x%" PRIx64 ", 0x%" PRIx64
		", 0x%" PRIx64 " is not within guest memory\n", call->dev->driver.path, call->vring,
		wish->size, wish->desc_uva, wish->avail_uva, wish->used_uva);
	return -EFAULT;
}

int
vhost_vu_on_set_vring_addr(struct vu_call *call)
{
	const struct vu_vring_addr *addr = &call->msg->payload.addr;
	struct queue_wish *wish = call->wish;

	if (call->dev->wish.map == NULL) {
		VHOST_LOG_CONFIG(ERR, "(%s) vring %u: addresses before the memory table\n",
			call->dev->driver.path, call->vring);
		return -EINVAL;
	}
	wish->desc_uva = addr->desc;
	wish->avail_uva = addr->avail;
	wish->used_uva = addr->used;
	wish->log_gpa = addr->log;
	wish->log_ring = (addr->flags & (1u << VHOST_VRING_F_LOG)) != 0;
	wish->has_addr = true;
	wish->asked = false;
	return check_ring(call);
}

/*
 * A base is the next entry to take.  Of a packed ring it has its wrap counter in bit
 * 15 (22.11 knows no more), and the next to give back in the upper half.  A frontend
 * that leaves that 0 has not said it: all that was taken was given back.
 */

static bool
base_is_valid(const struct vu_call *call, uint32_t base)
{
	return base <= UINT16_MAX || ring_has_two_bases(ring_format(call->dev->wish.features));
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

/**
 * Whether the base comes too late.  A ring without SET_VRING_CALL may have started
 * although the frontend has not said all yet.
 */
static bool
base_is_late(const struct vu_call *call)
{
	return is_live(call) && call->wish->knows_call;
}

int
vhost_vu_on_set_vring_base(struct vu_call *call)
{
	uint32_t base = meant_base(call);
	uint16_t last_avail = base, last_used = base > UINT16_MAX ? base >> 16 : base;

	if (!base_is_valid(call, base) || base_is_late(call)) {
		VHOST_LOG_CONFIG(ERR, "(%s) vring %u: base 0x%x refused%s\n",
			call->dev->driver.path, call->vring, base,
			base_is_late(call) ? ", it runs" : "");
		return -EINVAL;
	}
	VHOST_LOG_CONFIG(INFO, "(%s) vring base idx:%u last_used_idx:%u last_avail_idx:%u.\n",
		call->dev->driver.path, call->vring, last_used, last_avail);
	call->wish->last_avail = last_avail;
	call->wish->last_used = last_used;
	call->wish->has_base = true;
	return 0;
}

/** The index is final: no burst can be inside any more. */
static int
answer_base(struct vu_call *call)
{
	uint16_t last_avail = 0, last_used = 0;
	uint32_t base;

	vhost_queue_get_base(vhost_device_queue_at(call->dev, call->vring), &last_avail,
		&last_used);
	base = last_avail;
	if (ring_has_two_bases(ring_format(call->dev->wish.features)))
		base |= (uint32_t)last_used << 16;
	VHOST_LOG_CONFIG(INFO, "(%s) vring base idx:%u file:%u\n", call->dev->driver.path,
		call->vring, base);
	call->msg->payload.state.num = base;
	return 0;
}

static bool
any_ring_is_left(const struct device_wish *wish)
{
	uint32_t i;

	for (i = 0; i < wish->nvrings; i++)
		if (wish->queues[i].has_addr)
			return true;
	return false;
}

/* vhost-user, "Starting and stopping rings": stops the ring, and with it the device. */
int
vhost_vu_on_get_vring_base(struct vu_call *call)
{
	vhost_wish_stop_ring(call->wish);
	/* the next driver of the guest has mappings of its own, and tells of no earlier ones */
	if (!any_ring_is_left(&call->dev->wish))
		vhost_wish_forget_iotlb(&call->dev->wish);
	call->request.stop = true;
	call->settled = answer_base;
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
	if (*fd >= 0) {
		vhost_notify_watch_start();
		return 0;
	}
	VHOST_LOG_CONFIG(ERR, "(%s) vring %u: the descriptor of %s cannot carry notifications\n",
		call->dev->driver.path, call->vring,
		vhost_vu_request_name(call->msg->request));
	return -EINVAL;
}

/** Who was told of the vring's descriptors has to hear that there are others. */
static void
tell_again(struct vu_call *call)
{
	call->request.again = true;
	call->request.vring = call->vring;
}

int
vhost_vu_on_set_vring_kick(struct vu_call *call)
{
	enum doorbell_kind kind;
	int fd, ret;

	ret = check_ring(call);
	if (ret < 0)
		return ret;
	ret = take_doorbell(call, DOORBELL_EVENTFD, &fd, &kind);
	if (ret < 0)
		return ret;
	vhost_wish_kickfd(call->wish, fd, kind);
	tell_again(call);
	VHOST_LOG_CONFIG(INFO, "(%s) vring kick idx:%u file:%d\n", call->dev->driver.path,
		call->vring, fd);
	return 0;
}

int
vhost_vu_on_set_vring_call(struct vu_call *call)
{
	enum doorbell_kind kind;
	int fd, ret;

	ret = take_doorbell(call, DOORBELL_SOCKET, &fd, &kind);
	if (ret < 0)
		return ret;
	vhost_wish_callfd(call->wish, fd, kind);
	/* bursts use the new descriptor by themselves, others have to be told */
	if (call->dev->driver.vdpa != NULL || !call->dev->driver.builtin)
		tell_again(call);
	VHOST_LOG_CONFIG(INFO, "(%s) vring call idx:%u file:%d\n", call->dev->driver.path,
		call->vring, fd);
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
		call->dev->driver.path, enable, call->vring);
	call->wish->enabled = enable != 0;
	return 0;
}
