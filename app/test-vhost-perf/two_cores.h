/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_TWO_CORES_H
#define PERF_TWO_CORES_H

#include "bench.h"

/** How a cell is measured between two cores. */
struct two_cores {
	int driver_core;	/**< where the driver runs; -1: it is not on a core of its own */
	bool realtime;		/**< keep others from both cores while measuring */
	unsigned int work;	/**< cycles per packet that the driver is busy with something else */
};

/** Can this cell be measured so?  One device, and no other one that copies. */
bool two_cores_fit(const struct cell *cell);

/**
 * Bursts in a window, if so many are in the ring: less than half of them, and such that
 * frames change places, see driver_side.h.
 */
unsigned int two_cores_window(unsigned int in_ring);

/** Measure a cell; false, with a message on stderr, if anything went wrong. */
bool two_cores_run(const struct cell *cell, const struct bench_limits *limits,
		   const struct two_cores *how, struct bench_result *result);

#endif /* PERF_TWO_CORES_H */
