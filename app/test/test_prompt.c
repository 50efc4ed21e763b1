/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* The interactive prompt: a test's name runs it; list, help, quit. */

#include <stddef.h>
#include <stdlib.h>

#include <cmdline.h>
#include <cmdline_parse.h>
#include <cmdline_parse_string.h>
#include <cmdline_rdline.h>
#include <cmdline_socket.h>

#include "test.h"

struct word_result {
	cmdline_fixed_string_t word;
};

static void
do_test(void *parsed, struct cmdline *cl __rte_unused, void *data __rte_unused)
{
	test_command_run(((struct word_result *)parsed)->word);
}

static void
do_list(void *parsed __rte_unused, struct cmdline *cl, void *data __rte_unused)
{
	for (const struct test_command *cmd = test_command_first();
			cmd != NULL; cmd = cmd->next)
		cmdline_printf(cl, "%s\n", cmd->name);
}

static void
do_help(void *parsed __rte_unused, struct cmdline *cl, void *data __rte_unused)
{
	cmdline_printf(cl, "the name of a test (TAB completes), list, quit\n");
}

static void
do_quit(void *parsed __rte_unused, struct cmdline *cl, void *data __rte_unused)
{
	cmdline_quit(cl);
}

/* The choices of the test token are known at run time only. */
static cmdline_parse_token_string_t test_word =
	TOKEN_STRING_INITIALIZER(struct word_result, word, "");
static cmdline_parse_token_string_t list_word =
	TOKEN_STRING_INITIALIZER(struct word_result, word, "list");
static cmdline_parse_token_string_t help_word =
	TOKEN_STRING_INITIALIZER(struct word_result, word, "help");
static cmdline_parse_token_string_t quit_word =
	TOKEN_STRING_INITIALIZER(struct word_result, word, "quit");

#define PROMPT_COMMAND(name, fn, help)                                       \
	static cmdline_parse_inst_t name##_command = {                       \
		.f = fn, .data = NULL, .help_str = help,                     \
		.tokens = { (void *)&name##_word, NULL },                    \
	}

PROMPT_COMMAND(test, do_test, "run a test");
PROMPT_COMMAND(list, do_list, "list the tests");
PROMPT_COMMAND(help, do_help, "say what can be typed");
PROMPT_COMMAND(quit, do_quit, "leave");

static cmdline_parse_ctx_t prompt_commands[] = {
	&test_command, &list_command, &help_command, &quit_command, NULL
};

/** All names as cmdline wants a choice: "a#b#c"; NULL without memory. */
static char *
all_names(void)
{
	const struct test_command *cmd;
	size_t size = 1, len = 0;
	char *names;

	for (cmd = test_command_first(); cmd != NULL; cmd = cmd->next)
		size += strlen(cmd->name) + 1;
	names = calloc(1, size);
	for (cmd = test_command_first(); names != NULL && cmd != NULL;
			cmd = cmd->next)
		len += snprintf(names + len, size - len, "%s%s",
			len > 0 ? "#" : "", cmd->name);
	return names;
}

void
test_prompt(void)
{
	char *names = all_names();
	struct cmdline *cl;

	if (names == NULL)
		return;
	test_word.string_data.str = names;
	cl = cmdline_stdin_new(prompt_commands, "RTE>>");
	if (cl != NULL) {
		cmdline_interact(cl);
		cmdline_stdin_exit(cl);
	}
	free(names);
}
