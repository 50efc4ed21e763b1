/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Barriers, tried with Debian's relacy: those between a ring's device, which we are, and
 * its driver, and those by which a handler of SIGBUS reads what others write.  Relacy lets each relaxed load see any store that C11 allows it to, and each pair of
 * accesses without an order between them is a data race.  What the driver has in memory
 * that is not an index or flags is such plain memory here: descriptors, buffers, entries.
 *
 * Of ring_split.h: ring_split_offered(), ring_split_give(), ring_split_wants(),
 *	ring_split_write_kick_request(); R1 is A1 of a device that we stand in for
 * Of ring_packed.h: ring_packed_count(), ring_packed_give(), ring_packed_should_notify(),
 *	ring_packed_write_kick_request()
 *
 * Of mem_guard.c: slot_read(), slot_write()
 *
 * Two threads, a ring of two places that is used twice.  The driver does what the
 * specification asks for.
 *
 * barriers TEST [LABEL]: exit status 0 if all orders that were tried are right, 1 if not.
 * With a label that barrier is left out:
 *
 * fault split A1: entries and buffers are read before they are there
 * fault split U1: a buffer is used again while it is read, and its entry is not there
 * fault split_notify N1: the driver sleeps on a packet
 * fault split_kick K1: the device sleeps on a packet
 * fault packed A1: descriptors and buffers are read before they are there
 * fault packed U1: what was used is not there
 * fault packed_notify N1: the driver sleeps on a packet
 * fault packed_event N2: the place of an earlier wish is taken for that of this one
 * fault packed_kick K1: the device sleeps on a packet
 * fault packed_request W1: the place of an earlier request is taken for that of this one
 * fault slot S1: a range is read before it is whole
 * fault slot S2: and after it was
 */

#include <cstdio>
#include <cstring>

#include <relacy/relacy.hpp>

static const char *fault = "";

/** A barrier's order; weakened, there is none. */
static rl::memory_order
order(const char *label, rl::memory_order strong)
{
	return strcmp(fault, label) == 0 ? rl::mo_relaxed : strong;
}

static void
fence(const char *label, rl::memory_order strong)
{
	if (strcmp(fault, label) != 0)
		rl::atomic_thread_fence(strong, $);
}

static const unsigned SIZE = 2, LAPS = 2;

enum { DRIVER, DEVICE };

/** What both formats have: two threads. */
template<typename ring>
struct two_sides : rl::test_suite<ring, 2> {
	void
	thread(unsigned int index)
	{
		ring *self = static_cast<ring *>(this);

		if (index == DRIVER)
			self->driver();
		else
			self->device();
	}
};

/* ---- split ---- */

/** Buffers go round; the driver writes each anew once it came back. */
struct split : two_sides<split> {
	rl::atomic<unsigned int> avail_idx, used_idx;
	rl::var<unsigned int> avail[SIZE], used[SIZE], buffer[SIZE];

	void
	before()
	{
		avail_idx.store(0, rl::mo_relaxed, $);
		used_idx.store(0, rl::mo_relaxed, $);
	}

	void
	driver()
	{
		unsigned int i;

		for (i = 0; i < SIZE * LAPS; i++) {
			while (i >= SIZE && used_idx.load(rl::mo_acquire, $) < i - SIZE + 1)
				rl::yield(1, $);
			RL_ASSERT(i < SIZE || used[i % SIZE]($) == i - SIZE);
			buffer[i % SIZE]($) = i;
			avail[i % SIZE]($) = i % SIZE;
			avail_idx.store(i + 1, rl::mo_release, $);
		}
	}

	void
	device()
	{
		unsigned int i, last = 0;

		for (i = 0; i < SIZE * LAPS; i++) {
			while (last == i) {
				last = avail_idx.load(order("A1", rl::mo_acquire), $);
				if (last == i)
					rl::yield(1, $);
			}
			RL_ASSERT(buffer[avail[i % SIZE]($)]($) == i);
			used[i % SIZE]($) = i;
			used_idx.store(i + 1, order("U1", rl::mo_release), $);
		}
	}
};

/** One tells the other, which has asked to be told and looks once more. */
template<typename ring>
struct wakes : two_sides<ring> {
	rl::atomic<unsigned int> told, wanted;
	rl::var<unsigned int> called, asleep;

	void
	before()
	{
		told.store(0, rl::mo_relaxed, $);
		wanted.store(0, rl::mo_relaxed, $);
		called($) = 0;
		asleep($) = 0;
	}

	void
	tells(const char *label)
	{
		told.store(1, rl::mo_release, $);
		fence(label, rl::mo_seq_cst);
		if (wanted.load(rl::mo_relaxed, $) != 0)
			called($) = 1;
	}

	void
	sleeps(const char *label)
	{
		wanted.store(1, rl::mo_relaxed, $);
		fence(label, rl::mo_seq_cst);
		if (told.load(rl::mo_acquire, $) == 0)
			asleep($) = 1;
	}

	void
	after()
	{
		RL_ASSERT(!asleep($) || called($));
	}
};

struct notify : wakes<notify> {
	void driver() { sleeps("driver"); }
	void device() { tells("N1"); }
};

struct kick : wakes<kick> {
	void driver() { tells("driver"); }
	void device() { sleeps("K1"); }
};

/* ---- packed ---- */

/** A chain of two places; the first one's flags are shown last. */
struct packed : two_sides<packed> {
	rl::atomic<unsigned int> flags[SIZE];
	rl::var<unsigned int> rest[SIZE], buffer[SIZE];

