/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Devices served by hardware that really serves: a thread on the guest's rings, see
 * vhost_soft_vdpa.h.  Frames go out, come back, and are what they were.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_vdpa.h>

#include "device.h"
#include "test.h"
#include "vdpa_driver.h"
#include "vhost_abi.h"
#include "vhost_fake_dirty.h"
#include "vhost_fake_frontend.h"
#include "vhost_soft_vdpa.h"
#include "vhost_test_topology.h"

#define BACK_CHANNEL (FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ) | \
		FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD) | \
		FE_BIT(VHOST_USER_PROTOCOL_F_HOST_NOTIFIER))
#define FRAME 300

/* ---- a device ---- */

struct served {
	struct soft_vdpa *soft;
	struct fake *fe;
};

/** Of a case that has failed. */
static struct soft_vdpa *left_behind;

static bool
served_start_config(struct served *s, const struct soft_vdpa_config *soft,
		const struct fake_config *fake)
{
	struct fake_config cfg = *fake;

	cfg.until = FAKE_REGISTERED;
	s->fe = NULL;
	s->soft = soft_vdpa_create("soft", soft);
	if (s->soft == NULL)
		return false;
	left_behind = s->soft;
	s->fe = fake_start_config(&cfg);
	return s->fe != NULL && rte_vhost_driver_attach_vdpa_device(s->fe->path,
			soft_vdpa_device(s->soft)) == 0;
}

/** Hardware and a frontend that has not connected yet. */
#define served_register(s, soft, ...) \
	served_start_config(s, &(const struct soft_vdpa_config)soft, \
		&(const struct fake_config){ __VA_ARGS__ })
#define SOFT(...) { __VA_ARGS__ }

static bool
served_connect(struct served *s)
{
	return fake_connect(s->fe) == 0 && fake_negotiate(s->fe) == 0 &&
		fake_send_mem_table(s->fe) == 0;
}

/** The rings run; what starts is told after the last acknowledgement. */
static bool
served_run(struct served *s)
{
	return fake_run(s->fe) == 0 && fake_is_served(s->fe);
}

static int
served_end(struct served *s)
{
	int ret = s->fe != NULL ? fake_stop(s->fe) : 0;

	left_behind = NULL;
	return soft_vdpa_destroy(s->soft) == 0 && ret == 0 ? TEST_SUCCESS : TEST_FAILED;
}

static int
served_check(void)
{
	int ret = fake_check();

	if (left_behind != NULL)
		soft_vdpa_destroy(left_behind);
	left_behind = NULL;
	return ret;
}

/* ---- frames ---- */

/** Wait until a frame has come back on a pair: its length, or -1. */
static int
await_frame(struct fake *fe, unsigned int pair, uint8_t *frame, size_t size)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	int len;

	while ((len = fake_rx_take(&fe->vqs[2 * pair], NULL, frame, size)) == -1 &&
			fake_now_ms() < until)
		usleep(200);
	return len;
}

/** Let a frame go round on a pair; whether it came back as it was. */
static bool
go_round(struct fake *fe, unsigned int pair, uint32_t seed, const struct fake_shape *shape)
{
	uint8_t sent[FRAME], got[FRAME + 1];

	fake_pattern(sent, sizeof(sent), seed);
	fake_rx_fill(&fe->vqs[2 * pair], 1, 2048, NULL);
	return fake_tx_send(&fe->vqs[2 * pair + 1], NULL, sent, sizeof(sent), shape) &&
		await_frame(fe, pair, got, sizeof(got)) == FRAME &&
		memcmp(sent, got, FRAME) == 0;
}

static bool
go_round_often(struct fake *fe, unsigned int pair, unsigned int n)
{
	const struct fake_shape shapes[] = {
		{ .header = 0 }, { .header = 12 }, { .header = 12, .seg = 100 },
		{ .header = 12, .seg = 100, .indirect = true },
	};

	for (unsigned int i = 0; i < n; i++) {
		if (!go_round(fe, pair, i, &shapes[i % RTE_DIM(shapes)]))
			return false;
		fake_tx_reap(&fe->vqs[2 * pair + 1]);
	}
	return true;
}

/** Both rings of a pair stop where they say they do. */
static int
stop_pair(struct fake *fe, unsigned int pair)
{
	for (unsigned int i = 2 * pair; i < 2 * pair + 2; i++) {
		int64_t base = fake_stop_vring(fe, i);

		fake_tx_reap(&fe->vqs[i]);
		TEST_ASSERT(fake_is_base(&fe->vqs[i], base), "ring %u: base %d", i, (int)base);
	}
	return 0;
}

struct way {
	bool relay, event_idx;
};

/* More than a turn of the ring, twice: what the first left is where the second begins. */
static int
frames_come_back(const void *arg)
{
	const struct way *way = arg;
	struct served s;

	TEST_ASSERT(served_register(&s, SOFT(.relay = way->relay), .event_idx = way->event_idx),
		"hardware");
	TEST_ASSERT(served_connect(&s), "connected");
	for (unsigned int i = 0; i < 2; i++) {
		TEST_ASSERT(served_run(&s), "run");
		TEST_ASSERT(soft_vdpa_is_running(s.soft), "served by hardware");
		TEST_ASSERT_EQUAL(soft_vdpa_is_relaying(s.soft), way->relay, "in this way");
		TEST_ASSERT(go_round_often(s.fe, 0, 300), "frames");
		TEST_ASSERT_SUCCESS(stop_pair(s.fe, 0), "stopped");
		TEST_ASSERT(!soft_vdpa_is_running(s.soft), "stopped");
	}
	TEST_ASSERT_EQUAL(soft_vdpa_stat(s.soft, RTE_VHOST_QUEUE_ALL, SOFT_REFUSED), 0, "relays");
	TEST_ASSERT_EQUAL(soft_vdpa_stat(s.soft, 0, SOFT_RELAYED), way->relay ? 600 : 0, "relays");
	return served_end(&s);
}

