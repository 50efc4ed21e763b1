/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Every fault once.
 *
 * A story is lived again and again, each time in a child process of its own, and each
 * time another call of the library fails: the first malloc(), the second, ... until there
 * is no further one; then the first mmap(), and so on.  Whatever fails, the library
 * must go on, must have said so, and must have nothing in the end that it has not in the
 * end of a life without faults.
 *
 * Who has said nothing must be in the table of faults that nobody has to hear of.
 *
 * Children start the library themselves, so that its first calls can fail as well; and a
 * crash is one finding among others.
 */

#include <errno.h>
#include <execinfo.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "test.h"
#include "vhost_fake_frontend.h"

#include "fault_names.h"
#include "fault_quiet.h"
#include "fault_run.h"
#include "fault_story.h"
#include "fault_wrap.h"

/** Lives at a time: most of one is waiting.  DPDK_TEST_PARAMS: jobs=N. */
#define JOBS 2

/**
 * Faults of one kind from one place in the code, with the same callers; what comes from
 * there more often is like these.  DPDK_TEST_PARAMS: like=N.
 */
#define LIKE_EACH_OTHER 2

/** What is made to fail, and with which error. */
struct kind {
	enum fault_call call;
	int err;
	/** On some machines the library does not call it. */
	bool optional;
	/** All further ones fail as well, until the step is over. */
	bool lasts;
};

static const struct kind kinds[] = {
	{ FAULT_accept4, EMFILE },
	{ FAULT_accept4, ECONNABORTED },
	{ FAULT_bind, EACCES },
	{ FAULT_calloc, ENOMEM },
	{ FAULT_calloc, ENOMEM, .lasts = true },
	{ FAULT_connect, ECONNREFUSED },
	{ FAULT_epoll_create1, EMFILE },
	{ FAULT_epoll_ctl, ENOSPC },
	{ FAULT_epoll_wait, EINTR },
	{ FAULT_eventfd, EMFILE },
	{ FAULT_fallocate, ENOSPC },
	{ FAULT_fcntl, EBADF },
	{ FAULT_fopen, EMFILE },
	{ FAULT_fstat, EIO },
	{ FAULT_fstatfs, EIO },
	{ FAULT_getsockopt, ENOBUFS },
	{ FAULT_heap_block, ENOMEM },
	{ FAULT_heap_block, ENOMEM, .lasts = true },
	{ FAULT_ioctl, EPERM, .optional = true },
	{ FAULT_listen, EADDRINUSE },
	{ FAULT_lseek, EIO },
	{ FAULT_lstat, EIO },
	{ FAULT_madvise, EINVAL },
	{ FAULT_madvise, EINVAL, .lasts = true },
	{ FAULT_malloc, ENOMEM },
	{ FAULT_memfd_create, EMFILE },
	{ FAULT_mincore, EAGAIN },
	{ FAULT_mlock2, ENOMEM, .optional = true },
	{ FAULT_mmap, ENOMEM },
	{ FAULT_mmap, ENOMEM, .lasts = true },
	{ FAULT_mprotect, ENOMEM },
	{ FAULT_mremap, ENOMEM },
	{ FAULT_open, EMFILE },
	{ FAULT_pread, EIO, .optional = true },
	{ FAULT_pthread_create, EAGAIN, .optional = true },
	{ FAULT_read, EIO },
	{ FAULT_readlink, EIO },
	{ FAULT_realloc, ENOMEM },
	{ FAULT_recvmsg, ECONNRESET },
	{ FAULT_recvmsg, EINTR },
#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
	{ FAULT_rte_ctrl_thread_create, EAGAIN },
#else
	{ FAULT_rte_thread_create_internal_control, EAGAIN },
#endif
	{ FAULT_rte_dma_info_get, EINVAL },
	{ FAULT_rte_malloc_socket, ENOMEM, .optional = true },
	{ FAULT_rte_malloc, ENOMEM, .optional = true },
	{ FAULT_rte_net_make_rarp_packet, ENOMEM },
	{ FAULT_send, ENOBUFS },
	{ FAULT_send, EAGAIN },
	{ FAULT_sendmsg, ENOBUFS },
	{ FAULT_sendmsg, EINTR },
	{ FAULT_setsockopt, ENOBUFS },
	{ FAULT_sigaction, EINVAL },
	{ FAULT_socket, EMFILE },
	{ FAULT_statx, EIO },
	{ FAULT_syscall, EPERM, .optional = true },
	{ FAULT_timerfd_create, EMFILE },
	{ FAULT_unlink, EACCES },
	{ FAULT_write, EBADF },
#ifdef RTE_LIBRTE_VHOST_NUMA
	{ FAULT_get_mempolicy, EPERM },
	{ FAULT_mbind, EPERM, .optional = true },
	{ FAULT_move_pages, EPERM },
	{ FAULT_move_pages, ENOMEM },
#endif
};

