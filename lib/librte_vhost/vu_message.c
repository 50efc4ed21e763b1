/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A stream socket knows no messages, so a link asks for exactly the bytes that
 * the message at hand still lacks, and never more than twice per call: once for
 * the header, once for the payload.  A peer that stops in the middle, or sends
 * byte by byte, costs a system call per wake-up and nobody's time.
 *
 * Descriptors arrive with the first byte of the sendmsg() that carried them
 * (unix(7)), and the specification lets them come with the header.  Anything
 * else is refused: descriptors with payload bytes only, more than one lot, more
 * than a message may have.  There is room for all that a lot can have, as the kernel
 * would close what does not fit, in this thread, whatever that may wait for.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reaper.h"
#include "vhost_abi.h"
#include "vhost_given.h"
#include "vu_message.h"

static_assert(offsetof(struct vu_message, payload) == VU_HEADER_SIZE, "header");
static_assert(offsetof(struct vu_message, fds) == VU_HEADER_SIZE + VU_PAYLOAD_MAX,
		"payload");
static_assert(offsetof(struct vu_message, more) == 680, "ABI of extern handlers");

/** Of a message on the wire, what is together in struct vu_message. */
#define VU_FIRST_BYTES (VU_HEADER_SIZE + VU_PAYLOAD_MAX)

/** As many descriptors as the kernel takes in one lot (unix(7): SCM_MAX_FD). */
#define LOT_MAX_FDS 253

/** For what the kernel may add (credentials, a security label); it comes first. */
#define OTHER_CONTROL_BYTES 512

/** Room for a lot of descriptors to send, aligned as the kernel wants it. */
union send_control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int) * VU_MAX_FDS)];
};

/** Room for all that can come with some bytes. */
union receive_control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int) * LOT_MAX_FDS) + OTHER_CONTROL_BYTES];
};

static const char * const request_names[] = {
	[VU_NONE] = "VHOST_USER_NONE",
	[VU_GET_FEATURES] = "VHOST_USER_GET_FEATURES",
	[VU_SET_FEATURES] = "VHOST_USER_SET_FEATURES",
	[VU_SET_OWNER] = "VHOST_USER_SET_OWNER",
	[VU_RESET_OWNER] = "VHOST_USER_RESET_OWNER",
	[VU_SET_MEM_TABLE] = "VHOST_USER_SET_MEM_TABLE",
	[VU_SET_LOG_BASE] = "VHOST_USER_SET_LOG_BASE",
	[VU_SET_LOG_FD] = "VHOST_USER_SET_LOG_FD",
	[VU_SET_VRING_NUM] = "VHOST_USER_SET_VRING_NUM",
	[VU_SET_VRING_ADDR] = "VHOST_USER_SET_VRING_ADDR",
	[VU_SET_VRING_BASE] = "VHOST_USER_SET_VRING_BASE",
	[VU_GET_VRING_BASE] = "VHOST_USER_GET_VRING_BASE",
	[VU_SET_VRING_KICK] = "VHOST_USER_SET_VRING_KICK",
	[VU_SET_VRING_CALL] = "VHOST_USER_SET_VRING_CALL",
	[VU_SET_VRING_ERR] = "VHOST_USER_SET_VRING_ERR",
	[VU_GET_PROTOCOL_FEATURES] = "VHOST_USER_GET_PROTOCOL_FEATURES",
	[VU_SET_PROTOCOL_FEATURES] = "VHOST_USER_SET_PROTOCOL_FEATURES",
	[VU_GET_QUEUE_NUM] = "VHOST_USER_GET_QUEUE_NUM",
	[VU_SET_VRING_ENABLE] = "VHOST_USER_SET_VRING_ENABLE",
	[VU_SEND_RARP] = "VHOST_USER_SEND_RARP",
	[VU_NET_SET_MTU] = "VHOST_USER_NET_SET_MTU",
	/* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one name of three parts */
	[VU_SET_SLAVE_REQ_FD] = "VHOST_USER_SET_" VHOST_ABI_BACKEND "_REQ_FD",
	[VU_IOTLB_MSG] = "VHOST_USER_IOTLB_MSG",
	[VU_SET_VRING_ENDIAN] = "VHOST_USER_SET_VRING_ENDIAN",
	[VU_GET_CONFIG] = "VHOST_USER_GET_CONFIG",
	[VU_SET_CONFIG] = "VHOST_USER_SET_CONFIG",
	[VU_CRYPTO_CREATE_SESS] = "VHOST_USER_CREATE_CRYPTO_SESSION",
	[VU_CRYPTO_CLOSE_SESS] = "VHOST_USER_CLOSE_CRYPTO_SESSION",
	[VU_POSTCOPY_ADVISE] = "VHOST_USER_POSTCOPY_ADVISE",
	[VU_POSTCOPY_LISTEN] = "VHOST_USER_POSTCOPY_LISTEN",
	[VU_POSTCOPY_END] = "VHOST_USER_POSTCOPY_END",
	[VU_GET_INFLIGHT_FD] = "VHOST_USER_GET_INFLIGHT_FD",
	[VU_SET_INFLIGHT_FD] = "VHOST_USER_SET_INFLIGHT_FD",
	[VU_SET_STATUS] = "VHOST_USER_SET_STATUS",
	[VU_GET_MAX_MEM_SLOTS] = "VHOST_USER_GET_MAX_MEM_SLOTS",
	[VU_ADD_MEM_REG] = "VHOST_USER_ADD_MEM_REG",
	[VU_REM_MEM_REG] = "VHOST_USER_REM_MEM_REG",
	[VU_GET_STATUS] = "VHOST_USER_GET_STATUS",
};

