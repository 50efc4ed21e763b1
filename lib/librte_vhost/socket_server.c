/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The library listens.  The listener is served in its registration's turn, like the
 * connections: one connection at a time.  If accepting is impossible for now it
 * leaves the turn for a while.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reaper.h"
#include "socket_connection.h"
#include "socket_server.h"
#include "vhost_log.h"

#define ACCEPT_PAUSE_MS	500
#define LISTEN_BACKLOG	128

static enum turn_result on_readable(struct turn_source *source);

/** A listener ends with its registration only. */
static const struct turn_ops listener_ops = { .serve = on_readable };

/** Lock held. */
static int
watch(struct registration *reg)
{
	return vhost_turn_join(&reg->turn, &reg->listener, reg->fd, &listener_ops);
}

static void
on_resume(struct event_timer *timer)
{
	struct registration *reg = container_of(timer, struct registration, retry);

	vhost_registry_lock();
	if (!reg->removed && watch(reg) != 0)
		vhost_event_timer_arm(&reg->retry, ACCEPT_PAUSE_MS, on_resume);
	vhost_registry_unlock();
}

/** Accepting is impossible for now and the listener would stay ready: pause. */
static void
pause_accepting(struct registration *reg, int error)
{
	if (!reg->complained)
		VHOST_LOG_CONFIG(ERR, "(%s) failed to accept: %s; trying again\n",
				reg->driver.path, strerror(error));
	reg->complained = true;
	vhost_turn_leave(&reg->listener);
	vhost_event_timer_arm(&reg->retry, ACCEPT_PAUSE_MS, on_resume);
}

static bool
is_for_now(int error)
{
	return error == EAGAIN || error == EINTR || error == ECONNABORTED;
}

static enum turn_result
on_readable(struct turn_source *source)
{
	struct registration *reg = container_of(source, struct registration, listener);
	int fd = accept4(reg->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (!is_for_now(errno))
			pause_accepting(reg, errno);
		return TURN_NOTHING;
	}
	reg->complained = false;
	vhost_connection_begin(reg, fd);
	return TURN_MORE;
}

/** Bind, or say why not.  Lock held. */
static int
bind_path(struct registration *reg)
{
	const char *path = reg->driver.path;
	int ret = vhost_socket_path_bind(reg->fd, path, &reg->file);

	if (ret != 0)
		VHOST_LOG_CONFIG(ERR, "(%s) failed to bind: %s%s\n", path, strerror(-ret),
				ret == -EADDRINUSE ? "; remove it and try again" : "");
	else
		VHOST_LOG_CONFIG(INFO, "(%s) binding succeeded\n", path);
	return ret;
}

/** Lock held. */
static int
accept_from_now_on(struct registration *reg)
{
	if (listen(reg->fd, LISTEN_BACKLOG) != 0)
		return -errno;
	return watch(reg);
}

/**
 * Close the listener and whoever is in its backlog: with those in place, closing it
 * could wait for them.  Once it is shut down nobody enters the backlog.
 */
static void
close_listener(struct registration *reg)
{
	int fd;

	shutdown(reg->fd, SHUT_RDWR);
	while ((fd = accept4(reg->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		vhost_reap(reg->driver.quota, fd);
	close(reg->fd);
	reg->fd = -1;
}

/** A socket that was bound cannot be bound again: have a new one.  Lock held. */
static void
unbind(struct registration *reg)
{
	vhost_socket_path_unbind(reg->driver.path, &reg->file);
	close_listener(reg);
	reg->fd = vhost_socket_path_open();
}

int
vhost_server_start(struct registration *reg)
{
	int ret = bind_path(reg);

	if (ret != 0)
		return ret;
	ret = accept_from_now_on(reg);
	if (ret != 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) failed to listen: %s\n", reg->driver.path,
				strerror(-ret));
		unbind(reg);
	}
	return ret;
}

void
vhost_server_stop(struct registration *reg)
{
	/* In this order: the listener may arm the timer, ... */
	vhost_turn_leave(&reg->listener);
	/* ... and the timer does not let it join again once it was removed. */
	vhost_event_timer_cancel(&reg->retry);
	if (reg->fd >= 0)
		close_listener(reg);
}
