/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * One cell between two cores.
 *
 * The driver is a thread on a core of its own, as a guest's is: what either side
 * writes has to travel to the other.  It posts burst after burst, and takes each
 * back when the ring has no room for another; it finds out in the ring when that is.
 *
 * The library is called on the main thread, several bursts in one timed window.
 * Between two windows it waits until the driver has posted all of the next one, as
 * the driver says in a line beside the ring: nothing of the ring is touched by
 * waiting, and every call finds a whole burst, whichever side is faster.  During a
 * window the driver goes on, so that both work at the same time, on lines of the
 * same ring.
 *
 * The driver's time is that of its own work: what it waits is counted apart.  Its
 * work is the same whichever library is measured.
 *
 * Before and after, a line goes back and forth between the two.  Cores that are not two
 * are found out by that: threads of one core, or what a hypervisor has put on such.
 *
 * Each packet's contents are looked at if it went to the guest, and in some windows
 * if it came from there.  In these, buffers that the guest gives are overwritten
 * before; they are not timed.
 */

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_pause.h>

#include "batch.h"
#include "driver_side.h"
#include "two_cores.h"

/** One window of so many is checked byte by byte. */
#define CHECK_INTERVAL 64
/** Times that a line goes back and forth, to find out how long that takes. */
#define ROUND_TRIPS 64
/** Above what is ordinary, below what the kernel itself needs. */
#define REALTIME_PRIORITY 50

struct crossing {
	struct batch batch;		/**< the library's side; a batch is a window */
	struct driver_side driver;
	const struct two_cores *how;
	unsigned int in_ring;		/**< bursts that the ring has room for */
	struct samples driver_cycles, driver_waits;	/**< the driver's */
	bool driver_failed;
	unsigned int driver_balls, library_balls;	/**< how the ball came back last */

	/* What the sides tell each other, atomic, each in a line of who writes it. */
	uint64_t posted __rte_cache_aligned;	/**< bursts, by the driver */
	bool ended;				/**< the driver posts no more */
	unsigned int ball __rte_cache_aligned;	/**< odd: the driver's turn, even: the library's */
	bool measuring __rte_cache_aligned;	/**< the library is warm: samples count */
	bool stop;				/**< the driver is to end, with a whole window */
	bool give_up;				/**< what is posted will not be worked on */
};

bool
two_cores_fit(const struct cell *cell)
{
	return cell_moves(cell) && cell->devices == 1 && !cell->async;
}

unsigned int
two_cores_window(unsigned int in_ring)
{
	return in_ring < 4 ? 1 : (in_ring / 2 - 1) | 1;
}

static bool
is_checked(const struct crossing *crossing, uint64_t burst)
{
	return burst / crossing->batch.n_calls % CHECK_INTERVAL == 0;
}

static void
set_realtime(bool on)
{
	struct sched_param param = { .sched_priority = on ? REALTIME_PRIORITY : 0 };

	pthread_setschedparam(pthread_self(), on ? SCHED_FIFO : SCHED_OTHER, &param);
}

static void
await_ball(const struct crossing *crossing, unsigned int value)
{
	unsigned int turns = 0;

	while (__atomic_load_n(&crossing->ball, __ATOMIC_ACQUIRE) != value)
		wait_a_turn(&turns);
}

static void
send_ball(struct crossing *crossing, unsigned int value)
{
	__atomic_store_n(&crossing->ball, value, __ATOMIC_RELEASE);
}

/* The driver's thread. */

