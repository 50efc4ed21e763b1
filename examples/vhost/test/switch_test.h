/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef SWITCH_TEST_H
#define SWITCH_TEST_H

/*
 * Tests of the parts of the switch that can be run without a switch.  Each returns
 * the number of checks that failed.
 */

#include <stdio.h>

/** Count and tell a check that does not hold. */
#define CHECK(condition, ...) \
	do { \
		if (!(condition)) { \
			printf("%s:%d: %s: ", __func__, __LINE__, #condition); \
			printf(__VA_ARGS__); \
			putchar('\n'); \
			failed++; \
		} \
	} while (0)

int test_placement(void);
int test_mac_table(void);
int test_offload(void);

#endif /* SWITCH_TEST_H */
