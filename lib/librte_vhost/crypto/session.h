/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_CRYPTO_SESSION_H
#define VHOST_CRYPTO_SESSION_H

/*
 * Which sessions does a frontend have?
 *
 * They are the connection's: a guest that was paused, or whose device was stopped and
 * started to tell the application of another node, goes on with the sessions that it
 * knows.  So what the frontend said of them is kept, keys included, while the
 * cryptodev's sessions come and go with rte_vhost_crypto_create() and _free().
 *
 * Bursts see a table on the device's node.  A session that is closed leaves it at
 * once; the cryptodev's part is freed when no operation uses it any more.
 *
 * Everything here runs under the lock of struct vhost_crypto; what touches the table
 * under the locks of all lanes as well.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "crypto/request.h"
#include "vu_message.h"

struct rte_mempool;

/** Where sessions of a cryptodev come from. */
struct crypto_home {
	uint8_t cdev;
	struct rte_mempool *pool;
};

/** A session as the control side knows it. */
struct crypto_record {
	TAILQ_ENTRY(crypto_record) next;	/**< in order of creation */
	uint64_t id;
	struct vu_crypto_session wish;	/**< what the frontend said */
	void *session;		/**< the cryptodev's, or NULL */
	uint8_t cdev;		/**< whose it is */
	bool closed;		/**< waits for its operations */
};

struct crypto_sessions {
	struct crypto_session *table;	/**< for bursts: a block; NULL until there is a session */
	int node;		/**< of the table */
	TAILQ_HEAD(, crypto_record) records;
	unsigned int open;	/**< of them */
	uint64_t next_id;	/**< counts from 1, for the connection's life */
};

/** Where a session is in the table; ids never come twice, places do. */
static inline unsigned int
crypto_session_place(uint64_t id)
{
	return id % VHOST_CRYPTO_SESSION_MAP_ENTRIES;
}

/** The session of an id that a guest says; NULL, or for 0 an empty place, if there is none. */
static inline const struct crypto_session *
crypto_session_find(const struct crypto_session *table, uint64_t id)
{
	const struct crypto_session *session;

	if (table == NULL)
		return NULL;
	session = &table[crypto_session_place(id)];
	return session->id == id ? session : NULL;
}

void vhost_crypto_sessions_init(struct crypto_sessions *sessions);

/**
 * Open a session in a cryptodev.
 *
 * @param[out] out  not yet in the table: see vhost_crypto_session_publish()
 * @return VIRTIO_CRYPTO_OK, or another status, with nothing changed
 */
uint8_t vhost_crypto_session_open(struct crypto_sessions *sessions, const struct crypto_home *home,
		const struct vu_crypto_session *wish, struct crypto_record **out);

/** The open session of an id, or NULL. */
struct crypto_record *vhost_crypto_session_record(struct crypto_sessions *sessions, uint64_t id);

/**
 * Bursts find a session from now on; with NULL for the cryptodev's part it has its place
 * but cannot be used.  All lanes locked.
 */
void vhost_crypto_session_publish(struct crypto_sessions *sessions,
		const struct crypto_record *record, void *session);

/** Bursts find a session no more; its place is free.  All lanes locked. */
void vhost_crypto_session_withdraw(struct crypto_sessions *sessions,
		const struct crypto_record *record);

/** The frontend has closed a session, which was withdrawn. */
void vhost_crypto_session_close(struct crypto_sessions *sessions, struct crypto_record *record);

/** Free the cryptodev's part of a session that no operation uses; a closed one ends. */
void vhost_crypto_session_release(struct crypto_sessions *sessions,
		struct crypto_record *record);

/** Open a session that has no part in a cryptodev in this one: VIRTIO_CRYPTO_OK or another status. */
uint8_t vhost_crypto_session_revive(const struct crypto_home *home, struct crypto_record *record);

/**
 * A table on a node, with what the one in place has: NULL when that node gives no
 * memory.  See vhost_crypto_sessions_swap().
 */
struct crypto_session *vhost_crypto_sessions_stage(const struct crypto_sessions *sessions,
		int node, int *got);

/** Put a table in place: the old one, to be freed.  All lanes locked. */
struct crypto_session *vhost_crypto_sessions_swap(struct crypto_sessions *sessions,
		struct crypto_session *table, int node);

#endif /* VHOST_CRYPTO_SESSION_H */
