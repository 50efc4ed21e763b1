/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The bound: what a burst costs that only reads descriptors, copies, and gives them back.
 *
 * LD_PRELOAD puts these bursts in front of a library's, which goes on to talk to the
 * guest.  They believe everything: one region, a ring that nobody stops, no
 * offloads, no log, nobody to notify, and no other thread.  What a library needs more
 * than this is the price of being one; nobody is far below it who copies.
 */

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <rte_vhost.h>

#define NET_HDR_LEN 12
#define FEATURE_PACKED (1ull << VIRTIO_F_RING_PACKED)
#define FLAG_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define FLAG_USED (1u << VRING_PACKED_DESC_F_USED)

#define GUESTS 1024
#define BURST_MAX 32
/** Chains of one burst: a frame takes several where buffers are merged. */
#define CHAINS_MAX 256
#define PIECES_MAX 8
/** A chain is copied when so many after it are on their way into the cache. */
#define LOOK_AHEAD 4u

struct ring {
	struct rte_vhost_vring vring;
	uint64_t to_host;	/**< from the guest's addresses to ours, modulo 2^64 */
	bool packed;
	bool wrap;		/**< packed: the wrap counter of "next" */
	uint16_t next;		/**< split: chains so far; packed: the place of the next one */
};

struct piece {
	uint8_t *at;
	uint32_t len;
};

/** A chain that the guest made available. */
struct chain {
	struct piece pieces[PIECES_MAX];
	unsigned int n_pieces;
	uint16_t id;
	uint16_t place;		/**< packed: of its first descriptor in the ring */
	bool wrap;		/**< packed: and the wrap counter there */
	uint32_t written;	/**< bytes that the device wrote to it */
};

static struct ring rings[GUESTS][2];
static const struct rte_vhost_device_ops *app_ops;

/* Reading chains. */

static __rte_always_inline void
add_piece(const struct ring *ring, struct chain *chain, uint64_t addr, uint32_t len)
{
	uint8_t *at = (uint8_t *)(uintptr_t)(addr + ring->to_host);

	rte_prefetch0(at);
	chain->pieces[chain->n_pieces++] = (struct piece){ at, len };
}

static __rte_always_inline bool
split_read(struct ring *ring, struct chain *chain)
{
	const struct vring_avail *avail = ring->vring.avail;
	const struct vring_desc *table = ring->vring.desc, *desc;

	if (__atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) == ring->next)
		return false;
	chain->id = avail->ring[ring->next++ & (ring->vring.size - 1)];
	chain->n_pieces = 0;
	desc = &table[chain->id];
	if (desc->flags & VRING_DESC_F_INDIRECT)
		desc = table = (const void *)(uintptr_t)(desc->addr + ring->to_host);
	add_piece(ring, chain, desc->addr, desc->len);
	while (desc->flags & VRING_DESC_F_NEXT) {
		desc = &table[desc->next];
		add_piece(ring, chain, desc->addr, desc->len);
	}
	return true;
}

static __rte_always_inline bool
packed_is_available(const struct ring *ring, const struct vring_packed_desc *desc)
{
	uint16_t flags = __atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE) & (FLAG_AVAIL | FLAG_USED);

	return flags == (ring->wrap ? FLAG_AVAIL : FLAG_USED);
}

static __rte_always_inline const struct vring_packed_desc *
packed_step(struct ring *ring)
{
	const struct vring_packed_desc *desc = &ring->vring.desc_packed[ring->next];

	if (++ring->next == ring->vring.size) {
		ring->next = 0;
		ring->wrap = !ring->wrap;
	}
	return desc;
}

static __rte_always_inline bool
packed_read(struct ring *ring, struct chain *chain)
{
	const struct vring_packed_desc *desc = &ring->vring.desc_packed[ring->next], *table;

	if (!packed_is_available(ring, desc))
		return false;
	chain->place = ring->next;
	chain->wrap = ring->wrap;
	chain->n_pieces = 0;
	packed_step(ring);
	if (desc->flags & VRING_DESC_F_INDIRECT) {
		table = (const void *)(uintptr_t)(desc->addr + ring->to_host);
		for (unsigned int i = 0; i < desc->len / sizeof(*table); i++)
			add_piece(ring, chain, table[i].addr, table[i].len);
	} else {
		add_piece(ring, chain, desc->addr, desc->len);
		while (desc->flags & VRING_DESC_F_NEXT) {
			desc = packed_step(ring);
			add_piece(ring, chain, desc->addr, desc->len);
		}
	}
	chain->id = desc->id;
	return true;
}

