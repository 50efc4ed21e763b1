/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A whole device: from the library's socket to rings that run.
 *
 * fake_start_config() takes the steps in the order of a virtual machine monitor
 * and stops where the test wants to go on by itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include <rte_vhost_crypto.h>

#include "test.h"
#include "vhost_fake_backend.h"
#include "vhost_fake_private.h"

#define REGION_GPA 0x40000000ULL
#define REGION_HOLE 0x10000000ULL

/* ---- memory ---- */

static void
defaults(struct fake_config *cfg)
{
	if (cfg->queues == 0)
		cfg->queues = 1;
	if (cfg->format == FAKE_DEFAULT_FORMAT)
		cfg->format = fake_default_format();
	if (cfg->ring_size == 0)
		cfg->ring_size = 256;
	if (cfg->buf_size == 0)
		cfg->buf_size = 2048;
	if (cfg->regions == 0)
		cfg->regions = 1;
	if (cfg->extra_memory == 0)
		cfg->extra_memory = 1 << 20;
}

/** Rings live in the first region, their buffers in the last. */
static int
create_memory(struct fake *fe)
{
	const struct fake_config *cfg = &fe->cfg;
	uint64_t gpa = REGION_GPA;

	for (unsigned int i = 0; i < cfg->regions; i++) {
		uint64_t size = cfg->extra_memory;
		int node = cfg->memory_on_node;

		if (i == 0) {
			size += fake_vq_ring_bytes(fe) * fe->nvrings;
			node = cfg->rings_on_node ? cfg->rings_on_node : node;
		}
		if (i == cfg->regions - 1)
			size += fake_vq_buffer_bytes(fe) * fe->nvrings;
		/* The guard begins in the middle of a page. */
		size = RTE_ALIGN_CEIL(size, 4096) + 2048;
		if (fake_region_create(fe, gpa, size, node) < 0)
			return -1;
		gpa += size;
		if (!cfg->adjacent)
			gpa = RTE_ALIGN_CEIL(gpa + REGION_HOLE, REGION_HOLE);
	}
	return 0;
}

static int
create_vqs(struct fake *fe)
{
	fe->vqs = calloc(fe->nvrings, sizeof(*fe->vqs));
	if (fe->vqs == NULL)
		return -1;
	for (unsigned int i = 0; i < fe->nvrings; i++)
		fe->vqs[i].kickfd = fe->vqs[i].callfd = -1;
	for (unsigned int i = 0; i < fe->nvrings; i++)
		if (fake_vq_init(fe, i) < 0)
			return -1;
	return 0;
}

/* ---- connection ---- */

static struct sockaddr_un
address_of(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	return addr;
}

