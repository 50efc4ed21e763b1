/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_CRYPTO_REQUEST_H
#define VHOST_CRYPTO_REQUEST_H

/*
 * What does a request ask for, and may it (virtio 1.2, 5.9.7)?  Asked of copies only:
 * nothing here looks at guest memory.
 *
 * A chain is two streams of bytes, however the driver has cut them into descriptors:
 *
 *	we read		header, vector, source, digest to check
 *	we write	destination, digest, ..., the last byte: status
 */

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_crypto.h>

#include "rte_vhost_crypto.h"

/** What a guest may do with a session; see session.h for who keeps them. */
struct crypto_session {
	uint64_t id;		/**< 0: there is none */
	void *session;		/**< the cryptodev's; NULL: not to be used for now */
	uint8_t iv_len;		/**< bytes that each request brings */
	uint8_t block;		/**< the cipher's: lengths are a multiple of it */
	uint8_t digest_len;	/**< 0: a cipher alone */
	bool verify;		/**< the digest comes with the request */
};

/**
 * A request that has passed; all lengths are in bytes and fit each other, but not yet what
 * the guest has given.
 */
struct crypto_request {
	uint32_t src_len;
	uint32_t dst_len;	/**< room for the result; at least src_len */
	uint32_t cipher_at, cipher_len;	/**< within the source */
	uint32_t hash_at, hash_len;	/**< likewise */
	uint32_t written;	/**< of the stream that we write, without the status */
};

/** The session that the guest names; what it says is to be checked by the owner of sessions. */
static inline uint64_t
crypto_request_session(const struct virtio_crypto_op_data_req *head)
{
	return head->header.session_id;
}

/**
 * Judge a request.
 *
 * @param head  a copy of its header
 * @param session  that it names
 * @return VIRTIO_CRYPTO_OK; _BADMSG when it contradicts itself or the session,
 *         _NOTSUPP when it asks for something that we do not have
 */
uint8_t vhost_crypto_request_check(const struct virtio_crypto_op_data_req *head,
		const struct crypto_session *session, struct crypto_request *request);

#endif /* VHOST_CRYPTO_REQUEST_H */
