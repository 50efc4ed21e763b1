/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Living a life; see fault_story.h.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_vhost.h>
#include <rte_vhost_async.h>
#include <rte_vhost_limits.h>

#include "test.h"
#include "vhost_fake_dma.h"
#include "vhost_soft_vdpa.h"

#include "fault_life.h"
#include "fault_machine.h"

/** Longer than the heap believes that a node has no memory, and than a second attempt takes. */
#define PAUSE_US 120000

void
fault_wrong(struct life *life, const char *fmt, ...)
{
	struct story_result *r = life->result;
	va_list ap;

	if (r->wrong[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(r->wrong, sizeof(r->wrong), fmt, ap);
	va_end(ap);
}

/** Everything of the frontend, but its memory and its socket file. */
static int
life_begin(struct life *life, const struct story *story, struct story_result *result)
{
	struct fake_config cfg = story->cfg;

	*life = (struct life){
		.story = story, .result = result, .dma = -1,
		.area = { .fd = -1 }, .slot_fd = memfd_create("fault-slot", MFD_CLOEXEC),
	};
	if (life->slot_fd < 0 || ftruncate(life->slot_fd, SLOT_BYTES) < 0)
		return -1;
	cfg.until = FAKE_ALONE;
	life->fe = fake_start_config(&cfg);
	if (life->fe == NULL)
		return -1;
	return cfg.client ? fake_listen(life->fe) : 0;
}

/** What belongs to one connection; as often as one likes. */
static void
life_hang_up(struct life *life)
{
	postcopy_close(&life->postcopy);
	fake_disconnect(life->fe);
	if (life->logs)
		dirty_destroy(&life->dirty);
	life->logs = false;
	fake_inflight_close(&life->area);
	fake_iommu_fini(&life->iommu);
	for (unsigned int i = 0; i < life->fe->nvrings; i++)
		fake_vq_reset(&life->fe->vqs[i]);
	life->runs = false;
}

static void
drop_dma(struct life *life)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	if (life->dma < 0)
		return;
	fake_dma_run(life->dma, 0, UINT32_MAX);
	while (rte_vhost_async_dma_unconfigure(life->dma, 0) != 0)
		if (fake_now_ms() > until) {
			fault_wrong(life, "the DMA channel stays in use");
			return;
		}
	fake_dma_destroy(life->dma);
}

static void
life_end(struct life *life)
{
	drop_dma(life);
	if (!fake_guards_intact(life->fe))
		fault_wrong(life, "guard bytes of the guest's memory have changed");
	if (life->soft != NULL && soft_vdpa_destroy(life->soft) < 0)
		fault_wrong(life, "the hardware is still used");
	if (life->sight != NULL)
		munmap(life->sight, SIGHT_BYTES);
	if (fake_stop(life->fe) < 0)
		fault_wrong(life, "the application was not told of the end");
	close(life->slot_fd);
}

/**
 * How many steps may be refused in a life with one fault.  A library that connects has done
 * so more than once when a fault that lasts is over.  Files whose file system was asked may
 * be refused again: on a busy machine it looks as if somebody made us wait, who is then not
 * asked for a while (mem_fs.c), the longer the busier it is.
 */
static unsigned int
most_refusals(const struct life *life)
{
	bool again = life->fe->cfg.memory_in != NULL || (life->lasts && life->fe->cfg.client);

	return again ? 5 : 1;
}

/** A step has said no: where to go on, as a frontend does. */
static const struct story_step *
step_back(struct life *life, const struct story_step *step)
{
	bool closed = life->fe->sock >= 0 && !fake_is_served(life->fe);

	if (life->refusals++ == most_refusals(life))
		fault_wrong(life, "\"%s\" fails as well, after \"%s\"", step->name, life->result->step);
	usleep(PAUSE_US * life->refusals);
	life->result->answer = closed ? STORY_CLOSED : STORY_REFUSED;
	snprintf(life->result->step, sizeof(life->result->step), "%s", step->name);
	if (life->fe->sock < 0)
		return step;
	if (!closed && !step->anew) {
		if (life->runs && life->story->packets(life) < 0)
			fault_wrong(life, "after \"%s\" was refused, packets do not flow", step->name);
		return step;
	}
	life_hang_up(life);
	for (step = life->story->steps; step->take != fault_step_connect; step++)
		;
	return step;
}

/** A limit that has something in use, although nobody is there; or NULL. */
static const char *
taken_from_limits(const char *path)
{
	struct rte_vhost_limits_usage usage;

	if (rte_vhost_driver_limits_get(path, &usage) < 0)
		return "the registration";
	return usage.connections > 0 ? "connections" :
		usage.mapped_bytes > 0 ? "mapped bytes" :
		usage.closing_fds > 0 ? "closing descriptors" : NULL;
}

static void
check_limits(struct life *life)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	const char *what;

	while ((what = taken_from_limits(life->fe->path)) != NULL && fake_now_ms() < until)
		usleep(500);
	if (what != NULL)
		fault_wrong(life, "with nobody there, %s are in use", what);
}

