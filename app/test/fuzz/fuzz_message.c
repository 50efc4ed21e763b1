/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Messages and descriptors, through a socket, to a device.
 *
 * An input begins with what is registered (features, flags, kind of backend, what
 * the application refuses).  Then come steps.  A step is a message, right or
 * spoiled in one place or made of anything; or a whole part of the handshake, so
 * that running devices are common; or what else happens to a running device:
 * bursts, kicks, guest memory written or taken away, full nodes, questions of the
 * application.
 *
 * As in socket.c, a message that cannot be served and a truncated memory file end
 * the connection; the next step connects again.  When the input ends, nothing may
 * be left.
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vhost_types.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "device_life.h"
#include "vu_dispatch.h"

#include "fuzz_message.h"

#define MAX_STEPS 96

/* Guest memory as a good frontend has it. */
#define REGION_SIZE	0x40000u
#define REGION_GPA(i)	(0x100000ull + (i) * 0x1000000ull)
#define REGION_UVA(i)	(0x7f0000000000ull + (i) * 0x1000000ull)
#define RING_BYTES	0x2000u
#define RING_UVA(i)	(REGION_UVA(0) + (i) * RING_BYTES)
#define RING_AVAIL	0x1000u
#define RING_USED	0x1400u
#define RING_SIZE	128u
#define GOOD_RINGS	16u
#define BUFFERS		(GOOD_RINGS * RING_BYTES)

/* With an IOMMU an address of the guest is an IOVA, and means the same. */
#define IOMMU_FEATURE	(1ull << VIRTIO_F_ACCESS_PLATFORM)
#define IOMMU_PAGE	4096u

/* What most frontends negotiate. */
#define GOOD_FEATURES	((1ull << VIRTIO_NET_F_MRG_RXBUF) | (1ull << VIRTIO_F_VERSION_1) | \
		(1ull << VIRTIO_NET_F_CTRL_VQ) | (1ull << VIRTIO_NET_F_MQ) | \
		(1ull << VHOST_USER_F_PROTOCOL_FEATURES))
#define GOOD_PROTOCOL	((1ull << VHOST_USER_PROTOCOL_F_MQ) | \
		(1ull << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | \
		(1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
		(1ull << VHOST_USER_PROTOCOL_F_RARP) | \
		(1ull << VHOST_USER_PROTOCOL_F_NET_MTU) | \
		(1ull << VHOST_USER_PROTOCOL_F_SLAVE_REQ) | \
		(1ull << VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD) | \
		(1ull << VHOST_USER_PROTOCOL_F_HOST_NOTIFIER) | \
		(1ull << VHOST_USER_PROTOCOL_F_LOG_SHMFD) | \
		(1ull << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) | \
		(1ull << VHOST_USER_PROTOCOL_F_PAGEFAULT) | \
		(1ull << VHOST_USER_PROTOCOL_F_STATUS))

struct frontend {
	struct fuzz_input in;
	struct vhost_driver driver;
	struct vu_link link;
	struct vhost_device *dev;	/**< NULL when there is no connection */
	int sock;			/**< the frontend's end */
	uint64_t good_features;		/**< what it negotiates, if it is offered */
};

/** A message as it goes over the wire, and its descriptors. */
struct wire {
	struct {
		uint32_t request;
		uint32_t flags;
		uint32_t size;
		uint8_t payload[2 * VU_PAYLOAD_MAX];
	} __attribute__((__packed__)) bytes;
	int fds[MAX_FDS];
	unsigned int nfds;
};

/* ---- the connection ---- */

static void
connect_frontend(struct frontend *fe)
{
	int pair[2];

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "errno %d",
		errno);
	vhost_vu_link_init(&fe->link, pair[0], fe->driver.quota);
	fe->sock = pair[1];
	fe->dev = vhost_device_create(&fe->driver, &fe->link);
	if (fe->dev != NULL)
		return;
	vhost_vu_link_close(&fe->link);
	close(fe->sock);
}

