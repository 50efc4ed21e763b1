/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Connections: who listens, who comes, who comes back, and what is left when
 * everybody has gone.  Descriptors are counted after every case.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "socket_connection.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_denied.h"
#include "vhost_test_log.h"

/* Bring a connected fake to life and prove it. */
static int
live(struct fake *fe)
{
	for (unsigned int q = 0; q < fe->nvrings; q++)
		fake_vq_reset(&fe->vqs[q]);
	if (fake_negotiate(fe) || fake_send_mem_table(fe) || fake_run(fe))
		return -1;
	return fake_round_trip(fe, 0, 100) == 100 ? 0 : -1;
}

static int
several_frontends_share_a_socket(void)
{
	struct fake *fe[8];

	for (unsigned int i = 0; i < RTE_DIM(fe); i++) {
		fe[i] = fake_start(.mergeable = true, .ring_size = 64,
			.join = i > 0 ? fe[0] : NULL);
		TEST_ASSERT_NOT_NULL(fe[i], "frontend %u", i);
	}
	for (unsigned int i = 0; i < RTE_DIM(fe); i++)
		for (unsigned int k = 0; k < i; k++)
			TEST_ASSERT_NOT_EQUAL(fe[i]->vid, fe[k]->vid,
				"a device each");
	for (unsigned int i = 0; i < RTE_DIM(fe); i++)
		TEST_ASSERT_EQUAL(fake_round_trip(fe[i], 0, 64 + i), 64 + i,
			"frontend %u", i);
	/* The owner of the path last. */
	for (unsigned int i = RTE_DIM(fe); i-- > 0;)
		TEST_ASSERT_SUCCESS(fake_stop(fe[i]), "frontend %u", i);
	return TEST_SUCCESS;
}

static int
connects_and_disconnects(const void *arg)
{
	bool client = *(const bool *)arg;
	unsigned int rounds = client ? 3 : 200, fds;
	struct fake *fe = fake_start(.mergeable = true, .client = client,
		.ring_size = 64);
	uint64_t resident = 0;

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	fds = fake_count_fds();
	for (unsigned int i = 0; i < rounds; i++) {
		TEST_ASSERT_SUCCESS(fake_connect(fe), "round %u", i);
		TEST_ASSERT_SUCCESS(live(fe), "round %u", i);
		if (i == rounds / 10)
			resident = fake_resident_kib();
	}
	TEST_ASSERT_EQUAL(fake_wait_fds(fds), fds, "descriptors");
	TEST_ASSERT(fake_resident_kib() < resident + FAKE_GROWTH_KIB(4096),
		"memory: %" PRIu64 " KiB, then %" PRIu64, resident,
		fake_resident_kib());
	return fake_stop(fe);
}

static const bool as_client = true, as_server = false;

/* Peers that come and go without a word, or with only the first one. */
static int
two_hundred_peers_that_say_little(void)
{
	struct fake *fe = fake_start(.until = FAKE_CONNECTED);

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	for (int i = 0; i < 200; i++) {
		uint64_t features;

		TEST_ASSERT_SUCCESS(fake_connect(fe), "peer %d", i);
		if (i % 2 == 0)
			TEST_ASSERT_SUCCESS(fake_ask_u64(fe, FE_GET_FEATURES,
				&features), "peer %d", i);
	}
	return fake_stop(fe);
}

static int
many_peers_at_once(void)
{
	struct fake *fe[50];

	for (unsigned int i = 0; i < RTE_DIM(fe); i++) {
		fe[i] = fake_start(.ring_size = 4, .until = FAKE_CONNECTED,
			.join = i > 0 ? fe[0] : NULL);
		TEST_ASSERT_NOT_NULL(fe[i], "peer %u", i);
	}
	for (unsigned int i = 0; i < RTE_DIM(fe); i++)
		TEST_ASSERT(fake_is_served(fe[i]), "peer %u", i);
	/* All of them at once: the owner takes the socket away first. */
	for (unsigned int i = 0; i < RTE_DIM(fe); i++)
		TEST_ASSERT_SUCCESS(fake_stop(fe[i]), "peer %u", i);
	return TEST_SUCCESS;
}

