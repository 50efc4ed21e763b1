/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Queue blocks: one piece of memory that points nowhere but into itself, to its
 * replica and to guest memory, so that another one can take its place.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <rte_cpuflags.h>
#include <rte_mbuf.h>
#include <rte_vect.h>

#include "mem_node.h"
#include "net_isa.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_topology.h"
#include "vhost_virtqueue.h"

#define SIZE 64
#define GENERATION 3

/** A ring in ordinary memory; the parts are far from each other. */
static struct {
	struct vring_desc desc[SIZE] __rte_aligned(4096);
	uint8_t avail[4096] __rte_aligned(4096);
	uint8_t used[4096] __rte_aligned(4096);
} ring;

#define AVAIL ((struct vring_avail *)ring.avail)
#define USED ((struct vring_used *)ring.used)

static struct vq_cfg
live_cfg(uint16_t index, int node)
{
	return (struct vq_cfg){
		.size = SIZE, .index = index, .node = node, .generation = GENERATION,
		.desc = ring.desc, .avail = AVAIL, .used = USED,
	};
}

static struct virtio_net *
make_net(uint64_t features, uint32_t flags, int node)
{
	const struct virtio_net_cfg cfg = {
		.vid = 0, .features = features, .flags = flags, .generation = GENERATION,
	};

	return vhost_virtio_net_create(&cfg, "block-test", node);
}

/** Give all back; were there other blocks? */
static int
done(struct virtio_net *net, struct vhost_virtqueue *a, struct vhost_virtqueue *b)
{
	vhost_block_destroy(a);
	vhost_block_destroy(b);
	vhost_virtio_net_destroy(net);
	TEST_ASSERT_EQUAL(topology_end(), 0, "all blocks were given back");
	return TEST_SUCCESS;
}

/* ---- memory ---- */

struct row {
	const char *name;
	uint8_t *at;
	size_t bytes;
};

/** The rows of a block, as the bursts use them. */
static unsigned int
rows_of(const struct vhost_virtqueue *block, struct row *rows)
{
	rows[0] = (struct row){ "pieces", (uint8_t *)block->pieces,
		VHOST_MAX_PIECES * sizeof(struct vq_piece) };
	rows[1] = (struct row){ "chains", (uint8_t *)block->chains,
		VHOST_MAX_PIECES * sizeof(struct vq_chain) };
	/* frames are merged to the guest only */
	return block->cfg.index % 2 == 0 ? 2 : 1;
}

static int
check_row(const struct vhost_virtqueue *block, const struct row *row)
{
	const uint8_t *start = (const uint8_t *)block, *end = start + block->bytes;

	TEST_ASSERT(row->at >= start + sizeof(*block), "%s overlaps the structure", row->name);
	TEST_ASSERT(row->at + row->bytes <= end, "%s goes beyond the end", row->name);
	TEST_ASSERT_EQUAL((uintptr_t)row->at % RTE_CACHE_LINE_SIZE, 0, "%s", row->name);
	return 0;
}

/** Fill every row with a number of its own; none may spoil another, or the rest. */
static int
check_rows_are_apart(struct vhost_virtqueue *block)
{
	struct vhost_virtqueue copy = *block;
	unsigned int n;
	struct row rows[8];

	n = rows_of(block, rows);
	for (unsigned int i = 0; i < n; i++)
		memset(rows[i].at, 0x11 * (i + 1), rows[i].bytes);
	for (unsigned int i = 0; i < n; i++)
		for (size_t at = 0; at < rows[i].bytes; at++)
			TEST_ASSERT_EQUAL(rows[i].at[at], 0x11 * (i + 1), "%s, byte %zu",
				rows[i].name, at);
	TEST_ASSERT_BUFFERS_ARE_EQUAL(&copy, block, sizeof(copy), "the structure");
	return 0;
}

