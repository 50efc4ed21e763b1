/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Operations are under way while everything else changes: sessions, rings, memory,
 * nodes, the connection.  Whatever happens, the guest has one answer to each request,
 * nothing is written where it does not expect it, and nothing is left behind.
 */

#include <pthread.h>
#include <unistd.h>

#include <rte_crypto.h>
#include <rte_vhost_crypto.h>

#include "crypto/crypto.h"
#include "mem_heap.h"
#include "mem_node.h"
#include "test.h"
#include "vhost_fake_crypto.h"
#include "vhost_fake_dirty.h"
#include "vhost_test_machine.h"
#include "vhost_test_topology.h"

#define THERE 8
#define NREQ 3

static const struct fake_crypto_app in_place = { .zero_copy = true };

/** A device with requests that are under way. */
struct story {
	struct fake *fe;
	int64_t session;
	struct fake_crypto_request reqs[NREQ];
	struct rte_crypto_op *ops[NREQ];
};

static bool
begin(struct story *s, const struct fake_crypto_app *app, struct fake_config cfg)
{
	cfg.ring_size = 64;
	cfg.crypto = true;
	s->fe = fake_crypto_start_config(app, cfg);
	if (s->fe == NULL)
		return false;
	s->session = fake_crypto_open_aes(s->fe);
	for (unsigned int i = 0; i < NREQ; i++)
		if (!fake_crypto_request(s->fe, &s->reqs[i], s->session, 64, i) ||
				!fake_crypto_offer(&s->fe->vqs[0], &s->reqs[i]))
			return false;
	return fake_crypto_fetch(s->fe, 0, s->ops, NREQ) == NREQ;
}

#define begin(s, app, ...) begin(s, app, (struct fake_config){ __VA_ARGS__ })

/** Stop the rings; where the first one stopped. */
static int64_t
stop_rings(struct fake *fe)
{
	int64_t base = fake_stop_vring(fe, 0);

	return fake_stop_vring(fe, 1) == 0 ? base : -1;
}

/** The operations come back, at last. */
static bool
come_back(struct story *s)
{
	return fake_crypto_process(s->ops, NREQ) && fake_crypto_finalize(s->ops, NREQ) == NREQ;
}

/** Whether each request has that status, and its answer is in the ring. */
static bool
all_answered(struct story *s, uint8_t status)
{
	for (unsigned int i = 0; i < NREQ; i++)
		if (fake_collect(&s->fe->vqs[0], NULL) < 0 ||
				fake_crypto_status(s->fe, &s->reqs[i]) != status)
			return false;
	return fake_collect(&s->fe->vqs[0], NULL) < 0;
}

/** Does the device work as if nothing had happened? */
static bool
works(struct fake *fe, int64_t session)
{
	const struct fake_crypto_session aes = fake_crypto_cipher(VIRTIO_CRYPTO_CIPHER_AES_CBC,
		16, VIRTIO_CRYPTO_OP_ENCRYPT);
	struct fake_crypto_request req;
	uint8_t want[64];

	return fake_crypto_request(fe, &req, session, 64, 77) &&
		fake_crypto_reference(&aes, req.iv, fake_crypto_src(fe, &req), want, 64, true) &&
		fake_crypto_round(fe, 0, &req, NULL) == VIRTIO_CRYPTO_OK &&
		memcmp(fake_crypto_dst(fe, &req), want, 64) == 0;
}

/** Blocks that the library has; the buffers of requests come and go with theirs. */
static unsigned int
blocks(void)
{
	struct vhost_heap_usage usage;

	vhost_heap_usage(vhost_node_home(), &usage);
	return usage.blocks;
}

static bool
wait_for(unsigned int (*count)(void), unsigned int n)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (count() != n && fake_now_ms() < until)
		usleep(1000);
	return count() == n;
}

/* ---- sessions ---- */

static int
session_is_closed_under_operations(void)
{
	struct fake_crypto_request late;
	struct story s;

	TEST_ASSERT(begin(&s, NULL), "it begins");
	TEST_ASSERT_EQUAL(fake_crypto_close(s.fe, s.session), FAKE_ACK, "closed");
	TEST_ASSERT_EQUAL(fake_crypto_sessions_out(), 1, "but it is in use");
	TEST_ASSERT(fake_crypto_request(s.fe, &late, s.session, 64, 1), "a request");
	TEST_ASSERT_EQUAL(fake_crypto_open_aes(s.fe), 2, "another session");
	TEST_ASSERT(come_back(&s), "they come back");
	TEST_ASSERT(all_answered(&s, VIRTIO_CRYPTO_OK), "and are done");
	TEST_ASSERT_EQUAL(fake_crypto_round(s.fe, 0, &late, NULL), VIRTIO_CRYPTO_INVSESS,
		"no other one is");
	TEST_ASSERT(wait_for(fake_crypto_sessions_out, 1), "and then it is freed");
	return fake_stop(s.fe);
}

