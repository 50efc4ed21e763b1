/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Asking the kernel for nodes, for NUMA relocation and its tests.
 *
 * get_mempolicy() can tell the node of an address, but it faults a missing page
 * in to do so.  move_pages() without target nodes tells it for the pages that
 * this process has mapped and changes nothing, so it is the only question asked
 * about pages here; get_mempolicy() is asked for policies alone.
 *
 * A preference is no promise, and neither is a move that succeeded: what matters is
 * asked for afterwards.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_lcore.h>
#include <rte_memory.h>

#include "mem_node.h"
#include "mem_sanitizer.h"
#include "vhost_log.h"

/** Pages of one move_pages() call. */
#define QUERY_BATCH 64

#ifdef RTE_LIBRTE_VHOST_NUMA

#include <numaif.h>

/* Bits of a policy's mode that do not choose nodes; numaif.h has not all. */
#define POLICY_FLAGS (7 << 13)
/* The kernel wants room for every node that it could have. */
#define POLICY_NODES 4096
#define POLICY_WORD (8 * sizeof(unsigned long))

/* MPOL_PREFERRED_MANY is younger than libnuma's header. */
#define POLICY_PREFERRED_MANY 5

/** Say once per reason why nodes stay unknown. */
static void
explain_refusal(int err)
{
	static bool said_denied, said_absent;

	if (err == EPERM && !__atomic_exchange_n(&said_denied, true, __ATOMIC_RELAXED))
		VHOST_LOG_CONFIG(WARNING,
			"the kernel may not be asked for NUMA nodes (%s): a container needs CAP_SYS_NICE for move_pages and get_mempolicy; devices stay where they are\n",
			strerror(err));
	if (err == ENOSYS && !__atomic_exchange_n(&said_absent, true, __ATOMIC_RELAXED))
		VHOST_LOG_CONFIG(INFO,
			"this kernel has no NUMA: devices stay where they are\n");
}

static int
kernel_query(void *const *pages, unsigned int n, int *nodes)
{
	void *batch[QUERY_BATCH];
	unsigned int done, i, len;

	for (done = 0; done < n; done += len) {
		len = RTE_MIN(n - done, (unsigned int)QUERY_BATCH);
		memcpy(batch, pages + done, len * sizeof(batch[0]));
		if (move_pages(0, len, batch, NULL, nodes + done, 0) < 0) {
			int err = errno;

			explain_refusal(err);
			return -err;
		}
	}
	for (i = 0; i < n; i++)
		if (nodes[i] < 0)
			nodes[i] = -ENOENT;
	return 0;
}

/** Whether pages that are there are on a node: 0; -EAGAIN not all; another errno. */
static int
check_batch(void *const *batch, unsigned int n, int node)
{
	int nodes[QUERY_BATCH], ret = kernel_query(batch, n, nodes);
	unsigned int i;

	for (i = 0; ret == 0 && i < n; i++)
		if (nodes[i] != node && nodes[i] != -ENOENT)
			ret = -EAGAIN;
	/* the kernel had no memory to say it: for now nobody knows */
	return ret == -ENOMEM ? -EAGAIN : ret;
}

static int
move_batch(void **batch, unsigned int n, int node)
{
	int nodes[QUERY_BATCH], status[QUERY_BATCH], ret = check_batch(batch, n, node);
	unsigned int i;

	/* a move costs a tenth of a millisecond also where there is nothing to move */
	if (ret != -EAGAIN)
		return ret;
	for (i = 0; i < n; i++)
		nodes[i] = node;
	if (move_pages(0, n, batch, nodes, status, MPOL_MF_MOVE) < 0 && errno != ENOMEM)
		return -errno;
	/* what it says of each page is wrong for parts of a huge one */
	return check_batch(batch, n, node);
}

