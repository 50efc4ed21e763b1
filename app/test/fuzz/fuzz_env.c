/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Nodes
 *
 * Blocks of the library come from malloc(), so that the address sanitizer sees
 * where each ends and when it is gone.  The machine has as many nodes as its
 * layout names: two bits for each of four kinds of guest page.  Two layouts are
 * special: one where no page has memory yet, and a container that may not ask.
 *
 * Books
 *
 * A mapping is looked for by asking the kernel to make its file immutable, which
 * it refuses while anybody has a shared mapping of it.  Slots of the guard are
 * handed out lowest first, so the first is free when all are.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#include "device_life.h"
#include "event_loop.h"
#include "inflight_pool.h"
#include "mem_guard.h"
#include "mem_heap.h"
#include "mem_node.h"
#include "numa_watch.h"
#include "quota.h"

#include "fuzz_env.h"
#include "fuzz_private.h"

/* See test.c: no other driver may bring a librte_vhost of its own. */
#define MEMPOOL_DRIVER RTE_EAL_PMD_PATH "/librte_mempool_ring" DPDK_SO

#define MAX_BLOCKS 4096
#define PAGE 4096

/* Special values of a layout. */
#define LAYOUT_UNKNOWN	0xfe
#define LAYOUT_DENIED	0xff

/* Descriptors are closed by other threads where that could take time. */
#define FDS_NAP_US 50
#define FDS_PATIENCE 20000

/* ---- the input ---- */

void
fuzz_take(struct fuzz_input *in, void *to, size_t len)
{
	size_t n = RTE_MIN(len, in->left);

	if (n > 0)
		memcpy(to, in->at, n);
	if (len > n)
		memset((uint8_t *)to + n, 0, len - n);
	in->at += n;
	in->left -= n;
}

#define DEFINE_TAKE(name, type) \
	type \
	name(struct fuzz_input *in) \
	{ \
		type value; \
		fuzz_take(in, &value, sizeof(value)); \
		return value; \
	}
DEFINE_TAKE(fuzz_u8, uint8_t)
DEFINE_TAKE(fuzz_u16, uint16_t)
DEFINE_TAKE(fuzz_u32, uint32_t)
DEFINE_TAKE(fuzz_u64, uint64_t)

uint32_t
fuzz_below(struct fuzz_input *in, uint32_t n)
{
	return (n <= UINT8_MAX + 1 ? fuzz_u8(in) : fuzz_u16(in)) % n;
}

/* ---- nodes ---- */

static struct {
	struct {
		uint8_t *at;
		size_t size;
		int node;
	} blocks[MAX_BLOCKS];
	unsigned int nblocks;
	uint8_t layout;
	unsigned int refuse_after, refuse_count;
	uint8_t full;		/**< a bit per node that has no memory left */
} machine;

void
fuzz_nodes_layout(uint8_t layout)
{
	machine.layout = layout;
}

void
fuzz_nodes_reset(uint8_t layout)
{
	machine.layout = layout;
	machine.refuse_after = 0;
	machine.refuse_count = 0;
	machine.full = 0;
}

void
fuzz_nodes_full(uint8_t nodes)
{
	machine.full = nodes;
}

void
fuzz_nodes_refuse(unsigned int after, unsigned int count)
{
	machine.refuse_after = after;
	machine.refuse_count = count;
}

static int
find_block(const uint8_t *at)
{
	for (unsigned int i = 0; i < machine.nblocks; i++)
		if ((size_t)(at - machine.blocks[i].at) < machine.blocks[i].size)
			return i;
	return -1;
}

/** Where a page of the guest of device 0 is. */
static int
guest_node(const uint8_t *at)
{
	static const int nodes[] = { 0, 1, 0, 5 };
	const struct vhost_device *dev = vhost_device_peek(0);
	const struct mem_map *map = dev != NULL ? dev->wish.map : NULL;

	for (uint32_t i = 0; map != NULL && i < map->nregions; i++) {
		const struct mem_region *r = &map->regions[i];
		size_t offset = at - r->mmap_addr;

		if (offset < r->mmap_size && machine.layout != LAYOUT_UNKNOWN)
			return nodes[machine.layout >> (2 * ((i + offset / PAGE) % 4)) & 3];
	}
	return -ENOENT;
}