static int
sessions_survive_a_restart(void)
{
	struct fake *fe = fake_crypto_start(NULL, .ring_size = 64);
	int64_t id, closed;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	closed = fake_crypto_open_aes(fe);
	id = fake_crypto_open_aes(fe);
	TEST_ASSERT(works(fe, id), "it works");
	for (unsigned int round = 0; round < 3; round++) {
		TEST_ASSERT(stop_rings(fe) >= 0, "stopped");
		TEST_ASSERT_EQUAL(fake_crypto_sessions_out(), 0, "no cryptodev has it");
		if (round == 1)
			TEST_ASSERT_EQUAL(fake_crypto_close(fe, closed), FAKE_ACK,
				"one is closed meanwhile");
		TEST_ASSERT_SUCCESS(fake_run(fe), "and started");
		TEST_ASSERT(fake_is_served(fe) && works(fe, id), "it works");
	}
	return fake_stop(fe);
}

/* ---- rings ---- */

static int
ring_stops_under_operations(const struct fake_crypto_app *app)
{
	struct story s;
	uint16_t used;

	TEST_ASSERT(begin(&s, app), "it begins");
	TEST_ASSERT_EQUAL(stop_rings(s.fe), NREQ, "stopped behind the last one");
	TEST_ASSERT(all_answered(&s, VIRTIO_CRYPTO_ERR), "all have an answer");
	used = s.fe->vqs[0].used->idx;
	TEST_ASSERT_SUCCESS(fake_run(s.fe), "and started");
	TEST_ASSERT(fake_is_served(s.fe), "it runs");
	TEST_ASSERT(come_back(&s), "they come back");
	TEST_ASSERT_EQUAL(fake_crypto_calls(), 0, "and nobody is called");
	TEST_ASSERT_EQUAL(s.fe->vqs[0].used->idx, used, "nor given another answer");
	for (unsigned int i = 0; i < NREQ; i++)
		TEST_ASSERT_EQUAL(fake_crypto_status(s.fe, &s.reqs[i]), VIRTIO_CRYPTO_ERR,
			"nor another status");
	TEST_ASSERT(works(s.fe, s.session), "it works");
	return fake_stop(s.fe);
}

/** Blocks with operations under way are left behind twice; each operation finds its own. */
static int
rings_stop_twice_under_operations(void)
{
	struct fake_crypto_request more;
	struct rte_crypto_op *op;
	struct story s;

	TEST_ASSERT(begin(&s, NULL), "it begins");
	TEST_ASSERT_EQUAL(stop_rings(s.fe), NREQ, "stopped");
	TEST_ASSERT(all_answered(&s, VIRTIO_CRYPTO_ERR), "all have an answer");
	TEST_ASSERT_SUCCESS(fake_run(s.fe), "and started");
	TEST_ASSERT(fake_is_served(s.fe), "it runs");
	TEST_ASSERT(fake_crypto_request(s.fe, &more, s.session, 64, 5) &&
		fake_crypto_offer(&s.fe->vqs[0], &more), "one more");
	TEST_ASSERT_EQUAL(fake_crypto_fetch(s.fe, 0, &op, 1), 1, "is taken");
	TEST_ASSERT(stop_rings(s.fe) >= 0, "stopped again");
	TEST_ASSERT_EQUAL(fake_collect(&s.fe->vqs[0], NULL), more.id, "with an answer as well");
	TEST_ASSERT_SUCCESS(fake_run(s.fe), "and started");
	TEST_ASSERT(fake_is_served(s.fe), "it runs");
	TEST_ASSERT(come_back(&s), "the first come back");
	TEST_ASSERT(fake_crypto_process(&op, 1) && fake_crypto_finalize(&op, 1) == 1,
		"and the other one");
	TEST_ASSERT(works(s.fe, s.session), "it works");
	return fake_stop(s.fe);
}

static int
ring_stops_under_copies(void)
{
	return ring_stops_under_operations(NULL);
}

static int
ring_stops_under_zero_copy(void)
{
	return ring_stops_under_operations(&in_place);
}

static void *
come_back_soon(void *story)
{
	usleep(20000);
	return come_back(story) ? story : NULL;
}

