/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_FAKE_POSTCOPY_H
#define VHOST_FAKE_POSTCOPY_H

/*
 * A fake's guest that migrates, with its memory following later.
 *
 * The fake plays both ends: its device is stopped, the contents of its memory are
 * put aside, and the files become empty.  Then it connects again as the
 * destination.  The guest's own accesses (the fake driver's) and the library's
 * fault at missing pages; a server thread brings each page that is asked for and
 * no other, and keeps the books.
 *
 *	postcopy_leave(&p, fe);
 *	postcopy_begin(&p);		connects, up to the table
 *	fake_run(fe);
 *	...
 *	postcopy_finish(&p);		the rest of the memory, END
 *	postcopy_close(&p);
 *	fake_stop(fe);
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vhost_fake_frontend.h"

struct postcopy {
	struct fake *fe;
	uint8_t *source[FE_MAX_REGIONS];	/**< contents of the files */
	uint8_t *here[FE_MAX_REGIONS];	/**< per page: it was brought */
	uint64_t bases[FE_MAX_REGIONS];	/**< the library's addresses of regions; atomic */
	uint64_t page;
	int guest_ufd;		/**< of the fake's own mappings; -1 */
	int ufd;		/**< of the library; -1 */
	int stop;		/**< eventfd that ends the server; -1 */
	pthread_t server;
	bool held;		/**< pages for the library have to wait; atomic */
	pthread_mutex_t lock;	/**< for bringing a page */
	uint64_t brought;	/**< pages; atomic */
};

/** The protocol features that a fake has to want. */
#define POSTCOPY_PROTOCOL FE_BIT(VHOST_USER_PROTOCOL_F_PAGEFAULT)

/** Does this kernel let us have a userfaultfd? */
bool postcopy_is_possible(void);

/** Stop the device, disconnect, empty the memory; then start the server: 0 or -1. */
int postcopy_leave(struct postcopy *p, struct fake *fe);

/** Connect and take all steps: 0 or -1. */
int postcopy_begin(struct postcopy *p);

/* The steps; 0 or -1. */
int postcopy_advise(struct postcopy *p);
int postcopy_listen(struct postcopy *p);
/** Send the table, take the library's addresses. */
int postcopy_table(struct postcopy *p);
/** Send the acknowledgement, QEMU's (a 0) or an empty one. */
int postcopy_acknowledge(struct postcopy *p, bool empty);
int postcopy_end(struct postcopy *p);

/** Bring what has not been asked for, and say END. */
int postcopy_finish(struct postcopy *p);

/** Let the library wait for pages, or no longer. */
void postcopy_hold(struct postcopy *p, bool held);
/** Wait until a thread waits for a page that is held back. */
bool postcopy_wait_fault(struct postcopy *p);

/** Does the library's userfaultfd, of which we have a copy, still have its memory? */
bool postcopy_is_registered(const struct postcopy *p);

/** Pages of memory in the files, brought by us or allocated by anybody. */
uint64_t postcopy_allocated(const struct postcopy *p);
uint64_t postcopy_brought(const struct postcopy *p);
uint64_t postcopy_total(const struct postcopy *p);

/** Bring the rest for the fake's own eyes, end the server; before the fake goes. */
void postcopy_close(struct postcopy *p);

#endif /* VHOST_FAKE_POSTCOPY_H */
