/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Packed rings whose backend was killed: what their descriptors tell.
 *
 * The first half is a model of a driver and a backend, in which the backend is killed
 * between any two of its stores, and the driver caught between any two of its own: the
 * position that is read off must be the right one, or none; never another.  The second
 * half kills the real one, by hanging up on it without a word.
 */

#include <string.h>

#include <linux/virtio_config.h>

#include <rte_common.h>
#include <rte_mbuf.h>

#include "ring_resume.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_log.h"

#define WRAP (1u << VRING_PACKED_EVENT_F_WRAP_CTR)
#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED (1u << VRING_PACKED_DESC_F_USED)

/* ---- the model ---- */

#define MODEL_MAX 64

/** By which ids a driver names its chains. */
enum ids {
	IDS_LIFO,	/**< the id that came back last is used first, as Linux does */
	IDS_FIFO,	/**< the one that came back first */
	IDS_PLACE,	/**< the place in the ring, as drivers do that keep the order */
	IDS_KINDS,
};

struct chain {
	uint16_t id;
	uint16_t places;
};

/** Positions are counted from the start of the ring and do not wrap. */
struct model {
	struct vring_packed_desc ring[MODEL_MAX];
	uint32_t size;
	enum ids ids;
	bool in_order;		/**< one used descriptor for a batch */
	bool caught;		/**< look while the driver writes as well, which takes long */
	uint32_t offered;	/**< position of the driver's next chain */
	uint32_t given;		/**< of what the device gives back next */
	uint32_t collected;	/**< of what the driver looks at next */
	struct chain chains[MODEL_MAX];	/**< offered and not collected: a circle by position */
	uint16_t free_ids[MODEL_MAX];
	uint32_t nfree;
};

/** A store to what is behind the address of a descriptor. */
struct store {
	uint32_t position;
	uint32_t len;
	uint16_t id;
	uint16_t flags;		/**< without marks */
	uint32_t end;		/**< where the element ends that it belongs to */
};

static struct model
model_start(uint32_t size, enum ids ids, bool in_order)
{
	struct model m = { .size = size, .ids = ids, .in_order = in_order, .nfree = size };

	for (uint32_t i = 0; i < size; i++)
		m.free_ids[i] = i;
	return m;
}

static uint16_t
wire(const struct model *m, uint32_t position)
{
	return position % m->size | (position / m->size % 2 == 0 ? WRAP : 0);
}

static uint16_t
mark(const struct model *m, uint32_t position, bool used)
{
	bool lap = position / m->size % 2 == 0;

	return (lap ? AVAIL : 0) | (lap == used ? USED : 0);
}

static uint16_t
take_id(struct model *m)
{
	uint16_t id = m->free_ids[m->ids == IDS_LIFO ? m->nfree - 1 : 0];

	if (m->ids == IDS_PLACE)
		return m->offered % m->size;
	m->nfree--;
	if (m->ids == IDS_FIFO)
		memmove(m->free_ids, m->free_ids + 1, m->nfree * sizeof(id));
	return id;
}

/** Whether what is read off is right, or nothing. */
static bool
is_right(const struct model *m, bool may_be_unclear)
{
	struct ring_resume found;

	if (!vhost_ring_resume_look(m->ring, m->size, &found))
		return may_be_unclear;
	return found.used == wire(m, m->given) && found.end == found.used;
}

/** Offer a chain, if there is room; false if the ring is misread meanwhile. */
static bool
offer(struct model *m, uint16_t places)
{
	struct chain chain = { .places = places };
	bool right = true;

	if (m->offered + places > m->collected + m->size)
		return true;
	chain.id = take_id(m);
	/* the head comes last */
	for (uint32_t i = places; i-- > 0; ) {
		uint32_t position = m->offered + i;
		struct vring_packed_desc *desc = &m->ring[position % m->size];

		desc->len = 1000;
		desc->id = m->ids == IDS_LIFO || i + 1 == places ? chain.id : 0xaaaa;
		desc->flags = mark(m, position, false) |
			(i + 1 < places ? VRING_DESC_F_NEXT : 0);
		/* one that fills the ring looks like another one */
		right &= i == 0 || places == m->size || !m->caught || is_right(m, true);
	}
	m->chains[m->offered % m->size] = chain;
	m->offered += places;
	return right && is_right(m, false);
}

