/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Frontends that lie: half messages, memory that is not there, descriptors that
 * are something else, orders nobody expects.  Each case ends with a look at the
 * device next door (test_vhost_hostile.h); descriptors and mbufs are counted by
 * the suite.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/memfd.h>

#include <rte_mbuf.h>

#include "test_vhost_hostile.h"
#include "vhost_abi.h"

/* ---- the memory table ---- */

/* One wrong thing in a table of two regions. */
struct table_lie {
	const char *name;
	void (*spoil)(struct fake_mem_table *t, int *fds, unsigned int *nfds,
		unsigned int *nregions_sent);
};

#define SPOIL(fn) \
	static void fn(struct fake_mem_table *t __rte_unused, \
		int *fds __rte_unused, unsigned int *nfds __rte_unused, \
		unsigned int *sent __rte_unused)

/* A frontend address with nothing else near it; only a number to the library. */
#define FAR_UVA 0x100000000000ULL

SPOIL(larger_than_file)
{
	t->regions[1].size += 1 << 20;
	t->regions[1].uva = FAR_UVA;
}
SPOIL(slightly_larger_than_file)
{
	t->regions[1].size += 3 * 4096;
	t->regions[1].uva = FAR_UVA;
}
SPOIL(much_larger_than_file)
{
	t->regions[1].size = 1ULL << 45;
	t->regions[1].uva = FAR_UVA;
}
SPOIL(offset_beyond_file) { t->regions[1].mmap_offset = 1ULL << 40; }
SPOIL(offset_and_size_wrap) { t->regions[1].mmap_offset = -4096ULL; }
SPOIL(size_wraps) { t->regions[1].size = -4096ULL; }
SPOIL(size_0) { t->regions[1].size = 0; }
SPOIL(gpa_wraps) { t->regions[1].gpa = -4096ULL; }
SPOIL(uva_wraps) { t->regions[1].uva = -4096ULL; }
SPOIL(same_gpa) { t->regions[1].gpa = t->regions[0].gpa; }
SPOIL(overlapping_gpa)
{
	t->regions[1].gpa = t->regions[0].gpa + t->regions[0].size - 1;
}
SPOIL(same_uva) { t->regions[1].uva = t->regions[0].uva; }
SPOIL(overlapping_uva)
{
	t->regions[1].uva = t->regions[0].uva + t->regions[0].size - 1;
}
SPOIL(nregions_9) { t->nregions = 9; }
SPOIL(nregions_max) { t->nregions = 0xffffffff; }
SPOIL(nregions_more_than_sent) { t->nregions = 3; }
SPOIL(descriptor_missing) { *nfds = 1; }
SPOIL(no_descriptors) { *nfds = 0; }
SPOIL(descriptor_surplus) { fds[2] = fds[0]; *nfds = 3; }

static const struct table_lie table_lies[] = {
	{ "region_larger_than_file_is_refused", larger_than_file },
	{ "region_slightly_larger_than_file_is_refused",
		slightly_larger_than_file },
	{ "region_much_larger_than_file_is_refused", much_larger_than_file },
	{ "region_offset_beyond_file_is_refused", offset_beyond_file },
	{ "region_offset_and_size_wrap", offset_and_size_wrap },
	{ "region_size_wraps", size_wraps },
	{ "region_of_size_0", size_0 },
	{ "region_gpa_wraps", gpa_wraps },
	{ "region_uva_wraps", uva_wraps },
	{ "regions_at_the_same_gpa", same_gpa },
	{ "regions_overlap_in_gpa", overlapping_gpa },
	{ "regions_at_the_same_uva", same_uva },
	{ "regions_overlap_in_uva", overlapping_uva },
	{ "table_of_9_regions", nregions_9 },
	{ "table_of_4_billion_regions", nregions_max },
	{ "table_says_more_regions_than_it_has", nregions_more_than_sent },
	{ "table_lacks_a_descriptor", descriptor_missing },
	{ "table_without_descriptors", no_descriptors },
	{ "table_with_one_descriptor_too_many", descriptor_surplus },
};

/** A refused table leaves the old one in force, or ends the connection. */
static int
old_table_still_holds(struct fake *fe, enum fake_verdict v)
{
	TEST_ASSERT(v == FAKE_NACK || v == FAKE_CLOSED, "verdict %d", v);
	if (v == FAKE_NACK)
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 300), 300,
			"an error means that nothing happened");
	return 0;
}

static int
tell_table_lie(const void *arg)
{
	const struct table_lie *lie = arg;
	struct fake_mem_table table;
	int fds[FE_MAX_REGIONS];
	unsigned int nfds, sent;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .regions = 2), "two devices");
	fake_mem_table_of(t.bad, &table, fds);
	nfds = sent = table.nregions;
	lie->spoil(&table, fds, &nfds, &sent);
	if (old_table_still_holds(t.bad, fake_call(t.bad, FE_SET_MEM_TABLE,
			&table, offsetof(struct fake_mem_table, regions[sent]),
			fds, nfds)) != 0)
		return TEST_FAILED;
	return two_end(&t);
}

