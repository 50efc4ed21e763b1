/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_FAKE_FRONTEND_H
#define VHOST_FAKE_FRONTEND_H

/*
 * A frontend in the same process as the library under test.
 *
 * It is everything a virtual machine monitor is to a backend and nothing else:
 * a connection over which real messages travel with real descriptors, guest
 * memory in files, and rings in that memory (vhost_fake_driver.h drives them).
 * It knows the protocol from the specification, not from the library's headers,
 * so that a mistake in those cannot hide itself.
 *
 * Every wait has a limit; a fake can fail but not hang.  Functions that take a
 * fake accept one that failed before, and fail again.
 *
 *	struct fake *fe = fake_start(.queues = 2, .mergeable = true);
 *
 *	TEST_ASSERT_NOT_NULL(fe, "the device must start");
 *	...
 *	return fake_stop(fe);
 *
 * A case that returns early without fake_stop() leaves the fake to
 * fake_check(), which every suite names as its check.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_vhost.h>

#include "test.h"
#include "vhost_fake_driver.h"

struct rte_mempool;

/* The protocol, from the specification. */
enum fake_request {
	FE_GET_FEATURES = 1, FE_SET_FEATURES, FE_SET_OWNER, FE_RESET_OWNER,
	FE_SET_MEM_TABLE, FE_SET_LOG_BASE, FE_SET_LOG_FD, FE_SET_VRING_NUM,
	FE_SET_VRING_ADDR, FE_SET_VRING_BASE, FE_GET_VRING_BASE,
	FE_SET_VRING_KICK, FE_SET_VRING_CALL, FE_SET_VRING_ERR,
	FE_GET_PROTOCOL_FEATURES, FE_SET_PROTOCOL_FEATURES, FE_GET_QUEUE_NUM,
	FE_SET_VRING_ENABLE, FE_SEND_RARP, FE_NET_SET_MTU, FE_SET_SLAVE_REQ_FD,
	FE_IOTLB_MSG, FE_SET_VRING_ENDIAN, FE_GET_CONFIG, FE_SET_CONFIG,
	FE_CREATE_CRYPTO_SESSION, FE_CLOSE_CRYPTO_SESSION, FE_POSTCOPY_ADVISE,
	FE_POSTCOPY_LISTEN, FE_POSTCOPY_END, FE_GET_INFLIGHT_FD,
	FE_SET_INFLIGHT_FD, FE_GPU_SET_SOCKET, FE_RESET_DEVICE, FE_VRING_KICK,
	FE_GET_MAX_MEM_SLOTS, FE_ADD_MEM_REG, FE_REM_MEM_REG, FE_SET_STATUS,
	FE_GET_STATUS,
	FE_REQUEST_END
};

#define FE_VERSION	0x1u
#define FE_REPLY	0x4u
#define FE_NEED_REPLY	0x8u
#define FE_NO_FD	0x100u	/* in the payload of KICK, CALL, ERR */

#define FE_HEADER_SIZE	12
#define FE_PAYLOAD_MAX	4096
#define FE_MAX_FDS	8
#define FE_MAX_REGIONS	8
#define FE_MAX_VRINGS	256

struct fake_state {		/* NUM, BASE, ENABLE */
	uint32_t index, num;
};

struct fake_addr {		/* SET_VRING_ADDR */
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};

struct fake_mem_region {
	uint64_t gpa, size, uva, mmap_offset;
};

struct fake_mem_table {		/* SET_MEM_TABLE */
	uint32_t nregions, padding;
	struct fake_mem_region regions[FE_MAX_REGIONS];
};

struct fake_msg {
	uint32_t request, flags, size;
	uint8_t payload[FE_PAYLOAD_MAX];
};

/** VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS, which no public header of 22.11 names. */
#define FE_PROTOCOL_MEM_SLOTS 15

/* Virtio bits which linux/virtio_*.h name by number only. */
#define FE_BIT(n) (1ULL << (n))

/** All that the library offers in this release; see the tests of messages. */
#define FE_OFFERED_FEATURES 0xd7c66ffcbULL
#define FE_OFFERED_PROTOCOL 0x18cbfULL

