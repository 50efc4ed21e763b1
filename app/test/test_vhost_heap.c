/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Memory of the library's own on a node.
 *
 * The kernel is the real one; where a test wants a node to be full, or blocks to be
 * migrated, its answers about nodes are replaced, not the heap.
 */

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_random.h>

#include "mem_heap.h"
#include "mem_node.h"
#include "test.h"
#include "vhost_test_denied.h"
#include "vhost_test_machine.h"

#define PAGE 4096
#define CHUNK (2u << 20)

/** Longer than the heap believes an old answer. */
#define LONG_AGO_US 120000

/** The machine as the tests want it to be. */
static struct {
	int node;		/* of all memory that is asked about */
	const void *apart;	/* a page of it is on the next node, if not NULL */
	bool moves;		/* memory can be moved to where it was wanted */
	int wanted;		/* by the last preference */
	unsigned int fills;	/* how often memory was asked for */
	unsigned int closed;	/* so many preferences are refused first */
} machine;

static int
made_up_query(void *const *pages, unsigned int n, int *nodes)
{
	for (unsigned int i = 0; i < n; i++)
		nodes[i] = machine.node + (machine.apart != NULL && pages[i] == machine.apart);
	return 0;
}

static int
made_up_prefer(void *memory __rte_unused, size_t size __rte_unused, int node)
{
	if (machine.closed > 0) {
		machine.closed--;
		return -EINVAL;
	}
	machine.wanted = node;
	machine.fills++;
	return 0;
}

static int
made_up_move(void *pages __rte_unused, size_t size __rte_unused, int node)
{
	if (!machine.moves)
		return -EAGAIN;
	machine.node = node;
	return 0;
}

static void
make_up(int node)
{
	static struct vhost_node_ops ops;

	memset(&machine, 0, sizeof(machine));
	machine.node = node;
	ops = *vhost_node_kernel_ops();
	ops.query = made_up_query;
	ops.prefer = made_up_prefer;
	ops.move = made_up_move;
	vhost_node_set_ops(&ops);
}

static bool
nodes_are_told(void)
{
	int on_stack = 0;

	return vhost_node_of(&on_stack) >= 0;
}

/** What an answer of a moment ago says is out of date. */
static void
time_passes(void)
{
	usleep(LONG_AGO_US);
}

static struct vhost_heap_usage
usage_of(int node)
{
	struct vhost_heap_usage usage;

	vhost_heap_usage(node, &usage);
	return usage;
}

static bool
is_zero(const uint8_t *block, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (block[i] != 0)
			return false;
	return true;
}

/* ---- on this machine ---- */

static int
a_block_is_zeroed_and_on_its_node(void)
{
	static const size_t sizes[] = { 1, 64, 5000, 300000, CHUNK };
	unsigned int given = 0;
	int got;

	for (int node = VHOST_NODE_ANY; node < 4; node++) {
		for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
			uint8_t *block = vhost_heap_alloc(sizes[i], node, &got);

			if (block == NULL)
				continue;
			given++;
			TEST_ASSERT_EQUAL((uintptr_t)block % RTE_CACHE_LINE_SIZE, 0, "aligned");
			TEST_ASSERT(is_zero(block, sizes[i]), "zeroed");
			if (node != VHOST_NODE_ANY)
				TEST_ASSERT_EQUAL(got, node, "as it was asked for");
			TEST_ASSERT_EQUAL(vhost_heap_node(block), got, "the same, asked later");
			for (size_t at = 0; got >= 0 && nodes_are_told() && at < sizes[i];
					at += PAGE)
				TEST_ASSERT_EQUAL(vhost_node_of(block + at), got,
					"byte %zu of %zu", at, sizes[i]);
			memset(block, 0xee, sizes[i]);
			vhost_heap_free(block);
		}
	}
	TEST_ASSERT(given >= RTE_DIM(sizes), "at least from any node");
	vhost_heap_free(NULL);
	return TEST_SUCCESS;
}

