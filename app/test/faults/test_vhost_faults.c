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
#include <link.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_mempool.h>

#include "mem_node.h"
#include "test.h"
#include "vhost_fake_frontend.h"

#include "fault_quiet.h"
#include "fault_story.h"
#include "fault_wrap.h"

#define CHILD_SECONDS (TEST_ASAN ? 60 : 20)
#define THINGS_MAX 1024

/**
 * Faults of one kind from one place in the code, with the same callers; what comes from
 * there more often is like these.  DPDK_TEST_PARAMS: like=N.
 */
#define LIKE_EACH_OTHER 2

/** Callers that are told by name. */
#define NAMED 7

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

/** What there is at the end of a life. */
struct rest {
	unsigned int fds, mbufs, nthings;
	struct fault_thing things[THINGS_MAX];
};

/** A life without a fault. */
struct reference {
	struct rest rest;
	unsigned int warnings;
	unsigned int count[FAULT_COUNT];
	uint32_t place[FAULT_COUNT][FAULT_CALLS_MAX];
};

/** A life in a child: what it was to suffer, and what it left; shared with the child. */
struct run {
	struct fault fault;
	struct story_result result;
	struct rest rest;
	bool ended;
	int status;	/**< of the child */
};

static struct run *run;

/** Of the story at hand. */
static struct reference reference;

/** A fault to be judged when the names of functions are known. */
struct doubt {
	const struct story *story;
	const struct kind *kind;
	unsigned int nth;
	void *from[FAULT_DEPTH];
	enum { UNHEARD, WRONG } what;
	char wrong[FAULT_LINE + 64];
	char names[512];	/**< of who called, see name_doubts() */
};

/** As many as there are; what was told needs none. */
static struct doubt *doubts;
static unsigned int ndoubts;

/** How often a kind was injected, and what was said to it. */
static struct {
	unsigned int injected, logged, refused, closed, quiet, failed;
} tally[RTE_DIM(kinds)];

/* ---- a life ---- */

/** Threads of the library may still be giving things back. */
static void
look_at_rest(struct rest *rest, const struct rest *expected)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	do {
		rest->fds = fake_count_fds();
		rest->mbufs = rte_mempool_avail_count(fake_pool());
		rest->nthings = fault_things(rest->things, THINGS_MAX);
		if (expected->nthings == 0 ||
				(rest->fds <= expected->fds && rest->nthings <= expected->nthings))
			return;
		usleep(1000);
	} while (fake_now_ms() < until);
}

static void
child(const struct story *story, const struct rest *expected)
{
	alarm(CHILD_SECONDS);
	story_run(story, &run->fault, &run->result);
	/* the heap looks for an empty chunk that it may give back, the reaper closes */
	if (expected->nthings == 0)
		usleep(100000);
	look_at_rest(&run->rest, expected);
	run->ended = true;
	fflush(stdout);
}

static int
live_once(const struct story *story, const struct rest *expected)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		child(story, expected);
		_exit(EXIT_SUCCESS);
	}
	if (pid < 0 || waitpid(pid, &run->status, 0) != pid)
		return -1;
	return 0;
}

/* ---- verdicts ---- */

static void
doubt_it(const struct story *story, const struct kind *kind, int what, const char *wrong)
{
	struct doubt *all = realloc(doubts, (ndoubts + 1) * sizeof(*doubts)), *d;

	if (all == NULL)
		abort();
	doubts = all;
	d = &doubts[ndoubts++];
	*d = (struct doubt){ .story = story, .kind = kind, .nth = run->fault.nth, .what = what };
	memcpy(d->from, run->fault.from, sizeof(d->from));
	snprintf(d->wrong, sizeof(d->wrong), "%s", wrong);
}

static bool
same_origin(const struct fault_thing *a, const struct fault_thing *b)
{
	return a->kind == b->kind && a->from == b->from && a->size == b->size;
}

