/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_FAKE_CRYPTO_H
#define VHOST_FAKE_CRYPTO_H

/*
 * A guest with a crypto device, and the application behind it: sessions by message,
 * requests in a ring of a fake frontend, a packaged cryptodev that does the work, and
 * libcrypto to say what should have come out.
 */

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_crypto.h>

#include "vhost_fake_frontend.h"

struct rte_crypto_op;

#define FAKE_CRYPTO_BURST 64

/** Suite setup: the cryptodev of this name (--vdev), with sessions and operations for it. */
int fake_crypto_setup(const char *cryptodev);
/** Suite check: no operation, no session is left. */
int fake_crypto_check(void);
void fake_crypto_teardown(void);

/** Operations and sessions of the pools that are in use. */
unsigned int fake_crypto_ops_out(void);
unsigned int fake_crypto_sessions_out(void);

/** What the application does with a new device; set before fake_crypto_start(). */
struct fake_crypto_app {
	bool zero_copy;
	bool keeps;		/**< does not free the device when it is destroyed */
};

/** Bring up a crypto device of two data queues, as fake_start(). */
struct fake *fake_crypto_start_config(const struct fake_crypto_app *app, struct fake_config cfg);

#define fake_crypto_start(app, ...) 	fake_crypto_start_config(app, (struct fake_config){ .crypto = true, __VA_ARGS__ })

/* ---- sessions ---- */

/** Payload of CREATE_CRYPTO_SESSION. */
struct fake_crypto_session {
	int64_t id;
	uint32_t op_code, cipher_algo, cipher_key_len, hash_algo, digest_len, auth_key_len, aad_len;
	uint8_t op_type, dir, hash_mode, chaining_dir;
	uint64_t addresses[2];
	uint8_t cipher_key[64];
	uint8_t auth_key[512];
} __attribute__((__packed__));

/** A session of a cipher; keys are a pattern of the seed. */
struct fake_crypto_session fake_crypto_cipher(uint32_t algo, uint32_t key_len, uint8_t dir);
/** The same with a MAC: encrypting makes digests, decrypting checks them. */
struct fake_crypto_session fake_crypto_chain(uint32_t algo, uint32_t key_len, uint8_t dir,
		uint32_t mac, uint32_t digest_len, uint8_t order);

/** Open a session: its id, or what the library answered; INT64_MIN: nothing. */
int64_t fake_crypto_open(struct fake *fe, const struct fake_crypto_session *session);
/** Open one for encryption with AES-CBC. */
int64_t fake_crypto_open_aes(struct fake *fe);
enum fake_verdict fake_crypto_close(struct fake *fe, int64_t id);

/* ---- requests ---- */

struct fake_crypto_request {
	/* what is asked for */
	struct virtio_crypto_op_data_req head;
	uint8_t iv[32];
	uint32_t iv_len;	/**< bytes of it that there are */
	uint32_t src_len;	/**< bytes there are, whatever the header says */
	uint32_t dst_len;	/**< likewise */
	uint32_t digest_len;	/**< likewise; behind the destination */
	uint32_t check_len;	/**< likewise, of a digest behind the source */
	unsigned int cut;	/**< data in descriptors of so many bytes; 0: of any length */
	unsigned int apart;	/**< header and vector go on elsewhere after so many bytes; 0: no */
	bool in_place;		/**< the destination is the source */
	bool direct;		/**< descriptors of the ring, not of a table */
	/* where it is */
	uint64_t gpa;		/**< of all of it, FAKE_CRYPTO_ROOM bytes */
	uint64_t src_gpa, dst_gpa, digest_gpa, check_gpa, status_gpa;
	int id;
};

#define FAKE_CRYPTO_ROOM 16384
#define FAKE_CRYPTO_UNTOUCHED 0x77

/** A request in fresh guest memory, of a cipher's session: src_len bytes of a pattern. */
bool fake_crypto_request(struct fake *fe, struct fake_crypto_request *req, int64_t session,
		uint32_t src_len, uint32_t seed);
/** The same of a chain: all of it is encrypted and hashed. */
bool fake_crypto_chain_request(struct fake *fe, struct fake_crypto_request *req, int64_t session,
		uint32_t src_len, uint32_t digest_len, bool check, uint32_t seed);
/** The source in guest memory. */
uint8_t *fake_crypto_src(struct fake *fe, const struct fake_crypto_request *req);
uint8_t *fake_crypto_dst(struct fake *fe, const struct fake_crypto_request *req);
uint8_t fake_crypto_status(struct fake *fe, const struct fake_crypto_request *req);

/** The segments of a request; how many.  A status right behind the last one is part of it. */
unsigned int fake_crypto_segs(const struct fake_crypto_request *req, struct fake_seg *segs);
/** Put it into a ring and kick: true if it fitted. */
bool fake_crypto_offer(struct fake_vq *vq, struct fake_crypto_request *req);

/* ---- the application ---- */

/** Fetch, process, finalize until the ring is empty: how many were finalized. */
unsigned int fake_crypto_serve(struct fake *fe, unsigned int qid);
/** The steps one by one. */
uint16_t fake_crypto_fetch(struct fake *fe, unsigned int qid, struct rte_crypto_op **ops,
		uint16_t n);
/** Through the cryptodev: true if all came back. */
bool fake_crypto_process(struct rte_crypto_op **ops, uint16_t n);
/** Finalize, write to the descriptors, free the operations: how many. */
uint16_t fake_crypto_finalize(struct rte_crypto_op **ops, uint16_t n);
/** Descriptors that the last fake_crypto_finalize() got. */
unsigned int fake_crypto_calls(void);

/** Offer, serve, collect; VIRTIO_CRYPTO_* of the guest, or -1 when it did not come back. */
int fake_crypto_round(struct fake *fe, unsigned int qid, struct fake_crypto_request *req,
		uint32_t *used_len);

/* ---- libcrypto ---- */

/** What a cipher of VIRTIO_CRYPTO_CIPHER_* makes of data. */
bool fake_crypto_reference(const struct fake_crypto_session *session, const uint8_t *iv,
		const uint8_t *in, uint8_t *out, uint32_t len, bool encrypt);
/** The digest of data. */
bool fake_crypto_digest(const struct fake_crypto_session *session, const uint8_t *in,
		uint32_t len, uint8_t *digest);

#endif /* VHOST_FAKE_CRYPTO_H */
