/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* A NUMA machine of the test's own; see vhost_test_topology.h. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "device_change.h"
#include "mem_heap.h"
#include "mem_node.h"
#include "net_async.h"
#include "numa_watch.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_topology.h"
#include "vhost_virtqueue.h"

#define MAX_BLOCKS 2048
#define MAX_RULES 256
#define MAX_FULL 64
#define MAX_HANDLES 4096
#define PAGE 4096u

/* What a block looks like after it was given back. */
#define DEAD_BYTE 0xdb

struct block {
	uint8_t *at;
	size_t size;
	int node;
};

/** Where a part of guest memory is. */
struct rule {
	uint64_t gpa, len;
	int node;
};

/* Under the lock: the library asks on its event thread, tests on theirs. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	bool real;
	struct block blocks[MAX_BLOCKS];
	unsigned int nblocks;
	struct block handles[MAX_HANDLES];	/* pages that were moved */
	unsigned int nhandles;
	struct rule rules[MAX_RULES];
	unsigned int nrules;
	int bound, denied, misplaced, only;
	bool full[MAX_FULL], all_full;
	unsigned int room[MAX_FULL];
	size_t crowded_bytes;
	int crowded, spare;
	unsigned int asked, refuse_first, refuse_count;
} machine;

int
topology_home(void)
{
	int home = vhost_node_home();

	return home >= 0 ? home : 0;
}

/* ---- asking ---- */

/** A guest address, from one of the library's mappings of guest memory. */
static bool
guest_address(const uint8_t *at, uint64_t *gpa)
{
	for (int vid = 0; vid < 4; vid++) {
		const struct vhost_device *dev = vhost_device_peek(vid);
		/* Whoever asks about guest memory holds the device's lock. */
		const struct mem_map *map = dev != NULL ? dev->wish.map : NULL;

		for (uint32_t i = 0; map != NULL && i < map->nregions; i++) {
			const struct mem_region *r = &map->regions[i];

			if (at < r->mmap_addr || at >= r->mmap_addr + r->mmap_size)
				continue;
			*gpa = r->gpa + (uint64_t)(at - r->host);
			return true;
		}
	}
	return false;
}

static struct block *
find_block(const uint8_t *at)
{
	for (unsigned int i = 0; i < machine.nblocks; i++) {
		struct block *b = &machine.blocks[i];

		if (at >= b->at && at < b->at + b->size)
			return b;
	}
	return NULL;
}

static struct block *
find_handle(const uint8_t *at)
{
	for (unsigned int i = 0; i < machine.nhandles; i++)
		if (machine.handles[i].at == at)
			return &machine.handles[i];
	return NULL;
}

/** Nodes that made-up machines may have, numbered as tests want. */
#define MADE_UP_NODES 32

static int
made_up_prefer(void *memory __rte_unused, size_t size __rte_unused, int node)
{
	return node >= 0 && node < MADE_UP_NODES ? 0 : -EINVAL;
}

static int
made_up_move(void *pages, size_t size, int node)
{
	struct block *b;
	int ret = -EAGAIN;

	pthread_mutex_lock(&lock);
	b = find_handle(pages);
	if (b == NULL && machine.nhandles < MAX_HANDLES)
		b = &machine.handles[machine.nhandles++];
	if (b != NULL) {
		*b = (struct block){ .at = pages, .size = size, .node = node };
		ret = 0;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

static int
made_up_node_of(const uint8_t *at)
{
	const struct block *b = find_block(at);
	uint64_t gpa;

	if (b != NULL)
		return b->node;
	if (!guest_address(at, &gpa))
		return -ENOENT;
	for (unsigned int i = machine.nrules; i-- > 0;)
		if (gpa - machine.rules[i].gpa < machine.rules[i].len)
			return machine.rules[i].node;
	return -ENOENT;
}

static int
made_up_query(void *const *pages, unsigned int n, int *nodes)
{
	int denied;

	pthread_mutex_lock(&lock);
	denied = machine.denied;
	for (unsigned int i = 0; i < n && denied == 0; i++)
		nodes[i] = made_up_node_of(pages[i]);
	pthread_mutex_unlock(&lock);
	return denied;
}

static int
made_up_bound(const void *addr)
{
	uint64_t gpa;
	int node;

	pthread_mutex_lock(&lock);
	node = machine.denied != 0 ? machine.denied :
		guest_address(addr, &gpa) ? machine.bound : -ENOENT;
	pthread_mutex_unlock(&lock);
	return node;
}

/* ---- taking and giving back ---- */

static unsigned int
live_on(int node)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < machine.nblocks; i++)
		n += machine.blocks[i].node == node;
	return n;
}

