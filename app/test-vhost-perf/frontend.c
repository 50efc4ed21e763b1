/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_bitops.h>
#include <rte_common.h>

#include "frontend.h"

/** Guest-physical start of the first region, and the step from region to region. */
#define GPA_BASE 0x100000000ull
#define GPA_STEP 0x4000000000ull

#define HUGE_PAGE ((size_t)2 << 20)

/** The requests of the vhost-user protocol that a small frontend sends. */
enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	SET_VRING_ENABLE = 18,
	IOTLB_MSG = 22,
};

#define FLAG_VERSION 1u
#define FLAG_NEED_REPLY RTE_BIT32(3)
#define PROTOCOL_REPLY_ACK RTE_BIT64(3)
/** Offered by crypto devices, and by others as well; without any effect on those. */
#define PROTOCOL_CRYPTO_SESSION RTE_BIT64(7)
#define FEATURE_PROTOCOL_FEATURES RTE_BIT64(30)

/** A message as it goes over the wire. */
struct message {
	uint32_t request;
	uint32_t flags;
	uint32_t size;		/**< of the body */
	union {
		uint64_t u64;
		struct {
			uint32_t index, num;
		} state;
		struct {
			uint32_t index, flags;
			uint64_t desc, used, avail, log;
		} addr;
		struct {
			uint64_t iova, size, va;
			uint8_t access, type, padding[6];
		} iotlb;
		struct {
			uint32_t n_regions, padding;
			struct {
				uint64_t gpa, size, va, offset;
			} regions[GUEST_MAX_REGIONS];
		} memory;
	} body;
} __attribute__((__packed__));

/** In an IOTLB message: reading and writing is allowed; it is a translation. */
#define ACCESS_BOTH 3
#define IOTLB_UPDATE 2

#define HEADER_BYTES offsetof(struct message, body)

static int
map_memory(struct guest_memory *memory, unsigned int memfd_flags)
{
	memory->fd = memfd_create("vhost-perf-guest", MFD_CLOEXEC | memfd_flags);
	if (memory->fd < 0)
		return -errno;
	/* Huge pages are reserved by mmap(), so a pool that is too small fails here. */
	if (ftruncate(memory->fd, memory->size) == 0)
		memory->base = mmap(NULL, memory->size, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_POPULATE, memory->fd, 0);
	if (memory->base != NULL && memory->base != MAP_FAILED)
		return 0;
	memory->base = NULL;
	close(memory->fd);
	return -ENOMEM;
}

int
guest_memory_create(struct guest_memory *memory, size_t size, unsigned int n_regions)
{
	*memory = (struct guest_memory){
		.n_regions = n_regions,
		.region_size = RTE_ALIGN_CEIL(size, HUGE_PAGE),
	};
	memory->size = memory->region_size * n_regions;
	if (map_memory(memory, MFD_HUGETLB) == 0)
		return 0;
	return map_memory(memory, 0);
}

void
guest_memory_destroy(struct guest_memory *memory)
{
	if (memory->base == NULL)
		return;
	munmap(memory->base, memory->size);
	close(memory->fd);
	memory->base = NULL;
}

void *
guest_alloc(struct guest_memory *memory, size_t bytes, size_t align)
{
	size_t start = RTE_ALIGN_CEIL(memory->used, align);

	if (start + bytes > memory->size)
		return NULL;
	memory->used = start + bytes;
	return memory->base + start;
}

void
guest_skip_to_last_region(struct guest_memory *memory)
{
	memory->used = RTE_MAX(memory->used, (memory->n_regions - 1) * memory->region_size);
}

uint64_t
guest_address(const struct guest_memory *memory, const void *va)
{
	size_t offset = (const uint8_t *)va - memory->base;
	size_t region = offset / memory->region_size;

	return GPA_BASE + region * GPA_STEP + offset % memory->region_size;
}

static int
send_message(int sock, const struct message *message, const int *fds, unsigned int n_fds)
{
	struct iovec iov = { (void *)(uintptr_t)message, HEADER_BYTES + message->size };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(GUEST_MAX_REGIONS * sizeof(int))];
	} control = { 0 };
	struct msghdr wire = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds != 0) {
		wire.msg_control = &control;
		wire.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	}
	return sendmsg(sock, &wire, MSG_NOSIGNAL) == (ssize_t)iov.iov_len ? 0 : -EPIPE;
}

