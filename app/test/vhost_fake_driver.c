/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Buffers and packets over any ring format; see vhost_fake_driver.h. */

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include <rte_mbuf.h>

#include "test.h"
#include "vhost_fake_backend.h"
#include "vhost_fake_frontend.h"

#define TABLE_ENTRIES 128
#define TABLE_BYTES (TABLE_ENTRIES * sizeof(struct vring_desc))

/* Between two segments of a buffer; what the device writes there is wrong. */
#define SEG_GUARD 4
#define SLOT_GUARDS 4096

/*
 * How long a burst is repeated: one that meets a message being handled may
 * return nothing, although there is something.
 */
#define BURST_MS 500

#define MAX_PACKET 70000

/* ---- the ring ---- */

uint64_t
fake_vq_ring_bytes(const struct fake *fe)
{
	uint64_t n = fe->cfg.ring_size;

	return RTE_ALIGN_CEIL(n * sizeof(struct vring_desc), 4096) +
		RTE_ALIGN_CEIL(6 + 2 * n, 4096) +
		RTE_ALIGN_CEIL(6 + 8 * n, 4096) + 4096;
}

uint64_t
fake_vq_buffer_bytes(const struct fake *fe)
{
	return (uint64_t)fe->cfg.ring_size *
		(fe->cfg.buf_size + SLOT_GUARDS + TABLE_BYTES) + 2 * 4096;
}

unsigned int
fake_header_len(const struct fake *fe)
{
	return fe->features & (FE_BIT(VIRTIO_NET_F_MRG_RXBUF) |
		FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_F_RING_PACKED)) ?
		12 : 10;
}

static int
alloc_guest_parts(struct fake_vq *vq)
{
	struct fake *fe = vq->fe;
	unsigned int last = fe->nregions - 1;

	vq->desc_gpa = fake_alloc(fe, 0, fake_vq_ring_bytes(fe) - 4096, 4096);
	vq->slots_gpa = fake_alloc(fe, last,
		(uint64_t)vq->size * vq->slot_stride, 64);
	vq->tables_gpa = fake_alloc(fe, last, vq->size * TABLE_BYTES, 64);
	return vq->desc_gpa && vq->slots_gpa && vq->tables_gpa ? 0 : -1;
}

int
fake_vq_init(struct fake *fe, unsigned int index)
{
	struct fake_vq *vq = &fe->vqs[index];

	vq->fe = fe;
	vq->index = index;
	vq->ops = fe->cfg.format == FAKE_PACKED ? &fake_packed_ring :
		&fake_split_ring;
	vq->size = fe->cfg.ring_size;
	vq->slot_size = fe->cfg.buf_size;
	vq->slot_stride = fe->cfg.buf_size + SLOT_GUARDS;
	vq->kickfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vq->callfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vq->next_free = calloc(vq->size, sizeof(*vq->next_free));
	vq->slots = calloc(vq->size, sizeof(*vq->slots));
	if (vq->kickfd < 0 || vq->callfd < 0 || vq->next_free == NULL ||
			vq->slots == NULL || alloc_guest_parts(vq) < 0)
		return -1;
	vq->ops->layout(vq);
	fake_vq_reset(vq);
	return 0;
}

void
fake_vq_fini(struct fake_vq *vq)
{
	if (vq->kickfd >= 0)
		close(vq->kickfd);
	if (vq->callfd >= 0)
		close(vq->callfd);
	free(vq->next_free);
	free(vq->slots);
}

void
fake_vq_reset(struct fake_vq *vq)
{
	uint64_t bytes = fake_vq_ring_bytes(vq->fe) - 4096;
	void *ring = fake_va(vq->fe, vq->desc_gpa, bytes);

	if (ring != NULL)
		memset(ring, 0, bytes);
	vq->avail_idx = vq->shown_idx = vq->used_idx = 0;
	vq->avail_wrap = vq->shown_wrap = vq->used_wrap = true;
	vq->nb_hidden = 0;
	vq->knows_used = false;
	vq->free_head = vq->oldest = 0;
	vq->nb_free = vq->size;
	for (uint32_t i = 0; i < vq->size; i++) {
		vq->next_free[i] = (i + 1) % vq->size;
		vq->slots[i] = (struct fake_slot){ 0 };
	}
}

bool
fake_in_order(const struct fake *fe)
{
	return fe->features & FE_BIT(VIRTIO_F_IN_ORDER);
}

/*
 * A device that keeps the order may write one used entry for many chains, that
 * of the last (virtio 1.2, 2.7.9): those before it are then used as well.
 */
