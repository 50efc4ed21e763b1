/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Devices behind hardware: what its driver is asked, in which order, and what the
 * functions for applications and drivers answer, also when they cannot.
 */

#include <string.h>

#include <linux/virtio_config.h>

#include <rte_vdpa.h>
#include <rte_vhost.h>

#include "answers.h"
#include "vdpa_driver.h"

/** What rte_dev_name() looks at; the true structure is in no packaged header. */
struct made_up_device {
	void *list[2];
	const char *name;
	uint64_t rest[16];
};

#define MAX_CALLS 64

/** Calls of the driver and of the application since the last step. */
static struct {
	struct {
		const char *op;
		long long value;
	} calls[MAX_CALLS];
	unsigned int n;
	int refuse;	/**< so many dev_conf() still fail */
	int failing;	/**< what the questions for features and queues return */
} story;

static void
happened(const char *op, long long value)
{
	if (story.n < MAX_CALLS) {
		story.calls[story.n].op = op;
		story.calls[story.n].value = value;
		story.n++;
	}
}

/** Say what has happened in this step. */
static void
answer_story(const char *step)
{
	for (unsigned int i = 0; i < story.n; i++)
		answer(story.calls[i].value, "vdpa/story/%s/%u_%s", step, i, story.calls[i].op);
	answer(story.n, "vdpa/story/%s/calls", step);
	story.n = 0;
}

static int
op_queue_num(struct rte_vdpa_device *dev __rte_unused, uint32_t *n)
{
	*n = 3;
	return story.failing;
}

static int
op_features(struct rte_vdpa_device *dev __rte_unused, uint64_t *features)
{
	*features = UINT64_MAX & ~FE_BIT(VIRTIO_NET_F_MRG_RXBUF);
	return story.failing;
}

static int
op_protocol_features(struct rte_vdpa_device *dev __rte_unused, uint64_t *features)
{
	*features = UINT64_MAX & ~FE_BIT(VHOST_USER_PROTOCOL_F_NET_MTU);
	return story.failing;
}

static int
op_conf(int vid __rte_unused)
{
	happened("dev_conf", story.refuse > 0);
	return story.refuse-- > 0 ? -1 : 0;
}

static int
op_close(int vid)
{
	happened("dev_close", rte_vhost_set_vring_base(vid, 0, 23, 23));
	return 0;
}

static int
op_cleanup(int vid __rte_unused)
{
	happened("dev_cleanup", 0);
	return 0;
}

static int
op_vring_state(int vid __rte_unused, int vring, int state)
{
	happened("set_vring_state", 10 * vring + state);
	return 0;
}

static int
op_set_features(int vid)
{
	uint64_t features = 0;

	rte_vhost_get_negotiated_features(vid, &features);
	happened("set_features", features);
	return 0;
}

static int
op_migration_done(int vid __rte_unused)
{
	happened("migration_done", 0);
	return 0;
}

static int
op_get_config(int vid __rte_unused, uint8_t *config, uint32_t size)
{
	memset(config, 0x5c, size);
	happened("get_config", size);
	return 0;
}

static int
op_set_config(int vid __rte_unused, uint8_t *config, uint32_t offset, uint32_t size,
		uint32_t flags)
{
	happened("set_config_offset", offset);
	happened("set_config_size", size);
	happened("set_config_flags", flags);
	happened("set_config_first", config[0]);
	return 0;
}

static int
op_stats(struct rte_vdpa_device *dev __rte_unused, int qid, struct rte_vdpa_stat *stats,
		unsigned int n)
{
	stats[0].id = 0;
	stats[0].value = qid;
	return n;
}

static struct rte_vdpa_dev_ops ops = {
	.get_queue_num = op_queue_num,
	.get_features = op_features,
	.get_protocol_features = op_protocol_features,
	.dev_conf = op_conf,
	.dev_close = op_close,
	.dev_cleanup = op_cleanup,
	.set_vring_state = op_vring_state,
	.set_features = op_set_features,
	.migration_done = op_migration_done,
	.get_config = op_get_config,
	.set_config = op_set_config,
};

