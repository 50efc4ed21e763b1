/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * One thread serves all frontends.  The loop serves what is ready in the order in
 * which it became ready, and a source that is served takes one message or one
 * connection: so far, everybody's share is the same per socket.  But a frontend may
 * open many sockets, and send messages that take long.  So time is counted per
 * registration, and forgotten as time passes, an eighth of it.  One that has used its
 * milliseconds stands aside when anybody else wants to be served: its sources leave the
 * epoll set and wait in its turn's queue.
 *
 * From there they are served one at a time by a timer that is due at once.  A timer
 * comes after all that became ready before it, so a registration that floods gets
 * what nobody else wants; another one's message waits for one message of it.
 * Several such registrations alternate, since a timer that is armed again comes
 * after the others.  A source for which nothing is there any more is watched again.
 *
 * The same queue holds the sources of a registration whose limit of descriptors
 * that wait to be closed is used up.  It is looked at again after a while.
 *
 * A source is in one of three states: watched by the loop, waiting, or being served
 * by the timer's handler.  Who takes it away (vhost_turn_leave()) says so first, under
 * the turn's lock, so that it enters neither of the former any more, and then waits
 * for both handlers.
 */

#include <sys/epoll.h>
#include <time.h>

#include <rte_common.h>

#include "quota.h"
#include "socket_turn.h"

#define NS_PER_S	UINT64_C(1000000000)
#define NS_PER_MS	UINT64_C(1000000)

/** What a registration uses is forgotten at this fraction of the time that passes. */
#define EARNING_RATIO	8

/** So much is remembered, in turns. */
#define MAX_TURNS	64

/** Who was served has a claim for so long. */
#define CONTEST_NS	(100 * NS_PER_MS)

/** Until it is looked again whether descriptors were closed. */
#define CLOSING_PAUSE_MS 50

uint64_t
vhost_turn_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

void
vhost_turn_charge(struct socket_turn *turn, uint64_t start)
{
	if (vhost_event_loop_is_current())
		turn->used += vhost_turn_clock() - start;
}

/** Whether others come first.  Event thread only. */
static bool
is_used_up(struct socket_turn *turn)
{
	uint64_t limit = vhost_quota_limit(turn->quota, QUOTA_TURN_MS) * NS_PER_MS;
	uint64_t now = vhost_turn_clock();
	uint64_t earned = (now - turn->seen) / EARNING_RATIO;
	bool used_up;

	turn->seen = now;
	turn->used = RTE_MIN(turn->used, MAX_TURNS * limit);
	turn->used -= RTE_MIN(turn->used, earned);
	used_up = turn->used >= limit;
	if (used_up && !turn->used_up)
		vhost_quota_refused(turn->quota, QUOTA_TURN_MS);
	turn->used_up = used_up;
	return used_up;
}

/**
 * Note whose event it is, at turn->seen.  Event thread only.
 *
 * @return whether others wait, or come again soon: while only one registration is
 *         served there is no reason to stand aside
 */
static bool
note_event(const struct socket_turn *turn)
{
	static const struct socket_turn *last;	/* only to compare, may be gone */
	static uint64_t changed;

	if (turn != last)
		changed = turn->seen;
	last = turn;
	return turn->seen - changed < CONTEST_NS && vhost_event_loop_is_busy();
}

bool
vhost_turn_is_paused(struct socket_turn *turn)
{
	bool paused = vhost_quota_is_used_up(turn->quota, QUOTA_CLOSING_FDS);

	if (paused && !turn->paused)
		vhost_quota_refused(turn->quota, QUOTA_CLOSING_FDS);
	turn->paused = paused;
	return paused;
}

static enum turn_result
serve(struct turn_source *source)
{
	uint64_t start = vhost_turn_clock();
	enum turn_result result = source->ops->serve(source);

	vhost_turn_charge(source->turn, start);
	return result;
}

static void serve_waiting(struct event_timer *timer);

/** Have the first that waits served.  Lock held. */
static void
arm(struct socket_turn *turn, uint64_t delay_ms)
{
	if (turn->armed || turn->stopped || TAILQ_EMPTY(&turn->waiting))
		return;
	turn->armed = vhost_event_timer_arm(&turn->timer, delay_ms, serve_waiting) == 0;
}

/** Lock held. */
static void
wait_in_line(struct turn_source *source)
{
	if (source->leaving || source->turn->stopped)
		return;		/* who takes it away has it */
	TAILQ_INSERT_TAIL(&source->turn->waiting, source, link);
	source->waiting = true;
}

