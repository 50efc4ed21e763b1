/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The application that the library talks to: it remembers every callback.
 *
 * One record per connection, found by vid while the connection lives, and by
 * path until a fake claims it.  Everything is under one lock; waiters sleep on
 * one condition and look again at each event.
 */

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "test.h"
#include "vhost_fake_private.h"

struct fake_record {
	int vid;
	char path[108];
	bool claimed;		/* some fake releases it */
	bool gone;		/* the connection has ended */
	unsigned int refuse;	/* so many new_device() still fail */
	fake_hook hook;
	void *hook_arg;
	unsigned int count[FAKE_EVENTS];
	char story[2048];
	size_t told;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static struct fake_record *by_vid[RTE_MAX_VHOST_DEVICE];
static struct fake *fakes;

RTE_INIT(fake_recorder_init)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attr);
	pthread_condattr_destroy(&attr);
}

void
fake_list_add(struct fake *fe)
{
	pthread_mutex_lock(&lock);
	fe->next = fakes;
	fakes = fe;
	pthread_mutex_unlock(&lock);
}

void
fake_list_remove(struct fake *fe)
{
	pthread_mutex_lock(&lock);
	for (struct fake **at = &fakes; *at != NULL; at = &(*at)->next)
		if (*at == fe) {
			*at = fe->next;
			break;
		}
	pthread_mutex_unlock(&lock);
}

struct fake *
fake_first(void)
{
	struct fake *first;

	pthread_mutex_lock(&lock);
	first = fakes;
	pthread_mutex_unlock(&lock);
	return first;
}

/** A record of a connection that nobody will ask about any more. */
static void
record_drop(struct fake_record *rec)
{
	if (rec == NULL)
		return;
	if (rec->claimed)
		rec->gone = true;
	else
		free(rec);
}

static struct fake_record *
record_begin(int vid)
{
	struct fake_record *rec = calloc(1, sizeof(*rec));

	record_drop(by_vid[vid]);
	by_vid[vid] = rec;
	if (rec == NULL)
		return NULL;
	rec->vid = vid;
	rte_vhost_get_ifname(vid, rec->path, sizeof(rec->path));
	for (struct fake *fe = fakes; fe != NULL; fe = fe->next)
		if (strcmp(fe->path, rec->path) == 0) {
			rec->hook = fe->cfg.hook;
			rec->hook_arg = fe->cfg.hook_arg;
			rec->refuse = fe->cfg.refuse_new_device;
		}
	return rec;
}

static void
tell(struct fake_record *rec, enum fake_event ev, unsigned int qid, int on)
{
	static const char * const word[FAKE_EVENTS] = {
		[FAKE_NEW_CONNECTION] = "connect",
		[FAKE_NEW_DEVICE] = "new",
		[FAKE_DESTROY_DEVICE] = "destroy",
		[FAKE_VRING_STATE] = "ring",
		[FAKE_FEATURES_CHANGED] = "features",
		[FAKE_DESTROY_CONNECTION] = "disconnect",
	};
	size_t room = sizeof(rec->story) - rec->told;
	const char *gap = rec->told > 0 ? " " : "";
	int n;

	if (word[ev] == NULL)
		return;
	if (ev == FAKE_VRING_STATE)
		n = snprintf(rec->story + rec->told, room, "%s%s%u%c", gap,
			word[ev], qid, on ? '+' : '-');
	else
		n = snprintf(rec->story + rec->told, room, "%s%s", gap, word[ev]);
	rec->told += RTE_MIN((size_t)n, room - 1);
}

