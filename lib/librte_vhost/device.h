/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_DEVICE_H
#define VHOST_DEVICE_H

/*
 * A device: one connection of one frontend, its negotiated state, its queues,
 * and the settle that makes reality match the wishes.
 *
 * Locks.  dev->lock (recursive) is the control lock: message handling with its
 * callbacks, removal, refresh.  Functions that an application may call while it
 * holds locks of its own, or from a callback, never take it; they read through
 * a queue's gate or dev->view_lock, which are leaves and held only for copies.
 */

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_spinlock.h>

#include "event_loop.h"
#include "inflight_area.h"
#include "mem_log.h"
#include "mem_map.h"
#include "placement.h"
#include "postcopy.h"
#include "queue.h"
#include "virtio_net.h"
#include "vu_message.h"

#include "rte_vhost.h"
#include "rte_vhost_numa.h"

struct rte_vdpa_device;
struct vhost_quota;

#define VHOST_MAX_DEVICES	1024
#define VHOST_MAX_VRINGS	256
#define VHOST_MAX_QUEUE_PAIRS	128

/**
 * What this release offers to frontends by default.  Memory slots are left to
 * applications that ask for them: QEMU 7.2 adds regions again that it added before.
 */
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
		(1ULL << VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD) | \
		(1ULL << VHOST_USER_PROTOCOL_F_HOST_NOTIFIER) | \
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
	const struct rte_vhost_device_ops *ops;	/**< the application's; may be NULL */
	struct rte_vdpa_device *vdpa;	/**< or NULL */
	struct rte_vhost_numa_policy numa;	/**< where devices are placed */
	rte_vhost_numa_changed_t numa_changed;	/**< told of moves; or NULL */
	void *numa_arg;			/**< of numa_changed */
	struct vhost_quota *quota;	/**< the registration's */
};

/** A node had no memory for a queue, or (queue -1) for the device. */
struct device_refusal {
	int node;
	int queue;
	int instead;		/**< node that it is on; VHOST_NODE_ANY: nowhere */
};

struct vhost_device {
	int vid;
	uint32_t in_use;		/**< the vid is taken; atomic */
	pthread_mutex_t lock;		/**< control lock, recursive */
	unsigned int lock_depth;	/**< how often its holder has taken it */
	struct vhost_driver driver;	/**< as at connection time */
	struct vu_link *link;		/**< the connection's */

	/* wishes: negotiated or asked for, under the control lock */
	uint64_t features;
	uint64_t protocol_features;
	uint16_t mtu;			/**< 0 until NET_SET_MTU */
	uint8_t status;			/**< virtio device status */
	struct mem_map *wish_map;	/**< of the last SET_MEM_TABLE, or NULL */
	struct mem_log *wish_log;	/**< of the last SET_LOG_BASE, or NULL */
	struct inflight_area wish_inflight;	/**< of the last SET_INFLIGHT_FD */
	uint64_t generation;		/**< grows when features, memory or log change */
	bool stop_wanted;		/**< the next settle stops the device first */
	uint16_t ctrl_pairs;		/**< queue pairs set by VIRTIO_NET_CTRL_MQ, 0: all */
	struct rte_vhost_user_extern_ops extern_ops;

	/* the back channel, see vu_backchannel.c */
	int backend_fd;			/**< -1 for none; under backend_lock */
	pthread_mutex_t backend_lock;	/**< a leaf */
	pthread_mutex_t backend_request_lock;	/**< one exchange at a time; before backend_lock */
	uint64_t backend_turn;		/**< of the event thread, to which backend_waited_ns belongs */
	int64_t backend_waited_ns;	/**< for answers in that turn; under backend_request_lock */

	struct vhost_postcopy postcopy;	/**< is the destination of a migration */

	/* what the application was told */
	bool ready;			/**< new_device was called; atomic */
	bool running;			/**< new_device was called and returned 0 */
	bool vdpa_configured;		/**< the vDPA driver's dev_conf was called */
	bool logging;			/**< what is written to the guest is logged; atomic */

