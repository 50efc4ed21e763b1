/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Pools whose mbufs have something behind their buffers that may not be touched.
 * Where an mbuf is taken the guest uses the moment, see fuzz_hook.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sanitizer/asan_interface.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "fuzz_env.h"
#include "fuzz_private.h"

/** Bytes behind each buffer. */
#define RED_ZONE 64

static const struct pool_kind {
	const char *name;
	unsigned int count;
	uint16_t room;		/**< headroom included */
	bool pinned;
} kinds[FUZZ_POOLS] = {
	[FUZZ_POOL_LARGE] = { "large", 320, RTE_PKTMBUF_HEADROOM + 2048, false },
	[FUZZ_POOL_SMALL] = { "small", 640, RTE_PKTMBUF_HEADROOM + 64, false },
	[FUZZ_POOL_SCARCE] = { "scarce", 5, RTE_PKTMBUF_HEADROOM + 256, false },
	[FUZZ_POOL_PINNED] = { "pinned", 48, RTE_PKTMBUF_HEADROOM + 512, true },
};

static struct rte_mempool *pools[FUZZ_POOLS];

/* The leak sanitizer does not look for pointers in EAL's memory. */
static void *keep[2 * FUZZ_POOLS];
static unsigned int nkeep;

static void *
alloc_for_good(size_t size)
{
	void *at = calloc(1, size);

	FUZZ_CHECK(at != NULL && nkeep < RTE_DIM(keep), "%zu bytes", size);
	keep[nkeep++] = at;
	return at;
}

/* ---- a stack of objects, as operations of a mempool ---- */

struct stack {
	unsigned int n;
	void *objs[];
};

static int
stack_alloc(struct rte_mempool *mp)
{
	mp->pool_data = alloc_for_good(sizeof(struct stack) + mp->size * sizeof(void *));
	return 0;
}

static void
stack_free(struct rte_mempool *mp __rte_unused)
{
}

static int
stack_push(struct rte_mempool *mp, void *const *objs, unsigned int n)
{
	struct stack *stack = mp->pool_data;

	FUZZ_CHECK(n <= mp->size - stack->n, "%s gets more than it gave", mp->name);
	memcpy(&stack->objs[stack->n], objs, n * sizeof(objs[0]));
	stack->n += n;
	return 0;
}

static int
stack_pop(struct rte_mempool *mp, void **objs, unsigned int n)
{
	struct stack *stack = mp->pool_data;

	if (fuzz_hook != NULL)
		fuzz_hook();
	if (n > stack->n)
		return -ENOBUFS;
	stack->n -= n;
	memcpy(objs, &stack->objs[stack->n], n * sizeof(objs[0]));
	return 0;
}

static unsigned int
stack_count(const struct rte_mempool *mp)
{
	const struct stack *stack = mp->pool_data;

	return stack->n;
}

static const struct rte_mempool_ops stack_ops = {
	.name = "fuzz_stack",
	.alloc = stack_alloc,
	.free = stack_free,
	.enqueue = stack_push,
	.dequeue = stack_pop,
	.get_count = stack_count,
};
RTE_MEMPOOL_REGISTER_OPS(stack_ops);

/* ---- pools ---- */

/** Take the end of a buffer away. */
static void
add_red_zone(struct rte_mempool *mp __rte_unused, void *arg __rte_unused, void *obj,
		unsigned int i __rte_unused)
{
	struct rte_mbuf *m = obj;

	m->buf_len -= RED_ZONE;
	ASAN_POISON_MEMORY_REGION((uint8_t *)m->buf_addr + m->buf_len, RED_ZONE);
}

static struct rte_mempool *
create_plain(const struct pool_kind *kind)
{
	struct rte_mempool *mp = rte_pktmbuf_pool_create_by_ops(kind->name, kind->count, 0, 0,
		kind->room + RED_ZONE, SOCKET_ID_ANY, stack_ops.name);
	struct rte_pktmbuf_pool_private *priv;

	FUZZ_CHECK(mp != NULL, "%s", kind->name);
	/* that is what an mbuf gets back when an external buffer goes */
	priv = rte_mempool_get_priv(mp);
	priv->mbuf_data_room_size -= RED_ZONE;
	rte_mempool_obj_iter(mp, add_red_zone, NULL);
	return mp;
}

static struct rte_mempool *
create_pinned(const struct pool_kind *kind)
{
	size_t elt = RTE_ALIGN_CEIL(kind->room, RTE_CACHE_LINE_SIZE);
	struct rte_pktmbuf_extmem memory = {
		.buf_ptr = alloc_for_good(kind->count * elt),
		.buf_iova = RTE_BAD_IOVA,
		.buf_len = kind->count * elt,
		.elt_size = elt,
	};
	struct rte_mempool *mp;

	mp = rte_pktmbuf_pool_create_extbuf(kind->name, kind->count, 0, 0, kind->room,
		SOCKET_ID_ANY, &memory, 1);
	FUZZ_CHECK(mp != NULL, "%s", kind->name);
	return mp;
}

void
fuzz_pools_create(void)
{
	for (int i = 0; i < FUZZ_POOLS; i++)
		pools[i] = kinds[i].pinned ? create_pinned(&kinds[i]) : create_plain(&kinds[i]);
}

struct rte_mempool *
fuzz_pool(enum fuzz_pool which)
{
	return pools[which];
}

void
fuzz_pools_check(void)
{
	for (int i = 0; i < FUZZ_POOLS; i++) {
		unsigned int n = rte_mempool_avail_count(pools[i]);

		FUZZ_CHECK(n == kinds[i].count, "%u of %u mbufs in pool \"%s\"", n,
			kinds[i].count, kinds[i].name);
	}
}
