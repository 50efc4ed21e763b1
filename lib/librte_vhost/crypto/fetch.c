/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Requests of a ring become operations.
 *
 * The header is copied once and judged; a vector, a digest to check and, unless the
 * device works in guest memory, the data are copied once.  A chain that is no request
 * is answered on the spot, so that one bad request costs the guest that request only.
 */

#include <rte_cryptodev.h>

#include "rte_vhost_crypto.h"

#include "crypto/burst.h"
#include "crypto/stream.h"
#include "net_notify.h"

/** One chain and what becomes of it. */
struct fetch {
	struct vhost_virtqueue *vq;
	struct crypto_block *block;
	const struct crypto_session *table;
	struct vq_chain chain;
	struct crypto_stream in;	/**< what we read */
	struct crypto_stream out;	/**< what we write */
	struct vq_piece status;	/**< the last byte of that */
	const struct crypto_session *session;
	struct crypto_request request;
};

/** The guest address of a piece that was translated a moment ago. */
static inline uint64_t
gpa_of(const struct virtio_net *net, const uint8_t *host)
{
	uint64_t gpa, offset = (uintptr_t)host - net->regions[0].host;

	if (likely(offset < net->regions[0].size))
		return net->regions[0].gpa + offset;
	/* it is in one of the regions, so that cannot fail */
	return vhost_virtio_net_gpa(net, host, &gpa) ? gpa : UINT64_MAX;
}

/* Data */

/** A piece of guest memory as the data of a buffer. */
static void
point_at(struct rte_mbuf *mbuf, struct vq_piece piece)
{
	mbuf->buf_addr = piece.base;
	rte_mbuf_iova_set(mbuf, (uintptr_t)piece.base);
	mbuf->buf_len = piece.len;
	mbuf->data_off = 0;
	mbuf->data_len = piece.len;
	mbuf->pkt_len = piece.len;
}

/**
 * Work in guest memory: where the source lies in one piece, and the destination as well
 * in another one, or in that.
 *
 * @param chain  part of the data may be left alone, which only works in place
 */
static bool
use_guest_memory(struct fetch *f, struct crypto_slot *slot, bool chain)
{
	struct crypto_stream in = f->in, out = f->out;
	const uint32_t len = f->request.src_len;
	struct vq_piece from = crypto_stream_next(&in, len), to = crypto_stream_next(&out, len);

	if (from.len != len || to.len != len || len > UINT16_MAX)
		return false;
	if (from.base != to.base) {
		if (chain || (from.base < to.base + len && to.base < from.base + len))
			return false;
		slot->target = crypto_block_take_mbuf(f->block);
		point_at(slot->target, to);
	}
	point_at(slot->mbuf, from);
	slot->in_place = true;
	f->in = in;
	f->out = out;
	return true;
}

/** Note that bytes of the buffer go to the next bytes of what we write, if there are so many. */
static inline bool
note_results(struct fetch *f, struct crypto_slot *slot, uint32_t from, uint32_t len)
{
	while (len > 0) {
		struct vq_piece to = crypto_stream_next(&f->out, len);

		if (unlikely(to.len == 0 || slot->nresults == RTE_DIM(slot->results)))
			return false;
		slot->results[slot->nresults++] = (struct crypto_result){
			.gpa = gpa_of(f->vq->net, to.base), .len = to.len, .from = from,
		};
		from += to.len;
		len -= to.len;
	}
	return true;
}

/** Go past bytes of what we write: whether there are so many. */
static bool
skip(struct crypto_stream *stream, uint32_t len)
{
	while (len > 0) {
		struct vq_piece next = crypto_stream_next(stream, len);

		if (next.len == 0)
			return false;
		len -= next.len;
	}
	return true;
}

/** Copy the source; the result comes back from the same buffer. */
static uint8_t
use_copy(struct fetch *f, struct crypto_slot *slot)
{
	const uint32_t len = f->request.src_len;
	struct rte_mbuf *mbuf = slot->mbuf;

	if (len > VHOST_CRYPTO_MAX_DATA_SIZE)
		return VIRTIO_CRYPTO_ERR;
	mbuf->data_len = len;
	mbuf->pkt_len = len;
	if (unlikely(crypto_stream_copy(&f->in, crypto_ticket(mbuf)->buffer +
				RTE_PKTMBUF_HEADROOM, len) != len) ||
			unlikely(!note_results(f, slot, RTE_PKTMBUF_HEADROOM, len)))
		return VIRTIO_CRYPTO_BADMSG;
	return VIRTIO_CRYPTO_OK;
}

