/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef FAULT_LIFE_H
#define FAULT_LIFE_H

/* One life, and what happens in it; for the files of fault_story.h alone. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vhost_fake_dirty.h"
#include "vhost_fake_frontend.h"
#include "vhost_fake_inflight.h"
#include "vhost_fake_iommu.h"
#include "vhost_fake_postcopy.h"

#include "fault_story.h"

struct soft_vdpa;

/** One life. */
struct life {
	const struct story *story;
	struct story_result *result;
	struct fake *fe;
	bool registered;	/**< the path */
	bool runs;		/**< packets flow between steps */
	bool lasts;		/**< the fault does, until a step is over */
	unsigned int refusals;	/**< steps that said no so far */
	bool logs;		/**< there is a log */
	struct fake_inflight area;
	struct fake_dirty dirty;
	struct fake_iommu iommu;
	struct postcopy postcopy;
	int slot_fd;		/**< memory that is added */
	int16_t dma;		/**< a device, or -1 */
	uint8_t *sight;		/**< the driver's, of a ring in pieces; or NULL */
	struct soft_vdpa *soft;	/**< hardware; or NULL */
};

/** Bytes of the memory that is added. */
#define SLOT_BYTES (256u << 10)

/** Bytes of descriptors of a ring in pieces, which has 1024. */
#define SIGHT_PAGES 4u
#define SIGHT_BYTES (SIGHT_PAGES * 4096)

struct story_step {
	const char *name;
	/** 0; or -1 when it was refused, or the connection is closed. */
	int (*take)(struct life *life);
	/** Behind it, packets flow. */
	bool runs;
	/** Refused in the middle, only another connection helps. */
	bool anew;
};

/** Something is as it must not be; the first counts. */
void fault_wrong(struct life *life, const char *fmt, ...) __rte_format_printf(2, 3);

/* ---- steps ---- */

#define STEP(name) int fault_step_ ## name(struct life *life)

STEP(register);
STEP(connect);
STEP(negotiate);
STEP(memory);
STEP(run);
STEP(packets);
STEP(long_packets);
STEP(call_guest);
STEP(rarp);
STEP(other_table);
STEP(add_memory);
STEP(remove_memory);
STEP(restart_ring);
STEP(error_fd);
STEP(log);
STEP(no_log);
STEP(inflight_get);
STEP(inflight_set);
STEP(move_there);
STEP(move_back);
STEP(report);
STEP(get_table);
STEP(disconnect);
STEP(unregister);

/* of special lives, fault_steps_special.c */
STEP(pipe);
STEP(truncate);
STEP(channel);
STEP(run_iommu);
STEP(map_buffers);
STEP(scatter);
STEP(unmap_and_map);
STEP(iommu_packets);
STEP(dma);
STEP(channels);
STEP(copies);
STEP(late_copy);
STEP(leave);
STEP(arrive);
STEP(postcopy_end);
STEP(hardware);
STEP(frame);
STEP(run_hardware);

#undef STEP

#endif /* FAULT_LIFE_H */
