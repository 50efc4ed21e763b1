/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* The driver of a vDPA device as a listener: it drives the hardware, see vdpa_driver.h. */

#include "host_notifier.h"
#include "listeners.h"
#include "vdpa.h"
#include "vhost_log.h"

static void
vdpa_close(struct vhost_device *dev)
{
	if (!dev->told.vdpa_configured)
		return;
	dev->told.vdpa_configured = false;
	vhost_vdpa_ops(dev->driver.vdpa)->dev_close(dev->vid);
	vhost_host_notifiers_end(dev);
}

static void
vdpa_features(struct vhost_device *dev)
{
	if (dev->driver.vdpa != NULL)
		vhost_vdpa_ops(dev->driver.vdpa)->set_features(dev->vid);
}

static void
vdpa_vring_state(struct vhost_device *dev, const struct vhost_queue *q, bool ready)
{
	/* also before it configures the device: drivers set up the rings that are on by then */
	if (dev->driver.vdpa != NULL && q->index < vhost_device_data_vrings(dev))
		vhost_vdpa_ops(dev->driver.vdpa)->set_vring_state(dev->vid, q->index, ready);
}

/** Call dev_conf; refused, it is asked again after the next settle. */
static void
vdpa_start(struct vhost_device *dev)
{
	if (dev->driver.vdpa == NULL || !dev->told.running || dev->told.vdpa_configured)
		return;
	if (vhost_vdpa_ops(dev->driver.vdpa)->dev_conf(dev->vid) == 0)
		dev->told.vdpa_configured = true;
	else
		VHOST_LOG_CONFIG(ERR, "(%s) the vDPA driver refuses the device\n",
			dev->driver.path);
}

const struct device_listener vhost_listener_vdpa = {
	.stop = vdpa_close,
	/* hardware uses the old memory until its driver is configured again */
	.remap = vdpa_close,
	.features = vdpa_features,
	.vring_state = vdpa_vring_state,
	.start = vdpa_start,
};
