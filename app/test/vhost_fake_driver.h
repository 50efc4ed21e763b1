/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_FAKE_DRIVER_H
#define VHOST_FAKE_DRIVER_H

/*
 * The driver's side of a ring.
 *
 * Three floors.  A ring format (struct fake_ring_ops; split and packed) offers
 * chains of segments to the device and collects what the device used.  On it
 * stand buffers: each chain has a slot of guest memory of its own, cut into
 * segments as a shape says, with a guard between any two.  On those stand
 * packets with recognisable contents.  Tests that want to misbehave reach below
 * all of it and write the ring themselves.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

struct fake;
struct rte_mbuf;

#define FAKE_MAX_SEGS 1024

/** A piece of a chain. */
struct fake_seg {
	uint64_t gpa;
	uint32_t len;
	bool write;		/**< the device writes it */
};

struct fake_vq;

struct fake_ring_ops {
	/** Bytes of guest memory, and where its three parts begin in it. */
	void (*layout)(struct fake_vq *vq);
	/**
	 * Offer a chain; the id by which it comes back, or -1 when full.  An
	 * indirect chain takes one descriptor and the table at that address.
	 */
	int (*add)(struct fake_vq *vq, const struct fake_seg *segs,
			unsigned int n, uint64_t indirect_gpa);
	/** Show the device what was added; true when it wants a kick. */
	bool (*publish)(struct fake_vq *vq);
	/** The next used entry, if there is one. */
	bool (*used)(struct fake_vq *vq, uint32_t *id, uint32_t *len);
	/** Pass over the entry of this chain; its descriptors are free again. */
	void (*take)(struct fake_vq *vq, uint32_t id);
	/** Ask for an interrupt, or for none. */
	void (*interrupts)(struct fake_vq *vq, bool on);
	/** With event idx: ask for one when so many more descriptors are used. */
	void (*interrupt_after)(struct fake_vq *vq, uint16_t n);
	/** Where a device that starts has to go on, as SET_VRING_BASE says it. */
	uint32_t (*base)(const struct fake_vq *vq);
};

extern const struct fake_ring_ops fake_split_ring;
extern const struct fake_ring_ops fake_packed_ring;

/** One vring as its driver sees it. */
struct fake_vq {
	struct fake *fe;
	unsigned int index;
	const struct fake_ring_ops *ops;
	uint32_t size;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *packed;
	};
	union {
		struct vring_avail *avail;
		struct vring_packed_desc_event *driver_event;
	};
	union {
		struct vring_used *used;
		struct vring_packed_desc_event *device_event;
	};
	/* Split: free-running indices.  Packed: places in the ring. */
	uint16_t avail_idx;	/**< of the next chain to add */
	uint16_t shown_idx;	/**< what the device was shown */
	uint16_t used_idx;	/**< of the next chain to collect */
	/* Wrap counters of the packed ring, for the three places. */
	bool avail_wrap, shown_wrap, used_wrap;
	uint16_t nb_hidden;	/**< packed: descriptors added since shown */
	uint16_t hidden_flags;	/**< packed: for the first of those, to be stored last */
	bool knows_used;	/**< what was read of a used entry, not yet all taken */
	uint32_t used_id, used_len;
	uint32_t oldest;	/**< in order: the chain that is used next */
	/* Split: list of free descriptors, by next.  Packed: of free ids. */
	uint32_t free_head;
	uint32_t nb_free;	/**< descriptors */
	uint32_t *next_free;	/**< driver's own, the device cannot spoil it */
	struct fake_slot *slots;	/**< per head descriptor */
	uint64_t slots_gpa;	/**< memory of the slots */
	uint32_t slot_size;	/**< bytes of a buffer that fit */
	uint32_t slot_stride;	/**< from slot to slot: room for the guards */
	uint64_t tables_gpa;	/**< room for indirect tables; 0: none */
	int kickfd, callfd;
	unsigned int kicks;	/**< how often publishing wanted a kick */
};

/** How a buffer is cut.  Zero everywhere: one descriptor. */
struct fake_shape {
	uint32_t header;	/**< first segment: this many bytes */
	uint32_t seg;		/**< further segments: this many bytes each */
	uint32_t header_seg;	/**< cut the header itself into such pieces */
	bool indirect;
};

