/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The log of written pages: what a guest that is being migrated relies on.
 *
 * Around each burst guest memory is compared with what it was, page by page: what
 * changed has its bit, and nothing has that the backend had no business with.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/memfd.h>
#include <linux/vhost_types.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "device.h"
#include "test_vhost_hostile.h"
#include "vhost_fake_dirty.h"
#include "vhost_test_traffic.h"
#include "vhost_virtqueue.h"

#define start_logging(...) \
	fake_start(.protocol_features = DIRTY_PROTOCOL, __VA_ARGS__)

static unsigned int
pick(unsigned int *state, unsigned int n)
{
	return rand_r(state) % n;
}

/* ---- random traffic ---- */

#define STEPS 60
#define MAX_BURST 40
#define LONGEST 9000

struct step {
	struct fake_dirty *d;
	unsigned int pair;
	unsigned int *state;
};

static struct fake_shape
random_shape(unsigned int *state)
{
	static const struct fake_shape shapes[] = {
		{ .header = 0 }, { .header = 12 }, { .header = 12, .seg = 700 },
		{ .header = 5, .seg = 300 }, { .seg = 64 },
	};
	struct fake_shape shape = shapes[pick(state, RTE_DIM(shapes))];

	shape.indirect = pick(state, 3) == 0;
	return shape;
}

/** A packet as an application sends it, perhaps with something for the header to say. */
static struct rte_mbuf *
random_mbuf(unsigned int *state, size_t len)
{
	struct rte_mbuf *m = fake_mbuf(len, rand_r(state), pick(state, 3) ? 0 : 100);

	if (m != NULL && len >= 64 && pick(state, 4) == 0) {
		m->ol_flags = RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4;
		m->l2_len = sizeof(struct rte_ether_hdr);
		m->l3_len = 20;
	}
	return m;
}

static void
spoil_a_chain(struct fake_vq *vq, bool write)
{
	if (vq->nb_free > 0)
		fake_offer_at(vq, UNMAPPED, 2048, write);
}

static int
to_guest(const struct step *s)
{
	struct fake *fe = s->d->fe;
	struct fake_vq *vq = &fe->vqs[2 * s->pair];
	struct fake_shape shape = random_shape(s->state);
	struct rte_mbuf *pkts[MAX_BURST];
	unsigned int n = 1 + pick(s->state, MAX_BURST), sent, i;
	uint32_t room = fe->cfg.mergeable && pick(s->state, 2) ? 300 : vq->slot_size;

	fake_rx_fill(vq, 1 + pick(s->state, vq->size), room, &shape);
	if (pick(s->state, 4) == 0)
		spoil_a_chain(vq, true);
	fake_kick(vq);
	for (i = 0; i < n; i++) {
		size_t most = fe->cfg.mergeable && pick(s->state, 8) == 0 ? LONGEST : 1500;

		pkts[i] = random_mbuf(s->state, 60 + pick(s->state, most - 60));
		TEST_ASSERT_NOT_NULL(pkts[i], "an mbuf");
	}
	TEST_ASSERT_SUCCESS(dirty_begin(s->d), "a copy of the guest");
	sent = rte_vhost_enqueue_burst(fe->vid, vq->index, pkts, n);
	TEST_ASSERT_SUCCESS(dirty_check(s->d, s->pair, true), "%u of %u to the guest", sent, n);
	rte_pktmbuf_free_bulk(pkts, n);
	fake_tx_reap(vq);
	return 0;
}

static int
to_host(const struct step *s)
{
	static uint8_t pkt[LONGEST];
	struct fake *fe = s->d->fe;
	struct fake_vq *vq = &fe->vqs[2 * s->pair + 1];
	struct fake_shape shape = random_shape(s->state);
	unsigned int n = 1 + pick(s->state, MAX_BURST), got, i;
	struct rte_mbuf *pkts[MAX_BURST];

	for (i = 0; i < n; i++) {
		size_t len = 60 + pick(s->state, vq->slot_size - 200);
		fake_net_hdr hdr = { .hdr.flags = 0 };

		if (!fake_tx_send(vq, pick(s->state, 2) ? &hdr : NULL, pkt, len, &shape))
			break;
		if (pick(s->state, 16) == 0)
			spoil_a_chain(vq, false);
	}
	fake_kick(vq);
	TEST_ASSERT_SUCCESS(dirty_begin(s->d), "a copy of the guest");
	got = rte_vhost_dequeue_burst(fe->vid, vq->index, fake_pool(), pkts, n);
	TEST_ASSERT_SUCCESS(dirty_check(s->d, s->pair, false), "%u of %u to the host", got, n);
	rte_pktmbuf_free_bulk(pkts, got);
	fake_tx_reap(vq);
	return 0;
}

