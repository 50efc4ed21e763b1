/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A limit is checked where something is taken and nowhere else.  One lock per
 * registration serves all kinds: only the control path comes here.
 */

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_string_fns.h>

#include "quota.h"
#include "vhost_log.h"

#define MIB (UINT64_C(1) << 20)
#define TIB (UINT64_C(1) << 40)

/** How long may be waited for answers at once, and what share of the time altogether. */
#define PATIENCE_NS INT64_C(1000000000)
#define PATIENCE_SHARE 50

struct vhost_quota {
	pthread_mutex_t lock;	/**< a leaf; for all that follows but path */
	unsigned int refs;
	uint64_t limit[QUOTA_KINDS];
	uint64_t used[QUOTA_KINDS];
	uint64_t refused[QUOTA_KINDS];
	int64_t waited_ns;	/**< out of PATIENCE_NS, as of waited_at */
	int64_t waited_at;	/**< nanoseconds of the monotonic clock */
	char path[PATH_MAX];
};

/** How a refusal reads in the log. */
static const char *const kind_names[] = {
	[QUOTA_CONNECTIONS] = "connections",
	[QUOTA_VRINGS] = "virtqueues of a device",
	[QUOTA_MAPPED_BYTES] = "mapped bytes",
	[QUOTA_INFLIGHT_BYTES] = "bytes of in-flight areas",
	[QUOTA_CLOSING_FDS] = "descriptors that wait to be closed",
};

static uint64_t
default_mapped_bytes(void)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	return RTE_MAX(4 * TIB, 2 * memory);
}

static uint64_t
or_default(uint64_t value, uint64_t fallback)
{
	return value != 0 ? value : fallback;
}

struct vhost_quota *
vhost_quota_create(const char *path)
{
	struct vhost_quota *quota = calloc(1, sizeof(*quota));
	const struct rte_vhost_limits defaults = { 0 };

	if (quota == NULL)
		return NULL;
	pthread_mutex_init(&quota->lock, NULL);
	quota->refs = 1;
	rte_strscpy(quota->path, path, sizeof(quota->path));
	vhost_quota_set_limits(quota, &defaults);
	return quota;
}

struct vhost_quota *
vhost_quota_get(struct vhost_quota *quota)
{
	if (quota != NULL) {
		pthread_mutex_lock(&quota->lock);
		quota->refs++;
		pthread_mutex_unlock(&quota->lock);
	}
	return quota;
}

void
vhost_quota_put(struct vhost_quota *quota)
{
	bool last;

	if (quota == NULL)
		return;
	pthread_mutex_lock(&quota->lock);
	last = --quota->refs == 0;
	pthread_mutex_unlock(&quota->lock);
	if (last) {
		pthread_mutex_destroy(&quota->lock);
		free(quota);
	}
}

void
vhost_quota_defaults(struct rte_vhost_limits *limits)
{
	*limits = (struct rte_vhost_limits){
		.connections = 64,
		.vrings = 256,
		.mapped_bytes = default_mapped_bytes(),
		.inflight_bytes = 256 * MIB,
		.closing_fds = 512,
		.turn_ms = 2,
	};
}

void
vhost_quota_set_limits(struct vhost_quota *quota, const struct rte_vhost_limits *limits)
{
	struct rte_vhost_limits unset;

	vhost_quota_defaults(&unset);
	pthread_mutex_lock(&quota->lock);
	quota->limit[QUOTA_CONNECTIONS] = or_default(limits->connections, unset.connections);
	quota->limit[QUOTA_VRINGS] = or_default(limits->vrings, unset.vrings);
	quota->limit[QUOTA_MAPPED_BYTES] = or_default(limits->mapped_bytes, unset.mapped_bytes);
	quota->limit[QUOTA_INFLIGHT_BYTES] = or_default(limits->inflight_bytes,
		unset.inflight_bytes);
	quota->limit[QUOTA_CLOSING_FDS] = or_default(limits->closing_fds, unset.closing_fds);
	quota->limit[QUOTA_TURN_MS] = or_default(limits->turn_ms, unset.turn_ms);
	pthread_mutex_unlock(&quota->lock);
}

uint64_t
vhost_quota_limit(struct vhost_quota *quota, enum quota_kind kind)
{
	uint64_t limit;

	pthread_mutex_lock(&quota->lock);
	limit = quota->limit[kind];
	pthread_mutex_unlock(&quota->lock);
	return limit;
}

/** Lock held.  Whether to log it: the first of its kind, if anything was refused. */
static bool
count_refusal(struct vhost_quota *quota, enum quota_kind kind)
{
	return quota->refused[kind]++ == 0 && kind != QUOTA_TURN_MS;
}