/* The same table many times, then a refused one as often: nothing piles up. */
static int
memory_tables_do_not_pile_up(void)
{
	struct fake_mem_table table;
	int fds[FE_MAX_REGIONS];
	unsigned int before;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .regions = 2), "two devices");
	fake_mem_table_of(t.bad, &table, fds);
	before = fake_count_fds();
	for (int i = 0; i < 300; i++)
		TEST_ASSERT_SUCCESS(fake_send_mem_table(t.bad), "round %d", i);
	TEST_ASSERT_EQUAL(fake_wait_fds(before), before, "same table again");
	table.regions[1].size += 1 << 20;
	table.regions[1].uva = FAR_UVA;
	for (int i = 0; i < 300; i++)
		if (fake_call(t.bad, FE_SET_MEM_TABLE, &table,
				offsetof(struct fake_mem_table, regions[2]),
				fds, 2) != FAKE_NACK)
			break;
	TEST_ASSERT(fake_wait_fds(before) <= before, "refused table again");
	return two_end(&t);
}

/* ---- descriptors that are something else ---- */

/** Make a descriptor of a kind; peer gets what must be closed with it, or -1. */
struct fd_kind {
	const char *name;
	int (*make)(int *peer);
	enum { REFUSED, MAY_BE_REFUSED, ACCEPTED } as_doorbell;
	bool blocking_later;	/* its flags are ours to change when it has been accepted */
};

static int
make_full_eventfd(int *peer)
{
	uint64_t full = 0xfffffffffffffffeULL;
	int fd = eventfd(0, EFD_CLOEXEC);	/* a blocking one */

	*peer = -1;
	return fd >= 0 && write(fd, &full, sizeof(full)) < 0 ? -1 : fd;
}

static int
make_semaphore(int *peer)
{
	*peer = -1;
	return eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
}

static void
fill(int fd)
{
	static const char junk[4096];
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	while (write(fd, junk, sizeof(junk)) > 0)
		;
	while (write(fd, junk, 1) > 0)
		;
	fcntl(fd, F_SETFL, flags);
}

static int
make_full_pipe(int *peer)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	fill(fds[1]);
	*peer = fds[0];
	return fds[1];
}

static int
make_broken_pipe(int *peer)
{
	int fds[2];

	*peer = -1;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	close(fds[0]);
	return fds[1];
}

static int
make_full_socket(int *peer)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	fill(fds[1]);
	*peer = fds[0];
	return fds[1];
}

static int
make_broken_socket(int *peer)
{
	int fds[2];

	*peer = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	close(fds[0]);
	return fds[1];
}

