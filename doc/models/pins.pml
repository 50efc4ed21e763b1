/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Copies under way: what they need, guest memory, packets, and the ring that their chains
 * came from, stays until they have ended, whatever the owner does meanwhile: a relocation,
 * another memory map, the end of the queue; or the application, who unregisters.
 *
 * check moved: -DMOVES=1: safety owner_is_done
 * check remapped: -DREMAPS=1: safety owner_is_done orphans_end goes_on
 * check both: -DMOVES=1 -DREMAPS=1 -DPACKETS=1: safety
 * check ended: -DENDS: safety owner_is_done orphans_end
 * check unregistered: -DUNREGISTERS: safety
 * check failing: -DMOVES=0 -DFAILS -DOTHERS=1: safety
 *
 * Of dma_channel.h: dma_channel_is_done(), dma_channel_has_failed(), dma_channel_collect(),
 *	dma_channel_poll(), dma_batch_copy()
 * Of net_async.h: net_async_is_idle(), net_async_may_submit()
 * Of net_async.c: vhost_net_async_submit(), give(), vhost_net_async_drain(),
 *	vhost_net_async_bury(), vhost_net_async_hand_over(), vhost_net_async_inherit()
 * Of queue_async.c: finish_once(), finish(), give_up(), orphan(), on_timer(),
 *	vhost_queue_async_finish(), vhost_queue_async_resume(), vhost_queue_async_end(),
 *	vhost_queue_async_migrate(), vhost_queue_async_unregister()
 * Of settle.c: end_copies(), commit_device(), resume_copies(), vhost_settle_commit()
 *
 * Left out: chains and bursts of more than one, places in rings, and that copies of one
 * packet are several.  A device may stop for ever, before or in a copy.  The gate is as
 * gate.pml has shown; the channel's lock makes one step of what is done under it, but
 * for C2, which others read without it.
 *
 * Copies are numbers, from 1; a copy and its packet have the same.
 */

#ifndef MOVES
#define MOVES	0
#endif
#ifndef REMAPS
#define REMAPS	0
#endif
#ifndef OTHERS
#define OTHERS	0
#endif
#ifndef PACKETS
#define PACKETS	2
#endif
#define NONE	255
#define AREAS	4

/* struct dma_channel, and the device behind it */
byte submitted, done, nfailed;
byte ended;			/* copies that the device has made, or failed at */
byte failed;			/* the one that failed, as the device knows */

/* packets */
bool copied[PACKETS + 1];
bool returned[PACKETS + 1];	/* the application's again, or freed */
byte map_of[PACKETS + 1];	/* guest memory that it is copied to, and that its ring is in */

/* struct net_async: the packets from 'first' on that are not 'given', up to 'last' */
byte first[AREAS], last[AREAS];
bool closed[AREAS], freed[AREAS];
byte areas;			/* that were ever made */

/* a queue: its gate, its block's map, its area; what has a reference to a map */
bit taken, closing;
byte map = 1;
byte async;
byte refs[3] = { 0, 1, 0 };
byte orphaned = NONE, orphan_map;
bool is_done;

#define vhost_gate_enter()	atomic { !closing && !taken -> taken = 1 }
#define vhost_gate_leave()	taken = 0
#define vhost_gate_close()	closing = 1; atomic { !taken -> taken = 1 }
#define vhost_gate_open()	d_step { taken = 0; closing = 0 }

/* Any thread that has a channel: others have queues that share it. */
inline dma_channel_poll()
{
#ifdef FAULT_weak_c2	/* fault: failing safety: copies are done before it is noted that one failed */
	if
	:: d_step { done = ended; }; nfailed = (failed != 0 && failed <= done)
	:: d_step { nfailed = (failed != 0 && failed <= ended); done = ended }
	fi
#else
	atomic { at = ended; nfailed = (failed != 0 && failed <= at) };
	d_step { done = (at > done -> at : done); at = 0 }	/* C2 */
#endif
}