	/* what a settle has made of the wishes */
	rte_spinlock_t view_lock;	/**< a leaf; for map, log, net and vring views */
	struct mem_map *map;		/**< NULL before SET_MEM_TABLE */
	struct mem_log *log;		/**< NULL before SET_LOG_BASE */
	struct inflight_area inflight;	/**< that blocks point to */
	struct virtio_net *net;		/**< the replica on the device's own node */
	struct virtio_net *replicas[PLACEMENT_MAX_NODES];	/**< all in use */
	unsigned int nreplicas;
	struct event_source ctrl_kick;	/**< of a control queue that is ours to serve */
	struct event_timer ctrl_retry;	/**< serve it when the lock is free */

	/* placement: written under control lock and view_lock, read under either */
	struct placement_census census;	/**< on which the decision rests */
	struct placement_census seen;	/**< by the last look */
	int seen_node;			/**< that look's, if it was another one */
	int node;			/**< of net, when nobody may look at net any more */
	int handle_node;		/**< where this structure was moved to, or VHOST_NODE_ANY */
	int app_node;			/**< as the application was told last, while running */
	uint64_t refused_nodes;		/**< mask: gave no memory in the last settle */
	struct device_refusal last_refusal;	/**< if there were any */
	uint64_t moves;			/**< blocks published on another node */
	uint64_t refusals;		/**< settles that could not place as wished */
	uint64_t drifts;		/**< looks that found memory on another node */
	uint64_t probes;		/**< looks at the guest's memory */
	uint64_t restarts;		/**< times the application was led along */
	bool restart_wanted;		/**< lead it along if the node changes now; control lock */
	uint64_t look_due_ms;		/**< numa_watch.c's */

	uint32_t nvrings;		/**< queues[0 .. nvrings - 1] are up; atomic */
	uint32_t data_vrings;		/**< without a control queue of ours; atomic */
	struct vhost_queue *queues[VHOST_MAX_VRINGS];
};

/**
 * A frontend has connected: take a vid, create the device, call new_connection.
 *
 * @param link  of the connection; outlives the device
 * @return the device with one owner, the connection; NULL (logged) if there is
 *         no vid or memory, or the application refused
 */
struct vhost_device *vhost_device_create(const struct vhost_driver *driver,
		struct vu_link *link);

/**
 * The connection is gone: stop the device (destroy_device), call
 * destroy_connection if told so, release everything.  Takes the control lock.
 */
void vhost_device_destroy(struct vhost_device *dev, bool tell_connection);

/** Device of a vid, or NULL with an error logged.  Any thread. */
struct vhost_device *vhost_device_get(int vid);

/** Likewise without a word in the log. */
struct vhost_device *vhost_device_peek(int vid);

/** Queue of a device, NULL unless it exists.  Any thread. */
static inline struct vhost_queue *
vhost_device_queue(const struct vhost_device *dev, uint32_t index)
{
	/* D1 pairs with D2 */
	if (unlikely(index >= __atomic_load_n(&dev->nvrings, __ATOMIC_ACQUIRE)))
		return NULL;
	return dev->queues[index];
}

void vhost_device_lock(struct vhost_device *dev);
bool vhost_device_try_lock(struct vhost_device *dev);

/** Whether the caller is below a callback of the device: holds its control lock. */
bool vhost_device_is_inside(struct vhost_device *dev);
void vhost_device_unlock(struct vhost_device *dev);

/** Make sure that the vring and all below exist: 0, -EINVAL or -ENOMEM.  Control lock held. */
int vhost_device_need_queue(struct vhost_device *dev, uint32_t index);

/** Wish for another memory map; takes over the reference.  Control lock held. */
void vhost_device_wish_map(struct vhost_device *dev, struct mem_map *map);

