/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * A registration has one descriptor, one event source to listen with, one timer
 * (to connect again, or to listen again after running out of descriptors) and
 * its connections.  The event thread accepts, connects, receives and notices
 * that peers are gone.  Any thread may remove the registration meanwhile.
 *
 * Who ends a connection?  Whoever claims it: takes it out of the registration's
 * list, under the registry's lock.  The others leave it alone.
 * - The event thread, when the peer is gone or misbehaves.  The application is
 *   told both halves of the end.
 * - vhost_socket_remove(), for each connection still in the list.  By then the
 *   listener and the timer are out of the loop, so the list cannot grow.
 *   Removing the connection's source waits for its handler; then nobody else
 *   uses the connection.
 * - If vhost_socket_remove() is called by a callback of the very connection,
 *   whoever called back still uses the device.  The connection is claimed and
 *   left to the event thread, which ends it when the callback has returned.
 *
 * A connection holds a reference to its registration, so the remover knows when
 * those are gone that the event thread claimed first.
 *
 * The registry's lock is held for looking and editing, also while a path is
 * bound or unlinked, so that start and remove of one path do not mix.  It is
 * never held while a callback may run nor while a handler is waited for.  Order:
 * registry's lock, then the loop's.
 */

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device_life.h"
#include "event_loop.h"
#include "mem_guard.h"
#include "quota.h"
#include "reaper.h"
#include "rte_vdpa.h"
#include "socket.h"
#include "socket_path.h"
#include "vhost_log.h"
#include "vu_dispatch.h"

#define RECONNECT_MS		1000
#define ACCEPT_PAUSE_MS		500
#define LISTEN_BACKLOG		128

/** Messages served before others get their turn. */
#define MESSAGES_PER_WAKEUP	16

struct registration {
	LIST_ENTRY(registration) link;	/* registry's lock */
	struct vhost_driver driver;	/* registry's lock; path is constant */
	bool started;			/* registry's lock */
	bool removed;			/* registry's lock */
	unsigned int refs;		/* registry's lock: the registry's or remover's,
					 * and one per connection */
	LIST_HEAD(connections, connection) connections;	/* registry's lock: not claimed */
	struct connections deferred;	/* claimed by the remover, left to the event thread */

	/* set by start, then the event thread's, in the end the remover's */
	int fd;				/* server: listening; client: connected by start,
					 * to be taken over by the event thread; or -1 */
	struct event_source listener;
	struct event_timer retry;	/* after removal: end what was deferred */
	bool complained;		/* the present trouble has been logged */

	struct socket_file file;	/* registry's lock; server: what we bound */
};

struct connection {
	LIST_ENTRY(connection) link;
	bool claimed;			/* registry's lock */
	struct registration *reg;	/* a reference */
	struct event_source source;
	struct vu_link vu;
	struct vhost_device *dev;	/* NULL until created */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t released;	/* a reference was put */
	LIST_HEAD(, registration) registrations;
	unsigned int count;
	struct event_source guard;	/* a guest's memory file was truncated */
} registry = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.released = PTHREAD_COND_INITIALIZER,
	.registrations = LIST_HEAD_INITIALIZER(registry.registrations),
};

static void client_on_retry(struct event_timer *timer);

static bool
is_client(const struct registration *reg)
{
	return (reg->driver.flags & RTE_VHOST_USER_CLIENT) != 0;
}

static bool
reconnects(const struct registration *reg)
{
	return is_client(reg) &&
		(reg->driver.flags & RTE_VHOST_USER_NO_RECONNECT) == 0;
}

/** Lock held. */
static struct registration *
registry_find(const char *path)
{
	struct registration *reg;

	LIST_FOREACH(reg, &registry.registrations, link) {
		if (strcmp(reg->driver.path, path) == 0)
			return reg;
	}
	return NULL;
}

static void
registration_free(struct registration *reg)
{
	vhost_quota_put(reg->driver.quota);
	free(reg);
}

static void
registration_put(struct registration *reg)
{
	bool last;

	pthread_mutex_lock(&registry.lock);
	last = --reg->refs == 0;
	pthread_cond_broadcast(&registry.released);
	pthread_mutex_unlock(&registry.lock);
	if (last)
		registration_free(reg);
}

