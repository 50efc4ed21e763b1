/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The library connects.  There is one socket to connect with next, and one connection
 * at a time.  When that ends the next attempt is made at once, since a server that
 * restarts is often there again already; afterwards every second.  A server that
 * accepts and hangs up gets a few attempts at once, and then the same second.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "reaper.h"
#include "socket_client.h"
#include "socket_connection.h"
#include "vhost_abi.h"
#include "vhost_log.h"

#define RECONNECT_MS		1000
#define NS_PER_MS		UINT64_C(1000000)

/** Connections that end within RECONNECT_MS before the next attempt is a later one. */
#define SHORT_LIVED_MAX		4

static bool
reconnects(const struct registration *reg)
{
	return (reg->driver.flags & RTE_VHOST_USER_NO_RECONNECT) == 0;
}

/** Have a socket, as at registration. */
static int
open_again(struct registration *reg)
{
	if (reg->fd >= 0)
		return 0;
	reg->fd = vhost_socket_path_open();
	if (reg->fd < 0)
		return reg->fd;
	VHOST_LOG_CONFIG(INFO, "(%s) vhost-user client: socket created, fd: %d\n",
			reg->driver.path, reg->fd);
	return 0;
}

/** Have a connected socket: 0, or a negative errno, which is logged if it is the first. */
static int
connect_once(struct registration *reg)
{
	const char *path = reg->driver.path;
	int ret = open_again(reg);

	if (ret == 0)
		ret = vhost_socket_path_connect(reg->fd, path);
	if (ret == 0 || reg->complained)
		return ret;
	VHOST_LOG_CONFIG(WARNING, "(%s) failed to connect: %s\n", path, strerror(-ret));
	if (reconnects(reg))
		VHOST_LOG_CONFIG(INFO, "(%s) reconnecting...\n", path);
	reg->complained = true;
	return ret;
}

static void on_time(struct event_timer *timer);

/** Count connections in a row that end soon. */
static void
note_connected(struct registration *reg)
{
	uint64_t now = vhost_turn_clock();

	if (now - reg->connected_ns < RECONNECT_MS * NS_PER_MS)
		reg->short_lived++;
	else
		reg->short_lived = 0;
	reg->connected_ns = now;
	if (reg->complained)
		VHOST_LOG_CONFIG(INFO, "(%s) connected\n", reg->driver.path);
	reg->complained = false;
}

/** Event thread.  While too many descriptors wait to be closed there is no new connection. */
static void
on_time(struct event_timer *timer)
{
	struct registration *reg = container_of(timer, struct registration, retry);
	int fd;

	if (vhost_turn_is_paused(&reg->turn) ||
			(!reg->connected && connect_once(reg) != 0)) {
		vhost_event_timer_arm(&reg->retry, RECONNECT_MS, on_time);
		return;
	}
	note_connected(reg);
	fd = reg->fd;
	reg->fd = -1;
	reg->connected = false;
	vhost_connection_begin(reg, fd);
}

/** A connection has ended. */
static void
bring_another(struct registration *reg)
{
	vhost_registry_lock();
	if (!reg->removed)
		vhost_event_timer_arm(&reg->retry,
			reg->short_lived < SHORT_LIVED_MAX ? 0 : RECONNECT_MS, on_time);
	vhost_registry_unlock();
}

/*
 * Try at once, to know the result; the event thread goes on from there, as the
 * application may now hold locks that its callbacks take.
 */
int
vhost_client_start(struct registration *reg)
{
	int ret;

	if (reg->driver.flags & RTE_VHOST_USER_ASYNC_CONNECT) {
		if (reconnects(reg))
			reg->on_end = bring_another;
		return vhost_event_timer_arm(&reg->retry, 0, on_time);
	}
	ret = connect_once(reg);
	if (ret != 0 && !reconnects(reg)) {
		reg->complained = false;
		return ret;
	}
	reg->connected = ret == 0;
	if (reconnects(reg))
		reg->on_end = bring_another;
	return vhost_event_timer_arm(&reg->retry, ret == 0 ? 0 : RECONNECT_MS, on_time);
}

void
vhost_client_stop(struct registration *reg)
{
	vhost_event_timer_cancel(&reg->retry);
	if (reg->connected)
		vhost_reap(reg->driver.quota, reg->fd);
	else if (reg->fd >= 0)
		close(reg->fd);
	reg->fd = -1;
}
