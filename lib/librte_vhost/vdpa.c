/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The registry of vDPA devices.
 *
 * Drivers add a device when they probe their hardware and remove it when they
 * let go of it; sockets and applications hold plain pointers to it in between.
 * So a device is allocated once, at an address that stays and is never given to
 * anything else: one that was unregistered has a driver that can do nothing, so that
 * who is late with the pointer, or has it attached to a socket, finds nobody.  Calls
 * that are under way by then are the driver's to wait for.
 *
 * The lock guards the lists alone.  Drivers are never called under it, since
 * they may come back here.
 *
 * Barriers: who gets operations finds what they need.
 *  O1 acquire, operations are looked up (vhost_vdpa_ops)	pairs with O2
 *  O2 release, operations are replaced (rte_vdpa_unregister_device) pairs with O1
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <rte_class.h>
#include <rte_dev.h>
#include <rte_spinlock.h>

#include "vdpa.h"
#include "vhost_log.h"

static TAILQ_HEAD(, rte_vdpa_device) vdpa_devices =
		TAILQ_HEAD_INITIALIZER(vdpa_devices);
/** Unregistered: nobody finds them here, but who has a pointer may look at them. */
static TAILQ_HEAD(, rte_vdpa_device) gone_devices = TAILQ_HEAD_INITIALIZER(gone_devices);
static rte_spinlock_t vdpa_lock = RTE_SPINLOCK_INITIALIZER;

/* What a device without a driver answers. */

static int
no_queue_num(struct rte_vdpa_device *dev __rte_unused, uint32_t *n __rte_unused)
{
	return -ENODEV;
}

static int
no_features(struct rte_vdpa_device *dev __rte_unused, uint64_t *features __rte_unused)
{
	return -ENODEV;
}

static int
no_device(int vid __rte_unused)
{
	return -ENODEV;
}

static int
no_vring_state(int vid __rte_unused, int vring __rte_unused, int state __rte_unused)
{
	return -ENODEV;
}

static struct rte_vdpa_dev_ops ops_of_nobody = {
	.get_queue_num = no_queue_num,
	.get_features = no_features,
	.get_protocol_features = no_features,
	.dev_conf = no_device,
	.dev_close = no_device,
	.set_vring_state = no_vring_state,
	.set_features = no_device,
};

/* List lock held. */
static struct rte_vdpa_device *
find_by_name(const char *name)
{
	struct rte_vdpa_device *dev;

	TAILQ_FOREACH(dev, &vdpa_devices, next)
		if (strcmp(rte_dev_name(dev->device), name) == 0)
			return dev;

	return NULL;
}

/* List lock held.  Compares pointers only: dev may be anything. */
static bool
is_registered(const struct rte_vdpa_device *dev)
{
	const struct rte_vdpa_device *other;

	TAILQ_FOREACH(other, &vdpa_devices, next)
		if (other == dev)
			return true;

	return false;
}

static bool
has_mandatory_ops(const struct rte_vdpa_dev_ops *ops)
{
	return ops->get_queue_num != NULL && ops->get_features != NULL &&
		ops->get_protocol_features != NULL && ops->dev_conf != NULL &&
		ops->dev_close != NULL && ops->set_vring_state != NULL &&
		ops->set_features != NULL;
}

/* Add a device unless its name is taken. */
static bool
add_device(struct rte_vdpa_device *dev)
{
	bool is_new;

	rte_spinlock_lock(&vdpa_lock);
	is_new = find_by_name(rte_dev_name(dev->device)) == NULL;
	if (is_new)
		TAILQ_INSERT_TAIL(&vdpa_devices, dev, next);
	rte_spinlock_unlock(&vdpa_lock);

	return is_new;
}

/* A device with its type, not in the list yet; NULL when the driver fails. */
static struct rte_vdpa_device *
create_device(struct rte_device *rte_dev, struct rte_vdpa_dev_ops *ops)
{
	struct rte_vdpa_device *dev;

	dev = calloc(1, sizeof(*dev));
	if (dev == NULL) {
		VHOST_LOG_CONFIG(ERR, "(%s) no memory for a vDPA device\n",
			rte_dev_name(rte_dev));
		return NULL;
	}

	dev->device = rte_dev;
	dev->ops = ops;
	dev->type = RTE_VHOST_VDPA_DEVICE_TYPE_NET;
	if (ops->get_dev_type != NULL && ops->get_dev_type(dev, &dev->type) != 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) vDPA driver does not tell the device type\n",
			rte_dev_name(rte_dev));
		free(dev);
		return NULL;
	}

	return dev;
}

struct rte_vdpa_device *
rte_vdpa_register_device(struct rte_device *rte_dev,
		struct rte_vdpa_dev_ops *ops)
{
	struct rte_vdpa_device *dev;

	if (rte_dev == NULL || ops == NULL)
		return NULL;

