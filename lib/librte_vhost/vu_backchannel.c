/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "doorbell.h"
#include "vhost_log.h"
#include "vu_backchannel.h"

/** How long a frontend may think about an answer, in milliseconds. */
#define REPLY_TIMEOUT_MS 1000

void
vhost_backchannel_replace(struct vhost_device *dev, int fd)
{
	int old;

	pthread_mutex_lock(&dev->back.lock);
	old = dev->back.fd;
	dev->back.fd = fd;
	pthread_mutex_unlock(&dev->back.lock);
	if (old >= 0)
		vhost_vu_discard_fd(old);
}

int
vhost_backchannel_adopt(struct vhost_device *dev, int fd)
{
	if (!vhost_is_side_socket(fd)) {
		VHOST_LOG_CONFIG(ERR, "(%s) the back channel is no socket of its own\n",
			dev->driver.path);
		vhost_vu_discard_fd(fd);
		return -EINVAL;
	}
	vhost_backchannel_replace(dev, fd);
	return 0;
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/** Wait until the answer to the request is there, or the time is up. */
static int
receive_answer(struct vu_link *link, uint32_t request, struct vu_message *answer)
{
	int64_t deadline = now_ms() + REPLY_TIMEOUT_MS, left;
	struct pollfd pfd = { .fd = link->fd, .events = POLLIN };
	int ret;

	while ((ret = vhost_vu_recv(link, answer)) == 0) {
		left = deadline - now_ms();
		if (left <= 0 || poll(&pfd, 1, left) == 0)
			return -ETIMEDOUT;
	}
	if (ret < 0)
		return ret;
	vhost_vu_close_fds(answer);
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

static int
exchange(struct vu_link *link, struct vu_message *msg, int fd_to_pass)
{
	struct vu_message answer;
	int ret;

	ret = vhost_vu_send(link, msg, fd_to_pass);
	if (ret == 0 && (msg->flags & VU_NEED_REPLY))
		ret = receive_answer(link, msg->request, &answer);
	return ret;
}

int
vhost_backchannel_request(struct vhost_device *dev, struct vu_message *msg, int fd_to_pass)
{
	struct vu_link link;
	int ret, fd;

	pthread_mutex_lock(&dev->back.request_lock);
	fd = backchannel_dup(dev);
	if (fd < 0) {
		pthread_mutex_unlock(&dev->back.request_lock);
		return -ENODEV;
	}
	vhost_vu_link_init(&link, fd);
	ret = exchange(&link, msg, fd_to_pass);
	vhost_vu_link_close(&link);
	if (ret < 0)
		VHOST_LOG_CONFIG(ERR, "(%s) back channel request %u: %s\n", dev->driver.path,
			msg->request, strerror(-ret));
	/* after a late or broken answer nothing that follows can be told apart */
	if (ret < 0 && ret != -EIO && ret != -EAGAIN)
		vhost_backchannel_replace(dev, -1);
	pthread_mutex_unlock(&dev->back.request_lock);
	return ret;
}
