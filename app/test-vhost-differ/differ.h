/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef DIFFER_H
#define DIFFER_H

/*
 * A case is a line: steps with ";" between them, each a name and words.  The first
 * makes a device; devtools/fuzz-differ says what there is.  What becomes of a step is a
 * line, too, and has in it nothing that is another one the next time.
 */

#include <rte_common.h>

#include "vhost_fake_frontend.h"

#define MAX_WORDS 16

/** A case under way. */
struct play {
	struct fake *fe;
	/** The words of the step, its name first; those that are missing are "0". */
	const char *words[MAX_WORDS];
	/** Other ends of sockets that were handed over; the case's. */
	int channels[8];
	unsigned int nchannels;
	bool closed;		/**< the library has hung up */
};

/** A word of the step as a number. */
uint64_t word(const struct play *play, unsigned int i);

/** What became of the step; words beside others. */
void tell(const char *format, ...) __rte_format_printf(1, 2);

#define STEP(name) void step_ ## name(struct play *play)

/* messages.c */
STEP(say);
STEP(address);
STEP(table);
STEP(negotiate);
STEP(memory);
STEP(ring);
STEP(enable);
STEP(stop);
STEP(restart);
STEP(run);
STEP(ask);

/* rings.c */
STEP(fill);
STEP(send);
STEP(offer);
STEP(spoil);
STEP(dequeue);
STEP(enqueue);
STEP(look);

#endif /* DIFFER_H */