static bool
node_is_full(int node)
{
	if (node == VHOST_NODE_ANY)
		node = topology_home();
	return machine.all_full || node < 0 || node >= MAX_FULL || machine.full[node] ||
		(machine.room[node] != 0 && live_on(node) >= machine.room[node]);
}

static bool
is_too_large(size_t size, int node)
{
	return machine.crowded_bytes != 0 && node == machine.crowded &&
		size > machine.crowded_bytes;
}

/** Nobody says where memory is, and it could be elsewhere. */
static bool
is_unverified(int node)
{
	return machine.denied != 0 && node != VHOST_NODE_ANY && node != machine.only;
}

/** Count a wish for memory, and decide on it. */
static bool
is_refused(size_t size, int node)
{
	unsigned int nth = ++machine.asked;

	if (machine.nblocks == MAX_BLOCKS || node_is_full(node) || is_too_large(size, node) ||
			is_unverified(node))
		return true;
	return nth >= machine.refuse_first &&
		nth - machine.refuse_first < machine.refuse_count;
}

static void *
made_up_memory(size_t size)
{
	void *at = aligned_alloc(RTE_CACHE_LINE_SIZE,
		RTE_ALIGN_CEIL(size, (size_t)RTE_CACHE_LINE_SIZE));

	if (at != NULL)
		memset(at, 0, size);
	return at;
}

/** Where a block will be, whatever the library is told. */
static int
node_given(size_t size, int wanted)
{
	if (machine.misplaced >= 0)
		return machine.misplaced;
	if (wanted != VHOST_NODE_ANY)
		return wanted;
	return is_too_large(size, topology_home()) ? machine.spare : topology_home();
}

static void *
counted_alloc(size_t size, int node, int *got)
{
	struct block b = { .size = size };

	pthread_mutex_lock(&lock);
	b.node = node_given(size, node);
	if (is_refused(size, node))
		b.at = NULL;
	else if (machine.real)
		b.at = vhost_heap_own_ops()->alloc(size, node, &b.node);
	else
		b.at = made_up_memory(size);
	if (b.at != NULL)
		machine.blocks[machine.nblocks++] = b;
	*got = machine.denied != 0 ? machine.only : b.node;
	pthread_mutex_unlock(&lock);
	return b.at;
}

static int
counted_node(const void *at)
{
	const struct block *b;
	int node;

	if (machine.real)
		return vhost_heap_own_ops()->node(at);
	pthread_mutex_lock(&lock);
	b = find_block(at);
	node = machine.denied != 0 ? machine.only : b->node;
	pthread_mutex_unlock(&lock);
	return node;
}

static void
counted_free(void *at)
{
	struct block *b;

	if (at == NULL)
		return;
	pthread_mutex_lock(&lock);
	b = find_block(at);
	if (b == NULL || b->at != at) {
		printf("topology: %p was given back and is no block\n", at);
		abort();
	}
	/* Who still looks shall see that it is dead. */
	memset(at, DEAD_BYTE, b->size);
	if (machine.real)
		vhost_heap_own_ops()->free(at);
	else
		free(at);
	*b = machine.blocks[--machine.nblocks];
	pthread_mutex_unlock(&lock);
}

/* ---- in place and out of place ---- */

