/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What can happen to a device that counts.  Nothing here depends on time or
 * chance.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_vhost.h>

#include "answers.h"

#define BURST 32
#define BUFFER 2048
/** No region is there. */
#define NOWHERE 0x7f0000000000ULL

#define TO_GUEST 0
#define TO_HOST 1

static const char unicast[] = "\2\0\0\0\0\1", multicast[] = "\x01\0\x5e\0\0\1",
	broadcast[] = "\xff\xff\xff\xff\xff\xff";

unsigned int scenario_moved[2];

/**
 * A message went well, if it did.  A burst that meets one being handled may carry
 * nothing, so go on when the device answers a question after it.
 */
static void
was_told(struct fake *fe, bool well)
{
	if (!well || !fake_is_served(fe))
		fe->broken = true;
}

/* ---- packets ---- */

/** Begin a frame of any length, also of one that is shorter than an address. */
static void
fill_frame(uint8_t *frame, unsigned int len, const char *destination)
{
	fake_pattern(frame, RTE_MAX(len, (unsigned int)RTE_ETHER_ADDR_LEN), len);
	memcpy(frame, destination, RTE_ETHER_ADDR_LEN);
}

/** Let the guest send a frame; the host does not look yet. */
static void
guest_sends(struct fake *fe, unsigned int len, const char *destination,
		const struct fake_shape *shape)
{
	uint8_t frame[16384];

	fill_frame(frame, len, destination);
	if (!fake_tx_send(&fe->vqs[TO_HOST], NULL, frame, len, shape))
		fe->broken = true;
}

/** One burst from the guest. */
static void
host_receives(struct fake *fe)
{
	struct rte_mbuf *pkts[BURST];
	unsigned int n = rte_vhost_dequeue_burst(fe->vid, TO_HOST, fake_pool(), pkts, BURST);

	scenario_moved[TO_HOST] += n;
	rte_pktmbuf_free_bulk(pkts, n);
	fake_tx_reap(&fe->vqs[TO_HOST]);
}

static struct rte_mbuf *
make_mbuf(unsigned int len, const char *destination, unsigned int segment)
{
	struct rte_mbuf *m = fake_mbuf(len, len, segment);

	if (m != NULL)
		memcpy(rte_pktmbuf_mtod(m, void *), destination, RTE_ETHER_ADDR_LEN);
	return m;
}

/** One burst to the guest, with what buffers there are; frees the packets. */
static void
host_sends(struct fake *fe, struct rte_mbuf **pkts, unsigned int n)
{
	uint8_t frame[16384];

	scenario_moved[TO_GUEST] += rte_vhost_enqueue_burst(fe->vid, TO_GUEST, pkts, n);
	rte_pktmbuf_free_bulk(pkts, n);
	while (fake_rx_take(&fe->vqs[TO_GUEST], NULL, frame, sizeof(frame)) != -1)
		;
}

static void
host_sends_one(struct fake *fe, unsigned int len, const char *destination,
		unsigned int segment)
{
	struct rte_mbuf *m = make_mbuf(len, destination, segment);

	if (m != NULL)
		host_sends(fe, &m, 1);
}

static void
host_sends_burst(struct fake *fe, unsigned int n, unsigned int len)
{
	struct rte_mbuf *pkts[BURST];

	for (unsigned int i = 0; i < n; i++)
		pkts[i] = make_mbuf(len, unicast, 0);
	host_sends(fe, pkts, n);
}

/** A frame each way, in buffers that suit it. */
static void
one_each_way(struct fake *fe, unsigned int len, const char *destination)
{
	guest_sends(fe, len, destination, NULL);
	host_receives(fe);
	fake_rx_fill(&fe->vqs[TO_GUEST], 1, BUFFER, NULL);
	host_sends_one(fe, len, destination, 0);
}

static void
burst_each_way(struct fake *fe, unsigned int n, unsigned int len)
{
	for (unsigned int i = 0; i < n; i++)
		guest_sends(fe, len, unicast, NULL);
	host_receives(fe);
	fake_rx_fill(&fe->vqs[TO_GUEST], n, BUFFER, NULL);
	host_sends_burst(fe, n, len);
}

static void
interrupts(struct fake *fe, bool on)
{
	for (unsigned int i = 0; i < 2; i++)
		fe->vqs[i].ops->interrupts(&fe->vqs[i], on);
}

