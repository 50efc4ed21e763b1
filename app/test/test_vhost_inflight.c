/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * In-flight tracking: a backend that is killed while it works on requests, and what
 * the next one is told.
 *
 * The backend here takes requests from ring 0 and gives them back in any order,
 * through the public functions.  A naive model of it lives in shared memory, with
 * a note of every step before and after it is taken, so that it may be a process of
 * its own that is killed at any instruction.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "test_vhost_hostile.h"
#include "vhost_fake_dirty.h"
#include "vhost_fake_inflight.h"
#include "vhost_test_topology.h"

#define RING 0
#define SIZE 32
#define CHAIN_MAX 3
#define WRAP 0x8000

#define TRACKED .protocol_features = FE_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) | \
	DIRTY_PROTOCOL, .ring_size = SIZE

/* ---- the model ---- */

enum state {
	IDLE,
	TAKING,		/* in flight or not, nobody can say */
	TAKEN,
	PUTTING,	/* about to be put into the used ring */
	GIVING,		/* being put there: the driver has it or has not */
	GIVEN,
};

struct request {
	enum state state;
	uint64_t seq;		/* order of taking */
	uint16_t index;		/* split: head, packed: entry of the region */
	uint16_t num;		/* descriptors */
};

struct model {
	struct request requests[SIZE];
	uint64_t seq;
	uint16_t avail, used;	/* places; packed: with the wrap counter */
	uint16_t next_avail;	/* when what is being taken is taken */
	unsigned int seed;
	unsigned int steps;	/* until it dies */
	uint64_t finished;	/* requests */
};

struct story {
	struct fake *fe;
	struct fake_inflight area;
	struct model *m;
};

static bool
is_packed(const struct story *s)
{
	return s->fe->cfg.format == FAKE_PACKED;
}

/** Another step of the backend's life, if there is one. */
static bool
step(struct model *m)
{
	if (m->steps == 0)
		return false;
	m->steps--;
	return true;
}

static uint16_t
advance(const struct story *s, uint16_t place, uint16_t n)
{
	uint32_t index = (place & ~WRAP) + n;

	if (!is_packed(s))
		return place + n;
	return index < SIZE ? (place & WRAP) | index : ((place & WRAP) ^ WRAP) | (index - SIZE);
}

static unsigned int
descriptors_in_flight(const struct model *m)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SIZE; i++)
		if (m->requests[i].state != IDLE)
			n += m->requests[i].num;
	return n;
}

/** One in that state, any of them; NULL if there is none. */
static struct request *
any(struct model *m, enum state state)
{
	unsigned int first = rand_r(&m->seed) % SIZE;

	for (unsigned int i = 0; i < SIZE; i++) {
		struct request *r = &m->requests[(first + i) % SIZE];

		if (r->state == state)
			return r;
	}
	return NULL;
}

/* ---- the backend ---- */

/** What a descriptor of a chain says, so that it is found again. */
static uint64_t
address_of(const struct request *r, unsigned int i)
{
	return r->seq << 8 | i;
}

static void
driver_offers(struct story *s, const struct request *r)
{
	uint16_t place = s->m->avail;

	for (unsigned int i = 0; i < r->num; i++) {
		s->fe->vqs[RING].packed[place & ~WRAP] = (struct vring_packed_desc){
			.addr = address_of(r, i), .len = i, .id = r - s->m->requests,
			.flags = place & WRAP ? 1 << VRING_PACKED_DESC_F_AVAIL :
				1 << VRING_PACKED_DESC_F_USED,
		};
		place = advance(s, place, 1);
	}
}

static int
record_take(struct story *s, struct request *r)
{
	uint16_t head = s->m->avail & ~WRAP;

	if (is_packed(s))
		return rte_vhost_set_inflight_desc_packed(s->fe->vid, RING, head,
			(head + r->num - 1) % SIZE, &r->index);
	return rte_vhost_set_inflight_desc_split(s->fe->vid, RING, r->index);
}

/** false: it died, or something failed. */
static bool
take(struct story *s)
{
	struct model *m = s->m;
	struct request *r = any(m, IDLE);

	if (r == NULL)
		return true;
	r->num = is_packed(s) ? 1 + rand_r(&m->seed) % CHAIN_MAX : 1;
	r->index = r - m->requests;
	if (descriptors_in_flight(m) + r->num > SIZE)
		return true;
	r->seq = ++m->seq;
	if (is_packed(s))
		driver_offers(s, r);
	if (!step(m))
		return false;
	m->next_avail = advance(s, m->avail, r->num);
	r->state = TAKING;
	if (record_take(s, r) != 0)
		abort();
	r->state = TAKEN;
	m->avail = m->next_avail;
	return step(m);
}

static int
record_put(struct story *s, const struct request *r)
{
	return is_packed(s) ?
		rte_vhost_set_last_inflight_io_packed(s->fe->vid, RING, r->index) :
		rte_vhost_set_last_inflight_io_split(s->fe->vid, RING, r->index);
}

static int
record_done(struct story *s, const struct request *r)
{
	return is_packed(s) ?
		rte_vhost_clr_inflight_desc_packed(s->fe->vid, RING, r->index) :
		rte_vhost_clr_inflight_desc_split(s->fe->vid, RING, s->m->used, r->index);
}

/** Put the used entry into the ring, where the driver sees it. */
static void
publish(struct story *s)
{
	struct fake_vq *vq = &s->fe->vqs[RING];
	uint16_t flags = 1 << VRING_PACKED_DESC_F_AVAIL | 1 << VRING_PACKED_DESC_F_USED;

	if (is_packed(s))
		__atomic_store_n(&vq->packed[s->m->used & ~WRAP].flags,
			s->m->used & WRAP ? flags : 0, __ATOMIC_RELEASE);
	else
		__atomic_store_n(&vq->used->idx, s->m->used + 1, __ATOMIC_RELEASE);
}

