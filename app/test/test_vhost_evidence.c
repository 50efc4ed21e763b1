/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What is known of a guest's memory, since when, and what finding out costs; on the
 * machine of vhost_test_pages.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem_map.h"
#include "mem_node.h"
#include "numa_evidence.h"
#include "numa_sample.h"
#include "test.h"
#include "vhost_test_calloc.h"
#include "vhost_test_denied.h"
#include "vhost_test_pages.h"
#include "vu_message.h"

#define ANY VHOST_NODE_ANY
#define MANY 4096u		/* pages: 16 MiB */

/* Younger than the C library's headers. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

/* Arranging */

/** Evidence of a guest's memory, gathered. */
static const struct mem_owner owner = { .name = "test", .sock = -1 };

static struct numa_evidence *
evidence_of(struct guest *g)
{
	struct numa_evidence *ev = vhost_evidence_create(0);

	vhost_evidence_set_map(ev, g->map);
	vhost_evidence_gather(ev);
	return ev;
}

static int
end(struct numa_evidence *ev, struct guest *g)
{
	vhost_evidence_destroy(ev);
	guest_close(g);
	return TEST_SUCCESS;
}

/** A ring in the pages 3 i to 3 i + 2. */
static struct evidence_ring
ring_at(const struct guest *g, unsigned int i)
{
	const uint8_t *at = g->map->regions[0].host + 3 * i * PAGE;

	return (struct evidence_ring){
		.desc = { at, PAGE }, .avail = { at + PAGE, 600 }, .used = { at + 2 * PAGE, 600 },
	};
}

static void
set_ring(struct numa_evidence *ev, const struct guest *g, unsigned int i)
{
	const struct evidence_ring ring = ring_at(g, i);

	vhost_evidence_ring_is(ev, i, &ring);
}

/** Give a guest another map, with one more region of a file of its own. */
static int
add_region(struct guest *g, struct guest *more)
{
	/* addresses of the frontend's that nobody has */
	uint64_t place = (uint64_t)g->map->nregions << 36;
	struct vu_region region = {
		.gpa = place, .uva = (UINT64_C(1) << 60) + place, .size = more->size,
	};
	struct mem_map *map;
	int fd = dup(more->fd);

	if (vhost_mem_map_add(&owner, g->map, &region, &fd, &map) < 0) {
		close(fd);
		return -1;
	}
	vhost_mem_map_put(g->map);
	g->map = map;
	return 0;
}

/** A guest of many regions, each a sparse file of its own. */
static int
guest_of_regions(struct guest *g, unsigned int regions, unsigned int pages)
{
	struct guest more;
	int ret = guest_open(g, pages);

	for (unsigned int i = 1; i < regions && ret == 0; i++) {
		ret = guest_open(&more, pages);
		ret = ret == 0 ? add_region(g, &more) : ret;
		guest_close(&more);
	}
	return ret;
}

/** Take all memory away from a file. */
static int
punch_all(const struct guest *g)
{
	return fallocate(g->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, g->size);
}

static unsigned int
mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned int n = 0;
	int c;

	while (f != NULL && (c = fgetc(f)) != EOF)
		n += c == '\n';
	if (f != NULL)
		fclose(f);
	return n;
}

static uint64_t
probes(struct numa_evidence *ev)
{
	struct evidence_counters counters;

	vhost_evidence_counters(ev, &counters);
	return counters.probes;
}

static uint64_t
node_changes(struct numa_evidence *ev)
{
	struct evidence_counters counters;

	vhost_evidence_counters(ev, &counters);
	return counters.node_changes;
}

/* What a message costs */

static int
test_a_message_that_changes_nothing_asks_nothing(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_of_regions(&g, 32, 1u << 20), "32 sparse regions of 4 GiB");
	ev = evidence_of(&g);
	for (unsigned int i = 0; i < 256; i++)
		set_ring(ev, &g, i);
	pages_questions();
	for (unsigned int k = 0; k < 10; k++) {
		vhost_evidence_set_map(ev, g.map);
		vhost_evidence_gather(ev);
		for (unsigned int i = 0; i < 256; i++)
			set_ring(ev, &g, i);
		vhost_evidence_device_node(ev, 0);
	}
	TEST_ASSERT_EQUAL(pages_questions(), 0, "nothing");
	TEST_ASSERT_EQUAL(probes(ev), 1, "the first message looked");
	TEST_ASSERT(vhost_evidence_is_undecided(ev), "though nothing is known");
	return end(ev, &g);
}

