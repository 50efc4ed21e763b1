/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * A start makes the device in the kernel, in the caller; the event thread makes ours and
 * serves it in the registration's turn (socket_turn.c).  From there on the device belongs
 * to the event thread, until the removal has taken it out of the turn.
 *
 * A backend that ends without a word leaves the device, on the bus and with a driver that
 * waits.  The next one finds the node, and a file that says what the device was made of
 * and how far its driver had come (state.h).  What fits is gone on with.  What does not is
 * destroyed and made anew, which the kernel refuses as long as it is on the bus.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/vduse.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include <rte_common.h>
#include <rte_string_fns.h>

#include "device_change.h"
#include "device_life.h"
#include "vduse/kernel.h"
#include "vduse/serve.h"
#include "vduse/vduse.h"
#include "vhost_log.h"

/** Pages of the kernel's. */
#define RING_ALIGN 4096

/** The PCI vendor of virtio devices. */
#define VENDOR 0x1af4

/** What takes a control queue. */
#define CTRL_FEATURES ((1ULL << VIRTIO_NET_F_CTRL_VQ) | (1ULL << VIRTIO_NET_F_CTRL_RX) | \
		(1ULL << VIRTIO_NET_F_MQ))

/** How often, and in which distance, a new node is looked for. */
#define NODE_TRIES 100
#define NODE_US 1000

/** A registration's device. */
struct vduse_registration {
	struct vduse_device device;
	struct registration *reg;
	struct turn_source source;
	struct event_timer begin;	/**< makes the device */
	struct event_timer lost;	/**< stops it */
};

int
vhost_vduse_path_check(const char *path)
{
	const char *name = path + strlen(VDUSE_FOLDER);

	if (strnlen(name, VDUSE_NAME_MAX) == VDUSE_NAME_MAX)
		return -ENAMETOOLONG;
	if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
			strcmp(name, "..") == 0 || strcmp(path, VDUSE_CONTROL) == 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) \"%s\" is no name for a VDUSE device\n", path, name);
		return -EINVAL;
	}
	return 0;
}

/* The kernel */

/** Why a node cannot be opened, in a word. */
static const char *
open_error(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return "the kernel has no VDUSE (modprobe vduse)";
	case -EACCES:
	case -EPERM:
		return "this user may not (it takes root, or an udev rule)";
	case -EBUSY:
		return "another process serves it";
	default:
		return strerror(-error);
	}
}

/** /dev/vduse/control, ready for use; or a negative errno (logged). */
static int
open_control(const char *path)
{
	uint64_t version = VDUSE_API_VERSION;
	int fd = vhost_vduse_open(VDUSE_CONTROL), ret;

	if (fd < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) failed to open " VDUSE_CONTROL ": %s\n", path,
			open_error(fd));
		return fd;
	}
	ret = vhost_vduse_ioctl(fd, VDUSE_SET_API_VERSION, &version);
	if (ret >= 0)
		return fd;
	VHOST_LOG_CONFIG(ERR, "(%s) the kernel does not speak version %u of VDUSE: %s\n", path,
		VDUSE_API_VERSION, strerror(-ret));
	close(fd);
	return ret;
}

/** Have as many pairs, and their control queue, as shall be offered. */
static void
offer(struct vduse_state *state, const struct vhost_driver *driver, uint32_t pairs)
{
	*state = (struct vduse_state){
		.version = VDUSE_STATE_VERSION,
		.features = (driver->features & ~VDUSE_NO_FEATURES) |
			1ULL << VIRTIO_F_ACCESS_PLATFORM,
		.pairs = pairs,
		.nvrings = 2 * pairs + 1,
	};
	if (pairs > 1 && (state->features & (1ULL << VIRTIO_NET_F_MQ)) &&
			(state->features & (1ULL << VIRTIO_NET_F_CTRL_VQ)))
		return;
	state->features &= ~CTRL_FEATURES;
	state->pairs = 1;
	state->nvrings = 2;
}

