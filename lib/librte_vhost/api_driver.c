/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * rte_vhost_driver_*: what applications say about a socket before frontends
 * come.  Thin: each call checks its arguments and edits, or copies, the
 * registration.  vDPA drivers are asked on a copy, never under a lock.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <linux/virtio_config.h>

#include <rte_common.h>
#include <rte_string_fns.h>

#include "rte_vdpa.h"
#include "about.h"
#include "postcopy.h"
#include "rte_vhost.h"
#include "socket.h"
#include "socket_registry.h"
#include "vduse/kernel.h"
#include "vduse/vduse.h"
#include "vdpa_driver.h"
#include "vhost_log.h"

/** Packets of these kinds do not fit one mbuf. */
#define BIG_PACKET_FEATURES	((1ULL << VIRTIO_NET_F_HOST_TSO4) | \
		(1ULL << VIRTIO_NET_F_HOST_TSO6) | (1ULL << VIRTIO_NET_F_HOST_UFO))

#define PAGEFAULT (1ULL << VHOST_USER_PROTOCOL_F_PAGEFAULT)

static void
log_unknown(const char *path)
{
	VHOST_LOG_CONFIG(ERR, "(%s) no such socket is registered\n", path);
}

/** Result of a call inward, as the public functions return it. */
static int
public_result(const char *path, int ret)
{
	if (ret == -ENOENT)
		log_unknown(path);
	return ret == 0 ? 0 : -1;
}

static int
edit(const char *path, int (*fn)(struct vhost_driver *driver, void *arg), void *arg)
{
	if (path == NULL)
		return -1;
	return public_result(path, vhost_socket_edit(path, fn, arg));
}

static int
copy_out(struct vhost_driver *driver, void *arg)
{
	*(struct vhost_driver *)arg = *driver;
	return 0;
}

/** Copy a registration, offering what its vDPA device has: 0 or -1. */
static int
copy_offer(const char *path, struct vhost_driver *driver)
{
	if (edit(path, copy_out, driver) != 0)
		return -1;
	return vhost_driver_offer(driver) == 0 ? 0 : -1;
}

/*
 * Register, start, unregister
 */

/** A DMA device can neither ask for a translation nor wait for a page. */
#define NOT_WITH_ASYNC (RTE_VHOST_USER_IOMMU_SUPPORT | RTE_VHOST_USER_POSTCOPY_SUPPORT)

/** Flags that are accepted without effect, or not at all: 0 or -ENOTSUP. */
static int
check_flags(const char *path, uint64_t flags)
{
	if ((flags & RTE_VHOST_USER_ASYNC_COPY) && (flags & NOT_WITH_ASYNC)) {
		VHOST_LOG_CONFIG(ERR, "(%s) async copy with IOMMU or post-copy not supported\n",
			path);
		return -ENOTSUP;
	}
	return 0;
}

static uint64_t
default_features(uint64_t flags)
{
	uint64_t features = VHOST_NET_FEATURES;

	if ((flags & RTE_VHOST_USER_LINEARBUF_SUPPORT) &&
			!(flags & RTE_VHOST_USER_EXTBUF_SUPPORT))
		features &= ~BIG_PACKET_FEATURES;
	if (flags & RTE_VHOST_USER_IOMMU_SUPPORT)
		features |= 1ULL << VIRTIO_F_ACCESS_PLATFORM;
	/* what devices write is not logged */
	if (flags & RTE_VHOST_USER_ASYNC_COPY)
		features &= ~(1ULL << VHOST_F_LOG_ALL);
	return features;
}

static uint64_t
default_protocol_features(const char *path, uint64_t flags)
{
	if ((flags & RTE_VHOST_USER_POSTCOPY_SUPPORT) && vhost_postcopy_is_possible(path))
		return VHOST_PROTOCOL_FEATURES | PAGEFAULT;
	return VHOST_PROTOCOL_FEATURES;
}

/** See RTE_VHOST_USER_NUMA_PIN() and RTE_VHOST_USER_NUMA_OFF. */
static struct rte_vhost_numa_policy
numa_policy_of(uint64_t flags)
{
	struct rte_vhost_numa_policy policy = {
		.mode = RTE_VHOST_NUMA_FOLLOW,
		.node = RTE_VHOST_NUMA_NONE,
	};

	if (flags & RTE_VHOST_USER_NUMA_PIN(0)) {
		policy.mode = RTE_VHOST_NUMA_PIN;
		policy.node = (flags >> 48) & 0x3f;
	} else if (flags & RTE_VHOST_USER_NUMA_OFF) {
		policy.mode = RTE_VHOST_NUMA_OFF;
	}
	return policy;
}

static int
add_socket(const char *path, uint64_t flags)
{
	struct vhost_driver driver = {
		.flags = flags,
		.vduse = vhost_vduse_is_path(path),
		.supported_features = default_features(flags),
		.features = default_features(flags),
		.protocol_features = default_protocol_features(path, flags),
		.builtin = true,
		.numa = numa_policy_of(flags),
	};

	if (rte_strscpy(driver.path, path, sizeof(driver.path)) < 0)
		return -ENAMETOOLONG;
	if (driver.vduse) {
		driver.supported_features &= ~VDUSE_NO_FEATURES;
		driver.features &= ~VDUSE_NO_FEATURES;
	}
	return vhost_socket_add(&driver);
}

