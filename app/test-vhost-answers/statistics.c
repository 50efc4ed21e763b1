/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Statistics: every scenario, told to a new device of every kind; then all counters
 * of both rings by name, and what the guest and the application saw themselves.
 */

#include <stdio.h>
#include <stdlib.h>

#include <rte_vhost.h>

#include "answers.h"

#define MAX_COUNTERS 64

#define STATS RTE_VHOST_USER_NET_STATS_ENABLE

static const struct {
	const char *name;
	struct fake_config cfg;
} kinds[] = {
	{ "split", { .flags = STATS } },
	{ "split_mrg", { .flags = STATS, .mergeable = true } },
	{ "split_eventidx", { .flags = STATS, .event_idx = true } },
	{ "split_mrg_eventidx", { .flags = STATS, .mergeable = true, .event_idx = true } },
	{ "split_legacy", { .flags = STATS, .legacy = true } },
	{ "split_inorder", { .flags = STATS, .in_order = true } },
	{ "split_linear", { .flags = STATS | RTE_VHOST_USER_LINEARBUF_SUPPORT } },
	{ "split_extbuf", { .flags = STATS | RTE_VHOST_USER_EXTBUF_SUPPORT } },
	{ "packed", { .flags = STATS, .format = FAKE_PACKED } },
	{ "packed_mrg", { .flags = STATS, .format = FAKE_PACKED, .mergeable = true } },
	{ "packed_eventidx", { .flags = STATS, .format = FAKE_PACKED, .event_idx = true } },
	{ "packed_mrg_eventidx", { .flags = STATS, .format = FAKE_PACKED, .mergeable = true,
		.event_idx = true } },
	{ "packed_inorder", { .flags = STATS, .format = FAKE_PACKED, .in_order = true } },
	{ "packed_odd", { .flags = STATS, .format = FAKE_PACKED, .ring_size = 253 } },
};

static bool
answer_ring(const struct fake *fe, unsigned int ring, const char *prefix)
{
	struct rte_vhost_stat_name names[MAX_COUNTERS];
	struct rte_vhost_stat stats[MAX_COUNTERS];
	int n = rte_vhost_vring_stats_get_names(fe->vid, ring, names, MAX_COUNTERS);

	if (n <= 0 || n > MAX_COUNTERS ||
			rte_vhost_vring_stats_get(fe->vid, ring, stats, MAX_COUNTERS) != n)
		return false;
	for (int i = 0; i < n; i++) {
		if (stats[i].id != (unsigned int)i)
			return false;
		answer(stats[i].value, "%s/%s", prefix, names[i].name);
	}
	return true;
}

/** Tell a scenario to a device of its own behind this socket. */
static bool
tell(const struct fake *socket, const struct scenario *scenario, const char *prefix)
{
	struct fake_config cfg = socket->cfg;
	struct fake *fe;
	bool good;

	cfg.until = FAKE_RUNNING;
	cfg.buf_size = STORY_BUFFER;
	cfg.join = socket;
	fe = fake_start_config(&cfg);
	/* the last message of the start has been dealt with, too */
	good = fe != NULL && fake_is_served(fe);
	for (unsigned int i = 0; good && i < RTE_DIM(scenario_moved); i++) {
		scenario_moved[i] = 0;
		fake_interrupts(&fe->vqs[i]);
		good = rte_vhost_vring_stats_reset(fe->vid, i) == 0;
	}
	if (good)
		scenario->tell(fe);
	for (unsigned int i = 0; good && i < RTE_DIM(scenario_moved); i++) {
		good = answer_ring(fe, i, prefix);
		answer(scenario_moved[i], "%s/q%u_moved", prefix, i);
		answer(fake_interrupts(&fe->vqs[i]), "%s/q%u_interrupts", prefix, i);
	}
	return fe != NULL && fake_stop(fe) == 0 && good;
}

static bool
tell_all(const struct fake *socket, const char *kind)
{
	const struct fake_config *cfg = &socket->cfg;
	char prefix[128];

	for (unsigned int i = 0; i < nb_scenarios; i++) {
		if ((scenarios[i].event_idx && !cfg->event_idx) ||
				(scenarios[i].mergeable && !cfg->mergeable))
			continue;
		snprintf(prefix, sizeof(prefix), "stats/%s/%s", kind, scenarios[i].name);
		if (!tell(socket, &scenarios[i], prefix)) {
			fprintf(stderr, "%s failed\n", prefix);
			return false;
		}
	}
	return true;
}

bool
answer_statistics(void)
{
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++) {
		struct fake_config cfg = kinds[i].cfg;
		struct fake *socket;
		bool good;

		/* One for all: the packaged library takes a second to notice a new one. */
		cfg.until = FAKE_REGISTERED;
		socket = fake_start_config(&cfg);
		good = socket != NULL && tell_all(socket, kinds[i].name);
		if (socket == NULL || fake_stop(socket) != 0 || !good)
			return false;
	}
	return true;
}