static int
a_block_is_one_allocation(void)
{
	struct virtio_net *net;

	topology_make_up();
	net = make_net(0, NET_BUILTIN, 8);
	TEST_ASSERT_NOT_NULL(net, "a replica");
	for (uint16_t index = 0; index < 2; index++) {
		const struct vq_cfg cfg = live_cfg(index, 8);
		struct vhost_virtqueue *block;
		struct row rows[8];
		unsigned int n;

		topology_refuse(0, 0);
		block = vhost_block_create(&cfg, net);
		TEST_ASSERT_NOT_NULL(block, "a block");
		TEST_ASSERT_EQUAL(topology_asked(), 1, "in one piece");
		TEST_ASSERT_EQUAL(topology_block_size(block), block->bytes, "of that size");
		n = rows_of(block, rows);
		for (unsigned int i = 0; i < n; i++)
			TEST_ASSERT_SUCCESS(check_row(block, &rows[i]), "row %u", i);
		TEST_ASSERT_SUCCESS(check_rows_are_apart(block), "rows");
		vhost_block_destroy(block);
		TEST_ASSERT_EQUAL(topology_live(), 1, "the replica is left");
	}
	return done(net, NULL, NULL);
}

/** Whatever is added to a block, it may point to itself and to what it was given. */
static int
a_block_points_nowhere_else(void)
{
	const struct vq_cfg cfg = live_cfg(1, 8);
	struct vhost_virtqueue *a, *b;
	const uintptr_t *wa, *wb;
	struct virtio_net *net;

	topology_make_up();
	net = make_net(0, NET_BUILTIN, 8);
	a = vhost_block_create(&cfg, net);
	b = vhost_block_create(&cfg, net);
	TEST_ASSERT(net != NULL && a != NULL && b != NULL, "two blocks");
	TEST_ASSERT_EQUAL(a->bytes, b->bytes, "equal in size");
	wa = (const uintptr_t *)a;
	wb = (const uintptr_t *)b;
	for (size_t i = 0; i < a->bytes / sizeof(*wa); i++) {
		bool inside = wa[i] - (uintptr_t)a < a->bytes;

		TEST_ASSERT(wa[i] == wb[i] || (inside &&
			wa[i] - (uintptr_t)a == wb[i] - (uintptr_t)b),
			"word %zu: %#lx and %#lx", i, wa[i], wb[i]);
	}
	return done(net, a, b);
}

static int
a_dormant_block_is_the_structure_alone(void)
{
	const struct vq_cfg cfg = { .index = 4, .node = 8, .generation = GENERATION };
	struct vhost_virtqueue *block;
	struct virtio_net *net;

	topology_make_up();
	net = make_net(0, NET_BUILTIN, 8);
	block = vhost_block_create(&cfg, net);
	TEST_ASSERT_NOT_NULL(block, "a block");
	TEST_ASSERT_EQUAL(block->bytes, sizeof(*block), "no rows");
	TEST_ASSERT_EQUAL(topology_block_size(block), sizeof(*block), "really");
	TEST_ASSERT(block->pieces == NULL && block->chains == NULL, "no rows");
	return done(net, block, NULL);
}

static int
a_node_without_memory_gives_no_block(void)
{
	const struct vq_cfg cfg = live_cfg(0, 8);
	struct virtio_net *net;

	topology_make_up();
	net = make_net(0, NET_BUILTIN, topology_home());
	topology_node_full(8, true);
	TEST_ASSERT_NULL(vhost_block_create(&cfg, net), "node 8 is full");
	TEST_ASSERT_NULL(make_net(0, NET_BUILTIN, 8), "for replicas, too");
	vhost_block_destroy(NULL);
	vhost_virtio_net_destroy(NULL);
	TEST_ASSERT_EQUAL(topology_live(), 1, "nothing was taken");
	return done(net, NULL, NULL);
}

/** The node is the one that was found, not the one that was asked for. */
static int
a_block_knows_the_node_it_is_on(void)
{
	static const struct { int asked, misplaced, err, expect; } rows[] = {
		{ 8, -1, 0, 8 },
		{ 3, -1, 0, 3 },
		{ 8, 3, 0, 3 },
		{ VHOST_NODE_ANY, 5, 0, 5 },
		{ VHOST_NODE_ANY, -1, -EPERM, VHOST_NODE_ANY },
		{ VHOST_NODE_ANY, -1, -ENOSYS, VHOST_NODE_ANY },
	};

	for (unsigned int i = 0; i < RTE_DIM(rows); i++) {
		const struct vq_cfg cfg = live_cfg(0, rows[i].asked);
		struct vhost_virtqueue *block;
		struct virtio_net *net;

		topology_make_up();
		topology_misplace(rows[i].misplaced);
		topology_deny(rows[i].err);
		net = make_net(0, NET_BUILTIN, rows[i].asked);
		block = vhost_block_create(&cfg, net);
		TEST_ASSERT(net != NULL && block != NULL, "row %u", i);
		TEST_ASSERT_EQUAL(block->node, rows[i].expect, "row %u", i);
		TEST_ASSERT_EQUAL(net->node, rows[i].expect, "row %u", i);
		TEST_ASSERT_EQUAL(block->cfg.node, rows[i].asked, "row %u: the wish", i);
		TEST_ASSERT_SUCCESS(done(net, block, NULL), "row %u", i);
	}
	return TEST_SUCCESS;
}

