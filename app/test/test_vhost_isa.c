/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The bursts are built for several instruction sets.  All builds do the same.
 *
 * A lane is a device that is served by the build for one vector width.  All lanes
 * of a case see the same guest and the same packets.  A model, which handles one
 * byte after the other, says what each of them must come to: guest memory, all of
 * it, so that a store that is too wide is seen wherever it goes; used entries in
 * their order; contents of mbufs and the bytes around them.  In the end the rings
 * of the lanes have to be equal, too.
 *
 * Under --force-max-simd-bitwidth there is one lane, for that width.
 */

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_cpuflags.h>
#include <rte_ether.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_vect.h>

#include "device.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_virtqueue.h"

#define MAX_LANES 4
#define MAX_BURST 40
#define MAX_FRAME 9000
#define RING 64
#define TO_GUEST 0
#define TO_HOST 1

/** Guest memory of one chain: the largest frame, odd starts, gaps between segments. */
#define SLOT 10240
#define MAX_PIECES 4
#define MAX_GAP 70

/** What mbufs are painted with, and how much of each buffer is no part of it. */
#define PAINT 0xC5
#define TAIL_GUARD 128

/** Room of mbufs that packets are received into: as usual, for parts, for all of it. */
static const unsigned int rooms[] = { 2048, 320, MAX_FRAME + 300 };
static const unsigned int room_counts[] = { 255, 2047, 127 };

static const uint16_t widths[MAX_LANES] = {
	RTE_VECT_SIMD_DISABLED, RTE_VECT_SIMD_128, RTE_VECT_SIMD_256, RTE_VECT_SIMD_512
};

static struct rte_mempool *pools[RTE_DIM(rooms)];

/** Bytes of frames that are sent, and behind them a page that nobody may read. */
static uint8_t *sources;
static size_t source_bytes;

/** A chain as the guest offered it, in the model. */
struct model_chain {
	uint32_t id;
	unsigned int nb_pieces;
	struct {
		uint32_t at, len;	/* at: in the memory of the ring's slots */
	} pieces[MAX_PIECES];
	uint32_t len;
	uint32_t used;			/* bytes that the device wrote */
};

/** A ring in the model. */
struct model_ring {
	uint64_t gpa;			/* of the slots */
	uint8_t *memory;		/* of the slots, as it must be */
	struct model_chain chains[RING];	/* on offer, a queue */
	unsigned int first, last;
};

struct lane {
	uint16_t bits;
	struct fake *fe;
	vq_enqueue_t enqueue;
	vq_dequeue_t dequeue;
};

struct world {
	struct lane lanes[MAX_LANES];
	unsigned int nb_lanes;
	uint32_t header;		/* bytes */
	bool mergeable;
	unsigned int state;		/* of rand_r() */
	struct model_ring rings[2];
	unsigned int moved[2];
};

static unsigned int
pick(struct world *w, unsigned int n)
{
	return rand_r(&w->state) % n;
}

#define for_each_lane(lane, w) \
	for (const struct lane *lane = (w)->lanes; lane < (w)->lanes + (w)->nb_lanes; lane++)

/* ---- lanes ---- */

static const struct vhost_virtqueue *
block_of(const struct lane *lane, unsigned int ring)
{
	return vhost_queue_block(vhost_device_queue_at(vhost_device_get(lane->fe->vid), ring));
}

static int
start_lane(struct lane *lane, const struct fake_config *cfg)
{
	lane->fe = fake_start_config(cfg);
	if (lane->fe == NULL)
		return -1;
	lane->enqueue = block_of(lane, TO_GUEST)->enqueue;
	lane->dequeue = block_of(lane, TO_HOST)->dequeue;
	return 0;
}

/** One lane for each width, or one alone if the user insists on its width. */
static int
start_lanes(struct world *w, const struct fake_config *cfg)
{
	uint16_t before = rte_vect_get_max_simd_bitwidth();

	for (unsigned int i = 0; i < RTE_DIM(widths); i++) {
		struct lane *lane = &w->lanes[w->nb_lanes];
		bool forced = rte_vect_set_max_simd_bitwidth(widths[i]) != 0;

		lane->bits = rte_vect_get_max_simd_bitwidth();
		if (start_lane(lane, cfg) != 0)
			return -1;
		w->nb_lanes++;
		if (forced)
			return 0;
	}
	return rte_vect_set_max_simd_bitwidth(before);
}

