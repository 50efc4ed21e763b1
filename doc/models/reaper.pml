/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The reaper: descriptors of two registrations are closed by threads that come and go; a
 * close of the hostile one may never end, which keeps nothing of the other one waiting,
 * nor who hands descriptors over.
 *
 * check stuck: -DHOSTILE=3 -DHONEST=1: safety all_closed callers_go_on
 * check stuck_2: -DHOSTILE=2 -DHONEST=1 -DSTUCK_MAX=2: safety
 * check honest: -DHOSTILE=0 -DHONEST=2 -DSTUCK_MAX=2: safety all_closed
 * check no_threads: -DHOSTILE=1 -DHONEST=1 -DREFUSALS=1: safety all_closed
 *
 * Of reaper.c: account_get(), account_free_if_idle(), account_is_ready(), account_next(),
 *	create_thread(), provide_thread(), on_retry(), serve(), wait_for_work(),
 *	reaper_main(), enqueue(), vhost_reap()
 *
 * Left out: what is harmless and closed at once, and that memory may be short.  All that
 * is shared is under one lock, so there are no barriers here.
 */

#ifndef STUCK_MAX
#define STUCK_MAX	1
#endif
#ifndef REFUSALS
#define REFUSALS	0
#endif
#define NONE		2

bool lock;
byte sleeping, woken;		/* of those who wait for reaper.work: all, and those signalled */

/* struct account: 0 is the hostile registration */
bool exists[2];
byte waiting[2], closing[2], closed[2];
byte first;			/* whose turn it is, if it is ready */

/* reaper */
byte free;
bool retry;			/* its timer is armed */
byte refusals;
byte threads, in_close;		/* that there are, and in close() */
byte callers = 2;

#define take_lock()	atomic { !lock -> lock = true }
#define give_lock()	lock = false

#ifdef FAULT_no_limit		/* fault: stuck safety: one registration may keep all threads */
#define account_is_ready(a)	(waiting[a] > 0)
#else
#define account_is_ready(a)	(waiting[a] > 0 && closing[a] < STUCK_MAX)
#endif
#define account_next()	(account_is_ready(first) -> first : \
	(account_is_ready(1 - first) -> 1 - first : NONE))

/* Lock held. */
inline provide_thread()
{
	if
	:: account_next() == NONE
	:: account_next() != NONE && free > 0 ->
		/* pthread_cond_signal() */
		if
		:: sleeping > woken -> woken++
		:: else
		fi
	:: account_next() != NONE && free == 0 ->
		/* create_thread() */
		if
		:: threads++; run reaper_main(); free++
		:: refusals < REFUSALS ->
			refusals++;
#ifndef FAULT_no_retry		/* fault: no_threads all_closed: nobody tries again to start a thread */
			retry = true
#endif
		fi
	fi
}

inline account_free_if_idle(a)
{
	if
#ifdef FAULT_frees_account	/* fault: honest safety: an account goes while a thread closes for it */
	:: waiting[a] == 0 -> exists[a] = false
#else
	:: waiting[a] == 0 && closing[a] == 0 -> exists[a] = false
#endif
	:: else
	fi
}

/* Lock held, released meanwhile. */
inline serve(a)
{
	d_step {
		assert(exists[a] && free > 0);
		waiting[a]--;
		first = 1 - a;
		closing[a]++;
		in_close++;
		assert(closing[a] <= STUCK_MAX)
	};
#ifdef FAULT_counts_itself	/* fault: stuck all_closed: who is about to close counts as free */
	provide_thread();
	free--;
#else
	free--;
#ifndef FAULT_closes_alone	/* fault: stuck all_closed: who closes leaves nobody to go on */
	provide_thread();
#endif
#endif
#ifndef FAULT_closes_locked	/* fault: stuck callers_go_on: a descriptor is closed under the lock */
	give_lock();
#endif
	if
	:: true
	:: a == 0 -> end_stuck: false
	fi;
#ifndef FAULT_closes_locked
	take_lock();
#endif
	d_step {
		assert(exists[a]);
		closed[a]++;
		free++;
		in_close--;
		closing[a]--
	};
	account_free_if_idle(a)
}

/* Whether work came in time; who is signalled just as its time is over may say either. */
inline wait_for_work(in_time)
{
	d_step { sleeping++; lock = false };
	if
	:: atomic { woken > 0 -> woken--; sleeping-- }; in_time = true
	:: atomic { woken > 0 -> woken--; sleeping-- }; in_time = false
	:: atomic { sleeping > woken -> sleeping-- }; in_time = false
	fi;
	take_lock()
}

proctype reaper_main()
{
	byte a = NONE; bool in_time;

	take_lock();
	do
	:: assert(free == threads - in_close);
		a = account_next();
		if
		:: a != NONE -> serve(a); a = NONE
		:: else ->
			wait_for_work(in_time);
			if
#ifdef FAULT_ends_blindly	/* fault: honest all_closed: who ends does not look once more */
			:: !in_time -> break
#else
			:: !in_time && account_next() == NONE -> break
#endif
			:: else
			fi
		fi
	od;
	free--;
	d_step { threads--; lock = false }
}

/* on_retry(), by the event loop. */
proctype timer()
{
end_idle:
	do
	:: retry -> retry = false; take_lock(); provide_thread(); give_lock()
	od
}

/* vhost_reap(), of one registration: any thread. */
proctype caller(byte a; byte n)
{
	do
	:: n > 0 ->
		n--;
		take_lock();
		d_step { exists[a] = true; waiting[a]++ };
		provide_thread();
		give_lock()
	:: else -> break
	od;
	callers--
}

init
{
	atomic {
		run timer();
		run caller(0, HOSTILE);
		run caller(1, HONEST)
	};
end_all:
	timeout;
	assert(closed[1] == HONEST && waiting[1] == 0 && !exists[1]);
	assert(waiting[0] == 0 || closing[0] == STUCK_MAX);
	assert(free == 0 && threads == in_close && closing[0] == in_close)
}

ltl all_closed { <> (closed[1] == HONEST) }
ltl callers_go_on { <> (callers == 0) }
