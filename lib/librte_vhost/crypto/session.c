/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <stdlib.h>
#include <string.h>

#include <rte_cryptodev.h>

#include "crypto/algo.h"
#include "crypto/session.h"
#include "mem_heap.h"
#include "vhost_log.h"

/** Where a request's vector is in an operation: what applications leave room for. */
#define IV_OFFSET (sizeof(struct rte_crypto_op) + sizeof(struct rte_crypto_sym_op))

#define TABLE_BYTES (VHOST_CRYPTO_SESSION_MAP_ENTRIES * sizeof(struct crypto_session))

/* What the frontend wants, in the words of cryptodev */

/** The cipher of a wish: VIRTIO_CRYPTO_OK or another status. */
static uint8_t
make_cipher(const struct vu_crypto_session *wish, struct rte_crypto_sym_xform *xform)
{
	const struct crypto_cipher *cipher = vhost_crypto_cipher(wish->cipher_algo);

	if (wish->dir != VIRTIO_CRYPTO_OP_ENCRYPT && wish->dir != VIRTIO_CRYPTO_OP_DECRYPT)
		return VIRTIO_CRYPTO_BADMSG;
	if (cipher == NULL)
		return VIRTIO_CRYPTO_NOTSUPP;
	if (wish->cipher_key_len == 0 || wish->cipher_key_len > sizeof(wish->cipher_key))
		return VIRTIO_CRYPTO_BADMSG;
	*xform = (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_CIPHER,
		.cipher = {
			.op = wish->dir == VIRTIO_CRYPTO_OP_ENCRYPT ?
				RTE_CRYPTO_CIPHER_OP_ENCRYPT : RTE_CRYPTO_CIPHER_OP_DECRYPT,
			.algo = cipher->algo,
			.key = { .data = wish->cipher_key, .length = wish->cipher_key_len },
			.iv = { .offset = IV_OFFSET, .length = cipher->iv_len },
		},
	};
	return VIRTIO_CRYPTO_OK;
}

/** The other part of a chain: what is encrypted gets a digest, what is decrypted has one. */
static uint8_t
make_mac(const struct vu_crypto_session *wish, struct rte_crypto_sym_xform *xform)
{
	const struct crypto_mac *mac = vhost_crypto_mac(wish->hash_algo);

	if (mac == NULL || wish->hash_mode != VIRTIO_CRYPTO_SYM_HASH_MODE_AUTH ||
			wish->aad_len != 0)
		return VIRTIO_CRYPTO_NOTSUPP;
	if (wish->auth_key_len == 0 || wish->auth_key_len > sizeof(wish->auth_key) ||
			wish->digest_len == 0 || wish->digest_len > mac->digest_len)
		return VIRTIO_CRYPTO_BADMSG;
	*xform = (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_AUTH,
		.auth = {
			.op = wish->dir == VIRTIO_CRYPTO_OP_ENCRYPT ?
				RTE_CRYPTO_AUTH_OP_GENERATE : RTE_CRYPTO_AUTH_OP_VERIFY,
			.algo = mac->algo,
			.key = { .data = wish->auth_key, .length = wish->auth_key_len },
			.digest_length = wish->digest_len,
		},
	};
	return VIRTIO_CRYPTO_OK;
}

/** Both, in the order that the frontend says. */
static uint8_t
make_xforms(const struct vu_crypto_session *wish, struct rte_crypto_sym_xform *xforms)
{
	const bool hash_first =
		wish->chaining_dir == VIRTIO_CRYPTO_SYM_ALG_CHAIN_ORDER_HASH_THEN_CIPHER;
	uint8_t status;

	if (wish->op_type == VIRTIO_CRYPTO_SYM_OP_CIPHER)
		return make_cipher(wish, &xforms[0]);
	if (wish->op_type != VIRTIO_CRYPTO_SYM_OP_ALGORITHM_CHAINING)
		return VIRTIO_CRYPTO_NOTSUPP;
	if (!hash_first && wish->chaining_dir !=
			VIRTIO_CRYPTO_SYM_ALG_CHAIN_ORDER_CIPHER_THEN_HASH)
		return VIRTIO_CRYPTO_BADMSG;
	status = make_cipher(wish, &xforms[hash_first]);
	if (status == VIRTIO_CRYPTO_OK)
		status = make_mac(wish, &xforms[!hash_first]);
	xforms[0].next = &xforms[1];
	return status;
}

/** Whether a cryptodev says that it does that; one that does not may be unsafe to ask. */
static bool
can_do(uint8_t cdev, const struct rte_crypto_sym_xform *xform)
{
	const struct rte_cryptodev_symmetric_capability *cap;
	struct rte_cryptodev_sym_capability_idx idx = { .type = xform->type };

	if (xform->type == RTE_CRYPTO_SYM_XFORM_CIPHER) {
		idx.algo.cipher = xform->cipher.algo;
		cap = rte_cryptodev_sym_capability_get(cdev, &idx);
		return cap != NULL && rte_cryptodev_sym_capability_check_cipher(cap,
			xform->cipher.key.length, xform->cipher.iv.length) == 0;
	}
	idx.algo.auth = xform->auth.algo;
	cap = rte_cryptodev_sym_capability_get(cdev, &idx);
	return cap != NULL && rte_cryptodev_sym_capability_check_auth(cap,
		xform->auth.key.length, xform->auth.digest_length, 0) == 0;
}