static void
disconnect(struct frontend *fe)
{
	vhost_device_destroy(fe->dev, true);
	vhost_vu_link_close(&fe->link);
	close(fe->sock);
	fe->dev = NULL;
	app_check_gone();
}

/** Read all answers; each has to be a message. */
static void
read_answers(int sock)
{
	struct {
		uint32_t request, flags, size;
		uint8_t payload[VU_PAYLOAD_MAX];
	} __attribute__((__packed__)) answer;

	while (recv(sock, &answer, VU_HEADER_SIZE, MSG_DONTWAIT) == VU_HEADER_SIZE) {
		FUZZ_CHECK(answer.flags == (VU_VERSION | VU_REPLY), "flags 0x%x", answer.flags);
		FUZZ_CHECK(answer.size <= VU_PAYLOAD_MAX, "%u bytes", answer.size);
		/* no payload at all means that there is no configuration space */
		FUZZ_CHECK(answer.size == 0 || recv(sock, answer.payload, answer.size,
			MSG_DONTWAIT) == answer.size, "%u bytes, errno %d", answer.size, errno);
	}
}

/** Whether the connection stays after this message. */
static bool
dispatch(struct frontend *fe, struct vu_message *msg)
{
	int ret = vhost_vu_dispatch(fe->dev, msg);

	for (unsigned int i = 0; i < VU_MAX_FDS; i++)
		FUZZ_CHECK(msg->fds[i] < 0 || msg->nfds == 0, "descriptor %u is left", i);
	return ret == 0;
}

static void
serve(struct frontend *fe)
{
	struct vu_message msg;
	int ret = 0;

	while (fe->dev != NULL && (ret = vhost_vu_recv(&fe->link, &msg)) == 1) {
		bool stays = dispatch(fe, &msg);

		read_answers(fe->sock);
		if (!stays)
			disconnect(fe);
	}
	fuzz_events_serve();
	if (fe->dev != NULL && (ret < 0 || vhost_device_lost_memory(fe->dev)))
		disconnect(fe);
}

static void
send_bytes(struct frontend *fe, const void *bytes, size_t len, const int *fds, unsigned int nfds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * MAX_FDS)];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (nfds > 0) {
		hdr.msg_control = &control;
		hdr.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cmsg = CMSG_FIRSTHDR(&hdr);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
	}
	sendmsg(fe->sock, &hdr, MSG_DONTWAIT | MSG_NOSIGNAL);
	serve(fe);
}

/** Send a message, and close the descriptors that it had. */
static void
send_wire(struct frontend *fe, const struct wire *w)
{
	size_t len = RTE_MIN(w->bytes.size, sizeof(w->bytes.payload));

	if (fe->dev != NULL)
		send_bytes(fe, &w->bytes, VU_HEADER_SIZE + len, w->fds, w->nfds);
	for (unsigned int i = 0; i < w->nfds; i++)
		close(w->fds[i]);
}

/* ---- messages as they should be ---- */

static void
start_wire(struct wire *w, uint32_t request, const void *payload, uint32_t size)
{
	memset(w, 0, sizeof(*w));
	w->bytes.request = request;
	w->bytes.flags = VU_VERSION;
	w->bytes.size = size;
	if (size > 0)
		memcpy(w->bytes.payload, payload, size);
}

static void
add_fd(struct wire *w, int fd)
{
	if (fd >= 0)
		w->fds[w->nfds++] = fd;
}

static void
say_u64(struct frontend *fe, uint32_t request, uint64_t value)
{
	struct wire w;

	start_wire(&w, request, &value, sizeof(value));
	send_wire(fe, &w);
}

static void
say_state(struct frontend *fe, uint32_t request, uint32_t index, uint32_t num)
{
	const struct vu_vring_state state = { index, num };
	struct wire w;

	start_wire(&w, request, &state, sizeof(state));
	send_wire(fe, &w);
}

