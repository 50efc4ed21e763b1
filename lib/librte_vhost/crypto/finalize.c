/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Processed operations become answers.
 *
 * Cryptodevs do not keep the order of a ring, and operations of several rings come
 * mixed: what follows each other for one ring is given back together.  The guest's
 * memory and its ring may be others than when the request was fetched; they are taken
 * as they are now, or the answer is dropped if there was one already (lane.h).
 */

#include <rte_cryptodev.h>

#include "rte_vhost_crypto.h"

#include "crypto/burst.h"
#include "vhost_given.h"

/** Descriptors that the caller gets. */
struct calls {
	int *fds;
	uint16_t n;
};

/** Copy results to the guest: false when there is no memory any more for one of them. */
static inline bool
write_results(struct vhost_virtqueue *vq, const struct crypto_slot *slot, unsigned int flags)
{
	const uint8_t *buffer = crypto_ticket(slot->mbuf)->buffer;

	for (unsigned int i = 0; i < slot->nresults; i++) {
		const struct crypto_result *result = &slot->results[i];
		uint8_t *to = virtio_net_host(vq->net, result->gpa, result->len);

		if (unlikely(to == NULL))
			return false;
		memcpy(to, buffer + result->from, result->len);
		if (flags & VQ_LOG)
			vhost_ring_log_data(vq, to, result->len);
	}
	return true;
}

/** Log what a cryptodev has written to guest memory by itself. */
static inline void
log_in_place(struct vhost_virtqueue *vq, const struct crypto_slot *slot)
{
	const struct rte_mbuf *to = slot->target != NULL ? slot->target : slot->mbuf;

	vhost_ring_log_data(vq, to->buf_addr, to->data_len);
}

static inline uint8_t
status_of(const struct rte_crypto_op *op)
{
	if (likely(op->status == RTE_CRYPTO_OP_STATUS_SUCCESS))
		return VIRTIO_CRYPTO_OK;
	return op->status == RTE_CRYPTO_OP_STATUS_AUTH_FAILED ? VIRTIO_CRYPTO_BADMSG :
		VIRTIO_CRYPTO_ERR;
}

/** Answer a request as the i-th of those that go back. */
static __rte_always_inline void
answer(struct vhost_virtqueue *vq, uint16_t i, const struct crypto_slot *slot,
		const struct rte_crypto_op *op, unsigned int flags)
{
	uint8_t status = status_of(op);

	if (likely(status == VIRTIO_CRYPTO_OK) && unlikely(!write_results(vq, slot, flags)))
		status = VIRTIO_CRYPTO_ERR;
	if ((flags & VQ_LOG) && slot->in_place)
		log_in_place(vq, slot);
	crypto_write_status(vq, slot->status_gpa, status, flags);
	ring_put(vq, i, slot->head, 1, status == VIRTIO_CRYPTO_OK ? slot->used_len : 1,
		flags);
}

/** The slot of an operation that is under way in a block; NULL: it is not, or came twice. */
static inline struct crypto_slot *
slot_of(struct crypto_block *block, const struct rte_crypto_op *op)
{
	struct rte_mbuf *mbuf = op->sym->m_src;
	struct crypto_slot *slot;

	if (unlikely(mbuf == NULL))
		return NULL;
	slot = &block->slots[crypto_ticket(mbuf)->slot];
	return likely(slot->mbuf == mbuf) ? slot : NULL;
}

/** The operation is the application's alone again, its slot and buffers the block's. */
static inline void
release(struct crypto_block *block, struct crypto_slot *slot, struct rte_crypto_op *op)
{
	crypto_block_give(block, slot);
	op->sym->m_src = NULL;
	op->sym->m_dst = NULL;
}

