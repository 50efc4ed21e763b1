/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Preloaded into the switch: write down what the vhost library allocates, and
 * make its structures or the switch's mbufs be on a wrong node.
 *
 * VHOST_ALLOCATIONS names the file: "+ ADDRESS LENGTH" for every allocation that
 * is asked for by librte_vhost, "- ADDRESS" when memory is freed.  If
 * VHOST_ALLOCATIONS_NODE is set, what it asks for on any node comes from that
 * one; if VHOST_POOLS_NODE is, all pools of mbufs do.  Nobody else's calls are
 * touched or written down.
 *
 * Structures of ours are in chunks that the library maps without access, cuts to
 * size, binds, fills and keeps from children: they are written down by that last
 * step.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* glibc's own names for its functions: dlsym() itself calls calloc(). */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *memory);

void *rte_malloc(const char *type, size_t size, unsigned int align);
void *rte_zmalloc(const char *type, size_t size, unsigned int align);
void *rte_realloc(void *old, size_t size, unsigned int align);
void *rte_malloc_socket(const char *type, size_t size, unsigned int align, int node);
void *rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int node);
void *rte_calloc_socket(const char *type, size_t n, size_t size, unsigned int align,
		int node);
void *rte_realloc_socket(void *old, size_t size, unsigned int align, int node);
void rte_free(void *memory);
struct rte_mempool *rte_pktmbuf_pool_create(const char *name, unsigned int n,
		unsigned int cache, uint16_t private, uint16_t room, int node);

static uintptr_t library_first, library_end;
static int log_fd = -1;
static int forced_node = INT_MIN;
static int pools_node = INT_MIN;

static int
find_library(struct dl_phdr_info *info, size_t size, void *data)
{
	int i;

	(void)size;
	(void)data;
	if (strstr(info->dlpi_name, "/librte_vhost.so") == NULL)
		return 0;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0)
			continue;
		library_first = info->dlpi_addr + part->p_vaddr;
		library_end = library_first + part->p_memsz;
	}
	return 1;
}

/*
 * The library may come as a plug-in's dependency, later than we do; it makes
 * nothing that a burst touches before this is called by one of its drivers.
 */
static bool
is_vhost(const void *caller)
{
	static __thread bool busy;

	if (log_fd < 0 || busy)
		return false;
	if (library_end == 0) {
		busy = true;
		dl_iterate_phdr(find_library, NULL);
		busy = false;
	}
	return (uintptr_t)caller >= library_first && (uintptr_t)caller < library_end;
}

__attribute__((constructor)) static void
open_log(void)
{
	const char *path = getenv("VHOST_ALLOCATIONS");
	const char *node = getenv("VHOST_ALLOCATIONS_NODE");
	const char *pools = getenv("VHOST_POOLS_NODE");

	if (node != NULL && *node != '\0')
		forced_node = atoi(node);
	if (pools != NULL && *pools != '\0')
		pools_node = atoi(pools);
	if (path != NULL)
		log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void
write_line(const char *line, int length)
{
	if (write(log_fd, line, length) != length)
		abort();
}

static void *
added(void *memory, size_t size, const void *caller)
{
	char line[64];

	if (memory != NULL && is_vhost(caller))
		write_line(line, snprintf(line, sizeof(line), "+ %lx %zx\n",
			(unsigned long)memory, size));
	return memory;
}

static void
removed(const void *memory, const void *caller)
{
	char line[64];

	if (memory != NULL && is_vhost(caller))
		write_line(line, snprintf(line, sizeof(line), "- %lx\n",
			(unsigned long)memory));
}

static int
node_for(int node, const void *caller)
{
	return forced_node != INT_MIN && is_vhost(caller) ? forced_node : node;
}

static void *
real(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (function == NULL)
		abort();
	return function;
}

#define CALLER __builtin_return_address(0)
#define REAL(name) ((__typeof__(&name))real(#name))
#define ANY_NODE (-1)

EXPORT void *
malloc(size_t size)
{
	return added(__libc_malloc(size), size, CALLER);
}

EXPORT void *
calloc(size_t n, size_t size)
{
	return added(__libc_calloc(n, size), n * size, CALLER);
}

EXPORT void *
aligned_alloc(size_t align, size_t size)
{
	return added(__libc_memalign(align, size), size, CALLER);
}

EXPORT void
free(void *memory)
{
	removed(memory, CALLER);
	__libc_free(memory);
}

/** Guest memory is mapped with it as well, but is never anonymous. */
EXPORT void *
mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	void *memory = (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);

	if (memory != MAP_FAILED && (flags & MAP_ANONYMOUS) != 0 && protection != PROT_NONE)
		added(memory, size, CALLER);
	return memory;
}

