/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "event_loop.h"
#include "host_notifier.h"
#include "vdpa.h"
#include "vhost_log.h"
#include "vu_backchannel.h"

/* Which doorbells the guest has */

static void
remember(struct vhost_device *dev, uint32_t vring, bool given)
{
	uint64_t *word = &dev->back.notifiers[vring / 64], bit = 1ULL << vring % 64;

	pthread_mutex_lock(&dev->back.lock);
	*word = given ? *word | bit : *word & ~bit;
	pthread_mutex_unlock(&dev->back.lock);
}

static bool
is_given(struct vhost_device *dev, uint32_t vring)
{
	bool given;

	pthread_mutex_lock(&dev->back.lock);
	given = (dev->back.notifiers[vring / 64] >> vring % 64 & 1) != 0;
	pthread_mutex_unlock(&dev->back.lock);
	return given;
}

/* What the frontend is told */

/** What a driver says of its doorbell has to be pages: others cannot be mapped alone. */
static bool
area_is_sane(const struct vu_vring_area *area)
{
	uint64_t page = sysconf(_SC_PAGESIZE);

	return area->size != 0 && area->size % page == 0 && area->offset % page == 0 &&
		area->offset + area->size > area->offset;
}

static int
find_area(struct vhost_device *dev, const struct rte_vdpa_dev_ops *ops, uint32_t vring,
		struct vu_vring_area *area)
{
	uint64_t offset = 0, size = 0;

	if (ops->get_notify_area == NULL ||
			ops->get_notify_area(dev->vid, vring, &offset, &size) < 0)
		return -EFAULT;
	*area = (struct vu_vring_area){ .index = vring, .offset = offset, .size = size };
	if (area_is_sane(area))
		return 0;
	VHOST_LOG_CONFIG(ERR, "(%s) vring %u: a doorbell of 0x%" PRIx64 " bytes at 0x%" PRIx64
		" is no page\n", dev->driver.path, vring, size, offset);
	return -EFAULT;
}

static int
send_area(struct vhost_device *dev, const struct vu_vring_area *area, int fd, bool wait)
{
	struct vu_message msg = {
		.request = VU_BACKEND_VRING_HOST_NOTIFIER,
		.flags = VU_VERSION | (wait ? VU_NEED_REPLY : 0),
		.size = sizeof(msg.payload.area),
		.payload.area = *area,
	};

	return vhost_backchannel_request(dev, &msg, fd);
}

static int
give(struct vhost_device *dev, const struct rte_vdpa_dev_ops *ops, uint32_t vring, int fd)
{
	struct vu_vring_area area;
	int ret = find_area(dev, ops, vring, &area);

	if (ret < 0)
		return ret;
	/* also when no answer comes: it may have been done */
	remember(dev, vring, true);
	return send_area(dev, &area, fd, true) == 0 ? 0 : -EFAULT;
}

static int
take(struct vhost_device *dev, uint32_t vring, bool wait)
{
	const struct vu_vring_area none = { .index = vring | VU_VRING_NO_FD };

	remember(dev, vring, false);
	return send_area(dev, &none, -1, wait) == 0 ? 0 : -EFAULT;
}

int
vhost_host_notifiers_give(struct vhost_device *dev, const struct rte_vdpa_device *vdpa,
		uint32_t first, uint32_t last)
{
	const struct rte_vdpa_dev_ops *ops = vhost_vdpa_ops(vdpa);
	int fd, ret = 0;
	uint32_t i;

	fd = ops->get_vfio_device_fd != NULL ? ops->get_vfio_device_fd(dev->vid) : -1;
	if (fd < 0)
		return -ENOTSUP;
	for (i = first; i <= last && ret == 0; i++)
		ret = give(dev, ops, i, fd);
	/* half of the doorbells is worse than none: the driver serves kicks all or not at all */
	while (ret < 0 && i-- > first)
		if (is_given(dev, i))
			take(dev, i, false);
	return ret;
}

int
vhost_host_notifiers_take(struct vhost_device *dev, uint32_t first, uint32_t last)
{
	bool wait = !vhost_event_loop_is_current();
	int ret = 0;
	uint32_t i;

	for (i = first; i <= last; i++)
		if (take(dev, i, wait) < 0)
			ret = -EFAULT;
	return ret;
}

void
vhost_host_notifiers_end(struct vhost_device *dev)
{
	uint32_t i;

	for (i = 0; i < VHOST_MAX_VRINGS; i++)
		if (is_given(dev, i))
			take(dev, i, false);
}
