/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_VU_MESSAGE_H
#define VHOST_VU_MESSAGE_H

/*
 * vhost-user messages on the wire, and a link that carries them.
 *
 * The link never blocks and never waits: what has arrived of a message is kept
 * until the rest comes.  It owns every descriptor received until a handler
 * takes it; closing the message closes what nobody took.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <rte_common.h>

#include "mem_map.h"

/** Requests of the frontend; numbers of the vhost-user specification. */
enum vu_request {
	VU_NONE = 0,
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_LOG_BASE = 6,
	VU_SET_LOG_FD = 7,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_SEND_RARP = 19,
	VU_NET_SET_MTU = 20,
	VU_SET_SLAVE_REQ_FD = 21,
	VU_IOTLB_MSG = 22,
	VU_SET_VRING_ENDIAN = 23,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_CRYPTO_CREATE_SESS = 26,
	VU_CRYPTO_CLOSE_SESS = 27,
	VU_POSTCOPY_ADVISE = 28,
	VU_POSTCOPY_LISTEN = 29,
	VU_POSTCOPY_END = 30,
	VU_GET_INFLIGHT_FD = 31,
	VU_SET_INFLIGHT_FD = 32,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_SET_STATUS = 39,
	VU_GET_STATUS = 40,
	VU_REQUEST_MAX
};

/** Requests of the backend, on the back channel. */
enum vu_backend_request {
	VU_BACKEND_IOTLB_MSG = 1,
	VU_BACKEND_CONFIG_CHANGE = 2,
	VU_BACKEND_VRING_HOST_NOTIFIER = 3,
};

/** VHOST_USER_ADD_MEM_REG and its kin; not among the public names of 22.11. */
#define VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS 15

/* vu_message.flags */
#define VU_VERSION		0x1u
#define VU_VERSION_MASK		0x3u
#define VU_REPLY		(1u << 2)
#define VU_NEED_REPLY		(1u << 3)

/* u64 payload of SET_VRING_KICK, _CALL and _ERR */
#define VU_VRING_INDEX_MASK	0xffu
#define VU_VRING_NO_FD		(1u << 8)

#define VU_MAX_FDS		8
#define VU_MAX_TABLE		8	/* regions of a SET_MEM_TABLE */
#define VU_CONFIG_MAX		256

/* Payloads follow a header of 12 bytes: none of them is aligned as it would like to be. */

struct vu_vring_state {
	uint32_t index;
	uint32_t num;
} __attribute__((__packed__));

struct vu_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;		/**< frontend addresses */
	uint64_t used;
	uint64_t avail;
	uint64_t log;		/**< guest address of the used ring, for logging */
} __attribute__((__packed__));

struct vu_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uva;
	uint64_t mmap_offset;
} __attribute__((__packed__));

struct vu_memory {
	uint32_t nregions;
	uint32_t padding;
	struct vu_region regions[VU_MAX_TABLE];
} __attribute__((__packed__));

struct vu_memory_slot {
	uint64_t padding;
	struct vu_region region;
} __attribute__((__packed__));

struct vu_log {
	uint64_t size;
	uint64_t offset;	/**< into the file */
} __attribute__((__packed__));

/** What an IOTLB message is about. */
enum vu_iotlb_type {
	VU_IOTLB_MISS = 1,	/**< the backend asks */
	VU_IOTLB_UPDATE = 2,	/**< a translation */
	VU_IOTLB_INVALIDATE = 3,	/**< translations that hold no more */
};

struct vu_iotlb {
	uint64_t iova;
	uint64_t size;
	uint64_t uva;		/**< the frontend's address */
	uint8_t access;		/**< 1 read, 2 write, 3 both */
	uint8_t type;
	uint8_t padding[6];
} __attribute__((__packed__));

struct vu_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t region[VU_CONFIG_MAX];
} __attribute__((__packed__));

struct vu_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
} __attribute__((__packed__));

struct vu_vring_area {
	uint64_t index;		/**< and VU_VRING_NO_FD */
	uint64_t size;
	uint64_t offset;
} __attribute__((__packed__));

