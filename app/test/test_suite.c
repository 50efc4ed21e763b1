/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Commands and suites.
 *
 * A case that crashes or hangs takes the program with it: what it was testing
 * runs in threads of this process and cannot be stopped from outside.  So that
 * the log still tells which case it was, the name is kept where a signal
 * handler can print it.
 */

#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

static struct test_command *commands;

/* What the signal handler prints. */
static const char *volatile running_suite = "none";
static const char *volatile running_case = "none";

void
test_complain(const char *file, int line, const char *func, const char *what,
		const char *fmt, ...)
{
	va_list ap;

	printf("%s:%d: %s: %s: ", file, line, func, what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

/* Sorted by name, so that the list does not depend on the link order. */
void
test_command_add(struct test_command *cmd)
{
	struct test_command **at = &commands;

	while (*at != NULL && strcmp((*at)->name, cmd->name) < 0)
		at = &(*at)->next;
	cmd->next = *at;
	*at = cmd;
}

const struct test_command *
test_command_first(void)
{
	return commands;
}

const struct test_command *
test_command_find(const char *name)
{
	const struct test_command *cmd = commands;

	while (cmd != NULL && strcmp(cmd->name, name) != 0)
		cmd = cmd->next;
	return cmd;
}

bool
test_is_alone(const char *name)
{
	const char *list = getenv("DPDK_TEST");

	return list != NULL && strcmp(list, name) == 0;
}

/** Is the name one of the words of DPDK_TEST_SKIP? */
static bool
skipped_by_user(const char *name)
{
	const char *list = getenv("DPDK_TEST_SKIP");
	size_t len = strlen(name);

	for (const char *p = list; p != NULL && *p != '\0';) {
		size_t word = strcspn(p, ",: ");

		if (word == len && strncmp(p, name, len) == 0)
			return true;
		p += word;
		p += strspn(p, ",: ");
	}
	return false;
}

int
test_command_run(const char *name)
{
	const struct test_command *cmd = test_command_find(name);
	int result;

	if (cmd == NULL) {
		printf("%s: no such test, see \"list\"\n", name);
		return TEST_FAILED;
	}
	if (skipped_by_user(name)) {
		printf("%s: skipped by DPDK_TEST_SKIP\n", name);
		return TEST_SKIPPED;
	}
	result = cmd->run();
	printf("Test %s %s\n", name, result == TEST_SUCCESS ? "OK" :
		result == TEST_SKIPPED ? "skipped" : "FAILED");
	return result;
}

#ifdef TEST_COUNTED
void __gcov_dump(void);
#endif

void
test_child_end(int status)
{
#ifdef TEST_COUNTED
	/* exit() would do that, and end what is the parent's */
	__gcov_dump();
#endif
	_exit(status);
}

bool
test_param(const char *key, char *value, size_t size)
{
	const char *p = getenv("DPDK_TEST_PARAMS");
	size_t key_len = strlen(key);

	while (p != NULL && *p != '\0') {
		size_t len = strcspn(p, ",");

		if (len > key_len && strncmp(p, key, key_len) == 0 &&
				p[key_len] == '=') {
			snprintf(value, size, "%.*s", (int)(len - key_len - 1),
				p + key_len + 1);
			return true;
		}
		p += len;
		p += strspn(p, ",");
	}
	return false;
}

/** All keys of DPDK_TEST_PARAMS. */
static const char *const param_keys[] = {
	"case", "every", "jobs", "journeys", "kind", "like", "lives", "moves", "nth", "patience",
	"plan", "ring", "rounds", "seconds", "seed", "steps", "story", "visits",
};

/** Those of them that are text; the others are numbers. */
static const char *const text_keys[] = { "case", "kind", "plan", "story" };

/** Is "key=value" something that a test may ask for? */
static bool
param_is_right(const char *text, size_t len)
{
	char word[128], *value, *end;
	unsigned int i;

	snprintf(word, sizeof(word), "%.*s", (int)len, text);
	value = strchr(word, '=');
	if (value == NULL || value[1] == '\0')
		return false;
	*value++ = '\0';
	for (i = 0; i < RTE_DIM(param_keys) && strcmp(word, param_keys[i]) != 0; i++)
		;
	if (i == RTE_DIM(param_keys))
		return false;
	for (i = 0; i < RTE_DIM(text_keys); i++)
		if (strcmp(word, text_keys[i]) == 0)
			return true;
	strtoull(value, &end, 0);
	return *value >= '0' && *value <= '9' && *end == '\0';
}

/** Complain of the words of a list that are not right. */
static bool
words_are_right(const char *variable, const char *between,
		bool (*is_right)(const char *text, size_t len))
{
	const char *p = getenv(variable);
	bool right = true;
	size_t len;

	for (; p != NULL && *p != '\0'; p += strspn(p, between)) {
		len = strcspn(p, between);
		if (len != 0 && !is_right(p, len)) {
			printf("%s: \"%.*s\" is not known\n", variable, (int)len, p);
			right = false;
		}
		p += len;
	}
	return right;
}

static bool
name_is_right(const char *text, size_t len)
{
	char name[128];

	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	return test_command_find(name) != NULL;
}

bool
test_environment_is_right(void)
{
	bool params = words_are_right("DPDK_TEST_PARAMS", ",", param_is_right);

	return words_are_right("DPDK_TEST_SKIP", ",: ", name_is_right) && params;
}

uint64_t
test_param_u64(const char *key, uint64_t otherwise)
{
	char value[32];

	return test_param(key, value, sizeof(value)) ?
		strtoull(value, NULL, 0) : otherwise;
}

static void
put(const char *s)
{
	if (write(STDERR_FILENO, s, strlen(s)) < 0)
		return;
}

static void
say_where_and_die(int sig)
{
	put(sig == SIGALRM ? "\nTIMEOUT in " : "\nCRASH in ");
	put(running_suite);
	put(", case ");
	put(running_case);
	put("\n");
	/* Installed with SA_RESETHAND: this time the default action is taken. */
	raise(sig);
}

/*
 * SIGBUS is for the library first: it replaces our handler when it maps guest
 * memory, and hands on what is not its own.  SIGPIPE keeps its default action,
 * because the library must never cause it.
 */
static void
watch_signals(void)
{
	static const int fatal[] = {
		SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM
	};
	struct sigaction act = {
		.sa_handler = say_where_and_die,
		.sa_flags = SA_RESETHAND | SA_NODEFER,
	};

	for (unsigned int i = 0; i < RTE_DIM(fatal); i++) {
		struct sigaction old;

		/* A sanitizer's handler says more than ours. */
		if (sigaction(fatal[i], NULL, &old) == 0 &&
				old.sa_handler == SIG_DFL)
			sigaction(fatal[i], &act, NULL);
	}
}

/** Suites that looked for their cases, and cases of them that ran. */
static unsigned int suites_looked, cases_ran;

static bool
case_selected(const struct test_case *tc)
{
	char pattern[128];

	return !test_param("case", pattern, sizeof(pattern)) ||
		fnmatch(pattern, tc->name, 0) == 0;
}

bool
test_case_is_missing(void)
{
	return suites_looked > 0 && cases_ran == 0;
}

static double
seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/** Seconds that a case may take: longer where all is waited for longer. */
static unsigned int
case_limit(const struct test_suite *suite)
{
	unsigned int limit = suite->case_seconds != 0 ? suite->case_seconds : TEST_CASE_SECONDS;
	uint64_t patience = test_param_u64("patience", TEST_PATIENCE);

	return limit * RTE_MAX(patience, TEST_PATIENCE) / TEST_PATIENCE;
}

static int
case_run(const struct test_suite *suite, const struct test_case *tc)
{
	int result, left = 0;

	running_case = tc->name;
	alarm(case_limit(suite));
	result = tc->run_with != NULL ? tc->run_with(tc->arg) : tc->run();
	if (suite->check != NULL)
		left = suite->check();
	alarm(0);
	running_case = "none";
	return result == TEST_SUCCESS && left != 0 ? TEST_FAILED : result;
}

static void
case_report(unsigned int i, const struct test_case *tc, int result,
		double seconds)
{
	printf(" + case %3u : %-52s %s (%.2f s)\n", i, tc->name,
		result == TEST_SUCCESS ? "passed" :
		result == TEST_SKIPPED ? "skipped" : "FAILED", seconds);
	fflush(stdout);
}

int
test_suite_run(const struct test_suite *suite)
{
	unsigned int passed = 0, failed = 0, skipped = 0;
	int ready;

	watch_signals();
	running_suite = suite->name;
	printf(" + suite : %s\n", suite->name);
	ready = suite->setup != NULL ? suite->setup() : 0;
	if (ready != TEST_SUCCESS) {
		printf(" + suite %s: setup %s\n", suite->name,
			ready == TEST_SKIPPED ? "asks to skip" : "failed");
		return ready == TEST_SKIPPED ? TEST_SKIPPED : TEST_FAILED;
	}
	suites_looked++;
	for (unsigned int i = 0; i < suite->nb_cases; i++) {
		const struct test_case *tc = &suite->cases[i];
		double start = seconds_now();
		int result;

		if (!case_selected(tc))
			continue;
		cases_ran++;
		result = case_run(suite, tc);
		case_report(i, tc, result, seconds_now() - start);
		passed += result == TEST_SUCCESS;
		skipped += result == TEST_SKIPPED;
		failed += result != TEST_SUCCESS && result != TEST_SKIPPED;
	}
	if (suite->teardown != NULL)
		suite->teardown();
	printf(" + suite %s: %u passed, %u failed, %u skipped\n",
		suite->name, passed, failed, skipped);
	running_suite = "none";
	return failed > 0 ? TEST_FAILED :
		passed == 0 && skipped > 0 ? TEST_SKIPPED : TEST_SUCCESS;
}
