/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* A guest with a crypto device and the application behind it; see vhost_fake_crypto.h. */

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <rte_cryptodev.h>
#include <rte_vhost_crypto.h>

#include "test.h"
#include "vhost_fake_crypto.h"

#define SESSIONS 2048
#define OPS 4096
#define IV_ROOM 32

/* where a request has what comes first, and how far from it the rest, if that is apart */
#define IV_AT 512
#define REST_AT 256

static struct {
	int cdev;
	struct rte_mempool *sessions, *ops;
	struct fake_crypto_app app;
	uint16_t calls;
	/** What was handed out to call guests is used below it; who is told that a ring stops waits. */
	pthread_mutex_t calling;
} here = { .cdev = -1, .calling = PTHREAD_MUTEX_INITIALIZER };

/* ---- surroundings ---- */

static int
start_cryptodev(void)
{
	const struct rte_cryptodev_config config = { .socket_id = SOCKET_ID_ANY, .nb_queue_pairs = 1 };
	const struct rte_cryptodev_qp_conf qp = {
		.nb_descriptors = 2048, .mp_session = here.sessions,
	};
	struct rte_cryptodev_config own = config;

	if (rte_cryptodev_configure(here.cdev, &own) != 0 ||
			rte_cryptodev_queue_pair_setup(here.cdev, 0, &qp, SOCKET_ID_ANY) != 0)
		return -1;
	return rte_cryptodev_start(here.cdev);
}

int
fake_crypto_setup(const char *cryptodev)
{
	if (fake_setup() != 0)
		return -1;
	here.cdev = rte_cryptodev_get_dev_id(cryptodev);
	if (here.cdev < 0) {
		printf("no cryptodev %s\n", cryptodev);
		return -1;
	}
	here.sessions = rte_cryptodev_sym_session_pool_create("fake_crypto_sessions", SESSIONS,
		rte_cryptodev_sym_get_private_session_size(here.cdev), 0, 0, SOCKET_ID_ANY);
	here.ops = rte_crypto_op_pool_create("fake_crypto_ops", RTE_CRYPTO_OP_TYPE_SYMMETRIC,
		OPS, 0, IV_ROOM, SOCKET_ID_ANY);
	return here.sessions != NULL && here.ops != NULL ? start_cryptodev() : -1;
}

unsigned int
fake_crypto_ops_out(void)
{
	return rte_mempool_in_use_count(here.ops);
}

unsigned int
fake_crypto_sessions_out(void)
{
	return rte_mempool_in_use_count(here.sessions);
}

int
fake_crypto_check(void)
{
	int ret = fake_check();

	if (fake_crypto_ops_out() != 0 || fake_crypto_sessions_out() != 0) {
		printf("%u operations and %u sessions are left\n", fake_crypto_ops_out(),
			fake_crypto_sessions_out());
		ret = -1;
	}
	return ret;
}

void
fake_crypto_teardown(void)
{
	if (here.cdev >= 0) {
		rte_cryptodev_stop(here.cdev);
		rte_cryptodev_close(here.cdev);
	}
	rte_mempool_free(here.sessions);
	rte_mempool_free(here.ops);
	here.sessions = here.ops = NULL;
	fake_teardown();
}

static void
on_event(void *arg __rte_unused, enum fake_event ev, int vid, unsigned int qid __rte_unused,
		int on)
{
	if (ev == FAKE_NEW_DEVICE) {
		rte_vhost_crypto_create(vid, here.cdev, here.sessions, SOCKET_ID_ANY);
		rte_vhost_crypto_set_zero_copy(vid, here.app.zero_copy ?
			RTE_VHOST_CRYPTO_ZERO_COPY_ENABLE : RTE_VHOST_CRYPTO_ZERO_COPY_DISABLE);
	}
	if (ev == FAKE_DESTROY_DEVICE || (ev == FAKE_VRING_STATE && !on)) {
		pthread_mutex_lock(&here.calling);
		pthread_mutex_unlock(&here.calling);
	}
	if (ev == FAKE_DESTROY_DEVICE && !here.app.keeps)
		rte_vhost_crypto_free(vid);
}

struct fake *
fake_crypto_start_config(const struct fake_crypto_app *app, struct fake_config cfg)
{
	struct fake *fe;

	here.app = app != NULL ? *app : (struct fake_crypto_app){ .zero_copy = false };
	cfg.hook = on_event;
	cfg.protocol_features |= FE_BIT(VHOST_USER_PROTOCOL_F_CRYPTO_SESSION);
	if (cfg.extra_memory == 0)
		cfg.extra_memory = 4 << 20;
	fe = fake_start_config(&cfg);
	/* whatever new_device led to is over when a question is answered */
	if (fe != NULL && cfg.until == FAKE_RUNNING && !fake_is_served(fe)) {
		fake_stop(fe);
		return NULL;
	}
	return fe;
}

