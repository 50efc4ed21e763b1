/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * The kernel waits for each answer, some seconds, so nothing here waits for the kernel:
 * rings that are not ready yet are looked at again by a timer.
 *
 * The order of answers is what the driver relies on.  What begins is answered first:
 * the driver has its status before the application has its device.  What ends is
 * answered last: by then no burst has the rings, or the memory, that the driver is about
 * to free.
 *
 * What the kernel says of rings was said by a driver, which may be a guest's: sizes,
 * addresses and places are checked like those of messages, and a ring that cannot be is
 * left out.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/vduse.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <rte_common.h>

#include "device_change.h"
#include "device_life.h"
#include "ring.h"
#include "ring_locate.h"
#include "vduse/kernel.h"
#include "vduse/serve.h"
#include "vhost_log.h"

/** How often, and in which distance, rings are looked at that are not ready. */
#define READY_TRIES 100
#define READY_MS 1

/** Requests that an earlier backend has not answered, and more. */
#define REQUESTS_WAITING 16

/* Rings */

/** Rings that a driver with these features uses (virtio 1.2, 5.1.2). */
static uint32_t
rings_expected(const struct vduse_device *vduse, uint64_t features)
{
	if (features & (1ULL << VIRTIO_NET_F_MQ))
		return vduse->state.nvrings;
	return RTE_MIN(features & (1ULL << VIRTIO_NET_F_CTRL_VQ) ? 3u : 2u, vduse->state.nvrings);
}

static bool
ask_ring(const struct vduse_device *vduse, uint32_t index, struct vduse_vq_info *info)
{
	*info = (struct vduse_vq_info){ .index = index };
	return vhost_vduse_ioctl(vduse->fd, VDUSE_VQ_GET_INFO, info) >= 0;
}

static bool
rings_are_ready(const struct vduse_device *vduse, uint64_t features)
{
	struct vduse_vq_info info;
	uint32_t i, n = rings_expected(vduse, features);

	for (i = 0; i < n; i++)
		if (!ask_ring(vduse, i, &info) || !info.ready)
			return false;
	return true;
}

/** What the wish says of a ring that the kernel has told of, if it can be one. */
static bool
describe_ring(const struct vduse_device *vduse, uint32_t index, struct queue_wish *wish)
{
	const uint64_t features = vduse->dev->wish.features;
	const struct ring_memory_map memory = vhost_device_ring_memory(vduse->dev);
	struct queue_wish described = *wish;
	struct vduse_vq_info info;

	if (!ask_ring(vduse, index, &info) || !info.ready)
		return false;
	described.size = info.num;
	described.desc_uva = info.desc_addr;
	described.avail_uva = info.driver_addr;
	described.used_uva = info.device_addr;
	described.has_addr = true;
	described.last_avail = info.split.avail_index;
	described.last_used = info.split.avail_index;
	described.has_base = true;
	described.enabled = true;
	if (info.num == 0 || info.num > VDUSE_RING_MAX ||
			!vhost_ring_fits(&described, features, &memory)) {
		VHOST_LOG_CONFIG(ERR, "(%s) vring %u: no ring of %u descriptors at 0x%" PRIx64
			", 0x%" PRIx64 ", 0x%" PRIx64 "\n", vduse->path, index, info.num,
			described.desc_uva, described.avail_uva, described.used_uva);
		return false;
	}
	*wish = described;
	return true;
}

static int
set_kicks(const struct vduse_device *vduse, uint32_t index, int fd)
{
	struct vduse_vq_eventfd kick = { .index = index, .fd = fd };

	return vhost_vduse_ioctl(vduse->fd, VDUSE_VQ_SETUP_KICKFD, &kick);
}

/** Descriptors of a ring: what the kernel writes to, and the device itself for interrupts. */
static int
give_doorbells(const struct vduse_device *vduse, uint32_t index, struct queue_wish *wish)
{
	int kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int call = kick >= 0 ? fcntl(vduse->fd, F_DUPFD_CLOEXEC, 0) : -1;
	int ret = call >= 0 ? set_kicks(vduse, index, kick) : -errno;

	if (ret < 0) {
		if (kick >= 0)
			close(kick);
		if (call >= 0)
			close(call);
		return ret;
	}
	vhost_wish_kickfd(wish, kick, DOORBELL_EVENTFD);
	vhost_wish_callfd(wish, call, DOORBELL_VDUSE);
	return 0;
}