static void
go_to_core(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void
return_balls(struct crossing *crossing)
{
	unsigned int ball = crossing->driver_balls;

	for (unsigned int i = 0; i < ROUND_TRIPS; i++, ball += 2) {
		await_ball(crossing, ball + 1);
		send_ball(crossing, ball + 2);
	}
	crossing->driver_balls = ball;
}

static void
be_busy(const struct crossing *crossing)
{
	uint64_t end = rte_rdtsc() + (uint64_t)crossing->how->work * crossing->batch.cell->burst;

	while (rte_rdtsc() < end)
		rte_pause();
}

/** Post a burst, when the one has come back whose place it takes. */
static bool
drive_burst(struct crossing *crossing, uint64_t burst)
{
	if (burst >= crossing->in_ring &&
	    !driver_side_take_back(&crossing->driver,
				   is_checked(crossing, burst - crossing->in_ring)))
		return false;
	driver_side_post(&crossing->driver, is_checked(crossing, burst));
	be_busy(crossing);
	__atomic_store_n(&crossing->posted, burst + 1, __ATOMIC_RELEASE);
	return true;
}

/** As many bursts as the library moves in a window. */
static bool
drive_window(struct crossing *crossing, uint64_t burst)
{
	uint64_t start = rte_rdtsc(), before = crossing->driver.waited, cycles, waited;
	unsigned int packets = crossing->batch.n_packets;

	for (unsigned int i = 0; i < crossing->batch.n_calls; i++)
		if (!drive_burst(crossing, burst + i))
			return false;
	cycles = rte_rdtsc() - start;
	waited = crossing->driver.waited - before;
	if (!__atomic_load_n(&crossing->measuring, __ATOMIC_RELAXED) ||
	    is_checked(crossing, burst) ||
	    (burst >= crossing->in_ring && is_checked(crossing, burst - crossing->in_ring)))
		return true;
	return samples_add(&crossing->driver_cycles, (float)(cycles - waited) / packets) &&
		samples_add(&crossing->driver_waits, (float)waited / packets);
}

/** Windows until the library has enough, then what is still in the ring. */
static bool
drive(struct crossing *crossing)
{
	uint64_t posted = 0, back;

	while (!__atomic_load_n(&crossing->stop, __ATOMIC_RELAXED)) {
		if (!drive_window(crossing, posted))
			return false;
		posted += crossing->batch.n_calls;
	}
	__atomic_store_n(&crossing->ended, true, __ATOMIC_RELEASE);
	for (back = posted - RTE_MIN(posted, crossing->in_ring); back < posted; back++)
		if (!driver_side_take_back(&crossing->driver, is_checked(crossing, back)))
			return false;
	return true;
}

static void *
run_driver(void *arg)
{
	struct crossing *crossing = arg;

	go_to_core(crossing->how->driver_core);
	if (crossing->how->realtime)
		set_realtime(true);
	return_balls(crossing);
	crossing->driver_failed = !drive(crossing);
	__atomic_store_n(&crossing->ended, true, __ATOMIC_RELEASE);
	return_balls(crossing);
	return NULL;
}

/* The library's thread. */

/** Wait until the driver has posted so many bursts; false if it will not. */
static bool
await_posted(const struct crossing *crossing, uint64_t bursts)
{
	unsigned int turns = 0;

	while (__atomic_load_n(&crossing->posted, __ATOMIC_ACQUIRE) < bursts) {
		if (__atomic_load_n(&crossing->ended, __ATOMIC_ACQUIRE))
			return __atomic_load_n(&crossing->posted, __ATOMIC_ACQUIRE) >= bursts;
		wait_a_turn(&turns);
	}
	return true;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/** Cycles until a line is back from the other core; the middle one of several times. */
static uint64_t
measure_round_trip(struct crossing *crossing)
{
	unsigned int ball = crossing->library_balls;
	uint64_t trips[ROUND_TRIPS];

	for (unsigned int i = 0; i < ROUND_TRIPS; i++, ball += 2) {
		uint64_t start = rte_rdtsc();

		send_ball(crossing, ball + 1);
		await_ball(crossing, ball + 2);
		trips[i] = rte_rdtsc() - start;
	}
	crossing->library_balls = ball;
	qsort(trips, ROUND_TRIPS, sizeof(trips[0]), compare);
	return trips[ROUND_TRIPS / 2];
}

/** Move what is posted; "cycles" is 0 if it cannot serve as a measurement. */
static bool
move_window(struct crossing *crossing, uint64_t burst, uint64_t *cycles)
{
	struct batch *batch = &crossing->batch;
	bool check = is_checked(crossing, burst);

	if (!batch_move(batch, cycles))
		return false;
	if (check)
		*cycles = 0;
	return batch->cell->direction == ENQUEUE || batch_take_mbufs(batch, check);
}

static bool
count_window(const struct crossing *crossing, struct bench_result *result, uint64_t burst,
	     uint64_t cycles, uint64_t waited)
{
	unsigned int packets = crossing->batch.n_packets;
	bool checked = is_checked(crossing, burst);

	if (crossing->batch.cell->direction == ENQUEUE || checked)
		result->checked += packets;
	if (!crossing->measuring)
		return true;
	result->packets += packets;
	if (cycles == 0) {
		result->short_batches += !checked;
		return true;
	}
	return samples_add(&result->library, (float)cycles / packets) &&
		samples_add(&result->library_waits, (float)waited / packets);
}

/** Has the library done enough for its next phase: measuring, or ending? */
static bool
phase_over(const struct crossing *crossing, const struct bench_limits *limits,
	   const struct bench_result *result, uint64_t burst, uint64_t end)
{
	if (crossing->measuring)
		return bench_enough(limits, result, end);
	return burst >= (uint64_t)limits->warmup * crossing->batch.n_calls &&
		(limits->packets != 0 || rte_rdtsc() >= end);
}

/** Windows until there are enough, then what the driver has posted meanwhile. */
static bool
move_all(struct crossing *crossing, const struct bench_limits *limits,
	 struct bench_result *result)
{
	uint64_t ms = rte_get_tsc_hz() / 1000 * limits->ms, end = rte_rdtsc() + ms / 4;
	uint64_t burst, cycles, start = rte_rdtsc();

	for (burst = 0; await_posted(crossing, burst + crossing->batch.n_calls);
	     burst += crossing->batch.n_calls) {
		uint64_t waited = rte_rdtsc() - start;

		if (!move_window(crossing, burst, &cycles) ||
		    !count_window(crossing, result, burst, cycles, waited))
			return false;
		if (phase_over(crossing, limits, result, burst, end)) {
			__atomic_store_n(crossing->measuring ? &crossing->stop :
					 &crossing->measuring, true, __ATOMIC_RELAXED);
			end = rte_rdtsc() + ms;
		}
		start = rte_rdtsc();
	}
	return true;
}

static bool
run_both(struct crossing *crossing, const struct bench_limits *limits,
	 struct bench_result *result)
{
	uint64_t before, after;
	pthread_t driver;
	bool good;

	if (pthread_create(&driver, NULL, run_driver, crossing) != 0)
		return cell_fail(crossing->batch.cell, "no thread for the driver");
	if (crossing->how->realtime)
		set_realtime(true);
	before = measure_round_trip(crossing);
	good = move_all(crossing, limits, result);
	if (!good) {
		__atomic_store_n(&crossing->stop, true, __ATOMIC_RELAXED);
		__atomic_store_n(&crossing->give_up, true, __ATOMIC_RELAXED);
	}
	after = measure_round_trip(crossing);
	if (crossing->how->realtime)
		set_realtime(false);
	pthread_join(driver, NULL);
	result->round_trip = RTE_MIN(before, after);
	result->driver = crossing->driver_cycles;
	result->driver_waits = crossing->driver_waits;
	return good && !crossing->driver_failed;
}

/** Both sides' memory; on false, too, it has to be freed. */
static bool
set_up(struct crossing *crossing, const struct cell *cell)
{
	unsigned int n_calls;

	crossing->in_ring = port_ring_chains(cell) / port_packet_chains(cell) / cell->burst;
	n_calls = two_cores_window(crossing->in_ring);
	return batch_set_up(&crossing->batch, cell, n_calls) &&
		driver_side_init(&crossing->driver, cell, crossing->batch.ports,
				 crossing->batch.n_packets, &crossing->give_up);
}

bool
two_cores_run(const struct cell *cell, const struct bench_limits *limits,
	      const struct two_cores *how, struct bench_result *result)
{
	struct crossing *crossing;
	bool good;

	*result = (struct bench_result){ 0 };
	if (posix_memalign((void **)&crossing, RTE_CACHE_LINE_SIZE, sizeof(*crossing)) != 0)
		return cell_fail(cell, "not enough memory");
	*crossing = (struct crossing){ .how = how };
	good = set_up(crossing, cell) && run_both(crossing, limits, result);
	driver_side_free(&crossing->driver);
	good = batch_take_down(&crossing->batch) && good;
	free(crossing);
	return good;
}
