/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_FAKE_DIRTY_H
#define VHOST_FAKE_DIRTY_H

/*
 * The frontend's side of a migration: the log of written pages, and what it is
 * good for: to find out whether a page changed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "vhost_fake_frontend.h"

#define DIRTY_PAGE 4096

/** What a fake has to negotiate for it: .protocol_features = DIRTY_PROTOCOL. */
#define DIRTY_PROTOCOL FE_BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD)
#define DIRTY_FEATURE FE_BIT(26)

struct fake_dirty_base {	/* SET_LOG_BASE */
	uint64_t size, offset;
};

/** A log in a file of its own, with a guard on both sides. */
struct fake_dirty {
	struct fake *fe;
	int fd;
	uint8_t *map;		/**< of the whole file */
	size_t map_len;
	uint64_t size, offset;
	uint8_t *bits;		/**< of the first page */
	uint8_t *before[FE_MAX_REGIONS];	/**< guest memory, by dirty_begin() */
};

/** Make a log of that size at that offset, for all guest memory if 0; 0 or -1. */
int dirty_create(struct fake *fe, struct fake_dirty *d, uint64_t size, uint64_t offset);
/** Its guards are intact? */
bool dirty_guards_intact(const struct fake_dirty *d);
/** Also says whether a guard was hurt: 0 or -1. */
int dirty_destroy(struct fake_dirty *d);

/** SET_LOG_BASE: what it came to; FAKE_ACK is the answer without payload. */
enum fake_verdict dirty_send_base(struct fake *fe, uint64_t size, uint64_t offset, int fd);

/** As a frontend begins to migrate: log, feature, addresses of all rings; 0 or -1. */
int dirty_start(struct fake_dirty *d);
/** The feature and the addresses of all rings alone. */
int dirty_switch(struct fake *fe, bool on);

bool dirty_is_set(const struct fake_dirty *d, uint64_t gpa);
/** Take all bits away; how many there were. */
unsigned int dirty_clear(struct fake_dirty *d);

/** Keep guest memory as it is now, and take all bits away; 0 or -1. */
int dirty_begin(struct fake_dirty *d);
/**
 * Each page that changed since has its bit; others only if a ring may write there.
 *
 * @param pair  queue pair that was served
 * @param to_guest  whether packets went to the guest
 * @return 0; -1 after a line of output
 */
int dirty_check(struct fake_dirty *d, unsigned int pair, bool to_guest);

#endif /* VHOST_FAKE_DIRTY_H */
