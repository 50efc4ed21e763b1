/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Pages of a ring that are apart in the guest's memory, mapped side by side: which may be,
 * where their bytes are then, and how long.
 */

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/memfd.h>

#include "mem_map.h"
#include "ring_window.h"
#include "test.h"
#include "vhost_test_log.h"
#include "vu_message.h"

#define PAGE 4096u
#define PAGES 64u

static const struct mem_owner owner = { .name = "test", .sock = -1 };

/** Guest memory, each page filled with its number, and the windows to it. */
static struct {
	struct mem_map *map;
	uint8_t *host;
	int fd;
	struct ring_windows *windows;
} guest;

static int
guest_begin(void)
{
	struct vu_memory table = { .nregions = 1, .regions[0].size = PAGES * PAGE };
	int fd;

	guest.fd = memfd_create("vhost-test-window", MFD_CLOEXEC);
	TEST_ASSERT_SUCCESS(ftruncate(guest.fd, PAGES * PAGE), "a file");
	fd = dup(guest.fd);
	TEST_ASSERT_SUCCESS(vhost_mem_map_create(&owner, &table, &fd, &guest.map), "a map");
	guest.host = guest.map->regions[0].host;
	guest.windows = vhost_ring_windows_create();
	TEST_ASSERT_NOT_NULL(guest.windows, "windows");
	for (unsigned int i = 0; i < PAGES; i++)
		memset(guest.host + i * PAGE, i + 1, PAGE);
	return 0;
}

/** Ends whatever has begun; each window has a reference, and the last one unmaps. */
static int
guest_end(void)
{
	bool referenced;

	vhost_ring_windows_destroy(guest.windows);
	guest.windows = NULL;
	referenced = guest.map != NULL && guest.map->refcnt != 1;
	vhost_mem_map_put(guest.map);
	guest.map = NULL;
	if (guest.fd >= 0)
		close(guest.fd);
	guest.fd = -1;
	if (referenced)
		printf("a window has not given its memory back\n");
	return referenced ? -1 : 0;
}

static struct window_piece
piece(unsigned int page, unsigned int offset, size_t len)
{
	return (struct window_piece){ guest.host + page * PAGE + offset, len };
}

static uint8_t *
window_of(const struct window_piece *pieces, unsigned int n)
{
	return vhost_ring_window(guest.windows, guest.map, pieces, n);
}

/** A window of two pages. */
static uint8_t *
window_of_pages(unsigned int a, unsigned int b)
{
	const struct window_piece pieces[] = { piece(a, 0, PAGE), piece(b, 0, PAGE) };

	return window_of(pieces, 2);
}

static bool
is_mapped(const uint8_t *at)
{
	return msync((void *)((uintptr_t)at & ~(uintptr_t)(PAGE - 1)), PAGE, MS_ASYNC) == 0;
}

/* ---- where bytes are ---- */

static int
pieces_are_one_behind_the_other(void)
{
	uint8_t *at;

	TEST_ASSERT_SUCCESS(guest_begin(), "a guest");
	const struct window_piece pieces[] = {
		piece(9, 100, PAGE - 100), piece(3, 0, 2 * PAGE), piece(7, 0, 10),
	};

	at = window_of(pieces, RTE_DIM(pieces));
	TEST_ASSERT_NOT_NULL(at, "a window");
	TEST_ASSERT_EQUAL((uintptr_t)at % PAGE, 100, "where it is in its page");
	for (unsigned int i = 0; i < RTE_DIM(pieces); i++) {
		TEST_ASSERT_BUFFERS_ARE_EQUAL(at, pieces[i].host, pieces[i].len, "piece %u", i);
		at[0] = 0xcc;
		TEST_ASSERT_EQUAL(pieces[i].host[0], 0xcc, "piece %u is the same memory", i);
		at += pieces[i].len;
	}
	return guest_end();
}

