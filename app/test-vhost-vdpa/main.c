/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * dpdk-test-vhost-vdpa [EAL options] -- SOCKET PAIRS WORDS
 *
 * A network device whose hardware is a thread (vhost_soft_vdpa.h) behind a socket, on
 * whichever librte_vhost is found at start.  It answers ARP requests and pings.
 * WORDS are separated by commas: "relay" to relay always, "doorbells" to ask for them,
 * "-" for neither.  On its standard input it is asked for "stats", or told to "quit".
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_debug.h>
#include <rte_eal.h>
#include <rte_vhost.h>

#include "echo.h"
#include "vdpa_driver.h"
#include "vhost_soft_vdpa.h"

static struct soft_vdpa *soft;

static int
on_new_device(int vid)
{
	uint64_t features = 0;

	rte_vhost_get_negotiated_features(vid, &features);
	printf("new device %d features %#" PRIx64 "\n", vid, features);
	return 0;
}

static void
on_destroy_device(int vid)
{
	printf("destroy device %d\n", vid);
}

static const struct rte_vhost_device_ops ops = {
	.new_device = on_new_device,
	.destroy_device = on_destroy_device,
};

static void
say_stats(unsigned int vrings)
{
	printf("stats running %d relaying %d doorbells %d\n", soft_vdpa_is_running(soft),
		soft_vdpa_is_relaying(soft), soft_vdpa_has_doorbells(soft));
	for (unsigned int i = 0; i < vrings; i++)
		printf("ring %u frames %" PRIu64 " kicks %" PRIu64 " doorbells %" PRIu64
			" relayed %" PRIu64 " refused %" PRIu64 " broken %" PRIu64 "\n", i,
			soft_vdpa_stat(soft, i, SOFT_FRAMES), soft_vdpa_stat(soft, i, SOFT_KICKS),
			soft_vdpa_stat(soft, i, SOFT_DOORBELLS),
			soft_vdpa_stat(soft, i, SOFT_RELAYED),
			soft_vdpa_stat(soft, i, SOFT_REFUSED), soft_vdpa_stat(soft, i, SOFT_BROKEN));
	printf("asked conf %u close %u cleanup %u vring_state %u set_features %u "
		"migration_done %u\n", soft_vdpa_asked(soft, SOFT_CONF),
		soft_vdpa_asked(soft, SOFT_CLOSE), soft_vdpa_asked(soft, SOFT_CLEANUP),
		soft_vdpa_asked(soft, SOFT_VRING_STATE), soft_vdpa_asked(soft, SOFT_SET_FEATURES),
		soft_vdpa_asked(soft, SOFT_MIGRATION_DONE));
}

/** Hardware behind a socket. */
static bool
start(const char *path, uint32_t pairs, const char *words)
{
	const struct soft_vdpa_config cfg = {
		.pairs = pairs,
		.relay = strstr(words, "relay") != NULL,
		.notifiers = strstr(words, "doorbells") != NULL,
		.turn = echo_turn,
	};

	soft = soft_vdpa_create("soft", &cfg);
	return soft != NULL && rte_vhost_driver_register(path, 0) == 0 &&
		rte_vhost_driver_callback_register(path, &ops) == 0 &&
		rte_vhost_driver_attach_vdpa_device(path, soft_vdpa_device(soft)) == 0 &&
		rte_vhost_driver_start(path) == 0;
}

int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);
	uint32_t pairs;
	char line[80];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (used < 0 || argc - used != 4)
		rte_exit(EXIT_FAILURE, "usage: %s [EAL options] -- SOCKET PAIRS WORDS\n", argv[0]);
	argv += used;
	pairs = strtoul(argv[2], NULL, 10);
	if (!start(argv[1], pairs, argv[3]))
		rte_exit(EXIT_FAILURE, "cannot serve %s\n", argv[1]);
	printf("serving %s\n", argv[1]);
	while (fgets(line, sizeof(line), stdin) != NULL && strcmp(line, "quit\n") != 0)
		if (strcmp(line, "stats\n") == 0)
			say_stats(2 * pairs);
	rte_vhost_driver_unregister(argv[1]);
	soft_vdpa_destroy(soft);
	rte_eal_cleanup();
	return EXIT_SUCCESS;
}