static void
on_event(void *arg __rte_unused, enum fake_event ev, int vid __rte_unused,
		unsigned int qid __rte_unused, int on __rte_unused)
{
	if (ev == FAKE_NEW_DEVICE)
		happened("new_device", 0);
	if (ev == FAKE_DESTROY_DEVICE)
		happened("destroy_device", 0);
}

static struct made_up_device made_up = { .name = "made up" };

static struct rte_vdpa_device *
register_made_up(void)
{
	return rte_vdpa_register_device((struct rte_device *)&made_up, &ops);
}

/* ---- without a device ---- */

static void
answer_nobody(void)
{
	struct rte_vdpa_stat_name name;
	struct rte_vdpa_stat stat;
	uint64_t features;
	uint32_t n;

	answer(rte_vdpa_find_device_by_name("nobody") != NULL, "vdpa/nobody/find");
	answer(rte_vdpa_find_device_by_name(NULL) != NULL, "vdpa/nobody/find_null");
	answer(rte_vdpa_get_rte_device(NULL) != NULL, "vdpa/nobody/rte_device");
	answer(rte_vdpa_get_queue_num(NULL, &n), "vdpa/nobody/queue_num");
	answer(rte_vdpa_get_features(NULL, &features), "vdpa/nobody/features");
	answer(rte_vdpa_get_protocol_features(NULL, &features), "vdpa/nobody/protocol_features");
	answer(rte_vdpa_get_stats_names(NULL, &name, 1), "vdpa/nobody/stats_names");
	answer(rte_vdpa_get_stats(NULL, 0, &stat, 1), "vdpa/nobody/stats");
	answer(rte_vdpa_reset_stats(NULL, 0), "vdpa/nobody/reset_stats");
	answer(rte_vhost_driver_attach_vdpa_device("/nowhere", NULL), "vdpa/nobody/attach");
	answer(rte_vhost_driver_detach_vdpa_device("/nowhere"), "vdpa/nobody/detach");
	answer(rte_vhost_driver_get_vdpa_device("/nowhere") != NULL, "vdpa/nobody/driver_device");
	answer(rte_vhost_driver_get_vdpa_dev_type("/nowhere", &n), "vdpa/nobody/driver_dev_type");
	answer(rte_vhost_get_vdpa_device(1000) != NULL, "vdpa/nobody/get_device");
	answer(rte_vhost_host_notifier_ctrl(1000, 0, true), "vdpa/nobody/host_notifier");
	answer(rte_vdpa_relay_vring_used(1000, 0, &n), "vdpa/nobody/relay");
}

/* ---- a device without a socket ---- */

static void
answer_register(void)
{
	struct rte_vdpa_device *dev = register_made_up();
	struct rte_vdpa_stat stat = { 0 };
	struct rte_vdpa_stat_name name;
	struct rte_vdpa_dev_ops other = ops;
	uint64_t features = 0;
	uint32_t n = 0;

	answer(dev != NULL, "vdpa/register/registers");
	answer(register_made_up() != NULL, "vdpa/register/twice");
	other.dev_close = NULL;
	answer(rte_vdpa_register_device((struct rte_device *)&made_up, &other) != NULL,
		"vdpa/register/without_dev_close");
	answer(rte_vdpa_find_device_by_name("made up") == dev, "vdpa/register/find");
	answer(rte_vdpa_get_rte_device(dev) == (struct rte_device *)&made_up,
		"vdpa/register/rte_device");
	answer(rte_vdpa_get_queue_num(dev, &n), "vdpa/register/queue_num");
	answer(n, "vdpa/register/queue_num/pairs");
	answer(rte_vdpa_get_features(dev, &features), "vdpa/register/features");
	answer(features == (UINT64_MAX & ~FE_BIT(VIRTIO_NET_F_MRG_RXBUF)), "vdpa/register/features/all");
	answer(rte_vdpa_get_stats_names(dev, &name, 1), "vdpa/register/no_stats_names");
	answer(rte_vdpa_get_stats(dev, 0, &stat, 1), "vdpa/register/no_stats");
	answer(rte_vdpa_reset_stats(dev, 0), "vdpa/register/no_reset_stats");
	ops.get_stats = op_stats;
	answer(rte_vdpa_get_stats(dev, 5, &stat, 1), "vdpa/register/stats");
	answer(stat.value, "vdpa/register/stats/value");
	answer(rte_vdpa_get_stats(dev, 0, NULL, 1), "vdpa/register/stats_null");
	answer(rte_vdpa_get_stats(dev, 0, &stat, 0), "vdpa/register/stats_none");
	answer(rte_vdpa_unregister_device(dev), "vdpa/register/unregister");
	answer(rte_vdpa_find_device_by_name("made up") != NULL, "vdpa/register/find_gone");
}

