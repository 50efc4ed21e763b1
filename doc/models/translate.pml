/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Translations of a guest with an IOMMU: what the frontend has taken back, and has our
 * acknowledgement for, no burst uses any more; and whoever needs a translation gets it.
 *
 * check two_queues: -DQUEUES=2 -DROUNDS=1: safety
 * check one_queue: -DQUEUES=1 -DROUNDS=2: safety answered
 * check moves: -DQUEUES=1 -DROUNDS=2 -DMOVES: safety answered
 * check new_queue: -DQUEUES=2 -DROUNDS=1 -DLATE -DREFUSES: safety
 *
 * Of vu_on_iotlb.c: update(), invalidate()
 * Of settle.c: commit_iotlb(), vhost_settle_commit()
 * Of virtio_net.c: vhost_virtio_net_translate()
 * Of queue.c: vhost_queue_translate(), vhost_queue_commit()
 * Of ring_iova.c: vhost_ring_iova_init(), vhost_ring_iova_show(), forget(), want()
 * Of burst_iova.c: translations(), wait_for_answer(), leave_and_ask(),
 *	vhost_burst_iova_enqueued()
 *
 * Left out: all pages but one, all replicas but one, and that a burst loses patience or
 * asks again after a second.  The gate is as gate.pml has shown: who is inside has the
 * block alone, sees what was done before, and lets nobody wait who closes it.  So the
 * order of I1 and I2 is here that of the program, and the gate would keep it by itself.
 *
 * A translation is a number, each used once; 0 is none.
 */

#define NONE	0
#define IDS	4

mtype = { UPDATE, INVALIDATE, NAME };

chan socket = [2] of { mtype, byte };	/* from the frontend */
bool acked;				/* what it waits for */
bool asked;				/* our question on the back channel */
bool gone[IDS];				/* acknowledged: the guest uses the memory for other things */

byte table;				/* struct mem_iotlb */
bool changed, gone_any;

/* struct virtio_net */
byte view[2];				/* the translation that is in it */
bit iotlb;				/* the other one is iotlb_spare */
bool filling[2];
byte translated;			/* turns, dev->translated */
byte nvrings;				/* queues that are settled */

/* of a queue: its gate and its block's struct ring_iova */
bit taken[QUEUES];
bit closing[QUEUES];
bit iova_view[QUEUES];
byte slot[QUEUES];
bool pending[QUEUES];
bool waits[QUEUES];

#define vhost_gate_enter(q)	atomic { !closing[q] && !taken[q] -> taken[q] = 1 }
#define vhost_gate_leave(q)	taken[q] = 0
#define vhost_gate_close(q)	closing[q] = 1; atomic { !taken[q] -> taken[q] = 1 }
#define vhost_gate_open(q)	d_step { taken[q] = 0; closing[q] = 0 }

inline find_range()
{
	assert(!filling[iova_view[q]]);
	t = slot[q];
	if
	:: t == NONE -> t = view[iova_view[q]]
	:: else
	fi
}

/* A poller, of one queue: vhost_burst_iova_enqueued(), and each time it has a packet more. */
proctype burst(byte q)
{
	byte t, turn; bool ask;

	q < nvrings;
	do
	:: vhost_gate_enter(q);
again:
		find_range();
		if
		:: t != NONE ->
			slot[q] = t;
			assert(!gone[t]);		/* the copy begins */
			assert(!gone[t]);		/* and ends */
			waits[q] = false; t = NONE; turn = 0;
			vhost_gate_leave(q)
		:: else ->
			waits[q] = true; ask = !pending[q]; pending[q] = true;
#ifdef FAULT_turn_late		/* fault: one_queue answered: the turn is read when the gate is left */
			vhost_gate_leave(q);
			turn = translated;
#else
			turn = translated;		/* I2 */
			vhost_gate_leave(q);
#endif
			if
			:: ask -> asked = true; ask = false
			:: else
			fi;
end_waits:		/* one that is refused its answer loses patience */
			translated != turn;		/* I2 */
			turn = 0;
			vhost_gate_enter(q);
			goto again
		fi
	od
}

