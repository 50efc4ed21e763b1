/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * Who ends a connection?  Whoever claims it: takes it out of the registration's
 * list, under the registry's lock.  The others leave it alone.
 * - The event thread, when the peer is gone or misbehaves.  The application is
 *   told both halves of the end.
 * - Who removes the registration, for each connection still in the list.  By then
 *   the listener and the timer are out of the loop, so the list cannot grow.
 *   Leaving the turn waits for the connection's handler; then nobody else uses the
 *   connection.
 * - If the remover is below a callback of the very connection, whoever called back
 *   still uses the device.  The connection is claimed and left to the event thread,
 *   which ends it when the callback has returned.
 */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "device_life.h"
#include "quota.h"
#include "reaper.h"
#include "socket_connection.h"
#include "vhost_log.h"
#include "vu_dispatch.h"

struct connection {
	LIST_ENTRY(connection) link;
	bool claimed;			/* registry's lock */
	bool counted;			/* taken from the limit of connections */
	struct registration *reg;	/* a reference, once in its list */
	struct turn_source source;
	struct vu_link vu;
	struct vhost_device *dev;	/* NULL until created */
};

/** Lock held. */
static void
claim_locked(struct connection *conn)
{
	conn->claimed = true;
	LIST_REMOVE(conn, link);
}

/** Whether it is now the caller's to end this connection. */
static bool
claim(struct connection *conn)
{
	bool first;

	vhost_registry_lock();
	first = !conn->claimed;
	if (first)
		claim_locked(conn);
	vhost_registry_unlock();
	return first;
}

static bool
is_claimed(const struct connection *conn)
{
	bool claimed;

	vhost_registry_lock();
	claimed = conn->claimed;
	vhost_registry_unlock();
	return claimed;
}

/** Close the socket and free what is outside the registration's list and turn. */
static void
connection_free(struct connection *conn)
{
	vhost_vu_link_close(&conn->vu);
	if (conn->counted)
		vhost_quota_give(conn->reg->driver.quota, QUOTA_CONNECTIONS, 1);
	free(conn);
}

/** A connection is gone, or none came about. */
static void
tell_registration(struct registration *reg)
{
	if (reg->on_end != NULL)
		reg->on_end(reg);
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
	uint64_t start = vhost_turn_clock();

	vhost_turn_leave(&conn->source);
	if (conn->dev != NULL)
		vhost_device_destroy(conn->dev, tell);
	connection_free(conn);
	tell_registration(reg);
	vhost_turn_charge(&reg->turn, start);
	vhost_registration_put(reg);
}

/** End a connection, unless it has been claimed; conn and its registration may be gone then. */
static void
connection_close(struct connection *conn)
{
	if (claim(conn))
		connection_end(conn, true);
}

/** Log why nothing more can be received. */
static void
log_end(const struct connection *conn, int error)
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

/** Serve one message, if it has arrived. */
static enum turn_result
on_readable(struct turn_source *source)
{
	struct connection *conn = container_of(source, struct connection, source);
	struct vu_message msg;
	int ret;

	if (is_claimed(conn))
		return TURN_NOTHING;
	ret = vhost_vu_recv(&conn->vu, &msg);
	if (ret < 0)
		log_end(conn, ret);
	if (ret <= 0)
		return ret == 0 ? TURN_NOTHING : TURN_END;
	if (vhost_vu_dispatch(conn->dev, &msg) == 0)
		return TURN_MORE;
	VHOST_LOG_CONFIG(ERR, "(%s) vhost message handling failed.\n", conn->reg->driver.path);
	return TURN_END;
}

static void
on_end(struct turn_source *source)
{
	connection_close(container_of(source, struct connection, source));
}

static const struct turn_ops connection_ops = { .serve = on_readable, .end = on_end };

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

	vhost_registry_lock();
	joined = !reg->removed;
	if (joined) {
		*driver = reg->driver;
		LIST_INSERT_HEAD(&reg->connections, conn, link);
		reg->refs++;
	}
	vhost_registry_unlock();
	return joined;
}