static bool
give(struct story *s)
{
	struct model *m = s->m;
	struct request *r = any(m, TAKEN);

	if (r == NULL)
		return true;
	r->state = PUTTING;
	if (record_put(s, r) != 0)
		abort();
	if (!step(m))
		return false;
	r->state = GIVING;
	publish(s);
	m->used = advance(s, m->used, r->num);
	r->state = GIVEN;
	if (!step(m))
		return false;
	if (record_done(s, r) != 0)
		abort();
	r->state = IDLE;
	m->finished++;
	return step(m);
}

/** Work until the end. */
static void
work(struct story *s)
{
	while (rand_r(&s->m->seed) % 2 ? take(s) : give(s))
		;
}

/* ---- the next backend ---- */

static int
again(struct story *s)
{
	struct fake *fe = s->fe;

	/* a monitor knows only what is in the ring */
	if (!is_packed(s))
		fe->vqs[RING].used_idx = fe->vqs[RING].used->idx;
	if (fake_connect(fe) != 0 || fake_negotiate(fe) != 0 || fake_send_mem_table(fe) != 0 ||
			fake_inflight_set(fe, &s->area) != FAKE_ACK)
		return -1;
	return fake_run(fe);
}

static struct request *
request_at(struct model *m, uint16_t index)
{
	struct request *taking = NULL;

	for (unsigned int i = 0; i < SIZE; i++) {
		struct request *r = &m->requests[i];

		if (r->state == TAKING)
			taking = r;
		else if (r->state != IDLE && r->state != GIVEN && r->index == index)
			return r;
	}
	/* who was killed may not have been told the entry */
	if (taking != NULL)
		taking->index = index;
	return taking;
}

/** The descriptors of a request as they were copied to the region. */
static bool
is_copied(const struct story *s, const struct request *r)
{
	const struct rte_vhost_inflight_info_packed *info = fake_inflight_packed(&s->area, RING);
	uint16_t at = r->index;

	if (!is_packed(s))
		return true;
	for (unsigned int i = 0; i < r->num; i++) {
		if (info->desc[at].addr != address_of(r, i) || info->desc[at].len != i)
			return false;
		at = info->desc[at].next;
	}
	return info->desc[r->index].num == r->num;
}

/** The list is the requests that are not done, latest first; they are TAKEN from now on. */
static int
check_list(struct story *s, const struct rte_vhost_resubmit_info *list)
{
	uint64_t seq = UINT64_MAX, counter = UINT64_MAX;
	unsigned int n = list != NULL ? list->resubmit_num : 0;

	for (unsigned int i = 0; i < n; i++) {
		struct request *r = request_at(s->m, list->resubmit_list[i].index);

		TEST_ASSERT_NOT_NULL(r, "%u is nothing to do again",
			list->resubmit_list[i].index);
		TEST_ASSERT(r->seq < seq, "latest first");
		TEST_ASSERT(i == 0 || list->resubmit_list[i].counter < counter, "by counter");
		TEST_ASSERT(is_copied(s, r), "entry %u", r->index);
		seq = r->seq;
		counter = list->resubmit_list[i].counter;
		/* in the list it is taken, whatever it was doing */
		r->state = TAKEN;
		r->seq |= 1ULL << 63;
	}
	for (unsigned int i = 0; i < SIZE; i++) {
		struct request *r = &s->m->requests[i];
		bool listed = r->seq >> 63;

		r->seq &= ~(1ULL << 63);
		if (listed)
			continue;
		TEST_ASSERT(r->state != TAKEN && r->state != PUTTING, "request %u was lost", i);
		s->m->finished += r->state == GIVING || r->state == GIVEN;
		r->state = IDLE;
	}
	TEST_ASSERT(list == NULL || n > 0, "no list for nothing");
	return 0;
}

/** Where the ring goes on. */
static int
check_base(struct story *s, unsigned int n)
{
	uint16_t avail, used;

	if (is_packed(s)) {
		TEST_ASSERT_SUCCESS(rte_vhost_get_vring_base_from_inflight(s->fe->vid, RING,
			&avail, &used), "base");
		TEST_ASSERT_EQUAL(avail, used, "both");
		TEST_ASSERT_EQUAL(rte_vhost_get_vring_base_from_inflight(s->fe->vid, RING, NULL,
			&used), -1, "no room for one");
		TEST_ASSERT_EQUAL(rte_vhost_get_vring_base_from_inflight(s->fe->vid, RING, &avail,
			NULL), -1, "no room for the other");
		n = advance(s, used, descriptors_in_flight(s->m));
		TEST_ASSERT(n == s->m->avail || n == s->m->next_avail,
			"from %#x to %#x all is in flight, not to %#x", used, s->m->avail, n);
		s->m->avail = n;
	} else {
		TEST_ASSERT_SUCCESS(rte_vhost_get_vring_base(s->fe->vid, RING, &avail, &used),
			"base");
		TEST_ASSERT_EQUAL(used, s->fe->vqs[RING].used->idx, "as in the ring");
		TEST_ASSERT_EQUAL(avail, (uint16_t)(used + n), "behind what is in flight");
		TEST_ASSERT_EQUAL(fake_inflight_split(&s->area, RING)->used_idx, used, "fixed up");
		s->m->avail = avail;
	}
	s->m->used = used;
	return 0;
}

static int
check_again(struct story *s)
{
	struct rte_vhost_ring_inflight ring;
	const struct rte_vhost_resubmit_info *list;

	TEST_ASSERT_SUCCESS(again(s), "another backend");
	TEST_ASSERT_SUCCESS(rte_vhost_get_vhost_ring_inflight(s->fe->vid, RING, &ring), "ask");
	list = ring.resubmit_inflight;
	if (check_list(s, list) != 0)
		return TEST_FAILED;
	return check_base(s, list != NULL ? list->resubmit_num : 0);
}