inline vhost_virtio_net_translate()
{
#ifdef FAULT_fills_in_place	/* fault: two_queues safety: the view that bursts read is filled */
	spare = iotlb;
#else
	spare = 1 - iotlb;
#endif
	filling[spare] = true;
	view[spare] = table;
	d_step { filling[spare] = false; iotlb = spare; spare = 0 }
}

inline vhost_queue_translate(q)
{
#ifndef FAULT_no_gate		/* fault: one_queue safety: a burst that is inside is not waited for */
	vhost_gate_close(q);
#endif
	d_step {
		iova_view[q] = iotlb;
		if
		:: gone_any ->
#ifndef FAULT_keeps_row		/* fault: one_queue safety: what was at hand stays so */
			slot[q] = NONE;
#endif
#ifndef FAULT_keeps_pending	/* fault: one_queue answered: what was asked for counts as on its way */
			pending[q] = false
#endif
		:: else
		fi
	};
#ifndef FAULT_no_gate
	vhost_gate_open(q)
#endif
}

inline commit_iotlb()
{
	if
	:: changed ->
		vhost_virtio_net_translate();
#ifdef FAULT_turn_first		/* fault: one_queue answered: the turn is counted before bursts are shown it */
		translated++;
#endif
		i = 0;
		do
		:: i < shown -> vhost_queue_translate(i); i++
		:: else -> break
		od;
		i = 0;
#ifndef FAULT_turn_first
		translated++;			/* I1 */
#endif
		d_step { changed = false; gone_any = false }
	:: else
	fi
}

/* Another block in place: of a relocation, of a queue that was named. */
inline vhost_queue_commit(q)
{
	vhost_gate_close(q);
	d_step { iova_view[q] = staged_view; slot[q] = NONE; pending[q] = false };
	vhost_gate_open(q)
}

/* The event thread: a message, then a settle. */
active proctype control()
{
	byte id, i, shown; bit staged_view, spare; mtype request;

#ifdef LATE
	nvrings = 1;
#else
	nvrings = QUEUES;
#endif
end_idle:
	do
	:: socket ? request, id ->
		d_step {
			if
			:: request == UPDATE && id != table ->
				gone_any = gone_any || table != NONE;
				table = id; changed = true
			:: request == INVALIDATE && table != NONE ->
				table = NONE; changed = true; gone_any = true
			:: else
			fi;
			id = 0
		};
		/* vhost_settle_prepare(): blocks are staged with the view of now */
		staged_view = iotlb;
		shown = nvrings;
		if
#ifdef REFUSES
		:: request == UPDATE		/* no memory: what has changed is shown later */
#endif
		:: true ->
#ifdef FAULT_acked_first	/* fault: one_queue safety: it is acknowledged before bursts are shown it */
			acked = acked || request == INVALIDATE;
#endif
			if
#ifdef MOVES
			:: vhost_queue_commit(0)
#endif
			:: request == NAME ->
				vhost_queue_commit(1);
#ifndef FAULT_old_queues	/* fault: new_queue safety: a queue that is new is not shown it */
				shown = QUEUES
#endif
			:: request != NAME
			fi;
			commit_iotlb();
			nvrings = (request == NAME -> QUEUES : nvrings);
			acked = acked || request == INVALIDATE
		fi;
		d_step { staged_view = 0; shown = 0; request = 0 }
	od
}

/* What is mapped is taken back a few times; questions are answered by what is mapped. */
active proctype frontend()
{
	byte id = 1, n; bool named;

end_quiet:
	do
	:: asked -> asked = false; socket ! UPDATE, id
	:: n < ROUNDS ->
		n++;
		socket ! INVALIDATE, NONE;
		acked;
		acked = false;
		d_step { gone[id] = true; id++ }
#ifdef LATE
	:: !named -> named = true; socket ! NAME, NONE
#endif
	od
}

init
{
	byte n;

	atomic {
		do
		:: n < QUEUES -> run burst(n); n++
		:: else -> break
		od
	}
}

#if QUEUES == 1
ltl answered { [] (waits[0] -> <> !waits[0]) }
#else
ltl answered { [] (waits[0] -> <> !waits[0]) && [] (waits[1] -> <> !waits[1]) }
#endif
