/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_TEST_DENIED_H
#define VHOST_TEST_DENIED_H

/*
 * What the seccomp profile of a container does: some system calls fail.  The
 * filter holds for one thread, which runs the function under test and ends.
 */

#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "test.h"

#define DENIED_MAX 8

struct denied {
	long calls[DENIED_MAX];		/**< SYS_*; 0 ends the list */
	int err;			/**< what they fail with */
	int (*run)(void);
	int result;
};

static inline int
denied_install(const struct denied *d)
{
	struct sock_filter code[2 * DENIED_MAX + 2];
	struct sock_fprog prog = { .filter = code };
	unsigned short n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, nr));
	for (unsigned int i = 0; i < DENIED_MAX && d->calls[i] != 0; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			d->calls[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
			SECCOMP_RET_ERRNO | d->err);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

static inline void *
denied_thread(void *arg)
{
	struct denied *d = arg;

	d->result = denied_install(d) == 0 ? d->run() : TEST_SKIPPED;
	return NULL;
}

/** Run d->run() in a thread that may not make d->calls; skipped without seccomp. */
static inline int
denied_run(struct denied d)
{
	pthread_t thread;

	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, denied_thread, &d),
		"a thread");
	TEST_ASSERT_SUCCESS(pthread_join(thread, NULL), "and its end");
	return d.result;
}

#endif /* VHOST_TEST_DENIED_H */
