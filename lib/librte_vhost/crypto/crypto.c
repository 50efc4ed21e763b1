/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * A request becomes an operation (fetch.c), which the application takes through a
 * cryptodev, and an answer (finalize.c).  Between the two it belongs to nobody here:
 * it may take as long as it likes, come back in any order and on any thread, or never,
 * while the guest's memory changes, the ring stops or moves to another node, the
 * session is closed and the frontend disconnects.  So what is under way has a slot in
 * a block of the ring's lane (block.h, lane.h), and nothing that an operation holds is
 * an address of ours that could go.
 *
 * Lanes are settled like queues: what the application has said and where the queues
 * are is compared with the blocks in place, after each settle of the device
 * (vhost_listener_crypto) and on the event loop when the application has said
 * something new.  A block on another node than its queue is built again there, with
 * what is under way.
 *
 * When the device stops, or zero copy would go on in memory that is about to change,
 * lanes are paused; who polls the cryptodev has some time to bring back what is under
 * way.  What is not back by then is answered with an error, and its block left behind.
 * Such a block keeps the memory mapped in which a cryptodev may still work.
 *
 * The control side has one lock, below the device's control lock, as the application
 * may call without that.  Whatever needs the control lock (guest memory is mapped and
 * unmapped under it) waits for the event loop.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rte_cryptodev.h>

#include "crypto/crypto.h"
#include "mem_heap.h"
#include "mem_node.h"
#include "vhost_given.h"
#include "vhost_log.h"

/** How long who polls the cryptodev has to bring back what is under way. */
#define PATIENCE_MS 200

/** How often it is looked whether that has happened. */
#define LOOK_US 1000

/** When to settle because of what the application said, or again as the device is busy. */
#define SOON_MS 1

/** When to look again at what was left behind. */
#define LATER_MS 50

static struct vhost_crypto *cryptos[VHOST_MAX_DEVICES];

static void on_timer(struct event_timer *timer);

struct vhost_crypto *
vhost_crypto_get(int vid)
{
	if (vid < 0 || vid >= VHOST_MAX_DEVICES)
		return NULL;
	/* C1 pairs with C2 */
	return __atomic_load_n(&cryptos[vid], __ATOMIC_ACQUIRE);
}

