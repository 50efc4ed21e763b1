/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Descriptors whose close() takes as long as their owner likes.  However they come,
 * nobody waits for them, and none is left over.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fuse.h>
#include <linux/memfd.h>

#include <rte_vhost_limits.h>

#include "quota.h"
#include "reaper.h"
#include "test.h"
#include "test_vhost_hostile.h"
#include "vhost_test_events.h"

#define PROTOCOL_BACK_CHANNEL FE_BIT(VHOST_USER_PROTOCOL_F_SLAVE_REQ)

/** Whoever waited for a lingerer would be late by much more than this. */
#define AT_ONCE_MS 5000
#define LINGER_SECONDS 20

/* ---- TCP sockets that linger ---- */

#define MAX_LINGERERS 320

/** The other ends, which do not read. */
static struct {
	int listener;
	int ends[MAX_LINGERERS];
	unsigned int n;
	struct sockaddr_in addr;
} trap;

static bool
trap_set(void)
{
	socklen_t len = sizeof(trap.addr);
	int small = 2048;

	memset(&trap, 0, sizeof(trap));
	trap.addr.sin_family = AF_INET;
	trap.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	trap.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(trap.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	return bind(trap.listener, (struct sockaddr *)&trap.addr, len) == 0 &&
		listen(trap.listener, MAX_LINGERERS) == 0 &&
		getsockname(trap.listener, (struct sockaddr *)&trap.addr, &len) == 0;
}

/** What lingers is reset. */
static void
trap_open(void)
{
	while (trap.n > 0)
		close(trap.ends[--trap.n]);
	close(trap.listener);
}

/** A socket with more to send than the other end has room for; -1 on failure. */
static int
lingerer(void)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = LINGER_SECONDS };
	static const char junk[16384];
	const int small = 2048;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	if (connect(fd, (struct sockaddr *)&trap.addr, sizeof(trap.addr)) != 0 ||
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) != 0)
		return -1;
	trap.ends[trap.n++] = accept(trap.listener, NULL, NULL);
	while (send(fd, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		;
	return fd;
}

/** Send a socket over another one; this end of it is closed. */
static void
send_and_close(int over, int fd)
{
	struct fake fe = { .sock = over };

	fake_send_bytes(&fe, "x", 1, &fd, 1);
	close(fd);
}

/** A message with n lingerers; the event thread must be held, so that ours are not the last. */
static void
send_lingerers(struct fake *fe, uint32_t request, uint32_t flags, const void *payload,
		size_t size, unsigned int n)
{
	int fds[64];

	for (unsigned int i = 0; i < n; i++)
		fds[i] = lingerer();
	fake_send(fe, request, flags, payload, size, fds, n);
	for (unsigned int i = 0; i < n; i++)
		close(fds[i]);
}

static void
come_as_kick(struct fake *fe)
{
	send_lingerers(fe, FE_SET_VRING_KICK, 0, &(uint64_t){ 0 }, 8, 1);
}

static void
send_memory(struct fake *fe, uint32_t flags)
{
	struct fake_mem_table table = { .nregions = 8 };

	for (unsigned int i = 0; i < 8; i++)
		table.regions[i] = (struct fake_mem_region){ i << 20, 1 << 20, i << 20, 0 };
	send_lingerers(fe, FE_SET_MEM_TABLE, flags, &table, sizeof(table), 8);
}

static void
come_as_memory(struct fake *fe)
{
	send_memory(fe, 0);
}

static void
come_unasked(struct fake *fe)
{
	send_lingerers(fe, FE_SET_OWNER, 0, NULL, 0, 1);
}

static void
come_in_excess(struct fake *fe)
{
	send_lingerers(fe, FE_SET_OWNER, 0, NULL, 0, 40);
}

/** Behind what ends the connection. */
static void
stay_unread_in_the_connection(struct fake *fe)
{
	fake_send(fe, FE_SET_OWNER, 2, NULL, 0, NULL, 0);
	send_lingerers(fe, FE_SET_OWNER, 0, NULL, 0, 1);
}

/** Unread in a socket that is sent, but for the first. */
static void
send_nested(struct fake *fe, uint32_t request, const void *payload, size_t size)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	send_and_close(pair[0], lingerer());
	fake_send(fe, request, 0, payload, size, &pair[1], 1);
	close(pair[0]);
	close(pair[1]);
}

static void
come_within_a_kick(struct fake *fe)
{
	send_nested(fe, FE_SET_VRING_KICK, &(uint64_t){ 0 }, 8);
}

