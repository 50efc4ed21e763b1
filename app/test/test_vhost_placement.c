/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Where guest memory is, on a machine with the nodes 0 and 8 (and any other that
 * a test wants): a page is on the node that its second byte names.  Whether it
 * has memory, and whether asking gave it some, is the real kernel's word.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/memfd.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>

#include "mem_map.h"
#include "mem_node.h"
#include "mem_probe.h"
#include "placement.h"
#include "vhost_test_node_stats.h"
#include "test.h"
#include "vhost_test_denied.h"
#include "vhost_test_pages.h"

#define HUGE_PAGE (2ULL << 20)
#define FILE_NAME "vhost-test-placement"

/* Younger than the C library's headers. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

/* Census of the guest */

static int
test_pages_are_counted_by_node(void)
{
	struct placement_node_stats node_stats;
	const struct placement_region *r = &node_stats.regions[0];
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 8), "a guest");
	put_pages(&g, 0, 2, 0);
	put_pages(&g, 2, 8, 8);
	vhost_placement_node_stats(g.map, &node_stats);
	TEST_ASSERT_EQUAL(node_stats.generation, g.map->generation, "of this map");
	TEST_ASSERT_EQUAL(node_stats.nregions, 1, "its region");
	TEST_ASSERT_EQUAL(r->evidence, PLACEMENT_PAGES, "pages");
	TEST_ASSERT_EQUAL(r->asked, 8, "all");
	TEST_ASSERT_EQUAL(r->known, 8, "all");
	TEST_ASSERT_EQUAL(r->bytes[0], 2 * PAGE, "node 0");
	TEST_ASSERT_EQUAL(r->bytes[8], 6 * PAGE, "node 8");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 0), 8, "most");
	guest_close(&g);
	return TEST_SUCCESS;
}

static int
test_missing_pages_do_not_count(void)
{
	struct placement_node_stats node_stats;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 100), "a guest");
	put_page(&g, 70, 8);
	vhost_placement_node_stats(g.map, &node_stats);
	TEST_ASSERT_EQUAL(node_stats.regions[0].evidence, PLACEMENT_PAGES, "one page");
	TEST_ASSERT_EQUAL(node_stats.regions[0].asked, 100, "all were asked");
	TEST_ASSERT_EQUAL(node_stats.regions[0].known, 1, "one answered");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 0), 8, "it decides");
	TEST_ASSERT_EQUAL(blocks_of(g.fd), PAGE / 512, "and is alone as before");
	guest_close(&g);
	return TEST_SUCCESS;
}

static int
test_nothing_known_of_untouched_memory(void)
{
	struct placement_node_stats node_stats;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 1000), "a guest");
	vhost_placement_node_stats(g.map, &node_stats);
	TEST_ASSERT_EQUAL(node_stats.regions[0].evidence, PLACEMENT_NONE, "nothing");
	TEST_ASSERT(node_stats.regions[0].asked > 100, "though many were asked");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 8), VHOST_NODE_ANY,
		"stay");
	TEST_ASSERT_EQUAL(blocks_of(g.fd), 0, "nothing was allocated");
	guest_close(&g);
	return TEST_SUCCESS;
}

/** A guest's memory whose middle third has another policy than the rest. */
static struct {
	const uint8_t *start;
	size_t size;
	int middle;
	unsigned int asked;
} policies;

static int
policy_by_address(const void *addr)
{
	size_t at = (const uint8_t *)addr - policies.start;

	policies.asked++;
	return at >= policies.size / 3 && at < policies.size / 3 * 2 ? policies.middle : 8;
}

/** What is known of a guest without pages; its policies were asked for. */
static int
look_at_policies(int middle, struct placement_node_stats *node_stats)
{
	struct vhost_node_ops ops = *vhost_node_kernel_ops();
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 1000), "a guest");
	policies.start = g.map->regions[0].host;
	policies.size = g.size;
	policies.middle = middle;
	policies.asked = 0;
	ops.bound = policy_by_address;
	vhost_node_set_ops(&ops);
	vhost_placement_node_stats(g.map, node_stats);
	pages_machine();
	guest_close(&g);
	TEST_ASSERT_EQUAL(node_stats->regions[0].evidence, PLACEMENT_POLICY, "no page yet");
	return 0;
}