/* ---- frames ---- */

static void
tell_sizes(struct fake *fe)
{
	for (unsigned int len = 60; len <= 2034; len++)
		one_each_way(fe, len, unicast);
}

static void
tell_undersize(struct fake *fe)
{
	for (unsigned int len = RTE_ETHER_ADDR_LEN; len < 64; len++)
		one_each_way(fe, len, len % 2 == 0 ? unicast : multicast);
}

/** What was in the mbuf before is no address of this frame. */
static void
tell_shorter_than_an_address(struct fake *fe)
{
	for (unsigned int len = 1; len < RTE_ETHER_ADDR_LEN; len++)
		one_each_way(fe, len, broadcast);
}

static void
tell_addresses(struct fake *fe)
{
	static const char *const destinations[] = {
		multicast, unicast, broadcast, multicast, "\x33\x33\0\0\0\1", "\xff\xff\xff\xff\xff\xfe",
	};

	for (unsigned int i = 0; i < RTE_DIM(destinations); i++)
		one_each_way(fe, 64 + i, destinations[i]);
}

static void
tell_bursts(struct fake *fe)
{
	for (unsigned int n = 1; n <= BURST; n++)
		burst_each_way(fe, n, 40 * n);
}

/** Many turns of the ring. */
static void
tell_turns(struct fake *fe)
{
	for (unsigned int i = 0; i < 100; i++)
		burst_each_way(fe, BURST, 64);
}

static void
tell_more_than_a_burst(struct fake *fe)
{
	for (unsigned int i = 0; i < 3 * BURST; i++)
		guest_sends(fe, 100, unicast, NULL);
	for (unsigned int i = 0; i < 4; i++)
		host_receives(fe);
}

/* ---- buffers ---- */

static void
tell_shapes(struct fake *fe, bool indirect)
{
	const struct fake_shape shapes[] = {
		{ .header = 12, .indirect = indirect },
		{ .header = 12, .seg = 300, .indirect = indirect },
		{ .header = 40, .indirect = indirect },
		{ .header = 12, .header_seg = 5, .indirect = indirect },
		{ .seg = 100, .indirect = indirect },
	};

	for (unsigned int i = 0; i < RTE_DIM(shapes); i++) {
		guest_sends(fe, 1000, unicast, &shapes[i]);
		host_receives(fe);
		fake_rx_fill(&fe->vqs[TO_GUEST], 1, BUFFER, &shapes[i]);
		host_sends_one(fe, 1000, unicast, 0);
	}
}

static void
tell_chained(struct fake *fe)
{
	tell_shapes(fe, false);
}

static void
tell_indirect(struct fake *fe)
{
	tell_shapes(fe, true);
}

static void
tell_merged(struct fake *fe)
{
	for (unsigned int len = 64; len < 9100; len += 400) {
		fake_rx_fill(&fe->vqs[TO_GUEST], 20, 500, NULL);
		host_sends_one(fe, len, unicast, 0);
	}
}

static void
tell_segments(struct fake *fe)
{
	for (unsigned int len = 64; len < 1600; len += 100) {
		fake_rx_fill(&fe->vqs[TO_GUEST], 1, BUFFER, NULL);
		host_sends_one(fe, len, multicast, 50);
	}
}

/* ---- drops ---- */

/** A chain of the guest's that may be anything. */
static void
guest_offers(struct fake *fe, unsigned int ring, uint64_t gpa, uint32_t len)
{
	if (fake_offer_at(&fe->vqs[ring], gpa, len, ring == TO_GUEST) < 0)
		fe->broken = true;
	fake_kick(&fe->vqs[ring]);
}

static void
tell_nothing_behind_the_header(struct fake *fe)
{
	uint64_t gpa = fake_alloc(fe, 0, 4096, 64);

	for (uint32_t len = 1; len <= fake_header_len(fe); len++)
		guest_offers(fe, TO_HOST, gpa, len);
	guest_sends(fe, 64, unicast, NULL);
	for (unsigned int i = 0; i < 3; i++)
		host_receives(fe);
}

static void
tell_sent_from_nowhere(struct fake *fe)
{
	guest_sends(fe, 64, unicast, NULL);
	guest_offers(fe, TO_HOST, NOWHERE, 100);
	guest_sends(fe, 65, unicast, NULL);
	for (unsigned int i = 0; i < 3; i++)
		host_receives(fe);
}