static int
create(int control, const char *name, const struct vduse_state *state)
{
	struct virtio_net_config net = { .max_virtqueue_pairs = state->pairs };
	union {
		struct vduse_dev_config config;
		uint8_t bytes[sizeof(struct vduse_dev_config) + sizeof(net)];
	} u = { .config = {
		.vendor_id = VENDOR,
		.device_id = VIRTIO_ID_NET,
		.features = state->features,
		.vq_num = state->nvrings,
		.vq_align = RING_ALIGN,
		.config_size = sizeof(net),
	} };

	rte_strscpy(u.config.name, name, sizeof(u.config.name));
	memcpy(u.config.config, &net, sizeof(net));
	return vhost_vduse_ioctl(control, VDUSE_CREATE_DEV, &u);
}

/** Create, with one pair if the kernel allows no control queue (Linux 6.9 to now). */
static int
create_offered(struct vduse_device *vduse, int control, const struct vhost_driver *driver)
{
	int ret = create(control, vduse->name, &vduse->state);

	if (ret != -EINVAL || vduse->state.pairs == 1)
		return ret;
	VHOST_LOG_CONFIG(WARNING, "(%s) the kernel refuses a device with a control queue: "
		"one queue pair instead of %u\n", vduse->path, vduse->state.pairs);
	offer(&vduse->state, driver, 1);
	return create(control, vduse->name, &vduse->state);
}

static int
destroy(int control, const char *name)
{
	char buffer[VDUSE_NAME_MAX] = { 0 };

	rte_strscpy(buffer, name, sizeof(buffer));
	return vhost_vduse_ioctl(control, VDUSE_DESTROY_DEV, buffer);
}

/** The node of a new device may appear, or become ours, a little later. */
static int
open_new(const char *path)
{
	unsigned int tries = NODE_TRIES;
	int fd;

	do {
		fd = vhost_vduse_open(path);
		if (fd != -ENOENT && fd != -EACCES)
			break;
		usleep(NODE_US);
	} while (--tries > 0);
	return fd;
}

static int
set_up_rings(const struct vduse_device *vduse)
{
	uint32_t i;
	int ret;

	for (i = 0; i < vduse->state.nvrings; i++) {
		struct vduse_vq_config config = { .index = i, .max_size = VDUSE_RING_MAX };

		ret = vhost_vduse_ioctl(vduse->fd, VDUSE_VQ_SETUP, &config);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/** A new device: 0 or a negative errno (logged), and there is none. */
static int
make_new(struct vduse_device *vduse, int control, const struct vhost_driver *driver)
{
	int ret = create_offered(vduse, control, driver);

	if (ret < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) failed to create the VDUSE device: %s\n", vduse->path,
			ret == -EPERM ? open_error(ret) : strerror(-ret));
		return ret;
	}
	vduse->fd = open_new(vduse->path);
	ret = vduse->fd < 0 ? vduse->fd : set_up_rings(vduse);
	if (ret < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) failed to open the VDUSE device: %s\n", vduse->path,
			open_error(ret));
		if (vduse->fd >= 0)
			close(vduse->fd);
		destroy(control, vduse->name);
		return ret;
	}
	vduse->state_fd = vhost_vduse_state_create(vduse->name, &vduse->state);
	if (vduse->state_fd < 0)
		VHOST_LOG_CONFIG(WARNING, "(%s) no file for the device's state, so that it will not "
			"survive this process: %s\n", vduse->path, strerror(-vduse->state_fd));
	VHOST_LOG_CONFIG(INFO, "(%s) VDUSE device created, %u queue pairs\n", vduse->path,
		vduse->state.pairs);
	return 0;
}

/* Devices that are there */