static int
start_model(struct world *w, unsigned int ring)
{
	struct model_ring *m = &w->rings[ring];

	m->memory = calloc(RING, SLOT);
	for_each_lane(lane, w) {
		uint64_t gpa = fake_alloc(lane->fe, lane->fe->nregions - 1,
			(uint64_t)RING * SLOT, 64);

		if (gpa == 0 || (m->gpa != 0 && m->gpa != gpa))
			return -1;
		m->gpa = gpa;
	}
	return m->memory != NULL ? 0 : -1;
}

static int
world_start(struct world *w, const struct fake_config *wanted, unsigned int seed)
{
	struct fake_config cfg = *wanted;

	*w = (struct world){ .state = seed, .mergeable = cfg.mergeable };
	cfg.ring_size = RING;
	cfg.extra_memory = 2 * RING * SLOT + 4096;
	if (start_lanes(w, &cfg) != 0)
		return -1;
	w->header = fake_header_len(w->lanes[0].fe);
	return start_model(w, TO_GUEST) == 0 && start_model(w, TO_HOST) == 0 ? 0 : -1;
}

/** Every lane is still served by the build that it began with. */
static int
check_builds(const struct world *w)
{
	for_each_lane(lane, w)
		TEST_ASSERT(block_of(lane, TO_GUEST)->enqueue == lane->enqueue &&
			block_of(lane, TO_HOST)->dequeue == lane->dequeue, "%u bits", lane->bits);
	return 0;
}

/** The rings of all lanes are those of the first. */
static int
check_rings(const struct world *w)
{
	const struct fake *first = w->lanes[0].fe;
	uint64_t bytes = fake_vq_ring_bytes(first) - 4096;

	for_each_lane(lane, w)
		for (unsigned int ring = 0; ring < 2; ring++)
			TEST_ASSERT_BUFFERS_ARE_EQUAL(
				fake_va(first, first->vqs[ring].desc_gpa, bytes),
				fake_va(lane->fe, lane->fe->vqs[ring].desc_gpa, bytes), bytes,
				"ring %u with %u bits", ring, lane->bits);
	return 0;
}

static int
world_stop(struct world *w)
{
	int bad = 0;

	if (check_builds(w) != 0 || check_rings(w) != 0)
		bad = -1;
	for_each_lane(lane, w)
		bad |= fake_stop(lane->fe);
	for (unsigned int i = 0; i < RTE_DIM(w->rings); i++)
		free(w->rings[i].memory);
	return bad;
}

/* ---- chains ---- */

/** All guest memory of a ring's slots is what the model says, in every lane. */
static int
check_memory(const struct world *w, unsigned int ring)
{
	const struct model_ring *m = &w->rings[ring];

	for_each_lane(lane, w) {
		const uint8_t *there = fake_va(lane->fe, m->gpa, RING * SLOT);
		size_t i = 0;

		if (memcmp(there, m->memory, RING * SLOT) == 0)
			continue;
		while (there[i] == m->memory[i])
			i++;
		TEST_ASSERT(false, "ring %u with %u bits: byte %zu of slot %zu is %#x, not %#x",
			ring, lane->bits, i % SLOT, i / SLOT, there[i], m->memory[i]);
	}
	return 0;
}

static struct model_chain *
next_chain(struct model_ring *m)
{
	return &m->chains[m->last % RING];
}

/** Add a piece behind the others and a gap; false if the slot is full. */
static bool
add_piece(struct model_chain *chain, uint32_t gap, uint32_t len)
{
	uint32_t at = chain->id * SLOT;

	if (chain->nb_pieces > 0)
		at = chain->pieces[chain->nb_pieces - 1].at +
			chain->pieces[chain->nb_pieces - 1].len;
	at += gap;
	if (chain->nb_pieces == MAX_PIECES || at + len > (chain->id + 1) * SLOT - MAX_GAP)
		return false;
	chain->pieces[chain->nb_pieces].at = at;
	chain->pieces[chain->nb_pieces++].len = len;
	chain->len += len;
	return true;
}

/** Begin a chain in the model, with the id that it is going to have; NULL if a ring is full. */
static struct model_chain *
begin_chain(struct world *w, unsigned int ring)
{
	struct model_chain *chain = next_chain(&w->rings[ring]);

	if (w->lanes[0].fe->vqs[ring].nb_free < MAX_PIECES)
		return NULL;
	*chain = (struct model_chain){ .id = w->lanes[0].fe->vqs[ring].free_head };
	return chain;
}