/* ---- beginning and end of a story ---- */

static int
begin(struct story *s)
{
	*s = (struct story){ .area.fd = -1 };
	s->m = mmap(NULL, sizeof(*s->m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->m == MAP_FAILED)
		return -1;
	s->fe = fake_start(TRACKED, .until = FAKE_MEMORY);
	if (s->fe == NULL || fake_inflight_get(s->fe, &s->area, 2, SIZE) != 0 ||
			fake_inflight_set(s->fe, &s->area) != FAKE_ACK || fake_run(s->fe) != 0)
		return -1;
	s->m->avail = s->m->next_avail = s->m->used = is_packed(s) ? WRAP : 0;
	s->m->seed = test_param_u64("seed", fake_now_ms() & 0xffffff);
	printf("seed=%u\n", s->m->seed);
	return 0;
}

static int
end(struct story *s)
{
	int ret = fake_stop(s->fe);

	fake_inflight_close(&s->area);
	munmap(s->m, sizeof(*s->m));
	TEST_ASSERT_SUCCESS(ret, "the end");
	return TEST_SUCCESS;
}

/* ---- the stories ---- */

static int
area_is_made_for_the_rings(void)
{
	struct fake *fe = fake_start(TRACKED, .until = FAKE_MEMORY);
	struct fake_inflight area;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_inflight_get(fe, &area, 3, 100), "an area");
	TEST_ASSERT_EQUAL(area.wire.num_queues, 3, "rings");
	TEST_ASSERT_EQUAL(area.wire.queue_size, 100, "of that size");
	TEST_ASSERT_EQUAL(area.wire.mmap_offset, 0, "from the start");
	TEST_ASSERT_EQUAL(area.wire.mmap_size, 3 * area.stride, "all regions");
	TEST_ASSERT_EQUAL(area.map_len, area.wire.mmap_size, "the file");
	TEST_ASSERT_EQUAL(ftruncate(area.fd, 0), -1, "it can not be taken away");
	TEST_ASSERT_EQUAL(fake_inflight_split(&area, 2)->version, 0, "not used yet");
	fake_inflight_close(&area);
	return fake_stop(fe);
}

/** Frontends send 20 bytes or 24, and are answered alike. */
static int
frontends_send_padding_or_not(void)
{
	struct fake *fe = fake_start(TRACKED, .until = FAKE_MEMORY);
	const struct fake_inflight_msg ask = { .num_queues = 2, .queue_size = SIZE };
	unsigned int nfds;
	struct fake_msg reply;
	int fds[FE_MAX_FDS];

	TEST_ASSERT_NOT_NULL(fe, "a device");
	for (size_t size = 20; size <= 24; size += 4) {
		TEST_ASSERT_SUCCESS(fake_send(fe, FE_GET_INFLIGHT_FD, 0, &ask, size, NULL, 0),
			"ask");
		TEST_ASSERT_EQUAL(fake_recv(fe, &reply, fds, &nfds), 1, "answered");
		TEST_ASSERT_EQUAL(reply.size, size, "as it was asked");
		TEST_ASSERT_EQUAL(nfds, 1, "with an area");
		TEST_ASSERT_EQUAL(fake_call(fe, FE_SET_INFLIGHT_FD, reply.payload, size, fds, 1),
			FAKE_ACK, "which comes back");
		close(fds[0]);
	}
	return fake_stop(fe);
}

static int
nothing_is_recorded_without_the_feature(void)
{
	struct fake *fe = fake_start(.ring_size = SIZE);
	struct rte_vhost_ring_inflight ring;
	uint16_t entry = 77;
	int vid;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	vid = fe->vid;
	TEST_ASSERT_SUCCESS(rte_vhost_set_inflight_desc_split(vid, RING, 1), "set");
	TEST_ASSERT_SUCCESS(rte_vhost_set_last_inflight_io_split(vid, RING, 1), "last");
	TEST_ASSERT_SUCCESS(rte_vhost_clr_inflight_desc_split(vid, RING, 1, 1), "clear");
	TEST_ASSERT_SUCCESS(rte_vhost_set_inflight_desc_packed(vid, RING, 1, 1, &entry), "set");
	TEST_ASSERT_EQUAL(entry, 77, "not written");
	TEST_ASSERT_SUCCESS(rte_vhost_set_last_inflight_io_packed(vid, RING, 1), "last");
	TEST_ASSERT_SUCCESS(rte_vhost_clr_inflight_desc_packed(vid, RING, 1), "clear");
	TEST_ASSERT_EQUAL(rte_vhost_get_vhost_ring_inflight(vid, RING, &ring), -1, "no area");
	return fake_stop(fe);
}

/** Offered only where the application asks for it. */
static int
feature_is_offered_on_request(void)
{
	struct fake *fe = fake_start(.until = FAKE_REGISTERED);
	const uint64_t bit = FE_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	uint64_t offered;

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_protocol_features(fe->path, &offered), "ask");
	TEST_ASSERT_EQUAL(offered & bit, 0, "not by default");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_set_protocol_features(fe->path, offered | bit), "set");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_protocol_features(fe->path, &offered), "ask");
	TEST_ASSERT_EQUAL(offered & bit, bit, "now it is");
	return fake_stop(fe);
}

/** A backend that dies after each number of steps, and after the next, ... */
static int
backend_dies_between_any_two_steps(void)
{
	struct story s;

	TEST_ASSERT_SUCCESS(begin(&s), "a device");
	for (unsigned int i = 0; i < 150; i++) {
		s.m->steps = i < 40 ? i % 10 : (unsigned int)rand_r(&s.m->seed) % 100;
		work(&s);
		if (check_again(&s) != 0)
			return TEST_FAILED;
	}
	TEST_ASSERT(s.m->finished > 100, "only %" PRIu64 " requests", s.m->finished);
	return end(&s);
}

