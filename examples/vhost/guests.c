/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Callbacks run in the library's event thread.  new_device and destroy_device take
 * the control lock and change the plans at once: when destroy_device returns no
 * lcore uses the device.  vring_state_changed comes with the ring held, for which an
 * lcore may be waiting, so it only takes a note and wakes the main lcore.
 */

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_string_fns.h>
#include <rte_vhost.h>

#include "dma.h"
#include "guest_node.h"
#include "guests.h"
#include "mac_table.h"
#include "offload.h"
#include "options.h"
#include "plan.h"
#include "switch_log.h"
#include "topology.h"

#define MAX_RINGS (2 * OPTIONS_MAX_QUEUES)

/* Which rings can be used, by vid; written in callbacks, read with the control lock. */
static bool ring_enabled[RTE_MAX_VHOST_DEVICE][MAX_RINGS];
/* The vport of each device; under the control lock. */
static struct vport *vport_of[RTE_MAX_VHOST_DEVICE];
static int event_fd = -1;
/* By who starts and stops sockets, never in a callback. */
static pthread_mutex_t sockets_lock = PTHREAD_MUTEX_INITIALIZER;
static bool registered[OPTIONS_MAX_SOCKETS];
static bool ended;

static void
wake_main(void)
{
	const uint64_t one = 1;

	if (write(event_fd, &one, sizeof(one)) < 0)
		LOG(DEBUG, "the main lcore is awake already");
}

/* What is to be known about a guest; with the control lock held. */

/** The vport for a new device: its socket's, or if that has a guest already, the next. */
static struct vport *
claim_vport(const char *path)
{
	char copy[sizeof(((struct vport *)NULL)->guest.path)], name[VPORT_NAME_LEN];
	struct vport *vport;

	rte_strlcpy(copy, path, sizeof(copy));
	rte_strlcpy(name, basename(copy), sizeof(name));
	for (unsigned int i = 1; ; i++) {
		vport = vport_claim(VPORT_GUEST, name);
		if (vport == NULL || (vport->kind == VPORT_GUEST && !vport->connected))
			return vport;
		rte_strlcpy(copy, path, sizeof(copy));
		snprintf(name, sizeof(name), "%.*s.%u", VPORT_NAME_LEN - 12, basename(copy), i);
	}
}

static uint8_t
offloads_taken(uint64_t features)
{
	static const struct {
		uint8_t feature;
		uint8_t offload;
	} meaning[] = {
		{ VIRTIO_NET_F_GUEST_CSUM, OFFLOAD_CSUM },
		{ VIRTIO_NET_F_GUEST_TSO4, OFFLOAD_TSO4 },
		{ VIRTIO_NET_F_GUEST_TSO6, OFFLOAD_TSO6 },
	};
	uint8_t takes = OFFLOAD_CHAIN;

	for (unsigned int i = 0; i < RTE_DIM(meaning); i++)
		if (features & RTE_BIT64(meaning[i].feature))
			takes |= meaning[i].offload;
	return takes;
}

static bool
is_ring_enabled(int vid, uint16_t ring)
{
	return __atomic_load_n(&ring_enabled[vid][ring], __ATOMIC_ACQUIRE);
}

/** Both rings of a pair are polled: the guest need not notify. */
static void
stop_kicks(int vid, uint16_t pair)
{
	rte_vhost_enable_guest_notification(vid, 2 * pair, 0);
	rte_vhost_enable_guest_notification(vid, 2 * pair + 1, 0);
}

/** Take over which rings can be used: true if that is news. */
static bool
update_queues(struct vport *vport)
{
	const int vid = vport->guest.vid;
	uint16_t before = vport->n_txq, txq[VPORT_MAX_TXQ] = { 0 };
	bool news = false, enabled;

	memcpy(txq, vport->txq, sizeof(txq));
	vport->n_rxq = RTE_MIN(options.queues, rte_vhost_get_vring_num(vid) / 2u);
	vport->n_txq = 0;
	for (uint32_t pair = 0; pair < vport->n_rxq; pair++) {
		if (is_ring_enabled(vid, 2 * pair))
			vport->txq[vport->n_txq++] = 2 * pair;
		enabled = is_ring_enabled(vid, 2 * pair + 1);
		if (enabled == vport->rxq[pair].enabled)
			continue;
		news = true;
		vport->rxq[pair].enabled = enabled;
		vport->rxq[pair].ring = 2 * pair + 1;
		stop_kicks(vid, pair);
	}
	return news || before != vport->n_txq ||
		memcmp(txq, vport->txq, before * sizeof(txq[0])) != 0;
}