static int
query(void *const *pages, unsigned int n, int *nodes)
{
	if (machine.layout == LAYOUT_DENIED)
		return -EPERM;
	for (unsigned int i = 0; i < n; i++) {
		int block = find_block(pages[i]);

		nodes[i] = block >= 0 ? machine.blocks[block].node : guest_node(pages[i]);
	}
	return 0;
}

static int
bound(const void *addr)
{
	RTE_SET_USED(addr);
	return machine.layout == LAYOUT_UNKNOWN ? 1 : -ENOENT;
}

static bool
is_refused(void)
{
	if (machine.refuse_count == 0)
		return false;
	if (machine.refuse_after > 0) {
		machine.refuse_after--;
		return false;
	}
	machine.refuse_count--;
	return true;
}

/** The node that gives memory to who asks for this one; negative if it does not. */
static int
giving_node(int node)
{
	if (node == VHOST_NODE_ANY)
		node = machine.full & 1 ? 1 : 0;
	return node < 8 && (machine.full >> node & 1) ? VHOST_NODE_ANY : node;
}

static void *
block_alloc(size_t size, int node, int *got)
{
	uint8_t *at;

	FUZZ_CHECK(machine.nblocks < MAX_BLOCKS, "%u blocks", machine.nblocks);
	node = giving_node(node);
	if (node < 0 || is_refused())
		return NULL;
	size = RTE_ALIGN_CEIL(size, (size_t)RTE_CACHE_LINE_SIZE);
	at = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	FUZZ_CHECK(at != NULL, "%zu bytes", size);
	memset(at, 0, size);
	machine.blocks[machine.nblocks].at = at;
	machine.blocks[machine.nblocks].size = size;
	machine.blocks[machine.nblocks++].node = node;
	*got = node;
	return at;
}

static void
block_free(void *at)
{
	int i;

	if (at == NULL)
		return;
	i = find_block(at);
	FUZZ_CHECK(i >= 0 && machine.blocks[i].at == at, "%p is no block", at);
	machine.blocks[i] = machine.blocks[--machine.nblocks];
	free(at);
}

/** Handles stay where they are; a full node would not have them. */
static int
move_pages_nowhere(void *pages __rte_unused, size_t size __rte_unused, int node)
{
	return giving_node(node) == node ? 0 : -EAGAIN;
}

static int
prefer_in_vain(void *memory __rte_unused, size_t size __rte_unused, int node __rte_unused)
{
	return -EINVAL;
}

static const struct vhost_node_ops node_ops = {
	.query = query,
	.bound = bound,
	.prefer = prefer_in_vain,
	.move = move_pages_nowhere,
};

static int
block_node(const void *at)
{
	int i = find_block(at);

	FUZZ_CHECK(i >= 0, "%p is no block", at);
	return machine.blocks[i].node;
}

static const struct vhost_heap_ops heap_ops = {
	.alloc = block_alloc,
	.free = block_free,
	.node = block_node,
};

/* ---- surroundings ---- */

static void
start_eal(void)
{
	char core[16];
	char *argv[] = { (char[]){"fuzz"}, (char[]){"-d"}, (char[]){MEMPOOL_DRIVER},
		(char[]){"--no-huge"}, (char[]){"--no-pci"}, (char[]){"--no-telemetry"},
		(char[]){"--no-shconf"}, (char[]){"-m"}, (char[]){"64"}, (char[]){"-l"}, core };
	cpu_set_t allowed;
	int first = 0;

	/* EAL binds this thread to one core; several fuzzers have to share them all */
	FUZZ_CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0, "errno %d", errno);
	while (!CPU_ISSET(first, &allowed))
		first++;
	snprintf(core, sizeof(core), "%d", first);
	FUZZ_CHECK(rte_eal_init(RTE_DIM(argv), argv) >= 0, "%s", rte_strerror(rte_errno));
	sched_setaffinity(0, sizeof(allowed), &allowed);
}