/** Somebody else comes to that socket, with ordinary wishes. */
static void
serve_another(struct life *life, const char *when)
{
	struct fake *fe = fake_start(.join = life->fe, .ring_size = 64);

	if (fe == NULL) {
		fault_wrong(life, "another guest is not served, %s", when);
		return;
	}
	if (fake_round_trip(fe, 0, 100) != 100)
		fault_wrong(life, "another guest has no packets, %s", when);
	fake_stop(fe);
}

/** All is taken away.  The same path is used once more. */
static void
look_at_path(struct life *life)
{
	const char *path = life->fe->path;

	/* leaves a file that nobody listens on any more */
	if (life->fe->listener >= 0)
		close(life->fe->listener);
	life->fe->listener = -1;
	if (rte_vhost_driver_register(path, 0) < 0 ||
			rte_vhost_driver_callback_register(path, &fake_recorder_ops) < 0 ||
			rte_vhost_driver_start(path) < 0) {
		fault_wrong(life, "the path is not free again");
		return;
	}
	serve_another(life, "when the path is registered again");
	if (rte_vhost_driver_unregister(path) < 0)
		fault_wrong(life, "the path cannot be unregistered again");
}

/** The guest has gone: whatever went wrong, its socket is as good as new. */
static void
look_at_socket(struct life *life, struct fault *fault)
{
	/* a library that connects has already done so again */
	if (life->fe->cfg.client)
		return;
	fault_arm(NULL);
	check_limits(life);
	/* hardware has packets of its own */
	if (life->soft == NULL)
		serve_another(life, "on the same socket");
	fault_arm(fault);
}

static void
live(struct life *life, struct fault *fault)
{
	const struct story_step *step = life->story->steps;

	while (step->name != NULL && life->result->wrong[0] == '\0') {
		bool taken = step->take(life) == 0;

		fault_step_is_over(fault);
		if (!taken) {
			step = step_back(life, step);
			continue;
		}
		life->runs = step->runs;
		if (step->take == fault_step_disconnect)
			look_at_socket(life, fault);
		step++;
	}
}

void
story_run(const struct story *story, struct fault *fault, struct story_result *result)
{
	struct life life;

	memset(result, 0, sizeof(*result));
	if (life_begin(&life, story, result) < 0) {
		snprintf(result->wrong, sizeof(result->wrong), "the test itself has no memory");
		return;
	}
	life.lasts = fault->lasts;
	fault_machine_begin();
	fault_arm(fault);
	live(&life, fault);
	fault_arm(NULL);
	if (life.registered && fake_unregister(life.fe) < 0)
		fault_wrong(&life, "it cannot be unregistered");
	life_hang_up(&life);
	look_at_path(&life);
	life_end(&life);
	fault_machine_end();
	if (fault_machine_blocks() > 0)
		fault_wrong(&life, "%u blocks were not given back", fault_machine_blocks());
}