/** With real memory, every page is asked about, without the library's help. */
static int
every_page_is_on_the_node_that_the_kernel_tells(void)
{
	struct vhost_virtqueue *block;
	struct virtio_net *net;
	struct vq_cfg cfg;

	topology_make_real();
	cfg = live_cfg(0, vhost_node_home());
	net = make_net(0, NET_BUILTIN, cfg.node);
	block = vhost_block_create(&cfg, net);
	if (net == NULL || block == NULL || block->node < 0) {
		TEST_ASSERT_SUCCESS(done(net, block, NULL), "nothing is left");
		return TEST_SKIPPED;	/* this kernel does not tell, or has no memory there */
	}
	TEST_ASSERT(topology_holds(block, block->node), "the block, all of it");
	TEST_ASSERT(topology_holds(net, net->node), "the replica, all of it");
	TEST_ASSERT_EQUAL(block->node, cfg.node, "where it was asked for");
	return done(net, block, NULL);
}

/* ---- equality ---- */

static int
every_member_of_a_shape_counts(void)
{
	const struct vq_cfg a = live_cfg(2, 1);

	TEST_ASSERT(vhost_vq_cfg_equal(&a, &(struct vq_cfg){
		.size = SIZE, .index = 2, .node = 1, .generation = GENERATION,
		.desc = ring.desc, .avail = AVAIL, .used = USED }), "the same values");
#define DIFFERS(member, value) do {                                              \
		struct vq_cfg b = a;                                             \
		b.member = (value);                                              \
		TEST_ASSERT(!vhost_vq_cfg_equal(&a, &b), "another " #member);    \
		TEST_ASSERT(!vhost_vq_cfg_equal(&b, &a), "another " #member);    \
	} while (0)
	DIFFERS(size, SIZE / 2);
	DIFFERS(index, 3);
	DIFFERS(node, 0);
	DIFFERS(node, VHOST_NODE_ANY);
	DIFFERS(generation, GENERATION + 1);
	DIFFERS(generation, GENERATION + (1ULL << 32));
	DIFFERS(desc, ring.desc + 1);
	DIFFERS(avail, (struct vring_avail *)(ring.avail + 2));
	DIFFERS(used, (struct vring_used *)(ring.used + 4));
#undef DIFFERS
	return TEST_SUCCESS;
}

/** A new block with the old one's state and attributes cannot be told from it. */
static int
equal_shapes_give_interchangeable_blocks(void)
{
	const struct vq_attr attr = { .callfd = 7, .enabled = true, .kicks = VQ_KICKS_OFF };
	const struct vq_cfg cfg = live_cfg(1, 8);
	struct vhost_virtqueue *a, *b, saved;
	struct virtio_net *net;

	topology_make_up();
	net = make_net(1ULL << VIRTIO_RING_F_EVENT_IDX, NET_BUILTIN, 8);
	a = vhost_block_create(&cfg, net);
	TEST_ASSERT(net != NULL && a != NULL, "a block");
	memset(&a->state, 0x5a, sizeof(a->state));
	vhost_block_apply(a, &attr);
	memset(a->pieces, 0x77, VHOST_MAX_PIECES * sizeof(*a->pieces));
	b = vhost_block_create(&cfg, net);
	TEST_ASSERT_NOT_NULL(b, "another one");
	b->state = a->state;
	vhost_block_apply(b, &attr);
	saved = *a;
	saved.pieces = b->pieces;
	saved.chains = b->chains;
	/* The descriptor is new to the second block, which makes it forget what it told. */
	saved.state.signalled_used_valid = b->state.signalled_used_valid;
	TEST_ASSERT_BUFFERS_ARE_EQUAL(&saved, b, sizeof(saved), "equal");
	return done(net, a, b);
}

/* ---- bursts ---- */

/** An mbuf that nothing may touch. */
static struct rte_mbuf *const nobody = (struct rte_mbuf *)0x10;

static int
check_does_nothing(struct vhost_virtqueue *block, const char *what)
{
	struct rte_mbuf *pkts[2] = { nobody, nobody };
	struct vq_state before = block->state;
	uint8_t used[sizeof(ring.used)];

	memcpy(used, ring.used, sizeof(used));
	TEST_ASSERT_EQUAL(block->enqueue(block, pkts, 2), 0, "%s", what);
	TEST_ASSERT_EQUAL(block->dequeue(block, NULL, pkts, 2), 0, "%s", what);
	TEST_ASSERT(pkts[0] == nobody && pkts[1] == nobody, "%s: packets", what);
	TEST_ASSERT_BUFFERS_ARE_EQUAL(&before, &block->state, sizeof(before), "%s: state", what);
	TEST_ASSERT_BUFFERS_ARE_EQUAL(used, ring.used, sizeof(used), "%s: the ring", what);
	return 0;
}

/** Chains are on offer, and the block may not take them. */
static int
bursts_that_may_not_run_do_nothing(void)
{
	static const struct {
		const char *name;
		bool live, enabled;
		uint32_t flags;
	} rows[] = {
		{ "dormant", false, false, NET_BUILTIN },
		{ "dormant, enabled", false, true, NET_BUILTIN },
		{ "disabled", true, false, NET_BUILTIN },
		{ "not the library's", true, true, 0 },
	};

	memset(&ring, 0, sizeof(ring));
	AVAIL->idx = 5;
	for (unsigned int i = 0; i < 2 * RTE_DIM(rows); i++) {
		struct vq_attr attr = { .callfd = -1, .enabled = rows[i / 2].enabled };
		struct vhost_virtqueue *block;
		struct virtio_net *net;
		struct vq_cfg cfg;

		topology_make_up();
		cfg = live_cfg(i % 2, topology_home());
		cfg.size = rows[i / 2].live ? SIZE : 0;
		net = make_net(0, rows[i / 2].flags, cfg.node);
		block = vhost_block_create(&cfg, net);
		TEST_ASSERT(net != NULL && block != NULL, "a block");
		TEST_ASSERT_SUCCESS(check_does_nothing(block, "as built"), "%s",
			rows[i / 2].name);
		vhost_block_apply(block, &attr);
		TEST_ASSERT_SUCCESS(check_does_nothing(block, rows[i / 2].name),
			"queue %u", i % 2);
		TEST_ASSERT_SUCCESS(done(net, block, NULL), "%s", rows[i / 2].name);
	}
	return TEST_SUCCESS;
}

static bool
cpu_has_avx2(void)
{
#if VHOST_BUILD_AVX2
	return rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX2) == 1 &&
		rte_vect_get_max_simd_bitwidth() >= RTE_VECT_SIMD_256;
#else
	return false;
#endif
}

