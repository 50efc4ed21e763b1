/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The two ways in which bytes and descriptors travel: messages over a connection,
 * and requests over the back channel with the time that their answers may take.
 */

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event_loop.h"
#include "test.h"
#include "vhost_abi.h"
#include "vhost_fake_frontend.h"
#include "vu_message.h"

/* ---- messages ---- */

/** The most that the kernel passes at a time. */
#define LOT 253

/** All the time that the frontends of a registration have for answers, see quota.c. */
#define PATIENCE_MS 1000

struct two_links {
	struct vu_link here, there;
};

static bool
links_open(struct two_links *links)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	vhost_vu_link_init(&links->here, pair[0], NULL);
	vhost_vu_link_init(&links->there, pair[1], NULL);
	return true;
}

static void
links_close(struct two_links *links)
{
	vhost_vu_link_close(&links->here);
	vhost_vu_link_close(&links->there);
}

static const struct vu_message set_owner = { .request = VU_SET_OWNER, .flags = VU_VERSION };

static int
message_carries_eight_descriptors(void)
{
	struct vu_message msg;
	struct two_links links;
	int fds[VU_MAX_FDS + 1];
	eventfd_t value;

	TEST_ASSERT(links_open(&links), "two ends");
	for (unsigned int i = 0; i <= VU_MAX_FDS; i++)
		fds[i] = eventfd(i + 1, EFD_CLOEXEC);
	TEST_ASSERT_EQUAL(vhost_vu_send(&links.here, &set_owner, fds, VU_MAX_FDS + 1), -EMSGSIZE,
		"not nine");
	TEST_ASSERT_SUCCESS(vhost_vu_send(&links.here, &set_owner, fds, VU_MAX_FDS), "eight");
	TEST_ASSERT_SUCCESS(vhost_vu_send(&links.here, &set_owner, NULL, 0), "none");
	TEST_ASSERT_EQUAL(vhost_vu_recv(&links.there, &msg), 1, "the first");
	TEST_ASSERT_EQUAL(msg.nfds, VU_MAX_FDS, "all");
	for (unsigned int i = 0; i < VU_MAX_FDS; i++) {
		TEST_ASSERT_SUCCESS(eventfd_read(msg.fds[i], &value), "descriptor %u", i);
		TEST_ASSERT_EQUAL(value, i + 1, "in their order");
	}
	vhost_vu_close_fds(&msg, NULL);
	TEST_ASSERT_EQUAL(vhost_vu_recv(&links.there, &msg), 1, "the second");
	TEST_ASSERT_EQUAL(msg.nfds, 0, "has none");
	for (unsigned int i = 0; i <= VU_MAX_FDS; i++)
		close(fds[i]);
	links_close(&links);
	return TEST_SUCCESS;
}

static int
more_descriptors_than_eight_are_refused_and_closed(void)
{
	struct fake fe = { .sock = -1 };
	struct vu_message msg;
	struct two_links links;
	unsigned int before;
	int fds[LOT];

	TEST_ASSERT(links_open(&links), "two ends");
	fe.sock = links.here.fd;
	fds[0] = eventfd(0, EFD_CLOEXEC);
	for (unsigned int i = 1; i < LOT; i++)
		fds[i] = fds[0];
	before = fake_count_fds();
	TEST_ASSERT_SUCCESS(fake_send_bytes(&fe, &set_owner, VU_HEADER_SIZE, fds, LOT), "a lot");
	TEST_ASSERT_EQUAL(vhost_vu_recv(&links.there, &msg), -EPROTO, "refused");
	TEST_ASSERT_EQUAL(fake_wait_fds(before), before, "closed");
	close(fds[0]);
	links_close(&links);
	return TEST_SUCCESS;
}

/* The kernel puts them in front of the descriptors, where they could take their room. */
static int
credentials_leave_room_for_descriptors(void)
{
	struct vu_message msg;
	struct two_links links;
	int fds[VU_MAX_FDS], on = 1;

	TEST_ASSERT(links_open(&links), "two ends");
	TEST_ASSERT_SUCCESS(setsockopt(links.there.fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)),
		"credentials");
	fds[0] = eventfd(0, EFD_CLOEXEC);
	for (unsigned int i = 1; i < VU_MAX_FDS; i++)
		fds[i] = fds[0];
	TEST_ASSERT_SUCCESS(vhost_vu_send(&links.here, &set_owner, fds, VU_MAX_FDS), "eight");
	TEST_ASSERT_EQUAL(vhost_vu_recv(&links.there, &msg), 1, "a message");
	TEST_ASSERT_EQUAL(msg.nfds, VU_MAX_FDS, "with all");
	vhost_vu_close_fds(&msg, NULL);
	close(fds[0]);
	links_close(&links);
	return TEST_SUCCESS;
}