/** The first thing of a rest that the reference does not have, or NULL. */
static const struct fault_thing *
left_over(const struct rest *rest, const struct rest *expected)
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
what_is_wrong(const struct rest *expected)
{
	static char text[2 * FAULT_LINE];
	const struct rest *rest = &run->rest;
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

static void
judge(const struct story *story, const struct kind *kind, const struct reference *expected)
{
	typeof(tally[0]) *t = &tally[kind - kinds];
	const char *text = what_is_wrong(&expected->rest);
	bool logged = run->fault.warnings_since > 0 && run->fault.warnings > expected->warnings;

	t->injected++;
	t->logged += logged;
	t->refused += run->result.answer == STORY_REFUSED;
	t->closed += run->result.answer == STORY_CLOSED;
	if (text != NULL) {
		doubt_it(story, kind, WRONG, text);
	} else if (!logged && run->result.answer == STORY_NOTHING) {
		doubt_it(story, kind, UNHEARD, "nobody was told");
	}
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
prepare(const struct kind *kind, unsigned int nth)
{
	memset(&run->fault, 0, sizeof(run->fault));
	memset(&run->result, 0, sizeof(run->result));
	run->fault.call = kind->call;
	run->fault.err = kind->err;
	run->fault.nth = nth;
	run->fault.lasts = kind->lasts;
	run->ended = false;
}

/** Let the calls of a kind fail one by one, in a story. */
static int
inject_kind(const struct story *story, const struct kind *kind,
		const struct reference *expected)
{
	const uint32_t *place = expected->place[kind->call];
	unsigned int count = expected->count[kind->call], most = test_param_u64("nth", 0);

	for (unsigned int nth = 1; nth <= count; nth++) {
		if (most != 0 ? nth != most : is_one_more(kind - kinds, place[nth - 1]))
			continue;
		prepare(kind, nth);
		TEST_ASSERT_SUCCESS(live_once(story, &expected->rest), "a child");
		if (run->fault.hit)
			judge(story, kind, expected);
		if (getenv("VHOST_TEST_ECHO_LOG") != NULL)
			printf("%s %s %u of %u: hit %d, \"%s\", answer %d in \"%s\", log \"%s\"\n",
				story->name, fault_call_names[kind->call], nth, count,
				run->fault.hit, what_is_wrong(&expected->rest) ?: "fine",
				run->result.answer, run->result.step, run->fault.warning);
	}
	return 0;
}

/** A life without faults, to compare the others with. */
static int
live_reference(const struct story *story)
{
	static const struct rest unknown;

	prepare(&kinds[0], 0);
	TEST_ASSERT_SUCCESS(live_once(story, &unknown), "a child");
	TEST_ASSERT(!WIFSIGNALED(run->status), "without a fault it dies of signal %d",
		WTERMSIG(run->status));
	TEST_ASSERT(run->ended, "without a fault it ends");
	TEST_ASSERT(run->result.wrong[0] == '\0', "without a fault: %s", run->result.wrong);
	TEST_ASSERT(story->is_odd || run->fault.warnings == 0, "without a fault: %s",
		run->fault.warning);
	reference.warnings = run->fault.warnings;
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
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++) {
		if (test_param("kind", only, sizeof(only)) &&
				strcmp(only, fault_call_names[kinds[i].call]) != 0)
			continue;
		TEST_ASSERT_SUCCESS(inject_kind(story, &kinds[i], &reference), "%s",
			fault_call_names[kinds[i].call]);
	}
	return TEST_SUCCESS;
}

/* ---- names ---- */

static int
first_object(struct dl_phdr_info *info, size_t size __rte_unused, void *arg)
{
	*(uintptr_t *)arg = info->dlpi_addr;
	return 1;
}

/** Callers of all doubts as the file of this program has them, one in a line. */
static FILE *
ask_for_names(const char *path)
{
	char command[192];
	uintptr_t base = 0;
	FILE *list = fopen(path, "we");

	if (list == NULL)
		return NULL;
	dl_iterate_phdr(first_object, &base);
	for (unsigned int i = 0; i < ndoubts; i++)
		for (unsigned int j = 0; j < NAMED; j++)
			/* the call is before where it returns to */
			fprintf(list, "%#zx\n", doubts[i].from[j] == NULL ? 0 :
				(uintptr_t)doubts[i].from[j] - base - 1);
	fclose(list);
	snprintf(command, sizeof(command), "addr2line -afie /proc/%d/exe <%s", getpid(), path);
	return popen(command, "re");
}

/** Functions that led to each doubt, innermost first, inlined ones included. */
static int
name_doubts(void)
{
	char path[108], line[512];
	unsigned int addresses = 0, rows = 0;
	FILE *names;

	fake_new_path(path, sizeof(path));
	names = ask_for_names(path);
	if (names == NULL)
		return -1;
	/* of each address itself, then in turn a function and where in the source it is */
	while (fgets(line, sizeof(line), names) != NULL) {
		bool address = strncmp(line, "0x", 2) == 0;
		struct doubt *d;

		rows = address ? 0 : rows + 1;
		addresses += address;
		line[strcspn(line, "\n")] = '\0';
		d = &doubts[(addresses - 1) / NAMED];
		if (rows % 2 == 1 && line[0] != '?' &&
				strlen(d->names) + strlen(line) + 2 < sizeof(d->names))
			strcat(strcat(d->names, line), " ");
	}
	unlink(path);
	return pclose(names) == 0 && addresses == ndoubts * NAMED ? 0 : -1;
}

/** Nobody has to hear of faults that come from there. */
static const struct fault_quiet *
find_quiet(const struct doubt *d)
{
	char word[80];

	for (unsigned int i = 0; i < RTE_DIM(fault_quiet); i++) {
		const struct fault_quiet *q = &fault_quiet[i];

		if (q->call != d->kind->call || (q->err != 0 && q->err != d->kind->err) ||
				(d->what == WRONG && !q->excuses))
			continue;
		snprintf(word, sizeof(word), "%s ", q->function);
		for (const char *at = d->names; (at = strstr(at, word)) != NULL; at++)
			if (at == d->names || at[-1] == ' ')
				return q;
	}
	return NULL;
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
			d->kind->lasts ? ", and all further ones" : "", d->wrong, d->names);
	}
	print_tally();
	TEST_ASSERT_EQUAL(failed, 0, "faults that the library does not take as it should");
	return TEST_SUCCESS;
}

