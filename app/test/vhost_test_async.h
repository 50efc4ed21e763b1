/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_TEST_ASYNC_H
#define VHOST_TEST_ASYNC_H

/*
 * One guest and one DMA device in software, and packets between them: what the suites of
 * asynchronous copies stand on.
 */

#include <stdint.h>

#include "vhost_fake_dma.h"
#include "vhost_fake_frontend.h"

struct rig {
	struct fake *fe;
	int16_t dma;
	uint16_t nb_vchans;
};

extern struct rig rig;

/** Bytes of the packets. */
#define RIG_LEN 200

/** A DMA device whose channels are configured: 0 or -1. */
int rig_make_dma(enum fake_dma_mode mode, uint16_t nb_vchans, uint16_t ring);

/** A running device whose queues have channels; NULL on failure. */
struct fake *rig_start_guest(struct fake_config cfg);

/** Let all copies end, and the devices with them. */
void rig_drop_dma(void);

/** The guest goes, then the devices; as fake_stop(). */
int rig_end(void);

/** Whatever a failed case left. */
int rig_check(void);

/** Submit n packets to the guest, each with its number as seed from first on; how many. */
unsigned int rig_submit(struct fake *fe, uint16_t vchan, unsigned int n, unsigned int first);

/** Take packets back that were sent, which must be those from first on; how many. */
int rig_poll_sent(struct fake *fe, uint16_t vchan, unsigned int first);

/** Receive all that the guest was given, which must be those from first on; how many. */
int rig_guest_takes(struct fake *fe, unsigned int first);

/** The guest sends n packets, numbered from first on. */
int rig_guest_sends(struct fake *fe, unsigned int n, unsigned int first);

/** Receive packets of the guest, which must be those from first on; how many. */
int rig_receive(struct fake *fe, uint16_t vchan, unsigned int first, int *inflight);

/** Many packets both ways through a device that does not do its work. */
int rig_check_all_arrive(struct fake *fe);

/** A device of a mode, and a guest; NULL on failure. */
#define rig_start(mode, vchans, ring, ...) \
	(rig_make_dma(mode, vchans, ring) == 0 ? \
		rig_start_guest((struct fake_config){ __VA_ARGS__ }) : NULL)

#endif /* VHOST_TEST_ASYNC_H */