/* ---- the library listens ---- */

static int
stale_path_is_not_taken_over(void)
{
	char path[108];
	int fd;

	fake_new_path(path, sizeof(path));
	fd = open(path, O_CREAT | O_CLOEXEC | O_RDWR, 0600);
	TEST_ASSERT(fd >= 0, "a file");
	close(fd);
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path, 0), "register");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_callback_register(path,
		&fake_recorder_ops), "callbacks");
	TEST_ASSERT_EQUAL(rte_vhost_driver_start(path), -1, "somebody's file");
	TEST_ASSERT_SUCCESS(access(path, F_OK), "is still there");
	unlink(path);
	rte_vhost_driver_unregister(path);
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path, 0), "register");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_callback_register(path,
		&fake_recorder_ops), "callbacks");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_start(path), "free now");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path), "unregister");
	TEST_ASSERT_FAIL(access(path, F_OK), "removed");
	return TEST_SUCCESS;
}

static int
try_to_listen(const char *path)
{
	int ret;

	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path, 0), "register");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_callback_register(path,
		&fake_recorder_ops), "callbacks");
	ret = rte_vhost_driver_start(path);
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path), "unregister");
	return ret;
}

/** A socket is another's while he listens, and nobody's once he was killed. */
static int
socket_left_behind_is_taken_over(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	TEST_ASSERT(fd >= 0, "a socket");
	fake_new_path(addr.sun_path, sizeof(addr.sun_path));
	TEST_ASSERT_SUCCESS(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), "bind");
	TEST_ASSERT_SUCCESS(listen(fd, 1), "listen");
	TEST_ASSERT_FAIL(try_to_listen(addr.sun_path), "somebody's socket");
	TEST_ASSERT_SUCCESS(access(addr.sun_path, F_OK), "is still there");
	close(fd);
	TEST_ASSERT_SUCCESS(access(addr.sun_path, F_OK), "nobody has removed it");
	TEST_ASSERT_SUCCESS(try_to_listen(addr.sun_path), "nobody's socket");
	TEST_ASSERT_FAIL(access(addr.sun_path, F_OK), "removed");
	return TEST_SUCCESS;
}

static int
directory_that_does_not_exist(void)
{
	const char *path = "/tmp/vhost-test-no-such-directory/a.sock";

	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path, 0), "register");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_callback_register(path,
		&fake_recorder_ops), "callbacks");
	TEST_ASSERT_EQUAL(rte_vhost_driver_start(path), -1, "start");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path), "unregister");
	return TEST_SUCCESS;
}

/* ---- the library connects ---- */

static int
listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, path, strlen(path));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, 4) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
client_waits_for_its_server(void)
{
	struct fake *fe = fake_start(.mergeable = true, .client = true,
		.until = FAKE_REGISTERED);

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	/* The server goes before it has accepted, and returns. */
	close(fe->listener);
	unlink(fe->path);
	fe->listener = listen_at(fe->path);
	TEST_ASSERT(fe->listener >= 0, "it listens");
	TEST_ASSERT_SUCCESS(fake_connect(fe), "it tries again");
	TEST_ASSERT_SUCCESS(live(fe), "and runs");
	return fake_stop(fe);
}

static int
client_without_server_starts_nevertheless(void)
{
	char path[108];

	fake_new_path(path, sizeof(path));
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path,
		RTE_VHOST_USER_CLIENT), "register");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_callback_register(path,
		&fake_recorder_ops), "callbacks");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_start(path), "start");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path), "unregister");
	return TEST_SUCCESS;
}

static int
client_that_may_not_try_again(void)
{
	struct fake *fe = fake_start(.mergeable = true, .client = true,
		.flags = RTE_VHOST_USER_NO_RECONNECT);
	char path[108];

	fake_new_path(path, sizeof(path));
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path,
		RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT), "register");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_callback_register(path,
		&fake_recorder_ops), "callbacks");
	TEST_ASSERT_EQUAL(rte_vhost_driver_start(path), -1, "nobody listens");
	rte_vhost_driver_unregister(path);

	TEST_ASSERT_NOT_NULL(fe, "where somebody listens it runs");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 0, 64), 64, "it runs");
	return fake_stop(fe);
}

