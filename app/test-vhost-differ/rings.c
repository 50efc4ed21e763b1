/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Steps of the driver, good or hostile, and of the application. */

#include <stdlib.h>
#include <string.h>

#include <rte_hash_crc.h>
#include <rte_mbuf.h>
#include <rte_vhost.h>

#include "differ.h"

#define BURST 32
/** No region is there. */
#define NOWHERE 0x7f0000000000ULL

/** Even rings are for packets to the guest. */
static bool
is_to_guest(const struct fake_vq *vq)
{
	return vq->index % 2 == 0;
}

static struct fake_vq *
ring_of(const struct play *play)
{
	return &play->fe->vqs[word(play, 1) % play->fe->nvrings];
}

static struct fake_shape
shape_of(const struct play *play, unsigned int i)
{
	return (struct fake_shape){
		.header = word(play, i), .seg = word(play, i + 1),
		.indirect = word(play, i + 2) != 0,
	};
}

/* fill RING COUNT LENGTH HEADER SEGMENT INDIRECT: buffers for packets to the guest */
STEP(fill)
{
	struct fake_shape shape = shape_of(play, 4);

	tell("%u", fake_rx_fill(ring_of(play), word(play, 2) % 64, word(play, 3), &shape));
}

/* send RING LENGTH HEADER SEGMENT INDIRECT FLAGS GSO: a packet from the guest */
STEP(send)
{
	struct virtio_net_hdr_mrg_rxbuf header = {
		.hdr = {
			.flags = word(play, 6), .gso_type = word(play, 7),
			.csum_start = 14, .csum_offset = 16, .hdr_len = 54, .gso_size = 100,
		},
	};
	struct fake_shape shape = shape_of(play, 3);
	uint8_t packet[2048];
	size_t len = RTE_MIN(word(play, 2), sizeof(packet) - 16);

	fake_pattern(packet, sizeof(packet), len);
	tell("%d", fake_tx_send(ring_of(play), &header, packet, len, &shape));
}

/* offer RING REGION OFFSET LENGTH WRITE: memory of the input's choice, in front of its region or behind it as well */
STEP(offer)
{
	const struct fake *fe = play->fe;
	uint64_t region = word(play, 2);
	uint64_t gpa = region < fe->nregions ? fe->regions[region].wire.gpa : NOWHERE;
	struct fake_vq *vq = ring_of(play);

	tell("%d", fake_offer_at(vq, gpa + word(play, 3), word(play, 4), word(play, 5) != 0));
	fake_kick(vq);
}

/* spoil RING FIELD PLACE VALUE: what the driver has in its ring */
STEP(spoil)
{
	struct fake_vq *vq = ring_of(play);
	uint32_t at = word(play, 3) % vq->size;
	uint64_t value = word(play, 4);
	bool packed = vq->ops == &fake_packed_ring;

	switch (word(play, 2)) {
	case 0:
		if (packed)
			vq->packed[at].len = value;
		else
			vq->desc[at].len = value;
		break;
	case 1:
		if (packed)
			vq->packed[at].flags ^= value;
		else
			vq->desc[at].flags ^= value;
		break;
	case 2:
		if (packed)
			vq->packed[at].id = value;
		else
			vq->desc[at].next = value;
		break;
	case 3:
		if (packed)
			vq->packed[at].addr += value;
		else
			vq->desc[at].addr += value;
		break;
	case 4:
		if (!packed)
			vq->avail->ring[at] = value;
		break;
	case 5:
		if (!packed)
			vq->avail->idx += value;
		break;
	default:
		if (packed)
			vq->driver_event->flags = value;
		else
			vq->avail->flags = value;
	}
	tell("done");
}

static uint32_t
sum_of(struct rte_mbuf *m)
{
	uint32_t sum = 0;

	for (; m != NULL; m = m->next)
		sum = rte_hash_crc(rte_pktmbuf_mtod(m, void *), m->data_len, sum);
	return sum;
}

/* dequeue RING COUNT */
STEP(dequeue)
{
	struct fake_vq *vq = ring_of(play);
	struct rte_mbuf *packets[BURST];
	uint16_t i, n;

	n = rte_vhost_dequeue_burst(play->fe->vid, vq->index, fake_pool(), packets,
		RTE_MIN(word(play, 2), (uint64_t)BURST));
	tell("%u", n);
	for (i = 0; i < n; i++)
		tell(" %u:%u:%#jx:%u:%08x", packets[i]->pkt_len, packets[i]->nb_segs,
			(uintmax_t)packets[i]->ol_flags, packets[i]->tso_segsz, sum_of(packets[i]));
	rte_pktmbuf_free_bulk(packets, n);
}

/* enqueue RING COUNT LENGTH SEGMENT */
STEP(enqueue)
{
	unsigned int i, n = RTE_MIN(word(play, 2), (uint64_t)BURST);
	size_t len = RTE_MIN(word(play, 3), UINT64_C(9000));
	struct fake_vq *vq = ring_of(play);
	struct rte_mbuf *packets[BURST];

	for (i = 0; i < n; i++)
		packets[i] = fake_mbuf(len, i, word(play, 4));
	tell("%u", rte_vhost_enqueue_burst(play->fe->vid, vq->index, packets, n));
	rte_pktmbuf_free_bulk(packets, n);
}

/** What is told of a used ring; of packed ones every descriptor. */
static void
tell_ring(const struct fake_vq *vq)
{
	uint16_t i;

	if (vq->ops == &fake_packed_ring) {
		for (i = 0; i < vq->size; i++)
			tell(" %u:%u:%#x", vq->packed[i].id, vq->packed[i].len, vq->packed[i].flags);
		return;
	}
	tell("%u", vq->used->idx);
	for (i = 0; i < RTE_MIN(vq->used->idx, (uint16_t)vq->size); i++)
		tell(" %u:%u", vq->used->ring[i].id, vq->used->ring[i].len);
}

/* look RING: what the device has done with it */
STEP(look)
{
	struct fake_vq *vq = ring_of(play);
	uint64_t size = fake_vq_buffer_bytes(play->fe);
	const void *buffers = fake_va(play->fe, vq->slots_gpa, size);

	tell_ring(vq);
	if (is_to_guest(vq) && buffers != NULL)
		tell(" memory %08x", rte_hash_crc(buffers, size, 0));
	tell(" interrupted %d", fake_interrupts(vq) > 0);
}
