/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A crypto device that does what its guest asks for: every answer is compared with
 * libcrypto's, or with the vectors of the standards.
 */

#include <errno.h>

#include <rte_crypto.h>
#include <rte_vhost_crypto.h>

#include "crypto/algo.h"
#include "crypto/crypto.h"
#include "test.h"
#include "vhost_fake_crypto.h"
#include "vhost_test_log.h"

#define AES VIRTIO_CRYPTO_CIPHER_AES_CBC
#define ENCRYPT VIRTIO_CRYPTO_OP_ENCRYPT
#define DECRYPT VIRTIO_CRYPTO_OP_DECRYPT
#define HASH_FIRST VIRTIO_CRYPTO_SYM_ALG_CHAIN_ORDER_HASH_THEN_CIPHER
#define CIPHER_FIRST VIRTIO_CRYPTO_SYM_ALG_CHAIN_ORDER_CIPHER_THEN_HASH

static const struct fake_crypto_app in_place = { .zero_copy = true };

/* ---- the vectors of the standards ---- */

/* NIST SP 800-38A, F.2.1 */
static const uint8_t nist_key[] = "\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c";
static const uint8_t nist_plain[] =
	"\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a"
	"\xae\x2d\x8a\x57\x1e\x03\xac\x9c\x9e\xb7\x6f\xac\x45\xaf\x8e\x51";
static const uint8_t nist_cipher[] =
	"\x76\x49\xab\xac\x81\x19\xb2\x46\xce\xe9\x8e\x9b\x12\xe9\x19\x7d"
	"\x50\x86\xcb\x9b\x50\x72\x19\xee\x95\xdb\x11\x3a\x91\x76\x78\xb2";

static int
nist_vector_comes_out(void)
{
	struct fake_crypto_session session = fake_crypto_cipher(AES, 16, ENCRYPT);
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request req;
	uint32_t len;

	memcpy(session.cipher_key, nist_key, 16);
	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_crypto_request(fe, &req, fake_crypto_open(fe, &session), 32, 0),
		"a request");
	for (uint8_t i = 0; i < 16; i++)
		req.iv[i] = i;
	memcpy(fake_crypto_src(fe, &req), nist_plain, 32);
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &req, &len), VIRTIO_CRYPTO_OK, "it is done");
	TEST_ASSERT_EQUAL(len, 33, "result and status");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(fake_crypto_dst(fe, &req), nist_cipher, 32, "as published");
	return fake_stop(fe);
}

/* RFC 2202, 3, test 2 */
static int
rfc_vector_comes_out(void)
{
	struct fake_crypto_session session = fake_crypto_chain(VIRTIO_CRYPTO_CIPHER_AES_CTR, 16,
		ENCRYPT, VIRTIO_CRYPTO_MAC_HMAC_SHA1, 20, HASH_FIRST);
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	const char text[] = "what do ya want for nothing?";
	struct fake_crypto_request req;

	session.auth_key_len = 4;
	memcpy(session.auth_key, "Jefe", 4);
	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_crypto_chain_request(fe, &req, fake_crypto_open(fe, &session),
		sizeof(text) - 1, 20, false, 0), "a request");
	memcpy(fake_crypto_src(fe, &req), text, sizeof(text) - 1);
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &req, NULL), VIRTIO_CRYPTO_OK, "it is done");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(fake_va(fe, req.digest_gpa, 20),
		"\xef\xfc\xdf\x6a\xe5\xeb\x2f\xa2\xd2\x74\x16\xd5\xf1\x84\xdf\x9c\x25\x9a\x7c\x79",
		20, "as published");
	return fake_stop(fe);
}

/* ---- ciphers ---- */

static const struct {
	const char *name;
	uint32_t algo, key_len, iv_len;
} ciphers[] = {
	{ "AES-128-CBC", AES, 16, 16 },
	{ "AES-192-CBC", AES, 24, 16 },
	{ "AES-256-CBC", AES, 32, 16 },
	{ "AES-128-CTR", VIRTIO_CRYPTO_CIPHER_AES_CTR, 16, 16 },
	{ "3DES-CBC", VIRTIO_CRYPTO_CIPHER_3DES_CBC, 24, 8 },
};

/** Of the standards, also for those that no cryptodev at hand has. */
static int
tables_say_what_standards_do(void)
{
	static const struct {
		uint32_t id, algo, iv_len, block;
	} all_ciphers[] = {
		{ AES, RTE_CRYPTO_CIPHER_AES_CBC, 16, 16 },
		{ VIRTIO_CRYPTO_CIPHER_AES_CTR, RTE_CRYPTO_CIPHER_AES_CTR, 16, 1 },
		{ VIRTIO_CRYPTO_CIPHER_DES_CBC, RTE_CRYPTO_CIPHER_DES_CBC, 8, 8 },
		{ VIRTIO_CRYPTO_CIPHER_3DES_ECB, RTE_CRYPTO_CIPHER_3DES_ECB, 0, 8 },
		{ VIRTIO_CRYPTO_CIPHER_3DES_CBC, RTE_CRYPTO_CIPHER_3DES_CBC, 8, 8 },
		{ VIRTIO_CRYPTO_CIPHER_3DES_CTR, RTE_CRYPTO_CIPHER_3DES_CTR, 8, 1 },
	};
	unsigned int n = 0;

	for (unsigned int i = 0; i < RTE_DIM(all_ciphers); i++) {
		const struct crypto_cipher *cipher = vhost_crypto_cipher(all_ciphers[i].id);

		TEST_ASSERT_NOT_NULL(cipher, "cipher %u", all_ciphers[i].id);
		TEST_ASSERT_EQUAL(cipher->algo, all_ciphers[i].algo, "its name here");
		TEST_ASSERT_EQUAL(cipher->iv_len, all_ciphers[i].iv_len, "its vector");
		TEST_ASSERT_EQUAL(cipher->block, all_ciphers[i].block, "its block");
	}
	for (uint32_t id = 0; id < 64; id++)
		n += vhost_crypto_cipher(id) != NULL;
	TEST_ASSERT_EQUAL(n, RTE_DIM(all_ciphers), "and no others");
	return TEST_SUCCESS;
}

