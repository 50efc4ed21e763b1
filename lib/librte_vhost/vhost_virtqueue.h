/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_VIRTQUEUE_H
#define VHOST_VIRTQUEUE_H

/*
 * The running half of a queue: one block of memory on one node, a pure function
 * of its configuration (struct vq_cfg).  A queue always has a block; while its
 * ring is not known, or stopped, that is a dormant one (size 0) whose bursts
 * do nothing.
 *
 * The block points to itself, to its virtio_net replica, to memory shared with the
 * frontend, or to nothing, so it can be rebuilt anywhere.  What outlives it is struct vq_state,
 * copied by assignment while the gate is closed.
 *
 * Complete only for layers 2 and 3.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#include "doorbell.h"
#include "mem_log.h"
#include "ring_resume.h"
#include "virtio_net.h"

struct ring_iova;
struct rte_mbuf;
struct rte_mempool;
struct vhost_virtqueue;
struct vring_desc;
struct vring_avail;
struct vring_used;

/** Packets that one pass over a ring handles at most. */
#define VHOST_BURST 32

/** Pieces of guest memory, and descriptors, that one packet may be scattered over. */
#define VHOST_MAX_PIECES 256

/* What a ring, and a burst on it, is made for; constants in the bursts. */
#define VQ_PACKED	(1u << 0)	/**< a packed ring, not a split one */
#define VQ_IN_ORDER	(1u << 1)	/**< several chains may go back as one */
#define VQ_MERGEABLE	(1u << 2)	/**< a packet may span several chains */
#define VQ_LOG		(1u << 3)	/**< what is written is logged, see ring_log.h */
#define VQ_IOVA		(1u << 4)	/**< the guest has an IOMMU, see ring_iova.h */

/** A piece of guest memory, translated and checked: [base, base + len) is mapped. */
struct vq_piece {
	uint8_t *base;
	uint32_t len;
};

/** A chain that was taken from the ring and has to be given back. */
struct vq_chain {
	uint16_t id;		/**< by which the driver knows it */
	uint16_t places;	/**< that it takes in the ring, see ring.h */
	uint32_t len;		/**< bytes of guest memory it offers */
};

/** How writes to a ring are logged; all zero without VQ_LOG. */
struct vq_log_cfg {
	bool ring;		/**< the frontend wants them logged */
	uint64_t device_gpa;	/**< of the device's area; the ring does not wrap there */
	uint64_t desc_gpa;	/**< of the descriptors */
};

/** Shape: what a block is built from.  Other values need another block. */
struct vq_cfg {
	uint16_t size;		/**< descriptors; 0 for a dormant block */
	uint16_t index;		/**< of the virtqueue in the device */
	int node;		/**< where the block shall be; VHOST_NODE_ANY: wherever */
	uint64_t generation;	/**< of the virtio_net replica to run on */
	unsigned int format;	/**< VQ_PACKED, VQ_LOG, VQ_IOVA */
	bool untranslated;	/**< dormant only until the IOMMU tells where the ring is */
	struct vring_desc *desc;	/**< our addresses of the rings, checked for size */
	struct vring_avail *avail;	/**< the driver's area, whatever the format has there */
	struct vring_used *used;	/**< the device's area, likewise */
	struct vq_log_cfg log;
	void *inflight;		/**< the ring's region of the shared area; NULL: not tracked */
	uint16_t inflight_num;	/**< entries in there, whatever it says itself */
};

struct vq_stats {
	uint64_t packets;
	uint64_t bytes;
	uint64_t multicast;
	uint64_t broadcast;
	uint64_t undersize;
	uint64_t size_bins[7];	/**< 64, -127, -255, -511, -1023, -1518, more */
	uint64_t guest_notifications;
	uint64_t notifications_offloaded;	/**< that the application promised to do */
	uint64_t notifications_failed;
	uint64_t notifications_suppressed;	/**< as one is promised already */
	uint64_t iotlb_hits;
	uint64_t iotlb_misses;
	uint64_t inflight_submitted;	/**< packets whose copies a DMA device was given */
	uint64_t inflight_completed;	/**< of those, returned to the application */
	uint64_t mbuf_alloc_failed;	/**< packets for which there was no mbuf */
};

/** What outlives a block. */
struct vq_state {
	uint16_t last_avail_idx;	/**< next to take; meaning and bits are the format's */
	uint16_t last_used_idx;		/**< next to give back, likewise */
	uint16_t signalled_used;	/**< last_used_idx at the last notification */
	bool signalled_used_valid;	/**< false until the first decision after a start */
	uint16_t unheard_used;		/**< last_used_idx when there was a callfd last, or at the start */
	bool notification_promised;	/**< by the application, see net_notify.h */
	bool announce;			/**< hand out a RARP packet (VHOST_USER_SEND_RARP) */
	uint8_t announce_mac[6];
	uint64_t inflight_counter;	/**< order in which requests are taken */
	uint32_t oversized;		/**< packets dropped as the application's mbufs are short */
	struct vq_stats stats;
};

/** Whether the guest is to kick when it offers chains: what the application said. */
enum vq_kicks {
	VQ_KICKS_UNSAID,	/**< nothing: whatever the ring says about it stays */
	VQ_KICKS_OFF,		/**< the ring is polled */
	VQ_KICKS_ON,		/**< it sleeps until a kick */
};

