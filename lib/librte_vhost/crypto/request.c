/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <assert.h>
#include <stddef.h>

#include <rte_common.h>

#include "crypto/request.h"

static_assert(sizeof(struct virtio_crypto_op_data_req) == 72, "as guests send it");

/** Whether [at, at + len) lies within so many bytes; nothing wraps. */
static bool
lies_within(uint32_t at, uint32_t len, uint32_t bytes)
{
	return (uint64_t)at + len <= bytes;
}

/** Whether all that is there can be added up without a thought. */
static bool
is_sane(uint32_t src_len, uint32_t dst_len)
{
	return src_len > 0 && src_len <= INT32_MAX && dst_len <= INT32_MAX &&
		dst_len >= src_len;
}

/** Whether a length is whole blocks of the cipher, which are powers of two. */
static bool
is_whole(uint32_t len, const struct crypto_session *session)
{
	return (len & (session->block - 1)) == 0;
}

static uint8_t
check_cipher(const struct virtio_crypto_cipher_para *para, const struct crypto_session *session,
		struct crypto_request *request)
{
	if (para->iv_len != session->iv_len || !is_sane(para->src_data_len, para->dst_data_len) ||
			!is_whole(para->src_data_len, session))
		return VIRTIO_CRYPTO_BADMSG;
	*request = (struct crypto_request){
		.src_len = para->src_data_len,
		.dst_len = para->dst_data_len,
		.cipher_len = para->src_data_len,
		.written = para->dst_data_len,
	};
	return VIRTIO_CRYPTO_OK;
}

static uint8_t
check_chain(const struct virtio_crypto_alg_chain_data_para *para,
		const struct crypto_session *session, struct crypto_request *request)
{
	if (para->aad_len != 0)
		return VIRTIO_CRYPTO_NOTSUPP;
	if (para->iv_len != session->iv_len || !is_sane(para->src_data_len, para->dst_data_len) ||
			para->hash_result_len != session->digest_len ||
			!is_whole(para->len_to_cipher, session) ||
			!lies_within(para->cipher_start_src_offset, para->len_to_cipher,
				para->src_data_len) ||
			!lies_within(para->hash_start_src_offset, para->len_to_hash,
				para->src_data_len))
		return VIRTIO_CRYPTO_BADMSG;
	*request = (struct crypto_request){
		.src_len = para->src_data_len,
		.dst_len = para->dst_data_len,
		.cipher_at = para->cipher_start_src_offset,
		.cipher_len = para->len_to_cipher,
		.hash_at = para->hash_start_src_offset,
		.hash_len = para->len_to_hash,
		.written = para->dst_data_len + (session->verify ? 0 : session->digest_len),
	};
	return VIRTIO_CRYPTO_OK;
}

uint8_t
vhost_crypto_request_check(const struct virtio_crypto_op_data_req *head,
		const struct crypto_session *session, struct crypto_request *request)
{
	const struct virtio_crypto_sym_data_req *sym = &head->u.sym_req;
	const bool chain = session->digest_len != 0;

	if (head->header.opcode != VIRTIO_CRYPTO_CIPHER_ENCRYPT &&
			head->header.opcode != VIRTIO_CRYPTO_CIPHER_DECRYPT)
		return VIRTIO_CRYPTO_NOTSUPP;
	if (sym->op_type != (chain ? VIRTIO_CRYPTO_SYM_OP_ALGORITHM_CHAINING :
			VIRTIO_CRYPTO_SYM_OP_CIPHER))
		return VIRTIO_CRYPTO_BADMSG;
	return chain ? check_chain(&sym->u.chain.para, session, request) :
		check_cipher(&sym->u.cipher.para, session, request);
}
