/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The order in which listeners hear is the table's; a device starts in the reverse
 * order, so that the application has its device before a vDPA driver configures it.
 */

#include <string.h>

#include <linux/virtio_config.h>

#include "rte_vdpa.h"
#include "vdpa_driver.h"

#include "listeners.h"
#include "mem_node.h"
#include "vhost_log.h"
#include "vhost_virtqueue.h"
#include "vhost_trace.h"

/** Call one member of each row that has it. */
#define TELL(dev, member, ...) do { \
	const struct device_listener *const *row; \
	for (row = (dev)->told.listeners; *row != NULL; row++) \
		if ((*row)->member != NULL) \
			(*row)->member(dev, ##__VA_ARGS__); \
} while (0)

void
vhost_listeners_init(struct vhost_device *dev, const struct device_listener *const *listeners)
{
	struct device_told *told = &dev->told;

	told->listeners = listeners;
	__atomic_store_n(&told->ready, false, __ATOMIC_RELAXED);
	told->running = false;
	told->vdpa_configured = false;
	told->app_node = VHOST_NODE_ANY;
	told->restarts = 0;
	told->placement = NUMA_SAID_NOTHING;
}

void
vhost_listeners_stop(struct vhost_device *dev)
{
	TELL(dev, stop);
}

/**
 * Whether the application has to be led through destroy_device and new_device to
 * take buffers and cores from the device's node: another one than it was told, from
 * now on or since a check that moved the device alone.
 */
static bool
must_restart(const struct vhost_device *dev, const struct settle_request *request,
		const struct settlement *settlement)
{
	const struct device_move move = {
		.from = dev->told.app_node, .to = settlement->plan.net->node,
	};

	return request->restart && dev->told.running && dev->driver.numa_changed == NULL &&
		dev->driver.vdpa == NULL && move_is_one(&move);
}

static void
tell_vring(struct vhost_device *dev, struct vhost_queue *q, bool ready)
{
	q->ready = ready;
	TELL(dev, vring_state, q, ready);
}

/**
 * Rings whose copies under way have to end stop beforehand, so that the application can
 * do that, as long as it has a ring to give buffers back to.
 */
static void
tell_disturbed(struct vhost_device *dev, const struct settlement *settlement)
{
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++) {
		struct vhost_queue *q = vhost_device_queue_at(dev, i);

		if (settlement->disturbed[i] && q->ready)
			tell_vring(dev, q, false);
	}
}

void
vhost_listeners_before(struct vhost_device *dev, const struct settle_request *request,
		const struct settlement *settlement)
{
	uint32_t i;

	if (request->stop) {
		TELL(dev, stop);
	} else if (must_restart(dev, request, settlement)) {
		TELL(dev, stop);
		/* as if the guest had rebooted: applications forget queues with the device */
		for (i = 0; i < dev->nvrings; i++)
			if (vhost_device_queue_at(dev, i)->ready)
				vhost_device_queue_at(dev, i)->notify_again = true;
		vhost_device_count(dev, &dev->told.restarts);
	}
	tell_disturbed(dev, settlement);
	if (settlement->remaps)
		TELL(dev, remap);
}

/* Moves */

/** Say what moved: in the log, to tracers, to listeners. */
static void
tell_moves(struct vhost_device *dev, const struct settlement *settlement)
{
	const struct device_move *move;
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++) {
		move = &settlement->queues[i];
		if (!move_is_one(move))
			continue;
		VHOST_LOG_CONFIG(INFO, "(%s) reallocate vq from %d to %d node (queue %u)\n",
			dev->driver.path, move->from, move->to, i);
		vhost_trace_numa_move(dev->vid, i, move->from, move->to,
			vhost_device_queue_at(dev, i)->pause_ns);
		TELL(dev, moved, i, move);
	}
	move = &settlement->device;
	if (!move_is_one(move))
		return;
	VHOST_LOG_CONFIG(INFO, "(%s) reallocate dev from %d to %d node\n",
		dev->driver.path, move->from, move->to);
	vhost_trace_numa_move(dev->vid, RTE_VHOST_NUMA_DEVICE, move->from, move->to, 0);
	TELL(dev, moved, RTE_VHOST_NUMA_DEVICE, move);
}