/** Take over where the queues are: true if that is news. */
static bool
update_queue_nodes(struct vport *vport)
{
	bool news = false;

	for (uint32_t queue = 0; queue < vport->n_rxq; queue++) {
		struct vport_rxq *rxq = &vport->rxq[queue];
		int node = guest_node_of_ring(vport->guest.vid, 2 * queue + 1);

		news |= rxq->enabled && node != rxq->node;
		rxq->node = node;
	}
	return news;
}

/** Take over where the guest is: true if that is news. */
static bool
update_node(struct vport *vport)
{
	int node = rte_vhost_get_numa_node(vport->guest.vid);
	bool news = update_queue_nodes(vport);

	if (vport->pool != NULL && node == vport->node)
		return news;
	if (vport->pool != NULL)
		LOG(INFO, VPORT_FMT " is on node %d now, was on %d", VPORT_ARGS(vport), node,
				vport->node);
	vport->node = node;
	vport->pool = pools_get(node);
	return news || vport->pool != NULL;
}

static void
add_guest(struct vport *vport, int vid, const char *path)
{
	vport->guest.vid = vid;
	rte_strlcpy(vport->guest.path, path, sizeof(vport->guest.path));
	vport->guest.dma[DMA_TX] = dma_of(path, DMA_TX);
	vport->guest.dma[DMA_RX] = dma_of(path, DMA_RX);
	vport->guest.features = 0;
	rte_vhost_get_negotiated_features(vid, &vport->guest.features);
	vport->takes = offloads_taken(vport->guest.features);
	vport->max_len = UINT32_MAX;
	vport->pool = NULL;
	update_queues(vport);
	update_node(vport);
	vport->connected = true;
	vport_of[vid] = vport;
	LOG(INFO, "guest %s connected: vid %d, node %d, %u queue pairs, features 0x%" PRIx64,
			vport->name, vid, vport->node, rte_vhost_get_vring_num(vid) / 2,
			vport->guest.features);
	plan_refresh();
}

static void
remove_guest(struct vport *vport)
{
	vport->connected = false;
	plan_refresh();
	dma_guest_gone(vport->guest.vid, MAX_RINGS);
	/* after that nobody learns addresses there any more */
	mac_table_forget(vport->id);
	for (uint32_t queue = 0; queue < VPORT_MAX_RXQ; queue++)
		vport->rxq[queue].enabled = false;
	vport_of[vport->guest.vid] = NULL;
	LOG(INFO, "guest %s disconnected", vport->name);
}

/* Callbacks */

static int
new_device(int vid)
{
	char path[sizeof(((struct vport *)NULL)->guest.path)];
	struct vport *vport = NULL;

	if (vid >= RTE_MAX_VHOST_DEVICE || rte_vhost_get_ifname(vid, path, sizeof(path)) != 0)
		return -1;
	control_lock();
	vport = claim_vport(path);
	if (vport != NULL)
		add_guest(vport, vid, path);
	else
		LOG(ERR, "%s: no more than %u guests and ports; this one is not served", path,
				VPORT_MAX);
	control_unlock();
	return vport != NULL ? 0 : -1;
}

static void
destroy_device(int vid)
{
	control_lock();
	if (vport_of[vid] != NULL)
		remove_guest(vport_of[vid]);
	control_unlock();
}

static int
vring_state_changed(int vid, uint16_t ring, int enable)
{
	if (ring >= MAX_RINGS)
		return 0;
	dma_ring_changed(vid, ring, enable);
	__atomic_store_n(&ring_enabled[vid][ring], enable != 0, __ATOMIC_RELEASE);
	wake_main();
	return 0;
}

