/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Options are rows of one table: name, what its argument may be, where it goes.
 * The usage text is printed from the same table, so it cannot be out of date.
 * An option that was read with success returns 0; every error is one line on
 * stderr, followed by one of usage.
 */

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_dmadev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_string_fns.h>

#include "dma.h"
#include "options.h"
#include "vport.h"

struct options options = {
	.vm2vm = VM2VM_SOFTWARE,
	.rx_retry = true,
	.rx_retry_delay = 15,
	.rx_retry_num = 4,
	.mergeable = true,
	.tx_csum = true,
	.tso = true,
	.queues = OPTIONS_MAX_QUEUES,
	.total_mbufs = 147456,
	.mac_age = 300,
	.mac_entries = 8192,
};

static int
complain(const char *format, ...)
{
	va_list args;

	fputs("dpdk-vhost: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return -1;
}

/** One option.  Exactly one of flag, number and read tells what it sets. */
struct option_row {
	const char *name;
	const char *argument;	/**< how the usage calls it; NULL: there is none */
	const char *help;
	bool *flag;		/**< set by its presence, or by 0 or 1 */
	uint32_t *number;
	uint32_t min, max;	/**< of the number */
	int (*read)(const struct option_row *row, const char *text);
};

static int
read_number(const struct option_row *row, const char *text, uint32_t min, uint32_t max,
		uint32_t *number)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end != '\0' || errno != 0 ||
			value < min || value > max)
		return complain("--%s takes a number from %u to %u, not \"%s\"",
				row->name, min, max, text);
	*number = value;
	return 0;
}

static int
read_hex(const struct option_row *row, const char *text, uint64_t *words, unsigned int n_words)
{
	const char *digits = strncasecmp(text, "0x", 2) == 0 ? text + 2 : text;
	size_t len = strlen(digits);

	if (len == 0 || len > n_words * 16 || strspn(digits, "0123456789abcdefABCDEF") != len)
		return complain("%s%s takes a hexadecimal mask, not \"%s\"",
				row->name[1] ? "--" : "-", row->name, text);
	memset(words, 0, n_words * sizeof(*words));
	for (size_t i = 0; i < len; i++) {
		const char digit[] = { digits[len - 1 - i], '\0' };

		words[i / 16] |= (uint64_t)strtoul(digit, NULL, 16) << (i % 16 * 4);
	}
	return 0;
}

static int
read_socket(const struct option_row *row, const char *text)
{
	const struct sockaddr_un *address = NULL;

	if (*text == '\0' || text[strlen(text) - 1] == '/')
		return complain("--%s takes the path of a socket, not \"%s\"", row->name, text);
	if (strlen(text) >= sizeof(address->sun_path))
		return complain("--%s: a socket's path has at most %zu characters: %s", row->name,
				sizeof(address->sun_path) - 1, text);
	if (options.n_sockets == OPTIONS_MAX_SOCKETS)
		return complain("--%s: at most %u sockets", row->name, OPTIONS_MAX_SOCKETS);
	for (unsigned int i = 0; i < options.n_sockets; i++)
		if (strcmp(options.sockets[i], text) == 0)
			return complain("--%s: %s is given twice", row->name, text);
	options.sockets[options.n_sockets++] = text;
	return 0;
}

static int
read_port_mask(const struct option_row *row, const char *text)
{
	if (read_hex(row, text, &options.port_mask, 1) < 0)
		return -1;
	for (unsigned int port = 0; port < 64; port++)
		if ((options.port_mask & RTE_BIT64(port)) && !rte_eth_dev_is_valid_port(port))
			return complain("-p %s: there is no port %u (%u ports)", text, port,
					rte_eth_dev_count_avail());
	return 0;
}

/** Whether an lcore is EAL's and no other's work: the main one has control. */
static bool
can_poll(unsigned int lcore)
{
	return rte_lcore_has_role(lcore, ROLE_RTE) && lcore != rte_get_main_lcore();
}

