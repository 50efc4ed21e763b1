/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * In-flight tracking: what is recorded in the area, and what the next backend is
 * told to do again.
 */

#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "vhost_fake_inflight.h"

#define SIZE 8
#define RING 0

static const char *format_name;

static struct fake *
start(enum fake_format format, bool tracked)
{
	return fake_start(.format = format, .ring_size = SIZE, .until = FAKE_MEMORY,
		.protocol_features = tracked ?
			FE_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) : 0);
}

static void
answer_split_area(const struct fake_inflight *area, const char *scenario)
{
	const struct rte_vhost_inflight_info_split *info = fake_inflight_split(area, RING);

	answer(info->version, "inflight/split/%s/version", scenario);
	answer(info->desc_num, "inflight/split/%s/desc_num", scenario);
	answer(info->last_inflight_io, "inflight/split/%s/last_inflight_io", scenario);
	answer(info->used_idx, "inflight/split/%s/used_idx", scenario);
	for (unsigned int i = 0; i < SIZE; i++) {
		answer(info->desc[i].inflight, "inflight/split/%s/inflight%u", scenario, i);
		answer(info->desc[i].counter, "inflight/split/%s/counter%u", scenario, i);
		answer(info->desc[i].next, "inflight/split/%s/next%u", scenario, i);
	}
}

static void
answer_packed_area(const struct fake_inflight *area, const char *scenario)
{
	const struct rte_vhost_inflight_info_packed *info = fake_inflight_packed(area, RING);

	answer(info->version, "inflight/packed/%s/version", scenario);
	answer(info->desc_num, "inflight/packed/%s/desc_num", scenario);
	answer(info->free_head, "inflight/packed/%s/free_head", scenario);
	answer(info->old_free_head, "inflight/packed/%s/old_free_head", scenario);
	answer(info->used_idx, "inflight/packed/%s/used_idx", scenario);
	answer(info->old_used_idx, "inflight/packed/%s/old_used_idx", scenario);
	answer(info->used_wrap_counter, "inflight/packed/%s/used_wrap", scenario);
	answer(info->old_used_wrap_counter, "inflight/packed/%s/old_used_wrap", scenario);
	for (unsigned int i = 0; i < SIZE; i++) {
		const struct rte_vhost_inflight_desc_packed *d = &info->desc[i];

		answer(d->inflight, "inflight/packed/%s/inflight%u", scenario, i);
		answer(d->next, "inflight/packed/%s/next%u", scenario, i);
		answer(d->last, "inflight/packed/%s/last%u", scenario, i);
		answer(d->num, "inflight/packed/%s/num%u", scenario, i);
		answer(d->counter, "inflight/packed/%s/counter%u", scenario, i);
		answer(d->id, "inflight/packed/%s/id%u", scenario, i);
		answer(d->flags, "inflight/packed/%s/flags%u", scenario, i);
		answer(d->len, "inflight/packed/%s/len%u", scenario, i);
	}
}

static void
answer_area(const struct fake *fe, const struct fake_inflight *area, const char *scenario)
{
	if (fe->cfg.format == FAKE_PACKED)
		answer_packed_area(area, scenario);
	else
		answer_split_area(area, scenario);
}

static void
answer_list(const struct fake *fe, const char *scenario)
{
	struct rte_vhost_ring_inflight ring = { .inflight_split = NULL };
	uint16_t avail = 0xdead, used = 0xdead;
	int ret;

	ret = rte_vhost_get_vhost_ring_inflight(fe->vid, RING, &ring);
	answer(ret, "inflight/%s/%s/ring_inflight", format_name, scenario);
	answer(ret == 0 && ring.resubmit_inflight != NULL, "inflight/%s/%s/list", format_name, scenario);
	for (unsigned int i = 0; ret == 0 && ring.resubmit_inflight != NULL &&
			i < ring.resubmit_inflight->resubmit_num; i++) {
		answer(ring.resubmit_inflight->resubmit_list[i].index,
			"inflight/%s/%s/list%u_index", format_name, scenario, i);
		answer(ring.resubmit_inflight->resubmit_list[i].counter,
			"inflight/%s/%s/list%u_counter", format_name, scenario, i);
	}
	ret = rte_vhost_get_vring_base(fe->vid, RING, &avail, &used);
	answer(ret, "inflight/%s/%s/base", format_name, scenario);
	answer(avail, "inflight/%s/%s/base_avail", format_name, scenario);
	answer(used, "inflight/%s/%s/base_used", format_name, scenario);
	avail = used = 0xdead;
	ret = rte_vhost_get_vring_base_from_inflight(fe->vid, RING, &avail, &used);
	answer(ret, "inflight/%s/%s/base_from", format_name, scenario);
	answer(avail, "inflight/%s/%s/base_from_avail", format_name, scenario);
	answer(used, "inflight/%s/%s/base_from_used", format_name, scenario);
}

