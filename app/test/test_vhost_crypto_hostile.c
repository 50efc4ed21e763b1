/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Guests that lie in requests, descriptors, ring indices and messages.  Each lie has
 * an answer that says so, or none where none can be given; a right request after it is
 * served, and not a byte is written where it should not be.
 */

#include <rte_crypto.h>
#include <rte_vhost_crypto.h>

#include "test.h"
#include "vhost_fake_crypto.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define UNMAPPED 0x7f0000000000ULL
#define WIDE 1072	/* bytes of a session as QEMU has sent it since 8.0 */

static const struct fake_crypto_app in_place = { .zero_copy = true };

/** A right request is served. */
static bool
is_served(struct fake *fe, int64_t session)
{
	struct fake_crypto_request req;
	uint32_t len;

	return fake_crypto_request(fe, &req, session, 64, 3) &&
		fake_crypto_round(fe, 0, &req, &len) == VIRTIO_CRYPTO_OK && len == 65;
}

/* ---- requests that lie ---- */

static void
unknown_opcode(struct fake_crypto_request *req)
{
	req->head.header.opcode = VIRTIO_CRYPTO_HASH;
}

static void
absurd_opcode(struct fake_crypto_request *req)
{
	req->head.header.opcode = UINT32_MAX;
}

static void
no_operation(struct fake_crypto_request *req)
{
	req->head.u.sym_req.op_type = VIRTIO_CRYPTO_SYM_OP_NONE;
}

static void
chain_of_a_cipher(struct fake_crypto_request *req)
{
	req->head.u.sym_req.op_type = VIRTIO_CRYPTO_SYM_OP_ALGORITHM_CHAINING;
}

static void
no_session(struct fake_crypto_request *req)
{
	req->head.header.session_id = 0;
}

static void
session_of_nobody(struct fake_crypto_request *req)
{
	req->head.header.session_id += VHOST_CRYPTO_SESSION_MAP_ENTRIES;
}

static void
largest_session(struct fake_crypto_request *req)
{
	req->head.header.session_id = UINT64_MAX;
}

static void
no_vector(struct fake_crypto_request *req)
{
	req->head.u.sym_req.u.cipher.para.iv_len = 0;
}

static void
vector_of_33_bytes(struct fake_crypto_request *req)
{
	req->head.u.sym_req.u.cipher.para.iv_len = 33;
}

static void
vector_of_4_gib(struct fake_crypto_request *req)
{
	req->head.u.sym_req.u.cipher.para.iv_len = UINT32_MAX;
}

static void
no_source(struct fake_crypto_request *req)
{
	req->head.u.sym_req.u.cipher.para.src_data_len = 0;
}

static void
source_longer_than_its_buffer(struct fake_crypto_request *req)
{
	req->head.u.sym_req.u.cipher.para.src_data_len = 80;
	req->head.u.sym_req.u.cipher.para.dst_data_len = 80;
	req->dst_len = 80;
}

static void
source_of_4_gib(struct fake_crypto_request *req)
{
	req->head.u.sym_req.u.cipher.para.src_data_len = UINT32_MAX - 15;
	req->head.u.sym_req.u.cipher.para.dst_data_len = UINT32_MAX - 15;
}

static void
source_of_2_gib(struct fake_crypto_request *req)
{
	req->head.u.sym_req.u.cipher.para.src_data_len = 0x7ffffff0;
	req->head.u.sym_req.u.cipher.para.dst_data_len = 0x7ffffff0;
}

static void
half_a_block(struct fake_crypto_request *req)
{
	req->head.u.sym_req.u.cipher.para.src_data_len = 56;
	req->head.u.sym_req.u.cipher.para.dst_data_len = 56;
}

static void
destination_shorter_than_the_source(struct fake_crypto_request *req)
{
	req->head.u.sym_req.u.cipher.para.dst_data_len = 48;
}

static void
destination_longer_than_its_buffer(struct fake_crypto_request *req)
{
	req->head.u.sym_req.u.cipher.para.dst_data_len = 65;
}

static void
destination_of_4_gib(struct fake_crypto_request *req)
{
	req->head.u.sym_req.u.cipher.para.dst_data_len = UINT32_MAX;
}

static void
room_for_the_status_alone(struct fake_crypto_request *req)
{
	req->dst_len = 0;
}