/*
 * Connections
 */

/** Lock held. */
static void
connection_claim_locked(struct connection *conn)
{
	conn->claimed = true;
	LIST_REMOVE(conn, link);
}

/** Whether it is now the caller's to end this connection. */
static bool
connection_claim(struct connection *conn)
{
	bool first;

	pthread_mutex_lock(&registry.lock);
	first = !conn->claimed;
	if (first)
		connection_claim_locked(conn);
	pthread_mutex_unlock(&registry.lock);
	return first;
}

/** A connection is gone, or none came about: a client connects again. */
static void
reconnect_later(struct registration *reg)
{
	pthread_mutex_lock(&registry.lock);
	if (reconnects(reg) && !reg->removed)
		vhost_event_timer_arm(&reg->retry, RECONNECT_MS, client_on_retry);
	pthread_mutex_unlock(&registry.lock);
}

/**
 * End a connection that the caller has claimed, and free it.
 *
 * @param tell  whether the application gets destroy_connection
 */
static void
connection_end(struct connection *conn, bool tell)
{
	struct registration *reg = conn->reg;

	vhost_event_source_remove(&conn->source);
	if (conn->dev != NULL)
		vhost_device_destroy(conn->dev, tell);
	vhost_vu_link_close(&conn->vu);
	free(conn);
	reconnect_later(reg);
	registration_put(reg);
}

/** Close a connection, unless it has been claimed; conn and its registration may be gone then. */
static void
connection_close(struct connection *conn)
{
	if (connection_claim(conn))
		connection_end(conn, true);
}

static bool
connection_is_claimed(const struct connection *conn)
{
	bool claimed;

	pthread_mutex_lock(&registry.lock);
	claimed = conn->claimed;
	pthread_mutex_unlock(&registry.lock);
	return claimed;
}

/** Log why nothing more can be received. */
static void
connection_log_end(const struct connection *conn, int error)
{
	const char *path = conn->reg->driver.path;
	const struct vu_message *msg = &conn->vu.msg;

	if (error == -ECONNRESET)
		VHOST_LOG_CONFIG(INFO, "(%s) vhost peer closed\n", path);
	else
		VHOST_LOG_CONFIG(ERR,
			"(%s) peer does not speak vhost-user, closing: request %u, flags 0x%x, %u bytes\n",
			path, msg->request, msg->flags, msg->size);
}

/** Serve what has arrived, up to a limit.  Whether the connection stays. */
static bool
connection_serve(struct connection *conn)
{
	struct vu_message msg;
	unsigned int i;
	int ret;

	for (i = 0; i < MESSAGES_PER_WAKEUP && !connection_is_claimed(conn); i++) {
		ret = vhost_vu_recv(&conn->vu, &msg);
		if (ret < 0)
			connection_log_end(conn, ret);
		if (ret <= 0)
			return ret == 0;
		if (vhost_vu_dispatch(conn->dev, &msg) < 0)
			return false;
	}
	return true;
}

/** A hang-up needs no look at the events: receiving tells, after what came before it. */
static void
connection_on_event(struct event_source *source, uint32_t events __rte_unused)
{
	struct connection *conn = container_of(source, struct connection, source);

	if (!connection_serve(conn))
		connection_close(conn);
}

/**
 * Let a new connection join its registration.
 *
 * @param[out] driver  what is registered at this moment
 * @return false when the registration is being removed
 */
static bool
connection_join(struct connection *conn, struct vhost_driver *driver)
{
	struct registration *reg = conn->reg;
	bool joined;

	pthread_mutex_lock(&registry.lock);
	joined = !reg->removed;
	if (joined) {
		*driver = reg->driver;
		LIST_INSERT_HEAD(&reg->connections, conn, link);
		reg->refs++;
	}
	pthread_mutex_unlock(&registry.lock);
	return joined;
}

static struct connection *
connection_alloc(struct registration *reg, int fd)
{
	struct connection *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return NULL;
	conn->reg = reg;
	vhost_vu_link_init(&conn->vu, fd, reg->driver.quota);
	return conn;
}

