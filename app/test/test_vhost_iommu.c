/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Guests with an IOMMU: what the library asks, what it believes, and that after it has
 * acknowledged an invalidation it does not touch that memory any more.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <rte_mbuf.h>
#include <rte_vhost_numa.h>

#include "device.h"
#include "mem_iotlb.h"
#include "mem_map.h"
#include "net_ahead.h"
#include "queue.h"
#include "ring_iova.h"
#include "ring_locate.h"
#include "test.h"
#include "vhost_fake_dirty.h"
#include "vhost_fake_iommu.h"
#include "vhost_test_topology.h"
#include "vhost_test_traffic.h"

#define PAGE FAKE_IOMMU_PAGE
#define BUF_LEN 2048
#define FRAME 600

/** Features with an IOMMU, and those that a socket offers without. */
#define ACCESS_PLATFORM FE_BIT(VIRTIO_F_ACCESS_PLATFORM)

static struct fake_iommu iommu;

/** Pages of memory of the guest that nothing else uses: the first's guest address. */
static uint64_t
some_pages(struct fake *fe, unsigned int n)
{
	return fake_alloc(fe, 0, n * PAGE, PAGE);
}

/** One burst of one packet, which nobody answers meanwhile: 1 or 0. */
static unsigned int
send_once(struct fake *fe, size_t len, uint32_t seed)
{
	struct rte_mbuf *pkt = fake_mbuf(len, seed, 0);
	unsigned int sent = rte_vhost_enqueue_burst(fe->vid, 0, &pkt, 1);

	rte_pktmbuf_free(pkt);
	return sent;
}

static struct rte_mbuf *
receive_once(struct fake *fe)
{
	struct rte_mbuf *pkt = NULL;

	return rte_vhost_dequeue_burst(fe->vid, 1, fake_pool(), &pkt, 1) == 1 ? pkt : NULL;
}

/** Send a packet, answering until it is gone: how often something had to be answered, or -1. */
static int
send_answering(struct fake *fe, size_t len, uint32_t seed)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	int answers = 0;

	while (send_once(fe, len, seed) == 0) {
		if (fake_now_ms() > until)
			return -1;
		answers += fake_iommu_answer(&iommu) > 0;
	}
	return answers;
}

/** Receive a packet, likewise: NULL if none came. */
static struct rte_mbuf *
receive_answering(struct fake *fe)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	struct rte_mbuf *pkt;

	while ((pkt = receive_once(fe)) == NULL && fake_now_ms() < until)
		fake_iommu_answer(&iommu);
	return pkt;
}

/** A packet to the guest in a buffer of len bytes, cut as shape says: 0 or -1. */
static int
to_guest(struct fake *fe, size_t len, uint32_t buf_len, const struct fake_shape *shape)
{
	uint8_t got[16384];

	if (fake_rx_fill(&fe->vqs[0], fe->cfg.mergeable ? 16 : 1, buf_len, shape) == 0 ||
			send_answering(fe, len, 5) < 0)
		return -1;
	return fake_rx_take(&fe->vqs[0], NULL, got, sizeof(got)) == (int)len &&
		fake_pattern_matches(got, len, 5) ? 0 : -1;
}

static int
to_host(struct fake *fe, size_t len, const struct fake_shape *shape)
{
	struct rte_mbuf *pkt;
	uint8_t data[16384];
	bool right;

	fake_pattern(data, len, 9);
	if (!fake_tx_send(&fe->vqs[1], NULL, data, len, shape))
		return -1;
	pkt = receive_answering(fe);
	if (pkt == NULL)
		return -1;
	right = fake_mbuf_matches(pkt, len, 9);
	rte_pktmbuf_free(pkt);
	return right && fake_tx_reap(&fe->vqs[1]) == 1 ? 0 : -1;
}

/* ---- negotiation ---- */

static int
offered_only_if_registered(void)
{
	struct fake *without = fake_start(.until = FAKE_CONNECTED);
	struct fake *with = fake_start(.until = FAKE_CONNECTED, .iommu = true);
	uint64_t features;

	TEST_ASSERT(without != NULL && with != NULL, "two devices");
	TEST_ASSERT_SUCCESS(fake_ask_u64(without, FE_GET_FEATURES, &features), "ask");
	TEST_ASSERT_EQUAL(features, FE_OFFERED_FEATURES, "without the flag");
	TEST_ASSERT_SUCCESS(fake_ask_u64(with, FE_GET_FEATURES, &features), "ask");
	TEST_ASSERT_EQUAL(features, FE_OFFERED_FEATURES | ACCESS_PLATFORM, "with the flag");
	TEST_ASSERT_SUCCESS(fake_stop(with), "end");
	return fake_stop(without);
}

static int
message_needs_the_feature(void)
{
	struct fake *fe = fake_start(.queues = 1,
		.protocol_features = FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ));

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_iommu_init(&iommu, fe), "a channel");
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, FAKE_IOVA, PAGE, fe->regions[0].wire.gpa,
		FAKE_BOTH), FAKE_NACK, "update");
	TEST_ASSERT_EQUAL(fake_iommu_unmap(&iommu, 0, UINT64_MAX), FAKE_NACK, "invalidate");
	return fake_iommu_stop(&iommu);
}

struct nonsense {
	const char *name;
	uint64_t iova, size;
	uint64_t uva_offset;	/**< from the first region's */
	uint8_t access, type;
};

static const struct nonsense nonsense[] = {
	{ "update of nothing", FAKE_IOVA, 0, 0, FAKE_BOTH, FAKE_IOTLB_UPDATE },
	{ "update whose IOVA wraps", UINT64_MAX - PAGE, 2 * PAGE, 0, FAKE_BOTH, FAKE_IOTLB_UPDATE },
	{ "update whose memory wraps", FAKE_IOVA, UINT64_MAX, 0, FAKE_BOTH, FAKE_IOTLB_UPDATE },
	{ "update of no memory", FAKE_IOVA, PAGE, 1ULL << 46, FAKE_BOTH, FAKE_IOTLB_UPDATE },
	{ "update before memory", FAKE_IOVA, PAGE, -1ULL, FAKE_BOTH, FAKE_IOTLB_UPDATE },
	{ "update without access", FAKE_IOVA, PAGE, 0, 0, FAKE_IOTLB_UPDATE },
	{ "update with strange access", FAKE_IOVA, PAGE, 0, 4, FAKE_IOTLB_UPDATE },
	{ "invalidation of nothing", FAKE_IOVA, 0, 0, 0, FAKE_IOTLB_INVALIDATE },
	{ "a miss of the frontend's", FAKE_IOVA, PAGE, 0, FAKE_BOTH, FAKE_IOTLB_MISS },
	{ "access fail", FAKE_IOVA, PAGE, 0, FAKE_BOTH, 4 },
	{ "type 0", FAKE_IOVA, PAGE, 0, FAKE_BOTH, 0 },
	{ "type 255", FAKE_IOVA, PAGE, 0, FAKE_BOTH, 255 },
};

static int
nonsense_is_refused(const void *arg)
{
	const struct nonsense *n = arg;
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	const struct fake_iotlb msg = {
		.iova = n->iova, .size = n->size, .access = n->access, .type = n->type,
		.uva = fe != NULL ? fe->regions[0].wire.uva + n->uva_offset : 0,
	};

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(fake_iommu_tell(&iommu, &msg), FAKE_NACK, "%s", n->name);
	TEST_ASSERT(fake_is_served(fe), "it goes on");
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "with traffic");
	return fake_iommu_stop(&iommu);
}

/* ---- rings ---- */

