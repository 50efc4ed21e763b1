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
 * Zero pages need addresses, and the kernel a record of their mapping, and a peer may
 * have used up either.  In order: they are made elsewhere and moved to the range; made
 * in the range, which needs no addresses, and no record where one mapping takes the
 * place of one; the same again after one mapping of a reserve was given up for its
 * record.  If the range as a whole cannot be had (a kernel that promises no more
 * memory than there is), the page that was accessed is replaced in the same order.
 * Only in a process that locks its memory the order matters: what is made in the
 * range is populated there, so it is not done with much at a time.
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

/* Mappings that are kept to be given back, one by one. */
#define RESERVE_PAGES 32

/* A process that locks its memory gets at most so much of it populated at a time. */
#define LOCKED_MAX ((size_t)64 << 20)

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

/** Mappings of one page each, side by side; the range is aligned to its size. */
static struct {
	uintptr_t next;		/**< address of the first that is left, 0: none */
	uintptr_t base;		/**< of the range; under guard_lock */
	size_t page;		/**< bytes; set before there is any */
	bool is_locked;		/**< new memory is populated: mlockall(MCL_FUTURE) */
} reserve;

/* Registration; the handler never takes it. */
static pthread_mutex_t guard_lock = PTHREAD_MUTEX_INITIALIZER;

/** What this thread's handler is doing while it asks another handler. */
static __thread struct {
	const siginfo_t *info;
	const void *frame;
	struct guard_handler *asked;
} passing __attribute__((tls_model("initial-exec")));

static size_t
reserve_bytes(void)
{
	return RESERVE_PAGES * reserve.page;
}

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

/* Zero pages, and what they need */

/**
 * Give the kernel back one of the mappings that were made for this, so that there
 * can be another one; false when none is left.
 */
static bool
reserve_spend(void)
{
	/* V1 pairs with reserve_make(): who takes an address out of the word owns it */
	uintptr_t at = __atomic_load_n(&reserve.next, __ATOMIC_ACQUIRE), next;

	do {
		if (at == 0)
			return false;
		next = at + reserve.page;
		if (next % reserve_bytes() == 0)
			next = 0;
	} while (!__atomic_compare_exchange_n(&reserve.next, &at, next, false,
			__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return munmap((void *)at, reserve.page) == 0;
}

/**
 * Zero pages that are prepared elsewhere and moved there in one step: another thread
 * never finds the range inaccessible, and a process with mlockall(MCL_FUTURE) does
 * not get all of them populated.
 */
static bool
move_zero_pages_to(uintptr_t start, size_t len)
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

/** Zero pages made right there, which takes no addresses: there may be none. */
static bool
make_zero_pages_at(uintptr_t start, size_t len)
{
	return mmap((void *)start, len, PROT_READ | PROT_WRITE, MAP_FIXED |
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

static bool
put_zero_pages(uintptr_t start, size_t len)
{
	do {
		if (move_zero_pages_to(start, len) || make_zero_pages_at(start, len))
			return true;
	} while (reserve_spend());
	return false;
}

/** The whole range; what would be populated on the spot is only so much of it. */
static bool
put_zero_range(const struct guard_range *range)
{
	if (range->len > LOCKED_MAX && __atomic_load_n(&reserve.is_locked, __ATOMIC_RELAXED))
		return move_zero_pages_to(range->start, range->len);
	return put_zero_pages(range->start, range->len);
}

/**
 * Replace the range, or where the system does not let that much memory be
 * promised, the page that was accessed; the next page will come here again.
 */
static bool
range_replace(const struct guard_range *range, uintptr_t addr, unsigned int *state)
{
	*state = RANGE_REPLACED;
	if (put_zero_range(range))
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
		take_default_action(sig, info); /* NOLINT(bugprone-branch-clone): for another reason */
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

/** A range of addresses that is aligned to its size, without access; or NULL. */
static uint8_t *
map_aligned(size_t bytes)
{
	uint8_t *all = mmap(NULL, 2 * bytes, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *at;

	if (all == MAP_FAILED)
		return NULL;
	at = RTE_PTR_ALIGN_CEIL(all, bytes);
	if (at > all)
		munmap(all, at - all);
	munmap(at + bytes, all + bytes - at);
	return at;
}

/** Make a reserve: pages that differ from their neighbours are mappings of their own. */
static void
reserve_make(void)
{
	uint8_t *at = map_aligned(reserve_bytes());
	unsigned int i;

	for (i = 0; at != NULL && i < RESERVE_PAGES; i += 2) {
		if (mprotect(at + i * reserve.page, reserve.page, PROT_READ) == 0)
			continue;
		munmap(at, reserve_bytes());
		at = NULL;
	}
	reserve.base = (uintptr_t)at;
	/* V1 pairs with reserve_spend() */
	__atomic_store_n(&reserve.next, (uintptr_t)at, __ATOMIC_RELEASE);
}

/** Have a full reserve again, if it can be had.  guard_lock held. */
static void
reserve_need(void)
{
	uintptr_t rest;

	reserve.page = sysconf(_SC_PAGESIZE);
	if (reserve.base != 0 && __atomic_load_n(&reserve.next, __ATOMIC_RELAXED) == reserve.base)
		return;
	/* V1 pairs with reserve_spend(): nobody takes what is left while it goes */
	rest = __atomic_exchange_n(&reserve.next, 0, __ATOMIC_ACQ_REL);
	if (rest != 0)
		munmap((void *)rest, reserve.base + reserve_bytes() - rest);
	reserve_make();
}

/** Find out whether new memory is populated.  guard_lock held. */
static void
look_for_locks(void)
{
	unsigned char resident = 0;
	void *page = mmap(NULL, reserve.page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	if (mincore(page, reserve.page, &resident) == 0)
		__atomic_store_n(&reserve.is_locked, (resident & 1) != 0, __ATOMIC_RELAXED);
	munmap(page, reserve.page);
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
	if (ret < 0)
		return ret;
	reserve_need();
	look_for_locks();
	return slot_take(range);
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
	done = put_zero_range(range);
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