static void
machine_begin(bool real)
{
	static const struct vhost_heap_ops heap_ops = {
		.alloc = counted_alloc, .free = counted_free, .node = counted_node,
	};
	static struct vhost_node_ops ops;

	pthread_mutex_lock(&lock);
	memset(&machine, 0, sizeof(machine));
	machine.real = real;
	machine.bound = -ENOENT;
	machine.misplaced = -1;
	machine.only = VHOST_NODE_ANY;
	pthread_mutex_unlock(&lock);
	/* who counts blocks and questions wants no looks but his own */
	vhost_numa_watch_set_interval(0);
	ops = *vhost_node_kernel_ops();
	if (!real) {
		ops.query = made_up_query;
		ops.bound = made_up_bound;
		ops.move = made_up_move;
		ops.prefer = made_up_prefer;
	}
	vhost_node_set_ops(&ops);
	vhost_heap_set_ops(&heap_ops);
}

void
topology_make_up(void)
{
	machine_begin(false);
	topology_guest_on(topology_home());
}

void
topology_make_real(void)
{
	machine_begin(true);
}

unsigned int
topology_end(void)
{
	vhost_node_set_ops(NULL);
	vhost_heap_set_ops(NULL);
	return topology_live();
}

int
topology_stop(struct fake *fe)
{
	TEST_ASSERT_SUCCESS(fake_stop(fe), "it ends well");
	TEST_ASSERT_EQUAL(topology_end(), 0, "every block was given back");
	return TEST_SUCCESS;
}

/* ---- what tests say ---- */

static void
add_rule(bool alone, uint64_t gpa, uint64_t len, int node)
{
	pthread_mutex_lock(&lock);
	if (alone)
		machine.nrules = 0;
	if (machine.nrules == MAX_RULES) {
		printf("topology: no room for another rule\n");
		abort();
	}
	machine.rules[machine.nrules++] = (struct rule){ gpa, len, node };
	pthread_mutex_unlock(&lock);
}

void
topology_guest_on(int node)
{
	add_rule(true, 0, UINT64_MAX, node);
}

void
topology_guest_part_on(uint64_t gpa, uint64_t len, int node)
{
	add_rule(false, gpa, len, node);
}

void
topology_guest_bound_to(int node)
{
	pthread_mutex_lock(&lock);
	machine.bound = node;
	pthread_mutex_unlock(&lock);
}

void
topology_deny(int err)
{
	pthread_mutex_lock(&lock);
	machine.denied = err;
	pthread_mutex_unlock(&lock);
}

void
topology_only_node(int node)
{
	pthread_mutex_lock(&lock);
	machine.only = node;
	pthread_mutex_unlock(&lock);
}

void
topology_blocks_go(int from, int to)
{
	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < machine.nblocks; i++)
		if (machine.blocks[i].node == from)
			machine.blocks[i].node = to;
	pthread_mutex_unlock(&lock);
}

void
topology_node_full(int node, bool full)
{
	pthread_mutex_lock(&lock);
	machine.full[node] = full;
	pthread_mutex_unlock(&lock);
}

void
topology_node_room(int node, unsigned int blocks)
{
	pthread_mutex_lock(&lock);
	machine.room[node] = blocks;
	pthread_mutex_unlock(&lock);
}

void
topology_node_crowded(int node, size_t bytes, int spare)
{
	pthread_mutex_lock(&lock);
	machine.crowded = node;
	machine.crowded_bytes = bytes;
	machine.spare = spare;
	pthread_mutex_unlock(&lock);
}

void
topology_all_full(bool full)
{
	pthread_mutex_lock(&lock);
	machine.all_full = full;
	pthread_mutex_unlock(&lock);
}

void
topology_refuse(unsigned int nth, unsigned int count)
{
	pthread_mutex_lock(&lock);
	machine.asked = 0;
	machine.refuse_first = nth;
	machine.refuse_count = count;
	pthread_mutex_unlock(&lock);
}

unsigned int
topology_asked(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = machine.asked;
	pthread_mutex_unlock(&lock);
	return n;
}

void
topology_misplace(int node)
{
	pthread_mutex_lock(&lock);
	machine.misplaced = node;
	pthread_mutex_unlock(&lock);
}

/* ---- the book ---- */

unsigned int
topology_live(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = machine.nblocks;
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned int
topology_live_on(int node)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = live_on(node);
	pthread_mutex_unlock(&lock);
	return n;
}

