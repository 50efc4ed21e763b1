/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef FAULT_WRAP_H
#define FAULT_WRAP_H

/*
 * The calls of the library under test: the n-th one of a kind can be made to fail, and
 * books are kept of what it has taken and not given back.
 *
 * The tests' own calls and EAL's do not come here; see rename.py.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault_calls.h"

enum fault_call {
#define FAULT_ENUM(name) FAULT_ ## name,
	FAULT_CALLS(FAULT_ENUM)
#undef FAULT_ENUM
	FAULT_heap_block,	/**< no call: a block of mem_heap.h, see fault_machine.c */
	FAULT_COUNT
};

extern const char *const fault_call_names[FAULT_COUNT];

#define FAULT_DEPTH 12		/**< callers that are remembered */
#define FAULT_LINE 160
#define FAULT_CALLS_MAX 1024	/**< calls of one kind whose callers are remembered */
#define FAULT_SAYINGS_MAX 32	/**< different lines of trouble in one life */

/** A line of the log that tells of trouble. */
struct fault_saying {
	const char *fmt;	/**< the same in all children */
	unsigned int n;		/**< how often it was said */
};

/** What is made wrong in the library on purpose, at the fault: the tests have to find it. */
enum fault_seed {
	FAULT_SEED_NONE,
	FAULT_SEED_SILENCE,	/**< it says nothing from then on */
	FAULT_SEED_BLOCK,	/**< memory is not given back */
	FAULT_SEED_MAPPING,	/**< a mapping */
	FAULT_SEED_DESCRIPTOR,	/**< a descriptor */
	FAULT_SEED_CRASH,	/**< it dies */
};

/** What shall fail, and what came of it; in memory that outlives the process. */
struct fault {
	/* the wish */
	enum fault_call call;
	int err;
	unsigned int nth;		/**< 0: none */
	bool lasts;			/**< so do all that follow, until it is over */
	enum fault_seed seed;
	/* what happened; all of it atomic or written by one thread */
	unsigned int count[FAULT_COUNT];	/**< calls while armed */
	bool hit;
	bool over;			/**< of what lasts; atomic */
	void *from[FAULT_DEPTH];	/**< who called, innermost first */
	struct fault_saying said[FAULT_SAYINGS_MAX];	/**< warnings or worse */
	bool warned;			/**< of those, any since the hit */
	char warning[FAULT_LINE];	/**< the first of those, or of all without a wish */
	/** Without a wish: of each call a number for where it came from. */
	uint32_t place[FAULT_COUNT][FAULT_CALLS_MAX];
};

/**
 * Count and inject from now on, into what the pointer names; NULL: no more, but what is said
 * is heard.
 */
void fault_arm(struct fault *fault);

/** A step of the story has ended: what lasts is over, if it has begun. */
void fault_step_is_over(struct fault *fault);

/** Is this the one that fails?  Then errno says why. */
bool fault_hits(enum fault_call call);

/** Was any line said more often than it is without a fault? */
bool fault_says_more(const struct fault *fault, const struct fault_saying *usual);

/* ---- books ---- */

enum fault_kind_of_thing { FAULT_HEAP, FAULT_MAPPING };

/** Something that the library has. */
struct fault_thing {
	enum fault_kind_of_thing kind;
	uintptr_t at;
	size_t size;
	void *from;		/**< who took it */
	bool shared;		/**< a mapping of a file */
};

/** What the library has now: up to max things, sorted by who took them; how many. */
unsigned int fault_things(struct fault_thing *things, unsigned int max);

/** Does an address belong to a mapping of a file that the library has made? */
bool fault_is_shared(const void *at);

/** Print the library's log lines as they come. */
extern bool fault_echo;

#endif /* FAULT_WRAP_H */
