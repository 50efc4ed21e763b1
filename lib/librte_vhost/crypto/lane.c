/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <linux/virtio_crypto.h>

#include "crypto/lane.h"
#include "queue.h"
#include "ring.h"

void
vhost_crypto_lane_pause(struct crypto_lane *lane, bool paused)
{
	rte_spinlock_lock(&lane->lock);
	lane->paused = paused;
	rte_spinlock_unlock(&lane->lock);
}

unsigned int
vhost_crypto_lane_under_way(struct crypto_lane *lane)
{
	unsigned int n;

	rte_spinlock_lock(&lane->lock);
	n = lane->block != NULL ? lane->block->under_way : 0;
	rte_spinlock_unlock(&lane->lock);
	return n;
}

bool
vhost_crypto_lane_uses(struct crypto_lane *lane, const void *session)
{
	const struct crypto_block *block;
	bool uses;

	rte_spinlock_lock(&lane->lock);
	uses = lane->block != NULL && vhost_crypto_block_uses(lane->block, session);
	for (block = lane->left; block != NULL && !uses; block = block->next)
		uses = vhost_crypto_block_uses(block, session);
	rte_spinlock_unlock(&lane->lock);
	return uses;
}

/** Answer a request with an error, as the i-th of those that go back. */
static void
answer(struct vhost_virtqueue *vq, uint16_t i, const struct crypto_slot *slot)
{
	uint8_t *status = virtio_net_host(vq->net, slot->status_gpa, 1);

	if (status != NULL) {
		*status = VIRTIO_CRYPTO_ERR;
		if (vq->cfg.format & VQ_LOG)
			vhost_ring_log_data(vq, status, 1);
	}
	ring_put(vq, i, slot->head, 1, 1, vq->cfg.format);
}

/** Answer all that is under way: whether there was something. */
static bool
answer_all(struct vhost_virtqueue *vq, const struct crypto_block *block)
{
	uint16_t i, n = 0, all;

	if (vq == NULL || vq->size == 0)
		return false;
	all = RTE_MIN(block->under_way, vq->size);
	for (i = 0; n < all; i++)
		if (block->slots[i].mbuf != NULL)
			answer(vq, n++, &block->slots[i]);
	if (n > 0)
		ring_give(vq, n, vq->cfg.format);
	return n > 0;
}

void
vhost_crypto_lane_leave(struct crypto_lane *lane, struct vhost_queue *q)
{
	struct crypto_block *block;
	bool answered = false;

	rte_spinlock_lock(&lane->lock);
	block = lane->block;
	if (block != NULL) {
		if (q != NULL && block->under_way > 0) {
			answered = answer_all(vhost_gate_close(&q->gate), block);
			vhost_gate_open(&q->gate);
		}
		lane->block = NULL;
		block->next = lane->left;
		lane->left = block;
	}
	rte_spinlock_unlock(&lane->lock);
	if (answered)
		vhost_queue_notify(q);
}

struct crypto_block *
vhost_crypto_lane_move(struct crypto_lane *lane, struct crypto_block *to)
{
	struct crypto_block *from;

	rte_spinlock_lock(&lane->lock);
	from = lane->block;
	if (vhost_crypto_block_move(to, from))
		lane->block = to;
	else
		from = NULL;
	rte_spinlock_unlock(&lane->lock);
	return from;
}

void
vhost_crypto_lane_open(struct crypto_lane *lane, struct crypto_block *block)
{
	rte_spinlock_lock(&lane->lock);
	lane->block = block;
	lane->paused = false;
	rte_spinlock_unlock(&lane->lock);
}

/** Unlink one block that can go; NULL: there is none. */
static struct crypto_block *
take_idle(struct crypto_lane *lane, bool maps)
{
	struct crypto_block **link, *block = NULL;

	rte_spinlock_lock(&lane->lock);
	for (link = &lane->left; *link != NULL; link = &(*link)->next)
		if ((*link)->under_way == 0 && (maps || (*link)->cfg.map == NULL)) {
			block = *link;
			*link = block->next;
			break;
		}
	rte_spinlock_unlock(&lane->lock);
	return block;
}

bool
vhost_crypto_lane_sweep(struct crypto_lane *lane, bool maps)
{
	struct crypto_block *block;
	bool more;

	while ((block = take_idle(lane, maps)) != NULL)
		vhost_crypto_block_destroy(block);
	rte_spinlock_lock(&lane->lock);
	more = lane->left != NULL;
	rte_spinlock_unlock(&lane->lock);
	return more;
}