static void
tell_received_nowhere(struct fake *fe)
{
	fake_rx_fill(&fe->vqs[TO_GUEST], 1, BUFFER, NULL);
	guest_offers(fe, TO_GUEST, NOWHERE, BUFFER);
	fake_rx_fill(&fe->vqs[TO_GUEST], 2, BUFFER, NULL);
	for (unsigned int i = 0; i < 3; i++)
		host_sends_one(fe, 64, unicast, 0);
}

static void
tell_no_buffers(struct fake *fe)
{
	host_sends_burst(fe, BURST, 64);
	fake_rx_fill(&fe->vqs[TO_GUEST], 3, BUFFER, NULL);
	host_sends_burst(fe, BURST, 64);
	host_sends_burst(fe, BURST, 64);
}

static void
tell_small_buffers(struct fake *fe)
{
	fake_rx_fill(&fe->vqs[TO_GUEST], 8, 100, NULL);
	host_sends_burst(fe, 4, 500);
	fake_rx_fill(&fe->vqs[TO_GUEST], 8, BUFFER, NULL);
	host_sends_burst(fe, 4, 500);
}

/** Larger than an mbuf; not every application takes it. */
static void
tell_jumbo(struct fake *fe)
{
	const struct fake_shape pages = { .header = 12, .seg = 1000 };

	guest_sends(fe, 9000, unicast, &pages);
	guest_sends(fe, 9000, unicast, NULL);
	guest_sends(fe, 64, unicast, NULL);
	host_receives(fe);
	host_receives(fe);
	fake_rx_fill(&fe->vqs[TO_GUEST], 8, STORY_BUFFER, &pages);
	host_sends_one(fe, 9000, unicast, 0);
	host_sends_one(fe, 64, unicast, 0);
}

static void
tell_no_mbufs(struct fake *fe)
{
	static struct rte_mbuf *taken[8191];
	unsigned int n = 0;

	guest_sends(fe, 64, unicast, NULL);
	guest_sends(fe, 65, unicast, NULL);
	while (n < RTE_DIM(taken) && (taken[n] = rte_pktmbuf_alloc(fake_pool())) != NULL)
		n++;
	host_receives(fe);
	rte_pktmbuf_free_bulk(taken, n);
	host_receives(fe);
}

static void
tell_disabled(struct fake *fe)
{
	was_told(fe, fake_enable_vring(fe, TO_GUEST, false) == 0 &&
		fake_enable_vring(fe, TO_HOST, false) == 0);
	burst_each_way(fe, 4, 64);
}

static void
tell_wrong_direction(struct fake *fe)
{
	struct rte_mbuf *m = make_mbuf(64, unicast, 0);

	fake_rx_fill(&fe->vqs[TO_GUEST], 4, BUFFER, NULL);
	guest_sends(fe, 64, unicast, NULL);
	scenario_moved[TO_HOST] += rte_vhost_enqueue_burst(fe->vid, TO_HOST, &m, 1);
	rte_pktmbuf_free(m);
	scenario_moved[TO_GUEST] += rte_vhost_dequeue_burst(fe->vid, TO_GUEST, fake_pool(), &m, 1);
}

/* ---- notifications ---- */

static void
tell_no_interrupts(struct fake *fe)
{
	interrupts(fe, false);
	for (unsigned int i = 0; i < 8; i++)
		burst_each_way(fe, 5, 64);
	interrupts(fe, true);
	burst_each_way(fe, 5, 64);
}

/** The guest asks for one after so many, and moves the mark each time. */
static void
tell_later_interrupts(struct fake *fe)
{
	for (unsigned int i = 0; i < 40; i++) {
		for (unsigned int ring = 0; ring < 2; ring++)
			fe->vqs[ring].ops->interrupt_after(&fe->vqs[ring], 1 + i % 12);
		burst_each_way(fe, 5, 64);
	}
}

/** The mark stays where it is while the index goes by. */
static void
tell_one_interrupt(struct fake *fe)
{
	for (unsigned int ring = 0; ring < 2; ring++)
		fe->vqs[ring].ops->interrupt_after(&fe->vqs[ring], 20);
	for (unsigned int i = 0; i < 40; i++)
		burst_each_way(fe, 5, 64);
}

