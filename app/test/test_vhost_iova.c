/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What a ring behind an IOMMU has at hand (ring_iova.h): what it finds, what it forgets, and
 * what it has asked for.  Guests that live with it are in the suite of vhost IOMMU.
 */

#include <inttypes.h>
#include <stdlib.h>

#include <rte_cycles.h>

#include "ring_iova.h"
#include "test.h"

#define PAGE MEM_IOTLB_PAGE
#define READ MEM_IOTLB_READ
#define WRITE MEM_IOTLB_WRITE

/** Pages that do not share a place of the row. */
#define PAGES (RING_IOVA_SLOTS / 2)

/** Where pages are here; nobody looks there. */
#define HOST UINT64_C(0x100000000)

static struct ring_iova iova;
static struct iotlb_view *view;		/**< of the pages that are known */
static const struct iotlb_view nothing;

static int
setup(void)
{
	view = calloc(1, sizeof(*view));
	return view != NULL ? 0 : -1;
}

static void
teardown(void)
{
	free(view);
}

/** Know n pages from an address on, by one translation or one for each. */
static void
begin(uint64_t first, unsigned int n, bool in_one)
{
	view->n = in_one ? n > 0 : n;
	for (unsigned int i = 0; i < view->n; i++)
		view->ranges[i] = (struct iotlb_range){
			.iova = first + i * PAGE, .size = in_one ? n * PAGE : PAGE,
			.host = HOST + i * PAGE, .access = READ | WRITE,
		};
	vhost_ring_iova_init(&iova, view);
}

static const uint8_t *
host_of(uint64_t addr, uint32_t access)
{
	return ring_iova_host(&iova, addr, 1, access);
}

/** Forget these addresses, and see that nothing is known but what is at hand. */
static void
forget(uint64_t first, uint64_t last)
{
	const struct mem_iotlb_gone gone = { true, first, last };

	vhost_ring_iova_show(&iova, &nothing, &gone);
}

/* ---- at hand ---- */

static int
each_page_has_a_place_and_leaves_it(void)
{
	begin(0, PAGES, false);
	for (uint64_t i = 0; i < PAGES; i++)
		for (uint32_t access = READ; access <= WRITE; access++)
			TEST_ASSERT(host_of(i * PAGE + 5, access) ==
				(const uint8_t *)(HOST + i * PAGE + 5), "page %" PRIu64, i);
	for (uint64_t i = 0; i < PAGES; i++) {
		forget(i * PAGE, i * PAGE + PAGE - 1);
		for (uint32_t access = READ; access <= WRITE; access++) {
			TEST_ASSERT_NULL(host_of(i * PAGE, access), "page %" PRIu64, i);
			TEST_ASSERT_EQUAL(host_of((i + 1) * PAGE, access) != NULL, i + 1 < PAGES,
				"the page behind page %" PRIu64, i);
		}
	}
	return 0;
}

static int
a_translation_goes_with_any_byte_of_it(void)
{
	const uint64_t first = 10 * PAGE, last = 13 * PAGE - 1;
	static const struct mem_iotlb_gone none = { false, 0, UINT64_MAX };
	const struct {
		uint64_t first, last;
		bool goes;
	} rows[] = {
		{ 0, first - 1, false }, { last + 1, UINT64_MAX, false },
		{ 0, first, true }, { last, UINT64_MAX, true },
		{ first + 5000, first + 5000, true }, { 0, UINT64_MAX, true },
	};

	for (unsigned int i = 0; i < RTE_DIM(rows); i++) {
		begin(first, 3, true);
		TEST_ASSERT_NOT_NULL(host_of(first + PAGE, READ), "known");
		forget(rows[i].first, rows[i].last);
		TEST_ASSERT_EQUAL(host_of(first + PAGE, READ) == NULL, rows[i].goes, "row %u", i);
	}
	begin(first, 3, true);
	TEST_ASSERT_NOT_NULL(host_of(first, READ), "known");
	vhost_ring_iova_show(&iova, &nothing, &none);
	TEST_ASSERT_NOT_NULL(host_of(first, READ), "another view, of which nothing has gone");
	return 0;
}

static int
a_translation_may_end_where_addresses_do(void)
{
	begin(-2 * PAGE, 2, true);
	TEST_ASSERT_NOT_NULL(host_of(UINT64_MAX, READ), "the last byte");
	forget(0, UINT64_MAX - 2 * PAGE);
	TEST_ASSERT_NOT_NULL(host_of(UINT64_MAX, READ), "is not meant");
	forget(UINT64_MAX, UINT64_MAX);
	TEST_ASSERT_NULL(host_of(UINT64_MAX, READ), "is meant");
	return 0;
}

