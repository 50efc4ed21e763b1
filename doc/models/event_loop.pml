/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The event loop: sources are added, removed and freed by other threads and by handlers,
 * while the loop waits, and between the kernel's answer and their turn; and a timer.
 *
 * check reused: -DUSERS=1 -DTIMES=2: safety removed served
 * check two_threads: -DUSERS=2 -DTIMES=1: safety
 * check handlers: -DUSERS=1 -DTIMES=2 -DHANDLERS_ACT: safety removed
 * check timer: -DUSERS=0 -DTIMES=0 -DTIMER: safety fires
 *
 * Of event_loop.c: slot_take(), slot_give_back(), slot_data(), slot_source(),
 *	set_timer_fd(), prepare_wait(), handler_returned(), take_due_timer(), run_timer(),
 *	run_source(), serve(), loop_main(), add_locked(), vhost_event_source_add(),
 *	source_forget(), vhost_event_source_remove(), timer_forget(),
 *	vhost_event_timer_arm(), vhost_event_timer_cancel()
 *
 * Left out: how slots grow, level-triggered sources, which the kernel tells of once more,
 * and all timers but one.  What is done under the lock without waiting is one step.
 *
 * Sources and their descriptors are numbers; source 2 is the second thread's.
 */

#define SOURCES		3
#define SLOTS		2
#define NONE		255
#define TIMER_DATA	254	/* in place of a slot; and as what runs */

/* the kernel: descriptors that are ready, edges it has not told of, its event data */
bool ready[SOURCES], watched[SOURCES], edge[SOURCES];
byte data_slot[SOURCES], data_generation[SOURCES];

/* struct event_source */
bool added[SOURCES];		/* handle is not NULL */
byte slot_of[SOURCES];
bool alive[SOURCES] = true;	/* not freed by its owner */

/* loop, and its slots */
bool lock;
byte source_at[SLOTS] = NONE;
byte generation[SLOTS];
byte running = NONE;
bool waiting[2];		/* threads at loop.idle */
byte waits_for[2] = NONE;	/* threads in vhost_event_source_remove(), for 'removed' */

/* the timer, the time, and the timerfd */
bool armed, timer_lives = true;
byte due, time, timer_fd_ms, expires_at;
bool timer_edge;

#define take_lock()	atomic { !lock -> lock = true }
#define give_lock()	lock = false

inline vhost_event_source_add(s)
{
	d_step {
		i = 0;
		do
		:: source_at[i] != NONE -> i++
		:: else -> break
		od;
		source_at[i] = s; slot_of[s] = i;
		data_slot[s] = i; data_generation[s] = generation[i];
		watched[s] = true; edge[s] = ready[s];
		added[s] = true;
		i = 0
	}
}

/* Lock held. */
inline source_forget(s)
{
	d_step {
		if
		:: added[s] ->
			watched[s] = false; edge[s] = false;
			added[s] = false;
			source_at[slot_of[s]] = NONE;
#ifndef FAULT_no_generation	/* fault: reused safety: an event of before reaches who has the slot now */
			generation[slot_of[s]]++;
#endif
			slot_of[s] = 0
		:: else
		fi
	}
}

/* By another thread than the loop's, number 'me'. */
inline vhost_event_source_remove(s)
{
	waits_for[me] = s;
	take_lock();
	source_forget(s);
#ifndef FAULT_no_wait		/* fault: reused safety: nobody waits for a handler that runs */
	do
	:: running == s ->
		d_step { waiting[me] = true; lock = false };
		!waiting[me];
		take_lock();
#ifndef FAULT_forgets_once	/* fault: handlers safety: what the handler has added again stays */
		source_forget(s)
#endif
	:: else -> break
	od;
#endif
	waits_for[me] = NONE;
	give_lock()
}

/* By a handler. */
inline remove_inside(s)
{
	take_lock();
	source_forget(s);
#ifdef FAULT_waits_for_itself	/* fault: handlers safety: the loop's thread waits for itself */
	running != s;
#endif
	give_lock()
}

inline handler_returned()
{
	running = NONE;
#ifndef FAULT_no_broadcast	/* fault: reused removed: who waits for a handler is not told of its end */
	d_step { waiting[0] = false; waiting[1] = false }
#endif
}

/* A handler of a source reads all there is. */
inline handle(s)
{
	assert(alive[s] && s == meant);
	ready[s] = false;
#ifdef HANDLERS_ACT
	if
	:: true
	:: remove_inside(s)
	:: other = 1 - s; remove_inside(other); other = 0
	:: atomic { !lock && !added[s] -> lock = true }; vhost_event_source_add(s); give_lock()
	fi;
#endif
	assert(alive[s])
}

/* Lock held, released meanwhile. */
inline run_source(s)
{
#ifdef FAULT_runs_unnamed	/* fault: reused safety: a handler is not named before the lock is left */
	give_lock();
	running = s;
#else
	running = s;
	give_lock();
#endif
	handle(s);
	take_lock();
	handler_returned()
}