static int
stop_lets_operations_come_back(void)
{
	pthread_t poller;
	struct story s;
	void *done;

	TEST_ASSERT(begin(&s, NULL), "it begins");
	TEST_ASSERT_SUCCESS(pthread_create(&poller, NULL, come_back_soon, &s), "a thread");
	TEST_ASSERT_EQUAL(stop_rings(s.fe), NREQ, "stopped behind the last one");
	pthread_join(poller, &done);
	TEST_ASSERT_NOT_NULL(done, "they came back");
	TEST_ASSERT(all_answered(&s, VIRTIO_CRYPTO_OK), "and are done");
	return fake_stop(s.fe);
}

static int
disabled_ring_answers_what_it_took(void)
{
	struct fake_crypto_request more;
	struct rte_crypto_op *op;
	struct story s;

	TEST_ASSERT(begin(&s, NULL), "it begins");
	TEST_ASSERT_SUCCESS(fake_enable_vring(s.fe, 0, false), "disabled");
	TEST_ASSERT(fake_crypto_request(s.fe, &more, s.session, 64, 5) &&
		fake_crypto_offer(&s.fe->vqs[0], &more), "one more");
	TEST_ASSERT_EQUAL(fake_crypto_fetch(s.fe, 0, &op, 1), 0, "is not taken");
	TEST_ASSERT(come_back(&s), "they come back");
	TEST_ASSERT(all_answered(&s, VIRTIO_CRYPTO_OK), "and are done");
	TEST_ASSERT_SUCCESS(fake_enable_vring(s.fe, 0, true), "enabled");
	TEST_ASSERT_EQUAL(fake_crypto_serve(s.fe, 0), 1, "it is taken");
	TEST_ASSERT_EQUAL(fake_collect(&s.fe->vqs[0], NULL), more.id, "and answered");
	return fake_stop(s.fe);
}

/* ---- memory ---- */

/** The second region, where results shall go, is taken away. */
static int
memory_goes_under_operations(const struct fake_crypto_app *app)
{
	uint64_t gone;
	struct story s;

	s.fe = fake_crypto_start_config(app, (struct fake_config){ .crypto = true,
		.ring_size = 64, .regions = 2 });
	TEST_ASSERT_NOT_NULL(s.fe, "the device must start");
	s.session = fake_crypto_open_aes(s.fe);
	for (unsigned int i = 0; i < NREQ; i++) {
		gone = fake_alloc(s.fe, 1, 4096, 4096);
		TEST_ASSERT(gone != 0 && fake_crypto_request(s.fe, &s.reqs[i], s.session, 64, i),
			"a request");
		s.reqs[i].dst_gpa = gone;
		TEST_ASSERT(fake_crypto_offer(&s.fe->vqs[0], &s.reqs[i]), "it fits");
	}
	TEST_ASSERT_EQUAL(fake_crypto_fetch(s.fe, 0, s.ops, NREQ), NREQ, "fetched");
	memset(fake_va(s.fe, s.reqs[0].dst_gpa, 64), FAKE_CRYPTO_UNTOUCHED, 64);
	s.fe->nregions = 1;
	TEST_ASSERT_SUCCESS(fake_send_mem_table(s.fe), "the other region");
	s.fe->nregions = 2;
	TEST_ASSERT(come_back(&s), "they come back");
	TEST_ASSERT(all_answered(&s, VIRTIO_CRYPTO_ERR), "all have an answer");
	if (app == NULL)
		TEST_ASSERT_EQUAL(*fake_crypto_dst(s.fe, &s.reqs[0]), FAKE_CRYPTO_UNTOUCHED,
			"nothing was written there");
	TEST_ASSERT(works(s.fe, s.session), "it works");
	return fake_stop(s.fe);
}

static int
memory_goes_under_copies(void)
{
	return memory_goes_under_operations(NULL);
}

static int
memory_goes_under_zero_copy(void)
{
	return memory_goes_under_operations(&in_place);
}

