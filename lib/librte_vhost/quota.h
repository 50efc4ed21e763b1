/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_QUOTA_H
#define VHOST_QUOTA_H

/*
 * What the frontends of one registration may take, all together: limits, what is
 * in use of them, and how often one has refused.  See rte_vhost_limits.h.
 *
 * Counted: it outlives the registration for as long as something taken from it is
 * not given back (a descriptor whose close() blocks, a mapping).  Any thread may
 * call any function; none of them waits.
 */

#include <stdbool.h>
#include <stdint.h>

#include "rte_vhost_limits.h"

enum quota_kind {
	QUOTA_CONNECTIONS,
	QUOTA_VRINGS,		/**< refusals only: the limit is each device's */
	QUOTA_MAPPED_BYTES,
	QUOTA_INFLIGHT_BYTES,
	QUOTA_CLOSING_FDS,
	QUOTA_TURN_MS,		/**< never refuses: counts turns that were used up */
	QUOTA_KINDS
};

struct vhost_quota;

/**
 * @param path  of the socket, for log lines; copied
 * @return one reference, with the default limits; NULL without memory
 */
struct vhost_quota *vhost_quota_create(const char *path);

/** Another reference; NULL is allowed and given back. */
struct vhost_quota *vhost_quota_get(struct vhost_quota *quota);

/** Drop a reference; NULL is allowed. */
void vhost_quota_put(struct vhost_quota *quota);

/** The limits in force where none are set. */
void vhost_quota_defaults(struct rte_vhost_limits *limits);

/** Members that are 0 become defaults. */
void vhost_quota_set_limits(struct vhost_quota *quota, const struct rte_vhost_limits *limits);

/** A limit in force. */
uint64_t vhost_quota_limit(struct vhost_quota *quota, enum quota_kind kind);

/**
 * Take so much, unless that is more than the limit leaves; a refusal is counted, and
 * logged if it is the first of its kind.  NULL: unlimited.
 *
 * @return whether it is taken, to be given back with vhost_quota_give()
 */
bool vhost_quota_take(struct vhost_quota *quota, enum quota_kind kind, uint64_t n);

/** Take in any case: what has arrived cannot be refused.  NULL is allowed. */
void vhost_quota_overdraw(struct vhost_quota *quota, enum quota_kind kind, uint64_t n);

/** Give back.  NULL is allowed. */
void vhost_quota_give(struct vhost_quota *quota, enum quota_kind kind, uint64_t n);

/** Whether nothing is left of a limit.  NULL: never. */
bool vhost_quota_is_used_up(struct vhost_quota *quota, enum quota_kind kind);

/**
 * Count, and log the first time, a refusal that the caller has found by itself; turns
 * that are used up are counted only.
 */
void vhost_quota_refused(struct vhost_quota *quota, enum quota_kind kind);

/**
 * For how long, in nanoseconds, may be waited for answers of the frontends: what is left
 * of a second that comes back slowly.  Callers that wait at the same time are told the
 * same.  NULL: a second.
 */
int64_t vhost_quota_patience(struct vhost_quota *quota);

/** So long was waited for an answer.  NULL is allowed. */
void vhost_quota_waited(struct vhost_quota *quota, int64_t ns);

void vhost_quota_usage(struct vhost_quota *quota, struct rte_vhost_limits_usage *usage);

#endif /* VHOST_QUOTA_H */