static int
rings_are_asked_for_at_once(void)
{
	struct fake *fe = fake_start(.iommu = true, .until = FAKE_MEMORY, .ring_size = 1024);
	unsigned int pages = 0;
	struct fake_iotlb miss;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_iommu_init(&iommu, fe), "a channel");
	TEST_ASSERT_SUCCESS(fake_setup_vring(fe, 0), "a ring");
	TEST_ASSERT_SUCCESS(fake_enable_vring(fe, 0, true), "enabled");
	TEST_ASSERT(fake_iommu_ask(&iommu, &miss), "a question");
	for (pages = 1; fake_iommu_ask_now(&iommu, &miss); pages++)
		;
	/* descriptors have four pages, the other parts one or more each */
	TEST_ASSERT(pages >= 5, "%u pages", pages);
	return fake_iommu_stop(&iommu);
}

/* The first ring is known; what was asked for the second one is lost. */
static int
each_ring_is_asked_for_again(void)
{
	struct fake *fe = fake_start(.iommu = true, .until = FAKE_MEMORY);
	struct fake_iotlb miss;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_iommu_init(&iommu, fe), "a channel");
	for (unsigned int q = 0; q < 2; q++) {
		TEST_ASSERT_SUCCESS(fake_setup_vring(fe, q), "ring %u", q);
		TEST_ASSERT_SUCCESS(fake_enable_vring(fe, q, true), "ring %u", q);
		if (q == 0)
			while (fake_iommu_answer(&iommu) > 0)
				;
	}
	TEST_ASSERT(fake_iommu_ask(&iommu, &miss), "a question");
	while (fake_iommu_ask_now(&iommu, &miss))
		;
	TEST_ASSERT(fake_iommu_ask(&iommu, &miss), "asked again");
	TEST_ASSERT(miss.iova - fe->iova >= fe->vqs[1].desc_gpa, "for the second ring");
	return fake_iommu_stop(&iommu);
}

/* QEMU tells where used rings are before it starts them. */
static int
update_before_kick_is_kept(void)
{
	struct fake *fe = fake_start(.iommu = true, .until = FAKE_MEMORY);
	struct fake_iotlb miss;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_iommu_init(&iommu, fe), "a channel");
	TEST_ASSERT_SUCCESS(fake_iommu_map_all(&iommu), "everything");
	TEST_ASSERT_SUCCESS(fake_run(fe), "it runs");
	TEST_ASSERT(!fake_iommu_ask_now(&iommu, &miss), "nothing to ask");
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "to the guest");
	TEST_ASSERT_SUCCESS(to_host(fe, FRAME, NULL), "to the host");
	TEST_ASSERT(!fake_iommu_ask_now(&iommu, &miss), "still nothing");
	return fake_iommu_stop(&iommu);
}

/** The first page of the ring's part that the device writes. */
static uint64_t
used_page(const struct fake_vq *vq)
{
	return RTE_ALIGN_FLOOR(vq->used_gpa + vq->fe->iova, PAGE);
}

/* Applications know rings that stop as ones that the driver stopped; this one it did not. */
static int
ring_without_translation_is_not_touched(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	uint8_t got[BUF_LEN];
	struct fake_vq *vq;
	char story[256];

	TEST_ASSERT_NOT_NULL(fe, "a device");
	vq = &fe->vqs[0];
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "before");
	TEST_ASSERT(fake_rx_fill(vq, 4, BUF_LEN, NULL) == 4, "buffers");
	snprintf(story, sizeof(story), "%s", fake_story(fe));
	TEST_ASSERT_EQUAL(fake_iommu_unmap(&iommu, used_page(vq), PAGE), FAKE_ACK, "taken back");
	TEST_ASSERT_EQUAL(send_once(fe, FRAME, 1), 0, "no ring");
	TEST_ASSERT(fake_collect(vq, NULL) < 0, "nothing was used");
	TEST_ASSERT(strcmp(story, fake_story(fe)) == 0, "nobody was told: %s", fake_story(fe));
	TEST_ASSERT(send_answering(fe, FRAME, 5) >= 1, "the ring comes back");
	TEST_ASSERT_EQUAL(fake_rx_take(vq, NULL, got, sizeof(got)), FRAME, "where it was");
	TEST_ASSERT(strcmp(story, fake_story(fe)) == 0, "nobody was told: %s", fake_story(fe));
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_NEW_DEVICE), 1, "one device");
	TEST_ASSERT_EQUAL(fake_events(fe, FAKE_DESTROY_DEVICE), 0, "all the time");
	return fake_iommu_stop(&iommu);
}

/** Pages of a scattered ring's descriptors. */
#define DESC_PAGES 4u

/** Tell that a page of a ring's descriptors is where another one would be. */
static enum fake_verdict
map_scattered(const struct fake_vq *vq, unsigned int i)
{
	return fake_iommu_map(&iommu, vq->desc_gpa + vq->fe->iova + i * PAGE, PAGE,
		vq->desc_gpa + (DESC_PAGES - 1 - i) * PAGE, FAKE_BOTH);
}

/** Have the pages of a ring's descriptors in the guest's memory last to first. */
static int
scatter(struct fake_vq *vq, uint8_t *at)
{
	for (unsigned int i = 0; i < DESC_PAGES; i++) {
		uint8_t *page = fake_va(vq->fe, vq->desc_gpa + (DESC_PAGES - 1 - i) * PAGE, PAGE);

		TEST_ASSERT(mremap(page, 0, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			at + i * PAGE) == at + i * PAGE, "the driver's own sight of page %u", i);
		TEST_ASSERT_EQUAL(map_scattered(vq, i), FAKE_ACK, "page %u", i);
	}
	vq->desc = (struct vring_desc *)at;
	return 0;
}

/* Linux takes the pages of a ring from anywhere, if there is an IOMMU. */
static int
pages_of_a_ring_may_be_apart(void)
{
	struct fake *fe = fake_start(.iommu = true, .until = FAKE_MEMORY, .queues = 1,
		.ring_size = 1024);
	const size_t bytes = DESC_PAGES * PAGE;
	uint8_t *at = mmap(NULL, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t got[BUF_LEN];

	TEST_ASSERT(at != MAP_FAILED, "addresses");
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_iommu_init(&iommu, fe), "a channel");
	TEST_ASSERT_SUCCESS(scatter(&fe->vqs[0], at), "one ring");
	TEST_ASSERT_SUCCESS(scatter(&fe->vqs[1], at + bytes), "the other one");
	TEST_ASSERT_SUCCESS(fake_iommu_run(&iommu), "it runs");
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 900, BUF_LEN, NULL), 900, "buffers");
	for (unsigned int i = 0; i < 900; i++) {
		TEST_ASSERT(send_answering(fe, FRAME, i) >= 0, "packet %u", i);
		TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, got, sizeof(got)), FRAME,
			"packet %u", i);
		TEST_ASSERT(fake_pattern_matches(got, FRAME, i), "packet %u", i);
		TEST_ASSERT_SUCCESS(to_host(fe, FRAME, NULL), "packet %u", i);
	}
	TEST_ASSERT_EQUAL(fake_iommu_unmap(&iommu, fe->vqs[0].desc_gpa + fe->iova + PAGE, PAGE),
		FAKE_ACK, "taken back");
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 1, BUF_LEN, NULL), 1, "a buffer");
	TEST_ASSERT_EQUAL(send_once(fe, FRAME, 1), 0, "no ring");
	TEST_ASSERT_EQUAL(map_scattered(&fe->vqs[0], 1), FAKE_ACK, "told again");
	TEST_ASSERT(send_answering(fe, FRAME, 5) >= 0, "it goes on");
	TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, got, sizeof(got)), FRAME, "a packet");
	TEST_ASSERT_SUCCESS(fake_iommu_stop(&iommu), "end");
	return munmap(at, 2 * bytes);
}

