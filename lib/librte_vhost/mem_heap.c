/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Memory on a node, in chunks of 2 MiB (mem_chunk.h) that all devices share: where
 * NUMA relocation puts what bursts touch.
 *
 * A device needs some ten kilobytes on a node, so a chunk holds a hundred of them,
 * under one entry of a core's TLB if it is one huge page.  The kernel is asked for
 * the node of a chunk when it is taken, and again whenever it matters and the last
 * answer is old; the chunk is listed under that node from then on.
 *
 * What is left empty goes back; the last one of a node does so a while later, when
 * somebody looks, so that a device that comes and goes does not interrupt the cores
 * that poll for others (each unmapping does).
 *
 * The books are kept apart from the memory: nothing is written to a block that is
 * not taken.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include <rte_common.h>
#include <rte_debug.h>

#include "mem_chunk.h"
#include "mem_heap.h"
#include "mem_node.h"
#include "mem_sanitizer.h"
#include "vhost_log.h"

/** Blocks are whole units: two cache lines, as processors fetch lines in pairs. */
#define UNIT ((size_t)128)
#define UNITS ((unsigned int)(VHOST_CHUNK_BYTES / UNIT))
#define WORDS (UNITS / 64)

/** How long an answer of the kernel, yes or no, is not asked for again. */
#define FRESH_MS 100

/** How long an empty chunk is kept for what may come, at least. */
#define SPARE_MS 1000

/** Node numbers that the kernel may use. */
#define NODES_MAX 1024

struct chunk {
	TAILQ_ENTRY(chunk) next;
	uint8_t *memory;	/**< VHOST_CHUNK_BYTES, so aligned */
	int node;		/**< of all of it; VHOST_NODE_ANY: nobody knows, or several */
	uint64_t asked_ms;	/**< when the kernel said so */
	unsigned int blocks;
	uint64_t emptied_ms;	/**< when the last of them went */
	unsigned int free_units;
	uint64_t taken[WORDS];	/**< a bit for each unit of a block */
	uint64_t last[WORDS];	/**< a bit for the last unit of each block */
};

/** Oldest first: blocks go there, so that younger ones become empty. */
static TAILQ_HEAD(, chunk) chunks = TAILQ_HEAD_INITIALIZER(chunks);
/** When a node had no memory; 0: never. */
static uint64_t refused_ms[NODES_MAX];
/** Guards the chunks; a leaf, never held across a system call. */
static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;

/** Never 0. */
static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000 + 1;
}

/* Bits */

/** The first unit from there on whose bit has the value; UNITS if none. */
static unsigned int
next_bit(const uint64_t *map, unsigned int at, bool value)
{
	while (at < UNITS) {
		uint64_t word = (value ? map[at / 64] : ~map[at / 64]) >> (at % 64);

		if (word != 0)
			return at + __builtin_ctzll(word);
		at = RTE_ALIGN_FLOOR(at, 64) + 64;
	}
	return UNITS;
}

static void
flip_bit(uint64_t *map, unsigned int at)
{
	map[at / 64] ^= 1ULL << (at % 64);
}

/** The first unit of so many free ones; UNITS if there is no such place. */
static unsigned int
find_room(const struct chunk *chunk, unsigned int units)
{
	unsigned int at = 0, end;

	if (chunk->free_units < units)
		return UNITS;
	while ((at = next_bit(chunk->taken, at, false)) < UNITS) {
		end = next_bit(chunk->taken, at, true);
		if (end - at >= units)
			return at;
		at = end;
	}
	return UNITS;
}

/* Blocks; the lock is held */

/** Take a block of so many units; NULL if the chunk has no room. */
static void *
block_take(struct chunk *chunk, unsigned int units)
{
	unsigned int first = find_room(chunk, units), i;

	if (first == UNITS)
		return NULL;
	for (i = 0; i < units; i++)
		flip_bit(chunk->taken, first + i);
	flip_bit(chunk->last, first + units - 1);
	chunk->free_units -= units;
	chunk->blocks++;
	return chunk->memory + first * UNIT;
}

static unsigned int
block_first(const struct chunk *chunk, const void *block)
{
	return ((const uint8_t *)block - chunk->memory) / UNIT;
}

static unsigned int
block_units(const struct chunk *chunk, const void *block)
{
	unsigned int first = block_first(chunk, block);

	return next_bit(chunk->last, first, true) - first + 1;
}