static int
macs_that_are_served(void)
{
	static const struct {
		uint32_t id, algo, digest_len;
	} all_macs[] = {
		{ VIRTIO_CRYPTO_MAC_HMAC_MD5, RTE_CRYPTO_AUTH_MD5_HMAC, 16 },
		{ VIRTIO_CRYPTO_MAC_HMAC_SHA1, RTE_CRYPTO_AUTH_SHA1_HMAC, 20 },
		{ VIRTIO_CRYPTO_MAC_HMAC_SHA_224, RTE_CRYPTO_AUTH_SHA224_HMAC, 28 },
		{ VIRTIO_CRYPTO_MAC_HMAC_SHA_256, RTE_CRYPTO_AUTH_SHA256_HMAC, 32 },
		{ VIRTIO_CRYPTO_MAC_HMAC_SHA_384, RTE_CRYPTO_AUTH_SHA384_HMAC, 48 },
		{ VIRTIO_CRYPTO_MAC_HMAC_SHA_512, RTE_CRYPTO_AUTH_SHA512_HMAC, 64 },
	};
	unsigned int n = 0;

	for (unsigned int i = 0; i < RTE_DIM(all_macs); i++) {
		const struct crypto_mac *mac = vhost_crypto_mac(all_macs[i].id);

		TEST_ASSERT_NOT_NULL(mac, "MAC %u", all_macs[i].id);
		TEST_ASSERT_EQUAL(mac->algo, all_macs[i].algo, "its name here");
		TEST_ASSERT_EQUAL(mac->digest_len, all_macs[i].digest_len, "its length");
	}
	for (uint32_t id = 0; id < 64; id++)
		n += vhost_crypto_mac(id) != NULL;
	TEST_ASSERT_EQUAL(n, RTE_DIM(all_macs), "and no others");
	return TEST_SUCCESS;
}

static void
set_iv_len(struct fake_crypto_request *req, uint32_t len)
{
	req->iv_len = len;
	/* cipher and chain have it in the same place */
	req->head.u.sym_req.u.cipher.para.iv_len = len;
}

/** One direction of a cipher, of so many bytes, against libcrypto: 0 or -1. */
static int
agrees(struct fake *fe, const struct fake_crypto_session *session, uint32_t iv_len, uint32_t len,
		unsigned int cut, bool same_place)
{
	int64_t id = fake_crypto_open(fe, session);
	struct fake_crypto_request req;
	uint8_t in[8192], want[8192];

	if (id <= 0 || !fake_crypto_request(fe, &req, id, len, len))
		return -1;
	set_iv_len(&req, iv_len);
	req.cut = cut;
	req.in_place = same_place;
	memcpy(in, fake_crypto_src(fe, &req), len);
	if (fake_crypto_round(fe, 0, &req, NULL) != VIRTIO_CRYPTO_OK ||
			!fake_crypto_reference(session, req.iv, in, want, len,
				session->dir == ENCRYPT))
		return -1;
	if (memcmp(fake_crypto_dst(fe, &req), want, len) != 0 ||
			fake_crypto_dst(fe, &req)[len] != FAKE_CRYPTO_UNTOUCHED)
		return -1;
	return fake_crypto_close(fe, id) == FAKE_ACK ? 0 : -1;
}

static int
ciphers_agree(const struct fake_crypto_app *app)
{
	static const uint32_t lengths[] = { 16, 64, 1024, 4096 };
	struct fake *fe = fake_crypto_start(app, .ring_size = 64);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < RTE_DIM(ciphers); i++)
		for (unsigned int j = 0; j < RTE_DIM(lengths); j++)
			for (uint8_t dir = ENCRYPT; dir <= DECRYPT; dir++) {
				struct fake_crypto_session session = fake_crypto_cipher(
					ciphers[i].algo, ciphers[i].key_len, dir);

				TEST_ASSERT_SUCCESS(agrees(fe, &session, ciphers[i].iv_len,
					lengths[j], 0, j % 2), "%s of %u bytes, direction %u",
					ciphers[i].name, lengths[j], dir);
			}
	return fake_stop(fe);
}

static int
ciphers_agree_with_libcrypto(void)
{
	return ciphers_agree(NULL);
}

static int
ciphers_agree_in_guest_memory(void)
{
	return ciphers_agree(&in_place);
}

static int
any_cut_is_one_stream(void)
{
	/* at most 14 pieces of each, as there are three descriptors more */
	static const struct { unsigned int cut; uint32_t len; } cuts[] = {
		{ 2, 16 }, { 7, 96 }, { 13, 176 }, { 16, 224 }, { 100, 1024 },
	};
	const struct fake_crypto_session session = fake_crypto_cipher(AES, 16, ENCRYPT);

	for (unsigned int zero_copy = 0; zero_copy < 2; zero_copy++) {
		struct fake *fe = fake_crypto_start(zero_copy ? &in_place : NULL, .ring_size = 64);

		TEST_ASSERT_NOT_NULL(fe, "the device must start");
		for (unsigned int i = 0; i < RTE_DIM(cuts); i++)
			TEST_ASSERT_SUCCESS(agrees(fe, &session, 16, cuts[i].len, cuts[i].cut,
				false), "pieces of %u bytes", cuts[i].cut);
		TEST_ASSERT_SUCCESS(fake_stop(fe), "it stops");
	}
	return TEST_SUCCESS;
}

/** Buffers at hand, for processors and for devices, are the block's own. */
static bool
buffers_are_their_own(const struct fake *fe)
{
	struct crypto_lane *lane = &vhost_crypto_get(fe->vid)->lanes[0];
	bool are = true;

	rte_spinlock_lock(&lane->lock);
	for (unsigned int i = 0; i < lane->block->nmbufs; i++) {
		struct rte_mbuf *mbuf = lane->block->mbufs[i];
		const struct crypto_ticket *ticket = crypto_ticket(mbuf);

		are = are && mbuf->buf_addr == ticket->buffer &&
			rte_mbuf_iova_get(mbuf) == ticket->iova;
	}
	rte_spinlock_unlock(&lane->lock);
	return are;
}