/** Store into a chain in the model, from this byte of it on. */
static void
store(struct model_ring *m, const struct model_chain *chain, uint32_t skip,
		const uint8_t *bytes, uint32_t len)
{
	for (unsigned int i = 0; i < chain->nb_pieces && len > 0; i++) {
		uint32_t left = chain->pieces[i].len;
		uint8_t *to = m->memory + chain->pieces[i].at;

		for (; left > 0 && len > 0; left--, to++) {
			if (skip > 0) {
				skip--;
				continue;
			}
			*to = *bytes++;
			len--;
		}
	}
}

/** Offer the chain that was begun, in all lanes. */
static int
offer_chain(struct world *w, unsigned int ring, bool indirect)
{
	struct model_ring *m = &w->rings[ring];
	struct model_chain *chain = next_chain(m);

	for_each_lane(lane, w) {
		struct fake_vq *vq = &lane->fe->vqs[ring];
		struct fake_seg segs[MAX_PIECES];

		for (unsigned int i = 0; i < chain->nb_pieces; i++)
			segs[i] = (struct fake_seg){ m->gpa + chain->pieces[i].at,
				chain->pieces[i].len, ring == TO_GUEST };
		vq->slots[chain->id].len = chain->len;
		memcpy(fake_va(lane->fe, m->gpa + chain->id * SLOT, SLOT),
			m->memory + chain->id * SLOT, SLOT);
		if (vq->ops->add(vq, segs, chain->nb_pieces, indirect ? vq->tables_gpa +
				chain->id * MAX_PIECES * sizeof(struct vring_desc) : 0) < 0)
			return -1;
	}
	m->last++;
	return 0;
}

static void
publish(struct world *w, unsigned int ring)
{
	for_each_lane(lane, w)
		fake_kick(&lane->fe->vqs[ring]);
}

/** The device gave back this chain next, in every lane. */
static int
check_used(const struct world *w, unsigned int ring, const struct model_chain *chain)
{
	for_each_lane(lane, w) {
		uint32_t len = 0;
		int id = fake_collect(&lane->fe->vqs[ring], &len);

		TEST_ASSERT_EQUAL(id, chain->id, "ring %u with %u bits", ring, lane->bits);
		if (ring == TO_GUEST)
			TEST_ASSERT_EQUAL(len, chain->used, "ring %u with %u bits", ring,
				lane->bits);
	}
	return 0;
}

/* ---- to the guest ---- */

/** A packet that the host sends: some bytes of the sources. */
struct frame {
	const uint8_t *bytes;
	uint32_t len;
	uint32_t segment;	/* bytes per mbuf; 0: one mbuf for all */
};

/** Which chains a frame goes to, as the model says; 0: no more frames go. */
static unsigned int
model_place(const struct world *w, const struct frame *frame, unsigned int from)
{
	const struct model_ring *m = &w->rings[TO_GUEST];
	uint32_t left = frame->len + w->header;

	for (unsigned int n = 1; from + n <= m->last - m->first; n++) {
		const struct model_chain *chain = &m->chains[(m->first + from + n - 1) % RING];

		if (left <= chain->len)
			return n;
		if (!w->mergeable)
			return 0;
		left -= chain->len;
	}
	return 0;
}

/** Without merging, chains that are too short for an ordinary frame are of no use. */
static unsigned int
model_refuse(struct world *w, const struct frame *frame, unsigned int from)
{
	struct model_ring *m = &w->rings[TO_GUEST];
	uint32_t len = frame->len + w->header;
	unsigned int n = 0;

	if (w->mergeable || frame->len > RTE_ETHER_MAX_LEN)
		return 0;
	while (from + n < m->last - m->first && m->chains[(m->first + from + n) % RING].len < len)
		m->chains[(m->first + from + n++) % RING].used = 0;
	return n;
}

static void
model_write(struct world *w, const struct frame *frame, unsigned int from, unsigned int n)
{
	struct model_ring *m = &w->rings[TO_GUEST];
	uint8_t packet[12 + MAX_FRAME] = { [10] = n & 0xff, [11] = n >> 8 };
	uint32_t len = w->header + frame->len, done = 0;

	memcpy(packet + w->header, frame->bytes, frame->len);
	for (unsigned int i = 0; i < n; i++) {
		struct model_chain *chain = &m->chains[(m->first + from + i) % RING];

		chain->used = RTE_MIN(chain->len, len - done);
		store(m, chain, 0, packet + done, chain->used);
		done += chain->used;
	}
}