static uint8_t
use_data(struct fetch *f, struct crypto_slot *slot)
{
	uint8_t status = VIRTIO_CRYPTO_OK;

	if (f->block->cfg.map == NULL ||
			!use_guest_memory(f, slot, f->session->digest_len != 0))
		status = use_copy(f, slot);
	if (unlikely(!skip(&f->out, f->request.dst_len - f->request.src_len)))
		return VIRTIO_CRYPTO_BADMSG;
	return status;
}

/** The digest's place in the buffer: filled when there is one to check. */
static bool
use_digest(struct fetch *f, struct crypto_slot *slot, struct rte_crypto_sym_op *sym)
{
	const struct crypto_ticket *ticket = crypto_ticket(slot->mbuf);
	const uint32_t at = f->block->digest_at;

	sym->auth.data.offset = f->request.hash_at;
	sym->auth.data.length = f->request.hash_len;
	sym->auth.digest.data = ticket->buffer + at;
	sym->auth.digest.phys_addr = ticket->iova + at;
	if (!f->session->verify)
		return note_results(f, slot, at, f->session->digest_len);
	return crypto_stream_copy(&f->in, ticket->buffer + at, f->session->digest_len) ==
		f->session->digest_len;
}

/* Requests */

/** Nearly all ciphers have one of 16 bytes. */
static inline bool
copy_vector(struct fetch *f, uint8_t *to)
{
	const uint32_t len = f->session->iv_len;

	return likely(len == 16) ? crypto_stream_copy_exactly(&f->in, to, 16) :
		crypto_stream_copy(&f->in, to, len) == len;
}

/**
 * Vector and data of nearly every request: one piece each, of the very length.  They are
 * copied; what follows is done with the streams.
 */
static inline bool
copy_plain(struct fetch *f, struct crypto_slot *slot, uint8_t *vector)
{
	const struct vq_piece *in = f->in.piece, *out = f->out.piece;
	const uint32_t len = f->request.src_len;
	struct rte_mbuf *mbuf = slot->mbuf;

	if (f->block->cfg.map != NULL || len > VHOST_CRYPTO_MAX_DATA_SIZE || f->in.at != 0 ||
			f->in.left < 2 || f->out.left == 0 || f->session->iv_len != 16 ||
			in[0].len != 16 || in[1].len != len || out->len != f->request.dst_len)
		return false;
	memcpy(vector, in[0].base, 16);
	memcpy(crypto_ticket(mbuf)->buffer + RTE_PKTMBUF_HEADROOM, in[1].base, len);
	mbuf->data_len = len;
	mbuf->pkt_len = len;
	slot->results[0] = (struct crypto_result){
		.gpa = gpa_of(f->vq->net, out->base), .len = len, .from = RTE_PKTMBUF_HEADROOM,
	};
	slot->nresults = 1;
	f->in = crypto_stream(in + 2, f->in.left - 2);
	f->out = crypto_stream(out + 1, f->out.left - 1);
	return true;
}

/** The same of any request: VIRTIO_CRYPTO_OK, or what the guest is told. */
static uint8_t
copy_any(struct fetch *f, struct crypto_slot *slot, uint8_t *vector)
{
	return copy_vector(f, vector) ? use_data(f, slot) : VIRTIO_CRYPTO_BADMSG;
}

/** Fill an operation and its slot: VIRTIO_CRYPTO_OK, or what the guest is told. */
static uint8_t
fill(struct fetch *f, struct crypto_slot *slot, uint16_t number, struct rte_crypto_op *op)
{
	struct rte_crypto_sym_op *sym = op->sym;
	uint8_t *vector = rte_crypto_op_ctod_offset(op, uint8_t *, CRYPTO_IV_OFFSET);
	uint8_t status;

	if (!copy_plain(f, slot, vector)) {
		status = copy_any(f, slot, vector);
		if (unlikely(status != VIRTIO_CRYPTO_OK))
			return status;
	}
	if (f->session->digest_len != 0 && unlikely(!use_digest(f, slot, sym)))
		return VIRTIO_CRYPTO_BADMSG;
	slot->session = f->session->session;
	slot->head = f->chain.id;
	slot->status_gpa = gpa_of(f->vq->net, f->status.base);
	slot->used_len = f->request.written + f->status.len;
	crypto_ticket(slot->mbuf)->slot = number;
	op->type = RTE_CRYPTO_OP_TYPE_SYMMETRIC;
	op->sess_type = RTE_CRYPTO_OP_WITH_SESSION;
	op->status = RTE_CRYPTO_OP_STATUS_NOT_PROCESSED;
	sym->m_src = slot->mbuf;
	sym->m_dst = slot->target;
	sym->session = slot->session;
	sym->cipher.data.offset = f->request.cipher_at;
	sym->cipher.data.length = f->request.cipher_len;
	return VIRTIO_CRYPTO_OK;
}

