/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* The part of a postcopy migration that a virtual machine monitor plays. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "test.h"
#include "vhost_fake_postcopy.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

/* ---- the guest's own side ---- */

static int
open_ufd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

bool
postcopy_is_possible(void)
{
	int fd = open_ufd();

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static uint64_t
pages_of(const struct postcopy *p, unsigned int region)
{
	return p->fe->regions[region].map_len / p->page;
}

/** Put a region's contents aside, and leave its file without any. */
static int
empty_region(struct postcopy *p, unsigned int i)
{
	struct fake_region *r = &p->fe->regions[i];
	struct uffdio_register reg = {
		.range = { (uintptr_t)r->map, r->map_len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	p->source[i] = malloc(r->map_len);
	p->here[i] = calloc(pages_of(p, i), 1);
	if (p->source[i] == NULL || p->here[i] == NULL)
		return -1;
	memcpy(p->source[i], r->map, r->map_len);
	if (fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, r->map_len) < 0)
		return -1;
	return ioctl(p->guest_ufd, UFFDIO_REGISTER, &reg);
}

/* ---- the server ---- */

/** What waits for a page in a range of one userfaultfd goes on. */
static void
wake(int ufd, uint64_t at, uint64_t len)
{
	struct uffdio_range range = { at, len };

	ioctl(ufd, UFFDIO_WAKE, &range);
}

/** The library's address of a place in a region's file. */
static uint64_t
library_address(const struct postcopy *p, unsigned int region, uint64_t offset)
{
	return __atomic_load_n(&p->bases[region], __ATOMIC_ACQUIRE) -
		p->fe->regions[region].wire.mmap_offset + offset;
}

/**
 * Put a page into the file and wake all who want it.  It may be there already, and it
 * may be gone again.
 */
static void
bring(struct postcopy *p, unsigned int region, uint64_t offset)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)p->fe->regions[region].map + offset,
		.src = (uintptr_t)p->source[region] + offset,
		.len = p->page,
	};

	pthread_mutex_lock(&p->lock);
	/* counted before anybody can see it */
	if (!p->here[region][offset / p->page])
		__atomic_fetch_add(&p->brought, 1, __ATOMIC_RELAXED);
	p->here[region][offset / p->page] = 1;
	while (ioctl(p->guest_ufd, UFFDIO_COPY, &copy) < 0 && errno == EAGAIN)
		;
	wake(p->guest_ufd, copy.dst, p->page);
	if (p->ufd >= 0)
		wake(p->ufd, library_address(p, region, offset), p->page);
	pthread_mutex_unlock(&p->lock);
}

/** Bring the page of an address in a mapping of some region; base of file offset 0. */
static void
bring_address(struct postcopy *p, uint64_t at, bool library)
{
	for (unsigned int i = 0; i < p->fe->nregions; i++) {
		uint64_t base = library ? library_address(p, i, 0) :
			(uintptr_t)p->fe->regions[i].map;

		if (at - base < p->fe->regions[i].map_len) {
			bring(p, i, RTE_ALIGN_FLOOR(at - base, p->page));
			return;
		}
	}
	printf("postcopy: nobody knows address %#" PRIx64 "\n", at);
}

static void
serve(struct postcopy *p, int ufd)
{
	struct uffd_msg msg;

	while (read(ufd, &msg, sizeof(msg)) == sizeof(msg))
		if (msg.event == UFFD_EVENT_PAGEFAULT)
			bring_address(p, msg.arg.pagefault.address, ufd != p->guest_ufd);
}

static void *
server_main(void *arg)
{
	struct postcopy *p = arg;

	for (;;) {
		bool held = __atomic_load_n(&p->held, __ATOMIC_ACQUIRE);
		int ufd = __atomic_load_n(&p->ufd, __ATOMIC_ACQUIRE);
		struct pollfd fds[] = {
			{ .fd = p->stop, .events = POLLIN },
			{ .fd = p->guest_ufd, .events = POLLIN },
			{ .fd = held ? -1 : ufd, .events = POLLIN },
		};

		poll(fds, RTE_DIM(fds), 5);
		if (fds[0].revents != 0)
			return NULL;
		if (fds[1].revents & POLLIN)
			serve(p, p->guest_ufd);
		if (fds[2].revents & POLLIN)
			serve(p, ufd);
	}
}

/* ---- leaving and arriving ---- */

int
postcopy_leave(struct postcopy *p, struct fake *fe)
{
	*p = (struct postcopy){
		.fe = fe, .page = fe->cfg.hugepages ? 2 << 20 : 4096,
		.ufd = -1, .guest_ufd = open_ufd(),
		.stop = -1, .lock = PTHREAD_MUTEX_INITIALIZER,
	};
	for (unsigned int i = 0; i < fe->nvrings; i++)
		if (fake_stop_vring(fe, i) < 0)
			return -1;
	fake_disconnect(fe);
	for (unsigned int i = 0; i < fe->nregions; i++)
		if (empty_region(p, i) < 0)
			return -1;
	p->stop = eventfd(0, EFD_CLOEXEC);
	if (p->stop < 0)
		return -1;
	if (pthread_create(&p->server, NULL, server_main, p) == 0)
		return 0;
	close(p->stop);
	p->stop = -1;
	return -1;
}

