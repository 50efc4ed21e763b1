/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * One lock for all: the thread holds it for a turn over its rings, an operation while
 * it changes something, so that after an operation nothing is used that was taken away.
 * The thread calls the library under it, which never waits for an operation there.
 *
 * Operations have a lock of their own around that, so that hardware which is pulled out
 * can wait for the one that is under way.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <rte_common.h>
#include <rte_vhost.h>

#include "vdpa_driver.h"
#include "vhost_soft_vdpa.h"

#define MAX_SOFTS 16
#define MAX_VRINGS 256
#define FRAME_MAX 65536
/** Frames of a pair in one turn. */
#define TURN_FRAMES 64
/** Longest sleep without a kick. */
#define NAP_MS 1
#define NO_DOORBELL UINT32_MAX
#define SPACE 256

#define FEATURES ((1ULL << VIRTIO_F_VERSION_1) | (1ULL << VHOST_USER_F_PROTOCOL_FEATURES) | \
		(1ULL << VIRTIO_F_ANY_LAYOUT) | (1ULL << VIRTIO_RING_F_INDIRECT_DESC) | \
		(1ULL << VIRTIO_RING_F_EVENT_IDX) | (1ULL << VHOST_F_LOG_ALL) | \
		(1ULL << VIRTIO_NET_F_MQ) | (1ULL << VIRTIO_NET_F_CTRL_VQ) | \
		(1ULL << VIRTIO_NET_F_GUEST_ANNOUNCE) | (1ULL << VIRTIO_NET_F_MTU))

/** What rte_dev_name() looks at; the true structure is in no packaged header. */
struct soft_rte_device {
	void *list[2];
	const char *name;
	uint64_t rest[16];
};

struct soft_ring {
	bool on;		/**< as set_vring_state said last */
	bool served;		/**< known, of a configured device */
	bool broken;		/**< the guest offers nonsense */
	struct rte_vhost_vring guest;
	uint16_t last_avail, last_used;
	uint16_t given;		/**< used entries not published yet */
	struct vring own;	/**< to relay from; num 0: not made yet */
	void *own_memory;
	uint64_t stats[SOFT_STATS];
};

struct soft_vdpa {
	struct soft_rte_device rte;
	struct soft_vdpa_config cfg;
	struct rte_vdpa_device *dev;
	pthread_mutex_t ops_lock;	/**< before lock */
	bool gone;		/**< under ops_lock */
	pthread_mutex_t lock;
	pthread_t thread;
	bool running, stop;
	bool relaying;
	bool doorbells;
	int vid;
	uint64_t features;
	struct rte_vhost_memory *mem;
	unsigned int nvrings;
	struct soft_ring rings[MAX_VRINGS];
	unsigned int asked[SOFT_OPS];
	uint8_t space[SPACE];
	int page_fd;		/**< of the doorbells, one page each */
	uint8_t *pages;
	size_t page;
	uint8_t frame[FRAME_MAX];
};

static struct soft_vdpa *softs[MAX_SOFTS];
static pthread_mutex_t softs_lock = PTHREAD_MUTEX_INITIALIZER;
/** Its rte_vdpa_register_device() asks questions already. */
static struct soft_vdpa *being_registered;

static struct soft_vdpa *
find_soft(const struct rte_vdpa_device *dev)
{
	struct soft_vdpa *found = NULL;

	pthread_mutex_lock(&softs_lock);
	for (unsigned int i = 0; i < MAX_SOFTS && found == NULL; i++)
		if (softs[i] != NULL && softs[i]->dev == dev)
			found = softs[i];
	if (found == NULL)
		found = being_registered;
	pthread_mutex_unlock(&softs_lock);
	return found;
}

static struct soft_vdpa *
find_soft_of(int vid)
{
	return find_soft(rte_vhost_get_vdpa_device(vid));
}

/* ---- guest memory ---- */

/** Our address of guest memory, NULL unless it is in one region. */
static void *
guest_address(const struct soft_vdpa *soft, uint64_t gpa, uint64_t len)
{
	for (uint32_t i = 0; i < soft->mem->nregions; i++) {
		const struct rte_vhost_mem_region *r = &soft->mem->regions[i];
		uint64_t offset = gpa - r->guest_phys_addr;

		if (gpa >= r->guest_phys_addr && offset < r->size && len <= r->size - offset)
			return (void *)(uintptr_t)(r->host_user_addr + offset);
	}
	return NULL;
}