static void
answer_calls(const struct fake *fe, const char *scenario)
{
	uint16_t entry = 0xdead;
	int vid = fe->vid;

	answer(rte_vhost_set_inflight_desc_split(vid, RING, 3),
		"inflight/%s/%s/set_split", format_name, scenario);
	answer(rte_vhost_set_last_inflight_io_split(vid, RING, 3),
		"inflight/%s/%s/last_split", format_name, scenario);
	answer(rte_vhost_clr_inflight_desc_split(vid, RING, 1, 3),
		"inflight/%s/%s/clr_split", format_name, scenario);
	answer(rte_vhost_set_inflight_desc_split(vid, RING, SIZE),
		"inflight/%s/%s/set_split_outside", format_name, scenario);
	answer(rte_vhost_set_last_inflight_io_split(vid, RING, SIZE),
		"inflight/%s/%s/last_split_outside", format_name, scenario);
	answer(rte_vhost_clr_inflight_desc_split(vid, RING, 1, SIZE),
		"inflight/%s/%s/clr_split_outside", format_name, scenario);
	answer(rte_vhost_set_inflight_desc_split(vid, 17, 3),
		"inflight/%s/%s/set_split_ring", format_name, scenario);
	answer(rte_vhost_set_inflight_desc_packed(vid, RING, 2, 4, &entry),
		"inflight/%s/%s/set_packed", format_name, scenario);
	answer(entry, "inflight/%s/%s/set_packed_entry", format_name, scenario);
	answer(rte_vhost_set_last_inflight_io_packed(vid, RING, 0),
		"inflight/%s/%s/last_packed", format_name, scenario);
	answer(rte_vhost_clr_inflight_desc_packed(vid, RING, 0),
		"inflight/%s/%s/clr_packed", format_name, scenario);
	answer(rte_vhost_set_inflight_desc_packed(vid, RING, SIZE, 0, &entry),
		"inflight/%s/%s/set_packed_outside", format_name, scenario);
	answer(rte_vhost_set_last_inflight_io_packed(vid, RING, SIZE),
		"inflight/%s/%s/last_packed_outside", format_name, scenario);
	answer(rte_vhost_clr_inflight_desc_packed(vid, RING, SIZE),
		"inflight/%s/%s/clr_packed_outside", format_name, scenario);
}

/** Not negotiated. */
static bool
untracked(enum fake_format format)
{
	struct fake *fe = start(format, false);

	if (fe == NULL || fake_run(fe) != 0)
		return false;
	answer_calls(fe, "untracked");
	answer_list(fe, "untracked");
	return fake_stop(fe) == 0;
}

/** Negotiated, but there is no area. */
static bool
no_area(enum fake_format format)
{
	struct fake *fe = start(format, true);

	if (fe == NULL || fake_run(fe) != 0)
		return false;
	answer_calls(fe, "no_area");
	answer_list(fe, "no_area");
	return fake_stop(fe) == 0;
}

/** What is asked for, and used. */
static bool
fresh(enum fake_format format)
{
	struct fake *fe = start(format, true);
	struct fake_inflight area;

	if (fe == NULL || fake_inflight_get(fe, &area, 2, SIZE) != 0)
		return false;
	answer(area.wire.mmap_size, "inflight/%s/get/mmap_size", format_name);
	answer(area.wire.mmap_offset, "inflight/%s/get/mmap_offset", format_name);
	answer(area.wire.num_queues, "inflight/%s/get/num_queues", format_name);
	answer(area.wire.queue_size, "inflight/%s/get/queue_size", format_name);
	answer(area.map_len, "inflight/%s/get/file_size", format_name);
	answer_area(fe, &area, "get");
	answer(fake_inflight_set(fe, &area), "inflight/%s/set/result", format_name);
	answer_area(fe, &area, "set");
	if (fake_run(fe) != 0)
		return false;
	answer_area(fe, &area, "run");
	answer_list(fe, "run");
	answer_calls(fe, "calls");
	answer_area(fe, &area, "calls_area");
	fake_inflight_close(&area);
	return fake_stop(fe) == 0;
}