static void
block_drop(struct chunk *chunk, const void *block)
{
	unsigned int first = block_first(chunk, block), units = block_units(chunk, block), i;

	for (i = 0; i < units; i++)
		flip_bit(chunk->taken, first + i);
	flip_bit(chunk->last, first + units - 1);
	chunk->free_units += units;
	chunk->blocks--;
}

/** The chunk of a block, which must be one. */
static struct chunk *
chunk_of(const void *block)
{
	const uint8_t *memory = RTE_PTR_ALIGN_FLOOR(block, VHOST_CHUNK_BYTES);
	struct chunk *chunk;

	TAILQ_FOREACH(chunk, &chunks, next)
		if (chunk->memory == memory)
			break;
	RTE_VERIFY(chunk != NULL);
	return chunk;
}

/** Whether a chunk that became empty shall go: there is a spare one, or it is nowhere. */
static bool
is_surplus(const struct chunk *empty)
{
	const struct chunk *chunk;

	if (empty->node == VHOST_NODE_ANY)
		return true;
	TAILQ_FOREACH(chunk, &chunks, next)
		if (chunk != empty && chunk->blocks == 0 && chunk->node == empty->node)
			return true;
	return false;
}

/* Chunks */

static struct chunk *
chunk_create(int node)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk));

	if (chunk == NULL)
		return NULL;
	chunk->memory = vhost_chunk_map(node, &chunk->node);
	if (chunk->memory == NULL) {
		free(chunk);
		return NULL;
	}
	chunk->asked_ms = now_ms();
	chunk->free_units = UNITS;
	MEM_POISON(chunk->memory, VHOST_CHUNK_BYTES);
	return chunk;
}

static void
chunk_destroy(struct chunk *chunk)
{
	MEM_UNPOISON(chunk->memory, VHOST_CHUNK_BYTES);
	vhost_chunk_unmap(chunk->memory);
	free(chunk);
}

/** Give a chunk back that is long empty: whether there was one. */
static bool
drop_old_spare(uint64_t now)
{
	struct chunk *chunk;

	pthread_mutex_lock(&heap_lock);
	TAILQ_FOREACH(chunk, &chunks, next)
		if (chunk->blocks == 0 && now >= chunk->emptied_ms + SPARE_MS)
			break;
	if (chunk != NULL)
		TAILQ_REMOVE(&chunks, chunk, next);
	pthread_mutex_unlock(&heap_lock);
	if (chunk == NULL)
		return false;
	chunk_destroy(chunk);
	return true;
}

/** The node of a chunk by now; the caller has a block of it. */
static int
chunk_node(struct chunk *chunk)
{
	uint64_t now = now_ms(), asked;
	int node;

	pthread_mutex_lock(&heap_lock);
	asked = chunk->asked_ms;
	node = chunk->node;
	pthread_mutex_unlock(&heap_lock);
	if (now < asked + FRESH_MS)
		return node;
	node = vhost_chunk_node(chunk->memory, VHOST_CHUNK_BYTES);
	pthread_mutex_lock(&heap_lock);
	chunk->node = node;
	chunk->asked_ms = now;
	pthread_mutex_unlock(&heap_lock);
	while (drop_old_spare(now))
		;
	return node;
}

/** The node of a block of the caller in that chunk. */
static int
block_node(struct chunk *chunk, const void *block, size_t size)
{
	int node = chunk_node(chunk);

	/* a chunk of which parts were migrated */
	return node != VHOST_NODE_ANY ? node : vhost_chunk_node(block, size);
}

/* Taking and giving back */

/** A block of one of the chunks that are there, and its chunk; NULL without room. */
static void *
take_from_chunks(unsigned int units, int node, struct chunk **of)
{
	struct chunk *chunk;
	void *block = NULL;

	pthread_mutex_lock(&heap_lock);
	TAILQ_FOREACH(chunk, &chunks, next) {
		if (node != VHOST_NODE_ANY && chunk->node != node)
			continue;
		block = block_take(chunk, units);
		if (block != NULL)
			break;
	}
	pthread_mutex_unlock(&heap_lock);
	*of = chunk;
	return block;
}

/** Whether a node has had no memory just now. */
static bool
is_refused(int node)
{
	uint64_t when = node != VHOST_NODE_ANY ?
		__atomic_load_n(&refused_ms[node], __ATOMIC_RELAXED) : 0;

	return when != 0 && now_ms() < when + FRESH_MS;
}