static int
zero_copy_works_in_guest_memory(void)
{
	struct story s;

	TEST_ASSERT(begin(&s, &in_place), "it begins");
	for (unsigned int i = 0; i < NREQ; i++) {
		const struct rte_crypto_sym_op *sym = s.ops[i]->sym;

		TEST_ASSERT(sym->m_dst != NULL, "two buffers");
		TEST_ASSERT_BUFFERS_ARE_EQUAL(rte_pktmbuf_mtod(sym->m_src, uint8_t *),
			fake_crypto_src(s.fe, &s.reqs[i]), 64, "the source");
		/* seen through another mapping */
		fake_crypto_src(s.fe, &s.reqs[i])[0] ^= 0xff;
		TEST_ASSERT_EQUAL(*rte_pktmbuf_mtod(sym->m_src, uint8_t *),
			fake_crypto_src(s.fe, &s.reqs[i])[0], "is the guest's");
	}
	TEST_ASSERT(come_back(&s), "they come back");
	for (unsigned int i = 0; i < NREQ; i++)
		TEST_ASSERT(s.ops[i]->sym->m_src == NULL && s.ops[i]->sym->m_dst == NULL,
			"without buffers, which are not the application's");
	TEST_ASSERT(all_answered(&s, VIRTIO_CRYPTO_OK), "and are done");
	return fake_stop(s.fe);
}

/* ---- migration ---- */

/** A device of an application that offers the log as well, and whose guest migrates. */
static struct fake *
migrating(struct fake_dirty *d, const struct fake_crypto_app *app)
{
	struct fake *fe = fake_crypto_start(app, .ring_size = 64,
		.protocol_features = DIRTY_PROTOCOL, .until = FAKE_REGISTERED);
	uint64_t features;

	if (fe == NULL || rte_vhost_driver_get_features(fe->path, &features) != 0 ||
			rte_vhost_driver_set_features(fe->path, features | DIRTY_FEATURE) != 0)
		return NULL;
	if (fake_connect(fe) != 0 || fake_negotiate(fe) != 0 || fake_send_mem_table(fe) != 0 ||
			fake_run(fe) != 0 || dirty_create(fe, d, 0, 0) != 0)
		return NULL;
	return dirty_start(d) == 0 ? fe : NULL;
}

static int
end_migration(struct fake_dirty *d)
{
	TEST_ASSERT_SUCCESS(dirty_destroy(d), "nothing beside the log");
	return fake_stop(d->fe);
}

/** Have the destination, the digest and the status of a request on a page of their own each. */
static bool
spread(struct fake *fe, struct fake_crypto_request *req)
{
	uint64_t pages = fake_alloc(fe, 0, 3 * DIRTY_PAGE, DIRTY_PAGE);

	req->dst_gpa = pages;
	req->digest_gpa = pages + DIRTY_PAGE;
	req->status_gpa = pages + 2 * DIRTY_PAGE;
	return pages != 0;
}

/** One that is offered while the log is empty. */
static bool
offer_logged(struct fake_dirty *d, struct fake_crypto_request *req)
{
	if (!spread(d->fe, req) || !fake_crypto_offer(&d->fe->vqs[0], req))
		return false;
	dirty_clear(d);
	return true;
}

/** Of all pages of a request those that the library has written are logged, and the ring. */
static bool
is_logged(const struct fake_dirty *d, const struct fake_crypto_request *req, bool dst, bool digest)
{
	return dirty_is_set(d, req->status_gpa) && dirty_is_set(d, d->fe->vqs[0].used_gpa) &&
		dirty_is_set(d, req->dst_gpa) == dst &&
		dirty_is_set(d, req->digest_gpa) == digest &&
		dirty_is_set(d, req->src_gpa) == req->in_place && !dirty_is_set(d, req->gpa);
}

static int
results_are_logged(void)
{
	const struct fake_crypto_session session = fake_crypto_chain(VIRTIO_CRYPTO_CIPHER_AES_CBC,
		16, VIRTIO_CRYPTO_OP_ENCRYPT, VIRTIO_CRYPTO_MAC_HMAC_SHA1, 20,
		VIRTIO_CRYPTO_SYM_ALG_CHAIN_ORDER_CIPHER_THEN_HASH);
	struct fake_crypto_request req;
	struct fake_dirty d;
	struct fake *fe = migrating(&d, NULL);

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	TEST_ASSERT(fake_crypto_chain_request(fe, &req, fake_crypto_open(fe, &session), 64, 20,
		false, 1), "a request");
	/* whose source is not on the page of its header */
	req.src_gpa = req.gpa + DIRTY_PAGE;
	TEST_ASSERT(offer_logged(&d, &req), "is offered");
	TEST_ASSERT_EQUAL(fake_crypto_serve(fe, 0), 1, "and done");
	TEST_ASSERT_EQUAL(fake_crypto_status(fe, &req), VIRTIO_CRYPTO_OK, "with success");
	TEST_ASSERT(is_logged(&d, &req, true, true), "all that was written");
	return end_migration(&d);
}

