/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NOTIFY_WATCH_H
#define VHOST_NOTIFY_WATCH_H

/*
 * Who notifies guests comes back from it.
 *
 * A write to an eventfd may block, as its flags are the frontend's as well.  A lcore
 * writes without asking (vhost_doorbell_call_inside) and leaves word where it is; a timer
 * of the event thread looks who is still in the write of the last look.  If that eventfd
 * is full it is emptied, which frees the lcore, and from then on everybody in this process
 * asks first.  So all frontends together hold up one burst of each lcore, for a tenth of a
 * second; after that only who is quicker than a lcore between two system calls.
 */

/** Have somebody look, from now on.  Any thread. */
void vhost_notify_watch_start(void);

#endif /* VHOST_NOTIFY_WATCH_H */
