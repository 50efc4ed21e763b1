/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Devices served by hardware: when its driver hears of what, and what it may
 * still use at that moment.  The driver is made up; it records its calls next to
 * those of the application.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_class.h>
#include <rte_dev.h>

#include "test.h"
#include "vdpa_driver.h"
#include "vhost_fake_dirty.h"
#include "vhost_fake_frontend.h"

/** What rte_dev_name() looks at; the true structure is in no packaged header. */
struct fake_rte_device {
	void *list[2];
	const char *name;
	uint64_t rest[16];
};

/* What a driver may fail to tell. */
#define MUTE_FEATURES	1u
#define MUTE_PROTOCOL	2u
#define MUTE_QUEUES	4u
#define MUTE_END	8u

static struct {
	struct rte_vdpa_device *dev;
	char story[512];	/**< one word per call */
	size_t told;
	unsigned int refuse;	/**< so many dev_conf() still fail */
	unsigned int mute;	/**< of what it does not tell, MUTE_*; atomic */
	uint64_t features;	/**< negotiated, as of the last set_features() */
	struct rte_vhost_vring vring;	/**< ring 0, as of the last dev_conf() */
	bool configured;
	bool closed_early;	/**< a descriptor of it was gone too early */
} hw;

/* Of the story: messages and answers order everything else. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void
tell(const char *word)
{
	pthread_mutex_lock(&lock);
	hw.told += snprintf(hw.story + hw.told, sizeof(hw.story) - hw.told, "%s%s",
		hw.told > 0 ? " " : "", word);
	pthread_mutex_unlock(&lock);
}

/** Ring 0 can still be notified, and its kicks waited for. */
static void
use_descriptors(int vid)
{
	uint64_t one = 1;

	if (write(hw.vring.callfd, &one, sizeof(one)) != sizeof(one) ||
			fcntl(hw.vring.kickfd, F_GETFD) < 0 ||
			rte_vhost_vring_call(vid, 0) < 0)
		hw.closed_early = true;
}

static bool
is_mute(unsigned int of)
{
	return (__atomic_load_n(&hw.mute, __ATOMIC_RELAXED) & of) != 0;
}

static int
on_queue_num(struct rte_vdpa_device *dev __rte_unused, uint32_t *n)
{
	if (is_mute(MUTE_QUEUES))
		return -1;
	*n = 4;
	return 0;
}

static int
on_features(struct rte_vdpa_device *dev __rte_unused, uint64_t *features)
{
	if (is_mute(MUTE_FEATURES))
		return -1;
	*features = UINT64_MAX & ~FE_BIT(VIRTIO_NET_F_MRG_RXBUF);
	return 0;
}

static int
on_protocol_features(struct rte_vdpa_device *dev __rte_unused, uint64_t *features)
{
	if (is_mute(MUTE_PROTOCOL))
		return -1;
	*features = UINT64_MAX;
	return 0;
}

static int
on_conf(int vid)
{
	tell("conf");
	if (hw.refuse > 0) {
		hw.refuse--;
		return -1;
	}
	hw.configured = true;
	return rte_vhost_get_vhost_vring(vid, 0, &hw.vring);
}

static int
on_close(int vid)
{
	tell("close");
	use_descriptors(vid);
	hw.configured = false;
	return 0;
}

static int
on_cleanup(int vid __rte_unused)
{
	tell("cleanup");
	return 0;
}

static int
on_vring_state(int vid, int vring, int state)
{
	char word[16];

	snprintf(word, sizeof(word), "ring%d%c", vring, state ? '+' : '-');
	tell(word);
	if (vring == 0 && state == 0 && hw.configured)
		use_descriptors(vid);
	if (vring == 0 && state == 1)
		rte_vhost_get_vhost_vring(vid, 0, &hw.vring);
	return 0;
}

static int
on_set_features(int vid)
{
	tell("features");
	return rte_vhost_get_negotiated_features(vid, &hw.features);
}

static int
on_migration_done(int vid __rte_unused)
{
	tell("migrated");
	return 0;
}

static int
on_get_config(int vid __rte_unused, uint8_t *config, uint32_t size)
{
	memset(config, 0xc5, size);
	return 0;
}

static void
on_event(void *arg __rte_unused, enum fake_event ev, int vid __rte_unused,
		unsigned int qid __rte_unused, int on __rte_unused)
{
	if (ev == FAKE_NEW_DEVICE)
		tell("(new)");
	if (ev == FAKE_DESTROY_DEVICE)
		tell("(destroy)");
}