/** Takes over fd, also when it returns NULL: beyond the limit, or without memory. */
static struct connection *
connection_alloc(struct registration *reg, int fd)
{
	struct vhost_quota *quota = reg->driver.quota;
	struct connection *conn = NULL;

	if (vhost_quota_take(quota, QUOTA_CONNECTIONS, 1)) {
		conn = calloc(1, sizeof(*conn));
		if (conn == NULL) {
			VHOST_LOG_CONFIG(ERR, "(%s) no memory for a connection\n",
					reg->driver.path);
			vhost_quota_give(quota, QUOTA_CONNECTIONS, 1);
		}
	}
	if (conn == NULL) {
		vhost_reap(quota, fd);
		return NULL;
	}
	conn->counted = true;
	conn->reg = reg;
	vhost_vu_link_init(&conn->vu, fd, quota);
	return conn;
}

/** Create the device and receive.  Whether that worked. */
static bool
connection_open(struct connection *conn, struct vhost_driver *driver)
{
	int ret;

	if (vhost_driver_offer(driver) != 0)
		return false;
	conn->dev = vhost_device_create(driver, &conn->vu);
	if (conn->dev == NULL)
		return false;
	ret = vhost_turn_join(&conn->reg->turn, &conn->source, conn->vu.fd, &connection_ops);
	if (ret != 0)
		VHOST_LOG_CONFIG(ERR, "(%s) failed to watch the connection: %s\n",
				driver->path, strerror(-ret));
	return ret == 0;
}

void
vhost_connection_begin(struct registration *reg, int fd)
{
	struct connection *conn = connection_alloc(reg, fd);
	struct vhost_driver driver;

	if (conn == NULL) {
		tell_registration(reg);
		return;
	}
	if (!vhost_registration_is_client(reg))
		VHOST_LOG_CONFIG(INFO, "(%s) new vhost user connection is %d\n",
				reg->driver.path, fd);
	if (!connection_join(conn, &driver)) {
		connection_free(conn);
		return;
	}
	if (connection_open(conn, &driver))
		return;
	VHOST_LOG_CONFIG(ERR, "(%s) failed to add vhost user connection with fd %d\n",
			driver.path, fd);
	connection_close(conn);
}

static struct connection *
claim_next(struct registration *reg)
{
	struct connection *conn;

	vhost_registry_lock();
	conn = LIST_FIRST(&reg->connections);
	if (conn != NULL)
		claim_locked(conn);
	vhost_registry_unlock();
	return conn;
}

/** Whether a callback of the connection has led here; one without a device is being created. */
static bool
is_in_use(const struct connection *conn)
{
	return conn->dev == NULL || vhost_device_is_inside(conn->dev);
}

bool
vhost_connection_end_all(struct registration *reg)
{
	struct connection *conn;

	while ((conn = claim_next(reg)) != NULL) {
		VHOST_LOG_CONFIG(INFO, "(%s) free connfd %d\n", reg->driver.path, conn->vu.fd);
		if (is_in_use(conn))
			LIST_INSERT_HEAD(&reg->deferred, conn, link);
		else
			connection_end(conn, false);
	}
	return !LIST_EMPTY(&reg->deferred);
}

void
vhost_connection_end_deferred(struct registration *reg)
{
	struct connection *conn;

	while ((conn = LIST_FIRST(&reg->deferred)) != NULL) {
		LIST_REMOVE(conn, link);
		connection_end(conn, false);
	}
}

/** What vhost_connection_end_lost() looks for, and has found. */
struct search {
	bool (*is_lost)(const struct vhost_device *dev);
	struct connection *found;	/* claimed; or NULL */
};

/** Registry's lock held. */
static bool
search_registration(struct registration *reg, void *arg)
{
	struct search *search = arg;
	struct connection *conn;

	LIST_FOREACH(conn, &reg->connections, link) {
		if (conn->dev == NULL || !search->is_lost(conn->dev))
			continue;
		claim_locked(conn);
		search->found = conn;
		return false;
	}
	return true;
}

void
vhost_connection_end_lost(bool (*is_lost)(const struct vhost_device *dev), const char *reason)
{
	struct search search;

	do {
		search = (struct search){ .is_lost = is_lost };
		vhost_registry_lock();
		vhost_registry_foreach(search_registration, &search);
		vhost_registry_unlock();
		if (search.found != NULL) {
			VHOST_LOG_CONFIG(ERR, "(%s) %s, closing\n",
					search.found->reg->driver.path, reason);
			connection_end(search.found, true);
		}
	} while (search.found != NULL);
}
