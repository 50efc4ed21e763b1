/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * Ranges are slots of one static array.  A signal handler may not take locks, so
 * each slot has a sequence number, odd while the slot is being changed: the
 * handler copies the slot and believes the copy if the number was even and the
 * same before and after.  It can miss a slot that is being changed, but never
 * the one it looks for: whoever accesses a range got it after
 * vhost_mem_guard_add() and before vhost_mem_guard_remove().  For the same
 * reason the range that an access faulted in cannot be unmapped and its
 * addresses given to somebody else while the handler works on it.
 *
 * Several threads may fault in one range at once.  One of them claims the slot
 * and replaces the range; the others return, repeat their access, and come back
 * until it succeeds.
 *
 * Handlers that others installed before or between are kept in a list, latest
 * first.  A handler that was put in our place and then displaced by us may have
 * us as its own predecessor; when it passes the signal back, the next older one
 * is asked.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_pause.h>

#include "mem_guard.h"

/* Two maps of 32 regions for each of 1024 devices: one may replace another. */
#define GUARD_SLOTS (2 * 32 * 1024)

/* More handlers than this are not displaced any more. */
#define GUARD_HANDLERS 16

enum { RANGE_WHOLE, RANGE_CLAIMED, RANGE_REPLACED };

struct guard_range {
	uintptr_t start;	/**< 0 when the slot is free */
	size_t len;
	size_t page_size;
	bool *broken;
};

struct guard_slot {
	unsigned int seq;	/**< odd while range changes */
	unsigned int state;	/**< RANGE_*, the handler's */
	struct guard_range range;
};

/** A handler that was there before ours; never freed. */
struct guard_handler {
	struct sigaction act;
	bool spent;		/**< asked once, and wants no more (SA_RESETHAND) */
	struct guard_handler *older;
};

static struct guard_slot slots[GUARD_SLOTS];
static int slots_used;		/* no slot from here on was ever in use */
static int wake_fd = -1;
static struct guard_handler *handlers;

/* Registration; the handler never takes it. */
static pthread_mutex_t guard_lock = PTHREAD_MUTEX_INITIALIZER;

/** What this thread's handler is doing while it asks another handler. */
static __thread struct {
	const siginfo_t *info;
	const void *frame;
	struct guard_handler *asked;
} passing __attribute__((tls_model("initial-exec")));

static bool
slot_read(const struct guard_slot *slot, struct guard_range *range)
{
	/* S1 pairs with the last store of slot_write() */
	unsigned int seq = __atomic_load_n(&slot->seq, __ATOMIC_ACQUIRE);

	/* S2: acquire, so that the second look at seq comes after these */
	range->start = __atomic_load_n(&slot->range.start, __ATOMIC_ACQUIRE);
	range->len = __atomic_load_n(&slot->range.len, __ATOMIC_ACQUIRE);
	range->page_size = __atomic_load_n(&slot->range.page_size, __ATOMIC_ACQUIRE);
	range->broken = __atomic_load_n(&slot->range.broken, __ATOMIC_ACQUIRE);
	return (seq & 1) == 0 && seq == __atomic_load_n(&slot->seq, __ATOMIC_RELAXED);
}

static void
slot_write(struct guard_slot *slot, const struct guard_range *range)
{
	unsigned int seq = slot->seq;

	__atomic_store_n(&slot->seq, seq + 1, __ATOMIC_RELAXED);
	/* Release, pairs with S2: who sees one of these sees the odd number. */
	__atomic_store_n(&slot->range.start, range->start, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->range.len, range->len, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->range.page_size, range->page_size, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->range.broken, range->broken, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->state, RANGE_WHOLE, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->seq, seq + 2, __ATOMIC_RELEASE);
}

static struct guard_slot *
slot_of(uintptr_t addr, struct guard_range *range)
{
	int i, n = __atomic_load_n(&slots_used, __ATOMIC_ACQUIRE);

	for (i = 0; i < n; i++)
		if (slot_read(&slots[i], range) && addr - range->start < range->len)
			return &slots[i];
	return NULL;
}

/**
 * Put zero pages in place of what is mapped.  They are prepared elsewhere and
 * moved there in one step: another thread never finds the range inaccessible,
 * and a process with mlockall(MCL_FUTURE) does not get all of them populated.
 */