static int
make_directory(int *peer)
{
	*peer = -1;
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int
make_null_device(int *peer)
{
	*peer = -1;
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int
make_empty_memfd(int *peer)
{
	*peer = -1;
	return syscall(SYS_memfd_create, "empty", MFD_CLOEXEC);
}

/** Who has it can only say what it is (open(2), O_PATH). */
static int
path_of(int fd)
{
	char path[32];
	int ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = open(path, O_PATH | O_CLOEXEC);
	close(fd);
	return ret;
}

static int
make_path_of_eventfd(int *peer)
{
	*peer = -1;
	return path_of(eventfd(0, EFD_CLOEXEC));
}

static int
make_path_of_pipe(int *peer)
{
	return path_of(make_full_pipe(peer));
}

static const struct fd_kind fd_kinds[] = {
	{ "full_eventfd", make_full_eventfd, ACCEPTED },
	{ "eventfd_full_and_blocking_again", make_full_eventfd, ACCEPTED, true },
	{ "semaphore_eventfd", make_semaphore, ACCEPTED },
	{ "full_pipe", make_full_pipe, MAY_BE_REFUSED },
	{ "broken_pipe", make_broken_pipe, MAY_BE_REFUSED },
	/* user-mode Linux is notified over one end of a pair */
	{ "full_socket", make_full_socket, MAY_BE_REFUSED },
	{ "broken_socket", make_broken_socket, MAY_BE_REFUSED },
	{ "path_of_eventfd", make_path_of_eventfd, REFUSED },
	{ "path_of_full_pipe", make_path_of_pipe, MAY_BE_REFUSED },
	{ "directory", make_directory, REFUSED },
	{ "null_device", make_null_device, REFUSED },
	{ "empty_file", make_empty_memfd, REFUSED },
};

/** Carry packets for a while; how long it took is bounded. */
static int
bursts_do_not_block(struct fake *fe)
{
	uint64_t start = fake_now_ms();
	struct rte_mbuf *m = fake_mbuf(64, 1, 0), *out[32];

	fake_rx_fill(&fe->vqs[0], 32, 256, NULL);
	for (int i = 0; i < 32; i++) {
		unsigned int n;

		fake_tx_send(&fe->vqs[1], NULL, "0123456789abcdef", 16, NULL);
		rte_vhost_enqueue_burst(fe->vid, 0, &m, 1);
		n = rte_vhost_dequeue_burst(fe->vid, 1, fake_pool(), out, 32);
		rte_pktmbuf_free_bulk(out, n);
		rte_vhost_vring_call(fe->vid, 0);
	}
	rte_pktmbuf_free(m);
	TEST_ASSERT(fake_now_ms() - start < 2000, "bursts must not block");
	return 0;
}

static int
give_ring_descriptor(const struct fd_kind *kind, uint32_t request)
{
	enum fake_verdict v = FAKE_TIMEOUT;
	int fd, peer = -1;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	fd = kind->make(&peer);
	TEST_ASSERT(fd >= 0, "a %s", kind->name);
	for (unsigned int q = 0; q < 2 && v != FAKE_CLOSED; q++)
		v = fake_call_fd(t.bad, request, q, fd);
	if (kind->blocking_later)
		TEST_ASSERT_SUCCESS(fcntl(fd, F_SETFL, 0), "blocking again");
	close(fd);
	if (v != FAKE_CLOSED && bursts_do_not_block(t.bad) != 0)
		return TEST_FAILED;
	if (peer >= 0)
		close(peer);
	if (v != FAKE_CLOSED && bursts_do_not_block(t.bad) != 0)
		return TEST_FAILED;
	if (kind->as_doorbell == ACCEPTED)
		TEST_ASSERT_EQUAL(v, FAKE_ACK, "an eventfd is an eventfd");
	if (kind->as_doorbell == REFUSED)
		TEST_ASSERT(v == FAKE_NACK || v == FAKE_CLOSED,
			"a %s is none, verdict %d", kind->name, v);
	return two_end(&t);
}

static int
callfd_may_be_anything(const void *arg)
{
	return give_ring_descriptor(arg, FE_SET_VRING_CALL);
}

static int
kickfd_may_be_anything(const void *arg)
{
	return give_ring_descriptor(arg, FE_SET_VRING_KICK);
}

static int
region_file_may_be_anything(const void *arg)
{
	const struct fd_kind *kind = arg;
	struct fake_mem_table table;
	int fds[FE_MAX_REGIONS], peer = -1, fd;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .regions = 2), "two devices");
	fd = kind->make(&peer);
	TEST_ASSERT(fd >= 0, "a %s", kind->name);
	fake_mem_table_of(t.bad, &table, fds);
	fds[1] = fd;
	if (old_table_still_holds(t.bad, fake_call(t.bad, FE_SET_MEM_TABLE,
			&table, offsetof(struct fake_mem_table, regions[2]),
			fds, 2)) != 0)
		return TEST_FAILED;
	close(fd);
	if (peer >= 0)
		close(peer);
	return two_end(&t);
}

static int
errfd_is_no_leak(void)
{
	unsigned int before;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	before = fake_count_fds();
	for (int i = 0; i < 200; i++)
		TEST_ASSERT(fake_call_fd(t.bad, FE_SET_VRING_ERR, i % 2,
			t.bad->vqs[0].callfd) != FAKE_TIMEOUT, "round %d", i);
	TEST_ASSERT(fake_wait_fds(before + 2) <= before + 2, "at most one each");
	return two_end(&t);
}

static int
ring_descriptors_are_replaced(void)
{
	unsigned int before;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	before = fake_count_fds();
	for (int i = 0; i < 400; i++) {
		struct fake_vq *vq = &t.bad->vqs[i % 2];

		TEST_ASSERT_EQUAL(fake_call_fd(t.bad, FE_SET_VRING_KICK, i % 2,
			vq->kickfd), FAKE_ACK, "kick %d", i);
		TEST_ASSERT_EQUAL(fake_call_fd(t.bad, FE_SET_VRING_CALL, i % 2,
			vq->callfd), FAKE_ACK, "call %d", i);
	}
	TEST_ASSERT_EQUAL(fake_wait_fds(before), before, "one of each");
	TEST_ASSERT_EQUAL(fake_round_trip(t.bad, 0, 64), 64, "still running");
	return two_end(&t);
}

static int
ring_without_interrupt_descriptor_runs(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	TEST_ASSERT_EQUAL(fake_call_fd(t.bad, FE_SET_VRING_CALL, 0, -1), FAKE_ACK,
		"polling driver");
	TEST_ASSERT_EQUAL(fake_call_fd(t.bad, FE_SET_VRING_KICK, 1, -1), FAKE_ACK,
		"polling device");
	TEST_ASSERT_EQUAL(fake_round_trip(t.bad, 0, 64), 64, "running");
	TEST_ASSERT_EQUAL(fake_interrupts(&t.bad->vqs[0]), 0, "none");
	return two_end(&t);
}

