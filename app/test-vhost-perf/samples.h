/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_SAMPLES_H
#define PERF_SAMPLES_H

#include <stdbool.h>

/** Cycles per packet, of one window each; all zeros is an empty list. */
struct samples {
	float *at;
	unsigned int n;
};

/** Add one; false if there is no memory. */
bool samples_add(struct samples *samples, float sample);

/** The quantiles want them sorted. */
void samples_sort(struct samples *samples);

/** The sample that so many percent are below; 0 if there is none. */
double samples_quantile(const struct samples *samples, unsigned int percent);

double samples_mean(const struct samples *samples);

void samples_free(struct samples *samples);

#endif /* PERF_SAMPLES_H */