/* ---- unregister in every state ---- */

static int
unregister_at(enum fake_stage stage, bool client)
{
	struct fake *fe = fake_start(.mergeable = true, .until = stage,
		.client = client, .ring_size = 64);

	TEST_ASSERT_NOT_NULL(fe, "stage %d", stage);
	TEST_ASSERT_SUCCESS(fake_unregister(fe), "stage %d", stage);
	if (fe->sock >= 0)
		TEST_ASSERT(fake_is_closed(fe), "stage %d", stage);
	return fake_stop(fe);
}

static int
unregister_in_every_state(const void *arg)
{
	for (int stage = FAKE_RUNNING; stage <= FAKE_RINGS; stage++)
		for (int i = 0; i < 5; i++)
			if (unregister_at(stage, *(const bool *)arg) != 0)
				return TEST_FAILED;
	return TEST_SUCCESS;
}

static void
count_destroys(void *arg, enum fake_event ev, int vid __rte_unused,
		unsigned int qid __rte_unused, int on __rte_unused)
{
	if (ev == FAKE_DESTROY_DEVICE)
		__atomic_fetch_add((unsigned int *)arg, 1, __ATOMIC_RELAXED);
}

static int
unregister_ends_the_device_first(void)
{
	unsigned int destroys = 0;
	struct fake *fe = fake_start(.mergeable = true, .hook = count_destroys,
		.hook_arg = &destroys);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(fe->path), "unregister");
	TEST_ASSERT_EQUAL(__atomic_load_n(&destroys, __ATOMIC_RELAXED), 1,
		"told before it returns");
	fe->owns_path = false;
	fake_record_release(fe->record);
	fe->record = NULL;
	return fake_stop(fe);
}

/** What a callback does once it is told to. */
struct unregistering {
	int armed;	/**< atomic */
	int ret;
};

static void
unregister_once(void *arg, enum fake_event ev, int vid, unsigned int qid __rte_unused,
		int on __rte_unused)
{
	struct unregistering *u = arg;
	char path[108];

	if (ev == FAKE_VRING_STATE && __atomic_exchange_n(&u->armed, 0, __ATOMIC_RELAXED) &&
			rte_vhost_get_ifname(vid, path, sizeof(path)) == 0)
		u->ret = rte_vhost_driver_unregister(path);
}

/** The device that the callback is about cannot end before the callback has. */
static int
unregister_in_a_callback(void)
{
	struct unregistering u = { .ret = -1 };
	struct fake *fe = fake_start(.mergeable = true, .hook = unregister_once, .hook_arg = &u);

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	__atomic_store_n(&u.armed, 1, __ATOMIC_RELAXED);
	fake_enable_vring(fe, 0, false);
	TEST_ASSERT(fake_is_closed(fe), "the connection ends");
	TEST_ASSERT(fake_wait_events(fe, FAKE_DESTROY_DEVICE, 1), "and the device");
	TEST_ASSERT_SUCCESS(u.ret, "what the callback was told");
	TEST_ASSERT_EQUAL(rte_vhost_driver_unregister(fe->path), -1, "there is nothing more");
	fe->owns_path = false;
	fake_record_release(fe->record);
	fe->record = NULL;
	return fake_stop(fe);
}

static int
unregister_with_half_a_message(void)
{
	struct fake *fe = fake_start(.mergeable = true);
	uint32_t half[3] = { FE_SET_VRING_NUM, FE_VERSION, 8 };

	TEST_ASSERT_NOT_NULL(fe, "the device must start");
	TEST_ASSERT_SUCCESS(fake_send_bytes(fe, half, sizeof(half), NULL, 0),
		"half");
	TEST_ASSERT_SUCCESS(fake_unregister(fe), "unregister");
	TEST_ASSERT(fake_is_closed(fe), "closed");
	return fake_stop(fe);
}

/* ---- a peer that connects again and again ---- */

struct pest {
	char path[108];
	bool stop;
	unsigned int connects;
};

