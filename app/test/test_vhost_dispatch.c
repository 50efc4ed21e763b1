/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Every request of the protocol, sent wrong in every way that a message can be
 * wrong: too short, too long, without its descriptors, with surplus ones, without
 * its feature, about a ring that cannot exist.
 *
 * After each deviation the request was refused (an ack with an error, or the end
 * of the connection), no descriptor is left open, and the device next door goes
 * on.  The rows are the specification's, not the library's own table.
 */

#include <stdlib.h>

#include "test_vhost_hostile.h"
#include "vhost_fake_inflight.h"

enum fds {
	NO_FDS,
	ONE_FD,
	RING_FD,	/* or none with the bit for it */
	REGION_FDS,
};

enum aim {
	DEVICE,
	STATE,		/* a ring, by index in the first word of the payload */
	ADDR,		/* the same, in the longer payload */
	RING_U64,	/* a ring, by index in the low byte */
};

struct row {
	const char *name;
	uint32_t request;
	unsigned int size;
	enum fds fds;
	enum aim aim;
	bool replies;
	uint64_t needs;		/* protocol features */
	bool absent;		/* not in this release: always refused */
};

#define ROW(name_, ...) { .name = #name_, .request = FE_##name_, __VA_ARGS__ }

static const struct row rows[] = {
	ROW(GET_FEATURES, .replies = true),
	ROW(SET_FEATURES, .size = 8),
	ROW(SET_OWNER),
	ROW(RESET_OWNER),
	ROW(SET_MEM_TABLE, .size = 40, .fds = REGION_FDS),
	ROW(SET_LOG_BASE, .size = 16, .fds = ONE_FD, .replies = true,
		.needs = FE_BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD)),
	ROW(SET_LOG_FD, .fds = ONE_FD),
	ROW(SET_VRING_NUM, .size = 8, .aim = STATE),
	ROW(SET_VRING_ADDR, .size = 40, .aim = ADDR),
	ROW(SET_VRING_BASE, .size = 8, .aim = STATE),
	ROW(GET_VRING_BASE, .size = 8, .aim = STATE, .replies = true),
	ROW(SET_VRING_KICK, .size = 8, .fds = RING_FD, .aim = RING_U64),
	ROW(SET_VRING_CALL, .size = 8, .fds = RING_FD, .aim = RING_U64),
	ROW(SET_VRING_ERR, .size = 8, .fds = RING_FD, .aim = RING_U64),
	ROW(GET_PROTOCOL_FEATURES, .replies = true),
	ROW(SET_PROTOCOL_FEATURES, .size = 8),
	ROW(GET_QUEUE_NUM, .replies = true),
	ROW(SET_VRING_ENABLE, .size = 8, .aim = STATE),
	ROW(SEND_RARP, .size = 8, .needs = FE_BIT(VHOST_USER_PROTOCOL_F_RARP)),
	ROW(NET_SET_MTU, .size = 8,
		.needs = FE_BIT(VHOST_USER_PROTOCOL_F_NET_MTU)),
	ROW(SET_SLAVE_REQ_FD, .fds = ONE_FD,
		.needs = FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ)),
	ROW(IOTLB_MSG, .size = 32, .absent = true),
	ROW(SET_VRING_ENDIAN, .size = 8, .absent = true),
	ROW(CREATE_CRYPTO_SESSION, .size = 632, .absent = true),
	ROW(CLOSE_CRYPTO_SESSION, .size = 8, .absent = true),
	ROW(POSTCOPY_ADVISE, .replies = true, .needs = FE_BIT(VHOST_USER_PROTOCOL_F_PAGEFAULT)),
	ROW(POSTCOPY_LISTEN, .needs = FE_BIT(VHOST_USER_PROTOCOL_F_PAGEFAULT)),
	ROW(POSTCOPY_END, .replies = true, .needs = FE_BIT(VHOST_USER_PROTOCOL_F_PAGEFAULT)),
	ROW(GET_INFLIGHT_FD, .size = 24, .replies = true,
		.needs = FE_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)),
	ROW(SET_INFLIGHT_FD, .size = 24, .fds = ONE_FD,
		.needs = FE_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)),
	ROW(GPU_SET_SOCKET, .fds = ONE_FD, .absent = true),
	ROW(RESET_DEVICE, .absent = true),
	ROW(VRING_KICK, .size = 8, .absent = true),
	ROW(GET_MAX_MEM_SLOTS, .replies = true, .needs = FE_BIT(FE_PROTOCOL_MEM_SLOTS)),
	ROW(ADD_MEM_REG, .size = 40, .fds = ONE_FD, .needs = FE_BIT(FE_PROTOCOL_MEM_SLOTS)),
	ROW(REM_MEM_REG, .size = 40, .needs = FE_BIT(FE_PROTOCOL_MEM_SLOTS)),
	ROW(SET_STATUS, .size = 8),
	ROW(GET_STATUS, .replies = true),
};

