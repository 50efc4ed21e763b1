/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Packets that never stop; see vhost_test_traffic.h. */

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <rte_mbuf.h>

#include "test.h"
#include "vhost_fake_backend.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_traffic.h"

#define MAX_PAIRS 8
#define HELD 64		/* packets that the application holds at most, per pair */
#define IN_FLIGHT 64	/* sent and not yet back, per pair */
#define SHORTEST 16
#define LONGEST 1500

/** One pair, as the driver sees it. */
struct driver_pair {
	uint32_t next_sent, next_back;
};

/** One pair, as the application sees it. */
struct app_pair {
	uint32_t next;
	struct rte_mbuf *held[HELD];
	unsigned int nheld;
};

struct traffic {
	struct fake *fe;
	unsigned int pairs;
	pthread_t driver, app;
	bool no_more;		/* the driver sends no more; atomic */
	bool end;		/* the application ends; atomic */
	bool wrong;		/* atomic */
	uint64_t flown;		/* atomic */
	struct driver_pair at_driver[MAX_PAIRS];
	struct app_pair at_app[MAX_PAIRS];
};

static size_t
length_of(uint32_t number)
{
	return SHORTEST + (number * 193u) % (LONGEST - SHORTEST + 1);
}

/** Contents tell pairs and numbers apart. */
static void
write_packet(uint8_t *buf, unsigned int pair, uint32_t number)
{
	memcpy(buf, &number, sizeof(number));
	fake_pattern(buf + 4, length_of(number) - 4, number * MAX_PAIRS + pair);
}

static void
complain(struct traffic *t, const char *where, unsigned int pair, uint32_t expected)
{
	if (!__atomic_exchange_n(&t->wrong, true, __ATOMIC_RELAXED))
		printf("traffic: %s, pair %u: packet %u is lost, out of place or damaged\n",
			where, pair, expected);
}

static bool
is_wrong(const struct traffic *t)
{
	return __atomic_load_n(&t->wrong, __ATOMIC_RELAXED);
}

static void
check_packet(struct traffic *t, const char *where, unsigned int pair, uint32_t expected,
		const uint8_t *buf, size_t len)
{
	if (len != length_of(expected) || memcmp(buf, &expected, sizeof(expected)) != 0 ||
			!fake_pattern_matches(buf + 4, len - 4, expected * MAX_PAIRS + pair))
		complain(t, where, pair, expected);
}

/* ---- the driver ---- */

static unsigned int
driver_send(struct traffic *t, unsigned int pair)
{
	struct driver_pair *p = &t->at_driver[pair];
	struct fake_vq *vq = &t->fe->vqs[2 * pair + 1];
	uint8_t buf[LONGEST];
	unsigned int n = 0;

	fake_tx_reap(vq);
	if (__atomic_load_n(&t->no_more, __ATOMIC_RELAXED))
		return 0;
	while (n < IN_FLIGHT / 2 && p->next_sent - p->next_back < IN_FLIGHT) {
		write_packet(buf, pair, p->next_sent);
		if (!fake_tx_send(vq, NULL, buf, length_of(p->next_sent), NULL))
			break;
		p->next_sent++;
		n++;
	}
	return n;
}

static unsigned int
driver_receive(struct traffic *t, unsigned int pair)
{
	struct driver_pair *p = &t->at_driver[pair];
	struct fake_vq *vq = &t->fe->vqs[2 * pair];
	uint8_t buf[LONGEST + 1];
	unsigned int n = 0;
	int len;

	while ((len = fake_rx_take(vq, NULL, buf, sizeof(buf))) != -1) {
		check_packet(t, "at the driver", pair, p->next_back, buf,
			len < 0 ? 0 : len);
		p->next_back++;
		n++;
	}
	__atomic_fetch_add(&t->flown, n, __ATOMIC_RELAXED);
	fake_rx_fill(vq, vq->size, vq->slot_size, NULL);
	return n;
}

static bool
driver_awaits_some(const struct traffic *t)
{
	for (unsigned int pair = 0; pair < t->pairs; pair++)
		if (t->at_driver[pair].next_back != t->at_driver[pair].next_sent)
			return true;
	return false;
}

static void *
driver_main(void *arg)
{
	struct traffic *t = arg;
	uint64_t until = 0;

	while (!is_wrong(t) && !t->fe->broken) {
		bool last = __atomic_load_n(&t->no_more, __ATOMIC_RELAXED);
		unsigned int n = 0;

		for (unsigned int pair = 0; pair < t->pairs; pair++)
			n += driver_receive(t, pair) + driver_send(t, pair);
		if (last && !driver_awaits_some(t))
			break;
		if (n > 0 || !last)
			until = fake_now_ms() + fake_patience_ms();
		else if (fake_now_ms() > until)
			complain(t, "never back", 0, t->at_driver[0].next_back);
		if (n == 0)
			sched_yield();
	}
	return NULL;
}