/** Where a chain is at, as it is followed. */
struct soft_walk {
	const volatile struct vring_desc *table;
	uint32_t entries;
	uint32_t at;
	uint32_t steps;
	bool indirect;
};

/**
 * The next descriptor of a chain that is memory: 1 and a copy, 0 at the end, -1 when it is
 * nonsense.
 */
static int
next_piece(const struct soft_vdpa *soft, const struct soft_ring *ring, struct soft_walk *walk,
		struct vring_desc *desc)
{
	for (;;) {
		const volatile struct vring_desc *at;

		if (walk->at == UINT32_MAX)
			return 0;
		if (walk->at >= walk->entries || walk->steps++ > ring->guest.size)
			return -1;
		at = &walk->table[walk->at];
		*desc = (struct vring_desc){ at->addr, at->len, at->flags, at->next };
		walk->at = desc->flags & VRING_DESC_F_NEXT ? desc->next : UINT32_MAX;
		if (!(desc->flags & VRING_DESC_F_INDIRECT))
			return 1;
		if (walk->indirect)
			return -1;
		walk->table = guest_address(soft, desc->addr, desc->len);
		walk->entries = walk->table != NULL ? desc->len / sizeof(*desc) : 0;
		walk->at = 0;
		walk->indirect = true;
	}
}

/** Copy the readable part of a chain out: bytes, or -1. */
static int64_t
gather(const struct soft_vdpa *soft, const struct soft_ring *ring, uint16_t head, uint8_t *to,
		uint32_t room)
{
	struct soft_walk walk = { .table = ring->guest.desc, .entries = ring->guest.size,
		.at = head };
	struct vring_desc desc;
	uint32_t len = 0;
	int more;

	while ((more = next_piece(soft, ring, &walk, &desc)) > 0) {
		const void *from = guest_address(soft, desc.addr, desc.len);

		if (desc.flags & VRING_DESC_F_WRITE)
			continue;
		if (from == NULL || desc.len > room - len)
			return -1;
		memcpy(to + len, from, desc.len);
		len += desc.len;
	}
	return more < 0 ? -1 : (int64_t)len;
}

/** Copy into the writable part of a chain: bytes, or -1 if it does not fit. */
static int64_t
scatter(const struct soft_vdpa *soft, const struct soft_ring *ring, uint16_t head,
		const uint8_t *from, uint32_t len)
{
	struct soft_walk walk = { .table = ring->guest.desc, .entries = ring->guest.size,
		.at = head };
	struct vring_desc desc;
	uint32_t done = 0;

	while (done < len && next_piece(soft, ring, &walk, &desc) > 0) {
		uint32_t n = RTE_MIN(desc.len, len - done);
		void *to = guest_address(soft, desc.addr, desc.len);

		if (!(desc.flags & VRING_DESC_F_WRITE) || to == NULL)
			return -1;
		memcpy(to, from + done, n);
		done += n;
	}
	return done == len ? (int64_t)len : -1;
}

/* ---- rings ---- */

/** Where used entries go. */
static struct vring_used *
used_ring(const struct soft_vdpa *soft, const struct soft_ring *ring)
{
	return soft->relaying ? ring->own.used : ring->guest.used;
}

static bool
offers(const struct soft_ring *ring)
{
	return __atomic_load_n(&ring->guest.avail->idx, __ATOMIC_ACQUIRE) != ring->last_avail;
}

/** Take the head of a chain; -1 if the ring is nonsense. */
static int
take(struct soft_ring *ring)
{
	const volatile uint16_t *entry =
		&ring->guest.avail->ring[ring->last_avail & (ring->guest.size - 1)];
	uint16_t head = *entry;

	if (head >= ring->guest.size) {
		ring->broken = true;
		ring->stats[SOFT_BROKEN]++;
		return -1;
	}
	ring->last_avail++;
	return head;
}

