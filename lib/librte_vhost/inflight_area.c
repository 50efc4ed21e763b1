/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Areas are shared memory: the frontend may write to them at any time, and where
 * their pages are is no promise.  One that we make is put on the device's node, and
 * a ring that starts has the kernel bring its region along (queue_inflight.c), as
 * long as nobody else uses the pages; nothing is forced.
 *
 * Frontends ask for areas as large as they like, and every page of one that we make
 * is ours to pay for: there is a limit, far beyond what rings need.  What comes
 * back may be another backend's work, or nobody's.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_common.h>

#include "rte_vhost.h"

#include "inflight_area.h"
#include "mem_node.h"
#include "vhost_log.h"
#include "vhost_virtqueue.h"
#include "vu_message.h"

/** Regions begin on such a boundary: no two rings share a line. */
#define REGION_ALIGN 64

/** Largest area that is made: room for 256 packed rings of 8192. */
#define AREA_BYTES_MAX (65ULL << 20)

#define QUEUES_MAX 256
#define QUEUE_SIZE_MAX 32768

size_t
vhost_inflight_region_bytes(unsigned int format, uint32_t queue_size)
{
	size_t bytes;

	if (format & VQ_PACKED)
		bytes = sizeof(struct rte_vhost_inflight_info_packed) +
			queue_size * sizeof(struct rte_vhost_inflight_desc_packed);
	else
		bytes = sizeof(struct rte_vhost_inflight_info_split) +
			queue_size * sizeof(struct rte_vhost_inflight_desc_split);
	return RTE_ALIGN_CEIL(bytes, (size_t)REGION_ALIGN);
}

/** Bytes of an area for those rings, 0 if there can be no such rings. */
static uint64_t
area_bytes(unsigned int format, const struct vu_inflight *wire)
{
	if (wire->num_queues == 0 || wire->num_queues > QUEUES_MAX ||
			wire->queue_size == 0 || wire->queue_size > QUEUE_SIZE_MAX)
		return 0;
	return wire->num_queues * vhost_inflight_region_bytes(format, wire->queue_size);
}

/* Making */

/** A packed ring's region: all entries on the free list, behind whose end there is none. */
static void
fill_region(struct rte_vhost_inflight_info_packed *info, uint16_t queue_size)
{
	uint32_t i;

	info->desc_num = queue_size;
	info->used_wrap_counter = 1;
	info->old_used_wrap_counter = 1;
	for (i = 0; i < queue_size; i++)
		info->desc[i].next = i + 1;
}

/** What a backend that knows areas only by their version expects of a new one. */
static void
fill_area(uint8_t *area, unsigned int format, const struct vu_inflight *wire)
{
	size_t stride = vhost_inflight_region_bytes(format, wire->queue_size);
	unsigned int i;

	for (i = 0; i < wire->num_queues; i++) {
		if (format & VQ_PACKED)
			fill_region((void *)(area + i * stride), wire->queue_size);
		else
			((struct rte_vhost_inflight_info_split *)(area + i * stride))->desc_num =
				wire->queue_size;
	}
}

/** Give a new file its memory and contents: 0 or a negative errno. */
static int
fill_file(int fd, unsigned int format, const struct vu_inflight *wire, int node)
{
	void *area;

	/* memory that is missing is an error here, and a signal when it is written to */
	if (fallocate(fd, 0, 0, wire->mmap_size) < 0)
		return -errno;
	area = mmap(NULL, wire->mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED)
		return -errno;
	fill_area(area, format, wire);
	if (node != VHOST_NODE_ANY)
		vhost_node_move_pages(area, wire->mmap_size, node);
	munmap(area, wire->mmap_size);
	/* neither side can take it from the other */
	return fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0 ?
		-errno : 0;
}

int
vhost_inflight_make(const struct mem_owner *owner, unsigned int format, struct vu_inflight *wire, int node)
{
	uint64_t bytes = area_bytes(format, wire);
	int fd, ret;

	if (bytes == 0 || bytes > AREA_BYTES_MAX) {
		VHOST_LOG_CONFIG(ERR, "(%s) no in-flight area for %u rings of %u descriptors\n",
			owner->name, wire->num_queues, wire->queue_size);
		return -EINVAL;
	}
	wire->mmap_size = bytes;
	wire->mmap_offset = 0;
	fd = memfd_create("vhost-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ret = fd < 0 ? -errno : fill_file(fd, format, wire, node);
	if (ret == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	VHOST_LOG_CONFIG(ERR, "(%s) no memory for an in-flight area of %" PRIu64 " bytes: %s\n",
		owner->name, bytes, strerror(-ret));
	return ret;
}

/* Adopting */

/** Whether the area that is described lies in a file of so many bytes. */
static bool
area_fits(unsigned int format, const struct vu_inflight *wire, uint64_t file_size)
{
	uint64_t bytes = area_bytes(format, wire), end;

	return bytes != 0 && bytes <= wire->mmap_size &&
		wire->mmap_offset % sizeof(uint64_t) == 0 &&
		!__builtin_add_overflow(wire->mmap_offset, wire->mmap_size, &end) &&
		end <= file_size;
}

int
vhost_inflight_adopt(const struct mem_owner *owner, unsigned int format, const struct vu_inflight *wire,
		int fd, struct inflight_area *area)
{
	struct mem_file file;
	int ret;

	ret = vhost_mem_file_check(owner, "in-flight area", fd, &file);
	if (ret < 0)
		return ret;
	if (!area_fits(format, wire, file.size)) {
		VHOST_LOG_CONFIG(ERR, "(%s) in-flight area of %u rings of %u descriptors in %"
			PRIu64 " bytes at %" PRIu64 " of a file of %" PRIu64 " refused\n", owner->name,
			wire->num_queues, wire->queue_size, (uint64_t)wire->mmap_size,
			(uint64_t)wire->mmap_offset, file.size);
		return -EINVAL;
	}
	*area = (struct inflight_area){
		.offset = wire->mmap_offset, .size = wire->mmap_size,
		.num_queues = wire->num_queues, .queue_size = wire->queue_size,
	};
	ret = vhost_mem_mapping_create(owner, fd, RTE_ALIGN_CEIL(area->offset + area->size,
		(uint64_t)file.page_size), file.page_size, &area->mapping);
	if (ret < 0)
		VHOST_LOG_CONFIG(ERR, "(%s) cannot map the in-flight area: %s\n", owner->name,
			strerror(-ret));
	return ret;
}

void *
vhost_inflight_region(const struct inflight_area *area, unsigned int format, uint32_t index)
{
	/* the format may have been negotiated after the area came */
	size_t stride = vhost_inflight_region_bytes(format, area->queue_size);

	if (area->mapping == NULL || index >= area->num_queues ||
			(index + 1) * stride > area->size)
		return NULL;
	return vhost_mem_mapping_addr(area->mapping) + area->offset + index * stride;
}

struct inflight_area
vhost_inflight_area_get(const struct inflight_area *area)
{
	if (area->mapping != NULL)
		vhost_mem_mapping_get(area->mapping);
	return *area;
}

void
vhost_inflight_area_put(struct inflight_area *area)
{
	if (area->mapping != NULL)
		vhost_mem_mapping_put(area->mapping);
	*area = (struct inflight_area){ 0 };
}

bool
vhost_inflight_area_is_broken(const struct inflight_area *area)
{
	return area->mapping != NULL && vhost_mem_mapping_is_broken(area->mapping);
}