/* The guest sleeps until it is notified, and is told so by what the ring says. */
static int
guest_is_notified(const void *arg)
{
	const struct way *way = arg;
	struct served s;

	TEST_ASSERT(served_register(&s, SOFT(.relay = way->relay), .event_idx = way->event_idx),
		"hardware");
	TEST_ASSERT(served_connect(&s) && served_run(&s), "run");
	for (unsigned int i = 0; i < 20; i++) {
		struct fake_vq *rx = &s.fe->vqs[0];
		uint64_t until = fake_now_ms() + fake_patience_ms(), n = 0;

		rx->ops->interrupts(rx, true);
		fake_interrupts(rx);
		TEST_ASSERT(go_round(s.fe, 0, i, NULL), "frame %u", i);
		while ((n = fake_interrupts(rx)) == 0 && fake_now_ms() < until)
			usleep(200);
		TEST_ASSERT(n > 0, "frame %u", i);
	}
	return served_end(&s);
}

/* ---- rings one by one ---- */

static int
rings_are_switched_one_by_one(void)
{
	struct served s;

	TEST_ASSERT(served_register(&s, SOFT(.pairs = 4), .queues = 4), "hardware");
	TEST_ASSERT(served_connect(&s), "connected");
	for (unsigned int i = 0; i < 8; i++)
		TEST_ASSERT_SUCCESS(fake_setup_vring(s.fe, i), "ring %u", i);
	for (unsigned int pair = 0; pair < 4; pair++) {
		TEST_ASSERT_SUCCESS(fake_enable_vring(s.fe, 2 * pair, true), "on");
		TEST_ASSERT_SUCCESS(fake_enable_vring(s.fe, 2 * pair + 1, true), "on");
		for (unsigned int on = 0; on <= pair; on++)
			TEST_ASSERT(go_round_often(s.fe, on, 20), "pair %u of %u", on, pair);
	}
	TEST_ASSERT_SUCCESS(fake_enable_vring(s.fe, 2, false), "off");
	TEST_ASSERT_SUCCESS(fake_enable_vring(s.fe, 3, false), "off");
	fake_rx_fill(&s.fe->vqs[2], 1, 2048, NULL);
	TEST_ASSERT(fake_tx_send(&s.fe->vqs[3], NULL, (uint8_t[60]){ 0 }, 60, NULL), "while it is off");
	TEST_ASSERT(go_round_often(s.fe, 0, 20) && go_round_often(s.fe, 3, 20), "others go on");
	TEST_ASSERT_EQUAL(soft_vdpa_stat(s.soft, 2, SOFT_FRAMES), 60, "it does not");
	TEST_ASSERT_SUCCESS(fake_enable_vring(s.fe, 2, true), "on");
	TEST_ASSERT_SUCCESS(fake_enable_vring(s.fe, 3, true), "on");
	TEST_ASSERT_EQUAL(await_frame(s.fe, 1, (uint8_t[64]){ 0 }, 64), 60, "what waited");
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_CONF), 1, "configured once");
	for (unsigned int pair = 0; pair < 4; pair++)
		TEST_ASSERT_SUCCESS(stop_pair(s.fe, pair), "stopped");
	return served_end(&s);
}

static int
each_queue_has_statistics(void)
{
	struct rte_vdpa_stat_name names[SOFT_STATS];
	struct rte_vdpa_stat stats[SOFT_STATS];
	struct served s;

	TEST_ASSERT(served_register(&s, SOFT(.pairs = 2), .queues = 2), "hardware");
	TEST_ASSERT(served_connect(&s) && served_run(&s), "run");
	TEST_ASSERT(go_round_often(s.fe, 0, 10) && go_round_often(s.fe, 1, 30), "frames");
	TEST_ASSERT_EQUAL(rte_vdpa_get_stats_names(soft_vdpa_device(s.soft), names, SOFT_STATS),
		SOFT_STATS, "names");
	TEST_ASSERT(strcmp(names[SOFT_FRAMES].name, "frames") == 0, "%s", names[0].name);
	for (unsigned int i = 0; i < 4; i++) {
		TEST_ASSERT_EQUAL(rte_vdpa_get_stats(soft_vdpa_device(s.soft), i, stats, SOFT_STATS),
			SOFT_STATS, "ring %u", i);
		TEST_ASSERT_EQUAL(stats[SOFT_FRAMES].value, i < 2 ? 10 : 30, "ring %u", i);
	}
	TEST_ASSERT_SUCCESS(rte_vdpa_reset_stats(soft_vdpa_device(s.soft), 2), "reset");
	TEST_ASSERT_EQUAL(soft_vdpa_stat(s.soft, 2, SOFT_FRAMES), 0, "reset");
	TEST_ASSERT_EQUAL(soft_vdpa_stat(s.soft, 3, SOFT_FRAMES), 30, "another one");
	return served_end(&s);
}

/* ---- who is what ---- */

static int
disk_needs_one_ring(void)
{
	uint32_t type = 77;
	struct served s;

	TEST_ASSERT(served_register(&s, SOFT(.blk = true)), "hardware");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_vdpa_dev_type(s.fe->path, &type), "type");
	TEST_ASSERT_EQUAL(type, RTE_VHOST_VDPA_DEVICE_TYPE_BLK, "type");
	TEST_ASSERT(served_connect(&s), "connected");
	TEST_ASSERT_SUCCESS(fake_setup_vring(s.fe, 0), "ring");
	TEST_ASSERT_SUCCESS(fake_enable_vring(s.fe, 0, true), "on");
	TEST_ASSERT(fake_is_served(s.fe), "after dev_conf");
	TEST_ASSERT(soft_vdpa_is_running(s.soft), "one ring is enough");
	return served_end(&s);
}