static void
give(const struct soft_vdpa *soft, struct soft_ring *ring, uint16_t head, uint32_t len)
{
	struct vring_used *used = used_ring(soft, ring);

	used->ring[ring->last_used++ & (ring->guest.size - 1)] =
		(struct vring_used_elem){ .id = head, .len = len };
	ring->given++;
	ring->stats[SOFT_FRAMES]++;
	ring->stats[SOFT_BYTES] += len;
}

/** Ask to be kicked with the next chain. */
static void
want_kicks(const struct soft_vdpa *soft, struct soft_ring *ring)
{
	struct vring_used *used = used_ring(soft, ring);

	if (soft->features & (1ULL << VIRTIO_RING_F_EVENT_IDX))
		__atomic_store_n((uint16_t *)&used->ring[ring->guest.size], ring->last_avail,
			__ATOMIC_RELAXED);
	else
		__atomic_store_n(&used->flags, 0, __ATOMIC_RELAXED);
}

static void
relay(struct soft_vdpa *soft, unsigned int i)
{
	struct soft_ring *ring = &soft->rings[i];
	int n = rte_vdpa_relay_vring_used(soft->vid, i, &ring->own);

	if (n < 0)
		ring->stats[SOFT_REFUSED]++;
	else
		ring->stats[SOFT_RELAYED] += n;
	if (soft->features & (1ULL << VHOST_F_LOG_ALL))
		rte_vhost_log_used_vring(soft->vid, i, 0, sizeof(struct vring_used) +
			ring->guest.size * sizeof(struct vring_used_elem) + sizeof(uint16_t));
}

/** Show the guest what it was given, and what it shall do. */
static void
publish(struct soft_vdpa *soft, unsigned int i)
{
	struct soft_ring *ring = &soft->rings[i];

	want_kicks(soft, ring);
	__atomic_store_n(&used_ring(soft, ring)->idx, ring->last_used, __ATOMIC_RELEASE);
	if (soft->relaying)
		relay(soft, i);
	if (ring->given > 0)
		rte_vhost_vring_call(soft->vid, i);
	ring->given = 0;
}

static bool
is_served(const struct soft_ring *ring)
{
	return ring->served && ring->on && !ring->broken;
}

/** One frame from a transmit ring back to the receive ring; whether there was one. */
static bool
turn_frame(struct soft_vdpa *soft, struct soft_ring *rx, struct soft_ring *tx)
{
	const uint32_t header = sizeof(struct virtio_net_hdr_mrg_rxbuf);
	int64_t len, written;
	int from, to;

	if (!offers(tx) || !offers(rx))
		return false;
	from = take(tx);
	if (from < 0)
		return false;
	len = gather(soft, tx, from, soft->frame, sizeof(soft->frame));
	give(soft, tx, from, 0);
	if (len <= header) {
		tx->stats[SOFT_BROKEN]++;
		return true;
	}
	memset(soft->frame, 0, header);
	((struct virtio_net_hdr_mrg_rxbuf *)soft->frame)->num_buffers = 1;
	if (soft->cfg.turn != NULL)
		len = header + soft->cfg.turn(soft->frame + header, len - header);
	if (len == header)
		return true;
	to = take(rx);
	if (to < 0)
		return false;
	written = scatter(soft, rx, to, soft->frame, len);
	rx->stats[SOFT_BROKEN] += written < 0;
	give(soft, rx, to, RTE_MAX(written, (int64_t)0));
	return true;
}

/** A turn over all pairs; how many frames. */
static unsigned int
serve(struct soft_vdpa *soft)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i + 1 < soft->nvrings; i += 2) {
		struct soft_ring *rx = &soft->rings[i], *tx = &soft->rings[i + 1];
		unsigned int before = n;

		if (!is_served(rx) || !is_served(tx))
			continue;
		while (n - before < TURN_FRAMES && turn_frame(soft, rx, tx))
			n++;
		if (n > before) {
			publish(soft, i);
			publish(soft, i + 1);
		}
	}
	return n;
}

/* ---- the thread ---- */