/** A backend in a process of its own, killed at any instruction. */
static int
backend_is_killed(void)
{
	unsigned int seed;
	struct story s;

	/* whose blocks a child has as well */
	topology_make_up();
	TEST_ASSERT_SUCCESS(begin(&s), "a device");
	seed = s.m->seed;
	for (unsigned int i = 0; i < 50; i++) {
		pid_t child;
		int status;

		s.m->steps = UINT_MAX;
		child = fork();
		TEST_ASSERT(child >= 0, "a process");
		if (child == 0) {
			work(&s);
			_exit(0);
		}
		usleep(rand_r(&seed) % 3000);
		kill(child, SIGKILL);
		TEST_ASSERT_EQUAL(waitpid(child, &status, 0), child, "it is gone");
		TEST_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
			"not of itself: %#x", status);
		if (check_again(&s) != 0)
			return TEST_FAILED;
	}
	printf("%" PRIu64 " requests\n", s.m->finished);
	if (end(&s) != TEST_SUCCESS)
		return TEST_FAILED;
	TEST_ASSERT_EQUAL(topology_end(), 0, "every block was given back");
	return TEST_SUCCESS;
}

/** A ring stops without its requests being done, and starts again. */
static int
ring_that_is_stopped_leaves_its_requests(void)
{
	struct rte_vhost_ring_inflight ring;
	struct story s;

	TEST_ASSERT_SUCCESS(begin(&s), "a device");
	for (unsigned int i = 0; i < 3; i++) {
		s.m->steps = UINT_MAX;
		TEST_ASSERT(take(&s), "taken");
	}
	for (unsigned int q = 0; q < s.fe->nvrings; q++)
		TEST_ASSERT(fake_stop_vring(s.fe, q) >= 0, "stopped");
	TEST_ASSERT_EQUAL(rte_vhost_get_vhost_ring_inflight(s.fe->vid, RING, &ring), -1,
		"a ring that does not run");
	TEST_ASSERT_EQUAL(record_take(&s, &s.m->requests[9]), -1, "nothing is taken from it");
	TEST_ASSERT_SUCCESS(fake_run(s.fe), "it starts");
	TEST_ASSERT_SUCCESS(rte_vhost_get_vhost_ring_inflight(s.fe->vid, RING, &ring), "ask");
	TEST_ASSERT_NOT_NULL(ring.resubmit_inflight, "a list");
	TEST_ASSERT_EQUAL(ring.resubmit_inflight->resubmit_num, 3, "of all three");
	if (check_list(&s, ring.resubmit_inflight) != 0)
		return TEST_FAILED;
	return end(&s);
}

/** The guest is migrated meanwhile: the log begins and ends under the ring. */
static int
log_of_written_pages_leaves_requests_alone(void)
{
	struct rte_vhost_ring_inflight ring;
	struct fake_dirty log;
	struct story s;

	TEST_ASSERT_SUCCESS(begin(&s), "a device");
	TEST_ASSERT_SUCCESS(dirty_create(s.fe, &log, 0, 0), "a log");
	s.m->steps = UINT_MAX;
	for (unsigned int i = 0; i < 3; i++) {
		TEST_ASSERT(take(&s) && take(&s) && give(&s), "work");
		TEST_ASSERT_SUCCESS(i == 0 ? dirty_start(&log) : dirty_switch(s.fe, i == 1),
			"the log begins or ends");
		TEST_ASSERT_SUCCESS(rte_vhost_get_vhost_ring_inflight(s.fe->vid, RING, &ring),
			"ask");
		TEST_ASSERT_NULL(ring.resubmit_inflight, "nothing to do again");
	}
	TEST_ASSERT(take(&s) && give(&s), "work");
	TEST_ASSERT_SUCCESS(dirty_destroy(&log), "the log's end");
	if (check_again(&s) != 0)
		return TEST_FAILED;
	return end(&s);
}

/** Several requests that became used in one go. */
static int
last_batch_is_found(void)
{
	struct request *batch[3];
	struct story s;

	TEST_ASSERT_SUCCESS(begin(&s), "a device");
	s.m->steps = UINT_MAX;
	for (unsigned int i = 0; i < 6; i++)
		TEST_ASSERT(take(&s), "taken");
	for (unsigned int i = 0; i < RTE_DIM(batch); i++) {
		batch[i] = any(s.m, TAKEN);
		batch[i]->state = PUTTING;
		TEST_ASSERT_SUCCESS(record_put(&s, batch[i]), "put");
	}
	for (unsigned int i = 0; i < RTE_DIM(batch); i++) {
		publish(&s);
		s.m->used = advance(&s, s.m->used, batch[i]->num);
		batch[i]->state = GIVEN;
	}
	if (check_again(&s) != 0)
		return TEST_FAILED;
	TEST_ASSERT_EQUAL(s.m->finished, RTE_DIM(batch), "and the others are not");
	return end(&s);
}

/** A ring with more descriptors than the area has room for, one without a region. */
static int
area_too_small_for_the_rings(void)
{
	struct fake *fe = fake_start(TRACKED, .until = FAKE_MEMORY);
	struct rte_vhost_ring_inflight ring;
	struct fake_inflight area;
	uint16_t entry;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_inflight_get(fe, &area, 1, 4), "an area");
	TEST_ASSERT_EQUAL(fake_inflight_set(fe, &area), FAKE_ACK, "set");
	TEST_ASSERT_SUCCESS(fake_run(fe), "the rings start");
	TEST_ASSERT_EQUAL(rte_vhost_get_vhost_ring_inflight(fe->vid, 1, &ring), -1, "no region");
	if (fe->cfg.format == FAKE_PACKED) {
		TEST_ASSERT_SUCCESS(rte_vhost_set_inflight_desc_packed(fe->vid, RING, 30, 1,
			&entry), "four descriptors, around the end of the ring");
		TEST_ASSERT_EQUAL(rte_vhost_set_inflight_desc_packed(fe->vid, RING, 2, 2,
			&entry), -1, "and a fifth");
	} else {
		TEST_ASSERT_SUCCESS(rte_vhost_set_inflight_desc_split(fe->vid, RING, 3), "inside");
		TEST_ASSERT_EQUAL(rte_vhost_set_inflight_desc_split(fe->vid, RING, 4), -1,
			"outside");
	}
	fake_inflight_close(&area);
	return fake_stop(fe);
}