static void
come_within_an_interrupt(struct fake *fe)
{
	send_nested(fe, FE_SET_VRING_CALL, &(uint64_t){ 0 }, 8);
}

static void
come_within_a_back_channel(struct fake *fe)
{
	send_nested(fe, FE_SET_SLAVE_REQ_FD, NULL, 0);
}

/** With a byte out of band, which who receives skips. */
static void
come_out_of_band(struct fake *fe)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec byte = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &byte, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd = lingerer();

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	/* kernels before 5.15 have no such byte in these sockets */
	sendmsg(fe->sock, &msg, MSG_OOB | MSG_NOSIGNAL);
	close(fd);
	fake_send(fe, FE_SET_OWNER, 0, NULL, 0, NULL, 0);
}

static const struct way {
	const char *name;
	void (*come)(struct fake *fe);
} ways[] = {
	{ "lingerer_as_kick", come_as_kick },
	{ "lingerers_as_memory", come_as_memory },
	{ "lingerer_that_nobody_asked_for", come_unasked },
	{ "lingerers_beyond_eight", come_in_excess },
	{ "lingerer_out_of_band", come_out_of_band },
	{ "lingerer_unread_in_the_connection", stay_unread_in_the_connection },
	{ "lingerer_within_a_kick", come_within_a_kick },
	{ "lingerer_within_an_interrupt", come_within_an_interrupt },
	{ "lingerer_within_a_back_channel", come_within_a_back_channel },
};

/** The good one is served, and the bad one's connection ends, as if nothing were. */
static int
nobody_waits(struct two *t, uint64_t start)
{
	TEST_ASSERT(fake_is_served(t->good), "the other one");
	fake_disconnect(t->bad);
	TEST_ASSERT(fake_is_served(t->good), "and again");
	TEST_ASSERT_SUCCESS(fake_connect(t->bad), "and the same socket");
	TEST_ASSERT(fake_is_served(t->bad), "as well");
	TEST_ASSERT(fake_now_ms() - start < AT_ONCE_MS, "at once");
	return 0;
}

static int
nobody_waits_for_a_lingerer(const void *arg)
{
	const struct way *way = arg;
	struct held_events held;
	uint64_t start;
	int ret;
	struct two t;

	TEST_ASSERT(two_start(&t, .mergeable = true,
		.protocol_features = PROTOCOL_BACK_CHANNEL), "two devices");
	TEST_ASSERT(trap_set(), "TCP");
	events_hold(&held);
	way->come(t.bad);
	start = fake_now_ms();
	events_release(&held);
	ret = nobody_waits(&t, start);
	trap_open();
	return two_end(&t) == 0 && ret == 0 ? TEST_SUCCESS : TEST_FAILED;
}

/** Who has connected, and was not accepted yet, when the socket is unregistered. */
static int
lingerers_in_the_backlog(void)
{
	struct fake *fe = fake_start(.until = FAKE_REGISTERED);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct held_events held;
	uint64_t start;
	int fd, ret;

	TEST_ASSERT_NOT_NULL(fe, "a socket");
	TEST_ASSERT(trap_set(), "TCP");
	memcpy(addr.sun_path, fe->path, strlen(fe->path));
	events_hold(&held);
	for (int i = 0; i < 3; i++) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
			send_and_close(fd, lingerer());
		close(fd);
	}
	start = fake_now_ms();
	ret = fake_unregister(fe);
	TEST_ASSERT(fake_now_ms() - start < AT_ONCE_MS, "at once");
	events_release(&held);
	trap_open();
	return fake_stop(fe) == 0 && ret == 0 ? TEST_SUCCESS : TEST_FAILED;
}

/* ---- accounts ---- */

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool
is_closed_soon(int fd)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (is_open(fd) && fake_now_ms() < until)
		usleep(500);
	return !is_open(fd);
}

static uint64_t
closing(struct vhost_quota *quota)
{
	struct rte_vhost_limits_usage usage;

	vhost_quota_usage(quota, &usage);
	return usage.closing_fds;
}

static bool
closing_falls_to(struct vhost_quota *quota, uint64_t n)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (closing(quota) > n && fake_now_ms() < until)
		usleep(500);
	return closing(quota) == n;
}

static unsigned int
count_reapers(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned int n = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char path[300], name[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		f = fopen(path, "r");
		if (f == NULL)
			continue;
		if (fgets(name, sizeof(name), f) != NULL && strcmp(name, "vhost-reaper\n") == 0)
			n++;
		fclose(f);
	}
	if (dir != NULL)
		closedir(dir);
	return n;
}

