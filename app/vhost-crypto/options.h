/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define SOCKETS_MAX 64

struct options {
	const char *sockets[SOCKETS_MAX];
	unsigned int nsockets;
	const char *cryptodev;	/**< by name; NULL: the first there is */
	uint64_t flags;		/**< of rte_vhost_driver_register() */
	bool zero_copy;
	bool help;		/**< say how it is used, and do nothing */
};

/** Fill options from what follows EAL's arguments: 0, or -1 after saying what is wrong. */
int options_parse(struct options *options, int argc, char **argv);

void options_usage(const char *program);

#endif /* OPTIONS_H */