static int
a_node_that_does_not_exist_gives_nothing(void)
{
	static const int nodes[] = { 29, 31, 32, 63, 64, 255, 256, 257, 1023, 1024, 4096,
		INT_MAX, -2, INT_MIN };
	int got;

	for (unsigned int i = 0; i < RTE_DIM(nodes); i++)
		TEST_ASSERT_NULL(vhost_heap_alloc(64, nodes[i], &got), "node %d", nodes[i]);
	TEST_ASSERT_NULL(vhost_heap_alloc(SIZE_MAX, VHOST_NODE_ANY, &got), "absurd size");
	TEST_ASSERT_NULL(vhost_heap_alloc(CHUNK + 1, VHOST_NODE_ANY, &got), "absurd size");
	TEST_ASSERT_NULL(vhost_heap_alloc(0, VHOST_NODE_ANY, &got), "no size");
	return TEST_SUCCESS;
}

#define MODEL_BLOCKS 600
#define MODEL_STEPS 20000

/** A block and what is written all over it. */
struct model_block {
	uint8_t *at;
	size_t size;
	uint8_t byte;
};

static bool
model_is_whole(const struct model_block *b)
{
	/* all of it takes too long under a sanitizer */
	for (size_t i = 0; i < b->size; i += i < 256 || i > b->size - 256 ? 1 : 64)
		if (b->at[i] != b->byte)
			return false;
	return b->at[b->size - 1] == b->byte;
}

static bool
model_overlaps(const struct model_block *blocks, const uint8_t *at, size_t size)
{
	/* lines of 64 bytes are fetched in pairs */
	const uintptr_t pair = RTE_MAX(128, RTE_CACHE_LINE_SIZE), from = (uintptr_t)at / pair;
	const uintptr_t to = ((uintptr_t)at + size - 1) / pair;

	for (unsigned int i = 0; i < MODEL_BLOCKS; i++)
		if (blocks[i].at != NULL && from <= ((uintptr_t)blocks[i].at +
				blocks[i].size - 1) / pair && (uintptr_t)blocks[i].at / pair <= to)
			return true;
	return false;
}

/** Random sizes in random order against a list: no overlap, no shared line, no loss. */
static int
blocks_share_no_cache_lines(void)
{
	static struct model_block blocks[MODEL_BLOCKS];
	int got;

	for (unsigned int step = 0; step < MODEL_STEPS; step++) {
		struct model_block *b = &blocks[rte_rand_max(MODEL_BLOCKS)];

		if (b->at != NULL) {
			TEST_ASSERT(model_is_whole(b), "step %u", step);
			vhost_heap_free(b->at);
			b->at = NULL;
			continue;
		}
		b->size = 1 + rte_rand_max(step % 100 == 0 ? 500000 : 9000);
		b->byte = 1 + step % 255;
		b->at = NULL;
		uint8_t *at = vhost_heap_alloc(b->size, VHOST_NODE_ANY, &got);

		TEST_ASSERT_NOT_NULL(at, "step %u", step);
		TEST_ASSERT(!model_overlaps(blocks, at, b->size), "step %u", step);
		TEST_ASSERT(is_zero(at, RTE_MIN(b->size, 512u)), "step %u", step);
		memset(at, b->byte, b->size);
		b->at = at;
	}
	for (unsigned int i = 0; i < MODEL_BLOCKS; i++) {
		TEST_ASSERT(blocks[i].at == NULL || model_is_whole(&blocks[i]), "block %u", i);
		vhost_heap_free(blocks[i].at);
		blocks[i].at = NULL;
	}
	return TEST_SUCCESS;
}

/** Devices of a node share chunks; of those that are empty one per node stays. */
static int
memory_goes_back_when_devices_go(void)
{
	enum { BLOCKS = 1000, BYTES = 7000 };
	static void *blocks[BLOCKS];
	struct vhost_heap_usage usage;
	int node, got;

	blocks[0] = vhost_heap_alloc(BYTES, VHOST_NODE_ANY, &node);
	for (unsigned int i = 1; i < BLOCKS; i++)
		blocks[i] = vhost_heap_alloc(BYTES, node, &got);
	usage = usage_of(node);
	TEST_ASSERT_EQUAL(usage.blocks, BLOCKS, "all of them");
	TEST_ASSERT(usage.bytes >= BLOCKS * BYTES && usage.bytes < BLOCKS * (BYTES + 128),
		"%zu bytes", usage.bytes);
	TEST_ASSERT(usage.chunks <= 1 + usage.bytes / (CHUNK - BYTES), "%u chunks",
		usage.chunks);
	for (unsigned int i = 0; i < BLOCKS; i++)
		vhost_heap_free(blocks[i]);
	usage = usage_of(node);
	TEST_ASSERT_EQUAL(usage.blocks, 0, "none");
	TEST_ASSERT(usage.chunks <= 1, "%u chunks are left", usage.chunks);
	return TEST_SUCCESS;
}

