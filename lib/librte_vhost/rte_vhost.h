/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef _RTE_VHOST_H_
#define _RTE_VHOST_H_

/**
 * @file
 * The device side of virtio over vhost-user.
 *
 * An application registers a UNIX socket, hands over its callbacks and starts
 * the socket.  A frontend (QEMU, virtio-user, user-mode Linux) connects, shares
 * its guest's memory and describes its rings; from then on the application
 * moves packets with rte_vhost_enqueue_burst() and rte_vhost_dequeue_burst().
 *
 * A device is named by its @e vid, 0 to #RTE_MAX_VHOST_DEVICE - 1, valid from
 * rte_vhost_device_ops::new_connection until
 * rte_vhost_device_ops::destroy_connection returns.  A ring is named by its
 * index, called queue_id, qid or vring_idx here: for a network device even
 * rings carry packets to the guest (enqueue), odd rings from the guest
 * (dequeue).
 *
 * <b>Thread safety</b>, as the functions below refer to it:
 * - @e socket call: may be made by any thread at any time; socket calls wait
 *   for each other.  Not from a callback of the same socket unless stated.
 * - @e device call: may be made by any thread, beside bursts and while the
 *   library handles messages or moves the device to another NUMA node.  The
 *   device must not go away meanwhile: after
 *   rte_vhost_device_ops::destroy_device has returned, no thread may be inside
 *   a device call with that vid.
 * - @e burst call: as a device call, and one thread per ring at a time gets
 *   work done.  rte_vhost_device_ops::vring_state_changed is called with the
 *   ring held, so no burst call on that ring is allowed from there.
 *
 * <b>Errors.</b>  An unknown vid, a ring the device does not have or a NULL
 * output pointer makes a device call return its error value without side
 * effects, even where the description of a function does not repeat it.
 *
 * Specifications: "virtio" is Virtual I/O Device (VIRTIO) Version 1.2,
 * "vhost-user" the Vhost-user Protocol document of QEMU.
 *
 * <b>Versions.</b>  The library is built for one DPDK and has that one's ABI: 23 for
 * 22.11, 25 for 24.11, 26 for 25.11.  What is not said to have come later has been there
 * since ABI 23.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include <rte_compat.h>
#include <rte_memory.h>
#include <rte_mempool.h>
#include <rte_version.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef __cplusplus
/* These are not valid C++. */
#include <linux/vhost.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_net.h>
#endif

/**
 * @name Flags of rte_vhost_driver_register()
 * Unknown bits are ignored.
 * @{
 */
/** Connect to a socket that the frontend listens on, instead of listening. */
#define RTE_VHOST_USER_CLIENT			(1ULL << 0)
/** As a client, give up when there is nobody to connect to. */
#define RTE_VHOST_USER_NO_RECONNECT		(1ULL << 1)
/** Keeps the place of a removed flag; ignored. */
#define RTE_VHOST_USER_RESERVED_1		(1ULL << 2)
/** Offer VIRTIO_F_ACCESS_PLATFORM: guests may have an IOMMU (virtio 1.2, 6). */
#define RTE_VHOST_USER_IOMMU_SUPPORT		(1ULL << 3)
/**
 * Offer to be the destination of post-copy migrations, if the kernel lets the process
 * have a userfaultfd.  The frontend is handed it: with that it can let our threads
 * wait for its memory, and more.
 */
#define RTE_VHOST_USER_POSTCOPY_SUPPORT		(1ULL << 4)
/**
 * A dequeued packet larger than an mbuf of the pool may be put into one
 * external buffer.
 */
#define RTE_VHOST_USER_EXTBUF_SUPPORT		(1ULL << 5)
/**
 * Dequeued packets are always one segment.  Without
 * #RTE_VHOST_USER_EXTBUF_SUPPORT this withdraws the offers of host TSO and UFO.
 */
#define RTE_VHOST_USER_LINEARBUF_SUPPORT	(1ULL << 6)
/**
 * Rings may use DMA devices, see rte_vhost_async.h.  This withdraws the offer of
 * VHOST_F_LOG_ALL, and excludes #RTE_VHOST_USER_IOMMU_SUPPORT and
 * #RTE_VHOST_USER_POSTCOPY_SUPPORT.
 */
#define RTE_VHOST_USER_ASYNC_COPY		(1ULL << 7)
/**
 * Describe the offloads of dequeued packets with receive flags
 * (RTE_MBUF_F_RX_*) as the mbuf library defines them, instead of the historic
 * transmit flags.
 */
#define RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS	(1ULL << 8)
/** Count packets per ring, see rte_vhost_vring_stats_get(). */
#define RTE_VHOST_USER_NET_STATS_ENABLE		(1ULL << 9)
#if RTE_VERSION >= RTE_VERSION_NUM(23, 7, 0, 0)
/**
 * As a client, connect in the background from the first attempt on.  Since DPDK 23.07;
 * here with ABI 25.
 */
#define RTE_VHOST_USER_ASYNC_CONNECT		(1ULL << 10)
#endif
/** @} */

/**
 * @name Feature bits of virtio that kernel headers of some age lack
 * virtio 5.1.3 and 6.
 * @{
 */
#ifndef VIRTIO_NET_F_GUEST_ANNOUNCE
/** The driver can announce itself after a migration (virtio 5.1.6.5.4). */
#define VIRTIO_NET_F_GUEST_ANNOUNCE 21
#endif

#ifndef VIRTIO_NET_F_MQ
/** Several queue pairs (virtio 5.1.6.5.5). */
#define VIRTIO_NET_F_MQ 22
#endif

#ifndef VIRTIO_NET_F_MTU
/** The device tells its MTU (virtio 5.1.4). */
#define VIRTIO_NET_F_MTU 3
#endif

#ifndef VIRTIO_F_ANY_LAYOUT
/** Frames and their headers may share descriptors in any way (virtio 6.3). */
#define VIRTIO_F_ANY_LAYOUT 27
#endif
/** @} */

/**
 * @name Feature bits of vhost-user
 * vhost-user, "Protocol features".  Guarded because frontends define the same names.
 * @{
 */
#ifndef VHOST_USER_PROTOCOL_F_MQ
/** Several queue pairs, VHOST_USER_GET_QUEUE_NUM. */
#define VHOST_USER_PROTOCOL_F_MQ 0
#endif

#ifndef VHOST_USER_PROTOCOL_F_LOG_SHMFD
/** The log of written pages comes as a descriptor, VHOST_USER_SET_LOG_BASE. */
#define VHOST_USER_PROTOCOL_F_LOG_SHMFD 1
#endif

#ifndef VHOST_USER_PROTOCOL_F_RARP
/** The backend announces the guest after a migration, VHOST_USER_SEND_RARP. */
#define VHOST_USER_PROTOCOL_F_RARP 2
#endif