static void
wish_ring(struct vduse_device *vduse, uint32_t index)
{
	struct queue_wish *wish = &vduse->dev->wish.queues[index];
	int ret;

	if (!describe_ring(vduse, index, wish))
		return;
	ret = give_doorbells(vduse, index, wish);
	if (ret < 0) {
		wish->has_addr = false;
		VHOST_LOG_CONFIG(ERR, "(%s) vring %u: no descriptors for notifications: %s\n",
			vduse->path, index, strerror(-ret));
		return;
	}
	VHOST_LOG_CONFIG(INFO, "(%s) vring %u: %u descriptors at 0x%" PRIx64 ", from index %u\n",
		vduse->path, index, wish->size, wish->desc_uva, wish->last_avail);
}

/* Starting and stopping */

/** Nothing else can be relied on to have stopped. */
static void
give_up(struct vduse_device *vduse, const char *why)
{
	VHOST_LOG_CONFIG(ERR, "(%s) %s: the device ends\n", vduse->path, why);
	vhost_vduse_destroy(vduse);
}

static void
save_status(struct vduse_device *vduse, uint8_t status)
{
	int ret;

	vduse->state.status = status;
	ret = vhost_vduse_state_save(vduse->state_fd, &vduse->state);
	if (ret < 0)
		VHOST_LOG_CONFIG(ERR, "(%s) cannot note the state: %s\n", vduse->path,
			strerror(-ret));
}

/** Negotiated features: 0, or a negative errno (logged) if they are none. */
static int
ask_features(const struct vduse_device *vduse, uint64_t *features)
{
	int ret = vhost_vduse_ioctl(vduse->fd, VDUSE_DEV_GET_FEATURES, features);

	if (ret >= 0 && (*features & ~vduse->state.features) == 0 &&
			(*features & (1ULL << VIRTIO_F_ACCESS_PLATFORM)))
		return 0;
	VHOST_LOG_CONFIG(ERR, "(%s) negotiated features 0x%" PRIx64 " of 0x%" PRIx64 ": %s\n",
		vduse->path, ret >= 0 ? *features : 0, vduse->state.features,
		ret < 0 ? strerror(-ret) : "these cannot be");
	return ret < 0 ? ret : -EINVAL;
}

static void
wish_device(struct vduse_device *vduse, uint64_t features)
{
	uint32_t i;

	vduse->dev->wish.status = vduse->state.status;
	vhost_wish_vring(&vduse->dev->wish, vduse->state.nvrings - 1);
	for (i = 0; i < rings_expected(vduse, features); i++)
		wish_ring(vduse, i);
	vhost_vduse_memory_touch_rings(vduse->dev);
}

/** A guest that waits for an interrupt of the earlier backend's gets one. */
static void
wake_driver(const struct vduse_device *vduse)
{
	uint32_t i;

	for (i = 0; i < vduse->dev->wish.nvrings; i++)
		if (vduse->dev->wish.queues[i].callfd >= 0)
			vhost_vduse_inject(vduse->fd, i);
}

/** Edit the wishes, and settle.  Lock held. */
static int
wish_and_settle(struct vduse_device *vduse, uint64_t features)
{
	const struct settle_request nothing_else = { 0 };
	struct vhost_device *dev = vduse->dev;
	int ret;

	ret = vhost_wish_features(&dev->wish, features);
	if (ret == 0)
		ret = vhost_vduse_memory_learn(&vduse->memory, dev, vduse->fd);
	if (ret < 0)
		return ret;
	VHOST_LOG_CONFIG(INFO, "(%s) negotiated Virtio features: 0x%" PRIx64 "\n", vduse->path,
		features);
	wish_device(vduse, features);
	return vhost_device_change(dev, &nothing_else);
}

