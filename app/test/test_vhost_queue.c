/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A queue's handle: the gate between bursts and the owner, descriptors, and what
 * a wish amounts to.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_ring.h>

#include <rte_cycles.h>
#include <rte_ether.h>

#include "device.h"
#include "device_wish.h"
#include "inflight_area.h"
#include "mem_map.h"
#include "mem_node.h"
#include "queue.h"
#include "queue_inflight.h"
#include "ring_locate.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_topology.h"
#include "vu_message.h"

/** A queue with a dormant block, the replica that it looks at, and what is asked for. */
struct bench {
	struct virtio_net *net;
	struct vhost_queue *q;
	struct queue_wish wish;
};

static const struct queue_wish fresh_wish = {
	.kickfd = QUEUE_FD_UNSET,
	.callfd = QUEUE_FD_UNSET,
};

static struct vhost_queue *
make_queue(uint16_t index)
{
	struct vhost_queue *q = vhost_node_pages(sizeof(struct vhost_queue_page));

	if (q != NULL)
		vhost_queue_init(q, index, NULL);
	return q;
}

static void
free_queue(struct vhost_queue *q)
{
	vhost_node_pages_free(q, sizeof(struct vhost_queue_page));
}

static void
shut_down(struct vhost_queue *q)
{
	vhost_queues_shut_down(q, 1);
}

/** Another life, as a settle begins it. */
static int
bring_up(struct vhost_queue *q, uint16_t index, const struct virtio_net *net)
{
	const struct vq_cfg dormant = {
		.index = index, .node = net->node, .generation = net->generation,
	};

	vhost_queue_init(q, index, NULL);
	if (vhost_queue_stage(q, &dormant, net) < 0)
		return -ENOMEM;
	vhost_queue_commit(q, &fresh_wish, false);
	return 0;
}

static int
bench_open(struct bench *b, uint16_t index)
{
	const struct virtio_net_cfg cfg = { .vid = 0, .generation = 7, .flags = NET_BUILTIN };

	topology_make_up();
	b->net = vhost_virtio_net_create(&cfg, "bench", topology_home());
	b->q = make_queue(index);
	b->wish = fresh_wish;
	if (b->net == NULL || b->q == NULL)
		return -1;
	return bring_up(b->q, index, b->net);
}

/** Handles live for ever in the library; here they end with their test. */
static int
bench_close(struct bench *b)
{
	/* once: what is left of it is zeros, which are descriptors of others */
	if (vhost_queue_block(b->q) != NULL)
		shut_down(b->q);
	free_queue(b->q);
	vhost_virtio_net_destroy(b->net);
	TEST_ASSERT_EQUAL(topology_end(), 0, "all blocks were given back");
	return TEST_SUCCESS;
}

/** Put the wish's descriptors in force. */
static void
put_in_force(struct bench *b)
{
	vhost_queue_commit(b->q, &b->wish, false);
	vhost_queue_close_retired(b->q);
}

/* ---- the gate, alone ---- */

static int
nobody_enters_while_it_is_closed(void)
{
	struct vhost_virtqueue *block;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 0), "a queue");
	block = vhost_gate_close(&b.q->gate);
	TEST_ASSERT_NOT_NULL(block, "the owner has the block");
	TEST_ASSERT_NULL(vhost_gate_try_enter(&b.q->gate), "a burst has not");
	vhost_gate_open(&b.q->gate);
	TEST_ASSERT(vhost_gate_enter(&b.q->gate) == block, "now it has");
	vhost_gate_leave(&b.q->gate);
	TEST_ASSERT(vhost_gate_try_enter(&b.q->gate) == block, "and this one too");
	vhost_gate_leave(&b.q->gate);
	return bench_close(&b);
}

static int
trying_does_not_wait(void)
{
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 0), "a queue");
	TEST_ASSERT_NOT_NULL(vhost_gate_enter(&b.q->gate), "inside");
	TEST_ASSERT_NULL(vhost_gate_try_enter(&b.q->gate), "the other one goes away");
	TEST_ASSERT_EQUAL(vhost_queue_try_notify(b.q), -EAGAIN, "likewise");
	vhost_gate_leave(&b.q->gate);
	TEST_ASSERT_NOT_NULL(vhost_gate_try_enter(&b.q->gate), "now there is room");
	vhost_gate_leave(&b.q->gate);
	return bench_close(&b);
}

static int
late_bursts_find_nothing(void)
{
	struct vhost_queue *q = make_queue(5);
	const struct virtio_net net = { .node = VHOST_NODE_ANY };
	uint16_t avail, used;

	topology_make_up();
	TEST_ASSERT_NOT_NULL(q, "a handle");
	for (int life = 0; life < 3; life++) {
		TEST_ASSERT_NULL(vhost_gate_enter(&q->gate), "not up yet");
		TEST_ASSERT_NULL(vhost_gate_try_enter(&q->gate), "not up yet");
		TEST_ASSERT_EQUAL(vhost_queue_get_base(q, &avail, &used), -ENODEV, "none");
		TEST_ASSERT_EQUAL(vhost_queue_notify(q), -ENODEV, "nobody to notify");
		TEST_ASSERT_EQUAL(vhost_queue_waiting(q), 0, "nothing waits");
		TEST_ASSERT_SUCCESS(bring_up(q, 5, &net), "life %d", life);
		TEST_ASSERT_SUCCESS(vhost_queue_get_base(q, &avail, &used), "it lives");
		TEST_ASSERT_EQUAL(avail, 0, "from the beginning");
		vhost_queue_set_base(q, 77, 78);
		TEST_ASSERT_NOT_NULL(vhost_gate_enter(&q->gate), "a burst");
		vhost_gate_leave(&q->gate);
		shut_down(q);
		TEST_ASSERT_EQUAL(topology_live(), 0, "its block was given back");
	}
	free_queue(q);
	topology_end();
	return TEST_SUCCESS;
}

/**
 * A burst may look at gate.closing just before a shut down, and enter just after
 * it.  It finds no block, and nobody may have to wait for it.
 */
static int
a_burst_that_looked_too_early_leaves_again(void)
{
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 0), "a queue");
	shut_down(b.q);
	TEST_ASSERT_NULL(vhost_gate_enter(&b.q->gate), "nothing there");
	TEST_ASSERT_EQUAL(b.q->gate.taken, 0, "and nobody inside");
	TEST_ASSERT_NULL(vhost_gate_try_enter(&b.q->gate), "nothing there");
	TEST_ASSERT_EQUAL(b.q->gate.taken, 0, "and nobody inside");
	TEST_ASSERT_SUCCESS(bring_up(b.q, b.q->index, b.net), "another life");
	TEST_ASSERT_NOT_NULL(vhost_gate_enter(&b.q->gate), "a burst");
	vhost_gate_leave(&b.q->gate);
	return bench_close(&b);
}

/** The same, as an application sees it that sends and receives a little too long. */
static int
bursts_of_a_queue_that_was_shut_down_are_empty(void)
{
	struct vhost_handle *handle = &vhost_handles[VHOST_MAX_DEVICES - 1];
	const struct vhost_handle before = *handle;
	struct rte_mbuf *pkt = NULL;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 0), "a queue");
	shut_down(b.q);
	*handle = (struct vhost_handle){ .nvrings = 1, .queues = b.q };
	TEST_ASSERT_EQUAL(rte_vhost_enqueue_burst(VHOST_MAX_DEVICES - 1, 0, &pkt, 1), 0, "to");
	TEST_ASSERT_EQUAL(rte_vhost_dequeue_burst(VHOST_MAX_DEVICES - 1, 0, NULL, &pkt, 1), 0,
		"from");
	TEST_ASSERT_NULL(pkt, "no packet");
	TEST_ASSERT_EQUAL(b.q->gate.taken, 0, "and nobody inside");
	*handle = before;
	return bench_close(&b);
}