/** Copy the header and judge it. */
static inline uint8_t
check(struct fetch *f)
{
	struct virtio_crypto_op_data_req head;

	if (unlikely(!crypto_stream_copy_exactly(&f->in, &head, sizeof(head))))
		return VIRTIO_CRYPTO_BADMSG;
	/* only the copy is looked at, also by a compiler that sees all of this */
	rte_compiler_barrier();
	f->session = crypto_session_find(f->table, crypto_request_session(&head));
	if (unlikely(f->session == NULL || f->session->session == NULL))
		return VIRTIO_CRYPTO_INVSESS;
	return vhost_crypto_request_check(&head, f->session, &f->request);
}

/** The gathered pieces as what we read, and what we write up to the status, which is the last byte. */
static inline void
divide(struct fetch *f, unsigned int n, unsigned int nread)
{
	struct vq_piece *pieces = f->vq->pieces, *last = &pieces[n - 1];

	f->status = (struct vq_piece){ last->base + --last->len, 1 };
	f->in = crypto_stream(pieces, nread);
	f->out = crypto_stream(pieces + nread, n - nread - (last->len == 0));
}

/** Make an operation of a chain: VIRTIO_CRYPTO_OK, or what the guest is told. */
static inline uint8_t
translate(struct fetch *f, unsigned int n, unsigned int nread, struct rte_crypto_op *op,
		struct crypto_slot *slot, uint16_t number)
{
	uint8_t status;

	divide(f, n, nread);
	status = check(f);
	return likely(status == VIRTIO_CRYPTO_OK) ? fill(f, slot, number, op) : status;
}

/* Gathering */

/** Parts that we read of what nearly every request is: header, vector, source. */
#define PLAIN_READ 3
/** Flags, and the number of the next, of all but the last one. */
#define PLAIN(write, next) (VRING_DESC_F_NEXT | (write) | (next) << 16)

static const uint32_t plain_parts[] = {
	PLAIN(0, 1), PLAIN(0, 2), PLAIN(0, 3), PLAIN(VRING_DESC_F_WRITE, 4),
	PLAIN(VRING_DESC_F_WRITE, 5), PLAIN(VRING_DESC_F_WRITE, 6),
};

/**
 * What nearly every request is: an indirect table of the parts in their order, one
 * descriptor each, in one piece of memory each.  The same comes out of
 * ring_gather_both(), later.
 *
 * @return the number of pieces, the first PLAIN_READ of which are to be read; 0 if it is
 *         something else, or wrong
 */
static __rte_always_inline unsigned int
gather_plain(struct fetch *f, unsigned int flags)
{
	const struct virtio_net *net = f->vq->net;
	const struct ring_run next = { .n = 1 };
	struct vq_piece *pieces = f->vq->pieces;
	const uint8_t *table;
	struct vring_desc desc;
	unsigned int n;

	f->chain.places = 1;
	if (unlikely(!ring_run_first(f->vq, &next, 0, &f->chain.id, &desc, flags)))
		return 0;
	n = desc.len / sizeof(struct ring_words);
	if (unlikely(desc.flags != VRING_DESC_F_INDIRECT || n <= PLAIN_READ ||
			n > RTE_DIM(plain_parts)))
		return 0;
	table = virtio_net_host(net, desc.addr, desc.len);
	if (unlikely(table == NULL))
		return 0;
	for (unsigned int i = 0; i < n; i++) {
		struct ring_words words = ring_read_words(table + i * sizeof(words));
		/* the last one has no next, whatever it says */
		uint32_t rest = words.rest >> 32, wanted = plain_parts[i];

		if (i + 1 == n) {
			rest &= UINT16_MAX;
			wanted = VRING_DESC_F_WRITE;
		}
		pieces[i].len = words.rest;
		pieces[i].base = virtio_net_host(net, words.addr, pieces[i].len);
		if (unlikely(rest != wanted || pieces[i].base == NULL || pieces[i].len == 0))
			return 0;
	}
	return n;
}