static void
say_doorbell(struct frontend *fe, uint32_t request, uint8_t index, int fd)
{
	uint64_t value = index | (fd < 0 ? VU_VRING_NO_FD : 0);
	struct wire w;

	start_wire(&w, request, &value, sizeof(value));
	add_fd(&w, fd);
	send_wire(fe, &w);
}

static bool
has_iommu(const struct frontend *fe)
{
	return (fe->driver.flags & RTE_VHOST_USER_IOMMU_SUPPORT) != 0;
}

static struct vu_vring_addr
good_addr(const struct frontend *fe, uint32_t index)
{
	uint64_t ring = RING_UVA(index % GOOD_RINGS) +
		(has_iommu(fe) ? REGION_GPA(0) - REGION_UVA(0) : 0);

	return (struct vu_vring_addr){
		.index = index,
		.desc = ring,
		.avail = ring + RING_AVAIL,
		.used = ring + RING_USED,
	};
}

static void
negotiate(struct frontend *fe)
{
	uint64_t less = fuzz_u8(&fe->in) & 1 ? fuzz_u64(&fe->in) : 0;

	say_u64(fe, VU_SET_FEATURES, fe->good_features & fe->driver.features & ~less);
	say_u64(fe, VU_SET_PROTOCOL_FEATURES,
		GOOD_PROTOCOL & fe->driver.protocol_features & ~(less >> 32));
}

/** The i-th region, so far behind the start of its file. */
static struct vu_region
good_region(unsigned int i, uint8_t offset)
{
	return (struct vu_region){
		.gpa = REGION_GPA(i),
		.uva = REGION_UVA(i),
		.size = REGION_SIZE,
		.mmap_offset = offset << (offset & 1 ? 0 : 8),
	};
}

static bool
has_postcopy(const struct frontend *fe)
{
	return (fe->driver.flags & RTE_VHOST_USER_POSTCOPY_SUPPORT) != 0;
}

/** A new file for a region; for the destination of a postcopy migration with all pages. */
static int
make_region_file(const struct frontend *fe, const struct vu_region *region)
{
	unsigned int number;
	int fd = fds_make_file(region->mmap_offset + region->size, &number);

	/* nobody would bring a page that is waited for */
	if (fd >= 0 && has_postcopy(fe))
		FUZZ_CHECK(fallocate(fd, 0, 0, region->mmap_offset + region->size) == 0, "errno %d",
			errno);
	return fd;
}

/** A memory table of new files. */
static void
make_mem_table(struct frontend *fe, struct wire *w, unsigned int nregions)
{
	uint8_t offset = fuzz_u8(&fe->in);
	struct vu_memory table = { .nregions = nregions };
	int fds[VU_MAX_TABLE];

	for (unsigned int i = 0; i < nregions; i++) {
		table.regions[i] = good_region(i, offset);
		fds[i] = make_region_file(fe, &table.regions[i]);
	}
	start_wire(w, VU_SET_MEM_TABLE, &table, offsetof(struct vu_memory, regions[nregions]));
	for (unsigned int i = 0; i < nregions; i++)
		add_fd(w, fds[i]);
}

/** A region that comes or goes. */
static void
make_mem_slot(struct frontend *fe, struct wire *w, uint32_t request, unsigned int i)
{
	struct vu_memory_slot slot = { .region = good_region(i, fuzz_u8(&fe->in)) };

	start_wire(w, request, &slot, sizeof(slot));
	/* frontends send the descriptor of one that goes, too, or do not */
	if (request == VU_ADD_MEM_REG || (fuzz_u8(&fe->in) & 1))
		add_fd(w, make_region_file(fe, &slot.region));
}

static void
set_memory(struct frontend *fe)
{
	struct wire w;

	make_mem_table(fe, &w, 1 + fuzz_below(&fe->in, VU_MAX_TABLE));
	send_wire(fe, &w);
}