/* ---- packets ---- */

struct traffic_case {
	const char *name;
	struct fake_config cfg;
	struct fake_shape shape;
	uint32_t buf_len;
	size_t len;
};

static const struct traffic_case traffic_cases[] = {
	{ "one buffer", { .queues = 1 }, { 0 }, BUF_LEN, FRAME },
	{ "header apart", { .queues = 1 }, { .header = 12 }, BUF_LEN, FRAME },
	{ "many pieces", { .queues = 1 }, { .header = 12, .seg = 100 }, BUF_LEN, FRAME },
	{ "indirect", { .queues = 1 }, { .header = 12, .seg = 100, .indirect = true }, BUF_LEN, FRAME },
	{ "large, in many pages", { .queues = 1, .buf_size = 12288, .ring_size = 64 },
		{ 0 }, 12000, 9000 },
	{ "mergeable", { .queues = 1, .mergeable = true }, { 0 }, BUF_LEN, 9000 },
	{ "event index", { .queues = 1, .event_idx = true }, { 0 }, BUF_LEN, FRAME },
	{ "several regions", { .queues = 1, .regions = 3, .adjacent = true }, { 0 }, BUF_LEN, FRAME },
};

static int
packets_pass(const void *arg)
{
	const struct traffic_case *c = arg;
	struct fake *fe = fake_iommu_start_config(&iommu, c->cfg);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int round = 0; round < 60; round++) {
		TEST_ASSERT_SUCCESS(to_guest(fe, c->len, c->buf_len, &c->shape), "round %u", round);
		TEST_ASSERT_SUCCESS(to_host(fe, FRAME, &c->shape), "round %u", round);
		/* as a driver that maps a buffer for its one use */
		if (round % 7 == 0)
			TEST_ASSERT_EQUAL(fake_iommu_unmap(&iommu, 0, UINT64_MAX), FAKE_ACK, "all");
	}
	return fake_iommu_stop(&iommu);
}

/** Poll a guest that sends nothing until it is asked nothing more. */
static void
poll_answering(struct fake *fe)
{
	unsigned int quiet = 0;

	/* nobody looks more often than the clock allows */
	for (unsigned int i = 0; i < 10000 && quiet < 200; i++) {
		receive_once(fe);
		quiet = fake_iommu_answer(&iommu) > 0 ? 0 : quiet + 1;
		usleep(50);
	}
}

/* Nothing is sent, and yet everything is known when something is. */
static int
buffers_are_asked_for_ahead(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1, .ring_size = 128);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 64, BUF_LEN, NULL), 64, "buffers");
	poll_answering(fe);
	for (unsigned int i = 0; i < 64; i++)
		TEST_ASSERT_EQUAL(send_once(fe, FRAME, i), 1, "packet %u", i);
	return fake_iommu_stop(&iommu);
}

/* A table has to be known before what it lists can be asked for. */
static int
indirect_buffers_are_asked_for_ahead(void)
{
	const struct fake_shape shape = { .header = 12, .seg = 500, .indirect = true };
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1, .ring_size = 128);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 64, BUF_LEN, &shape), 64, "buffers");
	poll_answering(fe);
	for (unsigned int i = 0; i < 64; i++)
		TEST_ASSERT_EQUAL(send_once(fe, FRAME, i), 1, "packet %u", i);
	return fake_iommu_stop(&iommu);
}

/** Have a ring looked at so many chains ahead, if there are; nobody else does. */
static struct ring_iova *
look_ahead(struct fake *fe, unsigned int ring, uint32_t eager)
{
	struct vhost_queue *q = vhost_device_queue(vhost_device_peek(fe->vid), ring);
	struct ring_iova *iova = vhost_gate_enter(&q->gate)->iova;

	iova->eager = eager;
	iova->ahead = 0;
	vhost_net_look_ahead(q->gate.block);
	vhost_gate_leave(&q->gate);
	return iova;
}

/* What is known costs a look for nothing, which is done for some time only. */
static int
looking_ahead_ends_where_all_is_known(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1, .ring_size = 128);
	struct ring_iova *iova;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 8, BUF_LEN, NULL), 8, "buffers");
	iova = look_ahead(fe, 0, 20);
	TEST_ASSERT(iova->wants.n > 0, "something was missing");
	TEST_ASSERT_EQUAL(iova->ahead, 8, "and noted for all of them");
	TEST_ASSERT_EQUAL(iova->eager, RING_IOVA_EAGER, "so it is worth while");
	TEST_ASSERT_SUCCESS(fake_iommu_map_all(&iommu), "everything is known");
	iova = look_ahead(fe, 0, 20);
	TEST_ASSERT_EQUAL(iova->ahead, 8, "looked at");
	TEST_ASSERT_EQUAL(iova->eager, 12, "for nothing");
	iova = look_ahead(fe, 0, 5);
	TEST_ASSERT_EQUAL(iova->ahead, 5, "no longer than that");
	TEST_ASSERT_EQUAL(iova->eager, 0, "no longer than that");
	return fake_iommu_stop(&iommu);
}

/* Also of packets from the guest, which the device reads. */
static int
packets_are_noted_ahead(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1, .ring_size = 128);
	uint8_t bytes[FRAME] = { 0 };
	struct ring_iova *iova;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 0; i < 8; i++)
		TEST_ASSERT(fake_tx_send(&fe->vqs[1], NULL, bytes, FRAME, NULL), "packet %u", i);
	iova = look_ahead(fe, 1, 20);
	TEST_ASSERT(iova->wants.n > 0, "something was missing");
	TEST_ASSERT_EQUAL(iova->wants.pages[0].access, FAKE_READ, "to be read");
	TEST_ASSERT_EQUAL(iova->ahead, 8, "and noted for all of them");
	return fake_iommu_stop(&iommu);
}

static int
all_pages_of_a_frame_are_asked_for_at_once(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1, .buf_size = 16384,
		.ring_size = 16);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_iommu_answer(&iommu);
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 1, 16000, NULL), 1, "a buffer");
	TEST_ASSERT(send_answering(fe, 9000, 1) <= 1, "one round of answers");
	return fake_iommu_stop(&iommu);
}

/*
 * A packet waits for the answer, for a moment: on a busy machine few answers come that
 * quickly, so as many rounds as it takes.
 */
static int
enqueue_waits_for_the_answer(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	uint64_t end = fake_now_ms() + 4 * fake_patience_ms();
	unsigned int at_once = 0;
	uint8_t got[BUF_LEN];

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_iommu_serve(&iommu), "a thread");
	for (unsigned int i = 0; i < 500 || (at_once == 0 && fake_now_ms() < end); i++) {
		uint64_t until = fake_now_ms() + fake_patience_ms();
		bool waited = true;

		TEST_ASSERT_EQUAL(fake_iommu_unmap(&iommu, 0, UINT64_MAX), FAKE_ACK, "all");
		TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 1, BUF_LEN, NULL), 1, "a buffer");
		/* the ring first, for which nobody waits */
		while (rte_vhost_avail_entries(fe->vid, 0) == 0 && fake_now_ms() < until)
			;
		while (send_once(fe, FRAME, i) == 0 && fake_now_ms() < until)
			waited = false;
		at_once += waited;
		TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, got, sizeof(got)), FRAME,
			"packet %u", i);
	}
	TEST_ASSERT(at_once > 0, "not one packet was waited for");
	return fake_iommu_stop(&iommu);
}