/** The application wants kicks, or none: words of the ring that we write. */
static int
change_notifications(const struct step *s)
{
	bool guest = pick(s->state, 2);

	TEST_ASSERT_SUCCESS(dirty_begin(s->d), "a copy of the guest");
	TEST_ASSERT_SUCCESS(rte_vhost_enable_guest_notification(s->d->fe->vid,
		2 * s->pair + !guest, pick(s->state, 2)), "notifications");
	TEST_ASSERT_SUCCESS(dirty_check(s->d, s->pair, guest), "a wish");
	return 0;
}

static int
random_step(const struct step *s)
{
	switch (pick(s->state, 5)) {
	case 0:
		return change_notifications(s);
	case 1:
	case 2:
		return to_host(s);
	default:
		return to_guest(s);
	}
}

static const struct log_variant {
	const char *name;
	struct fake_config cfg;
} variants[] = {
	{ "plain", { .mergeable = false } },
	{ "mergeable", { .mergeable = true } },
	{ "event_idx", { .mergeable = true, .event_idx = true } },
	{ "in_order", { .in_order = true } },
	{ "mergeable_in_order", { .mergeable = true, .in_order = true } },
	{ "three_regions", { .regions = 3, .mergeable = true } },
	{ "adjacent_regions", { .regions = 3, .adjacent = true, .mergeable = true } },
	{ "two_pairs", { .queues = 2, .event_idx = true } },
	{ "offloads", { .mergeable = true, .features = FE_BIT(VIRTIO_NET_F_CSUM) |
		FE_BIT(VIRTIO_NET_F_GUEST_CSUM) | FE_BIT(VIRTIO_NET_F_HOST_TSO4) |
		FE_BIT(VIRTIO_NET_F_GUEST_TSO4) } },
};

static int
pages_that_change_are_logged(const void *arg)
{
	unsigned int seed = test_param_u64("seed", fake_now_ms() & 0xffffff), state = seed;
	struct fake_config cfg = *(const struct fake_config *)arg;
	struct fake_dirty d;
	struct fake *fe;

	cfg.protocol_features = DIRTY_PROTOCOL;
	cfg.ring_size = 128;
	cfg.extra_memory = 65536;
	fe = fake_start_config(&cfg);
	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(dirty_create(fe, &d, 0, 0), "a log");
	TEST_ASSERT_SUCCESS(dirty_start(&d), "logging");
	for (unsigned int i = 0; i < STEPS; i++) {
		const struct step step = { &d, pick(&state, fe->cfg.queues), &state };

		TEST_ASSERT_SUCCESS(random_step(&step), "step %u, seed=%u", i, seed);
	}
	TEST_ASSERT_SUCCESS(dirty_destroy(&d), "nothing beside the log");
	return fake_stop(fe);
}

/* ---- what exactly is logged ---- */

/** Turn logging on around what is done next. */
static struct fake *
logging(struct fake_dirty *d, const struct fake_config *cfg, uint64_t size, uint64_t offset)
{
	struct fake_config with = *cfg;
	struct fake *fe;

	with.protocol_features |= DIRTY_PROTOCOL;
	fe = fake_start_config(&with);
	if (fe == NULL || dirty_create(fe, d, size, offset) < 0)
		return NULL;
	if (dirty_start(d) == 0)
		return fe;
	dirty_destroy(d);
	return NULL;
}

#define logging(d, size, offset, ...) \
	logging(d, &(const struct fake_config){ __VA_ARGS__ }, size, offset)

static int
end_log(struct fake_dirty *d)
{
	struct fake *fe = d->fe;

	TEST_ASSERT_SUCCESS(dirty_destroy(d), "nothing beside the log");
	return fake_stop(fe);
}

/** Pages that a short packet needs, in a buffer of many: its own, and the ring's. */
static int
only_what_a_packet_needs_is_logged(void)
{
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .ring_size = 64, .buf_size = 32768);

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	dirty_clear(&d);
	TEST_ASSERT_EQUAL(fake_to_guest(fe, 0, 100, NULL, 32768), 100, "to the guest");
	TEST_ASSERT(dirty_clear(&d) <= 2 + 2, "two pages of data, two of the ring");
	TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 100, NULL), 100, "to the host");
	TEST_ASSERT(dirty_clear(&d) <= 2, "the ring's alone");
	return end_log(&d);
}

