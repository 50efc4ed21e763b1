/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * Postcopy goes in five steps (vhost-user, "Migration", postcopy messages):
 *  1. ADVISE: we open a userfaultfd and hand the frontend a copy.
 *  2. LISTEN: there is no memory yet; what comes is registered with it.
 *  3. The memory table: mapped and registered, and answered with our addresses,
 *     so that the frontend understands the faults.  It is kept aside: the next
 *     message has to be the frontend's acknowledgement, and only then the map
 *     becomes the wish.  Nobody waits for it but the device itself.
 *  4. The device runs.  A thread that touches a missing page sleeps in the kernel
 *     until the frontend has put the page into the file, and wakes it.
 *  5. END: the userfaultfd is closed.
 *
 * Who may wait for a page?
 * - Threads of the data path, at any place: the page is delivered by threads of
 *   the frontend that want nothing of us meanwhile.
 * - Whoever holds a device's control lock, the event thread above all: a ring that
 *   starts is read, and a queue's gate does not open before the burst inside has
 *   its page.  It is the frontend's word that the guest's memory arrives, so both
 *   end, but one frontend may not hold up the others for long: the watch looks at
 *   all that are in step 4.  When one lock is held, and a page waited for, longer
 *   than vhost_postcopy_lock_timeout_ms, or when the frontend is gone meanwhile, the
 *   device gives up its memory.
 * - Probing never waits.  It asks about the mapping without touching it and maps
 *   what has memory in windows of its own, which are not registered here: see
 *   mem_probe.c.  So evidence grows with the pages that arrive, and what belongs
 *   to an empty file is known to be unknown.
 *
 * To release who waits, zero pages are put in place of its mappings before anyone is
 * woken up.  If the userfaultfd were only closed, accesses that go on until the
 * application has stopped would make the kernel allocate zero pages in the file,
 * and a guest that lives on, with another backend or none, would read zeros for
 * what was still to come.  It marks the map as broken, as a truncated file does
 * (mem_guard.h): the event thread closes the connection as soon as it can.
 *
 * Closing alone would not do for another reason: the frontend has a copy of the
 * userfaultfd and may keep it.  With that copy it could also register other memory
 * of this process; that is in the nature of postcopy, and why the application has
 * to ask for it.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "device.h"
#include "dpdk_compat.h"
#include "postcopy.h"
#include "vhost_abi.h"
#include "vhost_log.h"

/* Younger than the C library's headers. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

/**
 * What a device is in the middle of.  Written under the control lock; ufd, map
 * and pending are the watch's as well, and change under its lock.
 */
struct vhost_postcopy {
	const struct vhost_device *dev;	/**< whose it is; constant */
	int ufd;		/**< ours, a copy of it the frontend's; -1: not advised */
	bool listening;		/**< memory that comes is registered with ufd */
	bool watched;		/**< the watch's: in its list */
	uint32_t awaited;	/**< request to be acknowledged next; VU_NONE */
	struct mem_map *pending;	/**< registered, to be used once acknowledged */
	struct mem_map *map;	/**< registered and in use: a reference of its own */
	unsigned int seen_turn;	/**< of the control lock in the watch's last round */
	unsigned int rounds;	/**< for which the lock was held and a page awaited */
	LIST_ENTRY(vhost_postcopy) link;	/**< the watch's */
};

/** Between rounds of the watch. */
#define ROUND_MS 100u

unsigned int vhost_postcopy_lock_timeout_ms = 5000;

static struct {
	pthread_mutex_t lock;	/* a leaf, but for mem_guard's */
	LIST_HEAD(, vhost_postcopy) devices;	/* that have a map */
	bool running;		/* the thread; it ends when the list is empty */
} watch = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.devices = LIST_HEAD_INITIALIZER(watch.devices),
};

/* The userfaultfd */

static const char *
path_of(const struct vhost_postcopy *postcopy)
{
	return postcopy->dev->driver.path;
}

/** Some distributions give it out by the permissions of a device. */
static int
ufd_of_device(int flags)
{
	int fd, dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	if (dev < 0)
		return -1;
	fd = ioctl(dev, USERFAULTFD_IOC_NEW, flags);
	close(dev);
	return fd;
}