/** Whoever has waited less for an answer may still get it. */
#define STILL_PENDING_MS 500

static int
answer_that_never_comes_harms_nobody(void)
{
	struct fake *other = fake_start(.queues = 1);
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	uint64_t start = fake_now_ms(), until = start + fake_patience_ms();
	unsigned int asked = 0, bursts;
	struct fake_iotlb miss;

	TEST_ASSERT(fe != NULL && other != NULL, "two devices");
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 1, BUF_LEN, NULL), 1, "a buffer");
	for (bursts = 0; asked < 2 && fake_now_ms() < until; bursts++) {
		TEST_ASSERT_EQUAL(send_once(fe, FRAME, bursts), 0, "not known");
		TEST_ASSERT_EQUAL(fake_round_trip(other, 0, 64), 64, "the other guest");
		while (fake_iommu_ask_now(&iommu, &miss))
			asked++;
	}
	TEST_ASSERT(asked >= 2, "asked %u times: an answer may be lost", asked);
	TEST_ASSERT(bursts > 2, "but not for each packet");
	TEST_ASSERT(fake_now_ms() - start >= STILL_PENDING_MS, "nor before it is late");
	TEST_ASSERT_SUCCESS(fake_iommu_stop(&iommu), "end");
	return fake_stop(other);
}

static int
full_channel_harms_nobody(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	struct fake_iotlb miss;
	unsigned int asked = 0;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_iommu_connect(&iommu, 1), "a channel with little room");
	for (unsigned int i = 0; i < 50; i++) {
		TEST_ASSERT_EQUAL(fake_iommu_unmap(&iommu, used_page(&fe->vqs[0]), PAGE), FAKE_ACK,
			"round %u", i);
		send_once(fe, FRAME, i);
		usleep(6000);
	}
	TEST_ASSERT(fake_is_served(fe), "it goes on");
	while (fake_iommu_ask_now(&iommu, &miss))
		asked++;
	TEST_ASSERT(asked > 0 && asked < 50, "it was full: asked %u times", asked);
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "and asks again");
	return fake_iommu_stop(&iommu);
}

/* A question that nobody heard is not waited for: whoever comes next is asked at once. */
static int
another_channel_is_asked_what_the_first_one_was_not(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	struct fake_iotlb miss;
	uint8_t got[BUF_LEN];

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 1, BUF_LEN, NULL), 1, "a buffer");
	fake_iommu_hang_up(&iommu);
	TEST_ASSERT_EQUAL(send_once(fe, FRAME, 1), 0, "nobody to be asked");
	TEST_ASSERT_SUCCESS(fake_iommu_connect(&iommu, 0), "another channel");
	TEST_ASSERT_EQUAL(send_once(fe, FRAME, 2), 0, "not known");
	TEST_ASSERT(fake_iommu_ask_now(&iommu, &miss), "asked");
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, miss.iova, PAGE, miss.iova - fe->iova,
		miss.access), FAKE_ACK, "told");
	TEST_ASSERT(send_answering(fe, FRAME, 3) >= 0, "sent");
	TEST_ASSERT_EQUAL(fake_rx_take(&fe->vqs[0], NULL, got, sizeof(got)), FRAME, "it arrives");
	return fake_iommu_stop(&iommu);
}

/* A command whose memory is not known yet is answered when it is, and not before. */
static int
control_queue_waits_for_translations(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1, .ctrl_queue = true,
		.features = FE_BIT(VIRTIO_NET_F_CTRL_RX));
	uint64_t until = fake_now_ms() + fake_patience_ms(), one = 1, gpa;
	struct fake_iotlb miss;
	struct fake_vq *ctrl;
	struct fake_seg segs[2];
	uint8_t *command;
	int id = -1;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	while (fake_iommu_answer(&iommu) > 0)
		;
	ctrl = &fe->vqs[2];
	gpa = some_pages(fe, 2);
	command = fake_va(fe, gpa, 2 * PAGE);
	memset(command, 0, 3);
	command[PAGE] = 0x77;
	/* receive all, or not: class, command, value; and a place for the answer */
	segs[0] = (struct fake_seg){ gpa, 3, false };
	segs[1] = (struct fake_seg){ gpa + PAGE, 1, true };
	TEST_ASSERT(ctrl->ops->add(ctrl, segs, 2, 0) >= 0, "a command");
	ctrl->ops->publish(ctrl);
	TEST_ASSERT_EQUAL(write(ctrl->kickfd, &one, sizeof(one)), sizeof(one), "a kick");
	TEST_ASSERT(fake_iommu_ask(&iommu, &miss), "which is heard");
	/* from here on only the translation can lead back to the command */
	TEST_ASSERT_EQUAL(read(ctrl->kickfd, &one, sizeof(one)), sizeof(one),
		"and read by the guest");
	TEST_ASSERT(fake_collect(ctrl, NULL) < 0, "nothing is known");
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, miss.iova, PAGE, miss.iova - fe->iova, FAKE_BOTH),
		FAKE_ACK, "one answer");
	while (id < 0 && fake_now_ms() < until) {
		fake_iommu_answer(&iommu);
		id = fake_collect(ctrl, NULL);
	}
	TEST_ASSERT(id >= 0, "it is given back");
	TEST_ASSERT_EQUAL(command[PAGE], VIRTIO_NET_OK, "with an answer");
	return fake_iommu_stop(&iommu);
}

/* ---- what holds, and what does not ---- */

/** Offer one buffer of the test's own at an IOVA: 0 or -1. */
static int
offer_iova(struct fake_vq *vq, uint64_t iova, uint32_t len)
{
	/* the fake adds its offset to what it takes for a guest address */
	if (fake_offer_at(vq, iova - vq->fe->iova, len, true) < 0)
		return -1;
	fake_kick(vq);
	return 0;
}

#define OWN_IOVA 0x7000000000ULL

static int
nothing_is_written_after_the_acknowledgement(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	uint64_t gpa;
	uint8_t *page;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	gpa = some_pages(fe, 1);
	page = fake_va(fe, gpa, PAGE);
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, OWN_IOVA, PAGE, gpa, FAKE_BOTH), FAKE_ACK, "map");
	TEST_ASSERT_SUCCESS(offer_iova(&fe->vqs[0], OWN_IOVA, PAGE), "a buffer");
	TEST_ASSERT_SUCCESS(offer_iova(&fe->vqs[0], OWN_IOVA, PAGE), "another");
	TEST_ASSERT_EQUAL(send_once(fe, FRAME, 1), 1, "it is used");
	TEST_ASSERT_EQUAL(fake_iommu_unmap(&iommu, OWN_IOVA + 100, 1), FAKE_ACK, "some of it");
	memset(page, 0x5a, PAGE);
	TEST_ASSERT_EQUAL(send_once(fe, FRAME, 2), 0, "not known any more");
	for (unsigned int i = 0; i < PAGE; i++)
		TEST_ASSERT_EQUAL(page[i], 0x5a, "byte %u", i);
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, OWN_IOVA, PAGE, gpa, FAKE_BOTH), FAKE_ACK, "map");
	TEST_ASSERT_EQUAL(send_once(fe, FRAME, 2), 1, "known again");
	return fake_iommu_stop(&iommu);
}