static int
kernel_move(void *pages, size_t size, int node)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	void *batch[QUERY_BATCH];
	unsigned int n = 0;
	size_t at;
	int ret = 0;

	for (at = 0; at < size && ret == 0; at += page) {
		batch[n++] = RTE_PTR_ADD(pages, at);
		if (n < QUERY_BATCH && at + page < size)
			continue;
		ret = move_batch(batch, n, node);
		n = 0;
	}
	return ret;
}

/** The only bit of a mask: its number, or -ENOENT when there is not exactly one. */
static int
only_bit(const unsigned long *mask, unsigned int words)
{
	int found = -ENOENT;
	unsigned int i;

	for (i = 0; i < words; i++) {
		if (mask[i] == 0)
			continue;
		if (found >= 0 || (mask[i] & (mask[i] - 1)) != 0)
			return -ENOENT;
		found = i * POLICY_WORD + __builtin_ctzl(mask[i]);
	}
	return found;
}

static int
kernel_bound(const void *addr)
{
	unsigned long mask[POLICY_NODES / POLICY_WORD] = { 0 };
	int mode = MPOL_DEFAULT;

	if (get_mempolicy(&mode, mask, POLICY_NODES, RTE_PTR_ADD(addr, 0),
			MPOL_F_ADDR) < 0) {
		int err = errno;

		explain_refusal(err);
		return -err;
	}
	switch (mode & ~POLICY_FLAGS) {
	case MPOL_BIND:
	case MPOL_PREFERRED:
	case MPOL_INTERLEAVE:
	case POLICY_PREFERRED_MANY:
		return only_bit(mask, RTE_DIM(mask));
	default:
		return -ENOENT;
	}
}

static int
kernel_prefer(void *memory, size_t size, int node)
{
	unsigned long mask[POLICY_NODES / POLICY_WORD] = { 0 };

	if (node < 0 || node >= POLICY_NODES)
		return -EINVAL;
	mask[node / POLICY_WORD] = 1UL << (node % POLICY_WORD);
	return mbind(memory, size, MPOL_PREFERRED, mask, POLICY_NODES, 0) == 0 ? 0 : -errno;
}

#else

static int
kernel_query(void *const *pages __rte_unused, unsigned int n __rte_unused,
		int *nodes __rte_unused)
{
	return -ENOSYS;
}

static int
kernel_bound(const void *addr __rte_unused)
{
	return -ENOSYS;
}

static int
kernel_move(void *pages __rte_unused, size_t size __rte_unused, int node __rte_unused)
{
	return -ENOSYS;
}

static int
kernel_prefer(void *memory __rte_unused, size_t size __rte_unused, int node __rte_unused)
{
	return -ENOSYS;
}

#endif /* RTE_LIBRTE_VHOST_NUMA */

static const struct vhost_node_ops kernel_ops = {
	.query = kernel_query,
	.bound = kernel_bound,
	.prefer = kernel_prefer,
	.move = kernel_move,
};

static const struct vhost_node_ops *node_ops = &kernel_ops;

void
vhost_node_set_ops(const struct vhost_node_ops *ops)
{
	__atomic_store_n(&node_ops, ops != NULL ? ops : &kernel_ops, __ATOMIC_RELEASE);
}

const struct vhost_node_ops *
vhost_node_kernel_ops(void)
{
	return &kernel_ops;
}

static const struct vhost_node_ops *
ops_in_force(void)
{
	return __atomic_load_n(&node_ops, __ATOMIC_ACQUIRE);
}

int
vhost_node_query(void *const *pages, unsigned int n, int *nodes)
{
	return ops_in_force()->query(pages, n, nodes);
}

int
vhost_node_of(const void *addr)
{
	void *page = RTE_PTR_ADD(addr, 0);
	int node, ret;

	ret = vhost_node_query(&page, 1, &node);
	return ret < 0 ? ret : node;
}

int
vhost_node_bound(const void *addr)
{
	return ops_in_force()->bound(addr);
}