static int
a_first_block_without_memory_changes_nothing(void)
{
	struct vhost_queue *q = make_queue(5);
	const struct virtio_net net = { .node = VHOST_NODE_ANY };

	topology_make_up();
	TEST_ASSERT_NOT_NULL(q, "a handle");
	topology_all_full(true);
	TEST_ASSERT_EQUAL(bring_up(q, 5, &net), -ENOMEM, "no memory");
	TEST_ASSERT_NULL(vhost_gate_enter(&q->gate), "still down");
	topology_all_full(false);
	TEST_ASSERT_SUCCESS(bring_up(q, 5, &net), "now");
	TEST_ASSERT_NOT_NULL(vhost_gate_enter(&q->gate), "up");
	vhost_gate_leave(&q->gate);
	shut_down(q);
	free_queue(q);
	topology_end();
	return TEST_SUCCESS;
}

/* Who waits for the gate while the handle's memory goes back is not counted any more. */
static int
late_owners_do_not_close_the_next_life(void)
{
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 5), "a queue");
	for (int life = 0; life < 3; life++) {
		shut_down(b.q);
		/* somebody who announced himself before gets in, and leaves, after it */
		vhost_gate_open(&b.q->gate);
		TEST_ASSERT_EQUAL(b.q->gate.closing, 0, "nobody closes it");
		TEST_ASSERT_SUCCESS(bring_up(b.q, 5, b.net), "another life");
		TEST_ASSERT_NOT_NULL(vhost_gate_try_enter(&b.q->gate), "a burst");
		vhost_gate_leave(&b.q->gate);
	}
	return bench_close(&b);
}

/* ---- the gate, in a crowd ---- */

enum role { ENTERS, TRIES, CLOSES, ROLES };

#define CROWD 4

/** A gate and those who are at it. */
struct crowd {
	struct vhost_queue *q;
	unsigned int inside;		/* who is there; guarded by the gate alone */
	uint64_t sum;			/* likewise */
	uint64_t entries;		/* atomic */
	uint64_t by_role[ROLES];	/* atomic */
	bool trespass, end;		/* atomic */
};

struct member {
	struct crowd *crowd;
	enum role role;
	pthread_t thread;
};

/** What everybody does inside.  Alone there, plain variables suffice. */
static void
be_inside(struct crowd *c, enum role role)
{
	if (c->inside++ != 0)
		__atomic_store_n(&c->trespass, true, __ATOMIC_RELAXED);
	c->sum++;
	__atomic_fetch_add(&c->entries, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&c->by_role[role], 1, __ATOMIC_RELAXED);
	if (--c->inside != 0)
		__atomic_store_n(&c->trespass, true, __ATOMIC_RELAXED);
}

/** One visit; a closer rests afterwards, or nobody else would get in. */
static void
visit(struct crowd *c, enum role role)
{
	if (role == CLOSES) {
		vhost_gate_close(&c->q->gate);
		be_inside(c, role);
		vhost_gate_open(&c->q->gate);
		for (unsigned int i = 0; i < 50; i++)
			rte_pause();
	} else if ((role == ENTERS ? vhost_gate_enter(&c->q->gate) :
			vhost_gate_try_enter(&c->q->gate)) != NULL) {
		be_inside(c, role);
		vhost_gate_leave(&c->q->gate);
	}
}

static void *
member_main(void *arg)
{
	struct member *m = arg;

	while (!__atomic_load_n(&m->crowd->end, __ATOMIC_RELAXED))
		visit(m->crowd, m->role);
	return NULL;
}

/** Wait until every role was inside so often; false when time is up. */
static bool
wait_for_crowd(const struct crowd *c, uint64_t visits)
{
	uint64_t until = fake_now_ms() + 4 * fake_patience_ms();

	for (unsigned int role = 0; role < ROLES; role++)
		while (__atomic_load_n(&c->by_role[role], __ATOMIC_RELAXED) < visits) {
			if (fake_now_ms() > until)
				return false;
			sched_yield();
		}
	return true;
}

static int
one_at_a_time(void)
{
	static const enum role roles[CROWD] = { ENTERS, TRIES, CLOSES, CLOSES };
	struct member members[CROWD];
	struct crowd c = { 0 };
	struct bench b;
	bool enough;

	TEST_ASSERT_SUCCESS(bench_open(&b, 0), "a queue");
	c.q = b.q;
	for (unsigned int i = 0; i < CROWD; i++) {
		members[i] = (struct member){ .crowd = &c, .role = roles[i] };
		TEST_ASSERT_SUCCESS(pthread_create(&members[i].thread, NULL, member_main,
			&members[i]), "a thread");
	}
	enough = wait_for_crowd(&c, test_param_u64("visits", 20000));
	__atomic_store_n(&c.end, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < CROWD; i++)
		pthread_join(members[i].thread, NULL);
	TEST_ASSERT(!c.trespass, "two were inside at once");
	TEST_ASSERT_EQUAL(c.sum, c.entries, "and one of them was not seen");
	TEST_ASSERT(enough, "visits: %" PRIu64 " %" PRIu64 " %" PRIu64,
		c.by_role[ENTERS], c.by_role[TRIES], c.by_role[CLOSES]);
	TEST_ASSERT_NOT_NULL(vhost_gate_enter(&c.q->gate), "it is open in the end");
	vhost_gate_leave(&c.q->gate);
	return bench_close(&b);
}

/** Wait a little for somebody to enter. */
static void
wait_for_entry(const struct crowd *c)
{
	uint64_t before = __atomic_load_n(&c->entries, __ATOMIC_RELAXED);

	for (unsigned int n = 0; n < 100000 &&
			__atomic_load_n(&c->entries, __ATOMIC_RELAXED) == before; n++)
		rte_pause();
}

static void *
poll_without_mercy(void *arg)
{
	struct crowd *c = arg;

	while (!__atomic_load_n(&c->end, __ATOMIC_RELAXED)) {
		if (vhost_gate_enter(&c->q->gate) == NULL)
			continue;
		__atomic_fetch_add(&c->entries, 1, __ATOMIC_RELAXED);
		/* A burst is long, and the way to the next one short. */
		for (unsigned int i = 0; i < 20; i++)
			rte_pause();
		vhost_gate_leave(&c->q->gate);
	}
	return NULL;
}

/*
 * A poller that leaves and enters again at once goes before everybody who waits
 * for a free gate, for milliseconds and more.  An announced closer waits for one
 * burst; the others that are counted here came between the look at the counter
 * and the announcement, many only if the closer lost its core just then.
 */