#ifndef VHOST_USER_PROTOCOL_F_REPLY_ACK
/** The frontend may ask for an acknowledgement of any message. */
#define VHOST_USER_PROTOCOL_F_REPLY_ACK 3
#endif

#ifndef VHOST_USER_PROTOCOL_F_NET_MTU
/** The frontend tells the MTU, VHOST_USER_NET_SET_MTU. */
#define VHOST_USER_PROTOCOL_F_NET_MTU 4
#endif

#ifndef VHOST_USER_PROTOCOL_F_SLAVE_REQ
/** The backend may send requests, VHOST_USER_SET_BACKEND_REQ_FD. */
#define VHOST_USER_PROTOCOL_F_SLAVE_REQ 5
#endif

#ifndef VHOST_USER_PROTOCOL_F_CRYPTO_SESSION
/** Crypto sessions, VHOST_USER_CREATE_CRYPTO_SESSION. */
#define VHOST_USER_PROTOCOL_F_CRYPTO_SESSION 7
#endif

#ifndef VHOST_USER_PROTOCOL_F_PAGEFAULT
/** Post-copy migration, VHOST_USER_POSTCOPY_ADVISE. */
#define VHOST_USER_PROTOCOL_F_PAGEFAULT 8
#endif

#ifndef VHOST_USER_PROTOCOL_F_CONFIG
/** The configuration space goes over the socket, VHOST_USER_GET_CONFIG. */
#define VHOST_USER_PROTOCOL_F_CONFIG 9
#endif

#ifndef VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD
/** Requests of the backend may carry a descriptor. */
#define VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD 10
#endif

#ifndef VHOST_USER_PROTOCOL_F_HOST_NOTIFIER
/** Doorbells of hardware, VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG. */
#define VHOST_USER_PROTOCOL_F_HOST_NOTIFIER 11
#endif

#ifndef VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD
/** Inflight I/O tracking, VHOST_USER_GET_INFLIGHT_FD. */
#define VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD 12
#endif

#ifndef VHOST_USER_PROTOCOL_F_STATUS
/** The device status goes over the socket, VHOST_USER_SET_STATUS. */
#define VHOST_USER_PROTOCOL_F_STATUS 16
#endif

#ifndef VHOST_USER_F_PROTOCOL_FEATURES
/** The virtio feature bit that tells whether the bits above are negotiated. */
#define VHOST_USER_F_PROTOCOL_FEATURES 30
#endif

/** #VHOST_USER_PROTOCOL_F_SLAVE_REQ by the name that the specification has by now. */
#define VHOST_USER_PROTOCOL_F_BACKEND_REQ	VHOST_USER_PROTOCOL_F_SLAVE_REQ
/** #VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD by the name that the specification has by now. */
#define VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD	VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD
/** @} */

struct rte_mbuf;
struct rte_mempool;
struct rte_vdpa_device;

/** How many devices there can be at a time; every vid is below. */
#define RTE_MAX_VHOST_DEVICE 1024

/** Type of a vDPA device: network, see rte_vhost_driver_get_vdpa_dev_type(). */
#define RTE_VHOST_VDPA_DEVICE_TYPE_NET 0
/** Type of a vDPA device: block storage. */
#define RTE_VHOST_VDPA_DEVICE_TYPE_BLK 1

/**
 * A piece of guest memory that is contiguous in the guest's physical addresses,
 * in the frontend's process and in this one (vhost-user, "Memory region
 * description").
 */
struct rte_vhost_mem_region {
	uint64_t guest_phys_addr; /**< start, as the guest's descriptors name it */
	uint64_t guest_user_addr; /**< start, in the frontend's process */
	uint64_t host_user_addr;  /**< start, in this process */
	uint64_t size;            /**< bytes */
	void *mmap_addr;          /**< the mapping that holds the region */
	uint64_t mmap_size;       /**< bytes of that mapping */
	int fd;                   /**< the file behind; belongs to the library */
};

/** All memory of a guest. */
struct rte_vhost_memory {
	uint32_t nregions;                     /**< elements of regions[] */
	struct rte_vhost_mem_region regions[]; /**< in the frontend's order */
};

/*
 * The structures with "inflight" in their names lie in memory that is shared
 * with the frontend and outlives this process; vhost-user, "Inflight I/O
 * tracking", is their reference.
 */

/** State of one descriptor chain of a split ring. */
struct rte_vhost_inflight_desc_split {
	uint8_t inflight;   /**< 1 from fetching the chain until it is used */
	uint8_t padding[5]; /**< unused */
	uint16_t next;      /**< the chain that is to be used after this one */
	uint64_t counter;   /**< order in which chains were fetched */
};

/** Header of the shared area of a split ring, and its descriptor states. */
struct rte_vhost_inflight_info_split {
	uint64_t features;         /**< none is defined yet */
	uint16_t version;          /**< 1; 0 until a backend has used the area */
	uint16_t desc_num;         /**< elements of desc[] */
	uint16_t last_inflight_io; /**< head of the last batch given back */
	uint16_t used_idx;         /**< index of the used ring as last recorded */
	struct rte_vhost_inflight_desc_split desc[]; /**< one per ring entry */
};

/** State of one descriptor of a packed ring, with a copy of it. */
struct rte_vhost_inflight_desc_packed {
	uint8_t inflight; /**< in a chain's first element: 1 while not used */
	uint8_t padding;  /**< unused */
	uint16_t next;    /**< next element of the chain, or of the free list */
	uint16_t last;    /**< in a chain's first element: its last element */
	uint16_t num;     /**< in a chain's first element: its length */
	uint64_t counter; /**< order in which chains were fetched */
	uint16_t id;      /**< copy of the descriptor's buffer id */
	uint16_t flags;   /**< copy of the descriptor's flags */
	uint32_t len;     /**< copy of the descriptor's length, bytes */
	uint64_t addr;    /**< copy of the descriptor's guest address */
};

/**
 * Header of the shared area of a packed ring, and its descriptor states.  The
 * old_ values are those of before the update that may just be going on.
 */
struct rte_vhost_inflight_info_packed {
	uint64_t features;             /**< none is defined yet */
	uint16_t version;              /**< 1; 0 until a backend has used the area */
	uint16_t desc_num;             /**< elements of desc[] */
	uint16_t free_head;            /**< first element of the free list */
	uint16_t old_free_head;        /**< the same, before */
	uint16_t used_idx;             /**< where the next used entry goes */
	uint16_t old_used_idx;         /**< the same, before */
	uint8_t used_wrap_counter;     /**< wrap counter that goes with used_idx */
	uint8_t old_used_wrap_counter; /**< the same, before */
	uint8_t padding[7];            /**< unused */
	struct rte_vhost_inflight_desc_packed desc[]; /**< one per ring entry */
};

/** A chain that a previous backend had fetched and not used. */
struct rte_vhost_resubmit_desc {
	uint16_t index;   /**< first descriptor; packed ring: element of the shared area */
	uint64_t counter; /**< order in which chains were fetched */
};