/** Whether an earlier backend's device is what is wanted now. */
static bool
fits(const struct vduse_state *found, const struct vduse_state *wanted,
		const struct vhost_driver *driver)
{
	struct vduse_state single;

	/* as the kernel allowed it then */
	offer(&single, driver, 1);
	return (found->features == wanted->features && found->nvrings == wanted->nvrings &&
			found->pairs == wanted->pairs) ||
		(found->features == single.features && found->nvrings == single.nvrings &&
			found->pairs == single.pairs);
}

/** Why a device cannot be gone on with: NULL if it can, as the state then says. */
static const char *
misfit(struct vduse_device *vduse, const struct vhost_driver *driver)
{
	struct vduse_state found;
	int ret = vhost_vduse_state_load(vduse->name, &found);

	if (ret == -ENOENT)
		return "no file says what it is";
	if (ret < 0)
		return "the file that says what it is cannot be used";
	if (!fits(&found, &vduse->state, driver))
		return "it has other features or queues";
	vduse->state = found;
	return NULL;
}

/** Go on with a device that is open. */
static int
take_over(struct vduse_device *vduse)
{
	vduse->state_fd = vhost_vduse_state_create(vduse->name, &vduse->state);
	VHOST_LOG_CONFIG(INFO, "(%s) VDUSE device is there already, %u queue pairs, status 0x%x: "
		"reconnected\n", vduse->path, vduse->state.pairs, vduse->state.status);
	return 0;
}

/** Have the device, new or an earlier backend's. */
static int
obtain(struct vduse_device *vduse, int control, const struct vhost_driver *driver)
{
	const char *why;
	int ret;

	vduse->fd = vhost_vduse_open(vduse->path);
	if (vduse->fd == -ENOENT)
		return make_new(vduse, control, driver);
	if (vduse->fd < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) failed to open the VDUSE device: %s\n", vduse->path,
			open_error(vduse->fd));
		return vduse->fd;
	}
	why = misfit(vduse, driver);
	if (why == NULL)
		return take_over(vduse);
	close(vduse->fd);
	ret = destroy(control, vduse->name);
	if (ret == 0)
		return make_new(vduse, control, driver);
	VHOST_LOG_CONFIG(ERR, "(%s) the VDUSE device is there already, but %s, and it cannot be "
		"made anew: %s (vdpa dev del %s)\n", vduse->path, why, strerror(-ret),
		vduse->name);
	return ret;
}

/* Serving */

/** The kernel told other memory, or nobody knew it. */
static void
learn(struct vhost_device *dev)
{
	const struct settle_request nothing_else = { 0 };
	struct vduse_device *vduse = dev->vduse;

	if (vduse->runs && vhost_vduse_memory_learn(&vduse->memory, dev, vduse->fd) > 0)
		vhost_device_change(dev, &nothing_else);
}

static enum turn_result
on_readable(struct turn_source *source)
{
	struct vduse_registration *mine = container_of(source, struct vduse_registration, source);
	int ret = vhost_vduse_serve(&mine->device);

	if (ret < 0)
		return TURN_END;
	return ret == 0 ? TURN_NOTHING : TURN_MORE;
}

/** The kernel cannot be spoken with any more. */
static void
on_end(struct turn_source *source)
{
	vhost_turn_leave(source);
}

static const struct turn_ops device_ops = { .serve = on_readable, .end = on_end };

/** A copy of what is registered by now. */
static void
copy_driver(struct registration *reg, struct vhost_driver *driver)
{
	vhost_registry_lock();
	*driver = reg->driver;
	vhost_registry_unlock();
}

static void
on_begin(struct event_timer *timer)
{
	struct vduse_registration *mine = container_of(timer, struct vduse_registration, begin);
	struct vduse_device *vduse = &mine->device;
	struct vhost_driver driver;
	int ret;

	copy_driver(mine->reg, &driver);
	vduse->dev = vhost_device_create(&driver, NULL);
	if (vduse->dev == NULL)
		return;
	vduse->dev->vduse = vduse;
	__atomic_store_n(&vduse->dev->learn, learn, __ATOMIC_RELAXED);
	ret = vhost_turn_join(&mine->reg->turn, &mine->source, vduse->fd, &device_ops);
	if (ret != 0)
		VHOST_LOG_CONFIG(ERR, "(%s) failed to watch the VDUSE device: %s\n", vduse->path,
			strerror(-ret));
	vhost_vduse_resume(vduse);
}