static int
later_translation_counts(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	uint8_t *first, *second;
	uint64_t gpa;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	gpa = some_pages(fe, 2);
	first = fake_va(fe, gpa, PAGE);
	second = first + PAGE;
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, OWN_IOVA, PAGE, gpa, FAKE_BOTH), FAKE_ACK, "map");
	TEST_ASSERT_SUCCESS(offer_iova(&fe->vqs[0], OWN_IOVA, PAGE), "a buffer");
	TEST_ASSERT_SUCCESS(offer_iova(&fe->vqs[0], OWN_IOVA, PAGE), "another");
	TEST_ASSERT_EQUAL(send_once(fe, FRAME, 1), 1, "first");
	TEST_ASSERT(fake_pattern_matches(first + 12, FRAME, 1), "there");
	/* without an invalidation */
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, OWN_IOVA, PAGE, gpa + PAGE, FAKE_BOTH), FAKE_ACK,
		"elsewhere");
	TEST_ASSERT_EQUAL(send_once(fe, FRAME, 2), 1, "second");
	TEST_ASSERT(fake_pattern_matches(second + 12, FRAME, 2), "there");
	TEST_ASSERT(fake_pattern_matches(first + 12, FRAME, 1), "and not here");
	return fake_iommu_stop(&iommu);
}

static bool
is_in_table(struct fake *fe, uint64_t iova)
{
	struct vhost_device *dev = vhost_device_peek(fe->vid);
	uint64_t uva, len = 1;
	bool known;

	vhost_device_lock(dev);
	known = vhost_mem_iotlb_uva(dev->wish.iotlb, iova, FAKE_READ, &len, &uva);
	vhost_device_unlock(dev);
	return known;
}

static int
invalidation_leaves_the_pages_beside(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	uint64_t gpa;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	gpa = some_pages(fe, 1);
	for (int i = 0; i < 3; i++)
		TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, OWN_IOVA + i * PAGE, PAGE, gpa, FAKE_BOTH),
			FAKE_ACK, "page %d", i);
	TEST_ASSERT_EQUAL(fake_iommu_unmap(&iommu, OWN_IOVA + PAGE, PAGE), FAKE_ACK, "the second");
	for (int i = 0; i < 3; i++)
		TEST_ASSERT_EQUAL(is_in_table(fe, OWN_IOVA + i * PAGE), i != 1, "page %d", i);
	return fake_iommu_stop(&iommu);
}

/* A hole of every earlier library: neighbours by IOVA that are none in memory. */
static int
neighbours_may_be_far_apart(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	uint8_t want[FRAME], *pages;
	uint64_t gpa;
	const uint32_t front = 100;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	gpa = some_pages(fe, 3);
	pages = fake_va(fe, gpa, 3 * PAGE);
	memset(pages, 0x5a, 3 * PAGE);
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, OWN_IOVA, PAGE, gpa, FAKE_BOTH), FAKE_ACK, "one");
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, OWN_IOVA + PAGE, PAGE, gpa + 2 * PAGE, FAKE_BOTH),
		FAKE_ACK, "two");
	TEST_ASSERT_SUCCESS(offer_iova(&fe->vqs[0], OWN_IOVA + PAGE - front, 2000), "a buffer");
	TEST_ASSERT_EQUAL(send_once(fe, FRAME, 3), 1, "used");
	fake_pattern(want, FRAME, 3);
	TEST_ASSERT(memcmp(pages + PAGE - front + 12, want, front - 12) == 0, "front");
	TEST_ASSERT(memcmp(pages + 2 * PAGE, want + front - 12, FRAME - front + 12) == 0, "rest");
	for (unsigned int i = 0; i < PAGE; i++)
		TEST_ASSERT_EQUAL(pages[PAGE + i], 0x5a, "between, byte %u", i);
	return fake_iommu_stop(&iommu);
}

static int
memory_that_may_be_read_is_not_written(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	struct fake_iotlb miss = { 0 };
	uint8_t *page;
	uint64_t gpa;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_iommu_answer(&iommu);
	gpa = some_pages(fe, 1);
	page = fake_va(fe, gpa, PAGE);
	memset(page, 0x5a, PAGE);
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, OWN_IOVA, PAGE, gpa, FAKE_READ), FAKE_ACK, "map");
	TEST_ASSERT_SUCCESS(offer_iova(&fe->vqs[0], OWN_IOVA, PAGE), "a buffer");
	TEST_ASSERT_EQUAL(send_once(fe, FRAME, 1), 0, "refused");
	for (unsigned int i = 0; i < PAGE; i++)
		TEST_ASSERT_EQUAL(page[i], 0x5a, "byte %u", i);
	TEST_ASSERT(fake_iommu_ask(&iommu, &miss), "it asks");
	TEST_ASSERT_EQUAL(miss.iova, OWN_IOVA, "for the page");
	TEST_ASSERT_EQUAL(miss.access, FAKE_WRITE, "to write");
	return fake_iommu_stop(&iommu);
}

/* The last byte of all, and buffers and rings that go beyond it. */
static int
end_of_the_address_space(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	struct fake_vq *vq;
	uint64_t gpa;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	vq = &fe->vqs[0];
	gpa = some_pages(fe, 1);
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, -(uint64_t)PAGE, PAGE, gpa, FAKE_BOTH), FAKE_ACK,
		"the last page");
	TEST_ASSERT_SUCCESS(offer_iova(vq, -(uint64_t)PAGE, PAGE), "a buffer");
	TEST_ASSERT_EQUAL(send_once(fe, FRAME, 1), 1, "used");
	TEST_ASSERT(fake_collect(vq, NULL) >= 0, "given back");
	TEST_ASSERT_SUCCESS(offer_iova(vq, -(uint64_t)64, PAGE), "one that wraps");
	TEST_ASSERT_EQUAL(fake_rx_fill(vq, 1, BUF_LEN, NULL), 1, "and a good one");
	TEST_ASSERT(send_answering(fe, FRAME, 2) >= 0, "passed over");
	TEST_ASSERT_EQUAL(fake_iommu_unmap(&iommu, 1, UINT64_MAX), FAKE_ACK, "to the very end");
	TEST_ASSERT(fake_is_served(fe), "it goes on");
	return fake_iommu_stop(&iommu);
}

static int
ring_address_that_wraps_is_refused(void)
{
	struct fake *fe = fake_start(.iommu = true, .until = FAKE_MEMORY);
	struct fake_addr addr;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	addr = fake_addr_of(fe, 0);
	addr.used = UINT64_MAX - 2;
	TEST_ASSERT_EQUAL(fake_call_state(fe, FE_SET_VRING_NUM, 0, 256), FAKE_ACK, "size");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
		FAKE_NACK, "addresses");
	return fake_stop(fe);
}

/* The next driver is told nothing of what an earlier one had. */
static int
reboot_forgets_translations(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	struct fake_iotlb miss;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_iommu_map_all(&iommu), "everything");
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "before");
	for (unsigned int i = 0; i < 2; i++) {
		TEST_ASSERT(fake_is_base(&fe->vqs[i], fake_stop_vring(fe, i)), "stop");
		fake_vq_reset(&fe->vqs[i]);
	}
	while (fake_iommu_ask_now(&iommu, &miss))
		;
	TEST_ASSERT_SUCCESS(fake_iommu_run(&iommu), "again");
	TEST_ASSERT(iommu.misses > 0, "it has to ask");
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "after");
	return fake_iommu_stop(&iommu);
}