static int
closed_link_is_noticed_at_once(void)
{
	struct vu_message msg;
	struct two_links links;

	TEST_ASSERT(links_open(&links), "two ends");
	vhost_vu_link_close(&links.here);
	TEST_ASSERT_EQUAL(vhost_vu_recv(&links.there, &msg), -ECONNRESET, "the end");
	vhost_vu_link_close(&links.there);
	return TEST_SUCCESS;
}

/* ---- the back channel ---- */

/** A frontend that takes its time for answers. */
static struct {
	struct fake *fe;
	int sock;
	unsigned int think_ms;
	pthread_t thread;
} slow;

static void *
answer_slowly(void *arg)
{
	uint32_t head[3];

	while (recv(slow.sock, head, sizeof(head), MSG_WAITALL) == sizeof(head)) {
		const uint32_t answer[5] = { head[0], FE_VERSION | FE_REPLY, 8 };

		usleep(slow.think_ms * 1000);
		send(slow.sock, answer, sizeof(answer), MSG_NOSIGNAL);
	}
	return arg;
}

/** What was asked over the back channel, by a callback or by another thread. */
struct asked {
	unsigned int answered;
	unsigned int refused;	/**< there is no channel any more */
	bool on_loop;
};

static struct asked in_callback;

static void
ask(struct asked *asked, int vid, unsigned int requests)
{
	*asked = (struct asked){ .on_loop = vhost_event_loop_is_current() };
	for (unsigned int i = 0; i < requests; i++) {
		int ret = rte_vhost_backend_config_change(vid, true);

		asked->answered += ret == 0;
		asked->refused += ret == -ENODEV;
	}
}

static void
ask_in_a_callback(void *arg, enum fake_event ev, int vid, unsigned int qid, int on __rte_unused)
{
	unsigned int *requests = arg;

	if (ev == FAKE_VRING_STATE && qid == 0 && *requests > 0)
		ask(&in_callback, vid, *requests);
}

/** The frontend hands over a channel, at whose other end somebody answers. */
static bool
slow_channel(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	slow.sock = pair[0];
	if (fake_call(slow.fe, FE_SET_SLAVE_REQ_FD, NULL, 0, &pair[1], 1) != FAKE_ACK)
		return false;
	close(pair[1]);
	return pthread_create(&slow.thread, NULL, answer_slowly, NULL) == 0;
}

/** No channel any more, on this side either. */
static void
slow_channel_end(void)
{
	shutdown(slow.sock, SHUT_RDWR);
	pthread_join(slow.thread, NULL);
	close(slow.sock);
}

/** A device whose frontend thinks so long about each answer. */
static bool
slow_start(unsigned int *requests, unsigned int think_ms)
{
	*requests = 0;
	slow.think_ms = think_ms;
	slow.fe = fake_start(.hook = ask_in_a_callback, .hook_arg = requests,
		.protocol_features = FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ));
	return slow.fe != NULL && slow_channel();
}

static int
slow_stop(void)
{
	slow_channel_end();
	return fake_stop(slow.fe);
}

/** Ask so often within one message; milliseconds that it took, or -1. */
static int64_t
ask_promptly(unsigned int times)
{
	unsigned int requests;
	int64_t since, took;

	if (!slow_start(&requests, 0))
		return -1;
	requests = times;
	since = fake_now_ms();
	if (fake_call_state(slow.fe, FE_SET_VRING_ENABLE, 0, 0) != FAKE_ACK)
		return -1;
	requests = 0;
	took = fake_now_ms() - since;
	return slow_stop() == 0 ? took : -1;
}

/* Nothing can be said on a machine that needs longer for all of them than a frontend has. */
static int
prompt_answers_may_be_many(void)
{
	for (int i = 0; i < 10; i++) {
		int64_t took_ms = ask_promptly(256);

		TEST_ASSERT(took_ms >= 0 && in_callback.on_loop, "asked by the event thread");
		if (in_callback.answered == 256)
			return TEST_SUCCESS;
		TEST_ASSERT(took_ms >= PATIENCE_MS, "%u answers in %" PRId64 " ms",
			in_callback.answered, took_ms);
	}
	return TEST_SKIPPED;
}