static int
what_is_harmless_is_closed_in_place(void)
{
	struct vhost_quota *quota = vhost_quota_create("a test");
	int efd = eventfd(0, EFD_CLOEXEC), mfd = syscall(SYS_memfd_create, "m", MFD_CLOEXEC);

	TEST_ASSERT_NOT_NULL(quota, "a quota");
	vhost_reap(quota, -1);
	vhost_reap(quota, efd);
	TEST_ASSERT(!is_open(efd), "an eventfd");
	vhost_reap(quota, mfd);
	TEST_ASSERT(!is_open(mfd), "a memory file");
	TEST_ASSERT_EQUAL(closing(quota), 0, "nothing waits");
	vhost_quota_put(quota);
	return TEST_SUCCESS;
}

static int
all_else_is_closed_as_well(void)
{
	struct vhost_quota *quota = vhost_quota_create("a test");
	int fds[6], i;

	TEST_ASSERT_NOT_NULL(quota, "a quota");
	TEST_ASSERT_SUCCESS(pipe2(&fds[0], O_CLOEXEC), "a pipe");
	TEST_ASSERT_SUCCESS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, &fds[2]), "sockets");
	fds[4] = open("/", O_PATH | O_CLOEXEC);
	fds[5] = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	for (i = 0; i < 6; i++)
		vhost_reap(i % 2 ? quota : NULL, fds[i]);
	for (i = 0; i < 6; i++)
		TEST_ASSERT(is_closed_soon(fds[i]), "descriptor %d", i);
	TEST_ASSERT(closing_falls_to(quota, 0), "nothing waits");
	vhost_quota_put(quota);
	return TEST_SUCCESS;
}

/*
 * The descriptor of a bad quota stay, those of a good one go; the reference of a
 * registration may be gone meanwhile.
 */
static int
one_peer_cannot_use_up_the_threads(void)
{
	struct vhost_quota *bad = vhost_quota_create("bad"), *good = vhost_quota_create("good");
	unsigned int before = fake_count_fds(), i;

	TEST_ASSERT(bad != NULL && good != NULL, "two quotas");
	TEST_ASSERT(trap_set(), "TCP");
	for (i = 0; i < 300; i++)
		vhost_reap(bad, lingerer());
	TEST_ASSERT(vhost_quota_limit(bad, QUOTA_CLOSING_FDS) > 300, "within the limit");
	for (i = 0; i < 50; i++)
		vhost_reap(good, open("/", O_PATH | O_CLOEXEC));
	TEST_ASSERT(closing_falls_to(good, 0), "the other's are closed");
	TEST_ASSERT_EQUAL(closing(bad), 300, "those are not");
	TEST_ASSERT(count_reapers() <= 4, "%u threads", count_reapers());
	vhost_quota_put(good);
	trap_open();
	TEST_ASSERT(closing_falls_to(bad, 0), "in the end");
	vhost_quota_put(bad);
	TEST_ASSERT(fake_wait_fds(before) <= before, "nothing is left");
	return TEST_SUCCESS;
}

static int
quota_outlives_its_registration(void)
{
	struct vhost_quota *quota = vhost_quota_create("a test");
	unsigned int before = fake_count_fds();

	TEST_ASSERT_NOT_NULL(quota, "a quota");
	TEST_ASSERT(trap_set(), "TCP");
	for (int i = 0; i < 5; i++)
		vhost_reap(quota, lingerer());
	vhost_quota_put(quota);
	trap_open();
	TEST_ASSERT(fake_wait_fds(before) <= before, "nothing is left");
	return TEST_SUCCESS;
}

static int
hundreds_of_lingerers_stop_nobody_else(void)
{
	struct rte_vhost_limits_usage usage;
	struct held_events held;
	struct fake_msg msg;
	uint64_t start;
	struct two t;
	int ret;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	TEST_ASSERT(trap_set(), "TCP");
	for (int i = 0; i < 38; i++) {
		events_hold(&held);
		send_memory(t.bad, FE_NEED_REPLY);
		events_release(&held);
		TEST_ASSERT_EQUAL(fake_recv(t.bad, &msg, NULL, NULL), 1, "table %d", i);
	}
	start = fake_now_ms();
	TEST_ASSERT(fake_is_served(t.bad), "all have arrived");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_limits_get(t.bad->path, &usage), "usage");
	TEST_ASSERT_EQUAL(usage.closing_fds, 38 * 8, "and wait");
	ret = nobody_waits(&t, start);
	trap_open();
	return two_end(&t) == 0 && ret == 0 ? TEST_SUCCESS : TEST_FAILED;
}

