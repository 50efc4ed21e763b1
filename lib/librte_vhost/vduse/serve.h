/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_VDUSE_SERVE_H
#define VHOST_VDUSE_SERVE_H

/*
 * What the kernel asks of a VDUSE device: its status as the driver sets it, ranges of
 * memory that are others by now.  Each request becomes wishes and a settle, as a message
 * of a frontend does.  Event thread only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "event_loop.h"
#include "vduse/memory.h"
#include "vduse/state.h"

/** Descriptors of a ring, at most. */
#define VDUSE_RING_MAX 1024

struct vduse_device {
	const char *path;		/**< the registration's */
	const char *name;		/**< its last part */
	struct vhost_device *dev;	/**< NULL until made, and once it was given up */
	int fd;				/**< of the device */
	int state_fd;			/**< of the file, or -1 */
	struct vduse_state state;	/**< what is in it */
	bool runs;			/**< rings were set up since DRIVER_OK */
	bool resumed;			/**< it was there before; until it runs */
	unsigned int tries;		/**< so often rings were not ready */
	struct event_timer start;	/**< starts the device, or tries again */
	struct vduse_memory memory;
};

/**
 * Serve one request, if there is one.
 *
 * @return 1 if there was, 0 if not; a negative errno (logged): the device is no use any more
 */
int vhost_vduse_serve(struct vduse_device *vduse);

/** Go on where the state says that an earlier backend was. */
void vhost_vduse_resume(struct vduse_device *vduse);

/** Its memory is gone: stop, until the driver starts it again. */
void vhost_vduse_lose(struct vduse_device *vduse);

/** Our device ends, if there is one; the kernel's stays. */
void vhost_vduse_destroy(struct vduse_device *vduse);

#endif /* VHOST_VDUSE_SERVE_H */