/** Create the device and receive.  Whether that worked. */
static bool
connection_open(struct connection *conn, struct vhost_driver *driver)
{
	int ret;

	if (vhost_socket_offer(driver) != 0)
		return false;
	conn->dev = vhost_device_create(driver, &conn->vu);
	if (conn->dev == NULL)
		return false;
	ret = vhost_event_source_add(&conn->source, conn->vu.fd, EPOLLIN,
			connection_on_event);
	if (ret != 0)
		VHOST_LOG_CONFIG(ERR, "(%s) failed to watch the connection: %s\n",
				driver->path, strerror(-ret));
	return ret == 0;
}

/**
 * A peer is there; fd is ours now.  Last thing that a handler of the
 * registration does, as a callback may remove it.
 */
static void
connection_begin(struct registration *reg, int fd)
{
	struct connection *conn = connection_alloc(reg, fd);
	struct vhost_driver driver;

	if (conn == NULL) {
		VHOST_LOG_CONFIG(ERR, "(%s) no memory for a connection\n", reg->driver.path);
		vhost_reap(reg->driver.quota, fd);
		reconnect_later(reg);
		return;
	}
	if (!connection_join(conn, &driver)) {
		vhost_vu_link_close(&conn->vu);
		free(conn);
		return;
	}
	if (!connection_open(conn, &driver))
		connection_close(conn);
}

/*
 * Server
 */

static void listener_on_event(struct event_source *source, uint32_t events);

/** Lock held. */
static int
listener_watch(struct registration *reg)
{
	return vhost_event_source_add(&reg->listener, reg->fd, EPOLLIN,
			listener_on_event);
}

static void
listener_on_resume(struct event_timer *timer)
{
	struct registration *reg = container_of(timer, struct registration, retry);

	pthread_mutex_lock(&registry.lock);
	if (!reg->removed)
		listener_watch(reg);
	pthread_mutex_unlock(&registry.lock);
}

/** Accepting is impossible for now and the listener would stay ready: pause. */
static void
listener_pause(struct registration *reg, int error)
{
	if (!reg->complained)
		VHOST_LOG_CONFIG(ERR, "(%s) failed to accept: %s; trying again\n",
				reg->driver.path, strerror(error));
	reg->complained = true;
	vhost_event_source_remove(&reg->listener);
	vhost_event_timer_arm(&reg->retry, ACCEPT_PAUSE_MS, listener_on_resume);
}

static void
listener_on_event(struct event_source *source, uint32_t events __rte_unused)
{
	struct registration *reg = container_of(source, struct registration, listener);
	int fd = accept4(reg->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		reg->complained = false;
		connection_begin(reg, fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		listener_pause(reg, errno);
	}
}

/** Lock held. */
static int
server_listen(struct registration *reg)
{
	if (listen(reg->fd, LISTEN_BACKLOG) != 0)
		return -errno;
	return listener_watch(reg);
}

/** Lock held. */
static int
server_start(struct registration *reg)
{
	const char *path = reg->driver.path;
	int ret, fd = vhost_socket_path_bind(path, &reg->file);

	if (fd < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) failed to bind: %s%s\n", path, strerror(-fd),
				fd == -EADDRINUSE ? "; remove it and try again" : "");
		return fd;
	}

	reg->fd = fd;
	ret = server_listen(reg);
	if (ret != 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) failed to listen: %s\n", path, strerror(-ret));
		vhost_socket_path_unbind(path, &reg->file);
		close(fd);
		reg->fd = -1;
		return ret;
	}
	VHOST_LOG_CONFIG(INFO, "(%s) listening\n", path);
	return 0;
}

/*
 * Client
 */

static void
client_on_retry(struct event_timer *timer)
{
	struct registration *reg = container_of(timer, struct registration, retry);
	int fd = reg->fd;

	reg->fd = -1;
	if (fd < 0)
		fd = vhost_socket_path_connect(reg->driver.path);
	if (fd < 0) {
		vhost_event_timer_arm(&reg->retry, RECONNECT_MS, client_on_retry);
		return;
	}
	reg->complained = false;
	VHOST_LOG_CONFIG(INFO, "(%s) connected\n", reg->driver.path);
	connection_begin(reg, fd);
}