static int
answers_below_one_message_share_a_second(void)
{
	unsigned int requests;

	TEST_ASSERT(slow_start(&requests, 300), "a device");
	requests = 256;
	TEST_ASSERT_EQUAL(fake_call_state(slow.fe, FE_SET_VRING_ENABLE, 0, 0), FAKE_ACK, "off");
	requests = 0;
	TEST_ASSERT(in_callback.on_loop, "asked by the event thread");
	TEST_ASSERT(in_callback.answered <= 3, "%u answers in time", in_callback.answered);
	TEST_ASSERT_EQUAL(in_callback.answered + 1 + in_callback.refused, 256, "one was late");
	return slow_stop();
}

/* Else it would hold the event thread by sending message after message. */
static int
who_is_always_slow_loses_the_channel(void)
{
	unsigned int requests, answered = 0;

	TEST_ASSERT(slow_start(&requests, 300), "a device");
	requests = 1;
	for (int i = 0; i < 40; i++) {
		TEST_ASSERT_EQUAL(fake_call_state(slow.fe, FE_SET_VRING_ENABLE, 0, i % 2), FAKE_ACK,
			"message %d", i);
		answered += in_callback.answered;
	}
	requests = 0;
	TEST_ASSERT(answered <= 3, "%u answers in time", answered);
	TEST_ASSERT_EQUAL(in_callback.refused, 1, "there is no channel");
	return slow_stop();
}

/* Nor by a new channel for each message, or a new connection. */
static int
another_channel_brings_no_more_time(void)
{
	struct asked asked;
	unsigned int requests;

	TEST_ASSERT(slow_start(&requests, 300), "a device");
	ask(&asked, slow.fe->vid, 256);
	TEST_ASSERT(asked.answered <= 3, "%u answers in time", asked.answered);
	slow_channel_end();
	TEST_ASSERT(slow_channel(), "another channel");
	ask(&asked, slow.fe->vid, 256);
	TEST_ASSERT_EQUAL(asked.answered, 0, "no time for it");
	slow_channel_end();
	TEST_ASSERT_SUCCESS(fake_connect(slow.fe), "another connection");
	TEST_ASSERT_SUCCESS(fake_negotiate(slow.fe), "another connection");
	TEST_ASSERT(slow_channel(), "another connection's channel");
	ask(&asked, slow.fe->vid, 256);
	TEST_ASSERT_EQUAL(asked.answered, 0, "no time for it");
	return slow_stop();
}

static void *
ask_in_a_thread(void *arg)
{
	ask(arg, slow.fe->vid, 256);
	return NULL;
}

/* Whose requests the event thread has to let pass, and whose locks a driver may wait for. */
static int
other_threads_share_the_second(void)
{
	unsigned int requests;
	struct asked asked;
	pthread_t thread;

	TEST_ASSERT(slow_start(&requests, 300), "a device");
	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, ask_in_a_thread, &asked), "a thread");
	requests = 256;
	TEST_ASSERT_EQUAL(fake_call_state(slow.fe, FE_SET_VRING_ENABLE, 0, 0), FAKE_ACK, "off");
	requests = 0;
	pthread_join(thread, NULL);
	TEST_ASSERT(!asked.on_loop && in_callback.on_loop, "asked by two threads");
	TEST_ASSERT(asked.answered + in_callback.answered <= 3, "%u and %u answers in time",
		asked.answered, in_callback.answered);
	return slow_stop();
}

static const struct test_case cases[] = {
	TEST_CASE(message_carries_eight_descriptors),
	TEST_CASE(more_descriptors_than_eight_are_refused_and_closed),
	TEST_CASE(credentials_leave_room_for_descriptors),
	TEST_CASE(closed_link_is_noticed_at_once),
	TEST_CASE(prompt_answers_may_be_many),
	TEST_CASE(answers_below_one_message_share_a_second),
	TEST_CASE(who_is_always_slow_loses_the_channel),
	TEST_CASE(another_channel_brings_no_more_time),
	TEST_CASE(other_threads_share_the_second),
};

static int
test_vhost_link(void)
{
	return test_suite_run(&(const struct test_suite){
		.name = "vhost link",
		.setup = fake_setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	});
}

REGISTER_TEST_COMMAND(vhost_link_autotest, test_vhost_link);