static int
listen_on(const char *path)
{
	struct sockaddr_un addr = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
			listen(fd, 16) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int
fake_listen(struct fake *fe)
{
	fe->listener = listen_on(fe->path);
	return fe->listener >= 0 ? 0 : -1;
}

static int
accept_from(int listener)
{
	struct pollfd pfd = { .fd = listener, .events = POLLIN };

	/* The library tries again once a second. */
	if (poll(&pfd, 1, fake_patience_ms()) <= 0)
		return -1;
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

static int
connect_to(const char *path)
{
	struct sockaddr_un addr = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	printf("fake: connect to %s: %s\n", path, strerror(errno));
	close(fd);
	return -1;
}

static bool
is_recorded(const struct fake *fe)
{
	return fe->cfg.ops == NULL;
}

int
fake_connect(struct fake *fe)
{
	fake_disconnect(fe);
	fe->sock = fe->cfg.client ?
		accept_from(fe->listener) : connect_to(fe->path);
	if (fe->sock < 0)
		return -1;
	fcntl(fe->sock, F_SETFL, O_NONBLOCK);
	fe->reply_ack = false;
	if (!is_recorded(fe))
		return 0;
	fe->record = fake_record_claim(fe->path, &fe->vid);
	return fe->record != NULL ? 0 : -1;
}

void
fake_disconnect(struct fake *fe)
{
	if (fe->sock >= 0)
		close(fe->sock);
	fe->sock = -1;
	if (fe->record != NULL &&
			!fake_wait_events(fe, FAKE_DESTROY_CONNECTION, 1))
		fe->broken = true;
	fake_record_release(fe->record);
	fe->record = NULL;
	fe->vid = -1;
}

/** Offer what is not the default to a frontend that wants it. */
static int
offer_more(const struct fake *fe)
{
	const uint64_t more = fe->cfg.protocol_features & (FE_BIT(FE_PROTOCOL_MEM_SLOTS) |
		FE_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD));
	uint64_t offered;

	if (more == 0)
		return 0;
	if (rte_vhost_driver_get_protocol_features(fe->path, &offered) < 0)
		return -1;
	return rte_vhost_driver_set_protocol_features(fe->path, offered | more);
}

static int
register_socket(struct fake *fe)
{
	const struct rte_vhost_device_ops *recorder =
		fe->cfg.more_ops != NULL ? fe->cfg.more_ops : &fake_recorder_ops;
	const struct rte_vhost_device_ops *ops = is_recorded(fe) ? recorder : fe->cfg.ops;
	uint64_t flags = fe->cfg.flags | (fe->cfg.client ? RTE_VHOST_USER_CLIENT : 0) |
		(fe->cfg.iommu ? RTE_VHOST_USER_IOMMU_SUPPORT : fake_backend_flags());

	if (fe->cfg.join != NULL)
		return 0;
	if (fe->cfg.client && fake_listen(fe) < 0)
		return -1;
	if (rte_vhost_driver_register(fe->path, flags) < 0)
		return -1;
	fe->owns_path = true;
	if (rte_vhost_driver_callback_register(fe->path, ops) < 0 || offer_more(fe) < 0)
		return -1;
	return fe->cfg.crypto ? rte_vhost_crypto_driver_start(fe->path) :
		rte_vhost_driver_start(fe->path);
}

/* ---- handshake ---- */

static uint64_t
wanted_features(const struct fake_config *cfg)
{
	uint64_t f = cfg->features;

	if (!cfg->legacy)
		f |= FE_BIT(32);
	if (!cfg->no_protocol_features)
		f |= FE_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	if (cfg->mergeable)
		f |= FE_BIT(VIRTIO_NET_F_MRG_RXBUF);
	if (cfg->event_idx)
		f |= FE_BIT(VIRTIO_RING_F_EVENT_IDX);
	if (cfg->iommu)
		f |= FE_BIT(VIRTIO_F_ACCESS_PLATFORM);
	if (cfg->in_order)
		f |= FE_BIT(VIRTIO_F_IN_ORDER);
	if (cfg->format == FAKE_PACKED)
		f |= FE_BIT(VIRTIO_F_RING_PACKED);
	if (cfg->queues > 1)
		f |= FE_BIT(VIRTIO_NET_F_MQ);
	if (cfg->ctrl_queue)
		f |= FE_BIT(VIRTIO_NET_F_CTRL_VQ);
	return f | FE_BIT(VIRTIO_RING_F_INDIRECT_DESC);
}

static int
negotiate_protocol(struct fake *fe)
{
	uint64_t want = FE_BIT(VHOST_USER_PROTOCOL_F_MQ) |
		FE_BIT(VHOST_USER_PROTOCOL_F_RARP) |
		FE_BIT(VHOST_USER_PROTOCOL_F_NET_MTU) |
		(fe->cfg.iommu ? FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ) : 0) |
		fe->cfg.protocol_features;
	uint64_t offered;

	if (!fe->cfg.no_reply_ack)
		want |= FE_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK);
	if (fake_ask_u64(fe, FE_GET_PROTOCOL_FEATURES, &offered) < 0)
		return -1;
	fe->protocol_features = want & offered;
	if (fake_send(fe, FE_SET_PROTOCOL_FEATURES, 0, &fe->protocol_features,
			sizeof(uint64_t), NULL, 0) < 0)
		return -1;
	fe->reply_ack = !fe->cfg.no_reply_ack;
	return 0;
}

int
fake_negotiate(struct fake *fe)
{
	uint64_t offered;

	fe->features = wanted_features(&fe->cfg);
	if (fake_ask_u64(fe, FE_GET_FEATURES, &offered) < 0)
		return -1;
	if ((fe->features & ~offered) != 0) {
		printf("fake: features %#" PRIx64 " are not offered\n",
			fe->features & ~offered);
		return -1;
	}
	if (!fe->cfg.no_protocol_features && negotiate_protocol(fe) < 0)
		return -1;
	if (fake_call(fe, FE_SET_OWNER, NULL, 0, NULL, 0) != FAKE_ACK)
		return -1;
	return fake_call_u64(fe, FE_SET_FEATURES, fe->features) == FAKE_ACK ?
		0 : -1;
}

