/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Runs in a Linux guest whose network sends back what it gets: a closed loop of
 * numbered frames in which no frame has a reason to be lost.
 *
 *   bounce INTERFACE WINDOW
 *
 * At most WINDOW frames are on their way at any time, fewer than a ring has
 * buffers.  Each must come back exactly once, in order, and unchanged.  Lines
 * that start with "@@" are for the test:
 *
 *   @@ count SENT BACK WRONG          a few times a second
 *   @@ wrong EXPECTED GOT LENGTH      a frame out of order, changed, or twice
 *   @@ end SENT BACK WRONG            after a line came on stdin, all frames
 *                                     were waited for, and then a second more
 */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PROTOCOL 0x88b5		/* IEEE 802, for local experiments */
#define WORDS ((ETH_FRAME_LEN - ETH_HLEN) / sizeof(uint64_t))
#define LEAST_WORDS 6
#define COMPLAINTS 20
#define LAST_WAIT_S 30
#define AFTERWARDS_S 1
#define COUNT_S 0.25
#define RECEIVE_BUFFER (8 << 20)

struct frame {
	struct ether_header ether;
	uint64_t words[WORDS];
} __attribute__((packed));

struct loop {
	int fd;
	struct ether_header ether;
	uint64_t window;
	uint64_t sent, next;	/**< numbers of the next frame to go and to come */
	uint64_t back, wrong;
};

static void
die(const char *what)
{
	printf("@@ failed %s: %s\n", what, strerror(errno));
	exit(1);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/** All sizes come up, and each frame is unlike its neighbours. */
static size_t
words_of(uint64_t number)
{
	return LEAST_WORDS + number * 37 % (WORDS - LEAST_WORDS + 1);
}

static size_t
make_frame(const struct loop *loop, struct frame *frame, uint64_t number)
{
	uint64_t value = number * 0x9e3779b97f4a7c15;
	size_t i, n = words_of(number);

	frame->ether = loop->ether;
	frame->words[0] = number;
	for (i = 1; i < n; i++)
		frame->words[i] = value += 0x5851f42d4c957f2d;
	return ETH_HLEN + n * sizeof(uint64_t);
}

static void
send_frames(struct loop *loop)
{
	struct frame frame;

	while (loop->sent - loop->next < loop->window) {
		size_t length = make_frame(loop, &frame, loop->sent);

		if (send(loop->fd, &frame, length, MSG_DONTWAIT) < 0) {
			if (errno != EAGAIN && errno != ENOBUFS)
				die("send");
			return;
		}
		loop->sent++;
	}
}

/** The next one expected is the only good one. */
static void
take_frame(struct loop *loop, const struct frame *got, size_t length)
{
	struct frame wanted;
	uint64_t number = got->words[0];

	if (length == make_frame(loop, &wanted, loop->next) && memcmp(got, &wanted, length) == 0) {
		loop->next++;
		loop->back++;
		return;
	}
	if (loop->wrong++ < COMPLAINTS)
		printf("@@ wrong %lu %lu %zu\n", loop->next, number, length);
	/* those in between will not come any more, or are wrong then */
	if (number > loop->next && number < loop->sent)
		loop->next = number + 1;
}

static void
receive_frames(struct loop *loop)
{
	struct frame frame;
	ssize_t length;

	while ((length = recv(loop->fd, &frame, sizeof(frame), MSG_DONTWAIT)) >= 0)
		take_frame(loop, &frame, length);
	if (errno != EAGAIN)
		die("recv");
}

static void
say(const struct loop *loop, const char *what)
{
	printf("@@ %s %lu %lu %lu\n", what, loop->sent, loop->back, loop->wrong);
}

static void
wait_for(const struct loop *loop, bool *ended)
{
	struct pollfd fds[] = {
		{ .fd = loop->fd, .events = POLLIN },
		{ .fd = *ended ? -1 : STDIN_FILENO, .events = POLLIN },
	};
	char line[64];

	poll(fds, 2, 200);
	if (fds[1].revents != 0 && read(STDIN_FILENO, line, sizeof(line)) > 0)
		*ended = true;
}

static void
bounce(struct loop *loop)
{
	double said = now(), end = 0;
	bool ended = false;

	while (!ended || now() < end) {
		bool before = ended;

		if (!ended)
			send_frames(loop);
		wait_for(loop, &ended);
		receive_frames(loop);
		if (ended && !before)
			end = now() + LAST_WAIT_S;
		if (ended && loop->next == loop->sent && end > now() + AFTERWARDS_S)
			end = now() + AFTERWARDS_S;
		if (now() - said >= COUNT_S) {
			said = now();
			say(loop, "count");
		}
	}
	say(loop, "end");
}

static void
open_loop(struct loop *loop, const char *interface)
{
	struct sockaddr_ll where = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(PROTOCOL),
		.sll_ifindex = if_nametoindex(interface),
	};
	struct ifreq request = {0};
	int size = RECEIVE_BUFFER;

	loop->fd = socket(AF_PACKET, SOCK_RAW, htons(PROTOCOL));
	if (loop->fd < 0 || bind(loop->fd, (struct sockaddr *)&where, sizeof(where)) < 0)
		die("socket");
	if (setsockopt(loop->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		die("receive buffer");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (ioctl(loop->fd, SIOCGIFHWADDR, &request) < 0)
		die("address");
	memcpy(loop->ether.ether_shost, request.ifr_hwaddr.sa_data, ETH_ALEN);
	memcpy(loop->ether.ether_dhost, request.ifr_hwaddr.sa_data, ETH_ALEN);
	loop->ether.ether_type = htons(PROTOCOL);
}

int
main(int argc, char **argv)
{
	struct loop loop = {0};

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3)
		return 2;
	loop.window = strtoul(argv[2], NULL, 0);
	open_loop(&loop, argv[1]);
	bounce(&loop);
	return 0;
}