/** The far end of a back channel, which nobody reads. */
static int
back_channel_may_be_full(void)
{
	uint64_t start;
	int fds[2];
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .protocol_features =
		FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ) |
		FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD)), "two devices");
	TEST_ASSERT_SUCCESS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
		fds), "a pair");
	fill(fds[1]);
	TEST_ASSERT_EQUAL(fake_call(t.bad, FE_SET_SLAVE_REQ_FD, NULL, 0, &fds[1],
		1), FAKE_ACK, "back channel");
	start = fake_now_ms();
	rte_vhost_backend_config_change(t.bad->vid, false);
	TEST_ASSERT(fake_now_ms() - start < 2000, "must not block");
	close(fds[0]);
	rte_vhost_backend_config_change(t.bad->vid, false);
	close(fds[1]);
	return two_end(&t);
}

/* Who waits for it gives up, and with the channel; nobody else waits at all. */
static int
back_channel_answer_never_comes(void)
{
	uint64_t start;
	int fds[2];
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .protocol_features =
		FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ)), "two devices");
	TEST_ASSERT_SUCCESS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
		fds), "a pair");
	TEST_ASSERT_EQUAL(fake_call(t.bad, FE_SET_SLAVE_REQ_FD, NULL, 0, &fds[1],
		1), FAKE_ACK, "back channel");
	start = fake_now_ms();
	TEST_ASSERT(rte_vhost_backend_config_change(t.bad->vid, true) < 0, "no answer");
	TEST_ASSERT(fake_now_ms() - start < fake_patience_ms(), "it gives up");
	TEST_ASSERT_EQUAL(rte_vhost_backend_config_change(t.bad->vid, true), -ENODEV,
		"a late answer would be taken for another one");
	close(fds[0]);
	close(fds[1]);
	return two_end(&t);
}

static int
back_channel_is_replaced(void)
{
	unsigned int before;
	int fds[2];
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .protocol_features =
		FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ)), "two devices");
	TEST_ASSERT_SUCCESS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
		fds), "a pair");
	before = fake_count_fds();
	for (int i = 0; i < 200; i++)
		TEST_ASSERT_EQUAL(fake_call(t.bad, FE_SET_SLAVE_REQ_FD, NULL, 0,
			&fds[1], 1), FAKE_ACK, "round %d", i);
	TEST_ASSERT_EQUAL(fake_wait_fds(before + 1), before + 1, "only one");
	close(fds[0]);
	close(fds[1]);
	return two_end(&t);
}

/*
 * Handed its own end of the connection the library must not keep itself
 * connected by it: as interrupt descriptor it is refused, and as back channel
 * it goes at the latest with the socket.
 */
static int
own_end_of_the_connection_as_descriptor(void)
{
	enum fake_verdict v;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	v = fake_call_fd(t.bad, FE_SET_VRING_CALL, 0, t.bad->sock);
	TEST_ASSERT(v == FAKE_NACK || v == FAKE_CLOSED, "verdict %d", v);
	fake_disconnect(t.bad);
	TEST_ASSERT(!t.bad->broken, "the end of the connection is noticed");
	return two_end(&t);
}

/* ---- half messages and silence ---- */

static int
half_message_stalls_nobody(void)
{
	static const size_t halves[] = { 1, 4, 11, 12, 13, 19 };
	uint64_t features = 0;
	struct fake_msg msg = {
		.request = FE_SET_VRING_ENABLE, .flags = FE_VERSION,
		.size = sizeof(struct fake_state),
	};
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (unsigned int i = 0; i < RTE_DIM(halves); i++) {
		uint64_t start = fake_now_ms();

		TEST_ASSERT_SUCCESS(fake_send_bytes(t.bad, &msg, halves[i], NULL,
			0), "half of it");
		TEST_ASSERT(fake_is_served(t.good), "after %zu bytes", halves[i]);
		TEST_ASSERT_EQUAL(fake_round_trip(t.good, 0, 64), 64, "traffic");
		TEST_ASSERT(fake_now_ms() - start < 2000, "at once");
		TEST_ASSERT_SUCCESS(fake_send_bytes(t.bad,
			(const char *)&msg + halves[i], 20 - halves[i], NULL, 0),
			"the other half");
		TEST_ASSERT_SUCCESS(fake_ask_u64(t.bad, FE_GET_FEATURES,
			&features), "whole again after %zu bytes", halves[i]);
	}
	return two_end(&t);
}

static int
message_may_come_byte_by_byte(void)
{
	struct fake_msg msg = { .request = FE_GET_FEATURES, .flags = FE_VERSION };
	struct fake_msg reply;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (unsigned int i = 0; i < FE_HEADER_SIZE; i++)
		TEST_ASSERT_SUCCESS(fake_send_bytes(t.bad, (const char *)&msg + i,
			1, NULL, 0), "byte %u", i);
	TEST_ASSERT_EQUAL(fake_recv(t.bad, &reply, NULL, NULL), 1, "a reply");
	return two_end(&t);
}