/** The chains to process again after a reconnection, sorted: latest first. */
struct rte_vhost_resubmit_info {
	struct rte_vhost_resubmit_desc *resubmit_list; /**< the chains */
	uint16_t resubmit_num; /**< how many of them are still to be done */
};

/** Tracking state of a ring, see rte_vhost_get_vhost_ring_inflight(). */
struct rte_vhost_ring_inflight {
	union {
		/** shared area of a split ring */
		struct rte_vhost_inflight_info_split *inflight_split;
		/** shared area of a packed ring */
		struct rte_vhost_inflight_info_packed *inflight_packed;
	};

	/** left over by a previous backend; address stable while it runs */
	struct rte_vhost_resubmit_info *resubmit_inflight;
};

/**
 * A ring as it lies in guest memory, for applications that process rings
 * themselves.  Which members of the unions hold depends on VIRTIO_F_RING_PACKED
 * (virtio 2.7 and 2.8).
 */
struct rte_vhost_vring {
	union {
		struct vring_desc *desc;               /**< split */
		struct vring_packed_desc *desc_packed; /**< packed */
	};
	union {
		struct vring_avail *avail;                   /**< split */
		struct vring_packed_desc_event *driver_event; /**< packed */
	};
	union {
		struct vring_used *used;                     /**< split */
		struct vring_packed_desc_event *device_event; /**< packed */
	};
	/** guest physical address of the used ring, for the dirty log */
	uint64_t log_guest_addr;

	/** write here to notify the guest; prefer rte_vhost_vring_call(); -1: none */
	int callfd;

	/** readable when the guest has notified; -1: none */
	int kickfd;
	/** number of entries */
	uint16_t size;
};

/** What a message handler of the application tells the library. */
enum rte_vhost_msg_result {
	/** The message is wrong: refuse it. */
	RTE_VHOST_MSG_RESULT_ERR = -1,
	/** Done; the frontend gets an acknowledgement if it asked for one. */
	RTE_VHOST_MSG_RESULT_OK =  0,
	/** Done; send what the handler has left in the message. */
	RTE_VHOST_MSG_RESULT_REPLY =  1,
	/** Not for this handler: let the next one look at it. */
	RTE_VHOST_MSG_RESULT_NOT_HANDLED,
};

/**
 * A message handler of the application.
 *
 * Runs in the library's event thread.
 *
 * @param vid
 *   The device.
 * @param msg
 *   The message as received (vhost-user, "Header"), 680 bytes without
 *   alignment: request number, flags and payload size (32 bits each, at 0, 4
 *   and 8), the payload at 12 (up to 632 bytes), the received descriptors (int)
 *   at 644 and their number (int) at 676.  A reply is written over the payload
 *   and its size.  Nothing of it may be used after the handler has returned.
 * @return
 *   What happens next.
 *
 * Thread safety: called by one thread at a time, as the device's other callbacks.
 */
typedef enum rte_vhost_msg_result (*rte_vhost_msg_handle)(int vid, void *msg);

/**
 * Handlers before and after the library's own, see
 * rte_vhost_extern_callback_register().
 */
struct rte_vhost_user_extern_ops {
	/** Before; anything but NOT_HANDLED replaces the library's handler. */
	rte_vhost_msg_handle pre_msg_handle;
	/** After; sees what the library does not know, too. */
	rte_vhost_msg_handle post_msg_handle;
};

/**
 * What the library tells the application about its devices.
 *
 * Any member may be NULL.
 *
 * Thread safety: of one device, one thread at a time calls these.  It is a thread of the
 * library, or the one that calls rte_vhost_driver_unregister(), and all messages of all
 * devices wait for it, so callbacks should not take long.  @e guest_notified and
 * @e guest_notify are different: the thread that notifies calls them, with the ring held.
 *
 * Order: new_connection; vring_state_changed(.., 1) for each ring as it becomes
 * ready; new_device once; features_changed when the frontend turns a feature on
 * or off that may change at run time; vring_state_changed(.., 0);
 * destroy_device; destroy_connection.  From new_device to destroy_device may
 * happen several times in one connection, once per start of the guest's driver.
 */
struct rte_vhost_device_ops {
	/**
	 * The device is ready for bursts.  Its NUMA node is settled.
	 *
	 * @param vid
	 *   The device.
	 * @return
	 *   0, or anything else to be asked again at the next message.
	 */
	int (*new_device)(int vid);
	/**
	 * The device stops: when this returns, no thread may use it any more.
	 *
	 * @param vid
	 *   The device.
	 */
	void (*destroy_device)(int vid);

	/**
	 * A ring became usable or ceases to be.  Called with the ring held: no burst
	 * call on it from here, except those named _thread_unsafe.
	 *
	 * @param vid
	 *   The device.
	 * @param queue_id
	 *   The ring.
	 * @param enable
	 *   1: usable; 0: not any more.
	 * @return
	 *   Not used.
	 */
	int (*vring_state_changed)(int vid, uint16_t queue_id, int enable);

	/**
	 * The negotiated features of a running device changed; for instance
	 * VHOST_F_LOG_ALL, when migration begins or ends.
	 *
	 * @param vid
	 *   The device.
	 * @param features
	 *   Mask of the virtio feature bits that are negotiated now.
	 * @return
	 *   Not used.
	 */
	int (*features_changed)(int vid, uint64_t features);

	/**
	 * A frontend connected and got this vid; nothing is negotiated yet.
	 *
	 * @param vid
	 *   The device.
	 * @return
	 *   0 or more, or a negative value to refuse the frontend.
	 */
	int (*new_connection)(int vid);
	/**
	 * The frontend is gone; the vid may be given to another one.
	 *
	 * @param vid
	 *   The device.
	 */
	void (*destroy_connection)(int vid);

	/**
	 * The guest has just been notified, by a write to an eventfd.
	 *
	 * @param vid
	 *   The device.
	 */
	void (*guest_notified)(int vid);

#if RTE_VERSION < RTE_VERSION_NUM(23, 7, 0, 0)
	void *reserved[1]; /**< belongs to later DPDK releases: leave it NULL */
#else
	/**
	 * The guest is to be notified of a ring.  No call on that ring from here.
	 *
	 * Since DPDK 23.07; here with ABI 25.
	 *
	 * @param vid
	 *   The device.
	 * @param queue_id
	 *   The ring.
	 * @return
	 *   true to have that done by a later call of rte_vhost_notify_guest(), until
	 *   which this is not called again; false to have it done now.
	 */
	bool (*guest_notify)(int vid, uint16_t queue_id);
#endif
};

/**
 * A condition for which a polling core can sleep, see
 * rte_vhost_get_monitor_addr().
 */