/** The same from a new chunk; NULL if the node gives none. */
static void *
take_from_new_chunk(unsigned int units, int node, struct chunk **of)
{
	struct chunk *chunk;
	void *block;

	if (is_refused(node))
		return NULL;
	chunk = chunk_create(node);
	if (chunk == NULL) {
		if (node != VHOST_NODE_ANY)
			__atomic_store_n(&refused_ms[node], now_ms(), __ATOMIC_RELAXED);
		return NULL;
	}
	pthread_mutex_lock(&heap_lock);
	TAILQ_INSERT_TAIL(&chunks, chunk, next);
	block = block_take(chunk, units);
	pthread_mutex_unlock(&heap_lock);
	*of = chunk;
	return block;
}

static void
own_free(void *block)
{
	struct chunk *chunk, *surplus = NULL;
	uint64_t now;

	if (block == NULL)
		return;
	now = now_ms();
	pthread_mutex_lock(&heap_lock);
	chunk = chunk_of(block);
	MEM_POISON(block, block_units(chunk, block) * UNIT);
	block_drop(chunk, block);
	chunk->emptied_ms = now;
	if (chunk->blocks == 0 && is_surplus(chunk)) {
		TAILQ_REMOVE(&chunks, chunk, next);
		surplus = chunk;
	}
	pthread_mutex_unlock(&heap_lock);
	if (surplus != NULL)
		chunk_destroy(surplus);
}

/** A block on the node, not zeroed. */
static void *
take(unsigned int units, int node, int *got)
{
	struct chunk *chunk;
	void *block;

	while ((block = take_from_chunks(units, node, &chunk)) != NULL) {
		*got = node == VHOST_NODE_ANY ? block_node(chunk, block, units * UNIT) :
			chunk_node(chunk);
		if (node == VHOST_NODE_ANY || *got == node)
			return block;
		/* the chunk was migrated, and is not found for this node any more */
		own_free(block);
	}
	block = take_from_new_chunk(units, node, &chunk);
	if (block != NULL)
		*got = node != VHOST_NODE_ANY ? node : block_node(chunk, block, units * UNIT);
	return block;
}

static void *
own_alloc(size_t size, int node, int *got)
{
	unsigned int units;
	void *block;

	if (size == 0 || size > VHOST_CHUNK_BYTES || node < VHOST_NODE_ANY || node >= NODES_MAX)
		return NULL;
	units = (size + UNIT - 1) / UNIT;
	block = take(units, node, got);
	if (block == NULL) {
		VHOST_LOG_CONFIG(DEBUG, "node %d has no memory for blocks\n", node);
		return NULL;
	}
	MEM_UNPOISON(block, units * UNIT);
	return memset(block, 0, units * UNIT);
}

static int
own_node(const void *block)
{
	struct chunk *chunk;
	size_t size;

	pthread_mutex_lock(&heap_lock);
	chunk = chunk_of(block);
	size = block_units(chunk, block) * UNIT;
	pthread_mutex_unlock(&heap_lock);
	return block_node(chunk, block, size);
}

void
vhost_heap_usage(int node, struct vhost_heap_usage *usage)
{
	const struct chunk *chunk;

	*usage = (struct vhost_heap_usage){ 0 };
	pthread_mutex_lock(&heap_lock);
	TAILQ_FOREACH(chunk, &chunks, next) {
		if (chunk->node != node)
			continue;
		usage->chunks++;
		usage->blocks += chunk->blocks;
		usage->bytes += VHOST_CHUNK_BYTES - chunk->free_units * UNIT;
	}
	pthread_mutex_unlock(&heap_lock);
}

/* The implementation in force */

static const struct vhost_heap_ops own_ops = {
	.alloc = own_alloc,
	.free = own_free,
	.node = own_node,
};

static const struct vhost_heap_ops *heap_ops = &own_ops;

void
vhost_heap_set_ops(const struct vhost_heap_ops *ops)
{
	__atomic_store_n(&heap_ops, ops != NULL ? ops : &own_ops, __ATOMIC_RELEASE);
}

const struct vhost_heap_ops *
vhost_heap_own_ops(void)
{
	return &own_ops;
}

static const struct vhost_heap_ops *
ops_in_force(void)
{
	return __atomic_load_n(&heap_ops, __ATOMIC_ACQUIRE);
}

void *
vhost_heap_alloc(size_t size, int node, int *got)
{
	return ops_in_force()->alloc(size, node, got);
}

void
vhost_heap_free(void *block)
{
	ops_in_force()->free(block);
}

int
vhost_heap_node(const void *block)
{
	return ops_in_force()->node(block);
}
