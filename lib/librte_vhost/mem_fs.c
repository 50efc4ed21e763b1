/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * The kernel knows the type of the file system behind a descriptor and has one call
 * that tells it, fstatfs(); but the same call asks for free space, and FUSE and file
 * servers are asked for that.  Type numbers cannot be made up by a server, so the
 * answer is to be trusted once it comes; that it comes cannot be.  Everything that
 * answers at once was considered and found to be a guess (lists of mounts are those
 * of one namespace, device numbers of file systems tell nothing), or to wait as
 * well.  So a thread asks, and whoever wants to know waits for it, for a while.
 *
 * The wait is the event thread's, on behalf of one peer, so it is made expensive for
 * that peer: see struct doubt.  Nothing is remembered of file systems: their
 * device numbers are given to others as soon as one is unmounted.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include <rte_common.h>

#include "mem_fs.h"
#include "quota.h"

/** A wait that is shorter throws no doubt on anybody. */
#define PROMPT_MS 5

/** Owners that may be in doubt at a time. */
#define DOUBTS_MAX 64

#define THREAD_STACK (128 << 10)

/* What an answer means */

#define FUSE_TYPE 0x65735546u

/** File systems that others serve; statfs(2) and the kernel's magic.h have the numbers. */
static const uint32_t served[] = {
	0x00006969,	/* nfs */
	0x0000517b, 0xff534d42, 0xfe534d42,	/* smb, cifs, smb2 */
	0x5346414f, 0x6b414653,	/* afs, two of them */
	0x73757245,	/* coda */
	0x0000564c,	/* ncp */
	0x00c36400,	/* ceph */
	0x20030528,	/* orangefs */
	0x0bd00bd0,	/* lustre */
	0x47504653,	/* gpfs */
	0x00000187,	/* autofs */
};

static const uint32_t system_files[] = {
	0x00009fa0,	/* proc */
	0x62656572,	/* sysfs */
	0x64626720,	/* debugfs */
	0x74726163,	/* tracefs */
};

static bool
is_among(const uint32_t *types, size_t n, uint64_t type)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (types[i] == type)
			return true;
	return false;
}

enum mem_fs
vhost_mem_fs_judge(uint64_t type, bool is_virtiofs)
{
	if (type == FUSE_TYPE)
		return is_virtiofs ? MEM_FS_LOCAL : MEM_FS_SERVED;
	if (is_among(served, RTE_DIM(served), type))
		return MEM_FS_SERVED;
	if (is_among(system_files, RTE_DIM(system_files), type))
		return MEM_FS_SYSTEM;
	return MEM_FS_LOCAL;
}

const char *
vhost_mem_fs_fault(enum mem_fs fs)
{
	static const char *const faults[] = {
		[MEM_FS_LOCAL] = NULL,
		[MEM_FS_SERVED] = "on a file system that may block",
		[MEM_FS_SYSTEM] = "a file of the kernel's own",
		[MEM_FS_SILENT] = "on a file system that may block: no answer from it",
	};

	return faults[fs];
}

/** Whether a line of mountinfo is about that device, as virtiofs. */
static bool
line_tells_virtiofs(const char *line, unsigned int major, unsigned int minor)
{
	const char *tail = strstr(line, " - ");
	unsigned int of_major, of_minor;
	char type[32];

	/* NOLINTNEXTLINE(cert-err34-c): the kernel writes it */
	return tail != NULL && sscanf(line, "%*u %*u %u:%u", &of_major, &of_minor) == 2 &&
		of_major == major && of_minor == minor &&
		sscanf(tail, " - %31s", type) == 1 && strcmp(type, "virtiofs") == 0;
}

bool
vhost_mem_fs_is_virtiofs(const char *mountinfo, unsigned int major, unsigned int minor)
{
	FILE *mounts = fopen(mountinfo, "re");
	bool found = false;
	char *line = NULL;
	size_t room = 0;

	if (mounts == NULL)
		return false;
	while (!found && getline(&line, &room, mounts) > 0)
		found = line_tells_virtiofs(line, major, minor);
	free(line);
	fclose(mounts);
	return found;
}