/** The last one goes as well, when somebody looks a while later. */
static int
an_empty_chunk_is_not_kept_for_ever(void)
{
	void *here, *there;
	int got;

	make_up(612);
	there = vhost_heap_alloc(64, 612, &got);
	machine.node = 613;
	here = vhost_heap_alloc(64, 613, &got);
	TEST_ASSERT(there != NULL && here != NULL, "on two nodes");
	machine.node = 612;
	vhost_heap_free(there);
	TEST_ASSERT_EQUAL(usage_of(612).chunks, 1, "kept");
	machine.node = 613;
	time_passes();
	TEST_ASSERT_EQUAL(vhost_heap_node(here), 613, "a look");
	TEST_ASSERT_EQUAL(usage_of(612).chunks, 1, "kept");
	usleep(1000000);
	TEST_ASSERT_EQUAL(vhost_heap_node(here), 613, "a look");
	TEST_ASSERT_EQUAL(usage_of(612).chunks, 0, "no longer");
	vhost_heap_free(here);
	return TEST_SUCCESS;
}

/** A policy of the mapping, where the kernel can: nothing shall move it by itself. */
static int
memory_prefers_its_node(void)
{
	void *block;
	int got;

	if (!nodes_are_told())
		return TEST_SKIPPED;
	block = vhost_heap_alloc(64, vhost_node_of(&got), &got);
	TEST_ASSERT_NOT_NULL(block, "memory here");
	TEST_ASSERT_EQUAL(vhost_node_bound(block), got, "its policy");
	vhost_heap_free(block);
	return TEST_SUCCESS;
}

static int stop_threads;

static void *
take_and_give(void *arg)
{
	uint8_t *held[16] = { NULL };
	uint64_t failed = 0;
	int got;

	for (unsigned int i = 0; !__atomic_load_n(&stop_threads, __ATOMIC_RELAXED); i++) {
		uint8_t **block = &held[i % RTE_DIM(held)];

		if (*block != NULL)
			failed += **block != 7 || vhost_heap_node(*block) == -2;
		vhost_heap_free(*block);
		*block = vhost_heap_alloc(1 + i % 300000, VHOST_NODE_ANY, &got);
		failed += *block == NULL;
		if (*block != NULL)
			**block = 7;
	}
	for (unsigned int i = 0; i < RTE_DIM(held); i++)
		vhost_heap_free(held[i]);
	*(uint64_t *)arg = failed;
	return NULL;
}

static int
threads_take_and_give_at_once(void)
{
	uint64_t failed[3];
	pthread_t threads[3];

	__atomic_store_n(&stop_threads, 0, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < RTE_DIM(threads); i++)
		TEST_ASSERT_SUCCESS(pthread_create(&threads[i], NULL, take_and_give, &failed[i]),
			"a thread");
	usleep(300000);
	__atomic_store_n(&stop_threads, 1, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < RTE_DIM(threads); i++) {
		pthread_join(threads[i], NULL);
		TEST_ASSERT_EQUAL(failed[i], 0, "thread %u", i);
	}
	return TEST_SUCCESS;
}

/* ---- where the kernel does not answer ---- */

static int
check_unverified(void)
{
	int only = vhost_node_only(), got;
	void *block;

	time_passes();
	block = vhost_heap_alloc(10000, VHOST_NODE_ANY, &got);
	TEST_ASSERT_NOT_NULL(block, "any node will do");
	TEST_ASSERT_EQUAL(got, only, "there may be no other");
	TEST_ASSERT_EQUAL(vhost_heap_node(block), only, "the same, asked later");
	vhost_heap_free(block);
	for (int node = 0; node < 4; node++) {
		block = vhost_heap_alloc(10000, node, &got);
		if (node == only)
			TEST_ASSERT(block != NULL && got == only, "the only node %d", node);
		else
			TEST_ASSERT_NULL(block, "node %d cannot be verified", node);
		vhost_heap_free(block);
	}
	return TEST_SUCCESS;
}

