/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Log lines with their level in front, which the text alone does not tell.  One piece of text may have several lines, and a line several pieces.
 */

#include <stdio.h>
#include <string.h>

#include <rte_log.h>

#include "control.h"

/** Write one line's worth, with a head if a line begins here. */
static void
write_line(const char *text, size_t n)
{
	static bool inside;

	if (!inside)
		fprintf(stderr, "<%d> ", rte_log_cur_msg_loglevel());
	fwrite(text, 1, n, stderr);
	inside = text[n - 1] != '\n';
}

static ssize_t
write_text(void *cookie, const char *text, size_t n)
{
	const char *end = text + n;

	(void)cookie;
	while (text < end) {
		const char *newline = memchr(text, '\n', end - text);
		size_t length = newline != NULL ? newline + 1 - text : end - text;

		write_line(text, length);
		text += length;
	}
	fflush(stderr);
	return n;
}

bool
log_stream_open(void)
{
	FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = write_text });

	if (stream == NULL)
		return false;
	/* EAL flushes after each message */
	setvbuf(stream, NULL, _IOFBF, 4096);
	return rte_openlog_stream(stream) == 0;
}