/* A message that could be right, before it is spoiled. */
struct attempt {
	uint8_t payload[FE_PAYLOAD_MAX];
	size_t size;
	int fds[FE_MAX_FDS];
	unsigned int nfds;
};

static struct attempt
right(struct fake *fe, const struct row *row)
{
	struct attempt a = { .size = row->size };

	for (unsigned int i = 0; i < FE_MAX_FDS; i++)
		a.fds[i] = fe->vqs[0].callfd;
	if (row->fds == REGION_FDS) {
		struct fake_mem_table table;

		fake_mem_table_of(fe, &table, a.fds);
		memcpy(a.payload, &table, row->size);
	}
	if (row->request == FE_SET_FEATURES)
		memcpy(a.payload, &fe->features, sizeof(fe->features));
	if (row->request == FE_SET_PROTOCOL_FEATURES)
		memcpy(a.payload, &fe->protocol_features, sizeof(uint64_t));
	if (row->request == FE_SET_VRING_NUM)
		memcpy(a.payload, &(struct fake_state){ 0, 256 }, 8);
	if (row->request == FE_NET_SET_MTU)
		memcpy(a.payload, &(uint64_t){ 1500 }, 8);
	if (row->request == FE_GET_INFLIGHT_FD)
		memcpy(a.payload, &(struct fake_inflight_msg){
			.num_queues = 2, .queue_size = 256 }, 24);
	if (row->request == FE_SET_VRING_ADDR) {
		struct fake_addr addr = fake_addr_of(fe, 0);

		memcpy(a.payload, &addr, sizeof(addr));
	}
	a.nfds = row->fds == NO_FDS ? 0 : 1;
	return a;
}

/** A connection on which the next attempt can be made. */
static int
renew(struct fake *fe)
{
	if (fe->sock >= 0 && fake_is_served(fe))
		return 0;
	return fake_connect(fe) || fake_negotiate(fe) || fake_send_mem_table(fe);
}

/**
 * Send it; was it refused?  A request with a reply of its own has none when it
 * was wrong: it is acknowledged with an error like the others.
 */
static bool
is_refused(struct fake *fe, const struct row *row, const struct attempt *a)
{
	enum fake_verdict v = fake_call(fe, row->request, a->payload, a->size,
		a->fds, a->nfds);

	if (v == FAKE_NACK || v == FAKE_CLOSED)
		return true;
	printf("verdict %d\n", v);
	return false;
}

static int
wrong_sizes(struct fake *fe, const struct row *row)
{
	const size_t sizes[] = { row->size + 1, row->size - 1, row->size + 8, 0,
		row->size / 2, 632 };

	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		struct attempt a;

		if (sizes[i] == row->size || sizes[i] > 632)
			continue;
		TEST_ASSERT_SUCCESS(renew(fe), "connect");
		a = right(fe, row);
		a.size = sizes[i];
		TEST_ASSERT(is_refused(fe, row, &a), "payload of %zu", a.size);
	}
	return 0;
}

static int
wrong_descriptors(struct fake *fe, const struct row *row)
{
	for (unsigned int n = 0; n <= FE_MAX_FDS; n++) {
		struct attempt a;

		TEST_ASSERT_SUCCESS(renew(fe), "connect");
		a = right(fe, row);
		if (n == a.nfds)
			continue;
		a.nfds = n;
		TEST_ASSERT(is_refused(fe, row, &a), "%u descriptors", n);
	}
	if (row->fds == RING_FD) {
		struct attempt a;

		TEST_ASSERT_SUCCESS(renew(fe), "connect");
		a = right(fe, row);
		memcpy(a.payload, &(uint64_t){ FE_NO_FD }, 8);
		TEST_ASSERT(is_refused(fe, row, &a),
			"one descriptor, and the word that there is none");
	}
	return 0;
}

static int
wrong_rings(struct fake *fe, const struct row *row)
{
	static const uint32_t indices[] = { 0x100, 0x101, 0x1ff, 0x10000, 0x10001,
		0x7fffffff, 0x80000000, 0xffffffff };

	if (row->aim != STATE && row->aim != ADDR)
		return 0;
	for (unsigned int i = 0; i < RTE_DIM(indices); i++) {
		struct attempt a;

		TEST_ASSERT_SUCCESS(renew(fe), "connect");
		a = right(fe, row);
		memcpy(a.payload, &indices[i], sizeof(indices[i]));
		TEST_ASSERT(is_refused(fe, row, &a), "ring %#x", indices[i]);
	}
	return 0;
}

/** Without any protocol feature but the acks. */
static int
without_feature(struct fake *fe, const struct row *row)
{
	uint64_t acks = FE_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK);
	struct attempt a;

	if (row->needs == 0)
		return 0;
	TEST_ASSERT_SUCCESS(fake_connect(fe), "connect");
	TEST_ASSERT_SUCCESS(fake_send(fe, FE_SET_PROTOCOL_FEATURES, 0, &acks,
		sizeof(acks), NULL, 0), "acks only");
	fe->reply_ack = true;
	a = right(fe, row);
	TEST_ASSERT(is_refused(fe, row, &a), "without %#" PRIx64,
		row->needs);
	fake_disconnect(fe);
	return 0;
}