/* The question */

/** An owner whose files made us wait: list of doubts, under its lock. */
struct doubt {
	LIST_ENTRY(doubt) link;
	struct vhost_quota *quota;	/**< the owner's, a reference */
	unsigned int asking;		/**< threads that have not come back */
	uint64_t until_ms;		/**< not asked again before */
};

static struct {
	pthread_mutex_t lock;	/**< a leaf but for a quota's */
	LIST_HEAD(, doubt) doubts;
	unsigned int n;
} book = { .lock = PTHREAD_MUTEX_INITIALIZER };

/** A file being asked about, by a thread and, as long as it wants to know, its asker. */
struct question {
	struct doubt *owner;	/**< that asks; not freed while it counts the thread */
	pthread_cond_t told;
	int fd;			/**< the asker's, as long as it waits */
	pid_t peer;		/**< whose mounts may tell as well, or 0 */
	enum mem_fs answer;
	bool answered;
	bool forgotten;		/**< the asker does not wait any more: the thread's to free */
};

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000) + now.tv_nsec / 1000000;
}

/** Whether somebody has mounted the file's file system as virtiofs: we, init, or the peer. */
static bool
is_virtiofs(int fd, pid_t peer)
{
	char of_peer[64];
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0)
		return false;
	snprintf(of_peer, sizeof(of_peer), "/proc/%d/mountinfo", (int)peer);
	return vhost_mem_fs_is_virtiofs("/proc/self/mountinfo", stx.stx_dev_major,
			stx.stx_dev_minor) ||
		vhost_mem_fs_is_virtiofs("/proc/1/mountinfo", stx.stx_dev_major,
			stx.stx_dev_minor) ||
		(peer > 0 && vhost_mem_fs_is_virtiofs(of_peer, stx.stx_dev_major,
			stx.stx_dev_minor));
}

/** Find it out; this may take for ever. */
static enum mem_fs
find_out(int fd, pid_t peer)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return MEM_FS_SILENT;
	return vhost_mem_fs_judge((uint32_t)fs.f_type,
		(uint32_t)fs.f_type == FUSE_TYPE && is_virtiofs(fd, peer));
}

static void
question_free(struct question *question)
{
	pthread_cond_destroy(&question->told);
	free(question);
}

/** A thread has come back.  Lock held. */
static void
come_back(struct question *question)
{
	question->owner->asking--;
	if (!question->forgotten)
		return;
	vhost_quota_give(question->owner->quota, QUOTA_CLOSING_FDS, 1);
	question_free(question);
}

static void *
ask_thread(void *arg)
{
	struct question *question = arg;
	bool forgotten;
	enum mem_fs answer = MEM_FS_SILENT;

	pthread_setname_np(pthread_self(), "vhost-file");
	pthread_mutex_lock(&book.lock);
	forgotten = question->forgotten;
	pthread_mutex_unlock(&book.lock);
	/* closed meanwhile, it is somebody else's number: an answer that nobody hears */
	if (!forgotten)
		answer = find_out(question->fd, question->peer);
	pthread_mutex_lock(&book.lock);
	question->answer = answer;
	question->answered = true;
	pthread_cond_signal(&question->told);
	come_back(question);
	pthread_mutex_unlock(&book.lock);
	return NULL;
}

/** A detached thread, its stack small unless the program's thread-local data needs more. */
static int
create_thread(struct question *question)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	ret = pthread_create(&thread, &attr, ask_thread, question);
	pthread_attr_destroy(&attr);
	if (ret != EINVAL)
		return ret;
	ret = pthread_create(&thread, NULL, ask_thread, question);
	if (ret == 0)
		pthread_detach(thread);
	return ret;
}

/** Start a thread that no signal is delivered to but for faults. */
static int
start_thread(struct question *question)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = create_thread(question);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}

