/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* What stands between the library and the system; see fault_wrap.h. */

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <numaif.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <rte_arp.h>
#include <rte_dmadev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_net.h>
#include <rte_version.h>

#include "fault_books.h"
#include "fault_wrap.h"

const char *const fault_call_names[FAULT_COUNT] = {
#define FAULT_NAME(name) [FAULT_ ## name] = #name,
	FAULT_CALLS(FAULT_NAME)
#undef FAULT_NAME
	[FAULT_heap_block] = "heap_block",
};

bool fault_echo;

/** NULL until armed; the structure itself is of whoever armed it. */
static struct fault *current;
/** The last that was: a thread may be about to say something when it is disarmed. */
static struct fault *listening;

void
fault_arm(struct fault *fault)
{
	if (fault != NULL)
		__atomic_store_n(&listening, fault, __ATOMIC_RELEASE);
	__atomic_store_n(&current, fault, __ATOMIC_RELEASE);
}

void *vhost_fault_malloc(size_t size);
void *vhost_fault_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);

/** Callers, without the frames of this file. */
static unsigned int
callers(void **from)
{
	enum { OURS = 3 };
	void *all[FAULT_DEPTH + OURS];
	int n = backtrace(all, RTE_DIM(all));

	for (int i = OURS; i < n; i++)
		from[i - OURS] = all[i];
	return n > OURS ? n - OURS : 0;
}

/** A number for where a call comes from. */
static uint32_t
place_of(void **from, unsigned int n)
{
	uint64_t h = 1469598103934665603ULL;

	for (unsigned int i = 0; i < n; i++)
		h = (h ^ (uintptr_t)from[i]) * 1099511628211ULL;
	return h >> 32 | 1;
}

/** In a life without faults: where would they come from? */
static __attribute__((noinline)) void
note_place(struct fault *fault, enum fault_call call, unsigned int nth)
{
	void *from[FAULT_DEPTH] = { NULL };
	unsigned int n = callers(from);

	if (nth <= FAULT_CALLS_MAX)
		fault->place[call][nth - 1] = place_of(from, n);
}

/** Do as a library would that takes the fault wrongly. */
static void
go_wrong(enum fault_seed seed)
{
	switch (seed) {
	case FAULT_SEED_BLOCK:
		vhost_fault_malloc(100);
		break;
	case FAULT_SEED_MAPPING:
		vhost_fault_mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case FAULT_SEED_DESCRIPTOR:
		open("/", O_PATH | O_CLOEXEC);
		break;
	case FAULT_SEED_CRASH:
		raise(SIGKILL);
		break;
	case FAULT_SEED_SILENCE:	/* see note_line() */
	case FAULT_SEED_NONE:
		break;
	}
}

static __attribute__((noinline)) void
note_hit(struct fault *fault)
{
	callers(fault->from);
	__atomic_store_n(&fault->hit, true, __ATOMIC_RELEASE);
	go_wrong(fault->seed);
}

void
fault_step_is_over(struct fault *fault)
{
	if (__atomic_load_n(&fault->hit, __ATOMIC_ACQUIRE))
		__atomic_store_n(&fault->over, true, __ATOMIC_RELEASE);
}

/** Does it come after the one that failed first, and fail as well? */
static bool
is_meant_too(const struct fault *fault, unsigned int nth)
{
	return fault->lasts && fault->nth != 0 && nth > fault->nth &&
		!__atomic_load_n(&fault->over, __ATOMIC_ACQUIRE);
}

__attribute__((noinline)) bool
fault_hits(enum fault_call call)
{
	struct fault *fault = __atomic_load_n(&current, __ATOMIC_ACQUIRE);
	int before = errno;
	unsigned int nth;

	if (fault == NULL)
		return false;
	nth = __atomic_add_fetch(&fault->count[call], 1, __ATOMIC_ACQ_REL);
	if (fault->nth == 0)
		note_place(fault, call, nth);
	if (call == fault->call && (nth == fault->nth || is_meant_too(fault, nth))) {
		if (nth == fault->nth)
			note_hit(fault);
		errno = fault->err;
		return true;
	}
	errno = before;
	return false;
}

/* ---- what fails with -1 ---- */