/* is_done() and has_failed(); a copy that has failed is made again. */
inline look_at(p)
{
#ifdef FAULT_weak_c1	/* fault: failing safety: it is asked whether one failed before they are done */
	again = nfailed != 0;
	ready = done >= p;
#else
	ready = done >= p;		/* C1 */
	again = nfailed != 0;
#endif
	if
	:: ready && again && failed == p ->
		assert(refs[map_of[p]] > 0);
		copied[p] = true
	:: else
	fi
}

/* The first of an area goes back to the ring in place, and to the application. */
inline give(a)
{
	d_step {
		p = first[a];
		assert(!freed[a] && copied[p] && !returned[p]);
		assert(map != 0 && map_of[p] == map);
		returned[p] = true;
		first[a]++;
		p = 0; ready = false; again = false
	}
}

/* All that is done: vhost_net_async_drain(), vhost_net_async_poll() */
inline drain(a)
{
	do
	:: first[a] <= last[a] ->
		dma_channel_poll();
		look_at(first[a]);
		if
		:: ready -> give(a)
		:: else -> again = false; break
		fi
	:: else -> break
	od
}

/* A lcore: submits, and polls. */
proctype poller()
{
	byte p, at; bool ready, again;

end_polling:
	do
	:: submitted < PACKETS ->
		vhost_gate_enter();
		if
		:: async != NONE && map != 0 && !closed[async] ->
			d_step {
				assert(!freed[async]);
				submitted++;
				map_of[submitted] = map;
				if
				:: first[async] > last[async] -> first[async] = submitted
				:: else
				fi;
				last[async] = submitted
			}
		:: else
		fi;
		vhost_gate_leave()
	:: async != NONE && first[async] <= last[async] &&
			(done < ended || done >= first[async]) ->
		vhost_gate_enter();
		if
		:: async != NONE -> drain(async)
		:: else
		fi;
		vhost_gate_leave()
	od
}

/* A lcore with another queue. */
proctype other()
{
	byte at;

end_polling:
	do
	:: done < ended -> dma_channel_poll()
	od
}

/* The device copies, in this order: at some time, or never. */
proctype device()
{
	byte p;

end_idle:
	do
	:: ended < submitted ->
		p = ended + 1;
		assert(refs[map_of[p]] > 0 && !returned[p]);
		if
		:: d_step { copied[p] = true; assert(refs[map_of[p]] > 0 && !returned[p]); ended = p }
#ifdef FAILS
		:: failed == 0 -> d_step { failed = p; ended = p }
#endif
		:: break			/* stuck */
		fi
	od
}

/* Where an area is that no queue has any more: whether it is empty. */
inline vhost_net_async_bury(a)
{
	do
	:: first[a] <= last[a] ->
		dma_channel_poll();
		if
#ifdef FAULT_buried_alive	/* fault: ended safety: packets are freed while they are copied */
		:: true ->
#else
		:: done >= first[a] ->
#endif
			d_step { assert(!returned[first[a]]); returned[first[a]] = true; first[a]++ }
#ifndef FAULT_buried_alive
		:: else -> break
#endif
		fi
	:: else -> break
	od
}

inline orphan(a)
{
	vhost_net_async_bury(a);
	if
	:: first[a] > last[a] -> freed[a] = true
	:: else ->
#ifndef FAULT_no_reference	/* fault: remapped safety: the map goes though copies are under way */
		refs[map]++;
#endif
		d_step { orphan_map = map; orphaned = a }
	fi
}

/* The timer that looks after orphans. */
proctype timer()
{
	byte at;

end_idle:
	do
	:: orphaned != NONE && done < ended || orphaned != NONE && done >= first[orphaned] ->
		vhost_net_async_bury(orphaned);
		if
		:: first[orphaned] > last[orphaned] ->
			d_step { freed[orphaned] = true; refs[orphan_map]--; orphaned = NONE }
		:: else
		fi
	od
}

inline make_area(a, is_closed)
{
	d_step { areas++; a = areas; first[a] = 1; last[a] = 0; closed[a] = is_closed }
}

