/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Steps that are messages, right or spoiled in one place, and questions. */

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_vhost.h>

#include "differ.h"

/** Bytes of an answer that are told. */
#define TOLD_BYTES 24

static void
tell_verdict(struct play *play, enum fake_verdict verdict)
{
	static const char *const names[] = {
		[FAKE_ACK - FAKE_TIMEOUT] = "ack", [FAKE_NACK - FAKE_TIMEOUT] = "nack",
		[FAKE_CLOSED - FAKE_TIMEOUT] = "closed", [FAKE_TIMEOUT - FAKE_TIMEOUT] = "silent",
	};

	if (verdict == FAKE_CLOSED)
		play->closed = true;
	tell("%s", names[verdict - FAKE_TIMEOUT]);
}

/** 0 is well, for functions of the fake that do not say what went wrong. */
static void
tell_result(struct play *play, int64_t result)
{
	uint64_t features;

	if (result < 0 && fake_ask_u64(play->fe, FE_GET_FEATURES, &features) < 0) {
		play->closed = true;
		tell("closed");
		return;
	}
	tell("%jd", (intmax_t)result);
}

/* ---- messages of any kind ---- */

static int
make_file(size_t size)
{
	int fd = memfd_create("vhost-differ", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, size) < 0)
		abort();
	return fd;
}

