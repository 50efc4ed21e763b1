/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_FAKE_VDUSE_H
#define VHOST_FAKE_VDUSE_H

/*
 * The kernel's side of one VDUSE device, in the same process: it answers the library's
 * calls out of its tables, which a test fills, truly or not, and sends requests.  Rings
 * and memory are those of a fake, whose driver it stands for.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/vduse.h>

#include "vhost_fake_frontend.h"

#define FAKE_VDUSE_PATH "/dev/vduse/fake0"
#define FAKE_VDUSE_RINGS 8
#define FAKE_VDUSE_RANGES 80

/** What the driver sets when it is there. */
#define FAKE_VDUSE_RUNNING 0xf

/** A range of IOVAs; fd is the fake's. */
struct fake_vduse_range {
	struct vduse_iotlb_entry entry;
	int fd;
};

struct fake_vduse {
	struct fake *fe;	/**< memory and rings */
	pthread_mutex_t lock;	/**< of all below */
	int sock;		/**< requests and answers */
	int node;		/**< what the library opens, once created */
	bool exists;
	bool on_bus;		/**< cannot be destroyed */
	bool no_ctrl;		/**< as Linux 6.12: no device with a control queue */
	int control_error;	/**< of opening /dev/vduse/control; 0: none */
	uint64_t offered;	/**< when it was created */
	uint32_t nrings;	/**< likewise */
	uint16_t pairs;		/**< likewise, in its configuration space */
	uint64_t features;	/**< negotiated */
	bool domain;		/**< memory is the kernel's own */
	struct vduse_vq_info rings[FAKE_VDUSE_RINGS];
	unsigned int nranges;
	struct fake_vduse_range ranges[FAKE_VDUSE_RANGES];
	unsigned int asked;	/**< times that a range was */
	unsigned int kicks;	/**< rings whose kicks have a descriptor, as bits */
	char story[256];	/**< what the application was told, a word per event */
	bool unregister;	/**< the application does so when it is told of the device */
};

/** Be the kernel for a fake that is not connected; 0 or -1.  One at a time. */
int fake_vduse_init(struct fake_vduse *vduse, struct fake_config cfg);
/** Unregister and see that nothing is left; as fake_stop(). */
int fake_vduse_fini(struct fake_vduse *vduse);

/** After a case that has failed in the middle. */
void fake_vduse_abandon(void);

/** Register and start, with so many pairs (0: as it is); what rte_vhost_driver_start() returns. */
int fake_vduse_register(struct fake_vduse *vduse, unsigned int pairs);

/** Of all ranges only the first so many; also while it runs. */
void fake_vduse_show_ranges(struct fake_vduse *vduse, unsigned int n);
/** From now on it can be destroyed. */
void fake_vduse_leave_bus(struct fake_vduse *vduse);

/** True tables: all memory, all rings. */
void fake_vduse_describe(struct fake_vduse *vduse);

/** Ask the library: the result of its answer, or -1 without one. */
int fake_vduse_ask(struct fake_vduse *vduse, struct vduse_dev_request *request,
		struct vduse_dev_response *response);
int fake_vduse_status(struct fake_vduse *vduse, uint8_t status);
/** Ranges are others by now. */
int fake_vduse_update(struct fake_vduse *vduse, uint64_t first, uint64_t last);

/** Until it says that, within the usual limit. */
bool fake_vduse_story_is(struct fake_vduse *vduse, const char *story);
void fake_vduse_forget_story(struct fake_vduse *vduse);

/** As the kernel's driver starts it, and the application has it; 0 or -1. */
int fake_vduse_run(struct fake_vduse *vduse);

#endif /* VHOST_FAKE_VDUSE_H */