static int
read_pmd_mask(const struct option_row *row, const char *text)
{
	uint64_t mask[RTE_MAX_LCORE / 64] = { 0 };
	bool any = false;

	if (read_hex(row, text, mask, RTE_DIM(mask)) < 0)
		return -1;
	memset(options.pmd_lcores, 0, sizeof(options.pmd_lcores));
	for (unsigned int lcore = 0; lcore < RTE_MAX_LCORE; lcore++) {
		if (!(mask[lcore / 64] & RTE_BIT64(lcore % 64)))
			continue;
		if (!can_poll(lcore))
			return complain("--%s %s: lcore %u is %s", row->name, text, lcore,
					lcore == rte_get_main_lcore() ?
					"the main lcore, which does not poll" : "not among EAL's");
		options.pmd_lcores[lcore] = any = true;
	}
	return any ? 0 : complain("--%s %s names no lcore", row->name, text);
}

static int
read_assign(const struct option_row *row, const char *text)
{
	static const char * const names[] = {
		[ASSIGN_ROUNDROBIN] = "roundrobin",
		[ASSIGN_CYCLES] = "cycles",
	};

	for (unsigned int i = 0; i < RTE_DIM(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			options.rxq_assign = i;
			return 0;
		}
	}
	return complain("--%s takes roundrobin or cycles, not \"%s\"", row->name, text);
}

static int
read_affinity(const struct option_row *row, const char *text)
{
	struct affinity *affinity;
	const char *comma, *next = text;
	char item[OPTIONS_NAME_LEN + 16], rest;
	int used;

	for (; next != NULL; next = comma != NULL ? comma + 1 : NULL) {
		comma = strchr(next, ',');
		used = comma != NULL ? (int)(comma - next) : (int)strlen(next);
		snprintf(item, sizeof(item), "%.*s", used, next);
		if (options.n_affinities == OPTIONS_MAX_AFFINITIES)
			return complain("--%s: at most %u", row->name, OPTIONS_MAX_AFFINITIES);
		affinity = &options.affinities[options.n_affinities];
		/* NOLINTNEXTLINE(cert-err34-c): nine digits always fit */
		if (used >= (int)sizeof(item) || sscanf(item, "%63[^:]:%9u:%9u%c", affinity->name,
				&affinity->queue, &affinity->lcore, &rest) != 3)
			return complain("--%s takes NAME:QUEUE:LCORE, not \"%s\"", row->name, item);
		if (affinity->queue >= VPORT_MAX_RXQ)
			return complain("--%s %s: queues are 0 to %u", row->name, item,
					VPORT_MAX_RXQ - 1);
		if (affinity->lcore >= RTE_MAX_LCORE || !can_poll(affinity->lcore))
			return complain("--%s %s: lcore %u cannot poll", row->name, item,
					affinity->lcore);
		options.n_affinities++;
	}
	return 0;
}

static int
read_vm2vm(const struct option_row *row, const char *text)
{
	uint32_t mode = VM2VM_OFF;

	if (read_number(row, text, VM2VM_OFF, VM2VM_HARDWARE, &mode) < 0)
		return -1;
	options.vm2vm = mode;
	return 0;
}

static void print_usage(FILE *out);

static int
show_help(const struct option_row *row __rte_unused, const char *text __rte_unused)
{
	print_usage(stdout);
	rte_eal_cleanup();
	exit(0);
}

/** One item of --dmas: "txd0@NAME" or "rxd0@NAME". */
static int
read_dma(const struct option_row *row, const char *item)
{
	char direction[3], name[OPTIONS_NAME_LEN], rest;
	unsigned int socket;
	int dma;

	/* NOLINTNEXTLINE(cert-err34-c): nine digits always fit */
	if (sscanf(item, "%2[rtx]d%9u@%63[^],]%c", direction, &socket, name, &rest) != 3 ||
			(strcmp(direction, "tx") != 0 && strcmp(direction, "rx") != 0))
		return complain("--%s takes [txdN@DEVICE,rxdN@DEVICE,...], not \"%s\"", row->name,
				item);
	if (socket >= OPTIONS_MAX_SOCKETS)
		return complain("--%s %s: sockets are 0 to %u", row->name, item,
				OPTIONS_MAX_SOCKETS - 1);
	dma = rte_dma_get_dev_id_by_name(name);
	if (dma < 0 || dma >= RTE_DMADEV_DEFAULT_MAX)
		return complain("--%s %s: there is no DMA device %s", row->name, item, name);
	options.dmas[socket][direction[0] == 'r' ? DMA_RX : DMA_TX] = dma;
	return 0;
}

