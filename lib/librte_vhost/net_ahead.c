/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Looking ahead costs as much as looking when it is due, so it is done only while it
 * finds something: for some time after a chain that was not translated, or after the
 * frontend took a translation back.  A guest whose mappings stay has neither.
 */

#include <rte_common.h>

#include "net_ahead.h"
#include "ring.h"
#include "ring_iova.h"
#include "vhost_virtqueue.h"

void
vhost_net_look_ahead(struct vhost_virtqueue *vq)
{
	const unsigned int format = vq->cfg.format;
	/* rings that the guest receives from have even numbers */
	const bool write = vq->cfg.index % 2 == 0;
	struct ring_iova *iova = vq->iova;
	uint16_t available = RTE_MIN(ring_available(vq, format), (uint16_t)RING_IOVA_AHEAD);
	struct vq_chain chain;

	while (iova->eager > 0 && !ring_iova_wants_enough(iova) &&
			ring_offers(vq, iova->ahead, available, format)) {
		int got = ring_gather(vq, iova->ahead, write, vq->pieces, VHOST_MAX_PIECES,
				&chain, format);

		/* what could not be noted is looked at again */
		if (got == -EAGAIN && ring_iova_wants_enough(iova))
			return;
		iova->ahead += chain.places;
		iova->eager -= got != -EAGAIN;
	}
}