static int
a_hot_poller_does_not_starve_the_owner(void)
{
	enum { ROUNDS = 1000, ON_AVERAGE = 200 };
	struct crowd c = { 0 };
	uint64_t waited = 0;
	pthread_t poller;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 0), "a queue");
	c.q = b.q;
	TEST_ASSERT_SUCCESS(pthread_create(&poller, NULL, poll_without_mercy, &c), "a thread");
	for (unsigned int i = 0; i < ROUNDS && waited <= ROUNDS * ON_AVERAGE; i++) {
		uint64_t before = __atomic_load_n(&c.entries, __ATOMIC_RELAXED);

		vhost_gate_close(&c.q->gate);
		waited += __atomic_load_n(&c.entries, __ATOMIC_RELAXED) - before;
		vhost_gate_open(&c.q->gate);
		/* So that the next close meets the poller. */
		wait_for_entry(&c);
	}
	__atomic_store_n(&c.end, true, __ATOMIC_RELAXED);
	pthread_join(poller, NULL);
	TEST_ASSERT(c.entries > 0, "the poller polled");
	TEST_ASSERT(waited <= ROUNDS * ON_AVERAGE, "%" PRIu64 " bursts went first", waited);
	return bench_close(&b);
}

struct lingerer {
	struct vhost_queue *q;
	bool inside;	/* atomic */
};

static void *
linger(void *arg)
{
	const struct timespec while_ = { .tv_nsec = 50000000 };
	struct lingerer *l = arg;
	struct vhost_virtqueue *block = vhost_gate_enter(&l->q->gate);

	__atomic_store_n(&l->inside, true, __ATOMIC_RELEASE);
	nanosleep(&while_, NULL);
	/* The block is this thread's until it leaves. */
	if (block->cfg.index != 9)
		abort();
	__atomic_store_n(&l->inside, false, __ATOMIC_RELEASE);
	vhost_gate_leave(&l->q->gate);
	return NULL;
}

/** Start a burst that takes a while; it is inside when this returns. */
static int
start_lingering(struct lingerer *l, pthread_t *thread)
{
	TEST_ASSERT_SUCCESS(pthread_create(thread, NULL, linger, l), "a thread");
	while (!__atomic_load_n(&l->inside, __ATOMIC_ACQUIRE))
		sched_yield();
	return 0;
}

static int
shut_down_waits_for_the_last_burst(void)
{
	struct lingerer l = { 0 };
	pthread_t thread;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 9), "a queue");
	l.q = b.q;
	TEST_ASSERT_SUCCESS(start_lingering(&l, &thread), "a burst");
	shut_down(b.q);
	TEST_ASSERT(!__atomic_load_n(&l.inside, __ATOMIC_ACQUIRE), "it was over by then");
	pthread_join(thread, NULL);
	return bench_close(&b);
}

/** Until so many owners have announced themselves. */
static bool
are_announced(const struct vhost_gate *gate, uint32_t n)
{
	uint64_t start = fake_now_ms();

	while (__atomic_load_n(&gate->closing, __ATOMIC_RELAXED) != n)
		if (fake_now_ms() - start > fake_patience_ms())
			return false;
		else
			sched_yield();
	return true;
}

static void *
close_and_open(void *arg)
{
	struct vhost_gate *gate = arg;

	vhost_gate_close(gate);
	vhost_gate_open(gate);
	return NULL;
}

/* Its count may go: with the memory of the handle, or by who was late with an earlier life. */
static int
an_owner_who_waits_announces_itself_again(void)
{
	pthread_t thread;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 9), "a queue");
	TEST_ASSERT_NOT_NULL(vhost_gate_enter(&b.q->gate), "a burst");
	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, close_and_open, &b.q->gate), "an owner");
	TEST_ASSERT(are_announced(&b.q->gate, 1), "it waits");
	for (int i = 0; i < 3; i++) {
		__atomic_store_n(&b.q->gate.closing, 0, __ATOMIC_RELAXED);
		TEST_ASSERT(are_announced(&b.q->gate, 1), "again");
	}
	vhost_gate_leave(&b.q->gate);
	pthread_join(thread, NULL);
	TEST_ASSERT_EQUAL(b.q->gate.closing, 0, "it is open");
	return bench_close(&b);
}

static int
closing_waits_for_the_burst_inside(void)
{
	struct lingerer l = { 0 };
	pthread_t thread;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 9), "a queue");
	l.q = b.q;
	TEST_ASSERT_SUCCESS(start_lingering(&l, &thread), "a burst");
	vhost_gate_close(&b.q->gate);
	TEST_ASSERT(!__atomic_load_n(&l.inside, __ATOMIC_ACQUIRE), "it was over by then");
	vhost_gate_open(&b.q->gate);
	pthread_join(thread, NULL);
	return bench_close(&b);
}

static void *
enter_once(void *arg)
{
	struct lingerer *l = arg;

	if (vhost_gate_enter(&l->q->gate) == NULL)
		return NULL;
	__atomic_store_n(&l->inside, true, __ATOMIC_RELEASE);
	vhost_gate_leave(&l->q->gate);
	return NULL;
}

/* It would return 0 otherwise, and the application drop its packets. */
static int
entering_waits_while_it_is_closed(void)
{
	const struct timespec while_ = { .tv_nsec = 20000000 };
	struct lingerer l = { 0 };
	pthread_t thread;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 9), "a queue");
	l.q = b.q;
	vhost_gate_close(&b.q->gate);
	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, enter_once, &l), "a thread");
	nanosleep(&while_, NULL);
	TEST_ASSERT(!__atomic_load_n(&l.inside, __ATOMIC_ACQUIRE), "not while it is closed");
	vhost_gate_open(&b.q->gate);
	pthread_join(thread, NULL);
	TEST_ASSERT(l.inside, "and then it does");
	vhost_gate_close(&b.q->gate);
	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, enter_once, &l), "a thread");
	vhost_gate_open(&b.q->gate);
	shut_down(b.q);
	/* whether it came in before or not, it does not wait for ever */
	pthread_join(thread, NULL);
	TEST_ASSERT_SUCCESS(bring_up(b.q, b.q->index, b.net), "another life");
	return bench_close(&b);
}

/** Milliseconds of processor time that this thread has used. */
static uint64_t
own_cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/*
 * Who is waited for may have lost its core, to the waiter even where that has a
 * real-time priority, and gets it back only when the waiter sleeps.
 */
static int
who_waits_gives_its_core_up(void)
{
	struct lingerer l = { 0 };
	uint64_t cpu, wall;
	pthread_t thread;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 9), "a queue");
	l.q = b.q;
	for (int closes = 0; closes < 2; closes++) {
		TEST_ASSERT_SUCCESS(start_lingering(&l, &thread), "a burst");
		cpu = own_cpu_ms();
		wall = fake_now_ms();
		if (closes) {
			vhost_gate_close(&b.q->gate);
			vhost_gate_open(&b.q->gate);
		} else {
			vhost_gate_enter(&b.q->gate);
			vhost_gate_leave(&b.q->gate);
		}
		cpu = own_cpu_ms() - cpu;
		wall = fake_now_ms() - wall;
		pthread_join(thread, NULL);
		TEST_ASSERT(cpu <= 25 || cpu < wall / 2, "closes %d: %" PRIu64 " ms of %" PRIu64,
			closes, cpu, wall);
	}
	return bench_close(&b);
}

static int
a_burst_that_is_turned_away_is_noticed(void)
{
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 0), "a queue");
	vhost_gate_close(&b.q->gate);
	TEST_ASSERT(!vhost_gate_open(&b.q->gate), "nobody came");
	vhost_gate_close(&b.q->gate);
	TEST_ASSERT_NULL(vhost_gate_try_enter(&b.q->gate), "somebody comes");
	TEST_ASSERT(vhost_gate_open(&b.q->gate), "and is noticed");
	vhost_gate_close(&b.q->gate);
	TEST_ASSERT(!vhost_gate_open(&b.q->gate), "once");
	return bench_close(&b);
}