/** Lock held. */
static int
start(struct vduse_device *vduse, uint64_t features)
{
	struct device_wish *wish = &vduse->dev->wish, before;
	int ret;

	vduse->runs = true;
	vhost_wish_keep(wish, &before);
	ret = wish_and_settle(vduse, features);
	if (ret < 0)
		vhost_wish_restore(wish, &before, vduse->dev->driver.quota);
	else
		vhost_wish_forget(&before);
	if (ret == 0 && vduse->resumed)
		wake_driver(vduse);
	vduse->resumed = false;
	return ret;
}

/** Take kicks back from the kernel, which would write to them for ever. */
static void
take_kicks_back(const struct vduse_device *vduse)
{
	uint32_t i;

	for (i = 0; vduse->runs && i < vduse->state.nvrings; i++)
		set_kicks(vduse, i, VDUSE_EVENTFD_DEASSIGN);
}

void
vhost_vduse_destroy(struct vduse_device *vduse)
{
	struct vhost_device *dev = vduse->dev;

	if (dev == NULL)
		return;
	take_kicks_back(vduse);
	vduse->runs = false;
	vduse->dev = NULL;
	vhost_device_lock(dev);
	__atomic_store_n(&dev->learn, NULL, __ATOMIC_RELAXED);
	dev->vduse = NULL;
	vhost_device_unlock(dev);
	vhost_device_destroy(dev, false);
}

/** Nothing of the driver's is used any more when this returns 0.  Lock held. */
static int
stop(struct vduse_device *vduse)
{
	const struct settle_request request = { .stop = true };

	vhost_event_timer_cancel(&vduse->start);
	vduse->resumed = false;
	if (!vduse->runs)
		return 0;
	take_kicks_back(vduse);
	vduse->runs = false;
	vhost_wish_reset(&vduse->dev->wish);
	vduse->memory.known = false;
	return vhost_device_change(vduse->dev, &request);
}

static void on_start(struct event_timer *timer);

/** Whether to wait for rings: not for ever, a driver may use fewer. */
static bool
waits_for_rings(struct vduse_device *vduse, uint64_t features)
{
	if (rings_are_ready(vduse, features) || vduse->tries++ >= READY_TRIES)
		return false;
	return vhost_event_timer_arm(&vduse->start, READY_MS, on_start) == 0;
}

static void
try_to_start(struct vduse_device *vduse)
{
	uint64_t features = 0;
	int ret;

	if (vduse->dev == NULL || vduse->runs ||
			!(vduse->state.status & VIRTIO_CONFIG_S_DRIVER_OK) ||
			ask_features(vduse, &features) < 0 || waits_for_rings(vduse, features))
		return;
	vhost_device_lock(vduse->dev);
	ret = start(vduse, features);
	if (ret < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) the device cannot start: %s\n", vduse->path,
			strerror(-ret));
		ret = stop(vduse);
	}
	vhost_device_unlock(vduse->dev);
	if (ret < 0)
		give_up(vduse, "it cannot be stopped in order");
}

static void
on_start(struct event_timer *timer)
{
	try_to_start(container_of(timer, struct vduse_device, start));
}

static void
begin(struct vduse_device *vduse)
{
	vduse->tries = 0;
	try_to_start(vduse);
}

static int
end(struct vduse_device *vduse)
{
	int ret = 0;

	if (vduse->dev == NULL)
		return 0;
	vhost_device_lock(vduse->dev);
	ret = stop(vduse);
	vhost_device_unlock(vduse->dev);
	if (ret < 0)
		give_up(vduse, "it cannot be stopped in order");
	return 0;
}

void
vhost_vduse_lose(struct vduse_device *vduse)
{
	VHOST_LOG_CONFIG(ERR, "(%s) memory is gone (file truncated, or given up): stopped until it is reset\n",
		vduse->path);
	end(vduse);
}

/* Requests */

/** Where a ring has stopped, or goes on. */
static bool
answer_vq_state(const struct vduse_device *vduse, const struct vduse_dev_request *request,
		struct vduse_dev_response *response)
{
	const uint32_t index = request->vq_state.index;
	uint16_t last_avail = 0, last_used = 0;

	if (vduse->dev == NULL || index >= vduse->state.nvrings)
		return false;
	if (index < vduse->dev->nvrings)
		vhost_queue_get_base(vhost_device_queue_at(vduse->dev, index), &last_avail,
			&last_used);
	response->vq_state.index = index;
	response->vq_state.split.avail_index = last_avail;
	return true;
}

