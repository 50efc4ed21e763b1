/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * A registration (socket_registry.c) has one descriptor, to listen or to connect
 * with; who brings connections (socket_server.c, socket_client.c); one timer (to
 * connect again, or to accept again after running out of descriptors); its
 * connections (socket_connection.c); and a turn on the event thread that all of them
 * share (socket_turn.c).  The event thread accepts, connects, receives and notices
 * that peers are gone.  Any thread may remove the registration meanwhile.
 */

#include <errno.h>
#include <stddef.h>

#include "event_loop.h"
#include "socket.h"
#include "socket_client.h"
#include "socket_connection.h"
#include "socket_guard.h"
#include "socket_registry.h"
#include "socket_server.h"
#include "vduse/vduse.h"
#include "vhost_log.h"

int
vhost_socket_edit(const char *path, int (*fn)(struct vhost_driver *driver, void *arg),
		void *arg)
{
	struct registration *reg;
	int ret = -ENOENT;

	vhost_registry_lock();
	reg = vhost_registry_find(path);
	if (reg != NULL)
		ret = fn(&reg->driver, arg);
	vhost_registry_unlock();
	return ret;
}

int
vhost_socket_add(const struct vhost_driver *driver)
{
	bool client = driver->flags & RTE_VHOST_USER_CLIENT;
	struct registration *reg;
	int fd, ret = driver->vduse ? vhost_vduse_path_check(driver->path) :
		vhost_socket_path_check(driver->path);

	if (ret != 0)
		return ret;
	ret = vhost_registration_create(driver, &reg);
	if (ret != 0)
		return ret;
	fd = reg->fd;
	ret = vhost_registry_add(reg);
	if (ret != 0)
		vhost_registration_put(reg);
	else if (!driver->vduse)
		VHOST_LOG_CONFIG(INFO, "(%s) vhost-user %s: socket created, fd: %d\n",
				driver->path, client ? "client" : "server", fd);
	return ret;
}

/** Lock held. */
static int
registration_start(struct registration *reg)
{
	int ret;

	if (reg->started)
		return -EALREADY;
	if (reg->fd < 0 && !reg->driver.vduse)
		return reg->fd;		/* an earlier start has failed, and left none */
	ret = vhost_socket_guard_start();
	if (ret != 0)
		return ret;
	if (reg->driver.vduse)
		ret = vhost_vduse_start(reg);
	else
		ret = vhost_registration_is_client(reg) ? vhost_client_start(reg) :
			vhost_server_start(reg);
	reg->started = ret == 0;
	return ret;
}

int
vhost_socket_start(const char *path)
{
	struct registration *reg;
	int ret = vhost_event_loop_start();

	if (ret != 0)
		return ret;
	vhost_registry_lock();
	reg = vhost_registry_find(path);
	ret = reg == NULL ? -ENODEV : registration_start(reg);
	vhost_registry_unlock();
	return ret;
}

/** Owns the remover's reference. */
static void
end_deferred(struct event_timer *timer)
{
	struct registration *reg = container_of(timer, struct registration, retry);

	vhost_connection_end_deferred(reg);
	vhost_vduse_end(reg, true);
	vhost_registration_put(reg);
}

/** Nobody brings connections any more, and none is served. */
static void
registration_stop(struct registration *reg)
{
	if (vhost_registration_is_client(reg))
		vhost_client_stop(reg);
	else
		vhost_server_stop(reg);
	vhost_turn_stop(&reg->turn);
}

int
vhost_socket_remove(const char *path)
{
	struct registration *reg = vhost_registry_take(path);

	if (reg == NULL)
		return -ENOENT;
	registration_stop(reg);
	if (vhost_connection_end_all(reg) || vhost_vduse_end(reg, false)) {
		vhost_event_timer_arm(&reg->retry, 0, end_deferred);
		return 0;
	}
	/* If this is the event thread, it is the one that ends them. */
	if (!vhost_event_loop_is_current())
		vhost_registration_wait(reg);
	vhost_registration_put(reg);
	return 0;
}