static int
test_only_new_regions_are_asked_about(void)
{
	struct guest g, more;
	struct numa_evidence *ev;

	TEST_ASSERT_SUCCESS(guest_open(&g, 64), "a guest");
	TEST_ASSERT_SUCCESS(guest_open(&more, 32), "and a memory slot");
	put_pages(&g, 0, 64, 8);
	put_pages(&more, 0, 32, 0);
	ev = evidence_of(&g);
	put_pages(&g, 0, 64, 3);
	TEST_ASSERT_SUCCESS(add_region(&g, &more), "another map");
	pages_asked();
	vhost_evidence_set_map(ev, g.map);
	vhost_evidence_gather(ev);
	TEST_ASSERT(pages_asked() <= 2 * 32, "not the old region");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, ANY), 8, "which is as it was");
	guest_close(&more);
	return end(ev, &g);
}

static int
test_an_empty_guest_is_asked_little(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 1u << 24), "a guest of 64 GiB");
	ev = evidence_of(&g);
	TEST_ASSERT(pages_asked() <= 16, "a page of each spot");
	TEST_ASSERT(!vhost_evidence_is_known(ev), "none is there");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 3), ANY, "stay");
	TEST_ASSERT_EQUAL(blocks_of(g.fd), 0, "and none was made");
	return end(ev, &g);
}

/** Regions for which the budget of one message does not suffice. */
static int
test_a_large_table_is_asked_in_turns(void)
{
	struct evidence_summary sum;
	struct numa_evidence *ev;
	unsigned int known = 0;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_of_regions(&g, 32, 1024), "32 regions");
	for (unsigned int i = 0; i < 32; i++) {
		for (unsigned int page = 0; page < 1024; page++)
			g.map->regions[i].host[page * PAGE + 1] = 8;
		madvise(g.map->regions[i].host, 1024 * PAGE, MADV_DONTNEED);
	}
	ev = evidence_of(&g);
	vhost_evidence_summary(ev, &sum);
	for (unsigned int i = 0; i < 32; i++)
		known += sum.regions[i].evidence == PLACEMENT_PAGES;
	TEST_ASSERT(known > 2 && known < 32, "some of them: %u", known);
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, ANY), 8, "which is enough to go on");
	TEST_ASSERT_EQUAL(vhost_evidence_pause_ms(ev, 10000), 1000, "the others soon");
	for (unsigned int i = 0; i < 8 && vhost_evidence_is_undecided(ev); i++)
		vhost_evidence_check(ev, 8);
	vhost_evidence_summary(ev, &sum);
	for (unsigned int i = 0; i < 32; i++)
		TEST_ASSERT_EQUAL(sum.regions[i].bytes[8], 1024 * PAGE, "region %u in the end", i);
	TEST_ASSERT_EQUAL(vhost_evidence_pause_ms(ev, 10000), 10000, "all is known");
	return end(ev, &g);
}

/** There was no memory for what is known of a region: a later look makes up for it. */
static int
test_a_region_that_was_left_out_is_made_up_for(void)
{
	struct numa_evidence *ev = vhost_evidence_create(0);
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	put_pages(&g, 0, MANY, 8);
	calloc_refuse(1);
	vhost_evidence_set_map(ev, g.map);
	TEST_ASSERT(calloc_end(), "no memory");
	vhost_evidence_gather(ev);
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 0), ANY, "nothing is known");
	for (unsigned int i = 0; i < 3; i++)
		vhost_evidence_check(ev, 0);
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 0), 8, "now it is");
	return end(ev, &g);
}

/* The clock */

static int
test_the_pause_grows_while_nothing_is_known(void)
{
	struct numa_evidence *ev = vhost_evidence_create(0);
	struct guest g;

	TEST_ASSERT_EQUAL(vhost_evidence_pause_ms(ev, 10000), 10000, "no guest");
	TEST_ASSERT(!vhost_evidence_check(ev, 0), "of which nothing is new");
	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	vhost_evidence_set_map(ev, g.map);
	vhost_evidence_gather(ev);
	for (uint64_t pause = 1000; pause < 10000; pause *= 2) {
		TEST_ASSERT_EQUAL(vhost_evidence_pause_ms(ev, 10000), pause, "doubled");
		vhost_evidence_gather(ev);
		TEST_ASSERT(!vhost_evidence_check(ev, 0), "nothing new");
	}
	TEST_ASSERT_EQUAL(vhost_evidence_pause_ms(ev, 10000), 10000, "but no longer than this");
	TEST_ASSERT_EQUAL(vhost_evidence_pause_ms(ev, 300), 300, "or this");
	TEST_ASSERT_EQUAL(vhost_evidence_pause_ms(ev, 0), 0, "or none at all");
	set_ring(ev, &g, 0);
	TEST_ASSERT_EQUAL(vhost_evidence_pause_ms(ev, 10000), 1000, "a new question");
	for (unsigned int i = 0; i < 100; i++)
		vhost_evidence_check(ev, 0);
	TEST_ASSERT_EQUAL(vhost_evidence_pause_ms(ev, 10000), 10000, "for ever");
	return end(ev, &g);
}

