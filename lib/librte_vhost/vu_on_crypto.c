/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Sessions of virtio-crypto; what they are is crypto/session.h's to say. */

#include <string.h>

#include <linux/virtio_crypto.h>

#include "crypto/crypto.h"
#include "vhost_log.h"
#include "vu_on.h"

/*
 * Three forms are in use:
 *  - the one of the structure;
 *  - QEMU's since 7.1: without the op code, so that all up to the addresses comes four
 *    bytes earlier, in a message as long as before;
 *  - QEMU's since 8.0, which has room for keys of asymmetric ciphers: like the second, but
 *    the op code is where the others have the id, and the id is at the end.
 */

static bool
is_wide(const struct vu_message *msg)
{
	return msg->size == VU_CRYPTO_SESSION_WIDE;
}

/**
 * Make the first form of it.  What tells the second is the place of aad_len, which is 0 in
 * any session that we can have and is there the type, direction, mode and order.
 */
static void
make_room_for_op_code(struct vu_message *msg)
{
	struct vu_crypto_session *session = &msg->payload.crypto;
	const size_t len = offsetof(struct vu_crypto_session, addresses) -
		offsetof(struct vu_crypto_session, cipher_algo);

	if (!is_wide(msg) && session->aad_len == 0)
		return;
	memmove(&session->cipher_algo, &session->op_code, len);
	session->op_code = is_wide(msg) ? session->id : 0;
}

/** Make it the answer; it is as long as the request, but need not carry keys around. */
static void
answer_session(struct vu_message *msg, int64_t id)
{
	struct vu_crypto_session *session = &msg->payload.crypto;

	explicit_bzero(session->cipher_key, sizeof(session->cipher_key));
	explicit_bzero(session->auth_key, sizeof(session->auth_key));
	explicit_bzero(msg->more, sizeof(msg->more));
	if (is_wide(msg))
		memcpy(msg->more + sizeof(msg->more) - sizeof(id), &id, sizeof(id));
	else
		session->id = id;
}

int
vhost_vu_on_crypto_create_session(struct vu_call *call)
{
	const struct vu_crypto_session *session = &call->msg->payload.crypto;
	int64_t id = -VIRTIO_CRYPTO_NOTSUPP;

	make_room_for_op_code(call->msg);
	/* of another kind, its members mean something else */
	if (!is_wide(call->msg) || session->op_code == VIRTIO_CRYPTO_CIPHER_CREATE_SESSION)
		id = vhost_crypto_open_session(call->dev, session);
	if (id < 0)
		VHOST_LOG_CONFIG(ERR, "(%s) no such crypto session: cipher %u, MAC %u, status %d\n",
			call->dev->driver.path, session->cipher_algo, session->hash_algo,
			(int)-id);
	answer_session(call->msg, id);
	return 0;
}

int
vhost_vu_on_crypto_close_session(struct vu_call *call)
{
	const uint64_t id = call->msg->payload.u64;
	int ret = vhost_crypto_close_session(call->dev, id);

	if (ret < 0)
		VHOST_LOG_CONFIG(ERR, "(%s) no crypto session %" PRIu64 " to close\n",
			call->dev->driver.path, id);
	return ret;
}