/** The cryptodev writes to guest memory, the library answers for it. */
static int
what_the_cryptodev_writes_is_logged(void)
{
	struct fake_crypto_request req;
	struct fake_dirty d;
	struct fake *fe = migrating(&d, &in_place);
	int64_t id;

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	id = fake_crypto_open_aes(fe);
	for (unsigned int same_place = 0; same_place < 2; same_place++) {
		TEST_ASSERT(fake_crypto_request(fe, &req, id, 64, 1), "a request");
		req.src_gpa = req.gpa + DIRTY_PAGE;
		req.in_place = same_place;
		TEST_ASSERT(offer_logged(&d, &req), "is offered");
		TEST_ASSERT_EQUAL(fake_crypto_serve(fe, 0), 1, "and done");
		TEST_ASSERT_EQUAL(fake_crypto_status(fe, &req), VIRTIO_CRYPTO_OK, "with success");
		TEST_ASSERT(is_logged(&d, &req, !same_place, false), "all that was written");
	}
	return end_migration(&d);
}

/** An error is a status alone, whoever finds it. */
static int
errors_are_logged(void)
{
	struct fake_crypto_request req;
	struct rte_crypto_op *op;
	struct fake_dirty d;
	struct fake *fe = migrating(&d, NULL);
	int64_t id;

	TEST_ASSERT_NOT_NULL(fe, "a guest that migrates");
	id = fake_crypto_open_aes(fe);
	TEST_ASSERT(fake_crypto_request(fe, &req, id + 1, 64, 1), "a request of no session");
	TEST_ASSERT(offer_logged(&d, &req), "is offered");
	TEST_ASSERT_EQUAL(fake_crypto_serve(fe, 0), 0, "and refused");
	TEST_ASSERT_EQUAL(fake_crypto_status(fe, &req), VIRTIO_CRYPTO_INVSESS, "at once");
	TEST_ASSERT(is_logged(&d, &req, false, false), "which is logged");

	TEST_ASSERT(fake_crypto_request(fe, &req, id, 64, 1), "one that the cryptodev has not done");
	TEST_ASSERT(offer_logged(&d, &req), "is offered");
	TEST_ASSERT_EQUAL(fake_crypto_fetch(fe, 0, &op, 1), 1, "taken");
	TEST_ASSERT_EQUAL(fake_crypto_finalize(&op, 1), 1, "and given back");
	TEST_ASSERT(is_logged(&d, &req, false, false), "which is logged");

	TEST_ASSERT(fake_crypto_request(fe, &req, id, 64, 1), "one that is not back in time");
	TEST_ASSERT(offer_logged(&d, &req), "is offered");
	TEST_ASSERT_EQUAL(fake_crypto_fetch(fe, 0, &op, 1), 1, "taken");
	TEST_ASSERT(stop_rings(fe) >= 0, "the rings stop");
	TEST_ASSERT_EQUAL(fake_crypto_status(fe, &req), VIRTIO_CRYPTO_ERR, "it is answered");
	TEST_ASSERT(is_logged(&d, &req, false, false), "which is logged");
	dirty_clear(&d);
	TEST_ASSERT_EQUAL(fake_crypto_finalize(&op, 1), 1, "and then it comes");
	TEST_ASSERT_EQUAL(dirty_clear(&d), 0, "which is nothing to the guest");
	return end_migration(&d);
}

/* ---- the connection ---- */

static int
frontend_goes_under_operations(const struct fake_crypto_app *app, bool unregistered)
{
	unsigned int before = blocks();
	struct story s;

	TEST_ASSERT(begin(&s, app), "it begins");
	if (unregistered)
		TEST_ASSERT_SUCCESS(fake_unregister(s.fe), "the socket goes");
	fake_disconnect(s.fe);
	TEST_ASSERT(wait_for(blocks, before + 1), "buffers are in use");
	TEST_ASSERT(come_back(&s), "operations come back");
	TEST_ASSERT_EQUAL(fake_crypto_calls(), 0, "nobody is there to be called");
	TEST_ASSERT(wait_for(blocks, before), "and then the buffers go");
	TEST_ASSERT(wait_for(fake_crypto_sessions_out, 0), "and the session");
	return fake_stop(s.fe);
}

static int
frontend_goes_under_copies(void)
{
	return frontend_goes_under_operations(NULL, false);
}

static int
frontend_goes_under_zero_copy(void)
{
	return frontend_goes_under_operations(&in_place, false);
}

static int
socket_goes_under_operations(void)
{
	return frontend_goes_under_operations(&in_place, true);
}

