/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NOTIFY_WATCH_H
#define VHOST_NOTIFY_WATCH_H

/*
 * One system call for a notification.
 *
 * A write to an eventfd whose flags are the frontend's as well may block, and to ask
 * before would be another system call, as dear as the first.  So a lcore that writes
 * leaves word where it is, and a timer of the event thread looks who is still in the
 * write of the last look.  If that eventfd is full it is emptied, which frees the lcore,
 * and from then on everybody in this process asks first.  So all frontends together hold
 * up one burst of each lcore, for a tenth of a second; after that only who is quicker
 * than a lcore between two system calls.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_lcore.h>

#include "doorbell.h"
#include "gate.h"

/** What a lcore says of its writes; read by the event thread. */
struct notify_writer {
	struct vhost_gate *gate;	/**< of the queue, inside of a write; atomic */
	uint32_t writes;		/**< begun so far; atomic */
} __rte_cache_aligned;

extern struct notify_writer vhost_notify_writers[RTE_MAX_LCORE];

/** Whether an eventfd is asked first; atomic. */
extern bool vhost_notify_asks_first;

/** Have somebody look, from now on.  Any thread. */
void vhost_notify_watch_start(void);

/**
 * Notify of a ring, inside of its gate; as vhost_doorbell_call().
 *
 * @param gate  NULL where nobody could free the caller
 */
static inline int
vhost_notify(struct vhost_gate *gate, int fd, enum doorbell_kind kind, uint16_t vring)
{
	const uint64_t one = 1;
	unsigned int lcore = rte_lcore_id();
	struct notify_writer *writer;
	int ret;

	if (kind != DOORBELL_EVENTFD || gate == NULL || lcore >= RTE_MAX_LCORE)
		return vhost_doorbell_call(fd, kind, vring);
	writer = &vhost_notify_writers[lcore];
	/* The lcore's own: whoever looks needs no more than that both change. */
	__atomic_store_n(&writer->writes, writer->writes + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&writer->gate, gate, __ATOMIC_RELAXED);
	if (unlikely(__atomic_load_n(&vhost_notify_asks_first, __ATOMIC_RELAXED)))
		ret = vhost_doorbell_ring(fd, kind);
	else
		ret = write(fd, &one, sizeof(one)) >= 0 ? 0 : -errno;
	__atomic_store_n(&writer->gate, NULL, __ATOMIC_RELAXED);
	return ret;
}

#endif /* VHOST_NOTIFY_WATCH_H */