/* By one that is no burst, too: the burst has seen nothing of the ring either way. */
static int
a_burst_that_met_a_visitor_is_noticed(void)
{
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 0), "a queue");
	TEST_ASSERT_NOT_NULL(vhost_gate_enter_if_free(&b.q->gate), "somebody is inside");
	TEST_ASSERT(!vhost_gate_leave_and_look(&b.q->gate), "nobody came");
	TEST_ASSERT_NOT_NULL(vhost_gate_enter_if_free(&b.q->gate), "again");
	TEST_ASSERT_NULL(vhost_gate_try_enter(&b.q->gate), "somebody comes");
	TEST_ASSERT_NULL(vhost_gate_enter_if_free(&b.q->gate), "and one who comes again");
	TEST_ASSERT(vhost_gate_leave_and_look(&b.q->gate), "the first is noticed");
	TEST_ASSERT_NOT_NULL(vhost_gate_enter_if_free(&b.q->gate), "it was left");
	TEST_ASSERT_NULL(vhost_gate_enter_if_free(&b.q->gate), "one who comes again");
	TEST_ASSERT(!vhost_gate_leave_and_look(&b.q->gate), "is not noticed");
	return bench_close(&b);
}

/** Somebody who waits until nobody uses a doorbell any more. */
struct waiter {
	struct vhost_gate *gate;
	int fd;
};

static void *
await_borrowers(void *arg)
{
	struct waiter *w = arg;

	vhost_gate_await_borrowers(w->gate, w->fd);
	return NULL;
}

/** What was written to an eventfd, which has it still. */
static uint64_t
count_of(int fd)
{
	uint64_t count = 0;

	if (read(fd, &count, sizeof(count)) != sizeof(count) ||
			write(fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

/** Have somebody wait for us a little; whether nobody can have taken us for stuck. */
static bool
have_it_wait(void *(*wait)(void *arg), void *arg, void (*go)(struct vhost_gate *gate),
		struct vhost_gate *gate)
{
	const struct timespec while_ = { .tv_nsec = 20000000 };
	uint64_t since = fake_now_ms();
	pthread_t thread;

	if (pthread_create(&thread, NULL, wait, arg) != 0)
		return false;
	nanosleep(&while_, NULL);
	go(gate);
	pthread_join(thread, NULL);
	/* thousands of turns of 50 us each */
	return fake_now_ms() - since < 200;
}

static void
leave(struct vhost_gate *gate)
{
	vhost_gate_leave(gate);
}

/* It would change what the doorbell is for its owner, and how others ring all doorbells. */
static int
who_waits_a_little_frees_no_writer(void)
{
	const uint64_t most = UINT64_MAX - 1;
	int old = eventfd(0, EFD_NONBLOCK), new = eventfd(0, EFD_NONBLOCK);
	struct vhost_gate *gate;
	struct waiter w;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 0), "a queue");
	gate = &b.q->gate;
	vhost_wish_kickfd(&b.wish, new, DOORBELL_EVENTFD);
	put_in_force(&b);
	TEST_ASSERT_EQUAL(write(old, &most, sizeof(most)), sizeof(most), "a full one");
	TEST_ASSERT_EQUAL(write(new, &most, sizeof(most)), sizeof(most), "another one");
	w = (struct waiter){ .gate = gate, .fd = old };
	TEST_ASSERT_EQUAL(vhost_gate_borrow(gate, GATE_KICK), new, "somebody uses a doorbell");
	if (have_it_wait(await_borrowers, &w, vhost_gate_give_back, gate)) {
		TEST_ASSERT_EQUAL(count_of(old), most, "it is full");
		TEST_ASSERT_EQUAL(count_of(new), most, "as before");
	}
	TEST_ASSERT_NOT_NULL(vhost_gate_enter(gate), "a burst");
	if (have_it_wait(close_and_open, gate, leave, gate))
		TEST_ASSERT_EQUAL(count_of(new), most, "it is full");
	__atomic_store_n(&vhost_doorbell_asks_first, false, __ATOMIC_RELAXED);
	close(old);
	return bench_close(&b);
}

struct replacement {
	struct bench bench;
	bool done;	/* atomic */
};

static void *
replace_callfd(void *arg)
{
	struct replacement *r = arg;

	vhost_wish_callfd(&r->bench.wish, QUEUE_FD_NONE, DOORBELL_EVENTFD);
	put_in_force(&r->bench);
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Else who frees a caught writer, or wakes the application, may meet another file. */
static int
a_borrowed_doorbell_stays_open(void)
{
	const struct timespec while_ = { .tv_nsec = 20000000 };
	int fd, call = eventfd(0, EFD_NONBLOCK);
	struct replacement r = { 0 };
	struct vhost_gate *gate;
	pthread_t thread;

	TEST_ASSERT_SUCCESS(bench_open(&r.bench, 0), "a queue");
	gate = &r.bench.q->gate;
	vhost_wish_callfd(&r.bench.wish, call, DOORBELL_EVENTFD);
	put_in_force(&r.bench);
	fd = vhost_gate_borrow(gate, GATE_CALL);
	TEST_ASSERT_EQUAL(fd, call, "it is known");
	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, replace_callfd, &r), "a thread");
	nanosleep(&while_, NULL);
	TEST_ASSERT(!__atomic_load_n(&r.done, __ATOMIC_ACQUIRE), "it is waited for");
	TEST_ASSERT(fcntl(fd, F_GETFD) >= 0, "and open");
	vhost_gate_give_back(gate);
	pthread_join(thread, NULL);
	TEST_ASSERT(vhost_gate_borrow(gate, GATE_CALL) < 0, "none any more");
	vhost_gate_give_back(gate);
	return bench_close(&r.bench);
}