static int
test_memory_that_appears_decides_at_once(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	ev = evidence_of(&g);
	TEST_ASSERT(!vhost_evidence_check(ev, 0), "nothing there");
	put_pages(&g, 0, MANY, 8);
	TEST_ASSERT(vhost_evidence_check(ev, 0), "news");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 0), 8, "it belongs there");
	TEST_ASSERT_EQUAL(node_changes(ev), 0, "it was nowhere before");
	TEST_ASSERT_EQUAL(vhost_evidence_pause_ms(ev, 10000), 10000, "no more questions");
	return end(ev, &g);
}

/** A few pages of a large guest, where no spot of the sample is. */
static int
test_what_all_spots_miss_is_found(void)
{
	struct numa_evidence *ev;
	struct guest g;
	long before;

	TEST_ASSERT_SUCCESS(guest_open(&g, 4 * MANY), "a guest");
	put_pages(&g, 5000, 5008, 8);
	before = blocks_of(g.fd);
	ev = evidence_of(&g);
	TEST_ASSERT(vhost_evidence_is_known(ev), "found");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 0), 8, "there");
	TEST_ASSERT_EQUAL(blocks_of(g.fd), before, "nothing was allocated");
	return end(ev, &g);
}

static int
test_a_few_pages_more_are_no_news(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	put_pages(&g, 0, MANY / 2, 8);
	ev = evidence_of(&g);
	vhost_evidence_check(ev, 8);
	pages_asked();
	put_pages(&g, MANY / 2, MANY / 2 + 20, 0);
	vhost_evidence_check(ev, 8);
	TEST_ASSERT(pages_asked() <= 16, "only what is watched");
	put_pages(&g, MANY / 2, MANY, 8);
	vhost_evidence_check(ev, 8);
	TEST_ASSERT(pages_asked() > 16, "but so many are");
	return end(ev, &g);
}

/* The regular check */

static int
test_a_check_of_resident_memory_maps_nothing(void)
{
	struct numa_evidence *ev;
	unsigned int before;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_of_regions(&g, 4, 256), "a guest");
	for (unsigned int i = 0; i < 4; i++) {
		memset(g.map->regions[i].host, 8, 256 * PAGE);
		madvise(g.map->regions[i].host, 256 * PAGE, MADV_DONTNEED);
	}
	ev = evidence_of(&g);
	before = mappings();
	pages_questions();
	pages_asked();
	for (unsigned int i = 0; i < 10; i++)
		TEST_ASSERT(!vhost_evidence_check(ev, 8), "nothing new");
	TEST_ASSERT_EQUAL(pages_questions(), 10, "one question each");
	TEST_ASSERT_EQUAL(pages_asked(), 10 * 4 * 16, "of the watched pages");
	TEST_ASSERT_EQUAL(mappings(), before, "and no mapping");
	TEST_ASSERT_EQUAL(probes(ev), 11, "each was counted");
	return end(ev, &g);
}

/** Some pages were on node 8: of these the first ones have gone, the next is on this node now. */
static bool
contradicts(unsigned int known, unsigned int lost, int node)
{
	struct numa_sample sample = { .nspots = SAMPLE_SPOTS };
	int nodes[SAMPLE_SPOTS];

	for (unsigned int i = 0; i < SAMPLE_SPOTS; i++) {
		sample.watched[i].node = i < known ? 8 : -ENOENT;
		nodes[i] = i < known && i >= lost ? 8 : -ENOENT;
	}
	if (lost < known)
		nodes[lost] = node;
	return vhost_numa_sample_contradicts(&sample, nodes);
}

static int
test_half_of_the_watched_pages_have_to_go(void)
{
	for (unsigned int known = 0; known <= SAMPLE_SPOTS; known++) {
		TEST_ASSERT(!contradicts(known, 0, 8), "%u pages stay", known);
		for (unsigned int lost = 1; lost <= known; lost++)
			TEST_ASSERT(contradicts(known, lost, 8) == (lost >= (known + 1) / 2),
				"%u of %u pages", lost, known);
		if (known > 0)
			TEST_ASSERT(contradicts(known, 0, 3), "one of %u moved", known);
	}
	return TEST_SUCCESS;
}