struct rte_vhost_power_monitor_cond {
	/** the location in guest memory to watch */
	volatile void *addr;
	/** what the masked content is compared with */
	uint64_t val;
	/** the bits of the content that count */
	uint64_t mask;
	/** bytes to read at addr: 1, 2, 4 or 8 */
	uint8_t size;
	/**
	 * 1: work is there when the masked content equals val;
	 * 0: when it differs
	 */
	uint8_t match;
};

/** Bytes of a statistic's name, the terminating zero included. */
#define RTE_VHOST_STATS_NAME_SIZE 64

/** One statistic of a ring. */
struct rte_vhost_stat {
	uint64_t id;    /**< index into the names */
	uint64_t value; /**< count since the ring was made or last reset */
};

/** Name of one statistic of a ring. */
struct rte_vhost_stat_name {
	char name[RTE_VHOST_STATS_NAME_SIZE]; /**< for instance tx_q0_good_packets */
};

/**
 * Translate a guest physical address range, as far as it is contiguous here.
 *
 * Thread safety: safe as long as nobody changes @p mem, which is the caller's.
 *
 * virtio 2.7.5 (addresses in descriptors).
 *
 * @param mem
 *   The guest's memory, from rte_vhost_get_mem_table().
 * @param gpa
 *   First guest physical address.
 * @param[in,out] len
 *   Bytes wanted; on return the bytes that are usable at the result, fewer if
 *   the region ends before, 0 if @p gpa is in no region.
 * @return
 *   The address in this process, 0 if @p gpa is in no region.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
static __rte_always_inline uint64_t
rte_vhost_va_from_guest_pa(struct rte_vhost_memory *mem,
			   uint64_t gpa, uint64_t *len)
{
	uint64_t offset, rest;
	uint32_t i;

	for (i = 0; i < mem->nregions; i++) {
		/* Wraps to something huge when gpa is below the region. */
		offset = gpa - mem->regions[i].guest_phys_addr;
		if (offset < mem->regions[i].size) {
			rest = mem->regions[i].size - offset;
			if (*len > rest)
				*len = rest;
			return mem->regions[i].host_user_addr + offset;
		}
	}

	*len = 0;
	return 0;
}

/** Whether a feature mask asks for the logging of written pages. */
#define RTE_VHOST_NEED_LOG(features)	((features) & (1ULL << VHOST_F_LOG_ALL))

/**
 * Mark guest memory as written, for live migration.
 *
 * For applications that write to the guest themselves; the burst functions do
 * it on their own.  To be called after the write.  Without effect unless
 * VHOST_F_LOG_ALL is negotiated (see features_changed), and for addresses that
 * the log has no bit for.
 *
 * Thread safety: device call.
 *
 * vhost-user, "Migration".
 *
 * @param vid
 *   The device.
 * @param addr
 *   First guest physical address written.
 * @param len
 *   Bytes written.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
void rte_vhost_log_write(int vid, uint64_t addr, uint64_t len);

/**
 * Mark a part of a used ring as written, for live migration.
 *
 * As rte_vhost_log_write(), counted from the guest address that the frontend gave
 * the ring for the log.
 *
 * Thread safety: device call.
 *
 * vhost-user, "Migration" and VHOST_USER_SET_VRING_ADDR (the log address).
 *
 * @param vid
 *   The device.
 * @param vring_idx
 *   The ring.
 * @param offset
 *   Where in the used ring, bytes from its start.
 * @param len
 *   Bytes written.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
void rte_vhost_log_used_vring(int vid, uint16_t vring_idx,
			      uint64_t offset, uint64_t len);

/**
 * Tell the guest whether to notify (kick) when it adds buffers to a ring.
 *
 * What was said last is remembered and written to the ring when it starts.  As long as
 * nothing was said, the ring is left as the guest or the application's own backend
 * wrote it.  Such a backend (rte_vhost_driver_set_features()) may write it at any
 * time; the library does so in this call and when the ring starts only.
 *
 * Built-in net backend: whoever asks for notifications may sleep until the ring's kick
 * descriptor is readable.  If buffers wait already, it is, now and whenever a ring
 * starts, is enabled or moves; a poll that returned nothing because the ring was just
 * being changed is made up for in the same way.  A poll that returned packets must be
 * followed by one that returns none before the application sleeps.
 *
 * Thread safety: device call; waits for a burst on the ring to end.
 *
 * virtio 2.7.10 (split) and 2.8.10 (packed), notification suppression.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @param enable
 *   Non-zero: notifications wanted; 0: the ring is polled.
 * @return
 *   0, or -1 for an unknown device or ring.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_enable_guest_notification(int vid, uint16_t queue_id, int enable);

/**
 * Announce a socket and how it is to be used.
 *
 * Nothing happens on it before rte_vhost_driver_start().
 *
 * Thread safety: socket call.
 *
 * vhost-user, "Communication".
 *
 * @param path
 *   Where in the file system; copied.
 * @param flags
 *   RTE_VHOST_USER_* flags.
 * @return
 *   0, or -1 if the path is NULL, empty, longer than a socket address permits or
 *   registered already, the flags ask for asynchronous copies together with
 *   vIOMMU or postcopy, too many sockets exist, or memory is missing.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_driver_register(const char *path, uint64_t flags);

/**
 * Forget a socket: end its connections and, if it listened, remove the file.
 *
 * Running devices get rte_vhost_device_ops::destroy_device, their connections
 * no rte_vhost_device_ops::destroy_connection.  Waits until no callback of the
 * socket runs any more.  Called by such a callback, it returns at once, and the
 * connection ends after the callback: the operations must stay until then.
 *
 * Thread safety: socket call.
 *
 * vhost-user, "Communication".
 *
 * @param path
 *   As registered.
 * @return
 *   0, or -1 if no such socket is registered.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_driver_unregister(const char *path);

/**
 * Put a hardware device behind a socket, which then serves the rings.
 *
 * Before rte_vhost_driver_start().
 *
 * Thread safety: socket call.
 *
 * Outside the specifications: virtio data path acceleration.
 *
 * @param path
 *   A registered socket.
 * @param dev
 *   The hardware device, see rte_vdpa_find_device_by_name().
 * @return
 *   0, or -1 if the socket is unknown or @p dev is NULL.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_driver_attach_vdpa_device(const char *path,
		struct rte_vdpa_device *dev);

/**
 * Undo rte_vhost_driver_attach_vdpa_device().
 *
 * Thread safety: socket call.
 *
 * Outside the specifications: virtio data path acceleration.
 *
 * @param path
 *   A registered socket.
 * @return
 *   0, or -1 if the socket is unknown.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_driver_detach_vdpa_device(const char *path);

/**
 * The hardware device behind a socket.
 *
 * Thread safety: socket call.  The result is not protected from its driver's
 * removing it.
 *
 * Outside the specifications: virtio data path acceleration.
 *
 * @param path
 *   A registered socket.
 * @return
 *   The device, or NULL if there is none or the socket is unknown.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
struct rte_vdpa_device *
rte_vhost_driver_get_vdpa_device(const char *path);

/**
 * @warning
 * @b EXPERIMENTAL with ABI 23: there this API may change, or be removed, without prior
 * notice.
 *
 * The kind of the hardware device behind a socket.
 *
 * Thread safety: socket call.
 *
 * virtio 5 (device types).
 *
 * @param path
 *   A registered socket.
 * @param[out] type
 *   #RTE_VHOST_VDPA_DEVICE_TYPE_NET or #RTE_VHOST_VDPA_DEVICE_TYPE_BLK.
 * @return
 *   0, or -1 if the socket is unknown or has no such device.
 * @since
 *   ABI 23 (DPDK 22.11), experimental there; stable since DPDK 23.11, here with ABI 25.
 */
