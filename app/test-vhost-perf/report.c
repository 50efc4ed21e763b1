/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <inttypes.h>

#include <rte_cycles.h>

#include "report.h"

void
report_prepare(struct bench_result *result)
{
	samples_sort(&result->library);
	samples_sort(&result->driver);
	samples_sort(&result->library_waits);
	samples_sort(&result->driver_waits);
}

void
report_table_head(FILE *out, bool two_cores)
{
	fprintf(out, "%-44s %10s %10s %10s %8s %10s", "cell", "median", "p10", "least",
		"Mpps", "packets");
	fprintf(out, two_cores ? " %10s %10s %10s %10s\n" : "\n", "driver p10", "waits", "driver's",
		"round trip");
}

void
report_table_line(FILE *out, const struct cell *cell, const struct bench_result *result)
{
	double median = samples_quantile(&result->library, 50);

	fprintf(out, "%-44s %10.1f %10.1f %10.1f %8.2f %10" PRIu64, cell->name, median,
		samples_quantile(&result->library, 10), samples_quantile(&result->library, 0),
		median > 0 ? rte_get_tsc_hz() / median / 1e6 : 0, result->packets);
	if (result->driver.n != 0)
		fprintf(out, " %10.1f %10.1f %10.1f %10" PRIu64, samples_quantile(&result->driver, 10),
			samples_quantile(&result->library_waits, 50),
			samples_quantile(&result->driver_waits, 50), result->round_trip);
	fputc('\n', out);
	fflush(out);
}

void
report_csv_head(FILE *out, bool two_cores)
{
	fprintf(out, "cell,direction,ring,mergeable,bytes,burst,devices,ring_size,packets,checked,"
		"batches,short_batches,median,p10,least,mean,tsc_hz%s\n", two_cores ?
		",driver_median,driver_p10,driver_least,driver_mean"
		",library_waits,driver_waits,round_trip" : "");
	fflush(out);
}

void
report_csv_line(FILE *out, const struct cell *cell, const struct bench_result *result)
{
	const struct samples *library = &result->library, *driver = &result->driver;

	fprintf(out, "%s,%s,%s,%u,%u,%u,%u,%u,%" PRIu64 ",%" PRIu64 ",%u,%" PRIu64
		",%.2f,%.2f,%.2f,%.2f,%" PRIu64, cell->name,
		cell->direction == ENQUEUE ? "enqueue" : "dequeue", cell->driver->name,
		cell->mergeable, cell->size, cell->burst, cell->devices, cell->ring,
		result->packets, result->checked, library->n, result->short_batches,
		samples_quantile(library, 50), samples_quantile(library, 10),
		samples_quantile(library, 0), samples_mean(library), rte_get_tsc_hz());
	if (driver->n != 0)
		fprintf(out, ",%.2f,%.2f,%.2f,%.2f,%.2f,%.2f,%" PRIu64, samples_quantile(driver, 50),
			samples_quantile(driver, 10), samples_quantile(driver, 0),
			samples_mean(driver),
			samples_quantile(&result->library_waits, 50),
			samples_quantile(&result->driver_waits, 50), result->round_trip);
	fputc('\n', out);
	fflush(out);
}