static int
one_translation_has_all_bytes_and_allows_it(void)
{
	begin(0, 2, false);
	view->ranges[0].access = READ;
	view->ranges[1].access = WRITE;
	TEST_ASSERT_NOT_NULL(ring_iova_host(&iova, 0, PAGE, READ), "to be read");
	TEST_ASSERT_NULL(ring_iova_host(&iova, 0, PAGE, WRITE), "not to be written");
	TEST_ASSERT_NOT_NULL(ring_iova_host(&iova, PAGE, PAGE, WRITE), "to be written");
	TEST_ASSERT_NULL(ring_iova_host(&iova, PAGE, PAGE, READ), "not to be read");
	TEST_ASSERT_NULL(ring_iova_host(&iova, 1, PAGE, READ), "one byte is elsewhere");
	TEST_ASSERT_NULL(ring_iova_host(&iova, 2 * PAGE, 1, READ), "not known");
	return 0;
}

/* ---- pieces, and what is noted ---- */

/** Look for a piece of 100 bytes of a page, and return how many pages were noted for it. */
static unsigned int
look_for(uint64_t page, uint32_t access)
{
	struct iova_wants wants;
	uint64_t len = 100;

	vhost_ring_iova_piece(&iova, page * PAGE + 7, access, &len);
	vhost_ring_iova_take_wants(&iova, &wants);
	if (wants.n == 1 && (wants.pages[0].page != page * PAGE || wants.pages[0].access != access))
		return UINT32_MAX;
	return wants.n;
}

static int
pieces_end_where_knowledge_does(void)
{
	uint64_t len = 3 * PAGE;

	begin(10 * PAGE, 2, true);
	TEST_ASSERT(vhost_ring_iova_piece(&iova, 10 * PAGE + 50, WRITE, &len) ==
		(uint8_t *)HOST + 50, "known");
	TEST_ASSERT_EQUAL(len, 2 * PAGE - 50, "as far as it is");
	len = 20;
	TEST_ASSERT_NOT_NULL(vhost_ring_iova_piece(&iova, 10 * PAGE, WRITE, &len), "known");
	TEST_ASSERT_EQUAL(len, 20, "all of it");
	len = 3 * PAGE;
	TEST_ASSERT_NULL(vhost_ring_iova_piece(&iova, 12 * PAGE + 50, WRITE, &len), "not known");
	TEST_ASSERT_EQUAL(len, PAGE - 50, "that page");
	len = 20;
	TEST_ASSERT_NULL(vhost_ring_iova_piece(&iova, 12 * PAGE, WRITE, &len), "not known");
	TEST_ASSERT_EQUAL(len, 20, "some of that page");
	TEST_ASSERT_EQUAL(iova.misses, 2, "counted");
	return 0;
}

static int
a_page_is_asked_for_once(void)
{
	begin(0, 0, false);
	TEST_ASSERT_EQUAL(look_for(5, READ), 1, "noted");
	TEST_ASSERT_EQUAL(look_for(5, READ), 0, "the answer is on its way");
	TEST_ASSERT_EQUAL(look_for(5, WRITE), 1, "which is not for this");
	TEST_ASSERT_EQUAL(look_for(6, READ), 1, "nor for this");
	TEST_ASSERT_EQUAL(look_for(7, READ | WRITE), 1, "noted");
	TEST_ASSERT_EQUAL(look_for(7, WRITE), 0, "less than that");
	TEST_ASSERT_EQUAL(look_for(0, READ), 1, "noted");
	TEST_ASSERT_EQUAL(look_for(0, READ), 0, "the first page is one, too");
	return 0;
}

static int
a_page_is_asked_for_again_when_there_was_no_answer(void)
{
	begin(0, 0, false);
	for (unsigned int i = 4; i < 8; i++)
		TEST_ASSERT_EQUAL(look_for(i, READ), 1, "page %u", i);
	for (unsigned int gone = 4; gone < 8; gone++) {
		forget(gone * PAGE + 30, gone * PAGE + 30);
		for (unsigned int i = 4; i < 8; i++)
			TEST_ASSERT_EQUAL(look_for(i, READ), i == gone,
				"page %u, the answer for %u", i, gone);
	}
	iova.pending[0].until = rte_rdtsc();
	TEST_ASSERT_EQUAL(look_for(iova.pending[0].want.page / PAGE, READ), 1, "after a while");
	TEST_ASSERT_EQUAL(iova.npending, 4, "in the same place");
	vhost_ring_iova_not_asked(&iova);
	for (unsigned int i = 4; i < 8; i++)
		TEST_ASSERT_EQUAL(look_for(i, READ), 1, "page %u, which was not asked for", i);
	return 0;
}