/** Receive an answer that carries one number. */
static int
receive_u64(int sock, uint32_t request, uint64_t *value)
{
	struct message reply;
	ssize_t want = HEADER_BYTES + sizeof(*value);

	if (recv(sock, &reply, want, MSG_WAITALL) != want)
		return -EPIPE;
	if (reply.request != request || reply.size != sizeof(*value))
		return -EPROTO;
	*value = reply.body.u64;
	return 0;
}

static int
get_u64(int sock, enum request request, uint64_t *value)
{
	struct message message = { .request = request, .flags = FLAG_VERSION };
	int err = send_message(sock, &message, NULL, 0);

	return err != 0 ? err : receive_u64(sock, request, value);
}

/** Send a message and wait for the backend to say that it did what it was told. */
static int
set(int sock, struct message message, const int *fds, unsigned int n_fds)
{
	uint64_t failed;
	int err;

	message.flags = FLAG_VERSION | FLAG_NEED_REPLY;
	err = send_message(sock, &message, fds, n_fds);
	if (err == 0)
		err = receive_u64(sock, message.request, &failed);
	if (err == 0 && failed != 0)
		err = -EREMOTEIO;
	if (err != 0)
		fprintf(stderr, "vhost-user request %u: %s\n", message.request, strerror(-err));
	return err;
}

static int
set_u64(int sock, enum request request, uint64_t value)
{
	return set(sock, (struct message){ .request = request, .size = sizeof(uint64_t),
					   .body.u64 = value }, NULL, 0);
}

static int
set_eventfd(int sock, enum request request, uint32_t index, int fd)
{
	return set(sock, (struct message){ .request = request, .size = sizeof(uint64_t),
					   .body.u64 = index }, &fd, 1);
}

static int
set_state(int sock, enum request request, uint32_t index, uint32_t num)
{
	struct message message = { .request = request, .size = sizeof(message.body.state) };

	message.body.state.index = index;
	message.body.state.num = num;
	return set(sock, message, NULL, 0);
}

/** Agree on exactly these features; a backend that lacks one is an error. */
static int
negotiate(int sock, uint64_t features)
{
	/* Only after this one may an answer be asked for. */
	struct message acks = { .request = SET_PROTOCOL_FEATURES, .flags = FLAG_VERSION,
				.size = sizeof(uint64_t) };
	uint64_t offered, protocol = 0;
	int err;

	features |= FEATURE_PROTOCOL_FEATURES;
	err = get_u64(sock, GET_FEATURES, &offered);
	if (err == 0 && features & ~offered) {
		fprintf(stderr, "features %#jx are not offered\n",
			(uintmax_t)(features & ~offered));
		err = -ENOTSUP;
	}
	if (err == 0)
		err = get_u64(sock, GET_PROTOCOL_FEATURES, &protocol);
	if (err == 0 && !(protocol & PROTOCOL_REPLY_ACK))
		err = -ENOTSUP;
	acks.body.u64 = protocol & (PROTOCOL_REPLY_ACK | PROTOCOL_CRYPTO_SESSION);
	if (err == 0)
		err = send_message(sock, &acks, NULL, 0);
	if (err == 0)
		err = set(sock, (struct message){ .request = SET_OWNER }, NULL, 0);
	if (err == 0)
		err = set_u64(sock, SET_FEATURES, features);
	return err;
}

/** The table names each region's file; every region has the same one here. */
static int
set_mem_table(int sock, const struct guest_memory *memory)
{
	struct message message = { .request = SET_MEM_TABLE };
	int fds[GUEST_MAX_REGIONS];

	message.body.memory.n_regions = memory->n_regions;
	for (unsigned int i = 0; i < memory->n_regions; i++) {
		size_t offset = i * memory->region_size;

		message.body.memory.regions[i].gpa = GPA_BASE + i * GPA_STEP;
		message.body.memory.regions[i].size = memory->region_size;
		message.body.memory.regions[i].va = (uintptr_t)(memory->base + offset);
		message.body.memory.regions[i].offset = offset;
		fds[i] = memory->fd;
	}
	message.size = offsetof(struct message, body.memory.regions[memory->n_regions]) -
		HEADER_BYTES;
	return set(sock, message, fds, memory->n_regions);
}