static void
set_ring(struct frontend *fe, uint32_t index)
{
	struct vu_vring_addr addr = good_addr(fe, index);
	struct wire w;

	say_state(fe, VU_SET_VRING_NUM, index, RING_SIZE);
	say_state(fe, VU_SET_VRING_BASE, index, 0);
	start_wire(&w, VU_SET_VRING_ADDR, &addr, sizeof(addr));
	send_wire(fe, &w);
	say_doorbell(fe, VU_SET_VRING_KICK, index, fds_make_eventfd());
	say_doorbell(fe, VU_SET_VRING_CALL, index, fds_make_eventfd());
	say_state(fe, VU_SET_VRING_ENABLE, index, 1);
}

/** What the guest's IOMMU tells of pages of the first region. */
static void
say_iotlb(struct frontend *fe, uint8_t type, uint32_t page, uint32_t pages)
{
	const struct vu_iotlb msg = {
		.iova = REGION_GPA(0) + page * IOMMU_PAGE,
		.uva = REGION_UVA(0) + page * IOMMU_PAGE,
		.size = pages * IOMMU_PAGE,
		.access = 3,
		.type = type,
	};
	struct wire w;

	start_wire(&w, VU_IOTLB_MSG, &msg, sizeof(msg));
	send_wire(fe, &w);
}

/** All that it takes to run. */
static void
start_device(struct frontend *fe)
{
	uint32_t nrings = 2 + fuzz_below(&fe->in, 4);

	negotiate(fe);
	set_memory(fe);
	if (has_iommu(fe))
		say_iotlb(fe, VU_IOTLB_UPDATE, 0, REGION_SIZE / IOMMU_PAGE);
	for (uint32_t i = 0; i < nrings; i++)
		set_ring(fe, i);
}

/** A log of written pages, large enough if the input likes. */
static void
make_log_base(struct frontend *fe, struct wire *w)
{
	/* bits of the highest region, and of less */
	static const uint64_t sizes[] = { 0x2000, 0x40, 0x1000, 8, 1, 0, UINT64_MAX - 7, 0x20000 };
	uint8_t choice = fuzz_u8(&fe->in);
	struct vu_log log = { .size = sizes[choice % 8], .offset = (choice >> 3) * 8 };
	unsigned int number;

	start_wire(w, VU_SET_LOG_BASE, &log, sizeof(log));
	add_fd(w, fds_make_file(choice & 0x80 ? 0x1000 : 0x22000, &number));
}

/** An area to ask for, or one to hand over, which may be too small or hold anything. */
static void
make_inflight(struct frontend *fe, struct wire *w, uint32_t request)
{
	struct fuzz_input *in = &fe->in;
	uint8_t choice = fuzz_u8(in), bytes[64] = { 0 };
	struct vu_inflight area = {
		.mmap_size = choice & 1 ? 0x10000 : fuzz_u16(in),
		.mmap_offset = choice & 2 ? fuzz_u16(in) : 0,
		.num_queues = choice & 4 ? fuzz_u16(in) : GOOD_RINGS,
		.queue_size = choice & 8 ? fuzz_u16(in) : RING_SIZE,
	};
	unsigned int number;
	int fd;

	start_wire(w, request, &area, sizeof(area));
	if (request == VU_GET_INFLIGHT_FD)
		return;
	fd = fds_make_file(0x10000, &number);
	fuzz_take(in, bytes, sizeof(bytes));
	if (fd >= 0 && choice & 16)
		fds_write_file(number, (choice >> 5) * 0x400, bytes, sizeof(bytes));
	add_fd(w, fd);
}

/** A translation that comes or goes: of some pages, where they are or elsewhere. */
static void
make_iotlb(struct frontend *fe, struct wire *w, uint8_t type)
{
	struct fuzz_input *in = &fe->in;
	uint8_t page = fuzz_u8(in), pages = fuzz_u8(in), other = fuzz_u8(in);
	const struct vu_iotlb msg = {
		.iova = pages == 0xff ? 0 : REGION_GPA(0) + page * IOMMU_PAGE,
		.uva = REGION_UVA(other >> 6) + ((page + other) & 63) * IOMMU_PAGE,
		.size = pages == 0xff ? UINT64_MAX : pages * IOMMU_PAGE,
		.access = fuzz_u8(in) & 3,
		.type = type,
	};

	start_wire(w, VU_IOTLB_MSG, &msg, sizeof(msg));
}