#define WRAP(type, name, args, ...) \
	type vhost_fault_ ## name args; \
	type vhost_fault_ ## name args \
	{ \
		if (fault_hits(FAULT_ ## name)) \
			return (type)-1; \
		return name(__VA_ARGS__); \
	}

WRAP(int, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags), fd, addr, len, flags)
WRAP(int, bind, (int fd, const struct sockaddr *addr, socklen_t len), fd, addr, len)
WRAP(int, connect, (int fd, const struct sockaddr *addr, socklen_t len), fd, addr, len)
WRAP(int, epoll_create1, (int flags), flags)
WRAP(int, epoll_ctl, (int set, int op, int fd, struct epoll_event *event), set, op, fd, event)
WRAP(int, epoll_wait, (int set, struct epoll_event *events, int n, int ms), set, events, n, ms)
WRAP(int, eventfd, (unsigned int value, int flags), value, flags)
WRAP(int, fallocate, (int fd, int mode, off_t at, off_t len), fd, mode, at, len)
WRAP(int, fstat, (int fd, struct stat *st), fd, st)
WRAP(int, fstatfs, (int fd, struct statfs *fs), fd, fs)
WRAP(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *len), fd, level, name,
	value, len)
WRAP(int, listen, (int fd, int backlog), fd, backlog)
WRAP(off_t, lseek, (int fd, off_t at, int whence), fd, at, whence)
WRAP(int, lstat, (const char *path, struct stat *st), path, st)
WRAP(int, madvise, (void *at, size_t len, int advice), at, len, advice)
WRAP(int, memfd_create, (const char *name, unsigned int flags), name, flags)
WRAP(int, mincore, (void *at, size_t len, unsigned char *resident), at, len, resident)
WRAP(int, mlock2, (const void *at, size_t len, unsigned int flags), at, len, flags)
WRAP(int, mprotect, (void *at, size_t len, int prot), at, len, prot)
WRAP(ssize_t, pread, (int fd, void *buf, size_t len, off_t at), fd, buf, len, at)
WRAP(ssize_t, read, (int fd, void *buf, size_t len), fd, buf, len)
WRAP(ssize_t, readlink, (const char *path, char *buf, size_t len), path, buf, len)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags), fd, msg, flags)
WRAP(ssize_t, send, (int fd, const void *buf, size_t len, int flags), fd, buf, len, flags)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags), fd, msg, flags)
WRAP(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len), fd, level,
	name, value, len)
WRAP(int, sigaction, (int sig, const struct sigaction *act, struct sigaction *old), sig, act, old)
WRAP(int, socket, (int domain, int type, int protocol), domain, type, protocol)
WRAP(int, statx, (int dir, const char *path, int flags, unsigned int mask, struct statx *stx), dir,
	path, flags, mask, stx)
WRAP(int, timerfd_create, (int clock, int flags), clock, flags)
WRAP(int, unlink, (const char *path), path)
WRAP(ssize_t, write, (int fd, const void *buf, size_t len), fd, buf, len)
#ifdef RTE_LIBRTE_VHOST_NUMA
WRAP(int, get_mempolicy, (int *mode, unsigned long *nodes, unsigned long max, void *at,
	unsigned int flags), mode, nodes, max, at, flags)
WRAP(long, mbind, (void *at, unsigned long len, int mode, const unsigned long *nodes,
	unsigned long max, unsigned int flags), at, len, mode, nodes, max, flags)
WRAP(long, move_pages, (int pid, unsigned long n, void **pages, const int *nodes, int *status,
	int flags), pid, n, pages, nodes, status, flags)
#endif

/* ---- the same, with arguments that may not be there ---- */

#define LAST_ARGUMENT(after) __extension__ ({ \
	va_list ap_; \
	long value_; \
	va_start(ap_, after); \
	value_ = va_arg(ap_, long); \
	va_end(ap_); \
	value_; \
})

int vhost_fault_fcntl(int fd, int cmd, ...);
int
vhost_fault_fcntl(int fd, int cmd, ...)
{
	return fault_hits(FAULT_fcntl) ? -1 : fcntl(fd, cmd, LAST_ARGUMENT(cmd));
}

int vhost_fault_ioctl(int fd, unsigned long request, ...);
int
vhost_fault_ioctl(int fd, unsigned long request, ...)
{
	return fault_hits(FAULT_ioctl) ? -1 : ioctl(fd, request, LAST_ARGUMENT(request));
}

