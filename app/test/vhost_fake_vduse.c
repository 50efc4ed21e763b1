/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "vduse/kernel.h"
#include "vhost_fake_vduse.h"

/** The only one, for calls that do not say which. */
static struct fake_vduse *kernel;

/* The library's calls */

static int
on_open(const char *path)
{
	if (strcmp(path, "/dev/vduse/control") == 0) {
		if (kernel->control_error != 0)
			return -kernel->control_error;
		return eventfd(0, EFD_CLOEXEC);
	}
	if (strcmp(path, FAKE_VDUSE_PATH) != 0 || !kernel->exists)
		return -ENOENT;
	return fcntl(kernel->node, F_DUPFD_CLOEXEC, 0);
}

static int
on_create(const struct vduse_dev_config *config)
{
	struct virtio_net_config net;

	if (kernel->exists)
		return -EEXIST;
	if (kernel->no_ctrl && (config->features & FE_BIT(VIRTIO_NET_F_CTRL_VQ)))
		return -EINVAL;
	if (strcmp(config->name, "fake0") != 0 || config->config_size != sizeof(net) ||
			!(config->features & FE_BIT(VIRTIO_F_ACCESS_PLATFORM)))
		return -EINVAL;
	memcpy(&net, config->config, sizeof(net));
	kernel->exists = true;
	kernel->offered = config->features;
	kernel->nrings = config->vq_num;
	kernel->pairs = net.max_virtqueue_pairs;
	return 0;
}

static int
on_destroy(const char *name)
{
	if (!kernel->exists || strcmp(name, "fake0") != 0)
		return -ENOENT;
	if (kernel->on_bus)
		return -EBUSY;
	kernel->exists = false;
	return 0;
}

static int
on_get_fd(struct vduse_iotlb_entry *entry)
{
	kernel->asked++;
	for (unsigned int i = 0; i < kernel->nranges; i++) {
		const struct fake_vduse_range *range = &kernel->ranges[i];

		/* what is not a range at all is told as it is */
		if (range->entry.start <= range->entry.last && range->entry.last < entry->start)
			continue;
		*entry = range->entry;
		return fcntl(range->fd, F_DUPFD_CLOEXEC, 0);
	}
	return -EINVAL;
}

static int
on_get_info(struct vduse_vq_info *info)
{
	if (info->index >= kernel->nrings)
		return -EINVAL;
	*info = info->index < FAKE_VDUSE_RINGS ? kernel->rings[info->index] :
		(struct vduse_vq_info){ .index = info->index };
	return 0;
}

static int
on_kickfd(const struct vduse_vq_eventfd *kick)
{
	if (kick->index >= kernel->fe->nvrings)
		return -EINVAL;
	kernel->kicks &= ~(1u << kick->index);
	kernel->kicks |= (kick->fd >= 0) << kick->index;
	/* the driver kicks what the library listens to */
	if (kick->fd >= 0 && dup2(kick->fd, kernel->fe->vqs[kick->index].kickfd) < 0)
		return -errno;
	return 0;
}

