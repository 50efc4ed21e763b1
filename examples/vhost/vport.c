/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <pthread.h>
#include <string.h>

#include <rte_string_fns.h>

#include "topology.h"
#include "vport.h"

static struct vport vports[VPORT_MAX];
static uint16_t n_vports;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void
control_lock(void)
{
	pthread_mutex_lock(&lock);
}

void
control_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

/** What the user has said about the queues of a vport with this name. */
static void
pin_queues(struct vport *vport)
{
	for (unsigned int i = 0; i < VPORT_MAX_RXQ; i++)
		vport->rxq[i].pinned = vport->rxq[i].lcore = LCORE_ID_ANY;
	for (unsigned int i = 0; i < options.n_affinities; i++) {
		const struct affinity *affinity = &options.affinities[i];

		if (strcmp(affinity->name, vport->name) == 0 && affinity->queue < VPORT_MAX_RXQ)
			vport->rxq[affinity->queue].pinned = affinity->lcore;
	}
}

struct vport *
vport_claim(enum vport_kind kind, const char *name)
{
	struct vport *vport = vport_find(name);

	if (vport != NULL)
		return vport;
	if (n_vports == VPORT_MAX)
		return NULL;
	vport = &vports[n_vports];
	vport->kind = kind;
	vport->id = n_vports;
	vport->node = NODE_ANY;
	rte_strlcpy(vport->name, name, sizeof(vport->name));
	pin_queues(vport);
	n_vports++;
	return vport;
}

struct vport *
vport_find(const char *name)
{
	struct vport *vport;

	VPORT_FOREACH(vport)
		if (strcmp(vport->name, name) == 0)
			return vport;
	return NULL;
}

struct vport *
vport_at(uint16_t id)
{
	return id < n_vports ? &vports[id] : NULL;
}

struct vport *
vport_next(const struct vport *vport)
{
	return vport_at(vport == NULL ? 0 : vport->id + 1);
}
