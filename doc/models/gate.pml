/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The gate of a queue: bursts, an owner who swaps, patches, shuts down and begins again,
 * others who close it as well (statistics, rte_vhost_enable_guest_notification()) or come
 * in between bursts (rte_vhost_vring_call()), and an application that sleeps until a kick.
 *
 * Of gate.h: vhost_gate_leave(), gate_try_take(), gate_entered(), vhost_gate_enter(),
 *	vhost_gate_try_enter(), vhost_gate_enter_if_free()
 * Of gate.c: vhost_gate_wait(), vhost_gate_try_again(), count_down(), vhost_gate_close(),
 *	vhost_gate_open(), vhost_gate_leave_and_look()
 * Of queue.c: open_gate(), leave_gate(), swap_block(), vhost_queue_commit(), shut_down(),
 *	vhost_queues_shut_down(), vhost_queue_notify(), wake_application()
 *
 * Left out: who is caught in a write (doorbell.pml), how long anybody sleeps, and what is
 * in a block: two numbers stand for all blocks, and 'frames' for what is in the ring.
 *
 * Weak memory: 'sees' says whether a thread sees all that was done inside, and
 * 'published' whether who acquires 'taken' will.  A full barrier that is missing lets the
 * store and the load beside it change places.
 */

/*
 * check to_guest: -DENQUEUERS=1 -DROUNDS=3: safety owner_gets_in opened
 * check to_guest_4: -DENQUEUERS=2 -DVISITORS=1: safety owner_gets_in opened
 * check from_guest: -DDEQUEUERS=1 -DCLOSERS=1 -DROUNDS=1: safety owner_gets_in
 * check from_guest_4: -DDEQUEUERS=2 -DCLOSERS=1 -DROUNDS=1: safety
 * check asleep: -DSLEEPERS=1 -DROUNDS=2: safety
 * check asleep_closer: -DSLEEPERS=1 -DCLOSERS=1 -DROUNDS=1: safety
 * check asleep_visitor: -DSLEEPERS=1 -DVISITORS=1 -DROUNDS=1: safety
 */

#ifndef ENQUEUERS
#define ENQUEUERS	0	/* poll in the direction of the guest, without end */
#endif
#ifndef DEQUEUERS
#define DEQUEUERS	0	/* poll in the other one */
#endif
#ifndef SLEEPERS
#define SLEEPERS	0	/* poll as long as there is something */
#endif
#ifndef CLOSERS
#define CLOSERS		0
#endif
#ifndef VISITORS
#define VISITORS	0
#endif
#ifndef ROUNDS
#define ROUNDS		2	/* of the owner */
#endif
#ifndef FRAMES
#define FRAMES		1	/* from the guest, to a sleeper */
#endif
#define NONE		0

/* struct vhost_gate */
bit taken;
byte closing;
byte block = 1;
bool turned_away;

bool alive[3] = { false, true, false };	/* blocks that were not destroyed */
byte inside;				/* threads that use the block */
bool sees[8] = true;
bool published = true;
byte frames;				/* in the ring */
bool kick;				/* pending on the kick descriptor */
byte owners_left = 1 + CLOSERS;

/* Use the block: nobody else does, it is there, and all that was done before is seen. */
inline use(b)
{
	atomic { inside++; assert(inside == 1 && alive[b] && sees[_pid]) }
	d_step {
		assert(inside == 1 && alive[b]);
		inside--;
		sees[0] = false; sees[1] = false; sees[2] = false; sees[3] = false;
		sees[4] = false; sees[5] = false; sees[6] = false; sees[7] = false;
		sees[_pid] = true;
		published = false
	}
}

inline vhost_gate_leave()
{
	d_step {
		taken = 0; b = NONE; ok = false;
#ifndef FAULT_weak_g2		/* fault: to_guest safety: whoever enters next may not see what was done */
		published = sees[_pid]	/* G2 */
#endif
	}
}

/* The exchange of gate_try_take() and vhost_gate_close(): acquires if it succeeds. */
inline take(ok, acquires)
{
	d_step {
		ok = !taken;
		if
		:: ok -> taken = 1; sees[_pid] = sees[_pid] || (acquires && published)
		:: else
		fi
	}
}

#ifdef FAULT_weak_g1		/* fault: to_guest safety: a burst may not see what was done before */
#define G1_ACQUIRES false
#else
#define G1_ACQUIRES true	/* G1 */
#endif
#ifdef FAULT_weak_g3		/* fault: to_guest safety: the owner may not see what bursts did */
#define G3_ACQUIRES false
#else
#define G3_ACQUIRES true	/* G3 */
#endif