static void *
replace_kickfd(void *arg)
{
	struct replacement *r = arg;

	put_in_force(&r->bench);
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/** Write to the doorbell in force, as wake_application() does that was overtaken by the guest. */
static void *
borrow_and_write(void *arg)
{
	struct vhost_gate *gate = arg;
	const uint64_t one = 1;
	ssize_t written = write(vhost_gate_borrow(gate, GATE_KICK), &one, sizeof(one));

	vhost_gate_give_back(gate);
	return written == sizeof(one) ? gate : NULL;
}

/* Who waits for those who use the old doorbell waits for those of the new one as well. */
static int
a_caught_borrower_of_the_new_doorbell_is_freed(void)
{
	const struct timespec while_ = { .tv_nsec = 20000000 };
	const uint64_t most = UINT64_MAX - 1;
	int kick = eventfd(0, 0);
	struct replacement r = { 0 };
	struct vhost_gate *gate;
	pthread_t owner, writer;
	void *has_written;

	TEST_ASSERT_SUCCESS(bench_open(&r.bench, 0), "a queue");
	gate = &r.bench.q->gate;
	vhost_wish_kickfd(&r.bench.wish, eventfd(0, EFD_NONBLOCK), DOORBELL_EVENTFD);
	put_in_force(&r.bench);
	TEST_ASSERT_EQUAL(write(kick, &most, sizeof(most)), sizeof(most), "a full one");
	TEST_ASSERT(vhost_gate_borrow(gate, GATE_KICK) >= 0, "somebody uses the old one");
	vhost_wish_kickfd(&r.bench.wish, kick, DOORBELL_EVENTFD);
	TEST_ASSERT_SUCCESS(pthread_create(&owner, NULL, replace_kickfd, &r), "a thread");
	while (vhost_gate_borrow(gate, GATE_KICK) != kick)
		vhost_gate_give_back(gate);
	vhost_gate_give_back(gate);
	TEST_ASSERT_SUCCESS(pthread_create(&writer, NULL, borrow_and_write, gate), "another");
	nanosleep(&while_, NULL);
	vhost_gate_give_back(gate);
	pthread_join(owner, NULL);
	pthread_join(writer, &has_written);
	TEST_ASSERT_NOT_NULL(has_written, "it was caught, and freed");
	__atomic_store_n(&vhost_doorbell_asks_first, false, __ATOMIC_RELAXED);
	return bench_close(&r.bench);
}

static void *
burst_at_any_time(void *arg)
{
	struct crowd *c = arg;
	bool try = false;

	while (!__atomic_load_n(&c->end, __ATOMIC_RELAXED)) {
		struct vhost_virtqueue *block = try ?
			vhost_gate_try_enter(&c->q->gate) : vhost_gate_enter(&c->q->gate);

		try = !try;
		if (block == NULL)
			continue;
		__atomic_fetch_add(&c->entries, 1, __ATOMIC_RELAXED);
		/* A block that was given back is full of something else. */
		if (block->cfg.index != 3 || block->size != 0 ||
				block->dequeue(block, NULL, NULL, 1) != 0)
			__atomic_store_n(&c->trespass, true, __ATOMIC_RELAXED);
		block->state.stats.packets++;
		vhost_gate_leave(&c->q->gate);
	}
	return NULL;
}

/** The next device of a vid uses the handles again, whoever still polls them. */
static int
handles_are_used_again_under_bursts(void)
{
	const unsigned int lives = test_param_u64("lives", 1000);
	struct crowd c = { 0 };
	pthread_t threads[2];
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 3), "a queue");
	c.q = b.q;
	for (unsigned int i = 0; i < RTE_DIM(threads); i++)
		TEST_ASSERT_SUCCESS(pthread_create(&threads[i], NULL,
			burst_at_any_time, &c), "a thread");
	for (unsigned int i = 0; i < lives; i++) {
		shut_down(c.q);
		TEST_ASSERT_SUCCESS(bring_up(c.q, 3, b.net), "life %u", i);
		/* Every tenth life is long enough for a burst. */
		if (i % 10 == 0)
			wait_for_entry(&c);
	}
	__atomic_store_n(&c.end, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < RTE_DIM(threads); i++)
		pthread_join(threads[i], NULL);
	TEST_ASSERT(!c.trespass, "a burst met a block that was gone");
	TEST_ASSERT(c.entries > 0, "there were bursts");
	return bench_close(&b);
}

/* ---- what the owner says through the gate ---- */

/** When descriptors are closed is told by test_vhost_settle.c. */
static int
descriptors_belong_to_the_queue(void)
{
	unsigned int fds = fake_count_fds();
	int kick[2], call[2];
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 0), "a queue");
	for (int i = 0; i < 2; i++) {
		kick[i] = eventfd(0, EFD_NONBLOCK);
		call[i] = eventfd(0, EFD_NONBLOCK);
	}
	TEST_ASSERT_EQUAL(b.q->kickfd, QUEUE_FD_UNSET, "nobody has said");
	for (int i = 0; i < 2; i++) {
		vhost_wish_kickfd(&b.wish, kick[i], DOORBELL_EVENTFD);
		vhost_wish_callfd(&b.wish, call[i], DOORBELL_EVENTFD);
		put_in_force(&b);
		TEST_ASSERT_EQUAL(b.q->kickfd, kick[i], "in force");
		TEST_ASSERT_EQUAL(vhost_queue_block(b.q)->callfd, call[i], "in force");
	}
	vhost_wish_callfd(&b.wish, QUEUE_FD_NONE, DOORBELL_EVENTFD);
	put_in_force(&b);
	TEST_ASSERT_EQUAL(vhost_queue_block(b.q)->callfd, -1, "none");
	shut_down(b.q);
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "all are closed with the queue");
	TEST_ASSERT_SUCCESS(bring_up(b.q, b.q->index, b.net), "another life");
	TEST_ASSERT_EQUAL(b.q->kickfd, QUEUE_FD_UNSET, "with nothing left");
	TEST_ASSERT_EQUAL(b.q->callfd, QUEUE_FD_UNSET, "with nothing left");
	return bench_close(&b);
}

static int
state_is_reached_through_the_gate(void)
{
	const struct rte_ether_addr mac = { { 2, 3, 4, 5, 6, 7 } };
	const struct vhost_virtqueue *block;
	struct vring from = { 0 };
	struct vq_stats stats;
	uint16_t avail, used;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 0), "a queue");
	block = vhost_queue_block(b.q);
	vhost_queue_set_base(b.q, 65535, 1);
	TEST_ASSERT_SUCCESS(vhost_queue_get_base(b.q, &avail, &used), "the base");
	TEST_ASSERT(avail == 65535 && used == 1, "as it was set: %u, %u", avail, used);
	vhost_queue_announce(b.q, &mac);
	TEST_ASSERT(block->state.announce, "an announcement is due");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(block->state.announce_mac, &mac, sizeof(mac), "of it");
	vhost_gate_close(&b.q->gate)->state.stats.packets = 12;
	vhost_gate_open(&b.q->gate);
	TEST_ASSERT_SUCCESS(vhost_queue_stats(b.q, &stats, false), "statistics");
	TEST_ASSERT_EQUAL(stats.packets, 12, "of packets");
	TEST_ASSERT_SUCCESS(vhost_queue_stats(b.q, &stats, true), "statistics");
	TEST_ASSERT_EQUAL(stats.packets, 12, "of packets");
	TEST_ASSERT_SUCCESS(vhost_queue_stats(b.q, &stats, false), "statistics");
	TEST_ASSERT_EQUAL(stats.packets, 0, "start over");
	TEST_ASSERT_EQUAL(vhost_queue_relay_used(b.q, &from), -1, "no ring to relay to");
	vhost_queue_set_kicks(b.q, false);
	TEST_ASSERT(block->attr.kicks == VQ_KICKS_OFF && b.q->kicks == VQ_KICKS_OFF, "no kicks, please");
	TEST_ASSERT_EQUAL(vhost_queue_notify(b.q), -ENODEV, "no ring, nobody to notify");
	shut_down(b.q);
	TEST_ASSERT_EQUAL(vhost_queue_stats(b.q, &stats, false), -ENODEV, "gone");
	TEST_ASSERT_EQUAL(vhost_queue_relay_used(b.q, &from), -1, "gone");
	/* Late callers may still speak to it. */
	vhost_queue_announce(b.q, &mac);
	vhost_queue_set_kicks(b.q, true);
	vhost_queue_set_base(b.q, 1, 1);
	TEST_ASSERT_EQUAL(vhost_queue_unused(b.q), 0, "nothing");
	TEST_ASSERT_SUCCESS(bring_up(b.q, b.q->index, b.net), "another life");
	TEST_ASSERT_EQUAL(b.q->kicks, VQ_KICKS_UNSAID, "which has not heard them");
	return bench_close(&b);
}

