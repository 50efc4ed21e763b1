/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef FUZZ_RING_H
#define FUZZ_RING_H

/* Between the files of fuzz_ring. */

#include <linux/virtio_ring.h>

#include "device.h"

#include "fuzz_env.h"

/* ---- fuzz_ring_guest.c: memory of the guest, and its driver ---- */

#define GUEST_REGIONS	2

#define RINGS		3	/**< to the guest, from the guest, control */
#define RING_MAX_SIZE	256u

/** Indirect descriptors that the driver has room for. */
#define TABLE_ENTRIES	256u

/* Addresses of the guest. */
#define MEMORY_GPA	0x100000ull
#define CONTROL_GPA	MEMORY_GPA	/**< rings and tables */
#define CONTROL_BYTES	0x7000u

/** Chains of at most so many descriptors are made well. */
#define CHAIN_MAX	320u

/** A chain that the driver has made, to write into. */
struct guest_chain {
	unsigned int n;
	struct vring_desc desc[CHAIN_MAX];
};

/** The driver's side of a ring. */
struct guest_ring {
	uint16_t size;
	uint64_t gpa;			/**< of the descriptors */
	uint64_t avail_gpa, used_gpa;
	volatile struct vring_used *used;	/**< of a split ring */
	uint16_t avail_idx;		/**< as shown to the device */
	uint32_t next_desc;		/**< descriptors used by chains so far */
	struct guest_chain last;	/**< made last */
};

extern struct guest_ring guest_rings[RINGS];

/** Make the files, once per process. */
void guest_create(void);

/** Empty memory and rings.  The input chooses sizes and places. */
void guest_reset(struct fuzz_input *in, bool packed);

/** What to tell the device: the table and its descriptors, which stay ours. */
void guest_table(struct vu_memory *table, int *fds);

/** The frontend's address of a guest address. */
uint64_t guest_uva(uint64_t gpa);

/** The guest writes, and the device may or may not have been faster. */
void guest_write(uint64_t gpa, const void *bytes, uint64_t len);

/** An address, most often of a buffer; the input's. */
uint64_t guest_take_gpa(struct fuzz_input *in);

/** Write descriptor i of a ring; of a packed one, next is the id. */
void guest_set_desc(unsigned int ring, uint16_t i, struct vring_desc desc);

/** Write indirect descriptor i. */
void guest_set_entry(uint16_t i, struct vring_desc desc);

/** Offer a chain that begins at that descriptor; in a packed ring, that descriptor. */
void guest_offer(unsigned int ring, uint16_t head);

/** Ask for notifications: flags, and where the driver wants the next one. */
void guest_set_interrupts(unsigned int ring, uint16_t value);

/** Show the device another available index. */
void guest_set_avail_idx(unsigned int ring, uint16_t idx);

/**
 * Make and offer a chain of buffers of its own, as a good driver does.
 *
 * @param nread  descriptors that the device reads, at the front
 * @param nwrite  that it writes
 * @param len  bytes of each but the first, which gets first_len
 */
void guest_make_chain(unsigned int ring, unsigned int nread, unsigned int nwrite,
		uint32_t first_len, uint32_t len, bool indirect);

/** Write to the buffers of the chain made last. */
void guest_fill_chain(unsigned int ring, const void *bytes, uint32_t len);

/** Before the device runs, and after: it wrote nothing but what it may. */
void guest_before(void);
void guest_after(void);

/** Whether nothing but the device writes its used rings, and descriptors are as they were made. */
bool guest_is_sound(void);

/** Plan what the guest does at moments of the bursts to come. */
void guest_plan_change(struct fuzz_input *in);

/** Take away most of a region's file; from a signal. */
void guest_truncate(unsigned int region);

/* ---- fuzz_ring_faults.c ---- */

/** Make the timer, once per process, if there are to be faults. */
void faults_create(void);

/** Whether there are to be any. */
bool faults_are_wanted(void);

/** A new device, and its frontend's end of the connection. */
void faults_arm(int sock);

/** While the device runs something may happen. */
void faults_begin(void);

/** Nothing happens any more: whether something has that ends the device. */
bool faults_end(void);
bool faults_have_struck(void);

/* ---- fuzz_ring_packets.c ---- */

/** Make packets to be sent to the guest: their number. */
uint16_t packets_make(struct fuzz_input *in, struct rte_mbuf **pkts, uint16_t room);

/** A packet came from the guest: it is sound, and what the device was told to make. */
void packet_check(const struct rte_mbuf *pkt, const struct rte_mempool *pool, uint32_t flags);

/** A packet as a guest may send it, header in front: its bytes. */
uint32_t packet_template(struct fuzz_input *in, uint8_t *to, uint32_t room);

/* ---- fuzz_ring_crypto.c ---- */

extern const struct rte_vhost_device_ops crypto_device_ops;

/** Make what operations need, once per process. */
void crypto_create(void);

void crypto_make_session(struct fuzz_input *in, struct vu_crypto_session *session);
void crypto_make_request(struct fuzz_input *in);
void crypto_fetch(struct fuzz_input *in, int vid);
void crypto_finalize(struct fuzz_input *in);

/** Nothing is under way any more, and nothing left of the device, which has gone. */
void crypto_end(void);

#endif /* FUZZ_RING_H */