#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
__rte_experimental
#endif
int
rte_vhost_driver_get_vdpa_dev_type(const char *path, uint32_t *type);

/**
 * Replace the virtio features offered on a socket.
 *
 * Says at the same time that the application processes the rings itself: the
 * burst functions return 0 on the devices of this socket.
 *
 * Before rte_vhost_driver_start(); connections that exist are not changed.
 *
 * Thread safety: socket call.
 *
 * virtio 2.2 and 6; vhost-user, VHOST_USER_GET_FEATURES.
 *
 * @param path
 *   A registered socket.
 * @param features
 *   Mask of virtio feature bits.
 * @return
 *   0, or -1 if the socket is unknown.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_driver_set_features(const char *path, uint64_t features);

/**
 * Offer more of the features that a socket supports.
 *
 * Before rte_vhost_driver_start(); connections that exist are not changed.
 *
 * Thread safety: socket call.
 *
 * virtio 2.2; vhost-user, VHOST_USER_GET_FEATURES.
 *
 * @param path
 *   A registered socket.
 * @param features
 *   Mask of the feature bits to add.
 * @return
 *   0, or -1 if the socket is unknown or does not support one of the bits.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_driver_enable_features(const char *path, uint64_t features);

/**
 * Offer fewer features on a socket.
 *
 * Before rte_vhost_driver_start(); connections that exist are not changed.
 *
 * Thread safety: socket call.
 *
 * virtio 2.2; vhost-user, VHOST_USER_GET_FEATURES.
 *
 * @param path
 *   A registered socket.
 * @param features
 *   Mask of the feature bits to withdraw.
 * @return
 *   0, or -1 if the socket is unknown.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_driver_disable_features(const char *path, uint64_t features);

/**
 * The virtio features offered on a socket, limited to those that the hardware
 * device behind it has, if there is one.
 *
 * Thread safety: socket call.
 *
 * virtio 2.2; vhost-user, VHOST_USER_GET_FEATURES.
 *
 * @param path
 *   A registered socket.
 * @param[out] features
 *   Mask of virtio feature bits.
 * @return
 *   0, or -1 if the socket is unknown or the hardware device does not answer.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_driver_get_features(const char *path, uint64_t *features);

/**
 * Replace the vhost-user protocol features offered on a socket.
 *
 * What the library does not implement itself must be answered by handlers of
 * rte_vhost_extern_callback_register().
 *
 * Before rte_vhost_driver_start(); connections that exist are not changed.
 *
 * Thread safety: socket call.
 *
 * vhost-user, "Protocol features".
 *
 * @param path
 *   A registered socket.
 * @param protocol_features
 *   Mask of VHOST_USER_PROTOCOL_F_* bits.  Postcopy is left out, with a
 *   warning, where the kernel does not let this process have a userfaultfd.
 * @return
 *   0, or -1 if the socket is unknown.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_driver_set_protocol_features(const char *path,
		uint64_t protocol_features);

/**
 * The vhost-user protocol features offered on a socket, limited to those that
 * the hardware device behind it has, if there is one.
 *
 * Thread safety: socket call.
 *
 * vhost-user, "Protocol features".
 *
 * @param path
 *   A registered socket.
 * @param[out] protocol_features
 *   Mask of VHOST_USER_PROTOCOL_F_* bits.
 * @return
 *   0, or -1 if the socket is unknown or the hardware device does not answer.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_driver_get_protocol_features(const char *path,
		uint64_t *protocol_features);

/**
 * How many queue pairs a socket offers: 128, or what the hardware device behind
 * it has if that is less.
 *
 * Thread safety: socket call.
 *
 * vhost-user, "Multiple queue support".
 *
 * @param path
 *   A registered socket.
 * @param[out] queue_num
 *   Number of queue pairs.
 * @return
 *   0, or -1 if the socket is unknown or the hardware device does not answer.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_driver_get_queue_num(const char *path, uint32_t *queue_num);

/**
 * The virtio features that a device and its guest agreed on.
 *
 * Thread safety: device call.
 *
 * virtio 2.2; vhost-user, VHOST_USER_SET_FEATURES.
 *
 * @param vid
 *   The device.
 * @param[out] features
 *   Mask of virtio feature bits.
 * @return
 *   0, or -1 for an unknown device.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_get_negotiated_features(int vid, uint64_t *features);

/**
 * @warning
 * @b EXPERIMENTAL with ABI 23: there this API may change, or be removed, without prior
 * notice.
 *
 * The vhost-user protocol features that a device and its frontend agreed on.
 *
 * Thread safety: device call.
 *
 * vhost-user, VHOST_USER_SET_PROTOCOL_FEATURES.
 *
 * @param vid
 *   The device.
 * @param[out] protocol_features
 *   Mask of VHOST_USER_PROTOCOL_F_* bits.
 * @return
 *   0, or -1 for an unknown device.
 * @since
 *   ABI 23 (DPDK 22.11), experimental there; stable since DPDK 23.11, here with ABI 25.
 */
#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
__rte_experimental
#endif
int
rte_vhost_get_negotiated_protocol_features(int vid,
					   uint64_t *protocol_features);