static int
test_a_migrated_guest_counts_when_found_twice(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	put_pages(&g, 0, MANY, 8);
	ev = evidence_of(&g);
	put_pages(&g, 0, MANY, 3);
	TEST_ASSERT(!vhost_evidence_check(ev, 8), "once");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 8), 8, "it stays");
	put_pages(&g, 0, MANY, 5);
	TEST_ASSERT(!vhost_evidence_check(ev, 8), "another node");
	put_pages(&g, 0, MANY, 8);
	TEST_ASSERT(!vhost_evidence_check(ev, 8), "back again");
	put_pages(&g, 0, MANY, 3);
	TEST_ASSERT(!vhost_evidence_check(ev, 8), "once");
	pages_asked();
	TEST_ASSERT(vhost_evidence_check(ev, 8), "twice");
	TEST_ASSERT(pages_asked() <= 16, "the second reading is cheap");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 8), 3, "it belongs there");
	TEST_ASSERT_EQUAL(node_changes(ev), 1, "counted once");
	TEST_ASSERT(!vhost_evidence_check(ev, 3), "and that is that");
	return end(ev, &g);
}

static int
test_a_refresh_counts_at_once(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 64), "a guest");
	put_pages(&g, 0, 64, 8);
	ev = evidence_of(&g);
	set_ring(ev, &g, 0);
	put_pages(&g, 0, 64, 3);
	vhost_evidence_reprobe(ev);
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 8), 3, "the device");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 0), 3, "and its ring");
	TEST_ASSERT(!vhost_evidence_check(ev, 3), "nothing new");
	return end(ev, &g);
}

static int
test_what_is_unknown_now_keeps_its_node(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	put_pages(&g, 0, MANY, 8);
	put_pages(&g, 0, 3, 3);
	ev = evidence_of(&g);
	set_ring(ev, &g, 0);
	TEST_ASSERT_SUCCESS(punch_all(&g), "all memory goes");
	vhost_evidence_reprobe(ev);
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, ANY), 8, "the device");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 0), 3, "and its ring");
	TEST_ASSERT(!vhost_evidence_check(ev, 8), "stay");
	TEST_ASSERT(!vhost_evidence_check(ev, 8), "stay");
	TEST_ASSERT_EQUAL(blocks_of(g.fd), 0, "no page was made");
	put_pages(&g, 0, MANY, 5);
	vhost_evidence_check(ev, 8);
	TEST_ASSERT(vhost_evidence_check(ev, 8), "until there is memory again");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, ANY), 5, "elsewhere");
	return end(ev, &g);
}

/** As by a guest that reboots and gave its memory back: the file has as much as before. */
static int
test_memory_that_was_replaced_is_found(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	put_pages(&g, 0, MANY, 8);
	ev = evidence_of(&g);
	TEST_ASSERT_SUCCESS(punch_all(&g), "all memory goes");
	put_pages(&g, 0, MANY, 3);
	TEST_ASSERT(!vhost_evidence_check(ev, 8), "once");
	TEST_ASSERT(vhost_evidence_check(ev, 8), "twice");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 8), 3, "where it is now");
	return end(ev, &g);
}

static int
test_another_table_waits_for_the_second_reading_too(void)
{
	struct guest g, more;
	struct numa_evidence *ev;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	TEST_ASSERT_SUCCESS(guest_open(&more, 16), "and a memory slot");
	put_pages(&g, 0, MANY, 8);
	put_pages(&more, 0, 16, 8);
	ev = evidence_of(&g);
	put_pages(&g, 0, MANY, 3);
	TEST_ASSERT(!vhost_evidence_check(ev, 8), "once");
	TEST_ASSERT_SUCCESS(add_region(&g, &more), "a table in between");
	vhost_evidence_set_map(ev, g.map);
	vhost_evidence_gather(ev);
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 8), 8, "it stays");
	guest_close(&more);
	return end(ev, &g);
}

static int
test_ties_go_to_ring_0(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 64), "a guest");
	put_pages(&g, 0, 32, 8);
	put_pages(&g, 32, 64, 3);
	ev = evidence_of(&g);
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 8), 8, "where it is");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 3), 3, "where it is");
	set_ring(ev, &g, 0);
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 3), 8, "where its ring is");
	return end(ev, &g);
}

/* Rings */

static int
test_a_ring_is_asked_for_when_it_starts(void)
{
	struct evidence_ring ring;
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 600), "a guest");
	put_pages(&g, 0, 600, 8);
	put_pages(&g, 3, 6, 3);
	ev = evidence_of(&g);
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 1), ANY, "not there");
	set_ring(ev, &g, 1);
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 1), 3, "there");
	pages_questions();
	set_ring(ev, &g, 1);
	TEST_ASSERT_EQUAL(pages_questions(), 0, "the same one");
	ring = ring_at(&g, 2);
	vhost_evidence_ring_is(ev, 1, &ring);
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 1), 8, "another one");
	vhost_evidence_ring_gone(ev, 1);
	vhost_evidence_ring_gone(ev, 70000);
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 1), ANY, "gone");
	put_pages(&g, 6, 9, 0);
	vhost_evidence_ring_is(ev, 1, &ring);
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 1), 0, "started again");
	return end(ev, &g);
}