static_assert(RTE_DIM(request_names) == VU_REQUEST_MAX, "a name per request");

const char *
vhost_vu_request_name(uint32_t request)
{
	if (request >= RTE_DIM(request_names) || request_names[request] == NULL)
		return "unknown";
	return request_names[request];
}

/** Make the message empty: no payload bytes, no descriptors. */
static void
message_reset(struct vu_message *msg)
{
	unsigned int i;

	memset(msg, 0, sizeof(*msg));
	for (i = 0; i < VU_MAX_FDS; i++)
		msg->fds[i] = -1;
}

int
vhost_vu_take_fd(struct vu_message *msg, unsigned int i)
{
	int fd;

	if (i >= VU_MAX_FDS || (int)i >= msg->nfds)
		return -1;
	fd = msg->fds[i];
	msg->fds[i] = -1;
	return fd;
}

void
vhost_vu_close_fds(struct vu_message *msg, struct vhost_quota *quota)
{
	unsigned int i;

	for (i = 0; i < VU_MAX_FDS; i++)
		vhost_reap(quota, vhost_vu_take_fd(msg, i));
	msg->nfds = 0;
}

void
vhost_vu_link_init(struct vu_link *link, int fd, struct vhost_quota *quota)
{
	int flags = fcntl(fd, F_GETFL), on = 1;

	/*
	 * The kernel skips a byte that was sent out of band, and closes the descriptors that
	 * came with it within recvmsg(), however long that takes: receive it like others.
	 */
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	/* Every call asks for MSG_DONTWAIT as well: this one is for other users. */
	if (flags >= 0 && !(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	link->fd = fd;
	link->quota = quota;
	link->have = 0;
	message_reset(&link->msg);
}

void
vhost_vu_link_close(struct vu_link *link)
{
	if (link->fd >= 0)
		shutdown(link->fd, SHUT_RDWR);
	/* also what the peer sent and nobody read ends with the socket */
	vhost_reap(link->quota, link->fd);
	link->fd = -1;
	link->have = 0;
	vhost_vu_close_fds(&link->msg, link->quota);
}

/** Append the descriptors of one control message; what finds no room is reaped. */
static int
take_in_fds(struct vu_link *link, struct cmsghdr *cmsg)
{
	struct vu_message *msg = &link->msg;
	size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	size_t i;
	int fd, ret = 0;

	for (i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
		if (msg->nfds < VU_MAX_FDS) {
			msg->fds[msg->nfds++] = fd;
		} else {
			vhost_reap(link->quota, fd);
			ret = -EPROTO;
		}
	}
	return ret;
}

/**
 * Take ownership of everything that came with some bytes.
 *
 * @return 0, or -EPROTO when it is not one lot of at most VU_MAX_FDS descriptors
 *         that came with the header
 */
static int
take_in_control(struct vu_link *link, struct msghdr *hdr)
{
	int ret = (hdr->msg_flags & MSG_CTRUNC) ? -EPROTO : 0;
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(hdr); cmsg != NULL; cmsg = CMSG_NXTHDR(hdr, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		if (link->have >= VU_HEADER_SIZE || link->msg.nfds > 0)
			ret = -EPROTO;
		if (take_in_fds(link, cmsg) != 0)
			ret = -EPROTO;
	}
	return ret;
}

/** Bytes 'from' to 'to' of a message on the wire, in the one or two places where they are. */
static int
places_of(const struct vu_message *msg, uint32_t from, uint32_t to, struct iovec places[2])
{
	const uint32_t first = RTE_MIN(to, VU_FIRST_BYTES);
	uint8_t *bytes = (uint8_t *)(uintptr_t)msg;
	int n = 0;

	if (from < first)
		places[n++] = (struct iovec){ bytes + from, first - from };
	from = RTE_MAX(from, first);
	if (from < to)
		places[n++] = (struct iovec){ bytes + offsetof(struct vu_message, more) +
			from - VU_FIRST_BYTES, to - from };
	return n;
}

/**
 * Receive towards the first 'upto' bytes of the message.
 *
 * @return 1 they are there; 0 not yet; otherwise as vhost_vu_recv()
 */
static int
receive_upto(struct vu_link *link, uint32_t upto)
{
	union receive_control control;
	struct iovec places[2];
	struct msghdr hdr = {
		.msg_iov = places,
		.msg_iovlen = places_of(&link->msg, link->have, upto, places),
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;
	int ret;

	if (link->have >= upto)
		return 1;

	n = recvmsg(link->fd, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return (errno == EAGAIN || errno == EINTR) ? 0 : -ECONNRESET;
	ret = take_in_control(link, &hdr);
	if (ret != 0)
		return ret;
	if (n == 0)
		return -ECONNRESET;

	link->have += n;
	return link->have == upto;
}

/** Payload bytes that a message of the request may have. */
static uint32_t
payload_max(uint32_t request)
{
	return request == VU_CRYPTO_CREATE_SESS ? VU_CRYPTO_SESSION_WIDE : VU_PAYLOAD_MAX;
}

/** 0, or -EPROTO when no vhost-user message begins like this. */
static int
check_header(const struct vu_message *msg)
{
	if ((msg->flags & VU_VERSION_MASK) != VU_VERSION)
		return -EPROTO;
	if (msg->size > payload_max(msg->request))
		return -EPROTO;
	return 0;
}

/** As vhost_vu_recv(), but leaves a whole message in the link. */
static int
receive(struct vu_link *link)
{
	int ret = receive_upto(link, VU_HEADER_SIZE);

	if (ret != 1)
		return ret;
	ret = check_header(&link->msg);
	if (ret != 0)
		return ret;
	return receive_upto(link, VU_HEADER_SIZE + link->msg.size);
}

int
vhost_vu_recv(struct vu_link *link, struct vu_message *msg)
{
	int ret = receive(link);

	if (ret < 0) {
		vhost_vu_close_fds(&link->msg, link->quota);
	} else if (ret == 1) {
		*msg = link->msg;
		message_reset(&link->msg);
		link->have = 0;
	}
	return ret;
}

/** Make the header carry descriptors along. */
static void
attach_fds(struct msghdr *hdr, union send_control *control, const int *fds, unsigned int nfds)
{
	const size_t bytes = nfds * sizeof(*fds);
	struct cmsghdr *cmsg;

	memset(control, 0, sizeof(*control));
	hdr->msg_control = control;
	hdr->msg_controllen = CMSG_SPACE(bytes);
	cmsg = CMSG_FIRSTHDR(hdr);
	VHOST_GIVEN(cmsg != NULL); /* there is room for a header */
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(cmsg), fds, bytes);
}

int
vhost_vu_send(struct vu_link *link, const struct vu_message *msg, const int *fds,
		unsigned int nfds)
{
	union send_control control;
	const uint32_t bytes = VU_HEADER_SIZE + msg->size;
	struct iovec places[2];
	struct msghdr hdr = { .msg_iov = places };
	ssize_t n;

	if (msg->size > payload_max(msg->request) || nfds > VU_MAX_FDS)
		return -EMSGSIZE;
	hdr.msg_iovlen = places_of(msg, 0, bytes, places);
	if (nfds > 0)
		attach_fds(&hdr, &control, fds, nfds);

	n = sendmsg(link->fd, &hdr, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	/* The kernel takes so little whole or not at all; half is beyond repair. */
	return (size_t)n == bytes ? 0 : -EIO;
}