/* That widths are obeyed, and that all builds do the same, is told by the suite of vhost isa. */
static int
bursts_are_the_best_for_this_cpu(void)
{
	static const struct vq_attr attr = { .callfd = -1, .enabled = true };

	for (uint16_t index = 0; index < 2; index++) {
		const struct vq_cfg cfg = live_cfg(index, VHOST_NODE_ANY);
		struct vhost_virtqueue *block;
		struct virtio_net *net;
		bool is_plain;

		topology_make_up();
		net = make_net(0, NET_BUILTIN, VHOST_NODE_ANY);
		block = vhost_block_create(&cfg, net);
		TEST_ASSERT(net != NULL && block != NULL, "a block");
		vhost_block_apply(block, &attr);
		is_plain = index == 0 ? block->enqueue == vhost_net_enqueue_select_plain(block) :
			block->dequeue == vhost_net_dequeue_select_plain(block);
		TEST_ASSERT_EQUAL(is_plain, !cpu_has_avx2(), "queue %u", index);
		TEST_ASSERT_SUCCESS(done(net, block, NULL), "queue %u", index);
	}
	return TEST_SUCCESS;
}

static int
the_wrong_direction_does_nothing(void)
{
	static const struct vq_attr attr = { .callfd = -1, .enabled = true };
	struct rte_mbuf *pkts[1] = { nobody };

	memset(&ring, 0, sizeof(ring));
	AVAIL->idx = 5;
	for (uint16_t index = 0; index < 2; index++) {
		const struct vq_cfg cfg = live_cfg(index, VHOST_NODE_ANY);
		struct vhost_virtqueue *block;
		struct virtio_net *net;

		topology_make_up();
		net = make_net(0, NET_BUILTIN, VHOST_NODE_ANY);
		block = vhost_block_create(&cfg, net);
		TEST_ASSERT(net != NULL && block != NULL, "a block");
		vhost_block_apply(block, &attr);
		if (index == 0)
			TEST_ASSERT_EQUAL(block->dequeue(block, NULL, pkts, 1), 0,
				"the guest receives here");
		else
			TEST_ASSERT_EQUAL(block->enqueue(block, pkts, 1), 0,
				"the guest sends here");
		TEST_ASSERT_EQUAL(block->state.last_avail_idx, 0, "nothing was taken");
		TEST_ASSERT_SUCCESS(done(net, block, NULL), "queue %u", index);
	}
	return TEST_SUCCESS;
}