/* Drivers have tables as long as their hardware has rings. */
static int
no_more_rings_than_the_hardware_has(void)
{
	const uint32_t beyond[] = { 4, 5, 255 };
	struct served s;

	TEST_ASSERT(served_register(&s, SOFT(.pairs = 2), .queues = 1), "hardware");
	TEST_ASSERT(served_connect(&s), "connected");
	for (unsigned int i = 0; i < RTE_DIM(beyond); i++)
		TEST_ASSERT_EQUAL(fake_call_state(s.fe, FE_SET_VRING_NUM, beyond[i], 256), FAKE_NACK,
			"ring %u", beyond[i]);
	TEST_ASSERT_EQUAL(fake_call_state(s.fe, FE_SET_VRING_NUM, 3, 256), FAKE_ACK, "the last");
	TEST_ASSERT_EQUAL(rte_vhost_get_vring_num(s.fe->vid), 2, "without MQ two count");
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_VRING_STATE), 0, "nothing was told");
	return served_end(&s);
}

#define CONFIG_HEAD 12

/** GET_CONFIG or SET_CONFIG. */
static enum fake_verdict
call_config(struct fake *fe, uint32_t request, uint32_t offset, uint32_t size, uint8_t *data)
{
	struct { uint32_t offset, size, flags; uint8_t data[256]; } wire = { offset, size, 0, { 0 } };
	struct fake_msg reply;

	if (request == FE_SET_CONFIG) {
		memcpy(wire.data, data, RTE_MIN(size, 256u));
		return fake_call(fe, request, &wire, sizeof(wire), NULL, 0);
	}
	if (fake_ask(fe, request, &wire, sizeof(wire), &reply) < 0 || reply.size == 0)
		return FAKE_NACK;
	memcpy(data, reply.payload + CONFIG_HEAD, size);
	return FAKE_ACK;
}

static int
configuration_space_has_bounds(void)
{
	static const struct { uint32_t offset, size; enum fake_verdict verdict; } parts[] = {
		{ 0, 8, FAKE_ACK }, { 100, 8, FAKE_ACK }, { 0, 256, FAKE_ACK }, { 255, 1, FAKE_ACK },
		{ 256, 0, FAKE_ACK }, { 249, 8, FAKE_NACK }, { 256, 1, FAKE_NACK },
		{ UINT32_MAX, 8, FAKE_NACK }, { UINT32_MAX - 3, 4, FAKE_NACK },
	};
	uint8_t data[256];
	struct served s;

	TEST_ASSERT(served_register(&s, SOFT(.pairs = 1)), "hardware");
	TEST_ASSERT(served_connect(&s), "connected");
	fake_pattern(soft_vdpa_space(s.soft), 256, 1);
	for (unsigned int i = 0; i < RTE_DIM(parts); i++) {
		uint32_t offset = parts[i].offset, size = parts[i].size;

		TEST_ASSERT_EQUAL(call_config(s.fe, FE_GET_CONFIG, offset, size, data),
			parts[i].verdict, "read %u at %u", size, offset);
		if (parts[i].verdict != FAKE_ACK)
			memset(data, 1, sizeof(data));
		else
			TEST_ASSERT(memcmp(data, soft_vdpa_space(s.soft) + offset, size) == 0,
				"%u at %u", size, offset);
		TEST_ASSERT_EQUAL(call_config(s.fe, FE_SET_CONFIG, offset, size, data),
			parts[i].verdict, "write %u at %u", size, offset);
	}
	TEST_ASSERT(fake_pattern_matches(soft_vdpa_space(s.soft), 256, 1), "as it was");
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_SET_CONFIG), 5, "the driver sees good ones");
	return served_end(&s);
}

/* ---- other memory ---- */

static int
other_memory_while_it_serves(void)
{
	struct served s;

	TEST_ASSERT(served_register(&s, SOFT(.pairs = 1)), "hardware");
	TEST_ASSERT(served_connect(&s) && served_run(&s), "run");
	for (unsigned int i = 0; i < 5; i++) {
		TEST_ASSERT(go_round_often(s.fe, 0, 50), "frames");
		TEST_ASSERT_SUCCESS(fake_region_create(s.fe, (i + 1ULL) << 40, 1 << 20, 0), "more");
		TEST_ASSERT_SUCCESS(fake_send_mem_table(s.fe), "memory");
	}
	TEST_ASSERT(go_round_often(s.fe, 0, 50), "frames");
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_CONF), 6, "each time anew");
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_CLOSE), 5, "each time anew");
	TEST_ASSERT_SUCCESS(stop_pair(s.fe, 0), "stopped");
	return served_end(&s);
}

#define HERE 0
#define THERE 1

/* Where the library has its own structures is nothing to hardware. */
static int
relocation_is_invisible(void)
{
	struct served s;
	unsigned int told;

	topology_make_up();
	topology_guest_on(HERE);
	TEST_ASSERT(served_register(&s, SOFT(.pairs = 1)), "hardware");
	TEST_ASSERT(served_connect(&s) && served_run(&s), "run");
	told = soft_vdpa_asked(s.soft, SOFT_VRING_STATE);
	for (unsigned int i = 0; i < 20; i++) {
		int node = i % 2 == 0 ? THERE : HERE;

		TEST_ASSERT(go_round_often(s.fe, 0, 10), "frames");
		topology_guest_on(node);
		TEST_ASSERT_SUCCESS(topology_refresh(vhost_device_get(s.fe->vid)), "refresh");
		TEST_ASSERT_SUCCESS(topology_inventory_on(s.fe, node), "round %u", i);
	}
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_CONF), 1, "not configured again");
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_CLOSE), 0, "not closed");
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_VRING_STATE), told, "no ring stopped");
	TEST_ASSERT_EQUAL(fake_events(s.fe, FAKE_DESTROY_DEVICE), 0, "nor did the device");
	TEST_ASSERT_SUCCESS(stop_pair(s.fe, 0), "stopped");
	TEST_ASSERT_SUCCESS(topology_stop(s.fe), "nothing is left");
	s.fe = NULL;
	return served_end(&s);
}