/** A buffer that has pointed to guest memory is one to copy to again. */
static int
requests_in_guest_memory_and_copied_ones_alternate(void)
{
	const struct fake_crypto_session session = fake_crypto_cipher(AES, 16, ENCRYPT);
	struct fake *fe = fake_crypto_start(&in_place, .ring_size = 64);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < 4; i++) {
		TEST_ASSERT_SUCCESS(agrees(fe, &session, 16, 64, 0, i % 2), "whole, %u", i);
		TEST_ASSERT(buffers_are_their_own(fe), "after %u", i);
		TEST_ASSERT_SUCCESS(agrees(fe, &session, 16, 96, 7, false), "in pieces, %u", i);
	}
	return fake_stop(fe);
}

/** Header and vector may be cut anywhere as well, and the parts be apart. */
static int
header_and_vector_may_be_in_two_places(void)
{
	static const unsigned int cuts[] = { 1, 8, 15, 16, 63, 71 };
	const struct fake_crypto_session session = fake_crypto_cipher(AES, 16, ENCRYPT);
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request req;
	uint8_t want[64];
	int64_t id;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	id = fake_crypto_open(fe, &session);
	for (unsigned int i = 0; i < RTE_DIM(cuts); i++) {
		TEST_ASSERT(fake_crypto_request(fe, &req, id, 64, i), "a request");
		req.apart = cuts[i];
		TEST_ASSERT(fake_crypto_reference(&session, req.iv, fake_crypto_src(fe, &req),
			want, 64, true), "libcrypto");
		TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &req, NULL), VIRTIO_CRYPTO_OK,
			"cut after %u bytes", cuts[i]);
		TEST_ASSERT_BUFFERS_ARE_EQUAL(fake_crypto_dst(fe, &req), want, 64,
			"cut after %u bytes", cuts[i]);
	}
	return fake_stop(fe);
}

static int
descriptors_of_the_ring_do_as_well(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request req;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_crypto_request(fe, &req, fake_crypto_open_aes(fe), 64, 1), "a request");
	req.direct = true;
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &req, NULL), VIRTIO_CRYPTO_OK, "it is done");
	return fake_stop(fe);
}

static int
status_may_share_a_descriptor(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request req;
	uint32_t used_len;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_crypto_request(fe, &req, fake_crypto_open_aes(fe), 64, 1), "a request");
	req.status_gpa = req.dst_gpa + 64;
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &req, &used_len), VIRTIO_CRYPTO_OK, "it is done");
	TEST_ASSERT_EQUAL(used_len, 64 + 1, "all of it");
	return fake_stop(fe);
}

/* ---- chains ---- */

static const struct {
	const char *name;
	uint32_t mac, digest_len;
} macs[] = {
	{ "MD5", VIRTIO_CRYPTO_MAC_HMAC_MD5, 16 },
	{ "SHA1", VIRTIO_CRYPTO_MAC_HMAC_SHA1, 20 },
	{ "SHA224", VIRTIO_CRYPTO_MAC_HMAC_SHA_224, 28 },
	{ "SHA256", VIRTIO_CRYPTO_MAC_HMAC_SHA_256, 32 },
	{ "SHA384", VIRTIO_CRYPTO_MAC_HMAC_SHA_384, 48 },
	{ "SHA512", VIRTIO_CRYPTO_MAC_HMAC_SHA_512, 64 },
};

/** Encrypt with a digest, see both; then check it and decrypt, and see the plain text. */
static int
there_and_back(struct fake *fe, uint32_t mac, uint32_t digest_len, uint8_t order)
{
	const uint8_t back = order == HASH_FIRST ? CIPHER_FIRST : HASH_FIRST;
	struct fake_crypto_session to = fake_crypto_chain(AES, 16, ENCRYPT, mac, digest_len, order),
		from = fake_crypto_chain(AES, 16, DECRYPT, mac, digest_len, back);
	uint8_t plain[256], cipher[256], digest[64];
	struct fake_crypto_request req, reverse;
	uint32_t len;

	TEST_ASSERT(fake_crypto_chain_request(fe, &req, fake_crypto_open(fe, &to), 256,
		digest_len, false, mac), "a request");
	memcpy(plain, fake_crypto_src(fe, &req), 256);
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &req, &len), VIRTIO_CRYPTO_OK, "encrypted");
	TEST_ASSERT_EQUAL(len, 256 + digest_len + 1, "all that was written");
	TEST_ASSERT(fake_crypto_reference(&to, req.iv, plain, cipher, 256, true) &&
		fake_crypto_digest(&to, order == HASH_FIRST ? plain : cipher, 256, digest),
		"libcrypto");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(fake_crypto_dst(fe, &req), cipher, 256, "cipher text");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(fake_va(fe, req.digest_gpa, 64), digest, digest_len, "digest");

	TEST_ASSERT(fake_crypto_chain_request(fe, &reverse, fake_crypto_open(fe, &from), 256,
		digest_len, true, mac), "a request");
	memcpy(reverse.iv, req.iv, sizeof(req.iv));
	memcpy(fake_crypto_src(fe, &reverse), cipher, 256);
	memcpy(fake_va(fe, reverse.check_gpa, 64), digest, digest_len);
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 1, &reverse, &len), VIRTIO_CRYPTO_OK, "decrypted");
	TEST_ASSERT_EQUAL(len, 257, "the digest was not written");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(fake_crypto_dst(fe, &reverse), plain, 256, "plain text");
	*(uint8_t *)fake_va(fe, reverse.check_gpa, 1) ^= 1;
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 1, &reverse, &len), VIRTIO_CRYPTO_BADMSG,
		"a wrong digest");
	TEST_ASSERT_EQUAL(len, 1, "only the status");
	return TEST_SUCCESS;
}