/** Wish for another log of written pages; takes over the reference.  Control lock held. */
void vhost_device_wish_log(struct vhost_device *dev, struct mem_log *log);

/** Back to the state of a fresh connection, without descriptors.  Settle afterwards. */
void vhost_device_reset_wish(struct vhost_device *dev);

/** All that messages may edit, as it was before one of them. */
struct device_wish {
	uint64_t features;
	uint64_t protocol_features;
	uint64_t generation;
	uint16_t mtu;
	uint16_t ctrl_pairs;
	uint8_t status;
	bool stop_wanted;
	struct mem_map *map;		/**< a reference, or NULL */
	struct mem_log *log;		/**< likewise */
	struct inflight_area inflight;	/**< likewise */
	uint32_t nvrings;
	struct queue_wish queues[VHOST_MAX_VRINGS];
};

/**
 * Keep the wishes; afterwards either go back to them, if the message failed, or
 * forget them.  What a message sent away besides (the back channel, bases of rings)
 * does not come back.  Control lock held.
 */
void vhost_device_keep_wish(struct vhost_device *dev, struct device_wish *kept);
void vhost_device_restore_wish(struct vhost_device *dev, struct device_wish *kept);
void vhost_device_forget_wish(struct device_wish *kept);

/**
 * Vrings that carry packets, or requests of whatever backend it is (virtio 1.2,
 * 5.1.2): two of a guest that knows no more, whatever else the frontend has
 * named; all but the last of an odd number if there is a control queue.
 */
uint32_t vhost_device_data_vrings(const struct vhost_device *dev);

/** The control queue that the frontend leaves to us, once its ring runs and is enabled, or NULL. */
struct vhost_queue *vhost_device_ctrl_queue(const struct vhost_device *dev);

/** What a replica of the device amounts to by its wishes.  Control lock held. */
void vhost_device_net_cfg(const struct vhost_device *dev, struct virtio_net_cfg *cfg);

/** Stop the device for the application and the vDPA driver.  Control lock held. */
void vhost_device_stop(struct vhost_device *dev);

/**
 * Make reality match the wishes: stop, place, build, publish, tell the
 * application (settle.c).  Control lock held.
 *
 * @return 0, or -ENOMEM with the running state unchanged
 */
int vhost_device_settle(struct vhost_device *dev);

/** Look again where the guest's memory is, and settle.  Takes the control lock. */
int vhost_device_refresh(struct vhost_device *dev);

/** The census of the wished map, which is not NULL, decides.  Control lock held. */
void vhost_device_take_census(struct vhost_device *dev);

/**
 * Look again, and settle if two looks in a row, or the first that knew anything,
 * found that something belongs elsewhere, or if memory was refused.  Nothing of
 * EAL's memory is touched unless there is something to do.  Control lock held.
 */
void vhost_device_look(struct vhost_device *dev);

/** Whether it is unknown where something that there is belongs.  Control lock held. */
bool vhost_device_is_undecided(const struct vhost_device *dev);

/**
 * Edit a device's copy of its registration, as vhost_socket_edit() does with the
 * original.  Takes the control lock.
 *
 * @return whether the device is there and of that path
 */
bool vhost_device_edit(struct vhost_device *dev, const char *path,
		int (*fn)(struct vhost_driver *driver, void *arg), void *arg);

/**
 * Have the handles of device and queues, whose addresses stay, on the nodes of what
 * they lead to.  Control lock held.
 */
void vhost_device_bring_handles(struct vhost_device *dev);

/** Change a field that reports read. */
void vhost_device_note(struct vhost_device *dev, int *field, int value);
void vhost_device_count(struct vhost_device *dev, uint64_t *counter);

/** Whether a feature bit is negotiated. */
static inline bool
vhost_device_has(const struct vhost_device *dev, unsigned int feature)
{
	return (dev->features & (1ULL << feature)) != 0;
}

#endif /* VHOST_DEVICE_H */