static struct rte_vdpa_dev_ops ops = {
	.get_queue_num = on_queue_num,
	.get_features = on_features,
	.get_protocol_features = on_protocol_features,
	.dev_conf = on_conf,
	.dev_close = on_close,
	.dev_cleanup = on_cleanup,
	.set_vring_state = on_vring_state,
	.set_features = on_set_features,
	.migration_done = on_migration_done,
	.get_config = on_get_config,
};

/** What was told since the last time this was asked. */
static const char *
story(void)
{
	static char copy[sizeof(hw.story)];

	pthread_mutex_lock(&lock);
	memcpy(copy, hw.story, sizeof(copy));
	hw.story[0] = '\0';
	hw.told = 0;
	pthread_mutex_unlock(&lock);
	return copy;
}

#define TEST_ASSERT_STORY(expected, what) do {                               \
	const char *told_ = story();                                         \
	TEST_ASSERT(strcmp(told_, expected) == 0, "%s: \"%s\", not \"%s\"",  \
		what, told_, expected);                                      \
} while (0)

/** A frontend before its hardware, negotiated. */
static struct fake *
start_config(struct fake_config cfg)
{
	static struct fake_rte_device rte_dev = { .name = "made up" };
	struct fake *fe;

	memset(&hw, 0, sizeof(hw));
	hw.dev = rte_vdpa_register_device((struct rte_device *)&rte_dev, &ops);
	if (hw.dev == NULL)
		return NULL;
	cfg.until = FAKE_REGISTERED;
	cfg.hook = on_event;
	fe = fake_start_config(&cfg);
	if (fe == NULL || rte_vhost_driver_attach_vdpa_device(fe->path, hw.dev) < 0 ||
			fake_connect(fe) < 0 || fake_negotiate(fe) < 0)
		return NULL;
	return fe;
}

static struct fake *
start(unsigned int queues)
{
	return start_config((struct fake_config){ .queues = queues });
}

static int
end(struct fake *fe)
{
	int ret = fake_stop(fe);

	TEST_ASSERT_SUCCESS(rte_vdpa_unregister_device(hw.dev), "unregister");
	TEST_ASSERT(!hw.closed_early, "descriptors serve until the driver was told");
	return ret;
}

/* The control queue is the library's: hardware hears of the queues that packets take. */
static int
the_control_queue_is_not_the_drivers(void)
{
	struct fake *fe = start_config((struct fake_config){ .queues = 2, .ctrl_queue = true });

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_STORY("features", "negotiated");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT(fake_is_served(fe), "after dev_conf");
	TEST_ASSERT_STORY("ring0+ ring1+ (new) conf ring2+ ring3+", "started");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 4, false), "off");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 4, true), "on");
	TEST_ASSERT(fake_is_served(fe), "after that");
	TEST_ASSERT_STORY("", "nothing is told");
	return end(fe);
}

static int
life_of_a_device_with_hardware(void)
{
	struct fake *fe = start(1);
	uint64_t features;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_STORY("features", "negotiated");
	TEST_ASSERT_EQUAL(hw.features, fe->features, "and in force by then");
	TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_FEATURES, &features), "ask");
	TEST_ASSERT_EQUAL(features & FE_BIT(VIRTIO_NET_F_MRG_RXBUF), 0,
		"only what the hardware has");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT(fake_is_served(fe), "after dev_conf");
	TEST_ASSERT_STORY("ring0+ ring1+ (new) conf", "started");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, false), "off");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "on");
	TEST_ASSERT(fake_is_served(fe), "after set_vring_state");
	TEST_ASSERT_STORY("ring0- ring0+", "a ring");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SEND_RARP, 0), FAKE_ACK, "arrived");
	TEST_ASSERT_STORY("migrated", "arrived");
	TEST_ASSERT(fake_stop_vring(fe, 0) >= 0, "stop");
	TEST_ASSERT_STORY("close (destroy) ring0-", "stopped");
	fake_disconnect(fe);
	TEST_ASSERT_STORY("cleanup", "gone");
	return end(fe);
}

/** Those of a generic device that the class has after another one. */
static struct rte_vdpa_device *
next_of(const struct rte_device *generic, const struct rte_vdpa_device *after)
{
	const struct rte_class *class = rte_class_find_by_name("vdpa");
	const struct rte_dev_iterator it = { .device = (struct rte_device *)(uintptr_t)generic };

	return class != NULL ? class->dev_iterate(after, NULL, &it) : NULL;
}