static int
chains_agree(const struct fake_crypto_app *app)
{
	struct fake *fe = fake_crypto_start(app, .ring_size = 64);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < RTE_DIM(macs); i++)
		for (uint8_t order = HASH_FIRST; order <= CIPHER_FIRST; order++)
			TEST_ASSERT_SUCCESS(there_and_back(fe, macs[i].mac, macs[i].digest_len,
				order), "%s, order %u", macs[i].name, order);
	TEST_ASSERT_SUCCESS(there_and_back(fe, VIRTIO_CRYPTO_MAC_HMAC_SHA1, 12, CIPHER_FIRST),
		"a digest that is cut");
	return fake_stop(fe);
}

static int
chains_agree_with_libcrypto(void)
{
	return chains_agree(NULL);
}

static int
chains_agree_in_guest_memory(void)
{
	return chains_agree(&in_place);
}

/** As IPsec does it: a header that is hashed and not encrypted. */
static int
chain_of_parts(const struct fake_crypto_app *app, bool same_place)
{
	struct fake_crypto_session session = fake_crypto_chain(AES, 16, ENCRYPT,
		VIRTIO_CRYPTO_MAC_HMAC_SHA1, 20, CIPHER_FIRST);
	struct fake *fe = fake_crypto_start(app, .ring_size = 64);
	uint8_t want[24 + 64], digest[64];
	struct fake_crypto_request req;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_crypto_chain_request(fe, &req, fake_crypto_open(fe, &session),
		sizeof(want), 20, false, 9), "a request");
	req.in_place = same_place;
	req.head.u.sym_req.u.chain.para.cipher_start_src_offset = 24;
	req.head.u.sym_req.u.chain.para.len_to_cipher = 64;
	req.head.u.sym_req.u.chain.para.hash_start_src_offset = 8;
	req.head.u.sym_req.u.chain.para.len_to_hash = 80;
	memcpy(want, fake_crypto_src(fe, &req), sizeof(want));
	TEST_ASSERT(fake_crypto_reference(&session, req.iv, fake_crypto_src(fe, &req) + 24,
		want + 24, 64, true) && fake_crypto_digest(&session, want + 8, 80, digest),
		"libcrypto");
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &req, NULL), VIRTIO_CRYPTO_OK, "it is done");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(fake_crypto_dst(fe, &req), want, sizeof(want), "the data");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(fake_va(fe, req.digest_gpa, 20), digest, 20, "the digest");
	return fake_stop(fe);
}

static int
parts_are_hashed_and_encrypted(void)
{
	TEST_ASSERT_SUCCESS(chain_of_parts(NULL, false), "copied");
	TEST_ASSERT_SUCCESS(chain_of_parts(&in_place, false), "in guest memory, two places");
	TEST_ASSERT_SUCCESS(chain_of_parts(&in_place, true), "in guest memory, one place");
	return TEST_SUCCESS;
}

/* ---- sessions ---- */

static int
sessions_count_from_one(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (int64_t id = 1; id <= 3; id++)
		TEST_ASSERT_EQUAL(fake_crypto_open_aes(fe), id, "one after the other");
	TEST_ASSERT_EQUAL(fake_crypto_close(fe, 2), FAKE_ACK, "it is closed");
	TEST_ASSERT_EQUAL(fake_crypto_close(fe, 2), FAKE_NACK, "but once");
	TEST_ASSERT_EQUAL(fake_crypto_open_aes(fe), 4, "and its number does not come back");
	TEST_ASSERT_EQUAL(fake_crypto_sessions_out(), 3, "the cryptodev's, too");
	return fake_stop(fe);
}

static int
table_of_sessions_fills_and_empties(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request req;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (int64_t id = 1; id <= VHOST_CRYPTO_SESSION_MAP_ENTRIES; id++)
		TEST_ASSERT_EQUAL(fake_crypto_open_aes(fe), id, "session %d", (int)id);
	TEST_ASSERT_EQUAL(fake_crypto_open_aes(fe), -VIRTIO_CRYPTO_ERR, "one too many");
	TEST_ASSERT_EQUAL(fake_crypto_close(fe, 700), FAKE_ACK, "one goes");
	TEST_ASSERT_EQUAL(fake_crypto_open_aes(fe), VHOST_CRYPTO_SESSION_MAP_ENTRIES + 700,
		"another one has its place, and a number of its own");
	TEST_ASSERT(fake_crypto_request(fe, &req, 700, 64, 1), "a request");
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &req, NULL), VIRTIO_CRYPTO_INVSESS,
		"of the one that has gone");
	req.head.header.session_id = VHOST_CRYPTO_SESSION_MAP_ENTRIES + 700;
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &req, NULL), VIRTIO_CRYPTO_OK, "of the other");
	return fake_stop(fe);
}