static void
no_vector_at_all(struct fake_crypto_request *req)
{
	req->iv_len = 0;
}

static void
nothing_but_the_header(struct fake_crypto_request *req)
{
	req->iv_len = 0;
	req->src_len = 0;
}

struct lie {
	const char *name;
	void (*tell)(struct fake_crypto_request *req);
	uint8_t status;
};

#define LIE(fn, code) { #fn, fn, VIRTIO_CRYPTO_##code }

static const struct lie lies[] = {
	LIE(unknown_opcode, NOTSUPP),
	LIE(absurd_opcode, NOTSUPP),
	LIE(no_operation, BADMSG),
	LIE(chain_of_a_cipher, BADMSG),
	LIE(no_session, INVSESS),
	LIE(session_of_nobody, INVSESS),
	LIE(largest_session, INVSESS),
	LIE(no_vector, BADMSG),
	LIE(vector_of_33_bytes, BADMSG),
	LIE(vector_of_4_gib, BADMSG),
	LIE(no_source, BADMSG),
	LIE(source_longer_than_its_buffer, BADMSG),
	LIE(source_of_4_gib, BADMSG),
	LIE(source_of_2_gib, ERR),
	LIE(half_a_block, BADMSG),
	LIE(destination_shorter_than_the_source, BADMSG),
	LIE(destination_longer_than_its_buffer, BADMSG),
	LIE(destination_of_4_gib, BADMSG),
	LIE(room_for_the_status_alone, BADMSG),
	LIE(no_vector_at_all, BADMSG),
	LIE(nothing_but_the_header, BADMSG),
};

/** One lie: answered with its status, and nothing else written. */
static int
is_refused(struct fake *fe, struct fake_crypto_request *req, uint8_t status, const char *name)
{
	uint32_t len;

	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, req, &len), status, "%s", name);
	TEST_ASSERT_EQUAL(len, 1, "%s: the status alone is written", name);
	TEST_ASSERT(fake_interrupts(&fe->vqs[0]) > 0, "%s: the guest is called", name);
	for (unsigned int i = 0; i < 128; i++)
		TEST_ASSERT_EQUAL(fake_crypto_dst(fe, req)[i], FAKE_CRYPTO_UNTOUCHED,
			"%s: byte %u of the destination", name, i);
	return TEST_SUCCESS;
}

static int
tell_lies(const struct fake_crypto_app *app)
{
	struct fake *fe = fake_crypto_start(app, .ring_size = 64);
	int64_t id;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	id = fake_crypto_open_aes(fe);
	for (unsigned int i = 0; i < RTE_DIM(lies); i++) {
		struct fake_crypto_request req;

		TEST_ASSERT(fake_crypto_request(fe, &req, id, 64, i), "a request");
		lies[i].tell(&req);
		TEST_ASSERT_SUCCESS(is_refused(fe, &req, lies[i].status, lies[i].name), "%s",
			lies[i].name);
		TEST_ASSERT(is_served(fe, id), "after %s", lies[i].name);
	}
	return fake_stop(fe);
}

static int
lies_are_answered(void)
{
	return tell_lies(NULL);
}

static int
lies_are_answered_with_zero_copy(void)
{
	return tell_lies(&in_place);
}

/** Before there is any session, so that there is no table of them either. */
static int
requests_come_before_any_session(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request req;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	for (int64_t id = 0; id < 3; id++) {
		TEST_ASSERT(fake_crypto_request(fe, &req, id, 64, 1), "a request");
		TEST_ASSERT_SUCCESS(is_refused(fe, &req, VIRTIO_CRYPTO_INVSESS, "no session"),
			"session %d", (int)id);
	}
	TEST_ASSERT(is_served(fe, fake_crypto_open_aes(fe)), "and then one");
	return fake_stop(fe);
}

/* ---- chains that lie ---- */