/** What a zeroed region is before somebody uses it; a free list leads on from each entry. */
static void
fill_new_region(const struct fake *fe, void *region)
{
	struct rte_vhost_inflight_info_split *split = region;
	struct rte_vhost_inflight_info_packed *packed = region;

	if (fe->cfg.format != FAKE_PACKED) {
		split->desc_num = SIZE;
		return;
	}
	packed->desc_num = SIZE;
	packed->used_wrap_counter = 1;
	packed->old_used_wrap_counter = 1;
	for (unsigned int i = 0; i < SIZE; i++)
		packed->desc[i].next = i + 1;
}

/** The frontend may give it to a backend that looks at nothing but the version. */
static int
new_area_is_ready_for_any_backend(void)
{
	struct fake *fe = fake_start(TRACKED, .until = FAKE_MEMORY);
	uint64_t want[256] = { 0 };
	struct fake_inflight area;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_inflight_get(fe, &area, 3, SIZE), "an area");
	TEST_ASSERT(area.stride <= sizeof(want), "room here");
	fill_new_region(fe, want);
	for (unsigned int i = 0; i < 3; i++)
		TEST_ASSERT_BUFFERS_ARE_EQUAL(area.map + i * area.stride, want, area.stride,
			"region %u", i);
	fake_inflight_close(&area);
	return fake_stop(fe);
}

/** Functions about split rings that do something, in bits 0 to 2, and about packed ones, from 4. */
static unsigned int
functions_that_work(int vid)
{
	uint16_t entry = 0, avail, used;
	unsigned int work = 0;

	work |= rte_vhost_set_inflight_desc_split(vid, RING, 0) == 0 ? 1 << 0 : 0;
	work |= rte_vhost_set_last_inflight_io_split(vid, RING, 0) == 0 ? 1 << 1 : 0;
	work |= rte_vhost_clr_inflight_desc_split(vid, RING, 0, 0) == 0 ? 1 << 2 : 0;
	work |= rte_vhost_set_inflight_desc_packed(vid, RING, 0, 0, &entry) == 0 ? 1 << 4 : 0;
	work |= rte_vhost_set_last_inflight_io_packed(vid, RING, entry) == 0 ? 1 << 5 : 0;
	work |= rte_vhost_clr_inflight_desc_packed(vid, RING, entry) == 0 ? 1 << 6 : 0;
	work |= rte_vhost_get_vring_base_from_inflight(vid, RING, &avail, &used) == 0 ? 1 << 7 : 0;
	return work;
}

/** Recording only: a backend need not ask first whether a device is tracked. */
#define RECORDING 0x77u

static int
functions_are_for_rings_of_their_kind(void)
{
	struct fake *fe = fake_start(.ring_size = SIZE);
	struct story s;

	TEST_ASSERT_NOT_NULL(fe, "a device without tracking");
	TEST_ASSERT_EQUAL(functions_that_work(fe->vid), RECORDING, "all to no effect");
	TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	fe = fake_start(TRACKED);
	TEST_ASSERT_NOT_NULL(fe, "one without an area");
	TEST_ASSERT_EQUAL(functions_that_work(fe->vid), 0, "for which there is none");
	TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	TEST_ASSERT_SUCCESS(begin(&s), "one with an area");
	TEST_ASSERT_EQUAL(functions_that_work(s.fe->vid), is_packed(&s) ? 0xf0u : 0x07u,
		"one kind alone");
	return end(&s);
}

/** What the frontend has written to an entry of its area is not followed out of that. */
static int
entries_that_lead_nowhere_are_refused(void)
{
	struct rte_vhost_inflight_info_packed *info;
	struct story s;
	uint16_t entry;

	TEST_ASSERT_SUCCESS(begin(&s), "a device");
	if (!is_packed(&s))
		return end(&s) == TEST_SUCCESS ? TEST_SKIPPED : TEST_FAILED;
	info = fake_inflight_packed(&s.area, RING);
	TEST_ASSERT_SUCCESS(rte_vhost_set_inflight_desc_packed(s.fe->vid, RING, 0, 1, &entry),
		"two descriptors");
	info->desc[entry].last = SIZE;
	TEST_ASSERT_EQUAL(rte_vhost_set_last_inflight_io_packed(s.fe->vid, RING, entry), -1,
		"the last is none");
	info->desc[entry].last = 1;
	info->desc[entry].num = SIZE + 1;
	TEST_ASSERT_EQUAL(rte_vhost_set_last_inflight_io_packed(s.fe->vid, RING, entry), -1,
		"more than there can be");
	info->desc[entry].num = 2;
	TEST_ASSERT_EQUAL(info->used_idx, 0, "none is used so far");
	TEST_ASSERT_SUCCESS(rte_vhost_set_last_inflight_io_packed(s.fe->vid, RING, entry),
		"as it was");
	TEST_ASSERT_EQUAL(info->used_idx, 2, "both are");
	return end(&s);
}

