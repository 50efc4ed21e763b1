/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_BATCH_H
#define PERF_BATCH_H

#include "cell.h"
#include "port.h"

struct rte_mbuf;
struct rte_mempool;

/** One call of the library. */
struct call {
	struct port *port;
	int vid;			/**< the port's; who calls does not touch the port */
	struct rte_mbuf **mbufs;	/**< as many as a burst */
	uint16_t done;			/**< packets that it moved */
};

/** The calls that are timed together, and what they need. */
struct batch {
	const struct cell *cell;
	struct rte_mempool *pool;	/**< of the sources, or of what is received */
	unsigned int packet_chains;	/**< chains that one packet takes */
	struct port *ports;
	unsigned int n_ports;		/**< opened so far */
	struct call *calls;		/**< in their order */
	unsigned int n_calls;
	struct rte_mbuf **mbufs;	/**< of all calls, or of one that all idle ones share */
	unsigned int n_packets;		/**< likewise */
};

/** Make the mempools; false if there is not enough memory. */
bool batch_init(void);

/** Say on stderr what is wrong with a cell; false, for the caller to return. */
bool cell_fail(const struct cell *cell, const char *what);

/** Connect the guests and make the mbufs.  On false, too, it has to be taken down. */
bool batch_set_up(struct batch *batch, const struct cell *cell, unsigned int n_calls);

/** Disconnect the guests and free all; false if the library keeps a device. */
bool batch_take_down(struct batch *batch);

/**
 * Make all calls.
 *
 * @param cycles  that they took; 0 if one of them moved less than it was given
 * @return false if the library does not move them at all
 */
bool batch_move(struct batch *batch, uint64_t *cycles);

/** Make all calls where there is nothing to move; false if one of them says otherwise. */
bool batch_poll(struct batch *batch, uint64_t *cycles);

/** Did the guests hear what they should have heard since this was called last? */
bool batch_heard(const struct batch *batch);

/** Is this mbuf what the guest sent as frame number "index"? */
bool batch_check_mbuf(const struct cell *cell, const struct rte_mbuf *mbuf,
		      unsigned int index);

/** Look at the frames 0, 1, ... that came from the guest, byte by byte on "check"; free them. */
bool batch_take_mbufs(const struct batch *batch, bool check);

#endif /* PERF_BATCH_H */