/** Put frames into the model's chains: how many go; *chains: that come back. */
static unsigned int
model_enqueue(struct world *w, const struct frame *frames, unsigned int n, unsigned int *chains)
{
	unsigned int i, at = 0;

	for (i = 0; i < n; i++) {
		unsigned int refused = model_refuse(w, &frames[i], at);
		unsigned int taken = model_place(w, &frames[i], at + refused);

		at += refused;
		if (taken == 0)
			break;
		model_write(w, &frames[i], at, taken);
		at += taken;
	}
	*chains = at;
	return i;
}

static void
keep_buffer(void *buffer __rte_unused, void *opaque __rte_unused)
{
}

/** An mbuf over bytes of the sources. */
static struct rte_mbuf *
mbuf_over(const uint8_t *bytes, uint32_t len)
{
	static struct rte_mbuf_ext_shared_info shared = { .free_cb = keep_buffer };
	struct rte_mbuf *m = rte_pktmbuf_alloc(fake_pool());

	if (m == NULL)
		return NULL;
	/* never the last reference */
	rte_mbuf_ext_refcnt_set(&shared, 2);
	rte_pktmbuf_attach_extbuf(m, (void *)(uintptr_t)bytes, RTE_BAD_IOVA, len, &shared);
	m->data_off = 0;
	m->data_len = m->pkt_len = len;
	return m;
}

static struct rte_mbuf *
mbuf_of(const struct frame *frame)
{
	uint32_t step = frame->segment != 0 ? frame->segment : frame->len, done = 0;
	struct rte_mbuf *first = NULL, **next = &first;

	while (done < frame->len) {
		uint32_t n = RTE_MIN(step, frame->len - done);
		struct rte_mbuf *m = mbuf_over(frame->bytes + done, n);

		if (m == NULL)
			abort();
		*next = m;
		next = &m->next;
		if (m != first) {
			first->nb_segs++;
			first->pkt_len += n;
		}
		done += n;
	}
	return first;
}

/** Bursts of a lane, again while a message that is handled keeps them out. */
static unsigned int
lane_enqueue(const struct lane *lane, struct rte_mbuf **pkts, unsigned int n, unsigned int expected)
{
	unsigned int done = rte_vhost_enqueue_burst(lane->fe->vid, TO_GUEST, pkts, n);

	for (int i = 0; i < 100 && done < expected; i++)
		done += rte_vhost_enqueue_burst(lane->fe->vid, TO_GUEST, pkts + done, n - done);
	return done;
}

static int
send_frames(struct world *w, const struct frame *frames, unsigned int n)
{
	struct model_ring *m = &w->rings[TO_GUEST];
	struct rte_mbuf *pkts[MAX_BURST];
	unsigned int chains, expected = model_enqueue(w, frames, n, &chains);

	for_each_lane(lane, w) {
		unsigned int sent;

		for (unsigned int i = 0; i < n; i++)
			pkts[i] = mbuf_of(&frames[i]);
		sent = lane_enqueue(lane, pkts, n, expected);
		rte_pktmbuf_free_bulk(pkts, n);
		TEST_ASSERT_EQUAL(sent, expected, "of %u with %u bits", n, lane->bits);
	}
	w->moved[TO_GUEST] += expected;
	for (; chains > 0; chains--)
		if (check_used(w, TO_GUEST, &m->chains[m->first++ % RING]) != 0)
			return TEST_FAILED;
	return check_memory(w, TO_GUEST);
}

/* ---- from the guest ---- */

static void
paint_mbuf(struct rte_mempool *mp __rte_unused, void *opaque __rte_unused, void *obj,
		unsigned int i __rte_unused)
{
	struct rte_mbuf *m = obj;

	memset(m->buf_addr, PAINT, m->buf_len + TAIL_GUARD);
}

/** The last bytes of a buffer are a guard that the mbuf knows nothing of. */
static void
shorten_mbuf(struct rte_mempool *mp, void *opaque, void *obj, unsigned int i)
{
	struct rte_mbuf *m = obj;

	m->buf_len -= TAIL_GUARD;
	paint_mbuf(mp, opaque, obj, i);
}

static bool
is_painted(const uint8_t *bytes, size_t n)
{
	return n == 0 || (bytes[0] == PAINT && memcmp(bytes, bytes + 1, n - 1) == 0);
}

/** Counts in *opaque mbufs that were written although nobody got them. */
static void
count_spoiled(struct rte_mempool *mp __rte_unused, void *opaque, void *obj,
		unsigned int i __rte_unused)
{
	const struct rte_mbuf *m = obj;

	if (!is_painted(m->buf_addr, m->buf_len + TAIL_GUARD))
		(*(unsigned int *)opaque)++;
}