/* Vrings */

static bool
vring_is_ready(const struct vhost_device *dev, const struct vhost_queue *q)
{
	/* who knows the ring is not told that the IOMMU took it back for a while */
	const bool live = q->live || (q->ready && vhost_queue_block(q)->cfg.untranslated);

	return live && q->enabled && q != vhost_device_ctrl_queue(dev);
}

/** One that cannot be used any more, or that it takes to be told again. */
static void
tell_if_stopped(struct vhost_device *dev, struct vhost_queue *q,
		const struct settle_request *request)
{
	bool again = q->notify_again || (request->again && request->vring == q->index);

	if (q->ready && (again || !vring_is_ready(dev, q)))
		tell_vring(dev, q, false);
	q->notify_again = false;
}

static void
tell_if_started(struct vhost_device *dev, struct vhost_queue *q)
{
	/* a VDUSE device has no vrings before the application has it */
	if (dev->driver.vduse && !dev->told.running)
		return;
	if (!q->ready && vring_is_ready(dev, q))
		tell_vring(dev, q, true);
}

/** One after the other; who waits for in_force has heard of all that stop by then. */
static void
tell_vrings(struct vhost_device *dev, const struct settle_request *request)
{
	uint32_t i;

	for (i = 0; i < dev->nvrings; i++) {
		tell_if_stopped(dev, vhost_device_queue_at(dev, i), request);
		if (request->in_force == NULL)
			tell_if_started(dev, vhost_device_queue_at(dev, i));
	}
	if (request->in_force == NULL)
		return;
	request->in_force(request->arg);
	for (i = 0; i < dev->nvrings; i++)
		tell_if_started(dev, vhost_device_queue_at(dev, i));
}

/** Vrings that have to be ready before the device is. */
static uint32_t
vrings_needed(const struct vhost_device *dev)
{
	const struct rte_vdpa_device *vdpa = dev->driver.vdpa;

	if (vdpa != NULL && vdpa->type == RTE_VHOST_VDPA_DEVICE_TYPE_BLK)
		return 1;
	/* of several queues such a guest uses as many as it likes */
	if (vhost_device_starts_by_kick(dev))
		return 1;
	return dev->driver.builtin ? 2 : dev->nvrings;
}

/** Whether a vring is there as far as the device has to have it to start. */
static bool
vring_counts(const struct vhost_device *dev, const struct vhost_queue *q)
{
	return dev->driver.vduse ? vring_is_ready(dev, q) : q->ready;
}

static bool
device_is_ready(const struct vhost_device *dev)
{
	uint32_t i, needed = vrings_needed(dev);

	if (needed == 0 || dev->nvrings < needed || dev->running.map == NULL)
		return false;
	for (i = 0; i < needed; i++)
		if (!vring_counts(dev, vhost_device_queue_at(dev, i)))
			return false;
	return !vhost_device_has_protocol(dev, VHOST_USER_PROTOCOL_F_STATUS) ||
		vhost_device_starts_by_kick(dev) ||
		(dev->wish.status & VIRTIO_CONFIG_S_DRIVER_OK);
}

static void
tell_start(struct vhost_device *dev)
{
	const struct device_listener *const *row = dev->told.listeners;

	if (!dev->told.running && !device_is_ready(dev))
		return;
	while (*row != NULL)
		row++;
	while (row-- > dev->told.listeners)
		if ((*row)->start != NULL)
			(*row)->start(dev);
}

void
vhost_listeners_after(struct vhost_device *dev, const struct settle_request *request,
		const struct settlement *settlement)
{
	tell_moves(dev, settlement);
	if (dev->running.net->features != settlement->features_before)
		TELL(dev, features);
	/* of a VDUSE device applications hear before its vrings, as with the packaged library */
	if (dev->driver.vduse)
		tell_start(dev);
	tell_vrings(dev, request);
	tell_start(dev);
	TELL(dev, settled);
}
