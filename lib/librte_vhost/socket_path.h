/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_SOCKET_PATH_H
#define VHOST_SOCKET_PATH_H

/*
 * AF_UNIX stream sockets at paths: connect, bind, and clean up what was bound
 * but nothing else.  Descriptors are non-blocking and close on exec.
 */

#include <stdbool.h>
#include <sys/types.h>

/** The file that binding a socket has made. */
struct socket_file {
	bool bound;
	dev_t dev;
	ino_t ino;
};

/** 0; -EINVAL for an empty path; -ENAMETOOLONG for one that no address holds. */
int vhost_socket_path_check(const char *path);

/** A socket to bind or connect, or a negative errno. */
int vhost_socket_path_open(void);

/** Connect: 0 or a negative errno, after which it can be tried again.  Never waits. */
int vhost_socket_path_connect(int fd, const char *path);

/**
 * Bind to a path.  A socket file that nobody listens on is replaced, which is
 * logged; anything else in that place is left alone.
 *
 * @param[out] file  for vhost_socket_path_unbind()
 * @return 0 or a negative errno
 */
int vhost_socket_path_bind(int fd, const char *path, struct socket_file *file);

/** Unlink the path if it still is the file that was bound. */
void vhost_socket_path_unbind(const char *path, struct socket_file *file);

#endif /* VHOST_SOCKET_PATH_H */
