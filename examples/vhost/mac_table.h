/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef MAC_TABLE_H
#define MAC_TABLE_H

/*
 * Which address lives at which vport, learned from the sources of packets.
 *
 * Lcores look up without locks.  They write only when an address is new, has moved,
 * or was not heard of in this second.  A vport may have a share of the table only,
 * and an address may move once a second only, so that a guest that makes up
 * addresses takes neither the table nor the lcores' time from the others.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_rcu_qsbr.h>

/**
 * An address as a number: equal if the addresses are.
 *
 * Put together in registers.  By way of memory it would be read in another width
 * than it was written in, and processors wait for that, twice for each packet.
 */
static inline uint64_t
mac_key(const struct rte_ether_addr *address)
{
	uint32_t first;
	uint16_t last;

	memcpy(&first, address, sizeof(first));
	memcpy(&last, &address->addr_bytes[sizeof(first)], sizeof(last));
	return (uint64_t)last << 32 | first;
}

/** The address that a number stands for. */
static inline struct rte_ether_addr
mac_of_key(uint64_t key)
{
	struct rte_ether_addr address;
	uint32_t first = key;
	uint16_t last = key >> 32;

	memcpy(&address, &first, sizeof(first));
	memcpy(&address.addr_bytes[sizeof(first)], &last, sizeof(last));
	return address;
}

struct mac_table_counts {
	uint32_t entries;
	uint32_t limit;
	uint64_t learned;
	uint64_t moved;
	uint64_t aged;
	uint64_t refused;	/**< not learned for want of room, or moved too often */
};

/**
 * @param limit
 *   Addresses to remember.
 * @param readers
 *   Where the threads that look up report.
 * @return
 *   0 or a negative errno.
 */
int mac_table_create(uint32_t limit, struct rte_rcu_qsbr *readers);
void mac_table_free(void);

/** Number that changes whenever an address that was known moves or is forgotten. */
uint32_t mac_table_generation(void);

/** The vport of an address, or VPORT_NONE. */
uint16_t mac_table_find(uint64_t key);

/**
 * An address was heard of at a vport.
 *
 * @return
 *   Whether the table says so now, too.
 */
bool mac_table_learn(uint64_t key, uint16_t vport, uint32_t now);

/** Forget what was not heard of for @p age seconds. */
void mac_table_age(uint32_t now, uint32_t age);

/** Forget all addresses of a vport; all of all vports for VPORT_NONE. */
void mac_table_forget(uint16_t vport);

void mac_table_count(struct mac_table_counts *copy);

/** What is known of an address. */
struct mac_table_entry {
	struct rte_ether_addr address;
	uint16_t vport;
	uint32_t age;	/**< seconds since it was heard of */
};

/** Walk through the table: @p position starts with 0; false at the end. */
bool mac_table_next(uint32_t *position, uint32_t now, struct mac_table_entry *entry);

#endif /* MAC_TABLE_H */