/* ---- messages of any kind ---- */

/** What is said of a vring; false if the request is about something else. */
static bool
make_vring_payload(struct frontend *fe, struct wire *w, uint32_t request, uint32_t index)
{
	struct fuzz_input *in = &fe->in;
	struct vu_vring_state state = { index, 0 };
	struct vu_vring_addr addr;
	uint64_t value;

	switch (request) {
	case VU_SET_VRING_NUM:
		state.num = 1u << fuzz_below(in, 17);
		start_wire(w, request, &state, sizeof(state));
		return true;
	case VU_SET_VRING_BASE:
	case VU_GET_VRING_BASE:
	case VU_SET_VRING_ENABLE:
		state.num = request == VU_SET_VRING_ENABLE ? fuzz_u8(in) & 1 : fuzz_u16(in);
		start_wire(w, request, &state, sizeof(state));
		return true;
	case VU_SET_VRING_ADDR:
		addr = good_addr(fe, index);
		start_wire(w, request, &addr, sizeof(addr));
		return true;
	case VU_SET_VRING_KICK:
	case VU_SET_VRING_CALL:
	case VU_SET_VRING_ERR:
		value = index | (fuzz_u8(in) % 4 == 1 ? VU_VRING_NO_FD : 0);
		start_wire(w, request, &value, sizeof(value));
		if (!(value & VU_VRING_NO_FD))
			add_fd(w, fds_make(in));
		return true;
	default:
		return false;
	}
}

static void
make_config(struct frontend *fe, struct wire *w, uint32_t request, uint32_t offset)
{
	struct vu_config config = { .offset = offset };

	config.size = fuzz_below(&fe->in, VU_CONFIG_MAX + 1);
	config.flags = config.size & 1;
	start_wire(w, request, &config, offsetof(struct vu_config, region) + config.size);
}

/** A number of bytes that some request could have, and its payload. */
static void
make_payload(struct frontend *fe, struct wire *w, uint32_t request)
{
	struct fuzz_input *in = &fe->in;
	uint8_t number = fuzz_u8(in);
	uint64_t value;

	if (make_vring_payload(fe, w, request, number))
		return;
	switch (request) {
	case VU_SET_MEM_TABLE:
		make_mem_table(fe, w, number % (VU_MAX_TABLE + 1));
		return;
	case VU_ADD_MEM_REG:
	case VU_REM_MEM_REG:
		/* one more than there may be */
		make_mem_slot(fe, w, request, number % (VHOST_MAX_REGIONS + 1));
		return;
	case VU_SET_SLAVE_REQ_FD:
		start_wire(w, request, NULL, 0);
		add_fd(w, number & 1 ? fds_make(in) : fds_make_channel());
		return;
	case VU_GET_CONFIG:
	case VU_SET_CONFIG:
		make_config(fe, w, request, number);
		return;
	case VU_SET_LOG_BASE:
		make_log_base(fe, w);
		return;
	case VU_IOTLB_MSG:
		make_iotlb(fe, w, number % 5);
		return;
	case VU_GET_INFLIGHT_FD:
	case VU_SET_INFLIGHT_FD:
		make_inflight(fe, w, request);
		return;
	case VU_POSTCOPY_ADVISE:
	case VU_POSTCOPY_LISTEN:
	case VU_POSTCOPY_END:
	case VU_GET_FEATURES:
	case VU_GET_PROTOCOL_FEATURES:
	case VU_GET_QUEUE_NUM:
	case VU_GET_MAX_MEM_SLOTS:
	case VU_GET_STATUS:
	case VU_SET_OWNER:
	case VU_RESET_OWNER:
		start_wire(w, request, NULL, 0);
		return;
	default:
		value = fuzz_u8(in) & 1 ? fuzz_u64(in) : number;
		start_wire(w, request, &value, sizeof(value));
	}
}