static const struct {
	const char *name;
	uint32_t iv, src, dst, cipher_at, cipher_len, hash_at, hash_len, aad, digest;
	uint8_t status;
} chain_lies[] = {
	{ "cipher begins behind the source", 16, 64, 64, 80, 16, 0, 64, 0, 20, VIRTIO_CRYPTO_BADMSG },
	{ "cipher ends behind the source", 16, 64, 64, 16, 64, 0, 64, 0, 20, VIRTIO_CRYPTO_BADMSG },
	{ "cipher wraps", 16, 64, 64, UINT32_MAX - 15, 32, 0, 64, 0, 20, VIRTIO_CRYPTO_BADMSG },
	{ "cipher of half a block", 16, 64, 64, 0, 8, 0, 64, 0, 20, VIRTIO_CRYPTO_BADMSG },
	{ "hash begins behind the source", 16, 64, 64, 0, 64, 65, 0, 0, 20, VIRTIO_CRYPTO_BADMSG },
	{ "hash ends behind the source", 16, 64, 64, 0, 64, 1, 64, 0, 20, VIRTIO_CRYPTO_BADMSG },
	{ "hash wraps", 16, 64, 64, 0, 64, UINT32_MAX, 2, 0, 20, VIRTIO_CRYPTO_BADMSG },
	{ "further data", 16, 64, 64, 0, 64, 0, 64, 16, 20, VIRTIO_CRYPTO_NOTSUPP },
	{ "no digest", 16, 64, 64, 0, 64, 0, 64, 0, 0, VIRTIO_CRYPTO_BADMSG },
	{ "a longer digest", 16, 64, 64, 0, 64, 0, 64, 0, 21, VIRTIO_CRYPTO_BADMSG },
	{ "a digest of 4 GiB", 16, 64, 64, 0, 64, 0, 64, 0, UINT32_MAX, VIRTIO_CRYPTO_BADMSG },
	{ "destination and digest do not fit", 16, 64, 65, 0, 64, 0, 64, 0, 20, VIRTIO_CRYPTO_BADMSG },
	{ "a vector that is too long", 17, 64, 64, 0, 64, 0, 64, 0, 20, VIRTIO_CRYPTO_BADMSG },
};

static int
chains_that_lie_are_answered(void)
{
	const struct fake_crypto_session session = fake_crypto_chain(VIRTIO_CRYPTO_CIPHER_AES_CBC,
		16, VIRTIO_CRYPTO_OP_ENCRYPT, VIRTIO_CRYPTO_MAC_HMAC_SHA1, 20,
		VIRTIO_CRYPTO_SYM_ALG_CHAIN_ORDER_CIPHER_THEN_HASH);
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	int64_t id, aes;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	id = fake_crypto_open(fe, &session);
	aes = fake_crypto_open_aes(fe);
	for (unsigned int i = 0; i < RTE_DIM(chain_lies); i++) {
		struct fake_crypto_request req;

		TEST_ASSERT(fake_crypto_chain_request(fe, &req, id, 64, 20, false, i), "a request");
		req.head.u.sym_req.u.chain.para = (struct virtio_crypto_alg_chain_data_para){
			.iv_len = chain_lies[i].iv, .src_data_len = chain_lies[i].src,
			.dst_data_len = chain_lies[i].dst,
			.cipher_start_src_offset = chain_lies[i].cipher_at,
			.len_to_cipher = chain_lies[i].cipher_len,
			.hash_start_src_offset = chain_lies[i].hash_at,
			.len_to_hash = chain_lies[i].hash_len,
			.aad_len = chain_lies[i].aad, .hash_result_len = chain_lies[i].digest,
		};
		TEST_ASSERT_SUCCESS(is_refused(fe, &req, chain_lies[i].status, chain_lies[i].name),
			"%s", chain_lies[i].name);
		TEST_ASSERT(is_served(fe, aes), "after %s", chain_lies[i].name);
	}
	return fake_stop(fe);
}

/** The digest to check would begin behind what the guest has given. */
static int
digest_to_check_is_missing(void)
{
	const struct fake_crypto_session session = fake_crypto_chain(VIRTIO_CRYPTO_CIPHER_AES_CBC,
		16, VIRTIO_CRYPTO_OP_DECRYPT, VIRTIO_CRYPTO_MAC_HMAC_SHA1, 20,
		VIRTIO_CRYPTO_SYM_ALG_CHAIN_ORDER_HASH_THEN_CIPHER);
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request req;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_crypto_chain_request(fe, &req, fake_crypto_open(fe, &session), 64, 20,
		true, 1), "a request");
	req.check_len = 19;
	TEST_ASSERT_SUCCESS(is_refused(fe, &req, VIRTIO_CRYPTO_BADMSG, "19 bytes of 20"),
		"19 bytes of 20");
	return fake_stop(fe);
}