/**
 * Try at once, to know the result; the event thread goes on from there, as the
 * application may now hold locks that its callbacks take.  Lock held.
 */
static int
client_start(struct registration *reg)
{
	bool again = reconnects(reg);
	int fd = vhost_socket_path_connect(reg->driver.path);

	if (fd < 0)
		VHOST_LOG_CONFIG(WARNING, "(%s) failed to connect: %s%s\n", reg->driver.path,
				strerror(-fd), again ? "; trying again every second" : "");
	if (fd < 0 && !again)
		return fd;
	reg->fd = fd < 0 ? -1 : fd;
	return vhost_event_timer_arm(&reg->retry, fd < 0 ? RECONNECT_MS : 0,
			client_on_retry);
}

/*
 * Truncated guest memory
 */

/** Event thread only, which alone replaces maps and logs.  Lock held. */
static bool
connection_lost_memory(const struct connection *conn)
{
	return conn->dev != NULL && vhost_device_lost_memory(conn->dev);
}

/** Claim a connection whose guest memory was truncated; NULL if there is none. */
static struct connection *
claim_without_memory(void)
{
	struct registration *reg;
	struct connection *conn = NULL;

	pthread_mutex_lock(&registry.lock);
	LIST_FOREACH(reg, &registry.registrations, link) {
		LIST_FOREACH(conn, &reg->connections, link) {
			if (connection_lost_memory(conn))
				break;
		}
		if (conn != NULL) {
			connection_claim_locked(conn);
			break;
		}
	}
	pthread_mutex_unlock(&registry.lock);
	return conn;
}

static void
guard_on_event(struct event_source *source __rte_unused, uint32_t events __rte_unused)
{
	struct connection *conn;
	uint64_t count;

	/* Before the search, so that what breaks meanwhile wakes us again. */
	if (read(vhost_mem_guard_fd(), &count, sizeof(count)) < 0)
		return;
	while ((conn = claim_without_memory()) != NULL) {
		VHOST_LOG_CONFIG(ERR, "(%s) guest memory is gone (file truncated, or given up), closing\n",
				conn->reg->driver.path);
		connection_end(conn, true);
	}
}

/** Lock held. */
static void
guard_watch(void)
{
	int fd, ret;

	if (registry.guard.handle != NULL)
		return;
	fd = vhost_mem_guard_fd();
	ret = fd < 0 ? -EBADF :
		vhost_event_source_add(&registry.guard, fd, EPOLLIN, guard_on_event);
	if (ret != 0)
		VHOST_LOG_CONFIG(ERR, "(guard) truncated guest memory will not be noticed: %s\n",
				strerror(-ret));
}

/*
 * Registrations
 */

int
vhost_socket_offer(struct vhost_driver *driver)
{
	uint64_t features, protocol_features;

	if (driver->vdpa == NULL)
		return 0;
	if (rte_vdpa_get_features(driver->vdpa, &features) != 0 ||
			rte_vdpa_get_protocol_features(driver->vdpa,
				&protocol_features) != 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) the vDPA device does not tell its features\n",
				driver->path);
		return -EIO;
	}
	driver->features &= features;
	driver->protocol_features &= protocol_features;
	return 0;
}

int
vhost_socket_edit(const char *path, int (*fn)(struct vhost_driver *driver, void *arg),
		void *arg)
{
	struct registration *reg;
	int ret = -ENOENT;

	pthread_mutex_lock(&registry.lock);
	reg = registry_find(path);
	if (reg != NULL)
		ret = fn(&reg->driver, arg);
	pthread_mutex_unlock(&registry.lock);
	return ret;
}

/** Lock held. */
static int
registry_add(struct registration *reg)
{
	if (registry_find(reg->driver.path) != NULL)
		return -EEXIST;
	if (registry.count == VHOST_MAX_SOCKETS)
		return -ENOSPC;
	registry.count++;
	LIST_INSERT_HEAD(&registry.registrations, reg, link);
	return 0;
}