inline gate_entered()
{
	b = block;
	if
	:: b == NONE -> vhost_gate_leave()
	:: else
	fi
}

/* vhost_gate_enter() and vhost_gate_wait() */
inline vhost_gate_enter()
{
	do
	:: ok -> break
	:: else ->
#ifndef FAULT_greedy_burst	/* fault: to_guest owner_gets_in: bursts enter though somebody waits */
		closing == 0;
#endif
		take(ok, G1_ACQUIRES)
	od;
	gate_entered()
}

/* vhost_gate_try_enter() and vhost_gate_try_again() */
inline vhost_gate_try_enter()
{
	if
	:: closing == 0 -> take(ok, G1_ACQUIRES)
	:: else
	fi;
	if
	:: ok
	:: else ->
		/* G4 */
#ifdef FAULT_weak_g4		/* fault: asleep safety: the look comes before the mark */
		if
		:: turned_away = true; is_open = (closing == 0)
		:: is_open = (closing == 0); turned_away = true
		fi;
#else
#ifndef FAULT_no_mark		/* fault: asleep safety: nobody hears of a burst that is turned away */
		turned_away = true;
#endif
		is_open = (closing == 0);
#endif
		if
		:: is_open -> take(ok, G1_ACQUIRES)
		:: else
		fi
	fi;
	if
	:: ok -> gate_entered()
	:: else
	fi
}

inline vhost_gate_enter_if_free()
{
	if
	:: closing == 0 -> take(ok, G1_ACQUIRES)
	:: else
	fi;
	if
	:: ok -> gate_entered()
	:: else
	fi
}

inline vhost_gate_close()
{
#ifndef FAULT_no_announcement	/* fault: to_guest owner_gets_in: the owner does not say that it waits */
	closing++;
#endif
	do
	:: atomic { !taken -> take(ok, G3_ACQUIRES) }; break
#ifndef FAULT_announces_once	/* fault: from_guest owner_gets_in: it may be counted down by who is late */
#ifndef FAULT_no_announcement
	:: closing == 0 -> closing++
#endif
#endif
	od;
#ifdef FAULT_no_announcement
	closing++;
#endif
	b = block
}

inline count_down()
{
	d_step {
		if
#ifdef FAULT_below_zero		/* fault: asleep_closer safety: zeros are counted down */
		:: true -> closing--
#else
		:: closing > 0 -> closing--
		:: else
#endif
		fi
	}
}

inline vhost_gate_open(was)
{
#ifdef FAULT_leave_last		/* fault: asleep safety: the gate looks open before it is free */
	count_down();
	was = turned_away;
	turned_away = false;
	vhost_gate_leave();
#else
	/* G5 */
#ifdef FAULT_weak_g5		/* fault: asleep safety: the owner looks for the mark before it opens */
	vhost_gate_leave();
	if
	:: count_down(); was = turned_away
	:: was = turned_away; count_down()
	fi;
#else
#ifdef FAULT_weak_zero		/* fault: asleep_closer safety: the count alone is in order, and it may be 0 */
	if
	:: closing == 0 -> was = turned_away; vhost_gate_leave()
	:: closing > 0 -> vhost_gate_leave(); count_down(); was = turned_away
	fi;
#else
	vhost_gate_leave();
	count_down();
	was = turned_away;
#endif
#endif
	if
	:: was -> d_step { was = turned_away; turned_away = false }
	:: else
	fi
#endif
}

inline vhost_gate_leave_and_look(was)
{
	/* G8 */
#ifdef FAULT_weak_g8		/* fault: asleep_visitor safety: who leaves looks for the mark before */
	if
	:: vhost_gate_leave(); was = turned_away
	:: was = turned_away; vhost_gate_leave()
	fi;
#else
	vhost_gate_leave();
#ifndef FAULT_no_look		/* fault: asleep_visitor safety: who leaves does not look for the mark */
	was = turned_away;
#endif
#endif
	if
	:: was -> d_step { was = turned_away; turned_away = false }
	:: else
	fi
}

/* open_gate() and wake_application(); has_work() is 'frames > 0' */
inline open_gate()
{
	vhost_gate_open(was);
#ifdef FAULT_looks_for_ever	/* fault: from_guest owner_gets_in: as long as a burst is turned away */
	do
	:: was && !wake ->
		vhost_gate_close();
		wake = (b != NONE && frames > 0);
		vhost_gate_open(was)
	:: else -> break
	od;
#else
#ifndef FAULT_no_second_look	/* fault: asleep safety: the owner does not look in place of the burst */
	if
	:: was && !wake ->
		vhost_gate_close();
		wake = (b != NONE && frames > 0);
		vhost_gate_open(was);
#ifndef FAULT_one_look_only	/* fault: asleep safety: a burst that the look turned away is forgotten */
		wake = wake || was
#endif
	:: else
	fi;
#endif
#endif
	was = false;
	if
	:: wake -> kick = true; wake = false
	:: else
	fi
}