uint8_t
vhost_crypto_session_revive(const struct crypto_home *home, struct crypto_record *record)
{
	struct rte_crypto_sym_xform xforms[2];
	uint8_t status = make_xforms(&record->wish, xforms);

	if (status != VIRTIO_CRYPTO_OK)
		return status;
	for (const struct rte_crypto_sym_xform *xform = xforms; xform != NULL; xform = xform->next)
		if (!can_do(home->cdev, xform))
			return VIRTIO_CRYPTO_NOTSUPP;
	record->cdev = home->cdev;
	record->session = rte_cryptodev_sym_session_create(home->cdev, xforms, home->pool);
	return record->session != NULL ? VIRTIO_CRYPTO_OK : VIRTIO_CRYPTO_ERR;
}

/* Sessions */

void
vhost_crypto_sessions_init(struct crypto_sessions *sessions)
{
	TAILQ_INIT(&sessions->records);
	sessions->next_id = 1;
}

/** Keys do not stay in memory that is given back. */
static void
forget(struct crypto_record *record)
{
	explicit_bzero(record, sizeof(*record));
	free(record);
}

uint8_t
vhost_crypto_session_open(struct crypto_sessions *sessions, const struct crypto_home *home,
		const struct vu_crypto_session *wish, struct crypto_record **out)
{
	struct crypto_record *record;
	uint8_t status;

	if (sessions->open == VHOST_CRYPTO_SESSION_MAP_ENTRIES)
		return VIRTIO_CRYPTO_ERR;
	record = calloc(1, sizeof(*record));
	if (record == NULL)
		return VIRTIO_CRYPTO_ERR;
	record->wish = *wish;
	status = vhost_crypto_session_revive(home, record);
	if (status != VIRTIO_CRYPTO_OK) {
		forget(record);
		return status;
	}
	/* a place that is free: there is one, as fewer sessions are open than places */
	while (sessions->table[crypto_session_place(sessions->next_id)].id != 0)
		sessions->next_id++;
	record->id = sessions->next_id++;
	TAILQ_INSERT_TAIL(&sessions->records, record, next);
	sessions->open++;
	*out = record;
	return VIRTIO_CRYPTO_OK;
}

struct crypto_record *
vhost_crypto_session_record(struct crypto_sessions *sessions, uint64_t id)
{
	struct crypto_record *record;

	TAILQ_FOREACH(record, &sessions->records, next)
		if (record->id == id && !record->closed)
			return record;
	return NULL;
}

void
vhost_crypto_session_publish(struct crypto_sessions *sessions, const struct crypto_record *record,
		void *session)
{
	const struct crypto_cipher *cipher = vhost_crypto_cipher(record->wish.cipher_algo);
	const bool chain = record->wish.op_type == VIRTIO_CRYPTO_SYM_OP_ALGORITHM_CHAINING;

	sessions->table[crypto_session_place(record->id)] = (struct crypto_session){
		.id = record->id,
		.session = session,
		.iv_len = cipher->iv_len,
		.block = cipher->block,
		.digest_len = chain ? record->wish.digest_len : 0,
		.verify = chain && record->wish.dir == VIRTIO_CRYPTO_OP_DECRYPT,
	};
}

void
vhost_crypto_session_withdraw(struct crypto_sessions *sessions, const struct crypto_record *record)
{
	sessions->table[crypto_session_place(record->id)] = (struct crypto_session){
		.id = 0,
	};
}

void
vhost_crypto_session_close(struct crypto_sessions *sessions, struct crypto_record *record)
{
	record->closed = true;
	sessions->open--;
}

void
vhost_crypto_session_release(struct crypto_sessions *sessions, struct crypto_record *record)
{
	if (record->session != NULL)
		rte_cryptodev_sym_session_free(record->cdev, record->session);
	record->session = NULL;
	if (!record->closed)
		return;
	TAILQ_REMOVE(&sessions->records, record, next);
	forget(record);
}

struct crypto_session *
vhost_crypto_sessions_stage(const struct crypto_sessions *sessions, int node, int *got)
{
	struct crypto_session *table = vhost_heap_alloc(TABLE_BYTES, node, got);

	if (table != NULL && sessions->table != NULL)
		memcpy(table, sessions->table, TABLE_BYTES);
	return table;
}

struct crypto_session *
vhost_crypto_sessions_swap(struct crypto_sessions *sessions, struct crypto_session *table,
		int node)
{
	struct crypto_session *old = sessions->table;

	sessions->table = table;
	sessions->node = node;
	return old;
}