/** What the device stores to give back the next n chains: how many stores. */
static unsigned int
plan_stores(const struct model *m, unsigned int n, struct store *stores)
{
	uint32_t at = m->given;
	unsigned int nstores = 1;

	stores[0] = (struct store){ .position = at };
	for (unsigned int i = 0; i < n && at != m->offered; i++) {
		const struct chain *chain = &m->chains[at % m->size];
		struct store head = { .position = at, .id = chain->id, .len = 7 };

		head.end = at + chain->places;
		if (m->in_order) {
			stores[0].id = chain->id;
			stores[0].end = head.end;
		} else {
			if (chain->places > 1) {
				stores[nstores] = head;
				stores[nstores].position = head.end - 1;
				stores[nstores].len = chain->places - 1;
				stores[nstores++].flags = RING_RESUME_END;
			}
			if (i == 0)
				stores[0] = head;
			else
				stores[nstores++] = head;
		}
		at = head.end;
	}
	if (m->in_order && at > m->given + 1)
		stores[nstores++] = (struct store){ at - 1, at - m->given - 1, stores[0].id,
			RING_RESUME_END, at };
	/* the first is withheld */
	stores[nstores] = stores[0];
	memmove(stores, stores + 1, nstores * sizeof(*stores));
	return at != m->given ? nstores : 0;
}

/** The driver collects one element: false if it is none, or another than offered. */
static bool
collect(struct model *m)
{
	const struct vring_packed_desc *desc = &m->ring[m->collected % m->size];
	uint16_t id = desc->id, got;

	if ((desc->flags & (AVAIL | USED)) != mark(m, m->collected, true))
		return false;
	do {
		const struct chain *chain = &m->chains[m->collected % m->size];

		if (m->collected == m->offered)
			return false;
		got = chain->id;
		m->collected += chain->places;
		if (m->ids != IDS_PLACE)
			m->free_ids[m->nfree++] = got;
	} while (m->in_order && got != id);
	return got == id;
}

/** Killed now, with elements written down up to an end: whether another one can go on. */
static bool
survives(struct model *m, uint32_t end)
{
	struct ring_resume found;

	if (!vhost_ring_resume_look(m->ring, m->size, &found) ||
			found.used != wire(m, m->given) || found.end != wire(m, end))
		return false;
	vhost_ring_resume_finish(m->ring, m->size, &found);
	m->given = end;
	while (m->collected != end)
		if (!collect(m))
			return false;
	return !collect(m) && is_right(m, false);
}

/** The device gives up to n chains back, killed after each store: false if one is misread. */
static bool
give(struct model *m, unsigned int n)
{
	struct store stores[2 * MODEL_MAX + 1];
	unsigned int nstores = plan_stores(m, n, stores);
	uint32_t end = m->given;

	for (unsigned int i = 0; i < nstores; i++) {
		const struct store *store = &stores[i];
		struct vring_packed_desc *desc = &m->ring[store->position % m->size];
		struct model killed = *m;

		if (!survives(&killed, end))
			return false;
		desc->len = store->len;
		desc->id = store->id;
		desc->flags = mark(m, store->position, true) | store->flags;
		end = RTE_MAX(end, store->end);
	}
	m->given = end;
	return is_right(m, false);
}

/** What can happen in a model next. */
enum step {
	OFFER_1, OFFER_2, OFFER_3, GIVE_1, GIVE_2, GIVE_ALL, COLLECT_1, COLLECT_ALL, STEPS
};

static bool
take_step(struct model *m, enum step step)
{
	switch (step) {
	case GIVE_1: return give(m, 1);
	case GIVE_2: return give(m, 2);
	case GIVE_ALL: return give(m, m->size);
	case COLLECT_1: return m->collected == m->given || collect(m);
	case COLLECT_ALL:
		while (m->collected != m->given)
			if (!collect(m))
				return false;
		return true;
	default: return offer(m, step - OFFER_1 + 1);
	}
}