/** What a message came to. */
enum fake_verdict {
	FAKE_ACK = 0,		/**< accepted */
	FAKE_NACK = 1,		/**< answered with an error */
	FAKE_CLOSED = -1,	/**< the library closed the connection */
	FAKE_TIMEOUT = -2,	/**< no answer in time */
};

/** How far fake_start() goes. */
enum fake_stage {
	FAKE_RUNNING,		/**< rings enabled, new_device() was called */
	FAKE_REGISTERED,	/**< the library's socket exists */
	FAKE_CONNECTED,
	FAKE_NEGOTIATED,	/**< features and protocol features */
	FAKE_MEMORY,		/**< memory table */
	FAKE_RINGS,		/**< rings described, not yet enabled */
	FAKE_ALONE,		/**< memory and rings; the library does not know of it */
};

/** What rings look like. */
enum fake_format {
	FAKE_DEFAULT_FORMAT,	/**< the suite's, see fake_setup_packed() */
	FAKE_SPLIT,
	FAKE_PACKED,
};

/** Node numbers in a configuration, where 0 means "wherever it happens". */
#define FAKE_NODE(n) ((n) + 1)

#define FAKE_GUARD_BYTE 0xAA

/** IOVA of guest address 0 with an IOMMU. */
#define FAKE_IOVA 0x5000000000ULL

struct fake;

enum fake_event {
	FAKE_NEW_CONNECTION, FAKE_NEW_DEVICE, FAKE_DESTROY_DEVICE,
	FAKE_VRING_STATE, FAKE_FEATURES_CHANGED, FAKE_DESTROY_CONNECTION,
	FAKE_GUEST_NOTIFIED,
	FAKE_EVENTS
};

/** Called from the library's callback, after the event was recorded. */
typedef void (*fake_hook)(void *arg, enum fake_event ev, int vid,
		unsigned int qid, int on);

/** Zero in any member means the default, named in brackets. */
struct fake_config {
	unsigned int queues;		/**< queue pairs [1] */
	bool ctrl_queue;		/**< one vring more, offered CTRL_VQ [no] */
	enum fake_format format;	/**< of all rings [the suite's] */
	unsigned int ring_size;		/**< descriptors per ring [256] */
	unsigned int buf_size;		/**< guest buffer per descriptor [2048] */
	bool mergeable;			/**< MRG_RXBUF [no] */
	bool event_idx;			/**< EVENT_IDX [no] */
	bool in_order;			/**< IN_ORDER [no] */
	bool iommu;			/**< ACCESS_PLATFORM, see vhost_fake_iommu.h [no] */
	bool legacy;			/**< without VERSION_1 [no] */
	bool no_protocol_features;	/**< rings then start enabled [no] */
	bool no_reply_ack;		/**< errors then close [no] */
	uint64_t features;		/**< more virtio bits [0] */
	uint64_t protocol_features;	/**< more protocol bits [0] */
	uint64_t flags;			/**< RTE_VHOST_USER_* but CLIENT [0] */
	bool crypto;			/**< rte_vhost_crypto_driver_start() [no] */
	bool client;			/**< the library connects to us [no] */
	const struct fake *join;	/**< same socket as another fake [none] */
	unsigned int regions;		/**< guest memory regions [1] */
	bool adjacent;			/**< no guest-physical holes between [no] */
	uint64_t extra_memory;		/**< per region, for fake_alloc() [1 MiB] */
	bool hugepages;			/**< 2 MiB pages behind memory [no] */
	const char *memory_in;		/**< files of this folder [memfd] */
	bool prealloc;			/**< touch all of it [no] */
	int memory_on_node;		/**< FAKE_NODE(n) [any] */
	int rings_on_node;		/**< FAKE_NODE(n): region 0 [any] */
	unsigned int refuse_new_device;	/**< new_device() fails that often [0] */
	const struct rte_vhost_device_ops *ops;	/**< instead of the recorder's */
	const struct rte_vhost_device_ops *more_ops;	/**< the recorder's, and more */
	fake_hook hook;			/**< on each event [none] */
	void *hook_arg;
	enum fake_stage until;		/**< [FAKE_RUNNING] */
};

