/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guests.h"
#include "mac_table.h"
#include "options.h"
#include "orders.h"
#include "plan.h"

void
order_rebalance(void)
{
	control_lock();
	plan_refresh();
	control_unlock();
}

/** The lcore that a word means; LCORE_ID_ANY for "none". */
static int
parse_lcore(const char *word, uint32_t *lcore)
{
	unsigned long number;
	char *end;

	*lcore = LCORE_ID_ANY;
	if (strcmp(word, "none") == 0)
		return 0;
	number = strtoul(word, &end, 10);
	if (*word < '0' || *word > '9' || *end != '\0' || number >= RTE_MAX_LCORE ||
			!options.pmd_lcores[number])
		return -EINVAL;
	*lcore = number;
	return 0;
}

const char *
order_affinity(const char *name, unsigned long queue, const char *lcore)
{
	const char *why = NULL;
	struct vport *vport;
	uint32_t number;

	if (parse_lcore(lcore, &number) < 0)
		return "that is no lcore that polls";
	control_lock();
	vport = vport_find(name);
	if (vport == NULL || queue >= VPORT_MAX_RXQ) {
		why = "there is no such queue";
	} else {
		vport->rxq[queue].pinned = number;
		plan_refresh();
	}
	control_unlock();
	return why;
}

const char *
order_socket_restart(const char *path)
{
	int ret = guests_start_again(path);

	return ret == 0 ? NULL : ret == -ENOENT ? "there is no such socket" : strerror(-ret);
}

void
order_flush(void)
{
	mac_table_forget(VPORT_NONE);
}

void
order_quit(void)
{
	kill(getpid(), SIGTERM);
}