static int
make_channel(struct play *play)
{
	int pair[2];

	if (play->nchannels == RTE_DIM(play->channels) ||
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	play->channels[play->nchannels++] = pair[0];
	return pair[1];
}

static int
make_fd(struct play *play, char kind)
{
	switch (kind) {
	case 'e':
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	case 'm':
		return make_file(1 << 20);
	case 't':
		return make_file(4096);
	case 's':
		return make_channel(play);
	default:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	}
}

static void
tell_answer(const struct fake_msg *answer, unsigned int nfds)
{
	tell("%u:%#x:%u:", answer->request, answer->flags, answer->size);
	for (unsigned int i = 0; i < RTE_MIN(answer->size, (uint32_t)TOLD_BYTES); i++)
		tell("%02x", answer->payload[i]);
	tell("/%u ", nfds);
}

/** All answers up to that to a question that was asked behind the message. */
static void
tell_answers(struct play *play, uint32_t question)
{
	int fds[FE_MAX_FDS];
	unsigned int nfds;
	struct fake_msg answer;
	int ret;

	while ((ret = fake_recv(play->fe, &answer, fds, &nfds)) > 0) {
		for (unsigned int i = 0; i < nfds; i++)
			close(fds[i]);
		if (answer.request == question)
			return;
		tell_answer(&answer, nfds);
	}
	tell_verdict(play, ret == -ETIMEDOUT ? FAKE_TIMEOUT : FAKE_CLOSED);
}

static size_t
read_hex(const char *text, uint8_t *bytes, size_t size)
{
	unsigned int byte;
	size_t n = 0;

	while (n < size && sscanf(text + 2 * n, "%2x", &byte) == 1)
		bytes[n++] = byte;
	return n;
}

/* say REQUEST FLAGS HEX FDS MORE: FDS is a letter each or "-"; MORE is added to the size that it says */
STEP(say)
{
	struct fake_msg msg = { .request = word(play, 1), .flags = word(play, 2) };
	uint32_t question = msg.request == FE_GET_FEATURES ? FE_GET_PROTOCOL_FEATURES :
		FE_GET_FEATURES;
	size_t size = read_hex(play->words[3], msg.payload, sizeof(msg.payload));
	int fds[2 * FE_MAX_FDS], ret;
	unsigned int n = 0;

	for (const char *kind = play->words[4]; *kind >= 'a' && n < RTE_DIM(fds); kind++)
		fds[n++] = make_fd(play, *kind);
	msg.size = size + word(play, 5);
	ret = fake_send_bytes(play->fe, &msg, FE_HEADER_SIZE + size, fds, n);
	while (n > 0)
		close(fds[--n]);
	if (ret == 0)
		fake_send(play->fe, question, 0, NULL, 0, NULL, 0);
	tell_answers(play, question);
}

/* ---- spoiled in one place ---- */

/* address RING FIELD ADD: a 64-bit word of the message, from the indices on */
STEP(address)
{
	union {
		struct fake_addr addr;
		uint64_t words[sizeof(struct fake_addr) / sizeof(uint64_t)];
	} payload = { .addr = fake_addr_of(play->fe, word(play, 1) % play->fe->nvrings) };

	payload.words[word(play, 2) % RTE_DIM(payload.words)] += word(play, 3);
	tell_verdict(play, fake_call(play->fe, FE_SET_VRING_ADDR, &payload, sizeof(payload), NULL, 0));
}

/* table FIELD ADD COUNT: the same; and so many regions more than there are descriptors */
STEP(table)
{
	union {
		struct fake_mem_table table;
		uint64_t words[sizeof(struct fake_mem_table) / sizeof(uint64_t)];
	} payload = { 0 };
	unsigned int n = play->fe->nregions;
	int fds[FE_MAX_REGIONS];

	fake_mem_table_of(play->fe, &payload.table, fds);
	payload.words[word(play, 1) % (1 + 4 * n)] += word(play, 2);
	payload.table.nregions += word(play, 3);
	tell_verdict(play, fake_call(play->fe, FE_SET_MEM_TABLE, &payload,
		offsetof(struct fake_mem_table, regions[n]), fds, n));
}

/* ---- as they should be ---- */

STEP(negotiate)
{
	tell_result(play, fake_negotiate(play->fe));
}

STEP(memory)
{
	tell_result(play, fake_send_mem_table(play->fe));
}

STEP(ring)
{
	tell_result(play, fake_setup_vring(play->fe, word(play, 1) % play->fe->nvrings));
}

STEP(enable)
{
	tell_result(play, fake_enable_vring(play->fe, word(play, 1) % play->fe->nvrings,
		word(play, 2) != 0));
}

STEP(stop)
{
	tell_result(play, fake_stop_vring(play->fe, word(play, 1) % play->fe->nvrings));
}

/** As a frontend does whose driver starts anew: where the ring was left. */
STEP(restart)
{
	unsigned int ring = word(play, 1) % play->fe->nvrings;
	int64_t base = fake_stop_vring(play->fe, ring);

	if (base >= 0 && (fake_setup_vring(play->fe, ring) < 0 ||
			fake_enable_vring(play->fe, ring, true) < 0))
		base = -1;
	tell_result(play, base & UINT16_MAX);
}

STEP(run)
{
	tell_result(play, fake_run(play->fe));
}

/* ---- questions of the application ---- */

static void
ask_ring(int vid, uint16_t ring)
{
	struct rte_vhost_vring vring = { .size = 0 };
	uint16_t avail = 0, used = 0;
	int ret = rte_vhost_get_vhost_vring(vid, ring, &vring);

	tell(" %u:%d:%u", ring, ret, vring.size);
	ret = rte_vhost_get_vring_base(vid, ring, &avail, &used);
	tell(":%d:%u:%u", ret, avail, used);
	tell(":%u:%u", rte_vhost_avail_entries(vid, ring), rte_vhost_rx_queue_count(vid, ring));
}

STEP(ask)
{
	uint64_t features = 0, protocol = 0;
	int vid = play->fe->vid, ret;
	uint16_t mtu = 0;
	struct rte_vhost_memory *memory = NULL;

	ret = rte_vhost_get_negotiated_features(vid, &features);
	tell("%d:%#jx", ret, (uintmax_t)features);
	ret = rte_vhost_get_negotiated_protocol_features(vid, &protocol);
	tell(" %d:%#jx", ret, (uintmax_t)protocol);
	ret = rte_vhost_get_mtu(vid, &mtu);
	tell(" %d:%u %u", ret, mtu, rte_vhost_get_vring_num(vid));
	ret = rte_vhost_get_mem_table(vid, &memory);
	tell(" %d:%u", ret, memory != NULL ? memory->nregions : 0);
	free(memory);
	for (unsigned int i = 0; i < play->fe->nvrings + 1; i++)
		ask_ring(vid, i);
}