static int
devices_are_found_by_class(void)
{
	static struct fake_rte_device devices[] = {
		{ .name = "first" }, { .name = "second" }, { .name = "third" },
	};
	struct rte_device *generic[RTE_DIM(devices)];
	struct rte_vdpa_device *dev[RTE_DIM(devices)];

	for (unsigned int i = 0; i < RTE_DIM(devices); i++) {
		generic[i] = (struct rte_device *)&devices[i];
		TEST_ASSERT_NULL(next_of(generic[i], NULL), "device %u before it comes", i);
		dev[i] = rte_vdpa_register_device(generic[i], &ops);
		TEST_ASSERT_NOT_NULL(dev[i], "device %u", i);
	}
	for (unsigned int i = 0; i < RTE_DIM(devices); i++) {
		TEST_ASSERT_EQUAL(next_of(generic[i], NULL), dev[i], "device %u", i);
		TEST_ASSERT_NULL(next_of(generic[i], dev[i]), "another one of device %u", i);
		TEST_ASSERT_EQUAL(next_of(generic[2], dev[0]), dev[2], "one behind the first");
	}
	TEST_ASSERT_SUCCESS(rte_vdpa_unregister_device(dev[0]), "unregister");
	TEST_ASSERT_NULL(next_of(generic[2], dev[0]), "nothing is behind one that has gone");
	TEST_ASSERT_EQUAL(next_of(generic[2], dev[1]), dev[2], "one behind the second");
	for (unsigned int i = 1; i < RTE_DIM(devices); i++)
		TEST_ASSERT_SUCCESS(rte_vdpa_unregister_device(dev[i]), "unregister");
	return TEST_SUCCESS;
}

static int
cannot_tell_type(struct rte_vdpa_device *dev __rte_unused, uint32_t *type __rte_unused)
{
	return -1;
}

static int
drivers_that_lack_something_are_refused(void)
{
	static struct fake_rte_device rte_dev = { .name = "made up" };
	struct rte_device *generic = (struct rte_device *)&rte_dev;
	struct rte_vdpa_dev_ops less[] = { ops, ops, ops, ops, ops, ops, ops, ops };
	struct rte_vdpa_device *dev;

	less[0].get_queue_num = NULL;
	less[1].get_features = NULL;
	less[2].get_protocol_features = NULL;
	less[3].dev_conf = NULL;
	less[4].dev_close = NULL;
	less[5].set_vring_state = NULL;
	less[6].set_features = NULL;
	less[7].get_dev_type = cannot_tell_type;
	TEST_ASSERT_NULL(rte_vdpa_register_device(NULL, &ops), "no device");
	TEST_ASSERT_NULL(rte_vdpa_register_device(generic, NULL), "no driver");
	for (unsigned int i = 0; i < RTE_DIM(less); i++)
		TEST_ASSERT_NULL(rte_vdpa_register_device(generic, &less[i]), "driver %u", i);
	dev = rte_vdpa_register_device(generic, &ops);
	TEST_ASSERT_NOT_NULL(dev, "all it needs");
	TEST_ASSERT_NULL(rte_vdpa_register_device(generic, &ops), "twice");
	TEST_ASSERT_SUCCESS(rte_vdpa_unregister_device(dev), "unregister");
	return TEST_SUCCESS;
}

static int
questions_to_no_device_are_refused(void)
{
	struct rte_vdpa_stat_name name;
	struct rte_vdpa_stat stat;
	uint64_t features;

	TEST_ASSERT_NULL(rte_vdpa_get_rte_device(NULL), "generic device");
	TEST_ASSERT_EQUAL(rte_vdpa_get_features(NULL, &features), -1, "features");
	TEST_ASSERT_EQUAL(rte_vdpa_get_protocol_features(NULL, &features), -1, "protocol");
	TEST_ASSERT_EQUAL(rte_vdpa_get_stats_names(NULL, &name, 1), -EINVAL, "names");
	TEST_ASSERT_EQUAL(rte_vdpa_get_stats(NULL, 0, &stat, 1), -EINVAL, "statistics");
	TEST_ASSERT_EQUAL(rte_vdpa_reset_stats(NULL, 0), -EINVAL, "reset");
	return TEST_SUCCESS;
}

