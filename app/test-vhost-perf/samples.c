/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <stdint.h>
#include <stdlib.h>

#include "samples.h"

/** The array doubles whenever the number of samples is a power of two. */
bool
samples_add(struct samples *samples, float sample)
{
	unsigned int n = samples->n;

	if ((n & (n - 1)) == 0) {
		unsigned int room = n == 0 ? 1 : 2 * n;
		float *at = realloc(samples->at, room * sizeof(*at));

		if (at == NULL)
			return false;
		samples->at = at;
	}
	samples->at[samples->n++] = sample;
	return true;
}

static int
compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

void
samples_sort(struct samples *samples)
{
	if (samples->n != 0)
		qsort(samples->at, samples->n, sizeof(*samples->at), compare);
}

double
samples_quantile(const struct samples *samples, unsigned int percent)
{
	if (samples->n == 0)
		return 0;
	return samples->at[(uint64_t)(samples->n - 1) * percent / 100];
}

double
samples_mean(const struct samples *samples)
{
	double sum = 0;

	for (unsigned int i = 0; i < samples->n; i++)
		sum += samples->at[i];
	return samples->n != 0 ? sum / samples->n : 0;
}

void
samples_free(struct samples *samples)
{
	free(samples->at);
	*samples = (struct samples){ 0 };
}