static int
next_device_of_a_vid_is_another(void)
{
	struct fake *next;
	struct story s;
	int vid;

	TEST_ASSERT(begin(&s, NULL), "it begins");
	vid = s.fe->vid;
	fake_disconnect(s.fe);
	next = fake_crypto_start(NULL, .ring_size = 64);
	TEST_ASSERT_NOT_NULL(next, "the next device must start");
	TEST_ASSERT_EQUAL(next->vid, vid, "it has the number");
	TEST_ASSERT_EQUAL(fake_crypto_open_aes(next), 1, "and sessions of its own");
	TEST_ASSERT(come_back(&s), "operations come back");
	TEST_ASSERT_EQUAL(next->vqs[0].used->idx, 0, "not to this one");
	TEST_ASSERT(works(next, 1), "which works");
	TEST_ASSERT_SUCCESS(fake_stop(next), "it stops");
	return fake_stop(s.fe);
}

static int
application_frees_under_operations(void)
{
	struct story s;

	TEST_ASSERT(begin(&s, NULL), "it begins");
	TEST_ASSERT_SUCCESS(rte_vhost_crypto_free(s.fe->vid), "freed");
	TEST_ASSERT(all_answered(&s, VIRTIO_CRYPTO_ERR), "the guest knows");
	TEST_ASSERT(come_back(&s), "operations come back");
	TEST_ASSERT(wait_for(fake_crypto_sessions_out, 0), "and then the session goes");
	return fake_stop(s.fe);
}

/** Also without rte_vhost_crypto_free(). */
static int
comings_and_goings_leave_nothing(const struct fake_crypto_app *app)
{
	unsigned int fds = fake_count_fds(), before = blocks();
	uint64_t kib = 0;
	struct fake *fe;

	for (unsigned int i = 0; i < 200; i++) {
		fe = fake_crypto_start(app, .ring_size = 64, .extra_memory = 1 << 20);
		TEST_ASSERT_NOT_NULL(fe, "device %u", i);
		TEST_ASSERT_EQUAL(fake_crypto_open_aes(fe), 1, "session of device %u", i);
		TEST_ASSERT(works(fe, 1), "device %u works", i);
		if (i % 2)
			fake_disconnect(fe);
		TEST_ASSERT_SUCCESS(fake_stop(fe), "device %u stops", i);
		if (i == 20)
			kib = fake_resident_kib();
	}
	TEST_ASSERT_EQUAL(blocks(), before, "blocks");
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "descriptors");
	/* the buffers of one ring each time would be 60 MiB */
	TEST_ASSERT(fake_resident_kib() < kib + FAKE_GROWTH_KIB(16384), "memory: %u KiB, then %u",
		(unsigned int)kib, (unsigned int)fake_resident_kib());
	return TEST_SUCCESS;
}

static int
many_devices_leave_nothing(void)
{
	return comings_and_goings_leave_nothing(NULL);
}

static int
forgetful_application_leaves_nothing(void)
{
	static const struct fake_crypto_app forgetful = { .zero_copy = true, .keeps = true };

	return comings_and_goings_leave_nothing(&forgetful);
}

/* ---- nodes ---- */

/** Where devices are born, and where their guests are; made up, or the machine's. */
static struct {
	bool real;
	int here, there;
} world;

/** A guest on a node with requests under way. */
static bool
begin_on(struct story *s, int node)
{
	struct fake_config cfg = { .ring_size = 64 };

	if (world.real) {
		topology_make_real();
		cfg.memory_on_node = FAKE_NODE(node);
		cfg.prealloc = true;
	} else {
		topology_make_up();
		topology_guest_on(node);
	}
	return (begin)(s, NULL, cfg);
}

/** The guest goes to another node, and the library looks. */
static int
guest_goes(struct fake *fe, int node)
{
	if (!world.real)
		topology_guest_on(node);
	for (unsigned int i = 0; world.real && i < fe->nregions; i++)
		if (machine_migrate(fe->regions[i].map, fe->regions[i].map_len, node) != 0)
			return -1;
	return topology_refresh(vhost_device_peek(fe->vid));
}

/** Blocks are on the node; and on a real machine, whose nodes EAL knows, the buffers. */
static int
all_is_on(struct fake *fe, int node)
{
	struct vhost_crypto *c = vhost_crypto_get(fe->vid);
	struct crypto_lane *lane = &c->lanes[0];
	int ret = topology_inventory_on(fe, node), at = node, handle;

	vhost_device_lock(c->dev);
	handle = c->node;
	vhost_device_unlock(c->dev);
	if (handle != node) {
		printf("the handle is on node %d, not %d\n", handle, node);
		return -1;
	}
	rte_spinlock_lock(&lane->lock);
	if (world.real)
		at = vhost_node_of(crypto_ticket(lane->block->mbufs[0])->buffer);
	rte_spinlock_unlock(&lane->lock);
	if (at != node)
		printf("buffers are on node %d, not %d\n", at, node);
	return at == node ? ret : -1;
}

