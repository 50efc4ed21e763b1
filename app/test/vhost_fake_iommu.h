/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_FAKE_IOMMU_H
#define VHOST_FAKE_IOMMU_H

/*
 * The IOMMU of a fake's guest: the back channel, over which the library asks what an
 * IOVA means, and the messages that tell it.
 *
 * An IOVA is the guest address and FAKE_IOVA, unless a test maps something else.  A
 * test answers by itself, or has a thread do so, as it came with fake_iommu_start().
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vhost_fake_frontend.h"

#define FAKE_IOMMU_PAGE 4096

enum fake_access { FAKE_READ = 1, FAKE_WRITE, FAKE_BOTH };

/** Payload of FE_IOTLB_MSG and of what the library asks. */
struct fake_iotlb {
	uint64_t iova, size, uva;
	uint8_t access, type;
	uint8_t padding[6];
};

enum fake_iotlb_type { FAKE_IOTLB_MISS = 1, FAKE_IOTLB_UPDATE, FAKE_IOTLB_INVALIDATE };

struct fake_iommu {
	struct fake *fe;
	int sock;		/**< our end of the back channel */
	pthread_mutex_t lock;	/**< of the fake's connection, while the thread runs */
	pthread_t thread;
	bool runs;
	bool stop;		/**< atomic */
	unsigned int misses;	/**< that were answered; atomic */
	unsigned int wrong;	/**< for no page, or other nonsense; atomic */
};

/** Hand over a back channel to a fake with memory; 0 or -1. */
int fake_iommu_init(struct fake_iommu *iommu, struct fake *fe);
/**
 * Another back channel, in place of what there was: 0 or -1.
 *
 * @param room  bytes of questions that it has room for, at least; 0: as usual
 */
int fake_iommu_connect(struct fake_iommu *iommu, int room);
/** Close our end of the back channel, if there is one. */
void fake_iommu_hang_up(struct fake_iommu *iommu);
/** As often as one likes. */
void fake_iommu_fini(struct fake_iommu *iommu);

/** A fake with an IOMMU, running: its rings were asked for and told; or NULL. */
struct fake *fake_iommu_start_config(struct fake_iommu *iommu, struct fake_config cfg);

#define fake_iommu_start(iommu, ...) \
	fake_iommu_start_config(iommu, (struct fake_config){ __VA_ARGS__ })

/** Both ends; as fake_stop(). */
int fake_iommu_stop(struct fake_iommu *iommu);

/** Tell a translation, or take translations back. */
enum fake_verdict fake_iommu_tell(struct fake_iommu *iommu, const struct fake_iotlb *msg);
enum fake_verdict fake_iommu_map(struct fake_iommu *iommu, uint64_t iova, uint64_t size,
		uint64_t gpa, enum fake_access access);
enum fake_verdict fake_iommu_unmap(struct fake_iommu *iommu, uint64_t iova, uint64_t size);

/** The next question, within the usual limit, or at once if there is one. */
bool fake_iommu_ask(struct fake_iommu *iommu, struct fake_iotlb *miss);
bool fake_iommu_ask_now(struct fake_iommu *iommu, struct fake_iotlb *miss);

/** Answer whatever was asked by now, with pages; how many. */
unsigned int fake_iommu_answer(struct fake_iommu *iommu);

/** Answer until the device runs; 0 or -1. */
int fake_iommu_run(struct fake_iommu *iommu);

/** Have a thread answer from here on; 0 or -1. */
int fake_iommu_serve(struct fake_iommu *iommu);

/** Map all memory at once, so that nothing has to be asked. */
int fake_iommu_map_all(struct fake_iommu *iommu);

#endif /* VHOST_FAKE_IOMMU_H */