int
fake_collect(struct fake_vq *vq, uint32_t *len)
{
	uint32_t id;

	if (!vq->knows_used)
		vq->knows_used = vq->ops->used(vq, &vq->used_id, &vq->used_len);
	if (!vq->knows_used)
		return -1;
	id = fake_in_order(vq->fe) ? vq->oldest : vq->used_id;
	vq->knows_used = id != vq->used_id;
	if (id >= vq->size || vq->slots[id].nb_desc == 0) {
		printf("fake: ring %u: used id %u at %u: not ours\n", vq->index,
			vq->used_id, vq->used_idx);
		vq->fe->broken = true;
		vq->knows_used = false;
		return -1;
	}
	if (len != NULL)
		*len = vq->knows_used ? vq->slots[id].len : vq->used_len;
	vq->oldest = (id + vq->slots[id].nb_desc) % vq->size;
	vq->ops->take(vq, id);
	return id;
}

bool
fake_is_base(const struct fake_vq *vq, int64_t base)
{
	uint32_t expected = vq->ops->base(vq);

	/* Old backends tell the lower half of the packed ring's only. */
	return base == expected || base == (expected & UINT16_MAX);
}

/* ---- buffers ---- */

/** Append pieces of at most max bytes (0: one piece); the new number. */
static unsigned int
cut(struct fake_seg *segs, unsigned int n, uint64_t *gpa, uint32_t len,
		uint32_t max, bool write)
{
	while (len > 0 && n < FAKE_MAX_SEGS) {
		uint32_t piece = max > 0 ? RTE_MIN(max, len) : len;

		segs[n++] = (struct fake_seg){ *gpa, piece, write };
		*gpa += piece + SEG_GUARD;
		len -= piece;
	}
	return n;
}

/** The segments of a slot, always the same for the same slot. */
static unsigned int
cut_slot(const struct fake_slot *slot, bool write, struct fake_seg *segs)
{
	const struct fake_shape *shape = &slot->shape;
	uint32_t header = RTE_MIN(shape->header, slot->len);
	uint64_t gpa = slot->gpa;
	unsigned int n;

	n = cut(segs, 0, &gpa, header, shape->header_seg, write);
	return cut(segs, n, &gpa, slot->len - header, shape->seg, write);
}

static void
paint_seg_guards(struct fake_vq *vq, const struct fake_seg *segs, unsigned int n)
{
	static const uint8_t guard[SEG_GUARD] = { 0xAA, 0xAA, 0xAA, 0xAA };

	for (unsigned int i = 0; i + 1 < n; i++)
		fake_write_guest(vq->fe, segs[i].gpa + segs[i].len, guard,
			SEG_GUARD);
}

static bool
seg_guard_intact(struct fake_vq *vq, const struct fake_seg *seg)
{
	uint8_t guard[SEG_GUARD];

	if (!fake_read_guest(vq->fe, seg->gpa + seg->len, guard, SEG_GUARD))
		return false;
	for (unsigned int i = 0; i < SEG_GUARD; i++)
		if (guard[i] != FAKE_GUARD_BYTE)
			return false;
	return true;
}

/** Copy out of a slot (to) or into it (from), from this byte of the buffer on. */
static bool
copy_slot(struct fake_vq *vq, int id, uint32_t skip, void *to, const void *from,
		size_t len)
{
	struct fake_seg segs[FAKE_MAX_SEGS];
	unsigned int n = cut_slot(&vq->slots[id], false, segs);
	size_t done = 0;

	for (unsigned int i = 0; i < n && done < len; i++) {
		uint64_t gpa = segs[i].gpa + skip;
		size_t piece;

		if (skip >= segs[i].len) {
			skip -= segs[i].len;
			continue;
		}
		piece = RTE_MIN((size_t)segs[i].len - skip, len - done);
		skip = 0;
		if (to != NULL && !fake_read_guest(vq->fe, gpa,
				(uint8_t *)to + done, piece))
			return false;
		if (from != NULL && !fake_write_guest(vq->fe, gpa,
				(const uint8_t *)from + done, piece))
			return false;
		done += piece;
	}
	return done == len;
}

static bool
slot_guards_intact(struct fake_vq *vq, int id)
{
	struct fake_seg segs[FAKE_MAX_SEGS];
	unsigned int n = cut_slot(&vq->slots[id], true, segs);

	for (unsigned int i = 0; i + 1 < n; i++)
		if (!seg_guard_intact(vq, &segs[i])) {
			printf("fake: ring %u: written behind segment %u of %u\n",
				vq->index, i, n);
			return false;
		}
	return true;
}

/** Give the next chain its memory; the slot, or NULL if the ring is full. */
static struct fake_slot *
prepare_slot(struct fake_vq *vq, uint32_t len, const struct fake_shape *shape)
{
	struct fake_slot *slot = &vq->slots[vq->free_head];

	if (vq->nb_free == 0 || len > vq->slot_size)
		return NULL;
	slot->gpa = vq->slots_gpa + (uint64_t)vq->free_head * vq->slot_stride;
	slot->len = len;
	slot->shape = shape != NULL ? *shape : (struct fake_shape){ 0 };
	return slot;
}

