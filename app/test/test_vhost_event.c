/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The event loop: no event is lost, none reaches a source that it was not meant
 * for, and timers run in their order.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "event_loop.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_denied.h"
#include "vhost_test_events.h"

/** An eventfd that is watched; it is never read, so it stays ready. */
struct watched {
	struct event_source source;	/* first */
	int fd;
	unsigned int runs;		/* atomic */
	void (*then)(void);		/* called by the handler; or NULL */
};

static void
on_event(struct event_source *source, uint32_t events __rte_unused)
{
	struct watched *w = (struct watched *)source;
	void (*then)(void) = w->then;

	if (then != NULL)
		then();
	__atomic_fetch_add(&w->runs, 1, __ATOMIC_SEQ_CST);
}

/** Watch edges of a new eventfd. */
static int
watch(struct watched *w, void (*then)(void))
{
	memset(w, 0, sizeof(*w));
	w->then = then;
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return w->fd < 0 ? -1 : vhost_event_source_add(&w->source, w->fd, EPOLLIN | EPOLLET,
		on_event);
}

static void
unwatch(struct watched *w)
{
	vhost_event_source_remove(&w->source);
	close(w->fd);
}

static void
kick(struct watched *w)
{
	eventfd_write(w->fd, 1);
}

static bool
has_run(struct watched *w, unsigned int times)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (__atomic_load_n(&w->runs, __ATOMIC_SEQ_CST) < times && fake_now_ms() < until)
		usleep(500);
	return __atomic_load_n(&w->runs, __ATOMIC_SEQ_CST) == times;
}

/** Long enough for the loop to have nothing to do and wait. */
static void
settle(void)
{
	usleep(20000);
}

static int
edge_after_another_source_is_removed(void)
{
	struct watched stays, goes;

	TEST_ASSERT_SUCCESS(watch(&stays, NULL), "one that stays");
	for (unsigned int i = 1; i <= 5; i++) {
		TEST_ASSERT_SUCCESS(watch(&goes, NULL), "one that goes");
		settle();
		unwatch(&goes);
		kick(&stays);
		TEST_ASSERT(has_run(&stays, i), "kick %u is served", i);
	}
	unwatch(&stays);
	return TEST_SUCCESS;
}

static int
edge_after_a_removal_and_a_new_one(void)
{
	struct watched w;

	TEST_ASSERT_SUCCESS(watch(&w, NULL), "watch");
	for (unsigned int i = 1; i <= 5; i++) {
		vhost_event_source_remove(&w.source);
		kick(&w);
		TEST_ASSERT_SUCCESS(vhost_event_source_add(&w.source, w.fd,
			EPOLLIN | EPOLLET, on_event), "again");
		TEST_ASSERT(has_run(&w, i), "what came between is told");
	}
	unwatch(&w);
	return TEST_SUCCESS;
}

/* ---- events of sources that are gone ---- */

static struct {
	struct watched first, second;
	int quiet_fd;		/* takes the place of the second */
	int added;
	sem_t entered, go_on;
} swap;

/** Remove the second source and add another one: same memory, same slot. */
static void
swap_second(void)
{
	if (swap.added++ > 0)
		return;
	vhost_event_source_remove(&swap.second.source);
	swap.added += vhost_event_source_add(&swap.second.source, swap.quiet_fd,
		EPOLLIN | EPOLLET, on_event);
}

static void
let_others_swap(void)
{
	sem_post(&swap.entered);
	sem_wait(&swap.go_on);
}

/** Both sources are ready at once; the handler of the first runs first. */
static int
make_both_ready(void (*then)(void))
{
	struct held_events held;

	memset(&swap, 0, sizeof(swap));
	sem_init(&swap.entered, 0, 0);
	sem_init(&swap.go_on, 0, 0);
	swap.quiet_fd = eventfd(0, EFD_CLOEXEC);
	if (watch(&swap.first, then) != 0 || watch(&swap.second, NULL) != 0)
		return -1;
	events_hold(&held);
	kick(&swap.first);
	kick(&swap.second);
	events_release(&held);
	return 0;
}