/** A life without a fault. */
struct reference {
	struct fault_rest rest;
	struct fault_saying said[FAULT_SAYINGS_MAX];
	unsigned int count[FAULT_COUNT];
	uint32_t place[FAULT_COUNT][FAULT_CALLS_MAX];
};

/** Of the story at hand. */
static struct reference reference;

/** A fault to be judged when the names of functions are known. */
struct doubt {
	const struct story *story;
	const struct kind *kind;
	unsigned int nth;
	enum { UNHEARD, WRONG } what;
	char wrong[FAULT_LINE + 64];
	struct fault_callers callers;
};

/** As many as there are; what was told needs none. */
static struct doubt *doubts;
static unsigned int ndoubts;

/** How often a kind was injected, and what was said to it. */
static struct {
	unsigned int injected, logged, refused, closed, quiet, failed;
} tally[RTE_DIM(kinds)];

/* ---- verdicts ---- */

static void
doubt_it(const struct story *story, const struct kind *kind, const struct fault *fault,
		int what, const char *wrong)
{
	struct doubt *all = realloc(doubts, (ndoubts + 1) * sizeof(*doubts)), *d;

	if (all == NULL)
		abort();
	doubts = all;
	d = &doubts[ndoubts++];
	*d = (struct doubt){ .story = story, .kind = kind, .nth = fault->nth, .what = what };
	memcpy(d->callers.from, fault->from, sizeof(d->callers.from));
	snprintf(d->wrong, sizeof(d->wrong), "%s", wrong);
}

static bool
same_origin(const struct fault_thing *a, const struct fault_thing *b)
{
	return a->kind == b->kind && a->from == b->from && a->size == b->size;
}

/** The first thing of a rest that the reference does not have, or NULL. */
static const struct fault_thing *
left_over(const struct fault_rest *rest, const struct fault_rest *expected)
{
	unsigned int j = 0;

	for (unsigned int i = 0; i < rest->nthings; i++) {
		while (j < expected->nthings && !same_origin(&expected->things[j], &rest->things[i]))
			j++;
		if (j++ >= expected->nthings)
			return &rest->things[i];
	}
	return NULL;
}

/** What must not be, in words; or NULL. */
static const char *
what_is_wrong(const struct fault_run *run)
{
	static char text[2 * FAULT_LINE];
	const struct fault_rest *rest = &run->rest, *expected = &reference.rest;
	const struct fault_thing *thing = left_over(rest, expected);

	if (WIFSIGNALED(run->status)) {
		snprintf(text, sizeof(text), "killed by signal %d", WTERMSIG(run->status));
		return text;
	}
	if (!run->ended) {
		snprintf(text, sizeof(text), "exit status %d", WEXITSTATUS(run->status));
		return text;
	}
	if (run->result.wrong[0] != '\0')
		return run->result.wrong;
	if (rest->fds > expected->fds)
		snprintf(text, sizeof(text), "%u descriptors are open, not %u", rest->fds,
			expected->fds);
	else if (rest->mbufs != expected->mbufs)
		snprintf(text, sizeof(text), "%u mbufs are in the pool, not %u", rest->mbufs,
			expected->mbufs);
	else if (thing != NULL && rest->nthings > expected->nthings)
		snprintf(text, sizeof(text), "%u things are left, not %u, as %zu bytes of %s of %p",
			rest->nthings, expected->nthings, thing->size,
			thing->kind == FAULT_HEAP ? "heap" : "a mapping", thing->from);
	else
		return NULL;
	return text;
}

/** More was said than without a fault. */
static bool
is_logged(const struct fault_run *run)
{
	return run->fault.warned && fault_says_more(&run->fault, reference.said);
}

static bool
is_unheard(const struct fault_run *run)
{
	return !is_logged(run) && run->result.answer == STORY_NOTHING;
}