static int
test_a_ring_without_memory_is_found_later(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	ev = evidence_of(&g);
	set_ring(ev, &g, 0);
	set_ring(ev, &g, 5);
	TEST_ASSERT(!vhost_evidence_check(ev, 0), "nothing there");
	put_pages(&g, 15, 18, 8);
	TEST_ASSERT(vhost_evidence_check(ev, 0), "one of them");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 5), 8, "there");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 0), ANY, "the other is not");
	TEST_ASSERT(vhost_evidence_is_undecided(ev), "so there are questions");
	TEST_ASSERT_EQUAL(blocks_of(g.fd), 3 * PAGE / 512, "no page was made");
	return end(ev, &g);
}

/** A ring that the data path has touched. */
static int
test_a_migrated_ring_counts_when_found_twice(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 64), "a guest");
	put_pages(&g, 0, 64, 8);
	ev = evidence_of(&g);
	set_ring(ev, &g, 2);
	for (unsigned int i = 0; i < 64; i++)
		(void)*(volatile uint8_t *)(g.map->regions[0].host + i * PAGE);
	put_pages(&g, 6, 9, 3);
	TEST_ASSERT(!vhost_evidence_check(ev, 8), "once");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 2), 8, "it stays");
	TEST_ASSERT(vhost_evidence_check(ev, 8), "twice");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 2), 3, "it belongs there");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_changes(ev, 2), 1, "counted");
	TEST_ASSERT_EQUAL(node_changes(ev), 1, "of the device as well");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 8), 8, "which stays");
	return end(ev, &g);
}

/** The pages that are watched have left, most of the ring has not. */
static int
test_a_ring_whose_ends_have_moved_stays(void)
{
	struct numa_evidence *ev;
	struct evidence_ring ring;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 64), "a guest");
	put_pages(&g, 0, 64, 8);
	ev = evidence_of(&g);
	ring = (struct evidence_ring){
		.desc = { g.map->regions[0].host, 8 * PAGE },
		.avail = { g.map->regions[0].host + 8 * PAGE, 600 },
		.used = { g.map->regions[0].host + 9 * PAGE, 600 },
	};
	vhost_evidence_ring_is(ev, 0, &ring);
	for (unsigned int i = 0; i < 10; i++)
		(void)*(volatile uint8_t *)(g.map->regions[0].host + i * PAGE);
	put_pages(&g, 0, 1, 3);
	put_pages(&g, 7, 10, 3);
	for (unsigned int i = 0; i < 4; i++)
		TEST_ASSERT(!vhost_evidence_check(ev, 8), "look %u", i);
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 0), 8, "it stays");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_changes(ev, 0), 0, "as it was");
	TEST_ASSERT_EQUAL(node_changes(ev), 0, "of the device as well");
	/* now most of it has left, and the looks before do not count */
	put_pages(&g, 1, 7, 3);
	TEST_ASSERT(!vhost_evidence_check(ev, 8), "once");
	TEST_ASSERT(vhost_evidence_check(ev, 8), "twice");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 0), 3, "it belongs there");
	return end(ev, &g);
}

static int
test_many_rings_are_checked_in_a_few_questions(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 768), "a guest");
	put_pages(&g, 0, 768, 8);
	ev = evidence_of(&g);
	for (unsigned int i = 0; i < 256; i++)
		set_ring(ev, &g, i);
	pages_questions();
	vhost_evidence_check(ev, 8);
	TEST_ASSERT(pages_questions() <= 5, "64 rings in each");
	for (unsigned int i = 0; i < 256; i++)
		TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, i), 8, "ring %u", i);
	return end(ev, &g);
}

/** More rings than the budget of a check: each gets its turn. */
static int
test_unknown_rings_take_turns(void)
{
	struct numa_evidence *ev;
	unsigned int known = 0;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	ev = evidence_of(&g);
	for (unsigned int i = 0; i < 256; i++)
		set_ring(ev, &g, i);
	put_pages(&g, 0, 768, 8);
	vhost_evidence_check(ev, 0);
	for (unsigned int i = 0; i < 256; i++)
		known += vhost_evidence_ring_node(ev, i) == 8;
	TEST_ASSERT(known > 5 && known < 256, "some: %u", known);
	for (unsigned int i = 0; i < 60; i++)
		vhost_evidence_check(ev, 0);
	for (unsigned int i = 0; i < 256; i++)
		TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, i), 8, "ring %u", i);
	return end(ev, &g);
}