static int
stopping_forgets_what_starts_a_ring(void)
{
	struct device_wish *wish = calloc(1, sizeof(*wish));
	struct queue_wish *ring;

	TEST_ASSERT_NOT_NULL(wish, "a device's wishes");
	vhost_wish_init(wish);
	vhost_wish_vring(wish, 1);
	TEST_ASSERT_EQUAL(wish->nvrings, 2, "and all below");
	ring = &wish->queues[1];
	ring->size = 128;
	ring->has_addr = true;
	ring->enabled = true;
	vhost_wish_kickfd(ring, QUEUE_FD_NONE, DOORBELL_EVENTFD);
	vhost_wish_callfd(ring, QUEUE_FD_NONE, DOORBELL_EVENTFD);
	vhost_wish_stop_ring(ring);
	TEST_ASSERT(!ring->has_addr && ring->kickfd == QUEUE_FD_UNSET &&
		ring->callfd == QUEUE_FD_UNSET, "these have to come again");
	TEST_ASSERT(ring->size == 128 && ring->enabled, "these stay");
	wish->protocol_features = 1;
	vhost_wish_reset(wish);
	TEST_ASSERT(ring->size == 0 && !ring->enabled, "now all is as in the beginning");
	TEST_ASSERT_EQUAL(wish->protocol_features, 1, "but for what is the connection's");
	free(wish);
	return TEST_SUCCESS;
}

/* ---- wishes and shapes ---- */

#define REGION_BYTES 0x200000ULL
#define FIRST_UVA 0x7f0000000000ULL
#define SECOND_UVA (FIRST_UVA + REGION_BYTES)	/* not the same memory: no ring crosses */
#define GENERATION 7
#define FEATURES (1ULL << VHOST_USER_F_PROTOCOL_FEATURES)
#define RING_SIZE 256

static struct mem_map *
two_regions(void)
{
	static const struct mem_owner owner = { .name = "queue-test", .sock = -1 };
	struct vu_memory table = { .nregions = 2 };
	struct mem_map *map = NULL;
	int fds[2];

	for (int i = 0; i < 2; i++) {
		fds[i] = memfd_create("queue-test", MFD_CLOEXEC);
		if (fds[i] < 0 || ftruncate(fds[i], REGION_BYTES) < 0)
			return NULL;
		table.regions[i] = (struct vu_region){
			.gpa = (i + 1) * 0x100000000ULL, .size = REGION_BYTES,
			.uva = i == 0 ? FIRST_UVA : SECOND_UVA,
		};
	}
	return vhost_mem_map_create(&owner, &table, fds, &map) == 0 ? map : NULL;
}

static struct queue_wish
good_wish(void)
{
	return (struct queue_wish){
		.size = RING_SIZE, .has_addr = true,
		.desc_uva = FIRST_UVA, .avail_uva = FIRST_UVA + 0x10000,
		.used_uva = FIRST_UVA + 0x20000,
		.kickfd = QUEUE_FD_NONE, .callfd = QUEUE_FD_NONE,
	};
}

static bool
fits(const struct queue_wish *wish, struct mem_map *map)
{
	const struct ring_memory_map memory = { .map = map };

	return vhost_ring_fits(wish, 0, &memory);
}

/** Compare the shape of a wish with what it should be. */
static int
check_shape(const struct bench *b, struct mem_map *map, bool live, const char *what)
{
	struct vq_cfg cfg = { .generation = GENERATION };

	vhost_ring_locate(&b->wish, FEATURES, &(struct ring_memory_map){ .map = map }, &cfg);
	TEST_ASSERT_EQUAL(cfg.size, live ? b->wish.size : 0, "%s", what);
	if (!live) {
		TEST_ASSERT(cfg.desc == NULL && cfg.avail == NULL && cfg.used == NULL,
			"%s: no ring", what);
		return 0;
	}
	TEST_ASSERT((void *)cfg.desc == vhost_mem_map_from_uva(map, b->wish.desc_uva, 1),
		"%s: descriptors", what);
	TEST_ASSERT((void *)cfg.avail == vhost_mem_map_from_uva(map, b->wish.avail_uva, 1),
		"%s: available ring", what);
	TEST_ASSERT((void *)cfg.used == vhost_mem_map_from_uva(map, b->wish.used_uva, 1),
		"%s: used ring", what);
	return 0;
}

/** Every combination of what may be missing: a ring that is not enabled needs it all. */
static int
a_ring_needs_everything_to_start(void)
{
	struct mem_map *map = two_regions();
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 1), "a queue");
	TEST_ASSERT_NOT_NULL(map, "guest memory");
	for (unsigned int missing = 0; missing < 32; missing++) {
		char what[32];

		snprintf(what, sizeof(what), "missing 0x%x", missing);
		b.wish = good_wish();
		if (missing & 1)
			b.wish.size = 0;
		if (missing & 2)
			b.wish.has_addr = false;
		if (missing & 4)
			b.wish.kickfd = QUEUE_FD_UNSET;
		if (missing & 8)
			b.wish.callfd = QUEUE_FD_UNSET;
		TEST_ASSERT_SUCCESS(check_shape(&b, missing & 16 ? NULL : map,
			missing == 0, what), "%s", what);
		/* Whether it is enabled is no matter of shape, but for the call descriptor. */
		b.wish.enabled = true;
		vhost_queue_set_kicks(b.q, false);
		TEST_ASSERT_SUCCESS(check_shape(&b, missing & 16 ? NULL : map,
			(missing & ~8) == 0, what), "%s, enabled", what);
		b.wish.knows_call = true;
		TEST_ASSERT_SUCCESS(check_shape(&b, missing & 16 ? NULL : map,
			missing == 0, what), "%s, a call comes", what);
	}
	vhost_mem_map_put(map);
	return bench_close(&b);
}

/* Bytes of the parts of a ring of RING_SIZE (virtio 1.2, 2.7, with event idx). */
#define DESC_LEN (16 * RING_SIZE)
#define AVAIL_LEN (6 + 2 * RING_SIZE)
#define USED_LEN (6 + 8 * RING_SIZE)
#define END (FIRST_UVA + REGION_BYTES)

static const struct place {
	const char *name;
	uint64_t desc, avail, used;	/* 0: a good one */
	bool live;
} places[] = {
	{ "good", 0, 0, 0, true },
	{ "second region", SECOND_UVA, SECOND_UVA + 0x10000, SECOND_UVA + 0x20000, true },
	{ "parts in different regions", SECOND_UVA, 0, SECOND_UVA + 0x40, true },
	{ "aligned to the byte", FIRST_UVA + 16, FIRST_UVA + 0x10002, FIRST_UVA + 0x20004,
		true },
	{ "desc misaligned by 8", FIRST_UVA + 8, 0, 0, false },
	{ "desc misaligned by 1", FIRST_UVA + 1, 0, 0, false },
	{ "avail misaligned", 0, FIRST_UVA + 0x10001, 0, false },
	{ "used misaligned by 2", 0, 0, FIRST_UVA + 0x20002, false },
	{ "used misaligned by 1", 0, 0, FIRST_UVA + 0x20001, false },
	{ "desc at the end", SECOND_UVA + REGION_BYTES - DESC_LEN, 0, 0, true },
	{ "desc beyond the end", SECOND_UVA + REGION_BYTES - DESC_LEN + 16, 0, 0, false },
	{ "desc across a border", END - DESC_LEN + 16, 0, 0, false },
	{ "avail at the end", 0, END - AVAIL_LEN, 0, true },
	{ "avail across a border", 0, END - AVAIL_LEN + 2, 0, false },
	{ "used at the end", 0, 0, (END - USED_LEN) & ~3ULL, true },
	{ "used across a border", 0, 0, ((END - USED_LEN) & ~3ULL) + 4, false },
	{ "desc nowhere", 0x1000, 0, 0, false },
	{ "avail nowhere", 0, 0x1000, 0, false },
	{ "used nowhere", 0, 0, 0x1000, false },
	{ "desc before the start", FIRST_UVA - 16, 0, 0, false },
	{ "desc wraps", -16ULL, 0, 0, false },
	{ "avail wraps", 0, -2ULL, 0, false },
	{ "used wraps", 0, 0, -4ULL, false },
	{ "guest physical addresses", 0x100000000ULL, 0, 0, false },
};