static int
questions_that_a_driver_cannot_answer(void)
{
	static struct fake_rte_device rte_dev = { .name = "made up" };
	struct rte_vdpa_device *dev = rte_vdpa_register_device((struct rte_device *)&rte_dev, &ops);
	struct rte_vdpa_stat_name name;
	struct rte_vdpa_stat stat;

	TEST_ASSERT_NOT_NULL(dev, "a device");
	TEST_ASSERT_EQUAL(rte_vdpa_get_stats_names(dev, &name, 1), -ENOTSUP, "names");
	TEST_ASSERT_EQUAL(rte_vdpa_get_stats(dev, 0, NULL, 1), -EINVAL, "no room");
	TEST_ASSERT_EQUAL(rte_vdpa_get_stats(dev, 0, &stat, 0), -EINVAL, "no room at all");
	TEST_ASSERT_EQUAL(rte_vdpa_get_stats(dev, 0, &stat, 1), -ENOTSUP, "statistics");
	TEST_ASSERT_EQUAL(rte_vdpa_reset_stats(dev, 0), -ENOTSUP, "reset");
	TEST_ASSERT_SUCCESS(rte_vdpa_unregister_device(dev), "unregister");
	return TEST_SUCCESS;
}

/** Another peer at a fake's socket. */
static int
connect_to(const struct fake *fe)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, fe->path, strlen(fe->path));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
nobody_is_served_without_the_drivers_features(void)
{
	struct fake *fe = start(1), peer = { 0 };

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int mute = MUTE_FEATURES; mute < MUTE_END; mute <<= 1) {
		__atomic_store_n(&hw.mute, mute, __ATOMIC_RELAXED);
		peer.sock = connect_to(fe);
		TEST_ASSERT(peer.sock >= 0, "another peer");
		TEST_ASSERT(fake_is_closed(&peer), "which is sent away: %u", mute);
		close(peer.sock);
		TEST_ASSERT(fake_is_served(fe), "who was there stays");
	}
	return end(fe);
}

static int
driver_is_asked_again(void)
{
	struct fake *fe = start(1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	hw.refuse = 2;
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT(fake_is_served(fe), "a message");
	TEST_ASSERT(fake_is_served(fe), "another one");
	TEST_ASSERT(fake_is_served(fe), "and another one");
	TEST_ASSERT_STORY("features ring0+ ring1+ (new) conf conf conf", "until it agrees");
	return end(fe);
}

/* Hardware writes to its guest's memory: it has to stop before that is unmapped. */
static int
other_memory_means_other_hardware_settings(void)
{
	struct fake *fe = start(1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT(fake_is_served(fe), "after dev_conf");
	story();
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "the same");
	TEST_ASSERT_STORY("", "changes nothing");
	TEST_ASSERT_SUCCESS(fake_region_create(fe, 1ULL << 40, 1 << 20, 0), "more");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "more");
	TEST_ASSERT(fake_is_served(fe), "after dev_conf");
	TEST_ASSERT_STORY("close conf", "another table");
	return end(fe);
}

/* What a driver got at dev_conf serves until dev_close or set_vring_state(0). */
static int
descriptors_stay_until_the_driver_was_told(void)
{
	struct fake *fe = start(1);
	struct fake_vq *vq;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT(fake_is_served(fe), "after dev_conf");
	vq = &fe->vqs[0];
	story();
	fake_interrupts(vq);
	TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_CALL, 0, vq->callfd), FAKE_ACK, "call");
	TEST_ASSERT(fake_is_served(fe), "after set_vring_state");
	TEST_ASSERT_STORY("ring0- ring0+", "another call");
	TEST_ASSERT(fake_interrupts(vq) > 0, "the old one worked");
	TEST_ASSERT_EQUAL(fake_call_fd(fe, FE_SET_VRING_KICK, 0, vq->kickfd), FAKE_ACK, "kick");
	TEST_ASSERT(fake_is_served(fe), "after set_vring_state");
	TEST_ASSERT_STORY("ring0- ring0+", "another kick");
	TEST_ASSERT(fake_interrupts(vq) > 0, "the old one worked");
	TEST_ASSERT(fake_stop_vring(fe, 0) >= 0, "stop");
	TEST_ASSERT(fake_interrupts(vq) > 1, "both ways to notify worked");
	TEST_ASSERT(fake_stop_vring(fe, 1) >= 0, "stop");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT(fake_is_served(fe), "after dev_conf");
	story();
	fake_interrupts(vq);
	TEST_ASSERT_EQUAL(fake_call(fe, FE_RESET_OWNER, NULL, 0, NULL, 0), FAKE_ACK, "reset");
	TEST_ASSERT(fake_interrupts(vq) > 1, "both ways to notify worked");
	return end(fe);
}

#define CONFIG_HEAD 12

