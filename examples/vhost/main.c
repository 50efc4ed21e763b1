/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * dpdk-vhost: a switch between guests and ports that keeps packets on the guest's
 * NUMA node.
 *
 * The main lcore has control: it sleeps until a signal, a command, a change of a
 * guest or the next second wakes it.  The other lcores poll (worker.c).  A third kind
 * of thread is the vhost library's, which calls guests.c.
 *
 * To follow a packet, read worker.c, forward.c, output.c; to follow a guest,
 * guests.c, plan.c, placement.c.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "dma.h"
#include "guests.h"
#include "mac_table.h"
#include "options.h"
#include "plan.h"
#include "pools.h"
#include "ports.h"
#include "prompt.h"
#include "switch_log.h"
#include "telemetry.h"
#include "topology.h"
#include "view.h"
#include "worker.h"

RTE_LOG_REGISTER(switch_logtype, vhost_switch, INFO);

static volatile sig_atomic_t got_signal;
static int signal_fd = -1;	/* an eventfd: a signalfd needs all threads to block signals */

static void
on_signal(int number)
{
	const uint64_t one = 1;

	got_signal = number;
	/* full is as good as written */
	if (write(signal_fd, &one, sizeof(one)) < 0)
		return;
}

static int
catch_signals(void)
{
	const struct sigaction action = { .sa_handler = on_signal };

	signal_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (signal_fd < 0 || sigaction(SIGINT, &action, NULL) != 0 ||
			sigaction(SIGTERM, &action, NULL) != 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

/** A descriptor that is readable once a second. */
static int
open_clock(void)
{
	const struct itimerspec each_second = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd >= 0)
		timerfd_settime(fd, 0, &each_second, NULL);
	return fd;
}

/** What is done each second. */
static void
tick(void)
{
	workers_tick();
	mac_table_age(workers_now(), options.mac_age);
	control_lock();
	plan_measure();
	ports_update();
	control_unlock();
	if (options.stats != 0 && workers_now() % options.stats == 0)
		view_print_rates(stdout, options.stats);
}

/** Serve commands, guests and the clock until a signal or a command ends it. */
static void
control_loop(void)
{
	int clock_fd = open_clock();
	uint64_t count;
	struct pollfd fds[] = {
		{ .fd = signal_fd, .events = POLLIN },
		{ .fd = guests_event_fd(), .events = POLLIN },
		{ .fd = clock_fd, .events = POLLIN },
		{ .fd = prompt_open(), .events = POLLIN },
	};

	while (got_signal == 0) {
		if (poll(fds, RTE_DIM(fds), -1) < 0)
			continue;
		if (fds[1].revents != 0)
			guests_update();
		if (fds[2].revents != 0 && read(clock_fd, &count, sizeof(count)) > 0) {
			tick();
			guests_update();
		}
		if (fds[3].revents != 0 && prompt_serve() == PROMPT_QUIT)
			break;
		if (fds[3].revents != 0 && prompt_is_closed())
			fds[3].fd = -1;
	}
	if (got_signal != 0)
		LOG(INFO, "stopping (signal %d)", (int)got_signal);
	prompt_close();
	close(clock_fd);
}

static void
say_ready(void)
{
	char lcores[256] = "";
	unsigned int n_ports = 0;
	struct vport *vport;
	size_t len = 0;

	VPORT_FOREACH(vport)
		n_ports += vport->kind == VPORT_ETHDEV;
	for (uint32_t i = 0; i < n_workers && len < sizeof(lcores); i++)
		len += snprintf(lcores + len, sizeof(lcores) - len, " %u(node %d)",
				workers[i]->lcore, workers[i]->node);
	LOG(INFO, "ready: %u ports, %u sockets, lcores%s", n_ports, options.n_sockets, lcores);
}

/** Bring everything up: 0 or a negative errno.  What is up is taken down by stop(). */
static int
start(void)
{
	int ret;

	topology_init();
	ret = workers_create();
	if (ret == 0)
		ret = mac_table_create(options.mac_entries, workers_qsbr);
	if (ret == 0)
		ret = workers_start();
	if (ret == 0)
		ret = ports_start();
	if (ret == 0)
		ret = dma_start();
	if (ret == 0)
		ret = guests_start();
	if (ret == 0)
		telemetry_register();
	return ret;
}

/** Let guests go first, so that nothing is lost that was not counted. */
static void
stop(void)
{
	guests_stop();
	workers_stop();
	dma_stop();
}

/** Telemetry may still ask: under the lock it finds things whole or not there. */
static void
release(void)
{
	control_lock();
	ports_stop();
	mac_table_free();
	workers_free();
	pools_free();
	control_unlock();
}

int
main(int argc, char **argv)
{
	int ret;

	rte_set_application_usage_hook(options_show);
	ret = rte_eal_init(argc, argv);
	if (ret < 0) {
		fprintf(stderr, "dpdk-vhost: EAL: %s\n", rte_strerror(rte_errno));
		return 1;
	}
	if (options_parse(argc - ret, argv + ret) < 0) {
		rte_eal_cleanup();
		return 1;
	}
	ret = catch_signals();
	if (ret == 0)
		ret = start();
	if (ret == 0) {
		say_ready();
		control_loop();
		view_print_rxqs(stdout);
	} else {
		fprintf(stderr, "dpdk-vhost: cannot start: %s\n", rte_strerror(-ret));
	}
	stop();
	if (ret == 0)
		view_print_totals(stdout);
	release();
	rte_eal_cleanup();
	return ret == 0 ? 0 : 1;
}
