/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>
#include <stdint.h>

/** What a stretch of the main thread's work took. */
struct effort {
	uint64_t cpu_ns;	/**< processor time of the main thread */
	uint64_t wall_ns;
};

/** Processor time that all threads but the main one have used, ended ones too. */
uint64_t meter_control_ns(void);

/** Memory of this process that is resident, in KiB. */
unsigned long meter_resident_kib(void);

/** Open descriptors of this process. */
unsigned int meter_descriptors(void);

/** Begin a stretch of work, to be given to meter_end(). */
struct effort meter_begin(void);

/** What was used since meter_begin(). */
struct effort meter_end(struct effort begin);

/** Have every log line say its level, "<LEVEL> text", on stderr. */
bool log_stream_open(void);

/** Allocate what the sockets below share; false if there is no memory. */
bool backend_setup(void);

/** Register a socket; flags are those of rte_vhost_driver_register(). */
int backend_register(const char *path, uint64_t flags);

/** Begin to listen or connect. */
int backend_start(const char *path);

/** Unregister a socket. */
int backend_unregister(const char *path);

/** Connections that are there now. */
unsigned int backend_connections(void);

/** Devices that run now. */
unsigned int backend_devices(void);

/**
 * Send packets of guests back to them, on the first two queues of each device.
 * Called by the main thread, returns after so many, or when nothing came for a while.
 */
unsigned int backend_echo(unsigned int packets);

#endif /* CONTROL_H */
