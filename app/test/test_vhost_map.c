/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Mapping guest memory: what is accepted, what is refused, and what happens when
 * a file is truncated under its mapping.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/memfd.h>

#include "mem_guard.h"
#include "mem_map.h"
#include "test.h"
#include "vu_message.h"

#define PAGE 4096ULL
#define HUGE_PAGE (2ULL << 20)
#define FILE_NAME "vhost-test-map"

/** What a frontend sends. */
struct guest {
	struct vu_memory table;
	int fds[VHOST_MAX_REGIONS];
};

static const struct mem_owner owner = { .name = "test", .sock = -1 };

static unsigned int fds_before, mappings_before;

static unsigned int
count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/** Mappings of the files of these tests. */
static unsigned int
count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int n = 0;
	char line[512];

	if (maps == NULL)
		return 0;
	while (fgets(line, sizeof(line), maps) != NULL)
		n += strstr(line, FILE_NAME) != NULL;
	fclose(maps);
	return n;
}

static int
file_of(uint64_t size, unsigned int flags)
{
	int fd = memfd_create(FILE_NAME, MFD_CLOEXEC | flags);

	if (fd >= 0 && ftruncate(fd, size) == 0)
		return fd;
	close(fd);
	return -1;
}

static long
blocks_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_blocks : -1;
}

static void
guest_add(struct guest *g, int fd, uint64_t gpa, uint64_t size, uint64_t offset)
{
	uint32_t i = g->table.nregions++;

	g->fds[i] = fd;
	g->table.regions[i] = (struct vu_region){
		.gpa = gpa, .uva = 0x7f0000000000ULL + gpa, .size = size,
		.mmap_offset = offset,
	};
}

/** Two regions of 16 pages, one of them behind a page that is not the guest's. */
static void
guest_of_two(struct guest *g)
{
	*g = (struct guest){ 0 };
	guest_add(g, file_of(16 * PAGE, 0), 0, 16 * PAGE, 0);
	guest_add(g, file_of(17 * PAGE, 0), 1ULL << 32, 16 * PAGE, PAGE);
}

static void
guest_close(struct guest *g)
{
	for (uint32_t i = 0; i < VHOST_MAX_REGIONS; i++)
		if (i < g->table.nregions && g->fds[i] >= 0)
			close(g->fds[i]);
}

static struct mem_map *
guest_map(struct guest *g)
{
	struct mem_map *map = NULL;

	return vhost_mem_map_create(&owner, &g->table, g->fds, &map) == 0 ? map : NULL;
}

static void
drain_guard(void)
{
	uint64_t count;

	if (read(vhost_mem_guard_fd(), &count, sizeof(count)) < 0)
		return;
}

