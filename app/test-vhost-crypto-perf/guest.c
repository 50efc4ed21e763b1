/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Requests are prepared once and offered round and round. */

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/virtio_config.h>
#include <linux/virtio_crypto.h>
#include <linux/virtio_ring.h>

#include <rte_common.h>

#include "bench.h"

#define CREATE_SESSION 26
#define UNTOUCHED 0xee
#define DIGEST 20
/** Bytes for a request; no multiple of a page, or all of them would share a few cache sets. */
#define REQUEST_ROOM (16384 + 5 * 64)

/** VHOST_USER_CREATE_CRYPTO_SESSION and its answer. */
struct session_message {
	uint32_t request, flags, size;
	int64_t id;
	uint32_t op_code, cipher_algo, cipher_key_len, hash_algo, digest_len, auth_key_len, aad_len;
	uint8_t op_type, dir, hash_mode, chaining_dir;
	uint64_t addresses[2];
	uint8_t cipher_key[64], auth_key[512];
} __attribute__((__packed__));

int
guest_open(struct crypto_guest *g, const char *path, const struct cell *cell)
{
	struct guest_memory *memory = &g->guest.memory;

	RTE_SET_USED(cell);
	*g = (struct crypto_guest){ .next = 0 };
	if (guest_memory_create(memory, REQUESTS * REQUEST_ROOM + (1 << 20), 1) != 0)
		return -1;
	for (unsigned int i = 0; i < RTE_DIM(g->guest.rings); i++) {
		struct driver_ring *ring = &g->guest.rings[i];

		*ring = (struct driver_ring){
			.ops = &driver_split, .num = REQUESTS, .chain_descs = 1,
		};
		ring->desc = guest_alloc(memory, driver_split.desc_bytes(REQUESTS), 4096);
		ring->driver = guest_alloc(memory, driver_split.driver_bytes(REQUESTS), 4096);
		ring->device = guest_alloc(memory, driver_split.device_bytes(REQUESTS), 4096);
		driver_split.init(ring);
	}
	return guest_connect(&g->guest, path, RTE_BIT64(VIRTIO_F_VERSION_1) |
		RTE_BIT64(VIRTIO_RING_F_INDIRECT_DESC), 0) == 0 ? 0 : -1;
}

/** Ask for a session: its id, or a negative number. */
static int64_t
open_session(int sock, const struct cell *cell)
{
	struct session_message message = {
		.request = CREATE_SESSION, .flags = 1,
		.size = sizeof(message) - offsetof(struct session_message, id),
		.cipher_algo = VIRTIO_CRYPTO_CIPHER_AES_CBC, .cipher_key_len = 16,
		.dir = VIRTIO_CRYPTO_OP_ENCRYPT, .op_type = VIRTIO_CRYPTO_SYM_OP_CIPHER,
	};

	memset(message.cipher_key, 0x5a, 16);
	if (cell->chain) {
		message.op_type = VIRTIO_CRYPTO_SYM_OP_ALGORITHM_CHAINING;
		message.hash_algo = VIRTIO_CRYPTO_MAC_HMAC_SHA1;
		message.hash_mode = VIRTIO_CRYPTO_SYM_HASH_MODE_AUTH;
		message.chaining_dir = VIRTIO_CRYPTO_SYM_ALG_CHAIN_ORDER_CIPHER_THEN_HASH;
		message.digest_len = DIGEST;
		message.auth_key_len = 20;
		memset(message.auth_key, 0xa5, 20);
	}
	if (send(sock, &message, sizeof(message), MSG_NOSIGNAL) != sizeof(message) ||
			recv(sock, &message, sizeof(message), MSG_WAITALL) != sizeof(message))
		return -1;
	return message.id;
}