/** Take every row of so many steps; false if one is misread. */
static bool
take_all_steps(const struct model *from, unsigned int n)
{
	for (unsigned int step = 0; n > 0 && step < STEPS; step++) {
		struct model m = *from;

		if (!take_step(&m, step) || !take_all_steps(&m, n - 1))
			return false;
	}
	return true;
}

static int
every_kill_in_short_lives(void)
{
	for (uint32_t size = 1; size <= 5; size++)
		for (unsigned int kind = 0; kind < 2 * IDS_KINDS; kind++) {
			struct model m = model_start(size, kind / 2,
				kind % 2 == 1 && kind / 2 == IDS_PLACE);

			TEST_ASSERT(take_all_steps(&m, 5), "size %u, kind %u", size, kind);
		}
	return 0;
}

static uint32_t seed;

static uint32_t
any(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/** A step at random; chains of up to max descriptors. */
static bool
take_any_step(struct model *m, uint16_t max)
{
	switch (any(4)) {
	case 0: return give(m, 1 + any(m->size));
	case 1: return take_step(m, COLLECT_1 + any(2));
	default:
		for (unsigned int i = any(m->size); i > 0; i--)
			if (!offer(m, 1 + any(max)))
				return false;
		return true;
	}
}

static int
every_kill_in_long_lives(void)
{
	for (unsigned int life = 0; life < 400; life++) {
		unsigned int kind = life % (IDS_KINDS + 1);
		uint32_t size = 1 + any(life % 8 == 0 ? MODEL_MAX : 12);
		struct model m = model_start(size, RTE_MIN(kind, (unsigned int)IDS_PLACE),
			kind == IDS_KINDS);
		uint16_t max = 1 + any(RTE_MIN(size, 6u));

		m.caught = true;
		for (unsigned int step = 0; step < 100; step++)
			TEST_ASSERT(take_any_step(&m, max), "life %u, step %u, size %u", life,
				step, size);
	}
	return 0;
}

static int
any_contents_are_survived(void)
{
	struct vring_packed_desc ring[MODEL_MAX];
	struct ring_resume found;

	for (unsigned int i = 0; i < 3000; i++) {
		uint32_t size = 1 + any(i % 2 == 0 ? 6 : MODEL_MAX);
		uint16_t at = any(size) | (any(2) ? WRAP : 0), used = at;

		for (uint32_t n = 0; n < size; n++)
			ring[n] = (struct vring_packed_desc){ .len = any(5), .id = any(4),
				.flags = any(2) * AVAIL | any(2) * USED | any(8) };
		if (i % 3 == 0)
			ring[any(size)].len = UINT32_MAX - any(3);
		if (vhost_ring_resume_look(ring, size, &found))
			TEST_ASSERT((found.used & ~WRAP) < size && (found.end & ~WRAP) < size,
				"places of the ring");
		vhost_ring_resume(ring, size, i % 2, &at, &used);
		TEST_ASSERT((at & ~WRAP) < size && (used & ~WRAP) < size, "places of the ring");
	}
	return 0;
}

/* ---- who is believed ---- */

static int
a_fresh_ring_starts_at_its_start(void)
{
	struct model m = model_start(8, IDS_LIFO, false);
	uint16_t avail = WRAP, used = WRAP;

	TEST_ASSERT_EQUAL(vhost_ring_resume(m.ring, 8, false, &avail, &used), RING_AS_TOLD,
		"all zeros");
	TEST_ASSERT(offer(&m, 1) && offer(&m, 2), "the driver was quicker");
	TEST_ASSERT_EQUAL(vhost_ring_resume(m.ring, 8, false, &avail, &used), RING_AS_TOLD,
		"a few chains");
	TEST_ASSERT(avail == WRAP && used == WRAP, "as told");
	return 0;
}

static int
a_position_that_is_right_is_kept(void)
{
	struct model m = model_start(8, IDS_LIFO, false);
	uint16_t avail, used;

	for (unsigned int i = 0; i < 20; i++) {
		TEST_ASSERT(offer(&m, 2) && offer(&m, 1) && give(&m, 1) &&
			take_step(&m, COLLECT_ALL), "traffic");
		avail = wire(&m, m.offered);
		used = wire(&m, m.given);
		TEST_ASSERT_EQUAL(vhost_ring_resume(m.ring, 8, false, &avail, &used),
			RING_AS_TOLD, "it agrees");
		TEST_ASSERT(avail == wire(&m, m.offered) && used == wire(&m, m.given),
			"also what was taken only");
		TEST_ASSERT(give(&m, 2) && take_step(&m, COLLECT_ALL), "the rest");
	}
	return 0;
}

static int
a_position_that_is_wrong_is_not(void)
{
	struct model m = model_start(8, IDS_LIFO, false);
	uint16_t avail = WRAP, used = WRAP;

	for (unsigned int i = 0; i < 11; i++)
		TEST_ASSERT(offer(&m, 1) && give(&m, 1) && collect(&m), "traffic");
	TEST_ASSERT(offer(&m, 1), "more");
	TEST_ASSERT_EQUAL(vhost_ring_resume(m.ring, 8, false, &avail, &used), RING_ADOPTED,
		"the start is not it");
	TEST_ASSERT(avail == wire(&m, 11) && used == wire(&m, 11), "but 3, in the second lap");
	return 0;
}

/** Other backends leave no ends. */
static void
remove_ends(struct model *m)
{
	for (uint32_t i = 0; i < m->size; i++)
		if (m->ring[i].flags & RING_RESUME_END) {
			m->ring[i].flags &= ~RING_RESUME_END;
			m->ring[i].flags ^= USED;
		}
}

static int
other_backends_are_moved_from(void)
{
	for (unsigned int chains = 1; chains <= 12; chains++) {
		struct model m = model_start(16, IDS_PLACE, true);
		uint16_t avail, used;

		for (unsigned int i = 0; i < 7; i++)
			TEST_ASSERT(offer(&m, 1), "chains");
		TEST_ASSERT(give(&m, m.size) && take_step(&m, COLLECT_ALL), "a batch");
		for (unsigned int i = 0; i < chains; i++)
			TEST_ASSERT(offer(&m, 1), "and more");
		remove_ends(&m);
		avail = used = wire(&m, m.given);
		TEST_ASSERT(vhost_ring_resume(m.ring, 16, true, &avail, &used) != RING_ADOPTED,
			"%u chains wait: a wrong position", chains);
		TEST_ASSERT(avail == wire(&m, m.given) && used == avail, "where it was");
	}
	return 0;
}

static int
a_ring_without_sense_starts_as_told(void)
{
	struct vring_packed_desc ring[8] = { 0 };
	uint16_t avail = 3 | WRAP, used = 2 | WRAP;

	for (unsigned int i = 0; i < 8; i += 2)
		ring[i].flags = AVAIL;
	TEST_ASSERT_EQUAL(vhost_ring_resume(ring, 8, false, &avail, &used), RING_UNCLEAR,
		"four laps at once");
	TEST_ASSERT(avail == (3 | WRAP) && used == (2 | WRAP), "as told");
	return 0;
}

static const struct test_case model_cases[] = {
	TEST_CASE(every_kill_in_short_lives),
	TEST_CASE(every_kill_in_long_lives),
	TEST_CASE(any_contents_are_survived),
	TEST_CASE(a_fresh_ring_starts_at_its_start),
	TEST_CASE(a_position_that_is_right_is_kept),
	TEST_CASE(a_position_that_is_wrong_is_not),
	TEST_CASE(other_backends_are_moved_from),
	TEST_CASE(a_ring_without_sense_starts_as_told),
};

static int
test_vhost_resume(void)
{
	const struct test_suite suite = {
		.name = "vhost resumption of packed rings",
		TEST_SUITE_CASES(model_cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_resume_autotest, test_vhost_resume);

/* ---- the real one ---- */

/** What frontends tell that do not know: both at the start, in the first lap. */
#define BASE_OF_A_START ((uint64_t)WRAP << 16 | WRAP)

/** The backend has died; another one is told that the ring is at its start. */
static int
come_back(struct fake *fe)
{
	if (fake_connect(fe) < 0 || fake_negotiate(fe) < 0 || fake_send_mem_table(fe) < 0)
		return -1;
	for (unsigned int i = 0; i < fe->nvrings; i++) {
		struct fake_addr addr = fake_addr_of(fe, i);

		if (fake_call_state(fe, FE_SET_VRING_NUM, i, fe->vqs[i].size) != FAKE_ACK ||
				fake_call_state(fe, FE_SET_VRING_BASE, i, BASE_OF_A_START) !=
					FAKE_ACK ||
				fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0) !=
					FAKE_ACK ||
				fake_call_fd(fe, FE_SET_VRING_KICK, i, fe->vqs[i].kickfd) != FAKE_ACK ||
				fake_call_fd(fe, FE_SET_VRING_CALL, i, fe->vqs[i].callfd) != FAKE_ACK)
			return -1;
	}
	for (unsigned int i = 0; i < fe->nvrings; i++)
		if (fake_enable_vring(fe, i, true) < 0)
			return -1;
	return fake_wait_events(fe, FAKE_NEW_DEVICE, 1) ? 0 : -1;
}

static int
take_over(struct fake *fe)
{
	fake_disconnect(fe);
	return come_back(fe);
}

#define LENGTH 300

static bool
guest_sends(struct fake *fe, uint32_t number, const struct fake_shape *shape)
{
	uint8_t packet[LENGTH];

	fake_pattern(packet, sizeof(packet), number);
	return fake_tx_send(&fe->vqs[1], NULL, packet, sizeof(packet), shape);
}

static bool
host_hears(struct fake *fe, uint32_t number)
{
	struct rte_mbuf *packet = fake_backend_receive(fe, 0);
	bool right = packet != NULL && fake_mbuf_matches(packet, LENGTH, number);

	rte_pktmbuf_free(packet);
	return right;
}

static bool
guest_hears(struct fake *fe, uint32_t number)
{
	uint8_t packet[2048];

	return fake_rx_take(&fe->vqs[0], NULL, packet, sizeof(packet)) == LENGTH &&
		fake_pattern_matches(packet, LENGTH, number);
}

/** A guest and how it cuts its buffers. */
struct guest {
	struct fake_config cfg;
	struct fake_shape shape;
};

/** Ten backends die, each with packets on their way: what they did not give back is served. */
static int
ten_backends_die(const void *arg)
{
	const struct guest *guest = arg;
	uint32_t sent = 0, heard = 0, to_guest = 0, at_guest = 0;
	struct fake *fe = fake_start_config(&guest->cfg);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (unsigned int i = 0; i < 10; i++) {
		for (unsigned int n = 0; n < 3 + i % 3; n++)
			TEST_ASSERT(guest_sends(fe, sent++, &guest->shape), "room");
		fake_rx_fill(&fe->vqs[0], 3, 512, &guest->shape);
		for (unsigned int n = 0; n < 1 + i % 2; n++)
			TEST_ASSERT(host_hears(fe, heard++), "packet %u", heard);
		TEST_ASSERT(fake_backend_send(fe, 0, LENGTH, to_guest++), "to the guest");
		if (i % 2 == 0)
			fake_tx_reap(&fe->vqs[1]);
		fake_interrupts(&fe->vqs[1]);
		TEST_ASSERT_SUCCESS(take_over(fe), "another backend, %u", i);
		TEST_ASSERT(fake_interrupts(&fe->vqs[1]) > 0, "the guest is woken");
		while (heard < sent)
			TEST_ASSERT(host_hears(fe, heard++), "packet %u is served", heard);
		fake_tx_reap(&fe->vqs[1]);
		TEST_ASSERT(fake_backend_send(fe, 0, LENGTH, to_guest++), "to the guest");
		while (at_guest < to_guest)
			TEST_ASSERT(guest_hears(fe, at_guest++), "packet %u", at_guest);
	}
	return fake_stop(fe);
}

/** Mark what is in the ring behind the next one as used, as a batch does. */
static void
write_down_a_batch(struct fake_vq *vq, unsigned int n)
{
	for (unsigned int i = 1; i < n; i++) {
		struct vring_packed_desc *desc = &vq->packed[vq->used_idx + i];

		desc->len = 0;
		desc->flags = vq->used_wrap ? AVAIL | USED : 0;
	}
}

static int
a_batch_half_given_is_finished(void)
{
	struct fake *fe = fake_start(.format = FAKE_PACKED, .ring_size = 64);

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (uint32_t i = 0; i < 5; i++)
		TEST_ASSERT(guest_sends(fe, i, NULL), "room");
	fake_disconnect(fe);
	write_down_a_batch(&fe->vqs[1], 3);
	TEST_ASSERT_SUCCESS(come_back(fe), "another backend");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 3, "they are lost, and come back");
	TEST_ASSERT(host_hears(fe, 3) && host_hears(fe, 4), "those behind are served");
	TEST_ASSERT_EQUAL(fake_tx_reap(&fe->vqs[1]), 2, "and come back");
	return fake_stop(fe);
}

static int
a_position_told_holds(void)
{
	struct fake *fe = fake_start(.format = FAKE_PACKED, .ring_size = 8);
	struct log_capture log;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (uint32_t i = 0; i < 11; i++)
		TEST_ASSERT(guest_sends(fe, i, NULL) && host_hears(fe, i) &&
			fake_tx_reap(&fe->vqs[1]) == 1, "packet %u", i);
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	for (unsigned int i = 0; i < fe->nvrings; i++)
		TEST_ASSERT(fake_stop_vring(fe, i) >= 0, "its base");
	TEST_ASSERT_SUCCESS(fake_run(fe), "it goes on");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "descriptors"), 0, "nothing to say:\n%s", log.text);
	log_free(&log);
	TEST_ASSERT(guest_sends(fe, 11, NULL) && host_hears(fe, 11), "where it was");
	return fake_stop(fe);
}

