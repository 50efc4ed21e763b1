/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Asking for nodes, and pages at an address for good. */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/mempolicy.h>

#include <rte_log.h>

#include "mem_node.h"
#include "test.h"
#include "vhost_test_denied.h"

#define PAGE 4096
#define PAGES 4

/** A memfd, mapped; no page of it exists. */
struct area {
	int fd;
	uint8_t *at;
};

static int
area_open(struct area *a)
{
	a->fd = memfd_create("vhost-test", MFD_CLOEXEC);
	if (a->fd < 0 || ftruncate(a->fd, PAGES * PAGE) < 0)
		return -1;
	a->at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	return a->at == MAP_FAILED ? -1 : 0;
}

static void
area_close(struct area *a)
{
	munmap(a->at, PAGES * PAGE);
	close(a->fd);
}

static long
area_blocks(const struct area *a)
{
	struct stat st;

	return fstat(a->fd, &st) == 0 ? st.st_blocks : -1;
}

/** Whether this build on this kernel answers questions about nodes. */
static bool
nodes_are_told(void)
{
	int on_stack = 0;

	return vhost_node_of(&on_stack) >= 0;
}

/** The node of a machine that has one; -1 when it has several. */
static int
only_node(void)
{
	char text[64] = "";
	FILE *f = fopen("/sys/devices/system/node/has_memory", "re");
	char *end;
	long node;

	if (f == NULL)
		return 0;
	if (fgets(text, sizeof(text), f) == NULL)
		text[0] = '\0';
	fclose(f);
	node = strtol(text, &end, 10);
	return *end == '\n' ? (int)node : -1;
}

static int
test_query_tells_mapped_from_missing(void)
{
	void *pages[PAGES];
	int nodes[PAGES];
	struct area a;

	if (!nodes_are_told())
		return TEST_SKIPPED;
	TEST_ASSERT_SUCCESS(area_open(&a), "a memfd");
	a.at[1 * PAGE] = 1;
	a.at[3 * PAGE + 77] = 1;
	for (int i = 0; i < PAGES; i++)
		pages[i] = a.at + i * PAGE + 9;
	TEST_ASSERT_SUCCESS(vhost_node_query(pages, PAGES, nodes), "the query");
	TEST_ASSERT_EQUAL(nodes[0], -ENOENT, "never touched");
	TEST_ASSERT(nodes[1] >= 0, "touched");
	TEST_ASSERT_EQUAL(nodes[2], -ENOENT, "never touched");
	TEST_ASSERT(nodes[3] >= 0, "touched");
	TEST_ASSERT_EQUAL(vhost_node_of(a.at), -ENOENT, "the same for one address");
	TEST_ASSERT_EQUAL(area_blocks(&a), 2 * PAGE / 512, "nothing was allocated");
	area_close(&a);
	return TEST_SUCCESS;
}

