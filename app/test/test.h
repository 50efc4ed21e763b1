/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef TEST_H
#define TEST_H

/*
 * What a test file needs: assertions, suites, and the registration that makes a
 * function a command of the dpdk-test program.
 *
 * A test case is a function that returns TEST_SUCCESS, TEST_FAILED or
 * TEST_SKIPPED.  The suite runner gives every case a name and a line of output,
 * bounds it in time, and after it checks what no case should have to check by
 * itself: that nothing was left behind (see struct test_suite).
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <rte_common.h>

/* Whether the tests are built with a sanitizer: gcc and clang tell it in their own ways. */
#if defined(__has_feature)
#define TEST_HAS_FEATURE(feature) __has_feature(feature)
#else
#define TEST_HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || TEST_HAS_FEATURE(address_sanitizer)
#define TEST_ASAN true
#else
#define TEST_ASAN false
#endif
#if defined(__SANITIZE_THREAD__) || TEST_HAS_FEATURE(thread_sanitizer)
#define TEST_TSAN true
#else
#define TEST_TSAN false
#endif

enum test_result {
	TEST_SUCCESS = 0,
	TEST_FAILED = -1,
	TEST_SKIPPED = 77,
};

/** Say where and why a case failed, in one line. */
void test_complain(const char *file, int line, const char *func,
		const char *what, const char *fmt, ...)
	__rte_format_printf(5, 6);

/* The first macro argument after the checked values is a printf format. */
#define TEST_ASSERT(cond, ...) do {                                          \
	if (!(cond)) {                                                       \
		test_complain(__FILE__, __LINE__, __func__, #cond, __VA_ARGS__); \
		return TEST_FAILED;                                          \
	}                                                                    \
} while (0)

#define TEST_ASSERT_EQUAL(a, b, ...) do {                                    \
	long long test_a_ = (long long)(a), test_b_ = (long long)(b);        \
	char test_what_[192];                                                \
	if (test_a_ != test_b_) {                                            \
		snprintf(test_what_, sizeof(test_what_),                     \
			"%s == %s: %lld (0x%llx) is not %lld (0x%llx)",      \
			#a, #b, test_a_, (unsigned long long)test_a_,        \
			test_b_, (unsigned long long)test_b_);               \
		test_complain(__FILE__, __LINE__, __func__, test_what_,      \
			__VA_ARGS__);                                        \
		return TEST_FAILED;                                          \
	}                                                                    \
} while (0)

#define TEST_ASSERT_NOT_EQUAL(a, b, ...) TEST_ASSERT((a) != (b), __VA_ARGS__)
#define TEST_ASSERT_SUCCESS(expr, ...) TEST_ASSERT_EQUAL(expr, 0, __VA_ARGS__)
#define TEST_ASSERT_FAIL(expr, ...) TEST_ASSERT((expr) != 0, __VA_ARGS__)
#define TEST_ASSERT_NULL(p, ...) TEST_ASSERT((p) == NULL, __VA_ARGS__)
#define TEST_ASSERT_NOT_NULL(p, ...) TEST_ASSERT((p) != NULL, __VA_ARGS__)
#define TEST_ASSERT_BUFFERS_ARE_EQUAL(a, b, len, ...) \
	TEST_ASSERT(memcmp(a, b, len) == 0, __VA_ARGS__)

/** One case: either run() or run_with(arg). */
struct test_case {
	const char *name;
	int (*run)(void);
	int (*run_with)(const void *arg);
	const void *arg;
};

#define TEST_CASE(fn) { .name = #fn, .run = fn }
#define TEST_CASE_WITH(fn, name_, arg_) \
	{ .name = name_, .run_with = fn, .arg = arg_ }

/** Cases that share their surroundings. */
struct test_suite {
	const char *name;
	int (*setup)(void);	/**< once, before the first case; may be NULL */
	void (*teardown)(void);	/**< once, after the last case; may be NULL */
	/**
	 * After each case, whatever its result: release what a failed case left,
	 * and say (non-zero) whether a successful one left something.
	 */
	int (*check)(void);
	const struct test_case *cases;
	unsigned int nb_cases;
	unsigned int case_seconds;	/**< per case; 0: TEST_CASE_SECONDS */
};

#define TEST_CASE_SECONDS 60

/** How long a fake waits, in seconds, unless DPDK_TEST_PARAMS has another patience. */
#define TEST_PATIENCE 5

#define TEST_SUITE_CASES(array) .cases = array, .nb_cases = RTE_DIM(array)

/** Run a suite; TEST_SUCCESS, TEST_FAILED, or TEST_SKIPPED if nothing ran. */
int test_suite_run(const struct test_suite *suite);

/**
 * A value from DPDK_TEST_PARAMS, which reads "key=value,key=value".  The keys are those of
 * test_suite.c's table: case (a pattern of case names), seed (of random tests), seconds (of
 * stress), patience (in seconds; cases may then take longer in proportion, as on a machine
 * that is slow), and how often others do what they do.
 */
bool test_param(const char *key, char *value, size_t size);
uint64_t test_param_u64(const char *key, uint64_t otherwise);

/**
 * Say what DPDK_TEST_PARAMS and DPDK_TEST_SKIP ask for that there is not, or no number:
 * whether they are right.
 */
bool test_environment_is_right(void);

/** Whether this process runs that test and no other: nothing has used the library before. */
bool test_is_alone(const char *name);

/** Whether a case was asked for by its name, and none of those that ran has it. */
bool test_case_is_missing(void);

/** End a child process; what it has reached of the library counts, where that is counted. */
__rte_noreturn void test_child_end(int status);

/** One command of the program. */
struct test_command {
	struct test_command *next;
	const char *name;
	int (*run)(void);
};

void test_command_add(struct test_command *cmd);

#define REGISTER_TEST_COMMAND(cmd, fn)                                       \
	static struct test_command test_command_##cmd = {                    \
		.name = RTE_STR(cmd), .run = fn                              \
	};                                                                   \
	RTE_INIT(test_register_##cmd)                                        \
	{                                                                    \
		test_command_add(&test_command_##cmd);                       \
	}

const struct test_command *test_command_find(const char *name);
const struct test_command *test_command_first(void);

/** Run one command by name; respects DPDK_TEST_SKIP. */
int test_command_run(const char *name);

/** The RTE>> prompt; returns when the input ends or on "quit". */
void test_prompt(void);

#endif /* TEST_H */