/** Before the first backend has used it, an area is zeros, whoever made it. */
static int
area_of_the_frontends_own(void)
{
	struct story s;

	TEST_ASSERT_SUCCESS(begin(&s), "a device");
	fake_inflight_close(&s.area);
	TEST_ASSERT_SUCCESS(fake_inflight_make(s.fe, &s.area, 2, SIZE), "zeros");
	for (unsigned int i = 0; i < 20; i++) {
		if (check_again(&s) != 0)
			return TEST_FAILED;
		s.m->steps = i;
		work(&s);
	}
	return end(&s);
}

/** Regions may begin anywhere in their file. */
static int
area_with_an_offset(void)
{
	struct story s;
	size_t whole;

	TEST_ASSERT_SUCCESS(begin(&s), "a device");
	fake_inflight_close(&s.area);
	TEST_ASSERT_SUCCESS(fake_inflight_make(s.fe, &s.area, 4, SIZE), "a file");
	whole = s.area.map_len;
	s.area.wire.num_queues = 2;
	s.area.wire.mmap_offset = s.area.stride + 8;
	s.area.wire.mmap_size = 2 * s.area.stride;
	for (unsigned int i = 0; i < 10; i++) {
		if (check_again(&s) != 0)
			return TEST_FAILED;
		s.m->steps = 10 + i;
		work(&s);
	}
	for (size_t i = 0; i < whole; i++)
		TEST_ASSERT(s.area.map[i] == 0 || (i >= s.area.wire.mmap_offset &&
			i < s.area.wire.mmap_offset + s.area.wire.mmap_size), "byte %zu", i);
	return end(&s);
}

/* ---- hostile frontends ---- */

/** What an area can be said to be, and is not. */
static const struct {
	const char *name;
	struct fake_inflight_msg wire;	/* of a file of 64 KiB */
} wrong_areas[] = {
	{ "no queues", { 65536, 0, 0, 32, 0 } },
	{ "257 queues", { 65536, 0, 257, 1, 0 } },
	{ "65535 queues", { 65536, 0, 65535, 1, 0 } },
	{ "no descriptors", { 65536, 0, 1, 0, 0 } },
	{ "32769 descriptors", { 65536, 0, 1, 32769, 0 } },
	{ "queues beyond its size", { 4096, 0, 64, 32, 0 } },
	{ "a size beyond its file", { 65537, 0, 1, 32, 0 } },
	{ "an offset beyond its file", { 4096, 65536, 1, 32, 0 } },
	{ "an offset and a size that wrap", { UINT64_MAX - 4095, 8192, 1, 32, 0 } },
	{ "an offset that wraps", { 8192, UINT64_MAX - 4095, 1, 32, 0 } },
	{ "no size", { 0, 0, 1, 32, 0 } },
	{ "unaligned regions", { 4096, 4, 1, 32, 0 } },
	{ "all bits", { UINT64_MAX, UINT64_MAX, UINT16_MAX, UINT16_MAX, 0 } },
};

static int
wrong_areas_are_refused(void)
{
	struct fake_inflight area;
	unsigned int before;
	struct two t;

	TEST_ASSERT(two_start(&t, TRACKED, .until = FAKE_MEMORY), "two devices");
	TEST_ASSERT_SUCCESS(fake_inflight_make(t.bad, &area, 1, 1), "a file");
	TEST_ASSERT_SUCCESS(ftruncate(area.fd, 65536), "of 64 KiB");
	before = fake_count_fds();
	for (unsigned int i = 0; i < RTE_DIM(wrong_areas); i++) {
		area.wire = wrong_areas[i].wire;
		TEST_ASSERT_EQUAL(fake_inflight_set(t.bad, &area), FAKE_NACK, "%s",
			wrong_areas[i].name);
	}
	TEST_ASSERT(fake_wait_fds(before) <= before, "descriptors are left open");
	fake_inflight_close(&area);
	return two_end(&t);
}

static int
wrong_files_are_refused(void)
{
	struct fake_inflight area;
	int files[5], path;
	unsigned int before;
	struct two t;

	TEST_ASSERT(two_start(&t, TRACKED, .until = FAKE_MEMORY), "two devices");
	TEST_ASSERT_SUCCESS(fake_inflight_make(t.bad, &area, 1, SIZE), "a file");
	path = area.fd;
	files[0] = dup(t.bad->vqs[0].callfd);
	files[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	files[2] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	files[3] = open("/dev", O_RDONLY | O_CLOEXEC);
	files[4] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	before = fake_count_fds();
	for (unsigned int i = 0; i < RTE_DIM(files); i++) {
		TEST_ASSERT(files[i] >= 0, "file %u", i);
		area.fd = files[i];
		TEST_ASSERT_EQUAL(fake_inflight_set(t.bad, &area), FAKE_NACK, "file %u", i);
		TEST_ASSERT(fake_wait_fds(before) <= before, "it is closed");
	}
	for (unsigned int i = 0; i < RTE_DIM(files); i++)
		close(files[i]);
	area.fd = path;
	fake_inflight_close(&area);
	return two_end(&t);
}

static int
areas_of_gigabytes_are_not_made(void)
{
	static const uint16_t asked[][2] = { { 256, 65535 }, { 65535, 65535 }, { 0, 32 },
		{ 257, 32 }, { 1, 0 }, { 1, 32769 }, { 256, 32768 } };
	unsigned int before;
	struct two t;

	TEST_ASSERT(two_start(&t, TRACKED, .until = FAKE_MEMORY), "two devices");
	before = fake_count_fds();
	for (unsigned int i = 0; i < RTE_DIM(asked); i++) {
		const struct fake_inflight_msg ask = {
			.num_queues = asked[i][0], .queue_size = asked[i][1] };

		TEST_ASSERT_EQUAL(fake_call(t.bad, FE_GET_INFLIGHT_FD, &ask, sizeof(ask), NULL, 0),
			FAKE_NACK, "%u of %u", asked[i][0], asked[i][1]);
	}
	TEST_ASSERT(fake_wait_fds(before) <= before, "descriptors are left open");
	return two_end(&t);
}

static int
area_does_not_change_while_rings_run(void)
{
	struct fake_inflight other;
	struct story s;

	TEST_ASSERT_SUCCESS(begin(&s), "a device");
	TEST_ASSERT_SUCCESS(fake_inflight_get(s.fe, &other, 2, SIZE), "another area");
	TEST_ASSERT_EQUAL(fake_inflight_set(s.fe, &other), FAKE_NACK, "not now");
	s.m->steps = 20;
	work(&s);
	TEST_ASSERT_EQUAL(fake_inflight_split(&other, RING)->version, 0, "never used");
	fake_inflight_close(&other);
	if (check_again(&s) != 0)
		return TEST_FAILED;
	return end(&s);
}

static int
area_does_not_change_while_any_ring_runs(void)
{
	struct fake *fe = fake_start(TRACKED, .until = FAKE_MEMORY);
	struct fake_inflight area;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_inflight_make(fe, &area, 2, SIZE), "an area");
	TEST_ASSERT_EQUAL(fake_inflight_set(fe, &area), FAKE_ACK, "set");
	TEST_ASSERT_SUCCESS(fake_run(fe), "running");
	for (unsigned int ring = 0; ring < 2; ring++) {
		TEST_ASSERT_EQUAL(fake_inflight_set(fe, &area), FAKE_NACK, "ring %u runs", ring);
		TEST_ASSERT(fake_stop_vring(fe, ring) >= 0, "ring %u stops", ring);
	}
	TEST_ASSERT_EQUAL(fake_inflight_set(fe, &area), FAKE_ACK, "none runs");
	fake_inflight_close(&area);
	return fake_stop(fe);
}