/**
 * Set the application's callbacks for all devices of a socket.
 *
 * Before rte_vhost_driver_start().
 *
 * Thread safety: socket call.
 *
 * Outside the specifications.
 *
 * @param path
 *   A registered socket.
 * @param ops
 *   The callbacks; not copied, they must last as long as the socket.
 * @return
 *   0, or -1 if the socket is unknown.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_driver_callback_register(const char *path,
	struct rte_vhost_device_ops const * const ops);

/**
 * Listen on a socket, or connect it.
 *
 * A client that finds nobody returns 0 and goes on trying each second, unless
 * #RTE_VHOST_USER_NO_RECONNECT was given.  A socket file that another process left
 * at the path is replaced if nobody listens on it any more.
 *
 * Thread safety: socket call.
 *
 * vhost-user, "Communication".
 *
 * @param path
 *   A registered socket.
 * @return
 *   0, or -1 if the socket is unknown, was started already, cannot be bound
 *   (somebody listens there, or the path is another kind of file), or cannot be connected and is not to be retried.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_driver_start(const char *path);

/**
 * The MTU that the frontend has told the device.
 *
 * Thread safety: device call.
 *
 * virtio 5.1.4 (mtu); vhost-user, VHOST_USER_NET_SET_MTU.
 *
 * @param vid
 *   The device.
 * @param[out] mtu
 *   Bytes of layer 3 per packet.
 * @return
 *   - 0: done
 *   - -ENODEV: unknown device
 *   - -EAGAIN: the device is not ready yet
 *   - -ENOTSUP: VIRTIO_NET_F_MTU was not negotiated
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_get_mtu(int vid, uint16_t *mtu);

/**
 * The NUMA node of a device: where the library keeps its structures and where
 * the application should poll and allocate.
 *
 * It follows the guest's memory.  It is settled before
 * rte_vhost_device_ops::new_device is called, and of a running device it stays what
 * that callback could see until the application is told of another one: by
 * destroy_device and new_device, or by the callback of rte_vhost_numa.h.  Structures
 * may have followed the guest before that; rte_vhost_numa_report() shows where they are.
 *
 * Thread safety: device call.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device.
 * @return
 *   The node's number, or -1 if the device or the node is unknown.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_get_numa_node(int vid);

/**
 * How many rings (not pairs of them) a device has so far.
 *
 * Thread safety: device call.
 *
 * virtio 5.1.2; vhost-user, "Multiple queue support".
 *
 * @param vid
 *   The device.
 * @return
 *   The number of rings, 0 for an unknown device.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
uint16_t rte_vhost_get_vring_num(int vid);

/**
 * The path of the socket that a device belongs to.
 *
 * Thread safety: device call.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device.
 * @param[out] buf
 *   Receives the path, cut to the room there is and always terminated.
 * @param len
 *   Bytes of @p buf, at least 1.
 * @return
 *   0, or -1 for an unknown device or no room at all.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_get_ifname(int vid, char *buf, size_t len);

/**
 * How many buffers the guest has made available in a ring and the device has
 * not used yet.
 *
 * Thread safety: device call; waits for a burst on the ring to end.
 *
 * virtio 2.7.6.  Meaningful for split rings.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @return
 *   Number of chains; 0 also on any error.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
uint16_t rte_vhost_avail_entries(int vid, uint16_t queue_id);

/**
 * Send packets to the guest.
 *
 * Packets are copied; they stay the caller's to free, all of them.
 *
 * Thread safety: burst call; waits for the ring.
 *
 * virtio 5.1.6.4 (packets to the driver), 2.7.8 and 2.8 (used buffers).
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   A ring to the guest (even).
 * @param pkts
 *   The packets.
 * @param count
 *   How many; not more than 32 are looked at.
 * @return
 *   How many packets, from the first on, were placed; 0 if the ring cannot be
 *   used at the moment, on errors, and for devices whose rings the application
 *   processes itself.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
uint16_t rte_vhost_enqueue_burst(int vid, uint16_t queue_id,
	struct rte_mbuf **pkts, uint16_t count);

/**
 * Receive packets from the guest.
 *
 * After a migration the first packet is an announcement (RARP) that the library
 * makes in the guest's name.
 *
 * Thread safety: burst call; returns 0 instead of waiting for the ring.
 *
 * virtio 5.1.6.2 (packets from the driver), 2.7.8 and 2.8 (used buffers).
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   A ring from the guest (odd).
 * @param mbuf_pool
 *   Where packets are allocated; best on the device's NUMA node.
 * @param[out] pkts
 *   Receives the packets, which are the caller's.
 * @param count
 *   Room in @p pkts; not more than 32 packets are taken.
 * @return
 *   How many packets were received; 0 also if the ring cannot be used at the
 *   moment, on errors, and for devices whose rings the application processes
 *   itself.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
uint16_t rte_vhost_dequeue_burst(int vid, uint16_t queue_id,
	struct rte_mempool *mbuf_pool, struct rte_mbuf **pkts, uint16_t count);

/**
 * A copy of the guest's memory table.
 *
 * The copy describes the mappings of the moment; they last until the frontend
 * replaces its table (after rte_vhost_device_ops::destroy_device or, for rings
 * that are running, rte_vhost_device_ops::vring_state_changed).
 *
 * Thread safety: device call.
 *
 * vhost-user, VHOST_USER_SET_MEM_TABLE.
 *
 * @param vid
 *   The device.
 * @param[out] mem
 *   Receives the table; the caller releases it with free().
 * @return
 *   0, or -1 for an unknown device, if the frontend has not sent a table yet,
 *   or without memory.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_get_mem_table(int vid, struct rte_vhost_memory **mem);

/**
 * Where a ring lies and the descriptors that go with it.
 *
 * Thread safety: device call.
 *
 * vhost-user, VHOST_USER_SET_VRING_ADDR, _NUM, _KICK and _CALL.
 *
 * @param vid
 *   The device.
 * @param vring_idx
 *   The ring.
 * @param[out] vring
 *   Receives the addresses in this process, valid while the ring is.
 * @return
 *   0, or -1 for an unknown device or ring.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_get_vhost_vring(int vid, uint16_t vring_idx,
			      struct rte_vhost_vring *vring);

/**
 * Where the inflight tracking of a ring lies, and what is to be resubmitted.
 *
 * Thread safety: device call.
 *
 * vhost-user, "Inflight I/O tracking".
 *
 * @param vid
 *   The device.
 * @param vring_idx
 *   The ring.
 * @param[out] vring
 *   Receives the addresses, valid while the ring runs.  The list is NULL if
 *   nothing is to be done again; the application counts resubmit_num down as it
 *   takes requests from the end, which is where the earliest is.
 * @return
 *   0, or -1 for an unknown device or ring or without a shared area.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_get_vhost_ring_inflight(int vid, uint16_t vring_idx,
	struct rte_vhost_ring_inflight *vring);

/**
 * Record that a chain of a split ring was fetched.
 *
 * Thread safety: device call; one thread per ring.
 *
 * vhost-user, "Inflight I/O tracking", split virtqueue.
 *
 * @param vid
 *   The device.
 * @param vring_idx
 *   The ring.
 * @param idx
 *   The chain's first descriptor.
 * @return
 *   0 if done or tracking is not negotiated; -1 for an unknown device or ring,
 *   a ring of the other format, an index outside the ring, or no shared area.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_set_inflight_desc_split(int vid, uint16_t vring_idx,
	uint16_t idx);

/**
 * Record that a chain of a packed ring was fetched and copy its descriptors.
 *
 * Thread safety: device call; one thread per ring.
 *
 * vhost-user, "Inflight I/O tracking", packed virtqueue.
 *
 * @param vid
 *   The device.
 * @param vring_idx
 *   The ring.
 * @param head
 *   The chain's first descriptor.
 * @param last
 *   The chain's last descriptor.
 * @param[out] inflight_entry
 *   Receives the element of the shared area that stands for the chain; not
 *   written if tracking is not negotiated.
 * @return
 *   0 if done or tracking is not negotiated; -1 for an unknown device or ring,
 *   a ring of the other format, an index outside the ring, or no shared area.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_set_inflight_desc_packed(int vid, uint16_t vring_idx,
	uint16_t head, uint16_t last, uint16_t *inflight_entry);

/**
 * Record which chain of a split ring is given back next, before it is.
 *
 * Thread safety: device call; one thread per ring.
 *
 * vhost-user, "Inflight I/O tracking", split virtqueue.
 *
 * @param vid
 *   The device.
 * @param vring_idx
 *   The ring.
 * @param idx
 *   The chain's first descriptor.
 * @return
 *   0 if done or tracking is not negotiated; -1 for an unknown device or ring,
 *   a ring of the other format, an index outside the ring, or no shared area.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_set_last_inflight_io_split(int vid,
	uint16_t vring_idx, uint16_t idx);

/**
 * Record which chain of a packed ring is given back next, before it is.
 *
 * Thread safety: device call; one thread per ring.
 *
 * vhost-user, "Inflight I/O tracking", packed virtqueue.
 *
 * @param vid
 *   The device.
 * @param vring_idx
 *   The ring.
 * @param head
 *   The element that rte_vhost_set_inflight_desc_packed() gave.
 * @return
 *   0 if done or tracking is not negotiated; -1 for an unknown device or ring,
 *   a ring of the other format, an index outside the ring, or no shared area.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_set_last_inflight_io_packed(int vid,
	uint16_t vring_idx, uint16_t head);

/**
 * Record that a chain of a split ring was given back.
 *
 * Thread safety: device call; one thread per ring.
 *
 * vhost-user, "Inflight I/O tracking", split virtqueue.
 *
 * @param vid
 *   The device.
 * @param vring_idx
 *   The ring.
 * @param last_used_idx
 *   The index of the used ring after giving it back.
 * @param idx
 *   The chain's first descriptor.
 * @return
 *   0 if done or tracking is not negotiated; -1 for an unknown device or ring,
 *   a ring of the other format, an index outside the ring, or no shared area.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_clr_inflight_desc_split(int vid, uint16_t vring_idx,
	uint16_t last_used_idx, uint16_t idx);

/**
 * Record that a chain of a packed ring was given back.
 *
 * Thread safety: device call; one thread per ring.
 *
 * vhost-user, "Inflight I/O tracking", packed virtqueue.
 *
 * @param vid
 *   The device.
 * @param vring_idx
 *   The ring.
 * @param head
 *   The element that rte_vhost_set_inflight_desc_packed() gave.
 * @return
 *   0 if done or tracking is not negotiated; -1 for an unknown device or ring,
 *   a ring of the other format, an index outside the ring, or no shared area.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_clr_inflight_desc_packed(int vid, uint16_t vring_idx,
	uint16_t head);

/**
 * Notify the guest that buffers of a ring were used, if it wants to know.
 *
 * Thread safety: device call; waits for a burst on the ring to end.
 *
 * virtio 2.3, 2.7.7 (split) and 2.8.10 (packed).
 *
 * @param vid
 *   The device.
 * @param vring_idx
 *   The ring.
 * @return
 *   0, or -1 if the device or ring is unknown or the ring cannot be used at the
 *   moment.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int rte_vhost_vring_call(int vid, uint16_t vring_idx);

/**
 * @warning
 * @b EXPERIMENTAL with ABI 23: there this API may change, or be removed, without prior
 * notice.
 *
 * As rte_vhost_vring_call(), but do not wait.
 *
 * Thread safety: device call.
 *
 * virtio 2.3, 2.7.7 (split) and 2.8.10 (packed).
 *
 * @param vid
 *   The device.
 * @param vring_idx
 *   The ring.
 * @return
 *   0; -1 if the device or ring is unknown or the ring cannot be used at the
 *   moment; -EAGAIN if another thread is using it.
 * @since
 *   ABI 23 (DPDK 22.11), experimental there; stable since DPDK 23.11, here with ABI 25.
 */