static int
idle_polls_log_nothing(void)
{
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .event_idx = true);
	struct rte_mbuf *m;

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "packets");
	TEST_ASSERT_EQUAL(rte_vhost_dequeue_burst(fe->vid, 1, fake_pool(), &m, 1), 0, "no more");
	dirty_clear(&d);
	for (int i = 0; i < 100; i++)
		TEST_ASSERT_EQUAL(rte_vhost_dequeue_burst(fe->vid, 1, fake_pool(), &m, 1), 0,
			"nothing there");
	TEST_ASSERT_EQUAL(dirty_clear(&d), 0, "and nothing written");
	return end_log(&d);
}

/** The frontend says where the device's area is, for the log. */
static int
rings_are_logged_where_the_frontend_says(void)
{
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .event_idx = true);
	struct fake_addr addr;
	uint64_t elsewhere;

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	elsewhere = fake_alloc(fe, 0, 3 * DIRTY_PAGE, DIRTY_PAGE) + DIRTY_PAGE;
	addr = fake_addr_of(fe, 1);
	addr.flags = 1;
	addr.log = elsewhere;
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
		FAKE_ACK, "another address of the running ring");
	dirty_clear(&d);
	TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 64, NULL), 64, "a packet");
	TEST_ASSERT_SUCCESS(rte_vhost_enable_guest_notification(fe->vid, 1, 0), "no kicks");
	TEST_ASSERT_SUCCESS(rte_vhost_enable_guest_notification(fe->vid, 1, 1), "kicks");
	TEST_ASSERT(dirty_is_set(&d, elsewhere), "logged there");
	if (fe->cfg.format == FAKE_PACKED)
		TEST_ASSERT(dirty_is_set(&d, fe->vqs[1].desc_gpa), "and the descriptors");
	else
		TEST_ASSERT(!dirty_is_set(&d, fe->vqs[1].used_gpa), "and not where it is");
	addr.flags = 0;
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
		FAKE_ACK, "a ring that is not logged");
	dirty_clear(&d);
	TEST_ASSERT_EQUAL(fake_to_host(fe, 0, 64, NULL), 64, "a packet");
	TEST_ASSERT_EQUAL(dirty_clear(&d), 0, "leaves no trace");
	return end_log(&d);
}

static int
ring_that_wraps_in_its_log_address_is_not_logged(void)
{
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .mergeable = true);
	struct fake_addr addr;

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	for (unsigned int i = 0; i < fe->nvrings; i++) {
		addr = fake_addr_of(fe, i);
		addr.flags = 1;
		addr.log = -2ULL;
		TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL,
			0), FAKE_ACK, "an address at the end of the world");
	}
	dirty_clear(&d);
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "packets");
	rte_vhost_log_used_vring(fe->vid, 0, 8192, 4096);
	TEST_ASSERT(!dirty_is_set(&d, 0), "page 0 was not written");
	return end_log(&d);
}

