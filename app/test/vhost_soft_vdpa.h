/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_SOFT_VDPA_H
#define VHOST_SOFT_VDPA_H

/*
 * A vDPA device whose hardware is a thread.
 *
 * It serves the guest's split rings by their addresses, as hardware does, and sends
 * each frame of a transmit ring back on the receive ring of its pair.  It knows the
 * library by the functions that drivers use, and nothing else, so that it can be put in
 * front of any librte_vhost.
 *
 * Direct, it writes to the guest's used rings itself.  When it relays, used entries go to
 * a ring of its own, from where rte_vdpa_relay_vring_used() carries them over: that is
 * what it does while written pages are logged, or always if told so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rte_vdpa_device;
struct soft_vdpa;

/** Zero in any member means the default, named in brackets. */
struct soft_vdpa_config {
	uint32_t pairs;		/**< that it has [4] */
	bool blk;		/**< says it is a disk [no] */
	bool relay;		/**< relays always [while it logs] */
	bool notifiers;		/**< asks for doorbells when it starts [no] */
	bool strict;		/**< with notifiers: does not start without them [no] */
	uint64_t lacks;		/**< virtio features beside those it never has [0] */
	uint64_t lacks_protocol;	/**< protocol features [0] */
	/** What becomes of a frame on its way back; its length, 0 to drop it [as it is]. */
	uint32_t (*turn)(uint8_t *frame, uint32_t len);
};

enum soft_vdpa_stat {
	SOFT_FRAMES,		/**< taken (transmit) or given (receive) */
	SOFT_BYTES,
	SOFT_KICKS,		/**< seen by descriptor */
	SOFT_DOORBELLS,		/**< seen in the page */
	SOFT_RELAYED,		/**< used entries */
	SOFT_REFUSED,		/**< relays that were refused */
	SOFT_BROKEN,		/**< chains that could not be followed */
	SOFT_STATS
};

/** What it was asked. */
enum soft_vdpa_op {
	SOFT_CONF, SOFT_CLOSE, SOFT_CLEANUP, SOFT_VRING_STATE, SOFT_SET_FEATURES,
	SOFT_MIGRATION_DONE, SOFT_GET_CONFIG, SOFT_SET_CONFIG,
	SOFT_OPS
};

/** Register one under a name that stays the caller's; NULL on failure. */
struct soft_vdpa *soft_vdpa_create(const char *name, const struct soft_vdpa_config *cfg);

/** Unregister and free it; no device of the library may be left of it: 0 or -1. */
int soft_vdpa_destroy(struct soft_vdpa *soft);

/** Have it gone as hardware goes that is pulled out: unregistered, whoever uses it. */
int soft_vdpa_pull(struct soft_vdpa *soft);

struct rte_vdpa_device *soft_vdpa_device(const struct soft_vdpa *soft);

/** Of a vring, or of all (RTE_VHOST_QUEUE_ALL). */
uint64_t soft_vdpa_stat(struct soft_vdpa *soft, unsigned int vring, enum soft_vdpa_stat stat);
unsigned int soft_vdpa_asked(struct soft_vdpa *soft, enum soft_vdpa_op op);

/** Whether it serves a device now, and whether it relays. */
bool soft_vdpa_is_running(struct soft_vdpa *soft);
bool soft_vdpa_is_relaying(struct soft_vdpa *soft);
/** Whether the guest has its doorbells. */
bool soft_vdpa_has_doorbells(struct soft_vdpa *soft);

/** Its configuration space: 256 bytes. */
uint8_t *soft_vdpa_space(struct soft_vdpa *soft);

#endif /* VHOST_SOFT_VDPA_H */