/** Wait for an answer, not for ever.  Lock held. */
static void
wait_for_answer(struct question *question)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += MEM_FS_PATIENCE_MS / 1000;
	until.tv_nsec += MEM_FS_PATIENCE_MS % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	while (!question->answered &&
			pthread_cond_timedwait(&question->told, &book.lock, &until) == 0)
		;
}

/** Put the question and wait; nobody else asks for this owner.  Lock held, not throughout. */
static enum mem_fs
put_question(struct doubt *doubt, struct question *question)
{
	enum mem_fs answer = MEM_FS_SILENT;

	if (start_thread(question) != 0) {
		question_free(question);
		return MEM_FS_SILENT;
	}
	doubt->asking++;
	wait_for_answer(question);
	if (question->answered) {
		answer = question->answer;
		question_free(question);
	} else {
		/* the file stays open as long as the thread asks about it */
		question->forgotten = true;
		vhost_quota_overdraw(doubt->quota, QUOTA_CLOSING_FDS, 1);
	}
	return answer;
}

/** Who is at the other end of a connection, 0 if nobody can tell. */
static pid_t
peer_of(int sock)
{
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid : 0;
}

static struct question *
question_create(struct doubt *doubt, pid_t peer, int fd)
{
	struct question *question = calloc(1, sizeof(*question));
	pthread_condattr_t attr;

	if (question == NULL)
		return NULL;
	question->owner = doubt;
	question->fd = fd;
	question->peer = peer;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&question->told, &attr);
	pthread_condattr_destroy(&attr);
	return question;
}

/** Ask, and draw conclusions about the owner.  Lock held, not throughout. */
static enum mem_fs
ask(struct doubt *doubt, pid_t peer, int fd)
{
	struct question *question = question_create(doubt, peer, fd);
	uint64_t start = now_ms(), waited;
	enum mem_fs answer;

	if (question == NULL)
		return MEM_FS_SILENT;
	answer = put_question(doubt, question);
	waited = now_ms() - start;
	if ((answer == MEM_FS_SERVED || answer == MEM_FS_SILENT) && waited >= PROMPT_MS)
		doubt->until_ms = start + waited + waited * MEM_FS_DOUBT;
	return answer;
}

/** Forget who is in doubt no more.  Lock held. */
static void
forget_doubts(void)
{
	struct doubt *doubt, *next;
	uint64_t now = now_ms();

	for (doubt = LIST_FIRST(&book.doubts); doubt != NULL; doubt = next) {
		next = LIST_NEXT(doubt, link);
		if (doubt->asking > 0 || doubt->until_ms > now)
			continue;
		LIST_REMOVE(doubt, link);
		vhost_quota_put(doubt->quota);
		free(doubt);
		book.n--;
	}
}

/** An owner's entry, made if there is none; NULL if there are too many.  Lock held. */
static struct doubt *
doubt_of(struct vhost_quota *quota)
{
	struct doubt *doubt;

	LIST_FOREACH(doubt, &book.doubts, link)
		if (doubt->quota == quota)
			return doubt;
	doubt = book.n < DOUBTS_MAX ? calloc(1, sizeof(*doubt)) : NULL;
	if (doubt == NULL)
		return NULL;
	doubt->quota = vhost_quota_get(quota);
	LIST_INSERT_HEAD(&book.doubts, doubt, link);
	book.n++;
	return doubt;
}

enum mem_fs
vhost_mem_fs_ask(const struct mem_owner *owner, int fd)
{
	enum mem_fs answer = MEM_FS_SILENT;
	struct doubt *doubt;

	pthread_mutex_lock(&book.lock);
	forget_doubts();
	doubt = doubt_of(owner->quota);
	if (doubt != NULL && doubt->asking == 0 && doubt->until_ms <= now_ms())
		answer = ask(doubt, peer_of(owner->sock), fd);
	forget_doubts();
	pthread_mutex_unlock(&book.lock);
	return answer;
}
