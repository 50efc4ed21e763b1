/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * dpdk-test-vhost-blk SOCKET IMAGE REQUESTS [EAL options]
 *
 * A disk for one guest, on the public functions of whichever librte_vhost is
 * found at start.  It holds requests back and gives them back in any order.  After
 * so many of them it kills itself (0: never) while it holds some, at one of the
 * places where the in-flight area says something else than the ring; the next one
 * finds there what to do again.  Split and packed rings, one queue, for tests.
 */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include <rte_common.h>
#include <rte_debug.h>
#include <rte_eal.h>
#include <rte_vhost.h>

#define RING 0
#define SECTOR 512
#define SEGMENTS 32
#define CHAIN_MAX (SEGMENTS + 2)
#define HELD_MAX 1024
/** Requests that it holds when it dies. */
#define HELD_AT_DEATH 3
/** Requests that are held back while there are no more, microseconds. */
#define PATIENCE_US 500

#define FEATURES ((1ULL << VIRTIO_F_VERSION_1) | (1ULL << VIRTIO_F_RING_PACKED) | \
		(1ULL << VHOST_USER_F_PROTOCOL_FEATURES) | (1ULL << VIRTIO_BLK_F_SEG_MAX) | \
		(1ULL << VIRTIO_BLK_F_FLUSH))
#define PROTOCOL_FEATURES ((1ULL << VHOST_USER_PROTOCOL_F_MQ) | \
		(1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
		(1ULL << VHOST_USER_PROTOCOL_F_CONFIG) | \
		(1ULL << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))

/** What an extern handler is given, see rte_vhost_extern_callback_register(). */
struct message {
	uint32_t request, flags, size;
	struct {
		uint32_t offset, size, flags;
		uint8_t region[256];
	} config;
} __attribute__((__packed__));

#define SET_MEM_TABLE 5
#define GET_CONFIG 24

struct piece {
	uint64_t gpa;
	uint32_t len;
	bool write;
};

struct request {
	uint16_t id;		/* split: head, packed: buffer id */
	uint16_t entry;		/* packed: of the in-flight area */
	uint16_t ndesc;		/* descriptors of the ring */
	unsigned int npieces;
	struct piece pieces[CHAIN_MAX];
};

static struct {
	uint8_t *data;
	uint64_t size;
} disk;

static struct {
	int vid;
	bool running;		/* between new_device and destroy_device */
	bool packed;
	volatile bool stop;
	pthread_t thread;
	struct rte_vhost_memory *mem;
	struct rte_vhost_vring ring;
	uint16_t last_avail, last_used;
	struct request held[HELD_MAX];
	unsigned int nheld;
	unsigned int seed;
	unsigned int life;	/* requests until it dies; 0: for ever */
	unsigned int death;	/* at which place */
} dev;

/** The places at which it can die, around giving a request back. */
enum { BEFORE_PUT, AFTER_PUT, AFTER_PUBLISHING, PLACES };

static void
may_die(unsigned int place)
{
	if (dev.life == 1 && dev.nheld >= HELD_AT_DEATH && dev.death == place)
		kill(getpid(), SIGKILL);
}

/* ---- requests ---- */

static void *
translate(uint64_t gpa, uint32_t len)
{
	uint64_t left = len;
	void *at = (void *)(uintptr_t)rte_vhost_va_from_guest_pa(dev.mem, gpa, &left);

	if (at == NULL || left != len)
		rte_exit(EXIT_FAILURE, "no guest memory at %#" PRIx64 "\n", gpa);
	return at;
}

static uint8_t
move_data(const struct request *r, uint64_t at, bool to_guest)
{
	for (unsigned int i = 1; i + 1 < r->npieces; i++) {
		const struct piece *p = &r->pieces[i];

		if (p->write != to_guest || at > disk.size || p->len > disk.size - at)
			return VIRTIO_BLK_S_IOERR;
		if (to_guest)
			memcpy(translate(p->gpa, p->len), disk.data + at, p->len);
		else
			memcpy(disk.data + at, translate(p->gpa, p->len), p->len);
		at += p->len;
	}
	return VIRTIO_BLK_S_OK;
}