#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
__rte_experimental
#endif
int rte_vhost_vring_call_nonblock(int vid, uint16_t vring_idx);

/**
 * How many packets the guest has put into a ring and rte_vhost_dequeue_burst()
 * has not fetched yet.
 *
 * Thread safety: device call; waits for a burst on the ring to end.
 *
 * virtio 2.7.6.  Meaningful for split rings.
 *
 * @param vid
 *   The device.
 * @param qid
 *   A ring from the guest (odd).
 * @return
 *   Number of chains; 0 also on any error.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
uint32_t rte_vhost_rx_queue_count(int vid, uint16_t qid);

/**
 * @warning
 * @b EXPERIMENTAL with ABI 23: there this API may change, or be removed, without prior
 * notice.
 *
 * What to watch in order to sleep until a ring has work.
 *
 * Thread safety: device call.  The condition is stale after the next burst.
 *
 * virtio 2.7.6 (split: the available index) and 2.8.1 (packed: the next
 * descriptor's flags).
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @param[out] pmc
 *   Receives the condition.
 * @return
 *   0, or -1 if the device or ring is unknown or the ring cannot be used at the
 *   moment.
 * @since
 *   ABI 23 (DPDK 22.11), experimental there; stable since DPDK 23.11, here with ABI 25.
 */
#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
__rte_experimental
#endif
int
rte_vhost_get_monitor_addr(int vid, uint16_t queue_id,
		struct rte_vhost_power_monitor_cond *pmc);

