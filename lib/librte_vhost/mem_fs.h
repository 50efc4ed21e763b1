/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_FS_H
#define VHOST_MEM_FS_H

/*
 * Whose word an access to a file depends on: the kernel's alone, or a server's that
 * need not answer.  Whoever touches a page of a file that a peer serves itself (FUSE)
 * waits for that peer, a polling lcore or the thread that serves all frontends.
 *
 * It does not matter where the file is mounted: a frontend has a mount namespace of
 * its own as often as not.
 */

#include <stdbool.h>
#include <stdint.h>

#include "mem_file.h"

enum mem_fs {
	MEM_FS_LOCAL,	/**< the kernel serves it; or its host, which we trust (virtiofs, 9p) */
	MEM_FS_SERVED,	/**< FUSE, or a file server */
	MEM_FS_SYSTEM,	/**< no files: what the kernel tells (proc, sysfs) */
	MEM_FS_SILENT,	/**< did not answer in time, or was not asked: see vhost_mem_fs_ask() */
};

/**
 * Ask what file system a file is on.  The question is put by a thread of its own and
 * waited for no longer than MEM_FS_PATIENCE_MS; the owner of a file that made us wait
 * is in doubt, and its files are refused unasked, until the thread has come back and
 * for MEM_FS_DOUBT times as long as it was waited for.
 */
enum mem_fs vhost_mem_fs_ask(const struct mem_owner *owner, int fd);

#define MEM_FS_PATIENCE_MS 200
#define MEM_FS_DOUBT 20

/** What an answer means: statfs()'s type, and whether FUSE's server is the host. */
enum mem_fs vhost_mem_fs_judge(uint64_t type, bool is_virtiofs);

/** Whether a device is mounted as virtiofs by those whose mounts the file tells; proc(5). */
bool vhost_mem_fs_is_virtiofs(const char *mountinfo, unsigned int major, unsigned int minor);

/** Why a file of it cannot be mapped, for the log; NULL if it can. */
const char *vhost_mem_fs_fault(enum mem_fs fs);

#endif /* VHOST_MEM_FS_H */