static void
judge(const struct story *story, const struct kind *kind, const struct fault_run *run)
{
	typeof(tally[0]) *t = &tally[kind - kinds];
	const char *text = what_is_wrong(run);

	t->injected++;
	t->logged += is_logged(run);
	t->refused += run->result.answer == STORY_REFUSED;
	t->closed += run->result.answer == STORY_CLOSED;
	if (text != NULL)
		doubt_it(story, kind, &run->fault, WRONG, text);
	else if (is_unheard(run))
		doubt_it(story, kind, &run->fault, UNHEARD, "nobody was told");
}

/* ---- all of them ---- */

/** Places from which calls of a kind came that were made to fail; once for each time. */
static struct {
	uint32_t place[4096];
	unsigned int n;
} done[RTE_DIM(kinds)];

/** Whether enough calls of a kind from that place were made to fail, this one included. */
static bool
is_one_more(unsigned int kind, uint32_t place)
{
	const unsigned int most = test_param_u64("like", LIKE_EACH_OTHER);
	unsigned int like_it = 0;

	for (unsigned int i = 0; i < done[kind].n; i++)
		like_it += done[kind].place[i] == place;
	if (like_it >= most || done[kind].n == RTE_DIM(done[kind].place))
		return true;
	done[kind].place[done[kind].n++] = place;
	return false;
}

static void
prepare(struct fault_run *run, const struct kind *kind, unsigned int nth)
{
	memset(&run->fault, 0, sizeof(run->fault));
	memset(&run->result, 0, sizeof(run->result));
	run->fault.call = kind->call;
	run->fault.err = kind->err;
	run->fault.nth = nth;
	run->fault.lasts = kind->lasts;
}

static void
echo(const struct story *story, const struct fault_run *run)
{
	printf("%s %s %u: hit %d, \"%s\", answer %d in \"%s\", log \"%s\"\n", story->name,
		fault_call_names[run->fault.call], run->fault.nth, run->fault.hit,
		what_is_wrong(run) ?: "fine", run->result.answer, run->result.step,
		run->fault.warning);
}

/** Wait for one of the lives that are under way, if there are any, and judge it. */
static bool
judge_next(const struct story *story)
{
	const struct fault_run *run = fault_run_ended();

	if (run == NULL)
		return false;
	if (run->fault.hit)
		judge(story, &kinds[run->tag], run);
	if (fault_echo)
		echo(story, run);
	return true;
}

/** Only every so many-th of all faults, always the same.  DPDK_TEST_PARAMS: every=N. */
static bool
is_left_out(void)
{
	static unsigned int n;

	return n++ % test_param_u64("every", 1) != 0;
}

/** Let the calls of a kind fail one by one, in a story. */
static int
inject_kind(const struct story *story, const struct kind *kind)
{
	const uint32_t *place = reference.place[kind->call];
	unsigned int count = reference.count[kind->call], only = test_param_u64("nth", 0);
	struct fault_run *run;

	for (unsigned int nth = 1; nth <= count; nth++) {
		if (only != 0 ? nth != only :
				is_one_more(kind - kinds, place[nth - 1]) || is_left_out())
			continue;
		while ((run = fault_run_idle()) == NULL)
			judge_next(story);
		prepare(run, kind, nth);
		run->tag = kind - kinds;
		TEST_ASSERT_SUCCESS(fault_run_begin(run, story, &reference.rest), "a child");
	}
	return 0;
}

static int
inject_all(const struct story *story)
{
	char only[32];
	int ret = 0;

	for (unsigned int i = 0; i < RTE_DIM(kinds) && ret == 0; i++)
		if (!test_param("kind", only, sizeof(only)) ||
				strcmp(only, fault_call_names[kinds[i].call]) == 0)
			ret = inject_kind(story, &kinds[i]);
	while (judge_next(story))
		;
	return ret;
}