void
fake_mem_table_of(const struct fake *fe, struct fake_mem_table *table, int *fds)
{
	*table = (struct fake_mem_table){ .nregions = fe->nregions };
	for (unsigned int i = 0; i < fe->nregions; i++) {
		table->regions[i] = fe->regions[i].wire;
		fds[i] = fe->regions[i].fd;
	}
}

int
fake_send_mem_table(struct fake *fe)
{
	struct fake_mem_table table;
	int fds[FE_MAX_REGIONS];

	fake_mem_table_of(fe, &table, fds);
	return fake_call(fe, FE_SET_MEM_TABLE, &table,
		offsetof(struct fake_mem_table, regions[fe->nregions]),
		fds, fe->nregions) == FAKE_ACK ? 0 : -1;
}

/** The address in the frontend's address space, which ADDR speaks of. */
static uint64_t
uva_of(const struct fake *fe, uint64_t gpa)
{
	return (uintptr_t)fake_va(fe, gpa, 1);
}

struct fake_addr
fake_addr_of(const struct fake *fe, unsigned int i)
{
	const struct fake_vq *vq = &fe->vqs[i];

	if (fe->iova != 0)
		return (struct fake_addr){
			.index = i,
			.desc = vq->desc_gpa + fe->iova,
			.used = vq->used_gpa + fe->iova,
			.avail = vq->avail_gpa + fe->iova,
		};
	return (struct fake_addr){
		.index = i,
		.desc = uva_of(fe, vq->desc_gpa),
		.used = uva_of(fe, vq->used_gpa),
		.avail = uva_of(fe, vq->avail_gpa),
	};
}

int
fake_setup_vring(struct fake *fe, unsigned int i)
{
	struct fake_vq *vq = &fe->vqs[i];
	struct fake_addr addr = fake_addr_of(fe, i);

	if (fake_call_state(fe, FE_SET_VRING_NUM, i, vq->size) != FAKE_ACK ||
	    fake_call_state(fe, FE_SET_VRING_BASE, i, vq->ops->base(vq)) !=
			FAKE_ACK ||
	    fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0) !=
			FAKE_ACK ||
	    fake_call_fd(fe, FE_SET_VRING_KICK, i, vq->kickfd) != FAKE_ACK ||
	    fake_call_fd(fe, FE_SET_VRING_CALL, i, vq->callfd) != FAKE_ACK)
		return -1;
	return 0;
}

int
fake_enable_vring(struct fake *fe, unsigned int i, bool on)
{
	if (fe->cfg.no_protocol_features)
		return 0;
	return fake_call_state(fe, FE_SET_VRING_ENABLE, i, on) == FAKE_ACK ?
		0 : -1;
}

int64_t
fake_stop_vring(struct fake *fe, unsigned int i)
{
	struct fake_state state = { .index = i };
	struct fake_msg reply;

	if (fake_ask(fe, FE_GET_VRING_BASE, &state, sizeof(state), &reply) < 0 ||
			reply.size != sizeof(state))
		return -1;
	memcpy(&state, reply.payload, sizeof(state));
	return state.index == i ? (int64_t)state.num : -1;
}

static int
setup_all_vrings(struct fake *fe)
{
	for (unsigned int i = 0; i < fe->nvrings; i++)
		if (fake_setup_vring(fe, i) < 0)
			return -1;
	return 0;
}

/** Enable all rings, then wait until new_device() was called so many times. */
static int
enable_and_wait(struct fake *fe, unsigned int times)
{
	for (unsigned int i = 0; i < fe->nvrings; i++)
		if (fake_enable_vring(fe, i, true) < 0)
			return -1;
	if (!is_recorded(fe))
		return fake_is_served(fe) ? 0 : -1;
	return fake_wait_events(fe, FAKE_NEW_DEVICE, times) ? 0 : -1;
}

static int
enable_all_vrings(struct fake *fe)
{
	return enable_and_wait(fe, 1 + fe->cfg.refuse_new_device);
}