static int
the_application_logs_what_it_writes(void)
{
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .mergeable = true);
	uint64_t at, base, size;

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	TEST_ASSERT_SUCCESS(rte_vhost_get_log_base(fe->vid, &base, &size), "the log");
	TEST_ASSERT_EQUAL(size, d.size, "of that size");
	at = fake_alloc(fe, 0, 4 * DIRTY_PAGE, DIRTY_PAGE);
	dirty_clear(&d);
	TEST_ASSERT(memcmp((void *)(uintptr_t)base, d.bits, size) == 0, "is the frontend's");
	rte_vhost_log_write(fe->vid, at + DIRTY_PAGE - 1, 2);
	TEST_ASSERT(dirty_is_set(&d, at) && dirty_is_set(&d, at + DIRTY_PAGE), "two pages");
	TEST_ASSERT_EQUAL(dirty_clear(&d), 2, "and no more");
	rte_vhost_log_write(fe->vid, at, 0);
	rte_vhost_log_write(fe->vid, -1ULL, 1);
	rte_vhost_log_write(fe->vid, d.size * 8 * DIRTY_PAGE, -1ULL);
	TEST_ASSERT_EQUAL(dirty_clear(&d), 0, "nothing that has a bit");
	rte_vhost_log_used_vring(fe->vid, 1, 4, 8);
	TEST_ASSERT(dirty_is_set(&d, fe->vqs[1].used_gpa), "the used ring");
	rte_vhost_log_used_vring(fe->vid, 1, DIRTY_PAGE, 8);
	TEST_ASSERT(dirty_is_set(&d, fe->vqs[1].used_gpa + DIRTY_PAGE), "behind it");
	rte_vhost_log_used_vring(fe->vid, 77, 0, 8);
	rte_vhost_log_used_vring(fe->vid, 1, -1ULL, 8);
	TEST_ASSERT_EQUAL(dirty_clear(&d), 2, "and no more");
	rte_vhost_log_write(fe->vid, 0, -1ULL);
	TEST_ASSERT_EQUAL(dirty_clear(&d), d.size * 8, "all there is");
	TEST_ASSERT_SUCCESS(dirty_switch(fe, false), "no migration any more");
	rte_vhost_log_write(fe->vid, at, 100);
	rte_vhost_log_used_vring(fe->vid, 1, 4, 8);
	TEST_ASSERT_EQUAL(dirty_clear(&d), 0, "nothing is logged");
	return end_log(&d);
}

static int
control_queue_is_logged(void)
{
	static const uint8_t command[] = { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1 };
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .ctrl_queue = true, .features =
		FE_BIT(VIRTIO_NET_F_CTRL_RX), .event_idx = true);
	const uint64_t one = 1;
	struct fake_seg segs[2];
	struct fake_vq *vq;
	uint64_t until = fake_now_ms() + fake_patience_ms();

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	vq = &fe->vqs[fe->nvrings - 1];
	segs[0] = (struct fake_seg){ fake_alloc(fe, 0, DIRTY_PAGE, DIRTY_PAGE),
		sizeof(command), false };
	segs[1] = (struct fake_seg){ fake_alloc(fe, 0, DIRTY_PAGE, DIRTY_PAGE), 1, true };
	TEST_ASSERT(fake_write_guest(fe, segs[0].gpa, command, sizeof(command)), "a command");
	dirty_clear(&d);
	TEST_ASSERT(vq->ops->add(vq, segs, 2, 0) >= 0, "room");
	vq->ops->publish(vq);
	TEST_ASSERT_EQUAL(write(vq->kickfd, &one, sizeof(one)), (int)sizeof(one), "a kick");
	while (fake_collect(vq, NULL) < 0)
		TEST_ASSERT(fake_now_ms() < until, "an answer");
	/* it is in the log when the library is done with the kick */
	TEST_ASSERT(fake_is_served(fe), "served");
	TEST_ASSERT(dirty_is_set(&d, segs[1].gpa), "the answer");
	TEST_ASSERT(!dirty_is_set(&d, segs[0].gpa), "not the command");
	TEST_ASSERT(dirty_is_set(&d, fe->cfg.format == FAKE_PACKED ? vq->desc_gpa :
		vq->used_gpa), "the ring");
	return end_log(&d);
}

static int
offset_of_the_log_counts(void)
{
	static const uint64_t offsets[] = { 8, 4096, 4096 - 8, 8192 + 64 };
	uint64_t base, size;

	for (unsigned int i = 0; i < RTE_DIM(offsets); i++) {
		struct fake_dirty d;
		struct fake *fe = logging(&d, 0, offsets[i], .mergeable = true);

		TEST_ASSERT_NOT_NULL(fe, "a log at %" PRIu64, offsets[i]);
		TEST_ASSERT_SUCCESS(dirty_begin(&d), "a copy of the guest");
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 700), 700, "packets");
		TEST_ASSERT(dirty_is_set(&d, fe->vqs[0].slots_gpa), "the data");
		TEST_ASSERT_SUCCESS(rte_vhost_get_log_base(fe->vid, &base, &size), "the log");
		dirty_clear(&d);
		*(uint8_t *)(uintptr_t)base = 0x5a;
		TEST_ASSERT_EQUAL(d.bits[0], 0x5a, "begins where the frontend says");
		if (end_log(&d) != 0)
			return TEST_FAILED;
	}
	return TEST_SUCCESS;
}

