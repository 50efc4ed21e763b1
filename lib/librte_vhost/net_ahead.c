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

/**
 * Look at the chain at a place.
 *
 * @param[out] places  that it takes
 * @return whether all of its memory was noted, or is known
 */
static bool
look_at(struct vhost_virtqueue *vq, uint16_t place, uint16_t *places)
{
	const unsigned int format = vq->cfg.format;
	/* rings that the guest receives from have even numbers */
	const bool write = vq->cfg.index % 2 == 0;
	struct ring_iova *iova = vq->iova;
	struct vq_chain chain;
	int got;

	iova->blind = false;
	got = ring_gather(vq, place, write, vq->pieces, VHOST_MAX_PIECES, &chain, format);
	iova->eager -= got != -EAGAIN;
	*places = chain.places;
	return got != -EAGAIN || !(iova->blind || iova->enough);
}

void
vhost_net_look_ahead(struct vhost_virtqueue *vq)
{
	const unsigned int format = vq->cfg.format;
	struct ring_iova *iova = vq->iova;
	uint16_t available = RTE_MIN(ring_available(vq, format), (uint16_t)RING_IOVA_AHEAD);
	uint16_t place = iova->ahead, places;

	while (vhost_ring_iova_may_look_ahead(iova) &&
			ring_offers(vq, place, available, format)) {
		bool noted = look_at(vq, place, &places);

		/* where more has to be noted we come back; what is behind is noted meanwhile */
		if (noted && place == iova->ahead)
			iova->ahead += places;
		place += places;
	}
}
