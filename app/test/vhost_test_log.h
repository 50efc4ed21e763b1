/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_TEST_LOG_H
#define VHOST_TEST_LOG_H

/* The library's log of a while, to look for lines in it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_log.h>

#include "vhost_log.h"

struct log_capture {
	FILE *stream;
	char *text;
	size_t size;
	int config_level, data_level;	/**< that were in force */
};

/** Write the log into a buffer from now on, information included; 0 or -1. */
static inline int
log_begin(struct log_capture *log)
{
	log->text = NULL;
	log->stream = open_memstream(&log->text, &log->size);
	if (log->stream == NULL)
		return -1;
	log->config_level = rte_log_get_level(vhost_config_log_level);
	log->data_level = rte_log_get_level(vhost_data_log_level);
	rte_log_set_level(vhost_config_log_level, RTE_LOG_INFO);
	rte_log_set_level(vhost_data_log_level, RTE_LOG_INFO);
	rte_openlog_stream(log->stream);
	return 0;
}

/** Back to where it went before.  The library shall have nothing to say now. */
static inline void
log_end(struct log_capture *log)
{
	rte_openlog_stream(NULL);
	rte_log_set_level(vhost_config_log_level, log->config_level);
	rte_log_set_level(vhost_data_log_level, log->data_level);
	fclose(log->stream);
	log->stream = NULL;
}

/** With VHOST_TEST_ECHO_LOG set the whole log of a run can be had nevertheless. */
static inline void
log_free(struct log_capture *log)
{
	if (getenv("VHOST_TEST_ECHO_LOG") != NULL)
		fputs(log->text, stderr);
	free(log->text);
	log->text = NULL;
}

/** How often a text occurs.  After log_end(). */
static inline unsigned int
log_count(const struct log_capture *log, const char *what)
{
	unsigned int n = 0;

	for (const char *at = log->text; (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

#endif /* VHOST_TEST_LOG_H */
