/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_SOCKET_REGISTRY_H
#define VHOST_SOCKET_REGISTRY_H

/*
 * The table of registrations, and its lock.
 *
 * The lock is held for looking and editing, also while a path is bound or unlinked,
 * so that start and remove of one path do not mix.  It is never held while a
 * callback may run nor while a handler is waited for.  Order: registry's lock, then
 * a turn's, then the loop's.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "device.h"
#include "event_loop.h"
#include "socket_path.h"
#include "socket_turn.h"

/** Registrations at a time. */
#define VHOST_MAX_SOCKETS 1024

struct connection;
struct vduse_registration;
LIST_HEAD(connection_list, connection);

/** One path that an application registered. */
struct registration {
	LIST_ENTRY(registration) link;	/**< lock */
	struct vhost_driver driver;	/**< lock; path and quota are constant */
	bool started;			/**< lock */
	bool removed;			/**< lock */
	unsigned int refs;		/**< lock: the registry's or remover's, and one per
					 * connection */
	struct connection_list connections;	/**< lock: not claimed */
	struct connection_list deferred;	/**< claimed by the remover, left to the event
						 * thread */
	struct socket_turn turn;	/**< connections and listener share it */
	struct socket_file file;	/**< lock; server: what was bound */
	int fd;				/**< server: listens; client: connects next; or -1.
					 * Once started the event thread's, then the
					 * remover's */
	struct turn_source listener;	/**< server */
	/** server: listen again; client: connect; after removal: end what was deferred */
	struct event_timer retry;
	/** client: a connection has ended, or none came about; NULL: nothing to do */
	void (*on_end)(struct registration *reg);
	bool connected;			/**< client: fd is; set by start, then event thread */
	bool complained;		/**< the present trouble was logged; event thread */
	unsigned int short_lived;	/**< client: connections in a row; event thread */
	uint64_t connected_ns;		/**< client: when last; event thread */
	struct vduse_registration *vduse;	/**< a started VDUSE device's, or NULL */
};

void vhost_registry_lock(void);
void vhost_registry_unlock(void);

/** The registration of a path, or NULL.  Lock held. */
struct registration *vhost_registry_find(const char *path);

/**
 * A new registration, not in the table, with one reference; its socket is open.
 *
 * @return 0 or a negative errno
 */
int vhost_registration_create(const struct vhost_driver *driver, struct registration **reg);

/**
 * Add to the table, which takes over the reference.
 *
 * @return 0; -EEXIST; -ENOSPC
 */
int vhost_registry_add(struct registration *reg);

/**
 * Take out of the table and free the path: the caller has the table's reference.
 * NULL if there is none.
 */
struct registration *vhost_registry_take(const char *path);

/** Call fn for all of them until it returns false.  Lock held. */
void vhost_registry_foreach(bool (*fn)(struct registration *reg, void *arg), void *arg);

/** Drop a reference. */
void vhost_registration_put(struct registration *reg);

/** Wait until the caller's reference is the only one. */
void vhost_registration_wait(const struct registration *reg);

/** Whether the library connects, rather than listens. */
static inline bool
vhost_registration_is_client(const struct registration *reg)
{
	return !reg->driver.vduse && (reg->driver.flags & RTE_VHOST_USER_CLIENT) != 0;
}

/**
 * Limit a copy of a registration to what its vDPA device, if any, has: what a
 * frontend is offered.  Asks the device's driver, so not under a lock.
 *
 * @return 0 or -EIO (logged), when the driver does not answer
 */
int vhost_driver_offer(struct vhost_driver *driver);

#endif /* VHOST_SOCKET_REGISTRY_H */
