/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What stands between the library's files (the linker's --wrap).
 *
 * - The event loop: sources and timers are served when the fuzzer says so, on its
 *   thread.
 * - The reaper: what it would close on a thread of its own is closed at once.
 * - Mappings of guest memory: what is mapped but belongs to no region may not be
 *   accessed, as far as the address sanitizer can tell (8 bytes at a time).
 * - Functions in the middle of a burst: the guest uses the moment, see fuzz_hook.
 */

#include <errno.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sanitizer/asan_interface.h>

#include "event_loop.h"
#include "mem_map.h"
#include "net_header.h"
#include "reaper.h"
#include "virtio_net.h"
#include "vu_message.h"

#include "fuzz_env.h"
#include "fuzz_private.h"

#define WRAP(type, name, ...) \
	type __real_ ## name(__VA_ARGS__); \
	type __wrap_ ## name(__VA_ARGS__); \
	type __wrap_ ## name(__VA_ARGS__)

void (*fuzz_hook)(void);

static void
run_hook(void)
{
	if (fuzz_hook != NULL)
		fuzz_hook();
}

/* ---- event sources ---- */

static int epoll_fd = -1;

void
fuzz_events_start(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	FUZZ_CHECK(epoll_fd >= 0, "errno %d", errno);
}

WRAP(int, vhost_event_source_add, struct event_source *source, int fd, uint32_t events,
		void (*handle)(struct event_source *source, uint32_t events))
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		return -errno;
	source->fd = fd;
	source->handle = handle;
	return 0;
}

WRAP(void, vhost_event_source_remove, struct event_source *source)
{
	if (source->handle == NULL)
		return;
	FUZZ_CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_DEL, source->fd, NULL) == 0,
		"descriptor %d was closed while it is watched", source->fd);
	source->fd = -1;
	source->handle = NULL;
}

/* ---- timers ---- */

/** The timer that is armed: the others wait for a turn that never comes. */
static struct event_timer *armed;

WRAP(int, vhost_event_timer_arm, struct event_timer *timer, uint64_t delay_ms,
		void (*handle)(struct event_timer *timer))
{
	timer->handle = handle;
	timer->due_ms = delay_ms + 1;
	armed = timer;
	return 0;
}

WRAP(void, vhost_event_timer_cancel, struct event_timer *timer)
{
	timer->due_ms = 0;
	if (armed == timer)
		armed = NULL;
}

static void
serve_timer(void)
{
	struct event_timer *timer = armed;

	if (timer == NULL)
		return;
	armed = NULL;
	timer->due_ms = 0;
	timer->handle(timer);
}

/* ---- turns ---- */

void
fuzz_events_serve(void)
{
	struct epoll_event event;
	struct event_source *source;

	serve_timer();
	/* once: who cannot be satisfied would be asked for ever */
	if (epoll_wait(epoll_fd, &event, 1, 0) != 1)
		return;
	source = event.data.ptr;
	source->handle(source, event.events);
}

/* ---- the reaper ---- */

WRAP(void, vhost_reap, struct vhost_quota *quota, int fd)
{
	RTE_SET_USED(quota);
	if (fd >= 0)
		close(fd);
}

/* ---- mappings ---- */

static void
poison_around(const struct mem_map *map)
{
	for (uint32_t i = 0; i < map->nregions; i++) {
		const struct mem_region *r = &map->regions[i];
		size_t before = r->host - r->mmap_addr;

		ASAN_POISON_MEMORY_REGION(r->mmap_addr, before);
		ASAN_POISON_MEMORY_REGION(r->host + r->size, r->mmap_size - before - r->size);
	}
}

WRAP(int, vhost_mem_map_renew, const struct mem_owner *owner, const struct mem_map *earlier,
		const struct vu_memory *table, int *fds, struct mem_map **map)
{
	int ret = __real_vhost_mem_map_renew(owner, earlier, table, fds, map);

	if (ret == 0)
		poison_around(*map);
	return ret;
}

WRAP(int, vhost_mem_map_add, const struct mem_owner *owner, const struct mem_map *earlier,
		const struct vu_region *region, int *fd, struct mem_map **map)
{
	int ret = __real_vhost_mem_map_add(owner, earlier, region, fd, map);

	if (ret == 0)
		poison_around(*map);
	return ret;
}

WRAP(int, munmap, void *at, size_t len)
{
	ASAN_UNPOISON_MEMORY_REGION(at, len);
	return __real_munmap(at, len);
}

/* ---- moments of a burst ---- */

WRAP(uint8_t *, vhost_virtio_net_piece, const struct virtio_net *net, uint64_t gpa,
		uint64_t *len)
{
	run_hook();
	return __real_vhost_virtio_net_piece(net, gpa, len);
}

WRAP(uint8_t *, vhost_virtio_net_host_elsewhere, const struct virtio_net *net, uint64_t gpa,
		uint64_t len)
{
	run_hook();
	return __real_vhost_virtio_net_host_elsewhere(net, gpa, len);
}

WRAP(bool, vhost_net_header_to_guest, const struct virtio_net *net, struct rte_mbuf *pkt,
		struct virtio_net_hdr *hdr)
{
	run_hook();
	return __real_vhost_net_header_to_guest(net, pkt, hdr);
}

WRAP(void, vhost_net_header_from_guest, const struct virtio_net *net,
		const struct virtio_net_hdr *hdr, struct rte_mbuf *pkt)
{
	run_hook();
	__real_vhost_net_header_from_guest(net, hdr, pkt);
}