/**
 * Open one, that serves faults of system calls on guest memory as well if we may
 * have it; the library makes no such calls, an application might.
 */
static int
ufd_create(bool *user_only)
{
	const int flags = O_CLOEXEC | O_NONBLOCK;
	int fd = syscall(SYS_userfaultfd, flags);

	*user_only = false;
	if (fd < 0)
		fd = ufd_of_device(flags);
	if (fd >= 0)
		return fd;
	*user_only = true;
	fd = syscall(SYS_userfaultfd, flags | UFFD_USER_MODE_ONLY);
	return fd < 0 ? -errno : fd;
}

/** A descriptor that serves memory files, or a negative errno. */
static int
ufd_open(bool *user_only)
{
	const uint64_t needed = UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MISSING_HUGETLBFS;
	struct uffdio_api api = { .api = UFFD_API };
	int fd = ufd_create(user_only);
	int ret = fd;

	if (fd < 0)
		return fd;
	if (ioctl(fd, UFFDIO_API, &api) != 0)
		ret = -errno;
	else if ((api.features & needed) != needed)
		ret = -EOPNOTSUPP;
	if (ret < 0)
		close(fd);
	return ret;
}

bool
vhost_postcopy_is_possible(const char *path)
{
	bool user_only;
	int fd = ufd_open(&user_only);

	if (fd < 0) {
		VHOST_LOG_CONFIG(WARNING, "(%s) no userfaultfd, postcopy migration is not "
			"offered: %s\n", path, strerror(-fd));
		return false;
	}
	close(fd);
	if (user_only)
		VHOST_LOG_CONFIG(INFO, "(%s) system calls on guest memory will fail at pages that "
			"postcopy migration has not brought yet (vm.unprivileged_userfaultfd)\n",
			path);
	return true;
}

static struct uffdio_range
range_of(const struct mem_region *r)
{
	return (struct uffdio_range){
		.start = (uintptr_t)r->mmap_addr, .len = r->mmap_size,
	};
}

