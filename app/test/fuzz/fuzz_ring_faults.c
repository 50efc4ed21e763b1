/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What happens at no moment that an input could name: with FUZZ_FAULTS=1 a timer goes off
 * while the device runs, anywhere in it, and its signal truncates a file of the guest's
 * memory, hangs up, or does nothing but interrupt.
 *
 * An input is not the whole story then: to see a finding again takes more than one try.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fuzz_ring.h"

/** A burst takes some tens of microseconds here, with all the checks. */
#define LONGEST_US 60

static struct {
	timer_t timer;
	bool wanted;
	volatile sig_atomic_t struck;	/**< the device has lost something */
	int sock;
	uint32_t chance;
} faults;

/** xorshift: what is random need not be good. */
static uint32_t
chance(void)
{
	faults.chance ^= faults.chance << 13;
	faults.chance ^= faults.chance >> 17;
	faults.chance ^= faults.chance << 5;
	return faults.chance;
}

static void
strike(int sig __rte_unused)
{
	const int saved = errno;

	switch (chance() % 4) {
	case 0:
		guest_truncate(0);
		faults.struck = 1;
		break;
	case 1:
		guest_truncate(1);
		faults.struck = 1;
		break;
	case 2:
		shutdown(faults.sock, SHUT_RDWR);
		faults.struck = 1;
		break;
	default:
		break;
	}
	errno = saved;
}

void
faults_create(void)
{
	const char *wanted = getenv("FUZZ_FAULTS");
	struct sigaction action = { .sa_handler = strike };
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 1,
	};

	if (wanted == NULL || *wanted != '1')
		return;
	faults.wanted = true;
	faults.chance = 1 + getpid();
	event._sigev_un._tid = syscall(SYS_gettid);
	FUZZ_CHECK(sigaction(SIGRTMIN + 1, &action, NULL) == 0 &&
		timer_create(CLOCK_MONOTONIC, &event, &faults.timer) == 0, "errno %d", errno);
}

static void
set_timer(long ns)
{
	const struct itimerspec when = { .it_value.tv_nsec = ns };

	FUZZ_CHECK(timer_settime(faults.timer, 0, &when, NULL) == 0, "errno %d", errno);
}

bool
faults_are_wanted(void)
{
	return faults.wanted;
}

void
faults_arm(int sock)
{
	faults.sock = sock;
	faults.struck = 0;
}

void
faults_begin(void)
{
	if (faults.wanted && !faults.struck)
		set_timer(1 + chance() % (LONGEST_US * 1000));
}

bool
faults_end(void)
{
	if (!faults.wanted)
		return false;
	/* a signal that is on its way comes before this returns */
	set_timer(0);
	return faults.struck;
}

bool
faults_have_struck(void)
{
	return faults.struck;
}