int
fake_run(struct fake *fe)
{
	/* Rings that stayed enabled may start with the last of their messages. */
	unsigned int before = fake_events(fe, FAKE_NEW_DEVICE);

	return setup_all_vrings(fe) < 0 ? -1 : enable_and_wait(fe, before + 1);
}

/* ---- life ---- */

/** The steps, each with the stage that is reached by it. */
static const struct {
	enum fake_stage reaches;
	const char *name;
	int (*take)(struct fake *fe);
} steps[] = {
	{ FAKE_REGISTERED, "register", register_socket },
	{ FAKE_CONNECTED, "connect", fake_connect },
	{ FAKE_NEGOTIATED, "negotiate", fake_negotiate },
	{ FAKE_MEMORY, "memory table", fake_send_mem_table },
	{ FAKE_RINGS, "rings", setup_all_vrings },
	{ FAKE_RUNNING, "run", enable_all_vrings },
};

static int
take_steps(struct fake *fe)
{
	for (unsigned int i = 0; i < RTE_DIM(steps) && fe->cfg.until != FAKE_ALONE; i++) {
		if (steps[i].take(fe) < 0) {
			printf("fake: step \"%s\" failed\n", steps[i].name);
			return -1;
		}
		if (steps[i].reaches == fe->cfg.until)
			break;
	}
	return 0;
}

struct fake *
fake_start_config(const struct fake_config *cfg)
{
	struct fake *fe = calloc(1, sizeof(*fe));

	if (fe == NULL)
		return NULL;
	fe->cfg = *cfg;
	defaults(&fe->cfg);
	fe->listener = fe->sock = fe->vid = -1;
	fe->nvrings = 2 * fe->cfg.queues + fe->cfg.ctrl_queue;
	fe->iova = fe->cfg.iommu ? FAKE_IOVA : 0;
	/* The recorder looks for paths as soon as the fake is in its list. */
	if (cfg->join != NULL)
		snprintf(fe->path, sizeof(fe->path), "%s", cfg->join->path);
	else
		fake_new_path(fe->path, sizeof(fe->path));
	fake_list_add(fe);
	if (create_memory(fe) < 0 || create_vqs(fe) < 0 || take_steps(fe) < 0) {
		fake_stop(fe);
		return NULL;
	}
	return fe;
}

static void
destroy_vqs(struct fake *fe)
{
	for (unsigned int i = 0; fe->vqs != NULL && i < fe->nvrings; i++)
		fake_vq_fini(&fe->vqs[i]);
	free(fe->vqs);
}

int
fake_unregister(struct fake *fe)
{
	int rc = rte_vhost_driver_unregister(fe->path);

	fe->owns_path = false;
	for (struct fake *f = fake_first(); f != NULL; f = f->next) {
		if (strcmp(f->path, fe->path) != 0)
			continue;
		fake_record_release(f->record);
		f->record = NULL;
	}
	fake_records_forget(fe->path);
	return rc;
}

int
fake_stop(struct fake *fe)
{
	bool fine = fake_guards_intact(fe);

	fake_disconnect(fe);
	if (fe->owns_path && fake_unregister(fe) < 0)
		fine = false;
	if (fe->listener >= 0)
		close(fe->listener);
	if (fe->cfg.join == NULL)
		unlink(fe->path);
	fake_list_remove(fe);
	fine = fine && !fe->broken;
	destroy_vqs(fe);
	fake_regions_destroy(fe);
	free(fe);
	return fine ? 0 : -1;
}

uint64_t
fake_counter(const struct fake *fe, unsigned int queue, const char *name)
{
	struct rte_vhost_stat_name names[32];
	struct rte_vhost_stat stats[32];
	int n = rte_vhost_vring_stats_get_names(fe->vid, queue, names, RTE_DIM(names));

	if (rte_vhost_vring_stats_get(fe->vid, queue, stats, RTE_DIM(stats)) != n)
		return UINT64_MAX;
	for (int i = 0; i < n; i++) {
		/* behind "tx_q0_" */
		const char *what = strchr(names[i].name + 3, '_');

		if (what != NULL && strcmp(what + 1, name) == 0)
			return stats[i].value;
	}
	return UINT64_MAX;
}