static int
many_messages_may_come_at_once(void)
{
	struct fake_msg reply;
	char bytes[100 * FE_HEADER_SIZE];
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (int i = 0; i < 100; i++) {
		struct fake_msg msg = { .request = FE_GET_FEATURES,
			.flags = FE_VERSION };

		memcpy(bytes + i * FE_HEADER_SIZE, &msg, FE_HEADER_SIZE);
	}
	TEST_ASSERT_SUCCESS(fake_send_bytes(t.bad, bytes, sizeof(bytes), NULL, 0),
		"all at once");
	for (int i = 0; i < 100; i++)
		TEST_ASSERT_EQUAL(fake_recv(t.bad, &reply, NULL, NULL), 1,
			"reply %d", i);
	return two_end(&t);
}

static int
half_message_with_descriptors_is_no_leak(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .until = FAKE_CONNECTED),
		"two devices");
	for (int i = 0; i < 50; i++) {
		struct fake_msg msg = { .request = FE_SET_MEM_TABLE,
			.flags = FE_VERSION, .size = 264 };
		int fds[8];

		for (int k = 0; k < 8; k++)
			fds[k] = t.bad->regions[0].fd;
		TEST_ASSERT_SUCCESS(fake_send_bytes(t.bad, &msg, 12 + i % 2 * 40,
			fds, 8), "half a table");
		TEST_ASSERT_SUCCESS(fake_connect(t.bad), "again");
	}
	return two_end(&t);
}

static int
unread_replies_stall_nobody(void)
{
	struct fake_msg msg = { .request = FE_GET_FEATURES, .flags = FE_VERSION };
	struct two t;
	int small = 1;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	setsockopt(t.bad->sock, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (int i = 0; i < 20000; i++) {
		/* Not fake_send(): it would wait for room. */
		if (send(t.bad->sock, &msg, FE_HEADER_SIZE, MSG_NOSIGNAL |
				MSG_DONTWAIT) != FE_HEADER_SIZE)
			break;
	}
	for (int i = 0; i < 5; i++) {
		uint64_t start = fake_now_ms();

		TEST_ASSERT(fake_is_served(t.good), "round %d", i);
		TEST_ASSERT(fake_now_ms() - start < 1000, "at once");
	}
	return two_end(&t);
}

/* ---- orders nobody expects ---- */

static int
set_vring_num_on_live_ring_is_safe(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (unsigned int size = 1; size <= 32768; size *= 2) {
		enum fake_verdict v = FAKE_ACK;

		for (unsigned int q = 0; q < 2 && v != FAKE_CLOSED; q++)
			v = fake_call_state(t.bad, FE_SET_VRING_NUM, q, size);
		if (v == FAKE_CLOSED)
			break;
		if (bursts_do_not_block(t.bad) != 0)
			return TEST_FAILED;
		/* What the library made of the ring is not ours to collect. */
		fake_vq_reset(&t.bad->vqs[0]);
		fake_vq_reset(&t.bad->vqs[1]);
	}
	TEST_ASSERT(fake_guards_intact(t.bad), "nothing outside was written");
	t.bad->broken = false;
	return two_end(&t);
}

static int
invalid_vring_num_changes_nothing(void)
{
	static const uint32_t sizes[] = { 0, 3, 255, 257, 32767, 32769, 65536,
		65537, 0x80000000, 0xffffffff };
	struct rte_vhost_vring vring;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		TEST_ASSERT_EQUAL(fake_call_state(t.bad, FE_SET_VRING_NUM, 0,
			sizes[i]), FAKE_NACK, "size %u", sizes[i]);
		TEST_ASSERT_SUCCESS(rte_vhost_get_vhost_vring(t.bad->vid, 0,
			&vring), "still there");
		TEST_ASSERT_EQUAL(vring.size, 256, "after %u", sizes[i]);
		TEST_ASSERT_EQUAL(fake_round_trip(t.bad, 0, 64), 64, "runs");
	}
	return two_end(&t);
}

static int
ring_without_vring_num_never_runs(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .until = FAKE_MEMORY),
		"two devices");
	for (unsigned int q = 0; q < 2; q++) {
		struct fake_addr addr = fake_addr_of(t.bad, q);

		fake_call(t.bad, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
		fake_call_fd(t.bad, FE_SET_VRING_KICK, q, t.bad->vqs[q].kickfd);
		fake_call_fd(t.bad, FE_SET_VRING_CALL, q, t.bad->vqs[q].callfd);
		fake_call_state(t.bad, FE_SET_VRING_ENABLE, q, 1);
	}
	TEST_ASSERT_EQUAL(fake_events(t.bad, FAKE_NEW_DEVICE), 0, "no size");
	TEST_ASSERT_SUCCESS(bursts_do_not_block(t.bad), "nor does it crash");
	TEST_ASSERT_EQUAL(fake_interrupts(&t.bad->vqs[0]), 0, "nothing carried");
	return two_end(&t);
}