/** Beginning, middle and end speak for all if they agree. */
static int
test_few_policies_are_asked_for(void)
{
	struct placement_node_stats node_stats;

	TEST_ASSERT_SUCCESS(look_at_policies(8, &node_stats), "one policy");
	TEST_ASSERT(policies.asked <= 3, "it is the same everywhere: %u", policies.asked);
	TEST_ASSERT(node_stats.regions[0].bytes[8] > 0, "all of it");
	TEST_ASSERT_SUCCESS(look_at_policies(3, &node_stats), "two policies");
	TEST_ASSERT(policies.asked > 3, "all are asked for");
	TEST_ASSERT(node_stats.regions[0].bytes[3] > 0, "the middle");
	TEST_ASSERT(node_stats.regions[0].bytes[8] > node_stats.regions[0].bytes[3], "the rest");
	return TEST_SUCCESS;
}

static int
test_policy_speaks_for_missing_pages(void)
{
	struct placement_node_stats node_stats;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 8), "a guest");
	pages_policy(8);
	vhost_placement_node_stats(g.map, &node_stats);
	TEST_ASSERT_EQUAL(node_stats.regions[0].evidence, PLACEMENT_POLICY, "no page yet");
	TEST_ASSERT_EQUAL(node_stats.regions[0].known, 0, "no page yet");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 0), 8, "its node");
	TEST_ASSERT_EQUAL(blocks_of(g.fd), 0, "nothing was allocated");

	put_pages(&g, 0, 3, 0);
	vhost_placement_node_stats(g.map, &node_stats);
	TEST_ASSERT_EQUAL(node_stats.regions[0].evidence, PLACEMENT_PAGES, "some now");
	TEST_ASSERT_EQUAL(node_stats.regions[0].bytes[0], 3 * PAGE, "where they are");
	TEST_ASSERT_EQUAL(node_stats.regions[0].bytes[8], 5 * PAGE, "where others will be");

	put_pages(&g, 3, 6, 0);
	vhost_placement_node_stats(g.map, &node_stats);
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 8), 0,
		"pages go before policies");
	guest_close(&g);
	return TEST_SUCCESS;
}

static int
test_policy_of_the_frontend_is_seen(void)
{
	struct placement_node_stats node_stats;
	unsigned long node_0 = 1;
	struct guest g;

	vhost_node_set_ops(NULL);
	TEST_ASSERT_SUCCESS(guest_open(&g, 8), "a guest");
	TEST_ASSERT_SUCCESS(syscall(SYS_mbind, g.fe, g.size, MPOL_BIND, &node_0, 65, 0),
		"mbind in the frontend's mapping");
	vhost_placement_node_stats(g.map, &node_stats);
	TEST_ASSERT_EQUAL(node_stats.regions[0].evidence, PLACEMENT_POLICY, "shared");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, VHOST_NODE_ANY), 0,
		"through the file");
	TEST_ASSERT_EQUAL(blocks_of(g.fd), 0, "nothing was allocated");
	guest_close(&g);
	return TEST_SUCCESS;
}

static int
test_interleaved_memory_is_on_both_nodes(void)
{
	const uint64_t third = 4096 * PAGE / 3;
	struct placement_node_stats node_stats;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 4096), "a guest");
	for (unsigned int i = 0; i < 4096; i++)
		put_page(&g, i, i % 2 * 8);
	vhost_placement_node_stats(g.map, &node_stats);
	TEST_ASSERT(node_stats.regions[0].bytes[0] > third, "node 0: %" PRIu64 " of %llu",
		node_stats.regions[0].bytes[0], 4096 * PAGE);
	TEST_ASSERT(node_stats.regions[0].bytes[8] > third, "node 8: %" PRIu64 " of %llu",
		node_stats.regions[0].bytes[8], 4096 * PAGE);
	guest_close(&g);
	return TEST_SUCCESS;
}

static int
test_node_numbers_beyond_the_node_stats(void)
{
	struct placement_node_stats node_stats;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 4), "a guest");
	put_pages(&g, 0, 3, PLACEMENT_MAX_NODES);
	put_page(&g, 3, PLACEMENT_MAX_NODES - 1);
	vhost_placement_node_stats(g.map, &node_stats);
	TEST_ASSERT_EQUAL(node_stats.regions[0].known, 1, "one can be told apart");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, VHOST_NODE_ANY),
		PLACEMENT_MAX_NODES - 1, "and decides");
	guest_close(&g);
	return TEST_SUCCESS;
}