/** Bits that a log does not have are nobody's, down to the last byte. */
static int
pages_beyond_the_log_are_ignored(void)
{
	static const uint64_t sizes[] = { 1, 7, 8, 9, 4095, 8193 };

	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		struct fake_dirty d;
		struct fake *fe = logging(&d, sizes[i], 64, .mergeable = true);

		TEST_ASSERT_NOT_NULL(fe, "a log of %" PRIu64, sizes[i]);
		TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 700), 700, "packets");
		rte_vhost_log_write(fe->vid, 0, -1ULL);
		TEST_ASSERT_EQUAL(dirty_clear(&d), sizes[i] * 8, "the log and no more");
		if (end_log(&d) != 0)
			return TEST_FAILED;
	}
	return TEST_SUCCESS;
}

static int
without_a_log_nothing_happens(void)
{
	struct fake *fe = start_logging(.mergeable = true);
	uint64_t base = 1, size = 1;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(rte_vhost_get_log_base(fe->vid, &base, &size), "no log");
	TEST_ASSERT(base == 0 && size == 0, "at all");
	TEST_ASSERT_SUCCESS(dirty_switch(fe, true), "the feature alone");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 700), 700, "packets");
	rte_vhost_log_write(fe->vid, 0, 4096);
	rte_vhost_log_used_vring(fe->vid, 0, 0, 4096);
	return fake_stop(fe);
}

/* ---- running devices ---- */

static int
application_hears_of_the_feature(void)
{
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .queues = 2);
	uint64_t features;

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_FEATURES_CHANGED), 1, "once");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "and the device runs on");
	TEST_ASSERT_SUCCESS(rte_vhost_get_negotiated_features(fe->vid, &features), "features");
	TEST_ASSERT(RTE_VHOST_NEED_LOG(features), "it logs");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_FEATURES, (fe->features | DIRTY_FEATURE) ^
		FE_BIT(VIRTIO_NET_F_MRG_RXBUF)), FAKE_NACK, "no other feature changes");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_FEATURES, fe->features | DIRTY_FEATURE),
		FAKE_ACK, "the same");
	TEST_ASSERT_SUCCESS(dirty_switch(fe, false), "no migration any more");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_FEATURES_CHANGED), 2, "and off");
	return end_log(&d);
}

/** Wait until a page of the ring was logged again. */
static int
wait_logged(struct traffic *t, struct fake_dirty *d)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (dirty_clear(d) == 0)
		TEST_ASSERT(fake_now_ms() < until && traffic_wait(t, 1) == 0, "logged");
	return 0;
}

static int
log_is_switched_under_traffic(void)
{
	struct fake *fe = start_logging(.mergeable = true);
	struct fake_dirty d[2];
	struct traffic *t;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(dirty_create(fe, &d[0], 0, 0), "a log");
	TEST_ASSERT_SUCCESS(dirty_create(fe, &d[1], 0, 4096), "another one");
	t = traffic_start(fe, 1);
	TEST_ASSERT_NOT_NULL(t, "packets");
	for (unsigned int i = 0; i < 40; i++) {
		struct fake_dirty *now = &d[i & 1], *old = &d[!(i & 1)];

		TEST_ASSERT_SUCCESS(dirty_start(now), "logging");
		TEST_ASSERT_SUCCESS(wait_logged(t, now), "the log of now");
		if (i % 4 == 3)
			TEST_ASSERT_SUCCESS(dirty_switch(fe, false), "off");
		dirty_clear(old);
		if (i % 4 == 3)
			dirty_clear(now);
		TEST_ASSERT_SUCCESS(traffic_wait(t, 20), "packets go on");
		TEST_ASSERT_EQUAL(dirty_clear(old), 0, "nobody has the old one");
		if (i % 4 == 3)
			TEST_ASSERT_EQUAL(dirty_clear(now), 0, "nor this one, any more");
	}
	TEST_ASSERT_SUCCESS(traffic_stop(t), "all packets came back");
	TEST_ASSERT_SUCCESS(dirty_destroy(&d[0]), "nothing beside the log");
	TEST_ASSERT_SUCCESS(dirty_destroy(&d[1]), "nor beside this one");
	return fake_stop(fe);
}