static int
test_a_ring_of_parts_far_apart(void)
{
	struct evidence_ring ring;
	struct guest g, more;
	struct numa_evidence *ev;

	TEST_ASSERT_SUCCESS(guest_open(&g, 64), "a guest");
	TEST_ASSERT_SUCCESS(guest_open(&more, 64), "and a memory slot");
	put_pages(&g, 0, 64, 8);
	put_pages(&more, 0, 64, 3);
	TEST_ASSERT_SUCCESS(add_region(&g, &more), "another map");
	ev = evidence_of(&g);
	ring = (struct evidence_ring){
		.desc = { g.map->regions[0].host, 16 },
		.avail = { g.map->regions[1].host, 6 },
		.used = { g.map->regions[1].host + 63 * PAGE, PAGE },
	};
	vhost_evidence_ring_is(ev, 0, &ring);
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 0), 3, "most of it");
	/* and outside of any */
	ring.desc.start = &ring;
	ring.used.len = 2 * PAGE;
	vhost_evidence_ring_is(ev, 1, &ring);
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 1), 3, "what is inside");
	vhost_evidence_check(ev, 0);
	guest_close(&more);
	return end(ev, &g);
}

/* Kernels that refuse */

static int
refused_with(int err)
{
	struct guest g, more;
	struct numa_evidence *ev;

	TEST_ASSERT_SUCCESS(guest_open(&g, 64), "a guest");
	TEST_ASSERT_SUCCESS(guest_open(&more, 16), "and a memory slot");
	put_pages(&g, 0, 64, 8);
	pages_deny(err);
	ev = evidence_of(&g);
	TEST_ASSERT(pages_questions() > 0, "it was asked");
	TEST_ASSERT(vhost_evidence_is_refused(ev), "in vain");
	TEST_ASSERT(!vhost_evidence_is_undecided(ev), "asking again is no use");
	TEST_ASSERT_SUCCESS(add_region(&g, &more), "another map");
	vhost_evidence_set_map(ev, g.map);
	vhost_evidence_gather(ev);
	set_ring(ev, &g, 0);
	TEST_ASSERT_EQUAL(pages_questions(), 0, "nobody does");
	TEST_ASSERT_EQUAL(vhost_evidence_pause_ms(ev, 10000), 10000, "for a while");
	TEST_ASSERT(!vhost_evidence_check(ev, 0), "still refused");
	TEST_ASSERT_EQUAL(pages_questions(), 1, "one question is enough");
	pages_deny(0);
	TEST_ASSERT(vhost_evidence_check(ev, 0), "it was allowed");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 0), 8, "the guest");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 0), 8, "its ring");
	guest_close(&more);
	return end(ev, &g);
}

static int
test_a_refusal_is_remembered(void)
{
	return refused_with(-EPERM);
}

static int
test_a_kernel_without_numa(void)
{
	return refused_with(-ENOSYS);
}

/** In a container that denies userfaultfd. */
static int
check_without_userfaultfd(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	put_pages(&g, 0, MANY / 2, 8);
	ev = evidence_of(&g);
	set_ring(ev, &g, 0);
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 0), 8, "the guest");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 0), 8, "its ring");
	vhost_evidence_check(ev, 8);
	TEST_ASSERT_EQUAL(blocks_of(g.fd), MANY / 2 * PAGE / 512, "no page was made");
	return end(ev, &g);
}

static int
test_without_userfaultfd(void)
{
	return denied_run((struct denied){
		.calls = { SYS_userfaultfd }, .err = EPERM, .run = check_without_userfaultfd,
	});
}

static int
test_nodes_beyond_64_are_unknown(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 64), "a guest");
	put_pages(&g, 0, 64, 200);
	ev = evidence_of(&g);
	set_ring(ev, &g, 0);
	TEST_ASSERT(!vhost_evidence_is_known(ev), "no such node");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 0), ANY, "for rings either");
	TEST_ASSERT(!vhost_evidence_check(ev, 0), "nothing new");
	return end(ev, &g);
}

static int
test_a_policy_that_comes_later_is_found(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	ev = evidence_of(&g);
	pages_policy(8);
	TEST_ASSERT(vhost_evidence_check(ev, 0), "news");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 0), 8, "its node");
	pages_policy(3);
	vhost_evidence_check(ev, 8);
	TEST_ASSERT(vhost_evidence_check(ev, 8), "another one");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 0), 3, "its node");
	put_pages(&g, 0, MANY, 5);
	vhost_evidence_check(ev, 3);
	vhost_evidence_check(ev, 3);
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 0), 5, "pages go before policies");
	return end(ev, &g);
}

/* What frontends do to their files */

static int
test_truncated_and_punched_files(void)
{
	struct numa_evidence *ev;
	unsigned int i;
	struct guest g;
	int ret;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	put_pages(&g, 0, MANY, 8);
	ev = evidence_of(&g);
	set_ring(ev, &g, 0);
	for (i = 0; i < 20; i++) {
		unsigned int left = i % 2 ? i % 4 : 0;

		ret = left > 0 ? ftruncate(g.fd, left * PAGE) : punch_all(&g);
		TEST_ASSERT_SUCCESS(ret, "less");
		if (i % 3 == 0)
			vhost_evidence_reprobe(ev);
		vhost_evidence_check(ev, 8);
		TEST_ASSERT_EQUAL(blocks_of(g.fd), left * PAGE / 512, "no page was made");
		TEST_ASSERT_SUCCESS(ftruncate(g.fd, g.size), "more");
		put_pages(&g, 0, MANY, i % 5);
		vhost_evidence_check(ev, 8);
	}
	TEST_ASSERT(!vhost_mem_map_is_broken(g.map), "nothing was touched");
	return end(ev, &g);
}