static struct vhost_crypto *
make(struct vhost_device *dev)
{
	struct vhost_crypto *c = vhost_node_pages(sizeof(*c)), *other = NULL;

	if (c == NULL)
		return NULL;
	c->dev = dev;
	c->node = VHOST_NODE_ANY;
	c->next_serial = 1;
	pthread_mutex_init(&c->lock, NULL);
	vhost_crypto_sessions_init(&c->sessions);
	/* C2 pairs with C1 */
	if (__atomic_compare_exchange_n(&cryptos[dev->vid], &other, c, false,
			__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return c;
	vhost_node_pages_free(c, sizeof(*c));
	return other;
}

/** Nobody is inside a lane until thaw(). */
static void
freeze(struct vhost_crypto *c)
{
	uint32_t i;

	for (i = 0; i < c->nlanes; i++)
		rte_spinlock_lock(&c->lanes[i].lock);
}

static void
thaw(struct vhost_crypto *c)
{
	uint32_t i;

	for (i = 0; i < c->nlanes; i++)
		rte_spinlock_unlock(&c->lanes[i].lock);
}

/* Sessions */

/** Have the table of sessions on the device's node, if that has memory. */
static int
place_sessions(struct vhost_crypto *c, int node)
{
	struct crypto_session *table = NULL;
	int got;

	if (c->sessions.table != NULL && (node == VHOST_NODE_ANY || c->sessions.node == node))
		return 0;
	table = vhost_crypto_sessions_stage(&c->sessions, node, &got);
	if (table == NULL && c->sessions.table == NULL)
		table = vhost_crypto_sessions_stage(&c->sessions, VHOST_NODE_ANY, &got);
	if (table == NULL)
		return c->sessions.table != NULL ? 0 : -ENOMEM;
	freeze(c);
	table = vhost_crypto_sessions_swap(&c->sessions, table, got);
	thaw(c);
	vhost_heap_free(table);
	return 0;
}

static void
drop_table(struct vhost_crypto *c)
{
	struct crypto_session *table;

	freeze(c);
	table = vhost_crypto_sessions_swap(&c->sessions, NULL, VHOST_NODE_ANY);
	thaw(c);
	vhost_heap_free(table);
}

static void
publish(struct vhost_crypto *c, const struct crypto_record *record, void *session)
{
	freeze(c);
	vhost_crypto_session_publish(&c->sessions, record, session);
	thaw(c);
}

static bool
is_used(struct vhost_crypto *c, const void *session)
{
	uint32_t i;

	for (i = 0; i < c->nlanes; i++)
		if (vhost_crypto_lane_uses(&c->lanes[i], session))
			return true;
	return false;
}

/** Free the cryptodev's sessions that are not wanted and not used: whether some are left. */
static bool
sweep_sessions(struct vhost_crypto *c)
{
	struct crypto_record *record, *next;
	bool more = false;

	for (record = TAILQ_FIRST(&c->sessions.records); record != NULL; record = next) {
		next = TAILQ_NEXT(record, next);
		if (!record->closed && (c->on || record->session == NULL))
			continue;
		if (record->session != NULL && is_used(c, record->session))
			more = true;
		else
			vhost_crypto_session_release(&c->sessions, record);
	}
	return more;
}

/** Sessions of the connection from before the application's last _free() go on. */
static void
revive_sessions(struct vhost_crypto *c)
{
	struct crypto_record *record;

	TAILQ_FOREACH(record, &c->sessions.records, next) {
		if (record->closed)
			continue;
		/* one that was never freed goes on as it is, in its own cryptodev */
		if (record->session != NULL ? record->cdev == c->home.cdev :
				vhost_crypto_session_revive(&c->home, record) == VIRTIO_CRYPTO_OK)
			publish(c, record, record->session);
	}
}

static void
suspend_sessions(struct vhost_crypto *c)
{
	struct crypto_record *record;

	TAILQ_FOREACH(record, &c->sessions.records, next)
		if (!record->closed)
			publish(c, record, NULL);
	sweep_sessions(c);
}

static void
close_sessions(struct vhost_crypto *c)
{
	struct crypto_record *record;

	TAILQ_FOREACH(record, &c->sessions.records, next)
		if (!record->closed)
			vhost_crypto_session_close(&c->sessions, record);
	sweep_sessions(c);
	c->sessions.next_id = 1;
}

/* Lanes */

/** A block of what the queue is like now, whose requests there is nobody to miss yet. */
static struct crypto_block *
build(const struct crypto_block_cfg *cfg)
{
	struct crypto_block_cfg anywhere = *cfg;
	struct crypto_block *block = vhost_crypto_block_create(cfg);

	anywhere.node = VHOST_NODE_ANY;
	return block != NULL || cfg->node == VHOST_NODE_ANY ? block :
		vhost_crypto_block_create(&anywhere);
}

static void
replace(struct vhost_crypto *c, struct crypto_lane *lane, struct crypto_block_cfg *cfg,
		struct vhost_queue *q)
{
	struct crypto_block *block;

	vhost_crypto_lane_leave(lane, q);
	cfg->serial = c->next_serial++;
	block = build(cfg);
	if (block != NULL)
		vhost_crypto_lane_open(lane, block);
	else
		VHOST_LOG_CONFIG(ERR, "(%s) queue %u: no memory for crypto requests\n",
			c->dev->driver.path, cfg->lane);
}

/** The queue has moved: so do its requests, if that node has memory. */
static void
move(struct crypto_lane *lane, struct crypto_block_cfg *cfg)
{
	struct crypto_block *to, *old;

	cfg->serial = lane->block->cfg.serial;
	to = vhost_crypto_block_create(cfg);
	if (to == NULL)
		return;
	old = vhost_crypto_lane_move(lane, to);
	vhost_crypto_block_destroy(old != NULL ? old : to);
}

static void
settle_lane(struct vhost_crypto *c, struct vhost_queue *q)
{
	const struct vhost_virtqueue *vq = vhost_queue_block(q);
	struct crypto_lane *lane = &c->lanes[q->index];
	const struct crypto_block *block = lane->block;
	struct crypto_block_cfg cfg = {
		.crypto = c, .lane = q->index, .tailroom = c->tailroom,
		.map = c->zero_copy ? c->dev->running.map : NULL,
	};

	if (!c->on || !c->dev->told.running || !q->live) {
		vhost_crypto_lane_leave(lane, q);
		return;
	}
	cfg.slots = RTE_MIN(vq->size, CRYPTO_SLOTS_MAX);
	cfg.node = vq->node;
	if (block == NULL || block->cfg.slots != cfg.slots || block->cfg.map != cfg.map ||
			block->cfg.tailroom != cfg.tailroom)
		replace(c, lane, &cfg, q);
	else if (block->node != cfg.node && cfg.node != VHOST_NODE_ANY)
		move(lane, &cfg);
	vhost_crypto_lane_pause(lane, false);
}

/** Free what can go: whether something is left that will. */
static bool
sweep(struct vhost_crypto *c, bool maps)
{
	bool more = false;
	uint32_t i;

	for (i = 0; i < c->nlanes; i++)
		more |= vhost_crypto_lane_sweep(&c->lanes[i], maps);
	return sweep_sessions(c) || more;
}

/** Have the handle's own pages where the device is. */
static void
bring(struct vhost_crypto *c)
{
	int node = c->dev->running.node;

	if (node != VHOST_NODE_ANY && c->node != node &&
			vhost_node_pages_bring(c, sizeof(*c), node) != -EAGAIN)
		c->node = node;
}

/** Control lock and ours held: whether something is left that will go later. */
static bool
settle(struct vhost_crypto *c)
{
	struct vhost_device *dev = c->dev;
	uint32_t i;

	/* lanes are counted before there is anybody in them */
	c->nlanes = RTE_MAX(c->nlanes, dev->nvrings);
	for (i = 0; i < dev->nvrings; i++)
		settle_lane(c, vhost_device_queue_at(dev, i));
	if (c->on) {
		place_sessions(c, dev->running.node);
		bring(c);
	}
	return sweep(c, true);
}

static void
settle_later(struct vhost_crypto *c, uint64_t ms)
{
	vhost_event_timer_arm(&c->timer, ms, on_timer);
}

/** Settle; control lock held. */
static void
crypto_settled(struct vhost_device *dev)
{
	struct vhost_crypto *c = vhost_crypto_get(dev->vid);

	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	if (settle(c))
		settle_later(c, LATER_MS);
	pthread_mutex_unlock(&c->lock);
}

static void
on_timer(struct event_timer *timer)
{
	struct vhost_crypto *c = container_of(timer, struct vhost_crypto, timer);

	if (!vhost_device_try_lock(c->dev)) {
		settle_later(c, SOON_MS);
		return;
	}
	crypto_settled(c->dev);
	vhost_device_unlock(c->dev);
}

/* Stopping */

/** Whether a lane's requests are not to go on: all, or those that work in guest memory. */
static bool
has_to_leave(const struct crypto_lane *lane, bool all)
{
	return lane->block != NULL && (all || lane->block->cfg.map != NULL);
}

static unsigned int
count_under_way(struct vhost_crypto *c, bool all)
{
	unsigned int n = 0;
	uint32_t i;

	for (i = 0; i < c->nlanes; i++)
		if (has_to_leave(&c->lanes[i], all))
			n += vhost_crypto_lane_under_way(&c->lanes[i]);
	return n;
}

/**
 * Let what is under way come back, for a while; then leave it behind.  The control
 * lock is held, which alone replaces blocks while the device is known to the
 * application; ours is not, so that the application may call us meanwhile.
 */
static void
wind_down(struct vhost_crypto *c, bool all)
{
	unsigned int looks = PATIENCE_MS * 1000 / LOOK_US, n;
	uint32_t i;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < c->nlanes; i++)
		if (has_to_leave(&c->lanes[i], all))
			vhost_crypto_lane_pause(&c->lanes[i], true);
	while ((n = count_under_way(c, all)) > 0 && looks-- > 0) {
		pthread_mutex_unlock(&c->lock);
		usleep(LOOK_US);
		pthread_mutex_lock(&c->lock);
	}
	if (n > 0)
		VHOST_LOG_CONFIG(WARNING, "(%s) %u crypto requests are not back in time and get "
			"an error\n", c->dev->driver.path, n);
	for (i = 0; i < c->nlanes; i++)
		if (has_to_leave(&c->lanes[i], all))
			vhost_crypto_lane_leave(&c->lanes[i], vhost_device_queue(c->dev, i));
	pthread_mutex_unlock(&c->lock);
}

static void
crypto_stop(struct vhost_device *dev)
{
	struct vhost_crypto *c = vhost_crypto_get(dev->vid);

	if (c != NULL)
		wind_down(c, true);
}

static void
crypto_remap(struct vhost_device *dev)
{
	struct vhost_crypto *c = vhost_crypto_get(dev->vid);

	if (c != NULL)
		wind_down(c, false);
}

const struct device_listener vhost_listener_crypto = {
	.stop = crypto_stop,
	.remap = crypto_remap,
	.settled = crypto_settled,
};

/* On and off */

/** Take a cryptodev, with our lock held. */
static int
turn_on(struct vhost_crypto *c, const struct crypto_home *home,
		const struct rte_cryptodev_info *info)
{
	if (c->on)
		return -EEXIST;
	if (place_sessions(c, c->dev->running.node) < 0)
		return -ENOMEM;
	c->on = true;
	c->known = true;
	c->zero_copy = false;
	c->home = *home;
	c->tailroom = info->min_mbuf_tailroom_req;
	revive_sessions(c);
	return 0;
}

int
vhost_crypto_create(struct vhost_device *dev, const struct crypto_home *home)
{
	struct vhost_crypto *c = vhost_crypto_get(dev->vid);
	struct rte_cryptodev_info info;
	int ret;

	if (!rte_cryptodev_is_valid_dev(home->cdev) || home->pool == NULL)
		return -EINVAL;
	rte_cryptodev_info_get(home->cdev, &info);
	if (info.min_mbuf_headroom_req > RTE_PKTMBUF_HEADROOM)
		return -EINVAL;
	if (c == NULL)
		c = make(dev);
	if (c == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&c->lock);
	ret = turn_on(c, home, &info);
	pthread_mutex_unlock(&c->lock);
	if (ret == 0)
		settle_later(c, SOON_MS);
	return ret;
}

/** Take no requests any more, and leave what is under way behind; our lock held. */
static void
turn_off(struct vhost_crypto *c)
{
	uint32_t i;

	c->on = false;
	for (i = 0; i < c->nlanes; i++)
		vhost_crypto_lane_leave(&c->lanes[i], vhost_device_queue(c->dev, i));
	suspend_sessions(c);
	if (sweep(c, false))
		settle_later(c, LATER_MS);
}

int
vhost_crypto_free(struct vhost_device *dev)
{
	struct vhost_crypto *c = vhost_crypto_get(dev->vid);
	int ret = -ENOENT;

	if (c == NULL)
		return ret;
	pthread_mutex_lock(&c->lock);
	if (c->on) {
		turn_off(c);
		ret = 0;
	}
	pthread_mutex_unlock(&c->lock);
	return ret;
}

void
vhost_crypto_end(struct vhost_device *dev)
{
	struct vhost_crypto *c = vhost_crypto_get(dev->vid);

	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	if (c->on)
		turn_off(c);
	c->known = false;
	close_sessions(c);
	drop_table(c);
	if (sweep(c, true))
		settle_later(c, LATER_MS);
	pthread_mutex_unlock(&c->lock);
}

/** Whether a cryptodev can work in memory that EAL does not know. */
static bool
reaches_guest_memory(uint8_t cdev)
{
	struct rte_cryptodev_info info;

	rte_cryptodev_info_get(cdev, &info);
	return !(info.feature_flags & RTE_CRYPTODEV_FF_HW_ACCELERATED) ||
		rte_eal_iova_mode() == RTE_IOVA_VA;
}

static void
pause_all(struct vhost_crypto *c, bool paused)
{
	uint32_t i;

	for (i = 0; i < c->nlanes; i++)
		vhost_crypto_lane_pause(&c->lanes[i], paused);
}

static int
choose(struct vhost_crypto *c, bool zero_copy)
{
	if (!c->on)
		return -ENOENT;
	if (zero_copy && !reaches_guest_memory(c->home.cdev))
		return -ENOTSUP;
	/* until the lanes have other blocks, so that no request is in the way then */
	pause_all(c, true);
	if (count_under_way(c, true) > 0) {
		pause_all(c, false);
		return -EBUSY;
	}
	c->zero_copy = zero_copy;
	return 0;
}

int
vhost_crypto_set_zero_copy(struct vhost_device *dev, bool zero_copy)
{
	struct vhost_crypto *c = vhost_crypto_get(dev->vid);
	int ret;

	if (c == NULL)
		return -ENOENT;
	pthread_mutex_lock(&c->lock);
	ret = choose(c, zero_copy);
	pthread_mutex_unlock(&c->lock);
	if (ret == 0)
		settle_later(c, SOON_MS);
	return ret;
}

/* Messages */

bool
vhost_crypto_serves(struct vhost_device *dev)
{
	struct vhost_crypto *c = vhost_crypto_get(dev->vid);
	bool known;

	if (c == NULL)
		return false;
	pthread_mutex_lock(&c->lock);
	known = c->known;
	pthread_mutex_unlock(&c->lock);
	return known;
}

int64_t
vhost_crypto_open_session(struct vhost_device *dev, const struct vu_crypto_session *wish)
{
	struct vhost_crypto *c = vhost_crypto_get(dev->vid);
	struct crypto_record *record;
	int64_t ret = -VIRTIO_CRYPTO_ERR;
	uint8_t status;

	VHOST_GIVEN(c != NULL); /* only while vhost_crypto_serves() */
	pthread_mutex_lock(&c->lock);
	if (c->on) {
		status = vhost_crypto_session_open(&c->sessions, &c->home, wish, &record);
		ret = -(int64_t)status;
		if (status == VIRTIO_CRYPTO_OK) {
			publish(c, record, record->session);
			ret = record->id;
		}
	}
	pthread_mutex_unlock(&c->lock);
	return ret;
}

/** A session ends for the frontend at once, for the cryptodev with its last operation. */
static void
end_session(struct vhost_crypto *c, struct crypto_record *record)
{
	freeze(c);
	vhost_crypto_session_withdraw(&c->sessions, record);
	thaw(c);
	vhost_crypto_session_close(&c->sessions, record);
	if (sweep_sessions(c))
		settle_later(c, LATER_MS);
}

int
vhost_crypto_close_session(struct vhost_device *dev, uint64_t id)
{
	struct vhost_crypto *c = vhost_crypto_get(dev->vid);
	struct crypto_record *record;

	VHOST_GIVEN(c != NULL); /* only while vhost_crypto_serves() */
	pthread_mutex_lock(&c->lock);
	record = vhost_crypto_session_record(&c->sessions, id);
	if (record != NULL)
		end_session(c, record);
	pthread_mutex_unlock(&c->lock);
	return record != NULL ? 0 : -ENOENT;
}