int vhost_fault_open(const char *path, int flags, ...);
int
vhost_fault_open(const char *path, int flags, ...)
{
	return fault_hits(FAULT_open) ? -1 : open(path, flags, (mode_t)LAST_ARGUMENT(flags));
}

long vhost_fault_syscall(long number, ...);
long
vhost_fault_syscall(long number, ...)
{
	return fault_hits(FAULT_syscall) ? -1 : syscall(number, LAST_ARGUMENT(number));
}

/* ---- memory ---- */

/** The C library's; see meson.build. */
void __real_free(void *at);
void vhost_fault_free(void *at);

void *
vhost_fault_malloc(size_t size)
{
	return fault_hits(FAULT_malloc) ? NULL :
		books_heap_add(malloc(size), size, __builtin_return_address(0));
}

void *vhost_fault_calloc(size_t n, size_t size);
void *
vhost_fault_calloc(size_t n, size_t size)
{
	return fault_hits(FAULT_calloc) ? NULL :
		books_heap_add(calloc(n, size), n * size, __builtin_return_address(0));
}

void *vhost_fault_realloc(void *at, size_t size);
void *
vhost_fault_realloc(void *at, size_t size)
{
	void *moved;

	if (fault_hits(FAULT_realloc))
		return NULL;
	/* in steps: who has the old place next shall be found in the books */
	moved = malloc(size);
	if (moved == NULL)
		return NULL;
	if (at != NULL)
		memcpy(moved, at, RTE_MIN(size, malloc_usable_size(at)));
	vhost_fault_free(at);
	return books_heap_add(moved, size, __builtin_return_address(0));
}

void
vhost_fault_free(void *at)
{
	books_heap_remove((uintptr_t)at);
	__real_free(at);
}

/** The tests' own: the library may have given it away. */
void __wrap_free(void *at);
void
__wrap_free(void *at)
{
	vhost_fault_free(at);
}

void *vhost_fault_rte_malloc(const char *type, size_t size, unsigned int align);
void *
vhost_fault_rte_malloc(const char *type, size_t size, unsigned int align)
{
	return fault_hits(FAULT_rte_malloc) ? NULL : rte_malloc(type, size, align);
}

void *vhost_fault_rte_malloc_socket(const char *type, size_t size, unsigned int align, int node);
void *
vhost_fault_rte_malloc_socket(const char *type, size_t size, unsigned int align, int node)
{
	return fault_hits(FAULT_rte_malloc_socket) ? NULL :
		rte_malloc_socket(type, size, align, node);
}

/* ---- mappings ---- */

void *
vhost_fault_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (fault_hits(FAULT_mmap))
		return MAP_FAILED;
	books_lock();
	at = mmap(at, len, prot, flags, fd, offset);
	if (at != MAP_FAILED)
		books_map_add(at, len, fd >= 0 && (flags & MAP_SHARED) != 0,
			__builtin_return_address(0));
	books_unlock();
	return at;
}

int vhost_fault_munmap(void *at, size_t len);
int
vhost_fault_munmap(void *at, size_t len)
{
	int ret;

	/* nobody else may get the place in between */
	books_lock();
	ret = munmap(at, len);
	if (ret == 0)
		books_map_remove(at, len);
	books_unlock();
	return ret;
}

void *vhost_fault_mremap(void *from, size_t before, size_t len, int flags, ...);
void *
vhost_fault_mremap(void *from, size_t before, size_t len, int flags, ...)
{
	void *at = (void *)LAST_ARGUMENT(flags);
	bool shared = fault_is_shared(from);

	if (fault_hits(FAULT_mremap))
		return MAP_FAILED;
	books_lock();
	at = mremap(from, before, len, flags, at);
	if (at != MAP_FAILED) {
		books_map_remove(from, before);
		books_map_add(at, len, shared, __builtin_return_address(0));
	}
	books_unlock();
	return at;
}

/* ---- what has ways of its own to fail ---- */

FILE *vhost_fault_fopen(const char *path, const char *mode);
FILE *
vhost_fault_fopen(const char *path, const char *mode)
{
	return fault_hits(FAULT_fopen) ? NULL : fopen(path, mode);
}

int vhost_fault_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
		void *(*body)(void *), void *arg);