/* ---- descriptors that lie ---- */

/** A head in the ring and a table, both as the guest likes. */
struct table {
	const char *name;
	struct vring_desc ring;	/**< addr and len are the table's unless they are given */
	unsigned int n;
	struct vring_desc table[4];
	bool has_status;	/**< at BUFFER + 512 */
};

#define BUFFER (1ULL << 62)

static const struct table tables[] = {
	{ "a table shorter than a descriptor", { .len = 8, .flags = INDIRECT }, 1 },
	{ "a table of no bytes", { .len = UINT32_MAX, .flags = INDIRECT }, 1 },
	{ "a table that is not there", { UNMAPPED, 64, INDIRECT, 0 }, 1 },
	{ "a table that wraps", { UINT64_MAX - 31, 64, INDIRECT, 0 }, 1 },
	{ "a table of tables", { .flags = INDIRECT }, 1, { { BUFFER, 64, INDIRECT, 0 } } },
	{ "a table and more", { .flags = INDIRECT | NEXT, .next = 1 }, 1, { { BUFFER, 72, 0, 0 } } },
	{ "a next beyond the table", { .flags = INDIRECT }, 2,
		{ { BUFFER, 72, NEXT, 2 }, { BUFFER + 512, 1, WRITE, 0 } } },
	{ "a circle", { .flags = INDIRECT }, 2,
		{ { BUFFER, 72, NEXT, 1 }, { BUFFER + 100, 16, NEXT, 0 } } },
	{ "a circle of empty descriptors", { .flags = INDIRECT }, 2,
		{ { BUFFER, 0, NEXT, 1 }, { BUFFER + 100, 0, NEXT, 0 } } },
	{ "a descriptor that is its own next", { .flags = INDIRECT }, 1,
		{ { BUFFER + 512, 1, WRITE | NEXT, 0 } } },
	{ "memory that is not there", { .flags = INDIRECT }, 2,
		{ { UNMAPPED, 72, NEXT, 1 }, { BUFFER + 512, 1, WRITE, 0 } } },
	{ "memory that wraps", { .flags = INDIRECT }, 2,
		{ { UINT64_MAX - 10, 72, NEXT, 1 }, { BUFFER + 512, 1, WRITE, 0 } } },
	{ "to read behind to write", { .flags = INDIRECT }, 2,
		{ { BUFFER + 512, 1, WRITE | NEXT, 1 }, { BUFFER, 72, 0, 0 } } },
	{ "nothing to write", { .flags = INDIRECT }, 1, { { BUFFER, 72, 0, 0 } } },
	{ "nothing but empty to write", { .flags = INDIRECT }, 2,
		{ { BUFFER, 72, NEXT, 1 }, { BUFFER + 512, 0, WRITE, 0 } } },
	{ "nothing at all", { .flags = INDIRECT }, 1, { { BUFFER, 0, 0, 0 } } },
	{ "nothing to read", { .flags = INDIRECT }, 1, { { BUFFER + 512, 1, WRITE, 0 } }, true },
	{ "71 bytes of a header", { .flags = INDIRECT }, 2,
		{ { BUFFER, 71, NEXT, 1 }, { BUFFER + 512, 1, WRITE, 0 } }, true },
	{ "a header alone", { .flags = INDIRECT }, 2,
		{ { BUFFER, 72, NEXT, 1 }, { BUFFER + 512, 1, WRITE, 0 } }, true },
};

/** Put a table and its head into ring 0, as descriptor 0. */
static uint8_t *
put_table(struct fake *fe, const struct table *t, int64_t session)
{
	struct fake_vq *vq = &fe->vqs[0];
	uint64_t buffer = fake_alloc(fe, 0, 1024, 64);
	struct vring_desc *table = fake_va(fe, buffer + 600, sizeof(t->table));
	struct fake_crypto_request right;

	fake_crypto_request(fe, &right, session, 64, 1);
	memcpy(fake_va(fe, buffer, 72), &right.head, 72);
	*(uint8_t *)fake_va(fe, buffer + 512, 1) = FAKE_CRYPTO_UNTOUCHED;
	for (unsigned int i = 0; i < t->n; i++) {
		table[i] = t->table[i];
		if (table[i].addr < UNMAPPED || (table[i].addr & BUFFER && table[i].addr < 2 * BUFFER))
			table[i].addr = buffer + (table[i].addr & (BUFFER - 1));
	}
	vq->desc[0] = t->ring;
	if (t->ring.addr == 0)
		vq->desc[0].addr = buffer + 600;
	vq->desc[0].len = t->ring.len == 0 ? t->n * sizeof(*table) :
		t->ring.len == UINT32_MAX ? 0 : t->ring.len;
	vq->avail->ring[vq->avail_idx++ % vq->size] = 0;
	__atomic_store_n(&vq->avail->idx, vq->avail_idx, __ATOMIC_RELEASE);
	return fake_va(fe, buffer + 512, 1);
}

