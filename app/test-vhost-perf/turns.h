/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_TURNS_H
#define PERF_TURNS_H

#include "bench.h"

/**
 * Move packets of a cell with the two sides taking turns on one thread, for a plug-in
 * that counts the lines each would have fetched on a core of its own.
 *
 * @param folder  where the plug-in expects the table of what lies where
 * @return false, with a message on stderr, if anything went wrong
 */
bool turns_run(const struct cell *cell, const struct bench_limits *limits, const char *folder,
	       struct bench_result *result);

#endif /* PERF_TURNS_H */