/* ---- a socket ---- */

/** What is offered in front of it. */
static void
answer_offer(const struct fake *fe, struct rte_vdpa_device *dev)
{
	uint64_t features = 0, protocol = 0;
	uint32_t n = 77;

	answer(rte_vhost_driver_get_vdpa_device(fe->path) == dev, "vdpa/offer/device");
	answer(rte_vhost_driver_get_vdpa_dev_type(fe->path, &n), "vdpa/offer/type/result");
	answer(n, "vdpa/offer/type");
	answer(rte_vhost_driver_get_queue_num(fe->path, &n), "vdpa/offer/queue_num/result");
	answer(n, "vdpa/offer/queue_num/pairs");
	answer(rte_vhost_driver_get_features(fe->path, &features), "vdpa/offer/features/result");
	answer((features & FE_BIT(VIRTIO_NET_F_MRG_RXBUF)) != 0, "vdpa/offer/features/mergeable");
	answer(rte_vhost_driver_get_protocol_features(fe->path, &protocol),
		"vdpa/offer/protocol/result");
	answer((protocol & FE_BIT(VHOST_USER_PROTOCOL_F_NET_MTU)) != 0, "vdpa/offer/protocol/mtu");
	story.failing = -5;
	answer(rte_vhost_driver_get_features(fe->path, &features), "vdpa/offer/features/fails");
	answer(rte_vhost_driver_get_protocol_features(fe->path, &protocol),
		"vdpa/offer/protocol/fails");
	answer(rte_vhost_driver_get_queue_num(fe->path, &n), "vdpa/offer/queue_num/fails");
	story.failing = 0;
}

/** A device that has not negotiated what it takes. */
static void
answer_notifier_errors(const struct fake *fe)
{
	answer(rte_vhost_host_notifier_ctrl(fe->vid, 0, true), "vdpa/notifier/no_ops");
	answer(rte_vhost_host_notifier_ctrl(fe->vid, 99, true), "vdpa/notifier/no_such_ring");
	answer(rte_vhost_host_notifier_ctrl(fe->vid, RTE_VHOST_QUEUE_ALL, false), "vdpa/notifier/all");
}

/** Relay what hardware has used. */
static void
answer_relay(const struct fake *fe)
{
	/* flags and index, entries, event */
	static uint64_t mediated[1 + 256 + 1];
	struct vring_used *used = (struct vring_used *)mediated;
	struct vring ring = { .num = fe->vqs[0].size, .used = used };

	answer(rte_vdpa_relay_vring_used(fe->vid, 99, &ring), "vdpa/relay/no_such_ring");
	answer(rte_vdpa_relay_vring_used(fe->vid, 0, NULL), "vdpa/relay/null");
	answer(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), "vdpa/relay/nothing");
	used->ring[0] = (struct vring_used_elem){ .id = 3, .len = 60 };
	used->ring[1] = (struct vring_used_elem){ .id = 1, .len = 61 };
	used->flags = VRING_USED_F_NO_NOTIFY;
	used->idx = 2;
	answer(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), "vdpa/relay/two");
	answer(fe->vqs[0].used->idx, "vdpa/relay/two/idx");
	answer(fe->vqs[0].used->flags, "vdpa/relay/two/flags");
	answer(fe->vqs[0].used->ring[1].id, "vdpa/relay/two/id");
	answer(fe->vqs[0].used->ring[1].len, "vdpa/relay/two/len");
	answer(rte_vdpa_relay_vring_used(fe->vid, 0, &ring), "vdpa/relay/two_again");
}