static int
restart_without_vring_num(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (unsigned int q = 0; q < 2; q++)
		TEST_ASSERT(fake_stop_vring(t.bad, q) >= 0, "stop");
	for (unsigned int q = 0; q < 2; q++) {
		struct fake_addr addr = fake_addr_of(t.bad, q);

		fake_call(t.bad, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
		fake_call_fd(t.bad, FE_SET_VRING_KICK, q, t.bad->vqs[q].kickfd);
		fake_call_fd(t.bad, FE_SET_VRING_CALL, q, t.bad->vqs[q].callfd);
		fake_call_state(t.bad, FE_SET_VRING_ENABLE, q, 1);
	}
	TEST_ASSERT_SUCCESS(bursts_do_not_block(t.bad), "run or not, no crash");
	return two_end(&t);
}

/* Addresses of a ring, each wrong in one way. */
static const struct {
	const char *what;
	struct fake_addr by;	/* added to the right one */
} bad_addrs[] = {
	{ "desc outside", { .desc = 1ULL << 40 } },
	{ "avail outside", { .avail = 1ULL << 40 } },
	{ "used outside", { .used = 1ULL << 40 } },
	{ "desc misaligned", { .desc = 1 } },
	{ "avail misaligned", { .avail = 1 } },
	{ "used misaligned", { .used = 2 } },
};

static int
ring_addresses_outside_memory(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (unsigned int i = 0; i < RTE_DIM(bad_addrs); i++) {
		struct fake_addr addr = fake_addr_of(t.bad, 0);

		addr.desc += bad_addrs[i].by.desc;
		addr.avail += bad_addrs[i].by.avail;
		addr.used += bad_addrs[i].by.used;
		if (fake_call(t.bad, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL,
				0) == FAKE_CLOSED)
			TEST_ASSERT_SUCCESS(fake_connect(t.bad) ||
				fake_negotiate(t.bad) ||
				fake_send_mem_table(t.bad) || fake_run(t.bad),
				"connect again");
		if (bursts_do_not_block(t.bad) != 0) {
			printf("%s\n", bad_addrs[i].what);
			return TEST_FAILED;
		}
		TEST_ASSERT(fake_guards_intact(t.bad), "%s", bad_addrs[i].what);
	}
	t.bad->broken = false;
	return two_end(&t);
}

static int
ring_with_too_little_room_left(void)
{
	static const uint64_t room[] = { 0, 1, 15, 512, 2000 };
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	for (unsigned int i = 0; i < 3 * RTE_DIM(room); i++) {
		const struct fake_region *r = &t.bad->regions[0];
		struct fake_addr addr = fake_addr_of(t.bad, 0);
		uint64_t at = RTE_ALIGN_FLOOR(r->wire.uva + r->wire.size -
			room[i / 3], 16);

		if (i % 3 == 0)
			addr.desc = at;
		else if (i % 3 == 1)
			addr.avail = at;
		else
			addr.used = at;
		if (fake_call(t.bad, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL,
				0) == FAKE_CLOSED)
			break;
		if (bursts_do_not_block(t.bad) != 0)
			return TEST_FAILED;
		TEST_ASSERT(fake_guards_intact(t.bad), "room %" PRIu64, room[i / 3]);
	}
	t.bad->broken = false;
	return two_end(&t);
}

static int
ring_address_before_memory_table(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .until = FAKE_NEGOTIATED),
		"two devices");
	for (unsigned int q = 0; q < 2; q++)
		fake_setup_vring(t.bad, q);
	if (fake_is_served(t.bad)) {
		fake_call_state(t.bad, FE_SET_VRING_ENABLE, 0, 1);
		fake_call_state(t.bad, FE_SET_VRING_ENABLE, 1, 1);
		if (bursts_do_not_block(t.bad) != 0)
			return TEST_FAILED;
	}
	TEST_ASSERT_EQUAL(fake_events(t.bad, FAKE_NEW_DEVICE), 0, "no memory");
	return two_end(&t);
}

static int
first_message_names_ring_5(void)
{
	static const uint32_t requests[] = { FE_SET_VRING_NUM, FE_SET_VRING_BASE,
		FE_GET_VRING_BASE, FE_SET_VRING_ENABLE };
	struct two t;

	TEST_ASSERT(two_start(&t, .queues = 4, .until = FAKE_CONNECTED),
		"two devices");
	for (unsigned int i = 0; i < RTE_DIM(requests); i++) {
		struct fake_state state = { 5, 256 };

		fake_send(t.bad, requests[i], 0, &state, sizeof(state), NULL, 0);
		fake_is_served(t.bad);
		rte_vhost_get_vring_num(t.bad->vid);
		for (unsigned int q = 0; q < 6; q++) {
			struct rte_vhost_vring vring;

			rte_vhost_get_vhost_vring(t.bad->vid, q, &vring);
			rte_vhost_avail_entries(t.bad->vid, q);
		}
		TEST_ASSERT_SUCCESS(fake_connect(t.bad), "again");
	}
	return two_end(&t);
}