static int
idle_threads_end(void)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	vhost_reap(NULL, open("/", O_PATH | O_CLOEXEC));
	while (count_reapers() > 0 && fake_now_ms() < until)
		usleep(10000);
	TEST_ASSERT_EQUAL(count_reapers(), 0, "none is left");
	return TEST_SUCCESS;
}

/* ---- FUSE files of another user ---- */

/** A file system of one file "f", mounted for user 1000 only, that never answers FLUSH. */
static struct {
	char dir[108];
	int dev;		/**< -1: the server is gone */
	pid_t server, user;
} fuse;

/** A child keeps nothing of ours open but one. */
static void
close_all_but(int keep)
{
	for (int fd = 3; fd < 1024; fd++)
		if (fd != keep)
			close(fd);
}

static struct fuse_attr
fuse_attributes(uint64_t ino)
{
	return (struct fuse_attr){
		.ino = ino, .size = 1 << 20, .nlink = 1, .uid = 1000, .gid = 1000,
		.mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0777 : S_IFREG | 0666,
	};
}

static void
fuse_answer(uint64_t id, int error, const void *data, size_t size)
{
	char bytes[512];
	struct fuse_out_header head = {
		.len = sizeof(head) + size, .error = error, .unique = id,
	};

	memcpy(bytes, &head, sizeof(head));
	if (size > 0)
		memcpy(bytes + sizeof(head), data, size);
	if (write(fuse.dev, bytes, head.len) < 0)
		_exit(1);
}

static void
fuse_serve(const struct fuse_in_header *in)
{
	const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096,
	};
	const struct fuse_entry_out entry = {
		.nodeid = 2, .entry_valid = 1000, .attr_valid = 1000, .attr = fuse_attributes(2),
	};
	const struct fuse_attr_out attr = {
		.attr_valid = 1000, .attr = fuse_attributes(in->nodeid),
	};
	const struct fuse_open_out opened = { .fh = 1 };

	switch (in->opcode) {
	case FUSE_INIT:
		return fuse_answer(in->unique, 0, &init, sizeof(init));
	case FUSE_LOOKUP:
		return fuse_answer(in->unique, 0, &entry, sizeof(entry));
	case FUSE_GETATTR:
		return fuse_answer(in->unique, 0, &attr, sizeof(attr));
	case FUSE_OPEN:
		return fuse_answer(in->unique, 0, &opened, sizeof(opened));
	case FUSE_FLUSH:
	case FUSE_FORGET:
		return;
	default:
		return fuse_answer(in->unique, -ENOSYS, NULL, 0);
	}
}

static void
fuse_server(void)
{
	static union {
		struct fuse_in_header in;
		char room[1 << 17];
	} request;

	close_all_but(fuse.dev);
	while (read(fuse.dev, &request, sizeof(request)) > 0)
		fuse_serve(&request.in);
	_exit(0);
}

/** Become user 1000, open the file, and send it with a message over a connected socket. */
static void
fuse_user(int sock, const struct fake_msg *msg)
{
	struct fake fe = { .sock = sock };
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/f", fuse.dir);
	close_all_but(sock);
	if (setgid(1000) != 0 || setuid(1000) != 0)
		_exit(1);
	fd = open(path, O_RDWR);
	if (fd < 0 || fake_send_bytes(&fe, msg, FE_HEADER_SIZE + msg->size, &fd, 1) != 0)
		_exit(1);
	close(sock);
	/* the file stays open, so that only our closes matter */
	for (;;)
		pause();
}

static bool
fuse_mount(void)
{
	char options[100];

	fuse.dev = geteuid() == 0 ? open("/dev/fuse", O_RDWR | O_CLOEXEC) : -1;
	if (fuse.dev < 0)
		return false;
	fake_new_path(fuse.dir, sizeof(fuse.dir));
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=1000,group_id=1000",
		fuse.dev);
	if (mkdir(fuse.dir, 0777) == 0 &&
			mount("test", fuse.dir, "fuse", MS_NOSUID | MS_NODEV, options) == 0)
		return true;
	rmdir(fuse.dir);
	close(fuse.dev);
	return false;
}

/** With the server and the last descriptor of it the kernel gives up what waits. */
static void
fuse_unmount(void)
{
	kill(fuse.server, SIGKILL);
	waitpid(fuse.server, NULL, 0);
	umount2(fuse.dir, MNT_DETACH);
	close(fuse.dev);
	kill(fuse.user, SIGKILL);
	waitpid(fuse.user, NULL, 0);
	rmdir(fuse.dir);
}

