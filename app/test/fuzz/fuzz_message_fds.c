/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Whatever a descriptor can be.  What the frontend keeps (the other ends of pairs,
 * files, eventfds) is closed at the end of the input.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>

#include "fuzz_message.h"

#define MAX_KEPT 512

static struct {
	int kept[MAX_KEPT];
	unsigned int nkept;
	int eventfds[MAX_KEPT];
	unsigned int neventfds;
	int files[MAX_FILES];
	unsigned int nfiles;
	int channel;		/**< among those kept, or -1 */
} own = { .channel = -1 };

/** Keep a descriptor until the end, or close it if there are too many. */
static bool
keep(int fd)
{
	if (own.nkept == MAX_KEPT) {
		close(fd);
		return false;
	}
	own.kept[own.nkept++] = fd;
	return true;
}

static int
made(int fd)
{
	FUZZ_CHECK(fd >= 0, "errno %d", errno);
	return fd;
}

static int
again(int fd)
{
	return made(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

static int
eventfd_with(uint64_t value)
{
	int fd = made(eventfd(0, EFD_CLOEXEC | (value != 0 ? 0 : EFD_NONBLOCK)));
	ssize_t ret = value != 0 ? write(fd, &value, sizeof(value)) : 0;

	RTE_SET_USED(ret);
	if (own.neventfds < MAX_KEPT && keep(again(fd)))
		own.eventfds[own.neventfds++] = own.kept[own.nkept - 1];
	return fd;
}

static int
pair_end(int type, bool keep_other)
{
	int pair[2];

	FUZZ_CHECK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) == 0, "errno %d", errno);
	if (!keep_other)
		close(pair[1]);
	else if (keep(pair[1]) && type == SOCK_STREAM)
		own.channel = pair[1];
	return pair[0];
}

static int
pipe_end(unsigned int end, bool fill)
{
	char bytes[4096] = { 0 };
	int ends[2];

	FUZZ_CHECK(pipe2(ends, O_CLOEXEC) == 0, "errno %d", errno);
	if (fill) {
		fcntl(ends[1], F_SETFL, O_NONBLOCK);
		while (write(ends[1], bytes, sizeof(bytes)) > 0)
			;
		fcntl(ends[1], F_SETFL, 0);
	}
	keep(ends[1 - end]);
	return ends[end];
}

static int
file_reopened(int flags)
{
	char path[32];
	int fd = made(memfd_create("fuzz-ro", MFD_CLOEXEC)), other;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = ftruncate(fd, 65536) == 0 ? open(path, flags | O_CLOEXEC) : -1;
	close(fd);
	return made(other);
}

static int
sealed_file(void)
{
	int fd = made(memfd_create("fuzz-sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));

	FUZZ_CHECK(ftruncate(fd, 65536) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0,
		"errno %d", errno);
	return fd;
}

/** A file of whatever file system there is for temporary ones. */
static int
disk_file(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0 && ftruncate(fd, 65536) == 0 ? fd : file_reopened(O_RDWR);
}

static int
socket_that_lingers(void)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 1 };
	int fd = made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return fd;
}

int
fds_make_eventfd(void)
{
	return eventfd_with(0);
}

int
fds_make_channel(void)
{
	return pair_end(SOCK_STREAM, true);
}

int
fds_last_channel(void)
{
	return own.channel;
}

int
fds_make_file(uint64_t size, unsigned int *number)
{
	if (own.nfiles == MAX_FILES)
		return -1;
	*number = own.nfiles;
	own.files[own.nfiles++] = fuzz_file_create(size);
	return again(own.files[*number]);
}

int
fds_dup_file(unsigned int number)
{
	return number < own.nfiles ? again(own.files[number]) : -1;
}

int
fds_make(struct fuzz_input *in)
{
	unsigned int number;
	int fd;

	switch (fuzz_u8(in) % 23) {
	case 1: return eventfd_with(UINT64_MAX - 1);
	case 2: return eventfd_with(1);
	case 3:
		fd = fds_dup_file(fuzz_u8(in));
		return fd >= 0 ? fd : eventfd_with(0);
	case 4:
		fd = fds_make_file((uint64_t)fuzz_u16(in) << 4, &number);
		return fd >= 0 ? fd : eventfd_with(0);
	case 5: return pair_end(SOCK_STREAM, true);
	case 6: return pair_end(SOCK_STREAM, false);
	case 7: return pair_end(SOCK_DGRAM, true);
	case 8: return pair_end(SOCK_SEQPACKET, true);
	case 9: return pipe_end(0, false);
	case 10: return pipe_end(1, true);
	case 11: return made(open("/dev/null", O_RDWR | O_CLOEXEC));
	case 12: return made(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	case 13: return file_reopened(O_RDONLY);
	case 14: return file_reopened(O_PATH);
	case 15: return file_reopened(O_WRONLY);
	case 16: return sealed_file();
	case 17: return made(epoll_create1(EPOLL_CLOEXEC));
	case 18: return made(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
	case 19: return socket_that_lingers();
	case 20: return made(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
	case 21: return pipe_end(1, false);
	case 22: return disk_file();
	default: return eventfd_with(0);
	}
}

void
fds_resize_file(unsigned int number, uint64_t size)
{
	if (number < own.nfiles)
		FUZZ_CHECK(ftruncate(own.files[number], size) == 0, "errno %d", errno);
}

void
fds_write_file(unsigned int number, uint64_t offset, const void *bytes, size_t len)
{
	off_t end;

	if (number >= own.nfiles)
		return;
	/* a guest's memory does not grow by being written to */
	end = lseek(own.files[number], 0, SEEK_END);
	if (offset <= (uint64_t)end && len <= (uint64_t)end - offset)
		FUZZ_CHECK(pwrite(own.files[number], bytes, len, offset) == (ssize_t)len,
			"errno %d", errno);
}

void
fds_kick(void)
{
	const uint64_t one = 1;

	for (unsigned int i = 0; i < own.neventfds; i++) {
		int flags = fcntl(own.eventfds[i], F_GETFL);
		ssize_t ret = 0;

		if (flags & O_NONBLOCK)
			ret = write(own.eventfds[i], &one, sizeof(one));
		RTE_SET_USED(ret);
	}
}

void
fds_end(void)
{
	for (unsigned int i = 0; i < own.nkept; i++)
		close(own.kept[i]);
	for (unsigned int i = 0; i < own.nfiles; i++)
		fuzz_file_close(own.files[i]);
	own.nkept = 0;
	own.neventfds = 0;
	own.nfiles = 0;
	own.channel = -1;
}