static void *
connect_again_and_again(void *arg)
{
	struct pest *p = arg;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	memcpy(addr.sun_path, p->path, sizeof(addr.sun_path));
	while (!__atomic_load_n(&p->stop, __ATOMIC_RELAXED)) {
		uint32_t msg[3] = { FE_GET_FEATURES, FE_VERSION, 0 };
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
			__atomic_fetch_add(&p->connects, 1, __ATOMIC_RELAXED);
			send(fd, msg, sizeof(msg), MSG_NOSIGNAL | MSG_DONTWAIT);
		}
		close(fd);
	}
	return NULL;
}

static int
register_and_unregister_under_connects(void)
{
	struct pest p = { .stop = false };
	pthread_t thread;
	int rounds = 0;

	fake_new_path(p.path, sizeof(p.path));
	TEST_ASSERT_SUCCESS(pthread_create(&thread, NULL, connect_again_and_again,
		&p), "thread");
	for (; rounds < 200; rounds++) {
		if (rte_vhost_driver_register(p.path, 0) < 0 ||
				rte_vhost_driver_callback_register(p.path,
					&fake_recorder_ops) < 0 ||
				rte_vhost_driver_start(p.path) < 0)
			break;
		for (int i = 0; i < rounds % 4; i++)
			sched_yield();
		if (rte_vhost_driver_unregister(p.path) < 0)
			break;
	}
	__atomic_store_n(&p.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TEST_ASSERT_EQUAL(rounds, 200, "all rounds");
	return TEST_SUCCESS;
}

/* A server that accepts and hangs up, while the client is registered anew. */
static int
client_registered_anew_under_a_fickle_server(void)
{
	for (int round = 0; round < 20; round++) {
		struct fake *fe = fake_start(.client = true,
			.until = round % 2 ? FAKE_CONNECTED : FAKE_REGISTERED);

		TEST_ASSERT_NOT_NULL(fe, "round %d", round);
		if (fe->sock >= 0) {
			close(fe->sock);
			fe->sock = -1;
		}
		TEST_ASSERT_SUCCESS(fake_unregister(fe), "round %d", round);
		TEST_ASSERT_SUCCESS(fake_stop(fe), "round %d", round);
	}
	return TEST_SUCCESS;
}

static int
device_numbers_are_used_again(void)
{
	struct fake *fe = fake_start(.until = FAKE_CONNECTED);

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	for (int i = 0; i < 50; i++) {
		TEST_ASSERT_SUCCESS(fake_connect(fe), "round %d", i);
		TEST_ASSERT(fe->vid >= 0 && fe->vid < 4, "vid %d", fe->vid);
	}
	return fake_stop(fe);
}

/* ---- a system that refuses ---- */

static const char *refused_path;

static int
start_refused(void)
{
	return rte_vhost_driver_start(refused_path);
}

/** Start a server for the first time, without some calls of the system. */
static int
start_without(const char *path, long call, long other)
{
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path, 0), "register");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_callback_register(path,
		&fake_recorder_ops), "callbacks");
	refused_path = path;
	return denied_run((struct denied){
		.calls = { call, other }, .err = EPERM, .run = start_refused,
	});
}

static int
server_that_cannot_listen_may_try_again(void)
{
	char path[108];
	int ret;

	fake_new_path(path, sizeof(path));
	ret = start_without(path, SYS_listen, 0);
	if (ret != TEST_SKIPPED) {
		TEST_ASSERT_EQUAL(ret, -1, "it cannot listen");
		TEST_ASSERT_FAIL(access(path, F_OK), "nothing is left there");
		TEST_ASSERT_SUCCESS(rte_vhost_driver_start(path), "once more");
		TEST_ASSERT_SUCCESS(access(path, F_OK), "it is there");
	}
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path), "unregister");
	return ret == TEST_SKIPPED ? ret : TEST_SUCCESS;
}