size_t
topology_block_size(const void *block)
{
	const struct block *b;
	size_t size = 0;

	pthread_mutex_lock(&lock);
	b = find_block(block);
	if (b != NULL && b->at == block)
		size = b->size;
	pthread_mutex_unlock(&lock);
	return size;
}

/** The kernel's word on one page; not the library's. */
static int
kernel_node_of(const uint8_t *at)
{
	void *page = (void *)((uintptr_t)at & ~(uintptr_t)(PAGE - 1));
	int node = -1;

	if (syscall(SYS_move_pages, 0, 1UL, &page, NULL, &node, 0) != 0)
		return -errno;
	return node;
}

static bool
is_all_on(const struct block *b, int node)
{
	if (!machine.real)
		return b->node == node;
	for (size_t at = 0; at < b->size; at += PAGE)
		if (kernel_node_of(b->at + at) != node)
			return false;
	return kernel_node_of(b->at + b->size - 1) == node;
}

bool
topology_holds(const void *block, int node)
{
	const struct block *b;
	bool holds;

	pthread_mutex_lock(&lock);
	b = find_block(block);
	holds = b != NULL && b->at == block && is_all_on(b, node);
	pthread_mutex_unlock(&lock);
	return holds;
}

/* ---- devices ---- */

/** Say what is wrong, and be -1. */
#define wrong(...) (printf("inventory: " __VA_ARGS__), printf("\n"), -1)

static bool
has_replica(const struct vhost_device *dev, const struct virtio_net *net)
{
	for (unsigned int i = 0; i < dev->running.nreplicas; i++)
		if (dev->running.replicas[i] == net)
			return true;
	return false;
}

static bool
is_used(const struct vhost_device *dev, const struct virtio_net *net)
{
	if (net == dev->running.net)
		return true;
	for (uint32_t i = 0; i < dev->nvrings; i++)
		if (vhost_queue_block(vhost_device_queue_at(dev, i))->net == net)
			return true;
	return false;
}

static int
check_replicas(const struct vhost_device *dev)
{
	if (!has_replica(dev, dev->running.net))
		return wrong("the device's replica is in no list");
	for (unsigned int i = 0; i < dev->running.nreplicas; i++) {
		const struct virtio_net *net = dev->running.replicas[i];

		if (!topology_holds(net, net->node))
			return wrong("replica %u is not on node %d", i, net->node);
		if (!is_used(dev, net))
			return wrong("nobody uses the replica on node %d", net->node);
		for (unsigned int j = 0; j < i; j++)
			if (dev->running.replicas[j]->node == net->node)
				return wrong("two replicas on node %d", net->node);
	}
	return 0;
}

static int
check_queues(const struct vhost_device *dev, const int *nodes)
{
	for (uint32_t i = 0; i < dev->nvrings; i++) {
		const struct vhost_virtqueue *block = vhost_queue_block(vhost_device_queue_at(dev, i));

		if (nodes != NULL && block->node != nodes[i])
			return wrong("queue %u is on node %d, not %d", i, block->node,
				nodes[i]);
		if (!topology_holds(block, block->node))
			return wrong("queue %u is not on node %d", i, block->node);
		if (!has_replica(dev, block->net))
			return wrong("queue %u has a replica of its own", i);
		if (block->net->node != block->node)
			return wrong("queue %u on node %d looks at node %d", i,
				block->node, block->net->node);
		if (block->net->generation != block->cfg.generation)
			return wrong("queue %u is of another generation", i);
		if (vhost_device_queue_at(dev, i)->staged != NULL)
			return wrong("queue %u has a block too many", i);
	}
	return 0;
}

/** Is what has an address for good on the node?  Unknown nodes are. */
static bool
handle_is_on(const void *handle, size_t size, int node)
{
	const struct block *b;
	bool is = node == VHOST_NODE_ANY;

	pthread_mutex_lock(&lock);
	b = find_handle(handle);
	if (machine.real)
		is |= is_all_on(&(struct block){ (uint8_t *)(uintptr_t)handle, size, 0 }, node);
	else
		/* one of an earlier machine was there already */
		is |= b == NULL || b->node == node;
	pthread_mutex_unlock(&lock);
	return is;
}