/** Keep the event; then call the hook, outside of the lock. */
static int
happen(int vid, enum fake_event ev, unsigned int qid, int on)
{
	struct fake_record *rec;
	fake_hook hook = NULL;
	void *arg = NULL;
	int result = 0;

	if (vid < 0 || vid >= RTE_MAX_VHOST_DEVICE)
		return -1;
	pthread_mutex_lock(&lock);
	rec = ev == FAKE_NEW_CONNECTION ? record_begin(vid) : by_vid[vid];
	if (rec != NULL) {
		rec->count[ev]++;
		tell(rec, ev, qid, on);
		if (ev == FAKE_NEW_DEVICE && rec->refuse > 0) {
			rec->refuse--;
			result = -1;
		}
		hook = rec->hook;
		arg = rec->hook_arg;
		if (ev == FAKE_DESTROY_CONNECTION) {
			by_vid[vid] = NULL;
			record_drop(rec);
		}
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	if (hook != NULL)
		hook(arg, ev, vid, qid, on);
	return result;
}

static int
on_new_connection(int vid)
{
	return happen(vid, FAKE_NEW_CONNECTION, 0, 0);
}

static int
on_new_device(int vid)
{
	return happen(vid, FAKE_NEW_DEVICE, 0, 0);
}

static void
on_destroy_device(int vid)
{
	happen(vid, FAKE_DESTROY_DEVICE, 0, 0);
}

static int
on_vring_state(int vid, uint16_t qid, int enable)
{
	return happen(vid, FAKE_VRING_STATE, qid, enable);
}

static int
on_features_changed(int vid, uint64_t features __rte_unused)
{
	return happen(vid, FAKE_FEATURES_CHANGED, 0, 0);
}

static void
on_destroy_connection(int vid)
{
	happen(vid, FAKE_DESTROY_CONNECTION, 0, 0);
}

static void
on_guest_notified(int vid)
{
	happen(vid, FAKE_GUEST_NOTIFIED, 0, 0);
}

const struct rte_vhost_device_ops fake_recorder_ops = {
	.new_device = on_new_device,
	.destroy_device = on_destroy_device,
	.vring_state_changed = on_vring_state,
	.features_changed = on_features_changed,
	.new_connection = on_new_connection,
	.destroy_connection = on_destroy_connection,
	.guest_notified = on_guest_notified,
};

static struct timespec
deadline(void)
{
	struct timespec ts;
	unsigned int ms = fake_patience_ms();

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000L;
	if (ts.tv_nsec >= 1000000000L) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000L;
	}
	return ts;
}

static struct fake_record *
unclaimed(const char *path)
{
	for (int vid = 0; vid < RTE_MAX_VHOST_DEVICE; vid++)
		if (by_vid[vid] != NULL && !by_vid[vid]->claimed &&
				strcmp(by_vid[vid]->path, path) == 0)
			return by_vid[vid];
	return NULL;
}

struct fake_record *
fake_record_claim(const char *path, int *vid)
{
	struct timespec until = deadline();
	struct fake_record *rec;
	int expired = 0;

	pthread_mutex_lock(&lock);
	while ((rec = unclaimed(path)) == NULL && expired == 0)
		expired = pthread_cond_timedwait(&changed, &lock, &until);
	if (rec != NULL) {
		rec->claimed = true;
		*vid = rec->vid;
	}
	pthread_mutex_unlock(&lock);
	return rec;
}

void
fake_record_release(struct fake_record *rec)
{
	if (rec == NULL)
		return;
	pthread_mutex_lock(&lock);
	rec->claimed = false;
	rec->hook = NULL;
	/* Not to be found again, even by a socket of the same name. */
	rec->path[0] = '\0';
	if (rec->gone)
		free(rec);
	pthread_mutex_unlock(&lock);
}

void
fake_records_forget(const char *path)
{
	pthread_mutex_lock(&lock);
	for (int vid = 0; vid < RTE_MAX_VHOST_DEVICE; vid++)
		if (by_vid[vid] != NULL && strcmp(by_vid[vid]->path, path) == 0)
			by_vid[vid]->path[0] = '\0';
	pthread_mutex_unlock(&lock);
}

unsigned int
fake_events(const struct fake *fe, enum fake_event ev)
{
	unsigned int n = 0;

	pthread_mutex_lock(&lock);
	if (fe->record != NULL)
		n = fe->record->count[ev];
	pthread_mutex_unlock(&lock);
	return n;
}

bool
fake_wait_events(struct fake *fe, enum fake_event ev, unsigned int n)
{
	struct timespec until = deadline();
	int expired = 0;
	bool happened;

	if (fe->record == NULL)
		return false;
	pthread_mutex_lock(&lock);
	while (fe->record->count[ev] < n && expired == 0)
		expired = pthread_cond_timedwait(&changed, &lock, &until);
	happened = fe->record->count[ev] >= n;
	pthread_mutex_unlock(&lock);
	return happened;
}

const char *
fake_story(const struct fake *fe)
{
	static __thread char copy[sizeof(fe->record->story)];

	if (fe->record == NULL)
		return "";
	pthread_mutex_lock(&lock);
	memcpy(copy, fe->record->story, sizeof(copy));
	pthread_mutex_unlock(&lock);
	return copy;
}
