/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A crypto device: requests that the guest makes well or badly, operations that come
 * back in any order, with any result, at any time, also when the device has gone.
 */

#include <string.h>

#include <linux/virtio_crypto.h>

#include <rte_cryptodev.h>
#include <rte_vhost_crypto.h>

#include "fuzz_ring.h"

#define OPS 256
#define BURST 32

static struct {
	struct rte_mempool *ops;
	struct rte_crypto_op *out[OPS];	/**< fetched, oldest first */
	unsigned int n;
} crypto;

static int
new_device(int vid)
{
	return rte_vhost_crypto_create(vid, 0, crypto.ops, SOCKET_ID_ANY);
}

static void
destroy_device(int vid)
{
	rte_vhost_crypto_free(vid);
}

const struct rte_vhost_device_ops crypto_device_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
};

void
crypto_create(void)
{
	crypto.ops = rte_crypto_op_pool_create("fuzz_crypto", RTE_CRYPTO_OP_TYPE_SYMMETRIC, OPS, 0,
		VHOST_CRYPTO_MAX_IV_LEN, SOCKET_ID_ANY);
	FUZZ_CHECK(crypto.ops != NULL, "no operations");
}

/** A session that is right, but for some bytes that the input chooses. */
void
crypto_make_session(struct fuzz_input *in, struct vu_crypto_session *session)
{
	uint8_t choice = fuzz_u8(in), spoiled = fuzz_u8(in) % 4;

	*session = (struct vu_crypto_session){
		.cipher_algo = choice & 1 ? VIRTIO_CRYPTO_CIPHER_AES_CBC :
			VIRTIO_CRYPTO_CIPHER_3DES_CTR,
		.cipher_key_len = 16, .op_type = 1 + (choice >> 1 & 1), .dir = 1 + (choice >> 2 & 1),
		.hash_algo = VIRTIO_CRYPTO_MAC_HMAC_SHA1, .digest_len = 1 + (choice >> 4),
		.auth_key_len = 20, .hash_mode = VIRTIO_CRYPTO_SYM_HASH_MODE_AUTH,
		.chaining_dir = 1 + (choice >> 3 & 1),
	};
	while (spoiled-- > 0) {
		uint8_t at = fuzz_u8(in) % 128;

		((uint8_t *)session)[at] = fuzz_u8(in);
	}
}

/** A request in a chain of its own, right but for some bytes. */
void
crypto_make_request(struct fuzz_input *in)
{
	uint8_t choice = fuzz_u8(in), spoiled = fuzz_u8(in) % 4, ring = choice % RINGS;
	uint32_t len = 16 * (1 + fuzz_u8(in)), digest = fuzz_u8(in) % 32;
	unsigned int nread = 3 + (choice >> 3 & 3), nwrite = 2 + (choice >> 5 & 3);
	struct virtio_crypto_op_data_req head = {
		.header = { .opcode = choice & 4, .session_id = 1 + fuzz_u8(in) % 4 },
	};

	head.u.sym_req.op_type = digest == 0 ? VIRTIO_CRYPTO_SYM_OP_CIPHER :
		VIRTIO_CRYPTO_SYM_OP_ALGORITHM_CHAINING;
	if (digest == 0)
		head.u.sym_req.u.cipher.para = (struct virtio_crypto_cipher_para){
			.iv_len = 16, .src_data_len = len, .dst_data_len = len,
		};
	else
		head.u.sym_req.u.chain.para = (struct virtio_crypto_alg_chain_data_para){
			.iv_len = 16, .src_data_len = len, .dst_data_len = len,
			.len_to_cipher = len, .len_to_hash = len, .hash_result_len = digest,
		};
	while (spoiled-- > 0) {
		uint8_t at = fuzz_u8(in) % sizeof(head);

		((uint8_t *)&head)[at] = fuzz_u8(in);
	}
	guest_make_chain(ring, nread, nwrite, sizeof(head), len, !(choice & 0x80));
	guest_fill_chain(ring, &head, sizeof(head));
}

/** What an operation works on is there: read, and written as a cryptodev would. */
static void
process(struct rte_crypto_op *op, uint8_t with)
{
	struct rte_mbuf *to = op->sym->m_dst != NULL ? op->sym->m_dst : op->sym->m_src;
	const uint32_t at = op->sym->cipher.data.offset, len = op->sym->cipher.data.length;
	const uint8_t *src = rte_pktmbuf_mtod(op->sym->m_src, const uint8_t *);
	uint8_t sum = with;

	FUZZ_CHECK((uint64_t)at + len <= op->sym->m_src->data_len, "%u + %u of %u", at, len,
		op->sym->m_src->data_len);
	FUZZ_CHECK((uint64_t)at + len <= to->data_len, "%u + %u of %u", at, len, to->data_len);
	for (uint32_t i = 0; i < len; i++)
		sum += src[at + i];
	memset(rte_pktmbuf_mtod_offset(to, uint8_t *, at), sum, len);
}

void
crypto_fetch(struct fuzz_input *in, int vid)
{
	unsigned int ring = fuzz_u8(in) % RINGS, n = fuzz_below(in, BURST + 1);
	struct rte_crypto_op *ops[BURST];
	uint16_t done;

	n = RTE_MIN(n, OPS - crypto.n);
	if (n == 0 || rte_crypto_op_bulk_alloc(crypto.ops, RTE_CRYPTO_OP_TYPE_SYMMETRIC, ops, n) != n)
		return;
	guest_before();
	done = rte_vhost_crypto_fetch_requests(vid, ring, ops, n);
	guest_after();
	FUZZ_CHECK(done <= n, "%u of %u", done, n);
	memcpy(crypto.out + crypto.n, ops, done * sizeof(ops[0]));
	crypto.n += done;
	rte_mempool_put_bulk(crypto.ops, (void **)(ops + done), n - done);
}

/** Give n operations back, from some place on. */
static void
give_back(unsigned int at, unsigned int n, uint8_t status)
{
	int fds[VIRTIO_CRYPTO_MAX_NUM_BURST_VQS];
	uint16_t nfds, done;

	for (unsigned int i = at; i < at + n; i++) {
		process(crypto.out[i], status);
		crypto.out[i]->status = status % 8;
	}
	done = rte_vhost_crypto_finalize_requests(crypto.out + at, n, fds, &nfds);
	FUZZ_CHECK(done == n && nfds <= RINGS, "%u of %u, %u descriptors", done, n, nfds);
	for (uint16_t i = 0; i < nfds; i++)
		FUZZ_CHECK(fds[i] >= 0, "descriptor %d", fds[i]);
	rte_mempool_put_bulk(crypto.ops, (void **)(crypto.out + at), n);
	memmove(crypto.out + at, crypto.out + at + n, (crypto.n - at - n) * sizeof(crypto.out[0]));
	crypto.n -= n;
}

void
crypto_finalize(struct fuzz_input *in)
{
	unsigned int at = fuzz_u8(in), n = fuzz_u8(in);

	if (crypto.n == 0)
		return;
	at %= crypto.n;
	give_back(at, n % (crypto.n - at + 1), fuzz_u8(in));
}

/** The last operations come back, wherever their device is by now. */
void
crypto_end(void)
{
	if (crypto.n > 0)
		give_back(0, crypto.n, 0);
	/* what was left behind goes on the event loop */
	fuzz_events_serve();
	FUZZ_CHECK(fuzz_cryptodev_sessions() == 0, "%u sessions", fuzz_cryptodev_sessions());
}