/** All pages between two looks are in the log, as a migration needs it. */
static int
log_is_complete_under_traffic(void)
{
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .mergeable = true, .extra_memory = 65536);
	struct traffic *t;

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	for (unsigned int i = 0; i < 10; i++) {
		TEST_ASSERT_SUCCESS(dirty_begin(&d), "a copy of the guest");
		t = traffic_start(fe, 1);
		TEST_ASSERT_NOT_NULL(t, "packets");
		TEST_ASSERT_SUCCESS(traffic_wait(t, 200), "some");
		TEST_ASSERT_SUCCESS(traffic_stop(t), "all packets came back");
		/* what the backend gives back; the driver wrote elsewhere, too */
		for (unsigned int v = 0; v < fe->nvrings; v++)
			TEST_ASSERT(dirty_is_set(&d, fe->cfg.format == FAKE_PACKED ?
				fe->vqs[v].desc_gpa : fe->vqs[v].used_gpa), "ring %u", v);
		TEST_ASSERT(dirty_is_set(&d, fe->vqs[0].slots_gpa), "data");
	}
	return end_log(&d);
}

static int
log_outlives_a_restart_of_the_guest(void)
{
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .mergeable = true);

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	for (unsigned int v = 0; v < fe->nvrings; v++)
		TEST_ASSERT(fake_stop_vring(fe, v) >= 0, "vring %u", v);
	TEST_ASSERT_SUCCESS(fake_run(fe), "it starts again");
	TEST_ASSERT_SUCCESS(dirty_switch(fe, true), "and migrates still");
	dirty_clear(&d);
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 700), 700, "packets");
	TEST_ASSERT(dirty_is_set(&d, fe->vqs[0].slots_gpa), "data");
	return end_log(&d);
}

static int
reset_ends_the_log(void)
{
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .mergeable = true);
	uint64_t base, size;

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_RESET_OWNER, NULL, 0, NULL, 0), FAKE_ACK, "reset");
	TEST_ASSERT_SUCCESS(rte_vhost_get_log_base(fe->vid, &base, &size), "the log");
	TEST_ASSERT_EQUAL(size, 0, "is gone");
	dirty_clear(&d);
	rte_vhost_log_write(fe->vid, 0, 4096);
	TEST_ASSERT_EQUAL(dirty_clear(&d), 0, "nothing is logged");
	return end_log(&d);
}

/** The cache is part of the block, and only of one that logs. */
static int
cache_is_in_the_block(void)
{
	struct fake *fe = start_logging(.mergeable = true);
	const struct vhost_virtqueue *block;
	struct fake_dirty d;
	size_t without;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	block = vhost_queue_block(vhost_device_queue_at(vhost_device_peek(fe->vid), 0));
	TEST_ASSERT_NULL(block->log, "no cache");
	without = block->bytes;
	TEST_ASSERT_SUCCESS(dirty_create(fe, &d, 0, 0), "a log");
	TEST_ASSERT_SUCCESS(dirty_start(&d), "logging");
	block = vhost_queue_block(vhost_device_queue_at(vhost_device_peek(fe->vid), 0));
	TEST_ASSERT_NOT_NULL(block->log, "a cache");
	TEST_ASSERT(block->bytes > without, "counted");
	TEST_ASSERT((const char *)(block->log + 1) <= (const char *)block + block->bytes &&
		(const char *)block->log > (const char *)block, "inside the block");
	TEST_ASSERT_SUCCESS(dirty_switch(fe, false), "off");
	block = vhost_queue_block(vhost_device_queue_at(vhost_device_peek(fe->vid), 0));
	TEST_ASSERT_NULL(block->log, "none");
	TEST_ASSERT_EQUAL(block->bytes, without, "as before");
	return end_log(&d);
}

/* ---- logs that lie ---- */

static const struct {
	const char *name;
	uint64_t size, offset;
} lies[] = {
	{ "nothing", 0, 0 },
	{ "nothing_at_an_offset", 0, 4096 },
	{ "size_and_offset_wrap", -4096ULL, 8192 },
	{ "size_and_offset_wrap_to_0", -4096ULL, 4096 },
	{ "offset_wraps", 4096, -4096ULL },
	{ "largest", -1ULL, 0 },
	{ "size_beyond_the_file", 1 << 20, 0 },
	{ "offset_beyond_the_file", 8, 1 << 20 },
	{ "last_byte_beyond_the_file", 8193, 0 },
	{ "offset_not_aligned", 4096, 4 },
	{ "offset_odd", 4096, 1 },
};

/** The log of before is in force, and packets flow. */
static int
old_log_still_holds(struct fake_dirty *d)
{
	TEST_ASSERT(fake_is_served(d->fe), "the connection stands");
	dirty_clear(d);
	TEST_ASSERT_EQUAL(fake_round_trip(d->fe, 0, 700), 700, "packets");
	TEST_ASSERT(dirty_is_set(d, d->fe->vqs[0].slots_gpa), "are logged");
	return 0;
}