static int
test_query_of_many_pages(void)
{
	enum { MANY = 1000 };
	uint8_t *at = mmap(NULL, MANY * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static void *pages[MANY];
	static int nodes[MANY];

	if (!nodes_are_told()) {
		munmap(at, MANY * PAGE);
		return TEST_SKIPPED;
	}
	/* Or touching one page brings 511 others; fails where there is no such thing. */
	madvise(at, MANY * PAGE, MADV_NOHUGEPAGE);
	for (int i = 0; i < MANY; i++) {
		pages[i] = at + i * PAGE;
		if (i % 3 == 0)
			at[i * PAGE] = 1;
	}
	TEST_ASSERT_SUCCESS(vhost_node_query(pages, MANY, nodes), "the query");
	for (int i = 0; i < MANY; i++)
		TEST_ASSERT_EQUAL(nodes[i] >= 0, i % 3 == 0, "page %d", i);
	munmap(at, MANY * PAGE);
	return TEST_SUCCESS;
}

static int
set_policy(struct area *a, int mode, unsigned long mask)
{
	return syscall(SYS_mbind, a->at, PAGES * PAGE, mode, &mask,
		8 * sizeof(mask) + 1, 0);
}

static int
test_bound_names_the_only_node_of_a_policy(void)
{
	static const struct {
		int mode, expect;
		unsigned long mask;
	} policies[] = {
		{ MPOL_BIND, 0, 1 },
		{ MPOL_PREFERRED, 0, 1 },
		{ MPOL_INTERLEAVE, 0, 1 },
		{ MPOL_BIND | MPOL_F_STATIC_NODES, 0, 1 },
		{ MPOL_PREFERRED, -ENOENT, 0 },
		{ MPOL_LOCAL, -ENOENT, 0 },
		{ MPOL_DEFAULT, -ENOENT, 0 },
	};
	struct area a;

	if (!nodes_are_told())
		return TEST_SKIPPED;
	TEST_ASSERT_SUCCESS(area_open(&a), "a memfd");
	TEST_ASSERT_EQUAL(vhost_node_bound(a.at), -ENOENT, "no policy");
	for (unsigned int i = 0; i < RTE_DIM(policies); i++) {
		TEST_ASSERT_SUCCESS(set_policy(&a, policies[i].mode, policies[i].mask),
			"mbind mode 0x%x: %s", policies[i].mode, strerror(errno));
		TEST_ASSERT_EQUAL(vhost_node_bound(a.at + PAGE), policies[i].expect,
			"mode 0x%x", policies[i].mode);
	}
	TEST_ASSERT_EQUAL(area_blocks(&a), 0, "nothing was allocated");
	area_close(&a);
	return TEST_SUCCESS;
}

static int
test_a_range_is_on_a_node_if_all_its_pages_are(void)
{
	struct area a;
	int node;

	if (!nodes_are_told())
		return TEST_SKIPPED;
	TEST_ASSERT_SUCCESS(area_open(&a), "a memfd");
	memset(a.at, 1, PAGES * PAGE);
	TEST_ASSERT_SUCCESS(vhost_node_of_all(a.at, PAGES * PAGE, &node), "the query");
	TEST_ASSERT_EQUAL(node, vhost_node_of(a.at), "each is where the first is");
	TEST_ASSERT_SUCCESS(vhost_node_of_all(a.at + 100, PAGE, &node), "the query");
	TEST_ASSERT_EQUAL(node, vhost_node_of(a.at), "parts of pages");
	TEST_ASSERT_SUCCESS(madvise(a.at + 3 * PAGE, PAGE, MADV_REMOVE), "a hole");
	TEST_ASSERT_SUCCESS(vhost_node_of_all(a.at, PAGES * PAGE, &node), "the query");
	TEST_ASSERT_EQUAL(node, VHOST_NODE_ANY, "the last one is missing");
	TEST_ASSERT_SUCCESS(vhost_node_of_all(a.at + 3 * PAGE, PAGE, &node), "the query");
	TEST_ASSERT_EQUAL(node, VHOST_NODE_ANY, "the only one is missing");
	area_close(&a);
	return TEST_SUCCESS;
}

static int
test_a_preference_for_a_node_that_does_not_exist(void)
{
	static const int nodes[] = { 1023, 4096, INT_MAX, -1, INT_MIN };
	struct area a;

	if (!nodes_are_told())
		return TEST_SKIPPED;
	TEST_ASSERT_SUCCESS(area_open(&a), "a memfd");
	for (unsigned int i = 0; i < RTE_DIM(nodes); i++)
		TEST_ASSERT_EQUAL(vhost_node_prefer(a.at, PAGE, nodes[i]), -EINVAL,
			"node %d", nodes[i]);
	area_close(&a);
	return TEST_SUCCESS;
}

/** What the kernel will never do is not told as done, nor as to be tried again. */
static int
test_a_move_to_a_node_that_does_not_exist(void)
{
	struct area a;
	int ret;

	if (!nodes_are_told())
		return TEST_SKIPPED;
	TEST_ASSERT_SUCCESS(area_open(&a), "a memfd");
	TEST_ASSERT_SUCCESS(vhost_node_move_pages(a.at, PAGES * PAGE, 1000), "nothing to move");
	a.at[PAGE] = 1;
	ret = vhost_node_move_pages(a.at, PAGES * PAGE, 1000);
	TEST_ASSERT(ret < 0 && ret != -EAGAIN, "%d", ret);
	area_close(&a);
	return TEST_SUCCESS;
}

static unsigned int
pages_present(void *at, size_t size)
{
	unsigned char present[PAGES];
	unsigned int n = 0;

	if (mincore(at, size, present) != 0)
		return UINT_MAX;
	for (unsigned int i = 0; i < size / PAGE; i++)
		n += present[i] & 1;
	return n;
}

/** All of them, also those that nobody has touched: the page of zeroes is on no node. */
static int
check_all_are_brought(uint8_t *pages)
{
	TEST_ASSERT_SUCCESS(vhost_node_pages_bring(pages, PAGES * PAGE, only_node()), "brought");
	for (unsigned int i = 0; i < PAGES; i++)
		TEST_ASSERT_EQUAL(vhost_node_of(pages + i * PAGE), only_node(), "page %u", i);
	TEST_ASSERT_EQUAL(pages[PAGE], 1, "as it was");
	return TEST_SUCCESS;
}

/** What a device held is given back when it goes; who is late reads zeroes. */
static int
check_pages(void)
{
	uint8_t *pages = vhost_node_pages(PAGES * PAGE);

	TEST_ASSERT_NOT_NULL(pages, "pages");
	TEST_ASSERT_EQUAL(pages_present(pages, PAGES * PAGE), 0, "none before it is touched");
	pages[PAGE] = 1;
	TEST_ASSERT_EQUAL(pages_present(pages, PAGES * PAGE), 1, "the one that is touched");
	if (nodes_are_told() && only_node() >= 0 && check_all_are_brought(pages) != TEST_SUCCESS)
		return TEST_FAILED;
	memset(pages, 0xee, PAGES * PAGE);
	vhost_node_pages_clear(pages, PAGES * PAGE);
	TEST_ASSERT_EQUAL(pages_present(pages, PAGES * PAGE), 0, "none is left");
	for (unsigned int i = 0; i < PAGES * PAGE; i++)
		TEST_ASSERT_EQUAL(pages[i], 0, "byte %u", i);
	vhost_node_pages_free(pages, PAGES * PAGE);
	return TEST_SUCCESS;
}

static int
test_pages_are_cleared_and_keep_their_address(void)
{
	return check_pages();
}

/** As testpmd does, and Open vSwitch with --mlockall: what is mapped is there at once. */
static int
test_pages_of_a_process_that_locks_its_memory(void)
{
	int ret;

	if (mlockall(MCL_FUTURE) != 0)
		return TEST_SKIPPED;
	ret = check_pages();
	munlockall();
	return ret;
}

static int
test_home_is_a_node_of_this_machine(void)
{
	int home = vhost_node_home();

	TEST_ASSERT(home >= VHOST_NODE_ANY, "%d", home);
	if (only_node() >= 0 && home != VHOST_NODE_ANY)
		TEST_ASSERT_EQUAL(home, only_node(), "there is no other");
	return TEST_SUCCESS;
}

/* Where the kernel does not answer */

static int
check_refusal(int err)
{
	void *pages[2] = { &pages, &err };
	int nodes[2], node;

	TEST_ASSERT_EQUAL(vhost_node_query(pages, 2, nodes), -err, "query");
	TEST_ASSERT_EQUAL(vhost_node_of(&err), -err, "one address");
	TEST_ASSERT_EQUAL(vhost_node_bound(&err), -err, "policy");
	TEST_ASSERT_EQUAL(vhost_node_of_all(nodes, sizeof(nodes), &node), -err, "a range");
	TEST_ASSERT_EQUAL(vhost_node_only(), only_node(), "is not asked of the system calls");
	return TEST_SUCCESS;
}

static int
check_eperm(void)
{
	return check_refusal(EPERM);
}

static int
check_enosys(void)
{
	return check_refusal(ENOSYS);
}

/** Run a check with the log in a buffer, and count the library's lines. */
static int
count_log_lines(struct denied d, unsigned int *lines)
{
	char *text = NULL;
	size_t size = 0;
	FILE *log = open_memstream(&text, &size);
	int result;

	TEST_ASSERT_NOT_NULL(log, "a buffer");
	rte_openlog_stream(log);
	result = denied_run(d);
	rte_openlog_stream(NULL);
	fclose(log);
	*lines = 0;
	for (const char *at = text; (at = strstr(at, "VHOST_CONFIG")) != NULL; at++)
		++*lines;
	free(text);
	return result;
}

static int
test_denied_by_a_container(void)
{
	struct denied d = {
		.calls = { SYS_move_pages, SYS_get_mempolicy, SYS_mbind },
		.err = EPERM, .run = check_eperm,
	};
	unsigned int lines = 0;
	int result;

	if (!nodes_are_told())
		return TEST_SKIPPED;
	result = count_log_lines(d, &lines);
	/* None when another test has made the library say it before. */
	TEST_ASSERT(lines <= 1, "said once, not %u times", lines);
	return result;
}

static int
test_kernel_without_numa(void)
{
	struct denied d = {
		.calls = { SYS_move_pages, SYS_get_mempolicy, SYS_mbind },
		.err = ENOSYS, .run = check_enosys,
	};
	unsigned int lines = 0;
	int result = count_log_lines(d, &lines);

	TEST_ASSERT(lines <= 1, "said once, not %u times", lines);
	return result;
}

/* Replacing the kernel */

static int
query_eight(void *const *pages __rte_unused, unsigned int n, int *nodes)
{
	for (unsigned int i = 0; i < n; i++)
		nodes[i] = 8;
	return 0;
}

static int
bound_to_eight(const void *addr __rte_unused)
{
	return 8;
}

static int
test_another_topology_in_place(void)
{
	struct vhost_node_ops ops = *vhost_node_kernel_ops();

	ops.query = query_eight;
	ops.bound = bound_to_eight;
	vhost_node_set_ops(&ops);
	TEST_ASSERT_EQUAL(vhost_node_of(&ops), 8, "the fake's word");
	TEST_ASSERT_EQUAL(vhost_node_bound(&ops), 8, "the fake's word");
	vhost_node_set_ops(NULL);
	TEST_ASSERT_NOT_EQUAL(vhost_node_of(&ops), 8, "the kernel is back");
	return TEST_SUCCESS;
}

static int
kernel_is_back(void)
{
	vhost_node_set_ops(NULL);
	return 0;
}

static const struct test_case cases[] = {
	TEST_CASE(test_denied_by_a_container),
	TEST_CASE(test_kernel_without_numa),
	TEST_CASE(test_query_tells_mapped_from_missing),
	TEST_CASE(test_query_of_many_pages),
	TEST_CASE(test_bound_names_the_only_node_of_a_policy),
	TEST_CASE(test_a_range_is_on_a_node_if_all_its_pages_are),
	TEST_CASE(test_a_preference_for_a_node_that_does_not_exist),
	TEST_CASE(test_a_move_to_a_node_that_does_not_exist),
	TEST_CASE(test_pages_are_cleared_and_keep_their_address),
	TEST_CASE(test_pages_of_a_process_that_locks_its_memory),
	TEST_CASE(test_home_is_a_node_of_this_machine),
	TEST_CASE(test_another_topology_in_place),
};

static int
test_vhost_node(void)
{
	static const struct test_suite suite = {
		.name = "vhost node", .check = kernel_is_back,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_node_autotest, test_vhost_node);
