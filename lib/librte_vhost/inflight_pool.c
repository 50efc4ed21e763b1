/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A frontend keeps its area over the end of the connection, and does not tell when
 * it drops it.  The kernel knows: a lease for writing is granted only if nobody else
 * has the file open.  So each area is kept open here as well, by a description of
 * our own, and looked at when another one is asked for.  Only what was opened by a
 * path counts there, which memfd_create() does not: both sides get the file by
 * /proc/self/fd.
 *
 * An area cannot be truncated, its seals forbid it, so that neither side can take it
 * from the other.  Its memory can go: reading gives zeros then, which is an area of a
 * backend that has not started, and what somebody writes to it afterwards is memory
 * that the writer is charged for by the system.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inflight_pool.h"
#include "quota.h"
#include "vhost_given.h"
#include "vhost_log.h"

/** Areas that are kept at a time, each with a descriptor. */
#define AREAS_MAX 64

struct inflight_made {
	TAILQ_ENTRY(inflight_made) link;
	struct inflight_pool *pool;
	int fd;			/**< of our own description */
	dev_t dev;		/**< with ino: which file it is */
	ino_t ino;
	uint64_t bytes;		/**< taken from the quota */
	unsigned int users;	/**< references of devices */
};

struct inflight_pool {
	pthread_mutex_t lock;	/**< a leaf but for the quota's */
	struct vhost_quota *quota;
	TAILQ_HEAD(made_list, inflight_made) areas;	/**< the oldest first */
	unsigned int n;
};

struct inflight_pool *
vhost_inflight_pool_create(struct vhost_quota *quota)
{
	struct inflight_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pool->quota = quota;
	TAILQ_INIT(&pool->areas);
	return pool;
}

/** Lock held. */
static void
drop(struct inflight_pool *pool, struct inflight_made *made)
{
	TAILQ_REMOVE(&pool->areas, made, link);
	pool->n--;
	vhost_quota_give(pool->quota, QUOTA_INFLIGHT_BYTES, made->bytes);
	close(made->fd);
#ifndef __clang_analyzer__ /* to it, what was taken out of the middle of a list is still there */
	free(made);
#endif
}

void
vhost_inflight_pool_free(struct inflight_pool *pool)
{
	if (pool == NULL)
		return;
	while (!TAILQ_EMPTY(&pool->areas))
		drop(pool, TAILQ_FIRST(&pool->areas));
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

static bool
is_open_elsewhere(int fd)
{
	/* with the descriptor goes the lease; of what cannot be told the worst is believed */
	return fcntl(fd, F_SETLEASE, F_WRLCK) < 0;
}

/** Forget the areas that nobody has any more.  Lock held. */
static void
drop_abandoned(struct inflight_pool *pool)
{
	struct inflight_made *made, *next;

	for (made = TAILQ_FIRST(&pool->areas); made != NULL; made = next) {
		next = TAILQ_NEXT(made, link);
		if (made->users == 0 && !is_open_elsewhere(made->fd))
			drop(pool, made);
	}
}

/** Take the memory of the oldest area that no device uses; false: there is none.  Lock held. */
static bool
empty_oldest(struct inflight_pool *pool)
{
	struct inflight_made *made;

	TAILQ_FOREACH(made, &pool->areas, link) {
		if (made->users > 0)
			continue;
		if (fallocate(made->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				made->bytes) < 0)
			return false;
		VHOST_LOG_CONFIG(INFO, "an in-flight area of %" PRIu64 " bytes that no device "
			"uses is emptied for another one\n", made->bytes);
		drop(pool, made);
		return true;
	}
	return false;
}

static bool
has_room(struct inflight_pool *pool, uint64_t bytes)
{
	struct rte_vhost_limits_usage usage;

	vhost_quota_usage(pool->quota, &usage);
	return usage.inflight_bytes + bytes <= usage.limits.inflight_bytes;
}

bool
vhost_inflight_pool_take(struct inflight_pool *pool, uint64_t bytes)
{
	bool taken;

	if (pool == NULL)
		return true;
	pthread_mutex_lock(&pool->lock);
	drop_abandoned(pool);
	while (pool->n >= AREAS_MAX || !has_room(pool, bytes))
		if (!empty_oldest(pool))
			break;
	taken = pool->n < AREAS_MAX;
	if (!taken)
		vhost_quota_refused(pool->quota, QUOTA_INFLIGHT_BYTES);
	taken = taken && vhost_quota_take(pool->quota, QUOTA_INFLIGHT_BYTES, bytes);
	pthread_mutex_unlock(&pool->lock);
	return taken;
}

void
vhost_inflight_pool_give(struct inflight_pool *pool, uint64_t bytes)
{
	if (pool != NULL)
		vhost_quota_give(pool->quota, QUOTA_INFLIGHT_BYTES, bytes);
}

/** Open a file once more, with a description of its own. */
static int
open_again(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_CLOEXEC);
}

static int
made_create(int fd, struct inflight_made **made)
{
	struct stat st;

	*made = calloc(1, sizeof(**made));
	if (*made == NULL)
		return -ENOMEM;
	(*made)->fd = open_again(fd);
	if ((*made)->fd < 0 || fstat((*made)->fd, &st) < 0) {
		int ret = -errno;

		VHOST_GIVEN(ret < 0); /* a call has failed */
		if ((*made)->fd >= 0)
			close((*made)->fd);
		free(*made);
		return ret;
	}
	(*made)->dev = st.st_dev;
	(*made)->ino = st.st_ino;
	return 0;
}

int
vhost_inflight_pool_add(struct inflight_pool *pool, int *fd, uint64_t bytes)
{
	struct inflight_made *made;
	int ret, theirs;

	if (pool == NULL)
		return 0;
	theirs = open_again(*fd);
	if (theirs < 0)
		return -errno;
	ret = made_create(*fd, &made);
	if (ret < 0) {
		close(theirs);
		return ret;
	}
	close(*fd);
	*fd = theirs;
	made->pool = pool;
	made->bytes = bytes;
	pthread_mutex_lock(&pool->lock);
	TAILQ_INSERT_TAIL(&pool->areas, made, link);
	pool->n++;
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

/** Whether a descriptor that was checked is of that file: it is memory, nobody is asked. */
static bool
is_file(const struct inflight_made *made, int fd)
{
	struct stat st;

	return fcntl(fd, F_GET_SEALS) >= 0 && fstat(fd, &st) == 0 &&
		st.st_dev == made->dev && st.st_ino == made->ino;
}

struct inflight_made *
vhost_inflight_pool_find(struct inflight_pool *pool, int fd)
{
	struct inflight_made *made;

	if (pool == NULL)
		return NULL;
	pthread_mutex_lock(&pool->lock);
	TAILQ_FOREACH(made, &pool->areas, link)
		if (is_file(made, fd)) {
			made->users++;
			break;
		}
	pthread_mutex_unlock(&pool->lock);
	return made;
}

void
vhost_inflight_made_get(struct inflight_made *made)
{
	if (made == NULL)
		return;
	pthread_mutex_lock(&made->pool->lock);
	made->users++;
	pthread_mutex_unlock(&made->pool->lock);
}

void
vhost_inflight_made_put(struct inflight_made *made)
{
	struct inflight_pool *pool;

	if (made == NULL)
		return;
	pool = made->pool;
	pthread_mutex_lock(&pool->lock);
	made->users--;
	drop_abandoned(pool);
	pthread_mutex_unlock(&pool->lock);
}
