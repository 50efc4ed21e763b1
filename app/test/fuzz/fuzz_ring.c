/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Rings of a running device, and guest memory that changes during a burst.
 *
 * An input begins with what was registered and negotiated and where the rings
 * are.  Then come steps: the driver writes descriptors, tables, indices, whole
 * chains, headers or anything; the application runs bursts; the guest gives
 * commands; rings and device stop and start; memory moves to another node.  What
 * the guest is to write in the middle of a burst is planned before it.
 *
 * After each burst: guest memory is as it was but for what the device was allowed
 * to write, used entries name descriptors, and no more were used than offered;
 * packets are sound, and every mbuf is accounted for.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <rte_mbuf.h>
#include <rte_vhost_crypto.h>

#include "device_life.h"
#include "numa_watch.h"
#include "vu_dispatch.h"

#include "fuzz_ring.h"

#define MAX_STEPS	128
#define MAX_BURST	40

/** Of a crypto device. */
#define CRYPTO_FEATURES	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX | \
		1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VHOST_USER_F_PROTOCOL_FEATURES)

#define FIXED_FEATURES	((1ull << VHOST_USER_F_PROTOCOL_FEATURES) | \
		(1ull << VIRTIO_NET_F_CTRL_VQ) | (1ull << VIRTIO_NET_F_MQ) | \
		(1ull << VIRTIO_RING_F_INDIRECT_DESC))

/** Where a packed ring begins: the first place, on the first lap. */
#define PACKED_START	(1u << VRING_PACKED_EVENT_F_WRAP_CTR)

#ifndef VIRTIO_F_IN_ORDER
#define VIRTIO_F_IN_ORDER 35	/* younger than some systems' headers */
#endif

static struct {
	struct fuzz_input in;
	struct vhost_driver driver;
	struct vu_link link;
	int sock;			/**< the frontend's end of the link */
	struct vhost_device *dev;
	uint64_t features;		/**< negotiated */
	bool based;			/**< nobody has made up where the rings are */
	int callfds[RINGS], kickfds[RINGS];
} fuzz;

static bool
is_packed(void)
{
	return (fuzz.features & 1ull << VIRTIO_F_RING_PACKED) != 0;
}

/* ---- messages ---- */

/** Have a message served; the answer is in *state if it is a vring's state. */
static int
call_for_state(uint32_t request, const void *payload, uint32_t size, const int *fds, int nfds,
		struct vu_vring_state *state)
{
	struct vu_message msg = { .request = request, .flags = VU_VERSION, .size = size };
	char answer[VU_HEADER_SIZE + VU_PAYLOAD_MAX];
	int ret;