static const struct {
	const char *name;
	struct { uint32_t algo, key_len, mac, auth_len, digest_len, aad_len; } lens;
	uint8_t op_type, dir, mode, order;
	int status;
} wrong_sessions[] = {
#define CIPHER VIRTIO_CRYPTO_SYM_OP_CIPHER
#define CHAIN VIRTIO_CRYPTO_SYM_OP_ALGORITHM_CHAINING
#define SHA1 VIRTIO_CRYPTO_MAC_HMAC_SHA1
	{ "no operation", { AES, 16 }, 0, ENCRYPT, 0, 0, VIRTIO_CRYPTO_NOTSUPP },
	{ "an unknown operation", { AES, 16 }, 3, ENCRYPT, 0, 0, VIRTIO_CRYPTO_NOTSUPP },
	{ "no direction", { AES, 16 }, CIPHER, 0, 0, 0, VIRTIO_CRYPTO_BADMSG },
	{ "an unknown direction", { AES, 16 }, CIPHER, 3, 0, 0, VIRTIO_CRYPTO_BADMSG },
	{ "no cipher", { 0, 16 }, CIPHER, ENCRYPT, 0, 0, VIRTIO_CRYPTO_NOTSUPP },
	{ "a cipher without a row", { 14, 16 }, CIPHER, ENCRYPT, 0, 0, VIRTIO_CRYPTO_NOTSUPP },
	{ "a cipher right behind the table", { VIRTIO_CRYPTO_CIPHER_3DES_CTR + 1, 16 }, CIPHER,
		ENCRYPT, 0, 0, VIRTIO_CRYPTO_NOTSUPP },
	{ "a cipher beyond the table", { UINT32_MAX, 16 }, CIPHER, ENCRYPT, 0, 0,
		VIRTIO_CRYPTO_NOTSUPP },
	{ "no key", { AES, 0 }, CIPHER, ENCRYPT, 0, 0, VIRTIO_CRYPTO_BADMSG },
	{ "a key of 65 bytes", { AES, 65 }, CIPHER, ENCRYPT, 0, 0, VIRTIO_CRYPTO_BADMSG },
	{ "a key of 4 GiB", { AES, UINT32_MAX }, CIPHER, ENCRYPT, 0, 0, VIRTIO_CRYPTO_BADMSG },
	{ "a key that AES does not have", { AES, 15 }, CIPHER, ENCRYPT, 0, 0,
		VIRTIO_CRYPTO_NOTSUPP },
	{ "a cipher that the cryptodev does not have", { VIRTIO_CRYPTO_CIPHER_3DES_ECB, 24 },
		CIPHER, ENCRYPT, 0, 0, VIRTIO_CRYPTO_NOTSUPP },
	{ "no order", { AES, 16, SHA1, 20, 20 }, CHAIN, ENCRYPT, 2, 0, VIRTIO_CRYPTO_BADMSG },
	{ "an unknown order", { AES, 16, SHA1, 20, 20 }, CHAIN, ENCRYPT, 2, 3,
		VIRTIO_CRYPTO_BADMSG },
	{ "a plain hash", { AES, 16, SHA1, 20, 20 }, CHAIN, ENCRYPT, 1, 2, VIRTIO_CRYPTO_NOTSUPP },
	{ "a MAC right behind the table", { AES, 16, VIRTIO_CRYPTO_MAC_HMAC_SHA_512 + 1, 20, 20 },
		CHAIN, ENCRYPT, 2, 2, VIRTIO_CRYPTO_NOTSUPP },
	{ "an unknown MAC", { AES, 16, 99, 20, 20 }, CHAIN, ENCRYPT, 2, 2, VIRTIO_CRYPTO_NOTSUPP },
	{ "further data to hash", { AES, 16, SHA1, 20, 20, 8 }, CHAIN, ENCRYPT, 2, 2,
		VIRTIO_CRYPTO_NOTSUPP },
	{ "no key of the MAC", { AES, 16, SHA1, 0, 20 }, CHAIN, ENCRYPT, 2, 2,
		VIRTIO_CRYPTO_BADMSG },
	{ "a MAC key of 513 bytes", { AES, 16, SHA1, 513, 20 }, CHAIN, ENCRYPT, 2, 2,
		VIRTIO_CRYPTO_BADMSG },
	{ "no digest", { AES, 16, SHA1, 20, 0 }, CHAIN, ENCRYPT, 2, 2, VIRTIO_CRYPTO_BADMSG },
	{ "a digest longer than SHA1's", { AES, 16, SHA1, 20, 21 }, CHAIN, ENCRYPT, 2, 2,
		VIRTIO_CRYPTO_BADMSG },
};

static int
wrong_sessions_are_told_why(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (unsigned int i = 0; i < RTE_DIM(wrong_sessions); i++) {
		const struct fake_crypto_session session = {
			.op_type = wrong_sessions[i].op_type, .dir = wrong_sessions[i].dir,
			.hash_mode = wrong_sessions[i].mode,
			.chaining_dir = wrong_sessions[i].order,
			.cipher_algo = wrong_sessions[i].lens.algo,
			.cipher_key_len = wrong_sessions[i].lens.key_len,
			.hash_algo = wrong_sessions[i].lens.mac,
			.auth_key_len = wrong_sessions[i].lens.auth_len,
			.digest_len = wrong_sessions[i].lens.digest_len,
			.aad_len = wrong_sessions[i].lens.aad_len,
		};

		TEST_ASSERT_EQUAL(fake_crypto_open(fe, &session), -wrong_sessions[i].status, "%s",
			wrong_sessions[i].name);
	}
	TEST_ASSERT_EQUAL(fake_crypto_sessions_out(), 0, "nothing is left of them");
	TEST_ASSERT_EQUAL(fake_crypto_open_aes(fe), 1, "and a right one has the first number");
	return fake_stop(fe);
}

/** What takes the place of a refused request has results of its own alone. */
static int
a_refused_request_leaves_nothing_to_the_next(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request first, refused, next;
	uint8_t untouched[64];
	int64_t id;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	id = fake_crypto_open_aes(fe);
	TEST_ASSERT(fake_crypto_request(fe, &first, id, 64, 1) &&
		fake_crypto_request(fe, &refused, id, 64, 2) &&
		fake_crypto_request(fe, &next, id, 64, 3), "requests");
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &first, NULL), VIRTIO_CRYPTO_OK, "the first");
	memset(untouched, FAKE_CRYPTO_UNTOUCHED, sizeof(untouched));
	memcpy(fake_crypto_dst(fe, &first), untouched, sizeof(untouched));
	memcpy(fake_crypto_dst(fe, &refused), untouched, sizeof(untouched));
	/* which is seen when the place for its result is known */
	refused.head.u.sym_req.u.cipher.para.dst_data_len = 128;
	next.cut = 16;
	TEST_ASSERT(fake_crypto_offer(&fe->vqs[0], &refused) &&
		fake_crypto_offer(&fe->vqs[0], &next), "two more");
	TEST_ASSERT_EQUAL(fake_crypto_serve(fe, 0), 1, "of which one is refused");
	TEST_ASSERT_EQUAL(fake_crypto_status(fe, &refused), VIRTIO_CRYPTO_BADMSG, "this one");
	TEST_ASSERT_EQUAL(fake_crypto_status(fe, &next), VIRTIO_CRYPTO_OK, "the other is done");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(fake_crypto_dst(fe, &first), untouched, 64,
		"the first is not done again");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(fake_crypto_dst(fe, &refused), untouched, 64,
		"and what was refused not at all");
	return fake_stop(fe);
}