/** The event of before does not reach the new source, its own does. */
static int
check_swapped(void)
{
	TEST_ASSERT_EQUAL(swap.added, 1, "the new source is watched");
	settle();
	TEST_ASSERT(has_run(&swap.second, 0), "not its event");
	eventfd_write(swap.quiet_fd, 1);
	TEST_ASSERT(has_run(&swap.second, 1), "this one is");
	close(swap.quiet_fd);
	unwatch(&swap.first);
	unwatch(&swap.second);
	return TEST_SUCCESS;
}

static int
removed_by_an_earlier_handler_and_replaced(void)
{
	TEST_ASSERT_SUCCESS(make_both_ready(swap_second), "two sources");
	TEST_ASSERT(has_run(&swap.first, 1), "the first is served");
	return check_swapped();
}

static int
removed_by_another_thread_and_replaced(void)
{
	TEST_ASSERT_SUCCESS(make_both_ready(let_others_swap), "two sources");
	sem_wait(&swap.entered);
	swap_second();
	sem_post(&swap.go_on);
	return check_swapped();
}

/* Removal from another thread while events come all the time. */
static int
removed_source_does_not_run_any_more(void)
{
	for (int i = 0; i < 2000; i++) {
		struct watched *w = malloc(sizeof(*w));
		unsigned int runs;

		TEST_ASSERT_NOT_NULL(w, "memory");
		TEST_ASSERT_SUCCESS(watch(w, NULL), "watch");
		kick(w);
		if (i % 3 == 0)
			kick(w);
		vhost_event_source_remove(&w->source);
		runs = w->runs;
		close(w->fd);
		TEST_ASSERT_EQUAL(w->runs, runs, "nothing runs");
		memset(w, 0xa5, sizeof(*w));
		free(w);
	}
	return TEST_SUCCESS;
}

/* ---- many ---- */

static int
hundreds_of_sources_are_told_apart(void)
{
	struct rlimit limit;
	unsigned int i, n;
	struct watched *all;

	getrlimit(RLIMIT_NOFILE, &limit);
	n = RTE_MIN((unsigned int)limit.rlim_cur - fake_count_fds() - 20, 3000u);
	all = calloc(n, sizeof(*all));
	TEST_ASSERT_NOT_NULL(all, "memory");
	for (i = 0; i < n; i++)
		TEST_ASSERT_SUCCESS(watch(&all[i], NULL), "source %u", i);
	for (i = 0; i < n; i += 2)
		vhost_event_source_remove(&all[i].source);
	for (i = 0; i < n; i++)
		kick(&all[i]);
	for (i = 0; i < n; i++)
		TEST_ASSERT(has_run(&all[i], i % 2), "source %u", i);
	for (i = 0; i < n; i++)
		unwatch(&all[i]);
	free(all);
	return TEST_SUCCESS;
}

static int
refused_source_leaves_nothing(void)
{
	struct event_source other = { 0 };
	struct watched w;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	TEST_ASSERT_SUCCESS(watch(&w, NULL), "watch");
	TEST_ASSERT_EQUAL(vhost_event_source_add(&other, w.fd, EPOLLIN, on_event), -EEXIST,
		"watched already");
	TEST_ASSERT_EQUAL(vhost_event_source_add(&other, fd, EPOLLIN, on_event), -EPERM,
		"a regular file");
	vhost_event_source_remove(&other);
	kick(&w);
	TEST_ASSERT(has_run(&w, 1), "the first is left alone");
	unwatch(&w);
	close(fd);
	return TEST_SUCCESS;
}

/* ---- timers ---- */

#define NB_TIMERS 20

static struct alarm {
	struct event_timer timer;	/* first */
	unsigned int position;		/* in which it ran, from 1 */
	bool on_loop;
} alarms[NB_TIMERS];
static unsigned int alarms_run;		/* atomic */

static void
on_alarm(struct event_timer *timer)
{
	struct alarm *alarm = (struct alarm *)timer;

	alarm->on_loop = vhost_event_loop_is_current();
	alarm->position = __atomic_load_n(&alarms_run, __ATOMIC_SEQ_CST) + 1;
	__atomic_fetch_add(&alarms_run, 1, __ATOMIC_SEQ_CST);
}

static bool
wait_for_alarms(unsigned int n)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (__atomic_load_n(&alarms_run, __ATOMIC_SEQ_CST) < n && fake_now_ms() < until)
		usleep(500);
	return __atomic_load_n(&alarms_run, __ATOMIC_SEQ_CST) == n;
}