	if (size > 0)
		memcpy(&msg.payload, payload, size);
	for (int i = 0; i < VU_MAX_FDS; i++)
		msg.fds[i] = i < nfds ? fcntl(fds[i], F_DUPFD_CLOEXEC, 0) : -1;
	msg.nfds = nfds;
	ret = vhost_vu_dispatch(fuzz.dev, &msg);
	while (recv(fuzz.sock, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
	*state = msg.payload.state;
	return ret;
}

static int
call(uint32_t request, const void *payload, uint32_t size, const int *fds, int nfds)
{
	struct vu_vring_state ignored;

	return call_for_state(request, payload, size, fds, nfds, &ignored);
}

static int
call_u64(uint32_t request, uint64_t value)
{
	return call(request, &value, sizeof(value), NULL, 0);
}

static int
call_state(uint32_t request, uint32_t index, uint32_t num)
{
	const struct vu_vring_state state = { index, num };

	return call(request, &state, sizeof(state), NULL, 0);
}

/** Stop a ring; where it was. */
static uint16_t
stop_ring(uint32_t index)
{
	struct vu_vring_state state = { .index = index };

	call_for_state(VU_GET_VRING_BASE, &state, sizeof(state), NULL, 0, &state);
	return state.num;
}

static int
call_doorbell(uint32_t request, uint64_t index, int fd)
{
	return call(request, &index, sizeof(index), &fd, 1);
}

static int
send_table(void)
{
	struct vu_memory table;
	int fds[GUEST_REGIONS];

	guest_table(&table, fds);
	return call(VU_SET_MEM_TABLE, &table, offsetof(struct vu_memory, regions[GUEST_REGIONS]),
		fds, GUEST_REGIONS);
}

static void
start_ring(unsigned int i, uint16_t base)
{
	const struct guest_ring *gr = &guest_rings[i];
	const struct vu_vring_addr addr = {
		.index = i,
		.desc = guest_uva(gr->gpa),
		.avail = guest_uva(gr->avail_gpa),
		.used = guest_uva(gr->used_gpa),
	};

	call_state(VU_SET_VRING_NUM, i, gr->size);
	call_state(VU_SET_VRING_BASE, i, base);
	call(VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
	call_doorbell(VU_SET_VRING_KICK, i, fuzz.kickfds[i]);
	call_doorbell(VU_SET_VRING_CALL, i, fuzz.callfds[i]);
	call_state(VU_SET_VRING_ENABLE, i, 1);
}

/* ---- what the driver does ---- */

static unsigned int
take_ring(void)
{
	return fuzz_u8(&fuzz.in) % RINGS;
}

static struct vring_desc
take_desc(void)
{
	uint8_t flags = fuzz_u8(&fuzz.in);

	struct vring_desc desc;

	desc.addr = guest_take_gpa(&fuzz.in);
	desc.len = flags & 0x80 ? fuzz_u32(&fuzz.in) : fuzz_u16(&fuzz.in);
	desc.flags = flags & 0x40 ? flags : flags & 7;
	desc.next = fuzz_u8(&fuzz.in);
	return desc;
}

static void
set_desc(void)
{
	unsigned int ring = take_ring();
	uint8_t i = fuzz_u8(&fuzz.in);

	guest_set_desc(ring, i, take_desc());
}

static void
set_entry(void)
{
	uint8_t i = fuzz_u8(&fuzz.in);

	guest_set_entry(i, take_desc());
}

static void
offer(void)
{
	unsigned int ring = take_ring();
	uint8_t n = fuzz_u8(&fuzz.in) % 40;
	uint16_t head = fuzz_u16(&fuzz.in);

	while (n-- > 0)
		guest_offer(ring, head++);
}

static void
set_avail_idx(void)
{
	unsigned int ring = take_ring();

	guest_set_avail_idx(ring, fuzz_u16(&fuzz.in));
}

/** A buffer to the guest or from it, whole or in pieces. */
static void
make_chain(void)
{
	struct fuzz_input *in = &fuzz.in;
	unsigned int ring = fuzz_u8(in) % 2;
	unsigned int n = fuzz_u8(in);
	uint16_t first_len = fuzz_u16(in) % 4096, len = fuzz_u16(in) % 4096;

	n = n < 0xf0 ? 1 + n % 8 : 250 + n % 16;
	guest_make_chain(ring, ring == 1 ? n : 0, ring == 1 ? 0 : n, first_len, len,
		fuzz_u8(in) & 1);
}

/** Many of one kind. */
static void
make_buffers(void)
{
	struct fuzz_input *in = &fuzz.in;
	unsigned int ring = fuzz_u8(in) % 2, n = fuzz_u8(in) % 64;
	uint16_t len = fuzz_u16(in) % 4096;
	bool indirect = fuzz_u8(in) & 1;

	while (n-- > 0)
		guest_make_chain(ring, ring == 1, ring == 0, len, 0, indirect);
}

/** Packets as a guest may send them, in one or more pieces. */
static void
make_packets(void)
{
	struct fuzz_input *in = &fuzz.in;
	uint8_t packet[8192];
	unsigned int n = fuzz_u8(in) % 40, pieces = 1 + fuzz_u8(in) % 4;
	uint16_t len = 1 + fuzz_u16(in) % sizeof(packet);
	uint16_t first = pieces == 1 ? len : 1 + fuzz_u8(in) % len;
	bool indirect = fuzz_u8(in) & 1;

	packet_template(in, packet, sizeof(packet));
	while (n-- > 0) {
		guest_make_chain(1, pieces, 0, first, len / pieces + 1, indirect);
		guest_fill_chain(1, packet, len);
	}
}

static void
write_memory(void)
{
	uint8_t bytes[32];
	uint64_t gpa = guest_take_gpa(&fuzz.in);
	uint8_t len = fuzz_u8(&fuzz.in) % sizeof(bytes);

	fuzz_take(&fuzz.in, bytes, len);
	guest_write(gpa, bytes, len);
}

static void
plan_change(void)
{
	guest_plan_change(&fuzz.in);
}

static void
set_interrupts(void)
{
	unsigned int ring = take_ring();

	guest_set_interrupts(ring, fuzz_u16(&fuzz.in));
}

/* ---- what the application does ---- */

/** What the device used since is what it may use. */
static void
check_used(unsigned int ring, uint16_t used_before)
{
	const struct guest_ring *gr = &guest_rings[ring];
	uint16_t n = gr->used->idx - used_before;

	FUZZ_CHECK(n <= gr->size, "%u of %u entries used", n, gr->size);
	for (uint16_t i = 0; i < n; i++) {
		uint32_t id = gr->used->ring[(uint16_t)(used_before + i) % gr->size].id;

		FUZZ_CHECK(id < gr->size, "used entry of descriptor %u", id);
	}
}

/** Whether used entries are there to be checked, and where they should be. */
static bool
used_is_sound(void)
{
	return guest_is_sound() && fuzz.based && !is_packed();
}

static void
enqueue(void)
{
	unsigned int ring = fuzz_u8(&fuzz.in) % 8 == 7 ? take_ring() : 0;
	struct rte_mbuf *pkts[MAX_BURST];
	uint16_t n = packets_make(&fuzz.in, pkts, MAX_BURST), done;
	uint16_t used = guest_rings[ring].used->idx;

	guest_before();
	done = rte_vhost_enqueue_burst(fuzz.dev->vid, ring, pkts, n);
	guest_after();
	FUZZ_CHECK(done <= n, "%u of %u", done, n);
	if (used_is_sound())
		check_used(ring, used);
	rte_pktmbuf_free_bulk(pkts, n);
}

static void
dequeue(void)
{
	unsigned int ring = fuzz_u8(&fuzz.in) % 8 == 7 ? take_ring() : 1;
	struct rte_mempool *pool = fuzz_pool(fuzz_u8(&fuzz.in) % FUZZ_POOLS);
	uint16_t n = fuzz_below(&fuzz.in, MAX_BURST + 1), done;
	uint16_t used = guest_rings[ring].used->idx;
	struct rte_mbuf *pkts[MAX_BURST];

	guest_before();
	done = rte_vhost_dequeue_burst(fuzz.dev->vid, ring, pool, pkts, n);
	guest_after();
	FUZZ_CHECK(done <= n, "%u of %u", done, n);
	if (used_is_sound())
		check_used(ring, used);
	for (uint16_t i = 0; i < done; i++)
		packet_check(pkts[i], pool, fuzz.dev->running.net->flags);
	rte_pktmbuf_free_bulk(pkts, done);
}

/** The guest gives a command, or several, and kicks. */
static void
command(void)
{
	struct fuzz_input *in = &fuzz.in;
	const uint64_t one = 1;
	uint8_t bytes[16], n = fuzz_u8(in), len = fuzz_u8(in) % sizeof(bytes);

	fuzz_take(in, bytes, len);
	if (n & 0x80) {
		guest_make_chain(2, 1 + n % 4, n >> 4 & 3, n & 4 ? 2 : len, len, n & 8);
		guest_fill_chain(2, bytes, len);
	}
	FUZZ_CHECK(write(fuzz.kickfds[2], &one, sizeof(one)) == sizeof(one), "errno %d", errno);
	guest_before();
	fuzz_events_serve();
	guest_after();
}

static void
set_base(unsigned int ring)
{
	uint16_t avail = fuzz_u16(&fuzz.in), used = fuzz_u16(&fuzz.in);

	fuzz.based = false;
	rte_vhost_set_vring_base(fuzz.dev->vid, ring, avail, used);
}

static void
refuse_memory(void)
{
	unsigned int after = fuzz_u8(&fuzz.in) % 16, count = fuzz_u8(&fuzz.in);

	fuzz_nodes_refuse(after, count);
}

static void
act(void)
{
	struct fuzz_input *in = &fuzz.in;
	int vid = fuzz.dev->vid;
	unsigned int ring = take_ring();
	struct rte_vhost_stat stats[32];

	guest_before();
	switch (fuzz_u8(in) % 10) {
	case 0: rte_vhost_vring_call(vid, ring); break;
	case 1: rte_vhost_vring_call_nonblock(vid, ring); break;
	case 2: rte_vhost_avail_entries(vid, ring); break;
	case 3: rte_vhost_rx_queue_count(vid, ring); break;
	case 4: rte_vhost_enable_guest_notification(vid, ring, fuzz_u8(in) & 1); break;
	case 5: rte_vhost_vring_stats_get(vid, ring, stats, RTE_DIM(stats)); break;
	case 6: set_base(ring); break;
	case 7: refuse_memory(); break;
	case 8: fuzz_nodes_full(fuzz_u8(in)); break;
	default:
		fuzz_nodes_layout(fuzz_u8(in));
		vhost_device_lock(fuzz.dev);
		vhost_numa_watch_reprobe(fuzz.dev, false);
		vhost_device_unlock(fuzz.dev);
	}
	guest_after();
}

/** The frontend interferes. */
static void
interfere(void)
{
	struct fuzz_input *in = &fuzz.in;
	unsigned int ring = take_ring();
	uint16_t base;

	guest_before();
	switch (fuzz_u8(in) % 8) {
	case 0: call_state(VU_SET_VRING_ENABLE, ring, fuzz_u8(in) & 1); break;
	case 1: call_doorbell(VU_SET_VRING_CALL, ring, fuzz.callfds[ring]); break;
	case 2: call_u64(VU_SET_VRING_CALL, ring | VU_VRING_NO_FD); break;
	case 3: call_u64(VU_SEND_RARP, fuzz_u32(in)); break;
	case 4: send_table(); break;
	case 5: call_doorbell(VU_SET_VRING_KICK, ring, fuzz.kickfds[ring]); break;
	default:
		base = stop_ring(ring);
		if (fuzz_u8(in) & 1) {
			base = fuzz_u16(in);
			fuzz.based = false;
		}
		start_ring(ring, base);
	}
	guest_after();
}

/* ---- what a crypto device does; another one refuses ---- */

static void
open_session(void)
{
	struct vu_crypto_session session;

	crypto_make_session(&fuzz.in, &session);
	call(VU_CRYPTO_CREATE_SESS, &session, sizeof(session), NULL, 0);
}

static void
close_session(void)
{
	call_u64(VU_CRYPTO_CLOSE_SESS, fuzz_u8(&fuzz.in) % 8);
}

static void
make_request(void)
{
	crypto_make_request(&fuzz.in);
}

static void
fetch_requests(void)
{
	crypto_fetch(&fuzz.in, fuzz.dev->vid);
}

static void
finalize_requests(void)
{
	crypto_finalize(&fuzz.in);
}

static void
choose_copies(void)
{
	rte_vhost_crypto_set_zero_copy(fuzz.dev->vid, fuzz_u8(&fuzz.in) & 1);
	fuzz_events_serve();
}

static void (*const steps[])(void) = {
	make_buffers, enqueue, make_packets, dequeue, make_chain, command, set_desc,
	set_entry, offer, set_avail_idx, write_memory, plan_change, set_interrupts, act,
	interfere, open_session, close_session, make_request, fetch_requests, finalize_requests,
	choose_copies,
};

/* ---- an input ---- */

static void
register_driver(void)
{
	static const uint64_t flags[] = {
		RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS, RTE_VHOST_USER_LINEARBUF_SUPPORT,
		RTE_VHOST_USER_EXTBUF_SUPPORT, RTE_VHOST_USER_NET_STATS_ENABLE,
	};
	uint8_t chosen = fuzz_u8(&fuzz.in);

	fuzz.driver = (struct vhost_driver){
		.path = "/fuzz",
		.features = VHOST_NET_FEATURES,
		.protocol_features = VHOST_PROTOCOL_FEATURES,
		.builtin = true,
	};
	if (chosen & 0x20) {
		fuzz.driver.features = CRYPTO_FEATURES;
		fuzz.driver.builtin = false;
		fuzz.driver.crypto = true;
		fuzz.driver.ops = &crypto_device_ops;
	}
	for (unsigned int i = 0; i < RTE_DIM(flags); i++)
		fuzz.driver.flags |= chosen >> i & 1 ? flags[i] : 0;
	fuzz_nodes_reset(chosen & 0x10 ? fuzz_u8(&fuzz.in) : 0);
}

static void
connect_device(void)
{
	int pair[2];

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "errno %d",
		errno);
	vhost_vu_link_init(&fuzz.link, pair[0], fuzz.driver.quota);
	fuzz.sock = pair[1];
	fuzz.dev = vhost_device_create(&fuzz.driver, &fuzz.link);
	FUZZ_CHECK(fuzz.dev != NULL, "no device");
}

/** All of the features, or those that the input names. */
static void
choose_features(void)
{
	uint8_t choice = fuzz_u8(&fuzz.in);
	uint64_t less = 0;

	if (!(choice & 2))
		less |= 1ull << VIRTIO_F_RING_PACKED;
	if (!(choice & 4))
		less |= 1ull << VIRTIO_F_IN_ORDER;
	if (choice & 1)
		less = ~fuzz_u64(&fuzz.in);
	if (fuzz.driver.crypto)
		less &= 1ull << VIRTIO_RING_F_EVENT_IDX;
	fuzz.features = (~less | FIXED_FEATURES) & fuzz.driver.features;
}

/** From a connection to a device that runs. */
static void
start_device(void)
{
	FUZZ_CHECK(call_u64(VU_SET_FEATURES, fuzz.features) == 0, "features 0x%" PRIx64,
		fuzz.features);
	call_u64(VU_SET_PROTOCOL_FEATURES, 1ull << VHOST_USER_PROTOCOL_F_RARP |
		1ull << VHOST_USER_PROTOCOL_F_CRYPTO_SESSION);
	FUZZ_CHECK(send_table() == 0, "no memory");
	for (unsigned int i = 0; i < RINGS; i++)
		start_ring(i, is_packed() ? PACKED_START : 0);
	FUZZ_CHECK(fuzz.dev->told.running, "the device does not run");
}

static void
disconnect_device(void)
{
	vhost_device_destroy(fuzz.dev, true);
	vhost_vu_link_close(&fuzz.link);
	close(fuzz.sock);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc __rte_unused, char ***argv __rte_unused)
{
	fuzz_start();
	guest_create();
	crypto_create();
	faults_create();
	for (unsigned int i = 0; i < RINGS; i++) {
		fuzz.callfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		fuzz.kickfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		FUZZ_CHECK(fuzz.callfds[i] >= 0 && fuzz.kickfds[i] >= 0, "errno %d", errno);
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz.in = (struct fuzz_input){ data, size };
	fuzz.based = true;
	fuzz_books_open();
	register_driver();
	fuzz_account_open(&fuzz.driver);
	choose_features();
	guest_reset(&fuzz.in, is_packed());
	connect_device();
	start_device();
	faults_arm(fuzz.sock);
	for (int i = 0; i < MAX_STEPS && fuzz.in.left > 0 && !faults_have_struck(); i++)
		steps[fuzz_u8(&fuzz.in) % RTE_DIM(steps)]();
	fuzz_hook = NULL;
	disconnect_device();
	crypto_end();
	fuzz_account_close(&fuzz.driver);
	fuzz_books_close();
	return 0;
}