static int
refused_with(int err)
{
	struct placement_node_stats node_stats;
	const uint8_t *host;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 8), "a guest");
	put_pages(&g, 0, 8, 8);
	pages_deny(err);
	host = g.map->regions[0].host;
	vhost_placement_node_stats(g.map, &node_stats);
	TEST_ASSERT_EQUAL(node_stats.regions[0].evidence, PLACEMENT_REFUSED, "no answer");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 8), VHOST_NODE_ANY, "stay");
	TEST_ASSERT_EQUAL(vhost_placement_ring_node(g.map, host, PAGE, host + PAGE,
		PAGE, host + 2 * PAGE, PAGE), VHOST_NODE_ANY, "stay");
	guest_close(&g);
	return TEST_SUCCESS;
}

static int
test_kernel_denies(void)
{
	return refused_with(-EPERM);
}

static int
test_kernel_has_no_numa(void)
{
	return refused_with(-ENOSYS);
}

/* Which node is the device's */

static int
test_most_bytes_decide(void)
{
	struct placement_node_stats node_stats = { .nregions = 3 };

	node_stats.regions[0].bytes[0] = 3 << 20;
	node_stats.regions[1].bytes[8] = 2 << 20;
	node_stats.regions[2].bytes[8] = 2 << 20;
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 0), 8, "4 against 3");
	node_stats.nregions = 2;
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 8), 0, "3 against 2");
	node_stats.nregions = 0;
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 8), VHOST_NODE_ANY, "none");
	return TEST_SUCCESS;
}

static int
test_ties_go_to_queue_0(void)
{
	struct placement_node_stats node_stats = { .nregions = 2 };

	node_stats.regions[0].bytes[1] = 256 << 20;
	node_stats.regions[1].bytes[8] = 256 << 20;
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 8), 8, "tie");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 1), 1, "tie");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 0), 1, "not among them");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, VHOST_NODE_ANY), 1,
		"the lower one");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, PLACEMENT_MAX_NODES), 1,
		"no such node");
	node_stats.regions[0].bytes[1] -= 4 << 20;
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 1), 1,
		"a sample cannot tell so little");
	node_stats.regions[0].bytes[1] -= 32 << 20;
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 1), 8, "but so much");
	return TEST_SUCCESS;
}

/** Of all memory, also of what the first node has. */
static int
test_a_tie_is_a_share_of_all_memory(void)
{
	struct placement_node_stats node_stats = { .nregions = 1 };
	uint64_t *bytes = node_stats.regions[0].bytes;

	bytes[0] = 256 << 20;
	bytes[8] = 244 << 20;
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 8), 8, "12 of 500");
	bytes[8] = 230 << 20;
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 8), 0, "26 of 486");
	return TEST_SUCCESS;
}

/* Rings */

/** The ring with its parts on pages 0, 1-2 and 3-5. */
static int
ring_node(const struct guest *g)
{
	const uint8_t *host = g->map->regions[0].host;

	return vhost_placement_ring_node(g->map, host, 100, host + PAGE + 100, PAGE,
		host + 3 * PAGE, 3 * PAGE);
}

static int
test_ring_is_where_most_of_its_pages_are(void)
{
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 100), "a guest");
	put_pages(&g, 0, 2, 0);
	put_pages(&g, 2, 6, 8);
	put_pages(&g, 6, 100, 0);
	TEST_ASSERT_EQUAL(ring_node(&g), 8, "4 of 6");
	put_page(&g, 2, 0);
	TEST_ASSERT_EQUAL(ring_node(&g), 0, "3 of 6, the descriptors among them");
	put_page(&g, 0, 8);
	TEST_ASSERT_EQUAL(ring_node(&g), 8, "and there");
	guest_close(&g);
	return TEST_SUCCESS;
}

static int
test_ring_that_is_only_partly_there(void)
{
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 100), "a guest");
	TEST_ASSERT_EQUAL(ring_node(&g), VHOST_NODE_ANY, "nothing known");
	pages_policy(3);
	TEST_ASSERT_EQUAL(ring_node(&g), 3, "but by policy");
	put_page(&g, 1, 8);
	TEST_ASSERT_EQUAL(ring_node(&g), 8, "a page goes before policies");
	TEST_ASSERT_EQUAL(blocks_of(g.fd), PAGE / 512, "nothing was allocated");
	guest_close(&g);
	return TEST_SUCCESS;
}

