/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Sessions of virtio-crypto; what they are is crypto/session.h's to say. */

#include <string.h>

#include "crypto/crypto.h"
#include "vhost_log.h"
#include "vu_on.h"

/**
 * QEMU has sent sessions without the op code since 7.1, so that all up to the addresses
 * comes four bytes earlier, in a message as long as before.  What it is told by is the
 * place of aad_len, which is 0 in any session that we can have and is there the type,
 * direction, mode and order of the shorter form.
 */
static void
make_room_for_op_code(struct vu_crypto_session *session)
{
	const size_t len = offsetof(struct vu_crypto_session, addresses) -
		offsetof(struct vu_crypto_session, cipher_algo);

	if (session->aad_len == 0)
		return;
	memmove(&session->cipher_algo, &session->op_code, len);
	session->op_code = 0;
}

int
vhost_vu_on_crypto_create_session(struct vu_call *call)
{
	struct vu_crypto_session *session = &call->msg->payload.crypto;

	make_room_for_op_code(session);
	session->id = vhost_crypto_open_session(call->dev, session);
	if (session->id < 0)
		VHOST_LOG_CONFIG(ERR, "(%s) no such crypto session: cipher %u, MAC %u, status %d\n",
			call->dev->driver.path, session->cipher_algo, session->hash_algo,
			(int)-session->id);
	/* the answer is as long as the request, but need not carry keys around */
	explicit_bzero(session->cipher_key, sizeof(session->cipher_key));
	explicit_bzero(session->auth_key, sizeof(session->auth_key));
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