/** An mbuf holds these bytes and nothing else; paints it again. */
static int
check_mbuf(struct rte_mbuf *first, const uint8_t *bytes, uint32_t len, unsigned int bits)
{
	const char *reason = "";
	uint32_t done = 0;

	TEST_ASSERT_SUCCESS(rte_mbuf_check(first, 1, &reason), "%s", reason);
	TEST_ASSERT_EQUAL(first->pkt_len, len, "%u bits", bits);
	for (struct rte_mbuf *m = first; m != NULL; m = m->next) {
		const uint8_t *buffer = m->buf_addr;
		uint32_t end = m->data_off + m->data_len;

		TEST_ASSERT(done + m->data_len <= len &&
			memcmp(buffer + m->data_off, bytes + done, m->data_len) == 0,
			"%u bytes at %u with %u bits", m->data_len, done, bits);
		TEST_ASSERT(is_painted(buffer, m->data_off), "before the data, %u bits", bits);
		TEST_ASSERT(is_painted(buffer + end, m->buf_len + TAIL_GUARD - end),
			"behind %u bytes of data with %u bits", m->data_len, bits);
		done += m->data_len;
		paint_mbuf(m->pool, NULL, m, 0);
	}
	return 0;
}

/** The frame that a chain carries, header left out. */
static uint32_t
read_chain(const struct world *w, const struct model_chain *chain, uint8_t *frame)
{
	const struct model_ring *m = &w->rings[TO_HOST];
	uint8_t packet[SLOT];
	uint32_t done = 0;

	for (unsigned int i = 0; i < chain->nb_pieces; i++) {
		memcpy(packet + done, m->memory + chain->pieces[i].at, chain->pieces[i].len);
		done += chain->pieces[i].len;
	}
	memcpy(frame, packet + w->header, done - w->header);
	return done - w->header;
}

static int
check_received(const struct world *w, const struct lane *lane, struct rte_mbuf **pkts,
		unsigned int n)
{
	const struct model_ring *m = &w->rings[TO_HOST];
	uint8_t frame[SLOT];

	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = read_chain(w, &m->chains[(m->first + i) % RING], frame);

		if (check_mbuf(pkts[i], frame, len, lane->bits) != 0)
			return TEST_FAILED;
	}
	return 0;
}

static unsigned int
lane_dequeue(const struct lane *lane, struct rte_mempool *pool, struct rte_mbuf **pkts,
		unsigned int n, unsigned int expected)
{
	unsigned int done = 0;

	for (int i = 0; i < 100 && done < expected; i++)
		done += rte_vhost_dequeue_burst(lane->fe->vid, TO_HOST, pool, pkts + done,
			n - done);
	return done;
}

static int
receive_frames(struct world *w, struct rte_mempool *pool, unsigned int n)
{
	struct model_ring *m = &w->rings[TO_HOST];
	unsigned int expected = RTE_MIN(n, m->last - m->first);
	struct rte_mbuf *pkts[MAX_BURST];

	for_each_lane(lane, w) {
		unsigned int got = lane_dequeue(lane, pool, pkts, n, expected);
		int bad = check_received(w, lane, pkts, RTE_MIN(got, expected));

		rte_pktmbuf_free_bulk(pkts, got);
		TEST_ASSERT_EQUAL(got, expected, "of %u with %u bits", n, lane->bits);
		if (bad != 0)
			return bad;
	}
	w->moved[TO_HOST] += expected;
	for (; expected > 0; expected--)
		if (check_used(w, TO_HOST, &m->chains[m->first++ % RING]) != 0)
			return TEST_FAILED;
	return check_memory(w, TO_HOST);
}

/* ---- every length at every alignment, in the simplest shape ---- */

/** A chain of one piece that begins so many bytes behind a cache line. */
static int
offer_simple(struct world *w, unsigned int ring, uint32_t len, uint32_t start)
{
	struct model_chain *chain = begin_chain(w, ring);
	static const uint8_t header[12];

	if (chain == NULL)
		return -1;
	add_piece(chain, 64 + start % 64, w->header + len);
	if (ring == TO_HOST) {
		store(&w->rings[ring], chain, 0, header, w->header);
		store(&w->rings[ring], chain, w->header, sources + start, len);
	}
	return offer_chain(w, ring, false);
}

static int
each_start_to_guest(struct world *w, uint32_t len)
{
	struct frame frames[32];

	for (unsigned int i = 0; i < RTE_DIM(frames); i++) {
		/* the last byte is the last that may be read */
		frames[i] = (struct frame){ sources + source_bytes - len, len, 0 };
		TEST_ASSERT_SUCCESS(offer_simple(w, TO_GUEST, len, 2 * i + len % 2), "room");
	}
	publish(w, TO_GUEST);
	return send_frames(w, frames, RTE_DIM(frames));
}

