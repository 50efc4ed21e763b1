/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Registrations are found by path, in lists by a hash of it: applications register
 * a thousand, and name the path in every call.
 *
 * A connection holds a reference to its registration, so a remover knows when those
 * are gone that the event thread ends.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_common.h>

#include "inflight_pool.h"
#include "quota.h"
#include "rte_vdpa.h"
#include "socket_registry.h"
#include "vhost_log.h"

/** Lists; a power of two. */
#define BUCKETS 256

LIST_HEAD(bucket, registration);

static struct {
	pthread_mutex_t lock;
	pthread_cond_t released;	/* a reference was put */
	struct bucket buckets[BUCKETS];
	unsigned int count;		/* in all of them */
} registry = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.released = PTHREAD_COND_INITIALIZER,
};

void
vhost_registry_lock(void)
{
	pthread_mutex_lock(&registry.lock);
}

void
vhost_registry_unlock(void)
{
	pthread_mutex_unlock(&registry.lock);
}

static struct bucket *
bucket_of(const char *path)
{
	uint32_t hash = 0;

	while (*path != '\0')
		hash = hash * 31 + (unsigned char)*path++;
	return &registry.buckets[hash % BUCKETS];
}

struct registration *
vhost_registry_find(const char *path)
{
	struct registration *reg;

	LIST_FOREACH(reg, bucket_of(path), link) {
		if (strcmp(reg->driver.path, path) == 0)
			return reg;
	}
	return NULL;
}

static void
registration_free(struct registration *reg)
{
	if (reg->fd >= 0)
		close(reg->fd);
	vhost_turn_fini(&reg->turn);
	vhost_inflight_pool_free(reg->driver.inflight);
	vhost_quota_put(reg->driver.quota);
	free(reg);
}

int
vhost_registration_create(const struct vhost_driver *driver, struct registration **reg)
{
	struct registration *new = calloc(1, sizeof(*new));
	int ret;

	if (new == NULL)
		return -ENOMEM;
	new->driver = *driver;
	new->driver.quota = vhost_quota_create(driver->path);
	new->driver.inflight = vhost_inflight_pool_create(new->driver.quota);
	new->refs = 1;
	new->fd = new->driver.vduse ? -1 : vhost_socket_path_open();
	vhost_turn_init(&new->turn, new->driver.quota);
	if ((new->fd >= 0 || new->driver.vduse) && new->driver.quota != NULL &&
			new->driver.inflight != NULL) {
		*reg = new;
		return 0;
	}
	ret = new->fd < 0 && !new->driver.vduse ? new->fd : -ENOMEM;
	registration_free(new);
	return ret;
}

/** Lock held. */
static int
add_locked(struct registration *reg)
{
	if (vhost_registry_find(reg->driver.path) != NULL)
		return -EEXIST;
	if (registry.count == VHOST_MAX_SOCKETS)
		return -ENOSPC;
	registry.count++;
	LIST_INSERT_HEAD(bucket_of(reg->driver.path), reg, link);
	return 0;
}

int
vhost_registry_add(struct registration *reg)
{
	int ret;

	vhost_registry_lock();
	ret = add_locked(reg);
	vhost_registry_unlock();
	return ret;
}

struct registration *
vhost_registry_take(const char *path)
{
	struct registration *reg;

	vhost_registry_lock();
	reg = vhost_registry_find(path);
	if (reg != NULL) {
		LIST_REMOVE(reg, link);
		registry.count--;
		reg->removed = true;
		vhost_socket_path_unbind(path, &reg->file);
	}
	vhost_registry_unlock();
	return reg;
}

void
vhost_registry_foreach(bool (*fn)(struct registration *reg, void *arg), void *arg)
{
	struct registration *reg;
	unsigned int i;

	for (i = 0; i < BUCKETS; i++) {
		LIST_FOREACH(reg, &registry.buckets[i], link) {
			if (!fn(reg, arg))
				return;
		}
	}
}

void
vhost_registration_put(struct registration *reg)
{
	bool last;

	vhost_registry_lock();
	last = --reg->refs == 0;
	pthread_cond_broadcast(&registry.released);
	vhost_registry_unlock();
	if (last)
		registration_free(reg);
}

void
vhost_registration_wait(const struct registration *reg)
{
	vhost_registry_lock();
	while (reg->refs > 1)
		pthread_cond_wait(&registry.released, &registry.lock);
	vhost_registry_unlock();
}

int
vhost_driver_offer(struct vhost_driver *driver)
{
	uint64_t features, protocol_features;
	uint32_t pairs;

	driver->vdpa_vrings = 0;
	if (driver->vdpa == NULL)
		return 0;
	if (rte_vdpa_get_features(driver->vdpa, &features) != 0 ||
			rte_vdpa_get_protocol_features(driver->vdpa,
				&protocol_features) != 0 ||
			rte_vdpa_get_queue_num(driver->vdpa, &pairs) != 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) the vDPA device does not tell its features or queues\n",
				driver->path);
		return -EIO;
	}
	driver->vdpa_vrings = 2 * RTE_MIN(pairs, (uint32_t)VHOST_MAX_QUEUE_PAIRS);
	driver->features &= features;
	driver->protocol_features &= protocol_features;
	return 0;
}