int
postcopy_advise(struct postcopy *p)
{
	int fds[FE_MAX_FDS], old = p->ufd;
	struct fake_msg reply;
	unsigned int n;

	if (fake_send(p->fe, FE_POSTCOPY_ADVISE, 0, NULL, 0, NULL, 0) < 0 ||
			fake_recv(p->fe, &reply, fds, &n) <= 0)
		return -1;
	if (n == 1)
		__atomic_store_n(&p->ufd, fds[0], __ATOMIC_RELEASE);
	if (n == 1 && old >= 0)
		close(old);
	return n == 1 && reply.request == FE_POSTCOPY_ADVISE && reply.size == 0 &&
		reply.flags == (FE_VERSION | FE_REPLY) ? 0 : -1;
}

int
postcopy_listen(struct postcopy *p)
{
	return fake_call(p->fe, FE_POSTCOPY_LISTEN, NULL, 0, NULL, 0) == FAKE_ACK ? 0 : -1;
}

int
postcopy_table(struct postcopy *p)
{
	const struct fake *fe = p->fe;
	size_t size = offsetof(struct fake_mem_table, regions[fe->nregions]);
	struct fake_mem_table table, answer;
	int fds[FE_MAX_REGIONS];
	struct fake_msg reply;

	fake_mem_table_of(fe, &table, fds);
	if (fake_send(p->fe, FE_SET_MEM_TABLE, 0, &table, size, fds, fe->nregions) < 0 ||
			fake_recv(p->fe, &reply, NULL, NULL) <= 0)
		return -1;
	if (reply.request != FE_SET_MEM_TABLE || reply.size != size ||
			reply.flags != (FE_VERSION | FE_REPLY))
		return -1;
	memcpy(&answer, reply.payload, size);
	for (unsigned int i = 0; i < fe->nregions; i++) {
		__atomic_store_n(&p->bases[i], answer.regions[i].uva, __ATOMIC_RELEASE);
		answer.regions[i].uva = table.regions[i].uva;
	}
	return memcmp(&answer, &table, size) == 0 ? 0 : -1;
}

int
postcopy_acknowledge(struct postcopy *p, bool empty)
{
	const uint64_t fine = 0;

	return fake_send(p->fe, FE_SET_MEM_TABLE, 0, &fine, empty ? 0 : sizeof(fine), NULL, 0);
}

int
postcopy_begin(struct postcopy *p)
{
	if (fake_connect(p->fe) < 0 || fake_negotiate(p->fe) < 0 ||
			postcopy_advise(p) < 0 || postcopy_listen(p) < 0 ||
			postcopy_table(p) < 0)
		return -1;
	return postcopy_acknowledge(p, false);
}

int
postcopy_end(struct postcopy *p)
{
	uint64_t result;

	return fake_ask_u64(p->fe, FE_POSTCOPY_END, &result) == 0 && result == 0 ? 0 : -1;
}

static void
bring_all(struct postcopy *p)
{
	for (unsigned int i = 0; i < p->fe->nregions; i++)
		for (uint64_t page = 0; page < pages_of(p, i); page++)
			bring(p, i, page * p->page);
}

int
postcopy_finish(struct postcopy *p)
{
	bring_all(p);
	return postcopy_end(p);
}

void
postcopy_hold(struct postcopy *p, bool held)
{
	__atomic_store_n(&p->held, held, __ATOMIC_RELEASE);
	/* the server may be in a poll() from before */
	usleep(20000);
}

bool
postcopy_wait_fault(struct postcopy *p)
{
	struct pollfd pfd = { .fd = p->ufd, .events = POLLIN };

	return poll(&pfd, 1, fake_patience_ms()) == 1 && (pfd.revents & POLLIN) != 0;
}

bool
postcopy_is_registered(const struct postcopy *p)
{
	struct uffdio_copy copy = {
		.dst = library_address(p, 0, 0), .src = (uintptr_t)p->source[0], .len = p->page,
	};

	/* Page 0, a guard, is there, which is found out after what the memory is. */
	return ioctl(p->ufd, UFFDIO_COPY, &copy) < 0 && errno == EEXIST;
}

uint64_t
postcopy_allocated(const struct postcopy *p)
{
	uint64_t pages = 0;
	struct stat st;

	for (unsigned int i = 0; i < p->fe->nregions; i++)
		if (fstat(p->fe->regions[i].fd, &st) == 0)
			pages += (uint64_t)st.st_blocks * 512 / p->page;
	return pages;
}

uint64_t
postcopy_brought(const struct postcopy *p)
{
	return __atomic_load_n(&p->brought, __ATOMIC_RELAXED);
}

uint64_t
postcopy_total(const struct postcopy *p)
{
	uint64_t pages = 0;

	for (unsigned int i = 0; i < p->fe->nregions; i++)
		pages += pages_of(p, i);
	return pages;
}

void
postcopy_close(struct postcopy *p)
{
	const uint64_t one = 1;

	if (p->fe == NULL)
		return;
	if (p->stop >= 0)
		bring_all(p);
	if (p->stop >= 0 && write(p->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(p->server, NULL);
	if (p->stop >= 0)
		close(p->stop);
	if (p->ufd >= 0)
		close(p->ufd);
	if (p->guest_ufd >= 0)
		close(p->guest_ufd);
	for (unsigned int i = 0; i < FE_MAX_REGIONS; i++) {
		free(p->source[i]);
		free(p->here[i]);
	}
	p->fe = NULL;
}
