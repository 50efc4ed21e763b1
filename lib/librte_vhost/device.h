/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_DEVICE_H
#define VHOST_DEVICE_H

/*
 * Which device is this vid?
 *
 * A device is one connection of one frontend.  Its members are groups, each with one
 * owner that alone writes it: what was asked for (device_wish.c), what a settle has
 * made of that (settle.c), what is known of where the guest's memory is
 * (numa_evidence.c), what listeners were told (listeners.c).
 *
 * Locks.  The control lock (recursive) is held by message handling with its
 * callbacks, removal, refresh.  Functions that an application may call while it
 * holds locks of its own, or from a callback, never take it; they read through a
 * queue's gate or under the view lock, which are leaves and held only for copies.
 */

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_config.h>

#include <rte_spinlock.h>

#include "device_wish.h"
#include "event_loop.h"
#include "inflight_area.h"
#include "mem_log.h"
#include "mem_map.h"
#include "placement.h"
#include "queue.h"
#include "ring_locate.h"
#include "virtio_net.h"
#include "vu_message.h"

#include "rte_vhost.h"
#include "rte_vhost_numa.h"

struct device_listener;
struct numa_evidence;
struct rte_vdpa_device;
struct vhost_postcopy;
struct inflight_pool;
struct vhost_quota;
struct vduse_device;

#define VHOST_MAX_DEVICES	1024
#define VHOST_MAX_QUEUE_PAIRS	128

/** What this release offers to frontends by default. */
#define VHOST_NET_FEATURES	((1ULL << 0) | (1ULL << 1) | (1ULL << 3) | \
		(0x1ffULL << 6) | (1ULL << 15) | (3ULL << 17) | \
		(3ULL << 21) | (1ULL << VHOST_F_LOG_ALL) | (7ULL << 27) | (1ULL << 30) | (1ULL << 32) | \
		(3ULL << 34))