static struct registration *
registration_create(const struct vhost_driver *driver)
{
	struct registration *reg = calloc(1, sizeof(*reg));

	if (reg == NULL)
		return NULL;
	reg->driver = *driver;
	reg->driver.quota = vhost_quota_create(driver->path);
	reg->refs = 1;
	reg->fd = -1;
	if (reg->driver.quota != NULL)
		return reg;
	free(reg);
	return NULL;
}

int
vhost_socket_add(const struct vhost_driver *driver)
{
	struct registration *reg;
	int ret = vhost_socket_path_check(driver->path);

	if (ret != 0)
		return ret;
	reg = registration_create(driver);
	if (reg == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&registry.lock);
	ret = registry_add(reg);
	pthread_mutex_unlock(&registry.lock);
	if (ret != 0)
		registration_free(reg);
	return ret;
}

/** Lock held. */
static int
registration_start(struct registration *reg)
{
	int ret;

	if (reg->started)
		return -EALREADY;
	guard_watch();
	ret = is_client(reg) ? client_start(reg) : server_start(reg);
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
	pthread_mutex_lock(&registry.lock);
	reg = registry_find(path);
	ret = reg == NULL ? -ENOENT : registration_start(reg);
	pthread_mutex_unlock(&registry.lock);
	return ret;
}

/** Take a registration out of the registry and free its path: the caller's reference. */
static struct registration *
registry_take(const char *path)
{
	struct registration *reg;

	pthread_mutex_lock(&registry.lock);
	reg = registry_find(path);
	if (reg != NULL) {
		LIST_REMOVE(reg, link);
		registry.count--;
		reg->removed = true;
		vhost_socket_path_unbind(path, &reg->file);
	}
	pthread_mutex_unlock(&registry.lock);
	return reg;
}

static struct connection *
claim_next(struct registration *reg)
{
	struct connection *conn;

	pthread_mutex_lock(&registry.lock);
	conn = LIST_FIRST(&reg->connections);
	if (conn != NULL)
		connection_claim_locked(conn);
	pthread_mutex_unlock(&registry.lock);
	return conn;
}

/** Whether a callback of the connection has led here; one without a device is being created. */
static bool
connection_is_in_use(const struct connection *conn)
{
	return conn->dev == NULL || vhost_device_is_inside(conn->dev);
}

/** End what can be ended now; the rest is deferred. */
static void
end_connections(struct registration *reg)
{
	struct connection *conn;

	while ((conn = claim_next(reg)) != NULL) {
		if (connection_is_in_use(conn))
			LIST_INSERT_HEAD(&reg->deferred, conn, link);
		else
			connection_end(conn, false);
	}
}

/** Owns the remover's reference. */
static void
end_deferred(struct event_timer *timer)
{
	struct registration *reg = container_of(timer, struct registration, retry);
	struct connection *conn;

	while ((conn = LIST_FIRST(&reg->deferred)) != NULL) {
		LIST_REMOVE(conn, link);
		connection_end(conn, false);
	}
	registration_put(reg);
}

/** Wait for the connections that the event thread is ending. */
static void
wait_for_connections(const struct registration *reg)
{
	if (vhost_event_loop_is_current())
		return;		/* then it is this thread that is ending them */
	pthread_mutex_lock(&registry.lock);
	while (reg->refs > 1)
		pthread_cond_wait(&registry.released, &registry.lock);
	pthread_mutex_unlock(&registry.lock);
}

int
vhost_socket_remove(const char *path)
{
	struct registration *reg = registry_take(path);

	if (reg == NULL)
		return -ENOENT;

	/* In this order: the listener may arm the timer, but not the reverse. */
	vhost_event_source_remove(&reg->listener);
	vhost_event_timer_cancel(&reg->retry);
	if (reg->fd >= 0)
		close(reg->fd);
	reg->fd = -1;

	end_connections(reg);
	if (LIST_EMPTY(&reg->deferred)) {
		wait_for_connections(reg);
		registration_put(reg);
	} else {
		vhost_event_timer_arm(&reg->retry, 0, end_deferred);
	}
	return 0;
}