static int
tables_that_lie_come_back(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct vring_used_elem *elem;
	struct fake_vq *vq;
	int64_t id;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	vq = &fe->vqs[0];
	id = fake_crypto_open_aes(fe);
	for (unsigned int i = 0; i < RTE_DIM(tables); i++) {
		uint8_t *status = put_table(fe, &tables[i], id);

		TEST_ASSERT_EQUAL(fake_crypto_serve(fe, 0), 0, "%s: no operation", tables[i].name);
		TEST_ASSERT_EQUAL(vq->used->idx, (uint16_t)(vq->used_idx + 1), "%s: it comes back",
			tables[i].name);
		elem = &vq->used->ring[vq->used_idx++ % vq->size];
		TEST_ASSERT_EQUAL(elem->id, 0, "%s: the head", tables[i].name);
		TEST_ASSERT_EQUAL(elem->len, tables[i].has_status, "%s: what was written",
			tables[i].name);
		TEST_ASSERT_EQUAL(*status, tables[i].has_status ? VIRTIO_CRYPTO_BADMSG :
			FAKE_CRYPTO_UNTOUCHED, "%s: the status", tables[i].name);
		TEST_ASSERT(is_served(fe, id), "after %s", tables[i].name);
	}
	return fake_stop(fe);
}

static int
too_many_descriptors_come_back(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 128);
	struct fake_crypto_request req;
	int64_t id;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	id = fake_crypto_open_aes(fe);
	TEST_ASSERT(fake_crypto_request(fe, &req, id, 240, 1), "a request");
	/* 32 descriptors are what it takes: header, vector, 15 and 15 */
	req.cut = 16;
	req.status_gpa = req.dst_gpa + 240;
	req.dst_len = 241;
	TEST_ASSERT(fake_crypto_offer(&fe->vqs[0], &req), "33 of them");
	TEST_ASSERT_EQUAL(fake_crypto_serve(fe, 0), 0, "no operation");
	TEST_ASSERT_EQUAL(fake_collect(&fe->vqs[0], NULL), req.id, "it comes back");
	TEST_ASSERT_EQUAL(*fake_crypto_dst(fe, &req), FAKE_CRYPTO_UNTOUCHED, "untouched");
	TEST_ASSERT(is_served(fe, id), "and on");
	return fake_stop(fe);
}

static int
heads_beyond_the_ring_are_skipped(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_vq *vq;
	int64_t id;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	vq = &fe->vqs[0];
	id = fake_crypto_open_aes(fe);
	vq->avail->ring[vq->avail_idx++ % 64] = 64;
	vq->avail->ring[vq->avail_idx++ % 64] = UINT16_MAX;
	TEST_ASSERT(is_served(fe, id), "the one behind them");
	TEST_ASSERT_EQUAL(vq->used->idx, 1, "and nothing else");
	return fake_stop(fe);
}

static int
available_index_beyond_the_ring_is_not_followed(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_vq *vq;
	int64_t id;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	vq = &fe->vqs[0];
	id = fake_crypto_open_aes(fe);
	for (uint32_t ahead = 65; ahead <= UINT16_MAX; ahead += 4093) {
		vq->avail->idx = vq->avail_idx + ahead;
		TEST_ASSERT_EQUAL(fake_crypto_serve(fe, 0), 0, "%u entries", ahead);
		TEST_ASSERT_EQUAL(vq->used->idx, 0, "nothing comes back");
	}
	vq->avail->idx = vq->avail_idx;
	TEST_ASSERT(is_served(fe, id), "a right index");
	return fake_stop(fe);
}