/** Change one thing of a message. */
static void
spoil(struct frontend *fe, struct wire *w)
{
	struct fuzz_input *in = &fe->in;
	uint8_t what = fuzz_u8(in), how = fuzz_u8(in);
	uint32_t at = how % RTE_MAX(w->bytes.size, 1u);

	switch (what % 7) {
	case 0:
		w->bytes.payload[at] ^= fuzz_u8(in);
		break;
	case 1:
		/* a whole number, at an offset where one may be */
		at = RTE_ALIGN_FLOOR(at, 4);
		fuzz_take(in, w->bytes.payload + at, sizeof(uint64_t));
		break;
	case 2:
		w->bytes.size += (int8_t)how;
		break;
	case 3:
		if (w->nfds < MAX_FDS)
			add_fd(w, fds_make(in));
		break;
	case 4:
		if (w->nfds > 0)
			close(w->fds[--w->nfds]);
		break;
	case 5:
		/* another descriptor in its place */
		if (w->nfds > 0) {
			close(w->fds[how % w->nfds]);
			w->fds[how % w->nfds] = fds_make(in);
		}
		break;
	default:
		w->bytes.flags = fuzz_u32(in);
	}
}

static void
say_something(struct frontend *fe)
{
	uint8_t request = fuzz_u8(&fe->in);
	struct wire w;

	make_payload(fe, &w, (request & 0x7f) % (VU_REQUEST_MAX + 2));
	/* of the requests' numbers the upper half wants an ack, or says more */
	if (request & 0x80)
		w.bytes.flags = VU_VERSION | (fuzz_u8(&fe->in) << 2 & ~VU_REPLY);
	send_wire(fe, &w);
}

static void
say_something_wrong(struct frontend *fe)
{
	struct wire w;

	make_payload(fe, &w, fuzz_u8(&fe->in) % (VU_REQUEST_MAX + 2));
	spoil(fe, &w);
	send_wire(fe, &w);
}

/** Bytes, whether or not they are a message, with descriptors. */
static void
send_anything(struct frontend *fe)
{
	uint8_t bytes[256];
	uint8_t len = fuzz_u8(&fe->in);
	unsigned int nfds = fuzz_u8(&fe->in) % (4 * MAX_FDS);
	int fds[MAX_FDS];

	fuzz_take(&fe->in, bytes, len);
	nfds = nfds <= MAX_FDS ? nfds : 0;
	for (unsigned int i = 0; i < nfds; i++)
		fds[i] = fds_make(&fe->in);
	if (fe->dev != NULL)
		send_bytes(fe, bytes, len, fds, nfds);
	for (unsigned int i = 0; i < nfds; i++)
		close(fds[i]);
}

/* ---- what else happens ---- */

/** The guest offers chains of one buffer each, of its own making or at random. */
static void
fill_ring(struct frontend *fe)
{
	struct fuzz_input *in = &fe->in;
	uint8_t file = fuzz_u8(in), index = fuzz_u8(in) % GOOD_RINGS, n = fuzz_u8(in);
	uint64_t ring = index * RING_BYTES;
	struct vring_desc desc = {
		.addr = REGION_GPA(0) + BUFFERS,
		.len = fuzz_u16(in),
		.flags = index % 2 == 0 ? VRING_DESC_F_WRITE : 0,
	};
	uint16_t entry;

	for (entry = 0; entry < n % RING_SIZE; entry++) {
		fds_write_file(file, ring + entry * sizeof(desc), &desc, sizeof(desc));
		fds_write_file(file, ring + RING_AVAIL + 4 + entry * sizeof(entry), &entry,
			sizeof(entry));
	}
	fds_write_file(file, ring + RING_AVAIL + 2, &entry, sizeof(entry));
}