static int
new_connection(int vid)
{
	for (uint16_t ring = 0; ring < MAX_RINGS; ring++)
		__atomic_store_n(&ring_enabled[vid][ring], false, __ATOMIC_RELEASE);
	return 0;
}

static const struct rte_vhost_device_ops guest_ops = {
	.new_connection = new_connection,
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
};

/* Sockets */

/** Features that are not offered to guests. */
static uint64_t
withheld_features(void)
{
	/* nobody fragments UDP like that any more, and we would have to undo it */
	uint64_t features = RTE_BIT64(VIRTIO_NET_F_HOST_UFO) | RTE_BIT64(VIRTIO_NET_F_GUEST_UFO);

	if (!options.mergeable)
		features |= RTE_BIT64(VIRTIO_NET_F_MRG_RXBUF);
	if (!options.tx_csum)
		features |= RTE_BIT64(VIRTIO_NET_F_CSUM) | RTE_BIT64(VIRTIO_NET_F_GUEST_CSUM);
	if (!options.tso)
		features |= RTE_BIT64(VIRTIO_NET_F_HOST_TSO4) | RTE_BIT64(VIRTIO_NET_F_GUEST_TSO4) |
			RTE_BIT64(VIRTIO_NET_F_HOST_TSO6) | RTE_BIT64(VIRTIO_NET_F_GUEST_TSO6) |
			RTE_BIT64(VIRTIO_NET_F_HOST_ECN) | RTE_BIT64(VIRTIO_NET_F_GUEST_ECN);
	return features;
}

static int
start_socket(unsigned int socket)
{
	const char *path = options.sockets[socket];
	uint64_t flags = (options.client ? RTE_VHOST_USER_CLIENT : 0) |
		(dma_has(socket) ? RTE_VHOST_USER_ASYNC_COPY : 0);

	if (rte_vhost_driver_register(path, flags) != 0) {
		LOG(ERR, "%s: cannot be registered", path);
		return -EINVAL;
	}
	registered[socket] = true;
	guest_node_watch(path, wake_main);
	if (rte_vhost_driver_disable_features(path, withheld_features()) != 0 ||
			rte_vhost_driver_callback_register(path, &guest_ops) != 0 ||
			rte_vhost_driver_start(path) != 0) {
		LOG(ERR, "%s: cannot be started; does somebody else listen there?", path);
		return -EADDRINUSE;
	}
	return 0;
}

static void
stop_socket(unsigned int socket)
{
	if (registered[socket])
		rte_vhost_driver_unregister(options.sockets[socket]);
	registered[socket] = false;
}

int
guests_start(void)
{
	int ret = 0;

	event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (event_fd < 0)
		return -errno;
	pthread_mutex_lock(&sockets_lock);
	for (unsigned int i = 0; i < options.n_sockets && ret == 0; i++)
		ret = start_socket(i);
	pthread_mutex_unlock(&sockets_lock);
	return ret;
}

void
guests_stop(void)
{
	pthread_mutex_lock(&sockets_lock);
	ended = true;
	for (unsigned int i = 0; i < options.n_sockets; i++)
		stop_socket(i);
	pthread_mutex_unlock(&sockets_lock);
}

int
guests_start_again(const char *path)
{
	int ret = -ENOENT;

	pthread_mutex_lock(&sockets_lock);
	for (unsigned int i = 0; i < options.n_sockets && !ended; i++) {
		if (strcmp(options.sockets[i], path) != 0)
			continue;
		stop_socket(i);
		ret = start_socket(i);
	}
	pthread_mutex_unlock(&sockets_lock);
	return ret;
}

int
guests_event_fd(void)
{
	return event_fd;
}

void
guests_update(void)
{
	struct vport *vport;
	bool news = false;
	uint64_t count;

	/* how often we were woken does not matter */
	if (read(event_fd, &count, sizeof(count)) < 0)
		count = 0;
	control_lock();
	VPORT_FOREACH(vport) {
		if (vport->kind != VPORT_GUEST || !vport->connected)
			continue;
		news |= update_queues(vport);
		news |= update_node(vport);
	}
	if (news)
		plan_refresh();
	control_unlock();
}
