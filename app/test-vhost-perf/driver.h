/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_DRIVER_H
#define PERF_DRIVER_H

/*
 * The guest's side of a ring.
 *
 * The benchmark prepares as many chains as fit the ring, each with its own
 * buffer, and posts them round and round.  A ring format is one driver_ops
 * filled in and added to drivers[] in cell.c; nothing else knows about formats.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most descriptors of one chain: a header and the pieces of a large frame. */
#define CHAIN_MAX_SEGS 8

/** A piece of a buffer, as the device sees it. */
struct chain_seg {
	uint64_t gpa;
	uint8_t *va;
	uint32_t len;
};

/** A buffer that the driver posts, described once and used again and again. */
struct chain {
	struct chain_seg segs[CHAIN_MAX_SEGS];
	unsigned int n_segs;
	bool device_writes;
	void *table;			/**< indirect table in guest memory, or NULL */
	uint64_t table_gpa;
	uint16_t slot;			/**< its place in the guest's array of chains */
	bool posted;			/**< the device has it */
};

/** What the device gave back. */
struct used {
	uint16_t slot;
	uint32_t len;
};

/** One ring; the three areas are in guest memory, zeroed. */
struct driver_ring {
	const struct driver_ops *ops;
	uint16_t num;			/**< descriptors */
	uint16_t chain_descs;		/**< ring descriptors that every chain takes */
	bool event_idx;
	bool notify;			/**< the driver wants to hear of what is used next */
	void *desc;
	void *driver;			/**< available ring, or driver event structure */
	void *device;			/**< used ring, or device event structure */
	uint16_t avail;			/**< next place to post at */
	uint16_t used;			/**< next place to look for a used chain */
	bool avail_wrap, used_wrap;	/**< wrap counters, for formats that have them */
};

struct driver_ops {
	const char *name;		/**< in cell names */
	uint64_t features;		/**< that select this format */
	size_t (*desc_bytes)(uint16_t num);
	size_t (*driver_bytes)(uint16_t num);
	size_t (*device_bytes)(uint16_t num);
	/** Ready for the first post; the device notifies only if the driver wants that. */
	void (*init)(struct driver_ring *ring);
	/** Add a chain; the device need not see it before publish(). */
	void (*post)(struct driver_ring *ring, const struct chain *chain);
	/** Let the device see all posted chains, and of which to notify if any. */
	void (*publish)(struct driver_ring *ring);
	/** Take the next chain that the device has finished, false if none. */
	bool (*reap)(struct driver_ring *ring, struct used *used);
	/** Pass over chains that a device keeping the order left unmentioned. */
	void (*skip)(struct driver_ring *ring, unsigned int chains);
};

extern const struct driver_ops driver_split;
extern const struct driver_ops driver_packed;

#endif /* PERF_DRIVER_H */