/** One piece of guest memory: [guard][size bytes][guard] in a file of its own. */
struct fake_region {
	struct fake_mem_region wire;	/**< as it is told to the library */
	int fd;
	uint8_t *map;			/**< of the whole file */
	size_t map_len;
	uint8_t *va;			/**< of the first byte of the region */
	uint64_t used;			/**< bytes handed out by fake_alloc() */
};

struct fake_record;

struct fake {
	struct fake *next;		/**< all fakes, see fake_check() */
	struct fake_config cfg;
	char path[108];
	bool owns_path;			/**< must unregister it */
	int listener;			/**< client mode: we listen; else -1 */
	int sock;			/**< -1 when not connected */
	int vid;			/**< -1 until known */
	bool broken;			/**< a guard was hurt or a wait expired */
	uint64_t iova;			/**< of guest address 0; 0: no IOMMU */
	bool reply_ack;			/**< negotiated */
	uint64_t features;		/**< negotiated */
	uint64_t protocol_features;	/**< negotiated */
	unsigned int nregions;
	struct fake_region regions[FE_MAX_REGIONS];
	unsigned int nvrings;
	struct fake_vq *vqs;		/**< one per vring */
	struct fake_record *record;	/**< of callbacks, of this connection */
};

/* ---- whole devices ---- */

/** Bring a device up to cfg->until; NULL (and a line of output) on failure. */
struct fake *fake_start_config(const struct fake_config *cfg);

#define fake_start(...) \
	fake_start_config(&(const struct fake_config){ __VA_ARGS__ })

/** Take it all down; non-zero when it was broken or a guard byte changed. */
int fake_stop(struct fake *fe);

/**
 * Take the library's socket away, under whatever is connected to it.  The
 * application hears of the devices but not of the connections, so their records
 * end here.
 */
int fake_unregister(struct fake *fe);

/** Are all guard bytes of all regions intact?  Says which is not. */
bool fake_guards_intact(struct fake *fe);

/* ---- connection ---- */

/** In client mode: be there for the library to connect to; 0 or -1. */
int fake_listen(struct fake *fe);
/** Connect (server mode) or accept (client mode), and learn the vid. */
int fake_connect(struct fake *fe);
void fake_disconnect(struct fake *fe);

/** Did the library close the connection, within the usual limit? */
bool fake_is_closed(struct fake *fe);

/** Does the device still answer a question? */
bool fake_is_served(struct fake *fe);

/* ---- steps of the handshake ---- */

int fake_negotiate(struct fake *fe);
int fake_send_mem_table(struct fake *fe);
/** NUM, BASE, ADDR, KICK, CALL of one ring; the ring starts where it was left. */
int fake_setup_vring(struct fake *fe, unsigned int i);
int fake_enable_vring(struct fake *fe, unsigned int i, bool on);
/** All rings set up and enabled, and new_device() called once more. */
int fake_run(struct fake *fe);
/** GET_VRING_BASE; -1 or the base, which has 32 bits. */
int64_t fake_stop_vring(struct fake *fe, unsigned int i);

/* ---- messages ---- */

/** Send these bytes with these descriptors; 0 or negative errno. */
int fake_send_bytes(struct fake *fe, const void *bytes, size_t len,
		const int *fds, unsigned int nfds);

/** Send one message; flags beside the version. */
int fake_send(struct fake *fe, uint32_t request, uint32_t flags,
		const void *payload, size_t size,
		const int *fds, unsigned int nfds);

/** Receive one message: 1, 0 for end of file, -ETIMEDOUT, or negative errno. */
int fake_recv(struct fake *fe, struct fake_msg *msg, int *fds,
		unsigned int *nfds);

/**
 * Send a message which has no reply of its own, and learn what it came to: by
 * its ack where REPLY_ACK is negotiated, else by asking something behind it.
 */
enum fake_verdict fake_call(struct fake *fe, uint32_t request,
		const void *payload, size_t size,
		const int *fds, unsigned int nfds);

enum fake_verdict fake_call_u64(struct fake *fe, uint32_t request,
		uint64_t value);
enum fake_verdict fake_call_state(struct fake *fe, uint32_t request,
		uint32_t index, uint32_t num);
/** KICK, CALL or ERR of a ring with a descriptor, or with none (-1). */
enum fake_verdict fake_call_fd(struct fake *fe, uint32_t request,
		unsigned int index, int fd);