static bool
guard_fd_is_readable(void)
{
	struct pollfd pfd = { .fd = vhost_mem_guard_fd(), .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

/* Accepted */

static int
test_regions_are_where_the_table_says(void)
{
	struct guest g;
	struct mem_map *map;
	int fd;

	guest_of_two(&g);
	fd = dup(g.fds[1]);
	map = guest_map(&g);
	TEST_ASSERT_NOT_NULL(map, "two good regions");
	TEST_ASSERT_EQUAL(g.fds[0], -1, "taken");
	TEST_ASSERT_EQUAL(g.fds[1], -1, "taken");
	TEST_ASSERT_EQUAL(map->nregions, 2, "both");
	TEST_ASSERT(map->regions[1].host == map->regions[1].mmap_addr + PAGE,
		"host address is behind the offset");
	TEST_ASSERT_EQUAL(map->regions[1].mmap_size, 17 * PAGE, "from the file's start");
	TEST_ASSERT_EQUAL(map->regions[1].page_size, PAGE, "small pages");
	TEST_ASSERT(!map->regions[1].hugetlb, "small pages");
	TEST_ASSERT_EQUAL(pwrite(fd, "guest", 5, PAGE + 100), 5, "the guest writes");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(map->regions[1].host + 100, "guest", 5, "we read");
	map->regions[1].host[101] = 'X';
	close(fd);
	vhost_mem_map_put(map);
	return TEST_SUCCESS;
}

static int
test_lookup_needs_one_region_for_all(void)
{
	struct guest g;
	struct mem_map *map;
	uint64_t base = 1ULL << 32, uva = 0x7f0000000000ULL + base, size = 16 * PAGE;

	guest_of_two(&g);
	map = guest_map(&g);
	TEST_ASSERT_NOT_NULL(map, "two good regions");
	TEST_ASSERT(vhost_mem_map_from_gpa(map, base, size) == map->regions[1].host, "all");
	TEST_ASSERT(vhost_mem_map_from_gpa(map, base + size - 1, 1) ==
		map->regions[1].host + size - 1, "last byte");
	TEST_ASSERT_NULL(vhost_mem_map_from_gpa(map, base + size - 1, 2), "one more");
	TEST_ASSERT_NULL(vhost_mem_map_from_gpa(map, base + size, 0), "behind it");
	TEST_ASSERT_NULL(vhost_mem_map_from_gpa(map, base - 1, 1), "before it");
	TEST_ASSERT_NULL(vhost_mem_map_from_gpa(map, base, UINT64_MAX), "wraps");
	TEST_ASSERT_NULL(vhost_mem_map_from_gpa(map, UINT64_MAX, 2), "wraps");
	TEST_ASSERT(vhost_mem_map_from_uva(map, uva + 7, 9) == map->regions[1].host + 7,
		"by the frontend's address");
	TEST_ASSERT_NULL(vhost_mem_map_from_uva(map, uva + size - 1, 2), "one more");
	TEST_ASSERT_NULL(vhost_mem_map_from_uva(map, base, 1), "not the frontend's");
	TEST_ASSERT(vhost_mem_map_region(map, map->regions[1].host + size - 1, 1) ==
		&map->regions[1], "by our address");
	TEST_ASSERT_NULL(vhost_mem_map_region(map, map->regions[1].host - 1, 1),
		"mapped but not the guest's");
	vhost_mem_map_put(map);
	return TEST_SUCCESS;
}

static int
test_regions_may_touch_and_end_anywhere(void)
{
	struct guest g = { 0 };
	struct mem_map *map;

	guest_add(&g, file_of(PAGE + 5, 0), 0, 3 * PAGE / 4, PAGE / 4);
	guest_add(&g, file_of(PAGE + 5, 0), 3 * PAGE / 4, PAGE - 95, 100);
	guest_add(&g, file_of(PAGE + 5, 0), UINT64_MAX - PAGE, PAGE, 0);
	g.table.regions[2].uva = 1;
	map = guest_map(&g);
	TEST_ASSERT_NOT_NULL(map, "three good regions");
	TEST_ASSERT_EQUAL(map->regions[0].mmap_size, PAGE, "whole pages");
	TEST_ASSERT_EQUAL(map->regions[1].mmap_size, 2 * PAGE, "whole pages");
	map->regions[1].host[PAGE - 95 - 1] = 1;
	TEST_ASSERT(!vhost_mem_map_is_broken(map), "the last byte exists");
	vhost_mem_map_put(map);
	return TEST_SUCCESS;
}

static int
test_empty_table(void)
{
	struct guest g = { 0 };
	struct mem_map *map = guest_map(&g);

	TEST_ASSERT_NOT_NULL(map, "a guest without memory");
	TEST_ASSERT_NULL(vhost_mem_map_from_gpa(map, 0, 0), "nothing is there");
	vhost_mem_map_put(map);
	vhost_mem_map_put(NULL);
	return TEST_SUCCESS;
}

static int
test_generations_differ_and_references_count(void)
{
	uint64_t last = 0;

	for (int i = 0; i < 100; i++) {
		struct mem_map *map;
		struct guest g;

		guest_of_two(&g);
		map = guest_map(&g);
		TEST_ASSERT_NOT_NULL(map, "round %d", i);
		TEST_ASSERT(map->generation > last, "round %d", i);
		last = map->generation;
		vhost_mem_map_get(map);
		vhost_mem_map_put(map);
		map->regions[0].host[0] = 1;
		vhost_mem_map_put(map);
	}
	return TEST_SUCCESS;
}

static int
test_mapping_allocates_nothing(void)
{
	struct mem_map *map;
	struct guest g;
	int fd, locked;

	guest_of_two(&g);
	fd = dup(g.fds[0]);
	/* As Open vSwitch does; an ordinary user may not be allowed to. */
	locked = mlockall(MCL_FUTURE);
	map = guest_map(&g);
	if (locked == 0)
		munlockall();
	TEST_ASSERT_NOT_NULL(map, "two good regions");
	TEST_ASSERT_EQUAL(blocks_of(fd), 0, "no page");
	vhost_mem_map_put(map);
	close(fd);
	return TEST_SUCCESS;
}

/** Pages of 2 MiB that nobody has. */
static unsigned long
free_hugepages(void)
{
	FILE *meminfo = fopen("/proc/meminfo", "re");
	unsigned long n = 0;
	char line[128];

	if (meminfo == NULL)
		return 0;
	while (fgets(line, sizeof(line), meminfo) != NULL)
		if (sscanf(line, "HugePages_Free: %lu", &n) == 1)
			break;
	fclose(meminfo);
	return n;
}

static int
test_hugepages(void)
{
	struct guest g = { 0 };
	struct mem_map *map;
	int fd = file_of(2 * HUGE_PAGE, MFD_HUGETLB | MFD_HUGE_2MB);

	if (fd < 0)
		return TEST_SKIPPED;
	guest_add(&g, fd, 0, HUGE_PAGE + 10 * PAGE, 3 * PAGE);
	if (free_hugepages() < 2) {
		guest_close(&g);
		return TEST_SKIPPED;
	}
	map = guest_map(&g);
	TEST_ASSERT_NOT_NULL(map, "a guest");
	TEST_ASSERT_EQUAL(blocks_of(map->regions[0].fd), 0, "no page is allocated");
	TEST_ASSERT(map->regions[0].hugetlb, "recognised");
	TEST_ASSERT_EQUAL(map->regions[0].page_size, HUGE_PAGE, "2 MiB");
	TEST_ASSERT_EQUAL(map->regions[0].mmap_size, 2 * HUGE_PAGE, "whole pages");
	map->regions[0].host[HUGE_PAGE + 10 * PAGE - 1] = 1;
	TEST_ASSERT(!vhost_mem_map_is_broken(map), "the last byte exists");

	TEST_ASSERT_SUCCESS(ftruncate(map->regions[0].fd, 0), "the file shrinks");
	TEST_ASSERT_EQUAL(map->regions[0].host[HUGE_PAGE], 0, "zeros took its place");
	TEST_ASSERT(vhost_mem_map_is_broken(map), "and the map is broken");
	drain_guard();
	vhost_mem_map_put(map);
	return TEST_SUCCESS;
}

/* More than there are, none of them needed yet; one that is touched costs its map. */
static int
test_hugepages_that_do_not_exist(void)
{
	struct mem_map *map, *other;
	struct guest g = { 0 }, h;
	uint64_t size = (free_hugepages() + 512) * HUGE_PAGE;
	int fd = file_of(size, MFD_HUGETLB | MFD_HUGE_2MB);

	if (fd < 0)
		return TEST_SKIPPED;
	guest_add(&g, fd, 0, size, 0);
	map = guest_map(&g);
	TEST_ASSERT_NOT_NULL(map, "holes cost nothing");
	TEST_ASSERT_EQUAL(blocks_of(map->regions[0].fd), 0, "no page is allocated");
	guest_of_two(&h);
	other = guest_map(&h);
	TEST_ASSERT_NOT_NULL(other, "another guest");
	for (uint64_t at = 0; at < size && !vhost_mem_map_is_broken(map); at += HUGE_PAGE)
		map->regions[0].host[at] = 1;
	TEST_ASSERT(vhost_mem_map_is_broken(map), "there is no such page");
	TEST_ASSERT(!vhost_mem_map_is_broken(other), "the other guest has its memory");
	drain_guard();
	vhost_mem_map_put(map);
	vhost_mem_map_put(other);
	return TEST_SUCCESS;
}

static int
test_same_table_and_files_match(void)
{
	struct guest g, again;
	struct mem_map *map;

	guest_of_two(&g);
	again = g;
	again.fds[0] = dup(g.fds[0]);
	again.fds[1] = dup(g.fds[1]);
	map = guest_map(&g);
	TEST_ASSERT_NOT_NULL(map, "two good regions");
	TEST_ASSERT(vhost_mem_map_matches(map, &again.table, again.fds), "all the same");

	again.table.regions[1].mmap_offset = 0;
	TEST_ASSERT(!vhost_mem_map_matches(map, &again.table, again.fds), "offset");
	again.table.regions[1].mmap_offset = PAGE;
	again.table.regions[0].gpa++;
	TEST_ASSERT(!vhost_mem_map_matches(map, &again.table, again.fds), "guest address");
	again.table.regions[0].gpa--;
	again.table.nregions = 1;
	TEST_ASSERT(!vhost_mem_map_matches(map, &again.table, again.fds), "fewer");
	again.table.nregions = 2;
	TEST_ASSERT(vhost_mem_map_matches(map, &again.table, again.fds), "as before");

	close(again.fds[0]);
	TEST_ASSERT(!vhost_mem_map_matches(map, &again.table, again.fds), "closed");
	again.fds[0] = file_of(16 * PAGE, 0);
	TEST_ASSERT(!vhost_mem_map_matches(map, &again.table, again.fds), "other file");
	guest_close(&again);
	vhost_mem_map_put(map);
	return TEST_SUCCESS;
}

/* Refused */

struct bad_table {
	const char *what;
	void (*spoil)(struct vu_memory *table);
};

static void
empty_region(struct vu_memory *t)
{
	t->regions[1].size = 0;
}

static void
gpa_wraps(struct vu_memory *t)
{
	t->regions[1].gpa = UINT64_MAX - PAGE;
}

static void
gpa_ends_at_zero(struct vu_memory *t)
{
	t->regions[1].gpa = 0 - t->regions[1].size;
}

static void
uva_wraps(struct vu_memory *t)
{
	t->regions[1].uva = UINT64_MAX - PAGE;
}

static void
offset_wraps(struct vu_memory *t)
{
	t->regions[1].mmap_offset = UINT64_MAX - PAGE;
}

static void
offset_wraps_to_zero(struct vu_memory *t)
{
	t->regions[1].mmap_offset = 0 - t->regions[1].size;
}

static void
size_wraps(struct vu_memory *t)
{
	t->regions[1].size = UINT64_MAX;
}

static void
gpa_overlaps(struct vu_memory *t)
{
	t->regions[1].gpa = t->regions[0].gpa + t->regions[0].size - 1;
}

static void
gpa_inside(struct vu_memory *t)
{
	t->regions[1].gpa = t->regions[0].gpa + PAGE;
	t->regions[1].size = PAGE;
}

static void
uva_overlaps(struct vu_memory *t)
{
	t->regions[1].uva = t->regions[0].uva + t->regions[0].size - 1;
}

static void
uva_equal(struct vu_memory *t)
{
	t->regions[1].uva = t->regions[0].uva;
}

static void
beyond_its_file(struct vu_memory *t)
{
	t->regions[1].size++;
}

static void
far_beyond_its_file(struct vu_memory *t)
{
	t->regions[1].size = 1ULL << 46;
}

static void
behind_its_file(struct vu_memory *t)
{
	t->regions[1].mmap_offset = 17 * PAGE;
	t->regions[1].size = 1;
}

static void
nine_regions(struct vu_memory *t)
{
	t->nregions = 9;
}

static void
most_regions(struct vu_memory *t)
{
	t->nregions = UINT32_MAX;
}

static const struct bad_table bad_tables[] = {
	{ "empty region", empty_region },
	{ "guest address wraps", gpa_wraps },
	{ "guest address ends at zero", gpa_ends_at_zero },
	{ "frontend address wraps", uva_wraps },
	{ "offset wraps", offset_wraps },
	{ "offset and size are zero", offset_wraps_to_zero },
	{ "size wraps", size_wraps },
	{ "guest ranges overlap by a byte", gpa_overlaps },
	{ "guest range inside another", gpa_inside },
	{ "frontend ranges overlap by a byte", uva_overlaps },
	{ "frontend ranges are equal", uva_equal },
	{ "a byte beyond its file", beyond_its_file },
	{ "far beyond its file", far_beyond_its_file },
	{ "behind its file", behind_its_file },
	{ "nine regions", nine_regions },
	{ "2^32 - 1 regions", most_regions },
};

/** The guest is refused, its descriptors stay its own, nothing stays mapped. */
static int
expect_refusal(struct guest *g, const char *what)
{
	struct mem_map *map = NULL;
	struct guest sent = *g;
	unsigned int fds = count_fds(), mappings = count_mappings();

	TEST_ASSERT(vhost_mem_map_create(&owner, &g->table, g->fds, &map) < 0, "%s", what);
	TEST_ASSERT_NULL(map, "%s", what);
	TEST_ASSERT_BUFFERS_ARE_EQUAL(g->fds, sent.fds, sizeof(sent.fds), "%s", what);
	TEST_ASSERT_EQUAL(count_fds(), fds, "%s", what);
	TEST_ASSERT_EQUAL(count_mappings(), mappings, "%s", what);
	return TEST_SUCCESS;
}

static int
test_bad_tables_are_refused(void)
{
	for (unsigned int i = 0; i < RTE_DIM(bad_tables); i++) {
		struct guest g;
		int ret;

		guest_of_two(&g);
		bad_tables[i].spoil(&g.table);
		ret = expect_refusal(&g, bad_tables[i].what);
		g.table.nregions = 2;
		guest_close(&g);
		if (ret != TEST_SUCCESS)
			return ret;
	}
	return TEST_SUCCESS;
}

/* Descriptors that are no guest memory */

static int
a_closed_number(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd; /* cppcheck-suppress deallocret ; the number is what is wanted */
}

static int
no_number(void)
{
	return -1;
}

static int
a_socket(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	close(pair[1]);
	return pair[0];
}

static int
a_pipe(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	close(ends[0]);
	return ends[1];
}

static int
an_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int
an_epoll_set(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int
a_directory(void)
{
	return open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int
dev_null(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int
dev_zero(void)
{
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int
dev_ptmx(void)
{
	return open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static int
proc_file(void)
{
	return open("/proc/self/comm", O_RDWR | O_CLOEXEC);
}

/** A good file, opened in another way. */
static int
reopened(int flags)
{
	int fd = file_of(17 * PAGE, 0), other;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, flags | O_CLOEXEC);
	close(fd);
	return other;
}

static int
read_only(void)
{
	return reopened(O_RDONLY);
}

static int
write_only(void)
{
	return reopened(O_WRONLY);
}

static int
path_only(void)
{
	return reopened(O_PATH);
}

static int
sealed(void)
{
	int fd = file_of(17 * PAGE, MFD_ALLOW_SEALING);

	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0)
		printf("sealing: %s\n", strerror(errno));
	return fd;
}

static const struct {
	const char *what;
	int (*open)(void);
} bad_files[] = {
	{ "no descriptor", no_number }, { "a closed one", a_closed_number },
	{ "a socket", a_socket }, { "a pipe", a_pipe },
	{ "an eventfd", an_eventfd }, { "an epoll set", an_epoll_set },
	{ "a directory", a_directory }, { "/dev/null", dev_null },
	{ "/dev/zero", dev_zero }, { "/dev/ptmx", dev_ptmx },
	{ "a file of proc", proc_file },
	{ "read-only", read_only }, { "write-only", write_only },
	{ "O_PATH", path_only }, { "sealed against writing", sealed },
};

static int
test_bad_files_are_refused(void)
{
	for (unsigned int i = 0; i < RTE_DIM(bad_files); i++) {
		struct guest g;
		int ret;

		/* As the second of three: the first is mapped by then. */
		guest_of_two(&g);
		guest_add(&g, g.fds[1], 1ULL << 40, PAGE, 0);
		g.fds[1] = bad_files[i].open();
		ret = expect_refusal(&g, bad_files[i].what);
		if (fcntl(g.fds[1], F_GETFD) < 0)
			g.fds[1] = -1;
		guest_close(&g);
		if (ret != TEST_SUCCESS)
			return ret;
	}
	return TEST_SUCCESS;
}

static int
test_disk_files_are_accepted(void)
{
	char path[] = "/var/tmp/" FILE_NAME "-XXXXXX";
	struct guest g = { 0 };
	struct mem_map *map;
	int fd = mkstemp(path);

	if (fd < 0)
		return TEST_SKIPPED;
	unlink(path);
	TEST_ASSERT_SUCCESS(ftruncate(fd, 4 * PAGE), "a sparse file");
	guest_add(&g, fd, 0, 4 * PAGE, 0);
	map = guest_map(&g);
	TEST_ASSERT_NOT_NULL(map, "user-mode Linux keeps its memory so");
	map->regions[0].host[PAGE] = 1;
	vhost_mem_map_put(map);
	return TEST_SUCCESS;
}

/* Truncated */

static int
test_truncated_file_costs_its_map_only(void)
{
	struct mem_map *map, *other;
	struct guest g, h;
	int fd;

	guest_of_two(&g);
	guest_of_two(&h);
	fd = dup(g.fds[1]);
	map = guest_map(&g);
	other = guest_map(&h);
	TEST_ASSERT(map != NULL && other != NULL, "two guests");
	memset(map->regions[0].host, 0x11, 16 * PAGE);
	memset(map->regions[1].host, 0x22, 16 * PAGE);
	other->regions[1].host[0] = 0x33;
	drain_guard();

	TEST_ASSERT_SUCCESS(ftruncate(fd, 4 * PAGE), "the file shrinks");
	TEST_ASSERT_EQUAL(map->regions[1].host[0], 0x22, "what is left can be read");
	TEST_ASSERT(!vhost_mem_map_is_broken(map), "nobody noticed");
	TEST_ASSERT(!guard_fd_is_readable(), "nobody noticed");

	map->regions[1].host[8 * PAGE] = 1;
	TEST_ASSERT(vhost_mem_map_is_broken(map), "now we do");
	TEST_ASSERT(guard_fd_is_readable(), "and wake the event loop");
	TEST_ASSERT_EQUAL(map->regions[1].host[8 * PAGE], 1, "our write went somewhere");
	TEST_ASSERT_EQUAL(map->regions[1].host[0], 0, "zeros in place of the region");
	TEST_ASSERT_EQUAL(map->regions[0].host[0], 0x11, "the other region is intact");
	TEST_ASSERT(!vhost_mem_map_is_broken(other), "the other guest is");
	TEST_ASSERT_EQUAL(other->regions[1].host[0], 0x33, "the other guest is");
	drain_guard();

	TEST_ASSERT_SUCCESS(ftruncate(fd, 17 * PAGE), "the file grows again");
	map->regions[1].host[3] = 9;
	TEST_ASSERT_EQUAL(blocks_of(fd), 3 * PAGE / 512, "without us");
	close(fd);
	vhost_mem_map_put(map);
	vhost_mem_map_put(other);
	return TEST_SUCCESS;
}

static int
test_system_calls_on_a_truncated_file_fail(void)
{
	struct mem_map *map;
	struct guest g;
	int ends[2];

	guest_of_two(&g);
	map = guest_map(&g);
	TEST_ASSERT_NOT_NULL(map, "a guest");
	TEST_ASSERT_SUCCESS(ftruncate(map->regions[0].fd, 0), "the file shrinks");
	TEST_ASSERT_SUCCESS(pipe2(ends, O_CLOEXEC), "a pipe");
	TEST_ASSERT(write(ends[1], map->regions[0].host, 10) < 0, "no signal");
	TEST_ASSERT_EQUAL(errno, EFAULT, "but an error");
	close(ends[0]);
	close(ends[1]);
	vhost_mem_map_put(map);
	return TEST_SUCCESS;
}

#define FAULTERS 4
#define FAULT_ROUNDS 200

struct faulters {
	pthread_barrier_t start, end;
	struct mem_map *map;
	bool stop;
};

static void *
faulter(void *arg)
{
	struct faulters *f = arg;

	for (;;) {
		pthread_barrier_wait(&f->start);
		if (f->stop)
			return NULL;
		for (unsigned int i = 0; i < 2 * 16; i++)
			__atomic_fetch_or(f->map->regions[i & 1].host + i / 2 * PAGE,
				1, __ATOMIC_RELAXED);
		pthread_barrier_wait(&f->end);
	}
}

/** Maps that come and go while others break. */
static void *
coming_and_going(void *arg)
{
	const bool *stop = arg;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		struct mem_map *map;
		struct guest g;

		guest_of_two(&g);
		map = guest_map(&g);
		if (map == NULL)
			return arg;
		map->regions[1].host[0] = 1;
		if (vhost_mem_map_is_broken(map))
			return arg;
		vhost_mem_map_put(map);
	}
	return NULL;
}

static int
fault_rounds(struct faulters *f)
{
	for (int round = 0; round < FAULT_ROUNDS; round++) {
		struct guest g;

		guest_of_two(&g);
		f->map = guest_map(&g);
		TEST_ASSERT_NOT_NULL(f->map, "round %d", round);
		TEST_ASSERT_SUCCESS(ftruncate(f->map->regions[0].fd, 0), "shrink");
		TEST_ASSERT_SUCCESS(ftruncate(f->map->regions[1].fd, PAGE), "shrink");
		pthread_barrier_wait(&f->start);
		pthread_barrier_wait(&f->end);
		TEST_ASSERT(vhost_mem_map_is_broken(f->map), "round %d", round);
		vhost_mem_map_put(f->map);
	}
	return TEST_SUCCESS;
}

static int
test_threads_fault_while_maps_come_and_go(void)
{
	struct faulters f = { .stop = false };
	pthread_t threads[FAULTERS], comer;
	bool stop = false;
	void *failed;
	int ret;

	pthread_barrier_init(&f.start, NULL, FAULTERS + 1);
	pthread_barrier_init(&f.end, NULL, FAULTERS + 1);
	pthread_create(&comer, NULL, coming_and_going, &stop);
	for (int i = 0; i < FAULTERS; i++)
		pthread_create(&threads[i], NULL, faulter, &f);
	ret = fault_rounds(&f);
	f.stop = true;
	pthread_barrier_wait(&f.start);
	for (int i = 0; i < FAULTERS; i++)
		pthread_join(threads[i], NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(comer, &failed);
	pthread_barrier_destroy(&f.start);
	pthread_barrier_destroy(&f.end);
	drain_guard();
	TEST_ASSERT_NULL(failed, "the maps that came and went");
	return ret;
}

/* Signals that are none of ours */

static sigjmp_buf back;
static volatile sig_atomic_t first_handled, second_handled;
static struct sigaction before_second;

static void
first_handler(int sig __rte_unused)
{
	first_handled++;
	siglongjmp(back, 1);
}

/** Knows nothing itself and asks whom it has displaced: us. */
static void
second_handler(int sig, siginfo_t *info, void *context)
{
	second_handled++;
	before_second.sa_sigaction(sig, info, context);
}

/** Whether a handler came back from reading a byte. */
static bool
read_is_handled(const volatile uint8_t *at)
{
	if (sigsetjmp(back, 1) != 0)
		return true;
	(void)*at;
	return false;
}

/** Fault in memory that no map knows; true when a handler came back from it. */
static bool
fault_elsewhere(void)
{
	int fd = file_of(PAGE, 0);
	void *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	bool handled = ftruncate(fd, 0) == 0 && read_is_handled(at);

	munmap(at, PAGE);
	close(fd);
	return handled;
}

/** A map and a fault in it: the guard works (and is in its place again). */
static int
check_guard(void)
{
	struct mem_map *map;
	struct guest g;

	guest_of_two(&g);
	map = guest_map(&g);
	TEST_ASSERT_NOT_NULL(map, "a guest");
	TEST_ASSERT_SUCCESS(ftruncate(map->regions[0].fd, 0), "the file shrinks");
	TEST_ASSERT_EQUAL(map->regions[0].host[0], 0, "zeros");
	TEST_ASSERT(vhost_mem_map_is_broken(map), "broken");
	vhost_mem_map_put(map);
	drain_guard();
	return TEST_SUCCESS;
}

/* First of all, before other tests install handlers. */
static int
test_fault_elsewhere_still_kills(void)
{
	pid_t child;
	int status;

	TEST_ASSERT_SUCCESS(check_guard(), "the guard");
	fflush(stdout);
	child = fork();
	if (child == 0) {
		alarm(20);
		/* The last words of a handler would look like a finding. */
		close(STDERR_FILENO);
		fault_elsewhere();
		_exit(0);
	}
	TEST_ASSERT_EQUAL(waitpid(child, &status, 0), child, "its end");
	/* The suite's handler dies of the signal, a sanitizer's exits, or aborts if told so. */
	TEST_ASSERT(!WIFSIGNALED(status) ? WEXITSTATUS(status) != 0 :
		WTERMSIG(status) == SIGBUS || ((TEST_ASAN || TEST_TSAN) && WTERMSIG(status) == SIGABRT),
		"status 0x%x", status);
	return TEST_SUCCESS;
}

/** In a child: the guard displaces a handler, and is then sent a signal of somebody's. */
static int
send_to_displaced(sighandler_t handler)
{
	alarm(20);
	signal(SIGBUS, handler);
	if (check_guard() != TEST_SUCCESS)
		return 1;
	/* what comes of a crash here is meant */
	close(STDERR_FILENO);
	return raise(SIGBUS);
}

/** The end of a child that has a signal sent to that handler, as waitpid() tells it. */
static int
end_with(sighandler_t handler)
{
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0)
		test_child_end(send_to_displaced(handler));
	return waitpid(child, &status, 0) == child ? status : -1;
}

static int
test_signals_that_are_sent_do_what_they_did(void)
{
	int status = end_with(SIG_IGN);

	TEST_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0, "ignored: status 0x%x", status);
	status = end_with(SIG_DFL);
	TEST_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "deadly: status 0x%x", status);
	return TEST_SUCCESS;
}

static int
test_handlers_of_others_are_asked(void)
{
	struct sigaction first = { .sa_handler = first_handler, .sa_flags = SA_NODEFER };
	struct sigaction second = {
		.sa_sigaction = second_handler, .sa_flags = SA_SIGINFO | SA_NODEFER,
	};
	struct sigaction ours;

	TEST_ASSERT_SUCCESS(check_guard(), "before others come");
	first_handled = second_handled = 0;
	sigaction(SIGBUS, &first, &ours);
	TEST_ASSERT_SUCCESS(check_guard(), "the first one is displaced");
	for (int i = 0; i < 3; i++)
		TEST_ASSERT(fault_elsewhere(), "and asked, round %d", i);
	TEST_ASSERT_EQUAL(first_handled, 3, "each time");

	sigaction(SIGBUS, &second, &before_second);
	TEST_ASSERT_SUCCESS(check_guard(), "so is the second one");
	for (int i = 0; i < 3; i++)
		TEST_ASSERT(fault_elsewhere(), "round %d", i);
	TEST_ASSERT_EQUAL(second_handled, 3, "it is asked");
	TEST_ASSERT_EQUAL(first_handled, 6, "and after it the first");

	if (sigsetjmp(back, 1) == 0)
		raise(SIGBUS);
	TEST_ASSERT_EQUAL(first_handled, 7, "a signal that was sent, too");
	TEST_ASSERT_SUCCESS(check_guard(), "the guard after all that");
	sigaction(SIGBUS, &first, NULL);
	TEST_ASSERT_SUCCESS(check_guard(), "and when one comes that was there before");
	sigaction(SIGBUS, &ours, NULL);
	return TEST_SUCCESS;
}

static int
count_setup(void)
{
	/* Opened once for the process. */
	if (vhost_mem_guard_fd() < 0)
		return TEST_FAILED;
	fds_before = count_fds();
	mappings_before = count_mappings();
	return TEST_SUCCESS;
}

/** Descriptors, once those that others close have been closed. */
static unsigned int
settled_fds(void)
{
	unsigned int n = count_fds();

	for (unsigned int i = 0; i < 2000 && n > fds_before; i++) {
		usleep(1000);
		n = count_fds();
	}
	return n;
}

static int
nothing_is_left(void)
{
	unsigned int fds = settled_fds(), mappings = count_mappings();

	if (fds == fds_before && mappings == mappings_before)
		return 0;
	printf("left behind: %d descriptors, %d mappings\n",
		(int)(fds - fds_before), (int)(mappings - mappings_before));
	fds_before = fds;
	mappings_before = mappings;
	return -1;
}

static const struct test_case cases[] = {
	TEST_CASE(test_fault_elsewhere_still_kills),
	TEST_CASE(test_regions_are_where_the_table_says),
	TEST_CASE(test_lookup_needs_one_region_for_all),
	TEST_CASE(test_regions_may_touch_and_end_anywhere),
	TEST_CASE(test_empty_table),
	TEST_CASE(test_generations_differ_and_references_count),
	TEST_CASE(test_mapping_allocates_nothing),
	TEST_CASE(test_hugepages),
	TEST_CASE(test_hugepages_that_do_not_exist),
	TEST_CASE(test_same_table_and_files_match),
	TEST_CASE(test_bad_tables_are_refused),
	TEST_CASE(test_bad_files_are_refused),
	TEST_CASE(test_disk_files_are_accepted),
	TEST_CASE(test_truncated_file_costs_its_map_only),
	TEST_CASE(test_system_calls_on_a_truncated_file_fail),
	TEST_CASE(test_threads_fault_while_maps_come_and_go),
	TEST_CASE(test_signals_that_are_sent_do_what_they_did),
	TEST_CASE(test_handlers_of_others_are_asked),
};

static int
test_vhost_map(void)
{
	static const struct test_suite suite = {
		.name = "vhost map", .setup = count_setup, .check = nothing_is_left,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_map_autotest, test_vhost_map);
