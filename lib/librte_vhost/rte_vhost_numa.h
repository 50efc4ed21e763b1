/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef _RTE_VHOST_NUMA_H_
#define _RTE_VHOST_NUMA_H_

/**
 * @file
 *
 * NUMA placement of vhost devices.
 *
 * The library keeps what its bursts touch next to the guest's memory: each
 * queue on the node of its ring, the device on the node that has most of the
 * guest's memory.  The functions here tell where everything is and why, have the
 * library look again, say what it shall do (follow, stay on one node, nothing),
 * and tell the application when something has moved.
 *
 * Nodes are the kernel's numbers; they may be sparse (0 and 8).
 *
 * Functions that take a device (vid) may be called from new_connection to
 * destroy_connection.
 *
 * Thread safety: every function may be called by any thread.
 *
 * Here since vhost-numa 22.11.0; DPDK has nothing of it.
 *
 * @warning
 * @b EXPERIMENTAL: all of this may change without prior notice.
 */

#include <stdint.h>

#include <rte_compat.h>

#ifdef __cplusplus
extern "C" {
#endif

/** No node, or none known. */
#define RTE_VHOST_NUMA_NONE (-1)

/** Instead of a queue: the device itself. */
#define RTE_VHOST_NUMA_DEVICE (-1)

/**
 * Flag for rte_vhost_driver_register(): devices of this socket stay where they
 * are born (RTE_VHOST_NUMA_OFF).
 */
#define RTE_VHOST_USER_NUMA_OFF		(1ULL << 62)

/**
 * Flag for rte_vhost_driver_register(): devices of this socket are on one node,
 * 0 to 63, wherever their guests are (RTE_VHOST_NUMA_PIN).
 */
#define RTE_VHOST_USER_NUMA_PIN(node)	((1ULL << 63) | (((uint64_t)(node) & 0x3f) << 48))

/** What is done about placement. */
enum rte_vhost_numa_mode {
	/** Each queue where its ring is, the device where most memory is; the default. */
	RTE_VHOST_NUMA_FOLLOW,
	/** Everything on one node. */
	RTE_VHOST_NUMA_PIN,
	/** Nothing: everything stays where it is, and guest memory is not looked at. */
	RTE_VHOST_NUMA_OFF,
};

/**
 * Flag of a policy: a running device whose guest was found on another node by
 * the library's own regular look is led through destroy_device and new_device,
 * too, and not only by rte_vhost_numa_refresh().
 */
#define RTE_VHOST_NUMA_F_RESTART (1u << 0)

/** Policy of a socket. */
struct rte_vhost_numa_policy {
	enum rte_vhost_numa_mode mode;	/**< what is done */
	int node;		/**< RTE_VHOST_NUMA_PIN: the node; else ignored */
	uint32_t flags;		/**< RTE_VHOST_NUMA_F_* */
};

/** How it is known where memory is. */
enum rte_vhost_numa_evidence {
	RTE_VHOST_NUMA_EVIDENCE_NONE,	/**< it is not: no memory yet, or not asked */
	RTE_VHOST_NUMA_EVIDENCE_POLICY,	/**< no page yet; a memory policy names a node */
	RTE_VHOST_NUMA_EVIDENCE_PAGES,	/**< the kernel told the node of pages */
	RTE_VHOST_NUMA_EVIDENCE_REFUSED, /**< the kernel does not answer (no NUMA, EPERM) */
};

/** Nodes that a report can tell apart: 0 to 63. */
#define RTE_VHOST_NUMA_MAX_NODES 64

/** A region of guest memory, as it was seen last. */
struct rte_vhost_numa_region {
	uint64_t guest_phys_addr;	/**< start, as the guest's descriptors name it */
	uint64_t size;			/**< bytes */
	uint64_t page_size;		/**< bytes */
	enum rte_vhost_numa_evidence evidence;	/**< how its nodes are known */
	uint32_t pages_asked;		/**< size of the sample */
	uint32_t pages_known;		/**< of those, pages with a node */
	/** Bytes on each node, projected from the sample; missing pages do not count. */
	uint64_t bytes[RTE_VHOST_NUMA_MAX_NODES];
};

/** A queue. */
struct rte_vhost_numa_queue {
	int node;		/**< of the queue's structures, or RTE_VHOST_NUMA_NONE */
	int ring_node;		/**< of its ring in guest memory, or RTE_VHOST_NUMA_NONE */
	uint64_t bytes;		/**< size of the structures */
	uint64_t moves;		/**< to another node */
	uint64_t refusals;	/**< times a node had no memory for them */
	uint64_t drifts;	/**< times its ring was found on another node */
	uint64_t last_pause_ns;	/**< bursts kept out by the last rebuild or move */
	uint64_t max_pause_ns;	/**< the longest of those */
};

/** A device. */
struct rte_vhost_numa_report {
	int node;		/**< of the device's structure, or RTE_VHOST_NUMA_NONE */
	int app_node;		/**< as the running application was told last, likewise */
	struct rte_vhost_numa_policy policy;	/**< in force */
	uint64_t moves;		/**< of the device and all its queues */
	uint64_t refusals;	/**< times something could not be where it belongs */
	uint64_t drifts;	/**< times guest memory was found on another node */
	uint64_t probes;	/**< times the guest's memory was looked at */
	uint64_t restarts;	/**< times the device was led through destroy_device */
	uint64_t refused_nodes;	/**< bit N: node N has no memory for what belongs there */
	uint64_t replica_nodes;	/**< bit N: node N has a copy of the device's structure */
	uint32_t nr_queues;	/**< elements of queues[] */
	uint32_t nr_regions;	/**< elements of regions[] */
	struct rte_vhost_numa_queue *queues;	/**< nr_queues, by vring index */
	struct rte_vhost_numa_region *regions;	/**< nr_regions */
};

/**
 * The node of a queue's structures.
 *
 * Cheap; takes no lock that is held while the application is called back.
 *
 * Thread safety: any thread, at any time, also from a callback.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   Index of the virtqueue, as for rte_vhost_enqueue_burst().
 * @return
 *   - The node, 0 or more.
 *   - -ENODEV: no such device.
 *   - -EINVAL: no such queue.
 *   - -ENODATA: the kernel does not tell nodes.
 * @since
 *   vhost-numa 22.11.0.
 */
__rte_experimental
int rte_vhost_numa_queue_node(int vid, uint16_t queue_id);

/**
 * Where a device, its queues and its guest's memory are, and what happened.
 *
 * Asks the kernel nothing: regions are as they were seen last.  Takes no lock
 * that is held while the application is called back.
 *
 * Thread safety: any thread, at any time, also from a callback.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device.
 * @param[out] report
 *   On success, a report in one piece of memory, to be freed with free().
 * @return
 *   - 0.
 *   - -ENODEV: no such device.
 *   - -EINVAL: report is NULL.
 *   - -ENOMEM.
 * @since
 *   vhost-numa 22.11.0.
 */
__rte_experimental
int rte_vhost_numa_report(int vid, struct rte_vhost_numa_report **report);

/**
 * Look now where the guest's memory is, and move what belongs elsewhere.
 *
 * Traffic goes on; no packet is lost or reordered.  If the device is running
 * and is on another node now than in new_device, an application that has not
 * registered a callback with rte_vhost_numa_callback_register() gets
 * destroy_device, vring_state_changed and new_device, as if the guest had
 * rebooted.
 *
 * Callbacks run on the library's control thread while the caller waits: hold no
 * lock that they take.  Below a callback of any device nobody waits: 0 is returned
 * at once, and the work is done when nobody is in a callback of that device.
 *
 * Thread safety: any thread, also from a callback, as said above.
 *
 * Outside the specifications.
 *
 * @param vid
 *   The device.
 * @return
 *   - 0: everything is where it belongs, or as near as memory allows (see
 *     refused_nodes of the report), or will be after the callback.
 *   - -ENODEV: no such device.
 *   - -ENOMEM: there is no memory on any node; nothing has changed.
 * @since
 *   vhost-numa 22.11.0.
 */
__rte_experimental
int rte_vhost_numa_refresh(int vid);

/**
 * Set the policy of a socket.
 *
 * For devices that are connected it comes into force at once, with the effects
 * of rte_vhost_numa_refresh(); the same rules apply to the caller.
 *
 * Thread safety: as rte_vhost_numa_refresh().
 *
 * Outside the specifications.
 *
 * @param path
 *   The socket, as registered.
 * @param policy
 *   The policy; copied.
 * @return
 *   - 0.
 *   - -ENOENT: no such socket is registered.
 *   - -EINVAL: NULL, an unknown mode or flag, or a node to pin to that is not 0 to
 *     63.
 *   - -ENODEV: the node to pin to does not exist, has no memory, or is closed to this
 *     process.  Nothing has changed.
 * @since
 *   vhost-numa 22.11.0.
 */
__rte_experimental
int rte_vhost_numa_policy_set(const char *path, const struct rte_vhost_numa_policy *policy);

/**
 * Get the policy of a socket.
 *
 * Thread safety: any thread, at any time, also from a callback.
 *
 * Outside the specifications.
 *
 * @param path
 *   The socket, as registered.
 * @param[out] policy
 *   The policy.
 * @return
 *   - 0.
 *   - -ENOENT: no such socket is registered.
 *   - -EINVAL: NULL.
 * @since
 *   vhost-numa 22.11.0.
 */
__rte_experimental
int rte_vhost_numa_policy_get(const char *path, struct rte_vhost_numa_policy *policy);

/**
 * Something has moved to another node.
 *
 * Called after the fact on the thread that moved it, mostly the library's
 * control thread, as other callbacks of the device are: it may call any
 * function that these may.  The device itself comes after its queues.  Moves are
 * told from new_connection on, so the node of a guest is known before
 * new_device is called.
 *
 * @param vid
 *   The device.
 * @param queue_id
 *   Index of the virtqueue, or RTE_VHOST_NUMA_DEVICE.
 * @param from
 *   The node before.
 * @param to
 *   The node now.
 * @param arg
 *   As registered.
 * @since
 *   vhost-numa 22.11.0.
 */
typedef void (*rte_vhost_numa_changed_t)(int vid, int queue_id, int from, int to, void *arg);

/**
 * Register a callback for moves.
 *
 * An application that has one follows by itself: its devices are not led
 * through destroy_device and new_device when their node changes.  In force at
 * once, also for devices that are connected.
 *
 * Thread safety: any thread; waits for messages and callbacks that are under way: hold
 * no lock that a callback takes.
 *
 * Outside the specifications.
 *
 * @param path
 *   The socket, as registered.
 * @param changed
 *   The callback; NULL to have none again.
 * @param arg
 *   For the callback; the application's.
 * @return
 *   - 0.
 *   - -ENOENT: no such socket is registered.
 *   - -EINVAL: path is NULL.
 * @since
 *   vhost-numa 22.11.0.
 */
__rte_experimental
int rte_vhost_numa_callback_register(const char *path, rte_vhost_numa_changed_t changed,
		void *arg);

#ifdef __cplusplus
}
#endif

#endif /* _RTE_VHOST_NUMA_H_ */