/* ---- attributes and starts ---- */

static int
attributes_are_patched_in_place(void)
{
	const struct vq_cfg cfg = live_cfg(1, VHOST_NODE_ANY);
	struct vq_attr attr = { .callfd = -1, .enabled = true, .kicks = VQ_KICKS_ON };
	struct vhost_virtqueue *block;
	struct virtio_net *net;

	memset(&ring, 0, sizeof(ring));
	topology_make_up();
	net = make_net(0, NET_BUILTIN, VHOST_NODE_ANY);
	block = vhost_block_create(&cfg, net);
	TEST_ASSERT(net != NULL && block != NULL, "a block");
	TEST_ASSERT_EQUAL(block->callfd, -1, "no attribute is in force at first");
	topology_refuse(1, TOPOLOGY_FROM_THEN_ON);
	vhost_block_apply(block, &attr);
	vhost_block_request_kicks(block);
	TEST_ASSERT_EQUAL(USED->flags & VRING_USED_F_NO_NOTIFY, 0, "kicks, please");
	attr.kicks = VQ_KICKS_OFF;
	vhost_block_apply(block, &attr);
	vhost_block_request_kicks(block);
	TEST_ASSERT(USED->flags & VRING_USED_F_NO_NOTIFY, "no kicks, please");
	block->state.signalled_used_valid = true;
	vhost_block_apply(block, &attr);
	TEST_ASSERT(block->state.signalled_used_valid, "the same descriptor knows");
	attr.callfd = 12;
	vhost_block_apply(block, &attr);
	TEST_ASSERT_EQUAL(block->callfd, 12, "in force");
	TEST_ASSERT(!block->state.signalled_used_valid, "another one does not");
	TEST_ASSERT_EQUAL(topology_asked(), 0, "no memory was needed");
	return done(net, block, NULL);
}

static int
kicks_are_wished_for_with_event_idx(void)
{
	const struct vq_cfg cfg = live_cfg(1, VHOST_NODE_ANY);
	struct vq_attr attr = { .callfd = -1, .enabled = true, .kicks = VQ_KICKS_ON };

	for (int event_idx = 0; event_idx < 2; event_idx++) {
		struct vhost_virtqueue *block;
		struct virtio_net *net;

		topology_make_up();
		net = make_net((uint64_t)event_idx << VIRTIO_RING_F_EVENT_IDX,
			NET_BUILTIN, VHOST_NODE_ANY);
		block = vhost_block_create(&cfg, net);
		TEST_ASSERT(net != NULL && block != NULL, "a block");
		TEST_ASSERT_EQUAL(block->event_idx, event_idx, "negotiated");
		attr.kicks = VQ_KICKS_ON;
		vhost_block_apply(block, &attr);
		TEST_ASSERT_EQUAL(block->renews_kicks, event_idx, "wished for");
		attr.kicks = VQ_KICKS_OFF;
		vhost_block_apply(block, &attr);
		TEST_ASSERT(!block->renews_kicks, "not wished for");
		TEST_ASSERT_SUCCESS(done(net, block, NULL), "event_idx %d", event_idx);
	}
	return TEST_SUCCESS;
}