/* ---- sessions ---- */

struct fake_crypto_session
fake_crypto_cipher(uint32_t algo, uint32_t key_len, uint8_t dir)
{
	struct fake_crypto_session session = {
		.op_code = VIRTIO_CRYPTO_CIPHER_CREATE_SESSION,
		.cipher_algo = algo, .cipher_key_len = key_len, .dir = dir,
		.op_type = VIRTIO_CRYPTO_SYM_OP_CIPHER,
	};

	fake_pattern(session.cipher_key, RTE_MIN(key_len, sizeof(session.cipher_key)), key_len);
	return session;
}

struct fake_crypto_session
fake_crypto_chain(uint32_t algo, uint32_t key_len, uint8_t dir, uint32_t mac,
		uint32_t digest_len, uint8_t order)
{
	struct fake_crypto_session session = fake_crypto_cipher(algo, key_len, dir);

	session.op_type = VIRTIO_CRYPTO_SYM_OP_ALGORITHM_CHAINING;
	session.hash_algo = mac;
	session.hash_mode = VIRTIO_CRYPTO_SYM_HASH_MODE_AUTH;
	session.chaining_dir = order;
	session.digest_len = digest_len;
	session.auth_key_len = 20;
	fake_pattern(session.auth_key, session.auth_key_len, mac);
	return session;
}

int64_t
fake_crypto_open(struct fake *fe, const struct fake_crypto_session *session)
{
	struct fake_msg reply;
	int64_t id;

	if (fake_ask(fe, FE_CREATE_CRYPTO_SESSION, session, sizeof(*session), &reply) < 0 ||
			reply.size != sizeof(*session))
		return INT64_MIN;
	memcpy(&id, reply.payload, sizeof(id));
	return id;
}

int64_t
fake_crypto_open_aes(struct fake *fe)
{
	const struct fake_crypto_session session = fake_crypto_cipher(VIRTIO_CRYPTO_CIPHER_AES_CBC,
		16, VIRTIO_CRYPTO_OP_ENCRYPT);

	return fake_crypto_open(fe, &session);
}

enum fake_verdict
fake_crypto_close(struct fake *fe, int64_t id)
{
	return fake_call_u64(fe, FE_CLOSE_CRYPTO_SESSION, id);
}

/* ---- requests ---- */

static bool
place(struct fake *fe, struct fake_crypto_request *req)
{
	uint8_t *at;

	req->gpa = fake_alloc(fe, 0, FAKE_CRYPTO_ROOM, 4096);
	at = fake_va(fe, req->gpa, FAKE_CRYPTO_ROOM);
	if (at == NULL)
		return false;
	memset(at, FAKE_CRYPTO_UNTOUCHED, FAKE_CRYPTO_ROOM);
	req->status_gpa = req->gpa + 1000;
	req->digest_gpa = req->gpa + 1100;
	req->check_gpa = req->gpa + 1300;
	req->src_gpa = req->gpa + 2000;
	req->dst_gpa = req->gpa + 9000;
	return true;
}

bool
fake_crypto_request(struct fake *fe, struct fake_crypto_request *req, int64_t session,
		uint32_t src_len, uint32_t seed)
{
	struct virtio_crypto_cipher_para *para = &req->head.u.sym_req.u.cipher.para;

	*req = (struct fake_crypto_request){
		.iv_len = 16, .src_len = src_len, .dst_len = src_len,
	};
	if (!place(fe, req))
		return false;
	fake_pattern(req->iv, sizeof(req->iv), seed + 1);
	fake_pattern(fake_crypto_src(fe, req), src_len, seed);
	req->head.header.opcode = VIRTIO_CRYPTO_CIPHER_ENCRYPT;
	req->head.header.session_id = session;
	req->head.u.sym_req.op_type = VIRTIO_CRYPTO_SYM_OP_CIPHER;
	para->iv_len = req->iv_len;
	para->src_data_len = src_len;
	para->dst_data_len = src_len;
	return true;
}

bool
fake_crypto_chain_request(struct fake *fe, struct fake_crypto_request *req, int64_t session,
		uint32_t src_len, uint32_t digest_len, bool check, uint32_t seed)
{
	struct virtio_crypto_alg_chain_data_para *para = &req->head.u.sym_req.u.chain.para;

	if (!fake_crypto_request(fe, req, session, src_len, seed))
		return false;
	req->head.u.sym_req.op_type = VIRTIO_CRYPTO_SYM_OP_ALGORITHM_CHAINING;
	*para = (struct virtio_crypto_alg_chain_data_para){
		.iv_len = req->iv_len, .src_data_len = src_len, .dst_data_len = src_len,
		.len_to_cipher = src_len, .len_to_hash = src_len, .hash_result_len = digest_len,
	};
	req->digest_len = check ? 0 : digest_len;
	req->check_len = check ? digest_len : 0;
	return true;
}