	/** Flags of a lap: available, and used. */
	static unsigned int offered(unsigned int lap) { return 1 + 2 * lap; }
	static unsigned int used(unsigned int lap) { return 2 + 2 * lap; }

	void
	before()
	{
		for (unsigned int i = 0; i < SIZE; i++)
			flags[i].store(0, rl::mo_relaxed, $);
	}

	void
	driver()
	{
		for (unsigned int lap = 0; lap < LAPS; lap++) {
			for (unsigned int i = 0; i < SIZE; i++) {
				buffer[i]($) = lap;
				rest[i]($) = 10 * lap;
			}
			flags[1].store(offered(lap), rl::mo_relaxed, $);
			flags[0].store(offered(lap), rl::mo_release, $);
			while (flags[0].load(rl::mo_acquire, $) != used(lap))
				rl::yield(1, $);
			for (unsigned int i = 0; i < SIZE; i++)
				RL_ASSERT(rest[i]($) == 10 * lap + 1);
		}
	}

	void
	device()
	{
		for (unsigned int lap = 0; lap < LAPS; lap++) {
			/* ring_packed_count() */
			while (flags[0].load(rl::mo_relaxed, $) != offered(lap))
				rl::yield(1, $);
			fence("A1", rl::mo_acquire);
			for (unsigned int i = 0; i < SIZE; i++) {
				RL_ASSERT(buffer[i]($) == lap && rest[i]($) == 10 * lap);
				rest[i]($) = 10 * lap + 1;
			}
			flags[1].store(used(lap), rl::mo_relaxed, $);
			flags[0].store(used(lap), order("U1", rl::mo_release), $);
		}
	}
};

/** A place, and flags that say that it is meant. */
template<typename ring>
struct wishes : two_sides<ring> {
	static const unsigned int BY_PLACE = 2;
	rl::atomic<unsigned int> flags, off_wrap;

	void
	before()
	{
		flags.store(0, rl::mo_relaxed, $);
		off_wrap.store(0, rl::mo_relaxed, $);
	}

	void
	wishes_for(const char *label)
	{
		off_wrap.store(7, rl::mo_relaxed, $);
		flags.store(BY_PLACE, order(label, rl::mo_release), $);
	}

	void
	looks(const char *label)
	{
		if (flags.load(rl::mo_relaxed, $) != BY_PLACE)
			return;
		fence(label, rl::mo_acquire);
		RL_ASSERT(off_wrap.load(rl::mo_relaxed, $) == 7);
	}
};

struct event : wishes<event> {
	void driver() { wishes_for("driver"); }
	void device() { looks("N2"); }
};

struct request : wishes<request> {
	void driver() { looks("driver"); }
	void device() { wishes_for("W1"); }
};

/* ---- ranges of guest memory, as the handler of SIGBUS reads them ---- */

/** A range is replaced; who reads it gets the one or the other, or knows better. */
struct slot : rl::test_suite<slot, 2> {
	rl::atomic<unsigned int> seq, start, len;

	void
	before()
	{
		seq.store(0, rl::mo_relaxed, $);
		start.store(0, rl::mo_relaxed, $);
		len.store(0, rl::mo_relaxed, $);
	}

	void
	slot_write(unsigned int value)
	{
		unsigned int before = seq.load(rl::mo_relaxed, $);

		seq.store(before + 1, rl::mo_relaxed, $);
		start.store(value, rl::mo_release, $);
		len.store(value, rl::mo_release, $);
		seq.store(before + 2, rl::mo_release, $);
	}

	bool
	slot_read(unsigned int *from, unsigned int *bytes)
	{
		unsigned int before = seq.load(order("S1", rl::mo_acquire), $);

		*from = start.load(order("S2", rl::mo_acquire), $);
		*bytes = len.load(order("S2", rl::mo_acquire), $);
		return (before & 1) == 0 && before == seq.load(rl::mo_relaxed, $);
	}

	void
	thread(unsigned int index)
	{
		unsigned int from, bytes;

		if (index == 0) {
			slot_write(1);
			slot_write(2);
		} else if (slot_read(&from, &bytes)) {
			RL_ASSERT(from == bytes);
		}
	}
};

/* ---- all of them ---- */

/** Random orders, always the same ones: each fault is found in one of the first few. */
template<typename test>
static bool
is_right()
{
	rl::test_params params;
	params.iteration_count = 100000;
	if (rl::simulate<test>(params))
		return true;
	printf("%s in iteration %ju\n", rl::test_result_str(params.test_result),
		(uintmax_t)params.stop_iteration);
	return false;
}

static const struct {
	const char *name;
	bool (*is_right)();
} tests[] = {
	{ "split", is_right<split> },
	{ "split_notify", is_right<notify> },
	{ "split_kick", is_right<kick> },
	{ "packed", is_right<packed> },
	{ "packed_notify", is_right<notify> },
	{ "packed_event", is_right<event> },
	{ "packed_kick", is_right<kick> },
	{ "packed_request", is_right<request> },
	{ "slot", is_right<slot> },
};

int
main(int argc, char **argv)
{
	fault = argc > 2 ? argv[2] : "";
	for (const auto &test : tests)
		if (argc > 1 && strcmp(test.name, argv[1]) == 0)
			return test.is_right() ? 0 : 1;
	fprintf(stderr, "usage: barriers TEST [LABEL]\n");
	return 2;
}
