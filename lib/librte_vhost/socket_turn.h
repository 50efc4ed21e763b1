/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_SOCKET_TURN_H
#define VHOST_SOCKET_TURN_H

/*
 * Turns of a registration on the event thread: fair shares of its time, and no
 * service while too many descriptors of its frontends wait to be closed.  See
 * socket_turn.c for the theory.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "event_loop.h"

struct vhost_quota;
struct turn_source;

/** What serving a source has come to. */
enum turn_result {
	TURN_NOTHING,	/**< nothing was there: watch the descriptor */
	TURN_MORE,	/**< something was served; there may be more */
	TURN_END,	/**< the source is at its end: call its end() */
};

/** What a source does; constant. */
struct turn_ops {
	/**
	 * Serve one message, or accept one connection.  Frees neither the source nor
	 * its turn; either is there until the caller has returned.
	 */
	enum turn_result (*serve)(struct turn_source *source);
	/** After TURN_END, as the last thing: may free source and turn. */
	void (*end)(struct turn_source *source);
};

/** A socket that is served in its registration's turns; zeroed at first. */
struct turn_source {
	struct event_source event;	/**< in the loop unless waiting */
	const struct turn_ops *ops;
	struct socket_turn *turn;	/**< the registration's; outlives the source */
	int fd;
	bool waiting;			/**< turn's lock: in turn->waiting */
	bool leaving;			/**< turn's lock: neither waits nor is watched again */
	TAILQ_ENTRY(turn_source) link;	/**< turn's lock */
};

/** The turns of one registration. */
struct socket_turn {
	struct vhost_quota *quota;	/**< of the registration, which outlives the turns */
	pthread_mutex_t lock;		/**< after the registry's lock, before the loop's */
	TAILQ_HEAD(, turn_source) waiting;	/**< lock: ready, but put aside */
	struct event_timer timer;	/**< serves the first that waits */
	bool armed;			/**< lock: the timer is */
	bool stopped;			/**< lock: nothing is served from waiting any more */
	/* event thread only */
	uint64_t used;			/**< ns, less what has been forgotten */
	uint64_t seen;			/**< ns: when that was last reckoned */
	bool used_up;			/**< then it was the whole turn or more */
	bool paused;			/**< too many descriptors wait to be closed */
};

void vhost_turn_init(struct socket_turn *turn, struct vhost_quota *quota);

/** No source is left; the turn is stopped, or none has ever joined. */
void vhost_turn_fini(struct socket_turn *turn);

/**
 * Serve a socket from now on, whenever it can be read from, on the event thread.
 * The source must stay in place, and fd open, until it has left.
 *
 * @return 0 or a negative errno
 */
int vhost_turn_join(struct socket_turn *turn, struct turn_source *source, int fd,
		const struct turn_ops *ops);

/**
 * Serve it no more.  When this returns it is not being served, except by the caller.
 * A source that never joined is left alone.
 *
 * Waits for what the turn serves: hold no lock that this may take.
 */
void vhost_turn_leave(struct turn_source *source);

/**
 * Serve nothing that waits any more; the sources are still to leave.  Waits likewise.
 */
void vhost_turn_stop(struct socket_turn *turn);

/** Nanoseconds, for vhost_turn_charge(). */
uint64_t vhost_turn_clock(void);

/** Count the time since start as used, if the caller is the event thread. */
void vhost_turn_charge(struct socket_turn *turn, uint64_t start);

/**
 * Whether so many descriptors wait to be closed that nothing more is taken in, for
 * sources that are not in the turn.  Counts when that begins.  Event thread only.
 */
bool vhost_turn_is_paused(struct socket_turn *turn);

#endif /* VHOST_SOCKET_TURN_H */