static void
execute(const struct request *r)
{
	const struct piece *last = &r->pieces[r->npieces - 1];
	struct virtio_blk_outhdr head;
	uint8_t *status = translate(last->gpa, 1);

	memcpy(&head, translate(r->pieces[0].gpa, sizeof(head)), sizeof(head));
	switch (head.type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		*status = move_data(r, head.sector * SECTOR, head.type == VIRTIO_BLK_T_IN);
		break;
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_GET_ID:
		*status = VIRTIO_BLK_S_OK;
		break;
	default:
		*status = VIRTIO_BLK_S_UNSUPP;
	}
}

static void
add_piece(struct request *r, uint64_t gpa, uint32_t len, uint16_t flags)
{
	if (r->npieces == CHAIN_MAX)
		rte_exit(EXIT_FAILURE, "a chain is too long\n");
	r->pieces[r->npieces++] = (struct piece){ gpa, len, (flags & VRING_DESC_F_WRITE) != 0 };
}

static uint32_t
written(const struct request *r)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < r->npieces; i++)
		n += r->pieces[i].write ? r->pieces[i].len : 0;
	return n;
}

/* ---- split rings ---- */

static void
read_split(struct request *r, uint16_t head)
{
	uint16_t at = head;

	*r = (struct request){ .id = head };
	for (;;) {
		const struct vring_desc *d = &dev.ring.desc[at];

		add_piece(r, d->addr, d->len, d->flags);
		if (!(d->flags & VRING_DESC_F_NEXT))
			return;
		at = d->next;
	}
}

static bool
take_split(struct request *r)
{
	uint16_t head;

	if (__atomic_load_n(&dev.ring.avail->idx, __ATOMIC_ACQUIRE) == dev.last_avail)
		return false;
	head = dev.ring.avail->ring[dev.last_avail++ & (dev.ring.size - 1)];
	rte_vhost_set_inflight_desc_split(dev.vid, RING, head);
	read_split(r, head);
	return true;
}

static void
give_split(const struct request *r)
{
	struct vring_used *used = dev.ring.used;

	used->ring[dev.last_used & (dev.ring.size - 1)] = (struct vring_used_elem){
		.id = r->id, .len = written(r) };
	may_die(BEFORE_PUT);
	rte_vhost_set_last_inflight_io_split(dev.vid, RING, r->id);
	may_die(AFTER_PUT);
	__atomic_store_n(&used->idx, ++dev.last_used, __ATOMIC_RELEASE);
	may_die(AFTER_PUBLISHING);
	rte_vhost_clr_inflight_desc_split(dev.vid, RING, dev.last_used, r->id);
}

/* ---- packed rings: places have their wrap counter in bit 15 ---- */

#define WRAP 0x8000
#define AVAIL (1 << VRING_PACKED_DESC_F_AVAIL)
#define USED (1 << VRING_PACKED_DESC_F_USED)

static uint16_t
advance(uint16_t place, uint16_t n)
{
	uint32_t at = (place & ~WRAP) + n;

	return at < dev.ring.size ? (place & WRAP) | at :
		((place & WRAP) ^ WRAP) | (at - dev.ring.size);
}

static bool
take_packed(struct request *r)
{
	struct vring_packed_desc *ring = dev.ring.desc_packed;
	uint16_t head = dev.last_avail & ~WRAP, last = head;
	uint16_t flags = __atomic_load_n(&ring[head].flags, __ATOMIC_ACQUIRE);

	if ((flags & (AVAIL | USED)) != (dev.last_avail & WRAP ? AVAIL : USED))
		return false;
	*r = (struct request){ .ndesc = 0 };
	for (;;) {
		last = dev.last_avail & ~WRAP;
		dev.last_avail = advance(dev.last_avail, 1);
		add_piece(r, ring[last].addr, ring[last].len, ring[last].flags);
		r->id = ring[last].id;
		r->ndesc++;
		if (!(ring[last].flags & VRING_DESC_F_NEXT))
			break;
	}
	rte_vhost_set_inflight_desc_packed(dev.vid, RING, head, last, &r->entry);
	return true;
}

