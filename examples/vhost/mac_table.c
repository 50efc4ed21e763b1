/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The hash maps an address to a vport; a second array, indexed by the hash's
 * position of the address, has what only writers and ageing need.  Writers hold
 * the lock.  A position that was freed is used again only after all readers have
 * passed a quiescent state, which the hash sees to.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <rte_hash.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_spinlock.h>

#include "mac_table.h"
#include "vport.h"

struct note {
	uint32_t heard;		/**< tick; readers refresh it */
	uint32_t settled;	/**< tick at which the address came to its vport */
};

static struct rte_hash *hash;
static struct note *notes;
static uint32_t generation = 1;	/* not that of cached entries which are all zero */
static rte_spinlock_t lock = RTE_SPINLOCK_INITIALIZER;
/* below: under the lock */
static struct mac_table_counts counts;
static uint32_t shares[VPORT_MAX];	/* addresses of each vport */

/** How much of the table one vport may have: behind a port there is a network. */
static uint32_t
share_of(uint16_t vport)
{
	const struct vport *place = vport_at(vport);

	return place != NULL && place->kind == VPORT_ETHDEV ? counts.limit / 2 : counts.limit / 8;
}

int
mac_table_create(uint32_t limit, struct rte_rcu_qsbr *readers)
{
	const struct rte_hash_parameters parameters = {
		.name = "mac_table",
		.entries = limit * 2,	/* what waits for its readers takes room, too */
		.key_len = sizeof(uint64_t),
		.socket_id = SOCKET_ID_ANY,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF |
				RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct rte_hash_rcu_config rcu = { .v = readers, .mode = RTE_HASH_QSBR_MODE_DQ };

	hash = rte_hash_create(&parameters);
	if (hash == NULL)
		return -ENOMEM;
	notes = rte_calloc("mac_notes", rte_hash_max_key_id(hash) + 1, sizeof(*notes), 0);
	if (notes == NULL || rte_hash_rcu_qsbr_add(hash, &rcu) != 0) {
		mac_table_free();
		return -ENOMEM;
	}
	counts.limit = limit;
	return 0;
}

void
mac_table_free(void)
{
	rte_spinlock_lock(&lock);
	rte_hash_free(hash);
	rte_free(notes);
	hash = NULL;
	notes = NULL;
	rte_spinlock_unlock(&lock);
}

uint32_t
mac_table_generation(void)
{
	return __atomic_load_n(&generation, __ATOMIC_ACQUIRE);
}

/** Make readers forget what they have at hand, after the table has changed. */
static void
advance_generation(void)
{
	__atomic_fetch_add(&generation, 1, __ATOMIC_RELEASE);
}

uint16_t
mac_table_find(uint64_t key)
{
	void *vport;

	return rte_hash_lookup_data(hash, &key, &vport) < 0 ? VPORT_NONE : (uintptr_t)vport;
}

/* With the lock held. */
static bool
add(uint64_t key, uint16_t vport, uint32_t now)
{
	int32_t position;

	if (counts.entries >= counts.limit || shares[vport] >= share_of(vport) ||
			rte_hash_add_key_data(hash, &key, (void *)(uintptr_t)vport) != 0) {
		counts.refused++;
		return false;
	}
	position = rte_hash_lookup(hash, &key);
	notes[position] = (struct note){ .heard = now, .settled = now };
	shares[vport]++;
	counts.entries++;
	counts.learned++;
	return true;
}

/* With the lock held. */
static bool
move(int32_t position, uint64_t key, uint16_t from, uint16_t to, uint32_t now)
{
	if (notes[position].settled == now || shares[to] >= share_of(to) ||
			rte_hash_add_key_data(hash, &key, (void *)(uintptr_t)to) != 0) {
		counts.refused++;
		return false;
	}
	notes[position] = (struct note){ .heard = now, .settled = now };
	shares[from]--;
	shares[to]++;
	counts.moved++;
	advance_generation();
	return true;
}

static bool
add_or_move(uint64_t key, uint16_t vport, uint32_t now)
{
	int32_t position;
	bool known;
	void *found;

	rte_spinlock_lock(&lock);
	position = rte_hash_lookup_data(hash, &key, &found);
	if (position < 0)
		known = add(key, vport, now);
	else if ((uintptr_t)found != vport)
		known = move(position, key, (uintptr_t)found, vport, now);
	else
		known = true;
	rte_spinlock_unlock(&lock);
	return known;
}

bool
mac_table_learn(uint64_t key, uint16_t vport, uint32_t now)
{
	void *found;
	int32_t position = rte_hash_lookup_data(hash, &key, &found);

	if (position < 0 || (uintptr_t)found != vport)
		return add_or_move(key, vport, now);
	if (__atomic_load_n(&notes[position].heard, __ATOMIC_RELAXED) != now)
		__atomic_store_n(&notes[position].heard, now, __ATOMIC_RELAXED);
	return true;
}

/* With the lock held. */
static void
forget(const void *key, uint16_t vport)
{
	if (rte_hash_del_key(hash, key) < 0)
		return;
	shares[vport]--;
	counts.entries--;
}

void
mac_table_age(uint32_t now, uint32_t age)
{
	uint64_t before = counts.aged;
	uint32_t next = 0;
	const void *key;
	void *vport;
	int32_t position;

	rte_spinlock_lock(&lock);
	while ((position = rte_hash_iterate(hash, &key, &vport, &next)) >= 0) {
		if (now - __atomic_load_n(&notes[position].heard, __ATOMIC_RELAXED) <= age)
			continue;
		forget(key, (uintptr_t)vport);
		counts.aged++;
	}
	if (counts.aged != before)
		advance_generation();
	rte_spinlock_unlock(&lock);
}

void
mac_table_forget(uint16_t vport)
{
	uint32_t next = 0;
	const void *key;
	void *found;

	rte_spinlock_lock(&lock);
	while (rte_hash_iterate(hash, &key, &found, &next) >= 0)
		if (vport == VPORT_NONE || (uintptr_t)found == vport)
			forget(key, (uintptr_t)found);
	advance_generation();
	rte_spinlock_unlock(&lock);
}

void
mac_table_count(struct mac_table_counts *copy)
{
	rte_spinlock_lock(&lock);
	*copy = counts;
	rte_spinlock_unlock(&lock);
}

bool
mac_table_next(uint32_t *position, uint32_t now, struct mac_table_entry *entry)
{
	const void *key;
	void *vport;
	int32_t index;

	rte_spinlock_lock(&lock);
	index = hash != NULL ? rte_hash_iterate(hash, &key, &vport, position) : -ENOENT;
	if (index >= 0) {
		entry->address = mac_of_key(*(const uint64_t *)key);
		entry->vport = (uintptr_t)vport;
		entry->age = now - notes[index].heard;
	}
	rte_spinlock_unlock(&lock);
	return index >= 0;
}
