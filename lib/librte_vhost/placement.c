/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Where NUMA relocation goes: which node, from what is known.  Nothing here asks the
 * kernel.
 *
 * Pages go before policies: a policy says where pages should go, and is silent
 * about those that were there before it, that did not fit, or that the host has
 * migrated since.
 */

#include "mem_node.h"
#include "placement.h"

/**
 * Nodes whose shares of the guest differ by less than this part of the whole are
 * equals: that is what a sample can tell.
 */
#define EQUAL_SHARE 32

static int
node_with_most(const uint64_t *bytes)
{
	int node, best = 0;

	for (node = 1; node < PLACEMENT_MAX_NODES; node++)
		if (bytes[node] > bytes[best])
			best = node;
	return bytes[best] != 0 ? best : VHOST_NODE_ANY;
}

int
vhost_placement_choose(const uint64_t *bytes, int tie)
{
	int node, best = node_with_most(bytes);
	uint64_t total = 0;

	if (best == VHOST_NODE_ANY || !placement_node_counts(tie))
		return best;
	for (node = 0; node < PLACEMENT_MAX_NODES; node++)
		total += bytes[node];
	return bytes[best] - bytes[tie] <= total / EQUAL_SHARE ? tie : best;
}

int
vhost_placement_region_node(const struct placement_region *region)
{
	return node_with_most(region->bytes);
}

/* Rings */

void
vhost_placement_vote_begin(struct placement_vote *vote)
{
	*vote = (struct placement_vote){
		.first = VHOST_NODE_ANY, .first_by_policy = VHOST_NODE_ANY,
	};
}

static void
cast_vote(unsigned int *votes, int *first, int node)
{
	if (!placement_node_counts(node))
		return;
	votes[node]++;
	if (*first == VHOST_NODE_ANY)
		*first = node;
}

void
vhost_placement_vote_page(struct placement_vote *vote, int node, bool by_policy)
{
	if (by_policy)
		cast_vote(vote->by_policy, &vote->first_by_policy, node);
	else
		cast_vote(vote->pages, &vote->first, node);
}

static int
winner(const unsigned int *votes, int first)
{
	int node, best = first;

	if (first == VHOST_NODE_ANY)
		return VHOST_NODE_ANY;
	for (node = 0; node < PLACEMENT_MAX_NODES; node++)
		if (votes[node] > votes[best])
			best = node;
	return best;
}

int
vhost_placement_vote_node(const struct placement_vote *vote)
{
	if (vote->first != VHOST_NODE_ANY)
		return winner(vote->pages, vote->first);
	return winner(vote->by_policy, vote->first_by_policy);
}
