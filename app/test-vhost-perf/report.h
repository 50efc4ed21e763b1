/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_REPORT_H
#define PERF_REPORT_H

#include <stdio.h>

#include "bench.h"

/** Sort the samples; the lines below want them so. */
void report_prepare(struct bench_result *result);

/** "two_cores": with the columns that only these cells have. */
void report_table_head(FILE *out, bool two_cores);
void report_table_line(FILE *out, const struct cell *cell, const struct bench_result *result);

void report_csv_head(FILE *out, bool two_cores);
void report_csv_line(FILE *out, const struct cell *cell, const struct bench_result *result);

#endif /* PERF_REPORT_H */