static int
each_start_to_host(struct world *w, uint32_t len)
{
	for (unsigned int i = 0; i < 32; i++)
		TEST_ASSERT_SUCCESS(offer_simple(w, TO_HOST, len, 2 * i + len % 2), "room");
	publish(w, TO_HOST);
	return receive_frames(w, pools[2], 32);
}

/** A header, some of the data with it, and the rest in so many pieces, as a chain or a table. */
static int
offer_headed(struct world *w, unsigned int ring, uint32_t len, uint32_t start, uint32_t with,
		unsigned int pieces, bool indirect)
{
	struct model_chain *chain = begin_chain(w, ring);
	static const uint8_t header[12];

	if (chain == NULL)
		return -1;
	with = RTE_MIN(with, len - 1);
	add_piece(chain, start % 64, w->header + with);
	for (uint32_t left = len - with; pieces > 0 && left > 0; pieces--) {
		uint32_t n = pieces == 1 ? left : (left + pieces - 1) / pieces;

		add_piece(chain, 1 + start % 64, n);
		left -= n;
	}
	if (ring == TO_HOST) {
		store(&w->rings[ring], chain, 0, header, w->header);
		store(&w->rings[ring], chain, w->header, sources + start, len);
	}
	return offer_chain(w, ring, indirect);
}

/** A burst of one shape each way, with a chain of another one in its middle. */
static int
headed_bursts(struct world *w, uint32_t len, uint32_t with, unsigned int pieces, bool indirect)
{
	struct frame frames[12];

	for (unsigned int i = 0; i < RTE_DIM(frames); i++) {
		bool other = i == 9;

		frames[i] = (struct frame){ sources + source_bytes - len, len, 0 };
		for (unsigned int ring = 0; ring < 2; ring++)
			TEST_ASSERT_SUCCESS(offer_headed(w, ring, len, 5 * i, other ? 40 : with,
				other ? 3 : pieces, indirect ^ other), "room");
	}
	publish(w, TO_GUEST);
	publish(w, TO_HOST);
	TEST_ASSERT_SUCCESS(send_frames(w, frames, RTE_DIM(frames)), "to the guest");
	return receive_frames(w, pools[len % RTE_DIM(pools)], RTE_DIM(frames));
}

/** All short ones, and from every class of the longer. */
static uint32_t
next_length(uint32_t len)
{
	if (len < 600)
		return len + 1;
	return len < 2200 ? len + 13 : len + 1237;
}

static int
every_length_at_every_start(const void *arg)
{
	struct world w;

	TEST_ASSERT_SUCCESS(world_start(&w, arg, 1), "the devices must start");
	for (uint32_t len = 1; len <= MAX_FRAME; len = next_length(len))
		if (each_start_to_guest(&w, len) != 0 || each_start_to_host(&w, len) != 0) {
			printf("frames of %u bytes\n", len);
			return TEST_FAILED;
		}
	return world_stop(&w);
}

static int
every_length_behind_a_header(const void *arg)
{
	struct world w;

	TEST_ASSERT_SUCCESS(world_start(&w, arg, 1), "the devices must start");
	for (uint32_t len = 1; len <= MAX_FRAME - 300; len = next_length(len))
		for (unsigned int i = 0; i < 12; i++)
			if (headed_bursts(&w, len, i / 6 * 54, 1 + i / 2 % 3, i % 2) != 0) {
				printf("%u bytes, shape %u\n", len, i);
				return TEST_FAILED;
			}
	return world_stop(&w);
}

/* ---- random operations ---- */

static uint32_t
random_length(struct world *w)
{
	static const uint32_t most[] = { 64, 300, 1518, 1518, 2100, MAX_FRAME };

	return 1 + pick(w, most[pick(w, RTE_DIM(most))]);
}

/** A piece or several, cut behind the header, or anywhere. */
static void
random_pieces(struct world *w, struct model_chain *chain, uint32_t len)
{
	unsigned int n = pick(w, 3) ? 1 : 1 + pick(w, MAX_PIECES);

	if (pick(w, 3) == 0) {
		add_piece(chain, pick(w, MAX_GAP), w->header);
		len -= w->header;
	}
	for (; n > 1 && len > 1; n--) {
		uint32_t piece = pick(w, 2) ? 1 + pick(w, len - 1) :
			RTE_MIN(1 + pick(w, 14), len - 1);

		if (!add_piece(chain, pick(w, MAX_GAP), piece))
			break;
		len -= piece;
	}
	add_piece(chain, pick(w, MAX_GAP), len);
}