/* ---- migration ---- */

/** Rings of a pair off, or on and told. */
static bool
enable_pair(struct fake *fe, unsigned int pair, bool on)
{
	return fake_enable_vring(fe, 2 * pair, on) == 0 &&
		fake_enable_vring(fe, 2 * pair + 1, on) == 0 && fake_is_served(fe);
}

/** Every page that changed since dirty_begin() has its bit. */
static bool
pages_are_logged(const struct fake_dirty *d)
{
	for (unsigned int i = 0; i < d->fe->nregions; i++) {
		const struct fake_region *r = &d->fe->regions[i];

		for (uint64_t at = 0; at < r->wire.size; at += DIRTY_PAGE) {
			uint64_t n = RTE_MIN((uint64_t)DIRTY_PAGE, r->wire.size - at);

			if (memcmp(r->va + at, d->before[i] + at, n) != 0 &&
					!dirty_is_set(d, r->wire.gpa + at)) {
				printf("page %#lx changed without a bit\n",
					(unsigned long)(r->wire.gpa + at));
				return false;
			}
		}
	}
	return true;
}

/**
 * Frames while the guest itself writes nothing, so that every page that changes is the
 * hardware's doing: it offers while the rings are off, and they are served in one go.
 */
static int
serve_watched(struct served *s, struct fake_dirty *d, unsigned int n)
{
	struct fake *fe = s->fe;
	uint64_t until = fake_now_ms() + fake_patience_ms();
	uint8_t frame[FRAME], got[FRAME + 1];
	uint16_t before;

	TEST_ASSERT(enable_pair(fe, 0, false), "off");
	/* the last frame before may have come back a moment before it counted as sent */
	fake_tx_reap(&fe->vqs[1]);
	before = fe->vqs[0].used->idx;
	fake_rx_fill(&fe->vqs[0], n, 2048, NULL);
	for (unsigned int i = 0; i < n; i++) {
		fake_pattern(frame, sizeof(frame), i);
		TEST_ASSERT(fake_tx_send(&fe->vqs[1], NULL, frame, sizeof(frame), NULL), "send");
	}
	TEST_ASSERT_SUCCESS(dirty_begin(d), "a copy of the guest");
	TEST_ASSERT(enable_pair(fe, 0, true), "on");
	while ((uint16_t)(__atomic_load_n(&fe->vqs[0].used->idx, __ATOMIC_ACQUIRE) - before) < n &&
			fake_now_ms() < until)
		usleep(200);
	TEST_ASSERT(enable_pair(fe, 0, false), "off");
	TEST_ASSERT(pages_are_logged(d), "the log");
	for (unsigned int i = 0; i < n; i++) {
		TEST_ASSERT_EQUAL(await_frame(fe, 0, got, sizeof(got)), FRAME, "frame %u", i);
		TEST_ASSERT(fake_pattern_matches(got, FRAME, i), "frame %u", i);
	}
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), n, "sent");
	TEST_ASSERT(enable_pair(fe, 0, true), "on");
	return 0;
}

static int
pages_are_logged_through_relays(const void *arg)
{
	const struct way *way = arg;
	struct fake_dirty d;
	struct served s;

	TEST_ASSERT(served_register(&s, SOFT(.relay = way->relay), .event_idx = way->event_idx,
		.protocol_features = DIRTY_PROTOCOL), "hardware");
	TEST_ASSERT(served_connect(&s) && served_run(&s), "run");
	TEST_ASSERT_SUCCESS(dirty_create(s.fe, &d, 0, 0), "log");
	for (unsigned int i = 0; i < 3; i++) {
		TEST_ASSERT(go_round_often(s.fe, 0, 40), "frames before");
		TEST_ASSERT_SUCCESS(dirty_start(&d), "migration begins");
		TEST_ASSERT(fake_is_served(s.fe), "after set_features");
		TEST_ASSERT(soft_vdpa_is_relaying(s.soft), "it relays by then");
		TEST_ASSERT_SUCCESS(serve_watched(&s, &d, 50), "watched");
		TEST_ASSERT_SUCCESS(dirty_switch(s.fe, false), "and is called off");
		TEST_ASSERT(fake_is_served(s.fe), "after set_features");
		TEST_ASSERT_EQUAL(soft_vdpa_is_relaying(s.soft), way->relay, "as before");
	}
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_CONF), 1, "without a restart");
	TEST_ASSERT_EQUAL(soft_vdpa_stat(s.soft, RTE_VHOST_QUEUE_ALL, SOFT_REFUSED), 0, "relays");
	TEST_ASSERT_SUCCESS(stop_pair(s.fe, 0), "stopped");
	TEST_ASSERT_SUCCESS(dirty_destroy(&d), "log");
	return served_end(&s);
}