static int
questions_are_bounded(void)
{
	begin(0, 0, false);
	for (unsigned int i = 0; i < RING_IOVA_PENDING; i++)
		TEST_ASSERT_EQUAL(look_for(i, READ), 1, "page %u", i);
	TEST_ASSERT(!iova.enough, "there was room for all");
	TEST_ASSERT_EQUAL(look_for(100, READ), 0, "no more");
	TEST_ASSERT(iova.enough, "which is told");
	begin(3 * PAGE, 1, false);
	iova.enough = false;
	iova.npending = RING_IOVA_PENDING;
	for (unsigned int i = 0; i < RING_IOVA_PENDING; i++)
		iova.pending[i] = (struct iova_pending){ { i * PAGE, READ },
			rte_rdtsc() + 100 * rte_get_tsc_hz() };
	TEST_ASSERT_EQUAL(look_for(100, READ), 1, "in place of one that was answered");
	TEST_ASSERT_EQUAL(look_for(101, READ), 0, "it was one");
	iova.pending[0].until = iova.pending[63].until = rte_rdtsc();
	TEST_ASSERT_EQUAL(look_for(101, READ), 1, "in place of one that was lost");
	TEST_ASSERT_EQUAL(look_for(102, READ), 1, "and of another");
	TEST_ASSERT_EQUAL(look_for(103, READ), 0, "it was two");
	return 0;
}

static int
what_is_noted_at_once_is_bounded_as_well(void)
{
	struct iova_wants wants;
	uint64_t len = 1;

	begin(0, 0, false);
	iova.wants.n = RING_IOVA_PENDING;
	vhost_ring_iova_piece(&iova, 0, READ, &len);
	TEST_ASSERT(iova.enough, "no room to note it");
	vhost_ring_iova_take_wants(&iova, &wants);
	TEST_ASSERT_EQUAL(wants.n, RING_IOVA_PENDING, "all that there were");
	TEST_ASSERT_EQUAL(look_for(0, READ), 1, "it is noted later");
	return 0;
}

/* ---- looking ahead ---- */

static int
fewer_pages_are_asked_for_ahead(void)
{
	begin(31 * PAGE, 1, false);
	for (unsigned int i = 0; i < RING_IOVA_PENDING_AHEAD; i++) {
		TEST_ASSERT(vhost_ring_iova_may_look_ahead(&iova), "%u pages", i);
		TEST_ASSERT_EQUAL(look_for(100 + i, READ), 1, "page %u", i);
	}
	TEST_ASSERT(!vhost_ring_iova_may_look_ahead(&iova), "no more");
	iova.pending[7].want.page = 31 * PAGE;
	TEST_ASSERT(vhost_ring_iova_may_look_ahead(&iova), "one was answered");
	iova.eager = 0;
	TEST_ASSERT(!vhost_ring_iova_may_look_ahead(&iova), "nothing was missing for long");
	look_for(200, READ);
	TEST_ASSERT_EQUAL(iova.eager, RING_IOVA_EAGER, "something is missing");
	return 0;
}

static int
what_was_looked_at_is_looked_at_again_when_much_has_gone(void)
{
	static const struct mem_iotlb_gone none = { .any = false };

	begin(0, 0, false);
	iova.ahead = 100;
	iova.eager = 0;
	vhost_ring_iova_show(&iova, &nothing, &none);
	TEST_ASSERT_EQUAL(iova.eager, 0, "nothing has gone");
	forget(PAGE, 65 * PAGE - 1);
	TEST_ASSERT_EQUAL(iova.ahead, 100, "no more than a buffer that was used");
	TEST_ASSERT_EQUAL(iova.eager, RING_IOVA_EAGER, "others will come");
	forget(PAGE, 65 * PAGE);
	TEST_ASSERT_EQUAL(iova.ahead, 0, "maybe what is on offer");
	iova.ahead = 100;
	vhost_ring_iova_not_asked(&iova);
	TEST_ASSERT_EQUAL(iova.ahead, 0, "what is on offer, for certain");
	return 0;
}

static const struct test_case cases[] = {
	TEST_CASE(each_page_has_a_place_and_leaves_it),
	TEST_CASE(a_translation_goes_with_any_byte_of_it),
	TEST_CASE(a_translation_may_end_where_addresses_do),
	TEST_CASE(one_translation_has_all_bytes_and_allows_it),
	TEST_CASE(pieces_end_where_knowledge_does),
	TEST_CASE(a_page_is_asked_for_once),
	TEST_CASE(a_page_is_asked_for_again_when_there_was_no_answer),
	TEST_CASE(questions_are_bounded),
	TEST_CASE(what_is_noted_at_once_is_bounded_as_well),
	TEST_CASE(fewer_pages_are_asked_for_ahead),
	TEST_CASE(what_was_looked_at_is_looked_at_again_when_much_has_gone),
};

static int
test_vhost_iova(void)
{
	static const struct test_suite suite = {
		.name = "vhost iova", .setup = setup, .teardown = teardown, TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_iova_autotest, test_vhost_iova);