/** What was in the slot before is there again, whatever it was: guards for the next. */
static void
random_background(struct world *w, unsigned int ring, const struct model_chain *chain)
{
	memset(w->rings[ring].memory + chain->id * SLOT, pick(w, 256), SLOT);
}

static int
random_offer(struct world *w)
{
	for (unsigned int n = 1 + pick(w, 20); n > 0; n--) {
		struct model_chain *chain = begin_chain(w, TO_GUEST);
		uint32_t len = w->header + 60 + (w->mergeable ? random_length(w) :
			1518 + pick(w, 7000));

		if (chain == NULL)
			break;
		random_background(w, TO_GUEST, chain);
		random_pieces(w, chain, pick(w, 20) ? len : w->header + 30);
		TEST_ASSERT_SUCCESS(offer_chain(w, TO_GUEST, pick(w, 4) == 0), "room");
	}
	publish(w, TO_GUEST);
	return 0;
}

static int
random_send(struct world *w)
{
	struct frame frames[MAX_BURST];
	unsigned int n = pick(w, MAX_BURST + 1);
	bool simple = pick(w, 2);

	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = random_length(w);

		frames[i] = (struct frame){ sources + pick(w, source_bytes - len), len,
			simple || pick(w, 4) ? 0 : 100 + pick(w, 1500) };
	}
	return send_frames(w, frames, n);
}

static int
random_guest_sends(struct world *w)
{
	struct model_ring *m = &w->rings[TO_HOST];

	for (unsigned int n = 1 + pick(w, 20); n > 0; n--) {
		struct model_chain *chain = begin_chain(w, TO_HOST);
		uint32_t len = random_length(w);
		static const uint8_t header[12];

		if (chain == NULL)
			break;
		random_background(w, TO_HOST, chain);
		random_pieces(w, chain, w->header + len);
		store(m, chain, 0, header, w->header);
		store(m, chain, w->header, sources + pick(w, source_bytes - len), len);
		TEST_ASSERT_SUCCESS(offer_chain(w, TO_HOST, pick(w, 4) == 0), "room");
	}
	publish(w, TO_HOST);
	return 0;
}

static int
random_receive(struct world *w)
{
	return receive_frames(w, pools[pick(w, RTE_DIM(pools))], pick(w, MAX_BURST + 1));
}

static int
random_operations_agree_with_the_model(const void *arg)
{
	static int (* const ops[])(struct world *w) = {
		random_offer, random_send, random_guest_sends, random_receive
	};
	unsigned int seed = test_param_u64("seed", fake_now_ms() & 0xffffff), spoiled = 0;
	struct world w;

	printf("seed=%u\n", seed);
	TEST_ASSERT_SUCCESS(world_start(&w, arg, seed), "the devices must start");
	for (unsigned int i = 0; i < 8000; i++)
		TEST_ASSERT_SUCCESS(ops[pick(&w, RTE_DIM(ops))](&w), "operation %u of seed %u", i,
			seed);
	for (unsigned int i = 0; i < RTE_DIM(pools); i++)
		rte_mempool_obj_iter(pools[i], count_spoiled, &spoiled);
	TEST_ASSERT_EQUAL(spoiled, 0, "mbufs that nobody got");
	TEST_ASSERT(w.moved[TO_GUEST] > 5000 && w.moved[TO_HOST] > 5000, "enough: %u and %u",
		w.moved[TO_GUEST], w.moved[TO_HOST]);
	return world_stop(&w);
}

/* ---- the choice ---- */

static bool
cpu_has_avx2(void)
{
#if VHOST_BUILD_AVX2
	return rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX2) == 1;
#else
	return false;
#endif
}

static int
width_chooses_the_build(void)
{
	struct world w;
	bool avx2 = cpu_has_avx2();

	TEST_ASSERT_SUCCESS(world_start(&w, &(const struct fake_config){ .mergeable = true }, 1),
		"the devices must start");
	for_each_lane(lane, &w) {
		bool plain = lane->enqueue == w.lanes[0].enqueue &&
			lane->dequeue == w.lanes[0].dequeue;

		TEST_ASSERT_EQUAL(plain, w.nb_lanes == 1 || lane->bits < 256 || !avx2, "%u bits",
			lane->bits);
	}
	return world_stop(&w);
}

/* ---- the suites ---- */