/** A life without faults, to compare the others with. */
static int
live_reference(const struct story *story)
{
	struct fault_run *run = fault_run_idle();

	prepare(run, &kinds[0], 0);
	TEST_ASSERT_SUCCESS(fault_run_begin(run, story, NULL), "a child");
	TEST_ASSERT(fault_run_ended() == run, "its end");
	TEST_ASSERT(!WIFSIGNALED(run->status), "without a fault it dies of signal %d",
		WTERMSIG(run->status));
	TEST_ASSERT(run->ended, "without a fault it ends");
	TEST_ASSERT(run->result.wrong[0] == '\0', "without a fault: %s", run->result.wrong);
	TEST_ASSERT(story->is_odd || !run->fault.warned, "without a fault: %s",
		run->fault.warning);
	memcpy(reference.said, run->fault.said, sizeof(reference.said));
	reference.rest = run->rest;
	memcpy(reference.place, run->fault.place, sizeof(reference.place));
	for (unsigned int i = 0; i < FAULT_COUNT; i++)
		reference.count[i] = RTE_MIN(run->fault.count[i], (unsigned int)FAULT_CALLS_MAX);
	return 0;
}

/** How many faults there are to inject, and of how many calls. */
static int
show_plan(const struct story *story)
{
	unsigned int faults = 0;

	TEST_ASSERT_SUCCESS(live_reference(story), "%s", story->name);
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++) {
		unsigned int n = 0, count = reference.count[kinds[i].call];

		for (unsigned int nth = 1; nth <= count; nth++)
			n += !is_one_more(i, reference.place[kinds[i].call][nth - 1]);
		printf("%s: %s: %u faults of %u calls\n", story->name,
			fault_call_names[kinds[i].call], n, count);
		faults += n;
	}
	printf("%s: %u faults\n", story->name, faults);
	return TEST_SUCCESS;
}

static int
live_story(const void *arg)
{
	const struct story *story = arg;
	char only[32];

	if (test_param("story", only, sizeof(only)) && strcmp(only, story->name) != 0)
		return TEST_SKIPPED;
	if (test_param("plan", only, sizeof(only)))
		return show_plan(story);
	if (story->is_possible != NULL && !story->is_possible())
		return TEST_SKIPPED;
	TEST_ASSERT_SUCCESS(live_reference(story), "%s", story->name);
	return inject_all(story) == 0 ? TEST_SUCCESS : TEST_FAILED;
}

/* ---- what was not told ---- */

/** Nobody has to hear of faults that come from there. */
static const struct fault_quiet *
find_quiet(const struct doubt *d)
{
	char word[80];

	for (unsigned int i = 0; i < RTE_DIM(fault_quiet); i++) {
		const struct fault_quiet *q = &fault_quiet[i];

		if (q->call != d->kind->call || (q->err != 0 && q->err != d->kind->err) ||
				(d->what == WRONG && !q->excuses) ||
				(q->lasting && !d->kind->lasts))
			continue;
		snprintf(word, sizeof(word), "%s ", q->function);
		for (const char *at = d->callers.names; (at = strstr(at, word)) != NULL; at++)
			if (at == d->callers.names || at[-1] == ' ')
				return q;
	}
	return NULL;
}

static int
name_doubts(void)
{
	struct fault_callers **all = calloc(ndoubts + 1, sizeof(*all));
	int ret;

	if (all == NULL)
		return -1;
	for (unsigned int i = 0; i < ndoubts; i++)
		all[i] = &doubts[i].callers;
	ret = fault_names(all, ndoubts);
	free(all);
	return ret;
}

static void
print_tally(void)
{
	printf("%-40s injected logged refused closed quiet failed\n", "fault");
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++) {
		char name[64];

		if (tally[i].injected == 0)
			continue;
		snprintf(name, sizeof(name), "%s %s%s", fault_call_names[kinds[i].call],
			strerrorname_np(kinds[i].err), kinds[i].lasts ? " from then on" : "");
		printf("%-40s %8u %6u %7u %6u %5u %6u\n", name, tally[i].injected, tally[i].logged,
			tally[i].refused, tally[i].closed, tally[i].quiet, tally[i].failed);
	}
}

static int
all_were_survived_and_told(void)
{
	unsigned int failed = 0;

	TEST_ASSERT_SUCCESS(name_doubts(), "names");
	for (unsigned int i = 0; i < ndoubts; i++) {
		const struct doubt *d = &doubts[i];

		if (find_quiet(d) != NULL) {
			tally[d->kind - kinds].quiet++;
			continue;
		}
		tally[d->kind - kinds].failed++;
		failed++;
		printf("%s: call %u of %s (%s%s): %s; called by %s\n", d->story->name, d->nth,
			fault_call_names[d->kind->call], strerrorname_np(d->kind->err),
			d->kind->lasts ? ", and all further ones" : "", d->wrong, d->callers.names);
	}
	print_tally();
	TEST_ASSERT_EQUAL(failed, 0, "faults that the library does not take as it should");
	return TEST_SUCCESS;
}