/* Firmware knows nothing of the IOMMU, the system after it does. */
static int
feature_comes_and_goes_between_lives(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	const uint64_t features = fe != NULL ? fe->features : 0;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int round = 0; round < 6; round++) {
		bool with = round % 2 == 1;

		for (unsigned int i = 0; i < 2; i++) {
			TEST_ASSERT(fake_stop_vring(fe, i) >= 0, "stop");
			fake_vq_reset(&fe->vqs[i]);
		}
		fe->iova = with ? FAKE_IOVA : 0;
		fe->features = with ? features : features & ~ACCESS_PLATFORM;
		TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_FEATURES, fe->features), FAKE_ACK,
			"round %u", round);
		TEST_ASSERT_SUCCESS(fake_iommu_run(&iommu), "round %u", round);
		TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "round %u", round);
		TEST_ASSERT_SUCCESS(to_host(fe, FRAME, NULL), "round %u", round);
	}
	return fake_iommu_stop(&iommu);
}

static int
many_translations_are_bounded(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	uint64_t gpa, before;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	gpa = some_pages(fe, 1);
	for (unsigned int i = 0; i < MEM_IOTLB_MAX; i++)
		TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, OWN_IOVA + 2ULL * i * PAGE, PAGE, gpa,
			FAKE_BOTH), FAKE_ACK, "page %u", i);
	before = fake_resident_kib();
	for (unsigned int i = 0; i < MEM_IOTLB_MAX / 4; i++)
		TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, 2 * OWN_IOVA + 2ULL * i * PAGE, PAGE, gpa,
			FAKE_BOTH), FAKE_ACK, "page %u", i);
	TEST_ASSERT(fake_resident_kib() < before + FAKE_GROWTH_KIB(512), "memory grows");
	/* the rings are among the few that stay */
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "traffic");
	TEST_ASSERT_EQUAL(fake_iommu_unmap(&iommu, 0, UINT64_MAX), FAKE_ACK, "all of them");
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "traffic");
	return fake_iommu_stop(&iommu);
}

/** Tell n pages from OWN_IOVA on, with gaps between them; messages would take long. */
static void
fill_table(struct fake *fe, unsigned int n, uint64_t gpa)
{
	struct vhost_device *dev = vhost_device_peek(fe->vid);
	struct mem_iotlb_entry entry = {
		.size = PAGE, .uva = (uintptr_t)fake_va(fe, gpa, PAGE), .access = FAKE_BOTH,
	};

	vhost_device_lock(dev);
	for (unsigned int i = 0; i < n; i++) {
		entry.iova = OWN_IOVA + 2ULL * i * PAGE;
		vhost_mem_iotlb_update(dev->wish.iotlb, &entry, NULL, NULL);
	}
	vhost_device_unlock(dev);
}

/* Whose turn it is to go from a full table is the lowest address, unless it is of a ring. */
static int
page_beside_a_ring_does_not_belong_to_it(void)
{
	struct fake *fe = fake_start(.iommu = true, .until = FAKE_MEMORY);
	struct fake_addr addr;
	uint64_t gpa, ring;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_iommu_init(&iommu, fe), "a channel");
	addr = fake_addr_of(fe, 0);
	ring = fe->vqs[0].desc_gpa + fe->iova;
	gpa = some_pages(fe, 1);
	TEST_ASSERT_EQUAL(ring % PAGE, 0, "where pages begin");
	TEST_ASSERT_EQUAL(fake_call_state(fe, FE_SET_VRING_NUM, 0, fe->vqs[0].size), FAKE_ACK,
		"a ring");
	TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0), FAKE_ACK,
		"that does not run");
	for (int i = -1; i < 1; i++)
		TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, ring + i * PAGE, PAGE, gpa, FAKE_BOTH),
			FAKE_ACK, "page %d", i);
	fill_table(fe, MEM_IOTLB_MAX - 2, gpa);
	TEST_ASSERT(is_in_table(fe, ring - 1), "there is room for it");
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, 2 * OWN_IOVA, PAGE, gpa, FAKE_BOTH), FAKE_ACK,
		"one too many");
	TEST_ASSERT(!is_in_table(fe, ring - 1), "it went");
	TEST_ASSERT(is_in_table(fe, ring), "the ring stays");
	return fake_iommu_stop(&iommu);
}

/* An address that the frontend gave stays what it is when the memory table changes. */
static int
translations_outlive_the_memory_table(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1);
	unsigned int before;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "before");
	before = iommu.misses;
	TEST_ASSERT_SUCCESS(fake_region_create(fe, 1ULL << 33, 1 << 20, 0), "another region");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "the table");
	TEST_ASSERT_EQUAL(fake_rx_fill(&fe->vqs[0], 1, BUF_LEN, NULL), 1, "a buffer");
	TEST_ASSERT(send_answering(fe, FRAME, 1) >= 0, "after");
	TEST_ASSERT(iommu.misses <= before + 1, "the rings are still known");
	return fake_iommu_stop(&iommu);
}

static int
misses_are_counted(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1,
		.flags = RTE_VHOST_USER_NET_STATS_ENABLE);
	uint64_t before;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "a packet");
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "another");
	TEST_ASSERT(fake_counter(fe, 0, "iotlb_hits") > 0, "hits");
	TEST_ASSERT(fake_counter(fe, 0, "iotlb_misses") > 0, "misses");
	/* a new block goes on counting where the old one was */
	before = fake_counter(fe, 0, "iotlb_hits");
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "a third");
	TEST_ASSERT_SUCCESS(fake_region_create(fe, 1ULL << 33, 1 << 20, 0), "another region");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "the table");
	TEST_ASSERT(fake_counter(fe, 0, "iotlb_hits") > before, "hits of the third");
	TEST_ASSERT_SUCCESS(rte_vhost_vring_stats_reset(fe->vid, 0), "reset");
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "iotlb_hits"), 0, "hits");
	TEST_ASSERT_EQUAL(fake_counter(fe, 0, "iotlb_misses"), 0, "misses");
	return fake_iommu_stop(&iommu);
}

/* Bits are those of guest addresses, whatever descriptors say. */
static int
written_pages_are_logged_by_guest_address(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 1,
		.protocol_features = DIRTY_PROTOCOL);
	struct fake_dirty dirty;
	uint64_t gpa;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(dirty_create(fe, &dirty, 0, 0), "a log");
	TEST_ASSERT_EQUAL(dirty_send_base(fe, dirty.size, dirty.offset, dirty.fd), FAKE_ACK, "base");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_SET_FEATURES, fe->features | DIRTY_FEATURE), FAKE_ACK,
		"feature");
	for (unsigned int i = 0; i < 2; i++) {
		struct fake_addr addr = fake_addr_of(fe, i);

		addr.flags = 1 << VHOST_VRING_F_LOG;
		addr.log = addr.used;
		TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
			FAKE_ACK, "ring");
	}
	gpa = some_pages(fe, 1);
	TEST_ASSERT_EQUAL(fake_iommu_map(&iommu, OWN_IOVA, PAGE, gpa, FAKE_BOTH), FAKE_ACK, "map");
	TEST_ASSERT_SUCCESS(offer_iova(&fe->vqs[0], OWN_IOVA, PAGE), "a buffer");
	dirty_clear(&dirty);
	TEST_ASSERT(send_answering(fe, FRAME, 1) >= 0, "a packet");
	TEST_ASSERT(dirty_is_set(&dirty, gpa), "its page");
	TEST_ASSERT(dirty_is_set(&dirty, fake_default_format() == FAKE_PACKED ?
		fe->vqs[0].desc_gpa : fe->vqs[0].used_gpa), "the ring's");
	TEST_ASSERT(dirty_guards_intact(&dirty), "and no other");
	TEST_ASSERT_SUCCESS(dirty_destroy(&dirty), "end");
	return fake_iommu_stop(&iommu);
}

