/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * dpdk-test-vhost-differ [EAL options]
 *
 * Plays the cases that it reads against whichever librte_vhost it is started with, and
 * says what became of each step.  devtools/fuzz-differ has two of them play the same
 * cases, on two libraries, and compares.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_debug.h>
#include <rte_eal.h>

#include "differ.h"
#include "start.h"

static const struct {
	const char *name;
	void (*play)(struct play *play);
	bool of_connection;	/**< is nothing once the library has hung up */
} steps[] = {
	{ "say", step_say, true },
	{ "address", step_address, true },
	{ "table", step_table, true },
	{ "negotiate", step_negotiate, true },
	{ "memory", step_memory, true },
	{ "ring", step_ring, true },
	{ "enable", step_enable, true },
	{ "stop", step_stop, true },
	{ "restart", step_restart, true },
	{ "run", step_run, true },
	{ "ask", step_ask, true },
	{ "fill", step_fill, false },
	{ "send", step_send, false },
	{ "offer", step_offer, false },
	{ "spoil", step_spoil, false },
	{ "dequeue", step_dequeue, true },
	{ "enqueue", step_enqueue, true },
	{ "look", step_look, false },
};

uint64_t
word(const struct play *play, unsigned int i)
{
	return strtoull(play->words[i], NULL, 0);
}

void
tell(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}

static void
cut_into_words(struct play *play, char *text)
{
	char *save = NULL, *at = strtok_r(text, " ", &save);

	for (unsigned int i = 0; i < MAX_WORDS; i++) {
		play->words[i] = at != NULL ? at : "0";
		if (at != NULL)
			at = strtok_r(NULL, " ", &save);
	}
}

/** A registration of each kind that was asked for: DPDK 22.11 takes up to a second to listen. */
static struct {
	uint64_t flags;
	struct fake *fe;
} sockets[8];
static unsigned int nsockets;

static const struct fake *
socket_for(uint64_t flags)
{
	unsigned int i;

	for (i = 0; i < nsockets; i++)
		if (sockets[i].flags == flags)
			return sockets[i].fe;
	if (nsockets == RTE_DIM(sockets))
		rte_exit(EXIT_FAILURE, "more than %u kinds of registrations\n", nsockets);
	sockets[nsockets].flags = flags;
	sockets[nsockets].fe = fake_start(.flags = flags, .queues = 2, .until = FAKE_REGISTERED);
	if (sockets[nsockets].fe == NULL)
		rte_exit(EXIT_FAILURE, "flags %#jx cannot be registered\n", (uintmax_t)flags);
	return sockets[nsockets++].fe;
}

/*
 * device PAIRS RING_SIZE FORMAT OPTIONS FEATURES FLAGS STAGE REGIONS PROTOCOL_FEATURES: numbers; FORMAT and STAGE are
 * the fake's, OPTIONS bits as below
 */
static void
make_device(struct play *play)
{
	uint64_t options = word(play, 4);

	play->fe = fake_start(.queues = word(play, 1), .ring_size = word(play, 2),
		.format = word(play, 3), .mergeable = options & 1, .event_idx = options & 2,
		.in_order = options & 4, .legacy = options & 8,
		.no_protocol_features = options & 16, .no_reply_ack = options & 32,
		.features = word(play, 5), .join = socket_for(word(play, 6)), .until = word(play, 7),
		.regions = word(play, 8), .extra_memory = 64 << 10,
		.protocol_features = word(play, 9));
	tell(play->fe != NULL ? "there" : "none");
}

static void
play_step(struct play *play)
{
	for (unsigned int i = 0; i < RTE_DIM(steps); i++) {
		if (strcmp(steps[i].name, play->words[0]) != 0)
			continue;
		if (play->closed && steps[i].of_connection)
			tell("-");
		else
			steps[i].play(play);
		return;
	}
	rte_exit(EXIT_FAILURE, "no step is called \"%s\"\n", play->words[0]);
}

/** What the application was told of it all. */
static void
end_case(struct play *play)
{
	while (play->nchannels > 0)
		close(play->channels[--play->nchannels]);
	if (play->fe == NULL)
		return;
	if (play->fe->record != NULL) {
		close(play->fe->sock);
		play->fe->sock = -1;
		fake_wait_events(play->fe, FAKE_DESTROY_CONNECTION, 1);
		printf("= told %s\n", fake_story(play->fe));
	}
	printf("= guards %s\n", fake_guards_intact(play->fe) ? "intact" : "hurt");
	fake_stop(play->fe);
}

static void
play_case(char *line)
{
	struct play play = { .fe = NULL };
	char *save = NULL;

	for (char *step = strtok_r(line, ";\n", &save); step != NULL;
			step = strtok_r(NULL, ";\n", &save)) {
		cut_into_words(&play, step);
		printf("= %s ", play.words[0]);
		if (play.fe == NULL)
			make_device(&play);
		else
			play_step(&play);
		printf("\n");
		if (play.fe == NULL)
			break;
	}
	end_case(&play);
	printf(".\n");
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	char *line = NULL;
	size_t size = 0;

	if (start_eal(argc, argv) < 0 || fake_setup() != 0)
		rte_exit(EXIT_FAILURE, "cannot start\n");
	say_library();
	printf(".\n");
	fflush(stdout);
	while (getline(&line, &size, stdin) > 0)
		play_case(line);
	free(line);
	while (nsockets > 0)
		fake_stop(sockets[--nsockets].fe);
	fake_teardown();
	rte_eal_cleanup();
	return EXIT_SUCCESS;
}