/** Chains taken and given back in another order. */
static void
work_split(const struct fake *fe, const struct fake_inflight *area)
{
	static const uint16_t taken[] = { 5, 1, 7, 0, 2 }, back[] = { 7, 5 };

	for (unsigned int i = 0; i < RTE_DIM(taken); i++)
		answer(rte_vhost_set_inflight_desc_split(fe->vid, RING, taken[i]),
			"inflight/split/work/take%u", i);
	answer_area(fe, area, "taken");
	for (unsigned int i = 0; i < RTE_DIM(back); i++) {
		answer(rte_vhost_set_last_inflight_io_split(fe->vid, RING, back[i]),
			"inflight/split/work/last%u", i);
		answer_area(fe, area, i == 0 ? "last0" : "last1");
		fe->vqs[RING].used->idx++;
		answer(rte_vhost_clr_inflight_desc_split(fe->vid, RING,
			fe->vqs[RING].used->idx, back[i]), "inflight/split/work/clr%u", i);
		answer_area(fe, area, i == 0 ? "clr0" : "clr1");
	}
}

static void
work_packed(const struct fake *fe, const struct fake_inflight *area)
{
	static const uint16_t taken[][2] = { { 0, 1 }, { 2, 2 }, { 3, 5 } };
	uint16_t entry[RTE_DIM(taken)];

	for (unsigned int i = 0; i < SIZE; i++)
		fe->vqs[RING].packed[i] = (struct vring_packed_desc){
			.addr = i, .len = 100 + i, .id = 200 + i,
			.flags = 1 << VRING_PACKED_DESC_F_AVAIL };
	for (unsigned int i = 0; i < RTE_DIM(taken); i++) {
		answer(rte_vhost_set_inflight_desc_packed(fe->vid, RING, taken[i][0],
			taken[i][1], &entry[i]), "inflight/packed/work/take%u", i);
		answer(entry[i], "inflight/packed/work/entry%u", i);
	}
	answer_area(fe, area, "taken");
	answer(rte_vhost_set_last_inflight_io_packed(fe->vid, RING, entry[1]),
		"inflight/packed/work/last0");
	answer_area(fe, area, "last0");
	answer(rte_vhost_clr_inflight_desc_packed(fe->vid, RING, entry[1]),
		"inflight/packed/work/clr0");
	answer_area(fe, area, "clr0");
	answer_list(fe, "clr0_list");
}

/** The same device with another connection and the same area. */
static bool
again(struct fake *fe, const struct fake_inflight *area, const char *scenario)
{
	char name[64];

	if (fake_connect(fe) != 0 || fake_negotiate(fe) != 0 || fake_send_mem_table(fe) != 0)
		return false;
	answer(fake_inflight_set(fe, area), "inflight/%s/%s/set", format_name, scenario);
	if (fake_run(fe) != 0)
		return false;
	answer_list(fe, scenario);
	snprintf(name, sizeof(name), "%s_area", scenario);
	answer_area(fe, area, name);
	return true;
}

static bool
reconnect(enum fake_format format)
{
	struct fake *fe = start(format, true);
	struct fake_inflight area;

	if (fe == NULL || fake_inflight_get(fe, &area, 2, SIZE) != 0 ||
			fake_inflight_set(fe, &area) != FAKE_ACK || fake_run(fe) != 0)
		return false;
	if (format == FAKE_PACKED)
		work_packed(fe, &area);
	else
		work_split(fe, &area);
	if (!again(fe, &area, "again"))
		return false;
	if (format == FAKE_PACKED) {
		uint16_t entry;

		answer(rte_vhost_set_inflight_desc_packed(fe->vid, RING, 6, 6, &entry),
			"inflight/packed/more/take");
		answer(entry, "inflight/packed/more/entry");
		answer(rte_vhost_set_last_inflight_io_packed(fe->vid, RING, 0),
			"inflight/packed/more/last");
		fe->vqs[RING].packed[1].flags = 1 << VRING_PACKED_DESC_F_AVAIL |
			1 << VRING_PACKED_DESC_F_USED;
	} else {
		answer(rte_vhost_set_inflight_desc_split(fe->vid, RING, 4),
			"inflight/split/more/take");
		answer(rte_vhost_set_last_inflight_io_split(fe->vid, RING, 1),
			"inflight/split/more/last");
		fe->vqs[RING].used->idx++;
	}
	answer_area(fe, &area, "more");
	if (!again(fe, &area, "third"))
		return false;
	fake_inflight_close(&area);
	return fake_stop(fe) == 0;
}

bool
answer_inflight(void)
{
	static const enum fake_format formats[] = { FAKE_SPLIT, FAKE_PACKED };

	for (unsigned int i = 0; i < RTE_DIM(formats); i++) {
		format_name = formats[i] == FAKE_PACKED ? "packed" : "split";
		if (!untracked(formats[i]) || !no_area(formats[i]) || !fresh(formats[i]) ||
				!reconnect(formats[i])) {
			fprintf(stderr, "inflight: %s failed\n", format_name);
			return false;
		}
	}
	return true;
}