static bool
put_zero_pages(uintptr_t start, size_t len)
{
	void *at = (void *)start;
	void *zero = mmap(NULL, len, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (zero == MAP_FAILED)
		return false;
	munlock(zero, len);
	if (mprotect(zero, len, PROT_READ | PROT_WRITE) == 0 &&
			mremap(zero, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at)
		return true;
	munmap(zero, len);
	return false;
}

/**
 * Replace the range, or where the system does not let that much memory be
 * promised, the page that was accessed; the next page will come here again.
 */
static bool
range_replace(const struct guard_range *range, uintptr_t addr, unsigned int *state)
{
	*state = RANGE_REPLACED;
	if (put_zero_pages(range->start, range->len))
		return true;
	*state = RANGE_WHOLE;
	return put_zero_pages(addr & ~(range->page_size - 1), range->page_size);
}

static void
wake_up(void)
{
	const uint64_t one = 1;
	ssize_t ret;

	/* It fails only when it is full, and then it is readable as it should be. */
	ret = write(__atomic_load_n(&wake_fd, __ATOMIC_RELAXED), &one, sizeof(one));
	RTE_SET_USED(ret);
}

/** Whether it is the caller's to replace the range; *state tells why not. */
static bool
claim(struct guard_slot *slot, unsigned int *state)
{
	*state = RANGE_WHOLE;
	return __atomic_compare_exchange_n(&slot->state, state, RANGE_CLAIMED,
			false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/** Whether the access at addr may be repeated. */
static bool
guard_repair(uintptr_t addr)
{
	unsigned int state;
	struct guard_range range;
	struct guard_slot *slot = slot_of(addr, &range);
	bool done;

	if (slot == NULL)
		return false;
	if (!claim(slot, &state))
		return true;
	__atomic_store_n(range.broken, true, __ATOMIC_RELEASE);
	done = range_replace(&range, addr, &state);
	__atomic_store_n(&slot->state, state, __ATOMIC_RELEASE);
	wake_up();
	return done;
}

/** Nobody handles it: let the kernel do what it does by default. */
static void
take_default_action(int sig, const siginfo_t *info)
{
	const struct sigaction dfl = { .sa_handler = SIG_DFL };

	sigaction(sig, &dfl, NULL);
	/* A fault comes again by itself, a signal that was sent does not. */
	if (info->si_code <= 0)
		raise(sig);
}

/** What the kernel would do now if ours had never been there; NULL: the default. */
static const struct sigaction *
action_of(struct guard_handler *handler)
{
	if (handler == NULL)
		return NULL;
	if ((handler->act.sa_flags & SA_RESETHAND) != 0 &&
			__atomic_exchange_n(&handler->spent, true, __ATOMIC_RELAXED))
		return NULL;
	return &handler->act;
}

static void
ask(struct guard_handler *handler, int sig, siginfo_t *info, void *context)
{
	const struct sigaction *act = action_of(handler);

	if (act != NULL && (act->sa_flags & SA_SIGINFO) != 0)
		act->sa_sigaction(sig, info, context);
	else if (act == NULL || act->sa_handler == SIG_DFL)
		take_default_action(sig, info);
	else if (act->sa_handler != SIG_IGN)
		act->sa_handler(sig);
	else if (info->si_code > 0)
		take_default_action(sig, info);	/* a fault cannot be ignored */
}

/**
 * Pass a signal on.  When the handler asked passes it back to us, which shows as
 * the same siginfo deeper on the stack, it is the next older one's turn.  (A
 * handler that left by siglongjmp() leaves 'passing' as it was; the next signal
 * does not come from deeper with the same siginfo.)
 */
static void
pass_on(int sig, siginfo_t *info, void *context)
{
	const void *frame = __builtin_frame_address(0);

	if (passing.info == info && frame < passing.frame) {
		if (passing.asked != NULL)
			passing.asked = passing.asked->older;
	} else {
		passing.info = info;
		passing.frame = frame;
		/* H1 pairs with the store of handler_install() */
		passing.asked = __atomic_load_n(&handlers, __ATOMIC_ACQUIRE);
	}
	ask(passing.asked, sig, info, context);
	if (frame == passing.frame)
		passing.info = NULL;
}

static void
on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	/* Sent by a process, or an unaligned access, is not our business. */
	bool fault = info->si_code == BUS_ADRERR || info->si_code == BUS_MCEERR_AR;

	if (!fault || !guard_repair((uintptr_t)info->si_addr))
		pass_on(sig, info, context);
	errno = saved_errno;
}

static bool
is_ours(const struct sigaction *act)
{
	return (act->sa_flags & SA_SIGINFO) != 0 && act->sa_sigaction == on_sigbus;
}

/** Keep a handler that ours is about to displace; 0 or a negative errno. */
static int
handler_keep(const struct sigaction *act)
{
	struct guard_handler *known, *kept;
	unsigned int n = 0;

	for (known = handlers; known != NULL; known = known->older, n++) {
		if (known->act.sa_sigaction != act->sa_sigaction)
			continue;
		__atomic_store_n(&known->spent, false, __ATOMIC_RELAXED);
		return 0;
	}
	if (n == GUARD_HANDLERS)
		return -ENOSPC;
	kept = malloc(sizeof(*kept));
	if (kept == NULL)
		return -ENOMEM;
	*kept = (struct guard_handler){ .act = *act, .older = handlers };
	/* H1 */
	__atomic_store_n(&handlers, kept, __ATOMIC_RELEASE);
	return 0;
}

/** Install the handler, again if somebody displaced it. */
static int
handler_install(void)
{
	struct sigaction act = {
		.sa_sigaction = on_sigbus,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	}, current;
	int ret;

	if (sigaction(SIGBUS, NULL, &current) < 0)
		return -errno;
	if (is_ours(&current))
		return 0;
	ret = handler_keep(&current);
	if (ret < 0)
		return ret;
	sigemptyset(&act.sa_mask);
	return sigaction(SIGBUS, &act, NULL) < 0 ? -errno : 0;
}

static int
wake_fd_need(void)
{
	int fd;

	if (wake_fd >= 0)
		return 0;
	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	__atomic_store_n(&wake_fd, fd, __ATOMIC_RELAXED);
	return 0;
}

static int
slot_take(const struct guard_range *range)
{
	int i;

	for (i = 0; i < slots_used; i++)
		if (slots[i].range.start == 0)
			break;
	if (i == GUARD_SLOTS)
		return -ENOSPC;
	slot_write(&slots[i], range);
	if (i == slots_used)
		__atomic_store_n(&slots_used, i + 1, __ATOMIC_RELEASE);
	return i;
}

static int
guard_add(const struct guard_range *range)
{
	int ret = wake_fd_need();

	if (ret == 0)
		ret = handler_install();
	return ret < 0 ? ret : slot_take(range);
}

int
vhost_mem_guard_add(void *start, size_t len, size_t page_size, bool *broken)
{
	const struct guard_range range = {
		.start = (uintptr_t)start, .len = len,
		.page_size = page_size, .broken = broken,
	};
	int ret;

	pthread_mutex_lock(&guard_lock);
	ret = guard_add(&range);
	pthread_mutex_unlock(&guard_lock);
	return ret;
}

void
vhost_mem_guard_remove(int handle)
{
	const struct guard_range none = { 0 };

	pthread_mutex_lock(&guard_lock);
	slot_write(&slots[handle], &none);
	pthread_mutex_unlock(&guard_lock);
}

bool
vhost_mem_guard_replace(int handle)
{
	struct guard_slot *slot = &slots[handle];
	const struct guard_range *range = &slot->range;
	unsigned int state;
	bool done;

	while (!claim(slot, &state)) {
		if (state == RANGE_REPLACED)
			return true;
		rte_pause();
	}
	__atomic_store_n(range->broken, true, __ATOMIC_RELEASE);
	done = put_zero_pages(range->start, range->len);
	__atomic_store_n(&slot->state, done ? RANGE_REPLACED : RANGE_WHOLE, __ATOMIC_RELEASE);
	wake_up();
	return done;
}

int
vhost_mem_guard_fd(void)
{
	int ret;

	pthread_mutex_lock(&guard_lock);
	ret = wake_fd_need();
	pthread_mutex_unlock(&guard_lock);
	return ret < 0 ? -1 : wake_fd;
}