/** See which doorbells were rung in the page. */
static void
look_at_doorbells(struct soft_vdpa *soft)
{
	for (unsigned int i = 0; i < soft->nvrings; i++) {
		uint32_t *doorbell = (uint32_t *)(soft->pages + i * soft->page);

		if (__atomic_load_n(doorbell, __ATOMIC_RELAXED) == NO_DOORBELL)
			continue;
		__atomic_store_n(doorbell, NO_DOORBELL, __ATOMIC_RELAXED);
		soft->rings[i].stats[SOFT_DOORBELLS]++;
	}
}

/** Lock held: descriptors of rings that are on stay as they are. */
static void
take_kicks(struct soft_vdpa *soft, const struct pollfd *fds)
{
	for (unsigned int i = 0; i < soft->nvrings; i++) {
		struct soft_ring *ring = &soft->rings[i];
		struct pollfd now = { .fd = ring->guest.kickfd, .events = POLLIN };
		uint64_t count;

		if (!is_served(ring) || fds[i].fd != now.fd || !(fds[i].revents & POLLIN))
			continue;
		if (poll(&now, 1, 0) == 1 && read(now.fd, &count, sizeof(count)) == sizeof(count))
			ring->stats[SOFT_KICKS] += count;
	}
}

/** Lock held, released meanwhile: sleep until a kick, but not for long. */
static void
nap(struct soft_vdpa *soft)
{
	struct pollfd fds[MAX_VRINGS];
	unsigned int n = soft->nvrings;

	for (unsigned int i = 0; i < n; i++)
		fds[i] = (struct pollfd){ .events = POLLIN,
			.fd = is_served(&soft->rings[i]) ? soft->rings[i].guest.kickfd : -1 };
	pthread_mutex_unlock(&soft->lock);
	poll(fds, n, NAP_MS);
	pthread_mutex_lock(&soft->lock);
	take_kicks(soft, fds);
}

static void *
hardware(void *arg)
{
	struct soft_vdpa *soft = arg;

	pthread_mutex_lock(&soft->lock);
	while (!soft->stop) {
		look_at_doorbells(soft);
		if (serve(soft) == 0) {
			nap(soft);
		} else {
			/* who wants to change something gets a chance */
			pthread_mutex_unlock(&soft->lock);
			sched_yield();
			pthread_mutex_lock(&soft->lock);
		}
	}
	pthread_mutex_unlock(&soft->lock);
	return NULL;
}

/* ---- operations ---- */

/** Begin an operation; NULL if there is no hardware any more. */
static struct soft_vdpa *
enter(int vid, enum soft_vdpa_op op)
{
	struct soft_vdpa *soft = find_soft_of(vid);

	if (soft == NULL)
		return NULL;
	pthread_mutex_lock(&soft->ops_lock);
	if (soft->gone) {
		pthread_mutex_unlock(&soft->ops_lock);
		return NULL;
	}
	__atomic_fetch_add(&soft->asked[op], 1, __ATOMIC_RELAXED);
	return soft;
}

/** End it; with its result. */
static int
leave(struct soft_vdpa *soft, int ret)
{
	pthread_mutex_unlock(&soft->ops_lock);
	return ret;
}

static int
op_queue_num(struct rte_vdpa_device *dev, uint32_t *n)
{
	*n = find_soft(dev)->cfg.pairs;
	return 0;
}

static int
op_features(struct rte_vdpa_device *dev, uint64_t *features)
{
	*features = FEATURES & ~find_soft(dev)->cfg.lacks;
	return 0;
}

static int
op_protocol_features(struct rte_vdpa_device *dev, uint64_t *features)
{
	*features = UINT64_MAX & ~find_soft(dev)->cfg.lacks_protocol;
	return 0;
}

static int
op_dev_type(struct rte_vdpa_device *dev, uint32_t *type)
{
	*type = find_soft(dev)->cfg.blk ? RTE_VHOST_VDPA_DEVICE_TYPE_BLK :
		RTE_VHOST_VDPA_DEVICE_TYPE_NET;
	return 0;
}

/** A ring of its own to relay from, which goes on where the guest's is. */
static bool
make_own_ring(struct soft_ring *ring)
{
	const unsigned int align = 64;

	if (ring->own_memory == NULL) {
		ring->own_memory = calloc(1, vring_size(ring->guest.size, align) + 64);
		if (ring->own_memory == NULL)
			return false;
		vring_init(&ring->own, ring->guest.size, RTE_PTR_ALIGN(ring->own_memory, 64), align);
	}
	ring->own.used->idx = ring->last_used;
	return true;
}

