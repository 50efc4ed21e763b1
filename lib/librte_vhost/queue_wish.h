/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_QUEUE_WISH_H
#define VHOST_QUEUE_WISH_H

/*
 * A wish is a requested configuration: what a frontend asked for of one queue, whether
 * or not it is in force.  Addresses are the frontend's.
 */

#include <stdbool.h>
#include <stdint.h>

#include "doorbell.h"

/** Values of queue_wish.callfd and kickfd beside a descriptor. */
#define QUEUE_FD_UNSET	(-2)	/**< the frontend has not spoken about it */
#define QUEUE_FD_NONE	(-1)	/**< the frontend said: none */

struct queue_wish {
	uint32_t size;		/**< descriptors; 0 before SET_VRING_NUM */
	bool has_addr;		/**< SET_VRING_ADDR has come since the last stop */
	uint64_t desc_uva;
	uint64_t avail_uva;
	uint64_t used_uva;
	uint64_t log_gpa;	/**< of the used ring */
	bool log_ring;		/**< writes to the ring are to be logged */
	int kickfd;		/**< descriptor (the queue's) or QUEUE_FD_* */
	int callfd;		/**< descriptor (the queue's) or QUEUE_FD_* */
	enum doorbell_kind kick_kind;
	enum doorbell_kind call_kind;
	bool knows_call;	/**< SET_VRING_CALL has come, if only for an earlier start */
	bool enabled;		/**< as last said by SET_VRING_ENABLE */
	bool asked;		/**< for all that is not known of where the ring is */
	bool has_base;		/**< the ring goes on at these indices, from the next settle on */
	uint16_t last_avail;
	uint16_t last_used;
};

#endif /* VHOST_QUEUE_WISH_H */