static int
test_ring_with_parts_that_are_not_there(void)
{
	static uint8_t elsewhere[64];
	const uint8_t *host;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 2), "a guest");
	put_page(&g, 0, 0);
	put_page(&g, 1, 8);
	host = g.map->regions[0].host;
	TEST_ASSERT_EQUAL(vhost_placement_ring_node(g.map, NULL, 0, NULL, 0, NULL, 0),
		VHOST_NODE_ANY, "no part");
	TEST_ASSERT_EQUAL(vhost_placement_ring_node(g.map, elsewhere, 64, host + PAGE,
		64, NULL, 0), 8, "one part");
	TEST_ASSERT_EQUAL(vhost_placement_ring_node(g.map, host + PAGE, PAGE, host, 0,
		host, 0), 8, "up to the last byte");
	TEST_ASSERT_EQUAL(vhost_placement_ring_node(g.map, host + PAGE, PAGE + 1, host,
		1, host, 0), 0, "not beyond it");
	guest_close(&g);
	return TEST_SUCCESS;
}

/* Asking allocates nothing, whatever the kind of memory */

#define KIND_PAGES 12

enum memory_kind { MEMFD, SHM, DISK, HUGE_MEMFD, HUGE_FILE };

static int
unlinked_file(const char *folder)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/" FILE_NAME "-XXXXXX", folder);
	fd = mkstemp(path);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int
open_kind(struct guest *g, enum memory_kind kind)
{
	switch (kind) {
	case MEMFD:
		return guest_open(g, KIND_PAGES);
	case SHM:
		return guest_with_file(g, unlinked_file("/dev/shm"), KIND_PAGES, PAGE);
	case DISK:
		return guest_with_file(g, unlinked_file("/var/tmp"), KIND_PAGES, PAGE);
	case HUGE_MEMFD:
		return guest_with_file(g, memfd_create(FILE_NAME, MFD_CLOEXEC |
			MFD_HUGETLB | MFD_HUGE_2MB), KIND_PAGES, HUGE_PAGE);
	case HUGE_FILE:
		return guest_with_file(g, unlinked_file("/dev/hugepages"), KIND_PAGES,
			HUGE_PAGE);
	}
	return -1;
}

/** Blocks of memory that the file has; for a disk file, pages in the page cache. */
static long
memory_of(const struct guest *g, enum memory_kind kind)
{
	unsigned char resident[16] = { 0 };
	long n = 0;

	if (kind != DISK)
		return blocks_of(g->fd);
	if (mincore(g->fe, g->size, resident) < 0)
		return -1;
	for (unsigned int i = 0; i < RTE_DIM(resident); i++)
		n += resident[i] & 1;
	return n;
}

/** Whether this thread may have missing pages trapped. */
static bool
may_trap(void)
{
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/** How it is known which pages have memory. */
static int
check_oracle(const struct guest *g, enum mem_probe_oracle expected)
{
	const struct mem_run run = { .page = 0, .n = 1 };
	struct mem_window window = { .at = NULL };
	enum mem_probe_oracle oracle;
	struct mem_probe probe;

	vhost_mem_probe_init(&probe, &g->map->regions[0]);
	vhost_mem_probe_bytes(&probe);
	TEST_ASSERT_SUCCESS(vhost_mem_window_arm(&window, &probe, &run, 1), "a window");
	oracle = window.oracle;
	vhost_mem_window_close(&window);
	TEST_ASSERT_EQUAL(oracle, may_trap() ? PROBE_TRAPPED : expected, "its oracle");
	return 0;
}

static bool
is_huge(enum memory_kind kind)
{
	return kind == HUGE_MEMFD || kind == HUGE_FILE;
}

/** Every third page is there, beginning with page 0. */
static int
check_kind(struct guest *g, enum memory_kind kind)
{
	struct placement_node_stats node_stats;
	const uint8_t *third = g->map->regions[0].host + 3 * g->page;
	long memory;
	int node;

	for (unsigned int i = 0; i < KIND_PAGES; i += 3)
		put_page(g, i, 8);
	memory = memory_of(g, kind);
	vhost_placement_node_stats(g->map, &node_stats);
	TEST_ASSERT_EQUAL(node_stats.regions[0].evidence, PLACEMENT_PAGES, "asked");
	TEST_ASSERT_EQUAL(node_stats.regions[0].asked, KIND_PAGES, "all");
	node = vhost_placement_ring_node(g->map, third, g->page, third + g->page,
		g->page, third + 2 * g->page, g->page);
	TEST_ASSERT_EQUAL(memory_of(g, kind), memory, "nothing was allocated");
	/* The system reads a disk file ahead as it likes. */
	if (kind == DISK)
		return TEST_SUCCESS;
	TEST_ASSERT_SUCCESS(check_oracle(g, is_huge(kind) ? PROBE_CONTENT : PROBE_MINCORE),
		"the file has holes");
	TEST_ASSERT_EQUAL(node, 8, "one part of three is there");
	TEST_ASSERT_EQUAL(node_stats.regions[0].known, KIND_PAGES / 3, "the frontend's");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 0), 8, "found");
	return TEST_SUCCESS;
}