EXPORT int
munmap(void *memory, size_t size)
{
	removed(memory, CALLER);
	return syscall(SYS_munmap, memory, size);
}

EXPORT int
madvise(void *memory, size_t size, int advice)
{
	if (advice == MADV_DONTFORK)
		added(memory, size, CALLER);
	return syscall(SYS_madvise, memory, size, advice);
}

EXPORT long
mbind(void *memory, unsigned long size, int mode, const unsigned long *nodes,
		unsigned long bits, unsigned int flags)
{
	unsigned long forced[16] = { 0 };

	if (forced_node < 0 || !is_vhost(CALLER))
		return syscall(SYS_mbind, memory, size, mode, nodes, bits, flags);
	forced[forced_node / 64] = 1UL << (forced_node % 64);
	return syscall(SYS_mbind, memory, size, mode, forced, 8 * sizeof(forced), flags);
}

/** What is on the wrong node shall stay there. */
EXPORT long
move_pages(int pid, unsigned long count, void **pages, const int *nodes, int *status,
		int flags)
{
	if (nodes != NULL && forced_node != INT_MIN && is_vhost(CALLER)) {
		errno = EPERM;
		return -1;
	}
	return syscall(SYS_move_pages, pid, count, pages, nodes, status, flags);
}

/* DPDK's; its functions without a node are the others with ANY_NODE. */

EXPORT void *
rte_malloc_socket(const char *type, size_t size, unsigned int align, int node)
{
	return added(REAL(rte_malloc_socket)(type, size, align, node_for(node, CALLER)),
		size, CALLER);
}

EXPORT void *
rte_malloc(const char *type, size_t size, unsigned int align)
{
	return added(REAL(rte_malloc_socket)(type, size, align, node_for(ANY_NODE, CALLER)),
		size, CALLER);
}

EXPORT void *
rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int node)
{
	return added(REAL(rte_zmalloc_socket)(type, size, align, node_for(node, CALLER)),
		size, CALLER);
}

EXPORT void *
rte_zmalloc(const char *type, size_t size, unsigned int align)
{
	return added(REAL(rte_zmalloc_socket)(type, size, align, node_for(ANY_NODE, CALLER)),
		size, CALLER);
}

EXPORT void *
rte_calloc_socket(const char *type, size_t n, size_t size, unsigned int align, int node)
{
	return added(REAL(rte_calloc_socket)(type, n, size, align, node_for(node, CALLER)),
		n * size, CALLER);
}

EXPORT void *
rte_realloc_socket(void *old, size_t size, unsigned int align, int node)
{
	removed(old, CALLER);
	return added(REAL(rte_realloc_socket)(old, size, align, node_for(node, CALLER)),
		size, CALLER);
}

EXPORT void *
rte_realloc(void *old, size_t size, unsigned int align)
{
	removed(old, CALLER);
	return added(REAL(rte_realloc_socket)(old, size, align, node_for(ANY_NODE, CALLER)),
		size, CALLER);
}

EXPORT void
rte_free(void *memory)
{
	removed(memory, CALLER);
	REAL(rte_free)(memory);
}

EXPORT struct rte_mempool *
rte_pktmbuf_pool_create(const char *name, unsigned int n, unsigned int cache,
		uint16_t private, uint16_t room, int node)
{
	return REAL(rte_pktmbuf_pool_create)(name, n, cache, private, room,
		pools_node != INT_MIN ? pools_node : node);
}