/** GET_CONFIG of so many bytes; how many come, -1 if it is refused. */
static int
read_config(struct fake *fe, uint32_t size, uint32_t room)
{
	uint8_t payload[CONFIG_HEAD + 512] = { 0 };
	struct fake_msg reply;

	memcpy(payload + 4, &size, sizeof(size));
	if (fake_ask(fe, FE_GET_CONFIG, payload, CONFIG_HEAD + room, &reply) < 0)
		return -1;
	for (uint32_t i = CONFIG_HEAD; i < reply.size; i++)
		if (reply.payload[i] != 0xc5)
			return -1;
	return (int)reply.size - CONFIG_HEAD;
}

/* What is asked for is bounded by what was sent, before the driver sees it. */
static int
config_space_is_the_drivers(void)
{
	static const struct { uint32_t size, room; int got; } reads[] = {
		{ 8, 8, 8 }, { 256, 256, 256 }, { 0, 0, 0 },
		{ 257, 256, -1 }, { 257, 257, -1 }, { 9, 8, -1 }, { UINT32_MAX, 8, -1 },
	};

	for (unsigned int i = 0; i < RTE_DIM(reads); i++) {
		struct fake *fe = start(1);

		TEST_ASSERT_NOT_NULL(fe, "a device");
		TEST_ASSERT_EQUAL(read_config(fe, reads[i].size, reads[i].room),
			reads[i].got, "%u of %u", reads[i].size, reads[i].room);
		TEST_ASSERT_SUCCESS(end(fe), "%u of %u", reads[i].size, reads[i].room);
	}
	return TEST_SUCCESS;
}

/* Hardware that was handed a broken guest's ring may answer anything. */
static int
used_entries_of_hardware_are_checked(void)
{
	struct fake *fe = start(1);
	struct vring_used_elem *elem;
	struct vring_used *used;
	struct vring ring = { 0 };

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT(fake_is_served(fe), "after dev_conf");
	used = calloc(1, sizeof(*used) + (fe->vqs[0].size + 1) * sizeof(used->ring[0]));
	TEST_ASSERT_NOT_NULL(used, "memory");
	elem = used->ring;
	ring.num = fe->vqs[0].size;
	ring.used = used;
	TEST_ASSERT_EQUAL(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), 0, "nothing");
	elem[0] = (struct vring_used_elem){ .id = 7, .len = 60 };
	elem[1] = (struct vring_used_elem){ .id = ring.num - 1, .len = 61 };
	used->idx = 2;
	TEST_ASSERT_EQUAL(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), 2, "two");
	TEST_ASSERT_EQUAL(fe->vqs[0].used->idx, 2, "shown to the guest");
	TEST_ASSERT(memcmp(fe->vqs[0].used->ring, elem, 2 * sizeof(*elem)) == 0, "as they are");
	elem[3].id = ring.num;
	used->idx = 4;
	TEST_ASSERT_EQUAL(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), -1, "no such chain");
	used->idx = 2 + ring.num + 1;
	TEST_ASSERT_EQUAL(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), -1, "too many");
	used->idx = 3;
	ring.num *= 2;
	TEST_ASSERT_EQUAL(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), -1, "another size");
	TEST_ASSERT_EQUAL(rte_vdpa_relay_vring_used(fe->vid, 9, &ring), -1, "no such ring");
	TEST_ASSERT_EQUAL(fe->vqs[0].used->idx, 2, "none of it was shown");
	free(used);
	return end(fe);
}

/** Hardware's ring with room for one as large as the guest's, whose used entries it is. */
static bool
own_ring(struct fake *fe, struct vring *ring, void **memory)
{
	*memory = calloc(1, vring_size(fe->vqs[0].size, 64) + 64);
	if (*memory == NULL)
		return false;
	vring_init(ring, fe->vqs[0].size, RTE_PTR_ALIGN(*memory, 64), 64);
	return true;
}