static int
features_do_not_change_while_running(void)
{
	uint64_t features;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	TEST_ASSERT_EQUAL(fake_call_u64(t.bad, FE_SET_FEATURES,
		t.bad->features & ~FE_BIT(VIRTIO_NET_F_MRG_RXBUF)), FAKE_NACK,
		"other features");
	TEST_ASSERT_SUCCESS(rte_vhost_get_negotiated_features(t.bad->vid,
		&features), "ask");
	TEST_ASSERT_EQUAL(features, t.bad->features, "the old ones");
	TEST_ASSERT_EQUAL(fake_call_u64(t.bad, FE_SET_FEATURES, t.bad->features),
		FAKE_ACK, "the same again");
	TEST_ASSERT_EQUAL(fake_round_trip(t.bad, 0, 64), 64, "runs");
	return two_end(&t);
}

/* ---- nothing piles up ---- */

/** What is done over and over. */
struct habit {
	const char *name;
	void (*once)(struct fake *fe, unsigned int i);
};

static void
habit_vring_num(struct fake *fe, unsigned int i)
{
	fake_call_state(fe, FE_SET_VRING_NUM, i % 2, 1024 << i / 2 % 6);
}

static void
habit_reset_owner(struct fake *fe, unsigned int i)
{
	fake_call_state(fe, FE_SET_VRING_NUM, i % 2, 4096);
	fake_call(fe, FE_RESET_OWNER, NULL, 0, NULL, 0);
}

static void
habit_mem_table(struct fake *fe, unsigned int i __rte_unused)
{
	fake_send_mem_table(fe);
}

static void
habit_restart(struct fake *fe, unsigned int i)
{
	fake_setup_vring(fe, i % 2);
	fake_enable_vring(fe, i % 2, true);
	fake_stop_vring(fe, i % 2);
}

static void
habit_reconnect(struct fake *fe, unsigned int i)
{
	if (i % 8 != 0)
		return;
	fake_connect(fe);
	fake_negotiate(fe);
	fake_send_mem_table(fe);
	fake_setup_vring(fe, 0);
	fake_setup_vring(fe, 1);
}

static const struct habit habits[] = {
	{ "set_vring_num", habit_vring_num },
	{ "reset_owner", habit_reset_owner },
	{ "set_mem_table", habit_mem_table },
	{ "start_and_stop", habit_restart },
	{ "connect_and_disconnect", habit_reconnect },
};

static int
memory_stays_flat(const void *arg)
{
	const struct habit *habit = arg;
	uint64_t before;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true, .until = FAKE_MEMORY),
		"two devices");
	for (unsigned int i = 0; i < 100; i++)
		habit->once(t.bad, i);
	before = fake_resident_kib();
	for (unsigned int i = 0; i < 1500; i++)
		habit->once(t.bad, i);
	TEST_ASSERT(fake_is_served(t.bad), "all of it was handled");
	/* A leak of one small ring each time would be 24 MiB. */
	TEST_ASSERT(fake_resident_kib() < before + FAKE_GROWTH_KIB(8 * 1024),
		"%" PRIu64 " KiB more than before", fake_resident_kib() - before);
	return two_end(&t);
}

/* ---- messages of features that are not offered ---- */

static int
refused_without_leak(uint32_t request, const void *payload, size_t size,
		unsigned int nfds)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .until = FAKE_NEGOTIATED), "two devices");
	for (int i = 0; i < 20; i++) {
		int fds[8];
		enum fake_verdict v;

		for (unsigned int k = 0; k < nfds; k++)
			fds[k] = t.bad->vqs[0].callfd;
		v = fake_call(t.bad, request, payload, size, fds, nfds);
		TEST_ASSERT(v == FAKE_NACK || v == FAKE_CLOSED, "verdict %d", v);
		if (v == FAKE_CLOSED)
			TEST_ASSERT_SUCCESS(fake_connect(t.bad) ||
				fake_negotiate(t.bad), "again");
	}
	return two_end(&t);
}

static int
postcopy_advise_is_refused_without_leak(void)
{
	return refused_without_leak(FE_POSTCOPY_ADVISE, NULL, 0, 0);
}

static int
crypto_session_is_refused(void)
{
	static const uint8_t session[632];

	return refused_without_leak(FE_CREATE_CRYPTO_SESSION, session, 632, 0);
}