static int
log_tells_what_was_refused_and_nothing_else(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	const struct fake_crypto_session wrong = fake_crypto_cipher(14, 16, ENCRYPT);
	struct log_capture log;
	int64_t right;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	right = fake_crypto_open_aes(fe);
	TEST_ASSERT(fake_crypto_open(fe, &wrong) < 0, "no session");
	TEST_ASSERT_EQUAL(fake_crypto_close(fe, right + 1), FAKE_NACK, "none to close");
	TEST_ASSERT_EQUAL(fake_crypto_close(fe, right), FAKE_ACK, "one to close");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "no such crypto session"), 1, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "session: cipher 14, MAC 0, status 3"), 1, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "no crypto session"), 1, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "no crypto session 2 to close"), 1, "%s", log.text);
	log_free(&log);
	return fake_stop(fe);
}

static int
answer_has_no_keys(void)
{
	const struct fake_crypto_session session = fake_crypto_chain(AES, 16, ENCRYPT,
		VIRTIO_CRYPTO_MAC_HMAC_SHA1, 20, CIPHER_FIRST);
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_session answer;
	struct fake_msg reply;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(fake_ask(fe, FE_CREATE_CRYPTO_SESSION, &session, sizeof(session),
		&reply), "asked");
	memcpy(&answer, reply.payload, sizeof(answer));
	TEST_ASSERT_EQUAL(answer.id, 1, "the session");
	for (unsigned int i = 0; i < sizeof(answer.cipher_key); i++)
		TEST_ASSERT_EQUAL(answer.cipher_key[i], 0, "key byte %u", i);
	for (unsigned int i = 0; i < sizeof(answer.auth_key); i++)
		TEST_ASSERT_EQUAL(answer.auth_key[i], 0, "MAC key byte %u", i);
	return fake_stop(fe);
}

/* ---- rings ---- */

/** The cryptodev's order is not the ring's. */
static int
answers_come_in_any_order(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request reqs[8];
	struct rte_crypto_op *ops[8];
	int64_t id;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	id = fake_crypto_open_aes(fe);
	/* heads are no slots of the used ring either */
	for (unsigned int i = 0; i < 3; i++) {
		TEST_ASSERT(fake_crypto_request(fe, &reqs[i], id, 64, i), "a request");
		TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &reqs[i], NULL), VIRTIO_CRYPTO_OK,
			"one before");
	}
	for (unsigned int i = 0; i < 8; i++) {
		TEST_ASSERT(fake_crypto_request(fe, &reqs[i], id, 16 * (i + 1), i), "a request");
		TEST_ASSERT(fake_crypto_offer(&fe->vqs[0], &reqs[i]), "it fits");
	}
	TEST_ASSERT_EQUAL(fake_crypto_fetch(fe, 0, ops, 8), 8, "fetched");
	TEST_ASSERT(fake_crypto_process(ops, 8), "processed");
	for (unsigned int i = 0; i < 4; i++) {
		struct rte_crypto_op *op = ops[i];

		ops[i] = ops[7 - i];
		ops[7 - i] = op;
	}
	TEST_ASSERT_EQUAL(fake_crypto_finalize(ops, 3), 3, "some");
	TEST_ASSERT_EQUAL(fake_crypto_finalize(ops + 3, 5), 5, "and the others");
	for (unsigned int i = 0; i < 8; i++) {
		uint32_t len;

		TEST_ASSERT_EQUAL(fake_collect(&fe->vqs[0], &len), reqs[7 - i].id, "answer %u", i);
		TEST_ASSERT_EQUAL(len, 16 * (8 - i) + 1, "its length");
		TEST_ASSERT_EQUAL(fake_crypto_status(fe, &reqs[7 - i]), VIRTIO_CRYPTO_OK, "done");
	}
	return fake_stop(fe);
}

/** However many the application has room for; the others stay where they are. */
static int
one_fetch_is_one_burst(void)
{
	enum { N = VHOST_CRYPTO_MAX_BURST_SIZE + 3 };
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 256);
	struct fake_crypto_request req;
	struct rte_crypto_op *ops[N];

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_crypto_request(fe, &req, fake_crypto_open_aes(fe), 64, 1), "a request");
	for (unsigned int i = 0; i < N; i++)
		TEST_ASSERT(fake_crypto_offer(&fe->vqs[0], &req), "it fits, time %u", i);
	TEST_ASSERT_EQUAL(fake_crypto_fetch(fe, 0, ops, N), VHOST_CRYPTO_MAX_BURST_SIZE, "a burst");
	TEST_ASSERT_EQUAL(fake_crypto_fetch(fe, 0, ops + N - 3, 3), 3, "and the others");
	TEST_ASSERT(fake_crypto_process(ops, N), "processed");
	TEST_ASSERT_EQUAL(fake_crypto_finalize(ops, N), N, "finalized, all at once");
	return fake_stop(fe);
}

static int
failed_operation_is_an_error(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request req;
	struct rte_crypto_op *op;
	uint32_t len;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_crypto_request(fe, &req, fake_crypto_open_aes(fe), 64, 1), "a request");
	TEST_ASSERT(fake_crypto_offer(&fe->vqs[0], &req), "it fits");
	TEST_ASSERT_EQUAL(fake_crypto_fetch(fe, 0, &op, 1), 1, "fetched");
	/* the application has no room in its cryptodev and gives up */
	TEST_ASSERT_EQUAL(fake_crypto_finalize(&op, 1), 1, "given back unprocessed");
	TEST_ASSERT_EQUAL(fake_collect(&fe->vqs[0], &len), req.id, "answered");
	TEST_ASSERT_EQUAL(fake_crypto_status(fe, &req), VIRTIO_CRYPTO_ERR, "with an error");
	TEST_ASSERT_EQUAL(len, 1, "and the status alone");
	TEST_ASSERT_EQUAL(*fake_crypto_dst(fe, &req), FAKE_CRYPTO_UNTOUCHED, "no data");
	return fake_stop(fe);
}