static int
nonsense_is_said(void)
{
	struct fake *fe = fake_start(.format = FAKE_PACKED, .ring_size = 8);
	struct log_capture log;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	fake_disconnect(fe);
	for (unsigned int i = 0; i < 8; i += 2)
		fe->vqs[1].packed[i].flags = AVAIL;
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	TEST_ASSERT_SUCCESS(come_back(fe), "another backend");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "descriptors do not tell"), 1, "one ring:\n%s", log.text);
	log_free(&log);
	return fake_stop(fe);
}

#define GUEST(...) { .format = FAKE_PACKED, .ring_size = 61, __VA_ARGS__ }

static const struct guest
	plain = { GUEST(.event_idx = true), { 0 } },
	client = { GUEST(.client = true), { 0 } },
	mergeable = { GUEST(.mergeable = true, .client = true), { 0 } },
	in_order = { GUEST(.in_order = true), { 0 } },
	chained = { GUEST(), { .header = 12, .seg = 100 } },
	chained_in_order = { GUEST(.in_order = true), { .header = 12, .seg = 100 } },
	indirect = { GUEST(), { .header = 12, .seg = 100, .indirect = true } };

static const struct test_case real_cases[] = {
	TEST_CASE_WITH(ten_backends_die, "ten_backends_die", &plain),
	TEST_CASE_WITH(ten_backends_die, "ten_backends_die_client", &client),
	TEST_CASE_WITH(ten_backends_die, "ten_backends_die_mergeable", &mergeable),
	TEST_CASE_WITH(ten_backends_die, "ten_backends_die_in_order", &in_order),
	TEST_CASE_WITH(ten_backends_die, "ten_backends_die_chained", &chained),
	TEST_CASE_WITH(ten_backends_die, "ten_backends_die_chained_in_order", &chained_in_order),
	TEST_CASE_WITH(ten_backends_die, "ten_backends_die_indirect", &indirect),
	TEST_CASE(a_batch_half_given_is_finished),
	TEST_CASE(a_position_told_holds),
	TEST_CASE(nonsense_is_said),
};

static int
test_vhost_resume_ring(void)
{
	const struct test_suite suite = {
		.name = "vhost taking packed rings over",
		.setup = fake_setup_packed,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(real_cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_resume_packed_autotest, test_vhost_resume_ring);