/** What the driver remembers of an offered chain. */
struct fake_slot {
	uint64_t gpa;		/**< of the slot's memory */
	uint32_t len;		/**< bytes offered, without the guards */
	struct fake_shape shape;
	uint32_t nb_desc;	/**< ring descriptors taken */
};

/** A virtio-net header of either length; num_buffers is last. */
typedef struct virtio_net_hdr_mrg_rxbuf fake_net_hdr;

/** Set up a ring in guest memory of the fake; 0 or -1. */
int fake_vq_init(struct fake *fe, unsigned int index);
/** Bytes of guest memory that a ring of the fake needs: ring and buffers. */
uint64_t fake_vq_ring_bytes(const struct fake *fe);
uint64_t fake_vq_buffer_bytes(const struct fake *fe);
void fake_vq_fini(struct fake_vq *vq);
/** Forget all chains and start from index 0, as a driver that was reset. */
void fake_vq_reset(struct fake_vq *vq);
/** Take back a used chain: its id, or -1 when there is none. */
int fake_collect(struct fake_vq *vq, uint32_t *len);
/** Is that the base at which a ring stopped that has used all it was shown? */
bool fake_is_base(const struct fake_vq *vq, int64_t base);
/** Does the device use chains in the order in which they were offered? */
bool fake_in_order(const struct fake *fe);
/** The header length that was negotiated: 10 or 12. */
unsigned int fake_header_len(const struct fake *fe);

/** Offer a buffer of len bytes, shaped; the id or -1. */
int fake_offer(struct fake_vq *vq, uint32_t len, const struct fake_shape *shape,
		bool write);
/** Offer one descriptor with memory of the caller's choice; the id or -1. */
int fake_offer_at(struct fake_vq *vq, uint64_t gpa, uint32_t len, bool write);
/** Publish, and kick if that is wanted. */
void fake_kick(struct fake_vq *vq);
/** Interrupts since the last question. */
uint64_t fake_interrupts(struct fake_vq *vq);

/* ---- packets ---- */

/** Fill with a pattern that depends on the seed and on the position. */
void fake_pattern(void *buf, size_t len, uint32_t seed);
bool fake_pattern_matches(const void *buf, size_t len, uint32_t seed);

/** Offer n receive buffers of len bytes and publish; how many fitted. */
unsigned int fake_rx_fill(struct fake_vq *vq, unsigned int n, uint32_t len,
		const struct fake_shape *shape);
/**
 * Collect one packet: header and contents, out of as many buffers as the header
 * says; its length, -1 when there is none, -2 when what is there is no packet.
 */
int fake_rx_take(struct fake_vq *vq, fake_net_hdr *hdr, void *buf, size_t size);
/** Send a packet; true if there was room. */
bool fake_tx_send(struct fake_vq *vq, const fake_net_hdr *hdr, const void *pkt,
		size_t len, const struct fake_shape *shape);
/** Collect all used; how many. */
unsigned int fake_tx_reap(struct fake_vq *vq);

/* ---- the device's side, through the public interface ---- */

/** An mbuf (chain, if need be of that segment length) with a pattern. */
struct rte_mbuf *fake_mbuf(size_t len, uint32_t seed, size_t seg_len);
/** Do its contents match? */
bool fake_mbuf_matches(const struct rte_mbuf *m, size_t len, uint32_t seed);
/** Copy out all data of an mbuf chain. */
size_t fake_mbuf_read(const struct rte_mbuf *m, void *buf, size_t size);
/** Enqueue one patterned packet on a pair: 1 or 0. */
unsigned int fake_backend_send(struct fake *fe, unsigned int pair, size_t len,
		uint32_t seed);
/** Dequeue one packet of a pair; NULL when there is none. */
struct rte_mbuf *fake_backend_receive(struct fake *fe, unsigned int pair);

/**
 * One packet from the guest to the host and one back on a pair, contents
 * checked; the length, or -1.
 */
int fake_round_trip(struct fake *fe, unsigned int pair, size_t len);
/** The same, guest to host only, and host to guest only. */
int fake_to_host(struct fake *fe, unsigned int pair, size_t len,
		const struct fake_shape *shape);
int fake_to_guest(struct fake *fe, unsigned int pair, size_t len,
		const struct fake_shape *shape, uint32_t buf_len);

#endif /* VHOST_FAKE_DRIVER_H */