/** Rings of two devices in one burst; each guest is called once. */
static int
operations_of_rings_come_mixed(void)
{
	struct fake *a = fake_crypto_start(NULL, .ring_size = 64);
	struct fake *b = fake_crypto_start(NULL, .ring_size = 64);
	struct fake *of[] = { a, b, a, b, a, b };
	const unsigned int rings[] = { 0, 0, 1, 0, 0, 1 };
	struct fake_crypto_request reqs[6];
	struct rte_crypto_op *ops[6];

	TEST_ASSERT(a != NULL && b != NULL, "the devices must start");
	fake_crypto_open_aes(a);
	fake_crypto_open_aes(b);
	for (unsigned int i = 0; i < 6; i++) {
		TEST_ASSERT(fake_crypto_request(of[i], &reqs[i], 1, 64, i), "a request");
		TEST_ASSERT(fake_crypto_offer(&of[i]->vqs[rings[i]], &reqs[i]), "it fits");
		TEST_ASSERT_EQUAL(fake_crypto_fetch(of[i], rings[i], &ops[i], 1), 1, "fetched");
	}
	TEST_ASSERT(fake_crypto_process(ops, 6), "processed");
	TEST_ASSERT_EQUAL(fake_crypto_finalize(ops, 6), 6, "finalized");
	TEST_ASSERT_EQUAL(fake_crypto_calls(), 4, "each ring's descriptor once");
	for (unsigned int i = 0; i < 6; i++) {
		TEST_ASSERT_EQUAL(fake_collect(&of[i]->vqs[rings[i]], NULL), reqs[i].id,
			"answer %u", i);
		TEST_ASSERT_EQUAL(fake_crypto_status(of[i], &reqs[i]), VIRTIO_CRYPTO_OK, "done");
	}
	TEST_ASSERT_EQUAL(fake_stop(b), 0, "one stops");
	return fake_stop(a);
}

static int
calls_are_as_the_guest_wants(bool event_idx)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64, .event_idx = event_idx);
	struct fake_crypto_request reqs[3];
	struct fake_vq *vq;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	vq = &fe->vqs[0];
	fake_crypto_open_aes(fe);
	for (unsigned int i = 0; i < 3; i++)
		TEST_ASSERT(fake_crypto_request(fe, &reqs[i], 1, 64, i), "a request");
	vq->ops->interrupts(vq, true);
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &reqs[0], NULL), VIRTIO_CRYPTO_OK, "done");
	TEST_ASSERT_EQUAL(fake_crypto_calls(), 1, "it wants to be called");
	TEST_ASSERT(fake_interrupts(vq) > 0, "and is");
	vq->ops->interrupts(vq, false);
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &reqs[1], NULL), VIRTIO_CRYPTO_OK, "done");
	TEST_ASSERT_EQUAL(fake_crypto_calls(), 0, "it does not");
	vq->ops->interrupts(vq, true);
	TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_CALL, 0, -1), FAKE_ACK, "no descriptor");
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &reqs[2], NULL), VIRTIO_CRYPTO_OK, "done");
	TEST_ASSERT_EQUAL(fake_crypto_calls(), 0, "there is none to hand out");
	return fake_stop(fe);
}

static int
calls_follow_the_flag(void)
{
	return calls_are_as_the_guest_wants(false);
}

static int
calls_follow_the_event_index(void)
{
	return calls_are_as_the_guest_wants(true);
}

static int
long_requests_need_guest_memory(void)
{
	const struct fake_crypto_session session = fake_crypto_cipher(AES, 16, ENCRYPT);
	struct fake *copied = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request req;
	struct fake *there;

	TEST_ASSERT_NOT_NULL(copied, "the device must start");
	TEST_ASSERT(fake_crypto_request(copied, &req, fake_crypto_open(copied, &session), 4112, 1),
		"a request");
	TEST_ASSERT_EQUAL(fake_crypto_round(copied, 0, &req, NULL), VIRTIO_CRYPTO_ERR, "too long");
	TEST_ASSERT_EQUAL(*fake_crypto_dst(copied, &req), FAKE_CRYPTO_UNTOUCHED, "no data");
	there = fake_crypto_start(&in_place, .ring_size = 64);
	TEST_ASSERT_NOT_NULL(there, "the device must start");
	TEST_ASSERT_SUCCESS(agrees(there, &session, 16, 4112, 0, false), "not for guest memory");
	TEST_ASSERT_SUCCESS(fake_stop(there), "it stops");
	return fake_stop(copied);
}

/* ---- the interface ---- */

static int
wrong_arguments_are_refused(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct rte_crypto_op *op;
	struct rte_mempool *pool = fake_pool();
	int vid;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	vid = fe->vid;
	TEST_ASSERT_EQUAL(rte_vhost_crypto_create(-1, 0, pool, 0), -EINVAL, "no device");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_create(vid, 200, pool, 0), -EINVAL, "no cryptodev");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_create(vid, 0, NULL, 0), -EINVAL, "no pool");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_create(vid, 0, pool, 0), -EEXIST, "twice");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_set_zero_copy(vid, 2), -EINVAL, "no choice");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_set_zero_copy(1023, 0), -EINVAL, "no device");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_fetch_requests(vid, 77, &op, 1), 0, "no ring");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_fetch_requests(vid, UINT32_MAX, &op, 1), 0, "no ring");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_fetch_requests(1023, 0, &op, 1), 0, "no device");
	TEST_ASSERT_SUCCESS(rte_vhost_crypto_free(vid), "once");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_free(vid), -ENOENT, "twice");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_set_zero_copy(vid, 0), -ENOENT, "nothing there");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_fetch_requests(vid, 0, &op, 1), 0, "nothing there");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_free(-1), -EINVAL, "no device");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_driver_start("/nowhere"), -1, "no socket");
	return fake_stop(fe);
}