static int
lie_is_refused(const void *arg)
{
	unsigned int i = *(const unsigned int *)arg, fds;
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .mergeable = true);
	int fd;

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	fd = syscall(SYS_memfd_create, "lie", MFD_CLOEXEC);
	TEST_ASSERT(fd >= 0 && ftruncate(fd, 8192) == 0, "a file");
	fds = fake_count_fds();
	TEST_ASSERT_EQUAL(dirty_send_base(fe, lies[i].size, lies[i].offset, fd), FAKE_NACK,
		"size %#" PRIx64 " at %#" PRIx64, lies[i].size, lies[i].offset);
	TEST_ASSERT_SUCCESS(old_log_still_holds(&d), "an error means that nothing happened");
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "descriptors");
	close(fd);
	return end_log(&d);
}

static int
what_cannot_be_a_log_is_refused(void)
{
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .mergeable = true);
	char path[] = "/tmp/vhost-log-XXXXXX";
	int fds[5], pipes[2];

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	TEST_ASSERT_SUCCESS(pipe(pipes), "a pipe");
	fds[0] = eventfd(0, EFD_CLOEXEC);
	fds[1] = open("/", O_RDONLY | O_CLOEXEC);
	fds[2] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	fds[3] = mkstemp(path);
	TEST_ASSERT_SUCCESS(ftruncate(fds[3], 65536), "a file");
	fds[4] = open(path, O_RDONLY | O_CLOEXEC);
	close(fds[3]);
	unlink(path);
	fds[3] = pipes[0];
	for (unsigned int i = 0; i < RTE_DIM(fds); i++) {
		TEST_ASSERT_EQUAL(dirty_send_base(fe, 4096, 0, fds[i]), FAKE_NACK, "%u", i);
		TEST_ASSERT_SUCCESS(old_log_still_holds(&d), "%u", i);
		close(fds[i]);
	}
	close(pipes[1]);
	TEST_ASSERT_EQUAL(dirty_send_base(fe, 4096, 0, -1), FAKE_NACK, "no descriptor");
	return end_log(&d);
}

static int
many_logs_leave_nothing_behind(void)
{
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .mergeable = true);
	unsigned int fds;

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	fds = fake_count_fds();
	for (unsigned int i = 0; i < 300; i++)
		TEST_ASSERT_EQUAL(dirty_send_base(fe, d.size, 0, d.fd), FAKE_ACK, "%u", i);
	TEST_ASSERT_SUCCESS(old_log_still_holds(&d), "the last one");
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "descriptors");
	return end_log(&d);
}

/*
 * Not with ThreadSanitizer: it does atomic operations itself, where no handler of a signal
 * runs, and the access that faults would be repeated for ever.
 */
static int
log_that_shrinks_ends_one_device(void)
{
	struct fake_dirty d;
	struct two t;

	if (TEST_TSAN)
		return TEST_SKIPPED;
	TEST_ASSERT(two_start(&t, .protocol_features = DIRTY_PROTOCOL, .mergeable = true),
		"two devices");
	TEST_ASSERT_SUCCESS(dirty_create(t.bad, &d, 0, 0), "a log");
	TEST_ASSERT_SUCCESS(dirty_start(&d), "logging");
	TEST_ASSERT_SUCCESS(ftruncate(d.fd, 0), "no file any more");
	fake_to_host(t.bad, 0, 64, NULL);
	TEST_ASSERT(fake_is_closed(t.bad), "its connection ends");
	TEST_ASSERT_EQUAL(fake_round_trip(t.good, 0, 64), 64, "the other's does not");
	munmap(d.map, d.map_len);
	close(d.fd);
	t.bad->broken = false;
	return two_end(&t);
}