static int
relocation_keeps_translations(void)
{
	struct fake *fe;
	unsigned int before;

	topology_make_up();
	topology_guest_on(0);
	fe = fake_iommu_start(&iommu, .queues = 1);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "before");
	TEST_ASSERT_SUCCESS(to_host(fe, FRAME, NULL), "before");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, 0), "all of it");
	before = iommu.misses;
	topology_guest_on(1);
	TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "look");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, 1), "all of it");
	TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "after");
	TEST_ASSERT_SUCCESS(to_host(fe, FRAME, NULL), "after");
	TEST_ASSERT(iommu.misses <= before + 4, "%u pages asked for again", iommu.misses - before);
	fake_iommu_fini(&iommu);
	return topology_stop(fe);
}

/* Whatever there is no memory for stays where it was, and the guest is known. */
static int
relocation_without_memory_keeps_translations(void)
{
	struct fake *fe;
	unsigned int nth = 0, asked;

	topology_make_up();
	topology_guest_on(0);
	fe = fake_iommu_start(&iommu, .queues = 1);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	do {
		topology_guest_on(++nth % 2);
		topology_refuse(nth, 1);
		rte_vhost_numa_refresh(fe->vid);
		asked = topology_asked();
		topology_refuse(0, 0);
		TEST_ASSERT_SUCCESS(topology_inventory_anywhere(fe), "block %u", nth);
		TEST_ASSERT_EQUAL(fake_iommu_unmap(&iommu, 0, UINT64_MAX), FAKE_ACK, "forget all");
		TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "block %u", nth);
		TEST_ASSERT_SUCCESS(to_host(fe, FRAME, NULL), "block %u", nth);
	} while (asked >= nth);
	TEST_ASSERT(nth > 4, "%u blocks", nth - 1);
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, nth % 2), "all of it, in the end");
	fake_iommu_fini(&iommu);
	return topology_stop(fe);
}

/* Blocks, views and rows are rebuilt elsewhere while both rings are polled. */
static int
relocation_under_traffic_loses_nothing(void)
{
	struct traffic *traffic;
	struct fake *fe;

	topology_make_up();
	topology_guest_on(0);
	fe = fake_iommu_start(&iommu, .queues = 2, .mergeable = true);
	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_iommu_serve(&iommu), "a thread");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "traffic");
	for (unsigned int i = 1; i <= 40; i++) {
		topology_guest_on(i % 2);
		TEST_ASSERT_SUCCESS(rte_vhost_numa_refresh(fe->vid), "move %u", i);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 4), "after move %u", i);
		TEST_ASSERT_EQUAL(topology_device_node(fe), i % 2, "move %u", i);
	}
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	TEST_ASSERT_SUCCESS(topology_inventory_on(fe, 0), "all of it");
	fake_iommu_fini(&iommu);
	return topology_stop(fe);
}

/* A guest that flushes all its translations, rings' included, as often as it likes. */
static int
invalidations_under_traffic_lose_nothing(void)
{
	struct fake *fe = fake_iommu_start(&iommu, .queues = 2, .mergeable = true);
	struct traffic *traffic;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_iommu_serve(&iommu), "a thread");
	traffic = traffic_start(fe, 2);
	TEST_ASSERT_NOT_NULL(traffic, "traffic");
	for (unsigned int i = 0; i < 100; i++) {
		uint64_t page = fe->regions[0].wire.gpa + fe->iova + i * PAGE;
		bool all = i % 4 == 3;

		TEST_ASSERT_EQUAL(fake_iommu_unmap(&iommu, all ? 0 : page, all ? UINT64_MAX : PAGE),
			FAKE_ACK, "invalidation %u", i);
		TEST_ASSERT_SUCCESS(traffic_wait(traffic, 4), "after invalidation %u", i);
	}
	TEST_ASSERT_SUCCESS(traffic_stop(traffic), "no packet was lost or out of place");
	return fake_iommu_stop(&iommu);
}

static int
connections_leave_nothing_behind(void)
{
	unsigned int fds = fake_count_fds();
	uint64_t kib = 0;

	for (unsigned int i = 0; i < 200; i++) {
		struct fake *fe = fake_iommu_start(&iommu, .queues = 1);

		TEST_ASSERT_NOT_NULL(fe, "round %u", i);
		TEST_ASSERT_SUCCESS(to_guest(fe, FRAME, BUF_LEN, NULL), "round %u", i);
		TEST_ASSERT_SUCCESS(fake_iommu_stop(&iommu), "round %u", i);
		if (i == 50)
			kib = fake_resident_kib();
	}
	TEST_ASSERT(fake_resident_kib() < kib + FAKE_GROWTH_KIB(2048), "memory");
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "descriptors");
	return TEST_SUCCESS;
}

/* ---- the table by itself ---- */

#define SPACE 64	/* bytes that are looked at, each with a translation of its own */
#define ORACLE_UVA 1000

/** What each address means, as naively as can be. */
struct oracle {
	uint64_t uva[SPACE];
	uint32_t access[SPACE];		/**< 0: nothing is known */
	bool gone[SPACE];		/**< something else was known when it was published last */
	uint32_t first, last;		/**< no step has reached farther since; first > last: none */
};

static uint32_t
random_below(uint32_t n)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 32) % n;
}

/** One random update or invalidation, of both. */
static void
random_step(struct mem_iotlb *tlb, struct oracle *oracle)
{
	uint32_t first = random_below(SPACE), n = 1 + random_below(SPACE - first);
	struct mem_iotlb_entry entry = {
		.iova = first, .size = n, .uva = ORACLE_UVA + random_below(3 * SPACE),
		.access = 1 + random_below(3),
	};
	bool update = random_below(3) != 0;

	if (update)
		vhost_mem_iotlb_update(tlb, &entry, NULL, NULL);
	else
		vhost_mem_iotlb_invalidate(tlb, first, first + n - 1, NULL, NULL);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = first + i, access = update ? entry.access : 0;

		oracle->gone[at] |= oracle->access[at] != 0 &&
			(oracle->access[at] != access || oracle->uva[at] != entry.uva + i);
		oracle->uva[at] = entry.uva + i;
		oracle->access[at] = access;
	}
	oracle->first = RTE_MIN(oracle->first, first);
	oracle->last = RTE_MAX(oracle->last, first + n - 1);
}

/** All that has changed since the last time is told, however many changes it were, and no more. */
static int
publish(struct mem_iotlb *tlb, struct oracle *oracle)
{
	struct mem_iotlb_gone gone = vhost_mem_iotlb_published(tlb);

	TEST_ASSERT(!vhost_mem_iotlb_has_changed(tlb), "nothing is new");
	for (uint32_t at = 0; at < SPACE; at++)
		TEST_ASSERT(!oracle->gone[at] || (gone.any && gone.first <= at && at <= gone.last),
			"%u has gone", at);
	TEST_ASSERT(!gone.any || (gone.first >= oracle->first && gone.last <= oracle->last),
		"%" PRIu64 " to %" PRIu64 " was not touched", gone.first, gone.last);
	memset(oracle->gone, 0, sizeof(oracle->gone));
	oracle->first = UINT32_MAX;
	oracle->last = 0;
	return TEST_SUCCESS;
}

/** Two regions side by side in the frontend's memory, but not in ours. */
static const struct mem_map oracle_map = {
	.nregions = 2,
	.regions = {
		{ .uva = ORACLE_UVA, .size = 100, .host = (uint8_t *)5000 },
		{ .uva = ORACLE_UVA + 100, .size = 1000, .host = (uint8_t *)9000 },
	},
};