/* From one piece of hardware to another: the second goes on where the first has stopped. */
static int
guest_moves_to_other_hardware(void)
{
	const struct soft_vdpa_config plain = { .pairs = 1 };
	struct soft_vdpa *other;
	struct fake_dirty d;
	struct fake *there;
	struct served s;
	char path[108];

	TEST_ASSERT(served_register(&s, SOFT(.pairs = 1), .protocol_features = DIRTY_PROTOCOL),
		"hardware");
	other = soft_vdpa_create("other", &plain);
	there = fake_start(.until = FAKE_REGISTERED);
	TEST_ASSERT(other != NULL && there != NULL, "other hardware");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_attach_vdpa_device(there->path,
		soft_vdpa_device(other)), "attach");
	TEST_ASSERT(served_connect(&s) && served_run(&s), "run");
	TEST_ASSERT(go_round_often(s.fe, 0, 300), "frames");
	TEST_ASSERT_SUCCESS(dirty_create(s.fe, &d, 0, 0), "log");
	TEST_ASSERT_SUCCESS(dirty_start(&d), "migration begins");
	TEST_ASSERT_SUCCESS(serve_watched(&s, &d, 30), "watched");
	TEST_ASSERT_SUCCESS(stop_pair(s.fe, 0), "stopped");
	fake_disconnect(s.fe);
	memcpy(path, s.fe->path, sizeof(path));
	memcpy(s.fe->path, there->path, sizeof(path));
	TEST_ASSERT(served_connect(&s) && served_run(&s), "run there");
	TEST_ASSERT_EQUAL(fake_call_u64(s.fe, FE_SEND_RARP, 0), FAKE_ACK, "arrived");
	TEST_ASSERT(go_round_often(s.fe, 0, 300), "frames there");
	TEST_ASSERT_EQUAL(soft_vdpa_stat(s.soft, 0, SOFT_FRAMES), 330, "the first");
	TEST_ASSERT_EQUAL(soft_vdpa_stat(other, 0, SOFT_FRAMES), 300, "the second");
	TEST_ASSERT_EQUAL(soft_vdpa_asked(other, SOFT_MIGRATION_DONE), 1, "was told");
	TEST_ASSERT_SUCCESS(stop_pair(s.fe, 0), "stopped");
	fake_disconnect(s.fe);
	memcpy(s.fe->path, path, sizeof(path));
	TEST_ASSERT_SUCCESS(dirty_destroy(&d), "log");
	TEST_ASSERT_SUCCESS(fake_stop(there), "the other socket");
	TEST_ASSERT_SUCCESS(soft_vdpa_destroy(other), "other hardware");
	return served_end(&s);
}

/* ---- doorbells ---- */

#define RINGS 4

/** The frontend's end of the back channel. */
static struct {
	int sock;
	pthread_t thread;
	unsigned int refuse;	/**< this answer, from 1, is no; 0: none */
	bool silent;		/**< no answers at all */
	bool wrong;		/**< answers to what was not asked */
	pthread_mutex_t lock;	/**< of what follows */
	bool paused;		/**< reads nothing for now */
	unsigned int asked;	/**< for an answer */
	unsigned int given[RINGS], taken[RINGS];
	unsigned int strange;	/**< messages about rings that there are not */
	volatile uint16_t *doorbell[RINGS];
} door = { .lock = PTHREAD_MUTEX_INITIALIZER };

/** VRING_HOST_NOTIFIER as it is on the wire. */
struct door_message {
	uint32_t request, flags, size;
	uint64_t index, size_of_area, offset;
} __attribute__((__packed__));

static bool
door_receive(struct door_message *msg, int *fd)
{
	union { struct cmsghdr align; char room[CMSG_SPACE(sizeof(int))]; } control;
	struct iovec iov = { msg, sizeof(*msg) };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };
	const struct cmsghdr *cmsg;

	*fd = -1;
	if (recvmsg(door.sock, &hdr, MSG_WAITALL | MSG_CMSG_CLOEXEC) != sizeof(*msg))
		return false;
	cmsg = CMSG_FIRSTHDR(&hdr);
	if (cmsg != NULL && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(cmsg), sizeof(*fd));
	return true;
}

/** Map a doorbell, or forget it. */
static void
door_obey(const struct door_message *msg, int fd)
{
	unsigned int ring = msg->index & 0xff;
	void *at;

	if (ring >= RINGS) {
		door.strange++;
		return;
	}
	if (door.doorbell[ring] != NULL)
		munmap((void *)(uintptr_t)door.doorbell[ring], getpagesize());
	door.doorbell[ring] = NULL;
	if (fd < 0) {
		door.taken[ring]++;
		return;
	}
	door.given[ring]++;
	at = mmap(NULL, msg->size_of_area, PROT_READ | PROT_WRITE, MAP_SHARED, fd, msg->offset);
	if (at != MAP_FAILED)
		door.doorbell[ring] = at;
}

static void
door_answer(const struct door_message *msg)
{
	struct { uint32_t request, flags, size; uint64_t result; } __attribute__((__packed__)) answer = {
		msg->request + door.wrong, FE_VERSION | FE_REPLY, sizeof(answer.result), 0 };

	door.asked++;
	answer.result = door.asked == door.refuse;
	if (!door.silent)
		send(door.sock, &answer, sizeof(answer), MSG_NOSIGNAL);
}

static void *
door_main(void *arg)
{
	struct door_message msg;
	bool paused = true;
	int fd;

	while (paused) {
		pthread_mutex_lock(&door.lock);
		paused = door.paused;
		pthread_mutex_unlock(&door.lock);
		usleep(200);
	}
	while (door_receive(&msg, &fd)) {
		pthread_mutex_lock(&door.lock);
		door_obey(&msg, fd);
		if (msg.flags & FE_NEED_REPLY)
			door_answer(&msg);
		pthread_mutex_unlock(&door.lock);
		if (fd >= 0)
			close(fd);
	}
	return arg;
}