static int
a_start_compares_the_used_index(void)
{
	const struct vq_cfg cfg = live_cfg(0, VHOST_NODE_ANY);
	struct vhost_virtqueue *block;
	struct virtio_net *net;

	memset(&ring, 0, sizeof(ring));
	topology_make_up();
	net = make_net(0, NET_BUILTIN, VHOST_NODE_ANY);
	block = vhost_block_create(&cfg, net);
	TEST_ASSERT(net != NULL && block != NULL, "a block");
	block->state.last_avail_idx = 12;
	block->state.last_used_idx = 10;
	block->state.signalled_used_valid = true;
	USED->idx = 10;
	TEST_ASSERT_EQUAL(vhost_block_start(block, false), RING_AS_TOLD, "it agrees");
	TEST_ASSERT_EQUAL(block->state.last_avail_idx, 12, "as it was");
	TEST_ASSERT(!block->state.signalled_used_valid, "nobody was notified yet");
	USED->idx = 65535;
	TEST_ASSERT_EQUAL(vhost_block_start(block, false), RING_ADOPTED, "it does not");
	TEST_ASSERT_EQUAL(block->state.last_used_idx, 65535, "adopted");
	TEST_ASSERT_EQUAL(block->state.last_avail_idx, 65535, "for both directions");
	return done(net, block, NULL);
}

/* Indices go from block to block, unless they mean something else there (2.7, 2.8). */
static int
indices_of_another_format_are_not_taken_over(void)
{
	static const struct {
		unsigned int before, after;
		uint16_t avail, used;
	} rows[] = {
		{ 0, 0, 12, 10 }, { VQ_PACKED, VQ_PACKED, 12, 10 },
		{ 0, VQ_PACKED, 0x8000, 0x8000 }, { VQ_PACKED, 0, 0, 0 },
	};

	for (unsigned int i = 0; i < RTE_DIM(rows); i++) {
		struct vq_cfg cfg = live_cfg(0, VHOST_NODE_ANY);
		struct vhost_virtqueue *before, *after;
		struct virtio_net *net;

		topology_make_up();
		net = make_net(0, NET_BUILTIN, VHOST_NODE_ANY);
		cfg.format = rows[i].before;
		before = vhost_block_create(&cfg, net);
		cfg.format = rows[i].after;
		after = vhost_block_create(&cfg, net);
		TEST_ASSERT(net != NULL && before != NULL && after != NULL, "two blocks");
		TEST_ASSERT_SUCCESS(vhost_block_set_base(before, 12, 10), "indices");
		before->state.stats.packets = 7;
		vhost_block_inherit(after, before);
		TEST_ASSERT_EQUAL(after->state.last_avail_idx, rows[i].avail, "row %u", i);
		TEST_ASSERT_EQUAL(after->state.last_used_idx, rows[i].used, "row %u", i);
		TEST_ASSERT_EQUAL(after->state.stats.packets, 7, "row %u: counters go on", i);
		TEST_ASSERT_SUCCESS(done(net, before, after), "row %u", i);
	}
	return TEST_SUCCESS;
}

/* ---- replicas ---- */

static int
header_length_follows_the_features(void)
{
	static const struct { uint64_t features; uint16_t len; } rows[] = {
		{ 0, 10 },
		{ 1ULL << VIRTIO_NET_F_MRG_RXBUF, 12 },
		{ 1ULL << VIRTIO_F_VERSION_1, 12 },
		{ 1ULL << VIRTIO_RING_F_EVENT_IDX, 10 },
		{ ~0ULL, 12 },
	};

	for (unsigned int i = 0; i < RTE_DIM(rows); i++) {
		struct virtio_net *net;

		topology_make_up();
		net = make_net(rows[i].features, NET_BUILTIN, VHOST_NODE_ANY);
		TEST_ASSERT_NOT_NULL(net, "a replica");
		TEST_ASSERT_EQUAL(net->hdr_len, rows[i].len, "row %u", i);
		TEST_ASSERT_SUCCESS(done(net, NULL, NULL), "row %u", i);
	}
	return TEST_SUCCESS;
}