static int
a_ring_outside_memory_is_dormant(void)
{
	struct mem_map *map = two_regions();
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 2), "a queue");
	TEST_ASSERT_NOT_NULL(map, "guest memory");
	for (unsigned int i = 0; i < RTE_DIM(places); i++) {
		const struct place *p = &places[i];

		b.wish = good_wish();
		b.wish.desc_uva = p->desc != 0 ? p->desc : b.wish.desc_uva;
		b.wish.avail_uva = p->avail != 0 ? p->avail : b.wish.avail_uva;
		b.wish.used_uva = p->used != 0 ? p->used : b.wish.used_uva;
		TEST_ASSERT_SUCCESS(check_shape(&b, map, p->live, p->name), "%s", p->name);
		TEST_ASSERT_EQUAL(fits(&b.wish, map), p->live, "%s", p->name);
		TEST_ASSERT(!fits(&b.wish, NULL), "%s: no memory", p->name);
		/* What is not described yet cannot be in the wrong place. */
		b.wish.size = 0;
		TEST_ASSERT(fits(&b.wish, map), "%s: no size", p->name);
	}
	vhost_mem_map_put(map);
	return bench_close(&b);
}

static int
a_ring_fits_by_its_size(void)
{
	struct mem_map *map = two_regions();
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 2), "a queue");
	TEST_ASSERT_NOT_NULL(map, "guest memory");
	for (uint32_t size = 1; size <= 32768; size *= 2) {
		b.wish = good_wish();
		b.wish.size = size;
		b.wish.desc_uva = SECOND_UVA + REGION_BYTES - 16ULL * RING_SIZE;
		TEST_ASSERT_SUCCESS(check_shape(&b, map, size <= RING_SIZE, "size"),
			"%u descriptors", size);
	}
	vhost_mem_map_put(map);
	return bench_close(&b);
}

/* ---- from block to block ---- */

/** Publish a block of this shape. */
static int
settle_as(struct bench *b, const struct vq_cfg *cfg, struct queue_commit *done)
{
	if (vhost_queue_stage(b->q, cfg, b->net) < 0)
		return -1;
	*done = vhost_queue_commit(b->q, &b->wish, true);
	return 0;
}

/** A live shape on the good wish's ring. */
static struct vq_cfg
live_shape(struct bench *b, struct mem_map *map)
{
	struct vq_cfg cfg = {
		.index = b->q->index, .node = vhost_queue_block(b->q)->node,
		.generation = GENERATION,
	};

	b->wish = good_wish();
	vhost_ring_locate(&b->wish, FEATURES, &(struct ring_memory_map){ .map = map }, &cfg);
	return cfg;
}

static int
state_outlives_the_block(void)
{
	const struct vhost_virtqueue *before, *after;
	struct mem_map *map = two_regions();
	struct queue_commit done;
	struct vq_state state;
	struct vq_cfg cfg;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 1), "a queue");
	TEST_ASSERT_NOT_NULL(map, "guest memory");
	cfg = live_shape(&b, map);
	TEST_ASSERT_SUCCESS(settle_as(&b, &cfg, &done), "the ring starts");
	vhost_block_destroy(done.old);
	before = vhost_queue_block(b.q);
	memset(&vhost_gate_close(&b.q->gate)->state, 0x5a, sizeof(state));
	state = before->state;
	vhost_gate_open(&b.q->gate);
	cfg.node = 8;
	TEST_ASSERT_SUCCESS(settle_as(&b, &cfg, &done), "it moves");
	after = vhost_queue_block(b.q);
	TEST_ASSERT(done.old == before && after != before, "another block");
	TEST_ASSERT(!done.started, "a ring that runs is not started again");
	TEST_ASSERT_BUFFERS_ARE_EQUAL(&after->state, &state, sizeof(state),
		"the state has come along");
	TEST_ASSERT_EQUAL(after->node, 8, "on the other node");
	TEST_ASSERT(topology_holds(after, 8), "really");
	vhost_block_destroy(done.old);
	vhost_mem_map_put(map);
	return bench_close(&b);
}

/** What reports tell: how long the ring stood still, while its block was replaced. */
static int
a_pause_is_part_of_what_it_took(void)
{
	struct mem_map *map = two_regions();
	struct queue_commit done;
	struct vq_cfg cfg;
	struct bench b;
	uint64_t took;

	TEST_ASSERT_SUCCESS(bench_open(&b, 1), "a queue");
	TEST_ASSERT_NOT_NULL(map, "guest memory");
	TEST_ASSERT_EQUAL(b.q->pause_ns, 0, "its first block");
	cfg = live_shape(&b, map);
	took = rte_rdtsc();
	TEST_ASSERT_SUCCESS(settle_as(&b, &cfg, &done), "another one");
	took = rte_rdtsc() - took;
	vhost_block_destroy(done.old);
	TEST_ASSERT(b.q->pause_ns > 0, "there was one");
	TEST_ASSERT(b.q->pause_ns <= took * NS_PER_S / rte_get_tsc_hz(), "%" PRIu64 " ns",
		b.q->pause_ns);
	vhost_mem_map_put(map);
	return bench_close(&b);
}

static int
a_start_believes_the_used_index_in_memory(void)
{
	struct mem_map *map = two_regions();
	struct queue_commit done;
	uint16_t avail, used;
	struct vq_cfg cfg;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 1), "a queue");
	TEST_ASSERT_NOT_NULL(map, "guest memory");
	for (uint16_t idx = 40; idx < 42; idx++) {
		cfg = live_shape(&b, map);
		cfg.used->idx = idx;
		vhost_queue_set_base(b.q, 40, 40);
		TEST_ASSERT_SUCCESS(settle_as(&b, &cfg, &done), "the ring starts");
		vhost_block_destroy(done.old);
		TEST_ASSERT_EQUAL(done.resumed, idx != 40 ? RING_ADOPTED : RING_AS_TOLD,
			"memory says %u", idx);
		TEST_ASSERT_SUCCESS(vhost_queue_get_base(b.q, &avail, &used), "its base");
		TEST_ASSERT(avail == idx && used == idx, "%u and %u", avail, used);
		/* Dormant again. */
		cfg = (struct vq_cfg){ .index = 1, .node = 8, .generation = GENERATION };
		TEST_ASSERT_SUCCESS(settle_as(&b, &cfg, &done), "the ring stops");
		vhost_block_destroy(done.old);
	}
	vhost_mem_map_put(map);
	return bench_close(&b);
}

