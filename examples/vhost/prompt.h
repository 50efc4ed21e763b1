/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PROMPT_H
#define PROMPT_H

/*
 * Commands on stdin.  They are served by the main lcore between its other work.
 */

#include <stdbool.h>

enum prompt_result {
	PROMPT_GO_ON,
	PROMPT_QUIT,
};

/** Begin to prompt, if the user wants it: the descriptor to wait for, or -1. */
int prompt_open(void);

/** Read what there is on stdin and run what is complete of it. */
enum prompt_result prompt_serve(void);

/** Whether stdin has ended, so that nothing will come any more. */
bool prompt_is_closed(void);

void prompt_close(void);

#endif /* PROMPT_H */