static int
on_inject(uint32_t index)
{
	const uint64_t one = 1;

	if (index >= kernel->fe->nvrings)
		return -EINVAL;
	return write(kernel->fe->vqs[index].callfd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

static int
answer_ioctl(unsigned long request, void *arg)
{
	switch (request) {
	case VDUSE_SET_API_VERSION:
		return *(const uint64_t *)arg == 0 ? 0 : -EINVAL;
	case VDUSE_CREATE_DEV:
		return on_create(arg);
	case VDUSE_DESTROY_DEV:
		return on_destroy(arg);
	case VDUSE_IOTLB_GET_FD:
		return on_get_fd(arg);
	case VDUSE_DEV_GET_FEATURES:
		*(uint64_t *)arg = kernel->features;
		return 0;
	case VDUSE_VQ_SETUP:
		return ((struct vduse_vq_config *)arg)->index < kernel->nrings ? 0 : -EINVAL;
	case VDUSE_VQ_GET_INFO:
		return on_get_info(arg);
	case VDUSE_VQ_SETUP_KICKFD:
		return on_kickfd(arg);
	case VDUSE_VQ_INJECT_IRQ:
		return on_inject(*(const uint32_t *)arg);
	default:
		return -ENOTTY;
	}
}

static int
on_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	(void)fd;
	pthread_mutex_lock(&kernel->lock);
	ret = answer_ioctl(request, arg);
	pthread_mutex_unlock(&kernel->lock);
	return ret;
}

static bool
is_domain(int fd)
{
	(void)fd;
	return kernel->domain;
}

static const struct vduse_kernel fake_kernel = {
	.open = on_open, .ioctl = on_ioctl, .is_domain = is_domain,
};

/* The application */

static void
tell(const char *word)
{
	size_t len;

	pthread_mutex_lock(&kernel->lock);
	len = strlen(kernel->story);
	snprintf(kernel->story + len, sizeof(kernel->story) - len, "%s%s", len > 0 ? " " : "", word);
	pthread_mutex_unlock(&kernel->lock);
}

static int
on_new_device(int vid)
{
	kernel->fe->vid = vid;
	tell("new");
	if (kernel->unregister)
		rte_vhost_driver_unregister(FAKE_VDUSE_PATH);
	return 0;
}

static void
on_destroy_device(int vid)
{
	(void)vid;
	tell("destroy");
}

static int
on_vring_state(int vid, uint16_t queue, int on)
{
	char word[16];

	(void)vid;
	snprintf(word, sizeof(word), "ring%u%c", queue, on ? '+' : '-');
	tell(word);
	return 0;
}

static int
on_connection(int vid)
{
	(void)vid;
	tell("connect");
	return 0;
}

static const struct rte_vhost_device_ops ops = {
	.new_device = on_new_device,
	.destroy_device = on_destroy_device,
	.vring_state_changed = on_vring_state,
	.new_connection = on_connection,
};

/**
 * Between two questions the tables are the test's: what the library's threads have done is
 * seen from here on, and they see what was done before.
 */
static void
see_tables(struct fake_vduse *vduse)
{
	pthread_mutex_lock(&vduse->lock);
	pthread_mutex_unlock(&vduse->lock);
}

static bool
exists(struct fake_vduse *vduse)
{
	bool is;

	pthread_mutex_lock(&vduse->lock);
	is = vduse->exists;
	pthread_mutex_unlock(&vduse->lock);
	return is;
}

bool
fake_vduse_story_is(struct fake_vduse *vduse, const char *story)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	bool is;

	do {
		pthread_mutex_lock(&vduse->lock);
		is = strcmp(vduse->story, story) == 0;
		pthread_mutex_unlock(&vduse->lock);
		if (is)
			return true;
		usleep(500);
	} while (fake_now_ms() < until);
	printf("fake: \"%s\" instead of \"%s\"\n", vduse->story, story);
	return false;
}

void
fake_vduse_forget_story(struct fake_vduse *vduse)
{
	pthread_mutex_lock(&vduse->lock);
	vduse->story[0] = '\0';
	pthread_mutex_unlock(&vduse->lock);
}

/* The kernel's side */

static int
use_state_folder(void)
{
	char folder[108];

	fake_new_path(folder, sizeof(folder));
	return mkdir(folder, 0700) == 0 && setenv("RUNTIME_DIRECTORY", folder, 1) == 0 ? 0 : -1;
}

static void
remove_state_folder(void)
{
	char inside[128];

	snprintf(inside, sizeof(inside), "%s/vduse", getenv("RUNTIME_DIRECTORY"));
	rmdir(inside);
	rmdir(getenv("RUNTIME_DIRECTORY"));
	unsetenv("RUNTIME_DIRECTORY");
}

int
fake_vduse_init(struct fake_vduse *vduse, struct fake_config cfg)
{
	int socks[2];

	memset(vduse, 0, sizeof(*vduse));
	pthread_mutex_init(&vduse->lock, NULL);
	cfg.until = FAKE_REGISTERED;
	cfg.iommu = true;
	cfg.format = FAKE_SPLIT;
	vduse->fe = fake_start_config(&cfg);
	if (vduse->fe == NULL || fake_unregister(vduse->fe) < 0 || use_state_folder() < 0 ||
			socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
				socks) < 0)
		return -1;
	vduse->sock = socks[0];
	vduse->node = socks[1];
	kernel = vduse;
	vhost_vduse_kernel_replace(&fake_kernel);
	fake_vduse_describe(vduse);
	return 0;
}

int
fake_vduse_fini(struct fake_vduse *vduse)
{
	bool fine = true;

	fake_vduse_leave_bus(vduse);
	rte_vhost_driver_unregister(FAKE_VDUSE_PATH);
	/* one that has unregistered below its own callback ends when that returns */
	for (uint64_t until = fake_now_ms() + fake_patience_ms();
			exists(vduse) && fake_now_ms() < until; )
		usleep(500);
	if (vduse->exists || vduse->kicks != 0) {
		printf("fake: the device is %s, kicks 0x%x\n", vduse->exists ? "there" : "gone",
			vduse->kicks);
		fine = false;
	}
	vhost_vduse_kernel_replace(NULL);
	kernel = NULL;
	close(vduse->sock);
	close(vduse->node);
	remove_state_folder();
	return fake_stop(vduse->fe) == 0 && fine ? 0 : -1;
}