/** Somebody is after certain faults. */
static bool
is_choosy(void)
{
	char only[32];

	return test_param("kind", only, sizeof(only)) || test_param("story", only, sizeof(only));
}

static int
each_kind_was_injected(void)
{
	unsigned int missing = 0;

	if (is_choosy() || test_param_u64("every", 1) != 1)
		return TEST_SKIPPED;
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++)
		if (tally[i].injected == 0 && !kinds[i].optional) {
			printf("%s was never made to fail\n", fault_call_names[kinds[i].call]);
			missing++;
		}
	TEST_ASSERT_EQUAL(missing, 0, "kinds of faults without any");
	return TEST_SUCCESS;
}

/* ---- the test of the test ---- */

/** A library that takes a fault wrongly, and what has to be found out. */
static const struct {
	enum fault_seed seed;
	const char *found;
} seeds[] = {
	{ FAULT_SEED_NONE, NULL },
	{ FAULT_SEED_SILENCE, "nobody was told" },
	{ FAULT_SEED_BLOCK, "100 bytes of heap" },
	{ FAULT_SEED_MAPPING, "4096 bytes of a mapping" },
	{ FAULT_SEED_DESCRIPTOR, "descriptors are open" },
	{ FAULT_SEED_CRASH, "killed by signal" },
};

/** A socket file that cannot be removed is told of, and all goes on. */
static const struct kind harmless = { FAULT_unlink, EACCES };

static bool
seed_is_found(const struct fault_run *run)
{
	const char *text = what_is_wrong(run), *found = seeds[run->tag].found;

	if (text == NULL && is_unheard(run))
		text = "nobody was told";
	if (run->fault.hit && (found == NULL ? text == NULL :
			text != NULL && strstr(text, found) != NULL))
		return true;
	printf("seed %u: \"%s\", not \"%s\"\n", run->tag, text ?: "", found ?: "");
	return false;
}

static int
what_is_seeded_is_found(void)
{
	const struct story *story = &fault_stories[0];
	unsigned int missed = 0;
	struct fault_run *run;

	if (is_choosy())
		return TEST_SKIPPED;
	TEST_ASSERT_SUCCESS(live_reference(story), "%s", story->name);
	for (unsigned int i = 0; i < RTE_DIM(seeds); i++) {
		while ((run = fault_run_idle()) == NULL)
			missed += !seed_is_found(fault_run_ended());
		prepare(run, &harmless, 1);
		run->fault.seed = seeds[i].seed;
		run->tag = i;
		TEST_ASSERT_SUCCESS(fault_run_begin(run, story, &reference.rest), "a child");
	}
	while ((run = fault_run_ended()) != NULL)
		missed += !seed_is_found(run);
	TEST_ASSERT_EQUAL(missed, 0, "what is wrong on purpose");
	return TEST_SUCCESS;
}

static int
setup(void)
{
	void *frames[4];

	setenv("DPDK_TEST_PARAMS", "patience=2", 0);
	fault_echo = getenv("VHOST_TEST_ECHO_LOG") != NULL;
	/* which loads what it needs, in all children at once */
	backtrace(frames, RTE_DIM(frames));
	if (fault_runs_init(test_param_u64("jobs", JOBS)) < 0)
		return TEST_FAILED;
	return fake_setup_parent();
}

static void
teardown(void)
{
	fault_runs_fini();
	fake_teardown();
}

static int
test_vhost_faults(void)
{
	static struct test_case cases[16];
	struct test_suite suite = {
		.name = "vhost faults", .setup = setup, .teardown = teardown,
		.cases = cases, .case_seconds = 600,
	};

	cases[suite.nb_cases++] = (struct test_case)TEST_CASE(what_is_seeded_is_found);
	for (unsigned int i = 0; i < fault_nstories; i++)
		cases[suite.nb_cases++] = (struct test_case)TEST_CASE_WITH(live_story,
			fault_stories[i].name, &fault_stories[i]);
	cases[suite.nb_cases++] = (struct test_case)TEST_CASE(all_were_survived_and_told);
	cases[suite.nb_cases++] = (struct test_case)TEST_CASE(each_kind_was_injected);
	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_faults_autotest, test_vhost_faults);
