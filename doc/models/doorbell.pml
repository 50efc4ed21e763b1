/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Descriptors of the frontend: bursts write to one inside of the gate, others borrow it
 * outside; the owner replaces it and closes the old one; a hostile frontend fills it, so
 * that a write blocks, and whoever waits or looks after writers frees who is caught.
 *
 * check replaced: -DBURSTS=1 -DWAKERS=1 -DROUNDS=2: safety owner_is_done
 * check caught: -DBURSTS=1 -DWATCH -DFILLS=1 -DROUNDS=1: safety burst_is_freed
 * check caught_alone: -DBURSTS=1 -DFILLS=1 -DROUNDS=1: safety owner_is_done
 * check caught_outside: -DWAKERS=1 -DFILLS=2 -DROUNDS=1: safety owner_is_done
 * check caught_lcore: -DBURSTS=1 -DWATCH -DFILLS=2 -DROUNDS=0: safety burst_is_freed
 *
 * Of gate.c: vhost_gate_close(), vhost_gate_set_doorbell(), vhost_gate_borrow(),
 *	vhost_gate_give_back(), vhost_gate_free_writer(), vhost_gate_await_borrowers()
 * Of queue.c: wake_application(), show_doorbells(), put_callfd_in_force(), discard_fd(),
 *	shut_down()
 * Of doorbell.h: doorbell_has_room(), vhost_doorbell_ring(), vhost_doorbell_call_inside()
 * Of doorbell.c: vhost_doorbell_drain_eventfd()
 * Of notify_watch.c: look_at()
 *
 * Left out: that there are two doorbells of a queue, and pipes and sockets, which never
 * block.  Each fills of the frontend is one write; one that goes on for ever may catch
 * a writer as often as it is freed.  A full barrier that is missing lets the store and the
 * load beside it change places; the gate is as gate.pml has shown.
 *
 * A descriptor is a number, each used once; 0 is none.
 */

#ifndef BURSTS
#define BURSTS	0
#endif
#ifndef WAKERS
#define WAKERS	0
#endif
#ifndef FILLS
#define FILLS	0
#endif
#define FDS	4

/* struct vhost_gate */
bit taken;
bit closing;
byte borrowers;
byte doorbell = 1;

byte callfd = 1;		/* of the block */
byte opened = 1;		/* the last descriptor that was ever opened */
bool closed[FDS];
bool is_full[FDS];
bool asks_first;		/* vhost_doorbell_asks_first */
bool place;			/* of the lcore's struct doorbell_writer: it is inside of a write */
bit writes;			/* and how many it began */
bool caught;			/* a burst is, in a write */
bool is_done;			/* the owner */

inline write(fd)
{
	assert(!closed[fd]);		/* from here on the kernel has the file */
	!is_full[fd]
}

inline vhost_doorbell_ring(fd)
{
	if
	:: is_full[fd]			/* doorbell_has_room(); -EAGAIN */
	:: else -> write(fd)
	fi
}

/* A reader makes room, and then who was caught goes on; what was pending is so again. */
inline vhost_doorbell_drain_eventfd(fd)
{
	assert(!closed[fd]);
	if
	:: is_full[fd] -> is_full[fd] = false; asks_first = true
	:: else
	fi
}

inline vhost_gate_borrow(fd)
{
	/* G6 */
#ifdef FAULT_weak_g6	/* fault: replaced safety: the descriptor is read before it is borrowed */
	if
	:: borrowers++; fd = doorbell
	:: fd = doorbell; borrowers++
	fi
#else
#ifndef FAULT_no_borrower	/* fault: replaced safety: who uses a descriptor does not say so */
	borrowers++;
#endif
	fd = doorbell
#endif
}

inline vhost_gate_give_back()
{
#ifndef FAULT_no_borrower
	borrowers--
#else
	skip
#endif
}

inline vhost_gate_free_writer(fd)
{
	vhost_gate_borrow(fd);
	if
	:: fd != 0 -> vhost_doorbell_drain_eventfd(fd)
	:: else
	fi;
	fd = 0;
	vhost_gate_give_back()
}