static int
offer_slot(struct fake_vq *vq, const struct fake_slot *slot, bool write)
{
	struct fake_seg segs[FAKE_MAX_SEGS];
	unsigned int n = cut_slot(slot, write, segs);
	bool indirect = slot->shape.indirect;

	if (indirect && n > TABLE_ENTRIES)
		return -1;
	if (write)
		paint_seg_guards(vq, segs, n);
	return vq->ops->add(vq, segs, n, indirect ?
		vq->tables_gpa + vq->free_head * TABLE_BYTES : 0);
}

int
fake_offer(struct fake_vq *vq, uint32_t len, const struct fake_shape *shape,
		bool write)
{
	struct fake_slot *slot = prepare_slot(vq, len, shape);

	return slot != NULL ? offer_slot(vq, slot, write) : -1;
}

int
fake_offer_at(struct fake_vq *vq, uint64_t gpa, uint32_t len, bool write)
{
	struct fake_seg seg = { gpa, len, write };

	vq->slots[vq->free_head] = (struct fake_slot){ .gpa = gpa, .len = len };
	return vq->ops->add(vq, &seg, 1, 0);
}

void
fake_kick(struct fake_vq *vq)
{
	uint64_t one = 1;

	if (!vq->ops->publish(vq))
		return;
	vq->kicks++;
	if (write(vq->kickfd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		vq->fe->broken = true;
}

uint64_t
fake_interrupts(struct fake_vq *vq)
{
	uint64_t n;

	return read(vq->callfd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* ---- packets ---- */

static uint8_t
pattern_at(size_t i, uint32_t seed)
{
	uint32_t x = (uint32_t)i * 2654435761u + seed * 40503u;

	return (x >> 24) ^ (x >> 11);
}

void
fake_pattern(void *buf, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = pattern_at(i, seed);
}

bool
fake_pattern_matches(const void *buf, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++)
		if (((const uint8_t *)buf)[i] != pattern_at(i, seed)) {
			printf("fake: byte %zu of %zu differs\n", i, len);
			return false;
		}
	return true;
}

unsigned int
fake_rx_fill(struct fake_vq *vq, unsigned int n, uint32_t len,
		const struct fake_shape *shape)
{
	unsigned int i = 0;

	while (i < n && fake_offer(vq, len, shape, true) >= 0)
		i++;
	fake_kick(vq);
	return i;
}

/** One used buffer's bytes after the first skip; how many, or -2. */
static int
read_used(struct fake_vq *vq, int id, uint32_t used_len, uint32_t skip,
		void *buf, size_t room)
{
	if (used_len > vq->slots[id].len || used_len < skip ||
			used_len - skip > room) {
		printf("fake: ring %u: %u bytes used of a buffer of %u\n",
			vq->index, used_len, vq->slots[id].len);
		return -2;
	}
	if (!copy_slot(vq, id, skip, buf, NULL, used_len - skip) ||
			!slot_guards_intact(vq, id))
		return -2;
	return used_len - skip;
}

int
fake_rx_take(struct fake_vq *vq, fake_net_hdr *hdr, void *buf, size_t size)
{
	unsigned int hlen = fake_header_len(vq->fe), buffers = 1;
	fake_net_hdr h = { .num_buffers = 1 };
	uint32_t used_len;
	int id = fake_collect(vq, &used_len), total;

	if (id < 0)
		return -1;
	if (used_len < hlen)
		return -2;
	copy_slot(vq, id, 0, &h, NULL, hlen);
	if (hdr != NULL)
		*hdr = h;
	if (vq->fe->features & FE_BIT(VIRTIO_NET_F_MRG_RXBUF))
		buffers = h.num_buffers;
	total = read_used(vq, id, used_len, hlen, buf, size);
	while (total >= 0 && --buffers > 0) {
		int n = -2;

		id = fake_collect(vq, &used_len);
		if (id >= 0)
			n = read_used(vq, id, used_len, 0, (char *)buf + total,
				size - total);
		total = n < 0 ? n : total + n;
	}
	return total;
}

bool
fake_tx_send(struct fake_vq *vq, const fake_net_hdr *hdr, const void *pkt,
		size_t len, const struct fake_shape *shape)
{
	static const fake_net_hdr none;
	unsigned int hlen = fake_header_len(vq->fe);
	struct fake_slot *slot = prepare_slot(vq, hlen + len, shape);
	int id = vq->free_head;

	if (slot == NULL ||
			!copy_slot(vq, id, 0, NULL, hdr ? hdr : &none, hlen) ||
			!copy_slot(vq, id, hlen, NULL, pkt, len) ||
			offer_slot(vq, slot, false) < 0)
		return false;
	fake_kick(vq);
	return true;
}

unsigned int
fake_tx_reap(struct fake_vq *vq)
{
	unsigned int n = 0;

	while (fake_collect(vq, NULL) >= 0)
		n++;
	return n;
}

/* ---- the device's side ---- */

struct rte_mbuf *
fake_mbuf(size_t len, uint32_t seed, size_t seg_len)
{
	struct rte_mbuf *first = rte_pktmbuf_alloc(fake_pool()), *last = first;
	size_t done = 0;

	if (seg_len == 0)
		seg_len = 2048;
	while (last != NULL) {
		size_t n = RTE_MIN(len - done, seg_len);
		char *at = rte_pktmbuf_append(last, n);

		for (size_t i = 0; at != NULL && i < n; i++)
			at[i] = pattern_at(done + i, seed);
		if (last != first) {
			/* Chained by hand: append() works on single segments. */
			first->pkt_len += n;
			first->nb_segs++;
		}
		done += n;
		if (done == len)
			break;
		last->next = rte_pktmbuf_alloc(fake_pool());
		last = last->next;
	}
	if (last == NULL)
		rte_pktmbuf_free(first);
	return last != NULL ? first : NULL;
}

size_t
fake_mbuf_read(const struct rte_mbuf *m, void *buf, size_t size)
{
	size_t done = 0;

	for (; m != NULL; m = m->next) {
		size_t n = RTE_MIN((size_t)m->data_len, size - done);

		memcpy((char *)buf + done, rte_pktmbuf_mtod(m, void *), n);
		done += n;
	}
	return done;
}

bool
fake_mbuf_matches(const struct rte_mbuf *m, size_t len, uint32_t seed)
{
	static _Thread_local uint8_t buf[MAX_PACKET];

	if (m->pkt_len != len || fake_mbuf_read(m, buf, sizeof(buf)) != len) {
		printf("fake: packet of %u bytes, expected %zu\n", m->pkt_len, len);
		return false;
	}
	return fake_pattern_matches(buf, len, seed);
}

unsigned int
fake_backend_send(struct fake *fe, unsigned int pair, size_t len, uint32_t seed)
{
	struct rte_mbuf *m = fake_mbuf(len, seed, 0);
	uint64_t until = fake_now_ms() + BURST_MS;
	unsigned int sent = 0;

	while (m != NULL && sent == 0 && fake_now_ms() < until)
		sent = fake_enqueue_burst(fe->vid, 2 * pair, &m, 1);
	rte_pktmbuf_free(m);
	return sent;
}

struct rte_mbuf *
fake_backend_receive(struct fake *fe, unsigned int pair)
{
	uint64_t until = fake_now_ms() + BURST_MS;
	struct rte_mbuf *m;

	do {
		if (fake_dequeue_burst(fe->vid, 2 * pair + 1, fake_pool(),
				&m, 1) == 1)
			return m;
	} while (fake_now_ms() < until);
	return NULL;
}

int
fake_to_host(struct fake *fe, unsigned int pair, size_t len,
		const struct fake_shape *shape)
{
	static _Thread_local uint8_t pkt[MAX_PACKET];
	struct fake_vq *vq = &fe->vqs[2 * pair + 1];
	struct rte_mbuf *m;
	bool same;

	fake_pattern(pkt, len, len);
	if (!fake_tx_send(vq, NULL, pkt, len, shape))
		return -1;
	m = fake_backend_receive(fe, pair);
	if (m == NULL)
		return -1;
	same = fake_mbuf_matches(m, len, len);
	rte_pktmbuf_free(m);
	return same && fake_tx_reap(vq) == 1 ? (int)len : -1;
}

int
fake_to_guest(struct fake *fe, unsigned int pair, size_t len,
		const struct fake_shape *shape, uint32_t buf_len)
{
	static _Thread_local uint8_t pkt[MAX_PACKET];
	struct fake_vq *vq = &fe->vqs[2 * pair];
	uint32_t whole = len + fake_header_len(fe);

	if (buf_len == 0)
		buf_len = RTE_MIN(whole, vq->slot_size);
	/* A mergeable packet may need several buffers. */
	if (fake_rx_fill(vq, (whole + buf_len - 1) / buf_len, buf_len, shape) == 0)
		return -1;
	if (fake_backend_send(fe, pair, len, len + 1) != 1)
		return -1;
	if (fake_rx_take(vq, NULL, pkt, sizeof(pkt)) != (int)len)
		return -1;
	return fake_pattern_matches(pkt, len, len + 1) ? (int)len : -1;
}

int
fake_round_trip(struct fake *fe, unsigned int pair, size_t len)
{
	if (fake_to_host(fe, pair, len, NULL) < 0)
		return -1;
	return fake_to_guest(fe, pair, len, NULL, 0);
}