static int
nobody_waits_for_a_file_system(const struct fake_msg *msg)
{
	struct two t;
	int ret;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	if (!fuse_mount())
		return two_end(&t) == 0 ? TEST_SKIPPED : TEST_FAILED;
	fuse.server = fork();
	if (fuse.server == 0)
		fuse_server();
	fuse.user = fork();
	if (fuse.user == 0)
		fuse_user(t.bad->sock, msg);
	usleep(300000);
	ret = nobody_waits(&t, fake_now_ms());
	fuse_unmount();
	return two_end(&t) == 0 && ret == 0 ? TEST_SUCCESS : TEST_FAILED;
}

static int
file_of_another_user_as_kick(void)
{
	struct fake_msg msg = {
		.request = FE_SET_VRING_KICK, .flags = FE_VERSION, .size = 8,
	};

	return nobody_waits_for_a_file_system(&msg);
}

static int
file_of_another_user_as_memory(void)
{
	struct fake_mem_table table = {
		.nregions = 1, .regions[0] = { 0, 1 << 20, 1 << 20, 0 },
	};
	struct fake_msg msg = {
		.request = FE_SET_MEM_TABLE, .flags = FE_VERSION,
		.size = 8 + sizeof(table.regions[0]),
	};

	memcpy(msg.payload, &table, msg.size);
	return nobody_waits_for_a_file_system(&msg);
}

/** To open it once more would take the frontend's consent, or three quarters of a minute. */
static int
leased_memory_stalls_nobody(void)
{
	void (*before)(int) = signal(SIGIO, SIG_IGN);
	uint64_t start;
	struct two t;
	int ret;

	TEST_ASSERT(two_start(&t, .memory_in = "/dev/shm", .extra_memory = 32 << 20,
		.until = FAKE_NEGOTIATED), "two devices");
	if (fcntl(t.bad->regions[0].fd, F_SETLEASE, F_WRLCK) != 0)
		return two_end(&t) == 0 ? TEST_SKIPPED : TEST_FAILED;
	start = fake_now_ms();
	ret = fake_send_mem_table(t.bad);
	signal(SIGIO, before);
	TEST_ASSERT_SUCCESS(ret, "it is memory");
	TEST_ASSERT(fake_is_served(t.good), "the other one");
	TEST_ASSERT(fake_now_ms() - start < AT_ONCE_MS, "at once");
	return two_end(&t);
}

/* ---- doorbells ---- */

/* To open it anew could take its file system's answer. */
static int
fifo_with_a_name_is_no_doorbell(void)
{
	char path[108];
	struct two t;
	int fd;

	TEST_ASSERT(two_start(&t, .mergeable = true), "two devices");
	fake_new_path(path, sizeof(path));
	TEST_ASSERT_SUCCESS(mkfifo(path, 0600), "a FIFO");
	fd = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	TEST_ASSERT_EQUAL(fake_call_fd(t.bad, FE_SET_VRING_CALL, 0, fd), FAKE_NACK, "refused");
	close(fd);
	return two_end(&t);
}

#define NB_FIXED 11
static const struct test_case fixed_cases[NB_FIXED] = {
	TEST_CASE(lingerers_in_the_backlog),
	TEST_CASE(what_is_harmless_is_closed_in_place),
	TEST_CASE(all_else_is_closed_as_well),
	TEST_CASE(one_peer_cannot_use_up_the_threads),
	TEST_CASE(quota_outlives_its_registration),
	TEST_CASE(hundreds_of_lingerers_stop_nobody_else),
	TEST_CASE(idle_threads_end),
	TEST_CASE(file_of_another_user_as_kick),
	TEST_CASE(file_of_another_user_as_memory),
	TEST_CASE(leased_memory_stalls_nobody),
	TEST_CASE(fifo_with_a_name_is_no_doorbell),
};

static struct test_case cases[RTE_DIM(ways) + NB_FIXED];

static int
test_vhost_reaper(void)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(ways); i++)
		cases[i] = (struct test_case)TEST_CASE_WITH(nobody_waits_for_a_lingerer,
			ways[i].name, &ways[i]);
	memcpy(&cases[i], fixed_cases, sizeof(fixed_cases));
	return test_suite_run(&(const struct test_suite){
		.name = "vhost reaper",
		.setup = fake_setup,
		.check = fake_check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	});
}

REGISTER_TEST_COMMAND(vhost_reaper_autotest, test_vhost_reaper);