#define VHOST_PROTOCOL_FEATURES	((1ULL << VHOST_USER_PROTOCOL_F_MQ) | \
		(1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD) | \
		(1ULL << VHOST_USER_PROTOCOL_F_RARP) | \
		(1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
		(1ULL << VHOST_USER_PROTOCOL_F_NET_MTU) | \
		(1ULL << VHOST_USER_PROTOCOL_F_SLAVE_REQ) | \
		(1ULL << VHOST_USER_PROTOCOL_F_CRYPTO_SESSION) | \
		(1ULL << VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD) | \
		(1ULL << VHOST_USER_PROTOCOL_F_HOST_NOTIFIER) | \
		(1ULL << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | \
		(1ULL << VHOST_USER_PROTOCOL_F_STATUS))

/**
 * What an application registered for a socket (rte_vhost_driver_register() and
 * its setters).  Owned by socket.c; a device keeps a copy from the moment its
 * frontend connected.
 */
struct vhost_driver {
	char path[PATH_MAX];
	uint64_t flags;			/**< RTE_VHOST_USER_* as registered */
	uint64_t supported_features;	/**< bound of what can be enabled */
	uint64_t features;		/**< offered */
	uint64_t protocol_features;	/**< offered */
	bool builtin;			/**< the library's net data path serves it */
	bool crypto;			/**< started as crypto device */
	const struct rte_vhost_device_ops *ops;	/**< the application's; may be NULL */
	struct rte_vdpa_device *vdpa;	/**< or NULL */
	uint32_t vdpa_vrings;		/**< that it has; 0: no bound */
	bool vduse;			/**< a VDUSE device, not a socket */
	uint32_t max_pairs;		/**< queue pairs that a VDUSE device shall have */
	struct rte_vhost_numa_policy numa;	/**< where devices are placed */
	rte_vhost_numa_changed_t numa_changed;	/**< told of moves; or NULL */
	void *numa_arg;			/**< of numa_changed */
	struct vhost_quota *quota;	/**< the registration's */
	struct inflight_pool *inflight;	/**< the registration's; outlives its devices */
};

/** A node had no memory for a queue, or (queue -1) for the device. */
struct device_refusal {
	int node;
	int queue;
	int instead;		/**< node that it is on; VHOST_NODE_ANY: nowhere */
};

/** Serializes all that changes a device; recursive. */
struct device_lock {
	pthread_mutex_t mutex;
	unsigned int depth;	/**< how often its holder has taken it */
	unsigned int turn;	/**< odd while it is held; atomic, for the watch of postcopy.c */
};

/** What a settle has made of the wishes. */
struct device_running {
	struct mem_map *map;	/**< NULL before SET_MEM_TABLE */
	struct mem_log *log;	/**< NULL before SET_LOG_BASE */
	struct inflight_area inflight;	/**< that blocks point to */
	struct virtio_net *net;	/**< the replica on the device's own node */
	struct virtio_net *replicas[PLACEMENT_MAX_NODES];	/**< all in use */
	unsigned int nreplicas;
	int node;		/**< of net, when nobody may look at net any more */
	int handle_node;	/**< where the device's own pages are, or VHOST_NODE_ANY */
	uint64_t refused_nodes;	/**< mask: gave no memory in the last settle */
	struct device_refusal last_refusal;	/**< if there were any */
	uint64_t moves;		/**< blocks published on another node */
	uint64_t refusals;	/**< settles that could not place as wished */
};

/** What the log says of a device's placement, see numa_tell.c; each includes those before. */
enum numa_said {
	NUMA_SAID_NOTHING,
	NUMA_SAID_UNKNOWN,	/**< that it is not known where the guest's memory is */
	NUMA_SAID_ALL,
};

/** What listeners were told. */
struct device_told {
	const struct device_listener *const *listeners;	/**< ends with NULL */
	bool ready;		/**< new_device was called; atomic */
	bool running;		/**< new_device was called and returned 0 */
	bool vdpa_configured;	/**< the vDPA driver's dev_conf was called and returned 0 */
	int app_node;		/**< node of the device as the application knows it, while running */
	uint64_t restarts;	/**< times it was stopped and started to learn of another node */
	enum numa_said placement;	/**< what the log was told */
};

/** The channel for requests to the frontend, see vu_backchannel.c. */
struct device_back {
	int fd;			/**< -1 for none; under lock */
	pthread_mutex_t lock;	/**< a leaf */
	pthread_mutex_t request_lock;	/**< one exchange at a time; before lock */
	uint64_t notifiers[VHOST_MAX_VRINGS / 64];	/**< vrings whose doorbell is the guest's; under lock */
};

/** A control queue that is ours to serve, see net_ctrl.c. */
struct device_ctrl {
	struct event_source kick;
	struct event_timer retry;	/**< serve it when the lock is free */
	bool waits;			/**< for translations of what is next in it */
};

/** Time that bursts may wait for translations, see burst_iova.c; atomic. */
struct device_patience {
	uint64_t cycles;	/**< left */
	uint64_t since;		/**< TSC of that */
};

struct vhost_device {
	int vid;
	uint32_t in_use;		/**< the vid is taken; atomic */
	uint32_t nvrings;		/**< queues[0 .. nvrings - 1] exist; atomic */
	uint32_t data_vrings;		/**< without a control queue of ours; atomic */
	uint32_t logging;		/**< what is written to the guest is logged; atomic */
	uint32_t translated;		/**< grows with what bursts know of the IOMMU; atomic */
	struct device_patience patience;
	struct vhost_queue *queues;	/**< the first of VHOST_MAX_VRINGS, each in its page */

	struct device_lock control __rte_cache_aligned;
	rte_spinlock_t view_lock;	/**< a leaf; for what applications and reports read */
	struct vhost_driver driver;	/**< as at connection time */
	struct vu_link *link;		/**< the connection's */
	struct rte_vhost_user_extern_ops extern_ops;	/**< the connection's, likewise */
	struct device_back back;	/**< the connection's, likewise */
	struct device_wish wish;	/**< under the control lock */
	struct device_running running;	/**< written under both locks, read under either */
	struct device_told told;	/**< likewise */
	struct numa_evidence *evidence;	/**< of where the guest's memory is */
	struct device_ctrl ctrl;
	struct event_timer ask_again;	/**< for rings that are not translated */
	/**
	 * Asks the kernel, and settles; NULL: a frontend is asked.  Control lock held, event
	 * thread only; the pointer is atomic.
	 */
	void (*learn)(struct vhost_device *dev);
	struct vduse_device *vduse;	/**< for that */
	struct vhost_postcopy *postcopy;	/**< is the destination of a migration */
};

/**
 * What a burst needs to find its queue.  All are in one table: of a thousand devices
 * each page costs an entry of the TLB.
 */
struct vhost_handle {
	uint32_t nvrings;		/**< as the device's; 0 before there is one; atomic */
	struct vhost_device *dev;	/**< NULL before the first of that vid; atomic */
	struct vhost_queue *queues;	/**< the device's */
} __rte_aligned(32);

extern struct vhost_handle vhost_handles[VHOST_MAX_DEVICES];

/**
 * Take the lowest free vid and its structure, which nobody finds before it is in
 * use.
 *
 * @return NULL when there is no vid or no memory
 */
struct vhost_device *vhost_device_take(void);

/** Give a vid back; nobody uses its structure any more but by mistake. */
void vhost_device_give_back(struct vhost_device *dev);

/** Device of a vid, or NULL with an error logged.  Any thread. */
struct vhost_device *vhost_device_get(int vid);

/** Likewise without logging. */
struct vhost_device *vhost_device_peek(int vid);

/** A queue whose index is known to be right. */
static inline struct vhost_queue *
vhost_device_queue_at(const struct vhost_device *dev, uint32_t index)
{
	return vhost_queue_of_page(dev->queues, index);
}

/** Queue of a device, NULL unless it exists.  Any thread. */
static inline struct vhost_queue *
vhost_device_queue(const struct vhost_device *dev, uint32_t index)
{
	/* D1 pairs with D2 */
	if (unlikely(index >= __atomic_load_n(&dev->nvrings, __ATOMIC_ACQUIRE)))
		return NULL;
	return vhost_device_queue_at(dev, index);
}

/** Likewise by the vid: NULL unless device and queue exist.  Any thread. */
static inline struct vhost_queue *
vhost_handle_queue(int vid, uint32_t index)
{
	const struct vhost_handle *handle;

	if (unlikely(vid < 0 || vid >= VHOST_MAX_DEVICES))
		return NULL;
	handle = &vhost_handles[vid];
	/* D1 pairs with D2 */
	if (unlikely(index >= __atomic_load_n(&handle->nvrings, __ATOMIC_ACQUIRE)))
		return NULL;
	return vhost_queue_of_page(handle->queues, index);
}

/** The device of a queue that was found by the vid.  Any thread. */
static inline struct vhost_device *
vhost_handle_device(int vid)
{
	return __atomic_load_n(&vhost_handles[vid].dev, __ATOMIC_RELAXED);
}

/** So many queues of a device exist from now on. */
void vhost_device_publish_queues(struct vhost_device *dev, uint32_t nvrings);

void vhost_device_lock(struct vhost_device *dev);
bool vhost_device_try_lock(struct vhost_device *dev);
void vhost_device_unlock(struct vhost_device *dev);

/** Whether the caller holds the control lock of any device, as below its callbacks. */
bool vhost_device_any_is_locked(void);

/** Whether the caller is below a callback of the device: holds its control lock. */
bool vhost_device_is_inside(struct vhost_device *dev);

/**
 * Vrings that carry packets, or requests of whatever backend it is (virtio 1.2,
 * 5.1.2): two of a guest that knows no more, whatever else the frontend has
 * named; all but the last of an odd number if there is a control queue.
 */
uint32_t vhost_device_data_vrings(const struct vhost_device *dev);

/** The control queue that the frontend leaves to us, once its ring runs and is enabled, or NULL. */
struct vhost_queue *vhost_device_ctrl_queue(const struct vhost_device *dev);

/** What the addresses of the device's rings refer to, by its wishes.  Control lock held. */
struct ring_memory_map vhost_device_ring_memory(const struct vhost_device *dev);

/** What a replica of the device amounts to by its wishes.  Control lock held. */
void vhost_device_net_cfg(const struct vhost_device *dev, struct virtio_net_cfg *cfg);

/**
 * Edit a device's copy of its registration, as vhost_socket_edit() does with the
 * original.  Takes the control lock.
 *
 * @return whether the device is there and of that path
 */
bool vhost_device_edit(struct vhost_device *dev, const char *path,
		int (*fn)(struct vhost_driver *driver, void *arg), void *arg);

/**
 * Have the pages of device and queues, whose addresses stay, on the nodes of what
 * they lead to.  Control lock held.
 */
void vhost_device_migrate_handles(struct vhost_device *dev);

/*
 * Of the registration or the memory, for who holds no lock and may be late with a vid, which is
 * another device's then.
 */
void vhost_device_copy_path(struct vhost_device *dev, char *path, size_t size);
uint64_t vhost_device_flags(struct vhost_device *dev);
bool vhost_device_memory_is_pinned(struct vhost_device *dev);
struct rte_vdpa_device *vhost_device_vdpa(struct vhost_device *dev);

/** Change a field that reports read. */
void vhost_device_record(struct vhost_device *dev, int *field, int value);
void vhost_device_count(struct vhost_device *dev, uint64_t *counter);

/** Whether a feature bit is negotiated. */
static inline bool
vhost_device_has(const struct vhost_device *dev, unsigned int feature)
{
	return (dev->wish.features & (1ULL << feature)) != 0;
}

/**
 * Whether the frontend starts rings by a kick alone, whatever was negotiated: QEMU's
 * cryptodev-vhost-user enables no ring, and tells a backend neither what the driver has
 * accepted nor that it is ready.  It is known by a crypto device without VERSION_1,
 * which no driver leaves out.
 */
static inline bool
vhost_device_starts_by_kick(const struct vhost_device *dev)
{
	return dev->driver.crypto && !vhost_device_has(dev, VIRTIO_F_VERSION_1);
}

/** Whether a protocol feature is negotiated. */
static inline bool
vhost_device_has_protocol(const struct vhost_device *dev, unsigned int feature)
{
	return (dev->wish.protocol_features & (1ULL << feature)) != 0;
}

#endif /* VHOST_DEVICE_H */
