/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_common.h>

#include "socket_path.h"
#include "vhost_log.h"

/** Bytes of a socket address for the path and its terminating zero. */
#define PATH_ROOM RTE_SIZEOF_FIELD(struct sockaddr_un, sun_path)

int
vhost_socket_path_check(const char *path)
{
	size_t len = strnlen(path, PATH_ROOM);

	if (len == 0)
		return -EINVAL;
	return len < PATH_ROOM ? 0 : -ENAMETOOLONG;
}

int
vhost_socket_path_open(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 ? fd : -errno;
}

/** bind() or connect() to a path: 0 or a negative errno. */
static int
with_address(int fd, const char *path,
		int (*use)(int fd, const struct sockaddr *addr, socklen_t len))
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int ret = vhost_socket_path_check(path);

	if (ret != 0)
		return ret;
	memcpy(addr.sun_path, path, strlen(path));
	return use(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 ? 0 : -errno;
}

int
vhost_socket_path_connect(int fd, const char *path)
{
	return with_address(fd, path, connect);
}

/** Whether path is a socket that a process has left behind without listening any more. */
static bool
path_is_stale(const char *path)
{
	struct stat st;
	int fd, ret;

	if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = vhost_socket_path_open();
	if (fd < 0)
		return false;
	ret = vhost_socket_path_connect(fd, path);
	close(fd);
	return ret == -ECONNREFUSED;
}

int
vhost_socket_path_bind(int fd, const char *path, struct socket_file *file)
{
	int ret = with_address(fd, path, bind);
	struct stat st;

	if (ret == -EADDRINUSE && path_is_stale(path)) {
		VHOST_LOG_CONFIG(INFO, "(%s) nobody listens on this socket file any more, replacing it\n",
				path);
		unlink(path);
		ret = with_address(fd, path, bind);
	}
	if (ret != 0 || lstat(path, &st) != 0)
		return ret;

	file->bound = true;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	return 0;
}

void
vhost_socket_path_unbind(const char *path, struct socket_file *file)
{
	struct stat st;

	if (!file->bound)
		return;
	file->bound = false;
	if (lstat(path, &st) != 0 || st.st_dev != file->dev || st.st_ino != file->ino)
		return;
	if (unlink(path) != 0)
		VHOST_LOG_CONFIG(WARNING, "(%s) failed to remove the socket file: %s\n", path,
				strerror(errno));
}
