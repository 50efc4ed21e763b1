/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Seals exist in the kernel's memory file systems and nowhere else.  Eventfds and
 * pipes are told by the target of their link in /proc, which the kernel makes from
 * what it has in memory.  A file of a file system cannot pass for one of them: its
 * target begins with a slash.
 */

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd_kind.h"

/** Longer than any target that is looked for. */
#define TARGET_ROOM 32

static bool
is_socket(int fd)
{
	socklen_t len = sizeof(int);
	int type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

/** Where the link of a descriptor points to, cut to what there is room for; "" if unknown. */
static void
read_target(int fd, char target[TARGET_ROOM])
{
	char path[32];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, TARGET_ROOM - 1);
	target[len < 0 ? 0 : len] = '\0';
}

enum fd_kind
vhost_fd_kind(int fd)
{
	char target[TARGET_ROOM];

	if (fcntl(fd, F_GET_SEALS) >= 0)
		return FD_MEMORY;
	/* the link is the slow way to know, some ten system calls' worth */
	if (is_socket(fd))
		return FD_OTHER;
	read_target(fd, target);
	if (strcmp(target, "anon_inode:[eventfd]") == 0)
		return FD_EVENTFD;
	if (strncmp(target, "pipe:[", strlen("pipe:[")) == 0)
		return FD_PIPE;
	return FD_OTHER;
}