/* finish(): until nothing is under way, or the deadline has passed. */
inline finish()
{
	do
	:: vhost_gate_close();
		if
		:: async != NONE ->
#ifndef FAULT_stays_open	/* fault: remapped safety: packets are submitted when copies have been ended */
			closed[async] = true;
#endif
			drain(async);
			idle = first[async] > last[async]
		:: else -> idle = true
		fi;
		vhost_gate_open();
		if
		:: idle -> break
		:: !idle -> break		/* the deadline */
		:: !idle && done < ended	/* not yet */
		fi
	od
}

inline give_up()
{
	make_area(fresh, true);
	vhost_gate_close();
	a = async;
	async = fresh;
	vhost_gate_open();
	orphan(a)
}

/* A settle that replaces the memory map, and with it the ring. */
inline remap()
{
#ifndef FAULT_not_ended		/* fault: remapped safety: copies go on while map and ring are replaced */
	if
	:: async != NONE ->
		finish();
		if
		:: !idle -> give_up()
		:: else
		fi
	:: else
	fi;
#endif
	refs[2]++;
	vhost_gate_close();
	map = 2;
	vhost_gate_open();
	refs[1]--;
#ifndef FAULT_stays_closed	/* fault: remapped goes_on: nothing is submitted any more */
	vhost_gate_close();
	if
	:: async != NONE -> closed[async] = false
	:: else
	fi;
	vhost_gate_open()
#endif
}

/* The area follows the block to another node: vhost_queue_async_migrate() */
inline migrate()
{
	make_area(fresh, false);
#ifdef FAULT_copied_outside	/* fault: moved safety: the area is copied while bursts change it */
	a = async;
	d_step { first[fresh] = first[a]; last[fresh] = last[a]; closed[fresh] = closed[a] };
	vhost_gate_close();
#else
	vhost_gate_close();
	a = async;
	d_step { first[fresh] = first[a]; last[fresh] = last[a]; closed[fresh] = closed[a] };
#endif
	async = fresh;
	vhost_gate_open();
	freed[a] = true
}

/* The queue goes: vhost_queue_async_end(), then its block and the map. */
inline end_queue()
{
	finish();
	vhost_gate_close();
	a = async;
	async = NONE;
	vhost_gate_open();
	orphan(a);
	vhost_gate_close();
	p = map;
	map = 0;
	vhost_gate_open();
	refs[p]--;
	p = 0
}

/* The application, who registers again at once: vhost_queue_async_unregister() */
inline unregister()
{
	a = NONE;
	vhost_gate_close();
	if
#ifndef FAULT_forgets_copies	/* fault: unregistered safety: an area goes with packets in flight */
	:: first[async] <= last[async]		/* -EBUSY */
	:: first[async] > last[async] -> a = async; async = NONE
#else
	:: a = async; async = NONE
#endif
	fi;
	vhost_gate_open();
	if
	:: a != NONE ->
		freed[a] = true;
		make_area(fresh, false);
		vhost_gate_close();
		async = fresh;
		vhost_gate_open()
	:: else
	fi
}

proctype owner()
{
	byte a, fresh, p, at, moves; bool idle, ready, again;

#if REMAPS
	remap();
#endif
	do
	:: moves < MOVES -> moves++; migrate()
	:: else -> break
	od;
#ifdef UNREGISTERS
	unregister();
#endif
#ifdef ENDS
	end_queue();
#endif
	is_done = true
}

init
{
	byte n;

	atomic {
		first[0] = 1;
		run owner();
		run poller();
		run device();
		run timer();
#if OTHERS
		run other()
#endif
	};
end_all:
	timeout;
	/* the device is idle or stuck: what it has done has come back */
	for (n : 1 .. PACKETS) {
		assert(returned[n] || n > ended)
	}
}

ltl owner_is_done { <> is_done }
ltl goes_on { <> (submitted == PACKETS) }
ltl orphans_end { [] (orphaned != NONE && ended == submitted -> <> (orphaned == NONE)) }