/** Nor is there another socket to try again with. */
static int
server_without_a_socket_does_not_start(void)
{
	char path[108];
	int ret;

	fake_new_path(path, sizeof(path));
	ret = start_without(path, SYS_listen, SYS_socket);
	if (ret != TEST_SKIPPED) {
		TEST_ASSERT_EQUAL(ret, -1, "it cannot listen");
		TEST_ASSERT_EQUAL(rte_vhost_driver_start(path), -1, "with nothing");
		TEST_ASSERT_FAIL(access(path, F_OK), "nothing is left there");
	}
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path), "unregister");
	return ret == TEST_SKIPPED ? ret : TEST_SUCCESS;
}

static bool
is_any(const struct vhost_device *dev)
{
	return dev != NULL;
}

/* Whoever looks for devices whose memory has gone may find several, each of its socket. */
static int
connections_of_several_sockets_end_at_once(void)
{
	struct fake *fe[3];

	for (unsigned int i = 0; i < RTE_DIM(fe); i++) {
		fe[i] = fake_start(.mergeable = true);
		TEST_ASSERT_NOT_NULL(fe[i], "device %u", i);
	}
	vhost_connection_end_lost(is_any, "lost by a test");
	for (unsigned int i = 0; i < RTE_DIM(fe); i++)
		TEST_ASSERT(fake_is_closed(fe[i]), "connection %u", i);
	for (unsigned int i = 0; i < RTE_DIM(fe); i++) {
		TEST_ASSERT_SUCCESS(fake_connect(fe[i]), "connection %u comes back", i);
		TEST_ASSERT_SUCCESS(live(fe[i]), "device %u lives", i);
		TEST_ASSERT_SUCCESS(fake_stop(fe[i]), "device %u", i);
	}
	return TEST_SUCCESS;
}

/* ---- the log lines that consumers look for ---- */

/** Whether the pieces occur in this order, in lines of a path. */
static bool
log_has_in_order(const struct log_capture *log, const char *path, const char *const *pieces,
		unsigned int n)
{
	const char *at = log->text;
	char line[256];

	for (unsigned int i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "VHOST_CONFIG: (%s) %s", path, pieces[i]);
		at = strstr(at, line);
		if (at == NULL) {
			printf("no \"%s\" in its place in:\n%s", line, log->text);
			return false;
		}
	}
	return true;
}

static int
lines_of_a_server(void)
{
	static const char *const lines[] = {
		"vhost-user server: socket created, fd: ", "binding succeeded\n",
		"new vhost user connection is ", "new device, handle is ",
		"read message VHOST_USER_GET_FEATURES\n", "vhost peer closed\n",
		"new vhost user connection is ", "new device, handle is ", "free connfd ",
	};
	struct log_capture log;
	struct fake *fe;
	char path[108];

	TEST_ASSERT_SUCCESS(log_begin(&log), "log");
	fe = fake_start(.until = FAKE_CONNECTED);
	TEST_ASSERT_NOT_NULL(fe, "a connection");
	memcpy(path, fe->path, sizeof(path));
	TEST_ASSERT(fake_is_served(fe), "served");
	TEST_ASSERT_SUCCESS(fake_connect(fe), "once more");
	TEST_ASSERT_SUCCESS(fake_unregister(fe), "unregister");
	TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	log_end(&log);
	TEST_ASSERT(log_has_in_order(&log, path, lines, RTE_DIM(lines)), "lines of a server");
	log_free(&log);
	return TEST_SUCCESS;
}

/** The descriptor in the line about a new socket, or -1. */
static int
told_fd(const struct log_capture *log)
{
	const char *what = "socket created, fd: ";
	const char *at = strstr(log->text, what);

	return at == NULL ? -1 : atoi(at + strlen(what));
}

static int
each_memory_region_has_its_line(void)
{
	struct log_capture log;
	struct fake *fe;

	TEST_ASSERT_SUCCESS(log_begin(&log), "log");
	fe = fake_start(.until = FAKE_MEMORY, .regions = 3);
	TEST_ASSERT_NOT_NULL(fe, "a guest with three regions");
	TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, ") guest memory region size: 0x"), 3, "%s", log.text);
	log_free(&log);
	return TEST_SUCCESS;
}