void
fake_vduse_abandon(void)
{
	if (kernel != NULL)
		fake_vduse_fini(kernel);
}

int
fake_vduse_register(struct fake_vduse *vduse, unsigned int pairs)
{
	int ret;

	if (rte_vhost_driver_register(FAKE_VDUSE_PATH, RTE_VHOST_USER_NET_STATS_ENABLE) < 0 ||
			rte_vhost_driver_callback_register(FAKE_VDUSE_PATH, &ops) < 0)
		return -1;
	if (pairs > 0 && rte_vhost_driver_set_max_queue_num(FAKE_VDUSE_PATH, pairs) < 0)
		return -1;
	ret = rte_vhost_driver_start(FAKE_VDUSE_PATH);
	see_tables(vduse);
	return ret;
}

void
fake_vduse_show_ranges(struct fake_vduse *vduse, unsigned int n)
{
	pthread_mutex_lock(&vduse->lock);
	vduse->nranges = n;
	pthread_mutex_unlock(&vduse->lock);
}

void
fake_vduse_leave_bus(struct fake_vduse *vduse)
{
	pthread_mutex_lock(&vduse->lock);
	vduse->on_bus = false;
	pthread_mutex_unlock(&vduse->lock);
}

void
fake_vduse_describe(struct fake_vduse *vduse)
{
	struct fake *fe = vduse->fe;

	pthread_mutex_lock(&vduse->lock);
	vduse->features = FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_F_ACCESS_PLATFORM) |
		(fe->cfg.mergeable ? FE_BIT(VIRTIO_NET_F_MRG_RXBUF) : 0) | fe->cfg.features;
	fe->features = vduse->features;
	vduse->nranges = fe->nregions;
	for (unsigned int i = 0; i < fe->nregions; i++) {
		const struct fake_mem_region *r = &fe->regions[i].wire;

		vduse->ranges[i] = (struct fake_vduse_range){
			.entry = {
				.start = r->gpa + fe->iova, .last = r->gpa + fe->iova + r->size - 1,
				.offset = r->mmap_offset, .perm = VDUSE_ACCESS_RW,
			},
			.fd = fe->regions[i].fd,
		};
	}
	for (unsigned int i = 0; i < RTE_MIN(fe->nvrings, (unsigned int)FAKE_VDUSE_RINGS); i++) {
		const struct fake_vq *vq = &fe->vqs[i];

		vduse->rings[i] = (struct vduse_vq_info){
			.index = i, .num = vq->size, .ready = 1,
			.desc_addr = vq->desc_gpa + fe->iova,
			.driver_addr = vq->avail_gpa + fe->iova,
			.device_addr = vq->used_gpa + fe->iova,
		};
	}
	pthread_mutex_unlock(&vduse->lock);
}

int
fake_vduse_ask(struct fake_vduse *vduse, struct vduse_dev_request *request,
		struct vduse_dev_response *response)
{
	struct pollfd pfd = { .fd = vduse->sock, .events = POLLIN };
	static uint32_t ids;

	request->request_id = ++ids;
	see_tables(vduse);
	if (write(vduse->sock, request, sizeof(*request)) != sizeof(*request) ||
			poll(&pfd, 1, fake_patience_ms()) != 1 ||
			read(vduse->sock, response, sizeof(*response)) != sizeof(*response) ||
			response->request_id != request->request_id)
		return -1;
	see_tables(vduse);
	return response->result;
}

int
fake_vduse_status(struct fake_vduse *vduse, uint8_t status)
{
	struct vduse_dev_request request = { .type = VDUSE_SET_STATUS, .s.status = status };
	struct vduse_dev_response response;

	return fake_vduse_ask(vduse, &request, &response);
}

int
fake_vduse_update(struct fake_vduse *vduse, uint64_t first, uint64_t last)
{
	struct vduse_dev_request request = {
		.type = VDUSE_UPDATE_IOTLB, .iova = { .start = first, .last = last },
	};
	struct vduse_dev_response response;

	return fake_vduse_ask(vduse, &request, &response);
}

int
fake_vduse_run(struct fake_vduse *vduse)
{
	static const uint8_t steps[] = { 0, 1, 3, 0xb, FAKE_VDUSE_RUNNING };

	for (unsigned int i = 0; i < RTE_DIM(steps); i++)
		if (fake_vduse_status(vduse, steps[i]) != VDUSE_REQ_RESULT_OK)
			return -1;
	return 0;
}
