/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"
#include "vhost_fake_inflight.h"

size_t
fake_inflight_stride(const struct fake *fe, uint16_t queue_size)
{
	size_t head = sizeof(struct rte_vhost_inflight_info_split);
	size_t entry = sizeof(struct rte_vhost_inflight_desc_split);

	if (fe->cfg.format == FAKE_PACKED) {
		head = sizeof(struct rte_vhost_inflight_info_packed);
		entry = sizeof(struct rte_vhost_inflight_desc_packed);
	}
	return RTE_ALIGN_CEIL(head + entry * queue_size, 64);
}

/** Map what there is of the file, which is the area's from now on. */
static int
adopt_file(const struct fake *fe, struct fake_inflight *area, int fd)
{
	struct stat st;

	area->fd = fd;
	area->map = NULL;
	area->stride = fake_inflight_stride(fe, area->wire.queue_size);
	if (fstat(fd, &st) < 0 || st.st_size == 0)
		return -1;
	area->map_len = st.st_size;
	area->map = mmap(NULL, area->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area->map != MAP_FAILED)
		return 0;
	area->map = NULL;
	return -1;
}

int
fake_inflight_get(struct fake *fe, struct fake_inflight *area, uint16_t num_queues,
		uint16_t queue_size)
{
	struct fake_inflight_msg ask = { .num_queues = num_queues, .queue_size = queue_size };
	int fds[FE_MAX_FDS];
	unsigned int nfds;
	struct fake_msg msg;

	*area = (struct fake_inflight){ .fd = -1 };
	if (fake_send(fe, FE_GET_INFLIGHT_FD, 0, &ask, sizeof(ask), NULL, 0) < 0 ||
			fake_recv(fe, &msg, fds, &nfds) <= 0)
		return -1;
	if (msg.request != FE_GET_INFLIGHT_FD || msg.size != sizeof(ask) || nfds != 1) {
		while (nfds > 0)
			close(fds[--nfds]);
		return -1;
	}
	memcpy(&area->wire, msg.payload, sizeof(area->wire));
	return adopt_file(fe, area, fds[0]);
}

int
fake_inflight_make(const struct fake *fe, struct fake_inflight *area, uint16_t num_queues,
		uint16_t queue_size)
{
	size_t size = num_queues * fake_inflight_stride(fe, queue_size);
	int fd = memfd_create("inflight", MFD_CLOEXEC);

	*area = (struct fake_inflight){
		.wire = { .mmap_size = size, .num_queues = num_queues,
			.queue_size = queue_size },
		.fd = fd,
	};
	return fd >= 0 && ftruncate(fd, size) == 0 ? adopt_file(fe, area, fd) : -1;
}

enum fake_verdict
fake_inflight_set(struct fake *fe, const struct fake_inflight *area)
{
	return fake_call(fe, FE_SET_INFLIGHT_FD, &area->wire, sizeof(area->wire), &area->fd, 1);
}

struct rte_vhost_inflight_info_split *
fake_inflight_split(const struct fake_inflight *area, unsigned int queue)
{
	return (void *)(area->map + area->wire.mmap_offset + queue * area->stride);
}

struct rte_vhost_inflight_info_packed *
fake_inflight_packed(const struct fake_inflight *area, unsigned int queue)
{
	return (void *)(area->map + area->wire.mmap_offset + queue * area->stride);
}

void
fake_inflight_close(struct fake_inflight *area)
{
	if (area->map != NULL)
		munmap(area->map, area->map_len);
	if (area->fd >= 0)
		close(area->fd);
	area->map = NULL;
	area->fd = -1;
}