static int
register_region(int ufd, const struct mem_region *r)
{
	struct uffdio_register reg = {
		.range = range_of(r), .mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	/* the kernel must not make one huge page of those that are there and holes */
	madvise(r->mmap_addr, r->mmap_size, MADV_NOHUGEPAGE);
	return ioctl(ufd, UFFDIO_REGISTER, &reg) < 0 ? -errno : 0;
}

/** Register all regions; those shared with an earlier map are already. */
static int
register_map(const struct vhost_postcopy *postcopy, const struct mem_map *map)
{
	unsigned int i;
	int ret;

	for (i = 0; i < map->nregions; i++) {
		const struct mem_region *r = &map->regions[i];

		ret = register_region(postcopy->ufd, r);
		if (ret == 0)
			continue;
		VHOST_LOG_CONFIG(ERR, "(%s) memory region %u at guest 0x%" PRIx64
			" cannot be used for postcopy migration: %s\n", path_of(postcopy), i,
			r->gpa, strerror(-ret));
		return ret;
	}
	return 0;
}

static void
unregister_region(int ufd, const struct mem_region *r)
{
	struct uffdio_range range = range_of(r);

	/* wakes who waits; what was replaced meanwhile is not registered any more */
	ioctl(ufd, UFFDIO_UNREGISTER, &range);
}

static void
unregister_map(int ufd, const struct mem_map *map)
{
	unsigned int i;

	for (i = 0; map != NULL && i < map->nregions; i++)
		unregister_region(ufd, &map->regions[i]);
}

/* The watch */

static void
release_waiters_for(int ufd, const struct mem_map *map)
{
	unsigned int i;

	for (i = 0; map != NULL && i < map->nregions; i++) {
		struct uffdio_range range = range_of(&map->regions[i]);

		/* without memory for zero pages, the guest's memory has to give them */
		if (!vhost_mem_mapping_detach(map->regions[i].mapping))
			unregister_region(ufd, &map->regions[i]);
		ioctl(ufd, UFFDIO_WAKE, &range);
	}
}

/** watch.lock held. */
static void
unwatch(struct vhost_postcopy *postcopy)
{
	if (postcopy->watched)
		LIST_REMOVE(postcopy, link);
	postcopy->watched = false;
}

/** watch.lock held. */
static void
release_waiters(struct vhost_postcopy *postcopy)
{
	release_waiters_for(postcopy->ufd, postcopy->map);
	release_waiters_for(postcopy->ufd, postcopy->pending);
	unwatch(postcopy);
}

/** Whether any thread waits for a page; unknown counts as yes. */
static bool
is_page_awaited(int ufd)
{
	unsigned long total = 1;
	char line[128];
	FILE *info;

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", ufd);
	info = fopen(line, "re");
	if (info == NULL)
		return true;
	/* NOLINTNEXTLINE(cert-err34-c): the kernel writes it */
	while (fgets(line, sizeof(line), info) != NULL && sscanf(line, "total: %lu", &total) != 1)
		;
	fclose(info);
	return total != 0;
}

static bool
is_frontend_gone(const struct vhost_device *dev)
{
	struct pollfd pfd = { .fd = dev->link->fd, .events = POLLRDHUP };

	return poll(&pfd, 1, 0) == 1;
}

/** Whether somebody waits in vain with the control lock held. */
static bool
is_stuck(struct vhost_postcopy *postcopy)
{
	unsigned int turn = __atomic_load_n(&postcopy->dev->control.turn, __ATOMIC_RELAXED);

	if (turn % 2 == 0 || turn != postcopy->seen_turn || !is_page_awaited(postcopy->ufd))
		postcopy->rounds = 0;
	else
		postcopy->rounds++;
	postcopy->seen_turn = turn;
	if (postcopy->rounds == 0)
		return false;
	return is_frontend_gone(postcopy->dev) || postcopy->rounds * ROUND_MS >=
		__atomic_load_n(&vhost_postcopy_lock_timeout_ms, __ATOMIC_RELAXED);
}

/** watch.lock held. */
static void
watch_round(void)
{
	struct vhost_postcopy *postcopy, *next;

	for (postcopy = LIST_FIRST(&watch.devices); postcopy != NULL; postcopy = next) {
		next = LIST_NEXT(postcopy, link);
		if (!is_stuck(postcopy))
			continue;
		VHOST_LOG_CONFIG(ERR, "(%s) a page of postcopy migration does not come, "
			"giving up the device\n", path_of(postcopy));
		release_waiters(postcopy);
	}
}

static dpdk_thread_ret
watch_main(void *arg __rte_unused)
{
	bool more;

	do {
		usleep(ROUND_MS * 1000);
		pthread_mutex_lock(&watch.lock);
		watch_round();
		more = !LIST_EMPTY(&watch.devices);
		watch.running = more;
		pthread_mutex_unlock(&watch.lock);
	} while (more);
	return 0;
}

/** Have the thread run; watch.lock held. */
static int
watch_start(void)
{
	int ret;

	if (watch.running)
		return 0;
	ret = dpdk_start_control_thread(VHOST_ABI_POSTCOPY_THREAD, NULL, watch_main);
	if (ret != 0)
		return -EAGAIN;
	watch.running = true;
	return 0;
}

/** Watch over the device from before there is anything to wait for. */
static int
watch_device(struct vhost_postcopy *postcopy)
{
	int ret;

	pthread_mutex_lock(&watch.lock);
	ret = watch_start();
	if (ret == 0 && !postcopy->watched) {
		postcopy->rounds = 0;
		postcopy->watched = true;
		LIST_INSERT_HEAD(&watch.devices, postcopy, link);
	}
	pthread_mutex_unlock(&watch.lock);
	return ret;
}

/* The steps */

struct vhost_postcopy *
vhost_postcopy_create(const struct vhost_device *dev)
{
	struct vhost_postcopy *postcopy = calloc(1, sizeof(*postcopy));

	if (postcopy != NULL) {
		postcopy->dev = dev;
		postcopy->ufd = -1;
	}
	return postcopy;
}

bool
vhost_postcopy_is_listening(const struct vhost_postcopy *postcopy)
{
	return postcopy->listening;
}

uint32_t
vhost_postcopy_awaited(const struct vhost_postcopy *postcopy)
{
	return postcopy->awaited;
}

int
vhost_postcopy_ufd(const struct vhost_postcopy *postcopy)
{
	return postcopy->ufd;
}

/** Put another descriptor, or none, in place; the old one is closed. */
static void
replace_ufd(struct vhost_postcopy *postcopy, int fd)
{
	int old;

	pthread_mutex_lock(&watch.lock);
	old = postcopy->ufd;
	postcopy->ufd = fd;
	pthread_mutex_unlock(&watch.lock);
	if (old >= 0)
		close(old);
}

int
vhost_postcopy_advise(struct vhost_postcopy *postcopy)
{
	bool user_only;
	int fd;

	if (postcopy->listening) {
		VHOST_LOG_CONFIG(ERR, "(%s) postcopy migration is under way\n", path_of(postcopy));
		return -EBUSY;
	}
	fd = ufd_open(&user_only);
	if (fd < 0) {
		VHOST_LOG_CONFIG(ERR, "(%s) no userfaultfd for postcopy migration: %s\n",
			path_of(postcopy), strerror(-fd));
		return fd;
	}
	replace_ufd(postcopy, fd);
	return 0;
}

int
vhost_postcopy_listen(struct vhost_postcopy *postcopy)
{
	if (postcopy->ufd < 0 || postcopy->listening || postcopy->dev->wish.map != NULL) {
		VHOST_LOG_CONFIG(ERR, "(%s) postcopy migration cannot begin: %s\n",
			path_of(postcopy), postcopy->ufd < 0 ? "it was not announced" :
			postcopy->listening ? "it has begun" : "there is memory already");
		return -EINVAL;
	}
	postcopy->listening = true;
	VHOST_LOG_CONFIG(INFO, "(%s) postcopy migration begins\n", path_of(postcopy));
	return 0;
}

static void
replace_map(struct mem_map **field, struct mem_map *map)
{
	struct mem_map *old;

	pthread_mutex_lock(&watch.lock);
	old = *field;
	*field = map;
	pthread_mutex_unlock(&watch.lock);
	vhost_mem_map_put(old);
}

int
vhost_postcopy_stage(struct vhost_postcopy *postcopy, uint32_t request, struct mem_map *map)
{
	int ret = register_map(postcopy, map);

	if (ret == 0)
		ret = watch_device(postcopy);
	if (ret < 0)
		return ret;
	replace_map(&postcopy->pending, map);
	postcopy->awaited = request;
	return 0;
}

struct mem_map *
vhost_postcopy_acknowledged(struct vhost_postcopy *postcopy)
{
	postcopy->awaited = VU_NONE;
	return vhost_mem_map_get(postcopy->pending);
}

void
vhost_postcopy_use(struct vhost_postcopy *postcopy)
{
	/* bursts have left the earlier map */
	replace_map(&postcopy->map, vhost_mem_map_get(postcopy->pending));
	replace_map(&postcopy->pending, NULL);
}

void
vhost_postcopy_forget(struct vhost_postcopy *postcopy)
{
	postcopy->awaited = VU_NONE;
	replace_map(&postcopy->pending, NULL);
}

void
vhost_postcopy_end(struct vhost_postcopy *postcopy)
{
	if (postcopy->ufd < 0)
		return;
	unregister_map(postcopy->ufd, postcopy->map);
	unregister_map(postcopy->ufd, postcopy->pending);
	pthread_mutex_lock(&watch.lock);
	unwatch(postcopy);
	pthread_mutex_unlock(&watch.lock);
	replace_ufd(postcopy, -1);
	replace_map(&postcopy->map, NULL);
	vhost_postcopy_forget(postcopy);
	postcopy->listening = false;
}

void
vhost_postcopy_release_waiters(struct vhost_postcopy *postcopy)
{
	pthread_mutex_lock(&watch.lock);
	if (postcopy->watched)
		release_waiters(postcopy);
	pthread_mutex_unlock(&watch.lock);
}