static int
read_dmas(const struct option_row *row, const char *text)
{
	size_t len = strlen(text);
	char item[OPTIONS_NAME_LEN + 16];
	const char *end;

	if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	for (end = text + len; text < end || len == 0; ) {
		size_t used = strcspn(text, ",");

		used = RTE_MIN(used, (size_t)(end - text));
		snprintf(item, sizeof(item), "%.*s", (int)used, text);
		if (used >= sizeof(item) || read_dma(row, item) < 0)
			return used >= sizeof(item) ? complain("--%s: too long: %s", row->name,
					text) : -1;
		text += used + 1;
	}
	return 0;
}

/* Rows with one letter are short options. */
static const struct option_row rows[] = {
	{ "socket-file", "PATH", "a vhost-user socket; may be given many times",
		.read = read_socket },
	{ "client", NULL, "connect to the sockets instead of listening on them",
		.flag = &options.client },
	{ "p", "PORTMASK", "hexadecimal mask of ethdev ports to switch; none is needed",
		.read = read_port_mask },
	{ "P", NULL, "put the ports in promiscuous mode", .flag = &options.promiscuous },
	{ "vm2vm", "0|1|2", "guest to guest: 0 not at all, 1 by this program (default), "
		"2 by a NIC\n\t\tthat switches between VMDq pools", .read = read_vm2vm },
	{ "rx-retry", "0|1", "try again when a guest's ring is full (1)",
		.flag = &options.rx_retry },
	{ "rx-retry-delay", "US", "microseconds between two attempts (15)",
		.number = &options.rx_retry_delay, .max = 1000 },
	{ "rx-retry-num", "N", "attempts after the first (4)",
		.number = &options.rx_retry_num, .max = 1000 },
	{ "mergeable", "0|1", "let guests take a packet in several buffers (1)",
		.flag = &options.mergeable },
	{ "tx-csum", "0|1", "let guests leave checksums to whoever needs them (1)",
		.flag = &options.tx_csum },
	{ "tso", "0|1", "let guests send and take TCP segments larger than the MTU (1);\n"
		"\t\tneeds --tx-csum", .flag = &options.tso },
	{ "gro", "0|1", "merge TCP segments from ports for guests that take large ones (0)",
		.flag = &options.gro },
	{ "queues", "N", "queue pairs of a guest that are used (8)",
		.number = &options.queues, .min = 1, .max = OPTIONS_MAX_QUEUES },
	{ "total-num-mbufs", "N", "packet buffers, shared evenly by the nodes (147456)",
		.number = &options.total_mbufs, .min = 1024, .max = 1 << 26 },
	{ "pmd-cpu-mask", "MASK", "hexadecimal mask of the lcores that poll (all but the main one)",
		.read = read_pmd_mask },
	{ "pmd-sleep-max", "US", "longest sleep of an lcore that finds nothing to do (0)",
		.number = &options.pmd_sleep_max, .max = 10000 },
	{ "rxq-assign", "HOW", "how an lcore is chosen among those of a node: roundrobin\n"
		"\t\t(default: the fewest queues) or cycles (the least work)",
		.read = read_assign },
	{ "rxq-affinity", "NAME:QUEUE:LCORE[,...]", "poll this receive queue on this lcore; "
		"NAME is\n\t\tthe socket's file name or the port's name", .read = read_affinity },
	{ "mac-age", "SECONDS", "forget an address that was silent for so long (300)",
		.number = &options.mac_age, .min = 1, .max = 86400 },
	{ "mac-entries", "N", "addresses to remember (8192)",
		.number = &options.mac_entries, .min = 64, .max = 1 << 20 },
	{ "stats", "SECONDS", "print a table of rates so often (0: never)",
		.number = &options.stats, .max = 3600 },
	{ "interactive", NULL, "prompt for commands (default: if stdin is a terminal)",
		.flag = &options.interactive },
	{ "dmas", "[txdN@DEVICE,rxdN@DEVICE,...]", "DMA devices (dmadev) that copy packets to (tx) "
		"and\n\t\tfrom (rx) the guests of the N-th socket, counted from 0",
		.read = read_dmas },
	{ "help", NULL, "this text", .read = show_help },
	{ "h", NULL, "this text", .read = show_help },
};