static void
fill_header(struct virtio_crypto_op_data_req *head, int64_t session, const struct cell *cell)
{
	*head = (struct virtio_crypto_op_data_req){
		.header = { .opcode = VIRTIO_CRYPTO_CIPHER_ENCRYPT, .session_id = session },
	};
	head->u.sym_req.op_type = cell->chain ? VIRTIO_CRYPTO_SYM_OP_ALGORITHM_CHAINING :
		VIRTIO_CRYPTO_SYM_OP_CIPHER;
	if (cell->chain)
		head->u.sym_req.u.chain.para = (struct virtio_crypto_alg_chain_data_para){
			.iv_len = 16, .src_data_len = cell->size, .dst_data_len = cell->size,
			.len_to_cipher = cell->size, .len_to_hash = cell->size,
			.hash_result_len = DIGEST,
		};
	else
		head->u.sym_req.u.cipher.para = (struct virtio_crypto_cipher_para){
			.iv_len = 16, .src_data_len = cell->size, .dst_data_len = cell->size,
		};
}

/** The descriptors of a request, which are of both directions, as the benchmark's chains are not. */
static void
write_table(struct crypto_guest *g, struct chain *chain, uint8_t *room, const struct cell *cell)
{
	const struct { size_t at; uint32_t len; bool write; } parts[] = {
		{ 0, sizeof(struct virtio_crypto_op_data_req), false },
		{ 128, 16, false },
		{ 1024, cell->size, false },
		{ 8192, cell->size, true },
		{ 192, cell->chain ? DIGEST : 0, true },
		{ 256, 1, true },
	};
	struct vring_desc *table = (struct vring_desc *)(room + 512);
	unsigned int n = 0;

	for (unsigned int i = 0; i < RTE_DIM(parts); i++) {
		if (parts[i].len == 0)
			continue;
		table[n] = (struct vring_desc){
			.addr = guest_address(&g->guest.memory, room + parts[i].at),
			.len = parts[i].len, .next = n + 1,
			.flags = VRING_DESC_F_NEXT | (parts[i].write ? VRING_DESC_F_WRITE : 0),
		};
		n++;
	}
	table[n - 1].flags &= ~VRING_DESC_F_NEXT;
	chain->n_segs = n;
	chain->table = table;
	chain->table_gpa = guest_address(&g->guest.memory, table);
}

int
guest_prepare(struct crypto_guest *g, const struct cell *cell)
{
	int64_t session = open_session(g->guest.sock, cell);

	if (session <= 0) {
		fprintf(stderr, "no session: %d\n", (int)session);
		return -1;
	}
	for (unsigned int i = 0; i < REQUESTS; i++) {
		uint8_t *room = guest_alloc(&g->guest.memory, REQUEST_ROOM, 64);

		if (room == NULL)
			return -1;
		fill_header((struct virtio_crypto_op_data_req *)room, session, cell);
		memset(room + 1024, i, cell->size);
		g->chains[i].slot = i;
		g->status[i] = room + 256;
		g->data[i] = room + 8192;
		write_table(g, &g->chains[i], room, cell);
	}
	return 0;
}

void
guest_close(struct crypto_guest *g)
{
	if (g->guest.memory.base == NULL)
		return;
	guest_disconnect(&g->guest);
	guest_memory_destroy(&g->guest.memory);
}

/** Offer a chain whose table is written already. */
static void
post(struct driver_ring *ring, const struct chain *chain)
{
	struct vring_desc *desc = ring->desc;
	struct vring_avail *avail = ring->driver;

	desc[chain->slot] = (struct vring_desc){
		.addr = chain->table_gpa, .len = chain->n_segs * sizeof(struct vring_desc),
		.flags = VRING_DESC_F_INDIRECT,
	};
	avail->ring[ring->avail++ % ring->num] = chain->slot;
}

void
guest_post(struct crypto_guest *g, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		*g->status[g->next] = UNTOUCHED;
		post(&g->guest.rings[0], &g->chains[g->next]);
		g->next = (g->next + 1) % REQUESTS;
	}
	driver_split.publish(&g->guest.rings[0]);
}

bool
guest_reap(struct crypto_guest *g, unsigned int n)
{
	struct used used;

	for (unsigned int i = 0; i < n; i++)
		if (!driver_split.reap(&g->guest.rings[0], &used) || used.slot >= REQUESTS ||
				*g->status[used.slot] != VIRTIO_CRYPTO_OK)
			return false;
	return true;
}