/**
 * Was the in-flight area of a queue brought to its node?  The frontend may have it open as
 * well, and then the kernel of a real machine leaves it where it is.
 */
static bool
inflight_area_is_on(const struct vhost_virtqueue *block, int node)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	const struct block *b;
	bool is = machine.real || block->cfg.inflight == NULL || node == VHOST_NODE_ANY;

	pthread_mutex_lock(&lock);
	b = find_handle(RTE_PTR_ALIGN_FLOOR(block->cfg.inflight, page));
	is |= b != NULL && b->node == node;
	pthread_mutex_unlock(&lock);
	return is;
}

static int
check_handles(const struct vhost_device *dev)
{
	if (!handle_is_on(dev, sizeof(*dev), dev->running.net->node))
		return wrong("the device's handle is not on node %d", dev->running.net->node);
	for (uint32_t i = 0; i < dev->nvrings; i++) {
		const struct vhost_queue *q = vhost_device_queue_at(dev, i);
		int node = vhost_queue_block(q)->node;

		if (!handle_is_on(q, sizeof(*q), node))
			return wrong("the handle of queue %u is not on node %d", i, node);
		if (q->inflight.list != NULL &&
				!handle_is_on(q->inflight.list, q->inflight.list->bytes, node))
			return wrong("what queue %u has to do again is not on node %d", i, node);
		if (!inflight_area_is_on(vhost_queue_block(q), node))
			return wrong("the in-flight area of queue %u is not on node %d", i, node);
	}
	return 0;
}

/** Blocks of the replicas: each with views of what the guest's IOMMU told, if it has one. */
static unsigned int
count_replica_blocks(const struct vhost_device *dev)
{
	unsigned int blocks = 0;

	for (unsigned int i = 0; i < dev->running.nreplicas; i++)
		blocks += dev->running.replicas[i]->iotlb != NULL ? 3 : 1;
	return blocks;
}

static int
check_views(const struct vhost_device *dev)
{
	for (unsigned int i = 0; i < dev->running.nreplicas; i++) {
		const struct virtio_net *net = dev->running.replicas[i];

		if (net->iotlb != NULL && (!topology_holds(net->iotlb, net->node) ||
				!topology_holds(net->iotlb_spare, net->node)))
			return wrong("translations are not on node %d", net->node);
	}
	return 0;
}

/** Areas of packets whose copies are under way. */
static unsigned int
count_areas(const struct vhost_device *dev)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < dev->nvrings; i++)
		n += vhost_device_queue_at(dev, i)->async != NULL;
	return n;
}

static int
check_areas(const struct vhost_device *dev)
{
	for (uint32_t i = 0; i < dev->nvrings; i++) {
		const struct vhost_queue *q = vhost_device_queue_at(dev, i);

		if (q->async != NULL && !topology_holds(q->async, vhost_queue_block(q)->node))
			return wrong("the async area of queue %u is not on node %d", i,
				vhost_queue_block(q)->node);
	}
	return 0;
}

/** What a crypto device has besides: -1, or how many blocks. */
static int
check_crypto(const struct vhost_device *dev)
{
	struct vhost_crypto *c = vhost_crypto_get(dev->vid);
	int blocks = 0;

	if (c == NULL || !c->on)
		return 0;
	if (!topology_holds(c->sessions.table, dev->running.net->node))
		return wrong("sessions are not on node %d", dev->running.net->node);
	if (!handle_is_on(c, sizeof(*c), dev->running.net->node))
		return wrong("the crypto handle is not on node %d", dev->running.net->node);
	for (uint32_t i = 0; i < dev->nvrings; i++) {
		int node = vhost_queue_block(vhost_device_queue_at(dev, i))->node;

		if (c->lanes[i].left != NULL)
			return wrong("lane %u has left something behind", i);
		if (c->lanes[i].block == NULL)
			continue;
		if (!topology_holds(c->lanes[i].block, node))
			return wrong("requests of queue %u are not on node %d", i, node);
		blocks++;
	}
	return blocks + 1;
}