/** Answer n operations of a ring: how many. */
static __rte_always_inline uint16_t
answer_ring(struct vhost_virtqueue *vq, struct crypto_block *block, struct rte_crypto_op **ops,
		uint16_t n, unsigned int flags)
{
	uint16_t answered = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct crypto_slot *slot = slot_of(block, ops[i]);

		if (unlikely(slot == NULL))
			continue;
		answer(vq, answered++, slot, ops[i], flags);
		release(block, slot, ops[i]);
	}
	if (answered > 0)
		ring_give(vq, answered, flags);
	return answered;
}

/** The guest wants to be told: hand its descriptor out, once. */
static void
add_call(struct calls *calls, int fd)
{
	for (uint16_t i = 0; i < calls->n; i++)
		if (calls->fds[i] == fd)
			return;
	calls->fds[calls->n++] = fd;
}

/** Inside the gate: false if there is no ring any more. */
static inline bool
answer_guest(struct vhost_virtqueue *vq, struct crypto_block *block, struct rte_crypto_op **ops,
		uint16_t n, struct calls *calls)
{
	uint16_t answered;

	if (unlikely(vq->size == 0))
		return false;
	answered = vq->cfg.format & VQ_LOG ? answer_ring(vq, block, ops, n, VQ_LOG) :
		answer_ring(vq, block, ops, n, 0);
	if (answered > 0 && vq->callfd >= 0 && ring_should_notify(vq, vq->cfg.format))
		add_call(calls, vq->callfd);
	return true;
}

/** Operations of one block that follow each other, at most n. */
static uint16_t
count_run(struct rte_crypto_op **ops, uint16_t n)
{
	const struct crypto_ticket *first = crypto_ticket(ops[0]->sym->m_src), *ticket;
	uint16_t i;

	for (i = 1; i < n && ops[i]->sym->m_src != NULL; i++) {
		ticket = crypto_ticket(ops[i]->sym->m_src);
		if (ticket->serial != first->serial || ticket->crypto != first->crypto)
			break;
	}
	return i;
}

/** Of operations whose requests have their answers, or whose ring is no more. */
static __rte_noinline void
release_all(struct crypto_block *block, struct rte_crypto_op **ops, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct crypto_slot *slot = slot_of(block, ops[i]);

		if (slot != NULL)
			release(block, slot, ops[i]);
	}
}

/** Finalize operations of one block, in its locked lane. */
static void
finalize_run(struct crypto_lane *lane, const struct crypto_ticket *ticket,
		struct rte_crypto_op **ops, uint16_t n, struct calls *calls)
{
	struct crypto_block *block = crypto_lane_find(lane, ticket->serial);
	struct vhost_queue *q = vhost_device_queue(ticket->crypto->dev, ticket->lane);
	struct vhost_virtqueue *vq = NULL;

	VHOST_GIVEN(block != NULL); /* with something under way it stays */
	/* what was left behind is answered already */
	if (likely(block == lane->block && q != NULL))
		vq = vhost_gate_enter(&q->gate);
	if (unlikely(vq == NULL || !answer_guest(vq, block, ops, n, calls)))
		release_all(block, ops, n);
	if (likely(vq != NULL))
		vhost_gate_leave(&q->gate);
}

uint16_t
rte_vhost_crypto_finalize_requests(struct rte_crypto_op **ops, uint16_t nb_ops, int *callfds,
		uint16_t *nb_callfds)
{
	struct calls calls = { .fds = callfds };
	uint16_t done = 0, n;

	while (done < nb_ops && calls.n < VIRTIO_CRYPTO_MAX_NUM_BURST_VQS &&
			ops[done]->sym->m_src != NULL) {
		/* a copy: the slot, and with it the buffer, will be somebody else's */
		const struct crypto_ticket ticket = *crypto_ticket(ops[done]->sym->m_src);
		struct crypto_lane *lane = &ticket.crypto->lanes[ticket.lane];

		n = count_run(ops + done, nb_ops - done);
		rte_spinlock_lock(&lane->lock);
		finalize_run(lane, &ticket, ops + done, n, &calls);
		rte_spinlock_unlock(&lane->lock);
		done += n;
	}
	*nb_callfds = calls.n;
	return done;
}