/** Send and receive the reply, which must be of the same kind; 0 or -1. */
int fake_ask(struct fake *fe, uint32_t request, const void *payload,
		size_t size, struct fake_msg *reply);
int fake_ask_u64(struct fake *fe, uint32_t request, uint64_t *value);

/** The true address message of a ring, to send as it is or spoiled. */
struct fake_addr fake_addr_of(const struct fake *fe, unsigned int i);
/** The true memory table, and its descriptors. */
void fake_mem_table_of(const struct fake *fe, struct fake_mem_table *table,
		int *fds);

/* ---- guest memory ---- */

/** Hand out guest memory of a region; 0 when there is no more. */
uint64_t fake_alloc(struct fake *fe, unsigned int region, uint64_t size,
		uint64_t align);
/** Where a guest-physical range is here; NULL unless inside one region. */
void *fake_va(const struct fake *fe, uint64_t gpa, uint64_t len);
/** Copy across region borders; false when a byte of it is nowhere. */
bool fake_read_guest(const struct fake *fe, uint64_t gpa, void *to, size_t len);
bool fake_write_guest(const struct fake *fe, uint64_t gpa, const void *from,
		size_t len);
/** A region of that many bytes with guards; in vhost_fake_memory.c. */
int fake_region_create(struct fake *fe, uint64_t gpa, uint64_t size, int node);
void fake_regions_destroy(struct fake *fe);
/** Give all pages back to the system, the guards' as well; 0 or -1. */
int fake_memory_discard(struct fake *fe);
/** Afterwards, before they are looked at. */
void fake_guards_paint(struct fake *fe);

/* ---- what the library told the application ---- */

unsigned int fake_events(const struct fake *fe, enum fake_event ev);
/** Wait until it has happened n times on this connection. */
bool fake_wait_events(struct fake *fe, enum fake_event ev, unsigned int n);
/**
 * The story so far, one word per event: "connect" "ring0+" "ring0-" "new"
 * "features" "destroy" "disconnect".  Valid until this thread asks again.
 */
const char *fake_story(const struct fake *fe);

/** The callbacks that keep the record; for registering by hand. */
extern const struct rte_vhost_device_ops fake_recorder_ops;
/** The record of a new connection on this path; NULL after the usual limit. */
struct fake_record *fake_record_claim(const char *path, int *vid);
void fake_record_release(struct fake_record *rec);
/** What came on this path is over: of an end by unregister nobody is told. */
void fake_records_forget(const char *path);

/* ---- surroundings ---- */

/** Suite setup: pool, temporary directory, the library's threads started. */
int fake_setup(void);
/** Pool and directory alone, for a suite whose cases start the library in children. */
int fake_setup_parent(void);
/** The same for suites whose rings are packed unless a case says otherwise. */
int fake_setup_packed(void);
/** The format of rings that do not name one, until the next setup. */
enum fake_format fake_default_format(void);
/** Suite check: no fake, mbuf or descriptor is left. */
int fake_check(void);
void fake_teardown(void);

/** Every fake; for the recorder and for fake_check(). */
struct fake *fake_first(void);

/** A path in the temporary directory that was not used before. */
void fake_new_path(char *path, size_t size);

/*
 * How much a process may grow by repeating itself, in KiB.  Sanitizers keep what was freed
 * for a while, and note who did what; they look for leaks themselves.
 */
#define FAKE_GROWTH_KIB(kib) ((kib) + (TEST_ASAN || TEST_TSAN ? 256 * 1024 : 0))

/** How many descriptors this process has open. */
unsigned int fake_count_fds(void);
/** Wait until there are at most n, or the usual limit; how many there are. */
unsigned int fake_wait_fds(unsigned int n);
/** Resident memory of this process in KiB. */
uint64_t fake_resident_kib(void);

/** The limit of a wait, in milliseconds. */
unsigned int fake_patience_ms(void);
uint64_t fake_now_ms(void);

/** The pool of all mbufs, with room for 2048 bytes each. */
struct rte_mempool *fake_pool(void);

/** A statistic by the end of its name; UINT64_MAX if there is none. */
uint64_t fake_counter(const struct fake *fe, unsigned int queue, const char *name);

#endif /* VHOST_FAKE_FRONTEND_H */