static int
with_kind(enum memory_kind kind, int (*check)(struct guest *, enum memory_kind))
{
	int ret = TEST_SKIPPED;	/* no such memory here */
	struct guest g;

	if (open_kind(&g, kind) == 0)
		ret = check(&g, kind);
	guest_close(&g);
	return ret;
}

static const enum memory_kind *kind_under_test;

static int
run_check_kind(void)
{
	return with_kind(*kind_under_test, check_kind);
}

static int
test_asking_allocates_nothing(const void *kind)
{
	kind_under_test = kind;
	return run_check_kind();
}

/** The same in a container that denies userfaultfd. */
static int
test_asking_allocates_nothing_denied(const void *kind)
{
	kind_under_test = kind;
	return denied_run((struct denied){
		.calls = { SYS_userfaultfd }, .err = EPERM, .run = run_check_kind,
	});
}

/* Memory whose contents tell nothing */

static int
check_zeroed(struct guest *g, enum memory_kind kind)
{
	struct placement_node_stats node_stats;
	long memory;

	for (unsigned int i = 0; i < KIND_PAGES; i++)
		*(volatile uint8_t *)(g->fe + i * g->page) = 0;
	memory = memory_of(g, kind);
	vhost_placement_node_stats(g->map, &node_stats);
	TEST_ASSERT_SUCCESS(check_oracle(g, PROBE_ALL), "the file has no holes");
	TEST_ASSERT_EQUAL(node_stats.regions[0].known, KIND_PAGES, "all are there");
	TEST_ASSERT_EQUAL(vhost_placement_device_node(&node_stats, 8), 0, "on node 0");
	TEST_ASSERT_EQUAL(memory_of(g, kind), memory, "nothing was allocated");
	return TEST_SUCCESS;
}

/** What reads non-zero of memory that is treated as huge pages are. */
static int
check_contents(void)
{
	const struct mem_run run = { .page = 0, .n = KIND_PAGES };
	struct mem_window window = { .at = NULL };
	unsigned int budget = 100, little = 3;
	struct mem_probe probe;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, KIND_PAGES), "a guest");
	for (unsigned int i = 0; i < KIND_PAGES; i += 3)
		put_page(&g, i, 8);
	vhost_mem_probe_init(&probe, &g.map->regions[0]);
	probe.hugetlb = true;
	TEST_ASSERT_SUCCESS(vhost_mem_window_arm(&window, &probe, &run, 1), "a window");
	TEST_ASSERT_EQUAL(window.oracle, PROBE_CONTENT, "its oracle");
	TEST_ASSERT_EQUAL(vhost_mem_window_map(&window, &probe, &run, 0, KIND_PAGES, &budget),
		KIND_PAGES / 3, "those that are there");
	TEST_ASSERT_EQUAL(budget, 100 - KIND_PAGES - KIND_PAGES / 3, "read all, mapped some");
	TEST_ASSERT_EQUAL(vhost_mem_window_map(&window, &probe, &run, 0, KIND_PAGES, &little), 1,
		"as far as it goes");
	TEST_ASSERT_EQUAL(little, 0, "which is not far");
	TEST_ASSERT_EQUAL(blocks_of(g.fd), KIND_PAGES / 3 * (PAGE / 512), "nothing was allocated");
	vhost_mem_window_close(&window);
	guest_close(&g);
	return TEST_SUCCESS;
}

static int
test_contents_tell_of_memory(void)
{
	return denied_run((struct denied){
		.calls = { SYS_userfaultfd }, .err = EPERM, .run = check_contents,
	});
}

static int
run_check_zeroed(void)
{
	return with_kind(*kind_under_test, check_zeroed);
}

static int
test_zeroed_memory_is_found(const void *kind)
{
	kind_under_test = kind;
	return run_check_zeroed();
}

static int
test_zeroed_memory_is_found_denied(const void *kind)
{
	kind_under_test = kind;
	return denied_run((struct denied){
		.calls = { SYS_userfaultfd }, .err = EPERM, .run = run_check_zeroed,
	});
}

/**
 * mincore() says "resident" of everything in another user's file.  Believing it
 * would allocate the whole sample.
 */