uint8_t *
fake_crypto_src(struct fake *fe, const struct fake_crypto_request *req)
{
	return fake_va(fe, req->src_gpa, 1);
}

uint8_t *
fake_crypto_dst(struct fake *fe, const struct fake_crypto_request *req)
{
	return fake_va(fe, req->in_place ? req->src_gpa : req->dst_gpa, 1);
}

uint8_t
fake_crypto_status(struct fake *fe, const struct fake_crypto_request *req)
{
	return *(volatile uint8_t *)fake_va(fe, req->status_gpa, 1);
}

/** A buffer in descriptors of at most so many bytes. */
static unsigned int
cut_up(struct fake_seg *segs, uint64_t gpa, uint32_t len, unsigned int cut, bool write)
{
	unsigned int n = 0;

	while (len > 0) {
		uint32_t part = cut > 0 ? RTE_MIN(cut, len) : len;

		segs[n++] = (struct fake_seg){ gpa, part, write };
		gpa += part;
		len -= part;
	}
	return n;
}

/** Header or vector, where put_head() has it. */
static unsigned int
head_segs(const struct fake_crypto_request *req, struct fake_seg *segs, uint64_t gpa, uint32_t len)
{
	uint32_t first = req->apart > 0 ? RTE_MIN(req->apart, len) : len;
	unsigned int n = cut_up(segs, gpa, first, 0, false);

	return n + cut_up(segs + n, gpa + REST_AT, len - first, 0, false);
}

/** Write header or vector, nothing of it where it is not to be read. */
static void
put_head(struct fake *fe, const struct fake_crypto_request *req, uint64_t gpa, const void *from,
		uint32_t len)
{
	uint32_t first = req->apart > 0 ? RTE_MIN(req->apart, len) : len;

	memcpy(fake_va(fe, gpa, first), from, first);
	if (first == len)
		return;
	memset(fake_va(fe, gpa + first, len - first), FAKE_CRYPTO_UNTOUCHED, len - first);
	memcpy(fake_va(fe, gpa + REST_AT, len - first), (const uint8_t *)from + first, len - first);
}

unsigned int
fake_crypto_segs(const struct fake_crypto_request *req, struct fake_seg *segs)
{
	unsigned int n = head_segs(req, segs, req->gpa, sizeof(req->head));

	n += head_segs(req, segs + n, req->gpa + IV_AT, req->iv_len);
	n += cut_up(segs + n, req->src_gpa, req->src_len, req->cut, false);
	n += cut_up(segs + n, req->check_gpa, req->check_len, 0, false);
	n += cut_up(segs + n, req->in_place ? req->src_gpa : req->dst_gpa, req->dst_len,
		req->cut, true);
	n += cut_up(segs + n, req->digest_gpa, req->digest_len, 0, true);
	if (segs[n - 1].write && segs[n - 1].gpa + segs[n - 1].len == req->status_gpa)
		segs[n - 1].len++;
	else
		segs[n++] = (struct fake_seg){ req->status_gpa, 1, true };
	return n;
}

bool
fake_crypto_offer(struct fake_vq *vq, struct fake_crypto_request *req)
{
	struct fake_seg segs[FAKE_MAX_SEGS];
	unsigned int n = fake_crypto_segs(req, segs);

	put_head(vq->fe, req, req->gpa, &req->head, sizeof(req->head));
	put_head(vq->fe, req, req->gpa + IV_AT, req->iv, sizeof(req->iv));
	*(uint8_t *)fake_va(vq->fe, req->status_gpa, 1) = FAKE_CRYPTO_UNTOUCHED;
	req->id = vq->ops->add(vq, segs, n, req->direct ? 0 : req->gpa + 14000);
	if (req->id < 0)
		return false;
	fake_kick(vq);
	return true;
}

/* ---- the application ---- */

uint16_t
fake_crypto_fetch(struct fake *fe, unsigned int qid, struct rte_crypto_op **ops, uint16_t n)
{
	uint16_t got;

	if (rte_crypto_op_bulk_alloc(here.ops, RTE_CRYPTO_OP_TYPE_SYMMETRIC, ops, n) != n)
		return 0;
	got = rte_vhost_crypto_fetch_requests(fe->vid, qid, ops, n);
	if (got < n)
		rte_mempool_put_bulk(here.ops, (void **)&ops[got], n - got);
	return got;
}

