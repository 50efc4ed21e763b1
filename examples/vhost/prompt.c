/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <unistd.h>

#include <cmdline.h>
#include <cmdline_parse.h>
#include <cmdline_parse_num.h>
#include <cmdline_parse_string.h>
#include <cmdline_socket.h>

#include "options.h"
#include "orders.h"
#include "prompt.h"
#include "view.h"

static struct cmdline *prompt;
static bool quitting, closed;

/* Commands of one word */

struct one_word {
	cmdline_fixed_string_t word;
};

#define ONE_WORD(name, text, help) \
	static cmdline_parse_token_string_t name ## _token = \
		TOKEN_STRING_INITIALIZER(struct one_word, word, text); \
	static cmdline_parse_inst_t name ## _command = { \
		.f = run_ ## name, \
		.help_str = text ": " help, \
		.tokens = { (void *)&name ## _token, NULL }, \
	}

static void
run_rxq_show(void *parsed __rte_unused, struct cmdline *cl __rte_unused, void *data __rte_unused)
{
	view_print_rxqs(stdout);
}
ONE_WORD(rxq_show, "pmd-rxq-show", "which queue is polled where, and where each guest's memory is");

static void
run_rebalance(void *parsed __rte_unused, struct cmdline *cl __rte_unused, void *data __rte_unused)
{
	order_rebalance();
}
ONE_WORD(rebalance, "pmd-rxq-rebalance", "assign all queues anew");

static void
run_fdb_show(void *parsed __rte_unused, struct cmdline *cl __rte_unused, void *data __rte_unused)
{
	view_print_macs(stdout);
}
ONE_WORD(fdb_show, "fdb-show", "which address is where");

static void
run_fdb_flush(void *parsed __rte_unused, struct cmdline *cl __rte_unused, void *data __rte_unused)
{
	order_flush();
}
ONE_WORD(fdb_flush, "fdb-flush", "forget all addresses");

static void
run_stats_show(void *parsed __rte_unused, struct cmdline *cl __rte_unused, void *data __rte_unused)
{
	view_print_totals(stdout);
}
ONE_WORD(stats_show, "stats-show", "packets of the whole switch");

static void
run_guests_show(void *parsed __rte_unused, struct cmdline *cl __rte_unused, void *data __rte_unused)
{
	view_print_counters(stdout);
}
ONE_WORD(guests_show, "guests-show", "packets of each guest and port");

static void
run_quit(void *parsed __rte_unused, struct cmdline *cl __rte_unused, void *data __rte_unused)
{
	quitting = true;
}
ONE_WORD(quit, "quit", "end the program");

static void run_help(void *parsed, struct cmdline *cl, void *data);
ONE_WORD(help, "help", "this list");

/* rxq-affinity NAME QUEUE LCORE|none */

struct affinity_words {
	cmdline_fixed_string_t word;
	cmdline_fixed_string_t name;
	uint16_t queue;
	cmdline_fixed_string_t lcore;
};

static void
run_affinity(void *parsed, struct cmdline *cl, void *data __rte_unused)
{
	const struct affinity_words *words = parsed;
	const char *why = order_affinity(words->name, words->queue, words->lcore);

	if (why != NULL)
		cmdline_printf(cl, "%s, queue %u to %s: %s\n", words->name, words->queue,
			words->lcore, why);
}

static cmdline_parse_token_string_t affinity_word =
	TOKEN_STRING_INITIALIZER(struct affinity_words, word, "rxq-affinity");
static cmdline_parse_token_string_t affinity_name =
	TOKEN_STRING_INITIALIZER(struct affinity_words, name, NULL);
static cmdline_parse_token_num_t affinity_queue =
	TOKEN_NUM_INITIALIZER(struct affinity_words, queue, RTE_UINT16);
static cmdline_parse_token_string_t affinity_lcore =
	TOKEN_STRING_INITIALIZER(struct affinity_words, lcore, NULL);
static cmdline_parse_inst_t affinity_command = {
	.f = run_affinity,
	.help_str = "rxq-affinity NAME QUEUE LCORE|none: poll this queue on this lcore",
	.tokens = { (void *)&affinity_word, (void *)&affinity_name, (void *)&affinity_queue,
		(void *)&affinity_lcore, NULL },
};

/* socket-restart PATH */

struct socket_words {
	cmdline_fixed_string_t word;
	cmdline_fixed_string_t path;
};

static void
run_socket_restart(void *parsed, struct cmdline *cl, void *data __rte_unused)
{
	const struct socket_words *words = parsed;
	const char *why = order_socket_restart(words->path);

	if (why != NULL)
		cmdline_printf(cl, "%s: %s\n", words->path, why);
}

static cmdline_parse_token_string_t socket_word =
	TOKEN_STRING_INITIALIZER(struct socket_words, word, "socket-restart");
static cmdline_parse_token_string_t socket_path =
	TOKEN_STRING_INITIALIZER(struct socket_words, path, NULL);
static cmdline_parse_inst_t socket_command = {
	.f = run_socket_restart,
	.help_str = "socket-restart PATH: let the guests of a socket go, and begin with it anew",
	.tokens = { (void *)&socket_word, (void *)&socket_path, NULL },
};

static cmdline_parse_ctx_t commands[] = {
	&rxq_show_command,
	&rebalance_command,
	&affinity_command,
	&socket_command,
	&fdb_show_command,
	&fdb_flush_command,
	&guests_show_command,
	&stats_show_command,
	&help_command,
	&quit_command,
	NULL,
};

static void
run_help(void *parsed __rte_unused, struct cmdline *cl, void *data __rte_unused)
{
	for (unsigned int i = 0; commands[i] != NULL; i++)
		cmdline_printf(cl, "%s\n", commands[i]->help_str);
}

int
prompt_open(void)
{
	if (!options.interactive)
		return -1;
	prompt = cmdline_stdin_new(commands, "vhost-switch> ");
	return prompt != NULL ? STDIN_FILENO : -1;
}

enum prompt_result
prompt_serve(void)
{
	char typed[256];
	ssize_t n = read(STDIN_FILENO, typed, sizeof(typed));

	/* without a stdin the switch goes on, as it would without a prompt */
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		closed = true;
	/* byte by byte: what follows "quit" is not run */
	for (ssize_t i = 0; i < n && !quitting; i++)
		if (cmdline_in(prompt, &typed[i], 1) < 0)	/* the end, as a key */
			quitting = true;
	return quitting ? PROMPT_QUIT : PROMPT_GO_ON;
}

bool
prompt_is_closed(void)
{
	return closed;
}

void
prompt_close(void)
{
	if (prompt != NULL)
		cmdline_stdin_exit(prompt);
	prompt = NULL;
}
