/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_PORT_H
#define PERF_PORT_H

/*
 * A device and the guest behind it: the guest's buffers, cut into chains as
 * the cell says, and the way of these chains to the device and back.
 */

#include "cell.h"
#include "frontend.h"

struct port {
	struct guest guest;
	struct driver_ring *ring;	/**< the measured one of the guest's rings */
	int vid;
	struct chain *chains;		/**< all that the ring has room for */
	unsigned int n_chains;
	unsigned int posted;		/**< chains posted so far; the next slot, modulo n_chains */
	unsigned int reaped;		/**< chains taken back so far */
	bool in_order;			/**< the device gives back in the order of posts */
	struct used used;		/**< what it said last */
	unsigned int n_used;		/**< chains it said that about, not yet taken back */
};

/** Chains that the ring of a cell has room for. */
unsigned int port_ring_chains(const struct cell *cell);

/** Chains that a packet takes: more than one only if buffers are merged. */
unsigned int port_packet_chains(const struct cell *cell);

/**
 * Make a guest and connect it to the backend.  On false the message has been
 * printed and what there is goes away with port_hang_up() and port_free().
 */
bool port_open(struct port *port, const struct cell *cell, const char *socket);

/** Close the connection; the library may use the memory until it has noticed. */
void port_hang_up(struct port *port);

/** Free the guest's memory. */
void port_free(struct port *port);

/** The chain that is posted next. */
const struct chain *port_next(const struct port *port);

/** Post the next chains, overwriting their buffers first if "poison" is set. */
void port_post(struct port *port, unsigned int count, bool poison);

/** Let the device see what was posted. */
void port_publish(struct port *port);

/** Notifications of a ring since it was asked last. */
uint64_t port_hear(const struct port *port, enum direction direction);

/**
 * Take back a chain and learn what the device says it wrote; NULL if there is
 * none or if the device gave back what it was not given.
 */
const struct chain *port_reap(struct port *port, uint32_t *len);

/** Copy bytes out of a chain; how many there were. */
unsigned int chain_read(const struct chain *chain, unsigned int offset, uint8_t *bytes,
			unsigned int len);

/** Copy bytes into a chain. */
void chain_write(const struct chain *chain, unsigned int offset, const uint8_t *bytes,
		 unsigned int len);

/** Does a chain hold these bytes from this offset on? */
bool chain_matches(const struct chain *chain, unsigned int offset, const uint8_t *bytes,
		   unsigned int len);

/** Are all bytes of a chain from this offset on as poisoning left them? */
bool chain_is_poison(const struct chain *chain, unsigned int offset);

#endif /* PERF_PORT_H */