static void
forget_ring(struct soft_ring *ring)
{
	free(ring->own_memory);
	ring->own_memory = NULL;
	ring->own = (struct vring){ .num = 0 };
	ring->served = false;
	ring->broken = false;
	ring->given = 0;
}

/** Lock held.  Learn of a ring, if it is there: whether all is well. */
static bool
learn_ring(struct soft_vdpa *soft, unsigned int i)
{
	struct soft_ring *ring = &soft->rings[i];

	forget_ring(ring);
	if (rte_vhost_get_vhost_vring(soft->vid, i, &ring->guest) != 0)
		return false;
	if (ring->guest.desc == NULL || ring->guest.size == 0)
		return true;
	if (rte_vhost_get_vring_base(soft->vid, i, &ring->last_avail, &ring->last_used) != 0)
		return false;
	ring->served = !soft->relaying || make_own_ring(ring);
	if (ring->served)
		want_kicks(soft, ring);
	return ring->served;
}

static bool
has_to_relay(const struct soft_vdpa *soft)
{
	return soft->cfg.relay || (soft->features & (1ULL << VHOST_F_LOG_ALL)) != 0;
}

/** Lock held. */
static bool
learn(struct soft_vdpa *soft, int vid)
{
	soft->vid = vid;
	soft->nvrings = RTE_MIN(rte_vhost_get_vring_num(vid), 2 * soft->cfg.pairs);
	if (rte_vhost_get_negotiated_features(vid, &soft->features) != 0 ||
			rte_vhost_get_mem_table(vid, &soft->mem) != 0)
		return false;
	soft->relaying = has_to_relay(soft);
	for (unsigned int i = 0; i < soft->nvrings; i++)
		if (!learn_ring(soft, i))
			return false;
	return true;
}

/** Lock held. */
static void
forget(struct soft_vdpa *soft)
{
	for (unsigned int i = 0; i < soft->nvrings; i++)
		forget_ring(&soft->rings[i]);
	free(soft->mem);
	soft->mem = NULL;
	soft->nvrings = 0;
	soft->doorbells = false;
}

static void
stop_thread(struct soft_vdpa *soft)
{
	pthread_mutex_lock(&soft->lock);
	soft->stop = true;
	pthread_mutex_unlock(&soft->lock);
	if (soft_vdpa_is_running(soft))
		pthread_join(soft->thread, NULL);
	__atomic_store_n(&soft->running, false, __ATOMIC_RELAXED);
}

/** Have the guest ring the doorbells; whether it may start without. */
static bool
ask_for_doorbells(struct soft_vdpa *soft)
{
	bool given = soft->cfg.notifiers &&
		rte_vhost_host_notifier_ctrl(soft->vid, RTE_VHOST_QUEUE_ALL, true) == 0;

	pthread_mutex_lock(&soft->lock);
	soft->doorbells = given;
	pthread_mutex_unlock(&soft->lock);
	return given || !soft->cfg.strict;
}

static int
op_conf(int vid)
{
	struct soft_vdpa *soft = enter(vid, SOFT_CONF);
	bool good;

	if (soft == NULL)
		return -ENODEV;
	pthread_mutex_lock(&soft->lock);
	good = learn(soft, vid);
	soft->stop = false;
	pthread_mutex_unlock(&soft->lock);
	if (good && ask_for_doorbells(soft) &&
			pthread_create(&soft->thread, NULL, hardware, soft) == 0) {
		__atomic_store_n(&soft->running, true, __ATOMIC_RELAXED);
		return leave(soft, 0);
	}
	pthread_mutex_lock(&soft->lock);
	forget(soft);
	pthread_mutex_unlock(&soft->lock);
	return leave(soft, -1);
}