int
vhost_fault_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
		void *(*body)(void *), void *arg)
{
	return fault_hits(FAULT_pthread_create) ? errno : pthread_create(thread, attr, body, arg);
}

#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
int vhost_fault_rte_ctrl_thread_create(pthread_t *thread, const char *name,
		const pthread_attr_t *attr, void *(*body)(void *), void *arg);
int
vhost_fault_rte_ctrl_thread_create(pthread_t *thread, const char *name,
		const pthread_attr_t *attr, void *(*body)(void *), void *arg)
{
	return fault_hits(FAULT_rte_ctrl_thread_create) ? -errno :
		rte_ctrl_thread_create(thread, name, attr, body, arg);
}
#else
int vhost_fault_rte_thread_create_internal_control(rte_thread_t *thread, const char *name,
		rte_thread_func body, void *arg);
int
vhost_fault_rte_thread_create_internal_control(rte_thread_t *thread, const char *name,
		rte_thread_func body, void *arg)
{
	/* a positive errno there */
	return fault_hits(FAULT_rte_thread_create_internal_control) ? errno :
		rte_thread_create_internal_control(thread, name, body, arg);
}
#endif

int vhost_fault_rte_dma_info_get(int16_t dma_id, struct rte_dma_info *info);
int
vhost_fault_rte_dma_info_get(int16_t dma_id, struct rte_dma_info *info)
{
	return fault_hits(FAULT_rte_dma_info_get) ? -errno : rte_dma_info_get(dma_id, info);
}

struct rte_mbuf *vhost_fault_rte_net_make_rarp_packet(struct rte_mempool *pool,
		const struct rte_ether_addr *mac);
struct rte_mbuf *
vhost_fault_rte_net_make_rarp_packet(struct rte_mempool *pool, const struct rte_ether_addr *mac)
{
	return fault_hits(FAULT_rte_net_make_rarp_packet) ? NULL :
		rte_net_make_rarp_packet(pool, mac);
}

/* ---- what is said ---- */

static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;

/** Once more; what there is no room for is not believed to be new. */
static void
count_saying(struct fault *fault, const char *fmt)
{
	for (unsigned int i = 0; i < FAULT_SAYINGS_MAX; i++)
		if (fault->said[i].fmt == fmt || fault->said[i].fmt == NULL) {
			fault->said[i].fmt = fmt;
			fault->said[i].n++;
			break;
		}
}

/** A line that tells of trouble; its words are kept if it is the first since the fault. */
static void
note_line(const char *fmt, va_list ap)
{
	struct fault *fault = __atomic_load_n(&listening, __ATOMIC_ACQUIRE);
	bool since;

	if (fault == NULL)
		return;
	since = fault->nth == 0 || __atomic_load_n(&fault->hit, __ATOMIC_ACQUIRE);
	if (since && fault->seed == FAULT_SEED_SILENCE)
		return;
	pthread_mutex_lock(&said_lock);
	count_saying(fault, fmt);
	if (since && !fault->warned) {
		fault->warned = true;
		vsnprintf(fault->warning, sizeof(fault->warning), fmt, ap);
	}
	pthread_mutex_unlock(&said_lock);
}

bool
fault_says_more(const struct fault *fault, const struct fault_saying *usual)
{
	for (unsigned int i = 0; i < FAULT_SAYINGS_MAX && fault->said[i].fmt != NULL; i++) {
		unsigned int n = 0;

		for (unsigned int j = 0; j < FAULT_SAYINGS_MAX; j++)
			if (usual[j].fmt == fault->said[i].fmt)
				n = usual[j].n;
		if (fault->said[i].n > n)
			return true;
	}
	return false;
}

int vhost_fault_rte_log(uint32_t level, uint32_t type, const char *fmt, ...)
	__rte_format_printf(3, 4);
int
vhost_fault_rte_log(uint32_t level, uint32_t type, const char *fmt, ...)
{
	va_list ap;

	if (level <= RTE_LOG_WARNING) {
		va_start(ap, fmt);
		note_line(fmt, ap);
		va_end(ap);
	}
	va_start(ap, fmt);
	if (fault_echo)
		vfprintf(stderr, fmt, ap);
	else
		rte_vlog(level, type, fmt, ap);
	va_end(ap);
	return 0;
}