static __rte_always_inline bool
read_chain(struct ring *ring, struct chain *chain, bool packed)
{
	return packed ? packed_read(ring, chain) : split_read(ring, chain);
}

/* Giving them back. */

static __rte_always_inline void
split_give_back(struct ring *ring, const struct chain *chains, unsigned int n)
{
	struct vring_used *used = ring->vring.used;
	uint16_t first = used->idx;

	for (unsigned int i = 0; i < n; i++)
		used->ring[(uint16_t)(first + i) & (ring->vring.size - 1)] = (struct vring_used_elem){
			.id = chains[i].id,
			.len = chains[i].written,
		};
	/* Pairs with the driver's load of used->idx, virtio 1.2, 2.7.14. */
	__atomic_store_n(&used->idx, first + n, __ATOMIC_RELEASE);
}

static __rte_always_inline void
packed_give_back(struct ring *ring, const struct chain *chains, unsigned int n)
{
	/* The first last: the driver looks at the others after it only. */
	for (unsigned int i = n; i-- > 0;) {
		struct vring_packed_desc *desc = &ring->vring.desc_packed[chains[i].place];

		desc->id = chains[i].id;
		desc->len = chains[i].written;
		__atomic_store_n(&desc->flags, chains[i].wrap ? FLAG_AVAIL | FLAG_USED : 0,
				 __ATOMIC_RELEASE);
	}
}

static __rte_always_inline void
give_back(struct ring *ring, const struct chain *chains, unsigned int n, bool packed)
{
	if (packed)
		packed_give_back(ring, chains, n);
	else
		split_give_back(ring, chains, n);
}

/* To the guest. */

/** Put bytes into a chain behind those that are there; how many of them fit. */
static __rte_always_inline uint32_t
fill_chain(struct chain *chain, const uint8_t *bytes, uint32_t len)
{
	uint32_t skip = chain->written, done = 0;

	for (unsigned int i = 0; i < chain->n_pieces && done < len; i++) {
		const struct piece *piece = &chain->pieces[i];
		uint32_t n;

		if (skip >= piece->len) {
			skip -= piece->len;
			continue;
		}
		n = RTE_MIN(piece->len - skip, len - done);
		rte_memcpy(piece->at + skip, bytes + done, n);
		done += n;
		skip = 0;
	}
	chain->written += done;
	return done;
}

/** The chains of a burst to the guest, read ahead of what is filled. */
struct filling {
	struct chain chains[CHAINS_MAX];
	unsigned int n_read, n_filled;
};

/** Go on to the next chain; NULL if the guest has no more. */
static __rte_always_inline struct chain *
next_chain(struct ring *ring, struct filling *filling, unsigned int ahead, bool packed)
{
	while (filling->n_read < CHAINS_MAX && filling->n_read <= filling->n_filled + ahead &&
	       read_chain(ring, &filling->chains[filling->n_read], packed))
		filling->n_read++;
	return filling->n_filled < filling->n_read ? &filling->chains[filling->n_filled++] : NULL;
}

/** Fill chains with a frame; false if the guest has too few. */
static __rte_always_inline bool
fill_frame(struct ring *ring, struct filling *filling, const struct rte_mbuf *mbuf,
	   unsigned int ahead, bool packed)
{
	struct chain *chain = next_chain(ring, filling, ahead, packed);
	uint8_t *header;
	uint16_t buffers = 1;

	if (unlikely(chain == NULL))
		return false;
	header = chain->pieces[0].at;
	memset(header, 0, NET_HDR_LEN);
	chain->written = NET_HDR_LEN;
	for (; mbuf != NULL; mbuf = mbuf->next) {
		const uint8_t *bytes = rte_pktmbuf_mtod(mbuf, const uint8_t *);
		uint32_t done = fill_chain(chain, bytes, mbuf->data_len);

		while (unlikely(done < mbuf->data_len)) {
			chain = next_chain(ring, filling, 0, packed);
			if (chain == NULL)
				return false;
			chain->written = 0;
			buffers++;
			done += fill_chain(chain, bytes + done, mbuf->data_len - done);
		}
	}
	memcpy(header + NET_HDR_LEN - sizeof(buffers), &buffers, sizeof(buffers));
	return true;
}