static void
write_memory(struct frontend *fe)
{
	uint8_t file = fuzz_u8(&fe->in), len, bytes[64];
	uint32_t offset = fuzz_u32(&fe->in) % REGION_SIZE;

	len = fuzz_u8(&fe->in) % sizeof(bytes);
	fuzz_take(&fe->in, bytes, len);
	fds_write_file(file, offset, bytes, len);
}

static void
resize_memory(struct frontend *fe)
{
	uint8_t file = fuzz_u8(&fe->in);
	uint32_t size = fuzz_u16(&fe->in) << 4;

	if (!has_postcopy(fe))
		fds_resize_file(file, size);
}

static void
reconnect(struct frontend *fe)
{
	if (fe->dev != NULL)
		disconnect(fe);
}

static void
burst(struct frontend *fe)
{
	if (fe->dev != NULL)
		app_burst(fe->dev->vid, &fe->in);
}

static void
act(struct frontend *fe)
{
	if (fe->dev != NULL)
		app_act(fe->dev->vid, &fe->in);
}

static void
kick(struct frontend *fe)
{
	fds_kick();
	serve(fe);
}

static void
set_one_ring(struct frontend *fe)
{
	set_ring(fe, fuzz_u8(&fe->in));
}

static void (*const steps[])(struct frontend *fe) = {
	start_device, say_something, say_something_wrong, send_anything,
	negotiate, set_memory, set_one_ring, fill_ring, burst, act,
	write_memory, resize_memory, kick, reconnect,
};

/* ---- an input ---- */

static void
register_driver(struct frontend *fe)
{
	uint8_t choice = fuzz_u8(&fe->in);
	const struct app_config app = {
		.refuses = fuzz_u8(&fe->in),
		.extern_ops = (choice & 0x80) != 0,
	};

	fe->driver = (struct vhost_driver){
		.path = "/fuzz",
		.features = choice & 1 ? fuzz_u64(&fe->in) : VHOST_NET_FEATURES,
		.protocol_features = VHOST_PROTOCOL_FEATURES |
			(1ull << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |
			(1ull << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD),
		.flags = choice & 2 ? fuzz_u16(&fe->in) : RTE_VHOST_USER_NET_STATS_ENABLE,
		.builtin = !(choice & 4),
		.ops = choice & 8 ? NULL : &app_ops,
	};
	fe->good_features = GOOD_FEATURES | (choice & 1 ? 1ull << VHOST_F_LOG_ALL : 0);
	fe->driver.features &= VHOST_NET_FEATURES;
	if (has_iommu(fe)) {
		fe->driver.features |= IOMMU_FEATURE;
		fe->good_features |= IOMMU_FEATURE;
	}
	if (choice & 0x10) {
		fe->driver.vdpa = app_vdpa(choice >> 5 & 1);
		fe->driver.vdpa_vrings = APP_HARDWARE_VRINGS;
	}
	if (has_postcopy(fe))
		fe->driver.protocol_features |= 1ull << VHOST_USER_PROTOCOL_F_PAGEFAULT;
	/* with STATUS the driver has to say that it is ready */
	if (!(choice & 0x40))
		fe->driver.protocol_features &= ~(1ull << VHOST_USER_PROTOCOL_F_STATUS);
	app_begin(&app);
	fuzz_nodes_reset(fuzz_u8(&fe->in));
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc __rte_unused, char ***argv __rte_unused)
{
	fuzz_start();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frontend fe = { .in = { data, size } };

	fuzz_books_open();
	register_driver(&fe);
	fuzz_account_open(&fe.driver);
	for (int i = 0; i < MAX_STEPS && fe.in.left > 0; i++) {
		if (fe.dev == NULL)
			connect_frontend(&fe);
		steps[fuzz_u8(&fe.in) % RTE_DIM(steps)](&fe);
		if (fe.dev != NULL)
			serve(&fe);
	}
	if (fe.dev != NULL)
		disconnect(&fe);
	fds_end();
	fuzz_account_close(&fe.driver);
	fuzz_books_close();
	return 0;
}