static int
the_only_node_is_believed_in_a_container(void)
{
	struct denied d = {
		.calls = { SYS_move_pages, SYS_get_mempolicy, SYS_mbind },
		.err = EPERM, .run = check_unverified,
	};

	return denied_run(d);
}

static int
the_only_node_is_believed_without_numa(void)
{
	struct denied d = {
		.calls = { SYS_move_pages, SYS_get_mempolicy, SYS_mbind },
		.err = ENOSYS, .run = check_unverified,
	};

	return denied_run(d);
}

static int
check_old_kernel(void)
{
	int got;
	uint8_t *block;

	/* more than there may be left over */
	block = vhost_heap_alloc(CHUNK, VHOST_NODE_ANY, &got);
	TEST_ASSERT_NOT_NULL(block, "a block");
	TEST_ASSERT(is_zero(block, CHUNK), "zeroed");
	vhost_heap_free(block);
	return TEST_SUCCESS;
}

/** Linux 5.10 knows nothing of the advice that makes pages present. */
static int
a_kernel_without_advice_will_do(void)
{
	struct denied d = {
		.calls = { SYS_madvise }, .err = EINVAL, .run = check_old_kernel,
	};
	void *spare;
	int result, got;

	spare = vhost_heap_alloc(CHUNK, VHOST_NODE_ANY, &got);
	TEST_ASSERT_NOT_NULL(spare, "what might be left over");
	result = denied_run(d);
	vhost_heap_free(spare);
	return result;
}

/* ---- a machine of our own ---- */

static int
what_came_from_elsewhere_is_moved_once(void)
{
	int got = -2;
	void *block;

	make_up(600);
	machine.moves = true;
	block = vhost_heap_alloc(64, 601, &got);
	TEST_ASSERT_NOT_NULL(block, "after dropping cached files, say");
	TEST_ASSERT_EQUAL(got, 601, "it is there");
	TEST_ASSERT_EQUAL(machine.wanted, 601, "it was asked for there");
	TEST_ASSERT_EQUAL(vhost_heap_node(block), 601, "the same, asked later");
	TEST_ASSERT_EQUAL(usage_of(601).chunks, 1, "for who else wants to be there");
	vhost_heap_free(block);
	return TEST_SUCCESS;
}

static int
a_full_node_is_asked_again_after_a_while(void)
{
	void *block;
	int got;

	make_up(602);
	for (unsigned int i = 0; i < 1000; i++)
		TEST_ASSERT_NULL(vhost_heap_alloc(64, 603, &got), "it is full");
	/* the machine may be busy for longer than an answer is fresh */
	TEST_ASSERT(machine.fills >= 1 && machine.fills <= 10, "asked %u times", machine.fills);
	TEST_ASSERT_EQUAL(usage_of(603).chunks + usage_of(602).chunks, 0, "nothing is kept");
	machine.node = 603;
	time_passes();
	block = vhost_heap_alloc(64, 603, &got);
	TEST_ASSERT_NOT_NULL(block, "and has room again");
	vhost_heap_free(block);
	return TEST_SUCCESS;
}

/** A page elsewhere is reason enough not to take the others either. */
static int
a_chunk_is_taken_whole_or_not_at_all(void)
{
	uint8_t *block;
	int got;

	make_up(604);
	block = vhost_heap_alloc(64, 604, &got);
	TEST_ASSERT_NOT_NULL(block, "a block");
	vhost_heap_free(block);
	/* a new one would be where this one is, when it has gone */
	machine.apart = (uint8_t *)((uintptr_t)block & ~(uintptr_t)(CHUNK - 1)) + 511 * PAGE;
	time_passes();
	block = vhost_heap_alloc(64, 604, &got);
	TEST_ASSERT(block == NULL || (uintptr_t)block / CHUNK != (uintptr_t)machine.apart / CHUNK,
		"not from there");
	vhost_heap_free(block);
	return TEST_SUCCESS;
}