static int
line_of_a_server_has_its_descriptor(void)
{
	struct sockaddr_un bound = { 0 };
	socklen_t size = sizeof(bound);
	struct log_capture log;
	char path[108];

	fake_new_path(path, sizeof(path));
	TEST_ASSERT_SUCCESS(log_begin(&log), "log");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path, 0), "register");
	log_end(&log);
	TEST_ASSERT_SUCCESS(rte_vhost_driver_callback_register(path,
		&fake_recorder_ops), "callbacks");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_start(path), "start");
	TEST_ASSERT_SUCCESS(getsockname(told_fd(&log), (struct sockaddr *)&bound, &size),
		"no socket in: %s", log.text);
	TEST_ASSERT_SUCCESS(strcmp(bound.sun_path, path), "%s listens there", bound.sun_path);
	log_free(&log);
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path), "unregister");
	return TEST_SUCCESS;
}

/* The server is there, hangs up, is gone, and comes back. */
static int
lines_of_a_client(void)
{
	static const char *const lines[] = {
		"vhost-user client: socket created, fd: ", "new device, handle is ",
		"vhost peer closed\n", "vhost-user client: socket created, fd: ",
		"new device, handle is ", "vhost peer closed\n",
		"vhost-user client: socket created, fd: ",
		"failed to connect: Connection refused\n", "reconnecting...\n", "connected\n",
		"new device, handle is ", "free connfd ",
	};
	struct log_capture log;
	struct fake *fe;
	char path[108];

	TEST_ASSERT_SUCCESS(log_begin(&log), "log");
	fe = fake_start(.client = true, .until = FAKE_CONNECTED);
	TEST_ASSERT_NOT_NULL(fe, "a connection");
	memcpy(path, fe->path, sizeof(path));
	TEST_ASSERT_SUCCESS(fake_connect(fe), "it connects again");
	close(fe->listener);
	fake_disconnect(fe);
	usleep(50000);
	unlink(path);
	fe->listener = listen_at(path);
	TEST_ASSERT(fe->listener >= 0, "listen again");
	TEST_ASSERT_SUCCESS(fake_connect(fe), "it connects again");
	TEST_ASSERT_SUCCESS(fake_unregister(fe), "unregister");
	TEST_ASSERT_SUCCESS(fake_stop(fe), "stop");
	log_end(&log);
	TEST_ASSERT(log_has_in_order(&log, path, lines, RTE_DIM(lines)), "lines of a client");
	TEST_ASSERT_EQUAL(log_count(&log, "connected\n"), 1, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "failed to connect"), 1, "%s", log.text);
	log_free(&log);
	return TEST_SUCCESS;
}

static int
lines_of_failures(void)
{
	const char *path = "/tmp/vhost-test-no-such-directory/a.sock";
	struct log_capture log;
	char client[108];

	fake_new_path(client, sizeof(client));
	TEST_ASSERT_SUCCESS(log_begin(&log), "log");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(path, 0), "register");
	TEST_ASSERT_EQUAL(rte_vhost_driver_start(path), -1, "start");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(path), "unregister");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(client,
		RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT), "register");
	TEST_ASSERT_EQUAL(rte_vhost_driver_start(client), -1, "start");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(client), "unregister");
	TEST_ASSERT_EQUAL(rte_vhost_driver_start(client), -1, "not registered");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "failed to bind: No such file or directory\n"), 1,
		"%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "failed to connect: No such file or directory\n"), 1,
		"%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "reconnecting"), 0, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "no such socket is registered"), 1, "%s", log.text);
	log_free(&log);
	return TEST_SUCCESS;
}

/** The lowest descriptor that is free, above which none may be: what there was before. */
static struct rlimit
take_all_descriptors(void)
{
	int lowest = dup(STDERR_FILENO);
	struct rlimit before, now;

	close(lowest);
	getrlimit(RLIMIT_NOFILE, &before);
	now = before;
	now.rlim_cur = lowest;
	setrlimit(RLIMIT_NOFILE, &now);
	return before;
}

/** Wait for a text in a log that is being written. */
static bool
log_comes_to_have(const struct log_capture *log, const char *what)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();
	bool has = false;

	while (!has && fake_now_ms() < until) {
		usleep(5000);
		flockfile(log->stream);
		fflush(log->stream);
		has = strstr(log->text, what) != NULL;
		funlockfile(log->stream);
	}
	return has;
}