static int
test_allocated_but_not_written(void)
{
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	TEST_ASSERT_SUCCESS(fallocate(g.fd, 0, 0, g.size), "all its memory");
	ev = evidence_of(&g);
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 8), 0, "is there, and full of zeros");
	return end(ev, &g);
}

static int
test_the_file_of_two_regions(void)
{
	struct vu_memory table = { .nregions = 2 };
	struct evidence_summary sum;
	struct numa_evidence *ev;
	int fds[2];
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 2 * MANY), "a guest");
	put_pages(&g, MANY, 2 * MANY, 8);
	vhost_mem_map_put(g.map);
	for (unsigned int i = 0; i < 2; i++) {
		/* neither begins with a page */
		table.regions[i] = (struct vu_region){
			.gpa = i << 30, .uva = (uintptr_t)g.fe + (i << 30),
			.size = MANY * PAGE - 512, .mmap_offset = i * MANY * PAGE + 256,
		};
		fds[i] = dup(g.fd);
	}
	TEST_ASSERT_SUCCESS(vhost_mem_map_create(&owner, &table, fds, &g.map), "its map");
	ev = evidence_of(&g);
	vhost_evidence_summary(ev, &sum);
	TEST_ASSERT_EQUAL(sum.nregions, 2, "both");
	TEST_ASSERT_EQUAL(sum.regions[0].evidence, PLACEMENT_NONE, "the first is empty");
	TEST_ASSERT_EQUAL(sum.regions[1].bytes[8], MANY * PAGE - 512, "the second is not");
	TEST_ASSERT_EQUAL(blocks_of(g.fd), MANY * PAGE / 512, "no page was made");
	return end(ev, &g);
}

/** A device (DAX) has pages that are large, without being of hugetlbfs. */
static int
test_large_pages_of_a_device(void)
{
	const uint64_t large = 2 << 20;
	struct numa_evidence *ev;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	put_pages(&g, 0, MANY - 1, 8);
	g.map->regions[0].page_size = large;
	ev = evidence_of(&g);
	TEST_ASSERT(!vhost_evidence_is_known(ev), "nobody knows what is there");
	for (unsigned int i = 0; i < MANY; i += large / PAGE)
		(void)*(volatile uint8_t *)(g.map->regions[0].host + i * PAGE);
	TEST_ASSERT(vhost_evidence_check(ev, 0), "until we have touched it");
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 0), 8, "there");
	return end(ev, &g);
}

/** The destination of a postcopy migration: who touches a missing page waits. */
static int
test_registered_memory_is_not_touched(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int ufd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	struct numa_evidence *ev;
	struct guest g;

	if (ufd < 0)
		return TEST_SKIPPED;
	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	put_pages(&g, 0, MANY / 2, 8);
	range.range.start = (uintptr_t)g.map->regions[0].mmap_addr;
	range.range.len = g.map->regions[0].mmap_size;
	TEST_ASSERT(ioctl(ufd, UFFDIO_API, &api) == 0 &&
		ioctl(ufd, UFFDIO_REGISTER, &range) == 0, "all missing pages are trapped");
	ev = evidence_of(&g);
	set_ring(ev, &g, 0);
	set_ring(ev, &g, 1300);
	TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, 0), 8, "what has arrived");
	put_pages(&g, MANY / 2, MANY, 8);
	vhost_evidence_check(ev, 8);
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 1300), 8, "and what arrives");
	close(ufd);
	return end(ev, &g);
}

/* What is left behind */

static int
test_nothing_stays_open(void)
{
	struct numa_evidence *ev;
	struct guest g, more;
	unsigned int before;

	TEST_ASSERT_SUCCESS(guest_open(&g, MANY), "a guest");
	TEST_ASSERT_SUCCESS(guest_open(&more, MANY), "another one");
	put_pages(&g, 0, MANY, 8);
	put_pages(&more, 0, MANY, 3);
	ev = evidence_of(&g);
	set_ring(ev, &g, 0);
	vhost_evidence_clear(ev);
	before = mappings();
	for (unsigned int i = 0; i < 100; i++) {
		vhost_evidence_set_map(ev, i % 2 ? g.map : more.map);
		vhost_evidence_gather(ev);
		set_ring(ev, i % 2 ? &g : &more, i % 7);
		TEST_ASSERT_EQUAL(vhost_evidence_device_node(ev, ANY), i % 2 ? 8 : 3, "its own");
		vhost_evidence_check(ev, 0);
	}
	vhost_evidence_clear(ev);
	TEST_ASSERT_EQUAL(mappings(), before, "all closed");
	TEST_ASSERT_EQUAL(probes(ev), 0, "and forgotten");
	TEST_ASSERT_EQUAL(vhost_evidence_ring_node(ev, 0), ANY, "rings, too");
	guest_close(&more);
	return end(ev, &g);
}