/** Regions in any order; every byte is found where it is, and nothing else. */
static int
a_replica_finds_guest_memory(void)
{
	static const uint64_t sizes[] = { 0x3000, 0x100000, 0x5000, 0x100000, 0x1000 };
	struct mem_map map = { .nregions = RTE_DIM(sizes), .generation = 1 };
	struct virtio_net_cfg cfg = { .generation = GENERATION, .map = &map };
	struct virtio_net *net;

	for (uint32_t i = 0; i < map.nregions; i++)
		map.regions[i] = (struct mem_region){
			.gpa = 0x40000000ULL * (i + 1), .size = sizes[i],
			.host = (uint8_t *)(0x100000000000ULL * (i + 1)),
		};
	topology_make_up();
	net = vhost_virtio_net_create(&cfg, "regions", 8);
	TEST_ASSERT_NOT_NULL(net, "a replica");
	TEST_ASSERT_EQUAL(net->nregions, map.nregions, "all of them");
	for (uint32_t i = 0; i < map.nregions; i++) {
		const struct mem_region *r = &map.regions[i];
		uint64_t len = 0x2000;

		TEST_ASSERT(virtio_net_host(net, r->gpa, r->size) == r->host, "region %u", i);
		TEST_ASSERT(virtio_net_host(net, r->gpa + r->size - 1, 1) ==
			r->host + r->size - 1, "region %u, last byte", i);
		TEST_ASSERT_NULL(virtio_net_host(net, r->gpa - 1, 1), "before region %u", i);
		TEST_ASSERT_NULL(virtio_net_host(net, r->gpa + r->size, 1), "behind it");
		TEST_ASSERT_NULL(virtio_net_host(net, r->gpa, r->size + 1), "too long");
		TEST_ASSERT_NULL(virtio_net_host(net, r->gpa + 1, UINT64_MAX), "wraps");
		TEST_ASSERT_NOT_NULL(vhost_virtio_net_piece(net, r->gpa + r->size - 16, &len),
			"the end of region %u", i);
		TEST_ASSERT_EQUAL(len, 16, "and no more than that");
		TEST_ASSERT(i == 0 || net->regions[i - 1].size >= net->regions[i].size,
			"the largest is looked at first");
	}
	return done(net, NULL, NULL);
}

static int
a_replica_keeps_the_end_of_a_long_name(void)
{
	static const char path[] = "/a/very/long/path/that/does/not/fit/into/the/room/"
		"which/a/replica/has/for/names/vhost-user-17.sock";
	const struct virtio_net_cfg cfg = { .generation = GENERATION };
	struct virtio_net *net;
	size_t len;

	topology_make_up();
	net = vhost_virtio_net_create(&cfg, path, VHOST_NODE_ANY);
	TEST_ASSERT_NOT_NULL(net, "a replica");
	len = strlen(net->name);
	TEST_ASSERT_EQUAL(len, sizeof(net->name) - 1, "full");
	TEST_ASSERT(strcmp(net->name, path + strlen(path) - len) == 0, "%s", net->name);
	return done(net, NULL, NULL);
}

static int
kernel_is_back(void)
{
	topology_end();
	return 0;
}

static const struct test_case cases[] = {
	TEST_CASE(a_block_is_one_allocation),
	TEST_CASE(a_block_points_nowhere_else),
	TEST_CASE(a_dormant_block_is_the_structure_alone),
	TEST_CASE(a_node_without_memory_gives_no_block),
	TEST_CASE(a_block_knows_the_node_it_is_on),
	TEST_CASE(every_page_is_on_the_node_that_the_kernel_tells),
	TEST_CASE(every_member_of_a_shape_counts),
	TEST_CASE(equal_shapes_give_interchangeable_blocks),
	TEST_CASE(bursts_that_may_not_run_do_nothing),
	TEST_CASE(bursts_are_the_best_for_this_cpu),
	TEST_CASE(the_wrong_direction_does_nothing),
	TEST_CASE(attributes_are_patched_in_place),
	TEST_CASE(kicks_are_wished_for_with_event_idx),
	TEST_CASE(a_start_compares_the_used_index),
	TEST_CASE(indices_of_another_format_are_not_taken_over),
	TEST_CASE(header_length_follows_the_features),
	TEST_CASE(a_replica_finds_guest_memory),
	TEST_CASE(a_replica_keeps_the_end_of_a_long_name),
};

static int
test_vhost_block(void)
{
	static const struct test_suite suite = {
		.name = "vhost block", .check = kernel_is_back,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_block_autotest, test_vhost_block);