static int
the_same_pieces_have_the_same_window(void)
{
	uint8_t *at;

	TEST_ASSERT_SUCCESS(guest_begin(), "a guest");
	struct window_piece pieces[] = { piece(9, 0, PAGE), piece(3, 0, PAGE), piece(7, 0, 10) };

	at = window_of(pieces, 3);
	TEST_ASSERT_NOT_NULL(at, "a window");
	TEST_ASSERT(window_of(pieces, 3) == at, "it is there");
	TEST_ASSERT(window_of(pieces, 2) != at, "one less");
	pieces[2].len = 11;
	TEST_ASSERT(window_of(pieces, 3) != at, "a longer piece");
	pieces[1].host += PAGE;
	pieces[2].len = 10;
	TEST_ASSERT(window_of(pieces, 3) != at, "another page");
	pieces[1].host -= PAGE;
	TEST_ASSERT(window_of(pieces, 3) == at, "it is there still");
	return guest_end();
}

static int
another_map_has_its_own_windows(void)
{
	struct mem_map *first;
	uint8_t *at;

	TEST_ASSERT_SUCCESS(guest_begin(), "a guest");
	first = guest.map;
	at = window_of_pages(1, 5);
	TEST_ASSERT_SUCCESS(vhost_mem_map_renew_regions(&owner, first, NULL, 0, NULL, &guest.map),
		"a map of other memory");
	TEST_ASSERT_NULL(window_of_pages(1, 5), "which these pieces are not");
	vhost_mem_map_put(guest.map);
	guest.map = first;
	TEST_ASSERT(window_of_pages(1, 5) == at, "of the first map there is one");
	return guest_end();
}

/* ---- what can be mapped ---- */

static int
pieces_meet_where_pages_do(void)
{
	TEST_ASSERT_SUCCESS(guest_begin(), "a guest");
	const struct window_piece apart[][3] = {
		{ piece(1, 0, PAGE - 16), piece(5, 0, PAGE), piece(9, 0, PAGE) },
		{ piece(1, 0, PAGE), piece(5, 16, PAGE - 16), piece(9, 0, PAGE) },
		{ piece(1, 0, PAGE), piece(5, 0, PAGE - 16), piece(9, 0, PAGE) },
		{ piece(1, 0, PAGE), piece(5, 0, PAGE), piece(9, 1, PAGE - 1) },
	};

	for (unsigned int i = 0; i < RTE_DIM(apart); i++)
		TEST_ASSERT_NULL(window_of(apart[i], 3), "pieces %u", i);
	return guest_end();
}

static int
memory_of_other_kinds_is_not_mapped_again(void)
{
	struct mem_region *region;
	struct log_capture log;

	TEST_ASSERT_SUCCESS(guest_begin(), "a guest");
	region = &guest.map->regions[0];
	TEST_ASSERT_SUCCESS(log_begin(&log), "the log");
	region->page_size = 2 << 20;
	TEST_ASSERT_NULL(window_of_pages(1, 5), "huge pages, which are no whole ones");
	region->page_size = PAGE;
	region->hugetlb = true;
	TEST_ASSERT_NULL(window_of_pages(1, 5), "hugetlbfs");
	region->hugetlb = false;
	region->domain = true;
	TEST_ASSERT_NULL(window_of_pages(1, 5), "the kernel's own");
	region->domain = false;
	TEST_ASSERT_NULL(window_of_pages(1, PAGES), "nobody's");
	TEST_ASSERT_NULL(window_of_pages(PAGES, 1), "nobody's");
	TEST_ASSERT_NOT_NULL(window_of_pages(1, 5), "the guest's");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "cannot be mapped side by side"), 1, "told once");
	log_free(&log);
	return guest_end();
}

static int
a_truncated_file_costs_its_map(void)
{
	uint8_t *at;

	TEST_ASSERT_SUCCESS(guest_begin(), "a guest");
	at = window_of_pages(60, 2);
	TEST_ASSERT_NOT_NULL(at, "a window");
	TEST_ASSERT_SUCCESS(ftruncate(guest.fd, PAGE), "the guest takes memory away");
	TEST_ASSERT_EQUAL(*(volatile uint8_t *)(at + PAGE), 0, "read nevertheless");
	TEST_ASSERT(vhost_mem_map_is_broken(guest.map), "and noticed");
	return guest_end();
}

/* ---- how long, how many ---- */