#define CONFIG_HEAD 12

static bool
answer_config(struct fake *fe)
{
	uint8_t payload[CONFIG_HEAD + 256] = { 0 };
	uint32_t size = 8, offset = 2, flags = 1;
	struct fake_msg reply;

	memcpy(payload + 4, &size, sizeof(size));
	if (fake_ask(fe, FE_GET_CONFIG, payload, sizeof(payload), &reply) < 0)
		return false;
	answer(reply.size, "vdpa/config/get/size");
	answer(reply.payload[CONFIG_HEAD + 7], "vdpa/config/get/last");
	answer_story("get_config");
	memcpy(payload, &offset, sizeof(offset));
	memcpy(payload + 8, &flags, sizeof(flags));
	payload[CONFIG_HEAD] = 9;
	answer(fake_call(fe, FE_SET_CONFIG, payload, sizeof(payload), NULL, 0), "vdpa/config/set");
	answer_story("set_config");
	return true;
}

/** The life of a device, step by step. */
static bool
answer_life(struct fake *fe)
{
	uint64_t value;

	if (fake_connect(fe) < 0 || fake_negotiate(fe) < 0)
		return false;
	answer(fake_ask_u64(fe, FE_GET_QUEUE_NUM, &value), "vdpa/offer/GET_QUEUE_NUM/result");
	answer(value, "vdpa/offer/GET_QUEUE_NUM/pairs");
	answer_story("negotiated");
	answer_notifier_errors(fe);
	if (fake_send_mem_table(fe) < 0 || !fake_is_served(fe))
		return false;
	answer_story("memory");
	story.refuse = 1;
	if (fake_run(fe) < 0 || !fake_is_served(fe) || !fake_is_served(fe))
		return false;
	answer(rte_vhost_get_vdpa_device(fe->vid) != NULL, "vdpa/life/get_device");
	answer_story("run");
	answer_relay(fe);
	if (fake_enable_vring(fe, 0, false) < 0 || !fake_is_served(fe))
		return false;
	answer_story("disabled");
	if (fake_enable_vring(fe, 0, true) < 0 || !fake_is_served(fe))
		return false;
	answer_story("enabled");
	if (!answer_config(fe))
		return false;
	fake_call_u64(fe, FE_SET_FEATURES, fe->features | FE_BIT(26));
	fake_is_served(fe);
	answer_story("logging");
	fake_call_u64(fe, FE_SEND_RARP, 0x010203040506);
	fake_is_served(fe);
	answer_story("rarp");
	if (fake_send_mem_table(fe) < 0 || !fake_is_served(fe))
		return false;
	answer_story("same_memory");
	if (fake_region_create(fe, 1ULL << 40, 1 << 20, 0) < 0 || fake_send_mem_table(fe) < 0 ||
			!fake_is_served(fe))
		return false;
	answer_story("other_memory");
	answer(fake_stop_vring(fe, 0), "vdpa/life/base0");
	answer_story("stop0");
	answer(fake_stop_vring(fe, 1), "vdpa/life/base1");
	answer_story("stop1");
	return true;
}

static bool
answer_socket(void)
{
	struct rte_vdpa_device *dev = register_made_up();
	struct fake *fe = fake_start(.until = FAKE_REGISTERED, .hook = on_event);
	bool good;

	if (fe == NULL)
		return false;
	answer(rte_vhost_driver_attach_vdpa_device(fe->path, dev), "vdpa/offer/attach");
	answer_offer(fe, dev);
	good = answer_life(fe);
	fake_disconnect(fe);
	answer_story("gone");
	answer(rte_vhost_driver_detach_vdpa_device(fe->path), "vdpa/offer/detach");
	answer(rte_vhost_driver_get_vdpa_device(fe->path) != NULL, "vdpa/offer/detached");
	good = fake_stop(fe) == 0 && good;
	answer(rte_vdpa_unregister_device(dev), "vdpa/offer/unregister");
	return good;
}

bool
answer_vdpa(void)
{
	answer_nobody();
	answer_register();
	if (answer_socket())
		return true;
	fprintf(stderr, "vdpa: a step failed\n");
	return false;
}