/**
 * Where the log of written pages lies: one bit per 4096 bytes of guest memory,
 * bit 0 of the first byte for guest address 0.
 *
 * The frontend gives it when it begins to migrate the guest, and may replace it
 * by another one; it lasts until then or until the device goes.
 *
 * Thread safety: device call.
 *
 * vhost-user, VHOST_USER_SET_LOG_BASE.
 *
 * @param vid
 *   The device.
 * @param[out] log_base
 *   Address in this process, 0 without a log.
 * @param[out] log_size
 *   Bytes.
 * @return
 *   0, or -1 for an unknown device.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_get_log_base(int vid, uint64_t *log_base, uint64_t *log_size);

/**
 * How far a device has come in a ring.
 *
 * Of a packed ring both values hold the wrap counter in bit 15.
 *
 * Thread safety: device call.
 *
 * vhost-user, VHOST_USER_GET_VRING_BASE; virtio 2.7.6, 2.7.8 and 2.8.1.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @param[out] last_avail_idx
 *   Index of the next buffer to fetch.
 * @param[out] last_used_idx
 *   Index where the next used buffer is written.
 * @return
 *   0, or -1 for an unknown device or ring.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_get_vring_base(int vid, uint16_t queue_id,
		uint16_t *last_avail_idx, uint16_t *last_used_idx);

/**
 * As rte_vhost_get_vring_base(), from what a previous backend recorded in the
 * shared inflight area of a packed ring.
 *
 * Thread safety: device call.
 *
 * vhost-user, "Inflight I/O tracking", packed virtqueue.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @param[out] last_avail_idx
 *   Index of the next buffer to fetch, wrap counter in bit 15.
 * @param[out] last_used_idx
 *   Index where the next used buffer is written, wrap counter in bit 15.
 * @return
 *   0, or -1 for an unknown device or ring, a split ring, or no shared area.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_get_vring_base_from_inflight(int vid,
	uint16_t queue_id, uint16_t *last_avail_idx, uint16_t *last_used_idx);

/**
 * Set how far a device has come in a ring that the application processes
 * itself.
 *
 * Of a packed ring both values hold the wrap counter in bit 15.
 *
 * Thread safety: device call; not while the ring is being processed.
 *
 * vhost-user, VHOST_USER_SET_VRING_BASE; virtio 2.7.6, 2.7.8 and 2.8.1.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @param last_avail_idx
 *   Index of the next buffer to fetch.
 * @param last_used_idx
 *   Index where the next used buffer is written.
 * @return
 *   0, or -1 for an unknown device or ring.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_set_vring_base(int vid, uint16_t queue_id,
		uint16_t last_avail_idx, uint16_t last_used_idx);

/**
 * Let the application handle messages of a device before and after the library
 * does, and those that it does not know.
 *
 * To be called in rte_vhost_device_ops::new_connection.
 *
 * Thread safety: device call, and only while no message is being handled, that
 * is from a callback.
 *
 * vhost-user, "Front-end message types".
 *
 * @param vid
 *   The device.
 * @param ops
 *   The handlers; copied.
 * @param ctx
 *   Not used: handlers know the device by its vid.
 * @return
 *   0, or -1 for an unknown device.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_extern_callback_register(int vid,
		struct rte_vhost_user_extern_ops const * const ops, void *ctx);

/**
 * The hardware device behind a vhost device.
 *
 * Thread safety: device call.
 *
 * Outside the specifications: virtio data path acceleration.
 *
 * @param vid
 *   The device.
 * @return
 *   The hardware device, or NULL if there is none or the device is unknown.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
struct rte_vdpa_device *
rte_vhost_get_vdpa_device(int vid);

/**
 * @warning
 * @b EXPERIMENTAL with ABI 23: there this API may change, or be removed, without prior
 * notice.
 *
 * Tell the frontend that the device's configuration space has changed.
 *
 * Thread safety: device call.  Waits for the frontend's answer if one is asked
 * for.
 *
 * virtio 2.5; vhost-user, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG.
 *
 * @param vid
 *   The device.
 * @param need_reply
 *   Whether the frontend is to confirm.
 * @return
 *   0; -ENODEV for an unknown device; another negative value if the message
 *   could not be sent or was refused.
 * @since
 *   ABI 23 (DPDK 22.11) as rte_vhost_slave_config_change(), experimental;
 *   DPDK 23.03, here ABI 25, as rte_vhost_backend_config_change(), stable.
 */
#if RTE_VERSION < RTE_VERSION_NUM(23, 3, 0, 0)
__rte_experimental
int
rte_vhost_slave_config_change(int vid, bool need_reply);
#else
int
rte_vhost_backend_config_change(int vid, bool need_reply);
#endif

/**
 * The names of a ring's statistics.
 *
 * A name is "rx_q" (from the guest) or "tx_q" (to the guest), the number of the
 * queue pair, "_" and what is counted.
 *
 * Thread safety: device call.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device, of a socket with #RTE_VHOST_USER_NET_STATS_ENABLE.
 * @param queue_id
 *   The ring.
 * @param[out] name
 *   Receives the names; NULL to ask how many there are.
 * @param size
 *   Room in @p name, elements.
 * @return
 *   How many names there are; nothing was written if that is more than @p size
 *   or @p name is NULL.  -1 for an unknown device or ring or when statistics
 *   are off.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_vring_stats_get_names(int vid, uint16_t queue_id,
		struct rte_vhost_stat_name *name, unsigned int size);

/**
 * The values of a ring's statistics.
 *
 * Thread safety: device call; waits for a burst on the ring to end.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device, of a socket with #RTE_VHOST_USER_NET_STATS_ENABLE.
 * @param queue_id
 *   The ring.
 * @param[out] stats
 *   Receives the values; NULL to ask how many there are.
 * @param n
 *   Room in @p stats, elements.
 * @return
 *   How many values there are; nothing was written if that is more than @p n or
 *   @p stats is NULL.  -1 for an unknown device or ring or when statistics are
 *   off.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_vring_stats_get(int vid, uint16_t queue_id,
		struct rte_vhost_stat *stats, unsigned int n);

/**
 * Set a ring's statistics to 0.
 *
 * Thread safety: device call; waits for a burst on the ring to end.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device, of a socket with #RTE_VHOST_USER_NET_STATS_ENABLE.
 * @param queue_id
 *   The ring.
 * @return
 *   0, or -1 for an unknown device or ring or when statistics are off.
 * @since
 *   ABI 23 (DPDK 22.11).
 */
int
rte_vhost_vring_stats_reset(int vid, uint16_t queue_id);

#if RTE_VERSION >= RTE_VERSION_NUM(23, 7, 0, 0)
/**
 * How many queue pairs a VDUSE device is to have.
 *
 * Before rte_vhost_driver_start().  Of a socket, whose frontend decides, this changes
 * nothing.
 *
 * Thread safety: socket call.
 *
 * virtio 5.1.4 (max_virtqueue_pairs).
 *
 * @param path
 *   A registered socket or VDUSE device.
 * @param max_queue_num
 *   Queue pairs, 1 to 128.
 * @return
 *   0; -1 if the path is not registered, or the number cannot be.
 * @since
 *   DPDK 23.07; here with ABI 25.
 */
int
rte_vhost_driver_set_max_queue_num(const char *path, uint32_t max_queue_num);

/**
 * @warning
 * @b EXPERIMENTAL: this API may change, or be removed, without prior notice.
 *
 * Notify the guest, as the answer of rte_vhost_device_ops::guest_notify has promised.
 * Without a promise, or of an unknown device or ring, this does nothing.
 *
 * Thread safety: any thread may call it, but not from a callback on the same ring;
 * waits for a burst on the ring to end.
 *
 * virtio 2.3, 2.7.7 (split) and 2.8.10 (packed).
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   The ring.
 * @since
 *   DPDK 23.07; here with ABI 25.
 */
__rte_experimental
void
rte_vhost_notify_guest(int vid, uint16_t queue_id);
#endif

#ifdef __cplusplus
}
#endif

#endif /* _RTE_VHOST_H_ */