/** The memory of the next chain: as ring_gather_both(). */
static __rte_always_inline int
gather(struct fetch *f, unsigned int *nread, unsigned int flags)
{
	unsigned int n = gather_plain(f, flags);

	*nread = PLAIN_READ;
	return likely(n > 0) ? (int)n : ring_gather_both(f->vq, 0, f->vq->pieces,
			VHOST_CRYPTO_MAX_N_DESC, &f->chain, nread, flags);
}

/** A chain goes back at once: with a status, if there is a place for one. */
static __rte_noinline void
refuse(struct fetch *f, bool has_status, uint8_t status, unsigned int flags)
{
	if (has_status) {
		*f->status.base = status;
		if (flags & VQ_LOG)
			vhost_ring_log_data(f->vq, f->status.base, f->status.len);
	}
	ring_put(f->vq, 0, f->chain.id, f->chain.places, has_status, flags);
	ring_give(f->vq, 1, flags);
}

/** Fill one operation from the next chain that is a request: false when there is none. */
static __rte_always_inline bool
fetch_one(struct fetch *f, struct crypto_slot *slot, uint16_t number, uint16_t *left,
		struct rte_crypto_op *op, unsigned int flags)
{
	uint8_t status = VIRTIO_CRYPTO_ERR;

	while (*left > 0) {
		unsigned int nread;
		int n = gather(f, &nread, flags);
		bool has_status = n > 0 && (unsigned int)n > nread;

		ring_take(f->vq, 1, flags);
		--*left;
		if (unlikely(n == -ENOENT))
			continue;
		if (has_status)
			status = translate(f, n, nread, op, slot, number);
		if (likely(has_status && status == VIRTIO_CRYPTO_OK))
			return true;
		refuse(f, has_status, status, flags);
		crypto_block_clear(f->block, slot);
	}
	return false;
}

/** Fill operations as long as there are requests, and slots for them. */
static __rte_always_inline uint16_t
fetch_ring(struct vhost_virtqueue *vq, struct crypto_block *block,
		const struct crypto_session *table, struct rte_crypto_op **ops, uint16_t nb_ops,
		unsigned int flags)
{
	struct fetch f = { .vq = vq, .block = block, .table = table };
	const uint16_t used = vq->state.last_used_idx;
	struct crypto_slot *slot;
	uint16_t done = 0, left, number;

	ring_renew_kick_request(vq, flags);
	left = ring_available(vq, flags);
	while (done < nb_ops && left > 0) {
		slot = crypto_block_take(block, &number);
		if (slot == NULL)
			break;
		if (fetch_one(&f, slot, number, &left, ops[done], flags))
			done++;
		else
			crypto_block_give(block, slot);
	}
	net_notify(vq, used, flags);
	return done;
}

/** Inside a lane. */
static uint16_t
fetch_lane(struct vhost_crypto *c, const struct crypto_lane *lane, struct vhost_queue *q,
		struct rte_crypto_op **ops, uint16_t nb_ops)
{
	struct vhost_virtqueue *vq;
	uint16_t done = 0;

	if (lane->block == NULL || lane->paused)
		return 0;
	vq = vhost_gate_try_enter(&q->gate);
	if (vq == NULL)
		return 0;
	if (vq->size == 0 || !vq->attr.enabled || (vq->cfg.format & VQ_PACKED))
		done = 0;
	else if (vq->cfg.format & VQ_LOG)
		done = fetch_ring(vq, lane->block, c->sessions.table, ops, nb_ops, VQ_LOG);
	else
		done = fetch_ring(vq, lane->block, c->sessions.table, ops, nb_ops, 0);
	vhost_gate_leave(&q->gate);
	return done;
}

uint16_t
rte_vhost_crypto_fetch_requests(int vid, uint32_t qid, struct rte_crypto_op **ops,
		uint16_t nb_ops)
{
	struct vhost_crypto *c = vhost_crypto_get(vid);
	struct vhost_queue *q;
	uint16_t done;

	if (unlikely(c == NULL || ops == NULL))
		return 0;
	q = vhost_device_queue(c->dev, qid);
	if (unlikely(q == NULL))
		return 0;
	rte_spinlock_lock(&c->lanes[qid].lock);
	done = fetch_lane(c, &c->lanes[qid], q, ops,
		RTE_MIN(nb_ops, VHOST_CRYPTO_MAX_BURST_SIZE));
	rte_spinlock_unlock(&c->lanes[qid].lock);
	return done;
}
