/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A guest's memory file was truncated: mem_guard.c has put zero pages in the place of
 * what is gone and wakes the event thread, which closes the connection.
 */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "device_life.h"
#include "event_loop.h"
#include "mem_guard.h"
#include "socket_connection.h"
#include "socket_guard.h"
#include "vduse/vduse.h"
#include "vhost_log.h"

/** The descriptor of mem_guard.c; registry's lock, to add it. */
static struct event_source guard;

static void
on_event(struct event_source *source __rte_unused, uint32_t events __rte_unused)
{
	uint64_t count;

	/* Before the search, so that what breaks meanwhile wakes us again. */
	if (read(vhost_mem_guard_fd(), &count, sizeof(count)) != sizeof(count))
		return;
	vhost_connection_end_lost(vhost_device_lost_memory,
		"guest memory is gone (file truncated, or given up)");
	vhost_vduse_end_lost(vhost_device_lost_memory);
}

int
vhost_socket_guard_start(void)
{
	int ret;

	if (guard.handle != NULL)
		return 0;
	/* Without a descriptor it is the kernel that says so. */
	ret = vhost_event_source_add(&guard, vhost_mem_guard_fd(), EPOLLIN, on_event);
	if (ret != 0)
		VHOST_LOG_CONFIG(ERR, "(guard) truncated guest memory will not be noticed: %s\n",
				strerror(-ret));
	return ret;
}