int
vhost_node_of_all(const void *memory, size_t size, int *node)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	uint8_t *at = RTE_PTR_ALIGN_FLOOR(RTE_PTR_ADD(memory, 0), page);
	const uint8_t *end = RTE_PTR_ADD(memory, size);
	void *pages[QUERY_BATCH] = { at };
	int nodes[QUERY_BATCH], all, ret;
	unsigned int i, n;

	*node = VHOST_NODE_ANY;
	ret = vhost_node_query(pages, 1, &all);
	while (ret == 0 && all >= 0 && at < end) {
		for (n = 0; n < QUERY_BATCH && at < end; at += page)
			pages[n++] = at;
		ret = vhost_node_query(pages, n, nodes);
		for (i = 0; ret == 0 && i < n; i++)
			if (nodes[i] != all)
				return 0;
	}
	if (ret == 0 && all >= 0)
		*node = all;
	return ret;
}

/* Read from a file, because it is wanted where the system calls are not available. */
int
vhost_node_only(void)
{
	char text[64] = "";
	int fd = open("/sys/devices/system/node/has_memory", O_RDONLY | O_CLOEXEC);
	char *end;
	long node;

	if (fd < 0)
		return errno == ENOENT ? 0 : VHOST_NODE_ANY;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	node = strtol(text, &end, 10);
	return end != text && strcmp(end, "\n") == 0 ? (int)node : VHOST_NODE_ANY;
}

void *
vhost_node_pages(size_t size)
{
	void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char present = 0;

	if (pages == MAP_FAILED)
		return NULL;
	/* neighbours are on other nodes, and a huge page would move as a whole */
	madvise(pages, size, MADV_NOHUGEPAGE);
	/* a process that locks all it maps has them already */
	if (mincore(pages, 1, &present) == 0 && (present & 1) != 0)
		vhost_node_pages_clear(pages, size);
	MEM_HOLDS_POINTERS(pages, size);
	return pages;
}

void
vhost_node_pages_free(void *pages, size_t size)
{
	MEM_HOLDS_NO_POINTERS(pages, size);
	munmap(pages, size);
}

void
vhost_node_pages_clear(void *pages, size_t size)
{
	if (madvise(pages, size, MADV_DONTNEED) == 0)
		return;
	/* they are locked, and will be again as they are touched */
	munlock(pages, size);
	if (madvise(pages, size, MADV_DONTNEED) < 0)
		memset(pages, 0, size);
	mlock2(pages, size, MLOCK_ONFAULT);
}

int MEM_WRITES_THE_SAME
vhost_node_pages_bring(void *pages, size_t size, int node)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	uint8_t *at, byte;

	/*
	 * A page that is not there yet cannot be moved; others may write meanwhile.  clang
	 * makes a load of "or nothing", which brings the page of zeroes; not of this.
	 */
	for (at = pages; at < (uint8_t *)pages + size; at += page) {
		byte = __atomic_load_n(at, __ATOMIC_RELAXED);
		__atomic_compare_exchange_n(at, &byte, byte, false, __ATOMIC_RELAXED,
				__ATOMIC_RELAXED);
	}
	return vhost_node_move_pages(pages, size, node);
}

int
vhost_node_move_pages(void *pages, size_t size, int node)
{
	return ops_in_force()->move(pages, size, node);
}

int
vhost_node_prefer(void *memory, size_t size, int node)
{
	return ops_in_force()->prefer(memory, size, node);
}

/* A preference is refused for a node that cannot give memory, and touches none. */
int
vhost_node_exists(int node)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	void *pages = vhost_node_pages(page);
	int ret;

	if (pages == NULL)
		return 0;
	ret = vhost_node_prefer(pages, page, node);
	vhost_node_pages_free(pages, page);
	return ret == -EINVAL ? -ENODEV : 0;
}

int
vhost_node_home(void)
{
	int node = (int)rte_lcore_to_socket_id(rte_get_main_lcore());

	return node >= 0 && node < RTE_MAX_NUMA_NODES ? node : VHOST_NODE_ANY;
}
