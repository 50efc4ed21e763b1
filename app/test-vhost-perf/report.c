/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <inttypes.h>
#include <stdlib.h>

#include <rte_cycles.h>

#include "report.h"

static int
compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

void
report_prepare(struct bench_result *result)
{
	if (result->n_samples != 0)
		qsort(result->samples, result->n_samples, sizeof(float), compare);
}

static double
quantile(const struct bench_result *result, unsigned int percent)
{
	if (result->n_samples == 0)
		return 0;
	return result->samples[(uint64_t)(result->n_samples - 1) * percent / 100];
}

static double
mean(const struct bench_result *result)
{
	double sum = 0;

	for (unsigned int i = 0; i < result->n_samples; i++)
		sum += result->samples[i];
	return result->n_samples != 0 ? sum / result->n_samples : 0;
}

void
report_table_head(FILE *out)
{
	fprintf(out, "%-44s %10s %10s %10s %8s %10s\n", "cell", "median", "p10", "least",
		"Mpps", "packets");
}

void
report_table_line(FILE *out, const struct cell *cell, const struct bench_result *result)
{
	double median = quantile(result, 50);

	fprintf(out, "%-44s %10.1f %10.1f %10.1f %8.2f %10" PRIu64 "\n", cell->name, median,
		quantile(result, 10), quantile(result, 0),
		median > 0 ? rte_get_tsc_hz() / median / 1e6 : 0, result->packets);
	fflush(out);
}

void
report_csv_head(FILE *out)
{
	fprintf(out, "cell,direction,ring,mergeable,bytes,burst,devices,ring_size,packets,checked,"
		"batches,short_batches,median,p10,least,mean,tsc_hz\n");
	fflush(out);
}

void
report_csv_line(FILE *out, const struct cell *cell, const struct bench_result *result)
{
	fprintf(out, "%s,%s,%s,%u,%u,%u,%u,%u,%" PRIu64 ",%" PRIu64 ",%u,%" PRIu64
		",%.2f,%.2f,%.2f,%.2f,%" PRIu64 "\n", cell->name,
		cell->direction == ENQUEUE ? "enqueue" : "dequeue", cell->driver->name,
		cell->mergeable, cell->size, cell->burst, cell->devices, cell->ring,
		result->packets, result->checked, result->n_samples, result->short_batches,
		quantile(result, 50), quantile(result, 10), quantile(result, 0), mean(result),
		rte_get_tsc_hz());
	fflush(out);
}
