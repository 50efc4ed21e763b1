/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_BENCH_H
#define PERF_BENCH_H

#include "cell.h"
#include "samples.h"

/** How long a cell is measured. */
struct bench_limits {
	uint64_t packets;	/**< until so many are through, 0: see ms */
	unsigned int ms;	/**< until so much time has gone by */
	unsigned int warmup;	/**< batches before that, at least */
};

/** What was measured. */
struct bench_result {
	uint64_t packets;	/**< moved between the two handles below */
	uint64_t checked;	/**< compared byte by byte, some of them before or after */
	uint64_t short_batches;	/**< not timed: a call moved less than it was given */
	struct samples library;	/**< in its calls, of each timed batch */
	/* Between two cores only: */
	struct samples driver;		/**< at work, for each batch */
	struct samples library_waits;	/**< for the driver, before each timed batch */
	struct samples driver_waits;	/**< for the library, in each batch */
	uint64_t round_trip;		/**< cycles of a line to the other core and back */
};

/** The result has samples enough. */
bool bench_enough(const struct bench_limits *limits, const struct bench_result *result,
		  uint64_t end);

/** Measure a cell; false, with a message on stderr, if anything went wrong. */
bool bench_run(const struct cell *cell, const struct bench_limits *limits,
	       struct bench_result *result);

/** Free the samples. */
void bench_result_free(struct bench_result *result);

/** Called before and after the measured batches: handles for an instruction counter. */
void bench_counters_start(void);
void bench_counters_stop(void);

#endif /* PERF_BENCH_H */