static int
requests_follow_their_queue(void)
{
	struct story s;

	TEST_ASSERT(begin_on(&s, world.here), "it begins");
	TEST_ASSERT_SUCCESS(all_is_on(s.fe, world.here), "at home");
	TEST_ASSERT_SUCCESS(guest_goes(s.fe, world.there), "moved");
	TEST_ASSERT_SUCCESS(all_is_on(s.fe, world.there), "all of it is there");
	TEST_ASSERT(come_back(&s), "operations come back");
	TEST_ASSERT(all_answered(&s, VIRTIO_CRYPTO_OK), "and are done");
	TEST_ASSERT(works(s.fe, s.session), "it works");
	return topology_stop(s.fe);
}

static int
requests_travel_twice(void)
{
	struct story s;

	TEST_ASSERT(begin_on(&s, world.there), "it begins");
	TEST_ASSERT_SUCCESS(all_is_on(s.fe, world.there), "there");
	TEST_ASSERT_SUCCESS(guest_goes(s.fe, world.here), "moved");
	TEST_ASSERT_SUCCESS(guest_goes(s.fe, world.there), "and back");
	TEST_ASSERT(come_back(&s), "operations come back");
	TEST_ASSERT(all_answered(&s, VIRTIO_CRYPTO_OK), "and are done");
	TEST_ASSERT_SUCCESS(topology_refresh(vhost_device_peek(s.fe->vid)), "looked again");
	TEST_ASSERT_SUCCESS(all_is_on(s.fe, world.there), "nothing was left on the way");
	TEST_ASSERT(works(s.fe, s.session), "it works");
	return topology_stop(s.fe);
}

static int
full_node_keeps_requests_going(void)
{
	struct story s;

	TEST_ASSERT(begin_on(&s, world.here), "it begins");
	topology_node_full(world.there, true);
	TEST_ASSERT_SUCCESS(guest_goes(s.fe, world.there), "asked to move");
	TEST_ASSERT_SUCCESS(topology_inventory_on(s.fe, world.here), "it stays");
	TEST_ASSERT(come_back(&s), "operations come back");
	TEST_ASSERT(all_answered(&s, VIRTIO_CRYPTO_OK), "and are done");
	TEST_ASSERT(works(s.fe, s.session), "it works");
	return topology_stop(s.fe);
}

static int
requests_node(struct fake *fe)
{
	struct crypto_lane *lane = &vhost_crypto_get(fe->vid)->lanes[0];
	int node;

	rte_spinlock_lock(&lane->lock);
	node = lane->block->node;
	rte_spinlock_unlock(&lane->lock);
	return node;
}

/** A node with room for the queues' blocks, but not for those of requests. */
static int
requests_stay_until_there_is_room(void)
{
	const int home = topology_home();
	struct story s;

	TEST_ASSERT(begin_on(&s, home), "it begins");
	topology_node_crowded(THERE, 64 * sizeof(struct crypto_slot), home);
	TEST_ASSERT_SUCCESS(guest_goes(s.fe, THERE), "moved");
	TEST_ASSERT_EQUAL(topology_device_node(s.fe), THERE, "the device is there");
	TEST_ASSERT_EQUAL(requests_node(s.fe), home, "its requests are not");
	TEST_ASSERT(come_back(&s), "operations come back");
	TEST_ASSERT(all_answered(&s, VIRTIO_CRYPTO_OK), "and are done");
	TEST_ASSERT(works(s.fe, s.session), "it works");
	topology_node_crowded(THERE, 0, home);
	TEST_ASSERT_SUCCESS(topology_refresh(vhost_device_peek(s.fe->vid)), "looked again");
	TEST_ASSERT_SUCCESS(all_is_on(s.fe, THERE), "all of it is there");
	TEST_ASSERT(works(s.fe, s.session), "it works");
	return topology_stop(s.fe);
}

/* ---- all at once ---- */

static struct {
	bool quit;
	uint32_t vid;
	uint64_t finalized;
} storm;

/** An application that knows nothing: it serves whatever has the vid. */
static void *
serve_blindly(void *arg __rte_unused)
{
	struct fake nobody = { .vid = storm.vid };

	while (!__atomic_load_n(&storm.quit, __ATOMIC_RELAXED))
		for (unsigned int qid = 0; qid < 3; qid++)
			storm.finalized += fake_crypto_serve(&nobody, qid);
	return NULL;
}

