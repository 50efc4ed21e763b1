/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef FAULT_STORY_H
#define FAULT_STORY_H

/*
 * Lives of devices, as tables of steps.  A step may be refused; then the device is as it
 * was before, and the same step succeeds when it is taken again.  Or the connection is
 * closed; then another one lives the whole life.
 */

#include <stdbool.h>

#include "vhost_fake_frontend.h"

#include "fault_wrap.h"

struct life;
struct story_step;

/** What became of the step that the fault was in, or of the first that noticed. */
enum story_answer {
	STORY_NOTHING,		/**< nobody said anything */
	STORY_REFUSED,		/**< a negative answer, or a function returned an error */
	STORY_CLOSED,		/**< the connection was closed */
};

struct story_result {
	enum story_answer answer;
	char step[32];		/**< where that was */
	char wrong[FAULT_LINE];	/**< what must not be; empty: all is fine */
};

struct story {
	const char *name;
	const struct story_step *steps;	/**< see fault_life.h; one without a name ends them */
	struct fake_config cfg;
	/** How it is seen that a device runs as it did; a step as well. */
	int (*packets)(struct life *life);
	/** Whether this machine can do it; NULL: any. */
	bool (*is_possible)(void);
	/** The log tells of trouble without a fault as well. */
	bool is_odd;
};

extern const struct story fault_stories[];
extern const unsigned int fault_nstories;

/** Live it from registration to its end with the fault, then serve others without. */
void story_run(const struct story *story, struct fault *fault, struct story_result *result);

#endif /* FAULT_STORY_H */