/** Hand the back channel over. */
static bool
door_open(struct fake *fe)
{
	int pair[2];
	bool good;

	door.asked = 0;
	door.strange = 0;
	memset(door.given, 0, sizeof(door.given));
	memset(door.taken, 0, sizeof(door.taken));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	door.sock = pair[0];
	good = fake_call(fe, FE_SET_SLAVE_REQ_FD, NULL, 0, &pair[1], 1) == FAKE_ACK;
	close(pair[1]);
	return good && pthread_create(&door.thread, NULL, door_main, NULL) == 0;
}

static void
door_close(void)
{
	shutdown(door.sock, SHUT_RDWR);
	pthread_join(door.thread, NULL);
	close(door.sock);
	for (unsigned int i = 0; i < RINGS; i++) {
		if (door.doorbell[i] != NULL)
			munmap((void *)(uintptr_t)door.doorbell[i], getpagesize());
		door.doorbell[i] = NULL;
	}
	door.refuse = 0;
	door.silent = door.wrong = false;
}

/** A count, or a setting, as it is now. */
static unsigned int
door_count(const unsigned int *count)
{
	unsigned int n;

	pthread_mutex_lock(&door.lock);
	n = *count;
	pthread_mutex_unlock(&door.lock);
	return n;
}

/** Wait until a count is so high. */
static bool
door_await(const unsigned int *count, unsigned int n)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (door_count(count) < n && fake_now_ms() < until)
		usleep(200);
	return door_count(count) >= n;
}

static bool
door_start(struct served *s, bool strict)
{
	return served_register(s, SOFT(.pairs = 2, .notifiers = true, .strict = strict),
			.queues = 2, .protocol_features = BACK_CHANNEL) &&
		served_connect(s) && door_open(s->fe);
}

static void
ring_doorbell(unsigned int ring)
{
	pthread_mutex_lock(&door.lock);
	if (door.doorbell[ring] != NULL)
		*door.doorbell[ring] = ring;
	pthread_mutex_unlock(&door.lock);
}

/** The end, which reads what is left: each doorbell was taken once. */
static int
door_close_taken(void)
{
	door_close();
	for (unsigned int i = 0; i < RINGS; i++)
		TEST_ASSERT_EQUAL(door.taken[i], 1, "ring %u", i);
	TEST_ASSERT_EQUAL(door.strange, 0, "and no other");
	return TEST_SUCCESS;
}

static int
guest_rings_doorbells(void)
{
	struct served s;

	TEST_ASSERT(door_start(&s, true) && served_run(&s), "run");
	TEST_ASSERT(soft_vdpa_has_doorbells(s.soft), "all");
	for (unsigned int i = 0; i < RINGS; i++) {
		uint64_t until = fake_now_ms() + fake_patience_ms();

		TEST_ASSERT_EQUAL(door_count(&door.given[i]), 1, "ring %u", i);
		ring_doorbell(i);
		while (soft_vdpa_stat(s.soft, i, SOFT_DOORBELLS) == 0 && fake_now_ms() < until)
			usleep(200);
		TEST_ASSERT_EQUAL(soft_vdpa_stat(s.soft, i, SOFT_DOORBELLS), 1, "ring %u", i);
	}
	TEST_ASSERT(go_round_often(s.fe, 0, 20), "frames");
	TEST_ASSERT(fake_stop_vring(s.fe, 0) >= 0, "stop");
	for (unsigned int i = 0; i < RINGS; i++)
		TEST_ASSERT(door_await(&door.taken[i], 1), "ring %u", i);
	TEST_ASSERT_EQUAL(door_count(&door.asked), RINGS, "nobody waited for that");
	TEST_ASSERT_SUCCESS(door_close_taken(), "the end");
	return served_end(&s);
}

/* What was taken before the end is not taken again. */
static int
doorbells_are_taken_one_by_one(void)
{
	struct served s;

	TEST_ASSERT(door_start(&s, true) && served_run(&s), "run");
	TEST_ASSERT_SUCCESS(rte_vhost_host_notifier_ctrl(s.fe->vid, 1, false), "one");
	TEST_ASSERT_EQUAL(door_count(&door.taken[1]), 1, "is taken, and answered");
	TEST_ASSERT_EQUAL(door_count(&door.asked), RINGS + 1, "which was waited for");
	pthread_mutex_lock(&door.lock);
	door.refuse = RINGS + 2;
	pthread_mutex_unlock(&door.lock);
	TEST_ASSERT_EQUAL(rte_vhost_host_notifier_ctrl(s.fe->vid, 2, false), -EFAULT,
		"a frontend that has not done so");
	for (unsigned int i = 0; i < RINGS; i++)
		TEST_ASSERT_EQUAL(door_count(&door.taken[i]), i == 1 || i == 2, "ring %u", i);
	TEST_ASSERT(fake_stop_vring(s.fe, 0) >= 0, "stop");
	TEST_ASSERT_SUCCESS(door_close_taken(), "the end");
	return served_end(&s);
}

/* Of other memory hardware learns by a restart; its doorbells come and go with that. */
static int
doorbells_follow_other_memory(void)
{
	struct served s;

	TEST_ASSERT(door_start(&s, true) && served_run(&s), "run");
	TEST_ASSERT_SUCCESS(fake_region_create(s.fe, 1ULL << 40, 1 << 20, 0), "more");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(s.fe), "memory");
	TEST_ASSERT(fake_is_served(s.fe), "after dev_conf");
	for (unsigned int i = 0; i < RINGS; i++)
		TEST_ASSERT(door_count(&door.taken[i]) == 1 && door_count(&door.given[i]) == 2,
			"ring %u", i);
	TEST_ASSERT(soft_vdpa_has_doorbells(s.soft), "again");
	door_close();
	return served_end(&s);
}