static int
zero_copy_waits_for_nobody(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request req;
	struct rte_crypto_op *op;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_crypto_request(fe, &req, fake_crypto_open_aes(fe), 64, 1), "a request");
	TEST_ASSERT(fake_crypto_offer(&fe->vqs[0], &req), "it fits");
	TEST_ASSERT_EQUAL(fake_crypto_fetch(fe, 0, &op, 1), 1, "fetched");
	TEST_ASSERT_EQUAL(rte_vhost_crypto_set_zero_copy(fe->vid, 1), -EINVAL, "under way");
	TEST_ASSERT(fake_crypto_process(&op, 1), "processed");
	TEST_ASSERT_EQUAL(fake_crypto_finalize(&op, 1), 1, "finalized");
	TEST_ASSERT_SUCCESS(rte_vhost_crypto_set_zero_copy(fe->vid, 1), "it is not any more");
	return fake_stop(fe);
}

static int
offers_are_those_of_22_11(void)
{
	struct fake *fe = fake_crypto_start(NULL, .until = FAKE_CONNECTED);
	uint64_t features, protocol;

	TEST_ASSERT_NOT_NULL(fe, "it must connect");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_FEATURES, &features), "asked");
	TEST_ASSERT_EQUAL(features, FE_BIT(17) | FE_BIT(24) | FE_BIT(28) | FE_BIT(29) |
		FE_BIT(30) | FE_BIT(32), "features");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_PROTOCOL_FEATURES, &protocol), "asked");
	TEST_ASSERT_EQUAL(protocol, FE_OFFERED_PROTOCOL | FE_BIT(9), "and CONFIG");
	return fake_stop(fe);
}

/* An application that has chosen protocol features itself gets what crypto takes, too. */
static int
protocol_features_that_crypto_takes_are_offered(void)
{
	const uint64_t needed = FE_BIT(VHOST_USER_PROTOCOL_F_CONFIG) |
		FE_BIT(VHOST_USER_PROTOCOL_F_CRYPTO_SESSION);
	uint64_t offered;
	char path[108];

	fake_new_path(path, sizeof(path));
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path, 0), "register");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_callback_register(path, &fake_recorder_ops),
		"callbacks");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_set_protocol_features(path, 0), "none");
	TEST_ASSERT_SUCCESS(rte_vhost_crypto_driver_start(path), "start");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_protocol_features(path, &offered), "ask");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path), "unregister");
	TEST_ASSERT_EQUAL(offered, needed, "%#" PRIx64, offered);
	return TEST_SUCCESS;
}

/** One of before virtio 1.0 says by its kicks which queues it uses. */
static int
old_guest_uses_one_queue_of_two(void)
{
	struct fake *fe = fake_crypto_start(NULL, .legacy = true, .until = FAKE_MEMORY);
	struct fake_crypto_request req;

	TEST_ASSERT_NOT_NULL(fe, "memory");
	TEST_ASSERT_SUCCESS(fake_setup_vring(fe, 0), "a queue");
	TEST_ASSERT(fake_wait_events(fe, FAKE_NEW_DEVICE, 1), "is enough");
	TEST_ASSERT(fake_is_served(fe), "what new_device() led to is over");
	TEST_ASSERT(fake_crypto_request(fe, &req, fake_crypto_open_aes(fe), 64, 1), "a request");
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &req, NULL), VIRTIO_CRYPTO_OK, "it is done");
	return fake_stop(fe);
}

static const struct test_case cases[] = {
	TEST_CASE(old_guest_uses_one_queue_of_two),
	TEST_CASE(nist_vector_comes_out),
	TEST_CASE(rfc_vector_comes_out),
	TEST_CASE(tables_say_what_standards_do),
	TEST_CASE(macs_that_are_served),
	TEST_CASE(ciphers_agree_with_libcrypto),
	TEST_CASE(ciphers_agree_in_guest_memory),
	TEST_CASE(any_cut_is_one_stream),
	TEST_CASE(requests_in_guest_memory_and_copied_ones_alternate),
	TEST_CASE(header_and_vector_may_be_in_two_places),
	TEST_CASE(descriptors_of_the_ring_do_as_well),
	TEST_CASE(status_may_share_a_descriptor),
	TEST_CASE(chains_agree_with_libcrypto),
	TEST_CASE(chains_agree_in_guest_memory),
	TEST_CASE(parts_are_hashed_and_encrypted),
	TEST_CASE(sessions_count_from_one),
	TEST_CASE(table_of_sessions_fills_and_empties),
	TEST_CASE(wrong_sessions_are_told_why),
	TEST_CASE(a_refused_request_leaves_nothing_to_the_next),
	TEST_CASE(log_tells_what_was_refused_and_nothing_else),
	TEST_CASE(answer_has_no_keys),
	TEST_CASE(answers_come_in_any_order),
	TEST_CASE(one_fetch_is_one_burst),
	TEST_CASE(failed_operation_is_an_error),
	TEST_CASE(operations_of_rings_come_mixed),
	TEST_CASE(calls_follow_the_flag),
	TEST_CASE(calls_follow_the_event_index),
	TEST_CASE(long_requests_need_guest_memory),
	TEST_CASE(wrong_arguments_are_refused),
	TEST_CASE(zero_copy_waits_for_nobody),
	TEST_CASE(offers_are_those_of_22_11),
	TEST_CASE(protocol_features_that_crypto_takes_are_offered),
};

static int
setup(void)
{
	return fake_crypto_setup("crypto_openssl0");
}

static int
test_vhost_crypto(void)
{
	static const struct test_suite suite = {
		.name = "vhost crypto",
		.setup = setup,
		.teardown = fake_crypto_teardown,
		.check = fake_crypto_check,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_crypto_autotest, test_vhost_crypto);