/** Somebody migrates the process, or changes its cpuset. */
static int
migrated_blocks_are_found(void)
{
	void *block, *other;
	int got;

	make_up(606);
	block = vhost_heap_alloc(64, 606, &got);
	TEST_ASSERT_NOT_NULL(block, "a block");
	machine.node = 607;
	time_passes();
	TEST_ASSERT_EQUAL(vhost_heap_node(block), 607, "it was migrated");
	TEST_ASSERT_EQUAL(usage_of(607).blocks, 1, "and is counted there");
	machine.node = 606;
	other = vhost_heap_alloc(64, 606, &got);
	TEST_ASSERT_NOT_NULL(other, "the node itself is as it was");
	TEST_ASSERT((uintptr_t)other / CHUNK != (uintptr_t)block / CHUNK, "from a new chunk");
	vhost_heap_free(block);
	vhost_heap_free(other);
	return TEST_SUCCESS;
}

/** The same, noticed when memory is taken. */
static int
a_migrated_chunk_is_not_used_for_its_old_node(void)
{
	void *block, *other;
	int got;

	make_up(608);
	block = vhost_heap_alloc(64, 608, &got);
	TEST_ASSERT_NOT_NULL(block, "a block");
	machine.node = 609;
	time_passes();
	TEST_ASSERT_NULL(vhost_heap_alloc(64, 608, &got), "everything is on the other one");
	other = vhost_heap_alloc(64, 609, &got);
	TEST_ASSERT((uintptr_t)other / CHUNK == (uintptr_t)block / CHUNK, "which has this one");
	vhost_heap_free(block);
	vhost_heap_free(other);
	return TEST_SUCCESS;
}

/** Parts of a chunk were migrated: each block has a node if all of it is there. */
static int
blocks_of_a_torn_chunk_are_told_apart(void)
{
	uint8_t *a, *b, *c;
	int got;

	make_up(610);
	a = vhost_heap_alloc(PAGE, 610, &got);
	b = vhost_heap_alloc(4 * PAGE, 610, &got);
	c = vhost_heap_alloc(PAGE, 610, &got);
	TEST_ASSERT(a != NULL && b != NULL && c != NULL, "blocks");
	machine.apart = b + 2 * PAGE;
	time_passes();
	TEST_ASSERT_EQUAL(vhost_heap_node(a), 610, "stayed");
	TEST_ASSERT_EQUAL(vhost_heap_node(b), VHOST_NODE_ANY, "torn");
	TEST_ASSERT_EQUAL(vhost_heap_node(c), 610, "stayed");
	vhost_heap_free(a);
	vhost_heap_free(b);
	vhost_heap_free(c);
	TEST_ASSERT_EQUAL(usage_of(VHOST_NODE_ANY).chunks, 0, "such a chunk is not kept");
	return TEST_SUCCESS;
}

/* ---- hugepages ---- */

#define THP "/sys/kernel/mm/transparent_hugepage/enabled"

static int
write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		return -1;
	fputs(text, f);
	return fclose(f);
}

/** What the mapping of a block is advised to be. */
static bool
is_advised_huge(const void *block)
{
	unsigned long first, end, at = (unsigned long)(uintptr_t)block;
	FILE *f = fopen("/proc/self/smaps", "re");
	bool inside = false, huge = false;
	char line[512];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			inside = at >= first && at < end;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			huge = strstr(line, " hg") != NULL;
	}
	if (f != NULL)
		fclose(f);
	return huge;
}

static int
a_chunk_may_be_one_huge_page(void)
{
	void *block;
	int got;

	if (access(THP, F_OK) != 0)
		return TEST_SKIPPED;
	block = vhost_heap_alloc(CHUNK, VHOST_NODE_ANY, &got);
	TEST_ASSERT_NOT_NULL(block, "a chunk");
	TEST_ASSERT(is_advised_huge(block) || machine_free_hugepages(0) > 0, "of huge pages");
	vhost_heap_free(block);
	return TEST_SUCCESS;
}