/* A lcore: vhost_doorbell_call_inside(), between vhost_gate_enter() and _leave(). */
proctype burst()
{
	byte fd;

	do
	:: atomic { !closing && !taken -> taken = 1 };
		fd = callfd;
		if
		:: fd != 0 ->
			d_step { writes = 1 - writes; place = true };
			if
			:: asks_first -> vhost_doorbell_ring(fd)
			:: else -> caught = is_full[fd]; write(fd)
			fi;
			d_step { caught = false; place = false }
		:: else
		fi;
		fd = 0;
		taken = 0
	od
}

/* Any thread: wake_application(). */
proctype waker()
{
	byte fd;

	vhost_gate_borrow(fd);
	if
	:: fd != 0 -> vhost_doorbell_ring(fd)
	:: else
	fi;
	vhost_gate_give_back()
}

/* The event thread's timer: twice the same write under way. */
proctype watch()
{
	byte fd; bool seen_place; bit seen;

	do
	:: place && seen_place && seen == writes ->
#ifndef FAULT_no_watch		/* fault: caught_lcore burst_is_freed: nobody looks after lcores */
		vhost_gate_free_writer(fd)
#else
		skip
#endif
	:: else -> d_step { seen_place = place; seen = writes }
	od
}

inline vhost_gate_close()
{
	closing = 1;
	do
	:: atomic { !taken -> taken = 1 }; break
#ifndef FAULT_waits_only	/* fault: caught_alone owner_is_done: who waits frees nobody */
	:: taken -> vhost_gate_free_writer(lent)	/* is_stuck() */
#endif
	od
}

inline vhost_gate_open()
{
	d_step { taken = 0; closing = 0 }
}

inline vhost_gate_await_borrowers(fd)
{
	do
	:: borrowers == 0 -> break
#ifndef FAULT_awaits_only	/* fault: caught_outside owner_is_done: who waits frees no borrower */
	:: borrowers != 0 ->				/* is_stuck() */
		vhost_doorbell_drain_eventfd(fd);
#ifndef FAULT_drains_old	/* fault: caught_outside owner_is_done: who borrowed the new one is not freed */
		vhost_gate_free_writer(lent)
#endif
#endif
	od
}

/* show_doorbells() with another descriptor, and discard_fd() of the one before. */
inline replace(new)
{
	vhost_gate_close();
	old = callfd;
	callfd = new;
	/* G7 */
#ifdef FAULT_weak_g7	/* fault: replaced safety: borrowers are counted before the other one is in force */
	if
	:: doorbell = new; vhost_gate_open(); vhost_gate_await_borrowers(old)
	:: vhost_gate_open(); vhost_gate_await_borrowers(old); doorbell = new
	fi;
#else
#ifdef FAULT_closes_first	/* fault: replaced safety: it is closed before the other one is in force */
	vhost_gate_open(); vhost_gate_await_borrowers(old); closed[old] = true; doorbell = new;
#endif
	doorbell = new;
	vhost_gate_open();
#ifndef FAULT_no_wait	/* fault: replaced safety: it is closed while borrowers use it */
	vhost_gate_await_borrowers(old);
#endif
#endif
	closed[old] = true;
	old = 0
}

/* The control side; in the end the queue goes, with its descriptor. */
proctype owner()
{
	byte lent, old, n;

	do
	:: n < ROUNDS -> n++; opened++; replace(opened)
	:: else -> break
	od;
#if ROUNDS > 0
	replace(0);
#endif
	is_done = true
}

/* A hostile frontend; what it fills last may be no doorbell any more. */
proctype frontend()
{
	byte n;

	do
	:: n < FILLS -> n++; is_full[opened] = true
	:: n < FILLS -> n++; if :: opened > 1 -> is_full[opened - 1] = true :: else fi
	:: else -> break
	od
}

#define SEVERAL(count, who) \
	n = count; do :: n > 0 -> run who(); n-- :: else -> break od

init
{
	byte n;

	atomic {
		run owner();
		run frontend();
		SEVERAL(BURSTS, burst);
		SEVERAL(WAKERS, waker);
#ifdef WATCH
		run watch()
#endif
	}
}

ltl owner_is_done { <> is_done }
ltl burst_is_freed { [] (caught -> <> !caught) }
