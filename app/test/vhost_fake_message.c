/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Sending and receiving on the connection, each step with a limit. */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"
#include "vhost_fake_frontend.h"

static int
wait_for(int fd, short events, uint64_t until)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	for (;;) {
		uint64_t now = fake_now_ms();
		int n;

		if (fd < 0)
			return -ENOTCONN;
		n = poll(&pfd, 1, now < until ? (int)(until - now) : 0);
		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/** One sendmsg(); how many bytes went, or negative errno. */
static ssize_t
send_some(int sock, const void *bytes, size_t len, const int *fds,
		unsigned int nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * 253)];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (nfds > 0) {
		struct cmsghdr *c;

		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

int
fake_send_bytes(struct fake *fe, const void *bytes, size_t len,
		const int *fds, unsigned int nfds)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	const char *at = bytes;
	size_t left = len;

	while (left > 0) {
		int ready = wait_for(fe->sock, POLLOUT, until);
		ssize_t n;

		if (ready < 0)
			return ready;
		n = send_some(fe->sock, at, left, fds, nfds);
		if (n == -EAGAIN || n == -EINTR)
			continue;
		if (n < 0)
			return n;
		at += n;
		left -= n;
		nfds = 0;	/* they travel with the first byte */
	}
	return 0;
}

int
fake_send(struct fake *fe, uint32_t request, uint32_t flags,
		const void *payload, size_t size,
		const int *fds, unsigned int nfds)
{
	struct fake_msg msg = {
		.request = request, .flags = FE_VERSION | flags, .size = size,
	};

	if (size > sizeof(msg.payload))
		return -EINVAL;
	if (size > 0)
		memcpy(msg.payload, payload, size);
	return fake_send_bytes(fe, &msg, FE_HEADER_SIZE + size, fds, nfds);
}

static void
take_fds(struct msghdr *msg, int *fds, unsigned int *nfds)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL;
			c = CMSG_NXTHDR(msg, c)) {
		unsigned int n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int got[FE_MAX_FDS];

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = RTE_MIN(n, (unsigned int)FE_MAX_FDS);
		memcpy(got, CMSG_DATA(c), n * sizeof(int));
		for (unsigned int i = 0; i < n; i++) {
			if (fds != NULL && *nfds < FE_MAX_FDS)
				fds[(*nfds)++] = got[i];
			else
				close(got[i]);
		}
	}
}

/** All of len: 1, 0 at the end of the stream, or negative errno. */
static int
recv_all(struct fake *fe, void *buf, size_t len, uint64_t until, int *fds,
		unsigned int *nfds)
{
	char *at = buf;

	while (len > 0) {
		union {
			struct cmsghdr align;
			char space[CMSG_SPACE(sizeof(int) * FE_MAX_FDS)];
		} control;
		struct iovec iov = { .iov_base = at, .iov_len = len };
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = control.space,
			.msg_controllen = sizeof(control.space),
		};
		int ready = wait_for(fe->sock, POLLIN, until);
		ssize_t n;

		if (ready < 0)
			return ready;
		n = recvmsg(fe->sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n == 0 || errno == ECONNRESET ? 0 : -errno;
		take_fds(&msg, fds, nfds);
		at += n;
		len -= n;
	}
	return 1;
}

int
fake_recv(struct fake *fe, struct fake_msg *msg, int *fds, unsigned int *nfds)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	unsigned int none = 0;
	int rc;

	if (nfds == NULL)
		nfds = &none;
	*nfds = 0;
	rc = recv_all(fe, msg, FE_HEADER_SIZE, until, fds, nfds);
	if (rc <= 0)
		return rc;
	if (msg->size > sizeof(msg->payload))
		return -EMSGSIZE;
	return recv_all(fe, msg->payload, msg->size, until, fds, nfds);
}

static enum fake_verdict
verdict_of_silence(int rc)
{
	return rc == -ETIMEDOUT ? FAKE_TIMEOUT : FAKE_CLOSED;
}

static enum fake_verdict
verdict_by_ack(struct fake *fe, uint32_t request)
{
	struct fake_msg reply;
	uint64_t value;
	int rc = fake_recv(fe, &reply, NULL, NULL);

	if (rc <= 0)
		return verdict_of_silence(rc);
	if (reply.request != request || reply.size != sizeof(value) ||
			reply.flags != (FE_VERSION | FE_REPLY)) {
		printf("fake: strange ack of %u: request %u flags %#x size %u\n",
			request, reply.request, reply.flags, reply.size);
		fe->broken = true;
		return FAKE_NACK;
	}
	memcpy(&value, reply.payload, sizeof(value));
	/* Anything else is the answer to a question, which was accepted then. */
	return value == 1 ? FAKE_NACK : FAKE_ACK;
}

enum fake_verdict
fake_call(struct fake *fe, uint32_t request, const void *payload, size_t size,
		const int *fds, unsigned int nfds)
{
	uint64_t features;
	int rc = fake_send(fe, request, fe->reply_ack ? FE_NEED_REPLY : 0,
		payload, size, fds, nfds);

	if (rc < 0)
		return verdict_of_silence(rc);
	if (fe->reply_ack)
		return verdict_by_ack(fe, request);
	return fake_ask_u64(fe, FE_GET_FEATURES, &features) == 0 ?
		FAKE_ACK : FAKE_CLOSED;
}

enum fake_verdict
fake_call_u64(struct fake *fe, uint32_t request, uint64_t value)
{
	return fake_call(fe, request, &value, sizeof(value), NULL, 0);
}

enum fake_verdict
fake_call_state(struct fake *fe, uint32_t request, uint32_t index, uint32_t num)
{
	struct fake_state state = { .index = index, .num = num };

	return fake_call(fe, request, &state, sizeof(state), NULL, 0);
}

enum fake_verdict
fake_call_fd(struct fake *fe, uint32_t request, unsigned int index, int fd)
{
	uint64_t value = index | (fd < 0 ? FE_NO_FD : 0);

	return fake_call(fe, request, &value, sizeof(value), &fd, fd < 0 ? 0 : 1);
}

int
fake_ask(struct fake *fe, uint32_t request, const void *payload, size_t size,
		struct fake_msg *reply)
{
	if (fake_send(fe, request, 0, payload, size, NULL, 0) < 0)
		return -1;
	if (fake_recv(fe, reply, NULL, NULL) <= 0)
		return -1;
	return reply->request == request &&
		reply->flags == (FE_VERSION | FE_REPLY) ? 0 : -1;
}

int
fake_ask_u64(struct fake *fe, uint32_t request, uint64_t *value)
{
	struct fake_msg reply;

	if (fake_ask(fe, request, NULL, 0, &reply) < 0 ||
			reply.size != sizeof(*value))
		return -1;
	memcpy(value, reply.payload, sizeof(*value));
	return 0;
}

bool
fake_is_served(struct fake *fe)
{
	uint64_t features;

	return fake_ask_u64(fe, FE_GET_FEATURES, &features) == 0;
}

bool
fake_is_closed(struct fake *fe)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	char rest[256];

	for (;;) {
		ssize_t n;

		if (wait_for(fe->sock, POLLIN, until) < 0)
			return fe->sock < 0;
		n = recv(fe->sock, rest, sizeof(rest), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return true;
	}
}