static int
windows_stay_while_they_are_kept(void)
{
	uint8_t *a, *b, *c;

	TEST_ASSERT_SUCCESS(guest_begin(), "a guest");
	a = window_of_pages(1, 5);
	b = window_of_pages(2, 6);
	c = window_of_pages(3, 7);
	TEST_ASSERT(a != NULL && b != NULL && c != NULL, "windows");
	vhost_ring_windows_keep(guest.windows, a);
	vhost_ring_windows_keep(guest.windows, a + 5);
	vhost_ring_windows_keep(guest.windows, c + 2 * PAGE - 1);
	vhost_ring_windows_keep(guest.windows, NULL);
	vhost_ring_windows_sweep(guest.windows);
	TEST_ASSERT(is_mapped(a) && is_mapped(a + PAGE), "kept by its first byte");
	TEST_ASSERT(is_mapped(c) && is_mapped(c + PAGE), "kept by its last byte");
	TEST_ASSERT(!is_mapped(b) && !is_mapped(b + PAGE), "not kept");
	TEST_ASSERT_EQUAL(guest.map->refcnt, 3, "two windows and we");
	vhost_ring_windows_sweep(guest.windows);
	TEST_ASSERT(!is_mapped(a) && !is_mapped(c), "not kept this time");
	TEST_ASSERT_EQUAL(guest.map->refcnt, 1, "no window");
	return guest_end();
}

static int
an_address_beside_a_window_keeps_none(void)
{
	uint8_t *at;

	TEST_ASSERT_SUCCESS(guest_begin(), "a guest");
	at = window_of_pages(1, 5);
	TEST_ASSERT_NOT_NULL(at, "a window");
	vhost_ring_windows_keep(guest.windows, at - 1);
	vhost_ring_windows_keep(guest.windows, at + 2 * PAGE);
	vhost_ring_windows_sweep(guest.windows);
	TEST_ASSERT_EQUAL(guest.map->refcnt, 1, "no window");
	return guest_end();
}

/** Windows of so many pieces, each another one, until there is none: how many. */
static unsigned int
fill(unsigned int npieces)
{
	struct window_piece pieces[RING_WINDOW_PIECES];
	unsigned int n = 0;

	for (unsigned int i = 0; i < npieces; i++)
		pieces[i] = piece(i % 2 * 2, 0, PAGE);
	do
		pieces[npieces - 1].len = n + 1;
	while (window_of(pieces, npieces) != NULL && ++n < PAGE - 1);
	return n;
}

static int
mappings_of_a_device_are_limited(void)
{
	TEST_ASSERT_SUCCESS(guest_begin(), "a guest");
	TEST_ASSERT_EQUAL(fill(128), 8, "1024 pieces");
	TEST_ASSERT_EQUAL(fill(2), 0, "not one more");
	vhost_ring_windows_sweep(guest.windows);
	TEST_ASSERT_EQUAL(fill(100), 10, "all of that can be had again");
	TEST_ASSERT_EQUAL(fill(25), 0, "but for 24 pieces");
	TEST_ASSERT_EQUAL(fill(24), 1, "which may be one window");
	return guest_end();
}

static int
no_windows_are_destroyed(void)
{
	vhost_ring_windows_destroy(NULL);
	return 0;
}

static const struct test_case cases[] = {
	TEST_CASE(pieces_are_one_behind_the_other),
	TEST_CASE(the_same_pieces_have_the_same_window),
	TEST_CASE(another_map_has_its_own_windows),
	TEST_CASE(pieces_meet_where_pages_do),
	TEST_CASE(memory_of_other_kinds_is_not_mapped_again),
	TEST_CASE(a_truncated_file_costs_its_map),
	TEST_CASE(windows_stay_while_they_are_kept),
	TEST_CASE(an_address_beside_a_window_keeps_none),
	TEST_CASE(mappings_of_a_device_are_limited),
	TEST_CASE(no_windows_are_destroyed),
};

static int
test_vhost_window(void)
{
	static const struct test_suite suite = {
		.name = "vhost window", .check = guest_end, TEST_SUITE_CASES(cases),
	};

	guest.fd = -1;
	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_window_autotest, test_vhost_window);
