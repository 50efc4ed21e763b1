/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A folder in /tmp may be somebody else's, so it is opened once, without following a
 * link, and only used if it belongs to us and nobody else can write to it.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vduse/state.h"

static const char *
folder_above(void)
{
	const char *folder = getenv("RUNTIME_DIRECTORY");

	if (folder != NULL)
		return folder;
	if (geteuid() == 0)
		return "/var/run";
	folder = getenv("XDG_RUNTIME_DIR");
	return folder != NULL ? folder : "/tmp";
}

static bool
is_ours_alone(int folder)
{
	struct stat st;

	return fstat(folder, &st) == 0 && st.st_uid == geteuid() &&
		(st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/** The folder, made if need be: a descriptor, or a negative errno. */
static int
open_folder(void)
{
	char path[PATH_MAX];
	int folder;

	if (snprintf(path, sizeof(path), "%s/vduse", folder_above()) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	if (is_ours_alone(folder))
		return folder;
	close(folder);
	return -EPERM;
}

/** Read all of an open file. */
static int
load(int fd, struct vduse_state *state)
{
	ssize_t len = pread(fd, state, sizeof(*state), 0);

	if (len < 0)
		return -errno;
	return len == sizeof(*state) && state->version == VDUSE_STATE_VERSION ? 0 : -EBADMSG;
}

int
vhost_vduse_state_load(const char *name, struct vduse_state *state)
{
	int folder = open_folder(), fd, ret;

	if (folder < 0)
		return folder;
	fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	ret = fd < 0 ? -errno : load(fd, state);
	if (fd >= 0)
		close(fd);
	close(folder);
	return ret;
}

int
vhost_vduse_state_save(int fd, const struct vduse_state *state)
{
	if (fd < 0)
		return 0;
	return pwrite(fd, state, sizeof(*state), 0) == sizeof(*state) ? 0 : -EIO;
}

static int
create_in(int folder, const char *name, const struct vduse_state *state)
{
	int fd, ret;

	if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = vhost_vduse_state_save(fd, state);
	if (ret == 0)
		return fd;
	close(fd);
	return ret;
}

int
vhost_vduse_state_create(const char *name, const struct vduse_state *state)
{
	int folder = open_folder(), ret;

	if (folder < 0)
		return folder;
	ret = create_in(folder, name, state);
	close(folder);
	return ret;
}

void
vhost_vduse_state_remove(const char *name)
{
	int folder = open_folder();

	if (folder < 0)
		return;
	unlinkat(folder, name, 0);
	close(folder);
}