static void
give_packed(const struct request *r)
{
	struct vring_packed_desc *d = &dev.ring.desc_packed[dev.last_used & ~WRAP];
	uint16_t flags = dev.last_used & WRAP ? AVAIL | USED : 0;

	may_die(BEFORE_PUT);
	rte_vhost_set_last_inflight_io_packed(dev.vid, RING, r->entry);
	may_die(AFTER_PUT);
	d->id = r->id;
	d->len = written(r);
	__atomic_store_n(&d->flags, flags | VRING_DESC_F_WRITE, __ATOMIC_RELEASE);
	may_die(AFTER_PUBLISHING);
	dev.last_used = advance(dev.last_used, r->ndesc);
	rte_vhost_clr_inflight_desc_packed(dev.vid, RING, r->entry);
}

static void
read_entry(struct request *r, const struct rte_vhost_inflight_info_packed *info, uint16_t entry)
{
	uint16_t at = entry;

	*r = (struct request){ .entry = entry, .ndesc = info->desc[entry].num };
	for (unsigned int i = 0; i < r->ndesc; i++) {
		add_piece(r, info->desc[at].addr, info->desc[at].len, info->desc[at].flags);
		r->id = info->desc[at].id;
		at = info->desc[at].next;
	}
}

/* ---- the backend's thread ---- */

static bool
take(struct request *r)
{
	return dev.packed ? take_packed(r) : take_split(r);
}

/** Do one of those held back, any of them. */
static void
finish_one(void)
{
	struct request *r = &dev.held[rand_r(&dev.seed) % dev.nheld];

	execute(r);
	if (dev.packed)
		give_packed(r);
	else
		give_split(r);
	if (dev.life > 1)
		dev.life--;
	*r = dev.held[--dev.nheld];
	rte_vhost_vring_call(dev.vid, RING);
}

static void *
serve(void *arg)
{
	while (!dev.stop) {
		bool more = dev.nheld < HELD_MAX && take(&dev.held[dev.nheld]);

		dev.nheld += more;
		if (!more)
			usleep(PATIENCE_US);
		if (dev.nheld > 0 && (!more || rand_r(&dev.seed) % 4 == 0))
			finish_one();
	}
	return arg;
}

static void
start_thread(void)
{
	dev.stop = false;
	if (rte_vhost_get_mem_table(dev.vid, &dev.mem) != 0 ||
			rte_vhost_get_vhost_vring(dev.vid, RING, &dev.ring) != 0 ||
			pthread_create(&dev.thread, NULL, serve, NULL) != 0)
		rte_exit(EXIT_FAILURE, "cannot serve the ring\n");
}

static void
stop_thread(void)
{
	dev.stop = true;
	pthread_join(dev.thread, NULL);
	free(dev.mem);
}

/* ---- what the library tells ---- */

/** Hold what an earlier backend had taken, earliest first. */
static void
resume(void)
{
	struct rte_vhost_ring_inflight ring;
	struct rte_vhost_resubmit_info *left;

	if (rte_vhost_get_vhost_ring_inflight(dev.vid, RING, &ring) != 0)
		rte_exit(EXIT_FAILURE, "no in-flight area\n");
	rte_vhost_get_vring_base(dev.vid, RING, &dev.last_avail, &dev.last_used);
	if (dev.packed)
		rte_vhost_get_vring_base_from_inflight(dev.vid, RING, &dev.last_avail,
			&dev.last_used);
	left = ring.resubmit_inflight;
	printf("starts with %u requests\n", left != NULL ? left->resubmit_num : 0);
	while (left != NULL && left->resubmit_num > 0) {
		uint16_t index = left->resubmit_list[--left->resubmit_num].index;
		struct request *r = &dev.held[dev.nheld++];

		if (dev.packed)
			read_entry(r, ring.inflight_packed, index);
		else
			read_split(r, index);
		if (dev.packed)
			dev.last_avail = advance(dev.last_avail, r->ndesc);
	}
}