static void
tell_idle(struct fake *fe)
{
	for (unsigned int i = 0; i < 5; i++) {
		host_receives(fe);
		host_sends_one(fe, 64, unicast, 0);
	}
}

/** The application calls by itself. */
static void
tell_calls(struct fake *fe)
{
	for (unsigned int i = 0; i < 4; i++) {
		interrupts(fe, i % 2 == 0);
		for (unsigned int ring = 0; ring < 2; ring++) {
			rte_vhost_vring_call(fe->vid, ring);
			rte_vhost_vring_call_nonblock(fe->vid, ring);
		}
	}
}

static void
tell_calls_with_packets(struct fake *fe)
{
	for (unsigned int i = 0; i < 4; i++) {
		burst_each_way(fe, 3, 64);
		rte_vhost_vring_call(fe->vid, i % 2);
	}
}

static void
tell_no_call_descriptor(struct fake *fe)
{
	for (unsigned int ring = 0; ring < 2; ring++)
		was_told(fe, fake_call_fd(fe, FE_SET_VRING_CALL, ring, -1) == FAKE_ACK);
	burst_each_way(fe, 3, 64);
	rte_vhost_vring_call(fe->vid, 0);
}

/** An eventfd that nobody reads, one short of its end. */
static void
tell_full_call_descriptor(struct fake *fe)
{
	uint64_t most = UINT64_MAX - 1;

	for (unsigned int ring = 0; ring < 2; ring++)
		if (write(fe->vqs[ring].callfd, &most, sizeof(most)) != sizeof(most))
			fe->broken = true;
	burst_each_way(fe, 3, 64);
	for (unsigned int ring = 0; ring < 2; ring++)
		fake_interrupts(&fe->vqs[ring]);
}

/* ---- the life of a device ---- */

static void
tell_reset(struct fake *fe)
{
	burst_each_way(fe, 4, 64);
	rte_vhost_vring_stats_reset(fe->vid, TO_GUEST);
	burst_each_way(fe, 2, 300);
}

static void
tell_restart(struct fake *fe)
{
	burst_each_way(fe, 4, 64);
	was_told(fe, fake_stop_vring(fe, 0) >= 0 && fake_stop_vring(fe, 1) >= 0 &&
		fake_run(fe) == 0);
	burst_each_way(fe, 2, 300);
}

static void
tell_announcement(struct fake *fe)
{
	uint64_t mac = 0x665544332202;

	was_told(fe, fake_call_u64(fe, FE_SEND_RARP, mac) == FAKE_ACK);
	guest_sends(fe, 100, unicast, NULL);
	host_receives(fe);
	host_receives(fe);
}

const struct scenario scenarios[] = {
	{ "sizes", tell_sizes },
	{ "undersize", tell_undersize },
	{ "shorter_than_an_address", tell_shorter_than_an_address },
	{ "addresses", tell_addresses },
	{ "bursts", tell_bursts },
	{ "turns", tell_turns },
	{ "more_than_a_burst", tell_more_than_a_burst },
	{ "chained", tell_chained },
	{ "indirect", tell_indirect },
	{ "merged", tell_merged, .mergeable = true },
	{ "segments", tell_segments },
	{ "nothing_behind_the_header", tell_nothing_behind_the_header },
	{ "sent_from_nowhere", tell_sent_from_nowhere },
	{ "received_nowhere", tell_received_nowhere },
	{ "no_buffers", tell_no_buffers },
	{ "small_buffers", tell_small_buffers },
	{ "jumbo", tell_jumbo },
	{ "no_mbufs", tell_no_mbufs },
	{ "disabled", tell_disabled },
	{ "wrong_direction", tell_wrong_direction },
	{ "no_interrupts", tell_no_interrupts },
	{ "later_interrupts", tell_later_interrupts, .event_idx = true },
	{ "one_interrupt", tell_one_interrupt, .event_idx = true },
	{ "idle", tell_idle },
	{ "calls", tell_calls },
	{ "calls_with_packets", tell_calls_with_packets },
	{ "no_call_descriptor", tell_no_call_descriptor },
	{ "full_call_descriptor", tell_full_call_descriptor },
	{ "reset", tell_reset },
	{ "restart", tell_restart },
	{ "announcement", tell_announcement },
};

const unsigned int nb_scenarios = RTE_DIM(scenarios);