static int
create_pools(void)
{
	char name[32];

	for (unsigned int i = 0; i < RTE_DIM(pools); i++) {
		snprintf(name, sizeof(name), "isa_%u", rooms[i]);
		pools[i] = rte_pktmbuf_pool_create(name, room_counts[i], 0, 0,
			RTE_PKTMBUF_HEADROOM + rooms[i] + TAIL_GUARD, SOCKET_ID_ANY);
		if (pools[i] == NULL)
			return -1;
		rte_mempool_obj_iter(pools[i], shorten_mbuf, NULL);
	}
	return 0;
}

static int
create_sources(void)
{
	size_t page = sysconf(_SC_PAGESIZE);

	source_bytes = RTE_ALIGN_CEIL(2 * MAX_FRAME, page);
	sources = mmap(NULL, source_bytes + page, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sources == MAP_FAILED)
		return -1;
	fake_pattern(sources, source_bytes, 4711);
	return mprotect(sources + source_bytes, page, PROT_NONE);
}

static void
teardown(void)
{
	for (unsigned int i = 0; i < RTE_DIM(pools); i++) {
		rte_mempool_free(pools[i]);
		pools[i] = NULL;
	}
	if (sources != NULL && sources != MAP_FAILED)
		munmap(sources, source_bytes + sysconf(_SC_PAGESIZE));
	sources = NULL;
	fake_teardown();
}

static int
setup(int (*format)(void))
{
	int ret = format();

	if (ret != 0)
		return ret;
	if (create_pools() == 0 && create_sources() == 0)
		return TEST_SUCCESS;
	teardown();
	return TEST_FAILED;
}

static int
setup_split(void)
{
	return setup(fake_setup);
}

static int
setup_packed(void)
{
	return setup(fake_setup_packed);
}

static const struct fake_config plain = { .mergeable = false };
static const struct fake_config mergeable = { .mergeable = true };
static const struct fake_config event_idx = { .mergeable = true, .event_idx = true };
static const struct fake_config in_order = { .in_order = true };
static const struct fake_config mergeable_in_order = { .mergeable = true, .in_order = true };
static const struct fake_config legacy = { .legacy = true };

#define RANDOM(cfg) \
	TEST_CASE_WITH(random_operations_agree_with_the_model, "random_operations_" #cfg, &cfg)

static const struct test_case split_cases[] = {
	TEST_CASE(width_chooses_the_build),
	TEST_CASE_WITH(every_length_at_every_start, "every_length_plain", &plain),
	TEST_CASE_WITH(every_length_behind_a_header, "every_length_behind_a_header_plain", &plain),
	TEST_CASE_WITH(every_length_at_every_start, "every_length_mergeable", &mergeable),
	TEST_CASE_WITH(every_length_at_every_start, "every_length_legacy", &legacy),
	TEST_CASE_WITH(every_length_behind_a_header, "every_length_behind_a_header_legacy", &legacy),
	RANDOM(plain), RANDOM(mergeable), RANDOM(event_idx), RANDOM(in_order),
	RANDOM(mergeable_in_order), RANDOM(legacy),
};

static const struct test_case packed_cases[] = {
	TEST_CASE(width_chooses_the_build),
	TEST_CASE_WITH(every_length_at_every_start, "every_length_plain", &plain),
	TEST_CASE_WITH(every_length_behind_a_header, "every_length_behind_a_header_plain", &plain),
	TEST_CASE_WITH(every_length_at_every_start, "every_length_mergeable", &mergeable),
	TEST_CASE_WITH(every_length_at_every_start, "every_length_in_order", &in_order),
	TEST_CASE_WITH(every_length_behind_a_header, "every_length_behind_a_header_in_order",
		&in_order),
	RANDOM(plain), RANDOM(mergeable), RANDOM(event_idx), RANDOM(in_order),
	RANDOM(mergeable_in_order),
};

static int
test_vhost_isa(void)
{
	static const struct test_suite suite = {
		.name = "vhost instruction sets",
		.setup = setup_split,
		.check = fake_check,
		.teardown = teardown,
		TEST_SUITE_CASES(split_cases),
	};

	return test_suite_run(&suite);
}

static int
test_vhost_isa_packed(void)
{
	static const struct test_suite suite = {
		.name = "vhost instruction sets, packed rings",
		.setup = setup_packed,
		.check = fake_check,
		.teardown = teardown,
		TEST_SUITE_CASES(packed_cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_isa_autotest, test_vhost_isa);
REGISTER_TEST_COMMAND(vhost_isa_packed_autotest, test_vhost_isa_packed);