/** Take a chunk when the pool is wanted: whether it came from there. */
static int
check_comes_from_pool(void)
{
	unsigned long pool = machine_free_hugepages(0);
	uint8_t *block;
	int got;

	block = vhost_heap_alloc(CHUNK, 0, &got);
	TEST_ASSERT_NOT_NULL(block, "a chunk");
	TEST_ASSERT(is_zero(block, CHUNK), "zeroed");
	TEST_ASSERT_EQUAL(machine_free_hugepages(0), pool - 1, "a page of the pool");
	vhost_heap_free(block);
	return TEST_SUCCESS;
}

/** The pool may be all that is left of a node. */
static int
the_pool_serves_a_node_without_ordinary_memory(void)
{
	void *spare;
	int ret, got;

	if (machine_free_hugepages(0) == 0)
		return TEST_SKIPPED;
	make_up(0);
	spare = vhost_heap_alloc(CHUNK, 0, &got);
	machine.closed = 1;
	ret = check_comes_from_pool();
	vhost_heap_free(spare);
	return ret;
}

/** Where the operator has switched transparent huge pages off, on a machine of ours. */
static int
the_pool_serves_where_pages_are_small(void)
{
	void *spare;
	int ret, got;

	if (getenv("NUMA_LAB") == NULL || machine_free_hugepages(0) < 100)
		return TEST_SKIPPED;
	make_up(0);
	spare = vhost_heap_alloc(CHUNK, 0, &got);
	TEST_ASSERT_SUCCESS(write_text(THP, "never"), "no transparent pages");
	ret = check_comes_from_pool();
	TEST_ASSERT_SUCCESS(write_text(THP, "always"), "as it was");
	vhost_heap_free(spare);
	return ret;
}

/* ---- replacing it ---- */

static void *
alloc_nothing(size_t size __rte_unused, int node __rte_unused, int *got __rte_unused)
{
	return NULL;
}

static int
another_heap_in_place(void)
{
	struct vhost_heap_ops ops = *vhost_heap_own_ops();
	void *block;
	int got;

	ops.alloc = alloc_nothing;
	vhost_heap_set_ops(&ops);
	TEST_ASSERT_NULL(vhost_heap_alloc(64, VHOST_NODE_ANY, &got), "the fake refuses");
	vhost_heap_set_ops(NULL);
	block = vhost_heap_alloc(64, VHOST_NODE_ANY, &got);
	TEST_ASSERT_NOT_NULL(block, "the heap is back");
	vhost_heap_free(block);
	return TEST_SUCCESS;
}

/* ---- the suite ---- */

static int
kernel_is_back(void)
{
	vhost_heap_set_ops(NULL);
	vhost_node_set_ops(NULL);
	return 0;
}

static const struct test_case cases[] = {
	TEST_CASE(the_only_node_is_believed_in_a_container),
	TEST_CASE(the_only_node_is_believed_without_numa),
	TEST_CASE(a_kernel_without_advice_will_do),
	TEST_CASE(a_block_is_zeroed_and_on_its_node),
	TEST_CASE(a_node_that_does_not_exist_gives_nothing),
	TEST_CASE(blocks_share_no_cache_lines),
	TEST_CASE(memory_goes_back_when_devices_go),
	TEST_CASE(an_empty_chunk_is_not_kept_for_ever),
	TEST_CASE(memory_prefers_its_node),
	TEST_CASE(threads_take_and_give_at_once),
	TEST_CASE(what_came_from_elsewhere_is_moved_once),
	TEST_CASE(a_full_node_is_asked_again_after_a_while),
	TEST_CASE(a_chunk_is_taken_whole_or_not_at_all),
	TEST_CASE(migrated_blocks_are_found),
	TEST_CASE(a_migrated_chunk_is_not_used_for_its_old_node),
	TEST_CASE(blocks_of_a_torn_chunk_are_told_apart),
	TEST_CASE(a_chunk_may_be_one_huge_page),
	TEST_CASE(the_pool_serves_a_node_without_ordinary_memory),
	TEST_CASE(the_pool_serves_where_pages_are_small),
	TEST_CASE(another_heap_in_place),
};

static int
test_vhost_heap(void)
{
	static const struct test_suite suite = {
		.name = "vhost heap", .check = kernel_is_back,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_heap_autotest, test_vhost_heap);