/** Attributes: patched while the gate is closed, without another block. */
struct vq_attr {
	int callfd;		/**< adopted, the queue's; -1 for none */
	enum doorbell_kind call_kind;
	bool enabled;		/**< the frontend lets packets flow */
	enum vq_kicks kicks;	/**< written to the ring by vhost_block_request_kicks() only */
};

typedef uint16_t (*vq_enqueue_t)(struct vhost_virtqueue *vq,
		struct rte_mbuf **pkts, uint16_t count);
typedef uint16_t (*vq_dequeue_t)(struct vhost_virtqueue *vq,
		struct rte_mempool *pool, struct rte_mbuf **pkts, uint16_t count);

struct vhost_virtqueue {
	/* read by every burst */
	vq_enqueue_t enqueue;	/**< to the guest; does nothing unless it may run */
	vq_dequeue_t dequeue;	/**< from the guest; likewise */
	const struct virtio_net *net;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t size;
	uint16_t mask;		/**< size - 1 */
	int callfd;
	enum doorbell_kind call_kind;
	bool event_idx;		/**< VIRTIO_RING_F_EVENT_IDX is negotiated */
	bool renews_kicks;	/**< event_idx, and the application wants the guest's kicks */
	bool broken;		/**< the available index was nonsense: logged once */
	bool node_has_no_buffers;	/**< EAL has no memory for external buffers there */

	/* written by every burst */
	uint64_t withheld __rte_cache_aligned;	/**< what a burst writes to the ring last */
	struct ring_iova *iova;	/**< NULL without VQ_IOVA; each burst asks */
	struct vq_state state;

	/* scratch rows, see vq_arrays[] */
	struct vq_piece *pieces;	/**< VHOST_MAX_PIECES, and two that may be looked at */
	struct vq_chain *chains;	/**< VHOST_MAX_PIECES; NULL for rings that the guest sends through */
	struct mem_log_cache *log;	/**< empty between bursts; NULL without VQ_LOG */

	/* control side */
	struct vq_cfg cfg __rte_cache_aligned;
	struct vq_attr attr;
	int node;		/**< where it was when asked last, see mem_heap.h */
	size_t bytes;		/**< of the whole block, rows included */
};

/**
 * Build a block on cfg->node, with a fresh state and no attribute in force.
 *
 * @param net  replica of the same node and generation; must outlive the block
 * @return the block; NULL when that node gives no memory
 */
struct vhost_virtqueue *vhost_block_create(const struct vq_cfg *cfg,
		const struct virtio_net *net);

/** NULL is allowed. */
void vhost_block_destroy(struct vhost_virtqueue *block);

/**
 * Note where the block is by now: whether that is another node than before, so that
 * it has to be built again to be where it was wanted.
 */
bool vhost_block_look(struct vhost_virtqueue *block);

/**
 * Go on with the state of the block before.  Indices of another format mean
 * nothing: the ring begins at its start.  Gate closed.
 */
void vhost_block_inherit(struct vhost_virtqueue *block, struct vhost_virtqueue *from);

/**
 * Where the ring goes on: 0, or -EINVAL if a live block has no such places.  Gate
 * closed.
 */
int vhost_block_set_base(struct vhost_virtqueue *block, uint16_t last_avail,
		uint16_t last_used);

/**
 * The ring of this live block starts, with the state it has by now.  Gate closed.
 *
 * @param taken_over  whether another backend may have had it before, and died between
 *                    giving back and telling the guest
 * @return whether the ring and its size agreed with the indices of the state.  If not,
 *         the frontend resumes a ring whose backend died: what the ring tells was
 *         adopted for both directions (packets may be sent twice, or lost)
 */
enum ring_resumed vhost_block_start(struct vhost_virtqueue *block, bool taken_over);

/** Put attributes in force: pick the bursts that may run.  Gate closed. */
void vhost_block_apply(struct vhost_virtqueue *block, const struct vq_attr *attr);

/**
 * Translate by the view that the replica has by now; what has gone is not at hand any
 * more.  Gate closed.
 */
void vhost_block_translate(struct vhost_virtqueue *block, const struct mem_iotlb_gone *gone);

/** Add to the statistics what was counted apart.  Gate closed. */
void vhost_block_count(struct vhost_virtqueue *block);

/** Whether chains went back while there was no callfd: the guest waits for a notification. */
bool vhost_block_owes_notification(const struct vhost_virtqueue *block);

/**
 * Write to a ring what the application said about kicks, if anything, and then look
 * whether there is work already, for which no kick will come.  Gate closed.
 *
 * @return true if the application may be asleep and has to be woken
 */
bool vhost_block_request_kicks(struct vhost_virtqueue *block);

/** Whether two configurations give interchangeable blocks. */
bool vhost_vq_cfg_equal(const struct vq_cfg *a, const struct vq_cfg *b);

/** The burst functions that fit a block (net_enqueue.c, net_dequeue.c). */
vq_enqueue_t vhost_net_enqueue_select(const struct vhost_virtqueue *block);
vq_dequeue_t vhost_net_dequeue_select(const struct vhost_virtqueue *block);

#endif /* VHOST_VIRTQUEUE_H */
