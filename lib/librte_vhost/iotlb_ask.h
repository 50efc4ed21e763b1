/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_IOTLB_ASK_H
#define VHOST_IOTLB_ASK_H

/*
 * What does an IOVA mean: asking the frontend, for bursts that could not translate one,
 * and for rings themselves.
 */

#include <stdbool.h>

#include "device.h"
#include "ring_iova.h"

/** Ask for what a burst wants to know; false: that was not possible.  Any thread, outside of gates. */
bool vhost_iotlb_ask(struct vhost_device *dev, const struct iova_wants *wants);

/** The device ends. */
void vhost_iotlb_ask_no_more(struct vhost_device *dev);

/** Asks for rings that wait for it (see listeners.h). */
extern const struct device_listener vhost_listener_iotlb;

#endif /* VHOST_IOTLB_ASK_H */