static int
each_kind_was_injected(void)
{
	unsigned int missing = 0;

	char only[32];

	if (test_param("kind", only, sizeof(only)) || test_param("story", only, sizeof(only)))
		return TEST_SKIPPED;
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++)
		if (tally[i].injected == 0 && !kinds[i].optional) {
			printf("%s was never made to fail\n", fault_call_names[kinds[i].call]);
			missing++;
		}
	TEST_ASSERT_EQUAL(missing, 0, "kinds of faults without any");
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
	run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run == MAP_FAILED)
		return TEST_FAILED;
	return fake_setup_parent();
}

static int
test_vhost_faults(void)
{
	static struct test_case cases[16];
	struct test_suite suite = {
		.name = "vhost faults", .setup = setup, .teardown = fake_teardown,
		.cases = cases, .case_seconds = 600,
	};

	for (unsigned int i = 0; i < fault_nstories; i++)
		cases[suite.nb_cases++] = (struct test_case)TEST_CASE_WITH(live_story,
			fault_stories[i].name, &fault_stories[i]);
	cases[suite.nb_cases++] = (struct test_case)TEST_CASE(all_were_survived_and_told);
	cases[suite.nb_cases++] = (struct test_case)TEST_CASE(each_kind_was_injected);
	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_faults_autotest, test_vhost_faults);
