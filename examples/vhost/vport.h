/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VPORT_H
#define VPORT_H

/*
 * A vport is a place where packets enter and leave the switch: a guest or an
 * ethdev port.  This is the control side's view of it; what lcores need of it is
 * copied into their plans (plan.h).
 *
 * A vport keeps its name, number and counters when its guest leaves, and the next
 * guest on the same socket continues them.
 *
 * Everything here is protected by the control lock.  It is held while waiting for
 * lcores, so lcores never take it; and callbacks of the vhost library that hold a
 * ring (vring_state_changed) must not take it either, because an lcore may be
 * waiting for that ring.
 */

#include <stdbool.h>
#include <stdint.h>

#include "options.h"
#include "pools.h"

#define VPORT_MAX 256
#define VPORT_NONE UINT16_MAX
/** Receive queues of a vport. */
#define VPORT_MAX_RXQ 16
#define VPORT_MAX_TXQ 16
#define VPORT_NAME_LEN OPTIONS_NAME_LEN

enum vport_kind {
	VPORT_GUEST,
	VPORT_ETHDEV,
};

/** A queue that packets come from. */
struct vport_rxq {
	bool enabled;
	uint16_t ring;		/**< how the library or driver calls it */
	int node;		/**< where it wants to be polled */
	uint32_t pinned;	/**< lcore id that the user has chosen, or LCORE_ID_ANY */
	uint32_t lcore;		/**< lcore id that polls it, or LCORE_ID_ANY */
	uint64_t cycles;	/**< taken so far by lcores that no longer poll it */
	uint64_t seen_cycles;	/**< all at the last tick */
	uint64_t load;		/**< cycles per second, smoothed */
};

struct vport {
	char name[VPORT_NAME_LEN];
	enum vport_kind kind;
	uint16_t id;		/**< index into the table of vports */
	bool connected;		/**< the guest is there; always true for a port */
	int node;		/**< where its packets shall be */
	const struct pool *pool;	/**< NULL: no memory, cannot be polled */
	uint8_t takes;		/**< OFFLOAD_* that may be left to it */
	uint32_t max_len;	/**< bytes of the longest frame it takes, headers included */

	uint32_t n_rxq;
	struct vport_rxq rxq[VPORT_MAX_RXQ];
	/** Queues that take packets: rings of a guest, queue numbers of a port. */
	uint32_t n_txq;
	uint16_t txq[VPORT_MAX_TXQ];

	union {
		/** A guest, while connected. */
		struct {
			int vid;
			uint64_t features;
			int16_t dma[2];	/**< by enum dma_direction; DMA_NONE */
			char path[108];
		} guest;
		/** A port. */
		struct {
			uint16_t port_id;
			bool vmdq;
		} ethdev;
	};
};

void control_lock(void);
void control_unlock(void);

/**
 * The vport with a name; a new one if there is none.
 *
 * @return
 *   NULL if the table is full.
 */
struct vport *vport_claim(enum vport_kind kind, const char *name);

/** The vport with a name, or NULL. */
struct vport *vport_find(const char *name);

/** The vport with a number, or NULL. */
struct vport *vport_at(uint16_t id);

/** The next vport behind one, the first one for NULL; NULL at the end. */
struct vport *vport_next(const struct vport *vport);

/** All vports, whether connected or not. */
#define VPORT_FOREACH(vport) \
	for ((vport) = vport_next(NULL); (vport) != NULL; (vport) = vport_next(vport))

/** "guest vhost0" or "port net_tap0", for the log. */
#define VPORT_FMT "%s %s"
#define VPORT_ARGS(vport) (vport)->kind == VPORT_GUEST ? "guest" : "port", (vport)->name

#endif /* VPORT_H */