	if (!has_mandatory_ops(ops)) {
		VHOST_LOG_CONFIG(ERR, "(%s) vDPA driver lacks a mandatory operation\n",
			rte_dev_name(rte_dev));
		return NULL;
	}

	dev = create_device(rte_dev, ops);
	if (dev != NULL && !add_device(dev)) {
		VHOST_LOG_CONFIG(ERR, "(%s) vDPA device is registered already\n",
			rte_dev_name(rte_dev));
		free(dev);
		return NULL;
	}

	return dev;
}

int
rte_vdpa_unregister_device(struct rte_vdpa_device *dev)
{
	bool found;

	rte_spinlock_lock(&vdpa_lock);
	found = is_registered(dev);
	if (found) {
		TAILQ_REMOVE(&vdpa_devices, dev, next);
		TAILQ_INSERT_TAIL(&gone_devices, dev, next);
		__atomic_store_n(&dev->device, NULL, __ATOMIC_RELAXED);
		/* O2 pairs with O1 */
		__atomic_store_n(&dev->ops, &ops_of_nobody, __ATOMIC_RELEASE);
	}
	rte_spinlock_unlock(&vdpa_lock);
	return found ? 0 : -1;
}

struct rte_vdpa_device *
rte_vdpa_find_device_by_name(const char *name)
{
	struct rte_vdpa_device *dev;

	if (name == NULL)
		return NULL;

	rte_spinlock_lock(&vdpa_lock);
	dev = find_by_name(name);
	rte_spinlock_unlock(&vdpa_lock);

	return dev;
}

struct rte_device *
rte_vdpa_get_rte_device(struct rte_vdpa_device *vdpa_dev)
{
	return vdpa_dev != NULL ? __atomic_load_n(&vdpa_dev->device, __ATOMIC_RELAXED) : NULL;
}

int
rte_vdpa_get_queue_num(struct rte_vdpa_device *dev, uint32_t *queue_num)
{
	return dev != NULL ? vhost_vdpa_ops(dev)->get_queue_num(dev, queue_num) : -1;
}

int
rte_vdpa_get_features(struct rte_vdpa_device *dev, uint64_t *features)
{
	return dev != NULL ? vhost_vdpa_ops(dev)->get_features(dev, features) : -1;
}

int
rte_vdpa_get_protocol_features(struct rte_vdpa_device *dev, uint64_t *features)
{
	return dev != NULL ? vhost_vdpa_ops(dev)->get_protocol_features(dev, features) : -1;
}

int
rte_vdpa_get_stats_names(struct rte_vdpa_device *dev,
		struct rte_vdpa_stat_name *stats_names, unsigned int size)
{
	const struct rte_vdpa_dev_ops *ops;

	if (dev == NULL)
		return -EINVAL;
	ops = vhost_vdpa_ops(dev);
	return ops->get_stats_names != NULL ? ops->get_stats_names(dev, stats_names, size) : -ENOTSUP;
}

int
rte_vdpa_get_stats(struct rte_vdpa_device *dev, uint16_t qid,
		struct rte_vdpa_stat *stats, unsigned int n)
{
	const struct rte_vdpa_dev_ops *ops;

	if (dev == NULL || stats == NULL || n == 0)
		return -EINVAL;
	ops = vhost_vdpa_ops(dev);
	return ops->get_stats != NULL ? ops->get_stats(dev, qid, stats, n) : -ENOTSUP;
}

int
rte_vdpa_reset_stats(struct rte_vdpa_device *dev, uint16_t qid)
{
	const struct rte_vdpa_dev_ops *ops;

	if (dev == NULL)
		return -EINVAL;
	ops = vhost_vdpa_ops(dev);
	return ops->reset_stats != NULL ? ops->reset_stats(dev, qid) : -ENOTSUP;
}

/*
 * Iterator of "class=vdpa" for RTE_DEV_FOREACH: the device after start that
 * belongs to the generic device which EAL has arrived at.  Properties in the
 * device string are not looked at: a vDPA device has none to be selected by.
 */
static void *
iterate_devices(const void *start, const char *str __rte_unused,
		const struct rte_dev_iterator *it)
{
	struct rte_vdpa_device *dev;

	rte_spinlock_lock(&vdpa_lock);
	/* A start that was unregistered meanwhile ends the iteration. */
	if (start == NULL)
		dev = TAILQ_FIRST(&vdpa_devices);
	else if (is_registered(start))
		dev = TAILQ_NEXT((const struct rte_vdpa_device *)start, next);
	else
		dev = NULL;

	while (dev != NULL && dev->device != it->device)
		dev = TAILQ_NEXT(dev, next);
	rte_spinlock_unlock(&vdpa_lock);

	return dev;
}

static struct rte_class vdpa_class = {
	.dev_iterate = iterate_devices,
};
RTE_REGISTER_CLASS(vdpa, vdpa_class);