/** A guest that offers a ring again and again without an answer fills no more than there is. */
static int
requests_without_end(const struct fake_crypto_app *app)
{
	struct rte_crypto_op *ops[1024];
	struct fake *fe = fake_crypto_start(app, .ring_size = 64);
	struct fake_crypto_request req;
	unsigned int n = 0, round;
	struct fake_vq *vq;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	vq = &fe->vqs[0];
	TEST_ASSERT(fake_crypto_request(fe, &req, fake_crypto_open_aes(fe), 64, 1), "a request");
	TEST_ASSERT(fake_crypto_offer(vq, &req), "it fits");
	for (unsigned int i = 0; i < 64; i++)
		vq->avail->ring[i] = req.id;
	for (round = 0; round < 10; round++) {
		/* a whole ring, from wherever the device is */
		vq->avail->idx = n + 64;
		n += fake_crypto_fetch(fe, 0, ops + n, 64);
	}
	TEST_ASSERT_EQUAL(n, 64, "as many as the ring has");
	for (unsigned int i = 0; i < n; i += 32) {
		TEST_ASSERT(fake_crypto_process(ops + i, 32), "processed");
		TEST_ASSERT_EQUAL(fake_crypto_finalize(ops + i, 32), 32, "finalized");
	}
	return fake_stop(fe);
}

static int
requests_without_end_find_an_end(void)
{
	return requests_without_end(NULL);
}

/** Each of them takes two buffers. */
static int
zero_copy_without_end_finds_an_end(void)
{
	return requests_without_end(&in_place);
}

/* ---- guests that change their mind ---- */

static int
change_under_operations(const struct fake_crypto_app *app)
{
	struct fake *fe = fake_crypto_start(app, .ring_size = 64);
	const struct fake_crypto_session aes = fake_crypto_cipher(VIRTIO_CRYPTO_CIPHER_AES_CBC, 16,
		VIRTIO_CRYPTO_OP_ENCRYPT);
	struct fake_crypto_request req;
	struct rte_crypto_op *op;
	uint8_t want[64];
	uint32_t len;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(fake_crypto_request(fe, &req, fake_crypto_open(fe, &aes), 64, 1), "a request");
	TEST_ASSERT(fake_crypto_reference(&aes, req.iv, fake_crypto_src(fe, &req), want, 64, true),
		"libcrypto");
	TEST_ASSERT(fake_crypto_offer(&fe->vqs[0], &req), "it fits");
	TEST_ASSERT_EQUAL(fake_crypto_fetch(fe, 0, &op, 1), 1, "fetched");
	/* header, vector, table, descriptors, indices: all of it is other now */
	memset(fake_va(fe, req.gpa, 72), 0xff, 72);
	memset(fake_va(fe, req.gpa + 512, 16), 0xff, 16);
	memset(fake_va(fe, req.gpa + 14000, 160), 0xff, 160);
	memset(fe->vqs[0].desc, 0xff, 64 * sizeof(struct vring_desc));
	memset(fe->vqs[0].avail->ring, 0xff, 64 * sizeof(uint16_t));
	fe->vqs[0].used->idx = 0x1234;
	TEST_ASSERT(fake_crypto_process(&op, 1), "processed");
	TEST_ASSERT_EQUAL(fake_crypto_finalize(&op, 1), 1, "finalized");
	TEST_ASSERT_EQUAL(fe->vqs[0].used->idx, 1, "our index");
	TEST_ASSERT_EQUAL(fake_collect(&fe->vqs[0], &len), req.id, "the head that was taken");
	TEST_ASSERT_EQUAL(len, 65, "its length");
	TEST_ASSERT_EQUAL(fake_crypto_status(fe, &req), VIRTIO_CRYPTO_OK, "done");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(fake_crypto_dst(fe, &req), want, 64, "what was asked for");
	return fake_stop(fe);
}

static int
guest_changes_all_under_a_copy(void)
{
	return change_under_operations(NULL);
}

static int
guest_changes_all_under_zero_copy(void)
{
	return change_under_operations(&in_place);
}