static void
print_usage(FILE *out)
{
	fputs("usage: dpdk-vhost EAL-OPTIONS -- OPTIONS\n", out);
	for (unsigned int i = 0; i < RTE_DIM(rows); i++) {
		const struct option_row *row = &rows[i];

		fprintf(out, "\t%s%s%s%s\n\t\t%s\n", row->name[1] ? "--" : "-", row->name,
				row->argument ? " " : "", row->argument ? row->argument : "",
				row->help);
	}
}

static int
read_row(const struct option_row *row, const char *text)
{
	uint32_t number = 0;

	if (row->read != NULL)
		return row->read(row, text);
	if (row->number != NULL)
		return read_number(row, text, row->min, row->max, row->number);
	if (row->argument == NULL) {
		*row->flag = true;
		return 0;
	}
	if (read_number(row, text, 0, 1, &number) < 0)
		return -1;
	*row->flag = number;
	return 0;
}

/** What getopt_long() wants to know, made from the rows; indices are theirs. */
static void
getopt_tables(struct option longs[], char *shorts)
{
	*shorts++ = ':';
	for (unsigned int i = 0; i < RTE_DIM(rows); i++) {
		const struct option_row *row = &rows[i];

		*longs++ = (struct option){ row->name, row->argument ? required_argument :
				no_argument, NULL, 256 + i };
		if (row->name[1] != '\0')
			continue;
		*shorts++ = row->name[0];
		if (row->argument != NULL)
			*shorts++ = ':';
	}
	*shorts = '\0';
}

static const struct option_row *
row_of(int found)
{
	if (found >= 256)
		return &rows[found - 256];
	for (unsigned int i = 0; i < RTE_DIM(rows); i++)
		if (rows[i].name[0] == found && rows[i].name[1] == '\0')
			return &rows[i];
	return NULL;
}

/** What must hold between options. */
static int
check_together(void)
{
	if (rte_lcore_count() < 2)
		return complain("at least two lcores are needed: the main one has control, the "
				"others poll (-l 0,1)");
	if (options.tso && !options.tx_csum)
		options.tso = false;	/* a segment always needs a new checksum */
	for (unsigned int i = options.n_sockets; i < OPTIONS_MAX_SOCKETS; i++)
		if (dma_has(i))
			return complain("--dmas names socket %u, there are %u", i,
					options.n_sockets);
	if (options.n_sockets == 0 && options.port_mask == 0)
		return complain("nothing to switch: give --socket-file or -p");
	return 0;
}

static int
parse(int argc, char **argv)
{
	struct option longs[RTE_DIM(rows) + 1] = { { 0 } };
	char shorts[2 * RTE_DIM(rows) + 2];
	const struct option_row *row;
	int found;

	getopt_tables(longs, shorts);
	optind = 1;
	opterr = 0;
	while ((found = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (found == ':')
			return complain("%s needs an argument", argv[optind - 1]);
		row = row_of(found);
		if (row == NULL)
			return complain("unknown option %s", argv[optind - 1]);
		if (read_row(row, optarg) < 0)
			return -1;
	}
	if (optind < argc)
		return complain("unexpected argument \"%s\"", argv[optind]);
	return check_together();
}

int
options_parse(int argc, char **argv)
{
	unsigned int lcore;

	/* not in the background, where touching the terminal would stop us */
	options.interactive = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
	memset(options.dmas, 0xff, sizeof(options.dmas));	/* DMA_NONE */
	RTE_LCORE_FOREACH_WORKER(lcore)
		options.pmd_lcores[lcore] = true;
	if (parse(argc, argv) == 0)
		return 0;
	fputs("usage: dpdk-vhost EAL-OPTIONS -- --socket-file PATH [OPTIONS]; "
		"dpdk-vhost --help tells them\n", stderr);
	return -1;
}

void
options_show(const char *program __rte_unused)
{
	print_usage(stdout);
}