/* A settle that replaces the block; the new one was staged before. */
inline vhost_queue_commit()
{
	new = (block == 1 -> 2 : 1);
	alive[new] = true;
#ifdef FAULT_destroys_first	/* fault: to_guest safety: the old block goes before the gate is closed */
	old = block; alive[old] = false;
#endif
	vhost_gate_close();
	old = b;
	if
	:: old != NONE -> use(old)		/* vhost_block_inherit() */
	:: else -> wake = (frames > 0)		/* vhost_block_request_kicks(): it starts */
	fi;
	block = new;
	use(new);
	open_gate();
	d_step { alive[old] = false; old = NONE; new = NONE }	/* vhost_block_destroy() */
}

/* The queue goes, and its handle is used again; zeros come by the kernel, for all at once. */
inline vhost_queues_shut_down()
{
	vhost_gate_close();
	old = b;
#ifndef FAULT_keeps_block	/* fault: to_guest safety: who is late finds the block that was destroyed */
	block = NONE;
#endif
	alive[old] = false;
	d_step {
		b = NONE; ok = false; old = NONE;
#ifdef FAULT_half_clear		/* fault: to_guest opened: the word is cleared, its count is not */
		taken = 0; turned_away = false; published = true
#else
		taken = 0; closing = 0; turned_away = false; published = true
#endif
	}
}

proctype enqueuer()
{
	byte b, kept; bool ok;

	do
	:: vhost_gate_enter();
		if
		:: b != NONE ->
			use(b);
#ifdef FAULT_late_use		/* fault: to_guest safety: a burst uses the block when it has left */
			kept = b;
			vhost_gate_leave();
			use(kept)
#else
			vhost_gate_leave()
#endif
		:: else
		fi
	od
}

proctype dequeuer()
{
	byte b; bool ok, is_open;

	do
	:: vhost_gate_try_enter();
		if
		:: b != NONE -> use(b); vhost_gate_leave()
		:: else
		fi
	od
}

/* An application that sleeps on the kick descriptor when there was nothing. */
proctype sleeper()
{
	byte b; bool ok, is_open, any;

	do
	:: vhost_gate_try_enter();
		any = false;
		if
		:: b != NONE ->
			use(b);
			d_step { any = frames > 0; frames = 0 };
			vhost_gate_leave()
		:: else
		fi;
		if
		:: any
		:: else ->
end_asleep:
			atomic { kick -> kick = false }
		fi
	od
}

/* The driver wants no kick suppressed. */
proctype guest()
{
	byte n;

	for (n : 1 .. FRAMES) {
		frames++;
		kick = true
	}
}

/* vhost_queue_stats(), vhost_queue_set_kicks() and others like them: any thread. */
proctype closer()
{
	byte b; bool ok, was, wake;

	vhost_gate_close();
	if
	:: b != NONE -> use(b)
	:: else
	fi;
	open_gate();
	owners_left--
}

/*
 * vhost_queue_notify() and leave_gate(): any thread.  One that finds the gate taken is as
 * a closer.
 */
proctype visitor()
{
	byte b; bool ok, was;

	vhost_gate_enter_if_free();
	if
	:: b != NONE ->
		use(b);
		vhost_gate_leave_and_look(was);
		if
		:: was -> kick = true
		:: else
		fi
	:: else
	fi
}

/* The control side, under the device's control lock. */
proctype owner()
{
	byte b, old, new, n; bool ok, was, wake;

	for (n : 1 .. ROUNDS) {
		if
		:: vhost_queue_commit()
		:: vhost_gate_close(); use(b); open_gate()	/* attributes */
		:: vhost_queues_shut_down(); vhost_queue_commit()
		fi
	}
	owners_left--
}

#define SEVERAL(count, who) \
	n = count; do :: n > 0 -> run who(); n-- :: else -> break od

init
{
	byte n;

	atomic {
		run owner();
		SEVERAL(ENQUEUERS, enqueuer);
		SEVERAL(DEQUEUERS, dequeuer);
		SEVERAL(SLEEPERS, sleeper);
		SEVERAL(SLEEPERS, guest);
		SEVERAL(CLOSERS, closer);
		SEVERAL(VISITORS, visitor)
	};
end_all:
	timeout;		/* all sleep or have ended: nothing is lost, and the gate is open */
	assert(frames == 0 && closing == 0 && !taken)
}

ltl owner_gets_in { <> (owners_left == 0) }
ltl opened { <> [] (closing == 0) }
