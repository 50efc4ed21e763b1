/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_LISTENERS_H
#define VHOST_LISTENERS_H

/*
 * Who hears of it when a device changes: the application, a vDPA driver, the control
 * queue, the NUMA watch.  Each is a row of one table (device_life.c), which the
 * device carries; what they were told is in device_told and nowhere else.
 *
 * All of this runs under the control lock, on the thread that changes the device.
 */

#include <stdbool.h>

#include "device.h"
#include "settle.h"

/** A row; what it does not want to hear of is NULL. */
struct device_listener {
	/** The device stops: from the return on the guest's memory is not used. */
	void (*stop)(struct vhost_device *dev);

	/** Other guest memory is about to take the place of what there is. */
	void (*remap)(struct vhost_device *dev);

	/** A queue, or RTE_VHOST_NUMA_DEVICE, is on another node now. */
	void (*moved)(struct vhost_device *dev, int queue, const struct device_move *move);

	/** Other features are in force. */
	void (*features)(struct vhost_device *dev);

	/** A vring can be used, or not any more. */
	void (*vring_state)(struct vhost_device *dev, const struct vhost_queue *q, bool ready);

	/** The device can be used; told at each settle until it runs. */
	void (*start)(struct vhost_device *dev);

	/** A settle is over. */
	void (*settled)(struct vhost_device *dev);
};

/** The application, by its rte_vhost_device_ops (listener_app.c). */
extern const struct device_listener vhost_listener_app;

/** The driver of a vDPA device, if there is one (listener_vdpa.c). */
extern const struct device_listener vhost_listener_vdpa;

/** Nothing has been told yet. */
void vhost_listeners_init(struct vhost_device *dev,
		const struct device_listener *const *listeners);

/** Stop the device. */
void vhost_listeners_stop(struct vhost_device *dev);

/** Before what was prepared is committed: stop who has to. */
void vhost_listeners_before(struct vhost_device *dev, const struct settle_request *request,
		const struct settlement *settlement);

/** After the commit: tell what has changed. */
void vhost_listeners_after(struct vhost_device *dev, const struct settle_request *request,
		const struct settlement *settlement);

#endif /* VHOST_LISTENERS_H */