static void
log_refusal(const struct vhost_quota *quota, enum quota_kind kind, uint64_t limit)
{
	VHOST_LOG_CONFIG(WARNING, "(%s) limit reached: %" PRIu64 " %s; further refusals are only "
		"counted\n", quota->path, limit, kind_names[kind]);
}

bool
vhost_quota_take(struct vhost_quota *quota, enum quota_kind kind, uint64_t n)
{
	bool taken, log = false;
	uint64_t limit;

	if (quota == NULL)
		return true;
	pthread_mutex_lock(&quota->lock);
	limit = quota->limit[kind];
	taken = quota->used[kind] <= limit && n <= limit - quota->used[kind];
	if (taken)
		quota->used[kind] += n;
	else
		log = count_refusal(quota, kind);
	pthread_mutex_unlock(&quota->lock);
	if (log)
		log_refusal(quota, kind, limit);
	return taken;
}

void
vhost_quota_overdraw(struct vhost_quota *quota, enum quota_kind kind, uint64_t n)
{
	if (quota == NULL)
		return;
	pthread_mutex_lock(&quota->lock);
	quota->used[kind] += n;
	pthread_mutex_unlock(&quota->lock);
}

void
vhost_quota_give(struct vhost_quota *quota, enum quota_kind kind, uint64_t n)
{
	if (quota == NULL)
		return;
	pthread_mutex_lock(&quota->lock);
	quota->used[kind] -= n;
	pthread_mutex_unlock(&quota->lock);
}

bool
vhost_quota_is_used_up(struct vhost_quota *quota, enum quota_kind kind)
{
	bool used_up;

	if (quota == NULL)
		return false;
	pthread_mutex_lock(&quota->lock);
	used_up = quota->used[kind] >= quota->limit[kind];
	pthread_mutex_unlock(&quota->lock);
	return used_up;
}

void
vhost_quota_refused(struct vhost_quota *quota, enum quota_kind kind)
{
	uint64_t limit;
	bool log;

	if (quota == NULL)
		return;
	pthread_mutex_lock(&quota->lock);
	limit = quota->limit[kind];
	log = count_refusal(quota, kind);
	pthread_mutex_unlock(&quota->lock);
	if (log)
		log_refusal(quota, kind, limit);
}

static int64_t
clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/** Lock held.  Let time heal. */
static void
forgive(struct vhost_quota *quota)
{
	int64_t now = clock_ns(), healed = (now - quota->waited_at) / PATIENCE_SHARE;

	quota->waited_ns = RTE_MAX(quota->waited_ns - healed, INT64_C(0));
	quota->waited_at = now;
}

int64_t
vhost_quota_patience(struct vhost_quota *quota)
{
	int64_t left;

	if (quota == NULL)
		return PATIENCE_NS;
	pthread_mutex_lock(&quota->lock);
	forgive(quota);
	left = RTE_MAX(PATIENCE_NS - quota->waited_ns, INT64_C(0));
	pthread_mutex_unlock(&quota->lock);
	return left;
}

void
vhost_quota_waited(struct vhost_quota *quota, int64_t ns)
{
	if (quota == NULL)
		return;
	pthread_mutex_lock(&quota->lock);
	forgive(quota);
	quota->waited_ns += ns;
	pthread_mutex_unlock(&quota->lock);
}

void
vhost_quota_usage(struct vhost_quota *quota, struct rte_vhost_limits_usage *usage)
{
	pthread_mutex_lock(&quota->lock);
	*usage = (struct rte_vhost_limits_usage){
		.limits = {
			.connections = quota->limit[QUOTA_CONNECTIONS],
			.vrings = quota->limit[QUOTA_VRINGS],
			.mapped_bytes = quota->limit[QUOTA_MAPPED_BYTES],
			.inflight_bytes = quota->limit[QUOTA_INFLIGHT_BYTES],
			.closing_fds = quota->limit[QUOTA_CLOSING_FDS],
			.turn_ms = quota->limit[QUOTA_TURN_MS],
		},
		.connections = quota->used[QUOTA_CONNECTIONS],
		.mapped_bytes = quota->used[QUOTA_MAPPED_BYTES],
		.inflight_bytes = quota->used[QUOTA_INFLIGHT_BYTES],
		.closing_fds = quota->used[QUOTA_CLOSING_FDS],
		.refused_connections = quota->refused[QUOTA_CONNECTIONS],
		.refused_vrings = quota->refused[QUOTA_VRINGS],
		.refused_mapped_bytes = quota->refused[QUOTA_MAPPED_BYTES],
		.refused_inflight_bytes = quota->refused[QUOTA_INFLIGHT_BYTES],
		.refused_closing_fds = quota->refused[QUOTA_CLOSING_FDS],
		.ended_turns = quota->refused[QUOTA_TURN_MS],
	};
	pthread_mutex_unlock(&quota->lock);
}