/** Have log lines composed, but not shown unless asked for. */
static void
silence_log(void)
{
	FILE *nowhere = getenv("FUZZ_LOG") != NULL ? stderr : fopen("/dev/null", "w");

	FUZZ_CHECK(nowhere != NULL, "errno %d", errno);
	rte_openlog_stream(nowhere);
	rte_log_set_level_pattern("lib.vhost.*", RTE_LOG_INFO);
}

void
fuzz_start(void)
{
	start_eal();
	silence_log();
	vhost_node_set_ops(&node_ops);
	vhost_heap_set_ops(&heap_ops);
	fuzz_pools_create();
	/* what the library opens once and keeps */
	FUZZ_CHECK(vhost_mem_guard_fd() >= 0, "errno %d", errno);
	fuzz_events_start();
	/* what comes with time would make an input another story */
	vhost_numa_watch_set_interval(0);
}

/* ---- the books ---- */

static struct {
	unsigned int fds;
	unsigned int heap_blocks;
} books;

static unsigned int
count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	FUZZ_CHECK(dir != NULL, "errno %d", errno);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static unsigned int
count_heap_blocks(void)
{
	struct rte_malloc_socket_stats stats;

	FUZZ_CHECK(rte_malloc_get_socket_stats(0, &stats) == 0, "no heap");
	return stats.alloc_count;
}

int
fuzz_file_create(uint64_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	FUZZ_CHECK(fd >= 0 && ftruncate(fd, size) == 0, "errno %d", errno);
	return fd;
}

void
fuzz_file_close(int fd)
{
	/* without pages the kernel has nothing to wait for */
	FUZZ_CHECK(ftruncate(fd, 0) == 0, "errno %d", errno);
	FUZZ_CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0, "still mapped, errno %d", errno);
	close(fd);
}

/** Whether the guard has no range. */
static bool
guard_is_idle(void)
{
	static uint8_t page[PAGE] __rte_aligned(PAGE);
	bool broken;
	int slot = vhost_mem_guard_add(page, sizeof(page), PAGE, &broken);

	vhost_mem_guard_remove(slot);
	return slot == 0;
}

void
fuzz_account_open(struct vhost_driver *driver)
{
	driver->quota = vhost_quota_create(driver->path);
	FUZZ_CHECK(driver->quota != NULL, "no memory");
	driver->inflight = vhost_inflight_pool_create(driver->quota);
	FUZZ_CHECK(driver->inflight != NULL, "no memory");
}

void
fuzz_account_close(struct vhost_driver *driver)
{
	struct rte_vhost_limits_usage usage;

	vhost_inflight_pool_free(driver->inflight);
	vhost_quota_usage(driver->quota, &usage);
	FUZZ_CHECK(usage.mapped_bytes == 0, "%" PRIu64 " bytes are mapped", usage.mapped_bytes);
	FUZZ_CHECK(usage.inflight_bytes == 0, "%" PRIu64 " bytes are in flight",
		usage.inflight_bytes);
	vhost_quota_put(driver->quota);
}

void
fuzz_books_open(void)
{
	books.fds = count_fds();
	books.heap_blocks = count_heap_blocks();
}

/** How many descriptors there are once the library's helper threads have closed theirs. */
static unsigned int
wait_for_fds(unsigned int expected)
{
	unsigned int n = count_fds();

	for (int i = 0; i < FDS_PATIENCE && n > expected; i++) {
		usleep(FDS_NAP_US);
		n = count_fds();
	}
	return n;
}

void
fuzz_books_close(void)
{
	unsigned int fds = wait_for_fds(books.fds), heap_blocks = count_heap_blocks();

	FUZZ_CHECK(fds == books.fds, "%u descriptors, %u before", fds, books.fds);
	FUZZ_CHECK(heap_blocks == books.heap_blocks, "%u blocks in EAL's heap, %u before",
		heap_blocks, books.heap_blocks);
	FUZZ_CHECK(machine.nblocks == 0, "%u blocks", machine.nblocks);
	FUZZ_CHECK(guard_is_idle(), "a mapping is guarded");
	fuzz_pools_check();
}