inline serve(k)
{
	meant = ev_meant[k];
	s = NONE;
	if
	:: ev_slot[k] == TIMER_DATA ->
#ifndef FAULT_stays_set		/* fault: timer fires: the timerfd counts as set when it has expired */
		timer_fd_ms = 0
#else
		skip
#endif
	:: else ->
		if
		:: generation[ev_slot[k]] == ev_generation[k] -> s = source_at[ev_slot[k]]
		:: else
		fi
	fi;
	if
	:: s != NONE -> run_source(s)
	:: else
	fi
}

/* timerfd_settime() of a time that has passed expires at once. */
inline set_timer_fd()
{
	d_step {
		if
		:: !armed || (timer_fd_ms != 0 && timer_fd_ms <= due)
		:: else ->
			timer_fd_ms = due;
			timer_edge = (due <= time);
			expires_at = (due <= time -> 0 : due)
		fi
	}
}

inline run_timer()
{
	if
	:: armed && due <= time ->
		d_step { armed = false; due = 0; running = TIMER_DATA; lock = false };
		assert(timer_lives);
		assert(timer_lives);
		take_lock();
		handler_returned()
	:: else
	fi
}

#define epoll_tells(s)	edge[s] -> \
	d_step { edge[s] = false; ev_slot[n] = data_slot[s]; \
		ev_generation[n] = data_generation[s]; ev_meant[n] = s; n++ }

active proctype loop_main()
{
	byte ev_slot[4], ev_generation[4], ev_meant[4], n, k, s, meant, other, i; bool at_once;

	take_lock();
end_waits:
	do
	:: true ->
		if
		:: armed && due <= time -> at_once = true
		:: else -> at_once = false; set_timer_fd()
		fi;
		give_lock();
end_idle:
		/* epoll_wait() */
		at_once || edge[0] || edge[1] || edge[2] || timer_edge;
		atomic {
			if :: epoll_tells(0) :: else fi;
			if :: epoll_tells(1) :: else fi;
			if :: epoll_tells(2) :: else fi;
			if
			:: timer_edge -> timer_edge = false; ev_slot[n] = TIMER_DATA; n++
			:: else
			fi
		};
		take_lock();
		do
		:: k < n -> serve(k); k++
		:: else -> break
		od;
		run_timer();
		d_step {
			n = 0; k = 0; s = 0; meant = 0;
			ev_slot[0] = 0; ev_slot[1] = 0; ev_slot[2] = 0; ev_slot[3] = 0;
			ev_generation[0] = 0; ev_generation[1] = 0; ev_generation[2] = 0;
			ev_meant[0] = 0; ev_meant[1] = 0; ev_meant[2] = 0
		}
	od
}

/* Peers make descriptors ready. */
proctype peer(byte s)
{
	byte n;

	do
	:: n < TIMES -> n++;
		d_step { ready[s] = true; edge[s] = watched[s] }
	:: else -> break
	od
}

/* A source, then another one, perhaps with its slot. */
proctype user()
{
	byte i; byte me = 0;

	take_lock(); vhost_event_source_add(0); give_lock();
	vhost_event_source_remove(0);
	alive[0] = false;
	take_lock(); vhost_event_source_add(1); give_lock();
	vhost_event_source_remove(1);
	alive[1] = false
}

proctype second_user()
{
	byte i; byte me = 1;

	take_lock(); vhost_event_source_add(2); give_lock();
	vhost_event_source_remove(2);
	alive[2] = false
}

#ifdef TIMER
active proctype clock()
{
	do
	:: time < 3 ->
		d_step {
			time++;
			if
			:: expires_at != 0 && expires_at <= time -> expires_at = 0; timer_edge = true
			:: else
			fi
		}
	:: else -> break
	od
}

/* Arms the timer, late or soon, perhaps once more, and perhaps cancels it. */
active proctype arms()
{
	byte n;

	for (n : 1 .. 2) {
		take_lock();
		armed = true;
		if :: due = 1 :: due = 3 fi;
#ifndef FAULT_arms_silently	/* fault: timer fires: the loop that waits is not told of a timer */
		set_timer_fd();
#endif
		give_lock()
	};
	if
	:: true
	:: take_lock();
		d_step { armed = false; due = 0 };
#ifndef FAULT_cancels_only	/* fault: timer safety: nobody waits for a timer's handler */
		do
		:: running == TIMER_DATA ->
			d_step { waiting[0] = true; lock = false };
			!waiting[0];
			take_lock();
			d_step { armed = false; due = 0 }
		:: else -> break
		od;
#endif
		timer_lives = false;
		give_lock()
	fi
}
#endif

init
{
	atomic {
#if USERS > 0
		run user();
		run peer(0);
		run peer(1);
#endif
#if USERS > 1
		run second_user();
		run peer(2);
#endif
		skip
	}
}

ltl removed { [] (waits_for[0] != NONE -> <> (waits_for[0] == NONE)) }
ltl served { [] (watched[1] && ready[1] -> <> (!watched[1] || !ready[1])) }
ltl fires { [] (armed -> <> !armed) }