/* It is said once, and whoever waits is served as soon as it can be. */
static int
descriptors_run_out_for_a_while(void)
{
	struct fake *fe = fake_start(.until = FAKE_REGISTERED);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct log_capture log;
	struct rlimit before;
	int connected;
	bool said;

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	strcpy(addr.sun_path, fe->path);
	fe->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	TEST_ASSERT(fe->sock >= 0, "a frontend");
	TEST_ASSERT_SUCCESS(log_begin(&log), "a log");
	before = take_all_descriptors();
	connected = connect(fe->sock, (struct sockaddr *)&addr, sizeof(addr));
	said = log_comes_to_have(&log, "failed to accept: Too many open files; trying again\n");
	/* it tries again and again */
	usleep(300000);
	setrlimit(RLIMIT_NOFILE, &before);
	log_end(&log);
	TEST_ASSERT_SUCCESS(connected, "it waits");
	TEST_ASSERT(said, "%s", log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "failed to accept"), 1, "%s", log.text);
	log_free(&log);
	TEST_ASSERT(fake_is_served(fe), "served in the end");
	return fake_stop(fe);
}

/* Each connection at once, but not more than a few a second. */
static int
server_that_hangs_up_is_not_asked_for_ever(void)
{
	struct fake *fe = fake_start(.client = true, .until = FAKE_CONNECTED);
	uint64_t until;
	int n = 0, fd;

	TEST_ASSERT_NOT_NULL(fe, "a connection");
	fake_disconnect(fe);
	until = fake_now_ms() + 300;
	while (fake_now_ms() < until) {
		struct pollfd p = { .fd = fe->listener, .events = POLLIN };

		fd = poll(&p, 1, 10) > 0 ? accept(fe->listener, NULL, NULL) : -1;
		n += fd >= 0;
		close(fd);
	}
	TEST_ASSERT(n >= 1 && n <= 8, "%d connections", n);
	return fake_stop(fe);
}

static const struct test_case cases[] = {
	TEST_CASE(several_frontends_share_a_socket),
	TEST_CASE_WITH(connects_and_disconnects,
		"two_hundred_connects_to_a_server", &as_server),
	TEST_CASE_WITH(connects_and_disconnects, "client_comes_back", &as_client),
	TEST_CASE(two_hundred_peers_that_say_little),
	TEST_CASE(many_peers_at_once),
	TEST_CASE(stale_path_is_not_taken_over),
	TEST_CASE(socket_left_behind_is_taken_over),
	TEST_CASE(directory_that_does_not_exist),
	TEST_CASE(client_waits_for_its_server),
	TEST_CASE(client_without_server_starts_nevertheless),
	TEST_CASE(client_that_may_not_try_again),
	TEST_CASE_WITH(unregister_in_every_state,
		"server_is_unregistered_in_every_state", &as_server),
	TEST_CASE_WITH(unregister_in_every_state,
		"client_is_unregistered_in_every_state", &as_client),
	TEST_CASE(unregister_ends_the_device_first),
	TEST_CASE(unregister_in_a_callback),
	TEST_CASE(unregister_with_half_a_message),
	TEST_CASE(register_and_unregister_under_connects),
	TEST_CASE(client_registered_anew_under_a_fickle_server),
	TEST_CASE(device_numbers_are_used_again),
	TEST_CASE(connections_of_several_sockets_end_at_once),
	TEST_CASE(lines_of_a_server),
	TEST_CASE(each_memory_region_has_its_line),
	TEST_CASE(line_of_a_server_has_its_descriptor),
	TEST_CASE(lines_of_a_client),
	TEST_CASE(lines_of_failures),
	TEST_CASE(descriptors_run_out_for_a_while),
	TEST_CASE(server_that_hangs_up_is_not_asked_for_ever),
	TEST_CASE(server_that_cannot_listen_may_try_again),
	TEST_CASE(server_without_a_socket_does_not_start),
};

static int
test_vhost_socket(void)
{
	static const struct test_suite suite = {
		.name = "vhost socket",
		.setup = fake_setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_socket_autotest, test_vhost_socket);