static int
timers_run_in_the_order_of_their_time(void)
{
	memset(alarms, 0, sizeof(alarms));
	alarms_run = 0;
	/* armed in the order 0, 7, 14, 1, 8, ...; the third of each is called off */
	for (unsigned int i = 0; i < NB_TIMERS; i++) {
		unsigned int k = i * 7 % NB_TIMERS;

		vhost_event_timer_arm(&alarms[k].timer, 300 + 10 * k, on_alarm);
	}
	for (unsigned int k = 2; k < NB_TIMERS; k += 3)
		vhost_event_timer_cancel(&alarms[k].timer);
	/* armed again: only the last time counts */
	vhost_event_timer_arm(&alarms[0].timer, 200 + 10 * NB_TIMERS + 200, on_alarm);
	TEST_ASSERT(wait_for_alarms(NB_TIMERS - NB_TIMERS / 3), "all but six");
	for (unsigned int k = 1, last = 0; k < NB_TIMERS; k++) {
		if (k % 3 == 2)
			TEST_ASSERT_EQUAL(alarms[k].position, 0, "timer %u called off", k);
		else
			TEST_ASSERT_EQUAL(alarms[k].position, ++last, "timer %u", k);
	}
	TEST_ASSERT_EQUAL(alarms[0].position, NB_TIMERS - NB_TIMERS / 3, "the last one");
	return TEST_SUCCESS;
}

static int
handlers_know_whose_thread_it_is(void)
{
	memset(alarms, 0, sizeof(alarms));
	alarms_run = 0;
	TEST_ASSERT(!vhost_event_loop_is_current(), "not the loop's thread");
	vhost_event_timer_arm(&alarms[0].timer, 0, on_alarm);
	TEST_ASSERT(wait_for_alarms(1), "one");
	TEST_ASSERT(alarms[0].on_loop, "the loop's thread");
	return TEST_SUCCESS;
}

/* ---- its start, which comes with the first source, and so before the first case ---- */

static int failed_starts = TEST_SKIPPED;

static int
add_first(void)
{
	struct event_source source = { 0 };
	int fd = eventfd(0, EFD_CLOEXEC), ret = vhost_event_source_add(&source, fd, EPOLLIN, on_event);

	close(fd);
	return ret;
}

static int
fail_to_start(void)
{
	static const struct denied refused[] = {
		{ .calls = { SYS_epoll_create1 } }, { .calls = { SYS_timerfd_create } },
		{ .calls = { SYS_epoll_ctl } },
	};
	unsigned int fds;

	for (unsigned int i = 0; i < RTE_DIM(refused); i++) {
		struct denied how = refused[i];
		int ret;

		how.err = EMFILE;
		how.run = add_first;
		fds = fake_count_fds();
		ret = denied_run(how);
		if (ret == TEST_SKIPPED)
			return ret;
		TEST_ASSERT_EQUAL(ret, -EMFILE, "%u", i);
		TEST_ASSERT_EQUAL(fake_count_fds(), fds, "%u: descriptors", i);
	}
	return TEST_SUCCESS;
}

static int
setup(void)
{
	/* Of other suites in this process one has started it. */
	if (test_is_alone("vhost_event_autotest"))
		failed_starts = fail_to_start();
	return fake_setup();
}

static int
a_start_that_fails_leaves_nothing(void)
{
	return failed_starts;
}

static const struct test_case cases[] = {
	TEST_CASE(a_start_that_fails_leaves_nothing),
	TEST_CASE(edge_after_another_source_is_removed),
	TEST_CASE(edge_after_a_removal_and_a_new_one),
	TEST_CASE(removed_by_an_earlier_handler_and_replaced),
	TEST_CASE(removed_by_another_thread_and_replaced),
	TEST_CASE(removed_source_does_not_run_any_more),
	TEST_CASE(hundreds_of_sources_are_told_apart),
	TEST_CASE(refused_source_leaves_nothing),
	TEST_CASE(timers_run_in_the_order_of_their_time),
	TEST_CASE(handlers_know_whose_thread_it_is),
};

static int
test_vhost_event(void)
{
	return test_suite_run(&(const struct test_suite){
		.name = "vhost event loop",
		.setup = setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	});
}

REGISTER_TEST_COMMAND(vhost_event_autotest, test_vhost_event);