static int
check_device(const struct vhost_device *dev, int node, const int *queue_nodes)
{
	int crypto;

	if (node != VHOST_NODE_ANY && dev->running.net->node != node)
		return wrong("the device is on node %d, not %d", dev->running.net->node, node);
	if (check_replicas(dev) < 0 || check_queues(dev, queue_nodes) < 0 ||
			check_handles(dev) < 0 || check_views(dev) < 0 || check_areas(dev) < 0)
		return -1;
	crypto = check_crypto(dev);
	if (crypto < 0)
		return -1;
	if (topology_live() != count_replica_blocks(dev) + dev->nvrings + count_areas(dev) + crypto)
		return wrong("%u blocks for %u replicas, %u queues, %u async areas and %d of crypto",
			topology_live(), dev->running.nreplicas, dev->nvrings, count_areas(dev), crypto);
	return 0;
}

unsigned int
topology_areas(const struct fake *fe)
{
	struct vhost_device *dev = vhost_device_peek(fe->vid);
	unsigned int n;

	if (dev == NULL)
		return 0;
	vhost_device_lock(dev);
	n = count_areas(dev);
	vhost_device_unlock(dev);
	return n;
}

int
topology_device_node(const struct fake *fe)
{
	struct vhost_device *dev = vhost_device_peek(fe->vid);
	int node;

	if (dev == NULL)
		return VHOST_NODE_ANY;
	rte_spinlock_lock(&dev->view_lock);
	node = dev->running.node;
	rte_spinlock_unlock(&dev->view_lock);
	return node;
}

int
topology_inventory(const struct fake *fe, int dev_node, const int *queue_nodes)
{
	struct vhost_device *dev = vhost_device_peek(fe->vid);
	int ret;

	if (dev == NULL)
		return wrong("no device");
	if (dev_node != VHOST_NODE_ANY && topology_device_node(fe) != dev_node)
		return wrong("the device is on node %d, not %d", topology_device_node(fe), dev_node);
	vhost_device_lock(dev);
	ret = check_device(dev, dev_node, queue_nodes);
	vhost_device_unlock(dev);
	return ret;
}

int
topology_inventory_on(const struct fake *fe, int node)
{
	int nodes[FE_MAX_VRINGS];

	for (unsigned int i = 0; i < RTE_DIM(nodes); i++)
		nodes[i] = node;
	return topology_inventory(fe, node, nodes);
}

int
topology_inventory_anywhere(const struct fake *fe)
{
	return topology_inventory(fe, VHOST_NODE_ANY, NULL);
}

int
topology_refresh(struct vhost_device *dev)
{
	int ret;

	vhost_device_lock(dev);
	ret = vhost_numa_watch_reprobe(dev, false);
	vhost_device_unlock(dev);
	return ret;
}

struct evidence_counters
topology_counters(const struct fake *fe)
{
	struct vhost_device *dev = vhost_device_peek(fe->vid);
	struct evidence_counters counters = { 0 };

	if (dev != NULL)
		vhost_evidence_counters(dev->evidence, &counters);
	return counters;
}

/** Put a question about the evidence of a frontend's device, which must not change meanwhile. */
static bool
evidence_says(const struct fake *fe, bool (*question)(const struct numa_evidence *ev))
{
	struct vhost_device *dev = vhost_device_peek(fe->vid);
	bool answer = false;

	if (dev != NULL) {
		vhost_device_lock(dev);
		answer = question(dev->evidence);
		vhost_device_unlock(dev);
	}
	return answer;
}

bool
topology_is_known(const struct fake *fe)
{
	return evidence_says(fe, vhost_evidence_is_known);
}

bool
topology_is_undecided(const struct fake *fe)
{
	return evidence_says(fe, vhost_evidence_is_undecided);
}

void
topology_check(struct vhost_device *dev)
{
	vhost_device_lock(dev);
	vhost_numa_watch_check(dev);
	vhost_device_unlock(dev);
}