static int
op_close(int vid)
{
	struct soft_vdpa *soft = enter(vid, SOFT_CLOSE);

	if (soft == NULL)
		return -ENODEV;
	stop_thread(soft);
	pthread_mutex_lock(&soft->lock);
	for (unsigned int i = 0; i < soft->nvrings; i++)
		if (soft->rings[i].served)
			rte_vhost_set_vring_base(vid, i, soft->rings[i].last_avail,
				soft->rings[i].last_used);
	forget(soft);
	pthread_mutex_unlock(&soft->lock);
	return leave(soft, 0);
}

static int
op_cleanup(int vid)
{
	struct soft_vdpa *soft = enter(vid, SOFT_CLEANUP);

	if (soft == NULL)
		return -ENODEV;
	pthread_mutex_lock(&soft->lock);
	for (unsigned int i = 0; i < MAX_VRINGS; i++)
		soft->rings[i].on = false;
	soft->vid = -1;
	pthread_mutex_unlock(&soft->lock);
	return leave(soft, 0);
}

/** Lock held.  A ring that starts may be another one than before, and goes on elsewhere. */
static void
switch_ring(struct soft_vdpa *soft, unsigned int i, bool on)
{
	struct soft_ring *ring = &soft->rings[i];

	if (soft_vdpa_is_running(soft) && ring->served && !on)
		rte_vhost_set_vring_base(soft->vid, i, ring->last_avail, ring->last_used);
	if (soft_vdpa_is_running(soft) && on && i < 2 * soft->cfg.pairs) {
		soft->nvrings = RTE_MAX(soft->nvrings, i + 1);
		learn_ring(soft, i);
	}
	ring->on = on;
}

static int
op_vring_state(int vid, int vring, int state)
{
	struct soft_vdpa *soft = enter(vid, SOFT_VRING_STATE);
	int ret = -EINVAL;

	if (soft == NULL)
		return -ENODEV;
	pthread_mutex_lock(&soft->lock);
	if (vring >= 0 && vring < MAX_VRINGS) {
		switch_ring(soft, vring, state != 0);
		ret = 0;
	}
	pthread_mutex_unlock(&soft->lock);
	return leave(soft, ret);
}

/** Lock held.  Before and after a migration used entries take another way. */
static int
switch_way(struct soft_vdpa *soft)
{
	int ret = rte_vhost_get_negotiated_features(soft->vid, &soft->features);

	soft->relaying = has_to_relay(soft);
	for (unsigned int i = 0; soft->relaying && i < soft->nvrings; i++)
		if (soft->rings[i].served && !make_own_ring(&soft->rings[i]))
			ret = -1;
	return ret;
}

static int
op_set_features(int vid)
{
	struct soft_vdpa *soft = enter(vid, SOFT_SET_FEATURES);
	int ret = 0;

	if (soft == NULL)
		return -ENODEV;
	pthread_mutex_lock(&soft->lock);
	if (soft_vdpa_is_running(soft))
		ret = switch_way(soft);
	pthread_mutex_unlock(&soft->lock);
	return leave(soft, ret);
}

static int
op_migration_done(int vid)
{
	struct soft_vdpa *soft = enter(vid, SOFT_MIGRATION_DONE);

	return soft != NULL ? leave(soft, 0) : -ENODEV;
}

static int
op_group_fd(int vid __rte_unused)
{
	return -1;
}

/* Any thread may ask for doorbells, also while the device goes. */
static int
op_device_fd(int vid)
{
	const struct soft_vdpa *soft = find_soft_of(vid);

	return soft != NULL ? soft->page_fd : -1;
}

static int
op_notify_area(int vid, int qid, uint64_t *offset, uint64_t *size)
{
	const struct soft_vdpa *soft = find_soft_of(vid);

	if (soft == NULL)
		return -1;
	*offset = qid * soft->page;
	*size = soft->page;
	return 0;
}

static const char *const stat_names[SOFT_STATS] = {
	[SOFT_FRAMES] = "frames",
	[SOFT_BYTES] = "bytes",
	[SOFT_KICKS] = "kicks",
	[SOFT_DOORBELLS] = "doorbells",
	[SOFT_RELAYED] = "relayed",
	[SOFT_REFUSED] = "refused_relays",
	[SOFT_BROKEN] = "broken_chains",
};