/** A session of virtio-crypto; values are those of linux/virtio_crypto.h. */
struct vu_crypto_session {
	int64_t id;		/**< answer: the session, or minus a VIRTIO_CRYPTO_* status */
	uint32_t op_code;
	uint32_t cipher_algo;
	uint32_t cipher_key_len;
	uint32_t hash_algo;
	uint32_t digest_len;
	uint32_t auth_key_len;
	uint32_t aad_len;
	uint8_t op_type;	/**< VIRTIO_CRYPTO_SYM_OP_* */
	uint8_t dir;		/**< VIRTIO_CRYPTO_OP_* */
	uint8_t hash_mode;	/**< VIRTIO_CRYPTO_SYM_HASH_MODE_* */
	uint8_t chaining_dir;	/**< VIRTIO_CRYPTO_SYM_ALG_CHAIN_ORDER_* */
	uint64_t addresses[2];	/**< the frontend's own; mean nothing here */
	uint8_t cipher_key[64];
	uint8_t auth_key[512];
} __attribute__((__packed__));

#define VU_PAYLOAD_MORE 440u

/**
 * A message and its descriptors.  The layout is ABI: applications that
 * registered extern handlers (rte_vhost_extern_callback_register()) get a
 * pointer to it, and may answer in place.
 */
struct vu_message {
	uint32_t request;
	uint32_t flags;
	uint32_t size;		/**< payload bytes */
	union {
		uint64_t u64;
		struct vu_vring_state state;
		struct vu_vring_addr addr;
		struct vu_memory memory;
		struct vu_memory_slot slot;
		struct vu_log log;
		struct vu_config config;
		struct vu_vring_area area;
		struct vu_inflight inflight;
		struct vu_iotlb iotlb;
		struct vu_crypto_session crypto;
		uint8_t raw[632];
	} payload;
	int fds[VU_MAX_FDS];	/**< -1 once taken */
	int nfds;
	/* behind what applications know */
	uint8_t more[VU_PAYLOAD_MORE];	/**< payload bytes that have no room in the union */
} __attribute__((__packed__));

#define VU_HEADER_SIZE 12u
#define VU_PAYLOAD_MAX 632u
/** A crypto session as QEMU has sent it since 8.0. */
#define VU_CRYPTO_SESSION_WIDE (VU_PAYLOAD_MAX + VU_PAYLOAD_MORE)

struct vhost_quota;

/** One connection and what has arrived of its next message. */
struct vu_link {
	int fd;			/**< non-blocking socket, the link's; -1 when closed */
	struct vhost_quota *quota;	/**< descriptors are reaped on its account; or NULL */
	uint32_t have;		/**< bytes of msg that have arrived */
	struct vu_message msg;
};

/** Take over a connected socket (it is made non-blocking).  The quota outlives the link. */
void vhost_vu_link_init(struct vu_link *link, int fd, struct vhost_quota *quota);

/**
 * Shut the connection down, so that the peer knows at once, and reap the socket and
 * every descriptor of a message half received.
 */
void vhost_vu_link_close(struct vu_link *link);

/**
 * Receive what has arrived, at most one message.
 *
 * @param[out] msg  a whole message when 1 is returned, with unused payload
 *                  bytes zeroed; its descriptors are the caller's
 * @return 1 a message; 0 none complete yet; -ECONNRESET the peer is gone;
 *         -EPROTO what came is no vhost-user message (wrong version, payload
 *         beyond what the request may have, too many descriptors, or descriptors that did
 *         not come in one lot with the header).  After an error the link can
 *         only be closed; link->msg still holds the offending header.
 */
int vhost_vu_recv(struct vu_link *link, struct vu_message *msg);

/**
 * Send a whole message without blocking and without SIGPIPE.
 *
 * @param fds  descriptors to send along, still the caller's; NULL if nfds is 0
 * @param nfds  VU_MAX_FDS at most
 * @return 0; -EAGAIN when the peer does not empty its socket; another errno
 */
int vhost_vu_send(struct vu_link *link, const struct vu_message *msg, const int *fds,
		unsigned int nfds);

/** Take ownership of descriptor i: the descriptor, or -1 when there is none. */
int vhost_vu_take_fd(struct vu_message *msg, unsigned int i);

/** Reap every descriptor that nobody took. */
void vhost_vu_close_fds(struct vu_message *msg, struct vhost_quota *quota);

/** Name as in the specification, "VHOST_USER_SET_OWNER"; "unknown" if it has none. */
const char *vhost_vu_request_name(uint32_t request);

#endif /* VHOST_VU_MESSAGE_H */