/** Tell the translations of all memory in use. */
static int
set_translations(int sock, const struct guest_memory *memory, size_t page)
{
	struct message message = { .request = IOTLB_MSG, .size = sizeof(message.body.iotlb) };
	int err = 0;

	message.body.iotlb.size = page;
	message.body.iotlb.access = ACCESS_BOTH;
	message.body.iotlb.type = IOTLB_UPDATE;
	for (size_t at = 0; err == 0 && at < memory->used; at += page) {
		message.body.iotlb.iova = guest_address(memory, memory->base + at);
		message.body.iotlb.va = (uintptr_t)(memory->base + at);
		err = set(sock, message, NULL, 0);
	}
	return err;
}

/** An address of a ring's part, as the backend is told. */
static uint64_t
ring_address(const struct guest *guest, const void *va, bool iommu)
{
	return iommu ? guest_address(&guest->memory, va) : (uintptr_t)va;
}

/** Hand over one ring, all but the enabling. */
static int
set_ring(struct guest *guest, uint32_t index, bool iommu)
{
	const struct driver_ring *ring = &guest->rings[index];
	struct message addr = { .request = SET_VRING_ADDR, .size = sizeof(addr.body.addr) };
	/* The wrap counters of the packed ring start at 1, in the bit above the index. */
	uint32_t base = ring->avail | (uint32_t)ring->avail_wrap << 15;
	int err;

	addr.body.addr.index = index;
	addr.body.addr.desc = ring_address(guest, ring->desc, iommu);
	addr.body.addr.avail = ring_address(guest, ring->driver, iommu);
	addr.body.addr.used = ring_address(guest, ring->device, iommu);
	err = set_state(guest->sock, SET_VRING_NUM, index, ring->num);
	if (err == 0)
		err = set_state(guest->sock, SET_VRING_BASE, index, base);
	if (err == 0)
		err = set(guest->sock, addr, NULL, 0);
	if (err == 0)
		err = set_eventfd(guest->sock, SET_VRING_KICK, index, guest->kick[index]);
	if (err == 0)
		err = set_eventfd(guest->sock, SET_VRING_CALL, index, guest->call[index]);
	return err;
}

static int
open_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 30 };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (sock < 0)
		return -errno;
	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
	    connect(sock, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
		int err = -errno;

		close(sock);
		return err;
	}
	return sock;
}

/** Say all there is to say on an open connection. */
static int
hand_over(struct guest *guest, uint64_t features, size_t iommu_page)
{
	int err = negotiate(guest->sock, features);

	if (err == 0)
		err = set_mem_table(guest->sock, &guest->memory);
	for (uint32_t i = 0; err == 0 && i < RTE_DIM(guest->rings); i++)
		err = set_ring(guest, i, iommu_page != 0);
	/* DPDK 22.11 keeps them for rings that it knows of */
	if (err == 0 && iommu_page != 0)
		err = set_translations(guest->sock, &guest->memory, iommu_page);
	for (uint32_t i = 0; err == 0 && i < RTE_DIM(guest->rings); i++)
		err = set_state(guest->sock, SET_VRING_ENABLE, i, 1);
	return err;
}

int
guest_connect(struct guest *guest, const char *path, uint64_t features, size_t iommu_page)
{
	int err;

	for (unsigned int i = 0; i < RTE_DIM(guest->rings); i++) {
		guest->kick[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		guest->call[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
	guest->sock = open_socket(path);
	err = guest->sock < 0 ? guest->sock : hand_over(guest, features, iommu_page);
	if (err != 0)
		guest_disconnect(guest);
	return err;
}

void
guest_disconnect(struct guest *guest)
{
	for (unsigned int i = 0; i < RTE_DIM(guest->rings); i++) {
		close(guest->kick[i]);
		close(guest->call[i]);
	}
	if (guest->sock >= 0)
		close(guest->sock);
	guest->sock = -1;
}
