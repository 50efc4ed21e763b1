/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What surrounds the fakes: a pool, a directory, and the books.
 *
 * The books are the number of open descriptors and of mbufs in the pool.  They
 * are opened after the library was used once, because its event loop and threads
 * start with the first socket and stay.
 */

#include <dirent.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "test.h"
#include "vhost_fake_frontend.h"

#define POOL_SIZE 8191

static struct rte_mempool *pool;
static char directory[64];
static unsigned int nb_paths;
static unsigned int fds_at_start, mbufs_at_start;
static enum fake_format default_format;

uint64_t
fake_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

unsigned int
fake_patience_ms(void)
{
	static unsigned int ms;

	if (ms == 0)
		ms = test_param_u64("patience", TEST_PATIENCE) * 1000;
	return ms;
}

struct rte_mempool *
fake_pool(void)
{
	return pool;
}

void
fake_new_path(char *path, size_t size)
{
	snprintf(path, size, "%s/%u.sock", directory,
		__atomic_fetch_add(&nb_paths, 1, __ATOMIC_RELAXED));
}

unsigned int
fake_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 3;	/* ".", ".." and the directory itself */
}

static void
nap(void)
{
	struct timespec ts = { .tv_nsec = 2000000 };

	nanosleep(&ts, NULL);
}

unsigned int
fake_wait_fds(unsigned int n)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	unsigned int now;

	while ((now = fake_count_fds()) > n && fake_now_ms() < until)
		nap();
	return now;
}

uint64_t
fake_resident_kib(void)
{
	unsigned long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/** Let the library open what it keeps open: one device, once. */
static int
warm_up(void)
{
	struct fake *fe = fake_start(.queues = 1);

	if (fe == NULL || fake_round_trip(fe, 0, 64) != 64)
		return -1;
	return fake_stop(fe);
}

enum fake_format
fake_default_format(void)
{
	return default_format;
}

/** Descriptors, once nothing closes any more that others have used. */
static unsigned int
count_fds_at_rest(void)
{
	unsigned int now = fake_count_fds(), before, same = 0;

	while (same < 10) {
		nap();
		before = now;
		now = fake_count_fds();
		same = now == before ? same + 1 : 0;
	}
	return now;
}

int
fake_setup_parent(void)
{
	/* Shared by all suites of a run; the directory goes with the last. */
	snprintf(directory, sizeof(directory), "/tmp/vhost-test-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return TEST_FAILED;
	if (pool == NULL)
		pool = rte_pktmbuf_pool_create("vhost_test", POOL_SIZE, 0, 0,
			RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);
	return pool != NULL ? TEST_SUCCESS : TEST_FAILED;
}

static int
setup(enum fake_format format)
{
	default_format = format;
	if (fake_setup_parent() != TEST_SUCCESS)
		return TEST_FAILED;
	if (warm_up() != 0) {
		fake_teardown();
		return TEST_FAILED;
	}
	fds_at_start = count_fds_at_rest();
	mbufs_at_start = rte_mempool_avail_count(pool);
	return TEST_SUCCESS;
}

int
fake_setup(void)
{
	return setup(FAKE_SPLIT);
}

int
fake_setup_packed(void)
{
	return setup(FAKE_PACKED);
}

int
fake_check(void)
{
	unsigned int left = 0, fds, mbufs;
	struct fake *fe;

	while ((fe = fake_first()) != NULL) {
		left++;
		fake_stop(fe);
	}
	fds = fake_wait_fds(fds_at_start);
	mbufs = rte_mempool_avail_count(pool);
	if (fds != fds_at_start)
		printf("fake: %u descriptors open, %u before\n", fds,
			fds_at_start);
	if (mbufs != mbufs_at_start)
		printf("fake: %u mbufs in the pool, %u before\n", mbufs,
			mbufs_at_start);
	if (left > 0)
		printf("fake: %u device(s) were left behind\n", left);
	/* One case shall not make the next one fail. */
	if (fds == fds_at_start && mbufs == mbufs_at_start && left == 0)
		return 0;
	fds_at_start = fds;
	mbufs_at_start = mbufs;
	return -1;
}

void
fake_teardown(void)
{
	while (fake_first() != NULL)
		fake_stop(fake_first());
	rmdir(directory);
}