static __rte_always_inline uint16_t
enqueue(struct ring *ring, struct rte_mbuf **pkts, uint16_t count, bool packed)
{
	struct filling filling;
	uint16_t i;

	filling.n_read = filling.n_filled = 0;
	for (i = 0; i < RTE_MIN(count, LOOK_AHEAD); i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], const void *));
	for (i = 0; i < count; i++) {
		if (i + LOOK_AHEAD < count)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + LOOK_AHEAD], const void *));
		if (!fill_frame(ring, &filling, pkts[i], RTE_MIN(LOOK_AHEAD, count - 1 - i), packed))
			break;
	}
	give_back(ring, filling.chains, filling.n_filled, packed);
	return i;
}

/* From the guest. */

static __rte_always_inline void
take_frame(const struct chain *chain, struct rte_mbuf *mbuf)
{
	uint8_t *bytes = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint32_t skip = NET_HDR_LEN, len = 0;

	for (unsigned int i = 0; i < chain->n_pieces; i++) {
		const struct piece *piece = &chain->pieces[i];
		uint32_t n = piece->len - skip;

		rte_memcpy(bytes + len, piece->at + skip, n);
		len += n;
		skip = 0;
	}
	mbuf->pkt_len = len;
	mbuf->data_len = len;
}

static __rte_always_inline uint16_t
dequeue(struct ring *ring, struct rte_mempool *pool, struct rte_mbuf **pkts, uint16_t count,
	bool packed)
{
	struct chain chains[BURST_MAX];
	unsigned int n = 0;

	while (n < RTE_MIN(count, LOOK_AHEAD) && read_chain(ring, &chains[n], packed))
		n++;
	if (n == 0)
		return 0;
	if (rte_pktmbuf_alloc_bulk(pool, pkts, count) != 0)
		abort();
	for (unsigned int i = 0; i < n; i++) {
		if (n < count && read_chain(ring, &chains[n], packed))
			n++;
		chains[i].written = 0;
		take_frame(&chains[i], pkts[i]);
	}
	give_back(ring, chains, n, packed);
	for (unsigned int i = n; i < count; i++)
		rte_pktmbuf_free(pkts[i]);
	return n;
}

/* In place of the library. */

uint16_t
rte_vhost_enqueue_burst(int vid, uint16_t queue_id, struct rte_mbuf **pkts, uint16_t count)
{
	struct ring *ring = &rings[vid][queue_id];

	count = RTE_MIN(count, BURST_MAX);
	return ring->packed ? enqueue(ring, pkts, count, true) : enqueue(ring, pkts, count, false);
}

uint16_t
rte_vhost_dequeue_burst(int vid, uint16_t queue_id, struct rte_mempool *pool,
			struct rte_mbuf **pkts, uint16_t count)
{
	struct ring *ring = &rings[vid][queue_id];

	count = RTE_MIN(count, BURST_MAX);
	return ring->packed ? dequeue(ring, pool, pkts, count, true)
		: dequeue(ring, pool, pkts, count, false);
}

static bool
know_guest(int vid)
{
	struct rte_vhost_memory *memory;
	uint64_t features, to_host;
	bool good = vid < GUESTS && rte_vhost_get_negotiated_features(vid, &features) == 0 &&
		rte_vhost_get_mem_table(vid, &memory) == 0;

	if (!good)
		return false;
	good = memory->nregions == 1;
	to_host = memory->regions[0].host_user_addr - memory->regions[0].guest_phys_addr;
	free(memory);
	for (unsigned int i = 0; i < 2 && good; i++) {
		struct ring *ring = &rings[vid][i];

		*ring = (struct ring){
			.to_host = to_host,
			.packed = (features & FEATURE_PACKED) != 0,
			.wrap = true,
		};
		good = rte_vhost_get_vhost_vring(vid, i, &ring->vring) == 0;
	}
	return good;
}

static int
on_new_device(int vid)
{
	/* Refused, the device does not get ready, which the benchmark reports. */
	return know_guest(vid) ? app_ops->new_device(vid) : -1;
}

/** One application with the same operations for all sockets. */
int
rte_vhost_driver_callback_register(const char *path, struct rte_vhost_device_ops const *const ops)
{
	static struct rte_vhost_device_ops own_ops;
	int (*library)(const char *path, struct rte_vhost_device_ops const *ops) =
		(int (*)(const char *, struct rte_vhost_device_ops const *))
		(uintptr_t)dlsym(RTLD_NEXT, __func__);

	app_ops = ops;
	own_ops = *ops;
	own_ops.new_device = on_new_device;
	return library(path, &own_ops);
}