/** Lock held. */
static void
wait_no_more(struct turn_source *source)
{
	TAILQ_REMOVE(&source->turn->waiting, source, link);
	source->waiting = false;
}

/** From the loop into the queue. */
static void
set_aside(struct turn_source *source, uint64_t delay_ms)
{
	struct socket_turn *turn = source->turn;

	vhost_event_source_remove(&source->event);
	pthread_mutex_lock(&turn->lock);
	wait_in_line(source);
	arm(turn, delay_ms);
	pthread_mutex_unlock(&turn->lock);
}

static void
on_event(struct event_source *event, uint32_t events __rte_unused)
{
	struct turn_source *source = container_of(event, struct turn_source, event);
	bool used_up = is_used_up(source->turn);
	bool others = note_event(source->turn);

	/* A hang-up needs no look at the events: receiving tells, after what came before. */
	if (vhost_turn_is_paused(source->turn))
		set_aside(source, CLOSING_PAUSE_MS);
	else if (used_up && others)
		set_aside(source, 0);
	else if (serve(source) == TURN_END)
		source->ops->end(source);
}

/** Lock held. */
static int
watch(struct turn_source *source)
{
	return vhost_event_source_add(&source->event, source->fd, EPOLLIN, on_event);
}

/** From the queue back into the loop; if that is refused, to the end of the queue.  Lock held. */
static void
watch_again(struct turn_source *source)
{
	if (source->leaving || source->turn->stopped)
		return;
	if (watch(source) != 0)
		wait_in_line(source);
}

static struct turn_source *
take_first(struct socket_turn *turn)
{
	struct turn_source *source;

	pthread_mutex_lock(&turn->lock);
	source = TAILQ_FIRST(&turn->waiting);
	if (source != NULL)
		wait_no_more(source);
	pthread_mutex_unlock(&turn->lock);
	return source;
}

/** Where a source goes that was served from the queue; and on to the next one. */
static void
put_back(struct socket_turn *turn, struct turn_source *source, enum turn_result result)
{
	pthread_mutex_lock(&turn->lock);
	if (result == TURN_MORE)
		wait_in_line(source);
	else if (result == TURN_NOTHING)
		watch_again(source);
	arm(turn, 0);
	pthread_mutex_unlock(&turn->lock);
}

static void
serve_waiting(struct event_timer *timer)
{
	struct socket_turn *turn = container_of(timer, struct socket_turn, timer);
	struct turn_source *source = NULL;
	enum turn_result result;

	pthread_mutex_lock(&turn->lock);
	turn->armed = false;
	if (vhost_turn_is_paused(turn))
		arm(turn, CLOSING_PAUSE_MS);
	pthread_mutex_unlock(&turn->lock);
	if (!turn->paused)
		source = take_first(turn);
	if (source == NULL)
		return;
	result = serve(source);
	put_back(turn, source, result);
	if (result == TURN_END)
		source->ops->end(source);
}

void
vhost_turn_init(struct socket_turn *turn, struct vhost_quota *quota)
{
	pthread_mutex_init(&turn->lock, NULL);
	TAILQ_INIT(&turn->waiting);
	turn->quota = quota;
}

void
vhost_turn_fini(struct socket_turn *turn)
{
	pthread_mutex_destroy(&turn->lock);
}

int
vhost_turn_join(struct socket_turn *turn, struct turn_source *source, int fd,
		const struct turn_ops *ops)
{
	int ret;

	pthread_mutex_lock(&turn->lock);
	source->turn = turn;
	source->ops = ops;
	source->fd = fd;
	source->leaving = false;
	ret = watch(source);
	pthread_mutex_unlock(&turn->lock);
	return ret;
}

void
vhost_turn_leave(struct turn_source *source)
{
	struct socket_turn *turn = source->turn;

	if (turn == NULL)
		return;
	pthread_mutex_lock(&turn->lock);
	source->leaving = true;
	if (source->waiting)
		wait_no_more(source);
	pthread_mutex_unlock(&turn->lock);

	/* Whichever of both handlers has it, wait for that. */
	vhost_event_source_remove(&source->event);
	vhost_event_timer_cancel(&turn->timer);

	pthread_mutex_lock(&turn->lock);
	turn->armed = false;
	arm(turn, 0);
	pthread_mutex_unlock(&turn->lock);
}

void
vhost_turn_stop(struct socket_turn *turn)
{
	pthread_mutex_lock(&turn->lock);
	turn->stopped = true;
	pthread_mutex_unlock(&turn->lock);
	vhost_event_timer_cancel(&turn->timer);
}