/** The rings' format may be negotiated after the area came, and need more of it. */
static int
a_region_is_within_its_area(void)
{
	struct fake *fe = fake_start(TRACKED, .until = FAKE_MEMORY);
	const unsigned int format = fake_default_format() == FAKE_PACKED ? VQ_PACKED : 0;
	struct fake_inflight file;
	struct inflight_area area;
	struct vhost_device *dev;

	TEST_ASSERT_NOT_NULL(fe, "a device");
	TEST_ASSERT_SUCCESS(fake_inflight_make(fe, &file, 2, SIZE), "an area");
	TEST_ASSERT_EQUAL(fake_inflight_set(fe, &file), FAKE_ACK, "set");
	dev = vhost_device_peek(fe->vid);
	vhost_device_lock(dev);
	area = dev->wish.inflight;
	vhost_device_unlock(dev);
	TEST_ASSERT_NOT_NULL(vhost_inflight_region(&area, format, 0), "the first");
	TEST_ASSERT_NOT_NULL(vhost_inflight_region(&area, format, 1), "the second");
	TEST_ASSERT_NULL(vhost_inflight_region(&area, format, 2), "there is no other");
	area.size = 2 * vhost_inflight_region_bytes(format, SIZE) - 1;
	TEST_ASSERT_NOT_NULL(vhost_inflight_region(&area, format, 0), "the first");
	TEST_ASSERT_NULL(vhost_inflight_region(&area, format, 1), "a byte is missing");
	fake_inflight_close(&file);
	return fake_stop(fe);
}

static int
area_that_is_truncated_takes_its_device_along(void)
{
	struct fake_inflight area;
	struct two t;
	uint16_t entry;

	TEST_ASSERT(two_start(&t, TRACKED, .until = FAKE_MEMORY), "two devices");
	TEST_ASSERT_SUCCESS(fake_inflight_make(t.bad, &area, 2, SIZE), "an area");
	TEST_ASSERT_EQUAL(fake_inflight_set(t.bad, &area), FAKE_ACK, "set");
	TEST_ASSERT_SUCCESS(fake_run(t.bad), "running");
	TEST_ASSERT_SUCCESS(ftruncate(area.fd, 0), "gone");
	/* these read first: ThreadSanitizer would be inside a lock at a store that faults */
	rte_vhost_set_last_inflight_io_split(t.bad->vid, RING, 1);
	rte_vhost_set_inflight_desc_packed(t.bad->vid, RING, 1, 1, &entry);
	TEST_ASSERT(fake_is_closed(t.bad), "the connection ends");
	fake_inflight_close(&area);
	return two_end(&t);
}

/** Every function with anything for an argument; all that is asked for is that it returns. */
static void
call_anything(int vid, unsigned int *seed)
{
	uint16_t a = rand_r(seed) % (2 * SIZE), b = rand_r(seed) % (2 * SIZE), entry;

	switch (rand_r(seed) % 7) {
	case 0:
		rte_vhost_set_inflight_desc_split(vid, RING, a);
		break;
	case 1:
		rte_vhost_set_last_inflight_io_split(vid, RING, a);
		break;
	case 2:
		rte_vhost_clr_inflight_desc_split(vid, RING, b, a);
		break;
	case 3:
		rte_vhost_set_inflight_desc_packed(vid, RING, a, b, &entry);
		break;
	case 4:
		rte_vhost_set_last_inflight_io_packed(vid, RING, a);
		break;
	case 5:
		rte_vhost_clr_inflight_desc_packed(vid, RING, a);
		break;
	default:
		rte_vhost_get_vring_base_from_inflight(vid, RING, &a, &b);
		break;
	}
}