static int
half_of_the_doorbells_is_none(void)
{
	struct served s;

	door.refuse = 3;
	TEST_ASSERT(door_start(&s, false), "hardware");
	TEST_ASSERT(served_run(&s), "run");
	TEST_ASSERT(!soft_vdpa_has_doorbells(s.soft), "refused");
	for (unsigned int i = 0; i < 3; i++)
		TEST_ASSERT(door_await(&door.taken[i], 1), "ring %u", i);
	TEST_ASSERT_EQUAL(door_count(&door.given[3]), 0, "never asked");
	TEST_ASSERT(go_round_often(s.fe, 1, 20), "it goes without");
	door_close();
	return served_end(&s);
}

/*
 * A frontend with one thread reads no question while it waits for an acknowledgement, as
 * QEMU: it has to have that before.
 */
static int
acknowledged_before_it_is_asked(void)
{
	struct served s;

	TEST_ASSERT(served_register(&s, SOFT(.pairs = 1, .notifiers = true, .strict = true),
		.protocol_features = BACK_CHANNEL), "hardware");
	TEST_ASSERT(served_connect(&s), "connected");
	door.paused = true;
	TEST_ASSERT(door_open(s.fe), "back channel");
	TEST_ASSERT_SUCCESS(fake_run(s.fe), "run");
	TEST_ASSERT_EQUAL(door_count(&door.asked), 0, "nothing was read so far");
	pthread_mutex_lock(&door.lock);
	door.paused = false;
	pthread_mutex_unlock(&door.lock);
	TEST_ASSERT(fake_is_served(s.fe), "after dev_conf");
	TEST_ASSERT(soft_vdpa_has_doorbells(s.soft), "by now");
	TEST_ASSERT_EQUAL(door_count(&door.asked), 2, "each was asked for once");
	door_close();
	return served_end(&s);
}

/* The device comes up without, and the channel is given up. */
static int
answers_that_are_none(const void *arg)
{
	const bool *silent = arg;
	struct served s;

	door.silent = *silent;
	door.wrong = !*silent;
	TEST_ASSERT(door_start(&s, false), "hardware");
	TEST_ASSERT(served_run(&s), "run");
	TEST_ASSERT(!soft_vdpa_has_doorbells(s.soft), "no doorbells");
	TEST_ASSERT(go_round_often(s.fe, 0, 20), "it goes without");
	TEST_ASSERT_EQUAL(door_count(&door.asked), 1, "asked once");
	TEST_ASSERT_EQUAL(rte_vhost_backend_config_change(s.fe->vid, false), -ENODEV, "no channel");
	door_close();
	return served_end(&s);
}

/* ---- ends ---- */

#define ROUNDS 200

static int
two_hundred_connections_leave_nothing(void)
{
	uint64_t before = 0;
	struct served s;
	unsigned int fds = 0;

	TEST_ASSERT(served_register(&s, SOFT(.pairs = 2, .notifiers = true), .queues = 2,
		.protocol_features = BACK_CHANNEL), "hardware");
	for (unsigned int i = 0; i < ROUNDS; i++) {
		TEST_ASSERT(served_connect(&s) && door_open(s.fe) && served_run(&s), "round %u", i);
		if (i % 10 == 0)
			TEST_ASSERT(go_round(s.fe, i % 20 / 10, i, NULL), "round %u", i);
		fake_disconnect(s.fe);
		door_close();
		for (unsigned int j = 0; j < 4; j++)
			fake_vq_reset(&s.fe->vqs[j]);
		if (i == ROUNDS / 4) {
			before = fake_resident_kib();
			fds = fake_count_fds();
		}
	}
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_CLEANUP), ROUNDS, "cleaned up each time");
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_CLOSE), ROUNDS, "closed each time");
	TEST_ASSERT(fake_wait_fds(fds) <= fds, "descriptors");
	TEST_ASSERT(fake_resident_kib() < before + FAKE_GROWTH_KIB(4096), "%u KiB, then %u",
		(unsigned int)before, (unsigned int)fake_resident_kib());
	return served_end(&s);
}

/* Whoever is late finds a device that can do nothing. */
static int
hardware_is_pulled_out(void)
{
	struct rte_vdpa_device *dev;
	uint64_t features;
	uint32_t n;
	struct served s;

	TEST_ASSERT(served_register(&s, SOFT(.pairs = 1)), "hardware");
	TEST_ASSERT(served_connect(&s) && served_run(&s), "run");
	dev = soft_vdpa_device(s.soft);
	TEST_ASSERT(go_round_often(s.fe, 0, 20), "frames");
	TEST_ASSERT_SUCCESS(soft_vdpa_pull(s.soft), "pulled");
	TEST_ASSERT_EQUAL(rte_vdpa_unregister_device(dev), -1, "once");
	TEST_ASSERT_NULL(rte_vdpa_find_device_by_name("soft"), "not found");
	TEST_ASSERT(rte_vdpa_get_queue_num(dev, &n) < 0, "queues");
	TEST_ASSERT(rte_vdpa_get_features(dev, &features) < 0, "features");
	TEST_ASSERT_NULL(rte_vdpa_get_rte_device(dev), "bus device");
	TEST_ASSERT_EQUAL(rte_vhost_host_notifier_ctrl(s.fe->vid, 0, true), -ENOTSUP, "doorbells");
	TEST_ASSERT_SUCCESS(fake_enable_vring(s.fe, 0, false), "a message");
	TEST_ASSERT(fake_stop_vring(s.fe, 0) >= 0, "stop");
	TEST_ASSERT(fake_call(s.fe, FE_GET_QUEUE_NUM, NULL, 0, NULL, 0) != FAKE_ACK, "no answer");
	fake_disconnect(s.fe);
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_CLOSE), 0, "it is not asked any more");
	TEST_ASSERT_EQUAL(soft_vdpa_asked(s.soft, SOFT_CLEANUP), 0, "it is not asked any more");
	return served_end(&s);
}