static int
op_stats_names(struct rte_vdpa_device *dev __rte_unused, struct rte_vdpa_stat_name *names,
		unsigned int size)
{
	for (unsigned int i = 0; names != NULL && i < RTE_MIN(size, (unsigned int)SOFT_STATS); i++)
		snprintf(names[i].name, sizeof(names[i].name), "%s", stat_names[i]);
	return SOFT_STATS;
}

static int
op_stats(struct rte_vdpa_device *dev, int qid, struct rte_vdpa_stat *stats, unsigned int n)
{
	struct soft_vdpa *soft = find_soft(dev);

	if (qid >= MAX_VRINGS || n < SOFT_STATS)
		return -EINVAL;
	for (unsigned int i = 0; i < SOFT_STATS; i++)
		stats[i] = (struct rte_vdpa_stat){ .id = i, .value = soft_vdpa_stat(soft, qid, i) };
	return SOFT_STATS;
}

static int
op_reset_stats(struct rte_vdpa_device *dev, int qid)
{
	struct soft_vdpa *soft = find_soft(dev);

	if (qid >= MAX_VRINGS)
		return -EINVAL;
	pthread_mutex_lock(&soft->lock);
	memset(soft->rings[qid].stats, 0, sizeof(soft->rings[qid].stats));
	pthread_mutex_unlock(&soft->lock);
	return 0;
}

static int
op_get_config(int vid, uint8_t *config, uint32_t size)
{
	struct soft_vdpa *soft = enter(vid, SOFT_GET_CONFIG);

	if (soft == NULL)
		return -ENODEV;
	if (size > SPACE)
		return leave(soft, -EINVAL);
	memcpy(config, soft->space, size);
	return leave(soft, 0);
}

static int
op_set_config(int vid, uint8_t *config, uint32_t offset, uint32_t size,
		uint32_t flags __rte_unused)
{
	struct soft_vdpa *soft = enter(vid, SOFT_SET_CONFIG);

	if (soft == NULL)
		return -ENODEV;
	if (offset > SPACE || size > SPACE - offset)
		return leave(soft, -EINVAL);
	memcpy(soft->space + offset, config, size);
	return leave(soft, 0);
}

static struct rte_vdpa_dev_ops soft_ops = {
	.get_queue_num = op_queue_num,
	.get_features = op_features,
	.get_protocol_features = op_protocol_features,
	.dev_conf = op_conf,
	.dev_close = op_close,
	.dev_cleanup = op_cleanup,
	.set_vring_state = op_vring_state,
	.set_features = op_set_features,
	.migration_done = op_migration_done,
	.get_vfio_group_fd = op_group_fd,
	.get_vfio_device_fd = op_device_fd,
	.get_notify_area = op_notify_area,
	.get_stats_names = op_stats_names,
	.get_stats = op_stats,
	.reset_stats = op_reset_stats,
	.get_config = op_get_config,
	.set_config = op_set_config,
	.get_dev_type = op_dev_type,
};

/* ---- making one ---- */

static bool
make_doorbells(struct soft_vdpa *soft)
{
	soft->page = sysconf(_SC_PAGESIZE);
	soft->page_fd = memfd_create("soft-vdpa", MFD_CLOEXEC);
	if (soft->page_fd < 0 || ftruncate(soft->page_fd, MAX_VRINGS * soft->page) != 0)
		return false;
	soft->pages = mmap(NULL, MAX_VRINGS * soft->page, PROT_READ | PROT_WRITE, MAP_SHARED,
		soft->page_fd, 0);
	if (soft->pages == MAP_FAILED)
		return false;
	for (unsigned int i = 0; i < MAX_VRINGS; i++)
		*(uint32_t *)(soft->pages + i * soft->page) = NO_DOORBELL;
	return true;
}

static bool
register_soft(struct soft_vdpa *soft)
{
	struct rte_vdpa_device *dev;
	bool listed = false;

	pthread_mutex_lock(&softs_lock);
	being_registered = soft;
	pthread_mutex_unlock(&softs_lock);
	dev = rte_vdpa_register_device((struct rte_device *)&soft->rte, &soft_ops);
	pthread_mutex_lock(&softs_lock);
	being_registered = NULL;
	soft->dev = dev;
	for (unsigned int i = 0; dev != NULL && i < MAX_SOFTS && !listed; i++) {
		listed = softs[i] == NULL;
		if (listed)
			softs[i] = soft;
	}
	pthread_mutex_unlock(&softs_lock);
	return listed;
}