bool
fake_crypto_process(struct rte_crypto_op **ops, uint16_t n)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	uint16_t sent = 0, got = 0;

	while (got < n && fake_now_ms() < until) {
		sent += rte_cryptodev_enqueue_burst(here.cdev, 0, ops + sent, n - sent);
		got += rte_cryptodev_dequeue_burst(here.cdev, 0, ops + got, sent - got);
	}
	return got == n;
}

uint16_t
fake_crypto_finalize(struct rte_crypto_op **ops, uint16_t n)
{
	int fds[VIRTIO_CRYPTO_MAX_NUM_BURST_VQS];
	const uint64_t one = 1;
	uint16_t done;

	pthread_mutex_lock(&here.calling);
	done = rte_vhost_crypto_finalize_requests(ops, n, fds, &here.calls);
	for (uint16_t i = 0; i < here.calls; i++)
		if (write(fds[i], &one, sizeof(one)) != sizeof(one))
			printf("a call descriptor (%d) is wrong: %s\n", fds[i], strerror(errno));
	pthread_mutex_unlock(&here.calling);
	rte_mempool_put_bulk(here.ops, (void **)ops, done);
	return done;
}

unsigned int
fake_crypto_calls(void)
{
	return here.calls;
}

unsigned int
fake_crypto_serve(struct fake *fe, unsigned int qid)
{
	struct rte_crypto_op *ops[FAKE_CRYPTO_BURST];
	unsigned int total = 0;
	uint16_t n;

	while ((n = fake_crypto_fetch(fe, qid, ops, FAKE_CRYPTO_BURST)) > 0) {
		if (!fake_crypto_process(ops, n))
			printf("the cryptodev keeps operations\n");
		total += fake_crypto_finalize(ops, n);
	}
	return total;
}

int
fake_crypto_round(struct fake *fe, unsigned int qid, struct fake_crypto_request *req,
		uint32_t *used_len)
{
	uint32_t len = 0;

	if (!fake_crypto_offer(&fe->vqs[qid], req))
		return -1;
	fake_crypto_serve(fe, qid);
	if (fake_collect(&fe->vqs[qid], &len) != req->id)
		return -1;
	if (used_len != NULL)
		*used_len = len;
	return fake_crypto_status(fe, req);
}

/* ---- libcrypto ---- */

static const EVP_CIPHER *
cipher_of(const struct fake_crypto_session *session)
{
	switch (session->cipher_algo) {
	case VIRTIO_CRYPTO_CIPHER_AES_CBC:
		return session->cipher_key_len == 16 ? EVP_aes_128_cbc() :
			session->cipher_key_len == 24 ? EVP_aes_192_cbc() : EVP_aes_256_cbc();
	case VIRTIO_CRYPTO_CIPHER_AES_CTR:
		return session->cipher_key_len == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr();
	case VIRTIO_CRYPTO_CIPHER_3DES_CBC:
		return EVP_des_ede3_cbc();
	default:
		return NULL;
	}
}

bool
fake_crypto_reference(const struct fake_crypto_session *session, const uint8_t *iv,
		const uint8_t *in, uint8_t *out, uint32_t len, bool encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, end = 0;
	bool done = EVP_CipherInit_ex(ctx, cipher_of(session), NULL, session->cipher_key, iv,
			encrypt) == 1 && EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
		EVP_CipherUpdate(ctx, out, &n, in, len) == 1 &&
		EVP_CipherFinal_ex(ctx, out + n, &end) == 1;

	EVP_CIPHER_CTX_free(ctx);
	return done && n + end == (int)len;
}

static const EVP_MD *
hash_of(const struct fake_crypto_session *session)
{
	switch (session->hash_algo) {
	case VIRTIO_CRYPTO_MAC_HMAC_MD5:
		return EVP_md5();
	case VIRTIO_CRYPTO_MAC_HMAC_SHA1:
		return EVP_sha1();
	case VIRTIO_CRYPTO_MAC_HMAC_SHA_224:
		return EVP_sha224();
	case VIRTIO_CRYPTO_MAC_HMAC_SHA_256:
		return EVP_sha256();
	case VIRTIO_CRYPTO_MAC_HMAC_SHA_384:
		return EVP_sha384();
	case VIRTIO_CRYPTO_MAC_HMAC_SHA_512:
		return EVP_sha512();
	default:
		return NULL;
	}
}

bool
fake_crypto_digest(const struct fake_crypto_session *session, const uint8_t *in, uint32_t len,
		uint8_t *digest)
{
	unsigned int n;

	return HMAC(hash_of(session), session->auth_key, session->auth_key_len, in, len, digest,
		&n) != NULL;
}
