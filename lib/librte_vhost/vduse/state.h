/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_VDUSE_STATE_H
#define VHOST_VDUSE_STATE_H

/*
 * What the kernel does not tell a backend that comes back to its device: written to a
 * file, for as long as the device exists.
 *
 * The file is NAME in the folder vduse of RUNTIME_DIRECTORY; if that is not set of
 * /var/run for root, else of XDG_RUNTIME_DIR or /tmp.  Where rings have stopped is not
 * in it: the used index of each is in the guest's memory, and what was taken but not
 * given back by then is taken again.
 */

#include <stdbool.h>
#include <stdint.h>

#define VDUSE_STATE_VERSION 1

/** The contents. */
struct vduse_state {
	uint64_t version;	/**< VDUSE_STATE_VERSION */
	uint64_t features;	/**< that the device was created with */
	uint32_t nvrings;	/**< likewise */
	uint32_t pairs;		/**< likewise */
	uint32_t status;	/**< that the driver has set */
	uint32_t reserved;
};

/** Read what is there of a device: 0 or a negative errno. */
int vhost_vduse_state_load(const char *name, struct vduse_state *state);

/**
 * Make the file anew.
 *
 * @return a descriptor for vhost_vduse_state_save(), or a negative errno
 */
int vhost_vduse_state_create(const char *name, const struct vduse_state *state);

/** Write: 0 or a negative errno.  Negative descriptors are ignored. */
int vhost_vduse_state_save(int fd, const struct vduse_state *state);

/** The device is gone. */
void vhost_vduse_state_remove(const char *name);

#endif /* VHOST_VDUSE_STATE_H */