static uintptr_t
oracle_host(uint64_t uva)
{
	const struct mem_region *region = &oracle_map.regions[uva >= ORACLE_UVA + 100];

	return (uintptr_t)region->host + (uva - region->uva);
}

static int
check_address(const struct mem_iotlb *tlb, const struct iotlb_view *view,
		const struct oracle *oracle, uint32_t at)
{
	const struct iotlb_range *range = vhost_iotlb_view_find(view, at);
	uint64_t len = 1, uva = 0;
	bool known = vhost_mem_iotlb_uva(tlb, at, MEM_IOTLB_READ, &len, &uva);

	TEST_ASSERT_EQUAL(known, (oracle->access[at] & MEM_IOTLB_READ) != 0, "%u may be read", at);
	TEST_ASSERT(!known || uva == oracle->uva[at], "%u: address", at);
	TEST_ASSERT_EQUAL(range != NULL, oracle->access[at] != 0, "%u in the view", at);
	if (range == NULL)
		return 0;
	TEST_ASSERT_EQUAL(range->access, oracle->access[at], "%u: access", at);
	TEST_ASSERT_EQUAL(range->host + (at - range->iova), oracle_host(oracle->uva[at]),
		"%u: our address", at);
	return 0;
}

static int
table_agrees_with_an_oracle(void)
{
	struct mem_iotlb *tlb = vhost_mem_iotlb_create();
	struct iotlb_view *view = malloc(sizeof(*view));
	struct oracle oracle = { .first = UINT32_MAX };

	TEST_ASSERT(tlb != NULL && view != NULL, "memory");
	for (unsigned int step = 0; step < 20000; step++) {
		random_step(tlb, &oracle);
		vhost_mem_iotlb_fill(tlb, &oracle_map, view);
		for (uint32_t at = 0; at < SPACE; at++)
			TEST_ASSERT_SUCCESS(check_address(tlb, view, &oracle, at), "step %u", step);
		if (random_below(4) == 0)
			TEST_ASSERT_SUCCESS(publish(tlb, &oracle), "step %u", step);
	}
	free(view);
	vhost_mem_iotlb_destroy(tlb);
	return TEST_SUCCESS;
}

/* Parts of a ring begin anywhere in a page. */
static int
each_page_of_a_ring_is_missing_once(void)
{
	struct mem_iotlb *tlb = vhost_mem_iotlb_create();
	const struct ring_memory_map memory = { .iotlb = tlb };
	const struct queue_wish wish = { .size = 1024, .desc_uva = 0x10f00, .avail_uva = 0x30ff0,
		.used_uva = 0x50004 };
	/* 16 KiB of descriptors, 2 KiB available, 8 KiB used */
	static const uint64_t pages[] = { 0x10000, 0x11000, 0x12000, 0x13000, 0x14000,
		0x30000, 0x31000, 0x50000, 0x51000, 0x52000 };
	uint64_t at = 0, page;
	uint32_t access;

	TEST_ASSERT_NOT_NULL(tlb, "a table");
	for (unsigned int i = 0; i < RTE_DIM(pages); i++) {
		TEST_ASSERT(vhost_ring_missing(&wish, 1ULL << VIRTIO_F_ACCESS_PLATFORM, &memory, &at,
			&page, &access), "page %u", i);
		TEST_ASSERT_EQUAL(page, pages[i], "page %u: %#" PRIx64, i, page);
		TEST_ASSERT_EQUAL(access, i < 7 ? FAKE_READ : FAKE_BOTH, "page %u", i);
	}
	TEST_ASSERT(!vhost_ring_missing(&wish, 1ULL << VIRTIO_F_ACCESS_PLATFORM, &memory, &at,
		&page, &access), "that was all");
	vhost_mem_iotlb_destroy(tlb);
	return TEST_SUCCESS;
}

static const struct test_case fixed_cases[] = {
	TEST_CASE(each_page_of_a_ring_is_missing_once),
	TEST_CASE(table_agrees_with_an_oracle),
	TEST_CASE(offered_only_if_registered),
	TEST_CASE(message_needs_the_feature),
	TEST_CASE(rings_are_asked_for_at_once),
	TEST_CASE(each_ring_is_asked_for_again),
	TEST_CASE(update_before_kick_is_kept),
	TEST_CASE(ring_without_translation_is_not_touched),
	TEST_CASE(pages_of_a_ring_may_be_apart),
	TEST_CASE(buffers_are_asked_for_ahead),
	TEST_CASE(indirect_buffers_are_asked_for_ahead),
	TEST_CASE(looking_ahead_ends_where_all_is_known),
	TEST_CASE(packets_are_noted_ahead),
	TEST_CASE(all_pages_of_a_frame_are_asked_for_at_once),
	TEST_CASE(enqueue_waits_for_the_answer),
	TEST_CASE(answer_that_never_comes_harms_nobody),
	TEST_CASE(full_channel_harms_nobody),
	TEST_CASE(another_channel_is_asked_what_the_first_one_was_not),
	TEST_CASE(control_queue_waits_for_translations),
	TEST_CASE(nothing_is_written_after_the_acknowledgement),
	TEST_CASE(later_translation_counts),
	TEST_CASE(invalidation_leaves_the_pages_beside),
	TEST_CASE(neighbours_may_be_far_apart),
	TEST_CASE(memory_that_may_be_read_is_not_written),
	TEST_CASE(end_of_the_address_space),
	TEST_CASE(ring_address_that_wraps_is_refused),
	TEST_CASE(reboot_forgets_translations),
	TEST_CASE(feature_comes_and_goes_between_lives),
	TEST_CASE(many_translations_are_bounded),
	TEST_CASE(page_beside_a_ring_does_not_belong_to_it),
	TEST_CASE(translations_outlive_the_memory_table),
	TEST_CASE(misses_are_counted),
	TEST_CASE(written_pages_are_logged_by_guest_address),
	TEST_CASE(relocation_keeps_translations),
	TEST_CASE(relocation_without_memory_keeps_translations),
	TEST_CASE(relocation_under_traffic_loses_nothing),
	TEST_CASE(invalidations_under_traffic_lose_nothing),
	TEST_CASE(connections_leave_nothing_behind),
};

static int
check(void)
{
	traffic_abandon();
	fake_iommu_fini(&iommu);
	return fake_check();
}

static int
run_suite(const char *name, int (*setup)(void))
{
	static struct test_case cases[RTE_DIM(nonsense) + RTE_DIM(traffic_cases) +
		RTE_DIM(fixed_cases)];
	struct test_case *at = cases;
	struct test_suite suite = {
		.name = name,
		.setup = setup,
		.check = check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	for (unsigned int i = 0; i < RTE_DIM(nonsense); i++)
		*at++ = (struct test_case)TEST_CASE_WITH(nonsense_is_refused, nonsense[i].name,
			&nonsense[i]);
	for (unsigned int i = 0; i < RTE_DIM(traffic_cases); i++)
		*at++ = (struct test_case)TEST_CASE_WITH(packets_pass, traffic_cases[i].name,
			&traffic_cases[i]);
	memcpy(at, fixed_cases, sizeof(fixed_cases));
	return test_suite_run(&suite);
}

static int
test_vhost_iommu(void)
{
	return run_suite("vhost IOMMU", fake_setup);
}

static int
test_vhost_iommu_packed(void)
{
	return run_suite("vhost IOMMU, packed", fake_setup_packed);
}

REGISTER_TEST_COMMAND(vhost_iommu_autotest, test_vhost_iommu);
REGISTER_TEST_COMMAND(vhost_iommu_packed_autotest, test_vhost_iommu_packed);