/** Write anything anywhere, mostly what may be taken for an index. */
static void
scribble(struct fake_inflight *area, unsigned int words, unsigned int *seed)
{
	for (unsigned int i = 0; i < words; i++) {
		uint16_t *at = (uint16_t *)area->map + rand_r(seed) % (area->map_len / 2);
		uint16_t value = rand_r(seed) % 4 ? rand_r(seed) % (SIZE + 2) : rand_r(seed);

		__atomic_store_n(at, value, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&fake_inflight_split(area, RING)->version, 1, __ATOMIC_RELAXED);
}

/** Whatever is in the list, it can be gone through. */
static int
check_bounds(int vid)
{
	struct rte_vhost_ring_inflight ring;
	uint64_t counter = UINT64_MAX;

	TEST_ASSERT_SUCCESS(rte_vhost_get_vhost_ring_inflight(vid, RING, &ring), "ask");
	if (ring.resubmit_inflight == NULL)
		return 0;
	TEST_ASSERT(ring.resubmit_inflight->resubmit_num <= SIZE, "%u requests",
		ring.resubmit_inflight->resubmit_num);
	for (unsigned int i = 0; i < ring.resubmit_inflight->resubmit_num; i++) {
		TEST_ASSERT(ring.resubmit_inflight->resubmit_list[i].index < SIZE, "inside");
		TEST_ASSERT(ring.resubmit_inflight->resubmit_list[i].counter <= counter, "sorted");
		counter = ring.resubmit_inflight->resubmit_list[i].counter;
	}
	return 0;
}

static int
areas_full_of_nonsense_are_survived(void)
{
	struct fake_inflight area;
	unsigned int seed = test_param_u64("seed", fake_now_ms() & 0xffffff);
	struct two t;

	printf("seed=%u\n", seed);
	TEST_ASSERT(two_start(&t, TRACKED, .until = FAKE_MEMORY), "two devices");
	TEST_ASSERT_SUCCESS(fake_inflight_get(t.bad, &area, 2, SIZE), "an area");
	for (unsigned int i = 0; i < 1000; i++) {
		scribble(&area, 8 << rand_r(&seed) % 8, &seed);
		TEST_ASSERT_EQUAL(fake_inflight_set(t.bad, &area), FAKE_ACK, "area %u", i);
		t.bad->vqs[RING].used_idx = rand_r(&seed) % 2 * rand_r(&seed);
		TEST_ASSERT_SUCCESS(fake_setup_vring(t.bad, RING), "area %u", i);
		if (check_bounds(t.bad->vid) != 0)
			return TEST_FAILED;
		for (unsigned int k = 0; k < 50; k++) {
			call_anything(t.bad->vid, &seed);
			scribble(&area, 2, &seed);
		}
		TEST_ASSERT(fake_stop_vring(t.bad, RING) >= 0, "stopped");
	}
	TEST_ASSERT_EQUAL(fake_round_trip(t.good, 0, 64), 64, "the other one");
	fake_inflight_close(&area);
	return two_end(&t);
}

static int
two_hundred_backends_leave_nothing(void)
{
	unsigned int before;
	uint64_t resident;
	struct story s;

	TEST_ASSERT_SUCCESS(begin(&s), "a device");
	s.m->steps = 100;
	work(&s);
	for (unsigned int i = 0; i < 20; i++)
		TEST_ASSERT_SUCCESS(again(&s), "backend %u", i);
	before = fake_count_fds();
	resident = fake_resident_kib();
	for (unsigned int i = 0; i < 200; i++) {
		struct fake_inflight more;

		TEST_ASSERT_SUCCESS(again(&s), "backend %u", i);
		TEST_ASSERT_SUCCESS(fake_inflight_get(s.fe, &more, 64, 1024), "and an area");
		fake_inflight_close(&more);
	}
	/* the last area is missed when another one is asked for */
	TEST_ASSERT(fake_wait_fds(before + 1) <= before + 1, "descriptors");
	TEST_ASSERT(fake_resident_kib() <= resident + FAKE_GROWTH_KIB(4096), "%" PRIu64 " KiB, %" PRIu64 " before",
		fake_resident_kib(), resident);
	return end(&s);
}

static const struct test_case cases[] = {
	TEST_CASE(area_is_made_for_the_rings),
	TEST_CASE(frontends_send_padding_or_not),
	TEST_CASE(nothing_is_recorded_without_the_feature),
	TEST_CASE(feature_is_offered_on_request),
	TEST_CASE(backend_dies_between_any_two_steps),
	TEST_CASE(backend_is_killed),
	TEST_CASE(ring_that_is_stopped_leaves_its_requests),
	TEST_CASE(log_of_written_pages_leaves_requests_alone),
	TEST_CASE(last_batch_is_found),
	TEST_CASE(area_too_small_for_the_rings),
	TEST_CASE(new_area_is_ready_for_any_backend),
	TEST_CASE(functions_are_for_rings_of_their_kind),
	TEST_CASE(entries_that_lead_nowhere_are_refused),
	TEST_CASE(area_of_the_frontends_own),
	TEST_CASE(area_with_an_offset),
	TEST_CASE(wrong_areas_are_refused),
	TEST_CASE(wrong_files_are_refused),
	TEST_CASE(areas_of_gigabytes_are_not_made),
	TEST_CASE(area_does_not_change_while_rings_run),
	TEST_CASE(area_does_not_change_while_any_ring_runs),
	TEST_CASE(a_region_is_within_its_area),
	TEST_CASE(area_that_is_truncated_takes_its_device_along),
	TEST_CASE(areas_full_of_nonsense_are_survived),
	TEST_CASE(two_hundred_backends_leave_nothing),
};

static int
run_suite(const char *name, int (*setup)(void))
{
	const struct test_suite suite = {
		.name = name,
		.setup = setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

static int
test_vhost_inflight(void)
{
	return run_suite("vhost in-flight area", fake_setup);
}

static int
test_vhost_inflight_packed(void)
{
	return run_suite("vhost in-flight area, packed", fake_setup_packed);
}

REGISTER_TEST_COMMAND(vhost_inflight_autotest, test_vhost_inflight);
REGISTER_TEST_COMMAND(vhost_inflight_packed_autotest, test_vhost_inflight_packed);
