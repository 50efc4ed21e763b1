/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <getopt.h>
#include <stdio.h>

#include <rte_vhost.h>

#include "options.h"

void
options_usage(const char *program)
{
	printf("usage: %s [EAL options] -- --socket PATH [--socket PATH ...]\n"
		"	[--cryptodev NAME] [--zero-copy] [--client] [--help]\n"
		"\n"
		"  --socket PATH     serve the crypto devices of the guest at this socket\n"
		"  --cryptodev NAME  do the work with this one, as --vdev or a PCI address names it;\n"
		"                    default: the first\n"
		"  --zero-copy       work in guest memory\n"
		"  --client          connect to the sockets, and again when they are gone\n"
		"  --help            this text\n",
		program);
}

static int
add_socket(struct options *options, const char *path)
{
	if (options->nsockets == SOCKETS_MAX) {
		fprintf(stderr, "more than %d sockets\n", SOCKETS_MAX);
		return -1;
	}
	options->sockets[options->nsockets++] = path;
	return 0;
}

static int
take(struct options *options, int option)
{
	switch (option) {
	case 's':
		return add_socket(options, optarg);
	case 'd':
		options->cryptodev = optarg;
		return 0;
	case 'z':
		options->zero_copy = true;
		return 0;
	case 'c':
		options->flags |= RTE_VHOST_USER_CLIENT;
		return 0;
	case 'h':
		options->help = true;
		return 0;
	default:
		return -1;
	}
}

int
options_parse(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "cryptodev", required_argument, NULL, 'd' },
		{ "zero-copy", no_argument, NULL, 'z' },
		{ "client", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	*options = (struct options){ .flags = 0 };
	optind = 1;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		if (take(options, option) != 0)
			return -1;
	if (optind < argc) {
		fprintf(stderr, "what is %s?\n", argv[optind]);
		return -1;
	}
	if (options->nsockets == 0 && !options->help) {
		fprintf(stderr, "no --socket\n");
		return -1;
	}
	return 0;
}