int
rte_vhost_driver_register(const char *path, uint64_t flags)
{
	int ret;

	/* a VDUSE device's memory is behind an IOMMU, whatever was asked for */
	if (path != NULL && vhost_vduse_is_path(path))
		flags |= RTE_VHOST_USER_IOMMU_SUPPORT;
	if (path == NULL || check_flags(path, flags) != 0)
		return -1;
	vhost_about_log();
	ret = add_socket(path, flags);
	if (ret != 0)
		VHOST_LOG_CONFIG(ERR, "(%s) failed to register the socket: %s\n",
				path, strerror(-ret));
	return ret == 0 ? 0 : -1;
}

int
rte_vhost_driver_start(const char *path)
{
	int ret;

	if (path == NULL)
		return -1;
	ret = vhost_socket_start(path);
	if (ret == -ENODEV)
		log_unknown(path);
	return ret == 0 ? 0 : -1;
}

int
rte_vhost_driver_unregister(const char *path)
{
	if (path == NULL)
		return -1;
	return public_result(path, vhost_socket_remove(path));
}

static int
set_ops(struct vhost_driver *driver, void *arg)
{
	driver->ops = arg;
	return 0;
}

int
rte_vhost_driver_callback_register(const char *path,
		struct rte_vhost_device_ops const * const ops)
{
	return edit(path, set_ops, (void *)(uintptr_t)ops);
}

/*
 * Virtio features
 */

/** The application names its own features, so it has its own data path. */
static int
set_features(struct vhost_driver *driver, void *arg)
{
	uint64_t features = *(const uint64_t *)arg;

	driver->supported_features = features;
	driver->features = features;
	driver->builtin = false;
	return 0;
}

int
rte_vhost_driver_set_features(const char *path, uint64_t features)
{
	if (path == NULL)
		return -1;
	return edit(path, set_features, &features);
}

static int
enable_features(struct vhost_driver *driver, void *arg)
{
	uint64_t features = *(const uint64_t *)arg;

	if (features & ~driver->supported_features)
		return -ENOTSUP;
	driver->features |= features;
	return 0;
}

int
rte_vhost_driver_enable_features(const char *path, uint64_t features)
{
	return edit(path, enable_features, &features);
}

static int
disable_features(struct vhost_driver *driver, void *arg)
{
	driver->features &= ~*(const uint64_t *)arg;
	return 0;
}

int
rte_vhost_driver_disable_features(const char *path, uint64_t features)
{
	return edit(path, disable_features, &features);
}

int
rte_vhost_driver_get_features(const char *path, uint64_t *features)
{
	struct vhost_driver driver;

	if (features == NULL || copy_offer(path, &driver) != 0)
		return -1;
	*features = driver.features;
	return 0;
}

/*
 * Protocol features and queues
 */

static int
set_protocol_features(struct vhost_driver *driver, void *arg)
{
	driver->protocol_features = *(const uint64_t *)arg;
	return 0;
}

int
rte_vhost_driver_set_protocol_features(const char *path, uint64_t protocol_features)
{
	if (path == NULL)
		return -1;
	if ((protocol_features & PAGEFAULT) && !vhost_postcopy_is_possible(path))
		protocol_features &= ~PAGEFAULT;
	return edit(path, set_protocol_features, &protocol_features);
}

int
rte_vhost_driver_get_protocol_features(const char *path, uint64_t *protocol_features)
{
	struct vhost_driver driver;

	if (protocol_features == NULL || copy_offer(path, &driver) != 0)
		return -1;
	*protocol_features = driver.protocol_features;
	return 0;
}

int
rte_vhost_driver_get_queue_num(const char *path, uint32_t *queue_num)
{
	uint32_t pairs = VHOST_MAX_QUEUE_PAIRS;
	struct vhost_driver driver;

	if (queue_num == NULL || edit(path, copy_out, &driver) != 0)
		return -1;
	if (driver.vduse && driver.max_pairs != 0)
		pairs = driver.max_pairs;
	if (driver.vdpa != NULL && rte_vdpa_get_queue_num(driver.vdpa, &pairs) != 0)
		return -1;
	*queue_num = RTE_MIN(pairs, (uint32_t)VHOST_MAX_QUEUE_PAIRS);
	return 0;
}

/*
 * vDPA
 */

static int
set_vdpa(struct vhost_driver *driver, void *arg)
{
	driver->vdpa = arg;
	return 0;
}

int
rte_vhost_driver_attach_vdpa_device(const char *path, struct rte_vdpa_device *dev)
{
	if (dev == NULL)
		return -1;
	return edit(path, set_vdpa, dev);
}

int
rte_vhost_driver_detach_vdpa_device(const char *path)
{
	return edit(path, set_vdpa, NULL);
}

struct rte_vdpa_device *
rte_vhost_driver_get_vdpa_device(const char *path)
{
	struct vhost_driver driver;

	return edit(path, copy_out, &driver) == 0 ? driver.vdpa : NULL;
}

int
rte_vhost_driver_get_vdpa_dev_type(const char *path, uint32_t *type)
{
	struct rte_vdpa_device *vdpa = rte_vhost_driver_get_vdpa_device(path);

	if (vdpa == NULL || type == NULL)
		return -1;
	*type = vdpa->type;
	return 0;
}