/** What is to be written is where the memory ends; so far it may go, and no further. */
static int
last_byte_of_memory_may_be_written(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	struct fake_crypto_request req;
	uint64_t end;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	end = fe->regions[0].wire.gpa + fe->regions[0].wire.size;
	TEST_ASSERT(fake_crypto_request(fe, &req, fake_crypto_open_aes(fe), 64, 1), "a request");
	req.status_gpa = end - 1;
	req.dst_gpa = end - 65;
	TEST_ASSERT_EQUAL(fake_crypto_round(fe, 0, &req, NULL), VIRTIO_CRYPTO_OK, "it is done");
	req.dst_gpa = end - 63;
	TEST_ASSERT(fake_crypto_offer(&fe->vqs[0], &req), "one byte more");
	TEST_ASSERT_EQUAL(fake_crypto_serve(fe, 0), 0, "is refused");
	TEST_ASSERT_EQUAL(fake_collect(&fe->vqs[0], NULL), req.id, "and comes back");
	return fake_stop(fe);
}

/* ---- messages ---- */

static int
sessions_of_a_wrong_size_are_refused(void)
{
	const struct fake_crypto_session session = fake_crypto_cipher(VIRTIO_CRYPTO_CIPHER_AES_CBC,
		16, VIRTIO_CRYPTO_OP_ENCRYPT);
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_CREATE_CRYPTO_SESSION, &session, sizeof(session) - 1,
		NULL, 0), FAKE_NACK, "a byte is missing");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_CREATE_CRYPTO_SESSION, &session, 0, NULL, 0), FAKE_NACK,
		"nothing is there");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_CLOSE_CRYPTO_SESSION, &session, 4, NULL, 0), FAKE_NACK,
		"half a number");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_CLOSE_CRYPTO_SESSION, 0), FAKE_NACK, "no session");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_CLOSE_CRYPTO_SESSION, UINT64_MAX), FAKE_NACK,
		"no session either");
	TEST_ASSERT_EQUAL(fake_crypto_sessions_out(), 0, "none was made");
	TEST_ASSERT(is_served(fe, fake_crypto_open_aes(fe)), "a right one");
	return fake_stop(fe);
}

static int
sessions_need_a_device(void)
{
	const struct fake_crypto_session session = fake_crypto_cipher(VIRTIO_CRYPTO_CIPHER_AES_CBC,
		16, VIRTIO_CRYPTO_OP_ENCRYPT);
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64, .until = FAKE_RINGS);

	TEST_ASSERT_NOT_NULL(fe, "rings must be described");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_CREATE_CRYPTO_SESSION, &session, sizeof(session), NULL,
		0), FAKE_NACK, "nobody serves it yet");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_CLOSE_CRYPTO_SESSION, 1), FAKE_NACK, "nor that");
	return fake_stop(fe);
}

/** QEMU's form, which is four bytes shorter up to the keys and as long in all. */
static int
session_without_op_code_is_understood(void)
{
	const struct fake_crypto_session session = fake_crypto_cipher(VIRTIO_CRYPTO_CIPHER_AES_CBC,
		16, VIRTIO_CRYPTO_OP_ENCRYPT);
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	uint8_t wire[sizeof(session)];
	struct fake_msg reply;
	int64_t id;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	memcpy(wire, &session, sizeof(wire));
	memmove(wire + 8, wire + 12, 28);
	memset(wire + 36, 0, 4);
	TEST_ASSERT_SUCCESS(fake_ask(fe, FE_CREATE_CRYPTO_SESSION, wire, sizeof(wire), &reply),
		"asked");
	memcpy(&id, reply.payload, sizeof(id));
	TEST_ASSERT_EQUAL(id, 1, "a session");
	TEST_ASSERT(is_served(fe, id), "that works");
	return fake_stop(fe);
}

/** As QEMU has sent it since 8.0: the op code first, and the id behind room for long keys. */
static int64_t
open_wide(struct fake *fe, uint64_t op_code)
{
	const struct fake_crypto_session session = fake_crypto_cipher(VIRTIO_CRYPTO_CIPHER_AES_CBC,
		16, VIRTIO_CRYPTO_OP_ENCRYPT);
	uint8_t wire[WIDE] = { 0 };
	struct fake_msg reply;
	int64_t id;

	memcpy(wire, &op_code, sizeof(op_code));
	memcpy(wire + 8, &session.cipher_algo, 28);
	memcpy(wire + 56, session.cipher_key, sizeof(session.cipher_key));
	if (fake_ask(fe, FE_CREATE_CRYPTO_SESSION, wire, sizeof(wire), &reply) < 0 ||
			reply.size != sizeof(wire))
		return INT64_MIN;
	memset(wire, 0, sizeof(wire));
	if (memcmp(reply.payload + 56, wire, WIDE - 64) != 0)
		return INT64_MIN;	/* keys of somebody */
	memcpy(&id, reply.payload + WIDE - sizeof(id), sizeof(id));
	return id;
}