static int
check_file_of_another_user(void)
{
	struct placement_node_stats node_stats;
	struct guest g;

	TEST_ASSERT_SUCCESS(open_kind(&g, SHM), "a file of ours");
	put_page(&g, 5, 8);
	/* This thread only, and it ends soon. */
	syscall(SYS_setfsuid, 65534);
	TEST_ASSERT_SUCCESS(check_oracle(&g, PROBE_NOTHING), "nobody can tell");
	vhost_placement_node_stats(g.map, &node_stats);
	TEST_ASSERT_EQUAL(blocks_of(g.fd), PAGE / 512, "nothing was allocated");
	TEST_ASSERT_EQUAL(node_stats.regions[0].known, 0, "and nothing is known");
	guest_close(&g);
	return TEST_SUCCESS;
}

static int
test_file_of_another_user(void)
{
	if (geteuid() != 0)
		return TEST_SKIPPED;
	return denied_run((struct denied){
		.calls = { SYS_userfaultfd }, .err = EPERM,
		.run = check_file_of_another_user,
	});
}

static int
test_truncated_file_is_no_danger(void)
{
	struct placement_node_stats node_stats;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 8), "a guest");
	put_pages(&g, 0, 8, 8);
	TEST_ASSERT_SUCCESS(ftruncate(g.fd, 0), "the file shrinks");
	vhost_placement_node_stats(g.map, &node_stats);
	TEST_ASSERT_EQUAL(node_stats.regions[0].known, 0, "nothing is left");
	TEST_ASSERT(!vhost_mem_map_is_broken(g.map), "and nothing was touched");
	guest_close(&g);
	return TEST_SUCCESS;
}

static int
setup(void)
{
	if (!pages_are_told())
		return TEST_SKIPPED;
	pages_machine();
	return TEST_SUCCESS;
}

/** Each case starts on the machine with the nodes 0 and 8. */
static int
fake_machine_again(void)
{
	pages_machine();
	return 0;
}

static void
teardown(void)
{
	vhost_node_set_ops(NULL);
}

static const enum memory_kind memfd = MEMFD, shm = SHM, disk = DISK,
	huge_memfd = HUGE_MEMFD, huge_file = HUGE_FILE;

#define FOR_MEMORY(fn) \
	TEST_CASE_WITH(fn, #fn " (memfd)", &memfd), \
	TEST_CASE_WITH(fn, #fn " (shm)", &shm), \
	TEST_CASE_WITH(fn, #fn " (huge memfd)", &huge_memfd), \
	TEST_CASE_WITH(fn, #fn " (hugetlbfs)", &huge_file)
#define FOR_ALL_KINDS(fn) FOR_MEMORY(fn), TEST_CASE_WITH(fn, #fn " (disk)", &disk)

static const struct test_case cases[] = {
	TEST_CASE(test_pages_are_counted_by_node),
	TEST_CASE(test_missing_pages_do_not_count),
	TEST_CASE(test_nothing_known_of_untouched_memory),
	TEST_CASE(test_few_policies_are_asked_for),
	TEST_CASE(test_policy_speaks_for_missing_pages),
	TEST_CASE(test_policy_of_the_frontend_is_seen),
	TEST_CASE(test_interleaved_memory_is_on_both_nodes),
	TEST_CASE(test_node_numbers_beyond_the_node_stats),
	TEST_CASE(test_kernel_denies),
	TEST_CASE(test_kernel_has_no_numa),
	TEST_CASE(test_most_bytes_decide),
	TEST_CASE(test_ties_go_to_queue_0),
	TEST_CASE(test_a_tie_is_a_share_of_all_memory),
	TEST_CASE(test_ring_is_where_most_of_its_pages_are),
	TEST_CASE(test_ring_that_is_only_partly_there),
	TEST_CASE(test_ring_with_parts_that_are_not_there),
	FOR_ALL_KINDS(test_asking_allocates_nothing),
	FOR_ALL_KINDS(test_asking_allocates_nothing_denied),
	FOR_MEMORY(test_zeroed_memory_is_found),
	FOR_MEMORY(test_zeroed_memory_is_found_denied),
	TEST_CASE(test_contents_tell_of_memory),
	TEST_CASE(test_file_of_another_user),
	TEST_CASE(test_truncated_file_is_no_danger),
};

static int
test_vhost_placement(void)
{
	static const struct test_suite suite = {
		.name = "vhost placement", .setup = setup, .teardown = teardown,
		.check = fake_machine_again,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_placement_autotest, test_vhost_placement);