/* ---- the application ---- */

static unsigned int
app_dequeue(struct traffic *t, unsigned int pair)
{
	struct app_pair *p = &t->at_app[pair];
	uint8_t buf[LONGEST + 1];
	unsigned int n;

	n = fake_dequeue_burst(t->fe->vid, 2 * pair + 1, fake_pool(),
		&p->held[p->nheld], RTE_MIN(32u, HELD - p->nheld));
	for (unsigned int i = 0; i < n; i++, p->next++) {
		const struct rte_mbuf *m = p->held[p->nheld + i];

		check_packet(t, "at the application", pair, p->next, buf,
			fake_mbuf_read(m, buf, sizeof(buf)));
	}
	p->nheld += n;
	return n;
}

static unsigned int
app_enqueue(struct traffic *t, unsigned int pair)
{
	struct app_pair *p = &t->at_app[pair];
	unsigned int n;

	if (p->nheld == 0)
		return 0;
	n = fake_enqueue_burst(t->fe->vid, 2 * pair, p->held, p->nheld);
	rte_pktmbuf_free_bulk(p->held, n);
	p->nheld -= n;
	memmove(p->held, p->held + n, p->nheld * sizeof(p->held[0]));
	return n;
}

static void *
app_main(void *arg)
{
	struct traffic *t = arg;

	while (!__atomic_load_n(&t->end, __ATOMIC_RELAXED)) {
		unsigned int n = 0;

		for (unsigned int pair = 0; pair < t->pairs; pair++)
			n += app_dequeue(t, pair) + app_enqueue(t, pair);
		if (n == 0)
			sched_yield();
	}
	for (unsigned int pair = 0; pair < t->pairs; pair++)
		rte_pktmbuf_free_bulk(t->at_app[pair].held, t->at_app[pair].nheld);
	return NULL;
}

/* ---- both ---- */

/** What flows now, if anything. */
static struct traffic *flowing;

static bool
wait_ready(const struct fake *fe, unsigned int pairs)
{
	const uint64_t until = fake_now_ms() + fake_patience_ms();

	for (unsigned int queue = 0; queue < 2 * pairs; queue++) {
		while (!fake_backend_is_ready(fe->vid, queue)) {
			if (fake_now_ms() > until)
				return false;
			sched_yield();
		}
	}
	return true;
}

struct traffic *
traffic_start(struct fake *fe, unsigned int pairs)
{
	struct traffic *t = calloc(1, sizeof(*t));

	if (t == NULL || pairs > MAX_PAIRS || !wait_ready(fe, pairs)) {
		free(t);
		return NULL;
	}
	t->fe = fe;
	t->pairs = pairs;
	if (pthread_create(&t->app, NULL, app_main, t) != 0) {
		free(t);
		return NULL;
	}
	if (pthread_create(&t->driver, NULL, driver_main, t) == 0) {
		flowing = t;
		return t;
	}
	__atomic_store_n(&t->end, true, __ATOMIC_RELAXED);
	pthread_join(t->app, NULL);
	free(t);
	return NULL;
}

uint64_t
traffic_flown(const struct traffic *t)
{
	return __atomic_load_n(&t->flown, __ATOMIC_RELAXED);
}

int
traffic_wait(struct traffic *t, uint64_t more)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	uint64_t goal = traffic_flown(t) + more;

	while (traffic_flown(t) < goal && !is_wrong(t) && fake_now_ms() < until)
		sched_yield();
	if (traffic_flown(t) >= goal)
		return 0;
	printf("traffic: it stands still\n");
	return -1;
}

int
traffic_stop(struct traffic *t)
{
	bool wrong;

	flowing = NULL;
	__atomic_store_n(&t->no_more, true, __ATOMIC_RELAXED);
	pthread_join(t->driver, NULL);
	__atomic_store_n(&t->end, true, __ATOMIC_RELAXED);
	pthread_join(t->app, NULL);
	wrong = is_wrong(t) || t->fe->broken;
	free(t);
	return wrong ? -1 : 0;
}

void
traffic_abandon(void)
{
	if (flowing == NULL)
		return;
	__atomic_store_n(&flowing->wrong, true, __ATOMIC_RELAXED);
	traffic_stop(flowing);
}