static int
wishes_about_kicks_go_along(const void *arg)
{
	const bool *event_idx = arg;
	struct fake *fe = start(1);
	struct vring ring;
	uint16_t event;
	void *memory;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fe->cfg.event_idx = *event_idx;
	TEST_ASSERT_SUCCESS(fake_connect(fe), "with that feature");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "with that feature");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT(own_ring(fe, &ring, &memory), "memory");
	ring.used->flags = VRING_USED_F_NO_NOTIFY;
	vring_avail_event(&ring) = 77;
	TEST_ASSERT_EQUAL(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), 0, "no entries");
	TEST_ASSERT_EQUAL(fe->vqs[0].used->flags, VRING_USED_F_NO_NOTIFY, "no kicks");
	memcpy(&event, &fe->vqs[0].used->ring[ring.num], sizeof(event));
	TEST_ASSERT_EQUAL(event, *event_idx ? 77 : 0, "where the next kick is wanted");
	ring.used->idx = 5;
	ring.used->flags = 0;
	TEST_ASSERT_EQUAL(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), 5, "entries");
	TEST_ASSERT_EQUAL(fe->vqs[0].used->flags, 0, "kicks");
	TEST_ASSERT_EQUAL(vring_used_event(&ring), *event_idx ? 5 : 0, "when to interrupt");
	free(memory);
	return end(fe);
}

/** A device whose written pages are logged. */
static struct fake *
start_logging(struct fake_dirty *dirty, struct vring *ring, void **memory)
{
	struct fake *fe = start(1);

	if (fe == NULL)
		return NULL;
	fe->cfg.protocol_features |= DIRTY_PROTOCOL;
	if (fake_connect(fe) < 0 || fake_negotiate(fe) < 0 || fake_send_mem_table(fe) < 0 ||
			fake_run(fe) < 0 || dirty_create(fe, dirty, 0, 0) < 0 ||
			dirty_start(dirty) < 0 || !own_ring(fe, ring, memory))
		return NULL;
	dirty_clear(dirty);
	return fe;
}

static int
end_logging(struct fake *fe, struct fake_dirty *dirty, void *memory)
{
	free(memory);
	TEST_ASSERT_SUCCESS(dirty_destroy(dirty), "guards of the log");
	return end(fe);
}

/* Longer than any packet that the library would handle itself: hardware may. */
static int
pages_of_long_chains_are_logged(const void *arg)
{
	const bool *indirect = arg;
	struct fake_dirty dirty;
	struct vring_desc *table;
	struct vring ring;
	struct fake *fe;
	uint64_t gpa, data;
	void *memory;

	fe = start_logging(&dirty, &ring, &memory);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	gpa = fake_alloc(fe, 0, 256 * sizeof(*table), 64);
	data = fake_alloc(fe, 0, 256 * 1024, DIRTY_PAGE);
	TEST_ASSERT(gpa != 0 && data != 0, "guest memory");
	table = *indirect ? fake_va(fe, gpa, 1) : fe->vqs[0].desc;
	for (unsigned int i = 0; i < 256; i++)
		table[i] = (struct vring_desc){ .addr = data + i * 1024, .len = 1024, .next = i + 1,
			.flags = (i % 8 >= 4 ? VRING_DESC_F_WRITE : 0) | (i < 255 ? VRING_DESC_F_NEXT : 0) };
	if (*indirect)
		fe->vqs[0].desc[0] = (struct vring_desc){ .addr = gpa,
			.len = 256 * sizeof(*table), .flags = VRING_DESC_F_INDIRECT };
	ring.used->idx = 1;
	TEST_ASSERT_EQUAL(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), 1, "one");
	for (unsigned int page = 0; page < 64; page++)
		TEST_ASSERT_EQUAL(dirty_is_set(&dirty, data + page * DIRTY_PAGE), page % 2, "page %u",
			page);
	return end_logging(fe, &dirty, memory);
}

/* Hardware has used them nevertheless, as far as it came. */
static int
pages_of_chains_that_lead_nowhere_are_logged(void)
{
	const uint16_t write = VRING_DESC_F_WRITE | VRING_DESC_F_NEXT;
	struct vring_desc *desc, *table;
	struct fake_dirty dirty;
	struct vring ring;
	struct fake *fe;
	uint64_t gpa, data;
	void *memory;

	fe = start_logging(&dirty, &ring, &memory);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	gpa = fake_alloc(fe, 0, 3 * sizeof(*table), 64);
	data = fake_alloc(fe, 0, 4 * DIRTY_PAGE, DIRTY_PAGE);
	TEST_ASSERT(gpa != 0 && data != 0, "guest memory");
	table = fake_va(fe, gpa, 3 * sizeof(*table));
	table[0] = (struct vring_desc){ data, 100, write, 2 };
	table[2] = (struct vring_desc){ data + DIRTY_PAGE, 100, VRING_DESC_F_WRITE, 0 };
	desc = fe->vqs[0].desc;
	/* out of a table, out of the ring; a table that is nowhere, or no entry long */
	desc[0] = (struct vring_desc){ gpa, 2 * sizeof(*table), VRING_DESC_F_INDIRECT, 0 };
	desc[1] = (struct vring_desc){ data + 2 * DIRTY_PAGE, 100, write, ring.num };
	desc[2] = (struct vring_desc){ 1ULL << 50, sizeof(*table), VRING_DESC_F_INDIRECT, 0 };
	desc[3] = (struct vring_desc){ gpa, sizeof(*table) - 1, VRING_DESC_F_INDIRECT, 0 };
	for (unsigned int i = 0; i < 4; i++)
		ring.used->ring[i].id = i;
	ring.used->idx = 4;
	TEST_ASSERT_EQUAL(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), 4, "all of them");
	for (unsigned int page = 0; page < 4; page++)
		TEST_ASSERT_EQUAL(dirty_is_set(&dirty, data + page * DIRTY_PAGE), page % 2 == 0,
			"page %u", page);
	return end_logging(fe, &dirty, memory);
}