/** Reports are made by threads that hold no lock of the device's. */
static void *
read_reports(void *arg)
{
	struct numa_evidence *ev = arg;
	struct evidence_summary sum;
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < 2000; i++) {
		vhost_evidence_summary(ev, &sum);
		for (uint32_t k = 0; k < sum.nregions; k++)
			bytes += sum.regions[k].bytes[8];
	}
	return (void *)(uintptr_t)(bytes % 2);
}

static int
test_reports_of_another_thread(void)
{
	struct numa_evidence *ev;
	pthread_t thread;
	struct guest g;

	TEST_ASSERT_SUCCESS(guest_open(&g, 64), "a guest");
	put_pages(&g, 0, 64, 8);
	ev = evidence_of(&g);
	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, read_reports, ev), "a thread");
	for (unsigned int i = 0; i < 200; i++) {
		vhost_evidence_set_map(ev, NULL);
		vhost_evidence_set_map(ev, g.map);
		vhost_evidence_gather(ev);
		vhost_evidence_check(ev, 8);
	}
	TEST_ASSERT_SUCCESS(pthread_join(thread, NULL), "and its end");
	return end(ev, &g);
}

static int
setup(void)
{
	if (!pages_are_told())
		return TEST_SKIPPED;
	pages_machine();
	return TEST_SUCCESS;
}

/** Each case starts on the same machine. */
static int
machine_again(void)
{
	pages_machine();
	return 0;
}

static void
teardown(void)
{
	vhost_node_set_ops(NULL);
}

static const struct test_case cases[] = {
	TEST_CASE(test_a_message_that_changes_nothing_asks_nothing),
	TEST_CASE(test_only_new_regions_are_asked_about),
	TEST_CASE(test_an_empty_guest_is_asked_little),
	TEST_CASE(test_a_large_table_is_asked_in_turns),
	TEST_CASE(test_a_region_that_was_left_out_is_made_up_for),
	TEST_CASE(test_the_pause_grows_while_nothing_is_known),
	TEST_CASE(test_memory_that_appears_decides_at_once),
	TEST_CASE(test_what_all_spots_miss_is_found),
	TEST_CASE(test_a_few_pages_more_are_no_news),
	TEST_CASE(test_a_check_of_resident_memory_maps_nothing),
	TEST_CASE(test_half_of_the_watched_pages_have_to_go),
	TEST_CASE(test_a_migrated_guest_counts_when_found_twice),
	TEST_CASE(test_a_refresh_counts_at_once),
	TEST_CASE(test_what_is_unknown_now_keeps_its_node),
	TEST_CASE(test_memory_that_was_replaced_is_found),
	TEST_CASE(test_another_table_waits_for_the_second_reading_too),
	TEST_CASE(test_ties_go_to_ring_0),
	TEST_CASE(test_a_ring_is_asked_for_when_it_starts),
	TEST_CASE(test_a_ring_without_memory_is_found_later),
	TEST_CASE(test_a_migrated_ring_counts_when_found_twice),
	TEST_CASE(test_a_ring_whose_ends_have_moved_stays),
	TEST_CASE(test_many_rings_are_checked_in_a_few_questions),
	TEST_CASE(test_unknown_rings_take_turns),
	TEST_CASE(test_a_ring_of_parts_far_apart),
	TEST_CASE(test_a_refusal_is_remembered),
	TEST_CASE(test_a_kernel_without_numa),
	TEST_CASE(test_without_userfaultfd),
	TEST_CASE(test_nodes_beyond_64_are_unknown),
	TEST_CASE(test_a_policy_that_comes_later_is_found),
	TEST_CASE(test_truncated_and_punched_files),
	TEST_CASE(test_allocated_but_not_written),
	TEST_CASE(test_the_file_of_two_regions),
	TEST_CASE(test_large_pages_of_a_device),
	TEST_CASE(test_registered_memory_is_not_touched),
	TEST_CASE(test_nothing_stays_open),
	TEST_CASE(test_reports_of_another_thread),
};

static int
test_vhost_evidence(void)
{
	static const struct test_suite suite = {
		.name = "vhost evidence", .setup = setup, .teardown = teardown,
		.check = machine_again,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_evidence_autotest, test_vhost_evidence);
