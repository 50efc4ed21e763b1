/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef FAULT_NAMES_H
#define FAULT_NAMES_H

/** Callers that are told by name. */
#define FAULT_NAMED 7

/** Who called, innermost first, and the names of the functions, each with a space behind it. */
struct fault_callers {
	void *from[FAULT_NAMED];
	char names[512];
};

/** Find out the names of n of them, which takes a process: 0, or -1. */
int fault_names(struct fault_callers **all, unsigned int n);

#endif /* FAULT_NAMES_H */