/* As often as it likes: what is written more than once is written; nor does a loop end. */
static int
guest_names_all_memory_in_each_descriptor(const void *arg)
{
	const bool *writes = arg;
	struct fake_dirty dirty;
	struct vring ring;
	struct fake *fe;
	void *memory;

	fe = start_logging(&dirty, &ring, &memory);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 0; i < ring.num; i++)
		fe->vqs[0].desc[i] = (struct vring_desc){ .addr = i, .len = UINT32_MAX,
			.flags = (*writes ? VRING_DESC_F_WRITE : 0) | VRING_DESC_F_NEXT,
			.next = (i + 1) % ring.num };
	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < ring.num; i++)
			ring.used->ring[i].id = i;
		ring.used->idx += ring.num;
		TEST_ASSERT_EQUAL(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), (int)ring.num, "all");
	}
	TEST_ASSERT_EQUAL(dirty_clear(&dirty), 8 * dirty.size, "all pages");
	return end_logging(fe, &dirty, memory);
}

/* ---- doorbells of the wrong shape ---- */

static struct {
	int fd;
	uint64_t offset, size;
} bell;

static int
on_device_fd(int vid __rte_unused)
{
	return bell.fd;
}

static int
on_notify_area(int vid __rte_unused, int qid __rte_unused, uint64_t *offset, uint64_t *size)
{
	*offset = bell.offset;
	*size = bell.size;
	return 0;
}

#define DOORBELLS (FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ) | \
	FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD) | FE_BIT(VHOST_USER_PROTOCOL_F_HOST_NOTIFIER))

static int
doorbells_are_whole_pages(void)
{
	static const struct { uint64_t offset, size; } wrong[] = {
		{ 0, 0 }, { 0, 1 }, { 1, 4096 }, { 4096, 100 }, { UINT64_MAX - 4095, 4096 },
		{ 4096, UINT64_MAX - 4095 },
	};
	struct fake *fe = start(1);
	int pair[2];

	TEST_ASSERT_NOT_NULL(fe, "a device");
	ops.get_vfio_device_fd = on_device_fd;
	ops.get_notify_area = on_notify_area;
	fe->cfg.protocol_features |= DOORBELLS;
	TEST_ASSERT_SUCCESS(fake_connect(fe), "with doorbells");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "with doorbells");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	TEST_ASSERT_SUCCESS(fake_run(fe), "run");
	TEST_ASSERT_SUCCESS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "a pair");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_SLAVE_REQ_FD, NULL, 0, &pair[1], 1), FAKE_ACK,
		"back channel");
	bell.fd = -1;
	TEST_ASSERT_EQUAL(rte_vhost_host_notifier_ctrl(fe->vid, 0, true), -ENOTSUP, "no file");
	bell.fd = pair[0];
	for (unsigned int i = 0; i < RTE_DIM(wrong); i++) {
		bell.offset = wrong[i].offset;
		bell.size = wrong[i].size;
		TEST_ASSERT_EQUAL(rte_vhost_host_notifier_ctrl(fe->vid, 0, true), -EFAULT, "%u", i);
	}
	TEST_ASSERT_EQUAL(rte_vhost_host_notifier_ctrl(fe->vid, 2, true), -EINVAL, "no such ring");
	TEST_ASSERT_EQUAL(recv(pair[0], &bell, sizeof(bell), MSG_DONTWAIT), -1, "nobody was told");
	close(pair[0]);
	close(pair[1]);
	ops.get_vfio_device_fd = NULL;
	ops.get_notify_area = NULL;
	return end(fe);
}