static int
more_descriptors_than_a_message_may_have(void)
{
	struct two t;

	TEST_ASSERT(two_start(&t, .until = FAKE_NEGOTIATED), "two devices");
	for (int i = 0; i < 20; i++) {
		struct fake_msg msg = { .request = FE_GET_FEATURES,
			.flags = FE_VERSION };
		int fds[64];

		for (unsigned int k = 0; k < RTE_DIM(fds); k++)
			fds[k] = t.bad->vqs[0].callfd;
		TEST_ASSERT_SUCCESS(fake_send_bytes(t.bad, &msg, FE_HEADER_SIZE,
			fds, RTE_DIM(fds)), "64 descriptors");
		TEST_ASSERT(fake_is_closed(t.bad), "too many");
		TEST_ASSERT_SUCCESS(fake_connect(t.bad), "again");
	}
	return two_end(&t);
}

static int
announced_size_beyond_all_bounds(void)
{
	static const uint32_t sizes[] = { 633, 4097, 1 << 20, 0x7fffffff,
		0x80000000, 0xffffffff };
	struct two t;

	TEST_ASSERT(two_start(&t, .until = FAKE_NEGOTIATED), "two devices");
	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		struct fake_msg msg = { .request = FE_SET_VRING_NUM,
			.flags = FE_VERSION, .size = sizes[i] };

		TEST_ASSERT_SUCCESS(fake_send_bytes(t.bad, &msg, FE_HEADER_SIZE,
			NULL, 0), "header");
		TEST_ASSERT(fake_is_closed(t.bad), "size %u", sizes[i]);
		TEST_ASSERT_SUCCESS(fake_connect(t.bad), "again");
	}
	return two_end(&t);
}

/* ---- the suite ---- */

static const struct test_case fixed_cases[] = {
	TEST_CASE(memory_tables_do_not_pile_up),
	TEST_CASE(errfd_is_no_leak),
	TEST_CASE(ring_descriptors_are_replaced),
	TEST_CASE(ring_without_interrupt_descriptor_runs),
	TEST_CASE(back_channel_may_be_full),
	TEST_CASE(back_channel_answer_never_comes),
	TEST_CASE(back_channel_is_replaced),
	TEST_CASE(own_end_of_the_connection_as_descriptor),
	TEST_CASE(half_message_stalls_nobody),
	TEST_CASE(message_may_come_byte_by_byte),
	TEST_CASE(many_messages_may_come_at_once),
	TEST_CASE(half_message_with_descriptors_is_no_leak),
	TEST_CASE(unread_replies_stall_nobody),
	TEST_CASE(set_vring_num_on_live_ring_is_safe),
	TEST_CASE(invalid_vring_num_changes_nothing),
	TEST_CASE(ring_without_vring_num_never_runs),
	TEST_CASE(restart_without_vring_num),
	TEST_CASE(ring_addresses_outside_memory),
	TEST_CASE(ring_with_too_little_room_left),
	TEST_CASE(ring_address_before_memory_table),
	TEST_CASE(first_message_names_ring_5),
	TEST_CASE(features_do_not_change_while_running),
	TEST_CASE(postcopy_advise_is_refused_without_leak),
	TEST_CASE(crypto_session_is_refused),
	TEST_CASE(more_descriptors_than_a_message_may_have),
	TEST_CASE(announced_size_beyond_all_bounds),
};

#define NB_CASES (RTE_DIM(table_lies) + 3 * RTE_DIM(fd_kinds) + \
	RTE_DIM(habits) + RTE_DIM(fixed_cases))

static struct test_case cases[NB_CASES];
static char names[NB_CASES][64];
static unsigned int nb_cases;

static void
add_case(const char *before, const char *name, int (*run)(const void *),
		const void *arg)
{
	snprintf(names[nb_cases], sizeof(names[0]), "%s%s", before, name);
	cases[nb_cases] = (struct test_case)TEST_CASE_WITH(run, names[nb_cases],
		arg);
	nb_cases++;
}

static int
test_vhost_hostile_message(void)
{
	struct test_suite suite = {
		.name = "vhost hostile message",
		.setup = fake_setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	nb_cases = 0;
	for (unsigned int i = 0; i < RTE_DIM(table_lies); i++)
		add_case("", table_lies[i].name, tell_table_lie, &table_lies[i]);
	for (unsigned int i = 0; i < RTE_DIM(fd_kinds); i++) {
		const struct fd_kind *kind = &fd_kinds[i];

		add_case("callfd_may_be_", kind->name, callfd_may_be_anything,
			kind);
		add_case("kickfd_may_be_", kind->name, kickfd_may_be_anything,
			kind);
		add_case("region_file_may_be_", kind->name,
			region_file_may_be_anything, kind);
	}
	for (unsigned int i = 0; i < RTE_DIM(habits); i++)
		add_case("memory_stays_flat_", habits[i].name, memory_stays_flat,
			&habits[i]);
	memcpy(&cases[nb_cases], fixed_cases, sizeof(fixed_cases));
	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_hostile_message_autotest,
	test_vhost_hostile_message);