/* Headers end where pages do. */
static int
header_and_packet_are_on_two_pages(void)
{
	struct fake_dirty d;
	struct fake *fe = logging(&d, 0, 0, .mergeable = true);
	struct rte_mbuf *pkts[4];
	uint64_t at;

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	at = fake_alloc(fe, 0, 2 * RTE_DIM(pkts) * DIRTY_PAGE, DIRTY_PAGE);
	for (unsigned int i = 0; i < RTE_DIM(pkts); i++) {
		uint64_t page = at + 2 * i * DIRTY_PAGE;

		pkts[i] = fake_mbuf(100, i, 0);
		TEST_ASSERT(fake_offer_at(&fe->vqs[0], page + DIRTY_PAGE - fake_header_len(fe), 200,
			true) >= 0, "buffer %u", i);
	}
	fake_kick(&fe->vqs[0]);
	dirty_clear(&d);
	TEST_ASSERT_EQUAL(fake_enqueue_burst(fe->vid, 0, pkts, RTE_DIM(pkts)), RTE_DIM(pkts), "sent");
	rte_pktmbuf_free_bulk(pkts, RTE_DIM(pkts));
	for (unsigned int i = 0; i < 2 * RTE_DIM(pkts); i++)
		TEST_ASSERT(dirty_is_set(&d, at + i * DIRTY_PAGE), "page %u", i);
	return end_log(&d);
}

static int
log_needs_its_protocol_feature(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	struct fake_dirty d;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(dirty_create(fe, &d, 0, 0), "a log");
	TEST_ASSERT_EQUAL(dirty_send_base(fe, d.size, 0, d.fd), FAKE_NACK, "not negotiated");
	return end_log(&d);
}

static int
log_descriptor_for_errors_is_closed(void)
{
	struct fake *fe = start_logging(.mergeable = true);
	int fd = eventfd(0, EFD_CLOEXEC);
	unsigned int fds;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	fds = fake_count_fds();
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_LOG_FD, NULL, 0, &fd, 1), FAKE_ACK, "accepted");
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "and closed");
	close(fd);
	return fake_stop(fe);
}

static const struct test_case fixed_cases[] = {
	TEST_CASE(only_what_a_packet_needs_is_logged),
	TEST_CASE(idle_polls_log_nothing),
	TEST_CASE(rings_are_logged_where_the_frontend_says),
	TEST_CASE(ring_that_wraps_in_its_log_address_is_not_logged),
	TEST_CASE(the_application_logs_what_it_writes),
	TEST_CASE(control_queue_is_logged),
	TEST_CASE(offset_of_the_log_counts),
	TEST_CASE(pages_beyond_the_log_are_ignored),
	TEST_CASE(without_a_log_nothing_happens),
	TEST_CASE(application_hears_of_the_feature),
	TEST_CASE(log_is_switched_under_traffic),
	TEST_CASE(log_is_complete_under_traffic),
	TEST_CASE(log_outlives_a_restart_of_the_guest),
	TEST_CASE(reset_ends_the_log),
	TEST_CASE(cache_is_in_the_block),
	TEST_CASE(what_cannot_be_a_log_is_refused),
	TEST_CASE(many_logs_leave_nothing_behind),
	TEST_CASE(log_that_shrinks_ends_one_device),
	TEST_CASE(header_and_packet_are_on_two_pages),
	TEST_CASE(log_needs_its_protocol_feature),
	TEST_CASE(log_descriptor_for_errors_is_closed),
};

static int
check(void)
{
	traffic_abandon();
	return fake_check();
}

static int
run_suite(const char *name, int (*setup)(void))
{
	static struct test_case cases[RTE_DIM(variants) + RTE_DIM(lies) + RTE_DIM(fixed_cases)];
	static unsigned int rows[RTE_DIM(lies)];
	struct test_case *at = cases;
	struct test_suite suite = {
		.name = name,
		.setup = setup,
		.check = check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	for (unsigned int i = 0; i < RTE_DIM(variants); i++)
		*at++ = (struct test_case)TEST_CASE_WITH(pages_that_change_are_logged,
			variants[i].name, &variants[i].cfg);
	for (unsigned int i = 0; i < RTE_DIM(lies); i++) {
		rows[i] = i;
		*at++ = (struct test_case)TEST_CASE_WITH(lie_is_refused, lies[i].name, &rows[i]);
	}
	memcpy(at, fixed_cases, sizeof(fixed_cases));
	return test_suite_run(&suite);
}

static int
test_vhost_log(void)
{
	return run_suite("vhost dirty log", fake_setup);
}

static int
test_vhost_log_packed(void)
{
	return run_suite("vhost dirty log, packed", fake_setup_packed);
}

REGISTER_TEST_COMMAND(vhost_log_autotest, test_vhost_log);
REGISTER_TEST_COMMAND(vhost_log_packed_autotest, test_vhost_log_packed);