/** What the driver hears of the doorbell of a ring that is not there yet: 0 is wrong. */
static int
doorbell(struct fake *fe, uint64_t protocol_features)
{
	int given;

	fake_disconnect(fe);
	fe->cfg.protocol_features = protocol_features;
	if (fake_connect(fe) != 0 || fake_negotiate(fe) != 0)
		return 0;
	given = rte_vhost_host_notifier_ctrl(fe->vid, 0, true);
	return rte_vhost_host_notifier_ctrl(fe->vid, 0, false) == given ? given : 0;
}

static int
doorbells_need_all_of_driver_and_frontend(void)
{
	static const unsigned int needed[] = { VHOST_USER_PROTOCOL_F_SLAVE_REQ,
		VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD, VHOST_USER_PROTOCOL_F_HOST_NOTIFIER };
	struct fake *fe = start(1);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(doorbell(fe, DOORBELLS), -ENOTSUP, "a driver without");
	ops.get_vfio_device_fd = on_device_fd;
	TEST_ASSERT_EQUAL(doorbell(fe, DOORBELLS), -ENOTSUP, "a file alone");
	ops.get_vfio_device_fd = NULL;
	ops.get_notify_area = on_notify_area;
	TEST_ASSERT_EQUAL(doorbell(fe, DOORBELLS), -ENOTSUP, "a place alone");
	ops.get_vfio_device_fd = on_device_fd;
	for (unsigned int i = 0; i < RTE_DIM(needed); i++)
		TEST_ASSERT_EQUAL(doorbell(fe, DOORBELLS & ~FE_BIT(needed[i])), -ENOTSUP,
			"a frontend without feature %u", needed[i]);
	fe->cfg.legacy = true;
	TEST_ASSERT_EQUAL(doorbell(fe, DOORBELLS), -ENOTSUP, "an old guest");
	fe->cfg.legacy = false;
	TEST_ASSERT_EQUAL(doorbell(fe, DOORBELLS), -EINVAL, "all but the ring");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_FEATURES, fe->features &
		~FE_BIT(VHOST_USER_F_PROTOCOL_FEATURES)), FAKE_ACK, "a frontend that takes it back");
	TEST_ASSERT_EQUAL(rte_vhost_host_notifier_ctrl(fe->vid, 0, true), -ENOTSUP, "is told so");
	ops.get_vfio_device_fd = NULL;
	ops.get_notify_area = NULL;
	return end(fe);
}

static const bool yes_and_no[] = { true, false };

static const struct test_case cases[] = {
	TEST_CASE(life_of_a_device_with_hardware),
	TEST_CASE(the_control_queue_is_not_the_drivers),
	TEST_CASE(devices_are_found_by_class),
	TEST_CASE(drivers_that_lack_something_are_refused),
	TEST_CASE(questions_to_no_device_are_refused),
	TEST_CASE(questions_that_a_driver_cannot_answer),
	TEST_CASE(nobody_is_served_without_the_drivers_features),
	TEST_CASE(driver_is_asked_again),
	TEST_CASE(other_memory_means_other_hardware_settings),
	TEST_CASE(descriptors_stay_until_the_driver_was_told),
	TEST_CASE(config_space_is_the_drivers),
	TEST_CASE(used_entries_of_hardware_are_checked),
	TEST_CASE_WITH(wishes_about_kicks_go_along, "wishes_about_kicks_go_along", &yes_and_no[1]),
	TEST_CASE_WITH(wishes_about_kicks_go_along, "event_indices_go_along", &yes_and_no[0]),
	TEST_CASE_WITH(pages_of_long_chains_are_logged, "pages_of_long_chains_are_logged",
		&yes_and_no[1]),
	TEST_CASE_WITH(pages_of_long_chains_are_logged, "pages_of_indirect_chains_are_logged",
		&yes_and_no[0]),
	TEST_CASE(pages_of_chains_that_lead_nowhere_are_logged),
	TEST_CASE_WITH(guest_names_all_memory_in_each_descriptor,
		"guest_names_all_memory_in_each_descriptor", &yes_and_no[0]),
	TEST_CASE_WITH(guest_names_all_memory_in_each_descriptor, "chains_that_never_end",
		&yes_and_no[1]),
	TEST_CASE(doorbells_are_whole_pages),
	TEST_CASE(doorbells_need_all_of_driver_and_frontend),
};

static int
test_vhost_vdpa(void)
{
	static const struct test_suite suite = {
		.name = "vhost vdpa",
		.setup = fake_setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_vdpa_autotest, test_vhost_vdpa);