static void
on_lost(struct event_timer *timer)
{
	vhost_vduse_lose(&container_of(timer, struct vduse_registration, lost)->device);
}

/** What is wanted, before anybody was asked. */
static struct vduse_registration *
prepare(struct registration *reg)
{
	struct vduse_registration *mine = calloc(1, sizeof(*mine));
	const struct vhost_driver *driver = &reg->driver;

	if (mine == NULL)
		return NULL;
	mine->reg = reg;
	mine->device.path = driver->path;
	mine->device.name = driver->path + strlen(VDUSE_FOLDER);
	mine->device.fd = -1;
	mine->device.state_fd = -1;
	offer(&mine->device.state, driver,
		driver->max_pairs != 0 ? driver->max_pairs : VDUSE_PAIRS_DEFAULT);
	return mine;
}

int
vhost_vduse_start(struct registration *reg)
{
	struct vduse_registration *mine = prepare(reg);
	int control, ret;

	if (mine == NULL)
		return -ENOMEM;
	control = open_control(reg->driver.path);
	ret = control < 0 ? control : obtain(&mine->device, control, &reg->driver);
	if (control >= 0)
		close(control);
	if (ret == 0) {
		reg->vduse = mine;
		return vhost_event_timer_arm(&mine->begin, 0, on_begin);
	}
	free(mine);
	return ret;
}

/* Ending */

/** The kernel's device; it stays if it is on the bus, and so does what is known of it. */
static void
remove_from_kernel(const struct vduse_device *vduse)
{
	int control = open_control(vduse->path);
	int ret = control < 0 ? control : destroy(control, vduse->name);

	if (ret >= 0)
		vhost_vduse_state_remove(vduse->name);
	else
		VHOST_LOG_CONFIG(WARNING, "(%s) the VDUSE device stays, for the next to go on with: "
			"%s (vdpa dev del %s)\n", vduse->path, strerror(-ret), vduse->name);
	if (control >= 0)
		close(control);
}

/** Nobody calls us any more when this returns, but who is below. */
static void
detach(struct vduse_registration *mine)
{
	vhost_event_timer_cancel(&mine->begin);
	vhost_turn_leave(&mine->source);
	vhost_event_timer_cancel(&mine->lost);
	vhost_event_timer_cancel(&mine->device.start);
}

bool
vhost_vduse_end(struct registration *reg, bool now)
{
	struct vduse_registration *mine = reg->vduse;

	if (mine == NULL)
		return false;
	detach(mine);
	if (!now && mine->device.dev != NULL && vhost_device_is_inside(mine->device.dev))
		return true;
	vhost_vduse_destroy(&mine->device);
	close(mine->device.fd);
	if (mine->device.state_fd >= 0)
		close(mine->device.state_fd);
	remove_from_kernel(&mine->device);
	reg->vduse = NULL;
	free(mine);
	return false;
}

static bool
look_for_lost(struct registration *reg, void *arg)
{
	bool (**is_lost)(const struct vhost_device *dev) = arg;
	struct vduse_registration *mine = reg->vduse;

	if (mine != NULL && mine->device.dev != NULL && (*is_lost)(mine->device.dev))
		vhost_event_timer_arm(&mine->lost, 0, on_lost);
	return true;
}

void
vhost_vduse_end_lost(bool (*is_lost)(const struct vhost_device *dev))
{
	vhost_registry_lock();
	vhost_registry_foreach(look_for_lost, &is_lost);
	vhost_registry_unlock();
}