static int
never(struct fake *fe, const struct row *row)
{
	struct attempt a;

	if (!row->absent)
		return 0;
	TEST_ASSERT_SUCCESS(renew(fe), "connect");
	a = right(fe, row);
	TEST_ASSERT(is_refused(fe, row, &a), "not in this release");
	return 0;
}

static int
walk_row(const void *arg)
{
	static int (* const ways[])(struct fake *, const struct row *) = {
		wrong_sizes, wrong_descriptors, wrong_rings, without_feature, never,
	};
	unsigned int before, i;
	struct two t;

	/* Once with acks and once where only the end of the connection tells. */
	for (int no_ack = 0; no_ack < 2; no_ack++) {
		TEST_ASSERT(two_start(&t, .until = FAKE_MEMORY,
			.flags = RTE_VHOST_USER_POSTCOPY_SUPPORT, .protocol_features =
			FE_BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |
			FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ) |
			FE_BIT(VHOST_USER_PROTOCOL_F_PAGEFAULT) |
			FE_BIT(FE_PROTOCOL_MEM_SLOTS) |
			FE_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD),
			.no_reply_ack = no_ack), "two devices");
		for (i = 0; i < RTE_DIM(ways); i++) {
			if (renew(t.bad) != 0)
				return TEST_FAILED;
			before = fake_count_fds();
			if (ways[i](t.bad, arg) != 0)
				return TEST_FAILED;
			TEST_ASSERT_SUCCESS(renew(t.bad), "connect");
			TEST_ASSERT(fake_wait_fds(before) <= before,
				"descriptors are left open");
			TEST_ASSERT(fake_is_served(t.good), "the other one");
		}
		if (two_end(&t) != TEST_SUCCESS)
			return TEST_FAILED;
	}
	return TEST_SUCCESS;
}

static int
unknown_requests_are_refused(void)
{
	static const uint32_t requests[] = { 0, 41, 42, 43, 44, 100, 255, 256,
		0x7fffffff, 0x80000000, 0xffffffff };
	struct two t;

	TEST_ASSERT(two_start(&t, .until = FAKE_MEMORY), "two devices");
	for (unsigned int i = 0; i < RTE_DIM(requests); i++)
		for (unsigned int nfds = 0; nfds < 3; nfds++) {
			struct row row = { .request = requests[i], .size = 8 };
			struct attempt a;

			TEST_ASSERT_SUCCESS(renew(t.bad), "connect");
			a = right(t.bad, &row);
			a.nfds = nfds;
			TEST_ASSERT(is_refused(t.bad, &row, &a), "request %u",
				requests[i]);
		}
	return two_end(&t);
}

/* The same random bytes for every run of a seed, over many connections. */
static int
random_messages_are_survived(void)
{
	unsigned int seed = test_param_u64("seed", fake_now_ms() & 0xffffff);
	unsigned int state = seed;
	struct two t;

	printf("seed=%u\n", seed);
	TEST_ASSERT(two_start(&t, .until = FAKE_MEMORY), "two devices");
	for (unsigned int i = 0; i < 4000; i++) {
		const struct row *row = &rows[rand_r(&state) % RTE_DIM(rows)];
		struct attempt a;

		if (t.bad->sock < 0 || i % 16 == 0)
			TEST_ASSERT_SUCCESS(renew(t.bad), "connect");
		a = right(t.bad, row);
		if (rand_r(&state) % 4 == 0)
			a.nfds = rand_r(&state) % (FE_MAX_FDS + 1);
		for (unsigned int k = rand_r(&state) % 4; k > 0; k--)
			a.payload[rand_r(&state) % 40] = rand_r(&state);
		if (fake_send(t.bad, row->request,
				rand_r(&state) % 2 ? FE_NEED_REPLY : 0, a.payload,
				a.size, a.fds, a.nfds) < 0)
			fake_disconnect(t.bad);
		if (i % 256 == 0)
			TEST_ASSERT_EQUAL(fake_round_trip(t.good, 0, 64), 64,
				"message %u of seed %u", i, seed);
	}
	t.bad->broken = false;
	return two_end(&t);
}

static const struct test_case fixed_cases[] = {
	TEST_CASE(unknown_requests_are_refused),
	TEST_CASE(random_messages_are_survived),
};

static int
test_vhost_dispatch(void)
{
	static struct test_case cases[RTE_DIM(rows) + RTE_DIM(fixed_cases)];
	struct test_suite suite = {
		.name = "vhost dispatch",
		.setup = fake_setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	for (unsigned int i = 0; i < RTE_DIM(rows); i++)
		cases[i] = (struct test_case)TEST_CASE_WITH(walk_row,
			rows[i].name, &rows[i]);
	memcpy(&cases[RTE_DIM(rows)], fixed_cases, sizeof(fixed_cases));
	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_dispatch_autotest, test_vhost_dispatch);
