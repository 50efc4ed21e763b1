/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "doorbell.h"
#include "quota.h"
#include "reaper.h"
#include "vhost_log.h"
#include "vu_backchannel.h"

#define NS_PER_MS INT64_C(1000000)

void
vhost_backchannel_replace(struct vhost_device *dev, int fd)
{
	int old;

	pthread_mutex_lock(&dev->back.lock);
	old = dev->back.fd;
	dev->back.fd = fd;
	pthread_mutex_unlock(&dev->back.lock);
	vhost_reap(dev->driver.quota, old);
}

int
vhost_backchannel_adopt(struct vhost_device *dev, int fd)
{
	if (!vhost_is_side_socket(fd)) {
		VHOST_LOG_CONFIG(ERR, "(%s) the back channel is no socket of its own\n",
			dev->driver.path);
		vhost_reap(dev->driver.quota, fd);
		return -EINVAL;
	}
	vhost_backchannel_replace(dev, fd);
	return 0;
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 * NS_PER_MS + ts.tv_nsec;
}

/** Receive a message, by the deadline. */
static int
receive_until(struct vu_link *link, struct vu_message *answer, int64_t deadline)
{
	struct pollfd pfd = { .fd = link->fd, .events = POLLIN };
	int64_t left;
	int ret;

	while ((ret = vhost_vu_recv(link, answer)) == 0) {
		left = deadline - now_ns();
		if (left <= 0)
			return -ETIMEDOUT;
		poll(&pfd, 1, left / NS_PER_MS + 1);
	}
	return ret;
}

/** Wait until the answer to the request is there, or the time is up. */
static int
receive_answer(struct vhost_device *dev, struct vu_link *link, uint32_t request)
{
	struct vu_message message, *answer = &message;
	int64_t start = now_ns();
	int ret = receive_until(link, answer, start + vhost_quota_patience(dev->driver.quota));

	vhost_quota_waited(dev->driver.quota, now_ns() - start);
	if (ret < 0)
		return ret;
	vhost_vu_close_fds(answer, link->quota);
	if (answer->request != request || !(answer->flags & VU_REPLY) ||
			answer->size != sizeof(answer->payload.u64))
		return -EPROTO;
	return answer->payload.u64 == 0 ? 0 : -EIO;
}

/** A descriptor of the channel that stays open while we use it. */
static int
backchannel_dup(struct vhost_device *dev)
{
	int fd = -1;

	pthread_mutex_lock(&dev->back.lock);
	if (dev->back.fd >= 0)
		fd = fcntl(dev->back.fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&dev->back.lock);
	return fd;
}

/** Over a descriptor that is ours to close; without shutting down what others use as well. */
static int
exchange(struct vhost_device *dev, int fd, struct vu_message *msg, int fd_to_pass)
{
	struct vu_link link;
	int ret;

	vhost_vu_link_init(&link, fd, dev->driver.quota);
	ret = vhost_vu_send(&link, msg, &fd_to_pass, fd_to_pass >= 0);
	if (ret == 0 && (msg->flags & VU_NEED_REPLY))
		ret = receive_answer(dev, &link, msg->request);
	vhost_vu_close_fds(&link.msg, link.quota);
	vhost_reap(link.quota, fd);
	return ret;
}

/** Whether there is nobody any more who could answer, which is no news. */
static bool
frontend_is_gone(int error)
{
	return error == -EPIPE || error == -ECONNRESET;
}

int
vhost_backchannel_request(struct vhost_device *dev, struct vu_message *msg, int fd_to_pass)
{
	int ret, fd;

	pthread_mutex_lock(&dev->back.request_lock);
	fd = backchannel_dup(dev);
	if (fd < 0) {
		pthread_mutex_unlock(&dev->back.request_lock);
		return -ENODEV;
	}
	ret = exchange(dev, fd, msg, fd_to_pass);
	if (ret < 0 && !frontend_is_gone(ret))
		VHOST_LOG_CONFIG(ERR, "(%s) back channel request %u: %s\n", dev->driver.path,
			msg->request, strerror(-ret));
	/* after a late or broken answer nothing that follows can be told apart */
	if (ret < 0 && ret != -EIO && ret != -EAGAIN)
		vhost_backchannel_replace(dev, -1);
	pthread_mutex_unlock(&dev->back.request_lock);
	return ret;
}

/** A request that has no answer, as it is sent. */
struct miss {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	struct vu_iotlb iotlb;
} __attribute__((__packed__));

/** Requests that are sent at once, so that all of them are, or none. */
#define MISSES_AT_ONCE 32

/** Send n requests without waiting.  The channel's lock held. */
static int
send_misses(int fd, const struct iova_want *wants, unsigned int n)
{
	struct miss misses[MISSES_AT_ONCE];
	ssize_t sent;
	unsigned int i;

	if (fd < 0)
		return -ENODEV;
	for (i = 0; i < n; i++)
		misses[i] = (struct miss){
			.request = VU_BACKEND_IOTLB_MSG,
			.flags = VU_VERSION,
			.size = sizeof(misses[i].iotlb),
			.iotlb = { .iova = wants[i].page, .access = wants[i].access,
				.type = VU_IOTLB_MISS },
		};
	sent = send(fd, misses, n * sizeof(misses[0]), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	/* only a frontend that has made its socket tiny tears what is for itself */
	return sent == (ssize_t)(n * sizeof(misses[0])) ? 0 : -EPIPE;
}

int
vhost_backchannel_ask(struct vhost_device *dev, const struct iova_want *wants, unsigned int n)
{
	unsigned int now;
	int ret = 0;

	pthread_mutex_lock(&dev->back.lock);
	for (; n > 0 && ret == 0; wants += now, n -= now) {
		now = RTE_MIN(n, (unsigned int)MISSES_AT_ONCE);
		ret = send_misses(dev->back.fd, wants, now);
	}
	pthread_mutex_unlock(&dev->back.lock);
	return ret;
}