static int
anything_happens_under_a_poller(void)
{
	struct fake *fe = fake_crypto_start(&in_place, .ring_size = 64);
	struct fake_crypto_request req;
	pthread_t poller;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	storm.quit = false;
	storm.finalized = 0;
	storm.vid = fe->vid;
	TEST_ASSERT_SUCCESS(pthread_create(&poller, NULL, serve_blindly, NULL), "a thread");
	for (unsigned int i = 0; i < 60; i++) {
		int64_t id = fake_crypto_open_aes(fe);

		fake_crypto_request(fe, &req, id, 64, i);
		for (unsigned int j = 0; j < 20; j++)
			fake_crypto_offer(&fe->vqs[j % 2], &req);
		if (i % 3 == 0)
			fake_crypto_close(fe, id);
		if (i % 5 == 0)
			rte_vhost_crypto_set_zero_copy(fe->vid, i % 2);
		if (i % 7 == 3) {
			fake_stop_vring(fe, 0);
			fake_stop_vring(fe, 1);
			fake_run(fe);
		}
		fake_collect(&fe->vqs[0], NULL);
		if (i % 10 == 9) {
			fake_stop(fe);
			fe = fake_crypto_start(i % 20 == 9 ? NULL : &in_place, .ring_size = 64);
			if (fe == NULL)
				break;
		}
	}
	__atomic_store_n(&storm.quit, true, __ATOMIC_RELAXED);
	pthread_join(poller, NULL);
	TEST_ASSERT_NOT_NULL(fe, "each device must start");
	TEST_ASSERT(storm.finalized > 0, "requests were served");
	return fake_stop(fe);
}

static const struct test_case cases[] = {
	TEST_CASE(session_is_closed_under_operations),
	TEST_CASE(sessions_survive_a_restart),
	TEST_CASE(ring_stops_under_copies),
	TEST_CASE(rings_stop_twice_under_operations),
	TEST_CASE(ring_stops_under_zero_copy),
	TEST_CASE(stop_lets_operations_come_back),
	TEST_CASE(disabled_ring_answers_what_it_took),
	TEST_CASE(memory_goes_under_copies),
	TEST_CASE(memory_goes_under_zero_copy),
	TEST_CASE(zero_copy_works_in_guest_memory),
	TEST_CASE(results_are_logged),
	TEST_CASE(what_the_cryptodev_writes_is_logged),
	TEST_CASE(errors_are_logged),
	TEST_CASE(frontend_goes_under_copies),
	TEST_CASE(frontend_goes_under_zero_copy),
	TEST_CASE(socket_goes_under_operations),
	TEST_CASE(next_device_of_a_vid_is_another),
	TEST_CASE(application_frees_under_operations),
	TEST_CASE(many_devices_leave_nothing),
	TEST_CASE(forgetful_application_leaves_nothing),
	TEST_CASE(requests_follow_their_queue),
	TEST_CASE(requests_travel_twice),
	TEST_CASE(full_node_keeps_requests_going),
	TEST_CASE(requests_stay_until_there_is_room),
	TEST_CASE(anything_happens_under_a_poller),
};

static const struct test_case numa_cases[] = {
	TEST_CASE(requests_follow_their_queue),
	TEST_CASE(requests_travel_twice),
	TEST_CASE(full_node_keeps_requests_going),
};

static int
setup(void)
{
	world.real = false;
	world.here = topology_home();
	world.there = THERE;
	return fake_crypto_setup("crypto_openssl0");
}

static int
setup_real(void)
{
	world.real = true;
	world.here = topology_home();
	world.there = machine_other_node(world.here);
	if (world.there < 0 || !machine_node_gives_memory(world.there))
		return TEST_SKIPPED;
	return fake_crypto_setup("crypto_openssl0");
}

static int
test_vhost_crypto_numa(void)
{
	static const struct test_suite suite = {
		.name = "vhost crypto on real nodes",
		.setup = setup_real,
		.teardown = fake_crypto_teardown,
		.check = fake_crypto_check,
		TEST_SUITE_CASES(numa_cases),
	};

	return test_suite_run(&suite);
}

static int
test_vhost_crypto_life(void)
{
	static const struct test_suite suite = {
		.name = "life of vhost crypto",
		.setup = setup,
		.teardown = fake_crypto_teardown,
		.check = fake_crypto_check,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_crypto_life_autotest, test_vhost_crypto_life);
REGISTER_TEST_COMMAND(vhost_crypto_numa_autotest, test_vhost_crypto_numa);