struct soft_vdpa *
soft_vdpa_create(const char *name, const struct soft_vdpa_config *cfg)
{
	struct soft_vdpa *soft = calloc(1, sizeof(*soft));

	if (soft == NULL)
		return NULL;
	soft->rte.name = name;
	soft->cfg = *cfg;
	if (soft->cfg.pairs == 0)
		soft->cfg.pairs = 4;
	soft->vid = -1;
	pthread_mutex_init(&soft->lock, NULL);
	pthread_mutex_init(&soft->ops_lock, NULL);
	if (make_doorbells(soft) && register_soft(soft))
		return soft;
	if (soft->pages != NULL && soft->pages != MAP_FAILED)
		munmap(soft->pages, MAX_VRINGS * soft->page);
	if (soft->page_fd >= 0)
		close(soft->page_fd);
	free(soft);
	return NULL;
}

int
soft_vdpa_pull(struct soft_vdpa *soft)
{
	int ret = rte_vdpa_unregister_device(soft->dev);

	pthread_mutex_lock(&soft->ops_lock);
	soft->gone = true;
	stop_thread(soft);
	pthread_mutex_lock(&soft->lock);
	forget(soft);
	pthread_mutex_unlock(&soft->lock);
	pthread_mutex_unlock(&soft->ops_lock);
	return ret;
}

/** Nobody finds it any more. */
static void
unlist(const struct soft_vdpa *soft)
{
	pthread_mutex_lock(&softs_lock);
	for (unsigned int i = 0; i < MAX_SOFTS; i++)
		if (softs[i] == soft)
			softs[i] = NULL;
	pthread_mutex_unlock(&softs_lock);
}

int
soft_vdpa_destroy(struct soft_vdpa *soft)
{
	int ret = soft->gone ? 0 : soft_vdpa_pull(soft);

	unlist(soft);
	munmap(soft->pages, MAX_VRINGS * soft->page);
	close(soft->page_fd);
	pthread_mutex_destroy(&soft->lock);
	pthread_mutex_destroy(&soft->ops_lock);
	free(soft);
	return ret;
}

/* ---- questions ---- */

struct rte_vdpa_device *
soft_vdpa_device(const struct soft_vdpa *soft)
{
	return soft->dev;
}

uint64_t
soft_vdpa_stat(struct soft_vdpa *soft, unsigned int vring, enum soft_vdpa_stat stat)
{
	const unsigned int first = vring == RTE_VHOST_QUEUE_ALL ? 0 : vring;
	const unsigned int last = vring == RTE_VHOST_QUEUE_ALL ? MAX_VRINGS - 1 : vring;
	uint64_t sum = 0;

	pthread_mutex_lock(&soft->lock);
	for (unsigned int i = first; i <= last; i++)
		sum += soft->rings[i].stats[stat];
	pthread_mutex_unlock(&soft->lock);
	return sum;
}

unsigned int
soft_vdpa_asked(struct soft_vdpa *soft, enum soft_vdpa_op op)
{
	return __atomic_load_n(&soft->asked[op], __ATOMIC_RELAXED);
}

bool
soft_vdpa_is_running(struct soft_vdpa *soft)
{
	return __atomic_load_n(&soft->running, __ATOMIC_RELAXED);
}

bool
soft_vdpa_is_relaying(struct soft_vdpa *soft)
{
	bool relaying;

	pthread_mutex_lock(&soft->lock);
	relaying = soft_vdpa_is_running(soft) && soft->relaying;
	pthread_mutex_unlock(&soft->lock);
	return relaying;
}

bool
soft_vdpa_has_doorbells(struct soft_vdpa *soft)
{
	bool doorbells;

	pthread_mutex_lock(&soft->lock);
	doorbells = soft->doorbells;
	pthread_mutex_unlock(&soft->lock);
	return doorbells;
}

uint8_t *
soft_vdpa_space(struct soft_vdpa *soft)
{
	return soft->space;
}