/** A thread of the application, or of the driver, that has not heard of the end yet. */
struct late {
	struct rte_vdpa_device *dev;
	unsigned int stop;	/**< atomic */
	pthread_t thread;
};

static void *
call_late(void *arg)
{
	struct late *late = arg;
	struct vring ring = { .num = 256 };
	uint64_t mask;
	uint32_t n;

	ring.used = calloc(1, sizeof(*ring.used) + 257 * sizeof(ring.used->ring[0]));
	while (ring.used != NULL && !__atomic_load_n(&late->stop, __ATOMIC_RELAXED))
		for (int vid = 0; vid < 2; vid++) {
			rte_vdpa_relay_vring_used(vid, 0, &ring);
			rte_vhost_host_notifier_ctrl(vid, RTE_VHOST_QUEUE_ALL, vid == 0);
			rte_vhost_vring_call(vid, 0);
			rte_vhost_log_used_vring(vid, 0, 0, 100);
			rte_vdpa_get_queue_num(late->dev, &n);
			rte_vdpa_get_features(late->dev, &mask);
			rte_vdpa_reset_stats(late->dev, 3);
		}
	free(ring.used);
	return NULL;
}

static void *
pull(void *arg)
{
	usleep(rand() % 3000);
	soft_vdpa_pull(arg);
	return NULL;
}

/* Hardware, socket and frontend go at once, while others still call. */
static int
all_ends_at_once(void)
{
	for (unsigned int i = 0; i < 40; i++) {
		struct late late = { .stop = 0 };
		pthread_t puller;
		struct served s;

		TEST_ASSERT(served_register(&s, SOFT(.pairs = 2, .notifiers = true), .queues = 2,
			.protocol_features = BACK_CHANNEL), "hardware");
		late.dev = soft_vdpa_device(s.soft);
		TEST_ASSERT_SUCCESS(pthread_create(&late.thread, NULL, call_late, &late), "late");
		TEST_ASSERT(served_connect(&s), "connected");
		TEST_ASSERT_SUCCESS(pthread_create(&puller, NULL, pull, s.soft), "pull");
		fake_run(s.fe);
		if (i % 2 == 0)
			fake_disconnect(s.fe);
		else
			fake_unregister(s.fe);
		pthread_join(puller, NULL);
		__atomic_store_n(&late.stop, 1, __ATOMIC_RELAXED);
		pthread_join(late.thread, NULL);
		TEST_ASSERT_SUCCESS(served_end(&s), "round %u", i);
	}
	return TEST_SUCCESS;
}

static const struct way ways[] = {
	{ false, false }, { false, true }, { true, false }, { true, true },
};
static const bool silence[] = { true, false };

static const struct test_case cases[] = {
	TEST_CASE_WITH(frames_come_back, "frames_come_back", &ways[0]),
	TEST_CASE_WITH(frames_come_back, "frames_come_back_with_event_idx", &ways[1]),
	TEST_CASE_WITH(frames_come_back, "frames_are_relayed", &ways[2]),
	TEST_CASE_WITH(frames_come_back, "frames_are_relayed_with_event_idx", &ways[3]),
	TEST_CASE_WITH(guest_is_notified, "guest_is_notified", &ways[0]),
	TEST_CASE_WITH(guest_is_notified, "guest_is_notified_with_event_idx", &ways[1]),
	TEST_CASE_WITH(guest_is_notified, "guest_is_notified_of_relays", &ways[2]),
	TEST_CASE_WITH(guest_is_notified, "guest_is_notified_of_relays_with_event_idx", &ways[3]),
	TEST_CASE(rings_are_switched_one_by_one),
	TEST_CASE(each_queue_has_statistics),
	TEST_CASE(disk_needs_one_ring),
	TEST_CASE(no_more_rings_than_the_hardware_has),
	TEST_CASE(configuration_space_has_bounds),
	TEST_CASE(other_memory_while_it_serves),
	TEST_CASE(relocation_is_invisible),
	TEST_CASE_WITH(pages_are_logged_through_relays, "pages_are_logged_through_relays", &ways[0]),
	TEST_CASE_WITH(pages_are_logged_through_relays, "pages_are_logged_with_event_idx", &ways[1]),
	TEST_CASE_WITH(pages_are_logged_through_relays, "pages_are_logged_by_who_always_relays",
		&ways[2]),
	TEST_CASE(guest_moves_to_other_hardware),
	TEST_CASE(guest_rings_doorbells),
	TEST_CASE(doorbells_are_taken_one_by_one),
	TEST_CASE(doorbells_follow_other_memory),
	TEST_CASE(half_of_the_doorbells_is_none),
	TEST_CASE(acknowledged_before_it_is_asked),
	TEST_CASE_WITH(answers_that_are_none, "answers_never_come", &silence[0]),
	TEST_CASE_WITH(answers_that_are_none, "answers_to_other_questions", &silence[1]),
	TEST_CASE(two_hundred_connections_leave_nothing),
	TEST_CASE(hardware_is_pulled_out),
	TEST_CASE(all_ends_at_once),
};

static int
test_vhost_vdpa_serve(void)
{
	return test_suite_run(&(const struct test_suite){
		.name = "vhost vdpa serve",
		.setup = fake_setup,
		.check = served_check,
		.teardown = fake_teardown,
		/* two hundred connections hand over between four threads */
		.case_seconds = 200,
		TEST_SUITE_CASES(cases),
	});
}

REGISTER_TEST_COMMAND(vhost_vdpa_serve_autotest, test_vhost_vdpa_serve);