static int
new_device(int vid)
{
	uint64_t features;

	dev.vid = vid;
	dev.nheld = 0;
	if (rte_vhost_get_negotiated_features(vid, &features) != 0 ||
			rte_vhost_get_vhost_vring(vid, RING, &dev.ring) != 0)
		return -1;
	dev.packed = (features & (1ULL << VIRTIO_F_RING_PACKED)) != 0;
	resume();
	start_thread();
	dev.running = true;
	return 0;
}

static void
destroy_device(int vid)
{
	stop_thread();
	dev.running = false;
	if (rte_vhost_get_mem_table(vid, &dev.mem) == 0) {
		while (dev.nheld > 0)
			finish_one();
		free(dev.mem);
	}
	rte_vhost_set_vring_base(vid, RING, dev.last_avail, dev.last_used);
}

static enum rte_vhost_msg_result
before_message(int vid __rte_unused, void *msg)
{
	struct message *m = msg;
	struct virtio_blk_config config = {
		.capacity = disk.size / SECTOR, .seg_max = SEGMENTS, .blk_size = SECTOR,
		.num_queues = 1,
	};

	/* where the guest's memory is may change under us */
	if (m->request == SET_MEM_TABLE && dev.running)
		stop_thread();
	if (m->request != GET_CONFIG)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	memset(m->config.region, 0, sizeof(m->config.region));
	memcpy(m->config.region, &config, sizeof(config));
	return RTE_VHOST_MSG_RESULT_REPLY;
}

static enum rte_vhost_msg_result
after_message(int vid __rte_unused, void *msg)
{
	if (((struct message *)msg)->request == SET_MEM_TABLE && dev.running)
		start_thread();
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static int
new_connection(int vid)
{
	static const struct rte_vhost_user_extern_ops ops = {
		.pre_msg_handle = before_message,
		.post_msg_handle = after_message,
	};

	return rte_vhost_extern_callback_register(vid, &ops, NULL);
}

static void
open_disk(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		rte_exit(EXIT_FAILURE, "cannot open %s\n", path);
	disk.size = st.st_size;
	disk.data = mmap(NULL, disk.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (disk.data == MAP_FAILED)
		rte_exit(EXIT_FAILURE, "cannot map %s\n", path);
}

int
main(int argc, char **argv)
{
	static const struct rte_vhost_device_ops ops = {
		.new_device = new_device,
		.destroy_device = destroy_device,
		.new_connection = new_connection,
	};
	const char *socket = argc > 3 ? argv[1] : NULL;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (socket == NULL)
		rte_exit(EXIT_FAILURE, "%s SOCKET IMAGE REQUESTS [EAL options]\n", argv[0]);
	open_disk(argv[2]);
	dev.life = atoi(argv[3]);
	dev.seed = getpid();
	dev.death = dev.life % PLACES;
	argv[3] = argv[0];
	if (rte_eal_init(argc - 3, argv + 3) < 0)
		rte_exit(EXIT_FAILURE, "cannot start\n");
	if (rte_vhost_driver_register(socket, 0) != 0 ||
			rte_vhost_driver_set_features(socket, FEATURES) != 0 ||
			rte_vhost_driver_set_protocol_features(socket, PROTOCOL_FEATURES) != 0 ||
			rte_vhost_driver_callback_register(socket, &ops) != 0 ||
			rte_vhost_driver_start(socket) != 0)
		rte_exit(EXIT_FAILURE, "cannot listen at %s\n", socket);
	printf("ready\n");
	for (;;)
		pause();
}