static int
wide_session_is_understood(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT(is_served(fe, open_wide(fe, VIRTIO_CRYPTO_CIPHER_CREATE_SESSION)), "works");
	TEST_ASSERT_EQUAL(open_wide(fe, VIRTIO_CRYPTO_AKCIPHER_CREATE_SESSION),
		-VIRTIO_CRYPTO_NOTSUPP, "of two keys");
	TEST_ASSERT_EQUAL(open_wide(fe, UINT64_MAX), -VIRTIO_CRYPTO_NOTSUPP, "of no known kind");
	TEST_ASSERT_EQUAL(fake_crypto_sessions_out(), 1, "only the first was made");
	TEST_ASSERT(is_served(fe, fake_crypto_open_aes(fe)), "a short one after it");
	return fake_stop(fe);
}

/** Only a session may be longer than all other messages, and it is so by the byte. */
static int
wide_messages_of_others_are_refused(void)
{
	static const struct {
		uint32_t request, size;
		enum fake_verdict verdict;
	} wrong[] = {
		{ FE_CREATE_CRYPTO_SESSION, WIDE + 1, FAKE_CLOSED },
		{ FE_CREATE_CRYPTO_SESSION, WIDE - 1, FAKE_NACK },
		{ FE_CREATE_CRYPTO_SESSION, 633, FAKE_NACK },
		{ FE_CLOSE_CRYPTO_SESSION, WIDE, FAKE_CLOSED },
		{ FE_SET_MEM_TABLE, WIDE, FAKE_CLOSED }, { FE_SET_FEATURES, 633, FAKE_CLOSED },
	};
	static const uint8_t payload[WIDE + 1];

	for (unsigned int i = 0; i < RTE_DIM(wrong); i++) {
		struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);

		TEST_ASSERT_NOT_NULL(fe, "the device must start");
		TEST_ASSERT_EQUAL(fake_call(fe, wrong[i].request, payload, wrong[i].size, NULL, 0),
			wrong[i].verdict, "%u bytes of request %u", wrong[i].size,
			wrong[i].request);
		TEST_ASSERT_EQUAL(fake_crypto_sessions_out(), 0, "nothing was made");
		TEST_ASSERT_SUCCESS(fake_stop(fe), "ends");
	}
	return TEST_SUCCESS;
}

static const struct test_case cases[] = {
	TEST_CASE(lies_are_answered),
	TEST_CASE(lies_are_answered_with_zero_copy),
	TEST_CASE(requests_come_before_any_session),
	TEST_CASE(chains_that_lie_are_answered),
	TEST_CASE(digest_to_check_is_missing),
	TEST_CASE(tables_that_lie_come_back),
	TEST_CASE(too_many_descriptors_come_back),
	TEST_CASE(heads_beyond_the_ring_are_skipped),
	TEST_CASE(available_index_beyond_the_ring_is_not_followed),
	TEST_CASE(requests_without_end_find_an_end),
	TEST_CASE(zero_copy_without_end_finds_an_end),
	TEST_CASE(guest_changes_all_under_a_copy),
	TEST_CASE(guest_changes_all_under_zero_copy),
	TEST_CASE(last_byte_of_memory_may_be_written),
	TEST_CASE(sessions_of_a_wrong_size_are_refused),
	TEST_CASE(sessions_need_a_device),
	TEST_CASE(session_without_op_code_is_understood),
	TEST_CASE(wide_session_is_understood),
	TEST_CASE(wide_messages_of_others_are_refused),
};

static int
setup(void)
{
	return fake_crypto_setup("crypto_openssl0");
}

static int
test_vhost_crypto_hostile(void)
{
	static const struct test_suite suite = {
		.name = "hostile vhost crypto",
		.setup = setup,
		.teardown = fake_crypto_teardown,
		.check = fake_crypto_check,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_crypto_hostile_autotest, test_vhost_crypto_hostile);
