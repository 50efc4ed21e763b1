/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef FAULT_RUN_H
#define FAULT_RUN_H

/*
 * Lives in child processes, several at a time: a crash is one finding among others.  The
 * library starts in the child, and what DPDK has there is a copy.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "fault_story.h"
#include "fault_wrap.h"

#define FAULT_THINGS_MAX 1024

/** What there is at the end of a life. */
struct fault_rest {
	unsigned int fds, mbufs, nthings;
	struct fault_thing things[FAULT_THINGS_MAX];
};

/** A life in a child: what it is to suffer, and what it left; shared with the child. */
struct fault_run {
	struct fault fault;		/**< the caller's to fill in */
	struct story_result result;
	struct fault_rest rest;
	bool ended;
	int status;			/**< of the child */
	pid_t pid;			/**< 0: nobody lives here */
	unsigned int tag;		/**< the caller's */
};

/** Room for so many at a time: 0, or -1. */
int fault_runs_init(unsigned int n);
void fault_runs_fini(void);

/** A run that is not under way, to be filled in; NULL: all are. */
struct fault_run *fault_run_idle(void);

/**
 * Begin a life.  Its end waits for the library to give back what is more than expected;
 * NULL: nobody knows what to expect.  -1: there is no child.
 */
int fault_run_begin(struct fault_run *run, const struct story *story,
	const struct fault_rest *expected);

/** Wait for any to end; NULL if none is under way. */
struct fault_run *fault_run_ended(void);

#endif /* FAULT_RUN_H */
