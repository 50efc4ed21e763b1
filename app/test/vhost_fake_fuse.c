/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fuse.h>

#include <rte_common.h>

#include "vhost_fake_fuse.h"

#define FILE_INODE 2
#define FILE_BYTES (1u << 20)

/** The server's. */
struct server {
	int dev;		/**< /dev/fuse */
	int sock;		/**< to whoever wants the file */
	bool mute;
	char dir[32];		/**< where it is mounted */
};

static void
answer(const struct server *server, uint64_t unique, int err, const void *data, size_t len)
{
	char message[sizeof(struct fuse_out_header) + 256];
	struct fuse_out_header head = {
		.len = sizeof(head) + len, .error = err, .unique = unique,
	};

	memcpy(message, &head, sizeof(head));
	if (len > 0)
		memcpy(message + sizeof(head), data, len);
	if (write(server->dev, message, head.len) < 0)
		return;
}

static struct fuse_attr
attributes(uint64_t inode)
{
	return (struct fuse_attr){
		.ino = inode, .mode = inode == FILE_INODE ? S_IFREG | 0666 : S_IFDIR | 0777,
		.nlink = 1, .size = FILE_BYTES, .blocks = FILE_BYTES / 512, .blksize = 4096,
	};
}

static void
serve(const struct server *server, const struct fuse_in_header *in)
{
	const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 65536,
	};
	const struct fuse_entry_out entry = {
		.nodeid = FILE_INODE, .attr_valid = 1000, .entry_valid = 1000,
		.attr = attributes(FILE_INODE),
	};
	const struct fuse_attr_out attr = {
		.attr_valid = 1000, .attr = attributes(in->nodeid),
	};
	const struct fuse_open_out opened = { .fh = 1 };
	const struct fuse_statfs_out statfs = { .st = { .bsize = 4096 } };

	switch (in->opcode) {
	case FUSE_INIT: answer(server, in->unique, 0, &init, sizeof(init)); break;
	case FUSE_LOOKUP: answer(server, in->unique, 0, &entry, sizeof(entry)); break;
	case FUSE_GETATTR: answer(server, in->unique, 0, &attr, sizeof(attr)); break;
	case FUSE_OPEN: answer(server, in->unique, 0, &opened, sizeof(opened)); break;
	case FUSE_FORGET: break;
	case FUSE_STATFS:
		if (!server->mute)
			answer(server, in->unique, 0, &statfs, sizeof(statfs));
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE: answer(server, in->unique, 0, NULL, 0); break;
	default: answer(server, in->unique, -ENOSYS, NULL, 0); break;
	}
}

static int
send_fd(int sock, int fd)
{
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = {
		.cmsg_len = CMSG_LEN(sizeof(int)),
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
	} };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = fd >= 0 ? sizeof(control) : 0,
	};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -1;
}

/** A descriptor, or -1. */
static int
receive_fd(int sock)
{
	char byte, room[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = room, .msg_controllen = sizeof(room),
	};
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&msg) == NULL)
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/**
 * Open the file while the other thread serves it, pass it on, and have none left: a
 * process that is killed waits for the answer to its own close().
 */
static void *
open_file(void *arg)
{
	const struct server *server = arg;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/file", server->dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	send_fd(server->sock, fd);
	close(fd);
	send_fd(server->sock, -1);
	return NULL;
}

static void
write_file(const char *path, const char *format, unsigned int id)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	dprintf(fd, format, id);
	close(fd);
}

/** Namespaces of our own, as root of them, which needs no privilege if any are allowed. */
static int
leave_namespaces(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return unshare(CLONE_NEWNS);
	write_file("/proc/self/setgroups", "deny", 0);
	write_file("/proc/self/uid_map", "0 %u 1", uid);
	write_file("/proc/self/gid_map", "0 %u 1", gid);
	return 0;
}

static int
server_mount(struct server *server)
{
	char options[64];

	server->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (server->dev < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0",
		server->dev);
	return mount("fake", server->dir, "fuse", MS_NOSUID | MS_NODEV, options);
}

static void
server_run(struct server *server)
{
	static char request[1 << 17] __rte_aligned(8);
	pthread_t thread;

	/* who has failed and ends waits for us, unless we end first */
	alarm(30);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (leave_namespaces() < 0 || server_mount(server) < 0 ||
			pthread_create(&thread, NULL, open_file, server) != 0)
		return;
	while (read(server->dev, request, sizeof(request)) > 0)
		serve(server, (const struct fuse_in_header *)request);
}

int
fake_fuse_start(struct fake_fuse *fuse, bool mute)
{
	struct server server = { .mute = mute, .dir = "/tmp/vhost-test-fuse-XXXXXX" };
	int pair[2];

	if (mkdtemp(server.dir) == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	fflush(stdout);
	fuse->server = fork();
	if (fuse->server == 0) {
		close(pair[0]);
		server.sock = pair[1];
		server_run(&server);
		_exit(1);
	}
	close(pair[1]);
	fuse->fd = receive_fd(pair[0]);
	if (fuse->fd >= 0)
		receive_fd(pair[0]);
	close(pair[0]);
	rmdir(server.dir);
	if (fuse->fd >= 0)
		return 0;
	fake_fuse_stop(fuse);
	return -1;
}

void
fake_fuse_stop(struct fake_fuse *fuse)
{
	kill(fuse->server, SIGKILL);
	waitpid(fuse->server, NULL, 0);
}