/** Take translations back: a settle makes sure that nobody has them when this returns. */
static bool
forget(struct vduse_device *vduse, uint64_t first, uint64_t last)
{
	const struct settle_request nothing_else = { 0 };
	int ret;

	if (first > last)
		return false;
	if (vduse->dev == NULL || !vduse->runs)
		return true;
	vhost_device_lock(vduse->dev);
	ret = vhost_vduse_memory_forget(&vduse->memory, vduse->dev, first, last);
	if (ret == 0)
		ret = vhost_device_change(vduse->dev, &nothing_else);
	vhost_device_unlock(vduse->dev);
	if (ret < 0)
		give_up(vduse, "memory cannot be given back");
	return true;
}

static bool
has_driver(const struct vduse_device *vduse)
{
	return (vduse->state.status & VIRTIO_CONFIG_S_DRIVER_OK) != 0;
}

/** What has to be true before the answer: whether it is. */
static bool
obey(struct vduse_device *vduse, const struct vduse_dev_request *request,
		struct vduse_dev_response *response)
{
	switch (request->type) {
	case VDUSE_GET_VQ_STATE:
		return answer_vq_state(vduse, request, response);
	case VDUSE_SET_STATUS:
		VHOST_LOG_CONFIG(INFO, "(%s) new device status: 0x%x\n", vduse->path,
			request->s.status);
		if (!(request->s.status & VIRTIO_CONFIG_S_DRIVER_OK))
			end(vduse);
		save_status(vduse, request->s.status);
		return true;
	case VDUSE_UPDATE_IOTLB:
		VHOST_LOG_CONFIG(DEBUG, "(%s) memory changes from IOVA 0x%" PRIx64 " to 0x%"
			PRIx64 "\n", vduse->path, (uint64_t)request->iova.start,
			(uint64_t)request->iova.last);
		return forget(vduse, request->iova.start, request->iova.last);
	default:
		VHOST_LOG_CONFIG(ERR, "(%s) request %u of the kernel is unknown\n", vduse->path,
			request->type);
		return false;
	}
}

/** What an answer is followed by. */
static void
follow_up(struct vduse_device *vduse, const struct vduse_dev_request *request)
{
	if (vduse->dev == NULL)
		return;
	if (request->type == VDUSE_SET_STATUS && has_driver(vduse) && !vduse->runs)
		begin(vduse);
	else if (request->type == VDUSE_UPDATE_IOTLB && vduse->runs)
		vduse->dev->learn(vduse->dev);
}

static int
answer(const struct vduse_device *vduse, const struct vduse_dev_response *response)
{
	ssize_t len = write(vduse->fd, response, sizeof(*response));

	if (len == sizeof(*response))
		return 0;
	VHOST_LOG_CONFIG(ERR, "(%s) the kernel takes no answer: %s\n", vduse->path,
		len < 0 ? strerror(errno) : "cut");
	return len < 0 && errno == ENOENT ? 0 : -EIO;
}

int
vhost_vduse_serve(struct vduse_device *vduse)
{
	struct vduse_dev_request request = { 0 };
	struct vduse_dev_response response = { 0 };
	ssize_t len = read(vduse->fd, &request, sizeof(request));
	int ret;

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (len != sizeof(request)) {
		VHOST_LOG_CONFIG(ERR, "(%s) cannot read requests of the kernel: %s\n",
			vduse->path, len < 0 ? strerror(errno) : "cut");
		return -EIO;
	}
	response.request_id = request.request_id;
	response.result = obey(vduse, &request, &response) ? VDUSE_REQ_RESULT_OK :
		VDUSE_REQ_RESULT_FAILED;
	ret = answer(vduse, &response);
	if (ret == 0)
		follow_up(vduse, &request);
	return ret < 0 ? ret : 1;
}

void
vhost_vduse_resume(struct vduse_device *vduse)
{
	unsigned int i;

	vduse->resumed = true;
	/* what the driver has asked for since then comes first */
	for (i = 0; i < REQUESTS_WAITING && vhost_vduse_serve(vduse) > 0; i++)
		;
	if (vduse->dev != NULL && has_driver(vduse) && !vduse->runs)
		begin(vduse);
}