static int
what_is_staged_is_not_in_force(void)
{
	const struct vhost_virtqueue *before;
	struct vq_cfg cfg;
	struct bench b;

	TEST_ASSERT_SUCCESS(bench_open(&b, 1), "a queue");
	before = vhost_queue_block(b.q);
	cfg = before->cfg;
	cfg.node = 8;
	TEST_ASSERT_SUCCESS(vhost_queue_stage(b.q, &cfg, b.net), "a block beside it");
	TEST_ASSERT(vhost_gate_enter(&b.q->gate) == before, "bursts see the old one");
	vhost_gate_leave(&b.q->gate);
	TEST_ASSERT_EQUAL(topology_live_on(8), 1, "there are two");
	vhost_queue_unstage(b.q);
	vhost_queue_unstage(b.q);
	TEST_ASSERT_EQUAL(topology_live_on(8), 0, "there is one");
	topology_node_full(8, true);
	TEST_ASSERT_EQUAL(vhost_queue_stage(b.q, &cfg, b.net), -ENOMEM, "a full node");
	TEST_ASSERT(vhost_queue_block(b.q) == before, "and nothing changed");
	return bench_close(&b);
}

/* ---- what in-flight tracking has beside the block ---- */

/** A kernel that moves pages, or refuses to. */
static struct {
	int result;
	unsigned int asked;
	void *pages;		/* of the last question */
	size_t size;
	int node;
} mover;

static int
move_or_refuse(void *pages, size_t size, int node)
{
	mover.asked++;
	mover.pages = pages;
	mover.size = size;
	mover.node = node;
	return mover.result;
}

/** How often the kernel is asked to move something for a block on a node. */
static unsigned int
asked_to_move(struct queue_inflight *inflight, struct vhost_virtqueue *block, int node, int result)
{
	mover.result = result;
	mover.asked = 0;
	block->node = node;
	vhost_inflight_migrate(inflight, block);
	return mover.asked;
}

/* The list is tried again as long as that may help; the region, which others use too, is not. */
static int
what_was_moved_is_left_alone(void)
{
	struct vhost_node_ops ops = *vhost_node_kernel_ops();
	struct vhost_virtqueue block = { .cfg = { .inflight_num = 256 } };
	struct inflight_list *list = vhost_node_pages(sizeof(*list));
	uint8_t *region = vhost_node_pages(3 * sysconf(_SC_PAGESIZE));
	const size_t bytes = vhost_inflight_region_bytes(0, 256);
	struct queue_inflight q = { .list = list, .node = VHOST_NODE_ANY };

	TEST_ASSERT(list != NULL && region != NULL, "pages");
	*list = (struct inflight_list){ .bytes = sizeof(*list), .node = VHOST_NODE_ANY };
	block.cfg.inflight = (void *)(region + 64);
	ops.move = move_or_refuse;
	vhost_node_set_ops(&ops);
	TEST_ASSERT_EQUAL(asked_to_move(&q, &block, VHOST_NODE_ANY, 0), 0, "nowhere");
	TEST_ASSERT_EQUAL(asked_to_move(&q, &block, 8, -EAGAIN), 2, "list and region");
	TEST_ASSERT(mover.pages == region && mover.size == 64 + bytes, "all of the region");
	TEST_ASSERT_EQUAL(mover.node, 8, "to the block");
	TEST_ASSERT_EQUAL(asked_to_move(&q, &block, 8, -EAGAIN), 1, "the list again");
	TEST_ASSERT(mover.pages == list && mover.size == sizeof(*list), "all of it");
	TEST_ASSERT_EQUAL(asked_to_move(&q, &block, 8, 0), 1, "and again");
	TEST_ASSERT_EQUAL(asked_to_move(&q, &block, 8, 0), 0, "there they are");
	TEST_ASSERT_EQUAL(asked_to_move(&q, &block, 3, -EPERM), 2, "elsewhere");
	TEST_ASSERT_EQUAL(asked_to_move(&q, &block, 3, -EPERM), 0, "which is no use");
	vhost_node_set_ops(NULL);
	vhost_node_pages_free(list, sizeof(*list));
	vhost_node_pages_free(region, 3 * sysconf(_SC_PAGESIZE));
	return TEST_SUCCESS;
}

/* Who was told of it may use it until he hears that the ring stopped. */
static int
what_has_to_be_done_again_goes_with_its_ring(void)
{
	struct vhost_virtqueue block = { .size = RING_SIZE };
	struct inflight_list *list = vhost_node_pages(sizeof(*list));
	struct queue_inflight q = { .list = list, .node = VHOST_NODE_ANY };

	TEST_ASSERT_NOT_NULL(list, "pages");
	*list = (struct inflight_list){ .bytes = sizeof(*list), .node = VHOST_NODE_ANY };
	vhost_inflight_commit(&q, &block);
	TEST_ASSERT(q.list == list && q.retired == NULL, "another block of the ring");
	block.size = 0;
	vhost_inflight_commit(&q, &block);
	TEST_ASSERT(q.list == NULL && q.retired == list, "it stops");
	vhost_inflight_close_retired(&q);
	TEST_ASSERT_NULL(q.retired, "nobody has it any more");
	return TEST_SUCCESS;
}

static int
kernel_is_back(void)
{
	topology_end();
	return 0;
}

static const struct test_case cases[] = {
	TEST_CASE(nobody_enters_while_it_is_closed),
	TEST_CASE(trying_does_not_wait),
	TEST_CASE(late_bursts_find_nothing),
	TEST_CASE(a_burst_that_looked_too_early_leaves_again),
	TEST_CASE(bursts_of_a_queue_that_was_shut_down_are_empty),
	TEST_CASE(a_first_block_without_memory_changes_nothing),
	TEST_CASE(late_owners_do_not_close_the_next_life),
	TEST_CASE(one_at_a_time),
	TEST_CASE(a_hot_poller_does_not_starve_the_owner),
	TEST_CASE(shut_down_waits_for_the_last_burst),
	TEST_CASE(an_owner_who_waits_announces_itself_again),
	TEST_CASE(closing_waits_for_the_burst_inside),
	TEST_CASE(entering_waits_while_it_is_closed),
	TEST_CASE(who_waits_gives_its_core_up),
	TEST_CASE(a_burst_that_is_turned_away_is_noticed),
	TEST_CASE(a_burst_that_met_a_visitor_is_noticed),
	TEST_CASE(who_waits_a_little_frees_no_writer),
	TEST_CASE(a_borrowed_doorbell_stays_open),
	TEST_CASE(a_caught_borrower_of_the_new_doorbell_is_freed),
	TEST_CASE(handles_are_used_again_under_bursts),
	TEST_CASE(descriptors_belong_to_the_queue),
	TEST_CASE(state_is_reached_through_the_gate),
	TEST_CASE(stopping_forgets_what_starts_a_ring),
	TEST_CASE(a_ring_needs_everything_to_start),
	TEST_CASE(a_ring_outside_memory_is_dormant),
	TEST_CASE(a_ring_fits_by_its_size),
	TEST_CASE(state_outlives_the_block),
	TEST_CASE(a_pause_is_part_of_what_it_took),
	TEST_CASE(a_start_believes_the_used_index_in_memory),
	TEST_CASE(what_is_staged_is_not_in_force),
	TEST_CASE(what_was_moved_is_left_alone),
	TEST_CASE(what_has_to_be_done_again_goes_with_its_ring),
};

static int
test_vhost_queue(void)
{
	static const struct test_suite suite = {
		.name = "vhost queue", .check = kernel_is_back,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_queue_autotest, test_vhost_queue);
